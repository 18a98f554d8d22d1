"""The metrics against closed forms, torchmetrics and scikit-learn; and what few samples do to each."""

import math
import warnings

import numpy as np
import pytest
import torch
from close import assert_close
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.neighbors import NearestNeighbors

from diffusion_lab import data, features
from diffusion_lab.metrics import (
    density_coverage,
    distances,
    frechet_distance,
    inception_score,
    memorisation,
    mmd2,
    precision_recall,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(n, mean, root, seed=0):
    """n points whose sample mean and (unbiased) covariance are exactly `mean` and root rootᵀ."""
    x = normal(n, len(mean), seed=seed)
    x = x - x.mean(0)
    white = x @ torch.linalg.inv(torch.linalg.cholesky(x.mT.cov().reshape(len(mean), -1))).mT
    return mean + white @ root.mT


def rotation(dim, seed=0):
    return torch.linalg.qr(normal(dim, dim, seed=seed)).Q


@pytest.fixture(scope="module")
def digits():
    """(features, probabilities) of the training digits, and of the held-out ones."""
    classifier = features.load()
    return [
        (classifier.features(images).double(), classifier.probabilities(images).double())
        for images in (data.digits("train")[0], data.digits("test")[0])
    ]


# The Fréchet distance


def test_fréchet_of_gaussians_with_the_same_axes():
    # for commuting covariances it is ‖μ_a − μ_b‖² + Σ (s_a − s_b)²
    axes, s_a, s_b = (
        rotation(4),
        torch.tensor([1.0, 2, 3, 0.5]).double(),
        torch.tensor([4.0, 1, 3, 0.1]).double(),
    )
    mean_a, mean_b = normal(4, seed=1), normal(4, seed=2)
    a = with_moments(50, mean_a, axes * s_a, seed=3)
    b = with_moments(80, mean_b, axes * s_b, seed=4)
    expected = (mean_a - mean_b).square().sum() + (s_a - s_b).square().sum()
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-10)


def test_fréchet_of_a_linear_optimal_map():
    # y = μ + Tx with T symmetric positive definite is the optimal map between the Gaussians (Brenier), so the
    # distance is E‖y − x‖², whatever the axes
    x = with_moments(60, normal(5), normal(5, 5, seed=1), seed=2)
    T = rotation(5, seed=3) * torch.tensor([0.2, 0.7, 1.0, 2.0, 5.0]).double() @ rotation(5, seed=3).mT
    y = x @ T + normal(5, seed=4)
    moved = y - x
    expected = moved.mean(0).square().sum() + moved.mT.cov().trace()
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-10)
    assert frechet_distance(y, x) == pytest.approx(expected.item(), rel=1e-10)


def test_fréchet_with_fewer_rows_than_features():
    # between two lines through one point, along u and v: the covariances are s² uuᵀ and r² vvᵀ, and the
    # root of their product has the trace s r |u·v|
    u, v = rotation(30)[0], rotation(30, seed=1)[0]
    a, b = torch.stack([u, -u]) * 2, torch.stack([v, 0 * v, -v]) * 3
    s2, r2 = 4 * 2, 9.0  # sums of squares over N − 1
    expected = s2 + r2 - 2 * math.sqrt(s2 * r2) * (u @ v).abs()
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-12)
    few = normal(10, 500)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(few, few + 1) == pytest.approx(500, rel=1e-12)


def test_fréchet_sees_only_the_moments():
    # two points at ±1 in the place of a Gaussian: equal mean and variance, so no distance at all
    two = torch.tensor([[-1.0], [1.0]]).double().repeat(500, 1)
    many = with_moments(1000, torch.zeros(1).double(), two.std() * torch.eye(1).double())
    assert frechet_distance(two, many) == pytest.approx(0, abs=1e-12)
    assert mmd2(two, many, width=0.3) > 0.1


# The inception score


