"""Pages without a kernel: an explorer with the scenes that were computed when the page was written."""

from __future__ import annotations

import base64
import functools
import gzip
import html
import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .packing import Pack

STATIC = Path(__file__).with_name("static")
# The browser's half: real ES modules, in the order in which each needs only those before it
MODULES = ["util.js", "moving.js", "controls.js", "pad.js", "player.js", "explorer.js"]

FRAGMENT = """<div class="diffusion-lab">
<script type="text/plain">{state}</script>
<script type="text/plain">{rows}</script>
<noscript><pre>{words}</pre></noscript>
</div>"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 15px/1.45 system-ui, sans-serif; margin: 24px auto;
max-width: 920px; padding: 0 16px; background: Canvas; color: CanvasText }}</style>
<main data-heading="1">
{explorer}
</main>
{scripts}
</html>
"""


def bundle(*names: str) -> str:
    """ES modules as one: neither a widget's module nor a page from `file:` can import another file.

    They must stand in order, and export under the name that others import.
    """
    text = "\n".join((STATIC / name).read_text("utf-8") for name in names)
    return re.sub(r"^import .*?;\n|^export ", "", text, flags=re.MULTILINE | re.DOTALL)


def page_scripts() -> dict[str, str]:
    """The two scripts that a page needs below its fragments, by file name."""
    plotly = base64.b64encode(plotly_js()).decode()  # unpacked on the page
    style = (STATIC / "explorer.css").read_text("utf-8")
    return {
        "plotly.js": f'// plotly.js (MIT licence), gzip, base64\nvar zippedPlotly = "{plotly}";\n',
        "explorer.js": f"(() => {{\n{bundle(*MODULES, 'alone.js')}mountAll({json.dumps(style)});\n}})();\n",
    }


@functools.cache
def plotly_js() -> bytes:
    """plotly.js, compressed: a third of its size on the way to a browser far from the kernel."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - a second's work, for the first page alone

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)


def fragment(explorer: Any, precompute: Sequence[str], each: Callable | None = None) -> str:
    """HTML for a page with the `page_scripts` below it. There, only what is in `precompute` can be moved.

    That takes a scene for every combination of these controls' values. If it is slow a progress bar tells; or
    `each` is called after every scene. The main control moves anyway.
    """
    here, scenes, pack = explorer.values(), [], Pack()
    options = [dict.fromkeys([*explorer.controls[name].values, here[name]]) for name in precompute]
    every = list(itertools.product(*options))
    for chosen in tqdm(every, desc=explorer.title, unit="scene", delay=2, leave=False, disable=bool(each)):
        state = explorer.drawn(here | dict(zip(precompute, chosen, strict=True)))[1]
        if "_scene" in state:  # it is missing after an error
            state["_scene"] = pack.add(state["_scene"])
        scenes.append(state)
        if each:
            each()
    state = {name: getattr(explorer, name) for name in explorer.controls}
    state |= {"_spec": {**explorer.spec, "live": [explorer.main, *precompute]}, "_scenes": scenes}
    state, rows = pack.texts(**state)
    return FRAGMENT.format(state=state, rows=rows, words=html.escape(explorer.describe()))


def page(explorer: Any, precompute: Sequence[str]) -> str:
    """The whole of a page that holds one explorer."""
    scripts = "\n".join(f"<script>{script}</script>" for script in page_scripts().values())
    found = fragment(explorer, precompute)
    return PAGE.format(title=html.escape(explorer.title), explorer=found, scripts=scripts)
