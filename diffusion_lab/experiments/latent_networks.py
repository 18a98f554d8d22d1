"""The same diffusion on pixels and on latents, for the same time.

One U-Net with half a million weights is trained on pictures of 32×32 in three colours, and another one on
the latents that the autoencoder makes of them. Everything else is one recipe: schedule, view, batch,
learning rate, sampler. Both get about the same processor time, and are looked at on the way: what share of
their pictures can be read, and what share shows the shape that was asked for.

``python -m diffusion_lab.experiments.latent_networks`` does it, in a quarter of an hour on one core. If it
was stopped, it goes on. Only the network on latents is kept, in shapes.latents.safetensors.
"""

import functools
import itertools
import sys
import time
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .. import pretrained
from ..applications.autoencoder import LATENT, PICTURE, load_autoencoder
from ..checkpoints import read_safetensors, write_atomically
from ..guidance import classifier_free
from ..history import History
from ..model import ModelDenoiser
from ..recipe import Recipe
from ..samplers import dpm_solver_pp_2m, p_sample_prior, timesteps
from ..shape_world import COLORS, KINDS, SIZES, Shape, read_shapes, scene_of, scenes, shapes
from ..tables import read_table, write_table
from ..training import train
from ..views import Denoiser, own_schedule

FORMAT = "diffusion_lab latent network 1"
WEIGHTS = pretrained.FOLDER / "shapes.latents.safetensors"
TABLE = pretrained.FOLDER / "shapes.latents.csv"
PICTURES = 16_000
LABELS = [Shape(*parts) for parts in itertools.product(SIZES, COLORS, KINDS)]  # of the first shape of a scene
SPACES = {"latents": LATENT, "pixels": PICTURE}
NETWORKS = {
    "latents": dict(channels=4, width=32, levels=2, num_classes=len(LABELS), image_size=8),
    "pixels": dict(channels=3, width=16, levels=3, num_classes=len(LABELS), image_size=32),
}
STEPS = {"latents": 8000, "pixels": 1600}
LOOKS = (1 / 2, 1)  # shares of the training after which it is looked at
EVERY = 50  # steps between two readings of the clock
N = {False: 200, True: 500}  # pictures drawn in a look on the way, and in the last one


def recipe(space: str) -> Recipe:
    """The recipe of one of the two: they differ in the network's size and in the number of steps alone."""
    return Recipe("shapes", arguments=NETWORKS[space], steps=STEPS[space], batch=64)


@functools.cache
def data(space: str) -> tuple[Tensor, Tensor]:
    """16 000 training pictures or their latents, and the first shape of each as a label."""
    x, captions = shapes(PICTURES, torch.Generator().manual_seed(0))
    if space == "latents":
        with torch.no_grad():
            x = torch.cat([load_autoencoder().latents(part) for part in x.split(500)])
    return x, torch.tensor([LABELS.index(scene_of(caption).shapes[0]) for caption in captions])


def labels(n: int, seed: int) -> Tensor:
    """n labels as frequent as in the training data: [n]."""
    every = data_labels()
    return every[torch.randint(len(every), (n,), generator=torch.Generator().manual_seed(seed))]


@functools.cache
def data_labels() -> Tensor:
    """The first shapes of the 2000 training scenes of `shapes` with seed 0, whose pictures are not needed."""
    known, found = scenes("train"), []
    groups = [[scene for scene in known if len(scene.shapes) == count] for count in (1, 2)]
    for kind, which in torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)).tolist():
        group = groups[kind >= 0.25]
        found.append(LABELS.index(group[int(which * len(group))].shapes[0]))
    return torch.tensor(found)


@torch.no_grad()
def draw(denoiser: Denoiser, shape: tuple[int, ...], n: int, seed: int = 0, steps: int = 25) -> Tensor:
    """n draws with DPM-Solver++(2M): `[n, *shape]`, latents or pictures, as the denoiser was trained on."""
    schedule = own_schedule(denoiser)
    x_T = p_sample_prior((n, *shape), schedule, torch.Generator().manual_seed(seed))
    *_, last = dpm_solver_pp_2m(denoiser, x_T, schedule, timesteps(schedule, steps))
    return last.x


def told(network: ModelDenoiser, label: Tensor, w: float = 1.0) -> Denoiser:
    """The network, told a shape for each picture, and guided with scale w."""
    return network.given(label) if w == 1 else classifier_free(network.given(label), network.given(None), w)


def seen(space: str, x: Tensor) -> Tensor:
    """The pictures that draws are: latents are decoded."""
    return load_autoencoder().pictures(x) if space == "latents" else x.clamp(-1, 1)


def read(pictures: Tensor, label: Tensor) -> tuple[float, float]:
    """The shares of pictures that show a scene of this world, and that show the label's shape first."""
    found = read_shapes(pictures)
    first = [None if caption is None else scene_of(caption).shapes[0] for caption in found]
    right = [shape == LABELS[int(k)] for shape, k in zip(first, label, strict=True)]
    return sum(caption is not None for caption in found) / len(found), sum(right) / len(found)


