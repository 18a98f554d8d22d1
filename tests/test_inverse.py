"""Linear measurements and the exact posterior, against grids, sampling, scipy and scikit-image; the methods
against the exact law of their samples, which is Gaussian where the data is."""

import math
import sys

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.transform import downscale_local_mean
from skimage.transform import radon as rays_of

from diffusion_lab import samplers
from diffusion_lab.applications import inverse
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.forward import posterior_weights, transition
from diffusion_lab.schedules import cosine, flow, linear, ve
from diffusion_lab.views import Prediction


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


SHAPE = (2, 6, 4)
SOME = draw(*SHAPE, seed=1) > 0.2
FREQUENCIES = draw(6, 4, seed=2) > 0
MEASUREMENTS = {
    "mask": inverse.mask(SHAPE, SOME),
    "nothing": inverse.mask(SHAPE, torch.zeros(SHAPE).bool()),
    "everything": inverse.mask(SHAPE, torch.ones(SHAPE).bool()),
    "pool": inverse.pool(SHAPE, 2),
    "blur": inverse.blur(SHAPE, 0.8),
    "fourier": inverse.fourier(SHAPE, FREQUENCIES),
    "all frequencies": inverse.fourier(SHAPE, torch.ones(6, 4).bool()),
    "radon": inverse.radon(SHAPE, [0, 40, 90, 135]),
    "linear": inverse.linear(draw(5, 48, seed=3), SHAPE),
}
every_measurement = pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=MEASUREMENTS)
ROOTS = 0.6 * draw(3, 2, 2, seed=4)
PLANE = GaussianMixture(
    draw(3, 2, seed=5),
    covariances=ROOTS @ ROOTS.mT + 0.05 * torch.eye(2),
    weights=torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64),
)
ROW = inverse.linear(torch.tensor([[0.7, -0.4]]), [2], std=0.3)


# ---- measurements ------------------------------------------------------------------------------------------


@every_measurement
def test_adjoint_is_the_adjoint(measurement):
    x, M = draw(7, *SHAPE, seed=6), len(measurement.matrix())
    y = draw(7, M, seed=7)
    there, back = (measurement.forward(x) * y).sum(1), (x * measurement.adjoint(y)).flatten(1).sum(1)
    assert_close(there, back, rtol=1e-12, atol=1e-12)
    assert measurement.forward(x).shape == (7, M) and measurement.matrix().shape == (M, 48)


@every_measurement
def test_forward_is_the_matrix_in_the_datas_own_dtype(measurement):
    x = draw(3, *SHAPE, seed=8).float()
    y = measurement.forward(x)
    assert y.dtype == torch.float32
    assert_close(y.double(), x.double().flatten(1) @ measurement.matrix().T, rtol=1e-5, atol=1e-5)


def test_each_maker_does_what_it_says():
    x = draw(1, *SHAPE, seed=9)
    picture = x[0].numpy()
    seen = {name: measurement.forward(x)[0].numpy() for name, measurement in MEASUREMENTS.items()}
    np.testing.assert_array_equal(seen["mask"], picture[SOME.numpy()])
    np.testing.assert_allclose(seen["pool"], downscale_local_mean(picture, (1, 2, 2)).ravel(), atol=1e-12)
    angles = [0, 40, 90, 135]
    rays = [rays_of(plane, angles, circle=False).T.ravel() for plane in picture]
    np.testing.assert_allclose(seen["radon"], np.concatenate(rays), atol=1e-10)


def test_blur_is_scipys_away_from_the_border_and_keeps_a_uniform_picture():
    x = draw(1, 1, 32, 32, seed=10)
    ours = inverse.blur([1, 32, 32], 1.2).forward(x).reshape(32, 32)
    theirs = ndimage.gaussian_filter(x[0, 0].numpy(), 1.2, truncate=8)
    np.testing.assert_allclose(ours[10:-10, 10:-10], theirs[10:-10, 10:-10], atol=1e-8)
    assert_close(inverse.blur(SHAPE, 2).forward(torch.ones(1, *SHAPE).double()), torch.ones(1, 48).double())


