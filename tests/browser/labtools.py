"""Small words for a notebook in a real JupyterLab: open it, run it, move a control, read what is shown.

Nothing here waits for a time: what the page says decides, and PATIENCE is for pages that never say it.
"""

import json
import re
import secrets
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import nbformat
from playwright.sync_api import Locator, Page, expect

SECONDS = 1000  # playwright counts milliseconds
PATIENCE = 300  # seconds; on a machine with better things to do, a page may take long
expect.set_options(timeout=PATIENCE * SECONDS)


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells, in the kernel named python3."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


def settings(jupyterlab, plugin: str, **values):
    """Settings for pages opened from now on: `settings(lab, "apputils-extension/themes", theme=…)`."""
    folder = jupyterlab.root.parent / "jupyterlab_settings_dir" / "@jupyterlab"
    path = folder / f"{plugin}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def watch(page: Page) -> list[str]:
    """A list of whatever goes wrong on the page from now on: errors, logged errors, failed requests."""
    errors = []
    page.on("pageerror", lambda error: errors.append(f"page error: {error}"))
    page.on("console", lambda m: m.type == "error" and errors.append(f"console: {m.text} {m.location}"))

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # a page that was left while it was still loading
            errors.append(f"request: {request.url} {request.failure}")

    page.on("requestfailed", failed)
    return errors


def sessions(jupyterlab) -> set[str]:
    """The notebooks that have a kernel now, by the ids of their sessions."""
    with urlopen(f"{jupyterlab.url}/api/sessions", timeout=PATIENCE) as answer:
        return {session["id"] for session in json.load(answer)}


@contextmanager
def kernels_end(jupyterlab):
    """Shut the kernels down that were started in this block, at its end: each holds 0.4 GB."""
    before = sessions(jupyterlab)
    yield
    for session in sessions(jupyterlab) - before:
        token = secrets.token_hex(16)  # a form's: the same in the header and in the cookie
        headers = {"X-XSRFToken": token, "Cookie": f"_xsrf={token}"}
        url = f"{jupyterlab.url}/api/sessions/{session}"
        urlopen(Request(url, method="DELETE", headers=headers), timeout=PATIENCE).close()


@contextmanager
def fresh_page(browser, **options):
    """(page, list of what goes wrong on it), in a context of its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * SECONDS)
    page = context.new_page()
    yield page, watch(page)
    context.close()


def open_notebook(page: Page, jupyterlab, path: str | Path):
    """Open a notebook below the server's root and wait until its kernel is idle."""
    settings(jupyterlab, "notebook-extension/tracker", windowingMode="none")  # cells out of sight, too
    settings(jupyterlab, "docmanager-extension/plugin", autosave=False)  # opened again, it has not been run
    path = Path(path)
    name = path.relative_to(jupyterlab.root) if path.is_absolute() else path
    page.goto(f"{jupyterlab.url}/lab/tree/{name.as_posix()}?reset")
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible()
    wait_idle(page)


def wait_idle(page: Page):
    """Wait until the status bar says that the kernel is idle."""
    expect(page.locator("#jp-bottom-panel")).to_contain_text("| Idle")


def until(read, expected):
    """Wait until `read()` gives what is expected, and fail with the difference if it never does."""
    deadline = time.monotonic() + PATIENCE
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == expected


