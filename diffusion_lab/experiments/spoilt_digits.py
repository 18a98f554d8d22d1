"""Real digits, spoilt in six ways, and what six metrics say about them."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import features, metrics
from ..exact import GaussianMixture
from .stored import digits, shipped

WAYS = {  # name -> what happens to the samples
    "blur": "Every digit is mixed with its own average over 3×3 pixels.",
    "noise": "Every pixel gets noise of standard deviation s/2.",
    "drop classes": "Classes are removed, 9 first, and the others repeated instead. At s = 1 only 0 is left.",
    "one per class": "A share s of the digits is replaced by one fixed digit of their class.",
    "class Gaussians": "A share s of the digits is replaced by draws from a Gaussian fitted to their class.",
    "copies": "A share s of the digits is replaced by copies from the reference, as if memorised.",
}
# name -> whether more is worse (1) or less is (−1)
METRICS = {"Fréchet distance": 1, "inception score": -1, "precision": -1, "recall": -1}
METRICS |= {"MMD²": 1, "P(nearer)": 1}
STRENGTHS = [k / 10 for k in range(11)]
SIZES = (50, 100, 200)  # of a set of samples: `usual` ships for these
START, OTHERS = 21, range(1, 21)  # seeds: the spoilt division, and those for the usual range
WIDE = 3  # values within this many standard deviations of the mean are usual

classifier = functools.cache(features.load)


@functools.cache
def all_digits() -> tuple[Tensor, Tensor]:
    """All 1797 digits [1797, 1, 8, 8] and their labels."""
    (a, labels_a), (b, labels_b) = digits("train"), digits("test")
    return torch.cat([a, b]), torch.cat([labels_a, labels_b])


def division(n: int, seed: int) -> list[Tensor]:
    """Three sets of real digits, n ≤ 57 of each class, in the order of the classes: [10 n, 1, 8, 8] each."""
    images, labels = all_digits()
    generator = torch.Generator().manual_seed(seed)
    places = [(labels == k).nonzero()[:, 0] for k in range(10)]
    places = [place[torch.randperm(len(place), generator=generator)] for place in places]
    return [images[torch.cat([place[part::3][:n] for place in places])] for part in range(3)]


def spoil(real: Tensor, reference: Tensor, how: str, s: float) -> Tensor:
    """The samples at strength s in 0…1, from real digits in the order of their classes; see WAYS."""
    N, generator = len(real), torch.Generator().manual_seed(0)
    if how == "blur":
        around = F.avg_pool2d(F.pad(real, (1, 1, 1, 1), value=-1), 3, stride=1)
        return (1 - s) * real + s * around
    if how == "noise":
        return real + 0.5 * s * torch.randn(real.shape, generator=generator)
    if how == "drop classes":
        kept = N - round(0.9 * s * N)
        return real[torch.arange(N) * kept // N]  # each kept digit appears about equally often
    n = N // 10
    others = real[torch.arange(N) // n * n] if how == "one per class" else reference
    if how == "class Gaussians":
        others = gaussian_digits(*all_digits(), n, generator)
    replaced = torch.randperm(N, generator=generator) < s * N
    return torch.where(replaced[:, None, None, None], others, real)


def gaussian_digits(images: Tensor, labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n draws from a Gaussian fitted to each class, in the order of the classes: [10 n, 1, 8, 8]."""
    means, root = class_gaussians(images, labels)
    noise = torch.randn(10, n, 64, generator=generator) @ root
    return (means[:, None] + noise.reshape(10, n, 1, 8, 8)).flatten(0, 1)


@functools.lru_cache(2)
def class_gaussians(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each class [10, 1, 8, 8] and the root of its covariance [10, 64, 64]."""
    fitted = GaussianMixture.fit(images, labels)
    axes = torch.eye(64) if fitted.axes is None else fitted.axes
    # the symmetric root is unique; the signs of eigenvectors differ between machines
    return fitted.means, (axes * fitted.var.sqrt()[:, None]) @ axes.mT


def spoilt(n: int, how: str, strengths: list[float]) -> tuple[list[Tensor], list[dict[str, float]]]:
    """The START division, spoilt: at each strength the samples [10 n, 1, 8, 8], and their metrics."""
    reference, real, held_out = division(n, START)
    samples = [spoil(real, reference, how, s) for s in strengths]
    found = [dict(zip(METRICS, row, strict=True)) for row in measure_each(samples, reference, held_out)]
    return samples, found


def measure(samples: Tensor, reference: Tensor, held_out: Tensor) -> list[float]:
    """The six metrics of the samples, in the order of METRICS."""
    return measure_each([samples], reference, held_out)[0]


def measure_each(sets: list[Tensor], reference: Tensor, held_out: Tensor) -> list[list[float]]:
    """The same for several sets of samples; the network computes all their features in one call."""
    network, parts = classifier(), [len(reference), *map(len, sets)]
    a, *features = network.features(torch.cat([reference, *sets])).split(parts)
    found = []
    for samples, b in zip(sets, features, strict=True):
        score = metrics.inception_score(network.last(b * network.scale).softmax(1))
        precision, recall = metrics.precision_recall(a, b)
        nearer = metrics.memorisation(samples, reference, held_out).nearer
        found += [[metrics.frechet_distance(a, b), score, precision, recall, metrics.mmd2(a, b), nearer]]
    return found


@functools.cache
def usual(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the metrics of unspoilt digits, over 20 divisions: [6] each.

    `of_divisions` computes them; its result is always the same and ships, to save a second.
    """
    rows = shipped("usual")[str(n)].numpy()
    return np.mean(rows, 0), np.std(rows, 0, ddof=1)


def of_divisions(n: int) -> Tensor:
    """The metrics of unspoilt digits in each of OTHERS divisions: [20, 6]."""
    every = (division(n, seed) for seed in OTHERS)
    rows = [measure(real, reference, held_out) for reference, real, held_out in every]
    return torch.tensor(rows, dtype=torch.float64)


def judge(row: np.ndarray, mean: np.ndarray, std: np.ndarray) -> list[str]:
    """For each metric "worse", "usual" or "better" than for real digits; a low P(nearer) is "farther"."""
    worse = (row - mean) * list(METRICS.values())  # by how much
    verdicts = np.where(np.abs(worse) <= WIDE * std, "usual", np.where(worse > 0, "worse", "better")).tolist()
    if verdicts[-1] == "better":  # far from the reference, and so from all other data: this is no praise
        verdicts[-1] = "farther"
    return verdicts
