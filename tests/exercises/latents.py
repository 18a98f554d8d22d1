"""What students hand in for the exercises of notebook 22."""

import numpy as np
import torch

from diffusion_lab.applications.latent import LinearAutoencoder, latent_mixture
from diffusion_lab.exact import GaussianMixture


def by_package(mean, covariance, center, axes):
    own = LinearAutoencoder(center, axes, torch.ones(len(center)))
    found = latent_mixture(GaussianMixture(mean[None], covariances=covariance[None]), own)
    wide = (found.axes[0] * found.var[0]) @ found.axes[0].mT
    return found.means[0].to(mean), wide.to(mean)


def by_a_root(mean, covariance, center, axes):
    """The covariance of z = axesᵀ L ε, whose rows are easy to multiply."""
    root = axes.T @ torch.linalg.cholesky(covariance)
    return (mean - center) @ axes, root @ root.T


def by_unit_vectors(mean, covariance, center, axes):
    d = axes.shape[1]
    wide = torch.zeros(d, d, dtype=mean.dtype)
    for i in range(d):
        for j in range(d):
            wide[i, j] = axes[:, i] @ covariance @ axes[:, j]
    return axes.T @ mean - axes.T @ center, wide


RIGHT = {
    "latent_gaussian": [
        by_package,
        by_a_root,
        by_unit_vectors,
        lambda mean, covariance, center, axes: (
            torch.einsum("d,de->e", mean - center, axes),
            torch.einsum("df,de,eg->fg", axes, covariance, axes),
        ),
        lambda mean, covariance, center, axes: (
            (axes.numpy().T @ (mean - center).numpy()),
            axes.numpy().T @ covariance.numpy() @ axes.numpy(),
        ),
    ],
    "latent_scale": [
        lambda z: z.var() ** -0.5,
        lambda z: 1 / z.flatten().std(),
        lambda z: 1 / np.std(z.numpy(), ddof=1),
        lambda z: ((z.numel() - 1) / (z - z.mean()).square().sum()).sqrt(),
        lambda z: torch.rsqrt(torch.var(z)).item(),
    ],
    "draw_latent": [
        lambda mean, log_variance, noise: mean + log_variance.exp().sqrt() * noise,
        lambda mean, log_variance, noise: torch.addcmul(mean, torch.exp(0.5 * log_variance), noise),
        lambda mean, log_variance, noise: mean.numpy() + np.exp(log_variance.numpy() / 2) * noise.numpy(),
        lambda mean, log_variance, noise: noise * torch.e ** (log_variance / 2) + mean,
        lambda mean, log_variance, noise: mean + noise * log_variance.exp() ** 0.5,
    ],
}
WRONG = {
    "latent_gaussian": {
        "center left out": [
            lambda mean, covariance, center, axes: (mean @ axes, axes.T @ covariance @ axes),
        ],
        "center subtracted from the latents' covariance": [
            lambda mean, covariance, center, axes: (
                (mean - center) @ axes,
                axes.T @ (covariance - center[:, None] * center) @ axes,
            ),
        ],
        "multiplied from one side": [
            lambda mean, covariance, center, axes: ((mean - center) @ axes, (covariance @ axes).T),
        ],
        "correlations left out": [
            lambda mean, covariance, center, axes: (
                (mean - center) @ axes,
                torch.diag((axes * (covariance @ axes)).sum(0)),
            ),
        ],
        "pixels for latents": [
            lambda mean, covariance, center, axes: (
                center + axes @ (axes.T @ (mean - center)),
                axes @ axes.T @ covariance @ axes @ axes.T,
            ),
        ],
        "axes transposed": [
            lambda mean, covariance, center, axes: (
                (mean - center) @ axes.T,
                axes @ covariance @ axes.T,
            ),
        ],
    },
    "latent_scale": {
        "ratio upside down": [lambda z: z.var().sqrt()],
        "variance for standard deviation": [lambda z: 1 / torch.var(z)],
        "a scale for each channel": [lambda z: z.transpose(0, 1).flatten(1).std(1) ** -1],
        "averaged over the pictures": [lambda z: len(z) / sum(one.std() for one in z)],
        "root mean square for standard deviation": [lambda z: (z.numel() / (z * z).sum()).sqrt()],
        "a number of other data": [lambda z: 0.18215],
    },
    "draw_latent": {
        "variance for standard deviation": [
            lambda mean, log_variance, noise: torch.addcmul(mean, torch.exp(log_variance), noise),
        ],
        "logarithm not undone": [lambda mean, log_variance, noise: torch.addcmul(mean, log_variance, noise)],
        "logarithm of the standard deviation": [
            lambda mean, log_variance, noise: mean + 0.5 * log_variance * noise,
        ],
        "wrong sign in the exponent": [
            lambda mean, log_variance, noise: mean + noise / log_variance.exp().sqrt(),
        ],
        "noise left out": [lambda mean, log_variance, noise: mean + 0 * noise],
        "mean left out": [lambda mean, log_variance, noise: log_variance.exp().sqrt() * noise],
    },
}
TWO = {
    "latent_gaussian": [
        lambda mean, covariance, center, axes: (axes.T @ mean, axes.T @ covariance),
    ],
    "latent_scale": [lambda z: z.var(), lambda z: 1 / z.abs().mean()],
    "draw_latent": [lambda mean, log_variance, noise: (-log_variance).exp() * noise],
}
AGREES = {"latent_gaussian": by_package}
