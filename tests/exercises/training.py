"""What students hand in for the exercises of notebook 06."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.forward import q_sample
from diffusion_lab.views import Prediction

# drop_labels


def labels_by_list(label, hidden, null):
    return [null if h else y for y, h in zip(label.tolist(), hidden.tolist(), strict=True)]


def labels_by_numpy(label, hidden, null):
    return np.where(hidden.numpy(), null, label.numpy())


def labels_in_a_copy(label, hidden, null):
    shown = label.clone()
    shown[hidden] = null
    return shown


def labels_in_place(label, hidden, null):
    label[hidden] = null
    return label


def labels_by_loop_upside_down(label, hidden, null):
    shown = label.clone()
    for i in range(len(label)):
        if not hidden[i]:
            shown[i] = null
    return shown


# training_loss


def column(value, x):
    return value.reshape(len(x), *[1] * (x.ndim - 1)).to(x.dtype)


def loss_by_package(net, x0, t, noise, schedule):
    x_t = q_sample(x0, t, schedule, noise)
    return F.mse_loss(net(x_t, t), Prediction(x_t, t, schedule, x0, noise).v)


def loss_of_the_papers(net, x0, t, noise, schedule):
    a, s = schedule.alpha_bar[t].sqrt(), (1 - schedule.alpha_bar[t]).sqrt()
    x_t = torch.einsum("b,b...->b...", a.to(x0), x0) + torch.einsum("b,b...->b...", s.to(x0), noise)
    truth = torch.einsum("b,b...->b...", a.to(x0), noise) - torch.einsum("b,b...->b...", s.to(x0), x0)
    return torch.mean((truth - net(x_t, t)) ** 2)


def loss_by_loop(net, x0, t, noise, schedule):
    total, count = 0.0, 0
    for i in range(len(x0)):
        a, s = schedule.signal[t[i]].item(), schedule.sigma[t[i]].item()
        answer = net((a * x0[i] + s * noise[i])[None], t[i : i + 1])[0]
        total = total + ((answer - a * noise[i] + s * x0[i]) ** 2).sum()
        count += x0[i].numel()
    return total / count


def loss_upwards(net, x0, t, noise, schedule):
    a, s = column(schedule.signal[t], x0.double()), column(schedule.sigma[t], x0.double())
    x_t = (a * x0 + s * noise).to(x0.dtype)
    return (net(x_t, t).double() + s * x0 - a * noise).pow(2).flatten(1).mean(1).mean()


def loss_by_norm(net, x0, t, noise, schedule):
    a, s = column(schedule.signal[t], x0), column(schedule.sigma[t], x0)
    error = net(a * x0 + s * noise, t) - (a * noise - s * x0)
    return torch.linalg.vector_norm(error) ** 2 / error.numel()


def loss_like(seen=None, wants=None, told=None, size=None, shift=0):
    """A student's loss by the package's own functions, with one thing done differently."""

    def function(net, x0, t, noise, schedule):
        at = (t + shift).clamp(0, schedule.T)
        x_t = q_sample(x0, at, schedule, noise)
        a, s = column(schedule.signal[at], x0), column(schedule.sigma[at], x0)
        truth = a * noise - s * x0 if wants is None else wants(a, s, x0, noise)
        answer = net(x_t if seen is None else seen(a, s, x0, noise), t if told is None else told(t))
        return F.mse_loss(answer, truth) if size is None else size(answer, truth)

    return function


def loss_numpy(net, x0, t, noise, schedule):
    return torch.tensor(loss_by_norm(net, x0, t, noise, schedule).detach().numpy())


def loss_trained(net, x0, t, noise, schedule):
    loss = loss_by_norm(net, x0, t, noise, schedule)
    with torch.no_grad():
        for weight in net.parameters():
            weight -= 0.1
    return loss


def loss_in_place(net, x0, t, noise, schedule):
    a, s = column(schedule.signal[t], x0), column(schedule.sigma[t], x0)
    v = a * noise - s * x0
    x0 *= a
    x0 += s * noise
    return F.mse_loss(net(x0, t), v)


def loss_of_mixed_times(net, x0, t, noise, schedule):
    a, s = schedule.signal[t].to(x0)[None], schedule.sigma[t].to(x0)[None]
    a, s = (table.reshape(*[1] * (x0.ndim - 1), -1) for table in (a, s))
    return F.mse_loss(net(a * x0 + s * noise, t), a * noise - s * x0)


# sgd_step


def step_by_autograd(weight, x_t, v, lr):
    weight = weight.clone().requires_grad_()
    F.mse_loss(x_t @ weight, v).backward()
    return (weight - lr * weight.grad).detach()


def step_by_optimizer(weight, x_t, v, lr):
    layer = nn.Parameter(weight.clone())
    optimizer = torch.optim.SGD([layer], lr)
    ((x_t @ layer - v) ** 2).mean().backward()
    optimizer.step()
    return layer.detach()


def step_by_numpy(weight, x_t, v, lr):
    W, X, Y = weight.numpy(), x_t.numpy(), v.numpy()
    return W - lr * 2 / Y.size * (X.T @ (X @ W) - X.T @ Y)


def step_by_loop(weight, x_t, v, lr):
    new = weight.clone().double()
    B, D = v.shape
    error = x_t.double() @ weight.double() - v.double()
    for i in range(D):
        for j in range(D):
            new[i, j] -= lr * 2 * sum(x_t[b, i].double() * error[b, j] for b in range(B)) / (B * D)
    return new


def step_by_einsum(weight, x_t, v, lr):
    error = torch.einsum("bi,ij->bj", x_t, weight) - v
    return weight.add(torch.einsum("bi,bj->ij", x_t, error), alpha=-2 * lr / v.numel())


def step_in_place(weight, x_t, v, lr):
    weight -= lr * 2 * x_t.T @ (x_t @ weight - v) / v.numel()
    return weight


def step_like(gradient, factor=1.0):
    return lambda weight, x_t, v, lr: weight - factor * lr * gradient(weight, x_t, v)


# ema_update


def ema_by_lerp(average, weight, decay, n):
    return torch.lerp(average, weight, 1 - min(decay, (1 + n) / (10 + n)))


def ema_by_numpy(average, weight, decay, n):
    d = np.minimum(decay, np.divide(n + 1, n + 10))
    return average.numpy() * d + weight.numpy() * (1 - d)


def ema_with_if(average, weight, decay, n):
    d = decay if (1 + n) > decay * (10 + n) else (1 + n) / (10 + n)
    return weight + d * (average - weight)


def ema_in_double(average, weight, decay, n):
    share = max(1 - decay, 9 / (n + 10))
    return average.double() * (1 - share) + share * weight.double()


def ema_in_a_copy(average, weight, decay, n):
    d = min(decay, (n + 1) / (n + 10))
    return average.clone().mul_(d).add_(weight, alpha=1 - d)


def ema_in_place(average, weight, decay, n):
    d = min(decay, (n + 1) / (n + 10))
    return average.mul_(d).add_(weight, alpha=1 - d)


RIGHT = {
    "drop_labels": [
        labels_by_list,
        labels_by_numpy,
        labels_in_a_copy,
        lambda label, hidden, null: label * ~hidden + null * hidden,
        lambda label, hidden, null: label.masked_fill(hidden, null),
        lambda label, hidden, null: torch.where(hidden == False, label, torch.tensor(null)),  # noqa: E712
    ],
    "training_loss": [loss_by_package, loss_of_the_papers, loss_by_loop, loss_upwards, loss_by_norm],
    "sgd_step": [step_by_autograd, step_by_optimizer, step_by_numpy, step_by_loop, step_by_einsum],
    "ema_update": [ema_by_lerp, ema_by_numpy, ema_with_if, ema_in_double, ema_in_a_copy],
}
WRONG = {
    "drop_labels": {
        "mask the wrong way round": [
            labels_by_loop_upside_down,
            lambda label, hidden, null: label * hidden + null * ~hidden,
        ],
        "class 0 for no class": [
            lambda label, hidden, null: label.masked_fill(hidden, 0),
            lambda label, hidden, null: [0 if h else int(y) for y, h in zip(label, hidden, strict=True)],
        ],
        "last class for no class": [lambda label, hidden, null: label.masked_fill(hidden, null - 1)],
        "−1 for no class": [lambda label, hidden, null: np.where(hidden.numpy(), -1, label.numpy())],
        "all labels hidden": [lambda label, hidden, null: 0 * label + null],
        "hidden examples left out": [
            lambda label, hidden, null: (
                torch.stack([y for y, h in zip(label, hidden, strict=True) if not h])
                if not hidden.all()
                else label[:0]
            ),
        ],
        "changed input": [labels_in_place],
    },
    "training_loss": {
        "sum for mean": [
            loss_like(size=lambda a, b: F.mse_loss(a, b, reduction="sum")),
            loss_like(size=lambda a, b: (a - b).pow(2).reshape(len(a), -1).sum(1).mean()),
        ],
        "eps for v": [loss_like(wants=lambda a, s, x0, noise: noise)],
        "x_0 for v": [loss_like(wants=lambda a, s, x0, noise: x0)],
        "−v for v": [
            loss_like(wants=lambda a, s, x0, noise: s * x0 - a * noise),
            loss_like(size=lambda a, b: (a + b).square().mean()),
        ],
        "no time for the network": [loss_like(told=lambda t: torch.zeros(len(t)))],
        "clean data for the network": [loss_like(seen=lambda a, s, x0, noise: x0)],
        "variance for standard deviation": [
            loss_like(seen=lambda a, s, x0, noise: a * x0 + s * s * noise),
            loss_like(
                seen=lambda a, s, x0, noise: a * x0 + (1 - a * a) * noise,
                wants=lambda a, s, x0, noise: a * noise - (1 - a * a) * x0,
            ),
        ],
        "signal and sigma swapped": [
            loss_like(
                seen=lambda a, s, x0, noise: s * x0 + a * noise,
                wants=lambda a, s, x0, noise: s * noise - a * x0,
            ),
            loss_like(seen=lambda a, s, x0, noise: s * x0 + a * noise),
            loss_like(wants=lambda a, s, x0, noise: s * noise - a * x0),
        ],
        "t along the last axis": [loss_of_mixed_times],
        "off by one in t": [
            loss_like(shift=-1),
            loss_like(told=lambda t: t - 1),
            loss_like(shift=-1, told=lambda t: (t - 1).clamp(min=0)),
        ],
        "absolute error for squared error": [loss_like(size=F.l1_loss)],
        "square root too many": [loss_like(size=lambda a, b: F.mse_loss(a, b) ** 0.5)],
        "detached gradient": [
            loss_numpy,
            lambda *given: loss_by_norm(*given).detach(),
            lambda *given: loss_by_norm(*given).item(),
        ],
        "changed input": [loss_trained, loss_in_place],
        "wrong sign": [lambda *given: -loss_by_package(*given)],
    },
    "sgd_step": {
        "uphill for downhill": [step_like(lambda W, x, v: 2 * x.T @ (x @ W - v) / v.numel(), -1.0)],
        "learning rate left out": [lambda weight, x_t, v, lr: step_by_numpy(weight, x_t, v, 1.0)],
        "sum for mean": [
            step_like(lambda W, x, v: 2 * x.T @ (x @ W - v)),
            step_like(lambda W, x, v: 2 * x.T @ (x @ W - v) / len(v)),
        ],
        "missing factor 2": [step_like(lambda W, x, v: x.T @ (x @ W - v) / v.numel())],
        "gradient for the new weights": [
            lambda weight, x_t, v, lr: 2 * x_t.T @ (x_t @ weight - v) / v.numel()
        ],
        "step for the new weights": [
            lambda weight, x_t, v, lr: 2 * lr * x_t.T @ (v - x_t @ weight) / v.numel()
        ],
        "changed input": [step_in_place],
        "wrong dtype": [lambda *given: step_by_autograd(*given).half()],
    },
    "ema_update": {
        "decay and 1 − decay swapped": [
            lambda average, weight, decay, n: torch.lerp(average, weight, min(decay, (1 + n) / (10 + n))),
            lambda average, weight, decay, n: (
                (1 - min(decay, (1 + n) / (10 + n))) * average + min(decay, (1 + n) / (10 + n)) * weight
            ),
        ],
        "no warm-up": [lambda average, weight, decay, n: torch.lerp(average, weight, 1 - decay)],
        "warm-up without end": [
            lambda average, weight, decay, n: (average * (1 + n) + 9 * weight) / (10 + n)
        ],
        "maximum for minimum": [
            lambda average, weight, decay, n: torch.lerp(average, weight, min(1 - decay, 9 / (10 + n)))
        ],
        "off by one in n": [
            lambda average, weight, decay, n: ema_by_lerp(average, weight, decay, n + 1),
            lambda average, weight, decay, n: ema_by_numpy(average, weight, decay, n - 1),
        ],
        "average left as it was": [lambda average, weight, decay, n: average],
        "changed input": [ema_in_place],
        "wrong dtype": [lambda *given: ema_by_lerp(*given).half()],
    },
}
TWO = {
    "drop_labels": [
        lambda label, hidden, null: label.masked_fill(~hidden, 0),
        lambda label, hidden, null: label[hidden],
    ],
    "training_loss": [
        loss_like(wants=lambda a, s, x0, noise: noise, size=lambda a, b: F.mse_loss(a, b, reduction="sum")),
        loss_like(told=lambda t: 0 * t, seen=lambda a, s, x0, noise: a * x0 + s * s * noise),
        loss_like(wants=lambda a, s, x0, noise: a * noise + s * x0),
    ],
    "sgd_step": [
        step_like(lambda W, x, v: x.T @ (x @ W - v), -1.0),
        step_like(lambda W, x, v: x.T @ (x @ W - v) / len(v), 0.7),
    ],
    "ema_update": [
        lambda average, weight, decay, n: torch.lerp(average, weight, decay),
        lambda average, weight, decay, n: average + weight,
    ],
}
AGREES = {
    "training_loss": loss_by_package,
    "ema_update": ema_by_lerp,
    "sgd_step": step_by_optimizer,
}
