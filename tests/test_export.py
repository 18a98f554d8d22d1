"""The course as web pages: what becomes of cells, links and explorers; and whose folder is replaced."""

import ast
import base64
import contextlib
import html
import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pytest
from docutils import nodes
from docutils.core import publish_doctree
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from unpacking import scenes_of, whole

from diffusion_lab import explorers
from diffusion_lab import export as pages
from diffusion_lab.engine import STATE, Choice, Explorer, Frame, Scene, Slider
from diffusion_lab.engine.packing import LEVELS
from diffusion_lab.export import NOTEBOOKS, export

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


class Links(HTMLParser):
    """What a page refers to, what its anchors are called, and its pictures without words."""

    def __init__(self, page: Path):
        super().__init__()
        self.leads, self.anchors, self.mute = [], set(), []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.leads += [attributes[key] for key in ("href", "src") if key in attributes]
        self.anchors.add(attributes.get("id"))
        self.mute += [tag] if tag == "img" and not attributes.get("alt") else []


def dead_links(site: Path) -> list[str]:
    """What the pages of a site refer to and what is not there, or would have to come from the network."""
    dead, pages = [], {page.resolve(): Links(page) for page in site.rglob("*.html")}
    for page, links in pages.items():
        for url in links.leads:
            parts = urlsplit(url)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if parts.scheme == "data" or (parts.scheme == "https" and "<script" not in url):
                continue
            if parts.scheme or not target.is_file() or target.is_relative_to(site.resolve()) is False:
                dead.append(f"{page.name}: {url}")
            elif parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                dead.append(f"{page.name}: {url}")
    return dead


def stored(shown, **changes):
    """The output that a notebook holds of an explorer."""
    data = {"text/plain": shown.describe(), "image/png": PNG}
    data[STATE] = shown._repr_mimebundle_()[0][STATE] | changes
    return new_output("execute_result", data, execution_count=1)


LOUD = {"report_level": 1, "halt_level": 1, "smart_quotes": False}
FEW = ("diffusion_lab", "diffusion_lab.forward", "diffusion_lab.engine.scene")


@pytest.fixture(autouse=True)
def few_modules(request, monkeypatch):
    """Small courses show three modules of the package: that takes less time."""
    modules = {name: path for name, path in pages.modules().items() if name in FEW}
    if "site" not in request.fixturenames:
        monkeypatch.setattr(pages, "modules", lambda: modules)


