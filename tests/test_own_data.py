"""Draw your own data, without a browser: `Points` as a control, and a figure that is exact for any points."""

import json
import math

import numpy as np
import pytest
import torch
import traitlets
from close import assert_close
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onscreen import run_code
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from diffusion_lab import data, schedules
from diffusion_lab.engine import Points
from diffusion_lab.experiments.own_points import N_RUNS, TIMES, T, points_behind
from diffusion_lab.explorers.own_data import CLOSE, LIMIT, N_TRAILS, NEAR, PIXEL, PRESETS, OwnData

coordinate = st.integers(-100, 100).map(lambda n: n / 100)
drawings = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=20)
controls = dict(
    points=drawings,
    std=st.integers(0, 15).map(lambda n: n / 50),
    schedule=st.sampled_from(["cosine", "sigmoid", "linear"]),
    sampler=st.sampled_from(["ddim", "ddpm"]),
    seed=st.integers(0, 20),
)
any_drawing = [
    given(**controls),
    example([(0.3, -0.7)], 0.0, "cosine", "ddim", 0),  # one point
    example([(0.5, 0.5)] * 7, 0.0, "linear", "ddpm", 1),  # all at one place
    example([(0.5, 0.5)] * 3 + [(-0.5, 0.0)], 0.1, "cosine", "ddim", 2),
    example([(-1, -1), (-1, 1), (1, -1), (1, 1)], 0.0, "sigmoid", "ddim", 3),  # on the border
    example([(0.0, 0.0), (0.01, 0.0), (0.02, 0.0)], 0.0, "linear", "ddim", 4),  # as close as can be
    example([(x / 8, y / 8) for x in range(-4, 4) for y in range(8)], 0.0, "cosine", "ddpm", 5),  # the most
]


def any_data(examples):
    """A test for drawings by hypothesis, and for the ones that are special."""

    def decorate(test):
        for mark in any_drawing:
            test = mark(test)
        return settings(max_examples=examples)(test)

    return decorate


def drawn(explorer, trace):
    """What is drawn there at the present t: [N, 2]."""
    shown = explorer.frame.changes[trace]
    return torch.stack([torch.as_tensor(shown[key]).double() for key in ("x", "y")], 1)


def row(explorer):
    """The numbers at the present t, before they are rounded."""
    return explorer.frame.numbers


def mixture(explorer, narrowest=0.0):
    """q_t of the present t by torch.distributions, float64, no narrower than said."""
    signal, sigma = (getattr(SCHEDULES[explorer.schedule], name)[explorer.t] for name in ("signal", "sigma"))
    centres = signal * torch.tensor(explorer.points, dtype=torch.float64)
    std = torch.tensor(math.hypot(signal * explorer.std, sigma, narrowest), dtype=torch.float64)
    components = Independent(Normal(centres, std.expand_as(centres)), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(centres), dtype=torch.float64)), components)


SCHEDULES = {name: maker(T) for name, maker in schedules.SCHEDULES.items()}


def plane(limit, count):
    x = torch.linspace(-limit, limit, count, dtype=torch.float64)
    return torch.cartesian_prod(x, x)[:, [1, 0]]


# the control


PAIR = [(0.5, -0.25), (1, 0)]
SAME = dict(list=PAIR, tuple=tuple(PAIR), rounded=[[0.504, -0.254], [1, -0.0]], numpy=np.array(PAIR))
SAME |= dict(torch=torch.tensor(PAIR), half=torch.tensor(PAIR, dtype=torch.float16))
WRONG = [
    [],
    [(0, 0)] * 65,
    [(0, 1.01)],
    [(0, math.nan)],
    [(math.inf, 0)],
    [(0, 0, 0)],
    [0, 0],
    [(0, 0), (1,)],
]
WRONG += ["ab", [("0", "1")], None, 3, [(True, False)], [(1j, 0)], {}, torch.zeros(2, 2, requires_grad=True)]


@pytest.mark.parametrize("value", SAME.values(), ids=SAME.keys())
def test_points_of_any_kind_become_one(value):
    explorer = OwnData(points=value)
    assert explorer.points == ((0.5, -0.25), (1.0, 0.0))
    assert str(explorer.points) == "((0.5, -0.25), (1.0, 0.0))"  # plain floats, no −0
    assert explorer.describe().splitlines()[1].startswith("points = 2: (0.5, -0.25), (1, 0); std")
    assert json.loads(json.dumps(explorer._answered))["points"] == [[0.5, -0.25], [1, 0]]


