"""How good each method is on digits of which the right half is hidden: error, spread, coverage, cost.

``python -m diffusion_lab.experiments.restored_table`` measures on the 360 held-out digits, with 19 samples of
each, and stores the table as pretrained/digits.restored.csv. It takes 40 minutes on one core. If it was
stopped, it goes on with the next row.
"""

import time
from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from .. import pretrained
from ..applications.inverse import dps, mask, pigdm, posterior, repaint, replacement
from ..checkpoints import FilePath
from ..samplers import ddpm, p_sample_prior, timesteps
from ..schedules import cosine
from ..steps import Step
from ..tables import read_table, write_table
from ..views import Denoiser
from .restored import RIDGE, SHAPE, quality
from .stored import class_gaussians, digits, trained

FILE = pretrained.FOLDER / "digits.restored.csv"
SAMPLES = 19  # of each picture: see `quality`
KEEP = torch.zeros(SHAPE, dtype=torch.bool)
KEEP[..., :4] = True  # the left half is seen
SEEN = mask(SHAPE, KEEP)
PASTE = {"replacement": replacement, "RePaint": repaint}
STEER = {
    "DPS, weight 2": lambda *told: dps(*told, weight=2.0),
    "DPS, weight 50": lambda *told: dps(*told, weight=50.0),  # the theory's for noise of std 0.1
    "ΠGDM, flat": lambda *told: pigdm(*told, variance="flat"),
    "ΠGDM, Tweedie": pigdm,
}
RUNS = [  # (method, steps, clipped), and of how many pictures one is measured, under either prior
    (("replacement", 50, False), {"Gaussians": 10, "network": 1}),
    (("RePaint", 25, False), {"Gaussians": 10, "network": 1}),
    (("DPS, weight 2", 25, True), {"Gaussians": 10, "network": 1}),
    (("DPS, weight 50", 50, True), {"Gaussians": 10, "network": 4}),
    (("ΠGDM, flat", 50, False), {"Gaussians": 10, "network": 4}),
    (("ΠGDM, Tweedie", 25, True), {"Gaussians": 4, "network": 4}),  # 32 backward passes a call
]
TOGETHER = {"ΠGDM, Tweedie": 18}  # pictures in one batch, where all would take too much memory


def priors() -> dict[str, Denoiser]:
    """The class Gaussians, whose posterior is known, and the network that ships, both without a class."""
    return {
        "Gaussians": class_gaussians(RIDGE).denoiser(cosine(1000)),
        "network": trained("digits").given(None),
    }


def exact_row() -> dict:
    """The right answer under the class Gaussians: exact samples, and no call of a denoiser."""
    truth, y = measured(1)
    began = time.process_time()
    found = [posterior(class_gaussians(RIDGE), SEEN, one) for one in y]
    samples = [p.sample(SAMPLES, torch.Generator().manual_seed(i)) for i, p in enumerate(found)]
    seconds = time.process_time() - began
    return row("Gaussians", "exact posterior", 0, truth, torch.stack(samples), 0, seconds)


def method_row(prior: str, method: str, steps: int, clipped: bool, every: int) -> dict:
    """One method with one prior: 19 samples of each `every`-th held-out digit."""
    truth, y = measured(every)
    denoiser = priors()[prior]
    dtype = torch.float64 if prior == "Gaussians" else torch.float32
    generator, schedule = torch.Generator().manual_seed(1), cosine(1000)
    options: dict = dict(
        timesteps=timesteps(schedule, steps), clip=1.0 if clipped else None, generator=generator
    )
    ends, calls, began = list[Tensor](), 0, time.process_time()
    for part in y.split(TOGETHER.get(method, len(y))):
        x_T = p_sample_prior((len(part) * SAMPLES, *SHAPE), schedule, generator, dtype=dtype)
        told = denoiser, SEEN, part.to(dtype).repeat_interleave(SAMPLES, 0)
        run: Iterator[Step]
        run = (
            PASTE[method](*told, x_T, **options)
            if method in PASTE
            else ddpm(STEER[method](*told), x_T, **options)
        )
        last = deque(run, maxlen=1)[0]  # a list of all steps would take gigabytes
        ends.append(last.x)
        calls = last.calls
    seconds = time.process_time() - began
    x = torch.cat(ends).double().reshape(len(truth), SAMPLES, *SHAPE)
    return row(prior, method + ", clipped" * clipped, steps, truth, x, calls, seconds)


def measured(every: int) -> tuple[Tensor, Tensor]:
    """Each `every`-th held-out digit, and what is seen of it: the left half."""
    truth = digits("test")[0].double()
    return truth[::every], SEEN.forward(truth[::every])


def row(prior: str, method: str, steps: int, truth: Tensor, x: Tensor, calls: int, seconds: float) -> dict:
    """One line of the table: the measures of the hidden pixels, and processor seconds a picture."""
    hidden = ~KEEP.flatten()
    found = quality(x.flatten(2)[..., hidden], truth.flatten(1)[:, hidden])
    about = dict(prior=prior, method=method, steps=steps, pictures=len(truth))
    return (
        about
        | {k: round(v, 4) for k, v in found.items()}
        | dict(calls=calls, seconds=round(seconds / len(truth), 3))
    )


def table(path: FilePath = FILE) -> list[dict]:
    """The stored rows."""
    return read_table(path)


def save(found: list[dict], path: FilePath = FILE) -> None:
    """Store the rows."""
    write_table(path, found, "python -m diffusion_lab.experiments.restored_table")


def main() -> None:
    """Measure what is not in the table yet, and store it after each row; all of it, if the table is whole."""
    made = read_table(FILE)
    wanted: list[tuple | None] = [None]  # the exact posterior
    wanted += [(prior, *run, every[prior]) for prior in ("network", "Gaussians") for run, every in RUNS]
    if len(made) == len(wanted):
        made = []
    for told in wanted:
        name = ("Gaussians", "exact posterior")
        if told is not None:
            prior, method, _, clipped, _ = told
            name = (prior, method + ", clipped" * clipped)
        if name in [(found["prior"], found["method"]) for found in made]:
            continue
        made.append(exact_row() if told is None else method_row(*told))
        print(made[-1], flush=True)
        save(made)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
