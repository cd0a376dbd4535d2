"""The sequencer over a real database and real files."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import select

from bailee.db.audit import audit_leaves
from bailee.db.engine import reading
from bailee.errors import IntegrityError, StorageError
from bailee.ledger.folder import CHECKPOINT, Folder
from bailee.ledger.signing import opened, trusting
from bailee.ledger.tlog import notes
from bailee.ledger.verifying import Check
from bailee.testing.tampering import tamper
from support.homes.logged import Logged

pytestmark = pytest.mark.both_databases


@pytest.fixture
def log(tmp_path: Path) -> Logged:
    """An empty audit record."""
    return Logged(tmp_path)


def numbers(log: Logged) -> list[tuple[int, int]]:
    """Leaves with the numbers of their entries."""
    query = select(audit_leaves.c.leaf, audit_leaves.c.number).order_by(audit_leaves.c.leaf)
    with reading(log.engine) as connection:
        return [(row.leaf, row.number) for row in connection.execute(query)]


@pytest.mark.row("P4")
def test_each_entry_is_one_leaf_in_the_order_of_the_record(log: Logged) -> None:
    """However they came in batches, over full tiles and a new process: one leaf each, no gap."""
    for count in (1, 254, 1, 0, 300, 1):
        log.append(count)
        size = log.reopened().run() if count == 300 else log.sequencer.run()

    assert 557 == size
    assert [*range(557)] == [leaf for leaf, _ in numbers(log)]
    assert [entry.number for entry in log.ledger.entries()] == [n for _, n in numbers(log)]
    assert [*range(557)] == [entry.leaf for entry in log.ledger.entries()]
    found = log.checked()
    assert (557, 557, 557, 0, []) == (
        found.size, found.leaves, found.entries, found.waiting, found.damaged
    )  # fmt: skip


def test_partial_tiles_go_once_they_are_full_and_not_before(log: Logged) -> None:
    """A client at an earlier checkpoint still finds its own, or the full one in its place."""
    for count in (100, 100, 100):
        log.append(count)
        log.sequencer.run()

    assert [
        *("checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"),
        *("tile/entries/000", "tile/entries/001.p/44"),
    ] == sorted(set(log.files()) - {"being-written"})


def test_nothing_new_writes_nothing(log: Logged) -> None:
    """A run without new entries leaves the checkpoint as it is."""
    log.append(3)
    log.sequencer.run()
    before = log.files()

    assert 3 == log.sequencer.run()
    assert before == log.files()


class FailingFolder(Folder):
    """A folder whose write number `at` fails: before anything is written, or after it was."""

    def __init__(self, path: Path, at: int, *, persisted: bool) -> None:
        super().__init__(path)
        self.left, self.persisted = at, persisted

    def write(self, files: Mapping[str, bytes]) -> None:
        """See `Folder.write`."""
        self.left -= 1
        if self.left == 0 and not self.persisted:
            raise StorageError("the disk failed.")
        super().write(files)
        if self.left == 0:
            raise StorageError("the disk failed.")


@pytest.mark.row("P4")
@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("persisted", [False, True])
@pytest.mark.parametrize("same", [False, True], ids=["another process", "the same"])
def test_a_step_that_fails_is_gone_on_from(
    tmp_path: Path, at: int, persisted: bool, same: bool
) -> None:
    """Tiles or checkpoint, written or not: the next run ends with the tree that there would have
    been, and what was signed before is its beginning.
    """
    log = Logged(tmp_path)
    failing = FailingFolder(log.folder.path, at, persisted=persisted)
    sequencer = log.reopened(failing)
    signed = None
    for count in (200, 100):
        log.append(count)
        try:
            sequencer.run()
        except StorageError:
            signed = log.folder.read(CHECKPOINT)
            before = numbers(log)
            if not same:
                sequencer = log.sequencer
            sequencer.run()
            assert before == numbers(log)

    assert 0 >= failing.left
    found = log.checked(signed)
    assert (300, 300, []) == (found.size, found.entries, found.damaged)


def test_entries_that_come_while_it_runs_are_each_one_leaf(log: Logged) -> None:
    """Two threads append, one of them under somebody's key, and two sequence: no leaf is lost."""
    done = threading.Event()

    def append(name: str) -> None:
        for number in range(60):
            body = {"entry": f"{name}{number}.example", "verdict": "allow", "by": "operator"}
            log.ledger.append("cloud_network.added", f"acc_{name}", body, whose=f"acc_{name}")

    def sequence() -> None:
        while not done.is_set():
            log.sequencer.run()

    writers = [threading.Thread(target=append, args=(name,)) for name in ("one", "two")]
    runners = [threading.Thread(target=sequence) for _ in range(2)]
    for thread in (*writers, *runners):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in runners:
        thread.join()

    assert 120 == log.sequencer.run()
    found = log.checked()
    assert (120, 120, []) == (found.size, found.entries, found.damaged)


