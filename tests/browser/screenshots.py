"""Pictures of the three explorers for the README: python tests/browser/screenshots.py [FOLDER]

Each is taken in a real JupyterLab, as the browser tests start it: this is a pytest module that runs itself.
"""

import io
import sys
from pathlib import Path

import pytest
from labtools import explorer, open_notebook, run_all, settings, settled, write_notebook
from PIL import Image

IMPORT = "from diffusion_lab.explorers import Denoising, NoiseSchedules, ScoreAndEps"
STATES = {
    "noise_schedules": 'NoiseSchedules(third="sigmoid", T=100, t=60)',
    "denoising": 'Denoising(source="digits", label="3", steps=20, step=12)',
    "score_and_eps": 'ScoreAndEps(view="score", shown_by="exact", t=300)',
}
LARGEST = 150_000  # bytes


def shoot(page, name: str, nth: int, folder: Path):
    """Write the nth explorer on the page to NAME.png, with a little of the page around it."""
    root = explorer(page, nth)
    settled(root)
    root.evaluate("node => node.scrollIntoView({block: 'center'})")
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.evaluate("document.fonts.ready")
    path = folder / f"{name}.png"
    picture = Image.open(io.BytesIO(root.screenshot(animations="disabled"))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}  {size / 1000:.0f} kB")
    assert size < LARGEST, f"{path} has {size} bytes, more than {LARGEST}"


def test_take_the_pictures(browser, jupyterlab, folder):
    folder.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=1.5)
    page.set_default_timeout(20_000)
    path = write_notebook(jupyterlab.root / "screenshots.ipynb", IMPORT, *STATES.values())
    themes = {"JupyterLab Light": STATES, "JupyterLab Dark": {"denoising": ""}}
    for theme, names in themes.items():
        settings(jupyterlab, "apputils-extension/themes", theme=theme)
        open_notebook(page, jupyterlab, path)
        run_all(page)
        for name in names:
            suffix = "_dark" if "Dark" in theme else ""
            shoot(page, name + suffix, list(STATES).index(name), folder)
    page.close()


class Folder:
    """The plugin that tells the test above where to write."""

    def __init__(self, path: str):
        self.path = Path(path).resolve()

    @pytest.fixture
    def folder(self):
        return self.path


if __name__ == "__main__":
    where = Folder(sys.argv[1] if len(sys.argv) > 1 else "notebooks/images")
    sys.exit(pytest.main([__file__, "-q", "-s", "-p", "no:cacheprovider"], plugins=[where]))
