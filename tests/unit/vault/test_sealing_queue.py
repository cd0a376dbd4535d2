"""What waits to be sealed, and who waits for it."""

from __future__ import annotations

import pytest

from bailee.admission import Unsealed
from bailee.vault.recovery import Left
from bailee.vault.sealing_queue import (
    BACKLOG_BATCH,
    BACKLOG_BATCH_BYTES,
    BATCH,
    Queued,
    SealingQueue,
    Unfiled,
)
from bailee.vault.spool_writing import Kept
from bailee.vault.turns import FRAME, SECOND

pytestmark = pytest.mark.row("G1")


class Spooling:
    """A spool's end of a queue: frames are written to `file`, until it is rolled."""

    def __init__(self, **options: int) -> None:
        self.queue = SealingQueue(1 << 20, **options, delay=0.0)
        self.file = 0
        self.sequence = 0

    def write(self, owner: str, count: int = 1, length: int = 100) -> None:
        """So many frames of an owner."""
        for _ in range(count):
            kept = Kept(f"f{self.file}", self.sequence, 0, length, owner, None)
            self.queue.put([kept])
            self.sequence += 1

    def roll(self) -> None:
        """Nothing more is written to the file."""
        self.queue.release(f"f{self.file}")
        self.file += 1
        self.sequence = 0

    def open(self, *owners: str) -> None:
        """Take a file of an earlier process, and find frames of these in it."""
        (left,) = self.batch()
        assert isinstance(left, Left)
        frames = [Kept(left.file, n, 0, 100, owner, None) for n, owner in enumerate(owners)]
        self.queue.opened(left, frames)
        self.queue.done()

    @staticmethod
    def seconds(count: int) -> float:
        """What so many frames take that nothing more is known of."""
        return count * (100 + FRAME) / SECOND

    def batch(self) -> list[Queued]:
        """What the sealer is given, at once."""
        return self.queue.batch()

    def seal(self, batches: int = 1) -> list[str]:
        """Seal so many batches; what each was: its owners, or the file that went."""
        said = []
        for _ in range(batches):
            batch = self.batch()
            said.append(" ".join(x.owner if isinstance(x, Kept) else str(x) for x in batch))
            self.queue.done()
        return said


@pytest.fixture
def spool() -> Spooling:
    """Nothing is queued."""
    return Spooling()


def test_a_flood_delays_nobody_elses(spool: Spooling) -> None:
    """What another says behind it is in the next batch, and only the rest of it waits."""
    spool.write("bob", 500)
    spool.write("ada", 2)
    spool.write("bob", 500)
    assert ["bob ada bob ada" + " bob" * (BACKLOG_BATCH - 4)] == spool.seal()
    assert spool.queue.wait(0, "ada")
    assert not spool.queue.wait(0, "bob")
    assert Unfiled(0, earlier=False) == spool.queue.unfiled("ada")
    left = 1000 - BACKLOG_BATCH + 2
    assert Unfiled(left, earlier=False) == spool.queue.unfiled("bob") == spool.queue.unfiled()
    assert Unsealed(0, left * 100, 0, left, 1) == spool.queue.unsealed("ada")


def test_what_takes_long_for_its_bytes_delays_nobody_elses(spool: Spooling) -> None:
    """A batch of such frames ends early, and what was not begun waits for its turn again; from then
    on few of them are taken at once, and others' go before.
    """
    spool.write("eve", BATCH)
    first = [item for item in spool.batch() if isinstance(item, Kept)]
    spool.queue.put_back(first[2:])
    spool.queue.took((kept, 0.2) for kept in first[:2])
    spool.queue.done()
    spool.write("ada", BATCH)
    found = [spool.seal()[0].split().count("eve") for _ in range(2)]
    assert sum(found) <= 4
    assert Unfiled(0, earlier=False) == spool.queue.unfiled("ada")
    assert 0 < spool.seal()[0].count("eve") <= 4
    left = [item.sequence for item in spool.batch() if isinstance(item, Kept)]
    assert left == sorted(left) and left[0] > 2, "its own are in their order"


