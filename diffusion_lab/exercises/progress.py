"""What was tried, noted in one small local file, and how far one has come.

The file is ``progress.json`` in the current folder, or what the environment variable DIFFUSION_LAB_PROGRESS
names. It has a row for each exercise that was tried::

    {"closed_form": {"tries": 3, "mistakes": {"wrong sign": 2}, "last_mistake": "wrong sign",
                     "first_passed": "2026-02-03"}}

Several notebooks may write at once: each holds a lock meanwhile, and the file is replaced as a whole.
Whatever is wrong with the file or its folder, a check goes on, and one warning says what it was.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .report import COLORS, SIGNS, Report
from .topics import catalogue

FILE, VARIABLE = "progress.json", "DIFFUSION_LAB_PROGRESS"
SECONDS = 5.0  # to wait for the lock, which others hold for a few milliseconds
TROUBLE = (OSError, NotImplementedError)  # the second from file systems without locks


@dataclass(frozen=True)
class Tried:
    """What is known of one exercise.

    :ivar tries: how often something written was checked.
    :ivar mistakes: name of a mistake -> how often it was seen.
    :ivar last_mistake: the last one that had a name.
    :ivar first_passed: the day on which it was first right, such as "2026-02-03".
    """

    tries: int = 0
    mistakes: dict[str, int] = field(default_factory=dict)
    last_mistake: str | None = None
    first_passed: str | None = None

    @property
    def state(self) -> str:
        """The sign that it gets: "right" (once is enough), "wrong" or "open"."""
        return "right" if self.first_passed else "wrong" if self.tries else "open"

    @property
    def said(self) -> list[str]:
        """The number of tries and the last mistake, in words; of what was never tried, nothing."""
        tries = [f"{self.tries} {'try' if self.tries == 1 else 'tries'}"] if self.tries else []
        return tries + ([f"last mistake: {self.last_mistake}"] if self.last_mistake else [])

    def after(self, report: Report) -> Tried:
        """What is known after one more try."""
        tried = replace(self, tries=self.tries + 1)
        if report.passed and not self.first_passed:
            tried = replace(tried, first_passed=date.today().isoformat())
        if report.mistake:
            mistakes = self.mistakes | {report.mistake: self.mistakes.get(report.mistake, 0) + 1}
            tried = replace(tried, mistakes=mistakes, last_mistake=report.mistake)
        return tried


@dataclass(frozen=True)
class Progress:
    """How far one has come: as text and as HTML a short table, with numbers to go on with.

    :ivar notebooks: notebook -> name of an exercise -> what is known of it, in the order of the course.
    :ivar notebook: the one that was asked for, whose exercises are then shown one by one; else None.
    """

    notebooks: dict[str, dict[str, Tried]]
    notebook: str | None = None

    @property
    def solved(self) -> int:
        """How many exercises were right at least once."""
        return sum(tried.state == "right" for row in self.notebooks.values() for tried in row.values())

    @property
    def total(self) -> int:
        """How many exercises there are."""
        return sum(map(len, self.notebooks.values()))

    @property
    def score(self) -> float:
        """The solved part of them all, from 0.0 to 1.0. It is what the file says: to grade, see ``score``."""
        return self.solved / max(self.total, 1)

    def __str__(self) -> str:
        lines: list[list[str]] = []
        for notebook, row in self.notebooks.items():
            open_ = [name for name, tried in row.items() if tried.state != "right"]
            lines.append([notebook, solved(row), f"open: {', '.join(open_)}" if open_ else ""])
            if self.notebook:
                lines[0].pop()
                lines += [[f"{SIGNS[tried.state]} {name}", *tried.said] for name, tried in row.items()]
        if not self.notebook:
            lines.append(["together", f"{self.solved} of {self.total}"])
        cells = [(*line, "", "")[:3] for line in lines]
        first, second = (max(len(line[n]) for line in cells) for n in (0, 1))
        return "\n".join(f"{a:<{first}}   {b:<{second}}   {c}".rstrip() for a, b, c in cells)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        lines: list[list[str]] = []
        for notebook, row in self.notebooks.items():
            marks = [marked(name, tried) for name, tried in row.items()]
            lines.append([f"<b>{html.escape(notebook)}</b>", solved(row), " &nbsp; ".join(marks)])
            if self.notebook:
                lines[0].pop()
                said = [map(html.escape, tried.said) for tried in row.values()]
                lines += [[mark, *words] for mark, words in zip(marks, said, strict=True)]
        if not self.notebook:
            lines.append(["<b>together</b>", f"{self.solved} of {self.total}"])
        style = "text-align: left; padding: 2px 16px 2px 0"
        cells = [[f'<td style="{style}">{cell}</td>' for cell in (*line, "", "")[:3]] for line in lines]
        return f"<table>{''.join('<tr>' + ''.join(line) + '</tr>' for line in cells)}</table>"


def solved(row: dict[str, Tried]) -> str:
    """How many of a notebook's exercises are solved, in words."""
    return f"{sum(tried.state == 'right' for tried in row.values())} of {len(row)}"


