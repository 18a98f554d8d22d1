"""The exercise `rms_distance` of notebook 01."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "01_start_here"


def rms_distance(a: Tensor, b: Tensor) -> Tensor:
    """The distance of two pictures: the root of the mean of the squared differences.

    a and b have one shape, that of a picture or of a whole batch; the mean is over all their numbers. Return
    one number.
    """
    return ((a - b) ** 2).mean() ** 0.5


def pairs_of_pictures(generator: torch.Generator) -> Iterator[Case]:
    """Pairs that differ in their average, too; several shapes, two dtypes."""
    for n in range(10):
        shape = [(1, 8, 8), (5,), (3, 1, 4, 4), (4, 4), (2, 3)][n % 5]
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        a, b = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        yield a, 0.6 * b + 0.4


EXERCISE = Exercise(
    solution=rms_distance,
    cases=pairs_of_pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square root",
            lambda a, b: ((a - b) ** 2).mean(),
            "You return the mean of the squares.",
            "It has the square of the unit of a and b: a step is left.",
        ),
        Mistake(
            "sum for mean",
            lambda a, b: (a - b).norm(),
            "Your distance grows with the number of pixels.",
            "Look at what you do with all the squares.",
        ),
        Mistake(
            "absolute value for square",
            lambda a, b: (a - b).abs().mean(),
            "Your distance is the mean of the absolute differences.",
            "Look at what is done to the differences before the mean.",
        ),
        Mistake(
            "distance of the averages",
            lambda a, b: (a.mean() - b.mean()).abs(),
            "You compare only how bright the two pictures are on the whole.",
            "Look at the order: differences first, pixel by pixel, and the mean after that.",
        ),
        Mistake(
            "standard deviation for root mean square",
            lambda a, b: (a - b).std(),
            "You measure how much the differences vary: a constant difference would count for nothing.",
            "A standard deviation takes the mean away first: ask whether that is wanted here.",
        ),
        Mistake(
            "standard deviation for root mean square",
            lambda a, b: (a - b).std(correction=0),
            "You measure how much the differences vary: a constant difference would count for nothing.",
            "A standard deviation takes the mean away first: ask whether that is wanted here.",
        ),
    ),
)
