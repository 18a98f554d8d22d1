"""The two cells of a quiz: `Prediction`, to commit to an answer, and `Seen`, which opens after that.

They find each other on the page, also without a kernel (quiz.js), and in Python through their `Question`.
"""

from __future__ import annotations

import json
from typing import Any

import anywidget
import traitlets

from .controls import LOCK, free
from .packing import to_json
from .page import STATIC, bundle
from .question import Answer, Question

# The MIME type under which a notebook stores which question this is, and which of its two cells.
QUIZ = "application/vnd.diffusion-lab.quiz+json"

FRAGMENT = """<div class="diffusion-lab-quiz">
<script type="application/json">{state}</script>
<noscript>{words}</noscript>
</div>"""


def quiz_esm() -> str:
    """The browser's half for anywidget: one module with `render`."""
    return bundle("util.js", "quiz.js") + "export default { render: renderQuiz };\n"


def quiz_scripts() -> dict[str, str]:
    """The script that a page needs below its fragments, by file name."""
    style = json.dumps((STATIC / "quiz.css").read_text("utf-8"))
    return {"quiz.js": f"(() => {{\n{bundle('util.js', 'quiz.js')}mountQuizzes({style});\n}})();\n"}


class Part(anywidget.AnyWidget):
    """A cell of a quiz; it shares the answer of its question."""

    part = ""
    _esm = quiz_esm()
    _css = STATIC / "quiz.css"
    _part = traitlets.Unicode().tag(sync=True)
    _key = traitlets.Unicode().tag(sync=True)  # parts with the same key share the answer on the page
    _content = traitlets.Dict().tag(sync=True)
    _answer = traitlets.Any(None).tag(sync=True)

    def __init__(self, question: Question) -> None:
        self.question = question
        content = question.pages[self.part]
        super().__init__(_part=self.part, _key=question.key, _content=content, _answer=question.answer)
        question.observe(self._follow, "answer")
        self.observe(self._commit, "_answer")

    def _follow(self, _change: Any) -> None:
        self._answer = self.question.answer

    def _commit(self, _change: Any) -> None:
        """Takes the browser's answer. There is only one, unless two pages show one kernel."""
        with LOCK:
            if self.question.answer is None and self._answer is not None:
                self.question.commit(self._answer)
            self._follow(None)

    def open(self) -> None:
        """Tell the browser about this cell."""
        super().open()
        free(self.comm, self._handle_msg)

    @property
    def answer(self) -> Answer:
        """The letter or number of the committed answer, or None."""
        return self.question.answer

    @property
    def right(self) -> bool | None:
        """Whether the answer is right; None before it is given."""
        return self.question.right

    def describe(self) -> str:
        """The cell in words."""
        return words(self.question, self.part)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        state = {"id": self.question.name, "part": self.part}
        return {**data, "text/plain": self.describe(), QUIZ: state}, metadata


class Prediction(Part):
    """The question, its options or a box for a number, and a button that commits."""

    part = "predict"

    def commit(self, answer: Answer) -> Prediction:
        """Commit from Python: an option's letter, or a number. See `Question.commit`."""
        self.question.commit(answer)
        return self


class Seen(Part):
    """Closed until its question has an answer; then the verdict, and what the student should have seen."""

    part = "seen"


PARTS = {cls.part: cls for cls in (Prediction, Seen)}


def words(question: Question, part: str) -> str:
    """A part as plain text."""
    return question.asked() if part == "predict" else question.told()


def fragment(question: Question, part: str) -> str:
    """HTML of one part for a page with the `quiz_scripts` below it; without scripts nothing is hidden."""
    content = question.pages[part]
    state = to_json(dict(_part=part, _key=question.name, _content=content, _answer=None))
    if part == "predict":
        options = "".join(f"<li>{option}</li>" for option in content["options"] or ())
        plain = f"<p>{content['question']}</p>" + (f'<ol type="a">{options}</ol>' if options else "")
    else:
        said = f"{content['otherwise']}{content['seen']}"
        plain = f"<details><summary>What you should have seen</summary>{said}</details>"
    return FRAGMENT.format(state=state.replace("<", "\\u003c"), words=plain)
