"""Exercises of notebook 01: mix data and noise, take them apart again, and measure a distance."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake

NOTEBOOK = "01_start_here"

Value = float | Tensor


def weights(generator: torch.Generator) -> tuple[float, float]:
    """A pair (signal, sigma) with signal² + sigma² = 1, neither of them close to 0."""
    angle = 0.25 + 1.05 * torch.rand((), generator=generator, dtype=torch.float64)
    return angle.cos().item(), angle.sin().item()


def numbers_and_pictures(generator: torch.Generator) -> Iterator[tuple[Value, Value, float, float]]:
    """Two numbers, or two pictures of one shape, and how much of each."""
    for n in range(12):
        shape = [(), (), (), (3, 1, 4, 4), (4, 4), (1, 3)][n % 6]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        a, b = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        if shape:
            yield a, b, *weights(generator)
        else:
            yield a.item(), b.item(), *weights(generator)


# ---------------------------------------------------------------------------------------------- mix
def mix(x0: Value, noise: Value, signal: float, sigma: float) -> Value:
    """Data and noise, mixed: signal times x0 plus sigma times noise.

    x0 and noise are two numbers, or two tensors of one shape; signal and sigma are numbers. Return the
    mixture x_t, a number or a tensor like x0.
    """
    return signal * x0 + sigma * noise


MIX = Exercise(
    solution=mix,
    cases=numbers_and_pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "signal and sigma swapped",
            lambda x0, noise, signal, sigma: sigma * x0 + signal * noise,
            "Where there should be most of the data, you have most of the noise.",
            "Look at which of signal and sigma stands before x0.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda x0, noise, signal, sigma: signal * x0 + sigma**2 * noise,
            "Your noise is too weak.",
            "Look at the factor of noise: nothing has to be squared.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda x0, noise, signal, sigma: signal**2 * x0 + sigma * noise,
            "Your mixture holds too little of the data.",
            "Look at the factor of x0: nothing has to be squared.",
        ),
        Mistake(
            "data not shrunk",
            lambda x0, noise, _signal, sigma: x0 + sigma * noise,
            "Your mixture holds all of the data.",
            "Look at the factor of x0.",
        ),
        Mistake(
            "noise not scaled",
            lambda x0, noise, signal, _sigma: signal * x0 + noise,
            "Your mixture holds all of the noise.",
            "Look at the factor of noise.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- unmix
def unmix(x_t: Value, noise: Value, signal: float, sigma: float) -> Value:
    """The data, from a mixture whose noise is known.

    x_t = signal · x0 + sigma · noise is given, and so is noise: two numbers, or two tensors of one shape;
    signal and sigma are numbers, and signal is not 0. Return x0, a number or a tensor like x_t.
    """
    return (x_t - sigma * noise) / signal


UNMIX = Exercise(
    solution=unmix,
    cases=numbers_and_pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "data not scaled back",
            lambda x_t, noise, _signal, sigma: x_t - sigma * noise,
            "You have taken the noise away, and what is left is still too small.",
            "Solve the equation to its end: a factor still stands before x0.",
        ),
        Mistake(
            "multiplied instead of divided",
            lambda x_t, noise, signal, sigma: (x_t - sigma * noise) * signal,
            "What you return is smaller than the data.",
            "Ask how a factor on the one side of an equation gets to the other.",
        ),
        Mistake(
            "missing brackets",
            lambda x_t, noise, signal, sigma: x_t / signal - sigma * noise,
            "You have divided the mixture, and not the noise in it.",
            "Look at what your division applies to.",
        ),
        Mistake(
            "missing brackets",
            lambda x_t, noise, signal, sigma: x_t - sigma * noise / signal,
            "You have divided the noise, and not the mixture.",
            "Look at what your division applies to.",
        ),
        Mistake(
            "noise added again",
            lambda x_t, noise, signal, sigma: (x_t + sigma * noise) / signal,
            "Your result has twice the noise, instead of none.",
            "Look at the sign before the noise.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda x_t, noise, signal, sigma: (x_t - signal * noise) / sigma,
            "You have taken away noise in the amount of signal.",
            "Look at which of signal and sigma belongs to the noise.",
        ),
        Mistake(
            "noise not scaled",
            lambda x_t, noise, signal, _sigma: (x_t - noise) / signal,
            "You have taken away more noise than the mixture holds.",
            "Look at the factor of noise.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda x_t, noise, signal, sigma: (x_t - sigma**2 * noise) / signal,
            "Some noise is left in your result.",
            "Look at the factor of noise: nothing has to be squared.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- rms_distance
def rms_distance(a: Tensor, b: Tensor) -> Tensor:
    """The distance of two pictures: the root of the mean of the squared differences.

    a and b have one shape, that of a picture or of a whole batch; the mean is over all their numbers. Return
    one number.
    """
    return ((a - b) ** 2).mean() ** 0.5


def pairs_of_pictures(generator: torch.Generator) -> Iterator[Case]:
    """Pairs that differ in their average, too; several shapes, two dtypes."""
    for n in range(10):
        shape = [(1, 8, 8), (5,), (3, 1, 4, 4), (4, 4), (2, 3)][n % 5]
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        a, b = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        yield a, 0.6 * b + 0.4


RMS_DISTANCE = Exercise(
    solution=rms_distance,
    cases=pairs_of_pictures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "missing square root",
            lambda a, b: ((a - b) ** 2).mean(),
            "You return the mean of the squares.",
            "It has the square of the unit of a and b: a step is left.",
        ),
        Mistake(
            "sum for mean",
            lambda a, b: (a - b).norm(),
            "Your distance grows with the number of pixels.",
            "Look at what you do with all the squares.",
        ),
        Mistake(
            "absolute value for square",
            lambda a, b: (a - b).abs().mean(),
            "Your distance is the mean of the absolute differences.",
            "Look at what is done to the differences before the mean.",
        ),
        Mistake(
            "distance of the averages",
            lambda a, b: (a.mean() - b.mean()).abs(),
            "You compare only how bright the two pictures are on the whole.",
            "Look at the order: differences first, pixel by pixel, and the mean after that.",
        ),
        Mistake(
            "standard deviation for root mean square",
            lambda a, b: (a - b).std(),
            "You measure how much the differences vary: a constant difference would count for nothing.",
            "A standard deviation takes the mean away first: ask whether that is wanted here.",
        ),
        Mistake(
            "standard deviation for root mean square",
            lambda a, b: (a - b).std(correction=0),
            "You measure how much the differences vary: a constant difference would count for nothing.",
            "A standard deviation takes the mean away first: ask whether that is wanted here.",
        ),
    ),
)

EXERCISES = (MIX, UNMIX, RMS_DISTANCE)
