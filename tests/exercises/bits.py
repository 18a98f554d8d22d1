"""What students hand in for the exercises of notebook 12."""

import math

import numpy as np
import torch
from scipy.stats import norm

from diffusion_lab.elbo import NegativeELBO, discretized_log_prob
from diffusion_lab.experiments.exact_bound import variance_table
from diffusion_lab.forward import posterior_weights, q_posterior
from diffusion_lab.views import Prediction

LN2 = math.log(2)

# ---------------------------------------------------------------- bits_per_dim


def bits_of_package(nats, x0):
    nothing = torch.zeros_like(nats)
    return NegativeELBO(nats, nothing[:, None], nothing, math.prod(x0.shape[1:])).bits_per_dim


def bits_in_a_list(nats, x0):
    return [n / len(x.flatten()) * math.log2(math.e) for n, x in zip(nats.tolist(), x0, strict=True)]


def bits_in_numpy(nats, x0):
    return nats.numpy() / np.log(2) / x0.numpy().reshape(len(x0), -1).shape[1]


def bits_by_two_steps(nats, x0):
    per_image = nats / LN2
    return per_image / (x0.numel() / len(x0))


def bits_in_double(nats, x0):
    return nats.double() * (1 / LN2) / math.prod(x0.shape[1:])


# ---------------------------------------------------------------- pixel_log_prob


def pixels_of_package(x0, mean, std, levels):
    each = discretized_log_prob(x0.reshape(-1, 1), mean.reshape(-1, 1), std, levels)
    return each.reshape(x0.shape)


def pixels_by_scipy(x0, mean, std, levels):
    half, x, m = 1 / (levels - 1), x0.numpy(), mean.numpy()
    low, high = np.where(x == -1, -np.inf, x - half), np.where(x == 1, np.inf, x + half)
    return np.log(norm.cdf(high, m, std) - norm.cdf(low, m, std))


def pixels_by_erf(x0, mean, std, levels):
    half = 0.5 * 2 / (levels - 1)
    low = torch.where((x0 + 1).abs() < half, -math.inf, x0 - half)
    high = torch.where((x0 - 1).abs() < half, math.inf, x0 + half)
    root = std * 2**0.5
    return (0.5 * (torch.erf((high - mean) / root) - torch.erf((low - mean) / root))).log()


def pixels_in_a_loop(x0, mean, std, levels):
    def phi(z):
        return 0.5 * math.erfc(-z / math.sqrt(2))

    found = []
    for x, m in zip(x0.flatten().tolist(), mean.flatten().tolist(), strict=True):
        above = 1.0 if x > 1 - 0.5 / levels else phi((x + 1 / (levels - 1) - m) / std)
        below = 0.0 if x < -1 + 0.5 / levels else phi((x - 1 / (levels - 1) - m) / std)
        found.append(math.log(above - below))
    return torch.tensor(found, dtype=torch.float64).reshape(x0.shape)


def pixels_by_all_levels(x0, mean, std, levels):
    """Edges of all bins, all their masses, and the one that is asked for."""
    edges = torch.linspace(-1, 1, levels, dtype=torch.float64)
    edges = torch.cat(
        [edges.new_tensor([-math.inf]), (edges[1:] + edges[:-1]) / 2, edges.new_tensor([math.inf])]
    )
    masses = torch.special.ndtr((edges - mean[..., None]) / std).diff()
    which = ((x0 + 1) / 2 * (levels - 1)).round().long()
    return masses.gather(-1, which[..., None])[..., 0].log()


def pixels_clamped(x0, mean, std, levels):
    return pixels_by_erf(x0, mean, std, levels).exp().clamp(min=1e-12).log()


def normal_mass(x0, mean, std, half, inner=1.0):
    """Mass of [x0 − half, x0 + half]; beyond `inner` in size, that of the outer bin, open."""
    cdf = torch.distributions.Normal(mean, std).cdf
    low = torch.where(x0 < -inner, 0.0, cdf(x0 - half))
    return torch.where(x0 > inner, 1.0, cdf(x0 + half)) - low


# ---------------------------------------------------------------- best_variance


def variance_by_package(x0, guess, t, schedule):
    """What the package's table has at t, for a denoiser that always says `guess`."""

    def denoiser(x_t, now):
        return Prediction.from_x0(guess, x_t, now, schedule)

    return variance_table(denoiser, x0, schedule, torch.zeros_like(x0))[t]


def variance_by_means(x0, guess, t, schedule):
    x_t = torch.ones_like(x0)
    q, p = q_posterior(x0, x_t, t, schedule), q_posterior(guess, x_t, t, schedule)
    return q.var + torch.mean((q.mean - p.mean) ** 2)


