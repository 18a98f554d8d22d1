"""The explorer of metrics: its numbers are the package's, and each metric notices what its docstring says."""

import numpy as np
import pytest
import torch
from onscreen import run_code
from scipy.ndimage import uniform_filter

from diffusion_lab import data, features, metrics
from diffusion_lab.experiments.spoilt_digits import (
    METRICS,
    SIZES,
    STRENGTHS,
    WAYS,
    WIDE,
    division,
    gaussian_digits,
    judge,
    measure,
    of_divisions,
    spoil,
    usual,
)
from diffusion_lab.explorers.sample_metrics import VERDICTS, SampleMetrics


def notices(how, s, N=200):
    """metric -> "worse", "usual" or "better", read from the sentence on the screen."""
    explorer = SampleMetrics(how=how, N=N, s=s)
    parts = explorer.frame.sentence.replace(WAYS[how], "").strip(" .").split(". ")
    if len(parts) == 1 and ":" not in parts[0]:
        return dict.fromkeys(METRICS, "usual")
    verdicts = {"Worse": "worse", "Usual": "usual", "Better": "better", "Farther": "farther"}
    return {name: verdicts[part.split(" ")[0]] for part in parts for name in part.split(": ")[1].split(", ")}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("s", [0.0, 0.6])
def test_the_code_makes_what_is_on_the_screen(how, s):
    explorer = SampleMetrics(how=how, N=50, s=s)
    samples, found = run_code(explorer)["shown"]
    assert found == explorer.frame.numbers and list(found) == list(METRICS)
    reference, real, held_out = division(5, seed=21)
    assert torch.equal(samples, spoil(real, reference, how, s))
    classifier = features.load()
    a, b = classifier.features(reference), classifier.features(samples)
    expected = [metrics.frechet_distance(a, b), metrics.inception_score(classifier.probabilities(samples))]
    expected += [*metrics.precision_recall(a, b), metrics.mmd2(a, b)]
    expected += [metrics.memorisation(samples, reference, held_out).nearer]
    assert [*found.values()] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert measure(samples, reference, held_out) == pytest.approx(expected, rel=1e-3, abs=1e-5)
    sheet = explorer.frame.changes["samples"]["z"]
    assert np.array_equal(sheet[:8, 9:17], samples[5, 0].numpy()), "the first 1"
    assert np.array_equal(sheet[9:, 9:17], samples[6, 0].numpy()), "the second"
    for name, value in found.items():
        ring = explorer.frame.changes[name]
        assert ring["x"] == [s] and ring["y"] == [value]


