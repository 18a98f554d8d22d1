"""The quiz in a real browser, by keyboard: live in JupyterLab, and on a page from the disk."""

import re
from types import SimpleNamespace

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from labtools import (
    fresh_page,
    kernels_end,
    open_notebook,
    run_all,
    run_cell,
    until,
    wait_idle,
    write_notebook,
)
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import expect
from test_every_explorer import CONTRASTS
from test_quiz import OWN

from diffusion_lab import export as pages
from diffusion_lab import quiz
from diffusion_lab.engine.page import PAGE
from diffusion_lab.engine.question import CLOSED

pytestmark = pytest.mark.browser

ORDER = ["peaks predict", "peaks seen", "peaks predict", "share predict", "share seen"]
START = """from diffusion_lab.engine.quiz import Prediction, Seen
from diffusion_lab.quiz import read
peaks, share = read("own.toml").values()
Prediction(peaks)"""
CELLS = [START, "Seen(peaks)", "Prediction(peaks)", "Prediction(share)", "Seen(share)", "6 * 7"]


def found(page):
    """The parts on the page: two predictions and what was seen of `peaks`, one each of `share`."""
    asked, told = page.locator(".diffusion-lab-prediction"), page.locator(".diffusion-lab-seen")
    expect(asked).to_have_count(3)
    expect(told).to_have_count(2)
    return SimpleNamespace(page=page, peaks=[asked.nth(0), asked.nth(1)], share=asked.nth(2), seen=told)


@pytest.fixture
def lab(page, jupyterlab):
    """A notebook with them, just run."""
    (jupyterlab.root / "own.toml").write_text(OWN, "utf-8")
    open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "quiz.ipynb", *CELLS))
    run_all(page)
    return found(page)


def write_page(folder):
    """The same parts as a page from the disk."""
    (folder / "own.toml").write_text(OWN, "utf-8")
    questions = {name.removeprefix("own."): q for name, q in quiz.read(folder / "own.toml").items()}
    parts = [quiz.fragment(questions[name], part) for name, part in map(str.split, ORDER)]
    scripts = "".join(f"<script>{script}</script>" for script in quiz.quiz_scripts().values())
    path = folder / "quiz.html"
    text = PAGE.format(title="A quiz", explorer="<h1>A quiz</h1>" + "".join(parts), scripts=scripts)
    path.write_text(text, "utf-8")
    return path.as_uri()


@pytest.fixture
def alone(page, tmp_path):
    page.context.set_offline(True)
    page.goto(write_page(tmp_path))
    return found(page)


def commit_to_the_first(parts):
    """Choose and commit by keyboard alone: a wrong option."""
    page, root = parts.page, parts.peaks[0]
    radios = root.get_by_role("radio")
    expect(root.get_by_role("group")).to_have_accessible_name(re.compile("^Do the peaks of q"))
    expect(radios.first).to_have_accessible_name("a) They move first")
    radios.first.focus()
    page.keyboard.press("Enter")  # nothing is chosen: nothing happens
    expect(parts.seen.first).to_have_text(CLOSED)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(radios.nth(1)).to_be_checked()
    page.keyboard.press("ArrowUp")
    expect(radios.first).to_be_checked()
    page.keyboard.press("Tab")
    expect(root.get_by_role("button", name="Commit")).to_be_focused()
    expect(root.get_by_role("button", name="Commit")).not_to_have_css("outline-style", "none")
    expect(parts.seen.first).to_have_text(CLOSED)
    page.keyboard.press("Enter")


def assert_committed_to_the_first(parts):
    """Every cell of this question says so, and none can be changed; those of the other are as before."""
    for root in parts.peaks:
        expect(root.get_by_role("status")).to_contain_text("Committed: a.")
        expect(root.get_by_role("button", name="Commit")).to_have_count(0)
        for k in range(3):
            expect(root.get_by_role("radio").nth(k)).to_be_disabled()
        expect(root.get_by_role("radio").first).to_be_checked()
    seen = parts.seen.first
    expect(seen.locator(".verdict.wrong")).to_have_text("Not right: you committed to a) They move first")
    expect(seen.locator(".why > p")).to_have_text(re.compile(r"^The centres move by 0\.1 only\.$"))
    expect(seen.locator("dt")).to_have_text(["Right: b) They melt", re.compile(r"^Not right: c\) Neither: ")])
    expect(seen.locator("dd")).to_have_text(["The width grows & the centres stay.", "That is a <sample>."])
    expect(seen.locator(".said")).to_contain_text("Both at once, and the widening wins: sigma grows faster.")
    expect(seen.locator(".said math[display=block]")).to_be_visible()
    expect(parts.seen.nth(1)).to_have_text(CLOSED)
    expect(parts.share.get_by_role("status")).to_be_hidden()


