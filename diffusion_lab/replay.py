"""Replays: what a network knew at each stage of its training, kept by a `Recorder` that `train` calls.

Two recordings come with the package, beside the weights. ``python -m diffusion_lab.replay`` makes them again.
"""

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from . import samplers
from .checkpoints import FilePath, read_safetensors, write_atomically
from .data import toy_mixture
from .forward import q_sample
from .history import History
from .model import ModelDenoiser
from .pretrained import FOLDER
from .recipe import Recipe
from .training import Data, load_data, train
from .views import Prediction

FORMAT = "diffusion_lab replay 1"
TINY = dict(width=16, num_classes=10, image_size=8)
RECIPES = {
    "mixture": Recipe(data="mixture", network="MLP", arguments=dict(width=80), steps=2000, batch=256),
    "digits": Recipe(arguments=TINY, steps=800, batch=64, lr=4e-3),  # the recipe of notebook 07
}
N_TIMES = 20  # number of t at which the loss is measured
SCORED = slice(1, None, 3)  # those t at which the score is measured, at the points of PLANE
PLANE = torch.cartesian_prod(*[torch.linspace(-1.2, 1.2, 13)] * 2)  # [169, 2]


@dataclass
class Recording:
    """K checkpoints of a training run with the averaged weights; the first one is untrained.

    :ivar steps: [K] the number of training steps done at each
    :ivar times: [20] t, the middles of 20 equal ranges
    :ivar loss: [K, 20] mean squared error at each t, in the view that the network predicts; x_0 and ε are the
        same at every t and every checkpoint
    :ivar samples: `[K, N, *D]` by DDIM, from the same x_T: points, or two rows of images, with one noise per
        row and one image per class
    :ivar per_step: the loss of each training step, up to the last checkpoint

    Only for the mixture, whose exact denoiser is known:

    :ivar floor: [20] the loss of the exact denoiser
    :ivar error: [K, 20] mean squared distance of the network from the exact one: loss ≈ floor + error
    :ivar score: [K, 7, 169, 2] the network's score at times[SCORED] and the points of PLANE
    """

    recipe: Recipe
    steps: Tensor
    times: Tensor
    loss: Tensor
    samples: Tensor
    per_step: Tensor
    floor: Tensor | None = None
    error: Tensor | None = None
    score: Tensor | None = None

    def save(self, path: FilePath) -> None:
        """One safetensors file, numbers rounded to float16, with the recipe in its metadata."""
        tables = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        for name, value in tables.items():
            if value.is_floating_point():  # float16 ends at 65 504, samples of a bad network may not
                tables[name] = value.clamp(-6e4, 6e4).half()
        content = safetensors.torch.save(tables, {"format": FORMAT, "recipe": self.recipe.to_json()})
        write_atomically(path, content)

    @classmethod
    def load(cls, path: FilePath) -> "Recording":
        """Raises ValueError for a file that is missing, cut short or of another kind."""
        tables, metadata = read_safetensors(path, FORMAT)
        tables = {name: v.float() if v.is_floating_point() else v for name, v in tables.items()}
        return cls(Recipe.from_json(metadata["recipe"]), **tables)


