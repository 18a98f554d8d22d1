"""The explorers of the ELBO: what they interpolate is what `elbo` computes, and bars and sums are true."""

import re

import numpy as np
import pytest
import torch
from onscreen import run_code
from test_elbo import MEAN, STD, expected_total
from torch.distributions import Normal, kl_divergence

from diffusion_lab import data, views
from diffusion_lab.elbo import elbo, simple_weights
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import bound as bounds
from diffusion_lab.experiments import elbo_errors
from diffusion_lab.experiments.bound import CHOICES, SCALED, STEPS, UNSCALED, schedule_of
from diffusion_lab.experiments.elbo_errors import Errors
from diffusion_lab.experiments.stored import trained
from diffusion_lab.explorers import ElboTerms, ElboTotals
from diffusion_lab.forward import q_sample

BOTH = pytest.mark.parametrize("source", ["mixture", "digits"])
DENOISERS = pytest.mark.parametrize("denoiser", ["exact", "learned"])
EXPLORERS = pytest.mark.parametrize("cls", [ElboTerms, ElboTotals])


def bound(explorer):
    """The bound that the explorer shows."""
    e = explorer
    return bounds.bound(e.source, e.denoiser, e.variance, e.schedule, e.T)


def number(explorer, name):
    """One number as it is computed, before it is rounded."""
    return explorer.frame.numbers[name]


def drawn(explorer, trace):
    """x and y of a trace at the present frame."""
    found = explorer.shown.traces[trace] | explorer.frame.changes.get(trace, {})
    return np.asarray(found["x"], dtype=float), np.asarray(found["y"], dtype=float)


def plain_route(source, denoiser, variance, schedule, T):
    """The bound by `elbo`: every x_t drawn, the networks at real times, no curve, no quadrature."""
    table, generator = schedule_of(schedule, T), torch.Generator().manual_seed(0)
    points = source == "mixture"
    x0 = data.toy_mixture().sample(2000, generator) if points else data.digits("test")[0][:100]
    network = trained(source)

    def at_its_own_time(x_t, t):  # the step of the network's schedule that has this log SNR
        own = network.schedule
        time = np.interp(-table.log_snr[t], -own.log_snr[1:], range(1, own.T + 1)).item()
        return views.Prediction.from_x0(network(x_t, time).x0, x_t, t, table)

    truth = data.toy_mixture() if points else GaussianMixture.fit(*data.digits())
    denoise = at_its_own_time if denoiser == "learned" else truth.denoiser(table)
    decoder = {} if points else dict(decoder="discretized", levels=17)
    return elbo(denoise, x0, table, variance, generator=generator, **decoder)


# ---- the measurement and the bound ------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("name", CHOICES)
def test_on_one_gaussian_the_bound_is_the_elbos_expectation(name, variance, monkeypatch):
    """E‖ε − ε̂‖² = SNR s²/(SNR s² + 1) there; `elbo` by quadrature gives the total to ten digits."""
    schedule = schedule_of(name, 50)
    snr, sigma = (table[1:].flip(0).numpy() for table in (schedule.snr, schedule.sigma))
    eps = snr * STD**2 / (snr * STD**2 + 1)
    last = 0.5 * (np.log(2 * np.pi * sigma**2) + eps / snr / sigma**2)  # −log of a Gaussian density
    end = Normal(schedule.signal[-1] * np.hypot(MEAN, STD), schedule.sigma[-1])
    prior = kl_divergence(end, Normal(0.0, torch.ones_like(end.scale))).item() / np.log(2)
    monkeypatch.setattr(bounds, "errors", lambda *_: Errors(np.log(snr), eps, last))
    monkeypatch.setattr(bounds, "typical", lambda _: None)
    monkeypatch.setattr(bounds, "prior_bits", lambda *_: prior)
    found = bounds.bound.__wrapped__("one", "Gaussian", variance, name, 50)
    denoiser = GaussianMixture(torch.tensor([[MEAN]], dtype=torch.float64), [STD]).denoiser(schedule)
    assert found.total * np.log(2) == pytest.approx(expected_total(denoiser, schedule, variance).item(), 1e-9)


