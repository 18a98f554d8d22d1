"""Every explorer, live in a JupyterLab: every control by keyboard; shown is what Python computes.

The notebook is opened once; every test leaves the controls as it found them.
"""

import functools
import math
import re
from types import SimpleNamespace

import pytest
from labtools import (
    PLAIN,
    control,
    drawing,
    explorer,
    fresh_page,
    hold_play,
    kernels_end,
    number_box,
    numbers,
    open_notebook,
    points,
    run_all,
    run_cell,
    settled,
    tick,
    until,
    words,
    write_notebook,
)
from playwright.sync_api import expect

from diffusion_lab.experiments.bound import SCALED, UNSCALED
from diffusion_lab.explorers import (
    Augment,
    Bill,
    ChainAndJump,
    Denoising,
    ElboTerms,
    ElboTotals,
    Guidance,
    Latent,
    NoiseSchedules,
    OneStep,
    OwnData,
    Posterior,
    Repair,
    Rivals,
    SampleMetrics,
    SamplerRace,
    SayIt,
    Scanner,
    ScoreAndEps,
    SdeAndOde,
    SdEdit,
    SuperResolution,
    TrainingReplay,
)

pytestmark = pytest.mark.browser

PAIR = ((-0.5, 0.0), (0.5, 0.25))
SAID, UNSEEN = "a large red circle on the left", "a large green triangle in the middle"
CORNER = ((0.62, 0.62), (0.88, 0.88))  # pixels to hide
# The state of each explorer at the start: one in which every control matters to the picture.
START = {
    NoiseSchedules: dict(first="linear", second="cosine", third="sigmoid", T=100, t=60),
    Denoising: dict(source="digits", label=3, steps=10, step=4),
    ScoreAndEps: dict(view="score", shown_by="exact", t=300),
    OneStep: dict(source="held-out", index=27, told=True, seed=0, t=196),
    ChainAndJump: dict(source="1-D mixture", schedule="cosine", seed=0, t=40),
    Posterior: dict(schedule="cosine", x0=-0.6, x_t=0.9, gap=10, t=50),
    ElboTerms: dict(source="mixture", denoiser="exact", variance="small", schedule="cosine", T=50, t=5),
    ElboTotals: dict(source="mixture", denoiser="exact", variance="small", schedule="cosine", T=50),
    OwnData: dict(points=PAIR, std=0.1, schedule="cosine", sampler="ddpm", seed=0, t=141),
    TrainingReplay: dict(source="mixture", t=225, step=120),
    SampleMetrics: dict(how="blur", N=50, s=0.2),
    SamplerRace: dict(source="mixture", spacing="log_snr", calls=10),
    SdeAndOde: dict(process="vp", steps=20, rank=40, seed=0, u=0.4),
    Guidance: dict(label="blob 1", seed=0, w=2.5),
    SdEdit: dict(source="digits", guide=PAIR, sampler="dpm_solver_pp_2m", seed=0, t0=400),
    Repair: dict(hidden=CORNER, method="replacement", picture=30, seed=0, step=20),
    Scanner: dict(kind="CT", lesion=True, seed=1, count=4),
    SuperResolution: dict(method="network told y", picture=2, w=0.5),
    Latent: dict(label=3, work=5, seed=0, dim=32),
    Rivals: dict(penalties=False, seed=0, done=22),
    SayIt: dict(caption=SAID, trained=600, seed=0, w=1.0),
    Bill: dict(network="DiT, patch 2", precision="fp32", steps=50, size=32),
    Augment: dict(n=10, generator="own covariances", seed=0, m=8),
}
EVERY = pytest.mark.parametrize("cls", START, ids=lambda cls: cls.__name__)

