"""GAN, VAE and diffusion on digits: the measures where the answer is known, and the stored table."""

import math

import pytest
import torch
from scipy.stats import norm

from diffusion_lab.applications.vae import Vae
from diffusion_lab.elbo import elbo
from diffusion_lab.exact import GaussianMixture
from diffusion_lab.experiments import drawn_digits, rivals, rivals_digits
from diffusion_lab.experiments.exact_bound import variance_table
from diffusion_lab.experiments.rivals_digits import KINDS, Run, mean
from diffusion_lab.experiments.stored import digits
from diffusion_lab.schedules import NoiseSchedule, cosine


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- measures ---


def test_real_digits_are_like_themselves():
    (known, _), (real, _) = digits("train"), digits("test")
    found = drawn_digits.measured(real, real, known)
    assert found["frechet"] < 1e-6 and found["classes_kl"] == 0 and found["classes"] == 10
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["spread"] == pytest.approx(1) and found["nearer"] == 0.5
    assert drawn_digits.measured(known[:360], real, known)["nearer"] == 1, "copies"


def test_one_class_is_one_mode():
    (known, _), (real, label) = digits("train"), digits("test")
    ones = real[label == 1]
    found = drawn_digits.measured(ones, real, known)
    truth = drawn_digits.classifier().probabilities(real).argmax(1)
    guessed = drawn_digits.classifier().probabilities(ones).argmax(1)
    assert found["classes"] == len(guessed.unique()) <= 2
    assert found["classes_kl"] > 0.9 * -math.log((truth == 1).double().mean())
    assert found["recall"] < 0.3


def test_the_kl_of_shares_by_hand():
    label, truth = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1])
    assert drawn_digits.classes_kl(label, truth) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert drawn_digits.classes_kl(truth, truth) == 0
    assert drawn_digits.classes_kl(torch.tensor([2]), truth) == math.inf


def test_spread_is_a_ratio_of_variances():
    real = torch.randn(60, 4, generator=seeded())
    truth = torch.arange(60) % 3
    assert drawn_digits.spread(0.5 * real + 7, truth, real, truth) == pytest.approx(0.25, rel=1e-5)
    assert math.isnan(drawn_digits.spread(real[:4], truth[:4], real, truth))


class Constant(torch.nn.Module):
    """Outputs one row for every input."""

    def __init__(self, *row):
        super().__init__()
        self.row = torch.nn.Parameter(torch.tensor(row, dtype=torch.float32))

    def forward(self, x):
        return self.row.expand(len(x), -1)


def test_a_vae_that_ignores_its_latent_costs_what_its_pixels_cost():
    """Then every z gives the same weight, whatever K is: the bins' masses, which scipy knows too."""
    decoder = torch.nn.Sequential(Constant(*[0.1] * 64), torch.nn.Unflatten(1, (1, 8, 8)))
    vae, x = Vae(Constant(0.0, 0.0), decoder, 1), digits("test")[0][:20]
    with torch.no_grad():
        vae.log_variance.fill_(2 * math.log(0.5))
    edges = torch.linspace(-1, 1, 17)[:-1] + 1 / 16
    cdf = norm.cdf([-math.inf, *edges.tolist(), math.inf], 0.1, 0.5)
    mass = torch.from_numpy(cdf[1:] - cdf[:-1])
    exact = -mass[((x + 1) * 8).round().long()].log2().mean().item()
    for K in (1, 7):
        assert drawn_digits.bits_of_vae(vae, x, K, seeded()) == pytest.approx(exact, rel=1e-4)


def test_more_draws_tighten_the_bound_of_a_vae():
    run = Run("VAE", "MLP", 2e-3)
    decoder, encoder = rivals_digits.pair(run)
    vae, x = Vae(encoder, decoder, rivals_digits.LATENT).eval(), digits("test")[0][:50]
    bits = [drawn_digits.bits_of_vae(vae, x, K, seeded()) for K in (1, 10, 100)]
    assert bits == sorted(bits, reverse=True)


def test_the_bound_of_a_diffusion_is_that_of_its_coarse_schedule():
    whole, (x, _), (train, _) = cosine(1000), digits("test"), digits("train")
    mixture = GaussianMixture(train.mean(0, keepdim=True), [0.5])
    found = drawn_digits.bits_of_diffusion(mixture.denoiser(whole), x[:30], train)
    coarse = NoiseSchedule(whole.signal[::20], whole.sigma[::20])
    own = mixture.denoiser(coarse)
    table = variance_table(own, train[:100], coarse, generator=seeded(1))
    again = elbo(own, x[:30], coarse, table, "discretized", 17, generator=seeded(0)).bits_per_dim.mean()
    assert found == pytest.approx(again.item(), rel=1e-4)


