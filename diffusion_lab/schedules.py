"""Noise schedules: how much signal is left, and how much noise has been added, at each step t.

A schedule *is* two tables, signal_t and sigma_t, with x_t = signal_t · x_0 + sigma_t · ε. Everything else
(ᾱ, α, β, SNR) follows from them. Every table has T + 1 entries and is indexed by t itself: t = 0 is clean
data, t = T is noise. Variance-preserving (signal² + sigma² = 1), variance-exploding (signal = 1) and
straight-line (signal = 1 − t/T, sigma = t/T) processes differ only in the two tables.
"""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import Numbers, Reals, check_int, check_t, per_example


def _table(values: Numbers, name: str) -> Tensor:
    values = torch.as_tensor(values, dtype=torch.float64).detach().cpu().clone()
    if values.ndim != 1 or len(values) < 1:
        raise ValueError(f"{name} must be a table with one axis; got shape {list(values.shape)}")
    if not values.isfinite().all():
        raise ValueError(f"{name} must be finite; entry {int((~values.isfinite()).nonzero()[0])} is not")
    return values


@dataclass(frozen=True, eq=False, repr=False)
class NoiseSchedule:
    """The two tables x_t = signal[t] · x_0 + sigma[t] · ε, each [T + 1], float64, on the CPU.

    Raises ValueError unless signal[0] = 1 and sigma[0] = 0 (t = 0 is the data), nothing is negative or NaN,
    and the signal-to-noise ratio falls strictly from each step to the next. It may reach 0, but only at t =
    T. Tables derived from the two are computed once; do not write into any of them.
    """

    signal: Tensor
    sigma: Tensor
    name: str

    def __init__(self, signal: Numbers, sigma: Numbers, name: str = "") -> None:
        signal, sigma = _table(signal, "signal"), _table(sigma, "sigma")
        if signal.shape != sigma.shape or len(signal) < 2:
            raise ValueError(f"signal and sigma must have T + 1 ≥ 2 entries; got {len(signal)}, {len(sigma)}")
        if (signal < 0).any() or (sigma < 0).any():
            raise ValueError("signal and sigma must not be negative")
        if signal[0] != 1 or sigma[0] != 0:
            raise ValueError(f"signal[0] must be 1 and sigma[0] 0 (clean data); got {signal[0]}, {sigma[0]}")
        vars(self).update(signal=signal, sigma=sigma, name=name)  # past the frozen dataclass
        stuck = (~(self.log_snr[1:] < self.log_snr[:-1])).nonzero()  # written so that a NaN counts too
        if len(stuck):
            raise ValueError(f"signal/sigma must fall at every step; it does not at t = {int(stuck[0]) + 1}")

    def __repr__(self) -> str:
        return f"NoiseSchedule({self.name!r}, T={self.T})"

    @classmethod
    def from_beta(cls, beta: Numbers, name: str = "") -> "NoiseSchedule":
        """Variance-preserving, from β_t: ᾱ_t = ∏ (1 − β_s) (Ho et al. 2020, eq. 2 and 4).

        beta: β_1 … β_T, or a whole table that starts with β_0 = 0. Raises ValueError for a β_t outside (0,
        1].
        """
        beta = _table(beta, "beta")
        beta = beta[1:] if beta[0] == 0 else beta
        if len(beta) < 1 or (beta <= 0).any() or (beta > 1).any():
            raise ValueError(f"beta must hold at least one step, each in (0, 1]; got {beta.tolist()[:8]}")
        start = torch.zeros(1, dtype=torch.float64)
        signal = torch.cat([start + 1, (1 - beta).cumprod(0).sqrt()])
        # 1 − ᾱ by expm1 of the summed logs: plain subtraction would lose the digits where ᾱ is close to 1
        sigma = torch.cat([start, (-torch.expm1(torch.log1p(-beta).cumsum(0))).sqrt()])
        return cls(signal, sigma, name)

    @classmethod
    def from_alpha_bar(cls, alpha_bar: Numbers, name: str = "") -> "NoiseSchedule":
        """Variance-preserving, from ᾱ_t: signal = √ᾱ, sigma = √(1 − ᾱ) (Ho et al. 2020, eq. 4).

        alpha_bar: ᾱ_1 … ᾱ_T, or a whole table that starts with ᾱ_0 = 1; falling, within [0, 1]. ValueError
        otherwise.
        """
        alpha_bar = _table(alpha_bar, "alpha_bar")
        if alpha_bar[0] != 1:
            alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar])
        if (alpha_bar < 0).any() or (alpha_bar > 1).any():
            raise ValueError(f"alpha_bar must lie in [0, 1]; got {alpha_bar.min()} … {alpha_bar.max()}")
        return cls(alpha_bar.sqrt(), (1 - alpha_bar).sqrt(), name)

    @property
    def T(self) -> int:
        """The number of noising steps."""
        return len(self.signal) - 1

    @functools.cached_property
    def alpha_bar(self) -> Tensor:
        """ᾱ_t = signal_t²: the share of the data's variance that is left. ᾱ_0 = 1."""
        return self.signal**2

    @functools.cached_property
    def alpha(self) -> Tensor:
        """α_t = (signal_t / signal_{t−1})²: the share of variance that one step keeps. α_0 = 1."""
        return torch.cat([self.signal.new_ones(1), (self.signal[1:] / self.signal[:-1]) ** 2])

    @functools.cached_property
    def beta(self) -> Tensor:
        """β_t = sigma_t² − α_t sigma_{t−1}²: the *variance* that one step adds (1 − α_t on VP). β_0 = 0."""
        share = -torch.expm1(self.log_snr.diff())  # β_t/sigma_t² = 1 − SNR_t/SNR_{t−1}, without cancellation
        return torch.cat([self.sigma.new_zeros(1), self.sigma[1:] ** 2 * share])

    @functools.cached_property
    def snr(self) -> Tensor:
        """SNR_t = signal_t² / sigma_t²: +∞ at t = 0, and 0 at a zero-SNR end."""
        return (self.signal / self.sigma) ** 2

    @functools.cached_property
    def log_snr(self) -> Tensor:
        """λ_t = log SNR_t in nats: +∞ at t = 0, and −∞ at a zero-SNR end."""
        return 2 * (self.signal.log() - self.sigma.log())


