"""Run the notebooks, clean them, and watch their memory.

    python tests/nbtools.py [NOTEBOOK ...]      make them from their sources, run, store (all by default)
    pytest -p tests.nbtools --nbval notebooks   nbval, and a kernel that outgrows LIMIT_MB fails its cell

A notebook is stored in one form, so that running it twice leaves no difference: outputs, execution counts and
tags, and none of the random ids, timings, widget states and kernel names of the machine it was written on.
Each explorer is stored with a picture of itself, for pages where nothing runs.
"""

import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LIMIT_MB = 700
WIDGET = "application/vnd.jupyter.widget-view+json"  # a random id; without its kernel it shows nothing anyway
# Asks the kernel for the explorer that has this id ("" for another widget). It leaves no name behind. It does
# not print: the client takes seconds to look for carriage returns in so long a line.
FRAGMENT = """__import__("IPython").display.display({{"text/html": getattr(
    __import__("ipywidgets").widgets.widget._instances["{}"], "to_fragment", lambda _: ""
)(())}}, raw=True)"""
PROGRESS = "DIFFUSION_LAB_PROGRESS"  # where exercises note what was tried: here, a file that nobody keeps
WIDTH, SCALE = 900, 1.25  # of a picture: CSS pixels, and dots to each


def clean(nb):
    """Bring `nb` into the form in which it is stored, in place; returns it."""
    nb.nbformat, nb.nbformat_minor = 4, 5
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3", "version": "3"},
        }
    )
    for i, cell in enumerate(nb.cells):
        cell.setdefault("id", f"cell-{i}")
        for key in set(cell.metadata) - {"tags", "jupyter"}:
            del cell.metadata[key]
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
            cell.outputs = [o for o in cell.outputs if o.get("data", True)]
    return nb


def dumps(nb):
    """The text of a notebook as it is stored: sorted keys, one newline at the end."""
    return nbformat.writes(nb, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def peak_mb(pid):
    """The most memory the process has held so far, in MB (on macOS: what it holds now)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        memory = psutil.Process(pid).memory_info()
        return getattr(memory, "peak_wset", memory.rss) / 2**20


def fragments(client, cell):
    """(output, HTML fragment) of every explorer that `cell` shows, as it stands after the cell."""
    for output in [o for o in cell.outputs if WIDGET in o.get("data", {})]:
        ask = nbformat.v4.new_code_cell(FRAGMENT.format(output.data[WIDGET]["model_id"]))
        client.nb.cells.append(ask)  # the client wants its cells in the notebook
        client.execute_cell(ask, len(client.nb.cells) - 1, store_history=False)
        client.nb.cells.pop()
        answers = [o.data["text/html"] for o in ask.outputs if "text/html" in o.get("data", {})]
        if fragment := answers[0]:  # beside it there may be a progress bar
            yield output, fragment


def add_pictures(shown):
    """Put a picture of each explorer beside its text: `shown` holds what `fragments` gives."""
    from diffusion_lab.engine import pictures  # not above: torch, which nbval's processes can do without

    outputs, pages = zip(*shown, strict=True)
    caption = "a picture: run the cell to move it"
    taken = pictures.stills(pages, scale=SCALE, width=WIDTH, caption=caption)
    for output, picture in zip(outputs, taken, strict=True):
        output.data["image/png"] = base64.b64encode(pictures.png(picture)).decode() + "\n"
        output.metadata["image/png"] = {"width": WIDTH}


def to_run(path):
    """The student's notebook as its source says; of one without a source, what is stored."""
    import building  # not above: it needs the package, which nbval's processes can do without

    source = path.parent / "source" / f"{path.stem}.md"
    return building.student(building.read_source(source)) if source.exists() else nbformat.read(path, 4)


def picture_in(output):
    """The picture stored in an output."""
    return Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))


def run(path):
    """Execute the notebook at `path` in a fresh kernel; it is replaced only once every cell has succeeded.

    If it has a source, it is first made from that.
    """
    nb, start, count, shown = to_run(path), time.perf_counter(), 0, []
    client = NotebookClient(
        nb,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],  # errors only
    )
    print(f"{path.name} ", end="", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        client.setup_kernel(env=os.environ | {PROGRESS: f"{folder}/p.json"}),
    ):
        for i, cell in enumerate(list(nb.cells)):
            if cell.cell_type != "code":
                continue
            count += 1
            try:
                client.execute_cell(cell, i)
                shown += fragments(client, cell)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise RuntimeError(f"code cell {count} (cell {i + 1} of all) failed\n{error}") from error
            print(".", end="", flush=True)
        peak = peak_mb(client.km.provisioner.pid)
    if shown:
        add_pictures(shown)
    part = path.with_name(f".{path.name}.part")
    part.write_text(dumps(clean(nb)), encoding="utf-8")
    os.replace(part, path)
    print(f" {time.perf_counter() - start:.1f} s, peak {peak:.0f} MB")
    if peak > LIMIT_MB:
        raise RuntimeError(f"its kernel held {peak:.0f} MB, more than the {LIMIT_MB} MB allowed")


def main(paths):
    """Run each notebook; the number of those that failed."""
    failed = 0
    every = [NOTEBOOKS / f"{source.stem}.ipynb" for source in sorted(NOTEBOOKS.glob("source/*.md"))]
    for path in [Path(p).resolve() for p in paths] or every:
        try:
            run(path)
        except Exception as error:  # one notebook's trouble must not hide the next one's
            failed += 1
            print(f"\n{path.name}: {error}", file=sys.stderr)
    return failed


# nbval: share the cores among the workers (before a kernel starts), and look at each kernel after each cell


def pytest_configure(config):
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    os.environ[PROGRESS] = f"{folder.name}/progress.json"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    os.environ[PROGRESS] = str(Path(os.environ[PROGRESS]).with_name(f"{item.path.stem}.json"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    kernel = getattr(item.parent, "kernel", None)
    if kernel is not None and kernel.is_alive():
        peak = peak_mb(kernel.km.provisioner.pid)
        item.user_properties.append(("peak_mb", peak))
        if peak > LIMIT_MB and not getattr(kernel, "too_big", False):
            kernel.too_big = True  # said once, of the cell that did it
            pytest.fail(f"the kernel has held {peak:.0f} MB by now; {LIMIT_MB} MB are allowed", pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter):
    peaks, seconds = {}, {}
    reports = (report for category in terminalreporter.stats.values() for report in category)
    for report in (r for r in reports if hasattr(r, "duration")):
        name = report.nodeid.split("::")[0]
        seconds[name] = seconds.get(name, 0.0) + report.duration
        peaks[name] = max([peaks.get(name, 0.0), *(v for k, v in report.user_properties if k == "peak_mb")])
    terminalreporter.section("time and peak memory of each kernel")
    for name in sorted(peaks):
        terminalreporter.write_line(f"{name}: {seconds[name]:.1f} s, {peaks[name]:.0f} MB")


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
