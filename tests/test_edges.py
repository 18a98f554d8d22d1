"""The edges: one step, two steps, ends above 0, T = 1, odd times, bad data. Every sampler, found by name.

A sampler is added to `samplers.SAMPLERS` and is covered here; so is a public function of
sde_samplers.py and of likelihood.py.
"""

import inspect
import math

import numpy as np
import pytest
import torch
from close import assert_close
from test_samplers import GAUSS, MIXTURE, always, draw, every, seeded
from test_schedules import PATHS, ZERO_SNR, cosine, linear

from diffusion_lab import likelihood, samplers, sde, sde_samplers
from diffusion_lab.samplers import SAMPLERS, p_sample_prior, timesteps
from diffusion_lab.schedules import NoiseSchedule
from diffusion_lab.views import Prediction

on_every_path = pytest.mark.parametrize("name", PATHS)
spacings = pytest.mark.parametrize("spacing", ["trailing", "log_snr", "karras"])


def takes(function, name):
    return name in inspect.signature(function).parameters


def public(module):
    """Name -> function, of the functions that a module defines for others."""
    found = {k: f for k, f in vars(module).items() if inspect.isfunction(f) and k[0] != "_"}
    return {name: f for name, f in found.items() if f.__module__ == module.__name__}


def test_every_sampler_has_its_name_and_the_same_signature():
    with_start = {name for name, f in public(samplers).items() if takes(f, "x_T")}
    assert set(SAMPLERS) == with_start
    for sampler in SAMPLERS.values():
        names = list(inspect.signature(sampler).parameters)
        assert names[:4] == ["denoiser", "x_T", "schedule", "timesteps"]
        assert names[-1] == "generator" and "clip" in names


# ---- one step, two steps, ends above 0 ---------------------------------------------------------------------


@every
@on_every_path
@spacings
def test_one_step_is_the_guess_at_T_and_draws_nothing(sampler, name, spacing):
    schedule, x_T, g = PATHS[name](20), draw(5, 2), seeded()
    (only,) = sampler(MIXTURE.denoiser(schedule), x_T, schedule, timesteps(schedule, 1, spacing), generator=g)
    guess = MIXTURE.denoiser(schedule)(x_T, 20).x0
    assert (only.t, only.calls) == (0, 1)
    assert torch.equal(only.x, guess) and torch.equal(only.prediction.x0, guess)
    assert torch.equal(g.get_state(), seeded().get_state())


@every
@on_every_path
@spacings
def test_the_second_of_two_steps_is_a_guess_and_draws_nothing(sampler, name, spacing):
    schedule, x_T, g = PATHS[name](20), p_sample_prior((5, 2), PATHS[name](20), seeded(3)).double(), seeded()
    times = timesteps(schedule, 2, spacing)
    run = sampler(MIXTURE.denoiser(schedule), x_T, schedule, times, generator=g)
    first = next(run)
    if sampler.__name__ != "edm":  # which may draw at the start of a step, to go up
        drawn = g.get_state()
    (last,) = run
    assert [first.t, last.t] == times[1:]
    guess = MIXTURE.denoiser(schedule)(last.prediction.x_t, last.prediction.t).x0
    assert torch.equal(last.x, guess) and torch.equal(last.x, last.prediction.x0)
    assert last.x.isfinite().all() and first.x.isfinite().all()
    if sampler.__name__ != "edm":
        assert torch.equal(g.get_state(), drawn)
        assert torch.equal(last.prediction.x_t, first.x)


@every
@pytest.mark.parametrize("name", ["linear", "ve", "flow"])
def test_the_shortest_process_there_is(sampler, name):
    """T = 1: from noise to data in the only step, on `flow` even from zero SNR."""
    schedule = PATHS[name](1)
    (only,) = sampler(MIXTURE.denoiser(schedule), draw(5, 2), schedule)
    assert torch.equal(only.x, MIXTURE.denoiser(schedule)(draw(5, 2), 1).x0)


