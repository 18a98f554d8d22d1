"""The exercise `posterior_precision` of notebook 10."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "10_posterior"


def posterior_precision(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """1/variance of q(x_s|x_t, x_0), in each coordinate: the sum of what two Gaussians say about x_s.

    t and s are two times, 1 ≤ s < t ≤ T. schedule.signal and schedule.sigma are the tables [T + 1]. The one
    factor, q(x_s|x_0), has the variance sigma_s². The other one, q(x_t|x_s) = N(√α x_s, β I), leads over
    the whole gap from s to t, with α = (signal_t/signal_s)² and β = sigma_t² − α sigma_s². Return one
    number.
    """
    keep = (schedule.signal[t] / schedule.signal[s]) ** 2
    added = schedule.sigma[t] ** 2 - keep * schedule.sigma[s] ** 2
    return 1 / schedule.sigma[s] ** 2 + keep / added


def pairs_of_times(generator: torch.Generator) -> Iterator[Case]:
    """Neighbours and distant times, on four schedules."""
    for schedule in (linear(100), cosine(50), quadratic(40), sigmoid(60)):
        T = schedule.T
        t = int(torch.randint(T // 3, T, (), generator=generator))
        yield from ((t, t - 1, schedule), (t, t // 2, schedule), (T, 1, schedule))


def gap(t: int, s: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    keep = (schedule.signal[t] / schedule.signal[s]) ** 2
    return keep, schedule.sigma[t] ** 2 - keep * schedule.sigma[s] ** 2


def precision_without_stretch(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: width in x_t for width in x_s."""
    return 1 / schedule.sigma[s] ** 2 + 1 / gap(t, s, schedule)[1]


def precision_of_standard_deviations(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: standard deviation for variance."""
    keep, added = gap(t, s, schedule)
    return 1 / schedule.sigma[s] + (keep / added).sqrt()


def precision_with_one_deviation(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: standard deviation for variance."""
    keep, added = gap(t, s, schedule)
    return 1 / schedule.sigma[s] + keep / added


def precision_with_root_of_alpha(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: missing square."""
    keep, added = gap(t, s, schedule)
    return 1 / schedule.sigma[s] ** 2 + keep.sqrt() / added


def variances_added(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: variances added."""
    keep, added = gap(t, s, schedule)
    return schedule.sigma[s] ** 2 + added / keep


def precision_of_one_step(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: one step's beta for the gap's."""
    return 1 / schedule.sigma[s] ** 2 + schedule.alpha[t] / schedule.beta[t]


EXERCISE = Exercise(
    solution=posterior_precision,
    cases=pairs_of_times,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "width in x_t for width in x_s",
            precision_without_stretch,
            "Your second term is too large, and more so the wider the gap.",
            "The second factor has the variance β over x_t: ask how wide it is over x_s.",
        ),
        Mistake(
            "standard deviation for variance",
            precision_of_standard_deviations,
            "Your two terms are the roots of the right ones.",
            "Ask which of them add up for Gaussians: 1/variance, or 1/standard deviation.",
        ),
        Mistake(
            "standard deviation for variance",
            precision_with_one_deviation,
            "Your first term is the root of the right one.",
            "The table sigma holds standard deviations.",
        ),
        Mistake(
            "missing square",
            precision_with_root_of_alpha,
            "Your second term is too large by the factor signal_s/signal_t.",
            "Stretching a Gaussian by a factor changes its variance by that factor's square.",
        ),
        Mistake(
            "variances added",
            variances_added,
            "Your result grows where the posterior becomes wider.",
            "Two sources of evidence leave less doubt than one of them: ask what it is that adds up.",
        ),
        Mistake(
            "variances added",
            lambda t, s, schedule: 1 / variances_added(t, s, schedule),
            "Your posterior is wider than either of its factors.",
            "Two sources of evidence leave less doubt than one of them: ask what it is that adds up.",
        ),
        Mistake(
            "variance for precision",
            lambda t, s, schedule: 1 / posterior_precision(t, s, schedule),
            "You return the posterior's variance.",
            "The task asks for 1/variance.",
        ),
        Mistake(
            "one step's beta for the gap's",
            precision_of_one_step,
            "You are right for neighbours, and wrong where s lies further back.",
            "The tables alpha and beta describe single steps, and this step leads over the whole gap.",
        ),
    ),
)
