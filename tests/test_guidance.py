"""Guidance, against mixtures: there p(c|x_t), and with it every guided score, is known exactly."""

import math

import numpy as np
import pytest
import torch
from close import assert_close

from diffusion_lab import data, pretrained, samplers, schedules, sde, sde_samplers
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.guidance import classifier, classifier_free
from diffusion_lab.likelihood import log_likelihood
from diffusion_lab.schedules import NoiseSchedule
from diffusion_lab.unet import MLP, ModelDenoiser

SCHEDULE = schedules.linear()
FLOW = NoiseSchedule(1 - torch.arange(101).double() / 100, torch.arange(101).double() / 100)
MIXTURE = GaussianMixture(
    torch.tensor([[-0.6, 0.1], [0.5, 0.4], [0.2, -0.7]], dtype=torch.float64),
    stds=[0.2, 0.15, 0.3],
    weights=[0.5, 0.2, 0.3],
)
SCALES = [0.0, 0.5, 1.0, 3.0, -1.0]


def points(n=40):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def log_prob_of(label, mixture=MIXTURE, schedule=SCHEDULE):
    """log p(c|x_t) by Bayes, from the densities themselves."""

    def log_prob(x_t, t):
        one, every = mixture.given(label).noised(t, schedule), mixture.noised(t, schedule)
        return one.log_prob(x_t) + math.log(mixture.weights[label]) - every.log_prob(x_t)

    return log_prob


def free(label, w, schedule=SCHEDULE):
    return classifier_free(MIXTURE.given(label).denoiser(schedule), MIXTURE.denoiser(schedule), w)


@pytest.mark.parametrize("t", [1, 30, 400, 1000])
@pytest.mark.parametrize("w", SCALES)
def test_both_ways_are_one(t, w):
    """Bayes: ∇ log p(c|x_t) is the difference of the two scores, so both guide alike."""
    guided = classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(1), w)(points(), t)
    assert_close(guided.x0, free(1, w)(points(), t).x0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [5, 200, 900])
@pytest.mark.parametrize("w", SCALES)
def test_it_is_the_gradient_of_the_sharpened_density(t, w):
    x = points().requires_grad_()
    log_density = MIXTURE.noised(t, SCHEDULE).log_prob(x) + w * log_prob_of(2)(x, t)
    (score,) = torch.autograd.grad(log_density.sum(), x)
    assert_close(free(2, w)(points(), t).score, score, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("t", [1, 500, 1000])
def test_the_convention(t):
    x, (c, none) = points(), (MIXTURE.given(0).denoiser(SCHEDULE), MIXTURE.denoiser(SCHEDULE))
    assert_close(free(0, 0)(x, t).eps, none(x, t).eps, rtol=1e-9, atol=1e-9)
    assert_close(free(0, 1)(x, t).eps, c(x, t).eps, rtol=1e-9, atol=1e-9)
    # Ho & Salimans write (1 + w) ε̂_c − w ε̂_∅; their 2 is our 3
    theirs = (1 + 2) * c(x, t).eps - 2 * none(x, t).eps
    assert_close(free(0, 3)(x, t).eps, theirs, rtol=1e-9, atol=1e-9)


def test_at_zero_snr_nothing_is_known_of_c_but_the_mean():
    """x̂_0 is the mean, with c or without, and so is what is between and beyond them."""
    guided = free(0, 2.0, FLOW)(points(), 100).x0
    mean = (MIXTURE.weights[:, None] * MIXTURE.means).sum(0)
    assert_close(guided, (mean + 2 * (MIXTURE.means[0] - mean)).expand_as(guided), rtol=1e-9, atol=1e-9)
    blind = classifier(MIXTURE.denoiser(FLOW), log_prob_of(0, schedule=FLOW), 2.0)
    with pytest.raises(ValueError, match="signal, which is 0 at t = 100"):
        blind(points(), 100)


def test_samples_leave_the_true_conditional():
    """One component, DDIM: at w = 1 its mean and width; at w = 3 narrower, and away from the others."""
    generator = torch.Generator().manual_seed(0)
    x_T = samplers.p_sample_prior((4000, 2), SCHEDULE, generator).double()
    times = samplers.timesteps(SCHEDULE, 200)

    def sample(w):
        *_, last = samplers.ddim(free(0, w), x_T, SCHEDULE, times)
        return last.x.mean(0), last.x.std(0).mean().item()

    mean, std = sample(1.0)
    assert_close(mean, MIXTURE.means[0], rtol=0, atol=0.02)
    assert std == pytest.approx(0.2, rel=0.05)
    guided_mean, guided_std = sample(3.0)
    others = MIXTURE.means[1:].mean(0)
    assert guided_std < 0.9 * std
    assert (guided_mean - others).norm() > (mean - others).norm() + 0.05


def test_a_network_is_guided_as_any_denoiser():
    model = pretrained.load("digits")
    x_T = samplers.p_sample_prior((4, 1, 8, 8), model.schedule, torch.Generator().manual_seed(0))
    guided = classifier_free(model.given(3), model.given(None), 2.0)
    prediction = guided(x_T, 500)
    with_c, without = model.given(3)(x_T, 500), model.given(None)(x_T, 500)
    assert_close(prediction.eps, 2 * with_c.eps - without.eps, rtol=1e-4, atol=1e-4)
    *_, last = samplers.ddim(guided, x_T, model.schedule, samplers.timesteps(model.schedule, 10))
    assert last.x.isfinite().all()


def test_real_and_batched_times():
    times = torch.linspace(1, 999.5, 40, dtype=torch.float64)
    together = free(1, 2.5)(points(), times).x0
    for i in (0, 17, 39):
        alone = free(1, 2.5)(points()[[i]], times[i]).x0
        assert_close(together[[i]], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list], ids=["tensor", "numpy", "list"])
