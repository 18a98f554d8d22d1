"""The explorer of SDEdit without a browser: what it shows, and what it measures on it."""

import numpy as np
import pytest
import torch
from onscreen import run_code, shown
from scipy import stats

from diffusion_lab import data, features, metrics, pretrained
from diffusion_lab.applications.editing import sdedit
from diffusion_lab.experiments import strokes
from diffusion_lab.experiments.edited import MIXTURES, T0
from diffusion_lab.experiments.strokes import STROKES, along, circle, painted
from diffusion_lab.explorers import SdEdit
from diffusion_lab.samplers import sde_dpm_solver_pp_2m
from diffusion_lab.schedules import cosine

every_source = pytest.mark.parametrize("source", [*MIXTURES, "digits"])


def number(explorer, name):
    return float(explorer.numbers[name])


def pictures(explorer):
    """The twelve pictures on the screen, cut out of their sheet: [12, 1, 8, 8]."""
    sheet = shown(explorer, "pictures", "z")
    each = [sheet[9 * r : 9 * r + 8, 9 * c : 9 * c + 8] for r in range(3) for c in range(4)]
    return torch.from_numpy(np.stack(each))[:, None].float()


def results(explorer):
    """The points on the screen: [N, 2]."""
    return torch.from_numpy(np.stack([shown(explorer, "results", axis) for axis in "xy"], 1))


@pytest.mark.parametrize("t0", [0, 200, 1000])
@every_source
def test_the_code_makes_what_is_on_the_screen(source, t0):
    explorer = SdEdit(source=source, seed=3, guide=STROKES["cross"], t0=t0)
    *_, x_t0, edited = run_code(explorer)["shown"]
    if source == "digits":
        shots = pictures(explorer)
        assert torch.allclose(shots[:1], painted(explorer.guide), atol=1e-5)
        assert torch.allclose(shots[1:4], x_t0[0, :3], atol=1e-4)
        assert torch.allclose(shots[4:], edited[0], atol=1e-3)
    elif source == "2-D mixture":
        assert torch.allclose(results(explorer), edited[0], atol=1e-5)
        assert np.allclose(shown(explorer, "x_t0", "x"), x_t0[0, :, 0], atol=1e-5)
    else:
        heights = shown(explorer, "results", "y")
        found = np.histogram(edited[0, :, 0], len(heights), (-2.5, 2.5), density=True)[0]
        assert np.allclose(heights, np.minimum(found, 2.2), atol=1e-6)
    if t0 == 0:
        assert torch.equal(edited, x_t0)  # the guide itself


@every_source
def test_the_dots_are_on_the_curves_and_say_the_numbers(source):
    explorer = SdEdit(source=source)
    names = {"guide": "to the guide", "data": "to the data"}
    names["other"] = "another digit" if source == "digits" else "another mode"
    decided = "digit decided at t0" if source == "digits" else "mode decided at t0"
    for t0 in (0, 300, 800):
        explorer.t0 = t0
        for what, name in names.items():
            x, y = (shown(explorer, f"{what} at t0", axis).item() for axis in "xy")
            line = explorer.shown.traces[what]
            assert x == t0 and y == line["y"][list(line["x"]).index(t0)]
            assert number(explorer, name) == pytest.approx(y, abs=0.006)
        assert number(explorer, "√ᾱ_(t0)") == pytest.approx(cosine().signal[t0].item(), abs=6e-4)
        assert explorer.shown.traces["decided"]["x"][0] == number(explorer, decided)
        assert len(explorer.numbers) == 8


def test_distances_and_density_are_those_of_the_points():
    mixture = data.toy_mixture()
    stds = mixture.var[:, 0].sqrt()
    weights = mixture.weights.numpy()
    explorer = SdEdit(source="2-D mixture", guide=[(0.5, 0.5), (-0.3, 0.1), (0.0, -0.4)], t0=200)
    guides = torch.tensor(explorer.guide).double().repeat_interleave(500 // 3, 0)
    for t0 in (0, 100, 700):
        explorer.t0 = t0
        x = results(explorer)
        each = [
            w * stats.multivariate_normal(mean.numpy(), std.item() ** 2).pdf(x.numpy())
            for w, mean, std in zip(weights, mixture.means, stds, strict=True)
        ]
        assert number(explorer, "log p") == pytest.approx(np.log(np.sum(each, 0)).mean(), abs=0.02)
        mode = torch.from_numpy(np.argmax(each, 0))
        off = (x - mixture.means[mode]).square().sum(1).mean().sqrt().item()
        assert number(explorer, "to the data") == pytest.approx(off, abs=6e-3)
        moved = (x - guides).square().sum(1).mean().sqrt().item()
        assert number(explorer, "to the guide") == pytest.approx(moved, abs=6e-3)


@pytest.mark.parametrize("x_0", [1.0, 0.4, -0.9])
def test_two_modes_lose_the_guide_as_often_as_they_should(x_0):
    explorer, n = SdEdit(source="two modes", guide=[(x_0, 0.3)], seed=1), 500
    for t0 in T0:
        explorer.t0 = t0
        p, found = number(explorer, "another mode, exact"), number(explorer, "another mode")
        assert found == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5 + 0.01)
    assert p == 0.5
    # at t0 with ᾱ = ½ a guide in the middle of its mode: 0.228, computed in test_editing.py
    if x_0 == 1:
        explorer.t0 = 500
        assert number(explorer, "another mode, exact") == pytest.approx(0.228, abs=0.006)


