"""Backups of data and keys: what they hold, what they don't, and when keys are gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from bailee.backup import taking
from bailee.backup.checking import verified
from bailee.backup.creating import Creating
from bailee.backup.manifest import BackedFile, manifest_bytes
from bailee.backup.places import FolderPlace
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.node import Node
from support.homes.backed_up import BackedUp, rows

pytestmark = pytest.mark.both_databases

WORDS = ("quince", "damson", "sloe", "hazel")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[BackedUp]:
    """A home with something of each kind, its segments shipped."""
    made = BackedUp(tmp_path)
    account = str(made.person("ola@x.example")["account"])
    for word in WORDS[:2]:
        made.say(account, word)
    made.report(account, WORDS[2])
    made.output(made.node.accounts.get(account), WORDS[3])
    made.node.vault.ship()
    yield made
    made.node.close()


def inside(folder: Path) -> bytes:
    """Every byte of every file."""
    return b"".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())


@pytest.mark.row("D4", "R5")
def test_no_word_and_no_name_is_in_data_or_keys(place: BackedUp) -> None:
    """Both are ciphertext; and the keys open nothing under the home's own root."""
    place.back_up()
    for folder in (place.data, place.keys):
        found = inside(folder)
        assert [] == [word for word in (*WORDS, "ola@x.example") if word.encode() in found]
    (copy,) = place.keys.rglob("keyring.db")
    wraps = {
        row[0] for row in rows(copy, "SELECT wrapped FROM keks UNION SELECT wrapped FROM secrets")
    }
    assert wraps
    home = inside(place.home.keyring_database.parent)
    assert [] == [wrap for wrap in wraps if wrap in home]
    assert all(0 == one.stat().st_mode & 0o077 for one in place.folder.glob("[dk]*/**/*"))


def test_a_second_backup_copies_only_what_is_new(place: BackedUp) -> None:
    """What never changes is copied once; what is gone from the home goes from the backup."""
    place.back_up(keys=False)
    kept = {one: one.stat().st_ino for one in (place.data / "kept").rglob("*") if one.is_file()}
    assert kept
    place.node.vault.delete(place.sessions["damson"], place.clock())
    account = next(iter(place.node.accounts.api_keys()))[1].account_id
    place.say(account, "medlar")
    place.node.vault.ship()
    progress = place.ask("backup.create", folder=str(place.data))
    manifest, _, wrong = verified(FolderPlace(place.data))
    assert [] == wrong
    assert 0 < progress[-1]["copied"] < progress[-1]["bytes"] == manifest.size
    now = {one: one.stat().st_ino for one in (place.data / "kept").rglob("*") if one.is_file()}
    assert kept.items() < now.items()
    assert {"kept", "manifest.json", manifest.backup} == {one.name for one in place.data.iterdir()}
    listed = place.ask("backup.list")
    assert 2 == len(listed["data"])
    assert manifest.backup == listed["data"][0]["backup"]


@pytest.mark.row("R5")
@pytest.mark.parametrize(
    ("data", "keys"),
    [("one", "one"), ("one", "one/two"), ("one/two", "one"), ("home/in", None), ("x", "home/keys")],
)
def test_keys_never_lie_with_data(place: BackedUp, data: str, keys: str | None) -> None:
    """Nor one inside the other, nor in the home."""
    given = {} if keys is None else {"keys": str(place.folder / keys)}
    with pytest.raises(InputError, match="same place"):
        place.ask("backup.create", folder=str(place.folder / data), **given)
    assert not (place.folder / "one").exists()


def test_what_was_changed_in_its_place_is_copied_anew(place: BackedUp) -> None:
    """Though it is as long and as old as it was: another change of it is later. What is gone is
    there again, what was only moved is read and stays.
    """
    place.back_up(keys=False)
    path = next(one for one in (place.data / "kept").rglob("*") if one.is_file())
    before, about = path.read_bytes(), path.stat()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    (last,) = (one for one in place.ask("backup.create", folder=str(place.data))[-1:])
    assert (1, before) == (last["mended"], path.read_bytes())
    path.unlink()
    assert 1 == place.ask("backup.create", folder=str(place.data))[-1]["mended"]
    assert before == path.read_bytes()
    path.rename(path.with_name("elsewhere"))
    path.with_name("elsewhere").rename(path)
    assert 0 == place.ask("backup.create", folder=str(place.data))[-1]["mended"]
    assert [] == verified(FolderPlace(place.data))[2]


def test_a_disk_that_forgets_is_found_within_sixteen_backups(tmp_path: Path) -> None:
    """Its marks say that nothing was changed. What was unread the longest is read first, a
    sixteenth of all in each backup.
    """
    at, source = FolderPlace(tmp_path / "place"), tmp_path / "source"
    source.write_bytes(b"as it was")
    known = {}
    for number in range(32):
        put = at.take(f"kept/{number}", source)
        days = f"2026-03-{number // 2 + 1:02}"
        size = taking._LEAST // 2  # each counts as this long
        known[f"{number}"] = BackedFile(f"{number}", "kept", size, "0" * 64, put.mark, days)
    backup = taking.Taking(at, "bak_1", known, "2026-04-01", lambda _: None)
    assert {"0", "1"} == backup._due
    todays = {name: replace(one, read="2026-04-01") for name, one in known.items()}
    assert not taking.Taking(at, "bak_1", todays, "2026-04-01", lambda _: None)._due


