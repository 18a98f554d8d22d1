"""What students hand in for notebook 15."""

import math

import numpy as np
import torch

from diffusion_lab.gaussian import Gaussian

# ------------------------------------------------------------------------------------ log_prob_by_euler


def euler_by_normal(x, velocity, divergence, steps):
    grown = 0.0
    for u in np.linspace(0, 1, steps, endpoint=False).tolist():
        grown = grown + divergence(x, u)
        x = x + velocity(x, u) / steps
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(-1) + grown / steps


def euler_by_package(x, velocity, divergence, steps):
    total, u = torch.zeros(len(x), dtype=torch.float64), 0.0
    while u < 1 - 0.5 / steps:
        change = velocity(x, u)
        total += divergence(x, u).double() / steps
        x = x + change / steps
        u += 1 / steps
    return total + Gaussian(torch.zeros(()), torch.ones(())).log_prob(x).double()


def euler_one_by_one(x, velocity, divergence, steps):
    found = []
    for point in x:
        here, log_p = point[None], 0.0
        for k in range(steps):
            log_p += divergence(here, k / steps).item() / steps
            here = here + velocity(here, k / steps) / steps
        found.append(log_p - 0.5 * sum(c.item() ** 2 + math.log(2 * math.pi) for c in here[0]))
    return found


def euler_from_lists(x, velocity, divergence, steps):
    states = [x]
    for k in range(steps):
        states.append(states[-1] + velocity(states[-1], k / steps) / steps)
    parts = torch.stack([divergence(state, k / steps) for k, state in enumerate(states[:-1])])
    return parts.mean(0) - states[-1].pow(2).sum(1) / 2 - x.size(1) * math.log(math.sqrt(2 * math.pi))


def euler_by_products(x, velocity, divergence, steps):
    volume, h = torch.ones(x.shape[0], dtype=x.dtype), 1.0 / steps
    for k in range(steps):
        volume = volume * torch.exp(h * divergence(x, h * k))
        x = torch.add(x, velocity(x, h * k), alpha=h)
    prior = (2 * math.pi) ** (-x.shape[1] / 2) * torch.exp(-(torch.linalg.vector_norm(x, dim=1) ** 2) / 2)
    return torch.log(volume) + torch.log(prior)


def euler_recursive(x, velocity, divergence, steps, k=0):
    if k == steps:
        return -(x * x + math.log(2 * math.pi)).sum(1) / 2
    after = euler_recursive(x + velocity(x, k / steps) / steps, velocity, divergence, steps, k + 1)
    return after + divergence(x, k / steps) / steps


def _euler(x, velocity, divergence, steps, prior, plus=1.0, late=False):
    h, total = 1 / steps, 0.0
    for k in range(steps):
        new = x + h * velocity(x, k * h)
        total = total + plus * divergence(new if late else x, k * h)
        x = new
    return total + prior(x)


def _normal(x):
    return torch.distributions.Normal(0, 1).log_prob(x).sum(1)


def euler_forever(x, velocity, divergence, steps):
    u, total = 0.0, 0.0
    while u != 2.0 / 3:
        total = total + divergence(x, 0.0)
    return total


def euler_in_place(x, velocity, divergence, steps):
    total = torch.zeros(len(x), dtype=x.dtype)
    for k in range(steps):
        total += divergence(x, k / steps) / steps
        x += velocity(x, k / steps) / steps
    return total + _normal(x)


def euler_from_noise(x, velocity, divergence, steps):
    """The prior where the path starts."""
    first, total = _normal(x), 0.0
    for k in range(steps):
        total = total + divergence(x, k / steps) / steps
        x = x + velocity(x, k / steps) / steps
    return first + total


