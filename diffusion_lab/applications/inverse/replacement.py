"""Replacement: paste what is known into x_t before every step (Song, Sohl-Dickstein et al. 2021)."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ...checks import Numbers, noise_like
from ...forward import posterior_weights, transition
from ...schedules import NoiseSchedule
from ...steps import Step, checked_start, predict
from ...views import Denoiser
from .measurement import Measurement, check_y


@torch.no_grad()
def replacement(
    denoiser: Denoiser,
    measurement: Measurement,
    y: Tensor,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """`ddpm` (large variance), with the known part of x_t replaced by q(x_t|y) before each step.

    (Song, Sohl-Dickstein et al. 2021, appendix I.2.) In every step the known part gets fresh noise, as much
    as x_t has; at t = 0 it is y itself. For measurements other than masks, the part of x_t that A sees is
    replaced: x_t ← x_t + A⁺ (signal_t y + sigma_t A ε − A x_t). y, [M] or [B, M], is taken as it is: its
    noise (std) is ignored.

    The samples are not those of p(x_0|y). The other pixels see the known ones only through fresh noise, and
    forget from step to step what they saw. If one of two numbers of correlation 0.5 is y, the mean of the
    other becomes 0.27 y instead of 0.5 y, however many steps there are. All else is as in `samplers.ddpm`.
    Raises ValueError as it does, and for a y that does not fit.
    """
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    x = pasted(x, y, times[0], measurement, schedule, generator)
    for calls, (t, s) in enumerate(pairwise(times), 1):
        prediction = predict(denoiser, x, t, schedule, clip)
        weight_x0, weight_x, _ = posterior_weights(t, s, schedule)
        x = weight_x0 * prediction.x0 + weight_x * x
        if s > 0:
            x = x + transition(t, s, schedule)[1].sqrt() * noise_like(x, generator)
        x = pasted(x, y, s, measurement, schedule, generator)
        yield Step(s, x, prediction, calls)


def pasted(
    x: Tensor,
    y: Tensor,
    t: int,
    measurement: Measurement,
    schedule: NoiseSchedule,
    generator: torch.Generator | None = None,
) -> Tensor:
    """x_t with the part that A sees replaced by a draw from q(x_t|y)."""
    wanted = schedule.signal[t].item() * check_y(y, measurement, x)
    if t > 0:
        wanted = wanted + schedule.sigma[t].item() * measurement.forward(noise_like(x, generator))
    change = wanted - measurement.forward(x)
    return x + (change @ measurement.pseudo_inverse.to(x).mT).reshape(x.shape)
