"""Per-step denoising: a sampling run can be stopped at any step, to see the state x_t, the guess at the data
and the guess at the noise."""

import torch
from torch import Tensor

from .. import drawing as draw
from ..data import toy_mixture
from ..drawing import GREY, PALETTE, Drawn
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments.runs import denoiser_of, digits_run, mixture_run
from ..experiments.stored import rms
from ..schedules import NoiseSchedule

# Panel -> its heading; each shows one of the three
TITLES = {"x_t": "x_t: the state", "x0": "x̂_0: the guess at the data", "eps": "ε̂: the guess at the noise"}
ALT = "Three panels side by side: the state x_t, the guess x̂_0 and the noise guess ε̂."
Seen = list[tuple[int, Tensor, Tensor, Tensor]]  # t, x_t, x̂_0, ε̂ at each step
LIMITS, N_TRAILS = (2.5, 1.2, 3.5), 3


class Denoising(Explorer):
    """The main slider is the number of steps done: 0 is noise, the last one is the sample.

    Numbers: t and the standard deviation of the noise at t; the root-mean-square size of x_t and ε̂; how far
    x̂_0 still is from the final sample; for the learned mixture also how far its ε̂ is from the exact one.
    """

    title = "Per-step denoising"
    portable = ("source", "label", "sampler")
    source = Choice("digits", ["mixture, exact", "mixture, learned", "digits"], label="data")
    label = Choice(3, ["any", *range(10)], label="class (digits)")
    sampler = Choice("ddim", ["ddim", "ddpm"])
    steps = Slider(20, 1, 50)
    seed = Slider(0, 0, 99)
    step = Slider(8, 0, 50, label="steps done", main=True)

    def scene(self, *, source: str, label: str | int, sampler: str, steps: int, seed: int) -> Scene:
        make = digits_run if source == "digits" else mixture_run
        asked = None if label == "any" else label
        told: dict = {"label": asked} if source == "digits" else {"source": source}
        told |= dict(sampler=sampler, steps=steps, seed=seed)
        run, exact = make(**told), denoiser_of("mixture, exact")
        schedule = run[0].prediction.schedule
        seen: Seen = [(int(p.t), p.x_t, p.x0, p.eps) for p in (step.prediction for step in run)]
        sample = run[-1].x  # at t = 0, where there is nothing to predict
        seen.append((0, sample, sample, torch.full_like(sample, torch.nan)))
        traces, axes, changed = as_images(seen) if source == "digits" else as_points(seen, schedule)
        whole = f"the {label}s" if source == "digits" and label != "any" else "data"
        frames = []
        for k, (t, x_t, x0, eps) in enumerate(seen):
            row = {"t": t, "noise σ_t": schedule.sigma[t].item(), "rms x_t": rms(x_t)}
            row |= {"rms ε̂": rms(eps) if t else "none", "x̂_0 to sample": rms(x0 - sample)}
            if source == "mixture, learned" and t:
                row["ε̂ to exact"] = rms(eps - exact(x_t, t).eps)
            sentence = says(k, t, row, steps, whole)
            then = f"run[{k}].prediction  # x_t, x0 and eps before step {k + 1}"
            code = listing(make, then if t else "run[-1].x  # the sample", **told)
            frames.append(Frame(k, changed(k), row, sentence, code=code, alt=ALT))
        return Scene(traces, axes, frames, digits=3)


def says(k: int, t: int, row: dict, steps: int, whole: str) -> str:
    """What to see after k steps; `whole` is what x̂_0 averages over at the start."""
    if k == 0:
        return f"t = {t}: x_t is pure noise, so x̂_0 is only an average over all {whole}."
    if k == steps:
        return "t = 0: this is the sample. The last step returned x̂_0 itself and added no noise."
    if row["x̂_0 to sample"] < 0.1:
        return f"t = {t}: x̂_0 has settled. The remaining steps only clean it up."
    return f"t = {t}: x̂_0 is still changing."


def as_images(seen: Seen) -> Drawn:
    """Three sheets of images; ε̂ is drawn from −3 to 3, so that mid-grey means no noise."""
    traces = {name: draw.image(None, n, 3.0 if n == 3 else 1.0) for n, name in enumerate(TITLES, 1)}

    def changed(k: int) -> dict:
        return {name: {"z": draw.tiles(x, 4)} for name, x in zip(TITLES, seen[k][1:], strict=True)}

    thirds = enumerate(zip(draw.columns(1, 1, 1, gap=0.02), TITLES.values(), strict=True), 1)
    panels = [draw.panel(n, x, (0, 1), words, **draw.framed(n, 17, 35)) for n, (x, words) in thirds]
    shapes = [draw.behind(n) for n in (1, 2, 3)]
    return traces, draw.layout(*panels, height=176, margin=dict(l=4, r=4, t=28, b=12), shapes=shapes), changed


def as_points(seen: Seen, schedule: NoiseSchedule) -> Drawn:
    """Three clouds: x_t over its exact density, x̂_0 over the density of the data, ε̂ over N(0, I)."""
    (ticks, at), (near, near_at), truth = draw.grid(LIMITS[0], 50), draw.grid(LIMITS[1], 60), toy_mixture()
    angle = torch.linspace(0, 2 * torch.pi, 61)
    circle = torch.stack([angle.cos(), angle.sin()], 1)[:, None]
    paths = torch.stack([x_t[:N_TRAILS] for _, x_t, _, _ in seen])  # [steps + 1, N_TRAILS, 2]
    first = enumerate(zip(TITLES, seen[0][1:], ("white", "white", PALETTE["green"]), strict=True), 1)
    clouds = {name: draw.cloud(x, n, color, 3) for n, (name, x, color) in first}
    traces = {"q_t": draw.square(ticks), "q_0": draw.square(near, 2, z=draw.density(truth, near_at))}
    traces["rings"] = draw.curve(GREY, 1.5, 3, **draw.trails(torch.cat([circle, 2 * circle], 1)))
    bold = draw.curve(PALETTE["vermillion"], mode="lines+markers", marker=dict(size=3))
    traces |= clouds | {"paths": bold}

    def changed(k: int) -> dict:
        clouds = {name: draw.xy(x) for name, x in zip(TITLES, seen[k][1:], strict=True)}
        z = draw.density(truth.noised(seen[k][0], schedule), at)
        return clouds | {"q_t": {"z": z}} | {"paths": draw.trails(paths[: k + 1])}

    titles = [f"{TITLES['x_t']}, and three paths", TITLES["x0"], TITLES["eps"]]
    thirds = enumerate(zip(draw.columns(1, 1, 1, gap=0.05), titles, LIMITS, strict=True), 1)
    panels = [draw.panel(n, x, (0, 1), words, **draw.plane(limit, n)) for n, (x, words, limit) in thirds]
    return traces, draw.layout(*panels, height=300), changed