def commit_to(parts, number):
    """Type a number and commit by Enter."""
    box = parts.share.get_by_role("spinbutton")
    expect(box).to_have_accessible_name(re.compile("Your prediction"))
    box.focus()
    parts.page.keyboard.press("Enter")  # an empty box commits to nothing
    expect(parts.seen.nth(1)).to_have_text(CLOSED)
    parts.page.keyboard.type(number)
    parts.page.keyboard.press("Enter")


def assert_committed_to(parts, number, verdict, why):
    expect(parts.share.get_by_role("status")).to_contain_text(f"Committed: {number} nats.")
    expect(parts.share.get_by_role("spinbutton")).to_be_disabled()
    seen = parts.seen.nth(1)
    expect(seen.locator(".verdict")).to_have_text(f"{verdict}: you committed to {number} nats")
    expect(seen.locator(".why > p")).to_have_text(why)
    expect(seen.locator(".said")).to_contain_text("It is σ")


def output(page):
    return page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")


# in JupyterLab


def test_options_live(lab):
    commit_to_the_first(lab)
    assert_committed_to_the_first(lab)
    expect(lab.peaks[0].get_by_role("status")).to_be_focused()  # the button that had it is gone
    run_cell(lab.page, -1, "peaks.answer, peaks.right, share.answer")
    expect(output(lab.page)).to_contain_text("('a', False, None)")
    run_cell(lab.page, 1)  # shown again, it stays open
    expect(lab.seen.first.locator(".verdict.wrong")).to_be_visible()
    run_cell(lab.page, 0)  # new questions: nothing is known of them
    expect(lab.peaks[0].get_by_role("status")).to_be_hidden()
    expect(lab.peaks[0].get_by_role("radio").first).to_be_enabled()


def test_a_number_live(lab):
    commit_to(lab, "0.62")
    assert_committed_to(lab, "0.62", "Not right", ["That is the amplitude."])
    expect(lab.seen.first).to_have_text(CLOSED)
    run_cell(lab.page, -1, "share.answer, share.right")
    expect(output(lab.page)).to_contain_text("(0.62, False)")


def test_from_python(lab):
    """What a cell commits to is on the page; what it then shows says so from the start."""
    run_cell(lab.page, -1, "Prediction(share).commit(0.4); Prediction(peaks).commit('a')")
    expect(lab.page.locator(".diffusion-lab-prediction")).to_have_count(4)
    assert_committed_to(lab, "0.4", "Right", [])
    expect(lab.seen.first.locator(".verdict.wrong")).to_be_visible()
    expect(lab.page.locator(".diffusion-lab-prediction").last).to_contain_text("Committed: a.")


def test_the_page_does_not_wait_for_the_kernel(lab, jupyterlab):
    """It is busy with another cell; when that is done it knows the answer, too."""
    go_on, prompt = jupyterlab.root / "go_on", lab.page.locator(".jp-InputArea-prompt").last
    go_on.unlink(missing_ok=True)
    code = lab.page.locator(".jp-CodeCell").last.locator(".cm-content")
    code.fill("while not __import__('pathlib').Path('go_on').exists(): __import__('time').sleep(0.01)")
    code.press("Control+Enter")
    expect(prompt).to_have_text("[*]:")
    commit_to(lab, "0.39")
    assert_committed_to(lab, "0.39", "Right", [])
    expect(prompt).to_have_text("[*]:")
    go_on.touch()
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))
    wait_idle(lab.page)
    run_cell(lab.page, -1, "share.answer, share.right")
    expect(output(lab.page)).to_contain_text("(0.39, True)")


@pytest.fixture(scope="module")
def themed(browser, jupyterlab):
    """The notebook, committed, for looking at in both themes."""
    (jupyterlab.root / "own.toml").write_text(OWN, "utf-8")
    view = {"width": 1280, "height": 1000}
    with kernels_end(jupyterlab), fresh_page(browser, viewport=view) as (page, errors):
        open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "themed.ipynb", *CELLS))
        run_all(page)
        parts = found(page)
        commit_to_the_first(parts)
        assert_committed_to_the_first(parts)
        yield parts
    assert not errors, "\n".join(errors)


