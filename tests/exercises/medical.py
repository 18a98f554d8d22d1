"""What students hand in for the exercises of notebook 21."""

import math

import numpy as np
import scipy.stats
import torch


def by_precisions(mean, covariance, A, std, y):
    """Sums of precisions instead of the gain."""
    prior = torch.linalg.inv(covariance)
    both = prior + A.T @ A / std**2
    return torch.linalg.solve(both, prior @ mean + A.T @ y / std**2)


def by_numpy(mean, covariance, A, std, y):
    mean, covariance, A, y = (part.double().numpy() for part in (mean, covariance, A, y))
    S = A @ covariance @ A.T + std * std * np.identity(len(y))
    return mean + covariance @ A.T @ np.linalg.inv(S) @ (y - A @ mean)


def one_number_after_the_other(mean, covariance, A, std, y):
    """Kalman's filter: each measured number updates mean and covariance."""
    mean, covariance = mean.clone().double(), covariance.clone().double()
    for row, number in zip(A.double(), y.double(), strict=True):
        gain = covariance @ row / (row @ covariance @ row + std**2)
        mean = mean + gain * (number - row @ mean)
        covariance = covariance - torch.outer(gain, row @ covariance)
    return mean


def by_the_joint(mean, covariance, A, std, y):
    """Conditioning of the joint Gaussian of x_0 and y."""
    both = torch.cat([torch.eye(len(mean)).to(A), A])
    joint = both @ covariance @ both.T
    D = len(mean)
    joint[D:, D:] += torch.eye(len(y)).to(A) * std**2
    return mean + joint[:D, D:] @ torch.linalg.inv(joint[D:, D:]) @ (y - A @ mean)


def by_least_squares(mean, covariance, A, std, y):
    """The maximum of the posterior: a least squares problem in whitened numbers."""
    root = torch.linalg.cholesky(covariance)
    rows = torch.cat([A @ root / std, torch.eye(len(mean)).to(A)])
    right = torch.cat([(y - A @ mean) / std, torch.zeros_like(mean)])
    return mean + root @ torch.linalg.lstsq(rows, right[:, None]).solution[:, 0]


def stds(covariance):
    return torch.diagonal(covariance) ** 0.5


def by_loops(x_0, mean, covariance):
    inside = 0
    for truth, guess in zip(x_0.tolist(), mean.tolist(), strict=True):
        for d, (a, b) in enumerate(zip(truth, guess, strict=True)):
            inside += abs(a - b) <= 1.6449 * math.sqrt(covariance[d, d])
    return inside / x_0.numel()


def between(x_0, mean, covariance):
    half = 1.645 * stds(covariance)
    return torch.logical_and(x_0 >= mean - half, x_0 <= mean + half).float().mean().double()


def by_squares(x_0, mean, covariance):
    quantile = scipy.stats.chi2.ppf(0.9, 1)
    return (((x_0 - mean) ** 2) <= quantile * covariance.diagonal()).double().mean().item()


def counted(x_0, mean, covariance):
    return torch.count_nonzero((x_0 - mean).abs() <= 1.64 * stds(covariance)) / x_0.numel()


def from_outside(x_0, mean, covariance):
    return 1 - np.mean(np.abs((x_0 - mean).numpy()) > 1.65 * np.sqrt(np.diag(covariance.numpy())))


def of_y(mean, covariance, A, std):
    return A @ mean, A @ covariance @ A.T + std**2 * torch.eye(len(A)).to(A)


def by_torch(mean, covariance, A, std, y):
    return torch.distributions.MultivariateNormal(*of_y(mean, covariance, A, std)).log_prob(y)


def by_scipy(mean, covariance, A, std, y):
    centre, S = of_y(*(part.double() for part in (mean, covariance, A)), std)
    return np.atleast_1d(
        scipy.stats.multivariate_normal(centre.numpy(), S.numpy()).logpdf(y.double().numpy())
    )


def by_cholesky(mean, covariance, A, std, y):
    centre, S = of_y(mean, covariance, A, std)
    root = torch.linalg.cholesky(S)
    white = torch.linalg.solve_triangular(root, (y - centre).T, upper=False)
    constant = len(S) * math.log(2 * math.pi) / 2
    return -(white**2).sum(0) / 2 - root.diagonal().log().sum() - constant


def by_the_rows(mean, covariance, A, std, y):
    centre, S = of_y(*(part.double() for part in (mean, covariance, A)), std)
    found = []
    for row in y.double():
        off = row - centre
        found.append((-(off @ torch.inverse(S) @ off + S.slogdet()[1]) / 2).item())
    return [value - y.shape[1] / 2 * math.log(2 * math.pi) for value in found]


def by_the_axes(mean, covariance, A, std, y):
    centre, S = of_y(mean, covariance, A, std)
    var, axes = torch.linalg.eigh(S)
    along = (y - centre) @ axes
    return -0.5 * (along**2 / var + torch.log(2 * torch.pi * var)).sum(-1)


RIGHT = {
    "kalman_mean": [by_precisions, by_numpy, one_number_after_the_other, by_the_joint, by_least_squares],
    "coverage_90": [by_loops, between, by_squares, counted, from_outside],
    "log_evidence": [by_torch, by_scipy, by_cholesky, by_the_rows, by_the_axes],
}


def within(x_0, mean, half):
    return torch.logical_and(x_0 >= mean - half, x_0 <= mean + half).double()


def normal(centre, S, y):
    return torch.distributions.MultivariateNormal(centre, S).log_prob(y)


