"""Notebook 09, `class_log_posterior`: log p(c|x), in nats, by Bayes' rule."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "09_guidance"


def class_log_posterior(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """log p(c|x), in nats, by Bayes' rule.

    log_likelihood [B, K] holds log p(x|k) of every example under each of K classes, log_weights [K] holds
    log p(k), and c [B] one class for each example, as whole numbers from 0. Return log p(c|x), of shape
    [B].
    """
    joint = log_likelihood + log_weights
    evidence = joint.logsumexp(1)
    return joint[torch.arange(len(c)), c] - evidence


def likelihoods(generator: torch.Generator) -> Iterator[Case]:
    """Batches of several sizes, B = K among them; likelihoods that underflow without their logarithm."""
    for n, (b, k) in enumerate([(5, 3), (4, 4), (1, 2), (7, 10), (3, 3), (6, 2), (10, 10), (2, 5)]):
        dtype = torch.float32 if n == 5 else torch.float64
        log_likelihood = 3 * torch.randn(b, k, generator=generator, dtype=dtype) - (900 if n % 3 == 2 else 0)
        weights = torch.rand(k, generator=generator, dtype=dtype) + 0.1
        c = torch.randint(0, k, (b,), generator=generator)
        yield log_likelihood, (weights / weights.sum()).log(), c


def weights_forgotten(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """The mistake: weights of the classes forgotten."""
    return class_log_posterior(log_likelihood, torch.zeros_like(log_weights), c)


def not_normalised(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """The mistake: not normalised."""
    return (log_likelihood + log_weights).gather(1, c[:, None])[:, 0]


def probability(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """The mistake: probability for its logarithm."""
    return class_log_posterior(log_likelihood, log_weights, c).exp()


def over_the_batch(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """The mistake: normalised over the batch."""
    return (log_likelihood + log_weights).log_softmax(0).gather(1, c[:, None])[:, 0]


def underflows(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """The mistake: underflow."""
    joint = log_likelihood.exp() * log_weights.exp()
    return (joint / joint.sum(1, keepdim=True)).gather(1, c[:, None])[:, 0].log()


EXERCISE = Exercise(
    solution=class_log_posterior,
    cases=likelihoods,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "weights of the classes forgotten",
            weights_forgotten,
            "Your answer does not change with log_weights.",
            "Bayes' rule has two factors above the line; look for the second one.",
        ),
        Mistake(
            "not normalised",
            not_normalised,
            "The probabilities of all classes do not add up to 1.",
            "Look at what stands below the line in Bayes' rule.",
        ),
        Mistake(
            "probability for its logarithm",
            probability,
            "All your values lie between 0 and 1, and a logarithm of a probability does not.",
            "Look at the last thing you do.",
        ),
        Mistake(
            "normalised over the batch",
            over_the_batch,
            "With one example in the batch, your log-probability is 0.",
            "The sum runs over the classes: look at the axis.",
        ),
        Mistake(
            "underflow",
            underflows,
            "Where the log-likelihoods are around −900, your values are NaN.",
            "In floating point exp(−900) is 0: stay with logarithms to the end.",
        ),
    ),
)
