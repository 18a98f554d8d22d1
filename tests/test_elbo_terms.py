"""The explorer of the ELBO: what it interpolates is what `elbo` computes, and its bars tell the truth."""

import re

import numpy as np
import pytest
import torch
from onscreen import run_code
from test_elbo import MEAN, STD, expected_total
from torch.distributions import Normal, kl_divergence

from diffusion_lab.exact import GaussianMixture
from diffusion_lab.explorers import elbo_terms
from diffusion_lab.explorers.elbo_terms import SCALED, SCHEDULES, STEPS, UNSCALED, ElboTerms, Errors
from diffusion_lab.forward import q_sample

BOTH = pytest.mark.parametrize("source", ["mixture", "digits"])
DENOISERS = pytest.mark.parametrize("denoiser", ["exact", "learned"])
BARS, L_SIMPLE, WEIGHT, ERROR = range(4)  # traces, in the order of drawing
PAID, TOTALS, CHOSEN_TOTAL = (4, 6, 8), (5, 7, 9), 10
BAR_AT_T, LINE_AT_T, FACTORS_AT_T, PAID_AT_T = range(11, 15)


def bound(explorer):
    """The bound that the explorer shows."""
    e = explorer
    return elbo_terms.bound(e.source, e.denoiser, e.variance, e.schedule, int(e.T))


def number(explorer, name):
    """One number as it is computed, before it is rounded."""
    return explorer.shown.numbers[explorer._frame][name]


def drawn(explorer, trace):
    """x and y of a trace at the present frame."""
    frame = explorer.shown.frames[explorer._frame]
    found = explorer.shown.figure["data"][trace] | frame.get(trace, {})
    return np.asarray(found["x"], dtype=float), np.asarray(found["y"], dtype=float)


# ---- the measurement and the bound ------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_on_one_gaussian_the_bound_is_the_elbos_expectation(name, variance):
    """E‖ε − ε̂‖² = SNR s²/(SNR s² + 1) there; `elbo` by quadrature gives the total to ten digits."""
    schedule = elbo_terms.make(name, 50)
    snr, sigma = (table[1:].flip(0).numpy() for table in (schedule.snr, schedule.sigma))
    eps = snr * STD**2 / (snr * STD**2 + 1)
    last = 0.5 * (np.log(2 * np.pi * sigma**2) + eps / snr / sigma**2)  # −log of a Gaussian density
    end = Normal(schedule.signal[-1] * np.hypot(MEAN, STD), schedule.sigma[-1])
    prior = kl_divergence(end, Normal(0.0, torch.ones_like(end.scale))).item() / np.log(2)
    found = elbo_terms.account(Errors(np.log(snr), eps, last), schedule, variance, prior)
    denoiser = GaussianMixture(torch.tensor([[MEAN]], dtype=torch.float64), [STD]).denoiser(schedule)
    assert found.total * np.log(2) == pytest.approx(expected_total(denoiser, schedule, variance).item(), 1e-9)


@pytest.mark.parametrize(("name", "T"), [("cosine", 25), ("sigmoid", 50), (SCALED, 200), (UNSCALED, 25)])
def test_the_mixtures_error_is_interpolated_to_half_a_percent(name, T):
    """At every t of other schedules than the one it was measured on, for which elbo has no shortcut."""
    schedule = elbo_terms.make(name, T)
    denoise = elbo_terms.truth("mixture").denoiser(schedule)
    direct = [elbo_terms.error_on_mixture(denoise, t, schedule) for t in range(1, T + 1)]
    direct = schedule.snr[1:].numpy() * np.array(direct)
    found = elbo_terms.bound("mixture", "exact", "small", name, T)
    assert found.errors[1:] == pytest.approx(direct, rel=6e-3)
    off = (found.weights[2:] * (found.errors[2:] - direct[1:])).sum() / np.log(2)
    assert abs(off) < 1e-3, "of the total, in bits/dim"


