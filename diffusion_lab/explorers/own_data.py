"""Draw your own data: points on a plane, with their forward process, exact score and reverse runs."""

import numpy as np
import torch

from .. import drawing
from ..drawing import PALETTE, arrow_lines, arrows, cloud, curve, density, grid, key, panel, plane, square, xy
from ..engine import Choice, Explorer, Frame, Points, Scene, Slider, listing
from ..exact import Empirical
from ..experiments.own_points import N_CLOUD, N_RUNS, TIMES, T, distances, points_behind, there_and_back

N_TRAILS = 10
LIMIT, NEAR = 2.0, 1.2  # the planes are [−LIMIT, LIMIT]², the one in the middle is [−NEAR, NEAR]²
FIELD, ARROWS = 31, 10  # points along them: of the colours, and of the arrows
PIXEL = LIMIT / (FIELD - 1)  # half the way from one of the left plane's points to the next
# Viridis without its bright half, where white arrows would be invisible
SHADES = [[0, "#440154"], [0.5, "#3b528b"], [1, "#21918c"]]
DRAWN, RUN = PALETTE["vermillion"], PALETTE["sky"]
ALT = "Left, draws of x_t over their density. Middle, the exact score as arrows; the colour is the number of"
ALT += f" points that an x_t there may come from. Right, {N_RUNS} runs from noise"
Pair = tuple[float, float]
CLOSE = 0.01  # a run ends on a point if its distance to it is below this


def arc(count: int, radius: float, centre: Pair, start: float, end: float) -> list[Pair]:
    """Points on an arc, including both ends; angles in turns, counterclockwise, 0 is on the right."""
    angles = 2 * np.pi * np.linspace(start, end, count)
    return [(centre[0] + radius * np.cos(a), centre[1] + radius * np.sin(a)) for a in angles]


PRESETS = {
    "two points": [(-0.6, -0.2), (0.6, 0.4)],
    "ring": arc(12, 0.8, (0, 0), 0, 11 / 12),
    "moons": arc(9, 0.6, (-0.3, -0.15), 0, 0.5) + arc(9, 0.6, (0.3, 0.15), 0.5, 1),
    "letter ε": arc(9, 0.4, (0.1, 0.4), 0.12, 0.75) + arc(9, 0.4, (0.1, -0.4), 0.25, 0.88)[1:],
    "spiral": [(r * np.cos(11 * r), r * np.sin(11 * r)) for r in np.sqrt(np.linspace(0.02, 0.8, 24))],
}


class OwnData(Explorer):
    """The main slider is t, from noise to data. All points are equally likely, and each is `std` wide.

    The data is `exact.Empirical(points, std)`, a mixture: nothing here is learned. Numbers: √ᾱ_t and σ_t;
    the number of points that an x_t may have come from, which is exp of the mean entropy of p(point|x_t) over
    the x_t shown (points at the same place count as one); and the root-mean-square distance of the runs from
    the nearest √ᾱ_t · point.
    """

    title = "Draw your own data"
    portable = ("points", "schedule", "sampler")
    points = Points(PRESETS["letter ε"], presets=PRESETS)
    std = Slider(0.0, 0.0, 0.3, step=0.02, label="std of a point")
    schedule = Choice("cosine", ["cosine", "sigmoid", "linear"])
    sampler = Choice("ddim", ["ddim", "ddpm"])
    seed = Slider(0, 0, 20)
    t = Slider(TIMES[20], 0, T, label="t, from noise to data", main=True)

    def scene(self, *, points: tuple[Pair, ...], std: float, schedule: str, sampler: str, seed: int) -> Scene:
        told: dict = dict(points=points, std=std, schedule=schedule, sampler=sampler, seed=seed)
        truth, table, x_t, runs = there_and_back(**told)
        places, frames = len(truth.data.unique(dim=0)), []
        planes = (LIMIT, FIELD), (NEAR, FIELD), (NEAR, ARROWS)
        wide, near, tails = (torch.from_numpy(grid(limit, n)[1]) for limit, n in planes)
        for k, t in enumerate(TIMES):
            noised, now = truth.noised(t, table), f"x_t[{k}], runs[{k}]  # t = {t}: a point mass has no score"
            behind, vectors = torch.ones(N_CLOUD + FIELD**2), torch.full_like(tails, torch.nan)
            if noised.std > 0:  # at t = 0 and std = 0 every x_t is a data point
                behind = points_behind(torch.cat([x_t[k], near]), truth.data, std, t, table)
                vectors = noised.score(tails)  # rescaled at each t, to stay visible
                vectors = 0.1 / vectors.square().mean().sqrt().clamp(min=1e-9) * vectors
                now = f"x_t[{k}], truth.noised({t}, table).score(x_t[{k}]), runs[{k}]"
            far = distances(runs[k], noised.data).min(1).values
            row = {"points": len(points), "√ᾱ_t": table.signal[t].item(), "σ_t": table.sigma[t].item()}
            row["points behind an x_t"] = behind[:N_CLOUD].log().mean().exp().item()
            row["runs to nearest point"] = far.square().mean().sqrt().item()
            # Drawn at least a pixel wide: a narrower peak would fall between the grid's points
            drawn = density(Empirical(noised.data, np.hypot(noised.std, PIXEL)), wide)
            behind = behind[N_CLOUD:].log() / np.log(max(places, 2))
            changes = {"density": {"z": shade(drawn)}, "points behind": {"z": shade(behind)}}
            changes |= {"score": arrow_lines(tails.numpy(), vectors.numpy()), "x_t": xy(x_t[k])}
            changes |= {"trails": drawing.trails(runs[: k + 1, :N_TRAILS]), "runs": xy(runs[k])}
            changes |= {name: xy(noised.data) for name in ("points", "ends")}
            said = says(t, std, places, row["points behind an x_t"], int((far < CLOSE).sum()))
            code = listing(there_and_back, now, **told)
            frames.append(Frame(t, changes, row, said, code=code, alt=f"{ALT}, at t = {t}."))
        return Scene(traces(places), panels(), frames, digits=3)


