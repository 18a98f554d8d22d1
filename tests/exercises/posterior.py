"""What students hand in for the exercises of notebook 10."""

import math

import numpy as np
import torch

from diffusion_lab.exercises.tasks.posterior_mean import posterior_mean
from diffusion_lab.exercises.tasks.posterior_variance import posterior_variance
from diffusion_lab.forward import posterior_weights, q_posterior, transition
from diffusion_lab.schedules import NoiseSchedule

# ---------------------------------------------------------------- posterior_precision


def precision_by_the_variance(t, s, schedule):
    _, _, variance = posterior_weights(t, s, schedule)
    return 1 / variance


def precision_in_numpy(t, s, schedule):
    signal, sigma = schedule.signal.numpy(), schedule.sigma.numpy()
    a = signal[t] / signal[s]
    return np.power(sigma[s], -2) + a**2 / (sigma[t] ** 2 - (a * sigma[s]) ** 2)


def precision_in_floats(t, s, schedule):
    a = float(schedule.signal[t]) / float(schedule.signal[s])
    b = float(schedule.sigma[t]) ** 2 - a * a * float(schedule.sigma[s]) ** 2
    return sum(1 / variance for variance in (float(schedule.sigma[s]) ** 2, b / a**2))


def precision_by_other_algebra(t, s, schedule):
    ab = schedule.alpha_bar
    return (1 - ab[t]) / ((1 - ab[t] / ab[s]) * (1 - ab[s]))


def precision_by_a_short_chain(t, s, schedule):
    short = NoiseSchedule(schedule.signal[[0, s, t]], schedule.sigma[[0, s, t]])
    return short.alpha[2] / short.beta[2] + short.sigma[1] ** -2


def precision_of_package(t, s, schedule):
    return 1 / q_posterior(torch.zeros(1, 1).double(), torch.zeros(1, 1).double(), t, schedule, s).var


def gap(t, s, schedule):
    ab = schedule.alpha_bar
    return ab[t] / ab[s], 1 - ab[t] / ab[s]


# ---------------------------------------------------------------- posterior_variance


def variance_in_a_loop(t, schedule):
    found = []
    for k in t.tolist():
        found.append(
            schedule.beta[k].item()
            * (1 - schedule.alpha_bar[k - 1].item())
            / (1 - schedule.alpha_bar[k].item())
        )
    return found


def variance_in_numpy(t, schedule):
    ab = schedule.alpha_bar.numpy()
    t = t.numpy()
    return (1 - ab[t - 1]) / (1 - ab[t]) * (1 - ab[t] / ab[t - 1])


def variance_by_precisions(t, schedule):
    return 1 / (1 / schedule.sigma[t - 1] ** 2 + schedule.alpha[t] / schedule.beta[t])


def variance_by_snr(t, schedule):
    return (1 - schedule.snr[t] / schedule.snr[t - 1]) * schedule.sigma[t - 1].square()


def variance_from_a_whole_table(t, schedule):
    table = torch.zeros(schedule.T + 1, dtype=torch.float64)
    table[1:] = schedule.beta[1:] * (schedule.sigma[:-1] / schedule.sigma[1:]) ** 2
    return table[t]


def variance_clamped_at_nothing(t, schedule):
    return variance_by_snr(t, schedule).clamp(min=1e-20)


# ---------------------------------------------------------------- posterior_mean


def shaped(values, x):
    return values.view(len(x), *[1 for _ in x.shape[1:]])


def mean_by_the_package(x0, x_t, t, schedule):
    return q_posterior(x0, x_t, t, schedule).mean


def mean_in_a_loop(x0, x_t, t, schedule):
    rows = []
    for a, b, k in zip(x0, x_t, t.tolist(), strict=True):
        ab, before = schedule.alpha_bar[k], schedule.alpha_bar[k - 1]
        beta = 1 - ab / before
        rows.append((before.sqrt() * beta * a + (1 - beta).sqrt() * (1 - before) * b) / (1 - ab))
    return torch.stack(rows)


def mean_by_einsum(x0, x_t, t, schedule):
    a = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    b = schedule.alpha[t] ** 0.5 * (1 - schedule.alpha_bar[t - 1]) / (1 - schedule.alpha_bar[t])
    return torch.einsum("b,b...->b...", a, x0.double()) + torch.einsum("b,b...->b...", b, x_t.double())


