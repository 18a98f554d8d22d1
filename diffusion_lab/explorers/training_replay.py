"""Loss per t and training replay: a training run to scrub through, from the untrained network to the last."""

import functools

import numpy as np
import torch

from .. import replay
from ..data import toy_mixture
from ..forward import q_sample
from .core import GREY, PALETTE, STATE, Choice, Explorer, Scene, Slider
from .denoising import density
from .figures import (
    DENSITY,
    GAP,
    LOG,
    arrow_lines,
    arrows,
    cloud,
    colored,
    framed,
    grid,
    image,
    layout,
    on,
    panel,
    plane,
    tiles,
    title,
)

TIMES = [str(t) for t in range(75, 1000, 150)]  # those of the score, where T = 1000
NETWORK, BEST = PALETTE["blue"], PALETTE["vermillion"]
VIEWS = {"eps": "ε", "x0": "x₀", "v": "v"}
LIMIT, FIELD = 1.35, 41  # the planes are [−LIMIT, LIMIT]², the densities FIELD × FIELD


class TrainingReplay(Explorer):
    """The main slider is the number of training steps done. All that is shown was recorded in a training run.

    "mixture": a network learns the 2-D mixture, whose score and lowest possible loss are known exactly.
    "digits": a small U-Net learns the digits; each row of samples comes from one noise, told ten classes. The
    loss is that of the averaged weights; x_0 and ε are the same at every t and at every step.

    Numbers: the loss, its mean over t. For the mixture, the loss of the exact denoiser, and what is still to
    learn: the mean squared distance of the network from it; and at the t chosen, over x_t ~ q_t, the root
    mean square of the exact score and of the network's error in it. For digits, the loss at three t, and how
    far the samples of a row are from their mean (rms): what the class decides, not the noise.

    TrainingReplay(run=recorder.recording()) shows a run of your own, too (`replay.Recorder`).
    """

    title = "Loss per t and training replay"
    portable = ("source", "t")
    source = Choice("mixture", list(replay.RECIPES), label="run")
    t = Choice("225", TIMES, label="t of the score (mixture)")
    step = Slider(0, 0, 1_000_000, label="training steps", main=True)

    def __init__(self, run: replay.Recording | None = None, **values):
        if run is not None:
            if not isinstance(run, replay.Recording):
                raise ValueError(f"run must be a Recording, as recorder.recording() gives; got {run!r}")
            self.add_traits(source=Choice("this run", [*replay.RECIPES, "this run"], label="run"))
        self._run = run
        super().__init__(**values)

    def scene(self, *, source, t):
        run, j = self._run if source == "this run" else shipped(source), TIMES.index(t)
        if run.floor is None:
            (figure, frames), rows = draw_images(run), numbers_of_images(run)
            says, alt = says_of_images, "Samples, in two rows of images."
        else:
            (figure, frames), rows = draw_points(run, j), numbers_of_points(run, j)
            says, alt = says_of_points, "Arrows: the exact score and the learned one. Beside them, samples."
        return Scene(
            figure=figure,
            positions=run.steps.tolist(),
            frames=frames,
            numbers=rows,
            sentences=[says(run, k) for k in range(len(rows))],
            code=[self.lines(run, source, j, k) for k in range(len(rows))],
            alt=f"{alt} Below, the network's loss over t, and over the training steps.",
            digits=3,
        )

    @staticmethod
    def lines(run, source, j, k):
        made = "recorder.recording()" if source == "this run" else f'replay.load("{source}")'
        lines = ["from diffusion_lab import replay", "", f"run = {made}    # by run.recipe"]
        lines += [f"run.loss[{k}]    # after run.steps[{k}] = {run.steps[k]} steps, at run.times"]
        lines += [f"run.samples[{k}]"]
        if run.floor is not None:
            t = run.times[replay.SCORED][j]
            lines += [f"run.floor, run.error[{k}]", f"run.score[{k}, {j}]    # at replay.PLANE, t = {t}"]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self.source == "this run":
            data.pop(STATE, None)  # nobody else has this run, to draw it again
        return data, metadata


shipped = functools.cache(replay.load)


# --- in words
def numbers_of_points(run: replay.Recording, j: int) -> list[dict]:
    """The numbers at each checkpoint, with the j-th of the times at which the score is known."""
    size, gain = score_at(run.recipe, run.times[replay.SCORED][j].item())
    return [
        {
            "training steps": run.steps[k].item(),
            "loss": run.loss[k].mean().item(),
            "loss of the exact denoiser": run.floor.mean().item(),
            "still to learn": run.error[k].mean().item(),
            "rms exact score": size,
            "rms error of the score": gain * run.error[k, replay.SCORED][j].sqrt().item(),
        }
        for k in range(len(run.steps))
    ]


