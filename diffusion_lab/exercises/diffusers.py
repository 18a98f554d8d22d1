"""Exercises of notebook 17: the tables, times and states of another library."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from .exercise import Case, Exercise, Mistake

NOTEBOOK = "17_diffusers"


def diffusers_table(schedule: NoiseSchedule) -> Tensor:
    """The table alphas_cumprod that diffusers would have for a schedule of ours.

    Our schedule has T + 1 entries, for t = 0 … T: schedule.signal, schedule.sigma, schedule.alpha_bar. Their table
    begins with the first noisy time. Return its T numbers.
    """
    return schedule.signal[1:] ** 2


def whole_schedules(generator: torch.Generator) -> Iterator[Case]:
    """Schedules of several lengths and kinds, one of them bent at random."""
    for T in (1, 2, 10, 50):
        yield (linear(T, 0.01, 0.3),)
        yield (cosine(T),)
    yield (quadratic(20),)
    yield (sigmoid(30),)
    beta = 0.05 + 0.3 * torch.rand(12, generator=generator, dtype=torch.float64)
    yield (NoiseSchedule.from_beta(beta),)


def diffusers_trailing(T: int, steps: int) -> list[int]:
    """Their "trailing" times, from high to low, for some of T steps.

    T is the number of noising steps; their times run from 0 to T − 1. Return a list of as many whole numbers as steps
    says: evenly spaced, T / steps apart, rounded, and the first one is T − 1.
    """
    return [round(T - i * T / steps) - 1 for i in range(steps)]


def numbers_of_steps(generator: torch.Generator) -> Iterator[Case]:
    """Steps that divide T, and some that do not (without ties in rounding); one step, and all of them."""
    pairs = [(1000, 10), (1000, 1), (1000, 7), (50, 50), (100, 4), (10, 3), (1000, 30), (20, 6)]
    for T, steps in pairs:
        yield T, steps
    for steps in (3, 5, 9, 11):
        yield steps * int(torch.randint(2, 40, (), generator=generator)) + 1, steps


def scale_model_input(y: Tensor, sigma_bar: float) -> Tensor:
    """x_t, as the network was trained on it, from the state of their Euler and Heun schedulers.

    y is x_t / signal, [B, *D]; sigma_bar is the number sigma / signal; and signal² + sigma² = 1. Return x_t, [B, *D].
    """
    return y / (1 + sigma_bar**2) ** 0.5


def states(generator: torch.Generator) -> Iterator[Case]:
    """States of several shapes at small, middle and large noise."""
    shapes = [(4, 2), (2, 1, 4, 4), (3, 3), (1, 5)]
    levels = [0.01, 0.3, 1.0, 3.0, 12.5, 157.0]
    for n in range(12):
        dtype = torch.float32 if n == 7 else torch.float64
        sigma_bar = levels[n % 6] * (0.9 + 0.2 * torch.rand((), generator=generator).item())
        y = (1 + sigma_bar) * torch.randn(shapes[n % 4], generator=generator, dtype=dtype)
        yield y, sigma_bar


EXERCISES = (
    Exercise(
        solution=diffusers_table,
        cases=whole_schedules,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "off by one in t",
                lambda schedule: schedule.alpha_bar[:-1],
                "Your table begins with 1, which is the clean data.",
                "Their t = 0 is already noisy: ask which of our times it is.",
            ),
            Mistake(
                "one entry too many",
                lambda schedule: schedule.alpha_bar,
                "Your table has T + 1 entries, and theirs has T.",
                "Ask which of our times they do not have.",
            ),
            Mistake(
                "square root for its square",
                lambda schedule: schedule.signal[1:],
                "Your numbers are the square roots of theirs.",
                "The name of their table says what is multiplied: α, not its root.",
            ),
            Mistake(
                "signal and sigma swapped",
                lambda schedule: schedule.sigma[1:] ** 2,
                "Your table rises, and theirs falls.",
                "Look at which of our two tables is the share of the data.",
            ),
            Mistake(
                "alpha for alpha_bar",
                lambda schedule: schedule.alpha[1:],
                "Your numbers are those of single steps.",
                "Look at the second half of the name alphas_cumprod.",
            ),
        ),
    ),
    Exercise(
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
    ),
    Exercise(
        solution=scale_model_input,
        cases=states,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "missing square root",
                lambda y, sigma_bar: y / (1 + sigma_bar**2),
                "Your x_t has a variance below 1 at large noise.",
                "The sum under the line is a ratio of variances, and y is no variance.",
            ),
            Mistake(
                "the other way round",
                lambda y, sigma_bar: y * (1 + sigma_bar**2) ** 0.5,
                "Your x_t is larger than y, and should be smaller.",
                "You went from x_t to y; here it is the other way.",
            ),
            Mistake(
                "divided by the noise",
                lambda y, sigma_bar: y / sigma_bar,
                "At small noise your x_t is huge.",
                "At sigma_bar = 0 there is no noise, and x_t is y: check your formula there.",
            ),
            Mistake(
                "standard deviations added",
                lambda y, sigma_bar: y / (1 + sigma_bar),
                "Your x_t is too small where the noise is about as large as the signal.",
                "Ask what adds up for independent parts: variances, or standard deviations?",
            ),
            Mistake(
                "not scaled",
                lambda y, sigma_bar: y,
                "You return their state as it is.",
                "With sigma_bar = 157 the network would see numbers around 157: it never has.",
            ),
        ),
    ),
)
