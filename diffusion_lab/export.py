"""The course as web pages that need no kernel and no network: ``python -m diffusion_lab export SITE``.

Every notebook becomes a page as it is stored, with its equations as MathML and its explorers moving: their
scenes are computed here, beforehand. The package's own source comes along, to be read beside them.
"""

import ast
import html
import math
import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

try:
    import nbformat
    from fontTools.ttLib import TTFont
    from math_core import LatexError, LatexToMathML
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    from . import explorers
    from .explorers.core import STATE, Explorer, page_scripts

    ZIAMATH = find_spec("ziamath")  # for its font; nothing else of it is needed
    if ZIAMATH is None:
        raise ImportError("No module named 'ziamath'")
except ImportError as error:
    raise ImportError(f"{error}: install diffusion_lab with its extra, diffusion_lab[lab]") from error

PACKAGE = Path(__file__).parent
NOTEBOOKS = PACKAGE.parent / "notebooks"
FONT = Path(ZIAMATH.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
LIST = "files.txt"  # in every site: the files that make it, so that no other is ever deleted
MATHS = LatexToMathML(fancy_error=False)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}assets/course.css">
</head>
<body>
<nav aria-label="Pages">{links}</nav>
<main>
{body}
</main>
<nav aria-label="Pages, once more">{links}</nav>
{scripts}
</body>
</html>
"""

STYLE = """
@font-face { font-family: "STIX Two Math"; src: url("STIXTwoMath-Regular.woff"); }
:root { color-scheme: light dark; --edge: color-mix(in srgb, CanvasText 22%, Canvas);
  --soft: color-mix(in srgb, CanvasText 5%, Canvas); --link: light-dark(#0060a0, #7cc4f5); }
body { margin: 0 auto; padding: 0 16px 24px; max-width: 920px; background: Canvas; color: CanvasText;
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; } h1 { font-size: 1.8em; }
h2 { font-size: 1.35em; margin-top: 1.8em; } p, ul, ol, dl { max-width: 46em; } li { margin: .2em 0; }
a { color: var(--link); } :focus-visible { outline: 2px solid #56b4e9; outline-offset: 2px; }
nav { display: grid; grid-template-columns: 1fr auto 1fr; gap: 24px; padding: 12px 0; }
nav:first-child { border-bottom: 1px solid var(--edge); } main + nav { border-top: 1px solid var(--edge); }
[rel=contents] { grid-column: 2; } [rel=next] { grid-column: 3; text-align: right; }
main { padding: 8px 0 24px; } footer { margin-top: 2.5em; font-size: .9em; }
pre, code { font: .875em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 0; padding: 10px 12px; overflow-x: auto; font-size: .84em; }
:not(pre) > code { padding: .1em .25em; border-radius: 3px; background: var(--soft); }
math { font-family: "STIX Two Math", "Cambria Math", math; font-size: 1.1em; }
math code { padding: 0; background: none; font-size: .8em; line-height: normal; }
/* Chromium makes every root as wide as if it had the font's widest √; Firefox and Safari do not. */
@supports not ((-moz-appearance: none) or (font: -apple-system-body)) {
  msqrt:not(:has(mfrac, mtable, munderover)) { margin-inline-end: -.17em; }
}
.wide { max-width: 100%; overflow-x: auto; overflow-y: hidden; padding: 2px 0; }
table { border-collapse: collapse; }
td, th { padding: 4px 14px 4px 0; text-align: left; border-bottom: 1px solid var(--edge); }
main .highlight { margin: 1em 0 0; background: var(--soft); border-left: 3px solid #56b4e9; }
.output { margin: 0 0 1em; border-left: 3px solid transparent; } .output + .output { margin-top: -1em; }
.output img { display: block; max-width: 100%; margin: 8px 0; border-radius: 4px; }
.explorer { margin: 1em 0; padding: 8px; min-height: 420px; border: 1px solid var(--edge); }
.explorer .diffusion-lab-explorer { max-width: none; p { max-width: none; } }
/* A figure's words would run into each other, on a phone or at 200 %: there all of it is drawn smaller. */
@media (max-width: 720px) { .explorer { padding: 4px 0; } .explorer .plot { zoom: .7; } }
dt { margin-top: .5em; } dd { margin: 0 0 0 1.5em; }
"""


def export(site, notebooks=NOTEBOOKS) -> Path:
    """Write the notebooks in the folder `notebooks` as pages into a new folder `site`; returns that.

    It may exist if it is empty or holds an earlier export, which is then replaced: all at once, when the new
    one is whole. Anything else there is a ValueError.
    """
    site, notebooks = Path(os.path.abspath(site)), Path(notebooks).resolve()
    paths = sorted(notebooks.glob("*.ipynb"))
    if not paths:
        raise ValueError(f"notebooks must be a folder with notebooks in it; got {str(notebooks)!r}")
    check_site(site)
    part = site.with_name(f".{site.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        Course(paths).write(part)
        files = sorted(path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file())
        (part / LIST).write_text("\n".join([*files, LIST]) + "\n", "utf-8")
        check_site(site)
        put(part, site)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return site


def check_site(site: Path) -> None:
    """Raise a ValueError if replacing `site` would delete what no export wrote."""
    found = [site] if site.is_file() else [path for path in site.rglob("*") if not path.is_dir()]
    known = site / LIST
    ours = known.read_text("utf-8").splitlines() if known in found else []
    strange = sorted({path.relative_to(site).as_posix() for path in found} - set(ours))
    if strange:
        raise ValueError(
            f"site must be a new folder, an empty one, or an earlier export; {str(site)!r} holds "
            f"{len(strange)} other file{'s' * (len(strange) > 1)}, {strange[0]!r} among them"
        )


def put(part: Path, site: Path) -> None:
    """Move the folder `part` to `site`, and what was there out of the way."""
    old = part.with_suffix(".old")
    if site.exists():
        site.rename(old)
    try:
        part.rename(site)
    except BaseException:
        if old.exists():
            old.rename(site)
        raise
    shutil.rmtree(old, ignore_errors=True)


# ---------------------------------------------------------------------------------------------- the pages
class Course:
    """The notebooks at `paths`, which lie in one folder, on their way to becoming pages."""

    def __init__(self, paths):
        self.paths, self.folder = paths, paths[0].parent
        self.notebooks = [nbformat.read(path, as_version=4) for path in paths]
        self.titles = [title(notebook) for notebook in self.notebooks]
        self.pictures = set()  # files that the texts show, relative to the folder
        self.text = Text(self)

    def write(self, out: Path) -> None:
        """All files of the site, into the folder `out`."""
        for folder in ("assets", "source"):
            (out / folder).mkdir()
        states = [data[STATE] for notebook in self.notebooks for data in explorer_outputs(notebook)]
        total = sum(map(count_scenes, states)) + len(self.paths)
        with tqdm(total=total, unit="scene", desc="export") as bar:
            for i, path in enumerate(self.paths):
                bar.set_description(path.stem)
                try:
                    page = self.notebook_page(i, bar)
                except ValueError as error:
                    raise ValueError(f"{path.name}: {error}") from error
                (out / f"{path.stem}.html").write_text(page, "utf-8")
                bar.update()
        (out / "index.html").write_text(self.index(), "utf-8")
        for module in modules():
            (out / source_page(module)).write_text(self.source(module), "utf-8")
        for picture in sorted(self.pictures):
            (out / picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / picture, out / picture)
        font = TTFont(FONT, recalcTimestamp=False, lazy=True)
        font.flavor = "woff"  # the same, in half the bytes
        font.save(out / "assets" / f"{FONT.stem}.woff")
        (out / "assets" / "course.css").write_text(STYLE + colors(), "utf-8")
        for name, script in page_scripts().items():
            (out / "assets" / name).write_text(script, "utf-8")

    def links(self, i: int) -> str:
        """The way from page i (−1: the contents) to the one before, the contents, and the one after."""
        link = '<a rel="{}" href="{}.html">{}</a>'.format
        names, stems = list(map(html.escape, self.titles)), [path.stem for path in self.paths]
        links = [link("prev", stems[i - 1], f"← {names[i - 1]}")] if i > 0 else []
        links += [link("contents", "index", "Contents")] if i >= 0 else []
        links += [link("next", stems[i + 1], f"{names[i + 1]} →")] if i + 1 < len(names) else []
        return "\n".join(links)

    def notebook_page(self, i: int, bar) -> str:
        """The page of notebook i."""
        body, alive, section = [], False, self.titles[i]
        for cell in self.notebooks[i].cells:
            if cell.cell_type == "markdown":
                body.append(self.text.render(cell))
                headings = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
                section = headings[-1] if headings else section
            elif cell.cell_type == "code":
                body.append(code(cell.source))
                for output in cell.outputs:
                    explorer = self.explorer(output, bar)
                    alive = alive or explorer is not None
                    body.append(explorer or f'<div class="output">{shown(output, section)}</div>')
        name = self.paths[i].name
        body.append(f"<footer>This page is the notebook <code>{name}</code>. Open in JupyterLab,")
        body.append("it runs, and every control moves.</footer>")
        scripts = [f'<script src="assets/{name}"></script>' for name in (page_scripts() if alive else ())]
        name, body = html.escape(self.titles[i]), "\n".join(body)
        return PAGE.format(title=name, root="", links=self.links(i), body=body, scripts="\n".join(scripts))

    @staticmethod
    def explorer(output, bar) -> str | None:
        """The HTML of an explorer that `output` holds and the package still has."""
        state = output.get("data", {}).get(STATE)
        if state is None:
            return None
        explorer = Explorer.stored(state, explorers)
        if explorer is None:
            bar.write(f"{state['explorer']} cannot be made again, and stays a picture", sys.stderr)
            return None
        return f'<div class="explorer">{explorer.to_fragment(each=bar.update)}</div>'

    def index(self) -> str:
        """The contents: what each notebook opens with, and what each module says of itself."""
        name, _, what = summary_of("diffusion_lab/__init__.py").partition(": ")
        body = [f"<h1>{name}</h1>", f"<p>{what[0].upper()}{what[1:]}"]
        body.append("On these pages the sliders show what was computed beforehand;")
        body.append("in JupyterLab everything moves.</p>")
        for path, name, notebook in zip(self.paths, self.titles, self.notebooks, strict=True):
            _, _, rest = notebook.cells[0].source.partition("\n")
            body.append(f'<h2><a href="{path.stem}.html">{html.escape(name)}</a></h2>')
            body.append(self.text.render(nbformat.v4.new_markdown_cell(rest.strip())))
        body.append("<h2>The package</h2>\n<dl>")
        for module in modules():
            link = f'<a href="{source_page(module)}"><code>{module}</code></a>'
            body.append(f"<dt>{link}</dt><dd>{summary_of(module)}</dd>")
        body.append("</dl>\n<footer>Equations are set in STIX Two Math (SIL Open Font License 1.1),")
        body.append("figures are drawn by plotly.js (MIT licence).</footer>")
        body = "\n".join(body)
        return PAGE.format(title=name, root="", links=self.links(-1), body=body, scripts="")

    def source(self, module: str) -> str:
        """The page of a module of the package, such as diffusion_lab/forward.py."""
        body = f"<h1><code>{module}</code></h1>\n{code((PACKAGE.parent / module).read_text('utf-8'))}"
        links = '<a href="../index.html">Contents</a>'
        return PAGE.format(title=module, root="../", links=links, body=body, scripts="")


class Text(IPythonRenderer):
    """Markdown as HTML: equations as MathML, links and pictures as they are on the site."""

    def __init__(self, course: Course):
        super().__init__(escape=False)
        self.course = course

    def render(self, cell) -> str:
        """A markdown cell."""
        self.attachments = cell.get("attachments", {})
        return MarkdownWithMath(renderer=self).render(cell.source)

    def inline_math(self, body):
        return maths(body, False)

    def block_math(self, body):
        return f'<div class="wide">{maths(body, True)}</div>'

    def latex_environment(self, name, body):
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def table(self, text):
        return f'<div class="wide"><table>{text}</table></div>\n'

    def heading(self, text, level, **attrs):
        name = re.sub(r"\s+", "-", re.sub(r"<[^>]+>", "", text).strip())  # the one that JupyterLab gives it
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def codespan(self, text):
        page = source_page(text)
        return f'<a href="{page}">{super().codespan(text)}</a>' if page else super().codespan(text)

    def link(self, text, url, title=None):
        place, sharp, heading = url.partition("#")
        if place and not urlsplit(url).scheme:
            place = self.place(place)
            if place is None:
                return text
        return super().link(text, place + sharp + heading, title)

    def image(self, text, url, title=None):
        if urlsplit(url).scheme not in ("", "data", "attachment") or self.place(url) is None:
            raise ValueError(f"a picture must lie in the folder of the notebooks; got {url!r}")
        return super().image(text, url, title)

    def place(self, url: str) -> str | None:
        """Where on the site that is to which a notebook's link leads; None if it does not come along."""
        if urlsplit(url).scheme:
            return url
        path, folder = Path(os.path.normpath(self.course.folder / unquote(url))), self.course.folder
        if page := source_page(url):
            return page
        if path in self.course.paths:
            return f"{path.stem}.html"
        if not path.is_file():
            raise ValueError(f"a link leads to {url!r}, where there is no file")
        if not path.is_relative_to(folder):
            return None
        self.course.pictures.add(path.relative_to(folder).as_posix())
        return url


def maths(latex: str, display: bool) -> str:
    """An equation as MathML."""
    try:
        return MATHS.convert_with_local_state(latex.strip(), displaystyle=display)
    except LatexError as error:
        raise ValueError(f"the equation {latex.strip()!r} cannot be set: {error}") from None


def title(notebook) -> str:
    """The first heading of a notebook."""
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]


def code(source: str) -> str:
    """Python with its syntax in colors."""
    page = highlight(source, PythonLexer(), HtmlFormatter())
    return re.sub(r'<span class="w">(\s*)</span>', r"\1", page)


def colors() -> str:
    """The CSS of `code`, for light and dark."""
    styles = ("xcode", "monokai")  # every color of theirs is legible on the grey above
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in styles)
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def shown(output, section: str) -> str:
    """An output of a code cell: a picture if it has one, or its text."""
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            words = f"Figure under “{section}”: the code above draws it, the text says what it shows."
            source = f"data:{kind};base64,{''.join(data[kind].split())}"
            return f'<img src="{source}" alt="{html.escape(words)}">'
    if output.output_type == "error":
        text = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))
    else:
        text = output.get("text") or data.get("text/plain", "")
    return f"<pre>{html.escape(text)}</pre>"


