"""Text to image: a caption in, a picture of it out.

Three things are new, and all three are small. The caption becomes vectors, one for each word (`words`). The
U-Net lets every pixel look at these words (`WordUNet`). And the pictures are latents of 4×8×8 numbers, which
an `autoencoder` makes of 32×32 pixels and back, since the pixels themselves would take several times as long.

All else stays what it was. A caption stands where a class stood: ``network.given("a large red circle on the
left")`` is a denoiser, `guidance.classifier_free` guides it, `training.train` trains it, and every sampler
draws from it. In training a share of the captions is left out, so one set of weights knows p(x|caption) and
p(x) (Ho & Salimans 2022, algorithm 1).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints import FilePath, read_safetensors, write_atomically
from ..checks import Reals, check_batch, check_generator, check_int
from ..guidance import classifier_free
from ..layers import Condition
from ..model import ModelDenoiser
from ..pretrained import FOLDER
from ..recipe import Recipe
from ..samplers import ddim, p_sample_prior, timesteps
from ..unet import ResBlock
from ..views import Denoiser
from ..weights import from_bytes, in_bytes
from .autoencoder import load_autoencoder
from .words import Captions, Look, TextEncoder, tokens

SHAPE = (4, 8, 8)  # of a latent
FORMAT = "diffusion_lab text to image 2"
# What ships: the weights after so many steps of training, which are the first seconds of it and four minutes
FILES = {steps: f"shapes.text.{steps}.safetensors" for steps in (150, 300, 600, 2000)}


class WordUNet(nn.Module):
    """A U-Net for latents [B, 4, 8, 8] that reads a caption: cross-attention at 8×8 and at 4×4.

    (Rombach et al. 2022, section 3.3; here the text encoder is trained along.) Called as net(x, t, label). A
    label is a caption, or B of them, or their `tokens` [B, 10]; None is the empty caption.
    """

    told = True  # its label is no class: ModelDenoiser leaves it to the network …
    read = staticmethod(tokens)  # … and `train` has it read here
    num_classes: int | None = None
    shape = SHAPE

    def __init__(self, width: int = 32, dim: int = 48) -> None:
        super().__init__()
        c, wide = 4 * width, 2 * width
        self.text, self.summary = TextEncoder(dim), nn.Linear(dim, c)
        self.time = Condition(c, None)
        self.first = nn.Conv2d(SHAPE[0], width, 3, padding=1)
        self.where = nn.Parameter(torch.zeros(width, 8, 8))  # a pixel must know where it is, to be "left"
        self.down1, self.look1 = ResBlock(width, width, c, 0.0), Look(width, dim)
        self.down2, self.look2 = ResBlock(width, wide, c, 0.0), Look(wide, dim)
        self.middle1, self.middle2 = ResBlock(wide, wide, c, 0.0), ResBlock(wide, wide, c, 0.0)
        self.around = Look(wide, wide)
        self.up2, self.look3 = ResBlock(2 * wide, wide, c, 0.0), Look(wide, dim)
        self.up1, self.look4 = ResBlock(wide + width, width, c, 0.0), Look(width, dim)
        self.norm, self.last = nn.GroupNorm(8, width), nn.Conv2d(width, SHAPE[0], 3, padding=1)
        for weight in self.last.parameters():  # an untrained network outputs 0 for every input
            nn.init.zeros_(weight)

    def forward(
        self,
        x: Tensor,
        t: Reals,
        label: Captions = None,
        drop: Tensor | None = None,
        looked: list[Tensor] | None = None,
    ) -> Tensor:
        """x [B, 4, 8, 8]; t one time or [B]; label one caption or B of them -> like x.

        drop [B], bool, hides the caption of those examples. The weights with which pixels look at the words
        are added to `looked`: [B, heads, pixels, 10] at 8×8, 4×4, 4×4, 8×8. Raises ValueError for another
        shape, another number of captions, and captions that this world does not know.
        """
        check_batch(x, "x", SHAPE, finite=False)
        numbers = tokens(label).to(x.device)
        if len(numbers) not in (1, len(x)):
            raise ValueError(f"label must be one caption or {len(x)}, one for each x; got {len(numbers)}")
        if drop is not None:
            numbers = torch.where(drop.to(x.device)[:, None], 0, numbers)
        words = self.text(numbers)
        c = self.time(x, t) + self.summary(words.mean(1))
        words = words.expand(len(x), -1, -1)

        def read(look: nn.Module, h: Tensor) -> Tensor:
            return as_picture(look(as_list(h), words, looked), h)

        a = read(self.look1, self.down1(self.first(x) + self.where, c))
        b = read(self.look2, self.down2(F.avg_pool2d(a, 2), c))
        h = self.middle1(b, c)
        h = as_picture(self.around(as_list(h), as_list(h)), h)
        h = self.middle2(h, c)
        h = read(self.look3, self.up2(torch.cat([h, b], 1), c))
        h = F.interpolate(h, scale_factor=2.0, mode="nearest")
        h = read(self.look4, self.up1(torch.cat([h, a], 1), c))
        return self.last(F.silu(self.norm(h)))


def as_list(h: Tensor) -> Tensor:
    """A picture [B, C, H, W] as the list of its pixels [B, H·W, C]."""
    return h.flatten(2).mT


def as_picture(rows: Tensor, like: Tensor) -> Tensor:
    """The list [B, H·W, C] as a picture of `like`'s shape."""
    return rows.mT.reshape(like.shape)


