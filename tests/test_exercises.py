"""The checker: every mistake of the catalogue by its name, every right answer in whatever form, and no wrong
name.

tests/exercises/TOPIC.py holds what students hand in: RIGHT, WRONG (by the name of the mistake), TWO (two
mistakes at once, or one without a name), AGREES (the package's own function).
"""

import ast
import importlib.util
import inspect
import io
import itertools
import random
import re
import textwrap
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from diffusion_lab import exercises
from diffusion_lab.exercises import catalogue, check
from diffusion_lab.exercises.checking import outcomes
from diffusion_lab.exercises.comparing import agree
from diffusion_lab.exercises.running import CPU_SECONDS, call, run

HERE = Path(__file__).parent / "exercises"
EVERY = list(catalogue().values())


def students(topic):
    """The module of that name in tests/exercises/."""
    spec = importlib.util.spec_from_file_location(f"students_{topic}", HERE / f"{topic}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


THEIRS = {path.stem: students(path.stem) for path in sorted(HERE.glob("*.py"))}


def answers(kind):
    """(exercise, n, function) of all students' answers of one kind."""
    for topic, module in THEIRS.items():
        for name, functions in getattr(module, kind, {}).items():
            for n, function in enumerate(functions):
                yield pytest.param(name, function, id=f"{topic}-{name}-{n}")


def wrong_answers():
    for topic, module in THEIRS.items():
        for name, by_mistake in module.WRONG.items():
            for mistake, functions in by_mistake.items():
                for n, function in enumerate(functions):
                    yield pytest.param(name, mistake, function, id=f"{topic}-{name}-{mistake}-{n}")


every_exercise = pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.name)


# the catalogue


def test_there_are_at_least_thirty_exercises_with_names_of_their_own():
    assert len(exercises.names()) == len(set(exercises.names())) == len(EVERY) >= 30
    assert f"{len(EVERY)} exercises" in (HERE.parent.parent / "README.md").read_text("utf-8")
    functions = [exercise.solution for exercise in EVERY]
    assert all(function.__name__.isidentifier() for function in functions)


@every_exercise
def test_the_task_says_all(exercise):
    text = inspect.getdoc(exercise.solution)
    assert text and len(text) > 60
    for name in exercise.parameters:
        assert re.search(rf"\b{re.escape(name)}\b", text), f"{name} is not explained"
    assert re.search(r"[Rr]eturn", text)


@every_exercise
def test_the_solution_passes(exercise):
    report = check(exercise.name, exercise.solution)
    assert report.passed and report.mistake is None and bool(report)


@every_exercise
def test_inputs_are_the_same_every_time_and_come_from_their_own_generator(exercise):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = exercise.inputs(), exercise.inputs()
    assert torch.equal(before, torch.get_rng_state())
    assert 8 <= len(first) == len(second) <= 40
    for a, b in zip(first, second, strict=True):
        same = [torch.equal(x, y) for x, y in zip(a, b, strict=True) if isinstance(x, torch.Tensor)]
        assert all(same)


@every_exercise
def test_mistakes_differ_from_the_solution_and_from_each_other(exercise):
    cases = exercise.inputs()
    right = [call(exercise.solution, exercise.parameters, case) for case in cases]
    assert not any(outcome.error for outcome in right), [o.error for o in right]
    found = {(m.name, n): outcomes(exercise, m, cases) for n, m in enumerate(exercise.mistakes)}
    assert len({name for name, _ in found}) >= 3 or len(exercise.mistakes) >= 3
    for name, theirs in found.items():
        assert not all(map(agree, theirs, right)), f"{name} is no mistake"
    for (a, theirs), (b, others) in itertools.combinations(found.items(), 2):
        assert a[0] == b[0] or not all(map(agree, theirs, others)), (
            f"{a[0]} and {b[0]} are the same on these inputs"
        )


@every_exercise
def test_mistakes_are_said_in_two_sentences(exercise):
    for mistake in exercise.mistakes:
        for sentence in (mistake.seen, mistake.look):
            assert sentence[0].isupper() and sentence[-1] in ".?!" and len(sentence) < 220, sentence


def test_names_of_mistakes_are_shared():
    """One mistake has one name in the whole course: names that differ in case or a final s are the same."""
    names = {mistake.name for exercise in EVERY for mistake in exercise.mistakes}
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()).rstrip("s") for name in names]
    assert len(set(plain)) == len(names), sorted(names)


