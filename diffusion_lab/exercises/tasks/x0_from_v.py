"""The exercise `x0_from_v` of notebook 05."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, flow, linear, ve
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "05_views"


EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


SWAPPED = "Ask which of the two tables starts at 1, and which factor stands before what in x_t."


def x0_from_v(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The guess x̂_0 that belongs to a guess at v = signal · ε − sigma · x_0, on any schedule.

    v and x_t have one shape, `[B, *D]`; t is one time, from 0 to T. schedule.signal and schedule.sigma are
    the two tables. The schedule need not be variance-preserving: signal² + sigma² may be any number above
    0, and signal may be 0. Return x̂_0, in the shape of x_t.
    """
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return (signal * x_t - sigma * v) / (signal**2 + sigma**2)


def any_schedules(generator: torch.Generator) -> Iterator[Case]:
    """Three kinds of schedules, several shapes, two dtypes, times at both ends and between."""
    makers = [linear(), flow(40), ve(50, 0.05, 8.0)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(13):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        v, x_t = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(schedule.T // 4, schedule.T - 2, (), generator=generator))
        yield v, x_t, [t, 1, schedule.T, t, t, 0][n % 6], schedule


def both(t: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    return schedule.signal[t], schedule.sigma[t]


def of_unit_total(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: right on variance-preserving schedules only."""
    signal, sigma = both(t, schedule)
    return signal * x_t - sigma * v


def over_root(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: standard deviation for variance."""
    signal, sigma = both(t, schedule)
    return (signal * x_t - sigma * v) / (signal**2 + sigma**2).sqrt()


def eps_of_v(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise for data."""
    signal, sigma = both(t, schedule)
    return (sigma * x_t + signal * v) / (signal**2 + sigma**2)


def with_plus(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: plus for minus."""
    signal, sigma = both(t, schedule)
    return (signal * x_t + sigma * v) / (signal**2 + sigma**2)


def swapped_v(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: signal and sigma swapped."""
    signal, sigma = both(t, schedule)
    return (sigma * x_t - signal * v) / (signal**2 + sigma**2)


def of_straight_path(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: velocity of the straight path."""
    signal, sigma = both(t, schedule)
    return (x_t - sigma * v) / (signal + sigma)


def v_as_eps(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: v taken for eps."""
    signal, sigma = both(t, schedule)
    return (x_t - sigma * v) / signal


EXERCISE = Exercise(
    solution=x0_from_v,
    cases=any_schedules,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "right on variance-preserving schedules only",
            of_unit_total,
            "It is right where signal² + sigma² is 1, and wrong on all other schedules.",
            "Put x_t and v into your formula and sort by x_0: ask which factor is left.",
        ),
        Mistake(
            "standard deviation for variance",
            over_root,
            "It is right where signal² + sigma² is 1, and off by the square root of that elsewhere.",
            "Put x_t and v into your formula and sort by x_0: ask which factor is left.",
        ),
        Mistake(
            "noise for data",
            eps_of_v,
            "What you return is ε̂, the guess at the noise.",
            "Two equations, for x_t and for v, have two unknowns: ask which of them you have solved for.",
        ),
        Mistake(
            "plus for minus",
            with_plus,
            "The noise does not cancel in your result.",
            "Put x_t and v into your formula and sort by ε: the two terms must cancel.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped_v,
            "At t = 0, where x_t is x_0, you do not return x_t.",
            SWAPPED,
        ),
        Mistake(
            "velocity of the straight path",
            of_straight_path,
            "It is right if v is ε − x_0, which is another velocity.",
            "Start from v = signal · ε − sigma · x_0.",
        ),
        Mistake(
            "v taken for eps",
            v_as_eps,
            "It is right if what is given is ε̂, and infinite where signal is 0.",
            "Start from v = signal · ε − sigma · x_0.",
        ),
        Mistake("off by one in t", at_other_time(x0_from_v, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the tables at t = 0
            lambda v, x_t, t, schedule: x0_from_v(v, x_t, t - 1, schedule),
            *EARLY,
        ),
    ),
)
