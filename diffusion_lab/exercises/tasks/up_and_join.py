"""The exercise `up_and_join` of notebook 07."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "07_unet"


# --- the way up
def up_and_join(h: Tensor, seen: Tensor) -> Tensor:
    """A step of the way up: make the image twice as wide, and join what was seen on the way down.

    h is [B, C, H, W]; seen is [B, S, 2 H, 2 W]. Each pixel of h becomes a square of four equal pixels, which
    gives [B, C, 2 H, 2 W]. Return [B, C + S, 2 H, 2 W]: the channels of the enlarged h first, then seen's.
    """
    wide = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return torch.cat([wide, seen], dim=1)


def levels(generator: torch.Generator) -> Iterator[Case]:
    """Images of several sizes, with as many channels on both sides, or more on one of them."""
    shapes = [(2, 3, 2, 2, 3), (1, 4, 3, 3, 2), (3, 2, 4, 4, 5), (2, 2, 2, 4, 2), (4, 1, 1, 2, 1)]
    for n in range(10):
        B, C, H, W, S = shapes[n % 5]
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        h = torch.randn((B, C, H, W), generator=generator, dtype=dtype)
        yield h, torch.randn((B, S, 2 * H, 2 * W), generator=generator, dtype=dtype)


UP_MISTAKES = (
    Mistake(
        "tiles for larger pixels",
        lambda h, seen: torch.cat([h.tile(2, 2), seen], dim=1),
        "Your enlarged image is four small copies of h side by side.",
        "Look at where the neighbours of the first pixel come from.",
    ),
    Mistake(
        "seen before h",
        lambda h, seen: torch.cat([seen, up_and_join(h, seen)[:, : h.shape[1]]], dim=1),
        "The channels are right, and their order is another one.",
        "Look at which of the two should come first.",
    ),
    Mistake(
        "sum for joining",
        lambda h, seen: up_and_join(h, seen)[:, : h.shape[1]] + seen,
        "You add the two images, so the next block cannot tell them apart.",
        "Look at how many channels the result should have.",
    ),
    Mistake(
        "joined along the wrong axis",
        lambda h, seen: torch.cat([up_and_join(h, seen)[:, : h.shape[1]], seen], dim=2),
        "Your images are joined along a side, not along their channels.",
        "Count which axis of [B, C, H, W] holds the channels.",
    ),
    Mistake(
        "smooth for equal pixels",
        lambda h, seen: torch.cat(
            [torch.nn.functional.interpolate(h, scale_factor=2, mode="bilinear"), seen], dim=1
        ),
        "Your enlarged image is smoothed: pixels lie between their neighbours in value.",
        "Each pixel should become four equal ones.",
    ),
    Mistake(
        "seen made smaller",
        lambda h, seen: torch.cat([h, torch.nn.functional.avg_pool2d(seen, 2)], dim=1),
        "You bring seen down to the size of h.",
        "Look at the size of the result: this is the way up.",
    ),
)


EXERCISE = Exercise(up_and_join, levels, UP_MISTAKES, NOTEBOOK)
