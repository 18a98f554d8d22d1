"""The exercise `reverse_sde_step` of notebook 13."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "13_sde"


SHAPES = [(4, 2), (3, 3), (2, 1, 4, 4), (1, 3), (5, 1), (4, 4)]


def reverse_sde_step(
    x: Tensor, score: Tensor, a: float, g: float, u: float, s: float, noise: Tensor
) -> Tensor:
    """One Euler–Maruyama step of the reverse SDE, from the time u back to an earlier time s < u.

    x, score and noise have one shape, `[B, *D]`: the state at u, ∇ log q_u(x), and a draw from N(0, I). a
    and g are the two coefficients at u, as numbers; s is 0 or more. The reverse SDE is dx = [a x − g²
    score] du + g dω̄, with du < 0. Return the state at s, in the shape of x. A step that ends at s = 0 adds
    no noise.
    """
    h = u - s
    x = x - (a * x - g**2 * score) * h
    if s > 0:
        x = x + g * math.sqrt(h) * noise
    return x


def step_cases(generator: torch.Generator) -> Iterator[Case]:
    """Steps long and short, from u = 1 and below, some of them down to 0."""
    for n in range(12):
        shape, dtype = SHAPES[n % 6], torch.float32 if n % 5 == 4 else torch.float64
        x, score, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        high, part, a, g = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        u = 1.0 if n % 4 == 0 else 0.3 + 0.6 * high
        s = 0.0 if n % 3 == 2 else u * (0.2 + 0.7 * part)
        yield x, score, -3 * a, 0.3 + 2.5 * g, u, s, noise


def step_of(
    drift: Callable[[Tensor, Tensor, float, float], Tensor],
    spread: Callable[[float, float], float] = lambda g, h: g * h**0.5,
    sign: float = -1.0,
    last: bool = False,
) -> Callable[..., Tensor]:
    """A step with another drift, another width of the noise, another sign, or noise in the last step."""

    def function(x: Tensor, score: Tensor, a: float, g: float, u: float, s: float, noise: Tensor) -> Tensor:
        moved = x + sign * (u - s) * drift(x, score, a, g)
        return moved + spread(g, u - s) * noise if s > 0 or last else moved

    return function


def reverse_drift(x: Tensor, score: Tensor, a: float, g: float) -> Tensor:
    return a * x - g**2 * score


STEP_MISTAKES = (
    Mistake(
        "du with the wrong sign",
        step_of(reverse_drift, sign=1.0),
        "Your step moves x the wrong way along the drift; the noise is right.",
        "Time falls in this step: ask which sign du has.",
    ),
    Mistake(
        "missing square root",
        step_of(reverse_drift, lambda g, h: g * h),
        "Your noise is too weak, and the more so the shorter the step.",
        "The variance of a Brownian increment is the time it takes; ask what its standard deviation is.",
    ),
    Mistake(
        "variance for standard deviation",
        step_of(reverse_drift, lambda g, h: g**2 * h**0.5),
        "Your noise grows with g twice as fast as it should.",
        "Look at the power of g in front of the noise.",
    ),
    Mistake(
        "variance for standard deviation",
        step_of(reverse_drift, lambda g, h: g**2 * h),
        "You multiply the noise by its variance.",
        "Look at the powers of g and of the step in front of the noise.",
    ),
    Mistake(
        "the ODE's factor 1/2",
        step_of(lambda x, score, a, g: a * x - g**2 * score / 2),
        "Your drift is that of the ODE, and you add noise as well.",
        "The drift must also take back what the fresh noise spreads.",
    ),
    Mistake(
        "noise in the last step",
        step_of(reverse_drift, last=True),
        "Your step is right, unless it ends at s = 0.",
        "Ask what the last noise is good for, when nothing removes it any more.",
    ),
    Mistake(
        "score left out",
        step_of(lambda x, score, a, g: a * x),
        "Your step does not depend on the score.",
        "You use the drift of the forward SDE; look at what the way back adds to it.",
    ),
    Mistake(
        "score with the wrong sign",
        step_of(lambda x, score, a, g: a * x + g**2 * score),
        "Your step moves x away from where the density is high.",
        "Look at the sign in front of the score.",
    ),
    Mistake(
        "standard deviation for variance",
        step_of(lambda x, score, a, g: a * x - g * score),
        "The part of your drift with the score has the wrong size; the rest is right.",
        "Look at the power of g in front of the score.",
    ),
)


EXERCISE = Exercise(reverse_sde_step, step_cases, STEP_MISTAKES, NOTEBOOK)
