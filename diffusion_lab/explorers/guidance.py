"""Guidance: what happens to samples as w grows, on a mixture where all is exact, and on digits."""

import functools

import numpy as np
import torch

from .. import data, features, samplers, schedules
from ..exact import GaussianMixture
from ..guidance import classifier_free
from . import figures
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, shipped, trained
from .figures import colored, on, panel

# Three overlapping classes, one blob each
BLOBS = GaussianMixture(
    torch.tensor([[-0.5, 0.25], [0.5, 0.45], [0.2, -0.5]], dtype=torch.float64),
    stds=[0.3, 0.2, 0.3],
    weights=[0.4, 0.25, 0.35],
)
CONDITIONS = [f"blob {k}" for k in range(3)] + [f"digit {k}" for k in range(10)]
# kind -> the values of w, how many samples at each of them, steps of the sampler
W = {"blob": [k / 4 for k in range(21)], "digit": [k / 2 for k in range(11)]}
COUNT, STEPS = {"blob": 300, "digit": 20}, {"blob": 50, "digit": 12}
GREYS = 32  # between black or white and the middle
DIGITS_HAVE = ["fidelity", "fidelity error", "diversity", "diversity error", "outside"]
NEIGHBOUR = 5  # a digit is covered by a sample no further away than its 5th nearest training digit
LIMIT, FIELD = 1.6, 41  # the plane is [−LIMIT, LIMIT]², with FIELD points along it
GUIDED, SHARP, TRUE = PALETTE["blue"], PALETTE["green"], PALETTE["vermillion"]


class Guidance(Explorer):
    """The main slider is w. All samples start from the same noise, so from frame to frame each one moves.

    Fidelity is the mean of p(c|x) over the samples: exact for blobs, for digits what a classifier says.
    Diversity of blobs: spread, the root of the trace of the covariance, over that of the class. Of digits:
    coverage, the share of the class's held-out digits with a sample at least as near as their 5th nearest
    training digit (Naeem et al. 2020). Each with its standard error.

    Beside them, for blobs, the same of the sharpened density p(x) p(c|x)^w, and how far the means are from
    that of the class, in its std. For digits, the same of real ones (p(c|x) of the held-out, coverage of 20
    training digits, on average), and the share of pixels that left [−1, 1] by more than 0.05.
    """

    title = "Guidance: what w buys and what it costs"
    portable = ("condition",)
    condition = Choice("blob 0", CONDITIONS, label="condition c")
    seed = Slider(0, 0, 20)
    w = Slider(2.0, 0.0, 5.0, step=0.25, main=True)

    def scene(self, *, condition, seed):
        kind, label = condition.split()
        draw = draw_blobs if kind == "blob" else draw_digits
        figure, frames, numbers, sentences = draw(int(label), seed)
        return Scene(
            figure=figure,
            positions=W[kind],
            frames=frames,
            numbers=numbers,
            sentences=sentences,
            code=[self.lines(kind, label, seed, w) for w in W[kind]],
            alt=[describe(condition, w, row) for w, row in zip(W[kind], numbers, strict=True)],
        )

    @staticmethod
    def lines(kind, label, seed, w):
        if kind == "blob":
            first, schedule, shape = "samplers, schedules", "schedules.cosine()", "2"
            make = ["from diffusion_lab.explorers.guidance import BLOBS"]
            pair = f"BLOBS.given({label}).denoiser(schedule), BLOBS.denoiser(schedule)"
        else:
            first, schedule, shape = "pretrained, samplers", "model.schedule", "1, 8, 8"
            make = ['model = pretrained.load("digits")']
            pair = f"model.given({label}), model.given(None)"
        return "\n".join(
            [
                "import torch",
                f"from diffusion_lab import {first}",
                "from diffusion_lab.guidance import classifier_free",
                *make,
                "",
                f"schedule = {schedule}",
                f"denoiser = classifier_free({pair}, w={w})",
                f"generator = torch.Generator().manual_seed({seed})",
                f"x_T = samplers.p_sample_prior(({COUNT[kind]}, {shape}), schedule, generator)",
                f"times = samplers.timesteps(schedule, {STEPS[kind]})",
                "*_, last = samplers.dpm_solver_pp_2m(denoiser, x_T, schedule, times)",
                "last.x",
            ]
        )


