"""Notebook 23, `embed_words`: a caption as vectors, of which each knows its word and its place."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "23_text_to_image"


def embed_words(numbers: Tensor, word: Tensor, place: Tensor) -> Tensor:
    """The vectors of captions: for each place of each caption, its word's vector plus the place's vector.

    numbers [B, L] are whole numbers, one for each word of B captions. word [V, C] has a row for each word
    that there is, and place [P, C] one for each place, with P ≥ L. The first word is at place 0. Return
    [B, L, C].
    """
    return word[numbers] + place[: numbers.shape[1]]


def captions(generator: torch.Generator) -> Iterator[Case]:
    """Captions of several lengths, B = L and P = V among them; two dtypes."""
    sizes = [
        (2, 5, 9, 4, 7),
        (3, 3, 6, 2, 6),
        (1, 4, 5, 5, 4),
        (4, 2, 3, 3, 5),
        (3, 6, 8, 1, 8),
        (5, 5, 5, 5, 5),
    ]
    for n in range(12):
        B, L, V, C, P = sizes[n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        word = torch.randn(V, C, generator=generator, dtype=dtype)
        place = torch.randn(P, C, generator=generator, dtype=dtype)
        yield torch.randint(0, V, (B, L), generator=generator), word, place


def places(numbers: Tensor) -> Tensor:
    """0, 1, …, L − 1."""
    return torch.arange(numbers.shape[1])


EXERCISE = Exercise(
    solution=embed_words,
    cases=captions,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "places forgotten",
            lambda numbers, word, place: word[numbers],
            "Two captions of the same words in another order have the same vectors.",
            "Look at the argument that you have not used.",
        ),
        Mistake(
            "words forgotten",
            lambda numbers, word, place: place[places(numbers)].expand(len(numbers), -1, -1),
            "All captions get the same vectors.",
            "Look at the argument that you have not used.",
        ),
        Mistake(
            "place counted from 1",
            lambda numbers, word, place: word[numbers] + place[(places(numbers) + 1) % len(place)],
            "Every word has the vector of the place after its own.",
            "Ask which row of `place` the first word gets.",
        ),
        Mistake(
            "counted from the end",
            lambda numbers, word, place: word[numbers] + place[places(numbers).flip(0)],
            "The first word of a caption has the vector of its last place.",
            "Look at the direction in which you count the places.",
        ),
        Mistake(
            "one place for all words",
            lambda numbers, word, place: word[numbers] + place[0],
            "All words have the vector of the same place.",
            "Ask what tells the first word from the second.",
        ),
        Mistake(
            "summed over the words",
            lambda numbers, word, place: (word[numbers] + place[places(numbers)]).sum(1, keepdim=True),
            "A caption has one vector, and its words cannot be told apart any more.",
            "Nothing is summed here: each place keeps a vector of its own.",
        ),
        Mistake(
            "product for sum",
            lambda numbers, word, place: word[numbers] * place[places(numbers)],
            "You multiply the two vectors.",
            "Read again how word and place come together.",
        ),
    ),
)
