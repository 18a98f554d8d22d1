"""Super-resolution: from a small picture back to a large one.

Many large pictures have the same small one. So there is not one answer but a distribution of answers: the
posterior p(x_0|y). Its mean has the lowest squared error, and it is a blur, since it averages over all of
them. A sample looks like a picture, and its squared error is *twice* as large: it and the truth are two draws
from the same posterior, and the squared distance of two draws is twice that of one draw from the mean (Blau
& Michaeli 2018).

The measurement is `inverse.pool`. Two priors answer here: a single Gaussian, whose posterior is known in
closed form (`inverse.gaussian_posterior`), and a network that is told y as a second picture (Saharia et al.
2021, "SR3"). The methods of `inverse` work with any denoiser.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_batch, check_data
from ..model import ModelDenoiser
from ..views import Prediction
from .inverse.measurement import Measurement


def psnr(x: Tensor, truth: Tensor) -> float:
    """10 log₁₀(2² / mean squared error), in decibels (dB): the peak signal-to-noise ratio.

    2 is the range of the data, from −1 to 1. Twice the error costs 10 log₁₀ 2 = 3.01 dB. x and truth have one
    shape, and the mean runs over everything. Infinite for equal pictures. Raises ValueError for other shapes.
    """
    check_data(x, "x", check_data(truth, "truth").shape)
    error = (x.double() - truth.double()).square().mean().item()
    return 10 * math.log10(4 / error) if error > 0 else math.inf


def bicubic(y: Tensor, measurement: Measurement) -> Tensor:
    """y [B, M] of a `pool`, enlarged to the picture's size by bicubic interpolation: [B, C, H, W]."""
    C, H, W = measurement.shape
    check_batch(y, "y", [len(measurement.A)])
    k = math.isqrt(C * H * W // len(measurement.A))
    return F.interpolate(y.reshape(-1, C, H // k, W // k), scale_factor=float(k), mode="bicubic")


def told(network: ModelDenoiser, measurement: Measurement, y: Tensor) -> ModelDenoiser:
    """The network told y [B, M] as a second picture, enlarged (Saharia et al. 2021): a denoiser of p(x_0|y).

    Its guess at t = T, where x_t says nothing, is E[x_0|y]: the posterior mean in a single call (`mean_of`).
    """
    return network.given(bicubic(y, measurement))


def consistent(x: Tensor, measurement: Measurement, y: Tensor) -> Tensor:
    """The nearest picture to each x `[B, *D]` that has y [B, M] exactly: x + A⁺ (y − A x). For std = 0.

    The truth has y too, and no point is nearer to a plane's points than its foot on the plane: the squared
    error can only fall. A network that is told y keeps to it only roughly.
    """
    change = (y - measurement.forward(x)) @ measurement.pseudo_inverse.to(x).mT
    return x + change.reshape(x.shape)


@torch.no_grad()
def mean_of(denoiser: ModelDenoiser, x_T: Tensor) -> Tensor:
    """The denoiser's guess from noise x_T `[B, *D]` alone: E[x_0|y], if it was told y."""
    guess: Prediction = denoiser(x_T, denoiser.schedule.T)
    return guess.x0