@functools.lru_cache(32)
def guided(kind: str, label: int, seed: int) -> torch.Tensor:
    """The samples at each w, all in one batch: [W, COUNT, *D]."""
    if kind == "blob":
        schedule, shape = schedules.cosine(), (2,)
        pair = BLOBS.given(label).denoiser(schedule), BLOBS.denoiser(schedule)
    else:
        model, shape = trained("digits"), (1, 8, 8)
        schedule, pair = model.schedule, (model.given(label), model.given(None))
    x_T = samplers.p_sample_prior((COUNT[kind], *shape), schedule, torch.Generator().manual_seed(seed))
    denoiser = classifier_free(*pair, torch.tensor(W[kind]).repeat_interleave(COUNT[kind]))
    times = samplers.timesteps(schedule, STEPS[kind])
    x_T = x_T.repeat(len(W[kind]), *[1] * len(shape))
    *_, last = samplers.dpm_solver_pp_2m(denoiser, x_T, schedule, times)
    return last.x.reshape(len(W[kind]), COUNT[kind], *shape).double()


# ------------------------------------------------------------------------------------ blobs: all is exact
def draw_blobs(label: int, seed: int) -> tuple:
    """Left, the samples over the sharpened density, and rings of the classes; then the curves."""
    ticks, field = figures.grid(LIMIT, FIELD)
    field = torch.from_numpy(field).double()
    log_p, log_posterior = BLOBS.log_prob(field), BLOBS.log_posterior(field)[:, label]
    runs, exact = guided("blob", label, seed), sharpened(label)
    rows = [spread_of(label, x) for x in runs]
    others = [k for k in range(len(BLOBS.means)) if k != label]
    traces = [dict(type="heatmap", x=ticks, y=ticks, zmin=0, zmax=255, **figures.DENSITY)]
    traces += [rings(others, GREY), rings([label], TRUE), figures.cloud(runs[0], 1, "white", size=3)]
    marks, panels = curves("blob", rows, exact, SHARP, "spread (class: 1)")
    frames, numbers, sentences = [], [], []
    for k, w in enumerate(W["blob"]):
        log_prob = log_p + w * log_posterior
        z = (255 * (log_prob - log_prob.max()).exp()).reshape(FIELD, FIELD).byte()
        frames.append({0: {"z": z}, 3: {"x": runs[k, :, 0], "y": runs[k, :, 1]}})
        frames[-1] |= dots(len(traces) + len(marks), w, rows[k])
        numbers.append(count(rows[k], exact[k], "spread", "sharpened"))
        numbers[-1] |= {
            "moved (std)": f"{rows[k]['moved']:.2f}",
            "moved, sharpened": f"{exact[k]['moved']:.2f}",
        }
        sentences.append(says_blobs(w, rows[k], exact[k]))
    below, above = "colour: p(x) p(c|x)^w, sharpened", f"white: samples   {colored(TRUE, 'class c')}"
    first = panel(1, (0, 0.33), (0, 1), above, **figures.plane(LIMIT, 1, below=below))
    layout = figures.layout(first, *panels, height=310, margin=dict(l=30, r=12, t=28, b=48))
    return {"data": traces + marks, "layout": layout}, frames, numbers, sentences


def spread_of(label: int, x) -> dict:
    """Fidelity and diversity of samples [N, 2], with standard errors, and how far their mean has moved."""
    std = BLOBS.var[label, 0].sqrt()
    squares = (x - x.mean(0)).square().sum(1)
    spread = (squares.sum() / (len(x) - 1) / 2).sqrt()
    error = squares.std() / len(x) ** 0.5 / (4 * spread)  # that of spread², through the root
    row = fidelity(BLOBS.log_posterior(x)[:, label].exp())
    row |= {"diversity": (spread / std).item(), "diversity error": (error / std).item()}
    return row | {"moved": ((x.mean(0) - BLOBS.means[label]).norm() / std).item()}


@functools.cache
def sharpened(label: int) -> list[dict]:
    """The same of the density p(x) p(c|x)^w, normalised, at each w, by sums over a fine grid."""
    x, w = torch.from_numpy(figures.grid(3.0, 121)[1]).double(), torch.tensor(W["blob"]).double()
    log_posterior, std = BLOBS.log_posterior(x)[:, label], BLOBS.var[label, 0].sqrt()
    weight = (BLOBS.log_prob(x) + w[:, None] * log_posterior).softmax(1)  # [W, grid]
    mean = weight @ x
    spread = ((weight @ x.square() - mean.square()).sum(1) / 2).sqrt()
    found = {"fidelity": weight @ log_posterior.exp(), "diversity": spread / std}
    found["moved"] = (mean - BLOBS.means[label]).norm(dim=1) / std
    return [dict(zip(found, row, strict=True)) for row in torch.stack(list(found.values()), 1).tolist()]


