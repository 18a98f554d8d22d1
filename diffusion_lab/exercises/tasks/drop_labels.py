"""Notebook 06, `drop_labels`: the labels that the network is shown."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "06_training"


# --- labels
def drop_labels(label: Tensor, hidden: Tensor, null: int) -> Tensor:
    """The labels that the network is shown.

    label [B] holds whole numbers from 0 to null − 1, one class for each example; hidden [B] holds True where
    the label must not be seen; null is one whole number, the index that means "no class". Return [B]: null
    where hidden is True, and the label everywhere else. Leave label itself as it is.
    """
    return torch.where(hidden, null, label)


def labels(generator: torch.Generator) -> Iterator[Case]:
    """Few and many labels, with none hidden, some, and all."""
    for n, B in enumerate((6, 1, 10, 3, 8, 1, 12, 5, 7, 9)):
        null = (10, 4, 10, 3, 26)[n % 5]
        label = torch.randint(null, (B,), generator=generator)
        share = (0.4, 1.0, 0.3, 0.5, 0.5, 0.0, 0.2, 1.0, 0.0, 0.6)[n]
        yield label, torch.rand(B, generator=generator) < share, null


LABEL_MISTAKES = (
    Mistake(
        "mask the wrong way round",
        lambda label, hidden, null: torch.where(hidden, label, null),
        "You hide the labels that should be seen, and show those that should be hidden.",
        "Say in words what it means that an entry of hidden is True.",
    ),
    Mistake(
        "class 0 for no class",
        lambda label, hidden, _: label * ~hidden,
        "Where a label is hidden, you return 0, and 0 is a class like any other.",
        "Look at which number stands for no class here.",
    ),
    Mistake(
        "last class for no class",
        lambda label, hidden, null: torch.where(hidden, null - 1, label),
        "Where a label is hidden, you return the last of the classes.",
        "Count the classes from 0, and ask which index comes after them.",
    ),
    Mistake(
        "−1 for no class",
        lambda label, hidden, _: torch.where(hidden, -1, label),
        "Where a label is hidden, you return −1, which an embedding reads as its last row or not at all.",
        "Look at which number stands for no class here.",
    ),
    Mistake(
        "all labels hidden",
        lambda label, _, null: torch.full_like(label, null),
        "You hide every label.",
        "Ask how the network could then learn what a class looks like.",
    ),
    Mistake(
        "hidden examples left out",
        lambda label, hidden, _: label[~hidden],
        "Your result is shorter than label: the hidden examples are gone.",
        "An example whose label is hidden stays in the batch; ask what it is there for.",
    ),
)


EXERCISE = Exercise(drop_labels, labels, LABEL_MISTAKES, NOTEBOOK)
