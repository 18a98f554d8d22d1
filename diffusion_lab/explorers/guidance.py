"""Guidance: what happens to samples as w grows, on a mixture where everything is exact, and on digits."""

import numpy as np
import torch

from .. import drawing as draw
from ..drawing import GREY, PALETTE, curve, panel, xy
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments import guided
from ..experiments.guided import BLOBS, COUNT, W

LABELS = [f"blob {k}" for k in range(3)] + [f"digit {k}" for k in range(10)]
LIMIT, FIELD = 1.6, 41  # the plane is [−LIMIT, LIMIT]², with FIELD points along it
GUIDED, SHARP, TRUE = PALETTE["blue"], PALETTE["green"], PALETTE["vermillion"]
PAGE = dict(height=310, margin=dict(l=30, r=12, t=28, b=48))


class Guidance(Explorer):
    """The main slider is w. The samples start from the same noise at every w, so each one moves with w.

    Fidelity is the mean of p(c|x) over the samples: exact for blobs, given by a classifier for digits.
    Diversity of blobs is the spread: the root of the covariance's trace, divided by the same of the class.
    Diversity of digits is the coverage: the share of the class's held-out digits with a sample at least as
    near as their 5th nearest training digit (Naeem et al. 2020). Each has its standard error.

    For comparison, blobs have the same numbers for the sharpened density p(x) p(c|x)^w, and the distance of
    both means from the mean of the class, in the class's std. Digits have the same numbers for real digits
    (p(c|x) of the held-out ones; the mean coverage of 20 training digits), and the share of pixels that are
    outside [−1, 1] by more than 0.05.
    """

    title = "Guidance: what w buys and what it costs"
    portable = ("label",)
    label = Choice("blob 0", LABELS, label="condition c")
    seed = Slider(0, 0, 20)
    w = Slider(2.0, 0.0, 5.0, step=0.25, main=True)

    def scene(self, *, label: str, seed: int) -> Scene:
        kind, number = label.split()
        return (scene_of_blobs if kind == "blob" else scene_of_digits)(int(number), seed)


# ------------------------------------------------------------------------------------ blobs: exact
def scene_of_blobs(label: int, seed: int) -> Scene:
    """Left, the samples over the sharpened density, and rings of the classes; then the curves."""
    ticks, field = draw.grid(LIMIT, FIELD)
    runs, sharpened = guided.guided_blobs(label, seed, W["blob"]), guided.sharpened(label)
    rows = [guided.spread_of(label, x) for x in runs]
    frames = []
    for w, x, row, exact, z in zip(W["blob"], runs, rows, sharpened, fields(label, field), strict=True):
        numbers = count(row, exact, "spread", "sharpened")
        numbers |= {"moved (std)": f"{row['moved']:.2f}", "moved, sharpened": f"{exact['moved']:.2f}"}
        frames.append(
            Frame(
                w,
                changes={"sharpened": {"z": z}, "samples": xy(x)} | marks(w, row),
                numbers=numbers,
                sentence=says_blobs(w, row, exact),
                code=listing(guided.guided_blobs, label=label, seed=seed, w=(w,)),
                alt=describe("blob", label, w, numbers),
            )
        )
    traces = {
        "sharpened": draw.square(ticks, zmin=0, zmax=255),
        "other classes": rings([k for k in range(len(BLOBS.means)) if k != label], GREY),
        "class c": rings([label], TRUE),
        "samples": draw.cloud(runs[0], 1, "white", size=3),
    }
    below, above = "colour: p(x) p(c|x)^w, sharpened", f"white: samples   {draw.colored(TRUE, 'class c')}"
    first = panel(1, (0, 0.33), (0, 1), above, **draw.plane(LIMIT, 1, below=below))
    lines, panels = curves("blob", rows, sharpened, {"sharpened": SHARP}, "spread (class: 1)")
    return Scene(traces | lines, draw.layout(first, *panels, **PAGE), frames)


def fields(label: int, field: np.ndarray) -> torch.Tensor:
    """The sharpened density at each w on the grid, 255 at its highest: [W, FIELD, FIELD]."""
    log_prob = guided.log_sharpened(label, torch.from_numpy(field).double())
    z = 255 * (log_prob - log_prob.amax(1, keepdim=True)).exp()
    return z.reshape(-1, FIELD, FIELD).byte()


def rings(labels: list[int], color: str) -> dict:
    """Circles around blobs, of one and of two standard deviations, as one trace."""
    angle = np.append(np.linspace(0, 2 * np.pi, 49), np.nan)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    blobs = [(BLOBS.means[k].numpy(), BLOBS.var[k, 0].sqrt().item()) for k in labels]
    each = [mean + radius * std * circle for mean, std in blobs for radius in (1, 2)]
    return curve(color, **xy(np.concatenate(each)))


