"""What must not go wrong in front of a class: a busy kernel, a dead one, eyes and screens of every kind."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from labtools import (
    PATIENCE,
    SECONDS,
    control,
    drawing,
    explorer,
    fresh_page,
    hold_play,
    numbers,
    open_notebook,
    press,
    run_all,
    settled,
    tick,
    until,
    words,
    write_notebook,
)
from playwright.sync_api import expect
from test_every_explorer import assert_shows, values
from wave_explorer import Wave

from diffusion_lab import explorers
from diffusion_lab.explorers import Denoising

pytestmark = pytest.mark.browser

EVERY = [getattr(explorers, name) for name in explorers.__all__]

SHOW = """
from diffusion_lab.explorers import Denoising
shown = Denoising(source="mixture, learned", sampler="ddpm", steps=2, step=0)
shown
"""
TRAIN = """
import hashlib
import time
from pathlib import Path
import matplotlib.pyplot as plt
import torch
from diffusion_lab import recipe, training

shown.step = 1 - shown.step  # the shell that is busy from now on is the last one that wrote to the explorer
torch.manual_seed(5)
figure, axes = plt.subplots()
drawn = []

def watch(step, denoiser, history):
    drawn.append(torch.rand(()).item())
    plt.plot([0, step], [0, 1])
    while step == 300 and not Path("go_on").exists():  # half-way it waits until sliders have been answered
        time.sleep(0.01)

