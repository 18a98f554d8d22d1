"""What students hand in for the exercises of notebook 03."""

from itertools import pairwise

import numpy as np
import torch

from diffusion_lab.forward import q_sample, q_step
from diffusion_lab.schedules import NoiseSchedule


def by_numpy(x0, t, schedule, noise):
    return schedule.signal[t].numpy() * x0.numpy() + schedule.sigma[t].numpy() * noise.numpy()


def by_lists(x0, t, schedule, noise):
    a, b = float(schedule.signal[t]), float(schedule.sigma[t])
    flat = [a * x + b * e for x, e in zip(x0.flatten().tolist(), noise.flatten().tolist(), strict=True)]
    return np.array(flat).reshape(x0.shape).tolist()


def of_the_paper(x0, t, schedule, noise):
    return schedule.alpha_bar[t].sqrt() * x0 + (1 - schedule.alpha_bar[t]).sqrt() * noise


def upwards(x0, t, schedule, noise):
    return x0.double().mul(schedule.signal[t]).add(noise.double(), alpha=schedule.sigma[t].item())


def by_stacking(x0, t, schedule, noise):
    return torch.einsum(
        "k,k...->...", torch.stack([schedule.signal[t], schedule.sigma[t]]).to(x0), torch.stack([x0, noise])
    )


# a step of the chain


def step_of_the_paper(x_prev, t, schedule, noise):
    return (1 - schedule.beta[t]) ** 0.5 * x_prev + schedule.beta[t] ** 0.5 * noise


def step_by_numpy(x_prev, t, schedule, noise):
    b = float(schedule.beta[t])
    return np.sqrt(1 - b) * x_prev.numpy() + np.sqrt(b) * noise.numpy()


def step_from_the_jumps(x_prev, t, schedule, noise):
    keep = schedule.signal[t] / schedule.signal[t - 1]
    added = schedule.sigma[t] ** 2 - keep**2 * schedule.sigma[t - 1] ** 2
    return keep * x_prev + added.clamp(min=0).sqrt() * noise


def step_in_a_loop(x_prev, t, schedule, noise):
    out = torch.empty_like(x_prev)
    for b in range(len(x_prev)):
        out[b] = schedule.alpha[t] ** 0.5 * x_prev[b] + schedule.beta[t] ** 0.5 * noise[b]
    return out


def step_as_a_shift(x_prev, t, schedule, noise):
    return (
        (schedule.beta[t] / schedule.alpha[t]).sqrt() * noise * schedule.alpha[t].sqrt()
        + x_prev
        - x_prev * (1 - schedule.alpha[t].sqrt())
    )


# a batch of times


def looped(x0, t, schedule, noise):
    rows = zip(x0, t.tolist(), noise, strict=True)
    return torch.stack([schedule.signal[k] * x + schedule.sigma[k] * e for x, k, e in rows])


def viewed(x0, t, schedule, noise):
    a = schedule.alpha_bar[t].view(-1, *(1,) * (x0.dim() - 1))
    return a**0.5 * x0 + (1 - a) ** 0.5 * noise


def transposed(x0, t, schedule, noise):
    flat, e = x0.flatten(1).T, noise.flatten(1).T  # B is the last axis here
    return (schedule.signal[t] * flat + schedule.sigma[t] * e).T.reshape(x0.shape)


def summed(x0, t, schedule, noise):
    a, b = schedule.signal[t].to(x0.dtype), schedule.sigma[t].to(x0.dtype)
    return torch.einsum("b,b...->b...", a, x0) + torch.einsum("b,b...->b...", b, noise)


def batch_by_numpy(x0, t, schedule, noise):
    k = t.numpy()
    axes = tuple(range(1, x0.ndim))
    a, b = (np.expand_dims(table.numpy()[k], axes) for table in (schedule.signal, schedule.sigma))
    return a * x0.numpy() + b * noise.numpy()


def diagonal(x0, t, schedule, noise):
    flat = schedule.signal[t].diag() @ x0.double().flatten(1) + schedule.sigma[
        t
    ].diag() @ noise.double().flatten(1)
    return flat.reshape(x0.shape)


def batch_in_place(x0, t, schedule, noise):
    a, b = (table[t].reshape(-1, *[1] * (x0.ndim - 1)).to(x0) for table in (schedule.signal, schedule.sigma))
    return x0.mul_(a).add_(b * noise)


# β of long steps


def beta_by_numpy(alpha_bar, times):
    table = alpha_bar.numpy()[times]
    return 1 - table[1:] / table[:-1]


