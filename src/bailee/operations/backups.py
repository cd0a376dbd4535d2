"""What can be asked of a home about its backups. Restoring makes another home: it is no operation.

Folders are those of the machine that the home is on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bailee.accounts.roles import Permission
from bailee.backup.creating import BackupProgress, Creating, check_apart, take_keys
from bailee.errors import InputError
from bailee.keeping.snapshots import KeySnapshot
from bailee.node import Node
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
    """Back up the home's data into a folder, and a snapshot of its keys into another, if asked."""
    asks.require(node, Permission.BACKUP_CREATE)
    target, apart = Path(folder), None if keys is None else Path(keys)
    if not target.is_absolute() or (apart is not None and not apart.is_absolute()):
        raise InputError("a backup's folder is named from the root of the file system.")
    check_apart(target, apart, node.home.path)
    return _create(asks, node, target, apart)


def _create(
    asks: Asks, node: Node, target: Path, apart: Path | None
) -> Iterator[BackupProgress | KeySnapshot]:
    yield from Creating(node, target, asks.actor.name).run()
    if apart is not None:
        yield take_keys(node, apart, node.settings.number("backup.keys_hours"))
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
