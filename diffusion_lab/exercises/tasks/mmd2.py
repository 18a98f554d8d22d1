"""The exercise `mmd2` of notebook 16."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "16_metrics"


def mmd2(kernel_aa: Tensor, kernel_bb: Tensor, kernel_ab: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of two sets, estimated without bias from their kernel matrices.

    kernel_aa [N, N] holds k(a_i, a_j) of all pairs of the first set; kernel_bb [M, M] those of the second
    set; kernel_ab [N, M] holds k(a_i, b_j). N and M are at least 2. The pairs of a point with itself are left
    out.
    Return one number, E k(a, a′) + E k(b, b′) − 2 E k(a, b). It may be below 0.
    """
    N, M = len(kernel_aa), len(kernel_bb)
    within_a = (kernel_aa.sum() - kernel_aa.trace()) / (N * (N - 1))
    within_b = (kernel_bb.sum() - kernel_bb.trace()) / (M * (M - 1))
    return within_a + within_b - 2 * kernel_ab.mean()


def kernel_matrices(generator: torch.Generator) -> Iterator[Case]:
    """The cubic kernel and a Gaussian one; sets of several sizes, equal ones too."""
    for n, (N, M) in enumerate([(5, 3), (4, 4), (2, 7), (3, 2), (8, 8), (2, 2), (6, 9), (10, 4), (3, 3)]):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        a, b = (torch.randn(size, 3, generator=generator, dtype=dtype) for size in (N, M))
        b = 0.7 * b + 1 + n % 2
        pairs = (a, a), (b, b), (a, b)
        if n % 3 == 2:
            yield tuple(torch.exp(-(torch.cdist(x, y) ** 2) / 2) for x, y in pairs)
        else:
            yield tuple((x @ y.mT / 3 + 1) ** 3 for x, y in pairs)


def of_pairs(k: Tensor) -> Tensor:
    """The mean over the pairs of different points."""
    return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))


def cross_without_diagonal(kernel_aa: Tensor, kernel_bb: Tensor, kernel_ab: Tensor) -> Tensor:
    """The mistake: diagonal of the cross term left out."""
    left = kernel_ab.numel() - min(kernel_ab.shape)
    return (
        of_pairs(kernel_aa) + of_pairs(kernel_bb) - 2 * (kernel_ab.sum() - kernel_ab.diagonal().sum()) / left
    )


EXERCISE = Exercise(
    solution=mmd2,
    cases=kernel_matrices,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "pairs of a point with itself",
            lambda kernel_aa, kernel_bb, kernel_ab: (
                kernel_aa.mean() + kernel_bb.mean() - 2 * kernel_ab.mean()
            ),
            "Your estimate is too high, the more so the smaller the sets are.",
            "Look at the diagonals of kernel_aa and kernel_bb.",
        ),
        Mistake(
            "pairs of a point with itself",
            lambda kernel_aa, kernel_bb, kernel_ab: (
                (kernel_aa.sum() - kernel_aa.trace()) / len(kernel_aa) ** 2
                + (kernel_bb.sum() - kernel_bb.trace()) / len(kernel_bb) ** 2
                - 2 * kernel_ab.mean()
            ),
            "You left the diagonals out of the sums, but not out of the counts.",
            "Ask how many pairs of different points a set has.",
        ),
        Mistake(
            "missing factor 2",
            lambda kernel_aa, kernel_bb, kernel_ab: (
                of_pairs(kernel_aa) + of_pairs(kernel_bb) - kernel_ab.mean()
            ),
            "For two equal sets your result would not be near 0.",
            "Two terms pull up: look at how often the third one is subtracted.",
        ),
        Mistake(
            "root of the result",
            lambda kernel_aa, kernel_bb, kernel_ab: (
                of_pairs(kernel_aa) + of_pairs(kernel_bb) - 2 * kernel_ab.mean()
            ).sqrt(),
            "You return the discrepancy; its square was asked for.",
            "Ask what becomes of an estimate below 0.",
        ),
        Mistake(
            "diagonal of the cross term left out",
            cross_without_diagonal,
            "You left the diagonal out of all three matrices.",
            "Ask whether a_i and b_i are one point.",
        ),
        Mistake(
            "sum for mean",
            lambda kernel_aa, kernel_bb, kernel_ab: (
                kernel_aa.sum()
                - kernel_aa.trace()
                + kernel_bb.sum()
                - kernel_bb.trace()
                - 2 * kernel_ab.sum()
            ),
            "Your result grows with the number of points.",
            "Each of the three terms is a mean over pairs.",
        ),
        Mistake(
            "half of the pairs",
            lambda kernel_aa, kernel_bb, kernel_ab: (
                of_pairs(kernel_aa) / 2 + of_pairs(kernel_bb) / 2 - 2 * kernel_ab.mean()
            ),
            "Your two terms within a set are half as large as they should be.",
            "The sum counts (i, j) and (j, i): see that the number of pairs does so too.",
        ),
    ),
)
