"""The Explorer in a real browser: live in JupyterLab, and alone on a page from the disk."""

import re
import shutil
from pathlib import Path

import pytest
from labtools import (
    control,
    drawing,
    explorer,
    fresh_page,
    kernels_end,
    number_box,
    numbers,
    open_notebook,
    press,
    run_all,
    run_cell,
    settings,
    settled,
    words,
    write_notebook,
)
from playwright.sync_api import expect
from wave_explorer import Wave

pytestmark = pytest.mark.browser


CELLS = ("from wave_explorer import Wave\nwave = Wave()\nwave", "wave")


@pytest.fixture(scope="module")
def notebook(browser, jupyterlab):
    """A page with a notebook in which a Wave is shown twice."""
    shutil.copy(Path(__file__).with_name("wave_explorer.py"), jupyterlab.root / "wave_explorer.py")
    view = {"width": 1280, "height": 720}
    with kernels_end(jupyterlab), fresh_page(browser, viewport=view) as (page, errors):
        open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "wave.ipynb", *CELLS))
        yield page
    assert not errors, "\n".join(errors)


@pytest.fixture
def root(notebook):
    """A new Wave in it: its first view."""
    for i in range(len(CELLS)):
        run_cell(notebook, i)
    explorer(notebook, 1)  # both views are drawn before anything is measured
    return explorer(notebook)


def test_every_control_by_keyboard(root):
    twin = Wave()
    moves = {"shape": ("ArrowDown", "square"), "N": ("ArrowLeft", 10), "width": ("ArrowRight", 1.25)}
    moves |= {"flip": (" ", True), "t": ("ArrowLeft", 7)}
    shown = [drawing(root)]
    assert numbers(root) == twin.numbers
    for name, (key, value) in moves.items():
        press(root, name, key)
        setattr(twin, name, value)
        assert numbers(root) == twin.numbers, name
        for role in ("sentence", "warning", "code"):
            assert words(root, role) == getattr(twin.frame, role)
        shown.append(drawing(root))
    assert len(set(shown)) == len(shown)  # each changed the picture
    expect(root.locator(".plot")).to_have_accessible_name("a square wave at t = 7")


def test_number_boxes_buttons_and_both_views(root):
    page = root.page
    number_box(root, "N").fill("50")
    number_box(root, "N").press("Enter")
    settled(root)
    number_box(root, "t").fill("30.2")
    number_box(root, "t").press("Enter")
    settled(root)
    assert numbers(root) == Wave(N=50, t=30).numbers
    root.get_by_role("button", name="step back").press("Enter")
    settled(root)
    assert numbers(root) == Wave(N=50, t=29).numbers
    number_box(root, "N").fill("9999")  # beyond its range: the nearest value within
    number_box(root, "N").press("Enter")
    settled(root)
    assert numbers(root)["N"] == number_box(root, "N").input_value() == "100"
    number_box(root, "t").fill("96")
    number_box(root, "t").press("Enter")
    root.get_by_role("button", name="play").click()
    expect(number_box(root, "t")).to_have_value("100")
    expect(root.get_by_role("button", name="play")).to_be_visible()  # it stopped by itself
    second = explorer(page, 1)  # the same object, shown again by the second cell
    settled(second)
    assert numbers(second) == numbers(root) == Wave(N=100, t=100).numbers
    run_cell(page, 0)  # a new object in the first cell, and nothing left of the old view
    expect(number_box(explorer(page), "N")).to_have_value("20")
    expect(page.locator(".diffusion-lab-explorer")).to_have_count(2)


def test_every_control_has_a_visible_label_and_a_name(root):
    for name, label in {
        "shape": "shape",
        "N": "N",
        "width": "width",
        "flip": "upside down",
        "t": "t",
    }.items():
        assert control(root, name).count() == 1
        expect(root.locator(f"[data-control={name}] label")).to_be_visible()
        expect(control(root, name)).to_have_accessible_name(re.compile(f"^{label}"))
    expect(number_box(root, "width")).to_have_accessible_name("width, as a number")
    expect(control(root, "t")).to_have_attribute("aria-valuetext", "t = 8")
    assert root.locator("[aria-live=polite] .sentence").count() == 1


