"""The world itself beside the network: exact draws of a caption, exact denoisers, and exact log p(c|x).

There are 1 272 scenes, so all of them can be listed. What remains is where exactly a shape stands; eight
pictures of each scene stand for that. `Empirical` over these pictures is an exact model of them.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..applications.autoencoder import load_autoencoder
from ..applications.text_to_image import RECIPE
from ..applications.words import tokens
from ..empirical import Empirical
from ..forward import q_sample
from ..model import ModelDenoiser
from ..shape_world import (
    COLORS,
    JITTER,
    KINDS,
    PLACES,
    SIZES,
    SPLITS,
    Scene,
    painted,
    scene_of,
    scenes,
)

EACH = 8  # pictures of a scene
BLUR = 0.4  # of the small pictures, in which captions are compared


def pictures_of(drawn: Sequence[Scene], generator: torch.Generator | None = None) -> Tensor:
    """A picture of each scene, as the world draws it: [n, 3, 32, 32]. A hundred at a time, to save memory."""
    moved = JITTER * (2 * torch.rand(len(drawn), 2, 2, generator=generator) - 1)
    places = [[PLACES[place] for place in (*scene.places, scene.places[0])[:2]] for scene in drawn]
    centres = torch.tensor(places) + moved
    parts = [(list(drawn[i : i + 100]), centres[i : i + 100]) for i in range(0, len(drawn), 100)]
    return torch.cat([painted(*part) for part in parts])


def oracle(caption: str, n: int, generator: torch.Generator | None = None) -> Tensor:
    """n draws of the exact p(x|caption): [n, 3, 32, 32]."""
    return pictures_of([scene_of(caption)] * n, generator)


# ------------------------------------------------------------------------------------ in the place of CLIP
@functools.cache
def every_scene() -> tuple[Scene, ...]:
    """All 1 272 scenes."""
    return tuple(scene for split in SPLITS for scene in scenes(split))


@functools.cache
def world() -> Empirical:
    """Eight pictures of every scene, 8×8 pixels each and slightly blurred."""
    generator = torch.Generator().manual_seed(2)
    parts = [small(pictures_of(every_scene(), generator)) for _ in range(EACH)]
    return Empirical(torch.stack(parts, 1).flatten(0, 1), BLUR)


def small(pictures: Tensor) -> Tensor:
    """Means of 4 × 4 pixels: [B, 3, 32, 32] -> [B, 3, 8, 8]."""
    return F.avg_pool2d(pictures, 4)


def log_likelihoods(pictures: Tensor) -> Tensor:
    """log p(x|s) of each picture for each of 1 272 scenes, up to what is the same for all: [B, 1272]."""
    each = world().log_posterior(small(pictures).double()).unflatten(1, (-1, EACH))
    return each.logsumexp(2)


def score(pictures: Tensor, captions: Sequence[str]) -> Tensor:
    """log p(c|x) − log p(c) in nats, at most log 1272 = 7.15: what a CLIP score estimates. [B]."""
    log_posterior = log_likelihoods(pictures).log_softmax(1)
    index = {str(scene): k for k, scene in enumerate(every_scene())}
    own = torch.tensor([index[str(scene_of(caption))] for caption in captions])
    return log_posterior[torch.arange(len(own)), own] + math.log(len(index))


# ------------------------------------------------------------------------------------ how a word is heard
HEARD_AT, PAIRS = 900, 10  # t; captions that differ in one word
WORDS_OF = {"size": SIZES, "color": COLORS, "kind": KINDS}


@torch.no_grad()
def latents_of(caption: str, n: int, generator: torch.Generator) -> Tensor:
    """Latents of n pictures of a caption: [n, 4, 8, 8]."""
    return load_autoencoder().latents(oracle(caption, n, generator))


@functools.cache
def contrasts(part: str) -> list[tuple[str, str, Tensor, Tensor]]:
    """Ten pairs of captions that differ in one word, x_t of the first, and the exact difference of x̂_0 there.

    `part` says in which word: size, color or kind. Each caption has one shape, and no pair that is held out.
    The exact E[x_0|x_t, caption] is that of `Empirical` over 200 latents.
    """
    generator, schedule, found = torch.Generator().manual_seed(5), RECIPE.make_schedule(), []
    known = [scene for scene in scenes("train") if len(scene.shapes) == 1]
    while len(found) < PAIRS:
        first = known[int(torch.randint(len(known), (), generator=generator))]
        shape = first.shapes[0]
        others = [word for word in WORDS_OF[part] if word != getattr(shape, part)]
        other = others[int(torch.randint(len(others), (), generator=generator))]
        second = Scene((dataclasses.replace(shape, **{part: other}),), first.where)
        if second in known:
            pair = [latents_of(str(scene), 200, generator) for scene in (first, second)]
            x_t = q_sample(latents_of(str(first), 16, generator), HEARD_AT, schedule, generator=generator)
            exact = [Empirical(each).denoiser(schedule)(x_t, HEARD_AT).x0 for each in pair]
            found.append((str(first), str(second), x_t, exact[0] - exact[1]))
    return found


@torch.no_grad()
def heard(network: ModelDenoiser, part: str) -> float:
    """How much of the difference that a word should make the network makes: 1 is all of it.

    With d = x̂_0 told one caption minus x̂_0 told the other, and e the same of the exact denoiser, at the same
    x_t, it is Σ d·e / Σ e·e.
    """
    above = below = 0.0
    for first, second, x_t, exact in contrasts(part):
        told = [network.given(tokens(caption))(x_t, HEARD_AT).x0 for caption in (first, second)]
        difference = told[0] - told[1]
        above += (difference * exact).sum().item()
        below += exact.square().sum().item()
    return above / below