@pytest.mark.parametrize("B", [40, 2])  # 2 is also the size of a point: the axis that must not be met
def test_a_scale_for_each_example(kind, B):
    w = [0.1 * i for i in range(B)]
    for guide in (lambda w: free(1, w), lambda w: classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(1), w)):
        together = guide(kind(w))(points()[:B], 300).x0
        alone = torch.cat([guide(w[i])(points()[[i]], 300).x0 for i in range(B)])
        # torch.tensor(list of floats) is float32: so coarse is its 0.1
        assert_close(together, alone, rtol=0, atol=1e-6 if kind is torch.tensor else 1e-9)


def test_as_many_scales_as_examples():
    for guided in (
        free(0, torch.ones(3)),
        classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(0), torch.ones(3)),
    ):
        with pytest.raises(ValueError, match=r"w must have one entry per example of \[40, 2\]; it has 3"):
            guided(points(), 10)


SCALES_THAT_ARE_NONE = [math.nan, math.inf, "2", None, True, 1j, [1, math.nan], [[1, 2]], [1, [2]]]
SCALES_THAT_ARE_NONE += [torch.tensor([True]), torch.ones(3, 1)]


@pytest.mark.parametrize("w", SCALES_THAT_ARE_NONE, ids=str)
def test_scales_that_are_none(w):
    with pytest.raises(ValueError, match=r"w must be a finite number, or have shape .* hold such; got"):
        classifier_free(MIXTURE.denoiser(SCHEDULE), MIXTURE.denoiser(SCHEDULE), w)
    with pytest.raises(ValueError, match=r"w must be a finite number, or have shape .* hold such; got"):
        classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(0), w)


