"""The guidance explorer without a browser: its samples, and what it measures on them and beside them."""

import numpy as np
import pytest
import torch
from onscreen import run_code, shown
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from diffusion_lab import data, features, metrics
from diffusion_lab.experiments.guided import BLOBS, COUNT, NEIGHBOUR, W
from diffusion_lab.explorers import Guidance
from diffusion_lab.explorers.guidance import LABELS, LIMIT

STDS = BLOBS.var[:, 0].sqrt()
EACH = Independent(Normal(BLOBS.means, STDS[:, None].expand(3, 2)), 1)
TRUTH = MixtureSameFamily(Categorical(BLOBS.weights), EACH)
every_blob = pytest.mark.parametrize("label", range(3))


def p_of(label, x):
    """p(c|x), by torch.distributions."""
    joint = BLOBS.weights.log() + EACH.log_prob(x[:, None])
    return (joint[:, label] - TRUTH.log_prob(x)).exp()


def points(explorer):
    """The samples on the screen: [N, 2]."""
    return torch.from_numpy(np.stack([shown(explorer, "samples", axis) for axis in "xy"], 1))


def pictures(explorer):
    """The digits on the screen, cut out of their sheet: [N, 1, 8, 8]."""
    sheet = shown(explorer, "samples", "z")
    each = [sheet[9 * r : 9 * r + 8, 9 * c : 9 * c + 8] for r in range(4) for c in range(5)]
    return torch.from_numpy(np.stack(each))[:, None]


def number(explorer, name):
    """A number on the screen without its standard error."""
    return float(explorer.numbers[name].split(" ± ")[0])


@every_blob
@pytest.mark.parametrize("w", [0.0, 0.75, 5.0])
def test_the_code_makes_the_points_on_the_screen(label, w):
    explorer = Guidance(label=f"blob {label}", seed=2, w=w)
    assert torch.allclose(run_code(explorer)["shown"][0], points(explorer), atol=1e-3)


def test_the_code_makes_the_digits_on_the_screen():
    explorer = Guidance(label="digit 3", seed=1, w=2.5)
    drawn = run_code(explorer)["shown"][0]
    assert torch.allclose(drawn, pictures(explorer), atol=0.02)  # rounded to 32 greys


def test_digits_have_other_steps_of_w():
    explorer = Guidance(w=2.25)
    explorer.label = "digit 0"
    assert explorer.w in (2.0, 2.5) and explorer.shown.positions == list(W["digit"])


@every_blob
def test_fidelity_and_spread_are_those_of_the_points(label):
    explorer = Guidance(label=f"blob {label}", seed=3)
    for w in (0.0, 0.5, 1.0, 3.0):
        explorer.w = w
        x = points(explorer)
        said, error = map(float, explorer.numbers["p(c|x)"].split(" ± "))
        p = p_of(label, x)
        assert said == pytest.approx(p.mean().item(), abs=6e-4)
        assert error == pytest.approx(p.std().item() / len(x) ** 0.5, abs=6e-4)
        spread = np.cov(x.numpy().T).trace() ** 0.5
        assert number(explorer, "spread") == pytest.approx(spread / (2**0.5 * STDS[label]).item(), abs=6e-3)
        away = (x.mean(0) - BLOBS.means[label]).norm() / STDS[label]
        assert number(explorer, "moved (std)") == pytest.approx(away.item(), abs=6e-3)


def test_the_standard_error_of_the_spread_is_how_much_it_varies():
    explorers = [Guidance(label="blob 2", seed=seed, w=1) for seed in range(21)]
    found = [number(explorer, "spread") for explorer in explorers]
    said = [float(explorer.numbers["spread"].split(" ± ")[1]) for explorer in explorers]
    assert np.std(found, ddof=1) == pytest.approx(np.mean(said), rel=0.5)


@every_blob
@pytest.mark.parametrize("w", [0.0, 1.0, 2.5])
def test_the_sharpened_density_by_weighted_draws(label, w):
    """Draws from p(x), each weighted with p(c|x)^w: no grid."""
    with torch.random.fork_rng():
        torch.manual_seed(label)
        x = TRUTH.sample((200_000,))
    p = p_of(label, x)
    weight = p**w / (p**w).sum()
    mean = weight @ x
    explorer = Guidance(label=f"blob {label}", w=w)
    assert number(explorer, "p(c|x), sharpened") == pytest.approx((weight @ p).item(), abs=5e-3)
    spread = (weight @ (x - mean).square().sum(1) / 2).sqrt() / STDS[label]
    assert number(explorer, "spread, sharpened") == pytest.approx(spread.item(), rel=0.02)
    moved = (mean - BLOBS.means[label]).norm() / STDS[label]
    assert number(explorer, "moved, sharpened") == pytest.approx(moved.item(), abs=0.02)


@pytest.mark.parametrize("w", [0.25, 4.0])
def test_the_colour_is_the_sharpened_density(w):
    explorer = Guidance(label="blob 1", w=w)
    ticks = torch.from_numpy(np.array(explorer.shown.traces["sharpened"]["x"])).double()
    assert torch.allclose(ticks[[0, -1]], torch.tensor([-LIMIT, LIMIT]).double())
    x = torch.cartesian_prod(ticks, ticks)[:, [1, 0]]
    density = (TRUTH.log_prob(x).exp() * p_of(1, x) ** w).numpy()
    colour = shown(explorer, "sharpened", "z").ravel()
    assert np.abs(colour / 255 - density / density.max()).max() < 1.01 / 255


