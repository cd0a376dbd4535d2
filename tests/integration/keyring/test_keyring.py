"""The keyring on its real store: keys live, move, and are destroyed for good."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bailee.db.migrate import upgrade
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.keyring import Dek, EnvironmentRoot, FileRoot, Keyring, Root, Want, rotation
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.destroying import NOTED
from bailee.testing import FakeClock
from bailee.testing.tampering import tamper
from support.homes.databases import opened

pytestmark = pytest.mark.both_databases

DAYS_30 = timedelta(days=30)


class Store:
    """A keyring in a folder, opened again and again."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock
        self._engines: list[Engine] = []

    def open(self, root: Root | None = None) -> Keyring:
        """The keyring as a process that starts sees it."""
        engine = opened(self.folder / "keyring.db")
        upgrade(engine, "keys")
        self._engines.append(engine)
        return Keyring.open(engine, root or self.root(), self.clock)

    def root(self) -> FileRoot:
        """The root beside it."""
        return FileRoot(self.folder / "root.json")

    def close(self) -> None:
        """Close what was opened."""
        for engine in self._engines:
            engine.dispose()

    def copy(self, to: Path) -> Store:
        """A backup of the store, without the root."""
        for engine in self._engines:
            truncate_log(engine)
        to.mkdir()
        shutil.copy(self.folder / "keyring.db", to)
        return Store(to, self.clock)

    def content(self) -> bytes:
        """Every byte of the store."""
        return b"".join(p.read_bytes() for p in self.folder.iterdir() if "keyring" in p.name)

    def wraps(self, table: str) -> dict[str, bytes]:
        """The wraps that a table holds."""
        connection = sqlite3.connect(self.folder / "keyring.db")
        try:
            name = "subject" if table == "deks" else "id"
            return dict(connection.execute(f"SELECT {name}, wrapped FROM {table}").fetchall())
        finally:
            connection.close()


@pytest.fixture
def clock() -> FakeClock:
    """The test's time."""
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """A new store."""
    made = Store(tmp_path / "keyring", clock)
    yield made
    made.close()


def opens(ring: Keyring, dek: Dek) -> bool:
    """Whether the keyring still gives this key."""
    try:
        return ring.get(dek.subject).key == dek.key
    except IntegrityError:
        return False


def soon(clock: FakeClock, minutes: float = 0) -> datetime:
    """An expiry in 30 days and some minutes."""
    return clock() + DAYS_30 + timedelta(minutes=minutes)


def test_a_key_stays_the_same(store: Store, clock: FakeClock) -> None:
    """A subject's key is the same when asked for again, by this process and the next."""
    ring = store.open()
    dek = ring.dek("s", "transcript", soon(clock))
    assert dek == ring.dek("s", "transcript", soon(clock)) == ring.get("s") == store.open().get("s")
    assert 32 == len(dek.key)
    assert dek.key.hex() not in repr(dek)
    assert dek.key != ring.dek("t", "transcript", soon(clock)).key


def test_keys_are_never_in_the_clear(store: Store, clock: FakeClock) -> None:
    """Neither a DEK nor a named secret is anywhere in the store."""
    ring = store.open()
    keys = [ring.dek(str(n), "transcript", soon(clock)).key for n in range(50)]
    keys.append(ring.secret("digests"))
    content = store.content()
    assert [] == [key for key in keys if key in content]


def test_moving_is_a_rewrap(store: Store, clock: FakeClock) -> None:
    """A later expiry moves the same key under another KEK; within an epoch nothing is written."""
    ring = store.open()
    dek = ring.dek("s", "transcript", soon(clock))
    near = ring.dek("s", "transcript", soon(clock) - timedelta(minutes=3))
    moved = ring.dek("s", "transcript", soon(clock, 40))
    assert dek == near
    assert (dek.key, 2) == (moved.key, moved.version)
    assert dek.kek_id != moved.kek_id
    assert moved == store.open().get("s")


