"""One denoising step, three guesses at a digit: by a network, by a perfect memory and by a Gaussian."""

import functools

import numpy as np
import torch
from torch import Tensor

from ..exact import Empirical, GaussianMixture
from ..forward import q_marginal, q_sample
from .stored import digits, trained

GUESSES = ["network", "by heart", "Gaussian"]


def guesses_at(
    split: str, index: int, told: bool, seed: int, times: list[int]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """x_0 and x_t [times, 1, 8, 8], x_0 repeated; the three guesses at x_0, in the order of GUESSES.

    "By heart" is the ideal denoiser for the training images: their average, in which each image is weighted
    by its probability given x_t. `told`: all three know the class. Otherwise the network is asked for any
    digit, the memory holds all training digits, and there is one Gaussian per class.
    """
    images, classes = digits(split)
    x0, label = images[[index] * len(times)], int(classes[index]) if told else None
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).expand_as(x0)
    network = trained("digits").given(label)
    heart = Empirical(known(label)).denoiser(network.schedule)
    gaussian = gaussians(label).denoiser(network.schedule)
    x_t = q_sample(x0, torch.tensor(times), network.schedule, noise)
    guesses = [denoise(x_t, torch.tensor(times)).x0 for denoise in (network, heart, gaussian)]
    return x0, x_t, guesses


def of_class(label: int | None) -> Tensor:
    """The indices of the training images of a class, or of all: [N]."""
    labels = digits("train")[1]
    return torch.arange(len(labels)) if label is None else (labels == label).nonzero()[:, 0]


@functools.cache
def known(label: int | None) -> Tensor:
    """The training images of a class, or all of them: [N, 1, 8, 8]."""
    return digits("train")[0][of_class(label)]


@functools.cache
def gaussians(label: int | None) -> GaussianMixture:
    """The Gaussian fitted to the training images of a class, or one for each class."""
    mixture = GaussianMixture.fit(*digits("train"))
    return mixture if label is None else mixture.given(label)


def likeliest(x_t: Tensor, told: int | None, times: list[int]) -> list[tuple[int, float]]:
    """The most probable training image (of a class, or of all) given each x_t, and its probability."""
    images, schedule, found = known(told), trained("digits").schedule, []
    for x, t in zip(x_t, times, strict=True):
        p = q_marginal(images, t, schedule).log_prob(x.expand_as(images)).softmax(0)  # p(n|x_t): [N]
        found.append((of_class(told)[p.argmax()].item(), p.max().item()))
    return found


@functools.cache
def positions() -> list[int]:
    """About 60 times from 1 to T; two thirds lie between an SNR of 100 and 0.1, evenly spaced in log SNR."""
    schedule = trained("digits").schedule
    first, last = (int((schedule.snr > snr).sum()) for snr in (100, 0.1))
    middle = torch.linspace(schedule.log_snr[first], schedule.log_snr[last], 42, dtype=torch.float64)
    middle = (schedule.log_snr[None] > middle[:, None]).sum(1)
    parts = (np.geomspace(1, first, 11), middle.numpy(), np.linspace(last, schedule.T, 9))
    return np.unique(np.concatenate(parts).round().astype(int)).tolist()
