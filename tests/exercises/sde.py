"""What students hand in for notebook 13."""

import math

import numpy as np
import torch

from diffusion_lab import sde

# ---------------------------------------------------------------------------------------------- vp_path


def by_numpy(u, beta_min, beta_max):
    u = u.double().numpy()
    total = beta_min * u + 0.5 * (beta_max - beta_min) * u**2
    return np.exp(-0.5 * total), np.sqrt(-np.expm1(-total))


def from_signal(u, beta_min, beta_max):
    signal = torch.exp(-(beta_max - beta_min) * u.double() ** 2 / 4 - u.double() * beta_min / 2)
    return signal, (1 - signal**2) ** 0.5


def by_lists(u, beta_min, beta_max):
    totals = [(beta_min + (beta_min + (beta_max - beta_min) * float(x))) / 2 * float(x) for x in u]
    return [math.exp(-b / 2) for b in totals], [math.sqrt(1 - math.exp(-b)) for b in totals]


def by_mean_rate(u, beta_min, beta_max):
    mean = torch.lerp(torch.full_like(u, beta_min), torch.full_like(u, beta_max), u / 2)
    return [torch.exp(-u * mean).sqrt(), torch.exp(-u * mean).neg().add(1).sqrt()]


def by_package(u, beta_min, beta_max):
    return sde.vp(beta_min, beta_max).marginal(u)


def by_trapezium(u, beta_min, beta_max):
    grid = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None] * u
    b = torch.trapezoid(beta_min + (beta_max - beta_min) * grid, grid, dim=0)
    return torch.stack([torch.exp(-b / 2), torch.sqrt(1 - torch.exp(-b))])


def _b(u, beta_min, beta_max):
    return beta_min * u + (beta_max - beta_min) / 2 * u * u


def _pair(b):
    return torch.exp(-b / 2), torch.sqrt(1 - torch.exp(-b))


def from_rate(rate):
    signal = torch.exp(-rate / 2)
    return signal, (1 - signal * signal).sqrt()


VP_WRONG = {
    "variance for standard deviation": [
        lambda u, lo, hi: (torch.exp(-_b(u, lo, hi) / 2), 1 - torch.exp(-_b(u, lo, hi))),
        lambda u, lo, hi: (torch.exp(-_b(u, lo, hi)) ** 0.5, -torch.expm1(-_b(u, lo, hi))),
    ],
    "missing factor 1/2": [
        lambda u, lo, hi: (torch.exp(-_b(u, lo, hi)), torch.sqrt(1 - torch.exp(-_b(u, lo, hi)))),
        lambda u, lo, hi: _pair(u * lo + (hi - lo) * u.square()),
        lambda u, lo, hi: _pair(u * (lo * (1 - u) + hi * u)),
        lambda u, lo, hi: (
            torch.exp(-_b(u, lo, hi)),
            torch.sqrt(1 - torch.exp(-_b(u, lo, hi)) * torch.exp(-_b(u, lo, hi))),
        ),
    ],
    "beta for its integral": [
        lambda u, lo, hi: _pair(lo * (1 - u) + hi * u),
        lambda u, lo, hi: from_rate(lo + u * (hi - lo)),
    ],
    "beta_max for the rise of beta": [
        lambda u, lo, hi: _pair(u * (lo + hi * u / 2)),
        lambda u, lo, hi: by_numpy(u, lo, lo + hi),
    ],
    "signal and sigma swapped": [
        lambda u, lo, hi: _pair(_b(u, lo, hi))[::-1],
        lambda u, lo, hi: tuple(reversed(by_numpy(u, lo, hi))),
    ],
    "wrong dtype": [lambda u, lo, hi: _pair(_b(u.float(), lo, hi))],
}

# --------------------------------------------------------------------------------------------- ode_drift


def drift_by_loop(x, score, a, g):
    return torch.stack([a[i] * x[i] - 0.5 * g[i] ** 2 * score[i] for i in range(len(x))])


def drift_by_einsum(x, score, a, g):
    return torch.einsum("b,b...->b...", a, x) - torch.einsum("b,b,b...->b...", g, g, score) / 2


def drift_by_transposing(x, score, a, g):
    last = (x.movedim(0, -1) * a, score.movedim(0, -1) * g**2)
    return (last[0] - last[1] / 2).movedim(-1, 0)


def drift_by_numpy(x, score, a, g):
    x, score, a, g = (part.double().numpy() for part in (x, score, a, g))
    wide = (slice(None),) + (None,) * (x.ndim - 1)
    return a[wide] * x - (g[wide] / np.sqrt(2)) ** 2 * score


