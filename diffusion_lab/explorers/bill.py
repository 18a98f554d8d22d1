"""The bill: what a picture and a training step cost, by formula and as measured."""

import numpy as np

from .. import drawing as draw
from ..drawing import GREY, PALETTE, curve, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments import cost as found
from ..experiments.cost import BATCH, NETWORKS, PRECISIONS, SIZES, billed

ALL, PAIRS = PALETTE["blue"], PALETTE["vermillion"]
PICTURE, STEP, MEMORY = PALETTE["blue"], PALETTE["green"], PALETTE["purple"]

WORK, SECONDS, MEGABYTES = [3e3, 3e9], [3e-3, 5e1], [0, 360]  # what the axes show, for every network


class Bill(Explorer):
    """The main slider is the side of the picture. Lines are predicted; circles were measured, on one core.

    Multiply-adds are of one call for one picture, and exact. Times are those of a model with three numbers
    for each kind of network, fitted to sides of 8, 16 and 32. A step is one of training; memory is what it
    takes at its peak. Batches are of four pictures.
    """

    title = "The bill"
    portable = ("network", "precision", "steps")
    network = Choice("U-Net", list(NETWORKS))
    precision = Choice("fp32", list(PRECISIONS))
    steps = Choice(50, [10, 50, 250, 1000])
    size = Slider(32, SIZES[0], SIZES[-1], step=8, label="side of the picture", main=True)

    def scene(self, *, network: str, precision: str, steps: int) -> Scene:
        bills = [billed(network, size, precision, steps) for size in SIZES]
        adds, picture, training, memory = np.array(bills, dtype=np.float64).T
        pairs = np.array([found.attention(network, size) for size in SIZES], dtype=np.float64)
        rows = [[found.measured(network, size, run, precision) for size in SIZES] for run in ("call", "step")]
        calls, trainings = (np.array([row.seconds for row in kind]) for kind in rows)
        pictures, peaks = steps * calls / BATCH, np.array([row.peak for row in rows[1]])
        frames = []
        for k, size in enumerate(SIZES):
            numbers = {
                "multiply-adds, 10⁶": f"{adds[k] / 1e6:,.0f}",
                "in attention": f"{pairs[k] / adds[k]:.1%}",
                "a picture (s)": beside(picture[k], pictures[k]),
                "a step (ms)": beside(1e3 * training[k], 1e3 * trainings[k]),
                "memory (MB)": beside(memory[k] / 1e6, peaks[k] / 1e6),
            }
            frames.append(
                Frame(
                    size,
                    changes={
                        **{f"line {n}": {"x": [size, size]} for n in (1, 2, 3)},
                        "here, work": {"x": [size, size], "y": [adds[k], pairs[k]]},
                        "here, time": {"x": [size, size], "y": [picture[k], training[k]]},
                        "here, memory": {"x": [size], "y": [memory[k] / 1e6]},
                    },
                    numbers=numbers,
                    sentence=says(size, adds[k], pairs[k], adds[0]),
                    code=listing(billed, network=network, size=size, precision=precision, steps=steps),
                    alt=describe(network, precision, steps, size, numbers),
                )
            )
        left, middle, right = draw.columns(1, 1, 1, gap=0.085)
        across = draw.axis("side", range=[4, 52], dtick=8)
        keys = (
            draw.key({"multiply-adds": ALL, "in attention": PAIRS}, 2),
            draw.key({"s a picture": PICTURE, "s a step": STEP}, 2),
            draw.key({"MB a training step": MEMORY}),
        )
        page = draw.layout(
            panel(1, left, title=keys[0], xaxis=across, yaxis=draw.axis("", WORK, log=True)),
            panel(2, middle, title=keys[1], xaxis=across, yaxis=draw.axis("", SECONDS, log=True)),
            panel(3, right, title=keys[2], xaxis=across, yaxis=draw.axis("", range=MEGABYTES)),
            height=320,
        )
        weights = 20 * found.cost.weights(found.shape_of(network, SIZES[0])) / 1e6
        heights = {1: WORK, 2: SECONDS, 3: MEGABYTES}
        traces = {f"line {n}": curve(GREY, 1, n, x=[SIZES[0]] * 2, y=ends) for n, ends in heights.items()}
        traces |= {
            "all": curve(ALL, x=SIZES, y=adds),
            "pairs": curve(PAIRS, x=SIZES, y=pairs),
            "picture": curve(PICTURE, n=2, x=SIZES, y=picture),
            "training": curve(STEP, n=2, x=SIZES, y=training),
            "weights": curve(GREY, 1, 3, "dot", x=[4, 52], y=[weights, weights]),
            "memory": curve(MEMORY, n=3, x=SIZES, y=memory / 1e6),
            "pictures measured": circles(PICTURE, 2, pictures),
            "trainings measured": circles(STEP, 2, trainings),
            "peaks measured": circles(MEMORY, 3, peaks / 1e6),
            "here, work": draw.dots([ALL, PAIRS], 1, 10),
            "here, time": draw.dots([PICTURE, STEP], 2, 10),
            "here, memory": draw.dots(MEMORY, 3, 10),
        }
        return Scene(traces, page, frames)


def beside(predicted: float, measured: float) -> str:
    """Two numbers of three digits."""
    return f"{predicted:.3g}, measured {measured:.3g}"


def circles(color: str, n: int, y: np.ndarray) -> dict:
    """What was measured, on axes n: a hollow circle for each of SIZES."""
    marker = dict(size=9, color=color, symbol="circle-open", line=dict(width=1.5, color=color))
    return draw.dots(color, n) | dict(marker=marker, x=SIZES, y=y)


def says(size: int, adds: float, pairs: float, least: float) -> str:
    """What to see at this side."""
    part = pairs / adds
    share = f"Attention is {part:.0%} of the work." if part > 0.01 else "Attention is next to nothing."
    if size == SIZES[0]:
        return f"{share} In so small a picture, starting each operation takes more time than doing it."
    side = size / SIZES[0]
    work = f"{side:g} times the side is {side**2:g} times the pixels, and {adds / least:.0f} times the work."
    return f"{work} {share}"


def describe(network: str, precision: str, steps: int, size: int, numbers: dict) -> str:
    """The figure in words."""
    said = "; ".join(f"{name} {value}" for name, value in numbers.items())
    return (
        f"Three panels over the side of the picture, for {network} in {precision}: multiply-adds, all and in "
        f"attention; seconds for a picture in {steps} steps and for a training step; and megabytes of a "
        "training step, above a dotted line for what belongs to the weights. Circles were measured. At "
        f"{size}: {said}."
    )
