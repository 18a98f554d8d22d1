"""GAN, VAE and diffusion on the 25 Gaussians of `grid`: equal weights, equal processor time, ten seeds.

Each model has a search of its own, of as many recipes as any other's; every recipe gets as many steps as fit
into the same time. The best is the one whose 26 bins have the lowest KL to the truth, on a seed that is not
used again. It is then trained from ten other seeds, and looked at on the way; and once four times as long.
All rows are kept. Two smaller parts ask where the diffusion loses modes as well: with few points to train on,
and drawn in few steps.

``python -m diffusion_lab.experiments.rivals`` does it, in some 25 minutes of one core. If it was stopped, it
goes on. It writes pretrained/grid.rivals.csv, which `table` reads, and grid.rivals.safetensors.gz for the
explorer. Names of models behind the command do their part alone.
"""

import functools
import gzip
import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoints import write_atomically
from ..pretrained import FOLDER
from ..samplers import ddim
from ..schedules import cosine
from ..tables import read_table, write_table
from . import grid
from .rival_models import CANDIDATES, MODELS, T, draws, from_noise, likelihood, points, trained, weights

TABLE, POINTS = FOLDER / "grid.rivals.csv", FOLDER / "grid.rivals.safetensors.gz"
MADE_BY = "python -m diffusion_lab.experiments.rivals"
PARTS = ("search", "compare", "longer", "few points", "few steps")
LONGER = 4  # times the steps
SEARCH_SEED, SEEDS, FEW_STEPS, FEW_POINTS = 100, tuple(range(10)), (5, 10, 20, 50), (50, 200)
LOOKS = (0.02, 0.04, 0.08, 0.14, 0.22, 0.32, 0.44, 0.58, 0.76, 1.0)  # shares of the training
N, SHOWN, UNIT = 10_000, 200, 2000  # draws of a measure; points kept of a look, and whole numbers per 1
WORDS = ("part", "model", "recipe", "sampler")
KEY = ("part", "model", "recipe", "sampler", "points", "seed")


