"""What mistakes on latents cost: python -m diffusion_lab.experiments.latent_mistakes (two minutes)

The network on latents draws 400 pictures in each of several ways, some of them wrong, always from the same
noise and told the same shapes. Measured is what share can be read, and what share shows the shape asked for.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import pretrained
from ..applications.autoencoder import LATENT, load_autoencoder
from ..applications.latent import partly_guided
from ..samplers import dpm_solver_pp_2m, p_sample_prior, timesteps
from ..tables import read_table, write_table
from ..views import Denoiser
from .latent_networks import labels, latent_network, read, told

TABLE = pretrained.FOLDER / "shapes.latent_mistakes.csv"
N, STEPS, W = 400, 20, 3.0
SD_SCALE = 0.18215  # of Stable Diffusion's autoencoder (Rombach et al. 2022), and of no other


def latents(denoiser: Denoiser, n: int, clip: float | None = None, seed: int = 0) -> Tensor:
    """n latents that a denoiser of the network's schedule draws: [n, 4, 8, 8]."""
    schedule = latent_network().schedule
    x_T = p_sample_prior((n, *LATENT), schedule, torch.Generator().manual_seed(seed))
    *_, last = dpm_solver_pp_2m(denoiser, x_T, schedule, timesteps(schedule, STEPS), clip=clip)
    return last.x


def guided(label: Tensor, w: float) -> Tensor:
    """Latents of pictures told a label, guided with scale w; w = 1 is no guidance."""
    return latents(told(latent_network(), label, w), len(label))


def guided_in_three(label: Tensor) -> Tensor:
    """Guided with scale 3 in three of the four channels."""
    network = latent_network()
    return latents(partly_guided(network.given(label), network.given(None), W, 3), len(label))


def clipped(label: Tensor) -> Tensor:
    """x̂_0 is clipped to [−1, 1] in every step, as is right for pixels."""
    return latents(latent_network().given(label), len(label), clip=1.0)


def other_scale(label: Tensor) -> Tensor:
    """Right draws, which the decoder divides by Stable Diffusion's scale instead of its own."""
    return guided(label, 1.0) * load_autoencoder().scale / SD_SCALE


def noise(label: Tensor) -> Tensor:
    """N(0, I), without any diffusion."""
    return torch.randn(len(label), *LATENT, generator=torch.Generator().manual_seed(0))


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "as trained": lambda label: guided(label, 1.0),
    "guided, w = 3": lambda label: guided(label, W),
    "w = 3 in 3 of 4 channels": guided_in_three,
    "clipped to [−1, 1]": clipped,
    "decoded with 0.18215": other_scale,
    "noise decoded": noise,
}


def table() -> dict[str, tuple[float, float]]:
    """The stored table: name -> (share that can be read, share with the shape asked for)."""
    return {row["way"]: (row["readable"], row["right"]) for row in read_table(TABLE)}


@torch.no_grad()
def main() -> None:
    """Measure everything and store the table."""
    label, rows = labels(N, seed=0), []
    for name, way in WAYS.items():
        readable, right = read(load_autoencoder().pictures(way(label)), label)
        rows.append(dict(way=name, readable=readable, right=right))
    command = "python -m diffusion_lab.experiments.latent_mistakes"
    write_table(TABLE, rows, f"{command}: {N} pictures each, {STEPS} steps")
    print(TABLE.read_text("utf-8"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
