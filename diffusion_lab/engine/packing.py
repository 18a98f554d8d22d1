"""An explorer's scenes as short texts, for pages without a kernel. alone.js unpacks them.

Most scenes of an explorer share most of their parts, and most frames are similar to the frame before. So
equal parts are stored once, and arrays are stored as differences from the frame before. For this they are
rounded, by less than can be seen; numbers, sentences and code stay as they are.

This is necessary: all explorers' pages take 10 MB this way, 20 MB with float16 arrays that are stored once
each, and 53 MB with plain float16, all compressed (benchmarks/page_sizes.py). The whole site may take 20.
"""

import base64
import gzip
import json
from typing import Any

import numpy as np

LEVELS = 2047  # an array is rounded to 1/LEVELS of its largest value,
SEEN = 500  # if this is at most 1/SEEN of its axis or color scale
NOTHING = -(2**15)  # stands for NaN
to_json = json.JSONEncoder(ensure_ascii=False).encode


class Pack:
    """Scenes, added one by one with `add`, that `texts` writes as two texts."""

    def __init__(self) -> None:
        self.parts: dict[str, int] = {}  # JSON -> its place
        self.rows: dict[tuple[int, bytes], int] = {}  # place of the row before, differences -> its place
        self.scenes: dict[str, dict] = {}  # JSON -> the result of `add`

    def add(self, scene: str) -> dict:
        """A scene (JSON) with its parts and rows replaced by their places."""
        if scene not in self.scenes:
            self.scenes[scene] = self._scene(json.loads(scene))
        return self.scenes[scene]

    def _scene(self, scene: dict) -> dict:
        before = {}  # (trace, key) -> the last row so far, and its place
        for frame in scene["frames"]:
            layouts = scene["layout"], frame["changes"].get("layout", {})
            for name, patch in frame["changes"].items():
                for key in ("x", "y", "z") if name != "layout" else ():
                    steps = in_steps(patch.get(key), seen(key, scene["traces"][name] | patch, *layouts))
                    if steps:
                        row, step = steps
                        place = self._row(row, *before.get((name, key), (np.zeros(0, "<i2"), -1)))
                        before[name, key] = row, place
                        patch[key] = {"row": place, "step": step, "shape": patch[key]["shape"]}
        return self._part(scene)

    def texts(self, **state: Any) -> tuple[str, str]:
        """Two texts: the state of an explorer with the parts, and all rows."""
        state |= {"_parts": [json.loads(part) for part in self.parts]}
        state |= {"_rows": [[before, len(row) // 2] for before, row in self.rows]}
        rows = np.frombuffer(b"".join(row for _, row in self.rows), "<u2")
        planes = rows.view(np.uint8).reshape(-1, 2).T  # all low bytes, then all high ones, mostly 0
        return zipped(to_json(state).encode()), zipped(planes.tobytes())

    def _row(self, row: np.ndarray, last: np.ndarray, before: int) -> int:
        """The place of a row of int16, as its differences from the row `last`, whose place is `before`."""
        change = row.copy()
        shared = min(len(row), len(last))
        change[:shared] -= last[:shared]
        change = (change << 1) ^ (change >> 15)  # 0, −1, 1, −2, … as 0, 1, 2, 3, …
        return self.rows.setdefault((before, change.tobytes()), len(self.rows))

    def _part(self, value: Any) -> Any:
        """`value` (JSON) with its long parts replaced by {"$": their place}."""
        if isinstance(value, dict):
            value = {key: self._part(part) for key, part in value.items()}
        elif isinstance(value, list):
            value = [self._part(part) for part in value]
        elif not isinstance(value, str) or len(value) < 60:
            return value
        text = to_json(value)
        return {"$": self.parts.setdefault(text, len(self.parts))} if len(text) > 60 else value


def seen(key: str, trace: dict, layout: dict, change: dict) -> float:
    """The width of the axis or color scale of a trace's x, y or z: ∞ if it adapts, 0 for a logarithmic axis.

    `change` is the frame's change of the layout.
    """
    if key == "z":
        return trace["zmax"] - trace["zmin"] if {"zmin", "zmax"} <= trace.keys() else np.inf
    name = f"{key}axis{trace.get(f'{key}axis', key)[1:]}"  # trace.yaxis = "y2" is layout.yaxis2
    axis = layout.get(name, {}) | change.get(name, {})
    low, high = axis.get("range", (-np.inf, np.inf))
    return 0.0 if axis.get("type") == "log" else abs(high - low)


def in_steps(array: Any, width: float) -> tuple[np.ndarray, float] | None:
    """A typed array in plotly's form as int16, and the size of their step; None if rounding would be visible.

    uint8 arrays stay exact.
    """
    if not isinstance(array, dict) or array.get("dtype") not in ("f4", "u1"):
        return None
    values = np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"]).astype(float)
    top = np.abs(values[~np.isnan(values)]).max(initial=0.0)
    if array["dtype"] == "u1":
        return values.astype("<i2"), 1
    step = float(f"{top / LEVELS:.3g}") or 1.0  # a short number
    if not np.isfinite(top) or step > width / SEEN:
        return None
    return np.where(np.isnan(values), NOTHING, np.round(values / step)).astype("<i2"), step


def zipped(data: bytes) -> str:
    """`data` as text that alone.js can unzip."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()
