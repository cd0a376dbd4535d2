"""The days: what the journal wrote, compacted into encrypted Parquet, until its key is destroyed.

Everything lies in one folder: `journal/` (frames, as received) and `days/` (Parquet, sealed whole).

Rules kept here, and what a crash between the steps leaves:

* Compacting: write and sync the Parquet file, commit its row, remove the journal file. The Parquet
  file has the journal file's name, so that a journal file whose name has a row is done, and a
  Parquet file without a row is not.
* Merging: write and sync, commit the new row and the old ones' removal, remove the old files.
* Expiry: destroy the shelf's key, remove files and rows. What is past its time is not read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, delete, func, insert, select

from bailee.damage import UNREADABLE, Damaged, why
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.ingest import received
from bailee.db.portable import greatest, least
from bailee.db.telemetry import telemetry_files
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES
from bailee.registry import Registry
from bailee.telemetry import journal
from bailee.telemetry.records import DataClass, Row
from bailee.telemetry.shelves import Shelf, shelf_of
from bailee.vault.files import Files
from bailee.vault.frames import Damage

if TYPE_CHECKING:  # it takes a tenth of a second to import: only what reads or compacts does
    import pyarrow as pa

_MERGE_FROM = 12
_MERGED_BYTES = 64 << 20
_WHAT = "telemetry's index"


@dataclass(frozen=True, slots=True)
class ShelfHolding:
    """What is kept of a shelf."""

    data_class: str
    day: str
    period: str
    expires_at: datetime
    rows: int
    bytes: int


class Days:
    """The files of one home's telemetry. Its methods may be called from any thread.

    `Telemetry` owns it. It owns `days/` and, of `journal/`, the files that are closed; those that
    are open are the journal's. It answers no sender.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        keyring: Keyring,
        registry: Registry,
        *,
        record: Callable[[str, str, dict[str, str | int]], object],
        files: Files | None = None,
    ) -> None:
        self.journal_folder = folder / "journal"
        self._folder = folder / "days"
        self._engine = engine
        self._keyring = keyring
        self._registry = registry
        self._record = record
        self._files = files or Files()
        self.lock = threading.RLock()
        """Held while files are replaced or removed."""
        for path in (self.journal_folder, self._folder):
            try:
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise _failed(error) from error

    # -- in ----------------------------------------------------------------------------------------

    def recover(self, seen: Callable[[DataClass, Sequence[Row]], None]) -> int:
        """Finish what a crash interrupted; compact what an earlier process left; how many rows."""
        with self.lock:
            indexed = set(self._indexed())
            for path in self._folder.iterdir():
                if path.name not in indexed and self._is_left(path.name, indexed):
                    path.unlink()
            count = 0
            for name in self._journals():
                if name in indexed:
                    (self.journal_folder / name).unlink(missing_ok=True)
                else:
                    count += self.compact(name, seen)
            return count

    def _is_left(self, name: str, indexed: Collection[str]) -> bool:
        """Whether a file that is not in the index can go: it was being made, and is in the journal
        still or in the files that it was to replace; or its key is gone.
        """
        if (self.journal_folder / name).exists() or name.rpartition("-")[0] in indexed:
            return True
        try:
            self._keyring.get(shelf_of(name).subject)
        except IntegrityError as error:
            return error.code == "key_destroyed"
        except ValueError:
            return False
        return False

    def compact(
        self, name: str, seen: Callable[[DataClass, Sequence[Row]], None] | None = None
    ) -> int:
        """Turn a closed journal file into a Parquet file; how many rows it has. What does not open
        is noted in the audit record; a file whose key is gone is removed.
        """
        with self.lock:
            shelf = shelf_of(name)
            rows: list[Row] = []
            try:
                for found in journal.read(self.journal_folder, name, self._keyring):
                    if isinstance(found, Damage):
                        kind = "telemetry.torn" if found.torn else "telemetry.damaged"
                        length = found.end - found.offset
                        self._record(kind, name, {"offset": found.offset, "length": length})
                    else:
                        rows.append(found)
            except IntegrityError as error:
                if error.code != "key_destroyed":
                    return 0  # it stays until its time is over, and keeps nothing else from going
                rows = []
            if rows:
                self._write(name, shelf, rows)
                if seen is not None:
                    seen(shelf.data_class, rows)
            self._unlink(self.journal_folder / name)
            return len(rows)

    def _write(self, name: str, shelf: Shelf, rows: Sequence[Row]) -> None:
        from bailee.telemetry import columns

        content = columns.table(shelf.data_class, rows, self._registry)
        times = [row.at for row in rows]
        self._put(name, shelf, content, (min(times), max(times)), [])

    def _put(
        self,
        name: str,
        shelf: Shelf,
        content: pa.Table,
        between: tuple[int, int],
        instead_of: Sequence[str],
    ) -> None:
        from bailee.telemetry import columns

        key = self._keyring.get(shelf.subject).key
        sealed = columns.sealed(content, key, name, os.urandom(NONCE_BYTES))
        try:
            path = self._folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                self._files.write(descriptor, sealed, 0)
                self._files.sync(descriptor)
            finally:
                os.close(descriptor)
            self._files.sync_folder(self._folder)
        except OSError as error:
            raise _failed(error) from error
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                delete(telemetry_files).where(telemetry_files.c.name.in_([name, *instead_of]))
            )
            connection.execute(
                insert(telemetry_files).values(
                    name=name,
                    shelf=str(shelf),
                    rows=content.num_rows,
                    bytes=len(sealed),
                    first_ms=between[0],
                    last_ms=between[1],
                    expires_at=shelf.expires_at,
                )
            )

    def merge(self) -> int:
        """Join the small files of a shelf into larger ones; how many were joined."""
        merged = 0
        with self.lock:
            query = (
                select(telemetry_files)
                .where(telemetry_files.c.bytes < _MERGED_BYTES // 2)
                .order_by(telemetry_files.c.name)
            )
            with storage_errors(_WHAT), reading(self._engine) as connection:
                rows = list(connection.execute(query))
            shelves: dict[str, list[DbRow]] = {}
            for row in rows:
                shelves.setdefault(row.shelf, []).append(row)
            for found in shelves.values():
                some: list[DbRow] = []
                size = 0
                for row in found:
                    if size + row.bytes > _MERGED_BYTES:
                        break
                    some.append(row)
                    size += row.bytes
                if len(some) >= _MERGE_FROM:
                    merged += self._merge(some)
        return merged

    def _merge(self, rows: Sequence[DbRow]) -> int:
        from bailee.telemetry import columns

        names = [row.name for row in rows]
        shelf = shelf_of(names[0])
        wanted = columns.schema(shelf.data_class, self._registry)
        try:
            key = self._keyring.get(shelf.subject).key
            opened = [columns.opened(self._read(name), key, name, wanted.names) for name in names]
        except (IntegrityError, StorageError):
            return 0  # a damaged one stays as it is, and those beside it
        whole = columns.joined(opened)
        between = (min(row.first_ms for row in rows), max(row.last_ms for row in rows))
        name = f"{names[-1]}-{os.urandom(4).hex()}"
        self._put(name, shelf, whole, between, names)
        for old in names:
            self._unlink(self._folder / old)
        return len(names)

    # -- out -------------------------------------------------------------------------------------

    def read(
        self,
        data_class: DataClass,
        columns_wanted: Sequence[str],
        *,
        now: datetime,
        since_ms: int = 0,
        until_ms: int = 1 << 62,
    ) -> pa.Table:
        """What is kept of a class at `now`, of files that hold times between the two (its rows may
        be of other times too): compacted and not.
        """
        from bailee.telemetry import columns

        wanted = columns.schema(data_class, self._registry)
        tables = [wanted.empty_table().select(list(columns_wanted))]
        with self.lock:
            query = select(telemetry_files.c.name).where(
                telemetry_files.c.shelf.startswith(f"{data_class}~"),
                telemetry_files.c.expires_at > now,
                telemetry_files.c.last_ms >= since_ms,
                telemetry_files.c.first_ms <= until_ms,
            )
            with storage_errors(_WHAT), reading(self._engine) as connection:
                found = [row.name for row in connection.execute(query)]
            for name in found:
                try:
                    key = self._keyring.get(shelf_of(name).subject).key
                except IntegrityError:
                    continue  # destroyed, and about to be swept
                except ValueError as error:
                    raise IntegrityError(
                        "a row of telemetry's index is not what was written.",
                        hint="bailee verify says which",
                    ) from error
                tables.append(columns.opened(self._read(name), key, name, columns_wanted))
            indexed = set(self._indexed())
            for name in self._journals():
                shelf = shelf_of(name)
                if (
                    shelf.data_class == data_class
                    and shelf.expires_at > now
                    and name not in indexed
                ):
                    rows = self._journal_rows(name)
                    tables.append(columns.table(data_class, rows, self._registry, columns_wanted))
        return columns.joined(tables)

    def _journal_rows(self, name: str) -> list[Row]:
        try:
            found = journal.read(self.journal_folder, name, self._keyring)
            return [row for row in found if not isinstance(row, Damage)]
        except (IntegrityError, StorageError):
            return []  # gone between listing and reading

    def damaged(self, now: datetime) -> Iterator[Damaged]:
        """The files that are kept at `now` and can't be read. Whose key does not open is the
        key's damage.

        Raises:
            StorageError: the index can't be read.
        """
        query = select(telemetry_files.c.name).where(telemetry_files.c.expires_at > now)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            names = [row.name for row in connection.execute(query)]
        if not names:
            return
        from bailee.telemetry import columns

        for name in names:
            try:
                shelf = shelf_of(name)
                wanted = columns.schema(shelf.data_class, self._registry)
                try:
                    key = self._keyring.get(shelf.subject).key
                except IntegrityError:
                    continue
                with self.lock:
                    if name in set(self._indexed()):  # and not merged meanwhile
                        columns.opened(self._read(name), key, name, wanted.names)
            except (*UNREADABLE, StorageError) as error:
                said = error.message if isinstance(error, StorageError) else why(error)
                yield Damaged(f"telemetry {name}", said)

    def holdings(self, now: datetime) -> list[ShelfHolding]:
        """What is kept at `now`, by shelf. Rows in the journal are not counted yet."""
        totals: dict[Shelf, tuple[int, int]] = {}
        columns = (telemetry_files.c[name] for name in ("name", "rows", "bytes"))
        query = select(*columns).where(telemetry_files.c.expires_at > now)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            for row in connection.execute(query):
                try:
                    shelf = shelf_of(row.name)
                except ValueError:
                    continue  # damaged; `damaged` names it
                rows, size = totals.get(shelf, (0, 0))
                totals[shelf] = (rows + row.rows, size + row.bytes)
        return [
            ShelfHolding(
                shelf.data_class, str(shelf.day), shelf.period, shelf.expires_at, rows, size
            )
            for shelf, (rows, size) in sorted(totals.items(), key=lambda item: str(item[0]))
        ]

    def resting(self, data_class: DataClass) -> dict[str, int]:
        """What of each account lies here, in bytes: of each shelf's files a part that is as large
        as its part of what came; what is not compacted yet, as it came.
        """
        shelf = received.c.data_class + "~" + received.c.day + "~" + received.c.period
        files = (
            select(telemetry_files.c.shelf, func.sum(telemetry_files.c.bytes).label("bytes"))
            .group_by(telemetry_files.c.shelf)
            .subquery()
        )
        came = (
            select(shelf.label("shelf"), func.sum(received.c.bytes).label("bytes"))
            .where(received.c.data_class == data_class)
            .group_by("shelf")
            .subquery()
        )
        smaller = least(1.0, files.c.bytes * 1.0 / greatest(1, came.c.bytes))
        query = (
            select(
                received.c.account_id,
                func.sum(received.c.bytes * func.coalesce(smaller, 1.0)),
            )
            .join(came, came.c.shelf == shelf)
            .outerjoin(files, files.c.shelf == came.c.shelf)
            .where(received.c.data_class == data_class)
            .group_by(received.c.account_id)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return {account_id: int(size) for account_id, size in connection.execute(query)}

    # -- forgetting --------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> int:
        """Destroy the keys of the shelves that are past their time, and remove their files; how
        many shelves. The journal's open files must have been rolled.
        """
        with self.lock:
            names: dict[Shelf, list[Path]] = {}
            for folder in (self.journal_folder, self._folder):
                for path in folder.iterdir():
                    shelf = shelf_of(path.name)
                    if shelf.expires_at <= now:
                        names.setdefault(shelf, []).append(path)
            for shelf, paths in names.items():
                self._keyring.destroy([shelf.subject])
                self._record("telemetry.expired", shelf.subject, {"files": len(paths)})
                for path in paths:
                    self._unlink(path)
                with storage_errors(_WHAT), self._engine.begin() as connection:
                    connection.execute(
                        delete(telemetry_files).where(telemetry_files.c.shelf == str(shelf))
                    )
            return len(names)

    # -- inside ------------------------------------------------------------------------------------

    def _journals(self) -> list[str]:
        try:
            return sorted(path.name for path in self.journal_folder.iterdir())
        except OSError as error:
            raise _failed(error) from error

    def _indexed(self) -> Iterator[str]:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            yield from connection.execute(select(telemetry_files.c.name)).scalars()

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise _failed(error) from error

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error) from error


def _failed(error: OSError) -> StorageError:
    return StorageError(
        f"telemetry can't be read or written ({error.strerror or type(error).__name__}).",
        hint="check the disk's free space and the permissions of the home's vault folder",
    )
