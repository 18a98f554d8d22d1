"""Synthetic digits for a classifier: where they come from, that the comparison is fair, what was stored."""

import numpy as np
import pytest
import torch
from scipy import stats

from diffusion_lab.experiments import augmented, few_digits, own_samples
from diffusion_lab.experiments.stored import digits
from diffusion_lab.features import Classifier, accuracy
from diffusion_lab.features import load as load_judge


def rows_of(x):
    """Each picture as a tuple of its pixels."""
    return {tuple(row) for row in x.flatten(1).tolist()}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- fair ---


def test_what_is_learned_from_chosen_on_and_tested_on_is_apart():
    learned, chosen, test = (
        rows_of(x) for x, _ in (few_digits.pool(), few_digits.chosen_on(), digits("test"))
    )
    assert len(few_digits.pool()[0]) == 1149 and len(few_digits.chosen_on()[0]) == 288
    assert not learned & chosen and not learned & test and not chosen & test
    every, labels = few_digits.pool()
    for n, seed in ((5, 0), (50, 9), (100, 104)):
        x, label = few_digits.labelled(n, seed)
        assert torch.bincount(label).tolist() == [n] * 10 and rows_of(x) <= learned
        where = (every.flatten(1)[None] == x.flatten(1)[:20, None]).all(2).double().argmax(1)
        assert torch.equal(labels[where], label[:20])
    fewer, more = few_digits.labelled(5, 3)[0], few_digits.labelled(10, 3)[0]
    assert rows_of(fewer) < rows_of(more) and rows_of(fewer) != rows_of(few_digits.labelled(5, 4)[0])


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_every_classifier_makes_the_same_steps_and_sees_the_share_that_was_said(share, monkeypatch):
    batches = []
    monkeypatch.setattr(few_digits, "warped", lambda x, _: batches.append(x) or x)
    real = few_digits.labelled(5, 0)
    for extra in (
        None,
        *((torch.full((count, 1, 8, 8), 0.123), torch.arange(count) % 10) for count in (10, 400)),
    ):
        batches.clear()
        few_digits.classifier(real, extra, distorted=True, steps=7, share=share)
        assert [len(x) for x in batches] == [few_digits.BATCH] * 7
        found = {int((x == 0.123).all((1, 2, 3)).sum()) for x in batches}
        assert found == {0 if extra is None else round(share * 64)}


def test_a_classifier_learns_and_touches_nothing_global():
    before = torch.get_rng_state()
    real = few_digits.labelled(10, 0)
    net = few_digits.classifier(real, seed=1, steps=60)
    again = few_digits.classifier(real, seed=1, steps=60)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert isinstance(net, Classifier) and not net.training and accuracy(net, *digits("test")) > 0.6


# --- where pictures come from ---


def test_gaussian_digits_have_the_shrunk_moments():
    label = few_digits.in_turn(8)
    around = 0.1 * torch.randn(80, 1, 8, 8, generator=seeded(1))
    around[..., 1] += 0.5 * around[..., 0]  # neighbours belong together
    x = around + 0.02 * label[:, None, None, None]
    drawn, told = few_digits.gaussian_digits((x, label), 4000, seed=2, shrinkage=0.4)
    assert torch.equal(told, few_digits.in_turn(4000)) and drawn.dtype == torch.float32
    means = torch.stack([x[label == k].mean(0) for k in range(10)])
    found = torch.stack([drawn[told == k].mean(0) for k in range(10)])
    assert torch.allclose(found, means, atol=0.012)
    S = np.cov((x - means[label]).flatten(1).double().numpy().T, bias=True)
    expected = 0.6 * S + 0.4 * np.trace(S) / 64 * np.eye(64)
    assert np.allclose(np.cov((drawn - found[told]).flatten(1).numpy().T), expected, atol=8e-4)


