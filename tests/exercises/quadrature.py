"""What students hand in for the exercises of appendix A1."""

import math

import numpy as np
import torch

from diffusion_lab.experiments.exact_bound import nodes
from diffusion_lab.gaussian import Gaussian

# ------------------------------------------------------------------------------------- expectation


def expectation_by_dot(f, mean, std, z, weights):
    return weights @ f(std * z + mean)


def expectation_by_numpy(f, mean, std, z, weights):
    return np.average(f(mean + std * z).numpy(), weights=weights.numpy())


def expectation_in_a_loop(f, mean, std, z, weights):
    total = 0.0
    for place, weight in zip(z, weights, strict=True):
        total = total + weight * f((mean + std * place)[None])[0]
    return total


def expectation_of_a_gaussian(f, mean, std, z, weights):
    bell = Gaussian(torch.full((1, 1), mean).double(), std**2)
    return torch.einsum("n,n->", weights, f((bell.mean + bell.var**0.5 * z)[0]))


def expectation_by_fsum(f, mean, std, z, weights):
    return math.fsum((weights * f(torch.add(mean, z, alpha=std))).tolist())


# ------------------------------------------------------------------------------------- points_needed


def points_by_trying(degree):
    n = 1
    while 2 * n - 1 < degree:
        n += 1
    return n


def points_by_the_rule_itself(degree):
    """The smallest rule that integrates z^degree, and what lies below it, as it should."""
    for n in range(1, 40):
        z, weights = nodes(n)
        powers = range(degree + 1)
        truth = [math.prod(range(1, k, 2)) if k % 2 == 0 else 0 for k in powers]
        found = [(weights * z**k).sum().item() for k in powers]
        scale = [math.prod(range(1, k + 1, 2)) for k in powers]
        if all(abs(a - b) < 1e-6 * s for a, b, s in zip(found, truth, scale, strict=True)):
            return n
    raise AssertionError


RIGHT = {
    "expectation": [
        expectation_by_dot,
        expectation_by_numpy,
        expectation_in_a_loop,
        expectation_of_a_gaussian,
        expectation_by_fsum,
    ],
    "points_needed": [
        points_by_trying,
        points_by_the_rule_itself,
        lambda degree: math.ceil((degree + 1) / 2),
        lambda degree: (degree + 2) // 2,
        lambda degree: torch.tensor(degree).div(2, rounding_mode="floor") + 1,
    ],
}
WRONG = {
    "expectation": {
        "variance for standard deviation": [lambda f, mean, std, z, w: w @ f(mean + std * std * z)],
        "mean left out": [lambda f, mean, std, z, w: w @ f(z * std)],
        "not scaled": [lambda f, mean, std, z, w: w @ f(z + mean)],
        "weights left out": [
            lambda f, mean, std, z, w: sum(f(mean + std * z).tolist()) / len(z),
            lambda f, mean, std, z, w: np.mean(f(mean + std * z).numpy()),
        ],
        "function of the mean": [
            lambda f, mean, std, z, w: f(torch.tensor([mean]).double())[0],
            lambda f, mean, std, z, w: f((mean + std * (w @ z))[None]),
        ],
        "result scaled, not the places": [lambda f, mean, std, z, w: std * (w @ f(z)) + mean],
        "wrong sign": [lambda f, mean, std, z, w: -(w @ f(mean + std * z))],
    },
    "points_needed": {
        "one point too few": [lambda degree: degree >> 1],
        "one point too few for even degrees": [lambda degree: math.ceil(degree / 2)],
        "one point too many for odd degrees": [lambda degree: math.ceil(degree / 2) + 1],
        "as many points as coefficients": [lambda degree: 1 + degree],
        "highest degree for number of points": [lambda degree: degree + degree - 1],
        "not rounded": [lambda degree: degree / 2 + 0.5],
        "wrong sign": [lambda degree: -points_by_trying(degree)],
    },
}
TWO = {
    "expectation": [
        lambda f, mean, std, z, w: f(mean + std**2 * z).mean(),
        lambda f, mean, std, z, w: w @ f(z),
    ],
    "points_needed": [lambda degree: degree, lambda degree: 2 * (degree + 1) - 1],
}
AGREES = {"points_needed": points_by_the_rule_itself}
