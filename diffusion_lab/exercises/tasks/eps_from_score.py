"""Notebook 04, `eps_from_score`: the best guess at the noise, E[ε|x_t], from the score ∇ log q_t(x_t)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "04_best_denoiser"


EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


def eps_from_score(score: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The best guess at the noise, E[ε|x_t], from the score ∇ log q_t(x_t).

    score has the shape `[B, *D]`; t has the shape [B]: example n of the batch has the time t[n], from 0 to T.
    schedule.sigma is the table of standard deviations of the noise. Return the guess, in the shape of score.
    """
    sigma = schedule.sigma[t].reshape(-1, *[1] * (score.ndim - 1)).to(score)
    return -sigma * score


def scores(generator: torch.Generator) -> Iterator[Case]:
    """Several shapes, B = D among them, two dtypes, three schedules; both ends and times between."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (4, 1, 4, 4), (3, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 6]
        score = torch.randn(shape, generator=generator, dtype=torch.float32 if n % 5 == 4 else torch.float64)
        t = torch.randint(1, schedule.T, shape[:1], generator=generator)
        if n % 4 == 1:
            t[0], t[-1] = 0, schedule.T
        yield score, t, schedule


def along_the_last_axis(score: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: t along the last axis."""
    return -schedule.sigma[t].to(score) * score


def aligned(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 1)).to(x)


EXERCISE = Exercise(
    solution=eps_from_score,
    cases=scores,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "t along the last axis",
            along_the_last_axis,
            "Each column of the data got a time, where each example has one.",
            "A factor of shape [B] meets the last axis of the data: what shape makes it meet the first?",
        ),
        Mistake(
            "variance for standard deviation",
            lambda score, t, schedule: -aligned(schedule.sigma[t] ** 2, score) * score,
            "Your noise is too small wherever sigma is below 1.",
            "Ask for which power of sigma the noise has a size near 1.",
        ),
        Mistake(
            "divided, not multiplied",
            lambda score, t, schedule: -score / aligned(schedule.sigma[t], score),
            "Your noise is far too large at small t.",
            "The score grows as noise gets narrower, and ε keeps its size: which way does the factor go?",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda score, t, schedule: -aligned(schedule.signal[t], score) * score,
            "At t = 0 you return the negative score, and at t = T nearly nothing.",
            "Ask which of the two tables is the size of the noise.",
        ),
        Mistake("off by one in t", at_other_time(eps_from_score, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the table at t = 0
            lambda score, t, schedule: eps_from_score(score, t - 1, schedule),
            *EARLY,
        ),
    ),
)
