"""The ELBO step by step: the cost of each step in bits per dimension, and how L_simple weights it."""

from typing import Any

import numpy as np

from ..drawing import PALETTE, axis, bars, curve, dots, key, layout, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments.bound import CHOICES, STEPS, Bound, bound, places, warns
from ..experiments.elbo_errors import DENOISERS, EXACT, SOURCES

COST, SIMPLE, WEIGHT, HERE = (PALETTE[name] for name in ("blue", "purple", "sky", "vermillion"))
BARS = 100  # at most: with more steps, each bar is the sum over several


class ElboTerms(Explorer):
    """The main slider is t. The term at t is L_{t−1}; at t = 1 it is L_0.

    Numbers: L_{t−1} in bits/dim; the weight w_t and the error E‖ε − ε̂‖²/D, whose product is L_{t−1} in nats
    (the large variance adds a constant); the sum of all terms from L_T down to t; the share of the steps 2…t
    in Σ L_{t−1} and in Σ L_simple; the total. The data is described in experiments/elbo_errors.py.
    """

    title = "The ELBO, term by term"
    portable = ("source", "denoiser", "variance", "schedule")
    source = Choice("mixture", SOURCES, label="data")
    denoiser = Choice("exact", DENOISERS)
    variance = Choice("small", ["small", "large"])
    schedule = Choice("cosine", CHOICES)
    T = Choice(50, STEPS)
    t = Slider(5, 1, 1000, main=True)

    def scene(self, **values: Any) -> Scene:
        now, T = bound(**values), values["T"]
        grouped, warning = group(now, T), warns(values["schedule"], T, now.prior)
        frames = [
            Frame(
                t,
                changes=mark(now, grouped, t),
                numbers=count(now, t),
                sentence=says(now, t),
                warning=warning,
                code=listing(bound, f"terms[{t}], weights[{t}], eps[{t}]", **values),
                alt=describe(now, t, values["source"], values["denoiser"]),
            )
            for t in places(T)
        ]
        return Scene(traces(now, grouped, T), axes(now, grouped, T, values["variance"]), frames, digits=3)


# ------------------------------------------------------------------------------------- what is drawn
def group(now: Bound, T: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Steps per bar; the bars' middles; for each bar the sum of L_{t−1}, and of L_simple scaled to it.

    The first bar begins at t = 2; the last may hold fewer steps.
    """
    width = -(-T // BARS)
    starts = np.arange(0, T - 1, width)
    costs, simple = (np.add.reduceat(table[2:], starts) for table in (now.terms, now.errors))
    return width, 2 + (width - 1) / 2 + starts, costs, simple * costs.sum() / simple.sum()


def traces(now: Bound, grouped: tuple, T: int) -> dict:
    """Bars with a stepped line over them; the two factors; marks at t."""
    (width, x, costs, simple), times = grouped, places(T)
    return {
        "costs": bars(COST, 0.85 * width, x=x, y=costs),
        "L_simple": curve(SIMPLE, x=x, y=simple, line=dict(color=SIMPLE, width=2.5, shape="hvh")),
        "weights": curve(WEIGHT, n=2, x=times, y=now.weights[times]),
        "errors": curve(SIMPLE, n=2, x=times, y=now.errors[times]),
        "bar at t": bars(HERE, 0.85 * width),
        "line at t": curve(HERE, 1.5),
        "factors at t": dots(HERE, 2),
    }


def mark(now: Bound, grouped: tuple, t: int) -> dict:
    """The marks at t: its bar, a line through it, two dots."""
    width, x, costs, simple = grouped
    k = [(t - 2) // width] if t > 1 else []  # L_0 has no bar
    return {
        "bar at t": {"x": x[k], "y": costs[k]},
        "line at t": {"x": [t, t], "y": [0, 1.15 * max(costs.max(), simple.max())]},
        "factors at t": {"x": [t, t], "y": [now.weights[t], now.errors[t]]},
    }


def axes(now: Bound, grouped: tuple, T: int, variance: str) -> dict:
    """Two panels, the bars above the factors; L_0 and L_T, which have no bar, at the ends of the heading."""
    width, _, costs, simple = grouped
    several = f", {width} steps per bar" if width > 1 else ""
    above = {f"cost of each step: L_(t−1){several}": COST, "L_(simple), scaled to the same sum": SIMPLE}
    factors = key({"w_t": WEIGHT, "×  E‖ε − ε̂‖²/D": SIMPLE}) + "  +  const" * (variance == "large")
    x = axis("t", range=[-0.03 * T, 1.03 * T])
    log_t = axis("t (log scale)", log=True, range=[-0.08, np.log10(T) + 0.08])
    bits = axis("bits/dim", range=[0, 1.05 * max(costs.max(), simple.max())], nticks=6)
    nats = axis("", log=True, range=[-4, 3], dtick=2)
    top = panel(1, (0, 1), (0.58, 1), key(above), x, bits)
    (heading,) = top["annotations"]
    top["annotations"] += [
        heading | dict(text=f"L_0 = {text(now.terms[1], 3)}", x=0, xanchor="left"),
        heading | dict(text=f"L_T = {text(now.prior, 3)}", x=1, xanchor="right"),
    ]
    return layout(top, panel(2, (0, 1), (0, 0.36), f"{factors}, nats", log_t, nats), height=440)


# ------------------------------------------------------------------------------------- words
def percent(share: float) -> str:
    """A share of 1, to three digits."""
    return f"{100 * share:.3g}%"


def count(now: Bound, t: int) -> dict:
    """The numbers at t."""
    row = {"L_(t−1) (bits/dim)": now.terms[t], "w_t": now.weights[t], "E‖ε − ε̂‖²/D": now.errors[t]}
    row |= {"paid from T down to t": now.paid[t]}
    row |= {"of Σ L_(t−1), steps 2…t": percent(now.share(now.terms, t))}
    row |= {"of Σ L_(simple), steps 2…t": percent(now.share(now.errors, t))}
    return row | {"total (bits/dim)": now.total}


def says(now: Bound, t: int) -> str:
    """What to see at t."""
    if t == 1:
        said = "At t = 1 the term is L_0: the cost of x_0 once x_1 is known."
        if now.terms[1] >= 0:
            return said
        return f"{said} L_0 is negative, since a density may exceed 1: only the total means something."
    share, simple = (percent(now.share(table, t)) for table in (now.terms, now.errors))
    held = f"Steps 2 to t make up {share} of the cost of all steps, and {simple} of L_(simple)."
    times = (now.terms[t] / now.terms[2:].sum()) / (now.errors[t] / now.errors[2:].sum())
    factor = max(times, 1 / times)
    if factor < 1.2:
        return f"{held} The bound and L_(simple) weight step t about equally."
    much = f"{factor:.1f}" if factor < 10 else f"{factor:.0f}"
    who = ("The bound weights", "L_(simple)") if times > 1 else ("L_(simple) weights", "the bound")
    return f"{held} {who[0]} step t {much} times as much as {who[1]} does."


def describe(now: Bound, t: int, source: str, denoiser: str) -> str:
    """The figure in words."""
    who = EXACT[source] if denoiser == "exact" else "network"
    return (
        f"Bars: the cost of each step in bits per dimension ({who}), with t = {t} marked. Line: L_(simple), "
        f"scaled to the same sum. L_0 = {text(now.terms[1], 3)} and L_T = {text(now.prior, 3)} have no "
        "bar. Below: the weight w_t and the error it multiplies, over t."
    )
