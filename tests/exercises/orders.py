"""What students hand in for the exercises of appendix A3."""

import numpy as np
import torch

# ------------------------------------------------------------------------------------- extrapolate


def extrapolate_by_the_books(coarse, fine, order):
    factor = 2**order
    return (factor * fine - coarse) / (factor - 1)


def extrapolate_by_numpy(coarse, fine, order):
    c, f = coarse.double().numpy(), fine.double().numpy()
    return f - (c - f) / np.expm1(order * np.log(2))


def extrapolate_by_lerp(coarse, fine, order):
    return torch.lerp(coarse, fine, 1 + 1 / (2**order - 1))


def extrapolate_by_equations(coarse, fine, order):
    """Both runs as end + error and end + error/2^order, solved for the end."""
    system = torch.tensor([[1.0, 1.0], [1.0, 0.5**order]], dtype=torch.float64)
    both = torch.stack([coarse.flatten(), fine.flatten()]).double()
    return torch.linalg.solve(system, both)[0].reshape(coarse.shape)


def extrapolate_by_rows(coarse, fine, order):
    return [(2**order * f - c) / (2**order - 1) for c, f in zip(coarse, fine, strict=True)]


# ------------------------------------------------------------------------------------- adams_step


def adams_by_weights(y, now, before, h, h_before):
    r = h / h_before
    return y + h * ((1 + r / 2) * now - r / 2 * before)


def adams_by_numpy(y, now, before, h, h_before):
    a, b, c = (x.double().numpy() for x in (y, now, before))
    return a + h * b + 0.5 * h**2 * (b - c) / h_before


def adams_by_integral(y, now, before, h, h_before):
    """The exact integral of the line through (−h_before, before) and (0, now), from 0 to h."""
    bend = (now - before) / h_before
    return y + now * h + bend * h * h / 2


def adams_by_lerp(y, now, before, h, h_before):
    return torch.add(y, torch.lerp(before, now, 1 + h / 2 / h_before), alpha=h)


def adams_as_taylor(y, now, before, h, h_before):
    second_derivative = torch.sub(now, before).div(h_before)
    return torch.stack([y, h * now, h**2 / 2 * second_derivative]).sum(0)


def adams_of_simpson(y, now, before, h, h_before):
    """Three slopes on the line, weighed as Simpson does; exact for a line."""
    line = [now + s * h / h_before * (now - before) for s in (0.0, 0.5, 1.0)]
    return y + h / 6 * (line[0] + 4 * line[1] + line[2])


RIGHT = {
    "extrapolate": [
        extrapolate_by_the_books,
        extrapolate_by_numpy,
        extrapolate_by_lerp,
        extrapolate_by_equations,
        extrapolate_by_rows,
    ],
    "adams_step": [
        adams_by_weights,
        adams_by_numpy,
        adams_by_integral,
        adams_by_lerp,
        adams_as_taylor,
        adams_of_simpson,
    ],
}
WRONG = {
    "extrapolate": {
        "−1 forgotten": [lambda coarse, fine, order: torch.lerp(coarse, fine, 1 + 0.5**order)],
        "order for 2 to the order": [lambda coarse, fine, order: fine + (fine - coarse) / order],
        "order 1 for all": [lambda coarse, fine, order: fine + (fine - coarse)],
        "coarse and fine swapped": [lambda c, f, order: extrapolate_by_the_books(f, c, order)],
        "correction with the wrong sign": [
            lambda c, f, order: f + (c - f) / (2**order - 1),
            lambda c, f, order: torch.lerp(c, f, 1 - 1 / (2**order - 1)),
        ],
        "mean of the two": [lambda c, f, order: torch.stack([c, f]).mean(0)],
        "wrong sign": [lambda c, f, order: -extrapolate_by_the_books(c, f, order)],
    },
    "adams_step": {
        "no extrapolation": [lambda y, now, before, h, h_before: torch.add(y, now, alpha=h)],
        "missing factor 1/2": [
            lambda y, now, before, h, h_before: y + h * torch.lerp(before, now, 1 + h / h_before),
        ],
        "steps taken as equal": [lambda y, now, before, h, h_before: y + h / 2 * (3 * now - before)],
        "ratio upside down": [
            lambda y, now, before, h, h_before: y + h * torch.lerp(before, now, 1 + h_before / h / 2),
        ],
        "extrapolated backwards": [
            lambda y, now, before, h, h_before: y + h * now - h**2 / h_before / 2 * (now - before),
        ],
        "mean of the two slopes": [
            lambda y, now, before, h, h_before: y + h / 2 * now + h / 2 * before,
        ],
        "step size left out": [
            lambda y, now, before, h, h_before: y + torch.lerp(before, now, 1 + h / 2 / h_before),
        ],
        "wrong sign": [lambda *given: -adams_by_weights(*given)],
    },
}
TWO = {
    "extrapolate": [
        lambda coarse, fine, order: fine - (fine - coarse) / 2**order,
        lambda coarse, fine, order: fine,
    ],
    "adams_step": [
        lambda y, now, before, h, h_before: y + h * (2 * now - before),
        lambda y, now, before, h, h_before: y - h * now,
    ],
}