def drift_by_flattening(x, score, a, g):
    flat = a[:, None] * x.flatten(1) + 0.5 * (-(g[:, None] ** 2)) * score.flatten(1)
    return flat.reshape(x.shape)


def drift_by_lists(x, score, a, g):
    return [(a[i] * x[i] - g[i] * g[i] * score[i] / 2).double().tolist() for i in range(x.shape[0])]


def _wide(c, x):
    while c.ndim < x.ndim:
        c = c.unsqueeze(-1)
    return c


def drift_in_place(x, score, a, g):
    x *= _wide(a, x)
    return x - _wide(g, x) ** 2 / 2 * score


def drift_cut(x, score, a, g):
    return (_wide(a, x) * x - _wide(g, x) ** 2 / 2 * score).half()


DRIFT_WRONG = {
    "missing factor 1/2": [
        lambda x, score, a, g: _wide(a, x) * x - _wide(g, x).square() * score,
        lambda x, score, a, g: torch.stack([a[i] * x[i] - g[i] ** 2 * score[i] for i in range(len(x))]),
    ],
    "standard deviation for variance": [
        lambda x, score, a, g: _wide(a, x) * x - 0.5 * _wide(g, x) * score,
        lambda x, score, a, g: torch.stack([a[i] * x[i] - g[i] / 2 * score[i] for i in range(len(x))]),
    ],
    "score with the wrong sign": [
        lambda x, score, a, g: _wide(a, x) * x + 0.5 * _wide(g, x) ** 2 * score,
        lambda x, score, a, g: drift_by_loop(x, -score, a, g),
    ],
    "t along the last axis": [
        lambda x, score, a, g: a * x - 0.5 * g * g * score,
        lambda x, score, a, g: a[None, :] * x - (g**2 / 2)[None, :] * score,
    ],
    "drift left out": [
        lambda x, score, a, g: -0.5 * _wide(g, x) ** 2 * score,
        lambda x, score, a, g: drift_by_loop(0 * x, score, a, g),
    ],
    "x left out of the drift": [
        lambda x, score, a, g: drift_by_loop(torch.ones_like(x), score, a, g),
        lambda x, score, a, g: _wide(a, x) - 0.5 * _wide(g, x) ** 2 * score,
    ],
    "wrong sign": [lambda x, score, a, g: 0.5 * _wide(g, x) ** 2 * score - _wide(a, x) * x],
    "changed input": [drift_in_place],
    "wrong dtype": [drift_cut],
}

# -------------------------------------------------------------------------------------- reverse_sde_step


def step_with_du(x, score, a, g, u, s, noise):
    du = s - u
    moved = x + (a * x - g**2 * score) * du
    return moved if s == 0 else moved + g * abs(du) ** 0.5 * noise


def step_by_numpy(x, score, a, g, u, s, noise):
    x, score, noise = (part.double().numpy() for part in (x, score, noise))
    spread = np.sqrt((u - s) * g * g) * np.sign(s)
    return x + (u - s) * (g * g * score - a * x) + spread * noise


def step_by_mask(x, score, a, g, u, s, noise):
    variance = g**2 * (u - s) * (s > 0)
    return (1 - a * (u - s)) * x + g**2 * (u - s) * score + math.sqrt(variance) * noise


def step_in_two(x, score, a, g, u, s, noise):
    forward = a * x * (u - s)
    uphill = score * g * g * (u - s)
    if s <= 0:
        return x - forward + uphill
    return x - forward + uphill + torch.full_like(noise, g) * noise * (u - s) ** 0.5


def step_in_float64(x, score, a, g, u, s, noise):
    h = torch.tensor(u - s, dtype=torch.float64)
    z = noise.double() if s != 0.0 else torch.zeros_like(noise, dtype=torch.float64)
    return x.double() - h * (a * x.double() - g**2 * score.double()) + torch.sqrt(h) * g * z


def step_in_place(x, score, a, g, u, s, noise):
    x -= (a * x - g**2 * score) * (u - s)
    return x + g * (u - s) ** 0.5 * noise if s > 0 else x


def _z(noise, s):
    return noise if s > 0 else torch.zeros_like(noise)


