"""The table of samplers on the digits: whole, made with the weights that ship, and what it promises."""

import sys

import pytest
from nbtools import ROOT

from diffusion_lab import features, pretrained, samplers

sys.path.insert(0, str(ROOT / "benchmarks"))
import digits_samplers
from digits_samplers import BUDGETS, CHOSEN, COLUMNS, mean

LONG = "ddpm", "trailing", 1000


@pytest.fixture(scope="module")
def table():
    return pretrained.sampler_table()


def test_the_table_is_whole_and_of_the_weights_that_ship(table):
    assert list(table) == [cell for cell in digits_samplers.cells() if cell in table]
    assert not set(digits_samplers.cells()) - set(table)
    assert digits_samplers.read() == table
    for row in table.values():
        assert list(row) == COLUMNS[4:]
        assert row["features"] > 0 and row["pixels"] > 0
        assert all(0 <= row[name] <= 1 for name in ("recognised", "precision", "recall"))


def test_no_run_calls_the_network_more_often_than_it_may(table):
    for (sampler, _, budget, _), row in table.items():
        assert row["calls"] == (budget - 1 + budget % 2 if sampler in ("heun", "edm") else budget)


def best(table, name: str, budget: int) -> float:
    """The least Fréchet distance with so many calls, over that of 1000 steps of DDPM; means of five seeds."""
    found = {cell[:3] for cell in table if cell[2] == budget}
    return min(mean(table, name, *cell) for cell in found) / mean(table, name, *LONG)


@pytest.mark.parametrize("name", ["features", "pixels"])
def test_few_calls_are_as_good_as_1000_steps_of_ddpm(table, name):
    assert best(table, name, 10) <= 1.0
    assert best(table, name, 5) <= 1.1


@pytest.mark.parametrize(("budget", "bound"), [(10, 1.0), (5, 1.1)])
def test_so_is_heun_on_its_chosen_times_and_better_than_on_trailing_ones(table, budget, bound):
    ours = mean(table, "features", "heun", "chosen", budget)
    assert ours <= bound * mean(table, "features", *LONG)
    for name in ("features", "pixels"):
        assert mean(table, name, "heun", "chosen", budget) < mean(table, name, "heun", "trailing", budget)


@pytest.mark.parametrize(
    "cell",
    [
        ("heun", "chosen", 5, 0),
        ("dpm_solver_pp_2m", "trailing", 10, 2),
        ("ddpm", "trailing", 5, 3),
        ("edm", "log_snr", 5, 4),
    ],
)
def test_rows_come_out_again(table, cell):
    measured = digits_samplers.measure(pretrained.load("digits"), features.load(), *cell)
    for name in ("calls", "features", "pixels"):
        assert measured[name] == pytest.approx(table[cell][name], rel=1e-3)
    for name in ("recognised", "precision", "recall"):  # shares of 1800 or 360: a few are close calls
        assert measured[name] == pytest.approx(table[cell][name], abs=0.01)


def test_a_run_that_was_stopped_goes_on_and_other_weights_begin_anew(table, tmp_path, monkeypatch):
    half = dict(list(table.items())[:100])
    monkeypatch.setattr(digits_samplers, "TABLE", tmp_path / "table.csv")
    assert digits_samplers.read() == {}
    digits_samplers.write(dict(reversed(half.items())))
    assert digits_samplers.read() == half and list(digits_samplers.read()) == list(half)
    monkeypatch.setattr(digits_samplers, "head", lambda: "# other weights\n")
    assert digits_samplers.read() == {}


def test_every_budget_and_spacing_is_measured_for_every_sampler():
    cells = {cell[:3] for cell in digits_samplers.cells()}
    for sampler in samplers.SAMPLERS:
        assert {cell[1:] for cell in cells if cell[0] == sampler} >= {
            (spacing, budget) for spacing in samplers.SPACINGS for budget in BUDGETS
        }
    assert all(times[0] == 1000 and times[-1] == 0 for times in CHOSEN.values())
