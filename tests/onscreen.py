"""What an explorer has on the screen, as numbers to be compared."""

import ast

import numpy as np


def run_code(explorer, **variables):
    """The lines shown behind "show the code", executed with `variables`; returns all variables they leave.

    Under "shown" is the value of the last line, if that is an expression.
    """
    *lines, last = ast.parse(explorer.frame.code).body
    exec(compile(ast.Module(lines, []), "the code shown", "exec"), variables)
    if isinstance(last, ast.Expr):
        variables["shown"] = eval(compile(ast.Expression(last.value), "the code shown", "eval"), variables)
    else:
        exec(compile(ast.Module([last], []), "the code shown", "exec"), variables)
    return variables


def shown(explorer, trace, key):
    """What the figure shows for one entry of one trace at the present frame, as an array."""
    return np.asarray(explorer.frame.changes[trace][key], dtype=np.float64)
