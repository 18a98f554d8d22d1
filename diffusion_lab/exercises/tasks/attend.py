"""The exercise `attend` of notebook 07."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "07_unet"


# --- attention
def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention with one head: each place takes a weighted mean of what all places have to say.

    query, key and value are [B, N, C]: N places with C numbers each. The score of place j for place i is the
    dot product of query i and key j, divided by √C. Softmax over j turns the scores of each i into weights
    that sum to 1. Return [B, N, C]: for each i, the mean of the values of all j with these weights.
    """
    scores = query @ key.transpose(1, 2) / query.shape[2] ** 0.5
    return scores.softmax(dim=2) @ value


def places(generator: torch.Generator) -> Iterator[Case]:
    """Sets of several sizes, N = C and B = N among them."""
    shapes = [(2, 5, 3), (3, 4, 4), (1, 6, 2), (3, 3, 8), (4, 2, 9), (2, 7, 1), (3, 3, 3)]
    for n in range(12):
        shape, dtype = shapes[n % 7], torch.float32 if n % 5 == 4 else torch.float64
        query, key, value = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        yield query, 1.5 * key, value


def attention(score: Callable[[Tensor, Tensor], Tensor], axis: int = 2) -> Callable[..., Tensor]:
    """Attention with other scores, or with a softmax over another axis."""
    return lambda query, key, value: score(query, key).softmax(dim=axis) @ value


def dots(query: Tensor, key: Tensor) -> Tensor:
    """The dot products, [B, N, N]."""
    return torch.einsum("bic,bjc->bij", query, key)


ATTENTION_MISTAKES = (
    Mistake(
        "missing square root",
        attention(lambda query, key: dots(query, key) / query.shape[2]),
        "Your weights are too even.",
        "Look at what the dot products are divided by.",
    ),
    Mistake(
        "scores not scaled",
        attention(dots),
        "Your weights are too sharp, and the more so the larger C is.",
        "Look at what the dot products are divided by.",
    ),
    Mistake(
        "N for C",
        attention(lambda query, key: dots(query, key) / query.shape[1] ** 0.5),
        "Your scale depends on the number of places.",
        "Ask how many products a dot product sums.",
    ),
    Mistake(
        "softmax along the wrong axis",
        attention(lambda query, key: dots(query, key) / query.shape[2] ** 0.5, axis=1),
        "The weights that a place gives do not sum to 1.",
        "For one place i, ask over which index the softmax runs.",
    ),
    Mistake(
        "query and key swapped",
        attention(lambda query, key: dots(key, query) / query.shape[2] ** 0.5),
        "The places that ask and those that answer are swapped.",
        "Look at which of the two has the index of the result.",
    ),
    Mistake(
        "no softmax",
        lambda query, key, value: dots(query, key) / query.shape[2] ** 0.5 @ value,
        "Your weights can be negative, and do not sum to 1.",
        "Ask what turns scores into weights.",
    ),
)


EXERCISE = Exercise(attend, places, ATTENTION_MISTAKES, NOTEBOOK)
