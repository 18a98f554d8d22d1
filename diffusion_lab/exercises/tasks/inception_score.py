"""Notebook 16, `inception_score`: the inception score of N samples: exp of the mean KL(p(y|x) ‖ p(y))."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "16_metrics"


LN2 = 0.6931471805599453


def inception_score(probabilities: Tensor) -> Tensor:
    """The inception score of N samples: exp of the mean KL(p(y|x) ‖ p(y)).

    probabilities [N, K] holds p(y|x): a row for each sample x, a column for each class y. All entries are
    above 0, and each row sums to 1. p(y) is the mean of p(y|x) over the samples.
    Return one number, from 1 to K.
    """
    of_all = probabilities.mean(0)
    kl = (probabilities * (probabilities / of_all).log()).sum(1)
    return kl.mean().exp()


def class_probabilities(generator: torch.Generator) -> Iterator[Case]:
    """Rows that are sure and rows that are not; N above, below and equal to K; one sample."""
    for n, (N, K) in enumerate([(6, 3), (4, 4), (3, 10), (20, 5), (1, 4), (10, 10), (12, 2), (7, 3), (5, 5)]):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        logits = torch.randn(N, K, generator=generator, dtype=dtype)
        yield (((0.5 + n % 3) * logits + torch.arange(K) / K).softmax(1),)


def kl_with(p: Tensor, of_all: Tensor) -> Tensor:
    """KL of each row to p(y)."""
    return (p * (p / of_all).log()).sum(1)


EXERCISE = Exercise(
    solution=inception_score,
    cases=class_probabilities,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing exponential",
            lambda probabilities: kl_with(probabilities, probabilities.mean(0)).mean(),
            "Your score is 0 where it should be 1.",
            "You have the mean KL in nats; the score is one function of it away.",
        ),
        Mistake(
            "exponential before the mean",
            lambda probabilities: kl_with(probabilities, probabilities.mean(0)).exp().mean(),
            "Your score is a little too high.",
            "Ask which comes first, the mean over the samples or exp; by Jensen's inequality it matters.",
        ),
        Mistake(
            "KL the other way round",
            lambda probabilities: kl_with(probabilities.mean(0), probabilities).mean().exp(),
            "You have KL(p(y) ‖ p(y|x)).",
            "KL is not symmetric: look at which distribution stands in front, and is averaged over.",
        ),
        Mistake(
            "bits for nats",
            lambda probabilities: kl_with(probabilities, probabilities.mean(0)).mean().div(LN2).exp(),
            "Your KL is in bits, and exp undoes nats.",
            "Look at the base of your logarithm.",
        ),
        Mistake(
            "mean for sum",
            lambda probabilities: (
                (probabilities * (probabilities / probabilities.mean(0)).log()).mean().exp()
            ),
            "Your score is close to 1, whatever the samples are.",
            "KL is a sum over the classes; the mean is over the samples alone.",
        ),
        Mistake(
            "mean along the wrong axis",
            lambda probabilities: kl_with(probabilities, probabilities.mean(1, keepdim=True)).mean().exp(),
            "Your p(y) is 1/K for every class.",
            "Look at the axis of the mean that makes p(y): it runs over the samples.",
        ),
        Mistake(
            "mean along the wrong axis",
            lambda probabilities: kl_with(probabilities, probabilities.mean(1)).mean().exp(),
            "Your p(y) has N entries and not K.",
            "Look at the axis of the mean that makes p(y): it runs over the samples.",
        ),
    ),
)