def row(part: str, model: str, x: Tensor, **more: Any) -> dict[str, Any]:
    """One row of the table: what was done, and what draws x are like."""
    empty = dict.fromkeys(("recipe", "sampler"), "") | dict.fromkeys(("points", "weights", "steps"), 0)
    empty |= dict.fromkeys(("seconds", "nll", "bound", "std"), math.nan)
    found = dict(part=part, model=model, seed=0) | empty | grid.measured(x) | more
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def run(
    part: str, model: str, options: dict[str, Any], seed: int, n: int = 0
) -> tuple[dict[str, Any], Any, dict]:
    """(row, what draws, its looks) of one training, on n points of the truth; 0 is 100 000."""
    steps, spent, looks = options["steps"], 0.0, {"points": [], "measured": []}
    at = {max(1, round(share * 50)) * (steps // 50) for share in LOOKS}

    def look(step: int, source: Any) -> None:
        nonlocal spent
        start = time.process_time()
        if step in at and part == "compare":
            x = draws(source, 2000)
            looks["points"].append((x[:SHOWN].clamp(-2, 2) * UNIT).round().short())
            looks["measured"].append(torch.tensor(list(grid.measured(x).values())))
        spent += time.process_time() - start

    start = time.process_time()
    source = trained(model, options, seed, points()[:n] if n else points(), look, steps // 50)
    told: dict[str, Any] = dict(recipe=named(options), seed=seed, points=n or len(points()), steps=steps)
    told |= dict(weights=weights(model, options), seconds=round(time.process_time() - start - spent, 2))
    if part != "search":
        told |= likelihood(source)
    return row(part, model, draws(source, N, seed), **told), source, looks


def named(options: Mapping[str, Any]) -> str:
    """A recipe in words, without its steps."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in options.items()
        if name != "steps"
    )


# ------------------------------------------------------------------------------------ the table
def table() -> list[dict[str, Any]]:
    """The stored rows; none if there is no table yet."""
    return read_table(TABLE, WORDS)


def best(model: str) -> dict[str, Any]:
    """The candidate whose row of the search has the lowest KL."""
    found = {r["recipe"]: r["kl"] for r in table() if (r["part"], r["model"]) == ("search", model)}
    return min(CANDIDATES[model], key=lambda options: found[named(options)])


def store(*new: dict[str, Any]) -> None:
    """Add rows to the table, each in the place of one of the same run."""

    def of(r: dict[str, Any]) -> tuple:
        return tuple(r[name] for name in KEY)

    kept = {of(r): r for r in table()} | {of(r): r for r in new}
    write_table(TABLE, sorted(kept.values(), key=lambda r: (PARTS.index(r["part"]), *of(r))), MADE_BY)


@functools.cache
def seen() -> dict[str, Tensor]:
    """MODEL.points, int16 [10 seeds, 10 looks, 200, 2] in 1/2000, and MODEL.measured [10, 10, 5]."""
    return safetensors.torch.load(gzip.decompress(POINTS.read_bytes())) if POINTS.exists() else {}


def shown(model: str, seed: int, look: int) -> Tensor:
    """200 draws of a model at one look of its training, as they are stored: [200, 2]."""
    points = seen()[f"{model}.points"][seed, look].double() / UNIT
    return points


def measured(model: str, seed: int, look: int) -> dict[str, float]:
    """`grid.measured` of 2000 draws at one look."""
    names = ("quality", "touched", "modes", "kl", "width")
    return dict(zip(names, seen()[f"{model}.measured"][seed, look].tolist(), strict=True))


def keep(model: str, seed: int, looks: dict[str, list[Tensor]]) -> None:
    """Store what was seen of one run."""
    seen.cache_clear()  # another process may have stored another model's
    tensors = dict(seen())
    for name, found in looks.items():
        new = torch.stack(found)
        every = tensors.setdefault(f"{model}.{name}", new.new_zeros(len(SEEDS), *new.shape))
        every[seed] = new
    write_atomically(POINTS, gzip.compress(safetensors.torch.save(tensors), mtime=0))
    seen.cache_clear()


def few_steps(model: str, source: Any, seed: int, **told: Any) -> None:
    """Rows of what a denoiser draws with DDIM in few steps."""
    for steps in FEW_STEPS:
        *_, last = ddim(*from_noise(source, N, torch.Generator().manual_seed(seed), steps))
        store(row("few steps", model, last.x, sampler=f"DDIM, {steps} steps", seed=seed, **told))


def without_training() -> None:
    """Rows of the truth itself, and of the exact denoiser."""
    mixture = grid.grid()
    exact, floor = mixture.denoiser(cosine(T)), -mixture.log_prob(points(500, 1001)).mean().item()
    by_ode = likelihood(exact)
    for seed in SEEDS:
        store(row("compare", "data", draws(mixture, N, seed), seed=seed, nll=floor))
        store(row("compare", "exact denoiser", draws(exact, N, seed), seed=seed, **by_ode))
        few_steps("exact denoiser", exact, seed)


def main(models: list[str]) -> None:
    """Train and measure what is missing in the table."""
    done = {tuple(r[name] for name in KEY) for r in table()}
    if not models:
        without_training()
    for model in models or MODELS:
        for options in tqdm(CANDIDATES[model], desc=f"{model}, search"):
            if ("search", model, named(options), "", len(points()), SEARCH_SEED) not in done:
                store(run("search", model, options, SEARCH_SEED)[0])
        options = best(model)
        for seed in tqdm(SEEDS, desc=model):
            if ("compare", model, named(options), "", len(points()), seed) not in done:
                found, source, looks = run("compare", model, options, seed)
                keep(model, seed, looks)
                if model == "diffusion":
                    told = {name: found[name] for name in ("recipe", "points", "weights", "steps")}
                    few_steps(model, source, seed, **told)
                store(found)
        if ("longer", model, named(options), "", len(points()), 0) not in done:
            store(run("longer", model, options | dict(steps=LONGER * options["steps"]), 0)[0])
        for n in FEW_POINTS if model == "diffusion" else ():
            for seed in SEEDS[:2]:
                if ("few points", model, named(options), "", n, seed) not in done:
                    store(run("few points", model, options, seed, n)[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