def score_at(recipe, t: int) -> tuple[float, float]:
    """(rms of the mixture's score over x_t ~ q_t, what an error of 1 in the network's view is in a score)."""
    schedule, truth, generator = recipe.make_schedule(), toy_mixture(), torch.Generator().manual_seed(0)
    x_t = q_sample(truth.sample(5000, generator), t, schedule, generator=generator)
    signal, sigma = schedule.signal[t].item(), schedule.sigma[t].item()
    gain = {"eps": 1 / sigma, "x0": signal / sigma**2, "v": signal / sigma}[recipe.predicts]
    return truth.noised(t, schedule).score(x_t).square().mean().sqrt().item(), gain


def numbers_of_images(run: replay.Recording) -> list[dict]:
    """The numbers at each checkpoint."""
    rows = []
    for k, step in enumerate(run.steps.tolist()):
        row = {"training steps": step, "loss": run.loss[k].mean().item()}
        row |= {f"loss at t = {run.times[i]}": run.loss[k, i].item() for i in (0, 9, 19)}
        if has_classes(run):
            row["rms between classes"] = between_classes(run, k)
        rows.append(row)
    return rows


def has_classes(run: replay.Recording) -> bool:
    """Whether the network is told classes, so that each row of samples comes from one noise."""
    return run.recipe.arguments.get("num_classes") is not None


def between_classes(run: replay.Recording, k: int) -> float:
    """The rms distance of the samples from the mean of their row."""
    rows = run.samples[k].unflatten(0, (2, -1))  # [2, classes, 1, S, S]
    return round((rows - rows.mean(1, keepdim=True)).square().mean().sqrt().item(), 4)


def says_of_points(run: replay.Recording, k: int) -> str:
    """What to see at checkpoint k."""
    if k == 0:
        said = f"Untrained, the network says {VIEWS[run.recipe.predicts]} = 0, whatever it sees"
        right = ", which would be right for data from N(0, I): the score −x, the samples just noise."
        return said + (right if run.recipe.predicts == "v" else ".")
    left, low = run.error[k], 0.3 * run.recipe.T
    if left.mean() < 0.02 * run.floor.mean():
        return "No denoiser can do much better: the loss does not go to 0, since x_t does not tell x_0."
    share = (left[run.times <= low].sum() / left.sum()).item()
    said = f"{share:.0%} of what is still to learn lies at t ≤ {low:g}"
    return f"{said}: the outline comes first, the detail later." if share > 0.8 else f"{said}."


def says_of_images(run: replay.Recording, k: int) -> str:
    """What to see at checkpoint k."""
    if k == 0:
        view = VIEWS[run.recipe.predicts]
        return f"Untrained, the network says {view} = 0, whatever it sees: the loss is the mean of {view}²."
    fall = (run.loss[0] - run.loss[k]) / (run.loss[0] - run.loss[-1])  # 1 at the end
    done = [f"{max(fall[i].item(), 0):.0%} at t = {run.times[i]}" for i in (-1, 0)]
    said = f"Of its fall in this run, the loss has {' and '.join(done)} behind it."
    if not has_classes(run):
        return said
    alike = between_classes(run, k) < 0.2
    return (
        f"{'The samples of a row are still alike' if alike else 'One noise, told different classes'}. {said}"
    )


# --- in pictures
def draw_points(run: replay.Recording, j: int):
    """Above: the exact score at the j-th time, the learned one, samples. Below: the losses."""
    t, schedule, truth = run.times[replay.SCORED][j].item(), run.recipe.make_schedule(), toy_mixture()
    noised, tails = truth.noised(t, schedule), replay.PLANE.numpy()
    exact = noised.score(replay.PLANE).numpy()
    scale = 0.13 / np.sqrt((exact**2).mean())  # the same at each step: the learned arrows grow to the exact
    learned = scale * run.score[:, j].numpy()

    ticks, points = grid(LIMIT, FIELD)
    ground = [
        dict(type="heatmap", x=ticks, y=ticks, z=density(q, points), **DENSITY) for q in (noised, truth)
    ]
    traces = [
        ground[0],
        ground[0] | on(2),
        ground[1] | on(3),
        arrows(tails, scale * exact, 1, "white"),
        arrows(tails, learned[0], 2, "white"),
        cloud(run.samples[0], 3, "white", size=3),
    ]
    frames = [
        {4: arrow_lines(tails, vectors), 5: {"x": x[:, 0], "y": x[:, 1]}}
        for vectors, x in zip(learned, run.samples, strict=True)
    ]
    heads = [f"exact score, t = {t}", f"learned score, t = {t}", "samples (DDIM)"]
    thirds = [(0, 0.31), (0.345, 0.655), (0.69, 1)]
    planes = [plane(LIMIT, n, ticks=False) for n in (1, 2, 3)]
    panels = [panel(i + 1, thirds[i], (0.46, 1), heads[i], **planes[i]) for i in range(3)]
    return with_losses(run, traces, frames, panels, (0, 0.34), t, height=560)