def test_fourier_holds_each_number_of_the_spectrum_once():
    x = draw(1, 1, 6, 4, seed=11)
    spectrum = np.fft.fft2(x[0, 0].numpy(), norm="ortho")
    both = np.concatenate([spectrum.real.ravel(), spectrum.imag.ravel()])
    y = inverse.fourier([1, 6, 4], torch.ones(6, 4).bool()).forward(x)[0].numpy()
    assert len(y) == 24 == np.linalg.matrix_rank(inverse.fourier([1, 6, 4], torch.ones(6, 4).bool()).A)
    assert all(np.isclose(both, value, atol=1e-12).any() for value in y)
    one = torch.zeros(6, 4).bool()
    one[0, 0] = True
    assert_close(inverse.fourier([1, 6, 4], one).forward(x)[0, 0], x.sum() / math.sqrt(24))
    one[5, 3], one[0, 0] = True, False  # the partner of [1, 1]
    np.testing.assert_allclose(
        inverse.fourier([1, 6, 4], one).forward(x)[0], [spectrum[5, 3].real, spectrum[5, 3].imag], atol=1e-12
    )


def test_measure_adds_noise_of_the_std():
    noisy = inverse.mask(SHAPE, SOME, std=0.3)
    x = draw(1, *SHAPE).expand(4000, *SHAPE)
    left = noisy.measure(x, seeded()) - noisy.forward(x)
    assert abs(left.std().item() / 0.3 - 1) < 0.01 and abs(left.mean().item()) < 0.003
    exact = MEASUREMENTS["mask"]
    torch.testing.assert_close(exact.measure(x[:2]), exact.forward(x[:2]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: inverse.mask(SHAPE, torch.ones(SHAPE)), "keep must be bool of shape"),
        (lambda: inverse.mask(SHAPE, torch.ones(6, 4).bool()), "keep must be bool of shape"),
        (lambda: inverse.pool(SHAPE, 3), "k must divide both sides of 6 × 4; got 3"),
        (lambda: inverse.pool([4], 2), "shape must end in height and width"),
        (lambda: inverse.blur(SHAPE, 0), "std, of the blur in pixels"),
        (lambda: inverse.blur(SHAPE, 1, noise=-1), "std, of the noise"),
        (lambda: inverse.fourier(SHAPE, SOME), "keep must be bool of shape"),
        (lambda: inverse.radon(SHAPE, []), "angles must be a row of at least one finite number"),
        (lambda: inverse.radon(SHAPE, [math.nan]), "angles must be a row"),
        (lambda: inverse.linear(draw(3, 7), SHAPE), "A must have one column for each value"),
        (lambda: inverse.linear(draw(3), [3]), "A must have one column"),
        (lambda: inverse.linear(torch.ones(3, 2).long(), [2]), "A must be a floating-point tensor"),
        (lambda: inverse.mask(SHAPE, SOME, std=math.nan), "std, of the noise"),
        (lambda: ROW.forward(draw(3, 3)), "x must be a batch of"),
        (lambda: ROW.adjoint(draw(3, 3)), "y must be a batch of"),
        (lambda: inverse.posterior(PLANE, ROW, draw(2)), "y must have shape"),
        (lambda: inverse.posterior(PLANE, MEASUREMENTS["mask"], draw(2)), "measurement must be of data of"),
        (lambda: inverse.evidence(PLANE, ROW, draw(2, 2)), "y must have shape"),
        (lambda: inverse.evidence(PLANE, inverse.linear(torch.ones(2, 2), [2]), draw(2)), "must have noise"),
        (lambda: inverse.posterior(PLANE, inverse.linear(torch.ones(2, 2), [2]), draw(2)), "of the form A x"),
        (
            lambda: inverse.dps(PLANE.denoiser(cosine()), inverse.linear(torch.ones(1, 2), [2]), draw(1)),
            "weight",
        ),
        (lambda: inverse.dps(PLANE.denoiser(cosine()), ROW, draw(1), weight=-1), "weight must be a number"),
        (lambda: inverse.pigdm(PLANE.denoiser(cosine()), ROW, draw(1), "none"), "variance must be one of"),
        (lambda: inverse.dps(PLANE.denoiser(cosine()), ROW, draw(3, 1))(draw(2, 2), 5), "y must have shape"),
        (lambda: [*inverse.replacement(PLANE.denoiser(cosine()), ROW, draw(2), draw(2, 2))], "y must have"),
        (
            lambda: [*inverse.repaint(PLANE.denoiser(cosine()), ROW, draw(1), draw(2, 2), resamplings=0)],
            "resamplings must be an integer of at least 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---- the posterior -----------------------------------------------------------------------------------------


def grid(low=-9.0, high=9.0, n=901):
    """A square grid [n², 2] and the area of one cell."""
    ticks = torch.linspace(low, high, n, dtype=torch.float64)
    return torch.cartesian_prod(ticks, ticks), ((high - low) / (n - 1)) ** 2


def log_likelihood(x, y, measurement):
    away = y - x @ measurement.matrix().T
    M, var = len(y), measurement.std**2
    return -(away**2).sum(1) / (2 * var) - M / 2 * math.log(2 * math.pi * var)


@settings(max_examples=10)
@given(st.floats(-3, 3))
def test_posterior_is_bayes_rule_on_a_grid(y):
    y, (x, cell) = torch.tensor([y], dtype=torch.float64), grid()
    log_joint = PLANE.log_prob(x) + log_likelihood(x, y, ROW)
    log_p_y = log_joint.logsumexp(0) + math.log(cell)
    assert_close(inverse.evidence(PLANE, ROW, y), log_p_y, rtol=0, atol=1e-6)
    found = inverse.posterior(PLANE, ROW, y)
    assert_close(found.log_prob(x).exp(), (log_joint - log_p_y).exp(), rtol=0, atol=1e-6)
    mean = ((log_joint - log_p_y).exp() * cell) @ x
    assert_close(found.weights @ found.means, mean, rtol=0, atol=1e-6)


def test_posterior_is_what_importance_sampling_says():
    y = torch.tensor([0.6, -0.2], dtype=torch.float64)
    both = inverse.linear(draw(2, 2, seed=12), [2], std=0.5)
    x = PLANE.sample(400_000, seeded())
    weights = log_likelihood(x, y, both).softmax(0)
    found = inverse.posterior(PLANE, both, y)
    mean = weights @ x
    spread = (weights**2) @ (x - mean) ** 2  # variance of that mean, one for each axis
    assert ((found.weights @ found.means - mean).abs() < 5 * spread.sqrt()).all()
    assert_close(
        inverse.evidence(PLANE, both, y),
        log_likelihood(x, y, both).logsumexp(0) - math.log(len(x)),
        atol=0.01,
    )


def test_evidence_integrates_to_one():
    y = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    total = inverse.evidence(PLANE, ROW, y).exp().sum() * (y[1, 0] - y[0, 0])
    assert_close(total, torch.ones((), dtype=torch.float64), rtol=0, atol=1e-9)
    square, cell = grid(-22, 22, 1101)
    two = inverse.linear(draw(2, 2, seed=13), [2], std=0.4)
    total = inverse.evidence(PLANE, two, square).exp().sum() * cell
    assert_close(total, torch.ones((), dtype=torch.float64), rtol=0, atol=1e-9)


def test_isotropic_components_are_covariances_too():
    stds = torch.tensor([0.3, 0.8], dtype=torch.float64)
    means, y = draw(2, *SHAPE, seed=14), MEASUREMENTS["pool"].forward(draw(1, *SHAPE))[0]
    full = torch.diag_embed((stds**2)[:, None].expand(2, 48))
    small = inverse.pool(SHAPE, 2, std=0.2)
    one, other = (
        inverse.posterior(GaussianMixture(means, **widths), small, y)
        for widths in (dict(stds=stds), dict(covariances=full))
    )
    x = draw(5, *SHAPE, seed=15)
    assert_close(one.log_prob(x), other.log_prob(x), rtol=1e-9)
    assert one.sample(3, seeded()).shape == (3, *SHAPE)


def test_a_short_way_round_is_the_same_as_two_measurements_at_once():
    """Bayes' rule twice, for one half of y after the other, is Bayes' rule once."""
    y, A = draw(2, seed=16), draw(2, 2, seed=17)
    at_once = inverse.posterior(PLANE, inverse.linear(A, [2], std=0.4), y)
    first = inverse.posterior(PLANE, inverse.linear(A[:1], [2], std=0.4), y[:1])
    then = inverse.posterior(first, inverse.linear(A[1:], [2], std=0.4), y[1:])
    x = draw(9, 2, seed=18)
    assert_close(then.log_prob(x), at_once.log_prob(x))


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_without_noise_every_sample_has_exactly_the_measured_numbers(name):
    measurement = MEASUREMENTS[name]
    roots = draw(2, 48, 48, seed=19) / 7
    mixture = GaussianMixture(draw(2, *SHAPE, seed=20), covariances=roots @ roots.mT + 0.1 * torch.eye(48))
    y = measurement.forward(mixture.sample(1, seeded(1)))[0]
    found = inverse.posterior(mixture, measurement, y)
    x = found.sample(50, seeded(2))
    assert_close(measurement.forward(x), y.expand(50, -1), rtol=0, atol=1e-7)
    rank = int(torch.linalg.matrix_rank(measurement.A)) if len(y) else 0
    assert ((found.var == 0).sum(1) == rank).all()
    if rank:
        with pytest.raises(ValueError, match="has no density"):
            found.log_prob(x)
    else:
        assert_close(found.log_prob(x), mixture.log_prob(x), rtol=1e-8)
    x_t = draw(4, *SHAPE, seed=21)
    assert_close(
        measurement.forward(found.denoiser(cosine())(x_t, 300).x0), y.expand(4, -1), rtol=0, atol=1e-7
    )


def test_little_noise_is_nearly_none():
    y = torch.tensor([0.5], dtype=torch.float64)
    none, little = (
        inverse.posterior(PLANE, inverse.linear(torch.tensor([[0.7, -0.4]]), [2], std), y)
        for std in (0, 1e-4)
    )
    assert_close(none.means, little.means, rtol=0, atol=1e-5)
    assert_close(none.weights, little.weights, rtol=0, atol=1e-5)


# ---- methods: exact where they should be -------------------------------------------------------------------

SCHEDULES = {"cosine": cosine(200), "ve": ve(200), "flow": flow(200)}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


@every_schedule
@pytest.mark.parametrize("t", [1, 60, 150, 199])
def test_exact_guidance_adds_the_gradient_of_log_p_y_given_x_t(schedule, t):
    """(x_t, y) is jointly a mixture: x_t and y, each divided by its noise, are one measurement of x_0."""
    y, x_t = torch.tensor([0.4], dtype=torch.float64), (draw(6, 2) * schedule.sigma[t]).requires_grad_()
    signal, sigma = schedule.signal[t], schedule.sigma[t]
    joint = torch.cat([signal / sigma * torch.eye(2).double(), ROW.matrix() / ROW.std])
    both = torch.cat([x_t / sigma, (y / ROW.std).expand(6, 1)], 1)
    log_joint = inverse.evidence(PLANE, inverse.linear(joint, [2], std=1), both)
    (score,) = torch.autograd.grad(log_joint.sum(), x_t)
    assert_close(inverse.exact_guidance(PLANE, ROW, y, schedule)(x_t.detach(), t).score, score, rtol=1e-8)


@every_schedule
@pytest.mark.parametrize("std", [0.0, 0.3])
def test_pigdm_with_tweedies_covariance_is_exact_on_gaussian_data(schedule, std):
    roots = draw(6, 6, seed=22)
    gaussian = GaussianMixture(draw(1, 6), covariances=(roots @ roots.T + 0.1 * torch.eye(6))[None])
    measurement = inverse.linear(draw(3, 6, seed=23), [6], std)
    y = measurement.measure(gaussian.sample(1, seeded()), seeded(1))[0]
    ours = inverse.pigdm(gaussian.denoiser(schedule), measurement, y)
    right = inverse.exact_guidance(gaussian, measurement, y, schedule)
    for t in (5, 80, 160, 199):
        x_t = draw(4, 6, seed=t) * schedule.sigma[t]
        assert_close(ours(x_t, t).x0, right(x_t, t).x0, rtol=1e-6, atol=1e-6)


def affine_law(denoiser, schedule):
    """Mean and variance of `ddpm`'s samples in one dimension, if x̂_0 is affine in x_t: c + g x_t."""
    ends = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    found = []
    for large in (False, True):
        mean, var = 0.0, schedule.signal[-1] ** 2 + schedule.sigma[-1] ** 2
        for t in range(schedule.T, 0, -1):
            c, c_plus_g = denoiser(ends, t).x0[:, 0]
            weight_x0, weight_x, noise = posterior_weights(t, t - 1, schedule)
            noise = transition(t, t - 1, schedule)[1] if large else noise
            slope = weight_x0 * (c_plus_g - c) + weight_x
            mean, var = slope * mean + weight_x0 * c, slope**2 * var + (noise if t > 1 else 0)
        found.append([float(mean), float(var)])
    return np.array(found)


ONE = GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), stds=[1.0])
HALF = inverse.linear(torch.ones(1, 1), [1], std=0.5)


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        (lambda d, m, y: inverse.dps(d, m, y), (0.982, 0.125)),
        (lambda d, m, y: inverse.pigdm(d, m, y, "flat"), (0.677, 0.233)),
        (lambda d, m, y: inverse.pigdm(d, m, y), (0.8, 0.2)),
        (lambda d, m, y: inverse.exact_guidance(ONE, m, y, linear()), (0.8, 0.2)),
    ],
    ids=["dps", "pigdm flat", "pigdm tweedie", "exact"],
)
def test_one_number_under_a_standard_normal_prior(method, wanted):
    """σ = ½, y = 1. DPS has N((1 − e^{−1/σ²}) y, ½σ² (1 − e^{−2/σ²})), the others what they should."""
    law = affine_law(method(ONE.denoiser(linear()), HALF, torch.ones(1).double()), linear())
    assert abs(law[0] - law[1]).max() < 0.007  # with the small variance and the large: towards one limit
    np.testing.assert_allclose(law.mean(0), wanted, atol=2e-3)


