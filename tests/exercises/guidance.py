"""What students hand in for the exercises of notebook 09."""

import numpy as np
import torch
from scipy.special import logsumexp

from diffusion_lab.schedules import NoiseSchedule


def wide(w, like):
    w = torch.as_tensor(w, dtype=like.dtype)
    return w if w.ndim == 0 else w.view(len(w), *([1] * (like.ndim - 1)))


def by_numpy(eps_c, eps_0, w):
    w = np.asarray(w)
    w = w.reshape(w.shape + (1,) * (eps_0.ndim - 1)) if w.ndim else w
    return (1 - w) * eps_0.numpy() + w * eps_c.numpy()


def by_rows(eps_c, eps_0, w):
    scales = w.tolist() if isinstance(w, torch.Tensor) else [w] * len(eps_0)
    return torch.stack([a + s * (b - a) for a, b, s in zip(eps_0, eps_c, scales, strict=True)])


def by_einsum(eps_c, eps_0, w):
    w = torch.as_tensor(w, dtype=eps_0.dtype).expand(len(eps_0))
    return eps_0 + torch.einsum("b,b...->b...", w, eps_c - eps_0)


RIGHT = {
    "guided_eps": [
        by_numpy,
        by_rows,
        by_einsum,
        lambda eps_c, eps_0, w: torch.lerp(eps_0, eps_c, wide(w, eps_0).expand_as(eps_0).contiguous()),
        lambda eps_c, eps_0, w: (wide(w, eps_0) * eps_c - (wide(w, eps_0) - 1) * eps_0).double(),
        lambda eps_c, eps_0, w: eps_c + (wide(w, eps_0) - 1) * (eps_c - eps_0),
    ],
    "classifier_guided_eps": [
        lambda eps_0, gradient, w, t, schedule: (
            -schedule.sigma[t] * (w * gradient - eps_0 / schedule.sigma[t])
        ),
        lambda eps_0, gradient, w, t, schedule: (
            eps_0.numpy() - w * float(schedule.sigma[t]) * gradient.numpy()
        ),
        lambda eps_0, gradient, w, t, schedule: eps_0 - (1 - schedule.alpha_bar[t]).sqrt() * w * gradient,
        lambda eps_0, gradient, w, t, schedule: torch.sub(
            eps_0, gradient, alpha=w * schedule.sigma[t].item()
        ),
        lambda eps_0, gradient, w, t, schedule: [
            (e - w * schedule.sigma[t] * g).double().numpy() for e, g in zip(eps_0, gradient, strict=True)
        ],
    ],
    "class_log_posterior": [
        lambda log_likelihood, log_weights, c: (
            (log_likelihood + log_weights).log_softmax(-1).gather(1, c[:, None]).squeeze(1)
        ),
        lambda log_likelihood, log_weights, c: (
            -torch.nn.functional.cross_entropy(log_likelihood + log_weights, c, reduction="none")
        ),
        lambda log_likelihood, log_weights, c: [
            float(row[k] + log_weights[k] - torch.logsumexp(row + log_weights, 0))
            for row, k in zip(log_likelihood.double(), c, strict=True)
        ],
        lambda log_likelihood, log_weights, c: (
            (log_likelihood + log_weights).numpy()[np.arange(len(c)), c.numpy()]
            - logsumexp((log_likelihood + log_weights).numpy(), axis=1)
        ),
        lambda log_likelihood, log_weights, c: torch.distributions.Categorical(
            logits=log_likelihood + log_weights
        ).log_prob(c),
    ],
}
WRONG = {
    "guided_eps": {
        "another paper's w": [
            lambda eps_c, eps_0, w: (1 + wide(w, eps_0)) * eps_c - wide(w, eps_0) * eps_0,
        ],
        "points away from the class": [
            lambda eps_c, eps_0, w: eps_0 * (1 + wide(w, eps_0)) - eps_c * wide(w, eps_0),
        ],
        "conditional and unconditional swapped": [
            lambda eps_c, eps_0, w: wide(w, eps_0) * eps_0 + (1 - wide(w, eps_0)) * eps_c
        ],
        "w along the last axis": [lambda eps_c, eps_0, w: (1 - w) * eps_0 + w * eps_c],
        "wrong sign": [lambda eps_c, eps_0, w: -by_einsum(eps_c, eps_0, w)],
        "changed input": [lambda eps_c, eps_0, w: eps_0.add_(wide(w, eps_0) * (eps_c - eps_0))],
        "wrong dtype": [
            lambda eps_c, eps_0, w: (
                by_einsum(eps_c, eps_0, w).bfloat16().float()[:] * 0 + by_einsum(eps_c, eps_0, w).float()
            )
        ],
    },
    "classifier_guided_eps": {
        "adds the gradient": [
            lambda eps_0, gradient, w, t, schedule: eps_0 + schedule.sigma[t] * gradient * w,
        ],
        "score for eps": [lambda eps_0, gradient, w, t, schedule: -(w * gradient - eps_0)],
        "variance for standard deviation": [
            lambda eps_0, gradient, w, t, schedule: eps_0 - w * (1 - schedule.alpha_bar[t]) * gradient
        ],
        "divided by sigma": [
            lambda eps_0, gradient, w, t, schedule: (
                (eps_0 * schedule.sigma[t] - w * gradient) / schedule.sigma[t]
            )
        ],
        "signal and sigma swapped": [
            lambda eps_0, gradient, w, t, schedule: eps_0 - w * schedule.alpha_bar[t].sqrt() * gradient
        ],
        "off by one in t": [
            lambda eps_0, gradient, w, t, schedule: (
                eps_0 - w * gradient * torch.cat([schedule.sigma[:1], schedule.sigma])[t]
            )
        ],
    },
    "class_log_posterior": {
        "weights of the classes forgotten": [
            lambda log_likelihood, log_weights, c: log_likelihood.log_softmax(1)[range(len(c)), c]
        ],
        "not normalised": [
            lambda log_likelihood, log_weights, c: torch.stack(
                [row[k] + log_weights[k] for row, k in zip(log_likelihood, c, strict=True)]
            )
        ],
        "probability for its logarithm": [
            lambda log_likelihood, log_weights, c: (log_likelihood + log_weights).softmax(1)[
                torch.arange(len(c)), c
            ]
        ],
        "normalised over the batch": [
            lambda log_likelihood, log_weights, c: (
                (log_likelihood + log_weights) - (log_likelihood + log_weights).logsumexp(0)
            )[torch.arange(len(c)), c]
        ],
        "underflow": [
            lambda log_likelihood, log_weights, c: torch.log(
                (log_likelihood.exp() * log_weights.exp())[torch.arange(len(c)), c]
                / (log_likelihood.exp() * log_weights.exp()).sum(1)
            )
        ],
    },
}
TWO = {
    "guided_eps": [
        lambda eps_c, eps_0, w: (1 + w) * eps_c - w * eps_0,
        lambda eps_c, eps_0, w: eps_0 + wide(w, eps_0) * eps_c,
    ],
    "classifier_guided_eps": [
        lambda eps_0, gradient, w, t, schedule: eps_0 + w * gradient,
        lambda eps_0, gradient, w, t, schedule: eps_0 - w * schedule.sigma[max(t - 1, 0)] ** 2 * gradient,
    ],
    "class_log_posterior": [
        lambda log_likelihood, log_weights, c: log_likelihood.softmax(1)[torch.arange(len(c)), c],
        lambda log_likelihood, log_weights, c: (log_likelihood + log_weights).log_softmax(0).amax(1),
    ],
}


def through_the_package(eps_0, gradient, w, t, schedule: NoiseSchedule):
    from diffusion_lab.guidance import classifier
    from diffusion_lab.views import Prediction

    x_t = torch.zeros_like(eps_0)
    denoiser = classifier(
        lambda x, t: Prediction.from_eps(eps_0, x, t, schedule),
        lambda x, t: (x * gradient).flatten(1).sum(1),
        w,
    )
    return denoiser(x_t, t).eps


AGREES = {"classifier_guided_eps": through_the_package}
