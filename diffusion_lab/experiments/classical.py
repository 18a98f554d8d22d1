"""How scans became pictures before anything was learned: filtered back-projection, total variation."""

import torch
from torch import Tensor

from ..applications.inverse import Measurement
from ..applications.phantoms import AIR
from .scanner import golden_angles

WEIGHTS = (0.02, 0.06, 0.2, 0.6, 2.0)  # of total variation, to choose from
TV_STEPS, INNER = 60, 30  # gradient steps, and at most so many steps in each proximal one


def back_projected(y: Tensor, measurement: Measurement, count: int) -> Tensor:
    """Filtered back-projection (scikit-image's `iradon`): y [M] of `scanner("CT", count)` -> [1, H, W].

    It takes what is outside of the picture for 0, but our air is −1. So it is given the sums above those of
    air.
    """
    from skimage.transform import iradon  # noqa: PLC0415  # takes a second

    air = measurement.forward(torch.full((1, *measurement.shape), AIR, dtype=torch.float64))[0]
    rays = (y.double() - air).reshape(count, -1).mT
    size = measurement.shape[-1]
    return torch.from_numpy(iradon(rays.numpy(), golden_angles(count), size, circle=False))[None] + AIR


def zero_filled(y: Tensor, measurement: Measurement) -> Tensor:
    """What was not measured is taken for 0: y [M] -> `shape`. For MR, the inverse Fourier transform."""
    return (measurement.pseudo_inverse @ y.double()).reshape(measurement.shape)


def total_variation(y: Tensor, measurement: Measurement, weight: float, steps: int = TV_STEPS) -> Tensor:
    """argmin ½‖A x − y‖² + weight · TV(x), TV the sum of the lengths of the gradient: y [M] -> [1, H, W].

    It knows of pictures that they are flat with few edges, and of bodies nothing. By accelerated proximal
    gradient (Beck & Teboulle 2009, FISTA): a step down the first term, then scikit-image's
    `denoise_tv_chambolle`, which is the proximal step of the second. Raises ValueError for a weight that is
    not positive.
    """
    from skimage.restoration import denoise_tv_chambolle  # noqa: PLC0415

    if not 0 < weight < float("inf"):
        raise ValueError(f"weight must be a number above 0; got {weight!r}")
    A, y = measurement.A, y.double()
    rate = 1 / torch.linalg.matrix_norm(A, 2).item() ** 2
    x = ahead = torch.full((A.shape[1],), AIR, dtype=torch.float64)
    momentum = 1.0
    for _ in range(steps):
        down = (ahead - rate * A.mT @ (A @ ahead - y)).reshape(measurement.shape[-2:])
        flat = denoise_tv_chambolle(down.numpy(), weight * rate, eps=1e-6, max_num_iter=INNER)
        before, x, last = x, torch.from_numpy(flat).flatten(), momentum
        momentum = (1 + (1 + 4 * last**2) ** 0.5) / 2
        ahead = x + (last - 1) / momentum * (x - before)
    return x.reshape(measurement.shape)


def best_weight(x_0: Tensor, y: Tensor, measurement: Measurement) -> float:
    """That of WEIGHTS with the least squared error on scans y [B, M] of bodies x_0 that are known."""

    def error(weight: float) -> float:
        guesses = torch.stack([total_variation(row, measurement, weight) for row in y])
        return (guesses - x_0).square().mean().item()

    return min(WEIGHTS, key=error)
