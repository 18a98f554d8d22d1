"""The exercise `kalman_mean` of notebook 21."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "21_medical"


def kalman_mean(mean: Tensor, covariance: Tensor, A: Tensor, std: float, y: Tensor) -> Tensor:
    """The best reconstruction E[x_0|y], for x_0 ~ N(mean, covariance) and y = A x_0 + std · noise.

    mean [D] and covariance [D, D] are what is known before the scan. A [M, D], with M ≤ D, is the scanner,
    and std the standard deviation of the noise in each measured number. y [M] is the scan. Return [D].
    Help: torch.linalg.solve(S, b) is S⁻¹ b.
    """
    S = A @ covariance @ A.mT + std**2 * torch.eye(len(A)).to(A)
    return mean + covariance @ A.mT @ torch.linalg.solve(S, y - A @ mean)


def scans(generator: torch.Generator) -> Iterator[Case]:
    """Fewer numbers than pixels, one number, as many as pixels; weak and strong noise; two dtypes."""
    for n, (D, M) in enumerate(
        [(4, 2), (6, 3), (3, 3), (5, 1), (8, 4), (2, 2), (1, 1), (5, 5), (7, 3), (4, 4)]
    ):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        root = torch.randn(D, D, generator=generator, dtype=dtype)
        mean, A = (torch.randn(size, generator=generator, dtype=dtype) for size in ((D,), (M, D)))
        y = 2 * torch.randn(M, generator=generator, dtype=dtype)
        yield mean, root @ root.mT + 0.3 * torch.eye(D).to(A), A, [0.5, 1.5, 0.2, 3.0][n % 4], y


def gain(covariance: Tensor, A: Tensor, noise: float) -> Tensor:
    """Σ Aᵀ (A Σ Aᵀ + noise I)⁻¹."""
    S = A @ covariance @ A.mT + noise * torch.eye(len(A)).to(A)
    return torch.linalg.solve(S, A @ covariance).mT


EXERCISE = Exercise(
    solution=kalman_mean,
    cases=scans,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "standard deviation for variance",
            lambda mean, covariance, A, std, y: mean + gain(covariance, A, std) @ (y - A @ mean),
            "You are right where std is 1, and trust the scan by a wrong amount elsewhere.",
            "What is added to A Σ Aᵀ has the unit of a covariance: look at the noise.",
        ),
        Mistake(
            "noise left out",
            lambda mean, covariance, A, std, y: mean + gain(covariance, A, 0.0) @ (y - A @ mean),
            "Your reconstruction repeats the scan exactly, noise and all.",
            "Ask how much y would vary if x_0 stood still, and where that belongs.",
        ),
        Mistake(
            "mean left out",
            lambda mean, covariance, A, std, y: gain(covariance, A, std**2) @ (y - A @ mean),
            "If the scan is just what you expect, you return a picture of zeros.",
            "Ask what the best guess is when y says nothing new.",
        ),
        Mistake(
            "mean counted twice",
            lambda mean, covariance, A, std, y: mean + gain(covariance, A, std**2) @ y,
            "If the scan is just what you expect, you still move away from the mean.",
            "Only what is new in y should move the guess: compare y with what you expected to measure.",
        ),
        Mistake(
            "prior left out",
            lambda mean, covariance, A, std, y: torch.linalg.pinv(A) @ y,
            "Your picture follows from y and A alone; mean and covariance do not enter.",
            "Bayes' rule joins two sources, and the scan is only one of them.",
        ),
        Mistake(
            "correlations left out",
            lambda mean, covariance, A, std, y: (
                mean + gain(covariance.diagonal().diag(), A, std**2) @ (y - A @ mean)
            ),
            "You used the variances alone, as if pixels told nothing of each other.",
            "The entries off the diagonal are what fills in the pixels that no ray has seen.",
        ),
        Mistake(
            "adjoint for the gain",
            lambda mean, covariance, A, std, y: mean + covariance @ A.mT @ (y - A @ mean),
            "You spread the difference over the picture without weighing it; its size is off.",
            "Ask how much y − A mean varies, and divide by that.",
        ),
    ),
)
