"""The exercise `frechet_distance` of notebook 16."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "16_metrics"


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """The Fréchet distance of two Gaussians, as the field reports it: the squared distance.

    mean_a and mean_b [F] are the means; cov_a and cov_b [F, F] are the covariances, symmetric and positive
    definite.
    Return one number, ‖mean_a − mean_b‖² + tr(cov_a + cov_b − 2 (cov_a cov_b)^½), with the root of a matrix.
    Help: the trace of that root is the sum of the roots of the eigenvalues of cov_a cov_b, which are real.
    """
    overlap = torch.linalg.eigvals(cov_a @ cov_b).real.sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap


def two_gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Covariances that commute and that do not, in one to eight dimensions."""
    for n, F in enumerate([2, 3, 1, 5, 2, 8, 3, 4, 6, 2]):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        mean_a, mean_b = torch.randn(2, F, generator=generator, dtype=dtype)
        root_a, root_b = torch.randn(2, F, F, generator=generator, dtype=dtype)
        cov_a, cov_b = (root @ root.mT + 0.3 * torch.eye(F, dtype=dtype) for root in (root_a, 1.5 * root_b))
        if n % 5 == 4:
            cov_a, cov_b = cov_a.diagonal().diag(), cov_b.diagonal().diag()
        yield mean_a, cov_a, 0.5 * mean_b, cov_b


def apart(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """All of the distance but the overlap."""
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace()


def overlap(cov_a: Tensor, cov_b: Tensor) -> Tensor:
    """The trace of the root of the product."""
    return torch.linalg.eigvals(cov_a @ cov_b).real.sqrt().sum()


def root(cov: Tensor) -> Tensor:
    """The symmetric root of one matrix."""
    values, axes = torch.linalg.eigh(cov)
    return axes * values.sqrt() @ axes.mT


EXERCISE = Exercise(
    solution=frechet_distance,
    cases=two_gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square root",
            lambda mean_a, cov_a, mean_b, cov_b: (
                apart(mean_a, cov_a, mean_b, cov_b) - 2 * (cov_a @ cov_b).trace()
            ),
            "Your overlap has the unit of a variance squared.",
            "Look at the product of the covariances, and at what the formula does with it.",
        ),
        Mistake(
            "root of each entry",
            lambda mean_a, cov_a, mean_b, cov_b: (
                apart(mean_a, cov_a, mean_b, cov_b) - 2 * (cov_a @ cov_b).sqrt().trace()
            ),
            "You took the root of each entry, which is the root of the matrix for diagonal ones alone.",
            "A root R of a matrix is one with R R equal to it.",
        ),
        Mistake(
            "product of roots for root of the product",
            lambda mean_a, cov_a, mean_b, cov_b: (
                apart(mean_a, cov_a, mean_b, cov_b) - 2 * (root(cov_a) @ root(cov_b)).trace()
            ),
            "It is right where the two covariances commute.",
            "First multiply, then take the root.",
        ),
        Mistake(
            "missing factor 2",
            lambda mean_a, cov_a, mean_b, cov_b: apart(mean_a, cov_a, mean_b, cov_b) - overlap(cov_a, cov_b),
            "For two equal Gaussians your distance is not 0.",
            "Think of (s − r)² in one dimension: look at its middle term.",
        ),
        Mistake(
            "root of the result",
            lambda mean_a, cov_a, mean_b, cov_b: (
                apart(mean_a, cov_a, mean_b, cov_b) - 2 * overlap(cov_a, cov_b)
            ).sqrt(),
            "You return the distance; the field reports its square.",
            "Look at your last step.",
        ),
        Mistake(
            "means not squared",
            lambda mean_a, cov_a, mean_b, cov_b: (
                (mean_a - mean_b).norm() + cov_a.trace() + cov_b.trace() - 2 * overlap(cov_a, cov_b)
            ),
            "The part of the means has the unit of a feature, the rest that of its square.",
            "Look at what the formula does with the length of mean_a − mean_b.",
        ),
        Mistake(
            "correlations left out",
            lambda mean_a, cov_a, mean_b, cov_b: (
                (mean_a - mean_b).square().sum()
                + (cov_a.diagonal().sqrt() - cov_b.diagonal().sqrt()).square().sum()
            ),
            "You used the variances alone, as if the features were independent.",
            "The entries off the diagonal matter: look at how the two covariances meet.",
        ),
    ),
)
