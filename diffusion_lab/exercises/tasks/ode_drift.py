"""Notebook 13, `ode_drift`: the velocity dx/du of the probability-flow ODE."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "13_sde"


SHAPES = [(4, 2), (3, 3), (2, 1, 4, 4), (1, 3), (5, 1), (4, 4)]


HALF = "missing factor 1/2"


def ode_drift(x: Tensor, score: Tensor, a: Tensor, g: Tensor) -> Tensor:
    """The velocity dx/du of the probability-flow ODE.

    x and score have one shape, `[B, *D]`; score is ∇ log q_u(x). a and g have the shape [B]: example i is at
    a time of its own, where the SDE is dx = a[i] x du + g[i] dω. Return dx/du, in the shape of x.
    """
    a = a.reshape(-1, *[1] * (x.ndim - 1))
    g = g.reshape(-1, *[1] * (x.ndim - 1))
    return a * x - g**2 / 2 * score


def drift_cases(generator: torch.Generator) -> Iterator[Case]:
    """Batches of several shapes, B = D among them; every example has its own a and g."""
    for n in range(12):
        shape, dtype = SHAPES[n % 6], torch.float32 if n % 5 == 4 else torch.float64
        x, score = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        a = -3 * torch.rand(shape[0], generator=generator, dtype=dtype)
        yield x, score, a, 0.3 + 3 * torch.rand(shape[0], generator=generator, dtype=dtype)


def drift_of(
    formula: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """A formula in x, score, a and g, the latter two in the right shape."""

    def function(x: Tensor, score: Tensor, a: Tensor, g: Tensor) -> Tensor:
        shape = [len(x)] + [1] * (x.ndim - 1)
        return formula(x, score, a.view(shape), g.view(shape))

    return function


DRIFT_MISTAKES = (
    Mistake(
        HALF,
        drift_of(lambda x, score, a, g: a * x - g * g * score),
        "The part with the score is twice what it should be: this is the drift of the reverse SDE.",
        "Compare the last lines of the two derivations.",
    ),
    Mistake(
        "standard deviation for variance",
        drift_of(lambda x, score, a, g: a * x - g * score / 2),
        "The part with the score is too small where g is above 1, and too large below.",
        "Look at the power of g: noise with the factor g has which variance?",
    ),
    Mistake(
        "score with the wrong sign",
        drift_of(lambda x, score, a, g: a * x + g * g * score / 2),
        "The part with a is right, and the part with the score has the other sign.",
        "Ask which way x should go along the score when u falls, and what that means for dx/du.",
    ),
    Mistake(
        "t along the last axis",
        lambda x, score, a, g: a * x - g**2 / 2 * score,
        "It works for one example, fails for most shapes, and is silently wrong where B = D.",
        "The shape [B] meets the last axis of x, not the first one.",
    ),
    Mistake(
        "drift left out",
        drift_of(lambda x, score, a, g: -(g**2) * score / 2),
        "Your velocity has no part that comes from a.",
        "Without noise, dx/du would be a x; ask what became of it.",
    ),
    Mistake(
        "x left out of the drift",
        drift_of(lambda x, score, a, g: a - g**2 * score / 2),
        "The part with the score is right; what comes from a does not depend on x.",
        "Read the drift of the SDE once more: it is linear in x.",
    ),
)


EXERCISE = Exercise(ode_drift, drift_cases, DRIFT_MISTAKES, NOTEBOOK)
