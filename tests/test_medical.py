"""Phantoms, a scanner, what is concluded from it, and the explorer that shows it."""

import sys

import numpy as np
import pytest
import torch
from onscreen import run_code, shown
from scipy.stats import chi2, norm
from sklearn.metrics import roc_auc_score

from diffusion_lab.applications import phantoms as made
from diffusion_lab.applications.inverse import evidence, fourier, linear, posterior, radon
from diffusion_lab.applications.inverse.posterior import moments
from diffusion_lab.applications.phantoms import lesions, phantoms, prior, real_slice
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import classical, scanner
from diffusion_lab.experiments.scanner import KINDS, MOST, reconstruct
from diffusion_lab.explorers import Scanner


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# phantoms


@pytest.mark.parametrize("size", [8, 16, 32])
def test_phantoms_are_bodies_in_air(size):
    x = phantoms(50, size, generator=seeded(0))
    assert x.shape == (50, 1, size, size) and x.dtype == torch.float64
    assert x.min() == -1 and x.max() <= 0.7 and (x[..., 0, 0] == -1).all()
    assert x.std(0).max() > 0.1, "all different"
    middle = x[..., size // 2 - 1 : size // 2 + 1]  # the mediastinum, between the lungs
    assert (middle.mean((1, 2, 3)) > -0.6).all()
    assert torch.equal(x, phantoms(50, size, generator=seeded(0)))


@pytest.mark.parametrize("size", [16, 24])
def test_a_lesion_is_added_to_the_same_body(size):
    healthy = phantoms(200, size, generator=seeded(1))
    ill = phantoms(200, size, lesion=True, generator=seeded(1))
    covered = scanner.covered_by(ill, healthy)
    assert covered.min() >= 0 and covered.max() <= 1 + 1e-9
    assert ((ill >= healthy) | (covered == 0)).all() and ill.max() <= 0.9 + 1e-9
    area = covered.sum((1, 2, 3)) * (2 / size) ** 2
    low, high = torch.pi * 0.10**2, torch.pi * 0.14**2
    assert area.min() > 0.8 * low and area.max() < 1.2 * high  # as points of a grid count it
    assert area.mean() == pytest.approx((low + high + torch.pi * 0.12**2) / 3, rel=0.05)


def test_pixels_are_shares_of_area():
    """Anti-aliasing: a coarse picture is the mean of a fine one, up to what the fine points resolve."""
    fine, coarse = (phantoms(20, size, lesion=True, generator=seeded(2)) for size in (64, 16))
    off = torch.nn.functional.avg_pool2d(fine, 4) - coarse
    assert off.abs().max() < 0.25 and off.square().mean().sqrt() < 0.02


def test_an_ellipse_is_what_its_equation_says():
    centre, a, b, angle = (torch.tensor(v).double() for v in ([[0.2, -0.1]], [0.5], [0.25], [0.7]))
    covered = made._covered(centre, a, b, angle, 16)[0, 0].numpy()
    ticks = (np.arange(64) + 0.5) / 32 - 1
    turned = (ticks[None, :] - 0.2 + 1j * (ticks[:, None] + 0.1)) * np.exp(-0.7j)  # back by the angle
    inside = (turned.real / 0.5) ** 2 + (turned.imag / 0.25) ** 2 <= 1
    assert np.abs(covered - inside.reshape(16, 4, 16, 4).mean((1, 3))).max() < 1e-9
    assert covered.mean() * 4 == pytest.approx(np.pi * 0.5 * 0.25, rel=0.02)


def test_the_prior_is_fitted_to_healthy_phantoms():
    (mean, *_), (covariance, *_) = moments(prior())
    assert len(prior().means) == 1
    fresh = phantoms(4000, generator=seeded(3)).flatten(1)
    assert (fresh.mean(0) - mean).abs().max() < 0.05
    assert (fresh.var(0) - covariance.diagonal()).abs().max() < 0.03
    assert np.allclose(covariance.diagonal()[:16], made.RIDGE, rtol=1e-6), "the first row is air"


def test_held_out_likelihood_cannot_choose_the_ridge():
    train, held_out = (phantoms(500, generator=seeded(seed)) for seed in (4, 5))
    ridges = [made.RIDGE * share for share in (1, 0.3, 0.1, 0.03)]
    scores = [GaussianMixture.fit(train, ridge=r).log_prob(held_out).mean().item() for r in ridges]
    assert (np.diff(scores) > 10).all(), "less is always better, because of the air"


def test_what_was_drawn_needs_no_global_generator():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    phantoms(2, lesion=True, generator=seeded(0))
    prior.__wrapped__(8)
    scanner.scanned("CT", 2, True, 0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", [phantoms, lesions])
def test_bad_input_is_named(function):
    with pytest.raises(ValueError, match="n must be an integer of at least 1; got 0"):
        function(0)
    with pytest.raises(ValueError, match="size must be an integer of at least 8; got 4"):
        function(1, 4)
    with pytest.raises(ValueError, match="generator"):
        function(1, generator=3)


@pytest.mark.parametrize("size", [8, 16, 32, 128])
def test_the_real_slice(size):
    from pydicom import examples

    x = real_slice(size)
    assert x.shape == (1, 1, size, size) and x.min() == -1 and x.max() == 1
    raw = examples.ct.pixel_array.astype(float)
    side = 128 // size
    pooled = raw.reshape(size, side, size, side).mean((1, 3))
    assert np.corrcoef(x.flatten().numpy(), pooled.flatten())[0, 1] == pytest.approx(1, abs=1e-12)


def test_the_real_slice_says_what_it_needs(monkeypatch):
    with pytest.raises(ValueError, match=r"size must be a divisor of 128, .*; got 24"):
        real_slice(24)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(
        ImportError, match=r"real_slice needs pydicom: pip install 'diffusion_lab\[medical\]'"
    ):
        real_slice(16)


# the scanner


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [16, 24])
def test_the_adjoint_is_exact(kind, size):
    measurement = scanner.scanner(kind, 4, size)
    x = torch.randn(3, 1, size, size, generator=seeded(0), dtype=torch.float64)
    y = torch.randn(3, len(measurement.A), generator=seeded(1), dtype=torch.float64)
    left = (measurement.forward(x) * y).sum()
    right = (x * measurement.adjoint(y)).sum()
    assert abs(left - right) < 1e-12 * measurement.forward(x).norm() * y.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_more_views_add_numbers(kind):
    all_of_it = scanner.scanner(kind, MOST[kind]).A
    for count in range(1, MOST[kind]):
        A = scanner.scanner(kind, count).A
        assert torch.equal(A, all_of_it[: len(A)]) and len(A) < len(all_of_it)
    assert torch.linalg.matrix_rank(all_of_it) == 256 or kind == "CT"


def test_all_lines_of_k_space_are_the_picture():
    whole, x = scanner.scanner("MR", 9), phantoms(3, generator=seeded(0))
    assert torch.allclose(classical.zero_filled(whole.forward(x)[1], whole), x[1], atol=1e-10)
    every = fourier((1, 16, 16), torch.ones(16, 16, dtype=torch.bool)).A
    assert len(whole.A) >= len(every) == 256
    assert torch.linalg.matrix_rank(torch.cat([whole.A, every])) == 256


def test_views_are_radon_at_golden_angles():
    angles = scanner.golden_angles(5)
    assert np.allclose(np.diff(angles) % 180, 111.246, atol=1e-3)
    assert torch.equal(scanner.scanner("CT", 5).A, radon((1, 16, 16), scanner.golden_angles(12)).A[:115])
    gaps = np.diff(np.sort(np.append(scanner.golden_angles(8), 180)))
    assert gaps.max() < 2.7 * 180 / 8


@pytest.mark.parametrize("kind, count", [("PET", 3), ("CT", 0), ("CT", 13), ("MR", 10)])
def test_other_scanners_are_rejected(kind, count):
    with pytest.raises(ValueError, match="kind must be one of"):
        scanner.scanner(kind, count)


# what is concluded


@pytest.mark.parametrize("kind, count", [("CT", 1), ("CT", 5), ("MR", 3)])
def test_reconstructions_are_the_posterior(kind, count):
    measurement = scanner.scanner(kind, count)
    y = measurement.measure(phantoms(3, generator=seeded(0)), seeded(1))
    means, covariance = reconstruct(prior(), measurement, y)
    for row, mean in zip(y, means, strict=True):
        exact = posterior(prior(), measurement, row)
        assert torch.allclose(exact.means[0], mean, atol=1e-9)
        assert torch.allclose(moments(exact)[1][0], covariance, atol=1e-9)
    with pytest.raises(ValueError, match="mixture must be a single Gaussian; got 2 components"):
        reconstruct(GaussianMixture(torch.zeros(2, 1, 16, 16), stds=[1.0, 2.0]), measurement, y)


def test_the_evidence_is_that_of_the_package():
    measurement = scanner.scanner("CT", 3)
    y = measurement.measure(phantoms(4, generator=seeded(0)), seeded(1))
    assert torch.allclose(scanner.evidence_of("CT", 3).log_prob(y), evidence(prior(), measurement, y))


def test_regions_are_those_of_scipy():
    for level in (0.5, 0.9, 0.99):
        half = norm.interval(level)[1]
        at = torch.tensor([half - 1e-6, half + 1e-6]).double()
        assert scanner.in_interval(at, torch.zeros(2), torch.ones(2), level).tolist() == [True, False]
        radius = chi2.ppf(level, 3) ** 0.5
        x = torch.tensor([[[[radius + off, 0, 0]]] for off in (-1e-6, 1e-6)]).double()
        assert scanner.in_ellipsoid(x, torch.zeros_like(x), torch.eye(3).double(), level).tolist() == [
            True,
            False,
        ]


@pytest.mark.parametrize("kind, count", [("CT", 3), ("CT", 9), ("MR", 4)])
def test_regions_cover_bodies_from_the_prior(kind, count):
    x = prior().sample(600, seeded(4))
    found = scanner.coverage(kind, count, x, seeded(5))
    # 600 pictures; a picture's pixels are not independent, so their share varies more than 256 · 600 coins
    assert found["pictures"] == pytest.approx(0.9, abs=4 * (0.9 * 0.1 / 600) ** 0.5)
    assert found["pixels"] == pytest.approx(0.9, abs=0.005)
    assert found["uncertain pixels"] == pytest.approx(0.9, abs=0.01)
    assert found["error"] == pytest.approx(found["std"], rel=0.02)


@pytest.mark.parametrize("kind, count", [("CT", 4), ("MR", 4)])
def test_held_out_phantoms_are_nearly_covered_and_lesions_are_not(kind, count):
    held_out = scanner.coverage(kind, count, phantoms(500, generator=seeded(6)), seeded(7))
    assert 0.88 < held_out["uncertain pixels"] < 0.95 and 0.93 < held_out["pixels"] < 0.98
    assert held_out["error"] < 1.05 * held_out["std"]
    ill = scanner.coverage(kind, count, phantoms(500, lesion=True, generator=seeded(6)), seeded(7))
    assert ill["pictures"] < 0.1 and ill["error"] > 1.8 * ill["std"]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [200, 600])
