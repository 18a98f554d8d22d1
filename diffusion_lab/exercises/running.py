"""A student's function, called safely: it may print, raise, change its arguments, or never come back."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import io
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..schedules import NoiseSchedule
from .exercise import Case

CPU_SECONDS = 5.0  # a right answer takes a fraction of a second
DRAWS = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "normal", "normal_", "uniform_"}
DRAWS |= {
    "manual_seed",
    "seed",
    "random",
    "choice",
    "shuffle",
    "bernoulli",
    "multinomial",
    "dropout",
    "gauss",
}


class OutOfTime(BaseException):
    """Raised inside the student's function when its time is up."""


@dataclass
class Outcome:
    """What one call came to.

    :ivar value: what it returned; None if it raised.
    :ivar error: what it raised, if anything.
    :ivar changed: names of the arguments that are no longer what they were.
    """

    value: Any = None
    error: BaseException | None = None
    changed: list[str] = field(default_factory=list)


@dataclass
class Run:
    """What all calls came to.

    :ivar outcomes: one for each input, in order; fewer if time was up.
    :ivar again: the first input once more.
    :ivar out_of_time: whether the function was stopped.
    :ivar printed: what it printed.
    """

    outcomes: list[Outcome]
    again: Outcome | None
    out_of_time: bool
    printed: str


def run(
    function: Callable[..., Any], names: list[str], cases: list[Case], seconds: float = CPU_SECONDS
) -> Run:
    """Call `function` on every case, and on the first one twice, in a thread of its own.

    Each call gets copies of the arguments. The thread is stopped after `seconds` of processor time, or after
    twelve times as long by the clock: then the caller goes on, whatever the function does.
    """
    outcomes: list[Outcome] = []
    said = io.StringIO()

    def work() -> None:
        for case in [*cases, cases[0]]:
            outcomes.append(call(function, names, case))

    with contextlib.ExitStack() as stack:
        if draws(function):
            stack.enter_context(global_generators_as_they_were())
        thread = threading.Thread(target=work, daemon=True)
        stack.enter_context(prints_of(thread, said))
        thread.start()
        try:
            in_time = finishes(thread, seconds)
        finally:
            stop(thread)
    done = [outcome for outcome in outcomes if not isinstance(outcome.error, OutOfTime)]
    again = done.pop() if len(done) > len(cases) else None
    return Run(done, again, not in_time, said.getvalue())


def call(function: Callable[..., Any], names: list[str], case: Case) -> Outcome:
    """One call, on copies of the arguments."""
    given = [copy_of(value) for value in case]
    outcome = Outcome()
    try:
        outcome.value = function(*given)
    except BaseException as error:  # `exit()` in a cell is a student's mistake like any other
        outcome.error = error
        if isinstance(error, OutOfTime):
            return outcome
    before = zip(names, case, given, strict=False)
    outcome.changed = [name for name, old, new in before if not unchanged(old, new)]
    return outcome


def copy_of(value: Any) -> Any:
    """A copy that the student may spoil: of a schedule and a network, too."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    return type(value)(map(copy_of, value)) if type(value) in (list, tuple) else copy.deepcopy(value)


def unchanged(old: Any, new: Any) -> bool:
    """Whether a copy still is what it was a copy of."""
    if isinstance(old, Tensor):
        return new.shape == old.shape and torch.equal(new.detach().nan_to_num(), old.detach().nan_to_num())
    if type(old) in (list, tuple):
        return len(old) == len(new) and all(map(unchanged, old, new))
    if isinstance(old, NoiseSchedule):
        return unchanged([old.signal, old.sigma], [new.signal, new.sigma])
    if isinstance(old, nn.Module):
        return unchanged(list(old.state_dict().values()), list(new.state_dict().values()))
    return True


def finishes(thread: threading.Thread, seconds: float) -> bool:
    """Wait until `thread` has ended or used up its time; returns whether it has ended."""
    start = time.monotonic()
    clock = getattr(time, "pthread_getcpuclockid", None)
    while thread.is_alive():
        thread.join(0.02)
        used = time.monotonic() - start
        try:  # on a busy machine a thread may wait long and have done little
            spent = time.clock_gettime(clock(thread.ident)) if clock else used
        except (OSError, TypeError):  # it has just ended
            spent = 0.0
        if thread.is_alive() and (spent > seconds or used > 12 * seconds):
            return False
    return True


def stop(thread: threading.Thread) -> None:
    """Raise OutOfTime in `thread` until it ends; one that catches everything is left behind in the end."""
    for _ in range(50):
        if not thread.is_alive():
            return
        ident, error = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OutOfTime)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, error)
        thread.join(0.05)


class Router(io.TextIOBase):
    """Standard output for all threads but one, whose words go elsewhere."""

    thread: threading.Thread | None = None
    there = io.StringIO()
    everyone: Any = None

    def write(self, text: str) -> int:
        """Write `text` where the words of the present thread go."""
        if threading.current_thread() is not self.thread:
            return self.everyone.write(text)
        return self.there.write(text) if self.there.tell() < 10_000 else len(text)

    def flush(self) -> None:
        """Flush what everyone else writes to."""
        self.everyone.flush()


# One for good: another thread may still be printing to it when it is no longer sys.stdout.
ROUTER, PRINTING = Router(), threading.Lock()


@contextlib.contextmanager
def prints_of(thread: threading.Thread, there: io.StringIO) -> Iterator[None]:
    """What `thread` prints goes `there`; nobody else notices."""
    with PRINTING:
        ROUTER.everyone, ROUTER.there, ROUTER.thread = sys.stdout, there, thread
        sys.stdout = ROUTER
        try:
            yield
        finally:
            if sys.stdout is ROUTER:
                sys.stdout = ROUTER.everyone


def draws(function: Callable[..., Any]) -> bool:
    """Whether the student's own code names anything that draws from, or seeds, a global generator."""
    seen, waiting = set(), [function]
    while waiting:
        code = getattr(waiting[-1], "__code__", None)
        scope = getattr(waiting.pop(), "__globals__", {})
        codes = [code] if code else []
        while codes:
            code = codes.pop()
            if code in seen:
                continue
            seen.add(code)
            if DRAWS & set(code.co_names):
                return True
            codes += [constant for constant in code.co_consts if hasattr(constant, "co_names")]
            helpers = [scope.get(name) for name in code.co_names]
            waiting += [helper for helper in helpers if getattr(helper, "__globals__", None) is scope]
    return False


@contextlib.contextmanager
def global_generators_as_they_were() -> Iterator[None]:
    """Put the global generators back where they stood.

    Only for a function whose own code draws or seeds: it runs on behalf of the student's cell, which waits.
    For all others nothing global is read or set, so that no other thread can be disturbed.
    """
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