# For each control: the keys (or what is typed into its number box) and the value they lead to; the last
# move leads back to the start. Two explorers try every kind of key. (test_site.py and test_explorers.py look
# at the ends of all sliders.)
SPACE, UP, DOWN, LEFT, RIGHT = " ", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"
TYPED = "type "
MOVES = {
    (NoiseSchedules, "first"): [(DOWN, "quadratic"), ("l", "linear")],
    (NoiseSchedules, "second"): [(UP, "quadratic"), ("Home", "none"), ("c", "cosine")],
    (NoiseSchedules, "third"): [("Home", "none"), ("s", "sigmoid")],
    (NoiseSchedules, "T"): [(LEFT, 90), (RIGHT, 100), ("End", 1000), (TYPED + "100", 100)],
    (NoiseSchedules, "beta_T"): [(RIGHT, 0.03), ("End", 0.5), (TYPED + "0.02", 0.02)],
    (NoiseSchedules, "s"): [(RIGHT, 0.012), ("Home", 0.0), (TYPED + "0.008", 0.008)],
    (NoiseSchedules, "tau"): [(LEFT, 0.9), ("End", 2.0), (TYPED + "1", 1.0)],
    (NoiseSchedules, "zero_snr"): [(SPACE, True), (SPACE, False)],
    (NoiseSchedules, "t"): [(RIGHT, 61), ("Home", 0), ("End", 100), (LEFT, 99), (TYPED + "60", 60)],
    (Denoising, "source"): [(UP, "mixture, learned"), (UP, "mixture, exact"), ("d", "digits")],
    (Denoising, "label"): [(DOWN, 4), ("Home", "any"), ("3", 3)],
    (Denoising, "sampler"): [(DOWN, "ddpm"), (UP, "ddim")],
    (Denoising, "steps"): [(RIGHT, 11), (LEFT, 10), ("End", 50), (TYPED + "10", 10)],
    (Denoising, "seed"): [(RIGHT, 1), ("End", 99), ("Home", 0), (TYPED + "42", 42), (TYPED + "0", 0)],
    (Denoising, "step"): [(LEFT, 3), ("End", 10), ("Home", 0), (TYPED + "4", 4)],
    (ScoreAndEps, "view"): [(DOWN, "eps"), ("End", "x0"), ("v", "v"), ("Home", "score")],
    (ScoreAndEps, "shown_by"): [(DOWN, "learned"), (DOWN, "learned − exact"), ("Home", "exact")],
    (ScoreAndEps, "t"): [(RIGHT, 309), (TYPED + "288", 291)],
    (OneStep, "source"): [(DOWN, "training"), (UP, "held-out")],
    (OneStep, "index"): [(RIGHT, 28), (TYPED + "27", 27)],
    (OneStep, "told"): [(SPACE, False), (SPACE, True)],
    (OneStep, "seed"): [(RIGHT, 1), ("End", 20), ("Home", 0)],
    (Posterior, "schedule"): [(DOWN, "sigmoid"), (UP, "cosine")],
    (Posterior, "x0"): [("End", 1.0), (TYPED + "-0.6", -0.6)],
    (Posterior, "x_t"): [("Home", -2.0), (TYPED + "0.9", 0.9)],
    (Posterior, "gap"): [(RIGHT, 11), (TYPED + "10", 10)],
    (Posterior, "t"): [(RIGHT, 51), (TYPED + "50", 50)],
    (ChainAndJump, "source"): [("End", "digit"), ("Home", "1-D mixture")],
    (ChainAndJump, "schedule"): [(DOWN, "sigmoid"), (UP, "cosine")],
    (ChainAndJump, "seed"): [(RIGHT, 1), ("Home", 0)],
    (ChainAndJump, "t"): [(RIGHT, 41), (TYPED + "40", 40)],
    (OneStep, "t"): [("Home", 1), (TYPED + "196", 196)],
    (ElboTerms, "source"): [(DOWN, "digits"), (UP, "mixture")],
    (ElboTerms, "denoiser"): [("l", "learned"), ("Home", "exact")],
    (ElboTerms, "variance"): [(DOWN, "large"), (UP, "small")],
    (ElboTerms, "schedule"): [("End", UNSCALED), (UP, SCALED), ("Home", "cosine")],
    (ElboTerms, "T"): [("Home", 25), (DOWN, 50), (DOWN, 100), (UP, 50)],
    (ElboTerms, "t"): [(RIGHT, 6), (TYPED + "5", 5)],
    (ElboTotals, "source"): [(DOWN, "digits"), (UP, "mixture")],
    (ElboTotals, "denoiser"): [(DOWN, "learned"), (UP, "exact")],
    (ElboTotals, "variance"): [(DOWN, "large"), (UP, "small")],
    (ElboTotals, "schedule"): [("End", UNSCALED), (UP, SCALED), ("Home", "cosine")],
    (ElboTotals, "T"): [(RIGHT, 100), ("Home", 25), (TYPED + "60", 50)],
    (OwnData, "points"): [("Enter", (*PAIR, (0.0, 0.0))), ("Delete", PAIR)],  # where the keys' cursor starts
    (OwnData, "std"): [(RIGHT, 0.12), (TYPED + "0.1", 0.1)],
    (OwnData, "schedule"): [("End", "linear"), (UP, "sigmoid"), (UP, "cosine")],
    (OwnData, "sampler"): [(UP, "ddim"), (DOWN, "ddpm")],
    (OwnData, "seed"): [(RIGHT, 1), ("End", 20), ("Home", 0)],
    (OwnData, "t"): [(RIGHT, 118), (TYPED + "150", 141)],
    (SdeAndOde, "process"): [("End", "straight"), ("v", "vp")],
    (SdeAndOde, "steps"): [(UP, 10), (DOWN, 20)],
    (SdeAndOde, "rank"): [(LEFT, 39), (RIGHT, 40)],
    (SdeAndOde, "seed"): [(RIGHT, 1), ("Home", 0)],
    (SdeAndOde, "u"): [(RIGHT, 0.35), (TYPED + "0.4", 0.4)],
    (TrainingReplay, "source"): [(DOWN, "digits"), (UP, "mixture")],
    (TrainingReplay, "t"): [(DOWN, 375), ("Home", 75), (DOWN, 225)],
    (TrainingReplay, "step"): [(RIGHT, 140), (TYPED + "125", 120)],
    (SampleMetrics, "how"): [("End", "copies"), ("n", "noise"), (UP, "blur")],
    (SampleMetrics, "N"): [(DOWN, 100), (UP, 50)],
    (SampleMetrics, "s"): [(RIGHT, 0.3), (TYPED + "0.2", 0.2)],
    (SamplerRace, "source"): [(UP, "Gaussian"), ("End", "digits"), (UP, "mixture")],
    (SamplerRace, "spacing"): [(DOWN, "karras"), (UP, "log_snr")],
    (SamplerRace, "calls"): [(RIGHT, 14), (TYPED + "10", 10)],
    (Repair, "hidden"): [("Enter", (*CORNER, (0.0, 0.0))), ("Delete", CORNER)],
    (Repair, "method"): [("End", "exact guidance"), (UP, "ΠGDM, flat"), ("Home", "replacement")],
    (Repair, "picture"): [(RIGHT, 31), (TYPED + "30", 30)],
    (Repair, "seed"): [("End", 20), ("Home", 0)],
    (Repair, "step"): [(RIGHT, 21), (TYPED + "20", 20)],
    (Guidance, "label"): [("End", "digit 9"), ("Home", "blob 0"), (DOWN, "blob 1")],
    (Guidance, "seed"): [(RIGHT, 1), ("Home", 0)],
    (Guidance, "w"): [(RIGHT, 2.75), (TYPED + "2.5", 2.5)],
    (SdEdit, "source"): [("Home", "two modes"), (DOWN, "2-D mixture"), ("End", "digits")],
    (SdEdit, "guide"): [("Enter", (*PAIR, (0.0, 0.0))), ("Delete", PAIR)],
    (SdEdit, "sampler"): [(UP, "sde_dpm_solver_pp_2m"), (DOWN, "dpm_solver_pp_2m")],
    (SdEdit, "seed"): [(RIGHT, 1), ("Home", 0)],
    (SdEdit, "t0"): [(RIGHT, 500), ("End", 1000), (TYPED + "390", 400)],
    (SuperResolution, "method"): [("Home", "Gaussian, exact"), (DOWN, "network told y")],
    (SuperResolution, "picture"): [(RIGHT, 3), (TYPED + "2", 2)],
    (SuperResolution, "w"): [(RIGHT, 0.5625), ("End", 1.25), (TYPED + "0.5", 0.5)],
    (SayIt, "caption"): [(TYPED + UNSEEN, UNSEEN), ("Home", SAID)],
    (SayIt, "trained"): [(DOWN, 2000), (UP, 600)],
    (SayIt, "seed"): [(RIGHT, 1), ("Home", 0)],
    (SayIt, "w"): [(RIGHT, 1.5), ("End", 8.0), (TYPED + "1", 1.0)],
    (Latent, "label"): [(DOWN, 4), (UP, 3)],
    (Latent, "work"): [("Home", 2), (DOWN, 5)],
    (Latent, "seed"): [(RIGHT, 1), ("Home", 0)],
    (Latent, "dim"): [(RIGHT, 36), ("End", 64), (TYPED + "32", 32)],
    (Rivals, "penalties"): [(SPACE, True), (SPACE, False)],
    (Rivals, "seed"): [(RIGHT, 1), ("Home", 0)],
    (Rivals, "done"): [(RIGHT, 32), ("End", 100), (TYPED + "22", 22)],
    (Scanner, "kind"): [(DOWN, "MR"), (UP, "CT")],
    (Scanner, "lesion"): [(SPACE, False), (SPACE, True)],
    (Scanner, "seed"): [(RIGHT, 2), ("End", 20), (TYPED + "1", 1)],
    (Scanner, "count"): [(RIGHT, 5), ("End", 12), (TYPED + "4", 4)],
    (Bill, "network"): [(UP, "DiT, patch 4"), ("Home", "U-Net"), ("End", "DiT, patch 2")],
    (Bill, "precision"): [(DOWN, "bf16"), (UP, "fp32")],
    (Bill, "steps"): [(DOWN, 250), ("Home", 10), (DOWN, 50)],
    (Bill, "size"): [(RIGHT, 40), ("Home", 8), (TYPED + "32", 32)],
    (Augment, "n"): [(DOWN, 20), ("End", 200), ("Home", 5), (DOWN, 10)],
    (Augment, "generator"): [
        (DOWN, "one covariance"),
        ("End", "the truth itself"),
        ("Home", "own covariances"),
    ],
    (Augment, "seed"): [(RIGHT, 1), ("Home", 0)],
    (Augment, "m"): [(RIGHT, 16), ("End", 64), ("Home", 0), (TYPED + "8", 8)],
}


