"""The course as web pages that need no kernel and no network: ``python -m diffusion_lab export SITE``.

Sphinx makes them: MyST-NB reads the stored notebooks, autodoc and viewcode read the package. We add the
explorers that move (their scenes are computed here, beforehand), the quiz, and the links between modules and
notebooks. The rest of Sphinx's settings is in sphinx_extension.py.
"""

import ast
import inspect
import math
import os
import re
import shutil
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from textwrap import indent
from typing import Any

from tqdm import tqdm

try:
    import nbformat
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    from . import explorers, quiz
    from .engine import STATE, Explorer, page_scripts
    from .sphinx_extension import MENDED, SPHINX, write_font
except ImportError as error:
    raise ImportError(f"{error}: install diffusion_lab with its extra, diffusion_lab[lab]") from error

PACKAGE = Path(__file__).parent
NOTEBOOKS = PACKAGE.parent / "notebooks"
LIST = "files.txt"  # in every site: the list of its files, so that no other file is ever deleted


def export(site: str | os.PathLike, notebooks: str | os.PathLike = NOTEBOOKS) -> Path:
    """Write the notebooks in the folder `notebooks` as pages into a new folder `site`, and return it.

    `site` may exist if it is empty or holds an earlier export. That is replaced as a whole, when the new one
    is complete. Anything else in it is a ValueError.
    """
    site, notebooks = Path(os.path.abspath(site)), Path(notebooks).resolve()
    if not list(notebooks.glob("*.ipynb")):
        raise ValueError(f"notebooks must be a folder with notebooks in it; got {str(notebooks)!r}")
    check_site(site)
    work = site.with_name(f".{site.name}.{os.getpid()}.part")
    try:
        part = build(notebooks, work)
        files = sorted(path.relative_to(part).as_posix() for path in part.rglob("*") if path.is_file())
        (part / LIST).write_text("\n".join([*files, LIST]) + "\n", "utf-8")
        check_site(site)
        put(part, site)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return site


def check_site(site: Path) -> None:
    """Raise a ValueError if replacing `site` would delete files that no export wrote."""
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
    """Move the folder `part` to `site`, and the old `site` out of the way."""
    old = part.with_suffix(".old")
    if site.exists():
        site.rename(old)
    try:
        part.rename(site)
    except BaseException:
        if old.exists():
            old.rename(site)
        raise


# ---------------------------------------------------------------------------------------------- the pages
def build(folder: Path, work: Path) -> Path:
    """Write the pages of the notebooks in `folder` below a new folder `work`; return their folder."""
    source, site, warnings = work / "source", work / "site", StringIO()
    shutil.copytree(folder, source, ignore=shutil.ignore_patterns("*.ipynb", ".*"))  # their pictures
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}
    states = [data[STATE] for notebook in notebooks.values() for data in explorer_outputs(notebook)]
    taught = {stem: used(notebook) for stem, notebook in notebooks.items()}
    pages = 1 + len(notebooks) + len(modules())
    with tqdm(total=sum(map(count_scenes, states)) + 2 * pages, unit="page", desc="export") as bar:
        (source / "index.md").write_text(index(notebooks), "utf-8")
        for module, name in modules().items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            teach = [stem for stem, names in taught.items() if module in names]
            path.write_text(reference(module, teach), "utf-8")
        for stem, notebook in notebooks.items():
            bar.set_description(stem)
            nbformat.write(prepared(notebook, stem, taught[stem], bar), source / f"{stem}.ipynb")
        (source / "_static").mkdir()
        for name, text in (page_scripts() | quiz.quiz_scripts()).items():
            (source / "_static" / name).write_text(text, "utf-8")
        shutil.copy(PACKAGE / "export.css", source / "_static")
        bar.set_description("pages")
        with docutils_namespace():  # so that another export can follow
            app = Sphinx(source, None, site, work / "read", "html", SPHINX, None, warnings)
            for event in ("source-read", "html-page-context"):
                app.connect(event, lambda *_: bar.update() and None)  # its return value would count
            app.build()
    found = re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue()).replace(f"{source}{os.sep}", "").splitlines()
    if found:
        raise ValueError("\n".join(found))
    letters = set()
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        letters.update(text)
        for wrong, right in MENDED.items():
            text = re.sub(wrong, right, text)
        page.write_text(text, "utf-8")
    write_font(letters, site / "_static")
    return site


