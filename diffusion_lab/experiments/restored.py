"""Half a digit is hidden: every method's guesses at it, beside the exact ones.

The prior is one Gaussian for each class of digits. Then p(x_0|y) is known, so each method can be compared
with the right answer: its error, how widely its samples spread, and how often the truth lies among them.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..applications.inverse import (
    Measurement,
    dps,
    exact_guidance,
    mask,
    pigdm,
    posterior,
    repaint,
    replacement,
)
from ..samplers import ddpm, p_sample_prior, timesteps
from ..schedules import cosine
from ..steps import Step
from ..views import Denoiser
from .stored import class_gaussians, digits

SHAPE, SIDE = (1, 8, 8), 8
SCHEDULE = cosine(1000)  # that of the network that ships
STD = 0.1  # of the noise in y: a bit less than one of the digits' 17 grey levels, which are 0.125 apart
COUNT = 12  # samples that the explorer shows
RIDGE = 0.03  # of the class Gaussians: near the best on held-out digits

Told = tuple[Denoiser, Measurement, Tensor]  # the prior's denoiser, what is measured, y
Hidden = Sequence[tuple[float, float]] | Tensor  # points
Method = Callable[..., Iterator[Step]]


def visible(hidden: Hidden) -> Tensor:
    """Which pixels are seen, bool [1, 8, 8]. hidden: points (x, y) in [−1, 1]², y upwards; each hides the
    pixel it lies in.
    """
    x, y = torch.as_tensor(hidden, dtype=torch.float64).T
    column, row = (((1 + z) / 2 * SIDE).long().clamp(0, SIDE - 1) for z in (x, -y))
    keep = torch.ones(SHAPE, dtype=torch.bool)
    keep[0, row, column] = False
    return keep


def pasting(x_T: Tensor, times: list[int], told: Told, generator: torch.Generator) -> Iterator[Step]:
    """Replacement: the seen pixels are pasted in at every step."""
    return replacement(*told, x_T, timesteps=times, generator=generator)


def repainting(x_T: Tensor, times: list[int], told: Told, generator: torch.Generator) -> Iterator[Step]:
    """RePaint with ten resamplings."""
    return repaint(*told, x_T, timesteps=times, resamplings=10, generator=generator)


def steered(x_T: Tensor, times: list[int], told: Told, generator: torch.Generator) -> Iterator[Step]:
    """DPS with the small weight that people find by trial, instead of the theory's 1/(2 std²) = 50."""
    return ddpm(dps(*told, weight=2.0), x_T, timesteps=times, generator=generator)


def steered_flat(x_T: Tensor, times: list[int], told: Told, generator: torch.Generator) -> Iterator[Step]:
    """ΠGDM that thinks x_t is all there is to know of x_0."""
    return ddpm(pigdm(*told, "flat"), x_T, timesteps=times, generator=generator)


def steered_exactly(x_T: Tensor, times: list[int], told: Told, generator: torch.Generator) -> Iterator[Step]:
    """The best denoiser that was told y, where the prior is the class Gaussians."""
    _, seen, y = told
    return ddpm(
        exact_guidance(class_gaussians(RIDGE), seen, y, SCHEDULE), x_T, None, times, generator=generator
    )


METHODS: dict[str, Method] = {
    "replacement": pasting,
    "RePaint": repainting,
    "DPS": steered,
    "ΠGDM, flat": steered_flat,
    "exact guidance": steered_exactly,
}


def clue(hidden: Hidden, picture: int, seed: int) -> tuple[Measurement, Tensor]:
    """What is seen of a held-out digit: the measurement, and y [M]."""
    truth = digits("test")[0][[picture]].double()
    seen = mask(SHAPE, visible(hidden), STD)
    return seen, seen.measure(truth, torch.Generator().manual_seed(1000 + seed))[0]


def right_answers(hidden: Hidden, picture: int, seed: int) -> Tensor:
    """Twelve samples of p(x_0|y) itself, under the class Gaussians: [12, 1, 8, 8]."""
    seen, y = clue(hidden, picture, seed)
    return posterior(class_gaussians(RIDGE), seen, y).sample(COUNT, torch.Generator().manual_seed(seed))


def repair(hidden: Hidden, picture: int, method: str, seed: int) -> list[Step]:
    """Twelve guesses at the hidden pixels of one held-out digit: every `Step` of the method."""
    seen, y = clue(hidden, picture, seed)
    generator = torch.Generator().manual_seed(seed)
    denoiser = class_gaussians(RIDGE).denoiser(SCHEDULE)
    x_T = p_sample_prior((COUNT, *SHAPE), SCHEDULE, generator, dtype=torch.float64)
    times = timesteps(SCHEDULE, 25)
    run = list(METHODS[method](x_T, times, (denoiser, seen, y), generator))
    return run


def quality(samples: Tensor, truth: Tensor) -> dict[str, float]:
    """How good samples [N, n, D] of N posteriors are, given the truths [N, D]; squares are means over D.

    - error: the squared error of the posterior's mean. The mean of n samples is off by a further spread/n,
      which is subtracted. Its standard error over the N truths is `uncertainty`.
    - spread: the variance of the samples. It equals the error if they come from the right posteriors.
    - coverage: how often the truth lies in the region that holds 90 % of the samples. For that, all n + 1
      points are ranked by their mean squared distance to the others. With n = 19, the truth is outside if it
      is one of the two farthest out. It is 90 % if truth and samples come from one distribution.
    """
    N, n, _ = samples.shape
    spread = samples.var(1).mean(1)
    error = (samples.mean(1) - truth).square().mean(1) - spread / n
    points = torch.cat([truth[:, None], samples], 1)
    away = torch.cdist(points, points).square().sum(2)
    outside = (away[:, 1:] < away[:, :1]).double().mean(1)  # the share of samples that lie further in
    found = dict(error=error.mean(), uncertainty=error.std() / N**0.5, spread=spread.mean())
    return {name: value.item() for name, value in found.items()} | dict(
        coverage=(outside < 0.9).double().mean().item()
    )
