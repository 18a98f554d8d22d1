"""Notebook 06, `sgd_step`: the weights of a linear network after one step of gradient descent."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

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


EXERCISE = Exercise(sgd_step, linear_networks, STEP_MISTAKES, NOTEBOOK)
