"""One recipe, three architectures: a U-Net, a DiT and an MLP on digits, at equal steps and at equal time.

All have about as many weights. ``python -m diffusion_lab.experiments.architectures`` trains them, first with
several learning rates on four fifths of the training digits, to give each the rate with the lowest loss on
the other fifth; then for several numbers of steps from three seeds; and the DiT with a part changed. It takes
a quarter of an hour of one core, and writes ``pretrained/digits.architectures.csv``; `table` reads it.
"""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import training
from ..applications.dit import DiT
from ..checkpoints import FilePath
from ..checks import Reals
from ..features import load as load_classifier
from ..layers import Label
from ..mlp import MLP
from ..pretrained import FOLDER
from ..recipe import Recipe
from ..tables import read_table, write_table
from ..unet import TinyUNet
from .stored import digits
from .taken_away import held_out_loss, measured

FILE = FOLDER / "digits.architectures.csv"
SEEDS, STEPS, LONGER = (0, 1, 2), (150, 600, 2400), 9600
RATES = (2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
ALL, FEW = 1437, 144  # digits to train on
SEARCHED = 1149  # in the search, which is judged by the other 288


class PictureMLP(nn.Module):
    """An MLP that gets a picture as one row of 64 numbers: what is beside what, it is not told."""

    def __init__(self, width: int = 92, depth: int = 3, num_classes: int | None = 10) -> None:
        super().__init__()
        self.mlp, self.shape = MLP(64, width, depth, num_classes), (1, 8, 8)

    def forward(self, x: Tensor, t: Reals, label: Label | None = None, drop: Tensor | None = None) -> Tensor:
        return self.mlp(x.flatten(1), t, label, drop).reshape(x.shape)

    @property
    def num_classes(self) -> int | None:
        return self.mlp.num_classes


def dit(patch: int = 2) -> DiT:
    """The DiT of this comparison."""
    return DiT(1, 8, patch, width=48, depth=3, heads=4, num_classes=10)


def without_positions() -> DiT:
    """A DiT to which the picture is a bag of patches."""
    net = dit()
    net.where.zero_()
    return net


def without_attention() -> DiT:
    """A DiT in which each patch is alone: a token's weighted mean is over itself."""
    net = dit()
    for block in net.blocks:
        block.attention = nn.Sequential(nn.Linear(net.width, net.width), nn.Linear(net.width, net.width))
    return net


def without_zero() -> DiT:
    """A DiT whose scales, shifts and gates start as any other layer, not at 0."""
    net = dit()
    for block in net.blocks:
        block.adaln = nn.Linear(net.width, 6 * net.width)
    return net


KINDS: dict[str, Callable[[], nn.Module]] = {
    "U-Net": lambda: TinyUNet(width=16, num_classes=10, image_size=8),
    "DiT": dit,
    "MLP": PictureMLP,
    "DiT without positions": without_positions,
    "DiT without attention": without_attention,
    "DiT not from 0": without_zero,
    "DiT, patch 4": functools.partial(dit, 4),
    "DiT, patch 1": functools.partial(dit, 1),
}
COMPARED, CHANGED = tuple(KINDS)[:3], tuple(KINDS)[3:]


@dataclass(frozen=True)
class OfKind(Recipe):
    """The recipe of notebook 07 for one of KINDS: a Recipe knows the networks of Part I, this one others."""

    networks: ClassVar[Mapping[str, Callable[..., Any]]] = KINDS

    network: str = "U-Net"
    steps: int = 600
    batch: int = 64
    lr: float = 4e-3


def run(kind: str, lr: float, steps: int, seed: int, images: int = ALL) -> dict[str, float | str]:
    """Train on the first `images` digits, and measure: a row of the table. Seconds are of one core.

    The loss is of the test digits; in the search, of the training digits that were left out.
    """
    x0, label = digits("train")
    start = time.process_time()
    result = training.train(
        OfKind(network=kind, lr=lr, steps=steps, seed=seed), (x0[:images], label[:images]), progress=False
    )
    seconds = time.process_time() - start
    row: dict[str, float | str] = dict(kind=kind, images=images, lr=lr, steps=steps, seed=seed)
    row |= dict(seconds=round(seconds, 2), train=round(result.history.per_step()[-100:].mean().item(), 4))
    found = measured(result.denoiser, load_classifier())
    if images == SEARCHED:
        others = x0[SEARCHED:], label[SEARCHED:]
        found["loss"] = round(held_out_loss(result.denoiser, *others).mean().item(), 4)
    return row | {name: found[name] for name in ("loss", "recognised", "frechet")}


def best_rate(rows: list[dict], kind: str) -> float:
    """The learning rate with the lowest loss of the search: 600 steps, seed 0."""
    tried = [r for r in rows if (r["kind"], r["images"]) == (kind, SEARCHED)]
    return min(tried, key=lambda r: r["loss"])["lr"]


@functools.cache
def table(path: FilePath = FILE) -> list[dict]:
    """The stored rows."""
    return read_table(path)


def mean(column: str, kind: str, steps: int = 600, images: int = ALL) -> tuple[float, float, float]:
    """(mean, lowest, highest) of a column over the seeds, with the kind's best learning rate.

    Raises ValueError if there is no such row.
    """
    lr = best_rate(table(), kind if kind in COMPARED else "DiT")
    asked = (kind, steps, images, lr)
    found = [r[column] for r in table() if (r["kind"], r["steps"], r["images"], r["lr"]) == asked]
    if not found:
        raise ValueError(f"kind, steps and images must be those of a row; got {asked[:3]}")
    return sum(found) / len(found), min(found), max(found)


def save(rows: list[dict], path: FilePath = FILE) -> None:
    """Store the rows."""
    write_table(path, rows, "python -m diffusion_lab.experiments.architectures")


def cell_of(row: dict) -> tuple:
    """What a row is a run of."""
    return row["kind"], row["lr"], row["steps"], row["seed"], row["images"]


def planned(rows: list[dict]) -> list[tuple]:
    """(kind, learning rate, steps, seed, images) of all runs, once the search is among the rows."""
    rate = {kind: best_rate(rows, kind) for kind in COMPARED}
    found: list[tuple] = []
    for seed in SEEDS:
        found += [(kind, rate[kind], steps, seed, ALL) for kind in COMPARED for steps in STEPS]
        found += [("MLP", rate["MLP"], LONGER, seed, ALL)]
        if seed < 2:
            found += [(kind, rate["DiT"], 600, seed, ALL) for kind in CHANGED]
            found += [("DiT without attention", rate["DiT"], 2400, seed, ALL)]
            found += [(kind, rate[kind], 600, seed, FEW) for kind in COMPARED]
    return found


def main() -> None:
    """Train what is missing in the table, so a run that was stopped goes on; all of it, if it is whole."""
    rows = read_table(FILE)
    search = [(kind, lr, 600, 0, SEARCHED) for kind in COMPARED for lr in RATES]
    made = {*map(cell_of, rows)}
    if made >= {*search} and made >= {*planned(rows)}:
        rows = []
    for cells in (lambda: search, lambda: planned(rows)):
        for cell in tqdm(cells()):
            if cell not in map(cell_of, rows):
                rows.append(run(*cell))
                save(rows)
    rows = [row for row in rows if cell_of(row) in {*search, *planned(rows)}]
    save(rows)
    for kind in COMPARED:
        losses = ", ".join(f"{r['loss']:.4f}" for r in rows if r["kind"] == kind)
        print(f"{kind}: learning rate {best_rate(rows, kind):g}, held-out losses {losses}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
