"""One step of each sampler, from the same state, against the scheduler of Hugging Face's diffusers.

Its times are ours minus 1. It rounds `1000/steps` where that is no whole number (DDIM even always subtracts
the rounded step), so only step counts that divide 1000 are compared. Its tables are float32 products; it is
handed ours, which its Heun and DPM-Solver++ round to float32 once.
"""

import numpy as np
import pytest
import torch
from test_samplers import seeded

from diffusion_lab.samplers import (
    ddim,
    ddpm,
    dpm_solver_pp_2m,
    edm,
    heun,
    p_sample_prior,
    sde_dpm_solver_pp_2m,
    timesteps,
)
from diffusion_lab.schedules import cosine, linear, quadratic, zero_terminal_snr
from diffusion_lab.views import Prediction

diffusers = pytest.importorskip("diffusers")

# numpy on what torch tensors say of themselves, inside diffusers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = [1, 2, 5, 10, 20, 50, 100]
TRAILING = {"timestep_spacing": "trailing", "prediction_type": "sample"}
MULTISTEP = {**TRAILING, "solver_order": 2, "final_sigmas_type": "zero"}
make = pytest.mark.parametrize("make", [linear, quadratic], ids=lambda f: f.__name__)
every_count = pytest.mark.parametrize("steps", STEPS)


def guess(x_t, t, schedule):
    """A denoiser that is nowhere special: neither linear nor exact."""
    return 0.8 * torch.tanh(schedule.signal[t] * x_t + 0.1) + 0.1 * torch.sin(3 * x_t)


def denoiser(schedule):
    return lambda x_t, t: Prediction.from_x0(guess(x_t, t, schedule), x_t, t, schedule)


def scheduler(name, schedule, steps, **options):
    """A scheduler of diffusers with the tables of ours."""
    made = getattr(diffusers, name)(trained_betas=schedule.beta[1:].numpy(), **options)
    made.alphas_cumprod = schedule.alpha_bar[1:].clone()
    made.set_timesteps(steps)
    return made


def start(schedule):
    return p_sample_prior((6, 3), schedule, seeded()).double()


def assert_same_step(ours, theirs):
    assert (ours - theirs).norm() <= 1e-5 * ours.norm()


@make
@every_count
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(make, steps, eta):
    schedule = make()
    other = scheduler("DDIMScheduler", schedule, steps, clip_sample=False, **TRAILING)
    times, x = timesteps(schedule, steps), start(schedule)
    assert (other.timesteps + 1).tolist() == times[:-1]
    g = seeded(1)
    run = ddim(denoiser(schedule), x, schedule, times, eta=eta, generator=seeded(1))
    for t, step in zip(times, run, strict=False):
        z = {"variance_noise": torch.randn(x.shape, generator=g, dtype=x.dtype)} if eta and step.t else {}
        eta_here = eta if step.t else 0.0  # no noise in the last step, where its variance is 0 anyway
        assert_same_step(step.x, other.step(guess(x, t, schedule), t - 1, x, eta_here, **z).prev_sample)
        x = step.x


@make
@every_count
@pytest.mark.parametrize("variance", ["small", "large"])
def test_ddpm(make, steps, variance):
    schedule = make()
    other = scheduler(
        "DDPMScheduler", schedule, steps, clip_sample=False, variance_type=f"fixed_{variance}", **TRAILING
    )
    times, x = timesteps(schedule, steps), start(schedule)
    assert (other.timesteps + 1).tolist() == times[:-1]
    g = seeded(1)
    run = ddpm(denoiser(schedule), x, schedule, times, variance=variance, generator=seeded(1))
    for t, step in zip(times, run, strict=False):
        theirs = other.step(guess(x, t, schedule), t - 1, x, generator=g)
        # with the large variance, diffusers ends with noise unless its last t is 0, where ours is 1
        with_noise = step.t == 0 and variance == "large" and t > 1
        assert_same_step(step.x, theirs.pred_original_sample if with_noise else theirs.prev_sample)
        x = step.x


