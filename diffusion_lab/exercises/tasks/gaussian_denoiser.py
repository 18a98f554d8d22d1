"""The exercise `gaussian_denoiser` of notebook 04."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "04_best_denoiser"


EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


def gaussian_denoiser(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The best guess E[x_0|x_t], if the data is one Gaussian: x_0 ~ N(mean, std² I).

    x_t has the shape `[B, *D]`, and mean the shape `[*D]` of one example; std is a number, the standard
    deviation of the data; t is one time, from 0 to T. schedule.signal and schedule.sigma are the two
    tables. Return the guess, in the shape of x_t.
    """
    gain = schedule.signal[t] * std**2 / (schedule.signal[t] ** 2 * std**2 + schedule.sigma[t] ** 2)
    return mean + gain * (x_t - schedule.signal[t] * mean)


def gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Data narrow and wide, of several shapes, in two dtypes; times at both ends and between."""
    makers, shapes = [linear(), cosine(50), quadratic(100)], [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t = torch.randn(shape, generator=generator, dtype=dtype)
        mean = 1 + torch.rand(shape[1:], generator=generator, dtype=dtype)
        std = 0.2 + 1.5 * torch.rand((), generator=generator).item()
        t = int(torch.randint(schedule.T // 5, schedule.T // 2, (), generator=generator))
        yield x_t, [t, 1, schedule.T, t, 0][n % 5], schedule, mean, std


def gain_of_stds(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: standard deviation for variance."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std / (signal * std + sigma) * (x_t - signal * mean)


def gain_of_std(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: standard deviation for variance."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std / (signal**2 * std + sigma**2) * (x_t - signal * mean)


def gain_of_sigma(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: standard deviation for variance."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std**2 / (signal**2 * std**2 + sigma) * (x_t - signal * mean)


def mean_at_full_size(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: mean of x_0 for mean of x_t."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std**2 / (signal**2 * std**2 + sigma**2) * (x_t - mean)


def share_as_gain(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: signal forgotten in the gain."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + (signal * std) ** 2 / ((signal * std) ** 2 + sigma**2) * (x_t - signal * mean)


def gain_without_signal(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: signal forgotten in the gain."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + std**2 / ((signal * std) ** 2 + sigma**2) * (x_t - signal * mean)


def data_at_full_size(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: signal forgotten in the gain."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std**2 / (std**2 + sigma**2) * (x_t - signal * mean)


def swapped_gain(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: signal and sigma swapped."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + sigma * std**2 / (sigma**2 * std**2 + signal**2) * (x_t - sigma * mean)


def mean_left_out(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The mistake: mean left out."""
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return signal * std**2 / (signal**2 * std**2 + sigma**2) * (x_t - signal * mean)


GAIN_OF_STD = (
    "Your guess moves away from the mean by a wrong share of what was seen.",
    "Bayes weighs by precisions: ask of each std and sigma in your line whether it has to be squared.",
)


GAIN_WITHOUT_SIGNAL = (
    "Your guess moves away from the mean by a wrong share, and the more so the larger t is.",
    "Work out how x_0 and x_t vary together, and how much x_t varies: count the factors of signal.",
)


EXERCISE = Exercise(
    solution=gaussian_denoiser,
    cases=gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("standard deviation for variance", gain_of_stds, *GAIN_OF_STD),
        Mistake("standard deviation for variance", gain_of_std, *GAIN_OF_STD),
        Mistake("standard deviation for variance", gain_of_sigma, *GAIN_OF_STD),
        Mistake(
            "mean of x_0 for mean of x_t",
            mean_at_full_size,
            "Your guess is drawn too far from the mean, as if x_t should lie around the mean of the data.",
            "Ask where x_t lies on average, at this t, and compare x_t with that place.",
        ),
        Mistake("signal forgotten in the gain", gain_without_signal, *GAIN_WITHOUT_SIGNAL),
        Mistake("signal forgotten in the gain", data_at_full_size, *GAIN_WITHOUT_SIGNAL),
        Mistake("signal forgotten in the gain", share_as_gain, *GAIN_WITHOUT_SIGNAL),
        Mistake(
            "mean left out",
            mean_left_out,
            "Where x_t says nothing, your guess is 0 and not the mean of the data.",
            "Ask what the best guess is at t = T, and what has to be added for that.",
        ),
        Mistake(
            "x_t rescaled, the data forgotten",
            lambda x_t, t, schedule, mean, std: x_t / schedule.signal[t],
            "Your guess depends on x_t alone, and is far too large where there is much noise.",
            "Ask what you know of x_0 before you see x_t: mean and std have to come in.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped_gain,
            "At t = 0, where x_t is x_0, you do not return x_t.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake("off by one in t", at_other_time(gaussian_denoiser, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the tables at t = 0
            lambda x_t, t, schedule, mean, std: gaussian_denoiser(x_t, t - 1, schedule, mean, std),
            *EARLY,
        ),
    ),
)
