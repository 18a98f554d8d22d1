"""`make lab` as a newcomer finds it: the first notebook of the copy, no pop-up; saving changes that alone."""

from urllib.request import urlopen

import pytest
from labtools import run_cell, until, wait_idle
from nbtools import NOTEBOOKS
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_the_first_notebook_is_opened_run_and_saved(page, jupyterlab):
    with urlopen(jupyterlab.url) as answer:  # it leads to the first notebook
        first = answer.url
    assert first == f"{jupyterlab.url}/lab/tree/my_notebooks/01_start_here.ipynb"
    page.goto(f"{first}?reset")  # a newcomer's workspace: no notebooks of earlier tests
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible()
    wait_idle(page)
    mine = jupyterlab.root / "my_notebooks" / "01_start_here.ipynb"
    released = mine.read_bytes()
    run_cell(page, 0, "print(6 * 1111)")
    expect(page.locator(".jp-CodeCell").first.locator(".jp-OutputArea-output")).to_contain_text("6666")
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    page.keyboard.press("Control+s")
    until(lambda: b"6666" in mine.read_bytes(), True)
    assert mine.read_bytes() != released
    for path in NOTEBOOKS.glob("*.ipynb"):
        assert (jupyterlab.root / "notebooks" / path.name).read_bytes() == path.read_bytes(), path.name
