"""The parts of figures: colours, panels, curves, clouds, images, arrows. They need no widget and no plotly.

Everything is a dictionary for plotly.js. Axes are counted from 1; `n` puts a trace on axes n. Words may
contain x_t, L_(t−1) and p^w: explorers set them with real sub- and superscripts.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from .exact import Empirical, GaussianMixture

Array = torch.Tensor | np.ndarray
Drawn = tuple[dict, dict, Callable[[int], dict]]  # traces, layout, the changes with the main slider

# Okabe & Ito's colours, which colour-blind readers can tell apart, in the order in which traces take them.
# Their black is left out, since it is invisible on a dark page. GREY works on both.
PALETTE = dict(blue="#0072B2", orange="#E69F00", green="#009E73", vermillion="#D55E00")
PALETTE |= dict(sky="#56B4E9", purple="#CC79A7", yellow="#F0E442")
GREY = "#808080"
GAP = "#35618F"  # between images: not a grey, and the same on light and dark pages
INK = [[0, "#000000"], [1, "#ffffff"]]  # digits as in the data: −1 is black, +1 is white
# Powers of ten at the ticks; plotly writes them a quarter larger than the font size
LOG = dict(type="log", dtick=1, exponentformat="power", tickfont=dict(size=10.4))
FRAME = dict(zeroline=False, constrain="domain", showline=True, mirror=True)  # around pictures
SQUARE = dict(type="heatmap", colorscale="Viridis", showscale=False, hoverinfo="skip", zsmooth="fast")


# ---------------------------------------------------------------------------------------------- the page
def layout(*panels: dict, height: int, **more: Any) -> dict:
    """One layout from several panels."""
    joined = {key: value for p in panels for key, value in p.items()}
    joined["annotations"] = [a for p in panels for a in p["annotations"]]
    return joined | dict(height=height, showlegend=False, margin=dict(l=48, r=12, t=28, b=36)) | more


def panel(
    n: int, x: tuple, y: tuple = (0, 1), title: str = "", xaxis: dict | None = None, yaxis: dict | None = None
) -> dict:
    """Layout of axes n in the rectangle x = (left, right), y = (bottom, top) of the figure."""
    name = "" if n == 1 else str(n)
    return {
        f"xaxis{name}": dict(domain=x, anchor=f"y{name}", **(xaxis or {})),
        f"yaxis{name}": dict(domain=y, anchor=f"x{name}", **(yaxis or {})),
        "annotations": [note(title, sum(x) / 2, y[1], yanchor="bottom", yshift=3)] if title else [],
    }


def columns(*widths: float, gap: float = 0.045) -> list[tuple[float, float]]:
    """(left, right) of panels side by side, with these relative widths."""
    scale = (1 - gap * (len(widths) - 1)) / sum(widths)
    lefts = np.cumsum([0, *widths[:-1]]) * scale + gap * np.arange(len(widths))
    return [(left, left + width * scale) for left, width in zip(lefts.tolist(), widths, strict=True)]


def note(words: str, x: float, y: float, **more: Any) -> dict:
    """Words at (x, y) of the figure."""
    place = dict(xref="paper", yref="paper", x=x, y=y, xanchor="center", showarrow=False)
    return dict(text=words, font=dict(size=13), **place) | more


def title(words: str) -> dict:
    """The words under an axis."""
    return dict(text=words, standoff=2, font=dict(size=13))


def axis(words: str, *values: Sequence[float] | Array, log: bool = False, **more: Any) -> dict:
    """An axis with words under it; given `values`, its range has room for them (`span`)."""
    ranged = dict(range=span(*values, log=log)) if values else {}
    return (LOG if log else {}) | dict(title=title(words), zeroline=False) | ranged | more


def colored(color: str, words: str) -> str:
    """Words after a dash of that colour; the words themselves stay legible in a light and a dark theme."""
    return f'<b style="color:{color}">—</b> {words}'


def key(named: dict[str, str], gap: int = 4) -> str:
    """The only kind of legend, in a heading: words -> color."""
    return (" " * gap).join(colored(color, words) for words, color in named.items())


def span(*values: Sequence[float] | Array, log: bool = False) -> list[float]:
    """The range of an axis for all finite values (above 0 if log), with a twentieth of room at both ends.

    With a fixed range the axis stays when the main slider moves, and the browser draws only what moves.
    """
    every = np.concatenate([np.ravel(v) for v in values]).astype(np.float64)
    every = np.log10(every[every > 0]) if log else every[np.isfinite(every)]
    low, high = every.min(), every.max()
    room = 0.05 * (high - low) or 1.0
    return [low - room, high + room]


def plane(limit: float, n: int, ticks: bool = True, below: str = "") -> dict:
    """The two axes of a square picture of [−limit, limit]², for panel n; `below` is written under it."""
    axis = FRAME | dict(range=[-limit, limit], showticklabels=ticks, tickcolor=GREY, ticklen=4)
    axis |= dict(dtick=1 if limit <= 2 else 2, ticks="outside" if ticks else "")
    xaxis = axis | (dict(title=title(below)) if below else {})
    return dict(xaxis=xaxis, yaxis=dict(**axis, scaleanchor="x" if n == 1 else f"x{n}"))


def framed(n: int, rows: float, columns: float) -> dict:
    """The two axes of an image, for panel n: square pixels, the first row on top, a line around them.

    The ranges are given, since plotly would turn an image upside down after a frame that is all NaN.
    """
    axis = FRAME | dict(showticklabels=False, showgrid=False, ticks="")
    yaxis = dict(range=[rows - 0.5, -0.5], scaleanchor="x" if n == 1 else f"x{n}")
    return dict(xaxis=axis | dict(range=[-0.5, columns - 0.5]), yaxis=axis | yaxis)


def behind(n: int = 1) -> dict:
    """The shape that fills the gaps between images on axes n."""
    name = "" if n == 1 else str(n)
    place = dict(xref=f"x{name} domain", yref=f"y{name} domain", x0=0, x1=1, y0=0, y1=1, layer="below")
    return dict(type="rect", fillcolor=GAP, line=dict(width=0), **place)


# ---------------------------------------------------------------------------------------------- traces
def on(n: int) -> dict:
    """The entries that put a trace on axes number n."""
    return {} if n == 1 else dict(xaxis=f"x{n}", yaxis=f"y{n}")


def curve(color: str, width: float = 2, n: int = 1, dash: str = "solid", **more: Any) -> dict:
    """A line on axes n."""
    line = dict(color=color, width=width, dash=dash, simplify=False)
    return dict(type="scatter", mode="lines", line=line, hoverinfo="skip", **on(n)) | more


def dots(color: str | Sequence[str], n: int = 1, size: float = 9, **more: Any) -> dict:
    """Marks with a white edge on axes n, at the main slider's value. `color`: one, or one for each."""
    marker = dict(size=size, color=color, line=dict(width=1.5, color="white"))
    still = dict(hoverinfo="skip", cliponaxis=False, **on(n))
    return dict(type="scatter", mode="markers", marker=marker, **still) | more