def test_dps_does_not_cover(steps):
    found = scanner.by_samples("CT", 4, scans=5, draws=15, steps=steps, generator=seeded(8))
    exact, dps = found["exact"], found["dps"]
    assert exact["width"] == pytest.approx(1, abs=0.03) and exact["pixels"] == pytest.approx(0.87, abs=0.04)
    assert dps["width"] < 0.92 and dps["pixels"] < exact["pixels"] - 0.03


# a lesion


@pytest.mark.parametrize("kind, count", [("CT", 4), ("MR", 4)])
def test_a_lesion_disappears_with_confidence_and_raises_the_alarm(kind, count):
    found = scanner.come_through(kind, count, 300, seeded(9))
    truth, seen, std = (found[name].mean() for name in ("truth", "seen", "std"))
    assert seen < 0.4 * truth, "most of it is gone"
    assert truth - seen > 8 * std, "and nothing says so"
    assert found["inside"].nanmean() < 0.1
    alarm = scanner.alarm(kind, count, 500, seeded(10))
    assert alarm["area"] > 0.95 and alarm["below"] > 0.6


def test_come_through_is_what_two_reconstructions_say():
    found = scanner.come_through("CT", 3, 5, seeded(11))
    healthy, ill = (phantoms(5, lesion=lesion, generator=seeded(11)) for lesion in (False, True))
    measurement, covered = scanner.scanner("CT", 3), scanner.covered_by(ill, healthy)
    for k in range(5):
        with_it, without = (
            posterior(prior(), measurement, measurement.forward(x)[k]).means[0] for x in (ill, healthy)
        )
        seen = np.average(with_it - without, weights=covered[k])
        assert found["seen"][k].item() == pytest.approx(seen, abs=1e-9)
        assert found["truth"][k].item() == pytest.approx(np.average(ill[k] - healthy[k], weights=covered[k]))


