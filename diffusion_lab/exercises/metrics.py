"""Exercises of notebook 16: four metrics, each from the numbers that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .exercise import Case, Exercise, Mistake

NOTEBOOK = "16_metrics"
LN2 = 0.6931471805599453


def inception_score(probabilities: Tensor) -> Tensor:
    """The inception score of N samples: exp of the mean KL(p(y|x) ‖ p(y)).

    probabilities [N, K] holds p(y|x): a row for each sample x, a column for each class y. All entries are
    above 0, and each row sums to 1. p(y) is the mean of p(y|x) over the samples.
    Return one number, from 1 to K.
    """
    of_all = probabilities.mean(0)
    kl = (probabilities * (probabilities / of_all).log()).sum(1)
    return kl.mean().exp()


def class_probabilities(generator: torch.Generator) -> Iterator[Case]:
    """Rows that are sure and rows that are not; N above, below and equal to K; one sample."""
    for n, (N, K) in enumerate([(6, 3), (4, 4), (3, 10), (20, 5), (1, 4), (10, 10), (12, 2), (7, 3), (5, 5)]):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        logits = torch.randn(N, K, generator=generator, dtype=dtype)
        yield (((0.5 + n % 3) * logits + torch.arange(K) / K).softmax(1),)


def kl_with(p: Tensor, of_all: Tensor) -> Tensor:
    """KL of each row to p(y)."""
    return (p * (p / of_all).log()).sum(1)


def mmd2(kernel_aa: Tensor, kernel_bb: Tensor, kernel_ab: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of two sets, estimated without bias from their kernel matrices.

    kernel_aa [N, N] holds k(a_i, a_j) of all pairs of the first set; kernel_bb [M, M] those of the second
    set; kernel_ab [N, M] holds k(a_i, b_j). N and M are at least 2. The pairs of a point with itself are left
    out.
    Return one number, E k(a, a′) + E k(b, b′) − 2 E k(a, b). It may be below 0.
    """
    N, M = len(kernel_aa), len(kernel_bb)
    within_a = (kernel_aa.sum() - kernel_aa.trace()) / (N * (N - 1))
    within_b = (kernel_bb.sum() - kernel_bb.trace()) / (M * (M - 1))
    return within_a + within_b - 2 * kernel_ab.mean()


def kernel_matrices(generator: torch.Generator) -> Iterator[Case]:
    """The cubic kernel and a Gaussian one; sets of several sizes, equal ones too."""
    for n, (N, M) in enumerate([(5, 3), (4, 4), (2, 7), (3, 2), (8, 8), (2, 2), (6, 9), (10, 4), (3, 3)]):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        a, b = (torch.randn(size, 3, generator=generator, dtype=dtype) for size in (N, M))
        b = 0.7 * b + 1 + n % 2
        pairs = (a, a), (b, b), (a, b)
        if n % 3 == 2:
            yield tuple(torch.exp(-(torch.cdist(x, y) ** 2) / 2) for x, y in pairs)
        else:
            yield tuple((x @ y.mT / 3 + 1) ** 3 for x, y in pairs)


def of_pairs(k: Tensor) -> Tensor:
    """The mean over the pairs of different points."""
    return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))


def cross_without_diagonal(kernel_aa: Tensor, kernel_bb: Tensor, kernel_ab: Tensor) -> Tensor:
    left = kernel_ab.numel() - min(kernel_ab.shape)
    return (
        of_pairs(kernel_aa) + of_pairs(kernel_bb) - 2 * (kernel_ab.sum() - kernel_ab.diagonal().sum()) / left
    )