def bars(color: str, width: float, n: int = 1, **more: Any) -> dict:
    """Bars on axes n."""
    return dict(type="bar", width=width, marker=dict(color=color), hoverinfo="skip", **on(n)) | more


def xy(points: Array) -> dict:
    """Points [N, 2] as a trace's coordinates."""
    return {"x": points[:, 0], "y": points[:, 1]}


def cloud(points: Array, n: int, color: str, size: float = 4) -> dict:
    """Points [N, 2] as a scatter plot on axes n."""
    marker = dict(size=size, color=color, opacity=0.7)
    return dict(type="scatter", mode="markers", marker=marker, hoverinfo="skip", **xy(points), **on(n))


def square(ticks: Array, n: int = 1, **more: Any) -> dict:
    """A field over the square that `ticks` span, in Viridis, on axes n."""
    return SQUARE | dict(x=ticks, y=ticks, **on(n)) | more


def image(z: Array | None, n: int, limit: float = 1.0) -> dict:
    """An image [H, W] in grey, −limit black and limit white, on axes n."""
    grey = dict(zmin=-limit, zmax=limit, colorscale=INK, showscale=False)
    return dict(type="heatmap", z=z, hoverinfo="skip", **grey, **on(n))


def color_image(z: Array, n: int) -> dict:
    """A picture [H, W, 3] of uint8 on axes n, as `color_tiles` makes it."""
    return dict(type="image", z=z, hoverinfo="skip", **on(n))


