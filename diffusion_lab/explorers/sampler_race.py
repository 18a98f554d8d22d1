"""Sampler race: how close three samplers come, for every number of calls of the denoiser."""

import functools
import itertools

import numpy as np
import torch

from .. import data, pretrained, samplers, schedules
from ..exact import GaussianMixture
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, shipped, text, trained
from .figures import GAP, LOG, cloud, colored, framed, image, layout, on, panel, plane, span, tiles, title

LANES = {"ddim": "DDIM", "heun": "Heun", "dpm_solver_pp_2m": "DPM-Solver++(2M)"}
COLORS = dict(zip(LANES, (PALETTE[c] for c in ("blue", "orange", "green")), strict=True))
DRAWING = {"ddpm": "DDPM", "sde_dpm_solver_pp_2m": "SDE-DPM-Solver++(2M)", "edm": "EDM"}  # these draw noise
DRAWING_COLORS = dict(zip(DRAWING, (PALETTE[c] for c in ("vermillion", "sky", "purple")), strict=True))
TALL = torch.tensor([[[0.25, 0.15], [0.15, 0.16]]])  # a covariance
EXACT = {  # name -> the data, and the limit of its axes
    "Gaussian": (GaussianMixture(torch.tensor([[0.2, 0.1]]), covariances=TALL), 1.8),
    "mixture": (data.toy_mixture(), 1.2),
}
T, N_POINTS = 10_000, 100
CALLS = [3, 5, 7, 10, 14, 20, 28, 40, 80, 113, 160]
FIT_FROM = 80  # calls: an order is what the error does once the steps are short
FINE = 1000  # steps of the run that stands for the ODE's own end
BUDGETS = [5, 10, 20]  # calls, for the digits
TICKS = [0.05, 0.1, 0.2, 0.5, 1, 10, 100]  # Fréchet distances


class SamplerRace(Explorer):
    """The main slider is the number of calls. Heun makes two in every step but the last: 9 where 10 may be.

    Gaussian and mixture: 100 points with the exact denoiser. These samplers all follow one ODE, and should
    end where it ends (grey). Numbers: the median distance to there, and the order, fitted to the runs of 80
    calls and more: the error falls like calls^(−order). Samplers that draw noise have no such end to reach.

    Digits: the shipped network, one noise for each class. Numbers, also of the samplers that draw: the
    Fréchet distance to the held-out digits, between features of the digits classifier, mean of five seeds.
    They were measured beforehand (benchmarks/digits_samplers.py).
    """

    title = "Sampler race"
    portable = ("source", "spacing")
    source = Choice("mixture", [*EXACT, "digits"], label="data")
    spacing = Choice("log_snr", list(samplers.SPACINGS))
    calls = Slider(10, 3, 160, main=True)

    def scene(self, *, source, spacing):
        return race_of_digits(spacing) if source == "digits" else race_of_points(source, spacing)


# ------------------------------------------------------------------------------------- points
@functools.cache
def schedule():
    """So fine that rounding times to whole t does not matter."""
    return schedules.linear(T, 0.1 / T, 20 / T)


@functools.cache
def noise() -> torch.Tensor:
    """Where all runs start: [N_POINTS, 2]."""
    return samplers.p_sample_prior((N_POINTS, 2), schedule(), torch.Generator().manual_seed(0)).double()


def last_step(source: str, sampler: str, steps: int, spacing: str) -> samplers.Step:
    """The end of a run."""
    denoiser, times = EXACT[source][0].denoiser(schedule()), samplers.timesteps(schedule(), steps, spacing)
    *_, last = samplers.SAMPLERS[sampler](denoiser, noise(), schedule(), times)
    return last


@functools.cache
def finish(source: str) -> torch.Tensor:
    """Where the ODE ends: [N_POINTS, 2]."""
    return shipped(f"race.{source}")["finish"]


@functools.cache
def runs(source: str, sampler: str, spacing: str) -> tuple[list[int], np.ndarray, list[torch.Tensor]]:
    """For each of CALLS: the calls made, the median distance to the finish, the points.

    They are those of `raced`, which takes seconds and always finds the same: it ships computed.
    """
    found = shipped(f"race.{source}.{spacing}.{sampler}")
    made = [calls_in(steps_in(calls, sampler), sampler) for calls in CALLS]
    return made, found["errors"].numpy(), list(finish(source) + found["off"].double())


