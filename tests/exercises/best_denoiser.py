"""What students hand in for the exercises of notebook 04."""

import math

import numpy as np
import torch

from diffusion_lab.exact import Empirical, GaussianMixture
from diffusion_lab.views import Prediction

# one Gaussian


def by_precisions(x_t, t, schedule, mean, std):
    a, b = schedule.signal[t].item(), schedule.sigma[t].item()
    if b == 0:
        return x_t
    return (mean / std**2 + a * x_t / b**2) / (1 / std**2 + a**2 / b**2)


def by_numpy(x_t, t, schedule, mean, std):
    a, b = schedule.signal[t].numpy(), schedule.sigma[t].numpy()
    gain = a * std**2 / (a**2 * std**2 + b**2)
    return (1 - gain * a) * mean.numpy() + gain * x_t.numpy()


def by_loops(x_t, t, schedule, mean, std):
    a, b = float(schedule.signal[t]), float(schedule.sigma[t])
    gain = a * std * std / (a * a * std * std + b * b)
    centre, rows = mean.flatten().tolist(), x_t.flatten(1).tolist()
    flat = [[m + gain * (x - a * m) for x, m in zip(row, centre, strict=True)] for row in rows]
    return torch.tensor(flat, dtype=torch.float64).reshape(x_t.shape)


def of_the_paper(x_t, t, schedule, mean, std):
    a = schedule.alpha_bar[t]
    return mean + a.sqrt() * std**2 / (a * std**2 + 1 - a) * (x_t - a.sqrt() * mean)


def by_a_mixture(x_t, t, schedule, mean, std):
    return GaussianMixture(mean[None].double(), [std]).denoiser(schedule)(x_t.double(), t).x0


def by_error(x_t, t, schedule, mean, std):
    """x_t/signal, and then a part of the way back to the mean."""
    noise = (schedule.sigma[t] / schedule.signal[t]) ** 2
    return torch.lerp(
        x_t.double() / schedule.signal[t], mean.double().expand_as(x_t), noise / (noise + std**2)
    )


def gain_by(f):
    """A student's gaussian_denoiser with another gain: f of signal, sigma, std."""

    def student(x_t, t, schedule, mean, std):
        a, b = schedule.signal[t].item(), schedule.sigma[t].item()
        return (1 - f(a, b, std) * a) * mean + f(a, b, std) * x_t

    return student


# a finite set


def ideal_by_numpy(x_t, t, schedule, points):
    y = points.numpy().reshape(len(points), -1).astype(float)
    x = x_t.numpy().reshape(len(x_t), -1).astype(float)
    log_w = (
        -((x[:, None, :] - schedule.signal[t].item() * y[None]) ** 2).sum(-1)
        / 2
        / schedule.sigma[t].item() ** 2
    )
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    return (w @ y / w.sum(1, keepdims=True)).reshape(x_t.shape)


def ideal_by_loops(x_t, t, schedule, points):
    found = []
    for x in x_t.double():
        log_w = [-((x - schedule.signal[t] * y) ** 2).sum() / (2 * schedule.sigma[t] ** 2) for y in points]
        w = [math.exp(lw - max(log_w)) for lw in log_w]
        found.append(sum(a / sum(w) * y for a, y in zip(w, points, strict=True)))
    return torch.stack(found)


def ideal_by_logsumexp(x_t, t, schedule, points):
    shape = [1] * (x_t.ndim - 1)
    gap = x_t.unsqueeze(1) - schedule.signal[t] * points.unsqueeze(0)
    log_w = -gap.square().flatten(2).sum(-1) / (2 * (1 - schedule.alpha_bar[t]))
    w = (log_w - log_w.logsumexp(1, keepdim=True)).exp()
    return (w.reshape(*w.shape, *shape) * points).sum(1)


def ideal_by_cdist(x_t, t, schedule, points):
    y = points.flatten(1).double()
    d = torch.cdist(
        x_t.flatten(1).double(), schedule.signal[t] * y, compute_mode="donot_use_mm_for_euclid_dist"
    )
    return torch.einsum("bn,nd->bd", torch.softmax(-0.5 * (d / schedule.sigma[t]) ** 2, dim=-1), y).view(
        x_t.shape
    )


