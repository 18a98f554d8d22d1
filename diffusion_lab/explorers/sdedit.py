"""SDEdit: how much noise to start from, and the time from which on the guide is no longer obeyed."""

import numpy as np
import torch
from torch import Tensor

from .. import drawing as draw
from ..drawing import GREY, PALETTE, Drawn
from ..engine import Choice, Explorer, Frame, Points, Scene, Slider, listing
from ..experiments import edited, strokes
from ..experiments.edited import MIXTURES
from ..experiments.strokes import STROKES
from ..schedules import cosine

GUIDE, NOISED, RESULT = PALETTE["vermillion"], PALETTE["sky"], PALETTE["blue"]
OTHER, REAL, TRUE = PALETTE["purple"], PALETTE["green"], PALETTE["orange"]
LIMIT, LINE, BINS = 2.5, np.linspace(-2.5, 2.5, 201), 50
PLANE, (TICKS, FIELD) = 1.4, draw.grid(1.4, 57)
PAGE = dict(height=310, margin=dict(l=30, r=16, t=28, b=48))
AS_REAL = 1.15  # results no further from the data than this times what data itself is are called realistic
Rows = list[dict[str, float]]


class SdEdit(Explorer):
    """The main slider is t0: the guide gets the noise of t0, and a sampler starts there. T is 1000.

    Numbers: √ᾱ_t0, the share of the guide in x_t0; the root-mean-square distance of the results to the
    guide, and to the data; how far from it data itself is; the share of the results in another mode than
    the guide's, and what it should be; the time at which the mode is decided: there this share, for data
    as a guide, is half of what it is for pure noise. Two modes at ±1 and the 2-D mixture have an exact
    denoiser. There the distance to the data is that to the centre of the mode, and the share is known
    exactly; log p is the mean log density of the results, in nats. For digits the network is used, and
    told no class. The distance to the data is that to the nearest training digit, for each pixel. The
    mode is the digit that a classifier takes a picture for; that of the guide is what most edits from t0
    = 200 and 300 are taken for. It is decided when it would be if each class were a Gaussian. Each point
    drawn is a guide on the plane, and its x is one among two modes; for digits the points are where a
    brush is set down.
    """

    title = "Editing: how much noise to start from"
    portable = ("source", "guide", "sampler")
    source = Choice("digits", [*MIXTURES, "digits"], label="data")
    guide = Points(STROKES["ring"], presets=STROKES)
    sampler = Choice("sde_dpm_solver_pp_2m", ["sde_dpm_solver_pp_2m", "dpm_solver_pp_2m"])
    seed = Slider(0, 0, 20)
    t0 = Slider(400, 0, 1000, main=True)

    def scene(self, *, source: str, guide: tuple, sampler: str, seed: int) -> Scene:
        how = dict(sampler=sampler, seed=seed)
        if source == "digits":
            return scene_of_digits(guide, how)
        return scene_of_points(
            source, guide if source == "2-D mixture" else tuple((x,) for x, _ in guide), how
        )


# ------------------------------------------------------------------------------------ points: all is exact
def scene_of_points(source: str, guide: tuple, how: dict) -> Scene:
    """Left, guide and results over the data's density; then the curves."""
    times = edited.T0
    x_t0, results = edited.points_edited(source, guide, t0=times, **how)
    rows, usual = edited.found_of(source, guide, times, results), edited.usual(source)
    first, panel, changed = (on_plane if len(guide[0]) == 2 else on_line)(guide, x_t0, results)
    lines, panels = curves(
        times, rows, [row["exact"] for row in rows], usual, "in another mode, dotted: exact"
    )
    frames = []
    for k, (t, row) in enumerate(zip(times, rows, strict=True)):
        numbers = count(t, row, usual, row["exact"], "mode", "exact") | {"log p": f"{row['density']:.2f}"}
        frames.append(
            Frame(
                t,
                changes=changed(k) | marks(t, row),
                numbers=numbers,
                sentence=says(t, row, usual, "mode"),
                code=listing(edited.points_edited, source=source, guide=guide, t0=(t,), **how),
                alt=describe(
                    f"a guide of {len(guide)} point{'s' * (len(guide) > 1)} and its edits", t, numbers
                ),
            )
        )
    return Scene(first | lines, draw.layout(panel, *panels, **PAGE), frames)


