"""The exercise `dpm_2m_step` of notebook 14."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "14_fast_samplers"


SHAPES = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]


def dpm_2m_step(
    x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
) -> Tensor:
    """x_s, by one step of DPM-Solver++(2M): a DDIM step whose guess is extrapolated in log SNR.

    x_t `[B, *D]` is the state at time t. x0 is the guess x̂_0 made there; x0_before is the one that was
    made at t_before; both have the shape of x_t. The times t_before, t and s are whole numbers, with T ≥
    t_before > t > s ≥ 1. schedule has the tables schedule.signal, schedule.sigma and schedule.log_snr. With
    h the gain in log SNR from t to s, and h_before that from t_before to t, the guess is D = x0 + h/(2
    h_before) · (x0 − x0_before). Return x_s, in the shape of x_t: that of a DDIM step that takes D for
    x̂_0, and the ε̂ that belongs to D.
    """
    h_before = schedule.log_snr[t] - schedule.log_snr[t_before]
    h = schedule.log_snr[s] - schedule.log_snr[t]
    ahead = x0 + h / (2 * h_before) * (x0 - x0_before)
    eps = (x_t - schedule.signal[t] * ahead) / schedule.sigma[t]
    return schedule.signal[s] * ahead + schedule.sigma[s] * eps


def three_times(generator: torch.Generator) -> Iterator[Case]:
    """Uneven steps, near T, near 0 and between, on three schedules."""
    makers = [linear(), cosine(50), quadratic(100)]
    parts = [(1.0, 0.8, 0.5), (0.9, 0.3, 0.2), (0.4, 0.2, 0.02), (0.6, 0.5, 0.1), (0.08, 0.06, 0.02)]
    for n in range(12):
        schedule, shape = makers[n % 3], SHAPES[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t, x0, x0_before = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        t_before, t, s = (round(part * schedule.T) for part in parts[n % 5])
        yield x_t, x0, x0_before, t_before, t, s, schedule


def ddim_through(ahead: Tensor, x_t: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The DDIM step with the guess `ahead`."""
    eps = (x_t - schedule.signal[t] * ahead) / schedule.sigma[t]
    return schedule.signal[s] * ahead + schedule.sigma[s] * eps


def with_share(share: Callable[..., Tensor | float]) -> Callable[..., Tensor]:
    """The step that adds `share(h, h_before, …)` of the last difference."""

    def function(
        x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
    ) -> Tensor:
        log_snr = schedule.log_snr
        part = share(log_snr[s] - log_snr[t], log_snr[t] - log_snr[t_before], t_before, t, s)
        return ddim_through(x0 + part * (x0 - x0_before), x_t, t, s, schedule)

    return function


def old_eps(
    x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
) -> Tensor:
    """The mistake: eps of the guess before extrapolation."""
    log_snr = schedule.log_snr
    part = (log_snr[s] - log_snr[t]) / (log_snr[t] - log_snr[t_before]) / 2
    eps = (x_t - schedule.signal[t] * x0) / schedule.sigma[t]
    return schedule.signal[s] * (x0 + part * (x0 - x0_before)) + schedule.sigma[s] * eps


def swapped(
    x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
) -> Tensor:
    """The mistake: signal and sigma swapped."""
    log_snr = schedule.log_snr
    ahead = x0 + (log_snr[s] - log_snr[t]) / (log_snr[t] - log_snr[t_before]) / 2 * (x0 - x0_before)
    eps = (x_t - schedule.sigma[t] * ahead) / schedule.signal[t]
    return schedule.sigma[s] * ahead + schedule.signal[s] * eps


EXERCISE = Exercise(
    solution=dpm_2m_step,
    cases=three_times,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "no extrapolation",
            lambda x_t, x0, x0_before, t_before, t, s, schedule: ddim_through(x0, x_t, t, s, schedule),
            "Your step is the one that DDIM takes from x0.",
            "The guess from before does not reach your result.",
        ),
        Mistake(
            "eps of the guess before extrapolation",
            old_eps,
            "Your D is right, but your noise does not belong to it.",
            "Guess and noise together must give x_t: ask which guess your ε̂ was made from.",
        ),
        Mistake(
            "missing factor 1/2",
            with_share(lambda h, h_before, t_before, t, s: h / h_before),
            "You extrapolate twice as far as you should.",
            "D is the guess in the middle of the step.",
        ),
        Mistake(
            "step in t for step in log SNR",
            with_share(lambda h, h_before, t_before, t, s: (t - s) / (2 * (t_before - t))),
            "Your D would be right if log SNR were a straight line in t.",
            "Look at the unit of your two steps h and h_before.",
        ),
        Mistake(
            "ratio upside down",
            with_share(lambda h, h_before, t_before, t, s: h_before / (2 * h)),
            "After a short step you extrapolate far, and after a long one little.",
            "Look at which of h and h_before divides the other.",
        ),
        Mistake(
            "extrapolated backwards",
            with_share(lambda h, h_before, t_before, t, s: -h / (2 * h_before)),
            "Your D lies on the side of the old guess.",
            "Look at which guess is subtracted from which, and at the sign of both steps.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped,
            "Your x_s holds noise where the data should be.",
            "Ask which of the two tables starts at 1.",
        ),
    ),
)
