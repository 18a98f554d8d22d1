"""Samplers: from noise to data, one step at a time.

Each is a generator: `for step in ddim(denoiser, x_T, schedule)` hands out every intermediate state, which
is what a slider scrubs through; `*_, last = ddim(...)` keeps the sample only. A generator checks its
arguments when it is first iterated. Nothing here knows whether the denoiser is exact or learned.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .checks import check_data, check_int, check_t, noise_like
from .forward import q_posterior
from .schedules import NoiseSchedule
from .views import Denoiser, Prediction


@dataclass(frozen=True, eq=False)
class Step:
    """One iteration of a sampler: where it led, and how.

    t and x [B, *D] are those *after* it; prediction is what made it; calls counts the denoiser calls so far.
    """

    t: int
    x: Tensor
    prediction: Prediction
    calls: int


def timesteps(schedule: NoiseSchedule, steps: int, spacing: str = "trailing") -> list[int]:
    """steps + 1 strictly falling times, from T to 0.

    "trailing": equally spaced in t (Lin et al. 2024, table 2; it includes T, which some popular spacings do
    not). "log_snr": equally spaced in log SNR from T to 1, then 0 (Lu et al. 2022, section 3.3), rounded to
    whole t. Raises ValueError unless 1 ≤ steps ≤ T.
    """
    T = schedule.T
    if check_int(steps, "steps", 1) > T:
        raise ValueError(f"steps must be at most T = {T}; got {steps}")
    if spacing not in ("trailing", "log_snr"):
        raise ValueError(f'spacing must be "trailing" or "log_snr"; got {spacing!r}')
    if spacing == "trailing" or steps == 1:
        return [round(T * (steps - i) / steps) for i in range(steps + 1)]
    log_snr = schedule.log_snr[1:]
    low = log_snr[log_snr.isfinite()][-1]  # a zero-SNR end is at −∞: start from the step before
    wanted = torch.linspace(low, log_snr[0], steps, dtype=torch.float64)
    times = (1 + (log_snr - wanted[:, None]).abs().argmin(1)).tolist()
    times[0] = T
    for i in range(1, steps):  # rounding may have merged some: move them apart, downwards from T …
        times[i] = min(times[i], times[i - 1] - 1)
    for i in range(steps):  # … and upwards from 1
        times[-1 - i] = max(times[-1 - i], 1 + i)
    return [*times, 0]


def p_sample_prior(shape, schedule: NoiseSchedule, generator: torch.Generator | None = None) -> Tensor:
    """x_T ~ p(x_T) = N(0, (signal_T² + sigma_T²) I): where every sampler starts.

    shape is (B, *D); float32, on the CPU.
    """
    std = math.hypot(schedule.signal[-1], schedule.sigma[-1])
    return std * noise_like(torch.empty(shape), generator)


@torch.no_grad()
def ddpm(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    timesteps=None,
    variance: str = "small",
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2): x_s ~ N(mean of q(x_s|x_t, x̂_0), variance).

    x_T [B, *D] is the state at the first of `timesteps` (falling times within T…0; every t unless given).
    variance: "small" is that of q(x_s|x_t, x_0), "large" that of q(x_t|x_s), both for the actual step from
    t to s. `clip` c clamps x̂_0 to [−c, c], which the paper's code does and its algorithm 2 does not: right
    for images, wrong for data without such bounds. The step to 0 returns x̂_0, without noise. Raises
    ValueError for times that do not fall, or unknown names.
    """
    if variance not in ("small", "large"):
        raise ValueError(f'variance must be "small" or "large"; got {variance!r}')
    x = check_data(x_T, "x_T")
    for calls, (t, s) in enumerate(_pairs(timesteps, schedule), 1):
        prediction = _clipped(denoiser(x, t), clip)
        posterior = q_posterior(prediction.x0, x, t, schedule, s)
        if s == 0:
            x = posterior.mean
        elif variance == "small":
            x = posterior.sample(generator)
        else:
            added = schedule.sigma[t] ** 2 * -torch.expm1(
                schedule.log_snr[t] - schedule.log_snr[s]
            )  # of q(x_t|x_s)
            x = posterior.mean + math.sqrt(added) * noise_like(x, generator)
        yield Step(s, x, prediction, calls)


@torch.no_grad()
def ddim(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    timesteps=None,
    eta: float = 0.0,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """DDIM (Song, Meng & Ermon 2021, eq. 12): x_s = signal_s x̂_0 + √(sigma_s² − η² ṽ) ε̂ + η √ṽ z.

    ṽ is the variance of q(x_s|x_t, x_0).

    eta = 0 draws nothing: the same x_T gives the same sample. eta = 1 is `ddpm` with the small variance.
    x_T, timesteps and clip are as there; after clipping, ε̂ is derived again from x̂_0. Raises ValueError
    for an eta outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in [0, 1]; got {eta}")
    x = check_data(x_T, "x_T")
    for calls, (t, s) in enumerate(_pairs(timesteps, schedule), 1):
        prediction = _clipped(denoiser(x, t), clip)
        signal, sigma = schedule.signal[s].item(), schedule.sigma[s].item()
        fresh = eta**2 * sigma**2 * (1 - (schedule.snr[t] / schedule.snr[s]).item())
        x = signal * prediction.x0 + math.sqrt(sigma**2 - fresh) * prediction.eps
        if fresh > 0:
            x = x + math.sqrt(fresh) * noise_like(x, generator)
        yield Step(s, x, prediction, calls)


def _pairs(timesteps, schedule: NoiseSchedule) -> Iterator[tuple[int, int]]:
    """(t, s) for each step; every t unless timesteps are given, which must fall strictly and lie in 0…T."""
    times = range(schedule.T, -1, -1) if timesteps is None else timesteps
    times = check_t(list(times) if isinstance(times, range) else times, schedule.T, name="timesteps")
    if times.ndim == 0 or len(times) < 2 or not (times.diff() < 0).all():
        raise ValueError(f"timesteps must fall, as those of timesteps(schedule, 50) do; got {times.tolist()}")
    return pairwise(times.tolist())


def _clipped(prediction: Prediction, clip: float | None) -> Prediction:
    """The prediction with x̂_0 clamped to [−clip, clip]; the other views follow from the clamped one."""
    if clip is None:
        return prediction
    if not clip > 0:
        raise ValueError(f"clip must be above 0; got {clip}")
    return Prediction.from_x0(
        prediction.x0.clamp(-clip, clip), prediction.x_t, prediction.t, prediction.schedule
    )
