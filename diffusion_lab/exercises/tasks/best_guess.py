"""Notebook 04, `best_guess`: the best guess at x for each y, in the mean square: E[x|y]."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "04_best_denoiser"


def best_guess(joint: Tensor, values: Tensor) -> Tensor:
    """The best guess at x for each y, in the mean square: E[x|y].

    joint is a table of probabilities, [K, M], that add up to 1: joint[i, j] = P(x = values[i] and y = j).
    values holds the K numbers that x can be, [K]. Return [M]: entry j is E[x | y = j].
    """
    return (values[:, None] * joint).sum(0) / joint.sum(0)


def joint_tables(generator: torch.Generator) -> Iterator[Case]:
    """Tables of several sizes, square ones among them; two dtypes."""
    for n in range(12):
        K, M = [(4, 3), (3, 3), (2, 5), (5, 5), (3, 2), (4, 1)][n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        joint = (0.02 + torch.rand((K, M), generator=generator, dtype=torch.float64) ** 2).to(dtype)
        yield joint / joint.sum(), 2 * torch.randn(K, generator=generator, dtype=dtype) + 0.5


EXERCISE = Exercise(
    solution=best_guess,
    cases=joint_tables,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "joint for conditional",
            lambda joint, values: values @ joint,
            "Your values are too small: for one y the weights do not add up to 1.",
            "Ask what turns P(x and y) into P(x given y).",
        ),
        Mistake(
            "guess without y",
            lambda joint, values: (values @ joint.sum(1)).expand(joint.shape[1]),
            "You return one and the same guess for every y.",
            "That is E[x], the best guess of somebody who does not see y.",
        ),
        Mistake(
            "mode for mean",
            lambda joint, values: values[joint.argmax(0)],
            "You return the most probable x for each y.",
            "The most probable value may be far off at times: ask what makes the mean square small.",
        ),
        Mistake(
            "values along the last axis",
            lambda joint, values: (values * joint).sum(0) / joint.sum(0),
            "Your values of x run along the axis of y.",
            "Rows of joint belong to x: look at the axis that values is matched with.",
        ),
        Mistake(
            "given x instead of y",
            lambda joint, values: values @ (joint / joint.sum(1, keepdim=True)),
            "Your weights are P(y given x).",
            "For one y they have to add up to 1: look at the axis that you sum over.",
        ),
        Mistake(
            "plain average",
            lambda joint, values: values.mean().expand(joint.shape[1]),
            "Your guess counts all values of x alike.",
            "Ask where the probabilities come in.",
        ),
    ),
)
