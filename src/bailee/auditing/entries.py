"""Entries of the audit record as they may leave it.

Rules kept here:

* In the order of their leaves, which is the log's. An entry without a leaf has not happened yet.
* What is sealed under a person's key stays where it is: its name is told, and no key is asked for.
  Ids are told as the record has them, random ones of ours.
* An entry that can't be read is told as such, with its leaf. It stops nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from sqlalchemy import Engine, bindparam, func, select

from bailee.auditing.entry import UNREADABLE, StreamedEntry
from bailee.db.audit import audit, audit_leaves
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.portable import as_text
from bailee.ledger.particulars import KINDS, again_names, sealed_names

_WHAT: Final = "the audit record"
_SIZE: Final = select(func.coalesce(func.max(audit_leaves.c.leaf), -1) + 1)
_FROM: Final = (
    select(
        audit_leaves.c.leaf,
        audit.c.number,
        as_text(audit.c.at).label("at"),
        audit.c.kind,
        audit.c.subject,
        audit.c.body,
    )
    .join(audit, audit_leaves.c.number == audit.c.number)
    .where(audit_leaves.c.leaf >= bindparam("first"))
    .order_by(audit_leaves.c.leaf)
    .limit(bindparam("most"))
)


class Entries:
    """Reads the entries of one home. Each stream's thread asks it. It writes nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def size(self) -> int:
        """How many leaves there are.

        Raises:
            StorageError: the record can't be read.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return int(connection.execute(_SIZE).scalar_one())

    def after(self, first: int, most: int) -> Sequence[StreamedEntry]:
        """At most so many entries, from the leaf `first` on.

        Raises:
            StorageError: the record can't be read.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(_FROM, {"first": first, "most": most}).all()
        return [_entry(row) for row in rows]


def _entry(row: DbRow) -> StreamedEntry:
    try:
        at = row.at if isinstance(row.at, datetime) else datetime.fromisoformat(row.at)
        at = at.replace(tzinfo=at.tzinfo or UTC)
        said: dict[str, object] = orjson.loads(row.body)
        declared = KINDS[row.kind]
    except (ValueError, TypeError, KeyError):
        return StreamedEntry(
            row.leaf, row.number, datetime(1970, 1, 1, tzinfo=UTC), UNREADABLE, "", {}
        )
    stays = {*sealed_names(row.kind), *again_names(row.kind)}
    body = {
        name: value
        for name, value in said.items()
        if name in declared
        and name not in stays
        and (value is None or isinstance(value, str | int | float))
    }
    there = tuple(sorted(stays & said.keys()))
    return StreamedEntry(row.leaf, row.number, at, row.kind, str(row.subject), body, there)
