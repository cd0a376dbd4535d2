"""A log is checked from its files: whatever was changed is named, and nothing else is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.errors import IntegrityError
from bailee.keyring.checkpoint import truncate_log
from bailee.ledger.folder import CHECKPOINT, Folder
from bailee.ledger.verifying import Check, copied
from support.homes.logged import Logged

SIZE = 600


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A log of 600 leaves and more than one checkpoint; one in a hundred has sealed particulars."""
    log = Logged(tmp_path_factory.mktemp("made"))
    for batch, size in enumerate((100, 100, 100, 100, 100, 50, 50)):
        log.append(size - 1)
        body = {"reason": f"case {batch}", "by": "operator"}
        log.ledger.append("access.read", "ses_1", body, whose=f"per_{batch}")
        log.sequencer.run()
    return log


@pytest.fixture
def log(made: Logged, tmp_path: Path) -> Iterator[Logged]:
    """A copy of it."""
    assert truncate_log(made.engine)
    shutil.copytree(made.folder.path, tmp_path / "ledger")
    shutil.copy(made.engine.url.database or "", tmp_path)
    copy = Logged(tmp_path, made.sealing)
    yield copy
    copy.engine.dispose()


def names(log: Logged, remembered: bytes | None = None) -> list[str]:
    """What is named as damaged."""
    return [one.where for one in log.checked(remembered).damaged]


def files_named(log: Logged) -> list[str]:
    """The same, by who has the files alone."""
    return [one.where for one in Check(log.folder, log.trust).run().damaged]


@pytest.mark.row("P4")
def test_what_was_not_changed_is_found_good(log: Logged) -> None:
    """All of it, with the keys and without, and beside an earlier checkpoint."""
    for keys in (True, False):
        found = log.checked(log.folder.read(CHECKPOINT), keys=keys)
        assert (SIZE, SIZE, SIZE, []) == (found.size, found.leaves, found.entries, found.damaged)


@pytest.mark.row("P4")
def test_a_flipped_byte_in_any_file_is_found_in_that_file(log: Logged) -> None:
    """First, middle or last byte of every file of the log, partial tiles of earlier checkpoints
    included; a file that is gone or was added is named too.
    """
    files = log.files()
    assert 11 == len(files)
    for name, content in files.items():
        for place in {0, len(content) // 2, len(content) - 1}:
            flipped = bytearray(content)
            flipped[place] ^= 1
            (log.folder.path / name).write_bytes(flipped)
            assert [name] == files_named(log), (name, place)
        (log.folder.path / name).write_bytes(content[:-1])
        assert [name] == files_named(log)
        (log.folder.path / name).write_bytes(content)
    for name in ("tile/0/001", "tile/entries/002.p/88", "tile/1/000.p/2"):
        (log.folder.path / name).unlink()
        assert [name] == files_named(log)
        log.folder.write({name: files[name]})
    log.folder.write({"tile/0/notes.txt": b""})
    assert ["tile/0/notes.txt"] == files_named(log)


@pytest.mark.row("P4")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE audit SET subject = 'file:8' WHERE number = 8", "audit entry 8"),
        ("UPDATE audit SET kind = 'telemetry.expired' WHERE number = 8", "audit entry 8"),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE number = 8", "audit entry 8"),
        ("UPDATE audit SET at = 'x020-01-01 00:00:00.000000' WHERE number = 8",
         "audit entry of leaf 7"),
        ("UPDATE audit SET body = '{\"files\":8}' WHERE number = 8", "audit entry 8"),
        ("UPDATE audit SET body = '{\"files\":' WHERE number = 8", "audit entry 8"),
        ("UPDATE audit SET body = CAST(x'ff22' AS TEXT) WHERE number = 8", "audit entry 8"),
        ("UPDATE audit SET sealed = x'00' WHERE number = 100", "audit entry 100"),
        ("UPDATE audit_leaves SET salt = zeroblob(32) WHERE leaf = 7", "audit entry 8"),
        ("UPDATE audit_leaves SET salt = x'00' WHERE leaf = 7", "audit entry 8"),
        ("UPDATE audit_leaves SET digest = zeroblob(32) WHERE leaf = 99", "audit entry 100"),
        ("UPDATE audit_leaves SET sealed_salt = x'00' WHERE leaf = 99", "audit entry 100"),
        ("DELETE FROM audit WHERE number = 8", "audit entries of leaves 7 to 7"),
        ("DELETE FROM audit WHERE number > 590", "audit entries of leaves 590 to 599"),
        ("DELETE FROM audit_leaves WHERE leaf = 7", "audit entries of leaves 7 to 7|audit entry 8"),
    ],
)  # fmt: skip
def test_a_changed_entry_is_found(log: Logged, change: str, named: str) -> None:
    """Whatever of an entry or its leaf is changed, taken away or made unreadable."""
    with log.engine.begin() as connection:
        for table in ("audit", "audit_leaves"):
            for verb in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER {table}_no_{verb}")
    raw = log.engine.raw_connection()
    raw.cursor().execute("PRAGMA foreign_keys=OFF")
    raw.cursor().execute(change)
    raw.close()
    assert named.split("|") == names(log)


