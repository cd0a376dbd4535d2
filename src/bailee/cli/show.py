"""How the command line shows things: lines, JSON, tables, moments, sizes.

Rules kept here:

* Nothing else in the command line writes to a terminal. What goes out here is text: no name moves
  the cursor, forges a line or is read as markup (`bailee.shown`).
* What a program reads in a pipe is exactly as it is; on a terminal the same is shown as text.
* What draws is imported when something is drawn: JSON, a line and a refusal need none of it.
* Colours are the terminal's own and vanish in a pipe or under `NO_COLOR` (rich sees to both).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bailee.errors import InputError
from bailee.shown import json_text, line, lines

if TYPE_CHECKING:
    from rich.table import Table

    from bailee.plain_console import PlainConsole

_PIPE_WIDTH = 200
_LONGEST_CELL = 500
_LONGEST_LINE = 20_000


def console(*, err: bool = False) -> PlainConsole:
    """A console on standard output, or standard error; wide in a pipe, so that no row is cut
    there.
    """
    from bailee.plain_console import PlainConsole

    out = sys.stderr if err else sys.stdout
    width = None if out.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return PlainConsole(width=width, stderr=err)


def say(text: str, *, err: bool = False) -> None:
    """One line on standard output, or standard error; a line's end in it is no line's end."""
    print(line(text, _LONGEST_LINE), file=sys.stderr if err else sys.stdout, flush=err)


def warn_in_lines(text: str) -> None:
    """A text of bailee's own that has several lines, on standard error."""
    for part in text.split("\n"):
        say(part, err=True)


def progress(text: str) -> None:
    """How far something is, in place on a terminal's standard error; "" takes it away."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line(text, _LONGEST_LINE)}")
        sys.stderr.flush()


def question(text: str) -> None:
    """A question on standard error; its answer is typed beside it."""
    sys.stderr.write(f"{line(text, _LONGEST_LINE)} ")
    sys.stderr.flush()


def note(text: str, *, err: bool = False) -> None:
    """One line beside what was asked for, dim. `err`: on standard error, where what was asked for
    is one thing for a program to take.
    """
    if err:
        sys.stdout.flush()  # what was asked for stands before it
    console(err=err).print(line(text, _LONGEST_LINE), style="dim")


def write_text(text: str, *, as_json: bool = False) -> None:
    """A text of any length: as it is in a pipe, on a terminal as text; if it is JSON, then as the
    same JSON. No line's end is added.
    """
    if sys.stdout.isatty():
        text = json_text(text) if as_json else lines(text)
    sys.stdout.write(text)
    sys.stdout.flush()


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def write_file(path: Path, text: str) -> None:
    """Write a text that was asked for into a file, and say so.

    Raises:
        InputError: it can't be written there.
    """
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise InputError(
            f"{path} can't be written: {error.strerror}.",
            code="configuration",
            hint="give a file in a folder that exists and can be written",
        ) from None
    say(f"wrote {path}", err=True)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> Table:
    """A plain table of texts of one line, None as an empty one; the columns named in `right` hold
    numbers.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    for row in rows:
        made.add_row(*("" if cell is None else line(str(cell), _LONGEST_CELL) for cell in row))
    return made


def moment(text: object) -> str:
    """An ISO moment as a person reads it, to the minute, in UTC; "" for None, where there is none.

    Raises:
        ValueError: it is neither.
    """
    if text is None:
        return ""
    return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M UTC")


def size(count: int) -> str:
    """A number of bytes as a person reads it."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