# what students hand in


@every_exercise
def test_every_exercise_has_answers(exercise):
    theirs, name = THEIRS[exercise.notebook[3:]], exercise.name
    assert len(theirs.RIGHT[name]) >= 5, "five right answers"
    named = {mistake.name for mistake in exercise.mistakes}
    assert named <= theirs.WRONG[name].keys(), named - theirs.WRONG[name].keys()
    assert theirs.TWO[name], "two mistakes at once"


def test_exercises_come_in_the_order_of_the_course():
    notebooks = [exercise.notebook for exercise in EVERY]
    assert notebooks == sorted(notebooks) and len(set(notebooks)) == 32
    assert {notebook[3:] for notebook in notebooks} == set(THEIRS)


@pytest.mark.parametrize(("name", "function"), [*answers("RIGHT")])
def test_a_right_answer_passes_in_any_form(name, function):
    report = check(name, function)
    assert report.passed, report


@pytest.mark.parametrize(("name", "mistake", "function"), [*wrong_answers()])
def test_a_mistake_gets_its_name(name, mistake, function):
    report = check(name, function, seconds=0.5 if mistake == "endless loop" else CPU_SECONDS)
    assert not report.passed and report.mistake == mistake, report


@pytest.mark.parametrize(("name", "function"), [*answers("TWO")])
def test_two_mistakes_at_once_get_no_name(name, function):
    report = check(name, function)
    assert not report.passed and report.mistake is None, report
    assert report.message.startswith("Not right, and not a mistake I know.") and len(report.message) > 50


@pytest.mark.parametrize(
    ("name", "function"),
    [pytest.param(n, f, id=n) for m in THEIRS.values() for n, f in getattr(m, "AGREES", {}).items()],
)
def test_the_solution_agrees_with_the_package(name, function):
    exercise = exercises.exercise(name)
    for seed in (0, 1):
        for case in exercise.inputs(seed):
            ours, theirs = (call(f, exercise.parameters, case) for f in (exercise.solution, function))
            assert agree(theirs, ours), (exercise.describe(case), theirs.error)


# mutation: no broken solution passes


class Break(ast.NodeTransformer):
    """Changes the n-th place of a syntax tree that can be changed, in the k-th way."""

    OTHER: ClassVar = {
        ast.Add: [ast.Sub, ast.Mult],
        ast.Sub: [ast.Add, ast.Mult],
        ast.Mult: [ast.Div, ast.Add],
        ast.Div: [ast.Mult, ast.Sub],
        ast.Pow: [ast.Mult],
        ast.MatMult: [ast.Mult],
        ast.Lt: [ast.LtE, ast.GtE],
        ast.LtE: [ast.Lt, ast.Gt],
        ast.Gt: [ast.GtE, ast.LtE],
        ast.GtE: [ast.Gt, ast.Lt],
        ast.Eq: [ast.NotEq],
        ast.NotEq: [ast.Eq],
        ast.FloorDiv: [ast.Mult],
        ast.Mod: [ast.Mult],
    }
    NAMES: ClassVar = {
        "signal": "sigma", "sigma": "signal", "alpha": "beta", "beta": "alpha", "alpha_bar": "alpha",
        "sum": "mean", "mean": "sum", "sqrt": "square", "square": "sqrt", "exp": "log", "log": "exp",
        "sin": "cos", "cos": "sin",
        "cumprod": "cumsum", "cumsum": "cumprod", "max": "min", "min": "max", "amax": "amin",
    }  # fmt: skip

    def __init__(self, n=-1, k=0):
        self.n, self.k, self.places = n, k, []

    def here(self, ways):
        self.places.append(ways)
        return len(self.places) - 1 == self.n and self.k < ways

    def visit_FunctionDef(self, node):
        node.body = [self.visit(statement) for statement in node.body]  # types stay
        return node

    def visit_AnnAssign(self, node):
        node.value = self.visit(node.value)
        return node

    def visit_BinOp(self, node):
        self.generic_visit(node)
        ways = self.OTHER.get(type(node.op), [])
        if self.here(len(ways)):
            node.op = ways[self.k]()
        if self.here(1) and not isinstance(node.op, ast.Add | ast.Mult):
            node.left, node.right = node.right, node.left
        return node

    def visit_Compare(self, node):
        self.generic_visit(node)
        ways = self.OTHER.get(type(node.ops[0]), [])
        if self.here(len(ways)):
            node.ops[0] = ways[self.k]()
        return node

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return node.operand if self.here(1) else node

    def visit_Constant(self, node):
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            ways = [node.value + 1, node.value - 1, -node.value, 2 * node.value]
            if self.here(len(ways)):
                return ast.copy_location(ast.Constant(ways[self.k]), node)
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if node.attr in self.NAMES and self.here(1):
            node.attr = self.NAMES[node.attr]
        return node

    def visit_Subscript(self, node):
        self.generic_visit(node)
        if isinstance(node.slice, ast.Name) and self.here(2):
            node.slice = ast.BinOp(node.slice, [ast.Sub(), ast.Add()][self.k], ast.Constant(1))
        return node

    def visit_Expr(self, node):
        return node  # the docstring