@pytest.fixture(scope="module")
def lab(browser, jupyterlab):
    """One page with one notebook; `find(cls)` is an explorer on it, `python(code)` runs a cell below them."""
    cells = [f"from diffusion_lab.explorers import {', '.join(cls.__name__ for cls in START)}"]
    cells += [
        f"{cls.__name__.lower()} = {cls.__name__}(**{START[cls]})\n{cls.__name__.lower()}" for cls in START
    ]
    path = write_notebook(jupyterlab.root / "every_explorer.ipynb", *cells, "pass")
    seen = jupyterlab.log.stat().st_size

    def find(cls):
        return explorer(page, list(START).index(cls))

    def python(code):
        """Run `code` in the last cell; returns a function that says what is printed below it."""
        run_cell(page, -1, code)
        outputs = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
        return lambda: "".join(outputs.all_text_contents()).rstrip()

    def complaints():
        """All that went wrong since the last time it was asked."""
        nonlocal seen
        with jupyterlab.log.open("rb") as log:
            log.seek(seen)
            new = log.read().decode()
        seen += len(new.encode())
        entries = page.locator("[title*='log entries']")  # the log console, where callbacks' errors go
        found = errors + [new] * ("Traceback" in new) + entries.evaluate_all("all => all.map(n => n.title)")
        errors.clear()
        return found

    view = {"width": 1280, "height": 900}
    with kernels_end(jupyterlab), fresh_page(browser, viewport=view) as (page, errors):
        open_notebook(page, jupyterlab, path)
        run_all(page)
        explorer(page, len(START) - 1)
        yield SimpleNamespace(page=page, find=find, python=python, complaints=complaints)


