"""The exercise `expectation` of appendix A1."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A1_quadrature"


def expectation(f: Callable[[Tensor], Tensor], mean: float, std: float, z: Tensor, weights: Tensor) -> Tensor:
    """The expectation of f(x) for x ~ N(mean, std²), by a rule for N(0, 1).

    f maps [n] to [n]. The rule's places z [n] and weights [n] are such that the sum of weights · g(z) is the
    expectation of g(z) for z ~ N(0, 1); the weights sum to 1. mean and std are numbers. Return one number.
    """
    return (weights * f(mean + std * z)).sum()


def rules(generator: torch.Generator) -> Iterator[Case]:
    """Six functions, three rules, several means and standard deviations."""
    root = 3**0.5
    two = torch.tensor([-1.0, 1.0]).double(), torch.tensor([0.5, 0.5]).double()
    three = torch.tensor([-root, 0.0, root]).double(), torch.tensor([1 / 6, 2 / 3, 1 / 6]).double()
    ends = torch.tensor([-2.0, 0.0, 2.0]).double(), torch.tensor([1 / 8, 3 / 4, 1 / 8]).double()
    functions = [torch.exp, torch.sin, torch.square, torch.sigmoid, torch.cos, lambda x: x**3 - x]
    for n in range(12):
        mean, std = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        yield functions[n % 6], mean - 0.3, 0.4 + 2 * std, *(three, ends, three, two)[n % 4]


EXERCISE = Exercise(
    solution=expectation,
    cases=rules,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda f, mean, std, z, weights: (weights * f(mean + std**2 * z)).sum(),
            "Your places spread by the variance.",
            "Ask what turns a draw from N(0, 1) into one from N(mean, std²).",
        ),
        Mistake(
            "mean left out",
            lambda f, mean, std, z, weights: (weights * f(std * z)).sum(),
            "Your answer does not depend on the mean.",
            "The places belong to N(0, 1), and x has another centre.",
        ),
        Mistake(
            "not scaled",
            lambda f, mean, std, z, weights: (weights * f(mean + z)).sum(),
            "Your answer does not depend on the standard deviation.",
            "The places belong to N(0, 1), and x has another width.",
        ),
        Mistake(
            "weights left out",
            lambda f, mean, std, z, weights: f(mean + std * z).mean(),
            "You return a plain mean: all places count alike.",
            "Places far out are rare, and the rule says how rare.",
        ),
        Mistake(
            "function of the mean",
            lambda f, mean, std, z, weights: f((weights * (mean + std * z)).sum()),
            "You return f at the mean of x.",
            "The mean of f and f of the mean differ, unless f is a straight line: ask which comes first.",
        ),
        Mistake(
            "result scaled, not the places",
            lambda f, mean, std, z, weights: mean + std * (weights * f(z)).sum(),
            "You take the expectation of f(z), then shift and scale it.",
            "Shift and scale what goes into f.",
        ),
    ),
)
