"""What a gateway beside the server knows of the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from bailee.accounts import OPERATOR
from bailee.admission.disk import OnDisk, stores
from bailee.app.disk_beside import DiskBeside, say_low
from bailee.home import Home
from bailee.node.reader import HomeReader
from support.homes import databases
from support.homes.there import There
from support.servers import postgres

pytestmark = pytest.mark.row("G1", "O6")

LONG = 60.0


class Beside:
    """A home that is open here, and what reads it."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.home = There(folder, databases.new("data"), databases.new("keys"))
        closing.callback(self.home.close)
        home = Home(self.home.folder)
        self.reader = HomeReader(home, environment=self.home.names, clock=self.home.clock)
        closing.callback(self.reader.close)
        self.account = self.home.account

    def keep(self, session: str) -> None:
        """A session more of the account's, which is sealed."""
        self.home.end(self.home.begin(session))

    def sums(self) -> tuple[int, int]:
        """What the server knows of the account, in bytes."""
        found = self.home.node.vault.stored.of(self.account)
        return found.living, found.gone


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    """A home with an account."""
    with ExitStack() as closing:
        yield Beside(tmp_path / "home", closing)


def becomes(asked: Callable[[], object], wanted: object) -> None:
    """Wait until it is so."""
    until = time.monotonic() + LONG
    while (found := asked()) != wanted:
        assert time.monotonic() < until, f"it never was: {found}"
        time.sleep(0.01)


def test_it_knows_what_the_server_knows(beside: Beside) -> None:
    """Of who was asked about: what is kept and what was deleted, as it comes and goes; and who has
    none has none.
    """
    disk = DiskBeside(beside.reader.data, every=0.02, soon=0.01)
    assert OnDisk() == disk.of(beside.account)
    disk.start()
    try:
        for number in range(2):
            beside.keep(f"{number}0000000-32a5-4d0c-8f0b-0d7c3d1c1a11")
            assert beside.sums()[0] > 0
            becomes(lambda: disk.of(beside.account)[:2], beside.sums())
        node = beside.home.node
        node.vault.delete(next(iter(beside.home.sessions())), beside.home.clock())
        becomes(lambda: disk.of(beside.account)[:2], beside.sums())
        assert OnDisk() == disk.of("acc_nobody")
    finally:
        disk.stop()


def test_little_room_is_the_servers_to_say(beside: Beside) -> None:
    """Then who has more than an equal part is refused here, too, and others are not; until it says
    that there is room again.
    """
    disk, data = DiskBeside(beside.reader.data), beside.home.node.data
    beside.keep("10000000-32a5-4d0c-8f0b-0d7c3d1c1a11")
    other, _, _ = beside.home.node.accounts.create(plan="pro", name="other", by=OPERATOR)
    with data.begin() as connection:
        connection.execute(
            text("INSERT INTO stored (owner, living, gone) VALUES (:o, 10, 0)"),
            {"o": other.account_id},
        )
    owners = beside.account, other.account_id
    found = []
    for low in (False, True, False):
        say_low(data, low, beside.home.clock)
        for owner in owners:
            disk.of(owner)
        disk.look()
        found.append([stores(disk.of(owner), 0) for owner in owners])
    assert [[None, None], [None, None]] == [found[0], found[2]]
    assert found[1][0] is not None
    assert (found[1][0].what, found[1][1]) == ("disk", None)


def test_a_sum_that_was_changed_counts_for_nothing_and_many_are_bounded(beside: Beside) -> None:
    """By whoever has the database; and of so many accounts is known."""
    disk = DiskBeside(beside.reader.data, most=2)
    beside.keep("10000000-32a5-4d0c-8f0b-0d7c3d1c1a11")
    for owner in ("a", "b", beside.account, "c"):
        disk.of(owner)
    disk.look()
    assert beside.sums() == disk.of(beside.account)[:2]
    assert {"c", beside.account} == {*disk._asked}
    postgres.shared().do(
        "SET session_replication_role = replica; UPDATE stored SET living = 1",
        at=beside.home.names["BAILEE_DATABASE_URL"].rpartition("/")[2],
    )
    disk.look()
    assert OnDisk() == disk.of(beside.account)
