"""One prediction, four views: any of them gives the other three, wherever they are defined."""

import math

import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st
from test_schedules import PATHS, ZERO_SNR, any_path, cosine, flow, linear, ve

from diffusion_lab.elbo import elbo, simple_loss
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.forward import q_sample
from diffusion_lab.samplers import SAMPLERS, ddim, sample
from diffusion_lab.schedules import NoiseSchedule, signal_sigma
from diffusion_lab.unet import MLP
from diffusion_lab.views import Prediction, own_schedule

VIEWS = ("x0", "eps", "v", "score")
FROM = {view: getattr(Prediction, f"from_{view}") for view in VIEWS}


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def the_truth(schedule, t, shape=(3, 3)):
    """x_t and the four views of the prediction that knows the truth, from x_t = signal x_0 + sigma ε."""
    x0, eps = draw(*shape), draw(*shape, seed=1)
    signal, sigma = signal_sigma(schedule, t, x0)
    x_t = signal * x0 + sigma * eps
    return x_t, {"x0": x0, "eps": eps, "v": signal * eps - sigma * x0, "score": -eps / sigma}


@pytest.mark.parametrize("view", VIEWS)
@given(schedule=any_path, data=st.data())
def test_every_view_gives_the_other_three(view, schedule, data):
    last = schedule.T - 1 if schedule.snr[-1] == 0 else schedule.T
    t = data.draw(st.integers(1, last) | st.floats(0.01, last))
    x_t, truth = the_truth(schedule, t)
    prediction = FROM[view](truth[view], x_t, t, schedule)
    signal, sigma = signal_sigma(schedule, t, x_t)
    gain = max(1.0, (sigma / signal).item(), (signal / sigma).item()) ** 2  # rounding grows with these
    for other in VIEWS:
        assert_close(getattr(prediction, other), truth[other], rtol=1e-10, atol=1e-14 * gain + 1e-10)


@pytest.mark.parametrize("name", ZERO_SNR)
@pytest.mark.parametrize("view", ["x0", "v"])
def test_at_a_zero_snr_end_x0_and_v_still_give_every_view(name, view):
    schedule = PATHS[name](10)
    x_t, truth = the_truth(schedule, 10)
    prediction = FROM[view](truth[view], x_t, 10, schedule)
    for other in VIEWS:
        assert_close(getattr(prediction, other), truth[other])


@pytest.mark.parametrize("name", ZERO_SNR)
@pytest.mark.parametrize("t", [10, torch.tensor([1, 10, 5]), 10.0])
@pytest.mark.parametrize("view", ["eps", "score"])
def test_at_a_zero_snr_end_eps_and_score_know_nothing_of_x0(name, view, t):
    """There x_t is the noise itself, so ε̂ holds no news of x_0."""
    x_t = draw(3, 3)
    with pytest.raises(ValueError, match=f"from_{view} divides by signal, which is 0"):
        FROM[view](x_t, x_t, t, PATHS[name](10))


@pytest.mark.parametrize("maker", [linear, ve, flow])
def test_at_t_0_x0_and_v_are_defined_and_what_divides_by_sigma_is_not(maker):
    schedule, x_t, value = maker(10), draw(3, 3), draw(3, 3, seed=1)
    from_x0 = Prediction.from_x0(value, x_t, 0, schedule)
    assert torch.equal(from_x0.x0, value)
    for view in ("eps", "v", "score"):
        with pytest.raises(ValueError, match=r"divides by sigma, which is 0 at t = 0"):
            getattr(from_x0, view)
    for view in ("eps", "v"):  # v = signal ε − sigma x0 = ε here, and x_t is x_0
        prediction = FROM[view](value, x_t, 0, schedule)
        for other, expected in {"x0": x_t, "eps": value, "v": value}.items():
            assert torch.equal(getattr(prediction, other), expected)
        with pytest.raises(ValueError, match="score divides by sigma"):
            prediction.score  # noqa: B018


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("maker", [cosine, ve, flow])
def test_a_batch_of_times_is_right_even_where_batch_and_data_have_the_same_size(maker, view):
    schedule, t = maker(10), torch.tensor([1, 9, 4])
    x_t, value = draw(3, 3), draw(3, 3, seed=1)
    together = FROM[view](value, x_t, t, schedule)
    for i in range(3):
        alone = FROM[view](value[i : i + 1], x_t[i : i + 1], t[i].item(), schedule)
        for other in VIEWS:
            assert_close(getattr(together, other)[i], getattr(alone, other)[0], rtol=1e-14, atol=0)


def test_eps_that_was_given_comes_back_untouched_at_low_noise_in_float32():
    """Through x̂_0 and back it would keep two digits here: (x_t − signal x̂_0)/sigma with sigma = 1e-5."""
    schedule = linear(1000, 1e-10, 0.02)
    eps, x0 = draw(3, 3).float(), draw(3, 3, seed=1).float()
    x_t = q_sample(x0, 1, schedule, eps)
    assert torch.equal(Prediction.from_eps(eps, x_t, 1, schedule).eps, eps)