def test_an_error_is_shown_and_the_next_value_recovers(root):
    before = drawing(root)
    press(root, "shape", "ArrowDown", "ArrowDown")
    expect(root.get_by_role("alert")).to_contain_text("ValueError: this wave is broken")
    expect(root).to_have_class(re.compile("stale"))
    press(root, "shape", "ArrowUp", "ArrowUp")
    expect(root.get_by_role("alert")).to_have_text("")
    expect(root).not_to_have_class(re.compile("stale"))
    assert drawing(root) == before


def test_a_fast_drag_ends_on_the_right_picture(root):
    """1000 events, on the main slider and on one that needs the kernel: the last wins, nothing piles up."""
    drag = """async (node, [name, count, last]) => {
        const slider = node.querySelector(`[data-control=${name}] input`);
        const move = (value) => { slider.value = value; slider.dispatchEvent(new Event("input")); };
        for (let i = 0; i < count; i++) {
            const share = 0.8 * Math.abs(Math.sin(i / 20));  // `last` of N lies beyond: its answer comes last
            move(+slider.min + Math.round((slider.max - slider.min) * share));
            if (i % 10 == 0) await new Promise((done) => setTimeout(done, 5));
        }
        move(last);
    }"""
    page = root.page
    cdp = page.context.new_cdp_session(page)

    def heap():
        cdp.send("HeapProfiler.collectGarbage")
        return cdp.send("Runtime.getHeapUsage")["usedSize"]

    root.evaluate(drag, ["t", 200, 3])
    settled(root)
    elements, used = page.locator("*").count(), heap()
    root.evaluate(drag, ["t", 700, 15])
    root.evaluate(drag, ["N", 100, 90])
    expect(root.locator("[data-number=N] b")).to_have_text("90")
    settled(root)
    assert numbers(root) == Wave(N=90, t=int(control(root, "t").input_value())).numbers
    assert page.locator("*").count() <= elements + 50
    assert heap() < used + 20e6


def test_dark_theme(page, jupyterlab, root):
    text = "getComputedStyle(document.querySelector('.diffusion-lab-explorer .xtick text')).fill"
    light = root.page.evaluate(text)
    try:
        settings(jupyterlab, "apputils-extension/themes", theme="JupyterLab Dark")
        open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "dark.ipynb", *CELLS))
        run_all(page)
        explorer(page)
        dark = page.evaluate(text)
    finally:
        settings(jupyterlab, "apputils-extension/themes", theme="JupyterLab Light")
    brightness = [sum(map(float, re.findall(r"[\d.]+", colour)[:3])) for colour in (light, dark)]
    assert brightness[0] < 200 and brightness[1] > 500


def test_a_page_from_the_disk(page, tmp_path):
    twin = Wave(N=40, t=8)
    path = twin.to_html(tmp_path / "wave.html", precompute=["shape", "flip"])
    page.context.set_offline(True)
    page.goto(path.as_uri())
    root = explorer(page)
    settled(root)
    shown = [drawing(root)]
    for name, key, value in [("t", "ArrowRight", 9), ("flip", " ", True), ("shape", "ArrowDown", "square")]:
        press(root, name, key)
        setattr(twin, name, value)
        assert numbers(root) == twin.numbers
        shown.append(drawing(root))
    assert len(set(shown)) == len(shown)
    press(root, "shape", "ArrowDown")
    expect(root.get_by_role("alert")).to_contain_text("this wave is broken")
    press(root, "shape", "ArrowUp")
    expect(root.get_by_role("alert")).to_have_text("")
    for name in ("N", "width"):
        expect(control(root, name)).to_be_disabled()
    expect(root).to_contain_text("Works only in JupyterLab: N, width.")
