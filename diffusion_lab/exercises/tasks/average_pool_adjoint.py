"""Notebook 19, `average_pool_adjoint`: the adjoint of taking means of squares."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "19_super_resolution"


def average_pool_adjoint(y: Tensor, k: int) -> Tensor:
    """Aᵀ y, where A takes the means of the k × k squares of a picture.

    y is [B, C, h, w], one number for each square. Return [B, C, k h, k w], such that ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for
    every picture x.
    """
    return y.repeat_interleave(k, dim=2).repeat_interleave(k, dim=3) / k**2


def small_pictures(generator: torch.Generator) -> Iterator[Case]:
    """Small pictures, not all of them square, B = C among them; several k, 1 too; two dtypes."""
    shapes = [(2, 1, 3, 3), (2, 2, 2, 2), (1, 3, 2, 4), (3, 1, 1, 2)]
    for n in range(12):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        yield torch.randn(shapes[n % 4], generator=generator, dtype=dtype), [2, 3, 4, 1][n % 4 - n // 4]


def repeated(y: Tensor, k: int) -> Tensor:
    """The mistake: pseudoinverse for adjoint."""
    return average_pool_adjoint(y, k) * k**2


def by_the_side(y: Tensor, k: int) -> Tensor:
    """The mistake: divided by the side of a square."""
    return average_pool_adjoint(y, k) * k


def tiled(y: Tensor, k: int) -> Tensor:
    """The mistake: tiled."""
    return y.repeat(1, 1, k, k) / k**2


def in_the_corner(y: Tensor, k: int) -> Tensor:
    """The mistake: one pixel of each square."""
    x = y.new_zeros(*y.shape[:2], k * y.shape[2], k * y.shape[3])
    x[:, :, ::k, ::k] = y
    return x


def along_one_side(y: Tensor, k: int) -> Tensor:
    """The mistake: mirrored."""
    return average_pool_adjoint(y, k).flip(3)


EXERCISE = Exercise(
    solution=average_pool_adjoint,
    cases=small_pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "pseudoinverse for adjoint",
            repeated,
            "Each pixel gets the whole number of its square, so A applied to your result gives y back.",
            "That is A⁺ y, and no adjoint: ask with which weight a pixel enters the mean of its square.",
        ),
        Mistake(
            "divided by the side of a square",
            by_the_side,
            "Your pixels are k times too large.",
            "Ask how many pixels share one mean.",
        ),
        Mistake(
            "tiled",
            tiled,
            "You put copies of the small picture side by side.",
            "All pixels of one square belong to the same number of y.",
        ),
        Mistake(
            "one pixel of each square",
            in_the_corner,
            "One pixel of each square gets everything, and the others get nothing.",
            "A mean looks at every pixel of its square: ask where its gradient goes.",
        ),
        Mistake(
            "mirrored",
            along_one_side,
            "Your picture is mirrored, left for right.",
            "Look at the order in which the columns are written.",
        ),
    ),
)
