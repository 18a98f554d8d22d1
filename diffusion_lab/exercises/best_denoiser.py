"""Exercises of notebook 04: the best guess for a Gaussian, for a finite data set, and the score."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic
from .exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "04_best_denoiser"
EARLY = (
    "Your answer is the one that belongs to t − 1.",
    "The tables have T + 1 entries, and entry t belongs to time t.",
)


# --- one Gaussian -----------------------------------------------------------------------------------------


def gaussian_denoiser(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    """The best guess E[x_0|x_t], if the data is one Gaussian: x_0 ~ N(mean, std² I).

    x_t has the shape [B, *D], and mean the shape [*D] of one example; std is a number, the standard
    deviation of the data; t is one time, from 0 to T. schedule.signal and schedule.sigma are the two
    tables. Return the guess, in the shape of x_t.
    """
    gain = schedule.signal[t] * std**2 / (schedule.signal[t] ** 2 * std**2 + schedule.sigma[t] ** 2)
    return mean + gain * (x_t - schedule.signal[t] * mean)


def gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Data narrow and wide, of several shapes, in two dtypes; times at both ends and between."""
    makers, shapes = [linear(), cosine(50), quadratic(100)], [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        x_t = torch.randn(shape, generator=generator, dtype=dtype)
        mean = 1 + torch.rand(shape[1:], generator=generator, dtype=dtype)
        std = 0.2 + 1.5 * torch.rand((), generator=generator).item()
        t = int(torch.randint(schedule.T // 5, schedule.T // 2, (), generator=generator))
        yield x_t, [t, 1, schedule.T, t, 0][n % 5], schedule, mean, std


def gain_of_stds(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std / (signal * std + sigma) * (x_t - signal * mean)


def gain_of_std(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std / (signal**2 * std + sigma**2) * (x_t - signal * mean)


def gain_of_sigma(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std**2 / (signal**2 * std**2 + sigma) * (x_t - signal * mean)


def mean_at_full_size(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std**2 / (signal**2 * std**2 + sigma**2) * (x_t - mean)


def share_as_gain(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + (signal * std) ** 2 / ((signal * std) ** 2 + sigma**2) * (x_t - signal * mean)


def gain_without_signal(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + std**2 / ((signal * std) ** 2 + sigma**2) * (x_t - signal * mean)


def data_at_full_size(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + signal * std**2 / (std**2 + sigma**2) * (x_t - signal * mean)


def swapped_gain(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return mean + sigma * std**2 / (sigma**2 * std**2 + signal**2) * (x_t - sigma * mean)


def mean_left_out(x_t: Tensor, t: int, schedule: NoiseSchedule, mean: Tensor, std: float) -> Tensor:
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    return signal * std**2 / (signal**2 * std**2 + sigma**2) * (x_t - signal * mean)


GAIN_OF_STD = (
    "Your guess moves away from the mean by a wrong share of what was seen.",
    "Bayes weighs by precisions: ask of each std and sigma in your line whether it has to be squared.",
)
GAIN_WITHOUT_SIGNAL = (
    "Your guess moves away from the mean by a wrong share, and the more so the larger t is.",
    "Work out how x_0 and x_t vary together, and how much x_t varies: count the factors of signal.",
)

GAUSSIAN = Exercise(
    solution=gaussian_denoiser,
    cases=gaussians,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake("standard deviation for variance", gain_of_stds, *GAIN_OF_STD),
        Mistake("standard deviation for variance", gain_of_std, *GAIN_OF_STD),
        Mistake("standard deviation for variance", gain_of_sigma, *GAIN_OF_STD),
        Mistake(
            "mean of x_0 for mean of x_t",
            mean_at_full_size,
            "Your guess is drawn too far from the mean, as if x_t should lie around the mean of the data.",
            "Ask where x_t lies on average, at this t, and compare x_t with that place.",
        ),
        Mistake("signal forgotten in the gain", gain_without_signal, *GAIN_WITHOUT_SIGNAL),
        Mistake("signal forgotten in the gain", data_at_full_size, *GAIN_WITHOUT_SIGNAL),
        Mistake("signal forgotten in the gain", share_as_gain, *GAIN_WITHOUT_SIGNAL),
        Mistake(
            "mean left out",
            mean_left_out,
            "Where x_t says nothing, your guess is 0 and not the mean of the data.",
            "Ask what the best guess is at t = T, and what has to be added for that.",
        ),
        Mistake(
            "x_t rescaled, the data forgotten",
            lambda x_t, t, schedule, mean, std: x_t / schedule.signal[t],
            "Your guess depends on x_t alone, and is far too large where there is much noise.",
            "Ask what you know of x_0 before you see x_t: mean and std have to come in.",
        ),
        Mistake(
            "signal and sigma swapped",
            swapped_gain,
            "At t = 0, where x_t is x_0, you do not return x_t.",
            "Ask which of the two tables starts at 1.",
        ),
        Mistake("off by one in t", at_other_time(gaussian_denoiser, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the tables at t = 0
            lambda x_t, t, schedule, mean, std: gaussian_denoiser(x_t, t - 1, schedule, mean, std),
            *EARLY,
        ),
    ),
)


# --- a finite data set ------------------------------------------------------------------------------------


def ideal_denoiser(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    """The best guess E[x_0|x_t], if the data is N points, each as likely as the others.

    x_t has the shape [B, *D], and points the shape [N, *D]; t is one time, from 1 to T. schedule.signal and
    schedule.sigma are the two tables. The guess is a weighted mean of the points: a softmax over their
    log-weights. It must be finite for every x_t, also far from all points. Return it, in the shape of x_t.
    """
    y = points.flatten(1)
    deviation = x_t.flatten(1)[:, None] - schedule.signal[t] * y
    log_weights = -(deviation**2).sum(2) / (2 * schedule.sigma[t] ** 2)
    return (log_weights.softmax(1) @ y).reshape(x_t.shape)


def finite_sets(generator: torch.Generator) -> Iterator[Case]:
    """Few and many points (N = B and N = D among them), x_t among them and far away; t at both ends and
    between.
    """
    makers = [linear(), cosine(50), quadratic(100)]
    sizes = [((5,), (2,)), ((3, 4), (1, 2, 2)), ((4,), (4,)), ((7,), (3,)), ((1,), (3,)), ((6,), (1,))]
    for n in range(14):
        (B, *_), shape = sizes[n % 6]
        N = [4, 3, 9][n % 3]
        schedule = makers[n % 3]
        dtype = torch.float32 if n in (3, 8) else torch.float64
        t = int(torch.randint(schedule.T // 3, schedule.T - 1, (), generator=generator))
        t = 1 if n in (0, 5) else schedule.T if n in (7, 10) else t
        points = torch.rand(N, *shape, generator=generator, dtype=dtype) * 2 - 1
        noise = torch.randn(B, *shape, generator=generator, dtype=dtype)
        x_t = noise if n % 2 else schedule.signal[t] * points[torch.arange(B) % N] + schedule.sigma[t] * noise
        if n == 12:  # far from all points, as sampling may start
            x_t, t = 3 + noise.abs(), 2
        yield x_t, t, schedule, points


def weights_of(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances [B, N], sigma, and the flat points."""
    y = points.flatten(1)
    squares = (x_t.flatten(1)[:, None] - schedule.signal[t] * y).square().sum(2)
    return squares, schedule.sigma[t], y


def mean_by(log_weights: Tensor, y: Tensor, x_t: Tensor) -> Tensor:
    return (log_weights.softmax(1) @ y).reshape(x_t.shape)


def unscaled_points(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    y = points.flatten(1)
    squares = (x_t.flatten(1)[:, None] - y).square().sum(2)
    return mean_by(-squares / (2 * schedule.sigma[t] ** 2), y, x_t)


def scaled_answer(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    return schedule.signal[t] * ideal_denoiser(x_t, t, schedule, points)


def without_half(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares / sigma**2, y, x_t)


def over_sigma(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares / (2 * sigma), y, x_t)


def by_distance(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares.sqrt() / (2 * sigma**2), y, x_t)


def by_mean_square(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(-squares / y.shape[1] / (2 * sigma**2), y, x_t)


def over_the_batch(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return ((-squares / (2 * sigma**2)).softmax(0) @ y).reshape(x_t.shape)


def nearest(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, _, _ = weights_of(x_t, t, schedule, points)
    return points[squares.argmin(1)]


def farthest(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return mean_by(squares / (2 * sigma**2), y, x_t)


def unstable(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    weights = (-squares / (2 * sigma**2)).exp()
    return (weights / weights.sum(1, keepdim=True) @ y).reshape(x_t.shape)


def nearly_stable(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    weights = (-squares / (2 * sigma**2)).exp()
    return (weights / (weights.sum(1, keepdim=True) + 1e-12) @ y).reshape(x_t.shape)


def not_normalised(x_t: Tensor, t: int, schedule: NoiseSchedule, points: Tensor) -> Tensor:
    squares, sigma, y = weights_of(x_t, t, schedule, points)
    return ((-squares / (2 * sigma**2)).exp() @ y).reshape(x_t.shape)


UNSTABLE = (
    "It is right near the points, and NaN or 0 where all weights are too small for a float.",
    "Only differences of log-weights count: ask what you may subtract from all of them before you take exp.",
)
POINTS_AT_T = "Ask where x_t lies, at this t, if it came from a point y: compare x_t with that place."

FINITE = Exercise(
    solution=ideal_denoiser,
    cases=finite_sets,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "points not scaled by signal",
            unscaled_points,
            "Your weights compare x_t with the points themselves, which is right near t = 0 only.",
            POINTS_AT_T,
        ),
        Mistake(
            "guess scaled by signal",
            scaled_answer,
            "Your guess is too small by the factor signal_t.",
            "The guess is a clean example: ask whether what you average are the points or their places at t.",
        ),
        Mistake(
            "missing factor 1/2",
            without_half,
            "Your weights prefer the nearest point too much.",
            "Write down the logarithm of a Gaussian density, with its constant factor.",
        ),
        Mistake(
            "standard deviation for variance",
            over_sigma,
            "Your weights prefer the nearest point too little at small t.",
            "Write down the logarithm of a Gaussian density, and ask what its denominator is.",
        ),
        Mistake(
            "distance for its square",
            by_distance,
            "Your weights fall too slowly with the distance.",
            "Write down the logarithm of a Gaussian density, and look at the power of the distance.",
        ),
        Mistake(
            "mean for sum",
            by_mean_square,
            "Your weights differ too little, and the more so the more dimensions the data has.",
            "The log-density of independent coordinates adds up: look at what you take the mean of.",
        ),
        Mistake(
            "softmax over the batch",
            over_the_batch,
            "The guess for one x_t depends on the others in the batch.",
            "Ask which axis of your log-weights runs over the points: the weights must sum to 1 along it.",
        ),
        Mistake(
            "nearest point for average",
            nearest,
            "You always return one of the points.",
            "The best guess in the mean square is an average: ask how likely each of the points is.",
        ),
        Mistake(
            "wrong sign in the exponent",
            farthest,
            "Your guess lies near the points that are farthest from x_t.",
            "Ask whether a weight should rise or fall with the distance.",
        ),
        Mistake("softmax without subtracting the largest", unstable, *UNSTABLE),
        Mistake("softmax without subtracting the largest", nearly_stable, *UNSTABLE),
        Mistake(
            "weights that do not sum to 1",
            not_normalised,
            "Your weights are densities, and do not sum to 1 over the points.",
            "Probabilities of the points, given x_t, have a denominator by Bayes' rule.",
        ),
        Mistake("off by one in t", at_other_time(ideal_denoiser, -1), *EARLY),
    ),
)


# --- score and noise --------------------------------------------------------------------------------------


def eps_from_score(score: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The best guess at the noise, E[ε|x_t], from the score ∇ log q_t(x_t).

    score has the shape [B, *D]; t has the shape [B]: example n of the batch has the time t[n], from 0 to T.
    schedule.sigma is the table of standard deviations of the noise. Return the guess, in the shape of score.
    """
    sigma = schedule.sigma[t].reshape(-1, *[1] * (score.ndim - 1)).to(score)
    return -sigma * score


def scores(generator: torch.Generator) -> Iterator[Case]:
    """Several shapes, B = D among them, two dtypes, three schedules; both ends and times between."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3), (4, 1, 4, 4), (3, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 6]
        score = torch.randn(shape, generator=generator, dtype=torch.float32 if n % 5 == 4 else torch.float64)
        t = torch.randint(1, schedule.T, shape[:1], generator=generator)
        if n % 4 == 1:
            t[0], t[-1] = 0, schedule.T
        yield score, t, schedule


def along_the_last_axis(score: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    return -schedule.sigma[t].to(score) * score


def aligned(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 1)).to(x)


SCORE = Exercise(
    solution=eps_from_score,
    cases=scores,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "t along the last axis",
            along_the_last_axis,
            "Each column of the data got a time, where each example has one.",
            "A factor of shape [B] meets the last axis of the data: what shape makes it meet the first?",
        ),
        Mistake(
            "variance for standard deviation",
            lambda score, t, schedule: -aligned(schedule.sigma[t] ** 2, score) * score,
            "Your noise is too small wherever sigma is below 1.",
            "Ask for which power of sigma the noise has a size near 1.",
        ),
        Mistake(
            "divided, not multiplied",
            lambda score, t, schedule: -score / aligned(schedule.sigma[t], score),
            "Your noise is far too large at small t.",
            "The score grows as noise gets narrower, and ε keeps its size: which way does the factor go?",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda score, t, schedule: -aligned(schedule.signal[t], score) * score,
            "At t = 0 you return the negative score, and at t = T nearly nothing.",
            "Ask which of the two tables is the size of the noise.",
        ),
        Mistake("off by one in t", at_other_time(eps_from_score, -1), *EARLY),
        Mistake(
            "off by one in t",  # the last entry of the table at t = 0
            lambda score, t, schedule: eps_from_score(score, t - 1, schedule),
            *EARLY,
        ),
    ),
)


# --- the score of a mixture -------------------------------------------------------------------------------


def mixture_score(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    """The score ∇ log p(x) of a mixture of K round Gaussians in D dimensions.

    The density is p(x) = Σ_k weights[k] · N(x; means[k], stds[k]² I). x has the shape [B, D], means the
    shape [K, D]; stds (standard deviations) and weights, which sum to 1, have the shape [K]. The score
    must be finite for every x, also far from all means. Return it, in the shape of x.
    """
    deviation = x[:, None] - means
    log_joint = weights.log() - x.shape[1] * stds.log() - (deviation**2).sum(2) / (2 * stds**2)
    share = log_joint.softmax(1)[:, :, None]
    return -(share * deviation / stds[:, None] ** 2).sum(1)


def mixtures(generator: torch.Generator) -> Iterator[Case]:
    """One to five components in one to five dimensions (B = D, B = K, K = D), x among them and far away."""
    sizes = [(6, 2, 3), (5, 1, 4), (3, 3, 3), (1, 2, 5), (4, 5, 2), (4, 4, 4), (5, 3, 1), (7, 2, 3)]
    for n in range(14):
        B, D, K = sizes[n % 8]
        draw = {"generator": generator, "dtype": torch.float32 if n in (4, 9) else torch.float64}
        means = torch.randn(K, D, **draw)
        stds, weights = 0.4 + torch.rand(K, **draw), 0.2 + torch.rand(K, **draw)
        x = (60 if n == 7 else 1) * torch.randn(B, D, **draw)
        yield x, means, stds, weights / weights.sum()


def shares(
    x: Tensor, means: Tensor, stds: Tensor, weights: Tensor, half: float = 0.5, power: int = 2
) -> Tensor:
    """log p(k|x), but for a constant: the exponent's factor and the power of std may be wrong."""
    squares = (x[:, None] - means).square().sum(2)
    return weights.log() - x.shape[1] * stds.log() - half * squares / stds**power


def pull(log_joint: Tensor, x: Tensor, means: Tensor, stds: Tensor, power: int = 2) -> Tensor:
    """The components' own scores, weighed by a softmax."""
    own = (means - x[:, None]) / stds[:, None] ** power
    return (log_joint.softmax(1)[:, :, None] * own).sum(1)


def prior_shares(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    return pull(weights.log().expand(len(x), -1), x, means, stds)


def no_normaliser(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    return pull(shares(x, means, stds, weights) + x.shape[1] * stds.log(), x, means, stds)


def normaliser_of_one_axis(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    return pull(shares(x, means, stds, weights) + (x.shape[1] - 1) * stds.log(), x, means, stds)


def gradient_of_density(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    log_joint = shares(x, means, stds, weights) - x.shape[1] / 2 * torch.log(torch.tensor(2 * torch.pi)).to(x)
    own = (means - x[:, None]) / stds[:, None] ** 2
    return (log_joint.exp()[:, :, None] * own).sum(1)


def unstable_shares(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    joint = shares(x, means, stds, weights).exp()
    own = (means - x[:, None]) / stds[:, None] ** 2
    return ((joint / joint.sum(1, keepdim=True))[:, :, None] * own).sum(1)


def equal_weights(x: Tensor, means: Tensor, stds: Tensor, weights: Tensor) -> Tensor:
    return pull(shares(x, means, stds, torch.ones_like(weights)), x, means, stds)


WIDTHS = (
    "Your components share x in the wrong proportion wherever their widths differ.",
    "Write down a Gaussian density in D dimensions: not all that stands before exp is constant.",
)
SQUARES = (
    "The pull of your components depends on their widths in the wrong way.",
    "Write down the logarithm of a Gaussian density and its gradient: ask of each std whether it is squared.",
)

MIXTURE = Exercise(
    solution=mixture_score,
    cases=mixtures,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "standard deviation for variance",
            lambda x, means, stds, weights: pull(shares(x, means, stds, weights), x, means, stds, power=1),
            *SQUARES,
        ),
        Mistake(
            "standard deviation for variance",
            lambda x, means, stds, weights: pull(shares(x, means, stds, weights, power=1), x, means, stds),
            *SQUARES,
        ),
        Mistake(
            "standard deviation for variance",
            lambda x, means, stds, weights: pull(
                shares(x, means, stds, weights, power=1), x, means, stds, power=1
            ),
            *SQUARES,
        ),
        Mistake("width left out of the density", no_normaliser, *WIDTHS),
        Mistake("width left out of the density", normaliser_of_one_axis, *WIDTHS),
        Mistake(
            "weights forgotten",
            equal_weights,
            "Your result does not depend on weights.",
            "Ask by Bayes' rule how likely component k is, once x is known.",
        ),
        Mistake(
            "prior for posterior probabilities",
            prior_shares,
            "Every component pulls with the same share, wherever x is.",
            "Ask by Bayes' rule how likely component k is, once x is known.",
        ),
        Mistake(
            "missing factor 1/2",
            lambda x, means, stds, weights: pull(shares(x, means, stds, weights, half=1.0), x, means, stds),
            "The nearest component gets too large a share.",
            "Write down the logarithm of a Gaussian density, with its constant factor.",
        ),
        Mistake(
            "gradient of the density, not of its logarithm",
            gradient_of_density,
            "Your result vanishes far away, where the density does.",
            "Write out the derivative of log p: something stands in the denominator.",
        ),
        Mistake(
            "softmax without subtracting the largest",
            unstable_shares,
            "It is right near the means, and NaN far away, where all densities are too small for a float.",
            "Only differences of log-densities count: what may you subtract from all before exp?",
        ),
    ),
)

EXERCISES = (GAUSSIAN, FINITE, SCORE, MIXTURE)