@pytest.mark.parametrize("t", [1, 60, 100])
def test_variance_exploding(t):
    """signal is 1 and sigma grows beyond the data: both ways still agree, and with the density's gradient."""
    schedule = sde.ve().schedule(100)
    x = (schedule.sigma[t].item() * points()).requires_grad_()
    log_density = MIXTURE.noised(t, schedule).log_prob(x) + 2.5 * log_prob_of(1, schedule=schedule)(x, t)
    (score,) = torch.autograd.grad(log_density.sum(), x)
    x = x.detach()
    assert_close(free(1, 2.5, schedule)(x, t).score, score, rtol=1e-8, atol=1e-8)
    guided = classifier(MIXTURE.denoiser(schedule), log_prob_of(1, schedule=schedule), 2.5)
    assert_close(guided(x, t).score, score, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("sampler", [samplers.ddpm, samplers.ddim, samplers.heun, samplers.dpm_solver_pp_2m])
@pytest.mark.parametrize("schedule", [FLOW, sde.ve().schedule(100)], ids=["zero SNR", "VE"])
def test_samplers_from_zero_snr_and_on_ve(sampler, schedule):
    """Guided by 2, all but a few runs end where the class is more likely than not, and none explodes."""
    generator = torch.Generator().manual_seed(0)
    x_T = samplers.p_sample_prior((200, 2), schedule, generator).double()
    times = samplers.timesteps(schedule, 25, "karras")
    *_, last = sampler(free(0, 2.0, schedule), x_T, schedule, times, generator=generator)
    assert last.x.norm(dim=1).max() < 5
    assert (log_prob_of(0, schedule=schedule)(last.x, 0).exp() > 0.5).double().mean() > 0.9


def test_at_t_0_there_is_nothing_to_guide():
    unconditional = MIXTURE.denoiser(SCHEDULE)
    assert_close(free(0, 3.0)(points(), 0).x0, points())
    assert_close(classifier(unconditional, log_prob_of(0), 3.0)(points(), 0).x0, points())


def test_what_is_no_point_is_named():
    x = points()
    x[3, 1] = math.nan
    for guided in (free(0, 2.0), classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(0), 2.0)):
        with pytest.raises(ValueError, match="x_t must be finite; 1 of its values"):
            guided(x, 10)


def every_class(x_t, t):  # what a network gives before the wanted class is picked
    return torch.stack([log_prob_of(k)(x_t, t) for k in range(3)], 1)


def cut_off(x_t, t):
    with torch.no_grad():
        return log_prob_of(0)(x_t, t)


def of_its_weights_only(x_t, t):
    return torch.ones(len(x_t), dtype=torch.float64, requires_grad=True)


def at_a_pole(x_t, t):  # √ at 0: the value is finite, the gradient is not
    return (0 * x_t).sum(1).sqrt()


@pytest.mark.parametrize(
    "log_prob, message",
    [
        (every_class, r"log_prob\(x_t, t\) must have shape \[40\]; got \[40, 3\]"),
        (lambda x_t, t: log_prob_of(0)(x_t, t).sum(), r"must have shape \[40\]; got \[\]"),
        (lambda x_t, t: math.nan * x_t[:, 0], r"log_prob\(x_t, t\) must be finite; 40 of"),
        (at_a_pole, "the gradient of log_prob must be finite"),
        (cut_off, "must have a gradient in x_t; it was cut off from it"),
        (of_its_weights_only, "must have a gradient in x_t; it was cut off from it"),
        (lambda x_t, t: [0.0], "must be a floating-point tensor"),
    ],
    ids=["every class", "summed", "NaN", "pole", "no_grad", "weights", "list"],
)
def test_classifiers_that_are_none(log_prob, message):
    with pytest.raises(ValueError, match=message):
        classifier(MIXTURE.denoiser(SCHEDULE), log_prob, 2.0)(points(), 10)


def test_two_schedules():
    other = data.toy_mixture().denoiser(schedules.cosine())
    with pytest.raises(ValueError, match="schedule must be the one that the denoiser was made for"):
        classifier_free(MIXTURE.denoiser(SCHEDULE), other, 2.0)(points(), 10)


def test_two_schedules_with_the_same_numbers_are_one():
    again = NoiseSchedule.from_beta(SCHEDULE.beta)
    assert not torch.equal(again.sigma, SCHEDULE.sigma)  # to the last digit they differ
    guided = classifier_free(MIXTURE.given(1).denoiser(again), MIXTURE.denoiser(SCHEDULE), 2.0)
    assert_close(guided(points(), 300).x0, free(1, 2.0)(points(), 300).x0)


def by_a_function(x_t, t):
    return MIXTURE.denoiser(SCHEDULE)(x_t, t)