def mean_in_numpy(x0, x_t, t, schedule):
    signal, sigma, t = schedule.signal.numpy(), schedule.sigma.numpy(), t.numpy()
    r = (signal[t] * sigma[t - 1] / (signal[t - 1] * sigma[t])) ** 2
    axes = (slice(None), *[None] * (x0.ndim - 1))
    return (signal[t - 1] * (1 - r))[axes] * x0.numpy() + (r * signal[t - 1] / signal[t])[axes] * x_t.numpy()


def mean_by_precisions(x0, x_t, t, schedule):
    beta, keep, before = (
        shaped(v, x0) for v in (schedule.beta[t], schedule.alpha[t], schedule.sigma[t - 1] ** 2)
    )
    variance = beta * before / (beta + keep * before)
    signal = shaped(schedule.signal[t - 1], x0)
    with_x0 = beta / (beta + keep * before) * signal * x0  # variance/before, which may be 0/0
    return with_x0 + variance * keep.sqrt() / beta * x_t


def mean_transposed(x0, x_t, t, schedule):
    a = schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2
    b = schedule.alpha[t].sqrt() * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return (a * x0.movedim(0, -1) + b * x_t.movedim(0, -1)).movedim(-1, 0)


def mean_of(a, b):
    """A student's mean with these weights, as functions of ᾱ_t, ᾱ_{t−1}, β_t."""

    def function(x0, x_t, t, schedule):
        ab, before, beta = (
            shaped(v, x0) for v in (schedule.alpha_bar[t], schedule.alpha_bar[t - 1], schedule.beta[t])
        )
        return (a(ab, before, beta) * x0 + b(ab, before, beta) * x_t).to(x0.dtype)

    return function


def right_a(ab, before, beta):
    return before**0.5 * beta / (1 - ab)


def right_b(ab, before, beta):
    return (1 - beta) ** 0.5 * (1 - before) / (1 - ab)


def mean_in_place(x0, x_t, t, schedule):
    x0 *= shaped(schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2, x0)
    return (
        x0 + shaped(schedule.alpha[t].sqrt() * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2, x0) * x_t
    )


def mean_in_single(x0, x_t, t, schedule):
    return posterior_mean(x0.float(), x_t.float(), t, schedule)


# ---------------------------------------------------------------- walk_back


def walk_by_the_package(x0, x_T, schedule, noise):
    x, states = x_T, [x_T]
    for t in reversed(range(1, schedule.T + 1)):
        q = q_posterior(x0, x, t, schedule)
        x = q.mean + q.var.sqrt() * noise[t]
        states.insert(0, x)
    return torch.stack(states)


def walk_into_a_tensor(x0, x_T, schedule, noise):
    out = torch.empty(schedule.T + 1, *x0.shape, dtype=x0.dtype)
    out[schedule.T] = x_T
    t = schedule.T
    while t > 0:
        q = q_posterior(x0, out[t], t, schedule)
        out[t - 1] = q.mean + math.sqrt(q.var.max()) * noise[t]
        t -= 1
    return out


def walk_in_numpy(x0, x_T, schedule, noise):
    s, n, eps = schedule.signal.numpy(), schedule.sigma.numpy(), noise.numpy()
    out = [x_T.numpy()]
    for t in range(schedule.T, 0, -1):
        r = (s[t] * n[t - 1] / (s[t - 1] * n[t])) ** 2
        out.append(
            s[t - 1] * (1 - r) * x0.numpy()
            + r * s[t - 1] / s[t] * out[-1]
            + n[t - 1] * np.sqrt(1 - r) * eps[t]
        )
    return np.stack(out[::-1])


def walk_by_recursion(x0, x_T, schedule, noise):
    def states(t):
        if t == schedule.T:
            return [x_T]
        later = states(t + 1)
        q = q_posterior(x0, later[0], t + 1, schedule)
        return [q.mean + q.var**0.5 * noise[t + 1], *later]

    return torch.stack(states(0))


def walk_in_a_list(x0, x_T, schedule, noise):
    return list(walk_by_the_package(x0, x_T, schedule, noise))


def walk_in_double(x0, x_T, schedule, noise):
    return walk_into_a_tensor(x0.double(), x_T.double(), schedule, noise.double())


def walking(step, order=-1):
    """A student's walk with this step: (x0, x, t, schedule, z, x_T) -> x_{t−1}."""

    def function(x0, x_T, schedule, noise):
        out, x = [x_T], x_T
        for t in range(schedule.T, 0, -1):
            x = step(x0, x, t, schedule, noise, x_T)
            out.append(x)
        return torch.stack(out[::order])

    return function


