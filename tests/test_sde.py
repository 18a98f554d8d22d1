"""SDEs and their ODE: coefficients against paths, and what is simulated against Gaussians and mixtures."""

import math
import sys
from itertools import pairwise

import pytest
import torch
from close import assert_close
from scipy import stats
from test_samplers import draw, scaled, seeded
from test_schedules import PATHS

from diffusion_lab import likelihood, sde_samplers
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.gaussian import Gaussian
from diffusion_lab.guidance import classifier_free
from diffusion_lab.likelihood import likelihood_path, log_likelihood, ode_elbo
from diffusion_lab.samplers import ddim
from diffusion_lab.schedules import linear
from diffusion_lab.sde import SDE, straight, sub_vp, ve, vp
from diffusion_lab.sde_samplers import (
    annealed_langevin,
    forward_sde,
    predictor_corrector,
    probability_flow,
    reverse_sde,
)
from diffusion_lab.unet import MLP, ModelDenoiser
from diffusion_lab.views import named

SDES = {"vp": vp(), "sub-vp": sub_vp(), "ve": ve(), "straight": straight()}
each_sde = pytest.mark.parametrize("sde", SDES.values(), ids=SDES)
LINE = GaussianMixture(torch.tensor([[-1.0], [0.6]], dtype=torch.float64), [0.2, 0.4], weights=[0.3, 0.7])
NORMAL = GaussianMixture(torch.tensor([[0.3]], dtype=torch.float64), [0.5])
COVARIANCE = torch.tensor([[0.3, 0.1], [0.1, 0.2]], dtype=torch.float64)
TILTED = GaussianMixture(torch.tensor([[0.5, -0.3]], dtype=torch.float64), covariances=COVARIANCE[None])
SPACE = GaussianMixture(
    torch.tensor([[-1.0, 0.5, 0.0], [0.8, -0.2, 0.4]], dtype=torch.float64),
    covariances=torch.tensor(
        [[[0.1, 0.04, 0], [0.04, 0.2, 0], [0, 0, 0.1]], [[0.3, 0, 0.1], [0, 0.1, 0], [0.1, 0, 0.2]]]
    ),
    weights=[0.4, 0.6],
)


def at(mixture, sde, u):
    """The mixture's exact marginal at u."""
    schedule = sde.schedule(1)
    signal, sigma = sde.marginal(u)
    other = mixture.changed(means=signal * mixture.means, var=signal**2 * mixture.var + sigma**2)
    assert u != 1 or torch.equal(other.means, mixture.noised(1, schedule).means)
    return other


def counted(denoiser):
    def count(x_t, t):
        count.calls += 1
        return denoiser(x_t, t)

    count.calls = 0
    return count


# ---- coefficients and paths --------------------------------------------------------------------------------


@each_sde
def test_drift_and_diffusion_are_those_of_the_path(sde):
    """signal' = a signal and (sigma²)' = 2 a sigma² + g², the derivatives by autograd."""
    u = torch.linspace(0.001, 0.999, 50, dtype=torch.float64, requires_grad=True)
    signal, sigma = sde.path(u)
    (signal_rate,) = torch.autograd.grad(
        signal.sum() + 0 * u.sum(), u, retain_graph=True
    )  # 0 u: VE's is constant
    (variance_rate,) = torch.autograd.grad((sigma**2).sum(), u)
    a = sde.drift(torch.ones(50, 1, dtype=torch.float64), u.detach())[:, 0]
    assert_close(signal_rate, a * signal.detach())
    assert_close(variance_rate, (2 * a * sigma**2 + sde.diffusion(u.detach()) ** 2).detach())


@each_sde
def test_rates_are_the_derivatives_of_the_path_up_to_zero_snr(sde):
    u = torch.tensor([1e-6, 0.01, 0.5, 0.99, 1 - 1e-9, 1.0], dtype=torch.float64, requires_grad=True)
    for rate, value in zip(sde.rates(u.detach()), sde.path(u), strict=True):
        (derivative,) = torch.autograd.grad((value + 0 * u).sum(), u)
        assert_close(rate, derivative, rtol=1e-8, atol=1e-12)


def test_coefficients_that_never_change_may_be_plain_numbers():
    """Brownian motion, dx = 1.2 dw: what its ODE and its SDE do to Gaussian data is known."""
    brown = SDE("brown", a=lambda u: 0.0, g=lambda u: 1.2, path=lambda u: (1.0, 1.2 * u.sqrt()))
    x, u = draw(3, 1), torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    assert torch.equal(brown.diffusion(u), torch.full((3,), 1.2, dtype=torch.float64))
    assert torch.equal(brown.drift(x, u), 0 * x)
    assert (brown.schedule(7).signal == 1).all()
    denoiser, end = NORMAL.denoiser(brown.schedule(10)), at(NORMAL, brown, 1)
    x = probability_flow(denoiser, NORMAL.means + 0.5 * x, brown, (0, 1))[-1]
    assert_close(x, end.means + end.var.sqrt() * draw(3, 1), rtol=1e-6, atol=1e-6)
    *_, x = forward_sde(NORMAL.sample(4000, seeded()), brown, [0, 0.5, 1], seeded(1))
    assert ks(x, end) < 2 / math.sqrt(4000)
    *_, step = reverse_sde(denoiser, x, brown, torch.linspace(1, 0, 101), seeded(2))
    assert ks(step.x, NORMAL) < 2 / math.sqrt(4000)
    *_, step = annealed_langevin(denoiser, x, brown, [0.5], 10, generator=seeded(3))
    assert ks(step.x, at(NORMAL, brown, 0.5)) < 2 / math.sqrt(4000)


