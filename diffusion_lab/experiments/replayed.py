"""Numbers that follow from the recording of a training run."""

import functools

import numpy as np
import torch
from torch import Tensor

from .. import replay
from ..data import toy_mixture
from ..forward import q_sample
from .stored import rms

recorded = functools.cache(replay.load)  # shared: do not change it


def errors_of_score(run: replay.Recording, t: int) -> tuple[float, Tensor]:
    """rms over x_t ~ q_t: of the mixture's score, and of the network's error in it at each checkpoint [K].

    The recording has the error in the view that the network predicts; `gain` turns it into one in the score.
    """
    schedule, mixture = run.recipe.make_schedule(), toy_mixture()
    generator = torch.Generator().manual_seed(0)
    x_t = q_sample(mixture.sample(5000, generator), t, schedule, generator=generator)
    size = rms(mixture.noised(t, schedule).score(x_t))
    signal, sigma = schedule.signal[t].item(), schedule.sigma[t].item()
    gain = {"eps": 1 / sigma, "x0": signal / sigma**2, "v": signal / sigma}[run.recipe.predicts]
    _, off, _ = known(run)
    error = gain * off[:, run.times.tolist().index(t)].sqrt()
    return size, error


def known(run: replay.Recording) -> tuple[Tensor, Tensor, Tensor]:
    """floor, error and score of a recording; a ValueError if the exact denoiser is not known."""
    if run.floor is None or run.error is None or run.score is None:
        raise ValueError("run must have floor, error and score, as on the mixture; got one without")
    return run.floor, run.error, run.score


def between_classes(run: replay.Recording) -> Tensor:
    """The rms distance of the samples from the mean of their row, at each checkpoint [K]."""
    rows = run.samples.unflatten(1, (2, -1))  # [K, 2, classes, 1, S, S]
    apart = (rows - rows.mean(2, keepdim=True)).square().flatten(1).mean(1).sqrt()
    return apart


def has_classes(run: replay.Recording) -> bool:
    """Whether the network knows classes, so that each row of samples starts from one noise."""
    return run.recipe.arguments.get("num_classes") is not None


def in_blocks(per_step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first step, mean loss) of each of about 80 blocks of growing length, evenly spaced on a log axis."""
    edges = np.unique(np.geomspace(1, len(per_step) + 1, 100).round().astype(int)) - 1
    blocks = np.split(per_step, edges[1:-1])
    return edges[:-1] + 1, np.array([block.mean() for block in blocks if len(block)])
