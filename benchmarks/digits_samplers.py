"""How few calls of the digits network are enough? python benchmarks/digits_samplers.py

Every sampler on every spacing of the times, with 5, 10 and 20 calls of the network, and DDPM over all
1000 steps: 1 800 samples each, as many of each class, told the class and not clipped, over five seeds.
Measured: the Fréchet distance to the held-out digits, between features of the digits classifier and between
pixels; the share recognised; precision and recall. The table is kept beside the weights, row by row: a run
that was stopped goes on where it was, and one with other weights begins anew. Notebook 08 plots it.
"""

import csv
import hashlib
import io
import itertools

import torch
from digits_quality import N_SAMPLES, SEEDS, draw
from tqdm import tqdm

from diffusion_lab import data, features, metrics, pretrained, samplers
from diffusion_lab.checkpoints import write_atomically

TABLE = pretrained.FOLDER / "digits.samplers.csv"
BUDGETS = (5, 10, 20)  # calls of the network that a sampler may make
# Times for Heun, the best of some thirty tried: closest to the *training* digits, with a seed that is not in
# the table. So few steps are worth a choice (Sabour et al. 2024, "Align your steps", arXiv 2404.14507).
CHOSEN = {5: [1000, 759, 277, 0], 10: [1000, 900, 680, 400, 150, 0]}
COLUMNS = ["sampler", "spacing", "budget", "seed"]
COLUMNS += ["calls", "features", "pixels", "recognised", "precision", "recall"]


def cells() -> list[tuple[str, str, int, int]]:
    """Sampler, spacing, budget and seed of every row: seed by seed, cheap ones first, the long ones last."""
    grid = list(itertools.product(samplers.SAMPLERS, samplers.SPACINGS, BUDGETS))
    grid += [("heun", "chosen", budget) for budget in CHOSEN]
    rows = [(*cell, seed) for cell in grid for seed in range(SEEDS)]
    rows.sort(key=lambda row: (row[3], row[2]))
    return rows + [("ddpm", "trailing", 1000, seed) for seed in range(SEEDS)]


def times_for(schedule, sampler: str, spacing: str, budget: int) -> list[int]:
    """The times of the longest run that calls the network at most `budget` times."""
    if spacing == "chosen":
        return CHOSEN[budget]
    steps = (budget + 1) // 2 if sampler in ("heun", "edm") else budget  # two calls a step, one for the last
    return samplers.timesteps(schedule, steps, spacing)


@torch.no_grad()
def measure(network, classifier, sampler: str, spacing: str, budget: int, seed: int) -> dict[str, float]:
    """One row of the table: how close 1 800 samples are to the held-out digits."""
    times = times_for(network.schedule, sampler, spacing, budget)
    last, labels = draw(network, seed, samplers.SAMPLERS[sampler], times)
    test, x = data.digits("test")[0], last.x
    real, ours = classifier.features(test), classifier.features(x)
    precision, recall = metrics.precision_recall(real, ours)
    return {
        "calls": last.calls,
        "features": metrics.frechet_distance(ours, real),
        "pixels": metrics.frechet_distance(x, test),
        "recognised": features.accuracy(classifier, x, labels),
        "precision": precision,
        "recall": recall,
    }


def head() -> str:
    """The table's first line: what else its numbers depend on."""
    files = ("digits.safetensors", "classifier.safetensors")
    digests = [hashlib.sha256((pretrained.FOLDER / name).read_bytes()).hexdigest()[:12] for name in files]
    of = "; ".join(f"{name} {digest}" for name, digest in zip(files, digests, strict=True))
    return f"# {N_SAMPLES} samples a row; {of}\n"


def read() -> dict[tuple, dict[str, float]]:
    """The rows there are; none if they were made with other weights."""
    known = TABLE.exists() and TABLE.read_text("utf-8").startswith(head())
    return pretrained.sampler_table(TABLE) if known else {}


def write(table: dict[tuple, dict[str, float]]) -> None:
    """Stores the rows in the order of `cells`, to five significant digits."""
    text = io.StringIO(head())
    text.seek(0, io.SEEK_END)
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for cell in cells():
        if cell in table:
            rows.writerow([*cell, *(f"{table[cell][name]:.5g}" for name in COLUMNS[4:])])
    write_atomically(TABLE, text.getvalue().encode())


def mean(table, name: str, *cell) -> float:
    """The mean over the seeds."""
    return sum(table[(*cell, seed)][name] for seed in range(SEEDS)) / SEEDS


def main() -> None:
    network, classifier, table = pretrained.load("digits"), features.load(), read()
    missing = [cell for cell in cells() if cell not in table]
    with tqdm(total=sum(cell[2] for cell in missing), unit="call") as bar:
        for cell in missing:
            bar.set_description(" ".join(map(str, cell)))
            table[cell] = measure(network, classifier, *cell)
            write(table)
            bar.update(cell[2])
    long = "ddpm", "trailing", 1000
    print("Fréchet distance to the held-out digits, mean of five seeds, and over that of 1000 steps of DDPM:")
    for cell in dict.fromkeys(cell[:3] for cell in cells()):
        ours = {name: mean(table, name, *cell) for name in ("features", "pixels")}
        said = [f"{name} {d:8.4f} ({d / mean(table, name, *long):6.2f})" for name, d in ours.items()]
        print(f"{cell[2]:4d} calls  {cell[0]:21s} {cell[1]:9s} {'   '.join(said)}")


if __name__ == "__main__":
    main()
