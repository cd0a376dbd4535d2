"""Rows changed behind the program's back: as a disk damages them, or as an older home has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text

from bailee.clock import system_clock
from bailee.db.checks import KEY, use_key
from bailee.db.engine import open_sqlite
from bailee.home import Home
from bailee.keyring import FileRoot, Keyring


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


def rewrite(home: Path, *statements: str, **parameters: object) -> None:
    """Run statements on the data of a home that nobody has open, as the program would: what it
    reads then is what was written.
    """
    place = Home(home)
    keys, data = open_sqlite(place.keyring_database), open_sqlite(place.data_database)
    keyring = Keyring.open(keys, FileRoot(place.root_key_file), system_clock)
    use_key(data, keyring.secret(KEY))
    with data.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), parameters)
    data.dispose()
    keys.dispose()
