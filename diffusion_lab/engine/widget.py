"""Explorer: the widget that shows controls and scenes on a page."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import anywidget
import traitlets

from . import page, pictures
from .controls import LOCK, Control, free
from .page import MODULES, STATIC, bundle
from .scene import Frame, Scene, text

# The MIME type under which a notebook stores which explorer this is, and the values of its controls: enough
# to draw it again (`python -m diffusion_lab export`, and the pictures that `make notebooks` takes).
STATE = "application/vnd.diffusion-lab.explorer+json"


def esm() -> str:
    """The browser's half for anywidget: one module with `render`."""
    return bundle(*MODULES) + "export default { render };\n"


class Explorer(anywidget.AnyWidget):
    """Subclass it: declare controls, at most one of them `main=True`, and write `scene` (see the package).

    The constructor takes control values: `MyExplorer(T=50, t=10)`. The main control is always at one of the
    scene's positions: it moves to the nearest one when it is set elsewhere, or when the scene changes.
    """

    title = ""
    portable: Sequence[str] = ()  # controls that work on a page without a kernel, besides the main one
    scene: Callable[
        ..., Scene
    ]  # of the values of all controls but the main one; pure: no pyplot, no global generator
    controls: dict[str, Control]  # name -> control, in the order of declaration
    main: str | None  # the name of the main control
    shown: Scene  # the scene on the page; after an error, the last one before it
    failure: BaseException | None = (
        None  # an exception of `scene`, on its way to the assignment that caused it
    )

    _esm = esm()
    _css = STATIC / "explorer.css"
    _spec = traitlets.Dict().tag(sync=True)
    _scene = traitlets.Unicode().tag(sync=True)
    _error = traitlets.Unicode().tag(sync=True)
    _answered = traitlets.Dict(None, allow_none=True).tag(sync=True)  # the values that the scene is for

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found = [item for base in reversed(cls.__mro__) for item in vars(base).items()]
        cls.controls = {name: trait for name, trait in found if isinstance(trait, Control)}
        cls.main = next((name for name, control in cls.controls.items() if control.main), None)

    def __init__(self, **values: Any) -> None:
        for name in values.keys() - self.controls.keys():
            raise TypeError(f"{type(self).__name__} has no control {name!r}, only {', '.join(self.controls)}")
        super().__init__(_spec=self.spec, **values)
        self._refresh()
        if self.failure:
            raise self.failure
        self.observe(self._refresh, names=list(self.controls))
        self.on_msg(self._send_plotly)
        if os.environ.get("ANYWIDGET_HMR") == "1":  # for work on static/: changes show at once
            threading.Thread(target=self._follow_modules, daemon=True).start()

    def _follow_modules(self) -> None:
        for _ in import_module("watchfiles").watch(STATIC):  # only needed here
            self._esm = esm()

    # -- from the controls to the page
    @property
    def spec(self) -> dict:
        """The data that the browser needs before the first scene."""
        return {"title": self.title, "controls": [control.spec() for control in self.controls.values()]}

    def values(self) -> dict:
        """The values of all controls but the main one."""
        return {name: getattr(self, name) for name in self.controls if name != self.main}

    def drawn(self, values: dict) -> tuple[Scene | BaseException, dict]:
        """The scene for `values`, or the exception that it raised, and the state for the page."""
        try:
            scene = self.scene(**values)
            return scene, {"_scene": scene.to_json(), "_error": "", "_answered": values}
        except (Exception, KeyboardInterrupt) as error:
            return error, {"_error": f"{type(error).__name__}: {error}", "_answered": values}

    def _refresh(self, change: Any = None) -> None:  # noqa: ARG002 - passed by traitlets
        """Update the scene to the controls, and move the main control to a position. The last change wins."""
        with LOCK:
            values = self.values()
            if values != self._answered:
                result, state = self.drawn(values)
                if isinstance(result, Scene):
                    self.shown = result
                else:
                    self.failure = result
                with self.hold_sync():
                    for name, value in state.items():
                        setattr(self, name, value)
            if self.main and hasattr(self, "shown"):
                self.set_trait(self.main, self.shown.positions[self.frame_index])

    def open(self) -> None:
        """Tell the browser about this explorer."""
        super().open()
        free(self.comm, self._handle_msg)

    def set_state(self, sync_data: dict) -> None:
        """Takes what the browser sends. No caller waits for it, so any error is shown on the page."""
        with LOCK:
            try:
                super().set_state(sync_data)
            except Exception as error:
                self._error = f"{type(error).__name__}: {error}"
                self.set_trait("_answered", None)  # so that the next value is always answered
                self.send_state([name for name in sync_data if name in self.controls])

    def _send_plotly(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if content == "plotly":
            self.send(content, buffers=[page.plotly_js()])

    # -- as text
    @property
    def frame_index(self) -> int:
        """The index of the frame on the page."""
        return self.shown.nearest(getattr(self, self.main)) if self.main else 0

    @property
    def frame(self) -> Frame:
        """The frame on the page."""
        return self.shown.frames[self.frame_index]

    @property
    def numbers(self) -> dict[str, str]:
        """The numbers on the screen, as written there."""
        return self.shown.numbers(self.frame_index)

    def describe(self) -> str:
        """The explorer in words: control values, numbers on the screen, what to see, warning and error."""
        controls = [f"{c.label or name} = {text(getattr(self, name))}" for name, c in self.controls.items()]
        numbers = [f"{name} = {number}" for name, number in self.numbers.items()]
        lines = [self.title, "; ".join(controls), "; ".join(numbers), self.frame.sentence]
        lines += [f"Warning: {self.frame.warning}"] if self.frame.warning else []
        lines += [f"{self._error} (the numbers are from before this error)"] if self._error else []
        return "\n".join(filter(None, lines))

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        values = {name: getattr(self, name) for name in self.controls}
        state = {"explorer": type(self).__name__, "values": values}
        return {**data, "text/plain": self.describe(), STATE: state}, metadata

    @staticmethod
    def stored(state: dict, known: ModuleType) -> Explorer | None:
        """The explorer that a notebook stored as `state` (under STATE), drawn again.

        None if the module `known` has no such class, or if the class does not take these values (any more).
        """
        name, values = state["explorer"], state["values"]
        cls = getattr(known, name) if name in known.__all__ else None
        if cls is None or values.keys() - cls.controls.keys():
            return None
        try:
            return cls(**values)
        except traitlets.TraitError:
            return None

    # -- without a kernel
    def to_fragment(self, precompute: Sequence[str] | None = None, each: Callable | None = None) -> str:
        """HTML for a page with the `page_scripts` below it: `page.fragment`. None means `portable`."""
        return page.fragment(self, self.portable if precompute is None else precompute, each)

    def to_html(self, path: str | os.PathLike, precompute: Sequence[str] | None = None) -> Path:
        """Write a page that needs no kernel and no network, for example for slides; see `to_fragment`."""
        path = Path(path)
        path.write_text(page.page(self, self.portable if precompute is None else precompute), "utf-8")
        return path

    def to_png(
        self, path: str | os.PathLike, dark: bool = False, scale: float = 1.5, width: int = 900
    ) -> Path:
        """Write a picture, taken in an installed Chromium or Chrome: `width` pixels of `scale` dots each."""
        (picture,) = pictures.stills([self.to_fragment(())], dark, scale, width)
        path = Path(path)
        picture.save(path, "PNG", optimize=True)
        return path

    def to_gif(
        self, path: str | os.PathLike, dark: bool = False, scale: float = 1.0, width: int = 900
    ) -> Path:
        """Write a film of the main slider from end to end: at most 40 frames, in about eight seconds."""
        if not self.main:
            raise ValueError(f"{type(self).__name__} has no main slider for a film to follow; use to_png")
        path = Path(path)
        path.write_bytes(pictures.gif(pictures.film(self.to_fragment(()), dark, scale, width)))
        return path
