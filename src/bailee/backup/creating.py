"""Making a backup of a home that is open, and that may be served meanwhile.

    DIR/manifest.json            which files make up the backup, signed
    DIR/<backup>/data/data.db    what changes: the database, open segments, journals, settings
    DIR/kept/vault/segments/…    what never changes once it is written

The steps, and what a crash between them leaves:

1. What was acknowledged is sealed, the log signed. The database is copied at one moment; with it
   what of telemetry may be rewritten. From here on the index of the copy says what else belongs.
2. Segments and reports of that index are copied, those that are in `kept/` already are not.
3. The manifest takes the place of the one before. Until here that one holds, and all its files are
   there; from here on what it had, and this one has not, goes.
4. The audit record has the backup by its manifest's hash: in `ledger/` that makes the difference
   between a log that is newer than the backup, and one that is not.

What was removed between 1 and 2 was destroyed: it is left out, and a restore will know of it.

Left out for good: the spool (what was acknowledged before step 1 is sealed), bytes in quarantine,
what waits to be passed on, the queue of cloud sessions, machines' images.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bailee.backup import folder as files
from bailee.backup.folder import MANIFEST
from bailee.backup.manifest import (
    KEPT,
    BackedFile,
    Manifest,
    Snapshot,
    digest,
    manifest_bytes,
    manifest_of,
    snapshot_bytes,
)
from bailee.errors import BaileeError, InputError, StorageError
from bailee.keeping.snapshots import KEYRING, ROOT, SAYS, KeySnapshot
from bailee.keyring import FileRoot, signing
from bailee.ledger.folder import CHECKPOINT
from bailee.node import Node
from bailee.syncing import sync_file

_SEGMENTS: Final = "SELECT id, data_class, expiry_day, length, state FROM segments ORDER BY id"
_REPORTS: Final = "SELECT id FROM feedback_reports WHERE state <> 'arriving' ORDER BY id"
_LEAVES: Final = "SELECT coalesce(max(leaf) + 1, 0) FROM audit_leaves"


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """How far a backup has come, in files and bytes; `copied`: of these, what was copied and was
    not there before.
    """

    done: int
    of: int
    bytes: int
    copied: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that belongs to a backup: its path in the home, where it may lie, how much of it."""

    path: str
    sources: tuple[Path, ...]
    length: int | None = None
    kept: bool = True


def check_apart(data: Path, keys: Path | None, home: Path) -> None:
    """Go on only if data and keys go to places of their own, outside of the home.

    Raises:
        InputError: code `configuration`.
    """
    places = {"the data": data.resolve(), "the home": home.resolve()}
    if keys is not None:
        places["the keys"] = keys.resolve()
    for name, one in places.items():
        for other, two in places.items():
            if name != other and two.is_relative_to(one):
                raise InputError(
                    f"{other} would lie in the same place as {name}.",
                    code="configuration",
                    hint="name another folder: who finds data and keys together has everything",
                )


