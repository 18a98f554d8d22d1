"""What every sampler needs: the times to visit, noise to start from, and a record of each step."""

import math
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from .checks import Numbers, Shape, check_data, check_int, check_t, noise_like
from .schedules import NoiseSchedule
from .views import Denoiser, Prediction, check_schedule, own_schedule

SPACINGS = ("trailing", "log_snr", "karras")


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a sampler: where it ended, and how.

    t and x `[B, *D]` are the time and the state *after* the step; prediction is what the step was made with;
    calls counts the denoiser calls so far.
    """

    t: int | float
    x: Tensor
    prediction: Prediction
    calls: int


def timesteps(schedule: NoiseSchedule, steps: int, spacing: str = "trailing") -> list[int]:
    """steps + 1 strictly falling times, from T to 0.

    "trailing": equally spaced in t (Lin et al. 2024, table 2; it includes T, which some popular spacings do
    not). "log_snr": equally spaced in log SNR from T to 1, then 0 (as in DPM-Solver: Lu et al. 2022, arXiv
    2206.00927, section 3.3). "karras": equally spaced in (sigma/signal)^(1/7) from T to 1, then 0 (Karras et
    al. 2022, eq. 5). The last two are rounded to whole t. Raises ValueError unless 1 ≤ steps ≤ T.
    """
    if not isinstance(schedule, NoiseSchedule):
        raise ValueError(f"schedule must be a NoiseSchedule; got {schedule!r}")
    T = schedule.T
    if check_int(steps, "steps", 1) > T:
        raise ValueError(f"steps must be at most T = {T}; got {steps}")
    if spacing not in SPACINGS:
        raise ValueError(f"spacing must be one of {', '.join(SPACINGS)}; got {spacing!r}")
    if spacing == "trailing" or steps == 1:
        return [round(T * (steps - i) / steps) for i in range(steps + 1)]
    log_snr = schedule.log_snr[1:]
    low = log_snr[log_snr.isfinite()][-1]  # a zero-SNR end is at −∞: start from the step before
    wanted = torch.linspace(low, log_snr[0], steps, dtype=torch.float64)
    if spacing == "karras":
        root = torch.linspace((-low / 14).exp(), (-log_snr[0] / 14).exp(), steps, dtype=torch.float64)
        wanted = -14 * root.log()  # root = (sigma/signal)^(1/7)
    times = (1 + (log_snr - wanted[:, None]).abs().argmin(1)).tolist()
    times[0] = T
    for i in range(1, steps):  # rounding may have merged some times: move them apart, downwards from T …
        times[i] = min(times[i], times[i - 1] - 1)
    for i in range(steps):  # … and upwards from 1
        times[-1 - i] = max(times[-1 - i], 1 + i)
    return [*times, 0]


def p_sample_prior(
    shape: Shape,
    schedule: NoiseSchedule,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """x_T ~ p(x_T) = N(0, (signal_T² + sigma_T²) I): where every sampler starts. shape is `(B, *D)`."""
    std = math.hypot(schedule.signal[-1], schedule.sigma[-1])
    return std * noise_like(torch.empty(shape, device=device, dtype=dtype), generator)


def checked_start(
    denoiser: Denoiser, x_T: Tensor, schedule: NoiseSchedule | None, times: Numbers | None, clip: float | None
) -> tuple[Tensor, NoiseSchedule, list[int]]:
    """The checked arguments of a run: the state x_T, the schedule, and the times [T, …, 0] as ints.

    Raises ValueError for times that do not fall strictly within 0…T, and a clip that is not above 0.
    """
    schedule = own_schedule(denoiser, schedule)
    if clip is not None and not (isinstance(clip, Real) and clip > 0):
        raise ValueError(f"clip must be None or a number above 0; got {clip!r}")
    times = list(range(schedule.T, -1, -1)) if times is None else times
    times = check_t(list(times) if isinstance(times, range) else times, schedule.T, name="timesteps")
    if times.ndim == 0 or len(times) < 2 or not (times.diff() < 0).all():
        raise ValueError(f"timesteps must fall, as those of timesteps(schedule, 50) do; got {times.tolist()}")
    return check_data(x_T, "x_T"), schedule, times.tolist()


def predict(denoiser: Denoiser, x: Tensor, t: int, schedule: NoiseSchedule, clip: float | None) -> Prediction:
    """The denoiser's prediction at x and t, clipped if asked. It must be for the sampler's own schedule.

    With another schedule, x̂_0 and ε̂ would not add up to x.
    """
    prediction = check_schedule(denoiser(x, t), schedule)
    check_data(prediction.x0, f"x̂_0 at t = {t}", x.shape, finite=False)
    return prediction if clip is None else prediction.clipped(clip)
