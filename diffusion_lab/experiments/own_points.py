"""A data set of a few points: its forward process, and runs from noise with its exact score."""

import torch
from torch import Tensor

from ..exact import Empirical
from ..forward import q_sample
from ..samplers import SAMPLERS, p_sample_prior
from ..schedules import SCHEDULES, NoiseSchedule

T, STEPS = 1000, 32
# From noise to data, ever closer together, since low noise needs short steps: 1000, 938, …, 4, 1, 0
TIMES = [round(T * (i / STEPS) ** 2) for i in range(STEPS, -1, -1)]
N_CLOUD, N_RUNS = 200, 60


def there_and_back(
    points: tuple[tuple[float, float], ...], std: float, schedule: str, sampler: str, seed: int
) -> tuple[Empirical, NoiseSchedule, Tensor, Tensor]:
    """The data and its schedule; draws of x_t [33, N_CLOUD, 2] and runs [33, N_RUNS, 2] at all TIMES."""
    truth, table = Empirical(torch.tensor(points), std), SCHEDULES[schedule](T)
    generator = torch.Generator().manual_seed(seed)
    x0 = truth.sample(N_CLOUD, generator)
    noise = torch.randn(x0.shape, generator=generator)  # one ε for all t
    x_t = torch.stack([q_sample(x0, t, table, noise) for t in TIMES])
    x_T = p_sample_prior((N_RUNS, 2), table, generator)
    run = SAMPLERS[sampler](truth.denoiser(table), x_T, table, TIMES, generator=generator)
    runs = torch.stack([x_T, *(step.x for step in run)])
    return truth, table, x_t, runs


def points_behind(x_t: Tensor, data: Tensor, std: float, t: int, schedule: NoiseSchedule) -> Tensor:
    """The number of places that x_t [B, 2] may have come from: exp of the entropy of p(place|x_t). [B]"""
    places, counts = data.unique(dim=0, return_counts=True)
    signal, sigma = schedule.signal[t].item(), schedule.sigma[t].item()
    var = signal**2 * std**2 + sigma**2
    log_p = (counts.log() - distances(x_t, signal * places).square() / (2 * var)).log_softmax(1)
    return (-(log_p.exp() * log_p).sum(1)).exp()


def distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖, computed directly: ‖a‖² − 2a·b + ‖b‖² would lose short distances in float32."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
