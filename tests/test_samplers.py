"""Samplers: their steps against closed forms, their samples against distributions that are known."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_schedules import PATHS, any_path, cosine, flow, linear, ve

from diffusion_lab.exact import Empirical, GaussianMixture
from diffusion_lab.forward import q_posterior, q_sample
from diffusion_lab.samplers import SAMPLERS, Step, ddim, ddpm, p_sample_prior, timesteps
from diffusion_lab.schedules import signal_sigma
from diffusion_lab.views import Prediction

both = pytest.mark.parametrize("sampler", [ddpm, ddim])
every = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
MEANS, STDS = torch.tensor([[-1.0, 0.5], [0.8, -0.2], [0.3, 1.0]], dtype=torch.float64), [0.15, 0.3, 0.1]
MIXTURE = GaussianMixture(MEANS, STDS, weights=[0.2, 0.5, 0.3])
GAUSS = GaussianMixture(torch.tensor([[0.3]], dtype=torch.float64), [0.5])


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def always(x0, schedule):
    return lambda x_t, t: Prediction.from_x0(x0, x_t, t, schedule)


def scaled(factor, schedule):
    return lambda x_t, t: Prediction.from_eps(factor * x_t, x_t, t, schedule)


def times_within(schedule, data):
    """Any falling times for hypothesis to try, from 2 of them up."""
    some = st.sets(st.integers(0, schedule.T), min_size=2, max_size=6)
    return sorted(data.draw(some), reverse=True)


# ---- timesteps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["trailing", "log_snr", "karras"])
@given(any_path | st.builds(lambda make: make(1), st.sampled_from([linear, ve, flow])), st.data())
def test_times_start_at_T_end_at_0_and_fall_strictly(spacing, schedule, data):
    steps = data.draw(st.integers(1, schedule.T))
    times = timesteps(schedule, steps, spacing)
    assert len(times) == steps + 1
    assert times[0] == schedule.T and times[-1] == 0
    assert all(type(t) is int for t in times)
    assert (np.diff(times) < 0).all()


def test_trailing_times_are_equally_spaced_and_those_of_lin_et_al():
    assert timesteps(linear(), 10) == list(range(1000, -1, -100))
    assert np.ptp(np.diff(timesteps(linear(), 7))) <= 1


@pytest.mark.parametrize("name", ["linear", "cosine", "sigmoid", "ve"])
def test_log_snr_times_are_equally_spaced_in_log_snr(name):
    schedule = PATHS[name](10_000)
    times = timesteps(schedule, 12, "log_snr")
    assert times[-2:] == [1, 0]
    gaps = np.diff(schedule.log_snr[times[:-1]])
    reach = schedule.log_snr.diff()[1:].abs()
    near = torch.stack([reach[max(t - 2, 0) : t + 1].max() for t in times[:-1]])  # rounding to whole t
    assert (np.abs(gaps - gaps.mean()) <= 2 * near.max().item()).all()
    if name == "linear":
        assert np.ptp(gaps) < 0.02 * gaps.mean()


@pytest.mark.parametrize(
    ("steps", "spacing", "message"),
    [
        (0, "trailing", "steps must be an integer of at least 1"),
        (2.0, "trailing", "steps must be an integer"),
        (True, "log_snr", "steps must be an integer"),
        (11, "trailing", "steps must be at most T = 10; got 11"),
        (11, "log_snr", "steps must be at most T = 10"),
        (5, "leading", "spacing must be .* got 'leading'"),
        (1, "leading", "spacing must be"),
    ],
)
def test_bad_timesteps_are_refused(steps, spacing, message):
    with pytest.raises(ValueError, match=message):
        timesteps(linear(10), steps, spacing)


# ---- single steps ------------------------------------------------------------------------------------------


@given(any_path, st.data())
def test_ddpm_and_ddim_with_eta_1_take_the_same_steps(schedule, data):
    times, x_T = times_within(schedule, data), draw(5, 2)
    runs = [
        list(sampler(MIXTURE.denoiser(schedule), x_T, schedule, times, generator=seeded(), **options))
        for sampler, options in ((ddpm, {"variance": "small"}), (ddim, {"eta": 1.0}))
    ]
    for one, other in zip(*runs, strict=True):
        assert one.t == other.t
        assert_close(one.x, other.x)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("times", [(8, 7), (10, 3), (2, 1)])
@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "flow"])
def test_what_a_ddim_step_draws_has_eta_squared_times_the_posterior_variance(name, times, eta):
    schedule, (t, s), n = PATHS[name](10), times, 20_000
    x_T = torch.full((n, 1), 0.4, dtype=torch.float64)
    (step,) = ddim(GAUSS.denoiser(schedule), x_T, schedule, times, eta=eta, generator=seeded())
    expected = eta**2 * q_posterior(x_T[:1], x_T[:1], t, schedule, s).var.item()
    assert step.x.var().item() == pytest.approx(expected, rel=5 * math.sqrt(2 / n), abs=1e-20)
    if eta == 0:
        assert (step.x == step.x[0]).all()


@given(any_path, st.floats(0, 1), st.data())
def test_a_ddim_step_from_the_true_marginal_lands_on_the_true_marginal(schedule, eta, data):
    """With the truth as its prediction, x_s has mean signal_s x_0 and variance sigma_s², whatever η."""
    t = data.draw(st.integers(1, schedule.T))
    s = data.draw(st.integers(0, t - 1))
    x0, noise = torch.full((2, 1), 0.7, dtype=torch.float64), torch.tensor([[0.0], [1.0]]).double()
    x_t = q_sample(x0, t, schedule, noise)
    (step,) = ddim(always(x0, schedule), x_t, schedule, [t, s], eta=eta, generator=seeded())
    drawn_std = eta * q_posterior(x0, x0, t, schedule, s).var.sqrt()
    mean, shifted = (step.x - drawn_std * torch.randn(2, 1, generator=seeded(), dtype=torch.float64))[:, 0]
    assert_close(mean, schedule.signal[s] * 0.7)
    assert_close((shifted - mean) ** 2 + drawn_std**2, schedule.sigma[s] ** 2)


@pytest.mark.parametrize("times", [(10, 7), (5, 4), (2, 1)])
@pytest.mark.parametrize("name", ["linear", "ve", "flow"])
def test_large_variance_is_that_of_the_forward_jump_over_the_actual_step(name, times):
    """β of the jump from s to t, from ratios of the tables at those two times, not at t − 1."""
    schedule, (t, s), n = PATHS[name](10), times, 20_000
    gain = schedule.signal[t] / schedule.signal[s]
    added = schedule.sigma[t] ** 2 - (gain * schedule.sigma[s]) ** 2
    x_T = torch.zeros(n, 1, dtype=torch.float64)
    (step,) = ddpm(GAUSS.denoiser(schedule), x_T, schedule, times, variance="large", generator=seeded())
    assert step.x.var().item() == pytest.approx(added.item(), rel=5 * math.sqrt(2 / n))


@pytest.mark.parametrize(
    "options", [{"variance": "small"}, {"variance": "large"}, {"eta": 0.0}, {"eta": 1.0}]
)
@pytest.mark.parametrize("name", PATHS)
def test_the_last_step_returns_the_guess_without_noise(name, options):
    schedule = PATHS[name](10)
    sampler = ddpm if "variance" in options else ddim
    for times in ([10, 0], [10, 4, 0], None):
        *_, last = sampler(MIXTURE.denoiser(schedule), draw(5, 2), schedule, times, **options)
        assert last.t == 0
        assert torch.equal(last.x, last.prediction.x0)


@both
def test_clipping_bounds_x0_and_derives_eps_again(sampler):
    schedule, x_T = cosine(20), 3 * draw(6, 2)
    wild = scaled(-1, schedule)  # x̂_0 is far outside [−1, 1]
    x_before = x_T
    for step in sampler(wild, x_T, schedule, [20, 12, 5], clip=1.0, generator=seeded()):
        prediction = step.prediction
        assert prediction.x0.abs().max() == 1
        signal, sigma = signal_sigma(schedule, prediction.t, x_before)
        assert_close(signal * prediction.x0 + sigma * prediction.eps, x_before)
        if sampler is ddim:
            assert_close(
                step.x, schedule.signal[step.t] * prediction.x0 + schedule.sigma[step.t] * prediction.eps
            )
        x_before = step.x


@both
def test_clipping_changes_nothing_that_lies_within(sampler):
    schedule, x_T = linear(10), draw(6, 2)
    runs = [
        list(sampler(MIXTURE.denoiser(schedule), x_T, schedule, clip=clip, generator=seeded()))
        for clip in (None, 100.0)
    ]
    assert_close(runs[0][-1].x, runs[1][-1].x)


def test_clipping_is_wrong_for_data_without_such_bounds():
    far = GaussianMixture(torch.tensor([[3.0, -3.0]], dtype=torch.float64), [0.1])
    schedule = linear()
    ends = [
        list(ddim(far.denoiser(schedule), draw(50, 2), schedule, timesteps(schedule, 20), clip=clip))[-1].x
        for clip in (None, 1.0)
    ]
    assert_close(ends[0].mean(0), far.means[0], rtol=0, atol=0.1)
    assert ends[1].abs().max() <= 1


# ---- what a run yields -------------------------------------------------------------------------------------


@both
@given(schedule=any_path, data=st.data())
def test_a_run_yields_every_step_once_after_it_was_taken(sampler, schedule, data):
    times, x_T, seen = times_within(schedule, data), draw(3, 2), []
    exact = MIXTURE.denoiser(schedule)

    def spy(x_t, t):
        seen.append((t, x_t))
        return exact(x_t, t)

    before = x_T.clone()
    steps = list(sampler(spy, x_T, schedule, times, generator=seeded()))
    assert torch.equal(x_T, before)  # x_T is left as it was …
    assert all(isinstance(step, Step) for step in steps)
    assert [step.t for step in steps] == times[1:]  # … and is not handed out
    assert [step.calls for step in steps] == list(range(1, len(times)))
    assert [t for t, _ in seen] == times[:-1]
    for step, (t, x_t), at in zip(steps, seen, [x_T, *(s.x for s in steps)], strict=False):
        assert torch.equal(x_t, at) and torch.equal(step.prediction.x_t, at) and step.prediction.t == t


@both
def test_a_run_can_be_cut_in_two(sampler):
    """Times may start below T and end above 0: two halves with the same noise are the whole."""
    schedule, exact, g = cosine(10), MIXTURE.denoiser(cosine(10)), seeded()
    whole = list(sampler(exact, draw(4, 2), schedule, [10, 6, 3, 0], generator=seeded()))
    (first,) = sampler(exact, draw(4, 2), schedule, [10, 6], generator=g)
    *_, last = sampler(exact, first.x, schedule, [6, 3, 0], generator=g)
    assert torch.equal(whole[-1].x, last.x)


def test_a_seed_gives_the_same_sample_and_eta_0_needs_none():
    schedule, exact = linear(10), MIXTURE.denoiser(linear(10))

    def run(sampler, seed, **options):
        return list(sampler(exact, draw(3, 2), schedule, generator=seeded(seed), **options))[-1].x

    assert torch.equal(run(ddpm, 0), run(ddpm, 0)) and not torch.equal(run(ddpm, 0), run(ddpm, 1))
    assert torch.equal(run(ddim, 0), run(ddim, 1))
    assert not torch.equal(run(ddim, 0, eta=0.3), run(ddim, 1, eta=0.3))


@pytest.mark.parametrize("name", ["linear", "ve", "flow"])
def test_samplers_start_from_the_prior_that_the_elbo_compares_with(name):
    schedule = PATHS[name](10)
    x_T = p_sample_prior((20_000,), schedule, seeded())
    assert x_T.dtype == torch.float32
    std = (schedule.signal[-1] ** 2 + schedule.sigma[-1] ** 2).sqrt().item()
    assert stats.kstest(x_T.double().numpy(), stats.norm(0, std).cdf).pvalue > 1e-3
    assert torch.equal(x_T, p_sample_prior((20_000,), schedule, seeded()))


# ---- what a run samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("steps", [1, 2, 5, 50])
@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "flow"])
def test_on_gaussian_data_ddpm_has_the_variance_of_its_own_recursion(name, steps, variance):
    """Each step is affine in x: its slope is found by taking it from two places, and then iterated."""
    schedule, n = PATHS[name](200), 20_000
    exact, times = GAUSS.denoiser(schedule), timesteps(schedule, steps)
    mean, var = torch.zeros(1, 1).double(), schedule.signal[-1] ** 2 + schedule.sigma[-1] ** 2
    for t, s in pairwise(times):
        at = torch.cat([mean, mean + 1])
        posterior = q_posterior(exact(at, t).x0, at, t, schedule, s)
        mean, slope = posterior.mean[:1], (posterior.mean[1] - posterior.mean[0]).item()
        jump = schedule.sigma[t] ** 2 - (schedule.signal[t] / schedule.signal[s] * schedule.sigma[s]) ** 2
        added = 0 if s == 0 else posterior.var if variance == "small" else jump
        var = slope**2 * var + added
    x_T = p_sample_prior((n, 1), schedule, seeded()).double()
    *_, last = ddpm(exact, x_T, schedule, times, variance=variance, generator=seeded(1))
    assert last.x.mean().item() == pytest.approx(mean.item(), abs=1e-12 + 5 * math.sqrt(var.item() / n))
    assert last.x.var().item() == pytest.approx(var.item(), rel=5 * math.sqrt(2 / n), abs=1e-20)


@pytest.mark.parametrize("maker", [linear, cosine])
def test_on_gaussian_data_ddim_converges_to_the_ode_with_order_1(maker):
    """The ODE's flow keeps (x − mean_t)/std_t. Steps equal in log SNR, halved four times, in float64."""
    schedule, x_T = maker(20_000) if maker is cosine else linear(20_000, 1e-4 / 20, 0.02 / 20), draw(20, 1)
    errors = []
    for steps in (32, 64, 128, 256, 512):
        times = timesteps(schedule, steps + 1, "log_snr")[:-1]
        *_, last = ddim(GAUSS.denoiser(schedule), x_T, schedule, times)
        start, end = (GAUSS.noised(t, schedule) for t in (times[0], times[-1]))
        exact = end.means + (end.var / start.var).sqrt() * (x_T - start.means)
        errors.append((last.x - exact).abs().max().item())
    orders = -np.diff(np.log2(errors))
    np.testing.assert_allclose(orders, 1.0, atol=0.1)


