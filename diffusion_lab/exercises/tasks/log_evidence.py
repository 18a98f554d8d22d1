"""The exercise `log_evidence` of notebook 21."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "21_medical"


def log_evidence(mean: Tensor, covariance: Tensor, A: Tensor, std: float, y: Tensor) -> Tensor:
    """log p(y) in nats, how well scans were expected: x_0 ~ N(mean, covariance), y = A x_0 + std · noise.

    mean [D] and covariance [D, D]; A [M, D], with M ≤ D; std is the standard deviation of the noise. y [B, M]
    holds B scans. y is Gaussian: you need its mean and its covariance S [M, M]. Return [B], one number for
    each scan. Help: torch.logdet, torch.linalg.solve.
    """
    S = A @ covariance @ A.mT + std**2 * torch.eye(len(A)).to(A)
    off = y - A @ mean
    squared = (off * torch.linalg.solve(S, off.mT).mT).sum(1)
    return -0.5 * (squared + torch.logdet(2 * math.pi * S))


def scans(generator: torch.Generator) -> Iterator[Case]:
    """One scan and many, B = M among them; one number and as many as pixels; two dtypes."""
    shapes = [
        (5, 4, 2),
        (3, 6, 3),
        (1, 5, 1),
        (4, 4, 4),
        (6, 8, 3),
        (2, 2, 2),
        (7, 3, 1),
        (5, 5, 5),
        (3, 7, 4),
    ]
    for n, (B, D, M) in enumerate(shapes):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        root = torch.randn(D, D, generator=generator, dtype=dtype)
        mean, A = (torch.randn(size, generator=generator, dtype=dtype) for size in ((D,), (M, D)))
        y = 2 * torch.randn(B, M, generator=generator, dtype=dtype)
        yield mean, root @ root.mT + 0.3 * torch.eye(D).to(A), A, [0.5, 1.5, 0.7, 2.0][n % 4], y


def parts(covariance: Tensor, A: Tensor, noise: float, off: Tensor) -> tuple[Tensor, Tensor]:
    """The squared distance [B] and log det S, for a variance of the noise."""
    S = A @ covariance @ A.mT + noise * torch.eye(len(A)).to(A)
    return (off * torch.linalg.solve(S, off.mT).mT).sum(1), torch.logdet(S)


def with_noise(mean: Tensor, covariance: Tensor, A: Tensor, noise: float, y: Tensor) -> Tensor:
    squared, log_det = parts(covariance, A, noise, y - A @ mean)
    return -0.5 * (squared + log_det + len(A) * math.log(2 * math.pi))


def without_width(mean: Tensor, covariance: Tensor, A: Tensor, std: float, y: Tensor) -> Tensor:
    """The mistake: width left out of the density."""
    squared, _ = parts(covariance, A, std**2, y - A @ mean)
    return -0.5 * (squared + len(A) * math.log(2 * math.pi))


def without_constant(mean: Tensor, covariance: Tensor, A: Tensor, std: float, y: Tensor) -> Tensor:
    """The mistake: constant of the Gaussian left out."""
    squared, log_det = parts(covariance, A, std**2, y - A @ mean)
    return -0.5 * (squared + log_det)


def one_constant(mean: Tensor, covariance: Tensor, A: Tensor, std: float, y: Tensor) -> Tensor:
    """The mistake: constant for one dimension."""
    return without_constant(mean, covariance, A, std, y) - 0.5 * math.log(2 * math.pi)


EXERCISE = Exercise(
    solution=log_evidence,
    cases=scans,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "standard deviation for variance",
            lambda mean, covariance, A, std, y: with_noise(mean, covariance, A, std, y),
            "Your S is right where std is 1.",
            "What is added to A Σ Aᵀ has the unit of a covariance: look at the noise.",
        ),
        Mistake(
            "noise left out",
            lambda mean, covariance, A, std, y: with_noise(mean, covariance, A, 0.0, y),
            "Your y varies only with the body, as if the scanner were perfect.",
            "Two things make y vary: list them both.",
        ),
        Mistake(
            "likelihood of the mean for the evidence",
            lambda mean, covariance, A, std, y: with_noise(mean, 0 * covariance, A, std**2, y),
            "You give p(y|x_0 = mean): every body but the average one surprises you.",
            "The evidence allows for all bodies: the covariance of x_0 has to enter S.",
        ),
        Mistake(
            "missing factor 1/2",
            lambda mean, covariance, A, std, y: 2 * with_noise(mean, covariance, A, std**2, y),
            "Your logarithm is twice the right one.",
            "Look at the exponent of a Gaussian, and at the power of its determinant.",
        ),
        Mistake(
            "width left out of the density",
            without_width,
            "You add the same for a wide S as for a narrow one.",
            "A density integrates to 1: where it is wide it must be low.",
        ),
        Mistake(
            "constant of the Gaussian left out",
            without_constant,
            "All your numbers are too large, by the same amount for each number that was measured.",
            "Write the density of one Gaussian number down in full.",
        ),
        Mistake(
            "constant for one dimension",
            one_constant,
            "You are right for scans of one number, and too large for longer ones.",
            "Each measured number brings its own constant.",
        ),
        Mistake(
            "mean left out",
            lambda mean, covariance, A, std, y: with_noise(0 * mean, covariance, A, std**2, y),
            "You compare the scans with 0.",
            "Ask which scan is the most probable one, before anything is measured.",
        ),
        Mistake(
            "probability for its logarithm",
            lambda mean, covariance, A, std, y: log_evidence(mean, covariance, A, std, y).exp(),
            "You return the density itself; for a real scan it is 0 or ∞ for the computer.",
            "The task asks for its logarithm.",
        ),
    ),
)
