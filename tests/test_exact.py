"""The oracles themselves, against torch.distributions, autograd, quadrature and a float64 reference."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from test_schedules import PATHS, ZERO_SNR, any_path, cosine, flow, linear, ve
from torch import distributions as td

from diffusion_lab.exact import Empirical, GaussianMixture
from diffusion_lab.forward import q_sample
from diffusion_lab.schedules import NoiseSchedule, signal_sigma
from diffusion_lab.views import Prediction


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEANS, WEIGHTS = draw(3, 2), torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
ROOTS = draw(3, 2, 2, seed=1)
COVARIANCES = ROOTS @ ROOTS.mT + 0.05 * torch.eye(2)
STDS = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
MIXTURES = {
    "stds": GaussianMixture(MEANS, STDS, weights=WEIGHTS),
    "covariances": GaussianMixture(MEANS, covariances=COVARIANCES, weights=WEIGHTS),
    "images": GaussianMixture(draw(3, 1, 2, 2), STDS),
    "one dimension": GaussianMixture(draw(3, 1), STDS, weights=WEIGHTS),
    "one component": GaussianMixture(MEANS[:1], STDS[1:2]),
    "blurred data": Empirical(MEANS, std=0.3),
}
every_mixture = pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)


def points(mixture, n=20):
    """Places to ask about, near the data and away from it."""
    x = mixture.sample(n, torch.Generator().manual_seed(3))
    return x + 0.5 * draw(*x.shape, seed=4)


def in_torch(means, covariances, weights) -> td.Distribution:
    return td.MixtureSameFamily(td.Categorical(weights), td.MultivariateNormal(means, covariances))


# ---- the density -------------------------------------------------------------------------------------------


def test_log_prob_is_that_of_torch_distributions():
    x = draw(20, 2)
    full, round_ = in_torch(MEANS, COVARIANCES, WEIGHTS), torch.diag_embed((STDS**2)[:, None].expand(3, 2))
    assert_close(MIXTURES["covariances"].log_prob(x), full.log_prob(x))
    assert_close(MIXTURES["stds"].log_prob(x), in_torch(MEANS, round_, WEIGHTS).log_prob(x))


@pytest.mark.parametrize("name", ["stds", "covariances", "images", "one dimension"])
def test_the_posterior_of_the_components_is_that_of_bayes(name):
    mixture, x = MIXTURES[name], points(MIXTURES[name])
    likelihoods = torch.stack([mixture.given(k).log_prob(x).exp() for k in range(3)], 1)
    joint = mixture.weights * likelihoods
    assert_close(mixture.log_posterior(x).exp(), joint / joint.sum(1, keepdim=True))
    assert_close(joint.sum(1), mixture.log_prob(x).exp())


@pytest.mark.parametrize("t", [0, 1, 6, 10])
@pytest.mark.parametrize("name", ["linear", "ve", "flow", "zero-snr cosine"])
def test_the_noised_mixture_has_shrunken_means_and_covariances_with_noise_added(name, t):
    schedule, x = PATHS[name](10), draw(20, 2)
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    expected = in_torch(signal * MEANS, signal**2 * COVARIANCES + sigma**2 * torch.eye(2).double(), WEIGHTS)
    assert_close(MIXTURES["covariances"].noised(t, schedule).log_prob(x), expected.log_prob(x))


@pytest.mark.parametrize("name", ["one dimension", "blurred"])
def test_the_density_integrates_to_one(name):
    mixture = MIXTURES["one dimension"] if name == "one dimension" else Empirical(MEANS[:, :1], std=0.3)
    x = torch.linspace(-12, 12, 40_001, dtype=torch.float64)
    assert np.trapezoid(mixture.log_prob(x[:, None]).exp(), x) == pytest.approx(1, abs=1e-10)


@every_mixture
def test_the_score_is_the_gradient_of_log_prob(mixture):
    x = points(mixture).requires_grad_()
    (gradient,) = torch.autograd.grad(mixture.log_prob(x).sum(), x)
    assert_close(mixture.score(x).detach(), gradient)


@pytest.mark.parametrize("t", [1, 5, 10])
@pytest.mark.parametrize("maker", [linear, cosine, ve, flow])
@every_mixture
def test_the_score_of_the_noised_data_is_the_gradient_of_its_log_prob(mixture, maker, t):
    noised = mixture.noised(t, maker(10))
    x = points(noised).requires_grad_()
    (gradient,) = torch.autograd.grad(noised.log_prob(x).sum(), x)
    assert_close(noised.score(x).detach(), gradient)


def test_equal_covariances_along_every_axis_are_the_same_as_stds():
    full = GaussianMixture(MEANS, covariances=torch.diag_embed((STDS**2)[:, None].expand(3, 2)))
    short, x, schedule = GaussianMixture(MEANS, STDS), draw(20, 2), linear(10)
    assert_close(full.log_prob(x), short.log_prob(x))
    assert_close(full.score(x), short.score(x))
    assert_close(full.denoiser(schedule)(x, 4).x0, short.denoiser(schedule)(x, 4).x0)


def test_weights_are_normalised():
    x = draw(20, 2)
    assert_close(GaussianMixture(MEANS, STDS, weights=10 * WEIGHTS).log_prob(x), MIXTURES["stds"].log_prob(x))


# ---- the denoiser ------------------------------------------------------------------------------------------


@given(any_path, st.sampled_from(sorted(MIXTURES)), st.data())
def test_the_optimal_eps_is_minus_sigma_times_the_score(schedule, name, data):
    mixture = MIXTURES[name]
    t = data.draw(st.integers(1, schedule.T))
    noised = mixture.noised(t, schedule)
    x_t = points(noised)
    prediction = mixture.denoiser(schedule)(x_t, t)
    score, sigma = noised.score(x_t), schedule.sigma[t]
    lost = (schedule.signal[t] / sigma).item()  # digits that x_t − signal x̂_0 loses at low noise
    assert_close(prediction.eps, -sigma * score, atol=1e-10 + 1e-13 * lost)
    assert_close(prediction.score, score, atol=1e-10 + 1e-13 * lost / sigma.item())


@pytest.mark.parametrize("maker", [linear, ve, flow])
@every_mixture
def test_the_denoiser_is_tweedies_formula(mixture, maker):
    schedule = maker(10)
    noised = mixture.noised(6, schedule)
    x_t = points(noised)
    tweedie = Prediction.from_score(noised.score(x_t), x_t, 6, schedule)
    assert_close(mixture.denoiser(schedule)(x_t, 6).x0, tweedie.x0, atol=1e-9)


@pytest.mark.parametrize("t", [1, 5, 10])
@pytest.mark.parametrize("name", ["linear", "ve", "flow"])
def test_the_denoiser_is_the_posterior_mean_by_quadrature(name, t):
    """E[x_0|x_t] from Bayes and two integrals, with no formula for Gaussians but their densities."""
    schedule, means, stds, weights = PATHS[name](10), [-0.9, 0.2, 1.0], [0.2, 0.1, 0.3], [0.3, 0.5, 0.2]
    mixture = GaussianMixture(torch.tensor(means, dtype=torch.float64)[:, None], stds, weights=weights)
    signal, sigma = schedule.signal[t].item(), schedule.sigma[t].item()
    for x_t in (-0.5, 0.05, 0.8):

        def joint(x0, x_t=x_t):
            prior = sum(w * stats.norm.pdf(x0, m, s) for m, s, w in zip(means, stds, weights, strict=True))
            return prior * np.exp(-((x_t - signal * x0) ** 2) / (2 * sigma**2))

        options = {"points": sorted([*means, min(max(x_t / max(signal, 0.1), -2.9), 2.9)]), "limit": 400}
        options |= {"epsabs": 0, "epsrel": 1e-12}
        mass, _ = integrate.quad(joint, -3, 3, **options)
        first, _ = integrate.quad(lambda x0: x0 * joint(x0), -3, 3, **options)
        guess = mixture.denoiser(schedule)(torch.full((1, 1), x_t, dtype=torch.float64), t).x0.item()
        assert guess == pytest.approx(first / mass, abs=1e-8)


@pytest.mark.parametrize("t", [0.25, 3.7, 9.5])
@pytest.mark.parametrize("maker", [linear, ve, flow])
@every_mixture
def test_between_two_steps_the_noised_data_is_that_of_the_denoiser(mixture, maker, t):
    schedule = maker(10)
    noised = mixture.noised(t, schedule)
    x_t = points(noised)
    tweedie = Prediction.from_score(noised.score(x_t), x_t, t, schedule)
    assert_close(mixture.denoiser(schedule)(x_t, t).x0, tweedie.x0, atol=1e-9)


# ---- how sure the denoiser is ------------------------------------------------------------------------------

only_mixtures = pytest.mark.parametrize("name", [name for name in MIXTURES if name != "blurred data"])


@pytest.mark.parametrize("t", [1, 6, 9.5])
@pytest.mark.parametrize("maker", [linear, cosine, ve, flow])
@only_mixtures
def test_the_posterior_covariance_is_the_denoisers_derivative(name, maker, t):
    """Cov[x_0|x_t] = sigma²/signal · ∂x̂_0/∂x_t, which is Tweedie's formula of the second order."""
    mixture, schedule = MIXTURES[name], maker(10)
    x_t, denoise = points(mixture.noised(t, schedule), 5), mixture.denoiser(schedule)
    signal, sigma = signal_sigma(schedule, t, x_t)
    found = mixture.posterior_covariance(x_t, t, schedule)
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda x: denoise(x, t).x0, x_t[i : i + 1])
        D = x_t[0].numel()
        assert_close(found[i], sigma**2 / signal * jacobian.reshape(D, D))
    many = mixture.posterior_covariance(x_t, torch.full((5,), float(t)), schedule)
    assert_close(many, found)


