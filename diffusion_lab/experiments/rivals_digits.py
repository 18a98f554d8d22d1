"""GAN, VAE and diffusion on 8×8 digits, with about as many weights and as many seconds each.

``python -m diffusion_lab.experiments.rivals_digits`` trains them. First a search gives each kind its recipe:
the network (an MLP or a small convolutional one), the learning rate, and what else its papers tune; the best
has the lowest Fréchet distance to 287 *training* digits that the search holds out. Then ten seeds of each are
trained on all training digits and measured against the test digits, and two on a tenth of the digits. At last
the network that ships is guided. It takes some 25 minutes of one core, goes on where it was stopped, and
writes ``pretrained/digits.rivals.csv``; `table` reads it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import guidance, samplers, training
from ..applications.gan import GanRecipe, draw, train_gan
from ..applications.plain import mlp
from ..applications.vae import VaeRecipe, train_vae
from ..checkpoints import FilePath
from ..pretrained import FOLDER
from ..recipe import Recipe
from ..tables import read_table, write_table
from ..unet import TinyUNet
from ..views import Denoiser
from ..weights import drawn
from .architectures import PictureMLP
from .drawn_digits import bits_of_diffusion, bits_of_vae, measured
from .stored import digits, trained

FILE = FOLDER / "digits.rivals.csv"
COMMAND = "python -m diffusion_lab.experiments.rivals_digits"
KINDS = ("GAN", "GAN, R1 + R2", "VAE", "diffusion")
LATENT, BATCH, SAMPLING = 16, 64, 20  # numbers of z; steps of DPM-Solver++(2M)
SECONDS = 16  # of one core for each run, about: PACE says how many steps that is
PACE = {  # milliseconds a step, measured in turn on one core
    ("GAN", "MLP"): 2.6, ("GAN", "convolutions"): 15.2, ("GAN, R1 + R2", "MLP"): 4.9,
    ("GAN, R1 + R2", "convolutions"): 26.2, ("VAE", "MLP"): 2.5, ("VAE", "convolutions"): 10.7,
    ("diffusion", "MLP"): 2.8, ("diffusion", "convolutions"): 17.3,
}  # fmt: skip
SEEDS, SEARCH_SEED, FEW, FEW_SEEDS = tuple(range(10)), 99, 144, (0, 1)
GUIDES, GUIDE_SEEDS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0), (0, 1)
SHEET, GREYS = 12, "0123456789abcdefg"  # digits kept of seed 0, and their grey levels as letters


class Run(NamedTuple):
    """One training: what is drawn up in a row. gamma is that of R1 and R2, beta the VAE's KL weight."""

    kind: str
    net: str
    lr: float
    gamma: float = 0.0
    beta: float = 1.0
    purpose: str = "final"
    images: int = 1437
    seed: int = 0


# ------------------------------------------------------------------------------------ networks
def maker(net: str, inputs: int | None, outputs: int) -> Callable[[], nn.Module]:
    """Latents -> pictures [B, 1, 8, 8] (`inputs` given), or pictures -> rows [B, outputs].

    Each has about 65 000 weights, so that two of them have as many as the diffusion's one network.
    """
    if net == "MLP" and inputs:
        return lambda: nn.Sequential(mlp(inputs, 64, 216, 2), nn.Unflatten(1, (1, 8, 8)))
    if net == "MLP":
        return lambda: nn.Sequential(nn.Flatten(), mlp(64, outputs, 216, 2))
    if inputs:
        return lambda: nn.Sequential(
            nn.Linear(inputs, 1024), nn.SiLU(), nn.Unflatten(1, (64, 4, 4)),
            nn.Conv2d(64, 56, 3, padding=1), nn.SiLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(56, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, 1, 3, padding=1),
        )  # fmt: skip
    return lambda: nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1), nn.SiLU(), nn.Conv2d(24, 56, 3, stride=2, padding=1), nn.SiLU(),
        nn.Flatten(), nn.Linear(16 * 56, 56), nn.SiLU(), nn.Linear(56, outputs),
    )  # fmt: skip


@dataclass(frozen=True)
class Unlabelled(Recipe):
    """A recipe of Part I for digits without their labels: of a rival, too, no class is asked."""

    networks: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "convolutions": lambda: TinyUNet(width=16, image_size=8),
        "MLP": lambda: PictureMLP(num_classes=None),
    }

    network: str = "convolutions"


def pair(run: Run) -> tuple[nn.Module, nn.Module]:
    """The network that draws and the one that looks, of a GAN or a VAE; first weights from the run's seed."""
    rng, ends = torch.Generator().manual_seed(run.seed), 2 * LATENT if run.kind == "VAE" else 1
    draws = drawn(maker(run.net, LATENT, 0), rng)
    return draws, drawn(maker(run.net, None, ends), rng)