def ideal_by_expansion(x_t, t, schedule, points):
    y, x = points.flatten(1).double(), x_t.flatten(1).double()
    a, b = schedule.signal[t], schedule.sigma[t]
    log_w = (a * x @ y.mT - a**2 / 2 * (y**2).sum(1)) / b**2
    return (log_w.softmax(1) @ y).reshape(x_t.shape)


def ideal_transposed(x_t, t, schedule, points):
    y = points.reshape(len(points), -1)
    squares = (y[:, None] * schedule.signal[t] - x_t.reshape(1, len(x_t), -1)).pow(2).sum(-1)
    return (torch.softmax(squares / (-2 * schedule.sigma[t] ** 2), 0).T @ y).reshape(x_t.shape)


def squares_by_loop(x_t, places):
    return torch.stack([(x_t - y).square().flatten(1).sum(1) for y in places], dim=1)


def ideal_with(weights):
    """A student's ideal_denoiser with other weights [B, N]: a function of (squares, schedule, t, D)."""

    def student(x_t, t, schedule, points):
        squares = squares_by_loop(x_t, schedule.signal[t] * points)
        w = weights(squares, schedule, t, points[0].numel())
        return torch.einsum("bn,n...->b...", w.to(points), points)

    return student


def naive(squares, schedule, t, D):
    return torch.exp(-0.5 * squares / schedule.sigma[t] ** 2)


# eps from score


def score_by_numpy(score, t, schedule):
    return (-schedule.sigma.numpy()[t.numpy()] * score.numpy().T).T


def score_by_loop(score, t, schedule):
    return [-(schedule.sigma[when].item() * one) for one, when in zip(score, t.tolist(), strict=True)]


def score_by_einsum(score, t, schedule):
    return -torch.einsum("b,b...->b...", schedule.sigma[t], score.double())


def score_of_the_paper(score, t, schedule):
    return -(1 - schedule.alpha_bar[t].view(-1, *(1,) * (score.dim() - 1))).sqrt() * score


def score_by_movedim(score, t, schedule):
    return (score.movedim(0, -1) * schedule.sigma[t] * -1).movedim(-1, 0)


# the score of a mixture


def by_autograd(x, means, stds, weights):
    x = x.double().requires_grad_()
    parts = [torch.distributions.Normal(m, s).log_prob(x).sum(1) for m, s in zip(means, stds, strict=True)]
    total = torch.logsumexp(torch.stack(parts, 1) + weights.log(), 1).sum()
    return torch.autograd.grad(total, x)[0]


def mixture_by_numpy(x, means, stds, weights):
    x, means, stds, weights = (a.double().numpy() for a in (x, means, stds, weights))
    gap = means[None] - x[:, None]
    log_p = np.log(weights) - x.shape[1] * np.log(stds) - (gap**2).sum(-1) / 2 / stds**2
    p = np.exp(log_p - log_p.max(1, keepdims=True))
    return np.einsum("bk,bkd->bd", p / p.sum(1, keepdims=True), gap / stds[:, None] ** 2)


def mixture_by_loops(x, means, stds, weights):
    rows = []
    for one in x.double():
        own = [(m - one) / s**2 for m, s in zip(means, stds, strict=True)]
        log_p = torch.stack(
            [w.log() - len(one) * s.log() - ((one - m) @ (one - m)) / (2 * s * s)
             for m, s, w in zip(means.double(), stds.double(), weights.double(), strict=True)]
        )  # fmt: skip
        p = torch.exp(log_p - torch.logsumexp(log_p, 0))
        rows.append(sum(a * b for a, b in zip(p, own, strict=True)))
    return torch.stack(rows)


def by_guess(x, means, stds, weights):
    """Through the average precision and the average mean."""
    squares = torch.cdist(x.double(), means.double()) ** 2
    p = torch.softmax(
        weights.log() - x.shape[1] / 2 * torch.log(2 * math.pi * stds**2) - squares / 2 / stds**2, 1
    )
    precise = p / stds**2
    return precise @ means.double() - precise.sum(1, keepdim=True) * x


def by_the_package(x, means, stds, weights):
    return GaussianMixture(means, stds, weights=weights).score(x)


