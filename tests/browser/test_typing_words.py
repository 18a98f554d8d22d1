"""Words typed in a real browser: taken by Enter, kept where they make no sense, or taken from a list."""

import pytest
from labtools import (
    control,
    explorer,
    fresh_page,
    kernels_end,
    number_box,
    numbers,
    open_notebook,
    run_all,
    settled,
    words,
    write_notebook,
)
from playwright.sync_api import expect

from diffusion_lab.experiments.saying import CAPTIONS
from diffusion_lab.explorers import SayIt

pytestmark = pytest.mark.browser
CELLS = ("from diffusion_lab.explorers import SayIt", "say = SayIt(w=2.0)\nsay")


@pytest.fixture(scope="module")
def root(browser, jupyterlab):
    """An explorer in a notebook; in the end no key has gone astray."""
    view = {"width": 1280, "height": 900}
    with kernels_end(jupyterlab), fresh_page(browser, viewport=view) as (page, errors):
        open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "say_it.ipynb", *CELLS))
        run_all(page)
        yield explorer(page)
        assert page.locator(".jp-Cell").count() == len(CELLS) and page.locator(".jp-Dialog").count() == 0
    assert not errors, "\n".join(errors)


def say(root, text: str):
    """Type a caption over the one that is there."""
    box = number_box(root, "caption")
    box.press("Control+a")
    box.press_sequentially(text)
    box.press("Enter")


def assert_shows(root, caption: str):
    settled(root)
    twin = SayIt(caption=caption, w=2.0)
    assert numbers(root) == twin.numbers and words(root, "sentence") == twin.frame.sentence
    assert words(root, "code") == twin.frame.code and words(root, "error") == ""


def test_a_caption_is_typed_and_drawn(root):
    caption = "a small yellow square below a large blue triangle"
    say(root, caption)
    assert_shows(root, caption)
    expect(number_box(root, "caption")).to_have_value(caption)
    assert control(root, "caption").evaluate("node => node.selectedIndex") == -1  # none of the examples


def test_a_strange_word_is_named_and_what_was_typed_stays(root):
    say(root, "a small purple dog on the left")
    expect(root.locator("[data-role=error]")).to_contain_text("does not know: purple, dog")
    expect(number_box(root, "caption")).to_have_value("a small purple dog on the left")
    say(root, CAPTIONS[0])
    assert_shows(root, CAPTIONS[0])
    assert control(root, "caption").evaluate("node => node.selectedIndex") == 0


def test_an_example_is_taken_instead(root):
    control(root, "caption").press("ArrowDown")
    assert_shows(root, CAPTIONS[1])
    expect(number_box(root, "caption")).to_have_value(CAPTIONS[1])