# --- networks and data ---


@pytest.mark.parametrize(("kind", "net"), list(rivals_digits.PACE))
def test_all_have_about_as_many_weights(kind, net):
    assert rivals_digits.weights(kind, net) == pytest.approx(129_500, rel=0.035)


@pytest.mark.parametrize("net", ["MLP", "convolutions"])
def test_networks_fit_each_other(net):
    draws, looks = rivals_digits.pair(Run("GAN", net, 1e-3))
    x = draws(torch.randn(3, rivals_digits.LATENT, generator=seeded()))
    assert x.shape == (3, 1, 8, 8) and looks(x).shape == (3, 1)
    model = rivals_digits.Unlabelled(network=net).make_network()
    assert model(x, 5).shape == x.shape and model.num_classes is None


def test_the_search_sees_no_test_digit():
    (train, _), (test, _) = digits("train"), digits("test")
    known, held_out = rivals_digits.data_of(Run("GAN", "MLP", 1e-3, purpose="search"))
    assert len(known) + len(held_out) == len(train) and len(held_out) == 287
    rows = {tuple(x.flatten().tolist()) for x in train}
    assert {tuple(x.flatten().tolist()) for x in torch.cat([known, held_out])} == rows
    for purpose, images in (("final", 1437), ("few", 144)):
        known, real = rivals_digits.data_of(Run("GAN", "MLP", 1e-3, purpose=purpose, images=images))
        assert torch.equal(real, test) and torch.equal(known, train[:images])


def test_a_short_run_of_each_kind():
    for kind in KINDS:
        rows = rivals_digits.rows_of(Run(kind, "MLP", 1e-3, gamma=0.1, purpose="search"), steps=3)
        assert [row["kind"] for row in rows] == ([kind, "VAE, means"] if kind == "VAE" else [kind])
        for row in rows:
            assert math.isnan(row["bits"]) == kind.startswith("GAN") and row["steps"] == 3


# --- the table ---


def rows_of(purpose):
    return [r for r in rivals_digits.table() if r["purpose"] == purpose]


def test_the_table_is_what_the_command_plans():
    rows = [r for r in rivals_digits.table() if r["lr"] > 0]
    runs = [rivals_digits.run_of(r) for r in rows if r["kind"] != "VAE, means"]
    assert len(runs) == len({*runs})
    assert {*runs} == {*rivals_digits.search(), *rivals_digits.planned(rivals_digits.table())}
    assert len(rows) - len(runs) == sum(run.kind == "VAE" for run in runs)
    real = [r["seed"] for r in rivals_digits.table() if r["kind"] == "real digits"]
    assert sorted(real) == list(rivals_digits.SEEDS)
    guided = {(r["w"], r["seed"]) for r in rows_of("guided")}
    assert guided == {(w, seed) for w in rivals_digits.GUIDES for seed in rivals_digits.GUIDE_SEEDS}


def test_all_got_the_same_time():
    """Steps are fixed, so a row can be computed again; the machine that gave the seconds was not alone."""
    for kind in KINDS:
        found = [r["seconds"] for r in rows_of("final") if r["kind"] == kind]
        assert len(found) == 10
        assert sum(found) / 10 == pytest.approx(rivals_digits.SECONDS, rel=0.3)


def test_a_row_computed_again_is_what_is_stored():
    for seed in (0, 7):
        now = rivals_digits.real_row(seed)
        (stored,) = [r for r in rows_of("final") if (r["kind"], r["seed"]) == ("real digits", seed)]
        for name in (*drawn_digits.MEASURES,):
            assert now[name] == pytest.approx(stored[name], rel=1e-3, abs=1e-3)


@pytest.mark.slow
def test_a_guided_row_computed_again_is_what_is_stored():
    now = rivals_digits.guided_row(1.0, 0)
    (stored,) = [r for r in rows_of("guided") if (r["w"], r["seed"]) == (1.0, 0)]
    for name in drawn_digits.MEASURES:
        assert now[name] == pytest.approx(stored[name], rel=0.02, abs=0.01)


