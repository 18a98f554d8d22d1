"""What students hand in for the exercises of notebook 08."""

import itertools
import math

import numpy as np
import torch

from diffusion_lab import samplers
from diffusion_lab.forward import posterior_weights, transition
from diffusion_lab.schedules import linear
from diffusion_lab.views import Prediction

# DDIM


def ddim_by_numpy(x_t, eps, t, s, schedule):
    a, b = schedule.signal.numpy(), schedule.sigma.numpy()
    return a[s] / a[t] * (x_t.numpy() - b[t] * eps.numpy()) + b[s] * eps.numpy()


def ddim_of_the_paper(x_t, eps, t, s, schedule):
    a = schedule.alpha_bar
    return a[s].sqrt() * (x_t - (1 - a[t]).sqrt() * eps) / a[t].sqrt() + (1 - a[s]).sqrt() * eps


def ddim_in_ratios(x_t, eps, t, s, schedule):
    """As an Euler step in x/signal, whose slope is ε̂."""
    a, b = schedule.signal.tolist(), schedule.sigma.tolist()
    return a[s] * (x_t.double() / a[t] + (b[s] / a[s] - b[t] / a[t]) * eps)


def ddim_by_lists(x_t, eps, t, s, schedule):
    a, b = schedule.signal.tolist(), schedule.sigma.tolist()
    both = zip(x_t.flatten().tolist(), eps.flatten().tolist(), strict=True)
    return np.array([a[s] * (x - b[t] * e) / a[t] + b[s] * e for x, e in both]).reshape(x_t.shape)


def ddim_by_prediction(x_t, eps, t, s, schedule):
    guess = Prediction.from_eps(eps, x_t, t, schedule)
    return schedule.signal[s].float() * guess.x0 + schedule.sigma[s].float() * guess.eps


def ddim_in_place_on_a_copy(x_t, eps, t, s, schedule):
    x = x_t.clone()
    x -= schedule.sigma[t] * eps
    x /= schedule.signal[t]
    x *= schedule.signal[s]
    x += schedule.sigma[s] * eps
    return x


def ddim_of_package(x_t, eps, t, s, schedule):
    (step,) = samplers.ddim(lambda x, t: Prediction.from_eps(eps, x, t, schedule), x_t, schedule, [t, s])
    return step.x


def ddim_with(f):
    """A student's ddim_step, f of x_t, ε̂, and the signal and sigma of both times."""
    return lambda x_t, eps, t, s, schedule: f(
        x_t,
        eps,
        schedule.signal[t].item(),
        schedule.sigma[t].item(),
        schedule.signal[s].item(),
        schedule.sigma[s].item(),
    )


# DDPM


def ddpm_by_posterior(x_t, eps, t, s, schedule, noise):
    """The mean of q(x_s|x_t, x̂_0), and the variance of q(x_t|x_s)."""
    x0 = (x_t - schedule.sigma[t] * eps) / schedule.signal[t]
    of_x0, of_x_t, _ = posterior_weights(t, s, schedule)
    mean = of_x0 * x0 + of_x_t * x_t
    return mean + transition(t, s, schedule)[1].sqrt() * noise if s > 0 else mean


def ddpm_by_numpy(x_t, eps, t, s, schedule, noise):
    bar = schedule.alpha_bar.numpy()
    a = bar[t] / bar[s]
    mean = (x_t.numpy() - (1 - a) / np.sqrt(1 - bar[t]) * eps.numpy()) / np.sqrt(a)
    return mean + np.sqrt(1 - a) * noise.numpy() * (s != 0)


def ddpm_by_products(x_t, eps, t, s, schedule, noise):
    """α of the step is the product of the small ones."""
    a = math.prod(schedule.alpha[s + 1 : t + 1].tolist())
    z = noise if s else torch.zeros_like(noise)
    return a**-0.5 * (x_t - (1 - a) * eps / schedule.sigma[t]) + (1 - a) ** 0.5 * z