@make
@every_count
@pytest.mark.parametrize("sampler", [heun, edm])
def test_heun(make, steps, sampler):
    """Its state is x/signal, and its two calls a step are two steps of its own."""
    schedule, options = make(), {"s_churn": 0.0} if sampler is edm else {}
    other = scheduler("HeunDiscreteScheduler", schedule, steps, **TRAILING)
    times, x = timesteps(schedule, steps), start(schedule)
    assert (other.timesteps.unique().flip(0) + 1).tolist() == times[:-1]
    for t, step in zip(times, sampler(denoiser(schedule), x, schedule, times, **options), strict=False):
        scaled = other.step(guess(x, t, schedule), t - 1, x / schedule.signal[t]).prev_sample
        if step.t > 0:
            ahead = guess(schedule.signal[step.t] * scaled, step.t, schedule)
            scaled = other.step(ahead, step.t - 1, scaled).prev_sample
        assert_same_step(step.x, schedule.signal[step.t] * scaled)
        x = step.x


@make
@every_count
def test_euler_is_ddim(make, steps):
    schedule = make()
    other = scheduler("EulerDiscreteScheduler", schedule, steps, **TRAILING)
    times, x = timesteps(schedule, steps), start(schedule)
    other.is_scale_input_called = True
    for t, step in zip(times, ddim(denoiser(schedule), x, schedule, times), strict=False):
        at = other.timesteps[times.index(t)]
        assert at + 1 == t
        theirs = other.step(guess(x, t, schedule), at, x / schedule.signal[t]).prev_sample
        assert_same_step(step.x, schedule.signal[step.t] * theirs)
        x = step.x


@pytest.mark.parametrize("make", [linear, quadratic, cosine], ids=lambda f: f.__name__)
@every_count
@pytest.mark.parametrize("stochastic", [False, True])
def test_dpm_solver_pp_2m(make, steps, stochastic):
    """The first and the last step are of order 1 in both; its noise is handed to it."""
    schedule = make()
    kind = "sde-dpmsolver++" if stochastic else "dpmsolver++"
    other = scheduler("DPMSolverMultistepScheduler", schedule, steps, algorithm_type=kind, **MULTISTEP)
    sampler = sde_dpm_solver_pp_2m if stochastic else dpm_solver_pp_2m
    times, x = timesteps(schedule, steps), start(schedule)
    assert (other.timesteps + 1).tolist() == times[:-1]
    g, run = seeded(1), sampler(denoiser(schedule), x, schedule, times, generator=seeded(1))
    for t, step in zip(times, run, strict=False):
        z = torch.randn(x.shape, generator=g, dtype=x.dtype) if stochastic else None
        theirs = other.step(guess(x, t, schedule), t - 1, x, variance_noise=z).prev_sample
        assert_same_step(step.x, theirs)
        x = step.x


def test_where_heun_leaves_diffusers():
    """One step that cuts sigma/signal by more than 50: the mean of ε̂ explodes, that of x̂_0 does not."""
    for schedule in (cosine(), zero_terminal_snr(linear())):
        other = scheduler("HeunDiscreteScheduler", schedule, 10, **TRAILING)
        x = start(schedule)
        step = next(heun(denoiser(schedule), x, schedule, timesteps(schedule, 10)))
        assert step.x.abs().max() < 2 * x.abs().max()
        if schedule.signal[-1] == 0:
            continue  # x/signal, its state, does not exist
        scaled = other.step(guess(x, 1000, schedule), 999, x / schedule.signal[-1]).prev_sample
        ahead = guess(schedule.signal[900] * scaled, 900, schedule)
        theirs = schedule.signal[900] * other.step(ahead, 899, scaled).prev_sample
        assert theirs.abs().max() > 3 * step.x.abs().max()


def test_where_its_spacing_rounds_otherwise():
    """7 steps: DDIM subtracts 142 each time from times that are not 142 apart."""
    schedule = linear()
    other = scheduler("DDIMScheduler", schedule, 7, clip_sample=False, **TRAILING)
    assert np.ptp(np.diff(other.timesteps.numpy())) > 0
    assert 1000 // 7 not in np.diff(timesteps(schedule, 7))[:2] * -1
