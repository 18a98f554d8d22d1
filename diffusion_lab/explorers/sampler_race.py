"""Sampler race: how close samplers come to their goal with a given number of calls of the denoiser."""

from typing import Any

import numpy as np
import torch

from .. import drawing as draw
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments import race
from ..samplers import SPACINGS

NAMES = race.LANES | race.DRAWING
COLORS = dict(zip(NAMES, ["blue", "orange", "green", "vermillion", "sky", "purple"], strict=True))
COLORS = {sampler: draw.PALETTE[color] for sampler, color in COLORS.items()}
LIMITS = {"Gaussian": 1.8, "mixture": 1.2}  # of the axes
TICKS = [0.05, 0.1, 0.2, 0.5, 1, 10, 100]  # Fréchet distances


class SamplerRace(Explorer):
    """The main slider is the number of calls. Heun makes two in every step but the last: 9 if 10 are allowed.

    Gaussian and mixture: 100 points with the exact denoiser. The samplers shown follow the same ODE and
    should end where it ends (grey). Numbers: the median distance from its end, and the order: the error falls
    like calls^(−order), fitted to runs of 80 calls and more. Samplers that draw noise have no such end.

    Digits: the shipped network, one noise for each class. Numbers, also for samplers that draw noise: the
    Fréchet distance to the held-out digits, in the features of the digits classifier, mean of five seeds.
    """

    title = "Sampler race"
    portable = ("source", "spacing")
    source = Choice("mixture", [*race.EXACT, "digits"], label="data")
    spacing = Choice("log_snr", list(SPACINGS))
    calls = Slider(10, 3, 160, main=True)

    def scene(self, *, source: str, spacing: str) -> Scene:
        return scene_of_digits(spacing) if source == "digits" else scene_of_points(source, spacing)


# ------------------------------------------------------------------------------------- points
def scene_of_points(source: str, spacing: str) -> Scene:
    """The samplers without noise, with the exact denoiser: how far from the end of the ODE each one stops."""
    ran = {sampler: race.runs(source, sampler, spacing) for sampler in race.LANES}
    orders = {f"{name}: order": race.fit(*ran[sampler][:2])[0] for sampler, name in race.LANES.items()}
    frames = []
    for k, calls in enumerate(race.CALLS):
        errors = {name: ran[sampler][1][k].item() for sampler, name in race.LANES.items()}
        row = {f"{name}: error": error for name, error in errors.items()} | orders
        frames.append(
            Frame(
                calls,
                changes=stopped(source, ran, k),
                numbers=row | {"Heun: calls": ran["heun"][0][k]},
                sentence=says(calls, errors),
                code=listing(race.race_of_points, "errors", source=source, spacing=spacing, calls=calls),
                alt=f"Three clouds of points after {calls} calls. Below, errors over calls, on log axes.",
            )
        )
    return Scene(lanes(source, ran), lanes_axes(source, ran), frames, digits=3)


def says(calls: int, errors: dict[str, float]) -> str:
    """Who leads, and what more calls do."""
    best, *_, worst = sorted(errors, key=lambda name: errors[name])
    times = f"{errors[worst] / errors[best]:.3g} times as close as {worst}"
    said = f"With {calls} calls, {best} is closest, {times}."
    if errors["Heun"] > errors["DDIM"]:
        return f"{said} Heun has order 2 but is behind DDIM: its steps are twice as long, which is too long."
    if calls >= race.FIT_FROM:
        return f"{said} Twice the calls give half the error at order 1, and a quarter at order 2."
    return said


def lanes(source: str, ran: dict) -> dict:
    """Three lanes: where each point stopped, joined to the end of the ODE. Below, the errors over calls."""
    goal, drawn = race.finish(source), {}
    for n, (sampler, (calls, errors, points)) in enumerate(ran.items(), 1):
        order, start = race.fit(calls, errors)
        x = np.array([10, race.CALLS[-1]])
        drawn |= {
            f"goal, {sampler}": draw.cloud(goal, n, draw.GREY),
            f"way, {sampler}": draw.curve(draw.GREY, 1, n),
            f"points, {sampler}": draw.cloud(points[0], n, COLORS[sampler]),
            f"errors, {sampler}": beads(sampler, 4, 4, x=calls, y=errors),
            f"order, {sampler}": draw.curve(COLORS[sampler], 1.5, 4, "dot", x=x, y=np.exp(start) * x**-order),
        }
    return drawn | {"marks": draw.dots([COLORS[sampler] for sampler in ran], 4, 10)}


def stopped(source: str, ran: dict, k: int) -> dict:
    """Where the points are after CALLS[k], lines from them to the goal, and marks on the errors."""
    found = {"marks": draw.xy(np.array([(calls[k], errors[k]) for calls, errors, _ in ran.values()]))}
    for sampler, (*_, points) in ran.items():
        found[f"points, {sampler}"] = draw.xy(points[k])
        found[f"way, {sampler}"] = draw.trails(torch.stack([race.finish(source), points[k]]))
    return found


