"""The exercise `simple_weight` of notebook 11."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake, at_other_time, scaled

NOTEBOOK = "11_elbo"


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


EXERCISE = Exercise(
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
)
