"""Notebook 25, `block_multiply_adds`: the work of a block of a transformer."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "25_cost"


def block_multiply_adds(N: int, d: int) -> int:
    """The multiply-adds of one block of a DiT for one picture of N tokens with d features.

    Its products are: the linear layer from d to 3 d features for q, k and v of each token; q kᵀ, from [N, d]
    and [d, N]; weights times v, from [N, N] and [N, d]; the linear layer from d to d after the attention; the
    two layers of the MLP, from d to 4 d and back; and for the condition, once for the picture, a linear layer
    from d to 6 d. Return a whole number.
    """
    return 12 * d**2 * N + 2 * N**2 * d + 6 * d**2


def sizes(generator: torch.Generator) -> Iterator[Case]:
    """Blocks of many sizes, N = d among them."""
    for n in range(14):
        N, d = (int(torch.randint(3, 300, (), generator=generator)) for _ in range(2))
        yield N, (N if n % 5 == 4 else d)


EXERCISE = Exercise(
    solution=block_multiply_adds,
    cases=sizes,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "additions counted too",
            lambda N, d: 2 * (12 * d**2 * N + 2 * N**2 * d + 6 * d**2),
            "Your number is twice the right one.",
            "A multiplication and its addition count as one here.",
        ),
        Mistake(
            "weights times v left out",
            lambda N, d: 12 * d**2 * N + N**2 * d + 6 * d**2,
            "You have counted one of the two products of N × N numbers.",
            "Attention compares, and then it collects.",
        ),
        Mistake(
            "attention left out",
            lambda N, d: 12 * d**2 * N + 6 * d**2,
            "Your work grows like N alone.",
            "In two of the products N stands on both sides.",
        ),
        Mistake(
            "one layer of the MLP",
            lambda N, d: 8 * d**2 * N + 2 * N**2 * d + 6 * d**2,
            "You miss 4 d² for each token.",
            "The MLP goes out, and back.",
        ),
        Mistake(
            "condition for every token",
            lambda N, d: 18 * d**2 * N + 2 * N**2 * d,
            "You count the condition's layer for each token.",
            "All tokens of a picture share one condition.",
        ),
        Mistake(
            "condition left out",
            lambda N, d: 12 * d**2 * N + 2 * N**2 * d,
            "You miss a part that does not grow with N.",
            "Look for the layer that is not told any token.",
        ),
        Mistake(
            "N and d swapped",
            lambda N, d: 12 * N**2 * d + 2 * d**2 * N + 6 * d**2,
            "The parts with d² and with N² have changed places.",
            "Ask which products mix features, and which mix tokens.",
        ),
    ),
)
