"""The exercise `ideal_denoiser` of notebook 04."""

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


def ideal_denoiser(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The best guess E[x_0|x_t], if the data is N points, each as likely as the others.

    x_t has the shape `[B, *D]`, and points the shape `[N, *D]`; t is one time, from 1 to T. schedule.signal
    and schedule.sigma are the two tables. The guess is a weighted mean of the points: a softmax over their
    log-weights. It must be finite for every x_t, also far from all points. Return it, in the shape of x_t.
    """
    y = points.flatten(1)
    deviation = x_t.flatten(1)[:, None] - schedule.signal[t] * y
    log_weights = -(deviation**2).sum(2) / (2 * schedule.sigma[t] ** 2)
    return (log_weights.softmax(1) @ y).reshape(x_t.shape)


def finite_sets(generator: torch.Generator) -> Iterator[Case]:
    """Few and many points (N = B and N = D among them), x_t among them and far away; t at both ends and
    between.
    """
    makers = [linear(), cosine(50), quadratic(100)]
    sizes = [((5,), (2,)), ((3, 4), (1, 2, 2)), ((4,), (4,)), ((7,), (3,)), ((1,), (3,)), ((6,), (1,))]
    for n in range(14):
        (B, *_), shape = sizes[n % 6]
        N = [4, 3, 9][n % 3]
        schedule = makers[n % 3]
        dtype = torch.float32 if n in (3, 8) else torch.float64
        t = int(torch.randint(schedule.T // 3, schedule.T - 1, (), generator=generator))
        t = 1 if n in (0, 5) else schedule.T if n in (7, 10) else t
        points = torch.rand(N, *shape, generator=generator, dtype=dtype) * 2 - 1
        noise = torch.randn(B, *shape, generator=generator, dtype=dtype)
        x_t = noise if n % 2 else schedule.signal[t] * points[torch.arange(B) % N] + schedule.sigma[t] * noise
        if n == 12:  # far from all points, as sampling may start
            x_t, t = 3 + noise.abs(), 2
        yield x_t, t, schedule, points


def weights_of(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances [B, N], sigma, and the flat points."""
    y = points.flatten(1)
    squares = (x_t.flatten(1)[:, None] - schedule.signal[t] * y).square().sum(2)
    return squares, schedule.sigma[t], y


def mean_by(log_weights: Tensor, y: Tensor, x_t: Tensor) -> Tensor:
    return (log_weights.softmax(1) @ y).reshape(x_t.shape)


def unscaled_points(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: points not scaled by signal."""
    y = points.flatten(1)
    squares = (x_t.flatten(1)[:, None] - y).square().sum(2)
    return mean_by(-squares / (2 * schedule.sigma[t] ** 2), y, x_t)


def scaled_answer(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: guess scaled by signal."""
    return schedule.signal[t] * ideal_denoiser(x_t, t, schedule, points)


def without_half(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: missing factor 1/2."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares / sigma**2, y, x_t)


def over_sigma(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: standard deviation for variance."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares / (2 * sigma), y, x_t)


def by_distance(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: distance for its square."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares.sqrt() / (2 * sigma**2), y, x_t)


def by_mean_square(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: mean for sum."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares / y.shape[1] / (2 * sigma**2), y, x_t)


def over_the_batch(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: softmax over the batch."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return ((-squares / (2 * sigma**2)).softmax(0) @ y).reshape(x_t.shape)


def nearest(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: nearest point for average."""
    squares, _, _ = weights_of(x_t, t, schedule, points)
    return points[squares.argmin(1)]


def farthest(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: wrong sign in the exponent."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(squares / (2 * sigma**2), y, x_t)


def unstable(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: softmax without subtracting the largest."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    weights = (-squares / (2 * sigma**2)).exp()
    return (weights / weights.sum(1, keepdim=True) @ y).reshape(x_t.shape)


def nearly_stable(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: softmax without subtracting the largest."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    weights = (-squares / (2 * sigma**2)).exp()
    return (weights / (weights.sum(1, keepdim=True) + 1e-12) @ y).reshape(x_t.shape)


def not_normalised(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The mistake: weights that do not sum to 1."""
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return ((-squares / (2 * sigma**2)).exp() @ y).reshape(x_t.shape)


UNSTABLE = (
    "It is right near the points, and NaN or 0 where all weights are too small for a float.",
    "Only differences of log-weights count: ask what you may subtract from all of them before you take exp.",
)


POINTS_AT_T = "Ask where x_t lies, at this t, if it came from a point y: compare x_t with that place."


EXERCISE = Exercise(
    solution=ideal_denoiser,
    cases=finite_sets,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "points not scaled by signal",
            unscaled_points,
            "Your weights compare x_t with the points themselves, which is right near t = 0 only.",
            POINTS_AT_T,
        ),
        Mistake(
            "guess scaled by signal",
            scaled_answer,
            "Your guess is too small by the factor signal_t.",
            "The guess is a clean example: ask whether what you average are the points or their places at t.",
        ),
        Mistake(
            "missing factor 1/2",
            without_half,
            "Your weights prefer the nearest point too much.",
            "Write down the logarithm of a Gaussian density, with its constant factor.",
        ),
        Mistake(
            "standard deviation for variance",
            over_sigma,
            "Your weights prefer the nearest point too little at small t.",
            "Write down the logarithm of a Gaussian density, and ask what its denominator is.",
        ),
        Mistake(
            "distance for its square",
            by_distance,
            "Your weights fall too slowly with the distance.",
            "Write down the logarithm of a Gaussian density, and look at the power of the distance.",
        ),
        Mistake(
            "mean for sum",
            by_mean_square,
            "Your weights differ too little, and the more so the more dimensions the data has.",
            "The log-density of independent coordinates adds up: look at what you take the mean of.",
        ),
        Mistake(
            "softmax over the batch",
            over_the_batch,
            "The guess for one x_t depends on the others in the batch.",
            "Ask which axis of your log-weights runs over the points: the weights must sum to 1 along it.",
        ),
        Mistake(
            "nearest point for average",
            nearest,
            "You always return one of the points.",
            "The best guess in the mean square is an average: ask how likely each of the points is.",
        ),
        Mistake(
            "wrong sign in the exponent",
            farthest,
            "Your guess lies near the points that are farthest from x_t.",
            "Ask whether a weight should rise or fall with the distance.",
        ),
        Mistake("softmax without subtracting the largest", unstable, *UNSTABLE),
        Mistake("softmax without subtracting the largest", nearly_stable, *UNSTABLE),
        Mistake(
            "weights that do not sum to 1",
            not_normalised,
            "Your weights are densities, and do not sum to 1 over the points.",
            "Probabilities of the points, given x_t, have a denominator by Bayes' rule.",
        ),
        Mistake("off by one in t", at_other_time(ideal_denoiser, -1), *EARLY),
    ),
)
