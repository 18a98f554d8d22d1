"""A variational autoencoder that draws by itself: z ~ N(0, I), and x ~ N(decoder(z), s² I).

To train it by maximum likelihood one would have to integrate over z. An encoder guesses which z made an x,
q(z|x) = N(mean, diag(variance)), and gives a lower bound (Kingma & Welling 2014, eq. 3)::

    log p(x)  ≥  E_q log p(x|z)  −  KL(q(z|x) ‖ N(0, I))

It is the bound of a diffusion with one step, except that here the way into the noise is learned as well. s²
is one number and learned with the rest, for it decides how much the first term weighs against the second:
−log N(x; m, s² I) is ‖x − m‖²/(2s²) + (D/2) log 2πs². To leave it at 1 is to choose a weight of the KL term
without a reason; the best s² is the mean squared error (Rybkin et al. 2021). It starts small. Where s² is
above the variance of the data in some direction, saying nothing is the best the encoder can do, and then no
gradient tells it otherwise (Lucas et al. 2019): the latents collapse onto the prior. Draws are made with
their noise: without it they have no density, and it is not that p which was trained. ::

    encoder = drawn(lambda: mlp(2, 2 * 2, 96, 3), rng)      # x [B, *D] -> mean and log-variance of z
    decoder = drawn(lambda: mlp(2, 2, 96, 3), rng)          # z [B, latent] -> mean of x [B, *D]
    vae = train_vae(encoder, decoder, x0, VaeRecipe(latent=2))
    x, nats = vae.sample(1000, rng), vae.bound(x0, 100, rng)

(The autoencoder of `autoencoder` is one that needs another model to draw its latents.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..checks import check_data, check_generator, check_int
from ..gaussian import Gaussian, kl
from ..training import moving_average

PRIOR = Gaussian(0.0, 1.0)
AT_ONCE = 50_000  # rows that `bound` decodes together


class Vae(nn.Module):
    """Encoder, decoder and the log-variance of the noise on x, one number.

    encoder: `[B, *D] -> [B, 2 · latent]`, the means and then the log-variances. decoder: `[B, latent] ->
    [B, *D]`, the mean of x.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int, noise: float = 0.1) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, check_int(latent, "latent", 1)
        self.log_variance = nn.Parameter(torch.tensor(2 * math.log(noise)))

    def encode(self, x: Tensor) -> Gaussian:
        """q(z|x), [B, latent]. Raises ValueError for an encoder that gives another number of columns."""
        out = self.encoder(x)
        if out.shape != (len(x), 2 * self.latent):
            raise ValueError(f"encoder must give [{len(x)}, {2 * self.latent}]; got {list(out.shape)}")
        mean, log_variance = out.chunk(2, 1)
        return Gaussian(mean, log_variance.clamp(-15, 10).exp())  # a variance, whatever the first steps do

    def decode(self, z: Tensor) -> Gaussian:
        """p(x|z), `[B, *D]`."""
        return Gaussian(self.decoder(z), self.log_variance.exp())

    def terms(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """(−log p(x|z) for one draw z of q(z|x), KL(q(z|x) ‖ N(0, I))), in nats: twice [B].

        Their sum is the negative bound, unbiased.
        """
        q = self.encode(x)
        return -self.decode(q.sample(generator)).log_prob(x), kl(q, PRIOR)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws of p(x), `[n, *D]`."""
        check_generator(generator)
        z = torch.randn(check_int(n, "n", 1), self.latent, generator=generator)
        return self.decode(z).sample(generator)

    @torch.no_grad()
    def bound(self, x: Tensor, K: int, generator: torch.Generator | None = None) -> Tensor:
        """The importance-weighted bound log 1/K Σ_k p(x, z_k)/q(z_k|x) with z_k ~ q(z|x), in nats: [N].

        (Burda et al. 2016, eq. 8.) Its mean is at most log p(x), which it approaches as K grows; K = 1 is the
        bound that is trained. Raises ValueError for K below 1.
        """
        check_data(x, "x")
        K = check_int(K, "K", 1)
        found: list[Tensor] = []
        for part in x.split(max(1, AT_ONCE // K)):
            q = self.encode(part)
            wide = Gaussian(q.mean.repeat(K, 1), q.var.repeat(K, 1))
            z = wide.sample(generator)
            prior = Gaussian(torch.zeros_like(z), 1.0)
            rows = part.repeat(K, *[1] * (part.ndim - 1))
            weight = self.decode(z).log_prob(rows) + prior.log_prob(z) - wide.log_prob(z)
            found.append(weight.reshape(K, -1).logsumexp(0) - math.log(K))
        return torch.cat(found)


@dataclass(frozen=True)
class VaeRecipe:
    """How to train it. Raises ValueError for values without sense.

    :ivar latent: numbers of z
    :ivar lr: of Adam; it falls to 0 along half a cosine
    :ivar noise: s at the start, a standard deviation
    :ivar beta: weight of the KL term: 1 is the bound, others are the β-VAE (Higgins et al. 2017)
    :ivar seed: of the batches and of z
    """

    latent: int = 2
    steps: int = 2000
    batch: int = 128
    lr: float = 2e-3
    noise: float = 0.1
    beta: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in dict(latent=1, steps=1, batch=1, seed=0).items():
            check_int(getattr(self, name), name, lowest)
        for name in ("lr", "noise"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number above 0; got {getattr(self, name)!r}")
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"beta must be a number of at least 0; got {self.beta!r}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be a number in [0, 1); got {self.ema_decay!r}")


def train_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    x0: Tensor,
    recipe: VaeRecipe,
    *,
    callback: Callable[[int, Vae], None] | None = None,
    callback_every: int = 100,
    progress: bool = True,
) -> Vae:
    """Trains both networks in place on data x0 `[N, *D]`; returns the VAE with averaged weights.

    It is in eval mode and requires no gradient. `callback(step, averaged)` is called every `callback_every`
    steps and after the last. Raises ValueError for data that are not finite, for networks that do not fit,
    and if what they give stops being finite.
    """
    check_data(x0, "x0")
    rng, vae = torch.Generator().manual_seed(recipe.seed), Vae(encoder, decoder, recipe.latent, recipe.noise)
    ema = moving_average(vae, recipe.ema_decay)
    averaged = ema.module
    assert isinstance(averaged, Vae)
    # a short memory of squared gradients: s² starts small, and the first gradients are very large
    optimizer = torch.optim.Adam(vae.parameters(), recipe.lr, (0.9, 0.99), fused=True)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    bar = tqdm(range(1, recipe.steps + 1), disable=not progress, unit="step")
    for step in bar:
        x = x0[torch.randint(len(x0), (recipe.batch,), generator=rng)]
        reconstruction, divergence = (term.mean() for term in vae.terms(x, rng))
        optimizer.zero_grad()
        (reconstruction + recipe.beta * divergence).backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 100.0)  # one bad batch cannot ruin the weights
        optimizer.step()
        fall.step()
        ema.update_parameters(vae)
        if step % 50 == 0:
            bar.set_postfix(nats=f"{reconstruction.item():.3f} + {divergence.item():.3f}")
        if callback is not None and (step % callback_every == 0 or step == recipe.steps):
            callback(step, averaged)
    return averaged
