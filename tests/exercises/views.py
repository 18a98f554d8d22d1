"""What students hand in for the exercises of notebook 05."""

import numpy as np
import torch

from diffusion_lab.views import Prediction


def column(values, x):
    return values.view((-1,) + (1,) * (x.dim() - 1)).to(x.dtype)


# x_0 from ε


def rows_by_loop(x_t, eps, t, schedule):
    a, b = schedule.signal.tolist(), schedule.sigma.tolist()
    return torch.stack([(x - b[k] * e) / a[k] for x, e, k in zip(x_t, eps, t.tolist(), strict=True)])


def rows_by_numpy(x_t, eps, t, schedule):
    a, b = schedule.signal.numpy()[t.numpy()], schedule.sigma.numpy()[t.numpy()]
    return ((x_t.numpy().T - b * eps.numpy().T) / a).T


def of_the_paper(x_t, eps, t, schedule):
    a = column(schedule.alpha_bar[t], x_t).double()
    return a.rsqrt() * x_t - (1 / a - 1).sqrt() * eps


def by_einsum(x_t, eps, t, schedule):
    a, b = 1 / schedule.signal[t], schedule.sigma[t] / schedule.signal[t]
    return torch.einsum("b,b...->b...", a, x_t.double()) - torch.einsum("b,b...->b...", b, eps.double())


def by_lists(x_t, eps, t, schedule):
    return [
        ((x - schedule.sigma[k] * e) / schedule.signal[k]).tolist()
        for x, e, k in zip(x_t, eps, t, strict=True)
    ]


def from_eps(x_t, eps, t, schedule):
    return Prediction.from_eps(eps, x_t, t, schedule).x0


def rows_with(f):
    """A student's x0_from_eps: f of one example's x_t, ε, ᾱ."""
    return lambda x_t, eps, t, schedule: torch.stack(
        [f(x, e, schedule.alpha_bar[k].item()) for x, e, k in zip(x_t, eps, t, strict=True)]
    )


# v


def v_by_numpy(x0, eps, t, schedule):
    return schedule.signal[t].item() * eps.numpy() - x0.numpy() * schedule.sigma[t].item()


def v_of_the_paper(x0, eps, t, schedule):
    return schedule.alpha_bar[t] ** 0.5 * eps - (1 - schedule.alpha_bar[t]) ** 0.5 * x0


def v_by_angle(x0, eps, t, schedule):
    phi = torch.atan2(schedule.sigma[t], schedule.signal[t])
    return phi.cos() * eps - phi.sin() * x0


def v_by_lists(x0, eps, t, schedule):
    a, b = float(schedule.signal[t]), float(schedule.sigma[t])
    flat = [a * e - b * x for x, e in zip(x0.flatten().tolist(), eps.flatten().tolist(), strict=True)]
    return np.array(flat).reshape(x0.shape).tolist()


def v_upwards(x0, eps, t, schedule):
    return eps.double().mul(schedule.signal[t]).sub(x0.double(), alpha=schedule.sigma[t].item())


def v_by_stack(x0, eps, t, schedule):
    pair = torch.stack([schedule.signal[t], -schedule.sigma[t]])
    return torch.tensordot(pair, torch.stack([eps, x0]).double(), dims=1)


def v_of_package(x0, eps, t, schedule):
    x_t = schedule.signal[t] * x0 + schedule.sigma[t] * eps
    return Prediction(x_t, t, schedule, x0, eps).v


def v_with(a, b):
    """A student's v: factors of ε and of x_0 from ᾱ."""
    return lambda x0, eps, t, schedule: a(schedule.alpha_bar[t]) * eps + b(schedule.alpha_bar[t]) * x0


# x_0 from v


def from_v(v, x_t, t, schedule):
    return Prediction.from_v(v, x_t, t, schedule).x0


def by_solving(v, x_t, t, schedule):
    a, b = schedule.signal[t], schedule.sigma[t]
    matrix = torch.stack([torch.stack([a, b]), torch.stack([-b, a])])
    return torch.linalg.solve(matrix, torch.stack([x_t, v]).double().flatten(1))[0].reshape(x_t.shape)


