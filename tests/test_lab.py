"""The student's copy of the notebooks (lab.py): what each start does to it, and that nothing else notices."""

import importlib.util
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbtools import ROOT

spec = importlib.util.spec_from_file_location("lab", ROOT / "lab.py")
lab = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lab)


class Course:
    """A course of three files, as released, and the student's copy of it."""

    def __init__(self, folder):
        self.course, self.mine = folder / "notebooks", folder / "my_notebooks"
        self.release(**{"00_a.ipynb": "a1", "01_b.ipynb": "b1", "images/c.png": "c1"})

    def release(self, **files):
        for name, text in files.items():
            path = self.course / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def write(self, name, text):
        (self.mine / name).write_text(text)

    def start(self):
        """What a start says."""
        return lab.update(self.course, self.mine)

    def files(self):
        """All files of the copy but the list of what was copied: name -> text."""
        found = {p.relative_to(self.mine).as_posix(): p for p in self.mine.rglob("*") if p.is_file()}
        return {name: path.read_text() for name, path in sorted(found.items()) if name != lab.KNOWN}


@pytest.fixture
def course(tmp_path):
    course = Course(tmp_path)
    assert course.start() == ["copied: 00_a.ipynb, 01_b.ipynb, images/c.png"]
    return course


def test_the_first_start_copies_all_that_is_not_hidden(course):
    assert course.files() == {"00_a.ipynb": "a1", "01_b.ipynb": "b1", "images/c.png": "c1"}
    course.release(**{".hidden": "h", ".ipynb_checkpoints/a.ipynb": "h", "__pycache__/x.pyc": "h"})
    assert course.start() == [] and len(course.files()) == 3


def test_sources_and_solutions_are_not_for_students(course):
    left_out = ["source/00_a.md", "source/images/c.png", "solutions/00_a.ipynb"]
    course.release(**dict.fromkeys([*left_out, "images/source/d.png", "solutions.ipynb"], "s"))
    assert course.start() == ["copied: images/source/d.png, solutions.ipynb"]
    assert not (course.mine / "source").exists() and not (course.mine / "solutions").exists()


@pytest.mark.parametrize("set_before", [None, "/elsewhere/progress.json"])
def test_what_exercises_note_lies_in_the_students_folder(tmp_path, monkeypatch, set_before):
    """JupyterLab's kernels inherit the variable; whoever has set it keeps it."""
    mine, seen = tmp_path / "my_notebooks", []
    for name, value in (("COURSE", tmp_path), ("MINE", mine), ("SETTINGS", mine / ".lab" / "a.json")):
        monkeypatch.setattr(lab, name, value)
    monkeypatch.setattr("jupyterlab.labapp.main", lambda _: seen.append(os.environ["DIFFUSION_LAB_PROGRESS"]))
    monkeypatch.setenv("DIFFUSION_LAB_PROGRESS", set_before or "")
    if not set_before:
        monkeypatch.delenv("DIFFUSION_LAB_PROGRESS")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    lab.main([])
    assert seen == [set_before or str(mine / "progress.json")]


def test_the_second_start_writes_nothing(course):
    before = {path: path.stat().st_mtime_ns for path in course.mine.rglob("*")}
    course.write("00_a.ipynb", "mine")
    before[course.mine / "00_a.ipynb"] = (course.mine / "00_a.ipynb").stat().st_mtime_ns
    assert course.start() == []
    assert {path: path.stat().st_mtime_ns for path in course.mine.rglob("*")} == before


def test_a_new_release_replaces_what_was_not_changed_and_adds_what_is_new(course):
    course.release(**{"00_a.ipynb": "a2", "02_d.ipynb": "d1"})
    said = course.start()
    assert said == [
        "replaced by the new release's, as you had not changed them: 00_a.ipynb",
        "copied: 02_d.ipynb",
    ]
    assert course.files() == {
        "00_a.ipynb": "a2",
        "01_b.ipynb": "b1",
        "02_d.ipynb": "d1",
        "images/c.png": "c1",
    }
    assert course.start() == []


def test_what_was_changed_stays_and_the_new_release_comes_beside_it(course):
    course.write("00_a.ipynb", "mine")
    course.release(**{"00_a.ipynb": "a2"})
    assert course.start() == [
        "00_a.ipynb has changes of yours and stays; the new release's is beside it: 00_a.new.ipynb"
    ]
    assert course.files()["00_a.ipynb"] == "mine" and course.files()["00_a.new.ipynb"] == "a2"
    assert course.start() == []
    (course.mine / "00_a.new.ipynb").unlink()  # looked at, and not wanted: it does not come again
    assert course.start() == [] and "00_a.new.ipynb" not in course.files()


def test_what_lies_beside_follows_the_releases_until_it_is_changed_too(course):
    course.write("00_a.ipynb", "mine")
    for release in ("a2", "a3"):
        course.release(**{"00_a.ipynb": release})
        course.start()
    assert course.files()["00_a.new.ipynb"] == "a3"
    course.write("00_a.new.ipynb", "mine, too")
    course.release(**{"00_a.ipynb": "a4"})
    assert "beside it: 00_a.new.new.ipynb" in course.start()[0]
    texts = [course.files()[f"00_a{new}.ipynb"] for new in ("", ".new", ".new.new")]
    assert texts == ["mine", "mine, too", "a4"]


