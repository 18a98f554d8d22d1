"""What students hand in for the exercises of notebook 27."""

import math
from statistics import NormalDist

import numpy as np
import torch

from diffusion_lab.experiments.augmented_exactly import rule_of
from diffusion_lab.experiments.own_samples import variance_left


def gap_in_stds(mean_0, mean_1, covariance):
    gap = mean_1 - mean_0
    return torch.einsum("d,de,e->", gap, torch.linalg.inv(covariance), gap) ** 0.5


def whitened(mean_0, mean_1, covariance):
    root = torch.linalg.cholesky(covariance)
    return torch.linalg.solve_triangular(root, (mean_1 - mean_0)[:, None], upper=False).norm()


def projected(mean_0, mean_1, covariance):
    """On the best direction both classes are normal numbers, and the threshold is in the middle."""
    w = torch.linalg.solve(covariance, mean_1 - mean_0)
    middle, std = w @ (mean_0 + mean_1) / 2, (w @ covariance @ w).sqrt()
    return 1 - torch.special.ndtr((middle - w @ mean_0) / std)


def by_normal_dist(mean_0, mean_1, covariance):
    gap = (mean_1 - mean_0).double().numpy()
    inverse = np.linalg.inv(covariance.double().numpy())
    return NormalDist().cdf(-math.sqrt(gap @ inverse @ gap) / 2)


def by_two_logs(mean_0, mean_1, covariance):
    inverse = torch.linalg.inv(covariance)
    b = (mean_0 @ inverse @ mean_0 - mean_1 @ inverse @ mean_1) / 2
    return inverse @ (mean_1 - mean_0), b


def lda_in_numpy(mean_0, mean_1, covariance):
    w = np.linalg.solve(covariance.numpy(), (mean_1 - mean_0).numpy())
    return w, -w @ (mean_0 + mean_1).numpy() / 2


def by_slope(mean_0, mean_1, covariance):
    """Of the log ratio at 0, by autograd."""
    zero = torch.zeros_like(mean_0).requires_grad_()
    normals = [torch.distributions.MultivariateNormal(m, covariance) for m in (mean_0, mean_1)]
    ratio = normals[1].log_prob(zero) - normals[0].log_prob(zero)
    (w,) = torch.autograd.grad(ratio, zero)
    return w, ratio.detach()


def step_by_step(variance, n, generations):
    for _ in range(generations):
        variance = variance - variance / n
    return variance