def test_two_at_once_are_refused(place: BackedUp) -> None:
    """Each would remove what the other has put; the first goes on."""
    making = Creating(place.node, FolderPlace(place.data), "operator").run()
    next(making)
    with pytest.raises(InputError, match="already"):
        place.back_up(keys=False)
    assert [*making]
    assert [] == verified(FolderPlace(place.data))[2]
    place.back_up(keys=False)


@pytest.mark.row("R5")
def test_a_backup_that_another_home_signed_is_left_alone(place: BackedUp) -> None:
    """Whoever writes a list of their own can't have their files taken for ours."""
    place.back_up(keys=False)
    at = FolderPlace(place.data)
    manifest, _, wrong = verified(at)
    assert [] == wrong
    at.write("manifest.json", manifest_bytes(manifest, bytes(32)))
    with pytest.raises(IntegrityError, match="not signed by this home"):
        place.back_up(keys=False)


def states(place: BackedUp) -> set[str]:
    """How far the receipts of what was deleted have come."""
    return {one["state"] for one in place.ask("retention.receipts")}


@pytest.mark.row("R5", "P4")
def test_no_receipt_says_that_backups_are_worthless_while_keys_live(place: BackedUp) -> None:
    """A rotation does not reach a snapshot; its end does. Of what had been destroyed and rotated
    before, a receipt says so all the same.
    """
    at = place.clock()
    place.node.vault.delete(place.sessions["damson"], at)
    place.node.vault.rotate(at)
    assert "backups_unrecoverable" in states(place)
    place.back_up()
    place.node.vault.delete(place.sessions["quince"], at)
    place.node.vault.rotate(at)
    assert "key_destroyed" in states(place)
    place.clock.advance(timedelta(hours=48))
    assert {} == place.node.sweep(place.clock()).failures
    assert [] == place.node.snapshots.living()
    assert [] == [*place.keys.iterdir()]
    assert "key_destroyed" not in states(place)


@pytest.mark.row("R5")
def test_a_snapshot_that_can_not_be_reached_is_named_until_it_is(place: BackedUp) -> None:
    """The sweep goes on without it and says which; put back, it is ended; or somebody says that it
    is gone.
    """
    place.back_up()
    (one,) = place.node.snapshots.living()
    away = place.folder / "unmounted"
    place.keys.rename(away)
    place.clock.advance(timedelta(hours=49))
    failures = place.node.sweep(place.clock()).failures
    assert ["snapshots"] == [*failures]
    assert one.id in failures["snapshots"].message
    assert isinstance(failures["snapshots"], StorageError)
    away.rename(place.keys)
    assert {} == place.node.sweep(place.clock()).failures
    assert [] == [*place.keys.iterdir()]

    place.back_up()
    (one,) = place.node.snapshots.living()
    place.keys.rename(away)
    with pytest.raises(StorageError):
        place.ask("backup.end", id=one.id)
    place.ask("backup.end", id=one.id, gone=True)
    assert [] == place.node.snapshots.living()
    (entry,) = place.node.ledger.entries(kind="backup.keys_gone", newest=1)
    assert (one.id, True) == (entry.subject, entry.body["said"])


def test_what_can_not_be_written_leaves_the_backup_that_was_there(place: BackedUp) -> None:
    """It is an error with the file's name; the manifest is that of before, and all of it is there;
    the next backup goes on.
    """
    place.back_up(keys=False)
    before = (place.data / "manifest.json").read_bytes()
    account = next(iter(place.node.accounts.api_keys()))[1].account_id
    place.say(account, "medlar")
    place.node.vault.ship()
    (segment,) = {one for one in (place.home.vault / "segments").rglob("*") if one.is_file()} - {
        place.home.path / one.path for one in verified(FolderPlace(place.data))[0].files
    }
    in_the_way = place.data / "kept" / segment.relative_to(place.home.path)
    in_the_way.with_name(in_the_way.name + ".new").mkdir(parents=True)
    with pytest.raises(StorageError, match="can't be read or written"):
        place.back_up(keys=False)
    assert before == (place.data / "manifest.json").read_bytes()
    assert [] == verified(FolderPlace(place.data))[2]
    in_the_way.with_name(in_the_way.name + ".new").rmdir()
    place.back_up(keys=False)
    assert [] == verified(FolderPlace(place.data))[2]


@pytest.mark.row("P4")
def test_a_changed_history_is_found_and_named(place: BackedUp) -> None:
    """By who has the keys; it is made again with `ledger/`, from the data."""
    place.node.sequencer.run()
    (path,) = (one for one in (place.home.ledger / "history").rglob("*") if one.is_file())
    assert [] == place.ask("audit.verify")["damaged"]
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    (found,) = place.ask("audit.verify")["damaged"]
    assert path.name in found["what"]
    for folder in (place.home.ledger / "history", place.home.ledger / "tile"):
        rmtree(folder)
    (place.home.ledger / "checkpoint").unlink()
    place.node.close()
    place.node = Node.open(place.home, clock=place.clock)
    place.node.sequencer.run()
    assert [] == place.ask("audit.verify")["damaged"]
