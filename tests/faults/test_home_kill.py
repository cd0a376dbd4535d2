"""kill -9 on the way of an expiry, an erasure, a shred, a hold, its release, a move: the next start
finishes it.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import IntegrityError
from bailee.keyring import signing
from bailee.keyring.copies import opening
from bailee.ledger.verifying import copied
from bailee.node.node import Node
from bailee.node.verifying import verify
from bailee.vault.record import subject_of
from support.clients import processes
from support.clients.asking import perform
from support.clients.programs import clean_environment
from support.homes.places import Place

PROCESS = Path(__file__).with_name("home_process.py")
NAMES = [f"{n}{n}{n}{n}{n}{n}{n}{n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in range(4)]
WHEN = ["before", "after"]

ERASING = [
    ("bailee.node.erasing:Erasures._begin", 1),
    ("bailee.node.erasing:Erasures._drive", 1),
    ("bailee.accounts.accounts:Accounts.revoke", 1),
    ("bailee.accounts.accounts:Accounts.unname", 1),
    ("bailee.accounts.people:People.forget", 1),
    ("bailee.keeping.receipts:Receipts.request", 1),
    ("bailee.keeping.receipts:Receipts._enter", 1),  # not committed
    ("bailee.keeping.receipts:Receipts.advance_all", 2),
    ("bailee.vault.erasing:Erasing.remove_rows", 1),
    ("bailee.vault.segments:Segments.remove", 1),
    ("bailee.keyring.keyring:Keyring.destroy", 2),
    ("bailee.keyring.keyring:Keyring.destroy", 3),
    ("bailee.node.erasing:Erasures._finish", 1),
]
PLACING = [
    ("bailee.keeping.holds:Holds._take", 1),
    ("bailee.keyring.keyring:Keyring.hold", 1),
    ("bailee.keeping.holds:Holds._note", 1),
]
RELEASING = [
    ("bailee.keeping.holds:Holds.begin_release", 1),
    ("bailee.keyring.keyring:Keyring.destroy", 1),
    ("bailee.vault.erasing:Erasing._drive", 1),
    ("bailee.keeping.receipts:Receipts.advance_all", 2),
    ("bailee.vault.erasing:Erasing.remove_rows", 1),
    ("bailee.keeping.holds:Holds.released", 1),
]
EXPIRING = [
    ("bailee.vault.forgetting:Forgetting._destroy_due", 1, "before"),
    ("bailee.keeping.receipts:Receipts.request", 1, "after"),
    ("bailee.keeping.receipts:Receipts.advance_all", 1, "after"),
    ("bailee.keyring.destroying:zero_keks", 1, "after"),  # not committed
    ("bailee.keyring.destroying:remove_keks", 1, "before"),  # zeros
    ("bailee.keyring.destroying:remove_keks", 1, "after"),
    ("bailee.keyring.keyring:Keyring.destroy_due", 1, "after"),
    ("bailee.keeping.receipts:Receipts.advance_all", 2, "after"),
    ("bailee.vault.erasing:Erasing.remove_rows", 1, "after"),
    ("bailee.keyring.keyring:Keyring.remove_dead", 1, "after"),
    ("bailee.vault.segments:Segments.remove", 1, "after"),
]
SHREDDING = [
    ("bailee.keyring.rotation:_begin", 1, "before"),
    ("bailee.keyring.rotation:_begin", 1, "after"),
    ("bailee.keyring.rotation:_move_portion", 1, "after"),
    ("bailee.keyring.rotation:_rewrap_keks", 1, "after"),
    ("bailee.keyring.rotation:_rewrap_secrets", 1, "after"),
    ("bailee.keyring.roots.file:FileRoot.destroy", 1, "before"),
    ("bailee.keyring.roots.file:FileRoot.destroy", 1, "after"),
    ("bailee.keyring.keyring:Keyring.rotate_root", 1, "after"),
    ("bailee.vault.forgetting:Forgetting.note_ended_roots", 1, "before"),
]
MOVING = [
    ("bailee.accounts.accounts:Accounts._change", 1),
    ("bailee.vault.moving:Moving.request", 1),
    ("bailee.keyring.keyring:Keyring.move", 1),
    ("bailee.vault.moving:Moving._put", 1),
    ("bailee.vault.moving:Moving._step", 1),
]


class Kept:
    """A home that was made once and is copied for each test."""

    def __init__(self, folder: Path, *, hold: bool) -> None:
        self.place = place = Place(folder)
        made = perform(
            place.node, "person.create", {"email": "ada@example.org", "plan": "pro", "name": "k"}
        )
        assert isinstance(made, dict)
        self.made: dict[str, Any] = made
        place.account = made["account"]
        place.choose("allowed")
        place.clock.advance(timedelta(minutes=1))
        for name in NAMES:
            place.end(place.begin(name, key=made["key_id"], text=f"medlar {name}"))
        self.hold = ""
        if hold:
            placed = perform(place.node, "hold.place", {"session": NAMES[0], "reason": "matter"})
            assert isinstance(placed, dict)
            self.hold = placed["hold"]
            place.node.vault.delete(NAMES[0], place.clock())
        place.close()

    def copy(self, to: Path) -> Place:
        """A copy that is not open yet, with its clock."""
        shutil.copytree(self.place.folder, to)
        place = Place.__new__(Place)
        place.clock, place.folder, place.account = self.place.clock, to, self.place.account
        place.prepare()
        return place


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Kept]:
    """A home with or without a hold."""
    made: dict[bool, Kept] = {}

    def get(*, hold: bool) -> Kept:
        if hold not in made:
            made[hold] = Kept(tmp_path_factory.mktemp("kept") / "home", hold=hold)
        return made[hold]

    return get


def kill(place: Place, operation: str, arguments: dict[str, Any], *point: str) -> None:
    """Carry out an operation in a process that dies, a minute later."""
    now = (place.clock() + timedelta(minutes=1)).isoformat()
    done = processes.run(
        *(str(place.folder), now, operation, json.dumps(arguments), *point),
        env=clean_environment(place.folder),
        program=PROCESS,
    )
    assert -signal.SIGKILL == done.returncode, done.stderr


@pytest.mark.row("R6")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("point", "count"), ERASING)
def test_an_erasure(
    kept: Callable[..., Kept], tmp_path: Path, point: str, count: int, when: str
) -> None:
    """Once it is on record, an erasure ends with everything gone and a signed receipt."""
    home = kept(hold=False)
    place = home.copy(tmp_path / "home")
    kill(place, "person.erase", {"id": home.made["person"]}, point, str(count), when)
    place.open()
    try:
        erasures = place.node.erasures.rows.all()
        if point.endswith("_begin") and when == "before":
            assert [] == erasures
            assert len(NAMES) == len(place.sessions())
            return
        place.node.sweep(place.clock())  # a start that is slow leaves the rest to it
        (erasure,) = place.node.erasures.rows.all()
        receipt, _ = signing.verify(erasure.receipt)
        assert ("done", "done") == (erasure.state, receipt["state"])
        assert set(NAMES) == {one["session"] for one in receipt["sessions"]}
        assert len(NAMES) == len(receipt["sessions"])
        assert [] == place.node.vault.owned(place.account)
        for subject in (home.made["person"], *map(subject_of, NAMES)):
            with pytest.raises(IntegrityError):
                place.node.keyring.get(subject)
        steps = Counter((leaf.kind, leaf.subject) for leaf in place.node.ledger.entries())
        for step in ("requested", "inaccessible", "key_destroyed"):
            assert [1] * len(NAMES) == [steps[f"erasure.{step}", name] for name in NAMES]
        assert None is place.node.accounts.authenticate(home.made["key"].encode())
        assert None is place.node.registry.people.get(home.made["person"]).email
    finally:
        place.close()


@pytest.mark.row("R5")
@pytest.mark.parametrize(("point", "count", "when"), EXPIRING)
def test_an_expiry(
    kept: Callable[..., Kept], tmp_path: Path, point: str, count: int, when: str
) -> None:
    """Whatever was done of it, nothing is shown from then on, and the next sweep has no key left
    and one receipt that says so, never earlier.
    """
    place = kept(hold=False).copy(tmp_path / "home")
    place.clock = copy(place.clock)
    place.clock.advance(timedelta(days=6 * 366))
    kill(place, "retention.run", {}, point, str(count), when)
    with sqlite3.connect(place.folder / "data" / "data.db") as data:
        said = {state for (state,) in data.execute("SELECT state FROM receipts")}
    with sqlite3.connect(place.folder / "keyring" / "keyring.db") as keys:
        (living,) = keys.execute(
            "SELECT count(*) FROM keks WHERE data_class = 'transcript' AND wrapped != zeroblob(60)"
        ).fetchone()
    assert not living or said <= {"requested", "inaccessible"}
    place.open()
    try:
        assert {} == place.sessions()
        assert {} == place.node.sweep(place.clock()).failures
        receipts = place.node.receipts.all()
        assert ["expiry"] * len(receipts) == [one.kind for one in receipts]
        assert receipts
        assert {"key_destroyed", "backups_unrecoverable", "reclaimed"} >= {
            one.state for one in receipts
        }
        for name in NAMES:
            with pytest.raises(IntegrityError):
                place.node.keyring.get(subject_of(name))
        assert [] == [*(place.folder / "vault" / "segments").rglob("*.seg")]
        assert [] == check(place.node)
    finally:
        place.close()


@pytest.mark.row("R5")
@pytest.mark.parametrize(("point", "count", "when"), SHREDDING)
def test_a_shred(
    kept: Callable[..., Kept], tmp_path: Path, point: str, count: int, when: str
) -> None:
    """The next start goes on with it: what lives opens, and an older copy of the keyring is of no
    use any more for what was deleted, as its receipt then says.
    """
    place = kept(hold=False).copy(tmp_path / "home")
    keyring = place.folder / "keyring" / "keyring.db"
    older = Path(shutil.copy(keyring, tmp_path / "older.db"))
    place.open()
    place.node.vault.delete(NAMES[0], place.clock())
    place.close()
    kill(place, "keyring.rotate", {}, point, str(count), when)
    place.open()
    try:
        assert {} == place.node.sweep(place.clock()).failures
        if place.node.keyring.rotation_due(place.clock(), 0):
            place.node.vault.rotate(place.clock())
        (receipt,) = place.node.receipts.all(NAMES[0])
        assert receipt.state in ("backups_unrecoverable", "reclaimed")
        with copied(older) as engine:
            gone = [subject_of(NAMES[0])]
            assert 0 == opening(engine, place.node.keyring.root, gone)
        assert set(NAMES[1:]) == set(place.sessions())
        for name in NAMES[1:]:
            assert 1 == len(place.node.vault.show(name, place.clock()).exchanges)
        assert [] == check(place.node)
    finally:
        place.close()


def check(node: Node) -> list[str]:
    """What a check of a home finds damaged."""
    return [one.where for one in verify(node, node.clock()).damaged]


@pytest.mark.row("R6")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("point", "count"), PLACING)
def test_placing_a_hold(
    kept: Callable[..., Kept], tmp_path: Path, point: str, count: int, when: str
) -> None:
    """Once it is on record, the hold holds."""
    place = kept(hold=False).copy(tmp_path / "home")
    kill(place, "hold.place", {"session": NAMES[0], "reason": "m"}, point, str(count), when)
    place.open()
    try:
        place.node.vault.recover()  # a start that is slow goes on with it behind
        (hold,) = place.node.holds.all()
        assert "placed" == hold.state
        assert "deferred" == place.node.vault.delete(NAMES[0], place.clock()).state
    finally:
        place.close()


@pytest.mark.row("R6")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("point", "count"), RELEASING)
def test_releasing_a_hold(
    kept: Callable[..., Kept], tmp_path: Path, point: str, count: int, when: str
) -> None:
    """A release ends with what it deferred destroyed, and a receipt that says so only then."""
    home = kept(hold=True)
    place = home.copy(tmp_path / "home")
    kill(place, "hold.release", {"id": home.hold}, point, str(count), when)
    with sqlite3.connect(place.folder / "data" / "data.db") as data:
        (said,) = data.execute("SELECT state FROM receipts WHERE kind = 'erasure'").fetchone()
    with sqlite3.connect(place.folder / "keyring" / "keyring.db") as keys:
        left = keys.execute("SELECT count(*) FROM deks WHERE subject LIKE 'held:%'").fetchone()
    assert "deferred" == said or (0,) == left
    place.open()
    try:
        place.node.vault.recover()  # a start that is slow goes on with it behind
        (hold,) = place.node.holds.all()
        (receipt,) = place.node.receipts.all(NAMES[0])
        if point.endswith("begin_release") and when == "before":
            assert ("placed", "deferred") == (hold.state, receipt.state)
            return
        assert ("released", "key_destroyed") == (hold.state, receipt.state)
        for subject in (f"held:{home.hold}", subject_of(NAMES[0])):
            with pytest.raises(IntegrityError):
                place.node.keyring.get(subject)
        assert set(NAMES[1:]) == set(place.sessions())
    finally:
        place.close()


@pytest.mark.row("R4")
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("point", "count"), MOVING)
def test_a_move(
    kept: Callable[..., Kept], tmp_path: Path, point: str, count: int, when: str
) -> None:
    """Once the choice is on record, every session ends on its terms, key and index alike."""
    home = kept(hold=False)
    place = home.copy(tmp_path / "home")
    arguments = {"key": home.made["key"], "choice": "refused"}
    kill(place, "privacy.choose", arguments, point, str(count), when)
    place.open()
    try:
        place.node.sweep(place.clock())
        chosen = not (point.endswith("_change") and when == "before")
        rows = place.sessions()
        assert set(NAMES) == set(rows)
        assert {"P30D" if chosen else "P5Y"} == {row.period for row in rows.values()}
        for name, row in rows.items():
            key = place.node.keyring.get(subject_of(name))
            assert (
                key.epoch
                == place.node.keyring.dek(subject_of(name), "transcript", row.expires_at).epoch
            )
            assert 1 == len(place.node.vault.show(name, place.clock()).exchanges)
    finally:
        place.close()
