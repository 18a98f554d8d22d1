"""What a network costs: multiply-adds and bytes, predicted by a formula and counted while it runs.

Nearly all the work of a network is in products of matrices (a convolution is one). A product of [n, k] and
[k, m] takes n k m multiplications, each followed by an addition: *multiply-adds*. Papers on networks often
say FLOPs and mean these; torch's counter counts both operations, and so says twice as much. Everything here
is in multiply-adds. In terms of N, the number of pixels or of patches, and of d, the number of features::

    a linear layer or a convolution    ∝ N d²    each place by itself, or with a few neighbours
    attention                          ∝ N² d    each place with every other one

Memory in training has two parts. The weights, with what belongs to each of them. And the *activations*: what
the layers have computed on the way, kept until the gradient has come back. They grow with the batch.
"""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from ..checks import check_int
from ..unet import ResBlock, TinyUNet
from ..weights import Net
from .dit import Block, DiT


# ------------------------------------------------------------------------------------ multiply-adds
def of_block(N: int, d: int) -> dict[str, int]:
    """Multiply-adds of one block of a DiT for one picture, N tokens with d features: 12 d²N + 2 N²d + 6 d².

    12 = 3 for q, k and v, 1 for the way out of the attention, 4 + 4 for the MLP. Attention multiplies [N, d]
    by [d, N], and [N, N] by [N, d]. The last part, scale, shift and gate, is the same for all tokens.
    """
    N, d = check_int(N, "N", 1), check_int(d, "d", 1)
    return {"each token": 12 * d**2 * N, "attention": 2 * N**2 * d, "condition": 6 * d**2}


