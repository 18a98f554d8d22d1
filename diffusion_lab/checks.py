"""Checks of the input, shared by all functions: finite floating-point data, shapes that really match, and
integer times in range. Each check raises a ValueError that names the argument.

Only `per_example` is subtle. A batch of times t has shape [B], the data has shape `[B, *D]`, and NumPy's
rules would align t with the *last* axis of the data: an error if you are lucky, a wrong result if B = D.
"""

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

Time = int | Tensor  # whole t in 0…T: one number, or [B]
Reals = float | Tensor  # one number, or [B]; also times between the steps
Numbers = Sequence[float | Tensor] | Tensor | np.ndarray  # a row of numbers: a table, falling times
Shape = Sequence[int]


def check_data(x: object, name: str, shape: Shape | None = None, finite: bool = True) -> Tensor:
    """x itself, if it is a finite floating-point tensor (of the given shape); otherwise a ValueError.

    To check the values, the CPU must wait for a GPU. `finite=False` skips this where a later check covers the
    result: a number that is not finite stays so.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        found = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name} must be a floating-point tensor; got {found}")
    if shape is not None and x.shape != torch.Size(shape):
        raise ValueError(f"{name} must have shape {list(shape)}; got {list(x.shape)}")
    if finite and not x.isfinite().all():
        raise ValueError(f"{name} must be finite; {int((~x.isfinite()).sum())} of its values are not")
    return x


def check_batch(x: Tensor, name: str, data_shape: Shape, finite: bool = True) -> Tensor:
    """x itself, if it is a batch `[B, *data_shape]` of (finite) floating-point data; else a ValueError."""
    check_data(x, name, finite=finite)
    if x.ndim == 0 or x.shape[1:] != torch.Size(data_shape):
        raise ValueError(f"{name} must be a batch of {list(data_shape)}; got {list(x.shape)}")
    return x


def check_int(value: object, name: str, lowest: int) -> int:
    """value as an int, if it is a whole number of at least `lowest`; otherwise a ValueError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise ValueError(f"{name} must be an integer of at least {lowest}; got {value!r}")
    return int(value)


def check_t(t: Reals | Numbers, T: int, lowest: int = 0, real: bool = False, name: str = "t") -> Tensor:
    """t on the CPU, [] or [B]. Every entry must be in lowest…T, and whole unless `real` is allowed."""
    if type(t) is int and lowest <= t <= T:  # by far the most frequent case
        return torch.tensor(t)
    kind = "a number" if real else "an integer"
    expected = f"{name} must be {kind} in {lowest}…{T}, or have shape [B] and hold such; got"
    try:
        tensor = torch.as_tensor(t, dtype=torch.float64 if isinstance(t, float) else None).detach().cpu()
    except (TypeError, RuntimeError, ValueError):  # a word, None, a ragged list
        raise ValueError(f"{expected} {t!r}") from None
    whole = not tensor.is_floating_point() and not tensor.is_complex() and tensor.dtype != torch.bool
    if tensor.ndim > 1 or not (whole or (real and tensor.is_floating_point())):
        raise ValueError(f"{expected} {t!r}")
    tensor = tensor.long() if whole else tensor.double()  # before it is compared: uint8 would wrap T
    if not ((tensor >= lowest) & (tensor <= T)).all():  # written so that a NaN fails too
        raise ValueError(f"{name} must lie in {lowest}…{T}; got {t!r}")
    return tensor


def per_example(values: Tensor, x: Tensor, name: str = "t") -> Tensor:
    """values, [] or [B], shaped to multiply x `[B, *D]` example by example, in x's dtype.

    [B] moves to x's device. One number stays on the CPU: torch multiplies it with data on any device, so no
    transfer is needed.
    """
    if values.ndim == 0:
        return values.to(x.dtype)
    if x.ndim == 0 or len(values) != len(x):
        raise ValueError(f"{name} must have one entry per example of {list(x.shape)}; it has {len(values)}")
    return values.to(x).reshape(-1, *[1] * (x.ndim - 1))


def sum_over_data(x: Tensor) -> Tensor:
    """`[B, *D] -> [B]`: the sum over everything but the batch."""
    return x.reshape(len(x), math.prod(x.shape[1:])).sum(1)


def check_generator(generator: object) -> None:
    """Raises ValueError unless generator is None or a torch.Generator."""
    if not isinstance(generator, torch.Generator | None):
        example = "torch.Generator().manual_seed(0)"
        raise ValueError(f"generator must be None or a torch.Generator, such as {example}; got {generator!r}")


def noise_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise of x's shape.

    A CPU generator works for data on any device, so a seed gives the same noise everywhere.
    """
    check_generator(generator)
    device = generator.device if generator is not None else x.device
    return torch.randn(x.shape, generator=generator, device=device, dtype=x.dtype).to(x.device)
