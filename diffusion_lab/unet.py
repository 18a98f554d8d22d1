"""Networks that learn a denoiser: a small U-Net for images, a small residual MLP for 2-D data.

Both are called the same way, ``net(x, t, label=None)``, and return something of x's shape. What it means
(ε̂, x̂_0 or v̂) is not the network's business: `ModelDenoiser` says it, and makes the network a `Denoiser`.
"""

import math
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .checks import check_data, check_int, check_t
from .schedules import NoiseSchedule
from .views import Prediction


def drawn(make, generator: torch.Generator) -> nn.Module:
    """The network make(), its first weights drawn from the generator, in torch's own way and order.

    So they are what ``torch.manual_seed`` with the same seed would give. But torch's global generator is left
    to whoever is drawing from it, perhaps in another thread.
    """
    with _DrawFrom(generator):
        return make()


def loaded(make, weights: dict[str, Tensor]) -> nn.Module:
    """The network make() with copies of these weights (its state_dict), in float32.

    Nothing is drawn. (torch's device "meta" would do it too, but imports 800 modules when first used.) Raises
    ValueError for weights of another network.
    """
    with _DrawFrom(None):
        net = make()
    try:
        copies = {name: value.to(torch.float32, copy=True) for name, value in weights.items()}
        net.load_state_dict(copies, assign=True)
    except RuntimeError as error:
        raise ValueError(f"weights must be those of this {type(net).__name__}; {error}") from error
    return net


class _DrawFrom(TorchFunctionMode):
    """Inside ``with _DrawFrom(generator):`` and in this thread alone, layers are initialised from it.

    With None they are not: their weights hold whatever was in memory.
    """

    DRAWS = (nn.init.kaiming_uniform_, nn.init.uniform_, nn.init.normal_)  # of linear, convolution, embedding

    def __init__(self, generator: torch.Generator | None):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in self.DRAWS:
            return function(*args, **kwargs or {})
        if self.generator is not None:
            return function(*args, **(kwargs or {}) | {"generator": self.generator})


class Dropout(nn.Module):
    """In training, a share p of the features become 0 and the others are divided by 1 − p.

    (Srivastava et al. 2014.) `generator`, on the device of the data, says which ones: torch's global one
    unless it is set.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p, self.generator = p, None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * kept.div_(1 - self.p)


def time_embedding(t: Tensor, dim: int) -> Tensor:
    """t [B], integer or real, as dim/2 cosines and sines: [B, dim] (Vaswani et al. 2017, section 3.5).

    Wavelengths grow by equal factors from 2π to 2π · 10 000^(1 − 2/dim) steps. How far apart the embeddings
    of s and t are depends on |t − s| alone: at dim = 128, 1.95 for neighbours, 10.3 for 100 and 900.
    """
    # in float32 whatever the weights are: bfloat16 cannot count to 1000
    frequency = torch.exp(torch.arange(dim // 2, device=t.device) * (-math.log(10_000) / (dim // 2)))
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Condition(nn.Module):
    """What the network is told beside x: the time and the label, as one vector per example, [B, dim].

    [1, dim] where all examples are told the same: a sampler's batch has one time, and one row is enough.

    Index num_classes of the label embedding is the null class, "no label". It serves label=None, and also the
    examples whose label training drops, so that one set of weights learns both (Ho & Salimans 2022, alg. 1).
    """

    def __init__(self, dim: int, num_classes: int | None):
        super().__init__()
        self.num_classes = None if num_classes is None else check_int(num_classes, "num_classes", 1)
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, dim)

    def forward(self, x: Tensor, t, label=None, drop: Tensor | None = None) -> Tensor:
        t = _one_per_example(torch.as_tensor(t).float(), x, "t")  # float before it moves: MPS has no float64
        first = self.time[0]
        c = self.time(time_embedding(t, first.in_features).to(first.weight.dtype))
        if label is not None:
            label = _one_per_example(check_label(label, self.num_classes), x, "label")
        elif self.num_classes is not None:
            label = torch.full((1,), self.num_classes, device=x.device)
        else:
            return c
        if drop is not None:
            label = torch.where(drop.to(x.device), self.num_classes, label)
        return c + self.label(label)


def _one_per_example(value: Tensor, x: Tensor, name: str) -> Tensor:
    """value, one number or [B], as [1] or [B] on x's device."""
    if value.ndim > 1 or (value.ndim == 1 and len(value) != len(x)):
        raise ValueError(f"{name} must be one number or [B] = [{len(x)}]; got shape {list(value.shape)}")
    # a CPU that waits for its few numbers to arrive on the GPU waits for all that the GPU has yet to do
    return value.to(x.device, non_blocking=x.is_cuda).reshape(-1)


def check_label(label, num_classes: int | None, look: bool = False) -> Tensor:
    """label, one or a list, array or tensor of them, as an int64 tensor; ValueError for no class in it.

    The classes are 0…num_classes − 1. Values on a GPU are looked at only if told to `look`, for the CPU must
    wait for them.
    """
    if num_classes is None:
        raise ValueError(f"label must be None: this network knows no classes; got {label!r}")
    expected = f"label must be an integer in 0…{num_classes - 1}, or None; got"
    try:
        tensor = torch.as_tensor(label)
    except (TypeError, ValueError, RuntimeError):  # a word, a ragged list
        raise ValueError(f"{expected} {label!r}") from None
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ValueError(f"{expected} {label!r}")
    tensor = tensor.long()
    if torch.compiler.is_compiling():  # looking at the values would break the compiled graph in two
        return tensor
    if (look or tensor.device.type == "cpu") and not ((tensor >= 0) & (tensor < num_classes)).all():
        raise ValueError(f"{expected} {label!r}")
    return tensor


