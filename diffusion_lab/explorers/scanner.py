"""A scanner with few views: the reconstruction, its error, what it claims its error is, and an alarm."""

import numpy as np
import torch
from torch import Tensor

from .. import drawing as draw
from ..drawing import GREY, PALETTE
from ..engine import Choice, Explorer, Frame, Scene, Slider, Toggle, listing
from ..experiments.scanner import HEALTHY, KINDS, MOST, evidence_of, healthy_log_p, in_interval, scanned

UNIT = {"CT": "views", "MR": "lines of k-space"}
OFF = 0.5  # error and std are drawn from 0 to this
HEADS = ["x_0: the truth", "reconstruction", f"its error, 0 to {OFF}", f"its std, 0 to {OFF}"]
HERE, RING = PALETTE["blue"], PALETTE["vermillion"]


class Scanner(Explorer):
    """The main slider is the number of views (CT), or of lines of k-space (MR). The body and the noise stay.

    The reconstruction is the mean of the exact posterior under a prior of healthy bodies, std the width of
    that posterior, pixel by pixel. Numbers: the root mean squares of its error and of std; the share of
    pixels inside their 90 % interval; the contrast of the lesion in the reconstruction and in truth, and
    std there; log p(y) less the median of 500 healthy scans, and the share of these whose log p(y) is lower
    still. It is for teaching: nothing here may be used on a patient.
    """

    title = "A scanner: what it shows, how sure it is, and what it misses"
    portable = ("kind", "lesion")
    kind = Choice("CT", list(KINDS), label="scanner")
    lesion = Toggle(True)
    seed = Slider(12, 0, 20, label="body (seed)")
    count = Slider(4, 1, max(MOST.values()), label="views or lines", main=True)

    def scene(self, *, kind: str, lesion: bool, seed: int) -> Scene:
        counts = list(range(1, MOST[kind] + 1))
        scans = [scanned(kind, count, lesion, seed) for count in counts]
        usual = [healthy_log_p(kind, count) for count in counts]
        log_p = [evidence_of(kind, n).log_prob(scan["y"][1:]) for n, scan in zip(counts, scans, strict=True)]
        surprise = [(p - healthy.median()).item() for p, healthy in zip(log_p, usual, strict=True)]
        frames = []
        for n, scan, p, healthy, above in zip(counts, scans, log_p, usual, surprise, strict=True):
            row = measures(scan, lesion) | {"log p(y) − median": above}
            row["below"] = int((healthy < p).sum())
            error, code = (scan["mean"] - scan["x_0"])[1, 0].abs(), "mean[1], std  # with the lesion, if any"
            changes: dict = {"mean": {"z": scan["mean"][1, 0]}, "error": {"z": error}}
            changes |= {"std": {"z": scan["std"][0]}, "now": {"x": [n], "y": [above]}}
            frames.append(
                Frame(
                    n,
                    changes,
                    numbers(row, len(scan["y"][1])),
                    says(row, f"{n} {UNIT[kind] if n > 1 else UNIT[kind].replace('s', '', 1)}"),
                    code=listing(scanned, code, kind=kind, count=n, lesion=lesion, seed=seed),
                    alt=describe(row, n, kind),
                )
            )
        traces = pictures(scans[0], lesion) | alarm(counts, usual, surprise)
        return Scene(traces, axes(kind, counts, usual, surprise), frames, digits=3)


def measures(scan: dict[str, Tensor], lesion: bool) -> dict[str, float]:
    """Error, std, coverage, and what became of the lesion."""
    (twin, x_0), (without, mean), std, covered = scan["x_0"], scan["mean"], scan["std"], scan["covered"]
    row = {"error": (mean - x_0).square().mean().sqrt().item(), "std": std.square().mean().sqrt().item()}
    row["inside"] = in_interval(x_0, mean, std).double().mean().item()
    if lesion:
        there = {"truth": x_0 - twin, "seen": mean - without, "std there": std}
        row |= {key: ((covered * z).sum() / covered.sum()).item() for key, z in there.items()}
    return row


def numbers(row: dict[str, float], measured: int) -> dict:
    """What stands under the figure."""
    lesion = f"{row['seen']:.2f} of {row['truth']:.2f}" if "seen" in row else "none"
    there = f"{row['std there']:.3f}" if "seen" in row else "none"
    return {
        "measured numbers": measured,
        "rms error": row["error"],
        "rms std": row["std"],
        "pixels in their 90 % interval": f"{row['inside']:.0%}",
        "lesion's contrast": lesion,
        "std there": there,
        "log p(y) − median": f"{row['log p(y) − median']:+.1f} nats",
        "healthy scans below it": f"{row['below']} of {HEALTHY}",
    }


