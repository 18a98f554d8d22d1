"""Samplers: from noise to data, one step at a time.

Each is a generator: `for step in ddim(denoiser, x_T, schedule)` hands out every intermediate state, which
is what a slider scrubs through; `*_, last = ddim(...)` keeps the sample only. A generator checks its
arguments when it is first iterated. Nothing here knows whether the denoiser is exact or learned. SAMPLERS has
them all by name.
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
from .views import Denoiser, Prediction, check_schedule

SPACINGS = ("trailing", "log_snr", "karras")


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
    not). "log_snr": equally spaced in log SNR from T to 1, then 0 (Lu et al. 2022, section 3.3). "karras":
    from T to 1 too, but equally spaced in (sigma/signal)^(1/7) (Karras et al. 2022, eq. 5). The last two are
    rounded to whole t. Raises ValueError unless 1 ≤ steps ≤ T.
    """
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
        prediction = _guess(denoiser, x, t, schedule, clip)
        posterior = q_posterior(prediction.x0, x, t, schedule, s)
        if s == 0:
            x = posterior.mean
        elif variance == "small":
            x = posterior.sample(generator)
        else:
            x = posterior.mean + _jump_std(s, t, schedule) * noise_like(x, generator)
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
        prediction = _guess(denoiser, x, t, schedule, clip)
        signal, sigma = schedule.signal[s].item(), schedule.sigma[s].item()
        fresh = eta**2 * sigma**2 * (1 - (schedule.snr[t] / schedule.snr[s]).item())
        x = signal * prediction.x0 + math.sqrt(sigma**2 - fresh) * prediction.eps
        if fresh > 0:
            x = x + math.sqrt(fresh) * noise_like(x, generator)
        yield Step(s, x, prediction, calls)


