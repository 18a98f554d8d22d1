"""What students hand in for the exercises of notebook 20."""

import numpy as np
import torch
from scipy import stats

from diffusion_lab.applications.editing import sdedit
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.forward import q_marginal, q_sample
from diffusion_lab.samplers import ddim, ddim_inversion
from diffusion_lab.views import Prediction


def by_numpy_start(guide, noise, strength, schedule):
    t0 = int(np.rint(strength * schedule.T))
    ab = schedule.alpha_bar[t0].item()
    return np.sqrt(ab) * guide.numpy() + schedule.sigma[t0].item() * noise.numpy(), t0


def by_gaussian(guide, noise, strength, schedule):
    t0 = int((torch.arange(schedule.T + 1) - strength * schedule.T).abs().argmin())
    q = q_marginal(guide, t0, schedule)
    return q.mean + noise * q.var**0.5, torch.tensor(t0)


def by_bayes(x_t, t, schedule, std):
    spread = np.hypot(schedule.signal[t].item() * std, schedule.sigma[t].item())
    a, b = (stats.norm.pdf(x_t.double().numpy(), m * schedule.signal[t].item(), spread) for m in (1, -1))
    return 2 * a * b / (a + b) ** 2


def by_tanh(x_t, t, schedule, std):
    mean = torch.tanh(schedule.signal[t] * x_t / ((schedule.signal[t] * std) ** 2 + schedule.sigma[t] ** 2))
    return (1 - mean**2) / 2


def by_mixture(x_t, t, schedule, std):
    modes = GaussianMixture(torch.tensor([[-1.0], [1.0]], dtype=torch.float64), stds=[std, std])
    p = modes.noised(t, schedule).log_posterior(x_t.double()[:, None]).exp()
    return 2 * p[:, 0] * p[:, 1]


def by_entries(x_t, t, schedule, std):
    var = float(schedule.signal[t] * std) ** 2 + float(schedule.sigma[t]) ** 2
    odds = [np.exp(2 * float(schedule.signal[t]) * x.item() / var) for x in x_t]
    return [float(2 * o / (1 + o) ** 2) for o in odds]


def by_cosh(x_t, t, schedule, std):
    var = schedule.signal[t] ** 2 * std**2 + schedule.sigma[t] ** 2
    return 0.5 / torch.cosh(schedule.signal[t] * x_t / var) ** 2


def gathered(x_s, eps, s, t, schedule):
    ratio = schedule.signal[t] / schedule.signal[s]
    return ratio * x_s + (schedule.sigma[t] - ratio * schedule.sigma[s]) * eps


def in_ratios(x_s, eps, s, t, schedule):
    ratio = schedule.sigma / schedule.signal
    if ratio[t].isinf():
        return eps
    return schedule.signal[t] * (x_s / schedule.signal[s] + (ratio[t] - ratio[s]) * eps)


def by_prediction(x_s, eps, s, t, schedule):
    guess = Prediction.from_eps(eps, x_s, s, schedule)
    return schedule.signal[t].item() * guess.x0 + schedule.sigma[t].item() * guess.eps


def through_inversion(x_s, eps, s, t, schedule):
    def same(x, at):
        return Prediction.from_eps(eps, x, at, schedule)

    (step,) = ddim_inversion(same, x_s, schedule, [s, t])
    return step.x


def through_sdedit(guide, noise, strength, schedule):
    def guess(x, t):
        return Prediction.from_x0(guide, x, t, schedule)

    t0 = round(strength * schedule.T)
    first = next(sdedit(guess, guide, t0, ddim, schedule, noise=noise))
    return first.prediction.x_t, t0


RIGHT = {
    "sdedit_start": [
        by_numpy_start,
        by_gaussian,
        lambda guide, noise, strength, schedule: (
            q_sample(guide, round(schedule.T * strength), schedule, noise),
            round(schedule.T * strength),
        ),
        lambda guide, noise, strength, schedule: (
            [
                schedule.signal[int(strength * schedule.T + 0.5)] * g
                + schedule.sigma[int(strength * schedule.T + 0.5)] * e
                for g, e in zip(guide, noise, strict=True)
            ],
            float(int(strength * schedule.T + 0.5)),
        ),
        lambda guide, noise, strength, schedule: (
            torch.stack([guide, noise], -1)
            @ torch.stack(
                [table[round(strength * schedule.T)] for table in (schedule.signal, schedule.sigma)]
            ).to(guide),
            np.round(strength * schedule.T),
        ),
    ],
    "mode_change": [by_bayes, by_tanh, by_mixture, by_entries, by_cosh],
    "inversion_step": [
        gathered,
        in_ratios,
        by_prediction,
        lambda x_s, eps, s, t, schedule: gathered(x_s.double(), eps.double(), s, t, schedule).numpy(),
        lambda x_s, eps, s, t, schedule: [
            gathered(x, e, s, t, schedule) for x, e in zip(x_s, eps, strict=True)
        ],
    ],
}