def test_the_limit_of_dps_in_closed_form():
    var = HALF.std**2
    limit = (1 - math.exp(-1 / var), var / 2 * (1 - math.exp(-2 / var)))
    np.testing.assert_allclose(limit, (0.982, 0.125), atol=5e-4)
    y = torch.ones(1).double()
    errors = [
        abs(affine_law(inverse.dps(ONE.denoiser(s), HALF, y), s).mean(0) - limit).max()
        for s in (cosine(100), cosine(1000))
    ]
    assert errors[1] < 1e-3 < errors[0]


def test_the_law_above_is_that_of_the_sampler():
    denoiser = inverse.dps(ONE.denoiser(linear(60)), HALF, torch.ones(1).double())
    x_T = samplers.p_sample_prior((100_000, 1), linear(60), seeded(), dtype=torch.float64)
    law = affine_law(denoiser, linear(60))
    for (mean, var), variance in zip(law, ("small", "large"), strict=True):
        *_, last = samplers.ddpm(denoiser, x_T, variance=variance, generator=seeded(1))
        assert abs(last.x.mean().item() - mean) < 5 * math.sqrt(var / 1e5)
        assert abs(last.x.var().item() / var - 1) < 5 * math.sqrt(2 / 1e5)


# ---- pasting: two numbers of correlation ½, the first one known --------------------------------------------

