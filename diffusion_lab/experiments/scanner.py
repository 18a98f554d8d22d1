"""A scanner that sees little of a body, and what can be concluded: the picture, how sure it is, what is odd.

Everything is exact for bodies drawn from the healthy prior, one Gaussian N(μ, Σ). Held-out phantoms are only
nearly so, and a lesion is nothing that this prior has ever seen. This is teaching, no medical software.
"""

import functools
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from ..applications.inverse import Measurement, dps, fourier, gaussian_posterior, linear, measured, radon
from ..applications.inverse.posterior import moments
from ..applications.phantoms import LESION, phantoms, prior
from ..exact import GaussianMixture
from ..samplers import ddpm, p_sample_prior, timesteps
from ..schedules import cosine

KINDS = ("CT", "MR")
MOST = {"CT": 12, "MR": 9}  # views; lines of k-space of a picture of 16 × 16, the others being their mirrors
NOISE = {"CT": 0.3, "MR": 0.08}  # std, in the unit of what is measured
GOLDEN = 180 * (5**0.5 - 1) / 2  # degrees from one view to the next
HEALTHY = 500  # healthy scans that say what log p(y) is usual


# ---------------------------------------------------------------------------------------- what is measured
@functools.cache
def scanner(kind: str, count: int, size: int = 16) -> Measurement:
    """CT: the sums along the rays of `count` views. MR: `count` lines of k-space, from the middle outwards.

    Each view is a golden angle, 111.2°, further than the one before: so whenever one stops, the views are
    nearly evenly spread (Winkelmann et al. 2007), and more of them only *add* numbers at the end of y. So
    do more lines. Raises ValueError for another kind, and for a count that is not within 1…MOST[kind].
    """
    if kind not in KINDS or not 1 <= count <= MOST[kind]:
        raise ValueError(f"kind must be one of {KINDS} and count within 1…{MOST}; got {kind!r}, {count!r}")
    A = torch.cat(_in_turn(kind, size)[:count])
    return linear(A, (1, size, size), NOISE[kind])


@functools.cache
def _in_turn(kind: str, size: int) -> list[Tensor]:
    """The rows of A that each view, or each line, adds."""
    shape = (1, size, size)
    if kind == "CT":
        return list(radon(shape, golden_angles(MOST["CT"])).A.chunk(MOST["CT"]))
    lines = torch.eye(size, dtype=torch.bool)[: MOST["MR"], :, None].expand(-1, size, size)
    return [fourier(shape, line).A for line in lines]


def golden_angles(count: int) -> np.ndarray:
    """The directions of the views, in degrees: [count]."""
    return GOLDEN * np.arange(count) % 180


