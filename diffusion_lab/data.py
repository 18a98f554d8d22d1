"""Data: five 2-D sets to look at, the 8×8 digits, and your own images. Everything is scaled to [−1, 1].

``moons, swiss_roll, checkerboard, rings, mixture`` each map ``(n, generator=None)`` to points [n, 2]
float32. Images are [N, C, H, W] float32, labels [N] int64. Nothing here touches the network.
"""

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .checks import check_int
from .exact import GaussianMixture
from .shape_world import read_shapes as read_shapes
from .shape_world import shapes as shapes

IMAGE_FILES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


# --- 2-D sets ---------------------------------------------------------------------------------------------


def moons(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Two interleaved half circles with noise 0.03, inside about ±0.95 × ±0.6. -> [n, 2]"""
    n, rand, randn = _draws(n, generator)
    angle = math.pi * rand(n)
    upper = torch.stack([torch.cos(angle) - 0.5, torch.sin(angle) - 0.25], dim=1)
    points = torch.where(rand(n, 1) < 0.5, upper, -upper)  # the lower moon is the upper one turned by 180°
    return 0.6 * points + 0.03 * randn(n, 2)


def swiss_roll(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A spiral of one and a half turns with noise 0.02, out to radius 0.9; uniform in angle. -> [n, 2]"""
    n, rand, randn = _draws(n, generator)
    angle = math.pi * (1.5 + 3 * rand(n, 1))
    spiral = angle * torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)
    return 0.9 / (4.5 * math.pi) * spiral + 0.02 * randn(n, 2)


