"""Segments: files of sealed records, grouped by data class and expiry day.

An open segment is local and appended to; at a size or an age it is closed and shipped to the object
store, and never changes again. The steps, and what a crash between them leaves:

* append, sync, commit rows and length: bytes beyond the committed length, cut off by `recover`;
* put the object, commit `shipped`, remove the local file: an object that is put again, or a local
  file that `recover` removes.

A closed segment gets no more records, whether it could be put or not: where a put that failed may
be carried out later (`Objects.late`), a longer one under the same name could be written over by it.
There no segment that `recover` finds is appended to, since it may have been closed.

Where what is answered outlives the machine (`segment_rows`), an open segment's records are rows of
the database, too, from the commit of their index on until the object is put; `recover` makes the
local file again from them.

A copy that was made while a segment was shipped has the segment on one side and the index of the
other: `recover` takes it from where it is.

An object store may take its time, and nobody waits for it with the vault's lock held: `ship` and
`remove` take the lock where they need it. For everything else but `read` the caller holds it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    String,
    bindparam,
    delete,
    func,
    select,
    type_coerce,
    update,
)

from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.vault import exchanges, receipt_segments, segments
from bailee.errors import StorageError
from bailee.vault.files import Files
from bailee.vault.objects import Objects
from bailee.vault.segment_rows import SegmentRows

_NAMED = select(segments.c.data_class, segments.c.expiry_day).where(
    segments.c.id == bindparam("which")
)  # built once, read often
_MOST_NAMES = 4096
_AS_STORED = tuple(
    type_coerce(column, String).label(column.name) if column is segments.c.opened_at else column
    for column in segments.c
)


@dataclass(slots=True)
class OpenSegment:
    """A local segment. `length` is what is committed; `waiting` comes after it."""

    id: str
    data_class: str
    expiry_day: str
    opened_at: datetime
    descriptor: int
    length: int = 0
    waiting: list[bytes] = field(default_factory=list)
    waiting_bytes: int = 0

    def append(self, sealed: bytes) -> int:
        """Take a record; its offset."""
        offset = self.length + self.waiting_bytes
        self.waiting.append(sealed)
        self.waiting_bytes += len(sealed)
        return offset


class Segments:
    """The segments of one vault: the local ones' files, and their rows.

    The vault, sealer and `Forgetting` call it, from any thread; `lock` is the vault's. It commits
    no rows of others, and never opens a record.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        objects: Objects,
        files: Files,
        *,
        lock: AbstractContextManager[object],
        ship_bytes: int,
        ship_age: timedelta,
        rows: SegmentRows | None = None,
    ) -> None:
        self._engine = engine
        self._rows = rows
        self._folder = folder
        self._objects = objects
        self._files = files
        self._ship_bytes = ship_bytes
        self._ship_age = ship_age
        self._lock = lock
        self._shipping = threading.Lock()  # taken before the vault's lock, never inside it
        self._local: dict[str, OpenSegment] = {}
        self._open: dict[tuple[str, str], OpenSegment] = {}  # those of them that are appended to
        self._being_put = ""
        self._in_doubt = False
        self._names: dict[str, str] = {}  # any thread: where segments lie, which never changes

    def settle(self) -> None:
        """After a transaction that failed, or seemed to: take what the index says. A record that
        was committed after all must not be written over, nor a shipped segment be appended to.

        Raises:
            StorageError: the index can't be read.
        """
        if not self._in_doubt:
            return
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            rows = {row.id: row for row in connection.execute(select(*_AS_STORED))}
        for segment in list(self._local.values()):
            row = rows.get(segment.id)
            segment.length = row.length if row is not None else 0
            segment.waiting, segment.waiting_bytes = [], 0
            if row is not None and row.state != "open":
                self._drop(segment)
        self._in_doubt = False

    def take(self, data_class: str, expiry_day: str, now: datetime) -> OpenSegment:
        """The open segment for a class and day; made if there is none.

        Raises:
            StorageError: its file can't be made.
        """
        key = (data_class, expiry_day)
        if key not in self._open:
            segment_id = str(UUID(bytes=os.urandom(16), version=4))
            with _disk():
                descriptor = self._files.make(self._folder / segment_id, 0)
            made = OpenSegment(segment_id, data_class, expiry_day, now, descriptor)
            self._open[key] = self._local[segment_id] = made
        return self._open[key]

    def write(self) -> None:
        """Write and sync what waits, behind what is committed.

        Raises:
            StorageError: the disk failed; call `doubt`.
        """
        with _disk():
            for segment in self._waiting():
                try:
                    self._files.write(segment.descriptor, b"".join(segment.waiting), segment.length)
                    self._files.sync(segment.descriptor)
                except OSError:  # on a full disk a part of it must not take what room there is
                    os.ftruncate(segment.descriptor, segment.length)
                    raise

    def put_rows(self, connection: Connection) -> None:
        """Put the new lengths into the caller's transaction."""
        for segment in self._waiting():
            length = segment.length + segment.waiting_bytes
            connection.execute(
                upsert(segments)
                .values(
                    id=segment.id,
                    data_class=segment.data_class,
                    expiry_day=segment.expiry_day,
                    opened_at=segment.opened_at,
                    length=length,
                    state="open",
                )
                .on_conflict_do_update(index_elements=["id"], set_={"length": length})
            )
            if self._rows is not None:
                content = b"".join(segment.waiting)
                self._rows.put(connection, segment.id, segment.length, content)

    def committed(self) -> None:
        """The transaction of `put_rows` has been committed."""
        for segment in self._waiting():
            segment.length += segment.waiting_bytes
            segment.waiting, segment.waiting_bytes = [], 0

    def doubt(self) -> None:
        """A transaction failed, or its success was lost: `settle` before going on."""
        self._in_doubt = True

    def read(self, segment_id: str, offset: int, length: int) -> bytes:
        """Bytes of a segment, wherever it is.

        Raises:
            StorageError: they can't be read.
        """
        try:
            descriptor = os.open(self._folder / segment_id, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._objects.get(self._name(segment_id), offset, length)
        except OSError as error:
            raise _failed(error) from error
        try:
            with _disk():
                size = os.fstat(descriptor).st_size  # what a damaged row asks for may be anything
                return os.pread(descriptor, max(0, min(length, size - offset)), offset)
        finally:
            os.close(descriptor)

    def ship(self, now: datetime, *, everything: bool = False) -> int:
        """Close the open segments that are large or old enough, and ship what is closed; how many.
        The lock is not held while one is put.

        Raises:
            StorageError: the object store or the index failed; what was not shipped stays local.
        """
        shipped = 0
        with self._shipping:
            with self._lock:
                self.settle()
                for segment in list(self._open.values()):
                    large = segment.length >= self._ship_bytes
                    if segment.length and (
                        everything or large or now - segment.opened_at >= self._ship_age
                    ):
                        self._close(segment)
                closed = [one for one in self._local.values() if not self._is_open(one)]
            for segment in closed:
                shipped += self._ship(segment)
        return shipped

    def _ship(self, segment: OpenSegment) -> bool:
        """Ship a closed one; whether it is still there to be shipped."""
        with self._lock:
            if segment.id not in self._local:
                return False
            with _disk():
                content = os.pread(segment.descriptor, segment.length, 0)
            self._being_put = segment.id
        try:
            self._objects.put(_name(segment.data_class, segment.expiry_day, segment.id), content)
            with self._lock:
                self._in_doubt = True
                self._set(segment.id, "shipped")
                self._in_doubt = False
                self._drop(segment)
        finally:
            self._being_put = ""
        return True

    def let_go(self, some: Iterable[str]) -> list[str]:
        """Close those of some segments in which no record is left, and their files go; which. They
        can be removed then. One that is being put is left for the next time.

        Raises:
            StorageError: the disk failed; call again.
        """
        gone = [one for one in some if one != self._being_put]
        for segment_id in gone:
            if (segment := self._local.get(segment_id)) is not None:
                self._drop(segment)
            with _disk():
                (self._folder / segment_id).unlink(missing_ok=True)
        return gone

    def remove(self, segment_id: str) -> None:
        """Remove a segment that was let go. The lock is not held while its object is.

        Raises:
            StorageError: the object store or the index failed; call again.
        """
        self._objects.delete(self._name(segment_id))
        with (
            self._lock,
            storage_errors("the vault's index"),
            self._engine.begin() as connection,
        ):
            connection.execute(delete(segments).where(segments.c.id == segment_id))
            if self._rows is not None:
                self._rows.forget(connection, segment_id)
            connection.execute(
                delete(receipt_segments).where(receipt_segments.c.segment_id == segment_id)
            )
        self._names.pop(segment_id, None)

    def recover(self) -> None:
        """Take up the open segments where the index left them; remove what it does not know. One
        that is missing among others is its sessions' loss (`verify` names them). When none is
        there it is the folder that is missing, and nothing is changed.

        Raises:
            StorageError: the disk or the index failed; or all open segments are missing.
        """
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            rows = connection.execute(select(*_AS_STORED)).all()
            used = set(connection.execute(select(exchanges.c.segment_id).distinct()).scalars())
        known = {row.id: row for row in rows if row.state == "open"}
        shipped = {row.id: row for row in rows if row.state != "open"}
        with _disk():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for lasting in known.values():
                self._make_again(lasting)
            self._check_there(known, used)
            for path in self._folder.iterdir():
                row = known.pop(path.name, None)
                if row is None and path.name in used and path.name not in shipped:
                    continue  # its row in the index is damaged
                if row is None and path.name in used and not self._is_kept(shipped[path.name]):
                    row = shipped[path.name]
                    self._set(row.id, "open")
                if row is None:
                    path.unlink()
                    continue
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                there = os.fstat(descriptor)
                length = self._length(row, there.st_size)
                os.ftruncate(descriptor, length)
                key = (row.data_class, row.expiry_day)
                opened = _moment(row.opened_at, there.st_mtime)
                found = OpenSegment(
                    row.id, row.data_class, row.expiry_day, opened, descriptor, length
                )
                self._local[found.id] = found
                if not self._objects.late:
                    self._open.setdefault(key, found)
        for row in list(known.values()):
            if row.id in used and self._is_kept(row):
                self._set(row.id, "shipped")

    def _make_again(self, row: DbRow) -> None:
        """Where an open segment's file is not there, or lacks something, make it from its rows."""
        path = self._folder / row.id
        size = path.stat().st_size if path.exists() else 0
        if self._rows is None or not isinstance(row.length, int) or size >= row.length:
            return
        content = self._rows.content(row.id)
        if len(content) > size:
            path.unlink(missing_ok=True)
            descriptor = self._files.make(path, 0)
            try:
                self._files.write(descriptor, content, 0)
                self._files.sync(descriptor)
            finally:
                os.close(descriptor)

    def outlive(self) -> bool:
        """Whether all that is local is in rows, too: the folder may be lost."""
        with self._lock:
            self.settle()
            local = {one.id: one.length for one in self._local.values()}
            return self._rows is not None and self._rows.have(local)

    def _length(self, row: DbRow, size: int) -> int:
        """Where a segment ends, of which `size` bytes are there: where its row says, but behind
        every record that the index has in it, and with no hole. So a damaged row cuts nothing off.
        """
        end = exchanges.c.offset + exchanges.c.length
        last = select(func.max(end)).where(exchanges.c.segment_id == row.id, end <= size)
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            known = connection.execute(last).scalar() or 0
        said = row.length if isinstance(row.length, int) else 0
        return min(max(said, int(known)), size)

    def _check_there(self, known: Mapping[str, DbRow], used: Collection[str]) -> None:
        """Whether the folder is the one that the index is of. A segment that is not used was being
        removed.
        """
        missing = [
            row
            for row in known.values()
            if row.id in used and not (self._folder / row.id).exists() and not self._is_kept(row)
        ]
        there = any((self._folder / segment_id).exists() for segment_id in known)
        if missing and not there:
            raise StorageError(
                f"{len(missing)} open segments are missing from the vault's folder.",
                hint="put vault/open back, or restore the vault and the data database from the "
                "same backup; if they are lost, make an empty file of each one's name there: "
                + ", ".join(sorted(row.id for row in missing)[:10]),
            )

    def close(self) -> None:
        """Close the local files."""
        for segment in self._local.values():
            os.close(segment.descriptor)
        self._local.clear()
        self._open.clear()

    def _is_kept(self, row: DbRow) -> bool:
        """Whether the object store has a segment: one is put whole."""
        try:
            name = _name(row.data_class, row.expiry_day, row.id)
            return self._objects.size(name) is not None
        except StorageError:
            return False

    def _set(self, segment_id: str, state: str) -> None:
        with storage_errors("the vault's index"), self._engine.begin() as connection:
            connection.execute(
                update(segments).where(segments.c.id == segment_id).values(state=state)
            )
            if self._rows is not None and state == "shipped":
                self._rows.forget(connection, segment_id)

    def _waiting(self) -> list[OpenSegment]:
        return [segment for segment in self._local.values() if segment.waiting]

    def _is_open(self, segment: OpenSegment) -> bool:
        return self._open.get((segment.data_class, segment.expiry_day)) is segment

    def _close(self, segment: OpenSegment) -> None:
        if self._is_open(segment):
            del self._open[segment.data_class, segment.expiry_day]

    def _drop(self, segment: OpenSegment) -> None:
        self._close(segment)
        del self._local[segment.id]
        os.close(segment.descriptor)
        with _disk():
            (self._folder / segment.id).unlink(missing_ok=True)

    def _name(self, segment_id: str) -> str:
        known = self._names.get(segment_id)
        if known is not None:
            return known
        with storage_errors("the vault's index"), reading(self._engine) as connection:
            row = connection.execute(_NAMED, {"which": segment_id}).first()
        if row is None:
            raise StorageError("a segment is not in the index any more.")
        name = _name(row.data_class, row.expiry_day, segment_id)
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[segment_id] = name
        return name


def _name(data_class: str, expiry_day: str, segment_id: str) -> str:
    return f"{data_class}/{expiry_day}/{segment_id}"


def _moment(stored: str, else_at: float) -> datetime:
    """When a segment was opened, or at what time its file was changed, where that can't be read."""
    try:
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    except (ValueError, TypeError):
        return datetime.fromtimestamp(else_at, UTC)


class _disk:
    """Turns an `OSError` into a `StorageError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise _failed(error) from error


def _failed(error: OSError) -> StorageError:
    return StorageError(
        f"a segment can't be read or written ({error.strerror or type(error).__name__}).",
        hint="check the disk's free space and the permissions of the home's vault folder",
    )
