"""How it learns to say it: python -m diffusion_lab.experiments.learned_to_say (some ten minutes)

Trains the network of `text_to_image`, and keeps its averaged weights at a few steps on the way. At each of
them, captions of every split are drawn and read again, and a few captions are drawn for the eye. Weights,
shares and pictures are stored in pretrained/. Stopped, the training goes on where it was: what it needs for
that is in build/text_to_image/; delete it if the autoencoder has changed since.
"""

import functools
import gzip
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import pretrained
from ..applications.autoencoder import load_autoencoder
from ..applications.text_to_image import FILES, RECIPE, sample, save_text_to_image
from ..applications.words import tokens
from ..checkpoints import write_atomically
from ..history import History
from ..model import ModelDenoiser
from ..shape_world import SPLITS, shapes
from ..training import train
from .said import captions_of, drawn, right
from .said_exactly import WORDS_OF, heard

PICTURES = 40_000  # to train on: each scene some fifty times, never twice at the same place
KEPT = (50, 100, 150, 200, 300, 400, 600, 800, 1200, 2000)  # steps
GUIDED = (1.0, 2.0)
N = 200  # captions of each split, at each of these steps
SHOWN = {
    "train": ("a large red circle on the left", "a small blue square above a large green circle"),
    "scenes": (
        "a small green square left of a small blue triangle",
        "a small blue square left of a large red circle",
    ),
    "pairs": ("a large green triangle in the middle", "a small yellow circle left of a large red square"),
}
EACH = 4  # pictures of each of these
FILE = pretrained.FOLDER / "shapes.learned.safetensors.gz"
RUN = Path("build/text_to_image")


@torch.no_grad()
def latents() -> tuple[Tensor, Tensor]:
    """The training set: latents [40 000, 4, 8, 8], and the words of their captions [40 000, 10]."""
    autoencoder, generator = load_autoencoder(), torch.Generator().manual_seed(1)
    parts, captions = [], []
    for _ in range(PICTURES // 500):
        x, said = shapes(500, generator)
        parts.append(autoencoder.latents(x))
        captions += said
    return torch.cat(parts), tokens(captions)


def keep(step: int, denoiser: ModelDenoiser, _history: History) -> None:
    """Write down the averaged weights at the steps to look back at."""
    if step in KEPT:
        weights = {name: value.half().contiguous() for name, value in denoiser.net.state_dict().items()}
        write_atomically(RUN / f"{step}.safetensors", safetensors.torch.save(weights))


def at_step(step: int) -> ModelDenoiser:
    """The network as it was after `step` steps; only where it was trained."""
    weights = safetensors.torch.load_file(RUN / f"{step}.safetensors")
    net = RECIPE.make_network(weights).eval().requires_grad_(False)
    return ModelDenoiser(net, RECIPE.make_schedule(), RECIPE.predicts)


def looked_back() -> dict[str, Tensor]:
    """Shares right [steps, splits, scales], words `heard` [steps, 3], and pictures of each caption, uint8.

    The pictures of a caption are [steps, scales, 4, 3, 32, 32].
    """
    shares, words = torch.zeros(len(KEPT), len(SPLITS), len(GUIDED)), torch.zeros(len(KEPT), len(WORDS_OF))
    found: dict[str, list[Tensor]] = {caption: [] for said in SHOWN.values() for caption in said}
    for k, step in enumerate(tqdm(KEPT, unit="checkpoint")):
        network = at_step(step)
        words[k] = torch.tensor([heard(network, part) for part in WORDS_OF])
        for i, split in enumerate(SPLITS):
            for j, w in enumerate(GUIDED):
                good = right(drawn(split, w, N, network), captions_of(split, N))
                shares[k, i, j] = sum(good) / N
        for caption, rows in found.items():
            rows.append(torch.stack([shown(caption, w, network) for w in GUIDED]))
    return {caption: torch.stack(rows) for caption, rows in found.items()} | {
        "shares": shares,
        "heard": words,
    }


def shown(caption: str, w: float, network: ModelDenoiser | None = None) -> Tensor:
    """Four pictures of a caption, uint8 [4, 3, 32, 32] in 32 levels; x_T is the same at all steps."""
    x = sample([caption] * EACH, w, generator=torch.Generator().manual_seed(0), network=network)
    return (127.5 * (x + 1)).to(torch.uint8) // 8 * 8 + 4


@functools.cache
def learned() -> dict[str, Tensor]:
    """What `looked_back` found when the weights were trained; pictures are floats in [−1, 1] again."""
    found = safetensors.torch.load(gzip.decompress(FILE.read_bytes()))
    return {name: x / 127.5 - 1 if x.dtype == torch.uint8 else x for name, x in found.items()}


def main() -> None:
    """Train, store the weights, look back, and store that too."""
    run = RUN / "run.safetensors"
    result = train(RECIPE, latents(), checkpoint=run, resume=run.exists(), callback=keep, callback_every=50)
    if result.interrupted:
        return
    for steps in FILES:
        save_text_to_image(at_step(steps), steps)
    write_atomically(FILE, gzip.compress(safetensors.torch.save(looked_back()), mtime=0))
    run.unlink()  # the next time it trains again
    print(f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