STEP_WRONG = {
    "du with the wrong sign": [
        lambda x, score, a, g, u, s, noise: (
            x + (a * x - g**2 * score) * (u - s) + g * math.sqrt(u - s) * _z(noise, s)
        ),
        lambda x, score, a, g, u, s, noise: (
            (1 + a * (u - s)) * x - g * g * (u - s) * score + (g**2 * (u - s)) ** 0.5 * _z(noise, s)
        ),
    ],
    "missing square root": [
        lambda x, score, a, g, u, s, noise: x + (s - u) * (a * x - g**2 * score) + g * (u - s) * _z(noise, s),
        lambda x, score, a, g, u, s, noise: x - (u - s) * (a * x - g**2 * score - g * _z(noise, s)),
    ],
    "variance for standard deviation": [
        lambda x, score, a, g, u, s, noise: (
            x + (s - u) * (a * x - g**2 * score) + g * g * (u - s) ** 0.5 * _z(noise, s)
        ),
        lambda x, score, a, g, u, s, noise: x + (u - s) * (g**2 * (score + _z(noise, s)) - a * x),
    ],
    "the ODE's factor 1/2": [
        lambda x, score, a, g, u, s, noise: (
            x + (s - u) * (a * x - 0.5 * g**2 * score) + g * (u - s) ** 0.5 * _z(noise, s)
        ),
        lambda x, score, a, g, u, s, noise: step_with_du(x, score / 2, a, g, u, s, noise),
    ],
    "noise in the last step": [
        lambda x, score, a, g, u, s, noise: x + (s - u) * (a * x - g**2 * score) + g * (u - s) ** 0.5 * noise,
        lambda x, score, a, g, u, s, noise: (
            x - a * x * (u - s) + g * (g * (u - s) * score + math.sqrt(u - s) * noise)
        ),
    ],
    "score left out": [
        lambda x, score, a, g, u, s, noise: x - a * x * (u - s) + g * (u - s) ** 0.5 * _z(noise, s),
        lambda x, score, a, g, u, s, noise: step_with_du(x, 0 * score, a, g, u, s, noise),
    ],
    "score with the wrong sign": [
        lambda x, score, a, g, u, s, noise: (
            x + (s - u) * (a * x + g**2 * score) + g * (u - s) ** 0.5 * _z(noise, s)
        ),
        lambda x, score, a, g, u, s, noise: step_by_mask(x, -score, a, g, u, s, noise),
    ],
    "standard deviation for variance": [
        lambda x, score, a, g, u, s, noise: (
            x + (s - u) * (a * x - g * score) + g * (u - s) ** 0.5 * _z(noise, s)
        ),
        lambda x, score, a, g, u, s, noise: step_with_du(x, score / g, a, g, u, s, noise),
    ],
    "noise of its own": [
        lambda x, score, a, g, u, s, noise: step_with_du(x, score, a, g, u, s, torch.randn_like(x)),
    ],
    "changed input": [step_in_place],
}

# ---------------------------------------------------------------------------------------- langevin_step


def langevin_by_numpy(x, eps, sigma, rate, noise):
    x, eps, noise = (part.double().numpy() for part in (x, eps, noise))
    return x - 0.5 * rate * sigma * eps + np.sqrt(rate) * sigma * noise


def langevin_by_std(x, eps, sigma, rate, noise):
    std = sigma * math.sqrt(rate)
    return x + std * (noise - std * eps / (2 * sigma))


def langevin_by_tensors(x, eps, sigma, rate, noise):
    delta = torch.tensor(rate, dtype=torch.float64) * sigma**2
    return torch.add(x.double(), delta.sqrt() * noise.double()) + 0.5 * delta * (-eps.double() / sigma)


def langevin_by_lists(x, eps, sigma, rate, noise):
    d = rate * sigma * sigma
    return [(x[i] - d * eps[i] / sigma / 2 + d**0.5 * noise[i]).tolist() for i in range(len(x))]


def langevin_in_two(x, eps, sigma, rate, noise):
    climbed = torch.sub(x, eps, alpha=rate * sigma / 2)
    return torch.add(climbed, noise, alpha=sigma * rate**0.5)


def langevin_in_place(x, eps, sigma, rate, noise):
    noise *= sigma * rate**0.5
    return x - rate * sigma * eps / 2 + noise


