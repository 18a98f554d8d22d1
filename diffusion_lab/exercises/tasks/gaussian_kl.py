"""Notebook 11, `gaussian_kl`: KL(p ‖ q) of two Gaussians with independent coordinates, in nats."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake, scaled
from .gaussian_product import spread

NOTEBOOK = "11_elbo"


def gaussian_kl(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """KL(p ‖ q) of two Gaussians with independent coordinates, in nats.

    All four are [B, D]: row b holds the means and the variances of p = N(mean_p, var_p) and of
    q = N(mean_q, var_q) in D dimensions. Return [B]: one divergence for each row, over all its dimensions.
    """
    per_axis = (var_p + (mean_p - mean_q) ** 2) / var_q - 1 - (var_p / var_q).log()
    return 0.5 * per_axis.sum(1)


def rows_of_gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Several B and D, B = D among them; two dtypes; once p = q."""
    for n in range(12):
        shape = [(5, 3), (1, 2), (4, 4), (3, 1)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        means = [torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2)]
        variances = [spread(shape, generator, dtype) for _ in range(2)]
        same = n == 10
        yield means[0], variances[0], means[0 if same else 1], variances[0 if same else 1]


def kl_with_std(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """The logarithm of a ratio of standard deviations."""
    per_axis = (var_p + (mean_p - mean_q) ** 2) / var_q - 1 - 0.5 * (var_p / var_q).log()
    return 0.5 * per_axis.sum(1)


def kl_upside_down(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """The other sign before the logarithm."""
    per_axis = (var_p + (mean_p - mean_q) ** 2) / var_q - 1 + (var_p / var_q).log()
    return 0.5 * per_axis.sum(1)


def kl_without_one(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """Without the −1."""
    return gaussian_kl(mean_p, var_p, mean_q, var_q) + 0.5 * mean_p.shape[1]


def kl_without_means(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """As if both means were the same."""
    return gaussian_kl(mean_p, var_p, mean_p, var_q) + 0 * mean_q.sum(1)


EXERCISE = Exercise(
    solution=gaussian_kl,
    cases=rows_of_gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "bits for nats",
            scaled(gaussian_kl, 1 / math.log(2)),
            "Your values are 1.44 times the right ones.",
            "Nats belong to the natural logarithm.",
        ),
        Mistake(
            "mean for sum",
            lambda mp, vp, mq, vq: gaussian_kl(mp, vp, mq, vq) / mp.shape[1],
            "Your values are those of one dimension, on average.",
            "Divergences of independent coordinates add up.",
        ),
        Mistake(
            "missing factor 1/2",
            scaled(gaussian_kl, 2),
            "Your values are twice the right ones.",
            "Look at the front of the formula.",
        ),
        Mistake(
            "KL the wrong way round",
            lambda mp, vp, mq, vq: gaussian_kl(mq, vq, mp, vp),
            "Your value is KL(q ‖ p).",
            "Ask which of the two you average over: it comes first.",
        ),
        Mistake(
            "standard deviation for variance",
            kl_with_std,
            "Your logarithm is half as large as it has to be.",
            "Ask which ratio stands in the logarithm: that of the variances, or of the standard deviations?",
        ),
        Mistake(
            "logarithm upside down",
            kl_upside_down,
            "The logarithm in your sum has the other sign, and some of your values are below 0.",
            "Ask which variance stands on top.",
        ),
        Mistake(
            "missing −1",
            kl_without_one,
            "Your divergence of a distribution from itself is not 0.",
            "Put p = q into your formula, and see what is left.",
        ),
        Mistake(
            "means left out",
            kl_without_means,
            "Your values do not change when the means move apart.",
            "Look at which of the arguments you have used.",
        ),
    ),
)
