"""Does a whole run cost what its steps cost? python benchmarks/whole_runs.py

Notebook 25 multiplies: a picture costs the calls of its sampler, a training its steps. Here whole runs are
measured beside their parts, in turns, in one process: 25 steps of DDIM against 25 calls of the network, and
100 steps of `train` against 100 training steps written out bare (the network forward and back, AdamW, the
moving average). What is above 1 is the course's own code: drawing batches, samplers, keeping the history.
Processor time of one core, the shortest of five.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import ClassVar

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from diffusion_lab.experiments.cost import BATCH, NETWORKS, make
from diffusion_lab.model import ModelDenoiser
from diffusion_lab.recipe import Recipe
from diffusion_lab.samplers import ddim, p_sample_prior, timesteps
from diffusion_lab.training import train

STEPS, TRAINED, REPEATS = 25, 100, 5


@dataclasses.dataclass(frozen=True)
class Priced(Recipe):
    """A recipe for the networks of the bill."""

    networks: ClassVar = {name: lambda name=name, **told: make(name, **told) for name in NETWORKS}


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def ratios(network: str, size: int) -> tuple[float, float]:
    """(DDIM over its calls, train over its steps), each the shortest over the shortest."""
    shape, generator = (BATCH, 3, size, size), torch.Generator().manual_seed(0)
    recipe = Priced("none", network, dict(size=size), steps=TRAINED, batch=BATCH, label_dropout=0.0)
    data, schedule = torch.rand(64, *shape[1:], generator=generator) * 2 - 1, recipe.make_schedule()
    t, x = torch.full((BATCH,), 500.0), torch.randn(shape, generator=generator)

    fixed = recipe.make_network().eval().requires_grad_(False)
    denoiser = ModelDenoiser(fixed, schedule, recipe.predicts)
    x_T = p_sample_prior(shape, schedule, generator)

    net = recipe.make_network().train()
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)

    def calls() -> None:
        for _ in range(STEPS):
            fixed(x, t)

    def steps() -> None:
        for _ in range(TRAINED):
            loss = (net(x, t) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(net)

    runs = {
        "calls": calls,
        "DDIM": lambda: list(ddim(denoiser, x_T, schedule, timesteps(schedule, STEPS))),
        "steps": steps,
        "train": lambda: train(recipe, data, progress=False),
    }
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):  # in turns, so that a busy minute of the machine meets all of them
        for name, run in runs.items():
            found[name].append(seconds(run))
    least = {name: min(times) for name, times in found.items()}
    return least["DDIM"] / least["calls"], least["train"] / least["steps"]


def main() -> None:
    print(f"                      {STEPS} DDIM steps / calls    {TRAINED} steps of train / bare steps")
    for network in NETWORKS:
        for size in (8, 32):
            sampling, training = ratios(network, size)
            print(f"{network:14s}{size:3d}×{size:<3d}{sampling:14.2f}{training:24.2f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
