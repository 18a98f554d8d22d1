"""A small variational autoencoder: pictures of 32×32 in three colours, and latents of 8×8 with four channels.

The encoder says a mean and a variance for each of 256 latent numbers, and the decoder makes a picture of them
(Kingma & Welling 2014). The loss is that of the first stage of latent diffusion (Rombach et al. 2022, section
3.1), here with the squared error alone and without a discriminator::

    mean squared error per number of the picture  +  KL_WEIGHT · KL(q(z|x) ‖ N(0, I)) per latent number

With so small a KL weight it is hardly variational: the latents may lie where they like, and do not look like
draws from N(0, I). What draws latents is the diffusion that is trained on them afterwards. ::

    autoencoder = load_autoencoder()
    z = autoencoder.latents(x)          # [B, 4, 8, 8], centred, of unit variance: data for diffusion
    autoencoder.pictures(z)             # [B, 3, 32, 32]

``python -m diffusion_lab.applications.autoencoder`` trains it again, in some four minutes, and measures it.
"""

import functools
import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from ..checkpoints import FilePath, read_safetensors, write_atomically
from ..checks import check_batch, check_int, noise_like
from ..pretrained import FOLDER
from ..shape_world import SIDE, read_shapes, shapes
from ..weights import drawn, loaded

FORMAT = "diffusion_lab autoencoder 1"
FILE = "shapes.autoencoder.safetensors"
PICTURE, LATENT = (3, SIDE, SIDE), (4, SIDE // 4, SIDE // 4)
KL_WEIGHT = 1e-5
STEPS, BATCH, LR, PICTURES, EMA = 2000, 64, 3e-3, 16_000, 0.995


class Block(nn.Module):
    """Two convolutions and a skip around them (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Autoencoder(nn.Module):
    """Pictures [B, 3, 32, 32] in [−1, 1] to latents [B, 4, 8, 8], twelve times fewer numbers, and back.

    `encode` and `decode` speak of z as it was learned. `latents` and `pictures` speak of (z − shift) · scale,
    which has mean 0 in each channel and variance 1 over all, as the schedules expect of data (Rombach et al.
    2022, appendix G). shift and scale are measured once, on training pictures, and kept with the weights.
    """

    shift: Tensor  # buffers: saved with the weights, but not trained
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), Block(32),  # -> 16×16
            nn.Conv2d(32, 64, 4, 2, 1), Block(64),  # -> 8×8
            nn.GroupNorm(8, 64), nn.SiLU(), nn.Conv2d(64, 8, 3, padding=1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(4, 64, 3, padding=1), Block(64), Block(64),
            nn.Conv2d(64, 128, 1), nn.PixelShuffle(2), Block(32),  # -> 16×16
            nn.Conv2d(32, 64, 1), nn.PixelShuffle(2), Block(16),  # -> 32×32
            nn.GroupNorm(8, 16), nn.SiLU(), nn.Conv2d(16, 3, 3, padding=1),
        )  # fmt: skip
        self.register_buffer("shift", torch.zeros(4, 1, 1))
        self.register_buffer("scale", torch.ones(()))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x) = N(mean, exp(log_variance)): twice [B, 4, 8, 8].

        Raises ValueError unless x is a batch of finite pictures [B, 3, 32, 32].
        """
        check_batch(x, "x", PICTURE)
        mean, log_variance = self.encoder(x.to(self.scale)).chunk(2, 1)
        return mean, log_variance.clamp(-20, 5)  # exp stays finite, whatever the first steps do

    def decode(self, z: Tensor) -> Tensor:
        """The picture of z: [B, 4, 8, 8] -> [B, 3, 32, 32]. Raises ValueError for another shape."""
        return self.decoder(check_batch(z, "z", LATENT).to(self.scale))

    def latents(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(z − shift) · scale of pictures x, [B, 4, 8, 8]; z is q's mean, or with a generator a draw of q."""
        mean, log_variance = self.encode(x)
        z = mean if generator is None else mean + (log_variance / 2).exp() * noise_like(mean, generator)
        return (z - self.shift) * self.scale

    def pictures(self, z: Tensor) -> Tensor:
        """The pictures of scaled latents z, [B, 3, 32, 32], clipped to [−1, 1]: the inverse of `latents`."""
        return self.decode(z / self.scale + self.shift).clamp(-1, 1)


def kl_per_number(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ N(0, 1)), mean of all numbers; nats (Kingma & Welling 2014, B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def train_autoencoder(
    steps: int = STEPS,
    seed: int = 0,
    kl_weight: float = KL_WEIGHT,
    pictures: int = PICTURES,
    progress: bool = True,
) -> Autoencoder:
    """An autoencoder trained on `pictures` of `shapes`, its weights averaged; the same for the same seed.

    With AdamW. In eval mode, without gradients, with shift and scale measured. Raises ValueError for steps
    or pictures below 1 and for a negative or infinite kl_weight.
    """
    steps = check_int(steps, "steps", 1)
    if not 0 <= kl_weight < math.inf:
        raise ValueError(f"kl_weight must be a number of at least 0; got {kl_weight!r}")
    generator = torch.Generator().manual_seed(seed)
    net = drawn(Autoencoder, generator)
    data, _ = shapes(check_int(pictures, "pictures", 1), generator)
    decay = max(0.0, 1 - (1 - EMA) * STEPS / steps)  # the average is over the same share of a shorter run
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))
    optimizer = torch.optim.AdamW(net.parameters(), LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, pct_start=0.1)
    bar = tqdm(range(steps), disable=not progress, unit="step")
    for step in bar:
        x = data[torch.randint(len(data), (BATCH,), generator=generator)]
        mean, log_variance = net.encode(x)
        z = mean + (log_variance / 2).exp() * noise_like(mean, generator)
        error, kl = F.mse_loss(net.decode(z), x), kl_per_number(mean, log_variance)
        optimizer.zero_grad()
        (error + kl_weight * kl).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(net)
        if step % 50 == 0:
            bar.set_postfix(dB=f"{decibels(error.item()):.1f}", KL=f"{kl.item():.2f}")
    net.load_state_dict(averaged.module.state_dict())
    return scaled(net.eval().requires_grad_(False), data[:4000], generator)


@torch.no_grad()
def scaled(net: Autoencoder, x: Tensor, generator: torch.Generator) -> Autoencoder:
    """The same network, with the shift and scale that give drawn latents of x mean 0 and variance 1."""
    net.shift, net.scale = torch.zeros(4, 1, 1), torch.ones(())
    z = torch.cat([net.latents(part, generator) for part in x.split(500)])
    net.shift = z.mean((0, 2, 3))[:, None, None]
    net.scale = 1 / (z - net.shift).std()
    return net


def decibels(error: float) -> float:
    """A mean squared error as a PSNR, 10 log_10(peak²/error), for data in [−1, 1], whose peak is 2."""
    return 10 * math.log10(4 / max(error, 1e-12))


@torch.no_grad()
def measure(net: Autoencoder, n: int = 2000, seed: int = 1) -> dict[str, float]:
    """How well it gives back n pictures that it was not trained on, of each split of `shapes`.

    {"PSNR": in dB, "read": share whose reconstruction reads as its caption, …}; "_scenes" and "_pairs" are of
    scenes and of pairs of colour and kind that no training picture shows. KL is in nats per latent number.
    """
    found = {}
    for split in ("train", "scenes", "pairs"):
        x, captions = shapes(n, torch.Generator().manual_seed(seed), split)
        again = torch.cat([net.pictures(net.latents(part)) for part in x.split(500)])
        right = [read == caption for read, caption in zip(read_shapes(again), captions, strict=True)]
        name = "" if split == "train" else f"_{split}"
        found[f"PSNR{name}"] = round(decibels((again - x).square().mean().item()), 2)
        found[f"read{name}"] = round(sum(right) / n, 5)
        found[f"KL{name}"] = round(kl_per_number(*net.encode(x[:500])).item(), 3)
    return found


def save_autoencoder(net: Autoencoder, about: dict[str, Any], folder: FilePath = FOLDER) -> None:
    """Stores the weights in float16, shift and scale as they are, and beside them what is said of them."""
    weights = {name: value.half().contiguous() for name, value in net.state_dict().items()}
    weights |= {"shift": net.shift.contiguous(), "scale": net.scale.contiguous()}
    metadata = {"format": FORMAT, "about": json.dumps(about)}
    write_atomically(Path(folder) / FILE, safetensors.torch.save(weights, metadata))


@functools.cache
def load_autoencoder(folder: FilePath = FOLDER) -> Autoencoder:
    """The autoencoder that ships, in eval mode, on the CPU, in float32; its weights require no gradient.

    It is read once, so do not change it. Raises ValueError for a file that is missing, cut short or of
    another kind.
    """
    weights, _ = read_safetensors(Path(folder) / FILE, FORMAT)
    return loaded(Autoencoder, weights).eval().requires_grad_(False)


def about(folder: FilePath = FOLDER) -> dict[str, Any]:
    """{"recipe": …, "quality": …} of the autoencoder that ships; measured with its rounded weights."""
    _, metadata = read_safetensors(Path(folder) / FILE, FORMAT)
    return json.loads(metadata["about"])


def main() -> None:
    """Train, store, measure what was stored, and store that too."""
    net = train_autoencoder()
    recipe = dict(steps=STEPS, batch=BATCH, lr=LR, pictures=PICTURES, ema=EMA, kl_weight=KL_WEIGHT, seed=0)
    save_autoencoder(net, {"recipe": recipe})
    quality = measure(load_autoencoder())
    save_autoencoder(net, {"recipe": recipe, "quality": quality})
    print(quality)


if __name__ == "__main__":
    main()
