"""Every notebook is whole, executed, small, and stored in the one form that `make notebooks` gives it."""

import importlib.util
import json
import re
import sys

import building
import nbformat
import pytest
from measure import measured
from nbtools import NOTEBOOKS, ROOT, SCALE, WIDTH, clean, dumps, picture_in

from diffusion_lab import exercises, explorers
from diffusion_lab.engine import STATE, Explorer

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
COURSE = [p for p in PATHS if re.match(r"\d\d_", p.stem)]
APPENDICES = [p for p in PATHS if re.match(r"A\d_", p.stem)]
# A notebook is named after the module it teaches; these have a name that says more to a newcomer.
MODULE = {
    "toolbox": "gaussian",
    "start_here": "pretrained",
    "best_denoiser": "exact",
    "sampling": "samplers",
    "posterior": "forward",
    "bits": "elbo",
    "fast_samplers": "samplers",
    "diffusers": "samplers",
    "restoring": "applications.inverse",
    "super_resolution": "applications.super_resolution",
    "editing": "applications.editing",
    "medical": "applications.phantoms",
    "latents": "applications.latent",
    "text_to_image": "applications.text_to_image",
    "architectures": "applications.dit",
    "cost": "applications.cost",
    "augmentation": "experiments.augmented_exactly",
    "rivals": "applications.gan",
}
UNCHECKED = {"nbval-ignore-output", "NBVAL_IGNORE_OUTPUT", "PYTEST_VALIDATE_IGNORE_OUTPUT"}
TITLES = {getattr(explorers, name).title: name for name in explorers.__all__}
SKIPPED = {"nbval-skip", "NBVAL_SKIP", "skip-execution"}

every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def marks(cell):
    """The nbval tags of a cell, and the comments that mean the same."""
    lines = [line.strip() for line in cell.source.splitlines()]
    return {*cell.metadata.get("tags", []), *(line.lstrip("# ") for line in lines if line.startswith("#"))}


def test_there_are_notebooks_numbered_from_zero():
    assert COURSE, f"no notebook in {NOTEBOOKS}"
    assert [p.stem[:3] for p in COURSE] == [f"{i:02d}_" for i in range(len(COURSE))], [p.stem for p in COURSE]
    assert [p.stem[:3] for p in APPENDICES] == [f"A{i}_" for i in range(1, len(APPENDICES) + 1)]
    assert [p.stem for p in PATHS if p not in COURSE + APPENDICES] == ["lecturers_guide"]


def test_the_start_and_the_readme_list_all_of_them():
    start = "\n".join(c.source for c in nbformat.read(COURSE[1], as_version=4).cells)
    readme, names = (ROOT / "README.md").read_text(encoding="utf-8"), [p.stem for p in PATHS]
    listed = re.findall(r"^\| \[\w+\]\((\w+)\.ipynb\)", start, re.MULTILINE)
    assert set(listed) | {COURSE[1].stem} == set(names) and sorted(listed) == listed
    assert re.findall(r"^\| \[\w+\]\(notebooks/(\w+)\.ipynb\)", readme, re.MULTILINE) == names


def test_each_has_a_source_and_each_source_a_notebook():
    assert [p.stem for p in sorted((NOTEBOOKS / "source").glob("*.md"))] == [p.stem for p in PATHS]


@every_notebook
def test_is_what_its_source_says(path):
    """Whoever edits a source must run `make notebooks`."""
    made = building.student(building.read_source(building.SOURCE / f"{path.stem}.md"))
    stored = nbformat.read(path, as_version=4)
    assert [(c.cell_type, c.source) for c in made.cells] == [(c.cell_type, c.source) for c in stored.cells]
    assert [c.metadata.get("tags") for c in made.cells] == [c.metadata.get("tags") for c in stored.cells]


@every_notebook
def test_its_solutions_are_gone_and_it_checks_all_its_exercises(path):
    source = building.read_source(building.SOURCE / f"{path.stem}.md")
    stored = path.read_text("utf-8")
    assert "SOLUTION" not in stored
    checked = [building.CHECK.search(cell.source)[1] for cell in source.cells if building.is_exercise(cell)]
    assert checked == [e.name for e in exercises.catalogue().values() if e.notebook == path.stem]
    for cell in nbformat.read(path, as_version=4).cells:
        if building.is_exercise(cell):
            (output,) = cell.outputs
            assert output.data["text/plain"].startswith("○") and "...  # your code" in cell.source


@pytest.mark.parametrize("path", COURSE, ids=lambda p: p.stem)
def test_is_one_sitting(path):
    """At most 45 minutes, at least two exercises and one prediction; as easy to read as UDL's notebooks.

    Of 66 notebooks of Prince's "Understanding Deep Learning" (January 2026) the mean reading ease is 69.2, by
    the same function.
    """
    found = measured(path)
    assert found.minutes <= 45, found
    assert found.exercises >= 2 and found.predictions >= 1, found
    assert found.ease >= 69.2, found
    said = re.search(
        r"\*\*Time:\*\* (?:about )?(\d+) minutes", nbformat.read(path, as_version=4).cells[0].source
    )
    assert said and abs(int(said[1]) - found.minutes) <= 7, (said and said[0], found)


@every_notebook
def test_outputs_are_for_people(path):
    """Numbers, and never True or False (but as the values of options, in notebook 17)."""
    for cell in code_cells(path):
        for output in cell.outputs:
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            if STATE not in output.get("data", {}):
                assert not re.search(r"(?<!=)\b(True|False)\b", text), text