def test_what_notebook_26_says_of_digits():
    every = {kind: {c: mean(c, kind) for c in (*drawn_digits.MEASURES, "bits")} for kind in KINDS}
    assert 5 <= every["GAN"]["classes"][1] and every["GAN"]["classes"][2] <= 9
    (lucky,) = [
        r
        for r in rows_of("search")
        if rivals_digits.run_of(r)[:5] == rivals_digits.best(rivals_digits.table(), "GAN")[:5]
    ]
    assert lucky["classes"] == 10
    rest = {kind: every[kind] for kind in KINDS if kind != "GAN"}
    assert all(row["classes"][1] == 10 for row in rest.values())
    assert every["GAN"]["precision"][0] > max(every[kind]["precision"][0] for kind in ("VAE", "diffusion"))
    winners = {c: max(KINDS, key=lambda kind: every[kind][c][0]) for c in ("coverage", "recall")}
    assert winners == {"coverage": "GAN, R1 + R2", "recall": "diffusion"}
    assert every["diffusion"]["recall"][1] > max(every[kind]["recall"][2] for kind in KINDS[:3])
    assert all(every["diffusion"]["frechet"][2] < every[kind]["frechet"][1] for kind in KINDS[:3])
    assert every["diffusion"]["bits"][2] < min(r["bits"] for r in rows_of("search") if r["kind"] == "VAE")
    assert every["diffusion"]["bits"][2] < every["VAE"]["bits"][1]


def test_the_network_chooses_the_winner():
    def best(kind, net):
        return min(r["frechet"] for r in rows_of("search") if (r["kind"], r["net"]) == (kind, net))

    assert best("diffusion", "MLP") > 2 * best("GAN, R1 + R2", "MLP")
    assert best("GAN, R1 + R2", "convolutions") > 2 * best("diffusion", "convolutions")


def test_what_notebook_26_says_of_guidance_and_few_digits():
    column = {
        c: [mean(c, "guided", "guided", w)[0] for w in rivals_digits.GUIDES] for c in drawn_digits.MEASURES
    }
    assert column["recall"][:4] == sorted(column["recall"][:4], reverse=True)
    assert column["spread"][:4] == sorted(column["spread"][:4], reverse=True) and column["spread"][3] < 0.7
    assert column["precision"][:3] == sorted(column["precision"][:3])
    assert column["precision"][-1] < column["precision"][1] and min(column["classes"]) == 10
    for kind in KINDS:
        assert mean("recall", kind, "few")[2] < mean("recall", kind)[1]
    for kind in ("diffusion", "GAN, R1 + R2"):
        assert mean("nearer", kind, "few")[1] > 0.85
        assert mean("precision", kind, "few")[1] > mean("precision", kind)[2]
    assert {r["classes"] for r in rows_of("few") if r["kind"] == "GAN"} == {3, 4}
    assert mean("bits", "VAE", "few")[1] > 30


def test_what_notebook_26_says_of_the_grid():
    rows = [r for r in rivals.table() if r["part"] == "compare"]

    def of(model, column):
        found = [r[column] for r in rows if r["model"] == model]
        assert len(found) == 10
        return found

    (one,) = [r for r in rivals.table() if (r["part"], r["model"], r["modes"]) == ("search", "GAN", 1)]
    assert one["quality"] == 1 and one["width"] == pytest.approx(0.59, abs=0.005)
    assert (min(of("GAN", "modes")), max(of("GAN", "modes"))) == (15, 25)
    assert min(of("GAN, R1 + R2", "touched")) == 25 and min(of("GAN, R1 + R2", "modes")) == 22
    assert 1 / 3 < 1 - sum(of("GAN, R1 + R2", "quality")) / 10 < 0.4
    covered = dict(zip(of("VAE", "seed"), of("VAE", "modes"), strict=True))
    assert covered.pop(2) == 0 and min(covered.values()) >= 24 and min(of("VAE", "width")) > 1.1
    assert min(of("diffusion", "modes")) == 25
    assert max(of("diffusion", "kl")) < min(min(of(m, "kl")) for m in rivals.MODELS if m != "diffusion")
    assert max(of("diffusion", "nll")) < min(min(of(m, "nll")) for m in rivals.MODELS if m != "diffusion")
    fewest = [r for r in rivals.table() if (r["model"], r["sampler"]) == ("exact denoiser", "DDIM, 5 steps")]
    assert len(fewest) == 10 and {r["modes"] for r in fewest} == {1}