def index(notebooks: dict) -> str:
    """The contents: the opening of each notebook, and the first paragraph of each module."""
    name, _, what = summary(PACKAGE.name).partition(": ")
    text = [f"# {name}", f"{what[0].upper()}{what[1:]} On these pages the sliders show what was computed"]
    text[-1] += " beforehand; in JupyterLab everything moves."
    folders = {str(Path(path).parent): [] for path in modules().values()}
    for path in modules().values():
        folders[str(Path(path).parent)].append(f"{Path(path).name} <{path.removesuffix('.py')}>")
    for caption, pages in {"Notebooks": notebooks, **folders}.items():
        text.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", *pages, "```"]))
    for stem, notebook in notebooks.items():
        heading, _, rest = linked(notebook.cells[0].source).strip().partition("\n")
        text += [f"## [{heading.lstrip('# ')}]({stem}.ipynb)", rest]
    about = [f":doc:`/{path.removesuffix('.py')}`\n   {summary(name)}" for name, path in modules().items()]
    text += ["## The package", "```{eval-rst}", *about, "```", "---"]
    text += ["Equations are in STIX Two Math (SIL Open Font License 1.1), figures drawn by plotly.js (MIT)."]
    return "\n\n".join(text)


def prepared(notebook: Any, stem: str, taught: list[str], bar: tqdm) -> Any:
    """A notebook for MyST-NB: explorers and quiz as HTML, words for pictures, links to modules."""
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}  # even if it has none
    section = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = (re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [section])[-1]
            cell.source = linked(cell.source)
        words = f"Figure under “{section}”: the code above draws it, the text says what it shows."
        cell.metadata["mystnb"] = {"image": {"alt": words}}
    for data in explorer_outputs(notebook):
        state = data.pop(STATE)
        if explorer := Explorer.stored(state, explorers):
            data.pop("image/png", None)
            data["text/html"] = explorer.to_fragment(each=bar.update)
        else:
            bar.write(f"{state['explorer']} cannot be made again, and stays a picture", sys.stderr)
    for data in explorer_outputs(notebook, quiz.QUIZ):
        state = data.pop(quiz.QUIZ)
        if part := quiz.stored(state):
            data["text/html"] = part
        else:
            bar.write(f"the question {state['id']} is not there any more, and stays as text", sys.stderr)
    text = f"This is the notebook `{stem}.ipynb`. Open in JupyterLab, it runs, and every control moves."
    links = ", ".join(f"[`{modules()[module]}`](/{modules()[module]})" for module in taught)
    notebook.cells.append(nbformat.v4.new_markdown_cell(text + f" It uses {links}." * bool(taught)))
    return notebook


def explorer_outputs(notebook: Any, kind: str = STATE) -> list:
    """The data of each output of `notebook` that is an explorer, or that has the type `kind`."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return [output.data for output in outputs if kind in output.get("data", {})]


def count_scenes(state: dict) -> int:
    """How many scenes the explorer of `state` has on its page."""
    cls = getattr(explorers, state["explorer"], None)
    return math.prod(len(cls.controls[name].values) for name in cls.portable) if cls else 0


# ---------------------------------------------------------------------------------------------- the package
def modules() -> dict[str, str]:
    """The modules with pages: diffusion_lab.forward -> diffusion_lab/forward.py, and so on.

    Exercises have none, since their files hold the solutions.
    """
    paths = [path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")]
    paths = [path for path in paths if path.parent.name != "tasks"]
    paths.sort(key=lambda path: (len(path.parts), path))
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path.as_posix() for path in paths}


def used(notebook: Any) -> list[str]:
    """The modules of the package that a notebook imports from, or whose files it mentions."""
    text = "\n".join(cell.source for cell in notebook.cells)
    found = {module for module, path in modules().items() if path in text}
    statement = rf"^ *(?:from|import) ({PACKAGE.name}[\w.]*)(?: import (\([^)]*\)|[^#\n]*))?"
    for module, names in re.findall(statement, text, re.MULTILINE):
        for name in re.findall(r"\w+", names) or [""]:
            home = getattr(getattr(import_module(module), name, None), "__module__", module)
            found |= {next(m for m in (f"{module}.{name}", home, module, PACKAGE.name) if m in modules())}
    return [module for module in modules() if module in found]


def linked(text: str) -> str:
    """A notebook's Markdown; its links to modules, and their names in `code`, lead to the modules' pages."""
    text = re.sub(rf"\]\(\.\./(?={PACKAGE.name}/)", "](/", text)
    return re.sub(rf"(?<!\[)`({PACKAGE.name}/[\w/]+\.py)`", r"[`\1`](/\1)", text)


def reference(module: str, notebooks: list[str]) -> str:
    """The page of a module, made from its docstrings, with links to the notebooks that use it."""
    path = modules()[module]
    text = [f"``{path}``\n{'=' * 99}", f".. automodule:: {module}\n   :members:\n   :member-order: bysource"]
    text[1] += "\n   :ignore-module-all:"
    if notebooks:
        text.insert(1, "In the notebooks " + ", ".join(f":doc:`/{stem}`" for stem in notebooks))
    source = (PACKAGE.parent / path).read_text("utf-8")
    if not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.parse(source).body):
        text.append(f".. code-block:: python\n\n{indent(source, '   ')}")  # nothing for viewcode to link to
    return "\n\n".join(text)


def summary(module: str) -> str:
    """The first paragraph of a module's docstring."""
    return " ".join((inspect.getdoc(import_module(module)) or "").partition("\n\n")[0].split())