def start(guide, noise, strength, schedule, noisy=0, told=0, signal=None, sigma=None):
    t0 = round(strength * schedule.T)
    at = min(max(t0 + noisy, 0), schedule.T)
    signal, sigma = signal or (lambda t: schedule.signal[t]), sigma or (lambda t: schedule.sigma[t])
    return signal(at) * guide + sigma(at) * noise, min(t0 + told, schedule.T)


def changed(x_t, t, schedule, var, mean=1.0):
    a, b = (-((x_t - m * mean) ** 2) / (2 * var) for m in (1, -1))
    p = torch.stack([a, b]).softmax(0)
    return 2 * p[0] * p[1]


def var_of(t, schedule, std):
    return (schedule.signal[t] * std) ** 2 + schedule.sigma[t] ** 2


WRONG = {
    "sdedit_start": {
        "off by one in t": [
            lambda g, e, w, schedule: start(g, e, w, schedule, noisy=1),
            lambda g, e, w, schedule: start(g, e, w, schedule, noisy=-1),
        ],
        "noise left out": [
            lambda g, e, w, schedule: (
                g * schedule.alpha_bar[round(w * schedule.T)] ** 0.5,
                round(w * schedule.T),
            )
        ],
        "data not shrunk": [lambda g, e, w, schedule: start(g, e, w, schedule, signal=lambda t: 1.0)],
        "noise not scaled": [lambda g, e, w, schedule: start(g, e, w, schedule, sigma=lambda t: 1.0)],
        "variance for standard deviation": [
            lambda g, e, w, schedule: start(g, e, w, schedule, sigma=lambda t: schedule.sigma[t].square())
        ],
        "alpha_bar for its square root": [
            lambda g, e, w, schedule: start(g, e, w, schedule, signal=lambda t: schedule.signal[t].square())
        ],
        "alpha for alpha_bar": [
            lambda g, e, w, schedule: start(
                g,
                e,
                w,
                schedule,
                signal=lambda t: schedule.alpha[t] ** 0.5,
                sigma=lambda t: schedule.beta[t] ** 0.5,
            )
        ],
        "signal and sigma swapped": [
            lambda g, e, w, schedule: start(
                g, e, w, schedule, signal=lambda t: schedule.sigma[t], sigma=lambda t: schedule.signal[t]
            )
        ],
        "strength from the wrong end": [
            lambda g, e, w, schedule: start(g, e, 1 - w, schedule),
        ],
        "rounded down": [
            lambda g, e, w, schedule: start(g, e, np.floor(w * schedule.T) / schedule.T, schedule)
        ],
    },
    "mode_change": {
        "most probable mode for a draw": [
            lambda x, t, schedule, std: (
                1 / (1 + torch.exp(2 * schedule.signal[t] * x.abs() / var_of(t, schedule, std)))
            )
        ],
        "one way only": [lambda x, t, schedule, std: by_tanh(x, t, schedule, std) / 2],
        "chance of the opposite": [lambda x, t, schedule, std: 1 - by_cosh(x, t, schedule, std)],
        "probability of one mode": [
            lambda x, t, schedule, std: (
                0.5 + 0.5 * torch.tanh(schedule.signal[t] * x / var_of(t, schedule, std))
            )
        ],
        "width left out of the density": [
            lambda x, t, schedule, std: changed(x, t, schedule, schedule.sigma[t] ** 2, schedule.signal[t])
        ],
        "data not shrunk": [
            lambda x, t, schedule, std: changed(
                x, t, schedule, std**2 + schedule.sigma[t] ** 2, schedule.signal[t]
            )
        ],
        "means not shrunk": [lambda x, t, schedule, std: changed(x, t, schedule, var_of(t, schedule, std))],
        "standard deviation for variance": [
            lambda x, t, schedule, std: changed(
                x, t, schedule, var_of(t, schedule, std) ** 0.5, schedule.signal[t]
            )
        ],
        "missing factor 2": [
            lambda x, t, schedule, std: changed(
                x, t, schedule, 2 * var_of(t, schedule, std), schedule.signal[t]
            )
        ],
        "signal and sigma swapped": [
            lambda x, t, schedule, std: changed(
                x, t, schedule, (schedule.sigma[t] * std) ** 2 + schedule.signal[t] ** 2, schedule.sigma[t]
            )
        ],
        "off by one in t": [lambda x, t, schedule, std: by_tanh(x, t - 1, schedule, std)],
    },
    "inversion_step": {
        "step of the forward process": [
            lambda x_s, eps, s, t, schedule: (
                schedule.alpha[s + 1 : t + 1].prod().sqrt() * x_s
                + (
                    schedule.sigma[t] ** 2 - schedule.alpha[s + 1 : t + 1].prod() * schedule.sigma[s] ** 2
                ).sqrt()
                * eps
            )
        ],
        "x_s taken for x_0": [lambda x_s, eps, s, t, schedule: q_sample(x_s, t, schedule, eps)],
        "t and s swapped": [lambda x_s, eps, s, t, schedule: gathered(x_s, eps, t, s, schedule)],
        "noise of time s in x_t": [
            lambda x_s, eps, s, t, schedule: (
                gathered(x_s, eps, s, t, schedule) + (schedule.sigma[s] - schedule.sigma[t]) * eps
            )
        ],
        "signal of time s in x_t": [
            lambda x_s, eps, s, t, schedule: x_s + (schedule.sigma[t] - schedule.sigma[s]) * eps
        ],
        "noise of time t taken off": [
            lambda x_s, eps, s, t, schedule: (
                schedule.sigma[t] * eps
                + schedule.signal[t] / schedule.signal[s] * (x_s - schedule.sigma[t] * eps)
            )
        ],
        "not divided by signal": [
            lambda x_s, eps, s, t, schedule: (
                schedule.signal[t] * x_s + (schedule.sigma[t] - schedule.signal[t] * schedule.sigma[s]) * eps
            )
        ],
        "variance for standard deviation": [
            lambda x_s, eps, s, t, schedule: (
                gathered(x_s, eps, s, t, schedule) + (schedule.sigma[t] ** 2 - schedule.sigma[t]) * eps
            )
        ],
        "signal and sigma swapped": [
            lambda x_s, eps, s, t, schedule: (
                schedule.sigma[t] / schedule.signal[s] * (x_s - schedule.sigma[s] * eps)
                + schedule.signal[t] * eps
            )
        ],
        "a step of one, whatever t is": [
            lambda x_s, eps, s, t, schedule: gathered(x_s, eps, s, s + 1, schedule)
        ],
        "noise left out": [
            lambda x_s, eps, s, t, schedule: gathered(x_s, eps, s, t, schedule) - schedule.sigma[t] * eps
        ],
        "minus for plus": [
            lambda x_s, eps, s, t, schedule: gathered(x_s, eps, s, t, schedule) - 2 * schedule.sigma[t] * eps
        ],
        "off by one in t": [lambda x_s, eps, s, t, schedule: gathered(x_s, eps, s - 1, t - 1, schedule)],
    },
}
TWO = {
    "sdedit_start": [
        lambda g, e, w, schedule: start(g, e, w, schedule, noisy=1, signal=lambda t: 1.0),
        lambda g, e, w, schedule: start(g, 2 * e, w, schedule),
        lambda g, e, w, schedule: start(g, e, w, schedule, noisy=1, sigma=lambda t: schedule.sigma[t] ** 2),
    ],
    "mode_change": [
        lambda x, t, schedule, std: changed(x, t, schedule, schedule.sigma[t] ** 2),
        lambda x, t, schedule, std: by_tanh(x, t - 1, schedule, std) / 2,
    ],
    "inversion_step": [
        lambda x_s, eps, s, t, schedule: schedule.signal[t] * x_s - schedule.sigma[t] * eps,
        lambda x_s, eps, s, t, schedule: gathered(x_s, eps, s - 1, t, schedule),
    ],
}
AGREES = {
    "sdedit_start": through_sdedit,
    "mode_change": by_mixture,
    "inversion_step": through_inversion,
}
