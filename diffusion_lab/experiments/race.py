"""A race of samplers: where they stop after a number of denoiser calls, and how far from the ODE's end."""

import functools

import numpy as np
import torch

from .. import pretrained
from ..data import toy_mixture
from ..exact import GaussianMixture
from ..samplers import SAMPLERS, SPACINGS, p_sample_prior, timesteps
from ..schedules import linear
from .stored import shipped, trained

LANES = {"ddim": "DDIM", "heun": "Heun", "dpm_solver_pp_2m": "DPM-Solver++(2M)"}
DRAWING = {"ddpm": "DDPM", "sde_dpm_solver_pp_2m": "SDE-DPM-Solver++(2M)", "edm": "EDM"}  # these draw noise
TALL = torch.tensor([[[0.25, 0.15], [0.15, 0.16]]])  # a covariance
EXACT = {"Gaussian": GaussianMixture(torch.tensor([[0.2, 0.1]]), covariances=TALL), "mixture": toy_mixture()}
CALLS = [3, 5, 7, 10, 14, 20, 28, 40, 80, 113, 160]
FIT_FROM = 80  # calls: the order shows only when the steps are short
BUDGETS = [5, 10, 20]  # calls, for the digits
SCHEDULE = linear(10_000, 1e-5, 0.002)  # so fine that rounding times to whole t does not matter


def steps_in(calls: int, sampler: str) -> int:
    """The most steps for this number of calls."""
    return (calls + 1) // 2 if sampler in ("heun", "edm") else calls


def calls_in(steps: int, sampler: str) -> int:
    """The calls of a run of this number of steps."""
    return 2 * steps - 1 if sampler in ("heun", "edm") else steps


# ------------------------------------------------------------------------------------- points
def race_of_points(source: str, spacing: str, calls: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Where 100 points stop with each sampler [100, 2], and their median distance from the ODE's end."""
    denoiser = EXACT[source].denoiser(SCHEDULE)
    ends, errors = {}, {}
    for sampler in LANES:
        times = timesteps(SCHEDULE, steps_in(calls, sampler), spacing)
        *_, last = SAMPLERS[sampler](denoiser, noise(), SCHEDULE, times)
        ends[sampler] = last.x
        errors[sampler] = (last.x - end_of_ode(source)).norm(dim=1).median().item()
    return ends, errors


@functools.cache
def noise() -> torch.Tensor:
    """The start of all runs: [100, 2]."""
    return p_sample_prior((100, 2), SCHEDULE, torch.Generator().manual_seed(0)).double()


@functools.cache
def end_of_ode(source: str) -> torch.Tensor:
    """The end of the ODE, by a run of 1000 steps: [100, 2]."""
    denoiser, times = EXACT[source].denoiser(SCHEDULE), timesteps(SCHEDULE, 1000, "log_snr")
    *_, last = SAMPLERS["dpm_solver_pp_2m"](denoiser, noise(), SCHEDULE, times)
    return last.x


def raced(source: str) -> dict[str, torch.Tensor]:
    """The races with every spacing and every number of calls, as `runs` reads them."""
    end = end_of_ode(source)
    found = {"finish": end}
    for spacing in SPACINGS:
        ends, errors = zip(*(race_of_points(source, spacing, calls) for calls in CALLS), strict=True)
        for sampler in LANES:
            off = torch.stack([each[sampler] - end for each in ends])
            each = torch.tensor([each[sampler] for each in errors], dtype=torch.float64)
            found[f"{spacing}.{sampler}.errors"] = each
            found[f"{spacing}.{sampler}.off"] = off.half()  # rounded to far less than a dot's width
    return found


@functools.cache
def finish(source: str) -> torch.Tensor:
    """The shipped result of `end_of_ode`: [100, 2]."""
    return shipped(f"race.{source}")["finish"]


@functools.cache
def runs(source: str, sampler: str, spacing: str) -> tuple[list[int], np.ndarray, torch.Tensor]:
    """For each of CALLS: the calls made, the median distance to the finish, the points [CALLS, 100, 2].

    They are the result of `raced`, which takes seconds and is always the same, so it is shipped.
    """
    found = shipped(f"race.{source}.{spacing}.{sampler}")
    made = [calls_in(steps_in(calls, sampler), sampler) for calls in CALLS]
    return made, found["errors"].numpy(), finish(source) + found["off"].double()


def fit(calls: list[int], errors: np.ndarray) -> tuple[float, float]:
    """(order, log of the error at 1 call) of the line through the runs of FIT_FROM calls and more."""
    late = np.array(calls) >= FIT_FROM - 1  # Heun makes 79
    slope, start = np.polyfit(np.log(calls)[late], np.log(errors)[late], 1)
    return -slope, start


# ------------------------------------------------------------------------------------- digits
@functools.cache
def race_of_digits(spacing: str, calls: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """One digit of each class from each sampler without noise [10, 1, 8, 8]; the distances of all samplers.

    A distance is the Fréchet distance between features of a sampler's digits and of the held-out digits, the
    mean of five seeds, measured beforehand (benchmarks/digits_samplers.py).
    """
    network = trained("digits")
    denoiser, schedule = network.given(torch.arange(10)), network.schedule
    x_T = p_sample_prior((10, 1, 8, 8), schedule, torch.Generator().manual_seed(0))
    digits = {}
    for sampler in LANES:
        times = timesteps(schedule, steps_in(calls, sampler), spacing)
        *_, last = SAMPLERS[sampler](denoiser, x_T, schedule, times)
        digits[sampler] = last.x
    distances = {sampler: distance(sampler, spacing, calls) for sampler in [*LANES, *DRAWING]}
    return digits, distances


def distance(sampler: str, spacing: str, calls: int) -> float:
    """The mean distance over the seeds in pretrained/digits.samplers.csv."""
    measured = [row["features"] for cell, row in table().items() if cell[:3] == (sampler, spacing, calls)]
    return sum(measured) / len(measured)


table = functools.cache(pretrained.sampler_table)
