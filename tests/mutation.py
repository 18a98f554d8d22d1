"""What the tests would notice: break the code in random places, one at a time, and count what is caught.

    python tests/mutation.py [--seed 0] [--count 40] [--tree DIR] [--common OTHER] [--workers 2]

A break swaps an operator, moves a number by one, turns a comparison or a truth value round. Places are drawn
from three groups: the maths, the explorers' Python, and the JavaScript. Each is tried in a copy of the tree,
against the tests that are nearest to it, and the first failure ends it: the unit tests that name the module,
then the notebooks that import it, then the browser tests of the explorers. A break that none of them notices
is printed as it stands: some change nothing that anyone can see.

With --common OTHER, breaks are drawn from the lines that stand in both trees: the same breaks in each, so
that two states of the tests can be compared.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tqdm import tqdm

SHARES = {"maths": 0.4, "explorers": 0.4, "javascript": 0.2}
SWAPS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*", ast.MatMult: "*"}
SWAPS |= {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}
SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@"}
SYMBOLS |= {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
JS = [
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \* ", " / "),
    (r" / ", " * "),
    (r" < ", " <= "),
    (r" > ", " >= "),
]
JS += [
    (r" === ", " !== "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
]
JS += [(r"(?<![\w.#\"'])[1-9]\d*\b(?![\w\"'%])", "+1")]
TIMEOUT = 900  # seconds for one run of tests: a break that makes it hang is caught too


def groups(tree: Path) -> dict[str, list[Path]]:
    """The files of each group."""
    package = tree / "diffusion_lab"
    shows = ("__init__.py", "__main__.py", "drawing.py", "export.py", "sphinx_extension.py")
    python = [p for p in package.glob("*.py") if p.name not in shows]
    rooms = (package / room for room in ("explorers", "experiments", "engine"))
    explorers = [package / "drawing.py"]
    explorers += [p for room in rooms for p in room.glob("*.py") if p.name != "__init__.py"]
    return {"maths": python, "explorers": explorers, "javascript": list(package.glob("e*/**/*.js"))}


def places(path: Path) -> list[tuple[int, int, int, str]]:
    """(line, first column, last column, what to write there) of every break in a file."""
    text = path.read_text("utf-8")
    lines, found = text.splitlines(), []
    if path.suffix == ".js":
        for row, line in enumerate(lines):
            code = line.split("//")[0]
            if "`" in code or code.lstrip().startswith("*"):  # words and styles
                continue
            for pattern, new in JS:
                for hit in re.finditer(pattern, code):
                    written = str(int(hit[0]) + 1) if new == "+1" else new
                    found.append((row, hit.start(), hit.end(), written))
        return sorted(found)

    def column(row, offset):  # ast counts bytes
        return len(lines[row].encode()[:offset].decode())

    def between(left, right, operators):
        row = left.end_lineno - 1
        if right.lineno - 1 != row:
            return
        start, end = column(row, left.end_col_offset), column(row, right.col_offset)
        symbol = SYMBOLS.get(type(operators))
        if symbol and symbol in lines[row][start:end]:
            at = start + lines[row][start:end].index(symbol)
            found.append((row, at, at + len(symbol), SWAPS[type(operators)]))

    tree = ast.parse(text)
    words = {id(n) for s in ast.walk(tree) if isinstance(s, ast.JoinedStr) for n in ast.walk(s)}
    for node in ast.walk(tree):
        if id(node) in words:
            continue
        if isinstance(node, ast.BinOp):
            between(node.left, node.right, node.op)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            between(node.left, node.comparators[0], node.ops[0])
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            row = node.lineno - 1
            span = column(row, node.col_offset), column(row, node.end_col_offset)
            new = not node.value if isinstance(node.value, bool) else node.value + 1
            found.append((row, *span, repr(new)))
    return sorted(found)


def once(path: Path) -> set[str]:
    """The lines that stand in a file exactly once."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {line for line, count in Counter(lines).items() if count == 1}