def signal_sigma(schedule: NoiseSchedule, t: Reals, x: Tensor) -> tuple[Tensor, Tensor]:
    """signal_t and sigma_t, shaped to multiply x `[B, *D]`.

    t: one time or [B]; integers are looked up in the tables.

    A real t, as adaptive ODE solvers use it, is interpolated: log SNR and the total variance signal² + sigma²
    are linear in t. In the step from t = 0, where log SNR is infinite, sigma/signal is linear instead; in the
    step to a zero-SNR end, signal/sigma is.
    """
    t = check_t(t, schedule.T, real=True)
    if not t.is_floating_point():
        signal, sigma = schedule.signal[t], schedule.sigma[t]
    elif t.ndim == 0:
        signal, sigma = _at_one_time(schedule, t.item())
    else:
        signal, sigma = _between_steps(schedule, t)
    return per_example(signal, x), per_example(sigma, x)


def numbers_at(schedule: NoiseSchedule, t: Reals) -> tuple[float, float]:
    """signal_t and sigma_t as plain numbers, at a single t in 0…T, whole or real."""
    if (t := check_t(t, schedule.T, real=True)).ndim > 0:
        raise ValueError(f"t must be one time, since one density is asked for; got shape {list(t.shape)}")
    signal, sigma = signal_sigma(schedule, t, torch.empty(1, dtype=torch.float64))
    return signal.item(), sigma.item()