WRONG = {
    "kalman_mean": {
        "standard deviation for variance": [
            lambda mean, covariance, A, std, y: by_precisions(mean, covariance, A, std**0.5, y)
        ],
        "noise left out": [
            lambda mean, covariance, A, std, y: (
                mean + covariance @ A.T @ torch.inverse(A @ covariance @ A.T) @ (y - A @ mean)
            )
        ],
        "mean left out": [
            lambda mean, covariance, A, std, y: by_precisions(mean, covariance, A, std, y) - mean
        ],
        "mean counted twice": [
            lambda mean, covariance, A, std, y: (
                mean + by_precisions(torch.zeros_like(mean), covariance, A, std, y)
            )
        ],
        "prior left out": [
            lambda mean, covariance, A, std, y: torch.linalg.lstsq(
                A.double(), y.double()[:, None], driver="gelsd"
            ).solution[:, 0]
        ],
        "correlations left out": [
            lambda mean, covariance, A, std, y: by_the_joint(
                mean, torch.diag(torch.diag(covariance)), A, std, y
            )
        ],
        "adjoint for the gain": [
            lambda mean, covariance, A, std, y: mean + (A @ covariance).T @ (y - A @ mean),
        ],
        "wrong sign": [lambda mean, covariance, A, std, y: -by_precisions(mean, covariance, A, std, y)],
    },
    "coverage_90": {
        "variance for standard deviation": [
            lambda x_0, mean, covariance: within(x_0, mean, torch.diag(1.645 * covariance)).mean()
        ],
        "one-sided quantile": [
            lambda x_0, mean, covariance: within(x_0, mean, 1.2816 * stds(covariance)).mean()
        ],
        "95 % for 90 %": [lambda x_0, mean, covariance: within(x_0, mean, 1.96 * stds(covariance)).mean()],
        "one standard deviation": [lambda x_0, mean, covariance: within(x_0, mean, stds(covariance)).mean()],
        "outside for inside": [
            lambda x_0, mean, covariance: ((x_0 - mean).abs() > 1.645 * stds(covariance)).double().mean()
        ],
        "one end only": [
            lambda x_0, mean, covariance: (x_0 <= mean + 1.645 * stds(covariance)).double().mean()
        ],
        "all pixels for each pixel": [
            lambda x_0, mean, covariance: within(x_0, mean, 1.645 * stds(covariance)).prod(1).mean()
        ],
    },
    "log_evidence": {
        "standard deviation for variance": [
            lambda mean, covariance, A, std, y: by_torch(mean, covariance, A, std**0.5, y)
        ],
        "noise left out": [
            lambda mean, covariance, A, std, y: normal(
                A.double() @ mean.double(), (A @ covariance @ A.T).double(), y.double()
            )
        ],
        "likelihood of the mean for the evidence": [
            lambda mean, covariance, A, std, y: torch.distributions.Normal(A @ mean, std).log_prob(y).sum(1)
        ],
        "missing factor 1/2": [
            lambda mean, covariance, A, std, y: by_torch(mean, covariance, A, std, y) * 2,
        ],
        "width left out of the density": [
            lambda mean, covariance, A, std, y: (
                by_torch(mean, covariance, A, std, y) + of_y(mean, covariance, A, std)[1].logdet() / 2
            )
        ],
        "constant of the Gaussian left out": [
            lambda mean, covariance, A, std, y: (
                by_torch(mean, covariance, A, std, y) + y.shape[1] * math.log(2 * math.pi) / 2
            )
        ],
        "constant for one dimension": [
            lambda mean, covariance, A, std, y: (
                by_torch(mean, covariance, A, std, y) + (y.shape[1] - 1) * math.log(2 * math.pi) / 2
            )
        ],
        "mean left out": [
            lambda mean, covariance, A, std, y: normal(
                torch.zeros(len(A)).to(A), of_y(mean, covariance, A, std)[1], y
            )
        ],
        "probability for its logarithm": [
            lambda mean, covariance, A, std, y: torch.exp(by_torch(mean, covariance, A, std, y))
        ],
        "wrong sign": [lambda mean, covariance, A, std, y: -by_torch(mean, covariance, A, std, y)],
    },
}
TWO = {
    "kalman_mean": [
        lambda mean, covariance, A, std, y: by_precisions(mean, covariance, A, std**0.5, y) - mean,
        lambda mean, covariance, A, std, y: covariance @ A.T @ (y - A @ mean),
    ],
    "coverage_90": [
        lambda x_0, mean, covariance: within(x_0, mean, 1.2816 * covariance.diagonal()).mean(),
        lambda x_0, mean, covariance: (x_0 <= mean + 1.2816 * stds(covariance)).double().mean(),
    ],
    "log_evidence": [
        lambda mean, covariance, A, std, y: by_torch(0 * mean, covariance, A, std**0.5, y),
        lambda mean, covariance, A, std, y: 2 * by_torch(0 * mean, covariance, A, std, y),
    ],
}


def through_the_package(mean, covariance, A, std, y):
    from diffusion_lab.applications.inverse import linear, posterior
    from diffusion_lab.exact import GaussianMixture

    known = GaussianMixture(mean[None], covariances=covariance[None])
    return posterior(known, linear(A, mean.shape, std), y).means[0].to(y)


def evidence_of_the_package(mean, covariance, A, std, y):
    from diffusion_lab.applications.inverse import evidence, linear
    from diffusion_lab.exact import GaussianMixture

    known = GaussianMixture(mean.double()[None], covariances=covariance.double()[None])
    return evidence(known, linear(A, mean.shape, std), y)


def coverage_of_the_package(x_0, mean, covariance):
    from diffusion_lab.experiments.scanner import in_interval, pixel_std

    return in_interval(x_0, mean, pixel_std(covariance, mean)).double().mean()


AGREES = {
    "kalman_mean": through_the_package,
    "log_evidence": evidence_of_the_package,
    "coverage_90": coverage_of_the_package,
}
