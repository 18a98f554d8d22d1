"""A recipe: everything that determines the result of a training run, in one object stored as a JSON file."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from .checks import check_int
from .schedules import SCHEDULES, NoiseSchedule, zero_terminal_snr
from .unet import MLP, TinyUNet, drawn, loaded


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the result of a training run. Raises ValueError for values without sense."""

    networks: ClassVar[Mapping[str, Callable[..., Any]]] = {"TinyUNet": TinyUNet, "MLP": MLP}

    data: str = "digits"  # or one of data.TOYS or pictures.SETS; a name only, where train() is given the data
    network: str = "TinyUNet"  # or "MLP"; a subclass may know others, in its `networks`
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the network: name -> value
    schedule: str = "cosine"  # one of schedules.SCHEDULES
    T: int = 1000
    zero_terminal: bool = False  # bend the schedule to end at SNR 0 (schedules.zero_terminal_snr)
    predicts: str = "v"  # or "eps", "x0": the network's output, and the view in which the error is taken
    steps: int = 2000
    batch: int = 128
    lr: float = 2e-3  # its maximum, reached after `warmup`; then it falls to 0 along half a cosine
    warmup: float = 0.1  # as a share of the steps
    beta2: float = 0.99  # AdamW's memory of squared gradients: shorter than usual, for short runs
    weight_decay: float = 0.01
    clip_norm: float = 1.0  # longest gradient, so that one bad batch cannot ruin the weights
    ema_decay: float = 0.999
    min_snr: float | None = None  # γ: weight the error by min-SNR (Hang et al. 2023, who take 5)
    label_dropout: float = 0.1  # share of labels hidden, so that the same weights also serve given(None)
    precision: str = "fp32"  # or "bf16": matrix products and convolutions in bfloat16, the rest in float32
    seed: int = 0

    def __post_init__(self) -> None:
        choices = dict(
            network=self.networks, schedule=SCHEDULES, predicts=["eps", "x0", "v"], precision=["fp32", "bf16"]
        )
        for name, known in choices.items():
            self._check(name, lambda value, known=known: value in list(known), f"one of {', '.join(known)}")
        self._check("arguments", lambda value: isinstance(value, dict), "a dict of the network's arguments")
        self._check("zero_terminal", lambda value: isinstance(value, bool), "true or false")
        for name, lowest in dict(T=1, steps=1, batch=1, seed=0).items():
            check_int(getattr(self, name), name, lowest)
        for name in ("lr", "clip_norm"):
            self._check(name, lambda value: 0 < value < math.inf, "a number above 0")
        self._check("weight_decay", lambda value: 0 <= value < math.inf, "a number of at least 0")
        if self.min_snr is not None:
            self._check("min_snr", lambda value: 0 < value < math.inf, "None or a number above 0")
        if self.zero_terminal and self.predicts == "eps":
            why = "at SNR 0, eps says nothing of x_0; predict v or x0 there (Lin et al. 2024)"
            raise ValueError(f'zero_terminal must be false for predicts = "eps": {why}')
        for name in ("warmup", "beta2", "ema_decay", "label_dropout"):
            self._check(name, lambda value: 0 <= value < 1, "a number in [0, 1)")

    def _check(self, name: str, is_right: Callable[[Any], bool], expected: str) -> None:
        value = getattr(self, name)
        try:
            right = is_right(value)
        except TypeError:  # a word where a number was expected
            right = False
        if not right:
            raise ValueError(f"{name} must be {expected}; got {value!r}")

    def make_schedule(self) -> NoiseSchedule:
        schedule = SCHEDULES[self.schedule](self.T)
        return zero_terminal_snr(schedule) if self.zero_terminal else schedule

    def make_network(self, weights: dict[str, Tensor] | None = None) -> TinyUNet | MLP:
        """The untrained network; its weights are drawn by a separate generator with the recipe's seed.

        With `weights`, a state_dict, it gets these instead: see unet.loaded. Raises ValueError for arguments
        that the network does not have, and for weights of another network.
        """
        make = functools.partial(self.networks[self.network], **self.arguments)
        try:
            if weights is None:
                return drawn(make, torch.Generator().manual_seed(self.seed))
            return loaded(make, weights)
        except TypeError as error:
            raise ValueError(f"arguments must be those of {self.network}; {error}") from error

    def to_json(self) -> str:
        """Every field that is not None."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(fields, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Raises ValueError for text that is not a JSON object, and for a field that is not a recipe's."""
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"a recipe must be a JSON object; {error}") from error
        if not isinstance(fields, dict):
            raise ValueError(f"a recipe must be a JSON object; got {fields!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise ValueError(f"a recipe's fields are {', '.join(known)}; got {', '.join(unknown)}")
        return cls(**fields)
