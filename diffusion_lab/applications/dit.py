"""A transformer in the place of the U-Net: the DiT (Peebles & Xie 2022).

A U-Net has it built in that a pixel's neighbours matter most. A transformer has not. It cuts the picture into
patches, makes one vector, a *token*, of each, and lets every token attend to every other one. What is near
what, it must learn. In exchange there is one kind of block, of one size, and a single number decides what a
picture costs: N, the number of patches (`cost`).

It is called as TinyUNet is, ``net(x, t, label=None)``, and no schedule, loss or sampler can tell them apart.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import Reals, check_int
from ..layers import Condition, Label, time_embedding


def patchify(x: Tensor, patch: int) -> Tensor:
    """Pictures [B, C, S, S] as rows of patches: [B, N, C · patch²], with N = (S / patch)².

    In reading order; each is x[b, :, rows, columns], flattened. Raises ValueError if the patches do not fit.
    """
    B, C, H, W = x.shape
    if H % patch or W % patch:
        raise ValueError(f"patch must divide the sides of x, {H} and {W}; got {patch}")
    cut = x.reshape(B, C, H // patch, patch, W // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * patch**2)


def unpatchify(tokens: Tensor, patch: int) -> Tensor:
    """The inverse of `patchify`, for square pictures: [B, N, C · patch²] -> [B, C, S, S]."""
    B, N, _ = tokens.shape
    side = math.isqrt(N)
    cut = tokens.reshape(B, side, side, -1, patch, patch)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, side * patch, side * patch)


def positions(side: int, width: int) -> Tensor:
    """Where each of side² patches is, [side², width]: cosines and sines of its row, then of its column.

    Not learned (Peebles & Xie 2022, section 3.2). Attention treats its inputs as a *set*, without an order.
    """
    one = time_embedding(torch.arange(side, device="cpu"), width // 2)
    rows, columns = one.repeat_interleave(side, 0), one.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x · (1 + scale) + shift: x [B, N, width]; scale and shift [B, width], the same for all tokens."""
    return x * (1 + scale[:, None]) + shift[:, None]


class SelfAttention(nn.Module):
    """softmax(q kᵀ / √(width / heads)) v, for each head (Vaswani et al. 2017, eq. 1), written out.

    On the CPU, torch's fused one has no forward-mode derivative, and the flop counter does not see it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, N, width = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # [B, heads, N, …]
        weights = (q @ k.mT * (width / self.heads) ** -0.5).softmax(dim=-1)  # [B, heads, N, N]
        return self.out((weights @ v).transpose(1, 2).reshape(B, N, width))


class Block(nn.Module):
    """Attention between tokens, then an MLP for each token, both with a skip around them: adaLN-Zero.

    The condition decides a scale and a shift before each of the two, and a *gate* after it. All are 0 at
    first: an untrained block does nothing (Peebles & Xie 2022, section 3.2 and figure 3).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)  # no weights: one serves both
        self.attention = SelfAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.adaln = nn.Linear(width, 6 * width)
        for weight in self.adaln.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        scale1, shift1, gate1, scale2, shift2, gate2 = self.adaln(F.silu(c)).chunk(6, dim=1)
        x = x + gate1[:, None] * self.attention(modulate(self.norm(x), scale1, shift1))
        return x + gate2[:, None] * self.mlp(modulate(self.norm(x), scale2, shift2))


class DiT(nn.Module):
    """Patches, `depth` equal blocks, patches again.

    :param channels: of the picture
    :param image_size: its side; it must divide by `patch`
    :param patch: its side. Half of it is four times the tokens, for blocks with the same weights
    :param width: features of a token, "d": a multiple of 4 and of `heads`
    :param heads: of the attention
    :param num_classes: as in TinyUNet
    """

    def __init__(
        self,
        channels: int = 1,
        image_size: int = 8,
        patch: int = 2,
        width: int = 48,
        depth: int = 3,
        heads: int = 4,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        if check_int(image_size, "image_size", 1) % check_int(patch, "patch", 1):
            raise ValueError(f"patch must divide image_size, {image_size}; got {patch}")
        if check_int(width, "width", 4) % math.lcm(4, check_int(heads, "heads", 1)):
            raise ValueError(f"width must be a multiple of 4 and of heads, {heads}; got {width}")
        self.patch, self.width, self.heads = patch, width, heads
        self.shape = (check_int(channels, "channels", 1), image_size, image_size)
        self.condition, self.num_classes = Condition(width, num_classes), num_classes
        self.first = nn.Linear(channels * patch**2, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(check_int(depth, "depth", 1)))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.adaln = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, channels * patch**2)
        for weight in [*self.adaln.parameters(), *self.last.parameters()]:  # an untrained network outputs 0
            nn.init.zeros_(weight)
        where = positions(image_size // patch, width).to(self.first.weight.device)  # it may be "meta"
        self.register_buffer("where", where, persistent=False)

    def forward(self, x: Tensor, t: Reals, label: Label | None = None, drop: Tensor | None = None) -> Tensor:
        """x `[B, *shape]`; t one time or [B], real or integer; label None, one or [B] -> like x.

        drop is as in TinyUNet. Raises ValueError for pictures of another shape, and as TinyUNet does.
        """
        if x.ndim != 4 or x.shape[1:] != self.shape or not x.is_floating_point():
            expected = f"floating-point pictures [B, {', '.join(map(str, self.shape))}]"
            raise ValueError(f"x must be {expected}; got {x.dtype} of shape {list(x.shape)}")
        c = self.condition(x, t, label, drop)
        h = self.first(patchify(x, self.patch)) + self.where
        for block in self.blocks:
            h = block(h, c)
        scale, shift = self.adaln(F.silu(c)).chunk(2, dim=1)
        return unpatchify(self.last(modulate(self.norm(h), scale, shift)), self.patch)
