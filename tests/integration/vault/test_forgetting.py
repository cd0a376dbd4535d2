"""What is erased or past its time is gone: for readers at once, then for good, backups included."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.keeping.receipts import BACKUPS_UNRECOVERABLE, KEY_DESTROYED, RECLAIMED
from bailee.keyring import FileRoot, Keyring, rotation
from bailee.keyring.checkpoint import truncate_log
from bailee.testing import Fault, FaultyStore
from bailee.vault.record import subject_of

pytestmark = pytest.mark.both_databases

Bench = Any

ONE = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
TWO = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def traces(bench: Bench, session_id: str) -> list[bytes]:
    """The key and the wrap of a session, in the forms in which they might be lying about."""
    key = bench.keyring.get(subject_of(session_id)).key
    with sqlite3.connect(bench.path / "keyring" / "keyring.db") as connection:
        (wrap,) = connection.execute(
            "SELECT wrapped FROM deks WHERE subject = ?", (subject_of(session_id),)
        ).fetchone()
    return [key, key.hex().encode(), wrap, wrap.hex().encode()]


def ids(bench: Bench) -> set[str]:
    """The sessions that are listed."""
    return {row.id for row in bench.vault.sessions(bench.clock())}


@pytest.mark.sqlite_alone
@pytest.mark.row("R5", "R6")
def test_erasure(bench: Bench) -> None:
    """An erased session is gone from lists, files and keyring; others stay; a receipt is left."""
    bench.keep(
        bench.exchange([turn("marker-one")], session=ONE),
        bench.exchange([turn("marker-two")], session=TWO),
    )
    needles = traces(bench, ONE)
    receipt = bench.vault.delete(ONE, bench.clock())
    assert ("erasure", ONE, "key_destroyed") == (receipt.kind, receipt.subject, receipt.state)
    assert {TWO} == ids(bench)
    assert [] == bench.holds(*needles, b"marker")
    for read in (
        bench.vault.show,
        bench.vault.export,
        lambda s: bench.vault.delete(s, bench.clock()),
    ):
        with pytest.raises(InputError):
            read(ONE)
    assert [turn("marker-two")] == bench.vault.show(TWO).main
    with pytest.raises(IntegrityError):
        bench.keyring.get(subject_of(ONE))
    bench.reopen()
    assert {TWO} == ids(bench)
    kinds = [kind for kind, subject, _ in bench.leaves if subject == ONE]
    assert ["erasure.requested", "erasure.inaccessible", "erasure.key_destroyed"] == kinds


@pytest.mark.row("R5")
@pytest.mark.sqlite_alone
def test_rows_that_stay_say_nothing_else_of_the_key(bench: Bench) -> None:
    """Where the rows of an erased session can't be removed, its receipt still says that the key is
    gone, once; the next sweep removes them.
    """
    bench.keep(bench.exchange([turn("marker-one")], session=ONE))
    refuse = "BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END"
    with bench.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TRIGGER refuses {refuse}")
    with pytest.raises(StorageError):
        bench.vault.delete(ONE, bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert (KEY_DESTROYED, set()) == (receipt.state, ids(bench))
    with pytest.raises(IntegrityError):
        bench.keyring.get(subject_of(ONE))
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuses")
    bench.vault.sweep(bench.clock())
    assert [] == bench.vault.owned("ada")
    kinds = [kind for kind, subject, _ in bench.leaves if subject == ONE]
    assert ["erasure.requested", "erasure.inaccessible", "erasure.key_destroyed"] == kinds[:3]
    assert 1 == kinds.count("erasure.key_destroyed")


@pytest.mark.row("R5")
def test_erasure_takes_what_is_in_the_spool(bench: Bench) -> None:
    """What was acknowledged a moment ago is erased, too, and the spool's own key with it."""
    assert [None] == bench.submit(bench.exchange([turn("marker")], session=ONE))
    (before,) = [path.name for path in (bench.path / "vault" / "spool").iterdir()]
    bench.keyring.get(f"spool:{before}")
    bench.vault.flush()
    bench.vault.delete(ONE, bench.clock())
    assert set() == ids(bench)
    with pytest.raises(IntegrityError):
        bench.keyring.get(f"spool:{before}")
    assert not (bench.path / "vault" / "spool" / before).exists()


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_a_receipt_runs_to_its_end(bench: Bench) -> None:
    """A receipt goes on to `backups_unrecoverable` with the rotation, and to `reclaimed` when the
    last segment with the ciphertext has left, which waits for its neighbours.
    """
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    receipt = bench.vault.delete(ONE, bench.clock())
    bench.clock.advance(timedelta(hours=23))
    assert not bench.vault.sweep(bench.clock()).rotated
    bench.clock.advance(timedelta(hours=1))
    assert bench.vault.sweep(bench.clock()).rotated
    (now,) = bench.vault.receipts.all(ONE)
    assert ("backups_unrecoverable", receipt.id) == (now.state, now.id)
    bench.vault.delete(TWO, bench.clock())
    bench.vault.sweep(bench.clock())
    (now,) = bench.vault.receipts.all(ONE)
    assert (RECLAIMED, bench.clock()) == (now.state, now.reclaimed_at)


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
@pytest.mark.parametrize("step", [timedelta(0), timedelta(hours=-1)])
def test_a_rotation_that_was_under_way_counts_for_nothing_since(
    bench: Bench, step: timedelta
) -> None:
    """What was destroyed after a rotation began waits for the next one, and a clock that is set
    back between the two does not make the receipt say more.
    """
    bench.keep(bench.exchange([turn("a")], session=ONE))
    rotation._begin(bench.keyring._store)
    bench.clock.advance(step)
    bench.vault.delete(ONE, bench.clock())

    bench.vault.rotate(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert KEY_DESTROYED == receipt.state

    bench.vault.rotate(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert BACKUPS_UNRECOVERABLE == receipt.state


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_backups_open_nothing(bench: Bench, tmp_path: Any) -> None:
    """After the rotation, the keyring's backup with the present root opens nothing."""
    bench.keep(bench.exchange([turn("a")], session=ONE))
    dek = bench.keyring.get(subject_of(ONE))
    truncate_log(bench.keys)
    backup = tmp_path / "backup.db"
    shutil.copy(bench.path / "keyring" / "keyring.db", backup)
    bench.vault.delete(ONE, bench.clock())
    bench.clock.advance(timedelta(days=1))
    bench.vault.sweep(bench.clock())
    from bailee.db.engine import open_sqlite

    root = FileRoot(bench.path / "keyring" / "root.json")
    engine = open_sqlite(backup)
    old = Keyring.open(engine, root, bench.clock)
    with pytest.raises(BaileeError):
        old.get(dek.subject)
    engine.dispose()


@pytest.mark.sqlite_alone
@pytest.mark.row("R1", "R5")
@pytest.mark.parametrize(("period", "days"), [("P30D", 30), ("P5Y", 1826)])
def test_expiry(bench: Bench, period: str, days: int) -> None:
    """Kept until the last moment, refused from then on, destroyed within the hour."""
    bench.keep(bench.exchange([turn("marker")], session=ONE, period=period))
    needles = traces(bench, ONE)
    bench.clock.advance(timedelta(days=days, seconds=-1))
    assert 0 == bench.vault.sweep(bench.clock()).sessions
    assert [turn("marker")] == bench.vault.show(ONE).main
    bench.clock.advance(timedelta(seconds=1))
    assert set() == ids(bench)
    assert [] == bench.vault.report(bench.clock())
    with pytest.raises(InputError):
        bench.vault.show(ONE)
    bench.clock.advance(timedelta(minutes=30))
    report = bench.vault.sweep(bench.clock())
    assert (1, 1) == (report.sessions, report.segments)
    assert [] == bench.holds(*needles, b"marker")
    assert [] == [p for p in (bench.path / "vault" / "segments").rglob("*") if p.is_file()]
    bench.clock.advance(timedelta(days=1))
    bench.vault.sweep(bench.clock())
    (receipt,) = [receipt for receipt in bench.vault.receipts.all() if receipt.kind == "expiry"]
    assert RECLAIMED == receipt.state


def test_activity_moves_expiry(bench: Bench) -> None:
    """Each exchange moves the session's end; the content of the first day lives on with it."""
    for day in range(5):
        bench.keep(bench.exchange([turn(f"day {day}")], session=ONE))
        bench.clock.advance(timedelta(days=29))
        bench.vault.sweep(bench.clock())
        assert day + 1 == len(bench.vault.show(ONE).exchanges)
    bench.clock.advance(timedelta(days=2))
    bench.vault.sweep(bench.clock())
    assert set() == ids(bench)


def test_a_shorter_period_moves_it_back(bench: Bench) -> None:
    """When the terms become shorter, the session goes after the shorter time."""
    bench.keep(bench.exchange([turn("a")], session=ONE, period="P5Y"))
    bench.keep(bench.exchange([turn("b")], session=ONE, period="P30D"))
    bench.clock.advance(timedelta(days=30, minutes=30))
    bench.vault.sweep(bench.clock())
    with pytest.raises(IntegrityError):
        bench.keyring.get(subject_of(ONE))


def test_an_id_is_used_once(bench: Bench) -> None:
    """Whose client names a session that is gone gets a new one, under another id."""
    bench.keep(bench.exchange([turn("a")], session=ONE, owner="bob"))
    bench.vault.delete(ONE, bench.clock())
    bench.keep(bench.exchange([turn("b")], session=ONE))
    (second,) = ids(bench)
    bench.clock.advance(timedelta(days=30))
    bench.keep(bench.exchange([turn("c")], session=ONE))
    (third,) = ids(bench)
    assert 3 == len({ONE, second, third})
    assert [turn("c")] == bench.vault.show(third).main


@pytest.mark.sqlite_alone
def test_erasure_goes_on_after_a_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that a failing store has interrupted is finished, by the next start or sweep."""
    for session, finish in ((ONE, "reopen"), (TWO, "sweep")):
        bench.keep(bench.exchange([turn("a")], session=session))
        with monkeypatch.context() as patch:

            def fail(*_arguments: object) -> None:
                raise StorageError("no")

            patch.setattr(bench.keyring, "destroy", fail)
            with pytest.raises(StorageError):
                bench.vault._erasing.erase(session, bench.clock(), None)
        with pytest.raises(InputError):
            bench.vault.show(session)
        bench.reopen() if finish == "reopen" else bench.vault.sweep(bench.clock())
        (receipt,) = bench.vault.receipts.all(session)
        assert receipt.state in {"key_destroyed", "backups_unrecoverable"}
        with pytest.raises(IntegrityError):
            bench.keyring.get(subject_of(session))


@pytest.mark.parametrize("fault", list(Fault))
def test_a_faulty_object_store(make: Callable[..., Bench], fault: Fault) -> None:
    """Shipping and reclaiming fail in either way, and nothing is lost or counted twice. What was
    said since is in a segment of its own: the put that failed may be carried out yet. Who deletes
    is not kept waiting by the store.
    """
    store = FaultyStore()
    bench = make(objects=store)
    sent = bench.exchange([turn("a")], session=ONE)
    bench.keep(sent)
    store.fail("put", fault, fault)
    for _ in range(2):
        with pytest.raises(StorageError):
            bench.vault.ship()
        assert [turn("a")] == bench.vault.show(ONE).main
        bench.reopen()
    bench.keep(bench.exchange([turn("a"), turn("b")], session=ONE))
    assert 2 == bench.vault.ship()
    assert [] == list((bench.path / "vault" / "open").iterdir())
    bench.reopen()
    assert json.loads(sent.request) == bench.vault.show(ONE).exchanges[0].request
    assert 2 == len(bench.vault.show(ONE).exchanges)
    store.fail("delete", fault)
    assert bench.vault.delete(ONE, bench.clock()).state in ("key_destroyed", "inaccessible")
    assert store.objects
    assert 2 == bench.vault.sweep(bench.clock()).segments
    assert {} == store.objects


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_a_hundred_thousand_sessions(bench: Bench) -> None:
    """Expiry of 100,000 sessions: one key destroyed, every row gone, what lives on is untouched."""
    bench.keep(bench.exchange([turn("stays")], session=TWO, period="P5Y"))
    bench.keep(bench.exchange([turn("a")], session=ONE))
    dek = bench.keyring.get(subject_of(ONE))
    with bench.engine.begin() as connection:
        number = f"(SELECT number FROM sessions WHERE id = '{ONE}')"
        for table, made, which in (
            ("sessions", ("id", "number"), f"id = '{ONE}'"),
            ("exchanges", ("id", "session"), f"session = {number}"),
        ):
            (columns,) = [
                [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
            ]
            other = ", ".join(
                dict(zip(made, ("'s' || n", "100 + n"), strict=True)).get(column, f'"{column}"')
                for column in columns
            )
            connection.exec_driver_sql(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 99999) "
                f"INSERT INTO {table} SELECT {other} FROM c, {table} WHERE {which}"
            )
    with bench.keys.begin() as connection:
        connection.exec_driver_sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 99999) "
            "INSERT INTO deks SELECT 'session:s' || n, kek_id, version, wrapped FROM c, deks "
            f"WHERE subject = '{dek.subject}'"
        )
    assert 100_001 == len(bench.vault.sessions(bench.clock()))
    bench.clock.advance(timedelta(days=30, minutes=30))
    report = bench.vault.sweep(bench.clock())
    assert 100_000 == report.sessions
    assert {TWO} == ids(bench)
    assert [turn("stays")] == bench.vault.show(TWO).main
    with sqlite3.connect(bench.path / "keyring" / "keyring.db") as keys:
        subjects = [row[0] for row in keys.execute("SELECT subject FROM deks")]
    assert [subject_of(TWO)] == [subject for subject in subjects if "session" in subject]


class LateRoot(FileRoot):
    """A root in a service that can bring back for a week what was destroyed."""

    lag = timedelta(days=7)


@pytest.mark.sqlite_alone
@pytest.mark.row("R5", "R6")
def test_a_receipt_waits_until_no_root_can_be_brought_back(bench: Bench) -> None:
    """Where the root's service keeps what was destroyed for a week, nothing says that backups are
    unrecoverable before that week is over; and the lag that is stated is longer by it.
    """
    bench.keyring._store.root = LateRoot(bench.path / "keyring" / "root.json")
    bench.keep(bench.exchange([turn("a")], session=ONE))
    assert None is bench.vault.lag(bench.clock()).until
    bench.vault.delete(ONE, bench.clock())
    lag = bench.vault.lag(bench.clock())
    assert timedelta(days=8) == lag.at_most
    assert bench.clock() + timedelta(days=8) == lag.until

    bench.clock.advance(timedelta(days=1))
    bench.vault.sweep(bench.clock())
    assert (2,) == bench.keyring._store.root.generations()
    bench.clock.advance(timedelta(days=7, seconds=-1))
    bench.vault.sweep(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert KEY_DESTROYED == receipt.state
    bench.clock.advance(timedelta(seconds=1))
    assert None is bench.vault.lag(bench.clock()).until
    bench.vault.sweep(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert receipt.backups_unrecoverable_at == bench.clock()


@pytest.mark.sqlite_alone
@pytest.mark.row("R5", "R6")
def test_a_root_that_is_gone_at_once_does_not_hurry_one_that_is_not(bench: Bench) -> None:
    """A home that moved from such a service to a file: what the service's root opened waits its
    week, though the file's root has been rotated since.
    """
    bench.keyring._store.root = LateRoot(bench.path / "keyring" / "root.json")
    for session in (ONE, TWO):
        bench.keep(bench.exchange([turn("a")], session=session))
    bench.vault.delete(ONE, bench.clock())
    bench.vault.rotate(bench.clock())
    bench.keyring._store.root = FileRoot(bench.path / "keyring" / "root.json")
    bench.vault.delete(TWO, bench.clock())
    bench.vault.rotate(bench.clock())
    states = {r.state for one in (ONE, TWO) for r in bench.vault.receipts.all(one)}
    assert {KEY_DESTROYED} == states
    bench.clock.advance(timedelta(days=7))
    bench.vault.sweep(bench.clock())
    found = [r for one in (ONE, TWO) for r in bench.vault.receipts.all(one)]
    assert [bench.clock()] * 2 == [r.backups_unrecoverable_at for r in found]


@pytest.mark.row("R5", "R6")
def test_a_receipt_moves_although_nothing_else_is_destroyed(bench: Bench) -> None:
    """A process that ended between the root's destruction and its receipts left nothing to rotate:
    the next sweep notes it all the same.
    """
    bench.keep(bench.exchange([turn("a")], session=ONE))
    bench.vault.delete(ONE, bench.clock())
    bench.keyring.rotate_root()
    bench.reopen()
    bench.vault.sweep(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert receipt.backups_unrecoverable_at == bench.clock()
