"""What students hand in for the exercises of appendix A2."""

import math

import numpy as np
import torch

from diffusion_lab import sde

# ------------------------------------------------------------------------------------- first_noise


def noise_by_odds(bins, bin_width):
    return 1 - 1 / (1 + bin_width * bins)


def noise_by_inverse(bins, bin_width):
    return 1 / (1 + 1 / (bins * bin_width))


def noise_by_logs(bins, bin_width):
    return torch.sigmoid(torch.tensor(math.log(bins) + math.log(bin_width), dtype=torch.float64))


def noise_by_numpy(bins, bin_width):
    width = np.float64(bins) * bin_width
    return np.divide(width, np.add(width, 1))


def noise_of_the_package(bins, bin_width):
    """Bisection on the process itself."""
    low, high = torch.tensor(0.0).double(), torch.tensor(1.0).double()
    for _ in range(60):
        u = (low + high) / 2
        signal, sigma = sde.straight().marginal(u)
        low, high = (u, high) if sigma / signal < bins * bin_width else (low, u)
    return (low + high) / 2


# ------------------------------------------------------------------------------------- tighter_bound


def bound_by_numpy(log_weights):
    return -np.logaddexp.reduce(log_weights.numpy(), axis=0) + np.log(len(log_weights))


def bound_by_the_largest(log_weights):
    largest = log_weights.max(0).values
    return -largest - (log_weights - largest).exp().mean(0).log()


def bound_by_adding_pairs(log_weights):
    total = log_weights[0]
    for row in log_weights[1:]:
        total = torch.logaddexp(total, row)
    return math.log(log_weights.shape[0]) - total


def bound_by_softmax(log_weights):
    return log_weights.log_softmax(0)[0] - log_weights[0] + math.log(len(log_weights))


def bound_one_by_one(log_weights):
    return [-torch.logsumexp(column - math.log(len(column)), 0).item() for column in log_weights.T]


RIGHT = {
    "first_noise": [noise_by_odds, noise_by_inverse, noise_by_logs, noise_by_numpy, noise_of_the_package],
    "tighter_bound": [
        bound_by_numpy,
        bound_by_the_largest,
        bound_by_adding_pairs,
        bound_by_softmax,
        bound_one_by_one,
    ],
}
WRONG = {
    "first_noise": {
        "bin width left out": [lambda bins, bin_width: 1 - 1 / (1 + bins)],
        "data not shrunk": [lambda bins, bin_width: bin_width * bins],
        "signal and sigma swapped": [lambda bins, bin_width: 1 - noise_by_odds(bins, bin_width)],
        "divided by the bin width": [lambda bins, bin_width: bins / (bin_width + bins)],
        "variance for standard deviation": [
            lambda bins, bin_width: noise_by_odds(bins**2, bin_width**2),
        ],
        "the other process": [lambda bins, bin_width: math.sin(math.atan(bins * bin_width))],
        "wrong sign": [lambda bins, bin_width: -noise_by_odds(bins, bin_width)],
    },
    "tighter_bound": {
        "mean of the logarithms": [
            lambda log_weights: -log_weights.sum(0) / len(log_weights),
            lambda log_weights: [-sum(column) / len(column) for column in log_weights.T.tolist()],
        ],
        "sum for mean": [lambda log_weights: -np.logaddexp.reduce(log_weights.numpy(), axis=0)],
        "underflow": [lambda log_weights: -(log_weights.exp().sum(0) / len(log_weights)).log()],
        "divided outside the logarithm": [
            lambda log_weights: -torch.logsumexp(log_weights, 0) / log_weights.shape[0],
        ],
        "mean over the batch": [lambda log_weights: bound_by_the_largest(log_weights.T)],
        "best draw for the mean": [lambda log_weights: (-log_weights).min(0).values],
        "bits for nats": [lambda log_weights: bound_by_the_largest(log_weights) / math.log(2)],
        "wrong sign": [lambda log_weights: -bound_by_the_largest(log_weights)],
    },
}
TWO = {
    "first_noise": [
        lambda bins, bin_width: bins / bin_width,
        lambda bins, bin_width: 1 / (1 + bins),
    ],
    "tighter_bound": [
        lambda log_weights: log_weights.logsumexp(0) / len(log_weights),
        lambda log_weights: -log_weights.logsumexp(0) / math.log(2),
    ],
}
AGREES = {"first_noise": noise_of_the_package}
