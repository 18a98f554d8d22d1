"""Notebook 26, `kl_of_axes`: which directions a linear VAE uses, and how much they say."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "26_rivals"


def kl_of_axes(eigenvalues: Tensor, variance: float, beta: float) -> Tensor:
    """The KL, in nats, that the best linear VAE pays along each principal axis of the data.

    eigenvalues [D] are the variances of the data along these axes; variance is that of the noise on x, s²,
    and beta the weight of the KL term. Return one number for each axis, [D]; 0 where the axis has collapsed.
    """
    return 0.5 * (eigenvalues / (beta * variance)).clamp(min=1).log()


def spectra(generator: torch.Generator) -> Iterator[Case]:
    """Eigenvalues on both sides of the level, at least one above it; s² and β on both sides of 1."""
    for n in range(12):
        D = [5, 1, 8, 3][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        variance, beta = [0.3, 1.5, 0.7][n % 3], [1.0, 0.4, 2.5, 4.0][n // 3]
        eigenvalues = (
            (2 * torch.randn(D, generator=generator, dtype=dtype)).exp().sort(descending=True).values
        )
        eigenvalues[0] = eigenvalues[0].clamp(min=1.5 * beta * variance)
        yield eigenvalues, variance, beta


def level(variance: float, beta: float) -> float:
    """Below this variance an axis collapses."""
    return beta * variance


EXERCISE = Exercise(
    solution=kl_of_axes,
    cases=spectra,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "nothing collapses",
            lambda eigenvalues, variance, beta: 0.5 * (eigenvalues / level(variance, beta)).log(),
            "Some of your numbers are below 0.",
            "No KL is: ask what the best encoder does along an axis that is not worth it.",
        ),
        Mistake(
            "weight left out",
            lambda eigenvalues, variance, beta: 0.5 * (eigenvalues / variance).clamp(min=1).log(),
            "Your numbers do not depend on beta.",
            "A larger weight makes every nat dearer: look at where it meets s².",
        ),
        Mistake(
            "weight on the other side",
            lambda eigenvalues, variance, beta: 0.5 * (eigenvalues * beta / variance).clamp(min=1).log(),
            "Your numbers rise with beta.",
            "A larger weight makes every nat dearer.",
        ),
        Mistake(
            "missing factor 1/2",
            lambda eigenvalues, variance, beta: (eigenvalues / level(variance, beta)).clamp(min=1).log(),
            "Your numbers are twice the right ones.",
            "It is the logarithm of a ratio of lengths, and eigenvalues are their squares.",
        ),
        Mistake(
            "bits for nats",
            lambda eigenvalues, variance, beta: (
                0.5 * (eigenvalues / level(variance, beta)).clamp(min=1).log2()
            ),
            "Your numbers are 1.44 times the right ones.",
            "Nats belong to the natural logarithm.",
        ),
        Mistake(
            "log of one plus the ratio",
            lambda eigenvalues, variance, beta: 0.5 * (eigenvalues / level(variance, beta)).log1p(),
            "Your numbers are a little above 0 even for the narrowest axis.",
            "Of the variance along an axis, the level's share is not sent at all.",
        ),
    ),
)