def package_step(x0, x, t, schedule, noise, x_T):
    q = q_posterior(x0, x, t, schedule)
    return q.mean + q.var.sqrt() * noise[t]


def beta_step(x0, x, t, schedule, noise, x_T):
    return q_posterior(x0, x, t, schedule).mean + schedule.beta[t] ** 0.5 * noise[t]


def beta_by_alpha_step(x0, x, t, schedule, noise, x_T):
    mean = q_posterior(x0, x, t, schedule).mean
    return mean + (1 - schedule.alpha[t]).sqrt() * noise[t]


def variance_step(x0, x, t, schedule, noise, x_T):
    q = q_posterior(x0, x, t, schedule)
    return q.mean + q.var * noise[t]


def variance_step_again(x0, x, t, schedule, noise, x_T):
    small = schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2
    return q_posterior(x0, x, t, schedule).mean + small * noise[t]


def mean_step(x0, x, t, schedule, noise, x_T):
    return q_posterior(x0, x, t, schedule).mean


def forgetful_step(x0, x, t, schedule, noise, x_T):
    return package_step(x0, x_T, t, schedule, noise, x_T)


def wrong_noise_step(x0, x, t, schedule, noise, x_T):
    q = q_posterior(x0, x, t, schedule)
    return q.mean + q.var.sqrt() * noise[t - 1]


def own_noise_step(x0, x, t, schedule, noise, x_T):
    return q_posterior(x0, x, t, schedule).sample()


def with_own_noise(x0, x_T, schedule, noise):
    return walk_by_the_package(x0, x_T, schedule, torch.randn_like(noise))


def walk_once_only(x0, x_T, schedule, noise):
    x = x_T
    for t in range(schedule.T, 0, -1):
        x = package_step(x0, x, t, schedule, noise, x_T)
    return x


def with_two(x0, x_T, schedule, noise):
    return walking(variance_step)(x0, x_T, schedule, noise).flip(0)


RIGHT = {
    "posterior_precision": [
        precision_by_the_variance,
        precision_in_numpy,
        precision_in_floats,
        precision_by_other_algebra,
        precision_by_a_short_chain,
        lambda t, s, schedule: (
            (lambda a, b: a**2 / b)(*transition(t, s, schedule)) + 1 / schedule.sigma[s] ** 2
        ),
    ],
    "posterior_variance": [
        variance_in_a_loop,
        variance_in_numpy,
        variance_by_precisions,
        variance_by_snr,
        variance_from_a_whole_table,
        variance_clamped_at_nothing,
    ],
    "posterior_mean": [
        mean_by_the_package,
        mean_in_a_loop,
        mean_by_einsum,
        mean_in_numpy,
        mean_by_precisions,
        mean_transposed,
        mean_of(right_a, right_b),
    ],
    "walk_back": [
        walk_by_the_package,
        walk_into_a_tensor,
        walk_in_numpy,
        walk_by_recursion,
        walk_in_a_list,
        walk_in_double,
        walking(package_step),
    ],
}

