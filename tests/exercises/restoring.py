"""What students hand in for the exercises of notebook 18."""

import math

import numpy as np
import torch
from torch.func import grad, jacrev, vmap

from diffusion_lab import forward


def by_index(x_t, picture, keep, t, schedule, noise):
    new = x_t.clone()
    new[:, keep] = (schedule.signal[t] * picture + schedule.sigma[t] * noise)[:, keep]
    return new


def by_numpy(x_t, picture, keep, t, schedule, noise):
    known = schedule.signal[t].item() * picture.numpy() + schedule.sigma[t].item() * noise.numpy()
    return np.where(keep.numpy(), known, x_t.numpy())


def by_blend(x_t, picture, keep, t, schedule, noise):
    m = keep.to(x_t.dtype)
    return m * (schedule.signal[t] * picture + schedule.sigma[t] * noise) + (1 - m) * x_t


def by_package(x_t, picture, keep, t, schedule, noise):
    known = forward.q_sample(picture.expand(x_t.shape), t, schedule, noise)
    return torch.where(keep.expand(x_t.shape), known, x_t)


def by_masked(x_t, picture, keep, t, schedule, noise):
    a, b = float(schedule.signal[t]), float(schedule.sigma[t])
    return x_t.masked_fill(keep, 0.0) + (a * picture + b * noise).masked_fill(~keep, 0.0)


def log_normal(guess, x_t, y, A, std):
    x = x_t.clone().requires_grad_(True)
    means = guess(x) @ A.T
    total = torch.distributions.Normal(means, std).log_prob(y.expand(means.shape)).sum()
    total.backward()
    return x.grad


def by_rows(guess, x_t, y, A, std):
    rows = []
    for row in x_t:
        jacobian = jacrev(lambda x: A @ guess(x[None])[0])(row)
        rows.append(jacobian.T @ (y - A @ guess(row[None])[0]) / std**2)
    return torch.stack(rows)


def by_vmap(guess, x_t, y, A, std):
    def log_prob(x):
        return -0.5 * ((y - A @ guess(x.unsqueeze(0)).squeeze(0)) / std).pow(2).sum()

    return vmap(grad(log_prob))(x_t).detach()


def by_vjp(guess, x_t, y, A, std):
    x = x_t.detach().clone().requires_grad_()
    x0 = guess(x)
    return torch.autograd.grad(x0, x, (y - x0.detach() @ A.T) @ A / std**2)[0]


def in_numpy(guess, x_t, y, A, std):
    return by_vjp(guess, x_t, y, A, std).numpy()


def through(guess, x_t, loss):
    x = x_t.clone().requires_grad_()
    loss(guess(x)).backward()
    return x.grad