@pytest.mark.parametrize(("name", "T"), [("cosine", 25), ("sigmoid", 50), (SCALED, 200), (UNSCALED, 25)])
def test_the_mixtures_error_is_interpolated_to_half_a_percent(name, T):
    """At every t of other schedules than the one it was measured on, for which elbo has no shortcut."""
    schedule = schedule_of(name, T)
    denoise = elbo_errors.truth("mixture").denoiser(schedule)
    direct = [elbo_errors.error_on_mixture(denoise, t, schedule) for t in range(1, T + 1)]
    direct = schedule.snr[1:].numpy() * np.array(direct)
    found = bounds.bound("mixture", "exact", "small", name, T)
    assert found.errors[1:] == pytest.approx(direct, rel=6e-3)
    off = (found.weights[2:] * (found.errors[2:] - direct[1:])).sum() / np.log(2)
    assert abs(off) < 1e-3, "of the total, in bits/dim"


@DENOISERS
@pytest.mark.parametrize("t", [1, 60, 150, 400, 1000])
def test_the_quadrature_on_the_mixture_is_the_mean_over_draws(denoiser, t):
    network = trained("mixture")
    mixture, g = elbo_errors.truth("mixture"), torch.Generator().manual_seed(t)
    denoise = network if denoiser == "learned" else mixture.denoiser(network.schedule)
    x0 = mixture.sample(50_000, g)
    guess = denoise(q_sample(x0, t, network.schedule, generator=g), t).x0
    each = (guess - x0).square().mean(1)
    found = elbo_errors.error_on_mixture(denoise, t, network.schedule)
    assert abs(found - each.mean().item()) < 4 * each.std().item() / len(each) ** 0.5


@BOTH
@DENOISERS
def test_between_the_measured_steps_the_curve_is_what_would_be_measured(source, denoiser):
    curve, ratios = elbo_errors.errors(source, denoiser), []
    for t in (8, 15, 34, 58, 74, 131, 261, 350, 480, 555, 690, 970):
        log_snr, eps, last = elbo_errors.measure(source, denoiser, t)
        assert np.abs(curve.log_snr - log_snr).min() > 0.05, "not one of them"
        found = curve.at(log_snr)
        ratios.append(found[0] / eps)
        assert found[1] == pytest.approx(last, abs=0.03)
    each, all_ = (0.01, 0.003) if source == "mixture" else (0.15, 0.04)  # digits: other noise at every t
    assert ratios == pytest.approx([1] * len(ratios), rel=each) and np.mean(ratios) == pytest.approx(1, all_)
    assert curve.at(np.inf)[0] == pytest.approx(curve.eps[-1])


every_kind = pytest.mark.parametrize(
    ("source", "denoiser", "variance", "schedule", "T"),
    [
        ("mixture", "exact", "small", "cosine", 50),
        ("mixture", "exact", "large", UNSCALED, 100),
        ("mixture", "learned", "large", "sigmoid", 100),
        ("mixture", "learned", "small", SCALED, 50),
        ("digits", "exact", "large", SCALED, 50),
        ("digits", "exact", "small", UNSCALED, 25),
        ("digits", "learned", "small", "cosine", 25),
        ("digits", "learned", "large", SCALED, 25),
    ],
)


