"""Pictures of explorers: files of the right size and content, taken anywhere; and those that are stored."""

import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor

import gallery
import nbformat
import nbtools
import numpy as np
import pytest
from PIL import Image

from diffusion_lab import explorers
from diffusion_lab.engine import Choice, Explorer, Frame, Scene, Slider, pictures

browser_test = pytest.mark.browser
ALL_EXPLORERS = pytest.mark.parametrize("name", explorers.__all__)


class Bars(Explorer):
    """A bar of height n, in 61 frames; the sentence of the last one takes several lines."""

    title = "Bars"
    color = Choice("red", ["red", "blue"])
    n = Slider(0, 0, 60, main=True)

    def scene(self, *, color):
        bar = {"type": "bar", "x": [0], "y": [0], "marker": {"color": color}}
        said = ["short"] * 60 + ["a sentence of many words " * 20]
        frames = [Frame(n, {"bar": {"y": [n]}}, sentence=said[n], code="n = 0") for n in range(61)]
        return Scene({"bar": bar}, {"yaxis": {"range": [0, 60]}, "height": 200}, frames)


class Still(Explorer):
    title = "Still"
    color = Choice("red", ["red", "blue"])

    def scene(self, *, color):
        return Scene({"line": {"y": [1, 2], "line": {"color": color}}}, {})


@pytest.fixture(scope="module")
def bars():
    return Bars(n=20)


def pixels(picture) -> np.ndarray:
    """[H, W, 3], whole numbers, of a picture or of the file that holds one."""
    picture = picture if isinstance(picture, Image.Image) else Image.open(picture)
    return np.asarray(picture.convert("RGB")).astype(int)


def frames_of(path):
    """The frames of a GIF, and the milliseconds that each is shown."""
    with Image.open(path) as film:
        found = []
        for k in range(film.n_frames):
            film.seek(k)
            found.append((pixels(film), film.info["duration"]))
        return *zip(*found, strict=True), film.info["loop"]


def red(picture) -> int:
    """How many pixels are red, as only the bar is."""
    return int((np.abs(pixels(picture) - [255, 0, 0]).max(-1) < 40).sum())


# -- files, without a browser


def test_png_keeps_few_colours_exactly():
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)  # 256 pixels
    data = pictures.png(Image.fromarray(noise))
    assert data.startswith(b"\x89PNG")
    assert (pixels(io.BytesIO(data)) == noise).all()


def test_gif_has_one_size_and_holds_the_last_frame(tmp_path):
    colors, heights = [(255, 255, 255), (0, 114, 178), (18, 18, 18)], [30, 50, 40]
    path = tmp_path / "film.gif"
    plain = [Image.new("RGB", (60, height), color) for height, color in zip(heights, colors, strict=True)]
    path.write_bytes(pictures.gif(plain))
    found, times, loop = frames_of(path)
    assert [frame.shape for frame in found] == [(50, 60, 3)] * 3
    for frame, color, height in zip(found, colors, heights, strict=True):
        assert (frame[:height] == color).all()
        assert (frame[height:] == colors[0]).all()  # what is left over has the first one's background
    assert times == (400, 400, 2000)
    assert loop == 0  # for ever


def test_a_long_film_takes_eight_seconds():
    shades = [Image.new("L", (8, 8), k).convert("RGB") for k in range(40)]
    _, times, _ = frames_of(io.BytesIO(pictures.gif(shades)))
    assert times == (200,) * 39 + (2000,)


# -- what is missing or wrong


def test_says_which_browsers_it_looked_for(bars, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"no browser found.* chromium, .*google-chrome.*Edge"):
        bars.to_png(tmp_path / "bars.png")
    assert not list(tmp_path.iterdir())


