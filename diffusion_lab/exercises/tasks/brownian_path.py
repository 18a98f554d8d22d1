"""Notebook 00, `brownian_path`: the paths of a Brownian motion at the times 0, dt, 2 dt, …, N dt."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "00_toolbox"


def brownian_path(noise: Tensor, dt: float) -> Tensor:
    """The paths of a Brownian motion at the times 0, dt, 2 dt, …, N dt.

    noise holds independent draws from N(0, 1), [N, B]: row k is for step k of B independent paths. dt is the
    length of a step in time. Each path starts at 0, and its increments have the variance dt.
    Return [N + 1, B]: row k holds the paths at the time k dt.
    """
    walked = (dt**0.5 * noise).cumsum(0)
    return torch.cat([torch.zeros_like(walked[:1]), walked])


def rows_of_noise(generator: torch.Generator) -> Iterator[Case]:
    """Several N and B, N = B among them; steps from 0.01 to 2.5; two dtypes."""
    for n in range(12):
        shape = [(6, 3), (4, 4), (1, 2), (10, 1)][n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        yield torch.randn(shape, generator=generator, dtype=dtype), [0.01, 0.3, 2.5, 0.1, 0.62][n % 5]


def started(walked: Tensor) -> Tensor:
    """With a row of zeros in front."""
    return torch.cat([torch.zeros_like(walked[:1]), walked])


def fresh_each_time(noise: Tensor, dt: float) -> Tensor:
    """The right width at each time, and no path."""
    elapsed = dt * torch.arange(1, len(noise) + 1, dtype=noise.dtype)[:, None]
    return started(elapsed.sqrt() * noise)


EXERCISE = Exercise(
    solution=brownian_path,
    cases=rows_of_noise,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "variance for standard deviation",
            lambda noise, dt: started((dt * noise).cumsum(0)),
            "Your paths are too narrow where dt is below 1, and too wide above.",
            "The variance of an increment is dt: ask what a draw from N(0, 1) must be multiplied by.",
        ),
        Mistake(
            "step size left out",
            lambda noise, _dt: started(noise.cumsum(0)),
            "Your paths are the same for every dt.",
            "Ask how far a path gets in a short time.",
        ),
        Mistake(
            "increments for the path",
            lambda noise, dt: started(dt**0.5 * noise),
            "Each of your rows is a single increment: nothing is remembered from step to step.",
            "Ask where a path is that has taken two steps.",
        ),
        Mistake(
            "new draw for every time",
            fresh_each_time,
            "Each row has the right variance, but neighbours in time have nothing to do with each other.",
            "A path goes on from where it is: ask what the next point has in common with the last.",
        ),
        Mistake(
            "no start at 0",
            lambda noise, dt: (dt**0.5 * noise).cumsum(0),
            "You return N rows, and the first of them has taken a step already.",
            "Ask where the paths are at time 0.",
        ),
        Mistake(
            "time along the last axis",
            lambda noise, dt: started((dt**0.5 * noise).cumsum(1)),
            "You add up different paths, instead of the steps of one.",
            "Time runs along the first axis.",
        ),
        Mistake(
            "mean for sum",
            lambda noise, dt: started(
                (dt**0.5 * noise).cumsum(0) / torch.arange(1, len(noise) + 1, dtype=noise.dtype)[:, None]
            ),
            "Your paths come to rest: each row is the mean of the steps so far.",
            "Increments add up, and nothing is divided.",
        ),
    ),
)
