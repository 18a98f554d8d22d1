"""The exercise `heun_step` of notebook 14."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "14_fast_samplers"


SHAPES = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]


Slope = Callable[[Tensor, float], Tensor]


def heun_step(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """x̄ at a lower noise level, by one step of Heun's method for dx̄/dσ̄ = ε̂(x̄, σ̄).

    x_bar `[B, *D]` is x̄ at the noise level bar_t. bar_s is the level to reach; both are numbers, and
    0 < bar_s < bar_t. eps is a function: eps(x_bar, level) is ε̂ there, in the shape of x_bar.
    Return x̄ at the level bar_s, in the shape of x_bar. The step calls eps twice.
    """
    here = eps(x_bar, bar_t)
    there = eps(x_bar + (bar_s - bar_t) * here, bar_s)
    return x_bar + (bar_s - bar_t) * (here + there) / 2


def of_a_gaussian(x_bar: Tensor, level: float) -> Tensor:
    """The exact ε̂ of data N(0.3, 0.25)."""
    return level * (x_bar - 0.3) / (0.25 + level**2)


def of_two_points(x_bar: Tensor, level: float) -> Tensor:
    """The exact ε̂ of data ±1, equally likely."""
    return (x_bar - torch.tanh(x_bar / level**2)) / level


def levels(generator: torch.Generator) -> Iterator[Case]:
    """Two noise levels far up, in the middle and far down; two kinds of data; all shapes."""
    steps = [(40.0, 11.0), (3.0, 1.2), (1.0, 0.6), (0.5, 0.3), (2.0, 0.4)]
    for n in range(12):
        bar_t, bar_s = steps[n % 5]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_bar = (1 + bar_t) * torch.randn(SHAPES[n % 4], generator=generator, dtype=dtype)
        yield x_bar, bar_t, bar_s, (of_a_gaussian, of_two_points)[n % 2]


def euler(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: Euler's step for Heun's."""
    return x_bar + (bar_s - bar_t) * eps(x_bar, bar_t)


def not_moved(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: second slope at the old place."""
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_t) + eps(x_bar, bar_s)) / 2


def old_level(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: second slope at the old level."""
    there = eps(euler(x_bar, bar_t, bar_s, eps), bar_t)
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_t) + there) / 2


def no_half(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: missing factor 1/2."""
    there = eps(euler(x_bar, bar_t, bar_s, eps), bar_s)
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_t) + there)


def from_the_end(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: second step from the end of the first."""
    first = euler(x_bar, bar_t, bar_s, eps)
    return first + (bar_s - bar_t) * (eps(x_bar, bar_t) + eps(first, bar_s)) / 2


def end_alone(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: slope at the end alone."""
    return x_bar + (bar_s - bar_t) * eps(euler(x_bar, bar_t, bar_s, eps), bar_s)


def upwards(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """The mistake: step in the wrong direction."""
    here = eps(x_bar, bar_t)
    there = eps(x_bar + (bar_t - bar_s) * here, bar_s)
    return x_bar + (bar_t - bar_s) * (here + there) / 2


EXERCISE = Exercise(
    solution=heun_step,
    cases=levels,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "Euler's step for Heun's",
            euler,
            "You end where Euler's method ends.",
            "The second slope should change where the step goes.",
        ),
        Mistake(
            "second slope at the old place",
            not_moved,
            "Your second slope has the lower level, but not the place that the first step leads to.",
            "Look at the first argument of your second call of eps.",
        ),
        Mistake(
            "second slope at the old level",
            old_level,
            "Your second slope belongs to the new place, but to the old noise level.",
            "Look at the second argument of your second call of eps.",
        ),
        Mistake(
            "missing factor 1/2",
            no_half,
            "Your step is about twice as long as it should be.",
            "Look at how the two slopes become one.",
        ),
        Mistake(
            "second step from the end of the first",
            from_the_end,
            "Your slope is right, but the step begins where the first one ended.",
            "Ask from which point the mean slope sets out.",
        ),
        Mistake(
            "slope at the end alone",
            end_alone,
            "You went along the second slope and forgot the first.",
            "Ask what Heun's method does with its two slopes.",
        ),
        Mistake(
            "step in the wrong direction",
            upwards,
            "Your x̄ moves away from the data.",
            "The noise level falls: look at the sign of the step in it.",
        ),
    ),
)
