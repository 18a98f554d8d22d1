"""What an explorer shows for one setting of its controls: a figure, and one frame per slider position."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..drawing import PALETTE


@dataclass(frozen=True)
class Frame:
    """What is shown at one position of the main slider. Arrays may be NumPy arrays or torch tensors.

    In `numbers`, `sentence` and `warning`, and in the words of a figure, x_t, L_(t−1) and e^(−λ) get real
    sub- and superscripts; the text form keeps them as they are.
    """

    at: float = 0  # value of the main control
    changes: dict = field(default_factory=dict)  # trace's name, or "layout" -> its changes
    numbers: dict = field(default_factory=dict)  # name -> value, shown to the scene's `digits`
    sentence: str = ""  # what to see here
    warning: str = ""
    code: str = ""  # the lines that compute what is shown: `listing`
    alt: str = ""  # the figure in words, for readers who cannot see it; the title if empty


@dataclass(frozen=True)
class Scene:
    """A figure and its frames.

    Raises a ValueError if there is no frame, if two are at one place, or if one changes an unknown trace.
    """

    traces: dict[str, dict]  # name -> plotly trace, in the order of drawing
    layout: dict
    frames: Sequence[Frame] = (Frame(),)
    digits: int = 4  # significant digits of every number

    def __post_init__(self) -> None:
        places = self.positions
        if not places or len(set(places)) != len(places):
            raise ValueError(f"Scene.frames must be at different places, at least one; got {places}")
        for frame in self.frames:
            if strange := frame.changes.keys() - self.traces.keys() - {"layout"}:
                raise ValueError(
                    f"the frame at {frame.at} changes {sorted(strange)}, but traces are {[*self.traces]}"
                )

    @property
    def positions(self) -> list[float]:
        """The positions of the frames."""
        return [frame.at.item() if hasattr(frame.at, "item") else frame.at for frame in self.frames]

    def nearest(self, value: float) -> int:
        """The index of the frame that is nearest to `value`."""
        places = self.positions
        return min(range(len(places)), key=lambda k: abs(places[k] - value))

    def numbers(self, k: int) -> dict[str, str]:
        """The numbers of frame k as they are written."""
        return {name: text(value, self.digits) for name, value in self.frames[k].numbers.items()}

    def to_json(self) -> str:
        """The scene as JSON, for the browser."""
        layout = {"colorway": list(PALETTE.values()), **plain(self.layout)}
        layout.pop("template", None)  # the browser adds one that follows the page's theme
        frames = [vars(frame) | {"numbers": self.numbers(k)} for k, frame in enumerate(self.frames)]
        return json.dumps(packed({"traces": self.traces, "layout": layout, "frames": frames}))


def text(value: Any, digits: int = 4) -> str:
    """A number as it is written everywhere: on the page, in `describe()`, in a notebook's stored output."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, tuple):  # of Points
        first = ", ".join(f"({text(x, digits)}, {text(y, digits)})" for x, y in value[:3])
        return f"{len(value)}: {first}{', …' * (len(value) > 3)}"
    return f"{value + 0.0:.{digits}g}" if isinstance(value, float) else str(value)


def plain(figure: Any) -> Any:
    """A plotly object as a dictionary; a dictionary as it is."""
    return figure.to_plotly_json() if hasattr(figure, "to_plotly_json") else figure


def packed(value: Any) -> Any:
    """`value` ready for JSON; arrays become plotly's base64 typed arrays, in float32."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu":
        dtype = "u1" if value.dtype == np.uint8 else "f4"
        data = base64.b64encode(np.ascontiguousarray(value, dtype).tobytes()).decode()
        return {"dtype": dtype, "bdata": data, "shape": ", ".join(map(str, value.shape))}
    if isinstance(value, (np.ndarray, np.generic)):
        return packed(value.tolist())
    value = plain(value)
    if isinstance(value, dict):
        return {str(key): packed(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [packed(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