def of_dit(net: DiT) -> dict[str, int]:
    """Multiply-adds of a DiT for one picture: `depth` blocks, the two ends, and the condition."""
    C, S, _ = net.shape
    N, d, ends = (S // net.patch) ** 2, net.width, C * net.patch**2
    found = {name: len(net.blocks) * number for name, number in of_block(N, d).items()}
    found["each token"] += 2 * N * d * ends
    found["condition"] += 2 * d**2 + 2 * d**2  # the time's two layers; scale and shift before the end
    return found


def residual_blocks(net: TinyUNet, size: int) -> Iterator[tuple[int, int, int]]:
    """(channels in, channels out, pixels) of every ResBlock, for pictures of size × size."""
    width, levels, blocks = net.first.out_channels, net.levels, net.blocks
    widths = [width * 2**level for level in range(levels)]
    now = width
    for level, wide in enumerate(widths):
        for _ in range(blocks):
            yield now, wide, (size >> level) ** 2
            now = wide
    for _ in ("middle1", "middle2"):
        yield now, now, (size >> (levels - 1)) ** 2
    for level, wide in reversed(list(enumerate(widths))):
        for _ in range(blocks):
            yield now + wide, wide, (size >> level) ** 2
            now = wide


def of_unet(net: TinyUNet, size: int) -> dict[str, int]:
    """Multiply-adds of a TinyUNet for one picture of size × size.

    A 3 × 3 convolution from `a` to `b` channels takes 9 a b for each pixel, one of 1 × 1 a b; those around
    the attention count as convolutions, too. Half the side at twice the channels: a quarter of the pixels,
    four times the work for each. So every level costs about the same.
    """
    width, c = net.first.out_channels, 4 * net.first.out_channels
    N, C = (size >> (net.levels - 1)) ** 2, net.attention.out.in_channels
    ends = 9 * width * size**2 * (net.first.in_channels + net.last.out_channels)
    found = {"convolutions": ends + 4 * C**2 * N, "attention": 2 * N**2 * C, "condition": 2 * c**2}
    for a, b, pixels in residual_blocks(net, size):
        found["convolutions"] += (9 * a * b + 9 * b * b + (a * b if a != b else 0)) * pixels
        found["condition"] += c * 2 * b
    return found


def predicted(net: nn.Module, size: int) -> int:
    """Multiply-adds of one call for one picture, by formula. Raises ValueError for other networks."""
    return sum(_of(net, size, of_dit, of_unet).values())


def counted(run: Callable[[], Any]) -> int:
    """Multiply-adds of all matrix products and convolutions in run(), by torch's counter.

    With a network and its input on the device "meta" (`on_meta`) it counts without computing. In torch 2.13
    the counter has no entry for the CPU's fused attention, and would count it as nothing: here it has one.
    """
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001  # it has no other name
    with FlopCounterMode(display=False, custom_mapping={fused: _fused_attention}) as counter:
        run()
    return counter.get_total_flops() // 2


def _fused_attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def on_meta(make: Callable[[], Net]) -> Net:
    """The network make(), with weights that have a shape and no values: any size fits into memory."""
    with torch.device("meta"):
        return make()


# ------------------------------------------------------------------------------------ bytes
def kept_by_dit(net: DiT) -> tuple[int, int]:
    """Numbers that a DiT keeps for the gradient of one picture: depth · (20 N d + heads · N²) + 3 N d.

    Each operation keeps what its derivative needs: a product its inputs, a norm its input, GELU its input.
    The attention's half of a block keeps 8 arrays [N, d], and one weight for each pair of tokens and each
    head. The MLP's half keeps 4 arrays [N, d] and 2 that are four times as wide. What does not grow with N is
    left out. Returns (those that bf16 halves, those that stay in float32: into and out of the norms).
    """
    N, d = (net.shape[1] // net.patch) ** 2, net.width
    heads = len(net.blocks) * net.heads
    return len(net.blocks) * 16 * N * d + heads * N**2 + N * d, len(net.blocks) * 4 * N * d + 2 * N * d


def kept_by_unet(net: TinyUNet, size: int) -> tuple[int, int]:
    """Numbers that a TinyUNet keeps for the gradient of one picture of size × size, without dropout.

    A ResBlock from `a` to `b` channels keeps (3 a + 4 b) for each pixel: what goes into each of two norms,
    of two activations, of two convolutions, and of the scale. Returns (those that bf16 halves, those that
    stay in float32: inside torch's attention).
    """
    width, C = net.first.out_channels, net.attention.out.in_channels
    N = (size >> (net.levels - 1)) ** 2
    found = sum((3 * a + 4 * b) * pixels for a, b, pixels in residual_blocks(net, size))
    found += (net.first.in_channels + 3 * width) * size**2  # the first convolution; the last norm and on
    for level in range(net.levels - 1):  # what is averaged over 2 × 2 pixels
        found += width * 2**level * (size >> level) ** 2
    return found + 3 * C * N, 3 * C * N + 4 * N**2  # q, k, v, and a weight for each pair in four heads


def kept(net: nn.Module, size: int, batch: int = 1, precision: str = "fp32") -> int:
    """Bytes of activations that a training step keeps, by formula. Raises as `predicted` does.

    With precision = "bf16" (torch.autocast), products and what they work on take 2 bytes in the place of 4,
    but the weights are copied. Raises ValueError for another precision.
    """
    if precision not in ("fp32", "bf16"):
        raise ValueError(f'precision must be "fp32" or "bf16"; got {precision!r}')
    halved, full = _of(net, size, kept_by_dit, kept_by_unet)
    one = 4 * (halved + full) if precision == "fp32" else 2 * halved + 4 * full
    copies = 0 if precision == "fp32" else 2 * weights(net)
    return check_int(batch, "batch", 1) * one + copies


def training_memory(net: nn.Module, size: int, batch: int = 1, precision: str = "fp32") -> int:
    """Bytes that a training step takes at its peak: 20 for each weight, and what it has kept.

    Five numbers of 4 bytes belong to each weight: itself, its gradient, AdamW's two averages, and the moving
    average. At the peak, the forward pass has kept everything, and the last step's gradients are still there:
    `training.train` discards them only then. Raises as `kept` does.
    """
    return 20 * weights(net) + kept(net, size, batch, precision)


def weights(net: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(weight.numel() for weight in net.parameters())


def _of(net: nn.Module, size: int, dit: Callable[[DiT], Any], unet: Callable[[TinyUNet, int], Any]) -> Any:
    """The answer of whichever of the two functions knows this network, for pictures of that size."""
    if isinstance(net, DiT):
        if size != net.shape[1]:
            raise ValueError(f"size must be this DiT's image_size, {net.shape[1]}; got {size}")
        return dit(net)
    if isinstance(net, TinyUNet):
        return unet(net, check_int(size, "size", 2 ** (net.levels - 1)))
    raise ValueError(f"net must be a DiT or a TinyUNet; got {type(net).__name__}")


def kept_measured(net: nn.Module, run: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps for the gradient of run(), each array once and the weights not at all.

    torch.autograd.graph.saved_tensors_hooks shows every tensor at the moment at which it is kept.
    """
    own = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
    found: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in own:
            found[memory.data_ptr()] = memory  # held, so that no other array gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(memory.nbytes() for memory in found.values())


class Allocated(TorchDispatchMode):
    """``with Allocated() as memory:`` counts the bytes of the tensors made inside: `now` and `peak`.

    What was there before, weights for instance, is not counted. Scratch space inside an operation neither.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {address(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(out):
            if not isinstance(tensor, Tensor):
                continue
            memory, place = tensor.untyped_storage(), address(tensor)
            size = memory.nbytes()
            if place not in given and place not in self.known:  # a view has its tensor's memory
                self.known.add(place)
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(memory, self._freed, place, size)
        return out

    def _freed(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.now -= size


def address(tensor: Tensor) -> int:
    """What a tensor's memory is known by, also where it has no values (data_ptr() would be 0 there)."""
    return tensor.untyped_storage()._cdata  # noqa: SLF001  # torch's own memory tracker does the same


# ------------------------------------------------------------------------------------ saving memory
class Checkpointed(nn.Module):
    """A block that keeps its input alone, and computes the rest again for the gradient (Chen et al. 2016).

    One more forward pass, for the memory of one block in the place of all of them.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        found = checkpoint(self.block, x, c, use_reentrant=False, preserve_rng_state=False)
        assert isinstance(found, Tensor)
        return found


def checkpointed(net: nn.Module) -> nn.Module:
    """The same network, changed in place: each Block of a DiT or ResBlock of a TinyUNet is `Checkpointed`."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (Block, ResBlock)) and not isinstance(parent, Checkpointed):
                setattr(parent, name, Checkpointed(child))
    return net
