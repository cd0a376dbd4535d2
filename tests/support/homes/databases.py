"""Databases for tests of what is kept in them: SQLite's files, or those of a server of PostgreSQL.

A test that is marked `both_databases` runs once with each. Whoever opens a database there asks
`opened` by its file's path; on PostgreSQL each path is a database of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from support.servers import postgres

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")

_kind: Kind = "sqlite"
_there: dict[Path, str] = {}
_made: dict[str, str] = {}


def use(kind: Kind) -> None:
    """From now on, databases of this kind."""
    global _kind  # noqa: PLW0603 - a test runs alone in its process
    _kind = kind
    _there.clear()


def opened(path: Path) -> Engine:
    """The database at a path, made if it is not there."""
    if _kind == "sqlite":
        return open_sqlite(path)
    if path not in _there:
        _there[path] = _new("keys" if "key" in path.name else "data")
    return open_postgresql(_there[path], "database.url")


def _new(line: Literal["data", "keys"]) -> str:
    """A database with the newest schema: to make it anew takes most of a test's time."""
    server = postgres.shared()
    if line not in _made:
        made = server.new()
        engine = open_postgresql(made, "database.url")
        upgrade(engine, line)
        engine.dispose()
        _made[line] = made.rpartition("/")[2]
    return server.new(f"TEMPLATE {_made[line]}")
