"""What a disk does to a database, done on purpose: rows changed behind the program's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path


def tamper(database: Path, statement: str, parameters: Sequence[object] = ()) -> int:
    """Run a statement on a database file without the triggers that keep it right; how many rows it
    changed. Whoever has the file open sees the change with their next transaction.
    """
    connection = sqlite3.connect(database, isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN IMMEDIATE")
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(query).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        changed = connection.execute(statement, parameters).rowcount
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")
        return changed
    finally:
        connection.close()
