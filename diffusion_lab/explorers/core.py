"""What every explorer shares: controls, scenes, and the class that brings both to a page (with explorer.js).

An explorer is a list of controls and one pure function from their values to a `Scene`:

    class Powers(Explorer):
        title = "Powers"
        sign = Choice("plus", ["plus", "minus"])
        n = Slider(2, 1, 9, main=True)                      # the main slider picks a frame of the scene

        def scene(self, *, sign):                           # every control but the main one
            x, s = np.linspace(-1, 1, 101), {"plus": 1, "minus": -1}[sign]
            return Scene(figure={"data": [{"x": x, "y": x}]}, positions=range(1, 10),
                         frames=[{0: {"y": s * x**n}} for n in range(1, 10)],
                         numbers=[{"f(0.5)": s * 0.5**n} for n in range(1, 10)],
                         sentences="Odd powers keep the sign of x.")

The whole scene travels to the browser, where the main slider needs no kernel. Any other control asks for a
new scene.
"""

from __future__ import annotations

import base64
import functools
import gzip
import html
import itertools
import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import anywidget
import numpy as np
import safetensors.torch
import traitlets
from tqdm.auto import tqdm

from .. import pretrained
from .packing import Pack

# Okabe & Ito's colours, told apart by every eye, in the order in which traces take them. Their black is left
# out: it is lost on a dark page. GREY shows on both.
PALETTE = dict(blue="#0072B2", orange="#E69F00", green="#009E73", vermillion="#D55E00")
PALETTE |= dict(sky="#56B4E9", purple="#CC79A7", yellow="#F0E442")
GREY = "#808080"

# The MIME type under which a notebook stores which explorer this is and where its controls stand: enough to
# draw it again (`python -m diffusion_lab export`, and the pictures that `make notebooks` takes).
STATE = "application/vnd.diffusion-lab.explorer+json"

# What is always the same and takes long ships computed: `python -m diffusion_lab.explorers.precompute`
SHIPPED = pretrained.FOLDER / "explorers.safetensors.gz"

# The networks, read once for all explorers. Nobody may change them.
trained = functools.cache(pretrained.load)

# Callbacks run beside the cells, in another thread. One lock makes a change, its scene and its sending one
# step; all explorers share it, so that two linked ones can never wait for each other.
_LOCK = threading.RLock()


# ---------------------------------------------------------------------------------------------- controls
class Control(traitlets.TraitType):
    """A value that a student can change: a trait, so `observe`, `link` and `explorer.T = 50` work.

    Assigning it returns when the new scene is there. If `scene` fails, the explorer shows the error and the
    assignment raises it too; an invalid value is a TraitError and changes nothing.
    """

    kind = ""

    def __init__(self, value, *, label: str = "", main: bool = False):
        super().__init__(value)
        self.tag(sync=True)
        self.label, self.main = label, main
        self.default_value = self.validate(None, value)

    def __set__(self, explorer, value):
        with _LOCK:
            explorer._failure = None
            super().__set__(explorer, value)
            if explorer._failure:
                raise explorer._failure

    def reject(self, explorer, value, expected: str):
        owner = f"{type(explorer).__name__}." if explorer else ""
        raise traitlets.TraitError(f"{owner}{self.name or self.label} = {value!r}: expected {expected}")

    def spec(self) -> dict:
        """What the browser must know to build the inputs."""
        own = {key: value for key, value in vars(self).items() if key in ("low", "high", "step", "values")}
        return dict(name=self.name, label=self.label or self.name, kind=self.kind, main=self.main, **own)


class Choice(Control):
    """One of a few strings: a drop-down list."""

    kind = "choice"

    def __init__(self, value: str, values: Sequence[str], *, label: str = ""):
        self.values = list(values)
        super().__init__(value, label=label)

    def validate(self, explorer, value):
        return value if value in self.values else self.reject(explorer, value, f"one of {self.values}")


