"""The root is turned while a standby of the database of keys is behind; then that is promoted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.db.standbys import standbys
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import FileRoot, Keyring
from bailee.keyring.rotation import STANDBYS
from bailee.testing import FakeClock
from faults.test_clock_of_a_server import until
from support.servers.postgres import PostgresServer

KEPT = timedelta(days=30)


class Pair:
    """A primary with the database of keys, a standby that has a slot there, and the root."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.clock = FakeClock()
        self._stack = stack
        self._folder = folder
        self.primary = PostgresServer()
        stack.callback(self.primary.end)
        self.name = self.primary.new().rpartition("/")[2]
        self.keyring = self.opened(self.primary)
        self.standby = PostgresServer(of=self.primary)
        stack.callback(self.standby.end)
        self.until_connected(1)

    def opened(self, server: PostgresServer) -> Keyring:
        """The keyring as a process that starts sees it on a server."""
        engine = open_postgresql(server.address(self.name), "keyring.database_url")
        self._stack.callback(engine.dispose)
        upgrade(engine, "keys")
        return Keyring.open(engine, self.root(), self.clock)

    def root(self) -> FileRoot:
        """The root, outside of PostgreSQL."""
        return FileRoot(self._folder / "root.json")

    def until_connected(self, count: int) -> None:
        """Wait until so many standbys are connected, and have what there is."""

        def all_there() -> bool:
            found = standbys(self.keyring.engine)
            return (count, 0) == (found.connected, found.behind)

        until(all_there)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """One, with a key in it."""
    with ExitStack() as stack:
        made = Pair(stack, tmp_path)
        made.keyring.dek("kept", "session", made.clock() + KEPT)
        yield made


@pytest.mark.row("R5", "O6")
def test_the_older_root_stays_until_standbys_have_the_keys(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    """A standby that is connected is waited for. With one that is away the older root stays, and
    promoted it has every key; once it is back, the same rotation comes to its end. After five
    minutes it does so without it, for what is past its time goes within the hour: then what is
    promoted opens nothing.
    """
    key = pair.keyring.get("kept").key
    assert 0 == pair.keyring.rotate_root().behind
    assert 1 == len(pair.root().generations())

    pair.standby.follow_nobody()
    pair.until_connected(0)
    pair.keyring.dek("gone", "session", pair.clock() + KEPT)
    pair.keyring.destroy(["gone"])
    with pytest.raises(StorageError) as error:
        pair.keyring.rotate_root()
    assert "standby_behind" == error.value.code
    assert 2 == len(pair.root().generations())
    assert 1 == standbys(pair.keyring.engine).away

    pair.standby.follow(pair.primary)
    pair.until_connected(1)
    assert 0 == pair.keyring.rotate_root().behind
    assert 1 == len(pair.root().generations())

    pair.standby.follow_nobody()
    pair.until_connected(0)
    pair.clock.advance(timedelta(hours=1))
    with pytest.raises(StorageError):
        pair.keyring.rotate_root()
    pair.standby.promote()
    promoted = pair.opened(pair.standby)
    assert key == promoted.get("kept").key

    pair.clock.advance(STANDBYS)
    assert 1 == pair.keyring.rotate_root().behind
    assert 1 == len(pair.root().generations())
    assert key == pair.keyring.get("kept").key
    with pytest.raises(IntegrityError):
        pair.opened(pair.standby).get("kept")
    record_property("seen", "a standby that lacked the last rotation was promoted with every key")
