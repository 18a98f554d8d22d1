"""What students hand in for the exercises of notebook 00."""

import math

import numpy as np
import torch

from diffusion_lab.gaussian import Gaussian


def product_of_the_books(mean_a, var_a, mean_b, var_b):
    total = var_a + var_b
    return (mean_a * var_b + mean_b * var_a) / total, var_a * var_b / total


def product_by_gain(mean_a, var_a, mean_b, var_b):
    gain = var_a / (var_a + var_b)
    return mean_a + gain * (mean_b - mean_a), (1 - gain) * var_a


def product_by_precision(mean_a, var_a, mean_b, var_b):
    sharp_a, sharp_b = var_a**-1, var_b**-1
    return torch.stack(
        [(sharp_a * mean_a + sharp_b * mean_b) / (sharp_a + sharp_b), (sharp_a + sharp_b) ** -1]
    )


def product_by_numpy(mean_a, var_a, mean_b, var_b):
    ma, va, mb, vb = (np.asarray(x, dtype=np.float64) for x in (mean_a, var_a, mean_b, var_b))
    var = np.reciprocal(1 / va + 1 / vb)
    return [var * (ma / va + mb / vb), var]


def product_as_a_gaussian(mean_a, var_a, mean_b, var_b):
    mean, var = product_of_the_books(mean_a, var_a, mean_b, var_b)
    return Gaussian(mean, var)


def product_by_completing_the_square(mean_a, var_a, mean_b, var_b):
    def exponent(x):
        return -((x - mean_a) ** 2) / (2 * var_a) - (x - mean_b) ** 2 / (2 * var_b)

    bend = (
        2 * exponent(torch.zeros_like(mean_a))
        - exponent(torch.ones_like(mean_a))
        - exponent(-torch.ones_like(mean_a))
    )
    slope = (exponent(torch.ones_like(mean_a)) - exponent(-torch.ones_like(mean_a))) / 2
    return slope / bend, 1 / bend


# the path


def path_in_a_loop(noise, dt):
    path = [torch.zeros_like(noise[0])]
    for z in noise:
        path.append(path[-1] + math.sqrt(dt) * z)
    return torch.stack(path)


def path_by_numpy(noise, dt):
    steps = np.sqrt(dt) * noise.numpy()
    return np.vstack([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])


def path_by_padding(noise, dt):
    return torch.nn.functional.pad(noise.cumsum(0), (0, 0, 1, 0)) * dt**0.5


def path_by_matrix(noise, dt):
    sums = torch.tril(torch.ones(len(noise) + 1, len(noise), dtype=torch.float64), diagonal=-1)
    return math.sqrt(dt) * sums @ noise.double()


def path_filled(noise, dt):
    path = torch.zeros(noise.shape[0] + 1, noise.shape[1], dtype=noise.dtype)
    for k in range(len(noise)):
        path[k + 1] = path[k] + noise[k] * dt**0.5
    return path


def path_in_lists(noise, dt):
    rows, where = [[0.0] * noise.shape[1]], [0.0] * noise.shape[1]
    for z in noise.tolist():
        where = [x + dt**0.5 * e for x, e in zip(where, z, strict=True)]
        rows.append(where)
    return rows


RIGHT = {
    "gaussian_product": [
        product_of_the_books,
        product_by_gain,
        product_by_precision,
        product_by_numpy,
        product_as_a_gaussian,
    ],
    "brownian_path": [
        path_in_a_loop,
        path_by_numpy,
        path_by_padding,
        path_by_matrix,
        path_filled,
        path_in_lists,
    ],
}
WRONG = {
    "gaussian_product": {
        "standard deviation for variance": [
            lambda ma, va, mb, vb: product_of_the_books(ma, va**0.5, mb, vb**0.5),
            lambda ma, va, mb, vb: (product_by_gain(ma, va, mb, vb)[0], (va * vb / (va + vb)).sqrt()),
        ],
        "variances added": [
            lambda ma, va, mb, vb: ((ma * vb + mb * va) / (va + vb), va + vb),
            lambda ma, va, mb, vb: (mb + ma, vb + va),
        ],
        "precision for variance": [
            lambda ma, va, mb, vb: (product_by_gain(ma, va, mb, vb)[0], (va + vb) / (va * vb)),
        ],
        "variance as weight": [
            lambda ma, va, mb, vb: product_of_the_books(mb, va, ma, vb),
        ],
        "plain average": [lambda ma, va, mb, vb: (0.5 * ma + 0.5 * mb, 1 / (va**-1 + vb**-1))],
        "wrong sign": [lambda ma, va, mb, vb: (product_by_gain(-ma, va, -mb, vb)[0], -va * vb / (va + vb))],
    },
    "brownian_path": {
        "variance for standard deviation": [lambda noise, dt: dt**0.5 * path_in_a_loop(noise, dt)],
        "step size left out": [lambda noise, dt: path_in_a_loop(noise, 1.0)],
        "increments for the path": [
            lambda noise, dt: torch.nn.functional.pad(math.sqrt(dt) * noise, (0, 0, 1, 0))
        ],
        "new draw for every time": [
            lambda noise, dt: torch.stack(
                [0 * noise[0], *(math.sqrt(dt * k) * z for k, z in enumerate(noise, 1))]
            )
        ],
        "no start at 0": [lambda noise, dt: path_in_a_loop(noise, dt)[1:]],
        "time along the last axis": [
            lambda noise, dt: np.vstack(
                [np.zeros((1, noise.shape[1])), np.cumsum(np.sqrt(dt) * noise.numpy(), axis=1)]
            )
        ],
        "mean for sum": [
            lambda noise, dt: torch.stack(
                [0 * noise[0], *(math.sqrt(dt) * noise[:k].mean(0) for k in range(1, len(noise) + 1))]
            )
        ],
        "wrong sign": [lambda noise, dt: path_in_a_loop(-noise, dt)],
        "changed input": [lambda noise, dt: path_in_a_loop(noise.mul_(dt**0.5), 1.0)],
    },
}
TWO = {
    "gaussian_product": [
        lambda ma, va, mb, vb: ((ma + mb) / 2, (va + vb) / 2),
        lambda ma, va, mb, vb: (ma * mb, va * vb),
    ],
    "brownian_path": [
        lambda noise, dt: (dt * noise).cumsum(0),
        lambda noise, dt: dt * path_by_padding(noise, dt)[:-1],
    ],
}