class Toggle(Control):
    """On or off: a check box."""

    kind, values = "toggle", [False, True]

    def validate(self, explorer, value):
        return value if isinstance(value, bool) else self.reject(explorer, value, "True or False")


class Slider(Control):
    """A number in [low, high]: a slider with a number box. Whole if value, bounds and step are."""

    kind = "slider"

    def __init__(self, value: Real, low: Real, high: Real, *, step: Real = 1, label="", main=False):
        self.low, self.high, self.step = low, high, step
        self.whole = all(isinstance(number, int) for number in (value, low, high, step))
        super().__init__(value, label=label, main=main)

    @property
    def values(self) -> list:
        steps = math.floor((self.high - self.low) / self.step + 1e-9)
        return [self.low + i * self.step for i in range(steps + 1)]

    def validate(self, explorer, value):
        valid = isinstance(value, Real) and not isinstance(value, bool) and self.low <= value <= self.high
        if not valid or (self.whole and value != int(value)):
            self.reject(explorer, value, f"a {'whole ' * self.whole}number in {self.low} … {self.high}")
        return int(value) if self.whole else float(value)


class Points(Control):
    """Points (x, y) in [−1, 1]², rounded to 0.01: a square to draw on, with a button for each of the presets.

    Any [N, 2] array or list of pairs with 1 ≤ N ≤ `most` may be assigned; the value is a tuple of pairs.
    """

    kind, most = "points", 64

    def __init__(self, value, *, presets: dict, label: str = ""):
        super().__init__(value, label=label)
        self.presets = {name: self.validate(None, points) for name, points in presets.items()}

    @property
    def values(self) -> list:
        return list(self.presets.values())

    def validate(self, explorer, value):
        try:
            points = np.asarray(value)
        except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor that wants its gradient
            points = np.empty(0)
        pairs = points.dtype.kind in "fiu" and points.ndim == 2 and points.shape[1] == 2
        if not (pairs and 1 <= len(points) <= self.most and (np.abs(points) <= 1).all()):
            self.reject(explorer, value, f"1 to {self.most} pairs (x, y) of numbers in −1 … 1")
        return tuple(map(tuple, (points.astype(float).round(2) + 0.0).tolist()))

    def spec(self) -> dict:
        return super().spec() | dict(most=self.most, presets=self.presets)


# ---------------------------------------------------------------------------------------------- scenes
_PER_FRAME = ("frames", "numbers", "sentences", "warning", "code", "alt")


@dataclass(frozen=True)
class Scene:
    """All an explorer shows for one setting of its controls: one frame per position of the main slider.

    Fields marked * hold one value for all frames, or a list with one per frame. Arrays: NumPy's or torch's.
    """

    figure: object  # a plotly figure or dict: every trace and the layout
    positions: Sequence[Real] = (0,)  # the main control's value at each frame: all different
    frames: list | dict = field(default_factory=dict)  # * what changes: {trace: {"y": …}, "layout": {…}}
    numbers: list | dict = field(default_factory=dict)  # * name -> value, to `digits` significant digits
    sentences: list | str = ""  # * what to see here
    warning: list | str = ""  # *
    code: list | str = ""  # * the lines of diffusion_lab that give the present state
    alt: list | str = ""  # * the figure in words, for those who cannot see it; the title if empty
    digits: int = 4

    def __post_init__(self):
        object.__setattr__(self, "positions", [p.item() if hasattr(p, "item") else p for p in self.positions])
        count = len(self.positions)
        if not count or len(set(self.positions)) != count:
            raise ValueError(f"Scene.positions must be different numbers, at least one; got {self.positions}")
        for name in _PER_FRAME:
            value = getattr(self, name)
            if isinstance(value, (list, tuple)) and len(value) != count:
                raise ValueError(f"Scene.{name} has {len(value)} entries for {count} positions")

    def nearest(self, value: Real) -> int:
        """The frame whose position is nearest to `value`."""
        return min(range(len(self.positions)), key=lambda k: abs(self.positions[k] - value))

    def at(self, name: str, k: int):
        """Field `name` at frame k; numbers as the texts that are shown."""
        value = getattr(self, name)
        value = value[k] if isinstance(value, (list, tuple)) else value
        if name == "numbers":
            return {key: text(number, self.digits) for key, number in value.items()}
        return value

    def to_json(self) -> str:
        figure = self.figure if isinstance(self.figure, dict) else self.figure.to_plotly_json()
        layout = {"colorway": list(PALETTE.values()), **figure.get("layout", {})}
        layout.pop("template", None)  # explorer.js brings one that follows the page's theme
        fields = {name: getattr(self, name) for name in ("positions", *_PER_FRAME)}
        if isinstance(self.numbers, dict):
            fields["numbers"] = self.at("numbers", 0)
        else:
            fields["numbers"] = [self.at("numbers", k) for k in range(len(self.positions))]
        return json.dumps(packed({"data": figure["data"], "layout": layout, **fields}))


