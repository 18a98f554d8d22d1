"""The exercise `ddpm_step` of notebook 08."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule
from ..exercise import Case, Exercise, Mistake
from .ddim_step import jumps

NOTEBOOK = "08_sampling"


EARLY = (
    "Your step is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


def ddpm_step(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """One step of DDPM, from t to an earlier s: Algorithm 2 of Ho et al., with fresh noise of variance β.

    x_t, eps (the network's guess ε̂ at x_t) and noise (the z drawn from N(0, I)) have one shape, `[B, *D]`;
    s < t are times from 0 to T, not always neighbours. α and β are those of the step from s to t: α =
    ᾱ_t/ᾱ_s, β = 1 − α. schedule.alpha_bar, schedule.signal and schedule.sigma are tables; the schedule is
    variance-preserving. If s is 0, no noise is added. Return x_s, in the shape of x_t.
    """
    alpha = schedule.alpha_bar[t] / schedule.alpha_bar[s]
    beta = 1 - alpha
    mean = (x_t - beta / schedule.sigma[t] * eps) / alpha.sqrt()
    return mean + beta.sqrt() * noise if s > 0 else mean


def noisy_jumps(generator: torch.Generator) -> Iterator[Case]:
    """The steps of `jumps`, each with fresh noise."""
    for x_t, eps, t, s, schedule in jumps(generator):
        yield x_t, eps, t, s, schedule, torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype)


Parts = tuple[Tensor, Tensor, Tensor]


def one_step_tables(t: int, s: int, schedule: NoiseSchedule) -> Parts:
    return schedule.alpha[t], schedule.beta[t], schedule.sigma[t]


def strided(t: int, s: int, schedule: NoiseSchedule) -> Parts:
    alpha = schedule.alpha_bar[t] / schedule.alpha_bar[s]
    return alpha, 1 - alpha, schedule.sigma[t]


def step_with(
    rule: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int], Tensor],
    parts: Callable[[int, int, NoiseSchedule], Parts] = strided,
) -> Callable[..., Tensor]:
    """A step by another rule, from x_t, ε̂, α, β, sigma_t, the noise (0 in the last step), and s."""

    def function(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
        return rule(x_t, eps, *parts(t, s, schedule), noise if s > 0 else 0 * noise, s)

    return function


def with_last_noise(
    x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: noise in the last step."""
    alpha, beta, sigma = strided(t, s, schedule)
    return (x_t - beta / sigma * eps) / alpha.sqrt() + beta.sqrt() * noise


def usual(x: Tensor, eps: Tensor, alpha: Tensor, beta: Tensor, sigma: Tensor, z: Tensor, s: int) -> Tensor:
    return (x - beta / sigma * eps) / alpha.sqrt() + beta.sqrt() * z


def small_variance(
    x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: the other variance."""
    alpha, beta, sigma = strided(t, s, schedule)
    mean = (x_t - beta / sigma * eps) / alpha.sqrt()
    return mean + schedule.sigma[s] / sigma * beta.sqrt() * noise


def noise_of_time_s(
    x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: noise of time s for that of the step."""
    alpha, beta, sigma = strided(t, s, schedule)
    return (x_t - beta / sigma * eps) / alpha.sqrt() + schedule.sigma[s] * noise


def sigma_of_s(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """The mistake: alpha_bar of s for that of t."""
    alpha, beta, _ = strided(t, s, schedule)
    return usual(x_t, eps, alpha, beta, schedule.sigma[s], noise if s > 0 else 0 * noise, s)


LONG = (
    "It is right where s is t − 1, and wrong on longer steps.",
    "The table's α_t and β_t belong to one small step: ask what those of the whole step are.",
)


LAST = (
    "Where s is 0, your sample has noise in it.",
    "Algorithm 2 treats the last step differently: look at its line for z.",
)


EXERCISE = Exercise(
    solution=ddpm_step,
    cases=noisy_jumps,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("noise in the last step", with_last_noise, *LAST),
        Mistake(
            "variance for standard deviation",
            step_with(lambda x, e, a, b, sd, z, s: (x - b / sd * e) / a.sqrt() + b * z),
            "Your fresh noise is too weak.",
            "Ask whether β is a variance, and by what a draw from N(0, I) has to be multiplied.",
        ),
        Mistake("beta of one step for a long one", step_with(usual, one_step_tables), *LONG),
        Mistake(
            "missing square root",
            step_with(lambda x, e, a, b, sd, z, s: (x - b / sd * e) / a + b.sqrt() * z),
            "Your mean is too large.",
            "Look at what the bracket in Algorithm 2 is divided by.",
        ),
        Mistake(
            "alpha for alpha_bar",
            step_with(lambda x, e, a, b, sd, z, s: (x - b / b.sqrt() * e) / a.sqrt() + b.sqrt() * z),
            "You take away too much of ε̂.",
            "Ask for each root in Algorithm 2 whether there is a bar over its α.",
        ),
        Mistake(
            "standard deviation for variance",
            step_with(lambda x, e, a, b, sd, z, s: (x - b.sqrt() / sd * e) / a.sqrt() + b.sqrt() * z),
            "You take away too much of ε̂.",
            "Look at the factor of ε̂ in Algorithm 2: ask for each part of it whether it stands under a root.",
        ),
        Mistake(
            "all the noise taken away at once",
            step_with(lambda x, e, a, b, sd, z, s: (x - sd * e) / a.sqrt() + b.sqrt() * z),
            "Your mean has no noise left of what was in x_t.",
            "A step takes away a part of the noise: look at the factor of ε̂ in Algorithm 2.",
        ),
        Mistake(
            "alpha_bar of s for that of t",
            sigma_of_s,
            "You take away too much of ε̂, and at s = 0 you divide by 0.",
            "Ask how large the noise is in x_t, which ε̂ was guessed from.",
        ),
        Mistake(
            "mean for sample",
            step_with(lambda x, e, a, b, sd, z, s: (x - b / sd * e) / a.sqrt() + 0 * z),
            "Your result does not depend on noise.",
            "Algorithm 2 adds something in every step but the last.",
        ),
        Mistake(
            "the other variance",
            small_variance,
            "Your noise has the variance of q(x_s|x_t, x_0), which is the other choice of the paper.",
            "The task asks for the variance β of the step.",
        ),
        Mistake(
            "noise of time s for that of the step",
            noise_of_time_s,
            "Your fresh noise is as large as all the noise at s.",
            "Only a part of the noise is drawn anew: look for the last term of Algorithm 2.",
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule, noise: ddpm_step(x_t, eps, t - 1, s, schedule, noise),
            *EARLY,
        ),
    ),
)
