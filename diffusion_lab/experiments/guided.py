"""Guided samples and measurements on them: of three blobs, where everything is exact, and of digits.

Fidelity is the mean of p(c|x) over the samples: exact for blobs, given by a classifier for digits. Diversity
of blobs is the spread: the root of the covariance's trace, divided by the same of the class. Diversity of
digits is the coverage: the share of the class's held-out digits with a sample at least as near as their 5th
nearest training digit (Naeem et al. 2020).
"""

import functools

import numpy as np
import torch

from .. import features
from ..exact import GaussianMixture
from ..guidance import classifier_free
from ..samplers import dpm_solver_pp_2m, p_sample_prior, timesteps
from ..schedules import cosine
from .stored import digits, shipped, trained

# Three overlapping classes, one blob each
MEANS = torch.tensor([[-0.5, 0.25], [0.5, 0.45], [0.2, -0.5]], dtype=torch.float64)
BLOBS = GaussianMixture(MEANS, stds=[0.3, 0.2, 0.3], weights=[0.4, 0.25, 0.35])
W = {"blob": tuple(k / 4 for k in range(21)), "digit": tuple(k / 2 for k in range(11))}
COUNT = {"blob": 300, "digit": 20}  # samples at each w
GREYS = 32  # grey levels from the middle to black, and to white
NUMBERS = ["fidelity", "fidelity error", "diversity", "diversity error", "outside"]  # of digits
NEIGHBOUR = 5  # a sample covers a digit if it is no further away than its 5th nearest training digit


def fidelity(chance: torch.Tensor) -> dict[str, float]:
    """The mean of p(c|x) [N] over samples, and its standard error."""
    return {"fidelity": chance.mean().item(), "fidelity error": (chance.std() / len(chance) ** 0.5).item()}


# ------------------------------------------------------------------------------------ blobs: exact
@functools.lru_cache(32)
def guided_blobs(label: int, seed: int, w: tuple) -> torch.Tensor:
    """300 samples at each w, from the same noise, all in one batch: [W, 300, 2]."""
    schedule = cosine()
    told, not_told = BLOBS.given(label).denoiser(schedule), BLOBS.denoiser(schedule)
    denoiser = classifier_free(told, not_told, w=torch.tensor(w).repeat_interleave(300))
    x_T = p_sample_prior((300, 2), schedule, torch.Generator().manual_seed(seed)).repeat(len(w), 1)
    *_, last = dpm_solver_pp_2m(denoiser, x_T, schedule, timesteps(schedule, 50))
    return last.x.reshape(len(w), 300, 2).double()


def spread_of(label: int, x: torch.Tensor) -> dict[str, float]:
    """Fidelity and diversity of samples [N, 2], with standard errors, and how far their mean has moved."""
    std = BLOBS.var[label, 0].sqrt()
    squares = (x - x.mean(0)).square().sum(1)
    spread = (squares.sum() / (len(x) - 1) / 2).sqrt()
    error = squares.std() / len(x) ** 0.5 / (4 * spread)  # the error of spread², through the root
    row = fidelity(BLOBS.log_posterior(x)[:, label].exp())
    row |= {"diversity": (spread / std).item(), "diversity error": (error / std).item()}
    return row | {"moved": ((x.mean(0) - BLOBS.means[label]).norm() / std).item()}


def log_sharpened(label: int, x: torch.Tensor) -> torch.Tensor:
    """log p(x) p(c|x)^w at each w, not normalised: [N, 2] -> [W, N]."""
    w = torch.tensor(W["blob"], dtype=torch.float64)[:, None]
    return BLOBS.log_prob(x) + w * BLOBS.log_posterior(x)[:, label]


