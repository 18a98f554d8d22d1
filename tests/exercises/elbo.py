"""What students hand in for the exercises of notebook 11."""

import math

import numpy as np
import torch

from diffusion_lab.elbo import NegativeELBO, reverse_variance, simple_weights
from diffusion_lab.forward import posterior_weights, q_posterior
from diffusion_lab.gaussian import Gaussian, kl

LN2 = math.log(2)

# ---------------------------------------------------------------- step_kl


def kl_by_package(x0, guess, x_t, t, schedule):
    truth, model = q_posterior(x0, x_t, t, schedule), q_posterior(guess, x_t, t, schedule)
    return kl(truth, Gaussian(model.mean, truth.var))


def kl_by_snr(x0, guess, x_t, t, schedule):
    return (
        0.5 * (schedule.snr[t - 1] - schedule.snr[t]) * torch.sum((x0 - guess) ** 2, tuple(range(1, x0.ndim)))
    )


def kl_in_numpy(x0, guess, x_t, t, schedule):
    away = (x0 - guess).double().numpy().reshape(len(x0), -1)
    ab, before = schedule.alpha_bar[t].item(), schedule.alpha_bar[t - 1].item()
    return 0.5 * np.einsum("bd,bd->b", away, away) * (before / (1 - before) - ab / (1 - ab))


def kl_in_a_loop(x0, guess, x_t, t, schedule):
    c, _, variance = posterior_weights(t, t - 1, schedule)
    found = []
    for a, b in zip(x0, guess, strict=True):
        found.append(sum((c.item() * d) ** 2 for d in (a - b).flatten().tolist()) / variance.item() / 2)
    return found


def kl_by_torch(x0, guess, x_t, t, schedule):
    q, p = (
        q_posterior(x0.double(), x_t.double(), t, schedule),
        q_posterior(guess.double(), x_t.double(), t, schedule),
    )
    sd = q.var.sqrt()
    both = (torch.distributions.Normal(each.mean, sd) for each in (q, p))
    return torch.distributions.kl_divergence(*both).flatten(1).sum(1)


def kl_by_means(x0, guess, x_t, t, schedule):
    q, p = q_posterior(x0, x_t, t, schedule), q_posterior(guess, x_t, t, schedule)
    return (q.mean - p.mean).flatten(1).norm(dim=1) ** 2 / q.var / 2


def apart(x0, guess, x_t, t, schedule):
    q, p = q_posterior(x0, x_t, t, schedule), q_posterior(guess, x_t, t, schedule)
    return (q.mean - p.mean).flatten(1).square(), q.var


def kl_changed(x0, guess, x_t, t, schedule):
    guess -= x0
    return 0.5 * (schedule.snr[t - 1] - schedule.snr[t]) * guess.flatten(1).square().sum(1)


# ---------------------------------------------------------------- simple_weight


def weight_of_package(t, schedule):
    return simple_weights(schedule)[t]


def weight_by_ddpm(t, schedule):
    small = schedule.beta[t] * (1 - schedule.alpha_bar[t - 1]) / (1 - schedule.alpha_bar[t])
    return schedule.beta[t] ** 2 / (2 * small * schedule.alpha[t] * (1 - schedule.alpha_bar[t]))


def weight_by_expm1(t, schedule):
    return torch.expm1(schedule.log_snr[t - 1] - schedule.log_snr[t]) / 2


def weight_in_a_loop(t, schedule):
    found = []
    for k in t.tolist():
        a, b = (schedule.signal[j].item() / schedule.sigma[j].item() for j in (k, k - 1))
        found.append((b * b - a * a) / (2 * a * a))
    return found


def weight_in_numpy(t, schedule):
    snr = schedule.snr.numpy()
    return 0.5 * (snr[t.numpy() - 1] - snr[t.numpy()]) / snr[t.numpy()]


def weight_by_beta(t, schedule):
    return schedule.beta[t] / (2 * schedule.alpha[t] * schedule.sigma[t - 1] ** 2)


# ---------------------------------------------------------------- negative_elbo


def weights(schedule):
    return simple_weights(schedule)[2:]


def elbo_by_package(errors, prior, reconstruction, schedule):
    nats = simple_weights(schedule) * errors
    nats[:, :2] = 0
    return NegativeELBO(prior, nats, reconstruction, 1).total


def elbo_in_a_loop(errors, prior, reconstruction, schedule):
    total = prior + reconstruction
    for t in range(2, schedule.T + 1):
        total = total + 0.5 * (schedule.snr[t - 1] / schedule.snr[t] - 1) * errors[:, t]
    return total


