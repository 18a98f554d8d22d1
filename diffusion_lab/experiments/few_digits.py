"""A classifier that has only a few labelled digits, and where it can get more pictures from.

Every classifier here has the architecture of `features` and makes the same number of optimiser steps on
batches of the same size, whatever it is trained on: else the longest training would win. Extra pictures take
a fixed share of each batch, however many there are.

Digits of the training set only: `pool` may be learned from, and `chosen_on` is for choosing how. What is
reported is measured on ``data.digits("test")``, and nothing was chosen on that.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import guidance, samplers, training
from ..checks import check_int
from ..exact import GaussianMixture
from ..features import Classifier, warped
from ..layers import Dropout
from ..model import ModelDenoiser
from ..recipe import Recipe
from ..unet import TinyUNet
from ..weights import drawn
from .stored import digits

Labelled = tuple[Tensor, Tensor]  # images [N, 1, 8, 8], labels [N]

STEPS, BATCH, LR = 200, 64, 4e-3  # of every classifier
SHARE = 0.5  # of a batch, for the extra pictures
SAMPLING = 10  # steps of DPM-Solver++(2M)
UNKNOWN = 10  # the label of a picture whose class nobody has told


# ------------------------------------------------------------------------------------ which digits
@functools.cache
def pool() -> Labelled:
    """The 1149 training digits that may be learned from; their labels only where they are asked for."""
    x, label = digits("train")
    keep = torch.arange(len(x)) % 5 != 0
    return x[keep], label[keep]


@functools.cache
def chosen_on() -> Labelled:
    """The other 288 training digits, on which guidance and the like were chosen."""
    x, label = digits("train")
    keep = torch.arange(len(x)) % 5 == 0
    return x[keep], label[keep]


def labelled(n: int, seed: int) -> Labelled:
    """n digits of each class of the pool, drawn by this seed. Raises ValueError unless n is in 1…100."""
    if check_int(n, "n", 1) > 100:
        raise ValueError(f"n must be at most 100, the pool has hardly more of some classes; got {n}")
    x, label = pool()
    generator = torch.Generator().manual_seed(1000 + seed)
    order = torch.randperm(len(x), generator=generator)
    pick = torch.cat([order[label[order] == k][:n] for k in range(10)])
    return x[pick], label[pick]


def first_of_each(extra: Labelled, n: int) -> Labelled:
    """The first n pictures of each class: how fewer synthetic digits are taken from many."""
    x, label = extra
    pick = torch.cat([(label == k).nonzero()[:n, 0] for k in range(10)])
    return x[pick], label[pick]


# ------------------------------------------------------------------------------------ the classifier
def classifier(
    real: Labelled,
    extra: Labelled | None = None,
    seed: int = 0,
    distorted: bool = False,
    steps: int = STEPS,
    share: float = SHARE,
) -> Classifier:
    """A classifier, trained by cross-entropy with AdamW; each batch has 64 pictures.

    :param real: labelled digits
    :param extra: more pictures with labels, for `share` of each batch
    :param distorted: each picture of a batch is moved, turned and stretched a little (`features.warped`)
    :returns: in eval mode
    """
    generator, own = (torch.Generator().manual_seed(seed) for _ in range(2))
    net = drawn(Classifier, own)
    for layer in net.modules():
        if isinstance(layer, Dropout):
            layer.generator = own
    optimizer = torch.optim.AdamW(net.parameters(), LR, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=check_int(steps, "steps", 1))
    parts = (
        [(real, BATCH)]
        if extra is None
        else [(real, BATCH - round(share * BATCH)), (extra, round(share * BATCH))]
    )
    for _ in range(steps):
        picks = [torch.randint(len(x), (count,), generator=generator) for (x, _), count in parts]
        x = torch.cat([x[pick] for ((x, _), _), pick in zip(parts, picks, strict=True)])
        label = torch.cat([label[pick] for ((_, label), _), pick in zip(parts, picks, strict=True)])
        loss = F.cross_entropy(net(warped(x, generator) if distorted else x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval().requires_grad_(False)


# ------------------------------------------------------------------------------------ more pictures
def in_turn(per_class: int) -> Tensor:
    """The labels 0…9, over and over: [10 per_class]."""
    return torch.arange(10).repeat(check_int(per_class, "per_class", 1))


def gaussian_digits(real: Labelled, per_class: int, seed: int, shrinkage: float = 0.3) -> Labelled:
    """Draws of one Gaussian for each class, fitted to the labelled digits, clamped to [−1, 1].

    All classes share one covariance, (1 − a) S + a v I: S is that of the digits around their class means, v
    its mean variance, a the `shrinkage`. (Ledoit & Wolf 2004 take such a mix, and compute a. Here it is
    chosen on other digits.)
    """
    x, label = real
    means = torch.stack([x[label == k].mean(0) for k in range(10)]).double()
    around = (x - means[label]).flatten(1).double()
    S = around.mT @ around / len(x)
    shrunk = (1 - shrinkage) * S + shrinkage * S.diagonal().mean() * torch.eye(64).double()
    generator, told = torch.Generator().manual_seed(seed), in_turn(per_class)
    noise = GaussianMixture(torch.zeros(1, 64).double(), covariances=shrunk[None]).sample(
        len(told), generator
    )
    return (means[told] + noise.reshape(-1, 1, 8, 8)).clamp(-1, 1).float(), told


def network(classes: int = 10) -> TinyUNet:
    """The small U-Net of all generators here."""
    return TinyUNet(width=16, num_classes=classes, image_size=8)


@dataclass(frozen=True)
class FewDigits(Recipe):
    """The recipe of a generator of digits; `start` are the weights that it begins with, if any."""

    networks: ClassVar[Mapping[str, Callable[..., Any]]] = {"TinyUNet": network}

    arguments: dict[str, Any] = field(default_factory=dict)
    steps: int = 400
    batch: int = 32
    lr: float = 4e-3
    ema_decay: float = 0.99
    start: dict[str, Tensor] | None = field(default=None, compare=False)

    def make_network(self, weights: dict[str, Tensor] | None = None) -> Any:
        return super().make_network(self.start if weights is None else weights)


def diffusion(real: Labelled, seed: int, steps: int = 400) -> ModelDenoiser:
    """A diffusion model of the labelled digits alone, told their classes, trained from the start."""
    return training.train(FewDigits(steps=steps, seed=seed), real, progress=False).denoiser


@functools.cache
def without_labels(steps: int = 2000) -> ModelDenoiser:
    """A diffusion model of all pictures of the pool, without their labels: all are UNKNOWN. Half a minute."""
    x, _ = pool()
    plan = FewDigits(arguments=dict(classes=11), steps=steps, label_dropout=0.0)
    return training.train(plan, (x, torch.full((len(x),), UNKNOWN)), progress=False).denoiser


def taught(real: Labelled, seed: int, steps: int = 200) -> ModelDenoiser:
    """`without_labels`, trained on: half of what it sees are the labelled digits, told their classes."""
    x, label = real
    every, _ = pool()
    often = round(len(every) / len(x))
    images = torch.cat([x.repeat(often, 1, 1, 1), every])
    labels = torch.cat([label.repeat(often), torch.full((len(every),), UNKNOWN)])
    weights = {k: v.clone() for k, v in without_labels().net.state_dict().items()}
    plan = FewDigits(arguments=dict(classes=11), steps=steps, label_dropout=0.0, seed=seed, start=weights)
    return training.train(plan, (images, labels), progress=False).denoiser


def drawn_digits(model: ModelDenoiser, per_class: int, seed: int, w: float = 1.0) -> Labelled:
    """Digits of each class, with guidance w, by DPM-Solver++(2M) in 10 steps."""
    label, schedule = in_turn(per_class), model.schedule
    untold = model.given(UNKNOWN if model.net.num_classes == 11 else None)
    x, generator = [], torch.Generator().manual_seed(seed)
    for some in label.split(500):
        denoiser = model.given(some) if w == 1 else guidance.classifier_free(model.given(some), untold, w)
        x_T = samplers.p_sample_prior((len(some), 1, 8, 8), schedule, generator)
        times = samplers.timesteps(schedule, SAMPLING)
        *_, last = samplers.dpm_solver_pp_2m(denoiser, x_T, schedule, times, clip=1.0)
        x.append(last.x.clamp(-1, 1))
    return torch.cat(x), label


def pseudo_labelled(judge: Classifier) -> Labelled:
    """All pictures of the pool, with the classes that a classifier gives them (Lee 2013)."""
    x, _ = pool()
    return x, judge(x).argmax(1)