EULER_WRONG = {
    "divergence with the wrong sign": [
        lambda x, f, div, n: _euler(x, f, div, n, _normal, -1 / n),
        lambda x, f, div, n: euler_from_lists(x, f, lambda y, u: -div(y, u), n),
    ],
    "divergence after the step": [
        lambda x, f, div, n: _euler(x, f, div, n, _normal, 1 / n, late=True),
        lambda x, f, div, n: euler_from_lists(x, f, lambda y, u: div(y + f(y, u) / n, u), n),
    ],
    "step size left out": [
        lambda x, f, div, n: _euler(x, f, div, n, _normal),
        lambda x, f, div, n: euler_from_lists(x, f, lambda y, u: n * div(y, u), n),
    ],
    "prior at the data": [
        euler_from_noise,
        lambda x, f, div, n: (
            euler_by_normal(x, f, div, n) - euler_by_normal(x, f, lambda y, u: 0 * y[:, 0], n) + _normal(x)
        ),
    ],
    "constant of the Gaussian left out": [
        lambda x, f, div, n: _euler(x, f, div, n, lambda y: -0.5 * y.square().sum(1), 1 / n),
        lambda x, f, div, n: euler_by_normal(x, f, div, n) + x.shape[1] * math.log(math.sqrt(2 * math.pi)),
    ],
    "constant for one dimension": [
        lambda x, f, div, n: _euler(
            x, f, div, n, lambda y: -0.5 * y.square().sum(1) - 0.5 * math.log(2 * math.pi), 1 / n
        ),
        lambda x, f, div, n: _euler(
            x, f, div, n, lambda y: (torch.exp(-(y**2).sum(1) / 2) / math.sqrt(2 * math.pi)).log(), 1 / n
        ),
    ],
    "missing factor 1/2": [
        lambda x, f, div, n: _euler(
            x, f, div, n, lambda y: -y.square().sum(1) - y.shape[1] / 2 * math.log(2 * math.pi), 1 / n
        ),
        lambda x, f, div, n: _euler(
            x, f, div, n, lambda y: (-y * y - math.log(math.sqrt(2 * math.pi))).sum(1), 1 / n
        ),
    ],
    "mean for sum": [
        lambda x, f, div, n: _euler(
            x, f, div, n, lambda y: -y.square().mean(1) / 2 - y.shape[1] / 2 * math.log(2 * math.pi), 1 / n
        ),
        lambda x, f, div, n: _euler(
            x,
            f,
            div,
            n,
            lambda y: -y.square().sum(1) / (2 * len(y[0])) - len(y[0]) * math.log(math.sqrt(2 * math.pi)),
            1 / n,
        ),
    ],
    "wrong sign": [lambda x, f, div, n: -euler_by_normal(x, f, div, n)],
    "endless loop": [euler_forever],
    "changed input": [euler_in_place],
}

# -------------------------------------------------------------------------------------- hutchinson_trace


def trace_by_jvp(velocity, x, z):
    parts = [torch.func.jvp(velocity, (x,), (probe,))[1] * probe for probe in z]
    return torch.stack(parts).flatten(2).sum(2).mean(0)


def trace_by_vjp(velocity, x, z):
    _, pull = torch.func.vjp(velocity, x)
    return sum((pull(probe)[0] * probe).reshape(len(x), -1).sum(1) for probe in z) / z.shape[0]


def trace_by_backward(velocity, x, z):
    total = 0
    for probe in z:
        leaf = x.clone().requires_grad_(True)
        (velocity(leaf) * probe).sum().backward()
        total = total + torch.einsum("bi,bi->b", leaf.grad.flatten(1), probe.flatten(1))
    return total / len(z)


def trace_one_by_one(velocity, x, z):
    found = []
    for i in range(len(x)):
        J = torch.autograd.functional.jacobian(velocity, x[i : i + 1]).reshape(x[0].numel(), -1)
        found.append(np.mean([(p[i].flatten() @ J @ p[i].flatten()).item() for p in z]))
    return found