def test_the_first_of_each_class_are_the_first_of_each_class():
    label = torch.tensor([3, 1, 3, 0, 1, 0, 3, *range(10), *range(10)])
    x = torch.arange(len(label)).float().reshape(-1, 1, 1, 1)
    fewer, told = few_digits.first_of_each((x, label), 2)
    assert told.tolist() == [k for k in range(10) for _ in range(2)]
    assert fewer.flatten()[:4].tolist() == [3, 5, 1, 4] and fewer.flatten()[6:8].tolist() == [0, 2]


def test_generators_draw_digits_of_each_class_the_same_twice(monkeypatch):
    real, before = few_digits.labelled(5, 0), torch.get_rng_state()
    model = few_digits.diffusion(real, seed=3, steps=4)
    short = few_digits.without_labels.__wrapped__(2)
    monkeypatch.setattr(few_digits, "without_labels", lambda: short)
    told = few_digits.taught(real, seed=3, steps=2)
    for net, w in ((model, 1.0), (model, 3.0), (told, 2.0)):
        x, label = few_digits.drawn_digits(net, 3, seed=1, w=w)
        assert x.shape == (30, 1, 8, 8) and x.abs().max() <= 1 and label.tolist() == list(range(10)) * 3
        assert torch.equal(few_digits.drawn_digits(net, 3, seed=1, w=w)[0], x)
    assert torch.equal(before, torch.get_rng_state())


def test_the_taught_one_begins_with_the_weights_it_is_given():
    weights = {k: v.clone() for k, v in few_digits.without_labels.__wrapped__(1).net.state_dict().items()}
    plan = few_digits.FewDigits(arguments=dict(classes=11), start=weights)
    assert all(torch.equal(v, weights[k]) for k, v in plan.make_network().state_dict().items())
    assert any(
        (v != weights[k]).any()
        for k, v in few_digits.FewDigits(arguments=dict(classes=11)).make_network().state_dict().items()
    )


def test_pseudo_labels_are_what_the_judge_says():
    judge = few_digits.classifier(few_digits.labelled(5, 0), steps=20)
    x, label = few_digits.pseudo_labelled(judge)
    assert torch.equal(x, few_digits.pool()[0]) and torch.equal(label, judge.probabilities(x).argmax(1))


def test_bad_input():
    with pytest.raises(ValueError, match="n must be an integer of at least 1; got 0"):
        few_digits.labelled(0, 0)
    with pytest.raises(ValueError, match=r"n must be at most 100.*got 101"):
        few_digits.labelled(101, 0)
    with pytest.raises(ValueError, match="must be those of a row"):
        augmented.accuracies(5, "oracle")


# --- what was stored ---


def test_the_tables_are_whole():
    arms = {(r["n"], r["source"], r["ratio"], r["distorted"]) for r in augmented.table()}
    assert len(augmented.table()) == 10 * len(arms)
    for n in augmented.PER_CLASS:
        for source in augmented.SOURCES:
            assert {r for m, s, r, d in arms if (m, s, d) == (n, source, 0)} == set(augmented.ratios(n))
            assert (n, source, augmented.RATIO, 1) in arms
    tried = {(r["source"], r["what"], float(r["value"])) for r in augmented.choices()}
    assert len(augmented.choices()) == len(tried) * len(augmented.CHOICE_SEEDS)
    assert not set(augmented.CHOICE_SEEDS) & set(augmented.SEEDS)


@pytest.mark.parametrize("seed", [0, 7])
def test_stored_rows_come_out_again(seed):
    """To within a few of the 360 test digits, on another processor."""
    real, found = few_digits.labelled(10, seed), {}
    found["none", 0] = few_digits.classifier(real, None, seed)
    extra = few_digits.gaussian_digits(real, 160, seed, augmented.chosen("Gaussians", "shrinkage"))
    share = augmented.chosen("Gaussians", "share")
    found["Gaussians", 4] = few_digits.classifier(
        real, few_digits.first_of_each(extra, 40), seed, share=share
    )
    for (source, ratio), net in found.items():
        stored = augmented.accuracies(10, source, ratio)[seed].item()
        assert accuracy(net, *digits("test")) == pytest.approx(stored, abs=0.02)


