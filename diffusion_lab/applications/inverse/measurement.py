"""What was measured: y = A x_0 + std · noise, with a matrix A.

A damaged, small, blurred or half-scanned picture is a linear function of the whole one, and a linear function
is a matrix. All makers work alike: they measure every basis picture (one pixel 1, all others 0), and the
results are the columns of A. The adjoint is then exactly Aᵀ. A hand-written adjoint often is not.
"""

import functools
import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...checks import Numbers, Shape, check_batch, check_data, check_int, noise_like


@dataclass(frozen=True, eq=False, repr=False)
class Measurement:
    """y = A x + std · noise, for pictures x of `shape` and noise ~ N(0, I). Make one with `mask`, `pool`, ….

    A [M, D] acts on the flattened picture, D = prod(shape); float64. `std` is the *standard deviation* of the
    noise, at least 0. Raises ValueError for an A that does not fit the shape, and for other std.
    """

    A: Tensor
    shape: tuple[int, ...]
    std: float

    def __init__(self, A: Tensor, shape: Shape, std: float = 0.0) -> None:
        shape = tuple(check_int(side, "shape", 1) for side in shape)
        A = check_data(torch.as_tensor(A), "A").detach().cpu().double()
        if A.ndim != 2 or A.shape[1] != math.prod(shape):
            found = f"shape {list(shape)} has {math.prod(shape)} values; got A of shape {list(A.shape)}"
            raise ValueError(f"A must have one column for each value of the picture: {found}")
        if not 0 <= std < math.inf:
            raise ValueError(f"std, of the noise, must be a number of at least 0; got {std!r}")
        vars(self).update(A=A, shape=shape, std=float(std))  # past the frozen dataclass

    def __repr__(self) -> str:
        return f"Measurement({len(self.A)} numbers of {list(self.shape)}, std={self.std:g})"

    def matrix(self) -> Tensor:
        """A [M, D], float64."""
        return self.A

    def forward(self, x: Tensor) -> Tensor:
        """A x, without noise: `[B, *shape] -> [B, M]`."""
        check_batch(x, "x", self.shape)
        return x.flatten(1) @ self.A.to(x).mT

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y: `[B, M] -> [B, *shape]`. It spreads measured numbers over the picture; it is no inverse."""
        check_batch(y, "y", [len(self.A)])
        return (y @ self.A.to(y)).reshape(-1, *self.shape)

    def measure(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of y ~ N(A x, std² I): `[B, *shape] -> [B, M]`."""
        y = self.forward(x)
        return y + self.std * noise_like(y, generator)

    @functools.cached_property
    def pseudo_inverse(self) -> Tensor:
        """A⁺ [D, M], float64: A⁺ y is the shortest x with A x = y, if there is any."""
        return torch.linalg.pinv(self.A)


def check_y(y: Tensor, measurement: Measurement, x: Tensor | None = None) -> Tensor:
    """y [M], or [B, M] with one for each example of x; as x is, if that is given. Otherwise a ValueError."""
    M = len(measurement.A)
    check_data(y, "y")
    rows = y.shape[:-1] in ([torch.Size([]), x.shape[:1]] if x is not None else [torch.Size([])])
    if not rows or y.shape[-1] != M:
        expected = f"[{M}]" if x is None else f"[{M}], or [{len(x)}, {M}] with one for each example"
        raise ValueError(f"y must have shape {expected}; got {list(y.shape)}")
    return y if x is None else y.to(x)


def linear(A: Tensor, shape: Shape, std: float = 0.0) -> Measurement:
    """Any matrix A [M, D] over flattened pictures of `shape`."""
    return Measurement(A, shape, std)


def mask(shape: Shape, keep: Tensor, std: float = 0.0) -> Measurement:
    """The pixels where `keep` is true, in their order: inpainting. keep: bool, of `shape`."""
    keep = torch.as_tensor(keep)
    if keep.dtype != torch.bool or keep.shape != torch.Size(shape):
        raise ValueError(f"keep must be bool of shape {list(shape)}; got {keep.dtype}, {list(keep.shape)}")
    return Measurement(torch.eye(keep.numel(), dtype=torch.float64)[keep.flatten().cpu()], shape, std)


def pool(shape: Shape, k: int, std: float = 0.0) -> Measurement:
    """The means of k × k squares: super-resolution asks for the picture behind them.

    Raises ValueError unless k divides both sides.
    """
    H, W = _plane(shape)
    if check_int(k, "k", 1) and (H % k or W % k):
        raise ValueError(f"k must divide both sides of {H} × {W}; got {k}")
    small = torch.nn.functional.avg_pool2d(_basis(H, W), k)
    return _on_every_channel(small.flatten(1).mT, shape, std)


