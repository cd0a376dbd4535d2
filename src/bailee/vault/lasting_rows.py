"""What of a vault is in the database on PostgreSQL, so that it outlives the machine: the spool
(`spool_rows`), the open segments' records (`segment_rows`), and a note that nothing lies in the
vault's folder alone (`may_be_without_folder`).

Rules kept here:

* The note is written once all that an earlier process left in the folder is filed, and is in rows
  or in the bucket. It is taken back before anything is written to the folder alone again.
* Who wrote there before has ended, or is ended, before anything is read.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, text

from bailee.db.engine import reading, storage_errors
from bailee.vault.objects import Objects
from bailee.vault.segment_rows import SegmentRows
from bailee.vault.spool_rows import SpoolRows

_WHAT: Final = "what of the vault is in the database"
_THERE: Final = text("SELECT to_regclass('bailee_vault') IS NOT NULL")
_MADE: Final = (
    "CREATE TABLE bailee_vault (one boolean PRIMARY KEY CHECK (one), outlives boolean NOT NULL)",
    "INSERT INTO bailee_vault VALUES (true, false)",
)
_NOTED: Final = text("UPDATE bailee_vault SET outlives = :outlives")
_OUTLIVES: Final = text("SELECT outlives FROM bailee_vault")


class LastingRows:
    """Those of one home, open. Its vault owns them. `writes`: what comes is written there, too;
    else they are what is left from when it was. `noted`: whether the note is written.
    """

    def __init__(self, engine: Engine, objects: Objects | None, *, writes: bool) -> None:
        """Use `open_rows`."""
        self._engine = engine
        self.writes = writes
        self.noted = False
        self.spool = SpoolRows(engine, objects)
        self.segments = SegmentRows(engine, writes=writes)

    def note_outlived(self) -> None:
        """Nothing lies in the vault's folder alone.

        Raises:
            StorageError: the database can't be written.
        """
        self._note(outlives=True)
        self.noted = True

    def _note(self, *, outlives: bool) -> None:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(_NOTED, {"outlives": outlives})

    def close(self) -> None:
        """End the connections that are theirs alone."""
        self.spool.close()


def open_rows(engine: Engine, objects: Objects | None, *, writes: bool) -> LastingRows | None:
    """The rows of the vault in a database on PostgreSQL; None: there are none, and none are to be.
    `objects`: where in a bucket what is large goes.

    Raises:
        StorageError: the database can't be read or written.
    """
    with storage_errors(_WHAT), reading(engine) as connection:
        there = bool(connection.execute(_THERE).scalar())
    if not there and not writes:
        return None
    rows = LastingRows(engine, objects, writes=writes)
    if not there:
        with storage_errors(_WHAT), engine.begin() as connection:
            rows.spool.prepare(connection)
            rows.segments.make(connection)
            for statement in _MADE:
                connection.exec_driver_sql(statement)
    elif not writes:
        rows._note(outlives=False)
    rows.spool.take()
    return rows


def may_be_without_folder(engine: Engine) -> bool:
    """Whether nothing lies in the vault's folder alone: a new folder may take its place.

    Raises:
        StorageError: the database can't be read.
    """
    with storage_errors(_WHAT), reading(engine) as connection:
        there = bool(connection.execute(_THERE).scalar())
        return there and bool(connection.execute(_OUTLIVES).scalar())