def elbo_by_matmul(errors, prior, reconstruction, schedule):
    return errors[:, 2:] @ weights(schedule) + prior + reconstruction


def elbo_in_numpy(errors, prior, reconstruction, schedule):
    w = simple_weights(schedule).numpy().copy()
    w[:2] = 0
    return prior.numpy() + reconstruction.numpy() + np.einsum("bt,t->b", errors.numpy(), w)


def elbo_by_examples(errors, prior, reconstruction, schedule):
    table = weights(schedule).tolist()
    return [
        p.item() + r.item() + sum(w * e for w, e in zip(table, row.tolist()[2:], strict=True))
        for row, p, r in zip(errors, prior, reconstruction, strict=True)
    ]


def elbo_backwards(errors, prior, reconstruction, schedule):
    total = prior.clone()
    for t in range(schedule.T, 1, -1):
        total += (schedule.snr[t - 1] / schedule.snr[t] - 1) * errors[:, t] / 2
    return total + reconstruction


def elbo_in_place(errors, prior, reconstruction, schedule):
    prior += errors[:, 2:] @ weights(schedule)
    return prior + reconstruction


def divergence_of_the_books(mean_p, var_p, mean_q, var_q):
    sd_p, sd_q = var_p.sqrt(), var_q.sqrt()
    return ((sd_q / sd_p).log() + (var_p + (mean_p - mean_q) ** 2) / (2 * var_q) - 0.5).sum(dim=-1)


def divergence_by_torch(mean_p, var_p, mean_q, var_q):
    p, q = (torch.distributions.Normal(m, v.sqrt()) for m, v in ((mean_p, var_p), (mean_q, var_q)))
    return torch.distributions.kl_divergence(p, q).sum(1)


def divergence_by_matrices(mean_p, var_p, mean_q, var_q):
    p, q = (
        torch.distributions.MultivariateNormal(m, torch.diag_embed(v))
        for m, v in ((mean_p, var_p), (mean_q, var_q))
    )
    return torch.distributions.kl_divergence(p, q)


def divergence_by_numpy(mean_p, var_p, mean_q, var_q):
    mp, vp, mq, vq = (x.numpy().astype(np.float64) for x in (mean_p, var_p, mean_q, var_q))
    return 0.5 * np.sum(np.log(vq) - np.log(vp) + (vp + (mp - mq) ** 2) / vq - 1, axis=1)


def divergence_in_a_loop(mean_p, var_p, mean_q, var_q):
    found = []
    for row in zip(mean_p.tolist(), var_p.tolist(), mean_q.tolist(), var_q.tolist(), strict=True):
        each = [(a + (m - n) ** 2) / b - 1 - math.log(a / b) for m, a, n, b in zip(*row, strict=True)]
        found.append(sum(each) / 2)
    return found


def divergence_of_the_package(mean_p, var_p, mean_q, var_q):
    return kl(Gaussian(mean_p, var_p), Gaussian(mean_q, var_q))


RIGHT = {
    "gaussian_kl": [
        divergence_of_the_books,
        divergence_by_torch,
        divergence_by_matrices,
        divergence_by_numpy,
        divergence_in_a_loop,
        divergence_of_the_package,
    ],
    "step_kl": [kl_by_package, kl_by_snr, kl_in_numpy, kl_in_a_loop, kl_by_torch, kl_by_means],
    "simple_weight": [
        weight_of_package,
        weight_by_ddpm,
        weight_by_expm1,
        weight_in_a_loop,
        weight_in_numpy,
        weight_by_beta,
    ],
    "negative_elbo": [
        elbo_by_package,
        elbo_in_a_loop,
        elbo_by_matmul,
        elbo_in_numpy,
        elbo_by_examples,
        elbo_backwards,
    ],
}

