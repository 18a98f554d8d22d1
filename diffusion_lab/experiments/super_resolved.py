"""Pictures of 24×24 from 6×6: python -m diffusion_lab.experiments.super_resolved (a few minutes)

Every method answers twice for each of 128 held-out patches of the flower: with the posterior mean, and with a
sample. Measured are the squared error, and the distance of the whole set to other held-out patches. The table
is kept beside the weights.

The distance is Fréchet's (Heusel et al. 2017), between the pixels of 8 × 8 blocks, nine from each patch: 1152
rows of 64 numbers. Small blocks and many rows keep its bias small; the table's row "the truth" says how large
it is. It compares means and covariances only: it sees blur, but not whether an edge is an edge.
"""

import functools
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from .. import metrics, pictures, pretrained
from ..applications.inverse import Measurement, gaussian_posterior, pigdm, pool, replacement
from ..applications.super_resolution import bicubic, consistent, told
from ..exact import GaussianMixture
from ..model import ModelDenoiser
from ..samplers import ddpm, dpm_solver_pp_2m, p_sample_prior, timesteps
from ..tables import read_table, write_table
from .stored import shipped, trained

SHAPE = (1, 24, 24)
N, MORE = 128, 2000  # held-out patches to be found again, and others to compare with
W = tuple(k / 16 for k in range(21))  # mean + w (sample − mean)
SHOWN = 6  # patches that the explorer shows
TABLE = pretrained.FOLDER / "patches.super_resolved.csv"


# ------------------------------------------------------------------------------------ the data
@functools.cache
def held_out() -> tuple[Tensor, Tensor]:
    """128 held-out patches, and the 8 × 8 blocks of 2000 others."""
    generator = torch.Generator().manual_seed(1)
    x = pictures.patches(N + MORE, split="test", generator=generator)
    return x[:N], blocks(x[N:])


@functools.cache
def measurement() -> Measurement:
    """The means of 4 × 4 squares, without noise."""
    return pool(SHAPE, 4)


@functools.cache
def small() -> Tensor:
    """What is known of the held-out patches: y [128, 36]."""
    return measurement().forward(held_out()[0])


@functools.cache
def prior() -> GaussianMixture:
    """One Gaussian, fitted to 20 000 training patches."""
    return GaussianMixture.fit(pictures.patches(20_000, generator=torch.Generator().manual_seed(0)))