def mutants(function):
    """Every function that differs from `function` in one place."""
    source = textwrap.dedent(inspect.getsource(function))
    count = Break()
    count.visit(ast.parse(source))
    for n, ways in enumerate(count.places):
        for k in range(ways):
            tree = ast.fix_missing_locations(Break(n, k).visit(ast.parse(source)))
            changed = ast.unparse(tree)
            if changed != ast.unparse(ast.parse(source)):
                scope = dict(function.__globals__)
                exec(compile(tree, f"<{function.__name__} {n}.{k}>", "exec"), scope)
                yield changed, scope[function.__name__]


def differs(mutant, exercise, cases, right):
    """Whether a mutant gives another answer on any of the cases; it is stopped if it does not end."""
    theirs = run(mutant, exercise.parameters, cases[:1], seconds=1.0)
    if theirs.out_of_time or not agree(theirs.outcomes[0], right[0]):
        return True
    return any(
        not agree(call(mutant, exercise.parameters, case), truth)
        for case, truth in zip(cases[1:], right[1:], strict=True)
    )


@every_exercise
def test_no_mutant_passes(exercise):
    """Unless it is the same function: on many more inputs, too, it gives the same."""
    cases = exercise.inputs()
    right = [call(exercise.solution, exercise.parameters, case) for case in cases]
    for text, mutant in mutants(exercise.solution):
        if not differs(mutant, exercise, cases, right) and check(exercise.name, mutant).passed:
            for seed in range(1, 6):
                for case in exercise.inputs(seed):
                    theirs, truth = (call(f, exercise.parameters, case) for f in (mutant, exercise.solution))
                    assert agree(theirs, truth), f"passes, and is wrong:\n{text}"


def test_there_are_a_thousand_mutants():
    assert sum(1 for exercise in EVERY for _ in mutants(exercise.solution)) >= 1000


# it survives students


def right(x0, t, schedule, noise):
    return schedule.signal[t] * x0 + schedule.sigma[t] * noise


NAME = "closed_form"


@pytest.mark.parametrize("nothing", [lambda *_: None, lambda *_: ..., lambda x0, t, schedule, noise: None])
def test_a_stub_is_open_and_kind(nothing):
    report = check(NAME, nothing)
    assert report.open and not report.passed and report.mistake is None
    assert report.message.startswith("Nothing is written yet") and str(report).startswith("○")


def test_a_stub_that_raises_is_open():
    def stub(x0, t, schedule, noise):
        raise NotImplementedError

    assert check(NAME, stub).open


@pytest.mark.parametrize("thing", [None, 3, torch.zeros(2), "closed_form", [right]])
def test_what_is_no_function_is_told_so(thing):
    report = check(NAME, thing)
    assert not report.passed and "not a function" in report.message