WRONG = {
    "gaussian_kl": {
        "bits for nats": [
            lambda mp, vp, mq, vq: (
                ((vp + (mp - mq) ** 2) / vq - 1).sum(1) / math.log(4) - torch.log2(vp / vq).sum(1) / 2
            )
        ],
        "mean for sum": [
            lambda mp, vp, mq, vq: 0.5 * ((vp + (mp - mq) ** 2) / vq - 1 + torch.log(vq / vp)).mean(1),
        ],
        "missing factor 1/2": [
            lambda mp, vp, mq, vq: ((vp + (mp - mq) ** 2) / vq - 1 + torch.log(vq / vp)).sum(-1)
        ],
        "KL the wrong way round": [
            lambda mp, vp, mq, vq: 0.5 * ((vq + (mp - mq) ** 2) / vp - 1 - torch.log(vq / vp)).sum(-1)
        ],
        "standard deviation for variance": [
            lambda mp, vp, mq, vq: (
                0.5 * ((vp + (mp - mq) ** 2) / vq - 1 + torch.log(vq.sqrt() / vp.sqrt())).sum(-1)
            )
        ],
        "logarithm upside down": [
            lambda mp, vp, mq, vq: (
                (vp.sqrt() / vq.sqrt()).log() + (vp + (mp - mq) ** 2) / (2 * vq) - 0.5
            ).sum(1)
        ],
        "missing −1": [
            lambda mp, vp, mq, vq: 0.5 * (vq.log() - vp.log() + (vp + (mp - mq) ** 2) / vq).sum(1)
        ],
        "means left out": [lambda mp, vp, mq, vq: 0.5 * (vq.log() - vp.log() + vp / vq - 1).sum(1)],
        "wrong sign": [lambda mp, vp, mq, vq: -divergence_by_torch(mp, vp, mq, vq)],
        "wrong dtype": [lambda mp, vp, mq, vq: divergence_of_the_books(mp, vp, mq, vq).half()],
    },
    "step_kl": {
        "missing factor 1/2": [
            lambda x0, guess, x_t, t, schedule: (
                (schedule.snr[t - 1] - schedule.snr[t]) * (x0 - guess).flatten(1).square().sum(1)
            ),
            lambda *a: apart(*a)[0].sum(1) / apart(*a)[1],
        ],
        "mean for sum": [
            lambda *a: apart(*a)[0].mean(1) / 2 / apart(*a)[1],
            lambda *a: kl_by_torch(*a) / a[0][0].numel(),
        ],
        "batch summed away": [
            lambda *a: kl_by_package(*a).sum(),
            lambda x0, guess, x_t, t, schedule: (
                0.5 * (schedule.snr[t - 1] - schedule.snr[t]) * ((x0 - guess) ** 2).sum()
            ),
        ],
        "bits for nats": [
            lambda *a: kl_by_package(*a) / LN2,
            lambda *a: kl_by_snr(*a) * np.log2(np.e),
        ],
        "beta for the posterior's variance": [
            lambda *a: apart(*a)[0].sum(1) / (2 * a[-1].beta[a[-2]]),
            lambda x0, guess, x_t, t, schedule: kl(
                q_posterior(x0, x_t, t, schedule),
                Gaussian(q_posterior(guess, x_t, t, schedule).mean, reverse_variance(schedule, "large")[t]),
            ),
        ],
        "standard deviation for variance": [
            lambda *a: apart(*a)[0].sum(1) / apart(*a)[1].sqrt() / 2,
            lambda *a: kl_by_snr(*a) * posterior_weights(a[-2], a[-2] - 1, a[-1])[2] ** 0.5,
        ],
        "distance of x_0 for that of the means": [
            lambda x0, guess, x_t, t, schedule: kl(
                Gaussian(x0, q_posterior(x0, x_t, t, schedule).var),
                Gaussian(guess, q_posterior(x0, x_t, t, schedule).var),
            ),
            lambda x0, guess, x_t, t, schedule: (
                (x0 - guess).flatten(1).norm(dim=1) ** 2 / (2 * reverse_variance(schedule)[t])
            ),
        ],
        "changed input": [kl_changed],
        "wrong dtype": [
            lambda *a: kl_by_package(*a).half(),
            lambda *a: torch.tensor(kl_in_a_loop(*a)).float(),
        ],
        "wrong sign": [lambda *a: -kl_by_snr(*a)],
    },
    "simple_weight": {
        "missing factor 1/2": [
            lambda t, schedule: schedule.snr[t - 1] / schedule.snr[t] - 1,
            lambda t, schedule: schedule.beta[t] / schedule.alpha[t] / (1 - schedule.alpha_bar[t - 1]),
        ],
        "ratio upside down": [
            lambda t, schedule: (schedule.snr[t] / schedule.snr[t - 1] - 1) / 2,
            lambda t, schedule: -0.5 * torch.expm1(schedule.log_snr[t] - schedule.log_snr[t - 1]),
        ],
        "1 not subtracted": [
            lambda t, schedule: schedule.snr[t - 1] / (2 * schedule.snr[t]),
            lambda t, schedule: weight_by_expm1(t, schedule) + 0.5,
        ],
        "weight of the error in x_0": [
            lambda t, schedule: (schedule.snr[t - 1] - schedule.snr[t]) / 2,
            lambda t, schedule: simple_weights(schedule)[t] * schedule.snr[t],
        ],
        "beta for the posterior's variance": [
            lambda t, schedule: simple_weights(schedule, "large")[t],
            lambda t, schedule: (
                (1 - schedule.alpha[t]) / (2 * schedule.alpha[t] * (1 - schedule.alpha_bar[t]))
            ),
        ],
        "standard deviation for variance": [
            lambda t, schedule: (
                (schedule.signal[t - 1] * schedule.sigma[t] / schedule.sigma[t - 1] / schedule.signal[t] - 1)
                / 2
            ),
            lambda t, schedule: torch.expm1((schedule.log_snr[t - 1] - schedule.log_snr[t]) / 2) / 2,
        ],
        "off by one in t": [
            lambda t, schedule: simple_weights(schedule)[torch.clamp(t + 1, max=schedule.T)],
            lambda t, schedule: torch.cat([simple_weights(schedule)[1:], simple_weights(schedule)[-1:]])[t],
        ],
        "wrong dtype": [lambda t, schedule: weight_by_beta(t, schedule).float()],
        "changed input": [
            lambda t, schedule: 0.5 * (schedule.snr[t - 1] / schedule.snr[t] - 1) + 0 * t.sub_(1),
        ],
    },
    "negative_elbo": {
        "mean for sum": [
            lambda e, p, r, schedule: p + r + (weights(schedule) * e[:, 2:]).mean(dim=1),
            lambda e, p, r, schedule: p + r + (e[:, 2:] @ weights(schedule)) / schedule.T,
        ],
        "weights dropped": [
            lambda e, p, r, schedule: p + r + e[:, 2:].sum(1),
            lambda e, p, r, schedule: p + r + sum(e[:, t] for t in range(2, schedule.T + 1)),
        ],
        "L_0 counted twice": [
            lambda e, p, r, schedule: p + r + (simple_weights(schedule) * e)[:, 1:].sum(1),
            lambda e, p, r, schedule: NegativeELBO(p, simple_weights(schedule) * e, r, 1).total,
        ],
        "last step left out": [
            lambda e, p, r, schedule: (
                p + r + sum((simple_weights(schedule)[t] * e[:, t] for t in range(2, schedule.T)), 0 * p)
            ),
            lambda e, p, r, schedule: p + r + e[:, 2:-1] @ weights(schedule)[:-1],
        ],
        "off by one in t": [
            lambda e, p, r, schedule: p + r + e[:, 1:-1] @ weights(schedule),
            lambda e, p, r, schedule: (
                p + r + sum(simple_weights(schedule)[t] * e[:, t - 1] for t in range(2, schedule.T + 1))
            ),
        ],
        "bits for nats": [
            lambda *a: elbo_by_matmul(*a) / LN2,
            lambda *a: torch.as_tensor(elbo_in_numpy(*a)) * math.log2(math.e),
        ],
        "prior left out": [
            lambda e, p, r, schedule: r + e[:, 2:] @ weights(schedule),
            lambda e, p, r, schedule: elbo_in_a_loop(e, torch.zeros_like(r), r, schedule),
        ],
        "changed input": [elbo_in_place],
        "wrong sign": [lambda *a: -elbo_by_matmul(*a)],
        "wrong dtype": [lambda *a: elbo_by_matmul(*a).float()],
    },
}

TWO = {
    "gaussian_kl": [
        lambda mp, vp, mq, vq: divergence_of_the_books(mp, vp, mq, vq).mean(),
        lambda mp, vp, mq, vq: divergence_of_the_books(mq, vq, mp, vp) / mp.shape[1],
    ],
    "step_kl": [
        lambda *a: apart(*a)[0].mean(1) / apart(*a)[1] / LN2,
        lambda *a: apart(*a)[0].sum(1) / a[-1].beta[a[-2]],
    ],
    "simple_weight": [
        lambda t, schedule: schedule.snr[t - 1] / schedule.snr[t],
        lambda t, schedule: schedule.snr[t - 1] - schedule.snr[t],
    ],
    "negative_elbo": [
        lambda e, p, r, schedule: (p + r + e[:, 2:] @ weights(schedule)) / schedule.T,
        lambda e, p, r, schedule: r + 2 * e[:, 2:] @ weights(schedule),
    ],
}

AGREES = {
    "gaussian_kl": divergence_of_the_package,
    "step_kl": kl_by_package,
    "simple_weight": weight_of_package,
    "negative_elbo": elbo_by_package,
}