def weights(kind: str, net: str) -> int:
    """How many numbers are learned, those of both networks together."""
    run = Run(kind, net, 0.0)
    made = (Unlabelled(network=net).make_network(),) if kind == "diffusion" else pair(run)
    return sum(weight.numel() for one in made for weight in one.parameters())


# ------------------------------------------------------------------------------------ one run
def steps_of(run: Run) -> int:
    """How many steps SECONDS are."""
    return round(1000 * SECONDS / PACE[run.kind, run.net])


def rows_of(run: Run, steps: int | None = None) -> list[dict]:
    """Train, draw, measure: a row of the table; for a VAE a second one, of its draws without their noise."""
    steps = steps or steps_of(run)
    known, real = data_of(run)
    n, noise = 3 * len(real), torch.Generator().manual_seed(1000 + run.seed)
    bits, start = float("nan"), time.process_time()
    if run.kind == "diffusion":
        recipe = Unlabelled(network=run.net, steps=steps, batch=BATCH, lr=run.lr, seed=run.seed)
        model = training.train(recipe, known, progress=False).denoiser
        seconds = time.process_time() - start
        sets = {run.kind: sampled(model, model.schedule, n, noise)}
        bits = bits_of_diffusion(model, real, known)
    elif run.kind == "VAE":
        told = VaeRecipe(LATENT, steps, BATCH, run.lr, run.beta, seed=run.seed)
        decoder, encoder = pair(run)
        vae = train_vae(encoder, decoder, known, told, progress=False)
        seconds, z = time.process_time() - start, torch.randn(n, LATENT, generator=noise)
        with torch.no_grad():
            p = vae.decode(z)
            sets = {run.kind: p.sample(noise), "VAE, means": p.mean}
        bits = bits_of_vae(vae, real, generator=noise)
    else:
        told = GanRecipe(LATENT, steps, BATCH, run.lr, r1=run.gamma, r2=run.gamma, seed=run.seed)
        generator, discriminator = pair(run)
        averaged = train_gan(generator, discriminator, known, told, progress=False)
        seconds, sets = time.process_time() - start, {run.kind: draw(averaged, n, LATENT, noise)}
    about = run._asdict() | dict(w=1.0, steps=steps, seconds=round(seconds, 1))
    return [row(about | dict(kind=kind), x, real, known, bits) for kind, x in sets.items()]


def data_of(run: Run) -> tuple[Tensor, Tensor]:
    """(digits to learn from, digits to be measured against); the search sees no test digit."""
    x, (test, _) = digits("train")[0], digits("test")
    if run.purpose != "search":
        return x[: run.images], test
    held_out = torch.arange(len(x)) % 5 == 4
    return x[~held_out], x[held_out]


def row(about: dict, x: Tensor, real: Tensor, known: Tensor, bits: float = float("nan")) -> dict:
    """A row of the table: how the draws were made, what they are like, and some of them."""
    found = {name: round(value, 4) for name, value in (measured(x, real, known) | dict(bits=bits)).items()}
    kept = about["seed"] == 0 and about["purpose"] != "search"
    grey = x[:SHEET].clamp(-1, 1).add(1).mul(8).round().int().flatten().tolist() if kept else []
    return about | found | dict(samples="".join(GREYS[level] for level in grey))


def sampled(denoiser: Denoiser, schedule: Any, n: int, generator: torch.Generator) -> Tensor:
    """n pictures, 20 steps of DPM-Solver++(2M)."""
    x_T = samplers.p_sample_prior((n, 1, 8, 8), schedule, generator)
    times = samplers.timesteps(schedule, SAMPLING)
    *_, last = samplers.dpm_solver_pp_2m(denoiser, x_T, schedule, times)
    return last.x


def guided_row(w: float, seed: int) -> dict:
    """The network that ships, told the ten classes equally often, with guidance w."""
    model, (real, _), noise = trained("digits"), digits("test"), torch.Generator().manual_seed(seed)
    label = torch.arange(3 * len(real)) % 10
    denoiser = guidance.classifier_free(model.given(label), model.given(None), w)
    about = Run("guided", "convolutions", 0.0, purpose="guided", seed=seed)._asdict()
    x = sampled(denoiser, model.schedule, len(label), noise)
    return row(about | dict(w=w, steps=SAMPLING, seconds=0.0), x, real, digits("train")[0])


def real_row(seed: int) -> dict:
    """Training digits in the place of draws: what a perfect model would score."""
    x, (real, _) = digits("train")[0], digits("test")
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[: 3 * len(real)]
    about = Run("real digits", "", 0.0, seed=seed)._asdict()
    known = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[3 * len(real) :]]
    return row(about | dict(w=1.0, steps=0, seconds=0.0), x[pick], real, known)


