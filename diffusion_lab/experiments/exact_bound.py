"""The bound without sampling noise, for mixtures in one dimension, and the variance that makes it smallest.

Gauss–Hermite quadrature turns expectations over data and noise into short weighted sums (appendix A1).
"""

import numpy as np
import torch
from torch import Tensor

from ..elbo import elbo
from ..exact import GaussianMixture
from ..forward import posterior_weights, q_sample
from ..schedules import NoiseSchedule
from ..views import Denoiser


def quadrature(mixture: GaussianMixture, n_data: int, n_noise: int) -> tuple[Tensor, Tensor, Tensor]:
    """x0 [N, 1], noise [N, 1] and weights [N]: E f(x_0, ε) = Σ weights · f, for a mixture in one dimension.

    Each component gets `n_data` points, and each point `n_noise` values of ε. With n points the rule is exact
    for polynomials up to degree 2n − 1. Raises ValueError for data with more than one coordinate.
    """
    if mixture.means.shape[1:] != (1,):
        raise ValueError(f"mixture must have one coordinate; got means {list(mixture.means.shape)}")
    places, shares = nodes(n_data)
    noise, chances = nodes(n_noise)
    means, stds = mixture.means.double(), mixture.var.double().sqrt()  # [K, 1] each
    x0 = (means + stds * places).flatten()
    weights = (mixture.weights.double()[:, None] * shares).flatten()
    x0, noise = torch.meshgrid(x0, noise, indexing="ij")
    return x0.reshape(-1, 1), noise.reshape(-1, 1), torch.outer(weights, chances).flatten()


def nodes(n: int) -> tuple[Tensor, Tensor]:
    """z [n] and weights [n], which sum to 1: E f(z) = Σ weights · f(z) for z ~ N(0, 1)."""
    z, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(n))
    return z, weights / weights.sum()


@torch.no_grad()
def variance_table(
    denoiser: Denoiser,
    x0: Tensor,
    schedule: NoiseSchedule,
    noise: Tensor | None = None,
    weights: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The variance of p_θ(x_{t−1}|x_t) that makes the bound smallest, one number for each t: a table [T + 1].

    It is the posterior's variance plus the mean squared error of the mean::

        β̃_t + c² E(x_0 − x̂_0)²,   where c is the weight of x_0 in the mean of q(x_{t−1}|x_t, x_0)

    x0 `[B, *D]` are the examples to average over, with `weights` [B] (equal unless given). noise is the ε of
    every x_t, drawn unless given. Entry 0 is 0; entry 1 is the best variance of a Gaussian decoder.
    """
    weights = x0.new_full((len(x0),), 1 / len(x0)) if weights is None else weights
    table = [0.0]
    for t in range(1, schedule.T + 1):
        guess = denoiser(q_sample(x0, t, schedule, noise, generator), t).x0
        c, _, small = posterior_weights(t, t - 1, schedule)
        mistake = ((x0 - guess) ** 2).flatten(1).mean(1)
        table.append((small + c**2 * (weights * mistake).sum()).item())
    return torch.tensor(table, dtype=torch.float64)


def mean_terms(
    denoiser: Denoiser,
    x0: Tensor,
    schedule: NoiseSchedule,
    variance: str | Tensor,
    noise: Tensor,
    weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """L_T, L_{t−1} [T + 1] and L_0 in nats, averaged with the points and weights of `quadrature`."""
    terms = elbo(denoiser, x0, schedule, variance, noise=noise)
    return weights @ terms.prior, weights @ terms.diffusion, weights @ terms.reconstruction