@pytest.mark.parametrize("name", ["stds", "covariances"])
def test_the_posterior_covariance_is_that_of_weighted_draws(name):
    mixture, schedule, n = MIXTURES[name], linear(10, 0.05, 0.3), 400_000
    x0 = mixture.sample(n, torch.Generator().manual_seed(0))
    x_t = points(mixture.noised(4, schedule), 3)
    found = mixture.posterior_covariance(x_t, 4, schedule)
    for x, covariance in zip(x_t, found, strict=True):
        squares = ((x - schedule.signal[4] * x0) ** 2).sum(1)
        weights = (-squares / (2 * schedule.sigma[4] ** 2)).softmax(0)
        effective = 1 / (weights**2).sum().item()
        assert effective > 2000
        scale = covariance.diagonal().max().item()
        assert_close(x0.mT.cov(aweights=weights), covariance, rtol=0, atol=8 * scale / math.sqrt(effective))


@only_mixtures
def test_the_posterior_covariance_goes_from_none_to_that_of_the_data(name):
    mixture, schedule = MIXTURES[name], PATHS[ZERO_SNR[0]](10)
    x, D = points(mixture, 4), mixture.means[0].numel()
    assert_close(mixture.posterior_covariance(x, 0, schedule), torch.zeros(4, D, D).double())
    at_end = mixture.posterior_covariance(x, 10, schedule)
    assert_close(at_end, at_end[:1].expand(4, D, D))
    draws = mixture.sample(100_000, torch.Generator().manual_seed(0)).flatten(1)
    scale = at_end[0].diagonal().max().item()
    assert_close(draws.mT.cov().reshape(D, D), at_end[0], rtol=0, atol=12 * scale / math.sqrt(100_000))


