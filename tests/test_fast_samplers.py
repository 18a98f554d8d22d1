"""Heun, EDM's sampler and DPM-Solver++(2M): orders of convergence, exact moments, steps next to the ends."""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import solve_ivp
from test_samplers import GAUSS, MIXTURE, STDS, always, draw, every, seeded, times_within
from test_schedules import PATHS, any_path, cosine, linear

from diffusion_lab import gaussian, samplers
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.forward import q_posterior
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
from diffusion_lab.schedules import NoiseSchedule
from diffusion_lab.views import Prediction

FAST = [heun, edm, dpm_solver_pp_2m, sde_dpm_solver_pp_2m]
fast = pytest.mark.parametrize("sampler", FAST)
NARROW = GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), [0.2])  # data of variance 0.04


def path(kind: str, T: int, low=0.01, high=50.0) -> NoiseSchedule:
    """The same noise levels sigma/signal, equally spaced in log SNR from t = 1 to T, on three paths."""
    level = torch.logspace(math.log10(low), math.log10(high), T, dtype=torch.float64)
    signal = {"vp": (1 + level**2).rsqrt(), "ve": torch.ones_like(level), "flow": 1 / (1 + level)}[kind]
    zero = torch.zeros(1, dtype=torch.float64)
    return NoiseSchedule(torch.cat([1 + zero, signal]), torch.cat([zero, level * signal]), kind)


# ---- Karras' times -----------------------------------------------------------------------------------------


def test_karras_times_are_those_of_edm():
    """The published grid for 5 levels from 80 to 0.002 (rho = 7)."""
    schedule = path("ve", 100_001, 0.002, 80)
    times = timesteps(schedule, 5, "karras")
    published = [80, 17.52783196, 2.515218976, 0.1697527563, 0.002, 0]
    np.testing.assert_allclose(schedule.sigma[times], published, rtol=1e-4)


def test_karras_times_crowd_where_there_is_little_noise():
    schedule = path("vp", 10_000)
    level = schedule.sigma / schedule.signal
    levels = {s: level[timesteps(schedule, 20, s)[:-1]] for s in ("karras", "log_snr")}
    assert levels["karras"][9] > levels["log_snr"][9]
    np.testing.assert_allclose(np.diff(levels["karras"] ** (1 / 7), 2), 0, atol=2e-3)


# ---- convergence to the ODE --------------------------------------------------------------------------------


def ode_end(stds, mixture, x_T, schedule):
    """The state at t = 1, by an adaptive method of order 8 on dx̄/d log σ = −σ² · score(x̄)."""
    level = (schedule.sigma / schedule.signal).log()

    def slope(log_level, x):
        var = math.exp(2 * log_level)
        noised = GaussianMixture(mixture.means, np.sqrt(np.square(stds) + var), weights=mixture.weights)
        return -var * noised.score(torch.from_numpy(x).reshape(x_T.shape)).numpy().ravel()

    start = (x_T / schedule.signal[-1]).numpy().ravel()
    ends = [level[-1].item(), level[1].item()]
    solved = solve_ivp(slope, ends, start, method="DOP853", rtol=1e-11, atol=1e-11)
    return schedule.signal[1] * torch.from_numpy(solved.y[:, -1]).reshape(x_T.shape)


@pytest.mark.parametrize(
    ("sampler", "order", "margin"), [(ddim, 1, 0.1), (heun, 2, 0.15), (dpm_solver_pp_2m, 2, 0.15)]
)
@pytest.mark.parametrize("data", ["gaussian", "mixture"])
def test_order_of_convergence(data, sampler, order, margin):
    """Steps equal in log SNR down to t = 1, halved five times, in float64."""
    schedule = path("vp", 1025)
    if data == "gaussian":  # the ODE's flow keeps (x − mean_t)/std_t
        mixture, x_T = GAUSS, draw(10, 1)
        first, end = (mixture.noised(t, schedule) for t in (schedule.T, 1))
        truth = end.means + (end.var / first.var).sqrt() * (x_T - first.means)
    else:
        mixture, x_T = MIXTURE, draw(10, 2)
        truth = ode_end(STDS, mixture, x_T, schedule)
    counts, errors = [32, 64, 128, 256, 512, 1024], []
    for steps in counts:
        times = timesteps(schedule, steps + 1, "log_snr")[:-1]
        assert times[-1] == 1 and len(set(np.diff(times))) == 1
        *_, last = sampler(mixture.denoiser(schedule), x_T, schedule, times)
        errors.append((last.x - truth).square().mean().sqrt().item())
    halvings = -np.diff(np.log2(errors))
    np.testing.assert_allclose(halvings, order, atol=margin)
    assert -np.polyfit(np.log2(counts), np.log2(errors), 1)[0] == pytest.approx(order, abs=margin)


