"""Notebook 15, `log_prob_by_euler`: log p_0(x) in nats, by Euler's method along an ODE."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "15_likelihood"


Velocity = Callable[[Tensor, float], Tensor]  # of x [B, D] and u


def log_prob_by_euler(x: Tensor, velocity: Velocity, divergence: Velocity, steps: int) -> Tensor:
    """log p_0(x) in nats, by Euler's method along an ODE.

    x [B, D] are points at u = 0. velocity(x, u) gives dx/du, [B, D]; divergence(x, u) is its divergence, [B].
    Go from u = 0 to u = 1 in `steps` equal steps; ask both functions at the start of each step. At u = 1 the
    density is that of N(0, I) in D dimensions. Return log p_0 of each point, in the shape [B]:
    log N(x(1); 0, I) plus the integral of the divergence over u.
    """
    h = 1 / steps
    total = torch.zeros_like(x[:, 0])
    for k in range(steps):
        total = total + h * divergence(x, k * h)
        x = x + h * velocity(x, k * h)
    return total - (x**2).sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)


def bent(rate: float, bend: float) -> tuple[Velocity, Velocity]:
    """A velocity that depends on x and u, and its divergence."""

    def velocity(x: Tensor, u: float) -> Tensor:
        return rate * (1 + u) * x + bend * torch.tanh(x + u)

    def divergence(x: Tensor, u: float) -> Tensor:
        return (rate * (1 + u) + bend * (1 - torch.tanh(x + u) ** 2)).sum(1)

    return velocity, divergence


def euler_cases(generator: torch.Generator) -> Iterator[Case]:
    """One to three dimensions, B = D among them; from one step to twenty."""
    shapes = [(4, 1), (3, 2), (2, 2), (1, 3), (3, 3)]
    for n in range(10):
        dtype = torch.float32 if n % 5 == 3 else torch.float64
        x = torch.randn(shapes[n % 5], generator=generator, dtype=dtype)
        rate, bend = torch.randn(2, generator=generator, dtype=torch.float64).tolist()
        yield x, *bent(0.4 * rate, 0.6 * bend), [1, 3, 20, 5, 8, 2][n % 6]


def along(
    constant: Callable[[int], float] = lambda d: d / 2 * math.log(2 * math.pi),
    square: Callable[[Tensor], Tensor] = lambda x: (x * x).sum(1) / 2,
    sign: float = 1.0,
    sized: bool = True,
    after: bool = False,
    at_data: bool = False,
) -> Callable[[Tensor, Velocity, Velocity, int], Tensor]:
    """Euler's method with one thing done in another way."""

    def function(x: Tensor, velocity: Velocity, divergence: Velocity, steps: int) -> Tensor:
        start, parts = x, list[Tensor]()
        for k in range(steps):
            moved = x + velocity(x, k / steps) / steps
            parts.append(divergence(moved if after else x, k / steps))
            x = moved
        total = sign * torch.stack(parts).sum(0) / (steps if sized else 1)
        return total - square(start if at_data else x) - constant(x.shape[1])

    return function


EULER_MISTAKES = (
    Mistake(
        "divergence with the wrong sign",
        along(sign=-1.0),
        "The part that the divergence adds has the other sign.",
        "Where a flow spreads points, their density falls: ask at which end it is higher.",
    ),
    Mistake(
        "divergence after the step",
        along(after=True),
        "You ask for the divergence at the point where the step ends.",
        "Look at the order of your lines inside the loop.",
    ),
    Mistake(
        "step size left out",
        along(sized=False),
        "Right for one step; with more steps your integral grows with their number.",
        "An integral is a sum of values times widths.",
    ),
    Mistake(
        "prior at the data",
        along(at_data=True),
        "You evaluate N(0, I) at the point where the path starts.",
        "Ask at which u the density is N(0, I).",
    ),
    Mistake(
        "constant of the Gaussian left out",
        along(lambda d: 0.0),
        "Your values are too high by a constant that grows with D.",
        "Write down log N(x; 0, I) in full.",
    ),
    Mistake(
        "constant for one dimension",
        along(lambda d: math.log(2 * math.pi) / 2),
        "Right in one dimension; too high in two and more.",
        "Each dimension brings a constant of its own.",
    ),
    Mistake(
        "missing factor 1/2",
        along(square=lambda x: (x * x).sum(1)),
        "The squares of x(1) count twice.",
        "Write down the exponent of a Gaussian.",
    ),
    Mistake(
        "mean for sum",
        along(square=lambda x: (x * x).mean(1) / 2),
        "Right in one dimension; in more, the squares of x(1) count too little.",
        "The log-density of N(0, I) is a sum over the dimensions.",
    ),
)


EXERCISE = Exercise(log_prob_by_euler, euler_cases, EULER_MISTAKES, NOTEBOOK)