def mixture_with(
    log_p, own=lambda gap, stds: gap / stds[:, None].square(), rule=lambda lp: torch.softmax(lp, -1)
):
    """A student's mixture_score with other log-probabilities, own scores, or another rule."""

    def student(x, means, stds, weights):
        gap = means.unsqueeze(0) - x.unsqueeze(1)
        p = rule(log_p(gap.pow(2).sum(-1), stds, weights, x.shape[-1]))
        return torch.einsum("bk,bkd->bd", p, own(gap, stds))

    return student


def log_p(squares, stds, weights, D):
    return torch.log(weights) - D * torch.log(stds) - squares / stds**2 / 2


def guess_in_a_loop(joint, values):
    found = []
    for column in joint.T.tolist():
        found.append(sum(p * x for p, x in zip(column, values.tolist(), strict=True)) / sum(column))
    return found


def guess_by_matrix(joint, values):
    return values @ (joint / joint.sum(0))


def guess_by_numpy(joint, values):
    return np.average(np.broadcast_to(values.numpy()[:, None], joint.shape), axis=0, weights=joint.numpy())


def guess_by_einsum(joint, values):
    given = joint / joint.sum(0, keepdim=True)
    return torch.einsum("ij,i->j", given, values)


def guess_of_the_other_axis(joint, values):
    return (joint.double().T * values.double()).sum(1) / joint.double().T.sum(1)


