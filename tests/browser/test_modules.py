"""The browser's half, module by module: its pure helpers, imported as they are, without a widget."""

import json
import re

import numpy as np
import pytest

from diffusion_lab.engine import Frame, Scene
from diffusion_lab.engine.packing import Pack
from diffusion_lab.engine.page import MODULES, STATIC, bundle
from diffusion_lab.engine.scene import packed

pytestmark = pytest.mark.browser
ORIGIN = "http://modules.test"  # answered below: modules cannot be imported from file:


@pytest.fixture(scope="module")
def call(browser):
    """`call("util.js", "m => m.nearest([1, 2], 3)")`: what a function of a module gives."""
    page = browser.new_page()

    def answer(route):
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        script = name.endswith(".js")
        route.fulfill(
            body=(STATIC / name).read_text("utf-8") if script else "<!doctype html>",
            content_type="text/javascript" if script else "text/html",
        )

    page.route(f"{ORIGIN}/**", answer)
    page.goto(f"{ORIGIN}/")

    def call(module, function, argument=None):
        return page.evaluate(f"async (a) => ({function})(await import('{ORIGIN}/{module}'), a)", argument)

    yield call
    page.close()


HTML = "(m, words) => m.h('p', {}, ...m.typeset(words)).innerHTML"
WORDS = {
    "x_t": "x<sub>t</sub>",
    "L_(t−1), then √ᾱ_T.": "L<sub>t−1</sub>, then √ᾱ<sub>T</sub>.",
    "p(x) p(c|x)^w": "p(x) p(c|x)<sup>w</sup>",
    "∇ log q_t(x_t|x̂_0)": "∇ log q<sub>t</sub>(x<sub>t</sub>|x̂<sub>0</sub>)",
    "calls^(−order)": "calls<sup>−order</sup>",
    "ε_∅": "ε<sub>∅</sub>",
    "log_snr, dpm_solver_pp_2m, a_": "log_snr, dpm_solver_pp_2m, a_",
    "": "",
    "a < b & c_0": "a &lt; b &amp; c<sub>0</sub>",
}


@pytest.mark.parametrize("words", WORDS)
def test_words_are_set_like_print(call, words):
    assert call("util.js", HTML, words) == WORDS[words]


def test_a_layout_is_set_like_print_but_for_its_numbers(call):
    layout = {"title": {"text": "x_t"}, "annotations": [{"text": '<b style="color:red">—</b> σ_t', "x": 1.5}]}
    layout |= {"xaxis": {"range": [0, 1], "ticktext": ["t_0", "t_1"], "bdata": "a_b"}, "name": None}
    found = call("util.js", "(m, layout) => m.typesetAll(layout)", layout)
    assert found["title"]["text"] == "x<sub>t</sub>"
    assert found["annotations"] == [{"text": '<b style="color:red">—</b> σ<sub>t</sub>', "x": 1.5}]
    assert found["xaxis"] == layout["xaxis"], "typed arrays travel as they are"
    assert found["name"] is None


def test_patches_reach_down_and_change_nothing(call):
    base = {"line": {"color": "red", "width": 2}, "x": [1, 2], "y": {"bdata": "AA"}}
    patch = {"line": {"width": 5}, "x": [3], "y": {"bdata": "BB"}}
    both = call("util.js", "(m, [base, patch]) => [m.patched(base, patch), base]", [base, patch])
    assert both == [{"line": {"color": "red", "width": 5}, "x": [3], "y": {"bdata": "BB"}}, base]


@pytest.mark.parametrize("value, k", [(9, 0), (0.5, 1), (0.3, 2), (0.75, 0), (-1, 2)])
def test_the_nearest_position_is_pythons(call, value, k):
    """Also of two that are equally near."""
    places = [1.0, 0.5, 0.25]
    assert call("util.js", "(m, [places, value]) => m.nearest(places, value)", [places, value]) == k
    assert Scene({}, {}, [Frame(at) for at in places]).nearest(value) == k


@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_arrays_arrive_as_they_were_sent(call, dtype, shape):
    array = np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)
    read = "(m, a) => { const d = m.decoded(a); return (d[0].length ? d : [d]).map((row) => [...row]); }"
    assert call("moving.js", read, packed(array)) == np.atleast_2d(array).tolist()


