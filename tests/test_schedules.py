"""Noise schedules: published numbers, the algebra of the tables, and times between the steps.

PATHS holds every kind of path through (signal, sigma) that the other tests run over.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_lab import schedules
from diffusion_lab.schedules import (
    SCHEDULES,
    NoiseSchedule,
    cosine,
    linear,
    quadratic,
    same_numbers,
    sigmoid,
    signal_sigma,
    t_at_log_snr,
    zero_terminal_snr,
)


def ve(T: int) -> NoiseSchedule:
    """Variance-exploding: nothing shrinks, the noise grows from 0.01 to 50."""
    sigma = torch.logspace(-2, math.log10(50), T, dtype=torch.float64)
    return NoiseSchedule(torch.ones(T + 1), torch.cat([torch.zeros(1).double(), sigma]), "ve")


def flow(T: int) -> NoiseSchedule:
    """The straight line from data to noise; its end has zero SNR."""
    u = torch.arange(T + 1, dtype=torch.float64) / T
    return NoiseSchedule(1 - u, u, "flow")


PATHS = {
    **SCHEDULES,
    "ve": ve,
    "flow": flow,
    "zero-snr linear": lambda T: zero_terminal_snr(linear(T)),
    "zero-snr cosine": lambda T: zero_terminal_snr(cosine(T)),
}
ZERO_SNR = [name for name in PATHS if name == "flow" or name.startswith("zero")]
TABLES = ("signal", "sigma", "alpha_bar", "alpha", "beta", "snr", "log_snr")

any_path = st.builds(
    lambda name, T: PATHS[name](T), st.sampled_from(sorted(PATHS)), st.integers(2, 40)
)  # zero_terminal_snr needs two steps


def assert_close(a, b, rtol=1e-10, atol=1e-12):
    torch.testing.assert_close(
        torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64), rtol=rtol, atol=atol
    )


# ---- published numbers -------------------------------------------------------------------------------------


def test_linear_ends_where_the_ddpm_paper_says():
    assert linear().alpha_bar[-1].item() == pytest.approx(4.035829765375676e-5, rel=1e-12)
    assert linear().signal[-1].item() == pytest.approx(0.00635281809, rel=1e-9)


def test_linear_with_50_steps_and_the_betas_of_1000_leaves_most_of_the_signal():
    assert linear(50).alpha_bar[-1].item() == pytest.approx(0.603, abs=5e-4)


def test_cosine_starts_and_ends_where_the_paper_says():
    schedule = cosine()
    assert schedule.beta[1].item() == pytest.approx(4.1284224822e-5, rel=1e-10)
    assert schedule.alpha_bar[-1].item() == pytest.approx(2.428766907e-9, rel=1e-9)
    assert schedule.beta.max().item() == pytest.approx(0.999, rel=1e-12)
    assert (schedule.beta[:-1] < 0.999).all()  # only the last step is clipped


def test_the_last_eps_to_x0_gain_of_clipped_cosine():
    assert round((cosine().sigma / cosine().signal)[-1].item()) == 20_291


@pytest.mark.parametrize(
    ("schedule", "root_alpha_bar"),
    [(linear(), 0.006353), (cosine(), 4.928220e-05), (quadratic(1000, 0.00085, 0.012), 0.068265)],
    ids=["linear", "cosine", "Stable Diffusion"],
)
def test_the_signal_left_at_the_end_is_that_of_table_1_of_lin_et_al(schedule, root_alpha_bar):
    assert schedule.signal[-1].item() == pytest.approx(root_alpha_bar, rel=1e-4)


def test_linear_and_quadratic_are_linear_in_what_their_docstring_says():
    np.testing.assert_allclose(np.diff(linear(20).beta[1:], 2), 0, atol=1e-15)
    np.testing.assert_allclose(np.diff(quadratic(20).beta[1:].sqrt(), 2), 0, atol=1e-15)
    for schedule in (linear(20), quadratic(20)):
        assert_close(schedule.beta[[1, -1]], [1e-4, 0.02])


def test_sigmoid_bends_alpha_bar_along_a_tanh_from_1_to_0():
    """σ(x) = ½ + ½ tanh(x/2), so over −3…3 the whole curve is one tanh, whatever its rescaling was."""
    u = np.arange(101) / 100
    curve = 0.5 - np.tanh(3 * u - 1.5) / (2 * np.tanh(1.5))
    assert_close(sigmoid(100, max_beta=1.0).alpha_bar, curve)
    assert_close(sigmoid(100, start=-6, end=6, tau=2, max_beta=1.0).alpha_bar, curve)
    assert sigmoid(100).beta[-1].item() == pytest.approx(0.999, rel=1e-12)


# ---- what every schedule is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "T"),
    [(name, T) for name in PATHS for T in (1, 2, 3, 10, 1000) if T > 1 or not name.startswith("zero")],
)
def test_every_table_has_T_plus_1_float64_entries_and_no_nan(name, T):
    schedule = PATHS[name](T)
    assert schedule.T == T
    for table in (getattr(schedule, table) for table in TABLES):
        assert table.shape == (T + 1,)
        assert table.dtype == torch.float64 and table.device.type == "cpu"
        assert not table.isnan().any()
    assert schedule.alpha_bar[0] == 1 and schedule.sigma[0] == 0
    assert schedule.beta[0] == 0 and schedule.alpha[0] == 1
    assert schedule.snr[0] == torch.inf and schedule.log_snr[0] == torch.inf
    assert (schedule.snr[1:] < schedule.snr[:-1]).all()
    assert (schedule.beta[1:] > 0).all()


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 300))
def test_makers_are_variance_preserving_and_beta_is_one_minus_alpha(name, T):
    schedule = SCHEDULES[name](T)
    assert schedule.name == name
    assert_close(schedule.signal**2 + schedule.sigma**2, torch.ones(T + 1))
    assert_close(schedule.beta, 1 - schedule.alpha)
    assert_close(schedule.alpha_bar, schedule.alpha.cumprod(0), rtol=1e-9)


@given(any_path)
def test_composing_the_steps_gives_the_tables(schedule):
    """x_t = √α_t x_{t−1} + √β_t ε: what one step does to the signal and to the variance of the noise."""
    assert_close(schedule.alpha[1:].sqrt() * schedule.signal[:-1], schedule.signal[1:])
    assert_close(schedule.alpha[1:] * schedule.sigma[:-1] ** 2 + schedule.beta[1:], schedule.sigma[1:] ** 2)


@given(any_path)
def test_snr_is_the_ratio_of_the_tables_and_log_snr_its_log(schedule):
    assert_close(schedule.snr[1:] * schedule.sigma[1:] ** 2, schedule.alpha_bar[1:])
    assert_close(schedule.log_snr.exp(), schedule.snr)


@pytest.mark.parametrize("name", ZERO_SNR)
def test_a_zero_snr_end_is_exactly_that(name):
    schedule = PATHS[name](10)
    assert schedule.snr[-1] == 0 and schedule.log_snr[-1] == -torch.inf
    assert schedule.alpha[-1] == 0
    assert schedule.beta[-1] == schedule.sigma[-1] ** 2


# ---- from_beta, from_alpha_bar -----------------------------------------------------------------------------


@given(st.lists(st.floats(1e-6, 0.9), min_size=1, max_size=30))
def test_from_beta_takes_betas_with_and_without_beta_0_and_gives_them_back(beta):
    short, whole = NoiseSchedule.from_beta(beta), NoiseSchedule.from_beta([0.0, *beta])
    assert_close(short.beta[1:], beta)
    assert torch.equal(short.signal, whole.signal) and torch.equal(short.sigma, whole.sigma)


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 100))
def test_from_alpha_bar_takes_tables_with_and_without_alpha_bar_0_and_gives_them_back(name, T):
    schedule = SCHEDULES[name](T)
    whole = NoiseSchedule.from_alpha_bar(schedule.alpha_bar)
    short = NoiseSchedule.from_alpha_bar(schedule.alpha_bar[1:], name="mine")
    assert_close(whole.alpha_bar, schedule.alpha_bar, rtol=1e-14)
    assert_close(whole.sigma, schedule.sigma)
    assert torch.equal(short.signal, whole.signal) and short.name == "mine"


def test_from_beta_keeps_the_digits_of_a_first_step_that_is_tiny():
    assert_close(NoiseSchedule.from_beta([1e-14, 0.5]).sigma[1], 1e-7, rtol=1e-10, atol=0)


def test_a_last_beta_of_one_is_a_zero_snr_end():
    assert NoiseSchedule.from_beta([0.1, 1.0]).snr[-1] == 0


# ---- zero terminal SNR -------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(2, 100))
def test_zero_terminal_snr_keeps_the_first_step_ends_at_zero_and_is_affine_in_the_signal(name, T):
    old = SCHEDULES[name](T)
    new = zero_terminal_snr(old)
    assert new.signal[-1] == 0 and new.T == T
    assert_close(new.signal[1], old.signal[1])
    assert_close(new.signal**2 + new.sigma**2, torch.ones(T + 1))
    slope = np.diff(new.signal[1:]) / np.diff(old.signal[1:])
    np.testing.assert_allclose(slope, slope[0], rtol=1e-7)


def test_zero_terminal_snr_leaves_a_schedule_that_ends_there_as_it_is():
    once = zero_terminal_snr(linear(10))
    assert_close(zero_terminal_snr(once).signal, once.signal)


# ---- real t ------------------------------------------------------------------------------------------------


@given(any_path)
def test_a_real_t_that_is_whole_agrees_with_the_tables(schedule):
    x = torch.zeros(schedule.T + 1, dtype=torch.float64)
    signal, sigma = signal_sigma(schedule, torch.arange(schedule.T + 1).double(), x)
    assert_close(signal, schedule.signal)
    assert_close(sigma, schedule.sigma)


@given(any_path)
def test_log_snr_falls_strictly_and_stays_finite_between_the_steps(schedule):
    T = schedule.T
    t = torch.tensor([1e-6, *np.linspace(0.01, T - 0.01, 7 * T + 2), T - 1e-6], dtype=torch.float64)
    signal, sigma = signal_sigma(schedule, t, torch.zeros_like(t))
    assert signal.isfinite().all() and sigma.isfinite().all()
    assert (signal > 0).all() and (sigma > 0).all()
    log_snr = 2 * (signal / sigma).log()
    assert (log_snr[1:] < log_snr[:-1]).all()


@given(st.sampled_from([*SCHEDULES, "zero-snr linear"]), st.integers(2, 40), st.floats(0, 1))
def test_a_variance_preserving_schedule_stays_so_between_the_steps(name, T, part):
    signal, sigma = signal_sigma(PATHS[name](T), part * T, torch.zeros(1, dtype=torch.float64))
    assert_close(signal**2 + sigma**2, 1.0)


@pytest.mark.parametrize("name", PATHS)
def test_log_snr_halfway_between_two_steps_is_their_mean(name):
    schedule = PATHS[name](10)
    signal, sigma = signal_sigma(schedule, 4.5, torch.zeros(1, dtype=torch.float64))
    assert_close(2 * (signal / sigma).log(), schedule.log_snr[4:6].mean())


@pytest.mark.parametrize("name", PATHS)
def test_where_log_snr_is_infinite_the_ratio_of_noise_and_signal_runs_linearly(name):
    schedule, part = PATHS[name](10), torch.linspace(0, 1, 5, dtype=torch.float64)
    signal, sigma = signal_sigma(schedule, part, torch.zeros_like(part))
    assert_close(sigma / signal, part * schedule.sigma[1] / schedule.signal[1])
    if name in ZERO_SNR:
        signal, sigma = signal_sigma(schedule, 9 + part, torch.zeros_like(part))
        assert_close(signal / sigma, (1 - part) * schedule.signal[9] / schedule.sigma[9])


def test_one_step_of_flow_is_interpolated_although_log_snr_is_infinite_at_both_ends():
    signal, sigma = signal_sigma(flow(1), torch.tensor([0.0, 0.5, 1.0]).double(), torch.zeros(3).double())
    assert_close(signal[[0, 2]], [1, 0])
    assert_close(sigma[[0, 2]], [0, 1])
    assert_close(signal[1], sigma[1])


def test_times_per_example_are_shaped_to_the_data_and_cast_to_it():
    schedule, t = linear(10), torch.tensor([1, 5, 10])
    signal, sigma = signal_sigma(schedule, t, torch.zeros(3, 3, 2, 2))
    assert signal.shape == sigma.shape == (3, 1, 1, 1)
    assert signal.dtype == torch.float32
    assert_close(signal.flatten(), schedule.signal[t], rtol=1e-6)


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [0, -1, 2.5, 10.0, True, "10", None])
@pytest.mark.parametrize("maker", SCHEDULES.values(), ids=SCHEDULES)
def test_T_must_be_an_integer_of_at_least_1(maker, T):
    with pytest.raises(ValueError, match="T must be an integer of at least 1"):
        maker(T)


@pytest.mark.parametrize("bad", [0, 0.0, -0.1, 1.5, math.nan, math.inf])
@pytest.mark.parametrize(
    ("maker", "argument"),
    [
        (linear, "beta_1"), (linear, "beta_T"), (quadratic, "beta_1"), (quadratic, "beta_T"),
        (cosine, "max_beta"), (sigmoid, "max_beta"),
    ],
)  # fmt: skip
def test_makers_refuse_a_beta_outside_0_to_1(maker, argument, bad):
    with pytest.raises(ValueError, match=rf"{argument} must lie in \(0, 1\]"):
        maker(10, **{argument: bad})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoiseSchedule.from_beta([0.1, 0.0]), r"beta .* in \(0, 1\]"),
        (lambda: NoiseSchedule.from_beta([0.1, 1.1]), r"beta .* in \(0, 1\]"),
        (lambda: NoiseSchedule.from_beta([-0.1]), r"beta .* in \(0, 1\]"),
        (lambda: NoiseSchedule.from_beta([0.0]), "beta must hold at least one step"),
        (lambda: NoiseSchedule.from_beta([]), "beta must be a table"),
        (lambda: NoiseSchedule.from_beta([[0.1]]), "beta must be a table with one axis"),
        (lambda: NoiseSchedule.from_beta([0.1, math.nan]), "beta must be finite; entry 1"),
        (lambda: NoiseSchedule.from_beta([0.1, 1.0, 0.1]), "must fall at every step; it does not at t = 3"),
        (lambda: NoiseSchedule.from_alpha_bar([0.9, -0.1]), r"alpha_bar must lie in \[0, 1\]"),
        (lambda: NoiseSchedule.from_alpha_bar([1.2]), r"alpha_bar must lie in \[0, 1\]"),
        (lambda: NoiseSchedule.from_alpha_bar([0.9, math.nan]), "alpha_bar must be finite"),
        (lambda: NoiseSchedule.from_alpha_bar([0.5, 0.9]), "must fall at every step; it does not at t = 2"),
        (lambda: NoiseSchedule.from_alpha_bar([0.5, 0.5]), "must fall at every step; it does not at t = 2"),
        (lambda: NoiseSchedule.from_alpha_bar([1.0]), "T \\+ 1 ≥ 2 entries"),
        (lambda: NoiseSchedule([1, 0.5], [0, 0.5, 1]), "signal and sigma must have"),
        (lambda: NoiseSchedule([1.0], [0.0]), "signal and sigma must have"),
        (lambda: NoiseSchedule([1, -0.5], [0, 1]), "signal and sigma must not be negative"),
        (lambda: NoiseSchedule([0.9, 0.5], [0, 1]), r"signal\[0\] must be 1"),
        (lambda: NoiseSchedule([1, 0.5], [0.1, 1]), r"sigma\[0\] 0"),
        (lambda: NoiseSchedule([1, math.nan], [0, 1]), "signal must be finite"),
        (lambda: NoiseSchedule([1, 1, 1], [0, 1, 1]), "signal/sigma must fall"),
        (lambda: cosine(10, s=-0.1), "s must be at least 0"),
        (lambda: sigmoid(10, start=3, end=-3), "start must be below end"),
        (lambda: sigmoid(10, tau=0), "tau above 0"),
        (lambda: zero_terminal_snr(ve(10)), "schedule must be variance-preserving"),
        (lambda: zero_terminal_snr(linear(1)), "schedule must have T ≥ 2"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (-1, r"t must lie in 0…10; got -1"), (11, r"t must lie in 0…10"), (10.5, r"t must lie in 0…10"),
        (math.nan, r"t must lie in 0…10"), (True, "t must be a number"), (1j, "t must be a number"),
        (torch.zeros(3, 1), r"t must be a number"),
        (torch.zeros(2), "t must have one entry per example"),
    ],
)  # fmt: skip
def test_a_bad_time_is_refused(t, message):
    with pytest.raises(ValueError, match=message):
        signal_sigma(linear(10), t, torch.zeros(3, 2))


# ---- the inverse, and schedules with the same numbers ------------------------------------------------------


@given(schedule=any_path, part=st.floats(1e-6, 1))
def test_t_at_log_snr_undoes_signal_sigma(schedule, part):
    t = part * schedule.T
    signal, sigma = signal_sigma(schedule, t, torch.zeros(1, dtype=torch.float64))
    log_snr = 2 * (signal.log() - sigma.log())
    assert_close(t_at_log_snr(schedule, log_snr), t, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", PATHS)
def test_t_at_log_snr_takes_a_batch_and_both_ends(name):
    schedule = PATHS[name](10)
    assert_close(t_at_log_snr(schedule, schedule.log_snr), torch.arange(11))
    assert t_at_log_snr(schedule, schedule.log_snr[3]).shape == ()
    for bad in (schedule.log_snr[-1] - 1, torch.tensor([0.0, math.nan])):
        if not bad.isneginf().any():  # nothing lies below zero SNR
            with pytest.raises(ValueError, match=r"log_snr must be at least .*, that of t = T"):
                t_at_log_snr(schedule, bad)


def test_schedules_with_the_same_numbers_are_the_same():
    schedule = linear()
    assert not torch.equal(NoiseSchedule.from_beta(schedule.beta).sigma, schedule.sigma)  # but for rounding
    assert same_numbers(NoiseSchedule.from_beta(schedule.beta, "mine"), schedule)
    assert same_numbers(NoiseSchedule.from_alpha_bar(linear().alpha_bar), linear())
    assert not same_numbers(linear(999), schedule)
    assert not same_numbers(linear(1000, 1.001e-4), schedule)


@pytest.mark.parametrize("name", TABLES[2:])
def test_derived_tables_are_computed_once(name):
    schedule = linear(10)
    assert getattr(schedule, name) is getattr(schedule, name)


@pytest.mark.parametrize(("ours", "other"), [(schedules.flow, flow), (schedules.ve, ve)])
def test_flow_and_ve_are_ready_made(ours, other):
    assert same_numbers(ours(20), other(20))
    assert ours(20).name == other(20).name


def test_ve_needs_two_levels_in_order():
    with pytest.raises(ValueError, match="T must be an integer of at least 2; got 1"):
        schedules.ve(1)
    with pytest.raises(ValueError, match="sigma_min must lie above 0 and below sigma_max; got 2, 1"):
        schedules.ve(10, 2, 1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_narrow_integers_are_times_like_any_other(dtype):
    """T = 1000 does not fit into eight bits: compared there, it would wrap round."""
    x, t = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([0, 1, 100])
    for narrow, wide in zip(
        signal_sigma(linear(), t.to(dtype), x), signal_sigma(linear(), t, x), strict=True
    ):
        assert torch.equal(narrow, wide)
    with pytest.raises(ValueError, match=r"t must lie in 0…50; got tensor"):
        signal_sigma(linear(50), t.to(dtype), x)