def rings(labels: list[int], color: str) -> dict:
    """Circles around blobs, of one and of two standard deviations, as one trace."""
    angle = np.append(np.linspace(0, 2 * np.pi, 49), np.nan)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    blobs = [(BLOBS.means[k].numpy(), BLOBS.var[k, 0].sqrt().item()) for k in labels]
    each = [mean + radius * std * circle for mean, std in blobs for radius in (1, 2)]
    x, y = np.concatenate(each).T
    line = dict(color=color, width=2, simplify=False)
    return dict(type="scatter", mode="lines", x=x, y=y, line=line, hoverinfo="skip")


def says_blobs(w: float, row: dict, exact: dict) -> str:
    """What to see at w."""
    if w == 0:
        return "w = 0: the denoiser is not told c, and draws from all classes."
    if w < 1:
        return f"w = {w:g}: half told. The samples lean towards c, but some still end in other classes."
    if w == 1:
        return "w = 1: the plain conditional. Samples, sharpened density and the class c itself are the same."
    return (
        f"w = {w:g}: the samples have left the class. Their mean has moved by {row['moved']:.2f} of its std, "
        f"and they are {row['diversity']:.0%} as wide. The sharpened density moves by {exact['moved']:.2f} "
        f"and is {exact['diversity']:.0%} as wide: that is not where they went, either."
    )


# ------------------------------------------------------------------------------------ digits: a network
def draw_digits(label: int, seed: int) -> tuple:
    """Left, the samples; then the curves, beside what real digits have."""
    pictures, rows = pictures_at(label, seed)
    sheets, real = [figures.tiles(x, 5) for x in pictures], real_digits(label)
    marks, panels = curves("digit", rows, [real] * len(rows), TRUE, "coverage")
    frames, numbers, sentences = [], [], []
    for w, row, sheet in zip(W["digit"], rows, sheets, strict=True):
        frames.append({0: {"z": sheet}} | dots(1 + len(marks), w, row))
        numbers.append(count(row, real, "coverage", "real digits"))
        numbers[-1] |= {"pixels outside [−1, 1]": f"{row['outside']:.1%}"}
        sentences.append(says_digits(w, row, real))
    axes = figures.framed(1, *sheets[0].shape)
    first = panel(1, (0, 0.35), (0, 1), "samples, the same noise at every w", **axes)
    layout = figures.layout(first, *panels, height=310, margin=dict(l=30, r=12, t=28, b=48))
    behind = dict(type="rect", xref="x domain", yref="y domain", x0=0, x1=1, y0=0, y1=1, layer="below")
    layout["shapes"] = [behind | dict(fillcolor=figures.GAP, line=dict(width=0))]
    return {"data": [figures.image(sheets[0], 1), *marks], "layout": layout}, frames, numbers, sentences


@functools.lru_cache(32)
def pictures_at(label: int, seed: int) -> tuple[np.ndarray, list[dict]]:
    """The samples in GREYS at each w, [W, COUNT, 1, 8, 8], and their numbers.

    They are those of `drawn`, which takes seconds: for the first seed it ships computed.
    """
    found = shipped(f"guidance.digit {label}") if seed == 0 else drawn(label, seed)
    rows = [dict(zip(DIGITS_HAVE, row, strict=True)) for row in found["numbers"].tolist()]
    return found["pictures"].numpy() / np.float32(GREYS), rows


def drawn(label: int, seed: int) -> dict:
    """The samples and their numbers as `pictures_at` reads them."""
    runs = guided("digit", label, seed)
    rows = [coverage_of(label, x) for x in runs]
    # More greys nobody tells apart, and without them the page without a kernel is a good deal smaller
    pictures = (GREYS * runs).round().clamp(-128, 127).char()
    numbers = torch.tensor([[row[name] for name in DIGITS_HAVE] for row in rows], dtype=torch.float64)
    return {"pictures": pictures, "numbers": numbers}


@functools.cache
def judge() -> features.Classifier:
    """The classifier that ships: loaded once."""
    return features.load()


@functools.cache
def of_class(label: int) -> tuple:
    """The held-out digits of a class, how near each one's 5th training digit is, and the training digits."""
    train, test = (images[labels == label].double() for images, labels in map(data.digits, ("train", "test")))
    near = torch.cdist(test.flatten(1), train.flatten(1)).kthvalue(NEIGHBOUR, dim=1).values
    return test, near, train


@functools.cache
def real_digits(label: int) -> dict:
    """What real digits have: the held-out ones p(c|x), and of the training digits every 20 their coverage."""
    held_out, _, train = of_class(label)
    shares = [coverage_of(label, part)["diversity"] for part in train.split(COUNT["digit"])[:-1]]
    return fidelity(judge().probabilities(held_out)[:, label]) | {"diversity": np.mean(shares)}


