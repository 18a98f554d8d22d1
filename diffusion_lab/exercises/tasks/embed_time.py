"""Notebook 07, `embed_time`: the time as a vector of cosines and sines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "07_unet"


# --- the time as a vector
def embed_time(t: Tensor, dim: int) -> Tensor:
    """The time as a vector of cosines and sines.

    t [B] holds times, whole numbers or floats; dim is an even number, and half = dim/2. Frequency i is
    10 000 to the power −i/half, for i = 0, 1, …, half − 1, and angle i is t times frequency i, in radians.
    Return [B, dim], floating-point: first the half cosines of the angles, then their half sines.
    """
    half = dim // 2
    frequency = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = t.double()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1).float()


def times(generator: torch.Generator) -> Iterator[Case]:
    """Whole and real times from 0 to 50, few and many, and several lengths of the vector."""
    for n, (B, dim) in enumerate(
        [(5, 8), (4, 4), (1, 6), (3, 16), (8, 8), (2, 2), (6, 32), (1, 10), (16, 16)]
    ):
        whole = torch.randint(0, 51, (B,), generator=generator)
        real = whole + torch.rand(B, generator=generator)
        t = whole if n % 3 else real
        t[0] = (0, 50, 1)[n % 3] if B > 1 else 17
        yield t, dim


def embedding(
    exponent: Callable[[int], Tensor],
    join: Callable[[Tensor, Tensor], Tensor] | None = None,
    turn: float = 1.0,
) -> Callable[[Tensor, int], Tensor]:
    """An embedding with other exponents of 10 000, or another order of cosines and sines."""

    def function(t: Tensor, dim: int) -> Tensor:
        angle = turn * t.double()[:, None] * 10_000 ** exponent(dim // 2).double()
        parts = angle.cos(), angle.sin()
        return (torch.cat(parts, dim=1) if join is None else join(*parts)).float()

    return function


def usual(half: int) -> Tensor:
    """The exponents as they should be."""
    return -torch.arange(half).double() / half


TIME_MISTAKES = (
    Mistake(
        "sines before cosines",
        embedding(usual, lambda cos, sin: torch.cat([sin, cos], dim=1)),
        "The two halves of your vectors are swapped.",
        "Look at what the first entry should be at t = 0.",
    ),
    Mistake(
        "cosines and sines in turn",
        embedding(usual, lambda cos, sin: torch.stack([cos, sin], dim=2).flatten(1)),
        "Your numbers are right, and their order is another one.",
        "Look at how the cosines and the sines are put together.",
    ),
    Mistake(
        "half − 1 for half",
        embedding(lambda half: -torch.arange(half).double() / max(half - 1, 1)),
        "Your lowest frequency is 1/10 000, whatever dim is.",
        "Look at the number by which i is divided.",
    ),
    Mistake(
        "dim for half",
        embedding(lambda half: -torch.arange(half).double() / (2 * half)),
        "Your frequencies fall too slowly.",
        "Look at the number by which i is divided.",
    ),
    Mistake(
        "wavelength for frequency",
        embedding(lambda half: torch.arange(half).double() / half),
        "Your angles grow with i.",
        "Look at the sign of the exponent: the first frequency is the highest.",
    ),
    Mistake(
        "turns for radians",
        embedding(usual, turn=2 * torch.pi),
        "Your angles are 2π times too large.",
        "The product of time and frequency is already an angle in radians.",
    ),
    Mistake(
        "off by one in i",
        embedding(lambda half: -torch.arange(1, half + 1).double() / half),
        "Your first frequency is not 1.",
        "Ask from which number i counts.",
    ),
)


EXERCISE = Exercise(embed_time, times, TIME_MISTAKES, NOTEBOOK)
