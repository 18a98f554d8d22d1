"""The exercise `step_kl` of notebook 11."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake, scaled

NOTEBOOK = "11_elbo"


INTO_BITS = 1 / math.log(2)


def step_kl(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """What one step back costs, in nats per example: KL(q(x_{t−1}|x_t, x_0) ‖ q(x_{t−1}|x_t, x̂_0)).

    x0, guess (this is x̂_0) and x_t have one shape, `[B, *D]`; t is one time from 2 to T; schedule is
    variance-preserving. Both Gaussians have the variance β̃_t in every coordinate, and their means are
    those of q_posterior; the coordinates' costs add up. Return [B].
    """
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    variance = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return ((weight * (x0 - guess)) ** 2).flatten(1).sum(1) / (2 * variance)


def guesses(generator: torch.Generator) -> Iterator[Case]:
    """Points, guesses and noisy points of several shapes, times at both ends and between."""
    makers = [linear(50, beta_1=0.002, beta_T=0.3), cosine(20), quadratic(40), sigmoid(30)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 4], shapes[n % 5]
        dtype = torch.float32 if n == 7 else torch.float64
        x0, guess, x_t = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        t = int(torch.randint(3, schedule.T, (), generator=generator))
        yield x0, guess, x_t, [t, 2, schedule.T][n % 3], schedule


def parts(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """The squared distance of the means in each coordinate, flattened [B, D], and the variance."""
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    variance = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return ((weight * (x0 - guess)) ** 2).flatten(1), variance


def kl_in_mean(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: mean for sum."""
    squares, variance = parts(x0, guess, t, schedule)
    return squares.mean(1) / (2 * variance)


def kl_of_batch(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: batch summed away."""
    squares, variance = parts(x0, guess, t, schedule)
    return squares.sum() / (2 * variance)


def kl_with_beta(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: beta for the posterior's variance."""
    return parts(x0, guess, t, schedule)[0].sum(1) / (2 * schedule.beta[t])


def kl_large(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: beta for the posterior's variance."""
    squares, variance = parts(x0, guess, t, schedule)
    ratio = variance / schedule.beta[t]
    return squares.sum(1) / (2 * schedule.beta[t]) + squares.shape[1] * (ratio - 1 - ratio.log()) / 2


def kl_with_deviation(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: standard deviation for variance."""
    squares, variance = parts(x0, guess, t, schedule)
    return squares.sum(1) / (2 * variance.sqrt())


def kl_of_points(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: distance of x_0 for that of the means."""
    variance = parts(x0, guess, t, schedule)[1]
    return ((x0 - guess) ** 2).flatten(1).sum(1) / (2 * variance)


EXERCISE = Exercise(
    solution=step_kl,
    cases=guesses,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing factor 1/2",
            scaled(step_kl, 2),
            "Your cost is twice the right one.",
            "Look at what stands before the squared distance in the KL divergence of two Gaussians.",
        ),
        Mistake(
            "mean for sum",
            kl_in_mean,
            "Your cost is the right one divided by the number of coordinates.",
            "The costs of the coordinates add up: ask what you do with the axes behind the first.",
        ),
        Mistake(
            "batch summed away",
            kl_of_batch,
            "You return one number for the whole batch.",
            "Each example has a cost of its own: leave the first axis alone.",
        ),
        Mistake(
            "bits for nats",
            scaled(step_kl, INTO_BITS),
            "Your cost is in bits.",
            "The task asks for nats: ask which logarithm you use.",
        ),
        Mistake(
            "beta for the posterior's variance",
            kl_with_beta,
            "Your cost is too small near t = 2.",
            "Look at the variance that both Gaussians have.",
        ),
        Mistake(
            "beta for the posterior's variance",
            kl_large,
            "You gave the second Gaussian the variance of a step forwards.",
            "Here both Gaussians have one variance: look at which.",
        ),
        Mistake(
            "standard deviation for variance",
            kl_with_deviation,
            "You divide by a standard deviation.",
            "Look at what the squared distance of the means is divided by.",
        ),
        Mistake(
            "distance of x_0 for that of the means",
            kl_of_points,
            "Your cost is far too large, at late times most of all.",
            "A wrong guess of x_0 moves the mean by less than its own mistake: look at its weight.",
        ),
    ),
)