def test_the_interval_is_students():
    values = torch.randn(10, generator=seeded(4)).double()
    mean, half = augmented.interval(values)
    low, high = stats.t.interval(0.95, 9, values.mean().item(), stats.sem(values.numpy()))
    assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-3)


def test_the_pictures_that_ship_are_those_of_the_sources():
    stored = augmented.pictures()
    assert {*augmented.SOURCES, "real", "taught, w = 1"} < set(stored)
    assert all(x.shape == (100, 1, 8, 8) and x.abs().max() <= 1 for x in stored.values())
    real = few_digits.labelled(10, 0)
    drawn, _ = few_digits.gaussian_digits(real, 160, 0, augmented.chosen("Gaussians", "shrinkage"))
    assert torch.allclose(stored["Gaussians"], drawn[:100], atol=0.01)
    near = torch.cdist(stored["real"].flatten(1), real[0].flatten(1)).min(1)
    assert near.values.max() < 0.05 and torch.equal(real[1][near.indices], few_digits.in_turn(10))


# --- generators that learn from their own samples ---


def test_spread_is_the_variance_within_classes():
    label = torch.arange(10).repeat(400)
    x = 5 * label[:, None, None, None] + 2 * torch.randn(4000, 1, 8, 8, generator=seeded(0))
    assert own_samples.spread((x, label)) == pytest.approx(4 * 64, rel=0.02)


def test_a_loop_begins_with_real_digits_and_adds_or_replaces(monkeypatch):
    seen = []
    monkeypatch.setattr(own_samples, "diffusion", lambda data, seed: seen.append(len(data[0])))
    monkeypatch.setattr(own_samples, "drawn_digits", lambda model, n, seed, w: few_digits.labelled(n, seed))
    monkeypatch.setattr(own_samples, "measured", lambda data, seed: {"count": len(data[0])})
    for way in own_samples.WAYS:
        seen.clear()
        rows = own_samples.loop(way, 0)
        assert [row["generation"] for row in rows] == list(range(7)) and {r["count"] for r in rows} == {500}
        assert seen == [500 * (g if way == "added" else 1) for g in range(1, 7)]


def test_the_stored_loops_begin_alike_and_the_real_digits_come_out_again():
    first = [r for r in own_samples.table() if r["generation"] == 0]
    assert len(first) == 6 and len(own_samples.table()) == 42
    found = own_samples.measured(few_digits.labelled(50, 0), 0)
    for row in first:
        if row["seed"] == 0:
            assert row["accuracy"] == pytest.approx(found["accuracy"], abs=0.02)
            assert row["frechet"] == pytest.approx(found["frechet"], rel=0.02)
            assert row["spread"] == pytest.approx(found["spread"], rel=1e-3)


def test_what_the_texts_say_of_the_loops():
    found = {
        column: {way: own_samples.averaged(way, column) for way in own_samples.WAYS}
        for column in ("accuracy", "frechet", "spread")
    }
    spread, frechet, right = found["spread"], found["frechet"], found["accuracy"]
    for way in own_samples.WAYS:
        assert spread[way][6] < spread[way][1] < spread[way][0] and frechet[way][6] > frechet[way][1]
    assert spread["replaced"][1] / spread["replaced"][0] == pytest.approx(0.75, abs=0.03), "a quarter"
    assert spread["replaced, guided"][6] / spread["replaced, guided"][0] == pytest.approx(0.01, abs=0.004)
    assert spread["added"][6] > 2 * spread["replaced"][6] and frechet["added"][6] < frechet["replaced"][6] / 2
    assert frechet["added"][6] > frechet["added"][5] > frechet["added"][3]
    assert right["added"][6] > right["replaced"][6] > right["replaced, guided"][6]
    assert right["replaced, guided"][6] == pytest.approx(0.71, abs=0.01)


