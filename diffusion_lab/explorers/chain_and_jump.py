"""The forward process in t small steps and in one jump: different points, the same distribution."""

import functools

import numpy as np
import torch
from torch import Tensor

from .. import drawing as draw
from ..data import toy_mixture
from ..drawing import PALETTE, Drawn
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments.chains import DRAWS, both_ways, measured, one_dimensional
from ..experiments.stored import HUNDRED, hundred_steps
from ..schedules import NoiseSchedule

T = 100
LAST = "chain[{}], jump[0]  # different points, the same distribution"  # last line of the code shown
WAYS = {"chain": PALETTE["blue"], "jump": PALETTE["green"]}
LIMIT, BINS, PLANE, N_SHOWN, N_PATHS = 3.0, 75, 2.5, 400, 2
LINE, (TICKS, POINTS) = np.linspace(-LIMIT, LIMIT, 151), draw.grid(PLANE, 33)


class ChainAndJump(Explorer):
    """The main slider is t: the number of steps of the chain, and the length of the jump.

    Numbers: the jump uses √ᾱ_t and σ_t. The chain knows only α_s and β_s of its single steps. Its x_t shows
    what they add up to: the share of x_0 that is left in x_t (least squares), and the root mean square of
    x_t − √ᾱ_t x_0. For both ways, KL(N(m, s²) ‖ q(x_t|x_0)) in nats per coordinate, where m and s² are the
    moments of all draws about √ᾱ_t x_0. If N drawn values come from q, it is about 1/N.
    """

    title = "Chain and jump: t small steps, or one large"
    portable = ("source", "schedule")
    source = Choice("1-D mixture", list(DRAWS), label="data")
    schedule = Choice("cosine", list(HUNDRED))
    seed = Slider(0, 0, 99)
    t = Slider(40, 0, T, main=True)

    def scene(self, *, source: str, schedule: str, seed: int) -> Scene:
        told: dict = dict(source=source, schedule=schedule, seed=seed)
        table, x0, chain, jump = both_ways(**told, times=[*range(T + 1)])
        found, pair = measured(table, x0, chain, jump), dict(chain=chain, jump=jump)
        plane = functools.partial(on_plane, source, schedule)
        drawn = {"1-D mixture": functools.partial(in_bars, schedule), "digit": as_images}.get(source, plane)
        traces, axes, changed = drawn(pair)
        frames = [
            Frame(
                t,
                changed(t),
                count(t, table, found),
                says(source, t, table.signal[t].item()),
                code=listing(both_ways, LAST.format(t), **told, times=[t]),
                alt=f"Left, x_t after {t} steps of the chain; beside it, x_t after one jump.",
            )
            for t in range(T + 1)
        ]
        return Scene(traces, axes, frames, digits=3)


def count(t: int, table: NoiseSchedule, found: dict) -> dict:
    """The numbers at t."""
    jump_kl, chain_kl = (text(found[way][t], 2) if t else "none" for way in ("jump", "chain"))
    row = {"jump: √ᾱ_t": table.signal[t].item(), "jump: σ_t": table.sigma[t].item(), "jump: KL to q": jump_kl}
    row |= {f"chain: {name}": found[name][t].item() for name in ("signal", "noise")}
    return row | {"chain: KL to q": chain_kl}


def says(source: str, t: int, signal: float) -> str:
    """What to see after t steps."""
    if t == 0:
        return "t = 0: no noise yet. Chain and jump both show the data."
    if t == T:
        return f"t = {t}: chain and jump have both forgotten the data. What is left is N(0, I)."
    same = {
        "1-D mixture": "both histograms follow the same curve, q_t",
        "2-D mixture": "both clouds fill the same density, q_t",
        "2-D moons": "both clouds have the same shape",
        "digit": "different noise, but the same amount",
    }[source]
    ways = "The paths differ: the chain's wander, the jump's use one ε for all t."
    left = "" if source == "digit" else f" {ways}"
    state = "almost unchanged" if signal > 0.95 else "partly hidden" if signal > 0.3 else "almost gone"
    return f"{t} step{'s' * (t > 1)}, or one jump: {same}. The data is {state}.{left}"


