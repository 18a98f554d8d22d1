"""The exercise `posterior_variance` of notebook 10."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "10_posterior"


def posterior_variance(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The variance of q(x_{t−1}|x_t, x_0) in each coordinate, called β̃_t, at several times.

    t [B] holds whole times from 1 to T; schedule is variance-preserving, with the tables schedule.signal,
    schedule.sigma, schedule.alpha, schedule.beta and schedule.alpha_bar, each [T + 1]. Return the variances
    [B], in float64 like the tables. The one at t = 1 is 0.
    """
    return schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def batches_of_times(generator: torch.Generator) -> Iterator[Case]:
    """Both ends, the second step, and times between."""
    for n, schedule in enumerate([linear(1000), cosine(50), quadratic(100), sigmoid(60)] * 2):
        between = torch.randint(2, schedule.T, (4,), generator=generator)
        yield torch.cat([torch.tensor([1, schedule.T] if n < 4 else [2, 1]), between]), schedule
    yield torch.tensor([7]), cosine(20)


def clamped_variance(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: zero at t = 1 replaced."""
    return posterior_variance(t.clamp(min=2), schedule)


EXERCISE = Exercise(
    solution=posterior_variance,
    cases=batches_of_times,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "beta for the posterior's variance",
            lambda t, schedule: schedule.beta[t],
            "You return the variance of a step forwards.",
            "Whoever knows x_0 has less doubt about x_{t−1} than that: look for the factor below 1.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda t, schedule: posterior_variance(t, schedule).sqrt(),
            "Your values are the roots of the right ones.",
            "The task asks for the variance.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda t, schedule: schedule.beta[t] * schedule.sigma[t - 1] / schedule.sigma[t],
            "Your factor beside β is the root of the right one.",
            "The table sigma holds standard deviations.",
        ),
        Mistake(
            "ratio upside down",
            lambda t, schedule: schedule.beta[t] * schedule.sigma[t] ** 2 / schedule.sigma[t - 1] ** 2,
            "Your variance is larger than β, and infinite at t = 1.",
            "Ask which sigma is the smaller one, and whether the posterior is wider than a step.",
        ),
        Mistake(
            "alpha_bar for 1 − alpha_bar",
            lambda t, schedule: schedule.beta[t] * schedule.alpha_bar[t - 1] / schedule.alpha_bar[t],
            "Your variance is larger than β.",
            "Ask which table says how much noise there is, and which how much signal.",
        ),
        Mistake(
            "off by one in t",
            lambda t, schedule: posterior_variance((t + 1).clamp(max=schedule.T), schedule),
            "Your variances belong to the step that leaves x_{t+1}.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
        Mistake(
            "zero at t = 1 replaced",
            clamped_variance,
            "You are right at all times but t = 1.",
            "Ask how much doubt about x_0 is left for somebody who knows x_0.",
        ),
    ),
)
