"""Exercises of notebook 12: real bits, a decoder for grey levels, and the variance that is worth claiming."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from .exercise import Case, Exercise, Mistake, scaled

NOTEBOOK = "12_bits"


# ------------------------------------------------------------------------------- the unit
def bits_per_dim(nats: Tensor, x0: Tensor) -> Tensor:
    """Bits per dimension of each example, from its nats.

    nats [B] is what each example costs as a whole; x0 [B, *D] are the examples. A dimension is one number
    of an example: one pixel of a grey image, one colour of a pixel of a coloured one. Return [B].
    """
    return nats / (x0[0].numel() * math.log(2))


def costs(generator: torch.Generator) -> Iterator[Case]:
    """Costs of points, grey and coloured images."""
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 5), (6, 3, 4, 4), (1, 1, 8, 8), (3, 7)]
    for n, shape in enumerate(shapes):
        dtype = torch.float32 if n == 5 else torch.float64
        nats = 50 * torch.rand(shape[:1], generator=generator, dtype=dtype) - 5
        yield nats, torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1


# ------------------------------------------------------------------------------- the decoder
def pixel_log_prob(x0: Tensor, mean: Tensor, std: float, levels: int) -> Tensor:
    """log of the probability that N(mean, std²) gives to the bin of each pixel, in nats.

    x0 and mean have one shape, [B, *D], in float64; std is one number. The values of x0 are among `levels`
    equally spaced ones, from −1 to 1. The bin of a level reaches half-way to its neighbours; the first bin
    reaches down to −∞ and the last one up to +∞. torch.special.ndtr is the distribution function Φ of N(0,
    1). Return the shape of x0: nothing is summed.
    """
    half = 1 / (levels - 1)
    below = torch.special.ndtr((x0 - half - mean) / std)
    above = torch.special.ndtr((x0 + half - mean) / std)
    below = torch.where(x0 < half - 1, torch.zeros_like(below), below)
    above = torch.where(x0 > 1 - half, torch.ones_like(above), above)
    return (above - below).log()


def pixels(generator: torch.Generator) -> Iterator[Case]:
    """Pixels of several numbers of levels, both outer ones among them, and guesses not too far off."""
    shapes = [(4, 1, 3, 3), (5, 2), (3, 3), (1, 6)]
    for n in range(10):
        levels, shape = [17, 5, 256, 2, 3][n % 5], shapes[n % 4]
        steps = torch.randint(0, levels, shape, generator=generator)
        steps.view(-1)[0], steps.view(-1)[-1] = 0, levels - 1
        x0 = 2 * steps.double() / (levels - 1) - 1
        std = [0.3, 0.6, 0.4, 0.8, 0.7][n % 5] * (1.0 if n < 5 else 1.3)
        off = 1.4 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.7
        yield x0, x0 + std * off, std, levels


def mass(x0: Tensor, mean: Tensor, std: float, levels: int, half: float, closed: bool = False) -> Tensor:
    """The probability of bins that reach `half` to both sides of each level."""
    normal = torch.distributions.Normal(mean, std)
    below, above = normal.cdf(x0 - half), normal.cdf(x0 + half)
    if closed:
        return above - below
    edge = 0.5 / (levels - 1)
    return torch.where(x0 > 1 - edge, 1.0, above) - torch.where(x0 < edge - 1, 0.0, below)


def log_density(x0: Tensor, mean: Tensor, std: float, levels: int) -> Tensor:
    return torch.distributions.Normal(mean, std).log_prob(x0)


# ------------------------------------------------------------------------------- what to claim
def best_variance(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The one variance to claim in the step from t to t − 1, for all examples and coordinates alike.

    It is the posterior's variance β̃_t plus the mean squared mistake of the mean: of the mean of
    q(x_{t−1}|x_t, x̂_0), as against that of q(x_{t−1}|x_t, x_0). x0 and guess (this is x̂_0) have one
    shape, [B, *D], and the mistake is averaged over all B examples and all coordinates. t is one time from
    1 to T; schedule is variance-preserving. Return one number.
    """
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    variance = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return variance + ((weight * (x0 - guess)) ** 2).mean()


def mistaken(generator: torch.Generator) -> Iterator[Case]:
    """Examples with guesses beside them, times at both ends and between."""
    makers = [
        cosine(10),
        linear(20, beta_1=0.01, beta_T=0.5),
        quadratic(8, beta_1=0.02, beta_T=0.5),
        sigmoid(12),
    ]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 4], shapes[n % 5]
        x0, off = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
        t = int(torch.randint(2, schedule.T, (), generator=generator))
        yield x0, x0 + 0.7 * off, [t, 1, schedule.T][n % 3], schedule


