"""A home on a disk that is full: what is there is read and deleted, and nothing new comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.errors import StorageError
from support.clients.asking import perform
from support.homes.places import Place
from support.homes.small_disks import fill, small_disk

ONE, TWO, THREE = (f"{n}{n}{n}{n}{n}{n}{n}{n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(1, 4))


class SmallDisk(Place):
    """A home on a disk of 64 MB that can be filled."""

    def fill(self) -> None:
        """Take every byte that is left."""
        self.filler = fill(self.folder.parent)

    def ask(self, operation: str, **arguments: object) -> object:
        """An operation, as the command line asks for it."""
        return perform(self.node, operation, arguments)

    def refused(self) -> str:
        """Why an exchange can't be recorded."""
        refused: list[StorageError | None] = []

        async def run() -> None:
            self.node.vault.spool._loop = asyncio.get_running_loop()
            self.node.vault.spool.submit(self.begin(ONE), refused.append)
            while not refused:
                await asyncio.sleep(0.01)

        asyncio.run(run())
        return str(refused[0])

    def reopen(self) -> None:
        """Stop and start, as each command does without a server."""
        self.close()
        self.open()

    @property
    def reserve(self) -> int:
        """The room that is kept, in bytes."""
        file = self.folder / "data" / "reserve"
        return file.stat().st_blocks * 512 if file.exists() else 0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[SmallDisk]:
    """With three sessions in it."""
    with small_disk(tmp_path / "disk", 64) as folder:
        made = SmallDisk(folder / "home")
        for session in (ONE, TWO, THREE):
            made.end(made.begin(session))
        yield made
        made.close()


@pytest.mark.row("R5")
def test_a_full_disk_opens_lists_shows_deletes_and_sweeps(place: SmallDisk) -> None:
    """Without a server too, where each command opens the home anew. What was deleted has its
    receipt, and the room that was kept is kept again.
    """
    assert 8 << 20 == place.reserve
    place.close()
    place.fill()
    place.open()
    assert {ONE, TWO, THREE} == set(place.sessions())
    place.ask("sessions.show", id=ONE)
    place.ask("sessions.delete", id=ONE)
    place.reopen()
    assert {TWO, THREE} == set(place.sessions())
    (receipt,) = place.node.receipts.all(ONE)
    assert receipt.key_destroyed_at is not None
    place.clock.advance(timedelta(days=31))
    place.ask("retention.run")
    assert [] == place.node.vault.owned(place.account)
    assert place.reserve > 6 << 20


@pytest.mark.row("R1")
def test_on_a_full_disk_nothing_new_is_recorded_until_there_is_room(place: SmallDisk) -> None:
    """The room that deleting needs is not taken by what comes in; it goes on by itself."""
    place.close()
    place.fill()
    place.open()
    assert "the spool can't be written" in place.refused()
    kept = place.reserve
    assert "the spool can't be written" in place.refused()
    assert kept == place.reserve > 7 << 20
    place.filler.unlink()
    place.node.vault.spool._probe_seconds = 0  # a server tries each second
    place.end(place.begin(ONE))
    assert 2 == place.sessions()[ONE].exchanges


@pytest.mark.row("R5")
def test_what_is_kept_for_deleting_is_not_used_up_by_other_writes(place: SmallDisk) -> None:
    """Small writes have half of it; when others took the rest, who deletes still can."""
    place.fill()
    with place.node.room.writing():  # it is given up, and a neighbour takes most of it
        taken = place.folder.parent / "taken"
        with taken.open("wb") as file:
            file.write(bytes(5 << 20))
        with pytest.raises(StorageError, match="reserved for deleting"):
            place.choose("allowed")
        place.ask("sessions.delete", id=ONE)
    assert not place.node.room.ready()
    taken.unlink()
    place.filler.unlink()
    assert place.node.room.ready()
    place.choose("allowed")


@pytest.mark.row("R1")
def test_what_was_recorded_is_sealed_on_a_full_disk(place: SmallDisk) -> None:
    """What was acknowledged before it was full; it may use what is kept, and leaves half of it."""
    place.fill()
    place.end(place.begin(ONE))
    assert 2 == place.sessions()[ONE].exchanges
    assert place.reserve > 4 << 20