@pytest.mark.parametrize("wrong", [None, "much", [[1.0, 2.0]], torch.ones(2)], ids=str)
def test_coefficients_that_are_none_are_refused(wrong):
    odd = SDE("odd", a=lambda u: wrong, g=lambda u: wrong, path=lambda u: (1.0, wrong))
    with pytest.raises(ValueError, match=r"g must return a number, or a tensor of u's shape \[\]; got"):
        odd.diffusion(0.5)
    with pytest.raises(ValueError, match=r"a must return a number, or a tensor of u's shape \[3\]; got"):
        odd.drift(draw(3, 1), torch.full((3,), 0.5))
    with pytest.raises(ValueError, match="path must return a number"):
        odd.schedule(2)
    with pytest.raises(ValueError, match="path must return signal and sigma, a pair"):
        SDE("odd", odd.a, odd.g, lambda u: wrong).marginal(0.5)


@each_sde
def test_a_path_starts_at_the_data_and_its_schedule_samples_it(sde):
    for T in (1, 2, 10, 1000):
        schedule = sde.schedule(T)
        assert schedule.T == T and schedule.name == sde.name
        signal, sigma = sde.marginal(torch.arange(T + 1).double() / T)
        assert torch.equal(schedule.signal, signal) and torch.equal(schedule.sigma, sigma)


def test_which_paths_preserve_the_variance_explode_or_reach_zero_snr():
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    signal, sigma = SDES["vp"].marginal(u)
    assert_close(signal**2 + sigma**2, torch.ones_like(u))
    signal, below = SDES["sub-vp"].marginal(u)
    assert (below[1:] < sigma[1:]).all() and torch.equal(signal, SDES["vp"].marginal(u)[0])
    assert_close(below, sigma**2)
    signal, sigma = SDES["ve"].marginal(u)
    assert (signal == 1).all()
    assert_close(sigma[-1] ** 2, torch.tensor(50.0**2 - 0.01**2, dtype=torch.float64))
    assert SDES["straight"].schedule(10).snr[-1] == 0


def test_vp_is_the_limit_of_the_linear_schedule():
    """β_t = β(u)/T: at T = 1000 that is 1e-4 … 0.02. The difference falls like 1/T."""
    gaps = []
    for T in (1000, 2000, 4000):
        chain, limit = linear(T, 0.1 / T, 20 / T), vp().schedule(T)
        gaps.append((chain.alpha_bar - limit.alpha_bar).abs().max().item())
    assert gaps[0] < 0.01
    for coarse, fine in pairwise(gaps):
        assert coarse / fine == pytest.approx(2, rel=0.02)


def test_drift_takes_one_time_per_example():
    x, u = draw(3, 3), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    rows = torch.cat([SDES["vp"].drift(x[i : i + 1], u[i]) for i in range(3)])
    assert_close(SDES["vp"].drift(x, u), rows)
    assert SDES["vp"].diffusion(u).shape == (3,)
    assert SDES["vp"].diffusion(0.3) == SDES["vp"].diffusion(
        torch.tensor(0.3, dtype=torch.float64)
    )  # not as float32


# ---- Euler–Maruyama, without sampling error ----------------------------------------------------------------


class Impulses:
    """Stands in for the noise: at the k-th draw, example k + 2 gets 1 and all others 0.

    On Gaussian data a method is affine in its start and its draws, so these responses hold its exact moments.
    """

    def __init__(self, monkeypatch, draws):
        self.start = torch.zeros(draws + 2, 1, dtype=torch.float64)
        self.start[1] = 1
        self.drawn = 0
        monkeypatch.setattr(sde_samplers, "noise_like", self)

    def __call__(self, x, generator=None):
        noise = torch.zeros_like(x)
        noise[self.drawn + 2] = 1
        self.drawn += 1
        return noise

    def moments(self, end, mean, var):
        """Of the end state, for a start with this mean and variance."""
        response = end[1:, 0] - end[0, 0]
        return end[0, 0] + response[0] * mean, response[0] ** 2 * var + (response[1:] ** 2).sum()


