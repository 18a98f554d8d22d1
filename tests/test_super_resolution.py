"""Super-resolution: scores, a Gaussian's exact posterior, the factor of 2, what ships, and the explorer."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from onscreen import run_code, shown
from skimage.metrics import peak_signal_noise_ratio

from diffusion_lab import metrics, pictures, samplers
from diffusion_lab.applications import super_resolution
from diffusion_lab.applications.inverse import blur, gaussian_posterior, linear, pool, posterior
from diffusion_lab.applications.inverse.posterior import moments
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import super_resolved
from diffusion_lab.experiments.super_resolved import EXPLORED, SHOWN, N, W
from diffusion_lab.explorers import SuperResolution


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_gaussian(D, seed, shape=None):
    root = torch.randn(D, D, generator=seeded(seed), dtype=torch.float64)
    mean = torch.randn(1, *(shape or (D,)), generator=seeded(seed + 1), dtype=torch.float64)
    return GaussianMixture(mean, covariances=(root @ root.mT / D + 0.1 * torch.eye(D).double())[None])


# --- scores and simple answers ---


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(0.01, 1))
def test_psnr_is_scikit_images(seed, size):
    truth = 2 * torch.rand(2, 1, 6, 6, generator=seeded(seed), dtype=torch.float64) - 1
    x = truth + size * torch.randn(truth.shape, generator=seeded(seed + 1), dtype=torch.float64)
    expected = peak_signal_noise_ratio(truth.numpy(), x.numpy(), data_range=2)
    assert super_resolution.psnr(x, truth) == pytest.approx(expected, abs=1e-9)


def test_psnr_of_the_truth_is_infinite_and_shapes_must_agree():
    x = torch.zeros(1, 1, 4, 4)
    assert super_resolution.psnr(x, x) == math.inf
    with pytest.raises(ValueError, match=r"x must have shape \[1, 1, 4, 4\]; got \[1, 1, 2, 2\]"):
        super_resolution.psnr(x[..., :2, :2], x)


def test_bicubic_is_what_the_network_was_trained_with():
    x = torch.rand(3, 1, 24, 24, generator=seeded())
    measurement = pool((1, 24, 24), 4)
    assert torch.allclose(
        super_resolution.bicubic(measurement.forward(x), measurement), pictures.enlarged(x), atol=1e-6
    )
    colour = torch.rand(2, 3, 8, 8, generator=seeded())
    measurement = pool((3, 8, 8), 2)
    expected = F.interpolate(F.avg_pool2d(colour, 2), scale_factor=2.0, mode="bicubic")
    assert torch.allclose(
        super_resolution.bicubic(measurement.forward(colour), measurement), expected, atol=1e-6
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_consistent_has_y_stays_if_it_has_and_comes_nearer_to_every_picture_with_y(seed):
    x, truth = (torch.randn(4, 1, 6, 6, generator=seeded(seed + k), dtype=torch.float64) for k in (0, 1))
    for measurement in (pool((1, 6, 6), 3), blur((1, 6, 6), 0.5)):
        y = measurement.forward(truth)
        better = super_resolution.consistent(x, measurement, y)
        assert torch.allclose(measurement.forward(better), y, atol=1e-8)
        assert torch.allclose(super_resolution.consistent(better, measurement, y), better, atol=1e-8)
        before, after = ((z - truth).flatten(1).norm(dim=1) for z in (x, better))
        assert (after <= before + 1e-9).all()


# --- the exact posterior of a Gaussian ---


@pytest.mark.parametrize("std", [0.0, 0.3])
def test_all_posteriors_at_once_are_each_one_by_itself(std):
    mixture = random_gaussian(16, 3, (1, 4, 4))
    measurement = pool((1, 4, 4), 2, std)
    y = measurement.measure(mixture.sample(5, seeded(7)), seeded(8))
    means, around = gaussian_posterior(mixture, measurement, y)
    covariance = moments(around)[1][0]
    for k in range(5):
        one = posterior(mixture, measurement, y[k])
        assert torch.allclose(means[k], one.means[0], atol=1e-9)
        assert torch.allclose(covariance, (one.axes[0] * one.var[0]) @ one.axes[0].mT, atol=1e-9)
    drawn = around.sample(20_000, seeded(4))
    assert torch.allclose(torch.cov(drawn.flatten(1).mT), covariance, atol=0.05)
    assert drawn.mean(0).abs().max() < 0.05


def test_measured_numbers_may_follow_from_each_other():
    mixture = random_gaussian(6, 1)
    A = torch.randn(2, 6, generator=seeded(2), dtype=torch.float64)
    one, twice = linear(A, (6,)), linear(torch.cat([A, A]), (6,))
    x = mixture.sample(3, seeded(3))
    found = [gaussian_posterior(mixture, m, m.forward(x))[0] for m in (one, twice)]
    assert torch.allclose(*found, atol=1e-8)


def test_only_one_component_will_do():
    with pytest.raises(ValueError, match="mixture must be a single Gaussian; got 2 components"):
        gaussian_posterior(
            GaussianMixture(torch.zeros(2, 4), [1.0, 1.0]), linear(torch.eye(4), (4,)), torch.zeros(1, 4)
        )


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.5]))
def test_a_sample_has_exactly_twice_the_error_of_the_mean(seed, std):
    """In closed form: the error of a linear guess B y + c is a trace. Asking for basis vectors finds B."""
    D, M = 5, 2
    mixture, A = random_gaussian(D, seed), torch.randn(M, D, generator=seeded(seed + 9), dtype=torch.float64)
    measurement = linear(A, (D,), std)
    zero, *unit = gaussian_posterior(
        mixture, measurement, torch.cat([torch.zeros(1, M), torch.eye(M)]).double()
    )[0]
    B = torch.stack(unit, 1) - zero[:, None]
    prior = (mixture.axes[0] * mixture.var[0]) @ mixture.axes[0].mT
    rest = torch.eye(D).double() - B @ A
    error = rest @ prior @ rest.mT + std**2 * B @ B.mT  # covariance of x_0 − mean, over x_0 and the noise
    _, around = gaussian_posterior(mixture, measurement, torch.zeros(1, M).double())
    own = moments(around)[1][0]  # covariance of sample − mean, which is independent of x_0 − mean
    assert (error + own).trace().item() == pytest.approx(2 * error.trace().item(), rel=1e-9)


@pytest.mark.slow
def test_of_a_mixture_too_by_drawing():
    mixture = GaussianMixture(
        torch.tensor([[-1.0, 0.5], [1.0, -0.5]]).double(), [0.4, 0.7], weights=[0.3, 0.7]
    )
    measurement = linear(torch.tensor([[1.0, 1.0]]), (2,), 0.3)
    x = mixture.sample(1500, seeded(0))
    y, generator = measurement.measure(x, seeded(1)), seeded(2)
    errors = []
    for truth, known in zip(x, y, strict=True):
        found = posterior(mixture, measurement, known)
        mean = found.weights @ found.means
        errors.append([(truth - z).square().sum().item() for z in (mean, found.sample(1, generator)[0])])
    mean, sample = np.mean(errors, axis=0)
    assert sample == pytest.approx(2 * mean, rel=0.12)


# --- networks: what ships ---


@pytest.fixture(scope="module")
def few():
    """32 held-out patches, what is known of them, and eight samples of the network that is told it."""
    truth = pictures.patches(32, split="test", generator=seeded(11))
    measurement = pool((1, 24, 24), 4)
    y = measurement.forward(truth)
    denoiser = super_resolution.told(super_resolved.trained("upscaling"), measurement, y.repeat(8, 1))
    schedule = denoiser.schedule
    x_T = samplers.p_sample_prior((256, 1, 24, 24), schedule, seeded(12))
    *_, last = samplers.dpm_solver_pp_2m(denoiser, x_T, schedule, samplers.timesteps(schedule, 20))
    return truth, measurement, y, last.x.reshape(8, 32, 1, 24, 24), denoiser, x_T


@pytest.mark.slow
def test_the_network_beats_bicubic_by_a_decibel_and_samples_cost_three(few):
    truth, measurement, y, x, *_ = few
    plain = super_resolution.psnr(super_resolution.bicubic(y, measurement), truth)
    assert super_resolution.psnr(x.mean(0), truth) > plain + 1
    promised = (x[0] - x[1]).square().mean() / 2  # of the mean, by two samples alone
    reached = (x.mean(0) - truth).square().mean() / (1 + 1 / 8)
    assert 0.6 < reached / promised < 1.6
    assert 1.6 < (x[0] - truth).square().mean() / reached < 2.4


@pytest.mark.slow
def test_its_first_guess_is_the_mean(few):
    truth, _, _, x, denoiser, x_T = few
    first = super_resolution.mean_of(denoiser, x_T).reshape(8, 32, 1, 24, 24).mean(0)
    apart = [(first - z).square().mean().item() for z in (x.mean(0), x[0])]
    assert apart[0] < 0.5 * apart[1]
    assert super_resolution.psnr(first, truth) > super_resolution.psnr(x[0], truth)


def test_the_stored_table_says_what_it_must():
    table = super_resolved.table()
    decibels = {name: super_resolved.decibels(row["mean error"]) for name, row in table.items()}
    assert decibels["network told y"] > decibels["bicubic"] + 1
    assert decibels["Gaussian, exact"] > decibels["bicubic"]
    floor = table["the truth"]["mean distance"]
    for name in super_resolved.METHODS:
        row = table[name]
        assert floor / 2 < row["sample distance"] < row["mean distance"]
        assert row["sample error"] > 1.5 * row["mean error"] and row["sample misfit"] < 1e-3


def test_the_table_has_the_gaussians_row_as_computed_now():
    mean, sample, _ = super_resolved.answered("Gaussian, exact")
    row = super_resolved.table()["Gaussian, exact"]
    for kind, x in (("mean", mean), ("sample", sample)):
        assert row[f"{kind} error"] == pytest.approx(
            (x - super_resolved.held_out()[0]).square().mean().item(), abs=2e-5
        )
        blocks = F.unfold(x, 8, stride=8).mT.reshape(-1, 64)  # torch's own way to cut blocks
        distance = metrics.frechet_distance(blocks, super_resolved.held_out()[1])
        assert row[f"{kind} distance"] == pytest.approx(distance, abs=2e-4)


def test_the_gaussians_part_computed_anew_is_what_ships():
    found, kept = super_resolved.drawn("Gaussian, exact"), super_resolved.answers("Gaussian, exact")
    assert torch.allclose(found["curves"], kept["curves"], atol=2e-4)
    for name in ("mean", "sample"):
        assert torch.allclose(found[name].float(), kept[name], atol=2e-3)


# --- the explorer ---


@pytest.mark.parametrize("w", [0.0, 0.375, 1.25])
def test_the_code_makes_the_picture_on_the_screen(w):
    explorer = SuperResolution(method="Gaussian, exact", picture=3, w=w)
    drawn = run_code(explorer)["shown"]
    assert np.abs(drawn[0].numpy() - shown(explorer, "picture", "z")).max() < 2e-3  # shipped in float16


@pytest.mark.parametrize("method", EXPLORED)
def test_its_numbers_are_those_of_the_pictures_and_of_the_curves(method):
    explorer = SuperResolution(method=method, picture=2)
    truth = super_resolved.held_out()[0][1, 0].double().numpy()
    error, distance = (np.asarray(explorer.shown.traces[name]["y"]) for name in ("error", "distance"))
    assert error[0] == distance[0] == 1
    for k, w in enumerate(W):
        explorer.w = w
        x = shown(explorer, "picture", "z")
        own = peak_signal_noise_ratio(truth, x, data_range=2)
        assert float(explorer.numbers["PSNR, this patch"]) == pytest.approx(own, abs=0.01)
        assert float(explorer.numbers["error / error of the mean"]) == pytest.approx(error[k], rel=1e-3)
        y = shown(explorer, "here", "y")
        assert y.tolist() == [error[k], distance[k]] and shown(explorer, "here", "x").tolist() == [w, w]
    assert len(explorer.numbers) <= 8
    assert error[W.index(1)] > 1.5 and distance[W.index(1)] < 0.8, "what it is there to show"
    assert (np.diff(error) > -1e-3).all()


def test_what_is_known_and_the_truth_are_beside_it():
    explorer = SuperResolution(picture=4)
    column = np.asarray(explorer.shown.traces["known and truth"]["z"])
    truth = super_resolved.held_out()[0][3, 0].numpy()
    assert np.allclose(column[50:74], truth) and np.isnan(column[[24, 49]]).all()
    means = truth.reshape(6, 4, 6, 4).mean((1, 3))
    assert np.allclose(column[:24], np.kron(means, np.ones((4, 4))), atol=1e-5)
    enlarged = super_resolution.bicubic(super_resolved.small()[3:4], super_resolved.measurement())
    assert np.allclose(column[25:49], enlarged[0, 0].clamp(-1, 1), atol=1e-5)


def test_all_of_it_is_portable():
    assert SuperResolution.portable == ("method", "picture") and SHOWN * len(EXPLORED) <= 100
    assert len(super_resolved.held_out()[0]) == N
