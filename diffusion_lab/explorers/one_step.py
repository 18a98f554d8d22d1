"""One denoising step, three guesses at a digit: by a network, by a perfect memory and by a Gaussian."""

import numpy as np
from torch import Tensor

from ..drawing import GREY, PALETTE, axis, colored, columns, curve, dots, framed, image, layout, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, Toggle, listing
from ..experiments.one_step import GUESSES, guesses_at, likeliest, positions
from ..experiments.stored import digits, trained

COLORS = dict(zip(GUESSES, (PALETTE[c] for c in ("blue", "vermillion", "green")), strict=True))
SPLITS = {"held-out": "test", "training": "train"}
FLOOR = 1e-5  # errors below it are drawn on the bottom line
ERRORS = "[(guess - x0).square().mean().item() for guess in guesses]"  # the last line of the code shown
ALT = "Five images: x_t, three guesses at x_0, and x_0. Below, the guesses' errors over t."


class OneStep(Explorer):
    """The main slider is t. The noise ε stays the same. "By heart" is the ideal denoiser for the training
    images: their average, in which each image is weighted by its probability given x_t.

    Numbers: t and SNR_t; the mean squared error of each guess against the true x_0; the most probable
    training image given x_t, and its probability. `told`: all three know the class. Otherwise the network is
    asked for any digit, the memory holds all training digits, and there is one Gaussian per class.
    """

    title = "One step of denoising: learned, by heart, Gaussian"
    portable = ("source", "told")
    source = Choice("held-out", list(SPLITS), label="image from")
    index = Slider(27, 0, 359, label="image")
    told = Toggle(True, label="told the class")
    seed = Slider(0, 0, 20, label="noise (seed)")
    t = Slider(196, 1, 1000, main=True)

    def scene(self, *, source: str, index: int, told: bool, seed: int) -> Scene:
        given: dict = dict(split=SPLITS[source], index=index, told=told, seed=seed)
        times, schedule = positions(), trained("digits").schedule
        x0, x_t, guesses = guesses_at(**given, times=times)
        guesses = dict(zip(GUESSES, guesses, strict=True))
        errors = {who: (guess - x0).square().mean((1, 2, 3)).tolist() for who, guess in guesses.items()}
        label = int(digits(SPLITS[source])[1][index]) if told else None
        frames = []
        for k, (t, (n, p)) in enumerate(zip(times, likeliest(x_t, label, times), strict=True)):
            row = {"t": t, "SNR": schedule.snr[t].item()}
            row |= {f"mse {who}": round(errors[who][k], 5) for who in GUESSES}
            row |= {"likeliest training image": n, "its probability": p}
            at = {"x": [t] * 3, "y": [max(errors[who][k], FLOOR) for who in GUESSES]}
            changes = {who: {"z": guess[k, 0]} for who, guess in guesses.items()}
            changes |= {"x_t": {"z": x_t[k, 0]}, "t": {"x": [t, t]}, "at t": at}
            sentence = says(row, told, source == "training", n == index)
            code = listing(guesses_at, ERRORS, **given, times=[t])
            frames.append(Frame(t, changes, row, sentence, code=code, alt=ALT))
        return Scene(traces(times, x0, errors), axes(times, told), frames, digits=3)


def says(row: dict, told: bool, training: bool, itself: bool) -> str:
    """What to see at this t."""
    if row["SNR"] < 0.03:
        average = "its class" if told else "all digits"
        return f"Almost nothing of x_0 is left in x_t: all three guess about the average of {average}."
    errors = {who: row[f"mse {who}"] for who in GUESSES}
    nearest = [who for who in GUESSES if errors[who] == min(errors.values())]
    best = f"Closest to the truth: {' and '.join(nearest)}."
    if row["its probability"] < 0.9:
        return f"By heart still mixes several training images. {best}"
    which = f"training image {row['likeliest training image']}"
    if not training:
        return f"By heart has settled on {which}. It can never guess x_0, which is not in its memory. {best}"
    if itself:
        return "By heart has found x_0 itself: a memory is perfect on images that it has seen."
    return f"By heart has settled on {which}: x_t looks more like that image than like x_0. {best}"


def traces(times: list[int], x0: Tensor, errors: dict[str, list[float]]) -> dict:
    """Five images; the errors over t, with marks at the current t."""
    traces = {name: image(x0[0, 0], n) for n, name in enumerate(("x_t", *GUESSES, "x_0"), 1)}
    for who in GUESSES:
        traces[f"mse {who}"] = curve(COLORS[who], n=6, x=times, y=np.maximum(errors[who], FLOOR))
    return traces | {"t": curve(GREY, 1.5, 6, y=[FLOOR, 1]), "at t": dots(list(COLORS.values()), 6)}


def axes(times: list[int], told: bool) -> dict:
    """A row of images over one plot."""
    heads = dict(zip(GUESSES, ("network", "by heart", "Gaussian" if told else "10 Gaussians"), strict=True))
    heads = ["x_t", *(colored(COLORS[who], words) for who, words in heads.items()), "x_0: the truth"]
    fifths = enumerate(zip(columns(1, 1, 1, 1, 1, gap=0.025), heads, strict=True), 1)
    panels = [panel(n, x, (0.55, 1), words, **framed(n, 8, 8)) for n, (x, words) in fifths]
    below = axis("t", range=[-0.01 * times[-1], 1.01 * times[-1]])
    up = axis("", log=True, range=[np.log10(FLOOR), 0])
    panels.append(panel(6, (0, 1), (0, 0.42), "mean squared error against x_0", below, up))
    return layout(*panels, height=400)
