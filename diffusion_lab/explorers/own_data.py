"""Draw your own data: points on a plane, and their forward process, exact score and reverse runs at once."""

import textwrap

import numpy as np
import torch

from .. import samplers, schedules
from ..exact import Empirical
from ..forward import q_sample
from ..schedules import NoiseSchedule
from .core import PALETTE, Choice, Explorer, Points, Scene, Slider, text
from .figures import DENSITY, arrow_lines, arrows, cloud, colored, grid, layout, on, panel, plane

T, STEPS = 1000, 32
# From noise to data, ever closer together, for narrow noise asks for short steps: 1000, 938, …, 4, 1, 0
TIMES = [round(T * (i / STEPS) ** 2) for i in range(STEPS, -1, -1)]
N_CLOUD, N_RUNS, N_TRAILS = 200, 60, 10
LIMIT, NEAR = 2.0, 1.2  # the planes are [−LIMIT, LIMIT]², the one in the middle is [−NEAR, NEAR]²
FIELD, ARROWS = 31, 10  # points along them: of the colours, and of the arrows
PIXEL = LIMIT / (FIELD - 1)  # half the way from one of the left plane's points to the next
# Viridis without its bright half, on which white arrows would be lost
SHADES = [[0, "#440154"], [0.5, "#3b528b"], [1, "#21918c"]]
DRAWN, RUN = PALETTE["vermillion"], PALETTE["sky"]
CLOSE = 0.01  # a run has ended on a point if it is no further away than this


def arc(count: int, radius: float, centre, start: float, end: float) -> list[tuple[float, float]]:
    """Points on an arc, both ends among them; angles in turns, counterclockwise, 0 is on the right."""
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
    """The main slider is t, from noise to data. Each point is as likely as the others, and `std` wide.

    The data is `exact.Empirical(points, std)`, a mixture: nothing here is learned. Numbers: √ᾱ_t and σ_t;
    from how many points an x_t may have come, that is exp of the mean entropy of p(point|x_t) over the x_t
    shown (points at one place count as one); and how far the runs are from the nearest √ᾱ_t · point, root
    mean square.
    """

    title = "Draw your own data"
    portable = ("points", "schedule", "sampler")
    points = Points(PRESETS["letter ε"], presets=PRESETS)
    std = Slider(0.0, 0.0, 0.3, step=0.02, label="std of a point")
    schedule = Choice("cosine", ["cosine", "sigmoid", "linear"])
    sampler = Choice("ddim", ["ddim", "ddpm"])
    seed = Slider(0, 0, 20)
    t = Slider(TIMES[20], 0, T, label="t, from noise to data", main=True)

    def scene(self, *, points, std, schedule, sampler, seed):
        table, generator = schedules.SCHEDULES[schedule](T), torch.Generator().manual_seed(seed)
        data = torch.tensor(points)
        truth = Empirical(data, std)
        x0 = truth.sample(N_CLOUD, generator)
        noise = torch.randn(x0.shape, generator=generator)  # one ε for all t
        x_T = samplers.p_sample_prior((N_RUNS, 2), table, generator)
        run = list(getattr(samplers, sampler)(truth.denoiser(table), x_T, table, TIMES, generator=generator))
        runs = torch.stack([x_T, *(step.x for step in run)])  # [STEPS + 1, N_RUNS, 2]

        places = len(data.unique(dim=0))
        sizes = (LIMIT, FIELD), (NEAR, FIELD), (NEAR, ARROWS)
        wide, near, tails = (torch.from_numpy(grid(limit, n)[1]) for limit, n in sizes)
        frames, numbers, sentences = [], [], []
        for k, t in enumerate(TIMES):
            signal, sigma = table.signal[t].item(), table.sigma[t].item()
            x_t, centres, noised = q_sample(x0, t, table, noise), signal * data, truth.noised(t, table)
            if noised.std > 0:
                behind = points_behind(torch.cat([x_t, near]), data, std, t, table)
                vectors = noised.score(tails)  # scaled anew at each t, to be seen
                vectors = 0.1 / vectors.square().mean().sqrt().clamp(min=1e-9) * vectors
            else:  # point masses: every x_t is one of them, and there is no score
                behind = torch.ones(N_CLOUD + FIELD**2)
                vectors = torch.full_like(tails, torch.nan)
            far = distances(runs[k], centres).min(1).values
            # Drawn no narrower than a pixel: a narrow peak would fall between the grid's points
            log_prob = Empirical(centres, np.hypot(noised.std, PIXEL)).log_prob(wide)
            trail = torch.cat([runs[: k + 1, :N_TRAILS], torch.full((1, N_TRAILS, 2), torch.nan)])
            frames.append(
                {
                    0: {"z": shade((log_prob - log_prob.max()).exp())},
                    1: xy(x_t),
                    2: {"z": shade(behind[N_CLOUD:].log() / np.log(max(places, 2)))},
                    3: arrow_lines(tails.numpy(), vectors.numpy()),
                    4: xy(centres),
                    5: xy(trail.transpose(0, 1).reshape(-1, 2)),
                    6: xy(runs[k]),
                    7: xy(centres),
                }
            )
            row = {"points": len(points), "√ᾱ_t": signal, "σ_t": sigma}
            row["points behind an x_t"] = behind[:N_CLOUD].log().mean().exp().item()
            row["runs to nearest point"] = far.square().mean().sqrt().item()
            numbers.append(row)
            sentences.append(says(t, std, places, row["points behind an x_t"], (far < CLOSE).sum().item()))
        return Scene(
            figure={"data": traces(places), "layout": panels(places)},
            positions=TIMES,
            frames=frames,
            numbers=numbers,
            sentences=sentences,
            code=[lines(points, std, schedule, sampler, seed, k) for k in range(STEPS + 1)],
            alt=[describe(t, row) for t, row in zip(TIMES, numbers, strict=True)],
            digits=3,
        )