def ddpm_with_a_loop(x_t, eps, t, s, schedule, noise):
    a = float(schedule.signal[t] / schedule.signal[s])
    out = torch.empty_like(x_t, dtype=torch.float64)
    for n in range(len(x_t)):
        out[n] = (x_t[n] - (1 - a * a) / schedule.sigma[t].item() * eps[n]) / a
        if s != 0:
            out[n] += math.sqrt(1 - a * a) * noise[n]
    return out


def ddpm_by_ddim(x_t, eps, t, s, schedule, noise):
    """DDIM with less of ε̂, and fresh noise."""
    a, b = schedule.signal, schedule.sigma
    ratio = a[t] / a[s]
    part = ratio * b[s] ** 2 / b[t]
    mean = a[s] * ((x_t - b[t] * eps) / a[t]) + part * eps
    return torch.where(torch.tensor(s > 0), mean + (1 - ratio**2).sqrt() * noise, mean)


def ddpm_with(f, last=True):
    """A student's ddpm_step: factors of ε̂ in the bracket, before it, and of the noise, from ᾱ_t and ᾱ_s."""

    def student(x_t, eps, t, s, schedule, noise):
        k, before, size = f(schedule.alpha_bar[t].item(), schedule.alpha_bar[s].item())
        mean = before * (x_t - k * eps)
        return mean if last and s == 0 else mean + size * noise

    return student


def right_k(at, a_s):
    return (1 - at / a_s) / (1 - at) ** 0.5


def before(at, a_s):
    return (a_s / at) ** 0.5


def size(at, a_s):
    return (1 - at / a_s) ** 0.5


def ddpm_of_tables(x_t, eps, t, s, schedule, noise):
    """Algorithm 2 word by word, whatever s is."""
    mean = (x_t - (1 - schedule.alpha[t]) / (1 - schedule.alpha_bar[t]).sqrt() * eps) / schedule.alpha[
        t
    ].sqrt()
    return mean + schedule.beta[t].sqrt() * noise if s > 0 else mean


# times


def times_by_torch(T, steps):
    return torch.linspace(T, 0, steps + 1, dtype=torch.float64).round().long()


def times_by_numpy(T, steps):
    return np.rint(np.arange(steps, -1, -1) * T / steps).astype(int)