COVARIANCE = torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
PAIR = GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), covariances=COVARIANCE[None])
FIRST = inverse.mask([2], torch.tensor([True, False]))


def pasting_law(schedule, resamplings=1, jump=1, slip=0):
    """The second number's mean, as a share of y, and its variance: a Gaussian, pushed through the steps.

    With slip = 1 the way back takes the noise of the step before the right one.
    """
    T, identity = schedule.T, torch.eye(2, dtype=torch.float64)
    mean = torch.zeros(2, dtype=torch.float64)
    cov = (schedule.signal[-1] ** 2 + schedule.sigma[-1] ** 2) * identity

    def paste(mean, cov, t):
        mean, cov = mean.clone(), cov.clone()
        mean[0], cov[0, :], cov[:, 0] = schedule.signal[t], 0, 0
        cov[0, 0] = schedule.sigma[t] ** 2
        return mean, cov

    mean, cov, blocks = *paste(mean, cov, T), []
    for start in range(T, 1, -jump):
        blocks += [(start, max(start - jump, 1))] * resamplings
    last = T
    for start, end in [*blocks, (1, 0)]:
        if last < start:
            scale, var = transition(start - slip, last - slip, schedule)
            mean, cov = scale * mean, scale**2 * cov + var * identity
        for t in range(start, end, -1):
            signal, sigma = schedule.signal[t], schedule.sigma[t]
            gain = signal * COVARIANCE @ torch.linalg.inv(signal**2 * COVARIANCE + sigma**2 * identity)
            weight_x0, weight_x, _ = posterior_weights(t, t - 1, schedule)
            step = weight_x0 * gain + weight_x * identity
            var = transition(t, t - 1, schedule)[1] if t > 1 else 0.0
            mean, cov = paste(step @ mean, step @ cov @ step.T + var * identity, t - 1)
        last = end
    return mean[1].item(), cov[1, 1].item()


