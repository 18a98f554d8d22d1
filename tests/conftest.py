"""What the tests share: threads, hypothesis, the gpu marker, Chromium, and a running JupyterLab."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Workers of pytest-xdist share the cores, and waiting threads sleep; said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1:
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))

# The same examples on every run: what fails for one fails for all. No deadline: busy machines stall.
settings.register_profile("lab", deadline=None, derandomize=True)
settings.load_profile("lab")


# Files that take longest come first, or one worker is left with them at the end. `make quick` does without
# the slow ones, and without single tests marked `slow`.
SLOW = ["test_quality", "test_training", "test_elbo_terms", "test_metrics", "test_sde"]
SLOW += ["test_training_replay", "test_sampler_race", "test_guidance_explorer", "test_sde_and_ode"]
SLOW += ["test_digits_samplers", "test_own_data"]
FIRST = ["test_every_explorer", "test_site", "test_faults", "test_pictures", "test_notebooks_in_lab", *SLOW]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker("slow")
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def progress_elsewhere(tmp_path_factory):
    """What exercises note down stays out of the checkout, and of the developer's own progress."""
    os.environ["DIFFUSION_LAB_PROGRESS"] = str(tmp_path_factory.mktemp("progress") / "progress.json")


@pytest.fixture(scope="session")
def chromium():
    """The path of an installed Chromium or Chrome. Missing: a failure under CI, a skip elsewhere."""
    from diffusion_lab.engine import pictures

    try:
        return pictures.chromium()
    except RuntimeError as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))


@pytest.fixture(scope="session")
def browser(chromium):
    """A headless Chromium for the session, as playwright's `Browser`: `page = browser.new_page()`."""
    from playwright.sync_api import sync_playwright

    from diffusion_lab.engine import pictures

    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=pictures.FLAGS)
        yield chrome
        chrome.close()


@pytest.fixture(scope="session")
def site():
    """The whole course as pages, made once: the folder in build/ is named after what it was made of."""
    made_of = [
        ROOT / "requirements.lock",
        *(ROOT / "diffusion_lab").rglob("*.*"),
        *(ROOT / "notebooks").rglob("*.*"),
    ]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(made_of):
        if path.is_file() and path.suffix != ".pyc" and ".ipynb_checkpoints" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    site = ROOT / "build" / f"site-{digest.hexdigest()[:12]}"
    if not site.exists():
        from diffusion_lab.export import export

        for old in site.parent.glob("site-*"):
            shutil.rmtree(old)
        export(site)
    return site


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory):
    """A JupyterLab as `make lab` starts it, over a copy of the course: `.url`, `.root`, `.log`."""
    home = tmp_path_factory.mktemp("jupyterlab")
    root, log = home / "course", home / "server.log"
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "lab.py", root)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    variables = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    variables += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    env = os.environ | {name: str(home / name.lower()) for name in variables}
    command = [sys.executable, root / "lab.py", "--no-browser", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", "--ServerApp.password="]
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=root, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        while server.poll() is None:
            try:
                urlopen(f"{url}/api/status", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("JupyterLab ended at once:\n" + log.read_text())
        yield SimpleNamespace(url=url, root=root, log=log)
        with urlopen(f"{url}/api/kernels") as answer:
            assert json.load(answer) == [], "a test leaves a kernel behind"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