def gaps(monkeypatch, run, sde, start, end):
    """Errors in mean and variance with 200, 400 and 800 steps from u = start to u = end."""
    errors = []
    for steps in (200, 400, 800):
        impulses = Impulses(monkeypatch, steps)
        *_, x = run(impulses.start, torch.linspace(start, end, steps + 1, dtype=torch.float64))
        before, after = at(NORMAL, sde, start), at(NORMAL, sde, end)
        mean, var = impulses.moments(x, before.means[0, 0], before.var[0, 0])
        errors.append(torch.stack([mean - after.means[0, 0], var / after.var[0, 0] - 1]))
        assert impulses.drawn == steps - (end == 0 and start > 0)  # no noise in a step to the data
    return torch.stack(errors)


def assert_order_1(errors):
    assert (errors[-1].abs() < 0.02).all()
    for coarse, fine in pairwise(errors):
        falls = fine.abs() > 1e-12  # the mean on VE is exact from the start
        assert_close(coarse[falls] / fine[falls], torch.full_like(fine[falls], 2), rtol=0.15, atol=0)


@each_sde
def test_forward_euler_maruyama_reaches_the_marginal_with_order_1(sde, monkeypatch):
    end = 0.9 if sde.name == "straight" else 1.0
    assert_order_1(gaps(monkeypatch, lambda x, times: forward_sde(x, sde, times), sde, 0.0, end))


@each_sde
def test_the_reverse_sde_on_gaussian_data_falls_back_to_the_marginals_with_order_1(sde, monkeypatch):
    start = 0.9 if sde.name == "straight" else 1.0
    denoiser = NORMAL.denoiser(sde.schedule(1000))

    def run(x, times):
        return (step.x for step in reverse_sde(denoiser, x, sde, times))

    assert_order_1(gaps(monkeypatch, run, sde, start, 0.5))
    to_data = gaps(monkeypatch, run, sde, start, 0.0).abs()
    assert (to_data[-1] < 2e-3).all() and (to_data[-1] <= to_data[0] / 2 + 1e-12).all()


def test_langevin_settles_at_its_own_variance_which_a_linear_recursion_gives_in_closed_form(monkeypatch):
    """On N(m, v), x ← x + ½ α score + √α z has the stationary variance v/(1 − α/(4v)), and no bias in m."""
    sde, u, rate = vp(), 0.5, 0.4
    impulses = Impulses(monkeypatch, 400)
    (step,) = annealed_langevin(
        NORMAL.denoiser(sde.schedule(10)), impulses.start, sde, [u], steps=400, rate=rate
    )
    target = at(NORMAL, sde, u)
    alpha, v = rate * sde.marginal(u)[1] ** 2, target.var[0, 0]
    mean, var = impulses.moments(step.x, 5.0, 2.0)
    assert_close(mean, target.means[0, 0])
    assert_close(var, v / (1 - alpha / (4 * v)))


@pytest.mark.parametrize("r", [0.05, 0.16])
def test_the_corrector_moves_by_r_times_the_length_of_its_noise(r, monkeypatch):
    """That is what r, the signal-to-noise ratio of a Langevin step, means: ‖ε score‖ = r ‖√(2ε) z‖."""
    sde, x = vp(), draw(100, 1)
    denoiser, ends = LINE.denoiser(sde.schedule(10)), []
    for noises, corrector_steps in (([0], 0), ([0, 0], 1), ([0, 1], 1)):
        draws = iter(noises)
        monkeypatch.setattr(
            sde_samplers, "noise_like", lambda x, g=None, draws=draws: torch.full_like(x, next(draws))
        )
        (step,) = predictor_corrector(denoiser, x, sde, [0.6, 0.5], corrector_steps, r)
        ends.append(step.x)
    moved, noise = ends[1] - ends[0], ends[2] - ends[1]
    assert_close((moved**2).mean().sqrt(), r * (noise**2).mean().sqrt())
    score = at(LINE, sde, 0.5).score(ends[0])
    assert_close(moved, score * (moved / score).mean())


# ---- samples of a mixture ----------------------------------------------------------------------------------


def ks(x, mixture):
    """The greatest distance between the samples' distribution function and the mixture's."""
    means, stds, weights = (
        p.numpy() for p in (mixture.means[:, 0], mixture.var[:, 0].sqrt(), mixture.weights)
    )
    return stats.kstest(
        x[:, 0].numpy(), lambda v: stats.norm.cdf(v[:, None], means, stds) @ weights
    ).statistic


@each_sde
def test_forward_and_reverse_sde_carry_a_mixture_to_its_marginal_and_back(sde):
    n, end = 4000, 0.9 if sde.name == "straight" else 1.0
    generator, limit = seeded(), 2 / math.sqrt(n)  # a KS distance that chance exceeds once in 1500 times
    *_, x = forward_sde(LINE.sample(n, generator), sde, torch.linspace(0, end, 501), generator)
    assert ks(x, at(LINE, sde, end)) < limit
    x = at(LINE, sde, end).sample(n, generator)
    *_, last = reverse_sde(LINE.denoiser(sde.schedule(50)), x, sde, torch.linspace(end, 0, 501), generator)
    assert ks(last.x, LINE) < limit


