"""Entries that nobody can read any more, damaged before the tree had them.

Without their leaves nothing that came after would get one. So such an entry gets its leaf, over
what stands for it here: a check names the entry, since that is not what lies in the record, and
whoever restores is refused, since nobody knows what it said.

Rules kept here: what can't be read for now (a disk that fails) is no entry that is damaged. Texts
are taken as bytes, so that the one is not mistaken for the other.

Rows: P4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, TypeAlias

from sqlalchemy.engine.interfaces import DBAPICursor

from bailee.ledger.payload import written

Waiting: TypeAlias = tuple[int, str, str, str, str, str | None, bytes | None]
"""Number, moment, kind, subject, body, holder of an entry, and what of it is sealed."""
COLUMNS: Final = "number, replace(at, ' ', 'T') || '+00:00', kind, subject, body, whose, sealed"
"""What of a row of the audit record gives `Waiting`."""
KIND: Final = "audit.unreadable"
_AT: Final = written(datetime(1970, 1, 1, tzinfo=UTC))
_Stored: TypeAlias = tuple[int, bytes, bytes, bytes, bytes, bytes | None, bytes | None]
_ONE: Final = (
    "SELECT number, CAST(replace(at, ' ', 'T') || '+00:00' AS BLOB), CAST(kind AS BLOB), "
    "CAST(subject AS BLOB), CAST(body AS BLOB), CAST(whose AS BLOB), sealed "
    "FROM audit WHERE number = ?"
)


def stands_for(number: int) -> Waiting:
    """What stands for an entry that can't be read."""
    return number, _AT, KIND, "", "{}", None, None


def one_by_one(driver: DBAPICursor, numbers: Iterable[int]) -> Iterator[Waiting]:
    """The entries with these numbers; what stands for those that can't be read.

    Raises:
        sqlite3.Error: the database can't be read; call again.
    """
    for number in numbers:
        driver.execute(_ONE, (number,))
        row = driver.fetchone()
        if row is not None:
            yield _decoded(row)


def _decoded(row: _Stored) -> Waiting:
    number, at, kind, subject, body, whose, sealed = row
    try:
        holder = None if whose is None else whose.decode()
        return number, at.decode(), kind.decode(), subject.decode(), body.decode(), holder, sealed
    except (UnicodeDecodeError, AttributeError):
        return stands_for(number)
