"""One prediction, four views: x̂_0, ε̂, v̂ and the score are the same object, seen from four sides.

Given x_t = signal · x_0 + sigma · ε, whoever knows one of the two unknowns knows the other, and with them
everything else. A network may be trained to output any of the four; samplers, the ELBO and the explorers
never need to know which one it was.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .checks import check_data
from .schedules import NoiseSchedule, signal_sigma


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """A guess at the clean data behind x_t. Make one with `from_x0`, `from_eps`, `from_v` or `from_score`.

    x0 [B, *D] is the guess itself; x_t [B, *D] and t (one time or [B], real times too) say what was seen.
    The other views follow from

        eps = (x_t − signal x0)/sigma,   v = signal eps − sigma x0,   score = −eps/sigma

    (Ho et al. 2020, eq. 15; Salimans & Ho 2022, appendix D; Song, Sohl-Dickstein et al. 2021). At t = 0
    there is no noise, so a view that would divide by sigma raises ValueError.
    """

    x_t: Tensor
    t: Tensor | int | float
    schedule: NoiseSchedule
    x0: Tensor
    _eps: Tensor | None = None  # kept where it was given: x0 would not give it back to the last digit

    @classmethod
    def from_x0(cls, value: Tensor, x_t: Tensor, t, schedule: NoiseSchedule) -> "Prediction":
        """From x̂_0 = value. Works at every t."""
        check_data(value, "value", x_t.shape)
        signal_sigma(schedule, t, x_t)  # a bad t is reported here, not when a view is first asked for
        return cls(x_t, t, schedule, value)

    @classmethod
    def from_eps(cls, value: Tensor, x_t: Tensor, t, schedule: NoiseSchedule) -> "Prediction":
        """From ε̂ = value: x̂_0 = (x_t − sigma ε̂)/signal (Ho et al. 2020, eq. 15).

        Raises ValueError where signal = 0.
        """
        check_data(value, "value", x_t.shape)
        signal, sigma = signal_sigma(schedule, t, x_t)
        _check_not_zero(signal, "from_eps", "signal", t)
        return cls(x_t, t, schedule, (x_t - sigma * value) / signal, value)

    @classmethod
    def from_v(cls, value: Tensor, x_t: Tensor, t, schedule: NoiseSchedule) -> "Prediction":
        """From v̂ = signal ε̂ − sigma x̂_0 (Salimans & Ho 2022, appendix D). Works at every t.

        x̂_0 = (signal x_t − sigma v̂)/(signal² + sigma²), ε̂ = (sigma x_t + signal v̂)/(signal² + sigma²).
        The denominator is 1 on variance-preserving schedules only, which is why most code leaves it out.
        """
        check_data(value, "value", x_t.shape)
        signal, sigma = signal_sigma(schedule, t, x_t)
        total = signal**2 + sigma**2
        x0, eps = (signal * x_t - sigma * value) / total, (sigma * x_t + signal * value) / total
        return cls(x_t, t, schedule, x0, eps)

    @classmethod
    def from_score(cls, value: Tensor, x_t: Tensor, t, schedule: NoiseSchedule) -> "Prediction":
        """From the score = value: x̂_0 = (x_t + sigma² score)/signal (Tweedie's formula; Efron 2011).

        Raises ValueError where signal = 0.
        """
        check_data(value, "value", x_t.shape)
        signal, sigma = signal_sigma(schedule, t, x_t)
        _check_not_zero(signal, "from_score", "signal", t)
        return cls(x_t, t, schedule, (x_t + sigma**2 * value) / signal, -sigma * value)

    @property
    def eps(self) -> Tensor:
        """ε̂ = (x_t − signal x̂_0)/sigma, the noise in x_t."""
        if self._eps is not None:
            return self._eps
        signal, sigma = signal_sigma(self.schedule, self.t, self.x_t)
        _check_not_zero(sigma, "eps", "sigma", self.t)
        return (self.x_t - signal * self.x0) / sigma

    @property
    def v(self) -> Tensor:
        """v̂ = signal ε̂ − sigma x̂_0."""
        signal, sigma = signal_sigma(self.schedule, self.t, self.x_t)
        return signal * self.eps - sigma * self.x0

    @property
    def score(self) -> Tensor:
        """∇ log q_t(x_t) = −ε̂/sigma."""
        _, sigma = signal_sigma(self.schedule, self.t, self.x_t)
        _check_not_zero(sigma, "score", "sigma", self.t)
        return -self.eps / sigma


def _check_not_zero(table: Tensor, view: str, name: str, t) -> None:
    if (table == 0).any():
        raise ValueError(f"{view} divides by {name}, which is 0 at t = {t}: this view is not defined there")


class Denoiser(Protocol):
    """Anything that looks at x_t [B, *D] and t, and makes a Prediction.

    t is one time or [B]; an ODE solver passes real times.

    An exact mixture, an empirical data set, a network with its schedule, a guided wrapper of any of these:
    the samplers, the ELBO and the explorers cannot tell them apart.
    """

    def __call__(self, x_t: Tensor, t) -> Prediction: ...


def check_schedule(prediction: Prediction, schedule: NoiseSchedule) -> Prediction:
    """The prediction; ValueError unless its denoiser was made for the tables of `schedule`."""
    own = prediction.schedule
    if not (torch.equal(own.signal, schedule.signal) and torch.equal(own.sigma, schedule.sigma)):
        raise ValueError(f"schedule must be the one that the denoiser was made for, {own}; got {schedule}")
    return prediction
