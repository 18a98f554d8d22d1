"""Tables: what takes minutes to measure is measured by a command, stored as CSV, and read here.

The first line of a file says what made it, as in ``# python -m diffusion_lab.experiments.said``.
"""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from .checkpoints import FilePath, write_atomically


def read_table(path: FilePath, words: Collection[str] = ()) -> list[dict[str, Any]]:
    """The rows: column -> number, or text where it is none; NaN for an empty cell. No rows without a file.

    The columns named in `words` are text, even where it looks like a number.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [{name: cell if name in words else _number(cell) for name, cell in row.items()} for row in rows]


def _number(cell: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(cell or "nan")
        except ValueError:
            pass
    return cell


def write_table(path: FilePath, rows: Iterable[Mapping[str, Any]], made_by: str) -> None:
    """Write the rows, whose columns are those of the first, below a line that says what made them.

    Raises ValueError for a row with other columns.
    """
    rows, text = list(rows), io.StringIO()
    columns = list(rows[0]) if rows else []
    for row in rows:
        if set(row) != set(columns):
            raise ValueError(f"rows must all have the columns {columns}; got {list(row)}")
    text.write(f"# {made_by}\n")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
