"""Notebook 24, `adaln_zero`: half a block of a DiT, told its condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "24_architectures"


def adaln_zero(
    x: Tensor, layer: Callable[[Tensor], Tensor], scale: Tensor, shift: Tensor, gate: Tensor
) -> Tensor:
    """Half a block of a DiT: x + gate · layer(norm(x) · (1 + scale) + shift).

    x is [B, N, d], N tokens of d features. norm gives each token the mean 0 and the variance 1 over its
    features: torch.nn.functional.layer_norm(x, x.shape[-1:]) does it. layer is a function from [B, N, d] to
    [B, N, d]. scale, shift and gate are [B, d]: the same for all tokens of an example. Return [B, N, d].
    """
    h = F.layer_norm(x, x.shape[-1:])
    return x + gate[:, None] * layer(h * (1 + scale[:, None]) + shift[:, None])


def tokens(generator: torch.Generator) -> Iterator[Case]:
    """Tokens of several shapes, B = N among them, and layers that are not linear; two dtypes."""
    for n in range(10):
        B, N, d = [(2, 3, 4), (3, 3, 5), (1, 4, 6), (4, 4, 4), (2, 5, 3)][n % 5]
        dtype = torch.float32 if n % 4 == 3 else torch.float64

        def draw(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=dtype)

        weight = draw(d, d)
        x = 4 * draw(B, N, d) + 10 * torch.arange(d, dtype=dtype)  # no token is so flat that norms differ

        def layer(h: Tensor, weight: Tensor = weight) -> Tensor:
            return (h @ weight).sin() + 0.5

        yield x, layer, draw(B, d), draw(B, d), draw(B, d)


EXERCISE = Exercise(
    solution=adaln_zero,
    cases=tokens,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "scale for 1 + scale",
            lambda x, layer, scale, shift, gate: adaln_zero(x, layer, scale - 1, shift, gate),
            "With scale = 0 your layer would see the shift alone.",
            "Ask what a condition that says nothing should do to the tokens.",
        ),
        Mistake(
            "1 + gate for gate",
            lambda x, layer, scale, shift, gate: adaln_zero(x, layer, scale, shift, 1 + gate),
            "With gate = 0 your block would do something.",
            "All three are 0 at first: ask what the block should do then.",
        ),
        Mistake(
            "skip left out",
            lambda x, layer, scale, shift, gate: adaln_zero(x, layer, scale, shift, gate) - x,
            "With gate = 0 your tokens would be gone.",
            "Look at what goes around the layer.",
        ),
        Mistake(
            "gate before the layer",
            lambda x, layer, scale, shift, gate: (
                x
                + layer(
                    gate[:, None] * (F.layer_norm(x, x.shape[-1:]) * (1 + scale[:, None]) + shift[:, None])
                )
            ),
            "Your gate changes what the layer sees, not how much of its answer counts.",
            "Look at where the gate stands in the formula.",
        ),
        Mistake(
            "gate on the skip, too",
            lambda x, layer, scale, shift, gate: (
                gate[:, None] * (adaln_zero(x, layer, scale, shift, torch.ones_like(gate)))
            ),
            "Your gate is also on what goes around the layer.",
            "Look at your brackets.",
        ),
        Mistake(
            "norm left out",
            lambda x, layer, scale, shift, gate: (
                x + gate[:, None] * layer(x * (1 + scale[:, None]) + shift[:, None])
            ),
            "Your layer sees tokens of any size.",
            "Ask what comes before the scale.",
        ),
        Mistake(
            "norm over all tokens",
            lambda x, layer, scale, shift, gate: (
                x
                + gate[:, None] * layer(F.layer_norm(x, x.shape[1:]) * (1 + scale[:, None]) + shift[:, None])
            ),
            "Your norm takes mean and variance over all tokens of an example at once.",
            "Each token has its own mean and its own variance: look at the axes of the norm.",
        ),
        Mistake(
            "skip of the normed tokens",
            lambda x, layer, scale, shift, gate: (
                adaln_zero(x, layer, scale, shift, gate) - x + F.layer_norm(x, x.shape[-1:])
            ),
            "What goes around your layer is already normed.",
            "With gate = 0 the tokens should come out exactly as they went in.",
        ),
    ),
)