@each_sde
def test_a_corrector_makes_up_for_large_steps_of_the_predictor(sde):
    n, end, generator = 10_000, 0.9 if sde.name == "straight" else 1.0, seeded()
    denoiser, x = LINE.denoiser(sde.schedule(50)), at(LINE, sde, end).sample(n, generator)
    times = torch.linspace(end, 0.05, 21)  # not to 0, where nothing is corrected
    distances = []
    for corrector_steps in (0, 2, 10):
        *_, last = predictor_corrector(denoiser, x, sde, times, corrector_steps, generator=generator)
        distances.append(ks(last.x, at(LINE, sde, 0.05)))
    assert distances[2] < distances[1] < distances[0] or max(distances) < 2 / math.sqrt(n)


def test_annealed_langevin_samples_the_last_level_with_the_weights_of_the_modes():
    sde, n, generator = ve(0.01, 10.0), 10_000, seeded()
    times = torch.linspace(1, 0.5, 15)
    x_T = at(LINE, sde, 1).sample(n, generator) * 0 + 10 * torch.randn(n, 1, generator=generator).double()
    levels = list(
        annealed_langevin(LINE.denoiser(sde.schedule(50)), x_T, sde, times, 40, generator=generator)
    )
    assert [step.t for step in levels] == times.double().tolist()
    for step in levels[5:]:
        assert ks(step.x, at(LINE, sde, step.t)) < 2 / math.sqrt(n)


# ---- the probability-flow ODE ------------------------------------------------------------------------------


def exact_flow(x, sde, start, end):
    """Gaussian data: deviations from the mean scale with the deviation along their axis."""
    before, after = at(TILTED, sde, start), at(TILTED, sde, end)
    axes = TILTED.axes[0]
    return after.means + (x - before.means) @ axes * (after.var[0] / before.var[0]).sqrt() @ axes.T


@pytest.mark.parametrize("T", [1, 2, 7, 1000])
@each_sde
def test_the_ode_reaches_the_closed_form_on_gaussian_data(sde, T):
    denoiser, x = TILTED.denoiser(sde.schedule(T)), at(TILTED, sde, 1).sample(50, seeded())
    times = [1.0, 0.7, 0.2, 0.0]
    flow = probability_flow(denoiser, x, sde, times)
    assert flow.shape == (4, 50, 2) and flow.dtype == torch.float64
    for state, u in zip(flow, times, strict=True):
        assert_close(state, exact_flow(x, sde, 1, u), rtol=1e-6, atol=1e-6)
    back = probability_flow(denoiser, flow[-1], sde, (0, 1))[-1]
    assert_close(back, x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PATHS)
@each_sde
def test_the_denoiser_may_be_made_for_any_schedule_that_reaches_as_far(sde, name):
    start = 0.5  # where even the shortest of them still follows
    x = at(TILTED, sde, start).sample(20, seeded())
    x0 = probability_flow(TILTED.denoiser(PATHS[name](1000)), x, sde, (start, 0))[-1]
    assert_close(x0, exact_flow(x, sde, start, 0), rtol=1e-6, atol=1e-6)
    *_, own = reverse_sde(TILTED.denoiser(sde.schedule(100)), x, sde, torch.linspace(start, 0, 50), seeded())
    *_, other = reverse_sde(
        TILTED.denoiser(PATHS[name](1000)), x, sde, torch.linspace(start, 0, 50), seeded()
    )
    assert_close(own.x, other.x)


@each_sde
def test_the_ode_moves_as_equation_13_says(sde):
    """dx/du = f − ½ g² score, with the score of the exact marginal; dx/du by a central difference."""
    u, h, x = 0.4, 1e-4, draw(10, 3)
    denoiser = SPACE.denoiser(sde.schedule(100))
    ahead, behind = (probability_flow(denoiser, x, sde, (u, s), 1e-12, 1e-12)[-1] for s in (u + h, u - h))
    expected = sde.drift(x, u) - 0.5 * sde.diffusion(u) ** 2 * at(SPACE, sde, u).score(x)
    assert_close((ahead - behind) / (2 * h), expected, rtol=1e-5, atol=1e-5)


@each_sde
def test_ddim_on_the_sdes_schedule_tends_to_the_ode(sde):
    schedule = sde.schedule(2000)
    denoiser, x = SPACE.denoiser(schedule), at(SPACE, sde, 1).sample(20, seeded())
    ends = [list(ddim(denoiser, x, schedule, range(2000, -1, -k)))[-1].x for k in (4, 2, 1)]
    truth = probability_flow(denoiser, x, sde)[-1]
    errors = [(end - truth).abs().mean().item() for end in ends]
    assert errors[-1] < 0.02 and errors[0] / errors[1] == pytest.approx(2, rel=0.2)


def evaluations(monkeypatch):
    """A list that grows with every evaluation of a field by the solver."""
    seen, solve = [], sde_samplers.solve

    def counting(field, *arguments):
        return solve(lambda u, y: seen.append(u) or field(u, y), *arguments)

    for module in (sde_samplers, likelihood):
        monkeypatch.setattr(module, "solve", counting)
    return seen