@pytest.fixture(autouse=True)
def nothing_goes_wrong(request):
    """After each test: no error on the page, in the console or in a log; the notebook intact."""
    yield
    if "lab" in request.fixturenames:
        lab = request.getfixturevalue("lab")
        assert not lab.complaints()
        assert set(lab.page.locator("[data-role=error]").all_text_contents()) == {""}
        assert lab.page.locator(".jp-Cell").count() == len(START) + 2, "a key went to the notebook"
        assert lab.page.locator(".jp-Dialog").count() == 0


def values(root, cls) -> dict:
    """What the inputs on the page say."""
    said = root.evaluate(
        """node => Object.fromEntries([...node.querySelectorAll("[data-control]")].map((box) => {
            const number = box.querySelector("input[type=number]"), list = box.querySelector("select");
            const typed = box.querySelector("input[type=text]");
            const value = (typed ?? number ?? list)?.value ?? box.querySelector("input")?.checked;
            return [box.dataset.control, value];
        }))"""
    )
    for name, c in cls.controls.items():
        if c.kind == "slider":
            said[name] = (int if c.whole else float)(said[name])
        elif c.kind == "choice":  # a number, or a word
            said[name] = next((value for value in c.values if str(value) == said[name]), said[name])
        elif c.kind == "points":
            said[name] = points(root)
    return {name: said[name] for name in cls.controls}