def on_line(guide: tuple, _: Tensor, results: Tensor) -> Drawn:
    """The density of the data, the guide, the density of x_t0, and a histogram of the results."""
    density = edited.TWO_MODES.log_prob(torch.from_numpy(LINE)[:, None]).exp().numpy()
    edges = np.linspace(-LIMIT, LIMIT, BINS + 1)
    bars = dict(x=(edges[1:] + edges[:-1]) / 2, opacity=0.8)
    traces = {"results": draw.bars(RESULT, 2 * LIMIT / BINS, **bars)}
    traces["x_t0"] = draw.curve(NOISED, 2, x=LINE)
    traces["density"] = draw.curve(TRUE, 2, x=LINE, y=density)
    places = np.array(guide)  # [P, 1]
    ends = torch.tensor([[(x, y) for (x,) in guide] for y in (0, 0.6)])
    traces["drawn"] = draw.curve(GUIDE, 3, **draw.trails(ends))
    named = {"guide": GUIDE, "x_(t0)": NOISED, "results": RESULT, "data": TRUE}
    x, y = draw.axis("x", range=[-LIMIT, LIMIT]), dict(zeroline=False, range=[0, 2.2], nticks=5)
    schedule = cosine()

    def changed(k: int) -> dict:
        heights = np.histogram(results[k, :, 0], BINS, (-LIMIT, LIMIT), density=True)[0]
        t = edited.T0[k]
        signal, sigma = schedule.signal[t].item(), max(schedule.sigma[t].item(), 1e-3)
        bell = np.exp(-(((LINE - signal * places) / sigma) ** 2) / 2).mean(0) / (sigma * np.sqrt(2 * np.pi))
        return {"results": {"y": np.minimum(heights, 2.2)}, "x_t0": {"y": np.minimum(bell, 2.2)}}

    return traces, draw.panel(1, (0, 0.33), (0, 1), draw.key(named, 2), x, y), changed


def on_plane(guide: tuple, x_t0: Tensor, results: Tensor) -> Drawn:
    """Three clouds over the density of the data: the guide, x_t0 and the results."""
    density = (255 * draw.density(MIXTURES["2-D mixture"], FIELD)).astype(np.uint8)
    traces = {"density": draw.square(TICKS, z=density, zmin=0, zmax=255)}
    traces |= {"x_t0": draw.cloud(x_t0[0], 1, NOISED, 2), "results": draw.cloud(results[0], 1, "white", 3)}
    traces["drawn"] = draw.cloud(np.array(guide), 1, GUIDE, 5)
    above = draw.key({"guide": GUIDE, "x_(t0)": NOISED}) + "    white: results"
    panel = draw.panel(1, (0, 0.33), (0, 1), above, **draw.plane(PLANE, 1, below="colour: the data"))

    def changed(k: int) -> dict:
        return {"x_t0": draw.xy(x_t0[k]), "results": draw.xy(results[k])}

    return traces, panel, changed


# ------------------------------------------------------------------------------------ digits: a network
def scene_of_digits(stroke: tuple, how: dict) -> Scene:
    """Left, the stroke, three x_t0 and eight results; then the curves."""
    times, real = strokes.T0, strokes.usual()
    guide, x_t0, results = strokes.stroke_edited(stroke, t0=times, **how)
    rows = strokes.found_of(guide, results)
    usual = {"data": real["data"].item(), "decided": int(real["decided"])}
    sheets = [draw.tiles(torch.cat([guide, x_t0[k, :3], results[k]]), 4) for k in range(len(times))]
    above = f"{draw.colored(GUIDE, 'first: the guide')}, three x_(t0); then results"
    first = draw.panel(1, (0, 0.33), (0, 1), above, **draw.framed(1, *sheets[0].shape))
    edge = dict(x0=-0.5, x1=7.5, y0=-0.5, y1=7.5, line=dict(color=GUIDE, width=3))
    lines, panels = curves(times, rows, real["other"].tolist(), usual, "another digit, dotted: real ones")
    frames = []
    for k, (t, row) in enumerate(zip(times, rows, strict=True)):
        numbers = count(t, row, usual, real["other"][k].item(), "digit", "real ones")
        numbers |= {"classifier is sure": f"{row['sure']:.2f}"}
        frames.append(
            Frame(
                t,
                changes={"pictures": {"z": sheets[k]}} | marks(t, row),
                numbers=numbers,
                sentence=says(t, row, usual, "digit"),
                code=listing(strokes.stroke_edited, points=stroke, t0=(t,), **how),
                alt=describe("a stroke, three noisy copies and eight edits of it", t, numbers),
            )
        )
    page = draw.layout(first, *panels, shapes=[draw.behind(), dict(type="rect", **edge)], **PAGE)
    return Scene({"pictures": draw.image(sheets[0], 1)} | lines, page, frames)


