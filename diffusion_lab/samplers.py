"""Samplers: from noise to data, one step at a time.

Each is a generator: `for step in ddim(denoiser, x_T)` yields every intermediate state, for a slider to scrub
through. `*_, last = ddim(...)` keeps only the last one. `sample(denoiser, n)` returns samples in one line. A
generator checks its arguments when it is first iterated. The samplers do not know whether the denoiser is
exact or learned. SAMPLERS has them all by name.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .checks import Numbers, Shape, check_int, noise_like
from .forward import posterior_weights, transition
from .schedules import NoiseSchedule
from .steps import SPACINGS, Step, checked_start, p_sample_prior, predict, timesteps
from .views import Denoiser, Prediction, own_schedule

__all__ = ["SAMPLERS", "ddim", "ddim_inversion", "ddpm", "dpm_solver_pp_2m", "edm", "heun", "sample"]
__all__ += ["SPACINGS", "Step", "p_sample_prior", "sde_dpm_solver_pp_2m", "timesteps"]


@torch.no_grad()
def ddpm(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    variance: str = "small",
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2): x_s ~ N(mean of q(x_s|x_t, x̂_0), variance).

    x_T `[B, *D]` is the state at the first of `timesteps` (falling times within T…0; every t unless given).
    `schedule` is the denoiser's own; it must be given if the denoiser has none. variance: "small" is the
    variance of q(x_s|x_t, x_0), "large" that of q(x_t|x_s), both for the actual step from t to s. `clip` = c
    clamps x̂_0 to [−c, c]; the paper's code does this, its algorithm 2 does not. It is right for images, and
    wrong for data without such bounds. The step to 0 returns x̂_0, without noise. Raises ValueError for times
    that do not fall, unknown names, and a denoiser of another schedule.
    """
    if variance not in ("small", "large"):
        raise ValueError(f'variance must be "small" or "large"; got {variance!r}')
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    for calls, (t, s) in enumerate(pairwise(times), 1):
        prediction = predict(denoiser, x, t, schedule, clip)
        weight_x0, weight_x, var = posterior_weights(t, s, schedule)
        if variance == "large":
            _, var = transition(t, s, schedule)
        x = weight_x0 * prediction.x0 + weight_x * x
        if s > 0:
            x = x + var.sqrt() * noise_like(x, generator)
        yield Step(s, x, prediction, calls)


