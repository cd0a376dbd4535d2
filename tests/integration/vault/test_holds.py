"""A legal hold defers what would destroy a session, shows nothing of it, and lets go by itself."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.db.engine import open_sqlite
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.keeping.holds import key_name
from bailee.keeping.receipts import DEFERRED, KEY_DESTROYED, RECLAIMED
from bailee.keyring import FileRoot, Keyring
from bailee.keyring.checkpoint import truncate_log
from bailee.vault.record import subject_of

Bench = Any

ONE = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
TWO = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
PAST = timedelta(days=30, minutes=30)


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def keep_both(bench: Bench) -> None:
    """Two sessions that end together."""
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))


def gone(bench: Bench, subject: str) -> bool:
    """Whether the keyring has no such key any more."""
    try:
        bench.keyring.get(subject)
    except IntegrityError:
        return True
    return False


def states(bench: Bench, session: str = ONE) -> list[tuple[str, str]]:
    """The receipts of a session."""
    return [(receipt.kind, receipt.state) for receipt in bench.vault.receipts.all(session)]


@pytest.mark.row("R5", "R6")
def test_expiry_waits_for_the_held_alone(bench: Bench) -> None:
    """The epoch's key goes on time for everyone else; the held session is as unreadable as they
    are; its destruction is deferred, says so, and follows the release.
    """
    keep_both(bench)
    dek = bench.keyring.get(subject_of(ONE))
    hold = bench.vault.place_hold(ONE, "matter 7", bench.clock())
    assert ("placed", {ONE}) == (hold.state, bench.vault.holds.held())
    bench.clock.advance(PAST)
    with pytest.raises(InputError):
        bench.vault.show(ONE)
    report = bench.vault.sweep(bench.clock())
    assert 1 == report.sessions
    assert gone(bench, subject_of(TWO))
    assert gone(bench, subject_of(ONE))
    assert dek.key == bench.keyring.get(key_name(hold.id)).key
    assert [("held_expiry", DEFERRED)] == states(bench)
    bench.vault.sweep(bench.clock())
    bench.reopen()
    bench.vault.rotate(bench.clock())
    assert dek.key == bench.keyring.get(key_name(hold.id)).key
    assert [("held_expiry", DEFERRED)] == states(bench)
    with pytest.raises(InputError):
        bench.vault.show(ONE)

    assert "released" == bench.vault.holds.release(hold.id, bench.clock()).state
    assert gone(bench, key_name(hold.id))
    assert [("held_expiry", KEY_DESTROYED)] == states(bench)
    bench.clock.advance(timedelta(days=1))
    bench.vault.sweep(bench.clock())
    assert [("held_expiry", RECLAIMED)] == states(bench)
    assert [] == [p for p in (bench.path / "vault" / "segments").rglob("*") if p.is_file()]


@pytest.mark.row("R6")
def test_erasure_of_a_held_session_is_deferred(bench: Bench) -> None:
    """It is unreadable at once; the receipt says that the rest is deferred, and runs on at the
    release of the last hold.
    """
    keep_both(bench)
    first = bench.vault.place_hold(ONE, "matter 7", bench.clock())
    receipt = bench.vault.delete(ONE, bench.clock())
    assert (DEFERRED, bench.clock()) == (receipt.state, receipt.deferred_at)
    assert gone(bench, subject_of(ONE))
    with pytest.raises(InputError):
        bench.vault.show(ONE)
    second = bench.vault.place_hold(ONE, "matter 8", bench.clock())
    bench.vault.holds.release(first.id, bench.clock())
    assert [("erasure", DEFERRED)] == states(bench)
    assert not gone(bench, key_name(second.id))
    bench.reopen()
    bench.vault.sweep(bench.clock())
    assert [("erasure", DEFERRED)] == states(bench)
    bench.vault.holds.release(second.id, bench.clock())
    assert [("erasure", KEY_DESTROYED)] == states(bench)
    assert gone(bench, key_name(second.id))
    kinds = [kind for kind, subject, _ in bench.leaves if subject == ONE]
    assert [
        *("hold.requested", "hold.placed"),
        *("erasure.requested", "erasure.inaccessible", "erasure.deferred"),
        *("hold.requested", "hold.placed"),
        *("hold.releasing", "hold.released", "hold.releasing"),
        *("erasure.key_destroyed", "hold.released"),
    ] == kinds


@pytest.mark.row("R5", "R6")
def test_a_released_hold_is_worthless_in_a_backup(bench: Bench, tmp_path: Path) -> None:
    """A copy of the keyring from while it was held opens nothing after release and rotation."""
    keep_both(bench)
    hold = bench.vault.place_hold(ONE, "matter 7", bench.clock())
    truncate_log(bench.keys)
    shutil.copy(bench.path / "keyring" / "keyring.db", tmp_path / "backup.db")
    bench.vault.delete(ONE, bench.clock())
    bench.vault.holds.release(hold.id, bench.clock())
    bench.clock.advance(timedelta(days=1))
    assert bench.vault.sweep(bench.clock()).rotated
    engine = open_sqlite(tmp_path / "backup.db")
    old = Keyring.open(engine, FileRoot(bench.path / "keyring" / "root.json"), bench.clock)
    for subject in (key_name(hold.id), subject_of(ONE)):
        with pytest.raises(BaileeError):
            old.get(subject)
    engine.dispose()


def test_a_hold_that_is_released_in_time_changes_nothing(bench: Bench) -> None:
    """Held and released while it is kept, a session is read, gone on with, and goes on its day."""
    keep_both(bench)
    hold = bench.vault.place_hold(ONE, "matter 7", bench.clock())
    bench.keep(bench.exchange([turn("a"), turn("c")], session=ONE))
    assert 2 == len(bench.vault.show(ONE).exchanges)
    bench.vault.holds.release(hold.id, bench.clock())
    assert set() == bench.vault.holds.held()
    assert 2 == len(bench.vault.show(ONE).exchanges)
    assert [] == states(bench)
    bench.clock.advance(PAST)
    assert 2 == bench.vault.sweep(bench.clock()).sessions
    assert [] == states(bench)


def test_what_can_not_be_held(bench: Bench) -> None:
    """What is not there, or no more, can't be held, nor anything without a reason; a hold is
    released once.
    """
    keep_both(bench)
    for session, reason in (("none", "matter"), (ONE, " "), (ONE, "x" * 301)):
        with pytest.raises(InputError):
            bench.vault.place_hold(session, reason, bench.clock())
    bench.vault.delete(TWO, bench.clock())
    with pytest.raises(InputError):
        bench.vault.place_hold(TWO, "matter", bench.clock())
    hold = bench.vault.place_hold(ONE, "matter", bench.clock())
    bench.vault.holds.release(hold.id, bench.clock())
    for missing in (hold.id, "hold_0"):
        with pytest.raises(InputError):
            bench.vault.holds.release(missing, bench.clock())


@pytest.mark.parametrize("broken", ["hold", "destroy"])
def test_a_hold_that_breaks_off_is_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Placing or releasing that a failing store interrupts is finished by the next start."""
    keep_both(bench)
    hold = None if broken == "hold" else bench.vault.place_hold(ONE, "matter", bench.clock())
    if hold is not None:
        bench.vault.delete(ONE, bench.clock())

    def fail(*_arguments: object) -> None:
        raise StorageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(bench.keyring, broken, fail)
        with pytest.raises(StorageError):
            if hold is None:
                bench.vault.place_hold(ONE, "matter", bench.clock())
            else:
                bench.vault.holds.release(hold.id, bench.clock())
    bench.reopen()
    (now,) = bench.vault.holds.all()
    assert ("placed" if broken == "hold" else "released") == now.state
    if broken == "destroy":
        assert [("erasure", KEY_DESTROYED)] == states(bench)
        assert gone(bench, key_name(now.id))


def test_a_hold_that_comes_too_late_is_void(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off before it took the key, and the key is destroyed meanwhile: the hold says so."""
    keep_both(bench)

    def fail(*_arguments: object) -> None:
        raise StorageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(bench.keyring, "hold", fail)
        with pytest.raises(StorageError):
            bench.vault.place_hold(ONE, "matter", bench.clock())
    bench.keyring.destroy([subject_of(ONE)])
    bench.vault.sweep(bench.clock())
    (now,) = bench.vault.holds.all()
    assert "void" == now.state
