"""U-Net, DiT and MLP side by side: the networks are what they are called, and the table is what is said."""

import pytest
import torch

from diffusion_lab import training
from diffusion_lab.applications.dit import patchify, unpatchify
from diffusion_lab.data import digits
from diffusion_lab.experiments import architectures
from diffusion_lab.experiments.architectures import CHANGED, COMPARED, KINDS, OfKind
from diffusion_lab.recipe import Recipe


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_network(kind):
    """One of KINDS with no weight at 0, in float64."""
    net, generator = KINDS[kind]().double(), seeded(3)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2, generator=generator)
    return net


def reached(net, x, t=300.0):
    """Which patches of 2×2 change when the first one does: [16], true or false."""
    other = x.clone()
    other[:, :, :2, :2] += 1
    return (patchify(net(other, t) - net(x, t), 2).abs() > 1e-9).any(2)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_all_answer_alike_and_have_about_as_many_weights(kind):
    net = OfKind(network=kind).make_network()
    x = torch.randn(3, 1, 8, 8, generator=seeded())
    assert net(x, 5, [1, 2, 3]).shape == x.shape and net.num_classes == 10
    weights = sum(weight.numel() for weight in net.parameters())
    assert weights == pytest.approx(134_000, rel=0.03 if kind in COMPARED else 0.09)


def test_what_is_taken_away_is_gone():
    x = torch.randn(1, 1, 8, 8, generator=seeded(), dtype=torch.float64)
    order = torch.randperm(16, generator=seeded(1))
    shuffled = unpatchify(patchify(x, 2)[:, order], 2)
    for kind, is_set in (("DiT", False), ("DiT without positions", True)):
        net = random_network(kind)
        apart = patchify(net(shuffled, 300.0), 2) - patchify(net(x, 300.0), 2)[:, order]
        assert (apart.abs().max() < 1e-10) == is_set
    assert reached(random_network("DiT"), x).all()
    assert reached(random_network("DiT without attention"), x).tolist() == [True] + 15 * [False]
    started = OfKind(network="DiT not from 0").make_network()
    tokens, c = torch.randn(2, 16, 48, generator=seeded()), torch.randn(2, 48, generator=seeded(1))
    assert not torch.equal(started.blocks[0](tokens, c), tokens)


def test_the_recipes_u_net_is_the_recipes():
    """OfKind adds networks, and changes nothing else."""
    told = dict(steps=5, batch=8, lr=4e-3)
    plain = Recipe(arguments=dict(width=16, num_classes=10, image_size=8), **told)
    both = [training.train(recipe, digits("train"), progress=False) for recipe in (plain, OfKind(**told))]
    first, second = (result.denoiser.net.state_dict() for result in both)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_row_computed_again_is_what_is_stored():
    rate = architectures.best_rate(architectures.table(), "MLP")
    now = architectures.run("MLP", rate, 150, 0)
    (row,) = [
        r
        for r in architectures.table()
        if (r["kind"], r["steps"], r["seed"], r["lr"], r["images"]) == ("MLP", 150, 0, rate, 1437)
    ]
    for name in ("train", "loss"):
        assert now[name] == pytest.approx(row[name], rel=0.02)


def test_the_table_is_what_the_command_plans():
    rows = architectures.table()
    search = {(kind, lr, 600, 0, architectures.SEARCHED) for kind in COMPARED for lr in architectures.RATES}
    planned = search | {*architectures.planned(rows)}
    found = [architectures.cell_of(row) for row in rows]
    assert len(found) == len(set(found)) and set(found) == planned


@pytest.mark.parametrize("kind", COMPARED)
def test_the_search_has_a_best_rate_that_is_not_at_its_end(kind):
    best = architectures.best_rate(architectures.table(), kind)
    assert min(architectures.RATES) < best < max(architectures.RATES)


def at(kind, seconds):
    """The mean loss after so many seconds, read off between the lengths: linear over the logarithm."""
    lengths = [*architectures.STEPS] + [architectures.LONGER] * (kind == "MLP")
    x, y = (
        torch.tensor([architectures.mean(what, kind, n)[0] for n in lengths]) for what in ("seconds", "loss")
    )
    k = int((x < seconds).sum().clamp(1, len(x) - 1))
    share = (torch.tensor(seconds) / x[k - 1]).log() / (x[k] / x[k - 1]).log()
    return (y[k - 1] + share * (y[k] - y[k - 1])).item()


def test_what_notebook_and_questions_say():
    mean = architectures.mean
    for steps in architectures.STEPS:  # at equal steps, and on every seed
        assert mean("loss", "U-Net", steps)[2] < mean("loss", "DiT", steps)[1]
        assert mean("loss", "DiT", steps)[2] < mean("loss", "MLP", steps)[1]
    for seconds in (3.0, 10.0, 24.0):  # at equal time
        assert at("U-Net", seconds) < min(at("DiT", seconds), at("MLP", seconds))
    assert at("MLP", 3.0) < at("DiT", 3.0) and at("DiT", 24.0) < at("MLP", 24.0)
    gaps = [mean("loss", "DiT", n)[0] - mean("loss", "U-Net", n)[0] for n in architectures.STEPS]
    assert gaps == sorted(gaps, reverse=True), "the DiT comes closer the longer it learns"
    paces = [mean("seconds", kind, 2400)[0] for kind in COMPARED]
    assert 4.5 < paces[0] / paces[2] < 8.5 and 0.8 < paces[1] / paces[0] < 1.2
    for kind in COMPARED:  # with few digits
        assert mean("train", kind, 600, 144)[0] < mean("train", kind)[0]
        assert mean("loss", kind, 600, 144)[0] > mean("loss", kind)[0]
    few = [mean("loss", kind, 600, 144)[0] for kind in COMPARED]
    assert few == sorted(few)


def test_what_the_question_on_the_parts_says():
    whole = architectures.mean("loss", "DiT")
    lost = {kind: architectures.mean("loss", kind)[0] / whole[0] for kind in CHANGED}
    assert lost["DiT without positions"] > 1.8
    assert 1.01 < lost["DiT without attention"] < 1.08
    assert abs(lost["DiT not from 0"] - 1) < 0.02
    assert lost["DiT, patch 1"] < 0.96
    times = [architectures.mean("seconds", *which)[0] for which in (("DiT, patch 1", 600), ("DiT", 2400))]
    assert times[0] == pytest.approx(times[1], rel=0.15)
    assert architectures.mean("loss", "DiT", 2400)[2] < architectures.mean("loss", "DiT, patch 1")[1]
    late = architectures.mean("loss", "DiT without attention", 2400)[0]
    assert late / architectures.mean("loss", "DiT", 2400)[0] > lost["DiT without attention"] + 0.01


def test_bad_arguments():
    with pytest.raises(ValueError, match="must be those of a row"):
        architectures.mean("loss", "DiT", 601)
