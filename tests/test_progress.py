"""What exercises note down, what is shown of it, and what graders get."""

import html
import json
import re
import subprocess
import sys
import threading
import types
import warnings
from datetime import date
from importlib import import_module
from types import SimpleNamespace

import pytest
from filelock import FileLock

from diffusion_lab import exercises
from diffusion_lab.exercises.exercise import Exercise
from diffusion_lab.exercises.grading import otter_tests, score
from diffusion_lab.exercises.progress import progress, record
from diffusion_lab.exercises.report import Report

module = import_module("diffusion_lab.exercises.progress")  # the package has a function of that name
COURSE = {"jump": "03_forward", "step": "03_forward", "bound": "12_elbo"}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A course of three exercises, and a folder of one's own."""
    course = {name: SimpleNamespace(notebook=notebook) for name, notebook in COURSE.items()}
    monkeypatch.setattr(module, "catalogue", lambda: course)
    monkeypatch.setenv("DIFFUSION_LAB_PROGRESS", str(tmp_path / "mine" / "progress.json"))
    module.say_once.cache_clear()
    return tmp_path / "mine" / "progress.json"


def right(name="jump"):
    record(Report(name, True, None, "Right."))


def wrong(name="jump", mistake="wrong sign"):
    record(Report(name, False, mistake, "Wrong."))


def noted(file, name="jump"):
    return json.loads(file.read_text())[name]


# what is noted


def test_a_try_is_noted_with_its_mistake(file):
    wrong()
    wrong(mistake="shape")
    wrong()
    wrong(mistake=None)
    mistakes = {"wrong sign": 2, "shape": 1}
    assert noted(file) == {
        "tries": 4,
        "mistakes": mistakes,
        "last_mistake": "wrong sign",
        "first_passed": None,
    }


def test_once_right_is_right_for_good(file):
    right()
    days = [noted(file)["first_passed"]]
    assert date.fromisoformat(days[0])
    rows = json.loads(file.read_text())
    rows["jump"]["first_passed"] = "2001-02-03"  # long ago
    file.write_text(json.dumps(rows))
    wrong()
    right()
    assert noted(file)["first_passed"] == "2001-02-03" and noted(file)["tries"] == 3
    assert progress().solved == 1


def test_what_is_open_is_no_try(file):
    record(Report("jump", False, None, "Nothing is written yet.", open=True))
    assert not file.parent.exists()


def test_rows_of_exercises_that_the_course_no_longer_has_are_kept(file):
    right("given_up")
    wrong()
    assert noted(file, "given_up")["first_passed"] and progress().total == 3 and progress().solved == 0


def test_without_the_variable_it_is_the_current_folder(file, tmp_path, monkeypatch):
    monkeypatch.delenv("DIFFUSION_LAB_PROGRESS")
    monkeypatch.chdir(tmp_path)
    right()
    assert noted(tmp_path / "progress.json")["tries"] == 1 and not file.exists()


def test_only_the_file_is_to_be_seen(file):
    progress()
    assert not file.parent.exists()  # who only looks leaves nothing behind
    right()
    assert [path.name for path in file.parent.iterdir() if not path.name.startswith(".")] == [file.name]


# several at once

HAMMER = """
import sys
from importlib import import_module
from diffusion_lab.exercises.report import Report
module = import_module("diffusion_lab.exercises.progress")
module.SECONDS = 300.0  # a slow machine makes this slower, and nothing else
print(flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[2])):
    module.record(Report("jump", False, sys.argv[1] if n % 2 else None, ""))
    module.record(Report(sys.argv[1], n == 0, None, ""))
"""


@pytest.mark.slow  # two processes import torch
def test_two_processes_lose_nothing(file):
    """Both start to write at the same time; afterwards all counts add up."""
    times, pipe = 60, subprocess.PIPE
    commands = [[sys.executable, "-c", HAMMER, name, str(times)] for name in ("step", "bound")]
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for command in commands]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
        assert process.returncode == 0
    half = times // 2
    assert noted(file)["tries"] == 2 * times and noted(file)["mistakes"] == {"step": half, "bound": half}
    for name in ("step", "bound"):
        assert noted(file, name)["tries"] == times and noted(file, name)["first_passed"]


