"""The explorer of SDE and ODE, without a browser: it shows what the package computes."""

import numpy as np
import pytest
from onscreen import run_code, shown
from scipy import stats

from diffusion_lab import sde
from diffusion_lab.experiments.sde_flow import DATA, RANKS, SDES, Path, flow, green_path
from diffusion_lab.experiments.stored import shipped
from diffusion_lab.explorers.sde_and_ode import STEPS, SdeAndOde

MEANS, STDS, WEIGHTS = (p.numpy() for p in (DATA.means[:, 0], DATA.var[:, 0].sqrt(), DATA.weights))
each_sde = pytest.mark.parametrize("name", SDES)


def at(name, u):
    """signal, sigma, and mean and standard deviation of each blob at u."""
    signal, sigma = (float(part) for part in SDES[name].marginal(u))
    return signal, sigma, signal * MEANS, np.hypot(signal * STDS, sigma)


def distribution(name, u, x):
    _, _, means, stds = at(name, u)
    return stats.norm.cdf(np.asarray(x)[..., None], means, stds) @ WEIGHTS


def log_density(name, u, x):
    _, _, means, stds = at(name, u)
    return np.log(stats.norm.pdf(np.asarray(x)[..., None], means, stds) @ WEIGHTS)


def all_paths(name):
    """The ODE's paths from all ranks: [41, 99] each."""
    return Path(
        *(np.stack(part, 1) for part in zip(*(green_path(name, rank) for rank in RANKS), strict=True))
    )


@each_sde
def test_the_ode_keeps_every_rank(name):
    """In one dimension that is all there is to the ODE: x(u) has the rank of x(1), in the exact densities."""
    ode, u = all_paths(name), np.arange(40, -1, -1) / 40
    units = [np.hypot(*at(name, v)[:2]) for v in u]
    x = ode.x * np.array(units)[:, None]
    ranks = np.stack([distribution(name, v, row) for v, row in zip(u, x, strict=True)])
    np.testing.assert_allclose(ranks, np.broadcast_to(ranks[0], ranks.shape), atol=1e-5)
    np.testing.assert_allclose(ode.below, ranks, atol=1e-12)
    np.testing.assert_allclose(ranks[0], np.arange(1, 100) / 100, atol=2e-3)  # q_1 is N(0, 1), nearly
    crowd = (
        flow(name).heights.cumsum(1) * 0.15
    )  # the part of the states below each edge, but for those below −3
    inner = np.linspace(-3, 3, 41)[1:]
    exact = np.stack([distribution(name, v, inner * unit) for v, unit in zip(u, units, strict=True)])
    np.testing.assert_allclose(crowd, exact, atol=4e-3)  # ±2 of 2000


@each_sde
def test_the_likelihood_is_exact_but_for_the_prior(name):
    ode, u = all_paths(name), np.arange(40, -1, -1) / 40
    unit = np.hypot(*at(name, 1)[:2])
    x_T = unit * ode.x[0]
    gap = stats.norm.logpdf(x_T, 0, unit) - log_density(name, 1, x_T)
    np.testing.assert_allclose(ode.by_ode - ode.exact, np.broadcast_to(gap, (41, 99)), atol=5e-5)
    for k in (0, 17, 40):
        x = ode.x[k] * np.hypot(*at(name, u[k])[:2])
        np.testing.assert_allclose(ode.exact[k], log_density(name, u[k], x), atol=1e-9)


def test_all_sdes_have_one_ode_but_for_the_speed_along_it():
    """In units of √(signal² + sigma²), at one SNR; and from noise to data they differ by the prior only."""
    ends = np.stack([flow(name).paths[-1] for name in SDES])
    apart = np.delete(np.ptp(ends, axis=0), 34)  # at the 35th percentile a hair decides between the blobs
    assert apart.max() < 0.02 and np.median(apart) < 2e-3