def variance_in_numpy(x0, guess, t, schedule):
    c, _, variance = (w.item() for w in posterior_weights(t, t - 1, schedule))
    return variance + c**2 * np.mean(np.square((x0 - guess).double().numpy()))


def variance_in_floats(x0, guess, t, schedule):
    ab, before = float(schedule.alpha_bar[t]), float(schedule.alpha_bar[t - 1])
    beta = 1 - ab / before
    c = math.sqrt(before) * beta / (1 - ab)
    away = [(c * (a - b)) ** 2 for a, b in zip(x0.flatten().tolist(), guess.flatten().tolist(), strict=True)]
    return beta * (1 - before) / (1 - ab) + sum(away) / len(away)


def variance_by_examples(x0, guess, t, schedule):
    c, _, variance = posterior_weights(t, t - 1, schedule)
    return torch.stack(
        [variance + c**2 * (a - b).square().mean() for a, b in zip(x0, guess, strict=True)]
    ).mean()


def variance_in_one_row(x0, guess, t, schedule):
    return torch.as_tensor([variance_in_floats(x0, guess, t, schedule)], dtype=torch.float64)


def step(t, schedule):
    c, _, variance = posterior_weights(t, t - 1, schedule)
    return c, variance


def variance_changed(x0, guess, t, schedule):
    c, variance = step(t, schedule)
    guess.sub_(x0)
    return variance + (c * guess).square().mean()


RIGHT = {
    "bits_per_dim": [bits_of_package, bits_in_a_list, bits_in_numpy, bits_by_two_steps, bits_in_double],
    "pixel_log_prob": [
        pixels_of_package,
        pixels_by_scipy,
        pixels_by_erf,
        pixels_in_a_loop,
        pixels_by_all_levels,
        pixels_clamped,
    ],
    "best_variance": [
        variance_by_package,
        variance_by_means,
        variance_in_numpy,
        variance_in_floats,
        variance_by_examples,
        variance_in_one_row,
    ],
}

