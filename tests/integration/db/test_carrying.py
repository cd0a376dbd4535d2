"""What one database has, the other has when it was carried over: every table, either way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Engine,
    Float,
    Integer,
    LargeBinary,
    Table,
    insert,
    inspect,
    select,
    text,
)

from bailee.db import change_log
from bailee.db.audit import audit
from bailee.db.carrying import Line, carried, carry, declared, into_file, is_empty
from bailee.db.checks import MAC, checked, sound, unsound, use_key
from bailee.db.counting import differ
from bailee.db.engine import open_sqlite, reading
from bailee.db.fencing import TABLE
from bailee.db.leases import Lease
from bailee.db.metadata import SUMMED_UP, Moment
from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.db.vault import holds, retention_moves, session_facts, sessions
from bailee.errors import IntegrityError
from support.homes.databases import new

pytestmark = pytest.mark.row("O6", "D4")

KEY = bytes(range(32))
AT = datetime(2026, 1, 31, 12, 30, 15, 42, tzinfo=UTC)
Make = Callable[[str, Line], Engine]
WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql")]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make a database of a kind, with the newest schema and the key of its rows."""
    with ExitStack() as closing:

        def made(kind: str, line: Line) -> Engine:
            if kind == "sqlite":
                engine = open_sqlite(tmp_path / f"{line}{len(list(tmp_path.iterdir()))}.db")
            else:
                engine = open_postgresql(new(line), "database.url")
            closing.callback(engine.dispose)
            use_key(engine, KEY)
            upgrade(engine, line)
            return engine

        yield made


def value(column: Column[object], number: int) -> object:
    """A value that a column may have, another for each row."""
    kind = column.type
    if isinstance(kind, Moment | DateTime):
        return AT.replace(microsecond=number)
    if isinstance(kind, Boolean):
        return bool(number % 2)
    if isinstance(kind, Float):
        return 1_767_225_599.123456 + number
    if isinstance(kind, LargeBinary):
        return bytes([0, 255, number])
    if isinstance(kind, Integer):
        return number + (1 << 40)
    return f"ünd 'o\"r \\ % : {number}"


def row(table: Table, number: int) -> dict[str, object]:
    """A row of a table. What refers to another refers to its row of this number."""
    found = {one.name: value(one, number) for one in table.columns if one.name != MAC}
    for one in table.columns:
        if one.nullable and number == 2 and not one.foreign_keys:
            found[one.name] = None
    return found


def filled(line: Line) -> list[Table]:
    """The tables that rows are put into; those of the others the database makes itself."""
    return [table for table in declared(line).sorted_tables if table.info != SUMMED_UP]


def rows(engine: Engine, line: Line) -> dict[str, set[tuple[object, ...]]]:
    """Every row of every table, but for its check."""
    with reading(engine) as connection:
        return {
            table.name: {
                tuple(one)
                for one in connection.execute(select(*(c for c in table.c if c.name != MAC)))
            }
            for table in declared(line).sorted_tables
        }


@pytest.mark.parametrize("line", ["data", "keys"])
@pytest.mark.parametrize(("old", "new"), WAYS)
def test_every_table_is_carried(make: Make, old: str, new: str, line: Line) -> None:
    """Each with rows of every type; each row that decides is sound, by the other's own check."""
    source, target = make(old, line), make(new, line)
    assert is_empty(target, line)
    with source.begin() as connection:
        for table in filled(line):
            connection.execute(insert(table), [row(table, number) for number in (1, 2, 3)])
    carry(source, target, line)
    assert rows(source, line) == rows(target, line)
    assert all(len(some) == 3 for some in rows(target, line).values())
    assert not is_empty(target, line)
    with reading(target) as connection:
        for table in checked(declared(line).sorted_tables):
            assert [] == unsound(connection, table), table.name
            assert connection.execute(
                select(text("1")).select_from(table).where(sound(table))
            ).all()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_table_there_is_is_declared(make: Make, kind: str) -> None:
    """Else one would be left behind."""
    lines: tuple[Line, ...] = ("data", "keys")
    for line in lines:
        there = inspect(make(kind, line)).get_table_names()
        own = {name for name in there if not name.startswith("sqlite_")} - {"alembic_version"}
        own -= {change_log.TABLE}  # of a database, as the lease is
        assert own == declared(line).tables.keys()