class Recorder:
    """Records a training run, as the callback of `train`::

        recorder = Recorder(recipe)
        train(recipe, callback=recorder, callback_every=10)
        recorder.recording()

    It keeps a checkpoint whenever the number of steps has grown by a seventh: many at first, when much
    happens. `data` is the data given to `train`: grey images [N, 1, S, S] in [−1, 1], or (images, label).
    Unless given, it is the recipe's own data: digits, or the mixture. Raises ValueError for other data.
    """

    def __init__(self, recipe: Recipe, data: Data | None = None) -> None:
        exact = data is None and recipe.data == "mixture"
        data = load_data(recipe) if data is None else data
        x0, label = data if isinstance(data, (tuple, list)) else (data, None)
        if not exact and (x0.ndim != 4 or x0.shape[1] != 1):
            raise ValueError(
                f'data must be grey images [N, 1, S, S], or the "mixture"; got shape {list(x0.shape)}'
            )
        self.recipe, self.schedule, net = recipe, recipe.make_schedule(), recipe.make_network().eval()
        generator = torch.Generator().manual_seed(recipe.seed + 1)

        # Every checkpoint gets the same x_0 and ε at every t …
        self.times = torch.arange(1, 2 * N_TIMES, 2).mul(recipe.T).div(2 * N_TIMES).ceil().int()
        pick = torch.randint(len(x0), (3000 if exact else 50,), generator=generator)
        x0, noise = x0[pick], torch.randn(x0[pick].shape, generator=generator)
        x0, noise = (part.repeat(N_TIMES, *[1] * (x0.ndim - 1)) for part in (x0, noise))
        t = self.times.repeat_interleave(len(pick))
        self.label: Tensor | None = None
        if label is not None and net.num_classes is not None:
            self.label = torch.as_tensor(label)[pick].repeat(N_TIMES)
        x_t = q_sample(x0, t, self.schedule, noise)
        truth = Prediction(x_t, t, self.schedule, x0, noise)
        self.x_t, self.t, self.target = x_t, t, getattr(truth, recipe.predicts)
        self.best: Tensor | None = None
        if exact:
            self.best = getattr(toy_mixture().denoiser(self.schedule)(x_t, t), recipe.predicts)

        # … and samples from the same x_T: 300 points, or two rows of images, each from one noise
        columns = 150 if exact else min(net.num_classes or 10, 10)
        self.x_T = samplers.p_sample_prior((2 * columns, *x0.shape[1:]), self.schedule, generator)
        self.label_T: Tensor | None = None
        if net.num_classes is not None:
            self.x_T = self.x_T[:2].repeat_interleave(columns, 0)
            self.label_T = torch.arange(columns).repeat(2)

        self.tables = {"steps": [], "loss": [], "samples": []} | ({"error": [], "score": []} if exact else {})
        self.per_step, self.due = torch.zeros(0), 0.0
        self(0, ModelDenoiser(net, self.schedule, recipe.predicts), None)

    @torch.no_grad()
    def __call__(self, step: int, denoiser: ModelDenoiser, history: History | None) -> None:
        """Keeps a checkpoint if the steps have grown by a seventh since the last one, or at the last step."""
        if step < self.due and step < self.recipe.steps:
            return
        self.due = step * 8 / 7
        device = next(denoiser.net.parameters()).device
        answer = denoiser.given(self.label)(self.x_t.to(device), self.t)
        answer = getattr(answer, self.recipe.predicts).cpu()
        times = samplers.timesteps(self.schedule, min(20 if self.best is not None else 10, self.recipe.T))
        *_, last = samplers.ddim(denoiser.given(self.label_T), self.x_T.to(device), self.schedule, times)
        now = {"steps": torch.tensor(step), "loss": per_t(answer - self.target), "samples": last.x.cpu()}
        if self.best is not None:
            x, t = PLANE.repeat(len(self.times[SCORED]), 1), self.times[SCORED].repeat_interleave(len(PLANE))
            score = denoiser(x.to(device), t).score.cpu()
            now |= {"error": per_t(answer - self.best), "score": score.reshape(-1, *PLANE.shape)}
        for name, value in now.items():
            self.tables[name].append(value)
        if history is not None:
            self.per_step = history.per_step()

    def recording(self) -> Recording:
        """The recording so far."""
        tables = {name: torch.stack(values) for name, values in self.tables.items()}
        if self.best is not None:
            tables["floor"] = per_t(self.best - self.target)
        return Recording(self.recipe, times=self.times, per_step=self.per_step, **tables)


def per_t(difference: Tensor) -> Tensor:
    """The mean square of differences `[20 n, *D]` at each t: [20]."""
    return difference.square().reshape(N_TIMES, -1).mean(1)


def record(recipe: Recipe, progress: bool = True) -> Recording:
    """Trains by the recipe and returns the recording."""
    recorder = Recorder(recipe)
    train(recipe, callback=recorder, callback_every=10, progress=progress)
    return recorder.recording()


def load(name: str, folder: FilePath = FOLDER) -> Recording:
    """The recording that ships under this name, one of RECIPES. Raises ValueError for another."""
    if name not in RECIPES:
        raise ValueError(f"name must be one of {', '.join(RECIPES)}; got {name!r}")
    return Recording.load(Path(folder) / f"{name}.replay.safetensors")


if __name__ == "__main__":
    for name, recipe in RECIPES.items():
        print(f"{name}: {recipe.steps} steps")
        record(recipe).save(FOLDER / f"{name}.replay.safetensors")