def test_inception_score_at_its_extremes_and_in_between():
    sure = torch.eye(10).double()
    assert inception_score(sure) == pytest.approx(10, rel=1e-12)
    assert inception_score(sure[:4].repeat(5, 1)) == pytest.approx(4, rel=1e-12), "four classes only"
    assert inception_score(sure[[3, 3, 3]]) == pytest.approx(1, rel=1e-12), "one class"
    assert inception_score(torch.full((7, 10), 0.1)) == pytest.approx(1, rel=1e-6), "never sure"
    # sure with probability q in each of two classes: exp(log 2 − H(q)), H the binary entropy in nats
    q = 0.9
    entropy = -q * math.log(q) - (1 - q) * math.log(1 - q)
    p = torch.tensor([[q, 1 - q], [1 - q, q]], dtype=torch.float64)
    assert inception_score(p) == pytest.approx(2 * math.exp(-entropy), rel=1e-12)


@given(st.integers(1, 30), st.integers(2, 12), st.integers(0, 99))
def test_inception_score_lies_between_1_and_the_least_of_rows_and_classes(n, K, seed):
    score = inception_score((4 * normal(n, K, seed=seed)).softmax(1))
    assert 1 - 1e-12 <= score <= min(n, K) + 1e-9


# Precision and recall


def test_precision_and_recall_of_sets_on_a_line():
    # spacing 1: with k = 2 every inner ball reaches 1 and the two outer ones 2, so the set is [−2, 11]
    real = torch.arange(10.0)[:, None]
    inside, outside = torch.linspace(-2, 11, 27)[:, None], torch.tensor([[-2.01], [11.01], [40.0]])
    assert precision_recall(real, torch.cat([inside, outside]), k=2)[0] == pytest.approx(27 / 30)
    # of real, the first half is dropped: precise, and (the balls of 5…9 reach from 3 to 11) recall 0.7
    assert precision_recall(real, real[5:], k=2) == pytest.approx((1, 0.7))
    assert precision_recall(real, real, k=2) == (1, 1)
    assert precision_recall(real, real + 100, k=2) == (0, 0)


@given(st.integers(5, 30), st.integers(5, 30), st.integers(1, 4), st.integers(0, 99))
def test_precision_and_recall_change_places_with_the_sets(n, m, k, seed):
    real, generated = normal(n, 3, seed=seed), 0.5 + normal(m, 3, seed=seed + 1000)
    precision, recall = precision_recall(real, generated, k)
    assert precision_recall(generated, real, k) == (recall, precision)
    more = precision_recall(real, generated, k + 1) if min(n, m) > k + 1 else (1, 1)
    assert more[0] >= precision and more[1] >= recall, "larger balls hold no less"


# Density and coverage


def test_density_and_coverage_of_sets_on_a_line():
    # spacing 1 and k = 2: inner balls have radius 1, the two outer ones 2, and their rims are outside
    real = torch.arange(10.0)[:, None]
    density, coverage = density_coverage(real, torch.tensor([[0.5], [0.5], [4.0], [30.0]]), k=2)
    # in the balls of 0, 1; the same; of 4 alone; of none
    assert density == pytest.approx((2 + 2 + 1 + 0) / (2 * 4)) and coverage == pytest.approx(3 / 10)
    # -1.5 is in the ball of 0 alone, 10.5 in that of 9: precision forgives what density does not
    assert density_coverage(real, torch.tensor([[-1.5], [10.5]]), k=2) == pytest.approx((1 / 2, 2 / 10))
    assert density_coverage(real, real + 100, k=2) == (0, 0)


@pytest.mark.parametrize(("N", "M", "k"), [(6, 6, 5), (20, 20, 5), (20, 50, 3), (50, 10, 1)])
def test_what_equal_distributions_score_is_known_at_every_size(N, M, k):
    values = torch.tensor(
        [density_coverage(normal(N, 3, seed=s), normal(M, 3, seed=s + 5000), k) for s in range(1500)]
    ).double()
    error = values.std(0) / len(values) ** 0.5
    expected = 1 - math.prod((N - i) / (N + M - i) for i in range(1, k + 1))
    assert ((values.mean(0) - torch.tensor([1.0, expected])).abs() < 4 * error).all()