@every
@pytest.mark.parametrize("kind", ["vp", "flow"])
def test_only_the_noise_levels_matter(sampler, kind):
    """x/signal moves alike on every path through the same levels sigma/signal: here, as on VE."""
    runs = []
    for schedule in (path(kind, 40), path("ve", 40)):
        x_T = schedule.signal[-1] * 50 * draw(4, 2)
        steps = sampler(MIXTURE.denoiser(schedule), x_T, schedule, generator=seeded())
        runs.append([step.x / schedule.signal[step.t] for step in steps])
    for one, other in zip(*runs, strict=True):
        assert_close(one, other, rtol=1e-8, atol=1e-8)


# ---- moments -----------------------------------------------------------------------------------------------


def moments(monkeypatch, sampler, data, schedule, times, **options):
    """Mean and variance of what the chain ends in, without a single draw.

    On Gaussian data in one dimension the end is a + b x_T + Σ_k c_k z_k. One run finds all of these: row 0
    starts at 0, row 1 at 1, and the k-th noise is 1 in row k + 1 and 0 elsewhere.
    """
    count = iter(range(1, len(times)))

    def one_hot(x, generator=None):
        return torch.nn.functional.one_hot(torch.tensor(next(count) + 1), len(x)).to(x).reshape(x.shape)

    x_T = torch.zeros(len(times) + 1, 1, dtype=torch.float64)
    x_T[1] = 1
    with monkeypatch.context() as patch:
        patch.setattr(samplers, "noise_like", one_hot)
        patch.setattr(gaussian, "noise_like", one_hot)
        *_, last = sampler(data.denoiser(schedule), x_T, schedule, times, **options)
    b, *c = (last.x[1:] - last.x[0])[:, 0].tolist()
    start = (schedule.signal[times[0]] ** 2 + schedule.sigma[times[0]] ** 2).item()
    return last.x[0, 0].item(), b**2 * start + np.square(c).sum()


STOCHASTIC = [
    (ddpm, {"variance": "small"}),
    (ddpm, {"variance": "large"}),
    (ddim, {"eta": 0.5}),
    (edm, {}),
    (edm, {"s_churn": 5.0, "s_min": 0.05, "s_max": 5.0, "s_noise": 1.003}),
    (sde_dpm_solver_pp_2m, {}),
]


@pytest.mark.parametrize(("sampler", "options"), STOCHASTIC)
@pytest.mark.parametrize("steps", [1, 2, 3, 30])
@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "flow"])
def test_samples_have_the_moments_of_the_discretised_chain(monkeypatch, name, steps, sampler, options):
    schedule, n = PATHS[name](200), 20_000
    times = timesteps(schedule, steps, "log_snr" if name == "ve" else "trailing")
    mean, var = moments(monkeypatch, sampler, GAUSS, schedule, times, **options)
    x_T = p_sample_prior((n, 1), schedule, seeded()).double()
    *_, last = sampler(GAUSS.denoiser(schedule), x_T, schedule, times, generator=seeded(1), **options)
    assert last.x.mean().item() == pytest.approx(mean, abs=1e-10 + 5 * math.sqrt(var / n))
    assert last.x.var().item() == pytest.approx(var, rel=5 * math.sqrt(2 / n), abs=1e-20)


def test_covariance_of_correlated_data_too(monkeypatch):
    """Along the axes of the data a chain in two dimensions is two chains in one."""
    axes, stds = torch.tensor([[0.8, -0.6], [0.6, 0.8]]).double(), [0.2, 0.7]
    covariance = axes @ torch.diag(torch.tensor(stds).double() ** 2) @ axes.mT
    data = GaussianMixture(torch.zeros(1, 2).double(), covariances=covariance[None])
    schedule, n = linear(200), 20_000
    times = timesteps(schedule, 15)
    for sampler, options in STOCHASTIC:
        variances = [
            moments(monkeypatch, sampler, GaussianMixture(NARROW.means, [std]), schedule, times, **options)[1]
            for std in stds
        ]
        expected = axes @ torch.diag(torch.tensor(variances, dtype=torch.float64)) @ axes.mT
        x_T = p_sample_prior((n, 2), schedule, seeded()).double()
        *_, last = sampler(data.denoiser(schedule), x_T, schedule, times, generator=seeded(1), **options)
        within = 5 * (expected.diagonal().outer(expected.diagonal()) * 2 / n).sqrt()
        assert ((last.x.mT.cov() - expected).abs() < within).all()


