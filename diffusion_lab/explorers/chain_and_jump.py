"""The forward process taken in t small steps and in one jump: other points, the same distribution."""

import functools

import numpy as np
import torch

from .. import data, schedules
from ..exact import GaussianMixture
from ..forward import q_chain, q_marginal, q_sample
from ..gaussian import Gaussian, kl
from .core import PALETTE, Choice, Explorer, Scene, Slider, text
from .figures import DENSITY, cloud, colored, framed, grid, image, layout, on, panel, plane, title

T = 100
# All three end in noise. The usual linear β belong to T = 1000: ten times larger, they fit 100 steps
SCHEDULES = dict(cosine={}, sigmoid={}, linear=dict(beta_1=0.001, beta_T=0.2))
# The lines that draw x_0, as the student sees them
DRAWS = {
    "1-D mixture": "x0 = chain_and_jump.one_dimensional().sample(4000, generator)",
    "2-D mixture": "x0 = data.toy_mixture().sample(4000, generator)",
    "2-D moons": "x0 = data.moons(4000, generator).double()",
    "digit": "x0 = data.digits()[0][[10]].double().expand(200, 1, 8, 8)    # 200 walks of one digit",
}
CHAIN, JUMP, PATH, EXACT = (PALETTE[c] for c in ("blue", "green", "vermillion", "orange"))
LIMIT, FINE, BINS, PLANE, N_SHOWN, N_PATHS = 3.0, 151, 75, 2.5, 400, 2
HALVES = [(0.0, 0.48), (0.52, 1.0)]


def one_dimensional() -> GaussianMixture:
    """Three Gaussians on a line, of different place, width and weight: those of notebook 02."""
    means = torch.tensor([[-0.8], [0.1], [0.8]], dtype=torch.float64)
    return GaussianMixture(means, stds=[0.12, 0.12, 0.2], weights=[0.5, 0.2, 0.3])


@functools.cache
def schedule_of(name: str):
    """The schedule behind each choice: T = 100 steps from data to noise."""
    return schedules.SCHEDULES[name](T=T, **SCHEDULES[name])


def draw(source: str, generator) -> torch.Tensor:
    """x_0 of each choice of data, float64 (the same lines as in DRAWS)."""
    if source == "1-D mixture":
        return one_dimensional().sample(4000, generator)
    if source == "2-D mixture":
        return data.toy_mixture().sample(4000, generator)
    if source == "2-D moons":
        return data.moons(4000, generator).double()
    return data.digits()[0][[10]].double().expand(200, 1, 8, 8)


class ChainAndJump(Explorer):
    """The main slider is t: how many steps the chain has taken, and how far the jump goes.

    Numbers: what the jump uses, √ᾱ_t and σ_t, and what the chain ends up with, though it knows only α_s and
    β_s of its single steps: the share of x_0 that is left in x_t (least squares) and the root-mean-square of
    x_t − √ᾱ_t x_0. For both KL(N(m, s²) ‖ q(x_t|x_0)) in nats per coordinate, m and s² the moments of all the
    draws about √ᾱ_t x_0: about 1/N for N drawn values, if they do come from q.
    """

    title = "Chain and jump: t small steps, or one large"
    portable = ("source", "name")
    source = Choice("1-D mixture", list(DRAWS), label="data")
    name = Choice("cosine", list(SCHEDULES), label="schedule")
    seed = Slider(0, 0, 99)
    t = Slider(40, 0, T, main=True)

    def scene(self, *, source, name, seed):
        schedule, generator = schedule_of(name), torch.Generator().manual_seed(seed)
        x0 = draw(source, generator)
        chain = q_chain(x0, schedule, generator)
        noise = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)  # one ε for all t
        times = torch.arange(T + 1)
        x0_at = x0.expand(T + 1, *x0.shape)  # a batch of times, each with all the data
        jump = q_sample(x0_at, times, schedule, noise.expand_as(x0_at))
        mean = q_marginal(x0_at, times, schedule).mean
        left = (chain * x0).flatten(1).sum(1) / x0.square().sum()
        spread = (chain - mean).flatten(1).square().mean(1).sqrt()
        far = [divergence(x - mean, schedule) for x in (jump, chain)]
        numbers = []
        for t in range(T + 1):
            kls = [text(each[t - 1].item(), 2) if t else "none" for each in far]
            row = {"jump: √ᾱ_t": schedule.signal[t].item(), "jump: σ_t": schedule.sigma[t].item()}
            row |= {"jump: KL to q": kls[0], "chain: signal": left[t].item()}
            numbers.append(row | {"chain: noise": spread[t].item(), "chain: KL to q": kls[1]})
        drawn = {"1-D mixture": draw_line, "digit": draw_digit}.get(source, draw_plane)
        figure, frames = drawn(source, name, chain, jump)
        return Scene(
            figure=figure,
            positions=range(T + 1),
            frames=frames,
            numbers=numbers,
            sentences=[says(source, t, schedule.signal[t].item()) for t in range(T + 1)],
            code=[self.lines(source, name, seed, t) for t in range(T + 1)],
            alt=[
                f"Left, x_t after {t} steps of the chain; beside it, x_t after one jump."
                for t in range(T + 1)
            ],
            digits=3,
        )

    @staticmethod
    def lines(source, name, seed, t):
        own = "from diffusion_lab.explorers import chain_and_jump\n" if source == "1-D mixture" else ""
        package = "forward, schedules" if own else "data, forward, schedules"
        settings = "".join(f", {key}={value}" for key, value in SCHEDULES[name].items())
        return "\n".join(
            [
                "import torch",
                f"from diffusion_lab import {package}",
                own,
                f"schedule = schedules.{name}(T={T}{settings})",
                f"generator = torch.Generator().manual_seed({seed})",
                DRAWS[source],
                "chain = forward.q_chain(x0, schedule, generator)    # x_0, x_1, …, x_T",
                "noise = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)",
                f"jump = forward.q_sample(x0, {t}, schedule, noise)",
                f"chain[{t}], jump    # other points, the same distribution",
            ]
        )


