"""The four models that are compared on the 25 Gaussians of `grid`: how each is trained, draws and is judged.

A GAN, the same with both penalties, a VAE and a diffusion. All have some 38 000 weights, and are trained for
the same time.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..applications import gan, vae
from ..applications.plain import Waves, mlp
from ..likelihood import log_likelihood
from ..mlp import MLP
from ..recipe import Recipe
from ..samplers import dpm_solver_pp_2m, p_sample_prior, timesteps
from ..schedules import cosine
from ..sde import vp
from ..training import train
from ..views import Denoiser
from ..weights import drawn
from . import grid

LATENT, T, STEPS_TO_DRAW = 2, 4000, 50
# What each search tries. Every recipe gets as many steps as fit into some 15 seconds of one core
CANDIDATES: dict[str, tuple[dict[str, Any], ...]] = {
    "GAN": (
        dict(lr=3e-4, steps=6400),
        dict(lr=1e-3, steps=6400),
        dict(lr=3e-3, steps=6400),
        dict(lr=3e-3, batch=64, steps=8000),
        dict(lr=3e-3, batch=256, steps=4500),
        dict(lr=1e-3, waves=3, steps=6400),
    ),
    "GAN, R1 + R2": (
        dict(lr=4e-3, gamma=0.003, waves=2, batch=64, steps=5000),
        dict(lr=6e-3, gamma=0.003, steps=3500),
        dict(lr=6e-3, gamma=0.003, batch=64, steps=5000),
        dict(lr=6e-3, gamma=0.01, batch=64, steps=5000),
        dict(lr=1e-2, gamma=0.003, batch=64, steps=5000),
        dict(lr=6e-3, gamma=0.003, waves=3, batch=64, steps=5000),
    ),
    "VAE": (
        dict(lr=5e-3, steps=6000),
        dict(lr=5e-3, waves=3, steps=6000),
        dict(lr=5e-3, waves=5, steps=6000),
        dict(lr=1e-2, waves=3, steps=6000),
        dict(lr=5e-3, waves=3, batch=256, steps=4800),
        dict(lr=5e-3, waves=3, beta=0.5, steps=6000),
    ),
    "diffusion": (
        dict(lr=2e-3, waves=0, steps=5900),
        dict(lr=2e-3, waves=5, steps=5900),
        dict(lr=5e-3, waves=5, steps=5900),
        dict(lr=1e-2, waves=5, steps=5900),
        dict(lr=5e-3, waves=5, predicts="eps", steps=5900),
        dict(lr=5e-3, waves=5, batch=256, steps=4800),
    ),
}
MODELS = tuple(CANDIDATES)


class WavyMLP(MLP):
    """The MLP of `mlp`, whose first layer sees the coordinates' `Waves` as well."""

    def __init__(self, waves: int, width: int, depth: int) -> None:
        super().__init__(2, width, depth)
        wider = nn.Linear(2 * (1 + 2 * waves), width)
        self.first = nn.Sequential(Waves(waves), wider)  # pyrefly: ignore[bad-assignment]  any layer will do


@dataclass(frozen=True)
class OnGrid(Recipe):
    """The recipe of the diffusion. So that the smallest σ_t is well below the modes', T is 4000."""

    networks: ClassVar[Mapping[str, Callable[..., Any]]] = {"WavyMLP": WavyMLP}

    data: str = "grid"
    network: str = "WavyMLP"
    T: int = T


def wavy(inputs: int, outputs: int, waves: int, width: int, depth: int) -> nn.Module:
    """An `mlp` of `Waves` of its input."""
    return nn.Sequential(Waves(waves), mlp(inputs * (1 + 2 * waves), outputs, width, depth))


Look = Callable[[int, Any], None]  # of a step, and what draws at this step: generator, VAE or denoiser


