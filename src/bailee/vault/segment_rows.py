"""The records of open segments as rows of the database on PostgreSQL, until the object store has
the segment: what is filed outlives the machine whose disk the open segment is on.

A row is what one batch appended to one segment. It is put in the transaction of that batch's index,
so that no record is in the index that is in no row, and goes with the one that says that the object
is put. Records are sealed under their sessions' keys, which lie in the other database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Engine, text

from bailee.db.engine import reading, storage_errors

_WHAT: Final = "the vault's open segments"
_MADE: Final = (
    "CREATE TABLE IF NOT EXISTS bailee_open_segments (segment text, at bigint, "
    "content bytea NOT NULL, PRIMARY KEY (segment, at))",
    "ALTER TABLE bailee_open_segments ALTER content SET STORAGE EXTERNAL",
)
_PUT: Final = text(
    "INSERT INTO bailee_open_segments VALUES (:segment, :at, :content) "
    "ON CONFLICT (segment, at) DO UPDATE SET content = excluded.content"
)
_FORGOTTEN: Final = text("DELETE FROM bailee_open_segments WHERE segment = :segment")
_ALL: Final = text(
    "SELECT at, content FROM bailee_open_segments WHERE segment = :segment ORDER BY at"
)
_LENGTHS: Final = text(
    "SELECT segment, sum(octet_length(content)) AS length FROM bailee_open_segments "
    "GROUP BY segment"
)


class SegmentRows:
    """Those of one home. `Segments` calls it, within its own transactions where it is given one.
    `writes`: new records become rows; else there are those of an earlier process alone.
    """

    def __init__(self, engine: Engine, *, writes: bool) -> None:
        self._engine = engine
        self._writes = writes

    def make(self, connection: Connection) -> None:
        """Make the table, if it is not there."""
        for statement in _MADE:
            connection.exec_driver_sql(statement)

    def put(self, connection: Connection, segment: str, at: int, content: bytes) -> None:
        """What a batch appends to a segment at a place."""
        if self._writes:
            given = {"segment": segment, "at": at, "content": content}
            connection.execute(_PUT, given)

    def forget(self, connection: Connection, segment: str) -> None:
        """A segment is in the object store, or gone."""
        connection.execute(_FORGOTTEN, {"segment": segment})

    def content(self, segment: str) -> bytes:
        """A segment from its beginning, as far as there are rows.

        Raises:
            StorageError: they can't be read.
        """
        found = bytearray()
        with storage_errors(_WHAT), reading(self._engine) as connection:
            for row in connection.execute(_ALL, {"segment": segment}):
                if row.at != len(found):
                    break
                found += row.content
        return bytes(found)

    def have(self, lengths: Mapping[str, int]) -> bool:
        """Whether of each segment there are rows for so many bytes.

        Raises:
            StorageError: they can't be read.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            there = {row.segment: int(row.length) for row in connection.execute(_LENGTHS)}
        return all(there.get(segment, 0) >= length for segment, length in lengths.items())