@torch.no_grad()
def judged(space: str, network: ModelDenoiser, n: int, w: float = 1.0, seed: int = 0) -> tuple[float, float]:
    """`read` of n fresh draws, in batches of 250."""
    label = labels(n, seed)
    parts = [
        draw(told(network, part, w), SPACES[space], len(part), seed + i)
        for i, part in enumerate(label.split(250))
    ]
    return read(seen(space, torch.cat(parts)), label)


# ------------------------------------------------------------------------------------ what a step costs
def multiply_adds(space: str) -> int:
    """Of one call for one example; torch's counter counts a multiplication and an addition as two."""
    net = recipe(space).make_network()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *SPACES[space]), 1, 0)
    return counter.get_total_flops() // 2


def activation_bytes(space: str) -> int:
    """What autograd keeps of one example until the backward pass, without the weights."""
    net, kept = recipe(space).make_network(), {}
    own = {weight.data_ptr() for weight in net.parameters()}

    def keep(x: Tensor) -> Tensor:
        if x.data_ptr() not in own:
            kept[x.data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        out = net(torch.zeros(1, *SPACES[space]), 1, 0)
    del out
    return sum(kept.values())


def seconds_a_step(space: str, batch: int = 64, repeats: int = 8) -> float:
    """Processor time of one forward and backward pass: the shortest of `repeats`."""
    net, x = recipe(space).make_network(), torch.zeros(batch, *SPACES[space])
    times = []
    for _ in range(repeats):
        start = time.process_time()
        net(x, 500, 0).square().mean().backward()
        times.append(time.process_time() - start)
    return min(times)


# ------------------------------------------------------------------------------------ training, and the table
def trained_and_seen(space: str, folder: Path = pretrained.FOLDER) -> ModelDenoiser:
    """The network trained, and a row of the table for each look at it; an interrupted run goes on."""
    plan, checkpoint = recipe(space), folder / f"shapes.{space}.checkpoint"
    looks = {round(share * plan.steps) for share in LOOKS}
    fixed: dict = dict(space=space, weights=sum(w.numel() for w in plan.make_network().parameters()))
    fixed |= {"multiply-adds": multiply_adds(space), "bytes": activation_bytes(space)}
    if not checkpoint.exists():
        save([row for row in table() if row["space"] != space])
    x0, spent, first, since = data(space), 0.0, None, time.process_time()

    def look(step: int, denoiser: ModelDenoiser, _: History) -> None:
        nonlocal spent, first, since
        spent += time.process_time() - since
        first = step - EVERY if first is None else first
        if step in looks:
            seconds = round(spent / (step - first) * step)  # also of a run that was resumed
            n = N[step == plan.steps]
            readable, right = judged(space, denoiser, n)
            found = dict(step=step, seconds=seconds, readable=readable, right=right, n=n)
            others = [row for row in table() if (row["space"], row["step"]) != (space, step)]
            save([*others, fixed | found])
        since = time.process_time()

    told = dict(checkpoint=checkpoint, checkpoint_every=EVERY, resume=checkpoint.exists())
    result = train(plan, x0, callback=look, callback_every=EVERY, **told)
    if result.interrupted:
        sys.exit(f"stopped: the same command goes on from {checkpoint}")
    checkpoint.unlink()
    return pretrained.rounded(result)


def save_network(network: ModelDenoiser) -> None:
    """Stores the weights in float16, with their recipe."""
    weights = {name: value.half().contiguous() for name, value in network.net.state_dict().items()}
    metadata = {"format": FORMAT, "recipe": recipe("latents").to_json()}
    write_atomically(WEIGHTS, safetensors.torch.save(weights, metadata))


@functools.cache
def latent_network() -> ModelDenoiser:
    """The network on latents that ships; label k of `given` is LABELS[k]. Do not change it."""
    weights, metadata = read_safetensors(WEIGHTS, FORMAT)
    plan = Recipe.from_json(metadata["recipe"])
    net = plan.make_network(weights).eval().requires_grad_(False)
    return ModelDenoiser(net, plan.make_schedule(), plan.predicts)


def table() -> list[dict]:
    """The stored rows; none if there is no table yet."""
    return read_table(TABLE)


def save(rows: list[dict]) -> None:
    """Store the rows, in order."""
    rows = sorted(rows, key=lambda row: (row["space"], row["step"]))
    write_table(TABLE, rows, "python -m diffusion_lab.experiments.latent_networks")


def main(spaces: list[str]) -> None:
    """Train the networks named, or both, and store what was found."""
    for space in spaces or list(SPACES):
        network = trained_and_seen(space)
        if space == "latents":
            save_network(network)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