@each_sde
@pytest.mark.parametrize("says", [True, False], ids=["schedule known", "schedule asked for"])
def test_the_field_costs_one_call_of_the_denoiser(sde, says, monkeypatch):
    schedule, seen = sde.schedule(20), evaluations(monkeypatch)
    for run in (probability_flow, log_likelihood):
        denoiser = counted(SPACE.denoiser(schedule))
        denoise = named(denoiser, schedule) if says else denoiser
        run(denoise, SPACE.sample(5, seeded()), sde, rtol=1e-4, atol=1e-4)
        assert denoiser.calls == len(seen) + (not says) > 20
        seen.clear()


# How close the solver must come is chosen by the digits there are: (denoiser, x's dtype) -> tolerance
def network(dtype):
    """Any function of x: a network that has not been trained, and not left at 0 either."""
    net, generator = MLP(dim=3), seeded()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.1, generator=generator)
    return ModelDenoiser(net.to(dtype), PATHS["cosine"](100), predicts="v")


NET, DOUBLE = network(torch.float32), network(torch.float64)
DIGITS = {
    "exact": (SPACE.denoiser(PATHS["cosine"](100)), torch.float64, 1e-8),
    "exact, data in float32": (SPACE.denoiser(PATHS["cosine"](100)), torch.float32, 1e-4),
    "network": (NET, torch.float32, 1e-4),
    "network, data in float64": (NET, torch.float64, 1e-4),
    "guided network": (classifier_free(NET, NET, 2.0), torch.float64, 1e-4),
    "network in float64": (DOUBLE, torch.float64, 1e-8),
    "network in float64, data in float32": (DOUBLE, torch.float32, 1e-4),
}


@pytest.mark.parametrize(("denoiser", "dtype", "tolerance"), DIGITS.values(), ids=DIGITS)
def test_tolerances_are_those_of_the_dtype(denoiser, dtype, tolerance, monkeypatch):
    """As many evaluations as with that tolerance. From u = 0.2: an untrained network is rough below."""
    x, seen, counts = SPACE.sample(3, seeded()).to(dtype), evaluations(monkeypatch), []
    for options in ({}, dict(rtol=tolerance, atol=tolerance)):
        seen.clear()
        probability_flow(denoiser, x, vp(), (0.2, 1), **options)
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_likelihoods_have_the_same_tolerances_and_those_cost_calls(monkeypatch):
    seen, counts = evaluations(monkeypatch), {}
    denoiser, x = LINE.denoiser(vp().schedule(20)), LINE.sample(3, seeded())
    for name, data, options in (
        ("1e-8", x, dict(rtol=1e-8, atol=1e-8)),
        ("float64", x, {}),
        ("1e-4", x, dict(rtol=1e-4, atol=1e-4)),
        ("float32", x.float(), {}),
    ):
        seen.clear()
        log_likelihood(denoiser, data, vp(), **options)
        counts[name] = len(seen)
    assert counts["float64"] == counts["1e-8"] > counts["1e-4"] == counts["float32"]


def test_half_precision_is_solved_as_far_as_it_goes():
    net = network(torch.bfloat16)
    assert sde_samplers.tolerance(net, draw(2, 3)) == 1e-2
    assert probability_flow(net, draw(2, 3), vp(), (0.9, 0.1))[-1].isfinite().all()


# ---- likelihood --------------------------------------------------------------------------------------------

# SDEs that leave next to nothing of the data at u = 1, so that the model's prior is the data's marginal
FAR = {"vp": vp(0.1, 40), "sub-vp": sub_vp(0.1, 40), "ve": ve(0.01, 1e5), "straight": straight()}


@pytest.mark.parametrize("name", FAR)
def test_the_likelihood_of_a_mixture_is_right_to_a_thousandth_of_a_nat(name):
    sde, x0 = FAR[name], SPACE.sample(50, seeded())
    found = log_likelihood(SPACE.denoiser(sde.schedule(20)), x0, sde)
    assert found.shape == (50,) and found.dtype == torch.float64
    assert_close(found, SPACE.log_prob(x0), rtol=0, atol=1e-3)


@each_sde
def test_what_is_off_at_the_usual_ends_is_the_prior_and_nothing_else(sde):
    denoiser, x0 = SPACE.denoiser(sde.schedule(20)), SPACE.sample(50, seeded())
    found = log_likelihood(denoiser, x0, sde)
    x1 = probability_flow(denoiser, x0, sde, (0, 1))[-1]
    signal, sigma = sde.marginal(1)
    prior = Gaussian(torch.zeros((), dtype=torch.float64), signal**2 + sigma**2).log_prob(x1)
    assert_close(found - prior + at(SPACE, sde, 1).log_prob(x1), SPACE.log_prob(x0), rtol=0, atol=1e-4)
    assert (found - SPACE.log_prob(x0)).abs().max() < 0.1


