"""A question with an answer to commit to: the question, its possible answers, and why wrong ones are wrong.

Words are Markdown with equations between dollars. Python turns them into HTML with MathML here. So a page
needs nothing to set them, and an equation that cannot be set is found when the question is read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from string import ascii_lowercase
from typing import Any, NoReturn
from uuid import uuid4

import traitlets
from markdown_it import MarkdownIt
from math_core import LatexError, LatexToMathML
from mdit_py_plugins.dollarmath import dollarmath_plugin

from .controls import LOCK
from .scene import text

Answer = str | float | None  # an option's letter, or a number; None before it is given
CLOSED = "What you should have seen — opens when you have committed to a prediction above"
SLACK = 1 + 1e-9  # so that 1.1 is within 0.1 of 1 in spite of rounding; as in quiz.js


@dataclass(frozen=True)
class Case:
    """An answer that the question recognises.

    :ivar at: the letter of an option, or a number.
    :ivar words: its text: the option, or the number with its unit.
    :ivar why: why it is right or wrong; may be empty for a right number.
    :ivar right: whether it is right; exactly one case of a question is.
    :ivar within: the distance from the number that still counts as this case.
    """

    at: str | float
    words: str
    why: str
    right: bool
    within: float = 0.0


class Question(traitlets.HasTraits):
    """One entry of a quiz, and its answer once it is given; all cells with the question share it.

    :param name: topic and entry, "forward.peaks".
    :param entry: the entry as TOML has it: see `diffusion_lab.quiz`.
    :param where: its file, for messages.
    :raises ValueError: with the file, the entry, and what was expected.
    """

    answer = traitlets.Any(None)

    def __init__(self, name: str, entry: dict[str, Any], where: str = "") -> None:
        super().__init__()
        self.key = f"{name} {uuid4().hex}"  # unique, also across kernels
        self.name, self.where = name, f"{where or 'a quiz'}, [{name.rpartition('.')[2]}]"
        if not isinstance(entry, dict):
            self.reject("a table with a question", entry)
        self.typed = "options" not in entry
        own = ["answer", "within", "unit", "wrong"] if self.typed else ["options"]
        self.only(entry, ["question", "seen", *own])
        self.question, self.seen = self.words(entry, "question"), self.words(entry, "seen")
        self.unit = self.words(entry, "unit", optional=True)
        self.cases = tuple(self.numbers(entry) if self.typed else self.options(entry["options"]))
        self.pages = {part: self.page(part) for part in ("predict", "seen")}  # sets all equations

    # -- reading
    def reject(self, expected: str, found: Any) -> NoReturn:
        """Raise a ValueError that names the file and the entry."""
        raise ValueError(f"{self.where}: expected {expected}; got {found!r}")

    def only(self, table: dict[str, Any], known: list[str]) -> None:
        """Reject keys that are not known."""
        if strange := sorted(table.keys() - {*known}):
            self.reject(f"no other keys than {', '.join(known)}", strange)

    def words(self, table: dict[str, Any], key: str, optional: bool = False) -> str:
        """Words, stripped."""
        found = table.get(key, "" if optional else None)
        if not isinstance(found, str) or not (found.strip() or optional):
            self.reject(f"words for {key!r}", found)
        return found.strip()

    def number(self, table: dict[str, Any], key: str, default: float | None = None) -> float:
        """A finite number; above 0 for `within`."""
        found = table.get(key, default)
        if not finite(found) or (key == "within" and found <= 0):
            self.reject(f"a {'number above 0' if key == 'within' else 'number'} for {key!r}", found)
        return found

    def tables(self, found: Any, key: str) -> list[dict[str, Any]]:
        """A list of tables, as [[entry.key]] writes them."""
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            self.reject(f"[[{self.name.rpartition('.')[2]}.{key}]] tables", found)
        return found

    def options(self, found: Any) -> Iterator[Case]:
        """The options to choose from, in order."""
        tables = self.tables(found, "options")
        if not 2 <= len(tables) <= len(ascii_lowercase):
            self.reject("two options or more", len(tables))
        for letter, table in zip(ascii_lowercase, tables, strict=False):
            self.only(table, ["text", "why", "right"])
            if not isinstance(right := table.get("right", False), bool):
                self.reject(f"true or false for 'right' of option {letter}", right)
            yield Case(letter, self.words(table, "text"), self.words(table, "why"), right)
        if (count := sum(table.get("right", False) for table in tables)) != 1:
            self.reject("one option with right = true", f"{count} of {len(tables)}")

    def numbers(self, entry: dict[str, Any]) -> Iterator[Case]:
        """The right number, and the wrong ones that are recognised."""
        answer, within = self.number(entry, "answer"), self.number(entry, "within")
        right = Case(answer, self.said(answer), "", True, within)
        yield right
        for table in self.tables(entry.get("wrong", []), "wrong"):
            self.only(table, ["value", "within", "why"])
            value = self.number(table, "value")
            if near(right, value):
                self.reject(f"a wrong value further than {within} from the answer {answer}", value)
            yield Case(
                value, self.said(value), self.words(table, "why"), False, self.number(table, "within", within)
            )

    # -- answering
    def commit(self, answer: Answer) -> None:
        """Give the answer: an option's letter or a number. It is final; another one is a ValueError."""
        letters = [case.at for case in self.cases]
        if self.typed and not finite(answer):
            raise ValueError(f"answer must be a number; got {answer!r}")
        if not self.typed and answer not in letters:
            raise ValueError(f"answer must be one of {', '.join(map(str, letters))}; got {answer!r}")
        with LOCK:
            if self.answer not in (None, answer):
                raise ValueError(f"answer must stay {self.answer!r}: a prediction is final; got {answer!r}")
            self.answer = answer

    def judged(self, answer: Answer) -> Case | None:
        """The case of an answer: the right number first, then the nearest wrong one; None for others."""
        if answer is None or isinstance(answer, str):
            return next((case for case in self.cases if case.at == answer), None)
        return next((case for case in self.near_ones(answer)), None)

    def near_ones(self, answer: float) -> list[Case]:
        """The cases that the number `answer` matches, the best first."""
        found = [case for case in self.cases if near(case, answer)]
        return sorted(found, key=lambda case: (not case.right, abs(float(case.at) - answer)))

    @property
    def right(self) -> bool | None:
        """Whether the answer is right; None until there is one."""
        case = self.judged(self.answer)
        return None if self.answer is None else bool(case and case.right)

    # -- in words
    def said(self, answer: Answer) -> str:
        """An answer as text: "b) They melt", "0.4 nats"."""
        if isinstance(answer, str):
            return f"{answer}) {next(case.words for case in self.cases if case.at == answer)}"
        return f"{answer:.12g} {self.unit}".strip()

    def listed(self, case: Case) -> str:
        """A case in a list: an option with its letter, a right number with its tolerance."""
        if not self.typed:
            return f"{case.at}) {case.words}"
        return f"{case.words} (± {text(case.within)})" if case.right else case.words

    def asked(self) -> str:
        """The question as text, with its options, and the answer if there is one."""
        lines = [self.question, *(self.listed(case) for case in self.cases if not self.typed)]
        if self.answer is not None:
            return "\n".join([*lines, f"Your prediction: {self.said(self.answer)}"])
        example = "..." if self.typed else '"a"'
        kind = f" ({', '.join(filter(None, ['a number', self.unit]))})" if self.typed else ""
        none = f'Your prediction{kind}: none yet. Without a page: predict("{self.name}").commit({example})'
        return "\n".join([*lines, none])

    def told(self) -> str:
        """What the student should have seen, as text: verdict and other cases; before the answer, CLOSED."""
        if self.answer is None:
            return CLOSED
        chosen = self.judged(self.answer)
        lines = [f"{verdict(chosen)}: you committed to {self.said(self.answer)}"]
        lines += [chosen.why] if chosen and chosen.why else []
        for case in self.others(chosen):
            lines += [f"{verdict(case)}: {self.listed(case)}", *filter(None, [case.why])]
        return "\n".join([*lines, "", self.seen])

    def others(self, chosen: Case | None) -> list[Case]:
        """All cases but the chosen one, the right one first."""
        return sorted((case for case in self.cases if case is not chosen), key=lambda case: not case.right)

    # -- as HTML
    def html(self, words: str, inline: bool = False) -> str:
        """Markdown with equations as HTML; with `inline`, no paragraphs, for a legend or a label."""
        try:
            if inline:
                return "<br>".join(markdown().renderInline(part) for part in words.split("\n\n"))
            return markdown().render(words)
        except LatexError as error:
            self.reject("equations that math-core can set", f"{error} in {words}")

    def rows(self, chosen: Case | None) -> str:
        """Why the chosen case is right or wrong, and the same for the others."""
        rows = [
            f"<dt><b>{verdict(case)}:</b> {self.html(self.listed(case), inline=True)}</dt>"
            + (f"<dd>{self.html(case.why)}</dd>" if case.why else "")
            for case in self.others(chosen)
        ]
        why = self.html(chosen.why) if chosen else ""
        return why + (f"<dl>{''.join(rows)}</dl>" if rows else "")

    def page(self, part: str) -> dict[str, Any]:
        """The data for a part of the quiz in the browser (quiz.js); "predict" does not reveal the answer."""
        options = None if self.typed else [self.html(case.words, inline=True) for case in self.cases]
        shared = dict(options=options, unit=self.unit)
        if part == "predict":
            return dict(question=self.html(self.question, inline=True), **shared)
        cases = [dict(at=c.at, within=c.within, right=c.right, html=self.rows(c)) for c in self.cases]
        return dict(
            cases=cases, otherwise=self.rows(None), seen=self.html(self.seen), closed=CLOSED, **shared
        )


def finite(value: Any) -> bool:
    """Whether `value` is a finite number (not True or False)."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def near(case: Case, number: float) -> bool:
    """Whether a number counts as this case."""
    return abs(float(case.at) - number) <= case.within * SLACK


def verdict(case: Case | None) -> str:
    """The verdict in words."""
    return "Right" if case and case.right else "Not right"


@functools.cache
def markdown(notebook: bool = False) -> MarkdownIt:
    """CommonMark with equations as MathML; HTML and tables are allowed only for a notebook's cells."""
    maths = LatexToMathML(fancy_error=False)
    found = MarkdownIt("commonmark", {"html": notebook})
    if notebook:
        found.enable("table")
    found.use(dollarmath_plugin, allow_labels=False, allow_digits=False, double_inline=True)

    def inline(_: Any, tokens: Any, k: int, *_more: Any) -> str:
        return maths.convert_with_local_state(tokens[k].content.strip(), displaystyle=False)

    def display(_: Any, tokens: Any, k: int, *_more: Any) -> str:
        return maths.convert_with_local_state(tokens[k].content.strip(), displaystyle=True)

    for kind, rule in {"inline": inline, "inline_double": display, "block": display}.items():
        found.add_render_rule(f"math_{kind}", rule)
    return found
