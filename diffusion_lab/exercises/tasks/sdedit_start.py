"""Notebook 20, `sdedit_start`: where SDEdit starts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, flow, linear
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "20_editing"
LATER = (
    "The time that you return is right, but the noise in your state belongs to another time.",
    "State and time go to the sampler together: ask which entry of the tables belongs to t0.",
)


def sdedit_start(
    guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule
) -> tuple[Tensor, int]:
    """Where SDEdit starts: the noisy guide, and the time t0 that the sampler starts from.

    guide and noise have one shape, `[B, *D]`, and noise is drawn from N(0, I). strength is a number from
    0 to 1: 0 leaves the guide as it is, 1 goes up to T. t0 is the whole number that is nearest to
    strength times T. schedule.signal and schedule.sigma are the two tables. Return x_t0, in the shape of
    guide, and t0.
    """
    t0 = round(strength * schedule.T)
    return schedule.signal[t0] * guide + schedule.sigma[t0] * noise, t0


def strengths(generator: torch.Generator) -> Iterator[Case]:
    """Guides of several shapes, two dtypes, three schedules; both ends, and products that are not whole."""
    makers = [linear(100, 0.001, 0.2), cosine(50), flow(64)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(14):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        guide, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t0 = int(torch.randint(2, schedule.T - 1, (), generator=generator))
        strength = (t0 + [0.3, -0.3, 0.2][n % 3]) / schedule.T
        yield guide, noise, [strength, strength, 0.0, strength, strength, 1.0, strength][n % 7], schedule


def started(guide: Tensor, noise: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t] * guide + schedule.sigma[t] * noise


def one_later(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: off by one in t."""
    t0 = round(strength * schedule.T)
    return started(guide, noise, min(t0 + 1, schedule.T), schedule), t0


def one_earlier(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: off by one in t."""
    t0 = round(strength * schedule.T)
    return started(guide, noise, max(t0 - 1, 0), schedule), t0


def without_noise(
    guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule
) -> tuple[Tensor, int]:
    """The mistake: noise left out."""
    return sdedit_start(guide, 0 * noise, strength, schedule)


def whole_guide(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: data not shrunk."""
    t0 = round(strength * schedule.T)
    return guide + schedule.sigma[t0] * noise, t0


def whole_noise(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: noise not scaled."""
    t0 = round(strength * schedule.T)
    return schedule.signal[t0] * guide + noise, t0


def squared_noise(
    guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule
) -> tuple[Tensor, int]:
    """The mistake: variance for standard deviation."""
    t0 = round(strength * schedule.T)
    return schedule.signal[t0] * guide + schedule.sigma[t0] ** 2 * noise, t0


def unrooted(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: alpha_bar for its square root."""
    t0 = round(strength * schedule.T)
    return schedule.alpha_bar[t0] * guide + schedule.sigma[t0] * noise, t0


def one_step(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: alpha for alpha_bar."""
    t0 = round(strength * schedule.T)
    return schedule.alpha[t0].sqrt() * guide + schedule.beta[t0].sqrt() * noise, t0


def swapped(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: signal and sigma swapped."""
    return sdedit_start(noise, guide, strength, schedule)


def other_end(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: strength from the wrong end."""
    t0 = schedule.T - round(strength * schedule.T)
    return started(guide, noise, t0, schedule), t0


def cut(guide: Tensor, noise: Tensor, strength: float, schedule: NoiseSchedule) -> tuple[Tensor, int]:
    """The mistake: rounded down."""
    t0 = int(strength * schedule.T)
    return started(guide, noise, t0, schedule), t0


EXERCISE = Exercise(
    solution=sdedit_start,
    cases=strengths,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("off by one in t", one_later, *LATER),
        Mistake("off by one in t", one_earlier, *LATER),
        Mistake(
            "noise left out",
            without_noise,
            "Your start holds the guide, and no noise at all.",
            "The sampler expects a state of time t0: ask what such a state is made of.",
        ),
        Mistake(
            "data not shrunk",
            whole_guide,
            "There is the right noise in your start, and too much of the guide.",
            "Look at the factor of x_0 in the closed form.",
        ),
        Mistake(
            "noise not scaled",
            whole_noise,
            "At strength 0 your start is not the guide.",
            "Ask how large the noise is at time t0.",
        ),
        Mistake(
            "variance for standard deviation",
            squared_noise,
            "Your noise is too weak wherever sigma is below 1.",
            "A draw from N(0, s²) is s times a draw from N(0, 1): ask which of s and s² stands in your line.",
        ),
        Mistake(
            "alpha_bar for its square root",
            unrooted,
            "Your start holds too little of the guide.",
            "Look at the factor of x_0 in the closed form, and at what schedule.alpha_bar is.",
        ),
        Mistake(
            "alpha for alpha_bar",
            one_step,
            "Your start has the noise of one single step in it.",
            "Compare the table of single steps with the table of all steps together.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped,
            "At strength 0 your start is the noise.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake(
            "strength from the wrong end",
            other_end,
            "At strength 0 you go up to T, and at strength 1 you leave the guide as it is.",
            "Time 0 is clean data: ask at which end no noise is.",
        ),
        Mistake(
            "rounded down",
            cut,
            "Your t0 is one too small for some strengths.",
            "Ask what int does to 6.7, and which whole number is nearest.",
        ),
    ),
)
