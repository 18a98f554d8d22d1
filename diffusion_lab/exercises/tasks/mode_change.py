"""Notebook 20, `mode_change`: the chance that an edit ends in the other mode, seen from x_t."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, ve
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "20_editing"


def mode_change(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The chance that the mode changes, given x_t.

    x_0 comes from one of two modes, N(−1, std²) or N(1, std²), equally likely. x_t [N] are values of x_t
    at one time t. A perfect sampler starts at x_t and draws a new x_0. The old mode and the new one are
    two independent draws from the same p(mode|x_t). schedule.signal and schedule.sigma are the two
    tables; std is the width of a mode. Return, for each x_t, the probability that the two differ: [N].
    """
    var = schedule.signal[t] ** 2 * std**2 + schedule.sigma[t] ** 2
    log_odds = 2 * schedule.signal[t] * x_t / var
    return 2 * torch.sigmoid(log_odds) * torch.sigmoid(-log_odds)


def seen(generator: torch.Generator) -> Iterator[Case]:
    """States at early and late times, modes of several widths, three schedules, one of them with signal 1."""
    makers = [linear(100, 0.001, 0.2), cosine(50), ve(60, 0.1, 5.0)]
    for n in range(14):
        schedule, N = makers[n % 3], [7, 1, 12, 3][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        t = int(torch.randint(schedule.T // 4, schedule.T, (), generator=generator))
        t = [t, t, schedule.T, t, t, schedule.T // 4, t][n % 7]
        std = 0.1 + 0.5 * torch.rand((), generator=generator).item()
        signal, var = schedule.signal[t].item(), (schedule.signal[t] * std) ** 2 + schedule.sigma[t] ** 2
        in_doubt = min(var.item() / signal, 1.0)  # further out the mode is certain, and all is rounding
        x_t = in_doubt * torch.randn(N, generator=generator, dtype=dtype)
        yield x_t, t, schedule, std


def chance(x_t: Tensor, signal: Tensor | float, var: Tensor) -> Tensor:
    """p(mode 1|x_t)."""
    return torch.sigmoid(2 * signal * x_t / var)


def differ(x_t: Tensor, signal: Tensor | float, var: Tensor) -> Tensor:
    """2 p (1 − p), to full precision where p is near 1."""
    return 2 * chance(x_t, signal, var) * chance(-x_t, signal, var)


def of_first(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: probability of one mode."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return chance(x_t, signal, signal**2 * std**2 + sigma**2)


def without_width(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: width left out of the density."""
    return differ(x_t, schedule.signal[t], schedule.sigma[t] ** 2)


def width_kept(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: data not shrunk."""
    return differ(x_t, schedule.signal[t], std**2 + schedule.sigma[t] ** 2)


def rooted(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: standard deviation for variance."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return differ(x_t, signal, (signal**2 * std**2 + sigma**2).sqrt())


def modes_kept(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: means not shrunk."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return differ(x_t, 1.0, signal**2 * std**2 + sigma**2)


def half_exponent(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: missing factor 2."""
    return mode_change(x_t / 2, t, schedule, std)


def one_way(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: one way only."""
    p = of_first(x_t, t, schedule, std)
    return p * (1 - p)


def best_guess(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: most probable mode for a draw."""
    p = of_first(x_t, t, schedule, std)
    return torch.minimum(p, 1 - p)


def no_change(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: chance of the opposite."""
    return 1 - mode_change(x_t, t, schedule, std)


def earlier(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: off by one in t."""
    return mode_change(x_t, t - 1, schedule, std)


def swapped(x_t: Tensor, t: int, schedule: NoiseSchedule, std: float) -> Tensor:
    """The mistake: signal and sigma swapped."""
    signal, sigma = schedule.sigma[t], schedule.signal[t]
    return differ(x_t, signal, signal**2 * std**2 + sigma**2)


EXERCISE = Exercise(
    solution=mode_change,
    cases=seen,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "most probable mode for a draw",
            best_guess,
            "Your answer is right at x_t = 0, and too small where one mode is likelier than the other.",
            "A perfect sampler draws a mode from p(mode|x_t). It does not always take the likelier one.",
        ),
        Mistake(
            "one way only",
            one_way,
            "At x_t = 0, where nothing is known, you return ¼.",
            "There are two ways in which two draws can differ.",
        ),
        Mistake(
            "chance of the opposite",
            no_change,
            "At x_t far from 0, where the mode is certain, you return 1.",
            "Ask whether you count the cases in which the mode changes, or those in which it stays.",
        ),
        Mistake(
            "probability of one mode",
            of_first,
            "Your answer has different values at x_t and −x_t.",
            "You have p(mode|x_t). Ask how two draws from it come to differ.",
        ),
        Mistake(
            "width left out of the density",
            without_width,
            "Your x_t is too sure of its mode: as if each mode were a point.",
            "The spread of x_t around a mode has two sources.",
        ),
        Mistake(
            "data not shrunk",
            width_kept,
            "The width of your modes in x_t is that in x_0.",
            "Ask what becomes of a deviation in x_0 when x_0 is multiplied by signal.",
        ),
        Mistake(
            "means not shrunk",
            modes_kept,
            "Your modes stay at ±1 at all times.",
            "Ask where the middle of a mode is in x_t.",
        ),
        Mistake(
            "standard deviation for variance",
            rooted,
            "The exponent of your density is divided by a standard deviation.",
            "Look at what stands in the exponent of a Gaussian.",
        ),
        Mistake(
            "missing factor 2",
            half_exponent,
            "Your log ratio of the two modes is half as large as it should be.",
            "Expand both squares, (x − m)² and (x + m)², and count what is left.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped,
            "Early on, where x_t still shows its mode, yours is in doubt.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake(
            "off by one in t",
            earlier,
            "Your answer is the one that belongs to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)