def divergence(off: torch.Tensor, schedule) -> torch.Tensor:
    """KL(N(m, s²) ‖ q(x_t|x_0)) in nats per coordinate for t = 1…T: [T].

    off [T + 1, …] is what x_t is off q's mean, and m, s² are its moments at t.
    """
    off, variance = off[1:].flatten(1), schedule.sigma[1:, None] ** 2
    found = Gaussian(off.mean(1, keepdim=True), off.var(1, correction=0, keepdim=True))
    return kl(found, Gaussian(torch.zeros_like(variance), variance))


def says(source: str, t: int, signal: float) -> str:
    """What to see after t steps."""
    if t == 0:
        return "t = 0: no step taken, and a jump of no length. Both are the data."
    if t == T:
        return f"t = {t}: the data is forgotten, either way. What is left is N(0, I)."
    same = {
        "1-D mixture": "bars of both fill one line, q_t",
        "2-D mixture": "both clouds fill one density, q_t",
        "2-D moons": "both clouds have one shape",
        "digit": "other noise on each, but as much of it",
    }[source]
    ways = "The paths differ: the chain's wander, the jump's keep to one ε."
    left = "" if source == "digit" else f" {ways}"
    state = "hardly faded" if signal > 0.95 else "partly hidden" if signal > 0.3 else "all but gone"
    return f"{t} step{'s' * (t > 1)}, or one jump: {same}. The data is {state}.{left}"


def draw_line(source, name, chain, jump):
    """Histograms of both over the exact density; then two points on their way."""
    edges, x = np.linspace(-LIMIT, LIMIT, BINS + 1), np.linspace(-LIMIT, LIMIT, FINE)
    line = dict(type="scatter", mode="lines", x=x, line=dict(color=EXACT, width=2.5), hoverinfo="skip")
    bars = dict(type="bar", x=(edges[1:] + edges[:-1]) / 2, width=2 * LIMIT / BINS, hoverinfo="skip")
    marker = dict(size=9, line=dict(width=1.5, color="white"))
    traces = [bars | dict(marker=dict(color=c)) | on(n) for n, c in ((1, CHAIN), (2, JUMP))]
    traces += [line | on(1), line | on(2)]
    for series, color in ((chain, CHAIN), (jump, JUMP)):
        paths = torch.cat([series[:, :N_PATHS, 0], torch.full((1, N_PATHS), torch.nan)]).T.reshape(-1)
        times = np.tile(np.r_[0.0 : T + 1, np.nan], N_PATHS)
        style = dict(type="scatter", mode="lines", line=dict(color=color, width=1.5), hoverinfo="skip")
        traces.append(dict(x=times, y=paths, **style, **on(3)))
    for color in (CHAIN, JUMP):
        traces.append(
            dict(type="scatter", mode="markers", marker=marker | dict(color=color), hoverinfo="skip", **on(3))
        )
    frames = []
    for t in range(T + 1):
        density = line_densities(name)[t]
        heights = [np.histogram(s[t], BINS, (-LIMIT, LIMIT), density=True)[0] for s in (chain, jump)]
        here = [{"x": [t] * N_PATHS, "y": s[t, :N_PATHS, 0]} for s in (chain, jump)]
        lines = {2: {"y": density}, 3: {"y": density}, 6: here[0], 7: here[1]}
        up = {"range": [0, 1.25 * density.max().item()]}
        frames.append(
            {0: {"y": heights[0]}, 1: {"y": heights[1]}, "layout": {"yaxis": up, "yaxis2": up}} | lines
        )
    axis = dict(range=[-LIMIT, LIMIT], title=title("x_t"), zeroline=False)
    up = dict(zeroline=False, nticks=5)
    names = [colored(CHAIN, "the chain's x_t"), colored(JUMP, "the jump's x_t")]
    ways = dict(
        xaxis=dict(title=title("t"), range=[-4, T + 4], zeroline=False),
        yaxis=axis | dict(title=None, dtick=1, range=[-3.2, 3.2]),
    )
    panels = [
        panel(1, (0, 0.3), (0, 1), names[0], axis, up),
        panel(2, (0.345, 0.645), (0, 1), names[1], axis, up),
        panel(3, (0.7, 1), (0, 1), "two points on both ways", **ways),
    ]
    note = dict(
        xref="paper", yref="paper", x=0.3, y=0.98, xanchor="right", showarrow=False, font=dict(size=13)
    )
    panels[0]["annotations"].append(note | dict(text=colored(EXACT, "exact density q_t")))
    return {
        "data": traces,
        "layout": layout(*panels, height=310, margin=dict(l=36, r=20, t=28, b=44)),
    }, frames