def trace_with_einsum(velocity, x, z):
    x = x.detach().clone().requires_grad_(True)
    flat = velocity(x).flatten(1)
    rows = [
        torch.autograd.grad(flat[:, d].sum(), x, retain_graph=True)[0].flatten(1)
        for d in range(flat.shape[1])
    ]
    return torch.einsum("pbi,ibj,pbj->b", z.flatten(2), torch.stack(rows), z.flatten(2)) / len(z)


def _pulled(velocity, x, z):
    """zᵀJ of each probe: [P, B, D]."""
    _, pull = torch.func.vjp(velocity, x)
    return torch.stack([pull(probe)[0] for probe in z]).flatten(2)


def trace_by_rows(velocity, x, z):
    x = x.detach().requires_grad_()
    flat = velocity(x).flatten(1)
    return sum(
        torch.autograd.grad(flat[:, d].sum(), x, retain_graph=True)[0].flatten(1)[:, d]
        for d in range(flat.shape[1])
    )


def trace_exact_by_basis(velocity, x, z):
    D = x[0].numel()
    basis = torch.eye(D, dtype=x.dtype).reshape(D, 1, *x.shape[1:]).expand(D, *x.shape)
    return D * trace_by_jvp(velocity, x, basis)


def trace_of_last(velocity, x, z):
    for probe in z:
        estimate = trace_by_vjp(velocity, x, probe[None])
    return estimate


def trace_without_second_z(velocity, x, z):
    total = 0
    for probe in z:
        leaf = x.clone().requires_grad_(True)
        total = total + torch.autograd.grad(velocity(leaf), leaf, probe)[0].flatten(1).sum(1)
    return total / len(z)


TRACE_WRONG = {
    "sum for mean": [
        lambda f, x, z: (_pulled(f, x, z) * z.flatten(2)).sum((0, 2)),
        lambda f, x, z: len(z) * trace_by_jvp(f, x, z),
    ],
    "mean for sum": [
        lambda f, x, z: (_pulled(f, x, z) * z.flatten(2)).mean((0, 2)),
        lambda f, x, z: trace_by_jvp(f, x, z) / x[0].numel(),
    ],
    "one probe only": [lambda f, x, z: trace_by_jvp(f, x, z[:1]), trace_of_last],
    "second z left out": [
        lambda f, x, z: _pulled(f, x, z).mean(0).sum(-1),
        trace_without_second_z,
    ],
    "sum over the batch": [
        lambda f, x, z: (_pulled(f, x, z) * z.flatten(2)).sum() / len(z),
        lambda f, x, z: trace_by_jvp(f, x, z).sum(),
    ],
    "exact trace for its estimate": [trace_by_rows, trace_exact_by_basis],
    "noise of its own": [lambda f, x, z: trace_by_jvp(f, x, torch.randn_like(z).sign())],
    "wrong sign": [lambda f, x, z: -trace_by_vjp(f, x, z)],
}

# ------------------------------------------------------------------------------- density_to_bits_per_dim


def bits_by_numpy(log_p, shape, bin_width):
    return -(log_p.double().numpy() / np.prod(shape) + np.log(bin_width)) / np.log(2)


def bits_of_volume(log_p, shape, bin_width):
    D = torch.zeros(shape).numel()
    return -(log_p.double() + D * math.log(bin_width)) / D / math.log(2)


def bits_by_lists(log_p, shape, bin_width):
    D = 1
    for n in shape:
        D *= n
    return [-(p * math.log2(math.e) + D * math.log2(bin_width)) / D for p in log_p.tolist()]


def bits_by_log2_of_inverse(log_p, shape, bin_width):
    return torch.log2(torch.tensor(1 / bin_width, dtype=torch.float64)) + log_p.double() * -math.log2(
        math.e
    ) / math.prod(shape)


def bits_one_by_one(log_p, shape, bin_width):
    D = torch.tensor(shape).prod()
    return torch.stack([(-p - D * math.log(bin_width)) / (D * math.log(2.0)) for p in log_p])


