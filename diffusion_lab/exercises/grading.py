"""For those who grade: points for nbgrader, and test files for Otter-Grader.

Neither of them is needed to install this package. Both were tried with what is written here: nbgrader 0.9.6,
Otter-Grader 7.0.0.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .checking import judge
from .progress import course
from .topics import exercise

OTTER = '''\
"""What Otter-Grader runs on the student's `{name}`. Written by diffusion_lab.exercises.otter_tests."""

from otter.test_files import test_case

from diffusion_lab.exercises import check

OK_FORMAT = False

name = "{name}"
points = 1


@test_case(name="{name}")
def test_{name}(env):
    report = check("{name}", env.get("{name}"))
    assert report.passed, str(report)
'''


def score(name: str, function: Callable[..., Any]) -> float:
    """1.0 if `function` is right, else 0.0: the last line of a grading cell of nbgrader (0.9 or newer).

    Where such a cell ends with a number, nbgrader takes it for the points. So a cell that is worth three ends
    with, for instance::

        2 * score("closed_form", closed_form) + score("one_step", one_step)

    This is no try, and is not noted. No warning gets through: nbgrader gives no points to a cell that writes
    anything to stderr.

    :raises ValueError: if there is no such exercise.
    """

    with contextlib.redirect_stderr(io.StringIO()):
        return float(judge(exercise(name), function).passed)


def otter_tests(folder: str | Path, notebook: str | None = None) -> list[Path]:
    """Write a test file for each exercise, or for those of one notebook, for Otter-Grader (6 or newer).

    They are exception-based: ``grader.check("closed_form")`` checks what has that name in the student's
    notebook, for one point, and shows what ``check`` says. A function that is missing fails.

    :returns: the files, in the order of the course.
    :raises ValueError: if no exercise belongs to such a notebook.
    """
    folder = Path(folder)
    files = {name: folder / f"{name}.py" for names in course(notebook).values() for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        path.write_text(OTTER.format(name=name), "utf-8")
    return list(files.values())
