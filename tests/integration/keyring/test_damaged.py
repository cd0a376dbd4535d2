"""A damaged key is one damaged key: what is to be done with all keys goes on with the others."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bailee.db.migrate import upgrade
from bailee.errors import IntegrityError
from bailee.keyring import FileRoot, Keyring, Want, check_root
from bailee.testing import FakeClock
from bailee.testing.tampering import tamper
from support.homes.databases import opened


class Store:
    """A keyring in a folder, with keys of two epochs; opened again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.engines: list[Engine] = []
        ring = self.open()
        for subject, days in (("a", 30), ("b", 30), ("c", 60)):
            ring.dek(subject, "transcript", self.clock() + timedelta(days=days))
        ring.secret("digests")

    def open(self) -> Keyring:
        """The keyring as a process that starts sees it."""
        engine = opened(self.folder / "keyring.db")
        upgrade(engine, "keys")
        self.engines.append(engine)
        return Keyring.open(engine, FileRoot(self.folder / "root.json"), self.clock)

    def damage(self, table: str, where: str) -> None:
        """Flip a bit of the wraps that are in a table."""
        with closing(sqlite3.connect(self.folder / "keyring.db")) as connection:
            query = f"SELECT rowid, wrapped FROM {table} WHERE {where}"
            found = connection.execute(query).fetchall()
        for row, wrapped in found:
            changed = bytes([wrapped[0] ^ 1]) + wrapped[1:]
            update = f"UPDATE {table} SET wrapped = ? WHERE rowid = ?"
            tamper(self.folder / "keyring.db", update, (changed, row))

    def write(self, statement: str) -> None:
        """Change something behind everybody's back."""
        tamper(self.folder / "keyring.db", statement)

    def generations(self) -> tuple[int, ...]:
        """The root's living generations."""
        return FileRoot(self.folder / "root.json").generations()

    def opens(self) -> set[str]:
        """Whose keys a process that starts can open."""
        ring = self.open()
        return {subject for subject in "abc" if _opens(ring, subject)}


def _opens(ring: Keyring, subject: str) -> bool:
    try:
        ring.get(subject)
    except IntegrityError:
        return False
    return True


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    made = Store(tmp_path)
    yield made
    for engine in made.engines:
        engine.dispose()


KEK_OF_A = "id = (SELECT kek_id FROM deks WHERE subject = 'a')"


@pytest.mark.row("R5")
@pytest.mark.parametrize("dirty", [False, True])
def test_a_damaged_kek_does_not_keep_the_root_from_rotating(store: Store, dirty: bool) -> None:
    """The others are under the new root, the old one is destroyed, so a copy from before opens
    nothing; the damaged one is named, with what is under it, once as news and for as long as it is
    there.
    """
    if dirty:
        store.open().destroy(["b"])
    before = shutil.copy(store.folder / "keyring.db", store.folder / "before.db")
    store.damage("keks", KEK_OF_A)

    ring = store.open()
    first, second = ring.rotate_root(), ring.rotate_root()

    assert (3,) == store.generations()
    assert {"c"} == store.opens()
    ((kind, name),) = first.damaged
    assert ("kek", ()) == (kind, second.damaged)
    (damaged,) = store.open().damaged()
    assert (name, 1 if dirty else 2, "transcript") == (
        damaged.name, damaged.keys, damaged.data_class,
    )  # fmt: skip
    store.open().secret("digests")
    for engine in store.engines:  # their log is of another file
        engine.dispose()
    shutil.copy(before, store.folder / "keyring.db")
    for left in store.folder.glob("keyring.db-*"):
        left.unlink()
    assert set() == store.opens()


ELSEWHERE = "kek_id = substr(kek_id, 1, 23) || 'x'"
"""As a flipped bit leaves it."""


@pytest.mark.row("R5", "R6")
def test_a_key_under_a_kek_that_nothing_knows_is_damaged_not_destroyed(store: Store) -> None:
    """It is named, moved by nobody, destroyed at a word; what was under a KEK that was destroyed is
    destroyed as ever.
    """
    store.write(f"UPDATE deks SET {ELSEWHERE} WHERE subject = 'a'")
    ring = store.open()

    for subject, code in (("a", "tampered"), ("nobody", "key_destroyed")):
        with pytest.raises(IntegrityError) as error:
            ring.get(subject)
        assert code == error.value.code
    assert ["a", "b"] == ring.living(["a", "b"])
    assert ["key a"] == [one.where for one in ring.verify()]
    later = store.clock() + timedelta(days=5)
    assert ("a",) == ring.move([Want(name, "transcript", later) for name in "ab"]).damaged

    store.clock.now += timedelta(days=61)
    ring.destroy_due(store.clock())
    assert ["a"] == ring.living(["a", "b", "c"])
    assert 1 == ring.destroy(["a"])
    assert ([], []) == (ring.living(["a"]), list(ring.verify()))


