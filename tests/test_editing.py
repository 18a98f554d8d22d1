"""SDEdit and DDIM inversion against closed forms: points, Gaussians, mixtures whose end is known."""

import math
from itertools import pairwise

import pytest
import torch
from close import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from diffusion_lab import data, pretrained, samplers
from diffusion_lab.applications.editing import edit, sdedit
from diffusion_lab.exact import Empirical, GaussianMixture
from diffusion_lab.experiments.edited import TWO_MODES, decided, ends, mode_change
from diffusion_lab.forward import q_sample
from diffusion_lab.guidance import classifier_free
from diffusion_lab.samplers import SAMPLERS
from diffusion_lab.schedules import NoiseSchedule, cosine, flow, linear, ve, zero_terminal_snr


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def last(run):
    *_, step = run
    return step


def gaussian(mean, std):
    return GaussianMixture(torch.tensor([[mean]], dtype=torch.float64), stds=[std])


THREE = NoiseSchedule.from_alpha_bar([0.9, 0.5, 0.1])
SCHEDULES = {"cosine": cosine(200), "linear": linear(50), "flow": flow(100), "ve": ve(100)}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)


# ---- sdedit ------------------------------------------------------------------------------------------------


@every_sampler
@every_schedule
def test_it_starts_with_the_noise_of_t0_and_at_t0(sampler, schedule):
    guide, noise, t0 = draw(4, 2), draw(4, 2, seed=1), schedule.T // 2
    denoiser = Empirical(draw(3, 2, seed=2)).denoiser(schedule)
    run = list(sdedit(denoiser, guide, t0, sampler, steps=5, noise=noise, generator=seeded()))
    first = run[0].prediction
    if sampler is not samplers.edm:  # that one begins with a step up
        assert first.t == t0
        assert_close(first.x_t, q_sample(guide, t0, schedule, noise), rtol=0, atol=0)
    assert [step.t for step in run] == [round(t0 * k / 5) for k in (4, 3, 2, 1, 0)]


@every_sampler
@every_schedule
def test_from_any_t0_one_point_is_found(sampler, schedule):
    point = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    denoiser = Empirical(point).denoiser(schedule)
    for t0 in (1, 10, schedule.T):
        found = last(sdedit(denoiser, draw(6, 2), t0, sampler, generator=seeded())).x
        assert_close(found, point.expand(6, 2), rtol=0, atol=1e-9)


@every_schedule
def test_at_0_the_guide_comes_back_and_nobody_is_asked(schedule):
    def never(x_t, t):
        raise AssertionError("asked")

    guide = draw(3, 2)
    (step,) = sdedit(never, guide, 0, schedule=schedule)
    assert step.t == step.calls == 0 and torch.equal(step.x, guide) and torch.equal(step.prediction.x0, guide)
    (step,) = edit(never, never, guide, 0, schedule=schedule)
    assert step.t == step.calls == 0 and torch.equal(step.x, guide)


def test_at_T_it_sees_the_guide_in_the_share_that_is_left():
    """linear(50) keeps signal_T = 0.78, and on Gaussian data the guide's weight in the result is known."""
    std, noise = 0.6, draw(1, 1)
    for schedule in (linear(50), cosine(50), flow(50), zero_terminal_snr(linear(50))):
        denoiser = gaussian(0.0, std).denoiser(schedule)
        one, two = (
            last(sdedit(denoiser, guide * torch.ones_like(noise), schedule.T, samplers.ddim, noise=noise)).x
            for guide in (1.0, -1.0)
        )
        gain = 1.0
        for t in range(schedule.T, 0, -1):  # each DDIM step multiplies, so T of them do
            a = schedule.signal[t].item() * std**2
            a /= schedule.signal[t].item() ** 2 * std**2 + schedule.sigma[t].item() ** 2
            eps = (1 - schedule.signal[t].item() * a) / schedule.sigma[t].item()
            gain *= schedule.signal[t - 1].item() * a + schedule.sigma[t - 1].item() * eps
        wanted = 2 * schedule.signal[-1].item() * gain
        assert (one - two).item() == pytest.approx(wanted, abs=1e-9)
    assert wanted == 0  # zero SNR: the guide is forgotten


