"""The exercise `extrapolate` of appendix A3."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A3_orders"


def extrapolate(coarse: Tensor, fine: Tensor, order: int) -> Tensor:
    """A better end from two runs of a method whose order is known (Richardson 1911).

    coarse is the end of a run of N steps, and fine that of a run of 2N: `[B, *D]` each. Let both be off by
    c δ^order for steps of length δ, with the same c. Return what is left when this error is removed:
    `[B, *D]`. order is 1, 2, …
    """
    return fine + (fine - coarse) / (2**order - 1)


def pairs_of_runs(generator: torch.Generator) -> Iterator[Case]:
    """Orders 1 to 4, several shapes, two dtypes."""
    shapes = [(3,), (2, 2), (4, 1, 2, 2)]
    for n in range(12):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        end, error = torch.randn(2, *shapes[n % 3], generator=generator, dtype=dtype)
        order = 1 + n % 4
        yield end + error, end + error * 2.0**-order + 0.01, order


EXERCISE = Exercise(
    solution=extrapolate,
    cases=pairs_of_runs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "−1 forgotten",
            lambda coarse, fine, order: fine + (fine - coarse) / 2**order,
            "You remove most of the error, and not all of it.",
            "Write both errors with c, and subtract: ask how often c δ^order is in the difference.",
        ),
        Mistake(
            "order for 2 to the order",
            lambda coarse, fine, order: fine + (fine - coarse) / order,
            "For order 1 you are right; from then on you add too much.",
            "Half the step makes the error smaller by a power of 2.",
        ),
        Mistake(
            "order 1 for all",
            lambda coarse, fine, order: 2 * fine - coarse,
            "For order 1 you are right; your answer does not depend on the order.",
            "Ask by how much the error shrinks when the step is halved.",
        ),
        Mistake(
            "coarse and fine swapped",
            lambda coarse, fine, order: coarse + (coarse - fine) / (2**order - 1),
            "You go on from the fine run to the coarse one and beyond: the error grows.",
            "Ask which of the two runs is nearer to the truth.",
        ),
        Mistake(
            "correction with the wrong sign",
            lambda coarse, fine, order: fine - (fine - coarse) / (2**order - 1),
            "You go back from the fine run towards the coarse one.",
            "From coarse to fine, the run went towards the truth: ask on which side of fine it lies.",
        ),
        Mistake(
            "mean of the two",
            lambda coarse, fine, order: (coarse + fine) / 2,
            "You return the middle of the two runs.",
            "Both are off to the same side, so the truth does not lie between them.",
        ),
    ),
)
