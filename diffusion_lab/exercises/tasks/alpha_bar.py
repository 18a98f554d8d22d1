"""Notebook 02, `alpha_bar`: the table of ᾱ, from the β of a variance-preserving schedule."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import cosine, linear
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "02_schedules"


def alpha_bar(beta: Tensor) -> Tensor:
    """The table of ᾱ, from the β of a variance-preserving schedule.

    beta holds β_1 … β_T, [T], each between 0 and 1; there is no β_0 in it. Return ᾱ_0 … ᾱ_T, [T + 1], where
    ᾱ_0 = 1 and ᾱ_t is the share of the data's variance that is left after t steps.
    """
    left = (1 - beta).cumprod(0)
    return torch.cat([torch.ones_like(left[:1]), left])


def tables_of_beta(generator: torch.Generator) -> Iterator[Case]:
    """Random β, two known schedules, one step alone; two dtypes."""
    yield (linear().beta[1:],)
    yield (cosine(30).beta[1:],)
    for n, T in enumerate((6, 3, 12, 1, 2, 40, 5, 9)):
        dtype = torch.float32 if n % 3 == 2 else torch.float64
        yield ((0.02 + 0.6 * torch.rand(T, generator=generator, dtype=torch.float64)).to(dtype),)


EXERCISE = Exercise(
    solution=alpha_bar,
    cases=tables_of_beta,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "beta for alpha_bar",
            lambda beta: torch.cat([torch.ones_like(beta[:1]), beta.cumprod(0)]),
            "Your table falls almost to 0 in a few steps.",
            "A β is what a step takes away: ask which shares have to be multiplied.",
        ),
        Mistake(
            "alpha for alpha_bar",
            lambda beta: torch.cat([torch.ones_like(beta[:1]), 1 - beta]),
            "Each of your entries is what one step keeps, and not what all steps so far have kept.",
            "Ask what two steps leave, if each of them keeps a half.",
        ),
        Mistake(
            "sum for product",
            lambda beta: torch.cat([torch.ones_like(beta[:1]), 1 - beta.cumsum(0)]),
            "Your table falls along the sum of the β, in the end below 0.",
            "Each step takes its share of what is left by then, and not of what there was at first.",
        ),
        Mistake(
            "no entry for t = 0",
            lambda beta: (1 - beta).cumprod(0),
            "Your table has T entries, and its first one belongs to t = 1.",
            "In this course entry t belongs to time t: ask what is left before the first step.",
        ),
        Mistake(
            "off by one in t",
            lambda beta: torch.cat([(1 - beta).cumprod(0), (1 - beta).prod()[None]]),
            "Your table is a step ahead: its entry 0 has taken the first step already.",
            "Ask what is left at t = 0.",
        ),
        Mistake(
            "square root of alpha_bar",
            lambda beta: alpha_bar(beta).sqrt(),
            "You return what is left of the amplitude, the table called signal.",
            "The question is the share of the variance.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda beta: 1 - alpha_bar(beta),
            "Your table rises from 0: it is the share of noise.",
            "The question is what is left of the data.",
        ),
    ),
)
