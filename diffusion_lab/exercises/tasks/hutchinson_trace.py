"""The exercise `hutchinson_trace` of notebook 15."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "15_likelihood"


def hutchinson_trace(velocity: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """The divergence of `velocity` at x, by Hutchinson's estimate and automatic differentiation.

    x has the shape `[B, *D]`. velocity(x) has the same shape, and treats the B examples one by one.
    z `[P, B, *D]` holds P probes of random signs, ±1. Each probe gives, for each example, the number zᵀ J z,
    where J is the Jacobian of the velocity at this example. Return the mean over the probes, of shape [B].
    """
    x = x.detach().requires_grad_()
    change = velocity(x)
    total = torch.zeros(len(x), dtype=x.dtype)
    for probe in z:
        (pulled,) = torch.autograd.grad(change, x, probe, retain_graph=True)
        total = total + (pulled * probe).flatten(1).sum(1)
    return total / len(z)


def mixed(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    """A velocity whose Jacobian depends on x and is full."""

    def velocity(x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return (flat @ matrix.to(x).T + torch.sin(flat) * flat.flip(1)).reshape(x.shape)

    return velocity


def trace_cases(generator: torch.Generator) -> Iterator[Case]:
    """Points and small images, one to three probes."""
    shapes = [(4, 2), (3, 3), (1, 3), (2, 1, 2, 2), (2, 4)]
    for n in range(10):
        shape, dtype = shapes[n % 5], torch.float32 if n % 5 == 1 else torch.float64
        x = torch.randn(shape, generator=generator, dtype=dtype)
        D = math.prod(shape[1:])
        matrix = torch.randn(D, D, generator=generator, dtype=torch.float64)
        signs = torch.randint(0, 2, ([2, 1, 3][n % 3], *shape), generator=generator)
        yield mixed(matrix), x, (2 * signs - 1).to(dtype)


def jacobians(velocity: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The Jacobian of each example: [B, D, D], row i that of the velocity's component i."""
    D = math.prod(x.shape[1:])
    both = torch.autograd.functional.jacobian(velocity, x).reshape(len(x), D, len(x), D)
    return torch.stack([both[i, :, i] for i in range(len(x))])


def probed(finish: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """What another reading makes of zᵀ J [P, B, D] and z [P, B, D]."""

    def function(velocity: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
        flat = z.flatten(2)
        return finish(torch.einsum("pbi,bij->pbj", flat, jacobians(velocity, x)), flat)

    return function


def exact_trace(velocity: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """The mistake: exact trace for its estimate."""
    return jacobians(velocity, x).diagonal(dim1=1, dim2=2).sum(1)


TRACE_MISTAKES = (
    Mistake(
        "sum for mean",
        probed(lambda pulled, z: (pulled * z).sum(2).sum(0)),
        "Right for one probe; with P probes your result is P times too large.",
        "Each probe alone already estimates the whole trace.",
    ),
    Mistake(
        "mean for sum",
        probed(lambda pulled, z: (pulled * z).mean(2).mean(0)),
        "Your result is too small by the number of dimensions.",
        "A scalar product is a sum over the dimensions.",
    ),
    Mistake(
        "one probe only",
        probed(lambda pulled, z: (pulled * z).sum(2)[0]),
        "Right for one probe; of several, yours uses the first alone.",
        "Ask what becomes of the other probes in your lines.",
    ),
    Mistake(
        "one probe only",
        probed(lambda pulled, z: (pulled * z).sum(2)[-1]),
        "Right for one probe; of several, yours keeps the last alone.",
        "Look at what your loop overwrites.",
    ),
    Mistake(
        "second z left out",
        probed(lambda pulled, z: pulled.sum(2).mean(0)),
        "You add up the entries of zᵀJ as they are.",
        "Count how often z stands in the estimate.",
    ),
    Mistake(
        "sum over the batch",
        probed(lambda pulled, z: (pulled * z).sum((1, 2)).mean(0)),
        "All your examples have one value, the sum over the batch.",
        "Look at the axes that you sum over.",
    ),
    Mistake(
        "exact trace for its estimate",
        exact_trace,
        "Your result does not depend on z: it is the trace itself.",
        "That is right and dear; the task asks for what the given probes make of it.",
    ),
)


EXERCISE = Exercise(hutchinson_trace, trace_cases, TRACE_MISTAKES, NOTEBOOK)
