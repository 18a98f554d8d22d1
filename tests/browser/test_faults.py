"""What must not go wrong in front of a class: a busy kernel, a dead one, eyes and screens of every kind."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from labtools import (
    control,
    drawing,
    explorer,
    numbers,
    open_notebook,
    press,
    run_all,
    settled,
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
Denoising(source="mixture, learned", sampler="ddpm", steps=2, step=1)
"""
TRAIN = """
import hashlib
import matplotlib.pyplot as plt
import torch
from diffusion_lab import recipe, training

torch.manual_seed(5)
figure, axes = plt.subplots()
drawn = []

def watch(step, denoiser, history):
    drawn.append(torch.rand(()).item())
    plt.plot([0, step], [0, 1])

what = recipe.Recipe(data="mixture", network="MLP", arguments=dict(width=64), steps=2000, batch=256)
result = training.train(what, callback=watch, callback_every=50, progress=False)
weights = b"".join(p.detach().numpy().tobytes() for p in result.denoiser.net.parameters())
lines, mine = len(axes.lines), figure is plt.gcf()
plt.close(figure)
print(hashlib.sha256(weights).hexdigest(), sum(drawn), torch.rand(()).item(), lines, mine)
"""


def test_a_slider_hammered_while_a_cell_trains(page, jupyterlab):
    """The same weights, the same random streams, a whole figure; every scene right; the last value wins."""
    open_notebook(page, jupyterlab, write_notebook(jupyterlab.root / "hammer.ipynb", SHOW, TRAIN))
    run_all(page)
    cell = page.locator(".jp-CodeCell").nth(1)
    prompt, output = cell.locator(".jp-InputArea-prompt"), cell.locator(".jp-OutputArea-output")
    quiet = output.inner_text()
    root = explorer(page)
    settled(root)

    cell.locator(".cm-content").press("Control+Enter")
    expect(prompt).to_have_text("[*]:")
    slider, answered = control(root, "steps"), set()
    slider.focus()
    for i in range(10_000):
        page.keyboard.press("ArrowRight" if i // 4 % 2 == 0 else "ArrowLeft")
        busy = prompt.inner_text() == "[*]:"
        if busy:
            answered.add(json.dumps(numbers(root)))
        if not busy:
            break
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))
    assert output.inner_text() == quiet
    assert quiet.split()[-2:] == ["40", "True"]
    assert len(answered) > 1, "no answers while the cell was running"
    settled(root)
    assert_shows(root, Denoising, values(root, Denoising))
    assert words(root, "error") == ""


def test_a_dead_kernel(browser, jupyterlab):
    """The main slider goes on; a control that needs the kernel says that no answer comes."""
    shutil.copy(Path(__file__).with_name("wave_explorer.py"), jupyterlab.root / "wave_explorer.py")
    path = write_notebook(jupyterlab.root / "dead.ipynb", "from wave_explorer import Wave\nWave()")
    page = browser.new_page()
    open_notebook(page, jupyterlab, path)
    run_all(page)
    root = explorer(page)
    settled(root)
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
    control(root, "N").press("ArrowRight")
    expect(root.locator(".working")).to_be_visible()
    expect(root.locator(".working")).to_have_text("no answer yet: is the kernel running?", timeout=15_000)
    page.close()


def test_reduced_motion(browser, tmp_path):
    """`play` shows ten pictures, one after the other, instead of a film; nothing plays by itself."""
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.goto(Wave(N=100, t=0).to_html(tmp_path / "wave.html").as_uri())
    root = explorer(page)
    settled(root)
    page.wait_for_timeout(300)
    assert control(root, "t").input_value() == "0"
    changes = """node => {
        globalThis.frames_ = [];
        new MutationObserver(() => frames_.push(node.dataset.frame))
            .observe(node, { attributeFilter: ["data-frame"] });
    }"""
    root.locator(".plot").evaluate(changes)
    root.get_by_role("button", name="play").click()
    start = time.monotonic()
    expect(control(root, "t")).to_have_value("22", timeout=10_000)
    assert time.monotonic() - start > 1
    assert page.evaluate("frames_") == ["11", "22"]
    page.context.close()


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_on_a_projector_and_at_200_percent(browser, tmp_path, cls):
    """1280×720: controls and figure are seen at once. At 200 % nothing is cut off, and the figure scrolls."""
    path = cls().to_html(tmp_path / "page.html", [])
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(path.as_uri())
    root = explorer(page)
    settled(root)
    top, bottom = (root.locator(s).bounding_box() for s in (".head", ".plot"))
    assert bottom["y"] + bottom["height"] - top["y"] <= 720
    page.close()
    page = browser.new_page(viewport={"width": 640, "height": 360}, device_scale_factor=2)
    page.goto(path.as_uri())
    root = explorer(page)
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
    page.close()
