"""The explorer of the posterior, without a browser: what it draws, says and prints is the package's maths."""

import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onscreen import run_code, shown

from diffusion_lab import forward, schedules
from diffusion_lab.explorers.posterior import Posterior

MAKERS = {
    "cosine": schedules.cosine(100),
    "linear": schedules.linear(100, 0.001, 0.2),
    "sigmoid": schedules.sigmoid(100),
}
CURVES = POSTERIOR, FROM_X0, TO_XT = "posterior", "from x_0", "to x_t"
FACTORS = ("1/var of q(x_s|x_0)", "1/var of q(x_t|x_s)")
settings_of_controls = dict(
    schedule=st.sampled_from(list(MAKERS)),
    x0=st.integers(-10, 10).map(lambda n: n / 10),
    x_t=st.integers(-20, 20).map(lambda n: n / 10),
    gap=st.integers(1, 50),
    t=st.integers(1, 100),
)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def drawn(explorer, trace):
    """x and y of one curve at the present frame."""
    return (shown(explorer, trace, key) for key in ("x", "y"))


def area_under(y, x) -> float:
    return torch.trapezoid(torch.from_numpy(y), torch.from_numpy(x)).item()


def row(explorer):
    """The numbers at the present frame, before they are rounded."""
    return explorer.frame.numbers


def q(explorer):
    e = explorer
    return forward.q_posterior(column(e.x0), column(e.x_t), e.t, MAKERS[e.schedule], s=max(e.t - e.gap, 0))


@settings(max_examples=15)
@given(**settings_of_controls)
def test_numbers_are_those_of_q_posterior(**controls):
    explorer = Posterior(**controls)
    found, numbers = q(explorer), row(explorer)
    s = max(explorer.t - explorer.gap, 0)
    assert numbers["s"] == s
    assert numbers["posterior mean"] == pytest.approx(found.mean.item(), rel=1e-12, abs=1e-15)
    assert numbers["posterior std"] == pytest.approx(found.var.item() ** 0.5, rel=1e-12)
    mean = numbers["weight of x_0"] * explorer.x0 + numbers["weight of x_t"] * explorer.x_t
    assert mean == pytest.approx(found.mean.item(), rel=1e-9, abs=1e-12)
    if s:
        assert numbers["1/var of posterior"] == pytest.approx(1 / found.var.item(), rel=1e-12)
        assert sum(numbers[name] for name in FACTORS) == pytest.approx(
            numbers["1/var of posterior"], rel=1e-9
        )


@settings(max_examples=15)
@given(**settings_of_controls)
def test_the_product_of_the_drawn_factors_is_the_drawn_posterior(**controls):
    explorer = Posterior(**controls)
    assume(explorer.t > explorer.gap)
    x, posterior = drawn(explorer, POSTERIOR)
    (x_1, from_x0), (x_2, leads_here) = drawn(explorer, FROM_X0), drawn(explorer, TO_XT)
    assert (x == x_1).all() and (x == x_2).all()
    product = from_x0 * leads_here
    clear = product > 1e-250  # below that doubles lose digits, and then all of it
    assume(clear.sum() > 20)
    ratio = np.log(product[clear]) - np.log(posterior[clear])
    assert np.ptp(ratio) < 1e-8, "proportional"
    if explorer.frame.warning == "":
        area = area_under(product, x)  # the axis may cut off a tail
        assert np.allclose(product / area, posterior / area_under(posterior, x), atol=1e-6 * posterior.max())


@pytest.mark.parametrize("schedule", list(MAKERS))
def test_every_curve_that_fits_the_axis_has_area_one(schedule):
    explorer = Posterior(schedule=schedule, x0=-0.6, x_t=0.9, gap=1)
    for t in range(2, 60):
        explorer.t = t
        areas = [area_under(y, x) for x, y in (drawn(explorer, n) for n in CURVES)]
        assert areas == pytest.approx([1, 1, 1], abs=3e-3)


