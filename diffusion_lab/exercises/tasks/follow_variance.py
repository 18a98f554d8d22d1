"""The exercise `follow_variance` of appendix A4."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A4_patched_noise"


def follow_variance(var: float, slopes: Tensor, drawn: Tensor) -> Tensor:
    """The variance of a state, followed through all steps of a sampler.

    var is its variance at the start. In step k the state becomes a constant plus slopes[k] times the state
    plus fresh noise of the variance drawn[k]. slopes [N] and drawn [N] are in the order of the steps. Return
    the variance at the end, one number.
    """
    now = torch.as_tensor(var).to(drawn)
    for slope, fresh in zip(slopes, drawn, strict=True):
        now = slope**2 * now + fresh
    return now


def _followed(var: float, slopes: Tensor, drawn: Tensor) -> Tensor:
    """The slope itself for its square."""
    return follow_variance(var, slopes.sqrt(), drawn)


def _shrunk(var: float, slopes: Tensor, drawn: Tensor) -> Tensor:
    """The slope in front of the fresh noise, too."""
    return follow_variance(var, slopes, slopes**2 * drawn)


def steps(generator: torch.Generator) -> Iterator[Case]:
    """1 to 6 steps, with slopes on both sides of 1; two dtypes; some last steps draw nothing."""
    for n in range(12):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        slopes, drawn = torch.rand(2, 1 + n % 6, generator=generator, dtype=dtype)
        drawn[-1] *= n % 4 != 3
        yield (1.0, 0.25, 3.0)[n % 3], 0.5 + slopes, drawn


EXERCISE = Exercise(
    solution=follow_variance,
    cases=steps,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square",
            _followed,
            "You multiply the variance by the slope.",
            "Twice the state has four times the variance.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda var, slopes, drawn: follow_variance(var, slopes, drawn**2),
            "You square the variance of the noise.",
            "The entries of drawn are variances already.",
        ),
        Mistake(
            "noise left out",
            lambda var, slopes, drawn: var * (slopes**2).prod(),
            "You follow what was there at the start, and draw nothing.",
            "Each step brings fresh noise.",
        ),
        Mistake(
            "old noise not shrunk",
            lambda var, slopes, drawn: var * (slopes**2).prod() + drawn.sum(),
            "You add up the noises as they were drawn.",
            "The noise of an early step goes through all later ones.",
        ),
        Mistake(
            "steps in the reverse order",
            lambda var, slopes, drawn: follow_variance(var, slopes.flip(0), drawn.flip(0)),
            "You are right for one step. You start with the last one.",
            "The noise of the first step is shrunk most often.",
        ),
        Mistake(
            "fresh noise shrunk, too",
            _shrunk,
            "The noise of a step is multiplied by the slope of the same step.",
            "Ask what the slope stands in front of: the state before the step, or after it.",
        ),
        Mistake(
            "the last step only",
            lambda var, slopes, drawn: slopes[-1] ** 2 * var + drawn[-1],
            "Your answer depends on the last slope alone.",
            "Each step starts with the variance that the one before it left.",
        ),
    ),
)
