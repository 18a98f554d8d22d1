"""What experiments share: networks and digits, read once, and slow results, computed beforehand.

Do not change what these functions return: it is shared.
"""

import functools
import gzip

import safetensors.torch
import torch

from .. import data, pretrained, schedules
from ..exact import GaussianMixture

# Slow results that never change are shipped: `python -m diffusion_lab.experiments.precompute`
SHIPPED = pretrained.FOLDER / "explorers.safetensors.gz"

trained = functools.cache(pretrained.load)
digits = functools.cache(data.digits)

# The usual linear β are for T = 1000: ten times larger, they fit 100 steps
HUNDRED = {"cosine": {}, "sigmoid": {}, "linear": dict(beta_1=0.001, beta_T=0.2)}


@functools.cache
def class_gaussians(ridge: float = 1e-4) -> GaussianMixture:
    """One Gaussian for each class, fitted to the training digits with this `ridge`; float64."""
    images, label = digits("train")
    return GaussianMixture.fit(images.double(), label, ridge=ridge)


@functools.cache
def hundred_steps(name: str) -> schedules.NoiseSchedule:
    """A schedule of 100 steps that end in noise."""
    return schedules.SCHEDULES[name](T=100, **HUNDRED[name])


def shipped(name: str) -> dict[str, torch.Tensor]:
    """The tensors that precompute.py stored under `name`."""
    return {key.removeprefix(f"{name}."): t for key, t in _shipped().items() if key.startswith(f"{name}.")}


@functools.cache
def _shipped() -> dict[str, torch.Tensor]:
    return safetensors.torch.load(gzip.decompress(SHIPPED.read_bytes()))


def rms(x: torch.Tensor) -> float:
    """Root mean square of all entries."""
    return x.square().mean().sqrt().item()
