"""What students hand in for the exercises of notebook 24."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.applications import dit


def by_slices(x, patch):
    H, W = x.shape[2:]
    found = [
        x[:, :, i : i + patch, j : j + patch].flatten(1)
        for i in range(0, H, patch)
        for j in range(0, W, patch)
    ]
    return torch.stack(found, dim=1)


def by_numpy(x, patch):
    B, C = x.shape[:2]
    cut = np.lib.stride_tricks.sliding_window_view(x.numpy().copy(), (patch, patch), axis=(2, 3))[
        :, :, ::patch, ::patch
    ]
    return np.moveaxis(cut, 1, 3).reshape(B, -1, C * patch * patch).copy()


def normed(x):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, correction=0, keepdim=True)


def by_hand(x, layer, scale, shift, gate):
    h = torch.einsum("bnd,bd->bnd", normed(x), 1 + scale) + shift.unsqueeze(1)
    return x + layer(h) * gate.unsqueeze(1)


def one_by_one(x, layer, scale, shift, gate):
    found = []
    for b in range(len(x)):
        h = F.layer_norm(x[b], x.shape[2:]) * (scale[b] + 1) + shift[b]
        found.append(x[b] + gate[b] * layer(h[None])[0])
    return torch.stack(found)


RIGHT = {
    "patchify": [
        by_slices,
        by_numpy,
        lambda x, patch: F.unfold(x, patch, stride=patch).transpose(1, 2),
        lambda x, patch: F.pixel_unshuffle(x, patch).flatten(2).mT,
        lambda x, patch: (
            x.unfold(2, patch, patch).unfold(3, patch, patch).movedim(1, 3).flatten(3).flatten(1, 2)
        ),
    ],
    "adaln_zero": [
        by_hand,
        one_by_one,
        lambda x, layer, scale, shift, gate: torch.addcmul(
            x, gate[:, None], layer(torch.addcmul(shift[:, None], normed(x), 1 + scale[:, None]))
        ),
        lambda x, layer, scale, shift, gate: (
            x
            + torch.diag_embed(gate)
            .matmul(
                layer(
                    nn.LayerNorm(x.shape[-1], elementwise_affine=False)(x) * (1 + scale[:, None])
                    + shift[:, None]
                ).mT
            )
            .mT
        ),
        lambda x, layer, scale, shift, gate: x + gate[:, None] * layer(dit.modulate(normed(x), scale, shift)),
    ],
}
WRONG = {
    "patchify": {
        "reshape alone": [lambda x, patch: x.flatten().reshape(x.shape[0], -1, patch * patch * x.shape[1])],
        "column by column": [
            lambda x, patch: F.pixel_unshuffle(x, patch).mT.flatten(2).mT,
            lambda x, patch: torch.stack(
                [
                    x[:, :, i : i + patch, j : j + patch].flatten(1)
                    for j in range(0, x.shape[3], patch)
                    for i in range(0, x.shape[2], patch)
                ],
                dim=1,
            ),
        ],
        "axes transposed": [
            lambda x, patch: (
                by_slices(x, patch).unflatten(2, (x.shape[1], patch, patch)).transpose(-1, -2).flatten(2)
            )
        ],
        "channels last": [lambda x, patch: by_slices(x, patch).unflatten(2, (x.shape[1], -1)).mT.flatten(2)],
        "pixels far apart": [
            lambda x, patch: torch.stack(
                [
                    x[:, :, i :: x.shape[2] // patch, j :: x.shape[3] // patch].flatten(1)
                    for i in range(x.shape[2] // patch)
                    for j in range(x.shape[3] // patch)
                ],
                dim=1,
            )
        ],
    },
    "adaln_zero": {
        "scale for 1 + scale": [
            lambda x, layer, scale, shift, gate: (
                x + gate[:, None] * layer(normed(x) * scale[:, None] + shift[:, None])
            )
        ],
        "1 + gate for gate": [
            lambda x, layer, scale, shift, gate: by_hand(x, layer, scale, shift, gate + torch.ones_like(gate))
        ],
        "skip left out": [
            lambda x, layer, scale, shift, gate: layer(dit.modulate(normed(x), scale, shift)) * gate[:, None]
        ],
        "gate before the layer": [
            lambda x, layer, scale, shift, gate: (
                x + layer(dit.modulate(normed(x), scale, shift) * gate[:, None])
            )
        ],
        "gate on the skip, too": [
            lambda x, layer, scale, shift, gate: gate[:, None] * x + by_hand(x, layer, scale, shift, gate) - x
        ],
        "norm left out": [
            lambda x, layer, scale, shift, gate: x + gate[:, None] * layer(dit.modulate(x, scale, shift))
        ],
        "norm over all tokens": [
            lambda x, layer, scale, shift, gate: (
                x
                + gate[:, None]
                * layer(
                    dit.modulate(
                        (x - x.mean((1, 2), keepdim=True)) / x.var((1, 2), correction=0, keepdim=True).sqrt(),
                        scale,
                        shift,
                    )
                )
            )
        ],
        "skip of the normed tokens": [
            lambda x, layer, scale, shift, gate: (
                normed(x) + gate[:, None] * layer(dit.modulate(normed(x), scale, shift))
            )
        ],
    },
}
TWO = {
    "patchify": [lambda x, patch: by_slices(x, patch).unflatten(2, (x.shape[1], -1)).mT.flatten(2).flip(1)],
    "adaln_zero": [lambda x, layer, scale, shift, gate: layer(dit.modulate(x, scale, shift)) * gate[:, None]],
}


class Layer(nn.Module):
    """A function as a module, as torch wants to have it."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def half_block(x, layer, scale, shift, gate):
    B, _, d = x.shape
    block = dit.Block(d, 1).to(x.dtype)
    six = torch.cat([scale, shift, gate, torch.zeros(B, 3 * d, dtype=x.dtype)], dim=1)
    block.attention, block.mlp, block.adaln = Layer(layer), nn.Identity(), Layer(lambda _: six)
    return block(x, torch.zeros(B, d, dtype=x.dtype))


AGREES = {"patchify": dit.patchify, "adaln_zero": half_block}
