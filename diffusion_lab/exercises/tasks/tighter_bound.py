"""The exercise `tighter_bound` of appendix A2."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A2_dequantisation"


def tighter_bound(log_weights: Tensor) -> Tensor:
    """A bound on −log P(x_0) from several draws, in nats (Burda et al. 2016, eq. 8): one number per example.

    log_weights [K, B] holds log p(x_u) p(x_0|x_u)/q(x_u|x_0) for K draws of x_u for each of B examples. The
    mean of the K weights (not of their logarithms) estimates P(x_0). Return minus its logarithm: [B]. The
    weights themselves may be too small for a float.
    """
    return math.log(len(log_weights)) - log_weights.logsumexp(0)


def draws(generator: torch.Generator) -> Iterator[Case]:
    """1 to 8 draws for 1 to 6 examples; some weights underflow in float64."""
    for n in range(12):
        K, B = (4, 4) if n == 5 else (1 + 3 * n % 8, 1 + n % 6)
        spread = torch.randn(K, B, generator=generator, dtype=torch.float64)
        yield (2 * spread - (3 if n % 3 else 2000),)


EXERCISE = Exercise(
    solution=tighter_bound,
    cases=draws,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "mean of the logarithms",
            lambda log_weights: -log_weights.mean(0),
            "Your bound is the usual one, an average over draws: more draws make it surer, and not tighter.",
            "Ask which is averaged, the weights or their logarithms: Jensen tells the difference.",
        ),
        Mistake(
            "sum for mean",
            lambda log_weights: -log_weights.logsumexp(0),
            "Your bound gets better with each draw, whatever is drawn.",
            "K weights are summed: ask what makes a mean of a sum, inside a logarithm.",
        ),
        Mistake(
            "underflow",
            lambda log_weights: -log_weights.exp().mean(0).log(),
            "Where the weights are tiny, you return infinity.",
            "The exponential of −2000 is 0 in float64: look for a function that never leaves the logarithms.",
        ),
        Mistake(
            "divided outside the logarithm",
            lambda log_weights: -log_weights.logsumexp(0) / len(log_weights),
            "You divide the logarithm by K.",
            "The weights are averaged: their sum is divided before its logarithm is taken.",
        ),
        Mistake(
            "mean over the batch",
            lambda log_weights: math.log(log_weights.shape[1]) - log_weights.logsumexp(1),
            "You average over the examples, and return a number for each draw.",
            "The draws are along the first axis.",
        ),
        Mistake(
            "best draw for the mean",
            lambda log_weights: -log_weights.max(0).values,
            "You keep the largest weight alone.",
            "All K weights count, each with 1/K.",
        ),
        Mistake(
            "bits for nats",
            lambda log_weights: (math.log(len(log_weights)) - log_weights.logsumexp(0)) / math.log(2),
            "Your values are 1.44 times too large.",
            "Nats belong to the natural logarithm.",
        ),
    ),
)