@every_kind
def test_elbo_by_the_plain_route_leads_to_the_same_terms(source, denoiser, variance, schedule, T):
    told = dict(source=source, denoiser=denoiser, variance=variance, schedule=schedule, T=T)
    plain, D = plain_route(**told), 2 if source == "mixture" else 64
    explorer, totals = ElboTerms(**told, t=4), ElboTotals(**told)
    assert plain.dims == D
    if source == "mixture":
        room = 4 * plain.bits_per_dim.std().item() / len(plain.total) ** 0.5
    else:  # the same images: only the noise is another
        room = 0.03 + 0.01 * number(explorer, "total (bits/dim)")
    for each in (explorer, totals):
        assert number(each, "total (bits/dim)") == pytest.approx(plain.bits_per_dim.mean().item(), abs=room)
    nats = D * np.log(2)
    term = number(explorer, "L_(t−1) (bits/dim)")
    assert term == pytest.approx(plain.diffusion[:, 4].mean().item() / nats, rel=0.1)
    assert number(totals, "L_0") == pytest.approx(plain.reconstruction.mean().item() / nats, abs=0.03)
    prior = plain.prior.mean().item() / nats
    assert number(totals, "L_T") == pytest.approx(prior, rel=0.03 if source == "mixture" else 1e-4)


