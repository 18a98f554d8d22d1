"""Gaussian and kl, against torch.distributions and scipy."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import distributions as td

from diffusion_lab.gaussian import Gaussian, kl

finite = st.floats(-5, 5)
positive = st.floats(1e-3, 1e3)

# mean's shape, var's shape: one number for all, one per example, one per axis, one per entry
SHAPES = [
    ((5,), ()),
    ((5,), (5,)),
    ((5, 5), (5, 1)),
    ((5, 5), (1, 5)),
    ((3, 2), (3, 2)),
    ((4, 1, 3, 3), (4, 1, 1, 1)),
]


def a_gaussian(shape, var_shape=(), seed=0):
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(shape, generator=g, dtype=torch.float64)
    return Gaussian(mean, torch.rand(var_shape, generator=g, dtype=torch.float64) + 0.1)


def as_torch(gaussian: Gaussian) -> td.Distribution:
    normal = td.Normal(gaussian.mean, gaussian.var.sqrt().expand(gaussian.mean.shape))
    return td.Independent(normal, gaussian.mean.ndim - 1)


@pytest.mark.parametrize(("shape", "var_shape"), SHAPES)
def test_log_prob_is_that_of_torch_distributions(shape, var_shape):
    gaussian = a_gaussian(shape, var_shape)
    x = torch.randn(shape, dtype=torch.float64)
    assert gaussian.log_prob(x).shape == shape[:1]
    torch.testing.assert_close(gaussian.log_prob(x), as_torch(gaussian).log_prob(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("shape", "var_shape"), SHAPES)
def test_kl_is_that_of_torch_distributions(shape, var_shape):
    p, q = a_gaussian(shape, var_shape, seed=1), a_gaussian(shape, var_shape, seed=2)
    expected = td.kl_divergence(as_torch(p), as_torch(q))
    torch.testing.assert_close(kl(p, q), expected, rtol=0, atol=1e-10)


@given(finite, positive, finite, positive)
def test_kl_is_that_of_torch_distributions_for_any_two_gaussians(m, v, n, w):
    p = Gaussian(torch.full((2, 3), m, dtype=torch.float64), v)
    q = Gaussian(torch.full((2, 3), n, dtype=torch.float64), w)
    expected = td.kl_divergence(as_torch(p), as_torch(q))
    torch.testing.assert_close(kl(p, q), expected, rtol=1e-10, atol=1e-10)


def test_a_mean_without_axes_stands_for_every_coordinate():
    p = a_gaussian((4, 3))
    one, full = Gaussian(torch.tensor(0.5).double(), 2.0), Gaussian(torch.full((4, 3), 0.5).double(), 2.0)
    assert torch.equal(kl(p, one), kl(p, full))
    assert torch.equal(one.log_prob(p.mean), full.log_prob(p.mean))


@given(st.floats(-1e-6, 1e-6), st.sampled_from([torch.float32, torch.float64]))
def test_kl_of_nearly_equal_gaussians_is_not_negative(difference, dtype):
    mean = torch.zeros(1, 1000, dtype=dtype)
    p, q = Gaussian(mean, 1.0), Gaussian(mean, 1.0 + difference)
    assert kl(p, p).item() == 0
    assert kl(p, q).item() >= 0


def test_kl_keeps_its_digits_in_float32_where_two_variances_almost_agree():
    """The ELBO's prior term at the end of a good schedule: both variances are 1 to four digits."""
    exact, single = (
        kl(Gaussian(torch.zeros(1, 784, dtype=dtype), 1 - 2**-12), Gaussian(torch.tensor(0.0).to(dtype), 1.0))
        for dtype in (torch.float64, torch.float32)
    )
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=0)


@pytest.mark.parametrize("v", [1e-30, 1e-12, 1e-9, 1e-7, 1e-3, 0.4, 0.6, 1.5, 1e3, 1e9])
@pytest.mark.parametrize("w", [1e-9, 1.0, 1e9])
def test_kl_is_right_in_float32_however_far_apart_the_variances(v, w):
    """1 + (v/w − 1) forgets a v/w below 1e-8, and its log would be −∞."""
    mean = torch.full((2, 3), 0.5)
    p, q = Gaussian(mean, v), Gaussian(mean, w)
    exact = td.kl_divergence(*(as_torch(Gaussian(g.mean.double(), g.var.double())) for g in (p, q)))
    torch.testing.assert_close(kl(p, q).double(), exact, rtol=1e-5, atol=0)


def test_samples_have_the_distribution_that_is_claimed():
    g = torch.Generator().manual_seed(0)
    draws = Gaussian(torch.full((20_000,), 3.0), 4.0).sample(g)  # a variance of 4 is a std of 2
    assert stats.kstest(draws.numpy(), stats.norm(3, 2).cdf).pvalue > 1e-3


def test_a_seed_gives_the_same_draw_and_another_seed_another():
    gaussian = a_gaussian((3, 2))
    draws = [gaussian.sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_point_mass_can_be_sampled_but_has_no_density():
    point = Gaussian(torch.randn(4, 2), 0.0)
    assert torch.equal(point.sample(), point.mean)
    with pytest.raises(ValueError, match="log_prob needs a variance above 0"):
        point.log_prob(point.mean)
    for p, q in [(point, Gaussian(point.mean, 1.0)), (Gaussian(point.mean, 1.0), point)]:
        with pytest.raises(ValueError, match="kl needs a variance above 0"):
            kl(p, q)


@pytest.mark.parametrize("var_shape", [(5,), (2, 5), (4, 5, 1), (1,)])
def test_a_variance_that_only_broadcasts_by_luck_is_refused(var_shape):
    with pytest.raises(ValueError, match="var must be one number or fit mean"):
        Gaussian(torch.zeros(5, 5), torch.ones(var_shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(torch.zeros(3, dtype=torch.long), 1.0), "mean must be a floating-point"),
        (lambda: Gaussian(torch.tensor([0.0, float("nan")]), 1.0), "mean must be finite"),
        (lambda: Gaussian(torch.zeros(3), -1.0), "var must not be negative"),
        (lambda: Gaussian(torch.zeros(3), float("nan")), "var must be finite"),
        (lambda: Gaussian(torch.zeros(3), float("inf")), "var must be finite"),
        (lambda: Gaussian(torch.zeros(3, 2), 1.0).log_prob(torch.zeros(2, 3)), r"x must have shape \[3, 2\]"),
        (
            lambda: Gaussian(torch.zeros(3, 2), 1.0).log_prob(torch.full((3, 2), torch.nan)),
            "x must be finite",
        ),
        (lambda: kl(Gaussian(torch.zeros(3, 2), 1.0), Gaussian(torch.zeros(3, 1), 1.0)), "p and q must have"),
        (
            lambda: Gaussian(0.5, 1.0).log_prob(torch.tensor(0.2)),
            r"x must be a batch \[B, \*D\]; got one number",
        ),
        (
            lambda: kl(Gaussian(0.5, 1.0), Gaussian(0.1, 1.0)),
            r"p.mean must be a batch .*; got one number, 0\.5",
        ),
        (lambda: Gaussian(torch.zeros(3), 1.0).sample(generator=0), "generator must be None or .*; got 0"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
