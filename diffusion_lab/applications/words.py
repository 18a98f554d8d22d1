"""From a caption to numbers: words, their vectors, and attention, through which pixels look at words.

A caption becomes a row of word numbers (`tokens`), and each number a vector that training finds
(`TextEncoder`). A word means different things in different places: "red" belongs to the circle before or to
the square behind. So each vector is the sum of two, one for the word and one for its place in the caption,
and then every word looks once at all the others.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..shape_world import COLORS, KINDS, PLACES, RELATIONS, SIZES, scene_of

NOTHING = "·"  # fills a caption up; a caption of nothing else is the empty one, "not told anything"
WORDS = (NOTHING, "a", *SIZES, *COLORS, *KINDS, *dict.fromkeys(" ".join([*PLACES, *RELATIONS]).split()))
LENGTH = 10  # "a small red circle left of a large blue square"
NUMBER = {word: number for number, word in enumerate(WORDS)}
# One caption, or several, or their numbers; None is the empty caption
Captions = str | Sequence[str | None] | Tensor | None


def tokens(captions: Captions) -> Tensor:
    """The numbers of the words of one caption or several: [B, 10], int64, filled up with 0 ("·").

    Captions are written in the world's own form first, so "a red circle below …" becomes "… above a red
    circle". None is the empty caption. Numbers [B, 10] are returned as they are. Raises ValueError for a
    caption of another form, naming the words that this world does not have, and for other numbers.
    """
    if isinstance(captions, Tensor):
        whole = captions.dtype == torch.int64 and captions.ndim == 2 and captions.shape[1] == LENGTH
        if not (whole and len(captions) and 0 <= captions.min() and captions.max() < len(WORDS)):
            expected = f"captions must be words, or their numbers [B, {LENGTH}] in 0…{len(WORDS) - 1}"
            raise ValueError(f"{expected}; got {captions.dtype} of shape {list(captions.shape)}")
        return captions
    listed = [captions] if captions is None or isinstance(captions, str) else captions
    if not isinstance(listed, (list, tuple)) or not listed:
        raise ValueError(f"captions must be a caption, or a list of at least one; got {captions!r}")
    return torch.stack([_numbers(caption) for caption in listed])


def _numbers(caption: str | None) -> Tensor:
    if not isinstance(caption, str | None):
        raise ValueError(f"captions must be words, or None for the empty one; got {caption!r}")
    row = torch.zeros(LENGTH, dtype=torch.int64)
    said: list[str] = [] if caption is None else str(scene_of(caption)).split()
    row[: len(said)] = torch.tensor([NUMBER[word] for word in said], dtype=torch.int64)
    return row


class Look(nn.Module):
    """Attention: each of N places asks a question, and gets a mixture of what M others have to say.

    (Vaswani et al. 2017, eq. 1, with several heads.) A place i asks q_i; another, j, has the key k_j and says
    v_j::

        weights = softmax_j(q_i · k_j / √d),   answer_i = Σ_j weights_ij v_j

    The same layer serves three times: words look at words, pixels at words ("cross-attention"), and pixels at
    pixels ("self-attention").

    :param dim: numbers in a place's vector, a multiple of `heads`
    :param others: numbers in the vector of one of the others
    """

    def __init__(self, dim: int, others: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key, self.value = nn.Linear(others, dim), nn.Linear(others, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, others: Tensor, looked: list[Tensor] | None = None) -> Tensor:
        """x [B, N, dim], others [B, M, others] -> x + answer [B, N, dim].

        The weights [B, heads, N, M] are added to `looked`.
        """
        q, k, v = (self._split(z) for z in (self.query(self.norm(x)), self.key(others), self.value(others)))
        weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)  # written out, so that they can be shown
        if looked is not None:
            looked.append(weights)
        return x + self.out((weights @ v).transpose(1, 2).flatten(2))

    def _split(self, z: Tensor) -> Tensor:
        """[B, N, dim] -> [B, heads, N, dim/heads]."""
        return z.unflatten(2, (self.heads, -1)).transpose(1, 2)


class TextEncoder(nn.Module):
    """Word numbers [B, 10] -> their vectors [B, 10, dim].

    word's vector + place's vector, then one layer of a transformer: every word looks at all the others, and
    thinks for itself. Both kinds of vectors must be of the same size. If those of the places are ten times
    smaller, "red circle … blue square" and "blue circle … red square" are nearly the same bag of words.
    """

    def __init__(self, dim: int = 64) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(len(WORDS), dim), nn.Embedding(LENGTH, dim)
        self.look = Look(dim, dim)
        self.think = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, numbers: Tensor) -> Tensor:
        h = self.word(numbers) + self.place.weight
        h = self.look(h, h)
        return self.norm(h + self.think(h))
