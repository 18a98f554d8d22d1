"""Guidance: denoisers that follow a condition c more strongly, or less, than they were trained to.

All functions use one convention for the scale w (papers use three); ∅ means "not told c"::

    ε̂ = ε̂_∅ + w (ε̂_c − ε̂_∅):   w = 0 is unconditional, w = 1 conditional, w > 1 guided.

Ho & Salimans' w is ours minus 1. Both functions follow the same score, ∇ log [q_t(x_t) p(c|x_t)^w]. At w = 1
it is the conditional score. For other w it belongs to no forward process: q_t(x_t) p(c|x_t)^w is not what
q_0(x_0) p(c|x_0)^w becomes under noise, so a guided sampler samples from neither of the two.

`interval` = (low, high) limits guidance to the times with low < sigma/signal ≤ high; at other times w is 1
(Kynkäänniemi et al. 2024, whose σ is our sigma/signal).
"""

from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from .checks import Reals, check_data, per_example
from .schedules import NoiseSchedule, signal_sigma
from .views import Denoiser, Prediction, check_prediction, check_schedule, named

Interval = tuple[float, float] | None
Classifier = Callable[[Tensor, Reals], Tensor]  # (x_t, t) -> log p(c|x_t) [B]


def classifier_free(
    conditional: Denoiser,
    unconditional: Denoiser,
    w: float | Tensor,
    interval: Interval = None,
) -> Denoiser:
    """ε̂ = ε̂_∅ + w (ε̂_c − ε̂_∅), from two denoisers (Ho & Salimans 2022, eq. 6, whose w is ours − 1).

    The mix is made in x̂_0, which is the same wherever there is an ε̂, and also works at zero SNR. For a
    network: classifier_free(net.given(c), net.given(None), w). Each call makes two. w is a number, or [B]:
    one for each example; interval is explained above. Raises ValueError for a w that is not finite, and if
    the two were made for different schedules.
    """
    w, interval = _check_scale(w), _check_interval(interval)

    def denoise(x_t: Tensor, t: Reals) -> Prediction:
        uncond = check_prediction(unconditional(x_t, t))
        cond = check_schedule(conditional(x_t, t), uncond.schedule)
        scale = _scale(w, interval, x_t, t, uncond.schedule)
        return Prediction.from_x0(uncond.x0 + scale * (cond.x0 - uncond.x0), x_t, t, uncond.schedule)

    return _named_after(denoise, unconditional, conditional)


def classifier(
    unconditional: Denoiser,
    log_prob: Classifier,
    w: float | Tensor,
    interval: Interval = None,
) -> Denoiser:
    """score = score_∅ + w ∇ log p(c|x_t), from a denoiser and a classifier of noisy data.

    (Dhariwal & Nichol 2021, algorithm 2: ε̂ = ε̂_∅ − w sigma ∇ log p(c|x_t).) log_prob(x_t, t) -> [B] is log
    p(c|x_t) in nats for the one class wanted; autograd takes its gradient. The classifier must have been made
    for x_t, not for x_0, and for real t if an ODE solver asks for them. w and interval are as above. The
    result has gradients too. Raises ValueError for a w that is not finite, for a log_prob of another shape,
    not finite or cut off from x_t, and at zero SNR, where x_t says nothing about c.
    """
    w, interval = _check_scale(w), _check_interval(interval)

    def denoise(x_t: Tensor, t: Reals) -> Prediction:
        uncond = check_prediction(unconditional(x_t, t))
        signal, sigma = signal_sigma(uncond.schedule, t, x_t)
        if (signal == 0).any():
            raise ValueError(f"classifier guidance divides by signal, which is 0 at t = {t}")
        gradient = _gradient(log_prob, x_t, t)
        # Tweedie's formula: what is added to the score adds sigma²/signal times as much to x̂_0
        scale = _scale(w, interval, x_t, t, uncond.schedule)
        return Prediction.from_x0(uncond.x0 + scale * sigma**2 / signal * gradient, x_t, t, uncond.schedule)

    return _named_after(denoise, unconditional)


def _gradient(log_prob: Classifier, x_t: Tensor, t: Reals) -> Tensor:
    """∇ log_prob(x_t, t). Its dependence on x_t is kept for autograd if x_t requires a gradient."""
    wanted = x_t.requires_grad and torch.is_grad_enabled()
    with torch.enable_grad():
        x = x_t if wanted else x_t.detach().requires_grad_()
        found = check_data(log_prob(x, t), "log_prob(x_t, t)", x_t.shape[:1])
        gradient = None
        if found.requires_grad:
            (gradient,) = torch.autograd.grad(found.sum(), x, create_graph=wanted, allow_unused=True)
    if gradient is None:
        raise ValueError("log_prob(x_t, t) must have a gradient in x_t; it was cut off from it")
    return check_data(gradient, "the gradient of log_prob")


def _scale(w: Tensor, interval: Interval, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> Tensor:
    """w at the times within the interval, 1 at others; shaped to multiply x_t."""
    w = per_example(w, x_t, "w")
    if interval is None:
        return w
    signal, sigma = signal_sigma(schedule, t, x_t)
    low, high = interval
    return torch.where((low < sigma / signal) & (sigma / signal <= high), w, 1.0)


def _check_scale(w: float | Tensor) -> Tensor:
    """w as a tensor, [] or [B]."""
    try:
        scale = w if isinstance(w, Tensor) else torch.as_tensor(w, dtype=torch.float64)
    except (TypeError, RuntimeError, ValueError):  # a word, None, a ragged list
        scale = torch.tensor(torch.nan)
    real = not (isinstance(w, bool) or scale.is_complex() or scale.dtype == torch.bool)
    if not real or scale.ndim > 1 or not scale.isfinite().all():
        raise ValueError(f"w must be a finite number, or have shape [B] and hold such; got {w!r}")
    return scale


def _check_interval(interval: Interval) -> Interval:
    """(low, high) with 0 ≤ low < high, or None."""
    if interval is not None:
        pair = isinstance(interval, (tuple, list)) and len(interval) == 2
        if not (pair and all(isinstance(end, Real) for end in interval) and 0 <= interval[0] < interval[1]):
            raise ValueError(f"interval must be None or (low, high), 0 ≤ low < high; got {interval!r}")
    return interval


def _named_after(denoise: Denoiser, *parts: Denoiser) -> Denoiser:
    """The guided denoiser, with the attributes of its parts: schedule, shape, and a network's dtype."""
    schedule, shape, dtype = (
        next((getattr(part, name) for part in parts if getattr(part, name, None) is not None), None)
        for name in ("schedule", "shape", "dtype")
    )
    guided = named(denoise, schedule, shape)
    vars(guided)["dtype"] = dtype
    return guided
