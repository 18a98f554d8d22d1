"""What an exercise is: a solution, inputs to try, and the mistakes that students make in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Case = tuple[Any, ...]  # the arguments of one call


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that has a name.

    :ivar name: what a teacher would call it, such as "standard deviation for variance".
    :ivar function: computes what a student who makes this mistake computes; it may raise where that would.
    :ivar seen: one sentence: what the checker saw.
    :ivar look: one sentence: where to look. Neither of them gives the solution away.
    """

    name: str
    function: Callable[..., Any]
    seen: str
    look: str


@dataclass(frozen=True)
class Exercise:
    """One function for the student to write.

    :ivar solution: the right answer, written plainly. Its name is the exercise's, and its docstring the task.
    :ivar cases: draws the inputs to try: from a generator, one tuple of arguments for each call.
    :ivar mistakes: the catalogue of this exercise.
    :ivar notebook: where it stands, such as "03_forward".
    """

    solution: Callable[..., Any]
    cases: Callable[[torch.Generator], Iterable[Case]]
    mistakes: tuple[Mistake, ...]
    notebook: str

    @property
    def name(self) -> str:
        """The name of the function that the student writes."""
        return self.solution.__name__

    @property
    def parameters(self) -> list[str]:
        """The names of its arguments."""
        return list(inspect.signature(self.solution).parameters)

    @property
    def task(self) -> str:
        """What is asked for: the first line of the function, and its docstring."""
        return f"{self.name}{inspect.signature(self.solution)}\n\n{inspect.getdoc(self.solution)}"

    def inputs(self, seed: int = 0) -> list[Case]:
        """The inputs to try. They come from a generator of their own."""
        return list(self.cases(torch.Generator().manual_seed(seed)))

    def describe(self, case: Case) -> str:
        """One input in words: shapes of tensors, values of numbers."""
        named = zip(self.parameters, case, strict=False)
        return ", ".join(f"{name} {words(value)}" for name, value in named)


def words(value: Any) -> str:
    """An argument in a few words."""
    if isinstance(value, Tensor):
        return f"= {value.item():.4g}" if value.ndim == 0 else f"of shape {list(value.shape)}"
    if isinstance(value, int | float | str) or value is None:
        return f"= {value:.4g}" if isinstance(value, float) else f"= {value}"
    if type(value) in (list, tuple):
        return f"with {len(value)} entries"
    name = getattr(value, "name", "") or getattr(value, "__name__", "") or type(value).__name__
    return f"({name})"


def negated(solution: Callable[..., Any]) -> Callable[..., Any]:
    """The solution with the other sign."""

    def function(*arguments: Any) -> Any:
        value = solution(*arguments)
        return tuple(-part for part in value) if isinstance(value, tuple) else -value

    return function


def scaled(solution: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """The solution times a factor, such as that between nats and bits."""

    def function(*arguments: Any) -> Any:
        value = solution(*arguments)
        return tuple(factor * part for part in value) if isinstance(value, tuple) else factor * value

    return function


def at_other_time(solution: Callable[..., Any], shift: int, argument: str = "t") -> Callable[..., Any]:
    """The solution at t + shift, which stays within the tables of `schedule`."""
    names = list(inspect.signature(solution).parameters)

    def function(*arguments: Any) -> Any:
        given = dict(zip(names, arguments, strict=False))
        t = torch.as_tensor(given[argument]) + shift
        t = t.clamp(0, given["schedule"].T)
        given[argument] = t if isinstance(given[argument], Tensor) else int(t)
        return solution(*given.values())

    return function