def move(root, name: str, keys: str):
    """Press a key on a control, or type into its box, and wait for the answer."""
    if keys.startswith(TYPED):
        box = number_box(root, name)
        box.press("Control+a")
        box.press_sequentially(keys.removeprefix(TYPED))
        box.press("Enter")
    else:
        control(root, name).press(keys)
    settled(root)


def drawn(root, unlike) -> str:
    """The drawing, which is another than `unlike`."""
    now = drawing(root)
    assert now != unlike, "the drawing did not change"
    return now


@functools.lru_cache(64)
def scene(cls, others):
    """What a fresh explorer shows with these values of the other controls."""
    return cls(**dict(others)).shown


def assert_shows(root, cls, state: dict):
    """The page says what a fresh explorer with these control values says; returns its scene and frame."""
    shown = scene(cls, tuple((name, value) for name, value in state.items() if name != cls.main))
    k = shown.nearest(state[cls.main])
    frame = shown.frames[k]
    assert shown.positions[k] == state[cls.main]
    assert numbers(root) == shown.numbers(k)
    said = root.evaluate(
        f"""node => [...["sentence", "warning", "code"]
            .map((role) => node.querySelector(`[data-role=${{role}}]`)).map({PLAIN}),
            node.querySelector(".plot").ariaLabel]"""
    )
    assert said == [frame.sentence, frame.warning, frame.code, frame.alt or cls.title]
    return shown, k


def test_every_control_is_moved_here():
    assert set(MOVES) == {(cls, name) for cls in START for name in cls.controls}


@pytest.mark.parametrize("cls, name", MOVES, ids=[f"{cls.__name__}-{name}" for cls, name in MOVES])
def test_by_keyboard(lab, cls, name):
    root = lab.find(cls)
    state, first = values(root, cls), drawing(root)
    before, picture = dict(state), first
    assert_shows(root, cls, state)
    for keys, value in MOVES[cls, name]:
        move(root, name, keys)
        state[name] = value
        assert values(root, cls) == state
        assert_shows(root, cls, state)
        picture = drawn(root, unlike=picture)
    assert state == before
    assert picture == first


@EVERY
def test_buttons_by_keyboard(lab, cls):
    root, main = lab.find(cls), cls.main
    state, picture = values(root, cls), drawing(root)
    shown, k = assert_shows(root, cls, state)
    for title, key, step in [
        ("step forward", "Enter", 1),
        ("step back", " ", -1),
        ("step back", "Enter", -1),
    ]:
        root.get_by_role("button", name=title).press(key)
        settled(root)
        k += step
        state[main] = shown.positions[k]
        assert values(root, cls) == state
        assert_shows(root, cls, state)
        picture = drawn(root, unlike=picture)
    hold_play(lab.page)
    root.get_by_role("button", name="play").press("Enter")
    for _ in range(2):
        assert 50 <= tick(lab.page) <= 400
    root.get_by_role("button", name="pause").press(" ")
    expect(root.get_by_role("button", name="play")).to_be_visible()
    settled(root)
    k += 2 * math.ceil(len(shown.positions) / 160)
    state[main] = shown.positions[k]
    assert values(root, cls) == state
    assert_shows(root, cls, state)
    drawn(root, unlike=picture)
    move(root, main, f"{TYPED}{START[cls][main]}")


@EVERY
def test_marks_move_to_where_plotly_would_draw_them(lab, cls):
    """explorer.js moves marks inside a layout that stays (`moved`): the same drawing as one made anew."""
    root, main = lab.find(cls), cls.main
    for keys in ("End", LEFT, "Home", RIGHT, f"{TYPED}{START[cls][main]}"):
        move(root, main, keys)
        moved = drawing(root)
        root.locator(".plot").evaluate("plot => Plotly.redraw(plot)")  # lays all of it out anew
        assert drawing(root) == moved


