"""What students hand in for the exercises of notebook 17."""

import math

import numpy as np
import torch

RIGHT = {
    "diffusers_table": [
        lambda schedule: schedule.alpha_bar[1:],
        lambda schedule: schedule.alpha[1:].cumprod(0),
        lambda schedule: np.cumprod(1 - schedule.beta.numpy())[1:],
        lambda schedule: [1 - s**2 for s in schedule.sigma.tolist()][1:],
        lambda schedule: torch.stack([schedule.signal[t] ** 2 for t in range(1, schedule.T + 1)]),
        lambda schedule: np.array(schedule.alpha_bar.tolist()[-schedule.T :]),
    ],
    "diffusers_trailing": [
        lambda T, steps: np.round(np.arange(T, 0, -T / steps))[:steps].astype(int) - 1,
        lambda T, steps: torch.tensor([round(T * (steps - i) / steps) for i in range(steps)]) - 1,
        lambda T, steps: [math.floor(T - i * T / steps + 0.5) - 1 for i in range(steps)],
        lambda T, steps: [
            t - 1 for t in sorted({round(T * k / steps) for k in range(1, steps + 1)}, reverse=True)
        ],
        lambda T, steps: (
            (torch.linspace(T, T / steps, steps, dtype=torch.float64).round() - 1).long().tolist()
        ),
    ],
    "scale_model_input": [
        lambda y, sigma_bar: y * math.cos(math.atan(sigma_bar)),
        lambda y, sigma_bar: y.numpy() / np.hypot(1, sigma_bar),
        lambda y, sigma_bar: y.double() * (1 + sigma_bar**2) ** -0.5,
        lambda y, sigma_bar: y * torch.rsqrt(torch.tensor(1 + sigma_bar**2, dtype=torch.float64)),
        lambda y, sigma_bar: torch.stack([row / math.sqrt(1 + sigma_bar * sigma_bar) for row in y]),
    ],
}
WRONG = {
    "diffusers_table": {
        "off by one in t": [
            lambda schedule: torch.tensor([schedule.signal[t] ** 2 for t in range(schedule.T)])
        ],
        "one entry too many": [lambda schedule: (1 - schedule.beta).cumprod(0)],
        "square root for its square": [lambda schedule: schedule.alpha[1:].sqrt().cumprod(0)],
        "signal and sigma swapped": [lambda schedule: 1 - schedule.alpha_bar[1:]],
        "alpha for alpha_bar": [lambda schedule: 1 - schedule.beta[1:]],
        "wrong dtype": [lambda schedule: schedule.alpha_bar[1:].float()],
    },
    "diffusers_trailing": {
        "our times, not theirs": [lambda T, steps: np.round(T * np.arange(steps, 0, -1) / steps).astype(int)],
        "leading for trailing": [lambda T, steps: list(reversed(range(0, steps * (T // steps), T // steps)))],
        "includes the clean end": [lambda T, steps: [round(T * k / steps) - 1 for k in range(steps, -1, -1)]],
        "from low to high": [lambda T, steps: [round(T * k / steps) - 1 for k in range(1, steps + 1)]],
        "cut off instead of rounded": [lambda T, steps: list(range(T - 1, -1, -(T // steps)))[:steps]],
    },
    "scale_model_input": {
        "missing square root": [lambda y, sigma_bar: y * math.cos(math.atan(sigma_bar)) ** 2],
        "the other way round": [lambda y, sigma_bar: y * math.hypot(1, sigma_bar)],
        "divided by the noise": [lambda y, sigma_bar: y * (1 / sigma_bar)],
        "standard deviations added": [lambda y, sigma_bar: y * (1 / (sigma_bar + 1))],
        "not scaled": [lambda y, sigma_bar: 1.0 * y],
        "changed input": [lambda y, sigma_bar: y.div_(math.hypot(1, sigma_bar))],
        "wrong sign": [lambda y, sigma_bar: -y / math.hypot(1, sigma_bar)],
    },
}
TWO = {
    "diffusers_table": [lambda schedule: schedule.signal, lambda schedule: schedule.alpha],
    "diffusers_trailing": [
        lambda T, steps: [round(T * k / steps) for k in range(1, steps + 1)],
        lambda T, steps: [T - i * (T // steps) for i in range(steps)],
    ],
    "scale_model_input": [
        lambda y, sigma_bar: y * (1 + sigma_bar**2),
        lambda y, sigma_bar: y / (1 + sigma_bar) ** 2,
    ],
}


def by_the_library(T, steps):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(num_train_timesteps=T, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    return scheduler.timesteps


AGREES = {"diffusers_trailing": by_the_library, "diffusers_table": lambda schedule: schedule.alpha_bar[1:]}