RIGHT = {
    "best_guess": [
        guess_in_a_loop,
        guess_by_matrix,
        guess_by_numpy,
        guess_by_einsum,
        guess_of_the_other_axis,
    ],
    "gaussian_denoiser": [by_precisions, by_numpy, by_loops, of_the_paper, by_a_mixture, by_error],
    "ideal_denoiser": [
        ideal_by_numpy,
        ideal_by_loops,
        ideal_by_logsumexp,
        ideal_by_cdist,
        ideal_by_expansion,
        ideal_transposed,
    ],
    "eps_from_score": [score_by_numpy, score_by_loop, score_by_einsum, score_of_the_paper, score_by_movedim],
    "mixture_score": [by_autograd, mixture_by_numpy, mixture_by_loops, by_guess, by_the_package],
}
WRONG = {
    "best_guess": {
        "joint for conditional": [lambda joint, values: (values.reshape(-1, 1) * joint).sum(dim=0)],
        "guess without y": [lambda joint, values: np.full(joint.shape[1], float((joint.T @ values).sum()))],
        "mode for mean": [
            lambda joint, values: [values[int(k)].item() for k in (joint / joint.sum(0)).argmax(dim=0)]
        ],
        "values along the last axis": [lambda joint, values: (joint / joint.sum(0) * values).sum(0)],
        "given x instead of y": [lambda joint, values: (joint / joint.sum(1)[:, None]).T @ values],
        "plain average": [lambda joint, values: values.sum() / len(values)],
        "wrong sign": [lambda joint, values: -guess_by_matrix(joint, values)],
    },
    "gaussian_denoiser": {
        "standard deviation for variance": [
            gain_by(lambda a, b, std: a * std / (a * std + b)),
            gain_by(lambda a, b, std: a * std / (a * a * std + b * b)),
            gain_by(lambda a, b, std: a / (a * a + b / std**2)),
        ],
        "signal forgotten in the gain": [
            gain_by(lambda a, b, std: 1 / (a * a + b * b / std**2)),
            gain_by(lambda a, b, std: a / (1 + (b / std) ** 2)),
            gain_by(lambda a, b, std: 1 / (1 + (b / a / std) ** 2)),
        ],
        "mean left out": [
            lambda x_t, t, schedule, mean, std: torch.as_tensor(by_numpy(x_t, t, schedule, mean, std)) - mean
        ],
        "x_t rescaled, the data forgotten": [
            lambda x_t, t, schedule, mean, std: x_t * schedule.alpha_bar[t] ** -0.5,
        ],
        "signal and sigma swapped": [
            lambda x_t, t, schedule, mean, std: (
                mean
                + schedule.sigma[t]
                / (schedule.sigma[t] ** 2 + (schedule.signal[t] / std) ** 2)
                * (x_t - schedule.sigma[t] * mean)
            ),
        ],
        "off by one in t": [
            lambda x_t, t, schedule, mean, std: of_the_paper(x_t, max(0, t - 1), schedule, mean, std),
            lambda x_t, t, schedule, mean, std: of_the_paper(x_t, t - 1, schedule, mean, std),
        ],
        "wrong sign": [lambda x_t, t, schedule, mean, std: -of_the_paper(x_t, t, schedule, mean, std)],
        "wrong dtype": [lambda x_t, t, schedule, mean, std: of_the_paper(x_t, t, schedule, mean, std).half()],
        "changed input": [
            lambda x_t, t, schedule, mean, std: (
                of_the_paper(x_t.clone(), t, schedule, mean, std) + 0 * x_t.sub_(1)
            )
        ],
    },
    "ideal_denoiser": {
        "points not scaled by signal": [
            lambda x_t, t, schedule, points: torch.einsum(
                "bn,n...->b...",
                (-squares_by_loop(x_t, points) / 2 / schedule.sigma[t] ** 2).softmax(1),
                points,
            ),
        ],
        "guess scaled by signal": [
            lambda x_t, t, schedule, points: torch.einsum(
                "bn,n...->b...",
                (-squares_by_loop(x_t, schedule.signal[t] * points) / 2 / schedule.sigma[t] ** 2).softmax(1),
                schedule.signal[t] * points,
            ),
        ],
        "missing factor 1/2": [
            ideal_with(lambda sq, schedule, t, D: (-sq / schedule.sigma[t].square()).softmax(1))
        ],
        "standard deviation for variance": [
            ideal_with(lambda sq, schedule, t, D: (-sq / schedule.sigma[t] / 2).softmax(1))
        ],
        "distance for its square": [
            ideal_with(lambda sq, schedule, t, D: (-(sq**0.5) / 2 / schedule.sigma[t] ** 2).softmax(1))
        ],
        "mean for sum": [
            ideal_with(lambda sq, schedule, t, D: torch.softmax(-sq / (2 * D * schedule.sigma[t] ** 2), 1))
        ],
        "softmax over the batch": [
            ideal_with(lambda sq, schedule, t, D: torch.softmax(-0.5 * sq / schedule.sigma[t] ** 2, dim=0))
        ],
        "nearest point for average": [
            ideal_with(
                lambda sq, schedule, t, D: torch.nn.functional.one_hot(sq.min(1).indices, sq.shape[1])
            ),
        ],
        "wrong sign in the exponent": [
            ideal_with(lambda sq, schedule, t, D: (sq / schedule.sigma[t] ** 2 / 2).softmax(1))
        ],
        "softmax without subtracting the largest": [
            ideal_with(lambda *a: naive(*a) / naive(*a).sum(1)[:, None]),
            ideal_with(lambda *a: naive(*a) / (naive(*a).sum(1)[:, None] + 1e-12)),
        ],
        "weights that do not sum to 1": [ideal_with(naive)],
        "off by one in t": [
            lambda x_t, t, schedule, points: ideal_by_logsumexp(x_t, t - 1, schedule, points)
        ],
        "wrong sign": [lambda x_t, t, schedule, points: -ideal_by_logsumexp(x_t, t, schedule, points)],
        "wrong dtype": [lambda x_t, t, schedule, points: ideal_by_cdist(x_t, t, schedule, points).half()],
    },
    "eps_from_score": {
        "t along the last axis": [
            lambda score, t, schedule: -(1 - schedule.alpha_bar[t]).sqrt() * score,
            lambda score, t, schedule: -torch.as_tensor(schedule.sigma.numpy()[t.numpy()] * score.numpy()),
        ],
        "variance for standard deviation": [
            lambda score, t, schedule: torch.einsum(
                "b,b...->b...", schedule.alpha_bar[t] - 1, score.double()
            ),
        ],
        "divided, not multiplied": [
            lambda score, t, schedule: torch.stack(
                [-s / schedule.sigma[k] for s, k in zip(score, t, strict=True)]
            ),
        ],
        "signal and sigma swapped": [
            lambda score, t, schedule: torch.einsum(
                "b,b...->b...", -schedule.alpha_bar[t].sqrt(), score.double()
            ),
        ],
        "off by one in t": [
            lambda score, t, schedule: score_by_einsum(score, (t - 1).clamp(min=0), schedule),
            lambda score, t, schedule: score_by_loop(score, t - 1, schedule),
        ],
        "wrong sign": [lambda score, t, schedule: -score_by_einsum(score, t, schedule)],
        "wrong dtype": [lambda score, t, schedule: score_by_einsum(score, t, schedule).half()],
        "changed input": [
            lambda score, t, schedule: score.mul_(-schedule.sigma[t].reshape(-1, *[1] * (score.ndim - 1)))
        ],
    },
    "mixture_score": {
        "standard deviation for variance": [
            mixture_with(log_p, lambda gap, stds: gap / stds[:, None]),
            mixture_with(lambda sq, s, w, D: w.log() - D * s.log() - sq / 2 / s),
            mixture_with(
                lambda sq, s, w, D: w.log() - D * s.log() - sq / 2 / s, lambda gap, s: gap / s[:, None]
            ),
        ],
        "width left out of the density": [
            mixture_with(lambda sq, s, w, D: w.log() - sq / (2 * s * s)),
            mixture_with(lambda sq, s, w, D: (w / s).log() - sq / (2 * s * s)),
        ],
        "weights forgotten": [mixture_with(lambda sq, s, w, D: -D / 2 * (s * s).log() - sq / (2 * s * s))],
        "missing factor 1/2": [mixture_with(lambda sq, s, w, D: w.log() - D * s.log() - sq / s**2)],
        "gradient of the density, not of its logarithm": [
            mixture_with(
                log_p,
                rule=lambda lp: lp.exp(),
                own=lambda gap, s: gap / s[:, None] ** 2 / (2 * math.pi) ** (gap.shape[2] / 2),
            ),
        ],
        "softmax without subtracting the largest": [
            mixture_with(log_p, rule=lambda lp: lp.exp() / lp.exp().sum(1)[:, None])
        ],
        "wrong sign": [lambda *a: -by_guess(*a)],
        "wrong dtype": [lambda *a: by_the_package(*a).half()],
    },
}


