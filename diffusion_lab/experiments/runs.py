"""Complete sampling runs: what a sampler saw and guessed at each step."""

import functools

import torch

from ..data import toy_mixture
from ..samplers import SAMPLERS, p_sample_prior, timesteps
from ..steps import Step
from ..views import Denoiser
from .stored import trained


@functools.cache
def denoiser_of(source: str) -> Denoiser:
    """The denoiser behind each choice of data: "mixture, exact", "mixture, learned" or "digits"."""
    if source == "mixture, exact":
        return toy_mixture().denoiser(trained("mixture").schedule)
    return trained({"mixture, learned": "mixture", "digits": "digits"}[source])


def digits_run(label: int | None, sampler: str, steps: int, seed: int) -> list[Step]:
    """Eight digits of one class, or of any class (None): every `Step` of a sampler."""
    denoiser = trained("digits").given(label)
    generator = torch.Generator().manual_seed(seed)
    x_T = p_sample_prior((8, 1, 8, 8), denoiser.schedule, generator)
    times = timesteps(denoiser.schedule, steps)
    run = list(SAMPLERS[sampler](denoiser, x_T, denoiser.schedule, times, generator=generator))
    return run


def mixture_run(source: str, sampler: str, steps: int, seed: int) -> list[Step]:
    """400 points of the toy mixture: every `Step` of a sampler."""
    denoiser, schedule = denoiser_of(source), trained("mixture").schedule
    generator = torch.Generator().manual_seed(seed)
    x_T = p_sample_prior((400, 2), schedule, generator)
    times = timesteps(schedule, steps)
    run = list(SAMPLERS[sampler](denoiser, x_T, schedule, times, generator=generator))
    return run
