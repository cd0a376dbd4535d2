"""Rows on PostgreSQL are searched as those of a file are: whatever a table is called, or is of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bailee.db.engine import size_of
from bailee.db.postgresql import open_postgresql
from bailee.db.searching_there import search_too
from bailee.errors import StorageError
from bailee.home.searching import Search, Trace, search
from support.servers import postgres

pytestmark = pytest.mark.row("R6", "O6")

ID = "6a1f0e6e-1111-4222-8333-444455556666"
TRACES = (Trace("word", b"greengage street"), Trace("id", id=ID))


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A database with nothing in it."""
    made = open_postgresql(postgres.shared().new(), "database.url")
    yield made
    made.dispose()


@pytest.fixture
def nothing(tmp_path: Path) -> Search:
    """What is found in a folder in which there is nothing."""
    return search(tmp_path, TRACES)


def test_every_column_that_can_say_something_is_looked_at(engine: Engine, nothing: Search) -> None:
    """Text, bytes, JSON and lists, in tables with odd names; what is past one part of the rows; not
    numbers and moments. Each finding has its table and column, and in how many rows it is.
    """
    with engine.begin() as connection:
        for statement in (
            """CREATE TABLE "a ""b"" %s :c"
            (n bigint, "x%" text, raw bytea, j json, l text[], d date)""",
            f"""INSERT INTO "a ""b"" %s :c" SELECT n, CASE n WHEN 1500 THEN 'To GREENgage Street.'
            WHEN 2 THEN 'of {ID}!' END, CASE n WHEN 7 THEN 'in greengage street'::bytea END,
            CASE n WHEN 8 THEN '{{"at": "{ID}"}}'::json END,
            CASE WHEN n > 2998 THEN ARRAY['x', 'greengage street'] END, now()
            FROM generate_series(1, 3000) n""",
            "CREATE TABLE empty (said text)",
            "CREATE TABLE numbers (n bigint)",
        ):
            connection.exec_driver_sql(statement.replace("%", "%%"))
    found = search_too(nothing, {"one": engine}, TRACES)
    table = 'a "b" %s :c'
    assert {
        ("one", f"{table}.x%", "word", 1),
        ("one", f"{table}.x%", "id", 1),
        ("one", f"{table}.raw", "word", 1),
        ("one", f"{table}.j", "id", 1),
        ("one", f"{table}.l", "word", 2),
    } == {(one.where, one.column, one.what, one.count) for one in found.findings}
    assert (1, 0) == (found.databases, found.left_out)


def test_what_is_too_large_is_told(engine: Engine, nothing: Search) -> None:
    """It is left out, and said to be; a home with files has no such database at all."""
    size = size_of(engine)
    found = search_too(nothing, {"one": engine}, TRACES, most=size - 1)
    assert (0, 1, size) == (found.databases, found.left_out, found.left_out_bytes)
    assert nothing == search_too(nothing, {}, TRACES)


def test_one_that_is_away_is_no_empty_result(nothing: Search) -> None:
    """Nobody says that nothing was found where nothing was looked at."""
    server = postgres.PostgresServer()
    try:
        engine = open_postgresql(server.new(), "database.url")
        server.stop("immediate")
        with pytest.raises(StorageError):
            search_too(nothing, {"one": engine}, TRACES)
        engine.dispose()
    finally:
        server.end()
