"""The explorers without a browser: they show what the package computes, and their code does what it says."""

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onscreen import run_code, shown

from diffusion_lab import data, explorers, forward, pretrained, samplers, schedules
from diffusion_lab.explorers import Denoising, NoiseSchedules, ScoreAndEps
from diffusion_lab.gaussian import Gaussian, kl

EVERY = [getattr(explorers, name) for name in explorers.__all__]


@pytest.mark.parametrize("cls", EVERY)
class TestEvery:
    def test_says_in_words_what_is_on_the_screen(self, cls):
        explorer = cls()
        said = explorer.describe()
        for name, number in explorer.numbers.items():
            assert f"{name} = {number}" in said
        for name, control in cls.controls.items():
            assert f"{control.label or name} = " in said
        assert explorer.title in said

    def test_works_at_every_choice_and_both_ends_of_every_slider(self, cls):
        explorer = cls()
        for name, control in cls.controls.items():
            before = getattr(explorer, name)
            for value in (
                control.values if control.kind == "choice" else (control.values[0], control.values[-1])
            ):
                setattr(explorer, name, value)
                assert explorer._error == ""
                assert all(explorer.numbers.values())
                assert all(len(frame.numbers) <= 8 for frame in explorer.shown.frames), "too many to read"
            setattr(explorer, name, before)

    def test_is_a_pure_function_of_its_controls(self, cls):
        a, b = cls(), cls()
        torch.manual_seed(1)
        state = torch.get_rng_state()
        assert a.scene(**a.values()).to_json() == b.scene(**b.values()).to_json()
        assert torch.equal(torch.get_rng_state(), state), "drew from the user's random stream"

    def test_fits_through_the_wire(self, cls):
        assert len(cls()._scene) < 2.5e6

    def test_marks_move_on_axes_with_a_range(self, cls):
        """So that the browser may draw only what moves (`moved` in moving.js), whatever it drew before."""
        scene = cls().shown
        for changes in (frame.changes for frame in scene.frames):
            for trace in changes.keys() - {"layout"}:
                for a in "xy":
                    name = f"{a}axis{scene.traces[trace].get(f'{a}axis', a)[1:]}"
                    axis = scene.layout[name] | changes.get("layout", {}).get(name, {})
                    assert "range" in axis, (trace, name)

    def test_the_code_shown_needs_no_explorer(self, cls):
        code = cls().shown.frames[0].code
        compile(code, "the code shown", "exec")
        assert code and "explorers" not in code

    def test_is_documented(self, cls):
        assert inspect.getdoc(cls) and cls.title


# noise schedules


def test_schedules_shows_what_is_left_at_the_end():
    explorer = NoiseSchedules(first="linear", second="cosine", t=1000)
    assert explorer.numbers["linear: √ᾱ_t"] == "0.00635" and explorer.numbers["cosine: √ᾱ_t"] == "4.93e-05"
    assert not explorer.frame.warning
    explorer.T = 50
    assert "linear (√ᾱ_T = 0.78)" in explorer.frame.warning and "cosine" not in explorer.frame.warning
    assert explorer.t == 50 and explorer.numbers["linear: √ᾱ_t"] == "0.776"


@pytest.mark.parametrize("T", [10, 1000])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_schedules_prior_term_is_the_mean_over_all_digits(T, zero_snr):
    explorer = NoiseSchedules(first="quadratic", second="none", T=T, zero_snr=zero_snr)
    schedule = schedules.quadratic(T)
    schedule = schedules.zero_terminal_snr(schedule) if zero_snr else schedule
    images = data.digits()[0].double()
    nats = kl(forward.q_marginal(images, T, schedule), Gaussian(torch.zeros((), dtype=torch.float64), 1.0))
    bits = (nats.mean() / (64 * math.log(2))).item()
    assert float(explorer.numbers["quadratic: L_T bits/dim"]) == pytest.approx(bits, rel=1e-2, abs=1e-12)


