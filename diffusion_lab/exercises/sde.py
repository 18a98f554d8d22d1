"""Exercises of notebook 13: the path of an SDE, the velocity of its ODE, a step back with noise, Langevin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake

NOTEBOOK = "13_sde"
SHAPES = [(4, 2), (3, 3), (2, 1, 4, 4), (1, 3), (5, 1), (4, 4)]


# ------------------------------------------------------------------------------------------ the path of VP
def vp_path(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    """signal(u) and sigma(u) of the variance-preserving SDE, whose beta rises linearly.

    u [B] holds times in [0, 1]. beta(u) is a straight line, from beta_min at u = 0 to beta_max at u = 1.
    The SDE is dx = −½ beta(u) x du + √beta(u) dω. Its solution is x(u) = signal(u) x_0 + sigma(u) ε, with ε
    from N(0, I). Return the pair (signal, sigma), each of u's shape.
    """
    integral = beta_min * u + (beta_max - beta_min) * u**2 / 2
    signal = torch.exp(-integral / 2)
    sigma = torch.sqrt(1 - torch.exp(-integral))
    return signal, sigma


def vp_cases(generator: torch.Generator) -> Iterator[Case]:
    """Times at both ends and between, in two dtypes; slow, fast and constant betas."""
    rates = [(0.1, 20.0), (0.5, 8.0), (2.0, 2.0), (0.2, 3.0), (1.0, 5.0)]
    for n in range(10):
        dtype = torch.float32 if n % 5 == 3 else torch.float64
        u = 0.05 + 0.95 * torch.rand(1 + n % 4, generator=generator, dtype=dtype)
        if n % 3 == 1:
            u[0], u[-1] = 0, 1
        yield u, *rates[n % 5]


def path_of(rate: Callable[[Tensor, float, float], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The path that belongs to another integral of beta."""

    def function(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
        integral = rate(u, beta_min, beta_max)
        return (-integral / 2).exp(), (-torch.expm1(-integral)).sqrt()

    return function


def whole_exponent(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    signal, sigma = vp_path(u, beta_min, beta_max)
    return signal**2, sigma


def whole_exponent_in_both(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    signal, _ = vp_path(u, beta_min, beta_max)
    return signal**2, (1 - signal**4).sqrt()


def variance_of_path(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    signal, sigma = vp_path(u, beta_min, beta_max)
    return signal, sigma**2


def swapped_path(u: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    signal, sigma = vp_path(u, beta_min, beta_max)
    return sigma, signal


HALF = "missing factor 1/2"
FASTER = "Your signal fades faster than the SDE lets it fade."
VP_MISTAKES = (
    Mistake(
        "variance for standard deviation",
        variance_of_path,
        "Your signal is right, but your sigma is too small wherever it lies between 0 and 1.",
        "Ask of your second line whether it gives the variance of the noise or its standard deviation.",
    ),
    Mistake(
        HALF, whole_exponent, FASTER, "Compare your exponent with the drift of the SDE, factor by factor."
    ),
    Mistake(
        HALF,
        whole_exponent_in_both,
        FASTER,
        "Compare your exponent with the drift of the SDE, factor by factor.",
    ),
    Mistake(
        HALF,
        path_of(lambda u, low, high: low * u + (high - low) * u**2),
        "Your path is right where beta is constant, and too fast where beta rises.",
        "Look at the integral of a straight line: beta was smaller before u than it is at u.",
    ),
    Mistake(
        "beta for its integral",
        path_of(lambda u, low, high: low + (high - low) * u),
        "At u = 0 your path already holds noise.",
        "What fades the signal is all of beta from 0 up to u, not its value at u.",
    ),
    Mistake(
        "beta_max for the rise of beta",
        path_of(lambda u, low, high: low * u + high * u**2 / 2),
        "Your path goes a little too fast, most of all where beta_min is large.",
        "Check what your beta(u) is at u = 1.",
    ),
    Mistake(
        "signal and sigma swapped",
        swapped_path,
        "At u = 0 your first result is 0 and your second is 1.",
        "Ask which of the two starts at 1.",
    ),
)


# ------------------------------------------------------------------------------------- the ODE's velocity
def ode_drift(x: Tensor, score: Tensor, a: Tensor, g: Tensor) -> Tensor:
    """The velocity dx/du of the probability-flow ODE.

    x and score have one shape, [B, *D]; score is ∇ log q_u(x). a and g have the shape [B]: example i is at
    a time of its own, where the SDE is dx = a[i] x du + g[i] dω. Return dx/du, in the shape of x.
    """
    a = a.reshape(-1, *[1] * (x.ndim - 1))
    g = g.reshape(-1, *[1] * (x.ndim - 1))
    return a * x - g**2 / 2 * score


def drift_cases(generator: torch.Generator) -> Iterator[Case]:
    """Batches of several shapes, B = D among them; every example has its own a and g."""
    for n in range(12):
        shape, dtype = SHAPES[n % 6], torch.float32 if n % 5 == 4 else torch.float64
        x, score = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        a = -3 * torch.rand(shape[0], generator=generator, dtype=dtype)
        yield x, score, a, 0.3 + 3 * torch.rand(shape[0], generator=generator, dtype=dtype)


def drift_of(
    formula: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """A formula in x, score, a and g, the latter two in the right shape."""

    def function(x: Tensor, score: Tensor, a: Tensor, g: Tensor) -> Tensor:
        shape = [len(x)] + [1] * (x.ndim - 1)
        return formula(x, score, a.view(shape), g.view(shape))

    return function


DRIFT_MISTAKES = (
    Mistake(
        HALF,
        drift_of(lambda x, score, a, g: a * x - g * g * score),
        "The part with the score is twice what it should be: this is the drift of the reverse SDE.",
        "Compare the last lines of the two derivations.",
    ),
    Mistake(
        "standard deviation for variance",
        drift_of(lambda x, score, a, g: a * x - g * score / 2),
        "The part with the score is too small where g is above 1, and too large below.",
        "Look at the power of g: noise with the factor g has which variance?",
    ),
    Mistake(
        "score with the wrong sign",
        drift_of(lambda x, score, a, g: a * x + g * g * score / 2),
        "The part with a is right, and the part with the score has the other sign.",
        "Ask which way x should go along the score when u falls, and what that means for dx/du.",
    ),
    Mistake(
        "t along the last axis",
        lambda x, score, a, g: a * x - g**2 / 2 * score,
        "It works for one example, fails for most shapes, and is silently wrong where B = D.",
        "The shape [B] meets the last axis of x, not the first one.",
    ),
    Mistake(
        "drift left out",
        drift_of(lambda x, score, a, g: -(g**2) * score / 2),
        "Your velocity has no part that comes from a.",
        "Without noise, dx/du would be a x; ask what became of it.",
    ),
    Mistake(
        "x left out of the drift",
        drift_of(lambda x, score, a, g: a - g**2 * score / 2),
        "The part with the score is right; what comes from a does not depend on x.",
        "Read the drift of the SDE once more: it is linear in x.",
    ),
)


# -------------------------------------------------------------------------------- a step of the reverse SDE
def reverse_sde_step(
    x: Tensor, score: Tensor, a: float, g: float, u: float, s: float, noise: Tensor
) -> Tensor:
    """One Euler–Maruyama step of the reverse SDE, from the time u back to an earlier time s < u.

    x, score and noise have one shape, [B, *D]: the state at u, ∇ log q_u(x), and a draw from N(0, I). a and g
    are the two coefficients at u, as numbers; s is 0 or more. The reverse SDE is
    dx = [a x − g² score] du + g dω̄, with du < 0. Return the state at s, in the shape of x. A step that ends
    at s = 0 adds no noise.
    """
    h = u - s
    x = x - (a * x - g**2 * score) * h
    if s > 0:
        x = x + g * math.sqrt(h) * noise
    return x


def step_cases(generator: torch.Generator) -> Iterator[Case]:
    """Steps long and short, from u = 1 and below, some of them down to 0."""
    for n in range(12):
        shape, dtype = SHAPES[n % 6], torch.float32 if n % 5 == 4 else torch.float64
        x, score, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        high, part, a, g = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        u = 1.0 if n % 4 == 0 else 0.3 + 0.6 * high
        s = 0.0 if n % 3 == 2 else u * (0.2 + 0.7 * part)
        yield x, score, -3 * a, 0.3 + 2.5 * g, u, s, noise


def step_of(
    drift: Callable[[Tensor, Tensor, float, float], Tensor],
    spread: Callable[[float, float], float] = lambda g, h: g * h**0.5,
    sign: float = -1.0,
    last: bool = False,
) -> Callable[..., Tensor]:
    """A step with another drift, another width of the noise, another sign, or noise in the last step."""

    def function(x: Tensor, score: Tensor, a: float, g: float, u: float, s: float, noise: Tensor) -> Tensor:
        moved = x + sign * (u - s) * drift(x, score, a, g)
        return moved + spread(g, u - s) * noise if s > 0 or last else moved

    return function


def reverse_drift(x: Tensor, score: Tensor, a: float, g: float) -> Tensor:
    return a * x - g**2 * score


STEP_MISTAKES = (
    Mistake(
        "du with the wrong sign",
        step_of(reverse_drift, sign=1.0),
        "Your step moves x the wrong way along the drift; the noise is right.",
        "Time falls in this step: ask which sign du has.",
    ),
    Mistake(
        "missing square root",
        step_of(reverse_drift, lambda g, h: g * h),
        "Your noise is too weak, and the more so the shorter the step.",
        "The variance of a Brownian increment is the time it takes; ask what its standard deviation is.",
    ),
    Mistake(
        "variance for standard deviation",
        step_of(reverse_drift, lambda g, h: g**2 * h**0.5),
        "Your noise grows with g twice as fast as it should.",
        "Look at the power of g in front of the noise.",
    ),
    Mistake(
        "variance for standard deviation",
        step_of(reverse_drift, lambda g, h: g**2 * h),
        "You multiply the noise by its variance.",
        "Look at the powers of g and of the step in front of the noise.",
    ),
    Mistake(
        "the ODE's factor 1/2",
        step_of(lambda x, score, a, g: a * x - g**2 * score / 2),
        "Your drift is that of the ODE, and you add noise as well.",
        "The drift must also take back what the fresh noise spreads.",
    ),
    Mistake(
        "noise in the last step",
        step_of(reverse_drift, last=True),
        "Your step is right, unless it ends at s = 0.",
        "Ask what the last noise is good for, when nothing removes it any more.",
    ),
    Mistake(
        "score left out",
        step_of(lambda x, score, a, g: a * x),
        "Your step does not depend on the score.",
        "You use the drift of the forward SDE; look at what the way back adds to it.",
    ),
    Mistake(
        "score with the wrong sign",
        step_of(lambda x, score, a, g: a * x + g**2 * score),
        "Your step moves x away from where the density is high.",
        "Look at the sign in front of the score.",
    ),
    Mistake(
        "standard deviation for variance",
        step_of(lambda x, score, a, g: a * x - g * score),
        "The part of your drift with the score has the wrong size; the rest is right.",
        "Look at the power of g in front of the score.",
    ),
)


# --------------------------------------------------------------------------------------------- Langevin
def langevin_step(x: Tensor, eps: Tensor, sigma: float, rate: float, noise: Tensor) -> Tensor:
    """One step of Langevin dynamics at a fixed noise level, with the step size δ = rate · sigma².

    x, eps and noise have one shape, [B, *D]: the state, the prediction ε̂ of the noise in it, and a fresh draw
    from N(0, I). sigma is the standard deviation of the noise at this level; rate is a number. With
    score = −eps/sigma, the step is x ← x + ½ δ score + √δ noise. Return the new state, in the shape of x.
    """
    delta = rate * sigma**2
    score = -eps / sigma
    return x + delta / 2 * score + math.sqrt(delta) * noise


def langevin_cases(generator: torch.Generator) -> Iterator[Case]:
    """Noise levels and rates above and below 1."""
    for n in range(10):
        shape, dtype = SHAPES[n % 6], torch.float32 if n % 5 == 3 else torch.float64
        x, eps, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(3))
        one, two = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        yield x, eps, 0.2 + (4 if n % 2 else 0.6) * one, 0.1 + (2 if n % 3 else 0.3) * two, noise


def langevin_of(
    move: Callable[[Tensor, float, float], Tensor],
    width: Callable[[float, float], float] = lambda sigma, rate: sigma * rate**0.5,
) -> Callable[[Tensor, Tensor, float, float, Tensor], Tensor]:
    """A step with another move, in eps, sigma and rate, or another width of the noise."""

    def function(x: Tensor, eps: Tensor, sigma: float, rate: float, noise: Tensor) -> Tensor:
        return x + move(eps, sigma, rate) + width(sigma, rate) * noise

    return function


def right_move(eps: Tensor, sigma: float, rate: float) -> Tensor:
    return -rate * sigma * eps / 2


LANGEVIN_MISTAKES = (
    Mistake(
        HALF,
        langevin_of(lambda eps, sigma, rate: -rate * sigma * eps),
        "You move twice as far along the score as you should; the noise is right.",
        "Compare the two factors in which the step size stands.",
    ),
    Mistake(
        "the other convention of the step size",
        langevin_of(
            lambda eps, sigma, rate: -rate * sigma * eps, lambda sigma, rate: sigma * (2 * rate) ** 0.5
        ),
        "Your step is Langevin dynamics, with a step size twice as large as asked for.",
        "Some papers write 2 δ under the root; look at how the task does it.",
    ),
    Mistake(
        "missing square root",
        langevin_of(right_move, lambda sigma, rate: rate * sigma**2),
        "Your noise has the wrong width; the move along the score is right.",
        "Ask what the variance of the added noise should be.",
    ),
    Mistake(
        "noise left out",
        langevin_of(right_move, lambda sigma, rate: 0.0),
        "Your step draws no noise: it only climbs.",
        "Without noise all points would end on the peaks of the density.",
    ),
    Mistake(
        "score with the wrong sign",
        langevin_of(lambda eps, sigma, rate: rate * sigma * eps / 2),
        "You move away from where the density is high.",
        "Ask which sign there is between eps and the score.",
    ),
    Mistake(
        "eps for score",
        langevin_of(lambda eps, sigma, rate: rate * sigma**2 * eps / 2),
        "You move along eps itself.",
        "Two things turn eps into the score: a sign and a number.",
    ),
    Mistake(
        "eps for score",
        langevin_of(lambda eps, sigma, rate: -rate * sigma**2 * eps / 2),
        "You move the right way, and too far wherever sigma is above 1.",
        "Ask what eps must be divided by.",
    ),
    Mistake(
        "standard deviation for variance",
        langevin_of(lambda eps, sigma, rate: -rate * eps / 2, lambda sigma, rate: (rate * sigma) ** 0.5),
        "Your step size goes with sigma, not with its square.",
        "A step size is a variance; look at your first line.",
    ),
)

EXERCISES = (
    Exercise(vp_path, vp_cases, VP_MISTAKES, NOTEBOOK),
    Exercise(ode_drift, drift_cases, DRIFT_MISTAKES, NOTEBOOK),
    Exercise(reverse_sde_step, step_cases, STEP_MISTAKES, NOTEBOOK),
    Exercise(langevin_step, langevin_cases, LANGEVIN_MISTAKES, NOTEBOOK),
)