@functools.cache
def sharpened(label: int) -> list[dict[str, float]]:
    """The numbers of `spread_of` for the density p(x) p(c|x)^w at each w, by sums over a fine grid."""
    ticks, std = torch.linspace(-3, 3, 121, dtype=torch.float64), BLOBS.var[label, 0].sqrt()
    x = torch.cartesian_prod(ticks, ticks)
    weight = log_sharpened(label, x).softmax(1)  # [W, grid]
    mean = weight @ x
    spread = ((weight @ x.square() - mean.square()).sum(1) / 2).sqrt()
    moved = (mean - BLOBS.means[label]).norm(dim=1)
    columns = weight @ BLOBS.log_posterior(x)[:, label].exp(), spread / std, moved / std
    names = "fidelity", "diversity", "moved"
    return [dict(zip(names, row, strict=True)) for row in torch.stack(columns, 1).tolist()]


# ------------------------------------------------------------------------------------ digits: a network
def guided_digits(label: int, seed: int, w: tuple) -> torch.Tensor:
    """20 samples at each w, from the same noise, all in one batch: [W, 20, 1, 8, 8]."""
    network = trained("digits")
    schedule = network.schedule
    told, not_told = network.given(label), network.given(None)
    denoiser = classifier_free(told, not_told, w=torch.tensor(w).repeat_interleave(20))
    x_T = p_sample_prior((20, 1, 8, 8), schedule, torch.Generator().manual_seed(seed)).repeat(len(w), 1, 1, 1)
    *_, last = dpm_solver_pp_2m(denoiser, x_T, schedule, timesteps(schedule, 12))
    return last.x.reshape(len(w), 20, 1, 8, 8).double()


@functools.lru_cache(32)
def pictures_at(label: int, seed: int) -> tuple[np.ndarray, list[dict[str, float]]]:
    """The samples in GREYS at each w, [W, 20, 1, 8, 8], and their numbers.

    They are the result of `drawn`, which takes seconds; for the first seed it is shipped.
    """
    found = shipped(f"guidance.digit {label}") if seed == 0 else drawn(label, seed)
    rows = [dict(zip(NUMBERS, row, strict=True)) for row in found["numbers"].tolist()]
    return found["pictures"].numpy() / np.float32(GREYS), rows


def drawn(label: int, seed: int) -> dict[str, torch.Tensor]:
    """The samples and their numbers as `pictures_at` reads them."""
    runs = guided_digits(label, seed, W["digit"])
    rows = [coverage_of(label, x) for x in runs]
    # More greys look the same, and fewer greys make the page without a kernel much smaller
    pictures = (GREYS * runs).round().clamp(-128, 127).char()
    numbers = torch.tensor([[row[name] for name in NUMBERS] for row in rows], dtype=torch.float64)
    return {"pictures": pictures, "numbers": numbers}


def coverage_of(label: int, x: torch.Tensor) -> dict[str, float]:
    """Fidelity and diversity of images [N, 1, 8, 8], with standard errors; the share of pixels outside."""
    held_out, near, _ = of_class(label)
    covered = (torch.cdist(held_out.flatten(1), x.flatten(1)).min(1).values <= near).double()
    row = fidelity(judge().probabilities(x)[:, label]) | {"diversity": covered.mean().item()}
    row["diversity error"] = (covered.std() / len(covered) ** 0.5).item()
    return row | {"outside": (x.abs() > 1.05).double().mean().item()}


@functools.cache
def real_digits(label: int) -> dict[str, float]:
    """The numbers of real digits: p(c|x) of the held-out ones, the mean coverage of 20 training digits."""
    held_out, _, train = of_class(label)
    shares = [coverage_of(label, part)["diversity"] for part in train.split(COUNT["digit"])[:-1]]
    return fidelity(judge().probabilities(held_out)[:, label]) | {"diversity": np.mean(shares).item()}


@functools.cache
def of_class(label: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The held-out digits of a class, the distance of each to its 5th training digit, the training digits."""
    train, test = (images[labels == label].double() for images, labels in map(digits, ("train", "test")))
    near = torch.cdist(test.flatten(1), train.flatten(1)).kthvalue(NEIGHBOUR, dim=1).values
    return test, near, train


judge = functools.cache(features.load)  # the classifier that ships
