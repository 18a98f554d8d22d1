"""What students hand in for the exercises of notebook 26."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from diffusion_lab.applications.gan import gradient_penalty
from diffusion_lab.experiments import posterior_collapse


def by_bayes(log_data, log_drawn, share):
    """Both numerators in logarithms, and their softmax."""
    both = torch.stack([log_data + math.log(share), log_drawn + math.log1p(-share)])
    return both.softmax(0)[0]


def by_evidence(log_data, log_drawn, share):
    top = log_data + np.log(share)
    return (top - torch.logaddexp(top, log_drawn + np.log(1 - share))).exp()


def by_ratio(log_data, log_drawn, share):
    return 1 / (1 + (1 - share) / share * (log_drawn - log_data).exp())


def example_by_example(discriminator, x, gamma):
    total = 0
    for row in x:
        row = row[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(row).squeeze(), row, create_graph=True)
        total = total + (slope**2).sum()
    return gamma * total / (2 * len(x))


def by_jacobian(discriminator, x, gamma):
    slopes = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda r: discriminator(r[None])[0, 0], row, create_graph=True)
            for row in x
        ]
    )
    return 0.5 * gamma * slopes.norm(dim=1).pow(2).mean()


def by_vmap(discriminator, x, gamma):
    slope = torch.func.vmap(torch.func.grad(lambda row: discriminator(row[None])[0, 0]))(x)
    return gamma * (slope * slope).sum(-1).mean() / 2


def with_weights(discriminator, x, gamma):
    """autograd weighs the batch with ones, as a sum does."""
    x = x.clone().requires_grad_()
    logit = discriminator(x)
    (slope,) = torch.autograd.grad(logit, x, torch.ones_like(logit), create_graph=True)
    return gamma / 2 * torch.einsum("bd,bd->", slope, slope) / x.shape[0]


def by_package(discriminator, x, gamma):
    return gamma / 2 * gradient_penalty(discriminator, x).mean()


def slope(discriminator, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)[0]


def by_hand(x, modes, std, least):
    covered = 0
    for mode in modes:
        inside = sum(((row - mode) ** 2).sum() <= (3 * std) ** 2 for row in x)
        covered += bool(inside >= least * len(x) - 1e-9)
    return covered


def by_nearest(x, modes, std, least):
    """Modes are far apart: a draw is near its nearest one or none."""
    distance, which = torch.cdist(x, modes).min(1)
    count = torch.zeros(len(modes)).index_add_(0, which, (distance <= 3 * std).float())
    return (count / len(x) >= least - 1e-6).sum()


def by_numpy(x, modes, std, least):
    apart = np.linalg.norm(x.numpy()[:, None] - modes.numpy()[None], axis=-1)
    return int(np.sum((apart <= 3 * std).mean(axis=0) >= least))


def by_the_unit(x, modes, std, least):
    """In standard deviations."""
    far = torch.cdist(x / std, modes / std)
    return sum(share.item() >= least for share in (far <= 3).double().mean(0))


def by_broadcasting(x, modes, std, least):
    squares = (x[:, None] - modes).square().sum(-1)
    return torch.count_nonzero((squares <= 9 * std**2).double().mean(0) >= least).item()


def bounded(x, modes, reach):
    return ((x[:, None] - modes).square().sum(-1).sqrt() <= reach).double()


RIGHT = {
    "modes_covered": [by_hand, by_nearest, by_numpy, by_the_unit, by_broadcasting],
    "best_discriminator": [
        by_bayes,
        by_evidence,
        by_ratio,
        lambda log_data, log_drawn, share: (
            F.softplus(log_drawn - log_data + math.log(1 - share) - math.log(share)).mul(-1).exp()
        ),
        lambda log_data, log_drawn, share: torch.special.expit(
            (log_data - log_drawn) + torch.logit(torch.tensor(share, dtype=torch.float64)).item()
        ),
    ],
    "slope_penalty": [by_package, example_by_example, by_jacobian, by_vmap, with_weights],
    "kl_of_axes": [
        lambda eigenvalues, variance, beta: F.relu((eigenvalues / beta / variance).log() / 2),
        lambda eigenvalues, variance, beta: [
            max(0.0, 0.5 * math.log(each / (variance * beta))) for each in eigenvalues.tolist()
        ],
        lambda eigenvalues, variance, beta: torch.where(
            eigenvalues > beta * variance, (eigenvalues.sqrt() / (beta * variance) ** 0.5).log(), 0.0
        ),
        lambda eigenvalues, variance, beta: (
            np.maximum(np.log(eigenvalues.numpy()) - np.log(beta) - np.log(variance), 0) / 2
        ),
        lambda eigenvalues, variance, beta: (
            0.5
            * (torch.maximum(eigenvalues, torch.tensor(beta * variance)).log() - math.log(beta * variance))
        ),
    ],
}
WRONG = {
    "modes_covered": {
        "any draw counts": [
            lambda x, modes, std, least: bounded(x, modes, 3 * std).any(0).sum(),
        ],
        "the nearest mode, however far": [
            lambda x, modes, std, least: sum(
                (torch.cdist(x, modes).argmin(1) == k).double().mean() >= least for k in range(len(modes))
            ),
        ],
        "share of the draws that are near": [
            lambda x, modes, std, least: (
                (bounded(x, modes, 3 * std).sum(0) / bounded(x, modes, 3 * std).sum() >= least).sum().item()
            ),
        ],
        "one standard deviation for three": [
            lambda x, modes, std, least: (bounded(x, modes, std).mean(0) >= least).sum(),
        ],
        "radius of a square": [
            lambda x, modes, std, least: (
                ((x[:, None] - modes).abs().amax(-1) <= 3 * std).double().mean(0) >= least
            ).sum(),
        ],
        "share for count": [
            lambda x, modes, std, least: (
                (bounded(x, modes, 3 * std).mean(0) >= least).sum().item() / len(modes)
            ),
        ],
    },
    "best_discriminator": {
        "share left out": [lambda log_data, log_drawn, share: 1 / (1 + (log_drawn - log_data).exp())],
        "data and draws swapped": [
            lambda log_data, log_drawn, share: 1 - by_bayes(log_data, log_drawn, share)
        ],
        "share of the draws": [lambda log_data, log_drawn, share: by_bayes(log_data, log_drawn, 1 - share)],
        "logit for probability": [
            lambda log_data, log_drawn, share: by_bayes(log_data, log_drawn, share).logit()
        ],
        "log density for density": [
            lambda log_data, log_drawn, share: 1 / (1 + (1 - share) * log_drawn / (share * log_data))
        ],
        "underflow": [
            lambda log_data, log_drawn, share: (
                1 / (1 + (1 - share) * log_drawn.exp() / (share * log_data.exp()))
            )
        ],
    },
    "slope_penalty": {
        "norm, not squared norm": [
            lambda discriminator, x, gamma: (
                0.5 * gamma * slope(discriminator, x).square().sum(1).sqrt().mean()
            )
        ],
        "slope pulled to 1": [
            lambda discriminator, x, gamma: (
                gamma * ((slope(discriminator, x).square().sum(1).sqrt() - 1) ** 2).mean() / 2
            )
        ],
        "the value for its slope": [
            lambda discriminator, x, gamma: gamma * (discriminator(x) ** 2).mean() / 2
        ],
        "sum for mean": [lambda discriminator, x, gamma: gamma / 2 * (slope(discriminator, x) ** 2).sum()],
        "mean for sum": [lambda discriminator, x, gamma: gamma / 2 * (slope(discriminator, x) ** 2).mean()],
        "missing factor 1/2": [
            lambda discriminator, x, gamma: gamma * gradient_penalty(discriminator, x).mean()
        ],
    },
    "kl_of_axes": {
        "nothing collapses": [
            lambda eigenvalues, variance, beta: (eigenvalues.log() - math.log(beta * variance)) / 2
        ],
        "weight left out": [
            lambda eigenvalues, variance, beta: posterior_collapse.kl_of_axes(eigenvalues, variance)
        ],
        "weight on the other side": [
            lambda eigenvalues, variance, beta: posterior_collapse.kl_of_axes(eigenvalues, variance, 1 / beta)
        ],
        "missing factor 1/2": [
            lambda eigenvalues, variance, beta: F.relu((eigenvalues / beta / variance).log())
        ],
        "bits for nats": [
            lambda eigenvalues, variance, beta: F.relu((eigenvalues / beta / variance).log2()) / 2
        ],
        "log of one plus the ratio": [
            lambda eigenvalues, variance, beta: 0.5 * (1 + eigenvalues / beta / variance).log()
        ],
    },
}
TWO = {
    "modes_covered": [
        lambda x, modes, std, least: bounded(x, modes, std).any(0).sum(),
        lambda x, modes, std, least: bounded(x, modes, 3 * std).any(0).double().mean(),
    ],
    "best_discriminator": [
        lambda log_data, log_drawn, share: torch.sigmoid(log_drawn - log_data),
        lambda log_data, log_drawn, share: log_data - log_drawn,
    ],
    "slope_penalty": [
        lambda discriminator, x, gamma: gamma * slope(discriminator, x).norm(dim=1).mean(),
        lambda discriminator, x, gamma: gamma / 2 * discriminator(x).abs().mean(),
    ],
    "kl_of_axes": [
        lambda eigenvalues, variance, beta: (eigenvalues / beta / variance).log(),
        lambda eigenvalues, variance, beta: F.relu((eigenvalues / variance).log()),
    ],
}
AGREES = {"kl_of_axes": posterior_collapse.kl_of_axes, "slope_penalty": by_package}