def test_says_how_to_install_playwright(bars, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(ImportError, match="pip install playwright"):
        bars.to_gif(tmp_path / "bars.gif")


@pytest.mark.parametrize("value", [dict(width=0), dict(width=90.5), dict(scale=0), dict(scale=-1)])
def test_rejects_sizes(bars, tmp_path, value):
    (name,) = value
    with pytest.raises(ValueError, match=name):
        bars.to_png(tmp_path / "bars.png", **value)


def test_no_film_without_a_main_slider(tmp_path):
    with pytest.raises(ValueError, match="Still has no main slider"):
        Still().to_gif(tmp_path / "still.gif")


# -- in the browser


@browser_test
def test_png_light_and_dark(chromium, bars, tmp_path):
    light = bars.to_png(tmp_path / "light.png")
    dark = bars.to_png(tmp_path / "dark.png", dark=True, scale=1, width=700)
    with Image.open(light) as a, Image.open(dark) as b:
        assert (a.format, a.width, b.format, b.width) == ("PNG", 1350, "PNG", 700)
        assert np.median(pixels(a)) == 255
        assert np.median(pixels(b)) < 40
    assert red(light) > 1000
    assert red(Bars(n=20, color="blue").to_png(tmp_path / "blue.png")) == 0


@browser_test
def test_bytes_are_the_same_every_time_and_from_one_browser_as_from_several(chromium, bars):
    still, second = pictures.stills([Still().to_fragment(()), bars.to_fragment(())])
    (alone,) = pictures.stills([bars.to_fragment(())])
    assert pictures.png(second) == pictures.png(alone)
    assert still.size != alone.size


@browser_test
def test_shows_explorers_as_if_they_were_live(chromium):
    """Whatever kinds of controls they have."""
    names = ["NoiseSchedules", "OneStep", "OwnData", "SayIt"]
    hidden = "root => [...root.querySelectorAll('details, .note')].every((node) => !node.checkVisibility())"

    def job(open_page):
        roots = [open_page(getattr(explorers, name)().to_fragment(())) for name in names]
        return [
            (r.bounding_box()["width"], r.locator(":disabled").count(), r.evaluate(hidden)) for r in roots
        ]

    seen = pictures._in_chromium(job, False, 1, 900)
    assert dict(zip(names, seen, strict=True)) == dict.fromkeys(names, (900, 0, True))
    kinds = {c.kind for name in names for c in getattr(explorers, name).controls.values()}
    assert kinds == {c.kind for name in explorers.__all__ for c in getattr(explorers, name).controls.values()}


@browser_test
def test_gif_follows_the_main_slider(chromium, bars, tmp_path):
    found, times, _ = frames_of(bars.to_gif(tmp_path / "bars.gif"))
    assert len(found) == 40
    assert len({frame.shape for frame in found}) == 1
    assert found[0].shape[1] == 900
    areas = [red(Image.fromarray(frame.astype(np.uint8))) for frame in found]
    assert areas[0] == 0
    assert areas == sorted(set(areas))  # from end to end, always growing
    assert times[-1] > times[0]
    alone = pixels(Bars(n=60).to_png(tmp_path / "alone.png", scale=1))  # the same state, but for the colours
    assert np.abs(found[-1][: len(alone)] - alone).max() < 60
    assert np.abs(found[-1][: len(alone)] - alone).mean() < 0.1


@browser_test
def test_few_positions_are_all_in_the_film(chromium, tmp_path):
    denoising = explorers.Denoising(steps=5)
    found, times, _ = frames_of(denoising.to_gif(tmp_path / "film.gif", dark=True, width=600))
    assert len(found) == len(denoising.shown.positions) == 6
    assert times == (400,) * 5 + (2000,)
    assert (found[0] != found[-1]).any()


@browser_test
def test_where_an_event_loop_runs_as_in_a_notebook(chromium, bars, tmp_path):
    async def cell():
        return bars.to_png(tmp_path / "bars.png", scale=1)

    # in a thread of its own, since the loop of the tests' own browser runs in this one
    with ThreadPoolExecutor(1) as thread:
        assert red(thread.submit(asyncio.run, cell()).result()) > 500


# -- in notebooks

NOTEBOOK = """
_before = set(globals())
import ipywidgets
from diffusion_lab.explorers import Posterior
a, b = Posterior(), Posterior(t=20)
display(a, ipywidgets.IntSlider())
b
---
class Mine(Posterior):
    title = "Mine"
    def _repr_mimebundle_(self, **kwargs):  # nothing is stored from which it could be drawn again
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {"text/plain": data["text/plain"], nbtools_widget: data[nbtools_widget]}, metadata
Mine()
---
print(*sorted(name for name in globals() if name[0] != "_" and name not in _before))
"""


@browser_test
def test_notebooks_are_stored_with_pictures(chromium, tmp_path):
    path = tmp_path / "pictures.ipynb"
    cells = NOTEBOOK.replace("nbtools_widget", f'"{nbtools.WIDGET}"').split("---\n")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    nbtools.run(path)
    stored = path.read_bytes()
    first, second, third = nbformat.read(path, as_version=4).cells
    a, slider, b = first.outputs
    assert "image/png" not in slider.data and "IntSlider" in slider.data["text/plain"]
    (mine,) = second.outputs
    shown = [nbtools.picture_in(output) for output in (a, b, mine)]
    assert len({picture.tobytes() for picture in shown}) == 3
    assert {picture.width for picture in shown} == {nbtools.WIDTH * nbtools.SCALE}
    assert third.outputs[0].text == "Mine Posterior a b ipywidgets\n"  # and nothing that the pictures left
    assert [cell.execution_count for cell in (first, second, third)] == [1, 2, 3]
    nbtools.run(path)
    assert path.read_bytes() == stored


# -- in the README


def test_the_gallery_knows_the_explorers():
    assert set(gallery.STATES) <= set(explorers.__all__)


@ALL_EXPLORERS
def test_the_readme_shows_it_light_and_dark(name):
    readme = (nbtools.ROOT / "README.md").read_text(encoding="utf-8")
    for dark in (False, True):
        path = gallery.path(name, dark)
        assert path.is_file(), "run `make gallery`"
        assert path.relative_to(nbtools.ROOT).as_posix() in readme
        assert path.stat().st_size <= gallery.LARGEST
        assert (np.median(pixels(path)) < 128) == dark
        with Image.open(path) as picture:
            assert picture.width == nbtools.WIDTH * nbtools.SCALE


def test_no_picture_is_left_over():
    known = {gallery.path(name, dark) for name in explorers.__all__ for dark in (False, True)}
    assert set(gallery.IMAGES.iterdir()) == known
