"""Lists as spreadsheets have them: no cell is carried out, and what was written is read again."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee import sheets
from bailee.errors import InputError

FORMULAS = "=+-@＝＋－＠"


@given(st.lists(st.one_of(st.text(), st.lists(st.text(), max_size=3)), min_size=1, max_size=5))
def test_no_text_is_a_formula_and_none_forges_a_row(values: list[str | list[str]]) -> None:
    """However it begins and whatever is in it: one line, as many cells, none carried out."""
    (cells,) = list(csv.reader(io.StringIO(sheets.row(values), newline="")))

    assert len(values) == len(cells)
    assert not any(one.lstrip(" ").startswith(tuple(FORMULAS)) for one in cells)
    assert not any("\n" in one or "\r" in one for one in cells)


def test_values_are_said_as_programs_read_them() -> None:
    """Numbers stay numbers, below nothing too; moments have their zone."""
    at = datetime(2026, 11, 30, 12, 0, 1, 5, UTC)
    values = [None, True, -5, 0.5, at, ["b", "a"], {"by": "per_1", "n": 2}, "=1+1", " @SUM(A1)"]

    assert [
        "", "yes", "-5", "0.5", "2026-11-30T12:00:01+00:00", "b; a", '{"by": "per_1", "n": 2}',
        "'=1+1", "' @SUM(A1)",
    ] == [sheets.cell(one) for one in values]  # fmt: skip


@given(st.lists(st.emails(), max_size=5))
def test_what_was_written_is_read_again(emails: list[str]) -> None:
    """With the mark that a spreadsheet sets before it."""
    rows = [("email", "plan"), *((one, "") for one in emails)]
    text = sheets.BOM + "".join(map(sheets.row, rows))

    assert [{"email": sheets.cell(one)} for one in emails] == list(
        sheets.read(text, ("email", "plan"), most=5)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "columns"), ("plan\npro\n", "columns"), ("email,email\na,b\n", "columns"),
     ("email,who\na,b\n", "columns"), ("email\na,b\n", "as many fields"),
     ('email\n"a\n', "no CSV"), ("email\na\nb\nc\n", "over 2 rows")],
)  # fmt: skip
def test_what_is_no_list_is_refused(text: str, words: str) -> None:
    """Before anything is done with its rows, or at the row that does not fit."""
    with pytest.raises(InputError, match=words):
        list(sheets.read(text, ("email", "plan"), most=2))