@EVERY
def test_the_kernel_knows_and_python_moves_the_controls(lab, cls):
    root, name = lab.find(cls), cls.__name__.lower()
    state, picture = values(root, cls), drawing(root)
    until(lab.python(f"print({name}.describe())"), cls(**state).describe())
    changed = {
        NoiseSchedules: dict(T=50, t=20, third="quadratic", zero_snr=True, tau=0.5),
        Denoising: dict(source="mixture, learned", seed=5, step=9),
        ScoreAndEps: dict(view="v", shown_by="learned", t=100),
        OneStep: dict(source="training", index=5, told=False, t=300),
        ChainAndJump: dict(source="2-D mixture", seed=5, t=20),
        Posterior: dict(schedule="linear", x0=0.5, gap=3, t=20),
        ElboTerms: dict(source="digits", denoiser="learned", variance="large", schedule="sigmoid", t=30),
        ElboTotals: dict(source="digits", denoiser="learned", variance="large", schedule="sigmoid", T=200),
        OwnData: dict(points=[(0.5, -0.5), (0.25, 0.75), (-1, 1)], sampler="ddim", t=35),
        TrainingReplay: dict(source="digits", t=375, step=300),
        SampleMetrics: dict(how="drop classes", N=100, s=0.5),
        SamplerRace: dict(source="Gaussian", spacing="karras", calls=40),
        SdeAndOde: dict(process="straight", steps=10, rank=90, u=0.1),
        Guidance: dict(label="blob 2", seed=5, w=3.5),
        Scanner: dict(kind="MR", lesion=False, seed=5, count=2),
        SuperResolution: dict(method="Gaussian, exact", picture=5, w=1.0),
        Latent: dict(label=5, work=2, seed=3, dim=16),
        Rivals: dict(penalties=True, seed=3, done=58),
        Bill: dict(network="U-Net", precision="bf16", steps=1000, size=16),
        Augment: dict(n=50, generator="round", seed=3, m=32),
        SayIt: dict(caption="a small blue circle below a large red square", trained=2000, seed=5, w=4.0),
        SdEdit: dict(source="2-D mixture", guide=[(0.5, -0.5), (-1, 1)], seed=5, t0=150),
        Repair: dict(hidden=[(0.62, 0.62), (-0.38, 0.12)], method="RePaint", picture=5, step=10),
    }[cls]
    lab.python(f"for key, value in {changed}.items():\n    setattr({name}, key, value)")
    expected = {key: getattr(cls(**state | changed), key) for key in state}
    until(lambda: values(root, cls), expected)
    drawn(root, unlike=picture)
    assert_shows(root, cls, expected)
    lab.python(f"for key, value in {state}.items():\n    setattr({name}, key, value)")
    until(lambda: values(root, cls), state)
    assert drawing(root) == picture


def test_the_warning_comes_and_goes(lab):
    root = lab.find(NoiseSchedules)
    warning = root.locator("[data-role=warning]")
    expect(warning).to_contain_text("still holds data: linear")
    assert words(root, "warning").startswith("x_T still holds data: linear (√ᾱ_T = 0.6).")  # T = 100
    lab.python("noiseschedules.T = 1000")
    expect(warning).to_have_text("")
    lab.python("noiseschedules.T = 50")
    expect(warning).to_be_visible()
    assert "linear (√ᾱ_T = 0.78)" in words(root, "warning")
    lab.python("noiseschedules.T = 100; noiseschedules.t = 60")
    expect(number_box(root, "t")).to_have_value("60")
    settled(root)


