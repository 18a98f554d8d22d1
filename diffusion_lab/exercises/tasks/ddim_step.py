"""Notebook 08, `ddim_step`: one step of DDIM, from the time t to an earlier time s. Nothing is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Exercise, Mistake

NOTEBOOK = "08_sampling"


EARLY = (
    "Your step is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


def ddim_step(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """One step of DDIM, from the time t to an earlier time s. Nothing is drawn.

    x_t and eps (the network's guess ε̂ at x_t) have one shape, `[B, *D]`; s < t are times from 0 to T, not
    always neighbours. schedule.signal and schedule.sigma are the two tables. Return x_s, in the shape of
    x_t.
    """
    x0 = (x_t - schedule.sigma[t] * eps) / schedule.signal[t]
    return schedule.signal[s] * x0 + schedule.sigma[s] * eps


def jumps(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, int, int, NoiseSchedule]]:
    """Long steps and steps of one, from T and to 0 among them; several shapes, two dtypes, three
    schedules.
    """
    makers, shapes = [linear(), cosine(50), quadratic(100)], [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(14):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t, eps = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        T = schedule.T
        t = int(torch.randint(T // 3, 2 * T // 3, (), generator=generator))
        s = int(torch.randint(2, T // 4, (), generator=generator))
        t, s = [(t, s), (t, t - 1), (T, s), (t, 0), (2, 1), (1, 0), (t, s)][n % 7]
        yield x_t, eps, t, s, schedule


def two_times(t: int, s: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return schedule.signal[t], schedule.sigma[t], schedule.signal[s], schedule.sigma[s]


def state_for_guess(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: x_t for x̂_0."""
    _, _, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * x_t + sigma_s * eps


def noise_kept(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise of time t in x_s."""
    signal, sigma, signal_s, _ = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal + sigma * eps


def signal_kept(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: signal of time t in x_s."""
    _, sigma, _, sigma_s = two_times(t, s, schedule)
    return x_t - sigma * eps + sigma_s * eps


def undivided(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: not divided by signal."""
    _, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) + sigma_s * eps


def swapped(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: signal and sigma swapped."""
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return sigma_s * (x_t - sigma * eps) / signal + signal_s * eps


def squared_at_s(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: variance for standard deviation."""
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal + sigma_s**2 * eps


def squared_twice(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: variance for standard deviation."""
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma**2 * eps) / signal + sigma_s**2 * eps


def unrooted(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: alpha_bar for its square root."""
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s**2 * (x_t - sigma * eps) / signal**2 + sigma_s * eps


def backwards(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: t and s swapped."""
    return ddim_step(x_t, eps, s, t, schedule)


def neighbour(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: a step of one, whatever s is."""
    return ddim_step(x_t, eps, t, t - 1, schedule)


def guess_only(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise left out."""
    signal, sigma, signal_s, _ = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal


def minus_noise(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: minus for plus."""
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal - sigma_s * eps


SQUARED = (
    "The noise in your x_s has the wrong size.",
    "Ask which power of sigma stands before ε in the closed form, at t and at s.",
)


EXERCISE = Exercise(
    solution=ddim_step,
    cases=jumps,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "x_t for x̂_0",
            state_for_guess,
            "At s = 0 you return x_t, noise and all.",
            "Two things go into x_s, a clean guess and a noise: ask whether yours is clean.",
        ),
        Mistake(
            "noise of time t in x_s",
            noise_kept,
            "Your x_s is as noisy as x_t was.",
            "Ask which entry of sigma says how much noise there is at s.",
        ),
        Mistake(
            "signal of time t in x_s",
            signal_kept,
            "Your x_s has less noise than x_t, and no more data.",
            "Ask how large the data is in x_s: two entries of signal come in.",
        ),
        Mistake(
            "not divided by signal",
            undivided,
            "At s = 0 what you return is signal_t · x̂_0.",
            "After the noise is gone, signal · x_0 is left: ask what is missing.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped,
            "At s = 0 what you return is the noise.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake("variance for standard deviation", squared_at_s, *SQUARED),
        Mistake("variance for standard deviation", squared_twice, *SQUARED),
        Mistake(
            "alpha_bar for its square root",
            unrooted,
            "Your data has the wrong size wherever signal is below 1.",
            "Look at the factor of x_0 in the closed form, and at what schedule.alpha_bar is.",
        ),
        Mistake(
            "t and s swapped",
            backwards,
            "Your step leads to more noise, not to less.",
            "Ask at which of the two times x_t is given.",
        ),
        Mistake(
            "a step of one, whatever s is",
            neighbour,
            "It is right where s is t − 1 only.",
            "The step leads to s: look for t − 1 in your code.",
        ),
        Mistake(
            "noise left out",
            guess_only,
            "Your x_s holds no noise at all.",
            "A state at s has noise of size sigma_s in it: ask where it should come from.",
        ),
        Mistake(
            "minus for plus",
            minus_noise,
            "The noise in your x_s has the wrong sign.",
            "Once the noise is put back in, it is added as in the closed form.",
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule: ddim_step(x_t, eps, t - 1, s, schedule),
            *EARLY,
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule: ddim_step(x_t, eps, t - 1, s - 1, schedule),
            *EARLY,
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule: ddim_step(x_t, eps, t - 1, max(s - 1, 0), schedule),
            *EARLY,
        ),
    ),
)
