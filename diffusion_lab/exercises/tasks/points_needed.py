"""The exercise `points_needed` of appendix A1."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A1_quadrature"


def points_needed(degree: int) -> int:
    """The smallest number of points with which the rule is exact for every polynomial of this degree.

    degree is a whole number, 0 or more. Gauss–Hermite quadrature with n points is exact up to degree 2n − 1.
    Return the smallest such n, a whole number of at least 1.
    """
    return degree // 2 + 1


def degrees(generator: torch.Generator) -> Iterator[Case]:
    """Even and odd ones."""
    yield from ((degree,) for degree in [*range(13), 20, 21, 30, 31])


EXERCISE = Exercise(
    solution=points_needed,
    cases=degrees,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "one point too few",
            lambda degree: degree // 2,
            "Two points are exact up to degree 3, and you take one for it.",
            "Put your n into 2n − 1 and compare with the degree.",
        ),
        Mistake(
            "one point too few for even degrees",
            lambda degree: (degree + 1) // 2,
            "Odd degrees are right. For degree 4 you take two points, which reach degree 3.",
            "Ask in which direction a half must be rounded here.",
        ),
        Mistake(
            "one point too many for odd degrees",
            lambda degree: (degree + 1) // 2 + 1,
            "Even degrees are right. For degree 3 you take three points, and two are enough.",
            "Ask in which direction a half must be rounded here.",
        ),
        Mistake(
            "as many points as coefficients",
            lambda degree: degree + 1,
            "You take a point for each coefficient, as a polynomial through given points does.",
            "Here the places are free, too: each point has two numbers to choose.",
        ),
        Mistake(
            "highest degree for number of points",
            lambda degree: 2 * degree - 1,
            "You return the degree that so many points reach.",
            "The degree is given, and the number of points is wanted: turn the formula round.",
        ),
        Mistake(
            "not rounded",
            lambda degree: (degree + 1) / 2,
            "For even degrees your number of points is no whole number.",
            "There is no half of a point: ask in which direction to round.",
        ),
    ),
)
