"""Notebook 05, `x0_from_eps`: the guess x̂_0 that belongs to a guess at the noise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "05_views"


EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


SWAPPED = "Ask which of the two tables starts at 1, and which factor stands before what in x_t."


AXES = (
    "Each column of the data got a time, where each example has one.",
    "A factor of shape [B] meets the last axis of the data: ask what shape it needs to meet the first.",
)


def aligned(values: Tensor, x: Tensor) -> Tensor:
    """values [B], shaped to multiply x `[B, *D]`."""
    return values.reshape(-1, *[1] * (x.ndim - 1)).to(x)


def x0_from_eps(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The guess x̂_0 that belongs to a guess at the noise.

    x_t and eps (the guess ε̂) have one shape, `[B, *D]`; t has the shape [B]: example n has the time t[n],
    from 0 to T. schedule.signal and schedule.sigma are the two tables, with signal above 0. Return x̂_0,
    in the shape of x_t.
    """
    signal = schedule.signal[t].reshape(-1, *[1] * (x_t.ndim - 1)).to(x_t)
    sigma = schedule.sigma[t].reshape(-1, *[1] * (x_t.ndim - 1)).to(x_t)
    return (x_t - sigma * eps) / signal


def batches(generator: torch.Generator) -> Iterator[Case]:
    """Several shapes, B = D among them, two dtypes, three schedules, a time for each; both ends and
    between.
    """
    makers = [linear(), quadratic(100, beta_T=0.1), linear(50, beta_T=0.2)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (4, 1, 4, 4), (3, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t, eps = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = torch.randint(1, schedule.T // 2, shape[:1], generator=generator)
        if n % 4 == 1:
            t[0], t[-1] = 0, schedule.T
        yield x_t, eps, t, schedule


def rows(x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    return aligned(schedule.signal[t], x_t), aligned(schedule.sigma[t], x_t)


def with_variance(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: variance for standard deviation."""
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma**2 * eps) / signal


def over_alpha_bar(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: alpha_bar for its square root."""
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma * eps) / signal**2


def both_unrooted(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: missing square root."""
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma**2 * eps) / signal**2


def undivided(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: not divided by signal."""
    _, sigma = rows(x_t, t, schedule)
    return x_t - sigma * eps


def multiplied(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: multiplied by signal, not divided."""
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma * eps) * signal


def early_bracket(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: brackets forgotten."""
    signal, sigma = rows(x_t, t, schedule)
    return x_t - sigma * eps / signal


def late_bracket(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: brackets forgotten."""
    signal, sigma = rows(x_t, t, schedule)
    return x_t / signal - sigma * eps


def noise_added(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise added, not taken away."""
    signal, sigma = rows(x_t, t, schedule)
    return (x_t + sigma * eps) / signal


def swapped_rows(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: signal and sigma swapped."""
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - signal * eps) / sigma


def last_axis(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: t along the last axis."""
    return (x_t - schedule.sigma[t].to(x_t) * eps) / schedule.signal[t].to(x_t)


EXERCISE = Exercise(
    solution=x0_from_eps,
    cases=batches,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("t along the last axis", last_axis, *AXES),
        Mistake(
            "variance for standard deviation",
            with_variance,
            "You take away too little noise wherever sigma is below 1.",
            "Ask how much noise is in x_t, and for which power of sigma.",
        ),
        Mistake(
            "alpha_bar for its square root",
            over_alpha_bar,
            "Your x̂_0 is too large by the factor 1/signal.",
            "Look at the factor of x_0 in x_t, and at what you divide by.",
        ),
        Mistake(
            "missing square root",
            both_unrooted,
            "Both factors of x_t are squared in your line.",
            "Put x_0 and ε of your own into x_t, and see whether they come back.",
        ),
        Mistake(
            "not divided by signal",
            undivided,
            "What you return shrinks as t grows.",
            "After the noise is gone, signal · x_0 is left: ask what is missing.",
        ),
        Mistake(
            "multiplied by signal, not divided",
            multiplied,
            "What you return shrinks as t grows, twice.",
            "After the noise is gone, signal · x_0 is left: ask how to get x_0 from that.",
        ),
        Mistake(
            "brackets forgotten",
            early_bracket,
            "Only one of the two terms is divided by signal.",
            "Division comes before subtraction: look for a pair of brackets.",
        ),
        Mistake(
            "brackets forgotten",
            late_bracket,
            "Only one of the two terms is divided by signal.",
            "Division comes before subtraction: look for a pair of brackets.",
        ),
        Mistake(
            "noise added, not taken away",
            noise_added,
            "Your x̂_0 has twice the noise in it.",
            "Solve x_t = signal · x_0 + sigma · ε for x_0, and look at the sign.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped_rows,
            "At t = 0, where x_t is x_0, you do not return x_t.",
            SWAPPED,
        ),
        Mistake("off by one in t", at_other_time(x0_from_eps, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the tables at t = 0
            lambda x_t, eps, t, schedule: x0_from_eps(x_t, eps, t - 1, schedule),
            *EARLY,
        ),
    ),
)
