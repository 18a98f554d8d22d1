"""The error of a denoiser at each noise level: measured once, it gives the ELBO of every schedule.

With signal² + sigma² = 1, the input of a denoiser at a given log SNR is the same on each schedule. So its
error E‖ε − ε̂‖² is a function of log SNR alone (Kingma et al. 2021, section 5.1). A schedule only chooses the
places t = 1…T on that curve.

Data: points of the 2-D mixture, in expectation, where "exact" is the exact denoiser; or 100 held-out digits
with 17 grey levels, where "exact" is the denoiser of one Gaussian per class, fitted to the training images.
No denoiser is given the class. "learned" is the network: measured at 36 of its own steps, interpolated
between them.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline, PchipInterpolator

from .. import data
from ..elbo import discretized_log_prob
from ..exact import GaussianMixture
from ..forward import q_sample
from ..schedules import NoiseSchedule
from ..views import Denoiser
from .stored import digits, shipped, trained

SOURCES, DENOISERS = ("mixture", "digits"), ("exact", "learned")
EXACT = dict(mixture="exact", digits="class Gaussians")  # what "exact" means for each source


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of a denoiser, per coordinate, over log SNR [K], rising."""

    log_snr: np.ndarray
    eps: np.ndarray  # E‖ε − ε̂‖²/D
    last: np.ndarray  # L_0/D in nats, if this were the log SNR at t = 1

    def at(self, log_snr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both at other log SNRs, interpolated: E‖ε − ε̂‖² in its logarithm, L_0 without overshooting."""
        log_snr = np.minimum(log_snr, self.log_snr[-1])  # it is infinite at t = 0
        eps = np.exp(CubicSpline(self.log_snr, np.log(self.eps))(log_snr))
        return eps, PchipInterpolator(self.log_snr, self.last)(log_snr)


@functools.cache
def errors(source: str, denoiser: str) -> Errors:
    """The shipped result of `measured`, which would take seconds on digits and is always the same."""
    found = shipped(f"errors.{source}.{denoiser}")
    return Errors(*(found[name].numpy() for name in ("log_snr", "eps", "last")))


def measured(source: str, denoiser: str) -> dict[str, torch.Tensor]:
    """The errors at 36 steps of the network's own schedule, about evenly spaced in log SNR."""
    schedule = trained(source).schedule
    aims = torch.linspace(schedule.log_snr[1], schedule.log_snr[900], 33, dtype=torch.float64)
    times = sorted({1, *(schedule.log_snr > aims[:, None]).sum(1).tolist(), 950, 990, schedule.T})
    rows = [measure(source, denoiser, t) for t in reversed(times) if t > 0]
    columns = torch.tensor(rows, dtype=torch.float64).T
    return dict(zip(("log_snr", "eps", "last"), columns.contiguous(), strict=True))


@torch.no_grad()
def measure(source: str, denoiser: str, t: int) -> tuple[float, float, float]:
    """log SNR, E‖ε − ε̂‖²/D and L_0/D (`Errors`) at step t of the network's schedule."""
    schedule = trained(source).schedule
    snr, sigma = schedule.snr[t].item(), schedule.sigma[t].item()
    denoise = trained(source) if denoiser == "learned" else truth(source).denoiser(schedule)
    if source == "mixture":
        x0_error = error_on_mixture(denoise, t, schedule)
        last = 0.5 * (np.log(2 * np.pi * sigma**2) + x0_error / sigma**2)  # −log N(x_0; x̂_0, β_1)
    else:
        x0 = images()
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t))
        noise = noise / noise.square().mean().sqrt()  # so that chance in ‖ε‖² does not count as an error
        guess = denoise(q_sample(x0, t, schedule, noise), t).x0
        x0_error = (guess - x0).square().mean().item()
        last = -discretized_log_prob(x0, guess, sigma, 17).mean().item() / x0[0].numel()
    return np.log(snr), snr * x0_error, last  # ε − ε̂ = (x̂_0 − x_0) signal/sigma


def error_on_mixture(denoise: Denoiser, t: int, schedule: NoiseSchedule) -> float:
    """E‖x_0 − x̂_0(x_t)‖²/D on the toy mixture, by Gauss–Hermite quadrature over x_t.

    Given component k and x_t, x_0 is Gaussian. The squared distance from its mean to x̂_0 and its variance add
    up.
    """
    mixture, (z, weights) = truth("mixture"), nodes()
    noised, (signal, sigma) = mixture.noised(t, schedule), (schedule.signal[t], schedule.sigma[t])
    std = noised.var.sqrt()[:, None]  # [K, 1, 1]
    x_t = noised.means[:, None] + std * z  # [K, N, D]
    mean = mixture.means[:, None] + signal * mixture.var[:, None] / std * z
    var = mixture.var * sigma**2 / noised.var  # [K, 1]
    guess = denoise(x_t.flatten(0, 1), t).x0.reshape(x_t.shape)
    return (mixture.weights[:, None] * weights * ((mean - guess).square().mean(2) + var)).sum().item()


@functools.cache
def entropy() -> float:
    """The entropy of the toy mixture, E[−log p(x_0)], in bits per dimension."""
    mixture, (z, weights) = truth("mixture"), nodes()
    x0 = mixture.means[:, None] + mixture.var.sqrt()[:, None] * z
    nats = -mixture.log_prob(x0.flatten(0, 1)).reshape(x0.shape[:2])
    return (mixture.weights[:, None] * weights * nats).sum().item() / (2 * np.log(2))


@functools.cache
def nodes() -> tuple[torch.Tensor, torch.Tensor]:
    """z [N, 2] and weights [N]: E f(z) = Σ weights · f(z) for z ~ N(0, I), exact for high polynomials."""
    z, w = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(20))
    return torch.cartesian_prod(z, z), torch.outer(w, w).flatten() / w.sum() ** 2


@functools.cache
def truth(source: str) -> GaussianMixture:
    """The mixture that "exact" is exact for."""
    return data.toy_mixture() if source == "mixture" else GaussianMixture.fit(*digits())


@functools.cache
def images() -> torch.Tensor:
    """Held-out digits [100, 1, 8, 8]."""
    return digits("test")[0][:100]


@functools.cache
def typical(source: str) -> torch.Tensor:
    """The root mean square of the data, coordinate by coordinate: `[1, *D]`."""
    if source == "digits":
        return images().double().square().mean(0, keepdim=True).sqrt()
    mixture = truth(source)
    return (mixture.weights[:, None] * (mixture.means**2 + mixture.var)).sum(0, keepdim=True).sqrt()
