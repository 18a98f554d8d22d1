"""Notebook 14, `karras_sigmas`: noise levels σ̄ for a run, evenly spaced in σ̄^(1/ρ)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "14_fast_samplers"


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """Noise levels σ̄ for a run, evenly spaced in σ̄^(1/ρ).

    steps ≥ 2 is how many levels to return. The first is sigma_max, the last is sigma_min (numbers, with
    0 < sigma_min < sigma_max), and between them σ̄^(1/rho) falls in equal steps; rho ≥ 1 is a number.
    Return the levels as a tensor [steps]. No level 0 at the end.
    """
    share = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return (high + share * (low - high)) ** rho


def grids(generator: torch.Generator) -> Iterator[Case]:
    """Levels within a factor of four, so that a power of them is no harder to compute than a root."""
    for n in range(11):
        low, ratio = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        low = (0.02, 0.5, 3.0)[n % 3] * (1 + low)
        yield 2 + 3 * n % 11, low, low * (2 + 2 * ratio), (7.0, 3.0, 2.0, 5)[n % 4]


def at_shares(share: Tensor, low: float, high: float, rho: float) -> Tensor:
    """Levels at these shares of the way down, evenly spaced in the root."""
    return (high ** (1 / rho) + share * (low ** (1 / rho) - high ** (1 / rho))) ** rho


EXERCISE = Exercise(
    solution=karras_sigmas,
    cases=grids,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "rising for falling",
            lambda steps, sigma_min, sigma_max, rho: at_shares(
                torch.linspace(0, 1, steps), sigma_max, sigma_min, rho
            ),
            "Your levels are right, in the opposite order.",
            "A sampler starts at the highest noise level.",
        ),
        Mistake(
            "even in sigma",
            lambda steps, sigma_min, sigma_max, rho: torch.linspace(sigma_max, sigma_min, steps),
            "Your levels are evenly spaced in σ̄ itself.",
            "Look at where rho comes in.",
        ),
        Mistake(
            "even in log SNR",
            lambda steps, sigma_min, sigma_max, rho: (
                sigma_max * (sigma_min / sigma_max) ** torch.linspace(0, 1, steps)
            ),
            "Your levels are evenly spaced in their logarithm.",
            "The logarithm is what very large rho would give; here rho is finite.",
        ),
        Mistake(
            "rho upside down",
            lambda steps, sigma_min, sigma_max, rho: at_shares(
                torch.linspace(0, 1, steps), sigma_min, sigma_max, 1 / rho
            ),
            "Your levels crowd together at the top; they should crowd at the bottom.",
            "Ask what is even: a power of σ̄, or a root of it.",
        ),
        Mistake(
            "last level missing",
            lambda steps, sigma_min, sigma_max, rho: at_shares(
                torch.arange(steps) / steps, sigma_min, sigma_max, rho
            ),
            "Your last level is above sigma_min.",
            "Between that many levels there is one gap less.",
        ),
        Mistake(
            "zero at the end",
            lambda steps, sigma_min, sigma_max, rho: torch.cat(
                [at_shares(torch.linspace(0, 1, steps), sigma_min, sigma_max, rho), torch.zeros(1)]
            ),
            "Your levels are right, with one more after them.",
            "The exercise ends at sigma_min; the sampler adds its last stop by itself.",
        ),
        Mistake(
            "power never taken",
            lambda steps, sigma_min, sigma_max, rho: torch.linspace(
                sigma_max ** (1 / rho), sigma_min ** (1 / rho), steps
            ),
            "You return the roots of the levels.",
            "Go back from the root to the level in the end.",
        ),
    ),
)
