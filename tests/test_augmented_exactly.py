"""Synthetic points where all is known: rules and their errors, their limits, the loop, and the explorer."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onscreen import run_code, shown
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import augmented_exactly as exactly
from diffusion_lab.experiments import own_samples
from diffusion_lab.explorers import Augment


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def two_classes(seed):
    root = torch.randn(2, 2, 2, generator=seeded(seed)).double()
    means = torch.randn(2, 2, generator=seeded(seed + 1)).double()
    return GaussianMixture(means, covariances=root @ root.mT + 0.1 * torch.eye(2).double())


def flat(x):
    """Points [2, n, 2] as scikit-learn takes them."""
    return x.flatten(0, 1).numpy(), np.repeat([0, 1], x.shape[1])


# --- rules and errors ---


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_rule_is_the_mixtures_own_log_ratio(seed):
    mixture = two_classes(seed)
    x = 3 * torch.randn(20, 2, generator=seeded(seed + 2)).double()
    posterior = mixture.log_posterior(x)
    rule = exactly.rule_of(*exactly.moments(mixture))
    assert torch.allclose(exactly.terms(x) @ rule, posterior[:, 1] - posterior[:, 0], rtol=1e-7, atol=1e-7)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_the_error_is_what_counting_finds(seed):
    """Of any rule: ellipses, hyperbolas, lines."""
    mixture = two_classes(seed)
    rules = torch.randn(4, 6, generator=seeded(seed + 2)).double()
    rules[1, 3:], rules[2, 5], rules[3, 4:] = 0, 0, 0
    found, n = exactly.error(rules, mixture), 40_000
    points = [exactly.terms(mixture.given(k).sample(n, seeded(seed + k))) @ rules.T for k in (0, 1)]
    counted = 0.5 * ((points[0] > 0).double().mean(0) + (points[1] < 0).double().mean(0))
    assert torch.allclose(found, counted, atol=5 * 0.5 / math.sqrt(2 * n))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.1, 4))
def test_the_error_of_two_gaussians_of_one_shape_is_half_their_distances_tail(seed, apart):
    """Φ(−Δ/2), by the standard library's erf; and constant rules are wrong about one class."""
    root = torch.randn(2, 2, generator=seeded(seed)).double()
    covariance = root @ root.mT + 0.2 * torch.eye(2).double()
    means = torch.tensor([[0.3, -1.0], [0.3, -1.0]]).double()
    means[1] += apart * torch.linalg.cholesky(covariance) @ torch.tensor([0.6, 0.8]).double()  # Δ = apart
    mixture = GaussianMixture(means, covariances=covariance.expand(2, 2, 2))
    rule = exactly.rule_of(means, covariance.expand(2, 2, 2))
    expected = 0.5 * math.erfc(apart / 2 / math.sqrt(2))
    assert exactly.error(rule[None], mixture).item() == pytest.approx(expected, abs=1e-5)
    always = torch.eye(6).double()[:1]
    assert exactly.error(torch.cat([always, -always]), mixture).tolist() == pytest.approx(
        [0.5, 0.5], abs=1e-6
    )


def test_no_rule_is_better_than_bayes():
    best = exactly.rule_of(*exactly.moments(exactly.truth()))
    others = best + 0.3 * torch.randn(50, 6, generator=seeded(3)).double()
    errors = exactly.error(others)
    assert errors.min() > exactly.bayes_error() - 1e-5 and errors.min() < exactly.bayes_error() + 0.01
    fine = exactly.error(best[None], slices=80_001).item()
    assert exactly.bayes_error() == pytest.approx(fine, abs=1e-5)


# --- what is learned, and its limit ---


@pytest.mark.parametrize("n", [5, 40])
def test_logistic_regression_is_scikit_learns(n):
    x = exactly.real_points(n, 1)
    X, y = flat(x)
    theirs = LogisticRegression(C=1 / 0.7, tol=1e-10, max_iter=10_000)
    theirs.fit(exactly.terms(torch.tensor(X)).numpy()[:, 1:], y)
    expected = [*theirs.intercept_, *theirs.coef_[0]]
    assert exactly.logistic(x, ridge=0.7).tolist() == pytest.approx(expected, abs=1e-4)


def test_the_limits_are_scikit_learns_qda_and_lda():
    x = exactly.real_points(30, 4)
    X, y = flat(x)
    probes = torch.randn(50, 2, generator=seeded(5)).double()
    for family, model in (
        ("own", QuadraticDiscriminantAnalysis()),
        ("shared", LinearDiscriminantAnalysis()),
    ):
        theirs = model.fit(X, y).decision_function(probes.numpy())
        assert np.allclose(exactly.terms(probes) @ exactly.limit(x, family), theirs, atol=1e-8)
    assert torch.equal(exactly.limit(x, "truth"), exactly.limit(x + 1, "truth"))


@pytest.mark.parametrize("family", exactly.FAMILIES)
def test_with_ever_more_synthetic_points_the_classifier_becomes_the_limit(family):
    x, probes = exactly.real_points(20, 2), exactly.terms(torch.randn(200, 2, generator=seeded(1)).double())
    goal = torch.sigmoid(probes @ exactly.limit(x, family))
    off = []
    for m in (8, 5000):
        rule = exactly.learned(x, family, m, seed=0)
        off.append((torch.sigmoid(probes @ rule) - goal).abs().mean().item())
    assert off[1] < 0.01 and off[1] < off[0] / 3


