"""The exercise `diffusers_table` of notebook 17."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "17_diffusers"


def diffusers_table(schedule: NoiseSchedule) -> Tensor:
    """The table alphas_cumprod that diffusers would have for a schedule of ours.

    Our schedule has T + 1 entries, for t = 0 … T: schedule.signal, schedule.sigma, schedule.alpha_bar.
    Their table begins with the first noisy time. Return its T numbers.
    """
    return schedule.signal[1:] ** 2


def whole_schedules(generator: torch.Generator) -> Iterator[Case]:
    """Schedules of several lengths and kinds, one of them bent at random."""
    for T in (1, 2, 10, 50):
        yield (linear(T, 0.01, 0.3),)
        yield (cosine(T),)
    yield (quadratic(20),)
    yield (sigmoid(30),)
    beta = 0.05 + 0.3 * torch.rand(12, generator=generator, dtype=torch.float64)
    yield (NoiseSchedule.from_beta(beta),)


EXERCISE = Exercise(
    solution=diffusers_table,
    cases=whole_schedules,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "off by one in t",
            lambda schedule: schedule.alpha_bar[:-1],
            "Your table begins with 1, which is the clean data.",
            "Their t = 0 is already noisy: ask which of our times it is.",
        ),
        Mistake(
            "one entry too many",
            lambda schedule: schedule.alpha_bar,
            "Your table has T + 1 entries, and theirs has T.",
            "Ask which of our times they do not have.",
        ),
        Mistake(
            "square root for its square",
            lambda schedule: schedule.signal[1:],
            "Your numbers are the square roots of theirs.",
            "The name of their table says what is multiplied: α, not its root.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda schedule: schedule.sigma[1:] ** 2,
            "Your table rises, and theirs falls.",
            "Look at which of our two tables is the share of the data.",
        ),
        Mistake(
            "alpha for alpha_bar",
            lambda schedule: schedule.alpha[1:],
            "Your numbers are those of single steps.",
            "Look at the second half of the name alphas_cumprod.",
        ),
    ),
)
