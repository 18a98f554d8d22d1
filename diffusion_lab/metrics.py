"""Metrics: how close are samples to the data? Six answers, each blind to something that another one sees.

All of them compare rows: a, b [N, F] are the features of N images (`features.load().features`), or any other
numbers, also pixels. Other shapes are flattened. A metric sees only what its features see. Everything is
computed in float64 on the CPU, and every result is a plain number. Most depend on N as well as on the two
distributions (each docstring says how), so compare equal N only.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import check_data, check_int


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½), of Gaussians fitted to a and b.

    (Heusel et al. 2017.) a [N, F], b [M, F], at least 2 rows each. The unit is the square of the features'
    unit: this is a squared distance (Wasserstein-2, between the two Gaussians), and papers report it without
    the root. It is 0 for equal means and covariances, even if the rest differs. Small samples bias it
    upwards, by about a constant / N; the constant grows with the number of features (Bińkowski et al. 2018;
    Chong & Forsyth 2020).
    """
    a, b = _pair(a, b, "a", "b", least=2)
    # With centred rows A and B, Σ_a Σ_b = AᵀA BᵀB. Its non-zero eigenvalues are the squared singular values
    # of ABᵀ, or, with A = Q_a R_a, of R_a R_bᵀ. So no root is taken of numbers near zero, which rounding
    # spoils (Σ may be singular)
    R_a, R_b = (torch.linalg.qr((x - x.mean(0)) / math.sqrt(len(x) - 1), mode="r").R for x in (a, b))
    overlap = torch.linalg.svdvals(R_a @ R_b.mT).sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + R_a.square().sum() + R_b.square().sum() - 2 * overlap
    return max(0.0, distance.item())  # rounding may make 0 negative


def inception_score(probabilities: Tensor) -> float:
    """exp E_x[KL(p(y|x) ‖ p(y))], with p(y) = E_x[p(y|x)] (Salimans et al. 2016, section 4).

    probabilities [N, K] are p(y|x), in rows that sum to 1. The score goes from 1 (p(y|x) is the same for
    every x) to K (every x is certain, and all classes are equally frequent). It never looks at the data.
    Small samples bias it downwards, since every row is part of the mean it is compared with: N rows reach at
    most N.
    """
    p = _rows(probabilities, "probabilities", least=1)
    if (p < 0).any() or not torch.allclose(p.sum(1), torch.ones(len(p)).double(), atol=1e-4):
        raise ValueError(
            "probabilities must be at least 0 and sum to 1 in each row; got entries from "
            f"{p.min():.3g}, and sums from {p.sum(1).min():.6g} to {p.sum(1).max():.6g}"
        )
    kl = (torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1)  # nats
    return kl.mean().exp().item()


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """The share of `generated` inside the real set, and of `real` inside the generated set.

    (Kynkäänniemi et al. 2019, eq. 1–2.) A set is the union of balls around its points, each reaching to its
    point's k-th nearest neighbour in the set. real [N, F], generated [M, F], more than k rows each; both
    results lie in 0…1. Precision measures fidelity, recall measures coverage. Both depend on N, M and k, and
    two halves of the same data do not score 1. An outlier has a large ball.
    """
    k = check_int(k, "k", 1)
    real, generated = _pair(real, generated, "real", "generated", least=k + 1)
    between = distances(real, generated)  # [N, M]
    precision = (between <= _radius(real, k)[:, None]).any(0).double().mean()
    recall = (between <= _radius(generated, k)).any(1).double().mean()
    return precision.item(), recall.item()


def density_coverage(real: Tensor, generated: Tensor, k: int = 5) -> tuple[float, float]:
    """The mean number of real balls around a generated point, over k; and the share of balls that hold one.

    (Naeem et al. 2020.) real [N, F], more than k rows, generated [M, F], at least 1. The balls are as in
    `precision_recall`, but around the real points only. So an outlier among the generated points covers
    nothing, and an outlier among the real points counts once. As in the authors' code, a ball's rim is
    outside.

    Unlike for precision and recall, the score of equal distributions is known at every N, M and k. Density
    then has the mean 1; it exceeds 1 if samples crowd together where real points are crowded already.
    Coverage, in 0…1, has the mean 1 − ∏_{i=1}^{k} (N − i)/(N + M − i), about 1 − 2^−k for N = M.
    """
    k = check_int(k, "k", 1)
    real, generated = _rows(real, "real", k + 1), _rows(generated, "generated", 1)
    inside = distances(real, generated) < _radius(real, k)[:, None]  # [N, M]
    return inside.double().sum(0).mean().item() / k, inside.any(1).double().mean().item()