@every
@on_every_path
@pytest.mark.parametrize("times", [[20, 7], [20, 13, 7], [14, 7], [2, 1], [14, 11, 8, 7]])
def test_a_run_that_ends_above_0_ends_with_the_noise_of_that_time(sampler, name, times):
    """With the truth as its guess it goes from q(x_t|x_0) to q(x_s|x_0), whatever it draws on its way."""
    schedule, n, x0 = PATHS[name](20), 20_000, torch.full((20_000, 1), 0.7, dtype=torch.float64)
    x_T = schedule.signal[times[0]] * x0 + schedule.sigma[times[0]] * draw(n, 1, seed=2)
    *_, last = sampler(always(x0, schedule), x_T, schedule, times, generator=seeded())
    signal, sigma = schedule.signal[times[-1]].item(), schedule.sigma[times[-1]].item()
    assert last.t == times[-1]
    assert last.x.mean().item() == pytest.approx(0.7 * signal, abs=5 * sigma / math.sqrt(n))
    assert last.x.std().item() == pytest.approx(sigma, rel=5 / math.sqrt(2 * n))


# ---- times -------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 10], "timesteps must fall"),
        ([10, 5, 5, 0], "timesteps must fall"),
        ([10, 4, 5], "timesteps must fall"),
        ([10], "timesteps must fall"),
        (10, "timesteps must fall"),
        ([11, 0], "timesteps must lie in 0…10"),
        ([10, -1], "timesteps must lie in 0…10"),
        ([10.0, 0.0], "timesteps must be an integer"),
        ([10, 2.5, 0], "timesteps must be an integer"),
        ([10, math.nan, 0], "timesteps must be an integer"),
        ([True, False], "timesteps must be an integer"),
        (["ten", "nought"], "timesteps must be an integer"),
        ([], "timesteps must"),
        ([[10, 0]], "timesteps must"),
    ],
)
def test_times_that_do_not_fall_within_0_to_T_are_refused(sampler, times, message):
    with pytest.raises(ValueError, match=message):
        next(sampler(MIXTURE.denoiser(linear(10)), draw(2, 2), linear(10), times))


@every
@pytest.mark.parametrize(
    "times", [range(10, -1, -5), (10, 5, 0), torch.tensor([10, 5, 0]), np.array([10, 5, 0])]
)
def test_times_come_in_any_sequence(sampler, times):
    steps = list(sampler(MIXTURE.denoiser(linear(10)), draw(2, 2), linear(10), times))
    assert [step.t for step in steps] == [5, 0]


@every
def test_every_t_is_visited_unless_times_are_given(sampler):
    schedule = linear(5)
    assert [s.t for s in sampler(MIXTURE.denoiser(schedule), draw(1, 2), schedule)] == [4, 3, 2, 1, 0]


# ---- states, tables and guesses ----------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("x_T", "message"),
    [
        (torch.full((2, 2), math.nan), "x_T must be finite; 4"),
        (torch.tensor([[0.0, math.inf]]), "x_T must be finite; 1"),
        (torch.zeros(2, 2).long(), "x_T must be a floating-point tensor"),
        (torch.zeros(2, 2).bool(), "x_T must be a floating-point tensor"),
        (torch.zeros(2, 2).cfloat(), "x_T must be a floating-point tensor"),
        ([[0.0, 0.0]], "x_T must be a floating-point tensor"),
        (None, "x_T must be a floating-point tensor"),
    ],
)
def test_a_bad_start_is_refused(sampler, x_T, message):
    with pytest.raises(ValueError, match=message):
        next(sampler(MIXTURE.denoiser(linear(10)), x_T, linear(10)))


@every
@on_every_path
def test_no_example_is_no_trouble(sampler, name):
    schedule = PATHS[name](6)
    steps = list(sampler(MIXTURE.denoiser(schedule), p_sample_prior((0, 2), schedule).double(), schedule))
    assert [step.t for step in steps] == [5, 4, 3, 2, 1, 0]
    assert all(step.x.shape == (0, 2) for step in steps)


