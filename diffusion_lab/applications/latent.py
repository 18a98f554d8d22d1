"""Diffusion in a latent space, where all of it is exact: principal components and mixtures of Gaussians.

An autoencoder turns a picture into fewer numbers z and back, and diffusion draws z instead of the picture
(Rombach et al. 2022). The linear autoencoder with the lowest squared error is PCA::

    z = scale · Aᵀ(x − m)        x̂ = m + A z / scale        A [D, d] has orthonormal columns

Here everything is known. The latents of a mixture of Gaussians are a mixture of Gaussians, so the best
denoiser is (`latent_mixture`). And whatever is drawn in the latent space, its distance to the truth splits
in two (`wasserstein`)::

    W₂²(data, decoded draws)  =  Σ discarded eigenvalues  +  W₂²(latents of the data, draws) / scale²

The first term belongs to the autoencoder: no diffusion gets under it. The second one belongs to the
diffusion.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import Numbers, Reals, check_batch, check_data, check_int
from ..exact import GaussianMixture
from ..samplers import ddim
from ..schedules import NoiseSchedule
from ..views import Denoiser, Prediction, named
from .inverse.posterior import moments


@dataclass(frozen=True)
class LinearAutoencoder:
    """Principal components (Pearson 1901): the d axes along which the data vary most.

    :ivar mean: of the data, `[*D]`
    :ivar axes: [D, d], orthonormal columns, over the flattened data
    :ivar eigenvalues: [D], the variance along every axis, falling; the first d belong to `axes`
    :ivar scale: one number for all latents; `principal_components` makes their mean square 1
    """

    mean: Tensor
    axes: Tensor
    eigenvalues: Tensor
    scale: float = 1.0

    @property
    def dim(self) -> int:
        """d, how many numbers a latent has."""
        return self.axes.shape[1]

    @property
    def floor(self) -> float:
        """E‖x − x̂‖² of the data: the sum of the discarded eigenvalues."""
        return self.eigenvalues[self.dim :].clamp(min=0).sum().item()

    def latents(self, x: Tensor) -> Tensor:
        """z = scale Aᵀ(x − m): `[B, *D] -> [B, d]`. Raises ValueError for data of another shape."""
        check_batch(x, "x", self.mean.shape)
        return self.scale * (x - self.mean.to(x)).flatten(1) @ self.axes.to(x)

    def pictures(self, z: Tensor) -> Tensor:
        """x̂ = m + A z / scale: `[B, d] -> [B, *D]`. Raises ValueError for latents of another length."""
        check_batch(z, "z", (self.dim,))
        return self.mean.to(z) + (z / self.scale @ self.axes.to(z).mT).reshape(len(z), *self.mean.shape)


def principal_components(mixture: GaussianMixture, dim: int) -> LinearAutoencoder:
    """The best linear autoencoder of a mixture's data, with `dim` latents of mean square 1; float64.

    The covariance of all data is Σ_k w_k (Σ_k + μ_k μ_kᵀ) − m mᵀ, and A holds its first eigenvectors. No
    other linear autoencoder has a lower E‖x − x̂‖² (Eckart & Young 1936). Raises ValueError for a dim
    outside 1…D.
    """
    weights, (means, within) = mixture.weights.double(), moments(mixture)
    D = means.shape[1]
    if check_int(dim, "dim", 1) > D:
        raise ValueError(f"dim must be at most {D}, the number of pixels; got {dim}")
    mean = weights @ means
    off = means - mean
    total = torch.einsum("k,kde->de", weights, within) + (weights[:, None] * off).mT @ off
    values, axes = torch.linalg.eigh(total)
    values, axes = values.flip(0), axes.flip(1)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))  # its sign differs between machines
    axes = axes[:, :dim] * largest.sign()[:, :dim]
    scale = 1 / values[:dim].mean().sqrt().item()
    return LinearAutoencoder(mean.reshape(mixture.means.shape[1:]), axes, values, scale)


def latent_mixture(mixture: GaussianMixture, autoencoder: LinearAutoencoder) -> GaussianMixture:
    """What the mixture's latents are distributed as: means scale Aᵀ(μ_k − m), covariances scale² AᵀΣ_k A.

    A linear map of a Gaussian is a Gaussian, and a mixture stays a mixture with the same weights. Its
    `.denoiser(schedule)` is the exact one for diffusion on latents. Float64.
    """
    A = autoencoder.scale * autoencoder.axes.double()
    covariance = torch.einsum("df,kde,eg->kfg", A, moments(mixture)[1], A)
    means = autoencoder.latents(mixture.means.double())
    return GaussianMixture(
        means, covariances=(covariance + covariance.mT) / 2, weights=mixture.weights.double()
    )


def decoded(mixture: GaussianMixture, autoencoder: LinearAutoencoder) -> tuple[Tensor, Tensor]:
    """Means `[K, *D]` and covariances [K, D, D] of decoded latents; the covariances have rank d at most."""
    A = autoencoder.axes.double() / autoencoder.scale
    return autoencoder.pictures(mixture.means.double()), torch.einsum(
        "df,kfg,eg->kde", A, moments(mixture)[1], A
    )


# ------------------------------------------------------------------------------------ distances
def wasserstein(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> Tensor:
    """W₂² of two Gaussians: ‖m − m′‖² + tr(Σ + Σ′ − 2 (Σ^½ Σ′ Σ^½)^½) (Dowson & Landau 1982, eq. 4).

    means `[..., D]`, covariances `[..., D, D]` -> `[...]`. Either covariance may be singular. It is the
    least mean squared distance at which draws of the one can be paired with draws of the other.
    """
    check_data(covariance, "covariance", other_covariance.shape)
    values, axes = torch.linalg.eigh(covariance)
    root = (axes * values.clamp(min=0).sqrt()[..., None, :]) @ axes.mT
    overlap = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum(-1)
    traces = (covariance + other_covariance).diagonal(dim1=-2, dim2=-1).sum(-1)
    return (mean - other_mean).square().sum(-1) + traces - 2 * overlap


def floor_of(mixture: GaussianMixture, autoencoder: LinearAutoencoder) -> Tensor:
    """E‖x − x̂‖² of each component's data: [K], float64. Weighted, they sum to the discarded eigenvalues.

    ‖(I − AAᵀ)(μ_k − m)‖² + tr((I − AAᵀ) Σ_k).
    """
    A = autoencoder.axes.double()
    rest = torch.eye(len(A), dtype=torch.float64) - A @ A.mT
    if autoencoder.dim == len(A):
        rest = torch.zeros_like(rest)  # nothing is discarded, not even by rounding
    off = (mixture.means.double() - autoencoder.mean).flatten(1) @ rest
    return off.square().sum(1) + torch.einsum("de,kde->k", rest, moments(mixture)[1])


def drawn_by_ddim(gaussian: GaussianMixture, schedule: NoiseSchedule, timesteps: Numbers) -> GaussianMixture:
    """What DDIM with the exact denoiser makes of N(0, I), for data of *one* Gaussian: again a Gaussian.

    The denoiser is affine and acts along each axis of the covariance by itself, and so does every step. Two
    runs say all: from x_T = 0 comes the mean, and from the sum of all axes what each of them is multiplied
    by. x_T has the standard deviation (signal_T² + sigma_T²)^½. A variance of 0 is possible.
    """
    if len(gaussian.means) != 1 or gaussian.axes is None or gaussian.means.ndim != 2:
        raise ValueError(
            f"gaussian must be one component of data [D] with a covariance; got {gaussian.means.shape}"
        )
    axes = gaussian.axes[0]
    *_, last = ddim(
        gaussian.denoiser(schedule),
        torch.stack([torch.zeros_like(axes[0]), axes.sum(1)]),
        schedule,
        timesteps,
    )
    gain = (last.x[1] - last.x[0]) @ axes
    start = schedule.signal[-1] ** 2 + schedule.sigma[-1] ** 2
    return gaussian.changed(means=last.x[:1], var=(start * gain.square())[None])


# ------------------------------------------------------------------------------------ scale and guidance
def seen_by(schedule: NoiseSchedule, scale: float) -> NoiseSchedule:
    """The schedule that z really gets, if scale · z is what is made noisy: log SNR shifts by 2 log scale.

    signal_t (scale z) + sigma_t ε, divided by its own size (scale² signal_t² + sigma_t²)^½, is
    signal′_t z + sigma′_t ε with SNR′_t = scale² SNR_t. Raises ValueError unless 0 < scale < ∞.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be a number above 0; got {scale!r}")
    signal, sigma = scale * schedule.signal, schedule.sigma
    size = torch.hypot(signal, sigma)  # at t = 0 this is exactly scale
    return NoiseSchedule(signal / size, sigma / size, name=f"{schedule.name}, data × {scale:g}")


def partly_guided(conditional: Denoiser, unconditional: Denoiser, w: float, channels: int) -> Denoiser:
    """Guidance of the first `channels` channels alone; the others stay conditional, as if w were 1 for them.

    x̂_0 = x̂_0,∅ + w (x̂_0,c − x̂_0,∅) in channels 0 … channels − 1, and x̂_0,c in the rest. The code of DiT
    (Peebles & Xie 2022) does this with 3 of 4 channels, "for exact reproducibility" of earlier code, which
    was written for the three colours of a picture.
    """
    check_int(channels, "channels", 0)

    def denoise(x_t: Tensor, t: Reals) -> Prediction:
        cond, uncond = conditional(x_t, t), unconditional(x_t, t)
        guided = (uncond.x0 + w * (cond.x0 - uncond.x0))[:, :channels]
        return Prediction.from_x0(torch.cat([guided, cond.x0[:, channels:]], 1), x_t, t, cond.schedule)

    schedule = getattr(conditional, "schedule", None)
    return named(denoise, schedule, getattr(conditional, "shape", None))