def test_what_the_texts_say_of_the_choices():
    guided = {source: augmented.tried(source, "guidance") for source in ("diffusion", "taught")}
    assert augmented.chosen("diffusion", "guidance") == 1.0
    assert (
        augmented.chosen("taught", "guidance") == 8.0 and guided["taught"][8.0] > guided["taught"][1.0] + 0.02
    )
    none = augmented.tried("none", "nothing")[0.0]
    assert max(guided["diffusion"].values()) < none + 0.01, "little is better than nothing"


def gain(n, source, ratio=0, distorted=False, over=None):
    """(low, mean, high): the gain in percent over no other pictures, or over distortions alone."""
    base = augmented.accuracies(n, "none", distorted=over is not None)
    mean, half = augmented.interval(100 * (augmented.accuracies(n, source, ratio, distorted) - base))
    return mean - half, mean, mean + half


def test_what_the_texts_say_of_the_comparison():
    """Signs that the text gives are those of whole intervals, where it does not say otherwise."""
    for n, about in ((5, 1.2), (10, 0.9), (20, 0.6)):
        assert gain(n, "diffusion", 4)[1] == pytest.approx(about, abs=0.05)
    assert gain(20, "diffusion", 4)[0] > 0
    assert all(gain(50, source, 4)[1] < 0 for source in augmented.SOURCES)
    assert gain(50, "diffusion", 4)[2] < 0 and gain(50, "taught", 4)[2] < 0
    low, mean, high = gain(10, "pseudo-labels")
    assert low < 0 < high and mean == pytest.approx(0.5, abs=0.05)
    assert gain(10, "taught", 4)[1] < mean
    assert gain(5, "pseudo-labels")[0] > 0 and gain(5, "pseudo-labels")[1] == pytest.approx(1.1, abs=0.05)
    assert gain(5, "taught", 4)[2] < 0 and gain(5, "taught", 4)[1] == pytest.approx(-2.1, abs=0.05)


def test_what_the_texts_say_of_how_many_and_of_what_hurts():
    for source in ("Gaussians", "diffusion"):
        rises = [gain(10, source, ratio)[1] for ratio in augmented.RATIOS]
        assert rises == sorted(rises) and rises[2] - rises[1] < rises[1] - rises[0]
    for n in augmented.PER_CLASS:
        assert gain(n, "diffusion, short training", 4)[2] < 0
        assert gain(n, "diffusion, short training", 4)[1] == pytest.approx(-3, abs=0.7)
    for n in (5, 10, 20):
        assert gain(n, "diffusion, strong guidance", 4)[1] < gain(n, "diffusion", 4)[1] - 0.3


def test_what_the_texts_say_of_distortions():
    assert gain(5, "diffusion", 4, True)[1] == pytest.approx(3.6, abs=0.05)
    for n in (5, 10):
        assert gain(n, "diffusion", 4, True, over="distortions")[0] > 0
        pseudo = gain(n, "pseudo-labels", 0, True, over="distortions")
        assert pseudo[0] > 0 and pseudo[1] > gain(n, "diffusion", 4, True, over="distortions")[1]


def test_what_the_texts_say_of_the_pictures():
    stored, label = augmented.pictures(), few_digits.in_turn(10)
    right = {name: accuracy(load_judge(), x, label) for name, x in stored.items()}
    assert right["taught, w = 1"] == pytest.approx(0.77, abs=0.03) and right["taught"] > 0.95
    spread = {name: own_samples.spread((x, label)) for name, x in stored.items()}
    assert spread["taught"] / spread["taught, w = 1"] == pytest.approx(2 / 3, abs=0.06)
    real = stored["real"].flatten(1)
    apart = torch.cdist(real, real).fill_diagonal_(torch.inf).min(1).values.mean()
    assert torch.cdist(stored["diffusion"].flatten(1), real).min(1).values.mean() < apart