@every
@pytest.mark.parametrize("shape", [(3,), (3, 3), (2, 1, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_keep_shape_and_dtype_and_gradients_stay_out(sampler, shape, dtype):
    schedule, weight = linear(4), torch.ones((), dtype=dtype, requires_grad=True)

    def scaled(x_t, t):
        return Prediction.from_eps(weight * x_t, x_t, t, schedule)

    for step in sampler(scaled, draw(*shape).to(dtype), schedule):
        assert step.x.shape == shape and step.x.dtype == dtype and not step.x.requires_grad
        assert torch.is_grad_enabled()  # between the steps the caller's setting holds


@every
@pytest.mark.parametrize("name", ZERO_SNR)
def test_a_zero_snr_end_is_sampled_through_x0_or_v_and_not_through_eps(sampler, name):
    schedule, x_T = PATHS[name](20), draw(50, 2)
    exact = MIXTURE.denoiser(schedule)

    def seen_as(view):
        return lambda x_t, t: getattr(Prediction, f"from_{view}")(
            getattr(exact(x_t, t), view), x_t, t, schedule
        )

    runs = [list(sampler(d, x_T, schedule, generator=seeded()))[-1].x for d in (exact, seen_as("v"))]
    assert runs[0].isfinite().all()
    assert_close(*runs, atol=1e-8)
    for view in ("eps", "score"):
        with pytest.raises(ValueError, match=f"from_{view} divides by signal, which is 0 at t = 20"):
            list(sampler(seen_as(view), x_T, schedule))


@pytest.mark.parametrize("table", ["signal", "sigma"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_schedule_holds_what_is_not_finite(table, value):
    tables = {"signal": [1.0, 0.5, 0.1], "sigma": [0.0, 0.5, 0.9]}
    tables[table][1] = value
    with pytest.raises(ValueError, match=f"{table} must be finite; entry 1"):
        NoiseSchedule(**{name: torch.tensor(values) for name, values in tables.items()})


@every
def test_a_denoiser_made_for_other_tables_is_refused(sampler):
    """Its x̂_0 and ε̂ would not add up to x, and the samples would be wrong without a word."""
    for other in (cosine(10), linear(20)):
        with pytest.raises(ValueError, match="schedule must be the one that the denoiser was made for"):
            next(sampler(GAUSS.denoiser(other), draw(2, 1), linear(10)))
    next(sampler(GAUSS.denoiser(linear(10)), draw(2, 1), linear(10)))  # the same tables will do


@every
@pytest.mark.parametrize("at", [10, 5])
def test_a_guess_that_is_not_finite_is_refused_where_it_is_made(sampler, at):
    schedule = linear(10)

    def broken(x_t, t):
        return Prediction.from_eps(x_t / (t - at), x_t, t, schedule)

    with pytest.raises(ValueError, match="value must be finite; 4"):
        list(sampler(broken, draw(2, 2), schedule, [10, 5, 0]))
    with pytest.raises(ValueError, match="value must be finite"):
        next(sampler(lambda x, t: Prediction.from_v(x * math.nan, x, t, schedule), draw(2, 2), schedule))
    with pytest.raises(ValueError, match=r"x̂_0 at t = 10 must have shape \[2, 2\]; got \[1, 2\]"):
        next(sampler(lambda x, t: Prediction(x, t, schedule, x[:1]), draw(2, 2), schedule))


@every
def test_half_precision_overflows_near_zero_snr_and_says_so(sampler):
    schedule = cosine()

    def large(x_t, t):
        return Prediction.from_eps(torch.full_like(x_t, 10), x_t, t, schedule)

    with pytest.raises(ValueError, match="x̂_0 at t = 1000 must be finite"):
        next(sampler(large, draw(2, 2).half(), schedule, timesteps(schedule, 1)))


@every
@pytest.mark.parametrize("clip", [0, -1.0, math.nan, (-1, 1), "1"])
def test_a_bad_clip_is_refused(sampler, clip):
    with pytest.raises(ValueError, match="clip must be None or a number above 0"):
        next(sampler(MIXTURE.denoiser(linear(10)), draw(2, 2), linear(10), clip=clip))


# ---- continuous time ---------------------------------------------------------------------------------------

ON_SDES = public(sde_samplers) | public(likelihood)
ON_SDES = {name: f for name, f in ON_SDES.items() if takes(f, "sde") and not takes(f, "predict")}
WITH_DENOISER = [name for name, f in ON_SDES.items() if takes(f, "denoiser")]
TIMES = {"forward_sde": [0.4, 0.9], "likelihood_path": [0.2, 1.0]}  # the others run back
each = pytest.mark.parametrize("name", ON_SDES)


def run(name, x, denoiser=None, process=None, **options):
    """The last that one of these functions gives: a state, or numbers, or both."""
    function, process = ON_SDES[name], process or sde.vp()
    x_name = next(name for name in ("x", "x0", "x_T") if takes(function, name))
    fitting = {
        "denoiser": denoiser or GAUSS.denoiser(process.schedule(10)),
        x_name: x,
        "sde": process,
        "times": TIMES.get(name, [0.9, 0.4]),
        "start": 0.2,
        "generator": seeded(),
    }
    known = {k: v for k, v in (fitting | options).items() if takes(function, k)}
    found = function(**known)
    found = list(found)[-1] if inspect.isgenerator(found) else found
    return getattr(found, "x", getattr(found, "total", found))


def test_functions_of_sde_are_found():
    assert {"forward_sde", "reverse_sde", "probability_flow", "log_likelihood"} <= set(ON_SDES)
    assert set(TIMES) <= set(ON_SDES) and "forward_sde" not in WITH_DENOISER


@each
@pytest.mark.parametrize(
    "x",
    [torch.full((2, 1), math.nan), torch.full((2, 1), math.inf), torch.zeros(2, 1).long(), None, [[0.0]]],
)
def test_bad_data_is_refused_in_continuous_time(name, x):
    with pytest.raises(ValueError, match=r"^(x|x0|x_T) must be (finite|a floating-point tensor)"):
        run(name, x)


@each
@pytest.mark.parametrize("make", [sde.vp, sde.sub_vp, sde.ve, sde.straight])
def test_few_and_no_examples(name, make):
    """Ones, which are on every grid of levels."""
    for n in (0, 1, 3):
        x = torch.ones(n, 1, dtype=torch.float64)
        found = run(name, x, process=make(), rtol=1e-3, atol=1e-3)
        for tensor in found if isinstance(found, tuple) else [found]:
            assert n in tensor.shape and tensor.isfinite().all()


@pytest.mark.parametrize("name", WITH_DENOISER)
def test_a_guess_that_is_not_finite_is_refused_in_continuous_time(name):
    schedule = sde.vp().schedule(10)

    def broken(x_t, t):
        return Prediction.from_x0(x_t * math.nan, x_t, t, schedule)

    with pytest.raises(ValueError, match="value must be finite; 3"):
        run(name, torch.ones(3, 1, dtype=torch.float64), broken)


@pytest.mark.parametrize("name", WITH_DENOISER)
def test_a_denoiser_for_less_noise_is_refused(name):
    with pytest.raises(ValueError, match="the denoiser's log SNR ends at"):
        run(name, torch.ones(3, 1, dtype=torch.float64), GAUSS.denoiser(linear(10)))


@pytest.mark.parametrize(
    "name", [n for n, f in ON_SDES.items() if "times" in inspect.signature(f).parameters]
)
@pytest.mark.parametrize(
    "times", [[0.9, 0.5, 0.5, 0.1], [0.4, 0.9, 0.5], [0.4, math.nan], [0.4, 1.1], [], 0.4, "noon"]
)
def test_times_that_repeat_or_turn_are_refused(name, times):
    with pytest.raises(ValueError, match="times must"):
        run(name, torch.ones(3, 1), times=times)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("predictor_corrector", {"r": math.inf}, "r must be above 0 and finite; got inf"),
        ("annealed_langevin", {"rate": math.inf}, "rate must be above 0 and finite; got inf"),
        ("probability_flow", {"rtol": math.inf}, "rtol and atol must be above 0 and finite"),
        ("log_likelihood", {"atol": math.inf}, "rtol and atol must be above 0 and finite"),
    ],
)
def test_infinite_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        run(name, torch.ones(3, 1), **options)


def test_the_corrector_needs_a_score():
    """An untrained network says ε̂ = 0, and r asks for an infinite step."""
    schedule = sde.vp().schedule(10)

    def untrained(x_t, t):
        return Prediction.from_eps(torch.zeros_like(x_t), x_t, t, schedule)

    with pytest.raises(ValueError, match=r"score is 0 everywhere: u = 0\.4"):
        run("predictor_corrector", draw(3, 1), untrained)
