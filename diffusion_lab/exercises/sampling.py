"""Exercises of notebook 08: the times to visit, a step of DDIM and of DDPM, and the loop around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic
from .exercise import Case, Exercise, Mistake

NOTEBOOK = "08_sampling"
Network = Callable[[Tensor, int], Tensor]
Times = list[int]
EARLY = (
    "Your step is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


# --- DDIM -------------------------------------------------------------------------------------------------


def ddim_step(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """One step of DDIM, from the time t to an earlier time s. Nothing is drawn.

    x_t and eps (the network's guess ε̂ at x_t) have one shape, [B, *D]; s < t are times from 0 to T, not
    always neighbours. schedule.signal and schedule.sigma are the two tables. Return x_s, in the shape of
    x_t.
    """
    x0 = (x_t - schedule.sigma[t] * eps) / schedule.signal[t]
    return schedule.signal[s] * x0 + schedule.sigma[s] * eps


def jumps(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, int, int, NoiseSchedule]]:
    """Long steps and steps of one, from T and to 0 among them; several shapes, two dtypes, three
    schedules.
    """
    makers, shapes = [linear(), cosine(50), quadratic(100)], [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(14):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t, eps = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        T = schedule.T
        t = int(torch.randint(T // 3, 2 * T // 3, (), generator=generator))
        s = int(torch.randint(2, T // 4, (), generator=generator))
        t, s = [(t, s), (t, t - 1), (T, s), (t, 0), (2, 1), (1, 0), (t, s)][n % 7]
        yield x_t, eps, t, s, schedule


def two_times(t: int, s: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return schedule.signal[t], schedule.sigma[t], schedule.signal[s], schedule.sigma[s]


def state_for_guess(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    _, _, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * x_t + sigma_s * eps


def noise_kept(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, _ = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal + sigma * eps


def signal_kept(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    _, sigma, _, sigma_s = two_times(t, s, schedule)
    return x_t - sigma * eps + sigma_s * eps


def undivided(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    _, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) + sigma_s * eps


def swapped(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return sigma_s * (x_t - sigma * eps) / signal + signal_s * eps


def squared_at_s(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal + sigma_s**2 * eps


def squared_twice(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma**2 * eps) / signal + sigma_s**2 * eps


def unrooted(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s**2 * (x_t - sigma * eps) / signal**2 + sigma_s * eps


def backwards(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    return ddim_step(x_t, eps, s, t, schedule)


def neighbour(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:  # noqa: ARG001
    return ddim_step(x_t, eps, t, t - 1, schedule)


def guess_only(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, _ = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal


def minus_noise(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    signal, sigma, signal_s, sigma_s = two_times(t, s, schedule)
    return signal_s * (x_t - sigma * eps) / signal - sigma_s * eps


SQUARED = (
    "The noise in your x_s has the wrong size.",
    "Ask which power of sigma stands before ε in the closed form, at t and at s.",
)

DDIM = Exercise(
    solution=ddim_step,
    cases=jumps,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "x_t for x̂_0",
            state_for_guess,
            "At s = 0 you return x_t, noise and all.",
            "Two things go into x_s, a clean guess and a noise: ask whether yours is clean.",
        ),
        Mistake(
            "noise of time t in x_s",
            noise_kept,
            "Your x_s is as noisy as x_t was.",
            "Ask which entry of sigma says how much noise there is at s.",
        ),
        Mistake(
            "signal of time t in x_s",
            signal_kept,
            "Your x_s has less noise than x_t, and no more data.",
            "Ask how large the data is in x_s: two entries of signal come in.",
        ),
        Mistake(
            "not divided by signal",
            undivided,
            "At s = 0 what you return is signal_t · x̂_0.",
            "After the noise is gone, signal · x_0 is left: ask what is missing.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped,
            "At s = 0 what you return is the noise.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake("variance for standard deviation", squared_at_s, *SQUARED),
        Mistake("variance for standard deviation", squared_twice, *SQUARED),
        Mistake(
            "alpha_bar for its square root",
            unrooted,
            "Your data has the wrong size wherever signal is below 1.",
            "Look at the factor of x_0 in the closed form, and at what schedule.alpha_bar is.",
        ),
        Mistake(
            "t and s swapped",
            backwards,
            "Your step leads to more noise, not to less.",
            "Ask at which of the two times x_t is given.",
        ),
        Mistake(
            "a step of one, whatever s is",
            neighbour,
            "It is right where s is t − 1 only.",
            "The step leads to s: look for t − 1 in your code.",
        ),
        Mistake(
            "noise left out",
            guess_only,
            "Your x_s holds no noise at all.",
            "A state at s has noise of size sigma_s in it: ask where it should come from.",
        ),
        Mistake(
            "minus for plus",
            minus_noise,
            "The noise in your x_s has the wrong sign.",
            "Once the noise is put back in, it is added as in the closed form.",
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule: ddim_step(x_t, eps, t - 1, s, schedule),
            *EARLY,
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule: ddim_step(x_t, eps, t - 1, s - 1, schedule),
            *EARLY,
        ),
        Mistake(
            "off by one in t",
            lambda x_t, eps, t, s, schedule: ddim_step(x_t, eps, t - 1, max(s - 1, 0), schedule),
            *EARLY,
        ),
    ),
)


# --- DDPM -------------------------------------------------------------------------------------------------


def ddpm_step(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """One step of DDPM, from t to an earlier s: Algorithm 2 of Ho et al., with fresh noise of variance β.

    x_t, eps (the network's guess ε̂ at x_t) and noise (the z drawn from N(0, I)) have one shape, [B, *D];
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


def one_step_tables(t: int, s: int, schedule: NoiseSchedule) -> Parts:  # noqa: ARG001
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
    alpha, beta, sigma = strided(t, s, schedule)
    return (x_t - beta / sigma * eps) / alpha.sqrt() + beta.sqrt() * noise


def usual(x: Tensor, eps: Tensor, alpha: Tensor, beta: Tensor, sigma: Tensor, z: Tensor, s: int) -> Tensor:  # noqa: ARG001
    return (x - beta / sigma * eps) / alpha.sqrt() + beta.sqrt() * z


def small_variance(
    x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    alpha, beta, sigma = strided(t, s, schedule)
    mean = (x_t - beta / sigma * eps) / alpha.sqrt()
    return mean + schedule.sigma[s] / sigma * beta.sqrt() * noise


def noise_of_time_s(
    x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    alpha, beta, sigma = strided(t, s, schedule)
    return (x_t - beta / sigma * eps) / alpha.sqrt() + schedule.sigma[s] * noise


def sigma_of_s(x_t: Tensor, eps: Tensor, t: int, s: int, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
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

DDPM = Exercise(
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


# --- the times --------------------------------------------------------------------------------------------


def strided_times(T: int, steps: int) -> Times:
    """The times that a sampler visits in so many steps, falling from T to 0 ("trailing").

    T and steps are whole numbers, 1 ≤ steps ≤ T. Time number i, for i from 0 to steps, is T · (steps −
    i)/steps, rounded to the nearest whole number. Return the list of all steps + 1 times: the first is T,
    the last is 0.
    """
    return [round(T * (steps - i) / steps) for i in range(steps + 1)]


def runs(generator: torch.Generator) -> Iterator[Case]:  # noqa: ARG001
    """Few and many steps: dividing T or not, and nowhere exactly between two whole numbers."""
    yield from [(1000, 50), (1000, 7), (50, 6), (10, 10), (1000, 1), (100, 30), (1000, 3), (40, 9), (1, 1)]
    yield from [(1000, 999), (17, 5), (300, 11)]


def by_whole_strides(T: int, steps: int) -> list[int]:
    """What many codes do: multiples of T // steps, which may end below T."""
    return [i * (T // steps) for i in range(steps)][::-1]


TRAILING = (
    "Your first time is below T.",
    "The run starts from pure noise: ask at which t the network has seen that.",
)

TIMES = Exercise(
    solution=strided_times,
    cases=runs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("times that leave out T", by_whole_strides, *TRAILING),
        Mistake("times that leave out T", lambda T, steps: strided_times(T, steps)[1:], *TRAILING),
        Mistake(
            "times that leave out T",
            lambda T, steps: [i * (T // steps) for i in range(steps + 1)][::-1],
            *TRAILING,
        ),
        Mistake(
            "times that leave out 0",
            lambda T, steps: strided_times(T, steps)[:-1],
            "Your last time is above 0.",
            "The run must end at clean data: so many steps have one more time than there are steps.",
        ),
        Mistake(
            "rising times",
            lambda T, steps: strided_times(T, steps)[::-1],
            "Your times rise.",
            "Sampling goes from noise to data: ask which of T and 0 comes first.",
        ),
        Mistake(
            "off by one in t",
            lambda T, steps: [t - 1 for t in strided_times(T, steps)],
            "Your times run from T − 1 to −1.",
            "Here t = 0 is clean data and t = T is noise; nothing is shifted by 1.",
        ),
        Mistake(
            "rounded down",
            lambda T, steps: [T * (steps - i) // steps for i in range(steps + 1)],
            "It is right where steps divides T, and otherwise up to 1 too low.",
            "The task asks for the nearest whole number.",
        ),
        Mistake(
            "rounded down",
            lambda T, steps: [T - T * i // steps for i in range(steps + 1)],
            "It is right where steps divides T, and otherwise up to 1 off.",
            "The task asks for the nearest whole number.",
        ),
        Mistake(
            "one step too few",
            lambda T, steps: torch.linspace(T, 0, steps, dtype=torch.float64).round().long(),
            "Your list has as many times as steps.",
            "Count the gaps between your times: each of them is a step.",
        ),
        Mistake(
            "not rounded",
            lambda T, steps: [T * (steps - i) / steps for i in range(steps + 1)],
            "Some of your times are no whole numbers.",
            "Tables are indexed by whole times.",
        ),
    ),
)


# --- the loop ---------------------------------------------------------------------------------------------


def sample_loop(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    """The whole of DDIM: from the noise x_T to a sample.

    network(x, t) is the guess ε̂ at the noise in x, a tensor of the shape of x; x_T has the shape [B,
    *D]; times is a list of falling times, from T to 0, such as [1000, 500, 0]. schedule.signal and
    schedule.sigma are the two tables. Take one step of DDIM for each neighbouring pair of times, with one
    call of the network in each. Return the last state, in the shape of x_T.
    """
    x = x_T
    for t, s in pairwise(times):
        eps = network(x, t)
        x0 = (x - schedule.sigma[t] * eps) / schedule.signal[t]
        x = schedule.signal[s] * x0 + schedule.sigma[s] * eps
    return x


def gaussian_network(schedule: NoiseSchedule, mean: float, std: float) -> Network:
    """ε̂ of the best denoiser for data from N(mean, std² I)."""

    def toy_network(x: Tensor, t: int) -> Tensor:
        signal, sigma = schedule.signal[t], schedule.sigma[t]
        return sigma * (x - signal * mean) / ((signal * std) ** 2 + sigma**2)

    return toy_network


def bent_network(schedule: NoiseSchedule, size: float) -> Network:
    """ε̂ of data that is ±size in each coordinate."""

    def toy_network(x: Tensor, t: int) -> Tensor:
        signal, sigma = schedule.signal[t], schedule.sigma[t].clamp(min=1e-3)
        return (x - signal * size * torch.tanh(size * signal * x / sigma**2)) / sigma

    return toy_network


def whole_runs(generator: torch.Generator) -> Iterator[Case]:
    """Two kinds of networks, runs of one step and of several, even and uneven; several shapes, two dtypes."""
    makers, shapes = (
        [linear(), quadratic(100, beta_T=0.1), linear(50, beta_T=0.2)],
        [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)],
    )
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        x_T = torch.randn(shape, generator=generator, dtype=torch.float32 if n in (4, 11) else torch.float64)
        size = 0.3 + torch.rand((), generator=generator).item()
        network = bent_network(schedule, size) if n % 2 else gaussian_network(schedule, 0.5, size)
        T = schedule.T
        times = [[T, 0], [T, T // 2, 0], [T, 2 * T // 3, T // 5, 3, 0], [T, T - 1, T // 3, 1, 0]][
            (n // 3 + n) % 4
        ]
        yield network, x_T, schedule, times


Ask = Callable[[Network, Tensor, Tensor, int, int], Tensor]


def loop_with(
    ask: Ask = lambda network, x, x_T, t, s: network(x, t),  # noqa: ARG005
    cut: slice = slice(None),
    step: Callable[..., Tensor] = ddim_step,
) -> Callable[..., Tensor]:
    """A loop that asks the network differently, visits other times, or takes another step."""

    def function(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
        x, times = x_T, times[cut]
        for t, s in pairwise(times):
            x = step(x, ask(network, x, x_T, t, s), t, s, schedule)
        return x

    return function


def restarting(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    x = x_T
    for t, s in pairwise(times):
        x = ddim_step(x_T, network(x_T, t), t, s, schedule)
    return x


def one_call(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    x, eps = x_T, network(x_T, times[0])
    for t, s in pairwise(times):
        x = ddim_step(x, eps, t, s, schedule)
    return x


def to_the_one_before(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    x = x_T
    for t in times[:-1]:
        x = ddim_step(x, network(x, t), t, t - 1, schedule)
    return x


LOOP = Exercise(
    solution=sample_loop,
    cases=whole_runs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "network asked at the wrong time",
            loop_with(lambda network, x, x_T, t, s: network(x, s)),
            "The network was asked about x at a time that is not its own.",
            "Ask how much noise is in x before the step, and which time belongs to that.",
        ),
        Mistake(
            "network asked about x_T in every step",
            loop_with(lambda network, x, x_T, t, s: network(x_T, t)),
            "The network was shown the same x in every step.",
            "Look at which variable your loop changes, and which one the network gets.",
        ),
        Mistake(
            "every step taken from x_T",
            restarting,
            "Your result depends on the last step only.",
            "Look at which variable your loop changes, and where the next step starts from.",
        ),
        Mistake(
            "network asked only once",
            one_call,
            "The network was called once, before the loop.",
            "The guess at the noise gets better from step to step: ask where the call belongs.",
        ),
        Mistake(
            "one step too few",
            loop_with(cut=slice(None, -1)),
            "Your loop ends before it has reached t = 0.",
            "Count your steps: each neighbouring pair of times is one.",
        ),
        Mistake(
            "first step left out",
            loop_with(cut=slice(1, None)),
            "Your loop begins at the second of the times.",
            "The state x_T belongs to the first of the times: ask where your loop starts.",
        ),
        Mistake(
            "a step of one, whatever s is",
            to_the_one_before,
            "Each of your steps leads to t − 1, and the next one starts as if it had led further.",
            "A step leads to the next of the times: look for t − 1 in your code.",
        ),
        Mistake(
            "x_t for x̂_0",
            loop_with(step=state_for_guess),
            "Your steps put noisy data for clean.",
            "Look at how x̂_0 is made from x and ε̂.",
        ),
        Mistake(
            "not divided by signal",
            loop_with(step=undivided),
            "Your sample has the wrong size.",
            "Look at how x̂_0 is made from x and ε̂.",
        ),
        Mistake(
            "noise of time t in x_s",
            loop_with(step=noise_kept),
            "Your sample still has the noise of the last time in it.",
            "Ask which entry of sigma says how much noise there is at s.",
        ),
    ),
)

EXERCISES = (DDIM, TIMES, LOOP, DDPM)
