"""The course as web pages: what becomes of cells, links and explorers; and whose folder is replaced."""

import base64
import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from unpacking import scenes_of, whole

from diffusion_lab import explorers
from diffusion_lab import export as pages
from diffusion_lab.explorers.core import STATE, Choice, Explorer, Scene, Slider
from diffusion_lab.explorers.packing import LEVELS
from diffusion_lab.export import NOTEBOOKS, Course, export

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
    dead = []
    for page in site.rglob("*.html"):
        for url in Links(page).leads:
            parts = urlsplit(url)
            target = page.parent / unquote(parts.path) if parts.path else page
            if parts.scheme == "data" or (parts.scheme == "https" and "<script" not in url):
                continue
            if parts.scheme or not target.is_file() or target.is_relative_to(site) is False:
                dead.append(f"{page.name}: {url}")
            elif parts.fragment and unquote(parts.fragment) not in Links(target).anchors:
                dead.append(f"{page.name}: {url}")
    return dead


def stored(shown, **changes):
    """The output that a notebook holds of an explorer."""
    data = {"text/plain": shown.describe(), "image/png": PNG}
    data[STATE] = shown._repr_mimebundle_()[0][STATE] | changes
    return new_output("execute_result", data, execution_count=1)


@pytest.fixture
def folder(tmp_path):
    """A folder with two notebooks and a picture, in a folder with a file that is no part of the course."""
    folder = tmp_path / "course" / "notebooks"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a dot.png").write_bytes(base64.b64decode(PNG))
    (folder.parent / "notes.txt").write_text("not for the site")
    posterior = explorers.Posterior(t=7)
    texts = ["# 00 · First & foremost\n\n**You will be able to** add. See `diffusion_lab/forward.py`."]
    texts += ["## A *sum*\nWith $a_t < b$ and `$5`:\n\n$$\n\\sqrt{\\bar\\alpha_t} = \\frac 1 2\n$$"]
    texts += ["[next](01_second.ipynb), [there](01_second.ipynb#A-part), [notes](../notes.txt),"]
    texts[2] += "[source](../diffusion_lab/explorers/core.py), [web](https://arxiv.org/abs/2006.11239), "
    texts[2] += "![one dot](images/a%20dot.png)"
    outputs = {
        "1 < 2": new_output("execute_result", {"text/plain": "True & <so> on"}),
        "plot()": new_output("display_data", {"image/png": PNG, "text/plain": "<Fig>"}),
        "fail()": new_output("error", traceback=["\x1b[31mOh\x1b[0m <no>"]),
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


def words_of(page: str) -> str:
    """A page without its tags."""
    return html.unescape(re.sub(r"<script.*?</script>|<[^>]+>", "", page, flags=re.DOTALL))


def test_a_notebook_becomes_a_page(folder, tmp_path, capsys):
    site = export(tmp_path / "to" / "site", folder)
    assert site == tmp_path / "to" / "site"
    first, second = ((site / name).read_text("utf-8") for name in ("00_first.html", "01_second.html"))
    words = words_of(first)
    assert "<title>00 · First &amp; foremost</title>" in first and '<h2 id="A-sum">' in first
    assert "$5" in words and words.count("$") == 1  # that in the code
    assert first.count("<math") == 2 and "<msqrt>" in first and "<mfrac>" in first and "\\" not in words
    assert "True & <so> on" in words and "Oh <no>" in words and "\x1b" not in first
    assert '<a href="01_second.html">next</a>' in first and '<a href="01_second.html#A-part">' in first
    assert '<a href="source/diffusion_lab.explorers.core.html">source</a>' in first
    assert '<a href="source/diffusion_lab.forward.html"><code>diffusion_lab/forward.py</code></a>' in first
    assert "notes,source" in words and "notes.txt" not in first and not list(site.rglob("notes.txt"))
    assert (site / "images" / "a dot.png").read_bytes() == base64.b64decode(PNG)
    assert '<div class="wide"><table>' in second and not Links(site / "00_first.html").mute
    assert "def q_sample(" in words_of((site / "source" / "diffusion_lab.forward.html").read_text("utf-8"))

    assert first.count('class="diffusion-lab"') == 1 and first.count(f"data:image/png;base64,{PNG}") == 4
    assert first.count("assets/plotly.js") == 1 and "plotly.js" not in second
    assert "Gone cannot be made again" in capsys.readouterr().err
    state, _ = scenes_of(first)
    assert state["t"] == 7 and state["_spec"]["live"] == ["t", "schedule"] and len(state["_scenes"]) == 3

    index = (site / "index.html").read_text("utf-8")
    assert index.index("00_first.html") < index.index("01_second.html") and "to</strong> add" in index
    assert "The forward process q" in index  # what forward.py says of itself
    assert not dead_links(site)
    used = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert set((site / pages.LIST).read_text("utf-8").split("\n")) - {""} == used
    fonts = [name for name in used if name.endswith((".woff", "plotly.js"))]
    assert sorted(fonts) == ["assets/STIXTwoMath-Regular.woff", "assets/plotly.js"]


def test_the_way_through_the_pages(folder, tmp_path):
    site = export(tmp_path / "site", folder)

    def ways(name):
        page = (site / name).read_text("utf-8")
        return re.findall(r'<a rel="(\w+)" href="([^"]+)">', page.partition("</nav>")[0])

    assert ways("index.html") == [("next", "00_first.html")]
    assert ways("00_first.html") == [("contents", "index.html"), ("next", "01_second.html")]
    assert ways("01_second.html") == [("prev", "00_first.html"), ("contents", "index.html")]


@pytest.mark.parametrize(
    "text, message",
    [
        ("$\\fraction{1}{2}$", "00_first.ipynb: the equation '\\\\fraction{1}{2}' cannot be set"),
        ("[gone](02_gone.ipynb)", "a link leads to '02_gone.ipynb', where there is no file"),
        ("![](https://example.org/a.png)", "a picture must lie in the folder of the notebooks; got 'https:"),
        ("![](../notes.txt)", "a picture must lie in the folder of the notebooks; got '../notes.txt'"),
    ],
)
def test_what_cannot_be_shown_is_named_and_nothing_is_left(folder, tmp_path, text, message):
    cell = new_markdown_cell(f"# 00 · First\n\n{text}")
    nbformat.write(new_notebook(cells=[cell]), folder / "00_first.ipynb")
    with pytest.raises(ValueError, match=re.escape(message)):
        export(tmp_path / "site", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["course"]


def test_a_folder_without_notebooks(tmp_path):
    with pytest.raises(ValueError, match=r"notebooks must be a folder with notebooks in it; got '.*nowhere'"):
        export(tmp_path / "site", tmp_path / "nowhere")


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_an_earlier_export_is_replaced(folder, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    export(site, folder)  # an empty folder will do
    (folder / "01_second.ipynb").unlink()
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 00 · Again")]), folder / "00_first.ipynb")
    export(site, folder)
    assert not (site / "01_second.html").exists() and "Again" in (site / "index.html").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "site"]

    (site / "source" / "mine.html").write_text("kept")
    before = snapshot(site)
    with pytest.raises(ValueError, match=r"earlier export; '.*site' holds 1 other file, 'source/mine.html'"):
        export(site, folder)
    assert snapshot(site) == before
    with pytest.raises(ValueError, match=r"holds 2 other files, '00_first.ipynb' among them"):
        export(folder, folder)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match="site must be a new folder"):
        export(tmp_path / "file", folder)
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.parametrize("stage", ["index", "put"])
def test_an_interrupted_export_leaves_the_earlier_one(folder, tmp_path, monkeypatch, stage):
    site = export(tmp_path / "site", folder)
    before = snapshot(tmp_path)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    if stage == "index":
        monkeypatch.setattr(Course, "index", interrupt)
    else:  # between the two moves of `put`
        rename = Path.rename
        monkeypatch.setattr(Path, "rename", lambda a, b: interrupt() if a.suffix == ".part" else rename(a, b))
    with pytest.raises(KeyboardInterrupt):
        export(site, folder)
    assert snapshot(tmp_path) == before and len(list(tmp_path.iterdir())) == 2


def test_what_is_missing_is_said(tmp_path):
    block = "import sys; sys.modules['math_core'] = None; from diffusion_lab.__main__ import main; "
    code = block + f"sys.exit(main(['export', {str(tmp_path / 'site')!r}]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and not (tmp_path / "site").exists()
    assert "math_core" in run.stderr and "diffusion_lab[lab]" in run.stderr


def test_every_text_of_the_course_can_be_set():
    course = Course(sorted(NOTEBOOKS.glob("*.ipynb")))
    assert len(course.paths) > 5
    for path, notebook in zip(course.paths, course.notebooks, strict=True):
        texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
        formulas = sum(cell.source.count("$") > 1 for cell in texts)
        rendered = "\n".join(map(course.text.render, texts))
        said = words_of(re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL))
        assert "$" not in said and "\\" not in said, path.name
        assert rendered.count("<math") >= formulas, path.name


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
            gap = np.where(np.arange(50 + t) % 7 == 0, np.nan, 1.0)  # another length at each t
            far = np.r_[wave, 1e9]
            frames.append({0: {"y": wave * 1e-3}, 1: {"y": np.exp(wave)}, 2: {"y": far}, 3: {"x": gap}})
            frames[t] |= {4: {"z": rng.normal(size=(5, 4))}, 5: {"z": rng.integers(0, 256, (3, 3), np.uint8)}}
            frames[t][6] = {"y": np.r_[wave, np.inf], "marker": {"size": x * 1e4}}
            frames[t]["layout"] = {"yaxis2": {"range": [t, t + 9]}, "yaxis3": {"range": [-2, 2]}}
        axes = {"yaxis2": {"type": "log"}, "yaxis3": {"range": [-1, 1]}, "height": 200}
        data = [{"x": x, "y": x}, {"yaxis": "y2"}, {"yaxis": "y3"}, {}, {"zmin": -1, "zmax": 1}, {}, {}]
        return Scene({"data": data, "layout": axes}, range(10), frames, [{"t": t} for t in range(10)])


