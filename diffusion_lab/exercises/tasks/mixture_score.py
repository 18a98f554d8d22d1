"""Notebook 04, `mixture_score`: the score ∇ log p(x) of a mixture of K round Gaussians in D dimensions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "04_best_denoiser"


def mixture_score(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The score ∇ log p(x) of a mixture of K round Gaussians in D dimensions.

    The density is p(x) = Σ_k weights[k] · N(x; means[k], stds[k]² I). x has the shape [B, D], means the
    shape [K, D]; stds (standard deviations) and weights, which sum to 1, have the shape [K]. The score
    must be finite for every x, also far from all means. Return it, in the shape of x.
    """
    deviation = x[:, None] - means
    log_joint = weights.log() - x.shape[1] * stds.log() - (deviation**2).sum(2) / (2 * stds**2)
    share = log_joint.softmax(1)[:, :, None]
    return -(share * deviation / stds[:, None] ** 2).sum(1)


def mixtures(generator: torch.Generator) -> Iterator[Case]:
    """One to five components in one to five dimensions (B = D, B = K, K = D), x among them and far away."""
    sizes = [(6, 2, 3), (5, 1, 4), (3, 3, 3), (1, 2, 5), (4, 5, 2), (4, 4, 4), (5, 3, 1), (7, 2, 3)]
    for n in range(14):
        B, D, K = sizes[n % 8]
        draw = {"generator": generator, "dtype": torch.float32 if n in (4, 9) else torch.float64}
        means = torch.randn(K, D, **draw)
        stds, weights = 0.4 + torch.rand(K, **draw), 0.2 + torch.rand(K, **draw)
        x = (60 if n == 7 else 1) * torch.randn(B, D, **draw)
        yield x, means, stds, weights / weights.sum()


def shares(
    x: Tensor, means: Tensor, stds: Tensor, weights: Tensor, half: float = 0.5, power: int = 2
) -> Tensor:
    """log p(k|x), but for a constant: the exponent's factor and the power of std may be wrong."""
    squares = (x[:, None] - means).square().sum(2)
    return weights.log() - x.shape[1] * stds.log() - half * squares / stds**power


def pull(log_joint: Tensor, x: Tensor, means: Tensor, stds: Tensor, power: int = 2) -> Tensor:
    """The components' own scores, weighed by a softmax."""
    own = (means - x[:, None]) / stds[:, None] ** power
    return (log_joint.softmax(1)[:, :, None] * own).sum(1)


def prior_shares(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The mistake: prior for posterior probabilities."""
    return pull(weights.log().expand(len(x), -1), x, means, stds)


def no_normaliser(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The mistake: width left out of the density."""
    return pull(shares(x, means, stds, weights) + x.shape[1] * stds.log(), x, means, stds)


def normaliser_of_one_axis(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The mistake: width left out of the density."""
    return pull(shares(x, means, stds, weights) + (x.shape[1] - 1) * stds.log(), x, means, stds)


def gradient_of_density(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The mistake: gradient of the density, not of its logarithm."""
    log_joint = shares(x, means, stds, weights) - x.shape[1] / 2 * torch.log(torch.tensor(2 * torch.pi)).to(x)
    own = (means - x[:, None]) / stds[:, None] ** 2
    return (log_joint.exp()[:, :, None] * own).sum(1)


def unstable_shares(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The mistake: softmax without subtracting the largest."""
    joint = shares(x, means, stds, weights).exp()
    own = (means - x[:, None]) / stds[:, None] ** 2
    return ((joint / joint.sum(1, keepdim=True))[:, :, None] * own).sum(1)


def equal_weights(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The mistake: weights forgotten."""
    return pull(shares(x, means, stds, torch.ones_like(weights)), x, means, stds)


WIDTHS = (
    "Your components share x in the wrong proportion wherever their widths differ.",
    "Write down a Gaussian density in D dimensions: not all that stands before exp is constant.",
)


SQUARES = (
    "The pull of your components depends on their widths in the wrong way.",
    "Write down the logarithm of a Gaussian density and its gradient: ask of each std whether it is squared.",
)


EXERCISE = Exercise(
    solution=mixture_score,
    cases=mixtures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "standard deviation for variance",
            lambda x, means, stds, weights: pull(shares(x, means, stds, weights), x, means, stds, power=1),
            *SQUARES,
        ),
        Mistake(
            "standard deviation for variance",
            lambda x, means, stds, weights: pull(shares(x, means, stds, weights, power=1), x, means, stds),
            *SQUARES,
        ),
        Mistake(
            "standard deviation for variance",
            lambda x, means, stds, weights: pull(
                shares(x, means, stds, weights, power=1), x, means, stds, power=1
            ),
            *SQUARES,
        ),
        Mistake("width left out of the density", no_normaliser, *WIDTHS),
        Mistake("width left out of the density", normaliser_of_one_axis, *WIDTHS),
        Mistake(
            "weights forgotten",
            equal_weights,
            "Your result does not depend on weights.",
            "Ask by Bayes' rule how likely component k is, once x is known.",
        ),
        Mistake(
            "prior for posterior probabilities",
            prior_shares,
            "Every component pulls with the same share, wherever x is.",
            "Ask by Bayes' rule how likely component k is, once x is known.",
        ),
        Mistake(
            "missing factor 1/2",
            lambda x, means, stds, weights: pull(shares(x, means, stds, weights, half=1.0), x, means, stds),
            "The nearest component gets too large a share.",
            "Write down the logarithm of a Gaussian density, with its constant factor.",
        ),
        Mistake(
            "gradient of the density, not of its logarithm",
            gradient_of_density,
            "Your result vanishes far away, where the density does.",
            "Write out the derivative of log p: something stands in the denominator.",
        ),
        Mistake(
            "softmax without subtracting the largest",
            unstable_shares,
            "It is right near the means, and NaN far away, where all densities are too small for a float.",
            "Only differences of log-densities count: what may you subtract from all before exp?",
        ),
    ),
)
