"""The record of the steps of a training run."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class History:
    """t and the squared error of every example in the `step` steps done so far: t and loss [steps, batch].

    The tables have their full length from the start, and the loss is on the device, so recording it costs
    nothing. Rows from `step` on are not filled yet.
    """

    step: int
    t: Tensor
    loss: Tensor

    def per_step(self) -> Tensor:
        """The mean loss of each step: [step], on the CPU."""
        return self.loss[: self.step].mean(1).cpu()

    def per_t(self, T: int, bins: int = 20, last: int | None = None) -> tuple[Tensor, Tensor]:
        """(middles of `bins` equal ranges of t in 1…T, mean loss in each), over the `last` steps if given.

        A range without any draw is NaN.
        """
        rows = slice(0 if last is None else max(0, self.step - last), self.step)
        t, loss = self.t[rows].flatten().long(), self.loss[rows].flatten().cpu().double()
        where = (t - 1) * bins // T
        total = torch.zeros(bins, dtype=torch.float64).index_add_(0, where, loss)
        return (torch.arange(bins) + 0.5) * T / bins + 0.5, total / torch.bincount(where, minlength=bins)