def raced(source: str) -> dict:
    """The runs of every sampler with every spacing, as `runs` reads them."""
    end = last_step(source, "dpm_solver_pp_2m", FINE, "log_snr").x
    found = {"finish": end}
    for spacing, sampler in itertools.product(samplers.SPACINGS, LANES):
        steps = [steps_in(calls, sampler) for calls in CALLS]
        off = torch.stack([last_step(source, sampler, n, spacing).x - end for n in steps])
        found[f"{spacing}.{sampler}.errors"] = off.norm(dim=2).median(1).values
        found[f"{spacing}.{sampler}.off"] = off.half()  # to far less than a dot's width
    return found


def steps_in(calls: int, sampler: str) -> int:
    """The most steps for so many calls."""
    return (calls + 1) // 2 if sampler in ("heun", "edm") else calls


def calls_in(steps: int, sampler: str) -> int:
    """The calls of a run of so many steps."""
    return 2 * steps - 1 if sampler in ("heun", "edm") else steps


def fit(calls: list[int], errors: np.ndarray) -> tuple[float, float]:
    """(order, log of the error at 1 call) of the line through the runs of FIT_FROM calls and more."""
    late = np.array(calls) >= FIT_FROM - 1  # Heun makes 79
    slope, start = np.polyfit(np.log(calls)[late], np.log(errors)[late], 1)
    return -slope, start


def race_of_points(source: str, spacing: str) -> Scene:
    """The samplers without noise, with the exact denoiser: how far each one stops from where the ODE ends."""
    ends = {sampler: runs(source, sampler, spacing) for sampler in LANES}
    orders = {sampler: fit(calls, errors)[0] for sampler, (calls, errors, _) in ends.items()}
    numbers = []
    for k in range(len(CALLS)):
        row = {f"{name}: error": ends[sampler][1][k].item() for sampler, name in LANES.items()}
        row |= {f"{name}: order": orders[sampler] for sampler, name in LANES.items()}
        numbers.append(row | {"Heun: calls": ends["heun"][0][k]})
    figure, frames = draw_points(source, ends)
    said = [says(k, {name: ends[s][1][k].item() for s, name in LANES.items()}) for k in range(len(CALLS))]
    return Scene(
        figure=figure,
        positions=CALLS,
        frames=frames,
        numbers=numbers,
        sentences=said,
        code=[lines(source, spacing, calls) for calls in CALLS],
        alt=[
            f"Three clouds of points after {n} calls, and the errors over calls, both logarithmic."
            for n in CALLS
        ],
        digits=3,
    )


def says(k: int, errors: dict[str, float]) -> str:
    """Who leads, and what more calls do."""
    best, worst = min(errors, key=errors.get), max(errors, key=errors.get)
    times = f"{errors[worst] / errors[best]:.3g} times as close as {worst}"
    said = f"With {CALLS[k]} calls {best} is closest, {times}."
    if errors["Heun"] > errors["DDIM"]:
        return f"{said} Heun, of order 2, is behind DDIM: its steps are twice as long, and too long."
    if CALLS[k] >= FIT_FROM:
        return f"{said} Twice the calls halve the error of order 1, and quarter that of order 2."
    return said


def draw_points(source: str, ends: dict):
    """Three lanes: where each point stopped, joined to where the ODE ends. Below, the errors over calls."""
    goal, limit = finish(source).numpy(), EXACT[source][1]
    traces = [cloud(goal, n, GREY, size=4) for n in (1, 2, 3)]
    traces += [
        dict(type="scatter", mode="lines", hoverinfo="skip", line=dict(color=GREY, width=1), **on(n))
        for n in (1, 2, 3)
    ]
    traces += [cloud(goal, n, color, size=4) for n, color in zip((1, 2, 3), COLORS.values(), strict=True)]
    for sampler, (calls, errors, _) in ends.items():
        dots = dict(mode="lines+markers", line=dict(color=COLORS[sampler], width=2), marker=dict(size=4))
        traces.append(dict(type="scatter", x=calls, y=errors, hoverinfo="skip", **dots, **on(4)))
        order, start = fit(calls, errors)
        x = np.array([10, CALLS[-1]])
        straight = dict(mode="lines", line=dict(color=COLORS[sampler], width=1.5, dash="dot"))
        traces.append(
            dict(type="scatter", x=x, y=np.exp(start) * x**-order, hoverinfo="skip", **straight, **on(4))
        )
    marker = dict(size=10, color=list(COLORS.values()), line=dict(width=1.5, color="white"))
    traces.append(dict(type="scatter", mode="markers", marker=marker, hoverinfo="skip", **on(4)))
    frames = []
    for k in range(len(CALLS)):
        frame = {}
        for n, (_, _, points) in enumerate(ends.values()):
            x = points[k].numpy()
            path = np.stack([goal, x, np.full_like(x, np.nan)], 1).reshape(-1, 2)
            frame |= {3 + n: {"x": path[:, 0], "y": path[:, 1]}, 6 + n: {"x": x[:, 0], "y": x[:, 1]}}
        at = [(calls[k], errors[k]) for calls, errors, _ in ends.values()]
        frames.append(
            frame | {len(traces) - 1: dict(zip("xy", map(list, zip(*at, strict=True)), strict=True))}
        )
    heads = [colored(COLORS[sampler], name) for sampler, name in LANES.items()]
    thirds = [(0, 0.31), (0.345, 0.655), (0.69, 1)]
    panels = [
        panel(n + 1, thirds[n], (0.48, 1), heads[n], **plane(limit, n + 1, ticks=False)) for n in range(3)
    ]
    errors = np.concatenate([errors for _, errors, _ in ends.values()])
    head = "median distance to the end of the ODE (grey above); dotted: the fitted order"
    panels.append(
        panel(4, (0, 1), (0, 0.35), head, over_calls(CALLS), LOG | dict(range=span(errors, log=True)))
    )
    return {"data": traces, "layout": layout(*panels, height=470)}, frames


