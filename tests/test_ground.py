"""The ground the package stands on: light imports, layers, size, documentation, and one lock that fits."""

import ast
import io
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest
from nbtools import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PACKAGE = ROOT / "diffusion_lab"
MATHS = "gaussian schedules forward views empirical exact elbo steps samplers".split()
# Each module stands on the ones before it and knows nothing of those after.
ORDER = re.search(r"```order\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)[1].split()
LIGHT = [*MATHS, *"sde sde_samplers likelihood guidance data weights layers mlp model unet".split()]
LIGHT += "recipe history checkpoints training metrics features replay".split()
WIDGETS = ["ipywidgets", "anywidget", "plotly", "traitlets"]
HEAVY = ["matplotlib", "plotly", "ipywidgets", "anywidget", "scipy", "pandas", "sklearn", "IPython"]
LIMIT_FILE, LIMIT_LINES, LIMIT_IMPORT_S, LIMIT_WEIGHTS = 300, 1000, 0.3, 10_000_000


def place(name: str) -> str | None:
    """The entry of ORDER that a dotted name without diffusion_lab belongs to: the longest that fits."""
    fits = [entry for entry in ORDER if f"{name}.".startswith(f"{entry}.")]
    return max(fits, key=len, default=None)


def sources():
    """(dotted name, path) of every module in the package but the first."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            yield ".".join(parts).removesuffix(".__init__"), path


def imports(path):
    """Every dotted name the file imports, at any depth, relative ones written out."""
    package = ["diffusion_lab", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) + 1 - node.level] if node.level else []
            base = [*origin, *filter(None, [node.module])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


# imports


def test_import_is_light():
    code = f"""
import sys, time, torch
start = time.process_time()
import diffusion_lab
for name in {LIGHT}:
    __import__("diffusion_lab." + name)
print(time.process_time() - start, *sorted(set({HEAVY}) & set(sys.modules)))
"""
    seconds = []
    for _ in range(7):  # the least of several, in CPU time: others may be at work beside it
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        took, *heavy = done.stdout.split()
        assert not heavy, f"imported before they are used: {heavy}"
        seconds.append(float(took))
        if min(seconds) <= LIMIT_IMPORT_S:
            return
    pytest.fail(f"diffusion_lab adds {min(seconds):.2f} s to `import torch`; {LIMIT_IMPORT_S} s are allowed")


def test_every_module_imports_only_from_those_before_it():
    """So there is no circle either. Of a room that ORDER names as a whole, no file imports another."""
    for name, path in sources():
        here = ORDER.index(place(name))
        for imported in imports(path):
            if imported.startswith("diffusion_lab."):
                there = place(imported.removeprefix("diffusion_lab."))
                room = path.name == "__init__.py" and place(name) == name == there
                assert ORDER.index(there) < here or room, f"{path.relative_to(ROOT)} imports {imported}"


def test_every_module_has_its_place():
    """And every place its module."""
    names = dict(sources())
    assert not [name for name in names if place(name) is None], "say in CONTRIBUTING.md what they may import"
    assert not [entry for entry in ORDER if entry not in names and entry != "explorers"]


def test_only_engine_and_explorers_know_widgets():
    wrong = [
        (name, imported)
        for name, path in sources()
        for imported in imports(path)
        if imported.split(".")[0] in WIDGETS and name.split(".")[0] not in ("engine", "explorers")
    ]
    assert not wrong, wrong


def test_experiments_are_free_of_widgets_when_they_run():
    modules = [name for name, _ in sources() if name.split(".")[0] in ("experiments", "drawing")]
    code = f"import sys\nfor name in {modules}: __import__('diffusion_lab.' + name)\n"
    code += f"print(*sorted(set({WIDGETS}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout.split(), done.stderr or done.stdout


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("[0-9A]*.ipynb")), ids=lambda path: path.stem
)
def test_notebooks_import_nothing_from_explorers_but_explorers(path):
    code = "\n".join(
        "".join(cell["source"])
        for cell in json.loads(path.read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code"
    )
    deep = re.findall(r"(?:from|import) diffusion_lab\.explorers\.\S*.*|from diffusion_lab\.engine.*", code)
    assert not deep, deep
    for names in re.findall(r"from diffusion_lab\.explorers import (.*)", code):
        assert all(name.strip()[0].isupper() for name in names.split(",")), names


# size and documentation


def code_lines(path):
    """Lines of the file as `ruff format` lays it out, without docstrings and blank lines."""
    command = [sys.executable, "-m", "ruff", "format", "-", "--stdin-filename", path.name]
    text = subprocess.run(
        command, input=path.read_text(encoding="utf-8"), capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    lines = dict(enumerate(text.splitlines(), 1))
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        for number in range(node.body[0].lineno, node.body[0].end_lineno + 1) if documented else ():
            lines.pop(number)
    return sum(bool(line.strip()) for line in lines.values())


def test_the_maths_is_small():
    sizes = {path.name: code_lines(path) for name, path in sources() if name in ["checks", *MATHS]}
    print(sum(sizes.values()), sizes)
    assert set(MATHS) <= {name.removesuffix(".py") for name in sizes}
    assert sum(sizes.values()) <= LIMIT_LINES, sizes


@pytest.mark.parametrize("name", LIGHT)
def test_everything_public_is_documented(name):
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name}.py has no docstring"
    public = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"]
    missing = [n.name for n in public if not ast.get_docstring(n)]
    assert not missing, f"without docstring in {name}.py: {missing}"


@pytest.mark.parametrize(
    "path", [path for _, path in sources()], ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_docstrings_are_restructuredtext(path):
    """Docutils has nothing to say of them, and every block set apart is one that keeps its lines (``::``)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        if documented:
            said = io.StringIO()
            settings = {"warning_stream": said, "report_level": 1, "file_insertion_enabled": False}
            page = docutils.core.publish_doctree(documented, settings_overrides=settings)
            where = f"{path.name}, {getattr(node, 'name', 'its first lines')}"
            assert not said.getvalue(), f"{where}: {said.getvalue()}"
            assert not list(page.findall(docutils.nodes.block_quote)), f"{where}: a block wants :: before it"
            assert not list(page.findall(docutils.nodes.definition_list)), (
                f"{where}: :param name: …, not columns"
            )


def test_files_are_short():
    """Every module is read in one sitting."""
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.css")]
    long = {
        p.relative_to(ROOT): n
        for p in files
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > LIMIT_FILE
    }
    assert not long, long


def test_weights_are_small():
    files = [p for p in (PACKAGE / "pretrained").rglob("*") if p.suffix not in (".py", ".pyc")]
    total = sum(p.stat().st_size for p in files if p.is_file())
    assert 0 < total <= LIMIT_WEIGHTS, f"{total} bytes of weights"


def test_browser_tests_are_where_make_looks_for_them():
    """`make browser` names their files, since importing all the others takes long."""
    target = re.search(r"^browser:.*\n(.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    marked = [p for p in (ROOT / "tests").rglob("test_*.py") if ".mark." + "browser" in p.read_text("utf-8")]
    assert marked
    for path in marked:
        places = (path, path.parent)
        assert any(f" {p.relative_to(ROOT).as_posix()} " in target for p in places), path.name


# packaging


def pins():
    """Package -> the requirement that pins it in requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(r.name) for r in found}) == len(found), "a package is pinned twice"
    return {canonicalize_name(r.name): r for r in found}


def pinned_version(requirement):
    (specifier,) = requirement.specifier
    assert specifier.operator == "==" and "*" not in specifier.version, requirement
    return specifier.version


def test_the_lock_pins_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["lab"], *extras["test"]]
    locked = pins()
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name != "diffusion-lab":
            assert name in locked, f"{name} is not in requirements.lock: run `make lock`"
            assert pinned_version(locked[name]) in requirement.specifier, (requirement, locked[name])
    assert "3.11" in SpecifierSet(project["requires-python"])


def test_the_lock_fits_every_machine():
    locked = pins()
    for requirement in locked.values():
        assert "+" not in pinned_version(requirement), f"{requirement} is one build of several"
        assert requirement.url is None
    cuda = [name for name in locked if re.match("nvidia|cuda|triton", name)]
    assert not cuda, "CUDA's libraries are for torch's own build to choose"
    for name in ("pywinpty", "colorama", "appnope", "pexpect", "ptyprocess"):
        assert locked[name].marker, f"{name} exists on some platforms only"


def test_binder_installs_the_same_torch():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    (torch,) = [line for line in lines if line.startswith("torch==")]
    assert torch == f"torch=={pinned_version(pins()['torch'])}+cpu"


def test_a_package_index_is_named_in_binder_only():
    index = re.compile(r"download\.pytorch|index-url|find-links|\bpypi\b", re.IGNORECASE)
    installers = ["requirements.lock", "pyproject.toml", "Makefile", ".ci/run"]
    found = [name for name in installers if index.search(Path(ROOT, name).read_text(encoding="utf-8"))]
    assert not found, found