RIGHT = {
    "paste_known": [by_index, by_numpy, by_blend, by_package, by_masked],
    "back_up": [
        lambda x_s, s, t, schedule, noise: (
            forward.transition(t, s, schedule)[0] * x_s + forward.transition(t, s, schedule)[1].sqrt() * noise
        ),
        lambda x_s, s, t, schedule, noise: (
            schedule.alpha[s + 1 : t + 1].prod().sqrt() * x_s
            + (schedule.sigma[t] ** 2 - schedule.alpha[s + 1 : t + 1].prod() * schedule.sigma[s] ** 2).sqrt()
            * noise
        ),
        lambda x_s, s, t, schedule, noise: (
            x_s.numpy() * float(schedule.signal[t] / schedule.signal[s])
            + math.sqrt(
                float(
                    schedule.sigma[t] ** 2
                    - (schedule.signal[t] * schedule.sigma[s] / schedule.signal[s]) ** 2
                )
            )
            * noise.numpy()
        ),
        lambda x_s, s, t, schedule, noise: torch.add(
            schedule.signal[t] / schedule.signal[s] * x_s,
            noise,
            alpha=schedule.sigma[t].item()
            * math.sqrt(1 - (schedule.snr[t] / schedule.snr[s]).item() * (s > 0)),
        ),
        lambda x_s, s, t, schedule, noise: [
            schedule.signal[t] / schedule.signal[s] * x + forward.transition(t, s, schedule)[1] ** 0.5 * z
            for x, z in zip(x_s, noise, strict=True)
        ],
    ],
    "dps_gradient": [log_normal, by_rows, by_vmap, by_vjp, in_numpy],
}
WRONG = {
    "paste_known": {
        "clean pixels in a noisy state": [
            lambda x_t, picture, keep, t, schedule, noise: keep.to(x_t) * picture + (~keep).to(x_t) * x_t,
        ],
        "data not shrunk": [
            lambda x_t, picture, keep, t, schedule, noise: (
                by_index(x_t, picture, keep, t, schedule, noise)
                + keep.to(x_t) * (1 - schedule.signal[t]) * picture
            )
        ],
        "variance for standard deviation": [
            lambda x_t, picture, keep, t, schedule, noise: by_index(
                x_t, picture, keep, t, schedule, noise * schedule.sigma[t]
            )
        ],
        "one step's noise": [
            lambda x_t, picture, keep, t, schedule, noise: torch.where(
                keep, schedule.alpha[t] ** 0.5 * picture + schedule.beta[t] ** 0.5 * noise, x_t
            )
        ],
        "mask inverted": [
            lambda x_t, picture, keep, t, schedule, noise: torch.where(
                keep, x_t, schedule.signal[t] * picture + schedule.sigma[t] * noise
            )
        ],
        "off by one in t": [
            lambda x_t, picture, keep, t, schedule, noise: by_blend(
                x_t, picture, keep, max(t - 1, 0), schedule, noise
            )
        ],
    },
    "back_up": {
        "variance for standard deviation": [
            lambda x_s, s, t, schedule, noise: (
                forward.transition(t, s, schedule)[0] * x_s + forward.transition(t, s, schedule)[1] * noise
            )
        ],
        "x_s taken for x_0": [
            lambda x_s, s, t, schedule, noise: forward.q_sample(x_s, t, schedule, noise),
        ],
        "the last step only": [
            lambda x_s, s, t, schedule, noise: forward.q_step(x_s, t, schedule, noise),
        ],
        "noise counted twice": [
            lambda x_s, s, t, schedule, noise: (
                forward.transition(t, s, schedule)[0] * x_s + schedule.sigma[t] * noise
            )
        ],
        "data not shrunk": [
            lambda x_s, s, t, schedule, noise: (
                x_s + noise * torch.sqrt(schedule.sigma[t].square() - schedule.sigma[s].square())
            )
        ],
        "old noise not shrunk": [
            lambda x_s, s, t, schedule, noise: (
                x_s * schedule.signal[t] / schedule.signal[s]
                + noise * torch.sqrt(schedule.sigma[t].square() - schedule.sigma[s].square())
            )
        ],
    },
    "dps_gradient": {
        "norm over the batch": [
            lambda guess, x_t, y, A, std: through(
                guess, x_t, lambda x0: -torch.linalg.norm(x0 @ A.T - y) / (2 * std * std)
            )
        ],
        "norm, not squared norm": [
            lambda guess, x_t, y, A, std: through(
                guess, x_t, lambda x0: -(x0 @ A.T - y).square().sum(1).sqrt().sum() / (2 * std * std)
            )
        ],
        "mean for sum": [
            lambda guess, x_t, y, A, std: through(
                guess,
                x_t,
                lambda x0: -torch.nn.functional.mse_loss(x0 @ A.T, y.expand(len(x0), -1)) / (2 * std * std),
            )
        ],
        "standard deviation for variance": [
            lambda guess, x_t, y, A, std: by_vjp(guess, x_t, y, A, std**0.5),
        ],
        "factor 2": [lambda guess, x_t, y, A, std: 2 * by_rows(guess, x_t, y, A, std)],
        "gradient not taken through the guess": [
            lambda guess, x_t, y, A, std: torch.einsum("md,bm->bd", A, y - guess(x_t) @ A.T) / std**2
        ],
        "wrong sign": [lambda guess, x_t, y, A, std: -by_vmap(guess, x_t, y, A, std)],
    },
}
TWO = {
    "paste_known": [
        lambda x_t, picture, keep, t, schedule, noise: torch.where(
            keep, x_t, picture + schedule.sigma[t] ** 2 * noise
        )
    ],
    "back_up": [
        lambda x_s, s, t, schedule, noise: x_s + (schedule.sigma[t] ** 2 - schedule.sigma[s] ** 2) * noise
    ],
    "dps_gradient": [
        lambda guess, x_t, y, A, std: (guess(x_t) @ A.T - y) @ A / std,
    ],
}
