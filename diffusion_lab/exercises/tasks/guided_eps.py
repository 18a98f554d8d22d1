"""The exercise `guided_eps` of notebook 09."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "09_guidance"


def guided_eps(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    """The guided noise, in the convention of this course: w = 0 is unconditional, w = 1 conditional.

    eps_c (predicted by a network that was told the class) and eps_0 (not told) have one shape, `[B, *D]`. w
    is a number, or a tensor of shape [B], one scale for each example. Return the guided noise, `[B, *D]`.
    """
    w = torch.as_tensor(w).reshape(-1, *[1] * (eps_0.ndim - 1))
    return eps_0 + w.to(eps_0.dtype) * (eps_c - eps_0)


def scales(generator: torch.Generator) -> Iterator[Case]:
    """Pairs of noises and one scale, or one for each example; B = D among them."""
    shapes = [(5, 2), (3, 3), (2, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(15):
        shape = shapes[n % 5]
        dtype = torch.float32 if n % 7 == 6 else torch.float64
        eps_c, eps_0 = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        w = 5 * torch.rand(shape[:1], generator=generator, dtype=dtype)
        yield eps_c, eps_0, w if n % 3 else [0.0, 1.0, 3.0, 7.5, -1.0][n // 3]


def along_the_last_axis(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    """The mistake: w along the last axis."""
    return eps_0 + w * (eps_c - eps_0)


def plus_one(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    """The mistake: another paper's w."""
    return guided_eps(eps_c, eps_0, torch.as_tensor(w) + 1)


def away_from_the_class(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    """The mistake: points away from the class."""
    return 2 * eps_0 - guided_eps(eps_c, eps_0, w)


def swapped(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    """The mistake: conditional and unconditional swapped."""
    return guided_eps(eps_0, eps_c, w)


EXERCISE = Exercise(
    solution=guided_eps,
    cases=scales,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "another paper's w",
            plus_one,
            "At w = 0 you return the conditional noise, and at w = 1 you already go twice as far.",
            "Look at the table of conventions: which row says what w = 0 and w = 1 mean here?",
        ),
        Mistake(
            "points away from the class",
            away_from_the_class,
            "At w = 0 all is well, but with more w you move away from eps_c.",
            "Look at what is subtracted from what.",
        ),
        Mistake(
            "conditional and unconditional swapped",
            swapped,
            "At w = 1 you return the prediction that was not told the class.",
            "Look at which of the two the difference points to.",
        ),
        Mistake(
            "w along the last axis",
            along_the_last_axis,
            "With w of shape [B], your scales run along the last axis of the data, not along the batch.",
            "Give w as many axes as the data has, before it multiplies.",
        ),
    ),
)