RIGHT = {
    "best_error": [
        lambda mean_0, mean_1, covariance: torch.special.ndtr(-gap_in_stds(mean_0, mean_1, covariance) / 2),
        lambda mean_0, mean_1, covariance: (
            0.5 * torch.special.erfc(whitened(mean_0, mean_1, covariance) / 8**0.5)
        ),
        projected,
        by_normal_dist,
        lambda mean_0, mean_1, covariance: torch.distributions.Normal(0, 1).cdf(
            -0.5 * whitened(mean_1, mean_0, covariance)
        ),
    ],
    "lda_rule": [
        by_two_logs,
        lda_in_numpy,
        by_slope,
        lambda mean_0, mean_1, covariance: (
            (mean_1 - mean_0) @ torch.linalg.inv(covariance),
            (mean_0 - mean_1) @ torch.linalg.inv(covariance) @ (mean_0 + mean_1) * 0.5,
        ),
        lambda mean_0, mean_1, covariance: (
            torch.cholesky_solve((mean_1 - mean_0)[:, None], torch.linalg.cholesky(covariance))[:, 0],
            -torch.cholesky_solve((mean_1 - mean_0)[:, None], torch.linalg.cholesky(covariance))[:, 0]
            @ torch.stack([mean_0, mean_1]).mean(0),
        ),
    ],
    "shrinking_variance": [
        step_by_step,
        lambda variance, n, generations: variance * ((n - 1) / n) ** generations,
        lambda variance, n, generations: variance * math.exp(generations * math.log1p(-1 / n)),
        lambda variance, n, generations: variance * math.prod([1 - 1 / n] * generations),
        lambda variance, n, generations: variance.numpy() * np.power(1 - 1 / n, generations),
    ],
}
WRONG = {
    "best_error": {
        "whole distance for half": [
            lambda mean_0, mean_1, covariance: 1 - torch.special.ndtr(whitened(mean_0, mean_1, covariance)),
        ],
        "chance of the opposite": [
            lambda mean_0, mean_1, covariance: torch.special.ndtr(
                gap_in_stds(mean_0, mean_1, covariance) / 2
            ),
        ],
        "missing square root": [
            lambda mean_0, mean_1, covariance: torch.special.ndtr(
                -(whitened(mean_0, mean_1, covariance) ** 2) / 2
            ),
        ],
        "covariance left out": [
            lambda mean_0, mean_1, covariance: torch.special.ndtr(
                -(mean_0 - mean_1).square().sum().sqrt() / 2
            ),
        ],
        "covariance for its inverse": [
            lambda mean_0, mean_1, covariance: torch.special.ndtr(
                -torch.einsum("d,de,e->", mean_1 - mean_0, covariance, mean_1 - mean_0).sqrt() / 2
            ),
        ],
        "correlations left out": [
            lambda mean_0, mean_1, covariance: torch.special.ndtr(
                -((mean_1 - mean_0) / covariance.diagonal().sqrt()).norm() / 2
            ),
        ],
    },
    "lda_rule": {
        "covariance left out": [
            lambda mean_0, mean_1, covariance: (
                mean_1 - mean_0,
                (mean_0.square().sum() - mean_1.square().sum()) / 2,
            ),
        ],
        "covariance for its inverse": [
            lambda mean_0, mean_1, covariance: (
                covariance @ mean_1 - covariance @ mean_0,
                (mean_0 @ covariance @ mean_0 - mean_1 @ covariance @ mean_1) / 2,
            ),
        ],
        "missing factor 1/2": [
            lambda mean_0, mean_1, covariance: (
                torch.linalg.inv(covariance) @ (mean_1 - mean_0),
                (mean_0 - mean_1) @ torch.linalg.inv(covariance) @ (mean_1 + mean_0),
            ),
        ],
        "the other way round": [
            lambda mean_0, mean_1, covariance: tuple(-p for p in by_two_logs(mean_0, mean_1, covariance)),
        ],
        "constant left out": [
            lambda mean_0, mean_1, covariance: (torch.linalg.inv(covariance) @ (mean_1 - mean_0), 0.0),
        ],
        "plus for minus": [
            lambda mean_0, mean_1, covariance: (
                torch.linalg.inv(covariance) @ (mean_1 - mean_0),
                -by_two_logs(mean_0, mean_1, covariance)[1],
            ),
        ],
    },
    "shrinking_variance": {
        "one generation for all": [lambda variance, n, generations: variance - variance / n],
        "sum for product": [lambda variance, n, generations: variance - generations * variance / n],
        "standard deviation for variance": [
            lambda variance, n, generations: (
                variance * ((n - 1) / n) ** generations * (1 - 1 / n) ** generations
            ),
        ],
        "limit of many points": [lambda variance, n, generations: variance / math.e ** (generations / n)],
        "first fit left out": [
            lambda variance, n, generations: step_by_step(variance, n, generations - 1 if generations else 0),
        ],
    },
}
TWO = {
    "best_error": [lambda mean_0, mean_1, covariance: torch.special.ndtr((mean_1 - mean_0).norm())],
    "lda_rule": [lambda mean_0, mean_1, covariance: (mean_1 - mean_0, (mean_1 - mean_0) @ (mean_0 + mean_1))],
    "shrinking_variance": [lambda variance, n, generations: variance * (1 + 1 / n) ** (generations + 1)],
}


def rule_by_package(mean_0, mean_1, covariance):
    """Of points in the plane alone: elsewhere the answer that it is compared with."""
    if len(mean_0) != 2:
        return by_two_logs(mean_0, mean_1, covariance)
    rule = rule_of(torch.stack([mean_0, mean_1]), covariance.expand(2, 2, 2))
    return rule[1:3], rule[0]


AGREES = {
    "lda_rule": rule_by_package,
    "shrinking_variance": lambda variance, n, generations: (
        variance * variance_left(n, generations)[-1].to(variance)
    ),
}
