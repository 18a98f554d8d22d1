"""The whole course as pages from the disk, the network off: each page opened, each explorer moved."""

import re

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from labtools import control, drawing, explorer, fresh_page, number_box, settled
from nbtools import NOTEBOOKS
from playwright.sync_api import expect
from test_every_explorer import CONTRASTS, drawn, values
from test_every_explorer import assert_shows as assert_says
from test_export import dead_links

from diffusion_lab import explorers
from diffusion_lab.engine import Explorer
from diffusion_lab.engine.packing import LEVELS
from diffusion_lab.export import explorer_outputs, modules

pytestmark = pytest.mark.browser

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
STATES = {
    path.stem: [data["application/vnd.diffusion-lab.explorer+json"] for data in explorer_outputs(notebook)]
    for path, notebook in ((path, nbformat.read(path, as_version=4)) for path in PATHS)
}
LIMIT_MB = 38


@pytest.fixture(scope="module", params=["index", *STATES, "diffusion_lab/forward"])
def opened(request, browser, site):
    """(name, page), the network off: all that is asked of one page is asked before the next is opened."""
    view = {"width": 1280, "height": 720}
    with fresh_page(browser, viewport=view, offline=True) as (page, errors):
        page.goto((site / f"{request.param}.html").as_uri())
        yield request.param, page
    assert not errors, "\n".join(errors)


def test_there_are_explorers_on_the_pages(site):
    shown = {state["explorer"] for states in STATES.values() for state in states}
    assert shown == set(explorers.__all__), "run `make notebooks`"
    for stem, states in STATES.items():
        page = (site / f"{stem}.html").read_text("utf-8")
        assert page.count('<div class="diffusion-lab">') == len(states)