@pytest.mark.parametrize("oracle", ["mixture", "data"])
def test_two_points_denoise_to_a_tanh(oracle):
    """Data ±1, x = σ y: D(x, σ) = tanh(x/σ²)."""
    ends = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    data = Empirical(ends) if oracle == "data" else GaussianMixture(ends, [1e-7, 1e-7])
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None]
    for sigma in (0.3, 1.0, 2.0):
        schedule = NoiseSchedule([1, 1], [0, sigma])
        assert_close(data.denoiser(schedule)(x, 1).x0, torch.tanh(x / sigma**2))


@pytest.mark.parametrize("data", [MIXTURES["covariances"], Empirical(MEANS)], ids=["mixture", "data"])
@pytest.mark.parametrize("name", ZERO_SNR)
def test_where_no_signal_is_left_the_best_guess_is_the_mean(data, name):
    weights = WEIGHTS if isinstance(data, GaussianMixture) else torch.full((3,), 1 / 3, dtype=torch.float64)
    guess = data.denoiser(PATHS[name](10))(draw(4, 2), 10).x0
    assert_close(guess, (weights @ MEANS).expand(4, 2))


@every_mixture
def test_without_noise_the_best_guess_is_what_is_seen(mixture):
    x = points(mixture)
    assert_close(mixture.denoiser(linear(10))(x, 0).x0, x)


