"""Exercises of notebook 07: how the condition gets in, the time as a vector, the way up, attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake

NOTEBOOK = "07_unet"


# --- scale and shift
def film(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Let a condition scale and shift each channel of an image.

    h is [B, C, H, W]; scale and shift are [B, C], one number for each channel of each example. Return
    h · (1 + scale) + shift, in the shape of h: all pixels of a channel are treated alike, and
    scale = shift = 0 leaves h as it is.
    """
    return h * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


def channels(generator: torch.Generator) -> Iterator[Case]:
    """Images of several shapes, B = C = H = W among them."""
    shapes = [(2, 3, 4, 4), (3, 3, 3, 3), (1, 4, 2, 2), (4, 2, 4, 2), (2, 5, 1, 3)]
    for n in range(10):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        h = torch.randn(shapes[n % 5], generator=generator, dtype=dtype)
        scale, shift = (torch.randn(h.shape[:2], generator=generator, dtype=dtype) for _ in range(2))
        yield h, scale, shift


FILM_MISTAKES = (
    Mistake(
        "scale for 1 + scale",
        lambda h, scale, shift: torch.einsum("bchw,bc->bchw", h, scale) + shift[..., None, None],
        "With scale = 0 your image would vanish.",
        "Ask what a condition that says nothing should do to h.",
    ),
    Mistake(
        "scale and shift swapped",
        lambda h, scale, shift: film(h, shift, scale),
        "You multiply by what should be added, and the other way round.",
        "Say in words which of the two changes the contrast of a channel.",
    ),
    Mistake(
        "shift before scale",
        lambda h, scale, shift: film(h + shift[..., None, None], scale, 0 * shift),
        "Your shift is scaled, too.",
        "Look at the order of the two operations, and at your brackets.",
    ),
    Mistake(
        "condition along the last axes",
        lambda h, scale, shift: h * (1 + scale) + shift,
        "Your numbers belong to the pixels of an image, not to its channels, wherever the shapes allow it.",
        "Write the shapes of h and scale below each other, aligned at the right.",
    ),
    Mistake(
        "shift left out",
        lambda h, scale, shift: film(h, scale, 0 * shift),
        "Your shift has no effect.",
        "Look for the second of the two operations.",
    ),
)


# --- the time as a vector
def embed_time(t: Tensor, dim: int) -> Tensor:
    """The time as a vector of cosines and sines.

    t [B] holds times, whole numbers or floats; dim is an even number, and half = dim/2. Frequency i is
    10 000 to the power −i/half, for i = 0, 1, …, half − 1, and angle i is t times frequency i, in radians.
    Return [B, dim], floating-point: first the half cosines of the angles, then their half sines.
    """
    half = dim // 2
    frequency = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = t.double()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1).float()


def times(generator: torch.Generator) -> Iterator[Case]:
    """Whole and real times from 0 to 50, few and many, and several lengths of the vector."""
    for n, (B, dim) in enumerate(
        [(5, 8), (4, 4), (1, 6), (3, 16), (8, 8), (2, 2), (6, 32), (1, 10), (16, 16)]
    ):
        whole = torch.randint(0, 51, (B,), generator=generator)
        real = whole + torch.rand(B, generator=generator)
        t = whole if n % 3 else real
        t[0] = (0, 50, 1)[n % 3] if B > 1 else 17
        yield t, dim


