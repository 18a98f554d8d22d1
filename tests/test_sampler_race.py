"""The sampler race: its ends and errors are the samplers' own, and its orders the known ones."""

import math

import numpy as np
import pytest
import torch
from onscreen import run_code

from diffusion_lab import pretrained, samplers
from diffusion_lab.experiments import race
from diffusion_lab.experiments.race import BUDGETS, CALLS, DRAWING, EXACT, LANES, SCHEDULE
from diffusion_lab.explorers import SamplerRace


def shown(explorer, trace):
    """The points [N, 2] of a trace, in the present frame or in all of them."""
    found = explorer.shown.traces[trace] | explorer.frame.changes.get(trace, {})
    return np.stack([np.asarray(found["x"]), np.asarray(found["y"])], 1)


def test_the_gaussian_race_ends_where_the_ode_does():
    """Its flow keeps (x − mean_t)/std_t along the axes of the covariance."""
    gaussian = EXACT["Gaussian"]
    noised = gaussian.noised(SCHEDULE.T, SCHEDULE)
    axes = gaussian.axes[0]
    across = (race.noise() - noised.means) @ axes.double()
    truth = (across * (gaussian.var[0] / noised.var[0]).sqrt()) @ axes.mT.double() + gaussian.means
    assert (race.finish("Gaussian") - truth).norm(dim=1).max() < 1e-4


def test_the_mixture_race_ends_where_twice_the_steps_do():
    times = samplers.timesteps(SCHEDULE, 1500, "log_snr")
    denoiser = EXACT["mixture"].denoiser(SCHEDULE)
    *_, end = samplers.heun(denoiser, race.noise(), SCHEDULE, times)
    assert (race.finish("mixture") - end.x).norm(dim=1).median() < 2e-5


@pytest.mark.parametrize("source", EXACT)
@pytest.mark.parametrize(("spacing", "margin"), [("log_snr", 0.15), ("karras", 0.2)])
def test_orders_are_one_and_two(source, spacing, margin):
    numbers = SamplerRace(source=source, spacing=spacing).numbers
    assert float(numbers["DDIM: order"]) == pytest.approx(1, abs=0.1)
    for name in ("Heun", "DPM-Solver++(2M)"):
        assert float(numbers[f"{name}: order"]) == pytest.approx(2, abs=margin)


@pytest.mark.parametrize("source", EXACT)
@pytest.mark.parametrize("spacing", samplers.SPACINGS)
@pytest.mark.parametrize("calls", [3, 20])
def test_code_makes_the_errors_on_the_screen(source, spacing, calls):
    explorer = SamplerRace(source=source, spacing=spacing, calls=calls)
    found = run_code(explorer)
    for sampler, name in LANES.items():
        assert float(explorer.numbers[f"{name}: error"]) == pytest.approx(found["errors"][sampler], rel=1e-2)
        points = shown(explorer, f"points, {sampler}")
        assert np.allclose(points, found["ends"][sampler], atol=1e-3)  # the points ship in half precision
        goal = found["end_of_ode"](source)
        assert np.allclose(shown(explorer, f"goal, {sampler}"), goal, atol=1e-6)
        far = (found["ends"][sampler] - goal).norm(dim=1).median().item()
        assert found["shown"][sampler] == found["errors"][sampler] == pytest.approx(far)


@pytest.mark.parametrize("source", EXACT)
def test_marks_lines_and_points_belong_together(source):
    explorer = SamplerRace(source=source)
    made = {"ddim": CALLS, "heun": [n - 1 + n % 2 for n in CALLS], "dpm_solver_pp_2m": CALLS}
    for calls in CALLS:
        explorer.calls = calls
        k = CALLS.index(calls)
        marks = shown(explorer, "marks")
        assert explorer.numbers["Heun: calls"] == str(made["heun"][k])
        for n, sampler in enumerate(LANES):
            goal, points = (shown(explorer, f"{what}, {sampler}") for what in ("goal", "points"))
            joined = shown(explorer, f"way, {sampler}").reshape(-1, 3, 2)
            assert np.array_equal(joined[:, 0], goal) and np.array_equal(joined[:, 1], points)
            assert np.isnan(joined[:, 2]).all()
            error = np.sort(np.linalg.norm(points - goal, axis=1))[49]  # torch's median: the lower of two
            assert marks[n] == pytest.approx([made[sampler][k], error], rel=1e-3)
            assert shown(explorer, f"errors, {sampler}")[k] == pytest.approx(marks[n])


def test_heun_with_few_steps_on_an_even_log_snr_grid_is_behind_ddim():
    explorer = SamplerRace(source="mixture", spacing="log_snr", calls=7)
    assert float(explorer.numbers["Heun: error"]) > 10 * float(explorer.numbers["DDIM: error"])
    assert "too long" in explorer.describe()
    explorer.calls = 160
    assert float(explorer.numbers["Heun: error"]) < float(explorer.numbers["DDIM: error"]) / 4
    assert "too long" not in explorer.describe() and "half the error" in explorer.describe()


@pytest.mark.parametrize("spacing", samplers.SPACINGS)
def test_digits_numbers_are_the_means_of_the_table(spacing):
    table = pretrained.sampler_table()
    for calls in BUDGETS:
        explorer = SamplerRace(source="digits", spacing=spacing, calls=calls)
        for sampler, name in (LANES | DRAWING).items():
            seeds = [table[sampler, spacing, calls, seed]["features"] for seed in range(5)]
            assert float(explorer.numbers[name]) == pytest.approx(sum(seeds) / 5, rel=1e-2)
        found = run_code(explorer)["distances"]
        for sampler, name in (LANES | DRAWING).items():
            assert explorer.frame.numbers[name] == pytest.approx(found[sampler], rel=1e-12)
        best = min(LANES | DRAWING, key=lambda s: float(explorer.numbers[(LANES | DRAWING)[s]]))
        assert (LANES | DRAWING)[best] in explorer.describe().splitlines()[-1]


def test_digits_on_the_screen_are_those_of_the_code():
    explorer = SamplerRace(source="digits", spacing="trailing", calls=5)
    digits = run_code(explorer)["digits"]
    sheet = np.asarray(explorer.frame.changes["digits"]["z"])
    for row, sampler in enumerate(LANES):
        for k in (0, 9):
            tile = sheet[9 * row : 9 * row + 8, 9 * k : 9 * k + 8]
            assert np.allclose(tile, digits[sampler][k, 0], atol=1e-4)


def test_what_is_on_the_page_is_small():
    for source in SamplerRace.controls["source"].values:
        explorer = SamplerRace(source=source)
        assert len(explorer._scene) < 300_000 and explorer.shown.layout["height"] <= 480
        assert all(math.isfinite(float(number)) for number in explorer.numbers.values())


def test_every_lane_starts_from_the_same_noise():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    race.noise.cache_clear()
    assert race.noise().shape == (100, 2) and torch.equal(torch.get_rng_state(), state)