@pytest.mark.parametrize("N", SIZES)
def test_the_bands_are_what_is_usual(N):
    rows = of_divisions(N // 10).numpy()
    mean, std = usual(N // 10)
    assert np.allclose(mean, rows.mean(0), atol=1e-3) and np.allclose(std, rows.std(0, ddof=1), atol=1e-3)
    explorer, words = SampleMetrics(how="copies", N=N), {color: name for name, (color, _) in VERDICTS.items()}
    for k, name in enumerate(METRICS):
        band, line = (explorer.shown.traces[each] for each in (f"usual {name}", f"{name} over s"))
        assert [band["y"][0], band["y"][2]] == pytest.approx(
            [mean[k] - WIDE * std[k], mean[k] + WIDE * std[k]]
        )
        values = [frame.numbers[name] for frame in explorer.shown.frames]
        assert line["y"] == values and line["x"] == STRENGTHS
        for value, color in zip(values, line["marker"]["color"], strict=True):
            assert (words[color] == "usual") == (band["y"][0] <= value <= band["y"][2])


def test_three_sets_of_different_digits_with_the_same_classes():
    images, labels = (torch.cat(part) for part in zip(data.digits("train"), data.digits("test"), strict=True))
    label_of = {image.numpy().tobytes(): label for image, label in zip(images, labels.tolist(), strict=True)}
    for n in (5, 57):
        sets = division(n, seed=3)
        rows = [image.numpy().tobytes() for part in sets for image in part]
        assert len(set(rows)) == len(rows) == 30 * n
        for part in sets:
            assert [label_of[image.numpy().tobytes()] for image in part] == sorted(list(range(10)) * n)
    assert torch.equal(division(5, 3)[0], division(20, 3)[0].reshape(10, 20, 1, 8, 8)[:, :5].flatten(0, 1))


def test_what_spoils_does_what_it_says():
    reference, real, _ = division(20, 0)
    for how in WAYS:
        assert torch.equal(spoil(real, reference, how, 0.0), real)
    noise = spoil(real, reference, "noise", 0.6) - real
    assert noise.std().item() == pytest.approx(0.3, rel=0.02) and abs(noise.mean()) < 0.01
    around = uniform_filter(real[:, 0].numpy(), (0, 3, 3), mode="constant", cval=-1)
    assert np.allclose(spoil(real, reference, "blur", 1.0)[:, 0], around, atol=1e-5)
    half = spoil(real, reference, "blur", 0.5)
    assert torch.allclose(2 * half - real, spoil(real, reference, "blur", 1.0), atol=1e-5)
    # classes 0…5 and the first half of 5 stay: 110 of 200; in the end class 0, every digit ten times
    kept = spoil(real, reference, "drop classes", 0.5)
    assert torch.equal(kept.unique(dim=0), real[:110].unique(dim=0))
    last, often = spoil(real, reference, "drop classes", 1.0).unique(dim=0, return_counts=True)
    assert torch.equal(last, real[:20].unique(dim=0)) and (often == 10).all()
    assert torch.equal(spoil(real, reference, "copies", 1.0), reference)
    one = spoil(real, reference, "one per class", 1.0).reshape(10, 20, 1, 8, 8)
    assert (one == one[:, :1]).all() and torch.equal(one[:, 0], real[::20])
    for how in ("copies", "one per class", "class Gaussians"):
        changed = (spoil(real, reference, how, 0.4) != real).flatten(1).any(1).sum()
        assert 72 <= changed <= 80, "80, but for those replaced by themselves"


@pytest.mark.parametrize("N", SIZES)
@pytest.mark.parametrize("how", WAYS)
def test_nothing_is_noticed_where_nothing_is_spoilt(how, N):
    assert set(notices(how, 0.0, N).values()) == {"usual"}


def test_gaussian_digits_have_the_moments_of_their_class():
    images, labels = data.digits("train")
    drawn = gaussian_digits(images, labels, 4000, torch.Generator().manual_seed(0)).reshape(10, 4000, 64)
    for k in range(10):
        real = images[labels == k].flatten(1)
        assert torch.allclose(drawn[k].mean(0), real.mean(0), atol=0.05)
        assert (drawn[k].mT.cov() - real.mT.cov()).norm() < 0.15 * real.mT.cov().norm()


def test_judge():
    mean, std = np.zeros(6), np.ones(6)
    assert judge(np.array([2.9, -2.9, 3.1, -3.1, 3.1, -3.1]), mean, std) == [
        "usual", "usual", "better", "worse", "worse", "farther",  # far from all data: no praise
    ]  # fmt: skip


def test_who_notices_what():
    # a memory: only the one that looks for copies complains, and the Fréchet distance is delighted
    copies = notices("copies", 1.0)
    assert [name for name, said in copies.items() if said == "worse"] == ["P(nearer)"]
    assert copies["Fréchet distance"] == copies["precision"] == copies["recall"] == "better"
    # noise is nearer to nothing: P(nearer) falls, and that is not called better
    assert notices("noise", 1.0)["P(nearer)"] == "farther"
    # one digit per class over and over: the inception score has nothing against it
    assert notices("one per class", 1.0)["inception score"] != "worse"
    assert notices("one per class", 1.0)["recall"] == "worse"
    assert notices("one per class", 0.5)["Fréchet distance"] == "worse"
    # without half of the classes what is left is as precise as ever
    dropped = notices("drop classes", 0.5)
    assert dropped["precision"] == "usual"
    assert dropped["inception score"] == dropped["recall"] == dropped["Fréchet distance"] == "worse"
    # the Fréchet distance sees blur early and Gaussians of each class hardly at all
    assert notices("blur", 0.2)["Fréchet distance"] == "worse"
    assert notices("class Gaussians", 0.7)["Fréchet distance"] == "usual"
    # what few samples cannot tell, more can
    assert notices("blur", 0.2, 50)["Fréchet distance"] == "usual"


def test_few_samples_make_the_usual_fréchet_distance_large():
    distances = [usual(N // 10)[0][0] for N in (50, 100, 200)]
    assert distances[0] > 1.6 * distances[1] > 1.6**2 * distances[2]


def test_alone_it_stays_small_and_every_scene_is_there():
    explorer = SampleMetrics()
    assert len(explorer.to_fragment()) < 300_000
    assert len(explorer._scene) < 150_000


@pytest.mark.parametrize("name", ["how", "N", "s"])
def test_works_at_both_ends_of_every_control(name):
    control = SampleMetrics.controls[name]
    for value in (control.values[0], control.values[-1]):
        explorer = SampleMetrics(**{"N": 50, name: value})
        assert explorer._error == "" and list(explorer.numbers) == list(METRICS)
        assert all(f"{key} = {number}" in explorer.describe() for key, number in explorer.numbers.items())
        assert list(explorer.shown.positions) == STRENGTHS


def test_is_pure():
    a, b = SampleMetrics(N=50), SampleMetrics(N=50)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert a.scene(**a.values()).to_json() == b.scene(**b.values()).to_json()
    assert torch.equal(torch.get_rng_state(), state)