@pytest.mark.parametrize("data", [*MIXTURES.values(), Empirical(MEANS)], ids=[*MIXTURES, "data"])
def test_a_batch_of_times_is_one_time_per_example(data):
    schedule, t = cosine(10), torch.tensor([1, 10, 4])
    x = points(data, 3)  # as many examples as components, and as axes or so
    denoise = data.denoiser(schedule)
    assert_close(denoise(x, t).x0, torch.cat([denoise(x[i : i + 1], t[i].item()).x0 for i in range(3)]))
    real = t.double() - 0.5
    assert_close(denoise(x, real).x0, torch.cat([denoise(x[i : i + 1], real[i].item()).x0 for i in range(3)]))


@pytest.mark.parametrize("data", [MIXTURES["images"], Empirical(draw(5, 1, 2, 2))], ids=["mixture", "data"])
def test_image_shaped_data_is_its_flattened_self(data):
    flat = (
        Empirical(data.data.flatten(1))
        if isinstance(data, Empirical)
        else GaussianMixture(data.means.flatten(1), STDS)
    )
    schedule, x = linear(10), draw(6, 1, 2, 2, seed=5)
    for image, other in [
        (data.denoiser(schedule)(x, 5).x0, flat.denoiser(schedule)(x.flatten(1), 5).x0),
        (data.noised(5, schedule).score(x), flat.noised(5, schedule).score(x.flatten(1))),
        (data.sample(4, torch.Generator().manual_seed(0)), flat.sample(4, torch.Generator().manual_seed(0))),
    ]:
        assert image.shape[1:] == (1, 2, 2)
        assert_close(image.flatten(1), other)


@pytest.mark.parametrize("data", [MIXTURES["covariances"], Empirical(MEANS)], ids=["mixture", "data"])
def test_everything_comes_in_the_dtype_of_what_is_asked_about(data):
    x, schedule = draw(4, 2).float(), linear(10)
    noised = data.noised(5, schedule)
    for answer in (data.denoiser(schedule)(x, 5).x0, noised.log_prob(x), noised.score(x)):
        assert answer.dtype == torch.float32


# ---- samples and fits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stds", "covariances", "blurred data"])
def test_samples_have_the_moments_of_the_distribution(name):
    mixture, n = MIXTURES[name], 100_000
    weights = torch.full((3,), 1 / 3, dtype=torch.float64) if name == "blurred data" else WEIGHTS
    covariances = {
        "stds": torch.diag_embed((STDS**2)[:, None].expand(3, 2)),
        "covariances": COVARIANCES,
        "blurred data": 0.3**2 * torch.eye(2).double().expand(3, 2, 2),
    }[name]
    mean = weights @ MEANS
    spread = torch.einsum("k,ki,kj->ij", weights, MEANS - mean, MEANS - mean)
    covariance = torch.einsum("k,kij->ij", weights, covariances) + spread
    x = mixture.sample(n, torch.Generator().manual_seed(0))
    assert_close(x.mean(0), mean, rtol=0, atol=5 * covariance.diagonal().max().sqrt().item() / math.sqrt(n))
    assert_close(x.mT.cov(), covariance, rtol=0, atol=12 * covariance.diagonal().max().item() / math.sqrt(n))


def test_samples_follow_the_distribution_function():
    x = GaussianMixture([[-1.0], [2.0]], [0.3, 0.6], weights=[1.0, 3.0]).sample(
        20_000, torch.Generator().manual_seed(0)
    )

    def cdf(v):
        return 0.25 * stats.norm.cdf(v, -1, 0.3) + 0.75 * stats.norm.cdf(v, 2, 0.6)

    assert stats.kstest(x[:, 0].double().numpy(), cdf).pvalue > 1e-3


def test_a_finite_data_set_draws_its_own_examples_all_equally_often():
    draws = Empirical(MEANS).sample(30_000, torch.Generator().manual_seed(0))
    found, counts = draws.unique(dim=0, return_counts=True)
    assert_close(found, MEANS.unique(dim=0), atol=0)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("data", [MIXTURES["covariances"], Empirical(MEANS, 0.1)], ids=["mixture", "data"])
