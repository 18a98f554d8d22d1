"""The variational autoencoder: its bound against exact likelihoods, and what training does."""

import math

import pytest
import torch
from torch import nn

from diffusion_lab.applications.plain import mlp
from diffusion_lab.applications.vae import Vae, VaeRecipe, train_vae
from diffusion_lab.weights import drawn


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def linear(mean, log_variance=None):
    """x -> x @ mean.T, and if told the log-variances beside it."""

    class Linear(nn.Module):
        def forward(self, x):
            out = x @ mean.mT.to(x)
            return out if log_variance is None else torch.cat([out, log_variance.to(x).expand_as(out)], 1)

    return Linear()


def exact_vae(std=0.3, scale=1.0):
    """x = W z + s ε with orthogonal columns: (the VAE with its exact posterior, the density of x).

    Tipping & Bishop 1999: q(z|x) = N(M⁻¹ Wᵀ x, s² M⁻¹), M = WᵀW + s² I. `scale` spoils the
    encoder's variance.
    """
    W = torch.tensor([[0.8, 0.1], [0.2, -0.4], [0.0, 0.3]], dtype=torch.float64)
    W[:, 1] -= W[:, 0] * (W[:, 0] @ W[:, 1]) / (W[:, 0] @ W[:, 0])
    M = W.mT @ W + std**2 * torch.eye(2)
    variance = std**2 / M.diagonal() * scale
    vae = Vae(linear(torch.linalg.inv(M) @ W.mT, variance.log()), linear(W), 2, std).double()
    covariance = W @ W.mT + std**2 * torch.eye(3)
    return vae, torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance)


def test_with_the_exact_posterior_the_bound_is_the_likelihood_whatever_is_drawn():
    vae, density = exact_vae()
    x = density.sample((5,))
    for K in (1, 7):
        assert torch.allclose(vae.bound(x, K, seeded(K)), density.log_prob(x), atol=1e-6)


def test_with_another_posterior_the_bound_rises_towards_the_likelihood_with_K():
    vae, density = exact_vae(scale=2.0)
    x = exact_vae()[0].sample(400, seeded(0)).double()
    exact = density.log_prob(x).mean().item()
    means = [vae.bound(x, K, seeded(1)).mean().item() for K in (1, 10, 1000)]
    gap = 0.5 * 2 * (2 - 1 - math.log(2))  # KL of the two posteriors: two latents of twice the variance
    assert means[0] == pytest.approx(exact - gap, abs=0.15)
    assert means[0] < means[1] < means[2] < exact + 1e-3 and means[2] == pytest.approx(exact, abs=0.01)


def test_the_two_terms_are_the_bound():
    vae, density = exact_vae(scale=1.5)
    x = density.sample((1,)).repeat(20_000, 1)
    reconstruction, divergence = vae.terms(x, seeded(0))
    assert torch.allclose(divergence, divergence[0].expand_as(divergence)) and (divergence > 0).all()
    assert -(reconstruction + divergence).mean().item() == pytest.approx(
        vae.bound(x, 1, seeded(1)).mean().item(), abs=0.05
    )


def test_samples_have_the_models_covariance():
    vae, density = exact_vae()
    x = vae.double().sample(50_000, seeded(0)).double()
    assert torch.allclose(torch.cov(x.mT), density.covariance_matrix, atol=0.02)


def test_training_finds_the_directions_and_the_noise_of_principal_components():
    stds = torch.tensor([1.0, 0.5, 0.4])
    x0 = torch.randn(5000, 3, generator=seeded(0)) * stds
    rng = seeded(1)
    encoder, decoder = drawn(lambda: nn.Linear(3, 2), rng), drawn(lambda: nn.Linear(1, 3), rng)
    vae = train_vae(
        encoder, decoder, x0, VaeRecipe(1, steps=800, lr=2e-2, noise=0.3, ema_decay=0.99), progress=False
    )
    # maximum likelihood: s² is the mean of the variances left out, and W Wᵀ + s² I has the largest one
    assert vae.log_variance.exp().item() == pytest.approx((0.5**2 + 0.4**2) / 2, rel=0.15)
    weight = vae.decoder.weight[:, 0]
    assert weight.square().sum().item() == pytest.approx(1 - 0.205, rel=0.15)
    assert weight[0].abs() / weight.norm() > 0.98
    assert vae.bound(x0[:500], 1, seeded(0)).mean() < vae.bound(x0[:500], 50, seeded(0)).mean() + 0.05


def test_a_heavier_kl_term_leaves_less_in_the_latents():
    x0, told = torch.randn(500, 2, generator=seeded(0)), []
    for beta in (0.1, 10.0):
        rng = seeded(1)
        nets = drawn(lambda: mlp(2, 2, 16, 1), rng), drawn(lambda: mlp(1, 2, 16, 1), rng)
        vae = train_vae(*nets, x0, VaeRecipe(latent=1, steps=200, lr=1e-2, beta=beta), progress=False)
        told.append(vae.terms(x0, seeded(0))[1].mean().item())
    assert told[0] > told[1] + 0.3


def test_a_run_is_reproducible_and_pictures_are_data_too():
    x0, state, seen = torch.rand(20, 1, 2, 2, generator=seeded(0)), torch.get_rng_state(), []

    def run(seed):
        encoder = nn.Sequential(nn.Flatten(), drawn(lambda: mlp(4, 6, 8, 1), seeded(1)))
        decoder = nn.Sequential(drawn(lambda: mlp(3, 4, 8, 1), seeded(2)), nn.Unflatten(1, (1, 2, 2)))
        return train_vae(
            encoder, decoder, x0, VaeRecipe(latent=3, steps=5, batch=4, seed=seed),
            callback=lambda step, vae: seen.append((step, vae)), callback_every=2, progress=False,
        )  # fmt: skip

    first, again, other = run(0), run(0), run(1)
    x, same, changed = (vae.sample(6, seeded(0)) for vae in (first, again, other))
    assert torch.equal(x, same) and not torch.equal(x, changed) and x.shape == (6, 1, 2, 2)
    assert first.bound(x0, 3, seeded(0)).shape == (20,)
    assert [step for step, _ in seen[:3]] == [2, 4, 5] and seen[2][1] is first and not first.training
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "told, message",
    [
        (dict(latent=0), "latent must be an integer of at least 1; got 0"),
        (dict(lr=-1.0), "lr must be a number above 0; got -1.0"),
        (dict(noise=0.0), "noise must be a number above 0; got 0.0"),
        (dict(beta=-0.1), "beta must be a number of at least 0; got -0.1"),
        (dict(ema_decay=1.5), "ema_decay must be a number in"),
    ],
)
def test_recipes_without_sense(told, message):
    with pytest.raises(ValueError, match=message):
        VaeRecipe(**told)


def test_what_does_not_fit():
    vae = Vae(nn.Linear(2, 3), nn.Linear(2, 2), 2)
    with pytest.raises(ValueError, match=r"encoder must give \[4, 4\]; got \[4, 3\]"):
        vae.encode(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="K must be an integer of at least 1; got 0"):
        exact_vae()[0].bound(torch.zeros(1, 3).double(), 0)
    with pytest.raises(ValueError, match="x0 must be finite"):
        train_vae(nn.Linear(2, 4), nn.Linear(2, 2), torch.tensor([[math.inf, 0.0]]), VaeRecipe(steps=1))