def embedding(
    exponent: Callable[[int], Tensor],
    join: Callable[[Tensor, Tensor], Tensor] | None = None,
    turn: float = 1.0,
) -> Callable[[Tensor, int], Tensor]:
    """An embedding with other exponents of 10 000, or another order of cosines and sines."""

    def function(t: Tensor, dim: int) -> Tensor:
        angle = turn * t.double()[:, None] * 10_000 ** exponent(dim // 2).double()
        parts = angle.cos(), angle.sin()
        return (torch.cat(parts, dim=1) if join is None else join(*parts)).float()

    return function


def usual(half: int) -> Tensor:
    """The exponents as they should be."""
    return -torch.arange(half).double() / half


TIME_MISTAKES = (
    Mistake(
        "sines before cosines",
        embedding(usual, lambda cos, sin: torch.cat([sin, cos], dim=1)),
        "The two halves of your vectors are swapped.",
        "Look at what the first entry should be at t = 0.",
    ),
    Mistake(
        "cosines and sines in turn",
        embedding(usual, lambda cos, sin: torch.stack([cos, sin], dim=2).flatten(1)),
        "Your numbers are right, and their order is another one.",
        "Look at how the cosines and the sines are put together.",
    ),
    Mistake(
        "half − 1 for half",
        embedding(lambda half: -torch.arange(half).double() / max(half - 1, 1)),
        "Your lowest frequency is 1/10 000, whatever dim is.",
        "Look at the number by which i is divided.",
    ),
    Mistake(
        "dim for half",
        embedding(lambda half: -torch.arange(half).double() / (2 * half)),
        "Your frequencies fall too slowly.",
        "Look at the number by which i is divided.",
    ),
    Mistake(
        "wavelength for frequency",
        embedding(lambda half: torch.arange(half).double() / half),
        "Your angles grow with i.",
        "Look at the sign of the exponent: the first frequency is the highest.",
    ),
    Mistake(
        "turns for radians",
        embedding(usual, turn=2 * torch.pi),
        "Your angles are 2π times too large.",
        "The product of time and frequency is already an angle in radians.",
    ),
    Mistake(
        "off by one in i",
        embedding(lambda half: -torch.arange(1, half + 1).double() / half),
        "Your first frequency is not 1.",
        "Ask from which number i counts.",
    ),
)


# --- the way up
def up_and_join(h: Tensor, seen: Tensor) -> Tensor:
    """A step of the way up: make the image twice as wide, and join what was seen on the way down.

    h is [B, C, H, W]; seen is [B, S, 2 H, 2 W]. Each pixel of h becomes a square of four equal pixels, which
    gives [B, C, 2 H, 2 W]. Return [B, C + S, 2 H, 2 W]: the channels of the enlarged h first, then seen's.
    """
    wide = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return torch.cat([wide, seen], dim=1)


def levels(generator: torch.Generator) -> Iterator[Case]:
    """Images of several sizes, with as many channels on both sides, or more on one of them."""
    shapes = [(2, 3, 2, 2, 3), (1, 4, 3, 3, 2), (3, 2, 4, 4, 5), (2, 2, 2, 4, 2), (4, 1, 1, 2, 1)]
    for n in range(10):
        B, C, H, W, S = shapes[n % 5]
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        h = torch.randn((B, C, H, W), generator=generator, dtype=dtype)
        yield h, torch.randn((B, S, 2 * H, 2 * W), generator=generator, dtype=dtype)


UP_MISTAKES = (
    Mistake(
        "tiles for larger pixels",
        lambda h, seen: torch.cat([h.tile(2, 2), seen], dim=1),
        "Your enlarged image is four small copies of h side by side.",
        "Look at where the neighbours of the first pixel come from.",
    ),
    Mistake(
        "seen before h",
        lambda h, seen: torch.cat([seen, up_and_join(h, seen)[:, : h.shape[1]]], dim=1),
        "The channels are right, and their order is another one.",
        "Look at which of the two should come first.",
    ),
    Mistake(
        "sum for joining",
        lambda h, seen: up_and_join(h, seen)[:, : h.shape[1]] + seen,
        "You add the two images, so the next block cannot tell them apart.",
        "Look at how many channels the result should have.",
    ),
    Mistake(
        "joined along the wrong axis",
        lambda h, seen: torch.cat([up_and_join(h, seen)[:, : h.shape[1]], seen], dim=2),
        "Your images are joined along a side, not along their channels.",
        "Count which axis of [B, C, H, W] holds the channels.",
    ),
    Mistake(
        "smooth for equal pixels",
        lambda h, seen: torch.cat(
            [torch.nn.functional.interpolate(h, scale_factor=2, mode="bilinear"), seen], dim=1
        ),
        "Your enlarged image is smoothed: pixels lie between their neighbours in value.",
        "Each pixel should become four equal ones.",
    ),
    Mistake(
        "seen made smaller",
        lambda h, seen: torch.cat([h, torch.nn.functional.avg_pool2d(seen, 2)], dim=1),
        "You bring seen down to the size of h.",
        "Look at the size of the result: this is the way up.",
    ),
)


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

EXERCISES: tuple[Exercise, ...] = (
    Exercise(film, channels, FILM_MISTAKES, NOTEBOOK),
    Exercise(embed_time, times, TIME_MISTAKES, NOTEBOOK),
    Exercise(up_and_join, levels, UP_MISTAKES, NOTEBOOK),
    Exercise(attend, places, ATTENTION_MISTAKES, NOTEBOOK),
)