@pytest.mark.parametrize(
    ("sampler", "options", "order"),
    [
        (ddpm, {"variance": "small"}, 1),
        (ddpm, {"variance": "large"}, 1),
        (ddim, {"eta": 0.5}, 1),
        (ddim, {"eta": 1.0}, 1),
        (sde_dpm_solver_pp_2m, {}, 2),
    ],
)
def test_the_variance_approaches_the_truth(monkeypatch, sampler, options, order):
    schedule, gaps = path("vp", 513), []
    for steps in (64, 128, 256, 512):
        times = timesteps(schedule, steps + 1, "log_snr")[:-1]
        _, var = moments(monkeypatch, sampler, GAUSS, schedule, times, **options)
        gaps.append(abs(var - GAUSS.noised(1, schedule).var.item()))
    np.testing.assert_allclose(-np.diff(np.log2(gaps)), order, atol=0.15)


def test_50_small_variance_steps_end_at_0_63_of_the_true_variance(monkeypatch):
    times = timesteps(linear(), 50)
    ratio = moments(monkeypatch, ddpm, NARROW, linear(), times)[1] / 0.04
    assert round(ratio, 2) == 0.63
    better = moments(monkeypatch, sde_dpm_solver_pp_2m, NARROW, linear(), times)[1] / 0.04
    assert abs(better - 1) < 0.3 * abs(ratio - 1)


@pytest.mark.parametrize("s_noise", [1.0, 1.05])
def test_edm_is_noise_and_then_heun_on_a_linear_ode(monkeypatch, s_noise):
    """Algorithm 2 worked out for N(0, v): each step adds σ̂² − σ² and multiplies by Heun's factor."""
    schedule, v = path("ve", 101), 0.04
    level, between = schedule.sigma.tolist(), 10  # 11 levels, each 10 rows of the table apart
    times = [*range(101, 0, -between), 0]
    up = 3  # rows: the table holds σ̂ itself if 1 + γ is the ratio of levels 3 rows apart
    gamma = level[1 + up] / level[1] - 1
    options = {"s_churn": gamma * (len(times) - 1), "s_max": 20.0, "s_noise": s_noise}
    _, var = moments(monkeypatch, edm, NARROW, schedule, times, **options)
    expected = 1 + level[-1] ** 2

    def slope(sigma):  # dx/dσ = ε̂ = slope · x
        return sigma / (v + sigma**2)

    for t, s in pairwise(times):
        high = level[t + up] if level[t] <= 20 else level[t]
        expected += s_noise**2 * (high**2 - level[t] ** 2)
        h = level[s] - high
        if s == 0:
            factor = 1 + h * slope(high)
        else:
            factor = 1 + h / 2 * (slope(high) + slope(level[s]) * (1 + h * slope(high)))
        expected *= factor**2
    assert var == pytest.approx(expected, rel=1e-9)


def test_edm_approaches_the_truth_with_order_2(monkeypatch):
    schedule, gaps, counts = path("vp", 4097), [], [64, 128, 256, 512]
    for steps in counts:
        times = timesteps(schedule, steps + 1, "log_snr")[:-1]
        _, var = moments(monkeypatch, edm, GAUSS, schedule, times, s_churn=10.0)
        gaps.append(abs(var - GAUSS.noised(1, schedule).var.item()))
    assert -np.polyfit(np.log2(counts), np.log2(gaps), 1)[0] == pytest.approx(2, abs=0.2)


# ---- single steps, and the ends ----------------------------------------------------------------------------


@given(any_path, st.data())
def test_a_true_guess_ends_at_the_truth(schedule, data):
    times, x0 = times_within(schedule, data), torch.full((3, 2), 0.4, dtype=torch.float64)
    x_T = schedule.signal[times[0]] * x0 + schedule.sigma[times[0]] * draw(3, 2)
    for sampler in (heun, dpm_solver_pp_2m):  # the whole path is a straight line in x_0 and ε
        for step in sampler(always(x0, schedule), x_T, schedule, times):
            expected = schedule.signal[step.t] * x0 + schedule.sigma[step.t] * draw(3, 2)
            assert_close(step.x, expected, rtol=1e-8, atol=1e-8)