def checkerboard(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Uniform on the 8 dark squares of a 4×4 board that fills [−1, 1]²: edges, no noise. -> [n, 2]"""
    n, rand, _ = _draws(n, generator)
    column = (4 * rand(n)).long()
    row = 2 * (2 * rand(n)).long() + column % 2
    return (torch.stack([column, row], dim=1) + rand(n, 2)) / 2 - 1


def rings(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Three circles of radius 0.3, 0.6, 0.9 with noise 0.02, uniform in length. -> [n, 2]"""
    n, rand, randn = _draws(n, generator)
    lot = rand(n, 1)
    radius = 0.3 * (1 + (lot > 1 / 6) + (lot > 3 / 6))  # lengths go as 1 : 2 : 3, so shares of 1/6, 2/6, 3/6
    angle = 2 * math.pi * rand(n, 1)
    return radius * torch.cat([torch.cos(angle), torch.sin(angle)], dim=1) + 0.02 * randn(n, 2)


def mixture(n: int, generator: torch.Generator | None = None) -> Tensor:
    """n points of ``toy_mixture()``, inside about ±0.95 (four standard deviations). -> [n, 2]"""
    n, _, _ = _draws(n, generator)
    return toy_mixture().sample(n, generator=generator).float()


def toy_mixture() -> GaussianMixture:
    """The Gaussian mixture behind ``mixture``: its density, score and denoiser are exact at every t.

    Five blobs of different place, width and weight. They are lopsided on purpose: a swapped axis, a flipped
    sign or a forgotten weight shows at once. -> exact.GaussianMixture
    """
    means = [[-0.6, 0.5], [0.1, 0.7], [0.7, 0.1], [0.2, -0.6], [-0.5, -0.3]]
    stds, weights = [0.08, 0.06, 0.06, 0.08, 0.10], [0.30, 0.10, 0.15, 0.20, 0.25]
    return GaussianMixture(torch.tensor(means, dtype=torch.float64), stds, weights=weights)


TOYS = {f.__name__: f for f in (moons, swiss_roll, checkerboard, rings, mixture)}


def _draws(
    n: int, generator: torch.Generator | None
) -> tuple[int, Callable[..., Tensor], Callable[..., Tensor]]:
    """n checked, and uniform and normal draws on the generator's device."""
    n = check_int(n, "n", 1)
    device = generator.device if generator is not None else torch.device("cpu")

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    return n, rand, randn


# --- images -----------------------------------------------------------------------------------------------


def digits(split: str = "train") -> tuple[Tensor, Tensor]:
    """The 8×8 handwritten digits that scikit-learn ships (UCI optical digits; 17 grey levels, 0…16).

    :param split: "train" (1437 images) or "test" (360, held out: no code here ever trains on them)
    :returns: images [N, 1, 8, 8] in [−1, 1] and labels [N], in the order of the original
    :raises ValueError: for any other split

    The split is not random, so it never changes: sorted by class (ties in the original order), every fifth
    image is held out. This keeps each class's share to within one image.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; got {split!r}')
    pixels, labels = _load_digits()
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[np.argsort(labels, kind="stable")[::5]] = True
    chosen = held_out if split == "test" else ~held_out
    images = torch.from_numpy(pixels[chosen]).float().reshape(-1, 1, 8, 8) / 8 - 1
    return images, torch.from_numpy(labels[chosen]).long()


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Grey levels [1797, 64] and labels [1797], as scikit-learn's load_digits gives them.

    They are read from scikit-learn's own file, since importing scikit-learn takes a second; if that file has
    moved, scikit-learn reads them.
    """
    package = find_spec("sklearn")
    if package and package.origin:
        table = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if table.is_file():
            rows = np.loadtxt(table, delimiter=",")
            return rows[:, :64], rows[:, 64]
    from sklearn.datasets import load_digits  # noqa: PLC0415  # takes a second, and is rarely needed

    found: Any = load_digits()
    return found.data, found.target


def from_array(array: np.ndarray | Tensor, value_range: tuple[float, float] | None = None) -> Tensor:
    """Your own images, already in memory.

    :param array: NumPy array or tensor: [N, H, W] (grey), [N, H, W, C] or [N, C, H, W] with C = 1 or 3. Pass
        a single picture as array[None]: [3, H, W] is taken for three grey images
    :param value_range: not needed for uint8 (0…255); (0, 1) or (−1, 1) for floats
    :returns: images [N, C, H, W] float32 in [−1, 1]
    :raises ValueError: for other shapes and types, NaN, or values outside the range
    """
    pixels = torch.as_tensor(np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array)
    if pixels.dtype == torch.uint8:
        low, high = 0, 255
    elif not pixels.is_floating_point():
        raise ValueError(f"array must be uint8 or floating-point; got {pixels.dtype}")
    elif value_range is None or tuple(value_range) not in ((0, 1), (-1, 1)):
        raise ValueError(f"value_range of a floating array must be (0, 1) or (-1, 1); got {value_range!r}")
    else:
        low, high = value_range

    shape = tuple(pixels.shape)
    if len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(f"array must be [N, H, W], [N, H, W, C] or [N, C, H, W]; got shape {list(shape)}")
    if len(shape) == 3:
        if shape[2] in (1, 3) and shape[1] != shape[2]:
            found = f"{list(shape)} looks like a single picture [H, W, C]: give array[None]"
            raise ValueError(f"array must be [N, H, W], [N, H, W, C] or [N, C, H, W]; {found}")
        pixels = pixels[:, None]
    elif (shape[1] in (1, 3)) == (shape[3] in (1, 3)):
        raise ValueError(f"array must have 1 or 3 channels, second or last, and not both; got {list(shape)}")
    elif shape[3] in (1, 3):
        pixels = pixels.permute(0, 3, 1, 2)

    pixels = pixels.float().contiguous()
    if not pixels.isfinite().all():
        raise ValueError(f"array must be finite; {int((~pixels.isfinite()).sum())} values are not")
    if pixels.min() < low or pixels.max() > high:
        raise ValueError(
            f"array must lie in [{low}, {high}]; got values from {pixels.min():g} to {pixels.max():g}"
        )
    return 2 * (pixels - low) / (high - low) - 1


def from_folder(path: str | Path, size: int | None = None, channels: int = 3) -> tuple[Tensor, Tensor | None]:
    """Your own images, from a folder: cropped to the middle square and scaled to size × size.

    :param path: folder of image files, or of one subfolder per class
    :param size: side in pixels; may be left out if all squares have the same size
    :param channels: 3 (colour) or 1 (grey)
    :returns: images [N, C, S, S] float32 in [−1, 1], and labels [N] (label k is the k-th subfolder in
        alphabetical order), or None without subfolders
    :raises ValueError: for a folder that is missing or holds no image, a file that cannot be read (named),
        squares of different size when no size is given
    """
    from PIL import Image, ImageOps  # noqa: PLC0415  # Pillow is optional

    folder = Path(path)
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3; got {channels!r}")
    size = size if size is None else check_int(size, "size", 1)
    if not folder.is_dir():
        raise ValueError(f"path must be a folder of images; got {str(folder)!r}, which is not a folder")

    # hidden folders (.ipynb_checkpoints) are not classes
    classes = [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and not sub.name.startswith(".")]
    per_class = [(sub, _image_files(sub)) for sub in classes]
    per_class = [(sub, files) for sub, files in per_class if files]
    loose = _image_files(folder)
    if loose and per_class:
        raise ValueError(f"path must hold images or one subfolder per class; got both in {str(folder)!r}")
    files = loose or [file for _, found in per_class for file in found]
    if not files:
        kinds = " ".join(sorted(IMAGE_FILES))
        raise ValueError(f"path must hold images ({kinds}); got none in {str(folder)!r}")

    squares = []
    for file in files:
        try:
            with Image.open(file) as image:
                if image.mode.startswith(("I", "F")):  # Pillow would clip 16 bits at 255, not scale them
                    raise ValueError(f"{image.mode} pixels: save it with 8 bits per channel")
                image = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
                side = size or min(image.size)
                squares.append(np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)))
        except Exception as error:  # a broken file raises OSError, SyntaxError, struct.error, …
            raise ValueError(f"path must hold readable images, cannot read {str(file)!r}: {error}") from error
        if squares[-1].shape != squares[0].shape:
            raise ValueError(
                f"size must be given when images differ: {files[0].name!r} has side {len(squares[0])}, "
                f"{file.name!r} has {len(squares[-1])}"
            )
    side = len(squares[0])
    images = torch.from_numpy(np.stack(squares)).reshape(len(files), side, side, channels)
    images = images.permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1
    if loose:
        return images, None
    return images, torch.repeat_interleave(torch.tensor([len(found) for _, found in per_class]))


def _image_files(folder: Path) -> list[Path]:
    """The image files of a folder in alphabetical order, hidden ones (._photo.png) left out."""
    return [
        file
        for file in sorted(folder.iterdir())
        if file.is_file() and file.suffix.lower() in IMAGE_FILES and not file.name.startswith(".")
    ]
