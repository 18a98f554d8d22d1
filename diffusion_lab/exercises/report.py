"""What the checker says, as text and as a coloured box with a picture."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from torch import Tensor

COLORS = {"right": "#009E73", "wrong": "#D55E00", "open": "#0072B2"}
SIGNS = {"right": "✓", "wrong": "✗", "open": "○"}


@dataclass(frozen=True)
class Report:
    """The checker's answer.

    :ivar name: the exercise.
    :ivar passed: whether the function is right.
    :ivar mistake: the name of the mistake, if it is one that the catalogue knows; else None.
    :ivar message: what was seen, and where to look.
    :ivar open: whether nothing was written yet.
    :ivar pairs: (true values, the student's values), for the picture.
    """

    name: str
    passed: bool
    mistake: str | None
    message: str
    open: bool = False
    pairs: tuple[tuple[Tensor, Tensor], ...] = field(default=(), repr=False, compare=False)

    @property
    def state(self) -> str:
        """ "right", "wrong" or "open"."""
        return "right" if self.passed else "open" if self.open else "wrong"

    def __str__(self) -> str:
        named = f"{self.mistake}. " if self.mistake else ""
        return f"{SIGNS[self.state]} {self.name}: {named}{self.message}"

    def __repr__(self) -> str:
        return str(self)

    def __bool__(self) -> bool:
        return self.passed

    def _repr_html_(self) -> str:
        color, named = COLORS[self.state], f"<b>{html.escape(self.mistake)}.</b> " if self.mistake else ""
        drawn = bool(self.pairs) and find_spec("matplotlib")  # a grader's machine may do without
        picture = f'<br><img alt="yours against the truth" src="{self.picture()}">' if drawn else ""
        return (
            f'<div style="border-left: 4px solid {color}; padding: 4px 12px; margin: 4px 0">'
            f"<b>{SIGNS[self.state]} {html.escape(self.name)}:</b> "
            f"{named}{html.escape(self.message)}{picture}</div>"
        )

    def picture(self) -> str:
        """The student's values over the true ones, as a PNG in a data URI: on the diagonal they agree."""
        from matplotlib.figure import Figure  # noqa: PLC0415 - only where something is wrong

        figure = Figure(
            figsize=(3.4, 3.0), layout="constrained"
        )  # no pyplot: nobody else's figure is touched
        axes = figure.subplots()
        for n, (truth, yours) in enumerate(self.pairs):
            axes.scatter(truth, yours, s=12, color=COLORS["wrong"], label=None if n else "your values")
        low, high = axes.get_xlim()
        axes.plot([low, high], [low, high], color=COLORS["right"], zorder=0, label="where they should be")
        axes.set(xlabel="right value", ylabel="your value")
        axes.legend(fontsize=8, frameon=False)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=90)
        return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def drawable(pairs: list[tuple[Any, Any]]) -> tuple[tuple[Tensor, Tensor], ...]:
    """Those of the pairs that a picture can show: the same number of finite values, at least three in all."""
    shown = []
    for truth, yours in pairs:
        truth, yours = truth.detach().double().flatten(), yours.detach().double().flatten()
        if truth.shape == yours.shape:
            fine = truth.isfinite() & yours.isfinite()
            shown.append((truth[fine][:60], yours[fine][:60]))
    return tuple(shown) if sum(len(truth) for truth, _ in shown) >= 3 else ()