def test_on_a_gaussian_mean_and_variance_are_those_of_bayes():
    """x_t0 = s g + σ ε and x_0 ~ N(μ + a (x_t0 − s μ), v (1 − s a)): linear in ε."""
    schedule, mean, std, guide = cosine(), 0.5, 0.4, -1.0
    denoiser, n = gaussian(mean, std).denoiser(schedule), 5000
    for t0 in (200, 600):
        s, sigma = schedule.signal[t0].item(), schedule.sigma[t0].item()
        a = s * std**2 / (s**2 * std**2 + sigma**2)
        told = mean + a * s * (guide - mean), (a * sigma) ** 2 + std**2 * (1 - s * a)
        x = last(sdedit(denoiser, torch.full((n, 1), guide).double(), t0, generator=seeded())).x
        assert x.mean().item() == pytest.approx(told[0], abs=4 * (told[1] / n) ** 0.5 + 2e-3)
        assert x.var().item() == pytest.approx(told[1], rel=4 * (2 / n) ** 0.5 + 1e-2)


@pytest.mark.parametrize("schedule", [cosine(), flow(1000), ve(1000)], ids=["cosine", "flow", "ve"])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_ddpm_ends_in_each_mode_as_often_as_it_should(schedule, share):
    t0, n = decided(TWO_MODES, schedule, share), 4000
    guide = torch.full((n, 1), 0.6, dtype=torch.float64)
    x = last(sdedit(TWO_MODES.denoiser(schedule), guide, t0, generator=seeded(3))).x
    p = ends(TWO_MODES, guide[:1], t0, schedule)[0, 0].item()
    assert 0.02 < p < 0.5
    assert (x < 0).double().mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5)


def test_ddim_loses_the_mode_less_often_than_ddpm():
    """It cannot cross 0, so it errs only where x_t0 has crossed it already: Φ(−signal/std of x_t0)."""
    schedule, t0, n = cosine(), 500, 5000
    var = schedule.alpha_bar[t0] * 0.04 + schedule.sigma[t0] ** 2
    p = stats.norm.cdf(-(schedule.signal[t0] / var.sqrt()).item())
    sign = torch.where(draw(n, 1) < 0, -1.0, 1.0)
    x = last(sdedit(TWO_MODES.denoiser(schedule), sign + 0.2 * draw(n, 1, seed=1), t0, samplers.ddim)).x
    assert (x.sign() != sign).double().mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5)
    assert p < 0.8 * mode_change(TWO_MODES, t0, schedule)


