"""How a network gets its first weights: drawn from a separate generator, or loaded.

Neither touches anything global: code that draws at the same time in another thread gets the same numbers as
without it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Net = TypeVar("Net", bound=nn.Module)


def drawn(make: Callable[[], Net], generator: torch.Generator) -> Net:
    """The network make(), its first weights drawn from the generator, in torch's own way and order.

    So they are the weights that ``torch.manual_seed`` with the same seed would give. But torch's global
    generator, which another thread may be using, is left alone.
    """
    with _DrawFrom(generator):
        return make()


def loaded(make: Callable[[], Net], weights: dict[str, Tensor]) -> Net:
    """The network make() with copies of these weights (its state_dict), in float32.

    Nothing is drawn. (torch's device "meta" would also work, but imports 800 modules when first used.) Raises
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


def in_bytes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights (a state_dict) in one byte each, for a small file; `from_bytes` gives them back.

    A row of a matrix, all that goes into one output, is stored as whole numbers from −127 to 127 and the
    number that they are multiples of, as NAME.scale in float16. So no weight moves by more than about 1/254
    of the largest in its row. Vectors are few: they are stored in float16.
    """
    found = {}
    for name, value in weights.items():
        if value.ndim < 2:
            found[name] = value.half().contiguous()
            continue
        rows = value.float().flatten(1)
        scale = (rows.abs().amax(1) / 127).clamp(min=2**-24).half()  # 2⁻²⁴: the smallest there is
        whole = (rows / scale.float()[:, None]).round().clamp(-127, 127)
        found[name] = whole.to(torch.int8).reshape(value.shape).contiguous()
        found[f"{name}.scale"] = scale
    return found


def from_bytes(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that `in_bytes` has stored, in float32."""
    found = {}
    for name, value in stored.items():
        if value.dtype == torch.int8:
            scale = stored[f"{name}.scale"].float().reshape(-1, *[1] * (value.ndim - 1))
            found[name] = value.float() * scale
        elif not name.endswith(".scale"):
            found[name] = value.float()
    return found


class _DrawFrom(TorchFunctionMode):
    """Inside ``with _DrawFrom(generator):``, and in this thread only, layers are initialised from it.

    With None they are not initialised: their weights hold whatever was in memory.
    """

    DRAWS = (nn.init.kaiming_uniform_, nn.init.uniform_, nn.init.normal_)  # of linear, convolution, embedding

    def __init__(self, generator: torch.Generator | None) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in self.DRAWS:
            return func(*args, **kwargs or {})
        if self.generator is not None:
            return func(*args, **(kwargs or {}) | {"generator": self.generator})
        return None
