"""The exercise `clipped_eps` of notebook 05."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time
from .x0_from_v import both

NOTEBOOK = "05_views"


EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


def clipped_eps(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The noise guess that fits x_t after x̂_0 has been clipped to [−limit, limit].

    x_t and eps (the guess ε̂ of a network) have one shape, `[B, *D]`; t is one time, from 1 to T; limit is
    a number above 0. schedule.signal and schedule.sigma are the two tables. Get x̂_0 from ε̂, clip it,
    and return the ε̂ with which x_t = signal · x̂_0 + sigma · ε̂ holds for the clipped x̂_0, in the shape
    of x_t.
    """
    x0 = (x_t - schedule.sigma[t] * eps) / schedule.signal[t]
    return (x_t - schedule.signal[t] * x0.clamp(-limit, limit)) / schedule.sigma[t]


def clippings(generator: torch.Generator) -> Iterator[Case]:
    """x_0 inside and outside the limits, of several shapes and in two dtypes; t at both ends and between."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 6)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 6 == 4 else torch.float64
        t = int(torch.randint(schedule.T // 5, schedule.T // 2, (), generator=generator))
        t = [t, 1, schedule.T, t, t][n % 5]
        x0, eps = (1.2 * torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        x_t = schedule.signal[t] * x0 + schedule.sigma[t] * eps
        limit = [1.0, 0.8, 1.5][n // 4]
        yield x_t, eps, t, schedule, limit


def eps_for(x0: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return (x_t - schedule.signal[t] * x0) / schedule.sigma[t]


def guess(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return (x_t - schedule.sigma[t] * eps) / schedule.signal[t]


def one_sided(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The mistake: clipped on one side only."""
    return eps_for(guess(x_t, eps, t, schedule).clamp(max=limit), x_t, t, schedule)


def from_zero(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The mistake: clipped to [0, limit]."""
    return eps_for(guess(x_t, eps, t, schedule).clamp(0, limit), x_t, t, schedule)


def to_one(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The mistake: limit not used."""
    return eps_for(guess(x_t, eps, t, schedule).clamp(-1, 1), x_t, t, schedule)


def with_variances(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The mistake: variance for standard deviation."""
    signal, sigma = both(t, schedule)
    x0 = ((x_t - sigma**2 * eps) / signal).clamp(-limit, limit)
    return (x_t - signal * x0) / sigma**2


def with_undivided(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The mistake: not divided by signal."""
    x0 = (x_t - schedule.sigma[t] * eps).clamp(-limit, limit)
    return eps_for(x0, x_t, t, schedule)


def unsignalled(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The mistake: not multiplied by signal."""
    x0 = guess(x_t, eps, t, schedule).clamp(-limit, limit)
    return (x_t - x0) / schedule.sigma[t]


EXERCISE = Exercise(
    solution=clipped_eps,
    cases=clippings,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "clipping without deriving eps again",
            lambda x_t, eps, t, schedule, limit: eps,
            "You return the ε̂ that you were given, which does not fit the clipped x̂_0.",
            "Put the clipped x̂_0 and your ε̂ into x_t, and see whether x_t comes back.",
        ),
        Mistake(
            "eps clipped, not x̂_0",
            lambda x_t, eps, t, schedule, limit: eps.clamp(-limit, limit),
            "No value of your ε̂ is beyond the limit.",
            "The limit belongs to the data: ask what has to be clipped.",
        ),
        Mistake(
            "x̂_0 returned, not eps",
            lambda x_t, eps, t, schedule, limit: guess(x_t, eps, t, schedule).clamp(-limit, limit),
            "What you return is the clipped x̂_0.",
            "One more step is asked for: the noise that fits it.",
        ),
        Mistake(
            "clipped on one side only",
            one_sided,
            "It is right where x̂_0 is too large, and wrong where it is below −limit.",
            "Look at the lower end of your clip.",
        ),
        Mistake(
            "clipped to [0, limit]",
            from_zero,
            "It is right where x̂_0 is positive only.",
            "Data runs from −limit to limit: look at the lower end of your clip.",
        ),
        Mistake(
            "limit not used",
            to_one,
            "It is right where limit is 1, and wrong elsewhere.",
            "Look at the ends of your clip.",
        ),
        Mistake(
            "variance for standard deviation",
            with_variances,
            "Even where nothing is clipped you do not get ε̂ back.",
            "Look at the power of sigma in both directions.",
        ),
        Mistake(
            "not divided by signal",
            with_undivided,
            "You clip signal · x̂_0, not x̂_0.",
            "After the noise is gone, signal · x_0 is left: ask what is missing before you clip.",
        ),
        Mistake(
            "not multiplied by signal",
            unsignalled,
            "Even where nothing is clipped you do not get ε̂ back.",
            "Ask how much of x̂_0 is in x_t, when you go back to the noise.",
        ),
        Mistake("off by one in t", at_other_time(clipped_eps, -1), *EARLY),
    ),
)
