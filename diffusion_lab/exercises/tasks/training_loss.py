"""Notebook 06, `training_loss`: the loss of one batch, for a network that predicts v."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ...schedules import NoiseSchedule, cosine, linear, quadratic
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "06_training"


# --- the loss
class Toy(nn.Module):
    """A network with three weights, which looks at x and at t; `name` is what the checker calls it."""

    name = "a small network"

    def __init__(self, generator: torch.Generator, dtype: torch.dtype) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(3, generator=generator, dtype=dtype))

    def forward(self, x: Tensor, t: Tensor | int) -> Tensor:
        a, b, c = self.weights
        time = torch.as_tensor(t).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        return a * x + b * torch.cos(time) + c


def training_loss(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The loss of one batch, for a network that predicts v.

    x0 and noise have one shape, `[B, *D]`, and noise is drawn from N(0, I); t [B] holds one whole number for
    each example, from 0 to T; schedule.signal and schedule.sigma are the tables, indexed by t. Make
    x_t = signal · x0 + sigma · noise, ask net(x_t, t), which answers in the shape of x0, and compare the
    answer with the true v = signal · noise − sigma · x0. Return one number, a tensor of shape []: the squared
    error, averaged over all B examples and all their entries. Gradients must reach the weights of net.
    """
    shape = (-1, *[1] * (x0.ndim - 1))
    signal, sigma = (table[t].to(x0.dtype).reshape(shape) for table in (schedule.signal, schedule.sigma))
    x_t = signal * x0 + sigma * noise
    v = signal * noise - sigma * x0
    return (net(x_t, t) - v).square().mean()


def batches(generator: torch.Generator) -> Iterator[Case]:
    """Batches of several shapes, B = D among them, each example at a time of its own."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (4, 4), (3, 1, 4, 4), (1, 3), (2, 3, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 5]
        dtype = torch.float32 if n % 6 == 5 else torch.float64
        x0, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = torch.randint(1, schedule.T, shape[:1], generator=generator)
        t[-1] = (schedule.T, int(t[-1]), 1, 0)[n % 4]
        yield Toy(generator, dtype), x0, t, noise, schedule


def loss_with(
    *,
    seen: Callable[[Any], Tensor] = lambda at: at.x_t,
    told: Callable[[Any], Tensor] = lambda at: at.t,
    target: Callable[[Any], Tensor] = lambda at: at.v,
    loss: Callable[[Tensor], Tensor] = lambda error: error.square().mean(),
    noised: Callable[[Tensor], Tensor] = lambda t: t,
    broadcast: bool = True,
) -> Callable[..., Tensor]:
    """The loss with one of its parts done differently: `noised` says at which time the noise is added."""

    def function(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, schedule: NoiseSchedule) -> Tensor:
        index = noised(t).clamp(min=0)
        index = index.reshape(-1, *[1] * (x0.ndim - 1)) if broadcast else index
        at = SimpleNamespace(x0=x0, t=t, noise=noise)
        at.signal, at.sigma = schedule.signal[index].to(x0.dtype), schedule.sigma[index].to(x0.dtype)
        at.x_t, at.v = at.signal * x0 + at.sigma * noise, at.signal * noise - at.sigma * x0
        return loss(net(seen(at), told(at)) - target(at))

    return function


def weak(at: Any) -> Tensor:
    """x_t with the variance where the standard deviation belongs."""
    return at.signal * at.x0 + at.sigma**2 * at.noise


def swapped(at: Any) -> Tensor:
    """x_t with the two tables swapped."""
    return at.sigma * at.x0 + at.signal * at.noise


SUM = (
    "Your loss grows with the number of entries in the batch.",
    "Look at how the squared errors become one number.",
)


SWAP = (
    "With much noise in x_t you treat it as nearly clean, and the other way round.",
    ("Ask which of the two tables starts at 1, and what each one multiplies."),
)


LATE = (
    "The noise in x_t, or the time that the network is told, belongs to t − 1.",
    ("The tables have T + 1 entries, and entry t belongs to time t, in x_t, in v and in the network."),
)


VAR = (
    "Your noise is too weak wherever sigma is below 1.",
    "Ask which of the two sigma is: a standard deviation or a variance.",
)


LOSS_MISTAKES = (
    Mistake("sum for mean", loss_with(loss=lambda error: error.square().sum()), *SUM),
    Mistake("sum for mean", loss_with(loss=lambda error: error.square().flatten(1).sum(1).mean()), *SUM),
    Mistake(
        "eps for v",
        loss_with(target=lambda at: at.noise),
        "Your network is compared with the noise.",
        "Look at the view that the network predicts here.",
    ),
    Mistake(
        "x_0 for v",
        loss_with(target=lambda at: at.x0),
        "Your network is compared with the clean data.",
        "Look at the view that the network predicts here.",
    ),
    Mistake(
        "−v for v",
        loss_with(target=lambda at: -at.v),
        "Your network is compared with −v.",
        "Look at the signs in v, and in the difference of answer and truth.",
    ),
    Mistake(
        "no time for the network",
        loss_with(told=lambda at: 0 * at.t),
        "Your loss is that of a network which is told t = 0 each time.",
        "Look at the second argument of net.",
    ),
    Mistake(
        "clean data for the network",
        loss_with(seen=lambda at: at.x0),
        "Your loss is that of a network which sees x_0 itself.",
        "Look at the first argument of net.",
    ),
    Mistake("variance for standard deviation", loss_with(seen=weak), *VAR),
    Mistake(
        "variance for standard deviation",
        loss_with(seen=weak, target=lambda at: at.signal * at.noise - at.sigma**2 * at.x0),
        *VAR,
    ),
    Mistake(
        "signal and sigma swapped",
        loss_with(seen=swapped, target=lambda at: at.sigma * at.noise - at.signal * at.x0),
        *SWAP,
    ),
    Mistake("signal and sigma swapped", loss_with(seen=swapped), *SWAP),
    Mistake(
        "signal and sigma swapped",
        loss_with(target=lambda at: at.sigma * at.noise - at.signal * at.x0),
        *SWAP,
    ),
    Mistake(
        "t along the last axis",
        loss_with(broadcast=False),
        "Where B equals the last side of x0, the times of the examples got mixed up; elsewhere it breaks.",
        "Look at the shape of schedule.signal[t], and along which axis it meets x0.",
    ),
    Mistake("off by one in t", loss_with(noised=lambda t: t - 1), *LATE),
    Mistake("off by one in t", loss_with(told=lambda at: at.t - 1), *LATE),
    Mistake("off by one in t", at_other_time(training_loss, -1), *LATE),
    Mistake(
        "absolute error for squared error",
        loss_with(loss=lambda error: error.abs().mean()),
        "Your loss grows like the error, not like its square.",
        "Ask for which of the two the best guess is the mean.",
    ),
    Mistake(
        "square root too many",
        loss_with(loss=lambda error: error.square().mean().sqrt()),
        "Your loss is the square root of the one that is wanted.",
        "Ask whether the mean of the squares is asked for, or its root.",
    ),
)


EXERCISE = Exercise(training_loss, batches, LOSS_MISTAKES, NOTEBOOK)
