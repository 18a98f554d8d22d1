"""Real pictures, all from files that other packages bring along: small faces, and patches of a photograph.

`faces` are 100 portraits of 25×25: enough to look at, too few to train on. `patches` are squares cut out of a
photograph at random places, as many as one likes. All are grey, [N, 1, H, W], in [−1, 1].
"""

import functools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_generator, check_int

PHOTOGRAPHS = ("flower", "china")
CONTRAST = 0.1  # the least standard deviation of a patch's pixels: on a flat one there is nothing to see


def faces(split: str = "train") -> Tensor:
    """Portraits from "Labeled Faces in the Wild" (Huang et al. 2007), the 100 that scikit-image brings along.

    :param split: "train" (80 faces) or "test" (each fifth, from the first on: 20 faces)
    :returns: [N, 1, 25, 25] in [−1, 1]
    :raises ValueError: for any other split, and without scikit-image
    """
    _check_split(split)
    images = np.load(_file("skimage", "data/lfw_subset.npy"))[:100]  # the other 100 are no faces
    held_out = np.arange(100) % 5 == 0
    chosen = images[held_out if split == "test" else ~held_out]
    return 2 * torch.from_numpy(chosen).float()[:, None] - 1


def patches(
    n: int,
    size: int = 24,
    split: str = "train",
    generator: torch.Generator | None = None,
    picture: str = "flower",
) -> Tensor:
    """n squares of size × size pixels, cut out of a photograph at random, turned and mirrored at random.

    Training patches lie in the left half of the photograph and test patches in the right half, so no pixel is
    in both. Squares that are nearly flat (standard deviation below 0.1) are left out: the blurred background.

    :param picture: "flower", a dahlia, or "china", a pagoda among trees: both are files of scikit-learn
    :returns: [n, 1, size, size] in [−1, 1], drawn on the CPU
    :raises ValueError: for another split or picture, a size below 2 or larger than half the photograph, and
        without scikit-learn
    """
    _check_split(split)
    n, size = check_int(n, "n", 1), check_int(size, "size", 2)
    check_generator(generator)
    half, places = _places(picture, split, size)
    pick = places[torch.randint(len(places), (n,), generator=generator)]
    along = torch.arange(size)
    rows, columns = pick[:, 0, None] + along, pick[:, 1, None] + along
    x = half[rows[:, :, None], columns[:, None, :]]  # [n, size, size]
    symmetry = torch.randint(8, (n,), generator=generator)
    for k in range(8):  # the eight symmetries of a square
        seen = x[symmetry == k].rot90(k % 4, (1, 2))
        x[symmetry == k] = seen if k < 4 else seen.flip(2)
    return x[:, None]


def enlarged(x: Tensor, k: int = 4) -> Tensor:
    """x [B, C, H, W] at a k-th of its resolution (means of k × k squares), enlarged again to its size.

    By bicubic interpolation: the usual way to enlarge, without any model of the data.
    """
    return F.interpolate(F.avg_pool2d(x, k), scale_factor=float(k), mode="bicubic")


def upscaling(
    n: int, split: str = "train", generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Pairs to learn super-resolution from: n `patches`, and each of them reduced and `enlarged` again."""
    x = patches(n, split=split, generator=generator)
    return x, enlarged(x)


SETS: dict[str, Callable[..., Tensor | tuple[Tensor, Tensor]]] = {"patches": patches, "upscaling": upscaling}


@functools.lru_cache(8)
def _places(picture: str, split: str, size: int) -> tuple[Tensor, Tensor]:
    """One half of the photograph, and the upper left corners [P, 2] of all squares with enough contrast."""
    if picture not in PHOTOGRAPHS:
        raise ValueError(f"picture must be one of {', '.join(PHOTOGRAPHS)}; got {picture!r}")
    whole = _photograph(picture)
    middle = whole.shape[1] // 2
    half = whole[:, :middle] if split == "train" else whole[:, middle:]
    if size > min(half.shape):
        raise ValueError(f"size must be at most {min(half.shape)}, half the photograph; got {size}")
    mean, square = (F.avg_pool2d(z.double()[None], size, 1)[0] for z in (half, half**2))
    return half, (square - mean**2 > CONTRAST**2).nonzero()


def _photograph(picture: str) -> Tensor:
    """[427, 640], grey, in [−1, 1]."""
    from PIL import Image  # noqa: PLC0415  # Pillow is optional

    with Image.open(_file("sklearn", f"datasets/images/{picture}.jpg")) as image:
        return torch.from_numpy(np.array(image.convert("L"))).float() / 127.5 - 1


def _file(package: str, path: str) -> Path:
    """A file inside an installed package, which is not imported for it: that takes a second."""
    found = find_spec(package)
    if found is None or found.origin is None:
        names = dict(skimage="scikit-image", sklearn="scikit-learn")
        raise ValueError(f"{names[package]} must be installed: the pictures are among its files")
    return Path(found.origin).parent / path


def _check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; got {split!r}')