def beta_in_a_loop(alpha_bar, times):
    found = []
    for before, now in pairwise(times):
        found.append(1 - (alpha_bar[now] / alpha_bar[before]).item())
    return found


def beta_of_a_product(alpha_bar, times):
    alpha = alpha_bar[1:] / alpha_bar[:-1]
    return torch.stack([1 - alpha[s:t].prod() for s, t in pairwise(times)])


def beta_by_logs(alpha_bar, times):
    return -torch.expm1(alpha_bar[times].double().log().diff())


def beta_of_a_schedule(alpha_bar, times):
    return NoiseSchedule.from_alpha_bar(alpha_bar.double()[times]).beta[1:]


def beta_over_the_old(alpha_bar, times):
    table = alpha_bar[torch.tensor(times)]
    return (table[:-1] - table[1:]) / table[:-1]


RIGHT = {
    "chain_step": [step_of_the_paper, step_by_numpy, step_from_the_jumps, step_in_a_loop, step_as_a_shift],
    "closed_form": [by_numpy, by_lists, of_the_paper, upwards, by_stacking],
    "noisy_batch": [looped, viewed, transposed, summed, batch_by_numpy, diagonal],
    "strided_beta": [
        beta_by_numpy,
        beta_in_a_loop,
        beta_of_a_product,
        beta_by_logs,
        beta_of_a_schedule,
        beta_over_the_old,
    ],
}
WRONG = {
    "chain_step": {
        "variance for standard deviation": [
            lambda x_prev, t, schedule, noise: (
                schedule.alpha[t].sqrt() * x_prev + (1 - schedule.alpha[t]) * noise
            ),
            lambda x_prev, t, schedule, noise: (
                torch.lerp(x_prev * schedule.alpha[t] ** 0.5, x_prev, 0) + noise * schedule.beta[t]
            ),
        ],
        "missing square root": [
            lambda x_prev, t, schedule, noise: (
                (1 - schedule.beta[t]) * x_prev + schedule.beta[t] ** 0.5 * noise
            ),
        ],
        "alpha_bar for alpha": [
            lambda x_prev, t, schedule, noise: q_sample(x_prev, t, schedule, noise),
            lambda x_prev, t, schedule, noise: (
                schedule.alpha_bar[t] ** 0.5 * x_prev + (1 - schedule.alpha_bar[t]) ** 0.5 * noise
            ),
            lambda x_prev, t, schedule, noise: (
                schedule.alpha_bar[t] ** 0.5 * x_prev + schedule.beta[t] ** 0.5 * noise
            ),
        ],
        "alpha and beta swapped": [
            lambda x_prev, t, schedule, noise: (
                (1 - schedule.beta[t]) ** 0.5 * noise + schedule.beta[t] ** 0.5 * x_prev
            ),
        ],
        "data not shrunk": [
            lambda x_prev, t, schedule, noise: torch.add(x_prev, noise * (1 - schedule.alpha[t]).sqrt())
        ],
        "off by one in t": [
            lambda x_prev, t, schedule, noise: (
                schedule.alpha[:-1][t - 1].sqrt() * x_prev + schedule.beta[:-1][t - 1].sqrt() * noise
            ),
        ],
        "wrong sign": [lambda x_prev, t, schedule, noise: -q_step(x_prev, t, schedule, noise)],
        "changed input": [
            lambda x_prev, t, schedule, noise: (
                x_prev.mul_(schedule.alpha[t].sqrt()) + schedule.beta[t].sqrt() * noise
            )
        ],
    },
    "closed_form": {
        "variance for standard deviation": [
            lambda x0, t, schedule, noise: (
                schedule.alpha_bar[t].sqrt() * x0 + (1 - schedule.alpha_bar[t]) * noise
            ),
        ],
        "alpha_bar for its square root": [
            lambda x0, t, schedule, noise: schedule.signal[t].square() * x0 + schedule.sigma[t] * noise
        ],
        "alpha for alpha_bar": [
            lambda x0, t, schedule, noise: (
                (1 - schedule.beta[t]) ** 0.5 * x0 + schedule.beta[t] ** 0.5 * noise
            ),
        ],
        "signal and sigma swapped": [
            lambda x0, t, schedule, noise: schedule.signal[t] * noise + schedule.sigma[t] * x0
        ],
        "off by one in t": [
            lambda x0, t, schedule, noise: q_sample(x0, max(t - 1, 0), schedule, noise),
        ],
        "wrong sign": [lambda x0, t, schedule, noise: -schedule.signal[t] * x0 - schedule.sigma[t] * noise],
        "wrong dtype": [lambda x0, t, schedule, noise: of_the_paper(x0, t, schedule, noise).half()],
    },
    "noisy_batch": {
        "t along the last axis": [
            lambda x0, t, schedule, noise: (
                schedule.alpha_bar[t].sqrt() * x0 + (1 - schedule.alpha_bar[t]).sqrt() * noise
            ),
            lambda x0, t, schedule, noise: (
                schedule.signal[t].expand_as(x0) * x0 + schedule.sigma[t].expand_as(x0) * noise
            ),
        ],
        "right for [B, D] only": [
            lambda x0, t, schedule, noise: (
                schedule.signal[t].unsqueeze(1) * x0 + schedule.sigma[t].unsqueeze(1) * noise
            ),
            lambda x0, t, schedule, noise: (
                schedule.signal[t].view(-1, 1) * x0 + schedule.sigma[t].view(-1, 1) * noise
            ),
        ],
        "right for [B, C, H, W] only": [
            lambda x0, t, schedule, noise: (
                schedule.signal[t][:, None, None, None] * x0
                + (1 - schedule.alpha_bar[t][:, None, None, None]).sqrt() * noise
            ),
        ],
        "one time for all": [lambda x0, t, schedule, noise: q_sample(x0, int(t[0]), schedule, noise)],
        "variance for standard deviation": [
            lambda x0, t, schedule, noise: torch.stack(
                [
                    schedule.signal[k] * a + (1 - schedule.alpha_bar[k]) * b
                    for a, b, k in zip(x0, noise, t, strict=True)
                ]
            ),
        ],
        "off by one in t": [
            lambda x0, t, schedule, noise: q_sample(x0, (t - 1).clamp(min=0), schedule, noise)
        ],
        "wrong sign": [lambda x0, t, schedule, noise: q_sample(-x0, t, schedule, -noise)],
        "changed input": [batch_in_place],
    },
    "strided_beta": {
        "alpha_bar of t − 1": [
            lambda alpha_bar, times: torch.stack([1 - alpha_bar[t] / alpha_bar[t - 1] for t in times[1:]]),
            lambda alpha_bar, times: NoiseSchedule.from_alpha_bar(alpha_bar.double()).beta[times[1:]],
        ],
        "sum of the single β": [
            lambda alpha_bar, times: (
                NoiseSchedule.from_alpha_bar(alpha_bar.double()).beta.cumsum(0)[times].diff()
            ),
        ],
        "alpha for beta": [lambda alpha_bar, times: alpha_bar[times].double().log().diff().exp()],
        "difference for ratio": [lambda alpha_bar, times: alpha_bar[times][:-1] - alpha_bar[times][1:]],
        "missing square": [
            lambda alpha_bar, times: 1 - alpha_bar.sqrt()[times[1:]] / alpha_bar.sqrt()[times[:-1]]
        ],
        "alpha_bar from 0": [lambda alpha_bar, times: (1 - alpha_bar)[times][1:]],
        "wrong sign": [lambda alpha_bar, times: alpha_bar[times[1:]] / alpha_bar[times[:-1]] - 1],
    },
}
TWO = {
    "chain_step": [
        lambda x_prev, t, schedule, noise: schedule.alpha[t] * x_prev + schedule.beta[t] * noise,
        lambda x_prev, t, schedule, noise: x_prev + schedule.beta[t] * noise,
    ],
    "closed_form": [
        lambda x0, t, schedule, noise: schedule.alpha_bar[t] * x0 + (1 - schedule.alpha_bar[t]) * noise,
        lambda x0, t, schedule, noise: (schedule.signal[t] * x0 + schedule.sigma[t] ** 2 * noise).float(),
    ],
    "noisy_batch": [
        lambda x0, t, schedule, noise: schedule.signal[t] * x0 + schedule.sigma[t] ** 2 * noise,
        lambda x0, t, schedule, noise: q_sample(x0, t.flip(0), schedule, 2 * noise),
    ],
    "strided_beta": [
        lambda alpha_bar, times: 1 - alpha_bar[times[:-1]] / alpha_bar[times[1:]],
        lambda alpha_bar, times: (1 - (alpha_bar[times[1:]] / alpha_bar[times[:-1]])) ** 0.5,
    ],
}
AGREES = {
    "chain_step": q_step,
    "closed_form": q_sample,
    "noisy_batch": q_sample,
    "strided_beta": beta_of_a_schedule,
}
