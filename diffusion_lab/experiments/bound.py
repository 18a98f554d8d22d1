"""The ELBO term by term, of any denoiser, schedule, T and variance (Ho et al. 2020, eq. 12).

L_{t−1} = w_t E‖ε − ε̂‖² + const: the error of the denoiser at a noise level, times the weight that the
schedule gives it there.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from ..elbo import reverse_variance, simple_weights
from ..gaussian import Gaussian, kl
from ..schedules import SCHEDULES, NoiseSchedule
from .elbo_errors import errors, typical
from .prior import NOT_NOISE, prior_bits

# The usual linear β are for T = 1000: with fewer steps they must be larger, or x_T is not noise
SCALED, UNSCALED = "linear, β · 1000/T", "linear, unscaled β"
CHOICES = ["cosine", "sigmoid", SCALED, UNSCALED]
STEPS = [25, 50, 100, 200, 500, 1000]


@dataclass(frozen=True, eq=False)
class Bound:
    """The terms, in bits per dimension; tables [T + 1], indexed by t."""

    prior: float  # L_T
    terms: np.ndarray  # L_{t−1} at t; entry 1 is L_0, entry 0 is 0
    weights: np.ndarray  # w_t
    errors: np.ndarray  # E‖ε − ε̂‖²/D

    @property
    def paid(self) -> np.ndarray:
        """L_T + Σ_{s≥t} L_{s−1}: the sum of all terms from T down to t."""
        return self.prior + self.terms[::-1].cumsum()[::-1]

    @property
    def total(self) -> float:
        """The bound itself."""
        return self.paid[0].item()

    @staticmethod
    def share(table: np.ndarray, t: int) -> float:
        """The share of the steps 2…t in the sum over all t ≥ 2."""
        return table[2 : t + 1].sum().item() / table[2:].sum().item()


@functools.cache
def schedule_of(name: str, T: int) -> NoiseSchedule:
    """The schedule behind each of CHOICES."""
    linear = dict(beta_1=0.1 / T, beta_T=20 / T) if name == SCALED else {}
    return SCHEDULES[name.split(",")[0]](T=T, **linear)


@functools.cache
def bound(source: str, denoiser: str, variance: str, schedule: str, T: int) -> Bound:
    """The terms of a denoiser of some data on some schedule: its errors, weighted by the schedule."""
    table = schedule_of(schedule, T)
    prior = prior_bits(typical(source), table)  # L_T
    eps, last = errors(source, denoiser).at(table.log_snr.numpy())  # E‖ε − ε̂‖²/D, and L_0/D
    weights = simple_weights(table, variance).numpy()

    best, used = (reverse_variance(table, which)[2:, None] for which in ("small", variance))
    zero = torch.zeros_like(best)
    const = kl(Gaussian(zero, best), Gaussian(zero, used)).numpy()  # 0 for the small variance
    nats = np.r_[0, last[1], weights[2:] * eps[2:] + const]  # at t = 1 the term is L_0
    terms = nats / np.log(2)
    return Bound(prior, terms, weights, eps)


def warns(schedule: str, T: int, prior: float) -> str:
    """A warning where a schedule does not end in noise."""
    end = schedule_of(schedule, T).signal[-1].item()
    said = f"x_T still holds data (√ᾱ_T = {end:.2g}). This costs L_T = {prior:.3g} bits/dim."
    return said if end > NOT_NOISE else ""


def places(T: int) -> list[int]:
    """Every t; if there are many, the first twenty and eighty more."""
    few = range(1, T + 1) if T <= 100 else [*range(1, 20), *np.linspace(20, T, 81).round().astype(int)]
    return np.unique(few).tolist()