def draw_images(run: replay.Recording):
    """Above: a sheet of samples. Below: the losses."""
    columns = len(run.samples[0]) // 2
    sheets = [tiles(images, columns) for images in run.samples]
    H, W = sheets[0].shape
    head = "samples (DDIM)" + (": one noise for each row, another class in each column" * has_classes(run))
    top = panel(1, (0, 1), (0.58, 1), head, **framed(1, H, W))
    gaps = dict(type="rect", x0=-0.5, x1=W - 0.5, y0=-0.5, y1=H - 0.5, fillcolor=GAP, layer="below")
    frames = [{0: {"z": sheet}} for sheet in sheets]
    return with_losses(run, [image(sheets[0], 1)], frames, [top], (0, 0.42), height=440, shapes=[gaps])


def with_losses(run: replay.Recording, traces, frames, panels, y, t: int | None = None, **more):
    """(figure, frames), with two more panels at the height y: the loss over t, and over the steps."""
    n, T, steps, mean = len(panels), run.recipe.T, run.recipe.steps, run.loss.mean(1)
    left, right, top = on(n + 1), on(n + 2), 1.08 * run.loss.max().item()
    curve = dict(type="scatter", mode="lines", hoverinfo="skip")
    thin, thick = dict(color=GREY, width=1), dict(color=NETWORK, width=2.5)
    dots, dash = dict(color=GREY, width=1.5, dash="dot"), dict(color=BEST, width=2, dash="dash")
    seen = run.steps + 1  # the network with k steps behind it is the one that step k + 1 sees
    x, in_training = in_blocks(run.per_step.numpy())
    now = len(traces)  # the trace that changes, and the marker at the end
    traces = [
        *traces,
        curve | dict(x=run.times, line=thick) | left,
        curve | dict(x=run.times, y=run.loss[0], line=dots) | left,
        curve | dict(x=x, y=in_training, line=thin) | right,
        curve | dict(x=seen, y=mean, line=thick) | right,
    ]
    per_t = [colored(NETWORK, "network"), colored(GREY, "untrained")]
    per_step = [colored(GREY, "in training"), colored(NETWORK, "averaged weights")]
    if run.floor is not None:
        traces.append(curve | dict(x=[t, t], y=[0, top], line=thin) | left)
        traces.append(curve | dict(x=run.times, y=run.floor, line=dash) | left)
        traces.append(curve | dict(x=[1, steps], y=[run.floor.mean()] * 2, line=dash) | right)
        per_t.append(colored(BEST, "exact"))
    marker = dict(size=10, color=NETWORK, line=dict(width=1.5, color="white"))
    traces.append(dict(type="scatter", mode="markers", marker=marker, hoverinfo="skip") | right)
    for k, frame in enumerate(frames):
        frame |= {now: {"y": run.loss[k]}, len(traces) - 1: {"x": [seen[k]], "y": [mean[k]]}}

    heads = [f"loss in {VIEWS[run.recipe.predicts]} per t: {', '.join(per_t)}"]
    heads += [f"loss per step: {', '.join(per_step)}"]
    linear = dict(title=title("t"), range=[-0.01 * T, 1.01 * T], zeroline=False)
    log = LOG | dict(title=title("training step"), range=[-0.05, np.log10(1.1 * steps)])
    loss = dict(range=[0, top])
    panels = [*panels, panel(n + 1, (0, 0.48), y, heads[0], linear, loss)]
    panels += [panel(n + 2, (0.55, 1), y, heads[1], log, loss)]
    return {"data": traces, "layout": layout(*panels, **more)}, frames


def in_blocks(per_step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first step, mean loss) of each of about 80 blocks, the later the longer: even on a log axis."""
    edges = np.unique(np.geomspace(1, len(per_step) + 1, 100).round().astype(int)) - 1
    blocks = np.split(per_step, edges[1:-1])
    return edges[:-1] + 1, np.array([block.mean() for block in blocks if len(block)])