# ------------------------------------------------------------------------------------ the table
def search() -> list[Run]:
    """What is tried for each kind."""
    tried: list[Run] = []
    for net in ("MLP", "convolutions"):
        tried += [Run("GAN", net, lr) for lr in (2.5e-4, 1e-3, 4e-3, 8e-3)]
        pairs = ((1e-3, 0.3), (1e-3, 3.0), (4e-3, 0.3), (4e-3, 3.0), (4e-3, 10.0), (4e-3, 30.0))
        pairs += ((8e-3, 3.0), (8e-3, 10.0))
        tried += [Run("GAN, R1 + R2", net, lr, gamma) for lr, gamma in pairs]
        tried += [
            Run("VAE", net, lr, beta=b)
            for lr, b in ((2e-3, 0.3), (2e-3, 1.0), (2e-3, 2.0), (4e-3, 1.0), (8e-3, 1.0))
        ]
        tried += [Run("diffusion", net, lr) for lr in (2e-3, 4e-3, 8e-3, 1.6e-2)]
    return [run._replace(purpose="search", seed=SEARCH_SEED) for run in tried]


def best(rows: list[dict], kind: str) -> Run:
    """The recipe with the lowest Fréchet distance of the search; of a VAE's, that of its means counts."""
    seen = "VAE, means" if kind == "VAE" else kind
    tried = [r for r in rows if r["purpose"] == "search" and r["kind"] == seen]
    found = min(tried, key=lambda r: r["frechet"])
    return Run(kind, *(found[name] for name in ("net", "lr", "gamma", "beta")))


def planned(rows: list[dict]) -> list[Run]:
    """All runs behind the search, once that is among the rows."""
    recipes = [best(rows, kind) for kind in KINDS]
    found = [run._replace(seed=seed) for seed in SEEDS for run in recipes]
    return found + [
        run._replace(seed=seed, purpose="few", images=FEW) for seed in FEW_SEEDS for run in recipes
    ]


def table(path: FilePath = FILE) -> list[dict]:
    """The stored rows; `samples` as pictures [12, 1, 8, 8] in [−1, 1], for seed 0 of each kind, or [0, …]."""
    rows = read_table(path, words=("net", "samples"))
    for one in rows:
        grey = torch.tensor([float(GREYS.index(letter)) for letter in one["samples"]])
        one["samples"] = grey.reshape(-1, 1, 8, 8) / 8 - 1
    return rows


def mean(column: str, kind: str, purpose: str = "final", w: float = 1.0) -> tuple[float, float, float]:
    """(mean, lowest, highest) of a column over the seeds. Raises ValueError if there is no such row."""
    wanted = (kind, purpose, w)
    found = [r[column] for r in table() if (r["kind"], r["purpose"], r["w"]) == wanted]
    if not found:
        raise ValueError(f"kind, purpose and w must be those of a row; got {wanted}")
    return sum(found) / len(found), min(found), max(found)


def run_of(row: dict) -> Run:
    """What a row is a run of."""
    kind = row["kind"].removesuffix(", means")
    return Run(**{name: row[name] for name in Run._fields})._replace(kind=kind)


def main() -> None:
    """Train and measure what the table lacks, so a stopped run goes on; all of it, if it is whole."""
    rows = read_table(FILE, words=("net", "samples"))

    def missing(which: list[Run]) -> list[Run]:
        there = {run_of(r) for r in rows}
        return [run for run in which if run not in there]

    guided = {(r["w"], r["seed"]) for r in rows if r["purpose"] == "guided"}
    if len(guided) == len(GUIDES) * len(GUIDE_SEEDS) and not missing(search()) and not missing(planned(rows)):
        rows = []

    def done(of: list[dict]) -> None:
        rows.extend(of)
        write_table(FILE, rows, COMMAND)

    for which in (lambda: search(), lambda: planned(rows)):
        for run in tqdm(missing(which())):
            done(rows_of(run))
    for seed in SEEDS if not any(r["kind"] == "real digits" for r in rows) else ():
        done([real_row(seed)])
    for w, seed in [(w, seed) for w in GUIDES for seed in GUIDE_SEEDS]:
        if not any((r["purpose"], r["w"], r["seed"]) == ("guided", w, seed) for r in rows):
            done([guided_row(w, seed)])
    kept = {*search(), *planned(rows)}  # a recipe that is not tried any more leaves the table
    rows = [r for r in rows if run_of(r) in kept or r["lr"] == 0]
    done([])
    for kind in KINDS:
        print(best(rows, kind))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
