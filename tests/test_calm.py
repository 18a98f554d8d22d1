"""Calm: whatever explains, loads, draws or trains leaves the global generators to the cells of the notebook.

A slider's callback runs in another thread, beside a running cell. To seed a global generator there and put
its state back afterwards is no way out: by then the cell has moved on. Such a race is seldom seen, so `calm`
looks for what makes it. Whoever draws from a global generator moves it on, unless they put its state back;
and that takes one of a few functions, which must not be called. What no test reaches, the source shows.
"""

import ast
import functools
import random
import sys
import threading
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import diffusion_lab
from diffusion_lab import data, explorers, features, pretrained, replay
from diffusion_lab.engine import Choice, Points, Slider, Toggle, Words
from diffusion_lab.training import Recipe, train
from diffusion_lab.unet import Dropout, drawn

PACKAGE = Path(diffusion_lab.__file__).parent
MODULES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}

# What reads or sets the state of a global generator
TORCH = ("manual_seed", "seed", "get_rng_state", "set_rng_state")
STATES = [
    (torch, TORCH),
    (torch.random, (*TORCH, "fork_rng")),
    (torch.cuda, ("manual_seed", "manual_seed_all")),
]
STATES += [(random, ("seed", "getstate", "setstate")), (np.random, ("seed", "get_state", "set_state"))]

# As they are before `calm` lays its hand on them
draw_torch, draw_numpy, draw_python = torch.rand, np.random.random, random.random
seeds = (torch.manual_seed, np.random.seed, random.seed)
torch_state, numpy_state = torch.get_rng_state, np.random.get_state
states = (lambda: torch_state().tolist(), lambda: numpy_state()[1].tolist(), random.getstate)


def draws(n: int) -> list:
    return [(draw_torch(()).item(), draw_numpy(), draw_python()) for _ in range(n)]


@contextmanager
def calm():
    """Fails if the block touches a state, or if a thread that draws beside it notices."""
    me, touched, beside, done = threading.get_ident(), [], [], threading.Event()

    def noted(original, name):
        @functools.wraps(original)
        def function(*args, **kwargs):
            if threading.get_ident() == me:
                frames = [frame for frame in traceback.extract_stack() if str(PACKAGE) in frame.filename]
                touched.append(f"{name} in {frames[-1].filename}:{frames[-1].lineno}" if frames else name)
            return original(*args, **kwargs)

        return function

    class Noted:
        """torch's generator, which is no module and not open to change."""

        def __getattr__(self, name):
            value = getattr(GENERATOR, name)
            return noted(value, f"default_generator.{name}") if callable(value) else value

    def draw():
        while not done.wait(1e-3):
            beside.extend(draws(5))

    for seed in seeds:
        seed(5)
    thread = threading.Thread(target=draw)
    with pytest.MonkeyPatch.context() as patch:
        for module, names in STATES:
            for name in names:
                patch.setattr(module, name, noted(getattr(module, name), f"{module.__name__}.{name}"))
        for module in (torch, torch.random):
            patch.setattr(module, "default_generator", Noted())
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
    assert not touched, "\n".join(touched)
    after = [state() for state in states]
    for seed in seeds:
        seed(5)
    # as one bool: pytest would be long about what differs between two states
    same = beside == draws(len(beside)) and after == [state() for state in states]
    assert same, "the global generators gave, or are left at, what they would not alone"


GENERATOR = torch.default_generator


def forget():
    """Empties every cache of the package, so that all is loaded and computed again."""
    for name, module in list(sys.modules.items()):
        if name.startswith("diffusion_lab"):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


# --- explorers ---


def moves(explorer):
    """(control, value): of the first choice a few values, of every other control one that it has not."""
    for i, (name, control) in enumerate(explorer.controls.items()):
        now = getattr(explorer, name)
        if isinstance(control, Choice):
            others = [value for value in control.values if value != now]
            for value in others if i == 0 and len(others) <= 4 else others[-1:]:
                yield name, value
        elif isinstance(control, Slider):
            yield name, control.high if now != control.high else control.low
        elif isinstance(control, Toggle):
            yield name, not now
        elif isinstance(control, Words):
            yield name, next(words for words in control.values if words != now)
        elif isinstance(control, Points):
            yield name, next(points for points in control.presets.values() if points != now)
        else:
            raise TypeError(f"how is {control} moved?")


@pytest.mark.parametrize("name", explorers.__all__)
def test_an_explorer_leaves_the_global_generators_alone(name):
    forget()
    with calm():
        explorer = getattr(explorers, name)()
        for control, value in moves(explorer):
            setattr(explorer, control, value)
        explorer.describe()


# --- loaders, data, networks, training ---

UNET = Recipe(arguments=dict(width=8, num_classes=10, dropout=0.3), steps=3, batch=8)


def a_folder(tmp_path):
    Image.new("RGB", (9, 8), (1, 2, 3)).save(tmp_path / "a.png")
    return tmp_path


def a_training(checkpoint):
    images, labels = data.digits()
    return train(UNET, (images[:20], labels[:20]), progress=False, checkpoint=checkpoint)