def run_all(page: Page):
    """Run every cell of a notebook not yet run, wait for the last, fail with the traceback if one raised."""
    prompts = "".join(page.locator(".jp-CodeCell .jp-InputArea-prompt").all_text_contents())
    assert not re.search(r"\d", prompts), "a number from before cannot be told from one of this run"
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
            const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputArea-prompt")];
            const errors = document.querySelectorAll(
                ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'], .jp-RenderedError");
            return prompts.every((node) => /\\[\\d+\\]/.test(node.textContent))  // not [ ], nor [*]
                || [...errors].some((node) => node.textContent.includes("Traceback"));
        }"""
    )
    wait_idle(page)
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    tracebacks = errors.filter(has_text="Traceback").or_(page.locator(".jp-RenderedError"))
    assert not tracebacks.count(), tracebacks.all_inner_texts()


def run_cell(page: Page, nth: int = -1, code: str | None = None):
    """Run one code cell (again), as Ctrl+Enter does, perhaps with other `code` in it."""
    cell = page.locator(".jp-CodeCell").nth(nth)
    prompt = cell.locator(".jp-InputArea-prompt")
    prompt.evaluate("""node => {
        delete node.dataset.ran;
        const look = () => { if (node.textContent.includes("*")) node.dataset.ran = true; };
        new MutationObserver(look).observe(node, { childList: true, characterData: true, subtree: true });
    }""")
    if code is not None:
        cell.locator(".cm-content").fill(code)
    cell.locator(".cm-content").press("Control+Enter")
    expect(prompt).to_have_attribute("data-ran", "true")
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))


def explorer(page: Page, nth: int = 0) -> Locator:
    """The nth explorer on the page, once its figure is drawn."""
    root = page.locator(".diffusion-lab-explorer").nth(nth)
    settled(root)
    return root


def control(root: Locator, name: str) -> Locator:
    """The slider, drop-down list, check box or square of a control: press keys on it."""
    box = root.locator(f"[data-control='{name}']")
    return box.locator("input[type=range], select, input[type=checkbox], .pad")


def number_box(root: Locator, name: str) -> Locator:
    """Where a number is typed, or words."""
    return root.locator(f"[data-control='{name}'] input:is([type=number], [type=text])")


def points(root: Locator) -> tuple[tuple[float, float], ...]:
    """The points on the square of `Points`, in their order."""
    pairs = root.evaluate(
        """node => [...node.querySelectorAll(".pad circle:not(.cursor)")]
            .map((c) => [+c.getAttribute("cx"), 0 - c.getAttribute("cy")])"""
    )
    return tuple(map(tuple, pairs))


def numbers(root: Locator) -> dict[str, str]:
    """The numbers on the screen, as `Explorer.numbers` gives them in Python."""
    return root.evaluate(
        "node => Object.fromEntries([...node.querySelectorAll('[data-number]')]"
        ".map(n => [n.dataset.number, n.querySelector('b').textContent]))"
    )


def words(root: Locator, role: str) -> str:
    """What is said in `sentence`, `warning`, `error` or `code`; sub- and superscripts as in Python."""
    return root.locator(f"[data-role={role}]").evaluate(PLAIN)


# The text of a node, where x<sub>t</sub> is x_t, and L<sub>t−1</sub> is L_(t−1)
PLAIN = """node => [...node.childNodes].map((part) => {
    const sign = { SUB: "_", SUP: "^" }[part.nodeName] ?? "", said = part.textContent;
    return sign + (sign && said.length > 1 ? `(${said})` : said);
}).join("")"""


def drawing(root: Locator) -> str:
    """All that plotly drew, once it has: the paths of lines and marks, where these are, and the images."""
    what = "[n.getAttribute('d') ?? n.getAttribute('href'), n.getAttribute('transform')]"
    return settled(root, f"[...plot.querySelectorAll('path, image')].map((n) => {what}).join()")


def press(root: Locator, name: str, *keys: str):
    """Press keys on a control and wait until the explorer has answered and drawn."""
    for key in keys:
        control(root, name).press(key)
    settled(root)


def settled(root: Locator, then: str = "true"):
    """Wait until the explorer is not working and has drawn what its controls say; returns what `then` gives.

    `then` is evaluated in that moment, of `node` (the explorer) and `plot`.
    """
    handle = root.page.wait_for_function(
        f"""(node) => {{
            const main = node.querySelector(":scope .main input[type=range]");  // pages have a .main, too
            const plot = node.querySelector(".plot");
            const picture = plot.querySelector(".main-svg"), width = parseFloat(getComputedStyle(plot).width);
            const done = node.ariaBusy === "false" && plot.ariaBusy === "false" && picture
                && Math.abs(picture.width.baseVal.value - width) < 1  // or it is about to be drawn wider
                && (!main || plot.dataset.frame === main.value);
            return done && [{then}];
        }}""",
        arg=root.element_handle(),
    )
    return handle.json_value()[0]


def hold_play(page: Page):
    """From now on the button `play` starts no clock: `tick(page)` is one tick of it."""
    page.evaluate("""() => {
        const set = globalThis.setInterval, held = Boolean(globalThis.ticks_);
        globalThis.ticks_ = [];
        if (held) return;
        globalThis.setInterval = (f, each) => {
            if (globalThis.event?.type !== "click") return set(f, each);
            ticks_.push([f, each]);
            return -1;  // the number of no clock
        };
    }""")


def tick(page: Page) -> int:
    """One tick of the clock that `play` has started; returns the milliseconds between two."""
    return page.evaluate("(([f, each]) => (f(), each))(ticks_.at(-1))")
