"""Retention follows a choice: sessions move to the period that the policy now gives."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bailee.db.engine import open_sqlite
from bailee.db.vault import sessions
from bailee.errors import BaileeError, IntegrityError, StorageError
from bailee.keyring import FileRoot, Keyring, Want
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.epochs import ends_at, epoch_of
from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms
from bailee.vault.record import subject_of
from bailee.vault.terms import Present

pytestmark = pytest.mark.both_databases

Bench = Any
LONG, SHORT = Terms("P5Y", "allowed", "d" * 64), Terms("P30D", "refused", "d" * 64)


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


class Owners:
    """What owners chose, as the accounts would tell it."""

    def __init__(self) -> None:
        self.present: dict[str, Present] = {}

    def __call__(self, owner: str, _plan: str, _channel: str) -> Present | None:
        """Implements `PresentTerms`."""
        return self.present.get(owner)

    def choose(self, bench: Bench, terms: Terms, owner: str = "ada") -> None:
        """Choose now; a second later the move is asked for."""
        number = bench.consents[owner] = sum(bench.consents.values()) + 1
        self.present[owner] = Present(terms, number, number)
        bench.clock.advance(timedelta(seconds=1))
        bench.vault.moving.request(owner, bench.clock(), bench.clock())


@pytest.fixture
def owners() -> Owners:
    """Nobody has chosen yet."""
    return Owners()


@pytest.fixture
def home(make: Callable[..., Bench], owners: Owners) -> Bench:
    """A vault that asks the owners."""
    return make(present=owners)


def ends(bench: Bench) -> dict[str, tuple[str, str, datetime]]:
    """Period, clause and end of each session, once it is sure that its key agrees."""
    bench.vault.flush()
    rows = bench.vault.sessions(bench.clock())
    for row in rows:
        assert epoch_of(row.expires_at) == bench.keyring.get(subject_of(row.id)).epoch
        assert expires_at(row.last_activity, row.period) == row.expires_at
    return {row.id: (row.period, row.clause, row.expires_at) for row in rows}


def keep(bench: Bench, name: str, terms: Terms, owner: str = "ada") -> str:
    """Keep one exchange of a session on terms; the session's id."""
    before = set(ends(bench))
    bench.keep(bench.exchange([turn(name)], session=name, owner=owner, period=terms.period))
    return next(iter(set(ends(bench)) - before), "")


@pytest.mark.row("R4")
def test_refusing_moves_what_was_kept_long(home: Bench, owners: Owners) -> None:
    """Sessions of 5 years move to 30 days from their last activity; another owner's stay."""
    owners.choose(home, LONG)
    owners.choose(home, LONG, "bob")
    home.clock.advance(timedelta(hours=1))
    old = keep(home, "old", LONG)
    home.clock.advance(timedelta(days=10))
    new, bobs = keep(home, "new", LONG), keep(home, "bobs", LONG, "bob")
    active = {row.id: row.last_activity for row in home.vault.sessions(home.clock())}
    owners.choose(home, SHORT)
    assert 2 == home.vault.moving.run(home.clock())
    now = ends(home)
    for session in (old, new):
        assert ("P30D", "refused", active[session] + timedelta(days=30)) == now[session]
    assert "P5Y" == now[bobs][0]
    assert [turn("old")] == home.vault.show(old).main
    home.clock.advance(timedelta(days=20, minutes=30))
    home.vault.sweep(home.clock())
    assert {new, bobs} == set(ends(home))
    with pytest.raises(IntegrityError):
        home.keyring.get(subject_of(old))


@pytest.mark.row("R4", "T4")
def test_allowing_lengthens_only_what_is_resumed(home: Bench, owners: Owners) -> None:
    """A session that is not gone on with keeps its short time; a resumed one moves to the long."""
    owners.choose(home, SHORT)
    home.clock.advance(timedelta(hours=1))
    left, resumed = keep(home, "left", SHORT), keep(home, "resumed", SHORT)
    owners.choose(home, LONG)
    home.vault.moving.run(home.clock())
    assert {"P30D"} == {period for period, _, _ in ends(home).values()}
    home.clock.advance(timedelta(hours=1))
    keep(home, "resumed", LONG)
    assert {left: "P30D", resumed: "P5Y"} == {name: end[0] for name, end in ends(home).items()}
    owners.choose(home, LONG)
    home.vault.moving.run(home.clock())
    assert {left: "P30D", resumed: "P5Y"} == {name: end[0] for name, end in ends(home).items()}


@pytest.mark.sqlite_alone
@pytest.mark.row("R4", "R5")
def test_what_is_already_overdue_goes_at_the_next_sweep(
    home: Bench, owners: Owners, tmp_path: Path
) -> None:
    """A session last used 31 days ago is unreadable with the move, destroyed with the sweep, and
    worthless in the keyring's backup after the rotation.
    """
    owners.choose(home, LONG)
    home.clock.advance(timedelta(hours=1))
    overdue = keep(home, "overdue", LONG)
    keep(home, "bobs", LONG, "bob")
    subject = subject_of(overdue)
    truncate_log(home.keys)
    shutil.copy(home.path / "keyring" / "keyring.db", tmp_path / "backup.db")
    home.clock.advance(timedelta(days=31))
    owners.choose(home, SHORT)
    home.vault.moving.run(home.clock())
    assert overdue not in ends(home)
    assert 1 == home.vault.sweep(home.clock()).sessions
    with pytest.raises(IntegrityError):
        home.keyring.get(subject)
    home.vault.rotate(home.clock())
    engine = open_sqlite(tmp_path / "backup.db")
    old = Keyring.open(engine, FileRoot(home.path / "keyring" / "root.json"), home.clock)
    with pytest.raises(BaileeError):
        old.get(subject)
    engine.dispose()


