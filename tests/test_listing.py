"""The code that explorers show is made of the functions that they call."""

import functools
import math

import pytest
from torch import linspace as points_between

from diffusion_lab.engine import listing
from diffusion_lab.experiments.stored import hundred_steps

STRETCH = 2


def area(width: float, count: int = 101, name: str = "x") -> float:
    """The area under a half circle.

    Not shown: this docstring.
    """
    # The midpoint rule
    x = points_between(-1, 1, count)[:-1] + 1 / (count - 1)
    heights = [
        width * STRETCH * math.sqrt(1 - v * v)  # NaN nowhere
        for v in x.tolist()
    ]
    return 2 * sum(heights) / (count - 1)


def run(lines: str):
    """What the last line gives, once the others have been run."""
    *before, last = lines.splitlines()
    names = {}
    exec("\n".join(before), names)
    return eval(last, names)


def test_it_is_the_body_with_the_values_above_it():
    assert listing(area, width=0.5, count=5).splitlines() == [
        "import math",
        f"from {__name__} import STRETCH",
        "from torch import linspace as points_between",
        "",
        "width = 0.5",
        "count = 5",
        'name = "x"',
        "",
        "# The midpoint rule",
        "x = points_between(-1, 1, count)[:-1] + 1 / (count - 1)",
        "heights = [",
        "    width * STRETCH * math.sqrt(1 - v * v)  # NaN nowhere",
        "    for v in x.tolist()",
        "]",
        "2 * sum(heights) / (count - 1)",
    ]


def test_it_runs_and_gives_what_the_function_gives():
    assert run(listing(area, width=3.0)) == area(3.0) == pytest.approx(3 * math.pi, rel=1e-2)
    assert run(listing(area, "len(heights)", width=3.0, count=7)) == 6
    assert run(listing(functools.cache(area), width=3.0)) == area(3.0)


def test_relative_imports_are_written_out():
    lines = listing(hundred_steps, name="linear")
    assert "from diffusion_lab import schedules" in lines
    assert "from diffusion_lab.experiments.stored import HUNDRED" in lines
    table = run(lines)
    assert table.T == 100 and table.signal.equal(hundred_steps("linear").signal)


def test_values_are_written_so_that_they_come_back():
    def told(x, y, label):
        return x, y, label

    points = tuple((round(0.01 * k, 2), -0.5) for k in range(40))
    lines = listing(told, x=0.1 + 0.2, y=points, label=None)
    assert run(lines) == (0.3, points, None)
    assert max(map(len, lines.splitlines())) <= 110


def test_a_function_that_is_not_flat_is_refused():
    def early(x):
        if x:
            return 1
        return 2

    def silent(x):
        print(x)

    for function in (early, silent):
        with pytest.raises(ValueError, match=f"one return, at its end.*{function.__name__}"):
            listing(function, x=1)
    with pytest.raises(TypeError, match="missing a required argument: 'width'"):
        listing(area)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        listing(area, width=1.0, depth=2)