def blur(shape: Shape, std: float, noise: float = 0.0) -> Measurement:
    """Each pixel becomes the mean of those around it, weighted by a Gaussian of `std` pixels.

    At the border the weights of what is there are scaled up to 1, so that a uniform picture stays as it is.
    Here `std` is the blur's; the measurement's own std is `noise`.
    """
    if not 0 < std < math.inf:
        raise ValueError(f"std, of the blur in pixels, must be a number above 0; got {std!r}")
    H, W = _plane(shape)
    along = []
    for side in (H, W):
        places = torch.arange(side, dtype=torch.float64)
        along.append((-((places[:, None] - places) ** 2) / (2 * std**2)).softmax(1))
    return _on_every_channel(torch.kron(*along), shape, noise)


def fourier(shape: Shape, keep: Tensor, std: float = 0.0) -> Measurement:
    """The frequencies where `keep` is true: what a magnetic resonance scanner measures ("k-space").

    keep: bool [H, W], in the order of `torch.fft.fft2`: keep[0, 0] is the mean. The transform is orthonormal.
    y holds the real parts, then the imaginary parts. For a real picture F(−k) is the conjugate of F(k): only
    one of the two is measured, and imaginary parts that are always 0 are left out.
    """
    H, W = _plane(shape)
    keep = torch.as_tensor(keep)
    if keep.dtype != torch.bool or keep.shape != (H, W):
        raise ValueError(f"keep must be bool of shape {[H, W]}; got {keep.dtype}, {list(keep.shape)}")
    number = torch.arange(H * W).reshape(H, W)
    partner = number.flip(0, 1).roll((1, 1), (0, 1))  # the place of −k
    once = keep & ~(keep.flip(0, 1).roll((1, 1), (0, 1)) & (partner < number))
    spectrum = torch.fft.fft2(_basis(H, W)[:, 0], norm="ortho")  # [D, H, W]
    real, imaginary = spectrum.real[:, once], spectrum.imag[:, once & (partner != number)]
    return _on_every_channel(torch.cat([real, imaginary], 1).mT, shape, std)


def radon(shape: Shape, angles: Numbers, std: float = 0.0) -> Measurement:
    """Sums along parallel rays, seen from each of `angles` (degrees): computed tomography (CT).

    This is scikit-image's `radon`, applied to every basis picture; the unit of a sum is pixels. Angles
    are best spread over [0, 180): at 180° one sees the same rays from behind.
    """
    H, W = _plane(shape)
    angles = np.asarray(angles, dtype=np.float64)
    if angles.ndim != 1 or not len(angles) or not np.isfinite(angles).all():
        raise ValueError(f"angles must be a row of at least one finite number; got {angles.tolist()}")
    return _on_every_channel(_rays(H, W, tuple(angles.tolist())), shape, std)


@functools.lru_cache(32)
def _rays(H: int, W: int, angles: tuple[float, ...]) -> Tensor:
    """A [M, H · W] of `radon`."""
    from skimage.transform import radon as rays_of  # noqa: PLC0415  # takes a second, and few need it

    columns = []
    for picture in tqdm(_basis(H, W)[:, 0].numpy(), delay=2, leave=False, desc="rays"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of scikit-image, about pictures that leave its circle: none may
            columns.append(torch.from_numpy(rays_of(picture, angles, circle=False).T.flatten()))
    return torch.stack(columns, 1)


def _plane(shape: Shape) -> tuple[int, int]:
    """Height and width: the last two of `shape`."""
    sides = [check_int(side, "shape", 1) for side in shape]
    if len(sides) < 2:
        raise ValueError(f"shape must end in height and width, as (1, 8, 8) does; got {tuple(shape)}")
    return sides[-2], sides[-1]


def _basis(H: int, W: int) -> Tensor:
    """All pictures with one pixel 1 and the others 0: [H · W, 1, H, W], float64."""
    return torch.eye(H * W, dtype=torch.float64).reshape(-1, 1, H, W)


def _on_every_channel(A: Tensor, shape: Shape, std: float) -> Measurement:
    """A, which acts on one plane of H · W pixels, applied to each plane of `shape`."""
    channels = torch.eye(math.prod(shape[:-2]), dtype=torch.float64)
    return Measurement(torch.kron(channels, A.contiguous()), shape, std)
