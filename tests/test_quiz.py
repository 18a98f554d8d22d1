"""Predictions that commit: what a file may say, what is right, what is shown before and after."""

import json
import re

import pytest

from diffusion_lab import quiz
from diffusion_lab.engine.question import CLOSED, Question
from diffusion_lab.engine.quiz import QUIZ, Prediction, Seen, fragment, quiz_scripts

OWN = r"""
[peaks]
question = '''Do the peaks of $q_t$ move towards each other, or **melt** where they stand?'''
seen = '''Both at once, and the widening wins: `sigma` grows faster.

$$
q_t(x) = \int q(x \mid x_0) \, dx_0
$$

1. narrow
2. wide'''
[[peaks.options]]
text = '''They move first'''
why = '''The centres move by $0.1$ only.'''
[[peaks.options]]
text = '''They melt'''
why = '''The width grows & the centres stay.'''
right = true
[[peaks.options]]
text = '''Neither: $x_t < 0$'''
why = '''That is a <sample>.'''

[share]
question = '''Which share of the *variance* is noise?'''
answer = 0.39
within = 0.05
unit = "nats"
seen = '''It is $\sigma_t^2$.'''
[[share.wrong]]
value = 0.63
within = 0.02
why = '''That is the amplitude.'''
[[share.wrong]]
value = 0.5
why = '''That is the middle.'''
"""


@pytest.fixture
def own(tmp_path):
    """The questions of OWN, new and unanswered: (peaks, share)."""
    path = tmp_path / "own.toml"
    path.write_text(OWN, "utf-8")
    return tuple(quiz.read(path).values())


# what a file may say

OPTION = dict(text="yes", why="because", right=True)
OTHER = dict(text="no", why="it is yes")
CHOICE = dict(question="What?", seen="That.", options=[OPTION, OTHER])
TYPED = dict(question="How much?", seen="That much.", answer=1, within=0.1)
WRONG = [dict(value=2, why="twice")]


def without(table, key):
    return {name: value for name, value in table.items() if name != key}


def test_the_least_that_a_question_needs():
    assert [case.at for case in Question("a.b", CHOICE).cases] == ["a", "b"]
    assert Question("a.b", TYPED | {"wrong": WRONG}).cases[1].within == 0.1


