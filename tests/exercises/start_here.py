"""What students hand in for the exercises of notebook 01."""

import math

import numpy as np
import torch


def mixed_by_numpy(x0, noise, signal, sigma):
    return np.asarray(x0) * signal + np.asarray(noise) * sigma


def mixed_upwards(x0, noise, signal, sigma):
    x0, noise = (torch.as_tensor(v, dtype=torch.float64) for v in (x0, noise))
    return signal * x0 + sigma * noise


def mixed_by_stacking(x0, noise, signal, sigma):
    both = torch.stack([torch.as_tensor(x0), torch.as_tensor(noise)]).double()
    return torch.tensordot(torch.tensor([signal, sigma], dtype=torch.float64), both, dims=1)


def mixed_by_brackets(x0, noise, signal, sigma):
    return signal * (x0 + sigma / signal * noise)


def mixed_by_angle(x0, noise, signal, sigma):
    angle = math.atan2(sigma, signal)
    return math.cos(angle) * x0 + math.sin(angle) * noise


def unmixed_by_numpy(x_t, noise, signal, sigma):
    return (np.asarray(x_t) - sigma * np.asarray(noise)) / signal


def unmixed_in_two_steps(x_t, noise, signal, sigma):
    left = x_t - sigma * noise
    return left * (1 / signal)


def unmixed_by_parts(x_t, noise, signal, sigma):
    return x_t / signal - noise * (sigma / signal)


def unmixed_upwards(x_t, noise, signal, sigma):
    x_t, noise = (torch.as_tensor(v, dtype=torch.float64) for v in (x_t, noise))
    return torch.div(torch.sub(x_t, noise, alpha=sigma), signal)


def unmixed_the_other_way(x_t, noise, signal, sigma):
    return (sigma * noise - x_t) / -signal


def distance_by_numpy(a, b):
    return np.sqrt(np.mean((a.numpy() - b.numpy()) ** 2))


def distance_by_norm(a, b):
    return torch.dist(a.double(), b.double()) / math.sqrt(a.numel())


def distance_in_a_loop(a, b):
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    return math.sqrt(sum((x - y) ** 2 for x, y in pairs) / len(pairs))


def distance_by_mse(a, b):
    return torch.nn.functional.mse_loss(a, b).sqrt()


def distance_by_parts(a, b):
    return (
        a.double().square().mean() + b.double().square().mean() - 2 * (a.double() * b.double()).mean()
    ).sqrt()


def distance_by_variance(a, b):
    off = (b - a).double()
    return (off.var(correction=0) + off.mean() ** 2) ** 0.5


RIGHT = {
    "mix": [mixed_by_numpy, mixed_upwards, mixed_by_stacking, mixed_by_brackets, mixed_by_angle],
    "unmix": [
        unmixed_by_numpy,
        unmixed_in_two_steps,
        unmixed_by_parts,
        unmixed_upwards,
        unmixed_the_other_way,
    ],
    "rms_distance": [
        distance_by_numpy,
        distance_by_norm,
        distance_in_a_loop,
        distance_by_mse,
        distance_by_parts,
        distance_by_variance,
    ],
}
WRONG = {
    "mix": {
        "signal and sigma swapped": [
            lambda x0, noise, signal, sigma: mixed_by_numpy(noise, x0, signal, sigma)
        ],
        "variance for standard deviation": [
            lambda x0, noise, signal, sigma: x0 * signal + (1 - signal**2) * noise
        ],
        "alpha_bar for its square root": [
            lambda x0, noise, signal, sigma: x0 * (1 - sigma**2) + noise * sigma
        ],
        "data not shrunk": [lambda x0, noise, signal, sigma: mixed_by_numpy(x0, noise, 1, sigma)],
        "noise not scaled": [lambda x0, noise, signal, sigma: noise + x0 * signal],
        "wrong sign": [lambda x0, noise, signal, sigma: -(x0 * signal) - noise * sigma],
        "changed input": [
            lambda x0, noise, signal, sigma: (
                signal * x0 + sigma * noise if isinstance(x0, float) else x0.mul_(signal).add_(sigma * noise)
            )
        ],
    },
    "unmix": {
        "data not scaled back": [
            lambda x_t, noise, signal, sigma: np.asarray(x_t) - sigma * np.asarray(noise)
        ],
        "multiplied instead of divided": [
            lambda x_t, noise, signal, sigma: signal * x_t - signal * sigma * noise
        ],
        "missing brackets": [
            lambda x_t, noise, signal, sigma: x_t * (1 / signal) - noise * sigma,
            lambda x_t, noise, signal, sigma: x_t - noise * (sigma / signal),
        ],
        "noise added again": [lambda x_t, noise, signal, sigma: x_t / signal + sigma / signal * noise],
        "signal and sigma swapped": [
            lambda x_t, noise, signal, sigma: unmixed_by_parts(x_t, noise, sigma, signal)
        ],
        "noise not scaled": [lambda x_t, noise, signal, sigma: unmixed_by_numpy(x_t, noise, signal, 1.0)],
        "variance for standard deviation": [
            lambda x_t, noise, signal, sigma: (x_t - noise * (1 - signal**2)) / signal
        ],
        "wrong sign": [lambda x_t, noise, signal, sigma: (sigma * noise - x_t) / signal],
    },
    "rms_distance": {
        "missing square root": [torch.nn.functional.mse_loss, lambda a, b: np.square((b - a).numpy()).mean()],
        "sum for mean": [lambda a, b: np.sqrt(((a - b).numpy() ** 2).sum()), torch.dist],
        "absolute value for square": [
            lambda a, b: torch.nn.functional.l1_loss(a, b),
            lambda a, b: ((a - b) ** 2).sqrt().mean(),
        ],
        "distance of the averages": [lambda a, b: abs((a - b).mean().item())],
        "standard deviation for root mean square": [
            lambda a, b: np.std((a - b).numpy()),
            lambda a, b: torch.var(b - a) ** 0.5,
        ],
        "wrong sign": [lambda a, b: -distance_by_norm(a, b)],
    },
}
TWO = {
    "mix": [
        lambda x0, noise, signal, sigma: signal**2 * x0 + sigma**2 * noise,
        lambda x0, noise, signal, sigma: signal * x0 - sigma * noise,
    ],
    "unmix": [
        lambda x_t, noise, signal, sigma: x_t - noise,
        lambda x_t, noise, signal, sigma: (x_t - sigma**2 * noise) / signal**2,
    ],
    "rms_distance": [
        lambda a, b: ((a - b) ** 2).sum(),
        lambda a, b: (a - b).mean(),
        lambda a, b: (a - b) ** 2,
    ],
}
AGREES = {"rms_distance": lambda a, b: (a - b).square().mean().sqrt()}
