"""Cutting SQLite's write-ahead log to nothing, so that it holds no page from before.

A checkpoint can't reset the log while a reader still uses it; such readers are short, so it is
tried again for a while. See https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
"""

from __future__ import annotations

import time

from sqlalchemy import Engine

from bailee.db.engine import overwrites


def truncate_log(engine: Engine, tries: int = 20, pause_seconds: float = 0.05) -> bool:
    """Fold the log into the file and truncate it. False: readers blocked it all the while.
    PostgreSQL's log is no file of ours to cut: there nothing is done.
    """
    if not overwrites(engine):
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        for _ in range(tries):
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            row = cursor.fetchone()
            if row is not None and row[0] == 0:
                return True
            time.sleep(pause_seconds)
        return False
    finally:
        connection.close()
