"""Notebook 20, `inversion_step`: one step of DDIM upwards, from s to a later time t."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...forward import transition
from ...schedules import NoiseSchedule, cosine, flow, linear
from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "20_editing"


def inversion_step(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """One step of DDIM upwards, from a time s to a later time t. Nothing is drawn.

    x_s and eps (the network's guess ε̂ at x_s and s) have one shape, `[B, *D]`; 1 ≤ s < t ≤ T, not always
    neighbours. schedule.signal and schedule.sigma are the two tables. Return x_t, in the shape of x_s.
    """
    x0 = (x_s - schedule.sigma[s] * eps) / schedule.signal[s]
    return schedule.signal[t] * x0 + schedule.sigma[t] * eps


def climbs(generator: torch.Generator) -> Iterator[Case]:
    """Long steps and steps of one; several shapes, two dtypes, three schedules."""
    makers, shapes = [linear(100, 0.001, 0.2), cosine(50), flow(60)], [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(14):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_s, eps = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        T = schedule.T
        s = int(torch.randint(2, T // 3, (), generator=generator))
        t = int(torch.randint(T // 2, T - 1, (), generator=generator))
        s, t = [(s, t), (s, s + 1), (s, T - 1), (1, t), (1, 2), (s, t), (t, T - 1)][n % 7]
        yield x_s, eps, s, t, schedule


def forward_step(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: step of the forward process."""
    scale, var = transition(t, s, schedule)
    return scale * x_s + var.sqrt() * eps


def jumped(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: x_s taken for x_0."""
    return schedule.signal[t] * x_s + schedule.sigma[t] * eps


def downwards(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: t and s swapped."""
    return inversion_step(x_s, eps, t, s, schedule)


def guess_at(x_s: Tensor, eps: Tensor, s: int, schedule: NoiseSchedule) -> Tensor:
    return (x_s - schedule.sigma[s] * eps) / schedule.signal[s]


def noise_kept(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise of time s in x_t."""
    return schedule.signal[t] * guess_at(x_s, eps, s, schedule) + schedule.sigma[s] * eps


def signal_kept(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: signal of time s in x_t."""
    return x_s - schedule.sigma[s] * eps + schedule.sigma[t] * eps


def noise_of_t_taken_off(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise of time t taken off."""
    x0 = (x_s - schedule.sigma[t] * eps) / schedule.signal[s]
    return schedule.signal[t] * x0 + schedule.sigma[t] * eps


def undivided(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: not divided by signal."""
    return schedule.signal[t] * (x_s - schedule.sigma[s] * eps) + schedule.sigma[t] * eps


def squared(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: variance for standard deviation."""
    return schedule.signal[t] * guess_at(x_s, eps, s, schedule) + schedule.sigma[t] ** 2 * eps


def swapped(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: signal and sigma swapped."""
    return schedule.sigma[t] * guess_at(x_s, eps, s, schedule) + schedule.signal[t] * eps


def neighbour(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: a step of one, whatever t is."""
    return inversion_step(x_s, eps, s, s + 1, schedule)


def guess_only(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: noise left out."""
    return schedule.signal[t] * guess_at(x_s, eps, s, schedule)


def minus_noise(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: minus for plus."""
    return schedule.signal[t] * guess_at(x_s, eps, s, schedule) - schedule.sigma[t] * eps


def earlier(x_s: Tensor, eps: Tensor, s: int, t: int, schedule: NoiseSchedule) -> Tensor:
    """The mistake: off by one in t."""
    return inversion_step(x_s, eps, s - 1, t - 1, schedule)


EXERCISE = Exercise(
    solution=inversion_step,
    cases=climbs,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "step of the forward process",
            forward_step,
            "You add ε̂ as if it were fresh noise, on top of the noise that is in x_s already.",
            "The two noises are the same one. Take it out first, then put as much in as x_t has.",
        ),
        Mistake(
            "x_s taken for x_0",
            jumped,
            "You put the noise of time t on top of x_s, which is noisy already.",
            "The closed form starts at clean data: ask whether x_s is clean.",
        ),
        Mistake(
            "t and s swapped",
            downwards,
            "Your step leads to less noise, not to more.",
            "Ask at which of the two times the state is given.",
        ),
        Mistake(
            "noise of time s in x_t",
            noise_kept,
            "Your x_t has no more noise than x_s.",
            "Ask which entry of sigma says how much noise there is at t.",
        ),
        Mistake(
            "signal of time s in x_t",
            signal_kept,
            "Your x_t has more noise than x_s, and no less data.",
            "Ask how large the data is in x_t: two entries of signal come in.",
        ),
        Mistake(
            "noise of time t taken off",
            noise_of_t_taken_off,
            "You take more noise off x_s than there is in it.",
            "Ask at which time the clean guess is made.",
        ),
        Mistake(
            "not divided by signal",
            undivided,
            "Your clean guess is signal_s · x̂_0, not x̂_0.",
            "After the noise is gone, signal · x_0 is left: ask what is missing.",
        ),
        Mistake(
            "variance for standard deviation",
            squared,
            "The noise in your x_t has the wrong size.",
            "Ask which power of sigma stands before ε in the closed form.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped,
            "Your x_t has little data where it should have much.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake(
            "a step of one, whatever t is",
            neighbour,
            "It is right where t is s + 1 only.",
            "The step leads to t: look for s + 1 in your code.",
        ),
        Mistake(
            "noise left out",
            guess_only,
            "Your x_t holds no noise at all.",
            "A state at t has noise of size sigma_t in it: ask where it should come from.",
        ),
        Mistake(
            "minus for plus",
            minus_noise,
            "The noise in your x_t has the wrong sign.",
            "Once the noise is put back in, it is added as in the closed form.",
        ),
        Mistake(
            "off by one in t",
            earlier,
            "Your step leads from s − 1 to t − 1.",
            "The tables have T + 1 entries, and entry t belongs to time t.",
        ),
    ),
)