@pytest.mark.row("R4")
def test_an_exchange_under_way_does_not_undo_a_refusal(home: Bench, owners: Owners) -> None:
    """A request from before the refusal, whose answer ends after it, brings no long period back."""
    owners.choose(home, LONG)
    home.clock.advance(timedelta(hours=1))
    session = keep(home, "s", LONG)
    under_way = home.exchange([turn("s"), turn("more")], session="s", period="P5Y")
    fresh = home.exchange([turn("fresh")], session="fresh", period="P5Y")
    owners.choose(home, SHORT)
    home.vault.moving.run(home.clock())
    home.keep(under_way, fresh)
    assert {"P30D"} == {period for period, _, _ in ends(home).values()}
    late = home.exchange([turn("s"), turn("late")], session="s", period="P5Y")
    owners.choose(home, LONG)
    home.keep(late)
    assert "P30D" == ends(home)[session][0]


@pytest.mark.row("R4")
def test_a_move_that_breaks_off_goes_on(
    make: Callable[..., Bench], owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after keys moved and before the index did, at every portion: the next start moves
    the rest, each session once.
    """
    home = make(present=owners)
    owners.choose(home, LONG)
    home.vault.moving.run(home.clock())
    home.clock.advance(timedelta(hours=1))
    names = {keep(home, f"s{n}", LONG) for n in range(7)}
    owners.choose(home, SHORT)
    for _ in range(4):
        home.vault.moving._portion = 2
        with monkeypatch.context() as patch:
            patch.setattr(home.vault.moving, "_put", _fail)
            with pytest.raises(StorageError):
                home.vault.moving.run(home.clock())
        portions = iter([False, True])
        home.vault.moving.run(home.clock(), stop=lambda portions=portions: next(portions))
        home.reopen()
    home.vault.sweep(home.clock())
    now = ends(home)
    assert names == set(now)
    assert {"P30D"} == {period for period, _, _ in now.values()}
    _, move = home.vault.moving.all()
    assert (7, 7, 7) == (move.total, move.seen, move.moved)
    assert None is not move.finished_at


def _fail(*_arguments: object) -> None:
    raise StorageError("no")


@pytest.mark.row("R4")
def test_what_is_erased_or_over_is_not_moved(
    home: Bench, owners: Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move never makes readable again what was refused: an erasure that was broken off, or a
    session past its time.
    """
    owners.choose(home, SHORT)
    home.clock.advance(timedelta(hours=1))
    over = keep(home, "over", SHORT)
    home.clock.advance(timedelta(days=30))
    erased = keep(home, "erased", SHORT)
    early = home.clock()
    home.clock.advance(timedelta(seconds=5))
    with monkeypatch.context() as patch:
        patch.setattr(home.keyring, "destroy", _fail)
        with pytest.raises(StorageError):
            home.vault._erasing.erase(erased, home.clock(), None)
    owners.present["ada"] = Present(LONG, 0, 2)
    home.vault.moving.request("ada", home.clock(), home.clock())
    assert 0 == home.vault.moving.run(early)
    assert {} == ends(home)
    assert {over, erased} == _in_the_index(home)


def _in_the_index(bench: Bench) -> set[str]:
    with bench.engine.connect() as connection:
        return set(connection.execute(select(sessions.c.id)).scalars())


def test_a_choice_is_queued_once(home: Bench, owners: Owners) -> None:
    """Asking twice for the same choice is one move; who was asked for is known."""
    owners.choose(home, SHORT)
    at = home.clock()
    home.vault.moving.request("ada", at, home.clock())
    assert 1 == len(home.vault.moving.all())
    assert {"ada": (at, 0)} == home.vault.moving.applied()


@pytest.mark.sqlite_alone
@pytest.mark.row("R4")
def test_many_sessions(home: Bench, owners: Owners) -> None:
    """Thousands of sessions move in portions, and what is sealed meanwhile is not in the way."""
    owners.choose(home, LONG)
    home.clock.advance(timedelta(hours=1))
    one = keep(home, "one", LONG)
    with home.engine.begin() as connection:
        names = [column.name for column in sessions.columns if column.name not in ("id", "number")]
        connection.exec_driver_sql(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4999) "
            f"INSERT INTO sessions (id, {', '.join(names)}) "
            f"SELECT 's' || n, {', '.join(names)} FROM c, sessions WHERE id = '{one}'"
        )
    dek = home.keyring.get(subject_of(one))
    until = ends_at(dek.epoch)
    home.keyring.many(Want(f"session:s{n}", "transcript", until) for n in range(1, 5000))
    owners.choose(home, SHORT)
    assert [None] == home.submit(home.exchange([turn("meanwhile")], session="m", period="P30D"))
    assert 5000 == home.vault.moving.run(home.clock())
    home.vault.flush()
    (row,) = {(row.period, row.clause) for row in home.vault.sessions(home.clock())} - {
        ("P30D", "retain.test")
    }
    assert ("P30D", "refused") == row
    with sqlite3.connect(home.path / "keyring" / "keyring.db") as keys:
        left = keys.execute("SELECT count(*) FROM deks WHERE kek_id = ?", (dek.kek_id,))
        assert (0,) == left.fetchone()
        assert (1,) == keys.execute("SELECT dirty FROM keks WHERE id = ?", (dek.kek_id,)).fetchone()