@pytest.mark.parametrize("name", list(schedules.SCHEDULES))
@pytest.mark.parametrize("zero_snr", [False, True])
def test_schedules_code_makes_the_schedule_on_the_screen(name, zero_snr):
    explorer = NoiseSchedules(
        first=name, second="none", T=200, t=120, beta_T=0.1, s=0.02, tau=0.5, zero_snr=zero_snr
    )
    found = run_code(explorer)
    end, L_T, x_t = found["shown"]
    sheet = shown(explorer, f"x_t {name}", "z")
    assert np.allclose(sheet[:, :8], x_t[0, 0]) and np.allclose(sheet[:, 9:], x_t[1, 0])
    assert L_T == pytest.approx(float(explorer.numbers[f"{name}: L_T bits/dim"]), rel=1e-2)
    assert found["schedule"].signal[120].item() == pytest.approx(
        float(explorer.numbers[f"{name}: √ᾱ_t"]), rel=1e-2
    )
    explorer.t = 200
    assert end.item() == pytest.approx(float(explorer.numbers[f"{name}: √ᾱ_t"]), rel=1e-2)


@settings(max_examples=15)
@given(
    first=st.sampled_from(list(schedules.SCHEDULES)),
    third=st.sampled_from(["none", *schedules.SCHEDULES]),
    T=st.integers(1, 30).map(lambda n: 10 * n),
    beta_T=st.floats(0.01, 0.5),
    tau=st.floats(0.2, 2.0),
)
def test_schedules_marks_the_point_on_each_curve(first, third, T, beta_T, tau):
    explorer = NoiseSchedules(
        first=first, second="cosine", third=third, T=T, beta_T=beta_T, tau=tau, t=T // 2
    )
    t = explorer.t
    x, y = shown(explorer, "alpha_bar at t", "x"), shown(explorer, "alpha_bar at t", "y")
    names = list(dict.fromkeys(name for name in (first, "cosine", third) if name != "none"))
    assert (x == t).all() and len(y) == len(names)
    for name, share in zip(names, y, strict=True):
        assert math.sqrt(share) == pytest.approx(float(explorer.numbers[f"{name}: √ᾱ_t"]), rel=1e-2)


# per-step denoising


@pytest.mark.parametrize("source", Denoising.controls["source"].values)
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_denoising_code_makes_the_run_on_the_screen(source, sampler):
    explorer = Denoising(source=source, sampler=sampler, steps=5, seed=3, label=7, step=2)
    found = run_code(explorer)
    run, seen = found["run"], found["shown"]
    for name, value in (("rms x_t", seen.x_t), ("rms ε̂", seen.eps), ("x̂_0 to sample", seen.x0 - run[-1].x)):
        assert float(explorer.numbers[name]) == pytest.approx(value.square().mean().sqrt().item(), rel=1e-2)
    assert explorer.numbers["t"] == str(seen.t)
    if source != "digits":
        points = np.stack([shown(explorer, "x_t", key) for key in "xy"], 1)
        assert np.allclose(points, seen.x_t.numpy(), atol=1e-5)


def test_denoising_ends_at_the_sample():
    explorer = Denoising(steps=4, step=4)
    assert explorer.numbers["t"] == "0" and float(explorer.numbers["x̂_0 to sample"]) == 0
    assert "sample" in explorer.frame.sentence
    assert np.allclose(run_code(explorer)["shown"][0, 0], shown(explorer, "x_t", "z")[:8, :8], atol=1e-5)
    explorer.steps = 2  # the run is shorter now: the slider follows
    assert explorer.step == 2


def test_denoising_starts_at_an_average():
    explorer = Denoising(source="mixture, exact", steps=10, step=0)
    guesses = np.stack([shown(explorer, "x0", key) for key in "xy"], 1)
    truth = data.toy_mixture()
    mean = (truth.weights[:, None] * truth.means).sum(0).numpy()
    assert np.abs(guesses - mean).max() < 0.01  # at t = T x_t says nothing about x_0


def test_denoising_draws_the_digits_of_the_run():
    explorer = Denoising(source="digits", label="any", steps=3, step=3)
    sheet = shown(explorer, "x_t", "z")
    model = pretrained.load("digits")
    generator = torch.Generator().manual_seed(0)
    x_T = samplers.p_sample_prior((8, 1, 8, 8), model.schedule, generator)
    *_, last = samplers.ddim(model, x_T, model.schedule, samplers.timesteps(model.schedule, 3))
    assert np.allclose(sheet[:8, :8], last.x[0, 0].numpy(), atol=1e-4)
    assert np.allclose(sheet[9:, -8:], last.x[7, 0].numpy(), atol=1e-4)
    assert np.isnan(sheet[8]).all(), "a gap between the rows of images"


# score and ε


def test_views_agree_at_every_t():
    schedule = pretrained.load("mixture").schedule
    for frame in ScoreAndEps().shown.frames:
        ratio = frame.numbers["rms ε̂"] / frame.numbers["rms score ∇ log q_t"]
        assert ratio == pytest.approx(schedule.sigma[frame.at].item(), rel=1e-4)  # ε = −σ · score


