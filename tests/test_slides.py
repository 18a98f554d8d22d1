"""The course as slides: what is on them, what is in the notes, and that nothing is fetched from a network."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from diffusion_lab import slides
from diffusion_lab.engine import STATE
from diffusion_lab.explorers import ChainAndJump
from diffusion_lab.quiz import QUIZ

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TABLE = "| name | says |\n| --- | --- |\n| alpha | what is *kept* |"


def code(source, data=None, tags=()):
    """A code cell that showed `data`."""
    shown = [new_output("display_data", data)] if data else []
    return new_code_cell(source, outputs=shown, metadata={"tags": [*tags]})


def words(source, *tags):
    return new_markdown_cell(source, metadata={"tags": [*tags]})


CELLS = [
    words("# Title\n\nNeeds: [noise](02_noise.ipynb#how), [a page](https://example.org/a.ipynb)."),
    words("Aside one, $a_1$."),
    code("hidden = 'a cell without a tag'", {"text/plain": "hidden output"}),
    words("Aside two."),
    words(f"An equation $\\beta_t$:\n\n$$x_t = \\sqrt{{\\alpha_t}}$$\n\n{TABLE}", "slide"),
    code("draw_a_figure()", {"image/png": PNG}, ["slide"]),
    code("print('source and output')", {"text/plain": "42 things"}, ["slide"]),
    code("predict('forward.peaks')", {QUIZ: {"id": "forward.peaks", "part": "predict"}}),
    code("seen('forward.peaks')", {QUIZ: {"id": "forward.peaks", "part": "seen"}}),
    words("Before the task."),
    words("**Exercise.** Write the jump."),
    code("exercises.check('closed_form', closed_form)", {"text/html": "<b>○ closed_form</b>"}, ["exercise"]),
    words("**Exercise 7** is not before an exercise's cell."),
    code("1 + 1"),
    words("Words."),
    code("exercises.check('chain_step', chain_step)", None, ["exercise"]),
    code("The end", {"text/plain": "the end"}, ["slide"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The slides of two notebooks: one with all that there is, and one with a title and an explorer."""
    notebooks, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("slides")
    nbformat.write(new_notebook(cells=CELLS), notebooks / "01_all.ipynb")
    state = ChainAndJump(t=40)._repr_mimebundle_()
    state = state[0] if isinstance(state, tuple) else state
    cells = [words("# Noise"), code("ChainAndJump(t=40)", {STATE: state[STATE]})]
    nbformat.write(new_notebook(cells=cells), notebooks / "02_noise.ipynb")
    made = home / "new" / "folder"
    assert slides.slides(made, notebooks) == made
    return made


def parts(folder, name):
    """What each slide shows, and what its notes say: pairs of HTML."""
    found = []
    for part in (folder / f"{name}.html").read_text("utf-8").split("<section><section")[1:]:
        notes = re.findall(r'<aside class="notes">(.*?)</aside>', part, re.DOTALL)
        assert len(notes) <= 1, "reveal.js shows the first alone"
        shown = re.sub(r'<aside class="notes">.*?</aside>', "", part, flags=re.DOTALL)
        found.append((shown.partition("</section>")[0], "".join(notes)))
    return found


def text(html):
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_what_goes_on_slides_and_what_into_the_notes(folder):
    shown, notes = zip(*parts(folder, "01_all"), strict=True)
    assert len(shown) == 9
    for slide, said in zip(
        shown,
        ["Title", "An equation", "", "42 things", "", "", "Write the jump", "chain_step", "the end"],
        strict=True,
    ):
        assert said in text(slide)
    assert "<img" in shown[2] and "draw_a_figure" not in shown[2]
    assert "print" in shown[3]
    assert "do the peaks" in shown[4]
    assert (
        "predict(" not in text(shown[4]).partition("{")[0] and "seen(" not in text(shown[5]).partition("{")[0]
    )
    assert "○ closed_form" in text(shown[6])  # its task, its cell, and what that says
    assert "Write the jump" not in notes[5] and "Before the task" in notes[5]
    assert "Aside one" in notes[0] and "Aside two." in notes[0] and "<math" in notes[0]
    assert "Exercise 7" in notes[6] and "Words." in notes[6]
    assert not any(notes[n] for n in (1, 2, 3, 4, 7, 8))
    everything = (folder / "01_all.html").read_text("utf-8")
    assert "hidden" not in text("".join(shown + notes)) and "a cell without a tag" not in everything


def test_equations_and_tables(folder):
    shown = parts(folder, "01_all")[1][0]
    assert shown.count("<math") == 2 and "<msqrt>" in shown and "$" not in shown and "\\sqrt" not in shown
    assert re.search(r"<table>.*<th>name</th>.*<td>what is <em>kept</em></td>.*</table>", shown, re.DOTALL)


def test_links_lead_to_other_slides(folder):
    title = parts(folder, "01_all")[0][0]
    assert '<a href="02_noise.html#how">noise</a>' in title
    assert '<a href="https://example.org/a.ipynb">a page</a>' in title


def test_all_that_a_page_loads_is_in_the_folder(folder):
    for name in ("01_all", "02_noise"):
        page = (folder / f"{name}.html").read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"(.*?)\"", page)
        loaded += re.findall(r"<link\b[^>]*\bhref=\"(.*?)\"", page)
        assert len(loaded) >= 5
        for address in loaded:
            assert address.startswith("data:") or (folder / address).is_file(), address
        assert "reveal/dist/theme/course.css" in loaded
        assert not re.search(r"@import|url\(['\"]?http|\bimport\b[^\n;]*http|require\(", page)


def test_the_font_of_the_equations_lies_beside_its_style(folder):
    """Without it, browsers on machines without a font for equations lower no index."""
    theme = folder / "reveal" / "dist" / "theme"
    (address,) = re.findall(r'url\("(.*?)"\)', (theme / "course.css").read_text("utf-8"))
    assert (theme / address).read_bytes()[:4] == b"wOFF"


def test_an_explorer_is_alive(folder):
    (_, (shown, _)) = parts(folder, "02_noise")
    assert (
        "diffusion-lab" in shown and "<img" not in shown.replace("<noscript>", "").partition("<noscript")[0]
    )
    assert "ChainAndJump(t=40)" not in text(shown)


def test_slides_are_made_again_in_the_same_folder(tmp_path):
    nbformat.write(new_notebook(cells=[words("# One")]), tmp_path / "a.ipynb")
    slides.slides(tmp_path / "out", tmp_path)
    nbformat.write(new_notebook(cells=[words("# Two")]), tmp_path / "a.ipynb")
    assert slides.slides(str(tmp_path / "out"), str(tmp_path)) == tmp_path / "out"
    assert "Two" in (tmp_path / "out" / "a.html").read_text("utf-8")


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"notebooks must be a folder with notebooks in it; got '.*nowhere'"):
        slides.slides(tmp_path / "out", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="notebooks must be a folder with notebooks"):
        slides.slides(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()
    nbformat.write(new_notebook(cells=[words("# One")]), tmp_path / "a.ipynb")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"folder must be a folder, new or not; '.*file' is a file"):
        slides.slides(tmp_path / "file", tmp_path)
    assert (tmp_path / "file").read_text() == "mine"
