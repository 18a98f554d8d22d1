"""One caption drawn at every scale of guidance from the same noise, where it looks, and what is wrong."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from ..applications.autoencoder import load_autoencoder
from ..applications.text_to_image import guided, load_text_to_image, looks
from ..samplers import ddim, p_sample_prior, timesteps
from ..steps import Step
from .said import right, verdicts

CAPTIONS = (  # two scenes of the training set, …
    "a large red circle on the left",
    "a small blue square above a large green circle",
    "a small red square above a small yellow triangle",  # … two that are not in it, …
    "a small red triangle left of a large blue circle",
    "a large green triangle in the middle",  # … and two with a pair of colour and kind that is not
    "a small yellow circle left of a large red square",
)
SCALES = (0.0, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0)
STEPS, MIDDLE = 8, 4  # of the sampler, and the one at which to see where it looks
EACH = 4  # noises


def saying(caption: str, trained: int, seed: int) -> tuple[list[Step], Tensor]:
    """Eight steps of DDIM from four noises, at each w of SCALES, and the pictures [7, 4, 3, 32, 32]."""
    network = load_text_to_image(steps=trained)
    w = torch.tensor(SCALES).repeat_interleave(EACH)
    noise = p_sample_prior((EACH, 4, 8, 8), network.schedule, torch.Generator().manual_seed(seed))
    x_T, times = noise.repeat(len(SCALES), 1, 1, 1), timesteps(network.schedule, STEPS)
    steps = list(ddim(guided(caption, w, network), x_T, network.schedule, times))
    pictures = load_autoencoder().pictures(steps[-1].x).unflatten(0, (len(SCALES), EACH))
    return steps, pictures


@dataclass(frozen=True)
class Drawn:
    """What is there to see at one w: pictures [4, 3, 32, 32], and what is right in each.

    :ivar maps: how much each pixel of the first picture's latent looks at each word, half way: [10, 4, 4]
    :ivar right: whether each picture reads as its caption
    :ivar wrong: the parts that are wrong in each picture, of `said.PARTS`
    """

    pictures: Tensor
    maps: Tensor
    right: list[bool]
    wrong: list[list[str]]


@functools.lru_cache(maxsize=64)
def drawn_at_each(caption: str, trained: int, seed: int) -> list[Drawn]:
    """`saying`, for each w of SCALES, with what is right. The caption must be in the world's own words."""
    steps, pictures = saying(caption, trained, seed)
    middle = steps[MIDDLE].prediction
    maps = looks(load_text_to_image(trained), middle.x_t[::EACH], middle.t, caption)
    found = []
    for here, seen in zip(pictures, maps, strict=True):
        good = right(here, [caption] * EACH)
        wrong = [[] if fine else wrong_parts(x, caption) for x, fine in zip(here, good, strict=True)]
        found.append(Drawn(here, seen, good, wrong))
    return found


def wrong_parts(picture: Tensor, caption: str) -> list[str]:
    """The parts of a picture [3, 32, 32] that its caption says otherwise."""
    return [part for part, good in verdicts(picture, caption).items() if not all(good)]
