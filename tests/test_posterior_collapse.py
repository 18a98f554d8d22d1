"""Posterior collapse: the optimum in closed form against training, scikit-learn, and the plain bound."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from diffusion_lab.applications.vae import Vae
from diffusion_lab.data import digits
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import posterior_collapse as collapse

EIGENVALUES = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.1], dtype=torch.float64)


def turned(eigenvalues, seed=0):
    """A covariance with these eigenvalues, along axes of no particular direction."""
    D = len(eigenvalues)
    noise = torch.randn(D, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    axes = torch.linalg.qr(noise).Q
    return axes * eigenvalues @ axes.mT


def test_the_spectrum_is_scikit_learns():
    x = digits("test")[0]
    found = collapse.spectrum(collapse.covariance(x))
    theirs = PCA().fit(x.flatten(1).double().numpy()).explained_variance_
    assert torch.allclose(found * len(x) / (len(x) - 1), torch.from_numpy(theirs), atol=1e-9)


@pytest.mark.parametrize(("variance", "beta", "latent"), [(0.3, 2.5, 5), (1.5, 1.0, 3)])
def test_gradient_descent_comes_to_the_optimum(variance, beta, latent):
    loss, kl = collapse.trained(turned(EIGENVALUES), latent, variance, beta, steps=1500)
    assert loss == pytest.approx(collapse.best_loss(EIGENVALUES, variance, beta, latent), rel=1e-4)
    assert torch.allclose(kl, collapse.kl_of_axes(EIGENVALUES, variance, beta)[:latent], atol=0.02)
    assert int((kl > 0.02).sum()) == collapse.used(EIGENVALUES, variance, beta, latent)


@given(st.floats(0.05, 5), st.floats(0.2, 4), st.integers(0, 20))
def test_no_linear_vae_is_better_than_the_optimum(variance, beta, seed):
    rng = torch.Generator().manual_seed(seed)
    parts = [torch.randn(s, generator=rng, dtype=torch.float64) for s in ((5, 3), (3, 5), (3,))]
    loss, _ = collapse.loss_and_kl(turned(EIGENVALUES), parts, variance, beta)
    assert loss >= collapse.best_loss(EIGENVALUES, variance, beta, 3) - 1e-9


@given(st.floats(0.05, 5), st.floats(0.2, 4))
def test_the_weight_of_the_kl_is_another_variance(variance, beta):
    """β times the loss of the plain VAE with the variance β s²."""
    weighed = collapse.best_loss(EIGENVALUES, variance, beta)
    assert weighed == pytest.approx(beta * collapse.best_loss(EIGENVALUES, beta * variance))
    assert collapse.used(EIGENVALUES, variance, beta) == collapse.used(EIGENVALUES, beta * variance)


def test_the_loss_is_the_bound_of_a_vae():
    """Of applications.vae, over many draws of x and z."""
    variance, cov = 0.3, turned(EIGENVALUES)
    parts = [
        torch.randn(s, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for s in ((5, 2), (2, 5), (2,))
    ]
    W, V, log_v = parts
    encoder, decoder = torch.nn.Linear(5, 4).double(), torch.nn.Linear(2, 5, bias=False).double()
    with torch.no_grad():
        encoder.weight.copy_(torch.cat([V, torch.zeros(2, 5)]))
        encoder.bias.copy_(torch.cat([torch.zeros(2), log_v]))
        decoder.weight.copy_(W)
        vae = Vae(encoder, decoder, 2)
        vae.log_variance.fill_(math.log(variance))
        mixture = GaussianMixture(torch.zeros(1, 5, dtype=torch.float64), covariances=cov[None])
        x = mixture.sample(200_000, generator=torch.Generator().manual_seed(2))
        terms = vae.terms(x, torch.Generator().manual_seed(3))
    loss, kl = collapse.loss_and_kl(cov, parts, variance, 1.0)
    assert terms[1].mean().item() == pytest.approx(kl.sum().item(), rel=0.01)
    constant = 2.5 * math.log(2 * math.pi * variance)
    assert terms[0].mean().item() - constant + terms[1].mean().item() == pytest.approx(loss.item(), rel=0.01)


def test_at_the_optimum_the_bound_is_tight():
    """Then p(x) = N(0, W Wᵀ + s² I), and −E log p(x) is the cross-entropy of two Gaussians."""
    variance = 0.3
    model = EIGENVALUES.clamp(min=variance)
    cross = 0.5 * ((2 * math.pi * model).log() + EIGENVALUES / model).sum().item()
    constant = 2.5 * math.log(2 * math.pi * variance)
    assert collapse.best_loss(EIGENVALUES, variance) + constant == pytest.approx(cross)


def test_what_is_used_falls_with_the_variance_and_the_weight():
    counts = [collapse.used(EIGENVALUES, c) for c in (0.05, 0.2, 0.7, 1.5, 3.0, 5.0)]
    assert counts == [5, 4, 3, 2, 1, 0]
    assert collapse.used(EIGENVALUES, 0.05, latent=2) == 2
    assert collapse.kl_of_axes(EIGENVALUES, 5.0).tolist() == [0.0] * 5


def test_bad_input():
    with pytest.raises(ValueError, match="variance must be a number above 0; got 0"):
        collapse.level(0.0)
    with pytest.raises(ValueError, match="beta must be a number above 0; got -1"):
        collapse.used(EIGENVALUES, 1.0, -1.0)
    with pytest.raises(ValueError, match="latent"):
        collapse.trained(turned(EIGENVALUES), 0, 1.0)
