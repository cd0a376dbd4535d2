"""A new database is made in one go, and is what all steps come to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Connection, text

from bailee.db import migrate
from bailee.db.engine import open_sqlite

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
                migrate._make(connection, line)
            migrate.steps(connection, line)
            both.append(schema(connection))
        engine.dispose()
    assert both[0] == both[1]
    assert (migrate.newest(line),) in both[0]
