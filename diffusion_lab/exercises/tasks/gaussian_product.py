"""The exercise `gaussian_product` of notebook 00."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "00_toolbox"


Pair = tuple[Tensor, Tensor]


def spread(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Variances between 0.2 and 3.2, few of them close to 1."""
    return 0.2 + 3 * torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


def gaussian_product(mean_a: Tensor, var_a: Tensor, mean_b: Tensor, var_b: Tensor) -> Pair:
    """Mean and variance of the Gaussian that a product of two Gaussian densities is proportional to.

    N(x; mean_a, var_a) · N(x; mean_b, var_b), in one dimension; var_a and var_b are variances. All four are
    tensors of one shape, and stand for that many products. Return two tensors of this shape: mean, variance.
    """
    var = 1 / (1 / var_a + 1 / var_b)
    mean = var * (mean_a / var_a + mean_b / var_b)
    return mean, var


def pairs_of_gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Means on both sides of 0, variances from narrow to wide; several shapes, two dtypes."""
    for n in range(12):
        shape = [(5,), (1,), (3, 2), (2, 1, 2, 2)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        means = [2 * torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2)]
        variances = [spread(shape, generator, dtype) for _ in range(2)]
        yield means[0], variances[0], means[1], variances[1]


def std_returned(mean_a: Tensor, var_a: Tensor, mean_b: Tensor, var_b: Tensor) -> Pair:
    """The right mean, and the root of the variance."""
    mean, var = gaussian_product(mean_a, var_a, mean_b, var_b)
    return mean, var.sqrt()


def weights_by_variance(mean_a: Tensor, var_a: Tensor, mean_b: Tensor, var_b: Tensor) -> Pair:
    """The wider one counts more."""
    return (var_a * mean_a + var_b * mean_b) / (var_a + var_b), var_a * var_b / (var_a + var_b)


EXERCISE = Exercise(
    solution=gaussian_product,
    cases=pairs_of_gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "standard deviation for variance",
            lambda ma, va, mb, vb: gaussian_product(ma, va.sqrt(), mb, vb.sqrt()),
            "Your weights come from the roots of the variances.",
            "Precision is 1/variance: ask whether a root is needed anywhere.",
        ),
        Mistake(
            "standard deviation for variance",
            std_returned,
            "Your mean is right, and in place of the variance stands its root.",
            "Look at what is to be returned.",
        ),
        Mistake(
            "variances added",
            lambda ma, va, mb, vb: (gaussian_product(ma, va, mb, vb)[0], va + vb),
            "Your product is wider than both factors.",
            "Variances add for a sum of two variables: ask what adds up in a product of two densities.",
        ),
        Mistake(
            "variances added",
            lambda ma, va, mb, vb: (ma + mb, va + vb),
            "Your result is the Gaussian of a sum of two variables.",
            "A product of two densities is narrower than each of them, and lies between them.",
        ),
        Mistake(
            "precision for variance",
            lambda ma, va, mb, vb: (gaussian_product(ma, va, mb, vb)[0], 1 / va + 1 / vb),
            "Your mean is right, and in place of the variance stands its inverse.",
            "Precisions add: ask how to get back to the variance.",
        ),
        Mistake(
            "variance as weight",
            weights_by_variance,
            "Your mean is drawn to the wider of the two.",
            "Ask which of the two knows better where x is.",
        ),
        Mistake(
            "plain average",
            lambda ma, va, mb, vb: ((ma + mb) / 2, gaussian_product(ma, va, mb, vb)[1]),
            "Your variance is right, and your mean is half-way, whatever the variances are.",
            "Ask which of the two knows better where x is.",
        ),
    ),
)