def arrows(tail: np.ndarray, vector: np.ndarray, n: int = 1, color: str = GREY) -> dict:
    """Arrows [N, 2] from tail along vector, as one line trace on axes n (`arrow_lines` for a frame)."""
    return curve(color, 1.5, n, **arrow_lines(tail, vector))


# ---------------------------------------------------------------------------------------------- coordinates
def arrow_lines(tail: np.ndarray, vector: np.ndarray) -> dict:
    """x and y of the arrows' lines: shaft, then the two strokes of the head, then a gap (NaN)."""
    head = tail + vector
    side = np.stack([-vector[:, 1], vector[:, 0]], 1)
    left, right = head - 0.3 * vector + 0.18 * side, head - 0.3 * vector - 0.18 * side
    return xy(np.stack([tail, head, left, head, right, np.full_like(tail, np.nan)], 1).reshape(-1, 2))


def trails(paths: torch.Tensor) -> dict:
    """Paths [times, N, 2] one after the other as one line, with a gap (NaN) after each."""
    paths = torch.cat([paths, torch.full_like(paths[:1], torch.nan)])
    return xy(paths.transpose(0, 1).reshape(-1, 2))


def grid(limit: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    """The ticks of one axis [points] and the grid they span [points², 2], row by row from the bottom."""
    ticks = np.linspace(-limit, limit, points, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    return ticks, np.stack([x.ravel(), y.ravel()], 1)


def density(mixture: GaussianMixture | Empirical, points: Array) -> np.ndarray:
    """A mixture's density on a square grid, 1 at its highest: [√N, √N]."""
    log_prob = mixture.log_prob(torch.as_tensor(points))
    side = round(len(points) ** 0.5)
    return (log_prob - log_prob.max()).exp().reshape(side, side).numpy()


def tiles(images: Array, columns: int) -> np.ndarray:
    """Images [B, 1, H, W] side by side, row by row, with a gap of one pixel (NaN, not drawn)."""
    B, _, H, W = images.shape
    rows = -(-B // columns)
    sheet = np.full((rows * (H + 1) - 1, columns * (W + 1) - 1), np.nan, dtype=np.float32)
    for i, picture in enumerate(np.asarray(images)):
        r, c = divmod(i, columns)
        sheet[r * (H + 1) : r * (H + 1) + H, c * (W + 1) : c * (W + 1) + W] = picture[0]
    return sheet


def color_tiles(images: Array, columns: int, levels: int = 32) -> np.ndarray:
    """Pictures [B, 3, H, W] in [−1, 1] side by side, row by row, with a gap of one pixel: uint8 [H', W', 3].

    Rounded to 32 levels of each colour, which the eye hardly sees, and which travel in half the bytes.
    """
    B, _, H, W = images.shape
    rows = -(-B // columns)
    gap = [int(GAP[i : i + 2], 16) for i in (1, 3, 5)]
    sheet = np.tile(np.array(gap, np.uint8), (rows * (H + 1) - 1, columns * (W + 1) - 1, 1))
    step = 256 // levels
    values = (127.5 * (np.asarray(images, np.float32).clip(-1, 1) + 1)).astype(
        np.uint8
    ) // step * step + step // 2
    for i, picture in enumerate(values.transpose(0, 2, 3, 1)):
        r, c = divmod(i, columns)
        sheet[r * (H + 1) : r * (H + 1) + H, c * (W + 1) : c * (W + 1) + W] = picture
    return sheet