@every_kind
def test_code_makes_what_is_on_the_screen(source, denoiser, variance, schedule, T):
    told = dict(source=source, denoiser=denoiser, variance=variance, schedule=schedule, T=T)
    for t in (1, 2, T // 2, T):
        explorer = ElboTerms(**told, t=t)
        row = explorer.frame.numbers
        assert run_code(explorer)["shown"] == (row["L_(t−1) (bits/dim)"], row["w_t"], row["E‖ε − ε̂‖²/D"])
        assert row["w_t"] == simple_weights(schedule_of(schedule, T), variance)[t].item()
    totals = ElboTotals(**told)
    found = run_code(totals)
    assert found["shown"] == pytest.approx(number(totals, "total (bits/dim)"), rel=1e-12)
    assert (found["prior"], found["terms"][1]) == (number(totals, "L_T"), number(totals, "L_0"))


def test_the_term_at_t_1_is_that_of_the_decoder():
    explorer, totals = ElboTerms(T=25, t=1), ElboTotals(T=25)
    assert number(explorer, "L_(t−1) (bits/dim)") == number(totals, "L_0")


def test_the_entropy_is_the_integral_over_the_plane():
    ticks = torch.linspace(-1.3, 1.4, 800, dtype=torch.float64)
    x = torch.cartesian_prod(ticks, ticks)
    log_p = elbo_errors.truth("mixture").log_prob(x)
    bits = -(log_p.exp() * log_p).sum().item() * (ticks[1] - ticks[0]).item() ** 2 / (2 * np.log(2))
    assert elbo_errors.entropy() == pytest.approx(bits, abs=2e-4)


# ---- what there is to see --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cosine", "sigmoid", SCALED])
def test_the_exact_bound_falls_to_the_entropy(name):
    """With the large variance, twice the steps leave about half of what lies above it; not with the small."""
    gaps = {
        variance: [
            bounds.bound("mixture", "exact", variance, name, T).total - elbo_errors.entropy() for T in STEPS
        ]
        for variance in ("small", "large")
    }
    ratios = [a / b for a, b in zip(gaps["large"], gaps["large"][1:], strict=False)]
    assert gaps["large"][-1] > 0 and min(ratios) > 1.4
    assert gaps["large"][-1] < 0.05 and gaps["small"][-1] > 0.3


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("T", STEPS)
def test_the_exact_denoiser_is_the_best_on_the_mixture_and_the_network_on_digits(name, T):
    for variance in ("small", "large"):
        on = {
            (source, who): bounds.bound(source, who, variance, name, T).total
            for source in ("mixture", "digits")
            for who in ("exact", "learned")
        }
        assert on["mixture", "exact"] < on["mixture", "learned"] < on["mixture", "exact"] + 0.03
        assert on["digits", "learned"] < on["digits", "exact"] - 0.15


@BOTH
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("T", STEPS)
def test_bars_and_sums_are_the_whole_bound(source, variance, T):
    explorer, totals = (cls(source=source, variance=variance, T=T) for cls in (ElboTerms, ElboTotals))
    now, times = bound(explorer), explorer.shown.positions
    (x, costs), (at, simple) = drawn(explorer, "costs"), drawn(explorer, "L_simple")
    assert now.prior + now.terms[1] + costs.sum() == pytest.approx(now.total, abs=1e-9)
    assert (at == x).all() and simple.sum() == pytest.approx(costs.sum())
    width = explorer.shown.traces["costs"]["width"] / 0.85
    assert len(x) <= 100 and width == pytest.approx(max(1, T // 100))
    inside = np.abs(np.arange(2, T + 1)[:, None] - x) < width / 2
    assert (inside.sum(1) == 1).all() and costs == pytest.approx(inside.T @ now.terms[2:])
    share = now.errors[2:] / now.errors[2:].sum()
    assert simple == pytest.approx(inside.T @ share * costs.sum())
    ends = {f"L_0 = {now.terms[1]:.3g}", f"L_T = {now.prior:.3g}"}
    assert ends < {note["text"] for note in explorer.shown.layout["annotations"]}

    chosen = next(name for name in totals.shown.traces if name.startswith("paid"))
    assert drawn(totals, chosen)[0].tolist() == times
    assert drawn(totals, chosen)[1] == pytest.approx(now.paid[times])
    assert now.paid[-1] == pytest.approx(now.prior + now.terms[-1])
    x, y = drawn(totals, chosen.replace("paid", "total"))
    assert x.tolist() == STEPS and y[STEPS.index(T)] == now.total
    for marks, at in (("totals at T", T), ("L_0 is paid", 1)):
        assert (drawn(totals, marks)[0] == at).all() and drawn(totals, marks)[1][0] == now.total
    row = totals.frame.numbers
    assert row["L_T"] + row["Σ L_(t−1), steps 2…T"] + row["L_0"] == pytest.approx(row["total (bits/dim)"])
    if variance == "small":  # bits: the constant is 0, and a weight times an error is the term
        product = now.weights[2:] * now.errors[2:] / np.log(2)
        assert product == pytest.approx(now.terms[2:], rel=1e-12)
    else:
        assert (now.weights[2:] * now.errors[2:] < now.terms[2:] * np.log(2)).all()


@BOTH
@pytest.mark.parametrize("T", [25, 200, 1000])
def test_the_main_slider_points_at_t(source, T):
    explorer = ElboTerms(source=source, T=T, denoiser="learned")
    now, width = bound(explorer), max(1, T // 100)
    for t in explorer.shown.positions:
        explorer.t = t
        assert explorer.t == t
        x, y = drawn(explorer, "bar at t")
        line, (_, top) = drawn(explorer, "line at t")
        if t == 1:
            assert len(x) == 0, "L_0 has no bar"
        else:
            assert abs(x[0] - t) <= (width - 1) / 2 and y[0] >= now.terms[t] and y[0] <= top
            share, simple = (
                float(explorer.numbers[f"of Σ {name}, steps 2…t"].rstrip("%"))
                for name in ("L_(t−1)", "L_(simple)")
            )
            assert share == pytest.approx(100 * now.terms[2 : t + 1].sum() / now.terms[2:].sum(), rel=6e-3)
            assert simple == pytest.approx(100 * now.errors[2 : t + 1].sum() / now.errors[2:].sum(), rel=6e-3)
        assert line.tolist() == [t, t]
        assert drawn(explorer, "factors at t")[1].tolist() == [now.weights[t], now.errors[t]]
        assert number(explorer, "w_t") == now.weights[t]
        assert number(explorer, "paid from T down to t") == now.paid[t]
        below = now.terms[1:t].sum()
        assert now.paid[t] + below == pytest.approx(now.total, abs=1e-9)
    assert share == simple == 100


@BOTH
def test_the_other_lines_are_the_other_variance_and_the_other_denoiser(source):
    here = ElboTotals(source=source)
    _, *others = (name.removeprefix("paid, ") for name in here.shown.traces if name.startswith("paid"))
    for other, changed in zip(others, [dict(variance="large"), dict(denoiser="learned")], strict=True):
        there = ElboTotals(source=source, **changed)
        for T in STEPS:
            here.T = there.T = T
            for kind in ("paid", "total"):
                assert (drawn(here, f"{kind}, {other}")[1] == drawn(there, f"{kind}, {other}")[1]).all()
            assert number(here, f"total, {other}") == number(there, "total (bits/dim)")
    known = source == "mixture"
    assert ("entropy of the data" in here.numbers) == ("entropy 2" in here.shown.traces) == known
    assert not known or (drawn(here, "entropy 2")[1] == elbo_errors.entropy()).all()


@BOTH
@pytest.mark.parametrize("variance", ["small", "large"])
def test_sentences_of_the_totals_compare_them(source, variance):
    explorer = ElboTotals(source=source, variance=variance, denoiser="learned")
    every = {T: bounds.bound(source, "learned", variance, "cosine", T).total for T in STEPS}
    cheapest = min(every, key=every.get)
    for T in STEPS:
        explorer.T = T
        row, said = explorer.frame.numbers, explorer.frame.sentence
        assert row["total (bits/dim)"] == every[T] and f"is {every[T]:.3g} bits/dim" in said
        assert ("smallest at this T" if T == cheapest else f"smallest at T = {cheapest}") in said
        compared = re.findall(r"([\d.e-]+) (more|less) than (.*?, (?:small|large))", said)
        assert len(compared) == 2
        for off, which, other in compared:
            apart = (every[T] - row[f"total, {other}"]) * (1 if which == "more" else -1)
            assert apart == pytest.approx(float(off), rel=0.06) and apart > 0
        if source == "mixture":
            above = float(re.search(r"([\d.]+) above the entropy", said)[1])
            assert above == pytest.approx(every[T] - elbo_errors.entropy(), rel=0.06)


def test_sentences_say_who_counts_a_step_more():
    explorer = ElboTerms(T=100, t=1)
    assert "L_0 is negative" in explorer.describe()
    explorer.source = "digits"
    assert number(explorer, "L_(t−1) (bits/dim)") > 0 and "negative" not in explorer.describe()
    now, seen = bound(explorer), set()
    for t in explorer.shown.positions[1:]:
        said = explorer.shown.frames[explorer.shown.nearest(t)].sentence
        ratio = now.terms[t] / now.errors[t] * now.errors[2:].sum() / now.terms[2:].sum()
        if "about equally" in said:
            assert 1 / 1.2 < ratio < 1.2
        else:
            factor = float(re.search(r"([\d.]+) times as much", said)[1])
            ratio = ratio if "The bound weights" in said else 1 / ratio
            assert factor == pytest.approx(ratio, rel=0.06) and ratio >= 1.2
        seen.add(re.search(r"The bound weights|L_\(simple\) weights|about equally", said)[0])
    assert len(seen) == 3


@EXPLORERS
def test_the_warning_is_for_an_end_that_is_not_noise(cls):
    for name in CHOICES:
        for T in STEPS:
            explorer = cls(source="digits", schedule=name, T=T)
            loud, prior = name == UNSCALED and T < 1000, bound(explorer).prior
            assert bool(explorer.frame.warning) == loud == (prior > 1e-3)
            assert not loud or f"L_T = {prior:.3g} " in explorer.describe()


@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls in (ElboTerms, ElboTotals) for name in cls.controls]
)
def test_works_at_both_ends_of_every_control(cls, name):
    control = cls.controls[name]
    for value in (control.values[0], control.values[-1]):
        explorer = cls(**{"T": 1000, name: value})
        assert explorer._error == "" and all(explorer.numbers.values()) and len(explorer.numbers) <= 8
        assert all(f"{key} = {number}" in explorer.describe() for key, number in explorer.numbers.items())
        assert len(explorer._scene) < 3e5


@EXPLORERS
def test_is_pure(cls):
    a, b = cls(source="digits"), cls(source="digits")
    torch.manual_seed(1)
    state = torch.get_rng_state()
    elbo_errors.errors.cache_clear()
    bounds.bound.cache_clear()
    assert a.scene(**a.values()).to_json() == b.scene(**b.values()).to_json() == a._scene
    assert torch.equal(torch.get_rng_state(), state)
