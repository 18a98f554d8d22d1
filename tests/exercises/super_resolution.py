"""What students hand in for the exercises of notebook 19."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from diffusion_lab.applications.inverse import pool
from diffusion_lab.applications.super_resolution import psnr as package_psnr


def by_autograd(y, k):
    B, C, h, w = y.shape
    x = torch.zeros(B, C, k * h, k * w, dtype=y.dtype, requires_grad=True)
    (F.avg_pool2d(x, k) * y).sum().backward()
    return x.grad


def by_matrix(y, k):
    C, h, w = y.shape[1:]
    return pool((C, k * h, k * w), k).adjoint(y.flatten(1))


def by_transposed_convolution(y, k):
    C = y.shape[1]
    weight = torch.full((C, 1, k, k), 1 / k**2, dtype=y.dtype)
    return F.conv_transpose2d(y, weight, stride=k, groups=C)


def by_pixel_shuffle(y, k):
    return F.pixel_shuffle((y / k / k).repeat_interleave(k * k, dim=1), k)


RIGHT = {
    "average_pool_adjoint": [
        by_autograd,
        by_matrix,
        by_transposed_convolution,
        by_pixel_shuffle,
        lambda y, k: F.interpolate(y, scale_factor=float(k), mode="nearest") / (k * k),
        lambda y, k: np.kron(y.numpy(), np.full((1, 1, k, k), k**-2.0)),
    ],
    "psnr": [
        lambda x, truth: 20 * math.log10(2) - 10 * torch.log10(F.mse_loss(x, truth)),
        lambda x, truth: 20 * torch.log10(2 / (x - truth).pow(2).mean().sqrt()),
        lambda x, truth: 10 * np.log10(1 / np.mean(((x.numpy() - truth.numpy()) / 2) ** 2)),
        lambda x, truth: -10 * (torch.linalg.vector_norm(x - truth) ** 2 / x.numel() / 4).log10(),
        lambda x, truth: 10 * (4 / (x - truth).square().mean()).log() / math.log(10),
    ],
    "expected_error": [
        lambda first, second: torch.stack([first, second]).var(0).mean(),
        lambda first, second: F.mse_loss(first, second) / 2,
        lambda first, second: 0.5 * np.mean(np.square(first.numpy() - second.numpy())),
        lambda first, second: ((first - (first + second) / 2) ** 2).mean() * 2,
        lambda first, second: (
            (first * first + second * second - 2 * first * second).sum() / (2 * first.numel())
        ),
    ],
}
WRONG = {
    "average_pool_adjoint": {
        "pseudoinverse for adjoint": [lambda y, k: F.interpolate(y, scale_factor=float(k), mode="nearest")],
        "divided by the side of a square": [lambda y, k: by_autograd(y * k, k)],
        "tiled": [lambda y, k: torch.cat([torch.cat([y / k / k] * k, dim=3)] * k, dim=2)],
        "one pixel of each square": [
            lambda y, k: F.conv_transpose2d(
                y.flatten(0, 1)[:, None],
                torch.eye(1, k * k, dtype=y.dtype).reshape(1, 1, k, k),
                stride=k,
            ).reshape(*y.shape[:2], k * y.shape[2], -1)
        ],
        "mirrored": [lambda y, k: by_matrix(y.flip(-1), k)],
    },
    "psnr": {
        "data range 1 for 2": [lambda x, truth: -10 * torch.log10(F.mse_loss(x, truth))],
        "range not squared": [lambda x, truth: 10 * torch.log10(2 / F.mse_loss(x, truth))],
        "natural logarithm": [lambda x, truth: 20 * torch.log(2 / F.mse_loss(x, truth).sqrt())],
        "root of the error": [lambda x, truth: 10 * torch.log10(4 / torch.sqrt(F.mse_loss(x, truth)))],
        "absolute value for square": [lambda x, truth: 10 * torch.log10(4 / F.l1_loss(x, truth))],
        "sum for mean": [lambda x, truth: 10 * torch.log10(4 / F.mse_loss(x, truth, reduction="sum"))],
        "the picture's own maximum": [
            lambda x, truth: 20 * (truth.max().abs() / F.mse_loss(x, truth).sqrt()).log10()
        ],
    },
    "expected_error": {
        "factor 2 forgotten": [F.mse_loss],
        "variance with 1/N": [lambda first, second: torch.stack([first, second]).var(0, correction=0).mean()],
        "absolute value for square": [lambda first, second: F.l1_loss(first, second) / 2],
        "missing square": [lambda first, second: F.mse_loss(first, second).sqrt() / 2],
        "distance of the averages": [lambda first, second: 0.5 * (first - second).mean().square()],
        "spread over the batch": [
            lambda first, second: (first.std(0).square().mean() + second.std(0).square().mean()) / 2
        ],
    },
}
TWO = {
    "average_pool_adjoint": [lambda y, k: y.repeat(1, 1, k, k), lambda y, k: by_autograd(y, k).flip(2) * k],
    "psnr": [lambda x, truth: 10 * torch.log(1 / F.mse_loss(x, truth))],
    "expected_error": [lambda first, second: F.l1_loss(first, second)],
}
AGREES = {
    "average_pool_adjoint": by_matrix,
    "psnr": lambda x, truth: torch.tensor(package_psnr(x, truth), dtype=x.dtype),
}