def _D(shape):
    return int(np.prod(shape))


BITS_WRONG = {
    "nats for bits": [
        lambda log_p, shape, width: -(log_p + _D(shape) * math.log(width)) / _D(shape),
        lambda log_p, shape, width: math.log2(1 / width) - log_p / _D(shape),
        lambda log_p, shape, width: -log_p * math.log2(math.e) / _D(shape) - math.log(width),
    ],
    "bits for nats": [
        lambda log_p, shape, width: -(log_p * math.log(2) / _D(shape) + math.log2(width)),
        lambda log_p, shape, width: math.log2(1 / width) - log_p / (_D(shape) * math.log2(math.e)),
    ],
    "bin width left out": [
        lambda log_p, shape, width: -log_p * math.log2(math.e) / _D(shape),
        lambda log_p, shape, width: bits_by_numpy(log_p, shape, 1.0),
    ],
    "bin width with the wrong sign": [
        lambda log_p, shape, width: (-log_p + _D(shape) * math.log(width)) / (_D(shape) * math.log(2)),
        lambda log_p, shape, width: bits_by_numpy(log_p, shape, 1 / width),
    ],
    "bin width of one dimension": [
        lambda log_p, shape, width: -(log_p + math.log(width)) / _D(shape) / math.log(2),
        lambda log_p, shape, width: -log_p / _D(shape) / math.log(2) - math.log2(width) / _D(shape),
    ],
    "sum for mean": [
        lambda log_p, shape, width: -(log_p + _D(shape) * math.log(width)) / math.log(2),
        lambda log_p, shape, width: _D(shape) * bits_of_volume(log_p, shape, width),
    ],
    "channels left out": [
        lambda log_p, shape, width: (
            -log_p / (_D(shape[1:] if len(shape) > 2 else shape) * math.log(2)) - math.log2(width)
        ),
    ],
    "wrong sign": [lambda log_p, shape, width: log_p / _D(shape) / math.log(2) + math.log2(width)],
    "changed input": [lambda log_p, shape, width: log_p.div_(-_D(shape) * math.log(2)) - math.log2(width)],
    "wrong dtype": [lambda log_p, shape, width: bits_of_volume(log_p, shape, width).to(torch.bfloat16)],
}

RIGHT = {
    "log_prob_by_euler": [
        euler_by_normal,
        euler_by_package,
        euler_one_by_one,
        euler_from_lists,
        euler_by_products,
        euler_recursive,
    ],
    "hutchinson_trace": [
        trace_by_jvp,
        trace_by_vjp,
        trace_by_backward,
        trace_one_by_one,
        trace_with_einsum,
    ],
    "density_to_bits_per_dim": [
        bits_by_numpy,
        bits_of_volume,
        bits_by_lists,
        bits_by_log2_of_inverse,
        bits_one_by_one,
    ],
}
WRONG = {
    "log_prob_by_euler": EULER_WRONG,
    "hutchinson_trace": TRACE_WRONG,
    "density_to_bits_per_dim": BITS_WRONG,
}
TWO = {
    "log_prob_by_euler": [
        lambda x, f, div, n: _euler(x, f, div, n, lambda y: -y.square().sum(1) / 2, -1 / n),
        lambda x, f, div, n: _euler(x, f, div, n, lambda y: -y.square().sum(1)),
        lambda x, f, div, n: _euler(x, f, div, n, _normal, 1.0, late=True),
    ],
    "hutchinson_trace": [
        lambda f, x, z: (_pulled(f, x, z)).sum((0, 2)),
        lambda f, x, z: _pulled(f, x, z).abs().mean((0, 2)),
    ],
    "density_to_bits_per_dim": [
        lambda log_p, shape, width: -log_p + math.log2(width),
        lambda log_p, shape, width: -log_p / math.log(2) - math.log2(width),
        lambda log_p, shape, width: log_p * math.log(2) / _D(shape) - math.log2(width),
    ],
}
