"""Notebook 18, `paste_known`: the step that replacement adds to a sampler."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...schedules import NoiseSchedule, cosine, flow, ve
from ..exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "18_restoring"


def paste_known(
    x_t: Tensor, picture: Tensor, keep: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """x_t with its known pixels replaced by a draw from q(x_t|picture).

    x_t and noise are `[B, *D]`; noise is drawn from N(0, I). picture and keep are `[*D]`: keep is True for
    the known pixels, and only there picture is of use. t is one time from 0 to T. schedule.signal and
    schedule.sigma are tables of T + 1 entries. Return the new x_t, `[B, *D]`; the pixels that are not known
    stay as they are.
    """
    known = schedule.signal[t] * picture + schedule.sigma[t] * noise
    return torch.where(keep, known, x_t)


def states(generator: torch.Generator) -> Iterator[Case]:
    """States of several shapes, B = D among them, three schedules, two dtypes, both ends of time."""
    schedules, shapes = [cosine(50), ve(20, 0.1, 5), flow(30)], [(2, 1, 4, 4), (5, 3), (4, 4), (1, 6)]
    for n in range(12):
        schedule, shape = schedules[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t, noise = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        picture = torch.randn(shape[1:], generator=generator, dtype=dtype)
        keep = torch.rand(shape[1:], generator=generator) < 0.5
        keep.view(-1)[0], keep.view(-1)[-1] = True, False
        t = int(torch.randint(2, schedule.T - 1, (), generator=generator))
        yield x_t, picture, keep, [t, 0, t, schedule.T][n % 4], schedule, noise


def clean(
    x_t: Tensor, picture: Tensor, keep: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: clean pixels in a noisy state."""
    return torch.where(keep, picture, x_t)


def not_shrunk(
    x_t: Tensor, picture: Tensor, keep: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: data not shrunk."""
    return torch.where(keep, picture + schedule.sigma[t] * noise, x_t)


def squared(
    x_t: Tensor, picture: Tensor, keep: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: variance for standard deviation."""
    return torch.where(keep, schedule.signal[t] * picture + schedule.sigma[t] ** 2 * noise, x_t)


def one_step(
    x_t: Tensor, picture: Tensor, keep: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: one step's noise."""
    known = schedule.alpha[t].sqrt() * picture + schedule.beta[t].sqrt() * noise
    return torch.where(keep, known, x_t)


def inverted(
    x_t: Tensor, picture: Tensor, keep: Tensor, t: int, schedule: NoiseSchedule, noise: Tensor
) -> Tensor:
    """The mistake: mask inverted."""
    return paste_known(x_t, picture, ~keep, t, schedule, noise)


EXERCISE = Exercise(
    solution=paste_known,
    cases=states,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "clean pixels in a noisy state",
            clean,
            "Your known pixels are clean, whatever t is, and the pixels around them are noisy.",
            "The denoiser expects a draw from q(x_t|x_0): ask how much noise every pixel has at time t.",
        ),
        Mistake(
            "data not shrunk",
            not_shrunk,
            "Your known pixels have the right noise, and a signal that is too strong.",
            "Look at both tables of the closed form of q(x_t|x_0).",
        ),
        Mistake(
            "variance for standard deviation",
            squared,
            "Your known pixels have the right signal, and noise of the wrong size.",
            "Ask whether sigma is a variance or a standard deviation.",
        ),
        Mistake(
            "one step's noise",
            one_step,
            "Your known pixels have the noise of step t alone, not that of all the steps up to t.",
            "Step t leads from x_(t−1) to x_t: ask what leads from the picture itself to x_t.",
        ),
        Mistake(
            "mask inverted",
            inverted,
            "You replaced the pixels that are not known, and kept the known ones as they were.",
            "Look at what keep means, and at the order of the arguments of torch.where.",
        ),
        Mistake(
            "off by one in t",
            at_other_time(paste_known, -1),
            "Your known pixels have the noise of time t − 1.",
            "Tables have T + 1 entries: entry t belongs to time t.",
        ),
    ),
)
