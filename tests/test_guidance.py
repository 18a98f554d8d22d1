"""Guidance, against mixtures: there p(c|x_t), and with it every guided score, is known exactly."""

import math

import numpy as np
import pytest
import torch
from close import assert_close

from diffusion_lab import data, pretrained, samplers, schedules, sde
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.guidance import classifier, classifier_free
from diffusion_lab.schedules import NoiseSchedule

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
        (lambda x_t, t: [0.0], "must be a floating-point tensor"),
    ],
    ids=["every class", "summed", "NaN", "pole", "no_grad", "list"],
)
def test_classifiers_that_are_none(log_prob, message):
    with pytest.raises(ValueError, match=message):
        classifier(MIXTURE.denoiser(SCHEDULE), log_prob, 2.0)(points(), 10)


def test_two_schedules():
    other = data.toy_mixture().denoiser(schedules.cosine())
    with pytest.raises(ValueError, match="the same schedule"):
        classifier_free(MIXTURE.denoiser(SCHEDULE), other, 2.0)(points(), 10)