def test_hutchinsons_estimate_is_unbiased_and_more_probes_narrow_it():
    sde, n = straight(), 400
    denoiser, x0 = SPACE.denoiser(sde.schedule(20)), SPACE.sample(1, seeded(3)).expand(n, 3)
    options = {"rtol": 1e-6, "atol": 1e-6}
    one, nine = (
        log_likelihood(denoiser, x0, sde, "hutchinson", k, **options, generator=seeded()) for k in (1, 9)
    )
    truth = log_likelihood(denoiser, x0[:1], sde, **options)
    for estimate in (one, nine):
        assert estimate.std() > 0
        assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n)
    assert one.std() / nine.std() == pytest.approx(3, rel=0.2)


def test_hutchinson_in_one_dimension_has_nothing_to_guess():
    sde, x0 = straight(), LINE.sample(10, seeded())
    denoiser = LINE.denoiser(sde.schedule(20))
    exact, hutchinson = (log_likelihood(denoiser, x0, sde, d) for d in ("exact", "hutchinson"))
    assert_close(exact, hutchinson)


def test_a_network_s_density_integrates_to_one():
    """An untrained float32 network, on data [B, 1]: Σ exp(log p) over a grid."""
    torch.manual_seed(0)
    net = ModelDenoiser(MLP(dim=1), PATHS["cosine"](100), predicts="v")
    grid = torch.linspace(-8, 8, 801)[:, None]
    log_p = log_likelihood(net, grid, vp(), rtol=1e-5, atol=1e-5)
    assert log_p.exp().sum().item() * 0.02 == pytest.approx(1, abs=1e-3)
    assert not log_p.requires_grad


@each_sde
def test_the_density_at_any_u_is_the_marginal_there_but_for_the_prior(sde):
    times = torch.tensor([0, 0.1, 0.35, 0.8, 1], dtype=torch.float64)
    denoiser, x0 = SPACE.denoiser(sde.schedule(20)), SPACE.sample(20, seeded())
    loose = dict(rtol=1e-7, atol=1e-7)
    states, log_p = likelihood_path(denoiser, x0, sde, times, **loose)
    assert states.shape == (5, 20, 3) and log_p.shape == (5, 20)
    assert_close(states, probability_flow(denoiser, x0, sde, times, **loose), rtol=1e-5, atol=1e-5)
    exact = torch.stack([at(SPACE, sde, u).log_prob(x) for u, x in zip(times, states, strict=True)])
    gap = log_p - exact  # is carried along unchanged
    assert_close(gap, gap[-1].expand(5, 20), rtol=0, atol=1e-4)
    later = log_likelihood(denoiser, states[2], sde, start=0.35, **loose)
    assert_close(later, log_p[2], rtol=0, atol=1e-4)


LEVELS = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
ATOMS = GaussianMixture(LEVELS, [1e-4] * 5, weights=[0.3, 0.1, 0.05, 0.15, 0.4])  # 5 grey levels, in 1-D


@pytest.mark.parametrize("name", FAR)
def test_data_on_levels_costs_its_entropy_and_no_less(name):
    """ode_elbo: P(x_0) itself where the noise leaves no doubt about the level, a bound above it elsewhere."""
    sde, n = FAR[name], 150
    denoiser, truth = ATOMS.denoiser(sde.schedule(50)), -ATOMS.weights.log()
    u = torch.linspace(0, 1, 10_001, dtype=torch.float64)[1:]
    signal, sigma = sde.marginal(u)
    excess = []
    for width in (0.1, 0.4, 1.0):  # of the noise, in bins
        start = u[(sigma / signal > width / 2).nonzero()[0]].item()
        options = dict(rtol=1e-6, atol=1e-6, generator=seeded())
        bound = ode_elbo(denoiser, LEVELS.repeat(n, 1), sde, start, 5, **options)
        assert (bound.diffusion == 0).all() and torch.equal(bound.total, bound.prior + bound.reconstruction)
        each = bound.total.reshape(n, 5)
        excess.append(ATOMS.weights @ (each.mean(0) - truth))
        error = 4 * (ATOMS.weights @ each.std(0)) / math.sqrt(n) + 1e-3
        assert excess[-1] > -error
        if width == 0.1:  # every level for itself
            assert_close(each, truth.expand(n, 5), rtol=0, atol=2e-3)
    assert excess[0] < 2e-3 < excess[1] < excess[2]


def test_the_bound_is_that_of_an_image_and_knows_its_levels():
    images = LEVELS.reshape(5, 1, 1, 1).expand(5, 1, 2, 3)
    space = GaussianMixture(torch.zeros(1, 1, 2, 3, dtype=torch.float64), [0.5])
    denoiser = space.denoiser(vp().schedule(50))
    bound = ode_elbo(denoiser, images, vp(), 0.1, 5, "hutchinson", generator=seeded())
    assert bound.total.shape == (5,) and bound.dims == 6
    assert_close(bound.bits_per_dim, bound.total / (6 * math.log(2)))


# ---- few steps, and inputs that are not meant --------------------------------------------------------------


