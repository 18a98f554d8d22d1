"""The exercise `vp_path` of notebook 13."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "13_sde"


def vp_path(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    """signal(u) and sigma(u) of the variance-preserving SDE, whose beta rises linearly.

    u [B] holds times in [0, 1]. beta(u) is a straight line, from beta_min at u = 0 to beta_max at u = 1.
    The SDE is dx = −½ beta(u) x du + √beta(u) dω. Its solution is x(u) = signal(u) x_0 + sigma(u) ε, with ε
    from N(0, I). Return the pair (signal, sigma), each of u's shape.
    """
    integral = beta_min * u + (beta_max - beta_min) * u**2 / 2
    signal = torch.exp(-integral / 2)
    sigma = torch.sqrt(1 - torch.exp(-integral))
    return signal, sigma


def vp_cases(generator: torch.Generator) -> Iterator[Case]:
    """Times at both ends and between, in two dtypes; slow, fast and constant betas."""
    rates = [(0.1, 20.0), (0.5, 8.0), (2.0, 2.0), (0.2, 3.0), (1.0, 5.0)]
    for n in range(10):
        dtype = torch.float32 if n % 5 == 3 else torch.float64
        u = 0.05 + 0.95 * torch.rand(1 + n % 4, generator=generator, dtype=dtype)
        if n % 3 == 1:
            u[0], u[-1] = 0, 1
        yield u, *rates[n % 5]


def path_of(rate: Callable[[Tensor, float, float], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The path that belongs to another integral of beta."""

    def function(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
        integral = rate(u, beta_min, beta_max)
        return (-integral / 2).exp(), (-torch.expm1(-integral)).sqrt()

    return function


def whole_exponent(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    signal, sigma = vp_path(u, beta_min, beta_max)
    return signal**2, sigma


def whole_exponent_in_both(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    signal, _ = vp_path(u, beta_min, beta_max)
    return signal**2, (1 - signal**4).sqrt()


def variance_of_path(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    """The mistake: variance for standard deviation."""
    signal, sigma = vp_path(u, beta_min, beta_max)
    return signal, sigma**2


def swapped_path(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    """The mistake: signal and sigma swapped."""
    signal, sigma = vp_path(u, beta_min, beta_max)
    return sigma, signal


HALF = "missing factor 1/2"


FASTER = "Your signal fades faster than the SDE lets it fade."


VP_MISTAKES = (
    Mistake(
        "variance for standard deviation",
        variance_of_path,
        "Your signal is right, but your sigma is too small wherever it lies between 0 and 1.",
        "Ask of your second line whether it gives the variance of the noise or its standard deviation.",
    ),
    Mistake(
        HALF, whole_exponent, FASTER, "Compare your exponent with the drift of the SDE, factor by factor."
    ),
    Mistake(
        HALF,
        whole_exponent_in_both,
        FASTER,
        "Compare your exponent with the drift of the SDE, factor by factor.",
    ),
    Mistake(
        HALF,
        path_of(lambda u, low, high: low * u + (high - low) * u**2),
        "Your path is right where beta is constant, and too fast where beta rises.",
        "Look at the integral of a straight line: beta was smaller before u than it is at u.",
    ),
    Mistake(
        "beta for its integral",
        path_of(lambda u, low, high: low + (high - low) * u),
        "At u = 0 your path already holds noise.",
        "What fades the signal is all of beta from 0 up to u, not its value at u.",
    ),
    Mistake(
        "beta_max for the rise of beta",
        path_of(lambda u, low, high: low * u + high * u**2 / 2),
        "Your path goes a little too fast, most of all where beta_min is large.",
        "Check what your beta(u) is at u = 1.",
    ),
    Mistake(
        "signal and sigma swapped",
        swapped_path,
        "At u = 0 your first result is 0 and your second is 1.",
        "Ask which of the two starts at 1.",
    ),
)


EXERCISE = Exercise(vp_path, vp_cases, VP_MISTAKES, NOTEBOOK)