@every_notebook
def test_every_explorer_and_question_has_its_place(path):
    """Before an explorer a prediction; after it what should have been seen; no question is open twice."""
    asked = [m for c in code_cells(path) for m in re.findall(r"\b(predict|seen)\(\"([\w.]+)\"\)", c.source)]
    names = [name for kind, name in asked if kind == "predict"]
    assert len(set(names)) == len(names) and sorted(names) == sorted(n for k, n in asked if k == "seen")
    for name in names:
        assert asked.index(("predict", name)) < asked.index(("seen", name))
    assert "What was to be seen" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", COURSE, ids=lambda p: p.stem)
def test_is_named_after_a_module_and_uses_it(path):
    name = path.stem[3:]
    module = f"diffusion_lab.{MODULE.get(name, name)}"
    assert importlib.util.find_spec(module), f"{path.stem} is named after {module}, which does not exist"
    source = "\n".join(c.source for c in code_cells(path))
    used = re.compile(rf"\b{module}\b|from diffusion_lab import [^#]*?\b{module.split('.')[1]}\b")
    assert used.search(source), f"{path.stem} does not import {module}"


@every_notebook
def test_opens_with_what_it_gives_takes_and_needs(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# "), "the first cell is the title"
    for what in (r"able to|you will|gives you", r"\bminutes?\b|\bmin\b", r"\bneeds?\b"):
        assert re.search(what, first.source, re.IGNORECASE), f"nothing in the first cell matches {what!r}"


@every_notebook
def test_was_executed_in_order_without_error(path):
    cells = code_cells(path)
    assert cells, "no code cell"
    # nbval never compares a cell that was not executed, so a stripped notebook would pass whatever it prints
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"
    errors = [o.evalue for c in cells for o in c.outputs if o.output_type == "error"]
    assert not errors, errors


@every_notebook
def test_is_stored_clean(path):
    assert path.stat().st_size <= 1_000_000, f"{path.stat().st_size / 1e6:.2f} MB; 1 MB is allowed"
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in raw["metadata"]
    assert raw["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids), "two cells share an id"
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    stored = path.read_text(encoding="utf-8")
    assert stored == dumps(clean(nb)), "not in its stored form: run `make notebooks`"


@every_notebook
def test_outputs_name_no_path_and_no_machine(path):
    here = [re.escape(str(p)) for p in (ROOT, sys.prefix)]
    there = ["file://", r"/(home|Users|root|tmp|opt|usr)/\w", r"\b[A-Z]:\\\w", "site-packages"]
    machine = re.compile("|".join(here + there))
    for i, cell in enumerate(code_cells(path), 1):
        for output in cell.outputs:
            texts = [v for k, v in output.get("data", {}).items() if not k.startswith("image/")]
            found = [m[0] for text in [output.get("text", ""), *texts] for m in machine.finditer(str(text))]
            assert not found, f"code cell {i} shows {found}"


@every_notebook
def test_stores_no_stderr(path):
    # nbval compares stderr too, and what lands there (warnings, progress bars) is never twice the same
    for i, cell in enumerate(code_cells(path), 1):
        text = [o.text for o in cell.outputs if o.get("name") == "stderr"]
        assert not text, f"code cell {i} writes to stderr: {text}"


def explorers_in(path):
    """(name, output) of every explorer that the notebook shows: the first line of its text is its title."""
    outputs = [o for cell in code_cells(path) for o in cell.outputs if "data" in o]
    shown = [(TITLES.get(o.data.get("text/plain", "").split("\n")[0]), o) for o in outputs]
    return [(name, output) for name, output in shown if name]


@every_notebook
def test_explorers_are_stored_with_a_picture(path):
    for name, output in explorers_in(path):
        assert "image/png" in output.data, f"{name}: run `make notebooks`"
        with picture_in(output) as picture:
            assert picture.width == WIDTH * SCALE
            assert len(picture.convert("RGB").getcolors(2**24)) > 20
        assert len(output.data["image/png"]) < 150_000, f"{name}: its picture is too large"


@every_notebook
def test_explorers_are_stored_as_they_are_now(path):
    for name, output in explorers_in(path):
        if STATE in output.data:  # it is not where a reader's own run is shown
            assert output.data[STATE]["explorer"] == name
            explorer = Explorer.stored(output.data[STATE], explorers)
            assert explorer and explorer.describe() == output.data["text/plain"], name


def test_every_explorer_is_in_a_notebook():
    shown = [output.data for path in PATHS for _, output in explorers_in(path)]
    stored = {data[STATE]["explorer"] for data in shown if STATE in data}
    assert stored == set(explorers.__all__), "run `make notebooks`"


def test_at_most_one_cell_in_ten_goes_unchecked():
    cells = [(p.stem, i, marks(c)) for p in PATHS for i, c in enumerate(code_cells(p), 1)]
    skipped = [(name, i) for name, i, m in cells if m & SKIPPED]
    assert not skipped, f"{skipped} are skipped; every cell must run"
    unchecked = [(name, i) for name, i, m in cells if m & UNCHECKED]
    assert len(unchecked) * 10 <= len(cells), f"{len(unchecked)} of {len(cells)} cells: {unchecked}"
    for path in PATHS:
        here, all_here = sum(n == path.stem for n, _ in unchecked), sum(n == path.stem for n, *_ in cells)
        assert here <= max(1, all_here // 10), f"{path.stem}: {here} of its {all_here} cells are unchecked"
