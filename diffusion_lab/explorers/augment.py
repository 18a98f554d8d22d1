"""Augment: synthetic points for a classifier, where its error, the best error and the limit are exact."""

import numpy as np
import torch

from .. import drawing as draw
from ..drawing import GREY, PALETTE, curve, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments import augmented_exactly as exactly
from ..experiments.augmented_exactly import FAMILIES, PER_CLASS, RATIOS, learned, real_points

CLASSES = (PALETTE["blue"], PALETTE["orange"])
LEARNED, BEST, LIMIT = PALETTE["vermillion"], GREY, PALETTE["green"]
SIDE, SHOWN = 3.6, 150  # half of the plane; synthetic points of a class that are drawn
TICKS, PLANE = draw.grid(SIDE, 49)
PAGE = dict(height=390, margin=dict(l=30, r=12, t=28, b=48))
NAMES = {words: family for family, words in FAMILIES.items()}


def augmented(n: int, family: str, seed: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rule learned from n real points of each class and m synthetic ones for each; its exact error."""
    x = real_points(n, seed)
    rule = learned(x, family, m, seed)
    return rule, exactly.error(rule[None])[0]


class Augment(Explorer):
    """The main slider is m, how many synthetic points there are for each real one.

    Two classes in the plane, whose Gaussians are known. A generator is fitted to the real points, and draws
    more. The classifier, a logistic regression on the terms of a quadratic form, learns from all of them.
    Numbers: its error; the Bayes error, which no classifier gets under; the limit, which is the error for
    m → ∞, when only the generator speaks; and the mean error over 200 draws of the real points with this m
    and with none. Generators: a covariance for each class (the right family here), one for both, round
    Gaussians, or the truth itself, which is not fitted to anything.
    """

    title = "Augment: synthetic points for a classifier"
    portable = ("n", "generator")
    n = Choice(10, list(PER_CLASS), label="n: real points of each class")
    generator = Choice(FAMILIES["own"], list(NAMES), label="generator")
    seed = Slider(0, 0, 20)
    m = Slider(8, RATIOS[0], RATIOS[-1], label="m: synthetic points for each real one", main=True)

    def scene(self, *, n: int, generator: str, seed: int) -> Scene:
        family = NAMES[generator]
        told = dict(n=n, family=family, seed=seed)
        x = real_points(n, seed)
        every = exactly.synthetic_points(x, family, RATIOS[-1], seed)[:, :, :2]
        best, mean = exactly.bayes_error(), exactly.table()[family, n]
        end = exactly.error(exactly.limit(x, family)[None]).item()
        pairs = [augmented(m=m, **told) for m in RATIOS]
        errors, averages = [e.item() for _, e in pairs], [mean[str(m)] for m in RATIOS]
        frames = []
        for k, (m, (rule, _)) in enumerate(zip(RATIOS, pairs, strict=True)):
            numbers = {"error": errors[k], "Bayes error": best, "limit for m → ∞": end}
            numbers |= {"mean error": averages[k], "mean without synthetic points": averages[0]}
            drawn = {f"synthetic {c}": draw.xy(every[c, : min(m * n, SHOWN)]) for c in (0, 1)}
            changes = drawn | {
                "learned": {"z": on_plane(rule)},
                "here": {"x": [k, k], "y": [errors[k], averages[k]]},
            }
            frames.append(
                Frame(
                    m,
                    changes=changes,
                    numbers=numbers,
                    sentence=says(family, m, averages, mean["limit"]),
                    code=listing(augmented, m=m, **told),
                    alt=describe(n, m, numbers),
                )
            )
        return Scene(
            traces(x, errors, averages, best, end), page([*errors, *averages, best, end]), frames, digits=3
        )


def on_plane(rule: torch.Tensor) -> np.ndarray:
    """A rule's value at each point of the grid; only where it is 0 matters."""
    return (exactly.terms(torch.tensor(PLANE).double()) @ rule).reshape(len(TICKS), -1).float().numpy()


def boundary(color: str, width: float, dash: str, z: np.ndarray) -> dict:
    """The line on which a rule is 0."""
    at = dict(start=0, end=0, size=1, coloring="none")
    line = dict(color=color, width=width, dash=dash, smoothing=1)
    return dict(
        type="contour", x=TICKS, y=TICKS, z=z, contours=at, line=line, showscale=False, hoverinfo="skip"
    )


def traces(x: torch.Tensor, errors: list, averages: list, best: float, end: float) -> dict[str, dict]:
    """Left the points and the two boundaries, right the errors over m."""
    found: dict[str, dict] = {}
    for c in (0, 1):
        found[f"synthetic {c}"] = draw.cloud(x[c, :0], 1, CLASSES[c], 4)
        found[f"synthetic {c}"]["marker"]["opacity"] = 0.35
    for c in (0, 1):
        found[f"real {c}"] = draw.dots(CLASSES[c], 1, 8, **draw.xy(x[c, :SHOWN]))
    truth = exactly.rule_of(*exactly.moments(exactly.truth()))
    found["best"] = boundary(BEST, 2, "dash", on_plane(truth))
    found["learned"] = boundary(LEARNED, 2.5, "solid", on_plane(truth))
    where, ends = np.arange(len(RATIOS)), [-0.3, len(RATIOS) - 0.7]
    found["Bayes error"] = curve(BEST, 2, 2, "dash", x=ends, y=[best] * 2)
    found["limit"] = curve(LIMIT, 2, 2, "dot", x=ends, y=[end] * 2)
    found["mean"] = curve(PALETTE["sky"], 2, 2, x=where, y=averages)
    found["errors"] = curve(LEARNED, 2, 2, x=where, y=errors)
    found["here"] = draw.dots([LEARNED, PALETTE["sky"]], 2, 11)
    return found


def page(errors: list[float]) -> dict:
    """The two panels; the right one has room for all these errors."""
    square = draw.plane(SIDE, 1)
    over = draw.axis("m", range=[-0.4, len(RATIOS) - 0.6], tickvals=list(range(len(RATIOS))))
    over["ticktext"] = [str(m) for m in RATIOS]
    left = draw.key({"learned": LEARNED, "best rule": BEST})
    right = draw.key({"this draw": LEARNED, "mean": PALETTE["sky"], "limit": LIMIT, "Bayes": BEST}, 2)
    return draw.layout(
        panel(1, (0, 0.5), (0, 1), left, **square),
        panel(2, (0.61, 1), (0, 1), right, over, draw.axis("error", errors)),
        **PAGE,
    )


def says(family: str, m: int, averages: list[float], limit: float) -> str:
    """What to see at m, on average over the draws of the real points."""
    here, first = averages[RATIOS.index(m)], averages[0]
    if m == 0:
        return f"Real points only. On average over their draws, the error is {first:.3f}."
    many = f"{m} synthetic point{'s' * (m > 1)} for each real one"
    if family == "truth":
        return (
            f"With {many}, drawn from the truth, the mean error is {here:.3f}. These points are new data: "
            "they know more than the real ones. No generator that is fitted to the real points can do this."
        )
    change = here - first
    if abs(change) < 0.002:
        return f"{many[0].upper()}{many[1:]} change the mean error by less than 0.002."
    if change < 0:
        return (
            f"{many[0].upper()}{many[1:]} lower the mean error from {first:.3f} to {here:.3f}. They hold no "
            f"new information: what helps is what the generator assumes. For m → ∞ the mean is {limit:.3f}."
        )
    return f"{many[0].upper()}{many[1:]} raise the mean error from {first:.3f} to {here:.3f}. " + (
        "So few points are a poor fit."
        if family == "own"
        else "The generator assumes a shape that the classes do not have, and the classifier believes it."
    )


def describe(n: int, m: int, numbers: dict) -> str:
    """The figure in words."""
    said = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    return (
        f"Left, {n} real points of each of two classes, {m} synthetic ones for each, the learned boundary "
        f"and the best one. Right, errors over m, with the Bayes error as a dashed line. Here: {said}."
    )
