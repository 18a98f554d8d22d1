"""Exercises as a student meets them in JupyterLab: open, wrong with a picture, right, and an endless loop."""

import json
from pathlib import Path

import pytest
from labtools import open_notebook, run_cell, wait_idle, write_notebook
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parent.parent
STUB = """from diffusion_lab import exercises

def closed_form(x0, t, schedule, noise):
    ...  # your code

exercises.check("closed_form", closed_form)"""
WRONG = """def closed_form(x0, t, schedule, noise):
    return schedule.signal[t] * x0 + schedule.sigma[t] ** 2 * noise

exercises.check("closed_form", closed_form)"""
RIGHT = WRONG.replace(" ** 2", "")
LOOP = """from diffusion_lab import exercises

def closed_form(x0, t, schedule, noise):
    while True:
        pass

exercises.check("closed_form", closed_form, seconds=0.5)"""
PROGRESS = """from diffusion_lab import exercises
exercises.progress("03_forward")"""
ALIVE = "6 * 1111, 'closed_form' in globals()"
OPEN, MISTAKEN, SOLVED, SHOWN, ENDLESS, LAST = range(6)
CELLS = [STUB, WRONG, RIGHT, PROGRESS, LOOP, ALIVE]


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory, pytestconfig):
    """One of its own, started without the variable that tests/conftest.py sets: lab.py has to set it."""
    shared = pytestconfig.pluginmanager.get_plugin(str(TESTS / "conftest.py"))
    started = shared.jupyterlab.__wrapped__(tmp_path_factory)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DIFFUSION_LAB_PROGRESS")
        lab = next(started)
    yield lab
    next(started, None)  # it ends


def files(folder):
    """Every file below the folder, and what is in it."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def output(page, nth):
    """What a cell shows: run it first."""
    return page.locator(".jp-CodeCell").nth(nth).locator(".jp-OutputArea-output")


def assert_shown(page, *rows):
    """The progress of the notebook's four exercises: its number of solved ones, and rows of the table."""
    shown = output(page, SHOWN)
    expect(shown.locator("tr")).to_have_count(5)
    for row in rows:
        expect(shown.locator("tr", has_text=row[0])).to_have_text("".join(row))
    for name in ("chain_step", "noisy_batch", "strided_beta"):
        expect(shown.locator("tr", has_text=name)).to_have_text(f"○ {name}")


def restart(page):
    """Restart the kernel from the menu; back when the server has done it."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Restart Kernel…", exact=True).click()
    with page.expect_response(lambda answer: "/restart" in answer.url) as answer:
        page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    assert answer.value.ok
    wait_idle(page)


def test_from_the_stub_to_an_endless_loop(page, jupyterlab):
    mine, course = jupyterlab.root / "my_notebooks", jupyterlab.root / "notebooks"
    released, noted = files(course), mine / "progress.json"
    assert released and not noted.exists()
    open_notebook(page, jupyterlab, write_notebook(mine / "exercises.ipynb", *CELLS))

    run_cell(page, OPEN)
    said = output(page, OPEN)
    expect(said).to_contain_text(
        "○ closed_form: Nothing is written yet: it asks for x_t, in one jump from x_0"
    )
    expect(said.locator("img")).to_have_count(0)
    assert not noted.exists()  # nothing was tried

    run_cell(page, MISTAKEN)
    said = output(page, MISTAKEN)
    expect(said).to_contain_text("✗ closed_form: variance for standard deviation. ")
    picture = said.get_by_role("img", name="yours against the truth")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (img) => (await img.decode(), img.naturalWidth)") > 0
    run_cell(page, SHOWN)
    assert_shown(
        page,
        ["03_forward", "0 of 4"],
        ["✗ closed_form", "1 try", "last mistake: variance for standard deviation"],
    )

    run_cell(page, SOLVED)
    expect(output(page, SOLVED)).to_have_text("✓ closed_form: Right, on all 12 inputs.")
    solved = ["✓ closed_form", "2 tries", "last mistake: variance for standard deviation"]
    run_cell(page, SHOWN)
    assert_shown(page, ["03_forward", "1 of 4"], solved)

    restart(page)
    run_cell(page, LAST)
    expect(output(page, LAST)).to_have_text("(6666, False)")  # a new kernel, which knows nothing
    run_cell(page, SHOWN)
    assert_shown(page, ["03_forward", "1 of 4"], solved)

    run_cell(page, ENDLESS)
    expect(output(page, ENDLESS)).to_contain_text(
        "✗ closed_form: endless loop. It had not come to an end after 0.5 seconds, and was stopped."
    )
    run_cell(page, LAST)
    expect(output(page, LAST)).to_have_text("(6666, True)")  # the same kernel, alive
    run_cell(page, SHOWN)
    assert_shown(page, ["03_forward", "1 of 4"], ["✓ closed_form", "3 tries", "last mistake: endless loop"])

    row = json.loads(noted.read_text("utf-8"))["closed_form"]
    assert row["mistakes"] == {"variance for standard deviation": 1, "endless loop": 1}
    assert row["tries"] == 3 and row["first_passed"]
    assert [path.relative_to(jupyterlab.root) for path in jupyterlab.root.rglob("progress.json")] == [
        Path("my_notebooks", "progress.json")
    ]
    assert files(course) == released
