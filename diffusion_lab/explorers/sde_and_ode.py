"""Two ways back through one density: the reverse SDE, and the ODE that has the same marginals, in 1-D."""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch

from .. import likelihood, sde, sde_samplers
from ..exact import GaussianMixture
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, shipped, text
from .figures import colored, layout, on, panel, span, title

STDS, WEIGHTS = [0.15, 0.35], [0.35, 0.65]
DATA = GaussianMixture(torch.tensor([[-1.2], [0.8]], dtype=torch.float64), STDS, weights=WEIGHTS)
BETWEEN = -0.5  # the two blobs
SDES = {"vp": sde.vp(), "sub-vp": sde.sub_vp(), "ve": sde.ve(), "straight": sde.straight()}
STEPS = ["5", "10", "20", "40", "200"]
T = 40  # u = t/T at the frames
FIRST = {"straight": 0.99}  # where the SDE starts, if its coefficients are infinite at u = 1
N, N_PATHS = 2000, 8
RANKS = range(1, 100)  # the ODE's paths start at these percentiles of N(0, 1); the thin ones at every tenth
CHANCE = 1.63 / math.sqrt(N)  # a KS distance that N draws from the density exceed once in a hundred times
GAP = 2e-6  # log p_u by the ODE ships as its difference from the exact one, in these units
LIMIT = 3.0  # the axis of x is [−LIMIT, LIMIT]
ROWS, EDGES = np.linspace(-LIMIT, LIMIT, 61), np.linspace(-LIMIT, LIMIT, 41)
BIN = EDGES[1] - EDGES[0]
SHADE = [[0, "rgba(128, 128, 128, 0)"], [1, "rgba(128, 128, 128, 0.9)"]]  # on a light and a dark page
SDE_COLOR, ODE_COLOR, GREEN = PALETTE["orange"], PALETTE["blue"], PALETTE["green"]
FIRST_MOVING, LOG_P, NOW, DOTS = 1, 8, 9, 10  # traces


