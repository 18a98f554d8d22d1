"""Samples in one line, the schedule left to the denoiser, DDIM upwards, and Heun beside its paper."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from close import assert_close
from test_fast_samplers import path
from test_samplers import GAUSS, MIXTURE, draw, every, seeded

from diffusion_lab.samplers import ddim, ddim_inversion, ddpm, heun, p_sample_prior, sample, timesteps
from diffusion_lab.schedules import NoiseSchedule

# ---- in one line, and upwards ------------------------------------------------------------------------------


@every
def test_the_schedule_of_the_denoiser_need_not_be_said(sampler):
    denoiser, x_T = MIXTURE.denoiser(path("vp", 10)), draw(4, 2)
    runs = [list(sampler(denoiser, x_T, *s, generator=seeded())) for s in ([], [denoiser.schedule])]
    assert all(torch.equal(a.x, b.x) for a, b in zip(*runs, strict=True))


@every
def test_sample_is_the_run_from_the_prior(sampler):
    denoiser = MIXTURE.denoiser(path("vp", 40))
    x = sample(denoiser, 5, sampler, steps=7, spacing="log_snr", generator=seeded(3))
    generator, times = seeded(3), timesteps(denoiser.schedule, 7, "log_snr")
    x_T = p_sample_prior((5, 2), denoiser.schedule, generator)
    *_, last = sampler(denoiser, x_T, denoiser.schedule, times, generator=generator)
    assert x.dtype == torch.float32 and torch.equal(x, last.x)


def test_sample_takes_options_and_says_what_is_missing():
    denoiser = MIXTURE.denoiser(path("vp", 10))
    assert sample(denoiser, 3, ddpm, variance="large", clip=0.1, generator=seeded()).abs().max() <= 0.1
    assert sample(denoiser, 3).shape == (3, 2)  # 50 steps where there are ten
    with pytest.raises(ValueError, match="n must be an integer of at least 1; got 0"):
        sample(denoiser, 0)
    with pytest.raises(ValueError, match="schedule must be given"):
        sample(lambda x_t, t: denoiser(x_t, t), 3)
    with pytest.raises(ValueError, match="shape must be given"):
        sample(lambda x_t, t: denoiser(x_t, t), 3, schedule=denoiser.schedule)
    with pytest.raises(ValueError, match=r"generator must be None or a torch\.Generator.*; got 0"):
        sample(denoiser, 3, generator=0)
    with pytest.raises(ValueError, match="schedule must be a NoiseSchedule; got 50"):
        timesteps(50, denoiser.schedule)


def test_the_prior_comes_in_the_dtype_asked_for():
    for dtype in (torch.float64, torch.float16):
        x_T = p_sample_prior((4, 2), path("ve", 10), seeded(), "cpu", dtype)
        assert x_T.dtype == dtype and x_T.shape == (4, 2)


@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
def test_inversion_and_ddim_undo_each_other_with_order_1(kind):
    schedule, x0 = path(kind, 512), MIXTURE.sample(20, seeded())
    denoiser, errors = MIXTURE.denoiser(schedule), []
    for stride in (8, 4, 2):
        up = [0, *range(1, schedule.T, stride)]
        *_, top = ddim_inversion(denoiser, x0, timesteps=up)
        assert top.t == up[-1] and top.calls == len(up) - 1
        *_, last = ddim(denoiser, top.x, timesteps=up[::-1])
        errors.append((last.x - x0).norm(dim=1).mean().item())
    np.testing.assert_allclose(-np.diff(np.log2(errors)), 1, atol=0.25)


def test_inversion_ends_in_the_noise_that_the_data_was_made_from():
    """On Gaussian data the map from noise to data is linear, and known where the steps are small."""
    schedule, x0 = path("vp", 2000), torch.tensor([[-0.2], [0.3], [1.1]], dtype=torch.float64)
    *_, top = ddim_inversion(GAUSS.denoiser(schedule), x0)
    noised = GAUSS.noised(schedule.T, schedule)
    expected = noised.means[0] + noised.var[0].sqrt() * (x0 - 0.3) / 0.5
    assert_close(top.x, expected, rtol=0, atol=5e-3)


def karras_algorithm_1(denoiser, x, levels):
    """Heun in σ alone (Karras et al. 2022, algorithm 1, with σ(t) = t): x [B, *D] at levels[0] -> at 0."""
    for here, there in pairwise(levels):
        slope = (x - denoiser(x, here)) / here
        ahead = x + (there - here) * slope
        if there > 0:
            slope = (slope + (ahead - denoiser(ahead, there)) / there) / 2
        x = x + (there - here) * slope
    return x


@pytest.mark.parametrize(("N", "differ"), [(18, False), (3, True)])
def test_heun_is_karras_algorithm_1_except_where_a_step_cuts_the_noise_by_more_than_50(N, differ):
    levels = torch.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), N, dtype=torch.float64) ** 7
    levels = torch.cat([levels, torch.zeros(1).double()])
    schedule = NoiseSchedule(torch.ones(N + 1), levels.flip(0), "edm")
    exact, x_T = MIXTURE.denoiser(schedule), 80 * draw(10, 2)
    theirs = karras_algorithm_1(
        lambda x, level: exact(x, N - int((levels == level).nonzero())).x0, x_T, levels
    )
    *_, last = heun(exact, x_T)
    distance = (last.x - theirs).norm(dim=1).max().item()
    assert distance > 1 if differ else distance < 1e-10