def test_replacement_lets_half_of_the_correlation_through_with_however_many_steps():
    np.testing.assert_allclose(pasting_law(linear(1000)), (0.267, 0.824), atol=1e-3)
    np.testing.assert_allclose(pasting_law(cosine(4000)), pasting_law(linear(1000)), atol=1e-3)
    found = inverse.posterior(PAIR, FIRST, torch.ones(1).double())
    assert_close(found.means, torch.tensor([[1, 0.5]], dtype=torch.float64))
    assert_close(found.var, torch.tensor([[0, 0.75]], dtype=torch.float64))


@pytest.mark.slow
def test_repaint_comes_closer():
    np.testing.assert_allclose(pasting_law(linear(1000), 10), (0.464, 0.759), atol=1e-3)
    np.testing.assert_allclose(pasting_law(cosine(1000), 10), (0.464, 0.759), atol=1e-3)


def test_repaint_overshoots_only_with_the_noise_of_another_step_on_the_way_back():
    """Fifty resamplings in 50 steps: nearly the exact (0.5, 0.75), and not beyond it."""
    for schedule in (linear(50), cosine(50)):
        share, var = pasting_law(schedule, 50)
        assert 0.48 < share < 0.5 and 0.75 < var < 0.76, (share, var)
    np.testing.assert_allclose(pasting_law(linear(50), 50, slip=1), (0.527, 0.728), atol=1e-3)


