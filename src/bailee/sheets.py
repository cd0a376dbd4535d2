"""Lists as spreadsheets have them: CSV (RFC 4180), written and read. Pure.

Rules kept here:

* No cell is a formula. A spreadsheet carries out what begins with `=`, `+`, `-` or `@`, and what
  stands in a cell was written by people, clients and upstreams: there the text has an apostrophe
  before it (OWASP, "CSV Injection"). A number is a number.
* A cell is one line: what is not to be seen is shown as an escape, as everywhere (`shown`).
* What is read names its columns in its first line, and each row has as many fields.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from bailee.errors import InputError
from bailee.shown import line

BOM: Final = "\ufeff"
"""What a file begins with, so that a spreadsheet reads it as UTF-8."""
_LONGEST: Final = 32_767  # characters of a cell
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def cell(value: object) -> str:
    """A value as a cell's text: None is nothing, a moment is ISO 8601, several stand one after the
    other, and what has names is JSON.

    >>> cell("=2+3"), cell(-5), cell(["a", "b"])
    ("'=2+3", '-5', 'a; b')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        return line("; ".join(map(cell, value)), _LONGEST)
    said = json.dumps(dict(value), ensure_ascii=False) if isinstance(value, Mapping) else str(value)
    formula = said.lstrip(" ").startswith(_FORMULA)
    return line(f"'{said}" if formula else said, _LONGEST)


def row(values: Iterable[object]) -> str:
    """A line of the file, with its end."""
    out = io.StringIO()
    csv.writer(out).writerow([cell(one) for one in values])
    return out.getvalue()


def read(text: str, columns: Sequence[str], *, most: int) -> Iterator[dict[str, str]]:
    """Each row with its columns, those that are empty left out. `columns`: what there may be; the
    first has to be there. `most`: how many rows.

    Raises:
        InputError: a head that names something else; a row that does not fit it; too many.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix(BOM)), strict=True)
    needed, *others = columns
    try:
        head = [name.strip().lower() for name in reader.fieldnames or ()]
        if needed not in head or not set(head) <= set(columns) or len(set(head)) != len(head):
            raise InputError(
                "the list's first line is not its columns.",
                hint=f"it names {needed}, and what there is of {', '.join(others)}",
            )
        reader.fieldnames = head
        for number, fields in enumerate(reader, 1):
            if number > most:
                raise InputError(f"the list has over {most} rows.", hint="give it in parts")
            if None in fields or None in fields.values():
                raise InputError(f"line {reader.line_num} has not as many fields as the first.")
            yield {name: value.strip() for name, value in fields.items() if value.strip()}
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} is no CSV: {error}.") from None
