"""How large the KL weight of an autoencoder should be: python -m diffusion_lab.experiments.latent_kl

The same autoencoder is trained for 400 steps with several KL weights, from nearly none to that of a real VAE
and beyond. Measured are what it gives back, how much its latents say, and what its decoder makes of N(0, I),
which is all that a VAE has without diffusion. It takes a few minutes, and goes on where it was stopped.
"""

import torch
from torch import Tensor

from .. import metrics, pretrained
from ..applications.autoencoder import LATENT, Autoencoder, decibels, kl_per_number, train_autoencoder
from ..shape_world import read_shapes, shapes
from ..tables import read_table, write_table

TABLE = pretrained.FOLDER / "shapes.kl_weights.csv"
WEIGHTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
STEPS, PICTURES, N = 400, 4000, 500
IDLE = 0.05  # nats: a latent number that says less than this about a picture is idle


@torch.no_grad()
def measured(net: Autoencoder) -> dict[str, float]:
    """What 500 held-out pictures and 500 decoded draws of N(0, I) say of it.

    PSNR in dB; `read` is the share of reconstructions that read as their caption; KL in nats per latent
    number, and `idle` the share of the 256 numbers with less than 0.05. Of decoded noise: the share that
    shows any scene of this world, and the Fréchet distance of its pixels, averaged over 8 × 8 squares, to
    those of pictures.
    """
    x, captions = shapes(N, torch.Generator().manual_seed(1))
    other, _ = shapes(N, torch.Generator().manual_seed(2))
    mean, log_variance = net.encode(x)
    again = net.decode(mean).clamp(-1, 1)
    noise = net.decode(torch.randn(N, *LATENT, generator=torch.Generator().manual_seed(3))).clamp(-1, 1)
    kl = torch.stack(
        [kl_per_number(m, v) for m, v in zip(mean.flatten(1).mT, log_variance.flatten(1).mT, strict=True)]
    )
    right = [found == caption for found, caption in zip(read_shapes(again), captions, strict=True)]
    readable = [found is not None for found in read_shapes(noise)]
    found = dict(PSNR=decibels((again - x).square().mean().item()), read=sum(right) / N, KL=kl.mean().item())
    found |= dict(idle=(kl < IDLE).double().mean().item(), noise_read=sum(readable) / N)
    found |= dict(noise_distance=metrics.frechet_distance(coarse(noise), coarse(other)))
    found |= dict(again_distance=metrics.frechet_distance(coarse(again), coarse(other)))
    return {name: round(value, 4) for name, value in found.items()}


def coarse(x: Tensor) -> Tensor:
    """Pictures [N, 3, 32, 32] as the means of 8 × 8 squares: [N, 48]."""
    return torch.nn.functional.avg_pool2d(x, 8).flatten(1)


def table() -> list[dict[str, float]]:
    """The stored rows; none if there is no table yet."""
    return read_table(TABLE)


def save(rows: list[dict[str, float]]) -> None:
    """Store the rows."""
    command = "python -m diffusion_lab.experiments.latent_kl"
    write_table(TABLE, rows, f"{command}: {STEPS} steps each, {N} pictures")


def main() -> None:
    """Train and measure what is not in the table yet; all of it, if the table is whole."""
    rows = table() if len(table()) < len(WEIGHTS) else []
    for weight in WEIGHTS[len(rows) :]:
        net = train_autoencoder(STEPS, kl_weight=weight, pictures=PICTURES)
        rows.append({"kl_weight": weight} | measured(net))
        save(rows)
        print(rows[-1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