def choose_theme(page, name):
    for label in ("Settings", "Theme", name):
        page.locator(".lm-MenuBar-itemLabel, .lm-Menu-itemLabel").get_by_text(label, exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str("Light" in name).lower())


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_it_is_legible_in(themed, theme):
    choose_theme(themed.page, theme)
    for root in (themed.peaks[0], themed.share, themed.seen.first, themed.seen.nth(1)):
        until(lambda: {word for word, ratio in root.evaluate(CONTRASTS) if ratio < 4.5}, set())  # noqa: B023
    for part in (".diffusion-lab-prediction", ".diffusion-lab-seen"):
        axe = Axe().run(themed.page, context=part).response
        assert not {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in axe["violations"]}


# on a page without a kernel


def test_options_alone(alone):
    commit_to_the_first(alone)
    assert_committed_to_the_first(alone)
    alone.page.reload()  # another day
    expect(alone.seen.first).to_have_text(CLOSED)


def test_the_right_option_alone(alone):
    alone.peaks[1].get_by_role("radio").nth(1).press("Space")
    alone.page.keyboard.press("Enter")
    expect(alone.peaks[0].get_by_role("status")).to_contain_text("Committed: b.")
    expect(alone.seen.first.locator(".verdict.right")).to_have_text("Right: you committed to b) They melt")
    expect(alone.seen.first.locator("dt")).to_have_text(
        [re.compile("^Not right: a"), re.compile("^Not right: c")]
    )


@pytest.mark.parametrize(
    "number, verdict, why",
    [
        ("0.44", "Right", []),
        ("0.45", "Not right", ["That is the middle."]),
        ("0.65", "Not right", ["That is the amplitude."]),
        ("-3", "Not right", []),
    ],
)
def test_a_number_alone(alone, number, verdict, why):
    """Judged as in Python."""
    commit_to(alone, number)
    assert_committed_to(alone, number, verdict, why)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(alone, scheme):
    """Before and after."""
    alone.page.emulate_media(color_scheme=scheme)
    for step in (lambda: None, lambda: commit_to_the_first(alone), lambda: commit_to(alone, "3")):
        step()
        axe = Axe().run(alone.page).response
        assert len(axe["passes"]) > 10
        assert not {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in axe["violations"]}


def test_without_javascript(browser, tmp_path):
    """The question can be read, and what was to be seen stands in a box to open."""
    with fresh_page(browser, java_script_enabled=False) as (page, errors):
        page.goto(write_page(tmp_path))
        expect(page.locator("noscript ol > li").first).to_have_text("They move first")
        details = page.locator("details").first
        expect(details.get_by_text("Both at once")).to_be_hidden()
        details.locator("summary").press("Enter")
        expect(details.get_by_text("Both at once")).to_be_visible()
        expect(details).to_contain_text("Right: b) They melt")
    assert not errors


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course of one notebook, exported: its page."""
    home = tmp_path_factory.mktemp("course")
    (home / "notebooks").mkdir()
    (home / "own.toml").write_text(OWN, "utf-8")
    cells = [new_markdown_cell("# 01 · Two questions")]
    for name, part in [*map(str.split, ORDER), ("gone", "seen")]:
        data = {"text/plain": "closed", quiz.QUIZ: {"id": f"own.{name}", "part": part}}
        output = new_output("execute_result", data, execution_count=1)
        cells.append(new_code_cell("show()", outputs=[output], execution_count=1))
    nbformat.write(new_notebook(cells=cells), home / "notebooks" / "01_quiz.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quiz, "FOLDER", home)
        few = {name: path for name, path in pages.modules().items() if name == "diffusion_lab"}
        patch.setattr(pages, "modules", lambda: few)
        return pages.export(home / "site", home / "notebooks") / "01_quiz.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_the_site(page, course, scheme):
    """The stored cells are alive there; one whose question is gone stays as text."""
    page.context.set_offline(True)
    page.emulate_media(color_scheme=scheme)
    page.goto(course.as_uri())
    parts = found(page)
    expect(page.locator("script[src*='quiz.js']")).to_have_count(1)
    expect(page.locator("script[src*='explorer.js']")).to_have_count(0)
    expect(page.locator(".output").last).to_have_text("closed")
    commit_to_the_first(parts)
    assert_committed_to_the_first(parts)
    commit_to(parts, "0.4")
    assert_committed_to(parts, "0.4", "Right", [])
    axe = Axe().run(page, options={"preload": False}).response  # it would ask for the style sheets
    assert not {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in axe["violations"]}
