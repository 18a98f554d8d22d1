"""One prediction in four views: vector fields over the density, their size over t, and where a network
errs."""

import functools

import numpy as np
import torch

from .. import data
from ..forward import q_sample
from .core import PALETTE, Choice, Explorer, Scene, Slider, trained
from .figures import DENSITY, LOG, arrow_lines, arrows, colored, grid, layout, on, panel, plane, span, title

VIEWS = {"score": "score ∇ log q_t", "eps": "ε̂", "v": "v̂", "x0": "x̂₀"}
COLORS = dict(zip(VIEWS, (PALETTE[c] for c in ("vermillion", "blue", "green", "purple")), strict=True))
# Where each curve's name stands: at which t, and how many pixels off
LABELS = dict(score=(4, -14), eps=(110, 14), v=(20, -20), x0=(4, 12))
SAYS = {
    "score": "The score points uphill. It grows like 1/σ, until the noise is narrower than the blobs.",
    "eps": "ε̂ = −σ · score points away from the data. It stays near 1, until the noise drowns in the blobs.",
    "v": "v̂ = √ᾱ ε̂ − σ x̂₀: near ε̂ where there is little noise, near −x̂₀ where there is much.",
    "x0": "Each arrow points from x_t to x̂₀, the mean of all data that could lie behind it.",
}
ERROR_SAYS = "Each arrow is the network's error: what it says there, minus what is true."
ARROW_NOTE, EDGE_NOTE = "arrows: scaled anew at each t", "white line: the edge of the data"
LIMIT = 2.0  # the plane is [−LIMIT, LIMIT]²
FIELD, ARROWS = 41, 15  # points along it: of the colours, and of the arrows
EMPTY = 0.01  # a place counts as empty where the density is below this share of its highest value


class ScoreAndEps(Explorer):
    """The main slider is t; the denoiser is that of a 2-D mixture, exact or learned from draws.

    Numbers, all root-mean-square over x_t ~ q_t and per coordinate: the size of each view (exact), and the
    network's error in the view shown, where there is data (x_t ~ q_t) and where there is none (grid points
    of almost no density).
    """

    title = "Score and ε: one prediction, four views"
    portable = ("view", "shown_by")
    view = Choice("score", list(VIEWS))
    shown_by = Choice("exact", ["exact", "learned", "learned − exact"], label="denoiser")
    t = Slider(300, 1, 1000, main=True)

    def scene(self, *, view, shown_by):
        now = everything()
        times, sizes, errors = now["times"], now["sizes"], now["errors"][view]
        vectors = arrows_of(view, shown_by)
        # Arrows and error colours are scaled frame by frame, to be seen at every t: the numbers tell the size
        vectors = vectors * (0.16 / np.sqrt((vectors**2).mean((1, 2), keepdims=True)).clip(1e-9))
        _, tails = grid(LIMIT, ARROWS)
        traces = fields(vectors[0], tails) + curves(view)
        frames, numbers = [], []
        for k, t in enumerate(times):
            dot = {"x": [t], "y": [sizes["exact"][view][k]]}
            brightest = float(np.quantile(errors["field"][k], 0.98))
            error = {"z": errors["field"][k] / brightest}
            density = {"z": now["density"][k]}
            arrow = arrow_lines(tails, vectors[k])
            frames.append({0: density, 1: arrow, 2: error, 3: density, len(traces) - 1: dot})
            numbers.append({f"rms {VIEWS[name]}": sizes["exact"][name][k] for name in VIEWS})
            numbers[-1]["error where it is brightest"] = brightest
            numbers[-1]["error where there is data"] = errors["data"][k]
            numbers[-1]["error where there is none"] = errors["empty"][k] or "no such place"
        return Scene(
            figure={"data": traces, "layout": self.panels(view, shown_by)},
            positions=times,
            frames=frames,
            numbers=numbers,
            sentences=ERROR_SAYS if shown_by == "learned − exact" else SAYS[view],
            code=[self.lines(view, t) for t in times],
            alt=f"Left, {view} as arrows over the density of x_t. Middle, its error. Right, sizes over t.",
            digits=2,
        )

    @staticmethod
    def panels(view, shown_by):
        sizes = [each for views in everything()["sizes"].values() for each in views.values()]
        xaxis = LOG | dict(title=title("t"), range=span(everything()["times"], log=True))
        yaxis = LOG | dict(range=span(*sizes, log=True))
        size = panel(3, (0.74, 1), (0, 1), "size (rms); dotted: learned", xaxis, yaxis)
        for name, (t, up) in LABELS.items():
            y = np.log10(np.interp(t, everything()["times"], everything()["sizes"]["exact"][name]))
            place = dict(xref="x3", yref="y3", x=np.log10(t), y=y, yshift=up, showarrow=False)
            size["annotations"].append(dict(text=colored(COLORS[name], name), font=dict(size=13), **place))
        return layout(
            panel(1, (0, 0.29), (0, 1), f"{VIEWS[view]}, {shown_by}", **plane(LIMIT, 1, below=ARROW_NOTE)),
            panel(
                2,
                (0.335, 0.625),
                (0, 1),
                f"error of the learned {VIEWS[view]}",
                **plane(LIMIT, 2, below=EDGE_NOTE),
            ),
            size,
            height=310,
            margin=dict(l=48, r=20, t=28, b=48),
        )

    @staticmethod
    def lines(view, t):
        return "\n".join(
            [
                "from diffusion_lab import data, forward, pretrained",
                "",
                'model = pretrained.load("mixture")',
                "exact = data.toy_mixture().denoiser(model.schedule)",
                f"x_t = forward.q_sample(data.mixture(1000), {t}, model.schedule)",
                f"exact(x_t, {t}).{view}, model(x_t, {t}).{view}",
            ]
        )