@dataclass(frozen=True)
class WordRecipe(Recipe):
    """A recipe for a WordUNet, and for nothing else."""

    networks: ClassVar[Mapping[str, Callable[..., Any]]] = {"WordUNet": WordUNet}

    network: str = "WordUNet"


RECIPE = WordRecipe(
    "shapes", arguments=dict(width=32, dim=48), steps=2000, batch=128, ema_decay=0.995, label_dropout=0.12
)


# ------------------------------------------------------------------------------------ with trained weights
def save_text_to_image(denoiser: ModelDenoiser, steps: int, folder: FilePath = FOLDER) -> None:
    """Stores the weights of the network after so many steps, in one byte each, with their recipe."""
    weights = in_bytes(denoiser.net.state_dict())
    metadata = {"format": FORMAT, "recipe": RECIPE.to_json(), "steps": str(steps)}
    write_atomically(f"{folder}/{FILES[steps]}", safetensors.torch.save(weights, metadata))


@functools.cache
def load_text_to_image(steps: int = 2000, folder: FilePath = FOLDER) -> ModelDenoiser:
    """The trained network that ships, as a denoiser of latents; `.given(caption)` tells it what to draw.

    :param steps: how long it was trained: 2000 steps, or only 150, 300 or 600 of them
    :raises ValueError: for other steps, and for a file that is missing or of another kind

    It is read once, so do not change it.
    """
    if steps not in FILES:
        raise ValueError(f"steps must be one of {', '.join(map(str, FILES))}; got {steps!r}")
    weights, metadata = read_safetensors(f"{folder}/{FILES[steps]}", FORMAT)
    recipe = WordRecipe.from_json(metadata["recipe"])
    net = recipe.make_network(from_bytes(weights)).eval().requires_grad_(False)
    return ModelDenoiser(net, recipe.make_schedule(), recipe.predicts)


def guided(captions: Captions, w: float | Tensor = 2.0, network: ModelDenoiser | None = None) -> Denoiser:
    """ε̂ = ε̂_∅ + w (ε̂_c − ε̂_∅) for captions c, where ∅ is the empty caption (`guidance.classifier_free`).

    A denoiser of latents [B, 4, 8, 8], for one caption or B of them. Raises ValueError as `tokens` does.
    """
    network = load_text_to_image() if network is None else network
    return classifier_free(network.given(tokens(captions)), network.given(None), w)


@torch.no_grad()
def sample(
    captions: str | Sequence[str],
    w: float = 2.0,
    steps: int = 25,
    generator: torch.Generator | None = None,
    network: ModelDenoiser | None = None,
) -> Tensor:
    """A picture for each caption: [B, 3, 32, 32] in [−1, 1], by DDIM in the latent space.

    :param captions: one or several, such as "a small red circle above a large blue square"
    :param w: the scale of guidance: 0 does not listen, 1 is p(x|caption) as learned, more is guided
    :param network: a denoiser of latents; unless given, the one that ships
    :raises ValueError: for captions that this world does not know, naming the words; for steps < 1
    """
    check_generator(generator)
    denoiser, n = guided(captions, w, network), len(tokens(captions))
    schedule = denoiser.schedule  # pyrefly: ignore[missing-attribute]  # ours all have one
    x_T = p_sample_prior((n, *SHAPE), schedule, generator)
    *_, last = ddim(denoiser, x_T, schedule, timesteps(schedule, check_int(steps, "steps", 1)))
    return load_autoencoder().pictures(last.x)


@torch.no_grad()
def looks(network: ModelDenoiser, x_t: Tensor, t: Reals, captions: Captions) -> Tensor:
    """How much each pixel looks at each word: [B, 10, 4, 4], the mean over the heads.

    In the layer at 4×4 on the way up: of the four, it is the one that finds the shape a word belongs to. The
    ten weights of a pixel add up to 1.
    """
    looked: list[Tensor] = []
    network.net(x_t, torch.as_tensor(t).float(), captions, looked=looked)
    return looked[2].mean(1).mT.unflatten(2, (4, 4))