def test_a_seed_gives_the_same_samples_and_another_seed_others(data):
    draws = [data.sample(5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_noising_samples_samples_the_noised_mixture():
    mixture, schedule, g = MIXTURES["one dimension"], linear(1000), torch.Generator().manual_seed(0)
    one = q_sample(mixture.sample(10_000, g), 300, schedule, generator=g)
    other = mixture.noised(300, schedule).sample(10_000, g)
    assert stats.ks_2samp(one[:, 0], other[:, 0]).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2)])
def test_fit_finds_the_mean_and_the_covariance_of_each_class(shape):
    x, label = draw(90, *shape), torch.arange(90) % 3
    x = torch.where((label > 0).reshape(-1, *[1] * len(shape)), x, 0.5 * x + 1)
    fitted, ridge = GaussianMixture.fit(x[10:], label[10:], ridge=1e-3), 1e-3
    at = draw(5, *shape, seed=7)
    log_joint = []
    for k in range(3):
        group = x[10:][label[10:] == k].flatten(1).numpy()
        covariance = np.cov(group.T, bias=True) + ridge * np.eye(group.shape[1])
        normal = stats.multivariate_normal(group.mean(0), covariance)
        expected = torch.from_numpy(normal.logpdf(at.flatten(1).numpy()))
        assert_close(fitted.given(k).log_prob(at), expected, atol=1e-9)
        log_joint.append(expected + math.log(len(group) / 80))
    assert_close(fitted.log_prob(at), torch.stack(log_joint).logsumexp(0), atol=1e-9)


def test_labels_come_in_any_sequence():
    x, label = draw(9, 2), torch.arange(9) % 3
    at, expected = draw(4, 2, seed=1), GaussianMixture.fit(x, label).log_prob(draw(4, 2, seed=1))
    for same in (label.tolist(), label.numpy(), label.numpy().astype(np.uint8), label.int()):
        assert torch.equal(GaussianMixture.fit(x, same).log_prob(at), expected)


def test_fit_without_labels_fits_one_gaussian_to_all():
    x = draw(50, 2)
    assert_close(GaussianMixture.fit(x).means, x.mean(0, keepdim=True))
    constant = GaussianMixture.fit(torch.ones(5, 2))  # pixels that never change have only the ridge
    assert_close(constant.sample(2000, torch.Generator().manual_seed(0)).std().item(), 0.01, rtol=0.1)


@pytest.mark.parametrize("name", ["stds", "covariances", "images"])
def test_given_a_label_one_component_is_left(name):
    mixture, x = MIXTURES[name], points(MIXTURES[name])
    alone = torch.stack([mixture.given(k).log_prob(x) for k in range(3)])
    assert_close(mixture.log_prob(x), (alone + mixture.weights.log()[:, None]).logsumexp(0))
    assert_close(mixture.given(1).given(0).log_prob(x), alone[1])


# ---- a finite data set -------------------------------------------------------------------------------------


@given(any_path, st.data())
def test_a_finite_data_set_is_a_mixture_of_vanishing_std(schedule, data):
    t = data.draw(st.integers(1, schedule.T))
    y = draw(6, 2)
    ideal, mixture = Empirical(y), GaussianMixture(y, torch.full((6,), 1e-9))
    x_t = points(ideal.noised(t, schedule))
    assert_close(
        ideal.noised(t, schedule).log_prob(x_t), mixture.noised(t, schedule).log_prob(x_t), atol=1e-9
    )
    assert_close(ideal.denoiser(schedule)(x_t, t).x0, mixture.denoiser(schedule)(x_t, t).x0)


