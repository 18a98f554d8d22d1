"""Pages without a kernel: an explorer with scenes that were computed when the page was written."""

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
# The browser's half: real ES modules, in an order in which each needs only those before it
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
    """ES modules as one, since neither a widget's module nor a page from `file:` can import another file.

    They must be in order, and export under the names that others import.
    """
    text = "\n".join((STATIC / name).read_text("utf-8") for name in names)
    return re.sub(r"^import .*?;\n|^export ", "", text, flags=re.MULTILINE | re.DOTALL)


def page_scripts() -> dict[str, str]:
    """The two scripts that a page needs below its fragments, by file name."""
    plotly = base64.b64encode(plotly_js()).decode()  # unzipped on the page
    style = (STATIC / "explorer.css").read_text("utf-8")
    return {
        "plotly.js": f'// plotly.js (MIT licence), gzip, base64\nvar zippedPlotly = "{plotly}";\n',
        "explorer.js": f"(() => {{\n{bundle(*MODULES, 'alone.js')}mountAll({json.dumps(style)});\n}})();\n",
    }


@functools.cache
def plotly_js() -> bytes:
    """plotly.js, compressed to a third of its size, for a browser far from the kernel."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - takes a second, for the first page only

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)


def fragment(explorer: Any, precompute: Sequence[str], each: Callable | None = None) -> str:
    """HTML for a page with the `page_scripts` below it. There, only the controls in `precompute` work.

    This needs a scene for every combination of their values. If it is slow, a progress bar appears; or `each`
    is called after every scene. The main control always works.
    """
    here, scenes, pack = explorer.values(), [], Pack()
    options = [dict.fromkeys([*explorer.controls[name].values, here[name]]) for name in precompute]
    every = list(itertools.product(*options))
    for chosen in tqdm(every, desc=explorer.title, unit="scene", delay=2, leave=False, disable=bool(each)):
        state = explorer.drawn(here | dict(zip(precompute, chosen, strict=True)))[1]
        if "_scene" in state:  # missing after an error
            state["_scene"] = pack.add(state["_scene"])
        scenes.append(state)
        if each:
            each()
    state = {name: getattr(explorer, name) for name in explorer.controls}
    state |= {"_spec": {**explorer.spec, "live": [explorer.main, *precompute]}, "_scenes": scenes}
    state, rows = pack.texts(**state)
    return FRAGMENT.format(state=state, rows=rows, words=html.escape(explorer.describe()))


def page(explorer: Any, precompute: Sequence[str]) -> str:
    """A whole page with one explorer."""
    scripts = "\n".join(f"<script>{script}</script>" for script in page_scripts().values())
    found = fragment(explorer, precompute)
    return PAGE.format(title=html.escape(explorer.title), explorer=found, scripts=scripts)
