"""Notebook 12, `bits_per_dim`: bits per dimension of each example, from its nats."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "12_bits"


def bits_per_dim(nats: Tensor, x0: Tensor) -> Tensor:
    """Bits per dimension of each example, from its nats.

    nats [B] is what each example costs as a whole; x0 `[B, *D]` are the examples. A dimension is one number
    of an example: one pixel of a grey image, one colour of a pixel of a coloured one. Return [B].
    """
    return nats / (x0[0].numel() * math.log(2))


def costs(generator: torch.Generator) -> Iterator[Case]:
    """Costs of points, grey and coloured images."""
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 5), (6, 3, 4, 4), (1, 1, 8, 8), (3, 7)]
    for n, shape in enumerate(shapes):
        dtype = torch.float32 if n == 5 else torch.float64
        nats = 50 * torch.rand(shape[:1], generator=generator, dtype=dtype) - 5
        yield nats, torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1


EXERCISE = Exercise(
    solution=bits_per_dim,
    cases=costs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "nats for bits",
            lambda nats, x0: nats / x0[0].numel(),
            "Your result is in nats per dimension.",
            "A bit is the larger unit or the smaller one: look for the logarithm of 2.",
        ),
        Mistake(
            "ln 2 on the wrong side",
            lambda nats, x0: nats * math.log(2) / x0[0].numel(),
            "Your result is too small by the square of ln 2.",
            "A bit is less than a nat, so a message has more bits than nats.",
        ),
        Mistake(
            "sum for mean",
            lambda nats, x0: nats / math.log(2),
            "Your result is in bits per example.",
            "Ask how many numbers share the cost of one example.",
        ),
        Mistake(
            "whole batch for one example",
            lambda nats, x0: nats / (x0.numel() * math.log(2)),
            "Your result becomes smaller with each example in the batch.",
            "Ask how many numbers ONE example has.",
        ),
        Mistake(
            "last axis for all axes",
            lambda nats, x0: nats / (x0.shape[-1] * math.log(2)),
            "You are right for points, and wrong for images.",
            "An image has as many numbers as all its axes together say.",
        ),
        Mistake(
            "channels left out",
            lambda nats, x0: nats / (x0[0].numel() / (x0.shape[1] if x0.ndim > 2 else 1) * math.log(2)),
            "You are right for grey images, and wrong for coloured ones.",
            "Each colour of a pixel counts as a dimension.",
        ),
    ),
)