@EVERY
def test_every_control_has_a_name_and_a_place_in_the_tab_order(lab, cls):
    root, page = lab.find(cls), lab.page
    cdp = page.context.new_cdp_session(page)
    nth = f"document.querySelectorAll('.diffusion-lab-explorer')[{list(START).index(cls)}]"
    node = cdp.send("Runtime.evaluate", {"expression": nth})["result"]["objectId"]
    tree = cdp.send("Accessibility.queryAXTree", {"objectId": node})["nodes"]
    roles = {"slider", "spinbutton", "combobox", "checkbox", "button", "DisclosureTriangle", "application"}
    roles.add("textbox")
    names = [n["name"]["value"] for n in tree if not n["ignored"] and n["role"]["value"] in roles]
    inputs = "input, select, button, summary, .pad"
    assert len(names) == root.locator(inputs).count()
    assert all(names) and len(set(names)) == len(names), names
    for c in cls.controls.values():
        assert (c.label or c.name).replace("_", "") in names  # x_t is read as xt
    walk = f"""node => [...node.querySelectorAll("{inputs}")].indexOf(document.activeElement)"""
    root.locator(inputs).first.focus()
    places = []
    for _ in names:
        places.append(root.evaluate(walk))
        page.keyboard.press("Tab")
    assert places == list(range(len(names)))  # as they stand on the page, and none is skipped
    root.locator("summary").press("Enter")
    expect(root.locator("[data-role=code]")).to_be_visible()
    root.locator("summary").press("Enter")


# For every piece of text in sight: its colour's contrast to what is behind it, as WCAG defines it.
CONTRASTS = """root => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const known = new Map();
    const luminance = (...layers) => {  // layers of CSS colours, the lowest first
        const key = layers.join();
        if (!known.has(key)) {
            canvas.clearRect(0, 0, 1, 1);
            for (const color of layers) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
            known.set(key, [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0));
        }
        return known.get(key);
    };
    const found = [];
    for (const node of root.querySelectorAll("*")) {
        const said = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
        const style = getComputedStyle(node);
        if (!/[\\p{L}\\p{N}]/u.test(said) || style.visibility === "hidden" || !node.getClientRects().length
            || node.matches("style, option")) continue;
        const behind = [];
        for (let n = node; n; n = n.parentElement) behind.unshift(getComputedStyle(n).backgroundColor);
        const color = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
        const [a, b] = [luminance("white", ...behind, color), luminance("white", ...behind)];
        found.push([said, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
    }
    return found;
}"""


RAISED = re.compile(r"[_^](\([^()]*\)|\w)")  # a piece of text of its own, smaller than the rest


def choose_theme(page, name: str):
    """Choose a theme in the menus and wait until the figures follow, too."""
    light = "Light" in name
    for label in ("Settings", "Theme", name):
        page.locator(".lm-MenuBar-itemLabel, .lm-Menu-itemLabel").get_by_text(label, exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(light).lower())
    page.wait_for_function(
        """light => {
            const text = document.querySelectorAll(".diffusion-lab-explorer .plot text");
            const bright = [...text].map((t) => /\\d+/.exec(getComputedStyle(t).fill)[0] > 127);
            return bright.length && bright.every((b) => b !== light);
        }""",
        arg=light,
    )


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_words_are_legible(lab, theme):
    try:
        choose_theme(lab.page, theme)
        for cls in START:
            root = lab.find(cls)
            found = dict(root.evaluate(CONTRASTS))
            said = [cls.title, *numbers(root).values(), words(root, "sentence")]
            assert {RAISED.sub("", each).strip() for each in said} <= set(found)
            assert set(root.locator(".plot text").all_text_contents()) & set(found)  # the figure's own words
            assert not {text: round(ratio, 2) for text, ratio in found.items() if ratio < 4.5}, cls
    finally:
        choose_theme(lab.page, "JupyterLab Light")


def test_alone_from_the_disk(page, tmp_path):
    """With nothing precomputed but the main slider. (test_drawing_points.py has the pad; test_site.py moves
    the rest of all explorers.)"""
    cls = OneStep
    state = {name: getattr(cls(**START[cls]), name) for name in cls.controls}
    path = cls(**state).to_html(tmp_path / "explorer.html", [])
    page.context.set_offline(True)
    page.goto(path.as_uri())
    root, main = explorer(page), cls.main
    assert_shows(root, cls, state)
    picture = drawing(root)
    for keys, value in MOVES[cls, main]:
        move(root, main, keys)
        state[main] = value
        assert values(root, cls) == state
        assert_shows(root, cls, state)
        picture = drawn(root, unlike=picture)
    others = [name for name in cls.controls if name != main]
    for name in others:
        expect(control(root, name)).to_be_disabled()
    asleep = ", ".join(cls.controls[name].label or name for name in others)
    note = f"Works only in JupyterLab: {asleep}." if asleep else ""
    expect(root.locator(".controls + .note")).to_have_text(note)
