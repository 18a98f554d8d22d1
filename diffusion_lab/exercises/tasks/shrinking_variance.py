"""Notebook 27, `shrinking_variance`: what is left when a Gaussian learns from its own samples."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "27_augmentation"


def shrinking_variance(variance: Tensor, n: int, generations: int) -> Tensor:
    """The variance that is left, on average, when Gaussians learn from each other's samples.

    The data have `variance`, a vector [D]: one entry for each coordinate. A Gaussian is fitted to n points
    of the data, the next one to n samples of the first, and so on, `generations` fits in all. A fit divides
    the squared deviations from the mean of its points by n. Then its variance is, on average, 1 − 1/n times
    that of what its points were drawn from. Return the expected variances of the last fit, [D].
    """
    return variance * (1 - 1 / n) ** generations


def loops(generator: torch.Generator) -> Iterator[Case]:
    """Small and large samples; no fit, one fit and many."""
    for k in range(12):
        dtype = torch.float32 if k % 5 == 4 else torch.float64
        variance = 0.2 + 2 * torch.rand([3, 1, 2][k % 3], generator=generator, dtype=dtype)
        yield variance, (2, 5, 20, 100)[k % 4], (3, 0, 1, 10, 50)[k % 5]


EXERCISE = Exercise(
    solution=shrinking_variance,
    cases=loops,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "one generation for all",
            lambda variance, n, generations: variance * (1 - 1 / n),
            "Your answer does not depend on generations.",
            "Each fit learns from samples of the one before it, and loses its part of what that has left.",
        ),
        Mistake(
            "sum for product",
            lambda variance, n, generations: variance * (1 - generations / n),
            "You take the same amount away in each generation, so nothing would be left after n of them.",
            "A fit loses a share of the variance of its own data, which is smaller each time.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda variance, n, generations: variance * (1 - 1 / n) ** (2 * generations),
            "Your variance shrinks by the square of the factor.",
            "The factor belongs to the variance: nothing is to be squared.",
        ),
        Mistake(
            "limit of many points",
            lambda variance, n, generations: variance * math.exp(-generations / n),
            "You are nearly right for large n, and wrong for small n.",
            "The exponential is what the power comes close to: use the power itself.",
        ),
        Mistake(
            "first fit left out",
            lambda variance, n, generations: variance * (1 - 1 / n) ** max(generations - 1, 0),
            "You are right for no fit at all, and one fit short for all others.",
            "The first fit, to real points, divides by n like every other.",
        ),
    ),
)