def marked(name: str, tried: Tried) -> str:
    """An exercise and its sign, as HTML."""
    return f'<span style="color: {COLORS[tried.state]}">{SIGNS[tried.state]}</span> {html.escape(name)}'


def course(notebook: str | None = None) -> dict[str, list[str]]:
    """The exercises of one notebook, or of all: notebook -> names, in the order of the course.

    :raises ValueError: if no exercise belongs to such a notebook.
    """

    found: dict[str, list[str]] = {}
    for name, exercise in catalogue().items():
        found.setdefault(exercise.notebook, []).append(name)
    if notebook is not None and notebook not in found:
        raise ValueError(f"notebook must be one with exercises ({', '.join(found)}); got {notebook!r}")
    return found if notebook is None else {notebook: found[notebook]}


def progress(notebook: str | None = None) -> Progress:
    """How far one has come, in one notebook (such as "03_forward") or in all.

    :raises ValueError: if no exercise belongs to such a notebook.
    """
    wanted, path = course(notebook), place()
    known: dict[str, Tried] = {}
    try:
        if path.exists():
            with locked(path):
                known = read(path)
    except TROUBLE as error:
        say_once(f"What was tried cannot be read from {path}: {reason(error)}.")
    tried = {name: {one: known.get(one, Tried()) for one in names} for name, names in wanted.items()}
    return Progress(tried, notebook)


def record(report: Report) -> None:
    """Note that an exercise was tried. Where nothing was written yet, there is nothing to note."""
    if report.open:
        return
    path = place()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            known = read(path)
            known[report.name] = known.get(report.name, Tried()).after(report)
            write(path, known)
    except TROUBLE as error:
        say_once(f"You can go on, but progress is not noted in {path}: {reason(error)}.")


def place() -> Path:
    """Where the file is."""
    return Path(os.environ.get(VARIABLE) or FILE)


def hidden(path: Path, ending: str) -> Path:
    """A file beside `path` that folders do not list."""
    return path.with_name(f".{path.name}.{ending}")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, against other threads and other processes.

    :raises OSError: if that takes longer than SECONDS, or cannot be done here.
    """
    with FileLock(hidden(path, "lock")).acquire(timeout=SECONDS, poll_interval=0.01):
        yield


def read(path: Path) -> dict[str, Tried]:
    """What was noted, under the lock; a file that is broken is kept beside it, under another name."""
    try:
        rows = json.loads(path.read_text("utf-8"))
        return {name: tried(row) for name, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        beside, n = path.with_name(f"{path.stem}.broken{path.suffix}"), 1
        while beside.exists():
            n += 1
            beside = path.with_name(f"{path.stem}.broken.{n}{path.suffix}")
        path.rename(beside)
        say_once(f"{path} was broken. It is kept as {beside.name}, and a new one begins.")
        return {}


def tried(row: dict[str, Any]) -> Tried:
    """One row of the file."""
    mistakes = {str(name): int(count) for name, count in row["mistakes"].items()}
    last, first = (None if row[key] is None else str(row[key]) for key in ("last_mistake", "first_passed"))
    return Tried(int(row["tries"]), mistakes, last, first)


def write(path: Path, known: dict[str, Tried]) -> None:
    """Replace the file, all at once or not at all; under the lock."""
    part = hidden(path, "part")
    part.write_text(json.dumps({name: asdict(row) for name, row in known.items()}, indent=1) + "\n", "utf-8")
    os.replace(part, path)


def reason(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, Timeout):
        return "another program holds the lock"
    return getattr(error, "strerror", None) or str(error)


@cache
def say_once(sentence: str) -> None:
    """Warn, unless that was said before."""
    warnings.warn(sentence, stacklevel=3)
