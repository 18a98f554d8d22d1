import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_lab import pretrained
from diffusion_lab.tables import read_table, write_table

CELLS = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False),
    st.text("abcxyz ,;'é±\"", min_size=1).filter(str.strip),
)


@given(st.lists(st.fixed_dictionaries({"a": CELLS, "b, c": CELLS}), max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    write_table(path, rows, "made here")
    assert read_table(path) == rows
    assert path.read_text(encoding="utf-8").startswith("# made here\n")


def test_an_empty_cell_is_nan_and_words_stay_words(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, [{"n": "", "code": "007"}, {"n": 3, "code": "1e5"}], "made here")
    first, second = read_table(path, words=("code",))
    assert math.isnan(first["n"]) and second["n"] == 3 and isinstance(second["n"], int)
    assert (first["code"], second["code"]) == ("007", "1e5")
    assert [row["code"] for row in read_table(path)] == [7, 1e5]


def test_no_file_no_rows_and_rows_must_be_alike(tmp_path):
    path = tmp_path / "none.csv"
    assert read_table(path) == []
    with pytest.raises(ValueError, match=r"rows must all have the columns \['a', 'b'\]; got \['a'\]"):
        write_table(path, [{"a": 1, "b": 2}, {"a": 1}], "made here")
    assert not path.exists(), "a table that is wrong does not replace one that is right"


@pytest.mark.parametrize("path", sorted(pretrained.FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_every_table_that_ships_says_what_made_it_and_is_whole(path):
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    head, *rows = csv.reader(lines)
    assert rows and all(len(row) == len(head) for row in rows)
    assert [list(row) for row in read_table(path)] == [head] * len(rows)
