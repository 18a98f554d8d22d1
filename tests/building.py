"""One source, several builds: the student's notebook, and the one with solutions.

The source of a notebook is notebooks/source/NAME.md, in MyST's notebook format (jupytext reads it). An
exercise is a code cell with the tag `exercise` and a solution in nbgrader's markers:

    def closed_form(x0, t, schedule, noise):
        ### BEGIN SOLUTION
        return schedule.signal[t] * x0 + schedule.sigma[t] * noise
        ### END SOLUTION

    exercises.check("closed_form", closed_form)

The student's notebook has `...` there, and runs all the same. It is what is executed, stored and committed.
The solutions are made from it by putting the sources and the reports of its exercises in: build/solutions/
has them whole, for the lecturer; build/solved/ has of each the exercises and the cells that these need, for
nbval, which has seen all other cells in the student's notebook.
"""

import copy
import re
import symtable
from pathlib import Path

import jupytext
import nbformat

from diffusion_lab import exercises
from diffusion_lab.exercises.report import Report

ROOT = Path(__file__).resolve().parent.parent
SOURCE, STUDENT, BUILD = ROOT / "notebooks" / "source", ROOT / "notebooks", ROOT / "build"
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


def names(source):
    """The global names that a cell makes, and those that it uses."""
    made, used, waiting = set(), set(), [symtable.symtable(source, "cell", "exec")]
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if top and (symbol.is_assigned() or symbol.is_imported()):
                made.add(symbol.get_name())
            if symbol.is_referenced() and (top or symbol.is_global()):
                used.add(symbol.get_name())
    return made, used


def solved(nb):
    """Of a notebook with solutions the exercises, and the cells that these need."""
    kept, wanted = [], set()
    for cell in reversed([cell for cell in nb.cells if cell.cell_type == "code"]):
        made, used = names(cell.source)
        if is_exercise(cell) or made & wanted:
            kept.insert(0, cell)
            wanted = (wanted - made) | used
    nb = copy.deepcopy(nb)
    nb.cells = kept
    return nb


def build(folder=BUILD):
    """Write the solutions into folder/solutions, and what nbval needs of them into folder/solved."""
    for path in sorted(SOURCE.glob("*.md")):
        stored = nbformat.read(STUDENT / f"{path.stem}.ipynb", as_version=4)
        whole = solution(read_source(path), stored)
        write(whole, folder / "solutions" / f"{path.stem}.ipynb")
        if any(map(is_exercise, whole.cells)):
            write(solved(whole), folder / "solved" / f"{path.stem}.ipynb")


def write(nb, path):
    """Write a notebook, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)


if __name__ == "__main__":
    build()