def test_batches(store: Store, clock: FakeClock) -> None:
    """Many keys at once are the keys that one by one would be."""
    ring = store.open()
    one = ring.dek("1", "transcript", soon(clock))
    many = ring.many(Want(str(n), "transcript", soon(clock)) for n in range(3))
    assert {"0", "1", "2"} == set(many)
    assert one == many["1"]


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_expiry_destroys_one_key(store: Store, clock: FakeClock) -> None:
    """When an epoch has ended, one KEK goes and every key under it is gone; others stay."""
    ring = store.open()
    gone = [ring.dek(str(n), "transcript", soon(clock)) for n in range(200)]
    stays = ring.dek("stays", "transcript", soon(clock, 31))
    wraps = store.wraps("keks")
    clock.advance(DAYS_30)
    assert 1 == len(ring.destroy_due(clock()))
    assert not any(opens(ring, dek) or opens(store.open(), dek) for dek in gone)
    assert opens(ring, stays)
    assert wraps[gone[0].kek_id] not in store.content()
    assert wraps[stays.kek_id] in store.content()
    with pytest.raises(IntegrityError) as caught:
        ring.dek("0", "transcript", soon(clock))
    assert "key_destroyed" == caught.value.code
    assert 200 == ring.remove_dead() + ring.remove_dead()
    assert {"stays"} == store.wraps("deks").keys()


def test_dead_rows_go_in_portions(store: Store, clock: FakeClock) -> None:
    """Rows of destroyed keys are removed a portion at a time until none is left."""
    ring = store.open()
    ring.many(Want(str(n), "transcript", soon(clock)) for n in range(25))
    clock.advance(DAYS_30)
    ring.destroy_due(clock())
    assert [10, 10, 5, 0] == [ring.remove_dead(10) for _ in range(4)]


def test_notes_of_destroyed_keys_go_in_portions(store: Store, clock: FakeClock) -> None:
    """For 60 days it is known that the keys of a time were destroyed, and not while the row of one
    is there.
    """
    ring = store.open()
    times = [soon(clock) + timedelta(days=day) for day in range(3)]
    for number, time in enumerate(times):
        ring.dek(str(number), "transcript", time)
    clock.advance(DAYS_30 + timedelta(days=3))
    assert 3 == len(ring.destroy_due(clock()))
    clock.advance(NOTED)
    assert 3 == ring.remove_dead()
    assert [True] * 3 == [ring.ended("transcript", time) for time in times]
    clock.advance(timedelta(seconds=1))
    ring.remove_dead(2)
    assert 1 == sum(ring.ended("transcript", time) for time in times)
    ring.remove_dead(2)
    assert not any(ring.ended("transcript", time) for time in times)


def test_an_epoch_used_again_has_a_new_kek(store: Store, clock: FakeClock) -> None:
    """A KEK that was destroyed never comes back under its id."""
    ring = store.open()
    first = ring.dek("a", "transcript", clock())
    ring.destroy_due(clock() + timedelta(hours=1))
    second = ring.dek("b", "transcript", clock())
    assert first.epoch == second.epoch
    assert first.kek_id != second.kek_id


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_destroying_leaves_no_wrap(store: Store, clock: FakeClock) -> None:
    """A destroyed key's wrap is in no file of the store, nor in memory."""
    ring = store.open()
    deks = [ring.dek(str(n), "transcript", soon(clock)) for n in range(10)]
    wraps = store.wraps("deks")
    assert 4 == ring.destroy(["1", "3", "5", "7", "no such"])
    content = store.content()
    assert {"1", "3", "5", "7"} == {name for name, wrap in wraps.items() if wrap not in content}
    assert 6 == sum(opens(ring, dek) for dek in deks) == sum(opens(store.open(), d) for d in deks)


