"""The port `SpoolStore`: files of the spool, in a folder and in a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from obstore.store import LocalStore

from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError
from bailee.vault.objects import StoredObjects
from bailee.vault.spool_rows import SpoolRows
from bailee.vault.spool_store import Aside, FolderSpool, SpoolStore, SpoolStores
from support.servers import postgres

pytestmark = pytest.mark.row("R5", "O6")

LARGE = [b"a" * (1 << 18)] * 9


def rows(closing: ExitStack, bucket: Path | None = None) -> SpoolRows:
    """Files in a new database; what is large in a bucket, if there is one."""
    engine = open_postgresql(postgres.shared().new(), "database.url")
    closing.callback(engine.dispose)
    objects = None
    if bucket is not None:
        bucket.mkdir()
        objects = StoredObjects(LocalStore(bucket))
    made = SpoolRows(engine, objects)
    with engine.begin() as connection:
        made.prepare(connection)
    made.take()
    closing.callback(made.close)
    return made


@pytest.fixture(params=["folder", "rows", "rows and a bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SpoolStore]:
    """Each implementation."""
    with ExitStack() as closing:
        if request.param == "folder":
            yield FolderSpool(tmp_path / "spool", tmp_path / "quarantine")
        else:
            yield rows(closing, None if request.param == "rows" else tmp_path / "bucket")


def named(store: SpoolStore, name: str = "1-a") -> str:
    """A name as a file of this store has it."""
    return f"{name}{store.kind}"


def used(content: bytes) -> bytes:
    """Without the zeros of a file that was allocated ahead."""
    return content.rstrip(b"\0")


def test_what_was_appended_is_there(store: SpoolStore) -> None:
    """All of it, in order, and any part of it."""
    name = named(store)
    file = store.make(name, 1 << 16)
    assert b"" == used(store.content(name)) != store.content(name)
    file.append([b"pear", b"quince"], 10, 0)
    file.append([b"sloe"], 4, 10)
    assert b"pearquincesloe" == used(store.content(name))
    assert b"quince" == store.part(name, 4, 6)
    assert b"incesl" == store.part(name, 6, 6)
    assert store.size(name) >= 14
    assert [name] == store.names()
    file.close()


@pytest.mark.parametrize("lane", ["", "-large"])
def test_what_is_large(store: SpoolStore, lane: str) -> None:
    """It is put in several pieces, or into the bucket, and read as one; so is what follows it."""
    name = named(store) + lane
    total = sum(map(len, LARGE))
    file = store.make(name, 1 << 24)
    file.append([b"pear"], 4, 0)
    file.append(LARGE, total, 4)
    file.append([b"sloe"], 4, 4 + total)
    assert b"pear" + b"a" * total + b"sloe" == used(store.content(name))
    assert b"aaasl" == store.part(name, 4 + total - 3, 5)
    assert b"raa" == store.part(name, 3, 3)
    file.close()
    store.note_sealed(name)
    store.remove(name)
    assert not store.holds(name)


def test_what_was_refused_does_not_reappear(store: SpoolStore) -> None:
    """From where a file is given up on there is nothing, once anything else was written."""
    name, next_one = named(store), named(store, "2-b")
    file = store.make(name, 1 << 16)
    file.append([b"pear"], 4, 0)
    file.append([b"quince"], 6, 4)
    file.give_up(4)
    file.close()
    store.make(next_one, 1 << 16).append([b"sloe"], 4, 0)
    assert b"pear" == used(store.content(name))


def test_a_group_that_is_put_again_is_there_once(store: SpoolStore) -> None:
    """As when nobody knows whether it was put."""
    name = named(store)
    file = store.make(name, 1 << 16)
    for _ in range(3):
        file.append([b"pear"], 4, 0)
    assert b"pear" == used(store.content(name))
    file.close()


def test_what_is_sealed_away_is_noted_before_it_goes(store: SpoolStore) -> None:
    """It is among the files no more, and there, until it is removed."""
    name = named(store)
    store.make(name, 1 << 16).close()
    store.note_sealed(name)
    assert ([], [name], True) == (store.names(), store.sealed_away(), store.holds(name))
    store.remove(name)
    assert ([], [], False, 0) == (
        store.names(), store.sealed_away(), store.holds(name), store.size(name),
    )  # fmt: skip


def test_bytes_aside_outlive_their_file(store: SpoolStore) -> None:
    """A part of one, and a whole one."""
    name, whole = named(store), named(store, "2-b")
    for one in (name, whole):
        store.make(one, 64).append([b"pear"], 4, 0)
    store.put_aside(name, 2, b"ar")
    store.remove(name)
    assert store.put_aside_whole(whole) in (4, 64)
    first, second = sorted(store.aside())
    assert (Aside(name, 2, 2), (whole, 0)) == (first, (second.file, second.offset))
    assert f"{name}-2" == first.label
    assert [] == store.names()
    store.forget_aside(first)
    assert [second] == store.aside()


def test_what_is_not_there_is_an_error(store: SpoolStore) -> None:
    """Not nothing: that would be a file that is blank."""
    with pytest.raises(StorageError):
        store.content(named(store))


def test_each_file_is_found_where_it_is(tmp_path: Path) -> None:
    """Of two stores, by its name; all together they are in the order in which they were begun."""
    with ExitStack() as closing:
        folder, there = FolderSpool(tmp_path / "s", tmp_path / "q"), rows(closing)
        both = SpoolStores(folder, there)
        folder.make("2-b", 64).append([b"pear"], 4, 0)
        there.make("1-a-rows", 64).append([b"quince"], 6, 0)
        there.make("3-c-rows-large", 64).append([b"sloe"], 4, 0)
        assert ["1-a-rows", "2-b", "3-c-rows-large"] == both.names()
        assert [b"quince", b"pear", b"sloe"] == [used(both.of(n).content(n)) for n in both.names()]


def test_slots_are_emptied_as_a_whole() -> None:
    """Files are begun in one after the other; with the last of its files a slot has no rows. What
    one file keeps does not keep the rows of other slots.
    """
    with ExitStack() as closing:
        store = rows(closing)
        names = [f"{number}-a-rows" for number in range(40)]
        for name in names:
            store.make(name, 64).append([b"pear"], 4, 0)

        def lie_there() -> list[int]:
            with store._engine.begin() as connection:
                return [
                    connection.exec_driver_sql(f"SELECT count(*) FROM bailee_spool_{n}").scalar()
                    for n in range(6)
                ]

        assert [8, 8, 8, 8, 8, 0] == lie_there()
        for name in names[1:]:
            store.note_sealed(name)
            store.remove(name)
        assert [8, 0, 0, 0, 0, 0] == lie_there()
        assert b"pear" == store.content(names[0])
        store.remove(names[0])
        assert [0] * 6 == lie_there()


def test_the_bucket_is_away(tmp_path: Path) -> None:
    """What is large goes into rows meanwhile. What has no file any more is removed by the next
    process from the bucket.
    """
    with ExitStack() as closing:
        store = rows(closing, tmp_path / "bucket")
        total = sum(map(len, LARGE))
        store.make("1-a-rows-large", 64).append(LARGE, total, 0)
        assert ["1-a-rows-large/0"] == list(store._objects.names())  # type: ignore[union-attr]
        (tmp_path / "bucket").rename(tmp_path / "away")
        (tmp_path / "bucket").touch()
        file = store.make("2-b-rows-large", 64)
        file.append(LARGE, total, 0)
        assert b"a" * total == store.content("2-b-rows-large")
        with pytest.raises(StorageError):
            store.content("1-a-rows-large")
        store.remove("1-a-rows-large")
        (tmp_path / "bucket").unlink()
        (tmp_path / "away").rename(tmp_path / "bucket")
        store.take()
        later = SpoolRows(store._engine, store._objects)
        later.take()
        assert [] == list(later._objects.names())  # type: ignore[union-attr]
        later.close()
