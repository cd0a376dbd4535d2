"""Forgetting on PostgreSQL, which overwrites nothing: what was destroyed is looked for in all files
of its server, heap and write-ahead log, by somebody who has the root as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bailee.db.keys import deks, keks
from bailee.errors import IntegrityError
from bailee.keeping.receipts import INACCESSIBLE, RECLAIMED
from bailee.keyring import FileRoot
from bailee.keyring.store import Kek
from bailee.keyring.wrapping import cipher, kek_data
from bailee.vault.record import subject_of
from support.homes import databases
from support.servers import postgres

Bench = Any
ONE, TWO = "6a1f0e6e-1111-4222-8333-444455556666", "6a1f0e6e-1111-4222-8333-444455557777"


def turn(text: str) -> dict[str, Any]:
    """A turn of a person's."""
    return {"role": "user", "content": text}


class Thief:
    """Somebody who copies the server's files again and again, and the root, and tries every wrap
    that ever lay there on what they have.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._server = postgres.shared()
        self._keks: dict[bytes, tuple[str, str, int, int]] = {}
        self._deks: dict[bytes, tuple[str, str, int]] = {}

    def note(self) -> None:
        """Learn which wraps are there now, and what each is of."""
        with self._bench.keys.begin() as connection:
            for row in connection.execute(select(keks)):
                self._keks[row.wrapped] = (row.id, row.data_class, row.epoch, row.generation)
            for row in connection.execute(select(deks)):
                self._deks[row.wrapped] = (row.subject, row.kek_id, row.version)

    def copy(self) -> bytes:
        """Every byte that the server has on its disk."""
        self._server.do("CHECKPOINT")
        return b"".join(_files(self._server.files))

    def lie_there(self, subject: str) -> int:
        """How many wraps of a subject's key the copy has."""
        copy = self.copy()
        return sum(wrap in copy for wrap, (whose, _, _) in self._deks.items() if whose == subject)

    def opens(self, subject: str) -> set[bytes]:
        """The keys of a subject that are to be had from the copy and the present root."""
        copy = self.copy()
        root = FileRoot(self._bench.path / "keyring" / "root.json")
        found = set()
        for wrap, (kek_id, data_class, epoch, generation) in self._keks.items():
            if wrap not in copy:
                continue
            try:
                key = root.unwrap(generation, wrap, kek_data(kek_id, data_class, epoch, generation))
            except IntegrityError:
                continue
            kek = Kek(kek_id, key, cipher(key))
            for under, (whose, of, version) in self._deks.items():
                if (whose, of) == (subject, kek_id) and under in copy:
                    found.add(
                        self._bench.keyring._store.unwrap(whose, data_class, version, under, kek)
                    )
        return found


def _files(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.read_bytes()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    """A vault whose databases are on PostgreSQL."""
    databases.use("postgresql")
    return make()


@pytest.mark.row("R5", "O6")
def test_a_deleted_session_is_destroyed_with_the_root(bench: Bench) -> None:
    """Until then its key can be had from the server's files, and the receipt does not say that it
    is destroyed. From the rotation on the wraps still lie there and nothing opens them; and what
    is kept is kept.
    """
    thief = Thief(bench)
    bench.keep(bench.exchange([turn("a")], session=ONE), bench.exchange([turn("b")], session=TWO))
    thief.note()
    key = bench.keyring.get(subject_of(ONE)).key
    receipt = bench.vault.delete(ONE, bench.clock())
    bench.vault.sweep(bench.clock())
    assert {key} == thief.opens(subject_of(ONE))
    assert (INACCESSIBLE, None) == (receipt.state, receipt.key_destroyed_at)
    with pytest.raises(IntegrityError):
        bench.keyring.get(subject_of(ONE))

    bench.clock.advance(timedelta(minutes=15))
    assert bench.vault.sweep(bench.clock()).rotated
    thief.note()
    assert thief.lie_there(subject_of(ONE)) > 0
    assert set() == thief.opens(subject_of(ONE))
    assert 1 == len(thief.opens(subject_of(TWO)))
    (now,) = bench.vault.receipts.all(ONE)
    moment = bench.clock()
    assert (moment, moment) == (now.key_destroyed_at, now.backups_unrecoverable_at)
    assert [turn("b")] == bench.vault.show(TWO).main


@pytest.mark.row("R1", "R5", "O6")
def test_what_is_past_its_time_is_gone_within_the_hour(bench: Bench) -> None:
    """By sweeps five minutes apart; the key of a whole epoch as that of one session. Afterwards no
    rotation is due, and none comes.
    """
    thief = Thief(bench)
    bench.keep(bench.exchange([turn("a")], session=ONE))
    thief.note()
    bench.vault.rotate(bench.clock() + timedelta(days=30))
    thief.note()
    key = bench.keyring.get(subject_of(ONE)).key
    assert {key} == thief.opens(subject_of(ONE))
    bench.clock.advance(timedelta(days=30))
    for _ in range(12):
        bench.clock.advance(timedelta(minutes=5))
        bench.vault.sweep(bench.clock())
        thief.note()
    assert thief.lie_there(subject_of(ONE)) > 0
    assert set() == thief.opens(subject_of(ONE))
    (receipt,) = bench.vault.receipts.all()
    assert ("expiry", RECLAIMED) == (receipt.kind, receipt.state)
    generation = bench.keyring.generation()
    bench.clock.advance(timedelta(days=2))
    assert not bench.vault.sweep(bench.clock()).rotated
    assert generation == bench.keyring.generation()


@pytest.mark.row("R5", "R6", "O6")
def test_what_is_begun_is_gone_on_with_and_noted_once(bench: Bench) -> None:
    """A process that ends between the two halves, and sweeps beside one another, neither destroy
    again nor ask for another rotation.
    """
    bench.keep(bench.exchange([turn("a")], session=ONE))
    bench.vault.delete(ONE, bench.clock())
    bench.reopen()
    for _ in range(3):
        bench.vault.sweep(bench.clock())
    bench.clock.advance(timedelta(minutes=15))
    assert bench.vault.sweep(bench.clock()).rotated
    bench.clock.advance(timedelta(minutes=15))
    assert not bench.vault.sweep(bench.clock()).rotated
    kinds = [kind for kind, subject, _ in bench.leaves if subject == ONE]
    assert [
        f"erasure.{state}"
        for state in (
            *("requested", "inaccessible", "key_destroyed"),
            *("backups_unrecoverable", "reclaimed"),
        )
    ] == kinds


@pytest.mark.row("R5", "O6")
def test_a_rotation_that_was_under_way_destroys_nothing_since(bench: Bench) -> None:
    """What was let go of after a rotation began waits for the next one."""
    from bailee.keyring import rotation

    bench.keep(bench.exchange([turn("a")], session=ONE))
    rotation._begin(bench.keyring._store)
    bench.vault.delete(ONE, bench.clock())
    bench.vault.rotate(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert (INACCESSIBLE, None) == (receipt.state, receipt.key_destroyed_at)
    bench.vault.rotate(bench.clock())
    (receipt,) = bench.vault.receipts.all(ONE)
    assert receipt.key_destroyed_at is not None