def test_roc_area_is_that_of_scikit_learn():
    healthy, ill = torch.randn(80, generator=seeded(0)), torch.randn(50, generator=seeded(1)) - 0.5
    ill[:5] = healthy[:5]  # ties
    truth = [0] * 80 + [1] * 50
    expected = roc_auc_score(truth, -torch.cat([healthy, ill]).numpy())
    assert scanner.roc_area(healthy, ill) == pytest.approx(expected, abs=1e-9)


def test_the_alarm_is_calibrated_on_healthy_scans():
    """Healthy scans of other phantoms fall below the 1 % quantile about as often as they should."""
    usual = scanner.healthy_log_p("MR", 3)
    measurement = scanner.scanner("MR", 3)
    y = measurement.measure(phantoms(2000, generator=seeded(12)), seeded(13))
    others = scanner.evidence_of("MR", 3).log_prob(y)
    assert (usual.diff() >= 0).all() and len(usual) == scanner.HEALTHY
    assert (others < usual.quantile(0.01)).double().mean() < 0.03
    assert scanner.roc_area(usual, others) == pytest.approx(0.5, abs=0.04)


# the classics


def objective(x, y, measurement, weight):
    """Half the squared misfit + weight · TV, TV as in scikit-image: forward differences."""
    down, right = (torch.nn.functional.pad(x[0].diff(dim=d), p) for d, p in ((0, (0, 0, 0, 1)), (1, (0, 1))))
    misfit = 0.5 * (measurement.forward(x[None])[0] - y).square().sum()
    return misfit + weight * (down**2 + right**2).sqrt().sum()


