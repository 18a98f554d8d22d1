"""Exercises of notebook 14: the order of a method, Heun's step, that of DPM-Solver++(2M), noise levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic
from .exercise import Case, Exercise, Mistake

NOTEBOOK = "14_fast_samplers"
SHAPES = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
Slope = Callable[[Tensor, float], Tensor]


def observed_order(errors: Tensor) -> Tensor:
    """The order of a method, seen in its errors: one number for each doubling of the steps.

    errors [K] holds the errors of runs of N, 2N, 4N, … steps, K ≥ 2, all above 0. If the error falls like
    steps^(−p), then p is the order. Return the order that each run shows against the run before it: [K − 1].
    """
    return torch.log2(errors[:-1] / errors[1:])


def runs(generator: torch.Generator) -> Iterator[Case]:
    """Errors of two to six runs, of several orders, with some scatter."""
    for n in range(10):
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        scatter = torch.rand(2 + n % 5, generator=generator, dtype=dtype)
        yield ((0.3 + n) * 2.0 ** (-(1 + n % 3) * torch.arange(2 + n % 5)) * (0.5 + scatter),)


def heun_step(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    """x̄ at a lower noise level, by one step of Heun's method for dx̄/dσ̄ = ε̂(x̄, σ̄).

    x_bar [B, *D] is x̄ at the noise level bar_t. bar_s is the level to reach; both are numbers, and
    0 < bar_s < bar_t. eps is a function: eps(x_bar, level) is ε̂ there, in the shape of x_bar.
    Return x̄ at the level bar_s, in the shape of x_bar. The step calls eps twice.
    """
    here = eps(x_bar, bar_t)
    there = eps(x_bar + (bar_s - bar_t) * here, bar_s)
    return x_bar + (bar_s - bar_t) * (here + there) / 2


def of_a_gaussian(x_bar: Tensor, level: float) -> Tensor:
    """The exact ε̂ of data N(0.3, 0.25)."""
    return level * (x_bar - 0.3) / (0.25 + level**2)


def of_two_points(x_bar: Tensor, level: float) -> Tensor:
    """The exact ε̂ of data ±1, equally likely."""
    return (x_bar - torch.tanh(x_bar / level**2)) / level


def levels(generator: torch.Generator) -> Iterator[Case]:
    """Two noise levels far up, in the middle and far down; two kinds of data; all shapes."""
    steps = [(40.0, 11.0), (3.0, 1.2), (1.0, 0.6), (0.5, 0.3), (2.0, 0.4)]
    for n in range(12):
        bar_t, bar_s = steps[n % 5]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_bar = (1 + bar_t) * torch.randn(SHAPES[n % 4], generator=generator, dtype=dtype)
        yield x_bar, bar_t, bar_s, (of_a_gaussian, of_two_points)[n % 2]


def euler(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    return x_bar + (bar_s - bar_t) * eps(x_bar, bar_t)


def not_moved(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_t) + eps(x_bar, bar_s)) / 2


def old_level(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    there = eps(euler(x_bar, bar_t, bar_s, eps), bar_t)
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_t) + there) / 2


def no_half(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    there = eps(euler(x_bar, bar_t, bar_s, eps), bar_s)
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_t) + there)


def from_the_end(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    first = euler(x_bar, bar_t, bar_s, eps)
    return first + (bar_s - bar_t) * (eps(x_bar, bar_t) + eps(first, bar_s)) / 2


def end_alone(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    return x_bar + (bar_s - bar_t) * eps(euler(x_bar, bar_t, bar_s, eps), bar_s)


def upwards(x_bar: Tensor, bar_t: float, bar_s: float, eps: Slope) -> Tensor:
    here = eps(x_bar, bar_t)
    there = eps(x_bar + (bar_t - bar_s) * here, bar_s)
    return x_bar + (bar_t - bar_s) * (here + there) / 2


def dpm_2m_step(
    x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
) -> Tensor:
    """x_s, by one step of DPM-Solver++(2M): a DDIM step whose guess is extrapolated in log SNR.

    x_t [B, *D] is the state at time t. x0 is the guess x̂_0 made there; x0_before is the one that was made at
    t_before; both have the shape of x_t. The times t_before, t and s are whole numbers, with
    T ≥ t_before > t > s ≥ 1. schedule has the tables schedule.signal, schedule.sigma and schedule.log_snr.
    With h the gain in log SNR from t to s, and h_before that from t_before to t, the guess is
    D = x0 + h/(2 h_before) · (x0 − x0_before).
    Return x_s, in the shape of x_t: that of a DDIM step that takes D for x̂_0, and the ε̂ that belongs to D.
    """
    h_before = schedule.log_snr[t] - schedule.log_snr[t_before]
    h = schedule.log_snr[s] - schedule.log_snr[t]
    ahead = x0 + h / (2 * h_before) * (x0 - x0_before)
    eps = (x_t - schedule.signal[t] * ahead) / schedule.sigma[t]
    return schedule.signal[s] * ahead + schedule.sigma[s] * eps


def three_times(generator: torch.Generator) -> Iterator[Case]:
    """Uneven steps, near T, near 0 and between, on three schedules."""
    makers = [linear(), cosine(50), quadratic(100)]
    parts = [(1.0, 0.8, 0.5), (0.9, 0.3, 0.2), (0.4, 0.2, 0.02), (0.6, 0.5, 0.1), (0.08, 0.06, 0.02)]
    for n in range(12):
        schedule, shape = makers[n % 3], SHAPES[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t, x0, x0_before = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        t_before, t, s = (round(part * schedule.T) for part in parts[n % 5])
        yield x_t, x0, x0_before, t_before, t, s, schedule


def ddim_through(ahead: Tensor, x_t: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """The DDIM step with the guess `ahead`."""
    eps = (x_t - schedule.signal[t] * ahead) / schedule.sigma[t]
    return schedule.signal[s] * ahead + schedule.sigma[s] * eps


def with_share(share: Callable[..., Tensor | float]) -> Callable[..., Tensor]:
    """The step that adds `share(h, h_before, …)` of the last difference."""

    def function(
        x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
    ) -> Tensor:
        log_snr = schedule.log_snr
        part = share(log_snr[s] - log_snr[t], log_snr[t] - log_snr[t_before], t_before, t, s)
        return ddim_through(x0 + part * (x0 - x0_before), x_t, t, s, schedule)

    return function


def old_eps(
    x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
) -> Tensor:
    log_snr = schedule.log_snr
    part = (log_snr[s] - log_snr[t]) / (log_snr[t] - log_snr[t_before]) / 2
    eps = (x_t - schedule.signal[t] * x0) / schedule.sigma[t]
    return schedule.signal[s] * (x0 + part * (x0 - x0_before)) + schedule.sigma[s] * eps


def swapped(
    x_t: Tensor, x0: Tensor, x0_before: Tensor, t_before: int, t: int, s: int, schedule: NoiseSchedule
) -> Tensor:
    log_snr = schedule.log_snr
    ahead = x0 + (log_snr[s] - log_snr[t]) / (log_snr[t] - log_snr[t_before]) / 2 * (x0 - x0_before)
    eps = (x_t - schedule.sigma[t] * ahead) / schedule.signal[t]
    return schedule.sigma[s] * ahead + schedule.signal[s] * eps


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """Noise levels σ̄ for a run, evenly spaced in σ̄^(1/ρ).

    steps ≥ 2 is how many levels to return. The first is sigma_max, the last is sigma_min (numbers, with
    0 < sigma_min < sigma_max), and between them σ̄^(1/rho) falls in equal steps; rho ≥ 1 is a number.
    Return the levels as a tensor [steps]. No level 0 at the end.
    """
    share = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return (high + share * (low - high)) ** rho


def grids(generator: torch.Generator) -> Iterator[Case]:
    """Levels within a factor of four, so that a power of them is no harder to compute than a root."""
    for n in range(11):
        low, ratio = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        low = (0.02, 0.5, 3.0)[n % 3] * (1 + low)
        yield 2 + 3 * n % 11, low, low * (2 + 2 * ratio), (7.0, 3.0, 2.0, 5)[n % 4]


def at_shares(share: Tensor, low: float, high: float, rho: float) -> Tensor:
    """Levels at these shares of the way down, evenly spaced in the root."""
    return (high ** (1 / rho) + share * (low ** (1 / rho) - high ** (1 / rho))) ** rho


EXERCISES = (
    Exercise(
        solution=observed_order,
        cases=runs,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "natural logarithm for log2",
                lambda errors: torch.log(errors[:-1] / errors[1:]),
                "Your orders are 0.69 times the right ones.",
                "Ask which power of 2, not of e, the error was divided by.",
            ),
            Mistake(
                "decimal logarithm for log2",
                lambda errors: torch.log10(errors[:-1] / errors[1:]),
                "Your orders are 0.30 times the right ones.",
                "Ask which power of 2, not of 10, the error was divided by.",
            ),
            Mistake(
                "missing logarithm",
                lambda errors: errors[:-1] / errors[1:],
                "A method whose error falls to a quarter has order 2; you say 4.",
                "You have the factor that the error falls by; the order is a power.",
            ),
            Mistake(
                "first run for the run before",
                lambda errors: torch.log2(errors[0] / errors[1:]),
                "Your first number is right, and those after it grow.",
                "Each run is compared with the one that had half as many steps.",
            ),
            Mistake(
                "one order for all doublings",
                lambda errors: torch.log2(errors[:-1] / errors[1:]).mean().expand(len(errors) - 1),
                "You return one value for all doublings, their mean.",
                "The exercise asks for one number for each doubling.",
            ),
        ),
    ),
    Exercise(
        solution=heun_step,
        cases=levels,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "Euler's step for Heun's",
                euler,
                "You end where Euler's method ends.",
                "The second slope should change where the step goes.",
            ),
            Mistake(
                "second slope at the old place",
                not_moved,
                "Your second slope has the lower level, but not the place that the first step leads to.",
                "Look at the first argument of your second call of eps.",
            ),
            Mistake(
                "second slope at the old level",
                old_level,
                "Your second slope belongs to the new place, but to the old noise level.",
                "Look at the second argument of your second call of eps.",
            ),
            Mistake(
                "missing factor 1/2",
                no_half,
                "Your step is about twice as long as it should be.",
                "Look at how the two slopes become one.",
            ),
            Mistake(
                "second step from the end of the first",
                from_the_end,
                "Your slope is right, but the step begins where the first one ended.",
                "Ask from which point the mean slope sets out.",
            ),
            Mistake(
                "slope at the end alone",
                end_alone,
                "You went along the second slope and forgot the first.",
                "Ask what Heun's method does with its two slopes.",
            ),
            Mistake(
                "step in the wrong direction",
                upwards,
                "Your x̄ moves away from the data.",
                "The noise level falls: look at the sign of the step in it.",
            ),
        ),
    ),
    Exercise(
        solution=dpm_2m_step,
        cases=three_times,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "no extrapolation",
                lambda x_t, x0, x0_before, t_before, t, s, schedule: ddim_through(x0, x_t, t, s, schedule),
                "Your step is the one that DDIM takes from x0.",
                "The guess from before does not reach your result.",
            ),
            Mistake(
                "eps of the guess before extrapolation",
                old_eps,
                "Your D is right, but your noise does not belong to it.",
                "Guess and noise together must give x_t: ask which guess your ε̂ was made from.",
            ),
            Mistake(
                "missing factor 1/2",
                with_share(lambda h, h_before, t_before, t, s: h / h_before),
                "You extrapolate twice as far as you should.",
                "D is the guess in the middle of the step.",
            ),
            Mistake(
                "step in t for step in log SNR",
                with_share(lambda h, h_before, t_before, t, s: (t - s) / (2 * (t_before - t))),
                "Your D would be right if log SNR were a straight line in t.",
                "Look at the unit of your two steps h and h_before.",
            ),
            Mistake(
                "ratio upside down",
                with_share(lambda h, h_before, t_before, t, s: h_before / (2 * h)),
                "After a short step you extrapolate far, and after a long one little.",
                "Look at which of h and h_before divides the other.",
            ),
            Mistake(
                "extrapolated backwards",
                with_share(lambda h, h_before, t_before, t, s: -h / (2 * h_before)),
                "Your D lies on the side of the old guess.",
                "Look at which guess is subtracted from which, and at the sign of both steps.",
            ),
            Mistake(
                "signal and sigma swapped",
                swapped,
                "Your x_s holds noise where the data should be.",
                "Ask which of the two tables starts at 1.",
            ),
        ),
    ),
    Exercise(
        solution=karras_sigmas,
        cases=grids,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "rising for falling",
                lambda steps, sigma_min, sigma_max, rho: at_shares(
                    torch.linspace(0, 1, steps), sigma_max, sigma_min, rho
                ),
                "Your levels are right, in the opposite order.",
                "A sampler starts at the highest noise level.",
            ),
            Mistake(
                "even in sigma",
                lambda steps, sigma_min, sigma_max, rho: torch.linspace(sigma_max, sigma_min, steps),
                "Your levels are evenly spaced in σ̄ itself.",
                "Look at where rho comes in.",
            ),
            Mistake(
                "even in log SNR",
                lambda steps, sigma_min, sigma_max, rho: (
                    sigma_max * (sigma_min / sigma_max) ** torch.linspace(0, 1, steps)
                ),
                "Your levels are evenly spaced in their logarithm.",
                "The logarithm is what very large rho would give; here rho is finite.",
            ),
            Mistake(
                "rho upside down",
                lambda steps, sigma_min, sigma_max, rho: at_shares(
                    torch.linspace(0, 1, steps), sigma_min, sigma_max, 1 / rho
                ),
                "Your levels crowd together at the top; they should crowd at the bottom.",
                "Ask what is even: a power of σ̄, or a root of it.",
            ),
            Mistake(
                "last level missing",
                lambda steps, sigma_min, sigma_max, rho: at_shares(
                    torch.arange(steps) / steps, sigma_min, sigma_max, rho
                ),
                "Your last level is above sigma_min.",
                "Between that many levels there is one gap less.",
            ),
            Mistake(
                "zero at the end",
                lambda steps, sigma_min, sigma_max, rho: torch.cat(
                    [at_shares(torch.linspace(0, 1, steps), sigma_min, sigma_max, rho), torch.zeros(1)]
                ),
                "Your levels are right, with one more after them.",
                "The exercise ends at sigma_min; the sampler adds its last stop by itself.",
            ),
            Mistake(
                "power never taken",
                lambda steps, sigma_min, sigma_max, rho: torch.linspace(
                    sigma_max ** (1 / rho), sigma_min ** (1 / rho), steps
                ),
                "You return the roots of the levels.",
                "Go back from the root to the level in the end.",
            ),
        ),
    ),
)
