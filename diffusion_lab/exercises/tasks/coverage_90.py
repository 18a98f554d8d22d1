"""The exercise `coverage_90` of notebook 21."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "21_medical"


def coverage_90(x_0: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The share of all pixels whose true value is inside their central 90 % interval.

    x_0 [B, D] are B true pictures of D pixels, mean [B, D] their reconstructions, covariance [D, D] that of
    each posterior N(mean, covariance). A pixel at the end of its interval counts as inside. Return one
    number, from 0 to 1. Help: a Gaussian is within ±1.6449 standard deviations with 90 % probability, within
    ±1.96 with 95 %, and below 1.2816 with 90 %.
    """
    half = 1.6449 * covariance.diagonal().sqrt()
    return ((x_0 - mean).abs() <= half).float().mean()


def pictures(generator: torch.Generator) -> Iterator[Case]:
    """Honest posteriors, too narrow and too wide ones; pixels that are known exactly; B = D."""
    shapes = [(60, 3), (20, 8), (9, 9), (200, 1), (40, 5), (5, 5), (30, 4), (12, 12), (50, 2)]
    for n, (B, D) in enumerate(shapes):
        root = torch.randn(D, D, generator=generator)
        covariance = root @ root.mT / D + 0.05 * torch.eye(D)
        z = torch.randn(B, D, generator=generator) * [1.0, 1.5, 0.8][n % 3]
        z = torch.where((z.abs() - 1.645).abs() < 0.02, 0.0, z)  # so that 1.64 and 1.65 give the same
        mean = 1 + torch.randn(B, D, generator=generator)
        x_0 = mean + z * covariance.diagonal().sqrt()
        if D > 2:  # one pixel is said to be known, and half of the time it is
            covariance[0], covariance[:, 0] = 0.0, 0.0
            x_0[:, 0] = mean[:, 0] + torch.arange(B) % 2
        yield x_0, mean, covariance


def share(x_0: Tensor, mean: Tensor, half: Tensor) -> Tensor:
    """How many are within mean ± half."""
    return ((x_0 - mean).abs() <= half).float().mean()


EXERCISE = Exercise(
    solution=coverage_90,
    cases=pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda x_0, mean, covariance: share(x_0, mean, 1.6449 * covariance.diagonal()),
            "Your intervals have the unit of a variance: too short for pixels that are known well.",
            "Look at what stands on the diagonal of a covariance.",
        ),
        Mistake(
            "one-sided quantile",
            lambda x_0, mean, covariance: share(x_0, mean, 1.2816 * covariance.diagonal().sqrt()),
            "Your intervals leave out a tenth on each side.",
            "A central interval has two ends: ask how much is beyond each of them.",
        ),
        Mistake(
            "95 % for 90 %",
            lambda x_0, mean, covariance: share(x_0, mean, 1.96 * covariance.diagonal().sqrt()),
            "Your intervals are too long: only one in twenty would be outside.",
            "Look which multiple belongs to 90 %.",
        ),
        Mistake(
            "one standard deviation",
            lambda x_0, mean, covariance: share(x_0, mean, covariance.diagonal().sqrt()),
            "Your intervals are too short: one in three would be outside.",
            "Look which multiple of the standard deviation belongs to 90 %.",
        ),
        Mistake(
            "outside for inside",
            lambda x_0, mean, covariance: 1 - coverage_90(x_0, mean, covariance),
            "You count those that are missed.",
            "Look at the direction of your comparison.",
        ),
        Mistake(
            "one end only",
            lambda x_0, mean, covariance: (
                (x_0 - mean <= 1.6449 * covariance.diagonal().sqrt()).float().mean()
            ),
            "A pixel that is far too dark counts as inside.",
            "Look at the sign of the difference.",
        ),
        Mistake(
            "all pixels for each pixel",
            lambda x_0, mean, covariance: (
                ((x_0 - mean).abs() <= 1.6449 * covariance.diagonal().sqrt()).all(1).float().mean()
            ),
            "You count pictures that are inside everywhere: hardly any is, with many pixels.",
            "Each pixel has its own interval: count pixels.",
        ),
    ),
)
