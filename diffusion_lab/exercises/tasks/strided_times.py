"""The exercise `strided_times` of notebook 08."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "08_sampling"


Times = list[int]


def strided_times(T: int, steps: int) -> Times:
    """The times that a sampler visits in so many steps, falling from T to 0 ("trailing").

    T and steps are whole numbers, 1 ≤ steps ≤ T. Time number i, for i from 0 to steps, is T · (steps −
    i)/steps, rounded to the nearest whole number. Return the list of all steps + 1 times: the first is T,
    the last is 0.
    """
    return [round(T * (steps - i) / steps) for i in range(steps + 1)]


def runs(generator: torch.Generator) -> Iterator[Case]:
    """Few and many steps: dividing T or not, and nowhere exactly between two whole numbers."""
    yield from [(1000, 50), (1000, 7), (50, 6), (10, 10), (1000, 1), (100, 30), (1000, 3), (40, 9), (1, 1)]
    yield from [(1000, 999), (17, 5), (300, 11)]


def by_whole_strides(T: int, steps: int) -> list[int]:
    """What many codes do: multiples of T // steps, which may end below T."""
    return [i * (T // steps) for i in range(steps)][::-1]


TRAILING = (
    "Your first time is below T.",
    "The run starts from pure noise: ask at which t the network has seen that.",
)


EXERCISE = Exercise(
    solution=strided_times,
    cases=runs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("times that leave out T", by_whole_strides, *TRAILING),
        Mistake("times that leave out T", lambda T, steps: strided_times(T, steps)[1:], *TRAILING),
        Mistake(
            "times that leave out T",
            lambda T, steps: [i * (T // steps) for i in range(steps + 1)][::-1],
            *TRAILING,
        ),
        Mistake(
            "times that leave out 0",
            lambda T, steps: strided_times(T, steps)[:-1],
            "Your last time is above 0.",
            "The run must end at clean data: so many steps have one more time than there are steps.",
        ),
        Mistake(
            "rising times",
            lambda T, steps: strided_times(T, steps)[::-1],
            "Your times rise.",
            "Sampling goes from noise to data: ask which of T and 0 comes first.",
        ),
        Mistake(
            "off by one in t",
            lambda T, steps: [t - 1 for t in strided_times(T, steps)],
            "Your times run from T − 1 to −1.",
            "Here t = 0 is clean data and t = T is noise; nothing is shifted by 1.",
        ),
        Mistake(
            "rounded down",
            lambda T, steps: [T * (steps - i) // steps for i in range(steps + 1)],
            "It is right where steps divides T, and otherwise up to 1 too low.",
            "The task asks for the nearest whole number.",
        ),
        Mistake(
            "rounded down",
            lambda T, steps: [T - T * i // steps for i in range(steps + 1)],
            "It is right where steps divides T, and otherwise up to 1 off.",
            "The task asks for the nearest whole number.",
        ),
        Mistake(
            "one step too few",
            lambda T, steps: torch.linspace(T, 0, steps, dtype=torch.float64).round().long(),
            "Your list has as many times as steps.",
            "Count the gaps between your times: each of them is a step.",
        ),
        Mistake(
            "not rounded",
            lambda T, steps: [T * (steps - i) / steps for i in range(steps + 1)],
            "Some of your times are no whole numbers.",
            "Tables are indexed by whole times.",
        ),
    ),
)