@fast
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("times", [[20, 0], [20, 9, 0], [7, 0], [20, 19, 1, 0], None])
def test_the_last_step_returns_the_guess_without_noise(sampler, name, times):
    schedule = PATHS[name](20)
    steps = list(sampler(MIXTURE.denoiser(schedule), draw(5, 2), schedule, times, generator=seeded()))
    last = steps[-1]
    guess = MIXTURE.denoiser(schedule)(last.prediction.x_t, last.prediction.t).x0
    assert last.t == 0 and last.x.isfinite().all()
    assert torch.equal(last.x, last.prediction.x0) and torch.equal(last.x, guess)


@fast
@pytest.mark.parametrize("name", PATHS)
def test_two_steps_go_through_a_state_and_count_their_calls(sampler, name):
    schedule, x_T = PATHS[name](20), draw(5, 2)
    first, second = sampler(MIXTURE.denoiser(schedule), x_T, schedule, [20, 9, 0], generator=seeded())
    assert (first.t, second.t) == (9, 0)
    assert (first.calls, second.calls) == ((2, 3) if sampler in (heun, edm) else (1, 2))
    assert first.x.abs().max() < 10 * x_T.abs().max()


@fast
def test_each_step_goes_through_its_prediction(sampler):
    """Whatever a sampler does to its guess: with that guess, its step is DDIM's, or DDPM's."""
    schedule, x_T = cosine(40), draw(5, 2)
    for step in sampler(MIXTURE.denoiser(schedule), x_T, schedule, range(40, -1, -4), generator=seeded()):
        guess, s = step.prediction, step.t
        if sampler is sde_dpm_solver_pp_2m:
            posterior = q_posterior(guess.x0, guess.x_t, guess.t, schedule, s)
            assert ((step.x - posterior.mean).abs() <= 5 * posterior.var.sqrt()).all()
        else:
            (same,) = ddim(lambda x, t, guess=guess: guess, guess.x_t, schedule, [guess.t, s])
            assert_close(step.x, same.x)


@pytest.mark.parametrize(("sampler", "through"), [(dpm_solver_pp_2m, ddim), (sde_dpm_solver_pp_2m, ddpm)])
@pytest.mark.parametrize("name", ["linear", "ve", "flow"])
def test_the_first_multistep_step_is_of_order_1_and_the_second_not(sampler, through, name):
    schedule, x_T, times = PATHS[name](20), draw(5, 2), [20, 14, 8, 3]
    exact = MIXTURE.denoiser(schedule)
    one, two = (list(s(exact, x_T, schedule, times, generator=seeded())) for s in (sampler, through))
    assert_close(one[0].x, two[0].x)
    from_zero_snr = name == "flow"  # an infinite step: nothing to extrapolate from after it either
    assert torch.allclose(one[1].x, two[1].x, atol=1e-10) == from_zero_snr
    assert not torch.allclose(one[2].x, two[2].x, atol=1e-4)


@given(any_path, st.data())
def test_edm_without_churn_is_heun(schedule, data):
    times, exact = times_within(schedule, data), MIXTURE.denoiser(schedule)
    for options in ({"s_churn": 0.0}, {"s_min": 1e9}, {"s_max": 0.0}):
        runs = heun(exact, draw(3, 2), schedule, times), edm(exact, draw(3, 2), schedule, times, **options)
        for one, other in zip(*runs, strict=True):
            assert torch.equal(one.x, other.x) and one.calls == other.calls


@given(any_path, st.data())
def test_edm_churns_upwards_by_at_most_gamma_and_not_above_T(schedule, data):
    times, level = times_within(schedule, data), (schedule.sigma / schedule.signal)
    steps = list(edm(MIXTURE.denoiser(schedule), draw(3, 2), schedule, times, generator=seeded()))
    for t, step in zip(times, steps, strict=False):
        raised = step.prediction.t
        assert t <= raised <= schedule.T
        if raised > t + 1:  # the nearest row of the table: the one before is below the wish
            assert level[raised - 1] < math.sqrt(2) * level[t]


def test_edm_raises_the_noise_to_that_of_the_time_it_names():
    """From the marginal q_t it lands on q_t̂: the same mean and the variance of that time."""
    schedule, n, t = linear(), 50_000, 300
    data = GAUSS.noised(t, schedule)
    x = data.sample(n, seeded())
    step = next(edm(GAUSS.denoiser(schedule), x, schedule, [t, 200, 0], generator=seeded(1)))
    raised = GAUSS.noised(step.prediction.t, schedule)
    assert step.prediction.t > t + 50
    seen = step.prediction.x_t.numpy().ravel()
    assert stats.kstest(seen, stats.norm(raised.means.item(), raised.var.sqrt().item()).cdf).pvalue > 1e-3


