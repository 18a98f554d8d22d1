"""What students hand in for the exercises of notebook 14."""

import math

import numpy as np
import torch

from diffusion_lab import samplers
from diffusion_lab.schedules import NoiseSchedule
from diffusion_lab.views import Prediction

# ------------------------------------------------------------------------------------- observed_order


def order_by_numpy(errors):
    return -np.diff(np.log2(errors.numpy()))


def order_by_list(errors):
    values = errors.tolist()
    return [math.log(a / b) / math.log(2) for a, b in zip(values, values[1:])]  # noqa: B905, RUF007


def order_by_difference(errors):
    return -torch.log2(errors).diff()


def order_upwards(errors):
    logs = errors.double().log10()
    return (logs[:-1] - logs[1:]) / math.log10(2)


def order_by_frexp(errors):
    return torch.stack([torch.log2(errors[k] / errors[k + 1]) for k in range(len(errors) - 1)])


# ------------------------------------------------------------------------------------- heun_step


def heun_of_numpy(x_bar, bar_t, bar_s, eps):
    h = bar_s - bar_t
    first = eps(x_bar, bar_t).numpy()
    second = eps(torch.from_numpy(x_bar.numpy() + h * first), bar_s).numpy()
    return x_bar.numpy() + 0.5 * h * (first + second)


def heun_with_step_down(x_bar, bar_t, bar_s, eps):
    down = bar_t - bar_s
    k1 = eps(x_bar, bar_t)
    k2 = eps(x_bar - down * k1, bar_s)
    return x_bar - down / 2 * k1 - down / 2 * k2


def heun_as_mean_of_two_steps(x_bar, bar_t, bar_s, eps):
    once = x_bar + (bar_s - bar_t) * eps(x_bar, bar_t)
    twice = once + (bar_s - bar_t) * eps(once, bar_s)
    return (x_bar + twice) / 2


def heun_of_guesses(x_bar, bar_t, bar_s, eps):
    """Written with x̂_0, as in Karras' code."""
    d = (x_bar - (x_bar - bar_t * eps(x_bar, bar_t))) / bar_t
    ahead = torch.lerp(x_bar - bar_t * d, x_bar, bar_s / bar_t)
    denoised = ahead - bar_s * eps(ahead, bar_s)
    return torch.add(x_bar, (d + (ahead - denoised) / bar_s) / 2, alpha=bar_s - bar_t)


def heun_one_by_one(x_bar, bar_t, bar_s, eps):
    rows = []
    for row in x_bar.double():
        here = eps(row[None], bar_t)
        there = eps(row[None] + (bar_s - bar_t) * here, bar_s)
        rows.append(row + (bar_s - bar_t) * torch.cat([here, there]).mean(0))
    return torch.stack(rows)


def heun_in_place(x_bar, bar_t, bar_s, eps):
    here = eps(x_bar, bar_t)
    x_bar += (bar_s - bar_t) * here
    return x_bar + (bar_s - bar_t) * (eps(x_bar, bar_s) - here) / 2


def euler_of_guess(x_bar, bar_t, bar_s, eps):
    guess = x_bar - bar_t * eps(x_bar, bar_t)
    return guess + bar_s * eps(x_bar, bar_t)


def heun_of_old_place(x_bar, bar_t, bar_s, eps):
    slopes = torch.stack([eps(x_bar, level) for level in (bar_t, bar_s)])
    return x_bar - (bar_t - bar_s) * slopes.mean(0)


def heun_of_old_level(x_bar, bar_t, bar_s, eps):
    slopes = [eps(x_bar, bar_t)]
    slopes.append(eps(x_bar - (bar_t - bar_s) * slopes[0], bar_t))
    return x_bar - 0.5 * (bar_t - bar_s) * sum(slopes)


def heun_without_half(x_bar, bar_t, bar_s, eps):
    h = bar_s - bar_t
    k1 = eps(x_bar, bar_t)
    return x_bar + h * k1 + h * eps(x_bar + h * k1, bar_s)


