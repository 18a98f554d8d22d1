"""The forward process: every jump, every step and the way back are one process, on every kind of path."""

import math

import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_schedules import PATHS, ZERO_SNR, any_path, cosine, flow, linear, ve
from torch.distributions import Normal

from diffusion_lab.forward import q_chain, q_marginal, q_posterior, q_sample, q_step

SHAPES = [(3,), (3, 3), (4, 1, 8, 8)]  # batch and data alike in size; an image


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def walk(schedule, s, t):
    """x_u = gain · x_s + √var · ε for u = s…t, found by walking the chain with q_step alone."""
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    moments = [(one, zero)]
    for u in range(s + 1, t + 1):
        gain, var = moments[-1]
        shrink, added = q_step(one, u, schedule, noise=zero), q_step(zero, u, schedule, noise=one) ** 2
        moments.append((gain * shrink, shrink**2 * var + added))
    return moments


@given(any_path)
def test_the_moments_of_the_chain_are_those_of_the_closed_form(schedule):
    for t, (gain, var) in enumerate(walk(schedule, 0, schedule.T)):
        marginal = q_marginal(torch.full((1,), 0.7, dtype=torch.float64), t, schedule)
        assert_close(0.7 * gain, marginal.mean)
        assert_close(var, marginal.var.expand(1))


@given(any_path, st.data(), st.floats(-1, 1))
def test_the_posterior_obeys_bayes_between_any_two_times(schedule, data, x0):
    """log q(x_s|x_t,x_0) = log q(x_t|x_s) + log q(x_s|x_0) − log q(x_t|x_0), at every x_s."""
    t = data.draw(st.integers(2, schedule.T))
    s = data.draw(st.integers(1, t - 1))
    x0 = torch.full((7,), x0, dtype=torch.float64)
    x_t = q_sample(x0, t, schedule, noise=draw(1).expand(7))
    posterior = q_posterior(x0, x_t, t, schedule, s)
    x_s = posterior.mean + posterior.var.sqrt() * torch.linspace(-3, 3, 7, dtype=torch.float64)
    gain, var = walk(schedule, s, t)[-1]
    joint = Normal(gain * x_s, var.sqrt()).log_prob(x_t) + q_marginal(x0, s, schedule).log_prob(x_s)
    assert_close(posterior.log_prob(x_s), joint - q_marginal(x0, t, schedule).log_prob(x_t))