def test_it_says_of_itself_what_its_parts_do():
    net = ModelDenoiser(MLP(dim=2), SCHEDULE, predicts="v")
    for guided in (
        classifier_free(net, by_a_function, 2.0),
        classifier_free(by_a_function, net, 2.0),
        classifier(net, log_prob_of(1), 2.0),
    ):
        assert guided.schedule is SCHEDULE and guided.dtype == torch.float32
        assert guided(points(), 300).x0.isfinite().all()
    unknown = classifier(by_a_function, log_prob_of(1), 2.0)
    assert unknown.schedule is None and unknown.shape is None and unknown.dtype is None


@pytest.mark.parametrize("raw", [MLP(dim=2).double(), lambda x_t, t: x_t], ids=["network", "function"])
def test_what_is_no_denoiser_is_told_how_to_become_one(raw):
    for guided in (
        classifier_free(raw, by_a_function, 2.0),
        classifier_free(by_a_function, raw, 2.0),
        classifier(raw, log_prob_of(1), 2.0),
    ):
        with pytest.raises(ValueError, match=r"it returned a Tensor\. A network becomes a denoiser by"):
            guided(points(), 10)


# ---- derivatives, and real times ---------------------------------------------------------------------------


def by_autograd(function, x, vector):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x), x, vector)[0]


def by_functions(function, x, vector):
    return torch.func.vjp(function, x)[1](vector)[0]


def by_functions_of_functions(function, x, vector):
    return torch.func.grad(lambda x: (function(x) * vector).sum())(x)


@pytest.mark.parametrize("pulled", [by_autograd, by_functions, by_functions_of_functions])
@pytest.mark.parametrize("t", [5, 200, 900, 433.7])
def test_second_derivatives_are_those_of_the_conditional(pulled, t):
    """At w = 1 the score is the conditional's, and so is what autograd makes of it."""
    log_prob = log_prob_of(1) if t != 433.7 else log_prob_between(1, t)
    guided = classifier(MIXTURE.denoiser(SCHEDULE), log_prob, 1.0)
    vector = torch.randn(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for view in ("x0", "score"):
        found = pulled(lambda x, view=view: getattr(guided(x, t), view), points(), vector)
        exact = pulled(
            lambda x, view=view: getattr(MIXTURE.given(1).denoiser(SCHEDULE)(x, t), view), points(), vector
        )
        assert_close(found, exact, rtol=1e-6, atol=1e-6)


def log_prob_between(label, t):
    """log p(c|x_t) at one real t, without `noised`."""
    signal, sigma = schedules.signal_sigma(SCHEDULE, t, points())
    means, stds = signal * MIXTURE.means, (signal**2 * MIXTURE.var[:, 0] + sigma**2).sqrt()
    noisy = GaussianMixture(means, stds=stds, weights=MIXTURE.weights)
    return lambda x_t, _: noisy.log_posterior(x_t)[:, label]


def test_nothing_is_kept_for_a_derivative_that_nobody_wants():
    guided = classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(1), 2.0)
    assert not guided(points(), 300).x0.requires_grad
    with torch.no_grad():
        assert not guided(points().requires_grad_(), 300).x0.requires_grad


def by_bayes(x_t, t):
    """As notebook 09 has it: log p(c|x_t), of the blobs as they are at t."""
    return MIXTURE.noised(t, FLOW).log_posterior(x_t)[:, 1]


@pytest.mark.parametrize("run", ["probability_flow", "reverse_sde", "log_likelihood"])
def test_a_classifier_guides_at_the_real_times_of_continuous_time(run):
    """Up to u = 0.98: at zero SNR there is nothing to guide. At w = 1 it does what the conditional does."""
    process, exact, x = sde.straight(), MIXTURE.given(1).denoiser(FLOW), points()
    guided = classifier(MIXTURE.denoiser(FLOW), by_bayes, 1.0)
    if run == "probability_flow":
        found, truth = (sde_samplers.probability_flow(d, x, process, (0.98, 0)) for d in (guided, exact))
        assert_close(found, truth, rtol=1e-6, atol=1e-6)
    elif run == "reverse_sde":
        times = torch.linspace(0.98, 0, 38)
        ends = []
        for denoiser in (guided, exact):
            generator = torch.Generator().manual_seed(0)
            *_, last = sde_samplers.reverse_sde(denoiser, x, process, times, generator)
            ends.append(last.x)
        assert_close(*ends, rtol=1e-6, atol=1e-6)
    else:
        process = sde.vp(0.1, 40.0)  # which leaves next to nothing of the data
        schedule = process.schedule(20)
        guided = classifier(MIXTURE.denoiser(schedule), log_prob_of(1, schedule=schedule), 1.0)
        x = MIXTURE.given(1).sample(10, torch.Generator().manual_seed(0))
        found = log_likelihood(guided, x, process, rtol=1e-6, atol=1e-6)
        assert_close(found, MIXTURE.given(1).log_prob(x), rtol=0, atol=1e-3)


