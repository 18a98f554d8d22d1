"""Notebook 25, `conv_multiply_adds`: the work of a convolution."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "25_cost"


def conv_multiply_adds(side: int, a: int, b: int, k: int) -> int:
    """The multiply-adds of a convolution with kernels of k × k, from a channels to b channels.

    The picture has side × side pixels, and padding keeps it at that size. Each number of the output is a sum
    of products: a number of the kernel times a number of the input. Count the products (each comes with one
    addition, which is not counted separately). Count those with the padding's zeros, too. Return a whole
    number.
    """
    return side**2 * k**2 * a * b


def layers(generator: torch.Generator) -> Iterator[Case]:
    """Convolutions of many sizes, a = b and k = 1 among them."""
    for n in range(14):
        side, a, b = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in [(5, 40), (3, 70), (3, 70)]
        )
        yield side, a, (a if n % 4 == 0 else b), [3, 1, 5, 3][n % 4]


EXERCISE = Exercise(
    solution=conv_multiply_adds,
    cases=layers,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "additions counted too",
            lambda side, a, b, k: 2 * side**2 * k**2 * a * b,
            "Your number is twice the right one.",
            "A multiplication and its addition count as one here; torch's counter would agree with you.",
        ),
        Mistake(
            "side for its square",
            lambda side, a, b, k: side * k**2 * a * b,
            "Your work grows like the side of the picture.",
            "Ask how many pixels the output has.",
        ),
        Mistake(
            "kernel's side for its square",
            lambda side, a, b, k: side**2 * k * a * b,
            "Your kernels have one dimension.",
            "Ask how many numbers of one channel a pixel of the output sees.",
        ),
        Mistake(
            "each channel by itself",
            lambda side, a, b, k: side**2 * k**2 * b,
            "In your convolution every channel of the output sees one channel of the input.",
            "Ask what a single number of the output is a sum over.",
        ),
        Mistake(
            "one channel of the output",
            lambda side, a, b, k: side**2 * k**2 * a,
            "Your number does not depend on b.",
            "You have counted for one channel of the output.",
        ),
        Mistake(
            "sum of the channels",
            lambda side, a, b, k: side**2 * k**2 * (a + b),
            "Your work grows like the sum of the channels.",
            "Each channel of the output sees each channel of the input: ask how many pairs these are.",
        ),
        Mistake(
            "no padding",
            lambda side, a, b, k: (side - k + 1) ** 2 * k**2 * a * b,
            "Your output is smaller than the input, except for k = 1.",
            "Padding keeps the picture at its size.",
        ),
        Mistake(
            "weights for work",
            lambda side, a, b, k: k**2 * a * b,
            "Your number is that of the weights.",
            "Ask how often each weight is used.",
        ),
    ),
)