def arrows_of(view: str, shown_by: str) -> np.ndarray:
    """The vectors to draw, [60, ARROWS², 2]; for x̂₀, which is a place, the way there."""
    learned, exact = everything()["fields"]["learned"][view], everything()["fields"]["exact"][view]
    if shown_by == "learned − exact":
        return learned - exact
    return (exact if shown_by == "exact" else learned) - (grid(LIMIT, ARROWS)[1] if view == "x0" else 0)


def fields(vectors, tails) -> list[dict]:
    """Left, arrows over the density; middle, the error, and the line inside which there is data."""
    ticks, _ = grid(LIMIT, FIELD)
    square = dict(x=ticks, y=ticks, hoverinfo="skip")
    bar = dict(x=0.63, y=0.5, len=1, thickness=10, ypad=0, tickvals=[0, 1], ticktext=["0", "most"])
    edge = dict(coloring="none", type="constraint", operation="=", value=255 * EMPTY)
    return [
        dict(type="heatmap", x=ticks, y=ticks, **DENSITY),
        arrows(tails, vectors, 1, "white"),
        dict(type="heatmap", **square, zmin=0, zmax=1, colorscale="Cividis", colorbar=bar, **on(2)),
        dict(
            type="contour",
            **square,
            line=dict(width=1.5, color="white"),
            contours=edge,
            showscale=False,
            **on(2),
        ),
    ]


def curves(view: str) -> list[dict]:
    """The size of each view over t, exact solid and learned dotted; last, a marker at the present t."""
    times, sizes, lines = everything()["times"], everything()["sizes"], []
    for name in VIEWS:
        line = dict(color=COLORS[name], width=3.5 if name == view else 1.5)
        for who, dash in (("exact", "solid"), ("learned", "dot")):
            style = dict(mode="lines", line=line | dict(dash=dash), hoverinfo="skip")
            lines.append(dict(type="scatter", x=times, y=sizes[who][name], **style, **on(3)))
    marker = dict(size=10, color=COLORS[view], line=dict(width=1.5, color="white"))
    return [*lines, dict(type="scatter", mode="markers", marker=marker, hoverinfo="skip", **on(3))]


@functools.cache
def everything() -> dict:
    """All the fields, sizes and errors, at 60 times, for the four views: computed once, a second's work.

    times [60]; density [60, FIELD, FIELD], 255 at its highest; sizes[who][view] [60]; fields[who][view] [60,
    ARROWS², 2]; errors[view]: "field" [60, FIELD, FIELD], "data" [60] and "empty" [60], None where no place
    is empty.
    """
    model, truth = trained("mixture"), data.toy_mixture()
    schedule, exact = model.schedule, data.toy_mixture().denoiser(model.schedule)
    times = np.unique((schedule.T * np.linspace(0.03, 1, 60) ** 2).round().clip(1).astype(int)).tolist()
    generator = torch.Generator().manual_seed(0)
    x0 = truth.sample(1000, generator)
    fine, coarse = (torch.from_numpy(grid(LIMIT, n)[1]) for n in (FIELD, ARROWS))

    density, sizes, fields, errors = [], {}, {}, {}
    for who in ("exact", "learned"):
        sizes[who], fields[who] = {v: [] for v in VIEWS}, {v: [] for v in VIEWS}
    for view in VIEWS:
        errors[view] = dict(field=[], data=[], empty=[])
    with torch.no_grad():
        for t in times:
            log_prob = truth.noised(t, schedule).log_prob(fine)
            relative = (log_prob - log_prob.max()).exp()
            empty = relative < EMPTY
            density.append((255 * relative).reshape(FIELD, FIELD).byte())
            x_t = q_sample(x0, t, schedule, generator=generator)
            seen = torch.cat([x_t, fine, coarse])
            pair = {"exact": exact(seen, t), "learned": model(seen, t)}
            for view in VIEWS:
                values = {
                    who: getattr(p, view).split([len(x_t), len(fine), len(coarse)]) for who, p in pair.items()
                }
                for who, (at_data, _, at_arrows) in values.items():
                    sizes[who][view].append(rms(at_data))
                    fields[who][view].append(at_arrows.numpy())
                off_data, off_grid, _ = (
                    a - b for a, b in zip(values["learned"], values["exact"], strict=True)
                )
                errors[view]["field"].append(off_grid.square().mean(1).sqrt().reshape(FIELD, FIELD))
                errors[view]["data"].append(rms(off_data))
                errors[view]["empty"].append(rms(off_grid[empty]) if empty.any() else None)
    fields = {who: {view: np.stack(f) for view, f in views.items()} for who, views in fields.items()}
    for view in VIEWS:
        errors[view]["field"] = np.stack(errors[view]["field"])
    return dict(times=times, density=np.stack(density), sizes=sizes, fields=fields, errors=errors)


def rms(x) -> float:
    """Root mean square of all entries."""
    return x.square().mean().sqrt().item()
