"""One density in one dimension, and two ways from noise to data: the reverse SDE, and the ODE.

The data is a mixture of two blobs with its exact score. States are given in units of √(signal² + sigma²), so
that all SDEs fit one axis.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch

from .. import sde
from ..checks import Numbers, Reals
from ..exact import GaussianMixture
from ..likelihood import likelihood_path, log_likelihood
from ..sde_samplers import probability_flow, reverse_sde
from .stored import shipped

MEANS = torch.tensor([[-1.2], [0.8]], dtype=torch.float64)
DATA = GaussianMixture(MEANS, [0.15, 0.35], weights=[0.35, 0.65])
SDES = {"vp": sde.vp(), "sub-vp": sde.sub_vp(), "ve": sde.ve(), "straight": sde.straight()}
FIRST = {"straight": 0.99}  # where the SDE starts, if its coefficients are infinite at u = 1
T = 40  # the times shown are u = t/T
N, N_PATHS = 2000, 8
RANKS = range(1, 100)  # the ODE's paths start at these percentiles of N(0, 1)
EDGES = np.linspace(-3, 3, 41)  # of the histograms' bins
BIN = EDGES[1] - EDGES[0]
UNIT = 2e-6  # log p_u by the ODE ships as its difference from the exact one, in these units


def column(x: Reals | Numbers) -> torch.Tensor:
    """Numbers as a batch of points in one dimension: [B, 1]."""
    return torch.as_tensor(x, dtype=torch.float64).reshape(-1, 1)


def percentile(part: Reals | Numbers) -> torch.Tensor:
    """The x with this part of N(0, 1) below it: [B, 1]."""
    return torch.special.ndtri(column(part))


STARTS = percentile((np.arange(N) + 0.5) / N)


def unit(name: str, u: float) -> float:
    """√(signal² + sigma²) at u."""
    return torch.hypot(*SDES[name].marginal(u)).item()


@functools.cache
def marginal(name: str, t: int) -> tuple[GaussianMixture, float]:
    """The exact density at u = t/T, and the unit of x there."""
    return DATA.noised(t, SDES[name].schedule(T)), unit(name, t / T)


def distribution(q: GaussianMixture, x: torch.Tensor) -> torch.Tensor:
    """The part of q below x: [B, 1] -> [B]."""
    return torch.special.ndtr((x - q.means[:, 0]) / q.var[:, 0].sqrt()) @ q.weights


def spread(q: GaussianMixture, x: torch.Tensor) -> tuple[float, float]:
    """The variance of states [N, 1], divided by the variance of q, and their KS distance from q."""
    mean = q.weights @ q.means[:, 0]
    var = q.weights @ (q.var[:, 0] + q.means[:, 0] ** 2) - mean**2
    steps, below = torch.arange(N + 1, dtype=torch.float64) / N, distribution(q, x.sort(0).values)
    distance = torch.maximum(steps[1:] - below, below - steps[:-1]).max()
    return (x.var(correction=0) / var).item(), distance.item()


def histogram(x: torch.Tensor) -> np.ndarray:
    """The density of states between the edges."""
    return np.histogram(x.numpy(), EDGES)[0] / (len(x) * BIN)


# ------------------------------------------------------------------------------------------ the SDE
@functools.lru_cache(32)
def by_sde(name: str, steps: int, rank: int, seed: int) -> dict[float, torch.Tensor]:
    """u -> the states: N_PATHS from one percentile, then N spread over N(0, 1): [N_PATHS + N, 1]."""
    process, first = SDES[name], FIRST.get(name, 1.0)
    denoiser = DATA.denoiser(process.schedule(T))
    starts = torch.cat([percentile([rank / 100] * N_PATHS), STARTS])
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    times = torch.cat([times.new_tensor([first]), times[times < first]])
    generator = torch.Generator().manual_seed(seed)
    run = reverse_sde(denoiser, unit(name, first) * starts, process, times, generator)
    states = {1.0: unit(name, 1.0) * starts} | {round(step.t, 6): step.x for step in run}
    return states


# ------------------------------------------------------------------------------------------ the ODE
def by_ode(name: str, rank: int, u: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x at u < 1 on the path from a percentile [1, 1], and log p_u there [1], a sum of divergences."""
    process = SDES[name]
    denoiser = DATA.denoiser(process.schedule(T))
    x_T = unit(name, 1.0) * percentile(rank / 100)
    x = probability_flow(denoiser, x_T, process, (1.0, u))[-1]
    log_p = log_likelihood(denoiser, x, process, start=u)
    return x, log_p


class Flow(NamedTuple):
    """The results of the ODE at u = 1, …, 0."""

    heights: np.ndarray  # the histogram of its states from STARTS, in units [T + 1, bins]
    distance: np.ndarray  # their KS distance [T + 1]
    paths: np.ndarray  # from each of RANKS, in units [T + 1, 99]
    gap: np.ndarray  # log p_u along them, minus the exact one [T + 1, 99]


class Path(NamedTuple):
    """One of the ODE's paths, at u = 1, …, 0: [T + 1] each."""

    x: np.ndarray  # in units
    below: np.ndarray  # the part of the density below it
    exact: np.ndarray  # log q_u there
    by_ode: np.ndarray  # log p_u there


@functools.cache
def flow(name: str) -> Flow:
    """The shipped result of `solved`, which would take seconds and is always the same."""
    found = {key: part.double().numpy() for key, part in shipped(f"ode.{name}").items()}
    return Flow(found["counts"] / (N * BIN), found["distance"], found["paths"], UNIT * found["gap"])


@functools.cache
def green_path(name: str, rank: int) -> Path:
    """The path from one of RANKS."""
    x, gap = (part[:, RANKS.index(rank)] for part in (flow(name).paths, flow(name).gap))
    below, exact = np.empty((2, T + 1))
    for k, t in enumerate(range(T, -1, -1)):
        q, scale = marginal(name, t)
        below[k], exact[k] = distribution(q, column(x[k] * scale)), q.log_prob(column(x[k] * scale))
    return Path(x, below, exact, exact + gap)


def solved(name: str) -> dict[str, torch.Tensor]:
    """The ODE from u = 1 to 0, from STARTS and RANKS, and log p_u along the paths from RANKS; for `flow`."""
    process, denoiser = SDES[name], DATA.denoiser(SDES[name].schedule(T))
    up, options = torch.arange(T + 1) / T, dict(rtol=1e-6, atol=1e-6)
    densities, units = zip(*(marginal(name, t) for t in range(T, -1, -1)), strict=True)
    x_T = units[0] * torch.cat([STARTS, percentile([rank / 100 for rank in RANKS])])
    down = probability_flow(denoiser, x_T, process, up.flip(0), **options)
    path = likelihood_path(denoiser, down[-1, N:], process, up, **options)
    x, log_p = (part.flip(0) for part in path)
    spreads = [spread(*each) for each in zip(densities, down[:, :N], strict=True)]
    variance, distance = torch.tensor(spreads, dtype=torch.float64).T.contiguous()
    counts = [N * BIN * histogram(x / scale) for x, scale in zip(down[:, :N], units, strict=True)]
    gap = log_p - torch.stack([q.log_prob(x) for q, x in zip(densities, x, strict=True)])
    return {
        "counts": torch.from_numpy(np.stack(counts)).round().short(),
        "variance": variance,
        "distance": distance,
        "paths": (x[..., 0] / column(units)).float(),
        "gap": (gap / UNIT).round().short(),
    }