def shade(z: drawing.Array) -> torch.Tensor:
    """Values in [0, 1] on the grid as colours 0…255: [FIELD, FIELD]."""
    return (255 * torch.as_tensor(z)).reshape(FIELD, FIELD).byte()


def traces(places: int) -> dict:
    """Left, the density and a cloud; middle, colours, arrows and the points; right, runs and the points."""
    wide, near, none = grid(LIMIT, FIELD)[0], grid(NEAR, FIELD)[0], np.zeros((1, 2))
    bar = dict(x=0.63, y=0.5, len=1, thickness=10, ypad=0, tickvals=[0, 255], ticktext=["1", str(places)])
    # Open circles, so that runs which end in them stay visible
    circles = dict(marker=dict(size=9, color=DRAWN, symbol="circle-open", line=dict(width=1.5)))
    drawn = {"density": square(wide, zmin=0, zmax=255), "x_t": cloud(none, 1, "white", size=3)}
    shades = dict(zmin=0, zmax=255, colorscale=SHADES, showscale=True, colorbar=bar)
    drawn |= {"points behind": square(near, 2, **shades), "score": arrows(none, none, 2, "white")}
    drawn |= {"points": cloud(none, 2, DRAWN) | circles, "trails": curve(RUN, 1.5, 3)}
    return drawn | {"runs": cloud(none, 3, RUN, size=5), "ends": cloud(none, 3, DRAWN) | circles}


def panels() -> dict:
    """Three planes side by side, with their headings."""
    names = ["draws of x_t over their density q_t", "score; colour: points behind x_t"]
    names += [key({"runs from noise": RUN, "points": DRAWN})]
    thirds, limits = [(0, 0.29), (0.335, 0.625), (0.71, 1)], (LIMIT, NEAR, LIMIT)
    drawn = [panel(n, thirds[n - 1], (0, 1), names[n - 1], **plane(limits[n - 1], n)) for n in (1, 2, 3)]
    return drawing.layout(*drawn, height=290, margin=dict(l=28, r=12, t=28, b=24))


def says(t: int, std: float, places: int, behind: float, ended: int) -> str:
    """What to see at t, where `ended` of the runs are on a point."""
    if t == 0 and std == 0:
        here = f"t = 0: {ended} of {N_RUNS} runs have ended on a drawn point"
        if ended < N_RUNS:
            return f"{here}. The others are between points that are too close together for so few steps."
        return (
            f"{here}. The exact score gives back only the data. To make something new, a network must be "
            "wrong about the score."
        )
    if t == 0:
        return "t = 0: the runs have ended around the points, as spread as std says: samples of the mixture."
    if places == 1:
        return f"t = {t}: all arrows point to √ᾱ_t times one place, at every t, since all points are there."
    if behind > 0.9 * places:
        return f"t = {t}: an x_t may come from almost any point. The arrows point to √ᾱ_t times their mean."
    if behind > 1.1:
        part = f"{behind:.2g} of the {places} points"
        return f"t = {t}: the field splits up. On average, an x_t may come from {part}."
    return f"t = {t}: each x_t comes from a single point. Around each point, all arrows point to it."
