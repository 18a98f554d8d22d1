"""Notebook 03, `strided_beta`: β of each long step, for a chain that visits only some of the times."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ...schedules import cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "03_forward"


Visited = list[int]  # times in rising order


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


EXERCISE = Exercise(
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