WRONG = {
    "posterior_precision": {
        "width in x_t for width in x_s": [
            lambda t, s, schedule: schedule.sigma[s] ** -2 + 1 / gap(t, s, schedule)[1],
            lambda t, s, schedule: 1 / schedule.sigma[s] ** 2 + 1 / transition(t, s, schedule)[1],
        ],
        "standard deviation for variance": [
            lambda t, s, schedule: (
                1 / schedule.sigma[s] + transition(t, s, schedule)[0] / transition(t, s, schedule)[1] ** 0.5
            ),
            lambda t, s, schedule: schedule.sigma[s] ** -1 + gap(t, s, schedule)[0] / gap(t, s, schedule)[1],
        ],
        "missing square": [
            lambda t, s, schedule: (
                schedule.sigma[s] ** -2 + gap(t, s, schedule)[0] ** 0.5 / gap(t, s, schedule)[1]
            ),
            lambda t, s, schedule: (
                1 / schedule.sigma[s] ** 2 + transition(t, s, schedule)[0] / transition(t, s, schedule)[1]
            ),
        ],
        "variances added": [
            lambda t, s, schedule: schedule.sigma[s] ** 2 + 1 / gap(t, s, schedule)[0] - 1,
            lambda t, s, schedule: (
                1 / (schedule.sigma[s] ** 2 + gap(t, s, schedule)[1] / gap(t, s, schedule)[0])
            ),
        ],
        "variance for precision": [
            lambda t, s, schedule: posterior_weights(t, s, schedule)[2],
            lambda t, s, schedule: schedule.sigma[s] ** 2 * (1 - schedule.snr[t] / schedule.snr[s]),
        ],
        "one step's beta for the gap's": [
            lambda t, s, schedule: (
                1 / (1 - schedule.alpha_bar[s]) + (1 - schedule.beta[t]) / schedule.beta[t]
            ),
            lambda t, s, schedule: 1 / schedule.sigma[s] ** 2 + schedule.alpha[t] / (1 - schedule.alpha[t]),
        ],
        "wrong sign": [
            lambda t, s, schedule: -precision_by_other_algebra(t, s, schedule),
            lambda t, s, schedule: (
                -(schedule.sigma[s] ** -2) - gap(t, s, schedule)[0] / gap(t, s, schedule)[1]
            ),
        ],
        "wrong dtype": [
            lambda t, s, schedule: precision_by_the_variance(t, s, schedule).float(),
            lambda t, s, schedule: torch.tensor(precision_in_floats(t, s, schedule)),
        ],
    },
    "posterior_variance": {
        "beta for the posterior's variance": [
            lambda t, schedule: 1 - schedule.alpha_bar[t] / schedule.alpha_bar[t - 1],
            lambda t, schedule: 1 - schedule.alpha[t],
        ],
        "standard deviation for variance": [
            lambda t, schedule: variance_by_snr(t, schedule) ** 0.5,
            lambda t, schedule: (
                (1 - schedule.alpha[t])
                * ((1 - schedule.alpha_bar[t - 1]) / (1 - schedule.alpha_bar[t])).sqrt()
            ),
        ],
        "ratio upside down": [
            lambda t, schedule: (
                (1 - schedule.alpha_bar[t]) / (1 - schedule.alpha_bar[t - 1]) * schedule.beta[t]
            ),
            lambda t, schedule: [
                (schedule.beta[k] / (schedule.sigma[k - 1] / schedule.sigma[k]) ** 2).item()
                for k in t.tolist()
            ],
        ],
        "alpha_bar for 1 − alpha_bar": [
            lambda t, schedule: schedule.beta[t] / schedule.alpha[t],
            lambda t, schedule: schedule.beta[t] * (schedule.signal[t - 1] / schedule.signal[t]) ** 2,
        ],
        "off by one in t": [
            lambda t, schedule: variance_by_snr(torch.minimum(t + 1, torch.tensor(schedule.T)), schedule),
            lambda t, schedule: torch.cat(
                [
                    variance_from_a_whole_table(torch.arange(schedule.T + 1), schedule)[1:],
                    posterior_variance(torch.tensor([schedule.T]), schedule),
                ]
            )[t],
        ],
        "zero at t = 1 replaced": [
            lambda t, schedule: torch.where(
                t == 1, variance_by_snr(t * 0 + 2, schedule), variance_by_snr(t, schedule)
            ),
            lambda t, schedule: variance_from_a_whole_table(t + (t == 1), schedule),
        ],
        "wrong dtype": [
            lambda t, schedule: variance_by_snr(t, schedule).float(),
            lambda t, schedule: torch.tensor(variance_in_a_loop(t, schedule), dtype=torch.float32),
        ],
        "changed input": [
            lambda t, schedule: (
                schedule.beta[t] * schedule.sigma[t.sub_(1)] ** 2 / schedule.sigma[t + 1] ** 2
            ),
        ],
    },
    "posterior_mean": {
        "t along the last axis": [
            lambda x0, x_t, t, schedule: (
                right_a(schedule.alpha_bar[t], schedule.alpha_bar[t - 1], schedule.beta[t]) * x0
                + right_b(schedule.alpha_bar[t], schedule.alpha_bar[t - 1], schedule.beta[t]) * x_t
            ).to(x0.dtype),
            lambda x0, x_t, t, schedule: (
                posterior_weights(t, t - 1, schedule)[0] * x0 + posterior_weights(t, t - 1, schedule)[1] * x_t
            ).to(x0.dtype),
        ],
        "x_0 and x_t swapped": [
            lambda x0, x_t, t, schedule: q_posterior(x_t, x0, t, schedule).mean,
            mean_of(right_b, right_a),
        ],
        "missing square root": [
            mean_of(lambda ab, before, beta: before * beta / (1 - ab), right_b),
            mean_of(right_a, lambda ab, before, beta: (1 - beta) * (1 - before) / (1 - ab)),
            mean_of(
                lambda ab, before, beta: before * beta / (1 - ab),
                lambda ab, before, beta: ab / before * (1 - before) / (1 - ab),
            ),
        ],
        "alpha_bar of t for t − 1": [
            mean_of(lambda ab, before, beta: ab**0.5 * beta / (1 - ab), right_b),
            lambda x0, x_t, t, schedule: mean_by_the_package(
                x0 * shaped(schedule.alpha[t].sqrt(), x0).to(x0.dtype), x_t, t, schedule
            ),
        ],
        "alpha_bar for alpha": [
            mean_of(right_a, lambda ab, before, beta: ab**0.5 * (1 - before) / (1 - ab)),
            lambda x0, x_t, t, schedule: mean_by_the_package(
                x0, x_t * shaped(schedule.signal[t - 1], x0).to(x0.dtype), t, schedule
            ),
        ],
        "standard deviation for variance": [
            mean_of(
                lambda ab, before, beta: before**0.5 * beta / (1 - ab) ** 0.5,
                lambda ab, before, beta: (1 - beta) ** 0.5 * ((1 - before) / (1 - ab)) ** 0.5,
            ),
            lambda x0, x_t, t, schedule: (
                (
                    shaped(schedule.signal[t - 1] * schedule.beta[t], x0) * x0
                    + shaped(schedule.alpha[t].sqrt() * schedule.sigma[t - 1], x0) * x_t
                )
                / shaped(schedule.sigma[t], x0)
            ).to(x0.dtype),
        ],
        "off by one in t": [
            lambda x0, x_t, t, schedule: posterior_mean(x0, x_t, t - 1, schedule),
            lambda x0, x_t, t, schedule: mean_of(right_a, right_b)(x0, x_t, t - 1, schedule),
        ],
        "changed input": [mean_in_place],
        "wrong dtype": [mean_in_single],
    },
    "walk_back": {
        "variance for standard deviation": [walking(variance_step), walking(variance_step_again)],
        "mean for sample": [
            walking(mean_step),
            lambda x0, x_T, schedule, noise: walk_in_numpy(x0, x_T, schedule, 0 * noise),
        ],
        "beta for the posterior's variance": [walking(beta_step), walking(beta_by_alpha_step)],
        "states in the order of the walk": [
            walking(package_step, order=1),
            lambda x0, x_T, schedule, noise: np.flip(walk_in_numpy(x0, x_T, schedule, noise), 0).copy(),
        ],
        "x_T in every step": [
            walking(forgetful_step),
            lambda x0, x_T, schedule, noise: torch.stack(
                [package_step(x0, x_T, t, schedule, noise, x_T) for t in range(1, schedule.T + 1)] + [x_T]
            ),
        ],
        "off by one in the noise": [
            walking(wrong_noise_step),
            lambda x0, x_T, schedule, noise: walk_in_numpy(x0, x_T, schedule, noise.roll(1, 0)),
        ],
        "last state only": [walk_once_only, lambda *a: torch.as_tensor(walk_in_numpy(*a))[0]],
        "noise of its own": [walking(own_noise_step), with_own_noise],
    },
}