def in_bars(schedule: str, pair: dict[str, Tensor]) -> Drawn:
    """Histograms of both over the exact density, and the paths of two points."""
    edges, traces = np.linspace(-LIMIT, LIMIT, BINS + 1), {}
    for n, (way, x) in enumerate(pair.items(), 1):
        paths = draw.trails(torch.stack([torch.arange(T + 1.0).expand(N_PATHS, -1).T, x[:, :N_PATHS, 0]], 2))
        traces[f"{way}: bars"] = draw.bars(WAYS[way], 2 * LIMIT / BINS, n, x=(edges[1:] + edges[:-1]) / 2)
        traces[f"{way}: q_t"] = draw.curve(PALETTE["orange"], 2.5, n, x=LINE)
        traces[f"{way}: paths"] = draw.curve(WAYS[way], 1.5, 3, **paths)
    traces |= {f"{way}: here": draw.dots(WAYS[way], 3) for way in pair}

    def changed(t: int) -> dict:
        exact, changes = line_densities(schedule)[t], {}
        for way, x in pair.items():
            heights = np.histogram(x[t], BINS, (-LIMIT, LIMIT), density=True)[0]
            changes |= {f"{way}: bars": {"y": heights}, f"{way}: q_t": {"y": exact}}
            changes[f"{way}: here"] = {"x": [t] * N_PATHS, "y": x[t, :N_PATHS, 0]}
        up = {"range": [0, 1.25 * exact.max().item()]}
        return changes | {"layout": {"yaxis": up, "yaxis2": up}}

    below, up = draw.axis("x_t", range=[-LIMIT, LIMIT]), dict(zeroline=False, nticks=5)
    ways = draw.axis("t", range=[-4, T + 4]), dict(range=[-3.2, 3.2], zeroline=False, dtick=1)
    panels = [
        draw.panel(1, (0, 0.3), (0, 1), draw.colored(WAYS["chain"], "the chain's x_t"), below, up),
        draw.panel(2, (0.345, 0.645), (0, 1), draw.colored(WAYS["jump"], "the jump's x_t"), below, up),
        draw.panel(3, (0.7, 1), (0, 1), "the paths of two points", *ways),
    ]
    exact = draw.colored(PALETTE["orange"], "exact density q_t")
    panels[0]["annotations"].append(draw.note(exact, 0.3, 0.98, xanchor="right"))
    return traces, draw.layout(*panels, height=310, margin=dict(l=36, r=20, t=28, b=44)), changed


@functools.cache
def line_densities(schedule: str) -> list:
    """The exact density of x_t along the line at every t: T + 1 times [151]."""
    noised = [one_dimensional().noised(t, hundred_steps(schedule)) for t in range(T + 1)]
    return [mixture.log_prob(torch.from_numpy(LINE)[:, None]).exp() for mixture in noised]


def on_plane(source: str, schedule: str, pair: dict[str, Tensor]) -> Drawn:
    """Both clouds, over the exact density if there is one, with two points' paths so far."""
    exact, red, traces = source == "2-D mixture", PALETTE["vermillion"], {}
    for n, (way, x) in enumerate(pair.items(), 1):
        ends = dict(size=[0] * N_PATHS, color=red, line=dict(width=0))
        traces |= {f"{way}: q_t": draw.square(TICKS, n)} if exact else {}
        traces[f"{way}: x_t"] = draw.cloud(x[0, :N_SHOWN], n, "white" if exact else WAYS[way], 3)
        traces[f"{way}: paths"] = draw.curve(red, 2, n, mode="lines+markers", marker=ends)

    def changed(t: int) -> dict:
        size, changes = np.tile(np.r_[np.zeros(t), 9, 0], N_PATHS), {}
        for way, x in pair.items():
            changes[f"{way}: x_t"] = draw.xy(x[t, :N_SHOWN])
            changes[f"{way}: paths"] = draw.trails(x[: t + 1, :N_PATHS]) | {"marker": dict(size=size)}
            changes |= {f"{way}: q_t": {"z": plane_densities(schedule)[t]}} if exact else {}
        return changes

    heads = [f"the {way}'s x_t, and two paths" for way in pair]
    halves = zip((1, 2), draw.columns(1, 1, gap=0.04), heads, strict=True)
    panels = [draw.panel(n, x, (0, 1), head, **draw.plane(PLANE, n)) for n, x, head in halves]
    return traces, draw.layout(*panels, height=400), changed


@functools.cache
def plane_densities(schedule: str) -> list:
    """The exact density of x_t on the plane at every t, 255 at its highest: T + 1 times [33, 33]."""
    noised = [toy_mixture().noised(t, hundred_steps(schedule)) for t in range(T + 1)]
    return [(255 * draw.density(mixture, POINTS)).astype(np.uint8) for mixture in noised]


def as_images(pair: dict[str, Tensor]) -> Drawn:
    """The digit, one of its walks, one of its jumps."""
    names = ["x_0: the digit", "the chain's x_t: one walk", "the jump's x_t: one draw"]
    digit = pair["chain"][0, 0, 0]
    traces = {name: draw.image(digit, n, 1.5) for n, name in enumerate(("x_0", *pair), 1)}
    thirds = zip((1, 2, 3), draw.columns(1, 1, 1, gap=0.02), names, strict=True)
    panels = [draw.panel(n, x, (0, 1), name, **draw.framed(n, 8, 8)) for n, x, name in thirds]
    size = dict(height=310, margin=dict(l=4, r=4, t=28, b=12))
    return traces, draw.layout(*panels, **size), lambda t: {way: {"z": x[t, 0, 0]} for way, x in pair.items()}