def says(row: dict[str, float], seen: str) -> str:
    """What to see, and what it means."""
    rare = row["below"] < 0.01 * HEALTHY
    if "seen" not in row:
        said = f"From {seen}: the error is {row['error']:.3f}, and std said {row['std']:.3f}."
        if rare:
            return f"{said} This healthy body is an unusual one: p(y) raises a false alarm."
        return f"{said} The body is one that the prior knows, so its claim can be believed; p(y) is as usual."
    lost = (row["truth"] - row["seen"]) / row["std there"]
    shows = f"{row['seen']:.2f} of the lesion's contrast of {row['truth']:.2f}"
    said = f"From {seen}: the reconstruction shows {shows}."
    said += f" What is missing is {lost:.0f} × the std claimed there: the lesion is lost with confidence."
    fewer = f"{row['below']} of {HEALTHY} healthy scans are less probable"
    return f"{said} But p(y) raises the alarm: {fewer}." if rare else f"{said} Nor does p(y) notice: {fewer}."


def pictures(scan: dict[str, Tensor], lesion: bool) -> dict:
    """Four images, and a ring around the lesion in the last three."""
    hot = draw.SQUARE | dict(zmin=0, zmax=OFF, zsmooth=False)
    traces = {"truth": draw.image(scan["x_0"][1, 0], 1), "mean": draw.image(None, 2)}
    traces |= {"error": hot | dict(z=None, **draw.on(3)), "std": hot | dict(z=None, **draw.on(4))}
    angle, covered = np.linspace(0, 2 * np.pi, 41), scan["covered"][0]
    ticks = torch.arange(len(covered), dtype=torch.float64)
    x, y = ((covered.sum(d) * ticks).sum() / covered.sum().clamp(min=1e-9) for d in (0, 1))
    ring: dict = dict(x=[], y=[])
    if lesion:
        ring = dict(x=x.item() + 2.3 * np.cos(angle), y=y.item() + 2.3 * np.sin(angle))
    return traces | {f"ring {n}": draw.curve(RING, 1.5, n, **ring) for n in (2, 3, 4)}


def alarm(counts: list[int], usual: list[Tensor], surprise: list[float]) -> dict:
    """log p(y) of this scan over the number of views, in front of what is usual for healthy ones."""
    low, high = quantiles(usual)
    band = dict(x=[*counts, *counts[::-1]], y=[*low, *high[::-1]], fill="toself")
    traces = {"healthy": draw.curve(GREY, 0, 5, fillcolor="rgba(128, 128, 128, 0.35)", **band)}
    traces["log p"] = draw.curve(HERE, 2, 5, x=counts, y=surprise)
    return traces | {"now": draw.dots(HERE, 5, 11)}


def quantiles(usual: list[Tensor]) -> tuple[list[float], list[float]]:
    """The 1 % and the 99 % quantile of healthy scans less their median, for each number of views."""
    low, high = ([(h.quantile(q) - h.median()).item() for h in usual] for q in (0.01, 0.99))
    return low, high


def axes(kind: str, counts: list[int], usual: list[Tensor], surprise: list[float]) -> dict:
    """A row of images over one plot."""
    quarters = enumerate(zip(draw.columns(1, 1, 1, 1, gap=0.025), HEADS, strict=True), 1)
    panels = [draw.panel(n, x, (0.46, 1), words, **draw.framed(n, 16, 16)) for n, (x, words) in quarters]
    below = draw.axis(UNIT[kind], range=[0.7, counts[-1] + 0.3], dtick=1)
    up = draw.axis("nats", *quantiles(usual), surprise, [0], nticks=6)
    key = {"log p(y) of this scan": HERE, f"1 to 99 % of {HEALTHY} healthy scans (median 0)": GREY}
    panels.append(draw.panel(5, (0, 1), (0, 0.33), draw.key(key), below, up))
    return draw.layout(*panels, height=430)


def describe(row: dict[str, float], count: int, kind: str) -> str:
    """The figure in words."""
    ring = ", with a ring where the lesion is" if "seen" in row else ""
    usual = "below" if row["below"] < 0.01 * HEALTHY else "within or above"
    images = "a body, its reconstruction, the error and its std"
    return (
        f"Four images of 16 × 16, from {count} {UNIT[kind]}: {images}{ring}. Below them, log p(y) over the "
        f"number of {UNIT[kind]}; here it is {usual} the band of healthy scans."
    )
