"""Notebook 03, `chain_step`: x_t, one step after x_(t−1), on a variance-preserving schedule."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "03_forward"


def chain_step(x_prev: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t, one step after x_(t−1), on a variance-preserving schedule.

    x_prev is x_(t−1), `[B, *D]`; noise has the same shape and is drawn from N(0, I); t is one time, from 1 to
    T. schedule.alpha and schedule.beta are tables of T + 1 entries; schedule.beta[t] is the variance that
    step t adds. Return x_t, in the shape of x_prev.
    """
    return schedule.alpha[t].sqrt() * x_prev + schedule.beta[t].sqrt() * noise


def steps_to_take(generator: torch.Generator) -> Iterator[Case]:
    """States of several shapes, two dtypes, three schedules with β that are not tiny, times from 1 to T."""
    makers = [linear(20, beta_T=0.5), cosine(50), quadratic(100, beta_T=0.3)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_prev, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(2, schedule.T, (), generator=generator))
        yield x_prev, [t, 1, schedule.T, t][n % 4], schedule, noise


EXERCISE = Exercise(
    solution=chain_step,
    cases=steps_to_take,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda x_prev, t, schedule, noise: (
                (1 - schedule.beta[t]).sqrt() * x_prev + schedule.beta[t] * noise
            ),
            "Your step adds too little noise.",
            "A β is a variance: ask what a draw of N(0, I) must be multiplied by to have that variance.",
        ),
        Mistake(
            "missing square root",
            lambda x_prev, t, schedule, noise: schedule.alpha[t] * x_prev + schedule.beta[t].sqrt() * noise,
            "Your step shrinks x_(t−1) too much.",
            "The table alpha says what is left of the variance: ask what is left of the state itself.",
        ),
        Mistake(
            "alpha_bar for alpha",
            lambda x_prev, t, schedule, noise: schedule.signal[t] * x_prev + schedule.beta[t].sqrt() * noise,
            "Your one step shrinks the state as much as all steps from 0 to t together.",
            "The tables signal and alpha_bar belong to the jump from x_0, and x_prev is not x_0.",
        ),
        Mistake(
            "alpha_bar for alpha",
            lambda x_prev, t, schedule, noise: schedule.signal[t] * x_prev + schedule.sigma[t] * noise,
            "Your one step does as much as all steps from 0 to t together.",
            "The tables signal and sigma belong to the jump from x_0, and x_prev is not x_0.",
        ),
        Mistake(
            "alpha and beta swapped",
            lambda x_prev, t, schedule, noise: (
                schedule.beta[t].sqrt() * x_prev + schedule.alpha[t].sqrt() * noise
            ),
            "Where the step should be small, yours leaves almost nothing of x_(t−1).",
            "Ask which of the two tables is close to 1 early on, and which is close to 0.",
        ),
        Mistake(
            "data not shrunk",
            lambda x_prev, t, schedule, noise: x_prev + schedule.beta[t].sqrt() * noise,
            "Your step adds the right noise, and leaves x_(t−1) as large as it was.",
            "Look at the mean of q(x_t|x_(t−1)): with every step of yours the variance grows.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(chain_step, -1),
            "Your step is the one that leads to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to the step from t − 1 to t.",
        ),
    ),
)
