"""One prediction in four views over a plane and over t, by the exact denoiser and by a trained network."""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data import toy_mixture
from ..drawing import grid
from ..forward import q_sample
from ..views import Prediction
from .stored import rms, trained

VIEWS = ("score", "eps", "v", "x0")
LIMIT = 2.0  # the plane is [−LIMIT, LIMIT]²
FIELD, ARROWS = 41, 15  # grid points along each axis, for the colours and for the arrows
EMPTY = 0.01  # a place is empty if its density is below this share of the highest
TIMES = np.unique((1000 * np.linspace(0.03, 1, 60) ** 2).round().astype(int)).tolist()


class Field(NamedTuple):
    """One view at one time. Every size and every error is a root mean square, per coordinate."""

    sizes: tuple[float, float]  # over x_t ~ q_t, of the exact prediction and of the learned one
    exact: Tensor  # at the grid for arrows: [ARROWS², 2]
    learned: Tensor
    error: Tensor  # of the network, at the grid for colours: [FIELD, FIELD]
    brightest: float  # the error that only 2 % of that grid exceed
    error_in_data: float  # over x_t ~ q_t
    error_outside: float | None  # over the empty places of that grid; None where no place is empty


def compared(t: int) -> tuple[Prediction, Prediction]:
    """Exact and learned predictions for 1000 x_t ~ q_t, made from the same x_0 and ε at every t."""
    model, mixture = trained("mixture"), toy_mixture()
    generator = torch.Generator().manual_seed(0)
    x_t = q_sample(mixture.sample(1000, generator), t, model.schedule, generator=generator)
    exact, learned = mixture.denoiser(model.schedule)(x_t, t), model(x_t, t)
    return exact, learned


@functools.cache
def everything() -> dict[int, tuple[Tensor, dict[str, Field]]]:
    """t -> (density [FIELD, FIELD], 255 at its highest; view -> Field). Done once, in a second."""
    model, mixture, found = trained("mixture"), toy_mixture(), {}
    denoisers = mixture.denoiser(model.schedule), model
    grids = [torch.from_numpy(grid(LIMIT, n)[1]).double() for n in (FIELD, ARROWS)]
    for t in TIMES:
        log_prob = mixture.noised(t, model.schedule).log_prob(grids[0])
        density = (log_prob - log_prob.max()).exp()
        with torch.no_grad():
            pairs = compared(t), *(tuple(denoise(x, t) for denoise in denoisers) for x in grids)
            fields = {view: field(view, *pairs, empty=density < EMPTY) for view in VIEWS}
        found[t] = (255 * density).reshape(FIELD, FIELD).byte(), fields
    return found


def field(view: str, *pairs: tuple[Prediction, ...], empty: Tensor) -> Field:
    """One view of (exact, learned) predictions: of x_t ~ q_t, and at the grids for colours and for arrows."""
    (exact, learned), (true, said), (true_at, said_at) = ([getattr(p, view) for p in pair] for pair in pairs)
    off, sizes, in_data = said - true, (rms(exact), rms(learned)), rms(learned - exact)
    error, outside = off.square().mean(1).sqrt(), rms(off[empty]) if empty.any() else None
    brightest = error.quantile(0.98).item()
    return Field(sizes, true_at, said_at, error.reshape(FIELD, FIELD), brightest, in_data, outside)
