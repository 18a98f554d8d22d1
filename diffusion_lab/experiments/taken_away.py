"""What each part of the U-Net contributes: the network is trained without it.

``python -m diffusion_lab.experiments.taken_away`` trains ten small networks, in a quarter of an hour on one
core, and writes ``pretrained/digits.taken_away.csv``; `table` reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .. import samplers, training
from ..checkpoints import FilePath
from ..features import Classifier
from ..features import load as load_classifier
from ..forward import q_sample
from ..metrics import frechet_distance
from ..mlp import MLP
from ..model import ModelDenoiser
from ..pretrained import FOLDER
from ..recipe import Recipe
from ..tables import read_table, write_table
from ..unet import ResBlock, TinyUNet
from ..views import Prediction
from .stored import digits

PARTS = ("nothing", "time", "class", "attention", "skips")
SEEDS = (0, 1)
TIMES = range(42, 1000, 83)  # the middles of twelve ranges of t
PER_CLASS, SAMPLED = 30, 20  # digits of each class; number of DDIM steps
FILE = FOLDER / "digits.taken_away.csv"
LEVELS = "0123456789abcdefg"  # a digit's 17 grey levels


class Silent(nn.Module):
    """Outputs 0 for every input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Blind(nn.Module):
    """A block of the way up that gets 0 instead of the output of its partner on the way down."""

    def __init__(self, block: ResBlock) -> None:
        super().__init__()
        self.block, self.partner = block, block.conv1.out_channels

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        below, beside = x[:, : -self.partner], x[:, -self.partner :]
        return self.block(torch.cat([below, torch.zeros_like(beside)], dim=1), c)


def take_away(net: TinyUNet, part: str) -> TinyUNet:
    """`net` without one of PARTS, changed in place; all other weights stay as they are.

    :raises ValueError: for another part
    """
    if part == "time":
        net.condition.time[2] = Silent()
    elif part == "class":
        net.condition.label = net.condition.num_classes = None
    elif part == "attention":
        net.attention = nn.Identity()  # pyrefly: ignore[bad-assignment]  # it ignores the other pixels, as intended
    elif part == "skips":
        net.up = nn.ModuleList(Blind(block) for block in net.up if isinstance(block, ResBlock))
    elif part != "nothing":
        raise ValueError(f"part must be one of {', '.join(PARTS)}; got {part!r}")
    return net


@dataclass(frozen=True)
class Ablated(Recipe):
    """The recipe of notebook 07, somewhat shorter, for a network without one part.

    :ivar made: the networks made from it: `train` changes their weights, and averages copies of them
    """

    arguments: dict = field(default_factory=lambda: dict(width=16, num_classes=10, image_size=8))
    steps: int = 600
    batch: int = 64
    lr: float = 4e-3
    without: str = "nothing"
    made: list[TinyUNet] = field(default_factory=list, compare=False)

    def make_network(self, weights: dict[str, Tensor] | None = None) -> TinyUNet | MLP:
        net = super().make_network(weights)
        assert isinstance(net, TinyUNet)
        self.made.append(take_away(net, self.without))
        return net


def held_out_loss(denoiser: ModelDenoiser, x0: Tensor, label: Tensor) -> Tensor:
    """The mean squared error in v on digits at each of TIMES: [12], always with the same noise."""
    told = denoiser if denoiser.net.num_classes is None else denoiser.given(label)
    losses = []
    for t in TIMES:
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t))
        x_t = q_sample(x0, t, denoiser.schedule, noise)
        truth = Prediction(x_t, t, denoiser.schedule, x0, noise).v
        losses.append((told(x_t, t).v - truth).square().mean())
    return torch.stack(losses)


def sampled(denoiser: ModelDenoiser) -> tuple[Tensor, Tensor]:
    """(classes [300], digits [300, 1, 8, 8]): thirty per class, by DDIM, always from the same noise."""
    label = torch.arange(10).repeat(PER_CLASS)
    told = denoiser if denoiser.net.num_classes is None else denoiser.given(label)
    generator, schedule = torch.Generator().manual_seed(7), denoiser.schedule
    x_T = samplers.p_sample_prior((len(label), 1, 8, 8), schedule, generator)
    *_, last = samplers.ddim(told, x_T, schedule, samplers.timesteps(schedule, SAMPLED))
    return label, last.x


@torch.no_grad()
def measured(denoiser: ModelDenoiser, classifier: Classifier) -> dict[str, float | str]:
    """The held-out loss at small, middle and large t, and its mean. For samples: the share that a classifier
    assigns to the right class, the Fréchet distance from the test digits, and the first ten, as letters.
    """
    loss, (label, x) = held_out_loss(denoiser, *digits("test")), sampled(denoiser)
    thirds = dict(zip(("small", "middle", "large"), loss.reshape(3, 4).mean(1).tolist(), strict=True))
    right = (classifier(x).argmax(1) == label).double().mean().item()
    distance = frechet_distance(classifier.features(x), classifier.features(digits("test")[0]))
    grey = x[:10].clamp(-1, 1).add(1).mul(8).round().int().flatten().tolist()
    numbers = thirds | dict(loss=loss.mean().item(), recognised=right, frechet=distance)
    rounded: dict[str, float | str] = {name: round(value, 4) for name, value in numbers.items()}
    return rounded | dict(samples="".join(LEVELS[level] for level in grey))


def rows(part: str, seed: int) -> Iterator[dict[str, float | str]]:
    """Train without `part`; measure halfway and at the end, with the averaged and with the last weights."""
    recipe, classifier = Ablated(without=part, seed=seed), load_classifier()
    found = []

    def look(step: int, denoiser: ModelDenoiser, _: training.History) -> None:
        if step not in (recipe.steps // 2, recipe.steps):
            return
        last = ModelDenoiser(recipe.made[0], denoiser.schedule, denoiser.predicts)
        for name, of in {"averaged": denoiser, "last": last}.items():
            row = dict(without=part, seed=seed, steps=step, weights=name) | measured(of, classifier)
            if seed or step < recipe.steps or name == "last":
                row["samples"] = ""  # ten digits of each network are enough
            found.append(row)

    training.train(recipe, callback=look, callback_every=recipe.steps // 2, progress=False)
    yield from found


def table(path: FilePath = FILE) -> list[dict]:
    """One row for each network, time of measurement and kind of weights: the numbers of `measured`.

    ``samples`` are ten digits, one of each class, [10, 1, 8, 8] in [−1, 1], for the first seed's final
    averaged weights; for the others they are [0, 1, 8, 8].
    """
    found = read_table(path, words=("samples",))
    for row in found:
        grey = torch.tensor([float(LEVELS.index(letter)) for letter in row["samples"]])
        row["samples"] = grey.reshape(-1, 1, 8, 8) / 8 - 1
    return found


def save(found: list[dict], path: FilePath = FILE) -> None:
    """Store the rows."""
    write_table(path, found, "python -m diffusion_lab.experiments.taken_away")


if __name__ == "__main__":
    made: list[dict] = []
    for seed in SEEDS:
        for part in PARTS:
            made += rows(part, seed)
            print(f"without {part}, seed {seed}: held-out loss {made[-2]['loss']:.4f}")
            save(made)