def test_threads_lose_nothing(file, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 300.0)
    threads = [threading.Thread(target=lambda: [wrong() for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert noted(file)["tries"] == noted(file)["mistakes"]["wrong sign"] == 100


def test_a_write_that_is_stopped_leaves_the_old_file(file, monkeypatch):
    def stops(part, path):
        raise KeyboardInterrupt

    right()
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", stops)
        with pytest.raises(KeyboardInterrupt):
            wrong()
    assert noted(file)["tries"] == 1
    wrong()
    assert noted(file)["tries"] == 2


# trouble: said once, and nothing stops for it


def once(*actions):
    """The one warning that comes of all the actions together."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for action in actions:
            action()
    (warning,) = caught
    return str(warning.message)


ROW = {"tries": 1, "mistakes": {}, "last_mistake": None, "first_passed": None}
BROKEN = [b"", b"{", b"\xff\xfe", b"[1]", b"3", b'{"jump": 3}', b"[" * 100_000]
BROKEN += [
    json.dumps({"jump": ROW | change}).encode() for change in ({"tries": "some"}, {"mistakes": ["sign"]})
]
BROKEN += [json.dumps({"jump": {"tries": 1}}).encode()]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_kept_beside_and_a_new_one_begins(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    said = once(wrong, wrong)
    assert "progress.json was broken" in said and "kept as progress.broken.json" in said
    assert file.with_name("progress.broken.json").read_bytes() == content
    assert noted(file)["tries"] == 2


def test_whoever_looks_first_finds_the_broken_file(file):
    file.parent.mkdir()
    file.write_bytes(b"{")
    assert "broken" in once(progress, progress)
    assert progress().solved == 0 and file.with_name("progress.broken.json").exists()


def test_a_second_broken_file_does_not_replace_the_first(file):
    file.parent.mkdir()
    for content in (b"one", b"two", b"three"):
        file.write_bytes(content)
        assert "kept as progress.broken" in once(progress)
    contents = [file.with_name(f"progress.broken{n}.json").read_bytes() for n in ("", ".2", ".3")]
    assert contents == [b"one", b"two", b"three"]


def test_a_folder_that_is_none(file):
    """A stand-in for one that cannot be written to, which those who may do everything do not know."""
    file.parent.write_text("a file")
    said = once(right, wrong)
    assert said.startswith("You can go on, but progress is not noted in ") and str(file) in said
    assert progress().solved == 0


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), NotImplementedError("no locks")])
def test_a_folder_without_permission(file, monkeypatch, error):
    def refuses(part, path):
        raise error

    right()
    monkeypatch.setattr(module.os, "replace", refuses)
    assert ("Permission denied" if isinstance(error, OSError) else "no locks") in once(wrong, wrong)
    assert noted(file)["tries"] == 1 and progress().solved == 1


def test_a_file_that_cannot_be_read(file):
    file.mkdir(parents=True)
    assert "cannot be read" in once(progress, progress)
    assert "not noted" in once(right, right)


def test_a_lock_that_does_not_come_free(file, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)
    right()
    with FileLock(file.with_name(".progress.json.lock")):
        assert "another program holds the lock" in once(wrong, wrong)
    wrong()
    assert noted(file)["tries"] == 2


# what is shown


def test_the_course_as_text(file):
    nothing = "03_forward   0 of 2   open: jump, step\n12_elbo      0 of 1   open: bound\ntogether     0 of 3"
    assert str(progress()) == repr(progress()) == nothing
    wrong()
    assert str(progress()) == nothing
    right("step")
    right("bound")
    assert str(progress()) == (
        "03_forward   1 of 2   open: jump\n"
        "12_elbo      1 of 1\n"
        "together     2 of 3"
    )  # fmt: skip


def test_a_notebook_as_text(file):
    assert str(progress("12_elbo")) == "12_elbo   0 of 1\n○ bound"
    wrong()
    wrong(mistake=None)
    right("step")
    assert str(progress("03_forward")) == (
        "03_forward   1 of 2\n"
        "✗ jump       2 tries   last mistake: wrong sign\n"
        "✓ step       1 try"
    )  # fmt: skip


@pytest.mark.parametrize("notebook", [None, "03_forward"])
def test_the_html_says_the_same(file, notebook):
    wrong(mistake="<b> & co")
    right("step")
    source = progress(notebook)._repr_html_()
    assert source.startswith("<table>") and source.count("<tr>") == source.count("</tr>") == 3
    assert source.count("<td") == source.count("</td>") == 9 and "<b> & co" not in source
    rows = [re.sub("<[^>]*>", " ", row).split() for row in source.split("</tr>")]
    said = [html.unescape(" ".join(row)).replace("\xa0", "").split() for row in rows]
    if notebook:
        assert said[:-1] == [line.split() for line in str(progress(notebook)).splitlines()]
    else:
        assert said[0] == "03_forward 1 of 2 ✗ jump ✓ step".split()
        assert said[1] == "12_elbo 0 of 1 ○ bound".split() and said[2] == "together 1 of 3".split()


def test_numbers(file):
    right("step")
    assert (progress().solved, progress().total) == (1, 3) and progress().score == 1 / 3
    assert progress("03_forward").score == 0.5 and progress("12_elbo").score == 0.0


@pytest.mark.parametrize("notebook", ["03", "", 3])
def test_a_notebook_without_exercises(file, notebook, tmp_path):
    for function in (progress, lambda name: otter_tests(tmp_path / "otter", name)):
        with pytest.raises(ValueError, match=r"notebook must .*03_forward, 12_elbo.*got " + repr(notebook)):
            function(notebook)
    assert not (tmp_path / "otter").exists()


# graders


@pytest.fixture
def closed_form():
    """The first exercise of notebook 03, its solution, and a wrong one."""
    exercise = exercises.exercise("closed_form")
    assert isinstance(exercise, Exercise)
    return exercise.solution


def negative(function):
    return lambda *arguments: -function(*arguments)


def noisy(function):
    def says(*arguments):
        print("this, or a warning", file=sys.stderr)
        return function(*arguments)

    return says


def test_points_for_nbgrader(closed_form, capfd, monkeypatch, tmp_path):
    """It takes the text of a cell's value as a float, and gives nothing where anything went to stderr."""
    monkeypatch.setenv("DIFFUSION_LAB_PROGRESS", str(tmp_path / "progress.json"))
    functions = closed_form, noisy(closed_form), negative(closed_form), lambda *_: None, None
    points = [repr(3 * score("closed_form", function)) for function in functions]
    assert points == ["3.0", "3.0", "0.0", "0.0", "0.0"]
    assert capfd.readouterr().err == "" and not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="closed"):
        score("no_such_exercise", closed_form)


class Case:
    """`otter.test_files.test_case` as far as it is documented: it keeps the function and its points."""

    def __init__(self, name=None, points=None, hidden=False, success_message=None, failure_message=None):
        self.name, self.points, self.hidden = name, points, hidden

    def __call__(self, function):
        self.function = function
        return self


@pytest.fixture
def otter(monkeypatch):
    """Otter-Grader, where it is installed; else the one class of it that test files import."""
    try:
        from otter.test_files import test_case
    except ImportError:
        test_case = Case
        fake = types.ModuleType("otter.test_files")
        fake.test_case = test_case
        monkeypatch.setitem(sys.modules, "otter", types.ModuleType("otter"))
        monkeypatch.setitem(sys.modules, "otter.test_files", fake)
    return test_case


def test_one_otter_file_for_each_exercise(tmp_path, otter):
    """An exception-based test file: OK_FORMAT, name, points, and cases that are decorated functions."""
    files = otter_tests(tmp_path / "tests")
    assert [path.name for path in files] == [f"{name}.py" for name in exercises.names()]
    assert sorted(files) == sorted((tmp_path / "tests").iterdir())
    for path in files:
        assert path.read_bytes().isascii()
        scope = {}
        exec(path.read_text(), scope)
        assert scope["OK_FORMAT"] is False and scope["name"] == path.stem and scope["points"] == 1
        (case,) = [value for value in scope.values() if isinstance(value, otter)]
        assert case.name == path.stem and case.points is None and not case.hidden
    notebook = exercises.exercise("closed_form").notebook
    few = otter_tests(str(tmp_path / "few"), notebook)
    assert [path.stem for path in few] == list(progress(notebook).notebooks[notebook])


def test_an_otter_file_passes_what_is_right_only(tmp_path, otter, closed_form):
    """Run as Otter runs it: the file in a scope of its own, its function on the notebook's environment."""
    scope = {}
    (path,) = [path for path in otter_tests(tmp_path) if path.stem == "closed_form"]
    exec(compile(path.read_text(), str(path), "exec"), scope)
    (case,) = [value for value in scope.values() if isinstance(value, otter)]
    test = case.test_func if hasattr(case, "test_func") else case.function
    assert test.__code__.co_varnames[: test.__code__.co_argcount] == ("env",)
    assert test({"closed_form": closed_form}) is None
    for environment, said in (
        ({"closed_form": negative(closed_form)}, "wrong sign"),
        ({"closed_form": lambda *_: None}, "Nothing is written yet"),
        ({"closed_form": 3}, "not a function"),
        ({}, "None, not a function"),
    ):
        with pytest.raises(AssertionError, match=said):
            test(environment)
