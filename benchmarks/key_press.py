"""From a key press to the changed page: every explorer's main slider, beside `interact` and pyplot.

    python benchmarks/key_press.py [EXPLORER ...]

Both stand in one notebook of a real JupyterLab, in headless Chromium, and take turns. `interact` draws the
same traces of the same precomputed scene with pyplot, so neither has anything to compute. The clock runs from
the keydown event to the mutation of the page that brings the new picture. The last column is the slowest of
ten fast drags across the slider: from its last event to the picture for it. Prints a table for the README.
"""

import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]
PRESSES = 80  # of each explorer; `interact` gets half as many

SETUP = """
%matplotlib inline
import base64
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from diffusion_lab import explorers

def values(array):
    if hasattr(array, "detach"):
        array = array.detach().numpy()
    return np.array([np.nan if v is None else v for v in array], float) if isinstance(array, list) else array

def merged(base, patch):
    both = isinstance(base, dict) and isinstance(patch, dict)
    return {**base, **{key: merged(base.get(key), patch[key]) for key in patch}} if both else patch

def pyplot(scene, k):
    changes = scene.frames[k].changes
    layout = merged(scene.layout, changes.get("layout", {}))
    plt.figure(figsize=(9, layout.get("height", 300) / 100))
    axes = {}
    for name, trace in scene.traces.items():
        trace = merged(trace, changes.get(name, {}))
        n = trace.get("xaxis", "x")[1:]
        if n not in axes:
            x, y = layout.get("xaxis" + n, {}), layout.get("yaxis" + n, {})
            (left, right), (low, high) = x.get("domain", (0, 1)), y.get("domain", (0, 1))
            place = [0.06 + 0.92 * left, 0.1 + 0.8 * low, 0.92 * (right - left), 0.8 * (high - low)]
            axes[n] = plt.axes(place, xscale=x.get("type", "linear"), yscale=y.get("type", "linear"))
        if trace["type"] == "heatmap":
            axes[n].imshow(values(trace["z"]), aspect="auto")
        elif trace["type"] == "bar":
            axes[n].bar(values(trace["x"]), values(trace["y"]))
        elif "x" in trace and "y" in trace and trace["type"] == "scatter":
            x, y = np.broadcast_arrays(values(list(trace["x"])), values(list(trace["y"])))
            axes[n].plot(x, y, "-" if "lines" in trace.get("mode", "lines") else ".")
    plt.show()
"""
CELL = """
explorer = explorers.{name}()
display(explorer)
scene = explorer.shown
slider = ipywidgets.IntSlider(0, 0, len(scene.positions) - 1)
ipywidgets.interact(lambda k: pyplot(scene, k), k=slider);
"""

# Counts the milliseconds from the last keydown to a mutation in `node` that the test is waiting for.
CLOCK = """([node, picture]) => {
    let pressed = 0;
    document.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
    const seen = () => (picture ? node.querySelector("img")?.src : node.dataset.frame);
    globalThis.arm = () => {
        const before = seen();
        globalThis.took = new Promise((done, failed) => {
            setTimeout(() => failed("no new picture within 5 seconds"), 5000);
            const observer = new MutationObserver(() => {
                const now = performance.now();
                if (!seen() || seen() === before) return;
                observer.disconnect();
                done(now - pressed);
            });
            observer.observe(node, { subtree: picture, childList: picture, attributes: true });
        });
    };
}"""


# Two drags a second across the slider, an event every 10 ms: milliseconds from the last one to its picture.
DRAG = """async ([slider, plot]) => {
    const taken = [];
    for (let drag = 0; drag < 10; drag++) {
        for (let i = 0; i <= 50; i++) {
            const share = drag % 2 ? 50 - i : i;
            slider.value = Math.round((slider.max * share) / 50);
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            if (i < 50) await new Promise((done) => setTimeout(done, 10));
        }
        const released = performance.now();
        while (plot.dataset.frame !== slider.value) await new Promise((done) => setTimeout(done));
        taken.push(performance.now() - released);
    }
    return taken;
}"""


def clock(page, focus, node, picture: bool, presses: int, stops: int) -> np.ndarray:
    """Milliseconds of each key press on `focus`, which stands at its left end: to the right, and back."""
    focus.focus()
    page.evaluate(CLOCK, [node.element_handle(), picture])
    taken = []
    for i in range(presses + 4):
        page.evaluate("arm()")
        page.keyboard.press("ArrowLeft" if i // (stops - 1) % 2 else "ArrowRight")
        taken.append(page.evaluate("globalThis.took"))
        page.wait_for_timeout(20)
    return np.array(taken[4:])  # the first few warm up


def test_key_press(name, browser, jupyterlab, table):
    from labtools import explorer, kernels_end, open_notebook, run_all, settled, write_notebook

    with kernels_end(jupyterlab):
        path = write_notebook(jupyterlab.root / f"{name}.ipynb", SETUP, CELL.format(name=name))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(20_000)
        open_notebook(page, jupyterlab, path)
        run_all(page)
        root = explorer(page)
        settled(root)
        slider = root.locator(".main input[type=range]")
        slider.press("Home")
        settled(root)
        stops = int(slider.evaluate("node => node.max")) + 1
        ours = clock(page, slider, root.locator(".plot"), False, PRESSES, stops)
        dragged = page.evaluate(DRAG, [slider.element_handle(), root.locator(".plot").element_handle()])
        output = page.locator(".jp-Output, .jp-OutputArea-child", has=page.locator(".widget-interact")).last
        theirs = clock(page, output.locator(".noUi-handle"), output, True, PRESSES // 2, stops)
        page.close()
    table.append((name, max(dragged), *(np.percentile(each, q) for each in (ours, theirs) for q in (50, 95))))


class Table:
    """The plugin that names the explorers, collects a row for each and prints them at the end."""

    def __init__(self, names):
        self.names, self.rows = names, []

    @pytest.fixture
    def table(self):
        return self.rows

    def pytest_generate_tests(self, metafunc):
        metafunc.parametrize("name", self.names)

    def pytest_terminal_summary(self, terminalreporter):
        write = terminalreporter.write_line
        cores, load = os.cpu_count(), os.getloadavg()[0]
        write(f"\n{platform.machine()}, {cores} cores, load {load:.1f}; {PRESSES} presses each; ms\n")
        write(
            "| explorer | median | p95 | `interact` + pyplot: median | p95 | ratio of medians | fast drag |"
        )
        write("|---|---|---|---|---|---|---|")
        for name, drag, median, p95, slow, slow95 in self.rows:
            row = f"{median:.0f} | {p95:.0f} | {slow:.0f} | {slow95:.0f} | {median / slow:.2f} | {drag:.0f}"
            write(f"| {name} | {row} |")


if __name__ == "__main__":
    from diffusion_lab import explorers

    plugin = Table(sys.argv[1:] or explorers.__all__)
    options = ["-q", "-p", "no:cacheprovider", "-p", "tests.conftest", "-o", "addopts=", __file__]
    sys.exit(pytest.main(options, plugins=[plugin]))