@DENOISERS
@pytest.mark.parametrize("t", [1, 60, 150, 400, 1000])
def test_the_quadrature_on_the_mixture_is_the_mean_over_draws(denoiser, t):
    network = elbo_terms.trained("mixture")
    mixture, g = elbo_terms.truth("mixture"), torch.Generator().manual_seed(t)
    denoise = network if denoiser == "learned" else mixture.denoiser(network.schedule)
    x0 = mixture.sample(50_000, g)
    guess = denoise(q_sample(x0, t, network.schedule, generator=g), t).x0
    each = (guess - x0).square().mean(1)
    found = elbo_terms.error_on_mixture(denoise, t, network.schedule)
    assert abs(found - each.mean().item()) < 4 * each.std().item() / len(each) ** 0.5


@BOTH
@DENOISERS
def test_between_the_measured_steps_the_curve_is_what_would_be_measured(source, denoiser):
    curve, ratios = elbo_terms.errors(source, denoiser), []
    for t in (8, 15, 34, 58, 74, 131, 261, 350, 480, 555, 690, 970):
        log_snr, eps, last = elbo_terms.measure(source, denoiser, t)
        assert np.abs(curve.log_snr - log_snr).min() > 0.05, "not one of them"
        found = curve.at(log_snr)
        ratios.append(found[0] / eps)
        assert found[1] == pytest.approx(last, abs=0.03)
    each, all_ = (0.01, 0.003) if source == "mixture" else (0.15, 0.04)  # digits: other noise at every t
    assert ratios == pytest.approx([1] * len(ratios), rel=each) and np.mean(ratios) == pytest.approx(1, all_)
    assert curve.at(np.inf)[0] == pytest.approx(curve.eps[-1])


@pytest.mark.parametrize(
    ("source", "denoiser", "variance", "schedule", "T"),
    [
        ("mixture", "exact", "small", "cosine", "50"),
        ("mixture", "exact", "large", UNSCALED, "100"),
        ("mixture", "learned", "large", "sigmoid", "100"),
        ("mixture", "learned", "small", SCALED, "50"),
        ("digits", "exact", "large", SCALED, "50"),
        ("digits", "exact", "small", UNSCALED, "25"),
        ("digits", "learned", "small", "cosine", "25"),
        ("digits", "learned", "large", SCALED, "25"),
    ],
)
def test_the_plain_route_in_the_code_leads_to_the_same_terms(source, denoiser, variance, schedule, T):
    """Each x_t drawn and each term from `elbo`: the networks at real times, no curve, no quadrature."""
    explorer = ElboTerms(source=source, denoiser=denoiser, variance=variance, schedule=schedule, T=T, t=4)
    bound, D = run_code(explorer)["bound"], 2 if source == "mixture" else 64
    assert bound.dims == D
    if source == "mixture":
        room = 4 * bound.bits_per_dim.std().item() / len(bound.total) ** 0.5
    else:  # the same images: only the noise is another
        room = 0.03 + 0.01 * number(explorer, "total (bits/dim)")
    assert number(explorer, "total (bits/dim)") == pytest.approx(bound.bits_per_dim.mean().item(), abs=room)
    nats = D * np.log(2)
    term = number(explorer, "L_(t−1) (bits/dim)")
    assert term == pytest.approx(bound.diffusion[:, 4].mean().item() / nats, rel=0.1)
    assert number(explorer, "L_0") == pytest.approx(bound.reconstruction.mean().item() / nats, abs=0.03)
    prior = bound.prior.mean().item() / nats
    assert number(explorer, "L_T") == pytest.approx(prior, rel=0.03 if source == "mixture" else 1e-4)


def test_the_code_at_t_1_and_its_weight():
    explorer = ElboTerms(T="25", t=1)
    code = explorer.shown.code[0]
    assert "bound.reconstruction.mean()" in code and "diffusion" not in code.replace("diffusion_lab", "")
    weight = run_code(explorer)["elbo"].simple_weights(elbo_terms.make("cosine", 25), "small")[1]
    assert number(explorer, "w_t") == weight.item()
    assert number(explorer, "L_(t−1) (bits/dim)") == number(explorer, "L_0")


