"""Loss per t and training replay: scrub through a training run, from the first step to the last."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from .. import drawing, replay
from ..data import toy_mixture
from ..drawing import GREY, PALETTE, arrow_lines, arrows, axis, curve, density, key, panel, plane, square
from ..engine import STATE, Choice, Explorer, Frame, Scene, Slider, Source, listing
from ..experiments.replayed import between_classes, errors_of_score, has_classes, in_blocks, known, recorded

# Traces, panels, what changes with k (traces, numbers, sentence, code), and more of the layout
Half = tuple[dict, list[dict], Callable[[int], tuple[dict, dict, str, str]], dict]
TIMES = range(75, 1000, 150)  # the times of the score, where T = 1000
NETWORK, BEST = PALETTE["blue"], PALETTE["vermillion"]
VIEWS = {"eps": "ε", "x0": "x_0", "v": "v"}
LIMIT, FIELD = 1.35, 41  # the planes are [−LIMIT, LIMIT]², the densities FIELD × FIELD


class TrainingReplay(Explorer):
    """The main slider is the number of training steps done. Everything shown was recorded in a training run.

    "mixture": a network learns the 2-D mixture, whose score and lowest possible loss are known exactly.
    "digits": a small U-Net learns the digits; each row of samples has one noise and ten classes.
    The loss is measured with the averaged weights; x_0 and ε are the same at every t and at every step.

    Numbers: the mean loss over t. For the mixture: the loss of the exact denoiser; what is still to learn,
    which is the mean squared distance of the network from that denoiser; and, at the chosen t and over
    x_t ~ q_t, the root mean square of the exact score and of the network's error in it. For digits: the loss
    at three t, and the rms distance of a row's samples from their mean, which the class decides, not the
    noise.

    TrainingReplay(run=recorder.recording()) shows a run of your own (`replay.Recorder`).
    """

    title = "Loss per t and training replay"
    portable = ("source", "t")
    source = Choice("mixture", list(replay.RECIPES), label="run")
    t = Choice(225, TIMES, label="t of the score (mixture)")
    step = Slider(0, 0, 1_000_000, label="training steps", main=True)

    def __init__(self, run: replay.Recording | None = None, **values: Any) -> None:
        if run is not None:
            if not isinstance(run, replay.Recording):
                raise ValueError(f"run must be a Recording, as recorder.recording() gives; got {run!r}")
            self.add_traits(source=Choice("this run", [*replay.RECIPES, "this run"], label="run"))
        self._run = run
        super().__init__(**values)

    def scene(self, *, source: str, t: int) -> Scene:
        run, made = self._run, Source("recorder.recording()")
        if run is None or source != "this run":
            run, made = recorded(source), Source(f'replay.load("{source}")')
        t = int(run.times[replay.SCORED][TIMES.index(t)])
        above, panels, at, more = draw_images(run, made) if run.floor is None else draw_points(run, made, t)
        alt = "The exact score, the learned score, and samples."
        alt = "Samples, in two rows of images." if run.floor is None else alt
        frames, alt = [], f"{alt} Below, the network's loss over t, and over the training steps."
        for k, step in enumerate(run.steps.tolist()):
            changes, numbers, said, code = at(k)
            # The network after k steps is the one that step k + 1 uses
            changes |= {"loss": {"y": run.loss[k]}, "now": {"x": [step + 1], "y": [run.loss[k].mean()]}}
            numbers = {"training steps": step, "loss": run.loss[k].mean().item()} | numbers
            frames.append(Frame(step, changes, numbers, said, code=code, alt=alt))
        drawn = above | losses(run, len(panels), t)
        return Scene(drawn, drawing.layout(*panels, *loss_panels(run, len(panels)), **more), frames, digits=3)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self.source == "this run":
            data.pop(STATE, None)  # only this kernel has the run, so it cannot be drawn again
        return data, metadata


# --- a run on the mixture
def draw_points(run: replay.Recording, made: Source, t: int) -> Half:
    """The exact score at t, the learned one, and samples: (traces, panels, what changes with k, layout)."""
    (floor, error, score), mixture, tails = known(run), toy_mixture(), replay.PLANE.numpy()
    noised, j = mixture.noised(t, run.recipe.make_schedule()), run.times[replay.SCORED].tolist().index(t)
    exact, (size, errors) = noised.score(replay.PLANE).numpy(), errors_of_score(run, t)
    scale = 0.13 / np.sqrt((exact**2).mean())  # the same at every step: the learned arrows grow to match

    def at(k: int) -> tuple[dict, dict, str, str]:
        learned = scale * score[k, j].numpy()
        changes = {"learned score": arrow_lines(tails, learned), "samples": drawing.xy(run.samples[k])}
        numbers = {"loss of the exact denoiser": floor.mean().item()}
        numbers |= {"still to learn": error[k].mean().item(), "rms exact score": size}
        numbers["rms error of the score"] = errors[k].item()
        then = f"run.loss[{k}], run.floor, run.samples[{k}], size, error[{k}]"
        code = listing(errors_of_score, then, run=made, t=t)
        return changes, numbers, says_of_points(run, k), code

    ticks, points = drawing.grid(LIMIT, FIELD)
    now = density(noised, points)
    drawn = {"q_t": square(ticks, z=now), "q_t again": square(ticks, 2, z=now)}
    drawn |= {"q_0": square(ticks, 3, z=density(mixture, points))}
    drawn |= {"exact score": arrows(tails, scale * exact, 1, "white")}
    drawn |= {"learned score": arrows(tails[:1], tails[:1], 2, "white")}
    drawn |= {"samples": drawing.cloud(tails[:1], 3, "white", 3)}
    thirds = {f"exact score, t = {t}": (0, 0.31), f"learned score, t = {t}": (0.345, 0.655)}
    every = enumerate((thirds | {"samples (DDIM)": (0.69, 1)}).items(), 1)
    planes = [panel(n, x, (0.44, 1), head, **plane(LIMIT, n, ticks=False)) for n, (head, x) in every]
    return drawn, planes, at, dict(height=520)


def says_of_points(run: replay.Recording, k: int) -> str:
    """What to see at checkpoint k."""
    if k == 0:
        said = f"The untrained network predicts {VIEWS[run.recipe.predicts]} = 0 for every input"
        right = ". This is right for data from N(0, I): the score is −x, and the samples are just noise."
        return said + (right if run.recipe.predicts == "v" else ".")
    (floor, error, _), low = known(run), 0.3 * run.recipe.T
    left = error[k]
    if left.mean() < 0.02 * floor.mean():
        return "No denoiser can do much better. The loss does not reach 0, since x_t does not determine x_0."
    share = (left[run.times <= low].sum() / left.sum()).item()
    said = f"{share:.0%} of what is still to learn is at t ≤ {low:g}"
    return f"{said}: the outline is learned first, the detail later." if share > 0.8 else f"{said}."


# --- a run on images
def draw_images(run: replay.Recording, made: Source) -> Half:
    """A sheet of samples: (traces, panels, what changes with k, layout)."""
    sheets = [drawing.tiles(images, len(images) // 2) for images in run.samples]
    apart = between_classes(run) if has_classes(run) else None

    def at(k: int) -> tuple[dict, dict, str, str]:
        numbers = {f"loss at t = {run.times[i]}": run.loss[k, i].item() for i in (0, 9, 19)}
        then = f"run.loss[{k}], run.samples[{k}]"
        if apart is not None:
            numbers["rms between classes"] = round(apart[k].item(), 4)
            then += f", apart[{k}]"
        code = listing(between_classes, then, run=made)
        return {"samples": {"z": sheets[k]}}, numbers, says_of_images(run, k, apart), code

    head = "samples (DDIM)" + (": one noise per row, one class per column" * has_classes(run))
    top = panel(1, (0, 1), (0.58, 1), head, **drawing.framed(1, *sheets[0].shape))
    return {"samples": drawing.image(sheets[0], 1)}, [top], at, dict(height=440, shapes=[drawing.behind()])


def says_of_images(run: replay.Recording, k: int, apart: Tensor | None) -> str:
    """What to see at checkpoint k."""
    if k == 0:
        view = VIEWS[run.recipe.predicts]
        return f"The untrained network predicts {view} = 0 for every input: the loss is the mean of {view}²."
    fall = (run.loss[0] - run.loss[k]) / (run.loss[0] - run.loss[-1])  # 1 at the end
    done = [f"{max(fall[i].item(), 0):.0%} at t = {run.times[i]}" for i in (-1, 0)]
    said = f"Of its total fall in this run, the loss has made {' and '.join(done)}."
    if apart is None:
        return said
    row = "are still alike" if apart[k] < 0.2 else "differ by class"
    return f"The samples of a row {row}. {said}"


# --- below, the losses
def losses(run: replay.Recording, n: int, t: int) -> dict:
    """The loss over t, and over the steps, on the two axes after n; last, a mark at the current step."""
    x, in_training = in_blocks(run.per_step.numpy())
    drawn = {"loss": curve(NETWORK, 2.5, n + 1, x=run.times)}
    drawn["untrained"] = curve(GREY, 1.5, n + 1, "dot", x=run.times, y=run.loss[0])
    drawn["in training"] = curve(GREY, 1, n + 2, x=x, y=in_training)
    drawn["averaged weights"] = curve(NETWORK, 2.5, n + 2, x=run.steps + 1, y=run.loss.mean(1))
    if run.floor is not None:
        drawn["t"] = curve(GREY, 1, n + 1, x=[t, t], y=[0, highest(run)])
        drawn["exact"] = curve(BEST, 2, n + 1, "dash", x=run.times, y=run.floor)
        line = dict(x=[1, run.recipe.steps], y=[run.floor.mean()] * 2)
        drawn["exact, mean"] = curve(BEST, 2, n + 2, "dash", **line)
    return drawn | {"now": drawing.dots(NETWORK, n + 2, 10)}


def highest(run: replay.Recording) -> float:
    """The top of both loss axes."""
    return 1.08 * run.loss.max().item()


def loss_panels(run: replay.Recording, n: int) -> list[dict]:
    """The two panels of the loss, each with its key."""
    y, T, exact = (0, 0.42 if run.floor is None else 0.3), run.recipe.T, {"exact": BEST} if n > 1 else {}
    linear = axis("t", range=[-0.01 * T, 1.01 * T])
    log = axis("training step", log=True, range=[-0.05, np.log10(1.1 * run.recipe.steps)])
    loss = axis(f"loss in {VIEWS[run.recipe.predicts]}", range=[0, highest(run)])
    left = key({"network": NETWORK, "untrained": GREY} | exact)
    right = key({"averaged weights": NETWORK, "in training": GREY} | exact)
    return [panel(n + 1, (0, 0.47), y, left, linear, loss), panel(n + 2, (0.55, 1), y, right, log, loss)]