@functools.cache
def line_densities(name: str) -> list:
    """The exact density of x_t along the line at every t: T + 1 times [FINE]."""
    x = torch.linspace(-LIMIT, LIMIT, FINE, dtype=torch.float64)[:, None]
    return [one_dimensional().noised(t, schedule_of(name)).log_prob(x).exp() for t in range(T + 1)]


def draw_plane(source, name, chain, jump):
    """Both clouds, over the exact density if there is one, with two points' paths so far."""
    ticks, _ = grid(PLANE, 33)
    exact = source == "2-D mixture"
    colors = ("white", "white") if exact else (CHAIN, JUMP)
    path = dict(type="scatter", mode="lines+markers", hoverinfo="skip", line=dict(color=PATH, width=2))
    traces, pair = [], (chain, jump)
    for n, series in enumerate(pair, 1):
        below = dict(type="heatmap", x=ticks, y=ticks, visible=exact, **DENSITY, **on(n))
        ends = dict(size=[0] * N_PATHS, color=PATH, line=dict(width=0))
        traces += [
            below,
            cloud(series[0, :N_SHOWN], n, colors[n - 1], size=3),
            path | on(n) | dict(marker=ends),
        ]
    frames = []
    for t in range(T + 1):
        frames.append({})
        for i, series in enumerate(pair):
            x, trail = series[t, :N_SHOWN], trails(series[: t + 1, :N_PATHS])
            size = np.tile(np.r_[np.zeros(t), 9, 0], N_PATHS)
            if exact:
                frames[t][3 * i] = {"z": densities(name)[t]}
            frames[t][3 * i + 1] = {"x": x[:, 0], "y": x[:, 1]}
            frames[t][3 * i + 2] = {"x": trail[:, 0], "y": trail[:, 1], "marker": dict(size=size)}
    names = ["the chain's x_t, and two paths", "the jump's x_t, and two paths"]
    panels = [panel(n, HALVES[n - 1], (0, 1), names[n - 1], **plane(PLANE, n)) for n in (1, 2)]
    return {"data": traces, "layout": layout(*panels, height=400)}, frames


def trails(paths) -> torch.Tensor:
    """Paths [t + 1, N, 2] one after the other, a gap (NaN) after each: [N (t + 2), 2]."""
    return torch.cat([paths, torch.full_like(paths[:1], torch.nan)]).transpose(0, 1).reshape(-1, 2)


@functools.cache
def densities(name: str) -> list:
    """The exact density of x_t on the plane at every t, 255 at its highest: T + 1 times [33, 33]."""
    points, exact = torch.from_numpy(grid(PLANE, 33)[1]), data.toy_mixture()
    logs = [exact.noised(t, schedule_of(name)).log_prob(points) for t in range(T + 1)]
    return [(255 * (log - log.max()).exp()).reshape(33, 33).byte() for log in logs]


def draw_digit(source, name, chain, jump):
    """The digit, one of its walks, one of its jumps."""
    thirds = [(0, 0.32), (0.34, 0.66), (0.68, 1)]
    names = ["x_0: the digit", "the chain's x_t: one walk", "the jump's x_t: one draw"]
    traces = [image(chain[0, 0, 0], n, 1.5) for n in (1, 2, 3)]
    frames = [{1: {"z": chain[t, 0, 0]}, 2: {"z": jump[t, 0, 0]}} for t in range(T + 1)]
    panels = [panel(n, thirds[n - 1], (0, 1), names[n - 1], **framed(n, 8, 8)) for n in (1, 2, 3)]
    size = dict(height=310, margin=dict(l=4, r=4, t=28, b=12))
    return {"data": traces, "layout": layout(*panels, **size)}, frames
