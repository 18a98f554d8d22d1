"""Notebook 18, `back_up`: RePaint's way back, from x_s to a noisier x_t."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, ve
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "18_restoring"


def back_up(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t ~ q(x_t|x_s): the state x_s, with the noise of the steps s + 1, …, t added.

    x_s and noise are `[B, *D]`; noise is drawn from N(0, I); 0 ≤ s < t ≤ T. schedule.signal and
    schedule.sigma are tables of T + 1 entries. Return x_t, `[B, *D]`.
    """
    keep = schedule.signal[t] / schedule.signal[s]
    var = schedule.sigma[t] ** 2 - keep**2 * schedule.sigma[s] ** 2
    return keep * x_s + var.sqrt() * noise


def jumps(generator: torch.Generator) -> Iterator[Case]:
    """Jumps of several lengths on three schedules, from 0 and by one step among them; two dtypes."""
    schedules, shapes = [cosine(50), linear(20, beta_T=0.4), ve(30, 0.1, 5)], [(3, 2), (2, 1, 4, 4), (4, 4)]
    for n in range(12):
        schedule, shape = schedules[n % 3], shapes[n % 3]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_s, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        s = int(torch.randint(3, schedule.T - 8, (), generator=generator))
        t = s + [5, 1, 7, 3][n % 4]
        yield x_s, 0 if n == 6 else s, t, schedule, noise


def as_variance(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: variance for standard deviation."""
    keep = schedule.signal[t] / schedule.signal[s]
    return keep * x_s + (schedule.sigma[t] ** 2 - keep**2 * schedule.sigma[s] ** 2) * noise


def from_data(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: x_s taken for x_0."""
    return schedule.signal[t] * x_s + schedule.sigma[t] * noise


def last_step(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: the last step only."""
    return schedule.alpha[t].sqrt() * x_s + schedule.beta[t].sqrt() * noise


def noise_twice(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: noise counted twice."""
    return schedule.signal[t] / schedule.signal[s] * x_s + schedule.sigma[t] * noise


def not_scaled(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: data not shrunk."""
    return x_s + (schedule.sigma[t] ** 2 - schedule.sigma[s] ** 2).sqrt() * noise


def not_shrunk_before(x_s: Tensor, s: int, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: old noise not shrunk."""
    keep = schedule.signal[t] / schedule.signal[s]
    return keep * x_s + (schedule.sigma[t] ** 2 - schedule.sigma[s] ** 2).sqrt() * noise


EXERCISE = Exercise(
    solution=back_up,
    cases=jumps,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            as_variance,
            "You shrink x_s rightly, and multiply the noise by a variance.",
            "Ask what a draw of N(0, I) must be multiplied by to have that variance.",
        ),
        Mistake(
            "x_s taken for x_0",
            from_data,
            "You treat x_s as if it were clean data: it is shrunk, and noise added, a second time.",
            "The state x_s has been shrunk before and has noise already: ask what is missing from s to t.",
        ),
        Mistake(
            "the last step only",
            last_step,
            "Your jump is right where t = s + 1, and too short where more steps lie between.",
            "The numbers alpha[t] and beta[t] belong to one step: ask what all the steps from s to t do.",
        ),
        Mistake(
            "noise counted twice",
            noise_twice,
            "You shrink x_s rightly, and then add all the noise that x_t should have.",
            "The state x_s brings noise along: the noise that you add must only make up the difference.",
        ),
        Mistake(
            "data not shrunk",
            not_scaled,
            "Your x_s is not shrunk; that is right only on a variance-exploding schedule.",
            "Compare the signal at t with the signal at s.",
        ),
        Mistake(
            "old noise not shrunk",
            not_shrunk_before,
            "You subtract all the noise that x_s had at time s, although it has been shrunk on the way.",
            "Whatever multiplies x_s multiplies its noise too.",
        ),
    ),
)
