"""Ids of sessions that are gone: had once, and known for a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from bailee.db.training import training_exports, training_sessions
from bailee.ledger import Ledger
from bailee.testing.sealing import SealingInMemory
from bailee.vault import departing
from bailee.vault.departing import LASTS, depart, forget_departed

Bench = Any

pytestmark = [pytest.mark.row("R5"), pytest.mark.both_databases]

ADA = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
BOB = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"
EVE = "33333333-32a5-4d0c-8f0b-0d7c3d1c1a11"


def say(bench: Bench, session: str, owner: str = "ada") -> str:
    """Keep something of a client that calls its session so; which session it is then."""
    bench.clock.advance(timedelta(seconds=1))
    said = [{"role": "user", "content": f"{session} at {bench.clock()}"}]
    bench.keep(bench.exchange(said, session=session, owner=owner))
    return max(bench.vault.sessions(bench.clock(), owner), key=lambda row: row.started).id


def gone(bench: Bench, after: timedelta = timedelta(days=31)) -> None:
    """Let time pass until it is gone, and look at what is due."""
    bench.clock.advance(after)
    bench.vault.sweep(bench.clock())


def known(bench: Bench) -> int:
    """Of how many it is known."""
    with bench.engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM departed_sessions")).scalar_one()


def test_an_id_is_had_once_for_as_long_as_it_is_known(bench: Bench) -> None:
    """Also by another owner; then nothing names the old one any more, and it is free."""
    assert ADA == say(bench, ADA)
    gone(bench)
    assert (1, BOB) == (known(bench), say(bench, BOB))
    for owner in ("ada", "bob"):
        assert ADA != say(bench, ADA, owner)
    gone(bench, LASTS - timedelta(days=1))
    assert ADA != say(bench, ADA, "eve")

    gone(bench, timedelta(days=32))
    assert ADA == say(bench, ADA)


def test_what_is_on_record_is_known_for_ever(bench: Bench) -> None:
    """A session that the audit record names, or a training export; another for a time."""
    ledger = Ledger(bench.engine, bench.clock, SealingInMemory())
    for session in (ADA, BOB, EVE):
        assert session == say(bench, session)
    ledger.append("session.released", ADA, {"by": "operator"})
    with bench.engine.begin() as connection:
        export = {"id": "e", "place": "p", "format": "f", "state": "signed", "by": "operator"}
        more = {"began_at": bench.clock(), "policy": "d", "shards": 1, "entry": 1}
        connection.execute(insert(training_exports).values({**export, **more}))
        row = {"export": "e", "session": BOB, "owner": "ada", "shard": 0, "rows": 1}
        more = {"clause": "c", "consent": "", "word": 0}
        connection.execute(insert(training_sessions).values({**row, **more}))
    gone(bench)
    assert 3 == known(bench)
    gone(bench, LASTS * 3)
    assert 2 == known(bench)
    assert [False, False, True] == [one == say(bench, one) for one in (ADA, BOB, EVE)]


def test_many_go_in_portions_and_on_their_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None earlier, and none later than the day after; a second time changes nothing."""
    monkeypatch.setattr(departing, "PORTION", 3)
    now = bench.clock()
    names = [f"s{number}" for number in range(10)]
    for _ in range(2):
        with bench.engine.begin() as connection:
            depart(connection, b"k" * 32, names, now)

    assert 0 == forget_departed(bench.engine, now + LASTS)
    assert 10 == known(bench)
    assert 10 == forget_departed(bench.engine, now + LASTS + timedelta(days=1))
    assert (0, 0) == (known(bench), forget_departed(bench.engine, now + LASTS * 2))
