"""What all networks here share: dropout, and the input of time and label."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .checks import Reals, check_int

Label = int | Sequence[int] | Tensor | np.ndarray  # one class, or [B] of them


class Dropout(nn.Module):
    """In training, a share p of the features become 0 and the others are divided by 1 − p.

    (Srivastava et al. 2014.) `generator`, on the device of the data, draws which ones; unless it is set,
    torch's global generator does.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * kept.div_(1 - self.p)


def time_embedding(t: Tensor, dim: int) -> Tensor:
    """t [B], integer or real, as dim/2 cosines and sines: [B, dim] (Vaswani et al. 2017, section 3.5).

    Wavelengths grow by equal factors from 2π to 2π · 10 000^(1 − 2/dim) steps. The distance between the
    embeddings of s and t depends on `|t − s|` alone: at dim = 128 it is 1.95 for neighbours, and 10.3 for 100
    and 900.
    """
    # in float32 for weights of any dtype: bfloat16 cannot count to 1000
    frequency = torch.exp(torch.arange(dim // 2, device=t.device) * (-math.log(10_000) / (dim // 2)))
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Condition(nn.Module):
    """The network's input besides x: the time and the label, as one vector per example, [B, dim].

    [1, dim] if it is the same for all examples: a sampler's batch has one time, and one row is enough.

    Index num_classes of the label embedding is the null class, "no label". It is used for label=None, and for
    the examples whose label is dropped in training, so that one set of weights learns both (Ho & Salimans
    2022, alg. 1).
    """

    def __init__(self, dim: int, num_classes: int | None) -> None:
        super().__init__()
        self.num_classes = None if num_classes is None else check_int(num_classes, "num_classes", 1)
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, dim)

    def forward(self, x: Tensor, t: Reals, label: Label | None = None, drop: Tensor | None = None) -> Tensor:
        t = _one_per_example(torch.as_tensor(t).float(), x, "t")  # float before it moves: MPS has no float64
        first = self.time[0]
        assert isinstance(first, nn.Linear)
        c = self.time(time_embedding(t, first.in_features).to(first.weight.dtype))
        if self.label is None or self.num_classes is None:
            if label is not None:
                check_label(label, None)  # raises
            return c
        if label is None:
            index = torch.full((1,), self.num_classes, device=x.device)
        else:
            index = _one_per_example(check_label(label, self.num_classes), x, "label")
        if drop is not None:
            index = torch.where(drop.to(x.device), self.num_classes, index)
        return c + self.label(index)


def _one_per_example(value: Tensor, x: Tensor, name: str) -> Tensor:
    """value, one number or [B], as [1] or [B] on x's device."""
    if value.ndim > 1 or (value.ndim == 1 and len(value) != len(x)):
        raise ValueError(f"{name} must be one number or [B] = [{len(x)}]; got shape {list(value.shape)}")
    # non-blocking: otherwise the CPU waits until the GPU has done all its queued work
    return value.to(x.device, non_blocking=x.is_cuda).reshape(-1)


def check_label(label: Label, num_classes: int | None, look: bool = False) -> Tensor:
    """label (one, or a list, array or tensor) as an int64 tensor; ValueError for what is not a class.

    The classes are 0…num_classes − 1. Values on a GPU are checked only with `look`, since the CPU must wait
    for them.
    """
    if num_classes is None:
        raise ValueError(f"label must be None: this network knows no classes; got {label!r}")
    expected = f"label must be an integer in 0…{num_classes - 1}, or None; got"
    try:
        tensor = torch.as_tensor(label)
    except (TypeError, ValueError, RuntimeError):  # a word, a ragged list
        raise ValueError(f"{expected} {label!r}") from None
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ValueError(f"{expected} {label!r}")
    tensor = tensor.long()
    if torch.compiler.is_compiling():  # checking the values would split the compiled graph
        return tensor
    if (look or tensor.device.type == "cpu") and not ((tensor >= 0) & (tensor < num_classes)).all():
        raise ValueError(f"{expected} {label!r}")
    return tensor
