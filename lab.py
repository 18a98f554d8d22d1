"""Your own copy of the notebooks, and JupyterLab on it: what `make lab` runs. Without make: python lab.py

The folder notebooks/ is the course's: tested as it stands, and replaced by the next release. You work in
my_notebooks/ beside it, where links such as ../diffusion_lab/forward.py lead to the same place, and which git
ignores. At every start:

- what is missing there is copied: delete a notebook, and you get it afresh;
- what the release has changed and you have not is replaced;
- what you have changed, if only by running it, stays, and the release's comes beside it, as NAME.new.ipynb;
- nothing else is touched.

What the exercises note down, progress.json, lies there too.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
COURSE, MINE = ROOT / "notebooks", ROOT / "my_notebooks"
LEFT_OUT = ("source", "solutions")  # folders of the course that students do not get
KNOWN = ".copied.json"  # in the copy: file -> SHA-256 of the release's version that came last
SETTINGS = MINE / ".lab" / "overrides.json"  # JupyterLab's defaults here; one's own settings go before these
NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
OPTIONS = [
    f"--ServerApp.root_dir={ROOT}",
    f"--LabApp.default_url=/lab/tree/{MINE.name}/01_start_here.ipynb",
    f"--LabApp.app_settings_dir={SETTINGS.parent}",
]


def update(course: Path, mine: Path) -> list[str]:
    """Bring the copy `mine` up to the release in `course`; returns what was done, in words."""
    known, copied, replaced, said = read_known(mine / KNOWN), [], [], []
    for source in sorted(path for path in course.rglob("*") if path.is_file()):
        relative = source.relative_to(course)
        if any(part.startswith(".") or part == "__pycache__" for part in relative.parts):
            continue
        if relative.parts[0] in LEFT_OUT and len(relative.parts) > 1:
            continue
        data, target = source.read_bytes(), mine / relative
        name, new = relative.as_posix(), digest(data)
        if known.get(name) == new and target.exists():
            continue
        while target.exists() and content(target) not in (new, known.get(name)):  # the student's
            target = target.with_name(f"{target.stem}.new{target.suffix}")
            name = target.relative_to(mine).as_posix()
        if name != relative.as_posix():
            said.append(f"{relative} has changes of yours and stays; the new release's is beside it: {name}")
        elif not target.exists():
            copied.append(name)
        elif content(target) != new:
            replaced.append(name)
        if not target.exists() or content(target) != new:
            write(target, data)
        known[relative.as_posix()] = known[name] = new
    if copied:
        said.insert(0, f"copied: {', '.join(copied)}")
    if replaced:
        said.insert(0, f"replaced by the new release's, as you had not changed them: {', '.join(replaced)}")
    if known != read_known(mine / KNOWN):
        write(mine / KNOWN, json.dumps(known, indent=1, sort_keys=True).encode())
    return said


def read_known(path: Path) -> dict:
    """What `update` noted down; nothing if that is broken, and then all that differs is the student's."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content(path: Path) -> str:
    """The digest of what is at `path`; of a folder, none."""
    return digest(path.read_bytes()) if path.is_file() else ""


def write(path: Path, data: bytes) -> None:
    """Write a file, all at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    os.replace(part, path)


def main(arguments: list[str]) -> None:
    """Update the copy, say so, and open JupyterLab on it; `arguments` are for JupyterLab."""
    for line in update(COURSE, MINE):
        print(f"{MINE.name}: {line}", flush=True)
    write(SETTINGS, json.dumps(NO_NEWS).encode())  # or a question about news covers the first figure
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's idle threads sleep instead of spinning
    os.environ.setdefault("DIFFUSION_LAB_PROGRESS", str(MINE / "progress.json"))
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    from jupyterlab.labapp import main as jupyterlab

    jupyterlab([*root, *OPTIONS, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