@pytest.mark.parametrize(
    "options", [{"variance": "small"}, {"variance": "large"}, {"eta": 0.0}, {"eta": 0.5}]
)
@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "flow", "zero-snr linear"])
def test_every_path_samples_the_mixture(name, options):
    schedule, n = PATHS[name](1000), 3000
    sampler = ddpm if "variance" in options else ddim
    x_T = p_sample_prior((n, 2), schedule, seeded(2)).double()
    times = timesteps(schedule, 250, "log_snr" if name == "ve" else "trailing")
    *_, last = sampler(MIXTURE.denoiser(schedule), x_T, schedule, times, generator=seeded(), **options)
    truth = MIXTURE.sample(20_000, seeded(1))
    assert_close(last.x.mean(0), truth.mean(0), rtol=0, atol=0.08)
    assert_close(last.x.mT.cov(), truth.mT.cov(), rtol=0, atol=0.08)
    for axis in ([1.0, 0.0], [0.6, 0.8], [-0.8, 0.6]):
        along = torch.tensor(axis, dtype=torch.float64)
        assert stats.ks_2samp(last.x @ along, truth @ along).pvalue > 1e-3


@every
def test_the_ideal_denoiser_of_a_finite_data_set_samples_copies_of_it(sampler):
    data, schedule = draw(5, 3), linear()
    x_T = p_sample_prior((20, 3), schedule, seeded()).double()
    times = timesteps(schedule, 50)
    *_, last = sampler(Empirical(data).denoiser(schedule), x_T, schedule, times, generator=seeded(1))
    assert torch.cdist(last.x, data).min(1).values.max() < 1e-4