def of_step(t: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """The weight of x_0 in the posterior's mean, and the posterior's variance."""
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    return weight, schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def variance_of_sum(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    weight, variance = of_step(t, schedule)
    return variance + ((weight * (x0 - guess)) ** 2).flatten(1).sum(1).mean()


def variance_of_all(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    weight, variance = of_step(t, schedule)
    return variance + ((weight * (x0 - guess)) ** 2).sum()


def variance_over_beta(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return schedule.beta[t] + ((of_step(t, schedule)[0] * (x0 - guess)) ** 2).mean()


def variance_of_guess(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return of_step(t, schedule)[1] + ((x0 - guess) ** 2).mean()


def variance_half_weighted(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    weight, variance = of_step(t, schedule)
    return variance + weight * ((x0 - guess) ** 2).mean()


def mistake_alone(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return ((of_step(t, schedule)[0] * (x0 - guess)) ** 2).mean()


def deviations_added(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    weight, variance = of_step(t, schedule)
    return variance + (weight * (x0 - guess)).abs().mean()


def bias_squared(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    weight, variance = of_step(t, schedule)
    return variance + (weight * (x0 - guess)).mean() ** 2


EXERCISES = (
    Exercise(
        solution=bits_per_dim,
        cases=costs,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "nats for bits",
                lambda nats, x0: nats / x0[0].numel(),
                "Your result is in nats per dimension.",
                "A bit is the larger unit or the smaller one: look for the logarithm of 2.",
            ),
            Mistake(
                "ln 2 on the wrong side",
                lambda nats, x0: nats * math.log(2) / x0[0].numel(),
                "Your result is too small by the square of ln 2.",
                "A bit is less than a nat, so a message has more bits than nats.",
            ),
            Mistake(
                "sum for mean",
                lambda nats, x0: nats / math.log(2),
                "Your result is in bits per example.",
                "Ask how many numbers share the cost of one example.",
            ),
            Mistake(
                "whole batch for one example",
                lambda nats, x0: nats / (x0.numel() * math.log(2)),
                "Your result becomes smaller with each example in the batch.",
                "Ask how many numbers ONE example has.",
            ),
            Mistake(
                "last axis for all axes",
                lambda nats, x0: nats / (x0.shape[-1] * math.log(2)),
                "You are right for points, and wrong for images.",
                "An image has as many numbers as all its axes together say.",
            ),
            Mistake(
                "channels left out",
                lambda nats, x0: nats / (x0[0].numel() / (x0.shape[1] if x0.ndim > 2 else 1) * math.log(2)),
                "You are right for grey images, and wrong for coloured ones.",
                "Each colour of a pixel counts as a dimension.",
            ),
        ),
    ),
    Exercise(
        solution=pixel_log_prob,
        cases=pixels,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "outer bins closed",
                lambda x0, mean, std, levels: mass(
                    x0, mean, std, levels, 1 / (levels - 1), closed=True
                ).log(),
                "You are right at the inner levels; at −1 and at 1 your probabilities are too small.",
                "All probabilities must sum to 1: ask who gets the mass beyond the outer levels.",
            ),
            Mistake(
                "density for probability",
                log_density,
                "You return a log density.",
                "The probability of a bin is the integral over it: a difference of Φ at its two ends.",
            ),
            Mistake(
                "density for probability",
                lambda x0, mean, std, levels: log_density(x0, mean, std, levels) + math.log(2 / (levels - 1)),
                "You return the density times the width of a bin, which is right in narrow bins only.",
                "The probability of a bin is the integral over it: a difference of Φ at its two ends.",
            ),
            Mistake(
                "levels for gaps",
                lambda x0, mean, std, levels: mass(x0, mean, std, levels, 1 / levels).log(),
                "Your bins are a little too narrow.",
                "Draw three levels from −1 to 1, and count the gaps between them.",
            ),
            Mistake(
                "bin twice as wide",
                lambda x0, mean, std, levels: mass(x0, mean, std, levels, 2 / (levels - 1)).log(),
                "Your bins overlap.",
                "A bin reaches half-way to the neighbours on both sides.",
            ),
            Mistake(
                "variance for standard deviation",
                lambda x0, mean, std, levels: mass(x0, mean, std**2, levels, 1 / (levels - 1)).log(),
                "Your Gaussian has the wrong width.",
                "Φ wants its distances in units of the standard deviation.",
            ),
            Mistake(
                "bits for nats",
                scaled(pixel_log_prob, 1 / math.log(2)),
                "Your result is in bits.",
                "The task asks for nats: ask which logarithm you use.",
            ),
            Mistake(
                "probability for its logarithm",
                lambda *arguments: pixel_log_prob(*arguments).exp(),
                "You return the probabilities themselves.",
                "The task asks for their logarithms.",
            ),
        ),
    ),
    Exercise(
        solution=best_variance,
        cases=mistaken,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "sum for mean",
                variance_of_sum,
                "Your variance grows with the number of coordinates.",
                "The variance is that of one coordinate: look at what you do over the axes.",
            ),
            Mistake(
                "sum for mean",
                variance_of_all,
                "Your variance grows with the size of the batch.",
                "The variance is that of one coordinate: look at what you do over the axes.",
            ),
            Mistake(
                "beta for the posterior's variance",
                variance_over_beta,
                "Your variance is too large even where the guess is nearly right.",
                "Whoever knows x_0 still has the doubt β̃_t, not β_t.",
            ),
            Mistake(
                "mistake in x_0 for that in the mean",
                variance_of_guess,
                "Your variance is far too large at late times.",
                "A wrong guess of x_0 moves the mean by less than its own mistake: look at its weight.",
            ),
            Mistake(
                "missing square",
                variance_half_weighted,
                "You weigh the squared mistake with the weight itself.",
                "The weight belongs inside the square.",
            ),
            Mistake(
                "mistake alone",
                mistake_alone,
                "Your variance lacks the doubt that remains if x_0 is known.",
                "Two sources of doubt add up: count them.",
            ),
            Mistake(
                "standard deviation for variance",
                deviations_added,
                "You add the size of the mistake to a variance.",
                "Variances add up with squares.",
            ),
            Mistake(
                "standard deviation for variance",
                lambda *arguments: best_variance(*arguments).sqrt(),
                "You return the standard deviation.",
                "The task asks for the variance.",
            ),
            Mistake(
                "square of the mean for mean of the square",
                bias_squared,
                "Your mistakes cancel each other before they are squared.",
                "Ask in which order you average and square.",
            ),
        ),
    ),
)