def test_whoever_has_the_new_release_already_gets_it_no_second_time(course):
    course.write("00_a.ipynb", "a2")
    course.release(**{"00_a.ipynb": "a2"})
    assert course.start() == [] and len(course.files()) == 3
    course.release(**{"00_a.ipynb": "a3"})  # and it counts as not changed
    course.start()
    assert course.files()["00_a.ipynb"] == "a3" and len(course.files()) == 3


def test_what_was_deleted_comes_afresh(course):
    course.write("00_a.ipynb", "mine")
    (course.mine / "00_a.ipynb").rename(course.mine / "my attempt.ipynb")
    assert course.start() == ["copied: 00_a.ipynb"]
    assert course.files()["00_a.ipynb"] == "a1" and course.files()["my attempt.ipynb"] == "mine"


def test_files_that_no_release_brought_are_never_touched(course):
    course.write("02_d.ipynb", "my own")
    (course.mine / "03_e.ipynb").mkdir()
    (course.course / "01_b.ipynb").unlink()  # given up by the release
    course.release(**{"02_d.ipynb": "d1", "03_e.ipynb": "e1"})
    course.start()
    assert course.files() == {
        "00_a.ipynb": "a1",
        "01_b.ipynb": "b1",
        "02_d.ipynb": "my own",
        "02_d.new.ipynb": "d1",
        "03_e.new.ipynb": "e1",
        "images/c.png": "c1",
    }


@pytest.mark.parametrize("broken", [None, b"", b"{", b"\xff\xfe", b"[1]", b'{"00_a.ipynb": 3}'])
def test_a_broken_list_costs_nobody_their_work(course, broken):
    course.write("00_a.ipynb", "mine")
    course.release(**{"01_b.ipynb": "b2"})
    (course.mine / lab.KNOWN).unlink()
    if broken is not None:
        (course.mine / lab.KNOWN).write_bytes(broken)
    course.start()
    files = course.files()
    assert files["00_a.ipynb"] == "mine" and files["00_a.new.ipynb"] == "a1"
    assert files["01_b.ipynb"] == "b1" and files["01_b.new.ipynb"] == "b2"  # perhaps the student's: who knows
    assert course.start() == []


def test_stopped_half_way_it_goes_on(course, monkeypatch):
    """A file is there whole or not at all, and whatever came before the stop is known again."""
    course.release(**{"00_a.ipynb": "a2", "01_b.ipynb": "b2"})
    replace, done = os.replace, []

    def stops(part, path):
        if done:
            raise KeyboardInterrupt
        done.append(replace(part, path))

    with monkeypatch.context() as patch:
        patch.setattr(lab.os, "replace", stops)
        with pytest.raises(KeyboardInterrupt):
            course.start()
    assert (course.mine / "00_a.ipynb").read_text() == "a2"
    assert (course.mine / "01_b.ipynb").read_text() == "b1"
    course.start()
    whole = {name: text for name, text in course.files().items() if name[0] != "."}
    assert whole == {"00_a.ipynb": "a2", "01_b.ipynb": "b2", "images/c.png": "c1"}


def test_the_course_itself():
    """What a student gets on the first day; the folder's name stands in every place that must know it."""
    name = lab.MINE.name
    assert lab.MINE.parent == lab.COURSE.parent == ROOT  # ../diffusion_lab/… leads to the same place
    assert f"/{name}/" in (ROOT / ".gitignore").read_text().split()
    for place in ("README.md", "Makefile", "pyproject.toml"):
        assert name in (ROOT / place).read_text("utf-8"), place
    first = next(option for option in lab.OPTIONS if "default_url" in option).rpartition("/")[2]
    assert (lab.COURSE / first).is_file()


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_working_changes_neither_git_nor_lint_nor_tests(tmp_path):
    """A notebook run and saved, a test of one's own: neither git, nor ruff, nor pytest sees them."""

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for name in (".gitignore", "pyproject.toml", "lab.py"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("notebooks", "tests"):
        (tmp_path / folder).mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "notebooks" / "00_a.ipynb")
    (tmp_path / "tests" / "test_course.py").write_text("def test_it():\n    pass\n")
    run("git", "init", "-q")
    run("git", "add", ".")
    run("git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "release")

    mine = tmp_path / "my_notebooks"
    lab.update(tmp_path / "notebooks", mine)
    badly = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import sys, os; x=1")])
    nbformat.write(badly, mine / "00_a.ipynb")
    (mine / "test_mine.py").write_text("import os, sys; x=1\ndef test_mine(): assert False\n")
    (mine / ".ipynb_checkpoints").mkdir()
    for name in ("progress.json", "progress.broken.json", "progress.broken.2.json", ".progress.json.lock"):
        (tmp_path / "notebooks" / name).write_text("{}")  # of whoever runs the course's own notebooks

    assert run("git", "status", "--porcelain") == ""
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")
    shutil.rmtree(tmp_path / ".git")  # an archive without git: ruff has pyproject.toml to go by
    run(sys.executable, "-m", "ruff", "check", ".")
    found = run(sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
    assert "tests/test_course.py::test_it" in found and "mine" not in found