def _between_steps(schedule: NoiseSchedule, t: Tensor) -> tuple[Tensor, Tensor]:
    """signal and sigma at real t, float64."""
    left = t.floor().long().clamp(max=schedule.T - 1)
    part = t - left
    before, after = schedule.log_snr[left], schedule.log_snr[left + 1]
    log_snr = torch.lerp(before, after, part)
    log_snr = torch.where(before.isinf(), after - 2 * part.log(), log_snr)
    log_snr = torch.where(after.isinf(), before + 2 * (1 - part).log(), log_snr)
    one_step = before.isinf() & after.isinf()  # T = 1, from clean data to zero SNR: a straight line
    log_snr = torch.where(one_step, 2 * ((1 - part) / part).log(), log_snr)
    total = schedule.signal**2 + schedule.sigma**2
    scale = torch.lerp(total[left], total[left + 1], part)
    return (scale * log_snr.sigmoid()).sqrt(), (scale * (-log_snr).sigmoid()).sqrt()


@functools.lru_cache(16)  # one step of an ODE solver needs the same t three times
def _at_one_time(schedule: NoiseSchedule, t: float) -> tuple[Tensor, Tensor]:
    return _between_steps(schedule, torch.tensor(t, dtype=torch.float64))


def t_at_log_snr(schedule: NoiseSchedule, log_snr: float | Tensor) -> Tensor:
    """The real t at which the schedule's log SNR is `log_snr` (nats): the inverse of `signal_sigma`.

    log_snr: one number or [B]; t is returned in float64, in the same shape. Raises ValueError for NaN, and
    for a log SNR below its value at t = T.
    """
    log_snr = torch.as_tensor(log_snr, dtype=torch.float64).detach().cpu()
    table = schedule.log_snr
    if not (log_snr >= table[-1] - 1e-9).all():  # written so that a NaN fails too
        raise ValueError(f"log_snr must be at least {table[-1]:.6g}, that of t = T; got {log_snr.tolist()}")
    right = torch.searchsorted(-table[:-1], -log_snr.contiguous())  # t lies in (right − 1, right]
    before, after = table[(right - 1).clamp(min=0)], table[right]
    part = (log_snr - before) / (after - before)
    part = torch.where(before.isinf(), torch.exp((after - log_snr) / 2), part)
    part = torch.where(after.isinf(), -torch.expm1((log_snr - before) / 2), part)
    part = torch.where(before.isinf() & after.isinf(), torch.sigmoid(-log_snr / 2), part)
    return torch.where(right == 0, 0.0, right - 1 + part.clamp(max=1))  # right = 0: no noise at all, t = 0


def same_numbers(one: NoiseSchedule, other: NoiseSchedule) -> bool:
    """Whether the tables of the two agree up to rounding; their names do not matter."""
    if one is other:
        return True
    pairs = [(one.signal, other.signal), (one.sigma, other.sigma)]
    return one.T == other.T and all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)


