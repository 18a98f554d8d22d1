"""The course as slides: ``python -m diffusion_lab slides FOLDER``. It is reveal.js with explorers that move.

nbconvert makes them from the stored notebooks, and they need no network. The slides show the title, cells
tagged ``slide``, explorers, predictions, and exercises with their tasks. The rest of the text is in the
speaker's notes (press S).
"""

import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

try:
    import nbformat
    import sphinx_revealjs  # for its copy of reveal.js
    from jinja2 import pass_context
    from nbconvert.exporters import SlidesExporter

    from . import explorers, quiz
    from .engine import STATE, Explorer, page_scripts
    from .engine.question import markdown
    from .engine.quiz import quiz_scripts
    from .sphinx_extension import write_font
except ImportError as error:
    raise ImportError(f"{error}: install diffusion_lab with its extra, diffusion_lab[lab]") from error

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
REVEAL = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"
THEME = "course"
PARTS = ("dist/reveal.js", "dist/reveal.css", "dist/reset.css", "plugin/notes")

# nbconvert's template for slides, without the parts that it would fetch: scripts, fonts and MathJax
TEMPLATE = """{%- extends 'reveal/index.html.j2' -%}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block notebook_css %}{% endblock %}
{% block in_prompt %}{% endblock %}
{% block empty_in_prompt %}{% endblock %}
{% block output_area_prompt %}{% endblock %}
{% block footer_js %}
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script>
// Sliders, lists and boxes keep their keys, and buttons the keys that press them. No scaling, or the mouse
// would point to the wrong place. An explorer's <section> is not a slide, so slides are counted here.
const theirs = (event) => document.activeElement.matches("input, select, textarea, [tabindex='0']")
  || [" ", "Enter"].includes(event.key) && document.activeElement.matches("button, summary, a[href]");
Reveal.initialize({ plugins: [RevealNotes], hash: true, width: "100%", height: "100%", margin: 0.06,
  minScale: 1, maxScale: 1, center: false, transition: "none", progress: false,
  slideNumber: (slide) => [Reveal.getIndices(slide).h + 1, "/", Reveal.getHorizontalSlides().length],
  keyboardCondition: (event) => !theirs(event) });
// A quiz and an explorer keep keys from the page, but a committed answer does not need the arrows.
addEventListener("keydown", (event) => {
  const step = { ArrowRight: "next", PageDown: "next", ArrowLeft: "prev", PageUp: "prev" }[event.key];
  if (!step || document.activeElement === document.body || theirs(event)) return;
  event.stopPropagation();
  document.activeElement.blur();
  Reveal[step]();
}, true);
</script>
{% for script in resources.scripts %}<script src="{{ script }}" defer></script>
{% endfor %}
{% endblock footer_js %}
"""

STYLE = """
@font-face { font-family: "STIX Two Math"; src: url("STIXTwoMath-Regular.woff") }
html, body, main { height: 100%; margin: 0; background: white }
.reveal .slides { text-align: left }
.reveal { font: 22px/1.4 system-ui, sans-serif; color: #222 }
.reveal h1 { font-size: 44px } .reveal h2 { font-size: 34px } .reveal h3 { font-size: 26px }
.reveal h1, .reveal h2, .reveal h3 { font-family: inherit; text-transform: none; margin: 0 0 14px }
.reveal p, .reveal ul, .reveal ol, .reveal table { margin: 0 0 14px; font-size: 22px }
.reveal a { color: #0060a0 }
.reveal pre, .reveal .highlight pre { font-size: 16px; line-height: 1.35; margin: 8px 0 }
.reveal pre { white-space: pre-wrap }
.reveal .celltag_exercise .jp-Cell-inputWrapper { background: #f5f5f5; padding: 1px 12px }
.reveal table { border-collapse: collapse } .reveal :is(th, td) { padding: 3px 16px 3px 0; text-align: left }
.reveal section img { margin: 0; max-height: 560px; max-width: 100% }
.reveal math { font-family: "STIX Two Math", "Cambria Math", math; font-size: 1.1em }
.reveal math[display=block] { overflow-x: auto; padding: 4px 0 }
.reveal .slides > section, .reveal .slides > section > section { height: 100%; overflow-y: auto }
.reveal .jp-OutputArea-output { overflow: visible }
.diffusion-lab, .diffusion-lab-quiz { color-scheme: light } .reveal .diffusion-lab { font-size: 15px }
.reveal .diffusion-lab :is(p, ul, ol, pre), .reveal .diffusion-lab-quiz :is(p, ul, ol) { font-size: inherit }
.reveal :is(.diffusion-lab-prediction, .diffusion-lab-seen) { font-size: 21px; max-width: none }
.reveal .diffusion-lab .controls { position: static; font-size: inherit; pointer-events: auto; z-index: auto }
"""