# ---- near zero SNR -----------------------------------------------------------------------------------------


@cache
def sampled_with_every_t(name):
    schedule = PATHS[name](1000)
    x_T = p_sample_prior((100, 2), schedule, seeded()).double()
    *_, last = heun(MIXTURE.denoiser(schedule), x_T, schedule)
    return schedule, x_T, last.x


@pytest.mark.parametrize("spacing", ["trailing", "log_snr", "karras"])
@pytest.mark.parametrize("name", PATHS)
def test_20_steps_are_better_than_those_of_ddim(name, spacing):
    """Also down to near-zero SNR, where a mean of ε̂ alone would explode."""
    schedule, x_T, truth = sampled_with_every_t(name)
    times, errors = timesteps(schedule, 20, spacing), {}
    for sampler in (ddim, heun, dpm_solver_pp_2m):
        *_, last = sampler(MIXTURE.denoiser(schedule), x_T, schedule, times)
        errors[sampler] = (last.x - truth).norm(dim=1).mean().item()
    assert max(errors[heun], errors[dpm_solver_pp_2m]) < errors[ddim] < 0.3


def test_an_error_in_eps_would_grow_633_fold_at_the_end_of_cosine():
    level = cosine().sigma / cosine().signal
    assert round((level[1000] / level[980]).item()) == 633


def test_heun_averages_eps_unless_a_step_cuts_the_noise_by_more_than_50():
    schedule, x_T = path("ve", 3, 1, 100), draw(4, 2)  # levels 1, 10, 100
    exact = MIXTURE.denoiser(schedule)
    for s, view in ((2, "eps"), (1, "x0")):
        here = exact(x_T, 3)
        (euler,) = ddim(exact, x_T, schedule, [3, s])
        ahead = exact(euler.x, s)
        (step,) = heun(exact, x_T, schedule, [3, s])
        other = "x0" if view == "eps" else "eps"
        assert_close(getattr(step.prediction, view), (getattr(here, view) + getattr(ahead, view)) / 2)
        assert not torch.allclose(
            getattr(step.prediction, other), (getattr(here, other) + getattr(ahead, other)) / 2, rtol=1e-3
        )


# ---- what a run samples ------------------------------------------------------------------------------------


@fast
@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "flow", "zero-snr linear"])
def test_every_path_samples_the_mixture(sampler, name):
    schedule, n = PATHS[name](1000), 3000
    x_T = p_sample_prior((n, 2), schedule, seeded(2)).double()
    times = timesteps(schedule, 60, "log_snr" if name == "ve" else "trailing")
    *_, last = sampler(MIXTURE.denoiser(schedule), x_T, schedule, times, generator=seeded())
    truth = MIXTURE.sample(20_000, seeded(1))
    assert_close(last.x.mean(0), truth.mean(0), rtol=0, atol=0.08)
    assert_close(last.x.mT.cov(), truth.mT.cov(), rtol=0, atol=0.08)


# ---- clipping, and bad input -------------------------------------------------------------------------------


@fast
def test_clipping_is_of_every_guess(sampler):
    """Within bounds it changes nothing; a wild denoiser ends in bounds."""
    schedule, x_T = linear(20), draw(6, 2)
    exact = MIXTURE.denoiser(schedule)
    runs = [list(sampler(exact, x_T, schedule, clip=c, generator=seeded()))[-1].x for c in (None, 100.0)]
    assert_close(runs[0], runs[1])

    def wild(x_t, t):
        return Prediction.from_x0(5 * x_t, x_t, t, schedule)

    *_, last = sampler(wild, x_T, schedule, clip=1.0, generator=seeded())
    assert last.x.abs().max() == 1


@pytest.mark.parametrize("name", ["s_churn", "s_min", "s_max", "s_noise"])
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_bad_churn_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 0; got {value}"):
        next(edm(GAUSS.denoiser(linear(10)), draw(2, 1), linear(10), **{name: value}))
    with pytest.raises(ValueError, match="s_noise must be finite; got inf"):
        next(edm(GAUSS.denoiser(linear(10)), draw(2, 1), linear(10), s_noise=math.inf))