def heun_from_there(x_bar, bar_t, bar_s, eps):
    h = bar_s - bar_t
    k1 = eps(x_bar, bar_t)
    x = x_bar + h * k1
    k2 = eps(x, bar_s)
    return x + h / 2 * k1 + h / 2 * k2


def heun_of_end(x_bar, bar_t, bar_s, eps):
    h = bar_s - bar_t
    x = x_bar + h * eps(x_bar, bar_t)
    return x_bar + h * eps(x, bar_s)


def heun_up(x_bar, bar_t, bar_s, eps):
    h = bar_t - bar_s
    k1 = eps(x_bar, bar_t)
    return x_bar + h / 2 * (k1 + eps(x_bar + h * k1, bar_s))


def midpoint(x_bar, bar_t, bar_s, eps):
    h = bar_s - bar_t
    return x_bar + h * eps(x_bar + h / 2 * eps(x_bar, bar_t), bar_t + h / 2)


def heun_of_package(x_bar, bar_t, bar_s, eps):
    schedule = NoiseSchedule([1.0, 1.0, 1.0], [0.0, bar_s, bar_t])

    def denoiser(x_t, t):
        return Prediction.from_eps(eps(x_t, (0.0, bar_s, bar_t)[int(t)]), x_t, t, schedule)

    (step,) = samplers.heun(denoiser, x_bar, schedule, [2, 1])
    return step.x


# ------------------------------------------------------------------------------------- dpm_2m_step


def two_m_by_weights(x_t, x0, x0_before, t_before, t, s, schedule):
    """The integral's form: what remains of x_t, and the weight of D."""
    r = (schedule.log_snr[t] - schedule.log_snr[t_before]) / (schedule.log_snr[s] - schedule.log_snr[t])
    D = (1 + 1 / (2 * r)) * x0 - x0_before / (2 * r)
    keep = schedule.sigma[s] / schedule.sigma[t]
    return keep * x_t + (schedule.signal[s] - schedule.signal[t] * keep) * D


def two_m_of_lu(x_t, x0, x0_before, t_before, t, s, schedule):
    """With their λ, half of log SNR, and expm1."""
    lam = {u: schedule.log_snr[u] / 2 for u in (t_before, t, s)}
    h = lam[s] - lam[t]
    r = (lam[t] - lam[t_before]) / h
    D = x0 + (x0 - x0_before) / r / 2
    return schedule.sigma[s] / schedule.sigma[t] * x_t - schedule.signal[s] * torch.expm1(-h) * D


def two_m_by_numpy(x_t, x0, x0_before, t_before, t, s, schedule):
    signal, sigma = schedule.signal.numpy(), schedule.sigma.numpy()
    lam = [math.log(signal[u] / sigma[u]) for u in (t_before, t, s)]
    d = x0.numpy() + (lam[2] - lam[1]) / (lam[1] - lam[0]) / 2 * (x0.numpy() - x0_before.numpy())
    return signal[s] * d + sigma[s] * (x_t.numpy() - signal[t] * d) / sigma[t]


def two_m_of_paper(x_t, x0, x0_before, t_before, t, s, schedule):
    a = schedule.alpha_bar
    lam = torch.log(a / (1 - a))
    d = torch.lerp(x0_before.double(), x0.double(), 1 + (lam[s] - lam[t]) / (2 * (lam[t] - lam[t_before])))
    return a[s].sqrt() * d + ((1 - a[s]) / (1 - a[t])).sqrt() * (x_t - a[t].sqrt() * d)


def two_m_by_lists(x_t, x0, x0_before, t_before, t, s, schedule):
    lam = schedule.log_snr.tolist()
    share = (lam[s] - lam[t]) / (lam[t] - lam[t_before]) / 2
    signal, sigma = schedule.signal.tolist(), schedule.sigma.tolist()
    out = []
    for x, now, old in zip(*(y.flatten().tolist() for y in (x_t, x0, x0_before)), strict=True):
        d = now + share * (now - old)
        out.append(signal[s] * d + sigma[s] * (x - signal[t] * d) / sigma[t])
    return torch.tensor(out, dtype=torch.float64).reshape(x_t.shape)


