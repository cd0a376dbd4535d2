"""What the keyring says of its keys beside their wraps: one bit of it is flipped, and it costs
nothing. It is found, named, and put right by the next sweep or rotation.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from bailee.db.migrate import upgrade
from bailee.errors import IntegrityError
from bailee.keyring import FileRoot, Keyring, Want
from bailee.testing import FakeClock
from bailee.testing.tampering import tamper
from support.homes.databases import opened

HOUR = 3600.0
EARLY = "substr(rotated_at, 1, 3) || '4' || substr(rotated_at, 5)"  # 2024
LATE = "'2426' || substr(rotated_at, 5)"


class Ring:
    """A keyring in a folder: a key was destroyed, one was moved to an earlier and one to a later
    epoch, and the root was rotated once before that.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.engines: list[Engine] = []
        ring = self.open()
        for subject in "abcd":
            ring.dek(subject, "transcript", self.after(30))
        ring.dek("report", "feedback", self.after(30))
        ring.destroy(["d"])
        ring.rotate_root()
        self.clock.advance(timedelta(minutes=10))
        ring.move([Want("b", "transcript", self.after(40))])
        ring.dek("e", "transcript", self.after(40))
        ring.destroy_due(self.clock())

    @property
    def file(self) -> Path:
        """The store's file."""
        return self.folder / "keyring.db"

    def after(self, days: int) -> datetime:
        """So many days from the beginning."""
        return datetime(self.clock().year, self.clock().month, self.clock().day, tzinfo=UTC) + (
            timedelta(days=days)
        )

    def open(self) -> Keyring:
        """As a process that starts sees it."""
        engine = opened(self.file)
        upgrade(engine, "keys")
        self.engines.append(engine)
        return Keyring.open(engine, FileRoot(self.folder / "root.json"), self.clock)

    def close(self) -> None:
        """Nobody has it open, and its log is folded into it."""
        for engine in self.engines:
            engine.dispose()
        self.engines.clear()

    def tampered(self, statement: str) -> Keyring:
        """Something is changed, and it is opened again."""
        self.close()
        assert 0 < tamper(self.file, statement)
        return self.open()

    def copied(self, name: str) -> Path:
        """A copy of the file, as it is now."""
        self.close()
        return Path(shutil.copy(self.file, self.folder / name))

    def opens(self, ring: Keyring) -> set[str]:
        """Whose keys open."""
        found = ring.some([*"abcde", "report"])
        return {one for one, key in found.items() if not isinstance(key, IntegrityError)}

    def opens_in(self, copy: Path) -> set[str]:
        """Whose keys open in an older copy, under the root that there is now."""
        self.close()
        shutil.copy(copy, self.file)
        return self.opens(self.open())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ring]:
    """A new one."""
    made = Ring(tmp_path)
    yield made
    made.close()


def named(ring: Keyring) -> set[str]:
    """What `verify` names, by kind."""
    return {one.where.partition(" ")[0] for one in ring.verify()}


WHOLE = {"a", "b", "c", "e", "report"}


@pytest.mark.row("R5", "R6")
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("keks", "current = 1 - current"),
        ("keks", "dirty = 1 - dirty"),
        ("keks", "epoch = epoch + 65536"),
        ("keks", "epoch = epoch - 65536"),
        ("keks", "generation = generation + 64"),
        ("former_keks", "kek_id = 'x' || substr(kek_id, 2)"),
        ("former_keks", "subject = 'x' || subject"),
        ("rotation", f"rotated_at = {EARLY}"),
        ("rotation", f"rotated_at = {LATE}"),
        ("rotation", "rotated_at = CAST(X'3230FF' AS TEXT)"),
        ("rotation", "began_at = NULL"),
        ("rotation", "destroyed_since = 1 - destroyed_since"),
        ("root_place", "driver = 'x' || driver"),
        ("root_place", "oldest = oldest + 4"),
        ("root_place", "base = 8"),
        ("root_place", "moving_to = 'aws'"),
        ("ended_roots", "gone_at = '2426' || substr(gone_at, 5)"),
        ("ended_roots", "began_at = '2426' || substr(began_at, 5)"),
    ],
)
def test_one_row_that_was_changed_costs_nothing(store: Ring, table: str, change: str) -> None:
    """Every row of a table, or of two that say the same the one: `verify` names it, the next sweep
    puts it right, all that lives opens, and what was destroyed opens in no older copy once the root
    was rotated.
    """
    store.open().destroy(["c"])
    before = store.copied("before.db")
    which = " WHERE id = 1" if table in ("rotation", "root_place") else ""
    ring = store.tampered(f"UPDATE {table} SET {change}{which}")

    assert {"KEK" if table == "keks" else table} == named(ring)
    ring.mend()
    ring.dek("new", "transcript", store.after(40))
    ring.rotate_root()

    assert WHOLE - {"c"} == store.opens(ring)
    assert "transcript" == ring.get("new").data_class
    assert ([], []) == (list(ring.verify()), list(ring.found()))
    assert () == ring.rotate_root().damaged
    store.clock.now += timedelta(days=31)
    ring.destroy_due(store.clock())
    assert {"b", "e"} == store.opens(ring)
    store.clock.now += timedelta(days=10)
    ring.destroy_due(store.clock())
    assert set() == store.opens(ring)
    assert set() == store.opens_in(before)


