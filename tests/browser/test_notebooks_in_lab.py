"""The explorers of all notebooks in a real JupyterLab, as their cells make them: every control is moved.

One notebook is put together of the course's: the cells that show explorers and those that these need. (nbval
runs all cells.) Where a cell tagged `trains` says `steps=…`, it says STEPS. `SLOW=1 make browser` puts every
cell of the course into it and trains in full.
"""

import ast
import json
import os
import re

import nbformat
import pytest
from labtools import (
    control,
    explorer,
    fresh_page,
    kernels_end,
    numbers,
    open_notebook,
    run_all,
    settled,
    words,
    write_notebook,
)
from nbtools import NOTEBOOKS
from playwright.sync_api import expect
from test_every_explorer import assert_shows, drawing, values

from diffusion_lab import explorers
from diffusion_lab.engine import STATE

pytestmark = pytest.mark.browser

STEPS = 80
TITLES = {cls.title: cls for cls in (getattr(explorers, name) for name in explorers.__all__)}
PATHS = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if STATE in p.read_text("utf-8")]


def names(tree) -> tuple[set, set]:
    """The names that a cell makes, and those that it uses."""
    made, used = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(name.asname or name.name).split(".")[0] for name in node.names}
    return made, used


def shows_explorer(tree) -> bool:
    """Whether the value of the cell is an explorer."""
    last = tree.body[-1].value if isinstance(tree.body[-1], ast.Expr) else None
    if isinstance(last, ast.Name):  # made in this cell
        return last.id in names(tree)[0] and bool(names(tree)[1] & set(explorers.__all__))
    return isinstance(last, ast.Call) and getattr(last.func, "id", None) in explorers.__all__


def in_fast_mode(cells: list) -> list:
    """Those of a notebook's code cells that its explorers need, with their training runs made short."""
    kept, wanted = [], set()
    for cell in reversed(cells):
        tree = ast.parse(cell.source)
        made, used = names(tree)
        if shows_explorer(tree) or made & wanted:
            kept.insert(0, cell)
            wanted |= used
        else:
            assert STATE not in json.dumps(cell.outputs), "an explorer would be left out"
    for cell in kept:
        if "trains" in cell.metadata.get("tags", ()):
            cell.source, found = re.subn(r"\bsteps=\d+", f"steps={STEPS}", cell.source)
            assert found, "a cell tagged `trains` says steps=…"
    return kept


def course(fast: bool) -> list[tuple[str, str]]:
    """(name of the notebook, source) of each code cell, in the order of the course."""
    found = []
    for path in PATHS:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        found += [(path.stem, cell.source) for cell in (in_fast_mode(cells) if fast else cells)]
    return found


CELLS = course(fast=not os.environ.get("SLOW"))
SHOWN = [stem for stem, source in CELLS if shows_explorer(ast.parse(source))]


@pytest.fixture(scope="module")
def opened(browser, jupyterlab):
    """A page with the notebook, run."""
    path = write_notebook(jupyterlab.root / "course.ipynb", *(source for _, source in CELLS))
    view = {"width": 1280, "height": 720}
    with kernels_end(jupyterlab), fresh_page(browser, viewport=view) as (page, errors):
        open_notebook(page, jupyterlab, path)
        run_all(page)
        expect(page.locator(".diffusion-lab-explorer")).to_have_count(len(SHOWN))
        yield page
    assert not errors, "\n".join(errors)


def away(root, cls, name: str):
    """Move one control by a key, from wherever it stands."""
    c = cls.controls[name]
    widget = control(root, name)
    if c.kind == "toggle":
        widget.press(" ")
    elif c.kind == "points":
        widget.press("Enter")  # a point where the keys' cursor starts
    elif c.kind in ("choice", "words"):  # words have a list of examples
        at_the_end = widget.evaluate("node => node.selectedIndex === node.options.length - 1")
        widget.press("ArrowUp" if at_the_end else "ArrowDown")
    else:
        at_the_end = widget.input_value() == widget.evaluate("node => node.max")
        widget.press("ArrowLeft" if at_the_end else "ArrowRight")
    settled(root)


@pytest.mark.parametrize("nth", range(len(SHOWN)), ids=lambda nth: f"{nth}-{SHOWN[nth]}")
def test_every_control_moves(opened, nth):
    root = explorer(opened, nth)
    cls = TITLES[root.get_attribute("aria-label")]
    for name in cls.controls:
        before, said, picture = values(root, cls), numbers(root), drawing(root)
        away(root, cls, name)
        now = values(root, cls)
        assert now[name] != before[name]
        assert words(root, "error") == ""
        if now.get("source") == "this run" and name in ("source", cls.main):  # which only its kernel knows
            assert (numbers(root), drawing(root)) != (said, picture)
    if now.get("source") != "this run":
        assert_shows(root, cls, now)  # had one answer on the way been lost, this would be another state


def test_fast_mode_keeps_the_training_run_that_an_explorer_shows():
    code = [source for _, source in course(fast=True)]
    for what in (f"steps={STEPS},", "training.train(", "TrainingReplay(run="):
        assert sum(what in source for source in code) == 1, what
    assert set(SHOWN) == {path.stem for path in PATHS}
