"""What a server of PostgreSQL says of its standbys: which there are, and what they have.

Rules kept here:

* A standby has what its disk has: once promoted, it goes through all of that.
* One that is connected is known by its connection, one that is away by its slot alone. A standby
  without a slot that is away is not known to anybody.
* Backups that are being taken are no standbys, nor is one whose slot has lost what it needs.
* How far a standby is, PostgreSQL tells a user who has `pg_monitor`, and of a slot everybody.

Rows: O6, R5.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, text

from bailee.clock import ticks
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import is_sqlite

_LOOK: Final = 0.05
_SLOTS: Final = (
    "(SELECT * FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary) AS slots"
)
_STANDBYS: Final = (
    "(SELECT * FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND NOT EXISTS "
    "(SELECT 1 FROM pg_replication_slots WHERE temporary AND active_pid = pid)) AS standbys"
)
_THEIR_SLOTS: Final = f"{_STANDBYS} LEFT JOIN {_SLOTS} ON slots.active_pid = standbys.pid"
_PLACE: Final = text("SELECT pg_current_wal_flush_lsn()::text")
_BEHIND: Final = "pg_wal_lsn_diff(pg_current_wal_flush_lsn(), {})::bigint"
_IS_AWAY: Final = "NOT active AND wal_status <> 'lost' AND restart_lsn IS NOT NULL"
# One that has just come has said nothing yet; of one that may not be seen nothing is known.
_HAS: Final = "coalesce(flush_lsn, restart_lsn, CASE WHEN state IS NOT NULL THEN '0/0'::pg_lsn END)"
_NUMBERS: Final = {
    "connected": f"count(*) FROM {_STANDBYS}",
    "unseen": f"count(*) FROM {_STANDBYS} WHERE state IS NULL",
    "without_slot": f"count(*) FROM {_THEIR_SLOTS} WHERE slot_name IS NULL",
    "behind": f"max({_BEHIND.format(_HAS)}) FROM {_THEIR_SLOTS}",
    "away": f"count(*) FROM {_SLOTS} WHERE {_IS_AWAY}",
    "kept": f"max({_BEHIND.format('restart_lsn')}) FROM {_SLOTS} WHERE {_IS_AWAY}",
    "lost": f"count(*) FROM {_SLOTS} WHERE wal_status = 'lost'",
}
_ALL: Final = text(
    "SELECT current_setting('synchronous_standby_names') <> '' "
    "AND current_setting('synchronous_commit') <> 'local' AS waits, "
    + ", ".join(f"(SELECT {number}) AS {name}" for name, number in _NUMBERS.items())
)
_LACKING: Final = text(
    f"SELECT (SELECT count(*) FROM {_SLOTS} WHERE {_IS_AWAY} "  # noqa: S608 - all of it is ours
    "AND restart_lsn < CAST(:place AS pg_lsn)) + "
    f"(SELECT count(*) FROM {_THEIR_SLOTS} WHERE {_HAS} < CAST(:place AS pg_lsn))"
)


@dataclass(frozen=True, slots=True)
class Standbys:
    """What can be told of a database's standbys. `waits`: commits wait for one to have them;
    `connected`: how many are; `unseen`: of how many of these nobody may know how far they are;
    `without_slot`: how many of these are not known once they are away; `behind`: bytes of the log
    that the last of those that are connected has not got; `away`: how many are not connected, and
    `kept` the bytes of the log that wait for them; `lost`: how many the log has gone on without.
    """

    waits: bool
    connected: int
    unseen: int
    without_slot: int
    behind: int
    away: int
    kept: int
    lost: int


def standbys(engine: Engine) -> Standbys:
    """The standbys of the server that has a database of PostgreSQL.

    Raises:
        StorageError: it can't be reached.
    """
    with storage_errors("the database"), reading(engine) as connection:
        row = connection.execute(_ALL).one()
    return Standbys(bool(row.waits), *(int(getattr(row, name) or 0) for name in _NUMBERS))


def place(engine: Engine) -> str:
    """Up to where the log is on the disk that has all that was committed by now; nothing: it is
    SQLite's.

    Raises:
        StorageError: it can't be reached.
    """
    if is_sqlite(engine):
        return ""
    with storage_errors("the database"), reading(engine) as connection:
        return str(connection.execute(_PLACE).scalar_one())


def lacking(engine: Engine, up_to: str, seconds: float) -> int:
    """How many standbys have not got the log up to a place (`place`) when so many seconds, of a
    clock that only grows, have passed. It comes back as soon as all have.

    Raises:
        StorageError: it can't be reached.
    """
    if is_sqlite(engine):
        return 0
    until = ticks() + seconds
    while True:
        with storage_errors("the database"), reading(engine) as connection:
            found = int(connection.execute(_LACKING, {"place": up_to}).scalar_one())
        if not found or ticks() >= until:
            return found
        time.sleep(_LOOK)
