"""Databases for tests of what is kept in them: SQLite's files, or those of a server of PostgreSQL.

A test that is marked `both_databases` runs once with each. Whoever opens a database there asks
`opened` by its file's path; on PostgreSQL each path is a database of its own. So is it for a whole
home that this process opens: its two databases are where they would be, had its settings said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from bailee.config import Settings
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.home import Home
from bailee.home.belonging import Part
from bailee.node import databases as node_databases
from support.servers import postgres

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")

_kind: Kind = "sqlite"
_there: dict[Path, str] = {}
_made: dict[str, str] = {}


def clear() -> None:
    """A test has ended: so do its databases."""
    _there.clear()
    if postgres.is_running():
        postgres.shared().drop(but=_made.values())


def use(kind: Kind) -> None:
    """From now on, databases of this kind."""
    global _kind  # noqa: PLW0603 - a test runs alone in its process
    _kind = kind
    _there.clear()


def _connected(home: Home, settings: Settings, closing: ExitStack) -> tuple[Engine, Engine] | None:
    """What `node.databases.connect` comes to, for a home of a test's."""
    if _kind == "sqlite":
        return _connect(home, settings, closing)
    made = opened(home.data_database), opened(home.keyring_database)
    for engine in made:
        closing.callback(engine.dispose)
    return made


def _parts(data: Engine, keys: Engine) -> Mapping[str, Part]:
    """What `node.databases.parts` comes to. A database that was copied from one with the newest
    schema has no mark, and is as one that nothing was made in.
    """
    found = _found(data, keys)
    return {name: part if part.mark else Part(there=False) for name, part in found.items()}


_connect, _found = node_databases.connect, node_databases.parts
node_databases.connect, node_databases.parts = _connected, _parts


def opened(path: Path) -> Engine:
    """The database at a path, made if it is not there."""
    if _kind == "sqlite":
        return open_sqlite(path)
    path = path.resolve()
    if path not in _there:
        _there[path] = new("keys" if "key" in path.name else "data")
    return open_postgresql(_there[path], "database.url")


def new(line: Literal["data", "keys"]) -> str:
    """The address of a new database of PostgreSQL with the newest schema: to make that anew takes
    most of a test's time.
    """
    server = postgres.shared()
    if line not in _made:
        made = server.new()
        engine = open_postgresql(made, "database.url")
        upgrade(engine, line)
        engine.dispose()
        _made[line] = made.rpartition("/")[2]
    return server.new(f"TEMPLATE {_made[line]} STRATEGY FILE_COPY")
