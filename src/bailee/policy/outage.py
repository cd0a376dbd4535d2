"""For how long requests go on while the databases can't be asked: the part of a document's format.
Pure.

Rules kept here:

* It is said of each kind of key: of those whose conversations are kept (`kept`), and of those of
  which nothing is (`unkept`).
* A document that says nothing of it lets both go on, for as long as what is kept has room to wait.

Rows: P1, O6.
"""

from __future__ import annotations

from typing import Final

from bailee.policy.document import OutageMinutes
from bailee.policy.reading import Table

WITHOUT: Final = "without_database"
_MOST: Final = 7 * 24 * 60


def read(root: Table) -> OutageMinutes | None:
    """What a document says; None: nothing.

    Raises:
        Unsound: it is malformed, or longer than a week.
    """
    if not root.has(WITHOUT):
        return None
    table = root.table(WITHOUT)
    found = OutageMinutes(_minutes(table, "kept"), _minutes(table, "unkept"))
    table.finish()
    return found


def _minutes(table: Table, key: str) -> int:
    value = table.whole(key)
    if value > _MOST:
        table.refuse(key, f"{key} is longer than a week.", f"{_MOST} minutes at the most")
    return value