def points_behind(x_t, data, std: float, t: int, schedule: NoiseSchedule) -> torch.Tensor:
    """From how many places of the data x_t [B, 2] may have come: exp of the entropy of p(place|x_t). [B]"""
    places, counts = data.unique(dim=0, return_counts=True)
    signal, sigma = schedule.signal[t].item(), schedule.sigma[t].item()
    var = signal**2 * std**2 + sigma**2
    log_p = (counts.log() - distances(x_t, signal * places).square() / (2 * var)).log_softmax(1)
    return (-(log_p.exp() * log_p).sum(1)).exp()


def distances(a, b) -> torch.Tensor:
    """‖a_i − b_j‖, taken directly: ‖a‖² − 2a·b + ‖b‖² would lose short ones in float32."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def shade(z) -> torch.Tensor:
    """Values in [0, 1] on the grid as colours 0…255: [FIELD, FIELD]."""
    return (255 * z).reshape(FIELD, FIELD).byte()


def xy(points) -> dict:
    """Points [N, 2] as a trace's coordinates."""
    return {"x": points[:, 0], "y": points[:, 1]}


def traces(places: int) -> list[dict]:
    """Left, the density and a cloud; middle, colours, arrows and the points; right, runs and the points."""
    wide, near, none = grid(LIMIT, FIELD)[0], grid(NEAR, FIELD)[0], np.zeros((1, 2))
    square = dict(type="heatmap", zmin=0, zmax=255) | DENSITY
    bar = dict(x=0.63, y=0.5, len=1, thickness=10, ypad=0, tickvals=[0, 255], ticktext=["1", str(places)])
    trail = dict(type="scatter", mode="lines", line=dict(color=RUN, width=1.5), hoverinfo="skip")
    return [
        square | dict(x=wide, y=wide),
        cloud(none, 1, "white", size=3),
        square | dict(x=near, y=near, colorscale=SHADES, showscale=True, colorbar=bar) | on(2),
        arrows(none, none, 2, "white"),
        circles(2),
        trail | on(3),
        cloud(none, 3, RUN, size=5),
        circles(3),
    ]


