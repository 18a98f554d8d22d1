"""Exercises of notebook 11: what a step costs, the simple loss's lost weight, and the bound as a sum."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from .exercise import Case, Exercise, Mistake, at_other_time, scaled

NOTEBOOK = "11_elbo"
INTO_BITS = 1 / math.log(2)


# ------------------------------------------------------------------------------- what one step costs
def step_kl(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    """What one step back costs, in nats per example: KL(q(x_{t−1}|x_t, x_0) ‖ q(x_{t−1}|x_t, x̂_0)).

    x0, guess (this is x̂_0) and x_t have one shape, [B, *D]; t is one time from 2 to T; schedule is
    variance-preserving. Both Gaussians have the variance β̃_t in every coordinate, and their means are
    those of q_posterior; the coordinates' costs add up. Return [B].
    """
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    variance = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return ((weight * (x0 - guess)) ** 2).flatten(1).sum(1) / (2 * variance)


def guesses(generator: torch.Generator) -> Iterator[Case]:
    """Points, guesses and noisy points of several shapes, times at both ends and between."""
    makers = [linear(50, beta_1=0.002, beta_T=0.3), cosine(20), quadratic(40), sigmoid(30)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 4], shapes[n % 5]
        dtype = torch.float32 if n == 7 else torch.float64
        x0, guess, x_t = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        t = int(torch.randint(3, schedule.T, (), generator=generator))
        yield x0, guess, x_t, [t, 2, schedule.T][n % 3], schedule


def parts(x0: Tensor, guess: Tensor, t: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """The squared distance of the means in each coordinate, flattened [B, D], and the variance."""
    weight = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    variance = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return ((weight * (x0 - guess)) ** 2).flatten(1), variance


def kl_in_mean(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    squares, variance = parts(x0, guess, t, schedule)
    return squares.mean(1) / (2 * variance)


def kl_of_batch(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    squares, variance = parts(x0, guess, t, schedule)
    return squares.sum() / (2 * variance)


def kl_with_beta(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    return parts(x0, guess, t, schedule)[0].sum(1) / (2 * schedule.beta[t])


def kl_large(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    squares, variance = parts(x0, guess, t, schedule)
    ratio = variance / schedule.beta[t]
    return squares.sum(1) / (2 * schedule.beta[t]) + squares.shape[1] * (ratio - 1 - ratio.log()) / 2


def kl_with_deviation(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    squares, variance = parts(x0, guess, t, schedule)
    return squares.sum(1) / (2 * variance.sqrt())


def kl_of_points(x0: Tensor, guess: Tensor, x_t: Tensor, t: int, schedule: NoiseSchedule) -> Tensor:
    variance = parts(x0, guess, t, schedule)[1]
    return ((x0 - guess) ** 2).flatten(1).sum(1) / (2 * variance)


# ------------------------------------------------------------------------------- the lost weight
def simple_weight(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The weight ω_t with which L_simple(t) = ‖ε − ε̂‖² enters the bound: L_{t−1} = ω_t ‖ε − ε̂‖² in nats.

    The reverse step has the small variance β̃_t. t [B] holds whole times from 2 to T; schedule is
    variance-preserving, with the tables schedule.signal, schedule.sigma and schedule.snr (their squared
    ratio). Return the weights [B], in float64 like the tables.
    """
    return 0.5 * (schedule.snr[t - 1] / schedule.snr[t] - 1)


