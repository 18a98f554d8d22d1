"""A generative adversarial network: one network draws, another one tells its draws from data.

The discriminator D says how real an x looks, as log-odds, a *logit*: it believes x with probability
sigmoid(D(x)). The generator G makes x of noise z ~ N(0, I), and is paid for being believed (Goodfellow et al.
2014)::

    D minimises   −E log sigmoid(D(x)) − E log(1 − sigmoid(D(G(z))))      algorithm 1
    G minimises   −E log sigmoid(D(G(z)))                                 the non-saturating loss, section 3

Each takes one step, in turn. There is no density and no bound: whoever wants to know how good G is has to
draw and look. Against any G, the best D is log p_data − log p_G, and the best G against it draws as the data
do. Whether the two ever come there is another question. A penalty on the slope of D where the data are (R1)
or where the draws are (R2) makes them converge, if they start near enough (Mescheder et al. 2018). ::

    generator = drawn(lambda: mlp(2, 2, 96, 3), rng)            # any network, z [B, latent] -> x [B, *D]
    discriminator = drawn(lambda: mlp(2, 1, 96, 3), rng)        # any network, x [B, *D] -> logits [B, 1]
    averaged = train_gan(generator, discriminator, x0, GanRecipe(latent=2))
    x = draw(averaged, 1000, latent=2, rng=rng)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..checks import check_data, check_generator, check_int
from ..training import moving_average


def discriminator_loss(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """−mean log sigmoid(real_logit) − mean log(1 − sigmoid(fake_logit)), in nats.

    (Goodfellow et al. 2014, eq. 1, with its sign turned.) It is twice the cross-entropy of telling an equal
    number of both apart: 2 log 2 if all logits are 0.
    """
    return F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()


def generator_loss(fake_logit: Tensor) -> Tensor:
    """−mean log sigmoid(fake_logit), in nats: the non-saturating loss (Goodfellow et al. 2014, section 3).

    Where D does not believe a draw, mean log(1 − sigmoid(fake_logit)), what D itself gains there, is flat in
    the logit. This is steep.
    """
    return F.softplus(-fake_logit).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """‖∇_x D(x)‖² per example, `[B, *D] -> [B]`; it can be differentiated by D's weights.

    At data its mean times γ/2 is R1, at draws it is R2 (Mescheder et al. 2018, eq. 9 and 10). D must treat
    each example by itself.
    """
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return slope.square().flatten(1).sum(1)


@dataclass(frozen=True)
class GanRecipe:
    """How to train the two. Raises ValueError for values without sense.

    :ivar latent: numbers of z
    :ivar lr: of both networks' Adam; it falls to 0 along half a cosine
    :ivar betas: of Adam: the memory of gradients and of their squares
    :ivar r1: γ of the penalty at data; 0 is without
    :ivar r2: γ of the penalty at draws; 0 is without
    :ivar seed: of the batches and of z
    """

    latent: int = 2
    steps: int = 2000
    batch: int = 128
    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    r1: float = 0.0
    r2: float = 0.0
    ema_decay: float = 0.999
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in dict(latent=1, steps=1, batch=1, seed=0).items():
            check_int(getattr(self, name), name, lowest)
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be a number above 0; got {self.lr!r}")
        for name in ("r1", "r2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number of at least 0; got {getattr(self, name)!r}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1); got {self.betas!r}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be a number in [0, 1); got {self.ema_decay!r}")


def train_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    x0: Tensor,
    recipe: GanRecipe,
    *,
    callback: Callable[[int, nn.Module], None] | None = None,
    callback_every: int = 100,
    progress: bool = True,
) -> nn.Module:
    """Trains both networks in place on data x0 `[N, *D]`; returns the generator with averaged weights.

    The average is in eval mode and requires no gradient. `callback(step, averaged)` is called every
    `callback_every` steps and after the last. Batches and z come from one generator of random numbers, with
    the recipe's seed. Raises ValueError for data that are not finite, and if a loss stops being a number.
    """
    check_data(x0, "x0")
    rng, ema = torch.Generator().manual_seed(recipe.seed), moving_average(generator, recipe.ema_decay)
    networks = (generator, discriminator)
    players = [torch.optim.Adam(net.parameters(), recipe.lr, recipe.betas, fused=True) for net in networks]
    fall = [torch.optim.lr_scheduler.CosineAnnealingLR(player, recipe.steps) for player in players]
    for_generator, for_discriminator = players
    bar = tqdm(range(1, recipe.steps + 1), disable=not progress, unit="step")
    for step in bar:
        # 1. D learns to tell data from draws
        real = x0[torch.randint(len(x0), (recipe.batch,), generator=rng)]
        fake = generator(torch.randn(recipe.batch, recipe.latent, generator=rng)).detach()
        both = torch.cat([real, fake])  # one call is faster than two
        loss = told = discriminator_loss(*discriminator(both).split(recipe.batch))
        if recipe.r1 or recipe.r2:
            at_data, at_draws = gradient_penalty(discriminator, both).split(recipe.batch)
            loss = loss + recipe.r1 / 2 * at_data.mean() + recipe.r2 / 2 * at_draws.mean()
        for_discriminator.zero_grad()
        loss.backward()
        for_discriminator.step()

        # 2. G learns to look real to it
        discriminator.requires_grad_(False)  # its weights stand still
        missed = generator_loss(
            discriminator(generator(torch.randn(recipe.batch, recipe.latent, generator=rng)))
        )
        for_generator.zero_grad()
        missed.backward()
        for_generator.step()
        discriminator.requires_grad_(True)
        for each in fall:
            each.step()

        # 3. The average, and from time to time a look
        ema.update_parameters(generator)
        if step % 50 == 0 or step == recipe.steps:
            if not math.isfinite(told.item() + missed.item()):
                raise ValueError(f"lr = {recipe.lr} must be lower: a loss is not a number at step {step}")
            bar.set_postfix(D=f"{told.item():.3f}", G=f"{missed.item():.3f}")
        if callback is not None and (step % callback_every == 0 or step == recipe.steps):
            callback(step, ema.module)
    return ema.module


@torch.no_grad()
def draw(generator: nn.Module, n: int, latent: int, rng: torch.Generator | None = None) -> Tensor:
    """n draws G(z) with z ~ N(0, I), `[n, *D]`."""
    check_generator(rng)
    return generator(torch.randn(check_int(n, "n", 1), check_int(latent, "latent", 1), generator=rng))
