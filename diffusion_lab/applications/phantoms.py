"""Phantoms: pictures of bodies that nobody has, made of ellipses, to try a scanner's mathematics on.

A phantom is a slice through a chest: a body, two lungs, a spine, and nothing else. A `lesion` is one more
disc, small and bright. The healthy `prior` is one Gaussian fitted to healthy phantoms, so it has never seen
a lesion.

**This is for teaching. It is no medical software, it was tested on no patient, and nothing here may be used
to judge a picture of one.**
"""

import functools
import math

import torch
from torch import Tensor

from ..checks import check_generator, check_int
from ..exact import GaussianMixture

AIR, LESION = -1.0, 0.9  # grey levels
FINE = 4  # the points along each side of a pixel
# What a grey level is uncertain by even where no phantom differs from another: 1 % of the range from −1 to 1.
# Held-out likelihood cannot choose it: in air all phantoms are exactly −1, so the smallest always wins.
RIDGE = 0.02**2
TRAINING = 2000  # healthy phantoms for the prior: eight for each of the 256 pixels of the usual size

# Each organ: the ranges of its centre x and y (down), its half-axes, its angle in radians and its grey
# level. In half sides of the picture, as in Shepp and Logan's phantom (1974); painted in this order, one
# over the other.
ORGANS = {
    "body": ((0, 0), (0, 0), (0.82, 0.88), (0.68, 0.74), (0, 0), (-0.1, 0.1)),
    "right lung": ((-0.42, -0.36), (-0.1, -0.04), (0.21, 0.27), (0.34, 0.40), (-0.2, 0.2), (-0.7, -0.6)),
    "left lung": ((0.36, 0.42), (-0.1, -0.04), (0.21, 0.27), (0.34, 0.40), (-0.2, 0.2), (-0.7, -0.6)),
    "spine": ((-0.03, 0.03), (0.39, 0.45), (0.12, 0.15), (0.12, 0.15), (0, 0), (0.5, 0.7)),
}


def phantoms(
    n: int, size: int = 16, lesion: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """n phantoms, all different: [n, 1, size, size], float64, air −1, bone up to 0.7.

    With `lesion` each has one: a disc of grey level 0.9, an eighth as wide as the picture, somewhere in the
    body. A generator of the same seed gives the same bodies without it. Raises ValueError for n < 1 and for
    size < 8.
    """
    check_generator(generator)
    n, size = check_int(n, "n", 1), check_int(size, "size", 8)
    shift = _uniform(n, (-0.04, 0.04), (-0.04, 0.04), generator=generator)
    scale = _uniform(n, (0.94, 1.04), generator=generator)[:, 0]
    pictures = torch.full((n, 1, size, size), AIR, dtype=torch.float64)
    for ranges in ORGANS.values():
        x, y, a, b, angle, grey = _uniform(n, *ranges, generator=generator).unbind(1)
        centre = scale[:, None] * torch.stack([x, y], 1) + shift
        covered = _covered(centre, scale * a, scale * b, angle, size)
        pictures += covered * (grey[:, None, None, None] - pictures)
    if lesion:
        pictures += lesions(n, size, generator) * (LESION - pictures)
    return pictures


def lesions(n: int, size: int = 16, generator: torch.Generator | None = None) -> Tensor:
    """What share of each pixel a lesion covers, for n of them: [n, 1, size, size], float64, from 0 to 1.

    Its place is anywhere near the middle, its radius 0.10 to 0.14 half sides. Raises ValueError as
    `phantoms`.
    """
    check_generator(generator)
    n, size = check_int(n, "n", 1), check_int(size, "size", 8)
    far, around, radius = _uniform(n, (0, 1), (0, 2 * math.pi), (0.10, 0.14), generator=generator).unbind(1)
    centre = 0.5 * far.sqrt()[:, None] * torch.stack([around.cos(), 0.8 * around.sin()], 1)
    return _covered(centre, radius, radius, torch.zeros_like(radius), size)


@functools.cache
def prior(size: int = 16) -> GaussianMixture:
    """What is known before the scan: one Gaussian, fitted to 2000 healthy phantoms (`GaussianMixture.fit`).

    A Gaussian, since then all answers are closed formulas. Phantoms are not Gaussian, for their edges move:
    what that costs can be measured. Raises ValueError for size < 8.
    """
    healthy = phantoms(TRAINING, size, generator=torch.Generator().manual_seed(0))
    return GaussianMixture.fit(healthy, ridge=RIDGE)


def real_slice(size: int = 16) -> Tensor:
    """One real slice, through a vertebra: [1, 1, size, size], float64, from −1 to 1.

    It is pydicom's own test file CT_small.dcm, 128 × 128, with every pixel the mean of a square of them. The
    darkest pixel becomes −1 and the brightest 1. Raises ImportError without pydicom, which the extra
    `medical` installs, and ValueError unless size divides 128.
    """
    if 128 % check_int(size, "size", 8):
        raise ValueError(f"size must be a divisor of 128, the side of the real slice; got {size}")
    try:
        from pydicom import dcmread  # noqa: PLC0415  # an extra, and only this needs it
        from pydicom.data import get_testdata_file  # noqa: PLC0415
    except ImportError as missing:
        raise ImportError(
            "real_slice needs pydicom: pip install 'diffusion_lab[medical]', or pip install pydicom"
        ) from missing
    path = get_testdata_file("CT_small.dcm", download=False)
    raw = torch.as_tensor(dcmread(str(path)).pixel_array.astype("float64"))
    small = torch.nn.functional.avg_pool2d(raw[None, None], 128 // size)
    return 2 * (small - small.min()) / (small.max() - small.min()) - 1


def _uniform(n: int, *ranges: tuple[float, float], generator: torch.Generator | None) -> Tensor:
    """n draws from each of the ranges: [n, ranges]."""
    low, high = torch.tensor(ranges, dtype=torch.float64).unbind(1)
    return low + (high - low) * torch.rand(n, len(ranges), generator=generator, dtype=torch.float64)


def _covered(centre: Tensor, a: Tensor, b: Tensor, angle: Tensor, size: int) -> Tensor:
    """What share of each pixel each ellipse covers: [n, 1, size, size], float64. No jagged edges.

    Each pixel has FINE × FINE points. With d = point − centre the ellipse is dᵀ Q d ≤ 1. Multiplied out, that
    is one number for each of 1, x, y, x², xy, y², so a product of matrices asks all points of many ellipses.
    """
    side = (torch.arange(FINE * size).double() + 0.5) * 2 / (FINE * size) - 1
    y, x = (t.flatten() for t in torch.meshgrid(side, side, indexing="ij"))
    cos, sin = angle.cos(), angle.sin()
    xx, yy = (cos / a) ** 2 + (sin / b) ** 2, (sin / a) ** 2 + (cos / b) ** 2  # Q, an entry for each ellipse
    xy = cos * sin * (a**-2 - b**-2)
    p, q = centre.unbind(1)
    constant = xx * p**2 + 2 * xy * p * q + yy * q**2
    numbers = torch.stack([constant, -2 * (xx * p + xy * q), -2 * (xy * p + yy * q), xx, 2 * xy, yy], 1)
    points = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y])
    shares = []
    for some in numbers.split(200):  # not all points of all ellipses at once
        inside = (some @ points <= 1).double().reshape(-1, 1, FINE * size, FINE * size)
        shares.append(torch.nn.functional.avg_pool2d(inside, FINE))
    return torch.cat(shares)