@each_sde
@pytest.mark.parametrize("times", [[0.9, 0.0], [0.9, 0.5, 0.0], [0.9, 0.4]])
def test_one_and_two_steps_yield_as_many_states_and_count_every_call(sde, times):
    for sampler, each in ((reverse_sde, 1), (predictor_corrector, 2)):
        denoiser = counted(LINE.denoiser(sde.schedule(10)))
        steps = list(sampler(denoiser, draw(5, 1).float(), sde, times, generator=seeded()))
        assert [step.t for step in steps] == times[1:]
        assert all(step.x.dtype == torch.float32 and step.x.isfinite().all() for step in steps)
        assert denoiser.calls == steps[-1].calls == 1 + each * len(steps) - (each - 1) * (times[-1] == 0)
    assert len(list(forward_sde(draw(5, 1), sde, sorted(times)))) == len(times) - 1


@pytest.mark.parametrize("sampler", [reverse_sde, predictor_corrector, annealed_langevin])
def test_a_denoiser_that_names_its_schedule_is_not_asked_for_it(sampler):
    schedule = vp().schedule(10)
    found = []
    for names in (True, False):
        denoiser = counted(LINE.denoiser(schedule))
        denoiser = named(denoiser, schedule) if names else denoiser
        steps = list(sampler(denoiser, draw(5, 1), vp(), [0.9, 0.5, 0.2], generator=seeded()))
        assert denoiser.calls == steps[-1].calls
        found.append(steps)
    assert [step.calls + 1 for step in found[0]] == [step.calls for step in found[1]]
    assert torch.equal(found[0][-1].x, found[1][-1].x)


@each_sde
def test_the_step_to_the_data_draws_nothing(sde):
    (a,), (b,) = (
        reverse_sde(LINE.denoiser(sde.schedule(10)), draw(5, 1), sde, [0.3, 0], seeded(s)) for s in (1, 2)
    )
    assert torch.equal(a.x, b.x)


def test_a_single_forward_step_has_the_moments_of_the_equation():
    x0, h = torch.full((20_000, 1), 0.7, dtype=torch.float64), 1e-3
    (x,) = forward_sde(x0, vp(), [0.5, 0.5 + h], seeded())
    signal, sigma = vp().marginal([0.5, 0.5 + h])
    signal = signal[1] / signal[0]
    var = sigma[1] ** 2 - signal**2 * sigma[0] ** 2
    assert x.var().item() == pytest.approx(var.item(), rel=0.05)
    assert x.mean().item() == pytest.approx((0.7 * signal).item(), abs=5 * math.sqrt(var / 20_000))


DENOISER = LINE.denoiser(vp().schedule(10))
RUNS = {
    "reverse_sde": lambda x, times: next(reverse_sde(DENOISER, x, vp(), times)),
    "predictor_corrector": lambda x, times: next(predictor_corrector(DENOISER, x, vp(), times)),
    "annealed_langevin": lambda x, times: next(annealed_langevin(DENOISER, x, vp(), times)),
    "probability_flow": lambda x, times: probability_flow(DENOISER, x, vp(), times),
    "forward_sde": lambda x, times: next(forward_sde(x, vp(), times[::-1])),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    "times",
    [
        [1, 0.5, 0.5, 0.2],
        [1, 0.2, 0.5],
        [1, math.nan, 0.5],
        [1.5, 0.5],
        [1, -0.1],
        [[1, 0.5]],
        [],
        ["a", "b"],
    ],
)
def test_repeated_turning_and_impossible_times_are_refused(run, times):
    with pytest.raises(ValueError, match="times must"):
        run(draw(3, 1), times)


@pytest.mark.parametrize("name", ["reverse_sde", "predictor_corrector", "annealed_langevin"])
def test_rising_times_are_refused_by_what_runs_backwards(name):
    with pytest.raises(ValueError, match="times must fall"):
        RUNS[name](draw(3, 1), [0.2, 0.5, 1])


def test_falling_times_are_refused_by_what_runs_forwards():
    with pytest.raises(ValueError, match="times must rise"):
        next(forward_sde(draw(3, 1), vp(), [1, 0.5]))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    "x", [torch.full((2, 1), math.nan), torch.full((2, 1), math.inf), torch.zeros(2, 1).long(), None]
)
def test_data_that_is_not_finite_is_refused(run, x):
    with pytest.raises(ValueError, match=r"x(0|_T)? must be"):
        run(x, [1, 0.5])
    with pytest.raises(ValueError, match="x must be"):
        log_likelihood(DENOISER, x, vp())
    with pytest.raises(ValueError, match="x0 must be"):
        ode_elbo(DENOISER, x, vp(), 0.1, 5)


def test_a_prediction_of_nan_is_an_error_and_not_a_result():
    for run in (
        lambda d: probability_flow(d, draw(2, 1), vp()),
        lambda d: next(reverse_sde(d, draw(2, 1), vp(), [1, 0])),
    ):
        with pytest.raises(ValueError, match="value must be finite"):
            run(scaled(math.nan, linear(10)))


