"""Guidance: denoisers that lean towards a condition c, by as much as one likes.

One convention for the scale w throughout, with ∅ for "not told c" (papers have three):

    ε̂ = ε̂_∅ + w (ε̂_c − ε̂_∅):   w = 0 is unconditional, w = 1 conditional, w > 1 guided.

Ho & Salimans' w is ours minus 1. Both functions follow the same score, ∇ log [q_t(x_t) p(c|x_t)^w], and for
w = 1 that is the conditional one. For other w it belongs to no forward process: q_t(x_t) p(c|x_t)^w is not
what q_0(x_0) p(c|x_0)^w becomes under noise, so a guided sampler ends in neither of the two.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .schedules import signal_sigma
from .views import Denoiser, Prediction


def classifier_free(conditional: Denoiser, unconditional: Denoiser, w: float) -> Denoiser:
    """ε̂ = ε̂_∅ + w (ε̂_c − ε̂_∅), from two denoisers (Ho & Salimans 2022, eq. 6, whose w is ours − 1).

    Mixed as x̂_0, which is the same wherever there is an ε̂, and also holds at zero SNR. For a network:
    classifier_free(net.given(c), net.given(None), w). Two calls each. Raises ValueError for a w that is not
    finite, and if the two were made for different schedules.
    """
    _check_scale(w)

    def denoise(x_t: Tensor, t) -> Prediction:
        with_c, without = conditional(x_t, t), unconditional(x_t, t)
        ours, theirs = without.schedule, with_c.schedule
        if not (torch.equal(ours.signal, theirs.signal) and torch.equal(ours.sigma, theirs.sigma)):
            raise ValueError("conditional and unconditional must have the same schedule; theirs differ")
        return Prediction.from_x0(without.x0 + w * (with_c.x0 - without.x0), x_t, t, ours)

    return denoise


def classifier(unconditional: Denoiser, log_prob: Callable, w: float) -> Denoiser:
    """score = score_∅ + w ∇ log p(c|x_t), from a denoiser and a classifier of noisy data.

    (Dhariwal & Nichol 2021, algorithm 2: ε̂ = ε̂_∅ − w sigma ∇ log p(c|x_t).) log_prob(x_t, t) -> [B] is log
    p(c|x_t) in nats, and autograd takes its gradient; the classifier must have been made for x_t, not for
    x_0. Raises ValueError for a w that is not finite, and at zero SNR, where x_t tells nothing of c.
    """
    _check_scale(w)

    def denoise(x_t: Tensor, t) -> Prediction:
        without = unconditional(x_t, t)
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(log_prob(x, t).sum(), x)
        signal, sigma = signal_sigma(without.schedule, t, x_t)
        if (signal == 0).any():
            raise ValueError(f"classifier guidance divides by signal, which is 0 at t = {t}")
        # Tweedie's formula: what is added to the score adds sigma²/signal times as much to x̂_0
        return Prediction.from_x0(without.x0 + w * sigma**2 / signal * gradient, x_t, t, without.schedule)

    return denoise


def _check_scale(w) -> None:
    if isinstance(w, bool) or not isinstance(w, int | float) or not math.isfinite(w):
        raise ValueError(f"w must be a finite number; got {w!r}")
