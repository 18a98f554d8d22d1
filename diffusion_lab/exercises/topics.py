"""All exercises, by name and in the order of the course."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .checking import closest
from .exercise import Exercise

# One file for each notebook that has exercises, in the order of the course.
TOPICS = (
    "toolbox start_here schedules forward best_denoiser views training unet sampling guidance "
    "posterior elbo bits sde fast_samplers likelihood metrics diffusers"
).split()


@cache
def catalogue() -> dict[str, Exercise]:
    """Every exercise by its name, in the order of the course."""
    found: list[Exercise] = []
    for topic in TOPICS:
        found += import_module(f".{topic}", __package__).EXERCISES
    return {exercise.name: exercise for exercise in found}


def exercise(name: str) -> Exercise:
    """The exercise of that name.

    :raises ValueError: if there is none.
    """
    if name not in catalogue():
        raise ValueError(
            f"name must be that of an exercise; got {name!r}: {closest(str(name), list(catalogue()))}"
        )
    return catalogue()[name]
