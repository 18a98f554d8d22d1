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