def coverage_of(label: int, x) -> dict:
    """Fidelity and diversity of images [N, 1, 8, 8], with standard errors, and the pixels outside."""
    held_out, near, _ = of_class(label)
    covered = (torch.cdist(held_out.flatten(1), x.flatten(1)).min(1).values <= near).double()
    row = fidelity(judge().probabilities(x)[:, label]) | {"diversity": covered.mean().item()}
    row["diversity error"] = (covered.std() / len(covered) ** 0.5).item()
    return row | {"outside": (x.abs() > 1.05).double().mean().item()}


def says_digits(w: float, row: dict, real: dict) -> str:
    """What to see at w."""
    if w == 0:
        return "w = 0: the network is not told c, and draws digits of all classes."
    if w < 1:
        return f"w = {w:g}: half told. The samples lean towards c, but some still become other digits."
    if w == 1:
        return "w = 1: the plain conditional, as the network has learned it."
    said = (
        f"w = {w:g}: p(c|x) is {row['fidelity']:.2f}. The samples cover {row['diversity']:.0%} of the "
        f"held-out digits, where as many real ones cover {real['diversity']:.0%}."
    )
    if row["outside"] < 0.02:
        return said
    return f"{said} {row['outside']:.0%} of the pixels are blacker than black or whiter than white."


# ------------------------------------------------------------------------------------ both
def fidelity(chance) -> dict:
    """The mean of p(c|x) [N] over samples, and its standard error."""
    return {"fidelity": chance.mean().item(), "fidelity error": (chance.std() / len(chance) ** 0.5).item()}


def curves(kind: str, rows, others, color: str, diversity: str) -> tuple[list[dict], list[dict]]:
    """Fidelity and diversity over w on axes 2 and 3, `others` dotted: traces, the marks last; and panels."""
    ws, traces, panels = W[kind], [], []
    places = {"fidelity": (2, (0.42, 0.69), "mean p(c|x)"), "diversity": (3, (0.76, 1), diversity)}
    for name, (n, x, words) in places.items():
        own, other = ([row[name] for row in each] for each in (rows, others))
        bars = dict(array=[row[f"{name} error"] for row in rows], width=0, thickness=1, color=GUIDED)
        line = dict(type="scatter", mode="lines", x=ws, hoverinfo="skip", **on(n))
        traces.append(line | dict(y=other, line=dict(color=color, width=2.5, dash="dot")))
        traces.append(line | dict(y=own, line=dict(color=GUIDED, width=2), error_y=bars))
        xaxis = dict(title=figures.title("w"), range=[-0.25, 5.25], zeroline=False, dtick=1)
        yaxis = dict(range=figures.span(own, other, [0, 1]), zeroline=False, nticks=6)
        panels.append(panel(n, x, (0, 1), f"{name}: {words}", xaxis, yaxis))
    key = "sharpened" if kind == "blob" else "real digits"
    place = dict(xref="x2", yref="y2", x=5, y=0.1, xanchor="right", align="left", showarrow=False)
    words = f"{colored(GUIDED, 'samples')}<br>{colored(color, key)}"
    panels[0]["annotations"].append(dict(text=words, font=dict(size=13), **place))
    marker = dict(size=11, color=GUIDED, line=dict(width=1.5, color="white"))
    traces += [dict(type="scatter", mode="markers", marker=marker, hoverinfo="skip", **on(n)) for n in (2, 3)]
    return traces, panels


def dots(end: int, w: float, row: dict) -> dict:
    """A frame of the last two of `end` traces: the marks at w."""
    return {end - 2: {"x": [w], "y": [row["fidelity"]]}, end - 1: {"x": [w], "y": [row["diversity"]]}}


def count(row: dict, other: dict, diversity: str, name: str) -> dict:
    """Fidelity and diversity as numbers on the page, beside those of something else."""
    said = {"p(c|x)": f"{row['fidelity']:.3f} ± {row['fidelity error']:.3f}"}
    said |= {f"p(c|x), {name}": f"{other['fidelity']:.3f}"}
    said |= {diversity: f"{row['diversity']:.2f} ± {row['diversity error']:.2f}"}
    return said | {f"{diversity}, {name}": f"{other['diversity']:.2f}"}


def describe(condition: str, w: float, row: dict) -> str:
    """The figure in words."""
    kind = condition.split()[0]
    left = f"{COUNT[kind]} samples of {condition} at w = {w:g}"
    if kind == "blob":
        left += " over the sharpened density, with rings around the three blobs"
    said = ", ".join(f"{name} {value}" for name, value in row.items())
    return f"Left, {left}. Middle, fidelity over w; right, diversity over w. Here: {said}."
