"""Explorer, without a browser: controls, scenes, words, errors, threads, and the page written to disk."""

import base64
import dataclasses
import json
import re
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import traitlets
from unpacking import scenes_of, whole

from diffusion_lab.engine import Choice, Explorer, Frame, Scene, Slider, Toggle, Words, page, text, widget
from diffusion_lab.engine.scene import packed


class Powers(Explorer):
    title = "Powers"
    sign = Choice("plus", ["plus", "minus", "wrong"])
    N = Slider(5, 1, 20, label="how many")
    scale = Slider(1.0, 0.5, 2.0, step=0.5)
    even = Toggle(False)
    n = Slider(2, 0, 20, main=True)

    def scene(self, *, sign, N, scale, even):
        if sign == "wrong":
            raise ValueError("neither plus nor minus")
        x, s = torch.linspace(-1, 1, 11), {"plus": scale, "minus": -scale}[sign]
        frames = [
            Frame(
                n,
                changes={"power": {"y": s * x**n}},
                numbers={"f(0.5)": s * 0.5**n, "terms": N},
                sentence=f"x to the power of {n}",
                warning="few" if N < 3 else "",
                code="x**n",
            )
            for n in range(0, N + 1, 2 if even else 1)
        ]
        return Scene({"power": {"x": x, "y": x, "name": "a </script> name"}}, {"height": 200}, frames)


def sent(explorer):
    """What the browser holds."""
    return json.loads(explorer._scene)


def decoded(array):
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def test_every_control_changes_the_scene_and_only_the_main_one_does_not():
    explorer = Powers(N=4, n=3, scale=2)
    assert list(explorer.controls) == ["sign", "N", "scale", "even", "n"]
    assert explorer.numbers == {"f(0.5)": "0.25", "terms": "4"}
    before = explorer._scene
    explorer.n = 2
    assert explorer._scene is before and explorer.numbers["f(0.5)"] == "0.5"
    for name, value in {"sign": "minus", "N": 5, "scale": 0.5, "even": True}.items():
        before = explorer._scene
        setattr(explorer, name, value)
        assert explorer._scene != before
    assert explorer.numbers == {"f(0.5)": "-0.125", "terms": "5"}
    expected = -0.5 * np.linspace(-1, 1, 11, dtype="f4") ** 2
    np.testing.assert_allclose(
        decoded(sent(explorer)["frames"][1]["changes"]["power"]["y"]), expected, atol=1e-6
    )


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("sign", "times", r"Powers\.sign = 'times': expected one of \['plus', 'minus', 'wrong'\]"),
        ("N", 21, r"Powers\.N = 21: expected a whole number in 1 … 20"),
        ("N", 2.5, r"Powers\.N = 2\.5: expected a whole number"),
        ("N", True, r"Powers\.N = True"),
        ("N", "5", r"Powers\.N = '5'"),
        ("scale", float("nan"), r"Powers\.scale = nan: expected a number in 0\.5 … 2\.0"),
        ("scale", None, r"Powers\.scale = None"),
        ("even", 1, r"Powers\.even = 1: expected True or False"),
        ("n", -1, r"Powers\.n = -1"),
    ],
)
def test_a_bad_value_is_named_and_changes_nothing(name, value, message):
    explorer = Powers()
    before = explorer.describe()
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(explorer, name, value)
    assert explorer.describe() == before
    with pytest.raises(traitlets.TraitError, match=message):
        Powers(**{name: value})


def test_numbers_of_numpy_are_numbers():
    explorer = Powers(N=np.int64(4), scale=np.float32(0.5))
    assert explorer.N == 4 and isinstance(explorer.N, int) and isinstance(explorer.scale, float)


def test_an_unknown_control_and_a_bad_default_are_errors():
    with pytest.raises(TypeError, match="Powers has no control 'M'"):
        Powers(M=3)
    with pytest.raises(traitlets.TraitError, match="expected a whole number in 0 … 10"):
        Slider(11, 0, 10)


