"""What the rivals of diffusion share: a plain network, and its input."""

import itertools

import torch
from torch import Tensor, nn

from ..checks import check_int


def mlp(inputs: int, outputs: int, width: int, depth: int) -> nn.Sequential:
    """A network for rows, [B, inputs] -> [B, outputs]: `depth` hidden layers of `width` features, with ReLU.

    Raises ValueError for a number below 1.
    """
    told = dict(inputs=inputs, outputs=outputs, width=width, depth=depth)
    inputs, outputs, width, depth = (check_int(value, name, 1) for name, value in told.items())
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([inputs, *[width] * depth]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class Waves(nn.Module):
    """x [B, D] and its sines and cosines, sin(2^k π x) and cos(2^k π x) for k < n: [B, D · (1 + 2n)].

    Fourier features (Tancik et al. 2020): of coordinates as they are, a network learns fine detail slowly.
    """

    frequency: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer(
            "frequency", torch.pi * 2.0 ** torch.arange(check_int(n, "n", 0)), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        angle = (x[..., None] * self.frequency).flatten(1)
        return torch.cat([x, angle.sin(), angle.cos()], 1)
