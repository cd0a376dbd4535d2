"""Writing to a home's database beside the process that has it, on a real PostgreSQL."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, delete, func, insert, select, text, update

from bailee.db.accounts import accounts, api_keys
from bailee.db.beside import TABLES
from bailee.db.checks import unsound
from bailee.db.engine import reading
from bailee.db.fencing import COMMITS, TABLE, fence_of
from bailee.db.usage import usage_limits, usage_models, usage_windows
from bailee.errors import BaileeError, IntegrityError, StorageError
from bailee.home import Home
from bailee.node.reader import HomeReader
from support.homes.there import There
from support.servers import postgres

pytestmark = pytest.mark.row("O2", "O6")

GUIDE = Path(__file__).parents[3] / "docs/guides/postgresql.md"
WINDOW = {"scope": "person", "span": "day", "start": 0, "requests": 1, "tokens": 2, "money": 3}


class Beside:
    """A home that is open here, and an engine beside it."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._closing = closing
        server = postgres.shared()
        self.home = There(folder, server.new(), server.new())
        closing.callback(self.home.close)
        self.engine = self.opened()

    def opened(self, user: str = "bailee") -> Engine:
        """One more, as this user of PostgreSQL."""
        names = {
            name: url.replace("//bailee@", f"//{user}@") for name, url in self.home.names.items()
        }
        reader = HomeReader(Home(self.home.folder), environment=names, clock=self.home.clock)
        self._closing.callback(reader.close)
        return reader.writing()

    def do(self, *statements: str) -> None:
        """Do something to the data database, as its administrator."""
        at = self.home.names["BAILEE_DATABASE_URL"].rpartition("/")[2]
        postgres.shared().do(*statements, at=at)


def used(engine: Engine, subject: str) -> None:
    """Write one row that is meant to be written beside."""
    with engine.begin() as connection:
        connection.execute(insert(usage_windows).values(**WINDOW, subject=subject))


def found(engine: Engine) -> int:
    """How many of them there are."""
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(usage_windows)).scalar_one()


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    """A home, and an engine beside it."""
    with ExitStack() as closing:
        yield Beside(tmp_path / "home", closing)


def test_it_writes_what_is_meant_for_it_alone(beside: Beside) -> None:
    """Whatever else is said, in whichever form, is refused before it is sent; what is written has
    its check, and the one with the home goes on.
    """
    used(beside.engine, "one")
    others = (
        update(usage_limits).values(amount=0),
        delete(usage_models),
        update(accounts).values(plan="max"),
        delete(api_keys),
        text("DELETE FROM usage_windows"),
        text(f"UPDATE {TABLE} SET number = 0"),
    )
    for statement in others:
        with pytest.raises(StorageError), beside.engine.begin() as connection:
            connection.execute(statement)
    with pytest.raises(StorageError), beside.engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    used(beside.home.node.data, "two")
    used(beside.engine, "three")
    assert 3 == found(beside.engine)
    with reading(beside.engine) as connection:
        assert [] == unsound(connection, usage_windows)


def test_a_role_with_no_other_rights_will_do(beside: Beside) -> None:
    """The guide's grants let it read, have its turn and write its tables; PostgreSQL refuses the
    rest, whatever runs there.
    """
    (said,) = re.findall(r"```sql\n(CREATE ROLE.*?)```", GUIDE.read_text(), re.DOTALL)
    granted, keys = said.split("-- in the keys' database\n")
    server = postgres.shared()
    server.do("DROP ROLE IF EXISTS bailee_gateway")
    for names, statements in zip(beside.home.names.values(), (granted, keys), strict=True):
        server.do(*filter(str.strip, statements.split(";")), at=names.rpartition("/")[2])
    try:
        engine = beside.opened("bailee_gateway")
        used(engine, "one")
        assert 1 == found(engine)
        address = str(engine.url.render_as_string()).replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as raw:
            for table in ("usage_limits", "accounts", "api_keys", TABLE):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    raw.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
    finally:
        for names in beside.home.names.values():
            server.do("DROP OWNED BY bailee_gateway", at=names.rpartition("/")[2])
    assert {table.name for table in TABLES} == {*re.findall(r"usage_\w+", said)} - {
        "usage_limits", "usage_models",
    }  # fmt: skip


def test_nothing_is_written_to_an_older_state(beside: Beside) -> None:
    """A count that went back, or the lease's number: neither an open connection nor a new one
    writes there, nor does this process ever again. The next one starts from what there is.
    """
    for change in (f"UPDATE {COMMITS} SET number = number - 2", f"UPDATE {TABLE} SET number = 1"):
        engine = beside.opened()
        used(engine, change)
        beside.do(change)
        for _ in range(2):
            with pytest.raises(StorageError, match="lacks what was committed"):
                used(engine, f"{change} again")
            engine.dispose()
        fence = fence_of(engine)
        assert fence is not None and fence.lost.is_set()
    assert 2 == found(beside.opened())


def test_nothing_is_written_to_another(beside: Beside) -> None:
    """Another home's, or another version's, over a connection that was open before it was so, or a
    new one; once it is as it was, this goes on.
    """
    for table, column, code in (
        ("identity", "home", "home_parts"),
        ("alembic_version", "version_num", "schema"),
    ):
        used(beside.engine, f"before {code}")
        with reading(beside.engine) as connection:
            said = connection.execute(text(f"SELECT {column} FROM {table}")).scalar_one()
        beside.do(f"UPDATE {table} SET {column} = 'other'")
        for _ in range(2):
            with pytest.raises(IntegrityError) as refused:
                used(beside.engine, "never")
            assert code == refused.value.code
            beside.engine.dispose()
        beside.do(f"UPDATE {table} SET {column} = '{said}'")
    used(beside.engine, "after")
    assert 3 == found(beside.engine)


def test_who_stands_still_in_its_turn_loses_it(beside: Beside) -> None:
    """The one with the home waits for seconds, and what was being written was not."""
    begun, end = threading.Event(), threading.Event()
    told: list[BaileeError | Exception] = []

    def stands() -> None:
        try:
            with beside.engine.begin() as connection:
                connection.execute(insert(usage_windows).values(**WINDOW, subject="lost"))
                begun.set()
                end.wait()
        except Exception as error:
            told.append(error)

    standing = threading.Thread(target=stands)
    standing.start()
    begun.wait()
    try:
        used(beside.home.node.data, "kept")
    finally:
        end.set()
        standing.join()
    assert told and 1 == found(beside.engine)
    used(beside.engine, "more")
    beside.home.clock.advance(timedelta(seconds=1))
    assert 2 == found(beside.engine)
