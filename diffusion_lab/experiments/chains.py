"""The forward process in t small steps and in one jump, and how far both are from q(x_t|x_0)."""

import torch
from torch import Tensor

from ..data import moons, toy_mixture
from ..exact import GaussianMixture
from ..forward import q_chain, q_marginal, q_sample
from ..gaussian import Gaussian, kl
from ..schedules import NoiseSchedule
from .stored import digits, hundred_steps


def one_dimensional() -> GaussianMixture:
    """Three Gaussians on a line, of different place, width and weight, as in notebook 03."""
    means = torch.tensor([[-0.8], [0.1], [0.8]], dtype=torch.float64)
    return GaussianMixture(means, stds=[0.12, 0.12, 0.2], weights=[0.5, 0.2, 0.3])


# Each draws x_0, float64
DRAWS = {
    "1-D mixture": lambda generator: one_dimensional().sample(4000, generator),
    "2-D mixture": lambda generator: toy_mixture().sample(4000, generator),
    "2-D moons": lambda generator: moons(4000, generator).double(),
    "digit": lambda _: digits("train")[0][[10]].double().expand(200, 1, 8, 8),  # 200 walks from one digit
}


def both_ways(
    source: str, schedule: str, seed: int, times: list[int]
) -> tuple[NoiseSchedule, Tensor, Tensor, Tensor]:
    """The schedule's table; x_0 `[N, *D]`; the chain x_0, …, x_T `[T + 1, N, *D]`; jumps `[times, N, *D]`."""
    table, generator = hundred_steps(schedule), torch.Generator().manual_seed(seed)
    x0 = DRAWS[source](generator)
    chain = q_chain(x0, table, generator)  # x_0, x_1, …, x_T
    noise = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)  # one ε for all jumps
    x0_at = x0.expand(len(times), *x0.shape)
    jump = q_sample(x0_at, torch.tensor(times), table, noise.expand_as(x0_at))
    return table, x0, chain, jump


def measured(table: NoiseSchedule, x0: Tensor, chain: Tensor, jump: Tensor) -> dict:
    """Measurements on chain and jump `[T + 1, N, *D]` at each t, as tables [T + 1].

    "signal": the share of x_0 in the chain's x_t, by least squares. "noise": the root mean square of x_t −
    √ᾱ_t x_0 in the chain. "chain" and "jump": KL(N(m, s²) ‖ q(x_t|x_0)) in nats per coordinate, where m and
    s² are the moments of all x_t − √ᾱ_t x_0; NaN at t = 0.
    """
    x0_at = x0.expand(table.T + 1, *x0.shape)
    mean = q_marginal(x0_at, torch.arange(table.T + 1), table).mean
    found = {"signal": (chain * x0).flatten(1).sum(1) / x0.square().sum()}
    found["noise"] = (chain - mean).flatten(1).square().mean(1).sqrt()
    return found | {name: divergence(x - mean, table) for name, x in (("chain", chain), ("jump", jump))}


def divergence(off: Tensor, table: NoiseSchedule) -> Tensor:
    """KL(N(m, s²) ‖ N(0, σ_t²)) in nats for each t, NaN at 0; m and s² are the moments of off[t]: [T + 1]."""
    off, var = off[1:].flatten(1), table.sigma[1:, None] ** 2
    seen = Gaussian(off.mean(1, keepdim=True), off.var(1, correction=0, keepdim=True))
    return torch.cat([var.new_full((1,), torch.nan), kl(seen, Gaussian(torch.zeros_like(var), var))])
