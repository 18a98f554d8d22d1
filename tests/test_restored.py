"""Half a digit is hidden: the measures of the samples, the stored table, and the explorer Repair."""

import numpy as np
import pytest
import torch
from close import assert_close
from onscreen import run_code

from diffusion_lab.applications import inverse
from diffusion_lab.drawing import tiles
from diffusion_lab.experiments import restored, restored_table
from diffusion_lab.experiments.restored import METHODS, RIDGE, quality, visible
from diffusion_lab.experiments.stored import class_gaussians
from diffusion_lab.explorers import Repair
from diffusion_lab.explorers.repair import HIDDEN, measured


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---- the measures ------------------------------------------------------------------------------------------


def test_samples_of_the_right_posterior_have_error_equal_to_spread_and_ninety_percent():
    """The mean of n samples adds spread/n to the error, which is taken off again."""
    mean, N = draw(4000, 1, 6, seed=1), 4000
    truth, samples = mean[:, 0] + 0.5 * draw(N, 6, seed=2), mean + 0.5 * draw(N, 19, 6, seed=3)
    found = quality(samples, truth)
    assert abs(found["spread"] - 0.25) < 0.002
    assert abs(found["error"] - 0.25) < 4 * found["uncertainty"] < 0.01
    assert abs(found["coverage"] - 0.9) < 4 * (0.09 / N) ** 0.5


@pytest.mark.parametrize("width, low, high", [(0.5, 0.0, 0.5), (2.0, 0.97, 1.0)])
def test_too_narrow_covers_less_and_too_wide_covers_more(width, low, high):
    truth, samples = draw(2000, 6, seed=2), width * draw(2000, 19, 6, seed=3)
    found = quality(samples, truth)
    assert low < found["coverage"] <= high
    assert abs(found["error"] - 1) < 0.05 and abs(found["spread"] / width**2 - 1) < 0.02


def test_coverage_does_not_ask_what_the_distribution_is():
    generator = torch.Generator().manual_seed(0)
    points = torch.empty(4000, 20, 3, dtype=torch.float64).exponential_(generator=generator) ** 2
    assert abs(quality(points[:, 1:], points[:, 0])["coverage"] - 0.9) < 4 * (0.09 / 4000) ** 0.5


def test_the_uncertainty_is_that_of_the_error():
    errors = [
        quality(0.7 * draw(300, 19, 4, seed=2 * k), 0.7 * draw(300, 4, seed=2 * k + 1))["error"]
        for k in range(60)
    ]
    said = quality(0.7 * draw(300, 19, 4), 0.7 * draw(300, 4, seed=1))["uncertainty"]
    assert 0.75 < np.std(errors) / said < 1.3


# ---- the stored table --------------------------------------------------------------------------------------

PRIORS = ("Gaussians", "network")
TABLE = {(row["prior"], row["method"]): row for row in restored_table.table()}


