"""Generators that learn from their own samples: the exact loop of a Gaussian, and a small one of digits.

Fit a generator to data, draw as many samples, fit the next generator to the samples, and so on. Where each
generation *replaces* the data, something is lost every time, and nothing brings it back ("model collapse",
Shumailov et al. 2024). Where the samples are *added* to the data that were there, the loss stays bounded
(Gerstgrasser et al. 2024).

``python -m diffusion_lab.experiments.own_samples`` runs the loop with diffusion models of digits, in some
four minutes, and writes ``pretrained/digits.own_samples.csv``; `table` reads it.
"""

import functools

import torch
from torch import Tensor
from tqdm import tqdm

from ..checks import check_int, noise_like
from ..features import accuracy
from ..features import load as load_classifier
from ..metrics import frechet_distance
from ..pretrained import FOLDER
from ..tables import read_table, write_table
from .few_digits import Labelled, classifier, diffusion, drawn_digits, labelled
from .stored import digits

FILE = FOLDER / "digits.own_samples.csv"
WAYS = {"replaced": 1.0, "replaced, guided": 2.0, "added": 1.0}  # and the guidance w that draws the samples
GENERATIONS, SEEDS, N = 6, (0, 1), 50  # N digits of each class, real or drawn, in each generation


# ------------------------------------------------------------------------------------ one Gaussian, exactly
def variance_left(n: int, generations: int, add: bool = False) -> Tensor:
    """E[variance of the fit] / true variance after 0, 1, … `generations` fits: [generations + 1].

    Each fit is by maximum likelihood, so it divides by the number of points. The first is to n points of the
    truth, each later one to n draws of the fit before it::

        replaced    E[v_g] = (1 − 1/n) E[v_(g−1)]            = (1 − 1/n)^g
        added       E[v_g] = (1 − 1/(n g²)) E[v_(g−1)]       ≥ sin(π/√n) / (π/√n), however long it goes on

    With `add`, fit g sees all n g points so far, of which the last n are draws of fit g − 1. Their spread
    around the mean of fit g − 1 is v_(g−1) on average; what is lost is the move of the mean, whose variance
    is v_(g−1) / (n g²). The bound is Euler's product of the sine. Raises ValueError for n or generations that
    are too small.
    """
    n, generations = check_int(n, "n", 2), check_int(generations, "generations", 0)
    g = torch.arange(1, generations + 1).double()
    factors = 1 - 1 / (n * g**2) if add else (1 - 1 / n) * torch.ones_like(g)
    return torch.cat([torch.ones(1).double(), factors.cumprod(0)])


def variance_runs(
    n: int, generations: int, add: bool = False, runs: int = 1000, generator: torch.Generator | None = None
) -> Tensor:
    """The same by simulation of N(0, 1): the variances of the fits, [generations + 1, runs]."""
    mean, variance = torch.zeros(runs, 1).double(), torch.ones(runs, 1).double()
    room = torch.empty(runs, n).double()
    count, total, squares, found = 0, torch.zeros_like(mean), torch.zeros_like(mean), [variance[:, 0]]
    for _ in range(generations):
        drawn = noise_like(room, generator).mul_(variance.sqrt()).add_(mean)
        if not add:
            count, total, squares = 0, torch.zeros_like(mean), torch.zeros_like(mean)
        count += n  # sums are all that a fit needs of the points
        total = total + drawn.sum(1, keepdim=True)
        squares = squares + drawn.square_().sum(1, keepdim=True)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        found.append(variance[:, 0])
    return torch.stack(found)


# ------------------------------------------------------------------------------------ digits
def spread(data: Labelled) -> float:
    """The variance of the digits of one class, summed over the pixels and averaged over the classes."""
    x, label = data
    return torch.stack([x[label == k].var(0).sum() for k in range(10)]).mean().item()


def measured(data: Labelled, seed: int) -> dict[str, float]:
    """What a generation is worth.

    `accuracy` is that of a classifier trained on it, on the test digits; `frechet` its distance to these in
    the features of `features`; `spread` as above.
    """
    test, net = digits("test"), load_classifier()
    right = accuracy(classifier(data, seed=seed), *test)
    found = dict(accuracy=right, frechet=frechet_distance(net.features(data[0]), net.features(test[0])))
    return {name: round(value, 4) for name, value in (found | dict(spread=spread(data))).items()}


def loop(way: str, seed: int) -> list[dict]:
    """A row for each generation of samples: 0 is the real digits, g the draws of the g-th generator."""
    newest = every = labelled(N, seed)
    rows = [dict(way=way, seed=seed, generation=0) | measured(newest, seed)]
    for g in range(1, GENERATIONS + 1):
        model = diffusion(every, seed + 100 * g)
        newest = drawn_digits(model, N, seed + 100 * g, WAYS[way])
        every = (
            (torch.cat([every[0], newest[0]]), torch.cat([every[1], newest[1]])) if way == "added" else newest
        )
        rows.append(dict(way=way, seed=seed, generation=g) | measured(newest, seed))
    return rows


@functools.cache
def table() -> list[dict]:
    """The stored rows: way, seed, generation, accuracy, frechet, spread."""
    return read_table(FILE)


def averaged(way: str, column: str) -> list[float]:
    """The mean of a column over the seeds, for each generation."""
    rows = [row for row in table() if row["way"] == way]
    each = [[row[column] for row in rows if row["generation"] == g] for g in range(GENERATIONS + 1)]
    return [sum(values) / len(values) for values in each]


def main() -> None:
    """Run the loops that are not in the table yet; all of them, if it is whole."""
    cells = [(way, seed) for way in WAYS for seed in SEEDS]
    rows = read_table(FILE)
    done = {(row["way"], row["seed"]) for row in rows}
    if done >= set(cells):
        rows, done = [], set()
    for way, seed in tqdm(cells):
        if (way, seed) not in done:
            rows += loop(way, seed)
            write_table(FILE, rows, "python -m diffusion_lab.experiments.own_samples")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