# ---------------------------------------------------------------------------------------- what is concluded
def reconstruct(known: GaussianMixture, measurement: Measurement, y: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior of one Gaussian for many scans y [B, M]: its means `[B, *D]` and covariance [D, D]."""
    means, around = gaussian_posterior(known, measurement, y)
    return means, moments(around)[1][0]


def pixel_std(covariance: Tensor, like: Tensor) -> Tensor:
    """How unsure each pixel is: the roots of the diagonal [D, D], in the shape of one picture of `like`."""
    return covariance.diagonal().sqrt().reshape(like.shape[1:])


def scanned(kind: str, count: int, lesion: bool, seed: int) -> dict[str, Tensor]:
    """One body in the scanner, and its twin: the same one, the same noise, without a lesion.

    `x_0` [2, 1, 16, 16]: the twin, then the body; `y` [2, M]; `mean` like x_0; `std` [1, 16, 16]; `covered`
    [1, 16, 16], the share of each pixel that is lesion.
    """
    who = 1000 + seed
    twin = phantoms(1, generator=torch.Generator().manual_seed(who))
    body = phantoms(1, lesion=lesion, generator=torch.Generator().manual_seed(who))
    x_0 = torch.cat([twin, body])
    measurement, whole = scanner(kind, count), scanner(kind, MOST[kind])
    noise = torch.randn(len(whole.A), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = measurement.forward(x_0) + measurement.std * noise[: len(measurement.A)]
    mean, covariance = reconstruct(prior(), measurement, y)
    std = pixel_std(covariance, mean)
    return {"x_0": x_0, "y": y, "mean": mean, "std": std, "covered": covered_by(body, twin)[0]}


# ---------------------------------------------------------------------------------------- is it honest?
def in_interval(x_0: Tensor, mean: Tensor, std: Tensor, level: float = 0.9) -> Tensor:
    """Whether each pixel is within its central interval, mean ± 1.645 std for 90 %: bool, like x_0."""
    return (x_0 - mean).abs() <= NormalDist().inv_cdf((1 + level) / 2) * std


def in_ellipsoid(x_0: Tensor, mean: Tensor, covariance: Tensor, level: float = 0.9) -> Tensor:
    """Whether each whole picture is within the credible ellipsoid: bool [B].

    The squared distance (x_0 − mean)ᵀ Σ⁻¹ (x_0 − mean) of a Gaussian's draw has the χ² distribution with D
    degrees of freedom, whose share below r² is the incomplete gamma function at (D/2, r²/2).
    """
    off = (x_0 - mean).flatten(1)
    squared = (off * torch.linalg.solve(covariance, off.mT).mT).sum(1)
    return torch.special.gammainc(torch.full_like(squared, off.shape[1] / 2), squared / 2) <= level


def coverage(kind: str, count: int, x_0: Tensor, generator: torch.Generator) -> dict[str, float]:
    """Shares inside 90 % regions, of bodies [B, 1, 16, 16] that are scanned anew.

    "pixels": of all pixels; "uncertain pixels": of those whose prior std is above 0.1, since air is easy;
    "pictures": of whole pictures, inside the ellipsoid. "error": root mean square. "std": the same of the
    pixels' standard deviations, what the error should be.
    """
    measurement = scanner(kind, count)
    mean, covariance = reconstruct(prior(), measurement, measurement.measure(x_0, generator))
    std = pixel_std(covariance, mean)
    inside = in_interval(x_0, mean, std).double()
    unsure = pixel_std(moments(prior())[1][0], mean) > 0.1
    return {
        "pixels": inside.mean().item(),
        "uncertain pixels": inside[:, unsure].mean().item(),
        "pictures": in_ellipsoid(x_0, mean, covariance).double().mean().item(),
        "error": (mean - x_0).square().mean().sqrt().item(),
        "std": std.square().mean().sqrt().item(),
    }


def by_samples(
    kind: str, count: int, scans: int, draws: int, steps: int, generator: torch.Generator
) -> dict[str, dict[str, float]]:
    """The same for samples: `draws` of each of `scans` scans, of bodies that come from the prior itself.

    Mean and std are those of the draws, "exact" ones from the posterior and ones by "dps" with `steps`
    steps of DDPM. "pixels" is the share inside mean ± 1.645 std, a little below 90 % since both are
    estimates. "width": the draws' std over the true one; "error" as in `coverage`.
    """
    measurement, known = scanner(kind, count), prior()
    x_0 = known.sample(scans, generator)
    y = measurement.measure(x_0, generator)
    mean, around = gaussian_posterior(known, measurement, y)
    std, schedule = pixel_std(moments(around)[1][0], mean), cosine()
    exact = mean.repeat_interleave(draws, 0) + around.sample(scans * draws, generator)
    told = dps(known.denoiser(schedule), measurement, y.repeat_interleave(draws, 0))
    x_T = p_sample_prior(exact.shape, schedule, generator).double()
    found, guessed = dict[str, dict[str, float]](), x_T
    for step in ddpm(told, x_T, schedule, timesteps(schedule, steps), generator=generator):
        guessed = step.x  # all steps together would take hundreds of megabytes
    for name, x in (("exact", exact), ("dps", guessed)):
        x = x.reshape(scans, draws, *measurement.shape)
        inside = in_interval(x_0, x.mean(1), x.std(1))
        width = (x.var(1).mean() / std.square().mean()).sqrt()
        off = (x.mean(1) - x_0).square().mean().sqrt()
        found[name] = {"pixels": inside.double().mean().item(), "width": width.item(), "error": off.item()}
    return found


# ---------------------------------------------------------------------------------------- a lesion
def covered_by(ill: Tensor, healthy: Tensor) -> Tensor:
    """What share of each pixel the lesion covers, from bodies with it and the same without it: like ill."""
    return (ill - healthy) / (LESION - healthy)


def come_through(kind: str, count: int, n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """What becomes of n lesions, for each of them: [n].

    "truth": the contrast, by how much the lesion is brighter than what is in its place without it, a mean
    over the pixels weighted with the share that is lesion. "seen": the same of the reconstructions with and
    without it, K A (x − x′), whatever the noise. "std": that of these pixels. "inside": the share of the
    pixels that are at least half lesion whose true value is inside its 90 % interval; NaN for a lesion
    without such a pixel.
    """
    measurement, state = scanner(kind, count), generator.get_state()
    healthy = phantoms(n, generator=generator)
    ill = phantoms(n, lesion=True, generator=generator.set_state(state))
    covered = covered_by(ill, healthy).flatten(1)
    noise = measurement.std * torch.randn(n, len(measurement.A), generator=generator, dtype=torch.float64)
    without, _ = reconstruct(prior(), measurement, measurement.forward(healthy) + noise)
    mean, covariance = reconstruct(prior(), measurement, measurement.forward(ill) + noise)
    std, half = pixel_std(covariance, mean), covered >= 0.5
    inside = in_interval(ill, mean, std).flatten(1)

    def there(picture: Tensor) -> Tensor:
        return (covered * picture.flatten(1)).sum(1) / covered.sum(1)

    return {
        "truth": there(ill - healthy),
        "seen": there(mean - without),
        "std": there(std[None]),
        "inside": (inside & half).double().sum(1) / half.double().sum(1),
    }


@functools.cache
def healthy_log_p(kind: str, count: int) -> Tensor:
    """log p(y) of HEALTHY scans of healthy phantoms, in rising order: what is usual; nats."""
    y = scanner(kind, count).measure(_healthy(), torch.Generator().manual_seed(78))
    return evidence_of(kind, count).log_prob(y).sort().values


@functools.cache
def _healthy() -> Tensor:
    return phantoms(HEALTHY, generator=torch.Generator().manual_seed(77))


@functools.cache
def evidence_of(kind: str, count: int) -> GaussianMixture:
    """p(y), made once for each scanner."""
    return measured(prior(), scanner(kind, count))


def roc_area(healthy: Tensor, ill: Tensor) -> float:
    """How probably an ill scan has the lower score of a random pair: ½ is guessing, 1 is perfect."""
    lower = (ill[:, None] < healthy).double() + 0.5 * (ill[:, None] == healthy).double()
    return lower.mean().item()


def alarm(kind: str, count: int, n: int, generator: torch.Generator) -> dict[str, float]:
    """log p(y) as a score: how n scans with a lesion compare with the healthy ones.

    "area": under the ROC curve. "below": the share of ill scans below the 1 % quantile of the healthy ones.
    """
    measurement, healthy = scanner(kind, count), healthy_log_p(kind, count)
    ill = measurement.measure(phantoms(n, lesion=True, generator=generator), generator)
    ill = evidence_of(kind, count).log_prob(ill)
    below = (ill < healthy.quantile(0.01)).double().mean().item()
    return {"area": roc_area(healthy, ill), "below": below}