def write_course(folder):
    """Two notebooks and a picture in a folder, beside a file that is no part of the course."""
    folder = folder / "course" / "notebooks"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a dot.png").write_bytes(base64.b64decode(PNG))
    (folder.parent / "notes.txt").write_text("not for the site")
    posterior = explorers.Posterior(t=7)
    texts = ["# 00 · First & foremost\n\n**You will be able to** add. See `diffusion_lab/forward.py`."]
    texts += ["## A *sum*\nWith $a_t < b$ and `$5`:\n\n$$\n\\sqrt{\\bar\\alpha_t} = \\frac 1 2\n$$"]
    texts += ["[next](01_second.ipynb), [there](01_second.ipynb#A-part), "]
    texts[2] += "[source](../diffusion_lab/engine/scene.py), [web](https://arxiv.org/abs/2006.11239), "
    texts[2] += "![one dot](images/a%20dot.png)"
    outputs = {
        "1 < 2": new_output("execute_result", {"text/plain": "True & <so> on"}),
        "plot()": new_output("display_data", {"image/png": PNG, "text/plain": "<Fig>"}),
        "fail()": new_output("error", traceback=["\x1b[31mOh\x1b[0m <no>"]),
        "from diffusion_lab.forward import (\n    q_step,\n)": new_output("stream", text="no more"),
        "Posterior(t=7)": stored(posterior),
        "Gone()": stored(posterior, explorer="Gone"),
        "Odd()": stored(posterior, values={"schedule": "square", "t": 7}),
        "New()": stored(posterior, values={"colour": 1}),
    }
    cells = [*map(new_markdown_cell, texts)]
    cells += [new_code_cell(source, outputs=[output]) for source, output in outputs.items()]
    nbformat.write(new_notebook(cells=cells), folder / "00_first.ipynb")
    texts = ["# 01 · Second\n\n| a | b |\n|---|---|\n| $x$ | 2 |", "## A part"]
    nbformat.write(new_notebook(cells=[*map(new_markdown_cell, texts)]), folder / "01_second.ipynb")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_course(tmp_path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The pages of such a folder, and what was said while they were made."""
    home, said = tmp_path_factory.mktemp("small"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        modules = {name: path for name, path in pages.modules().items() if name in FEW}
        patch.setattr(pages, "modules", lambda: modules)
        site = export(home / "to" / "site", write_course(home))
    assert site == home / "to" / "site" and [path.name for path in site.parent.iterdir()] == ["site"]
    return site, said.getvalue()


def words_of(page: str) -> str:
    """A page without its tags."""
    return html.unescape(re.sub(r"<script.*?</script>|<[^>]+>", "", page, flags=re.DOTALL))


def test_a_notebook_becomes_a_page(small):
    site, said = small
    first, second = ((site / name).read_text("utf-8") for name in ("00_first.html", "01_second.html"))
    words = words_of(first)
    assert "<title>00 · First &amp; foremost - diffusion_lab</title>" in first
    article = first.partition("<article")[2].partition("</article>")[0]
    assert article.count("<math") == 2 and "<msqrt>" in first and "<mfrac>" in first
    assert (
        words_of(article).count("$") == 1 and "$5" in words and "\\" not in words_of(article)
    )  # that in the code
    assert "True & <so> on" in words and "Oh <no>" in words and "\x1b" not in first
    assert 'href="01_second.html"><span class="std std-doc">next</span></a>' in first
    assert 'href="01_second.html#a-part"><span class="std std-ref">there</span></a>' in first
    assert 'href="diffusion_lab/engine/scene.html"><span class="std std-doc">source</span></a>' in first
    assert re.search(
        r'href="diffusion_lab/forward.html"><span [^>]*><code [^>]*>diffusion_lab/forward.py</code>', first
    )
    assert not list(site.rglob("notes.txt")) and (site / "_images" / "a dot.png").is_file()
    assert 'class="table-wrapper' in second and not Links(site / "00_first.html").mute

    assert first.count('class="diffusion-lab"') == 1 and PNG not in first
    assert article.count("<img") == 5  # one dot, the plot, and three explorers that cannot be made again
    assert first.count("_static/plotly.js") == 1 and "plotly.js" not in second
    assert said.count("cannot be made again") == 3 and "Gone cannot be made again" in said
    state, _ = scenes_of(first)
    assert state["t"] == 7 and state["_spec"]["live"] == ["t", "schedule"] and len(state["_scenes"]) == 3

    index = (site / "index.html").read_text("utf-8").partition("<article")[2]
    assert index.index("00_first.html") < index.index("01_second.html") and "to</strong> add" in index
    assert "The forward process q" in index  # what forward.py says of itself
    assert not dead_links(site)
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert set((site / pages.LIST).read_text("utf-8").split("\n")) - {""} == there
    heavy = [name for name in there if (site / name).stat().st_size > 1e5 and not name.endswith(".html")]
    assert heavy == ["_static/plotly.js"] and "_static/STIXTwoMath-Regular.woff" in there


def test_modules_and_notebooks_lead_to_each_other(small):
    site, _ = small
    forward = (site / "diffusion_lab" / "forward.html").read_text("utf-8").partition("<article")[2]
    assert "../00_first.html" in forward and "../01_second.html" not in forward.partition("</article>")[0]
    assert "def q_sample(" in words_of(
        (site / "_modules" / "diffusion_lab" / "forward.html").read_text("utf-8")
    )
    assert "It uses" in words_of((site / "00_first.html").read_text("utf-8"))
    assert "It uses" not in words_of((site / "01_second.html").read_text("utf-8"))


def test_the_way_through_the_pages(small):
    site, _ = small

    def ways(name):
        return re.findall(r'<link rel="(next|prev)" [^>]*href="([^"]+)"', (site / name).read_text("utf-8"))

    assert ways("index.html") == [("next", "00_first.html")]
    assert ways("00_first.html") == [("next", "01_second.html"), ("prev", "index.html")]
    assert ways("01_second.html")[1] == ("prev", "00_first.html")


@pytest.mark.parametrize(
    "text, message",
    [
        ("$\\fraction{1}{2}$", "the equation '\\\\fraction{1}{2}' cannot be set: "),
        ("[gone](02_gone.ipynb)", "target not found: '02_gone.ipynb'"),
        ("[there](01_second.ipynb#No-part)", "'No-part'"),
        ("[gone](../diffusion_lab/gone.py)", "target not found: '/diffusion_lab/gone.py'"),
        ("[outside](../notes.txt)", "target not found: '../notes.txt'"),
        ("![](https://example.org/a.png)", "a picture must lie beside the notebooks; got 'https:"),
        ("![](../notes.txt)", "notes.txt"),
    ],
)
def test_what_cannot_be_shown_is_named_and_nothing_is_left(folder, tmp_path, text, message):
    cell = new_markdown_cell(f"# 00 · First\n\n{text}")
    nbformat.write(new_notebook(cells=[cell]), folder / "00_first.ipynb")
    with pytest.raises(ValueError, match=f"^00_first.ipynb.*{re.escape(message)}"):
        export(tmp_path / "site", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["course"]


def test_a_folder_without_notebooks(tmp_path):
    with pytest.raises(ValueError, match=r"notebooks must be a folder with notebooks in it; got '.*nowhere'"):
        export(tmp_path / "site", tmp_path / "nowhere")


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def earlier(small, tmp_path):
    """The small site again, to be replaced."""
    return Path(shutil.copytree(small[0], tmp_path / "site"))


def test_only_an_earlier_export_is_replaced(folder, tmp_path, earlier):
    site = earlier
    (folder / "01_second.ipynb").unlink()
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 00 · Again")]), folder / "00_first.ipynb")
    assert export(site, folder) == site
    assert not (site / "01_second.html").exists() and "Again" in (site / "index.html").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "site"]

    (site / "_modules" / "mine.html").write_text("kept")
    before = snapshot(site)
    with pytest.raises(
        ValueError, match=r"earlier export; '.*site' holds 1 other file, '_modules/mine.html'"
    ):
        export(site, folder)
    assert snapshot(site) == before
    with pytest.raises(ValueError, match=r"holds 2 other files, '00_first.ipynb' among them"):
        export(folder, folder)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match="site must be a new folder"):
        export(tmp_path / "file", folder)
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.parametrize("stage", ["index", "put"])
def test_an_interrupted_export_leaves_the_earlier_one(folder, tmp_path, monkeypatch, stage, earlier):
    site = earlier
    before = snapshot(tmp_path)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    if stage == "index":
        monkeypatch.setattr(pages, "index", interrupt)
    else:  # between the two moves of `put`
        rename = Path.rename
        monkeypatch.setattr(
            Path, "rename", lambda a, b: interrupt() if a.name == "site" and b == site else rename(a, b)
        )
    with pytest.raises(KeyboardInterrupt):
        export(site, folder)
    assert snapshot(tmp_path) == before and len(list(tmp_path.iterdir())) == 2


def test_an_empty_folder_will_do(folder, tmp_path, monkeypatch):
    """What `build` makes is not asked here."""
    monkeypatch.setattr(
        pages, "build", lambda folder, work: (work / "site").mkdir(parents=True) or work / "site"
    )
    (tmp_path / "site").mkdir()
    export(tmp_path / "site", folder)
    assert [path.name for path in (tmp_path / "site").iterdir()] == [pages.LIST]


def test_what_is_missing_is_said(tmp_path):
    block = "import sys; sys.modules['math_core'] = None; from diffusion_lab.__main__ import main; "
    code = block + f"sys.exit(main(['export', {str(tmp_path / 'site')!r}]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and not (tmp_path / "site").exists()
    assert "math_core" in run.stderr and "diffusion_lab[lab]" in run.stderr


# ------------------------------------------------------------------------------------- the whole course
@pytest.mark.slow
def test_every_text_of_the_course_can_be_set(site):
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    assert len(paths) > 5
    for path in paths:
        texts = [
            cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
        ]
        formulas = sum(source.count("$") > 1 for source in texts)
        page = (
            (site / f"{path.stem}.html")
            .read_text("utf-8")
            .partition("<article")[2]
            .partition("</article>")[0]
        )
        said = words_of(re.sub(r"<(code|pre)\b.*?</\1>", "", page, flags=re.DOTALL))
        assert "$" not in said and "\\" not in said, path.name
        assert page.count("<math") >= formulas, path.name


@pytest.mark.slow
@pytest.mark.parametrize("module, path", pages.modules().items(), ids=list(pages.modules()))
def test_every_module_has_a_page(site, module, path):
    """Its docstrings, in the order of the file, its source, and the notebooks that use it."""
    source = (NOTEBOOKS.parent / path).read_text("utf-8")
    tree = ast.parse(source)
    page = (
        (site / path)
        .with_suffix(".html")
        .read_text("utf-8")
        .partition("<article")[2]
        .partition("</article>")[0]
    )
    assert f"{path}</code>" in page.partition("</h1>")[0]
    said = squeezed(words_of(page))
    assert all(piece in said for piece in pieces(tree))
    public = [node for node in tree.body if hasattr(node, "name") and not node.name.startswith("_")]
    places = [page.index(f' id="{module}.{node.name}"') for node in public]
    assert places == sorted(places)
    for node in public:
        assert all(piece in said for piece in pieces(node)), node.name
    written = site / "_modules" / path.replace("/__init__.py", ".html").replace(".py", ".html")
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body) and public:
        assert f"/{written.relative_to(site).as_posix()}#" in page
        said = squeezed(words_of(written.read_text("utf-8")).replace("[docs]", ""))
    assert squeezed(source) in said
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        there = (
            f'href="{path.removesuffix(".py")}.html"'
            in (site / f"{notebook.stem}.html")
            .read_text("utf-8")
            .partition("<article")[2]
            .partition("</article>")[0]
        )
        assert there == (f"/{notebook.stem}.html" in page), notebook.name


def pieces(node) -> list[str]:
    """The paragraphs and the blocks set apart of a docstring, squeezed."""
    settings = {"warning_stream": io.StringIO()}
    tree = publish_doctree(ast.get_docstring(node), settings_overrides=settings)
    pieces = [piece for piece in tree.findall(nodes.TextElement) if not isinstance(piece, nodes.field_name)]
    return [squeezed(piece.astext()) for piece in pieces]


def squeezed(text: str) -> str:
    """Without blanks, quotes and backticks, which a page may write in another way."""
    return re.sub(r"[\s`'\"’‘“”¶]|\[source\]", "", text)


# ---------------------------------------------------------------------------------------------- packing
class Curves(Explorer):
    """Frames of every kind: linear, logarithmic, an axis with a far point, colours, bytes, gaps."""

    title = "Curves"
    portable = ("shape",)
    shape = Choice("sine", ["sine", "line", "sine again"])
    offset = Slider(0, 0, 3)
    t = Slider(0, 0, 9, main=True)

    def scene(self, *, shape, offset):
        x = np.linspace(0, 1, 50)
        waves = [(np.sin(6 * x + t) if shape.startswith("sine") else x * t) + offset for t in range(10)]
        rng = np.random.default_rng(0)
        frames = []
        for t, wave in enumerate(waves):
            changes = {
                "small": {"y": wave * 1e-3},
                "log": {"y": np.exp(wave)},
                "far": {"y": np.r_[wave, 1e9]},
            }
            gap = np.where(np.arange(50 + t) % 7 == 0, np.nan, 1.0)  # another length at each t
            changes |= {"gap": {"x": gap}, "field": {"z": rng.normal(size=(5, 4))}}
            changes |= {"bytes": {"z": rng.integers(0, 256, (3, 3), np.uint8)}}
            changes |= {"infinite": {"y": np.r_[wave, np.inf], "marker": {"size": x * 1e4}}}
            changes["layout"] = {"yaxis2": {"range": [t, t + 9]}, "yaxis3": {"range": [-2, 2]}}
            frames.append(Frame(t, changes, {"t": t}))
        axes = {"yaxis2": {"type": "log"}, "yaxis3": {"range": [-1, 1]}, "height": 200}
        traces = {"small": {"x": x, "y": x}, "log": {"yaxis": "y2"}, "far": {"yaxis": "y3"}, "gap": {}}
        traces |= {"field": {"zmin": -1, "zmax": 1}, "bytes": {}, "infinite": {}}
        return Scene(traces, axes, frames)


def test_what_is_rounded_cannot_be_seen():
    explorer = Curves(t=3)
    state, rows = scenes_of(explorer.to_fragment())
    assert [scene["_answered"]["shape"] for scene in state["_scenes"]] == ["sine", "line", "sine again"]
    assert state["_scenes"][0]["_scene"] == state["_scenes"][2]["_scene"] != state["_scenes"][1]["_scene"]
    for scene in state["_scenes"]:
        truth = explorer.scene(**scene["_answered"])
        page = whole(scene["_scene"], state, rows)
        assert [(frame["at"], frame["numbers"]) for frame in page["frames"]] == [
            (t, {"t": str(t)}) for t in range(10)
        ]
        for there, frame in zip(page["frames"], truth.frames, strict=True):
            for name, patch in [item for item in frame.changes.items() if item[0] != "layout"]:
                ((key, array),) = [item for item in patch.items() if item[0] != "marker"]
                array = np.asarray(array, "f4").ravel()
                exact = name in ("log", "far", "bytes", "infinite")
                step = 0 if exact else np.nanmax(np.abs(array)) / LEVELS
                atol = 0.502 * step + 1e-7 * np.nanmax(np.abs(array[np.isfinite(array)]))
                np.testing.assert_allclose(there["changes"][name][key], array, 0, 0 if exact else atol)
        sizes = page["frames"][0]["changes"]["infinite"]["marker"]["size"]
        np.testing.assert_array_equal(sizes, np.linspace(0, 1e4, 50).astype("f4"))


def test_all_that_a_page_keeps_alive_is_there(tmp_path):
    seen = []
    state, _ = scenes_of(Curves().to_fragment(("shape", "offset"), each=lambda: seen.append(1)))
    combinations = {(scene["_answered"]["shape"], scene["_answered"]["offset"]) for scene in state["_scenes"]}
    assert len(combinations) == len(seen) == 3 * 4
    page = Curves(offset=2).to_html(tmp_path / "page.html").read_text("utf-8")
    assert scenes_of(page)[0]["_spec"]["live"] == ["t", "shape"]
    assert {scene["_answered"]["offset"] for scene in scenes_of(page)[0]["_scenes"]} == {2}


@pytest.mark.parametrize("name", explorers.__all__)
def test_every_explorer_travels(name):
    """What sleeps on a page without a kernel is a number to slide or a detail; no page gets too heavy."""
    cls = getattr(explorers, name)
    assert cls.portable and set(cls.portable) < set(cls.controls)
    named = (
        "source",
        "schedule",
        "process",
        "view",
        "label",
        "sampler",
        "denoiser",
        "first",
        "second",
        "third",
    )
    assert {control for control in cls.controls if control in named} <= set(cls.portable)
    assert pages.count_scenes({"explorer": name}) <= 100