@pytest.mark.row("R5")
def test_what_is_damaged_goes_when_its_time_comes(store: Store) -> None:
    """Like every other key; then nothing is said of it any more."""
    store.damage("keks", KEK_OF_A)
    ring = store.open()
    ring.rotate_root()
    store.clock.now += timedelta(days=31)
    ring.destroy_due(store.clock())
    assert [] == ring.damaged()
    assert 2 == ring.remove_dead()


@pytest.mark.row("R5")
def test_a_damaged_dek_goes_along_as_it_is(store: Store) -> None:
    """Those beside it are rewrapped, and the KEK that covered both is destroyed."""
    store.open().destroy(["b"])
    store.damage("deks", "subject = 'a'")
    ring = store.open()
    ring.dek("d", "transcript", store.clock() + timedelta(days=30))

    done = ring.rotate_root()

    assert (("dek", "a"),) == done.damaged
    assert 1 == done.replaced_keks
    assert "transcript" == ring.get("d").data_class
    assert [("dek", "a", 1)] == [(key.kind, key.name, key.keys) for key in ring.damaged()]
    with pytest.raises(IntegrityError, match="does not authenticate"):
        store.open().get("a")


@pytest.mark.row("R5")
def test_a_damaged_secret_is_left_aside_unless_it_is_in_memory(store: Store) -> None:
    """Who still has it wraps it anew, and so mends it."""
    ring = store.open()
    kept = ring.secret("digests")
    store.damage("secrets", "name = 'digests'")
    assert () == ring.rotate_root().damaged
    assert kept == store.open().secret("digests")
    store.damage("secrets", "name = 'digests'")
    assert (("secret", "digests"),) == store.open().rotate_root().damaged


@pytest.mark.row("R1")
def test_what_is_new_goes_under_another_key_than_a_damaged_one(store: Store) -> None:
    """Of the same class and epoch: what is said now is kept."""
    store.damage("keks", KEK_OF_A)
    store.open().dek("d", "transcript", store.clock() + timedelta(days=30))
    assert _opens(store.open(), "d")


@pytest.mark.row("R5", "D4")
def test_a_root_that_opens_nothing_destroys_nothing(store: Store) -> None:
    """It is the root that does not fit then, and not every key that is damaged."""
    store.damage("keks", "true")
    store.damage("secrets", "true")
    ring = store.open()
    with pytest.raises(IntegrityError, match="opens no key") as refused:
        ring.rotate_root()
    assert "home_parts" == refused.value.code
    assert (1,) == store.generations()


@pytest.mark.row("R5")
def test_dirty_keks_are_replaced_together(store: Store) -> None:
    """Of several, one of which does not open: the others are replaced, each one's living keys go
    under another of the same epoch, and what had none is gone.
    """
    ring = store.open()
    epochs = {}
    for n in range(3):
        for name in (f"stays {n}", f"goes {n}"):
            until = store.clock() + timedelta(days=31 + n)
            epochs[f"stays {n}"] = ring.dek(name, "transcript", until).epoch
    ring.dek("alone", "transcript", store.clock() + timedelta(days=40))
    before = {name: ring.get(name).kek_id for name in epochs}
    ring.destroy(["goes 0", "goes 1", "goes 2", "alone"])
    store.damage("keks", f"id = '{before['stays 1']}'")
    ring = store.open()

    done = ring.rotate_root()

    assert (("kek", before["stays 1"]),) == done.damaged
    assert (3, 2) == (done.replaced_keks, done.rewrapped_deks)
    after = {name: ring.get(name) for name in ("stays 0", "stays 2")}
    assert {name: epochs[name] for name in after} == {n: dek.epoch for n, dek in after.items()}
    assert all(before[name] != dek.kek_id for name, dek in after.items())
    assert {before["stays 1"]} == {*before.values()} & set(ring.kek_ids())


@pytest.mark.row("R5")
def test_one_key_that_opens_says_whose_the_keyring_is(store: Store) -> None:
    """Though all others are damaged, the secret among them; where none opens, it is refused."""
    root = FileRoot(store.folder / "root.json")
    store.damage("secrets", "1")
    store.damage("keks", KEK_OF_A)
    check_root(root, store.engines[0], 1)
    store.damage("keks", f"NOT {KEK_OF_A}")
    with pytest.raises(IntegrityError, match="opens no key"):
        check_root(root, store.engines[0], 1)
