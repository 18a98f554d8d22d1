"""Notebook 27, `lda_rule`: what a classifier becomes when it learns from two Gaussians of one shape."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "27_augmentation"

Rule = tuple[Tensor, Tensor]


def lda_rule(mean_0: Tensor, mean_1: Tensor, covariance: Tensor) -> Rule:
    """The rule w · x + b that is log p(x|1) − log p(x|0), for the classes N(mean_0, C) and N(mean_1, C).

    mean_0 and mean_1 are vectors [D], and covariance is C, [D, D]. Both logarithms are quadratic in x, with
    the same square, so it drops out. What is left says class 1 where it is above 0, and it is 0 halfway
    between the means. Return two tensors: w, [D], and b, one number.
    """
    weights = torch.linalg.solve(covariance, mean_1 - mean_0)
    return weights, -weights @ (mean_0 + mean_1) / 2


def pairs(generator: torch.Generator) -> Iterator[Case]:
    """Means that do not lie around 0; classes long in any direction; 1 to 4 dimensions."""
    for n in range(12):
        D = [2, 1, 4, 3][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        root = torch.randn(D, D, generator=generator, dtype=dtype)
        mean_0, mean_1 = (1 + torch.randn(D, generator=generator, dtype=dtype) for _ in range(2))
        yield mean_0, mean_1, root @ root.mT + 0.4 * torch.eye(D, dtype=dtype)


def with_weights(weights: Tensor, mean_0: Tensor, mean_1: Tensor) -> Rule:
    """A rule that is 0 halfway between the means."""
    return weights, -weights @ (mean_0 + mean_1) / 2


EXERCISE = Exercise(
    solution=lda_rule,
    cases=pairs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "covariance left out",
            lambda mean_0, mean_1, covariance: with_weights(mean_1 - mean_0, mean_0, mean_1),
            "Your rule does not depend on covariance.",
            "You have the rule for round classes: ask how much a step along a wide direction says.",
        ),
        Mistake(
            "covariance for its inverse",
            lambda mean_0, mean_1, covariance: with_weights(covariance @ (mean_1 - mean_0), mean_0, mean_1),
            "Your rule listens most to the direction in which the classes are widest.",
            "Look at the exponent of a Gaussian: which matrix stands there?",
        ),
        Mistake(
            "missing factor 1/2",
            lambda mean_0, mean_1, covariance: (
                torch.linalg.solve(covariance, mean_1 - mean_0),
                -torch.linalg.solve(covariance, mean_1 - mean_0) @ (mean_0 + mean_1),
            ),
            "Your w is right, and your rule is not 0 halfway between the means.",
            "The middle of two points is half of their sum.",
        ),
        Mistake(
            "the other way round",
            lambda mean_0, mean_1, covariance: lda_rule(mean_1, mean_0, covariance),
            "Your rule is above 0 where class 0 is likelier.",
            "Look at which class your difference begins with.",
        ),
        Mistake(
            "constant left out",
            lambda mean_0, mean_1, covariance: (
                torch.linalg.solve(covariance, mean_1 - mean_0),
                torch.zeros((), dtype=mean_0.dtype),
            ),
            "Your rule is 0 at x = 0, wherever the classes are.",
            "Put the middle of the means into your rule, and see what is missing.",
        ),
        Mistake(
            "plus for minus",
            lambda mean_0, mean_1, covariance: (
                torch.linalg.solve(covariance, mean_1 - mean_0),
                torch.linalg.solve(covariance, mean_1 - mean_0) @ (mean_0 + mean_1) / 2,
            ),
            "Your w is right, and b has the wrong sign.",
            "Put the middle of the means into your rule: w · x and b must cancel there.",
        ),
    ),
)
