"""Notebook 23, `word_maps`: where in the picture each word of a caption is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "23_text_to_image"


def word_maps(query: Tensor, key: Tensor) -> Tensor:
    """How much each pixel looks at each word: the weights of cross-attention, a map for each word.

    query [B, N, C] are the questions of N pixels, key [B, M, C] the keys of M words. The score of a word for
    a pixel is their dot product, divided by √C. For each pixel, softmax over the words makes weights of the
    scores, which add up to 1. Return [B, M, N]: for each word, the weights that the pixels give it.
    """
    scores = query @ key.transpose(1, 2) / query.shape[2] ** 0.5
    return scores.softmax(dim=2).transpose(1, 2)


def questions(generator: torch.Generator) -> Iterator[Case]:
    """Pictures and captions of several sizes, N = M, M = C and B = N among them; two dtypes."""
    sizes = [
        (2, 6, 3, 4),
        (3, 4, 4, 2),
        (1, 9, 5, 5),
        (3, 3, 3, 6),
        (2, 4, 7, 3),
        (4, 16, 2, 8),
        (3, 3, 3, 3),
    ]
    for n in range(12):
        B, N, M, C = sizes[n % 7]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        query = torch.randn(B, N, C, generator=generator, dtype=dtype)
        yield query, 1.5 * torch.randn(B, M, C, generator=generator, dtype=dtype)


def maps(scale: Callable[[Tensor, Tensor], float], axis: int = 1) -> Callable[..., Tensor]:
    """The maps with scores divided by something else, or with a softmax over another axis of [B, M, N]."""
    return lambda query, key: (torch.einsum("bnc,bmc->bmn", query, key) / scale(query, key)).softmax(axis)


def root(query: Tensor, key: Tensor) -> float:
    return query.shape[2] ** 0.5


EXERCISE = Exercise(
    solution=word_maps,
    cases=questions,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "softmax along the wrong axis",
            maps(root, 2),
            "Each word's weights add up to 1 over the picture, and those of a pixel do not add up to 1.",
            "A pixel chooses among words: ask over which index the softmax runs.",
        ),
        Mistake(
            "missing square root",
            maps(lambda query, key: query.shape[2]),
            "Your weights are too even.",
            "Look at what the dot products are divided by.",
        ),
        Mistake(
            "scores not scaled",
            maps(lambda query, key: 1.0),
            "Your weights are too sharp, and the more so the larger C is.",
            "Look at what the dot products are divided by.",
        ),
        Mistake(
            "number of words for C",
            maps(lambda query, key: key.shape[1] ** 0.5),
            "Your scale depends on the length of the caption.",
            "Ask how many products a dot product sums.",
        ),
        Mistake(
            "no softmax",
            lambda query, key: torch.einsum("bnc,bmc->bmn", query, key) / root(query, key),
            "Your weights can be negative, and do not add up to 1.",
            "Ask what turns scores into weights.",
        ),
        Mistake(
            "maps of pixels for maps of words",
            lambda query, key: maps(root)(query, key).transpose(1, 2),
            "You have a row for each pixel.",
            "Look at the order of the axes: first the word, then the pixel.",
        ),
    ),
)
