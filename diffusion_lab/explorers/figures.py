"""The few pieces that the explorers' figures are made of: panels, clouds, images, arrows. Plotly
dictionaries."""

import numpy as np

from .core import GREY

DENSITY = dict(colorscale="Viridis", showscale=False, hoverinfo="skip", zsmooth="fast")
# Powers of ten at the ticks, which plotly writes a quarter larger than it is told
LOG = dict(type="log", dtick=1, exponentformat="power", tickfont=dict(size=10.4))
GAP = "#35618F"  # between images: no grey of theirs, and the same on a light and a dark page
INK = [[0, "#000000"], [1, "#ffffff"]]  # digits as in the data: −1 is black, +1 is white


def panel(n: int, x, y, title: str = "", xaxis: dict | None = None, yaxis: dict | None = None) -> dict:
    """Layout of axes n in the rectangle x = (left, right), y = (bottom, top) of the figure."""
    name = "" if n == 1 else str(n)
    heading = dict(text=title, xref="paper", yref="paper", x=sum(x) / 2, y=y[1], showarrow=False)
    heading |= dict(xanchor="center", yanchor="bottom", yshift=3, font=dict(size=13))
    return {
        f"xaxis{name}": dict(domain=x, anchor=f"y{name}", **(xaxis or {})),
        f"yaxis{name}": dict(domain=y, anchor=f"x{name}", **(yaxis or {})),
        "annotations": [heading] if title else [],
    }


def layout(*panels: dict, height: int, **more) -> dict:
    """One layout from several panels."""
    joined = {key: value for p in panels for key, value in p.items()}
    joined["annotations"] = [a for p in panels for a in p["annotations"]]
    return joined | dict(height=height, showlegend=False, margin=dict(l=48, r=12, t=28, b=36)) | more


def on(n: int) -> dict:
    """What puts a trace on axes number n."""
    return {} if n == 1 else dict(xaxis=f"x{n}", yaxis=f"y{n}")


def plane(limit: float, n: int, ticks: bool = True, below: str = "") -> dict:
    """The two axes of a square picture of [−limit, limit]², for panel n; `below` stands under it."""
    axis = dict(range=[-limit, limit], zeroline=False, constrain="domain", showticklabels=ticks)
    axis |= dict(showline=True, mirror=True, dtick=1 if limit <= 2 else 2, tickcolor=GREY)
    axis |= dict(ticks="outside" if ticks else "", ticklen=4)
    xaxis = axis | (dict(title=title(below)) if below else {})
    return dict(xaxis=xaxis, yaxis=dict(**axis, scaleanchor="x" if n == 1 else f"x{n}"))


def span(*values, log: bool = False) -> list[float]:
    """The range of an axis on which all finite values (above 0 if log) have room: a twentieth at both ends.

    An axis with a range of its own stays when the main slider moves, and the browser draws only what moves.
    """
    every = np.concatenate([np.ravel(v) for v in values]).astype(np.float64)
    every = np.log10(every[every > 0]) if log else every[np.isfinite(every)]
    low, high = every.min(), every.max()
    room = 0.05 * (high - low) or 1.0
    return [low - room, high + room]


def title(words: str) -> dict:
    """The words under an axis."""
    return dict(text=words, standoff=2, font=dict(size=13))


def colored(color: str, words: str) -> str:
    """Words after a dash of that color: the words themselves stay legible, in a light and a dark theme."""
    return f'<b style="color:{color}">—</b> {words}'


def framed(n: int, rows: int, columns: int) -> dict:
    """The two axes of an image, for panel n: square pixels, the first row on top, a line around them.

    The ranges are said, for plotly would turn an image upside down after a frame that is all NaN.
    """
    axis = dict(constrain="domain", showticklabels=False, showgrid=False, zeroline=False, ticks="")
    axis |= dict(showline=True, mirror=True)
    yaxis = dict(range=[rows - 0.5, -0.5], scaleanchor="x" if n == 1 else f"x{n}")
    return dict(xaxis=axis | dict(range=[-0.5, columns - 0.5]), yaxis=axis | yaxis)


def cloud(points, n: int, color: str, size: float = 4) -> dict:
    """Points [N, 2] as a scatter plot on axes n."""
    marker = dict(size=size, color=color, opacity=0.7)
    return dict(
        type="scatter",
        x=points[:, 0],
        y=points[:, 1],
        mode="markers",
        marker=marker,
        hoverinfo="skip",
        **on(n),
    )


def image(z, n: int, limit: float = 1.0) -> dict:
    """An image [H, W] in grey, −limit black and limit white, on axes n."""
    return dict(
        type="heatmap",
        z=z,
        zmin=-limit,
        zmax=limit,
        colorscale=INK,
        showscale=False,
        hoverinfo="skip",
        **on(n),
    )


def tiles(images, columns: int) -> np.ndarray:
    """Images [B, 1, H, W] side by side, row by row, with a gap of one pixel (NaN: nothing is drawn)."""
    B, _, H, W = images.shape
    rows = -(-B // columns)
    sheet = np.full((rows * (H + 1) - 1, columns * (W + 1) - 1), np.nan, dtype=np.float32)
    for i, picture in enumerate(np.asarray(images)):
        r, c = divmod(i, columns)
        sheet[r * (H + 1) : r * (H + 1) + H, c * (W + 1) : c * (W + 1) + W] = picture[0]
    return sheet


def arrows(tail, vector, n: int = 1, color: str = GREY) -> dict:
    """Arrows [N, 2] from tail by vector, as one line trace on axes n (`arrow_lines` for a frame)."""
    line = dict(color=color, width=1.5)
    return dict(
        type="scatter", mode="lines", line=line, hoverinfo="skip", **arrow_lines(tail, vector), **on(n)
    )


def arrow_lines(tail, vector) -> dict:
    """x and y of the arrows' lines: shaft, then the two strokes of the head, then a gap (NaN)."""
    head = tail + vector
    side = np.stack([-vector[:, 1], vector[:, 0]], 1)
    left, right = head - 0.3 * vector + 0.18 * side, head - 0.3 * vector - 0.18 * side
    path = np.stack([tail, head, left, head, right, np.full_like(tail, np.nan)], 1).reshape(-1, 2)
    return dict(x=path[:, 0], y=path[:, 1])


def grid(limit: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    """The ticks of one axis [points] and the grid they span [points², 2], row by row from the bottom."""
    ticks = np.linspace(-limit, limit, points, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    return ticks, np.stack([x.ravel(), y.ravel()], 1)