# ---- zero SNR, and nearly so -------------------------------------------------------------------------------


def test_on_clipped_cosine_an_error_in_eps_explodes_and_the_same_error_in_v_does_not():
    """x̂_0 = (x_t − sigma ε̂)/signal: the clip at 0.999 leaves a gain of 20 291 at T."""
    schedule, error = cosine(), 0.01
    exact = MIXTURE.denoiser(schedule)
    x_T = p_sample_prior((200, 2), schedule, seeded()).double()

    def slightly_wrong(view):
        def denoise(x_t, t):
            value = getattr(exact(x_t, t), view) + error
            return getattr(Prediction, f"from_{view}")(value, x_t, t, schedule)

        return denoise

    ends, first_guesses = {}, {}
    for view in ("eps", "v"):
        first, *_, last = ddim(slightly_wrong(view), x_T, schedule, timesteps(schedule, 50))
        first_guesses[view] = (first.prediction.x0 - exact(x_T, 1000).x0).abs().max().item()
        ends[view] = last.x
    *_, truth = ddim(exact, x_T, schedule, timesteps(schedule, 50))
    assert first_guesses["eps"] == pytest.approx(20_291 * error, rel=1e-3)
    assert first_guesses["v"] == pytest.approx(error, rel=1e-3)
    assert (ends["eps"] - truth.x).norm(dim=1).mean() > 10 * (ends["v"] - truth.x).norm(dim=1).mean()


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "options", "message"),
    [
        (ddpm, {"variance": "medium"}, "variance must be .* got 'medium'"),
        (ddim, {"eta": -0.1}, r"eta must lie in \[0, 1\]"),
        (ddim, {"eta": 1.1}, r"eta must lie in \[0, 1\]"),
        (ddim, {"eta": math.nan}, r"eta must lie in \[0, 1\]"),
    ],
)
def test_a_bad_option_is_refused(sampler, options, message):
    with pytest.raises(ValueError, match=message):
        next(sampler(MIXTURE.denoiser(linear(10)), draw(2, 2), linear(10), **options))
