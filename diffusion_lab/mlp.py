"""A small residual network for points, such as 2-D data."""

import torch.nn.functional as F
from torch import Tensor, nn

from .checks import Reals, check_int
from .layers import Condition, Label


class MLP(nn.Module):
    """A residual network for points [B, dim]; it gets the time and the label in the same way as TinyUNet.

    :param dim: coordinates of a point
    :param width: features, an even number
    :param depth: residual blocks, each h + W₂ silu(scale · W₁ silu(h) + shift)
    :param num_classes: as in TinyUNet
    """

    def __init__(self, dim: int = 2, width: int = 96, depth: int = 2, num_classes: int | None = None) -> None:
        super().__init__()
        if check_int(width, "width", 2) % 2:
            raise ValueError(f"width must be even, for cosines and sines of t; got {width}")
        self.shape = (check_int(dim, "dim", 1),)
        depth = check_int(depth, "depth", 1)
        self.condition = Condition(width, num_classes)
        self.first = nn.Linear(dim, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.film = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, dim)
        for weight in self.last.parameters():  # an untrained network outputs 0 for every input
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, t: Reals, label: Label | None = None, drop: Tensor | None = None) -> Tensor:
        """x [B, dim]; t one time or [B], real or integer; label None, one or [B] -> like x.

        drop is as in TinyUNet. Raises ValueError for points of another dimension, and as TinyUNet does.
        """
        if x.ndim != 2 or x.shape[1:] != self.shape or not x.is_floating_point():
            expected = f"floating-point points [B, {self.shape[0]}]"
            raise ValueError(f"x must be {expected}; got {x.dtype} of shape {list(x.shape)}")
        c = F.silu(self.condition(x, t, label, drop))
        h = self.first(x)
        for inner, film, outer in zip(self.inner, self.film, self.outer, strict=True):
            scale, shift = film(c).chunk(2, dim=1)
            h = h + outer(F.silu(inner(F.silu(h)) * (1 + scale) + shift))
        return self.last(F.silu(h))

    @property
    def num_classes(self) -> int | None:
        return self.condition.num_classes