LANGEVIN_WRONG = {
    "missing factor 1/2": [
        lambda x, eps, sigma, rate, noise: x - rate * sigma * eps + (rate * sigma**2) ** 0.5 * noise,
        lambda x, eps, sigma, rate, noise: langevin_in_two(x, 2 * eps, sigma, rate, noise),
    ],
    "the other convention of the step size": [
        lambda x, eps, sigma, rate, noise: (
            x + rate * sigma**2 * (-eps / sigma) + math.sqrt(2 * rate * sigma**2) * noise
        ),
        lambda x, eps, sigma, rate, noise: langevin_by_std(x, eps, sigma, 2 * rate, noise),
    ],
    "missing square root": [
        lambda x, eps, sigma, rate, noise: x - 0.5 * rate * sigma * eps + rate * sigma**2 * noise,
        lambda x, eps, sigma, rate, noise: x + rate * sigma**2 * (noise - eps / (2 * sigma)),
    ],
    "noise left out": [
        lambda x, eps, sigma, rate, noise: x - 0.5 * rate * sigma * eps,
        lambda x, eps, sigma, rate, noise: langevin_in_two(x, eps, sigma, rate, 0 * noise),
    ],
    "score with the wrong sign": [
        lambda x, eps, sigma, rate, noise: x + 0.5 * rate * sigma * eps + sigma * rate**0.5 * noise,
        lambda x, eps, sigma, rate, noise: langevin_by_std(x, -eps, sigma, rate, noise),
    ],
    "eps for score": [
        lambda x, eps, sigma, rate, noise: x + 0.5 * rate * sigma**2 * eps + sigma * rate**0.5 * noise,
        lambda x, eps, sigma, rate, noise: langevin_by_std(x, sigma * eps, sigma, rate, noise),
    ],
    "standard deviation for variance": [
        lambda x, eps, sigma, rate, noise: (
            x + rate * sigma / 2 * (-eps / sigma) + math.sqrt(rate * sigma) * noise
        ),
        lambda x, eps, sigma, rate, noise: x - 0.5 * rate * eps + (rate * sigma) ** 0.5 * noise,
    ],
    "noise of its own": [
        lambda x, eps, sigma, rate, noise: langevin_in_two(x, eps, sigma, rate, torch.randn_like(x)),
    ],
    "changed input": [langevin_in_place],
}

RIGHT = {
    "vp_path": [by_numpy, from_signal, by_lists, by_mean_rate, by_package, by_trapezium],
    "ode_drift": [
        drift_by_loop,
        drift_by_einsum,
        drift_by_transposing,
        drift_by_numpy,
        drift_by_flattening,
        drift_by_lists,
    ],
    "reverse_sde_step": [step_with_du, step_by_numpy, step_by_mask, step_in_two, step_in_float64],
    "langevin_step": [
        langevin_by_numpy,
        langevin_by_std,
        langevin_by_tensors,
        langevin_by_lists,
        langevin_in_two,
    ],
}
WRONG = {
    "vp_path": VP_WRONG,
    "ode_drift": DRIFT_WRONG,
    "reverse_sde_step": STEP_WRONG,
    "langevin_step": LANGEVIN_WRONG,
}
TWO = {
    "vp_path": [
        lambda u, lo, hi: (torch.exp(-_b(u, lo, hi)), 1 - torch.exp(-_b(u, lo, hi))),
        lambda u, lo, hi: _pair(u * (lo + hi) / 2)[::-1],
        lambda u, lo, hi: torch.exp(-_b(u, lo, hi) / 2),
    ],
    "ode_drift": [
        lambda x, score, a, g: _wide(a, x) * x - _wide(g, x) * score,
        lambda x, score, a, g: a * x + g**2 * score,
        lambda x, score, a, g: _wide(a, x) * x - 2 * _wide(g, x) ** 2 * score,
    ],
    "reverse_sde_step": [
        lambda x, score, a, g, u, s, noise: (
            x + (a * x - g**2 * score) * (u - s) + g * math.sqrt(u - s) * noise
        ),
        lambda x, score, a, g, u, s, noise: (
            x + (s - u) * (a * x - g**2 * score / 2) + g * (u - s) * _z(noise, s)
        ),
        lambda x, score, a, g, u, s, noise: x + s * (a * x - g**2 * score) + g * s**0.5 * noise,
    ],
    "langevin_step": [
        lambda x, eps, sigma, rate, noise: x - rate * sigma * eps + rate * sigma**2 * noise,
        lambda x, eps, sigma, rate, noise: x + rate * eps,
    ],
}


def drift_agrees(x, score, a, g):
    """f − ½ g² score by the package, one example at a time: at u = 1 of an SDE with these coefficients."""
    parts = []
    for i in range(len(x)):
        process = sde.SDE(
            "one", a=lambda u, i=i: a[i].double(), g=lambda u, i=i: g[i].double(), path=lambda u: (u, u)
        )
        f = process.drift(x[i : i + 1].double(), 1.0)
        parts.append(f - process.diffusion(1.0) ** 2 / 2 * score[i : i + 1].double())
    return torch.cat(parts)


AGREES = {"vp_path": by_package, "ode_drift": drift_agrees}
