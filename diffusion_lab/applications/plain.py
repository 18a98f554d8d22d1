"""What the rivals of diffusion share: a plain network, its input, and the moving average of its weights."""

import itertools

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checks import check_int

Tensors = tuple[Tensor, ...] | list[Tensor]


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


def moving_average(net: nn.Module, decay: float) -> AveragedModel:
    """The average of the weights over the last 1/(1 − decay) steps, which `update_parameters(net)` moves on.

    As in `training.train`, the decay after n steps is min(decay, (1 + n)/(10 + n)): without that, a short
    run's average would be mostly its first weights.
    """

    def update(averaged: Tensors, current: Tensors, n: Tensor | int) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + float(n)) / (10 + float(n))))(averaged, current, n)

    ema = AveragedModel(net, multi_avg_fn=update, use_buffers=False)
    ema.eval().requires_grad_(False)
    return ema
