"""Diffusion in continuous time: four processes, as SDEs and as the paths that solve them.

Time u runs from 0 (data) to 1 (noise), so that t = T·u. Every SDE here is linear in x, with one g for all
coordinates::

    dx = a(u) x du + g(u) dw   hence   x(u) = signal(u) x_0 + sigma(u) ε,
    signal' = a signal,   (sigma²)' = 2 a sigma² + g²

(Song, Sohl-Dickstein et al. 2021, eq. 5 and appendix B; equation numbers without a name are from there.)
`sde.schedule(T)` is its path as two tables, which denoisers, samplers and the ELBO use like any schedule.
`sde_samplers` follows an SDE or its ODE; `likelihood` uses the ODE to compute log-likelihoods. Both take a
denoiser made for any schedule, through `on_path`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import Numbers, Reals, check_data, check_int, check_t, per_example
from .schedules import NoiseSchedule, signal_sigma, t_at_log_snr
from .views import Denoiser, Prediction, check_prediction, check_schedule

Coefficient = Callable[[Tensor], Tensor]  # of u
OnPath = Callable[[Tensor, Tensor], Prediction]  # of x and u


@dataclass(frozen=True, eq=False, repr=False)
class SDE:
    """dx = a(u) x du + g(u) dw and its solution x(u) = signal(u) x_0 + sigma(u) ε (eq. 5; eq. 29).

    a, g: u -> number. path: u -> (signal, sigma), with path(0) = (1, 0). rates: u -> (signal', sigma'), which
    follow from the others; give them if a and g become infinite. All take float64 tensors, and return float64
    tensors or plain numbers.
    """

    name: str
    a: Callable[[Tensor], Tensor | float]
    g: Callable[[Tensor], Tensor | float]
    path: Callable[[Tensor], tuple[Tensor, Tensor]]
    rates: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None

    def __post_init__(self) -> None:
        if self.rates is None:
            object.__setattr__(self, "rates", self._rates)

    def __repr__(self) -> str:
        return f"SDE({self.name!r})"

    def drift(self, x: Tensor, u: Reals) -> Tensor:
        """f(x, u) = a(u) x. x `[B, *D]`; u in [0, 1], one number or [B]. ValueError where a is infinite."""
        return per_example(self._finite("a", u), check_data(x, "x")) * x

    def diffusion(self, u: Reals) -> Tensor:
        """g(u), in float64, of u's shape. ValueError where it is infinite."""
        return self._finite("g", u)

    def marginal(self, u: Reals) -> tuple[Tensor, Tensor]:
        """signal(u) and sigma(u) of x(u) = signal x_0 + sigma ε, in float64, each of u's shape (eq. 29)."""
        u = check_u(u, "u")
        path = self.path(u)
        if not isinstance(path, tuple) or len(path) != 2:
            raise ValueError(f"path must return signal and sigma, a pair; got {path!r}")
        return _of_shape(path[0], u, "path"), _of_shape(path[1], u, "path")

    def schedule(self, T: int = 1000) -> NoiseSchedule:
        """The path at u = 0, 1/T, …, 1: tables for t = T·u."""
        u = torch.arange(check_int(T, "T", 1) + 1, dtype=torch.float64) / T
        return NoiseSchedule(*self.marginal(u), self.name)

    def _finite(self, name: str, u: Reals) -> Tensor:
        u = check_u(u, "u")
        values = _of_shape(getattr(self, name)(u), u, name)
        if not values.isfinite().all():
            where = u[~values.isfinite()].max().item()
            raise ValueError(
                f"the {self.name} SDE has infinite coefficients at u = {where:g} (zero SNR): keep below"
            )
        return values

    def _rates(self, u: Tensor) -> tuple[Tensor, Tensor]:
        a, g, (signal, sigma) = self.a(u), self.g(u), self.path(u)
        return a * signal, a * sigma + g**2 / (2 * sigma)


def vp(beta_min: float = 0.1, beta_max: float = 20.0) -> SDE:
    """Variance-preserving, the limit of DDPM's chain: dx = −½ β x du + √β dw (eq. 11; appendix C).

    β(u) rises linearly from beta_min to beta_max, which are T times the values in `schedules.linear(T)`. With
    B(u) = ∫_0^u β: signal = e^(−B/2), sigma² = 1 − e^(−B). Raises ValueError unless 0 < beta_min ≤ beta_max.
    """
    beta, integral = _beta(beta_min, beta_max)
    return SDE(
        "vp",
        a=lambda u: -beta(u) / 2,
        g=lambda u: beta(u).sqrt(),
        path=lambda u: (torch.exp(-integral(u) / 2), (-torch.expm1(-integral(u))).sqrt()),
    )


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> SDE:
    """Like `vp`, with less noise at every u: g² = β (1 − e^(−2B)), sigma = 1 − e^(−B) (eq. 12, 29)."""
    beta, integral = _beta(beta_min, beta_max)
    return SDE(
        "sub-vp",
        a=lambda u: -beta(u) / 2,
        g=lambda u: (beta(u) * -torch.expm1(-2 * integral(u))).sqrt(),
        path=lambda u: (torch.exp(-integral(u) / 2), -torch.expm1(-integral(u))),
    )