@pytest.mark.parametrize("schedule", list(MAKERS))
@pytest.mark.parametrize("gap", [1, 20])
def test_the_step_over_the_gap_is_that_of_the_chain(schedule, gap):
    """q(x_t|x_s) = N(√(ᾱ_t/ᾱ_s) x_s, σ_t² − (ᾱ_t/ᾱ_s) σ_s²), in its own words and at its own peak."""
    explorer, table = Posterior(schedule=schedule, gap=gap, t=60), MAKERS[schedule]
    s = 60 - gap
    alpha = (table.alpha_bar[60] / table.alpha_bar[s]).item()
    beta = table.sigma[60].item() ** 2 - alpha * table.sigma[s].item() ** 2
    assert row(explorer)["1/var of q(x_t|x_s)"] == pytest.approx(alpha / beta, rel=1e-9)
    x, y = drawn(explorer, TO_XT)
    expected = np.sqrt(alpha / (2 * np.pi * beta)) * np.exp(
        -((explorer.x_t - alpha**0.5 * x) ** 2) / (2 * beta)
    )
    assert np.allclose(y, expected, rtol=1e-9)


@pytest.mark.parametrize("schedule", list(MAKERS))
@pytest.mark.parametrize("gap, t", [(1, 1), (50, 1), (50, 50)])
def test_at_s_0_all_is_at_x_0(schedule, gap, t):
    explorer = Posterior(schedule=schedule, x0=0.3, x_t=-0.5, gap=gap, t=t)
    numbers = explorer.numbers
    assert numbers["s"] == "0" and numbers["posterior mean"] == "0.3" and numbers["posterior std"] == "0"
    assert numbers["weight of x_0"] == "1" and numbers["weight of x_t"] == "0"
    assert numbers["1/var of q(x_s|x_0)"] == "∞" and numbers["1/var of posterior"] == "∞"
    assert "point mass" in explorer.describe() and "vertical line" in explorer.frame.alt
    top = explorer.frame.changes["layout"]["yaxis"]["range"][1]
    for trace in (POSTERIOR, FROM_X0):
        x, y = drawn(explorer, trace)
        assert (x == 0.3).all() and y.tolist() == [0, top]
    assert drawn(explorer, TO_XT) and explorer._error == ""


@settings(max_examples=15)
@given(**settings_of_controls)
def test_code_makes_what_is_on_the_screen(**controls):
    explorer = Posterior(**controls)
    found, numbers = run_code(explorer), row(explorer)
    assert found["posterior"].mean.item() == pytest.approx(numbers["posterior mean"], rel=1e-12, abs=1e-15)
    assert found["posterior"].var.item() ** 0.5 == pytest.approx(numbers["posterior std"], rel=1e-12)
    precision = found["keep"] ** 2 / found["add"]
    assert precision == pytest.approx(numbers["1/var of q(x_t|x_s)"], rel=1e-12)
    if numbers["s"]:
        assert 1 / found["from_x0"].var.item() == pytest.approx(numbers["1/var of q(x_s|x_0)"], rel=1e-12)


@settings(max_examples=10)
@given(**settings_of_controls)
def test_every_frame_is_finite_and_within_its_axes(**controls):
    explorer = Posterior(**controls)
    heading = explorer.shown.layout["annotations"][0]["text"]
    assert re.findall(r"</b> (q\(.*?\))", heading) == ["q(x_s|x_t, x_0)", "q(x_s|x_0)", "q(x_t|x_s)"]
    for t in range(1, 101):
        explorer.t = t
        top = explorer.frame.changes["layout"]["yaxis"]["range"][1]
        for trace in CURVES:
            x, y = drawn(explorer, trace)
            assert np.isfinite(x).all() and np.isfinite(y).all() and 0 <= y.min() and y.max() <= top
            assert np.abs(x).max() <= 3.5 and (np.diff(x) >= 0).all()
    marks = [explorer.shown.traces[name]["x"] for name in ("mark x_0", "mark x_t")]
    assert marks == [[explorer.x0] * 2, [explorer.x_t] * 2]


def test_sentences_and_warnings_say_what_is_the_case():
    explorer = Posterior(x0=-0.6, x_t=0.9, gap=1, t=50)
    assert "94% of" in explorer.describe() and "orange is the narrower factor" in explorer.describe()
    assert explorer.frame.warning == ""
    explorer.gap = 10
    assert "both factors matter" in explorer.describe()
    explorer.t = 100
    assert "Less than 1%" in explorer.describe() and "Green is nearly the same as blue" in explorer.describe()
    explorer.t = 3
    assert "standard deviations" in explorer.frame.warning


def test_what_is_on_the_page_is_small_and_pure():
    a, b = Posterior(), Posterior()
    state = torch.get_rng_state()
    assert a.scene(**a.values()).to_json() == b._scene and len(a._scene) < 2e6
    assert torch.equal(torch.get_rng_state(), state), "drew from the user's random stream"
    assert a.shown.layout["height"] <= 420