what = recipe.Recipe(data="mixture", network="MLP", arguments=dict(width=64), steps=600, batch=256)
result = training.train(what, callback=watch, callback_every=15, progress=False)
weights = b"".join(p.detach().numpy().tobytes() for p in result.denoiser.net.parameters())
lines, mine = len(axes.lines), figure is plt.gcf()
plt.close(figure)
print(hashlib.sha256(weights).hexdigest(), sum(drawn), torch.rand(()).item(), lines, mine)
"""


def test_a_slider_hammered_while_a_cell_trains(page, jupyterlab):
    """The same weights, the same random streams, a whole figure; every scene right; the last value wins."""
    go_on = jupyterlab.root / "go_on"
    go_on.touch()
    open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "hammer.ipynb", SHOW, TRAIN))
    run_all(page)
    cell = page.locator(".jp-CodeCell").nth(1)
    prompt, output = cell.locator(".jp-InputArea-prompt"), cell.locator(".jp-OutputArea-output")
    expect(output).to_have_text(re.compile(r"^\w{64} .* True\s*$"))
    quiet, root = output.inner_text(), explorer(page)

    go_on.unlink()
    cell.locator(".cm-content").press("Control+Enter")
    expect(prompt).to_have_text("[*]:")
    slider, answered = control(root, "steps"), set()
    deadline, i, last = time.monotonic() + PATIENCE, 0, None
    while i != last and prompt.inner_text() == "[*]:":
        # Focused each time: JupyterLab takes the focus when it has started the cell, and says not when
        slider.press("ArrowRight" if i // 4 % 2 == 0 else "ArrowLeft")
        answered.add(json.dumps(numbers(root)))
        if last is None and len(answered) == 3:
            go_on.touch()
            last = i + 200  # and on it goes for a while
        i += 1
        assert last or time.monotonic() < deadline, "no answers while the cell was running"
    assert len(answered) >= 3
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))
    until(output.inner_text, quiet)
    assert quiet.split()[-2:] == ["40", "True"]
    press(root, "steps", "End")  # where it has not been: this answer is the last one
    assert_shows(root, Denoising, values(root, Denoising))
    assert words(root, "error") == ""


def test_a_dead_kernel(browser, jupyterlab):
    """The main slider goes on; a control that needs the kernel says that no answer comes."""
    shutil.copy(Path(__file__).with_name("wave_explorer.py"), jupyterlab.root / "wave_explorer.py")
    path = write_notebook(jupyterlab.root / "dead.ipynb", "from wave_explorer import Wave\nWave()")
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * SECONDS)
    open_notebook(page, jupyterlab, path)
    run_all(page)
    root = explorer(page)
    shut_down = """async (name) => {
        const sessions = await (await fetch("/api/sessions")).json();
        const headers = { "X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1] };
        const { kernel } = sessions.find((session) => session.path === name);
        return (await fetch(`/api/kernels/${kernel.id}`, { method: "DELETE", headers })).status;
    }"""
    assert page.evaluate(shut_down, "dead.ipynb") == 204
    before = drawing(root)
    press(root, "t", "ArrowRight")
    assert numbers(root) == Wave(t=9).numbers
    assert drawing(root) != before
    page.evaluate("""() => {
        const set = setTimeout;  // the explorer's eight seconds of patience are over at once
        globalThis.setTimeout = (f, after, ...more) => set(f, after === 8000 ? 0 : after, ...more);
    }""")
    control(root, "N").press("ArrowRight")
    expect(root.locator(".working")).to_be_visible()
    expect(root.locator(".working")).to_have_text("no answer yet: is the kernel running?")
    page.close()


def test_reduced_motion(browser, tmp_path):
    """`play` shows ten pictures, one after the other, instead of a film; nothing plays by itself."""
    with fresh_page(browser, reduced_motion="reduce") as (page, _):
        page.add_init_script("""
            globalThis.clocks_ = 0;
            const set = setInterval;
            globalThis.setInterval = (...how) => { clocks_++; return set(...how); };
        """)
        page.goto(Wave(N=100, t=0).to_html(tmp_path / "wave.html").as_uri())
        root = explorer(page)
        assert control(root, "t").input_value() == "0" and page.evaluate("clocks_") == 0
        hold_play(page)
        root.get_by_role("button", name="play").click()
        shown = []
        for _ in range(10):
            assert tick(page) == 1500
            settled(root)
            shown.append(int(root.locator(".plot").get_attribute("data-frame")))
        assert shown == [11, 22, 33, 44, 55, 66, 77, 88, 99, 100]
        expect(root.get_by_role("button", name="pause")).to_be_visible()
        tick(page)
        expect(root.get_by_role("button", name="play")).to_be_visible()
        assert page.evaluate("clocks_") == 0  # all of it went through the one that is held


@pytest.fixture(scope="module", params=EVERY, ids=lambda cls: cls.__name__)
def alone(request, browser, tmp_path_factory):
    """(page, root) of an explorer on a page of its own, on a projector."""
    path = request.param().to_html(tmp_path_factory.mktemp("alone") / "page.html", [])
    with fresh_page(browser, viewport={"width": 1280, "height": 720}) as (page, errors):
        page.goto(path.as_uri())
        yield page, explorer(page)
    assert not errors, "\n".join(errors)


def test_on_a_projector(alone):
    """1280×720: controls and figure are seen at once."""
    _, root = alone
    top, bottom = (root.locator(s).bounding_box() for s in (".head", ".plot"))
    assert bottom["y"] + bottom["height"] - top["y"] <= 720


OVERLAPS = """node => {
    const words = [...node.querySelectorAll(".plot text")].filter((text) => text.textContent.trim())
        .map((text) => [text.textContent, text.getBoundingClientRect()]);
    return words.flatMap(([said, a], i) => words.slice(i + 1).filter(([, b]) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3).map(([other]) => `${said} | ${other}`));
}"""


def test_no_words_lie_on_others(alone):
    """At both ends of the main slider and where the explorer opens."""
    _, root = alone
    settled(root)
    assert root.evaluate(OVERLAPS) == []
    main = root.locator(".main input[type=range]")
    here = main.input_value()
    for key in ("Home", "End"):
        main.press(key)
        settled(root)
        assert root.evaluate(OVERLAPS) == [], key
    main.evaluate("(node, k) => { node.value = k; node.oninput() }", here)
    settled(root)


def test_at_200_percent(alone):
    """On half as wide a page nothing is cut off, and the figure scrolls."""
    page, root = alone
    page.set_viewport_size({"width": 640, "height": 360})
    settled(root)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    for box in root.locator("input, select, button, label, .numbers span").all():
        place = box.bounding_box()
        assert place["x"] >= 0 and place["x"] + place["width"] <= 640
    assert root.locator(".plot").bounding_box()["width"] >= 640  # no smaller: it is scrolled instead
    small = """node => [...node.querySelectorAll(".plot text, label, span, p, button, summary")]
        .filter((n) => n.textContent.trim() && n.getClientRects().length)
        .map((n) => parseFloat(getComputedStyle(n).fontSize)).filter((size) => size < 10)"""
    assert root.evaluate(small) == []
    page.set_viewport_size({"width": 1280, "height": 720})


# Whether the figure's words are bright now, or dark. (Those with a colour of their own keep it.)
FOLLOWED = """dark => {
    const plain = [...document.querySelectorAll(".plot text")].map((text) => getComputedStyle(text).fill)
        .map((fill) => fill.match(/\\d+/g).map(Number)).filter(([r, g, b]) => r === g && g === b);
    return plain.length && plain.every(([grey]) => grey > 127 === dark);
}"""


def test_a_page_of_its_own_follows_the_colour_scheme(alone):
    page, _ = alone
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(FOLLOWED, arg=scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(alone, scheme):
    """axe-core: names, roles, landmarks, headings, contrasts."""
    page, _ = alone
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(FOLLOWED, arg=scheme == "dark")
    found = Axe().run(page).response
    assert len(found["passes"]) > 10  # rules that were there to be followed
    assert not {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found["violations"]}
