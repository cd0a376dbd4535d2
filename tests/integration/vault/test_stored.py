"""What each account has on disk is counted as it is sealed, deleted, expired and reclaimed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bailee.db.vault import exchanges
from bailee.keeping.keeper import Owner
from bailee.vault.stored import EXCHANGE, PLACE, SESSION, Sum

Bench = Any

ADA = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
BOB = "22222222-32a5-4d0c-8f0b-0d7c3d1c1a11"

pytestmark = pytest.mark.row("G1")


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def ciphertext(bench: Bench, session: str) -> int:
    """Of a session."""
    found: int = bench.vault.row(session, bench.clock()).bytes
    return found


def test_what_is_sealed_is_counted_with_its_rows(bench: Bench) -> None:
    """Ciphertext, one session, two exchanges, and each place that the index has of it."""
    bench.keep(bench.exchange([turn("one")], session=ADA))
    bench.keep(bench.exchange([turn("one"), turn("two")], session=ADA))
    size = ciphertext(bench, ADA)
    with bench.engine.connect() as connection:
        had = connection.execute(select(func.sum(func.length(exchanges.c.places)))).scalar_one()
    assert had > PLACE
    assert Sum(size + SESSION + 2 * EXCHANGE + had, 0) == bench.vault.stored.of("ada")


def test_a_deletion_and_the_segments_end_count_down(bench: Bench) -> None:
    """What lies beside another's in a segment is gone, not nowhere, until the other's goes too."""
    bench.keep(bench.exchange([turn("a")], session=ADA))
    bench.keep(bench.exchange([turn("b")], session=BOB, owner="bob"))
    size, others = ciphertext(bench, ADA), ciphertext(bench, BOB)
    bench.vault.delete(ADA, bench.clock())
    assert Sum(0, size) == bench.vault.stored.of("ada")
    bench.vault.delete(BOB, bench.clock())
    assert (Sum(), Sum()) == (bench.vault.stored.of("ada"), bench.vault.stored.of("bob"))
    assert (0, 0) == (bench.vault.stored.all, bench.vault.stored.accounts)
    assert others > 0


def test_a_start_counts_the_same(bench: Bench) -> None:
    """What is kept, and what is gone and not reclaimed."""
    bench.keep(bench.exchange([turn("a")], session=ADA))
    bench.keep(bench.exchange([turn("b")], session=BOB, owner="bob"))
    bench.keep(bench.exchange([turn("c")], session=None))
    bench.vault.delete(ADA, bench.clock())
    before = bench.vault.stored.of("ada"), bench.vault.stored.of("bob"), bench.vault.stored.all
    bench.reopen()
    stored = bench.vault.stored
    assert before == (stored.of("ada"), stored.of("bob"), stored.all)
    assert before[0].living > 0
    assert before[0].gone > 0


def test_a_sweep_counts_down(bench: Bench) -> None:
    """What has come to its time is counted no more once the sweep has been."""
    bench.keep(bench.exchange([turn("a")], session=ADA, period="P1D"))
    assert bench.vault.stored.of("ada").living > 0
    bench.clock.advance(timedelta(days=2))
    bench.vault.sweep(bench.clock())
    assert Sum() == bench.vault.stored.of("ada")


def test_an_erased_owner_is_counted_nowhere(bench: Bench) -> None:
    """Not even for what lies beside others' in a segment."""
    bench.keep(bench.exchange([turn("a")], session=ADA))
    bench.keep(bench.exchange([turn("b")], session=BOB, owner="bob"))
    bench.vault.erase(Owner("ada", None), bench.clock(), "e1", "operator")
    bench.reopen()
    assert (Sum(), 1) == (bench.vault.stored.of("ada"), bench.vault.stored.accounts)
