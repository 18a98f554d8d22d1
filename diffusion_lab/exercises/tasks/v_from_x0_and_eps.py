"""Notebook 05, `v_from_x0_and_eps`: the view v = signal · ε − sigma · x_0."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "05_views"


EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


def v_from_x0_and_eps(x0: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The view v = signal · ε − sigma · x_0.

    x0 and eps have one shape, `[B, *D]`; t is one time, from 0 to T. schedule.signal and schedule.sigma are
    the two tables. Return v, in the shape of x0.
    """
    return schedule.signal[t] * eps - schedule.sigma[t] * x0


def pairs(generator: torch.Generator) -> Iterator[Case]:
    """Several shapes, two dtypes, three schedules, times at both ends and between."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x0, eps = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(1, schedule.T // 2, (), generator=generator))
        yield x0, eps, [t, 1, schedule.T, t, 0][n % 5], schedule


EXERCISE = Exercise(
    solution=v_from_x0_and_eps,
    cases=pairs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "x_0 and eps swapped",
            lambda x0, eps, t, schedule: schedule.signal[t] * x0 - schedule.sigma[t] * eps,
            "At t = 0 you return x_0, where v is the noise.",
            "Ask which of the two, x_0 or ε, goes with signal in v, and which in x_t.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda x0, eps, t, schedule: schedule.sigma[t] * eps - schedule.signal[t] * x0,
            "At t = 0 you return −x_0, where v is the noise.",
            "Ask which of the two, x_0 or ε, goes with signal in v, and which in x_t.",
        ),
        Mistake(
            "plus for minus",
            lambda x0, eps, t, schedule: schedule.signal[t] * eps + schedule.sigma[t] * x0,
            "Half of your v has the wrong sign.",
            "A velocity points away from where the path starts: look at the sign of x_0.",
        ),
        Mistake(
            "x_t for v",
            lambda x0, eps, t, schedule: schedule.signal[t] * x0 + schedule.sigma[t] * eps,
            "What you return is x_t itself.",
            "The view v is how fast x_t moves, not where it is: compare the two formulas.",
        ),
        Mistake(
            "velocity of the straight path",
            lambda x0, eps, t, schedule: eps - x0,
            "Your result does not depend on t.",
            "That is how fast the straight path moves: ask which path v belongs to.",
        ),
        Mistake(
            "missing square root",
            lambda x0, eps, t, schedule: schedule.signal[t] ** 2 * eps - schedule.sigma[t] ** 2 * x0,
            "Both factors of your v are squared.",
            "Look at the factors of x_0 and ε in x_t, and at what alpha_bar is.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda x0, eps, t, schedule: schedule.signal[t] ** 2 * eps - schedule.sigma[t] * x0,
            "The noise has too small a factor in your v.",
            "Look at the factor of ε, and at what alpha_bar is.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda x0, eps, t, schedule: schedule.signal[t] * eps - schedule.sigma[t] ** 2 * x0,
            "The data has too small a factor in your v.",
            "Look at the factor of x_0, and at whether sigma has to be squared.",
        ),
        Mistake("off by one in t", at_other_time(v_from_x0_and_eps, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the tables at t = 0
            lambda x0, eps, t, schedule: v_from_x0_and_eps(x0, eps, t - 1, schedule),
            *EARLY,
        ),
    ),
)
