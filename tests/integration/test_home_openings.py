"""What opening a home asks of its databases, its root key and its disk. Each command does it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.errors import IntegrityError
from bailee.home import Home, HomeLock
from bailee.keyring import FileRoot, Keyring
from bailee.keyring.roots.root import Bound
from bailee.node.named_keys import NAMED_KEYS
from bailee.node.node import Node
from bailee.node.wiring import Wiring
from bailee.testing import FakeClock


class Asked(FileRoot):
    """A root that counts how often it is asked: one in a service is asked over a network."""

    asked = 0

    def wrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """See `Root`."""
        self.asked += 1
        return super().wrap_all(generation, some)

    def unwrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """See `Root`."""
        self.asked += 1
        return super().unwrap_all(generation, some)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """One that is not made yet."""
    return Home(tmp_path / "home")


@contextmanager
def transactions() -> Iterator[Counter[str]]:
    """How many are begun meanwhile, by their database's file."""
    begun: Counter[str] = Counter()

    def begins(connection: Connection) -> None:
        begun[Path(str(connection.engine.url.database)).name] += 1

    event.listen(Engine, "begin", begins)
    try:
        yield begun
    finally:
        event.remove(Engine, "begin", begins)


def open_once(home: Home) -> None:
    """As a command does that asks nothing."""
    with HomeLock(home), Node.open(home, environment={}):
        pass


def secrets_of(home: Home) -> list[str]:
    """The named keys that are there."""
    with closing(sqlite3.connect(home.keyring_database)) as keys:
        return [name for (name,) in keys.execute("SELECT name FROM secrets ORDER BY name")]


def test_opening_a_home_takes_few_transactions(home: Home) -> None:
    """As many whatever there are of named keys. Who needs one more says it here."""
    with transactions() as new:
        open_once(home)
    with transactions() as again:
        open_once(home)

    assert {"data.db": 29, "keyring.db": 7} == new
    assert {"data.db": 25, "keyring.db": 8} == again


def test_what_each_start_asks_for_by_name_is_read_together(home: Home) -> None:
    """No name that is asked for is missing from the list, and none in it is asked for by nobody."""
    open_once(home)

    assert sorted(NAMED_KEYS) == secrets_of(home)


@pytest.mark.row("R5")
def test_a_named_key_that_does_not_open_is_a_matter_of_who_asks_for_it(home: Home) -> None:
    """Accounts are there all the same, and nothing is made in its place; who opens all is told."""
    open_once(home)
    with closing(sqlite3.connect(home.keyring_database)) as keys, keys:
        keys.execute(
            "UPDATE secrets SET wrapped = zeroblob(length(wrapped)) WHERE name = 'feedback/sent'"
        )
    wiring = Wiring(home, environment={})
    with HomeLock(home):
        assert wiring.registry.accounts.authenticate(b"bl_none") is None
        wiring.close()
    for _ in range(2):
        with HomeLock(home), pytest.raises(IntegrityError, match="feedback/sent"):
            Node.open(home, environment={})

    assert sorted(NAMED_KEYS) == secrets_of(home)


def test_a_root_is_asked_once_for_all_named_keys(tmp_path: Path) -> None:
    """When they are made, when they are read, and when the root is rotated."""
    path = tmp_path / "root.json"
    names = [f"name {number}" for number in range(20)]
    found = []
    for _ in ("new", "again"):
        engine, root = open_sqlite(tmp_path / "keyring.db"), Asked(path)
        upgrade(engine, "keys")
        ring = Keyring.open(engine, root, FakeClock())
        ring.take_secrets(names)
        found.append([ring.secret(name) for name in names])
        assert 1 == root.asked
        ring.rotate_root()
        assert 5 >= root.asked  # whether it fits, old wraps, new ones, and whether those open
        engine.dispose()

    assert found[0] == found[1]
    assert 20 == len({*found[0]})


@pytest.mark.row("R5")
def test_who_records_nothing_makes_no_key_and_destroys_none(home: Home) -> None:
    """A key that was destroyed asks for a rotation of the root."""
    open_once(home)
    with HomeLock(home), Node.open(home, environment={}) as node:
        node.vault.spool.roll()
        assert not (home.vault / "spool").exists()
        assert [] == node.keyring.subjects("")
        assert not node.keyring.rotation_due(node.clock(), 0)


def test_who_serves_has_a_file_before_anything_comes(home: Home) -> None:
    """So that the first exchange waits for none to be made; it is gone at the end."""
    with HomeLock(home), Node.open(home, environment={}) as node:
        node.vault.spool.prepare()
        node.vault.spool.roll(older_than=timedelta(days=1))  # when it has done what came before
        assert 1 == len(list((home.vault / "spool").iterdir()))
    assert [] == list((home.vault / "spool").iterdir())
