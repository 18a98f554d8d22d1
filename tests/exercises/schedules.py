"""What students hand in for the exercises of notebook 02."""

import math

import numpy as np
import torch

from diffusion_lab.forward import q_marginal
from diffusion_lab.gaussian import Gaussian, kl
from diffusion_lab.schedules import NoiseSchedule


def in_a_loop(beta):
    left = [1.0]
    for b in beta.tolist():
        left.append(left[-1] * (1 - b))
    return left


def by_numpy(beta):
    return np.concatenate([[1.0], np.cumprod(1 - beta.numpy())])


def by_logs(beta):
    return torch.nn.functional.pad(torch.log1p(-beta.double()).cumsum(0), (1, 0)).exp()


def with_a_zero(beta):
    return torch.cumprod(1 - torch.cat([beta.new_zeros(1), beta]), dim=0)


def filled(beta):
    table = torch.ones(len(beta) + 1, dtype=beta.dtype)
    for t in range(1, len(table)):
        table[t] = (1 - beta[t - 1]) * table[t - 1]
    return table


def of_the_package(beta):
    return NoiseSchedule.from_beta(beta.double()).alpha_bar


# log SNR


def ratio_squared(signal, sigma):
    return torch.log((signal / sigma) ** 2)


def difference_of_logs(signal, sigma):
    return 2 * torch.log(signal) - 2 * torch.log(sigma)


def snr_by_numpy(signal, sigma):
    return np.log(signal.numpy() ** 2 / sigma.numpy() ** 2)


def snr_in_a_loop(signal, sigma):
    return [2 * math.log(a / b) for a, b in zip(signal.tolist(), sigma.tolist(), strict=True)]


def minus_gamma(signal, sigma):
    return -(sigma.double().square() / signal.double().square()).log()


def by_log2(signal, sigma):
    return 2 * math.log(2) * torch.log2(signal / sigma)


# L_T


def by_the_package(x0, schedule):
    noise = Gaussian(torch.zeros_like(x0), 1.0)
    return kl(q_marginal(x0, schedule.T, schedule), noise) / (x0[0].numel() * math.log(2))


def one_at_a_time(x0, schedule):
    found = []
    for image in x0.double():
        v = schedule.sigma[schedule.T].item() ** 2
        squares = schedule.alpha_bar[schedule.T].item() * image.square().sum().item()
        D = image.numel()
        found.append((squares + D * (v - 1 - math.log(v))) / (2 * D * math.log(2)))
    return found


def bits_by_numpy(x0, schedule):
    a, s = schedule.signal[-1].item(), schedule.sigma[-1].item()
    x = x0.numpy().astype(np.float64).reshape(len(x0), -1)
    return 0.5 * ((a * x) ** 2 + s**2 - 1 - 2 * np.log(s)).mean(1) / np.log(2)


def with_log2(x0, schedule):
    v = 1 - schedule.alpha_bar[-1]
    power = x0.double().pow(2).flatten(1).mean(1)
    return ((schedule.alpha_bar[-1] * power + v - 1) / math.log(2) - torch.log2(v)) / 2


def by_torch(x0, schedule):
    normal = torch.distributions.Normal
    q = normal(schedule.signal[-1] * x0.double(), schedule.sigma[-1])
    nats = torch.distributions.kl_divergence(q, normal(torch.zeros(()).double(), torch.ones(()).double()))
    return nats.mean(tuple(range(1, x0.ndim))) / math.log(2)


def nats_of(x0, schedule):
    return kl(q_marginal(x0, schedule.T, schedule), Gaussian(torch.zeros_like(x0), 1.0))