class ResBlock(nn.Module):
    """Two convolutions and a way around them; in between, the condition scales and shifts each channel.

    (He et al. 2016; the scale and shift are FiLM, Perez et al. 2018.)
    """

    def __init__(self, in_channels: int, out_channels: int, condition: int, dropout: float):
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
    """Every pixel looks at every other one: self-attention with four heads, and a way around it."""

    def __init__(self, channels: int):
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

    The image goes down through `levels` resolutions, each half as wide with twice the channels. At the
    lowest, attention looks around. On the way up, each block also sees what its partner on the way down made.

    channels      1 or 3, of the image
    width         channels at the full resolution, a multiple of 8
    levels        resolutions: the image's side must divide by 2^(levels − 1)
    blocks        residual blocks per level, on the way down and again on the way up
    num_classes   None: no labels. Otherwise labels 0…num_classes − 1, and None for "any"
    dropout       share of features dropped in each block, in training
    image_size    the one side to accept; None accepts every side that divides
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
    ):
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3; got {channels!r}")
        if check_int(width, "width", 8) % 8:
            raise ValueError(f"width must be a multiple of 8, the number of groups in GroupNorm; got {width}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1); got {dropout!r}")
        self.channels, self.levels = channels, check_int(levels, "levels", 1)
        self.blocks = check_int(blocks, "blocks", 1)
        self.image_size = None
        if image_size is not None:
            self._check_size(check_int(image_size, "image_size", 1), "image_size")
            self.image_size = image_size

        c = 4 * width
        self.condition = Condition(c, num_classes)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
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
        nn.init.zeros_(self.last.weight)  # an untrained network says 0, whatever it sees
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, t, label=None, drop: Tensor | None = None) -> Tensor:
        """x [B, C, S, S]; t one time or [B], real or integer; label None, one or [B] -> like x.

        drop [B], bool, hides the label of those examples. Raises ValueError for an image that is not square,
        or has another number of channels or a side that the levels do not divide; for a label out of range;
        and for a t or label that is neither one number nor [B].
        """
        self._check_image(x)
        c = self.condition(x, t, label, drop)
        h, seen = self.first(x), []
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
        return self.image_size and (self.channels, self.image_size, self.image_size)

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


class MLP(nn.Module):
    """A residual network for points [B, dim], told the time and the label in the same way as TinyUNet.

    dim           coordinates of a point
    width         features, an even number
    depth         residual blocks, each h + W₂ silu(scale · W₁ silu(h) + shift)
    num_classes   as in TinyUNet
    """

    def __init__(self, dim: int = 2, width: int = 96, depth: int = 2, num_classes: int | None = None):
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
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, t, label=None, drop: Tensor | None = None) -> Tensor:
        """x [B, dim]; t one time or [B], real or integer; label None, one or [B] -> like x.

        drop is as in TinyUNet. Raises ValueError for points of another dimension, and where TinyUNet does.
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


class ModelDenoiser:
    """A network with what makes it a `Denoiser`: its schedule, and which view of the prediction it outputs.

    net        called as net(x, t, label): a TinyUNet, an MLP, or a module or function of your own. One that
               takes labels says in num_classes how many classes it knows; one of a single shape, in shape
    schedule   the NoiseSchedule it was trained on
    predicts   "eps", "x0" or "v"
    label      None (any class), one class, or [B]; change it with `given`
    raises     ValueError for another view, and for a label that the network does not know

    Gradients reach x_t, and the weights where these require them. The network is used as it is: one with
    dropout wants net.eval() first.
    """

    def __init__(self, net, schedule: NoiseSchedule, predicts: str = "eps", label=None):
        if predicts not in ("eps", "x0", "v"):
            raise ValueError(f'predicts must be "eps", "x0" or "v"; got {predicts!r}')
        if label is not None:
            label = check_label(label, getattr(net, "num_classes", None), look=True)
        self.net, self.schedule, self.predicts, self.label = net, schedule, predicts, label
        self._from_view = getattr(Prediction, f"from_{predicts}")

    def given(self, label) -> "ModelDenoiser":
        """The same network told the class: one label, [B] labels, or None for "any class"."""
        return ModelDenoiser(self.net, self.schedule, self.predicts, label)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of one example, where the network knows it."""
        return getattr(self.net, "shape", None)

    @property
    def dtype(self) -> torch.dtype | None:
        """That of the network's weights, in which it computes; None where it has none."""
        weight = next(self.net.parameters(), None) if isinstance(self.net, nn.Module) else None
        return None if weight is None else weight.dtype

    def __call__(self, x_t: Tensor, t) -> Prediction:
        """x_t [B, *D], any floating dtype, on the network's device; t one time or [B], real or integer."""
        check_data(x_t, "x_t", finite=False)  # Prediction looks whether what comes of it is
        if isinstance(t, float) and 0 < t < 1 < self.schedule.T:
            warnings.warn(
                f"t = {t} of {self.schedule.T} steps is nearly the data: t runs from 0 to {self.schedule.T} "
                "here, not to 1. A tensor says that it is meant.",
                stacklevel=2,
            )
        # a tensor, since a compiled net is compiled again for every number; float32, since MPS has no float64
        time = check_t(t, self.schedule.T, real=True).float().to(x_t.device, non_blocking=x_t.is_cuda)
        value = self.net(x_t.to(self.dtype or x_t.dtype), time, self.label)
        return self._from_view(value.to(x_t.dtype), x_t, t, self.schedule)
