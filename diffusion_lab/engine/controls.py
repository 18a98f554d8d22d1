"""The controls of an explorer: values that a student can change."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import traitlets

Scalar = str | float

# Callbacks run in another thread than the cells. One lock makes a change, its scene and its sending a single
# step. All explorers share it, so that two linked ones can never wait for each other.
LOCK = threading.RLock()


def free(comm: Any, handle: Callable) -> None:
    """Let `handle` answer what the page says over a comm, without the cell that is running.

    By default a comm announces the end of a cell after every message. Then matplotlib shows and closes all
    figures, also those of a cell that is still drawing. Our widgets do not use pyplot.

    JupyterLab sends what the page says to a shell that is free while a cell runs. ipykernel (7.4) would send
    it on to the shell that last wrote over the comm: to the busy one, if a cell has set a widget's value.
    """
    comm.handle_msg = handle
    comm._reply_subshell_for = lambda _data, asked: asked  # noqa: SLF001 - there is no public way


class Control(traitlets.TraitType):
    """A value that a student can change: a trait, so `observe`, `link` and `explorer.T = 50` work.

    An assignment returns when the new scene is ready. If `scene` fails, the explorer shows the error and the
    assignment raises it too. An invalid value is a TraitError and changes nothing.
    """

    kind = ""

    def __init__(self, value: Any, *, label: str = "", main: bool = False) -> None:
        super().__init__(value)
        self.tag(sync=True)
        self.label, self.main = label, main
        self.default_value = self.validate(None, value)

    def __set__(self, obj: Any, value: Any) -> None:
        with LOCK:
            obj.failure = None
            super().__set__(obj, value)
            if obj.failure:
                raise obj.failure

    def validate(self, explorer: Any, value: Any) -> Any:
        """`value` as it is stored; values that are not allowed are rejected."""
        raise NotImplementedError

    def reject(self, explorer: Any, value: Any, expected: str) -> NoReturn:
        """Raise a TraitError that names the control, the value and what was expected."""
        owner = f"{type(explorer).__name__}." if explorer else ""
        raise traitlets.TraitError(f"{owner}{self.name or self.label} = {value!r}: expected {expected}")

    def spec(self) -> dict:
        """The data that the browser needs to build the inputs."""
        own = {key: value for key, value in vars(self).items() if key in ("low", "high", "step", "values")}
        return dict(name=self.name, label=self.label or self.name, kind=self.kind, main=self.main, **own)


class Choice(Control):
    """One of a few values, strings or numbers: a drop-down list."""

    kind = "choice"

    def __init__(self, value: Scalar, values: Sequence[Scalar], *, label: str = "") -> None:
        self.values = list(values)
        super().__init__(value, label=label)

    def validate(self, explorer: Any, value: Any) -> Scalar:
        """The entry of `values` that equals `value`; True and False do not count as numbers."""
        same = [v for v in self.values if isinstance(v, bool) == isinstance(value, bool) and v == value]
        return same[0] if same else self.reject(explorer, value, f"one of {self.values}")


class Toggle(Control):
    """On or off: a check box."""

    kind, values = "toggle", [False, True]

    def validate(self, explorer: Any, value: Any) -> bool:
        """Only True or False."""
        return value if isinstance(value, bool) else self.reject(explorer, value, "True or False")


class Slider(Control):
    """A number in [low, high]: a slider with a number box. It is whole if value, bounds and step are."""

    kind = "slider"

    def __init__(
        self, value: float, low: float, high: float, *, step: float = 1, label: str = "", main: bool = False
    ) -> None:
        self.low, self.high, self.step = low, high, step
        self.whole = all(isinstance(number, int) for number in (value, low, high, step))
        super().__init__(value, label=label, main=main)

    @property
    def values(self) -> list:
        """Every value at which the slider stops."""
        steps = math.floor((self.high - self.low) / self.step + 1e-9)
        return [self.low + i * self.step for i in range(steps + 1)]

    def validate(self, explorer: Any, value: Any) -> float:
        """A number within the bounds."""
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
        if not self.low <= number <= self.high or (self.whole and not number.is_integer()):
            self.reject(explorer, value, f"a {'whole ' * self.whole}number in {self.low} … {self.high}")
        return int(number) if self.whole else number


class Points(Control):
    """Points (x, y) in [−1, 1]², rounded to 0.01: a square to draw on, with a button for each preset.

    Any [N, 2] array or list of pairs with 1 ≤ N ≤ `most` may be assigned; the value is a tuple of pairs.
    """

    kind, most = "points", 64

    def __init__(self, value: Any, *, presets: dict, label: str = "") -> None:
        super().__init__(value, label=label)
        self.presets = {name: self.validate(None, points) for name, points in presets.items()}

    @property
    def values(self) -> list:
        """The presets."""
        return list(self.presets.values())

    def validate(self, explorer: Any, value: Any) -> tuple[tuple[float, float], ...]:
        """Pairs of numbers, at least one and at most `most`."""
        try:
            points = np.asarray(value)
        except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor that requires a gradient
            points = np.empty(0)
        pairs = points.dtype.kind in "fiu" and points.ndim == 2 and points.shape[-1] == 2
        if not (pairs and 1 <= len(points) <= self.most and (np.abs(points) <= 1).all()):
            self.reject(explorer, value, f"1 to {self.most} pairs (x, y) of numbers in −1 … 1")
        return tuple(map(tuple, (points.astype(float).round(2) + 0.0).tolist()))

    def spec(self) -> dict:
        """Also the limit and the presets."""
        return super().spec() | dict(most=self.most, presets=self.presets)


class Words(Control):
    """Words that the student types: a text box, and a list of `examples` to take instead.

    Any words up to `most` characters are a value. Whether they make sense is for `scene` to say: its
    ValueError is shown on the page, and what was typed stays. Pages without a kernel have the examples only.
    """

    kind, most = "words", 120

    def __init__(self, value: str, *, examples: Sequence[str], label: str = "") -> None:
        self.values = list(examples)
        super().__init__(value, label=label)

    def validate(self, explorer: Any, value: Any) -> str:
        """Words, without spaces around them."""
        if not isinstance(value, str) or len(value) > self.most:
            self.reject(explorer, value, f"words of at most {self.most} characters")
        return value.strip()

    def spec(self) -> dict:
        """Also the limit."""
        return super().spec() | dict(most=self.most)
