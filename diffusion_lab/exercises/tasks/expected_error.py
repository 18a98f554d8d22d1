"""Notebook 19, `expected_error`: how large the posterior mean's error will be, without knowing the truth."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "19_super_resolution"


def expected_error(first: Tensor, second: Tensor) -> Tensor:
    """The mean squared error that the posterior mean will have, estimated without the truth.

    first and second `[B, *D]` are two independent samples of p(x_0|y) for each of B measurements. If the
    posterior is right, the truth is one more such sample. Return one number, the mean over everything; on
    average over many samples it must be the error of E[x_0|y].
    """
    return ((first - second) ** 2).mean() / 2


def samples(generator: torch.Generator) -> Iterator[Case]:
    """Two samples around a mean that is common to them; several shapes, B = D among them; two dtypes."""
    for n in range(12):
        shape = [(4, 1, 3, 3), (3, 3), (6, 2), (2, 5)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        mean, *around = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        first, second = (mean + (0.2 + n % 3) * noise for noise in around)
        yield first, second


EXERCISE = Exercise(
    solution=expected_error,
    cases=samples,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "factor 2 forgotten",
            lambda first, second: ((first - second) ** 2).mean(),
            "You return the squared distance of two samples.",
            "Both samples have moved away from the mean. How far has one of them?",
        ),
        Mistake(
            "variance with 1/N",
            lambda first, second: ((first - second) ** 2).mean() / 4,
            "You return the squared distance of a sample from the mean of the *two*, which is half as large.",
            "Two samples pull their own mean towards them: an estimate from N samples divides by N − 1.",
        ),
        Mistake(
            "absolute value for square",
            lambda first, second: (first - second).abs().mean() / 2,
            "Your number is a mean absolute distance.",
            "Look at what is done to the differences before the mean.",
        ),
        Mistake(
            "missing square",
            lambda first, second: ((first - second) ** 2).mean().sqrt() / 2,
            "Your number has the unit of a pixel, not that of its square.",
            "A squared error is asked for.",
        ),
        Mistake(
            "distance of the averages",
            lambda first, second: (first.mean() - second.mean()) ** 2 / 2,
            "You compare only how bright the two sets are on the whole.",
            "Look at the order: differences first, pixel by pixel, then squares, then the mean.",
        ),
        Mistake(
            "spread over the batch",
            lambda first, second: (first.var(0).mean() + second.var(0).mean()) / 2,
            "You measure how much the samples of *different* measurements differ.",
            "Compare the two samples that belong to the same measurement.",
        ),
    ),
)
