"""One source, several builds: the student's notebook, and the one with solutions.

The source of a notebook is notebooks/source/NAME.md, in MyST's notebook format (jupytext reads it). An exercise
is a code cell with the tag `exercise` and a solution in nbgrader's markers:

    def closed_form(x0, t, schedule, noise):
        ### BEGIN SOLUTION
        return schedule.signal[t] * x0 + schedule.sigma[t] * noise
        ### END SOLUTION

    exercises.check("closed_form", closed_form)

The student's notebook has `...` there, and runs all the same. It is what is executed, stored and committed; the
solutions are made from it by putting the sources and the reports of its exercises in, and nbval then runs them.
"""

import copy
import re
import sys
from pathlib import Path

import jupytext
import nbformat

from diffusion_lab import exercises
from diffusion_lab.exercises.report import Report

ROOT = Path(__file__).resolve().parent.parent
SOURCE, STUDENT, SOLUTIONS = ROOT / "notebooks" / "source", ROOT / "notebooks", ROOT / "build" / "solutions"
MARKED = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION *$", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r"exercises\.check\(\"(\w+)\"")


def is_exercise(cell):
    return "exercise" in cell.metadata.get("tags", [])


def read_source(path):
    """The source as a notebook, with ids that stay the same from build to build."""
    nb = jupytext.read(path, fmt="md:myst")
    for i, cell in enumerate(nb.cells):
        cell["id"] = f"cell-{i:02d}"
    return nb


def student(nb):
    """The notebook with `...` for every solution."""
    nb = copy.deepcopy(nb)
    for cell in nb.cells:
        if cell.cell_type == "code":
            found = bool(MARKED.search(cell.source))
            if found != is_exercise(cell):
                raise ValueError(
                    f"a cell is tagged `exercise` if it holds a solution, and only then:\n{cell.source}"
                )
            cell.source = MARKED.sub(r"\1...  # your code", cell.source)
    return nb


def solution(nb, stored):
    """The source `nb` with the outputs of the student's notebook `stored`; exercises are passed."""
    nb = copy.deepcopy(nb)
    for cell, theirs in zip(nb.cells, stored.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = copy.deepcopy(theirs.outputs), theirs.execution_count
        if is_exercise(cell):
            cell.source = re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION *\n", "", cell.source, flags=re.MULTILINE)
            (result,) = [o for o in cell.outputs if o.output_type == "execute_result"]
            report = passed(CHECK.search(cell.source)[1])
            result.data = nbformat.from_dict({"text/plain": str(report), "text/html": report._repr_html_()})
    nb.metadata = copy.deepcopy(stored.metadata)
    return nb


def passed(name) -> Report:
    """What the checker says of the package's own solution."""
    return exercises.check(name, exercises.exercise(name).solution)


def build_solutions(folder=SOLUTIONS):
    """Write the notebooks with solutions into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.ipynb"):
        old.unlink()
    for path in sorted(SOURCE.glob("*.md")):
        stored = nbformat.read(STUDENT / f"{path.stem}.ipynb", as_version=4)
        nbformat.write(solution(read_source(path), stored), folder / f"{path.stem}.ipynb")


if __name__ == "__main__":
    build_solutions(*map(Path, sys.argv[1:]))