@pytest.mark.parametrize(("resamplings", "jump"), [(1, 1), (3, 1), (1, 4), (3, 4)])
@every_schedule
def test_the_laws_above_are_those_of_the_samplers(schedule, resamplings, jump):
    schedule = {"cosine": cosine(10), "ve": ve(10), "flow": flow(10)}[schedule.name]
    y, n = torch.full([1], 2.0, dtype=torch.float64), 100_000
    x_T = samplers.p_sample_prior((n, 2), schedule, seeded(), dtype=torch.float64)
    told = (PAIR.denoiser(schedule), FIRST, y, x_T)
    if resamplings > 1:
        *_, last = inverse.repaint(*told, resamplings=resamplings, jump=jump, generator=seeded(1))
        assert last.calls == 9 * resamplings + 1
    else:
        *_, last = inverse.replacement(*told, generator=seeded(1))
    share, var = pasting_law(schedule, resamplings, jump)
    assert (last.x[:, 0] == 2).all()
    assert abs(last.x[:, 1].mean().item() - 2 * share) < 5 * math.sqrt(var / n)
    assert abs(last.x[:, 1].var().item() / var - 1) < 5 * math.sqrt(2 / n)


def test_one_resampling_is_replacement():
    schedule, y = cosine(30), torch.ones(1).double()
    told = (PAIR.denoiser(schedule), FIRST, y, draw(5, 2))
    for once, again in zip(
        inverse.replacement(*told, generator=seeded()),
        inverse.repaint(*told, resamplings=1, jump=7, generator=seeded()),
        strict=True,
    ):
        torch.testing.assert_close(once.x, again.x, rtol=0, atol=0)
        assert (once.t, once.calls) == (again.t, again.calls)


# ---- all methods, everywhere -------------------------------------------------------------------------------

METHODS = {
    "dps": lambda *told: inverse.dps(*told, weight=0.5),
    "pigdm": inverse.pigdm,
    "pigdm flat": lambda *told: inverse.pigdm(*told, variance="flat"),
}
PASTING = {"replacement": inverse.replacement, "repaint": inverse.repaint}


