"""Notebook 03, `closed_form`: x_t, in one jump from x_0."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "03_forward"


def closed_form(x0: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t, in one jump from x_0.

    x0 and noise have one shape, `[B, *D]`, and noise is drawn from N(0, I); t is one time, from 0 to T.
    schedule.signal and schedule.sigma are the two tables. Return x_t, in the shape of x0.
    """
    return schedule.signal[t] * x0 + schedule.sigma[t] * noise


def single_times(generator: torch.Generator) -> Iterator[Case]:
    """Data of several shapes, two dtypes, three schedules, times at both ends and between."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x0, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(1, schedule.T + 1, (), generator=generator))
        yield x0, [t, 1, schedule.T, 0][n % 4], schedule, noise


def variance_for_std(x0: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: variance for standard deviation."""
    return schedule.signal[t] * x0 + schedule.sigma[t] ** 2 * noise


EXERCISE = Exercise(
    solution=closed_form,
    cases=single_times,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            variance_for_std,
            "Your noise is too weak wherever sigma is below 1.",
            "A draw from N(0, s²) is s times a draw from N(0, 1): ask which of s and s² stands in your line.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda x0, t, schedule, noise: schedule.alpha_bar[t] * x0 + schedule.sigma[t] * noise,
            "Your x_t holds too little of x_0.",
            "Look at the factor of x_0 in the closed form, and at what schedule.alpha_bar is.",
        ),
        Mistake(
            "alpha for alpha_bar",
            lambda x0, t, schedule, noise: schedule.alpha[t].sqrt() * x0 + schedule.beta[t].sqrt() * noise,
            "Your jump is as short as one step of the chain.",
            "Ask which tables tell what all steps from 0 to t do together.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda x0, t, schedule, noise: schedule.sigma[t] * x0 + schedule.signal[t] * noise,
            "At t = 0 you return the noise, and at t = T nearly the data.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(closed_form, -1),
            "Your x_t is the one that belongs to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)
