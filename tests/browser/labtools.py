"""Small words for a notebook in a real JupyterLab: open it, run it, move a control, read what is shown."""

import json
import re
import time
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

SECONDS = 1000  # playwright counts milliseconds


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
    page.on("requestfailed", lambda request: errors.append(f"request: {request.url} {request.failure}"))
    return errors


def open_notebook(page: Page, jupyterlab, path: str | Path):
    """Open a notebook below the server's root and wait until its kernel is idle."""
    settings(jupyterlab, "notebook-extension/tracker", windowingMode="none")  # cells out of sight, too
    settings(jupyterlab, "apputils-extension/notification", fetchNews="false", checkForUpdates=False)
    path = Path(path)
    name = path.relative_to(jupyterlab.root) if path.is_absolute() else path
    page.goto(f"{jupyterlab.url}/lab/tree/{name.as_posix()}?reset")
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=60 * SECONDS)
    wait_idle(page, timeout=60)


def wait_idle(page: Page, timeout: float = 120):
    """Wait until the status bar says that the kernel is idle."""
    expect(page.locator("#jp-bottom-panel")).to_contain_text("| Idle", timeout=timeout * SECONDS)


def run_all(page: Page, timeout: float = 300):
    """Run every cell, wait for the last, and fail with the traceback if one raised."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt")
    waiting = prompts.filter(has_text=re.compile(r"\[[ *]\]"))  # [ ] has not run, [*] waits or runs
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    tracebacks = errors.filter(has_text="Traceback").or_(page.locator(".jp-RenderedError"))
    deadline = time.monotonic() + timeout
    while waiting.count() and not tracebacks.count():
        assert time.monotonic() < deadline, f"{waiting.count()} cells have not run after {timeout} s"
        page.wait_for_timeout(100)
    wait_idle(page, timeout)
    assert not tracebacks.count(), tracebacks.all_inner_texts()


def run_cell(page: Page, nth: int = -1):
    """Run one code cell (again), as Ctrl+Enter does."""
    page.locator(".jp-CodeCell").nth(nth).locator(".cm-content").press("Control+Enter")
    wait_idle(page)


def explorer(page: Page, nth: int = 0) -> Locator:
    """The nth explorer on the page, once its figure is drawn."""
    root = page.locator(".diffusion-lab-explorer").nth(nth)
    expect(root.locator(".plot[data-frame]")).to_be_visible(timeout=60 * SECONDS)
    return root


def control(root: Locator, name: str) -> Locator:
    """The slider, drop-down list, check box or square of a control: press keys on it."""
    box = root.locator(f"[data-control='{name}']")
    return box.locator("input[type=range], select, input[type=checkbox], .pad")


def number_box(root: Locator, name: str) -> Locator:
    return root.locator(f"[data-control='{name}'] input[type=number]")


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
    """What is said in `sentence`, `warning`, `error` or `code`."""
    return root.locator(f"[data-role={role}]").text_content()


def drawing(root: Locator) -> str:
    """All that plotly drew: the paths of its lines and the addresses of its images."""
    return root.evaluate(
        "node => [...node.querySelectorAll('.plot path, .plot image')]"
        ".map(n => n.getAttribute('d') ?? n.getAttribute('href')).join()"
    )


def press(root: Locator, name: str, *keys: str):
    """Press keys on a control and wait until the explorer has answered and drawn."""
    for key in keys:
        control(root, name).press(key)
    settled(root)


def settled(root: Locator):
    """Wait until the explorer is not working and has drawn the frame its main slider shows."""
    expect(root).to_have_attribute("aria-busy", "false", timeout=60 * SECONDS)
    main = root.locator(".main input[type=range]")
    if main.count():
        expect(root.locator(".plot")).to_have_attribute("data-frame", main.input_value())
