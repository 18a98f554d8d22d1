"""25 Gaussians on a grid, and how draws of them are measured: quality, modes, KL, width, likelihood.

The means are 2 apart and the standard deviation is 0.05, as in PacGAN's 2-D grid (Lin et al. 2018, section
4.1); everything is then divided by 4.5, to fit into [−1, 1]². A draw is *near* a mode if it is within three
standard deviations. Of true draws the share 1 − e^(−9/2) = 98.9 % is: a share above that is no better, it
says that the draws are too narrow.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..exact import GaussianMixture
from ..gaussian import Gaussian

SCALE, SIDE, NEAR = 4.5, 5, 3.0
STD = 0.05 / SCALE
TRUE_QUALITY = 1 - math.exp(-(NEAR**2) / 2)
TRUE_SQUARE = 2 - NEAR**2 * (1 / TRUE_QUALITY - 1)  # E[r²|r < 3] for r the length of a draw of N(0, I) in 2-D
LIMIT, NODES = 5.0, 400  # of the sum over z
COUNTS = 0.1  # a mode counts as covered with this part of its fair share


def grid() -> GaussianMixture:
    """The mixture, in float32: 25 components of equal weight."""
    line = (torch.arange(SIDE) * 2.0 - (SIDE - 1)) / SCALE
    return GaussianMixture(torch.cartesian_prod(line, line), stds=[STD] * SIDE**2)


def entropy() -> float:
    """The negative log-likelihood of the truth, in nats: log 25 + log(2πe σ²), since no two modes overlap."""
    return math.log(SIDE**2) + math.log(2 * math.pi * math.e * STD**2)


def counts(x: Tensor) -> Tensor:
    """How many of x [N, 2] are near each of the 25 modes, and then how many are near none: [26]."""
    apart, mode = torch.cdist(x.double(), grid().means.double()).min(1)
    mode[apart >= NEAR * STD] = SIDE**2
    return torch.bincount(mode, minlength=SIDE**2 + 1)


def measured(x: Tensor) -> dict[str, float]:
    """What draws x [N, 2] are like.

    quality: the share that is near a mode. touched: modes with any draw near. modes: those with at least a
    tenth of the fair share of N. kl: Σ p log p/q in nats, of the 26 shares p of the draws against the true
    ones q; N draws of the truth have some 25/(2N) instead of 0. width: root mean square of the distance to
    the mode, of the draws near one, as a part of the true one; NaN without any.
    """
    found = counts(x)
    true = torch.tensor([TRUE_QUALITY / SIDE**2] * SIDE**2 + [1 - TRUE_QUALITY], dtype=torch.float64)
    share = found.double() / len(x)
    apart = torch.cdist(x.double(), grid().means.double()).amin(1)
    square = apart[apart < NEAR * STD].square().mean().item() / STD**2
    return {
        "quality": 1 - share[-1].item(),
        "touched": int((found[:-1] > 0).sum()),
        "modes": int((share[:-1] >= COUNTS * true[:-1]).sum()),
        "kl": torch.special.xlogy(share, share / true).sum().item(),
        "width": math.sqrt(square / TRUE_SQUARE),
    }


@torch.no_grad()
def log_density(generator: Callable[[Tensor], Tensor], stds: Sequence[float], x: Tensor) -> Tensor:
    """log ∫ N(z; 0, I) N(x; G(z), s² I) dz in nats, for each s of `stds`: x [N, 2] -> [len(stds), N].

    z has two numbers, and the integral is a sum over 400 × 400 places. For a VAE's decoder and its own s this
    is the exact likelihood, which its bound is a bound of. A GAN has no density in the plane, as G(z) has no
    noise: it gets one by being granted some, of the kindest s.
    """
    line = torch.linspace(-LIMIT, LIMIT, NODES)
    z = torch.cartesian_prod(line, line)
    log_weight = Gaussian(torch.zeros_like(z), 1.0).log_prob(z) + 2 * math.log(2 * LIMIT / (NODES - 1))
    places, rows = generator(z), []
    for part in x.split(20):
        square = (part[:, None] - places).square().sum(2)
        each = [(log_weight - square / (2 * s**2)).logsumexp(1) - math.log(2 * math.pi * s**2) for s in stds]
        rows.append(torch.stack(each))
    return torch.cat(rows, 1)