def _beta(beta_min: float, beta_max: float) -> tuple[Coefficient, Coefficient]:
    """β(u), linear from beta_min to beta_max, and its integral from 0 to u."""
    if not 0 < beta_min <= beta_max < math.inf:
        raise ValueError(f"beta_min must lie above 0 and up to beta_max; got {beta_min}, {beta_max}")
    rise = beta_max - beta_min
    return (lambda u: beta_min + rise * u), (lambda u: beta_min * u + rise * u**2 / 2)


def ve(sigma_min: float = 0.01, sigma_max: float = 50.0) -> SDE:
    """Variance-exploding: nothing shrinks, g = s(u) √(2 ln r), s = sigma_min r^u, r = sigma_max/sigma_min.

    (Eq. 9; appendix C.) Its solution has sigma² = s² − sigma_min². The paper writes s² instead, which leaves
    noise of sigma_min at u = 0. Raises ValueError unless 0 < sigma_min < sigma_max.
    """
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigma_min must lie above 0 and below sigma_max; got {sigma_min}, {sigma_max}")
    log_r = math.log(sigma_max / sigma_min)
    return SDE(
        "ve",
        a=torch.zeros_like,
        g=lambda u: sigma_min * torch.exp(log_r * u) * math.sqrt(2 * log_r),
        path=lambda u: (torch.ones_like(u), sigma_min * torch.expm1(2 * log_r * u).sqrt()),
    )


def straight() -> SDE:
    """The straight line x(u) = (1 − u) x_0 + u ε of rectified flow (Liu et al. 2022, eq. 1).

    That paper has only an ODE, and its u runs the other way. The SDE with this path follows from signal' = a
    signal and g² = (sigma²)' − 2 a sigma²: a = −1/(1 − u), g² = 2u/(1 − u), both infinite at u = 1, where
    the SNR is 0. So a simulation of the SDE must stay below u = 1, and forward steps close to 1 are coarse
    even if they are short. The ODE has no such problem.
    """
    return SDE(
        "straight",
        a=lambda u: -1 / (1 - u),
        g=lambda u: (2 * u / (1 - u)).sqrt(),
        path=lambda u: (1 - u, u),
        rates=lambda u: (-torch.ones_like(u), torch.ones_like(u)),
    )


def on_path(denoiser: Denoiser, x: Tensor, sde: SDE) -> tuple[OnPath, int]:
    """The denoiser as a function of x and u on the SDE's path, and the number of calls this took.

    Only the signal-to-noise ratio matters to a denoiser. So it is called at the t where *its* schedule has
    the SNR of u, with x scaled to fit that schedule. The schedule is `denoiser.schedule`, or is found by one
    call at t = 1. x̂_0 and ε̂ are right for x and u. The score is −ε̂/sigma(u); the prediction's own score
    belongs to the scaled x. Raises ValueError if there is more noise at u than the denoiser was made for.
    """
    schedule, calls = getattr(denoiser, "schedule", None), 0
    if schedule is None:
        schedule, calls = check_prediction(denoiser(x, 1)).schedule, 1
    lowest = schedule.log_snr[-1]

    def predict(x: Tensor, u: Tensor) -> Prediction:
        signal, sigma = sde.marginal(u)
        log_snr = 2 * (signal.log() - sigma.log())
        if log_snr < lowest - 1e-9:
            raise ValueError(
                f"the denoiser's log SNR ends at {lowest:.3f}; the SDE's is {log_snr:.3f} at u = {u}"
            )
        t = t_at_log_snr(schedule, log_snr)
        scale = torch.hypot(*signal_sigma(schedule, t, t)) / torch.hypot(signal, sigma)
        prediction = check_schedule(denoiser(scale * x, t), schedule)
        check_data(prediction.x0, f"x̂_0 at u = {u}", x.shape, finite=False)
        return prediction

    return predict, calls


def check_u(u: Reals | Numbers, name: str) -> Tensor:
    """u as float64, [] or [B], within [0, 1]; otherwise a ValueError."""
    try:
        u = torch.as_tensor(u, dtype=torch.float64)
    except (TypeError, RuntimeError, ValueError):
        raise ValueError(f"{name} must be numbers in [0, 1]; got {u!r}") from None
    return check_t(u, 1, real=True, name=name)


def _of_shape(value: float | Tensor, u: Tensor, name: str) -> Tensor:
    """The result of a, g or path, as float64 of u's shape: for a constant, a plain number is enough."""
    try:
        return torch.as_tensor(value, dtype=torch.float64).expand(u.shape)
    except (TypeError, RuntimeError, ValueError):
        expected = f"{name} must return a number, or a tensor of u's shape {list(u.shape)}"
        raise ValueError(f"{expected}; got {value!r}") from None
