"""The exercise `adams_step` of appendix A3."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A3_orders"


def adams_step(y: Tensor, now: Tensor, before: Tensor, h: float, h_before: float) -> Tensor:
    """One step of order 2 from two remembered slopes, for steps of any length (Adams and Bashforth 1883).

    y is the state, now is the slope there, and before is the slope one step ago: `[B, *D]` each. That step
    was h_before long, and the next one is h long. Follow the straight line through the two slopes to the
    *middle* of the next step, and go with the slope found there. Both lengths have the same sign. Return the
    next state: `[B, *D]`.
    """
    slope = now + h / (2 * h_before) * (now - before)
    return y + h * slope


def two_slopes(generator: torch.Generator) -> Iterator[Case]:
    """Steps up and down, equal and unequal; several shapes, two dtypes."""
    shapes = [(3,), (2, 2), (4, 1, 2, 2)]
    lengths = [(0.1, 0.1), (0.2, 0.1), (-0.05, -0.2), (-0.3, -0.3), (0.7, 0.4), (-1.0, -0.5)]
    for n in range(12):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        y, now, before = torch.randn(3, *shapes[n % 3], generator=generator, dtype=dtype)
        yield y, now, before, *lengths[n % 6]


EXERCISE = Exercise(
    solution=adams_step,
    cases=two_slopes,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "no extrapolation",
            lambda y, now, before, h, h_before: y + h * now,
            "This is Euler's step: the slope before does not count.",
            "Two slopes make a straight line, which can be followed into the next step.",
        ),
        Mistake(
            "missing factor 1/2",
            lambda y, now, before, h, h_before: y + h * (now + h / h_before * (now - before)),
            "You take the slope at the end of the step.",
            "The slope in the middle stands for the whole step.",
        ),
        Mistake(
            "steps taken as equal",
            lambda y, now, before, h, h_before: y + h * (1.5 * now - 0.5 * before),
            "Where the two steps are equally long you are right.",
            "The slopes are h_before apart, and you look ahead by a part of h.",
        ),
        Mistake(
            "ratio upside down",
            lambda y, now, before, h, h_before: y + h * (now + h_before / (2 * h) * (now - before)),
            "Where the two steps are equally long you are right. A long step looks less far ahead.",
            "Ask how fast the slope changes per unit of time, and how far the middle is.",
        ),
        Mistake(
            "extrapolated backwards",
            lambda y, now, before, h, h_before: y + h * (now - h / (2 * h_before) * (now - before)),
            "You follow the line of the two slopes into the past.",
            "The change from before to now goes on.",
        ),
        Mistake(
            "mean of the two slopes",
            lambda y, now, before, h, h_before: y + h * (now + before) / 2,
            "You average the slopes, as Heun's method does.",
            "Heun averages the two ends of the step; here both slopes lie before its middle.",
        ),
        Mistake(
            "step size left out",
            lambda y, now, before, h, h_before: y + now + h / (2 * h_before) * (now - before),
            "You add the slope itself.",
            "A slope times a time is a distance.",
        ),
    ),
)
