"""A new database is copied from one that was made before: a run makes some thousands.

Making one is two hundred statements, half of what opening a new home takes. The first of a process
is made as ever; those after it are a copy of its pages, those of `bailee` in forked processes too.
`test_from_nothing.py` shows that what is made is right, and asks for it by `truly`; a process of
its own that is not forked makes each.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, Literal

from sqlalchemy import Connection

from bailee.db import migrate
from bailee.db.portable import is_sqlite

truly = migrate._make
"""Makes the schema in an empty database, statement by statement."""
_made: dict[str, sqlite3.Connection] = {}
_one_at_a_time = threading.Lock()  # held by who makes or reads a copy


def copied(connection: Connection, line: Literal["data", "keys"]) -> str | None:
    """What `truly` comes to. The caller's transaction has changed nothing yet: a copy can't be
    written within one.
    """
    if not is_sqlite(connection):
        return truly(connection, line)
    raw: Any = connection.connection.driver_connection
    with _one_at_a_time:
        if line not in _made:
            revision = truly(connection, line)
            raw.execute("COMMIT")
            _made[line] = sqlite3.connect(":memory:", check_same_thread=False)
            raw.backup(_made[line])
        else:
            raw.execute("ROLLBACK")
            # Into the file itself: by way of its log, each page would be written twice.
            raw.execute("PRAGMA journal_mode=DELETE").fetchall()
            _made[line].backup(raw)
            raw.execute("PRAGMA journal_mode=WAL").fetchall()
            (revision,) = _made[line].execute("SELECT version_num FROM alembic_version").fetchone()
    raw.execute("BEGIN IMMEDIATE")
    return revision


def share() -> None:
    """From now on, this process copies."""
    migrate._make = copied