@pytest.mark.parametrize("T", [2, 10, 1000])
@pytest.mark.parametrize("name", PATHS)
def test_the_posterior_is_proportional_to_its_two_factors(name, T):
    """Without the normalisation: the two log densities differ by the same constant at every x_s."""
    schedule = PATHS[name](T)
    for s, t in {(1, 2), (T // 2, T), (T - 1, T), (1, T)}:
        x0, x_t = torch.full((9,), 0.3, dtype=torch.float64), torch.full((9,), 0.4, dtype=torch.float64)
        posterior = q_posterior(x0, x_t, t, schedule, s)
        x_s = posterior.mean + posterior.var.sqrt() * torch.linspace(-2, 2, 9, dtype=torch.float64)
        gain, var = walk(schedule, s, t)[-1]
        factors = Normal(gain * x_s, var.sqrt()).log_prob(x_t) + q_marginal(x0, s, schedule).log_prob(x_s)
        difference = posterior.log_prob(x_s) - factors
        assert_close(difference, difference[:1].expand(9), atol=1e-10 * max(1.0, factors.abs().max().item()))


@given(any_path, st.data())
def test_noising_back_the_posterior_gives_the_marginal_again(schedule, data):
    """∫ q(x_s|x_t,x_0) q(x_t|x_0) dx_t = q(x_s|x_0): the identity that DDIM is built on."""
    t = data.draw(st.integers(1, schedule.T))
    s = data.draw(st.integers(0, t - 1))
    x0 = torch.full((1,), 0.6, dtype=torch.float64)
    before, after = q_marginal(x0, t, schedule), q_marginal(x0, s, schedule)
    at_mean = q_posterior(x0, before.mean, t, schedule, s)
    slope = q_posterior(x0, before.mean + 1, t, schedule, s).mean - at_mean.mean
    assert_close(at_mean.mean, after.mean)
    assert_close(slope**2 * before.var + at_mean.var, after.var.expand(1), rtol=1e-9)


@given(any_path, st.data())
def test_the_posterior_at_s_0_is_the_point_mass_at_x0(schedule, data):
    t = data.draw(st.integers(1, schedule.T))
    x0 = draw(5, 2)
    posterior = q_posterior(x0, draw(5, 2, seed=1), t, schedule, s=0)
    assert torch.equal(posterior.mean, x0)
    assert posterior.var == 0


def test_s_is_the_step_before_t_unless_given():
    x0, x_t = draw(3, 2), draw(3, 2, seed=1)
    t = torch.tensor([1, 2, 10])
    given_s, default = q_posterior(x0, x_t, t, linear(10), s=t - 1), q_posterior(x0, x_t, t, linear(10))
    assert torch.equal(given_s.mean, default.mean) and torch.equal(given_s.var, default.var)


@pytest.mark.parametrize("name", ZERO_SNR)
def test_a_zero_snr_end_says_nothing_about_x0_nor_about_the_steps_before(name):
    schedule, x0 = PATHS[name](10), draw(4, 2)
    noise = draw(4, 2, seed=1)
    assert_close(q_sample(x0, 10, schedule, noise), noise)
    posterior, marginal = q_posterior(x0, noise, 10, schedule), q_marginal(x0, 9, schedule)
    assert_close(posterior.mean, marginal.mean)
    assert_close(posterior.var, marginal.var)


def test_posterior_variance_in_float32_keeps_its_digits_between_neighbouring_steps():
    """1 − SNR_t/SNR_s is 1e-5 here: a plain difference in float32 would keep two digits of it."""
    schedule = linear(100_000, 1e-6, 2e-4)
    x0 = draw(2, 2)
    exact = q_posterior(x0, x0, 50_000, schedule)
    single = q_posterior(x0.float(), x0.float(), 50_000, schedule)
    torch.testing.assert_close(single.var.double(), exact.var, rtol=1e-6, atol=0)


# ---- draws -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", [linear, cosine, ve, flow])
def test_the_chain_and_the_jump_draw_from_the_same_distribution(maker):
    schedule, n = maker(8), 10_000
    x0 = torch.where(torch.arange(n) % 3 == 0, -0.8, 0.5).double()  # two kinds of data, so not one Gaussian
    chain = q_chain(x0, schedule, generator=torch.Generator().manual_seed(1))
    assert chain.shape == (9, n)
    assert torch.equal(chain[0], x0)
    g = torch.Generator().manual_seed(2)
    for t in (1, 4, 8):
        jump = q_sample(x0, t, schedule, generator=g)
        assert stats.ks_2samp(chain[t].numpy(), jump.numpy()).pvalue > 1e-3


def test_the_chain_remembers_its_last_state():
    """Consecutive states share noise: cov(x_t, x_s | x_0) = (signal_t/signal_s) sigma_s², not 0."""
    schedule, n = linear(10, 0.05, 0.2), 40_000
    chain = q_chain(torch.zeros(n).double(), schedule, generator=torch.Generator().manual_seed(0))
    gain, _ = walk(schedule, 5, 9)[-1]
    expected = gain.item() * schedule.sigma[5].item() ** 2
    assert (chain[9] * chain[5]).mean().item() == pytest.approx(expected, abs=5 / math.sqrt(n))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [q_step, q_sample])
def test_draws_are_reproducible_and_follow_the_noise_that_is_given(q, shape):
    schedule, x, noise = linear(10), draw(*shape), draw(*shape, seed=1)
    drawn = [q(x, 5, schedule, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[0], q(x, 5, schedule, noise=noise))  # the same seed drew that noise
    assert drawn[0].shape == x.shape and drawn[0].dtype == x.dtype


def test_clean_data_comes_back_at_t_0():
    x0 = draw(3, 2)
    assert torch.equal(q_sample(x0, 0, linear(10)), x0)
    assert torch.equal(q_marginal(x0, 0, linear(10)).mean, x0)


# ---- one time per example ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_of_times_is_right_even_where_batch_and_data_have_the_same_size(name, shape):
    schedule, B = PATHS[name](10), shape[0]
    t, s = torch.tensor([1, 4, 10, 7])[:B], torch.tensor([0, 2, 9, 1])[:B]
    x, noise = draw(*shape), draw(*shape, seed=1)
    posterior, marginal = q_posterior(x, noise, t, schedule, s), q_marginal(x, t, schedule)
    for i in range(B):
        one, its_noise = x[i : i + 1], noise[i : i + 1]
        its_t, its_s = t[i].item(), s[i].item()
        alone = q_posterior(one, its_noise, its_t, schedule, its_s)
        assert torch.equal(posterior.mean[i], alone.mean[0])
        assert torch.equal(posterior.var[i].flatten()[0], alone.var)
        assert torch.equal(marginal.mean[i], q_marginal(one, its_t, schedule).mean[0])
        for q in (q_step, q_sample):
            assert torch.equal(q(x, t, schedule, noise)[i], q(one, its_t, schedule, its_noise)[0])


# ---- bad input ---------------------------------------------------------------------------------------------

x = torch.zeros(3, 3)
S = linear(10)
FUNCTIONS = {
    "q_step": lambda x, t: q_step(x, t, S),
    "q_sample": lambda x, t: q_sample(x, t, S),
    "q_marginal": lambda x, t: q_marginal(x, t, S),
    "q_posterior": lambda x, t: q_posterior(x, x, t, S),
}


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (-1, "t must lie in"), (11, "t must lie in"), (torch.tensor([1, 2, 11]), "t must lie in"),
        (2.0, "t must be an integer"), (2.5, "t must be an integer"), (math.nan, "t must be an integer"),
        (True, "t must be an integer"), (torch.tensor([1.0, 2, 3]), "t must be an integer"),
        (torch.tensor([True] * 3), "t must be an integer"),
        (torch.ones(3, 1).long(), "t must be an integer"),
        (torch.tensor([1, 2]), "t must have one entry per example"),
        (torch.tensor([1]), "t must have one entry per example"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("q", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_bad_time_is_refused(q, t, message):
    with pytest.raises(ValueError, match=message):
        q(x, t)


@pytest.mark.parametrize("q", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((3, 3), math.nan), "must be finite; 9"),
        (torch.full((3, 3), math.inf), "must be finite"),
        (torch.zeros(3, 3, dtype=torch.uint8), "must be a floating-point tensor; got torch.uint8"),
        ([[0.0]], "must be a floating-point tensor; got list"),
    ],
)
def test_bad_data_is_refused(q, bad, message):
    with pytest.raises(ValueError, match=rf"x(0|_prev) {message}"):
        q(bad, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: q_step(x, 0, S), "t must lie in 1…10"),
        (lambda: q_posterior(x, x, 0, S), "t must lie in 1…10"),
        (lambda: q_posterior(x, x, 5, S, s=5), "s must be before t"),
        (lambda: q_posterior(x, x, torch.tensor([5, 6, 7]), S, s=6), "s must be before t"),
        (lambda: q_posterior(x, x, 5, S, s=-1), "s must lie in"),
        (lambda: q_posterior(x, x, 5, S, s=1.5), "s must be an integer"),
        (lambda: q_posterior(x, torch.zeros(3, 1), 5, S), r"x_t must have shape \[3, 3\]"),
        (lambda: q_posterior(x, torch.full((3, 3), math.nan), 5, S), "x_t must be finite"),
        (lambda: q_sample(x, 5, S, noise=torch.zeros(3)), r"noise must have shape \[3, 3\]; got \[3\]"),
        (lambda: q_step(x, 5, S, noise=torch.zeros(3, 1)), "noise must have shape"),
        (lambda: q_step(x, 5, S, noise=torch.full((3, 3), math.nan)), "noise must be finite"),
        (lambda: q_chain(torch.zeros(3).long(), S), "x0 must be a floating-point tensor"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