def test_entries_that_nobody_signed_yet_wait(log: Logged) -> None:
    """They are no damage, before or after they get their leaf."""
    log.append(2)
    found = log.checked()
    assert (2, []) == (found.waiting, found.damaged)


@pytest.mark.row("P4")
def test_who_remembers_a_checkpoint_notices_rollback_and_fork(log: Logged, made: Logged) -> None:
    """An older state put back whole, or another history under the same key, is good by itself and
    refused beside what is remembered; what only grew is not.
    """
    remembered = log.folder.read(CHECKPOINT)
    log.append(1)
    log.sequencer.run()
    longer = log.folder.read(CHECKPOINT)
    assert [] == names(log, remembered)

    assert [] == names(made)
    found = made.checked(longer)
    assert [("checkpoint", "the log was rolled back: it has 600 leaves, and had 601.")] == [
        (one.where, one.what) for one in found.damaged
    ]

    other = Logged(log.folder.path.parent / "other")
    other.append(700)
    other.sequencer.run()
    assert [] == names(other)
    (fork,) = other.checked(remembered).damaged
    assert "the log was forked: it does not begin with the 600 leaves it had" in fork.what

    with pytest.raises(IntegrityError):
        log.checked(b"no checkpoint")
    (log.folder.path / CHECKPOINT).unlink()
    assert [CHECKPOINT] == names(log, remembered)[:1]


@pytest.mark.row("P4", "R6")
def test_an_erasure_leaves_the_tree_as_it_is(log: Logged) -> None:
    """What was said of somebody opens no more, nor does its salt, so nobody can try what it was;
    the leaf, the entry's kind and its time are still proved.
    """
    log.sealing.destroy("per_0")
    assert 1 == log.ledger.blank(lambda text: text == "case 1")

    found = log.checked()
    assert (SIZE, SIZE, 2, []) == (found.size, found.entries, found.erased, found.damaged)
    with log.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT whose, sealed_salt FROM audit JOIN audit_leaves USING (number) "
            "WHERE whose IN ('per_0', 'per_1') ORDER BY whose"
        ).all()
    assert log.sealing.open("per_0", rows[0][1], b"") is None
    assert rows[1][1] is None


def test_a_copy_is_checked_without_writing_to_it(log: Logged, tmp_path: Path) -> None:
    """Of a copied home, files and entries, by somebody who has nothing but the public key."""
    log.engine.dispose()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with copied(tmp_path / "data.db") as engine:
        found = Check(Folder(tmp_path / "ledger"), log.trust, engine=engine).run()
    assert (SIZE, SIZE, []) == (found.size, found.entries, found.damaged)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