def by_shares(v, x_t, t, schedule):
    a, b = schedule.signal[t].item(), schedule.sigma[t].item()
    total = a**2 + b**2
    return x_t * (a / total) - v * (b / total)


def v_inverse_by_numpy(v, x_t, t, schedule):
    a, b = schedule.signal.numpy()[t], schedule.sigma.numpy()[t]
    return (a * x_t.numpy() - b * v.numpy()) / np.hypot(a, b) ** 2


def by_eps(v, x_t, t, schedule):
    """The noise first; x_0 by what is left."""
    a, b = schedule.signal[t].item(), schedule.sigma[t].item()
    eps = (b * x_t.double() + a * v.double()) / (a * a + b * b)
    return (x_t - b * eps) / a if a > 0 else -v.double() / b


def by_polar(v, x_t, t, schedule):
    size, phi = (
        torch.hypot(schedule.signal[t], schedule.sigma[t]),
        torch.atan2(schedule.sigma[t], schedule.signal[t]),
    )
    return (phi.cos() * x_t - phi.sin() * v) / size


def v_inverse_with(f):
    """A student's x0_from_v: factors of x_t and v, from signal and sigma."""

    def student(v, x_t, t, schedule):
        p, q = f(schedule.signal[t], schedule.sigma[t])
        return p * x_t + q * v

    return student


# clipping


def clip_by_numpy(x_t, eps, t, schedule, limit):
    a, b = schedule.signal[t].item(), schedule.sigma[t].item()
    x0 = np.clip((x_t.numpy() - b * eps.numpy()) / a, -limit, limit)
    return (x_t.numpy() - a * x0) / b


def clip_by_where(x_t, eps, t, schedule, limit):
    a, b = schedule.alpha_bar[t].sqrt(), (1 - schedule.alpha_bar[t]).sqrt()
    x0 = (x_t - b * eps) / a
    high, low = (x_t - a * limit) / b, (x_t + a * limit) / b
    return torch.where(x0 > limit, high, torch.where(x0 < -limit, low, eps))


def clip_by_package(x_t, eps, t, schedule, limit):
    return Prediction.from_eps(eps, x_t, t, schedule).clipped(limit).eps


def clip_by_difference(x_t, eps, t, schedule, limit):
    """ε̂ moves by signal/sigma times what was cut off."""
    x0 = (x_t.double() - schedule.sigma[t] * eps) / schedule.signal[t]
    return eps + schedule.signal[t] / schedule.sigma[t] * (x0 - x0.clip(-limit, limit))


def clip_by_bounds(x_t, eps, t, schedule, limit):
    """Limits of ε̂, instead of x̂_0."""
    a, b = schedule.signal[t], schedule.sigma[t]
    return torch.minimum(torch.maximum(eps, (x_t - a * limit) / b), (x_t + a * limit) / b)


def clip_by_loop(x_t, eps, t, schedule, limit):
    a, b = float(schedule.signal[t]), float(schedule.sigma[t])
    out = []
    for x, e in zip(x_t.flatten().tolist(), eps.flatten().tolist(), strict=True):
        out.append((x - a * max(-limit, min(limit, (x - b * e) / a))) / b)
    return torch.tensor(out, dtype=torch.float64).reshape(x_t.shape)


def clip_with(clip, a=lambda a: a, b=lambda b: b):
    """A student's clipped_eps with another clip, or other factors."""

    def student(x_t, eps, t, schedule, limit):
        signal, sigma = a(schedule.signal[t].item()), b(schedule.sigma[t].item())
        x0 = clip((x_t - sigma * eps) / signal, limit)
        return (x_t - signal * x0) / sigma

    return student


