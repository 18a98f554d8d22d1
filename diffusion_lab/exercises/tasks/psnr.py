"""Notebook 19, `psnr`: the squared error in decibels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "19_super_resolution"


def psnr(x: Tensor, truth: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of pictures in [−1, 1], in decibels: 10 log₁₀(range² / squared error).

    The range is the distance from black to white. The squared error is the mean over all numbers of x and
    truth, which have one shape `[B, *D]`. Return one number.
    """
    return 10 * (4 / ((x - truth) ** 2).mean()).log10()


def pairs(generator: torch.Generator) -> Iterator[Case]:
    """Pictures and guesses of them, good ones and bad ones; several shapes, B = D among them; two dtypes."""
    for n in range(12):
        shape = [(2, 1, 4, 4), (3, 3), (5, 2), (1, 6)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        truth = 2 * torch.rand(shape, generator=generator, dtype=dtype) - 1
        size = [0.02, 0.1, 0.5][n % 3]
        error = size * (torch.randn(shape, generator=generator, dtype=dtype) + 0.3)
        yield (truth + error), truth


EXERCISE = Exercise(
    solution=psnr,
    cases=pairs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "data range 1 for 2",
            lambda x, truth: psnr(x, truth) - 10 * torch.tensor(4.0).log10(),
            "Your number is 6.02 dB too low, always.",
            "Look at the range: the data here is in [−1, 1], not in [0, 1].",
        ),
        Mistake(
            "range not squared",
            lambda x, truth: psnr(x, truth) - 10 * torch.tensor(2.0).log10(),
            "Your number is 3.01 dB too low, always.",
            "The error is squared: ask what has to be squared with it.",
        ),
        Mistake(
            "natural logarithm",
            lambda x, truth: 10 * (4 / ((x - truth) ** 2).mean()).log(),
            "Your numbers are 2.3 times too large.",
            "Look at the base of the logarithm.",
        ),
        Mistake(
            "root of the error",
            lambda x, truth: 10 * (4 / ((x - truth) ** 2).mean().sqrt()).log10(),
            "You divide by the root of the mean squared error.",
            "A factor of 20 would go with the root, if the range is not squared either: look at yours.",
        ),
        Mistake(
            "absolute value for square",
            lambda x, truth: 10 * (4 / (x - truth).abs().mean()).log10(),
            "You divide by the mean absolute error.",
            "Look at what is done to the differences before the mean.",
        ),
        Mistake(
            "sum for mean",
            lambda x, truth: 10 * (4 / ((x - truth) ** 2).sum()).log10(),
            "Your number falls with the number of pixels.",
            "Look at what you do with all the squares.",
        ),
        Mistake(
            "the picture's own maximum",
            lambda x, truth: 10 * (truth.max() ** 2 / ((x - truth) ** 2).mean()).log10(),
            "Your range depends on the picture.",
            "The peak is that of the data's format, the same for a dark picture and for a bright one.",
        ),
    ),
)
