"""The exercise `precision_recall` of notebook 16."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "16_metrics"


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
    """The mistake: rim left out."""
    real, generated = within_real.kthvalue(k + 1).values, within_generated.kthvalue(k + 1).values
    return shares(between < real[:, None], between < generated)


EXERCISE = Exercise(
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
            reached(lambda real, generated: (real.all(0).float().mean(), generated.all(1).float().mean())),
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
)
