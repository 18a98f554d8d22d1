"""All exercises, by name and in the order of the course."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .checking import closest
from .exercise import Exercise
from .tasks import ORDER


@cache
def catalogue() -> dict[str, Exercise]:
    """Every exercise by its name, in the order of the course."""
    return {name: import_module(f".tasks.{name}", __package__).EXERCISE for name in ORDER}


def exercise(name: str) -> Exercise:
    """The exercise of that name.

    :raises ValueError: if there is none.
    """
    if name not in catalogue():
        known = closest(str(name), list(catalogue()))
        raise ValueError(f"name must be that of an exercise; got {name!r}: {known}")
    return catalogue()[name]
