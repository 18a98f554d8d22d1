"""Whether two answers are the same, whatever form they come in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .running import Outcome

# How far an answer may be off: relative to each value, and to the largest one of its tensor.
RELATIVE = {torch.float64: 1e-5, torch.float32: 1e-3}
OF_LARGEST = 1e-2  # times RELATIVE
LOOSE = 5e-3  # what is no further off than this has the right formula, in a poorer dtype


class NotAlike(Exception):
    """An answer that cannot be compared with the right one: its text says what was seen."""


def parts(value: Any) -> list[Tensor]:
    """A right answer as a list of tensors: a tuple has several, numbers and lists of numbers are one."""
    value = spread(value)
    if isinstance(value, tuple):
        return [tensor_of(part) for part in value]
    return [tensor_of(value)]


def spread(value: Any) -> Any:
    """A Gaussian as the pair of its mean and variance; all else as it is."""
    gaussian = hasattr(value, "mean") and hasattr(value, "var") and not isinstance(value, Tensor | np.ndarray)
    return (value.mean, value.var) if gaussian and not isinstance(value, np.generic) else value


def tensor_of(value: Any) -> Tensor:
    """Tensors, arrays, numbers, and lists and ranges of them, as one tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return torch.as_tensor(np.asarray(value))
    if isinstance(value, bool | int | float):
        if isinstance(value, int) and abs(value) >= 2**63:
            raise NotAlike("it returned a number with more than 18 digits")
        return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
    if type(value) in (list, tuple, range) and len(value):
        entries = [tensor_of(entry) for entry in value]
        if len({entry.shape for entry in entries}) > 1:
            raise NotAlike("it returned a list whose entries have different shapes")
        common = torch.float64 if any(entry.is_floating_point() for entry in entries) else torch.int64
        return torch.stack([entry.to(common) for entry in entries])
    name = "nothing (None)" if value is None else f"a {type(value).__name__}"
    raise NotAlike(f"it returned {name}, where a tensor or a number is wanted")


def parts_like(value: Any, right: Any) -> list[Tensor]:
    """A student's answer as tensors that have the shapes of `right`; NotAlike where that cannot be."""
    wanted, right = parts(right), spread(right)
    if isinstance(right, tuple):
        try:
            given = list(spread(value))
        except TypeError:
            raise NotAlike(f"it returned one thing, where {len(wanted)} are wanted") from None
        if len(given) != len(wanted):
            raise NotAlike(f"it returned {len(given)} things, where {len(wanted)} are wanted")
    else:
        given = list(value) if isinstance(value, tuple) and len(value) == 1 else [value]
    return [fitted(tensor_of(part), like) for part, like in zip(given, wanted, strict=True)]


def fitted(given: Tensor, like: Tensor) -> Tensor:
    """`given` in the shape of `like`: one number serves for many, an axis of length 1 for a long one."""
    if given.is_complex():
        raise NotAlike("it returned complex numbers")
    if given.shape == like.shape:
        return given
    pairs = zip(given.shape, like.shape, strict=False)
    same_rank = given.ndim == like.ndim and all(a in (1, b) for a, b in pairs)
    if given.numel() == 1 or same_rank:
        return given.expand_as(like) if same_rank else given.reshape(()).expand(like.shape)
    raise NotAlike(f"it returned the shape {list(given.shape)}, where {list(like.shape)} is wanted")


def close(given: Tensor, right: Tensor, tolerance: float | None = None) -> bool:
    """Equal up to rounding: within `tolerance` of each value, and a hundredth of it of the largest."""
    if tolerance is None:
        tolerance = RELATIVE.get(right.dtype, RELATIVE[torch.float64])
    a, b = given.detach().double(), right.detach().double()
    finite = b.isfinite()
    if not torch.equal(a[~finite].nan_to_num(nan=7e77), b[~finite].nan_to_num(nan=7e77)):
        return False
    largest = b[finite].abs().max() if finite.any() else 0.0
    off = (a[finite] - b[finite]).abs()
    return bool((off <= tolerance * b[finite].abs() + OF_LARGEST * tolerance * largest).all())


def agree(yours: Outcome, right: Outcome, tolerance: float | None = None) -> bool:
    """Whether two calls came to the same: the same values, or an error in both."""
    if yours.error or right.error:
        return bool(yours.error) and bool(right.error)
    try:
        given = parts_like(yours.value, right.value)
    except NotAlike:
        try:  # a mistake may have a shape of its own
            return bool(given_alike(yours.value, right.value, tolerance))
        except NotAlike:
            return False
    return all(close(a, b, tolerance) for a, b in zip(given, parts(right.value), strict=True))


def given_alike(yours: Any, right: Any, tolerance: float | None) -> bool:
    """Whether two answers that are no tensors of one shape are the same all the same: both None, say."""
    return yours is None and right is None and tolerance != 0


def poorer_dtype(yours: Outcome, right: Outcome) -> str:
    """The dtype of an answer that is coarser than that of the right one; "" if none is."""
    if yours.error or right.error or yours.value is None:
        return ""
    value = spread(yours.value)
    values = value if isinstance(right.value, tuple) and isinstance(value, tuple) else (value,)
    for value, like in zip(values, parts(right.value), strict=False):
        if isinstance(value, Tensor) and like.is_floating_point():
            finest = torch.finfo(like.dtype).eps
            if not value.is_floating_point() or torch.finfo(value.dtype).eps > finest:
                return str(value.dtype).removeprefix("torch.")
    return ""
