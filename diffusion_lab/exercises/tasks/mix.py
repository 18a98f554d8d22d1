"""Notebook 01, `mix`: data and noise, mixed: signal times x0 plus sigma times noise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake

NOTEBOOK = "01_start_here"


Value = float | Tensor


def weights(generator: torch.Generator) -> tuple[float, float]:
    """A pair (signal, sigma) with signal² + sigma² = 1, neither of them close to 0."""
    angle = 0.25 + 1.05 * torch.rand((), generator=generator, dtype=torch.float64)
    return angle.cos().item(), angle.sin().item()


def numbers_and_pictures(generator: torch.Generator) -> Iterator[tuple[Value, Value, float, float]]:
    """Two numbers, or two pictures of one shape, and how much of each."""
    for n in range(12):
        shape = [(), (), (), (3, 1, 4, 4), (4, 4), (1, 3)][n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        a, b = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        if shape:
            yield a, b, *weights(generator)
        else:
            yield a.item(), b.item(), *weights(generator)


def mix(x0: Value, noise: Value, signal: float, sigma: float) -> Value:
    """Data and noise, mixed: signal times x0 plus sigma times noise.

    x0 and noise are two numbers, or two tensors of one shape; signal and sigma are numbers. Return the
    mixture x_t, a number or a tensor like x0.
    """
    return signal * x0 + sigma * noise


EXERCISE = Exercise(
    solution=mix,
    cases=numbers_and_pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "signal and sigma swapped",
            lambda x0, noise, signal, sigma: sigma * x0 + signal * noise,
            "Where there should be most of the data, you have most of the noise.",
            "Look at which of signal and sigma stands before x0.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda x0, noise, signal, sigma: signal * x0 + sigma**2 * noise,
            "Your noise is too weak.",
            "Look at the factor of noise: nothing has to be squared.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda x0, noise, signal, sigma: signal**2 * x0 + sigma * noise,
            "Your mixture holds too little of the data.",
            "Look at the factor of x0: nothing has to be squared.",
        ),
        Mistake(
            "data not shrunk",
            lambda x0, noise, _signal, sigma: x0 + sigma * noise,
            "Your mixture holds all of the data.",
            "Look at the factor of x0.",
        ),
        Mistake(
            "noise not scaled",
            lambda x0, noise, signal, _sigma: signal * x0 + noise,
            "Your mixture holds all of the noise.",
            "Look at the factor of noise.",
        ),
    ),
)