def over_calls(calls: list[int]) -> dict:
    """The axis of the calls."""
    axis = dict(type="log", tickvals=calls, ticktext=list(map(str, calls)), range=span(calls, log=True))
    return axis | dict(title=title("calls of the denoiser (log scale)"))


def lines(source: str, spacing: str, calls: int) -> str:
    """The code that makes the points and the errors."""
    tall = "covariances=torch.tensor([[[0.25, 0.15], [0.15, 0.16]]])"
    gaussian = f"exact.GaussianMixture(torch.tensor([[0.2, 0.1]]), {tall})"
    return "\n".join(
        [
            "import torch",
            f"from diffusion_lab import {'data' if source == 'mixture' else 'exact'}, samplers, schedules",
            "",
            f"schedule = schedules.linear({T}, {0.1 / T:g}, {20 / T:g})",
            f"denoiser = {'data.toy_mixture()' if source == 'mixture' else gaussian}.denoiser(schedule)",
            "generator = torch.Generator().manual_seed(0)",
            f"x_T = samplers.p_sample_prior(({N_POINTS}, 2), schedule, generator).double()",
            f'fine = samplers.timesteps(schedule, {FINE}, "log_snr")',
            "*_, end = samplers.dpm_solver_pp_2m(denoiser, x_T, schedule, fine)",
            "",
            "errors = {}",
            f"for sampler, steps in {{{', '.join(f'{s!r}: {steps_in(calls, s)}' for s in LANES)}}}.items():",
            f'    times = samplers.timesteps(schedule, steps, "{spacing}")',
            "    *_, last = samplers.SAMPLERS[sampler](denoiser, x_T, schedule, times)",
            "    errors[sampler] = (last.x - end.x).norm(dim=1).median().item()",
        ]
    )


# ------------------------------------------------------------------------------------- digits
@functools.cache
def digits_after(sampler: str, spacing: str, calls: int) -> torch.Tensor:
    """One digit of each class: [10, 1, 8, 8]."""
    network = trained("digits")
    x_T = samplers.p_sample_prior((10, 1, 8, 8), network.schedule, torch.Generator().manual_seed(0))
    times = samplers.timesteps(network.schedule, steps_in(calls, sampler), spacing)
    *_, last = samplers.SAMPLERS[sampler](network.given(torch.arange(10)), x_T, network.schedule, times)
    return last.x


@functools.cache
def distances() -> dict:
    """The Fréchet distance between features, mean of the seeds: {(sampler, spacing, budget): distance}."""
    seeds = {}
    for (*cell, _), measured in pretrained.sampler_table().items():
        seeds.setdefault(tuple(cell), []).append(measured["features"])
    return {cell: sum(found) / len(found) for cell, found in seeds.items()}


