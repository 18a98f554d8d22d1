"""Sphinx's settings for the course's pages, and what Sphinx cannot do itself: equations as MathML."""

import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import ziamath  # only for its font
from docutils import nodes
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

PACKAGE = Path(__file__).parent
FONT = Path(ziamath.__file__ or "").parent / "fonts" / "STIXTwoMath-Regular.ttf"
MATHS = LatexToMathML(fancy_error=False)
WARNINGS = getLogger(__name__)  # any warning is an error: see `export.build`

SPHINX = {
    "project": "diffusion_lab",
    "extensions": ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_nb", "sphinx_copybutton", __name__],
    "include_patterns": ["index.md", "*.ipynb", f"{PACKAGE.name}/**"],
    "source_suffix": {".py": "restructuredtext"},  # as `reference` writes it
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "myst_enable_extensions": ["amsmath", "dollarmath"],
    "myst_heading_anchors": 6,
    "myst_heading_slug_func": f"{__name__}.slug",
    "html_math_renderer": "mathml",
    "add_module_names": False,
    "autodoc_preserve_defaults": True,
    "default_role": "code",
    "copybutton_selector": "div:not(.output) > div.highlight > pre",
    "html_theme": "furo",
    "html_title": "diffusion_lab",
    "html_static_path": ["_static"],
    "html_css_files": ["export.css"],
    "html_sidebars": {  # a list of all pages beside every file of code would be a tenth of the site
        "[!_]**": [
            f"sidebar/{part}.html" for part in ("brand", "search", "scroll-start", "navigation", "scroll-end")
        ],
        "_modules/**": ["sidebar/brand.html", "sidebar/search.html"],
    },
    "html_copy_source": False,
    "html_show_search_summary": False,  # it would request the pages found, which fails from file:
    "html_show_copyright": False,
    "html_use_index": False,
    "html_domain_indices": False,
}

# Corrections of Sphinx's and furo's HTML, where it is wrong or too long: pattern -> replacement
MENDED = {
    r'<span class="([nopw]|pre)">([^<]*)</span>': r"\2",  # no colour, and a tenth of all bytes
    r'(<div id="search-results")': r"<h1>Search</h1>\n\1",
    r'(<p class="caption" role="heading")>': r'\1 aria-level="2">',
    r'(<aside class="sidebar-drawer")>': r'\1 aria-label="All pages">',
    r'(<a href="#" class="back-to-top[\s\S]*?</a>)': r'<nav aria-label="Top">\1</nav>',
    r'(<aside class="toc-drawer[^"]*")>': r'\1 aria-label="This page">',
}


def setup(app: Sphinx) -> None:
    """Called by Sphinx: this module is one of its extensions."""
    app.add_html_math_renderer("mathml", (maths, None), (maths, None))
    app.connect("doctree-read", look_at_pictures, priority=400)  # before Sphinx does
    app.connect("html-page-context", add_scripts)


def slug(heading: str) -> str:
    """The name that JupyterLab gives to a heading."""
    return re.sub(r"\s+", "-", heading.strip())


def maths(translator: Any, node: nodes.Node) -> None:
    """An equation as MathML."""
    latex, display = node.astext().strip(), isinstance(node, nodes.math_block)
    try:
        text = MATHS.convert_with_local_state(latex, displaystyle=display)
        translator.body.append(f'<div class="math">{text}</div>' if display else text)
    except LatexError as error:
        WARNINGS.warning("the equation %r cannot be set: %s", latex, error, location=node)
    raise nodes.SkipNode


def look_at_pictures(_app: Sphinx, doctree: nodes.document) -> None:
    """Turn the names of pictures into file names; warn about pictures that need the network."""
    for image in doctree.findall(nodes.image):
        image["uri"] = unquote(image["uri"])
        if "://" in image["uri"]:
            WARNINGS.warning("a picture must lie beside the notebooks; got %r", image["uri"], location=image)


def add_scripts(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Add the scripts that explorers and the quiz need to the pages that have any."""
    if '<div class="diffusion-lab">' in context.get("body", ""):
        for name in ("plotly.js", "explorer.js"):
            app.add_js_file(name, loading_method="defer")
    if '<div class="diffusion-lab-quiz">' in context.get("body", ""):
        app.add_js_file("quiz.js", loading_method="defer")


def write_font(letters: set[str], folder: Path) -> None:
    """Write the font of the equations, with these letters only: a tenth of its bytes."""
    italic = {*range(0x1D434, 0x1D468), 0x210E, *range(0x1D6E2, 0x1D71C)}  # a browser uses these for x and ε
    logging.getLogger("fontTools").setLevel("WARNING")  # it would report each step
    subset, font = Subsetter(), TTFont(FONT, recalcTimestamp=False)
    subset.populate(unicodes=italic | {ord(letter) for letter in letters})
    subset.subset(font)
    font.flavor = "woff"
    font.save(folder / f"{FONT.stem}.woff")
