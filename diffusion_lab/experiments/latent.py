"""Digits by way of principal components: what a latent of d numbers loses, and what its diffusion costs.

The truth is one Gaussian for each class. The autoencoder is PCA, the diffusion in the latent space has the
exact denoiser, and the sampler is DDIM. So all distances are in closed form, in the unit of W₂²: squared,
and summed over the 64 pixels.

One call of the exact denoiser turns a latent to the axes of the covariance and back: 2 d² multiply-adds. A
fixed amount of work therefore buys more steps if the latent is small.
"""

import functools

import torch
from torch import Tensor

from ..applications.inverse.posterior import moments
from ..applications.latent import (
    LinearAutoencoder,
    drawn_by_ddim,
    floor_of,
    latent_mixture,
    principal_components,
    wasserstein,
)
from ..exact import GaussianMixture
from ..samplers import ddim, p_sample_prior, timesteps
from ..schedules import cosine
from .stored import class_gaussians, digits

PIXELS = 64
DIMS = range(4, 65, 4)
WORKS = (2, 5, 10)  # in calls of the denoiser of all 64 pixels
MOST = 50  # steps: more change nothing here
SCHEDULE = cosine(1000)


@functools.cache
def compressed(dim: int) -> LinearAutoencoder:
    """PCA of the class Gaussians, with `dim` numbers a digit."""
    return principal_components(class_gaussians(), dim)


@functools.cache
def latents_of(label: int, dim: int) -> GaussianMixture:
    """The Gaussian that the latents of one class have."""
    return latent_mixture(class_gaussians().given(label), compressed(dim))


def steps_for(dim: int, work: int) -> int:
    """How many steps in d numbers cost as much as `work` steps in all 64 pixels; at most 50."""
    return min(MOST, int(work * (PIXELS / dim) ** 2))


def multiply_adds(dim: int, steps: int) -> int:
    """Of one draw: 2 d² for each step, and d · 64 to decode it, unless d = 64 and nothing was encoded."""
    return 2 * dim**2 * steps + (dim * PIXELS if dim < PIXELS else 0)


def distances(label: int, dim: int, work: int) -> tuple[float, float]:
    """(floor, generation): the two parts of W₂² between a class and the decoded draws, in closed form.

    The floor is E‖x − x̂‖², the generation W₂² between the class's latents and what DDIM draws.
    """
    small, own = latents_of(label, dim), compressed(dim)
    found = drawn_by_ddim(small, SCHEDULE, timesteps(SCHEDULE, steps_for(dim, work)))
    apart = wasserstein(*moments(small), *moments(found))
    return floor_of(class_gaussians().given(label), own).item(), apart.item() / own.scale**2


def drawn(label: int, dim: int, work: int, seed: int, n: int = 12) -> Tensor:
    """n digits of a class: drawn as latents with the exact denoiser, then decoded, [n, 1, 8, 8].

    The noise is drawn in all 64 pixels, and encoded: so a seed means the same digits for every d.
    """
    own, steps = compressed(dim), steps_for(dim, work)
    noise = p_sample_prior((n, PIXELS), SCHEDULE, torch.Generator().manual_seed(seed), dtype=torch.float64)
    denoiser = latents_of(label, dim).denoiser(SCHEDULE)
    *_, last = ddim(denoiser, noise @ own.axes, SCHEDULE, timesteps(SCHEDULE, steps))
    return own.pictures(last.x)


def held_out(label: int, n: int = 8) -> Tensor:
    """The first n held-out digits of a class: [n, 1, 8, 8]."""
    images, labels = digits("test")
    return images[labels == label][:n].double()


def given_back(label: int, dim: int, n: int = 8) -> Tensor:
    """Held-out digits, encoded and decoded."""
    own = compressed(dim)
    return own.pictures(own.latents(held_out(label, n)))