def test_who_waits_waits_for_what_was_there(spool: Spooling) -> None:
    """What an owner says later is not waited for: one can't be kept waiting by going on."""
    spool.write("ada", BATCH)
    spool.write("ada")
    assert not spool.queue.wait(0, "ada", most=BATCH)
    spool.seal()
    assert not spool.queue.wait(0, "ada")
    assert 1 == spool.queue.unfiled("ada").exchanges


def test_nobody_waits_in_vain_and_all_in_turns(spool: Spooling) -> None:
    """What comes before counts in turns: one's own, and about as much of each other's."""
    spool.write("bob", 500)
    spool.write("ada")
    queue = spool.queue
    queue.wait(0, "ada", most=1)
    queue.wait(0, "bob", most=500)
    queue.wait(0, most=500)
    assert not queue._urgent
    queue.wait(0, "ada", most=2)
    assert queue._urgent


def test_batches_grow_with_what_waits(spool: Spooling) -> None:
    """Half of it, of small frames: what is large comes in no larger batches than ever."""
    spool.write("bob", 4 * BATCH)
    sizes = [len(batch.split()) for batch in spool.seal(3)]
    assert [2 * BATCH, BATCH, BATCH] == sizes
    spool.write("bob", 4 * BATCH, length=BACKLOG_BATCH_BYTES // BATCH)
    assert [BATCH] * 4 == [len(batch.split()) for batch in spool.seal(4)]


def test_the_sealer_pauses_only_while_few_wait(spool: Spooling) -> None:
    """By number and by bytes: what has a bound on how much waits is not refused for a pause."""
    spool.write("a", 8 * BATCH - 1)
    assert spool.queue.is_short
    spool.write("a")
    assert not spool.queue.is_short
    spool.seal()
    assert spool.queue.is_short
    spool.write("a", length=256 << 20)
    assert not spool.queue.is_short


def test_what_was_taken_is_taken_again_until_it_is_done(spool: Spooling) -> None:
    """Whoever comes between a failure and the next try: what may have been committed is known."""
    spool.write("bob", 3)
    first = spool.batch()
    spool.write("ada")
    assert first == spool.batch()
    spool.queue.done()
    assert ["ada"] == spool.seal()


def test_a_file_goes_when_all_of_it_is_sealed(spool: Spooling) -> None:
    """At once then, in whatever order that was, and never while it may be written to."""
    spool.write("bob", 100)
    spool.roll()
    spool.write("ada")
    spool.roll()
    spool.write("ada", 1)
    assert ["bob ada bob ada" + " bob" * (BATCH - 4), "f1"] == spool.seal(2)
    assert ["bob " * (100 - BATCH + 2)] == [found + " " for found in spool.seal()]
    assert ["f0"] == spool.seal()
    assert 0.0 == spool.queue.stalled()
    spool.roll()
    assert spool.queue.stalled() > 0
    assert ["f2"] == spool.seal()
    assert (True, {}) == (spool.queue.wait(0), spool.queue._files)


@pytest.mark.row("R5")
def test_copies_are_gone_when_the_files_are_that_have_them(spool: Spooling) -> None:
    """Of an owner: what they had in files that are closed, with whom they shared those; others'
    files, and what is said later, do not matter.
    """
    spool.write("bob", 100)
    spool.roll()
    spool.write("ada")
    spool.write("bob", 2)
    spool.roll()
    spool.write("ada")
    spool.write("bob", 200)
    mark = spool.queue.mark("ada")
    assert (False, True) == (spool.queue.passed(mark), spool.queue.passed(spool.queue.mark("cy")))
    assert ["f0", "f1"] == [found for found in spool.seal(4) if found.startswith("f")]
    assert spool.queue.wait_for(mark, 0)
    assert spool.queue.unfiled("bob").exchanges
    assert spool.queue.passed(spool.queue.mark())


def test_what_an_earlier_process_left_is_read_first(spool: Spooling) -> None:
    """And waited for by everybody until then: whose it is, is not known before. Whose it is not,
    has theirs from then on, and its files go when all of them is sealed.
    """
    spool.write("ada")
    spool.queue.put_left(Left("l0", 5000))
    spool.queue.put_left(Left("l1", 50))
    spool.open()
    mark = spool.queue.mark("ada")
    assert not spool.queue.wait(0, "cy")
    assert Unfiled(0, earlier=True) == spool.queue.unfiled("cy")
    assert 50 == spool.queue.unsealed("cy").left
    spool.open("bob", "ada", "bob")
    assert spool.queue.wait(0, "cy")
    assert Unfiled(0, earlier=False) == spool.queue.unfiled("cy")
    assert Unfiled(2, earlier=False) == spool.queue.unfiled("ada")
    assert Unfiled(4, earlier=True) == spool.queue.unfiled()
    assert Unsealed(200, 400, 2, 4, 2, own_seconds=spool.seconds(2)) == spool.queue.unsealed("ada")
    assert ["l0", "ada bob ada bob", "l1"] == spool.seal(3)
    assert spool.queue.passed(mark)
    assert Unfiled(0, earlier=False) == spool.queue.unfiled()


def test_what_was_left_comes_before_what_its_owner_says_since(spool: Spooling) -> None:
    """In order, and others' turns are theirs: who left much delays nobody."""
    spool.queue.put_left(Left("l0", 5000))
    spool.queue.put_left(Left("l1", 5000))
    spool.write("bob", 3)
    spool.write("ada", 2)
    spool.open(*["bob"] * 40)
    spool.open(*["bob"] * 40)
    taken = [item for item in spool.batch() if isinstance(item, Kept)]
    assert [1, 3] == [at for at, item in enumerate(taken) if item.owner == "ada"]
    while spool.queue.done() or spool.queue.unfiled().exchanges:
        taken += [item for item in spool.batch() if isinstance(item, Kept)]
    bobs = [item.place for item in taken if item.owner == "bob"]
    left = [(file, number) for file in ("l0", "l1") for number in range(40)]
    assert [*left, *[("f0", number) for number in range(3)]] == bobs


def test_who_waits_for_all_waits_for_all_of_what_was_left(spool: Spooling) -> None:
    """Not only until it is read."""
    spool.queue.put_left(Left("l0", 5000))
    spool.open("bob")
    assert not spool.queue.wait(0)
    assert ["bob"] == spool.seal()
    assert not spool.queue.wait(0)
    assert (["l0"], True) == (spool.seal(), spool.queue.wait(0))


def test_what_waits_is_reckoned_by_what_it_takes(spool: Spooling) -> None:
    """What an owner's took lately, times how many wait; at the least their bytes. It is remembered
    of who has nothing here.
    """
    spool.write("eve", 101)
    assert spool.seconds(101) == spool.queue.unsealed("eve").own_seconds
    first = [item for item in spool.batch() if isinstance(item, Kept)]
    spool.queue.put_back(first[1:])
    spool.queue.took([(first[0], 4.0)])
    spool.queue.done()
    assert 90 <= spool.queue.unsealed("eve").own_seconds <= 110, "a quarter of it, for each"
    while spool.queue.unfiled():
        spool.seal()
    assert 0.0 == spool.queue.unsealed("eve").own_seconds
    spool.write("eve", 2)
    assert 1.8 <= spool.queue.unsealed("eve").own_seconds <= 2.2
    spool.write("ada")
    assert spool.seconds(1) == spool.queue.unsealed("ada").own_seconds


def test_what_is_sealed_does_not_fill_the_disk() -> None:
    """An exchange that waits keeps its whole file. When much is kept so, the oldest is next."""
    spool = Spooling(most_spent=3 << 20)
    spool.write("bob", 2000, length=1 << 10)
    for _ in range(6):
        spool.write("ada", length=1 << 20)
    spool.roll()
    owners = [set(found.split()) for found in spool.seal(8)]
    turn = owners.index({"bob"})
    assert all(found >= {"ada", "bob"} for found in owners[: turn - 1])
    assert owners[turn:].count({"bob"}) >= 6
    assert spool.queue._spent < 5 << 20
    while spool.queue.unfiled():
        spool.seal()
    assert (["f0"], 0) == (spool.seal(), spool.queue._spent)