def centred_at_the_data(x_t, t, schedule, mean, std):
    a, b = schedule.signal[t].item(), schedule.sigma[t].item()
    gain = a / (a * a + b * b / std**2)
    return (1 - gain) * mean + gain * x_t


def by_prior(x, means, stds, weights):
    own = [w * (m - x) / s**2 for m, s, w in zip(means, stds, weights, strict=True)]
    return torch.stack(own).sum(0)


WRONG["gaussian_denoiser"]["mean of x_0 for mean of x_t"] = [centred_at_the_data]
WRONG["mixture_score"]["prior for posterior probabilities"] = [by_prior]

TWO = {
    "best_guess": [
        lambda joint, values: (values[:, None] * joint).mean(0),
        lambda joint, values: joint.argmax(0),
    ],
    "gaussian_denoiser": [
        lambda x_t, t, schedule, mean, std: (
            mean
            + schedule.signal[t]
            * std
            / (schedule.signal[t] ** 2 * std + schedule.sigma[t] ** 2)
            * (x_t - mean)
        ),
        lambda x_t, t, schedule, mean, std: -centred_at_the_data(x_t, t, schedule, mean, std),
        lambda x_t, t, schedule, mean, std: mean + 0 * x_t,
    ],
    "ideal_denoiser": [
        ideal_with(lambda sq, schedule, t, D: (-sq / D / schedule.sigma[t] ** 2).softmax(1)),
        lambda x_t, t, schedule, points: points.mean(0).expand_as(x_t),
        ideal_with(lambda sq, schedule, t, D: (-sq / schedule.sigma[t]).softmax(0)),
    ],
    "eps_from_score": [
        lambda score, t, schedule: torch.einsum("b,b...->b...", schedule.sigma[t] ** 2, score.double()),
        lambda score, t, schedule: -score,
    ],
    "mixture_score": [
        mixture_with(lambda sq, s, w, D: w.log() - sq / (2 * s), lambda gap, s: gap / s[:, None]),
        mixture_with(lambda sq, s, w, D: -sq / (2 * s * s)),
    ],
}
AGREES = {
    "gaussian_denoiser": by_a_mixture,
    "ideal_denoiser": lambda x_t, t, schedule, points: Empirical(points).denoiser(schedule)(x_t, t).x0,
    "eps_from_score": lambda score, t, schedule: Prediction.from_score(score, 0 * score, t, schedule).eps,
    "mixture_score": by_the_package,
}