def times_by_whole_numbers(T, steps):
    return [(2 * T * k + steps) // (2 * steps) for k in range(steps, -1, -1)]


def times_by_a_loop(T, steps):
    times, t = [], float(T)
    for _ in range(steps):
        times.append(int(t + 0.5))
        t -= T / steps
    return [*times, 0]


def times_as_floats(T, steps):
    return torch.tensor([float(round(T - i * T / steps)) for i in range(steps + 1)])


# the loop


def loop_by_package(network, x_T, schedule, times):
    def denoiser(x, t):
        return Prediction.from_eps(network(x, t), x, t, schedule)

    *_, last = samplers.ddim(denoiser, x_T, schedule, times)
    return last.x


def loop_by_index(network, x_T, schedule, times):
    x = x_T.clone()
    for i in range(1, len(times)):
        x = ddim_of_the_paper(x, network(x, times[i - 1]), times[i - 1], times[i], schedule)
    return x


def loop_by_recursion(network, x_T, schedule, times):
    if len(times) == 1:
        return x_T
    t, s, *_ = times
    return loop_by_recursion(
        network, ddim_in_ratios(x_T, network(x_T, t), t, s, schedule), schedule, times[1:]
    )


def loop_by_pairwise(network, x_T, schedule, times):
    states = [x_T.double()]
    for t, s in itertools.pairwise(times):
        eps = network(states[-1], t)
        x0 = (states[-1] - schedule.sigma[t] * eps) / schedule.signal[t]
        states.append(schedule.signal[s] * x0 + schedule.sigma[s] * eps)
    return states[-1]


def loop_with_pop(network, x_T, schedule, times):
    left, x = list(times), x_T
    t = left.pop(0)
    while left:
        s = left.pop(0)
        eps = network(x, t)
        x, t = (
            schedule.signal[s] / schedule.signal[t] * (x - schedule.sigma[t] * eps) + schedule.sigma[s] * eps,
            s,
        )
    return x


def loop_to_the_guess(network, x_T, schedule, times):
    """The last step returns x̂_0."""
    x = x_T
    for t, s in itertools.pairwise(times):
        eps = network(x, t)
        x0 = (x - schedule.sigma[t] * eps) / schedule.signal[t]
        if s == 0:
            return x0
        x = schedule.signal[s] * x0 + schedule.sigma[s] * eps


def loop_of(step, shift=0, stop=None, start=0):
    def student(network, x_T, schedule, times):
        x = x_T
        for t, s in list(itertools.pairwise(times))[start:stop]:
            x = step(x, network(x, t + shift), t, s, schedule)
        return x

    return student


def loop_with_s(network, x_T, schedule, times):
    x = x_T
    for t, s in itertools.pairwise(times):
        x = ddim_of_the_paper(x, network(x, s), t, s, schedule)
    return x


def loop_with_x_T(network, x_T, schedule, times):
    x = x_T
    for t, s in itertools.pairwise(times):
        x = ddim_in_ratios(x, network(x_T, t), t, s, schedule)
    return x


def loop_from_x_T(network, x_T, schedule, times):
    for t, s in itertools.pairwise(times):
        x = ddim_of_the_paper(x_T, network(x_T, t), t, s, schedule)
    return x


def loop_one_call(network, x_T, schedule, times):
    x, eps = x_T, network(x_T, times[0])
    for i in range(len(times) - 1):
        x = ddim_in_ratios(x, eps, times[i], times[i + 1], schedule)
    return x


def loop_to_neighbours(network, x_T, schedule, times):
    x = x_T
    for t in times:
        if t > 0:
            x = ddim_of_the_paper(x, network(x, t), t, t - 1, schedule)
    return x


def loop_forever(network, x_T, schedule, times):
    t, x = times[0], x_T
    while t > -1:
        x = x + 0 * network(x, t)
    return x


RIGHT = {
    "ddim_step": [
        ddim_by_numpy,
        ddim_of_the_paper,
        ddim_in_ratios,
        ddim_by_lists,
        ddim_by_prediction,
        ddim_in_place_on_a_copy,
    ],
    "ddpm_step": [ddpm_by_posterior, ddpm_by_numpy, ddpm_by_products, ddpm_with_a_loop, ddpm_by_ddim],
    "strided_times": [
        times_by_torch,
        times_by_numpy,
        times_by_whole_numbers,
        times_by_a_loop,
        times_as_floats,
    ],
    "sample_loop": [
        loop_by_package,
        loop_by_index,
        loop_by_recursion,
        loop_by_pairwise,
        loop_with_pop,
        loop_to_the_guess,
    ],
}
WRONG = {
    "ddim_step": {
        "x_t for x̂_0": [ddim_with(lambda x, e, a, b, a_s, b_s: b_s * e + a_s * x)],
        "noise of time t in x_s": [
            ddim_with(lambda x, e, a, b, a_s, b_s: a_s / a * x + (b - a_s * b / a) * e)
        ],
        "signal of time t in x_s": [ddim_with(lambda x, e, a, b, a_s, b_s: x + (b_s - b) * e)],
        "not divided by signal": [ddim_with(lambda x, e, a, b, a_s, b_s: a_s * x + (b_s - a_s * b) * e)],
        "signal and sigma swapped": [ddim_with(lambda x, e, a, b, a_s, b_s: b_s / a * (x - b * e) + a_s * e)],
        "variance for standard deviation": [
            ddim_with(lambda x, e, a, b, a_s, b_s: a_s / a * (x - b * e) + (1 - a_s**2) * e),
            ddim_with(lambda x, e, a, b, a_s, b_s: a_s / a * (x - (1 - a**2) * e) + (1 - a_s**2) * e),
        ],
        "alpha_bar for its square root": [
            lambda x_t, eps, t, s, schedule: (
                schedule.alpha_bar[s] / schedule.alpha_bar[t] * (x_t - schedule.sigma[t] * eps)
                + schedule.sigma[s] * eps
            )
        ],
        "t and s swapped": [lambda x_t, eps, t, s, schedule: ddim_of_the_paper(x_t, eps, s, t, schedule)],
        "a step of one, whatever s is": [
            lambda x_t, eps, t, s, schedule: ddim_by_numpy(x_t, eps, t, t - 1, schedule)
        ],
        "noise left out": [ddim_with(lambda x, e, a, b, a_s, b_s: a_s * (x / a - b / a * e))],
        "minus for plus": [ddim_with(lambda x, e, a, b, a_s, b_s: a_s * (x - b * e) / a - b_s * e)],
        "off by one in t": [
            lambda x_t, eps, t, s, schedule: ddim_of_the_paper(x_t, eps, t - 1, s, schedule),
            lambda x_t, eps, t, s, schedule: ddim_by_numpy(x_t, eps, t - 1, s - 1, schedule),
            lambda x_t, eps, t, s, schedule: ddim_by_numpy(x_t, eps, t - 1, s - 1 if s else 0, schedule),
        ],
        "wrong sign": [lambda *a: -ddim_of_the_paper(*a)],
        "wrong dtype": [lambda *a: ddim_of_the_paper(*a).half()],
        "changed input": [
            lambda x_t, eps, t, s, schedule: (
                x_t.sub_(schedule.sigma[t] * eps).mul_(schedule.signal[s] / schedule.signal[t])
                + schedule.sigma[s] * eps
            )
        ],
    },
    "ddpm_step": {
        "noise in the last step": [ddpm_with(lambda *a: (right_k(*a), before(*a), size(*a)), last=False)],
        "variance for standard deviation": [ddpm_with(lambda *a: (right_k(*a), before(*a), size(*a) ** 2))],
        "beta of one step for a long one": [ddpm_of_tables],
        "missing square root": [ddpm_with(lambda *a: (right_k(*a), a[1] / a[0], size(*a)))],
        "alpha for alpha_bar": [
            ddpm_with(lambda *a: (size(*a) ** 2 / (1 - a[0] / a[1]) ** 0.5, before(*a), size(*a)))
        ],
        "standard deviation for variance": [
            ddpm_with(lambda *a: (size(*a) / (1 - a[0]) ** 0.5, before(*a), size(*a)))
        ],
        "all the noise taken away at once": [ddpm_with(lambda *a: ((1 - a[0]) ** 0.5, before(*a), size(*a)))],
        "alpha_bar of s for that of t": [
            lambda x_t, eps, t, s, schedule, noise: (
                (
                    x_t
                    - (1 - schedule.alpha_bar[t] / schedule.alpha_bar[s])
                    / (1 - schedule.alpha_bar[s]).sqrt()
                    * eps
                )
                / (schedule.signal[t] / schedule.signal[s])
                + (s > 0) * (1 - schedule.alpha_bar[t] / schedule.alpha_bar[s]).sqrt() * noise
            )
        ],
        "mean for sample": [ddpm_with(lambda *a: (right_k(*a), before(*a), 0.0))],
        "the other variance": [
            ddpm_with(lambda *a: (right_k(*a), before(*a), size(*a) * ((1 - a[1]) / (1 - a[0])) ** 0.5)),
            ddpm_with(
                lambda *a: (right_k(*a), before(*a), size(*a) * ((1 - a[1]) / (1 - a[0])) ** 0.5), last=False
            ),
        ],
        "noise of time s for that of the step": [
            ddpm_with(lambda *a: (right_k(*a), before(*a), (1 - a[1]) ** 0.5))
        ],
        "off by one in t": [
            lambda x_t, eps, t, s, schedule, noise: ddpm_by_numpy(x_t, eps, t - 1, s, schedule, noise)
        ],
        "wrong sign": [lambda *a: -ddpm_by_posterior(*a)],
        "wrong dtype": [lambda *a: ddpm_by_posterior(*a).half()],
        "noise of its own": [
            lambda x_t, eps, t, s, schedule, noise: ddpm_by_posterior(
                x_t, eps, t, s, schedule, torch.randn_like(x_t)
            ),
        ],
    },
    "strided_times": {
        "times that leave out T": [
            lambda T, steps: list(range(0, T, T // steps))[:steps][::-1],
            lambda T, steps: times_by_torch(T, steps)[1:],
            lambda T, steps: np.arange(steps, -1, -1) * (T // steps),
        ],
        "times that leave out 0": [lambda T, steps: [round(k * T / steps) for k in range(steps, 0, -1)]],
        "rising times": [lambda T, steps: np.linspace(0, T, steps + 1).round()],
        "off by one in t": [lambda T, steps: times_by_numpy(T, steps) - 1],
        "rounded down": [
            lambda T, steps: np.linspace(T, 0, steps + 1).astype(int),
            lambda T, steps: [math.ceil(T * k / steps) for k in range(steps, -1, -1)],
        ],
        "one step too few": [lambda T, steps: np.round(np.linspace(T, 0, steps)).tolist()],
        "not rounded": [lambda T, steps: np.linspace(T, 0, steps + 1)],
    },
    "sample_loop": {
        "network asked at the wrong time": [loop_with_s],
        "network asked about x_T in every step": [loop_with_x_T],
        "every step taken from x_T": [loop_from_x_T],
        "network asked only once": [loop_one_call],
        "one step too few": [loop_of(ddim_of_the_paper, stop=-1)],
        "first step left out": [loop_of(ddim_in_ratios, start=1)],
        "a step of one, whatever s is": [loop_to_neighbours],
        "x_t for x̂_0": [loop_of(ddim_with(lambda x, e, a, b, a_s, b_s: b_s * e + a_s * x))],
        "not divided by signal": [
            loop_of(ddim_with(lambda x, e, a, b, a_s, b_s: a_s * x + (b_s - a_s * b) * e))
        ],
        "noise of time t in x_s": [
            loop_of(ddim_with(lambda x, e, a, b, a_s, b_s: a_s / a * x + (b - a_s * b / a) * e))
        ],
        "wrong sign": [lambda *a: -loop_by_package(*a)],
        "wrong dtype": [lambda *a: loop_by_index(*a).half()],
        "endless loop": [loop_forever],
    },
}
TWO = {
    "ddim_step": [
        ddim_with(lambda x, e, a, b, a_s, b_s: a_s * (x - b * e) + b * e),
        ddim_with(lambda x, e, a, b, a_s, b_s: b_s * x + a_s * e),
    ],
    "ddpm_step": [
        ddpm_with(lambda *a: (right_k(*a), a[1] / a[0], size(*a) ** 2)),
        ddpm_with(lambda *a: (right_k(*a), before(*a), size(*a) ** 2), last=False),
        lambda x_t, eps, t, s, schedule, noise: ddim_of_the_paper(x_t, eps, t, s, schedule) + noise,
    ],
    "strided_times": [
        lambda T, steps: [i * (T // steps) for i in range(steps)],
        lambda T, steps: [T * k // steps for k in range(steps, 0, -1)],
    ],
    "sample_loop": [
        loop_of(ddim_with(lambda x, e, a, b, a_s, b_s: a_s * x + (b_s - a_s * b) * e), start=1),
        lambda network, x_T, schedule, times: loop_with_s(network, x_T, schedule, times[1:]),
        lambda network, x_T, schedule, times: x_T,
    ],
}
AGREES = {
    "ddim_step": ddim_of_package,
    "ddpm_step": ddpm_by_posterior,
    "sample_loop": loop_by_package,
    "strided_times": lambda T, steps: samplers.timesteps(linear(T), steps),
}
