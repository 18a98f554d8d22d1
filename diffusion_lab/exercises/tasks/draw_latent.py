"""Notebook 22, `draw_latent`: a draw from what the encoder says."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "22_latents"


def draw_latent(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw z of q(z|x) = N(mean, variance), made from noise ~ N(0, I), so that gradients reach the encoder.

    The encoder says mean and log_variance, the natural logarithm of the variance. All three have one shape
    `[B, *D]`.
    Return z, of this shape.
    """
    return mean + (log_variance / 2).exp() * noise


def encoded(generator: torch.Generator) -> Iterator[Case]:
    """Variances from 0.0005 to 3; several shapes, B = D among them; two dtypes."""
    for n in range(12):
        shape = [(2, 4, 2, 2), (3, 3), (5, 2), (1, 6)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        mean, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        log_variance = 1 - 8.5 * torch.rand(shape, generator=generator, dtype=dtype)
        yield mean, log_variance, noise


EXERCISE = Exercise(
    solution=draw_latent,
    cases=encoded,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda mean, log_variance, noise: mean + log_variance.exp() * noise,
            "You multiply the noise with the variance.",
            "Noise of variance 1, multiplied with a number, has the square of that number as its variance.",
        ),
        Mistake(
            "logarithm not undone",
            lambda mean, log_variance, noise: mean + log_variance * noise,
            "You multiply the noise with a logarithm, which may be negative.",
            "The network's second output is log σ²: undo the logarithm first.",
        ),
        Mistake(
            "logarithm of the standard deviation",
            lambda mean, log_variance, noise: mean + (log_variance / 2) * noise,
            "You multiply the noise with half a logarithm.",
            "Half of log σ² is log σ, and one thing is still to be done to it.",
        ),
        Mistake(
            "wrong sign in the exponent",
            lambda mean, log_variance, noise: mean + (-log_variance / 2).exp() * noise,
            "Your noise is large where the encoder is certain.",
            "Look at the sign of the exponent.",
        ),
        Mistake(
            "noise left out",
            lambda mean, log_variance, noise: mean.clone(),
            "You return the mean: nothing is drawn.",
            "Look at what you do with noise.",
        ),
        Mistake(
            "mean left out",
            lambda mean, log_variance, noise: (log_variance / 2).exp() * noise,
            "Your draws lie around 0.",
            "Look at what you do with mean.",
        ),
    ),
)