@pytest.mark.parametrize("weight", [0.2, 2.0])
def test_total_variation_is_a_minimum(weight):
    measurement = scanner.scanner("CT", 5)
    y = measurement.measure(phantoms(1, generator=seeded(0)), seeded(1))[0]
    x = classical.total_variation(y, measurement, weight, steps=200)
    least = objective(x, y, measurement, weight)
    noise = torch.randn(20, *x.shape, generator=seeded(2), dtype=torch.float64)
    for other in [0.99 * x, x + 0.01, torch.full_like(x, x.mean()), *(x + 0.003 * noise)]:
        assert objective(other, y, measurement, weight) > least
    with pytest.raises(ValueError, match="weight must be a number above 0; got 0"):
        classical.total_variation(y, measurement, 0)


def test_total_variation_of_a_whole_picture_is_denoising():
    from skimage.restoration import denoise_tv_chambolle

    x = phantoms(1, generator=seeded(0))
    y = (x + 0.1 * torch.randn(x.shape, generator=seeded(1), dtype=torch.float64)).flatten()
    whole = linear(torch.eye(256, dtype=torch.float64), (1, 16, 16), 0.1)
    flat = denoise_tv_chambolle(y.reshape(16, 16).numpy(), 0.1, eps=1e-8, max_num_iter=2000)
    ours = classical.total_variation(y, whole, 0.1, steps=100)[0]
    assert np.abs(ours.numpy() - flat).max() < 0.03


