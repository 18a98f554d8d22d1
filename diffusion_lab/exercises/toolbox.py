"""Exercises of notebook 00: a product of Gaussians, the best guess, a divergence, a random path."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake, scaled

NOTEBOOK = "00_toolbox"

Pair = tuple[Tensor, Tensor]


def spread(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Variances between 0.2 and 3.2, few of them close to 1."""
    return 0.2 + 3 * torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


# ------------------------------------------------------------------------------------------ gaussian_product
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


GAUSSIAN_PRODUCT = Exercise(
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


# ---------------------------------------------------------------------------------------------- best_guess
def best_guess(joint: Tensor, values: Tensor) -> Tensor:
    """The best guess at x for each y, in the mean square: E[x|y].

    joint is a table of probabilities, [K, M], that add up to 1: joint[i, j] = P(x = values[i] and y = j).
    values holds the K numbers that x can be, [K]. Return [M]: entry j is E[x | y = j].
    """
    return (values[:, None] * joint).sum(0) / joint.sum(0)


def joint_tables(generator: torch.Generator) -> Iterator[Case]:
    """Tables of several sizes, square ones among them; two dtypes."""
    for n in range(12):
        K, M = [(4, 3), (3, 3), (2, 5), (5, 5), (3, 2), (4, 1)][n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        joint = (0.02 + torch.rand((K, M), generator=generator, dtype=torch.float64) ** 2).to(dtype)
        yield joint / joint.sum(), 2 * torch.randn(K, generator=generator, dtype=dtype) + 0.5


BEST_GUESS = Exercise(
    solution=best_guess,
    cases=joint_tables,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "joint for conditional",
            lambda joint, values: values @ joint,
            "Your values are too small: for one y the weights do not add up to 1.",
            "Ask what turns P(x and y) into P(x given y).",
        ),
        Mistake(
            "guess without y",
            lambda joint, values: (values @ joint.sum(1)).expand(joint.shape[1]),
            "You return one and the same guess for every y.",
            "That is E[x], the best guess of somebody who does not see y.",
        ),
        Mistake(
            "mode for mean",
            lambda joint, values: values[joint.argmax(0)],
            "You return the most probable x for each y.",
            "The most probable value may be far off at times: ask what makes the mean square small.",
        ),
        Mistake(
            "values along the last axis",
            lambda joint, values: (values * joint).sum(0) / joint.sum(0),
            "Your values of x run along the axis of y.",
            "Rows of joint belong to x: look at the axis that values is matched with.",
        ),
        Mistake(
            "given x instead of y",
            lambda joint, values: values @ (joint / joint.sum(1, keepdim=True)),
            "Your weights are P(y given x).",
            "For one y they have to add up to 1: look at the axis that you sum over.",
        ),
        Mistake(
            "plain average",
            lambda joint, values: values.mean().expand(joint.shape[1]),
            "Your guess counts all values of x alike.",
            "Ask where the probabilities come in.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- gaussian_kl
def gaussian_kl(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """KL(p ‖ q) of two Gaussians with independent coordinates, in nats.

    All four are [B, D]: row b holds the means and the variances of p = N(mean_p, var_p) and of
    q = N(mean_q, var_q) in D dimensions. Return [B]: one divergence for each row, over all its dimensions.
    """
    per_axis = (var_p + (mean_p - mean_q) ** 2) / var_q - 1 - (var_p / var_q).log()
    return 0.5 * per_axis.sum(1)


def rows_of_gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Several B and D, B = D among them; two dtypes; once p = q."""
    for n in range(12):
        shape = [(5, 3), (1, 2), (4, 4), (3, 1)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        means = [torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2)]
        variances = [spread(shape, generator, dtype) for _ in range(2)]
        same = n == 10
        yield means[0], variances[0], means[0 if same else 1], variances[0 if same else 1]


def kl_with_std(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """The logarithm of a ratio of standard deviations."""
    per_axis = (var_p + (mean_p - mean_q) ** 2) / var_q - 1 - 0.5 * (var_p / var_q).log()
    return 0.5 * per_axis.sum(1)


def kl_upside_down(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """The other sign before the logarithm."""
    per_axis = (var_p + (mean_p - mean_q) ** 2) / var_q - 1 + (var_p / var_q).log()
    return 0.5 * per_axis.sum(1)


def kl_without_one(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """Without the −1."""
    return gaussian_kl(mean_p, var_p, mean_q, var_q) + 0.5 * mean_p.shape[1]


def kl_without_means(mean_p: Tensor, var_p: Tensor, mean_q: Tensor, var_q: Tensor) -> Tensor:
    """As if both means were the same."""
    return gaussian_kl(mean_p, var_p, mean_p, var_q) + 0 * mean_q.sum(1)


GAUSSIAN_KL = Exercise(
    solution=gaussian_kl,
    cases=rows_of_gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "bits for nats",
            scaled(gaussian_kl, 1 / math.log(2)),
            "Your values are 1.44 times the right ones.",
            "Nats belong to the natural logarithm.",
        ),
        Mistake(
            "mean for sum",
            lambda mp, vp, mq, vq: gaussian_kl(mp, vp, mq, vq) / mp.shape[1],
            "Your values are those of one dimension, on average.",
            "Divergences of independent coordinates add up.",
        ),
        Mistake(
            "missing factor 1/2",
            scaled(gaussian_kl, 2),
            "Your values are twice the right ones.",
            "Look at the front of the formula.",
        ),
        Mistake(
            "KL the wrong way round",
            lambda mp, vp, mq, vq: gaussian_kl(mq, vq, mp, vp),
            "Your value is KL(q ‖ p).",
            "Ask which of the two you average over: it comes first.",
        ),
        Mistake(
            "standard deviation for variance",
            kl_with_std,
            "Your logarithm is half as large as it has to be.",
            "Ask which ratio stands in the logarithm: that of the variances, or of the standard deviations?",
        ),
        Mistake(
            "logarithm upside down",
            kl_upside_down,
            "The logarithm in your sum has the other sign, and some of your values are below 0.",
            "Ask which variance stands on top.",
        ),
        Mistake(
            "missing −1",
            kl_without_one,
            "Your divergence of a distribution from itself is not 0.",
            "Put p = q into your formula, and see what is left.",
        ),
        Mistake(
            "means left out",
            kl_without_means,
            "Your values do not change when the means move apart.",
            "Look at which of the arguments you have used.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- brownian_path
def brownian_path(noise: Tensor, dt: float) -> Tensor:
    """The paths of a Brownian motion at the times 0, dt, 2 dt, …, N dt.

    noise holds independent draws from N(0, 1), [N, B]: row k is for step k of B independent paths. dt is the
    length of a step in time. Each path starts at 0, and its increments have the variance dt.
    Return [N + 1, B]: row k holds the paths at the time k dt.
    """
    walked = (dt**0.5 * noise).cumsum(0)
    return torch.cat([torch.zeros_like(walked[:1]), walked])


def rows_of_noise(generator: torch.Generator) -> Iterator[Case]:
    """Several N and B, N = B among them; steps from 0.01 to 2.5; two dtypes."""
    for n in range(12):
        shape = [(6, 3), (4, 4), (1, 2), (10, 1)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        yield torch.randn(shape, generator=generator, dtype=dtype), [0.01, 0.3, 2.5, 0.1, 0.62][n % 5]


def started(walked: Tensor) -> Tensor:
    """With a row of zeros in front."""
    return torch.cat([torch.zeros_like(walked[:1]), walked])


def fresh_each_time(noise: Tensor, dt: float) -> Tensor:
    """The right width at each time, and no path."""
    elapsed = dt * torch.arange(1, len(noise) + 1, dtype=noise.dtype)[:, None]
    return started(elapsed.sqrt() * noise)


BROWNIAN_PATH = Exercise(
    solution=brownian_path,
    cases=rows_of_noise,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda noise, dt: started((dt * noise).cumsum(0)),
            "Your paths are too narrow where dt is below 1, and too wide above.",
            "The variance of an increment is dt: ask what a draw from N(0, 1) must be multiplied by.",
        ),
        Mistake(
            "step size left out",
            lambda noise, _dt: started(noise.cumsum(0)),
            "Your paths are the same for every dt.",
            "Ask how far a path gets in a short time.",
        ),
        Mistake(
            "increments for the path",
            lambda noise, dt: started(dt**0.5 * noise),
            "Each of your rows is a single increment: nothing is remembered from step to step.",
            "Ask where a path is that has taken two steps.",
        ),
        Mistake(
            "new draw for every time",
            fresh_each_time,
            "Each row has the right variance, but neighbours in time have nothing to do with each other.",
            "A path goes on from where it is: ask what the next point has in common with the last.",
        ),
        Mistake(
            "no start at 0",
            lambda noise, dt: (dt**0.5 * noise).cumsum(0),
            "You return N rows, and the first of them has taken a step already.",
            "Ask where the paths are at time 0.",
        ),
        Mistake(
            "time along the last axis",
            lambda noise, dt: started((dt**0.5 * noise).cumsum(1)),
            "You add up different paths, instead of the steps of one.",
            "Time runs along the first axis.",
        ),
        Mistake(
            "mean for sum",
            lambda noise, dt: started(
                (dt**0.5 * noise).cumsum(0) / torch.arange(1, len(noise) + 1, dtype=noise.dtype)[:, None]
            ),
            "Your paths come to rest: each row is the mean of the steps so far.",
            "Increments add up, and nothing is divided.",
        ),
    ),
)

EXERCISES = (GAUSSIAN_PRODUCT, BEST_GUESS, GAUSSIAN_KL, BROWNIAN_PATH)