@pytest.mark.parametrize(
    "view, name", [("score", "rms score ∇ log q_t"), ("eps", "rms ε̂"), ("v", "rms v̂"), ("x0", "rms x̂_0")]
)
def test_score_code_gives_the_numbers_on_the_screen(view, name):
    explorer = ScoreAndEps(view=view)
    for t in (1, 300, 1000):
        explorer.t = t
        found, numbers = run_code(explorer), explorer.frame.numbers
        exact, learned = found["shown"]
        assert torch.equal(exact, getattr(found["exact"], view)) and found["t"] == explorer.t
        assert numbers[name] == pytest.approx(exact.square().mean().sqrt().item(), rel=1e-6)
        off = (learned - exact).square().mean().sqrt().item()
        assert numbers["error where there is data"] == pytest.approx(off, rel=1e-6)
        marker = explorer.frame.changes["now"]
        assert (*marker["x"], *marker["y"]) == (explorer.t, numbers[name])


def test_sizes_are_those_of_fresh_draws():
    explorer = ScoreAndEps(t=300)
    model, mixture = pretrained.load("mixture"), data.toy_mixture()
    x0 = mixture.sample(1000, torch.Generator().manual_seed(5))
    x_t = forward.q_sample(x0, explorer.t, model.schedule, generator=torch.Generator().manual_seed(6))
    prediction = mixture.denoiser(model.schedule)(x_t, explorer.t)
    names = dict(score="rms score ∇ log q_t", eps="rms ε̂", v="rms v̂", x0="rms x̂_0")
    for view, label in names.items():
        fresh = getattr(prediction, view).square().mean().sqrt().item()
        assert float(explorer.numbers[label]) == pytest.approx(fresh, rel=0.15)


def arrows(explorer):
    """Tails and vectors of the arrows at the present t: [225, 2] each."""
    lines = np.stack([shown(explorer, "arrows", "x"), shown(explorer, "arrows", "y")], 1).reshape(-1, 6, 2)
    return lines[:, 0], lines[:, 1] - lines[:, 0]


def test_arrows_are_the_gradient_of_the_density():
    explorer = ScoreAndEps(view="score", t=300)
    schedule = pretrained.load("mixture").schedule
    tails, vectors = arrows(explorer)
    tails = torch.from_numpy(tails).requires_grad_()
    log_prob = data.toy_mixture().noised(explorer.t, schedule).log_prob(tails)
    gradient = torch.autograd.grad(log_prob.sum(), tails)[0].numpy()
    cosine = (gradient * vectors).sum(1) / (
        np.linalg.norm(gradient, axis=1) * np.linalg.norm(vectors, axis=1)
    )
    assert cosine.min() > 0.999
    lengths = np.linalg.norm(vectors, axis=1) / np.linalg.norm(gradient, axis=1)
    assert lengths.std() / lengths.mean() < 1e-3, "all arrows of a frame have the same scale"


@pytest.mark.parametrize("shown_by", ["exact", "learned", "learned − exact"])
@pytest.mark.parametrize("view", ["score", "eps", "v", "x0"])
def test_arrows_are_what_the_chosen_denoiser_says(view, shown_by):
    explorer, model = ScoreAndEps(view=view, shown_by=shown_by, t=100), pretrained.load("mixture")
    tails, vectors = arrows(explorer)
    x, start = torch.from_numpy(tails), tails if view == "x0" else 0
    exact, learned = (
        getattr(denoise(x, explorer.t), view).detach().numpy()
        for denoise in (data.toy_mixture().denoiser(model.schedule), model)
    )
    said = {"exact": exact - start, "learned": learned - start, "learned − exact": learned - exact}[shown_by]
    scale = (vectors * said).sum() / (said**2).sum()
    assert scale > 0 and np.abs(vectors - scale * said).max() < 1e-4
    assert np.sqrt((vectors**2).mean()) == pytest.approx(0.16, rel=1e-4)


@pytest.mark.parametrize("view", ["score", "eps", "v", "x0"])
def test_the_network_is_worse_where_there_is_no_data(view):
    explorer = ScoreAndEps(view=view)
    for t in (30, 100, 200, 300):
        explorer.t = t
        inside, outside = (
            explorer.numbers[n] for n in ("error where there is data", "error where there is none")
        )
        assert float(outside) > 2 * float(inside)