@torch.no_grad()
def heun(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    timesteps=None,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Heun's method: a DDIM step through the mean of ε̂ here and ε̂ where a first DDIM step leads. Order 2.

    In x̄ = x/signal and σ = sigma/signal the ODE is dx̄/dσ = ε̂, and this is Karras et al. 2022, algorithm 1:
    two calls a step, and one for the step to 0, which returns x̂_0. prediction is the mean that made the step.

    The pitfall: on the way an error in ε̂ grows by up to σ_t/σ_s: by 633 in the first of 50 trailing steps on
    `cosine`. Where one step would cut σ by more than 50 (as it always does from zero SNR), the two x̂_0 are
    averaged instead: of order 2 as well, and never scaled by more than 1.

    x_T, timesteps and clip are as in `ddpm`. Nothing is drawn: generator is there so that all samplers can
    be called alike.
    """
    x, calls = check_data(x_T, "x_T"), 0
    for t, s in _pairs(timesteps, schedule):
        prediction = _heun_guess(denoiser, x, t, s, schedule, clip)
        x, calls = _ddim_step(prediction, s, schedule), calls + (2 if s > 0 else 1)
        yield Step(s, x, prediction, calls)


@torch.no_grad()
def edm(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    timesteps=None,
    s_churn: float = 40.0,
    s_min: float = 0.0,
    s_max: float = math.inf,
    s_noise: float = 1.0,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """EDM's stochastic sampler (Karras et al. 2022, algorithm 2): noise is added, then a `heun` step taken.

    With σ = sigma/signal, a step from a t with s_min ≤ σ ≤ s_max first goes *up* to σ̂ = (1 + γ) σ, but not
    above T, by a draw from q(x_t̂|x_t) whose noise is scaled by s_noise. γ = min(s_churn/steps, √2 − 1), with
    the number of steps in this run. t̂ is the whole time nearest to σ̂ in log SNR, as in the paper's code for
    networks that know no others. With s_churn = 0 this is `heun`; prediction and all the rest are as there.
    """
    for name, value in {"s_churn": s_churn, "s_min": s_min, "s_max": s_max, "s_noise": s_noise}.items():
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0; got {value}")
    if s_noise == math.inf:
        raise ValueError(f"s_noise must be finite; got {s_noise}")
    x, calls, log_snr = check_data(x_T, "x_T"), 0, schedule.log_snr
    pairs = list(_pairs(timesteps, schedule))
    gamma = min(s_churn / len(pairs), math.sqrt(2) - 1)
    for t, s in pairs:
        if t < schedule.T and gamma > 0 and s_min <= (-log_snr[t] / 2).exp() <= s_max:
            start, t = t, t + int((log_snr[t:] - (log_snr[t] - 2 * math.log1p(gamma))).abs().argmin())
            keep = (schedule.signal[t] / schedule.signal[start]).item()
            x = keep * x + s_noise * _jump_std(start, t, schedule) * noise_like(x, generator)
        prediction = _heun_guess(denoiser, x, t, s, schedule, clip)
        x, calls = _ddim_step(prediction, s, schedule), calls + (2 if s > 0 else 1)
        yield Step(s, x, prediction, calls)


@torch.no_grad()
def dpm_solver_pp_2m(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    timesteps=None,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2): a DDIM step through a guess ahead.

    D = x̂_0 + h/(2 h_before) · (x̂_0 − x̂_0 before), where h is the gain in log SNR over this step and h_before
    over the step before: one call a step. There is nothing to extrapolate from in the first step, nor after
    one from zero SNR (h_before = ∞), and nothing to extrapolate to in the step to 0 (h = ∞): there D = x̂_0.
    Order 2. prediction is D. x_T, timesteps and clip are as in `ddpm`; what is clipped is x̂_0, not D.
    generator is not used, as in `heun`.
    """
    x, before = check_data(x_T, "x_T"), None
    for calls, (t, s) in enumerate(_pairs(timesteps, schedule), 1):
        prediction = _guess(denoiser, x, t, schedule, clip)
        extrapolated = _extrapolated(prediction, before, t, s, schedule)
        x, before = _ddim_step(extrapolated, s, schedule), (prediction.x0, t)
        yield Step(s, x, extrapolated, calls)


@torch.no_grad()
def sde_dpm_solver_pp_2m(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule,
    timesteps=None,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095): `ddpm` through the D of `dpm_solver_pp_2m`.

    x_s ~ q(x_s|x_t, x_0 = D) is the paper's update, term by term. One call a step; the step to 0 returns x̂_0
    without noise. x_T, timesteps and clip are as in `dpm_solver_pp_2m`.
    """
    x, before = check_data(x_T, "x_T"), None
    for calls, (t, s) in enumerate(_pairs(timesteps, schedule), 1):
        prediction = _guess(denoiser, x, t, schedule, clip)
        extrapolated = _extrapolated(prediction, before, t, s, schedule)
        posterior = q_posterior(extrapolated.x0, x, t, schedule, s)
        x, before = (posterior.sample(generator) if s > 0 else posterior.mean), (prediction.x0, t)
        yield Step(s, x, extrapolated, calls)


def _ddim_step(prediction: Prediction, s: int, schedule: NoiseSchedule) -> Tensor:
    """signal_s x̂_0 + sigma_s ε̂: the step of every sampler without noise, each through a guess of its own."""
    return schedule.signal[s].item() * prediction.x0 + schedule.sigma[s].item() * prediction.eps


def _heun_guess(denoiser: Denoiser, x: Tensor, t: int, s: int, schedule: NoiseSchedule, clip) -> Prediction:
    """The guess that Heun's step from t to s goes by: the mean of here and ahead; at s = 0 that of here."""
    here = _guess(denoiser, x, t, schedule, clip)
    if s == 0:
        return here
    ahead = _guess(denoiser, _ddim_step(here, s, schedule), s, schedule, clip)
    return _mean(here, ahead, t, s, schedule)


def _mean(here: Prediction, ahead: Prediction, t: int, s: int, schedule: NoiseSchedule) -> Prediction:
    """The mean of two guesses, at t and s: of ε̂, or of x̂_0 if sigma/signal falls by more than 50 between."""
    if schedule.snr[s] > 50**2 * schedule.snr[t]:
        return Prediction.from_x0((here.x0 + ahead.x0) / 2, here.x_t, t, schedule)
    return Prediction.from_eps((here.eps + ahead.eps) / 2, here.x_t, t, schedule)


def _extrapolated(prediction: Prediction, before, t: int, s: int, schedule: NoiseSchedule) -> Prediction:
    """The D of DPM-Solver++(2M); before is (x̂_0, t) of the step before, or None."""
    if before is None or s == 0:
        return prediction
    x0_before, t_before = before
    log_snr = schedule.log_snr
    weight = ((log_snr[s] - log_snr[t]) / (log_snr[t] - log_snr[t_before]) / 2).item()
    x0 = prediction.x0 + weight * (prediction.x0 - x0_before)
    return Prediction.from_x0(x0, prediction.x_t, t, schedule)


def _jump_std(s: int, t: int, schedule: NoiseSchedule) -> float:
    """The standard deviation of q(x_t|x_s)."""
    return schedule.sigma[t].item() * math.sqrt(-torch.expm1(schedule.log_snr[t] - schedule.log_snr[s]))


def _pairs(timesteps, schedule: NoiseSchedule) -> Iterator[tuple[int, int]]:
    """(t, s) for each step; every t unless timesteps are given, which must fall strictly and lie in 0…T."""
    times = range(schedule.T, -1, -1) if timesteps is None else timesteps
    times = check_t(list(times) if isinstance(times, range) else times, schedule.T, name="timesteps")
    if times.ndim == 0 or len(times) < 2 or not (times.diff() < 0).all():
        raise ValueError(f"timesteps must fall, as those of timesteps(schedule, 50) do; got {times.tolist()}")
    return pairwise(times.tolist())


def _guess(denoiser: Denoiser, x: Tensor, t: int, schedule: NoiseSchedule, clip: float | None) -> Prediction:
    """The denoiser's prediction, with x̂_0 clamped to [−clip, clip]: the other views follow from that.

    Raises ValueError for a denoiser that was made for other tables than the sampler's: its x̂_0 and ε̂ would
    not add up to x. And where x̂_0 is not finite: half precision overflows near zero SNR.
    """
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be above 0; got {clip}")
    prediction = check_schedule(denoiser(x, t), schedule)
    x0 = check_data(prediction.x0, f"x̂_0 at t = {t}", x.shape)
    return prediction if clip is None else Prediction.from_x0(x0.clamp(-clip, clip), x, t, schedule)


SAMPLERS = {f.__name__: f for f in (ddpm, ddim, heun, edm, dpm_solver_pp_2m, sde_dpm_solver_pp_2m)}
