"""Exercises of notebook 02: ᾱ from β, log SNR, and the bits that the end of a schedule gives away."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from .exercise import Case, Exercise, Mistake, scaled

NOTEBOOK = "02_schedules"


# ---------------------------------------------------------------------------------------------- alpha_bar
def alpha_bar(beta: Tensor) -> Tensor:
    """The table of ᾱ, from the β of a variance-preserving schedule.

    beta holds β_1 … β_T, [T], each between 0 and 1; there is no β_0 in it. Return ᾱ_0 … ᾱ_T, [T + 1], where
    ᾱ_0 = 1 and ᾱ_t is the share of the data's variance that is left after t steps.
    """
    left = (1 - beta).cumprod(0)
    return torch.cat([torch.ones_like(left[:1]), left])


def tables_of_beta(generator: torch.Generator) -> Iterator[Case]:
    """Random β, two known schedules, one step alone; two dtypes."""
    yield (linear().beta[1:],)
    yield (cosine(30).beta[1:],)
    for n, T in enumerate((6, 3, 12, 1, 2, 40, 5, 9)):
        dtype = torch.float32 if n % 3 == 2 else torch.float64
        yield ((0.02 + 0.6 * torch.rand(T, generator=generator, dtype=torch.float64)).to(dtype),)


ALPHA_BAR = Exercise(
    solution=alpha_bar,
    cases=tables_of_beta,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "beta for alpha_bar",
            lambda beta: torch.cat([torch.ones_like(beta[:1]), beta.cumprod(0)]),
            "Your table falls almost to 0 in a few steps.",
            "A β is what a step takes away: ask which shares have to be multiplied.",
        ),
        Mistake(
            "alpha for alpha_bar",
            lambda beta: torch.cat([torch.ones_like(beta[:1]), 1 - beta]),
            "Each of your entries is what one step keeps, and not what all steps so far have kept.",
            "Ask what two steps leave, if each of them keeps a half.",
        ),
        Mistake(
            "sum for product",
            lambda beta: torch.cat([torch.ones_like(beta[:1]), 1 - beta.cumsum(0)]),
            "Your table falls along the sum of the β, in the end below 0.",
            "Each step takes its share of what is left by then, and not of what there was at first.",
        ),
        Mistake(
            "no entry for t = 0",
            lambda beta: (1 - beta).cumprod(0),
            "Your table has T entries, and its first one belongs to t = 1.",
            "In this course entry t belongs to time t: ask what is left before the first step.",
        ),
        Mistake(
            "off by one in t",
            lambda beta: torch.cat([(1 - beta).cumprod(0), (1 - beta).prod()[None]]),
            "Your table is a step ahead: its entry 0 has taken the first step already.",
            "Ask what is left at t = 0.",
        ),
        Mistake(
            "square root of alpha_bar",
            lambda beta: alpha_bar(beta).sqrt(),
            "You return what is left of the amplitude, the table called signal.",
            "The question is the share of the variance.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda beta: 1 - alpha_bar(beta),
            "Your table rises from 0: it is the share of noise.",
            "The question is what is left of the data.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- log_snr
def log_snr(signal: Tensor, sigma: Tensor) -> Tensor:
    """The logarithm of the signal-to-noise ratio, in nats.

    signal and sigma are the two tables of a schedule, or parts of them, of one shape [N]; sigma is above 0
    everywhere, and so is signal. The ratio is that of the two variances. Return [N].
    """
    return 2 * (signal / sigma).log()


def parts_of_tables(generator: torch.Generator) -> Iterator[Case]:
    """Tables of four schedules, and single entries; two dtypes."""
    makers = [linear(100), cosine(50), quadratic(30), sigmoid(20)]
    for n in range(12):
        schedule = makers[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        t = torch.randint(1, schedule.T + 1, (1 + 3 * (n % 3),), generator=generator)
        t = t if n > 3 else torch.arange(1, schedule.T + 1)
        yield schedule.signal[t].to(dtype), schedule.sigma[t].to(dtype)


LOG_SNR = Exercise(
    solution=log_snr,
    cases=parts_of_tables,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square",
            lambda signal, sigma: signal.log() - sigma.log(),
            "Your values are half of the right ones: the logarithm of a ratio of amplitudes.",
            "The ratio is that of the variances; λ in Lu's papers is half of it, as yours.",
        ),
        Mistake(
            "missing logarithm",
            lambda signal, sigma: (signal / sigma) ** 2,
            "You return the ratio itself.",
            "Ask for its logarithm: it must be 0 where signal and noise are equally strong.",
        ),
        Mistake(
            "bits for nats",
            lambda signal, sigma: 2 * (signal / sigma).log2(),
            "Your values are 1.44 times too large.",
            "Nats belong to the natural logarithm.",
        ),
        Mistake(
            "decibels for nats",
            lambda signal, sigma: 20 * (signal / sigma).log10(),
            "Your values are 4.34 times too large: they are decibels.",
            "Nats belong to the natural logarithm, without a factor of ten.",
        ),
        Mistake(
            "share for ratio",
            lambda signal, sigma: (signal**2 / (signal**2 + sigma**2)).log(),
            "Your values are never above 0, even where there is hardly any noise.",
            "Look at the denominator: signal against noise, and not against everything.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda signal, sigma: (signal**2 / sigma).log(),
            "Your ratio compares a variance with an amplitude.",
            "Look at which of the two tables you have squared.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda signal, sigma: 4 * (signal.log() - sigma.log()),
            "Your values are twice the right ones.",
            "The tables hold amplitudes: ask how often they have to be squared.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- prior_bits
def prior_bits(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """L_T = KL(q(x_T|x_0) ‖ N(0, I)) of each example, in bits per dimension.

    x0 is a batch [B, *D] of anything; a dimension is one number of an example. schedule is
    variance-preserving, and its last time is schedule.T. In one dimension, KL(N(m, s²) ‖ N(0, 1)) =
    ½ (m² + s² − 1 − log s²) nats. Return [B].
    """
    mean, var = schedule.signal[-1] * x0, schedule.sigma[-1] ** 2
    nats = 0.5 * (mean**2 + var - 1 - var.log())
    return nats.flatten(1).mean(1) / math.log(2)


def data_and_ends(generator: torch.Generator) -> Iterator[Case]:
    """Rows and pictures of several sizes; schedules that end early, and one that ends in noise."""
    makers = [
        linear(20),
        quadratic(50),
        linear(60, beta_T=0.1),
        cosine(40, max_beta=0.6),
        linear(5),
        linear(1000),
    ]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 6], shapes[n % 5]
        dtype = torch.float32 if n in (4, 6) else torch.float64
        yield 1.5 * torch.randn(shape, generator=generator, dtype=dtype), schedule


def backwards(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The KL with its two arguments swapped."""
    mean, var = schedule.signal[-1] * x0, schedule.sigma[-1] ** 2
    nats = 0.5 * ((1 + mean**2) / var - 1 + var.log())
    return nats.flatten(1).mean(1) / math.log(2)