def precision_recall(
    between: Tensor, within_real: Tensor, within_generated: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Precision and recall of generated samples, from the distances between points.

    between [N, M] holds the distances of N real points to M generated ones. within_real [N, N] and
    within_generated [M, M] hold those inside each set; their diagonals are 0. Around each point lies a ball
    that reaches to its k-th nearest *other* point of its own set, 1 ≤ k < N, M; the rim belongs to the ball.
    Return two numbers: precision, the share of generated points that lie in the ball of some real point; and
    recall, the share of real points that lie in the ball of some generated point.
    """
    reach_real = within_real.kthvalue(k + 1).values
    reach_generated = within_generated.kthvalue(k + 1).values
    precision = (between <= reach_real[:, None]).any(0).float().mean()
    recall = (between <= reach_generated).any(1).float().mean()
    return precision, recall


def point_sets(generator: torch.Generator) -> Iterator[Case]:
    """Points of the plane, drawn or on a grid, where many distances are the same; N = M among them."""
    for n, (N, M) in enumerate(
        [(9, 6), (8, 8), (12, 5), (6, 12), (10, 10), (7, 20), (15, 15), (9, 30), (11, 8), (12, 12)]
    ):
        real, generated = (torch.randn(size, 2, generator=generator, dtype=torch.float64) for size in (N, M))
        generated = 0.8 * generated + 0.6
        if n % 2:
            real, generated = (1.5 * real).round(), (1.5 * generated).round()
        pairs = (real, generated), (real, real), (generated, generated)
        yield *((x[:, None] - y).norm(dim=-1) for x, y in pairs), 1 + n % 4


def inside(
    between: Tensor, within_real: Tensor, within_generated: Tensor, real: int, generated: int
) -> tuple[Tensor, Tensor]:
    """Which pairs lie in a ball around the real point, and in one around the generated point."""
    reaches = within_real.kthvalue(real).values[:, None], within_generated.kthvalue(generated).values
    return between <= reaches[0], between <= reaches[1]


def shares(real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """(precision, recall) from who lies in whose ball."""
    return real.any(0).float().mean(), generated.any(1).float().mean()


def reached(choose: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Precision and recall as `choose` makes them from the two tables of `inside`."""
    return lambda between, within_real, within_generated, k: choose(
        *inside(between, within_real, within_generated, k + 1, k + 1)
    )


def along_wrong_axis(which: str) -> Callable[..., tuple[Tensor, Tensor]]:
    """The radii of one set, or both, laid along the other axis of `between`."""

    def function(
        between: Tensor, within_real: Tensor, within_generated: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        real, generated = within_real.kthvalue(k + 1).values, within_generated.kthvalue(k + 1).values
        real = real if "real" in which else real[:, None]
        generated = generated[:, None] if "generated" in which else generated
        return shares(between <= real, between <= generated)

    return function


def rim_left_out(
    between: Tensor, within_real: Tensor, within_generated: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    real, generated = within_real.kthvalue(k + 1).values, within_generated.kthvalue(k + 1).values
    return shares(between < real[:, None], between < generated)


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """The Fréchet distance of two Gaussians, as the field reports it: the squared distance.

    mean_a and mean_b [F] are the means; cov_a and cov_b [F, F] are the covariances, symmetric and positive
    definite.
    Return one number, ‖mean_a − mean_b‖² + tr(cov_a + cov_b − 2 (cov_a cov_b)^½), with the root of a matrix.
    Help: the trace of that root is the sum of the roots of the eigenvalues of cov_a cov_b, which are real.
    """
    overlap = torch.linalg.eigvals(cov_a @ cov_b).real.sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap


def two_gaussians(generator: torch.Generator) -> Iterator[Case]:
    """Covariances that commute and that do not, in one to eight dimensions."""
    for n, F in enumerate([2, 3, 1, 5, 2, 8, 3, 4, 6, 2]):
        dtype = torch.float32 if n % 4 == 3 else torch.float64
        mean_a, mean_b = torch.randn(2, F, generator=generator, dtype=dtype)
        root_a, root_b = torch.randn(2, F, F, generator=generator, dtype=dtype)
        cov_a, cov_b = (root @ root.mT + 0.3 * torch.eye(F, dtype=dtype) for root in (root_a, 1.5 * root_b))
        if n % 5 == 4:
            cov_a, cov_b = cov_a.diagonal().diag(), cov_b.diagonal().diag()
        yield mean_a, cov_a, 0.5 * mean_b, cov_b


def apart(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """All of the distance but the overlap."""
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace()


def overlap(cov_a: Tensor, cov_b: Tensor) -> Tensor:
    """The trace of the root of the product."""
    return torch.linalg.eigvals(cov_a @ cov_b).real.sqrt().sum()


def root(cov: Tensor) -> Tensor:
    """The symmetric root of one matrix."""
    values, axes = torch.linalg.eigh(cov)
    return axes * values.sqrt() @ axes.mT


EXERCISES = (
    Exercise(
        solution=inception_score,
        cases=class_probabilities,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "missing exponential",
                lambda probabilities: kl_with(probabilities, probabilities.mean(0)).mean(),
                "Your score is 0 where it should be 1.",
                "You have the mean KL in nats; the score is one function of it away.",
            ),
            Mistake(
                "exponential before the mean",
                lambda probabilities: kl_with(probabilities, probabilities.mean(0)).exp().mean(),
                "Your score is a little too high.",
                "Ask which comes first, the mean over the samples or exp; by Jensen's inequality it matters.",
            ),
            Mistake(
                "KL the other way round",
                lambda probabilities: kl_with(probabilities.mean(0), probabilities).mean().exp(),
                "You have KL(p(y) ‖ p(y|x)).",
                "KL is not symmetric: look at which distribution stands in front, and is averaged over.",
            ),
            Mistake(
                "bits for nats",
                lambda probabilities: kl_with(probabilities, probabilities.mean(0)).mean().div(LN2).exp(),
                "Your KL is in bits, and exp undoes nats.",
                "Look at the base of your logarithm.",
            ),
            Mistake(
                "mean for sum",
                lambda probabilities: (
                    (probabilities * (probabilities / probabilities.mean(0)).log()).mean().exp()
                ),
                "Your score is close to 1, whatever the samples are.",
                "KL is a sum over the classes; the mean is over the samples alone.",
            ),
            Mistake(
                "mean along the wrong axis",
                lambda probabilities: (
                    kl_with(probabilities, probabilities.mean(1, keepdim=True)).mean().exp()
                ),
                "Your p(y) is 1/K for every class.",
                "Look at the axis of the mean that makes p(y): it runs over the samples.",
            ),
            Mistake(
                "mean along the wrong axis",
                lambda probabilities: kl_with(probabilities, probabilities.mean(1)).mean().exp(),
                "Your p(y) has N entries and not K.",
                "Look at the axis of the mean that makes p(y): it runs over the samples.",
            ),
        ),
    ),
    Exercise(
        solution=mmd2,
        cases=kernel_matrices,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "pairs of a point with itself",
                lambda kernel_aa, kernel_bb, kernel_ab: (
                    kernel_aa.mean() + kernel_bb.mean() - 2 * kernel_ab.mean()
                ),
                "Your estimate is too high, the more so the smaller the sets are.",
                "Look at the diagonals of kernel_aa and kernel_bb.",
            ),
            Mistake(
                "pairs of a point with itself",
                lambda kernel_aa, kernel_bb, kernel_ab: (
                    (kernel_aa.sum() - kernel_aa.trace()) / len(kernel_aa) ** 2
                    + (kernel_bb.sum() - kernel_bb.trace()) / len(kernel_bb) ** 2
                    - 2 * kernel_ab.mean()
                ),
                "You left the diagonals out of the sums, but not out of the counts.",
                "Ask how many pairs of different points a set has.",
            ),
            Mistake(
                "missing factor 2",
                lambda kernel_aa, kernel_bb, kernel_ab: (
                    of_pairs(kernel_aa) + of_pairs(kernel_bb) - kernel_ab.mean()
                ),
                "For two equal sets your result would not be near 0.",
                "Two terms pull up: look at how often the third one is subtracted.",
            ),
            Mistake(
                "root of the result",
                lambda kernel_aa, kernel_bb, kernel_ab: (
                    of_pairs(kernel_aa) + of_pairs(kernel_bb) - 2 * kernel_ab.mean()
                ).sqrt(),
                "You return the discrepancy; its square was asked for.",
                "Ask what becomes of an estimate below 0.",
            ),
            Mistake(
                "diagonal of the cross term left out",
                cross_without_diagonal,
                "You left the diagonal out of all three matrices.",
                "Ask whether a_i and b_i are one point.",
            ),
            Mistake(
                "sum for mean",
                lambda kernel_aa, kernel_bb, kernel_ab: (
                    kernel_aa.sum()
                    - kernel_aa.trace()
                    + kernel_bb.sum()
                    - kernel_bb.trace()
                    - 2 * kernel_ab.sum()
                ),
                "Your result grows with the number of points.",
                "Each of the three terms is a mean over pairs.",
            ),
            Mistake(
                "half of the pairs",
                lambda kernel_aa, kernel_bb, kernel_ab: (
                    of_pairs(kernel_aa) / 2 + of_pairs(kernel_bb) / 2 - 2 * kernel_ab.mean()
                ),
                "Your two terms within a set are half as large as they should be.",
                "The sum counts (i, j) and (j, i): see that the number of pairs does so too.",
            ),
        ),
    ),
    Exercise(
        solution=precision_recall,
        cases=point_sets,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "the point itself counted as a neighbour",
                lambda between, within_real, within_generated, k: shares(
                    *inside(between, within_real, within_generated, k, k)
                ),
                "Your balls are too small; with k = 1 they are points.",
                "The smallest entry in each row is the distance of a point to itself.",
            ),
            Mistake(
                "one neighbour too far",
                lambda between, within_real, within_generated, k: shares(
                    *inside(between, within_real, within_generated, k + 2, k + 2)
                ),
                "Your balls are too large.",
                "Count again from which place on your sorted distances belong to other points.",
            ),
            Mistake(
                "precision and recall swapped",
                reached(lambda real, generated: shares(real, generated)[::-1]),
                "Your two numbers are right, in the opposite order.",
                "Precision asks how real the samples are.",
            ),
            Mistake(
                "balls of the wrong set",
                reached(lambda real, generated: shares(real, real)),
                "Your recall uses the balls around the real points.",
                "For recall the two sets change roles: the balls do, too.",
            ),
            Mistake(
                "balls of the wrong set",
                reached(lambda real, generated: shares(generated, generated)),
                "Your precision uses the balls around the generated points.",
                "Ask whose balls a sample should lie in to count as real.",
            ),
            Mistake(
                "balls of the wrong set",
                reached(lambda real, generated: shares(generated, real)),
                "You count the points whose own ball reaches the other set.",
                "A point counts if it lies in a ball of the other set.",
            ),
            Mistake(
                "all balls for some ball",
                reached(
                    lambda real, generated: (real.all(0).float().mean(), generated.all(1).float().mean())
                ),
                "You ask a point to lie in every ball.",
                "One ball is enough.",
            ),
            Mistake(
                "pairs counted for points",
                reached(lambda real, generated: (real.float().mean(), generated.float().mean())),
                "You have the share of pairs, which is smaller.",
                "A point in three balls counts once, like a point in one.",
            ),
            Mistake(
                "radii along the wrong axis",
                along_wrong_axis("real"),
                "Your precision compares each distance with the radius of another point.",
                "Rows of between belong to real points: give the radii the axis that they belong to.",
            ),
            Mistake(
                "radii along the wrong axis",
                along_wrong_axis("generated"),
                "Your recall compares each distance with the radius of another point.",
                "Columns of between belong to generated points: give the radii the axis that they belong to.",
            ),
            Mistake(
                "radii along the wrong axis",
                along_wrong_axis("real and generated"),
                "You compare each distance with the radius of another point.",
                "Rows of between belong to real points, and its columns to generated ones.",
            ),
            Mistake(
                "rim left out",
                rim_left_out,
                "It is right but for points that lie exactly on a rim.",
                "Look at your comparison, and at what the exercise says of the rim.",
            ),
        ),
    ),
    Exercise(
        solution=frechet_distance,
        cases=two_gaussians,
        notebook=NOTEBOOK,
        mistakes=(
            Mistake(
                "missing square root",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    apart(mean_a, cov_a, mean_b, cov_b) - 2 * (cov_a @ cov_b).trace()
                ),
                "Your overlap has the unit of a variance squared.",
                "Look at the product of the covariances, and at what the formula does with it.",
            ),
            Mistake(
                "root of each entry",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    apart(mean_a, cov_a, mean_b, cov_b) - 2 * (cov_a @ cov_b).sqrt().trace()
                ),
                "You took the root of each entry, which is the root of the matrix for diagonal ones alone.",
                "A root R of a matrix is one with R R equal to it.",
            ),
            Mistake(
                "product of roots for root of the product",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    apart(mean_a, cov_a, mean_b, cov_b) - 2 * (root(cov_a) @ root(cov_b)).trace()
                ),
                "It is right where the two covariances commute.",
                "First multiply, then take the root.",
            ),
            Mistake(
                "missing factor 2",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    apart(mean_a, cov_a, mean_b, cov_b) - overlap(cov_a, cov_b)
                ),
                "For two equal Gaussians your distance is not 0.",
                "Think of (s − r)² in one dimension: look at its middle term.",
            ),
            Mistake(
                "root of the result",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    apart(mean_a, cov_a, mean_b, cov_b) - 2 * overlap(cov_a, cov_b)
                ).sqrt(),
                "You return the distance; the field reports its square.",
                "Look at your last step.",
            ),
            Mistake(
                "means not squared",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    (mean_a - mean_b).norm() + cov_a.trace() + cov_b.trace() - 2 * overlap(cov_a, cov_b)
                ),
                "The part of the means has the unit of a feature, the rest that of its square.",
                "Look at what the formula does with the length of mean_a − mean_b.",
            ),
            Mistake(
                "correlations left out",
                lambda mean_a, cov_a, mean_b, cov_b: (
                    (mean_a - mean_b).square().sum()
                    + (cov_a.diagonal().sqrt() - cov_b.diagonal().sqrt()).square().sum()
                ),
                "You used the variances alone, as if the features were independent.",
                "The entries off the diagonal matter: look at how the two covariances meet.",
            ),
        ),
    ),
)
