"""Notebook 22, `latent_gaussian`: what a linear encoder makes of a Gaussian."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "22_latents"

Pair = tuple[Tensor, Tensor]


def latent_gaussian(mean: Tensor, covariance: Tensor, center: Tensor, axes: Tensor) -> Pair:
    """Mean and covariance of the latents z = axesᵀ (x − center) of data x ~ N(mean, covariance).

    mean and center are vectors [D], covariance is [D, D], and axes [D, d] holds d columns: the axes of PCA,
    say. Return two tensors: the mean of z, [d], and its covariance, [d, d].
    """
    return axes.mT @ (mean - center), axes.mT @ covariance @ axes


def gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Full covariances, a center that is not the mean, columns of any length; d = D among them."""
    for n in range(12):
        D, d = [(4, 2), (3, 3), (5, 1), (2, 2)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        root = torch.randn(D, D, generator=generator, dtype=dtype)
        mean, center = (2 * torch.randn(D, generator=generator, dtype=dtype) for _ in range(2))
        axes = torch.randn(D, d, generator=generator, dtype=dtype)
        yield mean, root @ root.mT + 0.1 * torch.eye(D, dtype=dtype), center, axes


def decoded_again(mean: Tensor, covariance: Tensor, center: Tensor, axes: Tensor) -> Pair:
    """Encoded, and decoded again."""
    z, wide = latent_gaussian(mean, covariance, center, axes)
    return center + axes @ z, axes @ wide @ axes.mT


def without_correlations(mean: Tensor, covariance: Tensor, center: Tensor, axes: Tensor) -> Pair:
    """The variances of the latents alone."""
    z, wide = latent_gaussian(mean, covariance, center, axes)
    return z, wide.diagonal().diag()


EXERCISE = Exercise(
    solution=latent_gaussian,
    cases=gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "center left out",
            lambda mean, covariance, center, axes: (axes.mT @ mean, axes.mT @ covariance @ axes),
            "Your mean does not depend on center.",
            "Look at what happens to x before it is projected.",
        ),
        Mistake(
            "center subtracted from the latents' covariance",
            lambda mean, covariance, center, axes: (
                axes.mT @ (mean - center),
                axes.mT @ (covariance - torch.outer(center, center)) @ axes,
            ),
            "Your covariance depends on center.",
            "Ask what a shift of all x does to how they spread.",
        ),
        Mistake(
            "multiplied from one side",
            lambda mean, covariance, center, axes: (axes.mT @ (mean - center), axes.mT @ covariance),
            "Your covariance is of shape [d, D]: it is multiplied from one side.",
            "A covariance is the mean of a product of two z, and each of them is projected.",
        ),
        Mistake(
            "correlations left out",
            without_correlations,
            "Off its diagonal your covariance is 0.",
            "PCA's axes are uncorrelated over all data, but not within one component of a mixture.",
        ),
        Mistake(
            "pixels for latents",
            decoded_again,
            "You return a Gaussian of D numbers, not of d.",
            "Look at where you stop: the latents are not decoded here.",
        ),
        Mistake(
            "axes transposed",
            lambda mean, covariance, center, axes: (axes @ (mean - center), axes @ covariance @ axes.mT),
            "Your axes are transposed: that fits only where d = D.",
            "The axes are columns: compare the shapes of axes and of x.",
        ),
    ),
)