def test_what_is_unfamiliar_is_not_moved(call):
    """Then plotly draws it anew."""
    moved = "(m, [plot, changes]) => m.moved(plot, [], changes)"
    assert call("moving.js", moved, [{"_fullData": [], "_fullLayout": {}}, {}]) is False
    strange = {"_fullData": [{"type": "pie", "visible": True}], "_fullLayout": {}, "calcdata": [[]]}
    assert call("moving.js", moved, [strange, {"0": {"y": [1]}}]) is False


def test_a_packed_scene_is_put_together_again(call):
    """packing.py and alone.js: rows as differences, parts kept once, NaN, whole bytes."""
    wave = np.sin(np.linspace(0, 6, 50)) + np.arange(3)[:, None]
    wave[1, 7] = np.nan
    bytes_ = np.arange(12, dtype=np.uint8).reshape(3, 4)
    frames = [
        {"at": k, "changes": {"wave": {"y": packed(wave[k])}, "field": {"z": packed(bytes_ + np.uint8(k))}}}
        for k in range(3)
    ]
    layout = {"yaxis": {"range": [-2, 4]}, "title": {"text": "a title of more than sixty characters " * 3}}
    scene = {"traces": {"wave": {}, "field": {"zmin": 0, "zmax": 20}}, "layout": layout, "frames": frames}
    pack = Pack()
    state, rows = pack.texts(_scene=pack.add(json.dumps(scene)))
    unfold = """async (m, [state, rows]) => {
        const { _parts, _rows, _scene } = await m.unzipped(state).json();
        const all = m.summed(new Uint8Array(await m.unzipped(rows).arrayBuffer()), _rows);
        const scene = m.unpacked(_scene, _parts, all), { decoded } = await import("/moving.js");
        const values = (array) => [...decoded(array)].map((row) => (row.length ? [...row] : row));
        return [scene.layout, scene.frames.map(({ at, changes }) =>
            [at, values(changes.wave.y), values(changes.field.z)])];
    }"""
    found, of_frames = call("alone.js", unfold, [state, rows])
    assert found == layout
    for k, (at, y, z) in enumerate(of_frames):
        assert at == k and z == (bytes_ + k).tolist()
        np.testing.assert_allclose(np.array(y, float), wave[k], atol=6 / 500)


INPUT = """({wordsInput}, [still, typed]) => {
    const box = document.createElement("div"), set = [];
    const c = {label: "caption", values: ["a", "b"], most: 9}, common = {disabled: false};
    let value = "b";
    const show = wordsInput(c, box, () => value, (v) => { value = v; set.push(v); show(); }, common, still);
    show();
    const [text, list] = [box.querySelector("input"), box.querySelector("select")];
    const at = () => [text?.value ?? null, list.selectedIndex];
    const seen = [at()];
    if (text) { text.value = typed; text.onchange(); seen.push(at()); }
    list.selectedIndex = 0;
    list.onchange();
    seen.push(at());
    return {seen, set, limit: text?.maxLength ?? null};
}"""


def test_words_are_typed_or_taken_from_the_examples(call):
    found = call("controls.js", INPUT, [False, " new "])
    assert found["seen"] == [["b", 1], ["new", -1], ["a", 0]]
    assert found["set"] == ["new", "a"] and found["limit"] == 9


def test_without_a_kernel_there_are_the_examples_only(call):
    found = call("controls.js", INPUT, [True, ""])
    assert found["seen"] == [[None, 1], [None, 0]] and found["set"] == ["a"]


def test_modules_need_only_those_before_them_and_share_no_name():
    """So that one after the other they are one module (`bundle`)."""
    names, order = [], [*MODULES, "alone.js", "quiz.js"]
    assert {path.name for path in STATIC.glob("*.js")} == set(order)
    for k, name in enumerate(order):
        source = (STATIC / name).read_text("utf-8")
        for needed in re.findall(r'^import .*? from "\./(.+?)";', source, re.MULTILINE | re.DOTALL):
            assert needed in order[:k], f"{name} needs {needed}"
        names += re.findall(
            r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", source, re.MULTILINE
        )
    assert len(set(names)) == len(names)
    whole = bundle(*order)
    assert not re.search(r"^(import|export)\b", whole, re.MULTILINE)
    assert all(re.search(rf"\b{name}\b", whole) for name in names)
