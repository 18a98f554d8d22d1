'''Predictions that commit: a question before an explorer, and after it what should have been seen.

In a notebook::

    from diffusion_lab.quiz import predict, seen
    predict("forward.peaks")    # a cell before the explorer
    seen("forward.peaks")       # a cell after it, closed until the student has committed to an answer

The words stand in a file for each topic beside this one, here ``forward.toml``, where no cell gives them
away. They are Markdown with equations. A question has options, one of which is right::

    [peaks]
    question = """Do the peaks of $q_t$ move towards each other first, or melt where they stand?"""
    seen = """Both at once, and the widening wins: …"""
    [[peaks.options]]
    text = """They move first"""
    why = """The centres move by … only"""
    [[peaks.options]]
    text = """They melt"""
    why = """…"""
    right = true

or wants a number, and knows some wrong ones::

    [share]
    question = """…"""
    answer = 0.39
    within = 0.05               # how far off still counts as right
    unit = "nats"               # if it has one
    seen = """…"""
    [[share.wrong]]
    value = 0.63
    within = 0.02               # or the question's
    why = """That is the amplitude; the question asks for the variance."""
'''

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from ..engine.question import Question
from ..engine.quiz import PARTS, QUIZ, Prediction, Seen, fragment, quiz_scripts

__all__ = ["QUIZ", "fragment", "names", "predict", "question", "quiz_scripts", "read", "seen", "stored"]
FOLDER = Path(__file__).parent


def predict(name: str) -> Prediction:
    """The question `name`, to commit to an answer: by hand, or as `predict(name).commit("a")`.

    Raises a ValueError for a name that is not known, and for a file that is not as the package says.
    """
    return Prediction(question(name))


def seen(name: str) -> Seen:
    """What should have been seen; closed until question `name` has an answer. Raises as `predict` does."""
    return Seen(question(name))


def read(path: str | Path) -> dict[str, Question]:
    """The questions in a TOML file by name, "topic.entry"; the topic is the file's name.

    Raises a ValueError that names the file, the entry, and what was expected.
    """
    path = Path(path)
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: expected TOML; got {error}") from error
    names = {entry: f"{path.stem}.{entry}" for entry in entries}
    return {name: Question(name, entries[entry], path.name) for entry, name in names.items()}


known = functools.cache(read)  # whoever asks for a question shares its answer


def question(name: str) -> Question:
    """The one question of that name; a ValueError if there is none."""
    path = FOLDER / f"{name.partition('.')[0]}.toml"
    found = known(path) if path.is_file() else {}
    if name not in found:
        raise ValueError(f"name must be one of {', '.join(names()) or 'none yet'}; got {name!r}")
    return found[name]


def names() -> list[str]:
    """The names of all questions."""
    return [name for path in sorted(FOLDER.glob("*.toml")) for name in known(path)]


def stored(state: dict[str, str]) -> str | None:
    """HTML for what a notebook stored under `QUIZ`; None if there is no such question (any more)."""
    name, part = state["id"], state["part"]
    return fragment(question(name), part) if name in names() and part in PARTS else None
