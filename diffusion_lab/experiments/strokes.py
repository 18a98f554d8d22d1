"""Strokes painted on eight by eight pixels, and what SDEdit makes of them.

The mode of a picture is here the digit that a classifier takes it for.
"""

import functools
import math
from itertools import pairwise

import torch
from torch import Tensor

from .. import features
from ..applications.editing import sdedit
from ..samplers import SAMPLERS, sde_dpm_solver_pp_2m
from .edited import decided, mode_change
from .stored import class_gaussians, digits, shipped, trained

BRUSH = 0.13  # the width of a stroke, as a standard deviation; a pixel is 0.25 wide
T0 = (0, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
Points = tuple[tuple[float, float], ...]
Corners = list[tuple[float, float]]


def along(*corners: tuple[float, float], gap: float = 0.15) -> Corners:
    """Points on the lines from corner to corner, at most `gap` apart."""
    found = [corners[0]]
    for (x, y), (u, v) in pairwise(corners):
        n = math.ceil(math.hypot(u - x, v - y) / gap - 1e-9)
        found += [(x + (u - x) * i / n, y + (v - y) * i / n) for i in range(1, n + 1)]
    return found


def circle(x: float, y: float, radius: float, count: int) -> Corners:
    """The corners of a closed polygon."""
    turns = [2 * math.pi * i / count for i in range(count + 1)]
    return [(x + radius * math.sin(a), y + radius * math.cos(a)) for a in turns]


STROKES = {
    "point": [(0.5, 0.1)],
    "ring": along(*circle(0, 0, 0.6, 16), gap=0.3),
    "bar": along((0.0, 0.8), (0.0, -0.8)),
    "seven": along((-0.6, 0.8), (0.4, 0.8), (-0.05, -0.8)) + along((-0.35, 0.0), (0.45, 0.0)),
    "three": along((-0.5, 0.7), (0.1, 0.8), (0.4, 0.45), (0.0, 0.1), (0.4, -0.35), (0.1, -0.8), (-0.5, -0.7)),
    "cross": along((-0.5, 0.0), (0.5, 0.0)) + along((0.0, 0.6), (0.0, -0.6)),
    "L": along((-0.3, 0.8), (-0.3, -0.7), (0.5, -0.7)),
}


def painted(points: Points) -> Tensor:
    """The picture that a brush leaves that was set down on each of the points (x, y): [1, 1, 8, 8].

    Bright is 1, as in the data, and the background −1; y points upwards.
    """
    middle = (torch.arange(8) + 0.5) / 4 - 1
    y, x = torch.meshgrid(-middle, middle, indexing="ij")
    place = torch.as_tensor(points, dtype=torch.float32)[:, :, None, None]
    near = ((x - place[:, 0]) ** 2 + (y - place[:, 1]) ** 2).min(0).values
    ink = 1.6 * torch.exp(-near / (2 * BRUSH**2))  # full also where the stroke runs between two pixels
    return (2 * ink.clamp(max=1) - 1)[None, None]


def stroke_edited(
    points: Points, sampler: str, seed: int, t0: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """A stroke, and eight edits of it from each t0: the guide [1, 1, 8, 8], x_t0 and x_0 [t0, 8, 1, 8, 8].

    The noise of x_t0 is the same at every t0. The network is not told a class.
    """
    network, guide = trained("digits"), painted(points)
    x0 = guide.expand(8, 1, 8, 8)
    runs = []
    for t in t0:
        generator = torch.Generator().manual_seed(seed)  # draws the noise of x_t0 first
        steps = min(t, 5) or None  # none at t0 = 0
        runs.append([*sdedit(network, x0, t, SAMPLERS[sampler], steps=steps, generator=generator)])
    x_t0 = torch.stack([run[0].prediction.x_t for run in runs])
    edited = torch.stack([run[-1].x for run in runs])
    return guide, x_t0, edited


def found_of(guide: Tensor, edited: Tensor) -> list[dict[str, float]]:
    """What is measured on results [t0, N, 1, 8, 8] of `stroke_edited`, at each t0.

    "guide": the root-mean-square difference to the guide, over all pixels. "data": that to the nearest
    training digit, the mean over the results. "other": the share that a classifier takes for another
    digit than the guide. "sure": its mean probability of the digit that it takes a result for.
    """
    early = [x for t, x in zip(T0, edited, strict=True) if 200 <= t <= 300]
    digit, rows = judge()(torch.cat(early)).argmax(1).mode().values, []
    for x in edited:
        p, taken = judge().probabilities(x).max(1)
        row = {"guide": (x - guide).square().mean().sqrt().item(), "data": to_digits(x).mean().item()}
        rows.append(row | {"other": (taken != digit).double().mean().item(), "sure": p.mean().item()})
    return rows


def to_digits(x: Tensor) -> Tensor:
    """The root-mean-square difference of each picture [N, 1, 8, 8] to the nearest training digit: [N]."""
    train = digits("train")[0].flatten(1)
    return torch.cdist(x.flatten(1), train).min(1).values / math.sqrt(train.shape[1])


@functools.cache
def usual() -> dict[str, Tensor]:
    """What `of_real_digits` found; it ships computed, since it takes half a minute."""
    return shipped("edited.digits")


def of_real_digits() -> dict[str, Tensor]:
    """The same of the 360 held-out digits: unedited, and edited by the network from each t0.

    "data" and "sure": of the digits themselves. "other" [t0]: the share that became another digit.
    "exact" [t0]: that chance if the data were one Gaussian for each class, and "decided": the time their
    class is decided.
    """
    (x, labels), network = digits("test"), trained("digits")
    other = []
    for t in T0:
        noise = torch.Generator().manual_seed(0)
        *_, last = sdedit(network, x, t, sde_dpm_solver_pp_2m, steps=min(t, 10) or None, generator=noise)
        other.append((judge()(last.x).argmax(1) != labels).double().mean())
    gaussians, schedule = class_gaussians(), network.schedule
    exact = [mode_change(gaussians, t, schedule, draws=500) for t in T0]
    found = {"data": to_digits(x).mean(), "sure": judge().probabilities(x).max(1).values.mean()}
    found |= {"other": torch.stack(other), "exact": torch.tensor(exact)}
    return found | {"decided": torch.tensor(decided(gaussians, schedule, draws=500))}


judge = functools.cache(features.load)  # the classifier that ships
