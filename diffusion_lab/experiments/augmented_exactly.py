"""What synthetic points add to a classifier, where everything is known: two Gaussian classes in the plane.

A classifier gets n real points of each class. A generator is fitted to the same points: a Gaussian for each
class. It draws m synthetic points for every real one, and the classifier learns from all of them. For
m → ∞ nothing is left but the generator, and the classifier becomes *its* decision rule, which is a classical
one: quadratic discriminant analysis (QDA) where each class has its own covariance, linear discriminant
analysis (LDA) where the classes share one (Hastie, Tibshirani & Friedman 2009, section 4.3).

A rule is a quadratic form's six coefficients (`terms`), and says class 1 where it is above 0. Its error is
computed exactly, not counted. ``python -m diffusion_lab.experiments.augmented_exactly`` averages the errors
over 200 draws of the real points, in a minute, and writes ``pretrained/augmented_exactly.csv``, which `table`
reads.
"""

import math
from functools import cache

import torch
from torch import Tensor

from ..applications.inverse.posterior import moments
from ..checks import check_batch, check_int
from ..exact import GaussianMixture
from ..pretrained import FOLDER
from ..tables import read_table, write_table

FILE = FOLDER / "augmented_exactly.csv"
FAMILIES = {
    "own": "own covariances",
    "shared": "one covariance",
    "round": "round",
    "truth": "the truth itself",
}
PER_CLASS, RATIOS = (5, 10, 20, 50, 200), (0, 1, 2, 4, 8, 16, 32, 64)
DRAWS = 200
RIDGE = 1.0  # of the logistic regression, scikit-learn's default

Rule = Tensor  # [6]: the coefficients of 1, x, y, x², xy, y²


@cache
def truth() -> GaussianMixture:
    """Two classes, equally frequent, which are long in different directions."""
    means = torch.tensor([[-0.7, 0.0], [0.7, 0.0]]).double()
    covariances = torch.tensor([[[1.0, 0.8], [0.8, 1.0]], [[0.5, -0.3], [-0.3, 0.5]]]).double()
    return GaussianMixture(means, covariances=covariances)


# ------------------------------------------------------------------------------------ rules and their errors
def terms(x: Tensor) -> Tensor:
    """The six terms of a quadratic form: `[…, 2] -> […, 6]`."""
    a, b = x.unbind(-1)
    return torch.stack([torch.ones_like(a), a, b, a * a, a * b, b * b], -1)


def rule_of(means: Tensor, covariances: Tensor) -> Rule:
    """log p(x|1) − log p(x|0) of two Gaussians, as six coefficients: Bayes' rule for equal weights."""
    inverse = torch.linalg.inv(covariances)  # [2, 2, 2]
    linear = torch.einsum("kij,kj->ki", inverse, means)
    constant = -0.5 * (torch.einsum("ki,ki->k", linear, means) + torch.logdet(covariances))
    parts = [constant, *linear.unbind(1), -0.5 * inverse[:, 0, 0], -inverse[:, 0, 1], -0.5 * inverse[:, 1, 1]]
    each = torch.stack(parts, 1)
    return each[1] - each[0]


def error(rules: Tensor, mixture: GaussianMixture | None = None, slices: int = 8001) -> Tensor:
    """How often rules [S, 6] are wrong about points of the mixture (`truth`): [S].

    On each slice, a line x = constant, the rule is a quadratic of y, and y given x is normal: so the share of
    a slice that it calls class 1 is a difference of two normal distribution functions. What is left is a
    smooth integral over x, and comes out to some 1e-5 (1e-4 where a boundary runs along y). Raises ValueError
    for rules of another shape.
    """
    check_batch(rules, "rules", (6,))
    means, covariances = moments(mixture or truth())
    wrong = torch.zeros(len(rules)).double()
    for k in (0, 1):
        std = covariances[k, 0, 0].sqrt()
        u = torch.linspace(-7, 7, slices).double()
        share = torch.exp(-0.5 * u**2) / math.sqrt(2 * math.pi) * (14 / (slices - 1))
        x = means[k, 0] + std * u
        mean = means[k, 1] + covariances[k, 0, 1] / std * u
        deviation = (covariances[k, 1, 1] - covariances[k, 0, 1] ** 2 / std**2).sqrt()
        one, first, second, xx, xy, yy = (part[:, None] for part in rules.double().unbind(1))
        above = _share_above(yy, second + xy * x, one + first * x + xx * x**2, mean, deviation)
        wrong += 0.5 * ((above if k == 0 else 1 - above) * share).sum(1)
    return wrong


