"""Notebook 02, `log_snr`: the logarithm of the signal-to-noise ratio, in nats."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "02_schedules"


def log_snr(signal: Tensor, sigma: Tensor) -> Tensor:
    """The logarithm of the signal-to-noise ratio, in nats.

    signal and sigma are the two tables of a schedule, or parts of them, of one shape [N]; sigma is above 0
    everywhere, and so is signal. The ratio is that of the two variances. Return [N].
    """
    return 2 * (signal / sigma).log()


def parts_of_tables(generator: torch.Generator) -> Iterator[Case]:
    """Tables of four schedules, and single entries; two dtypes."""
    makers = [linear(100), cosine(50), quadratic(30), sigmoid(20)]
    for n in range(12):
        schedule = makers[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        t = torch.randint(1, schedule.T + 1, (1 + 3 * (n % 3),), generator=generator)
        t = t if n > 3 else torch.arange(1, schedule.T + 1)
        yield schedule.signal[t].to(dtype), schedule.sigma[t].to(dtype)


EXERCISE = Exercise(
    solution=log_snr,
    cases=parts_of_tables,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square",
            lambda signal, sigma: signal.log() - sigma.log(),
            "Your values are half of the right ones: the logarithm of a ratio of amplitudes.",
            "The ratio is that of the variances; λ in Lu's papers is half of it, as yours.",
        ),
        Mistake(
            "missing logarithm",
            lambda signal, sigma: (signal / sigma) ** 2,
            "You return the ratio itself.",
            "Ask for its logarithm: it must be 0 where signal and noise are equally strong.",
        ),
        Mistake(
            "bits for nats",
            lambda signal, sigma: 2 * (signal / sigma).log2(),
            "Your values are 1.44 times too large.",
            "Nats belong to the natural logarithm.",
        ),
        Mistake(
            "decibels for nats",
            lambda signal, sigma: 20 * (signal / sigma).log10(),
            "Your values are 4.34 times too large: they are decibels.",
            "Nats belong to the natural logarithm, without a factor of ten.",
        ),
        Mistake(
            "share for ratio",
            lambda signal, sigma: (signal**2 / (signal**2 + sigma**2)).log(),
            "Your values are never above 0, even where there is hardly any noise.",
            "Look at the denominator: signal against noise, and not against everything.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda signal, sigma: (signal**2 / sigma).log(),
            "Your ratio compares a variance with an amplitude.",
            "Look at which of the two tables you have squared.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda signal, sigma: 4 * (signal.log() - sigma.log()),
            "Your values are twice the right ones.",
            "The tables hold amplitudes: ask how often they have to be squared.",
        ),
    ),
)