def test_an_outlier_does_not_change_density_and_coverage_as_it_does_precision_and_recall():
    real, generated = normal(200, 2), normal(200, 2, seed=1) + torch.tensor([8.0, 0.0]).double()
    far = torch.tensor([[30.0, 0.0]]).double()  # its ball reaches back over all that is generated
    precision, density = (
        m(torch.cat([real, far]), generated, 3)[0] for m in (precision_recall, density_coverage)
    )
    assert precision == 1 and density < 0.5
    recall = precision_recall(real, torch.cat([generated, -far]), 3)[1]
    assert recall == 1 and density_coverage(real, torch.cat([generated, -far]), 3)[1] < 0.1


# Maximum mean discrepancy


def test_mmd_of_points_by_hand():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])
    # (xy + 1)³ is 1 between 0 and anything, 27 between 2 and 1, 343 between 2 and 3, 64 between 1 and 3
    assert mmd2(a, b) == pytest.approx(1 + 64 - 2 * (1 + 1 + 27 + 343) / 4, rel=1e-12)
    g = [math.exp(-(d**2) / 8) for d in range(4)]
    assert mmd2(a, b, width=2) == pytest.approx(2 * g[2] - (3 * g[1] + g[3]) / 2, rel=1e-12)


def test_mmd_of_gaussians_is_the_closed_form():
    # E exp(−(x − y)²/2w²) = w/√(w² + v) exp(−m²/2(w² + v)) for x − y of mean m and variance v; here unit
    # variances, means 1 apart in two dimensions, w = 1: v = 2
    a, b = normal(4000, 2), normal(4000, 2, seed=1) + torch.tensor([1.0, 0.0]).double()
    expected = 2 * (1 / 3) * (1 - math.exp(-1 / 6))
    assert mmd2(a, b, width=1.0) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("width", [None, 1.0])
@pytest.mark.parametrize("n", [2, 10, 50])
def test_mmd_has_mean_zero_for_equal_distributions_at_every_size(n, width):
    values = torch.tensor(
        [mmd2(normal(n, 2, seed=s), normal(n, 2, seed=s + 5000), width) for s in range(2000)]
    )
    error = values.std() / len(values) ** 0.5
    assert values.mean().abs() < 4 * error
    assert (values < 0).double().mean() > 0.3, "unbiased, so often below zero"


# Memorisation


def test_memorisation_tells_copies_from_new_data():
    train, held_out, fresh = (normal(400, 2, seed=s) for s in range(3))
    copies = memorisation(train[:100], train, held_out)
    assert copies.ratio == 0 and copies.nearer > 0.99
    assert memorisation(held_out, train, held_out) == pytest.approx((1, 0.5), abs=1e-12)
    # within four of the docstring's standard deviations
    assert abs(memorisation(fresh, train, held_out).nearer - 0.5) < 4 * math.sqrt(801 / (12 * 400 * 400))
    half = torch.cat([train[:200], fresh[:200]])
    assert memorisation(half, train, held_out).nearer == pytest.approx(0.75, abs=0.05)


def test_memorisation_by_hand():
    train, held_out = torch.tensor([[0.0], [10.0]]), torch.tensor([[1.0], [13.0]])
    samples = torch.tensor([[10.5], [2.0], [-3.0], [20.0]])  # at 0.5, 2, 3, 10, where held-out is at 1 and 3
    found = memorisation(samples, train, held_out)
    assert found.ratio == pytest.approx((15.5 / 4) / 2)
    assert found.nearer == pytest.approx((2 + 1 + 0.5 + 0) / 8), "a tie counts half"


def test_the_spread_of_nearer_is_the_one_in_its_docstring():
    n, m = 20, 30
    values = torch.tensor(
        [
            memorisation(
                normal(n, 1, seed=s), normal(1000, 1, seed=s + 3000), normal(m, 1, seed=s + 6000)
            ).nearer
            for s in range(1000)
        ]
    )
    expected = math.sqrt((n + m + 1) / (12 * n * m))
    assert values.mean() == pytest.approx(0.5, abs=4 * expected / 1000**0.5)
    assert values.std() == pytest.approx(expected, rel=0.1)


# Published code, on the same features


class Same(torch.nn.Module):
    """The "network" of torchmetrics: what goes in is the feature already."""

    num_features = features.N_FEATURES

    def forward(self, x):
        return x