def test_the_entropy_is_the_integral_over_the_plane():
    ticks = torch.linspace(-1.3, 1.4, 800, dtype=torch.float64)
    x = torch.cartesian_prod(ticks, ticks)
    log_p = elbo_terms.truth("mixture").log_prob(x)
    bits = -(log_p.exp() * log_p).sum().item() * (ticks[1] - ticks[0]).item() ** 2 / (2 * np.log(2))
    assert elbo_terms.entropy() == pytest.approx(bits, abs=2e-4)


# ---- what there is to see --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cosine", "sigmoid", SCALED])
def test_the_exact_bound_falls_to_the_entropy(name):
    """With the large variance, twice the steps leave about half of what lies above it; not with the small."""
    gaps = {
        variance: [
            elbo_terms.bound("mixture", "exact", variance, name, int(T)).total - elbo_terms.entropy()
            for T in STEPS
        ]
        for variance in ("small", "large")
    }
    ratios = [a / b for a, b in zip(gaps["large"], gaps["large"][1:], strict=False)]
    assert gaps["large"][-1] > 0 and min(ratios) > 1.4
    assert gaps["large"][-1] < 0.05 and gaps["small"][-1] > 0.3


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("T", STEPS)
def test_the_exact_denoiser_is_the_best_on_the_mixture_and_the_network_on_digits(name, T):
    for variance in ("small", "large"):
        on = {
            (source, who): elbo_terms.bound(source, who, variance, name, int(T)).total
            for source in ("mixture", "digits")
            for who in ("exact", "learned")
        }
        assert on["mixture", "exact"] < on["mixture", "learned"] < on["mixture", "exact"] + 0.03
        assert on["digits", "learned"] < on["digits", "exact"] - 0.15


