"""Notebook 23, `caption_score`: how well a picture fits its caption, in nats."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "23_text_to_image"


def caption_score(log_likelihood: Tensor, c: Tensor) -> Tensor:
    """log p(c|x) − log p(c), in nats: how much more likely a picture makes its caption than it was before.

    log_likelihood [B, S] holds log p(x|s) of B pictures under each of S captions. Before a picture is seen,
    all captions are equally likely. c [B] is each picture's own caption, as a whole number from 0. Return
    [B].
    """
    evidence = log_likelihood.logsumexp(1)
    own = log_likelihood[torch.arange(len(c)), c]
    return own - evidence + torch.tensor(log_likelihood.shape[1]).log()


def pictures(generator: torch.Generator) -> Iterator[Case]:
    """Batches of several sizes, B = S among them; likelihoods that underflow without their logarithm."""
    for n, (b, s) in enumerate([(5, 3), (4, 4), (2, 7), (7, 10), (3, 3), (6, 2), (10, 10), (2, 5)]):
        dtype = torch.float32 if n == 5 else torch.float64
        log_likelihood = 3 * torch.randn(b, s, generator=generator, dtype=dtype) - (900 if n % 3 == 2 else 0)
        yield log_likelihood, torch.randint(0, s, (b,), generator=generator)


def chosen(table: Tensor, c: Tensor) -> Tensor:
    """table[b, c_b]: [B]."""
    return table.gather(1, c[:, None])[:, 0]


def log_count(log_likelihood: Tensor, axis: int = 1) -> Tensor:
    """log S."""
    return torch.tensor(log_likelihood.shape[axis]).log()


EXERCISE = Exercise(
    solution=caption_score,
    cases=pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "prior forgotten",
            lambda log_likelihood, c: chosen(log_likelihood.log_softmax(1), c),
            "Your numbers are never above 0.",
            "That is log p(c|x). Look at what is taken from it.",
        ),
        Mistake(
            "prior added for subtracted",
            lambda log_likelihood, c: chosen(log_likelihood.log_softmax(1), c) - log_count(log_likelihood),
            "Your numbers are too low by twice the same amount.",
            "Ask whether log p(c) is positive or negative, and what minus that is.",
        ),
        Mistake(
            "not normalised",
            lambda log_likelihood, c: chosen(log_likelihood, c),
            "You return log p(x|c).",
            "By Bayes' rule p(c|x) needs the other captions too.",
        ),
        Mistake(
            "normalised over the batch",
            lambda log_likelihood, c: chosen(log_likelihood.log_softmax(0), c) + log_count(log_likelihood, 0),
            "What you return of a picture changes with the other pictures in the batch.",
            "It is the captions that compete for a picture: look at the axis.",
        ),
        Mistake(
            "probability for its logarithm",
            lambda log_likelihood, c: log_likelihood.shape[1] * chosen(log_likelihood.softmax(1), c),
            "Your numbers are never negative.",
            "The score is in nats: look at the last thing you do.",
        ),
        Mistake(
            "underflow",
            lambda log_likelihood, c: chosen(
                log_likelihood.exp() / log_likelihood.exp().mean(1, keepdim=True), c
            ).log(),
            "Where the log-likelihoods are around −900, your values are NaN.",
            "In floating point exp(−900) is 0: stay with logarithms to the end.",
        ),
    ),
)