def says_blobs(w: float, row: dict, exact: dict) -> str:
    """What to see at w."""
    if w == 0:
        return "w = 0: the samples come from all classes, since the denoiser is not told c."
    if w < 1:
        return f"w = {w:g}: the samples lean towards c, but some still end in other classes."
    if w == 1:
        return "w = 1: plain conditional sampling. Samples, sharpened density and class c agree."
    return (
        f"w = {w:g}: the samples have left class c. Their mean has moved by {row['moved']:.2f} of its std, "
        f"and they are {row['diversity']:.0%} as wide. They do not follow the sharpened density either: "
        f"it has moved by {exact['moved']:.2f} and is {exact['diversity']:.0%} as wide."
    )


# ------------------------------------------------------------------------------------ digits: a network
def scene_of_digits(label: int, seed: int) -> Scene:
    """Left, the samples; then the curves, with the numbers of real digits."""
    (pictures, rows), real = guided.pictures_at(label, seed), guided.real_digits(label)
    sheets, frames = [draw.tiles(x, 5) for x in pictures], []
    for w, sheet, row in zip(W["digit"], sheets, rows, strict=True):
        numbers = count(row, real, "coverage", "real digits")
        numbers |= {"pixels outside [−1, 1]": f"{row['outside']:.1%}"}
        frames.append(
            Frame(
                w,
                changes={"samples": {"z": sheet}} | marks(w, row),
                numbers=numbers,
                sentence=says_digits(w, row, real),
                code=listing(guided.guided_digits, label=label, seed=seed, w=(w,)),
                alt=describe("digit", label, w, numbers),
            )
        )
    axes = draw.framed(1, *sheets[0].shape)
    first = panel(1, (0, 0.35), (0, 1), "samples, the same noise at every w", **axes)
    lines, panels = curves("digit", rows, [real] * len(rows), {"real digits": TRUE}, "coverage")
    page = draw.layout(first, *panels, shapes=[draw.behind()], **PAGE)
    return Scene({"samples": draw.image(sheets[0], 1)} | lines, page, frames)


def says_digits(w: float, row: dict, real: dict) -> str:
    """What to see at w."""
    if w == 0:
        return "w = 0: the samples are digits of all classes, since the network is not told c."
    if w < 1:
        return f"w = {w:g}: the samples lean towards c, but some still become other digits."
    if w == 1:
        return "w = 1: plain conditional sampling, as the network has learned it."
    said = (
        f"w = {w:g}: p(c|x) is {row['fidelity']:.2f}. The samples cover {row['diversity']:.0%} of the "
        f"held-out digits; the same number of real digits covers {real['diversity']:.0%}."
    )
    if row["outside"] < 0.02:
        return said
    return f"{said} {row['outside']:.0%} of the pixels are darker than black or brighter than white."


# ------------------------------------------------------------------------------------ both
def curves(kind: str, rows: list, others: list, other: dict, diversity: str) -> tuple[dict, list]:
    """Fidelity and diversity over w on axes 2 and 3, `other` (name -> color) dotted: traces and panels."""
    ((name, color),) = other.items()
    places = {"fidelity": (2, (0.42, 0.69), "mean p(c|x)"), "diversity": (3, (0.76, 1), diversity)}
    traces, panels = {}, []
    for what, (n, x, words) in places.items():
        own, their = ([row[what] for row in each] for each in (rows, others))
        errors = dict(array=[row[f"{what} error"] for row in rows], width=0, thickness=1, color=GUIDED)
        traces[f"{what}, {name}"] = curve(color, 2.5, n, "dot", x=W[kind], y=their)
        traces[what] = curve(GUIDED, 2, n, x=W[kind], y=own, error_y=errors)
        traces[f"{what} at w"] = draw.dots(GUIDED, n, 11)
        y = draw.axis("", own, their, [0, 1], nticks=6)
        panels.append(
            panel(n, x, (0, 1), f"{what}: {words}", draw.axis("w", range=[-0.25, 5.25], dtick=1), y)
        )
    place = dict(xref="x2", yref="y2", xanchor="right", align="left")
    key = f"{draw.colored(GUIDED, 'samples')}<br>{draw.colored(color, name)}"
    panels[0]["annotations"].append(draw.note(key, 5, 0.1, **place))
    return traces, panels


def marks(w: float, row: dict) -> dict:
    """The marks on the curves at w."""
    return {f"{what} at w": {"x": [w], "y": [row[what]]} for what in ("fidelity", "diversity")}


def count(row: dict, other: dict, diversity: str, name: str) -> dict:
    """Fidelity and diversity as numbers on the page, with those of `other` beside them."""
    said = {"p(c|x)": f"{row['fidelity']:.3f} ± {row['fidelity error']:.3f}"}
    said |= {f"p(c|x), {name}": f"{other['fidelity']:.3f}"}
    said |= {diversity: f"{row['diversity']:.2f} ± {row['diversity error']:.2f}"}
    return said | {f"{diversity}, {name}": f"{other['diversity']:.2f}"}


def describe(kind: str, label: int, w: float, numbers: dict) -> str:
    """The figure in words."""
    around = " over the sharpened density, with rings around the three blobs" if kind == "blob" else ""
    left = f"{COUNT[kind]} samples of {kind} {label} at w = {w:g}{around}"
    said = ", ".join(f"{name} {value}" for name, value in numbers.items())
    return f"Left, {left}. Middle, fidelity over w; right, diversity over w. Here: {said}."
