"""The wrapper that makes a network a `Denoiser`."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .checks import Reals, check_data, check_t
from .layers import Label, check_label
from .schedules import NoiseSchedule
from .views import Prediction


class ModelDenoiser:
    """A network as a `Denoiser`: with its schedule, and with the view of the prediction that it outputs.

    :param net: called as net(x, t, label): a TinyUNet, an MLP, or a module or function of your own. If it
        takes labels, its num_classes is the number of classes; if it takes a single shape, its shape is that
    :param schedule: the NoiseSchedule it was trained on
    :param predicts: "eps", "x0" or "v"
    :param label: None (any class), one class, or [B]; or the picture that the network is told; change it with
        `given`
    :raises ValueError: for another view, and for a label that the network does not know

    Gradients reach x_t, and those weights that require them. The network is used as it is: call net.eval()
    first if it has dropout.
    """

    def __init__(
        self,
        net: Callable[..., Tensor],
        schedule: NoiseSchedule,
        predicts: str = "eps",
        label: Label | None = None,
    ) -> None:
        if predicts not in ("eps", "x0", "v"):
            raise ValueError(f'predicts must be "eps", "x0" or "v"; got {predicts!r}')
        if label is not None and not getattr(net, "told", 0):  # a picture is checked where its size is known
            label = check_label(label, getattr(net, "num_classes", None), look=True)
        self.net: Any = net  # Any: a module also has weights and num_classes
        self.schedule, self.predicts, self.label = schedule, predicts, label
        self._from_view = getattr(Prediction, f"from_{predicts}")

    def given(self, label: Label | None) -> "ModelDenoiser":
        """The same network, given the class: one label, [B] labels, or None for "any class"; or a picture."""
        return ModelDenoiser(self.net, self.schedule, self.predicts, label)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of one example, if the network has one."""
        return getattr(self.net, "shape", None)

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of the network's weights, in which it computes; None if it has no weights."""
        weight = next(self.net.parameters(), None) if isinstance(self.net, nn.Module) else None
        return None if weight is None else weight.dtype

    def __call__(self, x_t: Tensor, t: Reals) -> Prediction:
        """x_t `[B, *D]`, any floating dtype, on the network's device; t one time or [B], real or integer."""
        check_data(x_t, "x_t", finite=False)  # Prediction checks that the result is finite
        if isinstance(t, float) and 0 < t < 1 < self.schedule.T:
            warnings.warn(
                f"t = {t} of {self.schedule.T} steps is nearly the data: t runs from 0 to {self.schedule.T} "
                "here, not to 1. A tensor says that it is meant.",
                stacklevel=2,
            )
        # a tensor, since a compiled net is recompiled for every number; float32, since MPS has no float64
        time = check_t(t, self.schedule.T, real=True).float().to(x_t.device, non_blocking=x_t.is_cuda)
        value = self.net(x_t.to(self.dtype or x_t.dtype), time, self.label)
        return self._from_view(value.to(x_t.dtype), x_t, t, self.schedule)
