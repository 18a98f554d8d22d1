"""The exercise `langevin_step` of notebook 13."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "13_sde"


SHAPES = [(4, 2), (3, 3), (2, 1, 4, 4), (1, 3), (5, 1), (4, 4)]


HALF = "missing factor 1/2"


def langevin_step(x: Tensor, eps: Tensor, sigma: float, rate: float, noise: Tensor) -> Tensor:
    """One step of Langevin dynamics at a fixed noise level, with the step size δ = rate · sigma².

    x, eps and noise have one shape, `[B, *D]`: the state, the prediction ε̂ of the noise in it, and a fresh
    draw from N(0, I). sigma is the standard deviation of the noise at this level; rate is a number. With
    score = −eps/sigma, the step is x ← x + ½ δ score + √δ noise. Return the new state, in the shape of x.
    """
    delta = rate * sigma**2
    score = -eps / sigma
    return x + delta / 2 * score + math.sqrt(delta) * noise


def langevin_cases(generator: torch.Generator) -> Iterator[Case]:
    """Noise levels and rates above and below 1."""
    for n in range(10):
        shape, dtype = SHAPES[n % 6], torch.float32 if n % 5 == 3 else torch.float64
        x, eps, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        one, two = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        yield x, eps, 0.2 + (4 if n % 2 else 0.6) * one, 0.1 + (2 if n % 3 else 0.3) * two, noise


def langevin_of(
    move: Callable[[Tensor, float, float], Tensor],
    width: Callable[[float, float], float] = lambda sigma, rate: sigma * rate**0.5,
) -> Callable[[Tensor, Tensor, float, float, Tensor], Tensor]:
    """A step with another move, in eps, sigma and rate, or another width of the noise."""

    def function(x: Tensor, eps: Tensor, sigma: float, rate: float, noise: Tensor) -> Tensor:
        return x + move(eps, sigma, rate) + width(sigma, rate) * noise

    return function


def right_move(eps: Tensor, sigma: float, rate: float) -> Tensor:
    return -rate * sigma * eps / 2


LANGEVIN_MISTAKES = (
    Mistake(
        HALF,
        langevin_of(lambda eps, sigma, rate: -rate * sigma * eps),
        "You move twice as far along the score as you should; the noise is right.",
        "Compare the two factors in which the step size stands.",
    ),
    Mistake(
        "the other convention of the step size",
        langevin_of(
            lambda eps, sigma, rate: -rate * sigma * eps, lambda sigma, rate: sigma * (2 * rate) ** 0.5
        ),
        "Your step is Langevin dynamics, with a step size twice as large as asked for.",
        "Some papers write 2 δ under the root; look at how the task does it.",
    ),
    Mistake(
        "missing square root",
        langevin_of(right_move, lambda sigma, rate: rate * sigma**2),
        "Your noise has the wrong width; the move along the score is right.",
        "Ask what the variance of the added noise should be.",
    ),
    Mistake(
        "noise left out",
        langevin_of(right_move, lambda sigma, rate: 0.0),
        "Your step draws no noise: it only climbs.",
        "Without noise all points would end on the peaks of the density.",
    ),
    Mistake(
        "score with the wrong sign",
        langevin_of(lambda eps, sigma, rate: rate * sigma * eps / 2),
        "You move away from where the density is high.",
        "Ask which sign there is between eps and the score.",
    ),
    Mistake(
        "eps for score",
        langevin_of(lambda eps, sigma, rate: rate * sigma**2 * eps / 2),
        "You move along eps itself.",
        "Two things turn eps into the score: a sign and a number.",
    ),
    Mistake(
        "eps for score",
        langevin_of(lambda eps, sigma, rate: -rate * sigma**2 * eps / 2),
        "You move the right way, and too far wherever sigma is above 1.",
        "Ask what eps must be divided by.",
    ),
    Mistake(
        "standard deviation for variance",
        langevin_of(lambda eps, sigma, rate: -rate * eps / 2, lambda sigma, rate: (rate * sigma) ** 0.5),
        "Your step size goes with sigma, not with its square.",
        "A step size is a variance; look at your first line.",
    ),
)


EXERCISE = Exercise(langevin_step, langevin_cases, LANGEVIN_MISTAKES, NOTEBOOK)