WRONG = {
    "bits_per_dim": {
        "nats for bits": [
            lambda nats, x0: nats / math.prod(x0.shape[1:]),
            lambda nats, x0: nats * len(x0) / x0.numel(),
        ],
        "ln 2 on the wrong side": [
            lambda nats, x0: nats / x0[0].numel() / math.log2(math.e),
            lambda nats, x0: np.log(2) * nats.numpy() / x0.numpy()[0].size,
        ],
        "sum for mean": [
            lambda nats, x0: nats / np.log(2),
            lambda nats, x0: bits_by_two_steps(nats, x0) * x0[0].numel(),
        ],
        "whole batch for one example": [
            lambda nats, x0: nats / LN2 / x0.numel(),
            lambda nats, x0: bits_in_double(nats, x0) / len(nats),
        ],
        "last axis for all axes": [
            lambda nats, x0: nats / LN2 / x0.size(-1),
            lambda nats, x0: [
                n / LN2 / len(row)
                for n, row in zip(nats.tolist(), x0.reshape(len(x0), -1, x0.shape[-1])[:, 0], strict=True)
            ],
        ],
        "channels left out": [
            lambda nats, x0: nats / LN2 / (math.prod(x0.shape[2:]) if x0.ndim > 2 else x0.shape[1]),
            lambda nats, x0: bits_by_two_steps(nats, x0[:, 0] if x0.ndim == 4 else x0),
        ],
        "wrong dtype": [lambda nats, x0: bits_by_two_steps(nats, x0).half()],
        "changed input": [lambda nats, x0: nats.div_(x0[0].numel() * LN2)],
    },
    "pixel_log_prob": {
        "outer bins closed": [
            lambda x0, mean, std, levels: (
                torch.special.ndtr(
                    torch.stack([x0 - 1 / (levels - 1) - mean, x0 + 1 / (levels - 1) - mean]) / std
                )
                .diff(dim=0)[0]
                .log()
            ),
            lambda x0, mean, std, levels: np.log(
                norm.cdf(x0 + 1 / (levels - 1), mean, std) - norm.cdf(x0 - 1 / (levels - 1), mean, std)
            ),
        ],
        "density for probability": [
            lambda x0, mean, std, levels: (
                -((x0 - mean) ** 2) / (2 * std**2) - math.log(std * math.sqrt(2 * math.pi))
            ),
            lambda x0, mean, std, levels: norm.logpdf(x0, mean, std) + np.log(2 / (levels - 1)),
        ],
        "levels for gaps": [
            lambda x0, mean, std, levels: normal_mass(x0, mean, std, 1 / levels, 1 - 1 / levels).log(),
            lambda x0, mean, std, levels: normal_mass(x0, mean, std, 0.5 * (2 / levels), 0.9999).log(),
        ],
        "bin twice as wide": [
            lambda x0, mean, std, levels: normal_mass(x0, mean, std, 2 / (levels - 1), 1 - 1e-6).log(),
            lambda x0, mean, std, levels: np.log(
                np.where(x0 > 0.9999, 1, norm.cdf(x0 + 2 / (levels - 1), mean, std))
                - np.where(x0 < -0.9999, 0, norm.cdf(x0 - 2 / (levels - 1), mean, std))
            ),
        ],
        "variance for standard deviation": [
            lambda x0, mean, std, levels: pixels_by_scipy(x0, mean, std**2, levels),
            lambda x0, mean, std, levels: normal_mass(x0, mean, std * std, 1 / (levels - 1), 1 - 1e-6).log(),
        ],
        "bits for nats": [
            lambda x0, mean, std, levels: pixels_by_all_levels(x0, mean, std, levels) / LN2,
            lambda x0, mean, std, levels: normal_mass(x0, mean, std, 1 / (levels - 1), 1 - 1e-6).log2(),
        ],
        "probability for its logarithm": [
            lambda x0, mean, std, levels: normal_mass(x0, mean, std, 1 / (levels - 1), 1 - 1e-6),
            lambda x0, mean, std, levels: np.exp(pixels_by_scipy(x0, mean, std, levels)),
        ],
        "wrong dtype": [lambda *a: pixels_by_erf(*a).float()],
        "wrong sign": [lambda *a: -pixels_by_all_levels(*a)],
    },
    "best_variance": {
        "sum for mean": [
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1]
                + (step(t, schedule)[0] * (x0 - guess)).flatten(1).norm(dim=1).square().mean()
            ),
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1] + torch.sum((step(t, schedule)[0] * (guess - x0)) ** 2)
            ),
        ],
        "beta for the posterior's variance": [
            lambda x0, guess, t, schedule: (
                schedule.beta[t] + step(t, schedule)[0] ** 2 * (x0 - guess).square().mean()
            ),
            lambda x0, guess, t, schedule: (
                variance_by_means(x0, guess, t, schedule) - step(t, schedule)[1] + 1 - schedule.alpha[t]
            ),
        ],
        "mistake in x_0 for that in the mean": [
            lambda x0, guess, t, schedule: step(t, schedule)[1] + (x0 - guess).square().mean(),
            lambda x0, guess, t, schedule: (
                q_posterior(x0, x0, t, schedule).var + torch.nn.functional.mse_loss(guess, x0)
            ),
        ],
        "missing square": [
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1] + step(t, schedule)[0] * torch.nn.functional.mse_loss(guess, x0)
            ),
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1] + (step(t, schedule)[0].sqrt() * (x0 - guess)).square().mean()
            ),
        ],
        "mistake alone": [
            lambda x0, guess, t, schedule: (
                step(t, schedule)[0] ** 2 * torch.nn.functional.mse_loss(guess, x0)
            ),
            lambda x0, guess, t, schedule: (
                variance_by_means(x0, guess, t, schedule) - q_posterior(x0, x0, t, schedule).var
            ),
        ],
        "standard deviation for variance": [
            lambda x0, guess, t, schedule: variance_in_numpy(x0, guess, t, schedule) ** 0.5,
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1] + step(t, schedule)[0] * torch.nn.functional.l1_loss(guess, x0)
            ),
        ],
        "square of the mean for mean of the square": [
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1] + (step(t, schedule)[0] * (x0.mean() - guess.mean())) ** 2
            ),
            lambda x0, guess, t, schedule: (
                step(t, schedule)[1] + torch.mean(step(t, schedule)[0] * (guess - x0)).square()
            ),
        ],
        "changed input": [variance_changed],
        "wrong dtype": [lambda *a: torch.tensor(variance_in_floats(*a))],
    },
}

TWO = {
    "bits_per_dim": [lambda nats, x0: nats / x0.numel(), lambda nats, x0: nats * LN2],
    "pixel_log_prob": [
        lambda x0, mean, std, levels: normal_mass(x0, mean, std, 2 / (levels - 1)).log(),
        lambda x0, mean, std, levels: normal_mass(x0, mean, std, 1 / (levels - 1), 1 - 1e-6).log2().sum(),
    ],
    "best_variance": [
        lambda x0, guess, t, schedule: schedule.beta[t] + (x0 - guess).square().mean(),
        lambda x0, guess, t, schedule: step(t, schedule)[1].sqrt() + (x0 - guess).abs().mean(),
    ],
}

AGREES = {
    "bits_per_dim": bits_of_package,
    "pixel_log_prob": pixels_of_package,
    "best_variance": variance_by_means,
}
