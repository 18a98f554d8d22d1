"""A small U-Net for images. The other parts of a learned denoiser can be imported from here too.

A network is called as ``net(x, t, label=None)``, and returns something of x's shape. It does not know whether
this is ε̂, x̂_0 or v̂: `ModelDenoiser` says so, and makes the network a `Denoiser`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import Reals, check_int
from .layers import Condition, Dropout, Label, check_label, time_embedding
from .mlp import MLP
from .model import ModelDenoiser
from .weights import drawn, loaded

__all__ = ["MLP", "Attention", "Condition", "Dropout", "ModelDenoiser", "ResBlock", "TinyUNet"]
__all__ += ["check_label", "drawn", "loaded", "time_embedding"]


class ResBlock(nn.Module):
    """Two convolutions and a skip around them; in between, the condition scales and shifts each channel.

    (He et al. 2016; the scale and shift are FiLM, Perez et al. 2018.)
    """

    def __init__(self, in_channels: int, out_channels: int, condition: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, in_channels), nn.GroupNorm(8, out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.film = nn.Linear(condition, 2 * out_channels)
        self.dropout = Dropout(dropout)
        same = in_channels == out_channels
        self.around = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(F.silu(c))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.around(x) + self.conv2(self.dropout(F.silu(h)))


class Attention(nn.Module):
    """Every pixel attends to every other one: self-attention with four heads, and a skip around it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        qkv = self.qkv(self.norm(x)).reshape(B, 3, 4, C // 4, H * W)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # each [B, heads, pixels, C/heads]
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(-1, -2).reshape(B, C, H, W))


class TinyUNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015), as diffusion models use it (Ho et al. 2020, appendix B).

    The image goes down through `levels` resolutions, each half as wide with twice the channels. Attention
    works at the lowest one. On the way up, each block also gets the output of its partner on the way down.

    :param channels: of the image, 1 or 3; or 4, of latents (Rombach et al. 2022)
    :param width: channels at the full resolution, a multiple of 8
    :param levels: resolutions: the image's side must divide by 2^(levels − 1)
    :param blocks: residual blocks per level, on the way down and again on the way up
    :param num_classes: None for no labels; otherwise the labels are 0…num_classes − 1, and None for "any"
    :param dropout: share of features dropped in each block, in training
    :param image_size: the only side to accept; None accepts every side that divides
    :param told: channels of a second picture that the network is told beside x, in the place of a label, for
        super-resolution say (Saharia et al. 2021); None for "not told", which it sees as zeros
    """

    def __init__(
        self,
        channels: int = 1,
        width: int = 32,
        levels: int = 2,
        blocks: int = 1,
        num_classes: int | None = None,
        dropout: float = 0.0,
        image_size: int | None = None,
        told: int = 0,
    ) -> None:
        super().__init__()
        if channels not in (1, 3, 4):
            raise ValueError(f"channels must be 1 or 3, or 4 for latents; got {channels!r}")
        if check_int(width, "width", 8) % 8:
            raise ValueError(f"width must be a multiple of 8, the number of groups in GroupNorm; got {width}")
        self.told = check_int(told, "told", 0)
        if told and num_classes is not None:
            raise ValueError(f"told must be 0 for a network that takes labels; got {told}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1); got {dropout!r}")
        self.channels, self.levels = channels, check_int(levels, "levels", 1)
        self.blocks = check_int(blocks, "blocks", 1)
        self.image_size: int | None = None
        if image_size is not None:
            self._check_size(check_int(image_size, "image_size", 1), "image_size")
            self.image_size = image_size

        c = 4 * width
        self.condition = Condition(c, num_classes)
        self.first = nn.Conv2d(channels + told, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        now, widths = width, [width * 2**level for level in range(levels)]
        for wide in widths:
            for _ in range(blocks):
                self.down.append(ResBlock(now, wide, c, dropout))
                now = wide
        self.middle1 = ResBlock(now, now, c, dropout)
        self.attention = Attention(now)
        self.middle2 = ResBlock(now, now, c, dropout)
        for wide in reversed(widths):
            for _ in range(blocks):
                self.up.append(ResBlock(now + wide, wide, c, dropout))
                now = wide
        self.norm = nn.GroupNorm(8, width)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        for weight in self.last.parameters():  # an untrained network outputs 0 for every input
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, t: Reals, label: Label | None = None, drop: Tensor | None = None) -> Tensor:
        """x [B, C, S, S]; t one time or [B], real or integer; label None, one or [B] -> like x.

        Where the network is `told` a picture, that is the label: [B, told, S, S], or [1, …] for one that all
        are told. drop [B], bool, hides the label of those examples. Raises ValueError for an image that is
        not square, or has another number of channels or a side that the levels do not divide; for a label out
        of range, or a picture of another shape; and for a t or label that is neither one number nor [B].
        """
        self._check_image(x)
        if self.told:
            x, label, drop = torch.cat([x, self._second(x, label, drop)], 1), None, None
        c = self.condition(x, t, label, drop)
        h = self.first(x)
        seen: list[Tensor] = []
        for i, block in enumerate(self.down):
            if i > 0 and i % self.blocks == 0:
                h = F.avg_pool2d(h, 2)
            h = block(h, c)
            seen.append(h)
        h = self.middle2(self.attention(self.middle1(h, c)), c)
        for i, block in enumerate(self.up):
            if i > 0 and i % self.blocks == 0:
                h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            h = block(torch.cat([h, seen.pop()], dim=1), c)
        return self.last(F.silu(self.norm(h)))

    @property
    def num_classes(self) -> int | None:
        return self.condition.num_classes

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """The shape of one image, if image_size was given."""
        return None if self.image_size is None else (self.channels, self.image_size, self.image_size)

    def _second(self, x: Tensor, told: Label | None, drop: Tensor | None) -> Tensor:
        """The picture that it is told [B, told, S, S]; zeros where it is not told any."""
        shape = (len(x), self.told, *x.shape[2:])
        if told is None:
            return x.new_zeros(shape)
        if not isinstance(told, Tensor) or told.shape not in (shape, (1, *shape[1:])):
            found = list(told.shape) if isinstance(told, Tensor) else repr(told)
            raise ValueError(f"label must be pictures {list(shape)}, the network is told such; got {found}")
        told = told.to(x).expand(shape)
        return told if drop is None else torch.where(drop.to(x.device)[:, None, None, None], 0.0, told)

    def _check_image(self, x: Tensor) -> None:
        square = x.ndim == 4 and x.shape[1] == self.channels and x.shape[2] == x.shape[3]
        if not square or not x.is_floating_point():
            expected = f"square floating-point images [B, {self.channels}, S, S]"
            raise ValueError(f"x must be {expected}; got {x.dtype} of shape {list(x.shape)}")
        if self.image_size not in (None, x.shape[3]):
            raise ValueError(f"x must be {self.image_size} pixels wide, the image_size; got {x.shape[3]}")
        self._check_size(x.shape[3], "x's side")

    def _check_size(self, size: int, name: str) -> None:
        factor = 2 ** (self.levels - 1)
        if size % factor:
            raise ValueError(f"{name} must divide by {factor}, for {self.levels} levels; got {size}")