@given(any_path, st.floats(0.01, 2), st.data())
def test_a_blurred_data_set_is_a_mixture_of_that_std(schedule, std, data):
    t = data.draw(st.integers(0, schedule.T))
    y = draw(6, 2)
    blurred, mixture = Empirical(y, std), GaussianMixture(y, torch.full((6,), std, dtype=torch.float64))
    x_t = points(blurred.noised(t, schedule))
    assert_close(
        blurred.noised(t, schedule).log_prob(x_t), mixture.noised(t, schedule).log_prob(x_t), atol=1e-9
    )
    assert_close(blurred.denoiser(schedule)(x_t, t).x0, mixture.denoiser(schedule)(x_t, t).x0)


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_the_answer_does_not_depend_on_the_size_of_the_pieces(monkeypatch, piece):
    data, schedule, x, t = Empirical(draw(30, 3)), linear(10), draw(11, 3, seed=1), torch.arange(11) % 10 + 1
    whole = data.denoiser(schedule)(x, t).x0, data.noised(4, schedule).log_prob(x)
    monkeypatch.setattr(Empirical, "PIECE", piece)
    assert_close(data.denoiser(schedule)(x, t).x0, whole[0], rtol=1e-14, atol=1e-14)
    assert_close(data.noised(4, schedule).log_prob(x), whole[1], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("D", [2, 64])
@pytest.mark.parametrize("std", [1e-9, 1e-7, 1e-5, 1e-4, 1e-2, 1.0])
def test_log_prob_is_right_however_narrow_the_blur(std, D):
    """In float64 ‖x‖² − 2x·y + ‖y‖² would be off by two nats at a std of 1e-7 in 64 dimensions."""
    y = draw(40, D)
    x = y[:10] + std * draw(10, D, seed=1)
    squares = ((x[:, None].numpy().astype(np.longdouble) - y.numpy()) ** 2).sum(2)
    expected = torch.from_numpy((-squares / (2 * std**2)).astype(float)).logsumexp(1) - math.log(40)
    expected = expected - D / 2 * math.log(2 * math.pi * std**2)
    assert_close(Empirical(y, std).log_prob(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("t", [1, 30, 300, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ideal_denoiser_is_the_softmax_of_squared_differences(t, dtype):
    """Enough examples for several pieces, against the definition in float64."""
    y, schedule = draw(4000, 100).to(dtype), cosine()
    x_t = q_sample(y[:8], t, schedule, noise=draw(8, 100, seed=1).to(dtype))
    signal, sigma = (table[t].to(dtype).double() for table in (schedule.signal, schedule.sigma))
    squares = ((x_t[:, None].double() - signal * y.double()) ** 2).sum(2)
    expected = (-squares / (2 * sigma**2)).softmax(1) @ y.double()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    for at in (t, torch.full((8,), t)):
        guess = Empirical(y).denoiser(schedule)(x_t, at).x0
        assert_close(guess.double(), expected, rtol=0, atol=tolerance)


def test_the_posterior_of_the_examples_is_that_of_a_mixture_of_them():
    mixture, x = GaussianMixture(MEANS, torch.full((3,), 0.3, dtype=torch.float64)), draw(20, 2)
    assert_close(Empirical(MEANS, 0.3).log_posterior(x), mixture.log_posterior(x))


@pytest.mark.parametrize("data", [MIXTURES["covariances"], Empirical(MEANS)], ids=["mixture", "data"])
def test_no_example_is_no_trouble(data):
    schedule, x = linear(10), torch.zeros(0, 2).double()
    noised = data.noised(5, schedule)
    for t in (5, 2.5, torch.zeros(0).long()):
        assert data.denoiser(schedule)(x, t).x0.shape == (0, 2)
    assert noised.log_prob(x).shape == (0,) and noised.score(x).shape == (0, 2)
    assert noised.log_posterior(x).shape == (0, 3)


@pytest.mark.parametrize("data", [MIXTURES["covariances"], Empirical(MEANS)], ids=["mixture", "data"])
def test_denoisers_say_what_they_are_for_and_look_once_at_the_numbers(data, monkeypatch):
    """To look at a value, the CPU waits for a GPU."""
    schedule, seen, isfinite = linear(10), [], math.isfinite
    denoise = data.denoiser(schedule)
    assert denoise.schedule is schedule and denoise.shape == (2,)
    monkeypatch.setattr(torch.Tensor, "isfinite", lambda x: pytest.fail("a second look"))
    monkeypatch.setattr(math, "isfinite", lambda x: seen.append(x) or isfinite(x))
    prediction = denoise(draw(4, 2), 5)
    assert seen == [prediction.x0.sum().item()]


def test_half_precision_data_is_weighed_in_full():
    y, x = draw(6, 2), draw(5, 2, seed=1)
    for t in (1, torch.arange(5) + 1):
        guess = Empirical(y).denoiser(cosine())(x.half(), t).x0
        exact = Empirical(y).denoiser(cosine())(x.half().double(), t).x0
        assert guess.dtype == torch.float16
        assert_close(guess.double(), exact, rtol=0, atol=2e-3)


def test_the_ideal_denoiser_is_right_in_float32_where_expanded_distances_are_wrong():
    """σ = 0.01 in 784 dimensions: how sure the denoiser is of each of two neighbours, in nats of log odds."""
    g = torch.Generator().manual_seed(0)
    one = torch.rand(100, 784, generator=g) * 2 - 1
    direction = torch.randn(100, 784, generator=g)
    two = one + 0.02 * direction / direction.norm(dim=1, keepdim=True)  # two σ apart
    x = (one + two) / 2 + 0.01 * torch.randn(100, 784, generator=g)
    schedule = NoiseSchedule([1, 1], [0, 0.01])

    errors = {"ours": [], "expanded": []}
    for pair, at in zip(torch.stack([one, two], 1), x[:, None], strict=True):
        y = pair.double()
        exact = ((at.double() - y) ** 2).sum(1) @ torch.tensor([-1.0, 1.0]).double() / (2 * 0.01**2)
        guess = Empirical(pair).denoiser(schedule)(at, 1).x0.double()
        share = ((guess - y[1]) @ (y[0] - y[1]) / ((y[0] - y[1]) ** 2).sum()).item()  # p(one|x), read off x̂_0
        squares = (at**2).sum() - 2 * pair @ at[0] + (pair**2).sum(1)
        errors["ours"].append(abs(math.log(share / (1 - share)) - exact.item()))
        errors["expanded"].append(abs(((squares[1] - squares[0]).item() / (2 * 0.01**2)) - exact.item()))
    assert max(errors["ours"]) < 0.01
    assert max(errors["expanded"]) > 0.1


def test_the_ideal_denoiser_of_60000_images_fits_in_one_gigabyte():
    pytest.importorskip("resource", reason="Windows has no getrusage")
    script = """
import resource, sys, torch
from pathlib import Path
from diffusion_lab.exact import Empirical
from diffusion_lab.schedules import linear
data = Empirical(torch.empty(60_000, 784).uniform_(-1, 1, generator=torch.Generator().manual_seed(0)))
x = data.data[:64] + 0.01 * torch.randn(64, 784)
assert torch.allclose(data.denoiser(linear())(x, 1).x0, data.data[:64], atol=1e-5)
status = Path("/proc/self/status")  # Linux: there getrusage also counts the process that started this one
if status.exists():
    print(next(int(line.split()[1]) * 1024 for line in status.open() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert int(run.stdout) < 1e9


# ---- bad input ---------------------------------------------------------------------------------------------

S = linear(10)
M, E = MIXTURES["stds"], Empirical(MEANS)


def test_a_finite_data_set_has_no_density_without_noise():
    x = draw(3, 2)
    for ask in (
        lambda: E.log_prob(x),
        lambda: E.score(x),
        lambda: E.log_posterior(x),
        lambda: E.noised(0, S).log_prob(x),
        lambda: E.denoiser(S)(x, 0),
        lambda: E.denoiser(S)(x, torch.tensor([1, 0, 2])),
    ):
        with pytest.raises(ValueError, match=r"no density at t = 0: use t ≥ 1"):
            ask()


@pytest.mark.parametrize("data", [M, E], ids=["mixture", "data"])
@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (torch.zeros(3, 3), 5, r"x(_t)? must be a batch of"),
        (torch.zeros(2), 5, r"x(_t)? must be a batch of"),
        (torch.tensor(0.0), 5, r"x(_t)? must be a batch of"),
        (torch.full((3, 2), math.nan), 5, "x(_t)? must be finite"),
        (torch.zeros(3, 2).long(), 5, "x(_t)? must be a floating-point tensor"),
        (torch.zeros(3, 2), 11, "t must lie in 0…10"),
        (torch.zeros(3, 2), -1, "t must lie in 0…10"),
        (torch.zeros(3, 2), True, "t must be a number"),
        (torch.zeros(3, 2), torch.ones(3, 1).long(), "t must be a number"),
        (torch.zeros(3, 2), torch.tensor([1, 2]), "t must have one entry"),
    ],
)
def test_denoisers_refuse_bad_input(data, x, t, message):
    with pytest.raises(ValueError, match=message):
        data.denoiser(S)(x, t)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianMixture(MEANS), "either stds or covariances"),
        (lambda: GaussianMixture(MEANS, STDS, COVARIANCES), "either stds or covariances"),
        (lambda: GaussianMixture(MEANS[0], STDS[:2]), r"means must have shape \[K, \*D\]"),
        (lambda: GaussianMixture(MEANS.long(), STDS), "means must be a floating-point"),
        (lambda: GaussianMixture(MEANS * math.nan, STDS), "means must be finite"),
        (lambda: GaussianMixture(MEANS, STDS[:2]), r"stds must have shape \[3\]"),
        (lambda: GaussianMixture(MEANS, [1, 0, 1]), "stds must be above 0"),
        (lambda: GaussianMixture(MEANS, [1, -1, 1]), "stds must be above 0"),
        (
            lambda: GaussianMixture(MEANS, covariances=COVARIANCES[:2]),
            r"covariances must have shape \[3, 2, 2\]",
        ),
        (lambda: GaussianMixture(MEANS, covariances=ROOTS), "covariances must be symmetric"),
        (lambda: GaussianMixture(MEANS, covariances=-COVARIANCES), "covariances must be positive definite"),
        (lambda: GaussianMixture(MEANS, STDS, weights=[1.0, 1.0]), r"weights must have shape \[3\]"),
        (lambda: GaussianMixture(MEANS, STDS, weights=[1.0, 0.0, 1.0]), "weights must be above 0"),
        (lambda: GaussianMixture.fit(MEANS, torch.tensor([0, 2, 2])), "every class needs an example"),
        (lambda: GaussianMixture.fit(MEANS, torch.tensor([0, 1])), r"label must have shape \[3\]"),
        (
            lambda: GaussianMixture.fit(MEANS, torch.tensor([0, 1, -1])),
            "label must hold integers of at least 0",
        ),
        (lambda: GaussianMixture.fit(MEANS, torch.tensor([0.0, 1, 1])), "label must hold integers"),
        (lambda: GaussianMixture.fit(MEANS.long()), "x must be a floating-point"),
        (lambda: M.given(3), "label must lie in 0…2; got 3"),
        (lambda: M.given(-1), "label must be an integer of at least 0"),
        (lambda: M.given(1.0), "label must be an integer"),
        (lambda: M.sample(0), "n must be an integer of at least 1"),
        (lambda: E.sample(2.5), "n must be an integer of at least 1"),
        (lambda: GaussianMixture.fit(MEANS[:, 0]), r"x must have shape \[N, \*D\]"),
        (lambda: GaussianMixture.fit(MEANS, [0, 1]), r"label must have shape \[3\]"),
        (lambda: GaussianMixture.fit(MEANS, ["a", "b", "c"]), "label must hold integers"),
        (lambda: GaussianMixture.fit(MEANS, [0.0, 1.0, 1.0]), "label must hold integers"),
        (lambda: GaussianMixture.fit(MEANS, [False, True, True]), "label must hold integers"),
        (lambda: M.sample(3, generator=0), "generator must be None or a torch.Generator"),
        (lambda: E.sample(3, generator=0), "generator must be None or a torch.Generator"),
        (lambda: M.noised("2", S), "t must be a number"),
        (lambda: M.noised(10.5, S), "t must lie in 0…10"),
        (lambda: M.posterior_covariance(torch.zeros(3, 3), 2, S), "x_t must be a batch of"),
        (lambda: M.noised(11, S), "t must lie in 0…10"),
        (lambda: M.noised(torch.tensor([1, 2]), S), "t must be one time"),
        (lambda: E.noised(torch.tensor([1, 2]), S), "t must be one time"),
        (lambda: E.noised(-1, S), "t must lie in 0…10"),
        (lambda: Empirical(MEANS[:0]), "data must have shape .* N ≥ 1"),
        (lambda: Empirical(torch.zeros(3)), "data must have shape"),
        (lambda: Empirical(MEANS.long()), "data must be a floating-point"),
        (lambda: Empirical(MEANS * math.inf), "data must be finite"),
        (lambda: Empirical(MEANS, std=-0.1), "std must be at least 0"),
        (lambda: Empirical(MEANS, std=math.nan), "std must be at least 0"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_draws_do_not_depend_on_the_signs_of_the_axes():
    """Eigenvectors are known up to a sign, and linear algebra libraries choose different ones."""
    mixture, flipped = (GaussianMixture(MEANS, covariances=COVARIANCES) for _ in range(2))
    object.__setattr__(flipped, "axes", -flipped.axes)
    first, second = (each.sample(50, torch.Generator().manual_seed(0)) for each in (mixture, flipped))
    assert_close(first, second)
