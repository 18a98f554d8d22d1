"""Notebook 02, `prior_bits`: L_T = KL(q(x_T|x_0) ‖ N(0, I)) of each example, in bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, scaled

NOTEBOOK = "02_schedules"


def prior_bits(x0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """L_T = KL(q(x_T|x_0) ‖ N(0, I)) of each example, in bits per dimension.

    x0 is a batch `[B, *D]` of anything; a dimension is one number of an example. schedule is
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


EXERCISE = Exercise(
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