JOBS = {f"pretrained {name}": lambda _, name=name: pretrained.load(name) for name in pretrained.names()}
JOBS |= {f"replay {name}": lambda _, name=name: replay.load(name) for name in replay.RECIPES}
JOBS |= {
    "features": lambda _: features.load(),
    "the classifier's training": lambda _: features.train(2, progress=False),
    "digits": lambda _: data.digits(),
    "toys": lambda _: [make(100, torch.Generator().manual_seed(0)) for make in data.TOYS.values()],
    "a folder": lambda path: data.from_folder(a_folder(path)),
    "an array": lambda _: data.from_array(np.zeros((2, 8, 8), np.uint8)),
    "networks": lambda _: (UNET.make_network(), Recipe(network="MLP").make_network(), UNET.make_schedule()),
    "a training": lambda path: pretrained.rounded(a_training(path / "a.checkpoint")),
    "the start of a recording": lambda _: replay.Recorder(replay.RECIPES["digits"]),
    "the measured quality": lambda _: pretrained.measure(
        pretrained.load("moons"), pretrained.read_recipe("moons"), repeats=1
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_leaves_the_global_generators_alone(name, tmp_path):
    with calm():
        JOBS[name](tmp_path)


# --- what `calm` sees ---


def reseeding():
    """What networks once did: seed the global generator, draw, and put its old state back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        torch.nn.Linear(2, 2)


DISTURBANCES = {
    "draws": lambda: torch.rand(2),
    "fills": lambda: torch.zeros(2).normal_(),
    "permutes": lambda: torch.randperm(3),
    "makes a layer": lambda: torch.nn.Linear(2, 2),
    "drops out": lambda: torch.nn.functional.dropout(torch.ones(2)),
    "drops out by our layer": lambda: Dropout(0.5)(torch.ones(2)),
    "draws by NumPy": lambda: np.random.randn(2),  # noqa: NPY002
    "draws past NumPy's names": lambda: np.random.mtrand._rand.random(),
    "draws by Python": lambda: random.choice("ab"),
    "reads a state": lambda: torch.default_generator.get_state(),
    "reseeds": reseeding,
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_calm_sees_who(disturbance):
    with pytest.raises(AssertionError), calm():
        DISTURBANCES[disturbance]()


def test_calm_lets_be_who_draws_from_a_generator_of_their_own():
    with calm():
        generator = torch.Generator().manual_seed(0)
        drawn(lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Embedding(3, 2)), generator)
        torch.randn(3, generator=generator).normal_(generator=generator)
        with torch.device("meta"):
            torch.nn.Linear(2, 2)
        np.random.default_rng(0).normal()
        random.Random(0).random()


# --- the source, also where no test can lead: on a GPU, after an error ---

GLOBAL = {"fork_rng", "default_generator", "get_rng_state", "set_rng_state", "manual_seed_all", "seed_all"}
DRAWING = {"rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "normal", "poisson"}
DRAWING |= {f"{name}_" for name in ("normal", "uniform", "bernoulli", "exponential", "random", "cauchy")}
LIKE = {"rand_like", "randn_like", "randint_like"}  # take no generator


def disturbances(tree) -> list[str]:
    """Lines of a module that read, seed or draw from a global generator."""
    found = []
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in GLOBAL | LIKE or (isinstance(node, ast.Attribute) and ast.unparse(node) in TORCH_DROPOUT):
            found.append(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            found += [node for module in modules if module == "random" or module == "numpy.random"]
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            found += [node] * (node.attr not in ("default_rng", "Generator"))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = {keyword.arg for keyword in node.keywords} & {"generator", None}  # None: **where
            found += [node] * (node.func.attr in DRAWING and not given)
            seeded = ast.unparse(node.func.value)
            if node.func.attr == "manual_seed" and seeded not in ("torch.Generator()", "dropout"):
                found.append(node)
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in found]


TORCH_DROPOUT = {"nn.Dropout", "nn.Dropout2d", "F.dropout", "torch.dropout", "nn.functional.dropout"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_names_a_global_generator(path):
    if path.name == "running.py":  # the checker: it puts back what a student's own function has drawn
        return
    assert disturbances(MODULES[path]) == []


@pytest.mark.parametrize(
    "line",
    [
        "torch.manual_seed(0)",
        "torch.cuda.manual_seed(0)",
        "torch.default_generator.manual_seed(0)",
        "with torch.random.fork_rng(): pass",
        "torch.randn(3)",
        "x.normal_()",
        "nn.init.normal_(x)",
        "torch.randn_like(x)",
        "nn.Dropout(0.1)",
        "np.random.rand(3)",
        "import random",
        "from random import choice",
        "from numpy.random import rand",
    ],
)
def test_the_look_at_the_source_finds(line):
    assert disturbances(ast.parse(line))


def test_the_look_at_the_source_lets_through():
    for line in (
        "g = torch.Generator().manual_seed(0)",
        "torch.randn(3, generator=g)",
        "torch.rand(shape, **where)",
        "x.bernoulli_(p, generator=None)",
        "np.random.default_rng(0)",
        "torch.zeros(3)",
    ):
        assert not disturbances(ast.parse(line))
