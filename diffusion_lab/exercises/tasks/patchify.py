"""Notebook 24, `patchify`: a picture as a row of patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "24_architectures"


def patchify(x: Tensor, patch: int) -> Tensor:
    """Cut pictures x [B, C, H, W] into patches of patch × patch pixels, each a row of numbers.

    Return [B, N, C · patch²], N = (H / patch) · (W / patch). Patches come in reading order: the uppermost row
    of them from left to right, then the next row. Within a patch all of the first channel comes first, again
    in reading order, then the second channel. Both sides of x divide by patch.
    """
    B, C, H, W = x.shape
    cut = x.reshape(B, C, H // patch, patch, W // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(B, (H // patch) * (W // patch), C * patch**2)


def pictures(generator: torch.Generator) -> Iterator[Case]:
    """Pictures of several shapes, wide ones and high ones, B = C = patch among them; two dtypes."""
    shapes = [
        (2, 2, 4, 4, 2),
        (1, 3, 4, 6, 2),
        (3, 1, 6, 3, 3),
        (3, 3, 6, 6, 3),
        (2, 1, 4, 8, 4),
        (2, 2, 2, 3, 1),
    ]
    for n in range(12):
        *shape, patch = shapes[n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        yield torch.randn(shape, generator=generator, dtype=dtype), patch


def permuted(*order: int) -> Callable[[Tensor, int], Tensor]:
    """The cut picture, its six axes in another order: rows of patches are axis 2, rows of pixels axis 3."""

    def function(x: Tensor, patch: int) -> Tensor:
        B, C, H, W = x.shape
        cut = x.reshape(B, C, H // patch, patch, W // patch, patch)
        return cut.permute(*order).reshape(B, -1, C * patch**2)

    return function


def far_apart(x: Tensor, patch: int) -> Tensor:
    """A patch of pixels that are H / patch rows and W / patch columns apart."""
    B, C, H, W = x.shape
    cut = x.reshape(B, C, patch, H // patch, patch, W // patch)
    return cut.permute(0, 3, 5, 1, 2, 4).reshape(B, -1, C * patch**2)


EXERCISE = Exercise(
    solution=patchify,
    cases=pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "reshape alone",
            lambda x, patch: x.reshape(len(x), -1, x.shape[1] * patch**2),
            "Your rows hold the numbers in the order in which they lie in memory: pieces of lines.",
            "A reshape never moves a number; ask which axes must change places, and make them axes first.",
        ),
        Mistake(
            "column by column",
            permuted(0, 4, 2, 1, 3, 5),
            "Your patches are right, and come in columns.",
            "Look at which of the two axes of patches runs faster.",
        ),
        Mistake(
            "axes transposed",
            permuted(0, 2, 4, 1, 5, 3),
            "Each of your patches is mirrored along its diagonal.",
            "Look at the order of rows and columns inside a patch.",
        ),
        Mistake(
            "channels last",
            permuted(0, 2, 4, 3, 5, 1),
            "In your patches the channels of a pixel stand side by side.",
            "Look at where the channel's axis ends up.",
        ),
        Mistake(
            "pixels far apart",
            far_apart,
            "The pixels of one of your patches are not neighbours.",
            "When an axis is split in two, ask which of the two runs faster.",
        ),
    ),
)