@pytest.mark.row("R5")
@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("year", [EARLY, LATE])
def test_the_lag_is_told_by_the_row_that_is_what_was_written(
    store: Ring, row: int, year: str
) -> None:
    """When the root was rotated is something else in one of two rows: when the next rotation is
    due, and from when on all is unrecoverable, is as it was.
    """
    ring = store.open()
    ring.destroy(["a"])
    now = store.clock()
    before = ring.rotation_due(now, HOUR), ring.unrecoverable_at(now, HOUR)
    ring = store.tampered(f"UPDATE rotation SET rotated_at = {year} WHERE id = {row}")
    assert before == (ring.rotation_due(now, HOUR), ring.unrecoverable_at(now, HOUR))
    assert f"rotation {row}" in {one.where for one in ring.found()}
    assert ["rotation"] == ring.mend()
    assert [] == list(ring.verify())
    assert before == (ring.rotation_due(now, HOUR), ring.unrecoverable_at(now, HOUR))


@pytest.mark.row("R5")
def test_where_neither_row_is_what_was_written_the_root_is_rotated(store: Ring) -> None:
    """At once, whatever they say."""
    ring = store.tampered(f"UPDATE rotation SET destroyed_since = 0, rotated_at = {LATE}")
    assert ring.rotation_due(store.clock(), HOUR)
    ring.rotate_root()
    assert not ring.rotation_due(store.clock(), HOUR)
    assert WHOLE == store.opens(ring)


@pytest.mark.row("R5")
@pytest.mark.parametrize("marked", [False, True])
def test_a_key_is_replaced_whatever_the_mark_says(store: Ring, marked: bool) -> None:
    """A key under it was destroyed, and the mark of that is gone; or the note of under which KEK
    that key was before. An older copy opens nothing of it once the root was rotated, since the KEK
    was replaced.
    """
    keks = set(store.open().kek_ids())
    if marked:
        store.open().destroy(["c"])
        ring = store.tampered("UPDATE keks SET dirty = 0 WHERE dirty")
    else:
        ring = store.tampered("UPDATE former_keks SET kek_id = 'x'")
        ring.destroy(["b"])
    ring.rotate_root()
    left = keks & set(ring.kek_ids())
    query = text("SELECT DISTINCT kek_id FROM deks WHERE subject IN ('a', 'c')")
    with ring.engine.connect() as connection:
        assert left.isdisjoint(connection.execute(query).scalars())
    assert {"a", "e", "report"} <= store.opens(ring)


@pytest.mark.row("R1")
def test_nothing_new_goes_under_a_key_by_the_word_of_a_damaged_row(store: Ring) -> None:
    """A KEK that was to take nothing more says that it does."""
    ring = store.tampered("UPDATE keks SET epoch = epoch + 65536 WHERE data_class = 'transcript'")
    old = set(ring.kek_ids())
    ring.mend()
    ring = store.tampered("UPDATE keks SET current = 1")
    made = ring.dek("new", "transcript", store.after(40))
    assert made.kek_id not in old
    assert WHOLE == store.opens(ring)


@pytest.mark.row("R5", "R6")
def test_a_bit_on_the_disk_keeps_no_sweep_from_its_work(store: Ring) -> None:
    """An index says then what the row had before: no key goes early, each at its time."""
    (kek,) = {store.open().get(one).kek_id for one in ("a", "c")}
    store.close()
    content = bytearray(store.file.read_bytes())
    at = content.find(f"{kek}transcript".encode())
    content[at + len(f"{kek}transcript")] ^= 1  # of its epoch
    store.file.write_bytes(content)
    ring = store.open()
    assert "KEK" in named(ring)
    assert [f"KEK {kek}"] == ring.mend()
    assert WHOLE == store.opens(ring)
    assert [] == list(ring.verify())
    store.clock.now += timedelta(days=31)
    ring.destroy_due(store.clock())
    assert {"b", "e"} == store.opens(ring)