def test_the_site_is_small_and_whole(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    sizes = {path.relative_to(site).as_posix(): path.stat().st_size / 1e6 for path in files}
    assert sum(sizes.values()) <= LIMIT_MB, sorted(sizes.items(), key=lambda item: -item[1])[:12]
    assert not dead_links(site)


def test_every_page_reads_well(opened):
    _, page = opened
    expect(page.locator("h1")).to_have_count(1)
    text = page.evaluate("""() => {
        const copy = document.querySelector("[role=main]").cloneNode(true);
        copy.querySelectorAll("pre, code, script, .output").forEach((node) => node.remove());
        return copy.textContent;
    }""")
    assert "$" not in text and "\\" not in text
    assert page.locator("img:not([alt])").count() + page.locator("img[alt='']").count() == 0
    if page.locator("math").count():
        fonts = "document.fonts.ready.then(() => [...document.fonts].map((f) => [f.family, f.status].join()))"
        assert page.evaluate(fonts) == ["STIX Two Math,loaded"]
    hide = "(yes) => document.querySelectorAll('.diffusion-lab').forEach((node) => { node.hidden = yes; })"
    page.evaluate(hide, True)  # test_every_explorer.py and test_faults.py look at their colours
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = dict(page.locator("body").evaluate(CONTRASTS))
        assert len(found) > 10
        assert not {word: round(ratio, 2) for word, ratio in found.items() if ratio < 4.5}, scheme
    for width in (1440, 1340, 1280, 640):  # with the page's contents beside it; 640 is 200 % on a projector
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.evaluate(hide, False)


@pytest.mark.parametrize(
    "name", ["index", "11_elbo", "diffusion_lab/exact", "_modules/diffusion_lab/exact", "search"]
)
def test_axe_finds_nothing(page, site, name):
    """On one page of each kind, light and dark; test_faults.py has the explorers."""
    page.goto((site / f"{name}.html").as_uri())
    for nth in range(page.locator(".diffusion-lab").count()):
        explorer(page, nth)
    page.evaluate("document.documentElement.classList.add('show-back-to-top')")  # as after scrolling up
    expect(page.locator(".back-to-top")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        axe = Axe().run(page, options={"preload": False}).response  # it would ask for the style sheets
        assert not {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in axe["violations"]}


def test_from_page_to_page_by_keyboard(page, site):
    page.context.set_offline(True)
    page.goto((site / "index.html").as_uri())
    for stem in list(STATES)[:2]:
        page.locator("a.next-page").press("Enter")
        expect(page).to_have_url(re.compile(f"/{stem}.html$"))
    page.locator("a.prev-page").press("Enter")
    expect(page).to_have_url(re.compile(f"/{next(iter(STATES))}.html$"))
    page.locator("a.sidebar-brand").press("Enter")
    expect(page).to_have_url(re.compile("/index.html$"))
    main, side = page.get_by_role("main"), page.get_by_role("complementary", name="All pages")
    main.get_by_role("link", name="diffusion_lab/forward.py").first.press("Enter")
    expect(page.locator("h1")).to_contain_text("diffusion_lab/forward.py")
    main.get_by_role("link", name="[source]").first.press("Enter")
    expect(page).to_have_url(re.compile("/_modules/diffusion_lab/forward.html#q_step$"))
    expect(main).to_contain_text("def q_step(")
    page.go_back()
    main.get_by_role("link", name="03 · The forward process").press("Enter")
    main.get_by_role("link", name="diffusion_lab/exact.py").press("Enter")
    expect(page.locator("h1")).to_contain_text("diffusion_lab/exact.py")
    assert side.get_by_role("link").count() > len(modules()) + len(STATES)


def test_words_are_found(page, site):
    page.context.set_offline(True)
    page.goto((site / "03_forward.html").as_uri())
    box = page.get_by_role("textbox", name="Search")
    for word, there in [("Fréchet", "16_metrics.html"), ("q_posterior", "diffusion_lab/forward.html#")]:
        box.fill(word)
        box.press("Enter")
        expect(page.locator("#search-results")).to_contain_text("Search finished")
        expect(page.locator(f"#search-results a[href*='{there}']").first).to_be_visible()
        box = page.get_by_role("textbox", name="Search")
    page.locator("#search-results a[href*='diffusion_lab/forward.html#']").first.press("Enter")
    expect(page.locator("h1")).to_contain_text("diffusion_lab/forward.py")


def test_code_is_copied(page, site):
    page.goto((site / "17_diffusers.html").as_uri())
    cells = page.locator(".cell_input")
    expect(page.locator(".copybtn")).to_have_count(cells.count())  # none on outputs
    cells.last.hover()
    button = cells.last.locator(".copybtn")
    button.click()
    expect(button).to_have_class(re.compile("success"))
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").last.press("Control+V")
    expect(page.locator("textarea").last).to_have_value(cells.last.locator("pre").text_content().strip())


def test_light_and_dark_by_the_button(page, site):
    """An explorer follows, and its figure."""
    page.emulate_media(color_scheme="light")
    page.goto((site / "03_forward.html").as_uri())
    plot, button = explorer(page).locator(".plot"), page.locator(".content-icon-container .theme-toggle")
    seen = {}
    for theme in ("light", "dark"):
        while page.locator("body").get_attribute("data-theme") != theme:
            button.press("Enter")
        color = "node => getComputedStyle(node.closest('.diffusion-lab-explorer')).color"
        expected = plot.evaluate(color)
        page.wait_for_function(
            "([plot, color]) => plot._fullLayout.font.color === color", arg=[plot.element_handle(), expected]
        )
        seen[theme] = expected
    assert seen["light"] != seen["dark"]


def moves(cls, name, value):
    """Keys that move a control away and back again, each with the value they lead to."""
    c = cls.controls[name]
    if c.kind == "toggle":
        return [(" ", not value), (" ", value)]
    if c.kind == "points":  # its presets are buttons
        presets = {name: points for name, points in c.presets.items() if points != value}
        back = [name for name, points in c.presets.items() if points == value]
        return [(f"press {preset}", c.presets[preset]) for preset in [*list(presets)[:1], *back]]
    k = c.values.index(value)
    on, back = ("ArrowDown", "ArrowUp") if c.kind in ("choice", "words") else ("ArrowRight", "ArrowLeft")
    if k + 1 < len(c.values):
        return [(on, c.values[k + 1]), (back, value)]
    return [(back, c.values[k - 1]), (on, value)]


# The numbers of one of a trace's arrays, row after row; null if the trace is hidden
DRAWN = """(plot, [i, key]) => {
    const trace = plot._fullData[i];
    return trace.visible === true ? [...trace[key]].flatMap((v) => (v?.length ? [...v] : [v])) : null;
}"""


def press(root, name, keys):
    if keys.startswith("press "):
        root.get_by_role("button", name=keys.removeprefix("press "), exact=True).press("Enter")
    else:
        control(root, name).press(keys)
    settled(root)


def assert_shows(root, cls, state):
    """The page says what Python says of these control values, and has drawn what Python would draw."""
    assert values(root, cls) == state
    scene, k = assert_says(root, cls, state)
    for i, name in enumerate(scene.traces):
        for key, array in scene.frames[k].changes.get(name, {}).items():
            if key not in "xyz" or not hasattr(array, "shape"):
                continue
            there = root.locator(".plot").evaluate(DRAWN, [i, key])
            if there is None:
                continue
            array = np.asarray(array, float).ravel()
            largest = np.abs(array[np.isfinite(array)]).max(initial=0)
            atol = 0.51 * largest / LEVELS + 1e-6 * largest
            np.testing.assert_allclose(
                np.array(there, float).ravel(), array, rtol=0, atol=atol, err_msg=f"{name} {key}"
            )


def test_every_explorer_moves(opened):
    stem, page = opened
    for nth, stored in enumerate(STATES.get(stem, [])):
        root = explorer(page, nth)
        state = Explorer.stored(stored, explorers)
        cls = type(state)
        state = {name: getattr(state, name) for name in cls.controls}
        main = cls.main
        assert_shows(root, cls, state)
        assert main not in cls.portable and cls.portable

        positions = cls(**state).shown.positions
        picture = drawing(root)
        for keys, position in [("Home", positions[0]), ("End", positions[-1]), ("ArrowLeft", positions[-2])]:
            if state[main] == position:
                continue
            control(root, main).press(keys)
            settled(root)
            state[main] = position
            assert_shows(root, cls, state)
            picture = drawn(root, unlike=picture)
        for name in cls.portable:
            for keys, value in moves(cls, name, state[name]):
                press(root, name, keys)
                state[name] = value
                position = number_box(root, main).input_value()  # the nearest there is now
                state[main] = type(state[main])(position)
                assert_shows(root, cls, state)
        for name in cls.controls.keys() - {main, *cls.portable}:
            expect(control(root, name)).to_be_disabled()
        asleep = [c.label or name for name, c in cls.controls.items() if name not in (main, *cls.portable)]
        note = f"Works only in JupyterLab: {', '.join(asleep)}." if asleep else ""
        expect(root.locator(".controls + .note")).to_have_text(note)