def lanes_axes(source: str, ran: dict) -> dict:
    """The lanes side by side; below them, errors over calls."""
    heads = [draw.colored(COLORS[sampler], name) for sampler, name in race.LANES.items()]
    panels = [
        draw.panel(n, x, (0.48, 1), head, **draw.plane(LIMITS[source], n, ticks=False))
        for n, x, head in zip((1, 2, 3), draw.columns(1, 1, 1, gap=0.035), heads, strict=True)
    ]
    head = "median distance from the end of the ODE (grey above); dotted: the fitted order"
    errors = draw.LOG | dict(range=draw.span(*(errors for _, errors, _ in ran.values()), log=True))
    panels.append(draw.panel(4, (0, 1), (0, 0.35), head, over_calls(race.CALLS), errors))
    return draw.layout(*panels, height=470)


# ------------------------------------------------------------------------------------- digits
def scene_of_digits(spacing: str) -> Scene:
    """Digits drawn now by the shipped network, above distances that were measured beforehand."""
    raced = {calls: race.race_of_digits(spacing, calls) for calls in race.BUDGETS}
    long = race.distance("ddpm", "trailing", 1000)
    curves = {sampler: [far[sampler] for _, far in raced.values()] for sampler in NAMES}
    frames = []
    for calls, (digits, far) in raced.items():
        best = min(far, key=lambda sampler: far[sampler])
        times = text(far[best] / long, 3)
        said = f"With {calls} calls, {NAMES[best]} is closest: its Fréchet distance is {times} times"
        frames.append(
            Frame(
                calls,
                changes={
                    "digits": {"z": draw.tiles(torch.cat(list(digits.values())), 10)},
                    "marks": {"x": [calls] * len(far), "y": list(far.values())},
                },
                numbers={name: far[s] for s, name in NAMES.items()} | {"DDPM, 1000 calls": long},
                sentence=f"{said} that of DDPM with 1000 calls.",
                code=listing(race.race_of_digits, spacing=spacing, calls=calls),
                alt="Three rows of ten digits, one row per sampler. Below, Fréchet distances over calls.",
            )
        )
    sheet = frames[0].changes["digits"]["z"]
    return Scene(rows(sheet, curves, long), rows_axes(sheet, curves, long), frames, digits=3)


def rows(sheet: np.ndarray, curves: dict, long: float) -> dict:
    """One row of digits for each sampler without noise; below, the distances of all six over the calls."""
    lines = {f"distance, {s}": beads(s, 2, 5, x=race.BUDGETS, y=y) for s, y in curves.items()}
    level = draw.curve(draw.GREY, 1.5, 2, "dot", x=[4, 60], y=[long, long])
    marks = draw.dots([*COLORS.values()], 2)
    return {"digits": draw.image(sheet, 1)} | lines | {"1000 calls": level, "marks": marks}


def rows_axes(sheet: np.ndarray, curves: dict, long: float) -> dict:
    """The sheet with its rows' names, and the distances below."""
    H, W = sheet.shape
    axes = draw.framed(1, H, W)
    middles = [(H + 1) / len(race.LANES) * (k + 0.5) - 1 for k in range(len(race.LANES))]
    axes["yaxis"] |= dict(showticklabels=True, tickvals=middles, ticktext=list(race.LANES.values()))
    legend = draw.key({name: COLORS[sampler] for sampler, name in NAMES.items()}, gap=3)
    head = f"Fréchet distance to held-out digits (dotted: DDPM, 1000 calls)<br>{legend}"
    ticks = dict(tickmode="array", tickvals=TICKS, ticktext=list(map(str, TICKS)))
    far = draw.LOG | ticks | dict(range=draw.span(*curves.values(), [long], log=True))
    top = draw.panel(1, (0.2, 1), (0.52, 1), "", **axes)
    bottom = draw.panel(2, (0, 1), (0, 0.36), head, over_calls(race.BUDGETS), far)
    return draw.layout(top, bottom, height=470, shapes=[draw.behind()])


# ------------------------------------------------------------------------------------- both
def beads(sampler: str, n: int, size: float, **more: Any) -> dict:
    """A sampler's line with a mark at every number of calls; dashed if it draws noise."""
    dash = "dash" if sampler in race.DRAWING else "solid"
    return draw.curve(COLORS[sampler], 2, n, dash, mode="lines+markers", marker=dict(size=size), **more)


def over_calls(calls: list[int]) -> dict:
    """The axis of the calls."""
    ticks = dict(tickvals=calls, ticktext=list(map(str, calls)), range=draw.span(calls, log=True))
    return draw.axis("calls of the denoiser (log scale)", type="log", **ticks)
