"""The root is turned while a standby of the database of keys is behind; then that is promoted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.db.migrate import upgrade
from bailee.db.postgresql import open_postgresql
from bailee.db.standbys import standbys
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import FileRoot, Keyring
from bailee.keyring.rotation import STANDBYS
from bailee.testing import FakeClock
from faults.test_clock_of_a_server import until
from support.clients.asking import perform
from support.homes.there import There
from support.servers.postgres import PostgresServer

KEPT = timedelta(days=30)


class Pair:
    """A primary with the database of keys, a standby that has a slot there, and the root."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.clock = FakeClock()
        self.stack = stack
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
        self.stack.callback(engine.dispose)
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


@pytest.mark.row("R5", "R6", "O6")
def test_an_erasure_is_done_once_a_standby_has_it_or_its_time_is_over(
    pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """While one is away, whoever is erased is let in nowhere and their keys are destroyed, but it
    is not said to be done; it is with the sweep after the standby is back, and after five minutes
    without it: then what is promoted has nothing of theirs that opens.
    """
    names = [pair.primary.new().rpartition("/")[2] for _ in range(2)]
    home = There(tmp_path / "home", *map(pair.primary.address, names))
    pair.stack.callback(home.close)
    node = home.node
    people = [perform(node, "person.create", {"email": f"{n}@x.example", "plan": "pro"})
              for n in range(2)]  # fmt: skip
    sessions = [f"{n}0000000-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(2)]
    for person, session in zip(people, sessions, strict=True):
        home.end(home.begin(session, account=person["account"]))
    assert {} == node.sweep(home.clock()).failures
    pair.until_connected(1)

    def erase(person: Any) -> list[object]:
        """Ask for it while the standby is away; how the erasure stands."""
        pair.standby.follow_nobody()
        pair.until_connected(0)
        with pytest.raises(StorageError) as error:
            perform(node, "person.erase", {"id": person["person"]})
        assert "standby_behind" == error.value.code
        assert node.accounts.authenticate(person["key"].encode()) is None
        return standing(person["person"])

    def standing(person_id: str) -> list[object]:
        """How its erasure stands, and whether any of its receipts says that nothing opens it."""
        found = node.erasures.rows.of(person_id)
        assert found is not None
        receipts = [one for session in sessions for one in node.receipts.all(session)]
        return [found.state, [one.backups_unrecoverable_at is not None for one in receipts]]

    assert ["requested", [False]] == erase(people[0])
    pair.standby.follow(pair.primary)
    pair.until_connected(1)
    assert {} == node.sweep(home.clock()).failures
    assert ["done", [True]] == standing(people[0]["person"])

    assert ["requested", [True, False]] == erase(people[1])
    assert {"rotation", "erasures"} & {*node.sweep(home.clock()).failures}
    assert ["requested", [True, False]] == standing(people[1]["person"])
    home.clock.advance(STANDBYS)
    assert {} == node.sweep(home.clock()).failures
    assert ["done", [True, True]] == standing(people[1]["person"])
    record_property("seen", "done with the sweep after; without the standby after five minutes")