def test_the_table_is_what_the_command_makes():
    steps = {("Gaussians", "exact posterior"): (0, 360)}
    for (method, count, clipped), every in restored_table.RUNS:
        for prior in PRIORS:
            steps[prior, method + ", clipped" * clipped] = (count, -(-360 // every[prior]))
    assert {key: (row["steps"], row["pictures"]) for key, row in TABLE.items()} == steps


def test_the_exact_row_comes_out_again():
    row = restored_table.exact_row()
    stored = TABLE["Gaussians", "exact posterior"]
    for name in ("error", "spread"):
        assert abs(row[name] - stored[name]) < 0.002
    assert abs(row["coverage"] - stored["coverage"]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS)
def test_a_row_comes_out_again_on_fewer_pictures(prior):
    """One digit in twelve, with replacement: within the noise of thirty digits."""
    row, stored = restored_table.method_row(prior, "replacement", 50, False, 12), TABLE[prior, "replacement"]
    assert row["calls"] == stored["calls"] == 50 and row["pictures"] == 30
    assert abs(row["error"] - stored["error"]) < 4 * row["uncertainty"]
    assert abs(row["spread"] / stored["spread"] - 1) < 0.25


def test_what_the_table_must_show():
    exact = TABLE["Gaussians", "exact posterior"]
    assert abs(exact["coverage"] - 0.9) < 0.05
    with_network = [row for key, row in TABLE.items() if key[0] == "network" and row["pictures"] == 360]
    best = min(with_network, key=lambda row: row["error"])
    assert best["error"] <= 1.15 * exact["error"]
    assert 0.8 <= best["coverage"] <= 0.97
    for prior in PRIORS:
        assert TABLE[prior, "RePaint"]["error"] < TABLE[prior, "replacement"]["error"]
        assert TABLE[prior, "replacement"]["error"] > 1.3 * exact["error"]


# ---- the explorer ------------------------------------------------------------------------------------------


def test_points_hide_the_pixels_they_lie_in():
    keep = visible([(-0.99, 0.99), (0.88, -0.88), (0.1, 0.1), (0.15, 0.2)])
    assert (~keep).nonzero().tolist() == [[0, 0, 0], [0, 3, 4], [0, 7, 7]]
    assert visible([(1, 1), (-1, -1)])[0].logical_not().nonzero().tolist() == [[0, 7], [7, 0]]
    counts = {name: int((~visible(points)).sum()) for name, points in HIDDEN.items()}
    assert counts == {"right half": 32, "lower half": 32, "a hole": 16, "every other pixel": 32}
    assert visible(HIDDEN["right half"])[..., :4].all() and not visible(HIDDEN["right half"])[..., 4:].any()
    assert visible(HIDDEN["lower half"])[:, :4].all()


def test_exact_samples_are_those_of_the_posterior():
    hidden, picture = HIDDEN["a hole"], 5
    x = torch.cat([restored.right_answers(hidden, picture, seed) for seed in range(1)])
    seen, y = restored.clue(hidden, picture, 0)
    p = inverse.posterior(class_gaussians(RIDGE), seen, y)
    assert x.shape == (12, 1, 8, 8)
    assert (p.log_prob(x) > p.log_prob(p.sample(400, torch.Generator().manual_seed(0))).quantile(0.001)).all()


def shown(explorer):
    """The sheet of guesses on the screen."""
    return torch.as_tensor(explorer.frame.changes["guesses"]["z"])


@pytest.mark.parametrize("method", METHODS)
def test_the_numbers_are_those_of_the_run(method):
    explorer = Repair(method=method, picture=30, seed=3, step=25)
    told = dict(hidden=explorer.hidden, picture=30, method=method, seed=3)
    run, keep = restored.repair(**told), visible(explorer.hidden)
    truth = restored.digits("test")[0][30].double()
    error, spread = measured(run[-1].x, truth, keep)
    assert explorer.numbers["error"] == f"{error:.3g}" and explorer.numbers["spread"] == f"{spread:.3g}"
    assert explorer.numbers["calls"] == str(run[-1].calls)
    hidden = (run[-1].x.mean(0) - truth)[~keep]
    assert_close(torch.tensor(error).double(), hidden.square().mean().sqrt(), rtol=1e-6)
    assert torch.equal(run_code(explorer)["shown"], run[-1].x)
    explorer.step = 10
    again = torch.as_tensor(tiles(run_code(explorer)["shown"].float(), 4))
    torch.testing.assert_close(again, shown(explorer), equal_nan=True)


def test_every_method_leaves_what_is_seen():
    for method in METHODS:
        run, keep = restored.repair(HIDDEN["right half"], 7, method, 0), visible(HIDDEN["right half"])
        _, y = restored.clue(HIDDEN["right half"], 7, 0)
        assert (run[-1].x[:, keep] - y).square().mean().sqrt() < 4 * restored.STD
        assert len(Repair(method=method).shown.frames) == 26


def test_guidance_by_the_exact_score_is_as_good_as_the_exact_samples_on_average():
    def averages(method):
        rows = [Repair(method=method, picture=k, seed=k // 18).numbers for k in range(0, 360, 15)]
        return np.mean([[float(row[name]) ** 2 for name in ("error", "error, exact")] for row in rows], 0)

    ours, exact = averages("exact guidance")
    pasted, _ = averages("replacement")
    assert ours < 1.2 * exact and pasted > 1.25 * exact
