"""Exercises of notebook 06 that end a step of training: gradient descent, and the moving average."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake

NOTEBOOK = "06_training"


# --- one step of gradient descent
def sgd_step(weight: Tensor, x_t: Tensor, v: Tensor, lr: float) -> Tensor:
    """The weights of a linear network after one step of gradient descent.

    The network answers x_t @ weight: weight is [D, D], x_t [B, D] holds a batch and v [B, D] the truth; lr is
    the learning rate, a number. The loss is the mean of (x_t @ weight − v)² over all B · D entries. Return
    the new weights, [D, D]: weight minus lr times the gradient of the loss. Leave weight itself as it is.
    """
    error = x_t @ weight - v
    gradient = 2 * x_t.T @ error / error.numel()
    return weight - lr * gradient


def linear_networks(generator: torch.Generator) -> Iterator[Case]:
    """Networks of one to five inputs, batches of one to seven, B = D among them."""
    for n, (B, D) in enumerate([(5, 2), (4, 4), (1, 3), (7, 1), (3, 5), (6, 2), (2, 2), (1, 1), (7, 3)]):
        dtype = torch.float32 if n == 5 else torch.float64
        weight, x_t, v = (
            torch.randn(shape, generator=generator, dtype=dtype) for shape in ((D, D), (B, D), (B, D))
        )
        yield weight, x_t, v, (0.1, 0.5, 0.01, 0.3, 1.0)[n % 5]


def gradient_of(weight: Tensor, x_t: Tensor, v: Tensor) -> Tensor:
    """Of the mean squared error, by autograd."""
    weight = weight.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((x_t @ weight - v).square().mean(), weight)
    return gradient


STEP_SUM = (
    "Your step is too long, and the more so the larger the batch is.",
    "Look at the number that the squared errors are divided by.",
)
STEP_MISTAKES = (
    Mistake(
        "uphill for downhill",
        lambda weight, x_t, v, lr: weight + lr * gradient_of(weight, x_t, v),
        "After your step the loss is higher than before.",
        "Ask in which direction the gradient points.",
    ),
    Mistake(
        "learning rate left out",
        lambda weight, x_t, v, _: weight - gradient_of(weight, x_t, v),
        "Your step has the same length whatever lr is.",
        "Look at what is taken away from weight.",
    ),
    Mistake(
        "sum for mean",
        lambda weight, x_t, v, lr: weight - lr * v.numel() * gradient_of(weight, x_t, v),
        *STEP_SUM,
    ),
    Mistake(
        "sum for mean",
        lambda weight, x_t, v, lr: weight - lr * v.shape[1] * gradient_of(weight, x_t, v),
        *STEP_SUM,
    ),
    Mistake(
        "missing factor 2",
        lambda weight, x_t, v, lr: weight - 0.5 * lr * gradient_of(weight, x_t, v),
        "Your step is half as long as it should be.",
        "Look at the derivative of a square.",
    ),
    Mistake(
        "gradient for the new weights",
        lambda weight, x_t, v, _: gradient_of(weight, x_t, v),
        "You return the gradient itself.",
        "Ask where the weights were before the step, and where they are after it.",
    ),
    Mistake(
        "step for the new weights",
        lambda weight, x_t, v, lr: -lr * gradient_of(weight, x_t, v),
        "You return the change of the weights.",
        "Ask where the weights were before the step, and where they are after it.",
    ),
)


# --- the moving average
def ema_update(average: Tensor, weight: Tensor, decay: float, n: int) -> Tensor:
    """The moving average of the weights, after one more step of training.

    average and weight have one shape; weight is what training has just made of the weights; decay is a number
    between 0 and 1, and n the number of updates so far, from 0. At first the average must be quick: use
    d = min(decay, (1 + n)/(10 + n)). Return d parts of the average and 1 − d parts of weight, in their shape.
    Leave average itself as it is.
    """
    d = min(decay, (1 + n) / (10 + n))
    return d * average + (1 - d) * weight


def averages(generator: torch.Generator) -> Iterator[Case]:
    """Weights of several shapes, early and late in training."""
    for n in range(12):
        shape = [(3, 4), (5,), (2, 1, 3, 3), (1,)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        average, weight = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        yield average, weight, (0.999, 0.9, 0.5)[n % 3], (0, 3, 20, 1, 100, 6, 0, 40, 1000, 12, 80, 5000)[n]


OFF_BY_ONE_N = "Your d belongs to another n, one step away.", "Ask what n is at the very first update."
EMA_MISTAKES = (
    Mistake(
        "decay and 1 − decay swapped",
        lambda average, weight, decay, n: average + min(decay, (1 + n) / (10 + n)) * (weight - average),
        "Late in training your average follows the newest weights and forgets the rest.",
        "Ask which of the two parts should be close to 1 when decay is 0.999.",
    ),
    Mistake(
        "no warm-up",
        lambda average, weight, decay, _: decay * average + (1 - decay) * weight,
        "Your first updates are as slow as all others, so the average hangs on to the untrained weights.",
        "Look at what d is for small n.",
    ),
    Mistake(
        "warm-up without end",
        lambda average, weight, _, n: weight + (1 + n) / (10 + n) * (average - weight),
        "Your average grows slower and slower: decay has no say in it.",
        "Look at what d is for large n.",
    ),
    Mistake(
        "maximum for minimum",
        lambda average, weight, decay, n: weight + max(decay, (1 + n) / (10 + n)) * (average - weight),
        "Your average is too slow at the start and at the end.",
        "Of the two numbers for d, ask which should win for small n, and which for large n.",
    ),
    Mistake(
        "off by one in n",
        lambda average, weight, decay, n: weight + min(decay, (2 + n) / (11 + n)) * (average - weight),
        *OFF_BY_ONE_N,
    ),
    Mistake(
        "off by one in n",
        lambda average, weight, decay, n: weight + min(decay, n / (9 + n)) * (average - weight),
        *OFF_BY_ONE_N,
    ),
    Mistake(
        "average left as it was",
        lambda average, *_: average.clone(),
        "You return the average as it came in.",
        "Ask where weight takes part in your result.",
    ),
)

DESCENT: tuple[Exercise, ...] = (
    Exercise(sgd_step, linear_networks, STEP_MISTAKES, NOTEBOOK),
    Exercise(ema_update, averages, EMA_MISTAKES, NOTEBOOK),
)
