"""Editing: start from somebody's picture instead of noise.

`sdedit` makes a guide (a rough stroke, a collage, a photo) noisy up to a time t0 and denoises it from
there. `edit` runs DDIM upwards, from a picture to the noise that it comes from, and down again with
another denoiser. Neither trains anything, and both take any denoiser.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..checks import check_data, check_int
from ..forward import q_sample
from ..samplers import ddim, ddim_inversion, ddpm
from ..schedules import NoiseSchedule
from ..steps import Step
from ..views import Denoiser, Prediction, own_schedule


@torch.no_grad()
def sdedit(
    denoiser: Denoiser,
    guide: Tensor,
    t0: int,
    sampler: Callable[..., Iterator[Step]] = ddpm,
    schedule: NoiseSchedule | None = None,
    steps: int | None = None,
    clip: float | None = None,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    **options: Any,
) -> Iterator[Step]:
    """x_t0 ~ q(x_t0|x_0 = guide), then a sampler from t0 down to 0 (Meng et al. 2022, algorithm 1).

    guide `[B, *D]`; t0 in 0…T. The noise is that of t0, and the sampler starts at t0: with the noise of
    t0 + 1 it would be told of less noise than there is, and leave some. `noise` is the ε of x_t0, drawn
    unless given. x_t0 itself is `prediction.x_t` of the first step. The sampler, one of
    `samplers.SAMPLERS`, takes `steps` steps, equally long up to rounding (every t unless given); clip,
    generator and `options` go to it as well.

    The larger t0, the less is left of the guide. At t0 = 0 there is no noise and nothing to do: the only
    step holds the guide itself, after no call. At t0 = T the sampler still sees the guide, in the share
    signal_T; only a schedule that ends at zero SNR forgets it. Raises ValueError for a t0 outside 0…T,
    for steps outside 1…t0, and as the sampler does.
    """
    schedule = own_schedule(denoiser, schedule)
    times = _down_from(t0, steps, schedule)
    x = q_sample(guide, times[0], schedule, noise, generator)
    if times[0] == 0:
        yield Step(0, x, Prediction.from_x0(x, x, 0, schedule), 0)
        return
    yield from sampler(denoiser, x, schedule, times, clip=clip, generator=generator, **options)


@torch.no_grad()
def edit(
    told: Denoiser,
    wanted: Denoiser,
    x0: Tensor,
    t0: int | None = None,
    schedule: NoiseSchedule | None = None,
    steps: int | None = None,
    clip: float | None = None,
) -> Iterator[Step]:
    """DDIM upwards from x0 to t0 with `told`, and down again with `wanted` (Song, Meng & Ermon 2021, 4.3).

    `told` knows what x0 is, `wanted` what it should become: network.given(3) and network.given(8), say.
    Both are asked at the same times, `steps` of them each way (every t unless given); t0 = T unless
    given. Nothing is drawn. First come the steps up, then those down, and `calls` counts on. `clip` is
    for the way down only.

    With told = wanted x0 comes back, up to an error of order 1 in the steps. Guidance spoils that: each
    step up uses ε̂ at the wrong end of the step, and w multiplies that error (Mokady et al. 2023, section
    3). So go up without guidance. Raises ValueError as `sdedit` does, and if the two are for different
    schedules.
    """
    schedule = own_schedule(wanted, own_schedule(told, schedule))
    times = _down_from(schedule.T if t0 is None else t0, steps, schedule)
    check_data(x0, "x0")
    if times[0] == 0:
        yield Step(0, x0, Prediction.from_x0(x0, x0, 0, schedule), 0)
        return
    x, calls = x0, 0
    for step in ddim_inversion(told, x0, schedule, times[::-1]):
        x, calls = step.x, step.calls
        yield step
    for step in ddim(wanted, x, schedule, times, clip=clip):
        yield replace(step, calls=calls + step.calls)


def _down_from(t0: int, steps: int | None, schedule: NoiseSchedule) -> list[int]:
    """The times [t0, …, 0] of so many steps; [0] for t0 = 0, where there is no step to make."""
    if check_int(t0, "t0", 0) > schedule.T:
        raise ValueError(f"t0 must lie in 0…{schedule.T}; got {t0}")
    if t0 == 0:
        return [0]
    steps = t0 if steps is None else check_int(steps, "steps", 1)
    if steps > t0:
        raise ValueError(f"steps must be at most t0 = {t0}; got {steps}")
    return [round(t0 * (steps - i) / steps) for i in range(steps + 1)]