def trained(model: str, options: Mapping[str, Any], seed: int, x0: Tensor, look: Look, every: int) -> Any:
    """A model trained on x0 [N, 2]: a generator, a `Vae` or a denoiser; `look` is called every few steps."""
    told: dict[str, Any] = dict(options) | dict(seed=seed)
    call: dict[str, Any] = dict(callback=look, callback_every=every, progress=False)
    rng, waves = torch.Generator().manual_seed(seed), told.pop("waves", 0)
    if model == "diffusion":
        recipe = OnGrid(arguments=dict(waves=waves, width=60, depth=2), **told)
        call["callback"] = lambda step, denoiser, _: look(step, denoiser)
        return train(recipe, x0, **call).denoiser
    if model == "VAE":
        encoder = drawn(lambda: wavy(2, 2 * LATENT, waves, 96, 3), rng)
        decoder = drawn(lambda: mlp(LATENT, 2, 96, 3), rng)
        return vae.train_vae(encoder, decoder, x0, vae.VaeRecipe(LATENT, **told), **call)
    gamma = told.pop("gamma", 0.0)
    generator = drawn(lambda: mlp(LATENT, 2, 96, 3), rng)
    discriminator = drawn(lambda: wavy(2, 1, waves, 96, 3), rng)
    return gan.train_gan(
        generator, discriminator, x0, gan.GanRecipe(LATENT, r1=gamma, r2=gamma, **told), **call
    )


def weights(model: str, options: Mapping[str, Any]) -> int:
    """How many numbers the model learns, all its networks together."""
    waves, plain = options.get("waves", 0), mlp(LATENT, 2, 96, 3)
    if model == "diffusion":
        nets, more = [WavyMLP(waves, 60, 2)], 0
    else:
        nets, more = [plain, wavy(2, 2 * LATENT if model == "VAE" else 1, waves, 96, 3)], int(model == "VAE")
    return sum(weight.numel() for net in nets for weight in net.parameters()) + more


@torch.no_grad()
def draws(source: Any, n: int, seed: int = 0) -> Tensor:
    """n draws of a generator, a `Vae`, a denoiser or the mixture: [n, 2]. The same seed is the same noise."""
    rng = torch.Generator().manual_seed(seed)
    if isinstance(source, vae.Vae):
        return source.sample(n, rng)
    if isinstance(source, nn.Sequential):
        return gan.draw(source, n, LATENT, rng)
    if not callable(source):
        return source.sample(n, rng)
    *_, last = dpm_solver_pp_2m(*from_noise(source, n, rng, STEPS_TO_DRAW))
    return last.x


def from_noise(denoiser: Denoiser, n: int, rng: torch.Generator, steps: int) -> tuple[Any, ...]:
    """What a sampler is told: the denoiser, x_T [n, 2], the schedule, times equally spaced in log SNR."""
    schedule = cosine(T)
    return denoiser, p_sample_prior((n, 2), schedule, rng), schedule, timesteps(schedule, steps, "log_snr")


@functools.cache
def points(n: int = 100_000, seed: int = 1000) -> Tensor:
    """Points of the truth: training data, or with other seeds held-out ones."""
    return grid.grid().sample(n, torch.Generator().manual_seed(seed))


def likelihood(source: Any) -> dict[str, float]:
    """nll: the mean of −log p over 500 held-out points, in nats; and the std of the noise of a GAN or VAE.

    A VAE by quadrature, with its own noise; `bound`, of one draw of z for each point, is above that. A GAN by
    the same quadrature, granted the noise that is best on 100 other points. A denoiser by the ODE.
    """
    test = points(500, 1001)
    if isinstance(source, vae.Vae):
        std = (source.log_variance / 2).exp().item()
        bound = source.bound(test, 1, torch.Generator().manual_seed(0))
        nll = -grid.log_density(source.decoder, [std], test).mean()
        return dict(nll=nll.item(), bound=-bound.mean().item(), std=std)
    if isinstance(source, nn.Sequential):
        stds = [0.004 * 1.4**k for k in range(16)]
        std = stds[int(grid.log_density(source, stds, points(100, 1002)).mean(1).argmax())]
        return dict(nll=-grid.log_density(source, [std], test).mean().item(), std=std)
    return dict(nll=-log_likelihood(source, test, vp()).mean().item())