def _radius(x: Tensor, k: int) -> Tensor:
    """The distance from each row to its k-th nearest other row."""
    return distances(x, x).kthvalue(k + 1).values  # k + 1, since the nearest row is the row itself


def mmd2(a: Tensor, b: Tensor, width: float | None = None) -> float:
    """E k(x, x') + E k(y, y') − 2 E k(x, y): squared maximum mean discrepancy.

    (Gretton et al. 2012, lemma 6.) a [N, F], b [M, F], at least 2 rows each. The kernel k is (x·y/F + 1)³,
    which makes it the kernel Inception distance (Bińkowski et al. 2018), or, given a width, exp(−‖x − y‖²/(2
    width²)). Pairs of a row with itself are left out, so it is unbiased at every N: for equal distributions
    its mean is 0, and it is negative about half of the time.
    """
    if width is not None and not (math.isfinite(width) and width > 0):
        raise ValueError(f"width must be None or a finite number above 0; got {width!r}")
    a, b = _pair(a, b, "a", "b", least=2)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        if width is None:
            return (x @ y.mT / x.shape[1] + 1) ** 3
        return torch.exp(-distances(x, y).square() / (2 * width**2))

    aa, bb = (k.sum() - k.trace() for k in (kernel(a, a), kernel(b, b)))
    N, M = len(a), len(b)
    return (aa / (N * (N - 1)) + bb / (M * (M - 1)) - 2 * kernel(a, b).mean()).item()


class Memorisation(NamedTuple):
    """The result of `memorisation`.

    :ivar ratio: mean distance of a sample to the nearest training example, over that of a held-out example:
        0 for copies, 1 for samples at the distance of new data
    :ivar nearer: probability that a sample is nearer to the training set than a held-out example is: ½ for
        new data, 1 for copies
    """

    ratio: float
    nearer: float


def memorisation(samples: Tensor, train: Tensor, held_out: Tensor) -> Memorisation:
    """Are samples nearer to the training examples than held-out data is? (Meehan, Chaudhuri & Dasgupta 2020.)

    samples [N, F], train [M, F], held_out [L, F], pixels or features, compared in Euclidean distance to the
    nearest row of train. `nearer` is 1 − their Δ_T, which counts the sample that is *farther*: the
    Mann–Whitney U of the held-out distances over N·L, where equal distances count half. It is unbiased in N
    and L, and for equal distributions its standard deviation is √((N + L + 1)/(12 N L)). `ratio` says by how
    much. In a mean, far-off samples hide copies, so look at both. Blur, too, lowers the distance without
    copying.
    """
    samples, train = _pair(samples, train, "samples", "train", least=1)
    held_out, _ = _pair(held_out, train, "held_out", "train", least=1)
    ours, theirs = (distances(x, train).min(1).values for x in (samples, held_out))
    if theirs.mean() == 0:
        raise ValueError("held_out must differ from train; each of its rows is one of train's")
    order = (theirs[:, None] - ours).sign()  # +1 where the sample is nearer
    return Memorisation((ours.mean() / theirs.mean()).item(), (0.5 + order.mean() / 2).item())


def distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖: [N, F] and [M, F] -> [N, M] float64.

    Computed from the differences: with √(‖a‖² − 2 a·b + ‖b‖²), close points would lose half their digits, and
    the distance of a point from itself would not be 0.
    """
    a, b = _pair(a, b, "a", "b", least=1)
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _pair(a: Tensor, b: Tensor, name_a: str, name_b: str, least: int) -> tuple[Tensor, Tensor]:
    a, b = _rows(a, name_a, least), _rows(b, name_b, least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{name_a} and {name_b} must have equally many columns; got {a.shape[1]} and {b.shape[1]}"
        )
    return a, b


def _rows(x: Tensor, name: str, least: int) -> Tensor:
    """x as rows [N, F] in float64 on the CPU; ValueError if there are too few."""
    check_data(x, name)
    if x.ndim < 2 or x[:1].numel() == 0 or len(x) < least:
        raise ValueError(f"{name} must be [N, F] with N ≥ {least} and F ≥ 1; got shape {list(x.shape)}")
    return x.detach().cpu().double().flatten(1)
