"""Diffusion posterior sampling: as if x̂_0 were x_0 (Chung et al. 2023)."""

import torch
from torch import Tensor

from ...checks import Reals
from ...schedules import signal_sigma
from ...views import Denoiser, Prediction, check_prediction, named
from .measurement import Measurement, check_y


def dps(denoiser: Denoiser, measurement: Measurement, y: Tensor, weight: float | None = None) -> Denoiser:
    """A denoiser told y: score + ∇ log N(y; A x̂_0(x_t), std² I) (Chung et al. 2023).

    The right thing to add is ∇ log p(y|x_t), and p(y|x_t) = ∫ p(y|x_0) p(x_0|x_t) dx_0. DPS puts all of
    p(x_0|x_t) on its mean x̂_0. Where x_t leaves x_0 open it is therefore far too sure that A x̂_0 should be y
    already: its samples lie too close together, and around a place that is pulled too far towards y.

    Any sampler takes the result. y is [M], or [B, M] with one for each example. `weight`, 1/(2 std²) unless
    given, multiplies −‖y − A x̂_0‖², the squared norm of each example by itself. The gradient goes through the
    denoiser, so a call costs about three. The larger the weight, the smaller the steps must be: few steps
    with a small std overshoot. At zero SNR, where x_t says nothing, nothing is added. Raises ValueError
    without noise (std = 0) unless a weight is given, since 1/(2 std²) is infinite.
    """
    if weight is None:
        if measurement.std == 0:
            raise ValueError("weight must be given for a measurement without noise: 1/(2 std²) is infinite")
        weight = 1 / (2 * measurement.std**2)
    if not 0 <= weight < float("inf"):
        raise ValueError(f"weight must be a number of at least 0; got {weight!r}")

    def denoise(x_t: Tensor, t: Reals) -> Prediction:
        x, guess, seen = watched(denoiser, measurement, x_t, t)
        misfit = check_y(y, measurement, x_t) - seen.detach()
        (gradient,) = torch.autograd.grad(seen, x, 2 * weight * misfit)  # (∂A x̂_0/∂x_t)ᵀ 2 weight (y − A x̂_0)
        return moved(guess, gradient, x_t, t)

    return told(denoise, denoiser, measurement)


# ---------------------------------------------------------------- what dps and pigdm share
def watched(
    denoiser: Denoiser, measurement: Measurement, x_t: Tensor, t: Reals
) -> tuple[Tensor, Prediction, Tensor]:
    """A copy of x_t, the denoiser's prediction there, and A x̂_0 [B, M], which has a gradient in that copy."""
    with torch.enable_grad():
        x = x_t.detach().clone().requires_grad_()
        guess = check_prediction(denoiser(x, t))
        seen = measurement.forward(guess.x0)
    if not seen.requires_grad:
        raise ValueError("denoiser must have a gradient in x_t; its x̂_0 was cut off from it")
    return x, guess, seen


def moved(guess: Prediction, gradient: Tensor, x_t: Tensor, t: Reals) -> Prediction:
    """The guess with `gradient` added to its score: by Tweedie, x̂_0 gains sigma²/signal times as much."""
    signal, sigma = signal_sigma(guess.schedule, t, x_t)
    gain = torch.where(signal > 0, sigma**2 / signal, 0.0)
    return Prediction.from_x0(guess.x0.detach() + gain * gradient, x_t, t, guess.schedule)


def told(denoise: Denoiser, denoiser: Denoiser, measurement: Measurement) -> Denoiser:
    """The function, which says of itself what the denoiser did: its schedule, and the shape."""
    return named(denoise, getattr(denoiser, "schedule", None), measurement.shape)
