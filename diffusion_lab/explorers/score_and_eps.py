"""One prediction in four views: fields over the density, their size over t, and the error of a network."""

import numpy as np

from ..drawing import PALETTE, arrow_lines, arrows, axis, curve, dots, grid, key, layout, panel, plane, square
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments.fields import ARROWS, EMPTY, FIELD, LIMIT, TIMES, Field, compared, everything

VIEWS = {"score": "score ∇ log q_t", "eps": "ε̂", "v": "v̂", "x0": "x̂_0"}
COLORS = dict(zip(VIEWS, (PALETTE[c] for c in ("vermillion", "blue", "green", "purple")), strict=True))
SAYS = {
    "score": "The score points uphill. Its size grows like 1/σ until the noise is narrower than the blobs.",
    "eps": "ε̂ = −σ · score points away from the data. Its size is near 1, except at low noise.",
    "v": "v̂ = √ᾱ ε̂ − σ x̂_0. It is close to ε̂ at low noise, and close to −x̂_0 at high noise.",
    "x0": "Each arrow points from x_t to x̂_0, the mean of all data that x_t may come from.",
}
ERROR_SAYS = "Each arrow is the network's error: its prediction minus the exact one."
ARROW_NOTE, EDGE_NOTE = "arrows: rescaled at each t", "white line: the edge of the data"


class ScoreAndEps(Explorer):
    """The main slider is t. The data is a 2-D mixture; its denoiser is exact, or learned from draws.

    Numbers, all root mean squares over x_t ~ q_t and per coordinate: the size of each view (exact), and the
    network's error in the view shown, where there is data (x_t ~ q_t) and where there is none (grid points
    with almost no density).
    """

    title = "Score and ε: one prediction, four views"
    portable = ("view", "shown_by")
    view = Choice("score", list(VIEWS))
    shown_by = Choice("exact", ["exact", "learned", "learned − exact"], label="denoiser")
    t = Slider(300, 1, 1000, main=True)

    def scene(self, *, view: str, shown_by: str) -> Scene:
        (_, tails), frames = grid(LIMIT, ARROWS), []
        says = ERROR_SAYS if shown_by == "learned − exact" else SAYS[view]
        alt = f"Left, {view} as arrows over the density. Middle, the network's error. Right, sizes over t."
        for t, (density, fields) in everything().items():
            now = fields[view]
            changes = {name: {"z": density} for name in ("density", "edge")}
            changes["arrows"] = arrow_lines(tails, vectors(now, shown_by, tails if view == "x0" else 0))
            # Rescaled at each t, like the arrows, to stay visible: the numbers tell the size
            changes |= {"error": {"z": now.error / now.brightest}, "now": {"x": [t], "y": now.sizes[:1]}}
            numbers: dict = {f"rms {name}": fields[each].sizes[0] for each, name in VIEWS.items()}
            numbers["error where it is brightest"] = now.brightest
            numbers["error where there is data"] = now.error_in_data
            numbers["error where there is none"] = now.error_outside or "no such place"
            code = listing(compared, f"exact.{view}, learned.{view}", t=t)
            frames.append(Frame(t, changes, numbers, says, code=code, alt=alt))
        return Scene(traces(view), panels(view, shown_by), frames, digits=2)


def vectors(now: Field, shown_by: str, start: np.ndarray | float) -> np.ndarray:
    """The arrows of a field, scaled to one size: [ARROWS², 2]. Arrows to x̂_0, a place, begin at `start`."""
    learned, exact = now.learned.numpy(), now.exact.numpy()
    drawn = (exact if shown_by == "exact" else learned) - start
    drawn = learned - exact if shown_by == "learned − exact" else drawn
    return drawn * (0.16 / np.sqrt((drawn**2).mean()).clip(1e-9))


def traces(view: str) -> dict:
    """Arrows over the density; the error, with a line around the data; each view's size."""
    (ticks, _), none = grid(LIMIT, FIELD), np.zeros((1, 2))
    bar = dict(x=0.63, y=0.5, len=1, thickness=10, ypad=0, tickvals=[0, 1], ticktext=["0", "most"])
    error = dict(zmin=0, zmax=1, colorscale="Cividis", showscale=True, colorbar=bar, zsmooth=False)
    edge = dict(coloring="none", type="constraint", operation="=", value=255 * EMPTY)
    edge = dict(type="contour", contours=edge, line=dict(width=1.5, color="white"))
    drawn = {"density": square(ticks), "arrows": arrows(none, none, 1, "white")}
    drawn |= {"error": square(ticks, 2, **error), "edge": square(ticks, 2, **edge)}
    for name, color in COLORS.items():
        for y, who, dash in zip(sizes(name), ("exact", "learned"), ("solid", "dot"), strict=True):
            drawn[f"{name}, {who}"] = curve(color, 3.5 if name == view else 1.5, 3, dash, x=TIMES, y=y)
    return drawn | {"now": dots(COLORS[view], 3, 10)}


def sizes(view: str) -> np.ndarray:
    """The size of a view over t, exact and learned: [2, 60]."""
    return np.array([fields[view].sizes for _, fields in everything().values()]).T


def panels(view: str, shown_by: str) -> dict:
    """Two planes, and the sizes over t; one key for the four views."""
    xaxis = axis("t (dotted: learned)", TIMES, log=True)
    yaxis = axis("size (rms)", *map(sizes, VIEWS), log=True)
    names = {name.split(" ")[0]: COLORS[each] for each, name in VIEWS.items()}
    left = plane(LIMIT, 1, below=ARROW_NOTE), (0, 0.29), f"{VIEWS[view]}, {shown_by}"
    right = plane(LIMIT, 2, below=EDGE_NOTE), (0.335, 0.625), f"error of the learned {VIEWS[view]}"
    planes = [panel(n, x, (0, 1), name, **axes) for n, (axes, x, name) in enumerate((left, right), 1)]
    last = panel(3, (0.74, 1), (0, 1), key(names, 2), xaxis, yaxis)
    return layout(*planes, last, height=310, margin=dict(l=48, r=20, t=28, b=48))
