"""The evidence lower bound, term by term: how many nats the model needs to describe an example.

−log p_θ(x_0) ≤ L_T + Σ_{t≥2} L_{t−1} + L_0 (Ho et al. 2020, eq. 5). L_T is the cost of the prior, L_{t−1} the
cost of one denoising step, and L_0 the cost of x_0 given x_1. Everything is in nats, for each example, and
never averaged over t.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import trange

from .checks import Time, check_data, check_int, check_t, noise_like, sum_over_data
from .forward import q_marginal, q_posterior, q_sample
from .gaussian import Gaussian, kl
from .schedules import NoiseSchedule
from .views import Denoiser, check_schedule


@dataclass(frozen=True, eq=False)
class NegativeELBO:
    """The terms of the negative ELBO, in nats; `dims` is D, the number of coordinates of one example.

    prior [B] is L_T = KL(q(x_T|x_0) ‖ p(x_T)). diffusion [B, T + 1]: entry t ≥ 2 is L_{t−1} =
    KL(q(x_{t−1}|x_t,x_0) ‖ p_θ(x_{t−1}|x_t)) at one draw of x_t; entries 0 and 1 are zero. reconstruction
    [B] is L_0 = −log p_θ(x_0|x_1).
    """

    prior: Tensor
    diffusion: Tensor
    reconstruction: Tensor
    dims: int

    @property
    def total(self) -> Tensor:
        """L_T + Σ L_{t−1} + L_0 [B], in nats."""
        return self.prior + self.diffusion.sum(1) + self.reconstruction

    @property
    def bits_per_dim(self) -> Tensor:
        """total / (D ln 2) [B], for the data as given: without a correction for a change of scale."""
        return self.total / (self.dims * math.log(2))


def reverse_variance(schedule: NoiseSchedule, variance: str | Tensor = "small") -> Tensor:
    """The *variance* of p_θ(x_{t−1}|x_t), a table [T + 1] (Ho et al. 2020, section 3.2); entry 0 is 0.

    "small" is the posterior variance β̃_t, which is right for data without any spread. "large" is β_t, the
    variance of q(x_t|x_{t−1}); on a variance-preserving schedule it is right for data ~ N(0, I). (On others,
    β_t V_{t−1}/V_t would be, with V = signal² + sigma².) Both have β_1 at t = 1, since β̃_1 = 0 would make
    L_0 infinite. A tensor [T + 1] is used as it is; it must be positive for t ≥ 1.
    """
    beta = schedule.beta
    if isinstance(variance, Tensor):
        table = check_data(variance, "variance", [schedule.T + 1]).double().cpu()
    elif variance == "large":
        table = beta
    elif variance == "small":
        before = schedule.sigma[:-1] ** 2  # β̃_t = β_t sigma_{t−1}²/sigma_t²
        table = torch.cat([beta[:2], (beta[1:] * before / schedule.sigma[1:] ** 2)[1:]])
    else:
        raise ValueError(f'variance must be "small", "large" or a tensor [T + 1]; got {variance!r}')
    if not (table[1:] > 0).all():
        raise ValueError("variance must be above 0 at every t ≥ 1")
    return table


@torch.no_grad()
def elbo(
    denoiser: Denoiser,
    x0: Tensor,
    schedule: NoiseSchedule,
    variance: str | Tensor = "small",
    decoder: str = "gaussian",
    levels: int = 256,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> NegativeELBO:
    """The negative ELBO of each example in x0 `[B, *D]`, in nats (Ho et al. 2020, eq. 5).

    Every expectation over x_t is estimated with one draw. p_θ(x_{t−1}|x_t) has the mean of
    q(x_{t−1}|x_t, x̂_0); for its variance see `reverse_variance`. decoder, for L_0: "gaussian" is the
    density N(x_0; x̂_0, variance[1]); "discretized" is its integral over the bin of x_0 (eq. 13), for data on
    `levels` equally spaced values from −1 to 1, where the outer bins reach to ±∞. `noise` `[B, *D]`, if
    given, is the ε of every x_t; otherwise each x_t has its own. Calls the denoiser T times, and shows a
    progress bar if that is slow. In half precision rounding would spoil the terms, so such data is converted
    to float32, also for the denoiser. For k draws, and their standard error::

        totals = elbo(denoiser, x0.repeat_interleave(k, 0), schedule).total.reshape(-1, k)  # [B, k]
        totals.mean(1), totals.std(1) / k**0.5

    Raises ValueError for unknown names, for data that is not on the levels, and for a denoiser that was made
    for another schedule.
    """
    check_data(x0, "x0")
    if decoder not in ("gaussian", "discretized"):
        raise ValueError(f'decoder must be "gaussian" or "discretized"; got {decoder!r}')
    if decoder == "discretized":
        x0 = check_levels(x0, levels)
    x0 = x0.to(torch.promote_types(x0.dtype, torch.float32))
    if noise is not None:
        noise = check_data(noise, "noise", x0.shape).to(torch.promote_types(noise.dtype, torch.float32))
    table = reverse_variance(schedule, variance)

    start = Gaussian(x0.new_zeros(()), schedule.signal[-1] ** 2 + schedule.sigma[-1] ** 2)
    prior = kl(q_marginal(x0, schedule.T, schedule), start)
    diffusion, reconstruction = x0.new_zeros(len(x0), schedule.T + 1), x0.new_zeros(len(x0))
    for t in trange(schedule.T, 0, -1, desc="ELBO", delay=2, leave=False):
        x_t = q_sample(x0, t, schedule, noise, generator)
        guess = check_schedule(denoiser(x_t, t), schedule).x0
        if t >= 2:
            truth = q_posterior(x0, x_t, t, schedule)
            model = Gaussian(q_posterior(guess, x_t, t, schedule).mean, table[t])
            diffusion[:, t] = kl(truth, model)
        elif decoder == "gaussian":
            reconstruction = -Gaussian(guess, table[1]).log_prob(x0)
        else:
            reconstruction = -discretized_log_prob(x0, guess, math.sqrt(table[1]), levels)
    return NegativeELBO(prior, diffusion, reconstruction, math.prod(x0.shape[1:]))


def check_levels(x0: Tensor, levels: int) -> Tensor:
    """x0, if every value is one of `levels` equally spaced ones from −1 to 1; otherwise a ValueError.

    Half precision cannot represent most levels. The nearest number is off by at most half the spacing of its
    numbers, so the level can be recovered: such data is returned in float32, on the levels.
    """
    last, half = check_int(levels, "levels", 2) - 1, torch.finfo(x0.dtype).bits < 32
    allowed = 1e-3 + (torch.finfo(x0.dtype).eps / 8 * last if half else 0)
    if allowed > 0.4:
        raise ValueError(f"x0 must be in float32: {x0.dtype} does not tell {levels} levels apart")
    wide = x0.float() if half else x0
    steps = (wide + 1) / 2 * last
    off = ((steps - steps.round()).abs() > allowed) | (wide.abs() > 1 + 1e-6)
    if off.any():
        raise ValueError(f"x0 must lie on {levels} levels from −1 to 1; it holds {x0[off][0].item()}")
    return steps.round() / last * 2 - 1 if half else x0


def discretized_log_prob(x0: Tensor, mean: Tensor, std: float, levels: int) -> Tensor:
    """log of N(mean, std² I)'s mass in the bin of each x0, in nats: [B] (Ho et al. 2020, eq. 13).

    Bins are 2/(levels − 1) wide; the first reaches down to −∞ and the last up to +∞, so the levels' masses
    sum to 1.
    """
    half = 1 / (levels - 1)
    low = torch.where(x0 < -1 + half, -math.inf, (x0 - half - mean) / std)
    high = torch.where(x0 > 1 - half, math.inf, (x0 + half - mean) / std)
    # Φ(high) − Φ(low) = Φ(−low) − Φ(−high): use the side where both are small and logs keep their digits
    flip = low + high > 0
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    log_low, log_high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    return sum_over_data(log_high + torch.log(-torch.expm1(log_low - log_high)))


def simple_loss(
    denoiser: Denoiser,
    x0: Tensor,
    t: Time,
    schedule: NoiseSchedule,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """L_simple = ‖ε − ε̂(x_t, t)‖² of each example: [B] (Ho et al. 2020, eq. 14).

    A sum over the data's axes, not a mean. x0 `[B, *D]`; t in 1…T, an int or [B]; noise is the ε, drawn
    unless given. Keeps gradients, so it can be trained on.
    """
    check_data(x0, "x0")
    check_t(t, schedule.T, lowest=1)
    noise = noise_like(x0, generator) if noise is None else noise
    prediction = check_schedule(denoiser(q_sample(x0, t, schedule, noise), t), schedule)
    return sum_over_data((noise - prediction.eps) ** 2)


def simple_weights(schedule: NoiseSchedule, variance: str | Tensor = "small") -> Tensor:
    """The weights w [T + 1] that turn L_simple into the ELBO: L_{t−1} = w_t L_simple(t) + const.

    (Ho et al. 2020, eq. 12.) w_t = sigma_t²/signal_t² · c²/(2 variance_t), where c = signal_{t−1} (1 −
    SNR_t/SNR_{t−1}) is x̂_0's weight in p_θ's mean. With the small variance w_t = ½ (SNR_{t−1}/SNR_t − 1)
    (Kingma et al. 2021, eq. 14) and the constant is 0 for t ≥ 2. w_0 = 0; a zero-SNR end has w_T = ∞, since
    the error of ε̂ says nothing about x̂_0 there.
    """
    table = reverse_variance(schedule, variance)
    c = schedule.signal[:-1] * -torch.expm1(schedule.log_snr[1:] - schedule.log_snr[:-1])
    return torch.cat([table.new_zeros(1), c**2 / (2 * table[1:] * schedule.snr[1:])])