# ------------------------------------------------------------------------------------ both
def curves(times: tuple, rows: Rows, expected: list, usual: dict, name: str) -> tuple[dict, list]:
    """The share in another mode on axes 2, the two distances on axes 3: traces and panels."""
    own = {what: [row[what] for row in rows] for what in ("other", "guide", "data")}
    at, x = usual["decided"], draw.axis("t0", range=[-40, 1040], dtick=250)
    high = max(*own["guide"], *own["data"], usual["data"])
    traces = {"decided": draw.curve(GREY, 1.5, 2, "dash", x=[at, at], y=[-1, 2])}
    traces["decided, too"] = draw.curve(GREY, 1.5, 3, "dash", x=[at, at], y=[-1, 2 * high])
    traces["expected"] = draw.curve(OTHER, 2.5, 2, "dot", x=times, y=expected)
    traces["data itself"] = draw.curve(REAL, 2.5, 3, "dot", x=[0, 1000], y=[usual["data"]] * 2)
    for what, n, color in (("other", 2, OTHER), ("guide", 3, RESULT), ("data", 3, REAL)):
        traces[what] = draw.curve(color, 2, n, x=times, y=own[what])
        traces[f"{what} at t0"] = draw.dots(color, n, 11)
    share = draw.axis("", range=[-0.05, 1.05], nticks=6)
    key = draw.colored(OTHER, name)
    second = draw.panel(2, (0.4, 0.68), (0, 1), key, x, share)
    key = f"distance to the {draw.key({'guide': RESULT, 'data': REAL}, 3)}"
    third = draw.panel(
        3, (0.74, 1), (0, 1), key, x, draw.axis("", range=[-0.05 * high, 1.08 * high], nticks=6)
    )
    place = dict(xref="x2", yref="y2", xanchor="left", align="left")
    second["annotations"].append(draw.note("mode<br>decided", at + 15, 0.06, **place))
    return traces, [second, third]


def marks(t: int, row: dict) -> dict:
    """The marks on the curves at t0 = t."""
    return {f"{what} at t0": {"x": [t], "y": [row[what]]} for what in ("other", "guide", "data")}


def count(t: int, row: dict, usual: dict, expected: float, mode: str, name: str) -> dict:
    """The numbers at t0 = t."""
    said = {"√ᾱ_(t0)": f"{cosine().signal[t].item():.3f}", "to the guide": f"{row['guide']:.2f}"}
    said |= {"to the data": f"{row['data']:.2f}", "data itself": f"{usual['data']:.2f}"}
    said |= {f"another {mode}": f"{row['other']:.3f}", f"another {mode}, {name}": f"{expected:.3f}"}
    return said | {f"{mode} decided at t0": usual["decided"]}


def says(t: int, row: dict, usual: dict, mode: str) -> str:
    """What to see at t0 = t."""
    if t == 0:
        return "t0 = 0: no noise, nothing to do. The guide itself comes back."
    kept = f"{1 - row['other']:.0%} of the results are in the guide's mode"
    if mode == "digit":
        kept = f"{1 - row['other']:.0%} of the results are the guide's digit"
    if t == 1000:
        return f"t0 = T: next to nothing is left of the guide. {kept}, by chance: these are fresh samples."
    if t >= usual["decided"]:
        return f"t0 = {t}, after the {mode} is decided: the results look real, but only {kept}."
    if row["data"] > AS_REAL * usual["data"]:
        times = f"{row['data'] / usual['data']:.1f} times as far from the data as data itself"
        return f"t0 = {t}: too little noise. The results still look like the guide, {times}. {kept}."
    return f"t0 = {t}: the results are as close to the data as data itself, and {kept}."


def describe(what: str, t: int, numbers: dict) -> str:
    """The figure in words."""
    said = ", ".join(f"{name} {value}" for name, value in numbers.items())
    return (
        f"Left, {what}. Middle, the share in another mode over t0; right, two distances. At t0 = {t}: {said}."
    )
