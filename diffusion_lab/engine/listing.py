"""The code that an explorer shows: the source of the function that it calls, not a copy of it."""

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any


class Source(str):
    """A value that is shown as the code that makes it, in names from the function's module."""


def listing(function: Callable, then: str = "", **values: Any) -> str:
    """The lines of a flat function as a script: imports, the current values of its arguments, the body.

    It ends with what the function returns, or with `then`. A function that returns anywhere but at its end is
    a ValueError. Names from its own module are imported from there.
    """
    signature, names, body, returned = source_of(inspect.unwrap(function))
    given = signature.bind(**values)
    given.apply_defaults()
    made = [name for v in given.arguments.values() if isinstance(v, Source) for name in names_in(v)]
    imports = imports_of(inspect.unwrap(function).__module__, names | {*made})
    told = [f"{name} = {written(value)}" for name, value in given.arguments.items()]
    return "\n".join([*imports, "", *told, "", *body, then or returned])


def written(value: Any) -> str:
    """A value as Python code: floats without the digits that come from adding up steps."""
    if isinstance(value, float):
        return repr(round(value, 10))
    if isinstance(value, str):
        return str(value) if isinstance(value, Source) else f'"{value}"'
    return "\n    ".join(textwrap.wrap(repr(value), 100))


@functools.cache
def source_of(function: Callable) -> tuple[inspect.Signature, frozenset[str], list[str], str]:
    """A flat function's signature, the names it needs, the lines of its body, and what it returns."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    tree = next(node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.FunctionDef))
    start = (tree.body[0].end_lineno or 0) + 1 if ast.get_docstring(tree) else tree.body[0].lineno
    leave = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    if leave != [tree.body[-1]]:
        raise ValueError(f"function must have one return, at its end, to be shown; {tree.name} has not")
    body = textwrap.dedent("\n".join(lines[start - 1 : leave[0].lineno - 1])).splitlines()
    returned = textwrap.dedent("\n".join(lines[leave[0].lineno - 1 :])).removeprefix("return ")
    inside = [node for part in tree.body for node in ast.walk(part)]  # without decorators and annotations
    names = [node for node in inside if isinstance(node, ast.Name)]
    signature = inspect.signature(function)
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {*signature.parameters}
    return signature, frozenset({node.id for node in names} - own), body, returned


@functools.cache
def names_in(code: str) -> frozenset[str]:
    """The names that an expression needs."""
    return frozenset(node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name))


@functools.cache
def imports_of(own: str, names: frozenset[str]) -> list[str]:
    """The import statements for those of `names` that the module `own` knows, in order."""
    lines, groups = set(), dict[str, list[str]]()
    origins = {name: (own, name) for name in vars(sys.modules[own])}  # its own definitions
    for node in ast.parse(inspect.getsource(sys.modules[own])).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = getattr(node, "module", None) or ""
            if up := getattr(node, "level", 0):
                origin = ".".join([*own.split(".")[:-up], *filter(None, [origin])])
            for alias in node.names:
                written = alias.name + (f" as {alias.asname}" if alias.asname else "")
                origins[alias.asname or alias.name] = (origin, written)
    for name in sorted(names & origins.keys()):
        origin, written = origins[name]
        if origin:
            groups.setdefault(origin, []).append(written)
        else:
            lines.add(f"import {written}")
    return sorted(lines) + [f"from {origin} import {', '.join(groups[origin])}" for origin in sorted(groups)]