def test_a_database_older_than_what_is_signed_gets_nothing_signed(
    log: Logged, tmp_path: Path
) -> None:
    """The tree doesn't fork: it is refused until somebody accepts the older data, and then goes on
    after what there was.
    """
    log.append(3)
    log.sequencer.run()
    older = Logged(tmp_path / "older")
    older.folder = log.folder
    older.sequencer = older.reopened()
    older.append(1)
    before = log.files()
    with pytest.raises(IntegrityError, match="data/ is older than ledger/"):
        older.sequencer.run()
    assert before == log.files()

    body = {"newest": 7, "reason": "the disk broke"}
    older.ledger.append("home.older_accepted", "data", body, whose="nobody")
    assert 5 == older.sequencer.run()
    assert [3, 4] == [leaf for leaf, _ in numbers(older)]
    found = older.checked(before[CHECKPOINT])
    assert (5, 2, 3, []) == (found.size, found.entries, found.lost, found.damaged)


def test_files_that_are_not_what_was_signed_stop_it(log: Logged) -> None:
    """On a right edge that was changed nothing is built."""
    log.append(5)
    log.sequencer.run()
    for name in ("tile/0/000.p/5", "tile/entries/000.p/5", CHECKPOINT):
        before = log.files()
        log.folder.write({name: before[name].replace(before[name][20:21], b"x")})
        log.append(1)
        with pytest.raises(IntegrityError):
            log.reopened().run()
        log.folder.write({name: before[name]})
        assert before == log.files()
    assert 8 == log.reopened().run()


@pytest.mark.sqlite_alone
def test_a_leaf_can_not_be_changed_or_deleted(log: Logged) -> None:
    """But for the salt of what is sealed, which can be emptied."""
    body = {"reason": "they asked", "by": "operator"}
    log.ledger.append("access.read", "ses_1", body, whose="per_1")
    log.sequencer.run()
    for statement in (
        "DELETE FROM audit_leaves",
        "UPDATE audit_leaves SET leaf = 7",
        "UPDATE audit_leaves SET salt = x'00', sealed_salt = NULL",
        "UPDATE audit_leaves SET sealed_salt = x'00'",
    ):
        with pytest.raises(Exception, match="append-only"), log.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    with log.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_leaves SET sealed_salt = NULL")


@pytest.mark.row("P4")
def test_a_home_from_before_gets_its_second_signature(tmp_path: Path) -> None:
    """A log that signed with Ed25519 alone: the next start adds that of ML-DSA-44 to the checkpoint
    that is there, which stays the same tree; each key alone opens it.
    """
    log = Logged(tmp_path)
    both, log.signers = log.signers, log.signers[:1]
    log.append(10)
    log.reopened().run()
    before = notes.read(log.folder.read(CHECKPOINT) or b"")
    assert {both[0].key: None} == before.verified([one.key for one in both])

    log.signers = both
    log.reopened().run()
    after = notes.read(log.folder.read(CHECKPOINT) or b"")
    assert (before.text, before.signatures) == (after.text, after.signatures[:1])
    for one in both:
        trust = trusting([one.key])
        assert 10 == opened(after.data, trust).size
        assert [] == Check(log.folder, trust, before.data if one is both[0] else None).run().damaged
    log.append(1)
    log.reopened().run()
    assert {one.key for one in both} == set(
        notes.read(log.folder.read(CHECKPOINT) or b"").verified([one.key for one in both])
    )


@pytest.mark.sqlite_alone
@pytest.mark.row("P4")
@pytest.mark.parametrize("rubbish", [b"{", b"\xff\xfe"], ids=["no-json", "no-text"])
@pytest.mark.parametrize("given", [False, True], ids=["waiting", "has-its-leaf"])
def test_an_entry_that_nobody_can_read_keeps_no_other_from_the_tree(
    log: Logged, tmp_path: Path, rubbish: bytes, *, given: bool
) -> None:
    """It gets its leaf, a check names it, and what comes after is taken up."""
    log.append(2)
    log.sequencer.run()
    log.append(3)
    if given:
        log.reopened(FailingFolder(log.folder.path, 0, persisted=False))._assigned(2)
    damage = "UPDATE audit SET body = CAST(? AS TEXT) WHERE number = ?"
    assert 1 == tamper(tmp_path / "data.db", damage, [rubbish, 4])
    assert 5 == log.reopened().run()
    log.append(1)
    assert 6 == log.sequencer.run()
    assert [*range(6)] == [leaf for leaf, _ in numbers(log)]
    found = log.checked()
    assert (6, 6) == (found.size, found.leaves)
    assert any("4" in one.where for one in found.damaged)
    assert 5 == len(list(log.ledger.entries()))
