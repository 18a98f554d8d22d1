"""Points drawn in a real browser: by mouse, by finger, by keyboard, and on a page without a kernel."""

import numpy as np
import pytest
from labtools import (
    control,
    drawing,
    explorer,
    fresh_page,
    kernels_end,
    numbers,
    open_notebook,
    points,
    run_cell,
    settled,
    words,
    write_notebook,
)
from playwright.sync_api import expect

from diffusion_lab.explorers import OwnData
from diffusion_lab.explorers.own_data import PRESETS

pytestmark = pytest.mark.browser
START = ((-0.5, 0.0), (0.5, 0.0))
EDGE = 1.25  # the square on the page is [−EDGE, EDGE]²


CELLS = ("from diffusion_lab.explorers import OwnData", f"own = OwnData(points={START}, t=141)\nown", "own")


@pytest.fixture(scope="module")
def notebook(browser, jupyterlab):
    """A page with a notebook in which two points are shown twice."""
    view = {"width": 1280, "height": 720}
    with kernels_end(jupyterlab), fresh_page(browser, viewport=view) as (page, errors):
        open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "own_data.ipynb", *CELLS))
        yield page
    assert not errors, "\n".join(errors)


@pytest.fixture
def root(notebook):
    """A new explorer in it: its first view; in the end no key has gone astray."""
    for i, code in enumerate(CELLS):
        run_cell(notebook, i, code)
    explorer(notebook, 1)  # both views are drawn before anything is measured
    root = explorer(notebook)
    yield root
    assert words(root, "error") == ""
    assert notebook.locator(".jp-Cell").count() == len(CELLS)
    assert notebook.locator(".jp-Dialog").count() == 0


def spot(root, x: float, y: float) -> tuple[float, float]:
    """Where the point (x, y) of the square is on the page."""
    root.locator(".pad").scroll_into_view_if_needed()
    box = root.locator(".pad svg").bounding_box()
    return box["x"] + (x / EDGE + 1) / 2 * box["width"], box["y"] + (1 - y / EDGE) / 2 * box["height"]


def said(root) -> str:
    """What the square said last."""
    return words(root, "said")


def assert_shows(root, expected, atol=0.0):
    """The square shows these points, and the figure what a fresh explorer with its points shows."""
    settled(root)
    found = points(root)
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=atol)
    twin = OwnData(points=found, t=141)
    assert twin.points == tuple(found), "the browser rounds otherwise than Python"
    assert numbers(root) == twin.numbers and words(root, "sentence") == twin.frame.sentence
    assert words(root, "code") == twin.frame.code


def press(root, *keys: str):
    for key in keys:
        root.locator(".pad").press(key)
    settled(root)


def test_by_keyboard(root):
    page = root.page
    pictures = [drawing(root)]
    root.locator(".pad").focus()
    press(root, "ArrowRight", "ArrowUp", "ArrowUp")  # the cursor starts in the middle
    assert said(root) == "(0.05, 0.10)" and points(root) == START
    press(root, "Enter")
    assert said(root) == "added at (0.05, 0.10); 3 points"
    assert_shows(root, [*START, (0.05, 0.1)])
    pictures.append(drawing(root))
    press(root, " ")
    assert said(root) == "picked up"
    press(root, "Shift+ArrowRight", "ArrowDown")
    assert said(root) == "moved to (0.30, 0.05); 3 points"
    assert_shows(root, [*START, (0.3, 0.05)])
    pictures.append(drawing(root))
    press(root, "Enter", "Shift+ArrowUp", "Shift+ArrowUp", "Shift+ArrowUp", "Shift+ArrowUp")
    assert said(root) == "(0.30, 1.00)"  # the edge: no further
    press(root, "Delete")
    assert said(root) == "no point here" and len(points(root)) == 3
    press(root, "Enter")
    press(root, "Space", "Shift+ArrowLeft", "Shift+ArrowRight", "Backspace")  # in hand, and gone
    assert said(root) == "removed at (0.30, 1.00); 3 points"
    assert_shows(root, [*START, (0.3, 0.05)])
    for expected in ([*START, (0.3, 0.05), (0.3, 1)], [*START, (0.3, 0.05)], [*START, (0.05, 0.1)], START):
        root.get_by_role("button", name="undo").press("Enter")
        assert_shows(root, expected)
    assert drawing(root) == pictures[0]
    root.get_by_role("button", name="undo").press("Enter")
    assert said(root) == "nothing to undo"
    root.get_by_role("button", name="ring").press("Enter")
    assert said(root) == "ring; 12 points"
    assert_shows(root, OwnData(points=PRESETS["ring"]).points)
    root.get_by_role("button", name="keep the last only").press(" ")
    assert_shows(root, OwnData(points=PRESETS["ring"]).points[-1:])
    root.locator(".pad").focus()
    x, y = points(root)[0]
    page.mouse.click(*spot(root, x, y))
    press(root, "Delete")
    assert said(root) == "the last point stays" and len(points(root)) == 1
    press(root, "Enter")
    assert said(root) == "picked up" and len(points(root)) == 1
    press(root, "Enter")
    assert said(root) == "put down"
    assert len(set(pictures)) == len(pictures)