class Creating:
    """One backup of a home's data into a folder. Made for it, and used by one thread."""

    def __init__(self, node: Node, target: Path, by: str) -> None:
        self._node = node
        self._target = target
        self._by = by
        self._id = "bak_" + os.urandom(8).hex()
        self._own = target / self._id
        self._files: list[BackedFile] = []
        self._size = self._copied = 0

    def run(self) -> Iterator[BackupProgress]:
        """Make the backup, and say how far that is.

        Raises:
            StorageError: a store or the folder can't be read or written. The backup that was there
                before holds; the next one goes on with what was copied.
            IntegrityError: the manifest that is there was changed.
        """
        node, now = self._node, self._node.clock()
        before = {}
        with suppress(FileNotFoundError):
            raw = (self._target / MANIFEST).read_bytes()
            manifest, _ = manifest_of(raw, f"{self._target / MANIFEST}")
            before = {one.path: one for one in manifest.files if one.folder == KEPT}
            if manifest.home != node.marks.home_id:
                raise InputError(
                    f"{self._target} has a backup of another home.", hint="name another folder"
                )
        node.vault.flush()
        node.sequencer.run()
        note = node.sequencer.folder.read(CHECKPOINT) or b""
        with node.telemetry.still():
            self._copy_database()
            for wanted in self._telemetry():
                self._take(wanted, {})
        settings = node.home.settings_file
        if settings.exists():
            self._take(_Wanted(settings.name, (settings,), kept=False), {})
        database = self._own / "data" / "data.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as copy:
            leaves: int = copy.execute(_LEAVES).fetchone()[0]
            rest = [*self._segments(copy), *self._reports(copy)]
        for done, wanted in enumerate(rest):
            yield BackupProgress(done, len(rest), self._size, self._copied)
            self._take(wanted, before)
        files.settled(self._target)
        made = Manifest(
            self._id, node.marks.home_id, now, leaves, note.decode(), tuple(self._files)
        )
        raw = manifest_bytes(made, node.keyring.secret(signing.NAME))
        files.written(self._target / MANIFEST, raw)
        node.ledger.append(
            "backup.created",
            self._id,
            {
                "manifest": digest(raw),
                "files": len(self._files),
                "bytes": self._size,
                "by": self._by,
            },
        )
        self._remove_old()
        node.sequencer.run()
        node.marks.catch_up()
        yield BackupProgress(len(rest), len(rest), self._size, self._copied)

    # -- what belongs to it ----------------------------------------------------------------------

    def _copy_database(self) -> None:
        path = self._own / "data" / "data.db"
        try:
            files.made_folder(path.parent)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            source = self._node.data.raw_connection()
            try:
                with closing(sqlite3.connect(path)) as copy:
                    source.driver_connection.backup(copy)  # type: ignore[union-attr]
                    copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            finally:
                source.close()
            sync_file(path)
            size, sha256 = files.hashed(path)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"{path} can't be written ({type(error).__name__}).",
                hint="check the disk's free space; the backup that was there before holds",
            ) from error
        self._add(BackedFile("data/data.db", self._id, size, sha256), copied=True)

    def _telemetry(self) -> Iterator[_Wanted]:
        vault = self._node.home.vault
        for name in ("days", "journal"):
            for path in files.files_in(vault / "telemetry" / name):
                yield _Wanted(str(path.relative_to(self._node.home.path)), (path,), kept=False)

    def _segments(self, copy: sqlite3.Connection) -> Iterator[_Wanted]:
        vault = self._node.home.vault
        for name, data_class, day, length, state in copy.execute(_SEGMENTS):
            opened = vault / "open" / name
            shipped = f"vault/segments/{data_class}/{day}/{name}"
            if state == "open":
                sources = (opened, self._node.home.path / shipped)
                yield _Wanted(f"vault/open/{name}", sources, length, kept=False)
            else:
                yield _Wanted(shipped, (self._node.home.path / shipped,), length)

    def _reports(self, copy: sqlite3.Connection) -> Iterator[_Wanted]:
        for (name,) in copy.execute(_REPORTS):
            yield _Wanted(f"vault/reports/{name}", (self._node.home.vault / "reports" / name,))

    # -- copying ---------------------------------------------------------------------------------

    def _take(self, wanted: _Wanted, before: dict[str, BackedFile]) -> None:
        where = KEPT if wanted.kept else self._id
        target = self._target / where / wanted.path
        known = before.get(wanted.path)
        if wanted.kept and target.exists():
            if known is not None and target.stat().st_size == known.size:
                self._add(known, copied=False)
                return
            size, sha256 = files.hashed(target)  # a backup that was broken off copied it, whole
            self._add(BackedFile(wanted.path, where, size, sha256), copied=False)
            return
        for source in wanted.sources:
            with suppress(FileNotFoundError):
                size, sha256 = files.copied(source, target, wanted.length)
                self._add(BackedFile(wanted.path, where, size, sha256), copied=True)
                return

    def _add(self, file: BackedFile, *, copied: bool) -> None:
        self._files.append(file)
        self._size += file.size
        self._copied += file.size if copied else 0

    def _remove_old(self) -> None:
        """Remove what the manifest does not have. What can't be removed goes the next time."""
        kept = {self._target / KEPT / one.path for one in self._files if one.folder == KEPT}
        with suppress(BaileeError, OSError):
            for path in files.files_in(self._target / KEPT):
                if path not in kept:
                    path.unlink()
            for path in self._target.iterdir():
                if path.name.startswith("bak_") and path.name != self._id:
                    files.remove(path)


def take_keys(node: Node, target: Path, hours: int) -> KeySnapshot:
    """Take a snapshot of the keyring, into a folder of its own below `target`, which lives so long.

    It is on record before its first byte is written; a crash in between leaves one that opens
    nothing, and goes at its time.

    Raises:
        StorageError: it can't be written.
    """
    now = node.clock()
    name = "keys_" + os.urandom(8).hex()
    place = target.resolve() / name
    until = now + timedelta(hours=hours)
    try:
        files.made_folder(place)
    except OSError as error:
        raise files.failed(place, error) from error
    noted = KeySnapshot(name, str(place), node.keyring.generation(), now, until)
    node.snapshots.note(noted)
    leaves = node.sequencer.run()
    node.keyring.copy(FileRoot(place / ROOT), place / KEYRING)
    _, sha256 = files.hashed(place / KEYRING)
    said = Snapshot(name, node.marks.home_id, now, until, noted.generation, sha256, leaves)
    files.written(place / SAYS, snapshot_bytes(said, node.keyring.secret(signing.NAME)))
    return noted


def verified(target: Path) -> tuple[Manifest, str, list[tuple[str, str]]]:
    """Read a backup whole: its manifest, the public key that signed it, and what is wrong with
    which file.

    Raises:
        InputError: code `not_found`, there is no backup.
        IntegrityError: the manifest is not what was written.
    """
    try:
        raw = (target / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"there is no whole backup in {target}.",
            code="not_found",
            hint="name the folder that bailee backup create was given",
        ) from None
    except OSError as error:
        raise files.failed(target / MANIFEST, error) from error
    manifest, key = manifest_of(raw, f"{target / MANIFEST}")
    found = [(one, files.wrong(target, one)) for one in manifest.files]
    return manifest, key, [(f"{one.folder}/{one.path}", what) for one, what in found if what]
