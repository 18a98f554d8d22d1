"""The whole course as pages from the disk, the network off: each page opened, each explorer moved."""

import re

import nbformat
import numpy as np
import pytest
from labtools import control, drawing, explorer, fresh_page, number_box, settled
from nbtools import NOTEBOOKS
from playwright.sync_api import expect
from test_every_explorer import CONTRASTS, drawn, main_of, values
from test_every_explorer import assert_shows as assert_says
from test_export import dead_links

from diffusion_lab import explorers
from diffusion_lab.explorers.packing import LEVELS
from diffusion_lab.export import explorer_outputs, export

pytestmark = pytest.mark.browser

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
STATES = {
    path.stem: [data["application/vnd.diffusion-lab.explorer+json"] for data in explorer_outputs(notebook)]
    for path, notebook in ((path, nbformat.read(path, as_version=4)) for path in PATHS)
}
LIMIT_MB = 20


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return export(tmp_path_factory.mktemp("export") / "site")


@pytest.fixture(scope="module", params=["index", *STATES, "source/diffusion_lab.forward"])
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
    sizes = {path.name: path.stat().st_size / 1e6 for path in site.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= LIMIT_MB, sorted(sizes.items(), key=lambda item: -item[1])[:12]
    assert not dead_links(site)


def test_every_page_reads_well(opened):
    _, page = opened
    expect(page.locator("h1")).to_have_count(1)
    text = page.evaluate("""() => {
        const copy = document.querySelector("main").cloneNode(true);
        copy.querySelectorAll("pre, code, script, .explorer").forEach((node) => node.remove());
        return copy.textContent;
    }""")
    assert "$" not in text and "\\" not in text
    assert page.locator("img:not([alt])").count() + page.locator("img[alt='']").count() == 0
    if page.locator("math").count():
        fonts = "document.fonts.ready.then(() => [...document.fonts].map((f) => [f.family, f.status].join()))"
        assert page.evaluate(fonts) == ["STIX Two Math,loaded"]
    hide = "(yes) => document.querySelectorAll('.explorer').forEach((node) => { node.hidden = yes; })"
    page.evaluate(hide, True)  # test_every_explorer.py and test_faults.py look at their colours
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = dict(page.locator("body").evaluate(CONTRASTS))
        assert len(found) > 10
        assert not {word: round(ratio, 2) for word, ratio in found.items() if ratio < 4.5}, scheme
    for width in (1280, 640):  # the latter is 200 % on a projector
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.evaluate(hide, False)


def test_from_page_to_page_by_keyboard(page, site):
    page.context.set_offline(True)
    page.goto((site / "index.html").as_uri())
    for stem in list(STATES)[:2]:
        page.locator("main + nav [rel=next]").press("Enter")
        expect(page).to_have_url(re.compile(f"/{stem}.html$"))
    page.locator("[rel=prev]").first.press("Enter")
    expect(page).to_have_url(re.compile(f"/{next(iter(STATES))}.html$"))
    page.get_by_role("link", name="Contents").first.press("Enter")
    expect(page).to_have_url(re.compile("/index.html$"))
    page.get_by_role("link", name="diffusion_lab/forward.py").first.press("Enter")
    expect(page.locator("h1")).to_have_text("diffusion_lab/forward.py")


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
    on, back = ("ArrowDown", "ArrowUp") if c.kind == "choice" else ("ArrowRight", "ArrowLeft")
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
    for i, patch in scene.at("frames", k).items():
        for key, array in patch.items() if i != "layout" else ():
            if key not in "xyz" or not hasattr(array, "shape"):
                continue
            there = root.locator(".plot").evaluate(DRAWN, [int(i), key])
            if there is None:
                continue
            array = np.asarray(array, float).ravel()
            largest = np.abs(array[np.isfinite(array)]).max(initial=0)
            atol = 0.51 * largest / LEVELS + 1e-6 * largest
            np.testing.assert_allclose(np.array(there, float), array, rtol=0, atol=atol, err_msg=f"{i} {key}")


def test_every_explorer_moves(opened):
    stem, page = opened
    for nth, stored in enumerate(STATES.get(stem, [])):
        root = explorer(page, nth)
        state = explorers.core.Explorer.stored(stored, explorers)
        cls = type(state)
        state = {name: getattr(state, name) for name in cls.controls}
        main = main_of(cls)
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
        note = f"Live in JupyterLab: {', '.join(asleep)}." if asleep else ""
        expect(root.locator(".controls + .note")).to_have_text(note)