@pytest.mark.parametrize(
    "entry, expected",
    [
        ("words", "a table with a question"),
        (without(CHOICE, "question"), "words for 'question'; got None"),
        (CHOICE | {"seen": " "}, "words for 'seen'; got ' '"),
        (CHOICE | {"options": "yes"}, r"\[\[b.options\]\] tables; got 'yes'"),
        (CHOICE | {"options": [OPTION]}, "two options or more; got 1"),
        (CHOICE | {"options": [OTHER, OTHER]}, "one option with right = true; got '0 of 2'"),
        (CHOICE | {"options": [OPTION, OPTION]}, "one option with right = true; got '2 of 2'"),
        (CHOICE | {"options": [OPTION, without(OTHER, "why")]}, "words for 'why'; got None"),
        (CHOICE | {"options": [OPTION | {"right": "yes"}, OTHER]}, "true or false for 'right' of option a"),
        (CHOICE | {"options": [OPTION, OTHER | {"wrong": True}]}, r"no other keys .*; got \['wrong'\]"),
        (CHOICE | {"answer": 1, "within": 1}, r"no other keys .*; got \['answer', 'within'\]"),
        (without(TYPED, "answer"), "a number for 'answer'; got None"),
        (without(TYPED, "within"), "a number above 0 for 'within'; got None"),
        (TYPED | {"within": 0}, "a number above 0 for 'within'; got 0"),
        (TYPED | {"answer": True}, "a number for 'answer'; got True"),
        (TYPED | {"answer": float("inf")}, "a number for 'answer'; got inf"),
        (TYPED | {"unit": 3}, "words for 'unit'; got 3"),
        (TYPED | {"hint": "x"}, r"no other keys .*; got \['hint'\]"),
        (TYPED | {"wrong": [dict(value=2)]}, "words for 'why'; got None"),
        (TYPED | {"wrong": [dict(value=1.05, why="near")]}, "a wrong value further than 0.1 .*; got 1.05"),
        (TYPED | {"wrong": [dict(value=2, why="far", near=1)]}, r"no other keys .*; got \['near'\]"),
        (TYPED | {"seen": r"so $\oops{1}$"}, "equations that math-core can set"),
        (CHOICE | {"options": [OPTION | {"why": r"$\frac$"}, OTHER]}, "equations that math-core can set"),
    ],
)
def test_what_does_not_fit_is_named(entry, expected):
    with pytest.raises(ValueError, match=rf"^a.toml, \[b\]: expected {expected}"):
        Question("a.b", entry, "a.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "odd.toml").write_text("[peaks", "utf-8")
    with pytest.raises(ValueError, match=r"^odd\.toml: expected TOML; got "):
        quiz.read(tmp_path / "odd.toml")


def test_names(tmp_path, monkeypatch):
    """A question is read once: whoever asks for it shares its answer."""
    monkeypatch.setattr(quiz, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"^name must be one of none yet; got 'own\.peaks'$"):
        quiz.predict("own.peaks")
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    for name in ("own.nope", "nope.peaks", "peaks", ""):
        with pytest.raises(ValueError, match=rf"^name must be one of own\.peaks, own\.share; got '{name}'$"):
            quiz.predict(name)
    seen = quiz.seen("own.peaks")
    assert seen.answer is seen.right is None
    assert quiz.predict("own.peaks").commit("b").right is True
    assert seen.answer == quiz.predict("own.peaks").answer == "b"
    assert quiz.predict("own.share").answer is None


@pytest.mark.parametrize("path", sorted(quiz.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_the_files_of_the_course(path):
    """Each can be read, its equations set, and its text form gives nothing away."""
    for name, question in quiz.read(path).items():
        assert name == f"{path.stem}.{name.partition('.')[2]}"
        assert question.told() == CLOSED
        html = json.dumps(question.pages)
        assert "$" not in re.sub(r"<code>.*?</code>", "", html), f"{name}: an equation that is none"
        assert question.seen not in question.asked()


# what is right


def test_options(own):
    question, _ = own
    predict, seen = Prediction(question), Seen(question)
    assert predict.answer is predict.right is seen.answer is None
    for odd in ("d", "B", "", "ab", 1, None):
        with pytest.raises(ValueError, match=r"^answer must be one of a, b, c; got "):
            predict.commit(odd)
    assert predict.commit("a") is predict
    assert predict.answer == seen.answer == "a" and predict.right is False
    predict.commit("a")  # says nothing new
    with pytest.raises(ValueError, match=r"^answer must stay 'a': a prediction is final; got 'b'$"):
        predict.commit("b")
    assert predict.answer == "a"


@pytest.mark.parametrize(
    "number, right, why",
    [
        (0.39, True, ""),
        (0.44, True, ""),  # the bound belongs to it
        (0.34, True, ""),
        (0.4401, False, None),
        (0.45, False, "That is the middle."),
        (0.62, False, "That is the amplitude."),
        (0.65, False, "That is the amplitude."),
        (0.6, False, None),
        (-1, False, None),
        (10**6, False, None),
    ],
)
def test_numbers(own, number, right, why):
    _, question = own
    case = question.judged(number)
    assert (case.why if case else None) == why
    assert Prediction(question).commit(number).right is right


def test_of_two_wrong_numbers_the_nearest():
    wrong = [dict(value=2, within=2, why="two"), dict(value=3, within=2, why="three")]
    question = Question("a.b", TYPED | {"wrong": wrong})
    assert question.judged(2.4).why == "two" and question.judged(2.6).why == "three"
    assert question.judged(1.1).right, "the right one first"


@pytest.mark.parametrize("odd", ["a", "0.4", None, True, float("nan"), float("inf"), ...])
def test_what_is_no_number(own, odd):
    with pytest.raises(ValueError, match=r"^answer must be a number; got "):
        Prediction(own[1]).commit(odd)


def test_what_the_browser_says(own):
    """`set_state` is how it arrives; of two pages on one kernel the first one wins."""
    question, _ = own
    first, second, seen = Prediction(question), Prediction(question), Seen(question)
    first.set_state({"_answer": "c"})
    second.set_state({"_answer": "b"})
    assert question.answer == "c"
    assert {part.get_state()["_answer"] for part in (first, second, seen)} == {"c"}


# what is shown


def test_the_text_forms_of_options(own):
    question, _ = own
    predict, seen = Prediction(question), Seen(question)
    assert predict.describe().splitlines() == [
        "Do the peaks of $q_t$ move towards each other, or **melt** where they stand?",
        "a) They move first",
        "b) They melt",
        "c) Neither: $x_t < 0$",
        'Your prediction: none yet. Without a page: predict("own.peaks").commit("a")',
    ]
    assert seen.describe() == CLOSED
    predict.commit("a")
    assert predict.describe().splitlines()[-1] == "Your prediction: a) They move first"
    first, rest = seen.describe().split("\n\n", 1)
    assert first.splitlines() == [
        "Not right: you committed to a) They move first",
        "The centres move by $0.1$ only.",
        "Right: b) They melt",
        "The width grows & the centres stay.",
        "Not right: c) Neither: $x_t < 0$",
        "That is a <sample>.",
    ]
    assert rest == question.seen


def test_the_text_forms_of_a_number(own):
    _, question = own
    predict, seen = Prediction(question), Seen(question)
    none = 'Your prediction (a number, nats): none yet. Without a page: predict("own.share").commit(...)'
    assert predict.describe().splitlines()[1:] == [none]
    predict.commit(0.6)
    assert predict.describe().endswith("\nYour prediction: 0.6 nats")
    first = seen.describe().split("\n\n")[0].splitlines()
    assert first[:2] == ["Not right: you committed to 0.6 nats", "Right: 0.39 nats (± 0.05)"]
    assert first[2:4] == ["Not right: 0.63 nats", "That is the amplitude."]


@pytest.mark.parametrize("cls", [Prediction, Seen])
def test_what_a_notebook_stores(own, cls):
    """Twice the same; and neither that nor the cell of the question holds the answer."""
    question, _ = own
    (data, _), (again, _) = (cls(question)._repr_mimebundle_() for _ in range(2))
    stored = {kind: value for kind, value in data.items() if "widget-view" not in kind}
    assert stored == {kind: value for kind, value in again.items() if "widget-view" not in kind}
    assert stored[QUIZ] == {"id": "own.peaks", "part": cls.part}
    assert "width grows" not in json.dumps(stored)
    assert "width grows" not in json.dumps(Prediction(question).get_state()["_content"])


def test_words_become_html(own):
    question, share = own
    page = question.pages["seen"]
    assert "<code>sigma</code>" in page["seen"] and "<li>wide</li>" in page["seen"]
    assert '<math display="block">' in page["seen"] and "<p><math" not in page["seen"]
    assert question.pages["predict"]["options"][2].startswith("Neither: <math>")
    assert "<sample>" not in page["otherwise"] and "&lt;sample&gt;" in page["otherwise"]
    assert "<em>variance</em>" in share.pages["predict"]["question"]
    assert question.html("a $$b$$ c\n\nd", inline=True).startswith('a <math display="block">')


def test_fragments(own):
    """Without JavaScript: the question and its options; and what was to be seen, in a box to open."""
    question, share = own
    predict, seen = fragment(question, "predict"), fragment(question, "seen")
    for html, part in ((predict, "predict"), (seen, "seen")):
        state = json.loads(re.search(r"<script .*?>(.*?)</script>", html, re.DOTALL)[1])
        assert state["_part"] == part and state["_key"] == "own.peaks" and state["_answer"] is None
        assert state["_content"] == question.pages[part]
    noscript = {html: re.search(r"<noscript>(.*)</noscript>", html, re.DOTALL)[1] for html in (predict, seen)}
    assert '<ol type="a"><li>They move first</li>' in noscript[predict]
    assert "width grows" not in predict
    assert noscript[seen].startswith("<details><summary>What you should have seen</summary>")
    assert "width grows" in noscript[seen]
    assert "<ol" not in fragment(share, "predict")
    (script,) = quiz_scripts().values()
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


def test_what_is_stored_is_shown_without_a_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(quiz, "FOLDER", tmp_path)
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    state = quiz.predict("own.share")._repr_mimebundle_()[0][QUIZ]
    assert quiz.stored(state) == fragment(quiz.question("own.share"), "predict")
    assert quiz.stored(state | {"id": "own.gone"}) is None
    assert quiz.stored(state | {"part": "gone"}) is None