def test_the_main_control_stands_on_a_position():
    explorer, seen = Powers(N=20, n=17), []
    explorer.observe(lambda change: seen.append(change.new), "n")
    explorer.N = 6
    assert explorer.n == 6 and seen == [6]
    explorer.n = 20
    assert explorer.n == 6
    explorer.n = 3
    explorer.even = True  # 0, 2, 4, 6: of two equally near the first
    assert explorer.n == 2
    assert Powers(n=20, N=7).n == 7
    explorer.set_state({"N": 20, "n": 18})  # merged by the browser: n belongs to the new N, in either order
    assert explorer.n == 18
    explorer.set_state({"n": 8, "N": 10})
    assert explorer.n == 8


def test_describe_is_what_notebooks_store():
    explorer = Powers(N=2)
    assert explorer.describe() == (
        "Powers\n"
        "sign = plus; how many = 2; scale = 1; even = False; n = 2\n"
        "f(0.5) = 0.25; terms = 2\n"
        "x to the power of 2\n"
        "Warning: few"
    )
    data, _ = explorer._repr_mimebundle_()
    assert data["text/plain"] == explorer.describe()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert Powers(N=2)._repr_mimebundle_()[0]["text/plain"] == data["text/plain"]


def test_an_error_is_raised_shown_and_left_behind():
    explorer = Powers()
    before = explorer._scene
    with pytest.raises(ValueError, match="neither plus nor minus"):
        explorer.sign = "wrong"
    assert explorer._error == "ValueError: neither plus nor minus" and explorer._scene == before
    assert "neither plus nor minus (the numbers are from before this error)" in explorer.describe()
    explorer.n = 1  # the frames from before still move
    assert explorer.numbers["f(0.5)"] == "0.5"
    explorer.sign = "minus"
    assert not explorer._error and explorer.numbers["f(0.5)"] == "-0.5"
    with pytest.raises(ValueError, match="neither"):
        Powers(sign="wrong")


def test_an_error_from_the_browser_is_shown_and_not_raised():
    explorer, told = Powers(), []
    explorer.observe(lambda change: told.append(change.new), "sign")
    explorer.set_state({"sign": "wrong"})
    assert explorer._error and explorer._answered["sign"] == "wrong" and told == ["wrong"]
    explorer.set_state({"sign": "plus"})
    assert not explorer._error
    explorer.set_state({"N": 10_000})  # no slider of ours sends this, but a linked one may
    assert "Powers.N = 10000" in explorer._error and explorer.N == 5
    explorer.set_state({"n": 1})
    assert not explorer._error and explorer._answered["N"] == 5


def test_linked_explorers_follow_each_other():
    one, two = Powers(), Powers()
    traitlets.link((one, "N"), (two, "N"))
    one.N = 9
    assert two.N == 9 and two.numbers["terms"] == "9"
    two.N = 3
    assert one.numbers["terms"] == "3"


