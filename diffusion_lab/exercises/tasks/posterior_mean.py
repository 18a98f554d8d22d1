"""The exercise `posterior_mean` of notebook 10."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "10_posterior"


def posterior_mean(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mean of q(x_{t−1}|x_t, x_0) for each example: a weighted sum of x_0 and x_t.

    x0 and x_t have one shape, `[B, *D]`; t [B] holds one time per example, from 1 to T. schedule is
    variance-preserving; its tables, [T + 1] each and float64, are schedule.signal, schedule.sigma,
    schedule.alpha, schedule.beta and schedule.alpha_bar. Return the means, in the shape and the dtype of
    x0.
    """
    t = t.reshape(-1, *[1] * (x0.ndim - 1))
    before, now = schedule.sigma[t - 1] ** 2, schedule.sigma[t] ** 2
    weight_x0 = schedule.signal[t - 1] * schedule.beta[t] / now
    weight_x_t = schedule.alpha[t].sqrt() * before / now
    return (weight_x0 * x0 + weight_x_t * x_t).to(x0.dtype)


def pairs_of_points(generator: torch.Generator) -> Iterator[Case]:
    """x_0 and x_t of several shapes, B = D among them, each example with a time of its own."""
    makers = [linear(100), cosine(50), quadratic(40), sigmoid(60)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 4], shapes[n % 5]
        dtype = torch.float32 if n % 6 == 5 else torch.float64
        x0, x_t = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = torch.randint(1, schedule.T + 1, shape[:1], generator=generator)
        if n % 3 == 0:
            t[0] = schedule.T if n % 2 else 1
        yield x0, x_t, t, schedule


def mean_with(x0_weight: Callable[..., Tensor], x_t_weight: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A mean with other weights: functions of t and the schedule, for t shaped to the data."""

    def function(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
        t = t.reshape(-1, *[1] * (x0.ndim - 1))
        return (x0_weight(t, schedule) * x0 + x_t_weight(t, schedule) * x_t).to(x0.dtype)

    return function


def of_x0(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2


def of_x_t(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha[t].sqrt() * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def of_x0_without_root(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha_bar[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2


def of_x_t_without_root(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def of_x0_now(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t] * schedule.beta[t] / schedule.sigma[t] ** 2


def of_x_t_with_product(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def of_x0_by_deviations(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t]


def of_x_t_by_deviations(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha[t].sqrt() * schedule.sigma[t - 1] / schedule.sigma[t]


def mean_along_last_axis(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: t along the last axis."""
    return (of_x0(t, schedule) * x0 + of_x_t(t, schedule) * x_t).to(x0.dtype)


def mean_swapped(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: x_0 and x_t swapped."""
    return posterior_mean(x_t, x0, t, schedule)


ROOT = (
    "At least one of your two weights is too small.",
    "Two of the symbols in the mean stand under a root: ask which, and what your tables hold.",
)


EXERCISE = Exercise(
    solution=posterior_mean,
    cases=pairs_of_points,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "t along the last axis",
            mean_along_last_axis,
            "Your weights lie along the last axis of the data, or raise an error there.",
            "Give the weights as many axes as the data has, with B on the first.",
        ),
        Mistake(
            "x_0 and x_t swapped",
            mean_swapped,
            "Your two weights stand at the wrong places: at t = 1 you return x_t.",
            "Ask which of the two points has its way when t is near 0.",
        ),
        Mistake("missing square root", mean_with(of_x0_without_root, of_x_t), *ROOT),
        Mistake("missing square root", mean_with(of_x0, of_x_t_without_root), *ROOT),
        Mistake("missing square root", mean_with(of_x0_without_root, of_x_t_without_root), *ROOT),
        Mistake(
            "alpha_bar of t for t − 1",
            mean_with(of_x0_now, of_x_t),
            "Your weight of x_0 is too small, and most so near t = T.",
            "The mean lies on the way to x_{t−1}: ask whose signal it has at t − 1.",
        ),
        Mistake(
            "alpha_bar for alpha",
            mean_with(of_x0, of_x_t_with_product),
            "Your weight of x_t is nearly 0 at late times.",
            "One step shrinks by √α_t; the table signal holds what all steps together leave.",
        ),
        Mistake(
            "standard deviation for variance",
            mean_with(of_x0_by_deviations, of_x_t_by_deviations),
            "Your weights are too large, wherever sigma is below 1.",
            "The table sigma holds standard deviations, and precisions are made of variances.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(posterior_mean, -1),
            "Your weights belong to the step that leaves x_{t−1}.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)
