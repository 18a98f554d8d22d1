"""RePaint: replacement that goes back and tries again (Lugmayr et al. 2022)."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ...checks import Numbers, check_int, noise_like
from ...forward import posterior_weights, transition
from ...schedules import NoiseSchedule
from ...steps import Step, checked_start, predict
from ...views import Denoiser
from .measurement import Measurement
from .replacement import pasted


@torch.no_grad()
def repaint(
    denoiser: Denoiser,
    measurement: Measurement,
    y: Tensor,
    x_T: Tensor,
    schedule: NoiseSchedule | None = None,
    timesteps: Numbers | None = None,
    resamplings: int = 10,
    jump: int = 1,
    clip: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """`replacement`, each stretch of `jump` steps run `resamplings` times (Lugmayr et al. 2022, algorithm 1).

    After a stretch, noise is added as in the forward process, q(x_t|x_s), and the stretch is run again. So
    the other pixels get more time to agree with the known ones. With resamplings = 1 this is `replacement`.
    The step to 0 is made once, as in the paper. There are `resamplings` times as many calls.

    All else is as in `replacement`. More resamplings bring the samples closer to p(x_0|y). Raises
    ValueError as `replacement` does, and for resamplings or a jump below 1.
    """
    resamplings, jump = check_int(resamplings, "resamplings", 1), check_int(jump, "jump", 1)
    x, schedule, times = checked_start(denoiser, x_T, schedule, timesteps, clip)
    x, calls = pasted(x, y, times[0], measurement, schedule, generator), 0
    above = times[:-1]  # the last step leads to 0, from where there is no way back
    stretches = [above[i : i + jump + 1] for i in range(0, len(above) - 1, jump)]
    runs = [stretch for stretch in stretches for _ in range(resamplings)] + [times[-2:]]
    here = times[0]
    for run in runs:
        if here < run[0]:  # back up, as the forward process goes
            scale, var = transition(run[0], here, schedule)
            x = scale * x + var.sqrt() * noise_like(x, generator)
        for t, s in pairwise(run):
            prediction, calls = predict(denoiser, x, t, schedule, clip), calls + 1
            weight_x0, weight_x, _ = posterior_weights(t, s, schedule)
            x = weight_x0 * prediction.x0 + weight_x * x
            if s > 0:
                x = x + transition(t, s, schedule)[1].sqrt() * noise_like(x, generator)
            x = pasted(x, y, s, measurement, schedule, generator)
            yield Step(s, x, prediction, calls)
        here = run[-1]
