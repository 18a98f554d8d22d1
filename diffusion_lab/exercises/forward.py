"""Exercises of notebook 03: a step of the chain, the jump, a batch of times, and the β of long steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic
from .exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "03_forward"

Visited = list[int]  # times in rising order


# ---------------------------------------------------------------------------------------------- chain_step
def chain_step(x_prev: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t, one step after x_(t−1), on a variance-preserving schedule.

    x_prev is x_(t−1), [B, *D]; noise has the same shape and is drawn from N(0, I); t is one time, from 1 to
    T. schedule.alpha and schedule.beta are tables of T + 1 entries; schedule.beta[t] is the variance that
    step t adds. Return x_t, in the shape of x_prev.
    """
    return schedule.alpha[t].sqrt() * x_prev + schedule.beta[t].sqrt() * noise


def steps_to_take(generator: torch.Generator) -> Iterator[Case]:
    """States of several shapes, two dtypes, three schedules with β that are not tiny, times from 1 to T."""
    makers = [linear(20, beta_T=0.5), cosine(50), quadratic(100, beta_T=0.3)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_prev, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(2, schedule.T, (), generator=generator))
        yield x_prev, [t, 1, schedule.T, t][n % 4], schedule, noise


CHAIN_STEP = Exercise(
    solution=chain_step,
    cases=steps_to_take,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda x_prev, t, schedule, noise: (
                (1 - schedule.beta[t]).sqrt() * x_prev + schedule.beta[t] * noise
            ),
            "Your step adds too little noise.",
            "A β is a variance: ask what a draw of N(0, I) must be multiplied by to have that variance.",
        ),
        Mistake(
            "missing square root",
            lambda x_prev, t, schedule, noise: schedule.alpha[t] * x_prev + schedule.beta[t].sqrt() * noise,
            "Your step shrinks x_(t−1) too much.",
            "The table alpha says what is left of the variance: ask what is left of the state itself.",
        ),
        Mistake(
            "alpha_bar for alpha",
            lambda x_prev, t, schedule, noise: schedule.signal[t] * x_prev + schedule.beta[t].sqrt() * noise,
            "Your one step shrinks the state as much as all steps from 0 to t together.",
            "The tables signal and alpha_bar belong to the jump from x_0, and x_prev is not x_0.",
        ),
        Mistake(
            "alpha_bar for alpha",
            lambda x_prev, t, schedule, noise: schedule.signal[t] * x_prev + schedule.sigma[t] * noise,
            "Your one step does as much as all steps from 0 to t together.",
            "The tables signal and sigma belong to the jump from x_0, and x_prev is not x_0.",
        ),
        Mistake(
            "alpha and beta swapped",
            lambda x_prev, t, schedule, noise: (
                schedule.beta[t].sqrt() * x_prev + schedule.alpha[t].sqrt() * noise
            ),
            "Where the step should be small, yours leaves almost nothing of x_(t−1).",
            "Ask which of the two tables is close to 1 early on, and which is close to 0.",
        ),
        Mistake(
            "data not shrunk",
            lambda x_prev, t, schedule, noise: x_prev + schedule.beta[t].sqrt() * noise,
            "Your step adds the right noise, and leaves x_(t−1) as large as it was.",
            "Look at the mean of q(x_t|x_(t−1)): with every step of yours the variance grows.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(chain_step, -1),
            "Your step is the one that leads to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to the step from t − 1 to t.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- closed_form
def closed_form(x0: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t, in one jump from x_0.

    x0 and noise have one shape, [B, *D], and noise is drawn from N(0, I); t is one time, from 0 to T.
    schedule.signal and schedule.sigma are the two tables. Return x_t, in the shape of x0.
    """
    return schedule.signal[t] * x0 + schedule.sigma[t] * noise


def single_times(generator: torch.Generator) -> Iterator[Case]:
    """Data of several shapes, two dtypes, three schedules, times at both ends and between."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x0, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(1, schedule.T + 1, (), generator=generator))
        yield x0, [t, 1, schedule.T, 0][n % 4], schedule, noise


def variance_for_std(x0: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    return schedule.signal[t] * x0 + schedule.sigma[t] ** 2 * noise


CLOSED_FORM = Exercise(
    solution=closed_form,
    cases=single_times,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            variance_for_std,
            "Your noise is too weak wherever sigma is below 1.",
            "A draw from N(0, s²) is s times a draw from N(0, 1): ask which of s and s² stands in your line.",
        ),
        Mistake(
            "alpha_bar for its square root",
            lambda x0, t, schedule, noise: schedule.alpha_bar[t] * x0 + schedule.sigma[t] * noise,
            "Your x_t holds too little of x_0.",
            "Look at the factor of x_0 in the closed form, and at what schedule.alpha_bar is.",
        ),
        Mistake(
            "alpha for alpha_bar",
            lambda x0, t, schedule, noise: schedule.alpha[t].sqrt() * x0 + schedule.beta[t].sqrt() * noise,
            "Your jump is as short as one step of the chain.",
            "Ask which tables tell what all steps from 0 to t do together.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda x0, t, schedule, noise: schedule.sigma[t] * x0 + schedule.signal[t] * noise,
            "At t = 0 you return the noise, and at t = T nearly the data.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(closed_form, -1),
            "Your x_t is the one that belongs to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)


# ---------------------------------------------------------------------------------------------- noisy_batch
def noisy_batch(x0: Tensor, t: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """x_t for a batch in which every example has a time of its own.

    x0 and noise have one shape, [B, *D], where *D may be any number of axes; t holds whole numbers, [B], each
    from 0 to T: t[b] is the time of example x0[b]. schedule.signal and schedule.sigma are the two tables.
    Return x_t, in the shape of x0.
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


NOISY_BATCH = Exercise(
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


# ---------------------------------------------------------------------------------------------- strided_beta
def strided_beta(alpha_bar: Tensor, times: Visited) -> Tensor:
    """β of each long step, for a chain that visits only some of the times.

    alpha_bar is the table ᾱ_0 … ᾱ_T of a variance-preserving schedule, [T + 1], with ᾱ_0 = 1. times holds the
    K + 1 whole numbers that are visited, rising, the first of which is 0. Return a tensor [K]: entry k is the
    variance that is added on the way from times[k] to times[k + 1].
    """
    return 1 - alpha_bar[times[1:]] / alpha_bar[times[:-1]]


def visits(generator: torch.Generator) -> Iterator[Case]:
    """Three schedules, two dtypes, even and uneven gaps; one long step, and every single one."""
    makers = [linear(40, beta_T=0.3), cosine(50), quadratic(30, beta_T=0.4)]
    for n in range(12):
        schedule = makers[n % 3]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        inner = torch.randperm(schedule.T - 1, generator=generator)[: 2 + n % 4] + 1
        times = [0, *sorted(inner.tolist()), schedule.T]
        times = [times, times, times[:-1], list(range(0, schedule.T + 1, 5))][n % 4]
        times = {5: [0, schedule.T], 10: list(range(schedule.T + 1))}.get(n, times)
        yield schedule.alpha_bar.to(dtype), times


def one_step_only(alpha_bar: Tensor, times: Visited) -> Tensor:
    """The table of single steps, read at the times."""
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return beta[[t - 1 for t in times[1:]]]


def sum_over_gap(alpha_bar: Tensor, times: Visited) -> Tensor:
    """The β of the single steps, added up over each gap."""
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return torch.stack([beta[s:t].sum() for s, t in pairwise(times)])


STRIDED_BETA = Exercise(
    solution=strided_beta,
    cases=visits,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "alpha_bar of t − 1",
            one_step_only,
            "Your β are those of single steps: they do not know how long the gap is.",
            "Ask where each of your long steps starts: at t − 1, or at the time that was visited before?",
        ),
        Mistake(
            "sum of the single β",
            sum_over_gap,
            "Your β of long steps are too large, some of them above 1.",
            "What one step adds is shrunk by the next ones: shares that are kept multiply, and β do not add.",
        ),
        Mistake(
            "alpha for beta",
            lambda alpha_bar, times: alpha_bar[times[1:]] / alpha_bar[times[:-1]],
            "You return the share of the variance that each step keeps.",
            "The question is what each step adds.",
        ),
        Mistake(
            "difference for ratio",
            lambda alpha_bar, times: -alpha_bar[times].diff(),
            "Your values are right for the first step only, and too small later.",
            "Compare with what the step finds when it starts, and not with what x_0 was.",
        ),
        Mistake(
            "missing square",
            lambda alpha_bar, times: 1 - (alpha_bar[times[1:]] / alpha_bar[times[:-1]]).sqrt(),
            "Your values are too small: they tell how much of the amplitude is lost.",
            "A β is a variance, and ᾱ is a share of the variance already.",
        ),
        Mistake(
            "alpha_bar from 0",
            lambda alpha_bar, times: 1 - alpha_bar[times[1:]],
            "Your values are the whole noise in x_t, of all steps since 0.",
            "Ask what is new in this step, and where it starts.",
        ),
    ),
)

EXERCISES = (CHAIN_STEP, CLOSED_FORM, NOISY_BATCH, STRIDED_BETA)