@pytest.mark.parametrize("value", WRONG, ids=str)
def test_what_is_no_drawing_is_named_and_changes_nothing(value):
    explorer = OwnData(points=[(0.5, 0.5)])
    before = explorer._scene
    with pytest.raises(
        traitlets.TraitError, match=r"(?s)OwnData\.points = .*: expected 1 to 64 pairs \(x, y\)"
    ):
        explorer.points = value
    assert explorer.points == ((0.5, 0.5),) and explorer._scene == before and not explorer._error
    with pytest.raises(traitlets.TraitError, match="expected 1 to 64 pairs"):
        Points(value, presets={})
    with pytest.raises(traitlets.TraitError, match="expected 1 to 64 pairs"):
        Points([(0, 0)], presets={"bad": value})


def test_the_browser_sends_lists_and_is_answered_once():
    explorer, scenes = OwnData(points=[(0, 0)]), []
    explorer.observe(lambda change: scenes.append(change.new), "_scene")
    explorer.set_state({"points": [[0.25, 1], [-0.5, 0]]})
    assert explorer.points == explorer._answered["points"] == ((0.25, 1.0), (-0.5, 0.0)) and len(scenes) == 1
    explorer.set_state({"points": [[0.25, 1], [-0.5, 0]]})
    assert len(scenes) == 1
    explorer.set_state({"points": [[2, 0]]})
    assert "expected 1 to 64 pairs" in explorer._error and len(explorer.points) == 2


def test_what_a_notebook_stores_draws_it_again():
    explorer = OwnData(points=data.moons(50, torch.Generator().manual_seed(0)), std=0.1, t=100)
    values = {name: getattr(explorer, name) for name in explorer.controls}
    again = OwnData(**json.loads(json.dumps(values)))
    assert again.points == explorer.points and again._scene == explorer._scene


def test_the_presets_are_drawings_and_buttons():
    (spec,) = (spec for spec in OwnData()._spec["controls"] if spec["name"] == "points")
    assert spec["kind"] == "points" and spec["most"] == 64 and list(spec["presets"]) == list(PRESETS)
    for name, points in spec["presets"].items():
        assert len(set(points)) == len(points), f"{name} draws a point twice"
        explorer = OwnData(points=PRESETS[name], t=0)
        assert explorer.points == points and "60 of 60" in explorer.describe()


def test_the_presets_are_what_their_names_say():
    drawn = {name: np.array(points) for name, points in PRESETS.items()}
    radius = {name: np.hypot(*points.T) for name, points in drawn.items()}
    assert list(drawn) == ["two points", "ring", "moons", "letter ε", "spiral"]
    assert drawn["two points"].shape == (2, 2)
    # a ring: all as far from its middle as from the next, the last next to the first
    ring = drawn["ring"]
    assert np.allclose(radius["ring"], 0.8)
    assert np.allclose(np.hypot(*(ring - np.roll(ring, 1, axis=0)).T), 1.6 * math.sin(math.pi / len(ring)))
    # two half circles, one open below and one above, each with an end inside the other
    upper, lower = np.split(drawn["moons"], 2)
    assert np.allclose(upper, -lower, atol=1e-9) or np.allclose(upper, -lower[::-1], atol=1e-9)
    for moon, middle, up in ((upper, (-0.3, -0.15), 1), (lower, (0.3, 0.15), -1)):
        assert np.allclose(np.hypot(*(moon - middle).T), 0.6) and (up * (moon - middle)[:, 1] > -1e-9).all()
    assert lower[:, 0].min() < upper[:, 0].max() and lower[:, 1].min() < upper[:, 1].min()
    # ε: two bowls, one on the other and its mirror image, both open to the right
    letter = drawn["letter ε"]
    mirrored = np.abs(letter[:, None] * [1, -1] - letter).max(2).min(1)
    assert mirrored.max() < 0.03 and np.ptp(letter[:, 1]) > 2 * np.ptp(letter[:, 0])
    for bowl in (letter[letter[:, 1] > 0.05], letter[letter[:, 1] < -0.05]):
        middle = np.array([0.1, np.sign(bowl[0, 1]) * 0.4])
        assert np.allclose(np.hypot(*(bowl - middle).T), 0.4)
        beside = np.abs(bowl[:, 1] - middle[1]) < 0.2
        assert (bowl[beside, 0] < middle[0]).all() and beside.any(), "nothing closes it on the right"
    # a spiral: it winds outwards, ever one way, by as much radius for each turn, for more than one
    spiral, turned = radius["spiral"], np.unwrap(np.arctan2(*drawn["spiral"].T[::-1]))
    assert (np.diff(spiral) > 0).all() and (np.diff(turned) > 0).all()
    assert np.ptp(turned) > 2 * np.pi and np.allclose(np.diff(spiral) / np.diff(turned), 1 / 11)


# the figure


