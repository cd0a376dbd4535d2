"""Rows that are put there at once are what an insert of each would have put there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from bailee.db.engine import open_sqlite
from bailee.db.many import put
from bailee.db.migrate import upgrade
from bailee.db.vault import retention_moves as moves

ROWS = [
    {
        "owner": f"owner {n}",
        "requested_at": datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=n))),
        "total": n,
        "seen": 0,
        "moved": 0,
        "seen_to": "",
        "choice_at": None,
        "policy_number": 0,
        "finished_at": None,
    }
    for n in range(3)
]


def test_rows_are_the_same(tmp_path: Path) -> None:
    """Moments in UTC, and the check that the database makes."""
    found = []
    for number in range(2):
        engine = open_sqlite(tmp_path / f"{number}.db")
        upgrade(engine, "data")
        with engine.begin() as connection:
            if number:
                put(connection, moves, ROWS)
                put(connection, moves, [])
            else:
                for row in ROWS:
                    connection.execute(insert(moves).values(row))
            found.append(connection.execute(select(moves).order_by(moves.c.owner)).all())
        engine.dispose()
    assert found[0] == found[1]
    assert datetime(2026, 1, 1, 10, tzinfo=UTC) == found[1][2].requested_at


def test_a_row_has_all_columns(tmp_path: Path) -> None:
    """What is left out would be stored as something else."""
    engine = open_sqlite(tmp_path / "data.db")
    upgrade(engine, "data")
    with engine.begin() as connection, pytest.raises(KeyError):
        put(connection, moves, [{"owner": "owner"}])
    engine.dispose()
