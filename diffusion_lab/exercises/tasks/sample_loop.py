"""Notebook 08, `sample_loop`: the whole of DDIM: from the noise x_T to a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, linear, quadratic
from ..exercise import Case, Exercise, Mistake
from .ddim_step import ddim_step, noise_kept, state_for_guess, undivided

NOTEBOOK = "08_sampling"


Network = Callable[[Tensor, int], Tensor]


Times = list[int]


def sample_loop(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    """The whole of DDIM: from the noise x_T to a sample.

    network(x, t) is the guess ε̂ at the noise in x, a tensor of the shape of x; x_T has the shape `[B,
    *D]`; times is a list of falling times, from T to 0, such as [1000, 500, 0]. schedule.signal and
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
    ask: Ask = lambda network, x, x_T, t, s: network(x, t),
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
    """The mistake: every step taken from x_T."""
    x = x_T
    for t, s in pairwise(times):
        x = ddim_step(x_T, network(x_T, t), t, s, schedule)
    return x


def one_call(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    """The mistake: network asked only once."""
    x, eps = x_T, network(x_T, times[0])
    for t, s in pairwise(times):
        x = ddim_step(x, eps, t, s, schedule)
    return x


def to_the_one_before(network: Network, x_T: Tensor, schedule: NoiseSchedule, times: Times) -> Tensor:
    """The mistake: a step of one, whatever s is."""
    x = x_T
    for t in times[:-1]:
        x = ddim_step(x, network(x, t), t, t - 1, schedule)
    return x


EXERCISE = Exercise(
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