def published(metric, *batches, **arguments):
    """What a metric of torchmetrics says in double precision, after update(*batch) for each batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of memory, and of deprecated things inside
        metric = metric(feature=Same(), normalize=False, **arguments).set_dtype(torch.float64)
        for batch in batches:
            metric.update(*batch)
        return metric.compute()


def test_fréchet_agrees_with_torchmetrics(digits):
    from torchmetrics.image.fid import FrechetInceptionDistance

    (train, _), (test, _) = digits
    for a in (test, test[:100] + 0.3 * normal(100, features.N_FEATURES)):
        theirs = published(
            FrechetInceptionDistance, (train, True), (a, False), input_img_size=(features.N_FEATURES,)
        )
        assert frechet_distance(train, a) == pytest.approx(theirs.item(), rel=1e-6)


def test_inception_score_agrees_with_torchmetrics(digits):
    from torchmetrics.image.inception import InceptionScore

    for _, p in digits:
        mean, _ = published(InceptionScore, (p.clamp(min=1e-300).log(),), splits=1)
        assert inception_score(p) == pytest.approx(mean.item(), rel=1e-6)


def test_mmd_agrees_with_torchmetrics(digits):
    from torchmetrics.image.kid import KernelInceptionDistance

    (train, _), (test, _) = digits
    n = len(test)  # one "subset" of all n rows: what is left of chance is their order
    for b in (test, test + 0.3 * normal(*test.shape)):
        mean, _ = published(KernelInceptionDistance, (train[:n], True), (b, False), subsets=1, subset_size=n)
        assert mmd2(train[:n], b) == pytest.approx(mean.item(), rel=1e-6)


def test_mmd_agrees_with_scikit_learn(digits):
    (train, _), (test, _) = digits
    w = 2.0
    kernels = {
        None: dict(metric=polynomial_kernel, degree=3),
        w: dict(metric=rbf_kernel, gamma=1 / (2 * w**2)),
    }
    for width, arguments in kernels.items():
        kernel = arguments.pop("metric")

        def mean(x, y, kernel=kernel, arguments=arguments):
            k = kernel(x.numpy(), y.numpy(), **arguments)
            return np.delete(k.ravel(), np.arange(len(k)) * (len(k) + 1)).mean() if x is y else k.mean()

        theirs = mean(train, train) + mean(test, test) - 2 * mean(train, test)
        assert mmd2(train, test, width) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_precision_and_recall_agree_with_scikit_learn(digits, k):
    (train, _), (test, _) = digits
    a, b = train.numpy(), test.numpy()

    def inside(points, of):
        """Whether each point is in some ball of the set."""
        neighbours = NearestNeighbors(algorithm="brute").fit(of)
        reach = neighbours.kneighbors(n_neighbors=k)[0][:, -1]  # of the set's own points, each without itself
        every, index = neighbours.kneighbors(points, n_neighbors=len(of))
        return (every <= reach[index]).any(1).mean()

    assert precision_recall(train, test, k) == pytest.approx((inside(b, a), inside(a, b)), abs=1e-6)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_density_and_coverage_agree_with_scikit_learn(digits, k):
    (train, _), (test, _) = digits
    real = train.numpy()
    neighbours = NearestNeighbors(algorithm="brute").fit(real)
    radius = neighbours.kneighbors(n_neighbors=k)[0][:, -1]
    for generated in (test, test + 0.3 * normal(*test.shape), test[:7].repeat(20, 1)):
        every, index = neighbours.kneighbors(generated.numpy(), n_neighbors=len(real))
        inside = every < radius[index]
        covered = len(np.unique(index[inside])) / len(real)
        assert density_coverage(train, generated, k) == pytest.approx(
            (inside.sum(1).mean() / k, covered), abs=1e-6
        )


def test_memorisation_agrees_with_scikit_learn_and_scipy(digits):
    from scipy.stats import mannwhitneyu

    (train, _), (test, _) = digits
    samples = test + 0.1 * normal(*test.shape)
    nearest = NearestNeighbors(n_neighbors=1).fit(train.numpy())
    ours, theirs = (nearest.kneighbors(x.numpy())[0][:, 0] for x in (samples, test))
    found = memorisation(samples, train, test)
    assert found.ratio == pytest.approx(ours.mean() / theirs.mean(), rel=1e-6)
    u = mannwhitneyu(theirs, ours).statistic  # pairs in which the held-out one is farther off
    assert found.nearer == pytest.approx(u / (len(ours) * len(theirs)), rel=1e-6)
    delta = mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))  # as in the paper's own code
    assert found.nearer == pytest.approx(1 - delta, rel=1e-6)


# What holds for any data


@given(st.integers(0, 999), st.integers(5, 40), st.integers(5, 40), st.integers(1, 6))
def test_order_place_and_direction_do_not_matter(seed, n, m, dim):
    a, b = normal(n, dim, seed=seed), 0.3 + 1.5 * normal(m, dim, seed=seed + 1000)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    turn, shift = rotation(dim, seed=seed), normal(dim, seed=seed + 2000)
    for metric in (
        frechet_distance,
        mmd2,
        lambda a, b: mmd2(a, b, width=1.0),
        lambda a, b: precision_recall(a, b)[0],
        lambda a, b: precision_recall(a, b)[1],
        lambda a, b: density_coverage(a, b, 3)[0],
        lambda a, b: density_coverage(a, b, 3)[1],
        lambda a, b: memorisation(a, b[::2], b[1::2]).ratio,
    ):
        value = metric(a, b)
        assert metric(a[order], b) == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert metric(a @ turn, b @ turn) == pytest.approx(value, rel=1e-6, abs=1e-9)
        if metric is not mmd2:  # the polynomial kernel knows where the origin is
            assert metric(a + shift, b + shift) == pytest.approx(value, rel=1e-6, abs=1e-9)


@given(st.integers(0, 999), st.integers(2, 30), st.integers(1, 6))
def test_distances_of_a_set_to_itself_are_zero_and_fréchet_is_symmetric(seed, n, dim):
    a, b = normal(n, dim, seed=seed), 2 * normal(n, dim, seed=seed + 1000)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * frechet_distance(a, b), rel=1e-10)
    assert mmd2(a, b) == pytest.approx(mmd2(b, a), rel=1e-10)


def test_distances_are_taken_from_differences():
    # far from the origin and close together: through ‖a‖² − 2 a·b + ‖b‖² all would be lost
    a = 1e6 + normal(5, 784)
    b = a + 1e-3 * normal(5, 784, seed=1)
    assert_close(distances(a, b).diagonal(), (a - b).norm(dim=1), rtol=1e-12)
    assert (distances(a, a).diagonal() == 0).all()


def test_images_and_float32_are_welcome():
    train, test = (data.digits(split)[0][:200] for split in ("train", "test"))
    for metric in (frechet_distance, mmd2, precision_recall, density_coverage):
        assert metric(train, test) == metric(train.flatten(1).double(), test.flatten(1).double())


# What few samples do


def measured(sizes, metric, repeats):
    """Mean over draws of `metric(n, seed)` for each n, and the standard error of each."""
    values = torch.tensor([[metric(n, 1000 * n + s) for s in range(repeats)] for n in sizes])
    return values.mean(1), values.std(1) / repeats**0.5


def test_fréchet_falls_as_one_over_n():
    # two draws of one Gaussian: the truth is 0
    mean, _ = measured(
        [50, 100, 200, 400],
        lambda n, s: frechet_distance(normal(n, 8, seed=s), normal(n, 8, seed=-s - 1)),
        60,
    )
    slopes = (mean[1:] / mean[:-1]).log2()
    assert_close(slopes, torch.full((3,), -1.0), rtol=0, atol=0.1)


def test_inception_score_grows_with_n(digits):
    p = digits[0][1]

    def score(n, seed):
        return inception_score(p[torch.randint(len(p), (n,), generator=torch.Generator().manual_seed(seed))])

    mean, error = measured([10, 20, 40, 80, 320], score, 60)
    assert (mean.diff() > 4 * error[1:]).all()
    assert mean[0] < 7 and mean[-1] > 9.4 and mean[-1] < inception_score(p)


def test_precision_and_recall_forgive_more_with_fewer_points():
    # two parallel lines, 0.1 apart: nothing of one lies on the other, but the balls of few points are large
    def line(n, seed, y):
        u = torch.rand(n, generator=torch.Generator().manual_seed(seed))
        return torch.stack([u, torch.full_like(u, y)], dim=1)

    for i in (0, 1):

        def found(n, seed, i=i):
            return precision_recall(line(n, seed, 0.0), line(n, seed + 500, 0.1))[i]

        mean, _ = measured([5, 20, 40, 320], found, 30)
        assert mean[0] > 0.9 and (mean.diff() < -0.05).all() and mean[-1] == 0
    # and of one line in two draws, where the truth is 1, a part is always missed
    mean, _ = measured(
        [20, 80, 320], lambda n, s: precision_recall(line(n, s, 0), line(n, s + 500, 0))[0], 30
    )
    assert (0.9 < mean).all() and (mean < 1).all()


def test_nearer_has_no_bias_but_the_training_set_decides_what_is_near():
    def nearer(n, s):
        parts = [normal(n, 4, seed=s), normal(200, 4, seed=s + 300), normal(n, 4, seed=s + 600)]
        return memorisation(*parts).nearer

    mean, error = measured([5, 20, 80], nearer, 150)
    assert ((mean - 0.5).abs() < 4 * error).all()


# Bad input

GOOD = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
CALLS = {
    "frechet_distance": (lambda x: frechet_distance(x, GOOD), "a", 2),
    "frechet_distance, b": (lambda x: frechet_distance(GOOD, x), "b", 2),
    "mmd2": (lambda x: mmd2(x, GOOD), "a", 2),
    "mmd2, b": (lambda x: mmd2(GOOD, x, 1.0), "b", 2),
    "precision_recall": (lambda x: precision_recall(x, GOOD), "real", 4),
    "precision_recall, generated": (lambda x: precision_recall(GOOD, x, 5), "generated", 6),
    "density_coverage": (lambda x: density_coverage(x, GOOD), "real", 6),
    "density_coverage, generated": (lambda x: density_coverage(GOOD, x), "generated", 1),
    "memorisation": (lambda x: memorisation(x, GOOD, GOOD + 1), "samples", 1),
    "memorisation, train": (lambda x: memorisation(GOOD, x, GOOD), "train", 1),
    "memorisation, held_out": (lambda x: memorisation(GOOD, GOOD, x), "held_out", 1),
    "inception_score": (inception_score, "probabilities", 1),
    "distances": (lambda x: distances(x, GOOD), "a", 1),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_rows_are_named(name):
    call, argument, least = CALLS[name]
    for bad in (GOOD[: least - 1], GOOD[:, :0], GOOD[:, 0], torch.tensor(1.0)):
        shape = str(list(bad.shape)).replace("[", r"\[").replace("]", r"\]")
        with pytest.raises(ValueError, match=rf"^{argument} must be .* ≥ {least} .*; got shape {shape}"):
            call(bad)
    for bad in (GOOD.long(), GOOD.numpy(), None):
        with pytest.raises(ValueError, match=f"^{argument} must be a floating-point tensor"):
            call(bad)
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^{argument} must be finite; 1 of its values"):
            call(torch.where(torch.arange(80).reshape(20, 4) == 7, value, GOOD))
    if argument != "probabilities":
        with pytest.raises(ValueError, match=r"must have equally many columns; got (4 and 3|3 and 4)"):
            call(GOOD[:, :3])


def test_bad_numbers_are_named():
    for k in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="k must be an integer of at least 1; got"):
            precision_recall(GOOD, GOOD, k)
        with pytest.raises(ValueError, match="k must be an integer of at least 1; got"):
            density_coverage(GOOD, GOOD, k)
    with pytest.raises(ValueError, match=r"real must be \[N, F\] with N ≥ 21"):
        precision_recall(GOOD, GOOD, 20)
    for width in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="width must be None or a finite number above 0; got"):
            mmd2(GOOD, GOOD, width)
    with pytest.raises(ValueError, match="held_out must differ from train"):
        memorisation(GOOD, GOOD, GOOD[:3])


@pytest.mark.parametrize("p", [[[0.5, 0.6]], [[1.5, -0.5]], [[0.2, 0.2]], [[0.0, 0.0]]])
def test_probabilities_must_be_probabilities(p):
    with pytest.raises(ValueError, match="probabilities must be at least 0 and sum to 1 in each row; got"):
        inception_score(torch.tensor(p))