def test_back_projection_sees_the_body_and_prefers_more_views():
    x = phantoms(1, 24, generator=seeded(3))
    errors = []
    for count in (3, 12):
        measurement = scanner.scanner("CT", count, 24)
        guess = classical.back_projected(measurement.forward(x)[0], measurement, count)
        errors.append((guess - x[0]).square().mean().sqrt().item())
    assert errors[1] < 0.6 * errors[0] and errors[1] < 0.2


def test_the_weight_is_the_best_one():
    measurement = scanner.scanner("MR", 4)
    x = phantoms(1, generator=seeded(4))
    y = measurement.measure(x, seeded(5))
    errors = {}
    for weight in classical.WEIGHTS:
        guesses = [classical.total_variation(row, measurement, weight) for row in y]
        errors[weight] = (torch.stack(guesses) - x).square().mean()
    assert classical.best_weight(x, y, measurement) == min(errors, key=errors.get)


# the explorer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lesion", [True, False])
def test_the_explorer_shows_what_its_code_computes(kind, lesion):
    explorer = Scanner(kind=kind, lesion=lesion, seed=2, count=3)
    found = run_code(explorer)
    mean, std = found["shown"]
    assert np.allclose(shown(explorer, "mean", "z"), mean[0], atol=1e-6)
    assert np.allclose(shown(explorer, "std", "z"), std[0], atol=1e-6)
    error = mean - found["body"][0]
    assert np.allclose(shown(explorer, "error", "z"), error[0].abs(), atol=1e-6)
    assert np.array_equal(explorer.shown.traces["truth"]["z"], found["body"][0, 0])
    assert float(explorer.numbers["rms error"]) == pytest.approx(
        error.square().mean().sqrt().item(), rel=0.02
    )
    exact = posterior(prior(), found["measurement"], found["y"][1])
    assert torch.allclose(exact.means[0], mean, atol=1e-9)
    above = evidence(prior(), found["measurement"], found["y"][1]) - scanner.healthy_log_p(kind, 3).median()
    said = explorer.numbers["log p(y) − median"]
    assert float(said.split()[0]) == pytest.approx(above.item(), abs=0.051)
    assert shown(explorer, "now", "y").item() == pytest.approx(above.item(), abs=1e-4)
    assert (explorer.numbers["lesion's contrast"] == "none") == (not lesion)


def test_more_views_see_more_and_doubt_less():
    frames = Scanner(kind="CT", lesion=False, seed=4).shown.frames
    std = [frame.numbers["rms std"] for frame in frames]
    assert len(frames) == MOST["CT"] and (np.diff(std) < 0).all()
    assert frames[-1].numbers["rms error"] < 0.8 * frames[0].numbers["rms error"]
    assert [frame.numbers["measured numbers"] for frame in frames] == list(range(23, 277, 23))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_seen_of_the_lesion(kind):
    """Little of its contrast; std is the same as without it; the alarm says so."""
    ill, healthy = (Scanner(kind=kind, lesion=lesion, seed=12, count=4) for lesion in (True, False))
    seen, truth = map(float, ill.numbers["lesion's contrast"].split(" of "))
    assert seen < truth / 3 and truth - seen > 5 * float(ill.numbers["std there"])
    assert np.array_equal(shown(ill, "std", "z"), shown(healthy, "std", "z"))
    assert "p(y) raises the alarm" in ill.frame.sentence and "as usual" in healthy.frame.sentence
    below = [int(explorer.numbers["healthy scans below it"].split()[0]) for explorer in (ill, healthy)]
    assert below[0] < 5 < below[1]


def test_every_sentence_belongs_to_its_numbers():
    for seed in (0, 7):
        for lesion in (True, False):
            for frame in Scanner(kind="CT", lesion=lesion, seed=seed).shown.frames:
                rare = int(frame.numbers["healthy scans below it"].split()[0]) < 5
                assert ("alarm" in frame.sentence) == rare
                assert ("lost with confidence" in frame.sentence) == lesion
                assert "From 1 views" not in frame.sentence
    assert Scanner.portable == ("kind", "lesion")
    one_line = Scanner(kind="MR", count=1).frame
    assert "From 1 line of k-space:" in one_line.sentence and one_line.alt.startswith("Four images")
