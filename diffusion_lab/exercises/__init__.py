"""Exercises: a few lines each, and a checker that says which mistake it was.

``exercises.check("closed_form", closed_form)`` runs the student's function on inputs that it draws, compares
what comes back with the right answer, and, where that is wrong, with a catalogue of mistakes that have names.
The report says what was seen and where to look, and never the solution.

- ``names()``: all exercises, in the order of the course.
- ``task(name)``: what is asked for.
- ``check(name, function)``: the report, with ``passed``, ``mistake`` and ``message``.
- ``progress()``: what is solved, from one small file beside the notebooks.
- ``score(name, function)`` and ``otter_tests(folder)``: for those who grade, with nbgrader or otter-grader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .checking import judge
from .grading import otter_tests, score
from .progress import Progress, progress, record
from .report import Report
from .running import CPU_SECONDS
from .topics import catalogue, exercise

__all__ = ["Progress", "Report", "catalogue", "check", "exercise", "names", "otter_tests", "progress"]
__all__ += ["score", "task"]


def names() -> list[str]:
    """The names of all exercises, in the order of the course."""
    return list(catalogue())


def task(name: str) -> str:
    """What the exercise `name` asks for: its arguments, their shapes, and what to return.

    :raises ValueError: if there is no such exercise.
    """
    return exercise(name).task


def check(name: str, function: Callable[..., Any], seconds: float = CPU_SECONDS) -> Report:
    """Run `function` on the inputs of the exercise `name`, and say whether it is right.

    :param function: the student's function itself. It gets copies of the inputs, in a thread of its own that
        is stopped after `seconds` of processor time; what it prints is swallowed, what it raises is reported.
    :returns: a report: ``passed``; ``mistake``, its name if it is a known one, else None; ``message``.
    :raises ValueError: if there is no such exercise.
    """
    report = judge(exercise(name), function, seconds)
    record(report)
    return report
