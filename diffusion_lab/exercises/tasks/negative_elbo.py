"""The exercise `negative_elbo` of notebook 11."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "11_elbo"


INTO_BITS = 1 / math.log(2)


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
    """The mistake: mean for sum."""
    return prior + (weights_of(schedule) * errors[:, 2:]).mean(1) + reconstruction


def elbo_over_T(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: mean for sum."""
    return prior + (weights_of(schedule) * errors[:, 2:]).sum(1) / schedule.T + reconstruction


def elbo_simple(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: weights dropped."""
    return prior + errors[:, 2:].sum(1) + reconstruction


def elbo_twice(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: L_0 counted twice."""
    first = 1 / (2 * schedule.beta[1] * schedule.snr[1])
    return negative_elbo(errors, prior, reconstruction, schedule) + first * errors[:, 1]


def elbo_too_short(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: last step left out."""
    return prior + (weights_of(schedule) * errors[:, 2:])[:, :-1].sum(1) + reconstruction


def elbo_shifted(errors: Tensor, prior: Tensor, reconstruction: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mistake: off by one in t."""
    return prior + (weights_of(schedule) * errors[:, 1:-1]).sum(1) + reconstruction


EXERCISE = Exercise(
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
)