def test_what_is_rounded_cannot_be_seen():
    explorer = Curves(t=3)
    state, rows = scenes_of(explorer.to_fragment())
    assert [scene["_answered"]["shape"] for scene in state["_scenes"]] == ["sine", "line", "sine again"]
    assert state["_scenes"][0]["_scene"] == state["_scenes"][2]["_scene"] != state["_scenes"][1]["_scene"]
    for scene in state["_scenes"]:
        truth = explorer.scene(**scene["_answered"])
        page = whole(scene["_scene"], state, rows)
        assert page["positions"] == list(range(10)) and page["numbers"] == [{"t": str(t)} for t in range(10)]
        for k, frame in enumerate(truth.frames):
            for i, patch in [item for item in frame.items() if item[0] != "layout"]:
                ((key, array),) = [item for item in patch.items() if item[0] != "marker"]
                array = np.asarray(array, "f4").ravel()
                exact = i in (1, 2, 5, 6)  # a logarithmic axis, a far point, bytes, infinity
                step = 0 if exact else np.nanmax(np.abs(array)) / LEVELS
                atol = 0.502 * step + 1e-7 * np.nanmax(np.abs(array[np.isfinite(array)]))
                np.testing.assert_allclose(page["frames"][k][str(i)][key], array, 0, 0 if exact else atol)
        sizes = page["frames"][0]["6"]["marker"]["size"]
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
    named = ("source", "schedule", "name", "view", "label", "sampler", "denoiser", "first", "second", "third")
    assert {control for control in cls.controls if control in named} <= set(cls.portable)
    assert pages.count_scenes({"explorer": name}) <= 100
