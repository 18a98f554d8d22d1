"""The exercise `observed_order` of notebook 14."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "14_fast_samplers"


def observed_order(errors: Tensor) -> Tensor:
    """The order of a method, seen in its errors: one number for each doubling of the steps.

    errors [K] holds the errors of runs of N, 2N, 4N, … steps, K ≥ 2, all above 0. If the error falls like
    steps^(−p), then p is the order. Return the order that each run shows against the run before it: [K − 1].
    """
    return torch.log2(errors[:-1] / errors[1:])


def runs(generator: torch.Generator) -> Iterator[Case]:
    """Errors of two to six runs, of several orders, with some scatter."""
    for n in range(10):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        scatter = torch.rand(2 + n % 5, generator=generator, dtype=dtype)
        yield ((0.3 + n) * 2.0 ** (-(1 + n % 3) * torch.arange(2 + n % 5)) * (0.5 + scatter),)


EXERCISE = Exercise(
    solution=observed_order,
    cases=runs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "natural logarithm for log2",
            lambda errors: torch.log(errors[:-1] / errors[1:]),
            "Your orders are 0.69 times the right ones.",
            "Ask which power of 2, not of e, the error was divided by.",
        ),
        Mistake(
            "decimal logarithm for log2",
            lambda errors: torch.log10(errors[:-1] / errors[1:]),
            "Your orders are 0.30 times the right ones.",
            "Ask which power of 2, not of 10, the error was divided by.",
        ),
        Mistake(
            "missing logarithm",
            lambda errors: errors[:-1] / errors[1:],
            "A method whose error falls to a quarter has order 2; you say 4.",
            "You have the factor that the error falls by; the order is a power.",
        ),
        Mistake(
            "first run for the run before",
            lambda errors: torch.log2(errors[0] / errors[1:]),
            "Your first number is right, and those after it grow.",
            "Each run is compared with the one that had half as many steps.",
        ),
        Mistake(
            "one order for all doublings",
            lambda errors: torch.log2(errors[:-1] / errors[1:]).mean().expand(len(errors) - 1),
            "You return one value for all doublings, their mean.",
            "The exercise asks for one number for each doubling.",
        ),
    ),
)
