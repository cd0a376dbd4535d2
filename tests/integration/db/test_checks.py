"""Rows that decide something carry a keyed checksum that the database itself makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, insert, select, text, update

from bailee.db import checks
from bailee.db.checks import (
    accept,
    install,
    sound,
    unsound,
    unsound_beside,
    unsound_of,
    use_key,
)
from bailee.db.engine import open_sqlite
from bailee.db.migrate import DECIDING, configuration, upgrade
from bailee.db.vault import retention_moves as moves
from bailee.db.vault import stored
from bailee.testing.tampering import tamper

KEY = bytes(range(32))
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def move(engine: Engine, owner: str) -> None:
    """A row as the program writes it."""
    with engine.begin() as connection:
        connection.execute(
            insert(moves).values(owner=owner, requested_at=MOMENT, total=1, seen=0, moved=0,
                                 seen_to="")
        )  # fmt: skip


def owners(engine: Engine) -> list[str]:
    """Whose rows are what was written."""
    with engine.begin() as connection:
        return sorted(connection.execute(select(moves.c.owner).where(sound(moves))).scalars())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with a key of its own and two rows, Ada's and Bob's."""
    made = open_sqlite(tmp_path / "data.db")
    use_key(made, KEY)
    upgrade(made, "data")
    move(made, "ada")
    move(made, "bob")
    yield made
    made.dispose()


def test_a_changed_row_stays_unsound(engine: Engine, tmp_path: Path) -> None:
    """The program's own change of it does not make it good; to take it as it is does."""
    assert ["ada", "bob"] == owners(engine)
    tamper(tmp_path / "data.db", "UPDATE retention_moves SET seen_to = 'x' WHERE id = 1")
    with engine.begin() as connection:
        connection.execute(update(moves).values(seen=1))
    assert ["bob"] == owners(engine)
    with engine.begin() as connection:
        assert ["1"] == unsound(connection, moves)
        accept(connection, moves, "1")
        assert [] == unsound(connection, moves)


def test_rows_of_several_tables_are_looked_at_together(engine: Engine, tmp_path: Path) -> None:
    """In one statement: each table has an entry, whole or not; a checked row is no other's."""
    with engine.begin() as connection:
        connection.execute(insert(stored).values(owner="ada", living=1, gone=0))
        some = unsound_of(connection, DECIDING)
    assert some == {table.name: [] for table in DECIDING}
    tamper(tmp_path / "data.db", "UPDATE retention_moves SET seen_to = 'x'")
    tamper(tmp_path / "data.db", "UPDATE stored SET living = 2")
    with engine.begin() as connection:
        found = unsound_of(connection, DECIDING)
    assert found == some | {"retention_moves": ["1", "2"], "stored": ["ada"]}


def test_rows_that_were_not_read_are_looked_for(engine: Engine, tmp_path: Path) -> None:
    """Where fewer sound rows were read than there are."""
    with engine.begin() as connection:
        assert {"retention_moves": []} == unsound_beside(connection, {moves: 2})
    tamper(tmp_path / "data.db", "UPDATE retention_moves SET seen_to = 'x' WHERE id = 1")
    with engine.begin() as connection:
        assert {"retention_moves": ["1"]} == unsound_beside(connection, {moves: 1})


def test_how_many_rows_there_are_is_asked_of_no_index(engine: Engine, tmp_path: Path) -> None:
    """One that has lost an entry would hide the row."""
    tamper(tmp_path / "data.db", "UPDATE retention_moves SET seen_to = 'x' WHERE id = 1")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE INDEX less ON retention_moves (id) WHERE id = 2")
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "data.db")) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ' WHERE id = 2', '') WHERE name = 'less'"
        )
        other.commit()
    with engine.begin() as connection:
        by_index = connection.exec_driver_sql("SELECT count(*) FROM retention_moves").scalar_one()
        assert 1 == by_index
        assert {"retention_moves": ["1"]} == unsound_beside(connection, {moves: 1})


@pytest.mark.parametrize("value", [b"\xff", "Ada", 1, None, "ad'a", "a\0b"])
def test_any_other_value_is_another_row(engine: Engine, tmp_path: Path, value: object) -> None:
    """Of another type too, and one that is no text."""
    if value is None:
        tamper(tmp_path / "data.db", "UPDATE retention_moves SET choice_at = 0 WHERE id = 1")
    else:
        tamper(tmp_path / "data.db", "UPDATE retention_moves SET owner = ? WHERE id = 1", [value])
    assert ["bob"] == owners(engine)


def test_under_another_key_nothing_is_sound(engine: Engine, tmp_path: Path) -> None:
    """The checksum can't be made without the key."""
    other = open_sqlite(tmp_path / "data.db")
    assert [] == owners(other)
    other.dispose()
    assert ["ada", "bob"] == owners(engine)


def test_nobody_else_writes_these_rows(engine: Engine, tmp_path: Path) -> None:
    """Another program's change is refused by the database: it has no such function."""
    assert ["ada", "bob"] == owners(engine)
    other = sqlite3.connect(tmp_path / "data.db")
    with pytest.raises(sqlite3.OperationalError, match="row_mac"):
        other.execute("UPDATE retention_moves SET owner = 'me'")
    other.close()


def test_another_column_renews_what_was_sound(engine: Engine, tmp_path: Path) -> None:
    """Rows that were sound over the columns before are so over those now; the others are not."""
    tamper(tmp_path / "data.db", "UPDATE retention_moves SET seen_to = 'x' WHERE id = 1")
    with engine.begin() as connection:
        for name in ("retention_moves_mac_insert", "retention_moves_mac_update"):
            sql = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
            ).scalar_one()
            connection.execute(text(f"DROP TRIGGER {name}"))
            less = (
                sql.replace(', NEW."moved"', "").replace(', OLD."moved"', "").replace("%Q,", "", 1)
            )
            connection.execute(text(less))
        was = checks._mac(moves, _without_moved(), "retention_moves")
        connection.execute(text(f"UPDATE retention_moves SET mac = {was} WHERE id = 2"))
    assert [] == owners(engine)
    with engine.begin() as connection:
        install(connection, DECIDING, renew=True)
    assert ["bob"] == owners(engine)


def _without_moved() -> list[str]:
    return [column.name for column in moves.c if column.name not in ("mac", "moved")]


@pytest.mark.row("T2")
def test_rows_from_before_get_theirs_once(tmp_path: Path) -> None:
    """When the schema is brought up to date, and never again."""
    engine = open_sqlite(tmp_path / "data.db")
    use_key(engine, KEY)
    config = configuration("data")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0035")
        connection.exec_driver_sql(
            "INSERT INTO retention_moves (owner, requested_at, total, seen, moved, seen_to) "
            "VALUES ('ada', '2026-01-01 00:00:00.000000', 1, 0, 0, '')"
        )
    upgrade(engine, "data")
    assert ["ada"] == owners(engine)
    tamper(tmp_path / "data.db", "UPDATE retention_moves SET mac = NULL")
    upgrade(engine, "data")
    assert [] == owners(engine)
    engine.dispose()
