"""The networks that ship are as good as the README says. The figures: benchmarks/digits_quality.py."""

import math
import sys

import pytest
import torch
from nbtools import ROOT

from diffusion_lab import data, metrics, pretrained, samplers
from diffusion_lab.forward import q_sample

sys.path.insert(0, str(ROOT / "benchmarks"))
import digits_quality


@pytest.fixture(scope="module")
def svc():
    return digits_quality.classifier()


def test_the_classifier_can_be_trusted(svc):
    assert digits_quality.accuracy(svc, *data.digits("test")) >= 0.98


@pytest.fixture(scope="module")
def samples(svc):
    """The quality of 1 800 unclipped samples."""
    return digits_quality.sample_quality(pretrained.load("digits"), svc, seed=0)


def test_digits_are_recognised_as_what_was_asked_for(samples):
    assert samples["recognised"] >= 0.96


def test_digits_are_distributed_like_digits(samples):
    assert samples["fréchet"] <= 1.3


def test_digits_are_not_copies(samples):
    assert samples["nearest"] >= 0.6


@pytest.mark.parametrize("snr", [3, 10])
def test_digits_never_seen_are_denoised_better_than_by_gaussians_or_by_heart(snr):
    errors = digits_quality.held_out_errors(pretrained.load("digits"), snr)
    assert errors["network"] <= 0.85 * errors["class Gaussians"]
    assert errors["network"] < errors["ideal for the training digits"]


def test_the_measured_quality_is_the_one_that_is_stored():
    for name in pretrained.names():
        measured = pretrained.measure(pretrained.load(name), pretrained.read_recipe(name), repeats=8)
        assert measured == pytest.approx(pretrained.quality(name), rel=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("t", [50, 100, 300, 600, 900])
def test_the_mixture_network_is_close_to_the_exact_denoiser(t):
    network, truth = pretrained.load("mixture"), data.toy_mixture()
    generator = torch.Generator().manual_seed(0)
    x_t = q_sample(truth.sample(20_000, generator), t, network.schedule, generator=generator)
    exact, learned = truth.denoiser(network.schedule)(x_t, t), network(x_t, t)
    assert (learned.eps - exact.eps).square().mean().sqrt() < 0.1
    assert (learned.x0 - exact.x0).square().mean().sqrt() < 0.03


@pytest.mark.parametrize("name", ["mixture", "moons"])
def test_points_land_where_the_data_is(name):
    network, n = pretrained.load(name), 2000
    generator = torch.Generator().manual_seed(0)
    x_T = samplers.p_sample_prior((n, 2), network.schedule, generator)
    *_, last = samplers.ddim(network, x_T, network.schedule, samplers.timesteps(network.schedule, 50))
    real, fresh = data.TOYS[name](n, generator), data.TOYS[name](n, generator)

    def mmd(a, b):
        return math.sqrt(max(0.0, metrics.mmd2(a, b, width=0.1)))

    uniform = 2 * torch.rand(n, 2, generator=generator) - 1
    assert mmd(last.x, real) < 0.05 + mmd(fresh, real)
    assert mmd(uniform, real) > 0.2, "what the bound is there to tell apart"
