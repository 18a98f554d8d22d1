"""Notebook 07, `film`: let a condition scale and shift each channel of an image."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "07_unet"


# --- scale and shift
def film(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Let a condition scale and shift each channel of an image.

    h is [B, C, H, W]; scale and shift are [B, C], one number for each channel of each example. Return
    h · (1 + scale) + shift, in the shape of h: all pixels of a channel are treated alike, and
    scale = shift = 0 leaves h as it is.
    """
    return h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


def channels(generator: torch.Generator) -> Iterator[Case]:
    """Images of several shapes, B = C = H = W among them."""
    shapes = [(2, 3, 4, 4), (3, 3, 3, 3), (1, 4, 2, 2), (4, 2, 4, 2), (2, 5, 1, 3)]
    for n in range(10):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        h = torch.randn(shapes[n % 5], generator=generator, dtype=dtype)
        scale, shift = (torch.randn(h.shape[:2], generator=generator, dtype=dtype) for _ in range(2))
        yield h, scale, shift


FILM_MISTAKES = (
    Mistake(
        "scale for 1 + scale",
        lambda h, scale, shift: torch.einsum("bchw,bc->bchw", h, scale) + shift[..., None, None],
        "With scale = 0 your image would vanish.",
        "Ask what a condition that says nothing should do to h.",
    ),
    Mistake(
        "scale and shift swapped",
        lambda h, scale, shift: film(h, shift, scale),
        "You multiply by what should be added, and the other way round.",
        "Say in words which of the two changes the contrast of a channel.",
    ),
    Mistake(
        "shift before scale",
        lambda h, scale, shift: film(h + shift[..., None, None], scale, 0 * shift),
        "Your shift is scaled, too.",
        "Look at the order of the two operations, and at your brackets.",
    ),
    Mistake(
        "condition along the last axes",
        lambda h, scale, shift: h * (1 + scale) + shift,
        "Your numbers belong to the pixels of an image, not to its channels, wherever the shapes allow it.",
        "Write the shapes of h and scale below each other, aligned at the right.",
    ),
    Mistake(
        "shift left out",
        lambda h, scale, shift: film(h, scale, 0 * shift),
        "Your shift has no effect.",
        "Look for the second of the two operations.",
    ),
)


EXERCISE = Exercise(film, channels, FILM_MISTAKES, NOTEBOOK)
