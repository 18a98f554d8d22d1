"""Every notebook with an explorer in a real JupyterLab: run, every control of every explorer moved.

Fast mode: it runs as far as its last explorer (nbval runs all of it), and where a cell tagged `trains` says
`steps=…`, with STEPS. `SLOW=1 make browser` runs to the end and trains in full.
"""

import json
import os
import re

import nbformat
import pytest
from labtools import control, explorer, numbers, open_notebook, run_all, settled, words
from nbtools import NOTEBOOKS
from playwright.sync_api import expect
from test_every_explorer import assert_shows, drawing, values

from diffusion_lab import explorers
from diffusion_lab.explorers.core import STATE

pytestmark = pytest.mark.browser

STEPS = 160
TITLES = {cls.title: cls for cls in (getattr(explorers, name) for name in explorers.__all__)}
PATHS = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if STATE in p.read_text("utf-8")]


def in_fast_mode(notebook) -> int:
    """Shorten the training runs, and end at the last explorer; returns how many runs there are."""
    count = 0
    last = max(i for i, cell in enumerate(notebook.cells) if STATE in json.dumps(cell.get("outputs", [])))
    del notebook.cells[last + 1 :]
    for cell in notebook.cells:
        if "trains" in cell.metadata.get("tags", ()):
            cell.source, found = re.subn(r"\bsteps=\d+", f"steps={STEPS}", cell.source)
            assert found, "a cell tagged `trains` says steps=…"
            count += found
    return count


def away(root, cls, name: str):
    """Move one control by a key, from wherever it stands."""
    c = cls.controls[name]
    widget = control(root, name)
    if c.kind == "toggle":
        widget.press(" ")
    elif c.kind == "points":
        widget.press("Enter")  # a point where the keys' cursor starts
    elif c.kind == "choice":
        at_the_end = widget.evaluate("node => node.selectedIndex === node.options.length - 1")
        widget.press("ArrowUp" if at_the_end else "ArrowDown")
    else:
        at_the_end = widget.input_value() == widget.evaluate("node => node.max")
        widget.press("ArrowLeft" if at_the_end else "ArrowRight")
    settled(root)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runs_and_every_control_moves(page, jupyterlab, path):
    notebook = nbformat.read(path, as_version=4)
    if not os.environ.get("SLOW"):
        in_fast_mode(notebook)
    stored = json.dumps(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    copy = jupyterlab.root / f"fast_{path.name}"
    nbformat.write(notebook, copy)
    open_notebook(page, jupyterlab, copy)
    run_all(page)
    roots = page.locator(".diffusion-lab-explorer")
    expect(roots.nth(stored.count(STATE) - 1)).to_be_visible()
    for nth in range(roots.count()):
        root = explorer(page, nth)
        cls = TITLES[root.get_attribute("aria-label")]
        for name in cls.controls:
            before, said, picture = values(root, cls), numbers(root), drawing(root)
            away(root, cls, name)
            now = values(root, cls)
            assert now[name] != before[name]
            assert words(root, "error") == ""
            if now.get("source") == "this run":  # which only its kernel knows
                assert (numbers(root), drawing(root)) != (said, picture)
        if now.get("source") != "this run":
            assert_shows(root, cls, now)  # had one answer on the way been lost, this would be another state


def test_fast_mode_knows_the_cells_that_train():
    assert sum(in_fast_mode(nbformat.read(path, as_version=4)) for path in PATHS) >= 1