@BOTH
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("T", STEPS)
def test_bars_and_sums_are_the_whole_bound(source, variance, T):
    explorer = ElboTerms(source=source, variance=variance, T=T)
    now, times = bound(explorer), explorer.shown.positions
    (x, costs), (at, simple) = drawn(explorer, BARS), drawn(explorer, L_SIMPLE)
    assert now.prior + now.terms[1] + costs.sum() == pytest.approx(now.total, abs=1e-9)
    assert (at == x).all() and simple.sum() == pytest.approx(costs.sum())
    width = explorer.shown.figure["data"][BARS]["width"] / 0.85
    assert len(x) <= 100 and width == pytest.approx(max(1, int(T) // 100))
    inside = np.abs(np.arange(2, int(T) + 1)[:, None] - x) < width / 2
    assert (inside.sum(1) == 1).all() and costs == pytest.approx(inside.T @ now.terms[2:])
    share = now.errors[2:] / now.errors[2:].sum()
    assert simple == pytest.approx(inside.T @ share * costs.sum())

    assert drawn(explorer, PAID[0])[1] == pytest.approx(now.paid[times])
    assert now.paid[-1] == pytest.approx(now.prior + now.terms[-1])
    assert (drawn(explorer, TOTALS[0])[0] == [int(n) for n in STEPS]).all()
    assert drawn(explorer, CHOSEN_TOTAL)[1] == pytest.approx([now.total])
    assert drawn(explorer, TOTALS[0])[1][STEPS.index(T)] == now.total
    if variance == "small":  # bits: the constant is 0, and a weight times an error is the term
        product = now.weights[2:] * now.errors[2:] / np.log(2)
        assert product == pytest.approx(now.terms[2:], rel=1e-12)
    else:
        assert (now.weights[2:] * now.errors[2:] < now.terms[2:] * np.log(2)).all()


@BOTH
@pytest.mark.parametrize("T", ["25", "200", "1000"])
def test_the_main_slider_points_at_t(source, T):
    explorer = ElboTerms(source=source, T=T, denoiser="learned")
    now, width = bound(explorer), max(1, int(T) // 100)
    top = explorer.shown.frames[0][LINE_AT_T]["y"][1]
    for t in explorer.shown.positions:
        explorer.t = t
        assert explorer.t == t
        x, y = drawn(explorer, BAR_AT_T)
        if t == 1:
            assert len(x) == 0, "L_0 has no bar"
        else:
            assert abs(x[0] - t) <= (width - 1) / 2 and y[0] >= now.terms[t] and y[0] <= top
            share, simple = (
                float(explorer.numbers[f"of Σ {name}, steps 2…t"].rstrip("%"))
                for name in ("L_(t−1)", "L_simple")
            )
            assert share == pytest.approx(100 * now.terms[2 : t + 1].sum() / now.terms[2:].sum(), rel=6e-3)
            assert simple == pytest.approx(100 * now.errors[2 : t + 1].sum() / now.errors[2:].sum(), rel=6e-3)
        assert drawn(explorer, LINE_AT_T)[0].tolist() == [t, t]
        assert drawn(explorer, FACTORS_AT_T)[1].tolist() == [now.weights[t], now.errors[t]]
        assert number(explorer, "w_t") == now.weights[t]
        assert drawn(explorer, PAID_AT_T)[1].tolist() == [number(explorer, "paid from T down to t")]
        below = now.terms[1:t].sum()
        assert now.paid[t] + below == pytest.approx(now.total, abs=1e-9)
    assert share == simple == 100


@BOTH
def test_the_other_lines_are_the_other_variance_and_the_other_denoiser(source):
    here = ElboTerms(source=source)
    for k, changed in enumerate([dict(variance="large"), dict(denoiser="learned")], 1):
        there = ElboTerms(source=source, **changed)
        for trace in (PAID, TOTALS):
            assert (drawn(here, trace[k])[1] == drawn(there, trace[0])[1]).all()
        totals = [name for name in here.numbers if name.startswith("total, ")]
        assert number(here, totals[k - 1]) == number(there, "total (bits/dim)")
    assert ("entropy of the data" in here.numbers) == (source == "mixture")


def test_sentences_say_who_counts_a_step_more():
    explorer = ElboTerms(T="100", t=1)
    assert "L_0 may be negative" in explorer.describe()
    explorer.source = "digits"
    assert float(explorer.numbers["L_0"]) > 0 and "negative" not in explorer.describe()
    now, seen = bound(explorer), set()
    for t in explorer.shown.positions[1:]:
        said = explorer.shown.sentences[explorer.shown.nearest(t)]
        ratio = now.terms[t] / now.errors[t] * now.errors[2:].sum() / now.terms[2:].sum()
        if "alike" in said:
            assert 1 / 1.2 < ratio < 1.2
        else:
            factor = float(re.search(r"([\d.]+) times as much", said)[1])
            ratio = ratio if "The bound counts" in said else 1 / ratio
            assert factor == pytest.approx(ratio, rel=0.06) and ratio >= 1.2
        seen.add(re.search(r"The bound counts|L_simple counts|alike", said)[0])
    assert len(seen) == 3


def test_the_warning_is_for_an_end_that_is_not_noise():
    for name in SCHEDULES:
        for T in STEPS:
            explorer = ElboTerms(source="digits", schedule=name, T=T)
            loud = name == UNSCALED and int(T) < 1000
            assert bool(explorer.shown.warning) == loud == (float(explorer.numbers["L_T"]) > 1e-3)
            assert not loud or f"L_T = {explorer.numbers['L_T']} " in explorer.describe()


@pytest.mark.parametrize("name", ["source", "denoiser", "variance", "schedule", "T", "t"])
def test_works_at_both_ends_of_every_control(name):
    control = ElboTerms.controls[name]
    for value in (control.values[0], control.values[-1]):
        explorer = ElboTerms(**{"T": "1000", name: value})
        assert explorer._error == "" and all(explorer.numbers.values())
        assert all(f"{key} = {number}" in explorer.describe() for key, number in explorer.numbers.items())
        assert len(explorer._scene) < 3e5


def test_is_pure():
    a, b = ElboTerms(source="digits"), ElboTerms(source="digits")
    torch.manual_seed(1)
    state = torch.get_rng_state()
    elbo_terms.errors.cache_clear()
    elbo_terms.bound.cache_clear()
    assert a.scene(**a._values()).to_json() == b.scene(**b._values()).to_json() == a._scene
    assert torch.equal(torch.get_rng_state(), state)
