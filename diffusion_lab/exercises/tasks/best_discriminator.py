"""Notebook 26, `best_discriminator`: what a GAN's discriminator says at best."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "26_rivals"


def best_discriminator(log_data: Tensor, log_drawn: Tensor, share: float) -> Tensor:
    """The probability that x is real, as the best discriminator would say it.

    log_data and log_drawn are the log densities of the data and of the generator's draws at N points x, in
    nats, [N]. Of all points that the discriminator is shown, `share` are real: between 0 and 1, and ½ in a
    GAN's training. Return the probabilities, [N].
    """
    return torch.sigmoid(log_data - log_drawn + math.log(share / (1 - share)))


def densities(generator: torch.Generator) -> Iterator[Case]:
    """Densities above and below 1, some far apart; many shares, ½ and its neighbours on both sides."""
    for n in range(12):
        N = [5, 1, 8, 3][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        log_data, log_drawn = (3 * torch.randn(N, generator=generator, dtype=dtype) for _ in range(2))
        if n == 7:  # far from both, as most of a picture's space is
            log_data, log_drawn = log_data - 900, log_drawn - 900
        yield log_data, log_drawn, [0.5, 0.2, 0.9, 0.35][n // 3]


EXERCISE = Exercise(
    solution=best_discriminator,
    cases=densities,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "share left out",
            lambda log_data, log_drawn, share: torch.sigmoid(log_data - log_drawn),
            "Your probability does not depend on share.",
            "Ask what to say where both densities are equal, and nine of ten points are real.",
        ),
        Mistake(
            "data and draws swapped",
            lambda log_data, log_drawn, share: torch.sigmoid(
                log_drawn - log_data + math.log((1 - share) / share)
            ),
            "Your probability is large where draws are likelier than data.",
            "Ask of which of the two it is the probability.",
        ),
        Mistake(
            "share of the draws",
            lambda log_data, log_drawn, share: torch.sigmoid(
                log_data - log_drawn + math.log((1 - share) / share)
            ),
            "Your probability falls where more of the points are real.",
            "Look at which of the two densities share belongs to.",
        ),
        Mistake(
            "logit for probability",
            lambda log_data, log_drawn, share: log_data - log_drawn + math.log(share / (1 - share)),
            "Your values lie outside 0 … 1.",
            "This is what the network puts out; the question is what it means.",
        ),
        Mistake(
            "log density for density",
            lambda log_data, log_drawn, share: (
                share * log_data / (share * log_data + (1 - share) * log_drawn)
            ),
            "You put logarithms where densities belong.",
            "Bayes' rule weighs densities; their logarithms are added, not weighed.",
        ),
        Mistake(
            "underflow",
            lambda log_data, log_drawn, share: (
                share * log_data.exp() / (share * log_data.exp() + (1 - share) * log_drawn.exp())
            ),
            "Where both densities are tiny, you divide 0 by 0.",
            "Only their ratio counts: take the difference of the logarithms first.",
        ),
    ),
)
