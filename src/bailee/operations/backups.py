"""What can be asked of a home about its backups. Restoring makes another home: it is no operation.

Folders are those of the machine that the home is on, and so is the way to a bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.accounts.roles import Permission
from bailee.backup.creating import BackupProgress, Creating, check_apart
from bailee.backup.keys import take_keys
from bailee.backup.naming import place_of
from bailee.backup.places import BackupPlace, FolderPlace
from bailee.errors import InputError
from bailee.keeping.snapshots import KeySnapshot
from bailee.node import Node
from bailee.node.bounded import snapshots_live
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation

_NEWEST: Final = 100


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """A backup that was made: its id, when, how many files and bytes it has."""

    backup: str
    at: datetime
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Backups:
    """The latest backups of data that were made, newest first, wherever they are now; and the
    snapshots of keys that open something still, as far as is known here.
    """

    data: list[BackupSummary]
    keys: list[KeySnapshot]


@operation()
def create(
    asks: Asks, node: Node, *, folder: str, keys: str | None = None
) -> Iterator[BackupProgress | KeySnapshot]:
    """Back up the home's data into a folder or a bucket (s3://BUCKET/PREFIX), and a snapshot of its
    keys into another folder, if asked.
    """
    asks.require(node, Permission.BACKUP_CREATE)
    place, apart = place_of(folder), None if keys is None else Path(keys)
    if keys is not None and "://" in keys:
        raise InputError(
            "keys go into a folder.",
            hint="what a bucket deletes may live on as a version, and then nothing would be gone",
        )
    here = [Path(place.named)] if isinstance(place, FolderPlace) else []
    if not all(one.is_absolute() for one in (*here, *([] if apart is None else [apart]))):
        raise InputError("a backup's folder is named from the root of the file system.")
    check_apart(place, apart, node.home.path)
    return _create(asks, node, place, apart)


def _create(
    asks: Asks, node: Node, place: BackupPlace, apart: Path | None
) -> Iterator[BackupProgress | KeySnapshot]:
    yield from Creating(node, place, asks.actor.name).run()
    if apart is not None:
        yield take_keys(node, apart, snapshots_live(node))
        node.marks.catch_up()


@operation()
def list_(asks: Asks, node: Node) -> Backups:
    """The backups that were made, and the snapshots of keys that live."""
    asks.require(node, Permission.BACKUP_CREATE)
    made = [
        BackupSummary(one.subject, one.at, int(one.body["files"] or 0), int(one.body["bytes"] or 0))
        for one in node.ledger.latest(_NEWEST, kind="backup.created")
    ]
    return Backups(made, node.snapshots.living())


@operation(makes_room=True)
def end(asks: Asks, node: Node, *, id: str, gone: bool = False) -> KeySnapshot:
    """End a snapshot of keys before its time; or say that one which can't be reached is gone."""
    asks.require(node, Permission.BACKUP_CREATE)
    return node.snapshots.end(id, asks.due, said=gone, by=asks.actor.name)


OPERATIONS: Final[Mapping[str, Function]] = {
    "backup.create": create,
    "backup.list": list_,
    "backup.end": end,
}
