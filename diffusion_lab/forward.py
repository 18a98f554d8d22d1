"""The forward process q: how data becomes noise, one step at a time or in one jump, and how it runs backwards
when x_0 is known.

It has no parameters. Notebook 03 walks through the functions `q_…` in this order. The last two functions give
the coefficients of q(x_t|x_s) and q(x_s|x_t, x_0) for any two times s < t.
"""

import torch
from torch import Tensor

from .checks import Time, check_data, check_t, noise_like, per_example
from .gaussian import Gaussian
from .schedules import NoiseSchedule


def q_step(
    x_prev: Tensor,
    t: Time,
    schedule: NoiseSchedule,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step of the chain: x_t ~ q(x_t|x_{t−1}) = N(√α_t x_{t−1}, β_t I) (Ho et al. 2020, eq. 2).

    x_prev `[B, *D]` is x_{t−1}; t in 1…T, an int or [B]; noise, of x_prev's shape, is drawn unless given. ->
    `[B, *D]`. Raises ValueError for t = 0 (no step leads there), and for shapes that do not match.
    """
    check_data(x_prev, "x_prev")
    t = check_t(t, schedule.T, lowest=1)
    noise = noise_like(x_prev, generator) if noise is None else check_data(noise, "noise", x_prev.shape)
    keep, add = (per_example(table[t].sqrt(), x_prev) for table in (schedule.alpha, schedule.beta))
    return keep * x_prev + add * noise


def q_marginal(x0: Tensor, t: Time, schedule: NoiseSchedule) -> Gaussian:
    """All t steps at once: q(x_t|x_0) = N(signal_t x_0, sigma_t² I) (Ho et al. 2020, eq. 4).

    x0 `[B, *D]`; t in 0…T, an int or [B].
    """
    check_data(x0, "x0")
    t = check_t(t, schedule.T)
    return Gaussian(per_example(schedule.signal[t], x0) * x0, per_example(schedule.sigma[t] ** 2, x0))


def q_sample(
    x0: Tensor,
    t: Time,
    schedule: NoiseSchedule,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A draw from q(x_t|x_0): x_t = signal_t x_0 + sigma_t ε (Ho et al. 2020, eq. 4 and section 3.2).

    x0 `[B, *D]`; t in 0…T, an int or [B]; noise is ε, of x0's shape, drawn unless given. -> `[B, *D]`. At
    t = 0 the result is x_0.
    """
    check_data(x0, "x0")
    t = check_t(t, schedule.T)
    noise = noise_like(x0, generator) if noise is None else check_data(noise, "noise", x0.shape)
    return per_example(schedule.signal[t], x0) * x0 + per_example(schedule.sigma[t], x0) * noise


def q_chain(x0: Tensor, schedule: NoiseSchedule, generator: torch.Generator | None = None) -> Tensor:
    """The whole chain x_0, x_1, …, x_T, with fresh noise in each step (Ho et al. 2020, eq. 2).

    -> `[T + 1, *x0.shape]`, indexed by t.
    """
    chain = [check_data(x0, "x0")]
    for t in range(1, schedule.T + 1):
        chain.append(q_step(chain[-1], t, schedule, generator=generator))
    return torch.stack(chain)


def q_posterior(x0: Tensor, x_t: Tensor, t: Time, schedule: NoiseSchedule, s: Time | None = None) -> Gaussian:
    """q(x_s|x_t, x_0) for s < t: the earlier state x_s, given x_t and x_0. s = t − 1 unless given.

    By Bayes' rule it is proportional to q(x_t|x_s) q(x_s|x_0), a product of two Gaussians in x_s (Ho et al.
    2020, eq. 6 and 7, for s = t − 1; Kingma et al. 2021, appendix A.2, for any s). With r = SNR_t/SNR_s::

        mean = signal_s (1 − r) x_0 + r (signal_s/signal_t) x_t,   var = sigma_s² (1 − r)

    x0 and x_t: `[B, *D]`; t in 1…T and s in 0…t − 1: ints or [B]. At s = 0 this is the point mass at x_0
    (variance 0).
    """
    check_data(x0, "x0")
    check_data(x_t, "x_t", x0.shape)
    t = check_t(t, schedule.T, lowest=1)
    s = t - 1 if s is None else check_t(s, schedule.T, name="s")
    if not (s < t).all():
        raise ValueError(f"s must be before t; got s = {s.tolist()}, t = {t.tolist()}")
    weight_x0, weight_x_t, var = posterior_weights(t, s, schedule)
    mean = per_example(weight_x0, x0) * x0 + per_example(weight_x_t, x0) * x_t
    return Gaussian(mean, per_example(var, x0))


def posterior_weights(t: Time, s: Time, schedule: NoiseSchedule) -> tuple[Tensor, Tensor, Tensor]:
    """For q(x_s|x_t, x_0), s < t: the weight of x_0 in the mean, the weight of x_t, the variance; float64.

    The equations are in `q_posterior`. t and s are ints or [B], and are not checked again.
    """
    signal, sigma = schedule.signal, schedule.sigma
    gain = -torch.expm1(schedule.log_snr[t] - schedule.log_snr[s])  # 1 − SNR_t/SNR_s without cancellation
    weight_x_t = signal[t] * sigma[s] ** 2 / (signal[s] * sigma[t] ** 2)  # finite at zero SNR too
    return signal[s] * gain, weight_x_t, sigma[s] ** 2 * gain


def transition(t: Time, s: Time, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """For q(x_t|x_s) = N(α_{t|s} x_s, σ²_{t|s} I), s < t: α_{t|s} and the *variance* σ²_{t|s}; float64.

    α_{t|s} = signal_t/signal_s and σ²_{t|s} = sigma_t² − α²_{t|s} sigma_s² = sigma_t² (1 − SNR_t/SNR_s)
    (Kingma et al. 2021, appendix A.1). For s = t − 1 they are √α_t and β_t. t and s: as in
    `posterior_weights`.
    """
    gain = -torch.expm1(schedule.log_snr[t] - schedule.log_snr[s])
    return schedule.signal[t] / schedule.signal[s], schedule.sigma[t] ** 2 * gain
