"""Latent diffusion: linear latents and their distances, the autoencoder, networks, and the explorer."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onscreen import run_code, shown
from skimage.metrics import peak_signal_noise_ratio
from sklearn.decomposition import PCA
from torch.utils.flop_counter import FlopCounterMode

from diffusion_lab import metrics, samplers, schedules
from diffusion_lab.applications import autoencoder, latent
from diffusion_lab.applications.inverse.posterior import moments
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import latent as digits_by_pca
from diffusion_lab.experiments import latent_kl, latent_mistakes, latent_networks
from diffusion_lab.experiments.stored import class_gaussians, digits
from diffusion_lab.explorers import Latent
from diffusion_lab.forward import q_sample
from diffusion_lab.guidance import classifier_free
from diffusion_lab.shape_world import HELD_OUT, read_shapes, scene_of, shapes
from diffusion_lab.weights import drawn


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_mixture(D, K, seed, shape=None):
    root = torch.randn(K, D, D, generator=seeded(seed), dtype=torch.float64)
    means = torch.randn(K, *(shape or (D,)), generator=seeded(seed + 1), dtype=torch.float64)
    covariances = root @ root.mT / D + 0.05 * torch.eye(D).double()
    return GaussianMixture(means, covariances=covariances, weights=torch.arange(1.0, K + 1))


# --- linear latents ---


@pytest.mark.parametrize("dim", [1, 10, 64])
def test_principal_components_are_scikit_learns(dim):
    """Of the class Gaussians without a ridge, that is, of the digits themselves."""
    x = digits("train")[0].double()
    own = latent.principal_components(class_gaussians(1e-9), dim)
    theirs = PCA(dim, svd_solver="full").fit(x.flatten(1).numpy())
    assert np.allclose(own.mean.flatten(), theirs.mean_, atol=1e-9)
    variances = own.eigenvalues[:dim] * len(x) / (len(x) - 1)  # scikit-learn divides by N − 1
    assert np.allclose(variances, theirs.explained_variance_, rtol=1e-6, atol=1e-8)
    again = theirs.inverse_transform(theirs.transform(x.flatten(1).numpy()))
    assert np.allclose(own.pictures(own.latents(x)).flatten(1), again, atol=1e-5)
    assert own.latents(x).square().mean().item() == pytest.approx(1, abs=1e-6)
    error = (x - own.pictures(own.latents(x))).flatten(1).square().sum(1).mean().item()
    assert error == pytest.approx(own.floor, abs=1e-6)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_latents_keep_what_pictures_have_and_come_back(seed, dim):
    own = latent.principal_components(random_mixture(6, 3, seed, (1, 2, 3)), dim)
    z = torch.randn(4, dim, generator=seeded(seed + 5), dtype=torch.float64)
    assert torch.allclose(own.latents(own.pictures(z)), z, atol=1e-9)
    x = torch.randn(4, 1, 2, 3, generator=seeded(seed + 6), dtype=torch.float64)
    once = own.pictures(own.latents(x))
    assert torch.allclose(own.pictures(own.latents(once)), once, atol=1e-9)
    assert torch.allclose(own.axes.mT @ own.axes, torch.eye(dim).double(), atol=1e-9)
    if dim == 6:
        assert torch.allclose(once, x, atol=1e-9) and own.floor == 0


def test_no_other_axes_lose_less():
    mixture = random_mixture(8, 3, 4)
    own, x = latent.principal_components(mixture, 3), mixture.sample(4000, seeded(1))
    lost = (x - own.pictures(own.latents(x))).square().sum(1).mean()
    for seed in range(10):
        turned, _ = torch.linalg.qr(own.axes + 0.3 * torch.randn(8, 3, generator=seeded(seed)).double())
        off = x - own.mean
        assert (off - off @ turned @ turned.mT).square().sum(1).mean() > lost


def test_a_mixture_stays_a_mixture():
    """The density of latents is the marginal of the turned mixture: integrated over the rest by hand."""
    mixture, dim = random_mixture(2, 3, 2), 1
    own = latent.principal_components(mixture, dim)
    small = latent.latent_mixture(mixture, own)
    other = torch.stack([-own.axes[1, 0], own.axes[0, 0]])  # the discarded axis
    s = torch.linspace(-14, 14, 4001).double()
    for z in (-1.3, 0.2, 1.7):
        line = own.pictures(torch.tensor([[z]]).double()) + s[:, None] * other
        along = torch.trapezoid(mixture.log_prob(line).exp(), s) / own.scale
        assert small.log_prob(torch.tensor([[z]]).double()).exp().item() == pytest.approx(
            along.item(), rel=1e-6
        )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_the_floor_is_the_sum_of_the_discarded_eigenvalues(seed, dim):
    mixture = random_mixture(5, 3, seed)
    own = latent.principal_components(mixture, dim)
    floors = latent.floor_of(mixture, own)
    assert (mixture.weights @ floors).item() == pytest.approx(own.floor, abs=1e-9)
    total = torch.trace(torch.cov(mixture.sample(20_000, seeded(1)).mT))
    assert own.eigenvalues.sum().item() == pytest.approx(total.item(), rel=0.1)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_the_distance_of_decoded_draws_splits_into_floor_and_generation(seed, dim):
    """Pythagoras, for any Gaussian of latents, also a wrong one."""
    truth = random_mixture(5, 1, seed)
    own = latent.principal_components(random_mixture(5, 2, seed + 7), dim)  # of other data
    drawn = random_mixture(dim, 1, seed + 8)
    means, wide = latent.decoded(drawn, own)
    whole = latent.wasserstein(truth.means, moments(truth)[1], means, wide)
    small = latent.latent_mixture(truth, own)
    part = latent.wasserstein(*moments(small), *moments(drawn))
    expected = latent.floor_of(truth, own) + part / own.scale**2
    assert torch.allclose(whole, expected, atol=1e-6)


def test_wasserstein_is_the_frechet_distance_of_many_draws_and_the_closed_form_in_one_dimension():
    a, b = random_mixture(3, 1, 0), random_mixture(3, 1, 5)
    found = latent.wasserstein(*moments(a), *moments(b)).item()
    drawn = metrics.frechet_distance(a.sample(40_000, seeded(0)), b.sample(40_000, seeded(1)))
    assert found == pytest.approx(drawn, rel=0.05)
    one = [
        torch.tensor(v).double().reshape(shape)
        for v, shape in ((1.0, (1,)), (4.0, (1, 1)), (3.0, (1,)), (9.0, (1, 1)))
    ]
    assert latent.wasserstein(*one).item() == pytest.approx(4 + 1, abs=1e-9)  # (1 − 3)² + (2 − 3)²


def test_what_ddim_makes_of_noise_is_what_its_draws_are():
    table = schedules.cosine(100)
    times = samplers.timesteps(table, 4)
    gaussian = random_mixture(3, 1, 3)
    found = latent.drawn_by_ddim(gaussian, table, times)
    x_T = samplers.p_sample_prior((40_000, 3), table, seeded(2)).double()
    *_, last = samplers.ddim(gaussian.denoiser(table), x_T, table, times)
    assert torch.allclose(last.x.mean(0), found.means[0], atol=0.03)
    assert torch.allclose(torch.cov(last.x.mT), moments(found)[1][0], atol=0.05)
    fine = latent.drawn_by_ddim(gaussian, table, samplers.timesteps(table, 100))
    off = [(g.var - gaussian.var).abs().max().item() for g in (found, fine)]
    assert off[1] < 0.1 * off[0]


# --- scale, guidance, and what they raise ---


@settings(deadline=None, max_examples=15)
@given(st.floats(0.05, 8), st.integers(1, 99))
def test_a_forgotten_scale_is_another_schedule(scale, t):
    table, mixture = schedules.cosine(100), random_mixture(2, 3, 1)
    other = latent.seen_by(table, scale)
    assert (other.log_snr - table.log_snr)[1:].tolist() == pytest.approx(
        [2 * math.log(scale)] * 100, abs=1e-6
    )
    scaled = GaussianMixture(
        scale * mixture.means, covariances=scale**2 * moments(mixture)[1], weights=mixture.weights
    )
    z = mixture.sample(5, seeded(t))
    x_t = q_sample(scale * z, t, table, generator=seeded(t + 1))
    size = torch.hypot(scale * table.signal[t], table.sigma[t])
    expected = scaled.denoiser(table)(x_t, t).x0
    assert torch.allclose(scale * mixture.denoiser(other)(x_t / size, t).x0, expected, atol=1e-6)


def test_guidance_of_all_channels_and_of_none():
    table, mixture = schedules.cosine(100), random_mixture(4, 3, 1, (4, 1, 1))
    cond, uncond = mixture.given(1).denoiser(table), mixture.denoiser(table)
    x_t = torch.randn(6, 4, 1, 1, generator=seeded()).double()
    every = latent.partly_guided(cond, uncond, 3.0, 4)(x_t, 40)
    assert torch.allclose(every.x0, classifier_free(cond, uncond, 3.0)(x_t, 40).x0)
    assert torch.allclose(latent.partly_guided(cond, uncond, 3.0, 0)(x_t, 40).x0, cond(x_t, 40).x0)
    three = latent.partly_guided(cond, uncond, 3.0, 3)(x_t, 40).x0
    assert torch.equal(three[:, :3], every.x0[:, :3]) and torch.equal(three[:, 3:], cond(x_t, 40).x0[:, 3:])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latent.principal_components(random_mixture(3, 2, 0), 4), "dim must be at most 3"),
        (
            lambda: latent.principal_components(random_mixture(3, 2, 0), 0),
            "dim must be an integer of at least 1",
        ),
        (lambda: latent.seen_by(schedules.cosine(10), 0.0), "scale must be a number above 0; got 0.0"),
        (
            lambda: latent.drawn_by_ddim(random_mixture(3, 2, 0), schedules.cosine(10), [10, 0]),
            "gaussian must be one component",
        ),
        (
            lambda: latent.principal_components(random_mixture(3, 2, 0), 2).latents(torch.zeros(1, 4)),
            r"x must be a batch of \[3\]",
        ),
        (
            lambda: latent.principal_components(random_mixture(3, 2, 0), 2).pictures(torch.zeros(1, 3)),
            r"z must be a batch of \[2\]",
        ),
        (lambda: autoencoder.train_autoencoder(0), "steps must be an integer of at least 1; got 0"),
        (lambda: autoencoder.train_autoencoder(1, kl_weight=-1), "kl_weight must be a number of at least 0"),
        (
            lambda: autoencoder.load_autoencoder().encode(torch.zeros(1, 3, 16, 16)),
            r"x must be a batch of \[3, 32",
        ),
        (
            lambda: autoencoder.load_autoencoder().decode(torch.zeros(1, 4, 4, 4)),
            r"z must be a batch of \[4, 8, 8",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the autoencoder that ships ---


@pytest.fixture(scope="module")
def held_out():
    return shapes(200, seeded(77))


def test_it_gives_back_pictures_that_it_has_not_seen(held_out):
    x, captions = held_out
    net = autoencoder.load_autoencoder()
    again = net.pictures(net.latents(x))
    assert peak_signal_noise_ratio(x.numpy(), again.numpy(), data_range=2) > 35
    assert read_shapes(again) == captions
    error = (again - x).square().mean().item()
    assert autoencoder.decibels(error) == pytest.approx(
        peak_signal_noise_ratio(x.numpy(), again.numpy(), data_range=2), abs=1e-3
    )
    quality = autoencoder.about()["quality"]
    assert (
        quality["PSNR"] > 35 and min(quality[f"read{split}"] for split in ("", "_scenes", "_pairs")) >= 0.995
    )
    assert autoencoder.decibels(error) == pytest.approx(quality["PSNR"], abs=0.5)


def test_latents_have_unit_size_and_draws_spread_as_the_encoder_says(held_out):
    x, _ = held_out
    net = autoencoder.load_autoencoder()
    z = net.latents(x)
    assert z.shape == (200, 4, 8, 8)
    assert z.mean((0, 2, 3)).abs().max() < 0.1 and z.std().item() == pytest.approx(1, abs=0.1)
    mean, log_variance = net.encode(x)
    assert torch.allclose(z, (mean - net.shift) * net.scale)
    assert torch.allclose(net.pictures(z), net.decode(mean).clamp(-1, 1), atol=1e-5)
    off = (net.latents(x, seeded(1)) - z) / net.scale / (log_variance / 2).exp()
    assert off.mean().abs() < 0.02 and off.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(net.latents(x, seeded(1)), net.latents(x, seeded(1)))


def test_kl_is_torchs():
    mean, log_variance = (torch.randn(50, generator=seeded(k)).double() for k in (1, 2))
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean()
    assert torch.allclose(autoencoder.kl_per_number(mean, log_variance), expected)


def test_training_learns_is_the_same_twice_and_touches_nothing_global():
    before = torch.get_rng_state()
    first, second = (autoencoder.train_autoencoder(6, pictures=64, progress=False) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert not any(weight.requires_grad for weight in first.parameters())


def test_what_is_stored_is_what_is_loaded(tmp_path):
    net = drawn(autoencoder.Autoencoder, seeded(3))
    net.scale, net.shift = torch.tensor(1.234567), torch.full((4, 1, 1), 0.7654321)
    autoencoder.save_autoencoder(net, {"recipe": {"steps": 1}}, tmp_path)
    again = autoencoder.load_autoencoder(tmp_path)
    assert torch.equal(again.scale, net.scale) and torch.equal(again.shift, net.shift)
    assert torch.equal(again.decoder[0].weight, net.decoder[0].weight.half().float())
    assert autoencoder.about(tmp_path) == {"recipe": {"steps": 1}}
    (tmp_path / autoencoder.FILE).write_bytes(b"no")
    with pytest.raises(ValueError, match="must be a 'diffusion_lab autoencoder 1' file"):
        autoencoder.about(tmp_path)


# --- digits by way of PCA, and their explorer ---


@pytest.mark.parametrize(("dim", "work"), [(8, 2), (32, 5), (64, 2)])
def test_the_two_parts_sum_to_the_distance_of_decoded_draws(dim, work):
    truth, own = class_gaussians().given(3), digits_by_pca.compressed(dim)
    table = digits_by_pca.SCHEDULE
    times = samplers.timesteps(table, digits_by_pca.steps_for(dim, work))
    found = latent.drawn_by_ddim(digits_by_pca.latents_of(3, dim), table, times)
    means, wide = latent.decoded(found, own)
    whole = latent.wasserstein(truth.means.flatten(1).double(), moments(truth)[1], means.flatten(1), wide)
    assert whole.item() == pytest.approx(sum(digits_by_pca.distances(3, dim, work)), rel=1e-5)
    x = digits_by_pca.drawn(3, dim, work, 0, n=4000).flatten(1)
    assert torch.allclose(x.mean(0), means[0].flatten(), atol=0.06)
    assert torch.allclose(torch.cov(x.mT), wide[0], atol=0.06)


def test_a_step_costs_what_the_denoiser_multiplies():
    for dim in (8, 32):
        denoiser = digits_by_pca.latents_of(3, dim).denoiser(digits_by_pca.SCHEDULE)
        with FlopCounterMode(display=False) as counter:
            denoiser(torch.zeros(1, dim).double(), 500)
        assert 2 * dim**2 <= counter.get_total_flops() / 2 <= 2 * dim**2 + 4 * dim
    for dim in digits_by_pca.DIMS:
        steps = digits_by_pca.steps_for(dim, 5)
        assert steps == digits_by_pca.MOST or 0.8 < steps * dim**2 / (5 * 64**2) <= 1


@pytest.mark.parametrize("work", digits_by_pca.WORKS)
def test_the_best_d_is_in_between_and_moves_with_the_work(work):
    sums = [sum(digits_by_pca.distances(3, d, work)) for d in digits_by_pca.DIMS]
    best = int(np.argmin(sums))
    assert 0 < best < len(sums) - 1
    more = [sum(digits_by_pca.distances(3, d, 10 * work)) for d in digits_by_pca.DIMS]
    assert int(np.argmin(more)) >= best


@pytest.mark.parametrize("dim", [4, 32, 64])
def test_the_code_draws_the_digits_on_the_screen(dim):
    explorer = Latent(label=5, work=2, seed=4, dim=dim)
    x = run_code(explorer)["shown"]
    assert x.shape == (12, 1, 8, 8)
    sheet = shown(explorer, "drawn", "z")
    for k in range(12):  # three in a row
        row, column = divmod(k, 3)
        on_screen = sheet[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
        assert np.allclose(on_screen, x[k, 0].clamp(-1, 1), atol=1e-5)


def test_its_numbers_are_the_curves_and_three_panels_are_enough():
    explorer = Latent(label=7, work=5)
    curves = {name: np.asarray(explorer.shown.traces[name]["y"]) for name in ("floor", "generation", "sum")}
    assert (np.diff(curves["floor"]) <= 0).all()
    for k, d in enumerate(digits_by_pca.DIMS):
        explorer.dim = d
        numbers = {name: float(value) for name, value in explorer.numbers.items()}
        assert numbers["distance to the truth"] == pytest.approx(curves["sum"][k], rel=1e-3)
        assert numbers["floor"] + numbers["generation"] == pytest.approx(curves["sum"][k], rel=1e-3)
        assert numbers["multiply-adds a step"] == 2 * d**2
        assert np.allclose(shown(explorer, "here", "x"), d)
        assert "floor" in explorer.describe() and len(numbers) <= 8
    assert explorer.numbers["floor"] == "0"
    assert numbers["best d"] == list(digits_by_pca.DIMS)[int(curves["sum"].argmin())]
    assert sum(name.startswith("xaxis") for name in explorer.shown.layout) == 3


def test_held_out_digits_come_back_better_with_more_numbers():
    truth = digits_by_pca.held_out(3)
    errors = [(digits_by_pca.given_back(3, d) - truth).square().mean().item() for d in digits_by_pca.DIMS]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-12


# --- networks, and what was measured of them ---


def test_a_larger_kl_weight_says_less_and_is_nearer_to_noise():
    rows = latent_kl.table()
    assert [row["kl_weight"] for row in rows] == list(latent_kl.WEIGHTS)
    kl = [row["KL"] for row in rows]
    assert kl == sorted(kl, reverse=True) and rows[-1]["PSNR"] < rows[0]["PSNR"] - 3
    idle = [row["idle"] for row in rows]
    assert idle == sorted(idle) and idle[-1] > 0.3
    assert rows[0]["noise_read"] == 0 and rows[-1]["noise_distance"] < rows[0]["noise_distance"]


def test_equal_weights_equal_time_and_pixels_cost_more():
    last = {row["space"]: row for row in latent_networks.table()}
    small, large = last["latents"], last["pixels"]
    assert large["weights"] == pytest.approx(small["weights"], rel=0.15)
    assert large["seconds"] == pytest.approx(small["seconds"], rel=0.2)
    for space, row in last.items():
        assert row["step"] == latent_networks.STEPS[space]
        assert row["multiply-adds"] == latent_networks.multiply_adds(space)
        assert row["bytes"] == pytest.approx(latent_networks.activation_bytes(space), rel=0.02)
        assert 0 <= row["right"] <= row["readable"] <= 1
    assert large["multiply-adds"] > 4 * small["multiply-adds"] and large["bytes"] > 4 * small["bytes"]
    assert small["readable"] > large["readable"] and small["right"] > large["right"]
    assert small["readable"] > 0.9


def test_the_network_that_ships_draws_what_it_is_told():
    network = latent_networks.latent_network()
    assert network.shape == (4, 8, 8) and not any(w.requires_grad for w in network.net.parameters())
    label = latent_networks.labels(40, 5)
    z = latent_networks.draw(network.given(label), (4, 8, 8), 40, steps=15)
    readable, right = latent_networks.read(latent_networks.seen("latents", z), label)
    assert readable > 0.75 and right > 0.7
    stored = next(row for row in latent_networks.table() if row["step"] == latent_networks.STEPS["latents"])
    assert right == pytest.approx(stored["right"], abs=4 * (0.25 / 40) ** 0.5)


def test_mistakes_cost_what_the_table_says():
    rows = latent_mistakes.table()
    assert list(rows) == list(latent_mistakes.WAYS)
    readable, _ = rows["as trained"]
    for name in ("clipped to [−1, 1]", "decoded with 0.18215", "noise decoded"):
        assert rows[name][0] < 0.1 < readable
    label = latent_networks.labels(latent_mistakes.N, 0)[:20]
    net = autoencoder.load_autoencoder()
    wrong = latent_mistakes.other_scale(label)
    assert torch.allclose(
        wrong * latent_mistakes.SD_SCALE / net.scale, latent_mistakes.guided(label, 1.0), atol=1e-5
    )
    assert latent_networks.read(net.pictures(wrong), label)[0] < 0.1
    assert latent_networks.read(net.pictures(latent_mistakes.clipped(label)), label)[0] < 0.3


def test_reading_counts_scenes_and_first_shapes():
    x, captions = shapes(30, seeded(9))
    label = torch.tensor([latent_networks.LABELS.index(scene_of(c).shapes[0]) for c in captions])
    assert latent_networks.read(x, label) == (1.0, 1.0)
    assert latent_networks.read(x, (label + 1) % 24)[1] == 0
    assert latent_networks.read(torch.cat([x, -x]), torch.cat([label, label])) == (0.5, 0.5)
    _, captions = shapes(2000, seeded(0))
    first = [latent_networks.LABELS.index(scene_of(c).shapes[0]) for c in captions]
    assert latent_networks.data_labels().tolist() == first
    every = latent_networks.labels(3000, 0)
    held_out = [k for k, s in enumerate(latent_networks.LABELS) if (s.color, s.kind) in HELD_OUT]
    assert not set(every.tolist()) & set(held_out), "no training scene has these"
