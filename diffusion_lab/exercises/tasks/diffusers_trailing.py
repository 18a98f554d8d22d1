"""Notebook 17, `diffusers_trailing`: their "trailing" times, from high to low, for some of T steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "17_diffusers"


def diffusers_trailing(T: int, steps: int) -> list[int]:
    """Their "trailing" times, from high to low, for some of T steps.

    T is the number of noising steps; their times run from 0 to T − 1. Return a list of as many whole
    numbers as steps says: evenly spaced, T / steps apart, rounded, and the first one is T − 1.
    """
    return [round(T - i * T / steps) - 1 for i in range(steps)]


def numbers_of_steps(generator: torch.Generator) -> Iterator[Case]:
    """Steps that divide T, and some that do not (without ties in rounding); one step, and all of them."""
    pairs = [(1000, 10), (1000, 1), (1000, 7), (50, 50), (100, 4), (10, 3), (1000, 30), (20, 6)]
    for T, steps in pairs:
        yield T, steps
    for steps in (3, 5, 9, 11):
        yield steps * int(torch.randint(2, 40, (), generator=generator)) + 1, steps


EXERCISE = Exercise(
    solution=diffusers_trailing,
    cases=numbers_of_steps,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "our times, not theirs",
            lambda T, steps: [round(T - i * T / steps) for i in range(steps)],
            "Your first time is T, which their table does not have.",
            "Their t is ours − 1.",
        ),
        Mistake(
            "leading for trailing",
            lambda T, steps: [i * (T // steps) for i in range(steps)][::-1],
            "Your last time is 0, and the first one is below T − 1.",
            "Look at which end of each stretch is taken.",
        ),
        Mistake(
            "includes the clean end",
            lambda T, steps: [round(T - i * T / steps) - 1 for i in range(steps + 1)],
            "Your list has one time too many, and it ends at −1.",
            "The network is asked once for each step: count the calls.",
        ),
        Mistake(
            "from low to high",
            lambda T, steps: sorted(round(T - i * T / steps) - 1 for i in range(steps)),
            "Your times rise.",
            "A sampler starts at the noisy end.",
        ),
        Mistake(
            "cut off instead of rounded",
            lambda T, steps: [T - i * (T // steps) - 1 for i in range(steps)],
            "Your times are right where steps divides T, and drift apart elsewhere.",
            "Look at where the rounding happens: before or after the multiplication.",
        ),
    ),
)
