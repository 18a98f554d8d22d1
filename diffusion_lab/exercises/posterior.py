"""Exercises of notebook 10: where a noisy point came from, and the chain walked backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic, sigmoid
from .exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "10_posterior"


# ------------------------------------------------------------------------------- precisions add
def posterior_precision(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    """1/variance of q(x_s|x_t, x_0), in each coordinate: the sum of what two Gaussians say about x_s.

    t and s are two times, 1 ≤ s < t ≤ T. schedule.signal and schedule.sigma are the tables [T + 1]. The one
    factor, q(x_s|x_0), has the variance sigma_s². The other one, q(x_t|x_s) = N(√α x_s, β I), leads over
    the whole gap from s to t, with α = (signal_t/signal_s)² and β = sigma_t² − α sigma_s². Return one
    number.
    """
    keep = (schedule.signal[t] / schedule.signal[s]) ** 2
    added = schedule.sigma[t] ** 2 - keep * schedule.sigma[s] ** 2
    return 1 / schedule.sigma[s] ** 2 + keep / added


def pairs_of_times(generator: torch.Generator) -> Iterator[Case]:
    """Neighbours and distant times, on four schedules."""
    for schedule in (linear(100), cosine(50), quadratic(40), sigmoid(60)):
        T = schedule.T
        t = int(torch.randint(T // 3, T, (), generator=generator))
        yield from ((t, t - 1, schedule), (t, t // 2, schedule), (T, 1, schedule))


def gap(t: int, s: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    keep = (schedule.signal[t] / schedule.signal[s]) ** 2
    return keep, schedule.sigma[t] ** 2 - keep * schedule.sigma[s] ** 2


def precision_without_stretch(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    return 1 / schedule.sigma[s] ** 2 + 1 / gap(t, s, schedule)[1]


def precision_of_standard_deviations(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    keep, added = gap(t, s, schedule)
    return 1 / schedule.sigma[s] + (keep / added).sqrt()


def precision_with_one_deviation(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    keep, added = gap(t, s, schedule)
    return 1 / schedule.sigma[s] + keep / added


def precision_with_root_of_alpha(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    keep, added = gap(t, s, schedule)
    return 1 / schedule.sigma[s] ** 2 + keep.sqrt() / added


def variances_added(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    keep, added = gap(t, s, schedule)
    return schedule.sigma[s] ** 2 + added / keep


def precision_of_one_step(t: int, s: int, schedule: NoiseSchedule) -> Tensor:
    return 1 / schedule.sigma[s] ** 2 + schedule.alpha[t] / schedule.beta[t]


# ------------------------------------------------------------------------------- one step back
def posterior_variance(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The variance of q(x_{t−1}|x_t, x_0) in each coordinate, called β̃_t, at several times.

    t [B] holds whole times from 1 to T; schedule is variance-preserving, with the tables schedule.signal,
    schedule.sigma, schedule.alpha, schedule.beta and schedule.alpha_bar, each [T + 1]. Return the variances
    [B], in float64 like the tables. The one at t = 1 is 0.
    """
    return schedule.beta[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def batches_of_times(generator: torch.Generator) -> Iterator[Case]:
    """Both ends, the second step, and times between."""
    for n, schedule in enumerate([linear(1000), cosine(50), quadratic(100), sigmoid(60)] * 2):
        between = torch.randint(2, schedule.T, (4,), generator=generator)
        yield torch.cat([torch.tensor([1, schedule.T] if n < 4 else [2, 1]), between]), schedule
    yield torch.tensor([7]), cosine(20)


def clamped_variance(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return posterior_variance(t.clamp(min=2), schedule)


# ------------------------------------------------------------------------------- the mean
def posterior_mean(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The mean of q(x_{t−1}|x_t, x_0) for each example: a weighted sum of x_0 and x_t.

    x0 and x_t have one shape, [B, *D]; t [B] holds one time per example, from 1 to T. schedule is
    variance-preserving; its tables, [T + 1] each and float64, are schedule.signal, schedule.sigma,
    schedule.alpha, schedule.beta and schedule.alpha_bar. Return the means, in the shape and the dtype of
    x0.
    """
    t = t.reshape(-1, *[1] * (x0.ndim - 1))
    before, now = schedule.sigma[t - 1] ** 2, schedule.sigma[t] ** 2
    weight_x0 = schedule.signal[t - 1] * schedule.beta[t] / now
    weight_x_t = schedule.alpha[t].sqrt() * before / now
    return (weight_x0 * x0 + weight_x_t * x_t).to(x0.dtype)


def pairs_of_points(generator: torch.Generator) -> Iterator[Case]:
    """x_0 and x_t of several shapes, B = D among them, each example with a time of its own."""
    makers = [linear(100), cosine(50), quadratic(40), sigmoid(60)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (2, 3, 2, 2)]
    for n in range(12):
        schedule, shape = makers[n % 4], shapes[n % 5]
        dtype = torch.float32 if n % 6 == 5 else torch.float64
        x0, x_t = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = torch.randint(1, schedule.T + 1, shape[:1], generator=generator)
        if n % 3 == 0:
            t[0] = schedule.T if n % 2 else 1
        yield x0, x_t, t, schedule


def mean_with(x0_weight: Callable[..., Tensor], x_t_weight: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A mean with other weights: functions of t and the schedule, for t shaped to the data."""

    def function(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
        t = t.reshape(-1, *[1] * (x0.ndim - 1))
        return (x0_weight(t, schedule) * x0 + x_t_weight(t, schedule) * x_t).to(x0.dtype)

    return function


def of_x0(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2


def of_x_t(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha[t].sqrt() * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def of_x0_without_root(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha_bar[t - 1] * schedule.beta[t] / schedule.sigma[t] ** 2


def of_x_t_without_root(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def of_x0_now(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t] * schedule.beta[t] / schedule.sigma[t] ** 2


def of_x_t_with_product(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t] * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2


def of_x0_by_deviations(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.signal[t - 1] * schedule.beta[t] / schedule.sigma[t]


def of_x_t_by_deviations(t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return schedule.alpha[t].sqrt() * schedule.sigma[t - 1] / schedule.sigma[t]


def mean_along_last_axis(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return (of_x0(t, schedule) * x0 + of_x_t(t, schedule) * x_t).to(x0.dtype)


def mean_swapped(x0: Tensor, x_t: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return posterior_mean(x_t, x0, t, schedule)


ROOT = (
    "At least one of your two weights is too small.",
    "Two of the symbols in the mean stand under a root: ask which, and what your tables hold.",
)

# ------------------------------------------------------------------------------- the whole way back


def walk_back(x0: Tensor, x_T: Tensor, schedule: NoiseSchedule, noise: Tensor) -> Tensor:
    """All states of a chain that is walked backwards by somebody who knows x_0.

    In each step, from t = T down to 1, x_{t−1} is drawn from q(x_{t−1}|x_t, x_0). x0 and x_T have one shape,
    [B, *D]; noise [T + 1, B, *D] is drawn from N(0, I), and noise[t] belongs to the step that leaves x_t
    (noise[0] is not used). schedule is variance-preserving. You may call forward.q_posterior. Return the
    states, indexed by t like those of q_chain: [T + 1, B, *D], with x_T at index T.
    """
    chain = [x_T]
    for t in range(schedule.T, 0, -1):
        before, now = schedule.sigma[t - 1] ** 2, schedule.sigma[t] ** 2
        pull = schedule.signal[t - 1] * schedule.beta[t] * x0 + schedule.alpha[t].sqrt() * before * chain[-1]
        chain.append(pull / now + (schedule.beta[t] * before / now).sqrt() * noise[t])
    return torch.stack(chain[::-1])


def starts(generator: torch.Generator) -> Iterator[Case]:
    """Short chains, of several shapes."""
    makers = [
        cosine(5),
        linear(8, beta_1=0.02, beta_T=0.5),
        sigmoid(6),
        quadratic(7, beta_1=0.01, beta_T=0.4),
    ]
    shapes = [(4, 2), (2, 1, 3, 3), (3, 3), (1, 2)]
    for n in range(8):
        schedule, shape = makers[n % 4], shapes[n % 4] if n < 4 else shapes[(n + 1) % 4]
        dtype = torch.float32 if n == 6 else torch.float64
        x0, x_T = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        yield x0, x_T, schedule, torch.randn((schedule.T + 1, *shape), generator=generator, dtype=dtype)


def walk(
    x0: Tensor,
    x_T: Tensor,
    schedule: NoiseSchedule,
    noise: Tensor,
    std: Callable[[Tensor, Tensor], Tensor],
    shift: int = 0,
    stays: bool = False,
) -> Tensor:
    """A way back with the noise std(β_t, β̃_t), its index moved by `shift`; `stays` looks at x_T each time."""
    chain = [x_T]
    for t in range(schedule.T, 0, -1):
        beta, (weight_x0, weight_x_t) = (
            schedule.beta[t],
            (of_x0(torch.tensor(t), schedule), of_x_t(torch.tensor(t), schedule)),
        )
        spread = std(beta, beta * schedule.sigma[t - 1] ** 2 / schedule.sigma[t] ** 2)
        chain.append(weight_x0 * x0 + weight_x_t * chain[0 if stays else -1] + spread * noise[t + shift])
    return torch.stack(chain[::-1])


def root_of_posterior(_: Tensor, variance: Tensor) -> Tensor:
    return variance.sqrt()


EXERCISES = (
    Exercise(
        solution=posterior_precision,
        cases=pairs_of_times,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "width in x_t for width in x_s",
                precision_without_stretch,
                "Your second term is too large, and more so the wider the gap.",
                "The second factor has the variance β over x_t: ask how wide it is over x_s.",
            ),
            Mistake(
                "standard deviation for variance",
                precision_of_standard_deviations,
                "Your two terms are the roots of the right ones.",
                "Ask which of them add up for Gaussians: 1/variance, or 1/standard deviation.",
            ),
            Mistake(
                "standard deviation for variance",
                precision_with_one_deviation,
                "Your first term is the root of the right one.",
                "The table sigma holds standard deviations.",
            ),
            Mistake(
                "missing square",
                precision_with_root_of_alpha,
                "Your second term is too large by the factor signal_s/signal_t.",
                "Stretching a Gaussian by a factor changes its variance by that factor's square.",
            ),
            Mistake(
                "variances added",
                variances_added,
                "Your result grows where the posterior becomes wider.",
                "Two sources of evidence leave less doubt than one of them: ask what it is that adds up.",
            ),
            Mistake(
                "variances added",
                lambda t, s, schedule: 1 / variances_added(t, s, schedule),
                "Your posterior is wider than either of its factors.",
                "Two sources of evidence leave less doubt than one of them: ask what it is that adds up.",
            ),
            Mistake(
                "variance for precision",
                lambda t, s, schedule: 1 / posterior_precision(t, s, schedule),
                "You return the posterior's variance.",
                "The task asks for 1/variance.",
            ),
            Mistake(
                "one step's beta for the gap's",
                precision_of_one_step,
                "You are right for neighbours, and wrong where s lies further back.",
                "The tables alpha and beta describe single steps, and this step leads over the whole gap.",
            ),
        ),
    ),
    Exercise(
        solution=posterior_variance,
        cases=batches_of_times,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "beta for the posterior's variance",
                lambda t, schedule: schedule.beta[t],
                "You return the variance of a step forwards.",
                "Whoever knows x_0 has less doubt about x_{t−1} than that: look for the factor below 1.",
            ),
            Mistake(
                "standard deviation for variance",
                lambda t, schedule: posterior_variance(t, schedule).sqrt(),
                "Your values are the roots of the right ones.",
                "The task asks for the variance.",
            ),
            Mistake(
                "standard deviation for variance",
                lambda t, schedule: schedule.beta[t] * schedule.sigma[t - 1] / schedule.sigma[t],
                "Your factor beside β is the root of the right one.",
                "The table sigma holds standard deviations.",
            ),
            Mistake(
                "ratio upside down",
                lambda t, schedule: schedule.beta[t] * schedule.sigma[t] ** 2 / schedule.sigma[t - 1] ** 2,
                "Your variance is larger than β, and infinite at t = 1.",
                "Ask which sigma is the smaller one, and whether the posterior is wider than a step.",
            ),
            Mistake(
                "alpha_bar for 1 − alpha_bar",
                lambda t, schedule: schedule.beta[t] * schedule.alpha_bar[t - 1] / schedule.alpha_bar[t],
                "Your variance is larger than β.",
                "Ask which table says how much noise there is, and which how much signal.",
            ),
            Mistake(
                "off by one in t",
                lambda t, schedule: posterior_variance((t + 1).clamp(max=schedule.T), schedule),
                "Your variances belong to the step that leaves x_{t+1}.",
                "The tables have T + 1 entries, and entry t belongs to time t.",
            ),
            Mistake(
                "zero at t = 1 replaced",
                clamped_variance,
                "You are right at all times but t = 1.",
                "Ask how much doubt about x_0 is left for somebody who knows x_0.",
            ),
        ),
    ),
    Exercise(
        solution=posterior_mean,
        cases=pairs_of_points,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "t along the last axis",
                mean_along_last_axis,
                "Your weights lie along the last axis of the data, or raise an error there.",
                "Give the weights as many axes as the data has, with B on the first.",
            ),
            Mistake(
                "x_0 and x_t swapped",
                mean_swapped,
                "Your two weights stand at the wrong places: at t = 1 you return x_t.",
                "Ask which of the two points has its way when t is near 0.",
            ),
            Mistake("missing square root", mean_with(of_x0_without_root, of_x_t), *ROOT),
            Mistake("missing square root", mean_with(of_x0, of_x_t_without_root), *ROOT),
            Mistake("missing square root", mean_with(of_x0_without_root, of_x_t_without_root), *ROOT),
            Mistake(
                "alpha_bar of t for t − 1",
                mean_with(of_x0_now, of_x_t),
                "Your weight of x_0 is too small, and most so near t = T.",
                "The mean lies on the way to x_{t−1}: ask whose signal it has at t − 1.",
            ),
            Mistake(
                "alpha_bar for alpha",
                mean_with(of_x0, of_x_t_with_product),
                "Your weight of x_t is nearly 0 at late times.",
                "One step shrinks by √α_t; the table signal holds what all steps together leave.",
            ),
            Mistake(
                "standard deviation for variance",
                mean_with(of_x0_by_deviations, of_x_t_by_deviations),
                "Your weights are too large, wherever sigma is below 1.",
                "The table sigma holds standard deviations, and precisions are made of variances.",
            ),
            Mistake(
                "off by one in t",
                at_other_time(posterior_mean, -1),
                "Your weights belong to the step that leaves x_{t−1}.",
                "The tables have T + 1 entries, and entry t belongs to time t.",
            ),
        ),
    ),
    Exercise(
        solution=walk_back,
        cases=starts,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "variance for standard deviation",
                lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, lambda _, variance: variance),
                "Your steps have too little noise.",
                "A draw from N(0, s²) is s times a draw from N(0, 1).",
            ),
            Mistake(
                "mean for sample",
                lambda x0, x_T, schedule, noise: walk(
                    x0, x_T, schedule, noise, lambda _, variance: 0 * variance
                ),
                "Your steps have no noise.",
                "Each state is a draw from the posterior, not its mean.",
            ),
            Mistake(
                "beta for the posterior's variance",
                lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, lambda beta, _: beta.sqrt()),
                "Your walks do not end in x_0.",
                "Look at the variance of the last step, at t = 1.",
            ),
            Mistake(
                "states in the order of the walk",
                lambda x0, x_T, schedule, noise: walk_back(x0, x_T, schedule, noise).flip(0),
                "Your states are the right ones, but index 0 holds x_T.",
                "Entry t of the result must belong to time t.",
            ),
            Mistake(
                "x_T in every step",
                lambda x0, x_T, schedule, noise: walk(
                    x0, x_T, schedule, noise, root_of_posterior, stays=True
                ),
                "Each of your states depends on x_T directly, and none on the state before it.",
                "Ask which point is the x_t of the step that you are taking.",
            ),
            Mistake(
                "off by one in the noise",
                lambda x0, x_T, schedule, noise: walk(x0, x_T, schedule, noise, root_of_posterior, shift=-1),
                "Your steps use the noise of other steps.",
                "The entry noise[t] belongs to the step that leaves x_t.",
            ),
            Mistake(
                "last state only",
                lambda x0, x_T, schedule, noise: walk_back(x0, x_T, schedule, noise)[0],
                "You return one state, of T + 1.",
                "Keep each state, and stack them in the end.",
            ),
        ),
    ),
)
