"""Edited points and digits, and when an edit loses what the guide was about: the time the mode is decided.

In a Gaussian mixture everything is exact. x_t0 says of each component how probable it is that x_0 came
from there, p(k|x_t0), and a perfect sampler that starts at x_t0 ends in component k with just that
probability.
"""

import functools

import torch
from torch import Tensor

from ..applications.editing import sdedit
from ..checks import check_batch, check_generator, check_int, noise_like
from ..data import toy_mixture
from ..exact import GaussianMixture
from ..samplers import SAMPLERS
from ..schedules import NoiseSchedule, cosine, numbers_at

NODES = torch.linspace(-9, 9, 2001, dtype=torch.float64)  # of a sum for an integral over N(0, 1)
WEIGHTS = (-(NODES**2) / 2).softmax(0)
TWO_MODES = GaussianMixture(torch.tensor([[-1.0], [1.0]], dtype=torch.float64), stds=[0.2, 0.2])
MIXTURES = {"two modes": TWO_MODES, "2-D mixture": toy_mixture()}
T0 = (*range(0, 1001, 50),)


def ends(
    mixture: GaussianMixture,
    guide: Tensor,
    t0: float,
    schedule: NoiseSchedule,
    draws: int = 2000,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The probability that a guide, noised to t0 and denoised exactly, ends in component k: E[p(k|x_t0)].

    guide `[B, *D]` -> [B, K], float64. In one dimension by quadrature, exact to ten digits or more;
    otherwise the mean over `draws` of x_t0 for each guide, with the same noise for all (that of seed 0
    unless a generator is given). t0 in 0…T, real too. Raises ValueError for a guide of another shape.
    """
    x0 = check_batch(guide, "guide", mixture.means.shape[1:]).double()
    signal, sigma = numbers_at(schedule, t0)
    noise, weights = _noise(x0[:1], draws, generator)
    x_t = signal * x0[:, None] + sigma * noise
    p = mixture.noised(t0, schedule).log_posterior(x_t.flatten(0, 1)).exp()
    return torch.einsum("n,bnk->bk", weights, p.reshape(len(x0), len(weights), -1))


def mode_change(
    mixture: GaussianMixture,
    t0: float,
    schedule: NoiseSchedule,
    draws: int = 2000,
    generator: torch.Generator | None = None,
) -> float:
    """The probability that data, noised to t0 and denoised exactly, ends in another component.

    It is 1 − E[Σ_k p(k|x_t0)²]. Where x_t0 came from and where the sampler goes are two independent draws
    of k from the same p(k|x_t0). They agree with probability Σ_k p(k|x_t0)². In one dimension by
    quadrature; otherwise the mean over `draws` of x_t0 for each component (by seed 0 unless a generator
    is given).
    """
    noised = mixture.noised(t0, schedule)
    if noised.means[0].numel() == 1:
        x_t = noised.means.double().flatten(1) + noised.var.double().sqrt() * NODES  # [K, nodes]
        weights = noised.weights.double()[:, None] * WEIGHTS
        x_t, weights = x_t.reshape(-1, *noised.means.shape[1:]), weights.flatten()
    else:
        check_int(draws, "draws", 1)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        each = [noised.given(k).sample(draws, generator) for k in range(len(noised.means))]
        x_t, weights = torch.cat(each).double(), (noised.weights.double() / draws).repeat_interleave(draws)
    agree = noised.log_posterior(x_t).exp().square().sum(1)
    return 1 - (weights @ agree).item()


def decided(mixture: GaussianMixture, schedule: NoiseSchedule, share: float = 0.5, draws: int = 2000) -> int:
    """The first t0 at which `mode_change` reaches `share` of what it is for pure noise, 1 − Σ_k w_k².

    With two equal modes and a share of one half that is a chance of a quarter. The later x_t0, the less
    it says of k, so that the chance never falls with t0 and the time can be found by halving an interval.
    T if it is never reached. Raises ValueError for a share outside 0…1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1; got {share}")
    wanted = share * (1 - mixture.weights.double().square().sum().item())
    low, high = 0, schedule.T
    while high - low > 1:
        middle = (low + high) // 2
        below = mode_change(mixture, middle, schedule, draws) < wanted
        low, high = (middle, high) if below else (low, middle)
    return high


def _noise(x0: Tensor, draws: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """ε for one guide `[1, N, *D]`, and the weights [N] of a mean over it."""
    check_generator(generator)
    if x0.numel() == 1:
        return NODES.reshape(1, -1, *[1] * (x0.ndim - 1)), WEIGHTS
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    noise = noise_like(x0.expand(check_int(draws, "draws", 1), *x0.shape[1:]), generator)
    return noise[None], torch.full((draws,), 1 / draws, dtype=torch.float64)


# ------------------------------------------------------------------------------------ runs
Points = tuple[tuple[float, ...], ...]


def points_edited(
    source: str, guide: Points, sampler: str, seed: int, t0: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Some 500 copies of the points of a guide [P, D], edited from each t0: x_t0 and x_0, both [t0, N, D].

    The noise of x_t0 is the same at every t0. The copies stand in the order of the points.
    """
    mixture, schedule = MIXTURES[source], cosine()
    each = 500 // len(guide)
    x0 = torch.tensor(guide, dtype=torch.float64).repeat_interleave(each, 0)
    runs = []
    for t in t0:
        generator = torch.Generator().manual_seed(seed)  # draws the noise of x_t0 first
        steps = min(t, 20) or None  # none at t0 = 0
        runs.append(
            [*sdedit(mixture.denoiser(schedule), x0, t, SAMPLERS[sampler], steps=steps, generator=generator)]
        )
    x_t0 = torch.stack([run[0].prediction.x_t for run in runs])
    edited = torch.stack([run[-1].x for run in runs])
    return x_t0, edited


def found_of(source: str, guide: Points, t0: tuple[int, ...], edited: Tensor) -> list[dict[str, float]]:
    """What is measured on results [t0, N, D] of `points_edited`, at each t0.

    "guide": the root-mean-square distance to the guide. "data": to the centre of the mode that a result
    is in. "density": mean log density of the data, in nats. "other": the share in another mode than the
    guide's, and "exact": that share for exact denoising.
    """
    mixture, x0 = MIXTURES[source], torch.tensor(guide, dtype=torch.float64)
    mode = mixture.log_posterior(x0).argmax(1)
    each, rows = edited.shape[1] // len(x0), []
    for t, x in zip(t0, edited, strict=True):
        k = mixture.log_posterior(x).argmax(1)
        stays = ends(mixture, x0, t, cosine(), draws=300)[torch.arange(len(x0)), mode]
        row = {"guide": _distance(x - x0.repeat_interleave(each, 0))}
        row |= {"data": _distance(x - mixture.means[k]), "density": mixture.log_prob(x).mean().item()}
        row |= {"other": (k != mode.repeat_interleave(each)).double().mean().item()}
        rows.append(row | {"exact": 1 - stays.mean().item()})
    return rows


@functools.cache
def usual(source: str) -> dict[str, float]:
    """The same of data that nobody edited, by draws from it; and the time at which its mode is decided."""
    mixture = MIXTURES[source]
    x = mixture.sample(20_000, torch.Generator().manual_seed(0))
    k = mixture.log_posterior(x).argmax(1)
    row = {"data": _distance(x - mixture.means[k]), "density": mixture.log_prob(x).mean().item()}
    return row | {"decided": decided(mixture, cosine())}


def _distance(off: Tensor) -> float:
    """Root mean square of the lengths of vectors [N, D]."""
    return off.square().sum(1).mean().sqrt().item()