def text(value, digits: int = 4) -> str:
    """The one way a number is written: on the page, in `describe()` and in a notebook's stored output."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, tuple):  # of Points
        first = ", ".join(f"({text(x, digits)}, {text(y, digits)})" for x, y in value[:3])
        return f"{len(value)}: {first}{', …' * (len(value) > 3)}"
    return f"{value + 0.0:.{digits}g}" if isinstance(value, float) else str(value)


def packed(value):
    """`value` ready for JSON; arrays become plotly's base64 typed arrays, in float32."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu":
        dtype = "u1" if value.dtype == np.uint8 else "f4"
        data = base64.b64encode(np.ascontiguousarray(value, dtype).tobytes()).decode()
        return {"dtype": dtype, "bdata": data, "shape": ", ".join(map(str, value.shape))}
    if isinstance(value, (np.ndarray, np.generic)):
        return packed(value.tolist())
    if isinstance(value, dict):
        return {str(key): packed(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [packed(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---------------------------------------------------------------------------------------------- explorers
def script(*names: str) -> str:
    """The JavaScript files of these names beside this one, one after the other."""
    return "\n".join(Path(__file__).with_name(name).read_text("utf-8") for name in names)


class Explorer(anywidget.AnyWidget):
    """Subclass it: declare controls, at most one of them `main=True`, and write `scene` (example above).

    The constructor takes control values: `MyExplorer(T=50, t=10)`. The main control always stands on one of
    the scene's positions: it moves to the nearest when set elsewhere, or when the scene changes under it.
    """

    title = ""
    portable: Sequence[str] = ()  # what stays alive on a page without a kernel, beside the main control
    controls: dict[str, Control]  # name -> control, in the order of declaration
    shown: Scene | None = None  # the scene on the page; after an error the one before it

    _esm = script("explorer.js", "pad.js") + "export default { render };\n"
    _spec = traitlets.Dict().tag(sync=True)
    _scene = traitlets.Unicode().tag(sync=True)
    _error = traitlets.Unicode().tag(sync=True)
    _answered = traitlets.Dict(None, allow_none=True).tag(sync=True)  # the values this is for
    _failure = None  # an exception of `scene`, on its way to the assignment that caused it

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        found = [item for base in reversed(cls.__mro__) for item in vars(base).items()]
        cls.controls = {name: trait for name, trait in found if isinstance(trait, Control)}
        cls._main = next((name for name, control in cls.controls.items() if control.main), None)

    def __init__(self, **values):
        for name in values.keys() - self.controls.keys():
            raise TypeError(f"{type(self).__name__} has no control {name!r}, only {', '.join(self.controls)}")
        spec = {"title": self.title, "controls": [control.spec() for control in self.controls.values()]}
        super().__init__(_spec=spec, **values)
        self._refresh()
        if self._failure:
            raise self._failure
        self.observe(self._refresh, names=list(self.controls))
        self.on_msg(self._send_plotly)

    def scene(self, **values) -> Scene:
        """The scene for these values of all controls but the main one. Pure: no pyplot, no global RNG."""
        raise NotImplementedError

    # -- from the controls to the page
    def _values(self) -> dict:
        return {name: getattr(self, name) for name in self.controls if name != self._main}

    def _draw(self, values: dict) -> tuple[Scene | Exception, dict]:
        """The scene for `values`, or the exception it ended in, and what the page needs to know of it."""
        try:
            scene = self.scene(**values)
            return scene, {"_scene": scene.to_json(), "_error": "", "_answered": values}
        except (Exception, KeyboardInterrupt) as error:
            return error, {"_error": f"{type(error).__name__}: {error}", "_answered": values}

    def _refresh(self, change=None):
        """Bring the scene up to the controls and the main control onto a position. The last change wins."""
        with _LOCK:
            values = self._values()
            if values != self._answered:
                result, state = self._draw(values)
                if isinstance(result, Scene):
                    self.shown = result
                else:
                    self._failure = result
                with self.hold_sync():
                    for name, value in state.items():
                        setattr(self, name, value)
            if self._main and self.shown:
                self.set_trait(self._main, self.shown.positions[self._frame])

    def open(self):
        super().open()
        # By itself a comm announces the end of a cell after every message, and matplotlib then shows and
        # closes all figures, also those of a cell that is still drawing. Explorers do not use pyplot.
        self.comm.handle_msg = self._handle_msg

    def set_state(self, sync_data):
        """What the browser sends. Nobody waits for it here, so whatever goes wrong is shown on the page."""
        with _LOCK:
            try:
                super().set_state(sync_data)
            except Exception as error:
                self._error = f"{type(error).__name__}: {error}"
                self._answered = None  # so that the next value is answered, whatever it is
                self.send_state([name for name in sync_data if name in self.controls])

    def _send_plotly(self, widget, content, buffers):
        if content == "plotly":
            self.send(content, buffers=[plotly_js()])

    # -- as text
    @property
    def _frame(self) -> int:
        return self.shown.nearest(getattr(self, self._main)) if self._main else 0

    @property
    def numbers(self) -> dict[str, str]:
        """The numbers on the screen, as they are written there."""
        return self.shown.at("numbers", self._frame)

    def describe(self) -> str:
        """The explorer in words: control values, numbers on the screen, what to see, warning and error."""
        now = {name: self.shown.at(name, self._frame) for name in ("numbers", "sentences", "warning")}
        controls = [f"{c.label or name} = {text(getattr(self, name))}" for name, c in self.controls.items()]
        numbers = [f"{name} = {number}" for name, number in now["numbers"].items()]
        lines = [self.title, "; ".join(controls), "; ".join(numbers), now["sentences"]]
        lines += [f"Warning: {now['warning']}"] if now["warning"] else []
        lines += [f"{self._error} (the numbers are from before)"] if self._error else []
        return "\n".join(filter(None, lines))

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        values = {name: getattr(self, name) for name in self.controls}
        state = {"explorer": type(self).__name__, "values": values}
        return {**data, "text/plain": self.describe(), STATE: state}, metadata

    # -- without a kernel
    def to_fragment(self, precompute: Sequence[str] | None = None, each: Callable | None = None) -> str:
        """HTML for a page with the `page_scripts` below it. There, only what is in `precompute` can be moved.

        That takes a scene for every combination of these controls' values. If it is slow a progress bar
        tells; or `each` is called after every scene. None stands for `portable`. The main control moves
        anyway.
        """
        precompute = self.portable if precompute is None else precompute
        here, scenes, pack = self._values(), [], Pack()
        options = [dict.fromkeys([*self.controls[name].values, here[name]]) for name in precompute]
        every = list(itertools.product(*options))
        for chosen in tqdm(every, desc=self.title, unit="scene", delay=2, leave=False, disable=bool(each)):
            state = self._draw(here | dict(zip(precompute, chosen, strict=True)))[1]
            if "_scene" in state:  # it is missing after an error
                state["_scene"] = pack.add(state["_scene"])
            scenes.append(state)
            if each:
                each()
        state = {name: getattr(self, name) for name in self.controls}
        state |= {"_spec": {**self._spec, "live": [self._main, *precompute]}, "_scenes": scenes}
        state, rows = pack.texts(**state)
        return FRAGMENT.format(state=state, rows=rows, words=html.escape(self.describe()))

    def to_html(self, path, precompute: Sequence[str] | None = None) -> Path:
        """Write a page that needs neither kernel nor network, say for slides; see `to_fragment`."""
        scripts = "\n".join(f"<script>{script}</script>" for script in page_scripts().values())
        fragment = self.to_fragment(precompute)
        path = Path(path)
        page = PAGE.format(title=html.escape(self.title), explorer=fragment, scripts=scripts)
        path.write_text(page, "utf-8")
        return path

    def to_png(self, path, dark: bool = False, scale: float = 1.5, width: int = 900) -> Path:
        """Write a picture, taken in an installed Chromium or Chrome: `width` pixels, `scale` dots to each."""
        from . import pictures

        (picture,) = pictures.stills([self.to_fragment(())], dark, scale, width)
        path = Path(path)
        picture.save(path, "PNG", optimize=True)
        return path

    def to_gif(self, path, dark: bool = False, scale: float = 1.0, width: int = 900) -> Path:
        """Write a film of the main slider from end to end: at most 40 frames, in about eight seconds."""
        from . import pictures

        if not self._main:
            raise ValueError(f"{type(self).__name__} has no main slider for a film to follow; use to_png")
        path = Path(path)
        path.write_bytes(pictures.gif(pictures.film(self.to_fragment(()), dark, scale, width)))
        return path

    @staticmethod
    def stored(state: dict, known) -> Explorer | None:
        """The explorer that a notebook stored as `state` (under STATE), drawn again.

        None if the module `known` has no such class, or if that does not take these values (any more).
        """
        name, values = state["explorer"], state["values"]
        cls = getattr(known, name) if name in known.__all__ else None
        if cls is None or values.keys() - cls.controls.keys():
            return None
        try:
            return cls(**values)
        except traitlets.TraitError:
            return None


FRAGMENT = """<div class="diffusion-lab">
<script type="text/plain">{state}</script>
<script type="text/plain">{rows}</script>
<noscript><pre>{words}</pre></noscript>
</div>"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 15px/1.45 system-ui, sans-serif; margin: 24px auto;
max-width: 920px; padding: 0 16px; background: Canvas; color: CanvasText }}</style>
<main data-heading="1">
{explorer}
</main>
{scripts}
</html>
"""


def page_scripts() -> dict[str, str]:
    """The two scripts that a page needs below its fragments, by file name."""
    plotly = base64.b64encode(plotly_js()).decode()  # unpacked on the page
    return {
        "plotly.js": f'// plotly.js (MIT licence), gzip, base64\nvar zippedPlotly = "{plotly}";\n',
        "explorer.js": f"(() => {{\n{script('explorer.js', 'pad.js', 'alone.js')}mountAll();\n}})();\n",
    }


def shipped(name: str) -> dict:
    """The tensors that precompute.py stored under `name`; nobody may change them."""
    return {key.removeprefix(f"{name}."): t for key, t in _shipped().items() if key.startswith(f"{name}.")}


@functools.cache
def _shipped() -> dict:
    return safetensors.torch.load(gzip.decompress(SHIPPED.read_bytes()))


@functools.cache
def plotly_js() -> bytes:
    """plotly.js, compressed: a third of its size on the way to a browser far from the kernel."""
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)
