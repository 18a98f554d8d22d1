"""The ELBO against what it must equal: entropies, densities, and masses that sum to one."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given
from scipy import stats
from test_schedules import PATHS, any_path, cosine, linear
from torch.distributions import Normal, kl_divergence

from diffusion_lab.elbo import (
    NegativeELBO,
    check_levels,
    discretized_log_prob,
    elbo,
    reverse_variance,
    simple_loss,
    simple_weights,
)
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.forward import q_posterior
from diffusion_lab.views import Prediction

MEAN, STD = 0.3, 0.6  # one Gaussian as data
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(4)  # exact for polynomials up to degree 7
NODES, WEIGHTS = torch.from_numpy(NODES), torch.from_numpy(WEIGHTS / WEIGHTS.sum())


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_network(schedule, scale=0.5):
    """A denoiser that is wrong: ε̂ is a scaled x_t."""
    return lambda x_t, t: Prediction.from_eps(scale * x_t, x_t, t, schedule)


def always(x0, schedule):
    """A denoiser that has made up its mind."""
    return lambda x_t, t: Prediction.from_x0(x0, x_t, t, schedule)


def the_best(schedule, MEAN=MEAN, STD=STD):
    """The optimal denoiser for the Gaussian data, and the variance of x_{t−1} given x_t, by regression.

    x_{t−1} is drawn from q(x_{t−1}|x_t, x_0) with x_0 as uncertain as it is once x_t is known, so it has the
    posterior's variance and that of the posterior's mean.
    """
    denoiser = GaussianMixture(torch.tensor([[MEAN]], dtype=torch.float64), [STD]).denoiser(schedule)
    table = torch.zeros(schedule.T + 1, dtype=torch.float64)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for t in range(1, schedule.T + 1):
        marginal = schedule.signal[t] ** 2 * STD**2 + schedule.sigma[t] ** 2
        explained = (schedule.signal[t] * STD**2) ** 2 / marginal  # of x_0's variance, by x_t
        given_x0 = q_posterior(zero, zero, t, schedule).var
        weight_x0 = q_posterior(one, zero, t, schedule).mean
        table[t] = (given_x0 + weight_x0**2 * (STD**2 - explained)).item()
    return denoiser, table


def expected_total(denoiser, schedule, variance, MEAN=MEAN, STD=STD):
    """E[−ELBO] over data and noise, by Gauss–Hermite quadrature: every term is a quadratic in both."""
    x0, noise = (n.reshape(-1, 1) for n in torch.meshgrid(MEAN + STD * NODES, NODES, indexing="ij"))
    weights = (WEIGHTS[:, None] * WEIGHTS).flatten()
    return weights @ elbo(denoiser, x0, schedule, variance, noise=noise).total


# ---- the whole sum -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [2, 3, 10, 60])
@pytest.mark.parametrize("name", PATHS)
def test_on_gaussian_data_the_best_model_pays_the_entropy_and_the_prior_gap(name, T):
    """−ELBO = H(data) + KL(q(x_T) ‖ p(x_T)): the reverse chain is then exact, and loses nothing."""
    schedule = PATHS[name](T)
    signal, sigma = schedule.signal[-1], schedule.sigma[-1]
    end = Normal(signal * MEAN, (signal**2 * STD**2 + sigma**2).sqrt())
    gap = kl_divergence(end, Normal(0 * sigma, (signal**2 + sigma**2).sqrt()))
    entropy = Normal(MEAN, torch.tensor(STD, dtype=torch.float64)).entropy()
    denoiser, variance = the_best(schedule)
    assert_close(expected_total(denoiser, schedule, variance), entropy + gap)


@pytest.mark.parametrize("name", ["linear", "cosine", "ve", "flow"])
def test_any_other_variance_costs_more(name):
    schedule = PATHS[name](10)
    denoiser, best = the_best(schedule)
    least = expected_total(denoiser, schedule, best)
    for worse in ("small", "large", 1.1 * best, 0.9 * best):
        assert expected_total(denoiser, schedule, worse) > least + 1e-4


@pytest.mark.parametrize("name", PATHS)
def test_beta_is_right_for_unit_gaussian_data_only_where_the_variance_is_preserved(name):
    """−ELBO = H(N(0, 1)): the prior is then exact. Elsewhere β_t V_{t−1}/V_t is, V = signal² + sigma²."""
    schedule, unit = PATHS[name](40), {"MEAN": 0.0, "STD": 1.0}
    entropy = Normal(torch.tensor(0.0).double(), 1.0).entropy()
    V = schedule.signal**2 + schedule.sigma**2
    right = reverse_variance(schedule, "large").clone()
    right[1:] *= V[:-1] / V[1:]
    denoiser, best = the_best(schedule, **unit)
    assert_close(right, best)
    assert_close(expected_total(denoiser, schedule, right, **unit), entropy)
    excess = expected_total(denoiser, schedule, "large", **unit) - entropy
    if (V - 1).abs().max() < 1e-9:
        assert_close(excess, torch.tensor(0.0).double())
    else:
        assert excess > 0.01


def test_any_other_mean_costs_more():
    schedule = linear(10)
    denoiser, best = the_best(schedule)

    def shifted(x_t, t):
        return Prediction.from_x0(denoiser(x_t, t).x0 + 0.05, x_t, t, schedule)

    assert expected_total(shifted, schedule, best) > expected_total(denoiser, schedule, best) + 1e-4


def test_the_negative_elbo_bounds_minus_log_prob_and_finer_steps_tighten_it():
    mixture = GaussianMixture(torch.tensor([[-0.8], [0.1], [0.9]]).double(), [0.05, 0.2, 0.1])
    gaps = []
    for T in (5, 20, 80):
        schedule, g = cosine(T), torch.Generator().manual_seed(0)
        x0 = mixture.sample(4000, g)
        total = elbo(mixture.denoiser(schedule), x0, schedule, variance="large", generator=g).total
        gap = total + mixture.log_prob(x0)
        assert gap.mean() > 5 * gap.std() / math.sqrt(len(gap))
        gaps.append(gap.mean().item())
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]


# ---- the terms ---------------------------------------------------------------------------------------------


def test_the_prior_term_of_the_ddpm_schedule_is_that_of_the_paper():
    """L_T = 1.45568e-5 bits/dim where E[x_0²] = 0.5, which the DDPM paper rounds to 1e-5."""
    x0 = torch.full((1, 8), math.sqrt(0.5), dtype=torch.float64)
    bound = elbo(a_network(linear()), x0, linear())
    assert bound.prior.item() / (8 * math.log(2)) == pytest.approx(1.45568e-5, rel=5e-6)


@pytest.mark.parametrize("name", PATHS)
def test_the_prior_term_is_against_the_distribution_where_samplers_start(name):
    schedule, x0 = PATHS[name](10), draw(4, 3)
    signal, sigma = schedule.signal[-1], schedule.sigma[-1]
    q, p = Normal(signal * x0, sigma), Normal(0 * x0, (signal**2 + sigma**2).sqrt())
    assert_close(elbo(always(x0, schedule), x0, schedule).prior, kl_divergence(q, p).sum(1))


@pytest.mark.parametrize("name", PATHS)
def test_knowing_x0_costs_nothing_on_the_way(name):
    schedule, x0 = PATHS[name](10), draw(4, 3)
    bound = elbo(always(x0, schedule), x0, schedule)
    assert_close(bound.diffusion, torch.zeros(4, 11).double(), atol=1e-14)
    assert_close(
        bound.reconstruction, -Normal(x0, schedule.beta[1].sqrt()).log_prob(x0).sum(1)
    )  # L_0 uses β_1


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 1, 2, 2)])
@pytest.mark.parametrize("T", [1, 2, 10])
def test_terms_come_per_example_in_nats_with_nothing_at_t_0_and_1(shape, T):
    schedule = linear(T)
    bound = elbo(a_network(schedule), draw(*shape), schedule)
    B, D = shape[0], math.prod(shape[1:])
    assert bound.diffusion.shape == (B, T + 1)
    assert (bound.diffusion[:, :2] == 0).all() and (bound.diffusion[:, 2:] > 0).all()
    for term in (bound.prior, bound.reconstruction, bound.total, bound.bits_per_dim):
        assert term.shape == (B,)
    assert_close(bound.total, bound.prior + bound.diffusion.sum(1) + bound.reconstruction, rtol=1e-15)
    assert_close(bound.bits_per_dim * D * math.log(2), bound.total)


def test_bits_per_dim_are_bits_and_per_dimension():
    """A byte per pixel is 8 bits/dim, and T is no part of the unit."""
    bound = NegativeELBO(torch.zeros(2), torch.zeros(2, 50), torch.full((2,), 12 * math.log(256)), dims=12)
    assert_close(bound.bits_per_dim, torch.full((2,), 8.0), rtol=1e-6)


def test_an_example_is_worth_the_same_in_any_batch():
    schedule, x0, noise = cosine(6), draw(4, 3), draw(4, 3, seed=1)
    together = elbo(a_network(schedule), x0, schedule, noise=noise)
    for i in range(4):
        alone = elbo(a_network(schedule), x0[i : i + 1], schedule, noise=noise[i : i + 1])
        assert_close(together.total[i : i + 1], alone.total)
        assert_close(together.diffusion[i : i + 1], alone.diffusion)


def test_noise_is_drawn_anew_at_every_t_and_a_seed_repeats_it():
    schedule, x0 = linear(10), draw(4, 3)
    totals = [
        elbo(a_network(schedule), x0, schedule, generator=torch.Generator().manual_seed(seed)).total
        for seed in (0, 0, 1)
    ]
    assert torch.equal(totals[0], totals[1]) and not torch.equal(totals[0], totals[2])
    seen = []

    def spy(x_t, t):
        seen.append((x_t - schedule.signal[t] * x0) / schedule.sigma[t])
        return Prediction.from_x0(x0, x_t, t, schedule)

    elbo(spy, x0, schedule)
    assert len(seen) == 10
    assert all((a - b).abs().min() > 0 for a, b in pairwise(seen))


def test_several_draws_have_the_standard_error_that_the_docstring_gives():
    schedule, x0, k, g = cosine(8), draw(50, 3), 40, torch.Generator().manual_seed(0)
    network = a_network(schedule)
    totals = elbo(network, x0.repeat_interleave(k, 0), schedule, generator=g).total.reshape(-1, k)
    mean, error = totals.mean(1), totals.std(1) / k**0.5
    truth = (
        elbo(network, x0.repeat_interleave(4000, 0), schedule, generator=g).total.reshape(-1, 4000).mean(1)
    )
    z = (mean - truth) / error
    assert z.abs().max() < 5 and z.std().item() == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("decoder", ["gaussian", "discretized"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_data_gets_the_elbo_of_its_values(dtype, decoder):
    """In half precision the difference of two means, which a KL is made of, would be rounding."""
    mixture, schedule = GaussianMixture(torch.tensor([[-0.5], [0.6]]).double(), [0.2, 0.1]), cosine(100)
    x0 = grid(17).repeat(20).reshape(-1, 1)
    x0, noise = x0.to(dtype), draw(len(x0), 1).to(dtype)
    asked = {"decoder": decoder, "levels": 17, "variance": "large"}
    half = elbo(mixture.denoiser(schedule), x0, schedule, noise=noise, **asked)
    full = elbo(mixture.denoiser(schedule), x0.double(), schedule, noise=noise.double(), **asked)
    assert half.total.dtype == torch.float32
    assert_close(half.total.double(), full.total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_are_known_in_every_precision(levels, dtype):
    x = grid(levels)
    found = check_levels(x.to(dtype), levels)
    assert found.dtype == (dtype if dtype in (torch.float32, torch.float64) else torch.float32)
    assert_close(found.double(), x, rtol=0, atol=1e-7)
    between = (x[:1] + x[1:2]) / 2
    with pytest.raises(ValueError, match=f"x0 must lie on {levels} levels"):
        check_levels(between.to(dtype), levels)


def test_the_small_variance_has_no_clamped_zero_at_t_1():
    """β̃_1 = 0: clamping it, as popular code does at 1e-20, would put an error of 1e-5 at 1e9 nats."""
    schedule, x0 = linear(10), draw(2, 3)
    costs = [elbo(always(x0 + error, schedule), x0, schedule).reconstruction for error in (0, 1e-5)]
    assert_close(*costs, rtol=0, atol=1e-5)


# ---- L_simple ----------------------------------------------------------------------------------------------


def simple_terms(schedule, x0, noise):
    network, T = a_network(schedule), schedule.T
    return torch.stack([simple_loss(network, x0, t, schedule, noise) for t in range(1, T + 1)], 1)


@given(any_path.filter(lambda schedule: schedule.snr[-1] > 0))
def test_weighted_with_the_small_variance_l_simple_is_the_elbos_terms(schedule):
    x0, noise = draw(4, 3), draw(4, 3, seed=1)
    bound = elbo(a_network(schedule), x0, schedule, "small", noise=noise)
    weighted = simple_weights(schedule)[1:] * simple_terms(schedule, x0, noise)
    assert_close(weighted[:, 1:], bound.diffusion[:, 2:])
    constant = bound.reconstruction - weighted[:, 0]  # L_0 is a density: it has a constant besides
    assert_close(constant, -Normal(x0, schedule.beta[1].sqrt()).log_prob(x0).sum(1), rtol=1e-9)


@given(any_path.filter(lambda schedule: schedule.snr[-1] > 0))
def test_weighted_with_the_large_variance_l_simple_is_the_elbo_up_to_a_constant(schedule):
    x0, noise = draw(4, 3), draw(4, 3, seed=1)
    bound = elbo(a_network(schedule), x0, schedule, "large", noise=noise)
    rest = (
        bound.diffusion[:, 2:]
        - simple_weights(schedule, "large")[2:] * simple_terms(schedule, x0, noise)[:, 1:]
    )
    for t in range(2, schedule.T + 1):
        narrow = q_posterior(x0, x0, t, schedule).var.sqrt()
        constant = 3 * kl_divergence(Normal(0.0, narrow), Normal(0.0, schedule.beta[t].sqrt()))
        assert_close(rest[:, t - 2], constant.expand(4), rtol=1e-9)


def test_l_simple_is_a_sum_of_squares_with_a_gradient_and_one_time_per_example():
    schedule, x0, noise = cosine(10), draw(3, 3), draw(3, 3, seed=1)
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    network = a_network(schedule, scale)
    t = torch.tensor([1, 10, 4])
    loss = simple_loss(network, x0, t, schedule, noise)
    (gradient,) = torch.autograd.grad(loss.sum(), scale)
    assert gradient.abs() > 0
    for i in range(3):
        alone = simple_loss(network, x0[i : i + 1], t[i].item(), schedule, noise[i : i + 1])
        assert_close(loss[i : i + 1], alone)
    assert_close(simple_loss(a_network(schedule, 0), x0, t, schedule, noise), (noise**2).sum(1))


def test_the_weights_are_zero_at_t_0_and_without_bound_where_eps_says_nothing():
    for name in PATHS:
        weights = simple_weights(PATHS[name](10))
        assert weights.shape == (11,) and weights[0] == 0 and (weights[1:] > 0).all()
        assert weights.isinf().any() == (PATHS[name](10).snr[-1] == 0)


# ---- the discretised decoder -------------------------------------------------------------------------------


def grid(levels):
    return torch.linspace(-1, 1, levels, dtype=torch.float64)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("std", [1e-3, 0.01, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("mean", [-1.7, -1.0, 0.02, 0.6, 3.0])
def test_the_masses_of_all_levels_sum_to_one(levels, std, mean):
    x = grid(levels)
    log_mass = discretized_log_prob(x, torch.full_like(x, mean), std, levels)
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("levels", [17, 256])
@pytest.mark.parametrize("std", [0.05, 0.3])
def test_the_mass_of_a_level_is_the_normal_distributions_over_its_bin(levels, std):
    x, mean = grid(levels), 0.2
    edges = torch.cat([x[:1] - math.inf, (x[1:] + x[:-1]) / 2, x[-1:] + math.inf])
    expected = torch.from_numpy(np.diff(stats.norm.cdf(edges.numpy(), mean, std)))
    assert_close(discretized_log_prob(x, torch.full_like(x, mean), std, levels).exp(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_tails_have_finite_and_right_log_masses(dtype):
    """200 std away the mass is e^-19 000; the difference of two cdfs is 0, and its log −∞."""
    x = grid(17).to(dtype)
    for mean in (-1.0, 1.0):
        log_mass = discretized_log_prob(x, torch.full_like(x, mean), 0.01, 17)
        assert log_mass.isfinite().all()
        far = discretized_log_prob(-torch.tensor([mean]).to(dtype), torch.tensor([mean]).to(dtype), 0.01, 17)
        edge = 1 - 1 / 16 + 1  # the near edge of the far bin, as a distance
        assert far.item() == pytest.approx(stats.norm.logsf(edge / 0.01), rel=1e-5)


@pytest.mark.parametrize(("levels", "std"), [(17, 0.2), (256, 0.05)])
def test_with_fine_bins_the_mass_is_the_density_times_the_width(levels, std):
    """The discretised L_0 is the Gaussian one less log(bin width), up to the curvature within a bin."""
    x0 = grid(levels)[levels // 2 - 1 : levels // 2 + 1].reshape(2, 1)
    schedule = linear(4, 0.5, 0.6) if levels == 17 else linear(4, 0.1, 0.2)
    decoders = ("gaussian", "discretized")
    gaussian, discretized = (
        elbo(a_network(schedule), x0, schedule, decoder=d, levels=levels, noise=0 * x0) for d in decoders
    )
    assert torch.equal(gaussian.diffusion, discretized.diffusion)
    width = 2 / (levels - 1)
    difference = discretized.reconstruction - gaussian.reconstruction
    assert_close(difference, torch.full((2,), -math.log(width)).double(), rtol=0, atol=width**2 / 0.1)


def test_masses_are_summed_over_the_data_and_do_not_mix_examples():
    x0 = grid(17)[torch.arange(24) % 17].reshape(2, 3, 2, 2)
    mean = 0.3 * draw(2, 3, 2, 2)
    whole = discretized_log_prob(x0, mean, 0.2, 17)
    single = discretized_log_prob(x0.flatten(), mean.flatten(), 0.2, 17)
    assert_close(whole, single.reshape(2, -1).sum(1))


# ---- bad input ---------------------------------------------------------------------------------------------

S, X = linear(5), torch.zeros(3, 2)
N = a_network(S)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: elbo(N, X.long(), S), "x0 must be a floating-point"),
        (lambda: elbo(N, X * math.nan, S), "x0 must be finite"),
        (lambda: elbo(N, X, S, variance="learned"), "variance must be .* got 'learned'"),
        (lambda: elbo(N, X, S, variance=0.1), "variance must be"),
        (lambda: elbo(N, X, S, variance=torch.ones(5)), r"variance must have shape \[6\]"),
        (lambda: elbo(N, X, S, variance=torch.zeros(6)), "variance must be above 0"),
        (lambda: elbo(N, X, S, variance=torch.full((6,), math.nan)), "variance must be finite"),
        (lambda: elbo(N, X, S, decoder="bits"), "decoder must be .* got 'bits'"),
        (lambda: elbo(N, X, S, decoder="discretized", levels=1), "levels must be an integer of at least 2"),
        (lambda: elbo(N, X, S, decoder="discretized", levels=16.5), "levels must be an integer"),
        (lambda: elbo(N, X, S, decoder="discretized"), "x0 must lie on 256 levels"),
        (lambda: elbo(N, X + 0.1, S, decoder="discretized", levels=17), "x0 must lie on 17 levels"),
        (lambda: elbo(N, X + 2, S, decoder="discretized", levels=17), "x0 must lie on 17 levels"),
        (
            lambda: check_levels(X.bfloat16(), 1000),
            "x0 must be in float32: torch.bfloat16 does not tell 1000",
        ),
        (lambda: elbo(lambda x, t: x, X, S), "denoiser must return a Prediction; it returned a Tensor"),
        (lambda: simple_loss(lambda x, t: x, X, 2, S), "denoiser must return a Prediction"),
        (lambda: elbo(N, X, S, generator=0), "generator must be None or a torch.Generator"),
        (lambda: elbo(N, X, S, noise=torch.zeros(3)), "noise must have shape"),
        (lambda: simple_loss(N, X, 0, S), "t must lie in 1…5"),
        (lambda: simple_loss(N, X, 2.5, S), "t must be an integer"),
        (lambda: simple_loss(N, X, torch.tensor([1, 2]), S), "t must have one entry"),
        (lambda: simple_loss(N, X, 2, S, noise=torch.zeros(2)), "noise must have shape"),
        (lambda: simple_loss(N, X * math.nan, 2, S), "x0 must be finite"),
        (lambda: simple_weights(S, "medium"), "variance must be"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_denoiser_for_another_schedule_is_refused():
    """Its x̂_0 would be that of another noise level."""
    schedule, other = linear(20, 5e-3, 0.5), cosine(20)
    denoiser = GaussianMixture(torch.zeros(1, 2), stds=[0.5]).denoiser(other)
    with pytest.raises(ValueError, match="schedule must be the one that the denoiser was made for"):
        elbo(denoiser, torch.zeros(3, 2), schedule)
    with pytest.raises(ValueError, match="schedule must be the one that the denoiser was made for"):
        simple_loss(denoiser, torch.zeros(3, 2), 5, schedule)
