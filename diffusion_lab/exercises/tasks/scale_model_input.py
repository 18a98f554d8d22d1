"""The exercise `scale_model_input` of notebook 17."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "17_diffusers"


def scale_model_input(y: Tensor, sigma_bar: float) -> Tensor:
    """x_t, as the network was trained on it, from the state of their Euler and Heun schedulers.

    y is x_t / signal, `[B, *D]`; sigma_bar is the number sigma / signal; and signal² + sigma² = 1. Return
    x_t, `[B, *D]`.
    """
    return y / (1 + sigma_bar**2) ** 0.5


def states(generator: torch.Generator) -> Iterator[Case]:
    """States of several shapes at small, middle and large noise."""
    shapes = [(4, 2), (2, 1, 4, 4), (3, 3), (1, 5)]
    levels = [0.01, 0.3, 1.0, 3.0, 12.5, 157.0]
    for n in range(12):
        dtype = torch.float32 if n == 7 else torch.float64
        sigma_bar = levels[n % 6] * (0.9 + 0.2 * torch.rand((), generator=generator).item())
        y = (1 + sigma_bar) * torch.randn(shapes[n % 4], generator=generator, dtype=dtype)
        yield y, sigma_bar


EXERCISE = Exercise(
    solution=scale_model_input,
    cases=states,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square root",
            lambda y, sigma_bar: y / (1 + sigma_bar**2),
            "Your x_t has a variance below 1 at large noise.",
            "The sum under the line is a ratio of variances, and y is no variance.",
        ),
        Mistake(
            "the other way round",
            lambda y, sigma_bar: y * (1 + sigma_bar**2) ** 0.5,
            "Your x_t is larger than y, and should be smaller.",
            "You went from x_t to y; here it is the other way.",
        ),
        Mistake(
            "divided by the noise",
            lambda y, sigma_bar: y / sigma_bar,
            "At small noise your x_t is huge.",
            "At sigma_bar = 0 there is no noise, and x_t is y: check your formula there.",
        ),
        Mistake(
            "standard deviations added",
            lambda y, sigma_bar: y / (1 + sigma_bar),
            "Your x_t is too small where the noise is about as large as the signal.",
            "Ask what adds up for independent parts: variances, or standard deviations?",
        ),
        Mistake(
            "not scaled",
            lambda y, sigma_bar: y,
            "You return their state as it is.",
            "With sigma_bar = 157 the network would see numbers around 157: it never has.",
        ),
    ),
)
