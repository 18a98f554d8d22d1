"""Repair: pixels of a digit are hidden, and several methods guess at them, beside the exact posterior."""

import torch
from torch import Tensor

from .. import drawing as draw
from ..engine import Choice, Explorer, Frame, Points, Scene, Slider, listing
from ..experiments.restored import METHODS, SIDE, clue, digits, repair, right_answers, visible
from ..steps import Step

Pair = tuple[float, float]
COLUMNS = 4  # of the sheets of samples
MARGIN = dict(l=4, r=4, t=28, b=12)


def centres(hide: Tensor) -> list[Pair]:
    """The middles of the pixels where `hide` [8, 8] is true."""
    at = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    return [(at[column].item(), -at[row].item()) for row, column in hide.nonzero().tolist()]


ROW, COLUMN = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
HIDDEN = {
    "right half": centres(COLUMN >= 4),
    "lower half": centres(ROW >= 4),
    "a hole": centres((ROW - 3.5).abs().maximum((COLUMN - 3.5).abs()) < 2),
    "every other pixel": centres((ROW + COLUMN) % 2 == 1),
}


class Repair(Explorer):
    """The main slider is the number of steps done. The prior is one Gaussian for each class of digits.

    Numbers, of the hidden pixels: the error of the mean of the twelve x̂_0 (its root mean square), and their
    spread (standard deviation); both also of twelve samples of the exact posterior p(x_0|y).
    """

    title = "Repair: guess the hidden pixels"
    portable = ("hidden", "method")
    hidden = Points(HIDDEN["right half"], presets=HIDDEN, label="hidden pixels")
    method = Choice("replacement", list(METHODS))
    picture = Slider(30, 0, 359, label="held-out digit")
    seed = Slider(0, 0, 20)
    step = Slider(25, 0, 25, label="steps done", main=True)

    def scene(self, *, hidden: tuple[Pair, ...], method: str, picture: int, seed: int) -> Scene:
        told: dict = dict(hidden=hidden, picture=picture, method=method, seed=seed)
        run, exact = repair(**told), right_answers(hidden, picture, seed)
        truth, keep = digits("test")[0][picture].double(), visible(hidden)
        seen = last_of_each_time(run)
        right, frames = measured(exact, truth, keep), []
        for k, step in enumerate(seen):
            x0, shown = step.x, "run[-1].x"
            if step.t > 0:  # the guess that the next step starts from
                x0, shown = seen[k + 1].prediction.x0, f"run[{run.index(seen[k + 1])}].prediction.x0"
            t, row = step.t, measured(x0, truth, keep)
            numbers = {"t": t, "calls": step.calls if k else 0}
            numbers |= {"error": row[0], "spread": row[1]}
            numbers |= {"error, exact": right[0], "spread, exact": right[1]}
            frames.append(
                Frame(
                    k,
                    changes={"guesses": {"z": draw.tiles(x0.float(), COLUMNS)}},
                    numbers=numbers,
                    sentence=says(method, int(t), row, right),
                    code=listing(repair, shown, **told),
                    alt=describe(method, len(hidden), numbers),
                )
            )
        measurement, y = clue(hidden, picture, seed)
        known = torch.where(keep, measurement.adjoint(y[None])[0], torch.nan)
        sheet = draw.tiles(exact.float(), COLUMNS)
        traces = {
            "truth and clue": draw.image(draw.tiles(torch.stack([truth, known]).float(), 1), 1),
            "guesses": draw.image(sheet, 2),
            "exact samples": draw.image(sheet, 3),
        }
        words = ("truth, and what is seen", f"{method}: twelve x̂_0", "exact samples of p(x_0|y)")
        sizes = ((2 * SIDE + 1, SIDE), sheet.shape, sheet.shape)
        places = draw.columns(1, 2.2, 2.2, gap=0.03)
        panels = [
            draw.panel(n, x, (0, 1), title, **draw.framed(n, *size))
            for n, (x, title, size) in enumerate(zip(places, words, sizes, strict=True), 1)
        ]
        shapes = [draw.behind(n) for n in (1, 2, 3)]
        return Scene(traces, draw.layout(*panels, height=290, margin=MARGIN, shapes=shapes), frames, digits=3)


def last_of_each_time(run: list[Step]) -> list[Step]:
    """The state before the first step, then the last visit of each time: RePaint comes to each ten times."""
    first = run[0].prediction
    start = Step(int(first.t), first.x_t, first, 0)
    return [start, *{step.t: step for step in run}.values()]


def measured(x: Tensor, truth: Tensor, keep: Tensor) -> tuple[float, float]:
    """Of the hidden pixels: the root mean square error of the samples' mean, and the samples' spread."""
    x, truth = x[:, ~keep], truth[~keep]
    error = (x.mean(0) - truth).square().mean().sqrt().item()
    return error, x.var(0).mean().sqrt().item()


def says(method: str, t: int, row: tuple, right: tuple) -> str:
    """What to see at t."""
    if t > 600:
        return f"t = {t}: the noise still hides almost everything, so all twelve x̂_0 are blurred and alike."
    if t > 0:
        return f"t = {t}: each x̂_0 is deciding for one digit that fits the pixels it sees."
    ratio = row[1] / right[1]
    if method == "exact guidance":
        return "With the exact score the sampler draws from p(x_0|y), up to the error of 25 steps."
    wide = "more widely than" if ratio > 1.1 else "less widely than" if ratio < 0.9 else "about as widely as"
    said = f"Its samples spread {wide} those of p(x_0|y): {row[1]:.2f} against {right[1]:.2f}."
    return f"{method[0].upper()}{method[1:]} is done. {said}"


def describe(method: str, count: int, numbers: dict) -> str:
    """The figure in words."""
    said = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    left = f"Left, a digit, and the same digit with {count} pixels hidden"
    return f"{left}. Middle, twelve guesses by {method}; right, twelve exact samples. Here: {said}."
