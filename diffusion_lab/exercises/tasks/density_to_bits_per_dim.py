"""The exercise `density_to_bits_per_dim` of notebook 15."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "15_likelihood"


def density_to_bits_per_dim(log_p: Tensor, shape: tuple[int, ...], bin_width: float) -> Tensor:
    """Bits per dimension of data on levels, from the density of the data with uniform noise over its bins.

    log_p [B] is the log-density in nats of each noisy image. `shape` is the shape of one image, such as
    (3, 8, 8): each of its values is a dimension. bin_width is the distance of two levels. So a bin of D
    dimensions has the volume bin_width to the power D, and its probability is the density times the volume.
    Return, in the shape [B], the negative log2 of this probability, divided by the number of dimensions.
    """
    D = math.prod(shape)
    return -log_p / (D * math.log(2)) - math.log2(bin_width)


def bits_cases(generator: torch.Generator) -> Iterator[Case]:
    """Grey and coloured images, and points; narrow bins and wide ones."""
    shapes = [(1, 8, 8), (3, 4, 4), (2,), (1,), (3, 8, 8)]
    for n in range(10):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        shape = shapes[n % 5]
        log_p = math.prod(shape) * (1 + torch.randn(1 + n % 4, generator=generator, dtype=dtype))
        yield log_p, shape, [2 / 16, 2 / 255, 0.5, 3.0][n % 4]


LN2 = math.log(2)


BITS_MISTAKES = (
    Mistake(
        "nats for bits",
        lambda log_p, shape, bin_width: -log_p / math.prod(shape) - math.log(bin_width),
        "Your values are ln 2 = 0.693 times the right ones.",
        "Look at the base of your logarithms.",
    ),
    Mistake(
        "nats for bits",
        lambda log_p, shape, bin_width: -log_p / math.prod(shape) - math.log2(bin_width),
        "The part from the bin width is right; the other part is still in nats.",
        "Look at the unit of log_p.",
    ),
    Mistake(
        "nats for bits",
        lambda log_p, shape, bin_width: -log_p / math.prod(shape) / LN2 - math.log(bin_width),
        "The part from log_p is right; the part from the bin width is in nats.",
        "Look at the base of your logarithm of the bin width.",
    ),
    Mistake(
        "bits for nats",
        lambda log_p, shape, bin_width: -log_p * LN2 / math.prod(shape) - math.log2(bin_width),
        "The part from log_p is too small by a factor of about 2.",
        "A nat is more than a bit: ask whether the number should grow or shrink.",
    ),
    Mistake(
        "bin width left out",
        lambda log_p, shape, bin_width: -log_p / math.prod(shape) / LN2,
        "Your result does not depend on the bin width.",
        "A density is no probability: ask for the volume it is multiplied by.",
    ),
    Mistake(
        "bin width with the wrong sign",
        lambda log_p, shape, bin_width: -log_p / math.prod(shape) / LN2 + math.log2(bin_width),
        "The part from log_p is right; the part from the bin width has the other sign.",
        "A smaller bin holds less probability: ask whether that costs more bits or fewer.",
    ),
    Mistake(
        "bin width of one dimension",
        lambda log_p, shape, bin_width: (-log_p / LN2 - math.log2(bin_width)) / math.prod(shape),
        "Right in one dimension; in more, the bin width counts too little.",
        "Ask for the volume of a bin in D dimensions.",
    ),
    Mistake(
        "sum for mean",
        lambda log_p, shape, bin_width: -log_p / LN2 - math.prod(shape) * math.log2(bin_width),
        "Your result is the bits of the whole image.",
        "The task asks for bits per dimension.",
    ),
    Mistake(
        "channels left out",
        lambda log_p, shape, bin_width: -log_p / (math.prod(shape[-2:]) * LN2) - math.log2(bin_width),
        "Right for grey images; for coloured ones you divide by too little.",
        "Every value of an image is a dimension, not every pixel.",
    ),
)


EXERCISE = Exercise(density_to_bits_per_dim, bits_cases, BITS_MISTAKES, NOTEBOOK)