def linear(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> NoiseSchedule:
    """β_t rises linearly from beta_1 to beta_T (Ho et al. 2020, section 4).

    The default range is meant for T = 1000: with fewer steps, the same β leave signal at the end. Stable
    Diffusion's "linear" is `quadratic` here, with its own range.
    """
    _check_unit(beta_1=beta_1, beta_T=beta_T)
    beta = torch.linspace(beta_1, beta_T, check_int(T, "T", 1), dtype=torch.float64)
    return NoiseSchedule.from_beta(beta, "linear")


def quadratic(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> NoiseSchedule:
    """√β_t rises linearly from √beta_1 to √beta_T (Rombach et al. 2022, whose code calls it "linear").

    Stable Diffusion uses quadratic(1000, 0.00085, 0.012); the defaults are the same as for `linear`.
    """
    _check_unit(beta_1=beta_1, beta_T=beta_T)
    root = torch.linspace(math.sqrt(beta_1), math.sqrt(beta_T), check_int(T, "T", 1), dtype=torch.float64)
    return NoiseSchedule.from_beta(root**2, "quadratic")


def cosine(T: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> NoiseSchedule:
    """ᾱ_t = f(t)/f(0) with f(t) = cos²(π/2 · (t/T + s)/(1 + s)) (Nichol & Dhariwal 2021, eq. 17).

    f(T) = 0, so the last β would be 1; β_t is therefore clipped at max_beta. The offset s ≥ 0 keeps the first
    steps from being tiny.
    """
    T = check_int(T, "T", 1)
    if not s >= 0:
        raise ValueError(f"s must be at least 0; got {s}")
    f = torch.cos(math.pi / 2 * (torch.arange(T + 1, dtype=torch.float64) / T + s) / (1 + s)) ** 2
    return NoiseSchedule.from_beta(_clipped_beta(f, max_beta), "cosine")


def sigmoid(
    T: int = 1000, start: float = -3, end: float = 3, tau: float = 1, max_beta: float = 0.999
) -> NoiseSchedule:
    """ᾱ_t falls along a sigmoid from `start` to `end` at temperature tau, rescaled to run from 1 to 0.

    ᾱ(u) = (σ(end/τ) − σ((start + (end − start) u)/τ)) / (σ(end/τ) − σ(start/τ)), u = t/T (Jabri et al.
    2022; Chen 2023, algorithm 1). Another schedule of this name has a sigmoid for β, not for ᾱ. The last β
    would be 1, so β_t is clipped at max_beta.
    """
    T = check_int(T, "T", 1)
    if not (start < end and tau > 0):
        raise ValueError(f"start must be below end, and tau above 0; got start={start}, end={end}, tau={tau}")
    u = torch.arange(T + 1, dtype=torch.float64) / T
    curve = torch.sigmoid((start + (end - start) * u) / tau)
    return NoiseSchedule.from_beta(_clipped_beta(curve[-1] - curve, max_beta), "sigmoid")


def _clipped_beta(f: Tensor, max_beta: float) -> Tensor:
    """β_t = min(1 − f_t/f_{t−1}, max_beta), for a table f that is proportional to ᾱ."""
    _check_unit(max_beta=max_beta)
    return (1 - f[1:] / f[:-1]).clamp(max=max_beta)


def _check_unit(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} must lie in (0, 1]; got {value}")


def flow(T: int = 1000) -> NoiseSchedule:
    """The straight line x_t = (1 − t/T) x_0 + (t/T) ε of rectified flow (Liu et al. 2022, eq. 1).

    In that paper, time runs the other way. The schedule ends at zero SNR.
    """
    u = torch.arange(check_int(T, "T", 1) + 1, dtype=torch.float64) / T
    return NoiseSchedule(1 - u, u, "flow")


def ve(T: int = 1000, sigma_min: float = 0.01, sigma_max: float = 50.0) -> NoiseSchedule:
    """Variance-exploding: signal = 1, sigma_t from sigma_min at t = 1 to sigma_max at T, by equal factors.

    (Song, Sohl-Dickstein et al. 2021, appendix C.) Raises ValueError unless 0 < sigma_min < sigma_max.
    """
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigma_min must lie above 0 and below sigma_max; got {sigma_min}, {sigma_max}")
    T, ends = check_int(T, "T", 2), (math.log(sigma_min), math.log(sigma_max))
    sigma = torch.cat([torch.zeros(1).double(), torch.linspace(*ends, T, dtype=torch.float64).exp()])
    return NoiseSchedule(torch.ones_like(sigma), sigma, "ve")


def zero_terminal_snr(schedule: NoiseSchedule) -> NoiseSchedule:
    """The same schedule, rescaled so that no data is left at t = T (Lin et al. 2024, algorithm 1).

    signal is shifted to end at 0 and scaled to keep signal_1; t = 0 is still the data. Raises ValueError
    unless the schedule is variance-preserving and T ≥ 2 (with one step, the signal to keep is also the one to
    remove).
    """
    signal = schedule.signal[1:]
    if ((schedule.alpha_bar + schedule.sigma**2 - 1).abs() > 1e-9).any():
        raise ValueError("schedule must be variance-preserving (signal² + sigma² = 1)")
    if schedule.T < 2:
        raise ValueError("schedule must have T ≥ 2: with one step, the signal to keep is the one to remove")
    signal = torch.cat([schedule.signal[:1], (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])])
    sigma = ((1 - signal) * (1 + signal)).sqrt()
    return NoiseSchedule(signal, sigma, f"{schedule.name}, zero terminal SNR")


SCHEDULES = {"linear": linear, "quadratic": quadratic, "cosine": cosine, "sigmoid": sigmoid}  # all are VP
