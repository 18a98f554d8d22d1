"""Notebook 03, `noisy_batch`: x_t for a batch in which every example has a time of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "03_forward"


def noisy_batch(x0: Tensor, t: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t for a batch in which every example has a time of its own.

    x0 and noise have one shape, `[B, *D]`, where D may stand for any number of axes; t holds whole numbers,
    [B], each from 0 to T: t[b] is the time of example x0[b]. schedule.signal and schedule.sigma are the two
    tables. Return x_t, in the shape of x0.
    """
    shape = [len(t)] + [1] * (x0.ndim - 1)
    signal = schedule.signal[t].to(x0).reshape(shape)
    sigma = schedule.sigma[t].to(x0).reshape(shape)
    return signal * x0 + sigma * noise


def batches_of_times(generator: torch.Generator) -> Iterator[Case]:
    """Rows and pictures, with B = D or B = W among them; three schedules, two dtypes, both ends of time."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(4, 4), (5, 2), (3, 1, 4, 4), (4, 2, 4, 4), (2, 2), (1, 3), (6, 3, 2), (3, 3, 3, 3)]
    for n in range(16):
        schedule, shape = makers[n % 3], shapes[n % 8]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x0, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = torch.randint(1, schedule.T, (shape[0],), generator=generator)
        t[0] = [t[0], 0, schedule.T][n % 3]
        yield x0, t, schedule, noise


def rows_only(x0: Tensor, t: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """Right for rows [B, D] alone."""
    return schedule.signal[t][:, None] * x0 + schedule.sigma[t][:, None] * noise


def pictures_only(x0: Tensor, t: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """Right for pictures [B, C, H, W] alone."""
    signal, sigma = (table[t].reshape(-1, 1, 1, 1) for table in (schedule.signal, schedule.sigma))
    return signal * x0 + sigma * noise


def batch_with_variance(x0: Tensor, t: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """sigma² where sigma belongs."""
    signal, var = (
        table[t].reshape(-1, *[1] * (x0.ndim - 1)) for table in (schedule.signal, schedule.sigma**2)
    )
    return signal * x0 + var * noise


EXERCISE = Exercise(
    solution=noisy_batch,
    cases=batches_of_times,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "t along the last axis",
            lambda x0, t, schedule, noise: schedule.signal[t] * x0 + schedule.sigma[t] * noise,
            "Your times run along the last axis of the data, and so give every coordinate a time of its own.",
            "Look at the shape of schedule.signal[t] and at which axis of x0 it is matched with.",
        ),
        Mistake(
            "right for [B, D] only",
            rows_only,
            "It is right for rows [B, D], and wrong or an error for pictures [B, C, H, W].",
            "Count the axes: the batch must stay the first one, however many follow.",
        ),
        Mistake(
            "right for [B, C, H, W] only",
            pictures_only,
            "It is right for pictures [B, C, H, W], and has a wrong shape for rows [B, D].",
            "Ask x0 how many axes follow the first.",
        ),
        Mistake(
            "one time for all",
            lambda x0, t, schedule, noise: schedule.signal[t[0]] * x0 + schedule.sigma[t[0]] * noise,
            "All of your examples have the noise level of the first.",
            "Look at how many entries of t you use.",
        ),
        Mistake(
            "variance for standard deviation",
            batch_with_variance,
            "Your noise is too weak wherever sigma is below 1.",
            "A draw from N(0, s²) is s times a draw from N(0, 1): ask which of s and s² stands in your line.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(noisy_batch, -1),
            "Each of your examples is the one that belongs to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)
