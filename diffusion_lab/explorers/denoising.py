"""Per-step denoising: a sampling run, stopped at any step: the state, the guess at the data, the guess at
the noise."""

import functools

import numpy as np
import torch

from .. import data, samplers
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, trained
from .figures import DENSITY, GAP, cloud, framed, grid, image, layout, on, panel, plane, tiles

THIRDS = [(0.0, 0.3), (0.35, 0.65), (0.7, 1.0)]
TITLES = ["x_t: the state", "x̂₀: what it seems to become", "ε̂: what it takes for noise"]
LIMIT, N_POINTS, N_TRAILS, N_IMAGES = 2.5, 400, 3, 8


@functools.cache
def denoiser_of(source: str):
    """The denoiser behind each choice of data."""
    if source == "mixture, exact":
        return data.toy_mixture().denoiser(trained("mixture").schedule)
    return trained({"mixture, learned": "mixture", "digits": "digits"}[source])


class Denoising(Explorer):
    """The main slider is the number of steps done: 0 is noise, the last one is the sample.

    Numbers: t and the standard deviation of the noise there; the root-mean-square size of x_t and ε̂; how
    far x̂₀ still is from the sample that comes out; for the learned mixture also how far its ε̂ is from the
    exact one.
    """

    title = "Per-step denoising"
    portable = ("source", "label", "sampler")
    source = Choice("digits", ["mixture, exact", "mixture, learned", "digits"], label="data")
    label = Choice("3", ["any", *"0123456789"], label="class (digits)")
    sampler = Choice("ddim", ["ddim", "ddpm"])
    steps = Slider(20, 1, 50)
    seed = Slider(0, 0, 99)
    step = Slider(8, 0, 50, label="steps done", main=True)

    def scene(self, *, source, label, sampler, steps, seed):
        digits = source == "digits"
        denoiser = denoiser_of(source)
        schedule = trained("digits" if digits else "mixture").schedule
        if digits:
            denoiser = denoiser.given(None if label == "any" else int(label))
        generator = torch.Generator().manual_seed(seed)
        x_T = samplers.p_sample_prior((N_IMAGES, 1, 8, 8) if digits else (N_POINTS, 2), schedule, generator)
        times = samplers.timesteps(schedule, steps)
        run = list(getattr(samplers, sampler)(denoiser, x_T, schedule, times, generator=generator))

        sample = run[-1].x
        seen = [
            step.prediction for step in run
        ]  # made at times[0], …, times[-2]: at t = 0 there is nothing to predict
        states = [p.x_t for p in seen] + [sample]
        guesses = [p.x0 for p in seen] + [sample]
        noises = [p.eps for p in seen] + [torch.full_like(sample, float("nan"))]
        numbers = [
            {
                "t": t,
                "noise σ_t": schedule.sigma[t].item(),
                "rms x_t": rms(x),
                "rms ε̂": rms(e),
                "x̂₀ to sample": rms(x0 - sample),
            }
            for t, x, x0, e in zip(times, states, guesses, noises, strict=True)
        ]
        numbers[-1]["rms ε̂"] = "none"
        if source == "mixture, learned":
            exact = denoiser_of("mixture, exact")
            for row, p in zip(numbers, seen, strict=False):
                row["ε̂ to exact"] = rms(p.eps - exact(p.x_t, p.t).eps)
        draw = draw_images if digits else draw_points
        figure, frames = draw(states, guesses, noises, schedule, times)
        return Scene(
            figure=figure,
            positions=range(steps + 1),
            frames=frames,
            numbers=numbers,
            sentences=[
                says(k, t, row, steps, f"the {label}s" if digits and label != "any" else "data")
                for k, (t, row) in enumerate(zip(times, numbers, strict=True))
            ],
            code=[self.lines(source, label, sampler, steps, seed, k) for k in range(steps + 1)],
            alt="Three panels side by side: the state x_t, the guess x̂₀ and the noise guess ε̂.",
            digits=3,
        )

    @staticmethod
    def lines(source, label, sampler, steps, seed, k):
        shape = f"({N_IMAGES}, 1, 8, 8)" if source == "digits" else f"({N_POINTS}, 2)"
        name = "digits" if source == "digits" else "mixture"
        given = f".given({None if label == 'any' else label})" if source == "digits" else ""
        make = f'model = pretrained.load("{name}")'
        exact = "data.toy_mixture().denoiser(model.schedule)"
        return "\n".join(
            [
                "import torch",
                "from diffusion_lab import data, pretrained, samplers",
                "",
                make,
                f"denoiser = {exact if source == 'mixture, exact' else 'model' + given}",
                f"generator = torch.Generator().manual_seed({seed})",
                f"x_T = samplers.p_sample_prior({shape}, model.schedule, generator)",
                f"times = samplers.timesteps(model.schedule, {steps})",
                f"run = list(samplers.{sampler}(denoiser, x_T, model.schedule, times, generator=generator))",
                f"run[{k}].prediction    # its x_t, x0 and eps: before step {k + 1} is taken"
                if k < steps
                else "run[-1].x    # the sample",
            ]
        )


