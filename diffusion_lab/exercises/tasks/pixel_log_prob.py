"""The exercise `pixel_log_prob` of notebook 12."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake, scaled

NOTEBOOK = "12_bits"


def pixel_log_prob(x0: Tensor, mean: Tensor, std: float, levels: int) -> Tensor:
    """log of the probability that N(mean, std²) gives to the bin of each pixel, in nats.

    x0 and mean have one shape, `[B, *D]`, in float64; std is one number. The values of x0 are among `levels`
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
    """The mistake: density for probability."""
    return torch.distributions.Normal(mean, std).log_prob(x0)


EXERCISE = Exercise(
    solution=pixel_log_prob,
    cases=pixels,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "outer bins closed",
            lambda x0, mean, std, levels: mass(x0, mean, std, levels, 1 / (levels - 1), closed=True).log(),
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
)
