"""Notebook 22, `latent_scale`: the number that gives latents the size of the noise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "22_latents"


def latent_scale(z: Tensor) -> Tensor:
    """The scale factor of latents: scale · z has the standard deviation 1, over all its numbers together.

    z [N, C, h, w] are the latents of N pictures; their mean need not be 0. One number serves all channels.
    Standard deviations are torch's, which divide by "count − 1". Return one number.
    """
    return 1 / z.std()


def latents(generator: torch.Generator) -> Iterator[Case]:
    """Large and small latents, with another mean and size for each channel and for each picture."""
    for n in range(12):
        N, C, side = [(5, 4, 4), (3, 2, 2), (2, 4, 3), (4, 1, 2)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        each = 0.5 + torch.rand(N, C, 1, 1, generator=generator, dtype=dtype)
        z = each * torch.randn(N, C, side, side, generator=generator, dtype=dtype)
        yield (
            [0.2, 1.5, 5.5][n % 3] * (z + torch.randn(1, C, 1, 1, generator=generator, dtype=dtype) - 0.4),
        )


EXERCISE = Exercise(
    solution=latent_scale,
    cases=latents,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "ratio upside down",
            lambda z: z.std(),
            "Your number is large where the latents are large.",
            "It is multiplied with z: large latents need a small one.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda z: 1 / z.var(),
            "You divide by a variance.",
            "Look at the unit: twice as large latents need half the scale.",
        ),
        Mistake(
            "a scale for each channel",
            lambda z: 1 / z.std((0, 2, 3)),
            "You return a number for each channel.",
            "One number serves all: so the channels keep their sizes relative to each other.",
        ),
        Mistake(
            "averaged over the pictures",
            lambda z: 1 / z.flatten(1).std(1).mean(),
            "You average the standard deviations of single pictures.",
            "Pictures also differ in their means, and this is a part of the spread.",
        ),
        Mistake(
            "root mean square for standard deviation",
            lambda z: 1 / z.square().mean().sqrt(),
            "Your number changes if all latents are shifted.",
            "Look at what a standard deviation subtracts first.",
        ),
        Mistake(
            "a number of other data",
            lambda z: torch.full((), 0.18215, dtype=z.dtype),
            "You return 0.18215 whatever z is.",
            "That number was measured on the latents of Stable Diffusion's autoencoder: measure your own.",
        ),
    ),
)