RIGHT = {
    "x0_from_eps": [rows_by_loop, rows_by_numpy, of_the_paper, by_einsum, by_lists, from_eps],
    "v_from_x0_and_eps": [v_by_numpy, v_of_the_paper, v_by_angle, v_by_lists, v_upwards, v_by_stack],
    "x0_from_v": [by_solving, by_shares, v_inverse_by_numpy, by_eps, by_polar, from_v],
    "clipped_eps": [
        clip_by_numpy,
        clip_by_where,
        clip_by_package,
        clip_by_difference,
        clip_by_bounds,
        clip_by_loop,
    ],
}
WRONG = {
    "x0_from_eps": {
        "t along the last axis": [
            lambda x_t, eps, t, schedule: (
                (x_t - (1 - schedule.alpha_bar[t]).sqrt() * eps) / schedule.alpha_bar[t].sqrt()
            ),
            lambda x_t, eps, t, schedule: torch.as_tensor(
                (x_t.numpy() - schedule.sigma.numpy()[t] * eps.numpy()) / schedule.signal.numpy()[t]
            ),
        ],
        "variance for standard deviation": [rows_with(lambda x, e, a: (x - (1 - a) * e) / a**0.5)],
        "alpha_bar for its square root": [rows_with(lambda x, e, a: (x - (1 - a) ** 0.5 * e) / a)],
        "missing square root": [rows_with(lambda x, e, a: (x - (1 - a) * e) / a)],
        "not divided by signal": [rows_with(lambda x, e, a: x - (1 - a) ** 0.5 * e)],
        "multiplied by signal, not divided": [
            rows_with(lambda x, e, a: a**0.5 * x - ((1 - a) * a) ** 0.5 * e)
        ],
        "brackets forgotten": [
            rows_with(lambda x, e, a: x - (1 - a) ** 0.5 * e / a**0.5),
            rows_with(lambda x, e, a: x / a**0.5 - (1 - a) ** 0.5 * e),
        ],
        "noise added, not taken away": [rows_with(lambda x, e, a: x / a**0.5 + (1 / a - 1) ** 0.5 * e)],
        "signal and sigma swapped": [
            lambda x_t, eps, t, schedule: (
                (x_t - column(schedule.signal[t], x_t) * eps) / column(schedule.sigma[t], x_t)
            )
        ],
        "off by one in t": [
            lambda x_t, eps, t, schedule: rows_by_loop(x_t, eps, torch.maximum(t - 1, 0 * t), schedule),
            lambda x_t, eps, t, schedule: rows_by_numpy(x_t, eps, t - 1, schedule),
        ],
        "wrong sign": [rows_with(lambda x, e, a: ((1 - a) ** 0.5 * e - x) / a**0.5)],
        "wrong dtype": [lambda *a: by_einsum(*a).half()],
        "changed input": [
            lambda x_t, eps, t, schedule: rows_by_loop(x_t.clone(), eps, t, schedule) + 0 * x_t.add_(1)
        ],
    },
    "v_from_x0_and_eps": {
        "x_0 and eps swapped": [lambda x0, eps, t, schedule: v_of_the_paper(eps, x0, t, schedule)],
        "signal and sigma swapped": [v_with(lambda a: (1 - a).sqrt(), lambda a: -a.sqrt())],
        "plus for minus": [v_with(lambda a: a.sqrt(), lambda a: (1 - a).sqrt())],
        "x_t for v": [v_with(lambda a: (1 - a).sqrt(), lambda a: a.sqrt())],
        "velocity of the straight path": [lambda x0, eps, t, schedule: -(x0 - eps)],
        "missing square root": [v_with(lambda a: a, lambda a: a - 1)],
        "alpha_bar for its square root": [v_with(lambda a: a, lambda a: -((1 - a) ** 0.5))],
        "variance for standard deviation": [v_with(lambda a: a**0.5, lambda a: a - 1)],
        "off by one in t": [
            lambda x0, eps, t, schedule: v_by_numpy(x0, eps, max(t - 1, 0), schedule),
            lambda x0, eps, t, schedule: v_by_numpy(x0, eps, t - 1, schedule),
        ],
        "wrong sign": [v_with(lambda a: -a.sqrt(), lambda a: (1 - a).sqrt())],
        "wrong dtype": [lambda *a: v_of_the_paper(*a).half()],
        "changed input": [
            lambda x0, eps, t, schedule: eps.mul_(schedule.signal[t]).sub(schedule.sigma[t] * x0)
        ],
    },
    "x0_from_v": {
        "right on variance-preserving schedules only": [v_inverse_with(lambda a, b: (a, -b))],
        "standard deviation for variance": [
            v_inverse_with(lambda a, b: (torch.atan2(b, a).cos(), -torch.atan2(b, a).sin()))
        ],
        "noise for data": [v_inverse_with(lambda a, b: (b / (a * a + b * b), a / (a * a + b * b)))],
        "plus for minus": [v_inverse_with(lambda a, b: (a / (a * a + b * b), b / (a * a + b * b)))],
        "signal and sigma swapped": [
            v_inverse_with(lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b)))
        ],
        "velocity of the straight path": [v_inverse_with(lambda a, b: (1 / (a + b), -b / (a + b)))],
        "v taken for eps": [lambda v, x_t, t, schedule: (x_t - v * schedule.sigma[t]) / schedule.signal[t]],
        "off by one in t": [
            lambda v, x_t, t, schedule: by_polar(v, x_t, max(t - 1, 0), schedule),
            lambda v, x_t, t, schedule: by_polar(v, x_t, t - 1, schedule),
        ],
        "wrong sign": [v_inverse_with(lambda a, b: (-a / (a * a + b * b), b / (a * a + b * b)))],
        "wrong dtype": [lambda *a: by_polar(*a).half()],
    },
    "clipped_eps": {
        "clipping without deriving eps again": [
            lambda x_t, eps, t, schedule, limit: eps + 0 * x_t,
            lambda x_t, eps, t, schedule, limit: clip_by_numpy(x_t, eps, t, schedule, 1e9),
        ],
        "eps clipped, not x̂_0": [
            lambda x_t, eps, t, schedule, limit: torch.where(eps.abs() > limit, eps.sign() * limit, eps)
        ],
        "x̂_0 returned, not eps": [
            lambda x_t, eps, t, schedule, limit: Prediction.from_eps(eps, x_t, t, schedule).clipped(limit).x0
        ],
        "clipped on one side only": [
            clip_with(lambda x0, limit: torch.minimum(x0, torch.full_like(x0, limit)))
        ],
        "clipped to [0, limit]": [clip_with(lambda x0, limit: x0.relu().clip(max=limit))],
        "limit not used": [
            clip_with(lambda x0, limit: torch.max(torch.min(x0, torch.ones_like(x0)), -torch.ones_like(x0)))
        ],
        "variance for standard deviation": [
            clip_with(lambda x0, limit: x0.clamp(-limit, limit), b=lambda b: b * b)
        ],
        "not divided by signal": [
            lambda x_t, eps, t, schedule, limit: (
                (x_t - schedule.signal[t] * torch.clip(x_t - schedule.sigma[t] * eps, -limit, limit))
                / schedule.sigma[t]
            )
        ],
        "not multiplied by signal": [
            lambda x_t, eps, t, schedule, limit: (
                (x_t - Prediction.from_eps(eps, x_t, t, schedule).clipped(limit).x0) / schedule.sigma[t]
            )
        ],
        "off by one in t": [
            lambda x_t, eps, t, schedule, limit: clip_with(lambda x0, limit: x0.clamp(-limit, limit))(
                x_t, eps, t - 1, schedule, limit
            )
        ],
        "wrong sign": [lambda *a: -clip_by_where(*a)],
        "wrong dtype": [lambda *a: clip_by_where(*a).half()],
    },
}
TWO = {
    "x0_from_eps": [
        rows_with(lambda x, e, a: (x - (1 - a) * e) * a),
        lambda x_t, eps, t, schedule: x_t - eps,
        lambda x_t, eps, t, schedule: (x_t - schedule.sigma[t] ** 2 * eps) / schedule.signal[t],
    ],
    "v_from_x0_and_eps": [
        v_with(lambda a: a, lambda a: 1 - a),
        v_with(lambda a: 1 - a, lambda a: -(a.sqrt())),
    ],
    "x0_from_v": [
        v_inverse_with(lambda a, b: (a, b)),
        v_inverse_with(lambda a, b: (b, -a)),
    ],
    "clipped_eps": [
        clip_with(lambda x0, limit: x0.clamp(max=limit), b=lambda b: b * b),
        clip_with(lambda x0, limit: x0.clamp(-limit, limit), a=lambda a: a * a),
    ],
}
AGREES = {
    "x0_from_eps": from_eps,
    "v_from_x0_and_eps": v_of_package,
    "x0_from_v": from_v,
    "clipped_eps": clip_by_package,
}
