"""Notebook 10, `walk_back`: all states of a chain that is walked backwards by somebody who knows x_0."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from ..exercise import Case, Exercise, Mistake
from .posterior_mean import of_x0, of_x_t

NOTEBOOK = "10_posterior"


def walk_back(x0: Tensor, x_T: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """All states of a chain that is walked backwards by somebody who knows x_0.

    In each step, from t = T down to 1, x_{t−1} is drawn from q(x_{t−1}|x_t, x_0). x0 and x_T have one
    shape, `[B, *D]`; noise `[T + 1, B, *D]` is drawn from N(0, I), and noise[t] belongs to the step that
    leaves x_t (noise[0] is not used). schedule is variance-preserving. You may call forward.q_posterior.
    Return the states, indexed by t like those of q_chain: `[T + 1, B, *D]`, with x_T at index T.
    """
    chain = [x_T]
    for t in range(schedule.T, 0, -1):
        before, now = schedule.sigma[t - 1] ** 2, schedule.sigma[t] ** 2
        pull = schedule.signal[t - 1] * schedule.beta[t] * x0 + schedule.alpha[t].sqrt() * before * chain[-1]
        chain.append(pull / now + (schedule.beta[t] * before / now).sqrt() * noise[t])
    return torch.stack(chain[::-1])


def starts(generator: torch.Generator) -> Iterator[Case]:
    """Short chains, of several shapes."""
    makers = [
        cosine(5),
        linear(8, beta_1=0.02, beta_T=0.5),
        sigmoid(6),
        quadratic(7, beta_1=0.01, beta_T=0.4),
    ]
    shapes = [(4, 2), (2, 1, 3, 3), (3, 3), (1, 2)]
    for n in range(8):
        schedule, shape = makers[n % 4], shapes[n % 4] if n < 4 else shapes[(n + 1) % 4]
        dtype = torch.float32 if n == 6 else torch.float64
        x0, x_T = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        yield x0, x_T, schedule, torch.randn((schedule.T + 1, *shape), generator=generator, dtype=dtype)


def walk(
    x0: Tensor,
    x_T: Tensor,
    schedule: NoiseSchedule,
    noise: Tensor,
    std: Callable[[Tensor, Tensor], Tensor],
    shift: int = 0,
    stays: bool = False,
) -> Tensor:
    """A way back with the noise std(β_t, β̃_t), its index moved by `shift`; `stays` looks at x_T each time."""
    chain = [x_T]
    for t in range(schedule.T, 0, -1):
        beta, (weight_x0, weight_x_t) = (
            schedule.beta[t],
            (of_x0(torch.tensor(t), schedule), of_x_t(torch.tensor(t), schedule)),
        )
        spread = std(beta, beta * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2)
        chain.append(weight_x0 * x0 + weight_x_t * chain[0 if stays else -1] + spread * noise[t + shift])
    return torch.stack(chain[::-1])


def root_of_posterior(_: Tensor, variance: Tensor) -> Tensor:
    return variance.sqrt()


EXERCISE = Exercise(
    solution=walk_back,
    cases=starts,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, lambda _, variance: variance),
            "Your steps have too little noise.",
            "A draw from N(0, s²) is s times a draw from N(0, 1).",
        ),
        Mistake(
            "mean for sample",
            lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, lambda _, variance: 0 * variance),
            "Your steps have no noise.",
            "Each state is a draw from the posterior, not its mean.",
        ),
        Mistake(
            "beta for the posterior's variance",
            lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, lambda beta, _: beta.sqrt()),
            "Your walks do not end in x_0.",
            "Look at the variance of the last step, at t = 1.",
        ),
        Mistake(
            "states in the order of the walk",
            lambda x0, x_T, schedule, noise: walk_back(x0, x_T, schedule, noise).flip(0),
            "Your states are the right ones, but index 0 holds x_T.",
            "Entry t of the result must belong to time t.",
        ),
        Mistake(
            "x_T in every step",
            lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, root_of_posterior, stays=True),
            "Each of your states depends on x_T directly, and none on the state before it.",
            "Ask which point is the x_t of the step that you are taking.",
        ),
        Mistake(
            "off by one in the noise",
            lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, root_of_posterior, shift=-1),
            "Your steps use the noise of other steps.",
            "The entry noise[t] belongs to the step that leaves x_t.",
        ),
        Mistake(
            "last state only",
            lambda x0, x_T, schedule, noise: walk_back(x0, x_T, schedule, noise)[0],
            "You return one state, of T + 1.",
            "Keep each state, and stack them in the end.",
        ),
    ),
)