def test_what_is_destroyed_already_makes_no_rotation_due(store: Store, clock: FakeClock) -> None:
    """Nor what never was: nothing is in older copies since. Beside something that is, it does."""
    ring = store.open()
    for name in ("gone", "goes"):
        ring.dek(name, "transcript", soon(clock))
    ring.destroy(["gone"])
    rotated(store, ring)

    assert 0 == ring.destroy(["gone", "no such"])
    assert not ring.rotation_due(clock(), 0)
    assert 1 == ring.destroy(["gone", "goes"])
    assert ring.rotation_due(clock(), 0)


def rotated(store: Store, ring: Keyring) -> None:
    """Rotate, and say that it was due."""
    assert ring.rotation_due(store.clock(), 0)
    ring.rotate_root()
    assert not ring.rotation_due(store.clock(), 0)


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_a_backup_opens_nothing_that_was_destroyed(
    store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    """After a rotation, a backup with the present root opens nothing at all; before, it would."""
    ring = store.open()
    gone = ring.dek("gone", "transcript", soon(clock))
    expires = ring.dek("expires", "transcript", clock())
    stays = ring.dek("stays", "transcript", soon(clock))
    secret = ring.secret("digests")
    backup = store.copy(tmp_path / "backup")
    ring.destroy(["gone"])
    ring.destroy_due(clock() + timedelta(hours=1))
    assert opens(backup.open(store.root()), gone), "the lag that is stated"
    rotated(store, ring)
    old = backup.open(store.root())
    assert [False] * 3 == [opens(old, dek) for dek in (gone, expires, stays)]
    with pytest.raises(BaileeError):
        old.secret("digests")
    backup.close()
    for present in (ring, store.open()):
        assert opens(present, stays)
        assert secret == present.secret("digests")


@pytest.mark.sqlite_alone
@pytest.mark.row("R5")
def test_a_backup_from_before_a_move_opens_nothing(
    store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    """Old wraps under KEKs that a key has left, later or earlier, die with the next rotation."""
    ring = store.open()
    ring.dek("neighbour", "transcript", soon(clock))
    dek = ring.dek("s", "transcript", soon(clock))
    first = store.copy(tmp_path / "first")
    ring.dek("s", "transcript", soon(clock, 60))
    rotated_since = store.copy(tmp_path / "second")
    ring.destroy(["s"])
    rotated(store, ring)
    # The worst case: the old wraps, put into the present store beside the present KEKs.
    for backup in (first, rotated_since):
        row = (
            sqlite3.connect(backup.folder / "keyring.db")
            .execute("SELECT subject, kek_id, version, wrapped FROM deks WHERE subject = 's'")
            .fetchone()
        )
        graft = sqlite3.connect(store.folder / "keyring.db")
        graft.execute("INSERT OR REPLACE INTO deks VALUES (?, ?, ?, ?)", row)
        graft.commit()
        graft.close()
        assert not opens(store.open(), dek)


@pytest.mark.sqlite_alone
def test_shortening_makes_a_rotation_due(store: Store, clock: FakeClock) -> None:
    """A key that moves to an earlier epoch leaves no wrap behind under the later KEK."""
    ring = store.open()
    dek = ring.dek("s", "transcript", clock() + timedelta(days=1800))
    assert not ring.rotation_due(clock(), 0)
    ring.dek("s", "transcript", soon(clock))
    rotated(store, ring)
    assert opens(ring, dek)
    assert dek.kek_id not in store.wraps("keks")


def test_rotation_is_finished_after_a_crash(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off at any step, a rotation is finished by the next, and living keys stay."""
    for step in ("_next_dirty", "_move_portion", "_rewrap_keks", "_rewrap_secrets", "truncate_log"):
        ring = store.open()
        ring.secret("digests")
        stays = [ring.dek(f"{step}{n}", "transcript", soon(clock, n * 60)) for n in range(3)]
        ring.dek(f"{step}-gone", "transcript", soon(clock))
        ring.destroy([f"{step}-gone"])
        with monkeypatch.context() as patch:
            patch.setattr(f"bailee.keyring.rotation.{step}", crash)
            with pytest.raises(ZeroDivisionError):
                ring.rotate_root()
        after = store.open()
        assert after.rotation_due(clock(), 1e9)
        after.rotate_root()
        assert 1 == len(store.root().generations())
        assert all(opens(after, dek) and opens(store.open(), dek) for dek in stays)


def crash(*_arguments: object) -> None:
    """Stands for the end of the process."""
    raise ZeroDivisionError


@pytest.mark.sqlite_alone
def test_half_destroyed_is_destroyed(store: Store, clock: FakeClock) -> None:
    """A crash between zeroing and deleting leaves nothing that opens, and no error later."""
    ring = store.open()
    dek = ring.dek("s", "transcript", soon(clock))
    tamper(store.folder / "keyring.db", "UPDATE keks SET wrapped = zeroblob(60)")
    after = store.open()
    assert not opens(after, dek)
    after.destroy_due(clock() + timedelta(days=99))
    after.rotate_root()


@pytest.mark.sqlite_alone
@pytest.mark.parametrize("table", ["keks", "deks"])
def test_tampering_is_found(store: Store, clock: FakeClock, table: str) -> None:
    """A wrap that was changed, or put in another's place, does not open."""
    ring = store.open()
    ring.dek("a", "transcript", soon(clock))
    ring.dek("b", "transcript", soon(clock, 60))
    file = store.folder / "keyring.db"
    connection = sqlite3.connect(file)
    first, second = connection.execute(f"SELECT rowid, wrapped FROM {table}").fetchall()
    connection.close()
    flipped = bytes([second[1][0] ^ 1]) + second[1][1:]
    for wrapped, row in ((second[1], first[0]), (flipped, second[0])):
        tamper(file, f"UPDATE {table} SET wrapped = ? WHERE rowid = ?", (wrapped, row))
    for subject in ("a", "b"):
        with pytest.raises(IntegrityError) as caught:
            store.open().get(subject)
        assert "tampered" == caught.value.code


def test_root_file(tmp_path: Path) -> None:
    """The root's file is private; destroyed generations are zeros in it; a cut line is dropped."""
    path = tmp_path / "root.json"
    root = FileRoot(path)
    assert 0o600 == path.stat().st_mode & 0o777
    key = path.read_text().split('"key": "')[1][:64]
    with path.open("ab") as file:
        file.write(b'{"generation": 2, "dri')
    root = FileRoot(path)
    assert (1,) == root.generations()
    assert 2 == root.add()
    root.destroy(1)
    assert (2,) == root.generations() == FileRoot(path).generations()
    assert key not in path.read_text()
    path.chmod(0o640)
    with pytest.raises(InputError):
        FileRoot(path)


@pytest.mark.row("R5", "D4")
def test_a_root_file_that_was_passed_on_is_whole(tmp_path: Path) -> None:
    """Without its last line's end, with blank lines, with a carriage return: the same keys, and the
    next generation beside them. Reading changes no byte.
    """
    path = tmp_path / "root.json"
    sealed = FileRoot(path).wrap(1, bytes(32), b"data")
    line = path.read_bytes().rstrip(b"\n")
    for content in (line, line + b"\r\n", line + b"\n\n", b"\n" + line, b"\xef\xbb\xbf" + line):
        path.write_bytes(content)
        root = FileRoot(path, may_make=False)
        assert bytes(32) == root.unwrap(1, sealed, b"data")
        assert content == path.read_bytes()
        assert 2 == root.add()
        assert bytes(32) == FileRoot(path).unwrap(1, sealed, b"data")
        root.destroy(1)
        assert (2,) == FileRoot(path).generations()


@pytest.mark.row("R5", "D4")
def test_no_root_is_made_over_what_is_left_of_one(tmp_path: Path) -> None:
    """Cut at any byte, or gone: the keys are there, or it is refused, and no byte changes."""
    path = tmp_path / "root.json"
    sealed = FileRoot(path).wrap(1, bytes(32), b"data")
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if length == len(content) - 1:
            assert bytes(32) == FileRoot(path, may_make=False).unwrap(1, sealed, b"data")
        else:
            with pytest.raises(IntegrityError):
                FileRoot(path, may_make=False)
        assert content[:length] == path.read_bytes()
    path.unlink()
    with pytest.raises(IntegrityError):
        FileRoot(path, may_make=False)
    assert not path.exists()


def test_what_an_append_would_write_over_is_put_aside(tmp_path: Path) -> None:
    """A line that was cut short is found beside the file once there is another in its place."""
    path = tmp_path / "root.json"
    FileRoot(path)
    with path.open("ab") as file:
        file.write(b'{"generation": 2, "dri')
    FileRoot(path).add()
    (beside,) = tmp_path.glob("root.json.cut-*")
    assert b'{"generation": 2, "dri' == beside.read_bytes()
    assert 0o600 == beside.stat().st_mode & 0o777


def test_root_in_the_environment(store: Store, clock: FakeClock) -> None:
    """With the root in the environment, the disk alone opens nothing, and rotation works."""
    value = base64.b64encode(os.urandom(32)).decode()
    path = store.folder / "root.json"
    ring = store.open(EnvironmentRoot(path, value))
    dek = ring.dek("s", "transcript", soon(clock))
    ring.dek("t", "transcript", soon(clock))
    ring.destroy(["t"])
    rotated(store, ring)
    assert opens(store.open(EnvironmentRoot(path, value)), dek)
    with pytest.raises(IntegrityError):
        EnvironmentRoot(path, base64.b64encode(bytes(32)).decode())
    with pytest.raises(InputError):
        EnvironmentRoot(path, "too short")
    with pytest.raises(InputError):
        FileRoot(path)


@pytest.mark.row("R5")
def test_a_root_that_says_it_lost_a_generation_is_not_believed(
    store: Store, clock: FakeClock
) -> None:
    """In the midst of a rotation the root says that the old generation is gone, which nothing here
    destroyed: refused, no key counts as damaged; and when it is back, all of them open.
    """
    root = store.root()
    ring = store.open(root)
    deks = [ring.dek(str(n), "transcript", soon(clock, n * 60)) for n in range(3)]
    rotation._begin(ring._store)
    deks.append(ring.dek("new", "transcript", soon(clock, 600)))
    del root._keys[1]
    with pytest.raises(IntegrityError) as caught:
        ring.rotate_root()
    assert "home_parts" == caught.value.code
    after = store.open()
    assert (1, 2) == store.root().generations()
    after.rotate_root()
    assert [] == after.damaged()
    assert all(opens(after, dek) for dek in deks)


class EndsThere(FileRoot):
    """One that destroys what it is told to, after which the process ends."""

    def destroy(self, generation: int) -> None:
        """See `Root`."""
        super().destroy(generation)
        raise StorageError("the process ended.")


@pytest.mark.row("R5")
def test_a_rotation_whose_end_was_not_noted_is_due(store: Store) -> None:
    """The old root is gone, and nothing was destroyed since; it is said only once it is on record
    that nothing from before opens.
    """
    ring = store.open(EndsThere(store.folder / "root.json"))
    ring.dek("a", "transcript", store.clock() + DAYS_30)
    ring.destroy(["a"])
    store.clock.advance(timedelta(seconds=1))
    with pytest.raises(StorageError, match="ended"):
        ring.rotate_root()
    again, hour = store.open(), timedelta(hours=1).total_seconds()
    assert (2,) == again.root.generations()
    assert again.rotation_due(store.clock(), hour)
    assert again.unrecoverable_at(store.clock(), hour) is not None
    assert again.ended_root(store.clock()) is None
    again.rotate_root()
    assert not again.rotation_due(store.clock(), hour)
    assert again.unrecoverable_at(store.clock(), hour) is None
    assert again.ended_root(store.clock()) is not None