def two_m_by_prediction(x_t, x0, x0_before, t_before, t, s, schedule):
    part = schedule.log_snr[[t_before, t, s]].diff()
    guess = Prediction.from_x0(x0 + part[1] / part[0] * (x0 - x0_before) / 2, x_t, t, schedule)
    return schedule.signal[s] * guess.x0 + schedule.sigma[s] * guess.eps


def two_m(share, eps_of="D", swap=False):
    """A student's step, with a mistake in the share or the noise."""

    def function(x_t, x0, x0_before, t_before, t, s, schedule):
        part = schedule.log_snr[[t_before, t, s]].diff()
        r = part[0] / part[1]
        D = x0 - share(r, t_before, t, s) * (x0_before - x0)
        keep, new = (schedule.signal, schedule.sigma) if not swap else (schedule.sigma, schedule.signal)
        noise = x_t / new[t] - keep[t] / new[t] * (D if eps_of == "D" else x0)
        return keep[s] * D + new[s] * noise

    return function


def ddim_by_weights(x_t, x0, x0_before, t_before, t, s, schedule):
    keep = schedule.sigma[s] / schedule.sigma[t]
    return keep * x_t + (schedule.signal[s] - schedule.signal[t] * keep) * x0


def two_m_of_package(x_t, x0, x0_before, t_before, t, s, schedule):
    """Start where the step before leads to x_t."""
    signal, sigma = schedule.signal, schedule.sigma
    x = signal[t_before] * x0_before + sigma[t_before] * (x_t.double() - signal[t] * x0_before) / sigma[t]

    def denoiser(x, time):
        guess = {t_before: x0_before, t: x0}[int(time)]
        return Prediction.from_x0(guess.double(), x, time, schedule)

    *_, last = samplers.dpm_solver_pp_2m(denoiser, x, schedule, [t_before, t, s])
    return last.x


# ------------------------------------------------------------------------------------- karras_sigmas


def karras_by_numpy(steps, sigma_min, sigma_max, rho):
    return np.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), steps) ** rho


def karras_by_list(steps, sigma_min, sigma_max, rho):
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [((high * (steps - 1 - i) + low * i) / (steps - 1)) ** rho for i in range(steps)]


def karras_upside_down(steps, sigma_min, sigma_max, rho):
    roots = torch.linspace(sigma_min ** (1 / rho), sigma_max ** (1 / rho), steps, dtype=torch.float64)
    return roots.pow(rho).flip(0)


def karras_by_exp(steps, sigma_min, sigma_max, rho):
    low, high = (math.exp(math.log(level) / rho) for level in (sigma_min, sigma_max))
    share = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    return torch.exp(
        rho * torch.log(torch.lerp(torch.tensor(high).double(), torch.tensor(low).double(), share))
    )


def karras_by_steps(steps, sigma_min, sigma_max, rho):
    root, levels = sigma_max ** (1 / rho), []
    down = (root - sigma_min ** (1 / rho)) / (steps - 1)
    for _ in range(steps):
        levels.append(max(root, 0.0) ** rho)
        root -= down
    return torch.tensor(levels)


def karras_k_over_n(steps, sigma_min, sigma_max, rho):
    low, high = np.array([sigma_min, sigma_max]) ** (1 / rho)
    return (high + np.arange(steps) / steps * (low - high)) ** rho