def test_synthetic_points_are_nested_and_of_the_fitted_moments():
    x = exactly.real_points(6, 3)
    many = exactly.synthetic_points(x, "round", 3000, 1)
    assert many.shape == (2, 18_000, 2)
    assert torch.equal(
        exactly.synthetic_points(x, "round", 2, 1), exactly.synthetic_points(x, "round", 64, 1)[:, :12]
    )
    assert exactly.synthetic_points(x, "own", 0, 1).shape == (2, 0, 2)
    assert torch.allclose(many.mean(1), x.mean(1), atol=0.05)
    variance = torch.stack([points.var(0, correction=0) for points in x]).mean()
    assert torch.allclose(torch.cov(many[0].mT), variance * torch.eye(2).double(), atol=0.05)


# --- the stored means ---


@pytest.mark.slow
def test_a_stored_row_comes_out_again():
    stored = exactly.table()["own", 10]
    assert stored == exactly.averaged("own", 10)
    assert {*exactly.table()} == {(f, n) for f in exactly.FAMILIES for n in exactly.PER_CLASS}


def test_what_the_texts_say_of_the_means():
    table, best = exactly.table(), exactly.bayes_error()
    for n in exactly.PER_CLASS:
        none = table["own", n]["0"]
        assert all(table[f, n]["0"] == none for f in exactly.FAMILIES)
        assert best < table["own", n]["64"] < none, "the right family helps, and never reaches Bayes"
        truth = [table["truth", n][str(m)] for m in exactly.RATIOS]
        assert truth == sorted(truth, reverse=True) and truth[-1] < best + 0.004
        assert table["truth", n]["64"] < table["own", n]["64"]
    for n in (20, 50, 200):  # the wrong family hurts, the more the more real points there are
        for family in ("shared", "round"):
            assert table[family, n]["64"] > table[family, n]["0"] + 0.015
    assert table["shared", 200]["64"] > table["shared", 10]["0"] - 0.01
    gains = [table["own", n]["0"] - table["own", n]["64"] for n in exactly.PER_CLASS]
    assert gains == sorted(gains, reverse=True), "the fewer real points, the more the assumption helps"


def test_bad_input():
    x = exactly.real_points(5, 0)
    with pytest.raises(ValueError, match="family must be one of own, shared"):
        exactly.generator_for(x, "square")
    with pytest.raises(ValueError, match="n must be an integer of at least 3; got 2"):
        exactly.real_points(2, 0)
    with pytest.raises(ValueError, match=r"rules must be a batch of \[6\]"):
        exactly.error(torch.zeros(1, 5).double())
    with pytest.raises(ValueError, match="n must be an integer of at least 2; got 1"):
        own_samples.variance_left(1, 3)


# --- generators that learn from their own samples ---


def test_the_variance_of_a_loop_at_a_hundred():
    replaced = own_samples.variance_left(100, 100)
    assert replaced[0] == 1 and replaced[-1].item() == pytest.approx(0.366, abs=5e-4)
    added = own_samples.variance_left(100, 5000, add=True)
    bound = math.sin(math.pi / 10) / (math.pi / 10)
    assert bound < added[-1].item() < bound + 1e-4 and added.diff().max() < 0


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("n", [2, 10])
def test_the_loop_in_closed_form_is_the_loop_simulated(add, n):
    runs = own_samples.variance_runs(n, 8, add, runs=40_000, generator=seeded(n))
    error = runs.std(1) / math.sqrt(runs.shape[1])
    assert ((runs.mean(1) - own_samples.variance_left(n, 8, add)).abs() <= 4.5 * error).all()


# --- the explorer ---


@pytest.mark.parametrize(("n", "generator", "m"), [(5, "round", 4), (50, "own covariances", 64)])
def test_the_explorer_shows_what_its_code_computes(n, generator, m):
    explorer = Augment(n=n, generator=generator, seed=2, m=m)
    rule, error = run_code(explorer)["shown"]
    assert float(explorer.numbers["error"]) == pytest.approx(error.item(), rel=5e-3)
    assert float(explorer.numbers["Bayes error"]) == pytest.approx(exactly.bayes_error(), rel=5e-3)
    sign = shown(explorer, "learned", "z") > 0
    ticks = np.asarray(explorer.shown.traces["learned"]["x"])
    x, y = np.meshgrid(ticks, ticks)
    direct = exactly.terms(torch.tensor(np.stack([x, y], -1)).double()) @ rule > 0
    assert (sign == direct.numpy()).mean() > 0.999
    assert len(shown(explorer, "synthetic 0", "x")) == min(m * n, 150)
    assert shown(explorer, "here", "y")[0] == pytest.approx(error.item())


def test_the_explorers_words_say_what_the_means_do():
    explorer = Augment(n=50, generator="one covariance", m=64)
    assert "raise the mean error" in explorer.frame.sentence
    explorer.generator = "own covariances"
    assert (
        "lower the mean error" in explorer.frame.sentence and "no new information" in explorer.frame.sentence
    )
    explorer.generator = "the truth itself"
    assert "new data" in explorer.frame.sentence
    explorer.m = 0
    assert explorer.numbers["mean error"] == explorer.numbers["mean without synthetic points"]
    assert len(explorer.numbers) <= 8