@pytest.mark.parametrize("raw", [MLP(dim=1), lambda x_t, t: x_t], ids=["network", "function"])
def test_what_is_no_denoiser_is_told_how_to_become_one(raw):
    x = draw(3, 1).float()
    for attempt in (
        lambda: next(reverse_sde(raw, x, vp(), [0.9, 0.5])),
        lambda: next(predictor_corrector(raw, x, vp(), [0.9, 0.5])),
        lambda: next(annealed_langevin(raw, x, vp(), [0.9])),
        lambda: probability_flow(raw, x, vp()),
        lambda: log_likelihood(raw, x, vp()),
    ):
        with pytest.raises(ValueError, match=r"it returned a Tensor\. A network becomes a denoiser by"):
            attempt()


def test_zero_terminal_snr_is_fine_for_the_ode_and_an_error_for_the_sde():
    sde, x = straight(), draw(4, 1)
    denoiser = LINE.denoiser(sde.schedule(10))
    assert probability_flow(denoiser, x, sde)[-1].isfinite().all()
    assert next(annealed_langevin(denoiser, x, sde, [1.0])).x.isfinite().all()
    for attempt in (
        lambda: next(reverse_sde(denoiser, x, sde, [1, 0.5, 0])),
        lambda: next(predictor_corrector(denoiser, x, sde, [1, 0.5, 0])),
        lambda: next(forward_sde(x, sde, [0, 0.5, 1])),
        lambda: sde.drift(x, 1),
        lambda: sde.diffusion(torch.tensor([0.5, 1.0])),
    ):
        with pytest.raises(ValueError, match="infinite coefficients at u = 1"):
            attempt()
    with pytest.raises(ValueError, match="from_eps divides by signal"):
        probability_flow(scaled(1.0, sde.schedule(10)), x, sde)


def test_a_denoiser_that_has_not_seen_so_much_noise_is_refused():
    with pytest.raises(ValueError, match=r"denoiser's log SNR ends at 0\.4.* at u = 1"):
        probability_flow(LINE.denoiser(linear(50)), draw(3, 1), vp())


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: vp(0, 20), "beta_min must"),
        (lambda: sub_vp(20, 0.1), "beta_min must"),
        (lambda: vp(0.1, math.nan), "beta_min must"),
        (lambda: ve(1, 0.5), "sigma_min must"),
        (lambda: ve(0.01, math.inf), "sigma_min must"),
        (lambda: ve(math.nan, 1), "sigma_min must"),
        (lambda: vp().schedule(0), "T must be an integer of at least 1"),
        (lambda: vp().marginal(1.5), "u must lie in"),
        (lambda: vp().marginal(math.nan), "u must lie in"),
        (lambda: vp().diffusion("noon"), "u must be"),
        (lambda: vp().drift(torch.zeros(3, 1), torch.zeros(2)), "one entry per example"),
        (lambda: next(predictor_corrector(DENOISER, draw(2, 1), vp(), [1, 0], -1)), "corrector_steps must"),
        (lambda: next(predictor_corrector(DENOISER, draw(2, 1), vp(), [1, 0], r=0)), "r must be above 0"),
        (lambda: next(annealed_langevin(DENOISER, draw(2, 1), vp(), [1, 0])), "times must stay above 0"),
        (lambda: next(annealed_langevin(DENOISER, draw(2, 1), vp(), [1], 0)), "steps must be an integer"),
        (lambda: next(annealed_langevin(DENOISER, draw(2, 1), vp(), [1], rate=math.nan)), "rate must be"),
        (lambda: log_likelihood(DENOISER, draw(2, 1), vp(), "trace"), "divergence must be .* got 'trace'"),
        (lambda: log_likelihood(DENOISER, draw(2, 1), vp(), "hutchinson", 0), "probes must be an integer"),
        (lambda: log_likelihood(DENOISER, draw(2, 1), vp(), start=1), "times must rise"),
        (lambda: log_likelihood(DENOISER, draw(2, 1), vp(), start=math.nan), "times must"),
        (lambda: likelihood_path(DENOISER, draw(2, 1), vp(), [0, 0.5]), "times must end at 1"),
        (lambda: ode_elbo(DENOISER, LEVELS, vp(), 0.0, 5), "start must lie between 0 and 1"),
        (lambda: ode_elbo(DENOISER, LEVELS, vp(), math.nan, 5), "start must lie between 0 and 1"),
        (lambda: ode_elbo(DENOISER, LEVELS, vp(), 0.1, 4), "x0 must lie on 4 levels"),
        (lambda: probability_flow(DENOISER, draw(2, 1), vp(), rtol=0), "rtol and atol must be above 0"),
        (lambda: probability_flow(DENOISER, draw(2, 1), vp(), atol=math.nan), "rtol and atol must be"),
    ],
)  # fmt: skip
def test_a_bad_option_is_refused(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def test_without_scipy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.integrate", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        probability_flow(DENOISER, draw(2, 1), vp())
