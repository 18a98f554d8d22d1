"""Chain and jump: what is drawn comes from the package, its code makes it, and both ways agree."""

import inspect
import math

import numpy as np
import pytest
import torch
from onscreen import run_code, shown

from diffusion_lab import data, forward
from diffusion_lab.experiments import chains
from diffusion_lab.experiments.chains import DRAWS, one_dimensional
from diffusion_lab.experiments.stored import HUNDRED, hundred_steps
from diffusion_lab.explorers.chain_and_jump import ChainAndJump

N = {"1-D mixture": 4000, "2-D mixture": 8000, "2-D moons": 8000, "digit": 200 * 64}  # values drawn


def points(explorer, trace):
    """x and y of one trace at the present frame: [N, 2]."""
    return np.stack([shown(explorer, trace, "x"), shown(explorer, trace, "y")], 1)


@pytest.mark.parametrize("source", list(DRAWS))
@pytest.mark.parametrize(("schedule", "t"), [*zip(HUNDRED, (60, 1, 100), strict=True), ("cosine", 0)])
def test_code_makes_what_is_on_the_screen(source, schedule, t):
    explorer = ChainAndJump(source=source, schedule=schedule, seed=5, t=t)
    found = run_code(explorer)
    (chain, jump), x0 = found["shown"], found["x0"]
    assert found["table"].signal.equal(hundred_steps(schedule).signal)
    off = chain - forward.q_marginal(x0, t, found["table"]).mean
    assert float(explorer.numbers["chain: noise"]) == pytest.approx(
        off.square().mean().sqrt().item(), rel=1e-2
    )
    if source == "1-D mixture":
        for way, x in (("chain", chain), ("jump", jump)):
            inside = x[(x > -3) & (x < 3)]
            bars = shown(explorer, f"{way}: bars", "y")
            assert bars.sum() * 0.08 == pytest.approx(1, rel=1e-6) and len(bars) == 75
            centres = np.asarray(explorer.shown.traces[f"{way}: bars"]["x"])
            assert (bars * centres).sum() * 0.08 == pytest.approx(inside.mean().item(), abs=5e-3)
            here = points(explorer, f"{way}: here")
            assert np.allclose(here[:, 1], x[:2, 0]) and (here[:, 0] == t).all()
    elif source == "digit":
        assert np.allclose(shown(explorer, "chain", "z"), chain[0, 0])
        assert np.allclose(shown(explorer, "jump", "z"), jump[0, 0])
    else:
        for way, x in (("chain", chain), ("jump", jump)):
            assert np.allclose(points(explorer, f"{way}: x_t"), x[:400])
            trail = points(explorer, f"{way}: paths").reshape(2, t + 2, 2)
            assert np.isnan(trail[:, -1]).all() and np.allclose(trail[:, t], x[:2])
            assert np.allclose(trail[:, 0], x0[:2])


@pytest.mark.parametrize("source", list(DRAWS))
@pytest.mark.parametrize("schedule", list(HUNDRED))
def test_the_chain_is_as_near_to_the_closed_form_as_the_jump(source, schedule):
    every = [frame.numbers for frame in ChainAndJump(source=source, schedule=schedule).shown.frames]
    schedule = hundred_steps(schedule)
    assert every[0]["chain: KL to q"] == "none"
    # 1/N on average, and beyond 12/N for one draw in 10⁵
    rows = every[1:]
    for who in ("chain", "jump"):
        assert max(float(row[f"{who}: KL to q"]) for row in rows) < 12 / N[source]
    assert len({row["jump: KL to q"] for row in rows}) == 1, "one ε: the same error at every t"
    for t, row in enumerate(every):
        assert row["jump: √ᾱ_t"] == schedule.signal[t].item() and row["jump: σ_t"] == schedule.sigma[t].item()
        assert row["chain: noise"] == pytest.approx(row["jump: σ_t"], rel=5 / math.sqrt(2 * N[source]))
        assert row["chain: signal"] == pytest.approx(row["jump: √ᾱ_t"], abs=0.08)


