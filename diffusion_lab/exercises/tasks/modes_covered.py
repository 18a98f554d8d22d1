"""Notebook 26, `modes_covered`: how many modes of a mixture were drawn at all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "26_rivals"


def modes_covered(x: Tensor, modes: Tensor, std: float, least: float) -> int:
    """How many modes have at least the share `least` of all draws within 3 standard deviations.

    x [N, D] are the draws, modes [K, D] the centers of round Gaussians of standard deviation std, far apart
    from each other. A draw that is near no mode counts among the N all the same. Return a whole number.
    """
    near = torch.cdist(x, modes) <= 3 * std
    share = near.double().mean(0)
    return int((share >= least).sum())


def clouds(generator: torch.Generator) -> Iterator[Case]:
    """Unequal numbers of draws at each mode, none at some, strays between them; D from 1 to 3.

    A draw at 3.2 standard deviations is no longer near, one at 2.8 still is.
    """
    for n in range(16):
        D, K, N = [(2, 9, 200), (1, 5, 60), (3, 8, 300), (2, 4, 40)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        std, least = [0.05, 0.2, 1.0][n % 3], [0.05, 0.02, 0.1, 0.15][n // 4]
        places = torch.randperm(10**D, generator=generator)[:K]
        modes = torch.stack([places // 10**d % 10 for d in range(D)], 1).to(dtype) * 20 * std
        weight = torch.rand(K, generator=generator).double() ** 2 + 0.02
        which = torch.multinomial(weight, N, replacement=True, generator=generator)
        away = torch.randn(N, D, generator=generator, dtype=dtype)
        length = torch.rand(N, 1, generator=generator, dtype=dtype)
        radius = torch.where(length < 0.5, 2.8 * length / 0.5, torch.where(length < 0.8, 3.2, 5.0))
        x = modes[which] + std * radius * away / away.norm(dim=1, keepdim=True)
        yield x, modes, std, least


def counts(x: Tensor, modes: Tensor, reach: float) -> Tensor:
    """How many draws lie within `reach` of each mode."""
    return (torch.cdist(x, modes) <= reach).sum(0)


EXERCISE = Exercise(
    solution=modes_covered,
    cases=clouds,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "any draw counts",
            lambda x, modes, std, least: int((counts(x, modes, 3 * std) > 0).sum()),
            "A single draw is enough for you.",
            "Look at the argument that you have not used.",
        ),
        Mistake(
            "the nearest mode, however far",
            lambda x, modes, std, least: int(
                (
                    torch.bincount(torch.cdist(x, modes).argmin(1), minlength=len(modes)) >= least * len(x)
                ).sum()
            ),
            "With you a draw between the modes belongs to one of them.",
            "Look at how near a draw must be.",
        ),
        Mistake(
            "share of the draws that are near",
            lambda x, modes, std, least: int(
                (counts(x, modes, 3 * std) >= least * counts(x, modes, 3 * std).sum()).sum()
            ),
            "You leave the strays out of N.",
            "The share is one of all draws: with most of them astray, few modes are covered.",
        ),
        Mistake(
            "one standard deviation for three",
            lambda x, modes, std, least: int((counts(x, modes, std) >= least * len(x)).sum()),
            "Your circles are too small.",
            "Look at how far from its center a mode reaches.",
        ),
        Mistake(
            "radius of a square",
            lambda x, modes, std, least: int(
                (((x[:, None] - modes).abs() <= 3 * std).all(2).double().mean(0) >= least).sum()
            ),
            "You look at each coordinate by itself.",
            "A round Gaussian has a radius: the distance takes all coordinates together.",
        ),
        Mistake(
            "share for count",
            lambda x, modes, std, least: (counts(x, modes, 3 * std) >= least * len(x)).double().mean().item(),
            "You return a share of the modes.",
            "The question is how many.",
        ),
    ),
)
