"""The exercise `variance_of_run` of appendix A4."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A4_patched_noise"


def variance_of_run(ends: Tensor, prior: float) -> Tensor:
    """The variance of what a linear sampler ends in, from one run with one-hot noise.

    The end is a + b · x_T + the sum of c_k z_k, with x_T ~ N(0, prior) and z_k ~ N(0, 1), all independent.
    ends [N + 2] are the ends of a batch: row 0 had x_T = 0 and no noise; row 1 had x_T = 1 and no noise; each
    further row had x_T = 0 and a single z_k = 1. prior is the variance of x_T. Return one number.
    """
    b, c = ends[1] - ends[0], ends[2:] - ends[0]
    return b**2 * prior + (c**2).sum()


def batches(generator: torch.Generator) -> Iterator[Case]:
    """2 to 9 steps; priors of 1 and others; two dtypes."""
    for n in range(12):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        ends = torch.randn(4 + n % 8, generator=generator, dtype=dtype) + 0.5
        yield ends, (1.0, 2.25, 0.36)[n % 3]


EXERCISE = Exercise(
    solution=variance_of_run,
    cases=batches,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "mean not subtracted",
            lambda ends, prior: ends[1] ** 2 * prior + (ends[2:] ** 2).sum(),
            "You take the rows for the coefficients. Row 0 is in each of them.",
            "Each row is a plus one coefficient: ask which row knows a.",
        ),
        Mistake(
            "sum without squares",
            lambda ends, prior: (ends[1] - ends[0]) * prior + (ends[2:] - ends[0]).sum(),
            "You add the coefficients.",
            "Ask for the variance of c z if z has the variance 1.",
        ),
        Mistake(
            "standard deviations added",
            lambda ends, prior: (
                (((ends[1] - ends[0]) * prior**0.5).abs() + (ends[2:] - ends[0]).abs().sum()) ** 2
            ),
            "You add standard deviations, and square the sum.",
            "The noises are independent: ask what adds up.",
        ),
        Mistake(
            "prior left out",
            lambda ends, prior: ((ends[1:] - ends[0]) ** 2).sum(),
            "Where prior is 1 you are right.",
            "Row 1 shows what one unit of x_T does: ask how wide x_T is.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda ends, prior: ((ends[1] - ends[0]) * prior) ** 2 + ((ends[2:] - ends[0]) ** 2).sum(),
            "Where prior is 1 you are right. You square prior.",
            "The prior is a variance already.",
        ),
        Mistake(
            "spread of the rows",
            lambda ends, prior: ends.var(),
            "You return the variance of the rows, as if they were samples.",
            "The rows are a recipe, and no sample: each shows what one unit of one noise does.",
        ),
        Mistake(
            "start left out",
            lambda ends, prior: ((ends[2:] - ends[0]) ** 2).sum(),
            "Your sum has the noises of the steps only.",
            "The start x_T was drawn, too.",
        ),
    ),
)