def test_a_chain_that_takes_beta_for_a_standard_deviation_is_found_out(monkeypatch):
    """The mistake of notebook 03: the numbers must show it."""

    def wrong(x0, schedule, generator):
        chain = [x0]
        for t in range(1, schedule.T + 1):
            noise = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
            chain.append(schedule.alpha[t].sqrt() * chain[-1] + schedule.beta[t] * noise)
        return torch.stack(chain)

    monkeypatch.setattr(chains, "q_chain", wrong)
    assert float(ChainAndJump(t=40).numbers["chain: KL to q"]) > 0.1


@pytest.mark.parametrize("t", [0, 1, 30, 100])
@pytest.mark.parametrize("schedule", list(HUNDRED))
def test_the_line_is_the_density_of_the_bars(schedule, t):
    explorer, table = ChainAndJump(schedule=schedule, t=t), hundred_steps(schedule)
    x, line = np.asarray(explorer.shown.traces["chain: q_t"]["x"]), shown(explorer, "chain: q_t", "y")
    assert np.array_equal(line, shown(explorer, "jump: q_t", "y"))
    exact = one_dimensional()
    signal, sigma = table.signal[t].item(), table.sigma[t].item()
    expected, edges = np.zeros_like(x), torch.linspace(-3, 3, 76, dtype=torch.float64)
    below = torch.zeros_like(edges)
    for w, m, s in zip(exact.weights, exact.means[:, 0], (0.12, 0.12, 0.2), strict=True):
        normal = torch.distributions.Normal(signal * m, math.hypot(signal * s, sigma))
        expected += (w * normal.log_prob(torch.from_numpy(x)).exp()).numpy()
        below += w * normal.cdf(edges)
    assert np.allclose(line, expected, rtol=1e-5)
    for way in ("chain", "jump"):  # Kolmogorov and Smirnov: 4000 draws are 0.035 off once in 10⁴
        found = np.cumsum(shown(explorer, f"{way}: bars", "y")) * 0.08
        assert np.abs(found - (below[1:] - below[0]).numpy()).max() < 0.035


def test_the_cloud_lies_on_its_density():
    explorer = ChainAndJump(source="2-D mixture", t=20)
    z, ticks = shown(explorer, "chain: q_t", "z"), torch.linspace(-2.5, 2.5, 33, dtype=torch.float64)
    assert np.array_equal(z, shown(explorer, "jump: q_t", "z")) and z.max() == 255
    row, column = np.unravel_index(z.argmax(), z.shape)
    best = data.toy_mixture().noised(20, hundred_steps("cosine"))
    at = torch.stack([ticks[column], ticks[row]])[None]
    everywhere = torch.cartesian_prod(ticks, ticks)
    assert best.log_prob(at).item() == pytest.approx(best.log_prob(everywhere).max().item())
    assert "chain: q_t" not in ChainAndJump(source="2-D moons").shown.traces, "no density is known"


def test_the_ways_differ():
    explorer = ChainAndJump(source="2-D mixture", t=90)
    lengths = []
    for way in ("chain", "jump"):
        path = points(explorer, f"{way}: paths").reshape(2, 92, 2)[:, :91]
        lengths.append(np.linalg.norm(np.diff(path, axis=1), axis=2).sum(1))
    assert (lengths[0] > 3 * lengths[1]).all(), "the chain wanders"


def test_words():
    explorer = ChainAndJump(t=0)
    assert "no noise yet" in explorer.describe()
    explorer.t = 1
    assert explorer.describe().splitlines()[-1].startswith("1 step, or one jump")
    explorer.t = 100
    assert "forgotten" in explorer.describe()


@pytest.mark.parametrize("source", list(DRAWS))
def test_is_pure_and_fits_through_the_wire(source):
    a, b = ChainAndJump(source=source), ChainAndJump(source=source)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert a.scene(**a.values()).to_json() == b.scene(**b.values()).to_json()
    assert torch.equal(torch.get_rng_state(), state), "drew from the user's random stream"
    assert len(a._scene) < 2e6
    before = a._scene
    a.seed = 1
    assert a._scene != before
    assert inspect.getdoc(ChainAndJump)
