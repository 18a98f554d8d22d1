"""Notebook 27, `best_error`: the error of the best rule for two Gaussian classes of one shape."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "27_augmentation"


def best_error(mean_0: Tensor, mean_1: Tensor, covariance: Tensor) -> Tensor:
    """How often the best rule is wrong about two equally frequent classes, N(mean_0, C) and N(mean_1, C).

    mean_0 and mean_1 are vectors [D], and covariance is C, [D, D]. Let d be the distance between the means in
    standard deviations: d² = (mean_1 − mean_0)ᵀ C⁻¹ (mean_1 − mean_0). Halfway between the means both classes
    are equally likely. So the rule is wrong where a standard normal number lies beyond half of d.
    torch.special.ndtr is the standard normal distribution function. Return one number.
    """
    gap = mean_1 - mean_0
    distance = (gap @ torch.linalg.solve(covariance, gap)).sqrt()
    return torch.special.ndtr(-distance / 2)


def pairs(generator: torch.Generator) -> Iterator[Case]:
    """Near and far classes, long in any direction; 1 to 4 dimensions."""
    for n in range(12):
        D = [2, 1, 4, 3][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        root = torch.randn(D, D, generator=generator, dtype=dtype)
        mean_0, mean_1 = (torch.randn(D, generator=generator, dtype=dtype) for _ in range(2))
        yield mean_0, mean_1, root @ root.mT + 0.4 * torch.eye(D, dtype=dtype)


def of_distance(distance: Tensor) -> Tensor:
    """What is beyond half of a distance."""
    return torch.special.ndtr(-distance / 2)


def squared(mean_0: Tensor, mean_1: Tensor, covariance: Tensor) -> Tensor:
    """The squared distance."""
    gap = mean_1 - mean_0
    return gap @ torch.linalg.solve(covariance, gap)


EXERCISE = Exercise(
    solution=best_error,
    cases=pairs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "whole distance for half",
            lambda mean_0, mean_1, covariance: torch.special.ndtr(
                -squared(mean_0, mean_1, covariance).sqrt()
            ),
            "Your error is too small: you go the whole way to the other mean.",
            "A point is taken for the other class as soon as it is beyond the middle.",
        ),
        Mistake(
            "chance of the opposite",
            lambda mean_0, mean_1, covariance: 1 - best_error(mean_0, mean_1, covariance),
            "Your number is above one half.",
            "You have how often the rule is right: look at the sign.",
        ),
        Mistake(
            "missing square root",
            lambda mean_0, mean_1, covariance: of_distance(squared(mean_0, mean_1, covariance)),
            "You use the squared distance.",
            "Look at what the task calls d, and what d².",
        ),
        Mistake(
            "covariance left out",
            lambda mean_0, mean_1, covariance: of_distance((mean_1 - mean_0).norm()),
            "Your number does not depend on covariance.",
            "The same gap is small where the classes are wide.",
        ),
        Mistake(
            "covariance for its inverse",
            lambda mean_0, mean_1, covariance: of_distance(
                ((mean_1 - mean_0) @ covariance @ (mean_1 - mean_0)).sqrt()
            ),
            "Your error is small where the classes are wide.",
            "Look at which side of the equation C stands on: d has no unit.",
        ),
        Mistake(
            "correlations left out",
            lambda mean_0, mean_1, covariance: of_distance(
                ((mean_1 - mean_0).square() / covariance.diagonal()).sum().sqrt()
            ),
            "You use the variances alone.",
            "C⁻¹ is the inverse of a matrix, not of the numbers on its diagonal.",
        ),
    ),
)
