"""How close to noise a schedule ends: the prior term of the ELBO."""

import functools
import math

import torch

from ..forward import q_marginal
from ..gaussian import Gaussian, kl
from ..schedules import NoiseSchedule
from .stored import digits

NOT_NOISE = 0.05  # √ᾱ_T above which the pure noise that a sampler starts from visibly differs from x_T


def prior_bits(typical: torch.Tensor, schedule: NoiseSchedule) -> float:
    """L_T = KL(q(x_T|x_0) ‖ N(0, I)), averaged over the data, in bits per dimension.

    It is quadratic in x_0, so its mean over all images is its value at their root mean square, typical
    `[1, *D]`.
    """
    nats = kl(q_marginal(typical, schedule.T, schedule), Gaussian(typical.new_zeros(()), 1.0))
    return nats.item() / (typical.numel() * math.log(2))


@functools.cache
def typical_digit() -> torch.Tensor:
    """The training digits' root mean square, pixel by pixel: [1, 1, 8, 8], float64."""
    return digits("train")[0].double().square().mean(0, keepdim=True).sqrt()
