"""What can be said of digits that some model drew, however it did; and what a held-out digit costs in it.

The draws are compared with real digits in the features of `features`. A class of digits is a mode that has a
name: so modes can be counted here as on the 25 Gaussians.
"""

import functools
import math

import torch
from torch import Tensor

from .. import features, metrics
from ..applications.vae import Vae
from ..checks import Reals, check_int
from ..elbo import discretized_log_prob, elbo
from ..gaussian import Gaussian
from ..model import ModelDenoiser
from ..schedules import NoiseSchedule
from ..views import Prediction
from .exact_bound import variance_table

CERTAIN = 0.9  # a digit is recognised from this probability on
LEAST = 0.01  # a class counts from this share on
LEVELS = 17  # of grey in a digit
EVERY = 20  # steps of the schedule, as one step of the bound
MEASURES = ("frechet", "precision", "recall", "density", "coverage", "recognised", "classes", "classes_kl")
MEASURES += ("spread", "nearer")

classifier = functools.cache(features.load)


@torch.no_grad()
def measured(x: Tensor, real: Tensor, known: Tensor) -> dict[str, float]:
    """What draws x [N, 1, 8, 8] are like, against `real` digits of the model's data that it has not seen.

    frechet, precision, recall, density, coverage: `metrics`, on features; each the mean over blocks of as
    many draws as there are real digits. recognised: the share with p(class|x) ≥ 0.9 for some class. classes:
    how many classes have at least 1 % of the draws, recognised. classes_kl: KL(shares of the classes among
    the draws ‖ among the real digits), in nats, by the likeliest class. spread: the variance of features
    within a class, over that of the real digits, averaged over the classes that were drawn. nearer: the
    probability that a draw is nearer to the `known` digits, those the model was trained on, than a real one
    is, in pixels: ½ for new digits, 1 for copies.
    """
    net = classifier()
    x, reference = x.clamp(-1, 1), net.features(real)
    drawn, p = net.features(x), net.probabilities(x)
    blocks = drawn.split(len(real))
    found = []
    for block in [block for block in blocks if len(block) == len(real)] or [drawn]:
        distance = metrics.frechet_distance(reference, block)
        found.append(
            [
                distance,
                *metrics.precision_recall(reference, block),
                *metrics.density_coverage(reference, block),
            ]
        )
    row = dict(zip(MEASURES, torch.tensor(found).mean(0).tolist(), strict=False))
    certain = p.amax(1) >= CERTAIN
    count = torch.bincount(p.argmax(1)[certain], minlength=10)
    label, truth = p.argmax(1), net.probabilities(real).argmax(1)
    row |= dict(recognised=certain.double().mean().item(), classes=int((count >= LEAST * len(x)).sum()))
    row |= dict(classes_kl=classes_kl(label, truth), spread=spread(drawn, label, reference, truth))
    return row | dict(nearer=metrics.memorisation(x, known, real).nearer)


def shares(label: Tensor) -> Tensor:
    """The share of each class among labels [N]: [10], float64."""
    return torch.bincount(label, minlength=10).double() / len(label)


def classes_kl(label: Tensor, truth: Tensor) -> float:
    """KL(shares of `label` ‖ shares of `truth`), in nats. Infinite if `truth` lacks a drawn class."""
    drawn, real = shares(label), shares(truth)
    return (torch.xlogy(drawn, drawn) - torch.xlogy(drawn, real)).sum().item()


def spread(drawn: Tensor, label: Tensor, real: Tensor, truth: Tensor) -> float:
    """Mean, over the classes of ≥ 5 draws, of (total variance of the drawn features) / (of the real)."""
    ratios = []
    for k in range(10):
        if (label == k).sum() >= 5:
            inside, there = (rows[which == k].var(0).sum() for rows, which in ((drawn, label), (real, truth)))
            ratios.append((inside / there).item())
    return sum(ratios) / len(ratios) if ratios else math.nan


# ------------------------------------------------------------------------------------ bits
@torch.no_grad()
def bits_of_vae(vae: Vae, x: Tensor, K: int = 100, generator: torch.Generator | None = None) -> float:
    """Bits per pixel of digits x [N, 1, 8, 8] on 17 levels, at most.

    It is the importance-weighted bound with K draws. The decoder's normal distribution is cut into the
    levels' bins (`discretized_log_prob`), so a pixel has a probability, not a density (Burda et al. 2016,
    eq. 8; Ho et al. 2020, eq. 13).
    """
    q, weights = vae.encode(x), []
    std = math.exp(vae.log_variance.item() / 2)
    prior = Gaussian(torch.zeros_like(q.mean), 1.0)
    for _ in range(check_int(K, "K", 1)):
        z = q.sample(generator)
        seen = discretized_log_prob(x, vae.decode(z).mean, std, LEVELS)
        weights.append(seen + prior.log_prob(z) - q.log_prob(z))
    bound = torch.stack(weights).logsumexp(0) - math.log(K)
    return -bound.mean().item() / (math.log(2) * x[0].numel())


@torch.no_grad()
def bits_of_diffusion(model: ModelDenoiser, x: Tensor, train: Tensor) -> float:
    """Bits per pixel of digits x on 17 levels, at most: the negative ELBO of every 20th step of its schedule.

    With the best variances, which are fitted to the first 100 digits of `train` (notebook 12).
    """
    times = torch.arange(0, model.schedule.T + 1, EVERY)
    coarse = NoiseSchedule(model.schedule.signal[times], model.schedule.sigma[times], "every 20th step")

    def denoise(x_t: Tensor, t: Reals) -> Prediction:
        return Prediction.from_x0(model(x_t, int(times[int(t)])).x0, x_t, t, coarse)

    best = variance_table(denoise, train[:100], coarse, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    bound = elbo(denoise, x, coarse, best, "discretized", LEVELS, generator=generator)
    return bound.bits_per_dim.mean().item()