TWO = {
    "posterior_precision": [
        lambda t, s, schedule: 1 / schedule.sigma[s] + 1 / schedule.beta[t],
        lambda t, s, schedule: 1 / schedule.signal[s] ** 2 + 1 / gap(t, s, schedule)[1],
    ],
    "posterior_variance": [
        lambda t, schedule: (
            schedule.beta[t].sqrt() * schedule.sigma[t] / schedule.sigma[t - 1].clamp(min=1e-9)
        ),
        lambda t, schedule: schedule.alpha[t] * schedule.alpha_bar[t - 1] / schedule.alpha_bar[t],
    ],
    "posterior_mean": [
        mean_of(
            lambda ab, before, beta: ab * beta / (1 - ab), lambda ab, before, beta: (1 - before) / (1 - ab)
        ),
        lambda x0, x_t, t, schedule: q_posterior(x_t, x0, t, schedule).mean * 0.5,
    ],
    "walk_back": [with_two, lambda x0, x_T, schedule, noise: walking(beta_step)(x0, x0, schedule, noise)],
}

AGREES = {
    "posterior_precision": precision_of_package,
    "posterior_variance": lambda t, schedule: posterior_weights(t, t - 1, schedule)[2],
    "posterior_mean": mean_by_the_package,
    "walk_back": walk_by_the_package,
}
