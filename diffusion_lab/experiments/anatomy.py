"""The parts of a network, found in one forward pass: their shapes, and their connections."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..drawing import GREY, PALETTE
from ..unet import TinyUNet

Shape = tuple[int, ...]
KINDS = {"ResBlock": "blue", "Attention": "vermillion", "Condition": "green"}  # all other kinds are grey


@dataclass(frozen=True)
class Part:
    """One part of a network, as seen in a forward pass.

    :ivar name: its name in the network, such as "down.0"
    :ivar kind: its class
    :ivar sees: shape of its input without the batch: channels, height, width
    :ivar gives: shape of its output
    :ivar told: whether it also gets the condition
    :ivar weights: number of its weights
    :ivar skip_to: name of the later part that gets this output too, besides its neighbour's
    """

    name: str
    kind: str
    sees: Shape
    gives: Shape
    told: bool
    weights: int
    skip_to: str | None = None


@torch.no_grad()
def anatomy(net: TinyUNet, size: int | None = None) -> list[Part]:
    """The parts of `net` in the order in which they work, for images with sides of `size` pixels.

    The code does not know how they are connected: hooks watch one forward pass. It finds a skip where the
    last channels of an input *are* an earlier output.

    :param size: the net's own image_size unless given
    :raises ValueError: if neither gives a size
    """
    size = size or net.image_size
    if size is None:
        raise ValueError("size must be given for a network without image_size; got None")
    seen: list[tuple[str, nn.Module, Any, Tensor]] = []
    hooks = [
        part.register_forward_hook(lambda part, given, out, name=name: seen.append((name, part, given, out)))
        for name, part in named_parts(net)
    ]
    generator, was_training = torch.Generator().manual_seed(0), net.training
    try:
        x = torch.randn((1, net.channels, size, size), generator=generator)
        net.eval()(x.to(next(net.parameters())), torch.tensor([1.0]))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    condition = next((out for _, part, _, out in seen if type(part).__name__ == "Condition"), None)
    parts: list[Part] = []
    for k, (name, part, given, out) in enumerate(seen):
        x, told = given[0], any(other is condition for other in given[1:])
        weights = sum(weight.numel() for weight in part.parameters())
        row = Part(name, type(part).__name__, tuple(x.shape[1:]), tuple(out.shape[1:]), told, weights)
        for j in range(k - 1):  # all but the neighbour
            if found_at_end(seen[j][3], x):
                parts[j] = replace(parts[j], skip_to=name)
        parts.append(row)
    return parts


def named_parts(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children of a network; each entry of a list is one."""
    found: list[tuple[str, nn.Module]] = []
    for name, child in net.named_children():
        several = isinstance(child, nn.ModuleList)
        found += [(f"{name}.{i}", part) for i, part in enumerate(child)] if several else [(name, child)]
    return found


def found_at_end(out: Tensor, x: Tensor) -> bool:
    """Whether the last channels of x [B, C, H, W] are `out`, with other channels before them."""
    fits = out.ndim == x.ndim == 4 and out.shape[2:] == x.shape[2:] and out.shape[1] < x.shape[1]
    return fits and torch.equal(x[:, -out.shape[1] :], out)


def draw(parts: list[Part], axes: Any) -> None:
    """The parts as boxes on matplotlib's `axes`, from left to right in order, lower for smaller images."""
    images = [part for part in parts if len(part.gives) == 3]
    sides = sorted({part.sees[1] for part in images}, reverse=True)
    place = {part.name: (float(k), -1.6 * sides.index(part.sees[1])) for k, part in enumerate(images)}
    middle = dict(ha="center", va="center", fontsize=8)
    line = dict(arrowstyle="-|>", color=GREY, shrinkA=0, shrinkB=0)
    for one, other in pairwise(images):
        (x, y), (x1, y1) = place[one.name], place[other.name]
        axes.annotate("", (x1 - 0.4, y1), (x + 0.4, y), arrowprops=line)
        if y != y1:
            what = "half as wide" if y1 < y else "twice as wide"
            axes.text((x + x1) / 2, (y + y1) / 2, what, backgroundcolor="white", **middle)
    for part in images:
        x, y = place[part.name]
        color = PALETTE[KINDS[part.kind]] if part.kind in KINDS else GREY
        axes.fill_between([x - 0.4, x + 0.4], y - 0.42, y + 0.42, color=color, alpha=0.25)
        (c, side, _), out = part.sees, part.gives[0]
        words = f"{part.name}\n{part.kind}\n{c} → {out} ch.\n{side} × {side}"
        axes.text(x, y, words, **middle)
        if part.skip_to in place:
            x1, y1 = place[part.skip_to]
            bow = dict(arrowstyle="-|>", color=PALETTE["orange"], lw=1.6, connectionstyle="arc3,rad=-0.12")
            axes.annotate("", (x1 - 0.1, y1 + 0.44), (x + 0.1, y + 0.44), arrowprops=bow)
    top = max(y for _, y in place.values()) + 2.0
    for part in parts:
        if part.kind == "Condition":
            green, ends = PALETTE[KINDS[part.kind]], [0.6, len(images) - 1.6]
            axes.fill_between(ends, top, top + 0.4, color=green, alpha=0.25)
            words = f"{part.name}: time and class as one vector of {part.gives[-1]}, for each box with a dot"
            axes.text((len(images) - 1) / 2, top + 0.2, words, **middle)
            told = [place[other.name] for other in images if other.told]
            axes.plot(
                [x + 0.33 for x, _ in told], [y + 0.34 for _, y in told], "o", color=green, markersize=5
            )
    axes.set(xlim=(-0.6, len(images) - 0.4), ylim=(min(y for _, y in place.values()) - 0.6, top + 0.6))
    axes.axis("off")
