"""Features for metrics: a small classifier of the digits, and the layer before its decision.

The Inception score and the Fréchet distance are usually computed from what the Inception network says about
photographs. Here a small convolutional network reads 8×8 digits::

    classifier = features.load()
    classifier.features(images)         # [N, 32]: the layer before the last
    classifier.probabilities(images)    # [N, 10]: p(y|x)

Its weights ship. ``python -m diffusion_lab.features`` trains it again in some ten seconds, on the training
digits only, and prints how many of the held-out digits it recognises.
"""

from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import data
from .checkpoints import FilePath, read_safetensors, write_atomically
from .checks import check_data, check_int
from .layers import Dropout
from .pretrained import FOLDER
from .weights import drawn, loaded

FORMAT = "diffusion_lab classifier 1"
N_FEATURES, N_CLASSES = 32, 10
STEPS, BATCH, LR, WARP = 450, 64, 4e-3, 0.08  # twenty times through the training digits


class Classifier(nn.Module):
    """Three convolutions and two linear layers: images [N, 1, 8, 8] in [−1, 1] -> log-odds [N, 10]."""

    scale: Tensor  # a buffer: saved with the weights, but not trained

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.SiLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2),  # -> 4×4
            nn.Conv2d(32, 64, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2),  # -> 2×2
            nn.Flatten(), Dropout(0.3), nn.Linear(4 * 64, N_FEATURES), nn.SiLU(),
        )  # fmt: skip
        self.last = nn.Linear(N_FEATURES, N_CLASSES)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """The logits, whose softmax is p(y|x): [N, 10]."""
        return self.last(self.features(images) * self.scale)

    def features(self, images: Tensor) -> Tensor:
        """The input of the last layer: [N, 32], scaled to a mean square of 1 over the training digits."""
        check_data(images, "images")
        if images.ndim != 4 or images.shape[1:] != (1, 8, 8):
            raise ValueError(f"images must have shape [N, 1, 8, 8]; got {list(images.shape)}")
        return self.body(images.to(self.last.weight)) / self.scale

    def probabilities(self, images: Tensor) -> Tensor:
        """p(y|x) for each class y: [N, 10], rows that sum to 1."""
        return self(images).softmax(1)


def load(folder: FilePath = FOLDER) -> Classifier:
    """The classifier that ships, in eval mode, on the CPU, in float32; its weights require no gradient.

    Raises ValueError for a file that is missing, cut short or of another kind.
    """
    weights, _ = read_safetensors(Path(folder) / "classifier.safetensors", FORMAT)
    return loaded(Classifier, weights).eval().requires_grad_(False)


def save(classifier: Classifier, folder: FilePath = FOLDER) -> None:
    """Stores the weights, rounded to float16."""
    weights = {name: value.half().contiguous() for name, value in classifier.state_dict().items()}
    content = safetensors.torch.save(weights, {"format": FORMAT})
    write_atomically(Path(folder) / "classifier.safetensors", content)


@torch.no_grad()
def accuracy(classifier: Classifier, images: Tensor, labels: Tensor) -> float:
    """The share of the images whose likeliest class is their label."""
    return (classifier(images).argmax(1) == labels).double().mean().item()


def train(steps: int = STEPS, seed: int = 0, progress: bool = True) -> Classifier:
    """A classifier trained on data.digits("train"), by cross-entropy, with AdamW; the same for the same seed.

    Each digit is moved, turned and stretched a little, differently each time: features should not depend on
    a slant or a shift.
    """
    steps = check_int(steps, "steps", 1)
    x, labels = data.digits("train")
    generator = torch.Generator().manual_seed(seed)
    own = torch.Generator().manual_seed(seed)  # for the first weights and dropout
    classifier = drawn(Classifier, own)
    (dropout,) = (layer for layer in classifier.body if isinstance(layer, Dropout))
    dropout.generator = own
    optimizer = torch.optim.AdamW(classifier.parameters(), LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    for _ in tqdm(range(steps), disable=not progress, unit="step"):
        pick = torch.randint(len(x), (BATCH,), generator=generator)
        loss = F.cross_entropy(classifier(warped(x[pick], generator)), labels[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    dropout.generator = None
    classifier.eval().requires_grad_(False)
    classifier.scale = classifier.features(x).square().mean().sqrt()
    return classifier


def warped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image under an affine map near the identity, with background (−1) where it leaves the frame."""
    noise = torch.randn(len(images), 2, 3, generator=generator)
    maps = torch.eye(2, 3) + WARP * noise * torch.tensor([0.5, 0.5, 1.0])
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1


if __name__ == "__main__":
    save(train())
    print(f"recognised of the held-out digits: {accuracy(load(), *data.digits('test')):.1%}")
