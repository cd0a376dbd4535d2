"""Making a backup of a home that is open, and that may be served meanwhile.

    PLACE/manifest.json            which files make up the backup, signed
    PLACE/unfinished.json          which of them are there already, while one is made
    PLACE/<backup>/data/data.db    what changes: the database, open segments, journals, settings
    PLACE/kept/vault/segments/…    what never changes once it is written

A place is a folder or a bucket (`places`). The steps, and what a crash between them leaves:

1. What was acknowledged is sealed, the log signed. The database is copied at one moment, into a
   file of SQLite's wherever it is (`db.carrying`); with it what of telemetry may be rewritten.
   From here on the index of the copy says what else belongs.
2. Segments and reports of that index are copied, from folders or from a bucket; those that are in
   `kept/` already are not.
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
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bailee.backup import folder as files
from bailee.backup.manifest import KEPT, BackedFile, Manifest, digest, manifest_bytes, manifest_of
from bailee.backup.places import MANIFEST, UNFINISHED, BackupPlace, FolderPlace, read
from bailee.backup.taking import Taking, WantedFile
from bailee.db.carrying import into_file
from bailee.db.checks import KEY as ROW_KEY
from bailee.db.portable import is_sqlite
from bailee.errors import BaileeError, InputError, IntegrityError, StorageError
from bailee.keyring import signing
from bailee.ledger.folder import CHECKPOINT
from bailee.node import Node
from bailee.node.objects import REPORTS, SEGMENTS
from bailee.vault.objects import Objects

_SEGMENTS: Final = "SELECT id, data_class, expiry_day, length, state FROM segments ORDER BY id"
_REPORTS: Final = "SELECT id, bytes FROM feedback_reports WHERE state <> 'arriving' ORDER BY id"
_BESIDE: Final = "backup.db"  # while it is on its way
_LEAVES: Final = "SELECT coalesce(max(leaf) + 1, 0) FROM audit_leaves"


_one: Final = threading.Lock()  # two at once would remove each other's files


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """How far a backup has come, in files and bytes; `copied`: of these, what was copied and was
    not there before; `mended`: how many files were not what had been written, and are again.
    """

    done: int
    of: int
    bytes: int
    copied: int
    mended: int


def check_apart(data: BackupPlace, keys: Path | None, home: Path) -> None:
    """Go on only if data and keys go to places of their own, outside of the home.

    Raises:
        InputError: code `configuration`.
    """
    places = {"the home": home.resolve()}
    if isinstance(data, FolderPlace):
        places["the data"] = Path(data.named).resolve()
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
    """One backup of a home's data. An operation makes it for that, and it is used by one thread,
    for which others put files (`taking`). It holds no key out of the keyring but the one that
    signs, and never stops the home from being served.
    """

    def __init__(self, node: Node, place: BackupPlace, by: str) -> None:
        self._node = node
        self._place = place
        self._by = by
        self._id = "bak_" + os.urandom(8).hex()
        self._seed = node.keyring.secret(signing.NAME)
        self._now = node.clock()

    def run(self) -> Iterator[BackupProgress]:
        """Make the backup, and say how far that is.

        Raises:
            InputError: another one is being made, or the place has one of another home.
            StorageError: a store or the place can't be read or written. The backup that was there
                before holds; the next one goes on with what was copied.
            IntegrityError: the manifest that is there was changed.
        """
        if not _one.acquire(blocking=False):
            raise InputError(
                "a backup is being made already.", hint="wait for it, or end it, and ask again"
            )
        try:
            yield from self._run()
        finally:
            _one.release()

    def _run(self) -> Iterator[BackupProgress]:
        node, place = self._node, self._place
        taking = Taking(place, self._id, self._known(), f"{self._now:%Y-%m-%d}", self._note)
        node.vault.flush()
        node.sequencer.run()
        note = node.sequencer.folder.read(CHECKPOINT) or b""
        with node.telemetry.still():
            leaves, rest = self._database(taking)
            for _ in taking.all([*self._telemetry()]):
                pass
        settings = node.home.settings_file
        if settings.exists():
            taking.one(settings.name, settings)
        yield BackupProgress(0, len(rest), taking.size, taking.copied, taking.mended)
        for done, _ in enumerate(taking.all(rest), 1):
            yield BackupProgress(done, len(rest), taking.size, taking.copied, taking.mended)
        node.objects.check()  # else what is not there was not destroyed: the bucket is not there
        place.settle()
        made = Manifest(
            self._id, node.marks.home_id, self._now, leaves, note.decode(), tuple(taking.files)
        )
        raw = manifest_bytes(made, self._seed)
        place.write(MANIFEST, raw)
        node.ledger.append(
            "backup.created",
            self._id,
            {
                "manifest": digest(raw),
                "files": len(taking.files),
                "bytes": taking.size,
                "by": self._by,
            },
        )
        self._remove_old(taking.files)
        node.sequencer.run()
        node.marks.catch_up()
        yield BackupProgress(len(rest), len(rest), taking.size, taking.copied, taking.mended)

    # -- what is there already -------------------------------------------------------------------

    def _known(self) -> dict[str, BackedFile]:
        """What never changes and is there already, by path, as far as we signed a list of it."""
        known: dict[str, BackedFile] = {}
        raw = read(self._place, MANIFEST)
        if raw is not None:
            where = f"{self._place.named}/{MANIFEST}"
            manifest, key = manifest_of(raw, where)
            if manifest.home != self._node.marks.home_id:
                raise InputError(
                    f"{self._place.named} has a backup of another home.", hint="name another place"
                )
            if key != signing.public_key(self._seed):
                raise IntegrityError(
                    f"{where} was not signed by this home.",
                    hint="name another place; keep this one as evidence. Nothing was changed in it",
                )
            known |= _kept(manifest)
        raw = read(self._place, UNFINISHED)
        if raw is not None:
            with suppress(IntegrityError):
                manifest, key = manifest_of(raw, UNFINISHED, unfinished=True)
                if key == signing.public_key(self._seed):
                    known |= _kept(manifest)
        return known

    def _note(self, some: Sequence[BackedFile]) -> None:
        """Sign what has come so far, for who goes on after a crash."""
        made = Manifest(self._id, self._node.marks.home_id, self._now, 0, "", tuple(some))
        self._place.write(UNFINISHED, manifest_bytes(made, self._seed, unfinished=True))

    # -- what belongs to it ----------------------------------------------------------------------

    def _database(self, taking: Taking) -> tuple[int, list[WantedFile]]:
        """Take the database as it is at one moment: how many leaves it has, and what else belongs
        to the backup by its index.
        """
        there = self._place.file(f"{self._id}/data/data.db")
        if not is_sqlite(self._node.data):
            there = None  # a place may be a network's, which has no write-ahead log of SQLite's
        path = there or self._node.home.data_database.with_name(_BESIDE)
        try:
            self._copy_database(path)
            taking.one("data/data.db", path)
            with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as copy:
                leaves: int = copy.execute(_LEAVES).fetchone()[0]
                return leaves, [*self._segments(copy), *self._reports(copy)]
        finally:
            if there is None:
                path.unlink(missing_ok=True)

    def _copy_database(self, path: Path) -> None:
        try:
            files.made_folder(path.parent)
            if not is_sqlite(self._node.data):
                into_file(self._node.data, path, "data", self._node.keyring.secret(ROW_KEY))
                return
            path.unlink(missing_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            source = self._node.data.raw_connection()
            try:
                with closing(sqlite3.connect(path)) as copy:
                    source.driver_connection.backup(copy)  # type: ignore[union-attr]
                    copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            finally:
                source.close()
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"{path} can't be written ({type(error).__name__}).",
                hint="check the disk's free space; the backup that was there before holds",
            ) from error

    def _telemetry(self) -> Iterator[WantedFile]:
        vault = self._node.home.vault
        for name in ("days", "journal"):
            for path in files.files_in(vault / "telemetry" / name):
                yield WantedFile(str(path.relative_to(self._node.home.path)), (path,), kept=False)

    def _segments(self, copy: sqlite3.Connection) -> Iterator[WantedFile]:
        vault = self._node.home.vault
        for name, data_class, day, length, state in copy.execute(_SEGMENTS):
            opened, shipped = vault / "open" / name, f"{data_class}/{day}/{name}"
            sources, fetch = self._from(SEGMENTS, shipped, length)
            if state == "open":
                path, found = f"vault/open/{name}", (opened, *sources)
                yield WantedFile(path, found, length, kept=False, fetch=fetch)
            else:
                yield WantedFile(f"vault/{SEGMENTS}/{shipped}", sources, length, fetch=fetch)

    def _reports(self, copy: sqlite3.Connection) -> Iterator[WantedFile]:
        for name, length in copy.execute(_REPORTS):
            sources, fetch = self._from(REPORTS, name, length)
            yield WantedFile(f"vault/{REPORTS}/{name}", sources, fetch=fetch)

    def _from(
        self, kind: str, name: str, length: int
    ) -> tuple[tuple[Path, ...], Callable[[], bytes | None] | None]:
        """Where an object lies: in a file of the home, or what fetches it from a bucket."""
        if self._node.objects.where is None:
            return (self._node.home.vault / kind / name,), None
        return (), partial(_fetched, self._node.objects.of(kind), name, length)

    def _remove_old(self, some: Sequence[BackedFile]) -> None:
        """Remove what the manifest does not have. What can't be removed goes the next time."""
        kept = {f"{KEPT}/{one.path}" for one in some if one.folder == KEPT}
        with suppress(BaileeError, OSError):
            self._place.remove(
                [
                    name
                    for name in self._place.names()
                    if name == UNFINISHED
                    or (name.startswith(f"{KEPT}/") and name not in kept)
                    or (name.startswith("bak_") and not name.startswith(f"{self._id}/"))
                ]
            )


def _fetched(objects: Objects, name: str, length: int) -> bytes | None:
    """An object's bytes; None: it is not there, so it was destroyed."""
    try:
        return objects.get(name, 0, length)
    except StorageError:
        if objects.size(name) is None:
            return None
        raise


def _kept(manifest: Manifest) -> dict[str, BackedFile]:
    return {one.path: one for one in manifest.files if one.folder == KEPT}