@any_data(12)
def test_arrows_are_the_gradient_of_the_log_density(points, std, schedule, sampler, seed):
    explorer = OwnData(points=points, std=std, schedule=schedule, sampler=sampler, seed=seed)
    for t in (1000, 316, 35, 1, 0):
        explorer.t = t
        path = drawn(explorer, "score").reshape(-1, 6, 2)  # tail, head, the head's strokes, a gap
        assert path[:, 0].sub(plane(NEAR, 10)).abs().max() < 1e-6 and path[:, 5].isnan().all()
        shown = path[:, 1] - path[:, 0]
        if explorer.t == 0 and std == 0:
            assert shown.isnan().all()
            continue
        x = plane(NEAR, 10).requires_grad_()
        (score,) = torch.autograd.grad(mixture(explorer).log_prob(x).sum(), x)
        # one scale for all of them, chosen so that they can be seen
        assert_close(shown.square().mean().sqrt().item(), 0.1, rtol=1e-4)
        assert_close(shown, 0.1 / score.square().mean().sqrt() * score, rtol=1e-3, atol=1e-4)


@any_data(10)
def test_colours_are_the_density_and_the_points_behind(points, std, schedule, sampler, seed):
    explorer = OwnData(points=points, std=std, schedule=schedule, sampler=sampler, seed=seed)
    places = torch.tensor(sorted(set(explorer.points)), dtype=torch.float64)
    counts = torch.tensor([explorer.points.count(tuple(p)) for p in places.tolist()])
    for t in (1000, 316, 79, 0):
        explorer.t = t
        changes = explorer.frame.changes
        log_prob = mixture(explorer, narrowest=PIXEL).log_prob(plane(LIMIT, 31))
        expected = 255 * (log_prob - log_prob.max()).exp()
        assert_close(changes["density"]["z"].double().reshape(-1), expected, atol=1.01)
        behind = changes["points behind"]["z"].double().reshape(-1)
        if len(places) == 1 or (explorer.t == 0 and std == 0):
            assert (behind == 0).all() and row(explorer)["points behind an x_t"] == pytest.approx(1)
            continue
        signal, sigma = (getattr(SCHEDULES[schedule], name)[explorer.t] for name in ("signal", "sigma"))
        width = torch.tensor(math.hypot(signal * std, sigma), dtype=torch.float64)

        def entropy(x):
            log_prob = Normal(signal * places, width).log_prob(x[:, None].double()).sum(2)  # noqa: B023
            return Categorical(logits=log_prob + counts.log()).entropy()

        expected = 255 * entropy(plane(NEAR, 31)) / math.log(len(places))
        assert_close(behind, expected, atol=1.01)
        found = row(explorer)["points behind an x_t"]
        assert found == pytest.approx(entropy(drawn(explorer, "x_t")).mean().exp().item(), rel=1e-3)
        assert 1 - 1e-6 <= found <= len(places) * (1 + 1e-6)


@any_data(6)
def test_the_code_makes_what_is_on_the_screen(points, std, schedule, sampler, seed):
    explorer = OwnData(points=points, std=std, schedule=schedule, sampler=sampler, seed=seed)
    for t in (1000, 316, 1, 0):
        explorer.t = t
        assert max(map(len, explorer.frame.code.splitlines())) <= 120
        found, k = run_code(explorer), TIMES.index(explorer.t)
        x_t, *score, run = found["shown"]
        assert torch.equal(x_t.double(), drawn(explorer, "x_t"))
        assert torch.equal(run.double(), drawn(explorer, "runs"))
        trails = drawn(explorer, "trails").reshape(N_TRAILS, k + 2, 2)
        assert torch.equal(trails[:, :-1], found["runs"][: k + 1, :N_TRAILS].transpose(0, 1).double())
        assert trails[:, -1].isnan().all()
        if explorer.t or std:
            x = x_t.double().requires_grad_()
            (expected,) = torch.autograd.grad(mixture(explorer).log_prob(x).sum(), x)
            size = expected.abs().max().item()
            assert_close(score[0].double(), expected, rtol=1e-3, atol=1e-4 * size)
        else:
            assert not score and "no score" in explorer.frame.code


@any_data(15)
def test_the_exact_score_gives_back_the_data_and_nothing_else(points, std, schedule, sampler, seed):
    explorer = OwnData(points=points, std=0, schedule=schedule, sampler=sampler, seed=seed, t=0)
    ends = drawn(explorer, "runs")
    far = (ends[:, None] - torch.tensor(explorer.points).double()).norm(dim=2).min(1).values
    points = torch.tensor(sorted(set(explorer.points)))
    # So few steps may leave a run between two points that are close for the noise of the last ones
    apart = {"cosine": 0.15, "linear": 0.25, "sigmoid": 0.35}[schedule]
    if len(points) == 1 or torch.pdist(points).min() >= apart:
        assert far.max() <= CLOSE
    assert far.max() <= 0.1 and (far <= CLOSE).double().mean() > 0.4
    assert ("gives back only the data" in explorer.describe()) == bool((far <= CLOSE).all())
    assert f"t = 0: {(far <= CLOSE).sum()} of {N_RUNS} runs have ended" in explorer.describe()
    assert row(explorer)["runs to nearest point"] == pytest.approx(
        far.square().mean().sqrt().item(), abs=1e-6
    )
    assert torch.equal(drawn(explorer, "ends"), torch.tensor(explorer.points).double())


