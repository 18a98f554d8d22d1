"""Slides from the disk, without a network: by keyboard from one to the next, and what is on them moves."""

import shutil

import pytest
from labtools import control, explorer, number_box, settled, until
from nbtools import NOTEBOOKS
from playwright.sync_api import expect

from diffusion_lab import slides
from diffusion_lab.engine.question import CLOSED

pytestmark = pytest.mark.browser

# Below the slide in hand: what is wider than it, or would have to be scrolled sideways.
TOO_WIDE = """() => {
    const slide = Reveal.getCurrentSlide(), edges = slide.getBoundingClientRect(), told = [];
    if (edges.left < 0 || edges.right > innerWidth) told.push("the slide itself");
    for (const node of slide.querySelectorAll("*")) {
        const box = node.getBoundingClientRect(), seen = node.checkVisibility() && box.width > 1;
        const wide = box.right > edges.right + 1 || box.left < edges.left - 1;
        const scrolls = node.scrollWidth > node.clientWidth + 1
            && ["auto", "scroll"].includes(getComputedStyle(node).overflowX);
        if (seen && (wide || scrolls)) told.push(node.outerHTML.slice(0, 80));
    }
    return told;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the slides of notebook 03 are."""
    folder = tmp_path_factory.mktemp("slides")
    (folder / "notebooks").mkdir()
    shutil.copy(NOTEBOOKS / "03_forward.ipynb", folder / "notebooks")
    return (slides.slides(folder / "made", folder / "notebooks") / "03_forward.html").as_uri()


@pytest.fixture
def deck(page, address):
    """The slides, open at the first, with the network off."""
    page.context.set_offline(True)
    page.goto(address)
    page.wait_for_function("Reveal.isReady()")
    return page


def number(page):
    """The slide in hand, from 0."""
    return page.evaluate("Reveal.getIndices().h")


def slide_of(page, selector):
    """Go to the first slide with such a part; returns its number."""
    page.evaluate(
        """(selector) => {
            const all = Reveal.getHorizontalSlides();
            Reveal.slide(all.findIndex((slide) => slide.querySelector(selector)));
        }""",
        selector,
    )
    expect(page.locator("section.present > section.present").locator(selector).first).to_be_visible()
    return number(page)


def test_the_keyboard_leads_through_all_slides(deck):
    expect(deck.locator("section.present h1")).to_have_text("03 · The forward process")
    total = deck.evaluate("Reveal.getHorizontalSlides().length")
    expect(deck.locator(".slide-number")).to_have_text(f"1 / {total}")
    for n in range(1, total):
        deck.keyboard.press("ArrowRight")
        until(lambda: number(deck), n)
    expect(deck.locator(".slide-number")).to_have_text(f"{total} / {total}")
    deck.keyboard.press("ArrowLeft")
    until(lambda: number(deck), total - 2)


def test_an_explorer_moves_by_keyboard(deck):
    here = slide_of(deck, ".diffusion-lab-explorer")
    root = explorer(deck)
    control(root, "t").focus()
    value = int(number_box(root, "t").input_value())
    drawn = root.locator(".plot").evaluate("plot => plot.dataset.frame")
    deck.keyboard.press("ArrowRight")
    expect(number_box(root, "t")).to_have_value(str(value + 1))
    settled(root)
    assert root.locator(".plot").evaluate("plot => plot.dataset.frame") != drawn
    assert number(deck) == here
    deck.evaluate("document.activeElement.blur()")
    deck.keyboard.press("ArrowRight")
    until(lambda: number(deck), here + 1)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_prediction_opens_what_was_to_be_seen(deck, key):
    here = slide_of(deck, ".diffusion-lab-prediction")
    asked, told = deck.locator(".diffusion-lab-prediction").first, deck.locator(".diffusion-lab-seen")
    expect(told.first).to_have_text(CLOSED)
    asked.get_by_role("radio").first.focus()
    deck.keyboard.press("Space")
    deck.keyboard.press("ArrowDown")
    expect(asked.get_by_role("radio").nth(1)).to_be_checked()
    deck.keyboard.press("Tab")
    expect(asked.get_by_role("button", name="Commit")).to_be_focused()
    deck.keyboard.press(key)
    expect(asked.get_by_role("status")).to_contain_text("Committed: b.")
    assert number(deck) == here
    deck.keyboard.press("ArrowRight")  # the figure
    deck.keyboard.press("ArrowRight")
    until(lambda: number(deck), here + 2)
    expect(told.first).to_be_visible()
    expect(told.first.locator(".verdict")).to_contain_text("you committed to b)")
    expect(told.nth(1)).to_have_text(CLOSED)  # of another question


def test_an_exercise_has_its_task_beside_it(deck):
    slide_of(deck, ".celltag_exercise")
    shown = deck.locator("section.present > section.present")
    expect(shown.get_by_text("Exercise.", exact=True)).to_be_visible()
    expect(shown.locator("pre").first).to_contain_text("exercises.check(")
    expect(shown).to_contain_text("Nothing is written yet")


def test_the_speaker_sees_all_notes_of_a_slide(deck):
    """The plugin shows the first cell of them."""
    counts = deck.evaluate(
        "Reveal.getHorizontalSlides().map((slide) => slide.querySelectorAll('aside.notes').length)"
    )
    assert max(counts) == 1 and sum(counts) > 5
    expect(deck.locator("aside.notes").first).not_to_be_visible()


@pytest.mark.parametrize("width, height", [(1280, 720), (1024, 768)])
def test_nothing_is_wider_than_its_slide(deck, width, height):
    deck.set_viewport_size({"width": width, "height": height})
    for n in range(deck.evaluate("Reveal.getHorizontalSlides().length")):
        deck.evaluate("(n) => Reveal.slide(n)", n)
        for k in range(deck.locator("section.present .diffusion-lab-explorer").count()):
            settled(deck.locator("section.present .diffusion-lab-explorer").nth(k))
        assert deck.evaluate(TOO_WIDE) == [], f"slide {n + 1}"
