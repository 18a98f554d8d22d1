"""How long and how hard to read a notebook is.

    python tests/measure.py [FOLDER]      a table of the course's notebooks, or of those in a folder

Minutes: 160 words of prose a minute (it holds equations), half a minute for a code cell, four for an
exercise, two for a prediction. Reading ease: Flesch (1948), 206.835 − 1.015 · words per sentence − 84.6 ·
syllables per word; words of three letters or less count as one syllable, the rest as pyphen hyphenates them.
"""

import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import pyphen

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WORDS_A_MINUTE, CODE, EXERCISE, PREDICTION = 160, 0.5, 4, 2
HYPHENS = pyphen.Pyphen(lang="en_US")


@dataclass
class Measured:
    """What one notebook asks of its reader."""

    name: str
    words: int
    code: int
    exercises: int
    predictions: int
    ease: float

    @property
    def minutes(self):
        return (
            self.words / WORDS_A_MINUTE
            + CODE * self.code
            + EXERCISE * self.exercises
            + PREDICTION * self.predictions
        )


def prose(markdown):
    """The words of a Markdown text as sentences: no code, equations, tables, headings, marks or addresses."""
    text = re.sub(
        r"```.*?```|\$\$.*?\$\$|\\begin\{.*?\\end\{\w+\*?\}|<!--.*?-->", " ", markdown, flags=re.DOTALL
    )
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)  # links: their words stay
    text = re.sub(r"<[^>]*>", " ", text)
    text = re.sub(r"^\s*(\||#).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*([-*]|\d+\.)\s+", "", text, flags=re.MULTILINE)
    text = re.sub(r"\$[^$]*\$|`[^`]*`", " x ", text)  # one symbol, however long
    return re.sub(r"[*_]", "", text)


def sentences(markdown):
    """The sentences of a Markdown text, as lists of words; a paragraph ends one."""
    found = []
    for paragraph in re.split(r"\n\s*\n", prose(markdown)):
        for sentence in re.split(r"(?<=[.!?])[\s)”\"]+", " ".join(paragraph.split())):
            words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", sentence)
            if words:
                found.append(words)
    return found


@cache
def syllables(word):
    """At least one."""
    return 1 if len(word) <= 3 else len(HYPHENS.positions(word.lower())) + 1


def reading_ease(found):
    """Flesch's reading ease of sentences; harder texts have less."""
    words = [word for sentence in found for word in sentence]
    if not words:
        return 100.0
    return 206.835 - 1.015 * len(words) / len(found) - 84.6 * sum(map(syllables, words)) / len(words)


def measured(path):
    """The notebook at `path`, its predictions included."""
    nb = nbformat.read(path, as_version=4)
    text = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    asked = [name for cell in code for name in re.findall(r"\bpredict\(\"([\w.]+)\"", cell.source)]
    text += [words_of(name) for name in asked]
    said = [sentence for part in text for sentence in sentences(part)]
    return Measured(
        path.stem,
        sum(map(len, said)),
        sum(not re.search(r"\b(predict|seen)\(", cell.source) for cell in code),
        sum("exercise" in cell.metadata.get("tags", []) for cell in code),
        len(asked),
        reading_ease(said),
    )


def words_of(name):
    """What a prediction gives to read: the question, its answers, and what you should have seen."""
    import tomllib

    topic, _, entry = name.partition(".")
    path = NOTEBOOKS.parent / "diffusion_lab" / "quiz" / f"{topic}.toml"
    found = tomllib.loads(path.read_text("utf-8"))[entry]
    options = [part for option in found.get("options", []) for part in (option["text"], option["why"])]
    return "\n\n".join([found["question"], *options, found["seen"]])


def table(folder):
    """Rows of text, one for each notebook."""
    heads = ("minutes", "words", "code", "exercises", "predictions", "ease")
    rows = [f"{'notebook':22s}" + "".join(f"{head:>12s}" for head in heads)]
    for path in sorted(folder.glob("*.ipynb")):
        m = measured(path)
        numbers = (m.minutes, m.words, m.code, m.exercises, m.predictions, m.ease)
        rows.append(f"{m.name[:22]:22s}" + "".join(f"{number:12.0f}" for number in numbers))
    return rows


if __name__ == "__main__":
    print("\n".join(table(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOKS)))