def test_first_it_gets_real_then_the_mode_is_lost():
    """Between the two there is room, and the sentence says in which of the three parts one is."""
    explorer = SdEdit(source="two modes", guide=STROKES["point"])
    rows = {frame.at: frame.numbers for frame in explorer.shown.frames}
    far = {t0: float(row["to the data"]) / float(row["data itself"]) for t0, row in rows.items()}
    assert far[50] > 2 and far[250] < 1.1 and rows[50]["mode decided at t0"] == 517
    for t0, words in (
        (0, "comes back"),
        (50, "too little noise"),
        (300, "as close to the data"),
        (600, "after"),
    ):
        explorer.t0 = t0
        assert words in explorer.frame.sentence, (t0, explorer.frame.sentence)


def test_a_ring_becomes_a_zero_and_then_any_digit():
    explorer = SdEdit(source="digits", guide=STROKES["ring"])
    judge = features.load()
    train = data.digits("train")[0]
    for t0, share in ((0, 0), (400, 0), (1000, None)):
        explorer.t0 = t0
        edits = pictures(explorer)[4:]
        zeros = (judge(edits).argmax(1) == 0).double().mean().item()
        assert number(explorer, "another digit") == pytest.approx(1 - zeros, abs=1e-3)
        assert share is None or zeros == 1
        near = (metrics.distances(edits, train).min(1).values / 8).mean().item()
        assert number(explorer, "to the data") == pytest.approx(near, abs=6e-3)
        off = (edits - painted(explorer.guide)).square().mean().sqrt().item()
        assert number(explorer, "to the guide") == pytest.approx(off, abs=6e-3)
    assert zeros < 0.5 and "fresh samples" in explorer.frame.sentence
    rows = [frame.numbers for frame in explorer.shown.frames]
    assert float(rows[0]["to the data"]) > 1.7 * float(rows[0]["data itself"])


def test_the_digit_of_a_guide_is_that_of_its_early_edits():
    """A raw stroke confuses the classifier: what counts is the digit that a little noise makes of it."""
    explorer, judge = SdEdit(source="digits", guide=STROKES["seven"], seed=2), features.load()
    early = []
    for t0 in (200, 300):
        explorer.t0 = t0
        early += judge(pictures(explorer)[4:]).argmax(1).tolist()
    digit = max(set(early), key=early.count)
    for t0 in strokes.T0:
        explorer.t0 = t0
        same = (judge(pictures(explorer)[4:]).argmax(1) == digit).double().mean().item()
        assert number(explorer, "another digit") == pytest.approx(1 - same, abs=1e-3)


@pytest.mark.slow
def test_what_ships_of_real_digits_is_what_the_network_does():
    real, (x, labels) = strokes.usual(), data.digits("test")
    judge = features.load()
    assert real["data"].item() == pytest.approx(strokes.to_digits(x).mean().item(), rel=1e-3)
    assert real["sure"].item() == pytest.approx(judge.probabilities(x).max(1).values.mean().item(), rel=1e-3)
    for k, t0 in enumerate(strokes.T0):
        if t0 in (200, 600):  # another seed than the one that ships
            generator = torch.Generator().manual_seed(7)
            network = pretrained.load("digits")
            *_, last = sdedit(network, x, t0, sde_dpm_solver_pp_2m, steps=10, generator=generator)
            changed = (judge(last.x).argmax(1) != labels).double().mean().item()
            p = real["other"][k].item()
            assert changed == pytest.approx(p, abs=4 * (2 * p * (1 - p) / 360) ** 0.5 + 0.01)


def test_the_network_loses_the_digit_when_class_gaussians_do():
    real = strokes.usual()
    assert (real["other"] - real["exact"]).abs().max() < 0.04
    at = int(real["decided"])
    assert torch.tensor(strokes.T0)[real["exact"] < 0.45].max() < at < 600


def test_strokes_are_painted_where_the_points_are():
    y, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    for column, row in ((0, 0), (7, 2), (3, 6)):
        (picture,) = painted((((column + 0.5) / 4 - 1, 1 - (row + 0.5) / 4),))[0].numpy()
        assert picture[row, column] == 1 and picture.min() == pytest.approx(-1, abs=1e-4)
        assert (picture[np.hypot(y - row, x - column) > 1.5] < -0.85).all()
    between = painted(((0.0, 0.125),))[0, 0]
    assert between[3, 3] == between[3, 4] == between.max() > 0.95
    for points in STROKES.values():
        assert len(points) <= SdEdit.controls["guide"].most
        assert np.abs(np.array(points)).max() <= 1


def test_points_along_lines():
    line = along((0, 0), (0.3, 0), (0.3, 0.1), gap=0.15)
    assert np.allclose(line, [(0, 0), (0.15, 0), (0.3, 0), (0.3, 0.1)])
    assert np.allclose(np.hypot(*np.array(circle(0.1, -0.2, 0.5, 7)).T - [[0.1], [-0.2]]), 0.5)
