"""Exercises of notebook 15: log p along the ODE, the trace from random signs, and a density in bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake

NOTEBOOK = "15_likelihood"
Velocity = Callable[[Tensor, float], Tensor]  # of x [B, D] and u


# --------------------------------------------------------------------------------- log p by Euler's method
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


# ------------------------------------------------------------------------------------------- Hutchinson
def hutchinson_trace(velocity: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """The divergence of `velocity` at x, by Hutchinson's estimate and automatic differentiation.

    x has the shape [B, *D]. velocity(x) has the same shape, and treats the B examples one by one.
    z [P, B, *D] holds P probes of random signs, ±1. Each probe gives, for each example, the number zᵀ J z,
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


# ------------------------------------------------------------------------------------- a density in bits
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

EXERCISES = (
    Exercise(log_prob_by_euler, euler_cases, EULER_MISTAKES, NOTEBOOK),
    Exercise(hutchinson_trace, trace_cases, TRACE_MISTAKES, NOTEBOOK),
    Exercise(density_to_bits_per_dim, bits_cases, BITS_MISTAKES, NOTEBOOK),
)