def _share_above(a: Tensor, b: Tensor, c: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """P(a y² + b y + c > 0) for y ~ N(mean, std²)."""
    inside = b * b - 4 * a * c
    q = -0.5 * (b + torch.where(b < 0, -1.0, 1.0) * inside.clamp(min=0).sqrt())  # the stable formula of roots
    roots = torch.stack(torch.broadcast_tensors(q / (a + 0.0), c / q))
    low, high = (torch.special.ndtr((r - mean) / std) for r in (roots.amin(0), roots.amax(0)))
    return torch.where(inside > 0, torch.where(a < 0, high - low, 1 - (high - low)), (c > 0).double())


@cache
def bayes_error() -> float:
    """The error of the best rule there is for `truth`."""
    return error(rule_of(*moments(truth()))[None]).item()


# ------------------------------------------------------------------------------------ points, real and drawn
def real_points(n: int, seed: int) -> Tensor:
    """n points of each class: [2, n, 2]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([truth().given(k).sample(check_int(n, "n", 3), generator) for k in (0, 1)])


def generator_for(x: Tensor, family: str) -> GaussianMixture:
    """The two Gaussians that a family fits to points x [2, n, 2], by maximum likelihood.

    "own": a covariance for each class; "shared": the mean of the two for both; "round": this mean's average
    variance, the same in all directions; "truth": nothing is fitted. Raises ValueError for another family.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {family!r}")
    if family == "truth":
        return truth()
    covariances = torch.stack([torch.cov(points.mT, correction=0) for points in x])
    if family != "own":
        covariances = covariances.mean(0, keepdim=True).expand(2, 2, 2)
    if family == "round":
        covariances = covariances.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] * torch.eye(2).double()
    return GaussianMixture(x.mean(1), covariances=covariances)


def synthetic_points(x: Tensor, family: str, m: int, seed: int) -> Tensor:
    """m synthetic points for each real one of x [2, n, 2]: [2, m n, 2]. Fewer are the first of many."""
    own, n, most = generator_for(x, family), x.shape[1], max(m, RATIOS[-1])
    seeds = [torch.Generator().manual_seed(2 * seed + k) for k in (0, 1)]
    return torch.stack([own.given(k).sample(most * n, seeds[k])[: m * n] for k in (0, 1)])


def logistic(x: Tensor, ridge: float = RIDGE, steps: int = 25) -> Rule:
    """Logistic regression on the six terms: the rule that fits points x [2, N, 2] of the two classes best.

    It minimises Σ_i log(1 + exp(∓rule(x_i))) + ridge/2 · ‖rule‖², the constant term not counted, by Newton's
    method, which here is reweighted least squares (Hastie, Tibshirani & Friedman 2009, section 4.4.1).
    """
    X = terms(check_batch(x, "x", x.shape[1:]).double().flatten(0, 1))
    y = torch.arange(2).repeat_interleave(x.shape[1]).double()
    penalty = ridge * torch.ones(6).double()
    penalty[0] = 0
    rule = torch.zeros(6).double()
    for _ in range(steps):
        p = torch.sigmoid(X @ rule)
        slope = X.mT @ (p - y) + penalty * rule
        curvature = (X * (p * (1 - p))[:, None]).mT @ X + penalty.diag()
        change = torch.linalg.solve(curvature, slope)
        rule = rule - change
        if change.abs().max() < 1e-9:
            break
    return rule


def limit(x: Tensor, family: str) -> Rule:
    """The rule for m → ∞: Bayes' rule of the generator. "own" is QDA, "shared" is LDA."""
    return rule_of(*moments(generator_for(x, family)))


def learned(x: Tensor, family: str, m: int, seed: int) -> Rule:
    """The classifier's rule, after it has seen the real points x [2, n, 2] and m n synthetic ones a class."""
    return logistic(torch.cat([x, synthetic_points(x, family, m, seed)], 1))


# ------------------------------------------------------------------------------------ the table
@cache
def table() -> dict[tuple[str, int], dict[str, float]]:
    """(family, n) -> the mean error over 200 draws for each ratio "0", "1", …, and for "limit"."""
    rows = read_table(FILE)
    return {(row.pop("family"), row.pop("n")): row for row in rows}


def averaged(family: str, n: int, draws: int = DRAWS) -> dict[str, float]:
    """A row of the table."""
    rules: list[Tensor] = []
    for seed in range(draws):
        x = real_points(n, seed)
        rules.append(torch.stack([*(learned(x, family, m, seed) for m in RATIOS), limit(x, family)]))
    mean = torch.stack([error(each) for each in torch.stack(rules, 1)]).mean(1).tolist()
    return {name: round(value, 4) for name, value in zip([*map(str, RATIOS), "limit"], mean, strict=True)}


def main() -> None:
    """Compute and store the table."""
    rows = [dict(family=family, n=n) | averaged(family, n) for family in FAMILIES for n in PER_CLASS]
    write_table(
        FILE, rows, f"python -m diffusion_lab.experiments.augmented_exactly: {DRAWS} draws, equal classes"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
