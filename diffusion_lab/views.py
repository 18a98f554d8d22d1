"""One prediction, four views: x̂_0, ε̂, v̂ and the score are the same prediction in four forms.

Given x_t = signal · x_0 + sigma · ε, one of the two unknowns determines the other, and both determine all
views. A network is trained to output x̂_0, ε̂ or v̂ (a score network outputs −ε̂/sigma). Samplers, the ELBO
and the explorers never need to know which one it was.
"""

import functools
import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, as_tensor

from .checks import Reals, Shape, check_data
from .schedules import NoiseSchedule, same_numbers, signal_sigma

Pair = tuple[Tensor, Tensor] | tuple[float, float]
HOW = "A network becomes a denoiser by unet.ModelDenoiser(net, schedule, predicts=…)"


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """A guess at the clean data behind x_t. Make one with `from_x0`, `from_eps`, `from_v` or `from_score`.

    These raise ValueError for shapes that do not fit, and if x̂_0 is not finite.

    x0 `[B, *D]` is the guess itself. x_t `[B, *D]` and t (one time or [B], also real) are what it was made
    from. The other views follow::

        eps = (x_t − signal x0)/sigma,   v = signal eps − sigma x0,   score = −eps/sigma

    (Ho et al. 2020, eq. 15; Salimans & Ho 2022, appendix D; Song, Sohl-Dickstein et al. 2021). At t = 0
    there is no noise, so a view that divides by sigma raises ValueError.
    """

    x_t: Tensor
    t: Reals
    schedule: NoiseSchedule
    x0: Tensor
    _eps: Tensor | None = None  # kept if it was given: computed from x0 it would lose digits

    @classmethod
    def from_x0(cls, value: Tensor, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> "Prediction":
        """From x̂_0 = value. Works at every t."""
        check_data(value, "value", x_t.shape, finite=False)
        _numbers(schedule, t, x_t)  # a bad t is reported here, not when a view is first asked for
        return _finite(cls(x_t, t, schedule, value), value)

    @classmethod
    def from_eps(cls, value: Tensor, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> "Prediction":
        """From ε̂ = value: x̂_0 = (x_t − sigma ε̂)/signal (Ho et al. 2020, eq. 15).

        Raises ValueError where signal = 0.
        """
        check_data(value, "value", x_t.shape, finite=False)
        signal, sigma = _numbers(schedule, t, x_t)
        _check_not_zero(signal, "from_eps", "signal", t)
        return _finite(cls(x_t, t, schedule, (x_t - sigma * value) / signal, value), value)

    @classmethod
    def from_v(cls, value: Tensor, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> "Prediction":
        """From v̂ = signal ε̂ − sigma x̂_0 (Salimans & Ho 2022, appendix D). Works at every t.

        x̂_0 = (signal x_t − sigma v̂)/(signal² + sigma²), ε̂ = (sigma x_t + signal v̂)/(signal² + sigma²).
        The denominator is 1 on variance-preserving schedules only, which is why most code leaves it out.
        """
        check_data(value, "value", x_t.shape, finite=False)
        signal, sigma = _numbers(schedule, t, x_t)
        total = signal**2 + sigma**2
        a, b = signal / total, sigma / total
        return _finite(cls(x_t, t, schedule, a * x_t - b * value, b * x_t + a * value), value)

    @classmethod
    def from_score(cls, value: Tensor, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> "Prediction":
        """From the score = value: x̂_0 = (x_t + sigma² score)/signal (Tweedie's formula; Efron 2011).

        Raises ValueError where signal = 0.
        """
        check_data(value, "value", x_t.shape, finite=False)
        signal, sigma = _numbers(schedule, t, x_t)
        _check_not_zero(signal, "from_score", "signal", t)
        return _finite(cls(x_t, t, schedule, (x_t + sigma**2 * value) / signal, -sigma * value), value)

    @functools.cached_property
    def _signal_sigma(self) -> Pair:
        return _numbers(self.schedule, self.t, self.x_t)

    @property
    def eps(self) -> Tensor:
        """ε̂ = (x_t − signal x̂_0)/sigma, the noise in x_t."""
        if self._eps is not None:
            return self._eps
        signal, sigma = self._signal_sigma
        _check_not_zero(sigma, "eps", "sigma", self.t)
        return (self.x_t - signal * self.x0) / sigma

    @property
    def v(self) -> Tensor:
        """v̂ = signal ε̂ − sigma x̂_0."""
        signal, sigma = self._signal_sigma
        return signal * self.eps - sigma * self.x0

    @property
    def score(self) -> Tensor:
        """∇ log q_t(x_t) = −ε̂/sigma."""
        _, sigma = self._signal_sigma
        _check_not_zero(sigma, "score", "sigma", self.t)
        return -self.eps / sigma

    def clipped(self, c: float) -> "Prediction":
        """The same guess with x̂_0 clamped to [−c, c]; ε̂ and the others follow from that x̂_0."""
        return Prediction(self.x_t, self.t, self.schedule, self.x0.clamp(-c, c))


def _finite(guess: Prediction, value: Tensor) -> Prediction:
    """The guess, if x̂_0 is finite. This is the only check of values in a call of a denoiser.

    One sum is quicker than a check of each value. If the sum overflows, each value is checked. x_t and value
    are checked only to report which of them is not finite.
    """
    if not math.isfinite(guess.x0.detach().sum().item()):
        for x, name in ((guess.x_t, "x_t"), (value, "value"), (guess.x0, f"x̂_0 at t = {guess.t}")):
            check_data(x, name)
    return guess


def _numbers(schedule: NoiseSchedule, t: Reals, x_t: Tensor) -> Pair:
    """signal_t and sigma_t to multiply x_t with; plain numbers for a single time, which is quickest."""
    signal, sigma = signal_sigma(schedule, t, x_t)
    return (signal, sigma) if signal.ndim else (signal.item(), sigma.item())


def _check_not_zero(value: Tensor | float, view: str, name: str, t: Reals) -> None:
    if (as_tensor(value) == 0).any():
        raise ValueError(f"{view} divides by {name}, which is 0 at t = {t}: this view is not defined there")


class Denoiser(Protocol):
    """Any function that takes x_t `[B, *D]` and t, and returns a Prediction.

    t is one time or [B]; an ODE solver passes real times.

    It may be an exact mixture, an empirical data set, a network with its schedule, or a guided wrapper of any
    of these: samplers, the ELBO and the explorers use them all alike. All of ours also have `.schedule`, the
    schedule that they are for, and `.shape`, the shape of one example (None if any shape works). A function
    of your own does not need these; its caller then gives the schedule.
    """

    def __call__(self, x_t: Tensor, t: Reals, /) -> Prediction: ...


def named(denoise: Denoiser, schedule: NoiseSchedule | None, shape: Shape | None = None) -> Denoiser:
    """The function itself, with the attributes `.schedule` and `.shape`."""
    vars(denoise).update(schedule=schedule, shape=shape)
    return denoise


def own_schedule(denoiser: Denoiser, schedule: NoiseSchedule | None = None) -> NoiseSchedule:
    """The schedule that a denoiser was made for: its own if it has one, otherwise the one given.

    Raises ValueError if there is neither, if the two differ, and if `schedule` is not a NoiseSchedule.
    """
    if schedule is not None and not isinstance(schedule, NoiseSchedule):
        raise ValueError(f"schedule must be a NoiseSchedule; got {schedule!r}")
    own = getattr(denoiser, "schedule", None) or schedule
    if own is None:
        raise ValueError(f"schedule must be given: this denoiser has none of its own. ({HOW}.)")
    if schedule is not None:
        _check_same(own, schedule)
    return own


def check_prediction(prediction: object) -> Prediction:
    """The prediction, if it is one; otherwise a ValueError that says how to make one."""
    if not isinstance(prediction, Prediction):
        raise ValueError(
            f"denoiser must return a Prediction; it returned a {type(prediction).__name__}. {HOW}; "
            "a function of your own returns views.Prediction.from_eps(value, x_t, t, schedule), or from_x0, "
            "from_v, from_score"
        )
    return prediction


def check_schedule(prediction: Prediction, schedule: NoiseSchedule) -> Prediction:
    """The prediction; ValueError unless it is one, from a denoiser that was made for these tables."""
    _check_same(check_prediction(prediction).schedule, schedule)
    return prediction


def _check_same(own: NoiseSchedule, schedule: NoiseSchedule) -> None:
    if not same_numbers(own, schedule):
        differ = f"T is {own.T} there and {schedule.T} here"
        if own.T == schedule.T:
            t = int(((own.signal - schedule.signal).abs() + (own.sigma - schedule.sigma).abs()).argmax())
            differ = f"signal[{t}], sigma[{t}] are {own.signal[t]:.6g}, {own.sigma[t]:.6g} there"
            differ += f" and {schedule.signal[t]:.6g}, {schedule.sigma[t]:.6g} here"
        expected = f"schedule must be the one that the denoiser was made for, {own}"
        raise ValueError(f"{expected}; got {schedule}: {differ}")
