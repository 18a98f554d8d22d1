"""Notebook 01, `unmix`: the data, from a mixture whose noise is known."""

from __future__ import annotations

from torch import Tensor

from ..exercise import Exercise, Mistake
from .mix import numbers_and_pictures

NOTEBOOK = "01_start_here"


Value = float | Tensor


def unmix(x_t: Value, noise: Value, signal: float, sigma: float) -> Value:
    """The data, from a mixture whose noise is known.

    x_t = signal · x0 + sigma · noise is given, and so is noise: two numbers, or two tensors of one shape;
    signal and sigma are numbers, and signal is not 0. Return x0, a number or a tensor like x_t.
    """
    return (x_t - sigma * noise) / signal


EXERCISE = Exercise(
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
