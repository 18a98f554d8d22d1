"""Exercises of notebook 05: from one view of a prediction to another, and clipping."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, flow, linear, quadratic, ve
from .exercise import Case, Exercise, Mistake, at_other_time

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


# --- x_0 from ε -------------------------------------------------------------------------------------------


def x0_from_eps(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The guess x̂_0 that belongs to a guess at the noise.

    x_t and eps (the guess ε̂) have one shape, [B, *D]; t has the shape [B]: example n has the time t[n],
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
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma**2 * eps) / signal


def over_alpha_bar(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma * eps) / signal**2


def both_unrooted(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma**2 * eps) / signal**2


def undivided(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    _, sigma = rows(x_t, t, schedule)
    return x_t - sigma * eps


def multiplied(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - sigma * eps) * signal


def early_bracket(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return x_t - sigma * eps / signal


def late_bracket(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return x_t / signal - sigma * eps


def noise_added(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return (x_t + sigma * eps) / signal


def swapped_rows(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = rows(x_t, t, schedule)
    return (x_t - signal * eps) / sigma


def last_axis(x_t: Tensor, eps: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return (x_t - schedule.sigma[t].to(x_t) * eps) / schedule.signal[t].to(x_t)


X0_FROM_EPS = Exercise(
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


# --- v ----------------------------------------------------------------------------------------------------


def v_from_x0_and_eps(x0: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The view v = signal · ε − sigma · x_0.

    x0 and eps have one shape, [B, *D]; t is one time, from 0 to T. schedule.signal and schedule.sigma are the
    two tables. Return v, in the shape of x0.
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


V = Exercise(
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


def x0_from_v(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The guess x̂_0 that belongs to a guess at v = signal · ε − sigma · x_0, on any schedule.

    v and x_t have one shape, [B, *D]; t is one time, from 0 to T. schedule.signal and schedule.sigma are
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
    signal, sigma = both(t, schedule)
    return signal * x_t - sigma * v


def over_root(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = both(t, schedule)
    return (signal * x_t - sigma * v) / (signal**2 + sigma**2).sqrt()


def eps_of_v(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = both(t, schedule)
    return (sigma * x_t + signal * v) / (signal**2 + sigma**2)


def with_plus(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = both(t, schedule)
    return (signal * x_t + sigma * v) / (signal**2 + sigma**2)


def swapped_v(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = both(t, schedule)
    return (sigma * x_t - signal * v) / (signal**2 + sigma**2)


def of_straight_path(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = both(t, schedule)
    return (x_t - sigma * v) / (signal + sigma)


def v_as_eps(v: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma = both(t, schedule)
    return (x_t - sigma * v) / signal


X0_FROM_V = Exercise(
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


# --- clipping ---------------------------------------------------------------------------------------------


def clipped_eps(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    """The noise guess that fits x_t after x̂_0 has been clipped to [−limit, limit].

    x_t and eps (the guess ε̂ of a network) have one shape, [B, *D]; t is one time, from 1 to T; limit is
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
    return eps_for(guess(x_t, eps, t, schedule).clamp(max=limit), x_t, t, schedule)


def from_zero(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    return eps_for(guess(x_t, eps, t, schedule).clamp(0, limit), x_t, t, schedule)


def to_one(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:  # noqa: ARG001
    return eps_for(guess(x_t, eps, t, schedule).clamp(-1, 1), x_t, t, schedule)


def with_variances(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    signal, sigma = both(t, schedule)
    x0 = ((x_t - sigma**2 * eps) / signal).clamp(-limit, limit)
    return (x_t - signal * x0) / sigma**2


def with_undivided(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    x0 = (x_t - schedule.sigma[t] * eps).clamp(-limit, limit)
    return eps_for(x0, x_t, t, schedule)


def unsignalled(x_t: Tensor, eps: Tensor, t: int, schedule: NoiseSchedule, limit: float) -> Tensor:
    x0 = guess(x_t, eps, t, schedule).clamp(-limit, limit)
    return (x_t - x0) / schedule.sigma[t]


CLIPPED = Exercise(
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

EXERCISES = (X0_FROM_EPS, V, X0_FROM_V, CLIPPED)
