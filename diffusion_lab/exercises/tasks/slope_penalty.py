"""Notebook 26, `slope_penalty`: R1, the penalty on the discriminator's slope at data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "26_rivals"
Discriminator = Callable[[Tensor], Tensor]


def slope_penalty(discriminator: Discriminator, x: Tensor, gamma: float) -> Tensor:
    """R1: γ/2 times the mean over the batch of ‖∇_x D(x)‖².

    discriminator(x) returns the logits D(x), [B, 1], of a batch x [B, D], each of its own example alone, and
    autograd can follow it; gamma is γ. Return one number. It must keep its graph: the discriminator learns
    from it.
    """
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * slope.square().sum(1).mean()


class Bent:
    """D(x) = a · tanh(W x) [B, 1], whose slope is not the same everywhere; its weights require a gradient."""

    def __init__(self, weight: Tensor, a: Tensor) -> None:
        self.weight, self.a = weight.requires_grad_(), a

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weight) @ self.a


def batches(generator: torch.Generator) -> Iterator[Case]:
    """Bent discriminators, batches of 1 to 5, B = D among them."""
    for n in range(12):
        B, D = [(3, 2), (4, 4), (1, 3), (5, 3)][n % 4]
        dtype = torch.float32 if n == 5 else torch.float64
        weight, a, x = (torch.randn(s, generator=generator, dtype=dtype) for s in ((D, 6), (6, 1), (B, D)))
        yield Bent(weight, a), x, [0.1, 1.0, 3.0][n % 3]


def slope(discriminator: Discriminator, x: Tensor) -> Tensor:
    """∇_x D(x), [B, D]."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)[0]


EXERCISE = Exercise(
    solution=slope_penalty,
    cases=batches,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "norm, not squared norm",
            lambda discriminator, x, gamma: gamma / 2 * slope(discriminator, x).norm(dim=1).mean(),
            "You take the length of the slope, not its square.",
            "Near a slope of 0 a square pulls softly, and a length does not.",
        ),
        Mistake(
            "slope pulled to 1",
            lambda discriminator, x, gamma: (
                gamma / 2 * (slope(discriminator, x).norm(dim=1) - 1).square().mean()
            ),
            "Your penalty is 0 where the slope has length 1.",
            "That is the penalty of another method: ask how steep D should be in the end.",
        ),
        Mistake(
            "the value for its slope",
            lambda discriminator, x, gamma: gamma / 2 * discriminator(x).square().mean(),
            "You punish large logits.",
            "A discriminator may be sure; look at what must not change quickly with x.",
        ),
        Mistake(
            "sum for mean",
            lambda discriminator, x, gamma: gamma / 2 * slope(discriminator, x).square().sum(),
            "Your penalty grows with the batch.",
            "Look at what is summed, and what is averaged.",
        ),
        Mistake(
            "mean for sum",
            lambda discriminator, x, gamma: gamma / 2 * slope(discriminator, x).square().mean(),
            "Your penalty falls with the number of pixels.",
            "A squared length is a sum over its coordinates.",
        ),
        Mistake(
            "missing factor 1/2",
            lambda discriminator, x, gamma: gamma * slope(discriminator, x).square().sum(1).mean(),
            "Your number is twice the right one.",
            "Look at the front of the formula.",
        ),
    ),
)