def explorer_outputs(notebook):
    """The data of each output of `notebook` that is an explorer."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return [output.data for output in outputs if STATE in output.get("data", {})]


def count_scenes(state: dict) -> int:
    """How many scenes the explorer of `state` has on its page."""
    cls = getattr(explorers, state["explorer"], None)
    return math.prod(len(cls.controls[name].values) for name in cls.portable) if cls else 0


# ---------------------------------------------------------------------------------------------- the source
def modules() -> list[str]:
    """The modules of the package, as diffusion_lab/forward.py: those above before those in folders."""
    paths = [path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")]
    return [path.as_posix() for path in sorted(paths, key=lambda path: (len(path.parts), path))]


def source_page(path: str) -> str | None:
    """The page of a module, if `path` (perhaps from within a notebook) names one."""
    module = path.removeprefix("../")
    if not re.fullmatch(r"diffusion_lab/[\w/]+\.py", module) or not (PACKAGE.parent / module).is_file():
        return None
    return f"source/{module.removesuffix('.py').replace('/', '.')}.html"


def summary_of(module: str) -> str:
    """The first paragraph of a module's docstring, as HTML."""
    docstring = ast.get_docstring(ast.parse((PACKAGE.parent / module).read_text("utf-8"))) or ""
    words = " ".join(docstring.partition("\n\n")[0].split())
    return re.sub("`+([^`]+)`+", r"<code>\1</code>", html.escape(words))
