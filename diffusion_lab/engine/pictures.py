"""Pictures of explorers, taken in a headless Chromium, for handouts and for pages where nothing runs.

A picture shows the live explorer: its controls, figure, numbers and sentence. It leaves out the code and the
notes beside the controls, which only help a reader at a keyboard.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..checks import check_int
from .page import page_scripts

# By name if it is on the PATH; by location on macOS and Windows, where it is not. Edge is a Chromium, too.
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    os.path.expandvars(r"%ProgramFiles%\Google\Chrome\Application\chrome.exe"),
    os.path.expandvars(r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe"),
)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
FLAGS += ("--disable-background-networking", "--disable-component-update")

STAGE = """<!doctype html><meta charset="utf-8">
<style>:root { color-scheme: light dark } body { margin: 0; font: 15px/1.45 system-ui, sans-serif }
body .diffusion-lab-explorer { max-width: none; padding: 12px 16px; details, .note { display: none } }
.caption { margin-left: auto; font-size: 13px; font-weight: 400; color: var(--quiet) }</style>
"""
AWAKE = "for (const input of document.querySelectorAll(':disabled')) input.disabled = false"
ADD_CAPTION = """(head, text) => {
    const caption = head.appendChild(document.createElement("span"));
    caption.className = "caption";
    caption.textContent = text;
}"""
IMAGES = "root => Promise.allSettled([...root.querySelectorAll('image')].map((image) => image.decode()))"
MOST_FRAMES = 40


def chromium() -> str:
    """The path of an installed Chromium, Chrome or Edge; a RuntimeError if there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise RuntimeError(f"no browser found to take pictures with; install one of {', '.join(BROWSERS)}")
    return path


def stills(
    fragments: Sequence[str], dark: bool = False, scale: float = 1.5, width: int = 900, caption: str = ""
) -> list[Image.Image]:
    """A picture of each explorer, given as written by `Explorer.to_fragment`; all from one browser.

    `caption` is written beside the title.
    """

    def job(open_page: Callable) -> list[Image.Image]:
        pictures = []
        for fragment in tqdm(fragments, desc="pictures", delay=2, leave=False, disable=len(fragments) == 1):
            root = open_page(fragment)
            root.locator(".head").evaluate(ADD_CAPTION, caption)
            pictures.append(shoot(root))
        return pictures

    return _in_chromium(job, dark, scale, width)


def film(fragment: str, dark: bool = False, scale: float = 1.0, width: int = 900) -> list[Image.Image]:
    """Pictures of one explorer along its main slider, end to end: all its frames, or 40 of them."""

    def job(open_page: Callable) -> list[Image.Image]:
        root = open_page(fragment)
        slider = root.locator(".main input[type=range]")
        last = int(slider.get_attribute("max"))
        frames = np.linspace(0, last, min(last + 1, MOST_FRAMES)).round().astype(int).tolist()
        pictures = []
        for k in tqdm(frames, desc="frames", delay=2, leave=False):
            slider.evaluate("(node, k) => { node.value = k; node.oninput() }", k)
            root.locator(f".plot[data-frame='{k}']").wait_for()
            pictures.append(shoot(root))
        return pictures

    return _in_chromium(job, dark, scale, width)


def shoot(root: Any) -> Image.Image:
    """A screenshot of the explorer whose element is `root`."""
    root.evaluate(IMAGES)  # plotly has drawn them, but they may not be loaded yet
    return Image.open(io.BytesIO(root.screenshot(animations="disabled"))).convert("RGB")


def _in_chromium(job: Callable, dark: bool, scale: float, width: int) -> list[Image.Image]:
    """`job(open_page)`, where `open_page(fragment)` draws an explorer and returns its element."""
    check_int(width, "width", 200)
    if not 0 < scale <= 10:
        raise ValueError(f"scale must be a number above 0 and at most 10; got {scale!r}")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needed only for pictures
    except ImportError:
        raise ImportError("pictures are taken through playwright: python -m pip install playwright") from None
    path = chromium()

    def work() -> list[Image.Image]:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            scripts = "".join(f"<script>{script}</script>" for script in page_scripts().values())

            def open_page(fragment: str) -> Any:
                page = browser.new_page(
                    viewport={"width": width, "height": 900},
                    device_scale_factor=scale,
                    color_scheme="dark" if dark else "light",
                )
                page.set_default_timeout(300_000)  # a busy machine takes its time
                page.set_content(STAGE + fragment + scripts)
                root = page.locator(".diffusion-lab-explorer")
                root.locator(".plot[data-frame]").wait_for()
                page.evaluate(AWAKE)
                return root

            return job(open_page)

    # In a separate thread: playwright refuses a thread with a running event loop, as in every notebook.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


# ---------------------------------------------------------------------------------------------- files
def png(picture: Image.Image) -> bytes:
    """`picture` as a PNG with its 256 best colours: hardly different, and a third of the size."""
    file = io.BytesIO()
    picture.quantize(256, kmeans=10, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def gif(pictures: Sequence[Image.Image]) -> bytes:
    """`pictures` as a GIF of about eight seconds, which holds the last one for two and starts again."""
    # One size for all, as some sentences are longer; and one palette, since colours would flicker otherwise
    width, height = np.max([picture.size for picture in pictures], axis=0).tolist()
    reel = Image.new("RGB", (width, height * len(pictures)), pictures[0].getpixel((0, 0)))
    for i, picture in enumerate(pictures):
        reel.paste(picture, (0, i * height))
    reel = reel.quantize(256, dither=Image.Dither.NONE)
    first, *rest = [reel.crop((0, i * height, width, (i + 1) * height)) for i in range(len(pictures))]
    each = min(max(8000 // len(pictures), 50), 400)  # milliseconds
    times = [*[each] * len(rest), 2000]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=times, loop=0)
    return file.getvalue()