def race_of_digits(spacing: str) -> Scene:
    """Digits drawn here by the shipped network, over the distances that were measured beforehand."""
    sheets = [tiles(torch.cat([digits_after(s, spacing, calls) for s in LANES]), 10) for calls in BUDGETS]
    names, found, long = LANES | DRAWING, distances(), distances()["ddpm", "trailing", 1000]
    numbers = [{name: found[s, spacing, calls] for s, name in names.items()} for calls in BUDGETS]
    numbers = [row | {"DDPM, 1000 calls": long} for row in numbers]
    said = []
    for calls, row in zip(BUDGETS, numbers, strict=True):
        best = min(names.values(), key=row.get)
        over = text(row[best] / long, 3)
        said.append(
            f"With {calls} calls {best} is closest: {over} times the Fréchet distance of 1000 calls of DDPM."
        )
    figure, frames = draw_digits(sheets, {s: [found[s, spacing, c] for c in BUDGETS] for s in names}, long)
    return Scene(
        figure=figure,
        positions=BUDGETS,
        frames=frames,
        numbers=numbers,
        sentences=said,
        code=[lines_of_digits(spacing, calls) for calls in BUDGETS],
        alt="Three rows of ten digits, one row for each sampler. Below, Fréchet distances over calls.",
        digits=3,
    )


def draw_digits(sheets, curves, long):
    """One row of digits for each sampler without noise; below, the distances of all six over the calls."""
    H, W = sheets[0].shape
    traces = [image(sheets[0], 1)]
    for s, y in curves.items():
        color, dash = (COLORS[s], "solid") if s in COLORS else (DRAWING_COLORS[s], "dash")
        style = dict(mode="lines+markers", line=dict(color=color, width=2, dash=dash), marker=dict(size=5))
        traces.append(dict(type="scatter", x=BUDGETS, y=y, hoverinfo="skip", **style, **on(2)))
    level = dict(mode="lines", line=dict(color=GREY, width=1.5, dash="dot"), hoverinfo="skip")
    traces.append(dict(type="scatter", x=[4, 60], y=[long, long], **level, **on(2)))
    colors = [*COLORS.values(), *DRAWING_COLORS.values()]
    dots = dict(size=9, color=colors, line=dict(width=1.5, color="white"))
    traces.append(dict(type="scatter", mode="markers", marker=dots, hoverinfo="skip", **on(2)))
    frames = []
    for k, calls in enumerate(BUDGETS):
        here = {"x": [calls] * len(curves), "y": [y[k] for y in curves.values()]}
        frames.append({0: {"z": sheets[k]}, len(traces) - 1: here})
    axes = framed(1, H, W)
    rows = [(H + 1) / len(LANES) * (k + 0.5) - 1 for k in range(len(LANES))]
    axes["yaxis"] |= dict(showticklabels=True, tickvals=rows, ticktext=list(LANES.values()))
    top = panel(1, (0.2, 1), (0.52, 1), "", **axes)
    gaps = dict(type="rect", x0=-0.5, x1=W - 0.5, y0=-0.5, y1=H - 0.5, fillcolor=GAP, layer="below")
    key = [
        colored(color, name) for color, name in zip(colors, [*LANES.values(), *DRAWING.values()], strict=True)
    ]
    head = "Fréchet distance to held-out digits (dotted: DDPM, 1000 calls)<br>" + "   ".join(key)
    ticks = dict(tickmode="array", tickvals=TICKS, ticktext=list(map(str, TICKS)))
    distance = LOG | ticks | dict(range=span(*curves.values(), [long], log=True))
    bottom = panel(2, (0, 1), (0, 0.36), head, over_calls(BUDGETS), distance)
    return {"data": traces, "layout": layout(top, bottom, height=470, shapes=[gaps])}, frames


def lines_of_digits(spacing: str, calls: int) -> str:
    """The code that draws the digits, and reads the table."""
    return "\n".join(
        [
            "import torch",
            "from diffusion_lab import pretrained, samplers",
            "",
            'model = pretrained.load("digits")',
            "x_T = samplers.p_sample_prior((10, 1, 8, 8), model.schedule, torch.Generator().manual_seed(0))",
            "digits = {}",
            f"for sampler, steps in {{{', '.join(f'{s!r}: {steps_in(calls, s)}' for s in LANES)}}}.items():",
            f'    times = samplers.timesteps(model.schedule, steps, "{spacing}")',
            "    denoiser = model.given(torch.arange(10))",
            "    *_, last = samplers.SAMPLERS[sampler](denoiser, x_T, model.schedule, times)",
            "    digits[sampler] = last.x",
            "",
            "table = pretrained.sampler_table()    # measured beforehand",
            f'seeds = [table["ddim", "{spacing}", {calls}, seed]["features"] for seed in range(5)]',
            "distance = sum(seeds) / 5",
        ]
    )
