"""Exercises of notebook 09: guidance without a classifier, with one, and the classifier itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..schedules import NoiseSchedule, cosine, linear, quadratic
from .exercise import Case, Exercise, Mistake, at_other_time

NOTEBOOK = "09_guidance"


def guided_eps(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    """The guided noise, in the convention of this course: w = 0 is unconditional, w = 1 conditional.

    eps_c (predicted by a network that was told the class) and eps_0 (not told) have one shape, [B, *D]. w is a
    number, or a tensor of shape [B], one scale for each example. Return the guided noise, [B, *D].
    """
    w = torch.as_tensor(w).reshape(-1, *[1] * (eps_0.ndim - 1))
    return eps_0 + w.to(eps_0.dtype) * (eps_c - eps_0)


def scales(generator: torch.Generator) -> Iterator[Case]:
    """Pairs of noises and one scale, or one for each example; B = D among them."""
    shapes = [(5, 2), (3, 3), (2, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(15):
        shape = shapes[n % 5]
        dtype = torch.float32 if n % 7 == 6 else torch.float64
        eps_c, eps_0 = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        w = 5 * torch.rand(shape[:1], generator=generator, dtype=dtype)
        yield eps_c, eps_0, w if n % 3 else [0.0, 1.0, 3.0, 7.5, -1.0][n // 3]


def along_the_last_axis(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    return eps_0 + w * (eps_c - eps_0)


def plus_one(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    return guided_eps(eps_c, eps_0, torch.as_tensor(w) + 1)


def away_from_the_class(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    return 2 * eps_0 - guided_eps(eps_c, eps_0, w)


def swapped(eps_c: Tensor, eps_0: Tensor, w: float | Tensor) -> Tensor:
    return guided_eps(eps_0, eps_c, w)


def classifier_guided_eps(
    eps_0: Tensor, gradient: Tensor, w: float, t: int, schedule: NoiseSchedule
) -> Tensor:
    """The guided noise, by the gradient of a classifier of noisy data.

    eps_0 is the noise predicted without the class, [B, *D]; gradient is ∇ log p(c|x_t), in the same shape. w is a
    number, t one time from 1 to T, and schedule.sigma[t] the standard deviation of the noise. Return [B, *D].
    """
    return eps_0 - w * schedule.sigma[t] * gradient


def gradients(generator: torch.Generator) -> Iterator[Case]:
    """Noises, gradients, scales and times."""
    makers = [linear(), cosine(50), quadratic(100)]
    shapes = [(5, 2), (3, 1, 4, 4), (4, 4), (1, 3)]
    for n in range(12):
        schedule, shape = makers[n % 3], shapes[n % 4]
        dtype = torch.float32 if n % 5 == 4 else torch.float64
        eps_0, gradient = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
        t = int(torch.randint(1, schedule.T + 1, (), generator=generator))
        yield eps_0, gradient, [2.0, 0.5, 4.0, -1.5][n % 4], [t, t, 1, schedule.T][n % 4], schedule


def class_log_posterior(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    """log p(c|x), in nats, by Bayes' rule.

    log_likelihood [B, K] holds log p(x|k) of every example under each of K classes, log_weights [K] holds log p(k),
    and c [B] one class for each example, as whole numbers from 0. Return log p(c|x), of shape [B].
    """
    joint = log_likelihood + log_weights
    evidence = joint.logsumexp(1)
    return joint[torch.arange(len(c)), c] - evidence


def likelihoods(generator: torch.Generator) -> Iterator[Case]:
    """Batches of several sizes, B = K among them; likelihoods that would underflow without their logarithm."""
    for n, (b, k) in enumerate([(5, 3), (4, 4), (1, 2), (7, 10), (3, 3), (6, 2), (10, 10), (2, 5)]):
        dtype = torch.float32 if n == 5 else torch.float64
        log_likelihood = 3 * torch.randn(b, k, generator=generator, dtype=dtype) - (900 if n % 3 == 2 else 0)
        weights = torch.rand(k, generator=generator, dtype=dtype) + 0.1
        c = torch.randint(0, k, (b,), generator=generator)
        yield log_likelihood, (weights / weights.sum()).log(), c


def weights_forgotten(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    return class_log_posterior(log_likelihood, torch.zeros_like(log_weights), c)


def not_normalised(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    return (log_likelihood + log_weights).gather(1, c[:, None])[:, 0]


def probability(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    return class_log_posterior(log_likelihood, log_weights, c).exp()


def over_the_batch(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    return (log_likelihood + log_weights).log_softmax(0).gather(1, c[:, None])[:, 0]


def underflows(log_likelihood: Tensor, log_weights: Tensor, c: Tensor) -> Tensor:
    joint = log_likelihood.exp() * log_weights.exp()
    return (joint / joint.sum(1, keepdim=True)).gather(1, c[:, None])[:, 0].log()


EXERCISES = (
    Exercise(
        solution=guided_eps,
        cases=scales,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "another paper's w",
                plus_one,
                "At w = 0 you return the conditional noise, and at w = 1 you already go twice as far.",
                "Look at the table of conventions: which row says what w = 0 and w = 1 mean here?",
            ),
            Mistake(
                "points away from the class",
                away_from_the_class,
                "At w = 0 all is well, but with more w you move away from eps_c.",
                "Look at what is subtracted from what.",
            ),
            Mistake(
                "conditional and unconditional swapped",
                swapped,
                "At w = 1 you return the prediction that was not told the class.",
                "Look at which of the two the difference points to.",
            ),
            Mistake(
                "w along the last axis",
                along_the_last_axis,
                "With w of shape [B], your scales run along the last axis of the data, not along the batch.",
                "Give w as many axes as the data has, before it multiplies.",
            ),
        ),
    ),
    Exercise(
        solution=classifier_guided_eps,
        cases=gradients,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "adds the gradient",
                lambda eps_0, gradient, w, t, schedule: eps_0 + w * schedule.sigma[t] * gradient,
                "You lean away from the class where you should lean towards it.",
                "The score and ε have opposite signs: look at how one becomes the other.",
            ),
            Mistake(
                "score for eps",
                lambda eps_0, gradient, w, t, schedule: eps_0 - w * gradient,
                "The gradient is added with the same strength at every t.",
                "It is a change of the score; ask what a score is multiplied by to become ε.",
            ),
            Mistake(
                "variance for standard deviation",
                lambda eps_0, gradient, w, t, schedule: eps_0 - w * schedule.sigma[t] ** 2 * gradient,
                "Your push is too weak wherever sigma is below 1, and right where it is 1.",
                "Look at the power of sigma between score and ε.",
            ),
            Mistake(
                "divided by sigma",
                lambda eps_0, gradient, w, t, schedule: eps_0 - w * gradient / schedule.sigma[t],
                "Your push is strongest at small t, where there is least noise.",
                "You went from ε to the score; here it is the other way round.",
            ),
            Mistake(
                "signal and sigma swapped",
                lambda eps_0, gradient, w, t, schedule: eps_0 - w * schedule.signal[t] * gradient,
                "Your push vanishes near t = T, where it should be largest.",
                "Look at which of the two tables belongs to the noise.",
            ),
            Mistake(
                "off by one in t",
                at_other_time(classifier_guided_eps, -1),
                "Your sigma is that of t − 1.",
                "The tables have T + 1 entries, and entry t belongs to time t.",
            ),
        ),
    ),
    Exercise(
        solution=class_log_posterior,
        cases=likelihoods,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "weights of the classes forgotten",
                weights_forgotten,
                "Your answer does not change with log_weights.",
                "Bayes' rule has two factors above the line; look for the second one.",
            ),
            Mistake(
                "not normalised",
                not_normalised,
                "The probabilities of all classes do not add up to 1.",
                "Look at what stands below the line in Bayes' rule.",
            ),
            Mistake(
                "probability for its logarithm",
                probability,
                "All your values lie between 0 and 1, and a logarithm of a probability does not.",
                "Look at the last thing you do.",
            ),
            Mistake(
                "normalised over the batch",
                over_the_batch,
                "With one example in the batch, your log-probability is 0.",
                "The sum runs over the classes: look at the axis.",
            ),
            Mistake(
                "underflow",
                underflows,
                "Where the log-likelihoods are around −900, your values are NaN.",
                "In floating point exp(−900) is 0: stay with logarithms to the end.",
            ),
        ),
    ),
)
