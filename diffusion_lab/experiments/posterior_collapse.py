"""Posterior collapse, exactly: which latents a linear VAE uses, and which it leaves idle.

Data of covariance C, a decoder N(W z, s² I), an encoder N(V x, diag v), a KL weight β. The loss is::

    E‖x − W z‖² / (2 s²)  +  β E KL(q(z|x) ‖ N(0, I))

It is β times that of the plain VAE with the observation variance c = β s², and the linear VAE with β = 1 is
probabilistic PCA (Tipping & Bishop 1999; Lucas et al. 2019). So the optimum is known. Along the axis of
eigenvalue λ of C::

    λ > c    used:  |w|² = λ − c      error c      KL ½ log(λ/c) nats      encoder's variance v = c/λ
    λ ≤ c    idle:  w = 0             error λ      KL 0                     v = 1, whatever x is

This is the trade of bits against error that no code beats for Gaussian data ("reverse water-filling", Cover &
Thomas 2006, theorem 10.3.3), and c is the water's level. The axes below it have collapsed.
"""

import math

import torch
from torch import Tensor

from ..checks import check_data, check_int


def covariance(x: Tensor) -> Tensor:
    """Of the flattened rows x `[N, *D]`, over N: [D, D], float64."""
    rows = check_data(x, "x").double().flatten(1)
    rows = rows - rows.mean(0)
    return rows.mT @ rows / len(rows)


def spectrum(cov: Tensor) -> Tensor:
    """Its eigenvalues λ, falling: [D]. Each is the variance along a principal axis."""
    return torch.linalg.eigvalsh(check_data(cov, "cov").double()).flip(0).clamp(min=0)


def level(variance: float, beta: float = 1.0) -> float:
    """c = β s²: below it a direction is not worth its KL. Raises ValueError unless both are above 0."""
    for name, value in dict(variance=variance, beta=beta).items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a number above 0; got {value!r}")
    return beta * variance


def kl_of_axes(eigenvalues: Tensor, variance: float, beta: float = 1.0) -> Tensor:
    """½ log(λ/c) nats for each used axis, 0 for each idle one; the mean over the data. [D] -> [D]."""
    return 0.5 * (check_data(eigenvalues, "eigenvalues") / level(variance, beta)).clamp(min=1).log()


def used(eigenvalues: Tensor, variance: float, beta: float = 1.0, latent: int | None = None) -> int:
    """How many latents the best linear VAE uses: as many as eigenvalues exceed β s², of those it has."""
    count = int((check_data(eigenvalues, "eigenvalues") > level(variance, beta)).sum())
    return count if latent is None else min(count, check_int(latent, "latent", 1))


def best_loss(eigenvalues: Tensor, variance: float, beta: float = 1.0, latent: int | None = None) -> float:
    """The loss above at its optimum, in nats: Σ min(λ, c)/(2 s²) + β Σ ½ log(λ/c), idle axes at λ and 0."""
    kept = used(eigenvalues, variance, beta, latent)
    error = level(variance, beta) * kept + eigenvalues[kept:].sum()
    return (error / (2 * variance) + beta * kl_of_axes(eigenvalues, variance, beta)[:kept].sum()).item()


def loss_and_kl(cov: Tensor, parts: list[Tensor], variance: float, beta: float) -> tuple[Tensor, Tensor]:
    """(loss, KL of each latent [d]) of any linear VAE, in nats and exactly: everything in it is Gaussian.

    parts are W [D, d], V [d, D] and log v [d].
    """
    W, V, log_v = parts
    spread = V @ cov @ V.mT  # of the encoder's means
    trace = cov.trace() - 2 * (W @ V @ cov).trace() + (W @ spread @ W.mT).trace()
    error = trace + W.square().sum(0) @ log_v.exp()
    kl = 0.5 * (log_v.exp() + spread.diagonal() - 1 - log_v)
    return error / (2 * variance) + beta * kl.sum(), kl


def trained(
    cov: Tensor, latent: int, variance: float, beta: float = 1.0, steps: int = 2000, seed: int = 0
) -> tuple[float, Tensor]:
    """(loss, KL of each latent, falling [d]) of a linear VAE after gradient descent from random weights.

    It is not told any axis. Adam, learning rate 0.03 that falls to 0 along half a cosine; float64.
    """
    check_int(latent, "latent", 1), check_int(steps, "steps", 1), level(variance, beta)
    cov, rng = check_data(cov, "cov").double(), torch.Generator().manual_seed(seed)
    D = len(cov)
    shapes = [(D, latent), (latent, D), (latent,)]
    parts = [0.1 * torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes]
    with torch.enable_grad():
        parts = [part.requires_grad_() for part in parts]
        optimizer = torch.optim.Adam(parts, 0.03)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            loss_and_kl(cov, parts, variance, beta)[0].backward()
            optimizer.step()
            cosine.step()
    loss, kl = loss_and_kl(cov, [part.detach() for part in parts], variance, beta)
    return loss.item(), kl.sort(descending=True).values
