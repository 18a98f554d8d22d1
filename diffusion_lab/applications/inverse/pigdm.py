"""Pseudoinverse-guided diffusion: as if p(x_0|x_t) were Gaussian (Song, Vahdat et al. 2023)."""

import torch
from torch import Tensor

from ...checks import Reals
from ...schedules import signal_sigma
from ...views import Denoiser, Prediction
from .dps import moved, told, watched
from .measurement import Measurement, check_y
from .posterior import ROUNDING

VARIANCES = ("tweedie", "flat")


def pigdm(denoiser: Denoiser, measurement: Measurement, y: Tensor, variance: str = "tweedie") -> Denoiser:
    """A denoiser told y: score + ∇ log N(y; A x̂_0, A C Aᵀ + std² I), C the covariance of x_0 given x_t.

    Unlike `dps` it knows that x̂_0 is only a mean. The gradient is taken through x̂_0 alone, with C held fixed
    (Song, Vahdat et al. 2023)::

        ∇ = (∂x̂_0/∂x_t)ᵀ Aᵀ (A C Aᵀ + std² I)⁻¹ (y − A x̂_0)

    variance says which C:

    - "tweedie": C = sigma²/signal · ∂x̂_0/∂x_t, the true covariance, by Tweedie's formula of second order
      (Boys et al. 2023). The step is then Kalman's, and exact where the data is Gaussian. It takes one
      backward pass for each measured number.
    - "flat": C = sigma²/signal² I, what x_t alone says about x_0, without any prior. One backward pass. It is
      far too wide at the start, so y has too little influence.

    Any sampler takes the result. y is [M], or [B, M] with one for each example. It works without noise. At
    zero SNR, where x_t says nothing, nothing is added. Raises ValueError for other variances.
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance must be one of {', '.join(VARIANCES)}; got {variance!r}")
    A = measurement.A
    if len(A) == 0:  # nothing was measured
        return denoiser

    def denoise(x_t: Tensor, t: Reals) -> Prediction:
        x, guess, seen = watched(denoiser, measurement, x_t, t)
        signal, sigma = (c.double().reshape(-1, 1, 1) for c in signal_sigma(guess.schedule, t, x_t))
        misfit = (check_y(y, measurement, x_t) - seen.detach()).double()
        if variance == "flat":
            spread = sigma**2 / signal.clamp(min=1e-12) ** 2 * (A @ A.mT).to(x_t.device)  # [1 or B, M, M]
            (gradient,) = torch.autograd.grad(seen, x, solved(spread, misfit, measurement.std).to(seen))
            return moved(guess, gradient, x_t, t)
        each = torch.eye(len(A)).to(seen)[:, None].expand(-1, *seen.shape)
        (rows,) = torch.autograd.grad(seen, x, each, is_grads_batched=True)  # of A ∂x̂_0/∂x_t: [M, B, *D]
        rows = rows.flatten(2).transpose(0, 1).double()
        spread = sigma**2 / signal.clamp(min=1e-12) * rows @ A.mT.to(x_t.device)  # A C Aᵀ: [B, M, M]
        gradient = torch.einsum("bmd,bm->bd", rows, solved(spread, misfit, measurement.std))
        return moved(guess, gradient.reshape(x_t.shape).to(x_t), x_t, t)

    return told(denoise, denoiser, measurement)


def solved(spread: Tensor, misfit: Tensor, std: float) -> Tensor:
    """(spread + std² I)⁻¹ misfit, [B, M]; directions in which nothing is left open are left out.

    A network's spread is neither quite symmetric nor quite positive, as a covariance is: it is made so.
    """
    var, axes = torch.linalg.eigh((spread + spread.mT) / 2)
    var = var.clamp(min=0) + std**2
    share = var / var.amax(-1, keepdim=True).clamp(min=1e-300)
    along = (axes.mT @ misfit[..., None])[..., 0]
    return (axes @ torch.where(share > ROUNDING, along / var, 0.0)[..., None])[..., 0]
