"""Super-resolution: one slider from the mean of all answers to one of the answers."""

import numpy as np

from .. import drawing as draw
from ..drawing import GREY, PALETTE, curve, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments import super_resolved as found
from ..experiments.super_resolved import EXPLORED, SHOWN, between

ERROR, DISTANCE = PALETTE["vermillion"], PALETTE["blue"]
PAGE = dict(height=330, margin=dict(l=8, r=12, t=28, b=48))


class SuperResolution(Explorer):
    """The main slider is w, in mean + w (sample − mean): w = 0 is the posterior mean, w = 1 a sample.

    The picture is one of 128 held-out patches. The curves, and all numbers but the last, are of all 128. PSNR
    is the squared error in decibels: 3 dB are a factor of 2. The Fréchet distance is between the pixels of
    8 × 8 blocks of the answers and of other held-out patches.
    """

    title = "Super-resolution: the best guess and a likely picture"
    portable = ("method", "picture")
    method = Choice("network told y", list(EXPLORED))
    picture = Slider(1, 1, SHOWN, label="held-out patch")
    w = Slider(0.0, 0.0, 1.25, step=0.0625, label="w: from mean to sample", main=True)

    def scene(self, *, method: str, picture: int) -> Scene:
        answers, truth, small, enlarged = found.answers(method), *found.shown(picture)
        mean, sample = answers["mean"][picture - 1], answers["sample"][picture - 1]
        error, distance = answers["curves"].T
        plain, frames = found.of_bicubic(), []
        for k, w in enumerate(found.W):
            x = mean + w * (sample - mean)
            numbers = {
                "PSNR (dB)": found.decibels(error[k].item()),
                "PSNR, bicubic": found.decibels(plain["error"]),
                "distance": distance[k].item(),
                "distance, bicubic": plain["distance"],
                "distance, truth": found.floor(),
                "error / error of the mean": (error[k] / error[0]).item(),
                "PSNR, this patch": found.decibels((x - truth).square().mean().item()),
            }
            ratios = [(values[k] / values[0]).item() for values in (error, distance)]
            frames.append(
                Frame(
                    w,
                    changes={"picture": {"z": x[0]}, "here": {"x": [w, w], "y": ratios}},
                    numbers=numbers,
                    sentence=says(w, ratios),
                    code=listing(between, method=method, picture=picture, w=w),
                    alt=describe(method, w, numbers),
                )
            )
        column = np.full((74, 24), np.nan, dtype=np.float32)
        for k, z in enumerate((small, enlarged, truth)):
            column[25 * k : 25 * k + 24] = z[0].clamp(-1, 1)
        left, middle, right = (0, 0.13), (0.16, 0.55), (0.62, 1)
        over_w = draw.axis("w", range=[-0.05, 1.3], dtick=0.25)
        both = draw.axis("", error / error[0], distance / distance[0], [0])
        key = draw.key({"squared error": ERROR, "Fréchet distance": DISTANCE})
        panels = (
            panel(1, left, (0, 1), "y, bicubic, truth", **draw.framed(1, 74, 24)),
            panel(2, middle, (0, 1), "mean + w (sample − mean)", **draw.framed(2, 24, 24)),
            panel(3, right, (0, 1), key, over_w, both),
        )
        traces = {
            "known and truth": draw.image(column, 1),
            "picture": draw.image(mean[0], 2),
            "one": curve(GREY, 1, 3, "dot", x=[-0.05, 1.3], y=[1, 1]),
            "error": curve(ERROR, 2, 3, x=found.W, y=error / error[0]),
            "distance": curve(DISTANCE, 2, 3, x=found.W, y=distance / distance[0]),
            "here": draw.dots([ERROR, DISTANCE], 3, 11),
        }
        words = draw.note(
            "each relative to its value at w = 0", 0.02, 0.99, xref="x3 domain", yref="y3 domain"
        )
        page = draw.layout(*panels, shapes=[draw.behind()], **PAGE)
        page["annotations"].append(words | dict(xanchor="left", font=dict(size=12)))
        return Scene(traces, page, frames)


def says(w: float, ratios: list[float]) -> str:
    """What to see at w."""
    error, distance = ratios
    if w == 0:
        return (
            "The mean of all answers: no other guess has a lower squared error. Where the answers disagree "
            "about an edge, it is blurred."
        )
    cost = f"The error is {error:.2f} times that of the mean, which is {10 * np.log10(error):.1f} dB."
    if w < 1:
        return f"{cost} The distance to real patches is {distance:.2f} times that of the means."
    if w == 1:
        return (
            f"A sample: one of the pictures that may be behind y. {cost} The distance to real patches is "
            f"{distance:.2f} times that of the means."
        )
    return f"Beyond the sample: more contrast than the method's posterior has. {cost}"


def describe(method: str, w: float, numbers: dict) -> str:
    """The figure in words."""
    said = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    return (
        "Left, from top to bottom, the 6 × 6 pixels y, bicubic interpolation, and the true patch. Middle, "
        f"{method} at w = {w:g}. Right, error and distance over w, both relative to w = 0. Here: {said}."
    )
