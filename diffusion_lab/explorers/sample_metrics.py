"""Spoil a set of real digits more and more, and see which metric notices."""

import numpy as np
from torch import Tensor

from .. import drawing
from ..drawing import GREY, PALETTE, axis, curve, dots, framed, image, key, note, panel, span, tiles
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments.spoilt_digits import METRICS, SIZES, STRENGTHS, WAYS, WIDE, judge, spoilt, usual

VERDICTS = {  # verdict -> color, words
    "worse": (PALETTE["vermillion"], "worse than for real digits"),
    "usual": (GREY, "usual for real digits"),
    "better": (PALETTE["blue"], "better than for real digits"),
    "farther": (PALETTE["purple"], "farther than real digits"),  # a P(nearer) far below ½ is no praise
}
HEADS = dict(zip(METRICS, METRICS, strict=True)) | {"P(nearer)": "P(nearer than new data)"}


class SampleMetrics(Explorer):
    """The main slider is s, the amount of damage. At s = 0 the samples are real digits, N/10 of each class.
    They are compared with a reference set and a held-out set, also of real digits. No digit is in two sets.

    Numbers: the metrics of samples and reference, in the features of a small classifier; and P(nearer), the
    probability that a sample is nearer to the reference than a held-out digit is, in pixels. The grey bands
    are the usual range for real digits: mean ± three standard deviations over 20 other splits into three such
    sets. All classes are equally frequent in every set. So two sets are more alike than independent draws,
    and the unbiased MMD² is usually below 0.
    """

    title = "Which metric notices?"
    portable = ("how", "N")
    how = Choice("blur", list(WAYS), label="spoilt by")
    N = Choice(200, SIZES, label="N samples")
    s = Slider(0.2, 0.0, 1.0, step=0.1, label="how much, s", main=True)

    def scene(self, *, how: str, N: int) -> Scene:
        told: dict = dict(n=N // 10, how=how, strengths=STRENGTHS)
        bands, frames, verdicts = usual(N // 10), [], []
        samples, found = spoilt(**told)
        sheets = [tiles(some(images), 10) for images in samples]
        for k, s in enumerate(STRENGTHS):
            verdict = judge(np.array([*found[k].values()]), *bands)
            changes: dict = {name: {"x": [s], "y": [value]} for name, value in found[k].items()}
            changes["samples"] = {"z": sheets[k]}
            said, code = f"{WAYS[how]} {says(s, verdict)}", f"samples[{k}], found[{k}]"
            alt = f"Twenty of the samples at s = {text(s)}. Below, six metrics over s, each with a grey "
            alt += "band: the usual range for real digits."
            frames.append(Frame(s, changes, found[k], said, code=listing(spoilt, code, **told), alt=alt))
            verdicts.append(verdict)
        values = {name: [row[name] for row in found] for name in METRICS}
        drawn = traces(sheets[0], values, bands, verdicts)
        return Scene(drawn, panels(sheets[0], values, bands), frames, digits=3)


def says(s: float, verdicts: list[str]) -> str:
    """Which metrics notice."""
    if set(verdicts) == {"usual"}:
        return "None of the metrics notices." if s else "Nothing is spoilt yet."
    parts = []
    for verdict, (_, words) in VERDICTS.items():
        names = [name for name, said in zip(METRICS, verdicts, strict=True) if said == verdict]
        parts += [f"{words.capitalize()}: {', '.join(names)}."] if names else []
    return " ".join(parts)


def some(images: Tensor) -> Tensor:
    """Twenty of the samples; at s = 0, two of each class."""
    return images.unflatten(0, (10, -1))[:, :2].transpose(0, 1).flatten(0, 1)


def traces(sheet: np.ndarray, values: dict, bands: tuple, verdicts: list[list[str]]) -> dict:
    """The samples; for each metric its band, its values over s, colored by verdict, and the current one."""
    drawn = {"samples": image(sheet, 1)}
    ring = dict(symbol="circle-open", size=15, color=GREY, line=dict(width=2.5))
    for k, (name, mean, std) in enumerate(zip(METRICS, *bands, strict=True)):
        low, high, n = mean - WIDE * std, mean + WIDE * std, k + 2
        band = dict(x=[-1, 2, 2, -1], y=[low, low, high, high], mode="none", fill="toself")
        drawn[f"usual {name}"] = curve(GREY, 0, n, fillcolor="rgba(128,128,128,0.3)", **band)
        marks = dict(size=7, color=[VERDICTS[verdict[k]][0] for verdict in verdicts])
        line = dict(x=STRENGTHS, y=values[name], mode="lines+markers", marker=marks)
        drawn[f"{name} over s"] = curve(GREY, 1, n, **line)
        drawn[name] = dots(GREY, n, marker=ring)
    return drawn


def panels(sheet: np.ndarray, values: dict, bands: tuple) -> dict:
    """The samples, the key, and the six metrics in two rows."""
    drawn = [panel(1, (0.1, 0.9), (0.78, 1), "some of the samples", **framed(1, *sheet.shape))]
    names = {words: color for color, words in VERDICTS.values()}
    drawn[0]["annotations"].append(note(key(names, 5), 0.5, 0.725, yanchor="middle"))
    for k, (name, mean, std) in enumerate(zip(METRICS, *bands, strict=True)):
        row, column = divmod(k, 3)
        left, bottom = 0.3575 * column, 0.39 * (1 - row)
        xaxis = axis("s" * row, range=[-0.06, 1.06], dtick=0.5)
        yaxis = dict(range=span(values[name], mean - WIDE * std, mean + WIDE * std), nticks=5, zeroline=False)
        drawn.append(panel(k + 2, (left, left + 0.285), (bottom, bottom + 0.24), HEADS[name], xaxis, yaxis))
    return drawing.layout(*drawn, height=490)