def test_v_is_the_velocity_on_the_circle_and_not_the_velocity_of_a_straight_path():
    """On a VP path, written as an angle, v = dx/dφ. On a straight path dx/dt = ε − x_0 is another thing."""
    x0, eps = draw(3, 3), draw(3, 3, seed=1)
    phi, quarter = 0.4, math.pi / 2
    velocity = math.cos(phi + quarter) * x0 + math.sin(phi + quarter) * eps  # a derivative turns by 90°
    circle = NoiseSchedule(signal=[1, math.cos(phi)], sigma=[0, math.sin(phi)])
    assert_close(Prediction.from_x0(x0, q_sample(x0, 1, circle, eps), 1, circle).v, velocity)

    straight = Prediction.from_x0(x0, q_sample(x0, 4, flow(10), eps), 4, flow(10))
    assert (straight.v - (eps - x0)).abs().max() > 0.1


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("value", "t", "message"),
    [
        (torch.zeros(3, 1), 5, r"value must have shape \[3, 3\]"),
        (torch.zeros(3), 5, r"value must have shape \[3, 3\]"),
        (torch.full((3, 3), math.nan), 5, "value must be finite"),
        (torch.zeros(3, 3).long(), 5, "value must be a floating-point tensor"),
        (torch.zeros(3, 3), 11, "t must lie in 0…10"),
        (torch.zeros(3, 3), -0.1, "t must lie in 0…10"),
        (torch.zeros(3, 3), math.nan, "t must lie in 0…10"),
        (torch.zeros(3, 3), True, "t must be a number"),
        (torch.zeros(3, 3), torch.ones(3, 1).long(), "t must be a number"),
        (torch.zeros(3, 3), torch.tensor([1, 2]), "t must have one entry"),
    ],
)
def test_bad_input_names_the_argument(view, value, t, message):
    with pytest.raises(ValueError, match=message):
        FROM[view](value, torch.zeros(3, 3), t, linear(10))


# ---- what a denoiser must be -------------------------------------------------------------------------------

GAUSS = GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), [0.5])
RAW = {"network": MLP(), "function": lambda x_t, t: 0 * x_t}
ASKED = {
    **{
        name: lambda f, s, sampler=sampler: next(sampler(f, draw(3, 2), s))
        for name, sampler in SAMPLERS.items()
    },
    "elbo": lambda f, s: elbo(f, draw(3, 2), s),
    "simple_loss": lambda f, s: simple_loss(f, draw(3, 2), 1, s),
    "sample": lambda f, s: sample(f, 2, schedule=s, shape=(2,)),
}


@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize("asked", ASKED)
def test_a_raw_network_or_function_is_told_how_to_become_a_denoiser(asked, raw):
    def net(x_t, t):  # in single precision, as the network wants it
        return RAW[raw](x_t.float(), t)

    with pytest.raises(
        ValueError, match=r"denoiser must return a Prediction; it returned a Tensor.*ModelDenoiser"
    ):
        ASKED[asked](net, linear(4))


def test_a_denoiser_brings_its_schedule():
    schedule, mine = linear(10), NoiseSchedule.from_beta(linear(10).beta, "mine")
    denoiser = GAUSS.denoiser(schedule)
    assert own_schedule(denoiser) is own_schedule(denoiser, mine) is schedule
    for other, told in [
        (
            linear(10, 1e-3),
            r"signal\[1\], sigma\[1\] are 0\.99995, 0\.01 there and 0\.9995, 0\.0316228 here",
        ),
        (linear(11), "T is 10 there and 11 here"),
    ]:
        with pytest.raises(ValueError, match=r"schedule must be the one .*'linear', T=10\); got .*: " + told):
            own_schedule(denoiser, other)
    with pytest.raises(ValueError, match="schedule must be given: this denoiser has none of its own"):
        own_schedule(lambda x_t, t: denoiser(x_t, t))
    with pytest.raises(ValueError, match=r"schedule must be a NoiseSchedule; got \[10, 5, 0\]"):
        next(ddim(denoiser, draw(3, 2), [10, 5, 0]))


def test_a_call_looks_at_the_numbers_once():
    """Each look makes the CPU wait for a GPU. What is not finite is named all the same."""

    class Looks(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), keywords=None):
            if function in (torch.Tensor.isfinite, torch.Tensor.sum) and arguments[0].numel() == 6:
                seen.append(arguments[0])
            return function(*arguments, **(keywords or {}))

    schedule = linear(10)
    for sampler in SAMPLERS.values():
        seen = []
        with Looks():
            *_, last = sampler(lambda x, t: Prediction.from_v(x, x, t, schedule), draw(3, 2), schedule)
        assert len(seen) == last.calls + 1  # and once at x_T
    x_t = draw(3, 2)
    for broken, said in [((x_t * math.nan, x_t), "value"), ((x_t, x_t / 0), "x_t")]:
        with pytest.raises(ValueError, match=f"{said} must be finite; 6 of its values are not"):
            Prediction.from_v(*broken, 5, schedule)
    large = torch.full((3, 2), 6e4).half()  # whose sum is not finite
    assert torch.equal(Prediction.from_x0(large, large, 5, schedule).x0, large)


def test_a_clipped_prediction_derives_the_rest_again():
    x_t, truth = the_truth(linear(10), 5)
    clipped = Prediction.from_eps(truth["eps"], x_t, 5, linear(10)).clipped(0.5)
    assert_close(clipped.x0, truth["x0"].clamp(-0.5, 0.5))
    assert_close(linear(10).signal[5] * clipped.x0 + linear(10).sigma[5] * clipped.eps, x_t)