RIGHT = {
    "alpha_bar": [in_a_loop, by_numpy, by_logs, with_a_zero, filled, of_the_package],
    "log_snr": [ratio_squared, difference_of_logs, snr_by_numpy, snr_in_a_loop, minus_gamma, by_log2],
    "prior_bits": [by_the_package, one_at_a_time, bits_by_numpy, with_log2, by_torch],
}
WRONG = {
    "alpha_bar": {
        "beta for alpha_bar": [lambda beta: torch.cumprod(torch.cat([torch.ones(1).to(beta), beta]), 0)],
        "alpha for alpha_bar": [lambda beta: [1.0, *(1 - b for b in beta.tolist())]],
        "sum for product": [lambda beta: 1 - torch.nn.functional.pad(beta, (1, 0)).cumsum(0)],
        "no entry for t = 0": [
            lambda beta: by_numpy(beta)[1:],
            lambda beta: torch.log1p(-beta).cumsum(0).exp(),
        ],
        "off by one in t": [lambda beta: torch.tensor([*in_a_loop(beta)[1:], in_a_loop(beta)[-1]]).double()],
        "square root of alpha_bar": [
            lambda beta: torch.cat([torch.ones(1).to(beta), torch.cumprod((1 - beta).sqrt(), 0)]),
            lambda beta: NoiseSchedule.from_beta(beta.double()).signal,
        ],
        "signal and sigma swapped": [lambda beta: NoiseSchedule.from_beta(beta.double()).sigma ** 2],
        "wrong sign": [lambda beta: -with_a_zero(beta)],
    },
    "log_snr": {
        "missing square": [
            lambda signal, sigma: (signal / sigma).log(),
            lambda signal, sigma: np.log(signal.numpy() / sigma.numpy()),
        ],
        "missing logarithm": [lambda signal, sigma: signal.square() / sigma.square()],
        "bits for nats": [lambda signal, sigma: torch.log2(signal**2 / sigma**2)],
        "decibels for nats": [lambda signal, sigma: 10 * torch.log10(signal**2 / sigma**2)],
        "share for ratio": [lambda signal, sigma: 2 * signal.log()],
        "standard deviation for variance": [lambda signal, sigma: 2 * signal.log() - sigma.log()],
        "alpha_bar for its square root": [lambda signal, sigma: 2 * (signal**2 / sigma**2).log()],
        "wrong sign": [lambda signal, sigma: torch.log(sigma**2 / signal**2)],
    },
    "prior_bits": {
        "nats for bits": [
            lambda x0, schedule: nats_of(x0, schedule) / x0[0].numel(),
            lambda x0, schedule: nats_of(x0, schedule) / x0[0].numel() * math.log(2),
        ],
        "sum for mean": [lambda x0, schedule: nats_of(x0, schedule) / math.log(2)],
        "mean over the batch": [lambda x0, schedule: with_log2(x0, schedule).sum() / len(x0)],
        "missing factor 1/2": [
            lambda x0, schedule: (
                ((schedule.signal[-1] * x0) ** 2 + schedule.sigma[-1] ** 2 - 1 - 2 * schedule.sigma[-1].log())
                .flatten(1)
                .mean(1)
                / math.log(2)
            )
        ],
        "standard deviation for variance": [
            lambda x0, schedule: (
                ((schedule.signal[-1] * x0) ** 2 + schedule.sigma[-1] - 1 - schedule.sigma[-1].log())
                .flatten(1)
                .mean(1)
                / math.log(4)
            ),
            lambda x0, schedule: (
                ((schedule.signal[-1] * x0) ** 2 + schedule.sigma[-1] ** 2 - 1 - schedule.sigma[-1].log())
                .flatten(1)
                .mean(1)
                / math.log(4)
            ),
        ],
        "alpha_bar for its square root": [
            lambda x0, schedule: with_log2(schedule.signal[-1] * x0, schedule),
        ],
        "KL the wrong way round": [
            lambda x0, schedule: (
                kl(Gaussian(torch.zeros_like(x0), 1.0), q_marginal(x0, schedule.T, schedule))
                / (x0[0].numel() * math.log(2))
            ),
        ],
        "off by one in t": [
            lambda x0, schedule: (
                kl(q_marginal(x0, schedule.T - 1, schedule), Gaussian(torch.zeros_like(x0), 1.0))
                / (x0[0].numel() * math.log(2))
            ),
        ],
        "wrong sign": [lambda x0, schedule: -with_log2(x0, schedule)],
    },
}
TWO = {
    "alpha_bar": [
        lambda beta: (1 - beta).cumprod(0).sqrt(),
        lambda beta: torch.cat([torch.zeros(1).to(beta), beta.cumprod(0)]),
    ],
    "log_snr": [
        lambda signal, sigma: torch.log2(signal / sigma),
        lambda signal, sigma: (signal / sigma).log10(),
    ],
    "prior_bits": [
        lambda x0, schedule: nats_of(x0, schedule),
        lambda x0, schedule: nats_of(x0, schedule) * 2 / math.log(2),
        lambda x0, schedule: (schedule.signal[-1] * x0).square().flatten(1).mean(1),
    ],
}
AGREES = {
    "alpha_bar": of_the_package,
    "log_snr": lambda signal, sigma: NoiseSchedule([1.0, 0.5], [0.0, 1.0]).log_snr.new_tensor(
        [
            NoiseSchedule([1.0, a], [0.0, b]).log_snr[1]
            for a, b in zip(signal.tolist(), sigma.tolist(), strict=True)
        ]
    ),
    "prior_bits": by_the_package,
}
