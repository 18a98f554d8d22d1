"""Is everything right in a picture? python -m diffusion_lab.experiments.said (some ten minutes)

A thousand captions of each split are drawn at each scale of guidance w, and read again (`read_shapes`). A
picture is right if its caption comes back word for word. Where it is not, `verdicts` says what is wrong with
it: colour, kind, size, place, or the number of shapes. The table is kept beside the weights.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import binary_dilation, label
from torch import Tensor
from tqdm.auto import tqdm

from .. import pretrained
from ..applications.text_to_image import load_text_to_image, sample
from ..model import ModelDenoiser
from ..shape_world import (
    COLORS,
    GROUND,
    JITTER,
    KINDS,
    PLACES,
    SIDE,
    SIZES,
    SPLITS,
    Scene,
    covered,
    read_shapes,
    scene_of,
    shapes,
)
from ..tables import read_table, write_table

N, BATCH, STEPS = 1000, 250, 25
TRAINED = (600, 2000)  # steps
CAPTIONS = {0.0: 250, 1.0: N, 2.0: N, 4.0: 250, 8.0: 250}  # w -> how many captions of each split
PARTS = ("number", "place", "color", "kind", "size")
TABLE = pretrained.FOLDER / "shapes.said.csv"


# ------------------------------------------------------------------------------------ what is measured
@functools.cache
def captions_of(split: str, n: int = N) -> tuple[str, ...]:
    """n captions of a split, always the same."""
    return tuple(shapes(n, torch.Generator().manual_seed(20), split)[1])


def drawn(split: str, w: float, n: int = N, network: ModelDenoiser | None = None, seed: int = 0) -> Tensor:
    """A picture for each of these captions: [n, 3, 32, 32]. x_T is the same for every w."""
    generator, captions = torch.Generator().manual_seed(seed), captions_of(split, n)
    batches = [captions[i : i + BATCH] for i in range(0, n, BATCH)]
    return torch.cat([sample(batch, w, STEPS, generator, network) for batch in batches])


def right(pictures: Tensor, captions: Sequence[str]) -> list[bool]:
    """Whether each picture reads as its caption, word for word."""
    return [read == caption for read, caption in zip(read_shapes(pictures), captions, strict=True)]


def interval(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval for a share of which k of n were seen (Wilson 1927)."""
    middle = (k + z**2 / 2) / (n + z**2)
    half = z * math.sqrt(k * (n - k) / n + z**2 / 4) / (n + z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


# ------------------------------------------------------------------------------------ what is wrong
STANDS_OUT, FEWEST, COLOR_OFF, UNEVEN = 0.5, 8, 0.3, 0.3  # as `shape_world` reads


def verdicts(picture: Tensor, caption: str) -> dict[str, list[bool]]:
    """What is right in a picture [3, 32, 32], each word by itself: {"place": [True], "color": [True], …}.

    One entry for each shape of the caption; under "number" a single one. `read_shapes` asks more: all of it,
    and that the scene drawn again looks like the picture. Here a shape is looked for in its half of the
    picture, and judged even where it has no clear colour.
    """
    scene = scene_of(caption)
    stands_out = (picture - GROUND).abs().amax(0) > STANDS_OUT
    pieces, count = label(stands_out.numpy(), np.ones((3, 3)))
    large = sum((pieces == k).sum() >= FEWEST for k in range(1, count + 1))
    found: dict[str, list[bool]] = {"number": [large == len(scene.shapes)]}
    found |= {part: [] for part in PARTS[1:]}
    for k, shape in enumerate(scene.shapes):
        size, color, kind, centre = seen(picture, stands_out & half_of(scene, k))
        away = (centre - torch.tensor(PLACES[scene.places[k]])).abs().max()
        found["place"].append(bool(away <= JITTER + 1))
        found["color"].append(color == shape.color)
        found["kind"].append(kind == shape.kind)
        found["size"].append(size == shape.size)
    return found


def half_of(scene: Scene, k: int) -> Tensor:
    """The half of the picture in which shape k of two must be; of one, all of it: [32, 32], bool."""
    first = torch.arange(SIDE) < SIDE / 2
    if len(scene.shapes) == 1:
        return torch.ones(SIDE, SIDE, dtype=torch.bool)
    half = first if k == 0 else ~first
    return (half[None, :] if scene.where == "left of" else half[:, None]).expand(SIDE, SIDE)


def seen(picture: Tensor, piece: Tensor) -> tuple[str, str, str, Tensor]:
    """Size, colour, kind and centre of what the pixels `piece` [32, 32] show; "": a colour without a name."""
    if piece.sum() < FEWEST:
        return "", "", "", torch.full((2,), torch.inf)
    off = (picture - GROUND).abs().amax(0)
    core = picture[:, piece & (off >= 0.85 * off[piece].max())]
    apart = {name: (core.mean(1) - torch.tensor(rgb)).abs().max().item() for name, rgb in COLORS.items()}
    color = min(apart, key=apart.__getitem__)
    if apart[color] > COLOR_OFF or (core.shape[1] > 1 and core.std(1).max() > UNEVEN):
        color = ""
    direction = core.mean(1) - GROUND
    cover = torch.einsum("chw,c->hw", picture - GROUND, direction) / direction.square().sum()
    near = torch.from_numpy(binary_dilation(piece.numpy(), np.ones((3, 3))))
    cover = cover.clamp(0, 1) * near
    ticks = torch.arange(SIDE) + 0.5
    middle = torch.stack([(cover.sum(0) * ticks).sum(), (cover.sum(1) * ticks).sum()]) / cover.sum()
    names = list(itertools.product(SIZES, KINDS))
    low = {"circle": 0.0, "square": 0.0, "triangle": 0.8 - 2 / 3}  # of its middle below its centre
    centres = torch.stack([middle - torch.tensor([0.0, low[kind] * SIZES[size]]) for size, kind in names])
    masks = covered([kind for _, kind in names], [size for size, _ in names], centres)[:, 0]
    wrong = coarse(masks - cover).abs().sum((1, 2)) / masks.sum((1, 2))
    best = int(wrong.argmin())
    size, kind = names[best]
    return size, color, kind, centres[best]


def coarse(masks: Tensor) -> Tensor:
    """Means over 3 × 3 pixels, so that soft edges and sharp ones look alike: [n, 32, 32]."""
    return torch.nn.functional.avg_pool2d(masks, 3, 1, 1, count_include_pad=False)


def row(split: str, w: float, n: int, network: ModelDenoiser | None = None) -> dict[str, str]:
    """One line of the table: the share that is right, its interval, and the shares with a part wrong."""
    captions, pictures = captions_of(split, n), drawn(split, w, n, network)
    good = right(pictures, captions)
    low, high = interval(sum(good), n)
    line = {"split": split, "w": f"{w:g}", "n": str(n), "right": f"{sum(good) / n:.4f}"}
    line |= {"low": f"{low:.4f}", "high": f"{high:.4f}"}
    judged = [verdicts(*pair) for pair in zip(pictures, captions, strict=True)]
    return line | {part: f"{sum(not all(v[part]) for v in judged) / n:.4f}" for part in PARTS}


def table() -> dict[tuple[int, str, float], dict[str, float]]:
    """The stored table: (steps of training, split, w) -> column -> number."""
    return {(r.pop("steps"), r.pop("split"), float(r.pop("w"))): r for r in read_table(TABLE)}


def main() -> None:
    """Measure everything and store the table."""
    runs = tqdm(list(itertools.product(TRAINED, SPLITS, CAPTIONS)), unit="row")
    rows = [
        {"steps": steps} | row(split, w, CAPTIONS[w], load_text_to_image(steps)) for steps, split, w in runs
    ]
    command = "python -m diffusion_lab.experiments.said"
    write_table(TABLE, rows, f"{command}: {STEPS} DDIM steps; right = read as the caption")
    print(TABLE.read_text("utf-8"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