class SdeAndOde(Explorer):
    """The main slider is time u, from noise to data; it stops where the SDE's steps do.

    x starts, and is drawn, in units of √(signal² + sigma²): so all SDEs fit one axis. Numbers: signal and
    sigma; what SDE and ODE have made of 2000 starts, evenly spaced percentiles of N(0, 1): their variance, as
    a part of the exact one, and the KS distance (how far apart the distribution functions are, at most); of
    the green path how much of the density lies below it, and log p_u in nats (of x itself, not of x in those
    units): exact, by the ODE, which adds up divergences along the path, and the difference.
    """

    title = "SDE and ODE: two ways through one density"
    portable = ("name", "steps")
    name = Choice("vp", list(SDES), label="SDE")
    steps = Choice("40", STEPS, label="steps of the SDE")
    rank = Slider(40, 1, 99, label="percentile")
    seed = Slider(0, 0, 20)
    u = Slider(0.4, 0.0, 1.0, step=0.025, label="u, from noise to data", main=True)

    def scene(self, *, name, steps, rank, seed):
        times = range(T, -1, -T // min(int(steps), T))  # at the frames
        flow, (crowd, paths) = ode(name), reverse(name, int(steps), rank, seed)
        frames, numbers, sentences = [], [], []
        for k, t in enumerate(times):
            q, unit = marginal(name, t)
            row = count(name, t, q, crowd[k], flow, RANKS.index(rank))
            crowds = stairs(histogram(crowd[k] / unit)), stairs(flow.heights[T - t])
            thin = flow.paths[:, RANKS.index(10) :: 10]
            so_far = until(paths, k), until(thin, T - t), until(flow.paths[:, [RANKS.index(rank)]], T - t)
            here = [*paths[k], flow.paths[T - t, RANKS.index(rank)]]
            frames.append(
                frame(t, [{"x": density(name, t)}, *crowds, *so_far], flow.by_ode[:, RANKS.index(rank)], here)
            )
            numbers.append(row)
            sentences.append(says(name, t, rank, paths[k], row))
        exact, by_ode = (log_p[:, RANKS.index(rank)] for log_p in (flow.exact, flow.by_ode))
        return Scene(
            figure={"data": traces(name, times, exact, by_ode), "layout": axes(exact, by_ode)},
            positions=[t / T for t in times],
            frames=frames,
            numbers=numbers,
            sentences=sentences,
            warning=[warns(steps, row) for row in numbers],
            code=[code(name, steps, rank, seed, t / T) for t in times],
            alt=[describe(row) for row in numbers],
            digits=3,
        )


# ------------------------------------------------------------------------------------------ what happens
@functools.cache
def marginal(name: str, t: int) -> tuple[GaussianMixture, float]:
    """The exact density at u = t/T, and the unit of x there, √(signal² + sigma²)."""
    signal, sigma = SDES[name].marginal(t / T)
    return DATA.noised(t, SDES[name].schedule(T)), math.hypot(signal, sigma)


def column(x) -> torch.Tensor:
    """Numbers as a batch of points in one dimension: [B, 1]."""
    return torch.as_tensor(x, dtype=torch.float64).reshape(-1, 1)


def percentile(part) -> torch.Tensor:
    """Below it lies this part of N(0, 1): [B, 1]."""
    return torch.special.ndtri(column(part))


STARTS = percentile((np.arange(N) + 0.5) / N)


@dataclass(frozen=True, eq=False)
class Flow:
    """What the ODE does, at u = 1, …, 0."""

    heights: np.ndarray  # the histogram of its states from STARTS, in units [T + 1, bins]
    variance: np.ndarray  # of these states, as a part of the exact one [T + 1]
    distance: np.ndarray  # their KS distance [T + 1]
    paths: np.ndarray  # from each of RANKS, in units; as all that follows [T + 1, 99]
    below: np.ndarray  # the part of the density below the path
    exact: np.ndarray  # log q_u there
    by_ode: np.ndarray  # log p_u there


@functools.cache
def ode(name: str) -> Flow:
    """What `solved` has found, which takes seconds and is always the same: it ships computed."""
    found = shipped(f"ode.{name}")
    counts, variance, distance, paths = (
        found[key].double().numpy() for key in ("counts", "variance", "distance", "paths")
    )
    exact, below = np.empty_like(paths), np.empty_like(paths)
    for k, t in enumerate(range(T, -1, -1)):
        q, unit = marginal(name, t)
        x = column(paths[k] * unit)
        exact[k], below[k] = q.log_prob(x), distribution(q, x)
    return Flow(
        counts / (N * BIN), variance, distance, paths, below, exact, exact + GAP * found["gap"].numpy()
    )


def solved(name: str) -> dict:
    """The ODE's way from u = 1 to 0, from STARTS and RANKS, and log p_u along the latter; for `ode`."""
    process, denoiser = SDES[name], DATA.denoiser(SDES[name].schedule(T))
    up, options = torch.arange(T + 1) / T, dict(rtol=1e-6, atol=1e-6)
    densities, units = zip(*(marginal(name, t) for t in range(T, -1, -1)), strict=True)
    x_T = units[0] * torch.cat([STARTS, percentile([rank / 100 for rank in RANKS])])
    down = sde_samplers.probability_flow(denoiser, x_T, process, up.flip(0), **options)
    path = likelihood.likelihood_path(denoiser, down[-1, N:], process, up, **options)
    x, by_ode = (part.flip(0) for part in path)
    spreads = torch.tensor(
        [spread(*each) for each in zip(densities, down[:, :N], strict=True)], dtype=torch.float64
    )
    counts = [N * BIN * histogram(x / unit) for x, unit in zip(down[:, :N], units, strict=True)]
    gap = by_ode - torch.stack([q.log_prob(x) for q, x in zip(densities, x, strict=True)])
    return {
        "counts": torch.from_numpy(np.stack(counts)).round().short(),
        "variance": spreads[:, 0],
        "distance": spreads[:, 1],
        "paths": (x[..., 0] / column(units)).float(),
        "gap": (gap / GAP).round().short(),
    }


def spread(q: GaussianMixture, x: torch.Tensor) -> tuple[float, float]:
    """The variance of states [N, 1], as a part of that of q, and their KS distance from q."""
    mean = q.weights @ q.means[:, 0]
    var = q.weights @ (q.var[:, 0] + q.means[:, 0] ** 2) - mean**2
    steps, below = torch.arange(N + 1, dtype=torch.float64) / N, distribution(q, x.sort(0).values)
    distance = torch.maximum(steps[1:] - below, below - steps[:-1]).max()
    return (x.var(correction=0) / var).item(), distance.item()


@functools.lru_cache(32)
def reverse(name: str, steps: int, rank: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """The SDE's states at the frames: from STARTS [frames, N, 1]; from the rank, in units [frames, 8]."""
    process, first = SDES[name], FIRST.get(name, 1.0)
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    times = torch.cat([times.new_tensor([first]), times[times < first]])
    starts = torch.cat([percentile([rank / 100] * N_PATHS), STARTS])
    unit, generator = torch.hypot(*process.marginal(first)), torch.Generator().manual_seed(seed)
    denoiser = DATA.denoiser(process.schedule(T))
    run = sde_samplers.reverse_sde(denoiser, unit * starts, process, times, generator)
    states = {round(T * step.t, 6): step.x for step in run} | {T: marginal(name, T)[1] * starts}
    frames = range(T, -1, -T // min(steps, T))
    x = torch.stack([states[t] for t in frames])
    units = column([marginal(name, t)[1] for t in frames])
    return x[:, N_PATHS:], (x[:, :N_PATHS, 0] / units).numpy()


def distribution(q: GaussianMixture, x: torch.Tensor) -> torch.Tensor:
    """The part of q that lies below x: [B, 1] -> [B]."""
    return torch.special.ndtr((x - q.means[:, 0]) / q.var[:, 0].sqrt()) @ q.weights


def count(name: str, t: int, q: GaussianMixture, crowd: torch.Tensor, flow: Flow, path: int) -> dict:
    """The numbers at u = t/T, where `crowd` [N, 1] is what the SDE has made of STARTS."""
    k, (signal, sigma) = T - t, SDES[name].marginal(t / T)
    row = {"u": t / T, "signal": signal.item(), "sigma": sigma.item()}
    spreads = {"SDE": spread(q, crowd), "ODE": (flow.variance[k], flow.distance[k])}
    for who, (variance, distance) in spreads.items():
        row |= {f"{who}: variance/exact": variance, f"{who}: KS distance": distance}
    below, exact, by_ode = (part[k, path].item() for part in (flow.below, flow.exact, flow.by_ode))
    row |= {"below the green path": f"{below:.1%}", "log p_u, exact": exact, "log p_u, by the ODE": by_ode}
    row["difference"] = f"{round(by_ode - exact, 4) + 0.0:.4f}"
    return row


# ------------------------------------------------------------------------------------------- the picture
@functools.cache
def density(name: str, t: int) -> np.ndarray:
    """The exact density of x in units at u = t/T, over the rows."""
    q, unit = marginal(name, t)
    return (q.log_prob(column(ROWS * unit)).exp() * unit).numpy()


def histogram(x: torch.Tensor) -> np.ndarray:
    """The draws' density between the edges."""
    return np.histogram(x.numpy(), EDGES)[0] / (len(x) * BIN)


def stairs(heights: np.ndarray) -> dict:
    """A histogram as the steps of a line."""
    return {"x": np.repeat(heights, 2)}


def until(paths: np.ndarray, k: int) -> dict:
    """Paths [frames, P] up to frame k, one after the other with a gap: all have their full length (NaN)."""
    shown = np.full((len(paths) + 1, paths.shape[1]), np.nan)
    shown[: k + 1] = paths[: k + 1]
    return {"y": shown.T.ravel()}


def frame(t: int, moving: list[dict], by_ode: np.ndarray, here: list) -> dict:
    """What changes at u = t/T: the `moving` traces, log p_u by the ODE so far, and the paths' ends."""
    so_far, u = np.where(np.arange(T + 1) <= T - t, by_ode, np.nan), t / T
    patch = dict(enumerate(moving, FIRST_MOVING)) | {LOG_P: {"y": so_far}, NOW: {"x": [u, u]}}
    return patch | {DOTS: {"x": np.full(len(here), u), "y": np.array(here)}}


def traces(name: str, times, exact: np.ndarray, by_ode: np.ndarray) -> list[dict]:
    """The density (grey), the SDE (orange), the ODE (blue) and one of its paths (green), in three panels."""
    u = np.arange(T, -1, -1) / T
    z = np.stack([density(name, t) for t in range(T, -1, -1)], 1)
    edges = np.repeat(EDGES, 2)[1:-1]

    def line(color, width, **more):
        style = dict(color=color, width=width)
        return dict(type="scatter", mode="lines", line=style, hoverinfo="skip", **more)

    def again(x, count):  # the u of several paths, with a gap after each
        return np.tile(np.append(x, np.nan), count)

    heat = dict(colorscale=SHADE, zmin=0, zmax=0.8, showscale=False, hoverinfo="skip", zsmooth="fast")
    colors = [SDE_COLOR] * N_PATHS + [GREEN]
    filled = dict(fill="tozerox", fillcolor="rgba(128, 128, 128, 0.4)")
    return [
        dict(type="heatmap", x=u, y=ROWS, z=z, **heat),
        line(GREY, 1, y=ROWS, **filled, **on(2)),
        line(SDE_COLOR, 2, y=edges, **on(2)),
        line(ODE_COLOR, 2, y=edges, **on(2)),
        line(SDE_COLOR, 1.2, x=again(np.array(times) / T, N_PATHS)),
        line(ODE_COLOR, 1.2, x=again(u, 9)),
        line(GREEN, 3.5, x=again(u, 1)),
        line(GREY, 6, x=u, y=exact, **on(3)),
        line(GREEN, 2, x=u, **on(3)),
        line(GREY, 1, y=span(exact, by_ode), **on(3)),
        dict(type="scatter", mode="markers", marker=dict(size=7, color=colors), hoverinfo="skip"),
    ]


def axes(exact: np.ndarray, by_ode: np.ndarray) -> dict:
    """The layout: paths over the density, histograms beside them, log p_u below."""
    across = dict(range=[1, 0], zeroline=False, dtick=0.2)
    x = dict(range=[-LIMIT, LIMIT], zeroline=False, dtick=1)
    names = [(SDE_COLOR, f"{N_PATHS} paths of the SDE"), (ODE_COLOR, "of the ODE")]
    names += [(GREEN, "the ODE's from the same start")]
    key = "    ".join(colored(*pair) for pair in names)
    crowd = "  ".join(colored(*pair) for pair in [(SDE_COLOR, "SDE"), (ODE_COLOR, "ODE"), (GREY, "exact")])
    log_p = dict(range=span(exact, by_ode), zeroline=False, nticks=5, title=title("nats"))
    under = f"log p_u along the green path: {colored(GREY, 'exact')}  {colored(GREEN, 'by the ODE')}"
    beside = dict(range=[0, 1.3], zeroline=False, dtick=0.5, title=title(f"density; {N} states each"))
    return layout(
        panel(1, (0, 0.7), (0.4, 1), key, across, x | dict(title=title("x / √(signal² + sigma²)"))),
        panel(2, (0.75, 1), (0.4, 1), crowd, beside, x | dict(showticklabels=False)),
        panel(3, (0, 0.7), (0, 0.24), under, across | dict(title=title("u, from noise to data")), log_p),
        height=480,
        margin=dict(l=56, r=12, t=28, b=40),
    )


# --------------------------------------------------------------------------------------------- the words
def says(name: str, t: int, rank: int, x: np.ndarray, row: dict) -> str:
    """What to see at u = t/T; x [N_PATHS] is where the SDE's paths are."""
    if t == T:
        first = f" (The SDE starts at {FIRST[name]}, since at 1 it is infinite.)" if name in FIRST else ""
        return f"u = 1: noise. The green path and all orange ones start where {rank}% lie below.{first}"
    below = row["below the green path"]
    if t > 0:
        return (
            f"Below the green path lie {below} of the density, as at every u: the ODE keeps the order. The "
            "SDE does not: from the same start its paths have come to "
            f"{text(x.min(), 2)} … {text(x.max(), 2)}."
        )
    left = int((x < BETWEEN).sum())
    return (
        f"u = 0: data. From one start {left} of {N_PATHS} paths of the SDE have come to the left blob and "
        f"{N_PATHS - left} to the right. The green path ends where {below} of the data lie below."
    )


def warns(steps: str, row: dict) -> str:
    """A warning where the SDE's steps are too few for its density; else nothing."""
    distance = row["SDE: KS distance"]
    if distance <= CHANCE:
        return ""
    return (
        f"{steps} steps are too few for the SDE: its KS distance is {text(distance, 2)}, where {N} draws "
        f"from the density stay below {text(CHANCE, 2)} in 99 of 100 cases."
    )


def code(name: str, steps: str, rank: int, seed: int, u: float) -> str:
    """Lines that give the states at u: of the green path x and log_p, of the SDE the paths and the crowd."""
    first = FIRST.get(name, 1.0)
    lines = [
        "import torch",
        "from diffusion_lab import likelihood, sde, sde_samplers",
        "from diffusion_lab.exact import GaussianMixture",
        "",
        f"means = torch.tensor({DATA.means.tolist()}, dtype=torch.float64)",
        f"data = GaussianMixture(means, stds={STDS}, weights={WEIGHTS})",
        f"process = sde.{name.replace('-', '_')}()",
        f"denoiser = data.denoiser(process.schedule({T}))",
        f"parts = [{rank / 100}] * {N_PATHS} + [(i + 0.5) / {N} for i in range({N})]",
        "starts = torch.special.ndtri(torch.tensor(parts, dtype=torch.float64))[:, None]",
        "unit = torch.hypot(*process.marginal(1))    # √(signal² + sigma²)",
    ]
    if u == 1:
        return "\n".join([*lines, "x = unit * starts"])
    lines += [
        f"x = sde_samplers.probability_flow(denoiser, unit * starts[:1], process, (1, {u}))[-1]    # green",
        f"log_p = likelihood.log_likelihood(denoiser, x, process, start={u})",
        f"times = torch.linspace(1, 0, {int(steps) + 1}, dtype=torch.float64)",
    ]
    if first < 1:
        lines += [
            f"times = torch.cat([times.new_tensor([{first}]), times[times < {first}]])  # ∞ at u = 1",
            "unit = torch.hypot(*process.marginal(times[0]))",
        ]
    lines += [
        f"generator = torch.Generator().manual_seed({seed})",
        "run = sde_samplers.reverse_sde(denoiser, unit * starts, process, times, generator)",
        "states = {round(step.t, 6): step.x for step in run}",
        f"paths, crowd = states[{u}].split([{N_PATHS}, {N}])    # the SDE",
    ]
    return "\n".join(lines)


def describe(row: dict) -> str:
    """The figure in words."""
    variances = ", ".join(f"{who} {text(row[f'{who}: variance/exact'], 3)}" for who in ("SDE", "ODE"))
    exact, by_ode = (text(row[f"log p_u, {who}"], 3) for who in ("exact", "by the ODE"))
    return (
        f"At u = {text(row['u'])}, over the density: paths of the SDE and the ODE up to here. Beside it "
        f"histograms of {N} states; variance as a part of the exact one: {variances}. Below, along the "
        f"green path, log p_u: {exact}, by the ODE {by_ode}."
    )