class Slides(SlidesExporter):
    """nbconvert's slides, with equations as MathML."""

    raw_template = TEMPLATE  # pyrefly: ignore[bad-override]

    @pass_context
    def markdown2html(self, _context: Any, source: str) -> str:  # pyrefly: ignore[bad-override-mutable-attribute]
        """A Markdown cell as HTML; links to another notebook lead to its slides."""
        return markdown(notebook=True).render(re.sub(r"\]\((\w+)\.ipynb", r"](\1.html", source))


def slides(folder: str | os.PathLike[str], notebooks: str | os.PathLike[str] = NOTEBOOKS) -> Path:
    """Write slides of every notebook in the folder `notebooks` into `folder`, one page each; return `folder`.

    :raises ValueError: if there are no notebooks, or `folder` is a file.
    """
    folder, paths = Path(os.path.abspath(folder)), sorted(Path(notebooks).resolve().glob("*.ipynb"))
    if not paths:
        raise ValueError(f"notebooks must be a folder with notebooks in it; got {str(notebooks)!r}")
    if folder.is_file():
        raise ValueError(f"folder must be a folder, new or not; {str(folder)!r} is a file")
    for part in PARTS:
        target = folder / "reveal" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REVEAL / part).is_dir():
            shutil.copytree(REVEAL / part, target, dirs_exist_ok=True)
        else:
            shutil.copy(REVEAL / part, target)
    theme = folder / "reveal" / "dist" / "theme"
    theme.mkdir(exist_ok=True)
    (theme / f"{THEME}.css").write_text(STYLE, "utf-8")
    for name, text in scripts().items():
        (folder / name).write_text(text, "utf-8")
    letters: set[str] = set()
    for path in tqdm(paths, desc="slides", unit="notebook"):
        page = deck(nbformat.read(path, as_version=4), path.stem)
        (folder / f"{path.stem}.html").write_text(page, "utf-8")
        letters |= set(page)
    write_font(letters, theme)
    return folder


@cache
def scripts() -> dict[str, str]:
    """The scripts of explorers and quiz, by file name."""
    return page_scripts() | quiz_scripts()


def deck(notebook: Any, name: str) -> str:
    """The page of one notebook."""
    notes = None  # of the current slide: reveal.js shows one cell of notes, so the others are added to it
    for n, cell in enumerate(notebook.cells):
        where = kind(notebook.cells, n)
        if where == "notes" and notes:
            notes.source, where = f"{notes.source}\n\n{cell.source}", "skip"
        elif where != "skip":
            notes = cell if where == "notes" else None
        cell.metadata["slideshow"] = {"slide_type": where}
        if cell.cell_type == "code":
            moving = alive(cell)
            pictures = any("image/png" in output.get("data", {}) for output in cell.outputs)
            cell.metadata["transient"] = {"remove_source": moving or pictures}
    exporter = Slides(reveal_url_prefix="reveal", reveal_theme=THEME)
    resources = {"metadata": {"name": name}, "scripts": list(scripts())}
    text, _ = exporter.from_notebook_node(notebook, resources=resources)
    return text


def kind(cells: list[Any], n: int) -> str:
    """Where cell `n` goes: on its own slide, on the slide of its task ("-"), into the notes, or nowhere."""
    cell = cells[n]
    shown = any({STATE, quiz.QUIZ} & set(output.get("data", {})) for output in cell.get("outputs", ()))
    if n and is_task(cells, n - 1):
        return "-"
    if n == 0 or shown or {"slide", "exercise"} & tags(cell) or is_task(cells, n):
        return "slide"
    return "notes" if cell.cell_type == "markdown" else "skip"


def is_task(cells: list[Any], n: int) -> bool:
    """Whether cell `n` is the task of an exercise in the next cell."""
    words = cells[n].cell_type == "markdown" and "**" in cells[n].source
    return words and n + 1 < len(cells) and "exercise" in tags(cells[n + 1])


def tags(cell: Any) -> set[str]:
    """The tags of a cell."""
    return set(cell.metadata.get("tags", []))


def alive(cell: Any) -> bool:
    """Put explorers and quiz into the cell's outputs as HTML that moves; return whether there are any."""
    found = False
    for output in cell.outputs:
        data = output.get("data", {})
        if STATE in data and (explorer := Explorer.stored(data[STATE], explorers)):
            output.data = nbformat.from_dict({"text/html": explorer.to_fragment((), each=lambda: None)})
            found = True
        elif quiz.QUIZ in data and (part := quiz.stored(data[quiz.QUIZ])):
            output.data = nbformat.from_dict({"text/html": part})
            found = True
    return found
