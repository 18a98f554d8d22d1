"""Notebook 09, `classifier_guided_eps`: the guided noise, by the gradient of a classifier of noisy data."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "09_guidance"


def classifier_guided_eps(
    eps_0: Tensor, gradient: Tensor, w: float, t: int, schedule: NoiseSchedule
) -> Tensor:
    """The guided noise, by the gradient of a classifier of noisy data.

    eps_0 is the noise predicted without the class, `[B, *D]`; gradient is ∇ log p(c|x_t), in the same
    shape. w is a number, t one time from 1 to T, and schedule.sigma[t] the standard deviation of the noise.
    Return `[B, *D]`.
    """
    return eps_0 - w * schedule.sigma[t] * gradient


def gradients(generator: torch.Generator) -> Iterator[Case]:
    """Noises, gradients, scales and times."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        eps_0, gradient = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(1, schedule.T + 1, (), generator=generator))
        yield eps_0, gradient, [2.0, 0.5, 4.0, -1.5][n % 4], [t, t, 1, schedule.T][n % 4], schedule


EXERCISE = Exercise(
    solution=classifier_guided_eps,
    cases=gradients,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "adds the gradient",
            lambda eps_0, gradient, w, t, schedule: eps_0 + w * schedule.sigma[t] * gradient,
            "You lean away from the class where you should lean towards it.",
            "The score and ε have opposite signs: look at how one becomes the other.",
        ),
        Mistake(
            "score for eps",
            lambda eps_0, gradient, w, t, schedule: eps_0 - w * gradient,
            "The gradient is added with the same strength at every t.",
            "It is a change of the score; ask what a score is multiplied by to become ε.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda eps_0, gradient, w, t, schedule: eps_0 - w * schedule.sigma[t] ** 2 * gradient,
            "Your push is too weak wherever sigma is below 1, and right where it is 1.",
            "Look at the power of sigma between score and ε.",
        ),
        Mistake(
            "divided by sigma",
            lambda eps_0, gradient, w, t, schedule: eps_0 - w * gradient / schedule.sigma[t],
            "Your push is strongest at small t, where there is least noise.",
            "You went from ε to the score; here it is the other way round.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda eps_0, gradient, w, t, schedule: eps_0 - w * schedule.signal[t] * gradient,
            "Your push vanishes near t = T, where it should be largest.",
            "Look at which of the two tables belongs to the noise.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(classifier_guided_eps, -1),
            "Your sigma is that of t − 1.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)
