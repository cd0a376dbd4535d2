"""A new database is made in one go, and is what all steps come to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Connection, text

from bailee.db import checks, counting, migrate
from bailee.db.engine import open_sqlite
from bailee.db.keys import CHECKED
from bailee.db.migrate import upgrade
from support.homes import made_databases

PRAGMAS = ("journal_mode", "page_size", "auto_vacuum", "encoding", "user_version")
LINES: tuple[Literal["data", "keys"], ...] = ("data", "keys")


def schema(connection: Connection) -> set[tuple[str, ...]]:
    """All that a database has, and its revision."""
    made = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all()
    (revision,) = connection.execute(text("SELECT version_num FROM alembic_version")).one()
    return {*(tuple(row) for row in made), (str(revision),)}


@pytest.mark.parametrize("line", LINES)
def test_it_is_what_the_steps_come_to(line: Literal["data", "keys"], tmp_path: Path) -> None:
    """Every table, index and trigger, to the letter; then there is no step left to take."""
    both = []
    for name in ("steps", "from nothing"):
        engine = open_sqlite(tmp_path / f"{name}.db")
        with engine.begin() as connection:
            if name == "from nothing":
                made_databases.truly(connection, line)
            migrate.steps(connection, line)
            if name == "steps":
                tables = migrate.DECIDING if line == "data" else CHECKED
                checks.install(connection, tables, renew=True)
                if line == "data":
                    counting.install(connection)
            both.append(schema(connection))
        engine.dispose()
    assert both[0] == both[1]
    assert (migrate.newest(line),) in both[0]


@pytest.mark.parametrize("line", LINES)
def test_a_copy_is_what_is_made(line: Literal["data", "keys"], tmp_path: Path) -> None:
    """The tests' homes have copies: the same schema, kept in the same way, with room to write."""
    both, kept = [], []
    for name in ("made", "what is copied", "a copy"):
        engine = open_sqlite(tmp_path / f"{name}.db")
        with engine.begin() as connection:
            (made_databases.truly if name == "made" else made_databases.copied)(connection, line)
        upgrade(engine, line)
        with engine.begin() as connection:
            both.append(schema(connection))
            kept.append([connection.execute(text(f"PRAGMA {one}")).scalar() for one in PRAGMAS])
            connection.execute(text("CREATE TABLE more (id)"))
        engine.dispose()
    assert [both[0]] * 3 == both
    assert [kept[0]] * 3 == kept
