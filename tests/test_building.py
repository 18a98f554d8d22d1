"""One source, two notebooks; and how long a text takes to read."""

import nbformat
import pytest
from building import is_exercise, names, read_source, solution, solved, student
from measure import Measured, prose, reading_ease, sentences, syllables

SOURCE = '''---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# 42 · A title

+++ {"tags": ["slide"]}

An equation, $x^2$.

```{code-cell} ipython3
:tags: [exercise]

def closed_form(x0, t, schedule, noise):
    """x_t."""
    ### BEGIN SOLUTION
    return schedule.signal[t] * x0 + schedule.sigma[t] * noise
    ### END SOLUTION


exercises.check("closed_form", closed_form)
```

```{code-cell} ipython3
print(6 * 7)
```
'''


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "42_title.md"
    path.write_text(SOURCE, "utf-8")
    return read_source(path)


def test_a_source_is_a_notebook_with_ids_that_stay(source, tmp_path):
    assert [cell.cell_type for cell in source.cells] == ["markdown", "markdown", "code", "code"]
    assert [cell.id for cell in source.cells] == [f"cell-0{n}" for n in range(4)]
    assert source.cells[1].metadata.tags == ["slide"] and is_exercise(source.cells[2])


def test_the_student_gets_no_solution(source):
    cell = student(source).cells[2]
    assert "signal" not in cell.source and "SOLUTION" not in cell.source
    assert '    """x_t."""\n    ...  # your code\n\n\nexercises.check' in cell.source
    compile(cell.source, "cell", "exec")
    assert "signal" in source.cells[2].source  # which stays as it was


def test_solutions_have_the_stored_outputs_and_a_passed_report(source):
    stored = student(source)
    stored.cells[2].outputs = [
        nbformat.v4.new_output("execute_result", {"text/plain": "○ open"}, execution_count=1)
    ]
    stored.cells[3].outputs = [nbformat.v4.new_output("stream", text="42\n")]
    for n, cell in enumerate(stored.cells[2:], 1):
        cell.execution_count = n
    made = solution(source, stored)
    assert made.cells[3].outputs == stored.cells[3].outputs
    assert "signal" in made.cells[2].source and "SOLUTION" not in made.cells[2].source
    assert made.cells[2].outputs[0].data["text/plain"].startswith("✓ closed_form: Right, on all ")
    assert stored.cells[2].outputs[0].data["text/plain"] == "○ open"


def test_solved_keeps_the_exercises_and_what_they_need(source):
    needed = nbformat.v4.new_code_cell("from diffusion_lab import exercises")
    other = nbformat.v4.new_code_cell("schedule = 3\nx0 = 4")  # arguments of the exercise, and no more
    source.cells = [other, needed, *source.cells]
    assert [cell.source for cell in solved(source).cells] == [needed.source, source.cells[4].source]
    assert names("import a.b as c\ndef f(x):\n    return c(x) + g") == ({"c", "f"}, {"c", "g"})


@pytest.mark.parametrize(("old", "new"), [(":tags: [exercise]\n", ""), ("    ### END SOLUTION\n", "")])
def test_a_solution_that_would_stay_is_an_error(tmp_path, old, new):
    path = tmp_path / "42_title.md"
    path.write_text(SOURCE.replace(old, new), "utf-8")
    with pytest.raises(ValueError, match="tagged `exercise`"):
        student(read_source(path))


def test_prose_has_no_code_no_equations_and_no_tables():
    text = "# Title\n\nA **word**, `code`, $x + y$ and [a link](https://a.b/c).\n\n| a | b |\n\n"
    text += "```\nx = 1\n```\n\n$$z = 3$$\n"
    assert sentences(text) == [["A", "word", "x", "x", "and", "a", "link"]]
    assert "https" not in prose(text)


def test_reading_ease_is_flesch():
    # 206.835 − 1.015 · 4 words a sentence − 84.6 · 1 syllable a word
    assert reading_ease(sentences("The cat sat down. The dog ran off.")) == pytest.approx(118.175)
    assert syllables("probability") == 5 and syllables("the") == 1
    hard = "Probabilistic considerations necessitate mathematical sophistication."
    assert reading_ease(sentences(hard)) < 0


def test_minutes_add_up():
    assert Measured("a", words=320, code=4, exercises=2, predictions=3, ease=80).minutes == 2 + 2 + 8 + 6