def test_no_update_is_lost_between_threads():
    class Slow(Powers):
        def scene(self, **values):
            time.sleep(0.0005)
            return super().scene(**values)

    one, two = Slow(), Slow()
    traitlets.link((one, "N"), (two, "N"))

    def hammer(explorer, control, values):
        for value in values:
            explorer.set_state({control: value})

    jobs = [(one, "N", [8 + i % 12 for i in range(150)] + [9]), (two, "n", [i % 8 for i in range(150)] + [4])]
    threads = [threading.Thread(target=hammer, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for i in range(150):  # meanwhile a cell runs
        two.scale = (0.5, 1.0, 2.0)[i % 3]
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for explorer in (one, two):
        assert explorer._answered == explorer.values()
        assert explorer.N == 9 and explorer.shown.positions == [
            frame["at"] for frame in sent(explorer)["frames"]
        ] == list(range(10))
    assert two.n == 4 and two.scale == 2.0 and two.numbers == {"f(0.5)": "0.125", "terms": "9"}


def test_a_scene_that_does_not_fit_together_says_so():
    with pytest.raises(
        ValueError, match=r"frame at 3 changes \['dots', 'path'\], but traces are \['cloud'\]"
    ):
        Scene({"cloud": {}}, {}, [Frame(3, {"path": {}, "dots": {}, "cloud": {}, "layout": {}})])
    with pytest.raises(ValueError, match=r"different places.*\[0, 1, 1\]"):
        Scene({}, {}, [Frame(0), Frame(1), Frame(1)])
    with pytest.raises(ValueError, match="at least one"):
        Scene({}, {}, [])
    with pytest.raises(dataclasses.FrozenInstanceError):
        Scene({}, {}).digits = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        Frame().sentence = "other"


def test_positions_may_fall_and_may_be_real():
    scene = Scene({}, {}, [Frame(at) for at in np.array([1.0, 0.5, 0.25])])
    assert [scene.nearest(v) for v in (9, 0.5, 0.3, 0)] == [0, 1, 2, 2]
    assert all(type(at) is float for at in scene.positions)
    assert [frame["at"] for frame in json.loads(scene.to_json())["frames"]] == [1.0, 0.5, 0.25]


def test_plotly_objects_are_traces_and_layouts_too():
    graph_objects = pytest.importorskip("plotly.graph_objects")
    figure = graph_objects.Figure(graph_objects.Heatmap(z=np.eye(3)), layout_title_text="eye")
    sent = json.loads(Scene({"eye": figure.data[0]}, figure.layout).to_json())
    assert sent["traces"]["eye"]["z"]["shape"] == "3, 3" and sent["layout"]["title"]["text"] == "eye"
    assert "template" not in sent["layout"]


def test_words_are_any_and_the_scene_says_which_make_sense():
    class Said(Explorer):
        title = "Said"
        words = Words("red", examples=["red", "blue"])

        def scene(self, *, words):
            if words == "purple":
                raise ValueError("words must be colours; got purple")
            return Scene({}, {}, [Frame(0, numbers={"length": len(words)})])

    said = Said()
    assert said.spec["controls"][0]["values"] == ["red", "blue"] and said.spec["controls"][0]["most"] == 120
    said.words = "  green "
    assert said.words == "green" and said.numbers == {"length": "5"}
    with pytest.raises(ValueError, match="got purple"):
        said.words = "purple"
    assert said.words == "purple" and "got purple" in said.describe()  # what was typed stays
    for bad in (3, None, "x" * 121):
        with pytest.raises(traitlets.TraitError, match="words of at most 120 characters"):
            said.words = bad


def test_a_choice_takes_numbers_and_words_and_tells_them_from_truth_values():
    class Chosen(Explorer):
        title = "Chosen"
        label = Choice(3, ["any", *range(10)])
        width = Choice(0.5, [0.5, 1.0])

        def scene(self, *, label, width):
            return Scene({}, {}, [Frame(numbers={"label": label, "width": width})])

    explorer = Chosen(label="any")
    explorer.label = np.int64(7)
    assert explorer.label == 7 and type(explorer.label) is int and explorer.numbers["label"] == "7"
    explorer.width = 1
    assert type(explorer.width) is float
    for wrong in ("7", 10, True, None, [7]):
        with pytest.raises(traitlets.TraitError, match=r"Chosen\.label = .*: expected one of \['any', 0, 1"):
            explorer.label = wrong
    json.dumps([control.spec() for control in Chosen.controls.values()])


def test_what_travels_is_small_and_exact():
    array = np.array([[0, 255]], np.uint8)
    assert packed(array)["dtype"] == "u1" and decoded(packed(array)).tolist() == [0, 255]
    assert decoded(packed(torch.tensor([1.5, torch.inf], dtype=torch.float64))).tolist() == [1.5, np.inf]
    assert packed({"a": (1, float("nan"), np.float32(0.5))}) == {"a": [1, None, 0.5]}
    assert packed(np.array(["x", "y"])) == ["x", "y"] and packed(np.array(2.0)) == 2.0
    y = np.random.default_rng(0).normal(size=300)
    assert len(Scene({"wave": {}}, {}, [Frame(n, {"wave": {"y": y}}) for n in range(1000)]).to_json()) < 2e6


@pytest.mark.parametrize(
    "value, expected",
    [(0.000040358, "4.036e-05"), (-0.0, "0"), (1000, "1000"), (torch.tensor(0.5), "0.5"), ("−∞", "−∞")],
)
def test_one_way_to_write_a_number(value, expected):
    assert text(value) == expected


def test_to_html_writes_one_page_that_needs_nothing_else(tmp_path):
    explorer = Powers(N=2)
    page = explorer.to_html(tmp_path / "page.html", precompute=["sign", "even"]).read_text("utf-8")
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["'](?!data:)""", page)
    assert page.count("</script") == 4  # two with data, plotly.js, explorer.js: nothing ends one early
    state, rows = scenes_of(page)
    assert state["_spec"]["live"] == ["n", "sign", "even"] and len(state["_scenes"]) == 6
    by_value = {(s["_answered"]["sign"], s["_answered"]["even"]): s for s in state["_scenes"]}
    here, there = (whole(by_value[key]["_scene"], state, rows) for key in [("plus", False), ("minus", True)])
    assert here.keys() == sent(explorer).keys()
    assert [f["numbers"] for f in here["frames"]] == [f["numbers"] for f in sent(explorer)["frames"]]
    np.testing.assert_allclose(here["frames"][1]["changes"]["power"]["y"], np.linspace(-1, 1, 11), atol=1e-3)
    assert there["frames"][1]["numbers"] == {"f(0.5)": "-0.25", "terms": "2"}
    assert by_value["wrong", True]["_error"] == "ValueError: neither plus nor minus"
    assert "Warning: few" in page  # the words, where no script runs


def test_a_page_of_its_own_has_a_main_part_a_heading_and_a_background(tmp_path):
    page = Powers(N=2).to_html(tmp_path / "page.html").read_text("utf-8")
    assert page.count('<main data-heading="1">') == page.count("</main>") == 1
    assert page.index("<main") < page.index('<div class="diffusion-lab">') < page.index("</main>")
    assert "background: Canvas; color: CanvasText" in page and "color-scheme: light dark" in page


def test_a_slow_page_shows_progress_and_a_quick_one_nothing(tmp_path, monkeypatch, capfd):
    seen = []

    def bar(every, **options):
        seen.append((len(every), options["delay"], options["disable"]))
        return every

    Powers(N=2).to_html(tmp_path / "page.html", precompute=["even"])
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(page, "tqdm", bar)
    Powers(N=2).to_html(tmp_path / "page.html", precompute=["sign", "even"])
    counted = []
    Powers(N=2).to_fragment(["even"], each=lambda: counted.append(1))  # the caller has a bar of its own
    assert seen == [(6, 2, False), (2, 2, True)] and len(counted) == 2


def test_what_is_saved_in_static_is_on_the_page_at_once(monkeypatch):
    """With ANYWIDGET_HMR=1, for those who write on it."""
    saved, sent = threading.Event(), threading.Event()

    def watch(folder):
        assert (folder / "explorer.js").is_file()
        assert saved.wait(300)
        yield {"changed"}

    monkeypatch.setitem(sys.modules, "watchfiles", SimpleNamespace(watch=watch))
    monkeypatch.setenv("ANYWIDGET_HMR", "1")
    explorer = Powers()
    explorer.observe(lambda change: sent.set(), "_esm")
    monkeypatch.setattr(widget, "esm", lambda: "export default { render() {} }")
    saved.set()
    assert sent.wait(300) and explorer._esm == "export default { render() {} }"