@pytest.mark.parametrize("u", [1.0, 0.6, 0.2, 0.0])
@pytest.mark.parametrize(("name", "steps"), [("vp", 40), ("sub-vp", 10), ("ve", 20), ("straight", 200)])
def test_code_makes_what_is_on_the_screen(name, steps, u):
    explorer = SdeAndOde(process=name, steps=steps, rank=33, seed=2, u=u)
    assert explorer.u == u
    found, row = run_code(explorer), explorer.frame.numbers
    signal, sigma, means, stds = at(name, u)
    unit = np.hypot(signal, sigma)
    assert (row["signal"], row["sigma"]) == (signal, sigma)
    if u < 1:
        green, log_p = (shown(explorer, trace, "y") for trace in ("green path", "log p_u, by the ODE"))
        assert found["x"][0, 0].item() / unit == pytest.approx(green[np.isfinite(green)][-1], abs=1e-4)
        log_p = log_p[np.isfinite(log_p)][-1]
        assert found["log_p"].item() == pytest.approx(log_p, abs=1e-4)
        off = float(row["log p_u, by the ODE − exact"])
        assert off == pytest.approx(log_p - row["log p_u, exact"], abs=5.1e-5)
        assert explorer.shown.traces["log p_u, exact"]["y"][40 - round(40 * u)] == row["log p_u, exact"]
    crowd = found["crowd"][:, 0].numpy()
    exact = WEIGHTS @ (stds**2 + means**2) - (WEIGHTS @ means) ** 2
    assert row["SDE: variance/exact"] == pytest.approx(crowd.var() / exact)
    distance = stats.kstest(crowd, lambda x: distribution(name, u, x)).statistic
    assert row["SDE: KS distance"] == pytest.approx(distance)
    ends = shown(explorer, "paths of the SDE", "y").reshape(8, -1)
    now = np.isfinite(ends).sum(1) - 1
    assert (now == explorer.frame_index).all()
    np.testing.assert_allclose(ends[:, now[0]], found["paths"][:, 0] / unit, rtol=1e-9)


@pytest.mark.parametrize("name", ["vp", "ve"])
def test_drawn_are_the_density_and_shares_of_the_crowd(name):
    explorer = SdeAndOde(process=name)
    rows = np.asarray(explorer.shown.traces["density"]["y"])
    for u in (1.0, 0.5, 0.1, 0.0):
        explorer.u = u
        unit = np.hypot(*at(name, u)[:2])
        expected = unit * np.exp(log_density(name, u, rows * unit))
        np.testing.assert_allclose(shown(explorer, "density", "x"), expected, rtol=1e-9)
        column = explorer.shown.traces["heat"]["z"][:, 40 - round(40 * u)]
        np.testing.assert_allclose(column, expected, rtol=1e-9)
        for trace in ("crowd of the SDE", "crowd of the ODE"):
            heights = shown(explorer, trace, "x")[::2]
            assert heights.sum() * 0.15 == pytest.approx(1, abs=0.02)  # what lies outside [−3, 3] is missing
            np.testing.assert_array_equal(heights, shown(explorer, trace, "x")[1::2])
        assert shown(explorer, "u", "x").tolist() == [u, u]
        ends = shown(explorer, "paths of the SDE", "y").reshape(8, -1)
        ends = ends[:, np.isfinite(ends).sum(1).max() - 1]
        np.testing.assert_array_equal(shown(explorer, "ends", "y")[:8], ends)
        assert (shown(explorer, "ends", "x") == u).all()
        drawn = shown(explorer, "log p_u, by the ODE", "y")
        assert np.isfinite(drawn).sum() == 41 - round(40 * u)


@each_sde
def test_few_steps_spoil_the_sde_and_many_do_not(name):
    for steps in STEPS:
        explorer = SdeAndOde(process=name, steps=steps, u=0.0)
        row = explorer.frame.numbers
        assert bool(explorer.frame.warning) == (row["SDE: KS distance"] > 1.63 / 2000**0.5)
        assert row["ODE: KS distance"] < 2e-3 and shipped(f"ode.{name}")["variance"].numpy() == pytest.approx(
            1, abs=3e-3
        )
        assert len(row) <= 8
        if steps == 5:
            assert "5 steps are too few" in explorer.describe() and row["SDE: KS distance"] > 0.1
        if steps == 200:
            assert not any(frame.warning for frame in explorer.shown.frames)
            assert row["SDE: variance/exact"] == pytest.approx(1, abs=5 * np.sqrt(2 / 2000))


def test_frames_are_the_steps_and_200_of_them_every_fifth():
    for steps, count in zip(STEPS, (6, 11, 21, 41, 41), strict=True):
        scene = SdeAndOde(steps=steps).shown
        assert scene.positions == pytest.approx(np.linspace(1, 0, count))
        assert len(scene.to_json()) < 5e5


def test_the_straight_sde_starts_where_it_is_finite():
    explorer = SdeAndOde(process="straight", u=1.0)
    assert "starts at u = 0.99: at 1 it is infinite" in explorer.describe()
    with pytest.raises(ValueError, match="infinite"):
        sde.straight().diffusion(1)
    explorer.process = "vp"
    assert "infinite" not in explorer.describe()


def test_sentences_say_what_is_drawn():
    explorer = SdeAndOde(rank=20, seed=1, u=0.0)
    ends = shown(explorer, "paths of the SDE", "y").reshape(8, -1)[:, 40]
    left = int((ends < -0.5).sum())
    assert f"{left} of 8 SDE paths have come to the left blob and {8 - left}" in explorer.describe()
    assert "20.0% of the data below it" in explorer.describe()
    explorer.u = 0.5
    assert "20.0% of the density lies below the green path" in explorer.describe()
    explorer.u = 1.0
    assert "start at percentile 20" in explorer.describe()
