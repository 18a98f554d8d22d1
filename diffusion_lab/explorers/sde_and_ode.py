"""Two ways from noise to data, in 1-D: the reverse SDE, and the ODE with the same marginals."""

import functools
import math

import numpy as np
from torch import Tensor

from .. import drawing as draw
from ..drawing import GREY, PALETTE, axis, curve, key, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments import sde_flow
from ..experiments.sde_flow import FIRST, N_PATHS, RANKS, SDES, N, Path, T, by_sde, flow, green_path, marginal

STEPS = [5, 10, 20, 40, 200]
BETWEEN = -0.5  # the two blobs
CHANCE = 1.63 / math.sqrt(N)  # N draws from the density have a larger KS distance once in a hundred times
ROWS = np.linspace(-3, 3, 61)
U = np.arange(T, -1, -1) / T
SHADE = [[0, "rgba(128, 128, 128, 0)"], [1, "rgba(128, 128, 128, 0.9)"]]  # on a light and a dark page
SDE_COLOR, ODE_COLOR, GREEN = PALETTE["orange"], PALETTE["blue"], PALETTE["green"]


class SdeAndOde(Explorer):
    """The main slider is time u, from noise to data; it has a stop at each step of the SDE.

    x starts and is drawn in units of √(signal² + sigma²), so that all SDEs fit one axis. SDE and ODE both
    start from 2000 evenly spaced percentiles of N(0, 1). Numbers: signal and sigma; the variance of the SDE's
    states, divided by the exact one; the KS distance of both from the exact density (the largest difference
    of the distribution functions). For the green path: how much of the density lies below it; the exact log
    p_u in nats (of x itself, not in those units); and the error of the ODE's log p_u, which adds up
    divergences along the path.
    """

    title = "SDE and ODE: two ways through one density"
    portable = ("process", "steps")
    process = Choice("vp", list(SDES), label="SDE")
    steps = Choice(40, STEPS, label="steps of the SDE")
    rank = Slider(40, 1, 99, label="percentile")
    seed = Slider(0, 0, 20)
    u = Slider(0.4, 0.0, 1.0, step=0.025, label="u, from noise to data", main=True)

    def scene(self, *, process: str, steps: int, rank: int, seed: int) -> Scene:
        times = range(T, -1, -T // min(steps, T))  # at the frames
        states, green = by_sde(process, steps, rank, seed), green_path(process, rank)
        paths = np.stack([states[t / T][:N_PATHS, 0] / marginal(process, t)[1] for t in times])
        frames = []
        for k, t in enumerate(times):
            crowd = states[t / T][N_PATHS:]
            row = count(process, t, crowd, green)
            frames.append(
                Frame(
                    t / T,
                    changes=crowds(process, t, crowd) | ways(process, t, paths, k, green),
                    numbers=row,
                    sentence=says(process, t, rank, paths[k], row["below the green path"]),
                    warning=warns(steps, row["SDE: KS distance"]),
                    code=code(process, steps, rank, seed, t / T),
                    alt=describe(t, row),
                )
            )
        return Scene(traces(process, times, green), axes(green), frames, digits=3)


def code(name: str, steps: int, rank: int, seed: int, u: float) -> str:
    """Code for the states at u: paths and crowd of the SDE; x and log_p of the green path."""
    split = f"paths, crowd = states[{u}].split([{N_PATHS}, {N}])"
    orange = listing(by_sde, split, name=name, steps=steps, rank=rank, seed=seed)
    return orange if u == 1 else f"{orange}\n\n{listing(sde_flow.by_ode, name=name, rank=rank, u=u)}"


def count(name: str, t: int, crowd: Tensor, green: Path) -> dict:
    """The numbers at u = t/T, where `crowd` [N, 1] are the SDE's states from all starts."""
    signal, sigma = SDES[name].marginal(t / T)
    variance, distance = sde_flow.spread(marginal(name, t)[0], crowd)
    row = {"signal": signal.item(), "sigma": sigma.item()}
    row |= {"SDE: variance/exact": variance, "SDE: KS distance": distance}
    row |= {"ODE: KS distance": flow(name).distance[T - t]}
    below, exact, by_ode = (part[T - t].item() for part in (green.below, green.exact, green.by_ode))
    row |= {"below the green path": f"{below:.1%}", "log p_u, exact": exact}
    return row | {"log p_u, by the ODE − exact": f"{round(by_ode - exact, 4) + 0.0:.4f}"}


# ------------------------------------------------------------------------------------------- the picture
@functools.cache
def density(name: str, t: int) -> np.ndarray:
    """The exact density of x in units at u = t/T, over the rows."""
    q, unit = marginal(name, t)
    return (q.log_prob(sde_flow.column(ROWS * unit)).exp() * unit).numpy()


def crowds(name: str, t: int, crowd: Tensor) -> dict:
    """What changes beside the paths: the exact density, and two histograms as stepped lines."""
    states = sde_flow.histogram(crowd / marginal(name, t)[1]), flow(name).heights[T - t]
    sde, ode = ({"x": np.repeat(heights, 2)} for heights in states)
    return {"density": {"x": density(name, t)}, "crowd of the SDE": sde, "crowd of the ODE": ode}


def ways(name: str, t: int, paths: np.ndarray, k: int, green: Path) -> dict:
    """What changes with the paths: the paths and log p_u by the ODE up to u, and the mark at u."""
    u, here = t / T, np.append(paths[k], green.x[T - t])
    return {
        "paths of the SDE": until(paths, k),
        "paths of the ODE": until(flow(name).paths[:, RANKS.index(10) :: 10], T - t),
        "green path": until(green.x[:, None], T - t),
        "log p_u, by the ODE": {"y": np.where(u <= U, green.by_ode, np.nan)},
        "u": {"x": [u, u]},
        "ends": {"x": np.full(len(here), u), "y": here},
    }


def until(paths: np.ndarray, k: int) -> dict:
    """Paths [frames, P] up to frame k, one after the other with a gap: all have their full length (NaN)."""
    shown = np.full((len(paths) + 1, paths.shape[1]), np.nan)
    shown[: k + 1] = paths[: k + 1]
    return {"y": shown.T.ravel()}


def again(times: np.ndarray, count: int) -> np.ndarray:
    """The u of several paths, with a gap after each."""
    return np.tile(np.append(times, np.nan), count)


def traces(name: str, times: range, green: Path) -> dict:
    """The density (grey), the SDE (orange), the ODE (blue) and one of its paths (green), in three panels."""
    z = np.stack([density(name, t) for t in range(T, -1, -1)], 1)
    edges = np.repeat(sde_flow.EDGES, 2)[1:-1]
    filled = dict(fill="tozerox", fillcolor="rgba(128, 128, 128, 0.4)")
    ends = dict(size=7, color=[SDE_COLOR] * N_PATHS + [GREEN])
    return {
        "heat": draw.square(ROWS, x=U, z=z, colorscale=SHADE, zmin=0, zmax=0.8),
        "density": curve(GREY, 1, 2, y=ROWS, **filled),
        "crowd of the SDE": curve(SDE_COLOR, 2, 2, y=edges),
        "crowd of the ODE": curve(ODE_COLOR, 2, 2, y=edges),
        "paths of the SDE": curve(SDE_COLOR, 1.2, x=again(np.array(times) / T, N_PATHS)),
        "paths of the ODE": curve(ODE_COLOR, 1.2, x=again(U, 9)),
        "green path": curve(GREEN, 3.5, x=again(U, 1)),
        "log p_u, exact": curve(GREY, 6, 3, x=U, y=green.exact),
        "log p_u, by the ODE": curve(GREEN, 2, 3, x=U),
        "u": curve(GREY, 1, 3, y=draw.span(green.exact, green.by_ode)),
        "ends": dict(type="scatter", mode="markers", marker=ends, hoverinfo="skip"),
    }


def axes(green: Path) -> dict:
    """The layout: paths over the density, histograms beside them, log p_u below."""
    across = dict(range=[1, 0], zeroline=False, dtick=0.2)
    x = axis("x / √(signal² + sigma²)", range=[-3, 3], dtick=1)
    above = {f"{N_PATHS} paths of the SDE": SDE_COLOR, "of the ODE": ODE_COLOR}
    above = key(above | {"ODE path from the same start": GREEN})
    beside = axis(f"density; {N} states each", range=[0, 1.3], dtick=0.5)
    crowd = key({"SDE": SDE_COLOR, "ODE": ODE_COLOR, "exact": GREY}, gap=2)
    under = f"log p_u along the green path: {key({'exact': GREY, 'by the ODE': GREEN}, gap=2)}"
    nats = axis("nats", green.exact, green.by_ode, nticks=5)
    return draw.layout(
        panel(1, (0, 0.7), (0.4, 1), above, across, x),
        panel(2, (0.75, 1), (0.4, 1), crowd, beside, x | dict(title=None, showticklabels=False)),
        panel(3, (0, 0.7), (0, 0.24), under, axis("u, from noise to data") | across, nats),
        height=480,
        margin=dict(l=56, r=12, t=28, b=40),
    )


# --------------------------------------------------------------------------------------------- the words
def says(name: str, t: int, rank: int, x: np.ndarray, below: str) -> str:
    """What to see at u = t/T; x [N_PATHS] is where the SDE's paths are."""
    if t == T:
        first = f" (The SDE starts at u = {FIRST[name]}: at 1 it is infinite.)" if name in FIRST else ""
        return f"u = 1: noise. The green path and all orange paths start at percentile {rank}.{first}"
    if t > 0:
        return (
            f"At every u, {below} of the density lies below the green path: the ODE keeps points in order. "
            "The SDE does not: its paths began together and are now between "
            f"{text(x.min(), 2)} and {text(x.max(), 2)}."
        )
    left = int((x < BETWEEN).sum())
    return (
        f"u = 0: data. From the same start, {left} of {N_PATHS} SDE paths have come to the left blob and "
        f"{N_PATHS - left} to the right. The green path ends with {below} of the data below it."
    )


def warns(steps: int, distance: float) -> str:
    """A warning where the SDE has too few steps for its density."""
    if distance <= CHANCE:
        return ""
    return (
        f"{steps} steps are too few for the SDE: its KS distance is {text(distance, 2)}. That of {N} draws "
        f"from the exact density is below {text(CHANCE, 2)} in 99 of 100 cases."
    )


def describe(t: int, row: dict) -> str:
    """The figure in words."""
    variance, exact = (text(row[name], 3) for name in ("SDE: variance/exact", "log p_u, exact"))
    return (
        f"Paths of the SDE and the ODE from u = 1 to {text(t / T)}, over the density. Beside them, "
        f"histograms of {N} states each; the SDE's variance is {variance} times the exact one. Below, along "
        f"the green path, log p_u: exact {exact}; by the ODE {row['log p_u, by the ODE − exact']} more."
    )