RIGHT = {
    "observed_order": [order_by_numpy, order_by_list, order_by_difference, order_upwards, order_by_frexp],
    "heun_step": [
        heun_of_numpy,
        heun_with_step_down,
        heun_as_mean_of_two_steps,
        heun_of_guesses,
        heun_one_by_one,
    ],
    "dpm_2m_step": [
        two_m_by_weights,
        two_m_of_lu,
        two_m_by_numpy,
        two_m_of_paper,
        two_m_by_lists,
        two_m_by_prediction,
    ],
    "karras_sigmas": [karras_by_numpy, karras_by_list, karras_upside_down, karras_by_exp, karras_by_steps],
}
WRONG = {
    "observed_order": {
        "natural logarithm for log2": [
            lambda errors: -np.diff(np.log(errors.numpy())),
            lambda e: -e.log().diff(),
        ],
        "decimal logarithm for log2": [lambda errors: -np.diff(np.log10(errors.numpy()))],
        "missing logarithm": [lambda errors: [(a / b).item() for a, b in zip(errors, errors[1:])]],  # noqa: B905, RUF007
        "first run for the run before": [lambda errors: errors[0].log2() - errors[1:].log2()],
        "one order for all doublings": [
            lambda errors: torch.log2(errors[0] / errors[-1]) / (len(errors) - 1),
        ],
        "wrong sign": [
            lambda errors: torch.log2(errors[1:] / errors[:-1]),
            lambda errors: errors.log2().diff(),
        ],
        "wrong dtype": [lambda errors: order_by_difference(errors).round(decimals=12).half()],
    },
    "heun_step": {
        "Euler's step for Heun's": [euler_of_guess],
        "second slope at the old place": [heun_of_old_place],
        "second slope at the old level": [heun_of_old_level],
        "missing factor 1/2": [heun_without_half],
        "second step from the end of the first": [heun_from_there],
        "slope at the end alone": [heun_of_end],
        "step in the wrong direction": [heun_up],
        "changed input": [heun_in_place],
        "wrong sign": [lambda x_bar, bar_t, bar_s, eps: -heun_with_step_down(x_bar, bar_t, bar_s, eps)],
    },
    "dpm_2m_step": {
        "no extrapolation": [ddim_by_weights],
        "eps of the guess before extrapolation": [two_m(lambda r, *_: 0.5 / r, eps_of="x0")],
        "missing factor 1/2": [two_m(lambda r, *_: 1 / r)],
        "step in t for step in log SNR": [two_m(lambda r, b, t, s: 0.5 * (s - t) / (t - b))],
        "ratio upside down": [two_m(lambda r, *_: 0.5 * r)],
        "extrapolated backwards": [two_m(lambda r, *_: -0.5 / r)],
        "signal and sigma swapped": [two_m(lambda r, *_: 0.5 / r, swap=True)],
        "wrong sign": [lambda *given: -two_m_by_weights(*given)],
    },
    "karras_sigmas": {
        "rising for falling": [lambda steps, low, high, rho: karras_by_numpy(steps, high, low, rho)],
        "even in sigma": [
            lambda steps, low, high, rho: [high + k * (low - high) / (steps - 1) for k in range(steps)]
        ],
        "even in log SNR": [lambda steps, low, high, rho: np.geomspace(high, low, steps)],
        "rho upside down": [
            lambda steps, low, high, rho: np.linspace(high**rho, low**rho, steps) ** (1 / rho)
        ],
        "last level missing": [karras_k_over_n],
        "zero at the end": [lambda steps, low, high, rho: [*karras_by_list(steps, low, high, rho), 0.0]],
        "power never taken": [
            lambda steps, low, high, rho: np.linspace(high ** (1 / rho), low ** (1 / rho), steps)
        ],
        "wrong sign": [lambda steps, low, high, rho: -karras_by_numpy(steps, low, high, rho)],
    },
}
TWO = {
    "observed_order": [lambda e: -torch.log(e[:-1] / e[1:]), lambda e: torch.log2(e).diff().abs().flip(0)],
    "heun_step": [midpoint, lambda x, t, s, eps: x + (t - s) * eps(x, t), lambda x, t, s, eps: x],
    "dpm_2m_step": [two_m(lambda r, *_: 1 / r, eps_of="x0"), two_m(lambda r, b, t, s: (s - t) / (t - b))],
    "karras_sigmas": [
        lambda steps, low, high, rho: karras_by_numpy(steps + 1, low, high, rho)[:-1][::-1].copy(),
        lambda steps, low, high, rho: np.linspace(low, high, steps),
    ],
}
AGREES = {"heun_step": heun_of_package, "dpm_2m_step": two_m_of_package}