@torch.no_grad()
def ddim(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    eta: float = 0.0,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """DDIM (Song, Meng & Ermon 2021, eq. 12): x_s = signal_s x̂_0 + √(sigma_s² − η² ṽ) ε̂ + η √ṽ z.

    ṽ is the variance of q(x_s|x_t, x_0).

    eta = 0 draws nothing: the same x_T gives the same sample. eta = 1 is `ddpm` with the small variance.
    Everything else is as in `ddpm`; after clipping, ε̂ is computed again from x̂_0. Raises ValueError as
    `ddpm` does, and for an eta outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie in [0, 1]; got {eta}")
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    signal, sigma = schedule.signal.tolist(), schedule.sigma.tolist()
    for calls, (t, s) in enumerate(pairwise(times), 1):
        prediction = predict(denoiser, x, t, schedule, clip)
        var = eta**2 * posterior_weights(t, s, schedule)[2].item() if eta > 0 else 0.0
        x = signal[s] * prediction.x0 + math.sqrt(sigma[s] ** 2 - var) * prediction.eps
        if var > 0:
            x = x + math.sqrt(var) * noise_like(x, generator)
        yield Step(s, x, prediction, calls)


@torch.no_grad()
def heun(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    clip: float | None = None,
    generator: torch.Generator | None = None,  # noqa: ARG001  # there as in all samplers
) -> Iterator[Step]:
    """Heun's method: a DDIM step with the mean of two ε̂: here, and where a first DDIM step ends. Order 2.

    In x̄ = x/signal and σ = sigma/signal the ODE is dx̄/dσ = ε̂ (Karras et al. 2022, eq. 1 with σ(t) = t),
    and this is their algorithm 1, with one exception. It makes two calls per step, and one for the step to 0,
    which returns x̂_0. prediction holds the mean.

    The exception: a step can enlarge an error in ε̂ by up to σ_t/σ_s, which is 633 in the first of 50 trailing
    steps on `cosine`. Where one step divides σ by more than 50 (as every step from zero SNR does), the two
    x̂_0 are averaged instead. This has order 2 as well, and never scales an error by more than 1.

    Everything else is as in `ddpm`. generator is not used; it is there to call all samplers alike.
    """
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    signal, sigma, calls = schedule.signal, schedule.sigma, 0
    for t, s in pairwise(times):
        guess, calls = predict(denoiser, x, t, schedule, clip), calls + 1
        if s > 0:
            x_s = signal[s] * guess.x0 + sigma[s] * guess.eps
            ahead, calls = predict(denoiser, x_s, s, schedule, clip), calls + 1
            if schedule.snr[s] > 50**2 * schedule.snr[t]:
                guess = Prediction(x, t, schedule, (guess.x0 + ahead.x0) / 2)
            else:
                eps = (guess.eps + ahead.eps) / 2
                guess = Prediction(x, t, schedule, (x - sigma[t] * eps) / signal[t], eps)
        x = signal[s] * guess.x0 + sigma[s] * guess.eps
        yield Step(s, x, guess, calls)


@torch.no_grad()
def edm(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    s_churn: float = 40.0,
    s_min: float = 0.0,
    s_max: float = math.inf,
    s_noise: float = 1.0,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """EDM's stochastic sampler (Karras et al. 2022, algorithm 2): add noise, then take a `heun` step.

    With σ = sigma/signal, a step from a t with s_min ≤ σ ≤ s_max first goes *up* to σ̂ = (1 + γ) σ, but not
    above T, by a draw from q(x_t̂|x_t) whose noise is scaled by s_noise. γ = min(s_churn/steps, √2 − 1), with
    the number of steps in this run. t̂ is the whole time nearest to σ̂ in log SNR, as in the paper's code for
    networks that know whole times only. Everything else is as in `heun`, and s_churn = 0 gives `heun` itself.
    """
    for name, value in {"s_churn": s_churn, "s_min": s_min, "s_max": s_max, "s_noise": s_noise}.items():
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0; got {value}")
    if s_noise == math.inf:
        raise ValueError(f"s_noise must be finite; got {s_noise}")
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    signal, sigma, log_snr, calls = schedule.signal, schedule.sigma, schedule.log_snr, 0
    gamma = min(s_churn / (len(times) - 1), math.sqrt(2) - 1)
    for t, s in pairwise(times):
        if t < schedule.T and gamma > 0 and s_min <= sigma[t] / signal[t] <= s_max:
            wanted = log_snr[t] - 2 * math.log1p(gamma)
            t_hat = t + int((log_snr[t:] - wanted).abs().argmin())
            scale, var = transition(t_hat, t, schedule)
            x, t = scale * x + s_noise * var.sqrt() * noise_like(x, generator), t_hat
        guess, calls = predict(denoiser, x, t, schedule, clip), calls + 1
        if s > 0:
            x_s = signal[s] * guess.x0 + sigma[s] * guess.eps
            ahead, calls = predict(denoiser, x_s, s, schedule, clip), calls + 1
            if schedule.snr[s] > 50**2 * schedule.snr[t]:
                guess = Prediction(x, t, schedule, (guess.x0 + ahead.x0) / 2)
            else:
                eps = (guess.eps + ahead.eps) / 2
                guess = Prediction(x, t, schedule, (x - sigma[t] * eps) / signal[t], eps)
        x = signal[s] * guess.x0 + sigma[s] * guess.eps
        yield Step(s, x, guess, calls)


@torch.no_grad()
def dpm_solver_pp_2m(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    clip: float | None = None,
    generator: torch.Generator | None = None,  # noqa: ARG001  # there as in all samplers
) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2): DDIM with an extrapolated x̂_0.

    D = x̂_0 + h/(2 h_before) · (x̂_0 − x̂_0 before), where h is the gain in log SNR over this step and
    h_before over the step before (their λ is half of ours, which cancels). One call per step, order 2. D is
    x̂_0 where it cannot extrapolate: in the first step, after a step from zero SNR (h_before = ∞), and in
    the step to 0 (h = ∞). prediction holds D. Everything else is as in `ddpm`; clip clamps x̂_0, not D.
    generator is not used, as in `heun`.
    """
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    log_snr, before = schedule.log_snr, None
    for calls, (t, s) in enumerate(pairwise(times), 1):
        guess = predict(denoiser, x, t, schedule, clip)
        x0 = guess.x0
        if before is not None and s > 0:
            x0_before, t_before = before
            h, h_before = log_snr[s] - log_snr[t], log_snr[t] - log_snr[t_before]
            guess = Prediction(x, t, schedule, x0 + h / (2 * h_before) * (x0 - x0_before))
        x, before = schedule.signal[s] * guess.x0 + schedule.sigma[s] * guess.eps, (x0, t)
        yield Step(s, x, guess, calls)


@torch.no_grad()
def sde_dpm_solver_pp_2m(
    denoiser: Denoiser,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095): `ddpm` with the D of `dpm_solver_pp_2m`.

    x_s ~ q(x_s|x_t, x_0 = D) is the paper's update, term by term. One call per step; the step to 0 returns
    x̂_0 without noise. Everything else is as in `dpm_solver_pp_2m`.
    """
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    log_snr, before = schedule.log_snr, None
    for calls, (t, s) in enumerate(pairwise(times), 1):
        guess = predict(denoiser, x, t, schedule, clip)
        x0 = guess.x0
        if before is not None and s > 0:
            x0_before, t_before = before
            h, h_before = log_snr[s] - log_snr[t], log_snr[t] - log_snr[t_before]
            guess = Prediction(x, t, schedule, x0 + h / (2 * h_before) * (x0 - x0_before))
        weight_x0, weight_x, var = posterior_weights(t, s, schedule)
        x, before = weight_x0 * guess.x0 + weight_x * x, (x0, t)
        if s > 0:
            x = x + var.sqrt() * noise_like(x, generator)
        yield Step(s, x, guess, calls)


SAMPLERS = {f.__name__: f for f in (ddpm, ddim, heun, edm, dpm_solver_pp_2m, sde_dpm_solver_pp_2m)}


def sample(
    denoiser: Denoiser,
    n: int,
    sampler: Callable[..., Iterator[Step]] = ddim,
    steps: int | None = None,
    spacing: str = "trailing",
    schedule: NoiseSchedule | None = None,
    shape: Shape | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    **options: Any,
) -> Tensor:
    """n samples in one line: `sample(pretrained.load("digits").given(3), 16)`. -> `[n, *D]`, float32.

    x_T is drawn from the prior, and `sampler` (one of SAMPLERS' functions) takes `steps` steps: 50 unless
    given, or T if that is less. `options` are passed to it. shape (of one example) and schedule must be given
    if the denoiser has none. Shows a progress bar if it is slow. Raises ValueError for n below 1, for steps
    outside 1…T, and if the shape is unknown.
    """
    schedule, shape = own_schedule(denoiser, schedule), shape or getattr(denoiser, "shape", None)
    if shape is None:
        raise ValueError("shape must be given: this denoiser does not say which shape an example has")
    times = timesteps(schedule, min(50, schedule.T) if steps is None else steps, spacing)
    x_T = p_sample_prior((check_int(n, "n", 1), *shape), schedule, generator, device)
    run = sampler(denoiser, x_T, schedule, times, generator=generator, **options)
    *_, last = tqdm(run, total=len(times) - 1, delay=2, leave=False, desc="sampling")
    return last.x


@torch.no_grad()
def ddim_inversion(
    denoiser: Denoiser, x0: Tensor, schedule: NoiseSchedule | None = None, timesteps: Numbers | None = None
) -> Iterator[Step]:
    """The steps of `ddim` in reverse, from data to the noise it comes from (Song, Meng & Ermon 2021, 4.3).

    x_t = signal_t x̂_0 + sigma_t ε̂ with the prediction at x_s. At s = 0 there is no ε̂, so there the prediction
    is made at t for signal_t x_0. x0 `[B, *D]` is the state at the first of `timesteps`, which rise within
    0…T (every t unless given). It undoes `ddim` up to an error of order 1 in the steps. Raises ValueError as
    `ddpm` does.
    """
    falling = None if timesteps is None else list(timesteps)[::-1]
    x, schedule, times = checked_start(denoiser, x0, schedule, falling, None)
    for calls, (s, t) in enumerate(pairwise(times[::-1]), 1):
        seen, at = (schedule.signal[t] * x, t) if s == 0 else (x, s)
        prediction = predict(denoiser, seen, at, schedule, None)
        x = schedule.signal[t] * prediction.x0 + schedule.sigma[t] * prediction.eps
        yield Step(t, x, prediction, calls)
