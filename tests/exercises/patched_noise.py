"""What students hand in for the exercises of appendix A4."""

import numpy as np
import torch

# ------------------------------------------------------------------------------------- variance_of_run


def run_by_numpy(ends, prior):
    rows = ends.double().numpy()
    weights = np.r_[prior, np.ones(len(rows) - 2)]
    return weights @ (rows[1:] - rows[0]) ** 2


def run_by_norm(ends, prior):
    parts = (ends[1:] - ends[0]).double()
    parts[0] *= prior**0.5
    return parts.norm() ** 2


def run_in_a_loop(ends, prior):
    a, b, *c = ends.double().tolist()
    return (b - a) ** 2 * prior + sum((c_k - a) ** 2 for c_k in c)


def run_as_matrix(ends, prior):
    """The variance of a linear map of independent variables: J S J^T."""
    J = (ends[1:] - ends[0]).double()
    return J @ torch.diag(torch.tensor([prior] + [1.0] * (len(J) - 1)).double()) @ J


def run_by_expanding(ends, prior):
    a, rest = ends[0].double(), ends[1:].double()
    squares = rest**2 - 2 * a * rest + a**2
    return prior * squares[0] + squares[1:].sum()


# ------------------------------------------------------------------------------------- follow_variance


def follow_at_once(var, slopes, drawn):
    """Each noise times the square of all slopes after its step."""
    squares = slopes.double() ** 2
    after = torch.cat([squares.flip(0).cumprod(0).flip(0), torch.ones(1).double()])
    return var * after[0] + (drawn.double() * after[1:]).sum()


def follow_by_numpy(var, slopes, drawn):
    for a, v in zip(slopes.double().numpy(), drawn.double().numpy(), strict=True):
        var = np.square(a) * var + v
    return var


def follow_by_deviation(var, slopes, drawn):
    std = var**0.5
    for a, v in zip(slopes.tolist(), drawn.tolist(), strict=True):
        std = ((a * std) ** 2 + v) ** 0.5
    return std**2


def follow_backwards(var, slopes, drawn):
    """From the end: what one unit of each noise becomes."""
    total, factor = 0.0, 1.0
    for a, v in zip(slopes.tolist()[::-1], drawn.tolist()[::-1], strict=True):
        total += factor * v
        factor *= a * a
    return total + factor * var


def follow_recursively(var, slopes, drawn):
    if len(slopes) == 0:
        return var
    return follow_recursively(var * slopes[0] ** 2 + drawn[0], slopes[1:], drawn[1:])


def follow_as_matrices(var, slopes, drawn):
    state = torch.tensor([var, 1.0]).double()
    for a, v in zip(slopes.double(), drawn.double(), strict=True):
        state = torch.stack([torch.stack([a * a, v]), torch.tensor([0.0, 1.0]).double()]) @ state
    return state[0]


RIGHT = {
    "variance_of_run": [run_by_numpy, run_by_norm, run_in_a_loop, run_as_matrix, run_by_expanding],
    "follow_variance": [
        follow_at_once,
        follow_by_numpy,
        follow_by_deviation,
        follow_backwards,
        follow_recursively,
        follow_as_matrices,
    ],
}
WRONG = {
    "variance_of_run": {
        "mean not subtracted": [lambda ends, prior: prior * ends[1] ** 2 + ends[2:].square().sum()],
        "sum without squares": [
            lambda ends, prior: ends[1] * prior + ends[2:].sum() - ends[0] * (prior + len(ends) - 2),
        ],
        "standard deviations added": [
            lambda ends, prior: (
                (prior**0.5 * abs(ends[1] - ends[0]) + sum(abs(end - ends[0]) for end in ends[2:])) ** 2
            ),
        ],
        "prior left out": [lambda ends, prior: run_in_a_loop(ends, 1.0)],
        "variance for standard deviation": [lambda ends, prior: run_in_a_loop(ends, prior**2)],
        "spread of the rows": [lambda ends, prior: ends.std() ** 2],
        "start left out": [lambda ends, prior: run_in_a_loop(ends, 0.0)],
        "wrong sign": [lambda ends, prior: -run_in_a_loop(ends, prior)],
    },
    "follow_variance": {
        "missing square": [lambda var, slopes, drawn: follow_by_numpy(var, slopes.sqrt(), drawn)],
        "variance for standard deviation": [
            lambda var, slopes, drawn: follow_by_numpy(var, slopes, drawn.square()),
        ],
        "noise left out": [lambda var, slopes, drawn: follow_by_numpy(var, slopes, 0 * drawn)],
        "old noise not shrunk": [
            lambda var, slopes, drawn: follow_by_numpy(var, slopes, 0 * drawn) + drawn.double().sum(),
        ],
        "steps in the reverse order": [
            lambda var, slopes, drawn: follow_by_numpy(var, slopes.flip(0), drawn.flip(0)),
        ],
        "fresh noise shrunk, too": [
            lambda var, slopes, drawn: follow_by_numpy(var, slopes, drawn * slopes**2),
        ],
        "the last step only": [
            lambda var, slopes, drawn: follow_by_numpy(var, slopes[-1:], drawn[-1:]),
        ],
        "wrong sign": [lambda *given: -follow_by_numpy(*given)],
    },
}
TWO = {
    "variance_of_run": [
        lambda ends, prior: (ends[2:] ** 2).sum(),
        lambda ends, prior: run_in_a_loop(ends, prior) ** 0.5,
    ],
    "follow_variance": [
        lambda var, slopes, drawn: follow_by_numpy(var, slopes.sqrt(), drawn**2),
        lambda var, slopes, drawn: follow_by_numpy(var, 1 / slopes, drawn),
    ],
}
