"""Tables of the policy's commands: texts as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bailee.cli.show import table as plain_table

if TYPE_CHECKING:
    from rich.table import Table


def plain(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> Table:
    """A table of texts as they are: none is cut, and what stands in brackets is no markup."""
    made = plain_table(columns, (), right=right)
    for column in made.columns:
        column.overflow = "fold"  # an id or a variable that is cut can't be copied
    for row in rows:
        made.add_row(*row)
    return made


def unheaded(rows: Iterable[Sequence[str]]) -> Table:
    """The same without heads of columns."""
    made = plain(("", ""), rows)
    made.show_header = False
    return made