def test_by_mouse(root):
    page = root.page
    page.mouse.click(*spot(root, 0.2, 0.8))
    assert_shows(root, [*START, (0.2, 0.8)], atol=0.01)
    assert said(root).startswith("added at (0.") and said(root).endswith("; 3 points")
    page.mouse.move(*spot(root, -0.48, 0.02))  # not quite on it
    page.mouse.down()
    page.mouse.move(*spot(root, -0.9, -0.3), steps=20)
    page.mouse.move(*spot(root, -3, -0.7), steps=5)  # out of the square: along its edge
    page.mouse.up()
    page.mouse.move(*spot(root, 0, 0))  # let go: nothing moves any more
    assert_shows(root, [(-1, -0.7), (0.5, 0), (0.2, 0.8)], atol=0.01)
    page.mouse.move(*spot(root, -0.8, 0.5))  # on empty ground: a trace of points
    page.mouse.down()
    page.mouse.move(*spot(root, -0.2, 0.5), steps=60)
    page.mouse.up()
    settled(root)
    trace = np.array(points(root)[3:])
    assert len(trace) == 4 and (np.abs(trace[:, 1] - 0.5) <= 0.01).all()
    assert (np.diff(trace[:, 0]) >= 0.15).all() and (np.diff(trace[:, 0]) < 0.18).all()
    assert_shows(root, points(root))
    root.get_by_role("button", name="undo").click()  # the whole trace
    assert_shows(root, [(-1, -0.7), (0.5, 0), (0.2, 0.8)], atol=0.01)
    page.mouse.dblclick(*spot(root, 0.5, 0))
    assert_shows(root, [(-1, -0.7), (0.2, 0.8)], atol=0.01)
    page.mouse.click(*spot(root, -1, -0.7))  # chosen, then deleted by a key
    press(root, "Delete")
    assert_shows(root, [(0.2, 0.8)], atol=0.01)
    second = explorer(page, 1)  # the same object in the next cell
    settled(second)
    assert points(second) == points(root)


def test_by_finger(root):
    """A drag by touch moves a point and does not scroll the page."""
    page = root.page
    (x, y), (to_x, to_y) = spot(root, 0.6, 0), spot(root, 0.6, 0.6)  # a finger is less exact than a mouse
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for share in np.linspace(0, 1, 10):
        at = {"x": x + share * (to_x - x), "y": y + share * (to_y - y)}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert_shows(root, [START[0], (0.6, 0.6)], atol=0.01)


def test_no_more_than_the_most(root):
    page = root.page
    page.mouse.move(*spot(root, -1, 1))
    page.mouse.down()
    for row in np.linspace(1, -1, 8):
        for x in (-1, 1):
            page.mouse.move(*spot(root, x, row), steps=13)
    page.mouse.up()
    assert said(root) == "at most 64 points"
    assert_shows(root, points(root))
    assert len(points(root)) == 64


def test_a_fast_drag_ends_on_the_right_picture(root):
    """500 moves: the last wins, and nothing piles up."""
    drag = """async (pad) => {
        const { left, top, width } = pad.querySelector("svg").getBoundingClientRect();
        const fire = (type, x, y) => pad.dispatchEvent(new PointerEvent(type, { pointerId: 1, isPrimary: true,
            clientX: left + (x / 1.25 + 1) / 2 * width, clientY: top + (1 - y / 1.25) / 2 * width }));
        pad.setPointerCapture = () => {};  // no real pointer is down
        pad.hasPointerCapture = () => true;
        fire("pointerdown", 0.5, 0);
        for (let i = 0; i < 500; i++) {
            fire("pointermove", Math.cos(i / 30) / 2, Math.sin(i / 30) / 2);
            if (i % 5 === 0) await new Promise((done) => setTimeout(done, 5));
        }
        fire("pointermove", 0.25, 0.75);
        fire("lostpointercapture", 0.25, 0.75);
    }"""
    root.locator(".pad").evaluate(drag)
    assert_shows(root, [START[0], (0.25, 0.75)], atol=0.01)


def test_python_draws_too(root):
    run_cell(root.page, -1, "own.points = [(0.25, -0.5), (-0.75, 0.125), (0, 0)]")
    expect(root.locator(".pad circle")).to_have_count(4)  # and the cursor
    assert_shows(root, [(0.25, -0.5), (-0.75, 0.12), (0, 0)])


def test_it_says_what_it_is(root):
    pad = root.locator(".pad")
    expect(pad).to_have_role("application")
    expect(pad).to_have_accessible_name("points")
    expect(root.locator("[data-control=points]")).to_contain_text(pad.get_attribute("aria-description"))
    assert "Enter" in pad.get_attribute("aria-description")
    assert root.locator("[data-control=points] [aria-live=polite]").count() == 1
    pad.focus()
    expect(pad.locator(".cursor")).to_be_visible()
    pad.blur()
    expect(pad.locator(".cursor")).to_be_hidden()


@pytest.mark.parametrize("precompute", [[], ["points"]])
def test_a_page_from_the_disk(page, tmp_path, precompute):
    path = OwnData(points=START, t=141).to_html(tmp_path / "own.html", precompute=precompute)
    page.context.set_offline(True)
    page.goto(path.as_uri())
    root = explorer(page)
    assert_shows(root, START)
    page.mouse.click(*spot(root, 0, 0.5))
    root.locator(".pad").press("Enter")
    assert_shows(root, START)
    expect(root.locator("[data-control=points]")).to_contain_text("Drawing works only in JupyterLab.")
    expect(control(root, "points")).to_be_disabled()
    expect(root.get_by_role("button", name="undo")).to_be_disabled()
    ring = root.get_by_role("button", name="ring")
    if precompute:
        ring.click()
        assert_shows(root, OwnData(points=PRESETS["ring"]).points)
    else:
        expect(ring).to_be_disabled()