def draw(tree: Path, other: Path, count: int, seed: int) -> list[tuple[str, Path, tuple]]:
    """`count` places: each group its share; in it every place as likely as any other that both trees have."""
    chance, drawn = random.Random(seed), []
    for group, files in groups(tree).items():
        known = []
        for path in sorted(files):
            lines, name = path.read_text("utf-8").splitlines(), path.relative_to(tree)
            both = once(path) & once(other / name) if other != tree else set(lines)
            known += [(lines[p[0]], p[1:], (group, name, p)) for p in places(path) if lines[p[0]] in both]
        known.sort(key=lambda k: (str(k[2][1]), *k[:2]))  # in an order that both trees give
        drawn += [place for _, _, place in chance.sample(known, round(SHARES[group] * count))]
    return drawn


def runs(tree: Path, group: str, path: Path) -> list[tuple[str, list[str]]]:
    """(name, arguments of pytest) of the runs that a break in `path` must pass, the nearest first."""
    module = path.stem
    words = [module]  # its own name, and those of its classes: explorers are imported from the package
    if path.suffix == ".py":
        body = ast.parse((tree / path).read_text("utf-8")).body
        words += [node.name for node in body if isinstance(node, ast.ClassDef)]
    known = re.compile(rf"\b({'|'.join(words)})\b").search
    tests = sorted((tree / "tests").glob("test_*.py"))
    names = [t for t in tests if known(t.read_text("utf-8"))]
    names.sort(key=lambda t: (module not in t.stem, t.stat().st_size))
    unit = ["-m", "not browser", *(str(t.relative_to(tree)) for t in names)]
    books = [p for p in sorted((tree / "notebooks").glob("*.ipynb")) if known(p.read_text("utf-8"))]
    nbval = ["-p", "tests.nbtools", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]
    browser = ["-m", "browser", "tests/browser/test_modules.py", "tests/browser/test_core.py"]
    browser += ["tests/browser/test_every_explorer.py"]
    browser += ["tests/browser/test_drawing_points.py", "tests/browser/test_site.py"]
    found = [("unit tests", unit)] if names else []
    if group != "javascript":
        found += [("notebooks", [*nbval, *(str(p.relative_to(tree)) for p in books)])] if books else []
    if group != "maths":
        found.append(("browser", browser))
    return found


def caught_by(tree: Path, group: str, path: Path, place: tuple) -> str:
    """The first run of tests that fails with this break in the tree, or "" if none does."""
    file = tree / path
    before = file.read_text("utf-8")
    row, start, end, new = place
    lines = before.splitlines(keepends=True)
    lines[row] = lines[row][:start] + new + lines[row][end:]
    file.write_text("".join(lines), "utf-8")
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    try:
        for name, arguments in runs(tree, group, path):
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
            try:
                done = subprocess.run(
                    command, cwd=tree, env=environment, capture_output=True, timeout=TIMEOUT
                )
            except subprocess.TimeoutExpired:
                return f"{name} (it hangs)"
            if done.returncode == 1 or (done.returncode == 2 and b"error" in done.stdout.lower()):
                return name
            if done.returncode:
                raise RuntimeError(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])
    finally:
        file.write_text(before, "utf-8")
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tree", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--common", type=Path, help="another tree: draw what stands in both")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    drawn = draw(options.tree, options.common or options.tree, options.count, options.seed)
    copies = Queue()
    with tempfile.TemporaryDirectory() as folder:
        for k in range(options.workers):
            copy = Path(folder) / str(k)
            shutil.copytree(options.tree, copy, ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__"))
            copies.put(copy)

        def attempt(one):
            tree = copies.get()
            try:
                return caught_by(tree, *one)
            finally:
                copies.put(tree)

        with ThreadPoolExecutor(options.workers) as pool:
            results = list(tqdm(pool.map(attempt, drawn), total=len(drawn), unit="break"))
    rows = []
    for (group, path, (row, start, end, new)), name in zip(drawn, results, strict=True):
        line = (options.tree / path).read_text("utf-8").splitlines()[row]
        rows.append([group, f"{path}:{row + 1}", f"{line[start:end]} -> {new}", line.strip(), name])
        print(f"{name or 'NOT CAUGHT':22} {path}:{row + 1}  {line[start:end]} -> {new}    {line.strip()}")
    print(f"\n{sum(map(bool, results))} of {len(results)} caught")
    for group in SHARES:
        names = [name for (kind, *_), name in zip(drawn, results, strict=True) if kind == group]
        print(f"{group}: {sum(map(bool, names))} of {len(names)}")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
