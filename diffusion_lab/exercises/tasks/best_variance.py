"""The exercise `best_variance` of notebook 12."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "12_bits"


def best_variance(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The one variance to claim in the step from t to t − 1, for all examples and coordinates alike.

    It is the posterior's variance β̃_t plus the mean squared mistake of the mean: of the mean of
    q(x_{t−1}|x_t, x̂_0), as against that of q(x_{t−1}|x_t, x_0). x0 and guess (this is x̂_0) have one
    shape, `[B, *D]`, and the mistake is averaged over all B examples and all coordinates. t is one time from
    1 to T; schedule is variance-preserving. Return one number.
    """
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    variance = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return variance + ((weight * (x0 - guess)) ** 2).mean()


def mistaken(generator: torch.Generator) -> Iterator[Case]:
    """Examples with guesses beside them, times at both ends and between."""
    makers = [
        cosine(10),
        linear(20, beta_1=0.01, beta_T=0.5),
        quadratic(8, beta_1=0.02, beta_T=0.5),
        sigmoid(12),
    ]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 4], shapes[n % 5]
        x0, off = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
        t = int(torch.randint(2, schedule.T, (), generator=generator))
        yield x0, x0 + 0.7 * off, [t, 1, schedule.T][n % 3], schedule


def of_step(t: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """The weight of x_0 in the posterior's mean, and the posterior's variance."""
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    return weight, schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def variance_of_sum(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: sum for mean."""
    weight, variance = of_step(t, schedule)
    return variance + ((weight * (x0 - guess)) ** 2).flatten(1).sum(1).mean()


def variance_of_all(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: sum for mean."""
    weight, variance = of_step(t, schedule)
    return variance + ((weight * (x0 - guess)) ** 2).sum()


def variance_over_beta(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: beta for the posterior's variance."""
    return schedule.beta[t] + ((of_step(t, schedule)[0] * (x0 - guess)) ** 2).mean()


def variance_of_guess(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: mistake in x_0 for that in the mean."""
    return of_step(t, schedule)[1] + ((x0 - guess) ** 2).mean()


def variance_half_weighted(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: missing square."""
    weight, variance = of_step(t, schedule)
    return variance + weight * ((x0 - guess) ** 2).mean()


def mistake_alone(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: mistake alone."""
    return ((of_step(t, schedule)[0] * (x0 - guess)) ** 2).mean()


def deviations_added(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: standard deviation for variance."""
    weight, variance = of_step(t, schedule)
    return variance + (weight * (x0 - guess)).abs().mean()


def bias_squared(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: square of the mean for mean of the square."""
    weight, variance = of_step(t, schedule)
    return variance + (weight * (x0 - guess)).mean() ** 2


EXERCISE = Exercise(
    solution=best_variance,
    cases=mistaken,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "sum for mean",
            variance_of_sum,
            "Your variance grows with the number of coordinates.",
            "The variance is that of one coordinate: look at what you do over the axes.",
        ),
        Mistake(
            "sum for mean",
            variance_of_all,
            "Your variance grows with the size of the batch.",
            "The variance is that of one coordinate: look at what you do over the axes.",
        ),
        Mistake(
            "beta for the posterior's variance",
            variance_over_beta,
            "Your variance is too large even where the guess is nearly right.",
            "Whoever knows x_0 still has the doubt β̃_t, not β_t.",
        ),
        Mistake(
            "mistake in x_0 for that in the mean",
            variance_of_guess,
            "Your variance is far too large at late times.",
            "A wrong guess of x_0 moves the mean by less than its own mistake: look at its weight.",
        ),
        Mistake(
            "missing square",
            variance_half_weighted,
            "You weigh the squared mistake with the weight itself.",
            "The weight belongs inside the square.",
        ),
        Mistake(
            "mistake alone",
            mistake_alone,
            "Your variance lacks the doubt that remains if x_0 is known.",
            "Two sources of doubt add up: count them.",
        ),
        Mistake(
            "standard deviation for variance",
            deviations_added,
            "You add the size of the mistake to a variance.",
            "Variances add up with squares.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda *arguments: best_variance(*arguments).sqrt(),
            "You return the standard deviation.",
            "The task asks for the variance.",
        ),
        Mistake(
            "square of the mean for mean of the square",
            bias_squared,
            "Your mistakes cancel each other before they are squared.",
            "Ask in which order you average and square.",
        ),
    ),
)