@every_schedule
@pytest.mark.parametrize("std", [0.0, 0.2])
@pytest.mark.parametrize("name", ["mask", "nothing", "everything", "pool", "fourier", "radon"])
@pytest.mark.parametrize("method", [*METHODS, *PASTING])
def test_every_method_takes_every_measurement(schedule, std, name, method):
    mixture = GaussianMixture(draw(2, *SHAPE, seed=24), stds=[0.3, 0.5])
    measurement = inverse.linear(MEASUREMENTS[name].A, SHAPE, std)
    y = measurement.measure(mixture.sample(1, seeded()), seeded(1))[0]
    x_T = samplers.p_sample_prior((3, *SHAPE), schedule, seeded(2), dtype=torch.float64)
    denoiser, times = mixture.denoiser(schedule), samplers.timesteps(schedule, 12, "log_snr")
    if method in METHODS:
        *_, last = samplers.ddim(METHODS[method](denoiser, measurement, y), x_T, timesteps=times)
    else:
        *_, last = PASTING[method](denoiser, measurement, y, x_T, timesteps=times, generator=seeded(3))
    assert last.x.shape == x_T.shape and last.x.isfinite().all()
    if method in ("pigdm", "replacement", "repaint") and std == 0:
        assert_close(measurement.forward(last.x), y.expand(3, -1), rtol=0, atol=1e-5)
    if name == "nothing" and method in METHODS:
        *_, free = samplers.ddim(denoiser, x_T, timesteps=times)
        assert_close(last.x, free.x)


@pytest.mark.parametrize("method", METHODS)
def test_an_example_does_not_know_the_others_of_its_batch(method):
    mixture, small = (
        GaussianMixture(draw(2, *SHAPE, seed=24), stds=[0.3, 0.5]),
        inverse.pool(SHAPE, 2, std=0.1),
    )
    x_t, y = draw(5, *SHAPE, seed=25), draw(5, 12, seed=26)
    schedule = cosine(100)
    make = METHODS[method]
    together = make(mixture.denoiser(schedule), small, y)(x_t, 40).x0
    for i in range(5):
        alone = make(mixture.denoiser(schedule), small, y[i])(x_t[i : i + 1], 40).x0
        assert_close(together[i : i + 1], alone, rtol=1e-9)
    t = torch.tensor([10, 40, 60, 90, 99])
    each = make(mixture.denoiser(schedule), small, y)(x_t, t).x0
    assert_close(each[1:2], together[1:2], rtol=1e-9)


def test_pasting_an_example_does_not_know_the_others(monkeypatch):
    """With the noise of each example its own, a batch is its examples one by one."""
    noise = draw(1000, *SHAPE, seed=27)
    mixture = GaussianMixture(draw(2, *SHAPE, seed=24), stds=[0.3, 0.5])
    x_T, y = draw(1, *SHAPE, seed=28).expand(3, *SHAPE), draw(3, 12, seed=29)
    counter = iter(())

    def same_for_all(x, generator=None):
        return noise[next(counter)].expand(x.shape)

    for module in ("replacement", "repaint"):
        home = sys.modules[f"diffusion_lab.applications.inverse.{module}"]  # the name is the function's too
        monkeypatch.setattr(home, "noise_like", same_for_all)
    for method in PASTING.values():
        told = (mixture.denoiser(cosine(20)), MEASUREMENTS["pool"])
        counter = iter(range(1000))
        *_, together = method(*told, y, x_T)
        for i in range(3):
            counter = iter(range(1000))
            *_, alone = method(*told, y[i], x_T[:1])
            assert_close(together.x[i : i + 1], alone.x)


def test_a_denoiser_without_gradient_is_refused():
    def cut(x_t, t):
        return Prediction.from_x0(torch.zeros_like(x_t), x_t, t, cosine())

    with pytest.raises(ValueError, match="must have a gradient in x_t"):
        inverse.dps(cut, ROW, draw(1))(draw(3, 2), 5)


def test_the_caller_loses_nothing():
    """No gradient is left behind, and what was given is as it was."""
    x_t, y = draw(3, 2), draw(1)
    before = x_t.clone(), y.clone()
    for method in METHODS.values():
        guess = method(PLANE.denoiser(cosine()), ROW, y)(x_t, 300)
        assert not guess.x0.requires_grad and not x_t.requires_grad
    assert (x_t == before[0]).all() and (y == before[1]).all()