@every_schedule
@pytest.mark.parametrize("sampler", [samplers.ddim, samplers.heun, samplers.dpm_solver_pp_2m])
def test_one_example_is_edited_as_in_any_batch(schedule, sampler):
    guide, noise, t0 = draw(5, 2), draw(5, 2, seed=1), schedule.T // 2
    mixture = data.toy_mixture()
    denoiser = mixture.denoiser(schedule)
    whole = last(sdedit(denoiser, guide, t0, sampler, steps=8, noise=noise)).x
    back = last(edit(denoiser, mixture.given(1).denoiser(schedule), guide, t0, steps=8)).x
    for i in range(5):
        one = sdedit(denoiser, guide[[i]], t0, sampler, steps=8, noise=noise[[i]])
        assert_close(last(one).x, whole[[i]], rtol=1e-9, atol=1e-9)
        one = edit(denoiser, mixture.given(1).denoiser(schedule), guide[[i]], t0, steps=8)
        assert_close(last(one).x, back[[i]], rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(t0=st.integers(1, 200), share=st.floats(0, 1), sampler=st.sampled_from(list(SAMPLERS)))
def test_any_number_of_steps(t0, share, sampler):
    steps = max(1, round(share * t0))
    denoiser = gaussian(0.0, 1.0).denoiser(cosine(200))
    run = list(sdedit(denoiser, draw(2, 1), t0, SAMPLERS[sampler], steps=steps, generator=seeded()))
    times = [t0, *(step.t for step in run)]
    assert len(run) == steps and times[-1] == 0 and all(a > b for a, b in pairwise(times))
    gaps = [a - b for a, b in pairwise(times)]
    assert max(gaps) - min(gaps) <= 1


def test_clip_options_and_generator_reach_the_sampler():
    schedule, guide = cosine(100), draw(50, 2)
    denoiser = data.toy_mixture().denoiser(schedule)
    for options in (dict(clip=0.3), dict(eta=0.7), dict()):
        noise = draw(50, 2, seed=1)
        x = q_sample(guide, 60, schedule, noise)
        wanted = last(samplers.ddim(denoiser, x, schedule, range(60, -1, -1), generator=seeded(4), **options))
        found = last(sdedit(denoiser, guide, 60, samplers.ddim, noise=noise, generator=seeded(4), **options))
        assert torch.equal(found.x, wanted.x) and found.calls == wanted.calls == 60


def test_nothing_is_drawn_from_the_global_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    denoiser = data.toy_mixture().denoiser(cosine(50))
    last(sdedit(denoiser, draw(3, 2), 20, generator=seeded()))
    last(edit(denoiser, denoiser, draw(3, 2), 20))
    ends(data.toy_mixture(), draw(3, 2), 20, cosine(50))
    decided(data.toy_mixture(), cosine(50))
    assert torch.equal(before, torch.get_rng_state())


def test_what_does_not_fit_is_refused():
    schedule, x = cosine(50), draw(3, 2)
    denoiser = data.toy_mixture().denoiser(schedule)
    for t0 in (-1, 51, 2.5, True, None):
        with pytest.raises(ValueError, match="t0 must"):
            last(sdedit(denoiser, x, t0))
    for steps in (0, 21, 1.5):
        with pytest.raises(ValueError, match="steps must"):
            last(sdedit(denoiser, x, 20, steps=steps))
        with pytest.raises(ValueError, match="steps must"):
            last(edit(denoiser, denoiser, x, 20, steps=steps))
    with pytest.raises(ValueError, match="x0 must"):
        last(sdedit(denoiser, x * torch.nan, 20))
    with pytest.raises(ValueError, match="x0 must"):
        last(edit(denoiser, denoiser, x.long(), 20))
    with pytest.raises(ValueError, match="noise must"):
        last(sdedit(denoiser, x, 20, noise=draw(2, 2)))
    with pytest.raises(ValueError, match="schedule must be given"):
        last(sdedit(lambda x, t: None, x, 20))
    with pytest.raises(ValueError, match="schedule must be the one"):
        last(edit(denoiser, data.toy_mixture().denoiser(linear(50)), x, 20))


# ---- inversion ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t0", [300, 1000])
def test_between_two_gaussians_the_edit_is_known(t0):
    """DDIM keeps the place of x within its Gaussian, in standard deviations, up and down."""
    schedule, x0 = cosine(), draw(20, 1)
    (m, a), (M, A) = (-0.5, 0.3), (0.8, 0.6)
    s, sigma = schedule.signal[t0], schedule.sigma[t0]
    at_t0 = s * m + (s**2 * a**2 + sigma**2).sqrt() / a * (x0 - m)
    wanted = M + A / (s**2 * A**2 + sigma**2).sqrt() * (at_t0 - s * M)
    run = list(edit(gaussian(m, a).denoiser(schedule), gaussian(M, A).denoiser(schedule), x0, t0))
    assert [step.t for step in run] == [*range(1, t0 + 1), *range(t0 - 1, -1, -1)]
    assert [step.calls for step in run] == list(range(1, 2 * t0 + 1))
    assert_close(run[t0 - 1].x, at_t0, rtol=0, atol=0.02)
    assert_close(run[-1].x, wanted, rtol=0, atol=0.02)


def recovered(denoiser, x0, steps, **told):
    """Root-mean-square distance of x0 to what comes back."""
    return (last(edit(denoiser, denoiser, x0, steps=steps, **told)).x - x0).square().mean().sqrt().item()


@pytest.mark.parametrize("schedule", [cosine(1600), flow(1600)], ids=["cosine", "flow"])
def test_the_picture_comes_back_with_order_1(schedule):
    mixture = data.toy_mixture()
    x0 = mixture.sample(50, seeded())
    errors = [recovered(mixture.denoiser(schedule), x0, steps) for steps in (100, 200, 400, 800)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert errors[-1] < 0.02 and all(0.75 < order < 1.25 for order in orders), (errors, orders)


def test_digits_come_back_too_but_not_under_guidance():
    network, (images, labels) = pretrained.load("digits"), data.digits("test")
    x, told = images[:8], network.given(labels[:8])
    guided = classifier_free(told, network.given(None), 7.5)
    plain = [recovered(told, x, steps) for steps in (10, 20, 40)]
    assert all(0.4 < b / a < 0.7 for a, b in pairwise(plain)), plain
    assert plain[-1] < 0.06 and recovered(guided, x, 20) > 0.25


# ---- when the mode is decided ------------------------------------------------------------------------------


def test_two_modes_in_numbers():
    """A guide in the middle of one of two modes at ±1 of std 0.2, at three levels of noise."""
    guide = torch.tensor([[1.0]], dtype=torch.float64)
    other = [ends(TWO_MODES, guide, t0, THREE)[0, 0].item() for t0 in (1, 2, 3)]
    assert [round(p, 3) for p in other] == [0.003, 0.228, 0.450]
    of_data = [mode_change(TWO_MODES, t0, THREE) for t0 in (1, 2, 3)]
    assert [round(p, 3) for p in of_data] == [0.008, 0.231, 0.450]


@pytest.mark.parametrize("t0", [1, 2, 3])
@pytest.mark.parametrize("guide", [1.0, -0.3])
def test_the_quadrature_by_another_one(t0, guide):
    s, sigma = THREE.signal[t0].item(), THREE.sigma[t0].item()
    spread = math.hypot(0.2 * s, sigma)

    def integrand(x):
        a, b = (stats.norm.pdf(x, m * s, spread) for m in (-1, 1))
        return a / (a + b) * stats.norm.pdf(x, guide * s, sigma)

    wanted, _ = integrate.quad(integrand, -8, 8, epsabs=1e-12, epsrel=1e-12, points=[guide * s])
    found = ends(TWO_MODES, torch.tensor([[guide]], dtype=torch.float64), t0, THREE)
    assert found[0, 0].item() == pytest.approx(wanted, abs=1e-10)
    assert found.sum().item() == pytest.approx(1, abs=1e-12)


LOPSIDED = GaussianMixture(torch.tensor([[-1.0], [0.2], [0.9]]).double(), [0.3, 0.1, 0.2], weights=[3, 1, 2])


def test_the_mean_over_all_data_by_drawing_guides():
    schedule = cosine(100)
    for t0 in (5, 30, 60):
        k = torch.multinomial(LOPSIDED.weights, 400, replacement=True, generator=seeded())
        x0 = LOPSIDED.means[k] + LOPSIDED.var[k].sqrt() * draw(400, 1, seed=t0)
        stays = ends(LOPSIDED, x0, t0, schedule)[torch.arange(400), k]
        error = stays.std().item() / 20
        assert mode_change(LOPSIDED, t0, schedule) == pytest.approx(1 - stays.mean().item(), abs=4 * error)


def test_it_never_falls_and_ends_where_nothing_is_known():
    for mixture in (TWO_MODES, LOPSIDED, data.toy_mixture()):
        for schedule in (cosine(50), flow(50), ve(50)):
            chances = torch.tensor([mode_change(mixture, t, schedule) for t in range(51)])
            assert (chances.diff() > -0.01).all()
    nothing = 1 - LOPSIDED.weights.square().sum().item()
    assert mode_change(LOPSIDED, 50, flow(50)) == pytest.approx(nothing, abs=1e-12)
    same = GaussianMixture(torch.zeros(2, 1).double(), [0.5, 0.5], weights=[1, 3])
    assert mode_change(same, 7, cosine(50)) == pytest.approx(1 - 1 / 16 - 9 / 16, abs=1e-12)


def test_more_dimensions_by_drawing():
    """Two modes apart along a slanted line are two modes on a line: the other axes do not matter."""
    axis = torch.tensor([0.6, 0.8]).double()
    slanted = GaussianMixture(torch.stack([-axis, axis]), [0.2, 0.2])
    for t0 in (1, 2, 3):
        wanted = mode_change(TWO_MODES, t0, THREE)
        assert mode_change(slanted, t0, THREE, 20_000, seeded(5)) == pytest.approx(wanted, abs=0.01)
        wanted = ends(TWO_MODES, torch.tensor([[0.5], [-1.0]]).double(), t0, THREE)
        guides = torch.stack([0.5 * axis, -axis])
        assert_close(ends(slanted, guides, t0, THREE, 20_000, seeded(6)), wanted, rtol=0, atol=0.015)


@pytest.mark.parametrize("schedule", [cosine(), linear(), flow(1000), ve(1000)], ids=lambda s: s.name)
def test_the_time_the_mode_is_decided(schedule):
    t = decided(TWO_MODES, schedule)
    before, at = (mode_change(TWO_MODES, u, schedule) for u in (t - 1, t))
    assert before < 0.25 <= at
    # a matter of the noise alone: on each schedule it is where sigma/signal passes one and the same number
    ratio = optimize.brentq(lambda r: mode_change(TWO_MODES, 1, NoiseSchedule([1, 1], [0, r])) - 0.25, 0.5, 2)
    assert schedule.sigma[t - 1] / schedule.signal[t - 1] < ratio <= schedule.sigma[t] / schedule.signal[t]
    assert decided(TWO_MODES, schedule, 0.05) < t < decided(TWO_MODES, schedule, 0.95)


def test_a_mode_that_is_never_lost_is_decided_at_the_end():
    far = GaussianMixture(torch.tensor([[-50.0], [50.0]]).double(), [0.1, 0.1])
    assert decided(far, linear(20)) == 20  # which leaves 0.91 of the signal
    with pytest.raises(ValueError, match="share must"):
        decided(far, linear(20), 1.0)
    with pytest.raises(ValueError, match="guide must"):
        ends(far, draw(3, 2), 5, linear(20))
    with pytest.raises(ValueError, match="draws must"):
        mode_change(data.toy_mixture(), 5, linear(20), draws=0)