def rms(x) -> float:
    """Root mean square of all entries."""
    return x.square().mean().sqrt().item()


def says(k: int, t: int, row: dict, steps: int, whole: str) -> str:
    """What to see after k steps; `whole` is what the denoiser knows to be possible at the start."""
    if k == 0:
        return f"t = {t}: x_t is pure noise, so x̂₀ is no more than an average over all {whole}."
    if k == steps:
        return "t = 0: the last step returned x̂₀ itself and added no noise to it. This is the sample."
    settled = row["x̂₀ to sample"] < 0.1
    return f"t = {t}: {'x̂₀ has settled: what is left is cleaning up' if settled else 'x̂₀ is still changing'}."


def draw_images(states, guesses, noises, schedule, times):
    """Three sheets of images; ε̂ is drawn from −3 to 3, so that mid-grey is no noise."""
    sheets = [[tiles(x, 4) for x in series] for series in (states, guesses, noises)]
    traces = [image(sheets[i][0], i + 1, 3.0 if i == 2 else 1.0) for i in range(3)]
    frames = [{i: {"z": sheets[i][k]} for i in range(3)} for k in range(len(states))]
    thirds = [(0, 0.32), (0.34, 0.66), (0.68, 1)]
    panels = [
        panel(i + 1, thirds[i], (0, 1), TITLES[i], **framed(i + 1, *sheets[i][0].shape)) for i in range(3)
    ]
    size = dict(height=176, margin=dict(l=4, r=4, t=28, b=12))
    return {"data": traces, "layout": layout(*panels, plot_bgcolor=GAP, **size)}, frames


def draw_points(states, guesses, noises, schedule, times):
    """Three clouds: x_t over its exact density, x̂₀ over that of the data, ε̂ over N(0, I)."""
    truth = data.toy_mixture()
    ticks, points = grid(LIMIT, 50)
    near, near_points = grid(1.2, 60)
    angle = np.linspace(0, 2 * np.pi, 61)
    rings = np.concatenate([np.r_[r * np.cos(angle), np.nan] for r in (1, 2)])
    rings_y = np.concatenate([np.r_[r * np.sin(angle), np.nan] for r in (1, 2)])
    paths = torch.stack(states)[:, :N_TRAILS]  # [steps + 1, N_TRAILS, 2]
    bold = dict(mode="lines+markers", line=dict(color=PALETTE["vermillion"], width=2), marker=dict(size=3))

    traces = [
        dict(type="heatmap", x=ticks, y=ticks, **DENSITY),
        dict(type="heatmap", x=near, y=near, z=density(truth, near_points), **DENSITY, **on(2)),
        dict(
            type="scatter",
            x=rings,
            y=rings_y,
            mode="lines",
            line=dict(color=GREY, width=1.5),
            hoverinfo="skip",
            **on(3),
        ),
        cloud(states[0], 1, "white", size=3),
        cloud(guesses[0], 2, "white", size=3),
        cloud(noises[0], 3, PALETTE["green"], size=3),
        dict(type="scatter", hoverinfo="skip", **bold),
    ]
    frames = []
    for k, t in enumerate(times):
        trail = (
            torch.cat([paths[: k + 1], torch.full_like(paths[:1], float("nan"))])
            .transpose(0, 1)
            .reshape(-1, 2)
        )
        frames.append(
            {0: {"z": density(truth.noised(t, schedule), points)}, 6: {"x": trail[:, 0], "y": trail[:, 1]}}
        )
        for trace, x in ((3, states[k]), (4, guesses[k]), (5, noises[k])):
            frames[-1][trace] = {"x": x[:, 0], "y": x[:, 1]}
    limits = (LIMIT, 1.2, 3.5)
    titles = [f"{TITLES[0]}, and three paths", *TITLES[1:]]
    panels = [panel(i + 1, THIRDS[i], (0, 1), titles[i], **plane(limits[i], i + 1)) for i in range(3)]
    return {"data": traces, "layout": layout(*panels, height=300)}, frames


def density(mixture, points) -> np.ndarray:
    """The mixture's density on a square grid, 1 at its highest: [√N, √N]."""
    log_prob = mixture.log_prob(torch.from_numpy(points))
    side = round(len(points) ** 0.5)
    return (log_prob - log_prob.max()).exp().reshape(side, side).numpy()