def later_times(generator: torch.Generator) -> Iterator[Case]:
    """Times from 2 on, both ends among them."""
    for schedule in (linear(1000), cosine(50), quadratic(100), sigmoid(60), cosine(1000)):
        yield torch.randint(3, schedule.T // 2, (4,), generator=generator), schedule
        yield torch.tensor([2, schedule.T]), schedule


# ------------------------------------------------------------------------------- the sum
def negative_elbo(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The negative ELBO of each example, in nats, from the errors of ε̂ at all times.

    errors [B, T + 1] holds ‖ε − ε̂‖² of each example at each t. Its entries at t = 0 and t = 1 do not
    count: what is paid at t = 1 is L_0. prior [B] is L_T and reconstruction [B] is L_0, in nats. Each step
    has the small variance β̃_t, so that L_{t−1} = ½ (SNR_{t−1}/SNR_t − 1) ‖ε − ε̂‖² for t = 2, …, T.
    schedule is variance-preserving. Return [B].
    """
    weights = 0.5 * (schedule.snr[1:-1] / schedule.snr[2:] - 1)
    return prior + (weights * errors[:, 2:]).sum(1) + reconstruction


def all_errors(generator: torch.Generator) -> Iterator[Case]:
    """Errors at all times, for chains of several lengths; B = T + 1 and B = T − 1 among them."""
    makers = [
        cosine(6),
        linear(20, beta_1=0.005, beta_T=0.6),
        sigmoid(9),
        quadratic(5, beta_1=0.02, beta_T=0.5),
        cosine(2),
    ]
    for n, B in enumerate((4, 1, 10, 4, 3, 7, 2, 8)):
        schedule = makers[n % 5]
        shape = (B, schedule.T + 1)
        errors = 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)
        prior, last = (torch.rand(B, generator=generator, dtype=torch.float64) for _ in range(2))
        yield errors, prior, 2 - 4 * last, schedule


def weights_of(schedule: NoiseSchedule) -> Tensor:
    """ω_2 … ω_T."""
    return 0.5 * (schedule.snr[1:-1] / schedule.snr[2:] - 1)


def elbo_in_mean(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    return prior + (weights_of(schedule) * errors[:, 2:]).mean(1) + reconstruction


def elbo_over_T(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    return prior + (weights_of(schedule) * errors[:, 2:]).sum(1) / schedule.T + reconstruction


def elbo_simple(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    return prior + errors[:, 2:].sum(1) + reconstruction


def elbo_twice(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    first = 1 / (2 * schedule.beta[1] * schedule.snr[1])
    return negative_elbo(errors, prior, reconstruction, schedule) + first * errors[:, 1]


def elbo_too_short(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    return prior + (weights_of(schedule) * errors[:, 2:])[:, :-1].sum(1) + reconstruction


def elbo_shifted(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    return prior + (weights_of(schedule) * errors[:, 1:-1]).sum(1) + reconstruction


EXERCISES = (
    Exercise(
        solution=step_kl,
        cases=guesses,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "missing factor 1/2",
                scaled(step_kl, 2),
                "Your cost is twice the right one.",
                "Look at what stands before the squared distance in the KL divergence of two Gaussians.",
            ),
            Mistake(
                "mean for sum",
                kl_in_mean,
                "Your cost is the right one divided by the number of coordinates.",
                "The costs of the coordinates add up: ask what you do with the axes behind the first.",
            ),
            Mistake(
                "batch summed away",
                kl_of_batch,
                "You return one number for the whole batch.",
                "Each example has a cost of its own: leave the first axis alone.",
            ),
            Mistake(
                "bits for nats",
                scaled(step_kl, INTO_BITS),
                "Your cost is in bits.",
                "The task asks for nats: ask which logarithm you use.",
            ),
            Mistake(
                "beta for the posterior's variance",
                kl_with_beta,
                "Your cost is too small near t = 2.",
                "Look at the variance that both Gaussians have.",
            ),
            Mistake(
                "beta for the posterior's variance",
                kl_large,
                "You gave the second Gaussian the variance of a step forwards.",
                "Here both Gaussians have one variance: look at which.",
            ),
            Mistake(
                "standard deviation for variance",
                kl_with_deviation,
                "You divide by a standard deviation.",
                "Look at what the squared distance of the means is divided by.",
            ),
            Mistake(
                "distance of x_0 for that of the means",
                kl_of_points,
                "Your cost is far too large, at late times most of all.",
                "A wrong guess of x_0 moves the mean by less than its own mistake: look at its weight.",
            ),
        ),
    ),
    Exercise(
        solution=simple_weight,
        cases=later_times,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "missing factor 1/2",
                scaled(simple_weight, 2),
                "Your weights are twice the right ones.",
                "Look at what stands before the bracket.",
            ),
            Mistake(
                "ratio upside down",
                lambda t, schedule: 0.5 * (schedule.snr[t] / schedule.snr[t - 1] - 1),
                "Your weights are negative.",
                "Ask which of the two signal-to-noise ratios is the larger one.",
            ),
            Mistake(
                "ratio upside down",
                lambda t, schedule: 0.5 * (1 - schedule.snr[t] / schedule.snr[t - 1]),
                "Your weights never exceed ½.",
                "Ask which of the two signal-to-noise ratios stands below the other.",
            ),
            Mistake(
                "1 not subtracted",
                lambda t, schedule: 0.5 * schedule.snr[t - 1] / schedule.snr[t],
                "Your weights do not fall below ½.",
                "If a step adds no noise, it must cost nothing: try that in your formula.",
            ),
            Mistake(
                "weight of the error in x_0",
                lambda t, schedule: 0.5 * (schedule.snr[t - 1] - schedule.snr[t]),
                "Your weights are those of ‖x_0 − x̂_0‖².",
                "Ask how ε − ε̂ and x_0 − x̂_0 are related at the same x_t.",
            ),
            Mistake(
                "beta for the posterior's variance",
                lambda t, schedule: 0.5 * schedule.beta[t] / (schedule.alpha[t] * schedule.sigma[t] ** 2),
                "Your weights are those for the large variance.",
                "Look at the variance of the reverse step.",
            ),
            Mistake(
                "standard deviation for variance",
                lambda t, schedule: 0.5 * ((schedule.snr[t - 1] / schedule.snr[t]).sqrt() - 1),
                "Your ratio is the root of the right one.",
                "A signal-to-noise ratio compares squares.",
            ),
            Mistake(
                "off by one in t",
                at_other_time(simple_weight, 1),
                "Your weights are those of the step that leaves x_{t+1}.",
                "L_{t−1} is paid for the step from t to t − 1.",
            ),
        ),
    ),
    Exercise(
        solution=negative_elbo,
        cases=all_errors,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "mean for sum",
                elbo_in_mean,
                "Your bound grows too little with the number of steps.",
                "Every step is paid for: ask what you do over the axis of t.",
            ),
            Mistake(
                "mean for sum",
                elbo_over_T,
                "Your bound grows too little with the number of steps.",
                "Every step is paid for: ask what you divide by.",
            ),
            Mistake(
                "weights dropped",
                elbo_simple,
                "You add up the simple loss.",
                "Each error has a price of its own: look for ω_t.",
            ),
            Mistake(
                "L_0 counted twice",
                elbo_twice,
                "Your bound holds a term for t = 1 besides L_0.",
                "Ask at which t your sum should begin.",
            ),
            Mistake(
                "last step left out",
                elbo_too_short,
                "Your bound lacks the step that leaves x_T.",
                "Ask at which t your sum should end, and whether a range or a slice includes its end.",
            ),
            Mistake(
                "off by one in t",
                elbo_shifted,
                "Each of your weights meets the error of the time before.",
                "Look at the first entry of both tables that you multiply: do they belong to one t?",
            ),
            Mistake(
                "bits for nats",
                lambda *arguments: negative_elbo(*arguments) * INTO_BITS,
                "Your bound is in bits.",
                "The task asks for nats.",
            ),
            Mistake(
                "prior left out",
                lambda errors, prior, reconstruction, schedule: negative_elbo(
                    errors, 0 * prior, reconstruction, schedule
                ),
                "Your bound lacks L_T.",
                "Count the parts: there are three.",
            ),
        ),
    ),
)
