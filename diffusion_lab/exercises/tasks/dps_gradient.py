"""Notebook 18, `dps_gradient`: what DPS adds to the score."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "18_restoring"
Guess = Callable[[Tensor], Tensor]


def dps_gradient(guess: Guess, x_t: Tensor, y: Tensor, A: Tensor, std: float) -> Tensor:
    """The gradient, in x_t, of log N(y; A x̂_0, std² I), for each example of the batch.

    guess(x_t) returns x̂_0, `[B, D]` like x_t, and autograd can follow it. y [M] was measured with the
    matrix A [M, D] and noise of standard deviation std. Return the gradient, `[B, D]`, without a graph.
    """
    x = x_t.detach().requires_grad_()
    misfit = y - guess(x) @ A.T
    log_prob = -misfit.square().sum() / (2 * std**2)
    (gradient,) = torch.autograd.grad(log_prob, x)
    return gradient


def problems(generator: torch.Generator) -> Iterator[Case]:
    """Denoisers that mix the coordinates and bend, batches of 1 to 5, B = D and M = D among them."""
    for n in range(8):
        B, D, M = [(3, 2, 1), (4, 4, 2), (1, 3, 3), (5, 3, 2)][n % 4]
        dtype = torch.float32 if n == 5 else torch.float64
        weight, A, x_t, y = (
            torch.randn(shape, generator=generator, dtype=dtype) for shape in ((D, D), (M, D), (B, D), (M,))
        )
        yield bent(weight), x_t, y, A, [0.3, 0.5, 2.0][n % 3]


def bent(weight: Tensor) -> Guess:
    """A guess that is no linear function of x_t, and mixes its coordinates."""

    def guess(x_t: Tensor) -> Tensor:
        return torch.tanh(x_t @ weight)

    return guess


def of(guess: Guess, x_t: Tensor, log_prob: Callable[[Tensor], Tensor]) -> Tensor:
    """The gradient in x_t of log_prob(x̂_0)."""
    x = x_t.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(log_prob(guess(x)), x)
    return gradient


EXERCISE = Exercise(
    solution=dps_gradient,
    cases=problems,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "norm over the batch",
            lambda guess, x_t, y, A, std: of(guess, x_t, lambda x0: -(y - x0 @ A.T).norm() / (2 * std**2)),
            "Your gradient of one example changes when other examples join the batch.",
            "A root over the whole batch ties the examples together: does a Gaussian's exponent have a root?",
        ),
        Mistake(
            "norm, not squared norm",
            lambda guess, x_t, y, A, std: of(
                guess, x_t, lambda x0: -(y - x0 @ A.T).norm(dim=1).sum() / (2 * std**2)
            ),
            "Your gradient has the right direction, and the same length however far A x̂_0 is from y.",
            "Look at the exponent of a Gaussian: is the distance in it squared?",
        ),
        Mistake(
            "mean for sum",
            lambda guess, x_t, y, A, std: of(
                guess, x_t, lambda x0: -(y - x0 @ A.T).square().mean() / (2 * std**2)
            ),
            "Your gradient shrinks as the batch grows, and as more numbers are measured.",
            "A log density is a sum over what was measured, and each example has its own.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda guess, x_t, y, A, std: of(
                guess, x_t, lambda x0: -(y - x0 @ A.T).square().sum() / (2 * std)
            ),
            "Your gradient is divided by std, not by its square.",
            "Look at the exponent of a Gaussian: what does it divide the squared distance by?",
        ),
        Mistake(
            "factor 2",
            lambda guess, x_t, y, A, std: of(guess, x_t, lambda x0: -(y - x0 @ A.T).square().sum() / std**2),
            "Your gradient is twice as long as it should be.",
            "Look at the number in front of the squared distance in a Gaussian's exponent.",
        ),
        Mistake(
            "gradient not taken through the guess",
            lambda guess, x_t, y, A, std: (y - guess(x_t) @ A.T) @ A / std**2,
            "Your gradient is the one in x̂_0, not the one in x_t.",
            "The guess x̂_0 is a function of x_t: let autograd go through it.",
        ),
    ),
)
