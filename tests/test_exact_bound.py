"""Averages by quadrature, against moments that are known; the best variance, against all others."""

import math

import pytest
import torch

from diffusion_lab import schedules
from diffusion_lab.elbo import elbo
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments.exact_bound import mean_terms, nodes, quadrature, variance_table
from diffusion_lab.forward import q_posterior, q_sample


def blobs(*stds):
    means = torch.tensor([[-0.6], [0.6]], dtype=torch.float64)
    return GaussianMixture(means, stds=list(stds), weights=[0.3, 0.7])


@pytest.mark.parametrize("n", [1, 3, 8])
def test_n_points_are_exact_up_to_degree_2n_minus_1(n):
    z, weights = nodes(n)
    for k in range(2 * n):
        moment = 0 if k % 2 else math.prod(range(1, k, 2))
        assert (weights * z**k).sum().item() == pytest.approx(moment, rel=1e-10, abs=1e-9)
    missed = math.prod(range(1, 2 * n, 2))
    assert abs((weights * z ** (2 * n)).sum().item() - missed) > 0.5


def test_quadrature_knows_the_moments_of_a_mixture_and_of_its_noise():
    x0, noise, weights = quadrature(blobs(0.1, 0.2), 4, 3)
    assert x0.shape == noise.shape == (24, 1) and weights.sum().item() == pytest.approx(1)
    mean, square = 0.4 * 0.6, 0.36 + 0.3 * 0.01 + 0.7 * 0.04
    assert (weights @ x0).item() == pytest.approx(mean)
    assert (weights @ x0**2).item() == pytest.approx(square)
    assert (weights @ (x0 * noise) ** 2).item() == pytest.approx(square)
    assert (weights @ (x0 * noise)).item() == pytest.approx(0, abs=1e-12)


def test_quadrature_wants_one_dimension():
    with pytest.raises(ValueError, match="mixture must have one coordinate"):
        quadrature(GaussianMixture(torch.zeros(1, 2), stds=[1.0]), 3, 3)


def test_the_best_variance_is_the_mean_squared_distance_from_the_models_mean():
    """Over draws of x_{t−1} from the posterior: nothing in it knows how the table is made."""
    mixture, schedule = blobs(0.1, 0.2), schedules.cosine(6)
    denoiser, g = mixture.denoiser(schedule), torch.Generator().manual_seed(0)
    x0 = mixture.sample(40_000, g)
    eps = torch.randn(x0.shape, generator=g, dtype=x0.dtype)
    table = variance_table(denoiser, x0, schedule, eps)
    assert table.shape == (7,) and table[0] == 0
    for t in (1, 2, 4, 6):
        x_t = q_sample(x0, t, schedule, eps)
        x_s = q_posterior(x0, x_t, t, schedule).sample(g)
        away = (x_s - q_posterior(denoiser(x_t, t).x0, x_t, t, schedule).mean).square().mean().item()
        assert table[t].item() == pytest.approx(away, rel=0.03)


def test_no_other_variance_makes_the_bound_smaller():
    mixture, schedule = blobs(0.1, 0.2), schedules.cosine(8)
    denoiser, (x0, noise, weights) = mixture.denoiser(schedule), quadrature(mixture, 12, 20)
    table = variance_table(denoiser, x0, schedule, noise, weights)
    best = mean_terms(denoiser, x0, schedule, table, noise, weights)
    for factor in (0.9, 1.1):
        prior, diffusion, reconstruction = mean_terms(denoiser, x0, schedule, factor * table, noise, weights)
        assert prior == best[0] and reconstruction > best[2]
        assert (diffusion[2:] > best[1][2:]).all()


def test_weights_that_are_all_alike_may_be_left_out():
    mixture, schedule = blobs(0.2, 0.2), schedules.cosine(5)
    denoiser, x0 = mixture.denoiser(schedule), mixture.sample(9, torch.Generator().manual_seed(1))
    noise, alike = torch.ones_like(x0), torch.full((9,), 1 / 9, dtype=torch.float64)
    a, b = variance_table(denoiser, x0, schedule, noise), variance_table(denoiser, x0, schedule, noise, alike)
    torch.testing.assert_close(a, b)
    terms = mean_terms(denoiser, x0, schedule, a, noise, alike)
    total = elbo(denoiser, x0, schedule, a, noise=noise).total.mean()
    assert sum(part.sum() for part in terms).item() == pytest.approx(total.item())
