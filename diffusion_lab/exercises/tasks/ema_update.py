"""Notebook 06, `ema_update`: the moving average of the weights, after one more step of training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "06_training"


# --- the moving average
def ema_update(average: Tensor, weight: Tensor, decay: float, n: int) -> Tensor:
    """The moving average of the weights, after one more step of training.

    average and weight have one shape; weight is what training has just made of the weights; decay is a number
    between 0 and 1, and n the number of updates so far, from 0. At first the average must be quick: use
    d = min(decay, (1 + n)/(10 + n)). Return d parts of the average and 1 − d parts of weight, in their shape.
    Leave average itself as it is.
    """
    d = min(decay, (1 + n) / (10 + n))
    return d * average + (1 - d) * weight


def averages(generator: torch.Generator) -> Iterator[Case]:
    """Weights of several shapes, early and late in training."""
    for n in range(12):
        shape = [(3, 4), (5,), (2, 1, 3, 3), (1,)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        average, weight = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        yield average, weight, (0.999, 0.9, 0.5)[n % 3], (0, 3, 20, 1, 100, 6, 0, 40, 1000, 12, 80, 5000)[n]


OFF_BY_ONE_N = "Your d belongs to another n, one step away.", "Ask what n is at the very first update."


EMA_MISTAKES = (
    Mistake(
        "decay and 1 − decay swapped",
        lambda average, weight, decay, n: average + min(decay, (1 + n) / (10 + n)) * (weight - average),
        "Late in training your average follows the newest weights and forgets the rest.",
        "Ask which of the two parts should be close to 1 when decay is 0.999.",
    ),
    Mistake(
        "no warm-up",
        lambda average, weight, decay, _: decay * average + (1 - decay) * weight,
        "Your first updates are as slow as all others, so the average hangs on to the untrained weights.",
        "Look at what d is for small n.",
    ),
    Mistake(
        "warm-up without end",
        lambda average, weight, _, n: weight + (1 + n) / (10 + n) * (average - weight),
        "Your average grows slower and slower: decay has no say in it.",
        "Look at what d is for large n.",
    ),
    Mistake(
        "maximum for minimum",
        lambda average, weight, decay, n: weight + max(decay, (1 + n) / (10 + n)) * (average - weight),
        "Your average is too slow at the start and at the end.",
        "Of the two numbers for d, ask which should win for small n, and which for large n.",
    ),
    Mistake(
        "off by one in n",
        lambda average, weight, decay, n: weight + min(decay, (2 + n) / (11 + n)) * (average - weight),
        *OFF_BY_ONE_N,
    ),
    Mistake(
        "off by one in n",
        lambda average, weight, decay, n: weight + min(decay, n / (9 + n)) * (average - weight),
        *OFF_BY_ONE_N,
    ),
    Mistake(
        "average left as it was",
        lambda average, *_: average.clone(),
        "You return the average as it came in.",
        "Ask where weight takes part in your result.",
    ),
)


EXERCISE = Exercise(ema_update, averages, EMA_MISTAKES, NOTEBOOK)
