"""One of many values, as one parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, text

from bailee.db.among import among
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.db.vault import tombstones
from bailee.testing import FakeClock


def test_more_than_a_statement_takes_parameters(tmp_path: Path) -> None:
    """50,000 values, also such as are quoted in JSON, in one statement, by the column's index. What
    is no text is left out.
    """
    engine = open_sqlite(tmp_path / "data.db")
    upgrade(engine, "data")
    owners = ["", "a", 'a"b', "a\\b", "日本", "a\x01"]
    rows = [
        {"digest": bytes([n]), "owner": owner, "until": FakeClock()()}
        for n, owner in enumerate([*owners, "stays"])
    ]
    named = [*owners, *map(str, range(50_000))]
    with engine.begin() as connection:
        connection.execute(insert(tombstones), rows)
        query = select(tombstones.c.digest).where(among(tombstones.c.owner, named))
        asked = f"EXPLAIN QUERY PLAN {query.compile(engine)}".replace("?", "'[]'")
        steps = [step.detail for step in connection.execute(text(asked))]
        assert [True] == [one.startswith("SEARCH") for one in steps if "tombstones" in one]
        assert len(owners) == len(connection.execute(query).all())
        connection.execute(delete(tombstones).where(among(tombstones.c.owner, named)))
        assert ["stays"] == list(connection.execute(select(tombstones.c.owner)).scalars())
        assert (
            [] == connection.execute(select(tombstones).where(among(tombstones.c.owner, []))).all()
        )
        damaged: list[Any] = [b"stays", 7, None, "stays"]
        assert (
            1
            == connection.execute(
                delete(tombstones).where(among(tombstones.c.owner, damaged))
            ).rowcount
        )
    engine.dispose()