def test_an_unknown_name_is_an_error_that_names_the_nearest():
    with pytest.raises(ValueError, match=r"closed_from.*did you mean 'closed_form'"):
        check("closed_from", right)
    with pytest.raises(ValueError, match="known are"):
        exercises.task("zzzz")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x0, t: x0, "TypeError"),
        (lambda x0, t, schedule, noise: 1 / 0, "ZeroDivisionError"),
        (lambda x0, t, schedule, noise: exit(), "SystemExit"),
        (lambda x0, t, schedule, noise: (x0, noise), "2 things|shape"),
        (lambda x0, t, schedule, noise: right(x0, t, schedule, noise)[:1].flatten()[:2], "shape"),
        (lambda x0, t, schedule, noise: right(x0, t, schedule, noise) / 0, "NaN or infinite"),
        (lambda x0, t, schedule, noise: 3 * right(x0, t, schedule, noise), "3 times the right ones"),
        (lambda x0, t, schedule, noise: "x_t", "a str"),
        (lambda x0, t, schedule, noise: right(x0, t, schedule, noise) if t else None, r"right on \d+ of"),
        (lambda x0, t, schedule, noise: right(x0, t, schedule, noise) + 0j, "complex"),
        (lambda x0, t, schedule, noise: object(), "a object"),
        (lambda x0, t, schedule, noise: [], "a list"),
        (lambda x0, t, schedule, noise: {}, "a dict"),
    ],
)
def test_symptoms(function, said):
    report = check(NAME, function)
    assert not report.passed and report.mistake is None
    assert re.search(said, report.message), report


def forever(x0, t, schedule, noise):
    while True:
        pass


def forever_and_catching(x0, t, schedule, noise):
    while True:
        try:
            x0 = x0 + 1
        except BaseException:
            pass


def sleeping(x0, t, schedule, noise):
    time.sleep(3600)


@pytest.mark.parametrize("function", [forever, forever_and_catching, sleeping])
def test_an_endless_loop_is_stopped(function):
    report = check(NAME, function, seconds=0.2)
    assert report.mistake == "endless loop" and not report.passed
    assert check(NAME, right).passed  # and the checker goes on


def test_the_time_is_that_of_the_processor():
    """A slow machine makes nobody wrong: beside busy threads a right answer still is one."""
    done = threading.Event()

    def busy():
        while not done.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert check(NAME, right).passed
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert CPU_SECONDS >= 5


def test_prints_are_swallowed_and_others_are_not(capsys):
    def talks(x0, t, schedule, noise):
        print("talk")
        return right(x0, t, schedule, noise)

    assert check(NAME, talks).passed
    print("mine")
    assert capsys.readouterr().out == "mine\n"


def test_others_prints_go_where_they_went(capsys):
    stop, said = threading.Event(), []

    def others():
        while not stop.is_set():
            print("other")
            said.append(1)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        while len(said) < 3:
            time.sleep(0.001)
        for _ in range(5):
            assert check(NAME, lambda *a: (print("talk"), right(*a))[1]).passed
    finally:
        stop.set()
        thread.join()
    out = capsys.readouterr().out
    assert "talk" not in out and out.count("other") == len(said)


def test_changed_arguments_do_no_harm():
    def spoils(x0, t, schedule, noise):
        schedule.signal.mul_(0.5)
        x0.zero_()
        return x0

    assert not check(NAME, spoils).passed
    assert check(NAME, right).passed

    def in_place(x0, t, schedule, noise):
        x0 *= schedule.signal[t]
        return x0 + schedule.sigma[t] * noise

    assert check(NAME, in_place).mistake == "changed input"


def states():
    """Where the three global generators stand."""
    return torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002


def test_global_generators_stay_as_they_were():
    def draws(x0, t, schedule, noise):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        return schedule.signal[t] * x0 + schedule.sigma[t] * torch.randn_like(x0)

    before = states()
    for function in (right, draws):
        check(NAME, function)
        after = states()
        assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


def test_noise_of_ones_own_is_named():
    def draws(x0, t, schedule, noise):
        return schedule.signal[t] * x0 + schedule.sigma[t] * torch.randn(x0.shape)

    report = check(NAME, draws)
    assert report.mistake == "noise of its own" and "noise" in report.message


def test_a_pure_function_touches_nothing_global(monkeypatch):
    def fail(*_):
        pytest.fail("a global generator was read or set")

    for module, name in ((torch, "get_rng_state"), (torch, "set_rng_state"), (random, "getstate")):
        monkeypatch.setattr(module, name, fail)
    assert check(NAME, right).passed


def test_a_report_is_text_and_a_page():
    report = check(NAME, lambda x0, t, schedule, noise: -right(x0, t, schedule, noise))
    assert report.mistake == "wrong sign" and str(report) == repr(report)
    page = report._repr_html_()
    assert "wrong sign" in page and "data:image/png;base64," in page
    good = check(NAME, right)
    assert "img" not in good._repr_html_() and str(good).startswith("✓ closed_form: Right")
    assert io.StringIO(str(report)).readlines()  # one line, for nbval
    assert "\n" not in str(report)
