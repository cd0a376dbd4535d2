"""Snapshots of the keyring: where each lies, until when, and its end.

With a snapshot an older home can be read again, and so can what was destroyed since it was taken.
So each is to be gone by a time, the *overlap*, and until then no receipt says that what was
destroyed can't be had from backups.

    place/root.json       the snapshot's own root
    place/keyring.db      the keys, under it
    place/snapshot.json   which it is, signed

Rules kept here:

* A snapshot is on record before its first byte is written: none is ever forgotten.
* Its end is its root's: overwritten, synced, removed. A copy of the rest opens nothing then; a copy
  of both is in the hands of whoever made it.
* One that can't be reached at its time fails the sweep's step, by name, until it can, or somebody
  says that it is gone.

Rows: R5.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, insert, select, update

from bailee.db.engine import reading, storage_errors
from bailee.db.snapshots import key_snapshots
from bailee.errors import InputError, StorageError
from bailee.keeping.receipts import Record
from bailee.syncing import sync_folder

ROOT: Final = "root.json"
KEYRING: Final = "keyring.db"
SAYS: Final = "snapshot.json"
_WHAT: Final = "the keyring's snapshots"


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """A snapshot. `place`: its folder; empty: it is not known here. `generation`: the home's root's
    newest when it was taken. `gone_at`: since when it opens nothing.
    """

    id: str
    place: str
    generation: int
    taken_at: datetime
    until: datetime
    gone_at: datetime | None = None


class KeySnapshots:
    """The snapshots of one home's keyring. Whoever takes one notes it here, and a sweep ends it,
    from any thread. It copies no key.
    """

    name: Final = "snapshots"

    def __init__(
        self,
        engine: Engine,
        record: Record,
        let_go: Callable[[datetime], object],
        longest: Callable[[], timedelta | None],
    ) -> None:
        """`let_go` is told when one is gone: receipts may go on. `longest`: for how long one
        lives at the most, as the policy document has it now; None: as long as it was taken for.
        """
        self._engine = engine
        self._record = record
        self._let_go = let_go
        self._longest = longest

    def note(self, snapshot: KeySnapshot) -> None:
        """Have a snapshot on record. The same again changes nothing.

        Raises:
            StorageError: it can't be noted; it must not be taken.
        """
        if any(one.id == snapshot.id for one in self.all()):
            return
        until, generation = int(snapshot.until.timestamp()), snapshot.generation
        values = {name: getattr(snapshot, name) for name in KeySnapshot.__slots__}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(insert(key_snapshots).values(values))
        self._record("backup.keys_taken", snapshot.id, {"until": until, "generation": generation})

    def all(self) -> list[KeySnapshot]:
        """Every snapshot, the oldest first, none ending later than the policy document lets it. A
        row that is not sound counts as it is: it can only keep a receipt waiting, or end a snapshot
        early.
        """
        columns = [key_snapshots.c[name] for name in KeySnapshot.__slots__]
        query = select(*columns).order_by(key_snapshots.c.taken_at, key_snapshots.c.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            found = [KeySnapshot(*row) for row in connection.execute(query)]
        longest = self._longest()
        return found if longest is None else [_within(one, longest) for one in found]

    def living(self) -> list[KeySnapshot]:
        """Those that open something still, as far as is known."""
        return [one for one in self.all() if one.gone_at is None]

    def until(self) -> datetime | None:
        """When the last of those ends; None: there is none."""
        return max((one.until for one in self.living()), default=None)

    def reached(self, generation: int, began: datetime) -> tuple[int, datetime]:
        """How far a rotation to `generation` that began then has made older copies worthless: as
        far as to the oldest living snapshot, since that has what was destroyed later.
        """
        for one in self.living():
            generation, began = min(generation, one.generation), min(began, one.taken_at)
        return generation, began

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """End those whose time has come; how many.

        Raises:
            StorageError: one can't be reached; it is named, and the others are ended.
        """
        ended, failure = 0, None
        for one in self.living():
            if one.until <= now:
                try:
                    _destroy(one)
                except StorageError as error:
                    failure = error
                else:
                    self._gone(one, now, {})
                    ended += 1
        if failure is not None:
            raise failure
        return {"snapshots": ended}

    def end(self, snapshot_id: str, now: datetime, *, said: bool, by: str) -> KeySnapshot:
        """End a snapshot now. `said`: whoever says it knows that it is gone, and it is not looked
        for.

        Raises:
            InputError: code `not_found`.
            StorageError: it can't be reached.
        """
        found = [one for one in self.living() if one.id == snapshot_id]
        if not found:
            raise InputError(
                f"there is no keyring snapshot {snapshot_id!r} any more.",
                code="not_found",
                hint="see `bailee backup list`",
            )
        if not said:
            _destroy(found[0])
        self._gone(found[0], now, {"by": by, "said": said})
        return found[0]

    def _gone(self, one: KeySnapshot, now: datetime, body: Mapping[str, str | bool]) -> None:
        self._record("backup.keys_gone", one.id, dict(body))
        with storage_errors(_WHAT), self._engine.begin() as connection:
            of_it = update(key_snapshots).where(key_snapshots.c.id == one.id)
            connection.execute(of_it.values(gone_at=now))
        self._let_go(now)


def _within(one: KeySnapshot, longest: timedelta) -> KeySnapshot:
    """A snapshot that ends no later than so long after it was taken."""
    if one.until - one.taken_at <= longest:
        return one
    return replace(one, until=one.taken_at + longest)


def _destroy(one: KeySnapshot) -> None:
    """Overwrite a snapshot's root, and remove what there is of it."""
    place = Path(one.place)
    try:
        if not one.place or not place.parent.is_dir():
            raise FileNotFoundError
        if place.is_dir():
            with suppress(FileNotFoundError):
                descriptor = os.open(place / ROOT, os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            sync_folder(place)
            for path in sorted(place.iterdir()):
                path.unlink()
            place.rmdir()
            sync_folder(place.parent)
    except OSError as error:
        where = one.place or "a place that is not known here"
        raise StorageError(
            f"the keyring snapshot {one.id} in {where} can't be ended: with it, what was destroyed "
            "since it was taken can be read again.",
            hint="mount its folder again; or, if it is gone for good, say so: "
            f"bailee backup end {one.id} --gone",
        ) from error