def circles(n: int) -> dict:
    """Circles for the points, open to let the runs be seen that end in them, on axes n."""
    marker = dict(size=9, color=DRAWN, symbol="circle-open", line=dict(width=1.5))
    return cloud(np.zeros((1, 2)), n, DRAWN) | dict(marker=marker)


def panels(places: int) -> dict:
    """Three planes side by side, with their headings."""
    names = ["x_t, drawn from the data, over q_t", "score; colour: points behind x_t"]
    names += [f"{colored(RUN, 'runs from noise')}   {colored(DRAWN, 'points')}"]
    thirds, limits = [(0, 0.29), (0.335, 0.625), (0.71, 1)], (LIMIT, NEAR, LIMIT)
    drawn = [panel(n, thirds[n - 1], (0, 1), names[n - 1], **plane(limits[n - 1], n)) for n in (1, 2, 3)]
    return layout(*drawn, height=290, margin=dict(l=28, r=12, t=28, b=24))


def says(t: int, std: float, places: int, behind: float, ended: int) -> str:
    """What to see at t, where `ended` of the runs are on a point."""
    if t == 0 and std == 0:
        here = f"t = 0: {ended} of {N_RUNS} runs have ended on a drawn point"
        if ended < N_RUNS:
            return f"{here}, the others between points that are too close for so few steps."
        return (
            f"{here}. The exact score gives back the data and nothing else: only a network that is wrong "
            "about it can make something new."
        )
    if t == 0:
        return "t = 0: the runs have ended around the points, as wide as std: samples of the mixture."
    if places == 1:
        return f"t = {t}: all points are at one place, so every arrow points to √ᾱ_t times it, at every t."
    if behind > 0.9 * places:
        return f"t = {t}: an x_t may come from almost any point. The arrows point to √ᾱ_t times their mean."
    if behind > 1.1:
        part = f"{behind:.2g} of the {places} points"
        return f"t = {t}: the field breaks up. An x_t may come from {part}, on average."
    return f"t = {t}: decided. An x_t comes from one point, and around that all arrows point to it."


def lines(points, std, schedule, sampler, seed, k) -> str:
    """The code that makes frame k."""
    t = TIMES[k]
    score = f"truth.noised({t}, schedule).score(x_t)" if t or std else "# a point mass has no score"
    return "\n".join(
        [
            "import torch",
            "from diffusion_lab import exact, forward, samplers, schedules",
            "",
            *textwrap.wrap(f"points = {points}", 100, subsequent_indent="    "),
            f"truth = exact.Empirical(torch.tensor(points), std={std})",
            f"schedule, generator = schedules.{schedule}({T}), torch.Generator().manual_seed({seed})",
            f"x0 = truth.sample({N_CLOUD}, generator)",
            "noise = torch.randn(x0.shape, generator=generator)",
            f"x_t = forward.q_sample(x0, {t}, schedule, noise)",
            score,
            f"x_T = samplers.p_sample_prior(({N_RUNS}, 2), schedule, generator)",
            f"times = [round({T} * (i / {STEPS}) ** 2) for i in range({STEPS}, -1, -1)]",
            f"run = samplers.{sampler}(truth.denoiser(schedule), x_T, schedule, times, generator=generator)",
            "runs = [x_T, *(step.x for step in run)]",
            f"runs[{k}]    # at t = {t}",
        ]
    )


def describe(t: int, row: dict) -> str:
    """The figure in words."""
    behind, far = text(row["points behind an x_t"], 2), text(row["runs to nearest point"], 2)
    return (
        f"At t = {t}. Left, {N_CLOUD} draws of x_t over their exact density. Middle, the exact score as "
        f"arrows, over the number of points behind each place; behind an x_t it is {behind}. Right, {N_RUNS} "
        f"runs from noise, {far} from the nearest of {row['points']} points."
    )