# ------------------------------------------------------------------------------------ the methods
def by_gaussian(y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The exact posterior under the Gaussian: its mean, and a sample."""
    means, around = gaussian_posterior(prior(), measurement(), y)
    sample = means + around.sample(len(means), torch.Generator().manual_seed(seed))
    return means.float(), sample.float()


def by_upscaler(y: Tensor, seed: int, averaged: int = 16) -> tuple[Tensor, Tensor]:
    """The network that is told y: the mean of 16 samples, and the first one."""
    y = y.repeat(averaged, 1)
    denoiser = told(trained("upscaling"), measurement(), y)
    x_T = noise(denoiser, len(y), seed)
    *_, last = dpm_solver_pp_2m(denoiser, x_T, denoiser.schedule, timesteps(denoiser.schedule, 20))
    return first_of(consistent(last.x, measurement(), y), averaged)


def by_pigdm(y: Tensor, seed: int, averaged: int = 4) -> tuple[Tensor, Tensor]:
    """The network that knows patches, guided to y by ΠGDM: the mean of 4 samples, and the first one."""
    network, generator = trained("patches"), torch.Generator().manual_seed(seed)
    y = y.repeat(averaged, 1)
    guided = pigdm(network, measurement(), y, "flat")
    x_T, times = noise(network, len(y), seed), timesteps(network.schedule, 50)
    *_, last = ddpm(guided, x_T, network.schedule, times, generator=generator)
    return first_of(consistent(last.x, measurement(), y), averaged)


def by_replacement(y: Tensor, seed: int, averaged: int = 4) -> tuple[Tensor, Tensor]:
    """The same network, with the known means pasted in at each of 100 steps."""
    network, generator = trained("patches"), torch.Generator().manual_seed(seed)
    y = y.repeat(averaged, 1)
    x_T, times = noise(network, len(y), seed), timesteps(network.schedule, 100)
    *_, last = replacement(network, measurement(), y, x_T, network.schedule, times, generator=generator)
    return first_of(last.x, averaged)


METHODS: dict[str, Callable[[Tensor, int], tuple[Tensor, Tensor]]] = {
    "Gaussian, exact": by_gaussian,
    "network told y": by_upscaler,
    "network with ΠGDM": by_pigdm,
    "network with replacement": by_replacement,
}
EXPLORED = ("Gaussian, exact", "network told y", "network with ΠGDM")


@functools.cache
def answered(method: str) -> tuple[Tensor, Tensor, float]:
    """The method's answers to all of y, and the seconds of processor time that they took."""
    start = time.process_time()
    with torch.no_grad():
        mean, sample = METHODS[method](small(), 0)
    return mean, sample, time.process_time() - start


def noise(network: ModelDenoiser, n: int, seed: int) -> Tensor:
    """x_T for n pictures: [n, 1, 24, 24], the same for the same seed."""
    return p_sample_prior((n, *SHAPE), network.schedule, torch.Generator().manual_seed(seed))


def first_of(samples: Tensor, averaged: int) -> tuple[Tensor, Tensor]:
    """The mean of the `averaged` samples for each y, and the first of them."""
    each = samples.reshape(averaged, -1, *SHAPE)
    return each.mean(0), each[0]


# ------------------------------------------------------------------------------------ what is measured
def blocks(x: Tensor) -> Tensor:
    """The 8 × 8 blocks that patches [B, 1, 24, 24] consist of: [9 B, 64]."""
    return x.unfold(2, 8, 8).unfold(3, 8, 8).reshape(-1, 64)


def measures(x: Tensor) -> dict[str, float]:
    """The error of answers x [128, 1, 24, 24], and the distance of their blocks to real ones."""
    truth, real = held_out()
    return {
        "error": (x - truth).double().square().mean().item(),
        "distance": metrics.frechet_distance(blocks(x), real),
        "misfit": (measurement().forward(x) - small()).double().square().mean().sqrt().item(),
    }


def drawn(method: str) -> dict[str, Tensor]:
    """What the explorer shows of a method: the first answers, and error and distance at each w [21, 2]."""
    mean, sample, _ = answered(method)
    rows = [measures(mean + w * (sample - mean)) for w in W]
    curves = torch.tensor([[row["error"], row["distance"]] for row in rows], dtype=torch.float64)
    return {"mean": mean[:SHOWN].half(), "sample": sample[:SHOWN].half(), "curves": curves}


def between(method: str, picture: int, w: float) -> Tensor:
    """mean + w (sample − mean), for one of the patches, counted from 1: [1, 24, 24]."""
    mean, sample = METHODS[method](small(), 0)
    x = mean + w * (sample - mean)
    return x[picture - 1]


@functools.cache
def answers(method: str) -> dict[str, Tensor]:
    """`drawn`, which takes up to minutes: shipped."""
    found = shipped(f"super-resolution.{method}")
    return found | {name: found[name].float() for name in ("mean", "sample")}


def shown(picture: int) -> tuple[Tensor, Tensor, Tensor]:
    """A held-out patch; y, with a square for each of its numbers; and y by bicubic interpolation."""
    truth, y = held_out()[0][picture - 1], small()[picture - 1 : picture]
    return truth, 16 * measurement().adjoint(y)[0], bicubic(y, measurement())[0]


@functools.cache
def of_bicubic() -> dict[str, float]:
    """What is measured of bicubic interpolation."""
    return measures(bicubic(small(), measurement()))


@functools.cache
def floor() -> float:
    """The distance of the 128 truths to other held-out patches: that of two sets of real ones."""
    truth, real = held_out()
    return metrics.frechet_distance(blocks(truth), real)


def decibels(error: float) -> float:
    """A mean squared error as a PSNR, for data in [−1, 1]."""
    return 10 * math.log10(4 / error)


# ------------------------------------------------------------------------------------ the table
def rows() -> list[dict[str, str]]:
    """A row for each method, and for what is not a method: bicubic interpolation, and the truth."""
    table = [row("the truth", dict(distance=floor()), None, 0), row("bicubic", of_bicubic(), None, 0)]
    for name in METHODS:
        mean, sample, seconds = answered(name)
        table.append(row(name, measures(mean), measures(sample), seconds))
    return table


def row(name: str, mean: dict | None, sample: dict | None, seconds: float) -> dict[str, str]:
    """One line of the table: dB, distances, and how far a sample is from having y."""
    line = dict.fromkeys(["method", *COLUMNS], "")
    line |= {"method": name, "seconds": f"{seconds:.0f}" if seconds else ""}
    for kind, found in (("mean", mean), ("sample", sample)):
        for what, value in (found or {}).items():
            if what == "error":
                line[f"{kind} error"] = f"{value:.5f}"
            elif f"{kind} {what}" in COLUMNS:
                line[f"{kind} {what}"] = f"{value:.4f}"
    return line


COLUMNS = ["mean error", "mean distance", "sample error", "sample distance", "sample misfit", "seconds"]


def table() -> dict[str, dict[str, float]]:
    """The stored table: method -> column -> number, NaN where there is none."""
    return {row.pop("method"): row for row in read_table(TABLE)}


def main() -> None:
    """Measure everything and store the table."""
    command = "python -m diffusion_lab.experiments.super_resolved"
    write_table(TABLE, rows(), f"{command}: 128 held-out patches, 24×24 from 6×6")
    print(TABLE.read_text("utf-8"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