@pytest.mark.parametrize("schedule", ["cosine", "sigmoid", "linear"])
def test_to_a_single_point_every_ddim_run_is_a_straight_way_in_closed_form(schedule):
    """ε̂ = (x_t − signal y)/sigma never changes, so x_t = signal_t y + sigma_t ε̂ at every t."""
    explorer, table = OwnData(points=[(0.5, -0.75)], schedule=schedule, t=T), SCHEDULES[schedule]
    y = torch.tensor([0.5, -0.75], dtype=torch.float64)
    eps = (drawn(explorer, "runs") - table.signal[T] * y) / table.sigma[T]
    for t in TIMES:
        explorer.t = t
        assert_close(drawn(explorer, "runs"), table.signal[t] * y + table.sigma[t] * eps, rtol=0, atol=2e-5)
        assert_close(drawn(explorer, "points")[0], table.signal[t] * y, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_with_a_width_the_runs_end_around_the_points_and_not_on_them(sampler):
    explorer = OwnData(points=[(0.2, 0.1)], std=0.3, sampler=sampler, t=0)
    # the distance of N(y, std² I) from y: √2 std, root mean square
    assert row(explorer)["runs to nearest point"] == pytest.approx(0.3 * math.sqrt(2), rel=0.2)
    assert "samples of the mixture" in explorer.describe()


@pytest.mark.parametrize("t", [1000, 400, 100])
def test_points_behind_is_exact_between_two_points(t):
    """On the line half-way 2 points, on one of them 1 plus what p = 1/(1 + exp(signal² d²/2 sigma²)) adds."""
    table, pair = SCHEDULES["linear"], torch.tensor([[-0.5, 0.0], [0.5, 0.0]], dtype=torch.float64)
    signal, sigma = table.signal[t].item(), table.sigma[t].item()
    x = torch.tensor([[0.0, 0.3], [0.0, -1.0], [0.5 * signal, 0.0]], dtype=torch.float64)
    p = 1 / (1 + math.exp(signal**2 / (2 * sigma**2)))
    one = math.exp(-p * math.log(p) - (1 - p) * math.log1p(-p))
    assert_close(points_behind(x, pair, 0.0, t, table), torch.tensor([2.0, 2.0, one], dtype=torch.float64))
    twice = torch.cat([pair, pair])  # each point drawn twice: the same places
    assert_close(points_behind(x, twice, 0.0, t, table), points_behind(x, pair, 0.0, t, table))


@any_data(8)
def test_every_frame_can_be_drawn(points, std, schedule, sampler, seed):
    explorer = OwnData(points=points, std=std, schedule=schedule, sampler=sampler, seed=seed)
    assert not explorer._error and len(explorer._scene) < 700_000
    assert explorer.shown.positions == TIMES and TIMES[0] == T and TIMES[-1] == 0
    for t in TIMES:
        explorer.t = t
        assert all(drawn(explorer, name).isfinite().all() for name in ("x_t", "points", "runs", "ends"))
        density = explorer.frame.changes["density"]["z"]
        assert density.max() == 255 and density.dtype == torch.uint8
        assert all(np.isfinite(number) for number in row(explorer).values())
        assert str(len(points)) == explorer.numbers["points"]


def test_sentences_say_what_is_the_case():
    explorer, said = OwnData(points=PRESETS["two points"]), []
    for t in TIMES:
        explorer.t = t
        behind = row(explorer)["points behind an x_t"]
        sentence = explorer.describe().splitlines()[-1]
        said.append(
            next(word for word in ("any point", "splits up", "single", "60 of 60") if word in sentence)
        )
        bounds = {"any point": (1.8, 2), "splits up": (1.1, 1.8), "single": (1, 1.1), "60 of 60": (1, 1)}
        low, high = bounds[said[-1]]
        assert low <= behind <= high + 1e-6
    assert list(dict.fromkeys(said)) == ["any point", "splits up", "single", "60 of 60"], "in this order"
    explorer.points = [(0.4, 0.4), (0.4, 0.4)]
    explorer.t = 500
    assert "all points are there" in explorer.describe()
    explorer = OwnData(points=[(0, 0)] * 7 + [(0.01, 0.02)], t=0)
    assert "The others are between points that are too close" in explorer.describe()