# ---- guidance in an interval -------------------------------------------------------------------------------


def both(w, schedule=SCHEDULE, **options):
    unconditional, log_prob = MIXTURE.denoiser(schedule), log_prob_of(1, schedule=schedule)
    return (
        classifier_free(MIXTURE.given(1).denoiser(schedule), unconditional, w, **options),
        classifier(unconditional, log_prob, w, **options),
    )


def test_outside_the_interval_w_is_1():
    ratio = (SCHEDULE.sigma / SCHEDULE.signal).tolist()
    x = points()
    for guided, everywhere, conditional in zip(
        both(3.0, interval=(ratio[200], ratio[600])), both(3.0), both(1.0), strict=True
    ):
        for t, inside in ((1, False), (199, False), (201, True), (599, True), (601, False), (1000, False)):
            expected = everywhere if inside else conditional
            assert_close(guided(x, t).x0, expected(x, t).x0, rtol=1e-9, atol=1e-9)


def test_the_interval_is_open_below_and_closed_above():
    schedule = sde.ve(1.0, 16.0).schedule(4)  # signal 1
    low, high = schedule.sigma[1].item(), schedule.sigma[3].item()
    x = points()
    for guided, everywhere, conditional in zip(
        both(3.0, schedule, interval=(low, high)), both(3.0, schedule), both(1.0, schedule), strict=True
    ):
        for t, expected in ((1, conditional), (2, everywhere), (3, everywhere), (4, conditional)):
            assert_close(guided(x, t).x0, expected(x, t).x0, rtol=1e-9, atol=1e-9)


def test_an_interval_for_times_and_scales_of_their_own():
    t, w = torch.arange(40) * 25 + 1, torch.linspace(0, 4, 40, dtype=torch.float64)
    guide = lambda w: free_within(w, (0.3, 2.0))  # noqa: E731
    together = guide(w)(points(), t).x0
    alone = torch.cat([guide(w[i].item())(points()[[i]], int(t[i])).x0 for i in range(40)])
    assert_close(together, alone, rtol=1e-9, atol=1e-9)


def free_within(w, interval):
    return classifier_free(MIXTURE.given(1).denoiser(SCHEDULE), MIXTURE.denoiser(SCHEDULE), w, interval)


def test_zero_snr_and_the_data_lie_outside_a_finite_interval_and_within_an_infinite_one():
    x = points()
    conditional, unconditional = MIXTURE.given(0).denoiser(FLOW), MIXTURE.denoiser(FLOW)
    assert_close(classifier_free(conditional, unconditional, 2.0, (0, 9))(x, 100).x0, conditional(x, 100).x0)
    everywhere = classifier_free(conditional, unconditional, 2.0)
    assert_close(
        classifier_free(conditional, unconditional, 2.0, (0, math.inf))(x, 100).x0, everywhere(x, 100).x0
    )
    assert_close(classifier_free(conditional, unconditional, 2.0, (0, 9))(x, 0).x0, x)


@pytest.mark.parametrize(
    "interval",
    [3.0, "all", (1, 2, 3), (2.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (0.0, None)],
    ids=str,
)
def test_intervals_that_are_none(interval):
    with pytest.raises(ValueError, match=r"interval must be None or \(low, high\), 0 ≤ low < high; got"):
        free_within(2.0, interval)
    with pytest.raises(ValueError, match="interval must be None or"):
        classifier(MIXTURE.denoiser(SCHEDULE), log_prob_of(0), 2.0, interval)