@pytest.mark.parametrize(("old", "new"), WAYS)
def test_a_row_that_was_changed_is_none_there_either(make: Make, old: str, new: str) -> None:
    """Under the same key: what somebody wrote is not made good by being carried."""
    source, target = make(old, "data"), make(new, "data")
    with source.begin() as connection:
        connection.execute(insert(holds), [row(holds, number) for number in (1, 2)])
        changed = "UPDATE holds SET mac = '{}' WHERE id LIKE '% 2'"
        connection.exec_driver_sql(
            changed.format("x" * 32)
            if old == "sqlite"
            else changed.format("\\x00").replace("%", "%%")
        )
    carry(source, target, "data")
    with reading(target) as connection:
        assert 2 == len(connection.execute(select(holds)).all())
        assert [value(holds.c.id, 2)] == unsound(connection, holds)


@pytest.mark.parametrize(("old", "new"), WAYS)
def test_a_number_that_was_given_is_not_given_again(make: Make, old: str, new: str) -> None:
    """Of a row that is there, of one that is gone, and of a table in which none is left."""
    source, target = make(old, "data"), make(new, "data")
    entry = {"at": AT, "kind": "k", "subject": "s", "body": "{}"}
    move = {name: one for name, one in row(retention_moves, 1).items() if name != "id"}
    with source.begin() as connection:
        for _ in range(3):
            connection.execute(insert(audit).values(entry))
            connection.execute(insert(retention_moves).values(move))
        connection.execute(retention_moves.delete())
    carry(source, target, "data")
    with target.begin() as connection:
        for table, values in ((audit, entry), (retention_moves, move)):
            made = connection.execute(insert(table).values(values))
            assert (4,) == tuple(made.inserted_primary_key or ())


def test_what_does_not_fit_is_refused_whole(make: Make) -> None:
    """A number that is a text, as a flipped bit leaves it: its table is named, and nothing of it
    is repeated; of the tables before nothing is there. With a mark it is known that it was done.
    """
    source, target = make("sqlite", "data"), make("postgresql", "data")
    with source.begin() as connection:
        for table in filled("data"):
            connection.execute(insert(table), [row(table, 1)])
        connection.exec_driver_sql("UPDATE sessions SET bytes = 'quince'")
    with pytest.raises(IntegrityError, match="a row of sessions is not what") as refused:
        carry(source, target, "data", "c0ffee")
    assert "quince" not in f"{refused.value} {refused.value.hint}"
    assert is_empty(target, "data")
    assert carried(target) is None
    with source.begin() as connection:
        connection.exec_driver_sql("UPDATE sessions SET bytes = 5")
    carry(source, target, "data", "c0ffee")
    assert "c0ffee" == carried(target)


def test_who_has_it_fills_nothing(make: Make) -> None:
    """A database is empty, though somebody has it: a restore that was broken off begins again. The
    lease is carried nowhere.
    """
    target = make("postgresql", "data")
    lease = Lease(target, "database.url")
    lease.take()
    upgrade(target, "data")
    try:
        assert TABLE in inspect(target).get_table_names()
        assert is_empty(target, "data")
        assert TABLE not in declared("data").tables
    finally:
        lease.give_back()


def test_a_file_of_it_is_one_file(make: Make, tmp_path: Path) -> None:
    """With everything in it, whatever lay there before; nobody else may read it."""
    source = make("postgresql", "keys")
    with source.begin() as connection:
        for table in declared("keys").sorted_tables:
            connection.execute(insert(table), [row(table, 1)])
    path = tmp_path / "there" / "keys.db"
    path.parent.mkdir()
    path.write_bytes(b"of before")
    into_file(source, path, "keys")
    assert [path] == [*path.parent.iterdir()]
    assert 0o600 == path.stat().st_mode & 0o777
    made = open_sqlite(path)
    assert rows(source, "keys") == rows(made, "keys")
    made.dispose()


@pytest.mark.parametrize(("old", "new"), WAYS)
def test_what_is_summed_up_there_is_what_is_sound_there(make: Make, old: str, new: str) -> None:
    """A session whose row was changed is carried, and is in no sum; the sums of the source, right
    or wrong, are not carried.
    """
    source, target = make(old, "data"), make(new, "data")
    with source.begin() as connection:
        connection.execute(insert(sessions), [row(sessions, number) for number in (1, 2, 3)])
        spoilt = "'{}'".format("x" * 32) if old == "sqlite" else "'\\x00'"
        connection.exec_driver_sql(f"UPDATE sessions SET mac = {spoilt} WHERE id LIKE '%% 2'")
        connection.execute(session_facts.delete())
    carry(source, target, "data")
    with reading(target) as connection:
        assert 3 == len(connection.execute(select(sessions)).all())
        there = connection.execute(select(session_facts.c.owner, session_facts.c.sessions)).all()
        assert not differ(connection)
    assert {(value(sessions.c.owner, number), 1) for number in (1, 3)} == {*map(tuple, there)}