@every_blob
def test_rings_are_one_and_two_standard_deviations_wide(label):
    grey, red = map(Guidance(label=f"blob {label}").shown.traces.get, ("other classes", "class c"))
    for trace, labels in ((red, [label]), (grey, [k for k in range(3) if k != label])):
        x = torch.from_numpy(np.stack([trace["x"], trace["y"]], 1))
        distances = (x[:, None] - BLOBS.means[labels]).norm(dim=2) / STDS[labels]
        close = torch.minimum((distances - 1).abs(), (distances - 2).abs()).min(1).values
        assert close[x.isfinite().all(1)].max() < 1e-6


@every_blob
def test_w_1_is_the_class_and_above_it_samples_leave_it_and_the_sharpened_density(label):
    explorer = Guidance(label=f"blob {label}", w=1)
    assert number(explorer, "moved (std)") < 4 / COUNT["blob"] ** 0.5
    assert number(explorer, "spread") == pytest.approx(1, abs=0.1)
    assert explorer.numbers["spread, sharpened"] == "1.00"
    assert explorer.numbers["moved, sharpened"] == "0.00"
    rows = [frame.numbers for frame in explorer.shown.frames]
    values = {name: [float(str(row[name]).split(" ± ")[0]) for row in rows] for name in rows[0]}
    one = W["blob"].index(1)
    assert (np.diff(values["p(c|x)"]) >= 0).all() and values["p(c|x)"][-1] > 0.995
    assert (np.diff(values["spread"]) <= 0).all() and values["spread"][-1] < 0.8
    assert (np.diff(values["moved (std)"][one:]) > 0).all()
    for k in range(one + 2, len(rows)):
        assert values["moved (std)"][k] > 3 * values["moved, sharpened"][k]
        assert values["spread"][k] < values["spread, sharpened"][k]
        assert "have left class c" in explorer.shown.frames[k].sentence


def test_w_0_knows_nothing_of_the_condition():
    first, second = (points(Guidance(label=f"blob {k}", w=0)) for k in (0, 2))
    assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("label", [2, 8])
def test_fidelity_and_coverage_are_those_of_the_pictures(label):
    explorer = Guidance(label=f"digit {label}", seed=0)
    train, held_out = (x[labels == label] for x, labels in map(data.digits, ("train", "test")))
    reach = metrics.distances(held_out, train).sort(1).values[:, NEIGHBOUR - 1]
    for w in (0.0, 1.0, 4.0):
        explorer.w = w
        x = pictures(explorer)
        p = features.load().probabilities(x)[:, label].mean().item()
        assert number(explorer, "p(c|x)") == pytest.approx(p, abs=0.02)
        covered = (metrics.distances(held_out, x).min(1).values <= reach).double().mean().item()
        assert number(explorer, "coverage") == pytest.approx(covered, abs=2 / len(held_out))
        outside = (x.abs() > 1.05).double().mean().item()
        assert float(explorer.numbers["pixels outside [−1, 1]"].rstrip("%")) == pytest.approx(
            100 * outside, abs=1.5
        )


@pytest.mark.parametrize("label", [3, 9])
def test_digits_get_clearer_and_cover_less(label):
    explorer = Guidance(label=f"digit {label}")
    rows = [frame.numbers for frame in explorer.shown.frames]
    p, coverage = ([float(row[name].split(" ± ")[0]) for row in rows] for name in ("p(c|x)", "coverage"))
    assert p[0] < 0.4 < 0.8 < p[2] and min(p[3:]) > 0.97  # at w = 0, 1, and above
    assert coverage[-1] < coverage[2] - 0.2
    outside = [float(row["pixels outside [−1, 1]"].rstrip("%")) for row in rows]
    assert outside[-1] > 5 > 1 > outside[2]
    assert "darker than black" in explorer.shown.frames[-1].sentence
    assert "darker than black" not in explorer.shown.frames[2].sentence


def test_all_classes_are_portable():
    assert Guidance.portable == ("label",) and Guidance.controls["label"].values == LABELS
    assert len(LABELS) == len(BLOBS.means) + 10


@pytest.mark.parametrize("label", ["blob 0", "digit 4"])
def test_dots_are_where_the_numbers_say(label):
    explorer = Guidance(label=label)
    diversity = "spread" if "blob" in label else "coverage"
    for w in explorer.shown.positions:
        explorer.w = w
        for what, name, digits in (("fidelity", "p(c|x)", 3), ("diversity", diversity, 2)):
            x, y = (shown(explorer, f"{what} at w", axis).item() for axis in "xy")
            k = list(explorer.shown.traces[what]["x"]).index(x)
            assert x == w and y == explorer.shown.traces[what]["y"][k]
            assert number(explorer, name) == pytest.approx(y, abs=0.51 * 10**-digits)
    assert len(explorer.numbers) <= 8