def std_in_place(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """sigma where the formula has a variance."""
    mean, sigma = schedule.signal[-1] * x0, schedule.sigma[-1]
    return (0.5 * (mean**2 + sigma - 1 - sigma.log())).flatten(1).mean(1) / math.log(2)


def std_in_the_log(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """sigma in the logarithm alone."""
    mean, sigma = schedule.signal[-1] * x0, schedule.sigma[-1]
    return (0.5 * (mean**2 + sigma**2 - 1 - sigma.log())).flatten(1).mean(1) / math.log(2)


def one_step_before(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """L at T − 1."""
    mean, var = schedule.signal[-2] * x0, schedule.sigma[-2] ** 2
    return (0.5 * (mean**2 + var - 1 - var.log())).flatten(1).mean(1) / math.log(2)


def power_of_signal(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """ᾱ_T x_0 for the mean."""
    mean, var = schedule.alpha_bar[-1] * x0, schedule.sigma[-1] ** 2
    return (0.5 * (mean**2 + var - 1 - var.log())).flatten(1).mean(1) / math.log(2)


PRIOR_BITS = Exercise(
    solution=prior_bits,
    cases=data_and_ends,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "nats for bits",
            scaled(prior_bits, math.log(2)),
            "Your values are 0.693 times the right ones.",
            "The formula gives nats: ask how many of them a bit is.",
        ),
        Mistake(
            "nats for bits",
            scaled(prior_bits, math.log(2) ** 2),
            "Your values are 0.48 times the right ones: nats were turned into bits in the wrong direction.",
            "A bit is less than a nat, so there are more bits than nats.",
        ),
        Mistake(
            "sum for mean",
            lambda x0, schedule: prior_bits(x0, schedule) * x0[0].numel(),
            "Your values are those of a whole example, not of one of its dimensions.",
            "Count the numbers that one example has.",
        ),
        Mistake(
            "mean over the batch",
            lambda x0, schedule: prior_bits(x0, schedule).mean(),
            "You return one number for the whole batch.",
            "Each example has its own value: look at the axes that you average over.",
        ),
        Mistake(
            "missing factor 1/2",
            scaled(prior_bits, 2),
            "Your values are twice the right ones.",
            "Look at the front of the formula.",
        ),
        Mistake(
            "standard deviation for variance",
            std_in_place,
            "Where the formula has a variance, your values come from sigma.",
            "Look at what schedule.sigma holds, and at what s² stands for.",
        ),
        Mistake(
            "standard deviation for variance",
            std_in_the_log,
            "In your logarithm stands sigma.",
            "Ask which power of s stands in the formula.",
        ),
        Mistake(
            "alpha_bar for its square root",
            power_of_signal,
            "The mean of your q(x_T|x_0) is too close to 0.",
            "Look at the factor of x_0 in the jump.",
        ),
        Mistake(
            "KL the wrong way round",
            backwards,
            "Your value is the KL with its two arguments swapped.",
            "Ask which of the two is N(m, s²), and in which place it stands.",
        ),
        Mistake(
            "off by one in t",
            one_step_before,
            "Your values belong to T − 1.",
            "The tables have T + 1 entries: ask for the index of the last one.",
        ),
    ),
)

EXERCISES = (ALPHA_BAR, LOG_SNR, PRIOR_BITS)
