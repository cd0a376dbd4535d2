"""What can be asked of a home about a person's data: a copy of all of it, and its erasure.

A person asks for themselves, and then names nobody; the operator for anyone: by a person's id or
email, or the id of an account that no person has.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bailee.errors import InputError
from bailee.node import Node
from bailee.operations import exporting, receipts
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation
from bailee.operations.receipts import ErasureSummary
from bailee.operations.whose import find_person

_PIECE: Final = 48 << 10


@dataclass(frozen=True, slots=True)
class ArchivePiece:
    """Some of an archive's bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ArchiveProgress:
    """How many sessions of how many are in an archive."""

    done: int
    of: int


@operation()
def export(
    asks: Asks, node: Node, id: str | None = None
) -> Iterator[ArchivePiece | ArchiveProgress]:
    """Everything that is held about a person, as the pieces of a ZIP archive."""
    told: list[ArchiveProgress] = []
    pieces = exporting.export(
        node,
        _whom(asks, node, id),
        asks.at,
        by=asks.actor,
        progress=lambda done, of: told.append(ArchiveProgress(done, of)),
    )
    return _items(pieces, told)


def _items(
    pieces: Iterator[bytes], told: list[ArchiveProgress]
) -> Iterator[ArchivePiece | ArchiveProgress]:
    for piece in pieces:
        for start in range(0, len(piece), _PIECE):
            yield ArchivePiece(piece[start : start + _PIECE])
        yield from told
        told.clear()


@operation(makes_room=True)
def erase(asks: Asks, node: Node, id: str | None = None) -> ErasureSummary:
    """Erase a person: their sessions' keys, what names them, their ways in."""
    done = node.erasures.request(_whom(asks, node, id), asks.due, by=asks.actor)
    return receipts.erasure(node, done)


def _whom(asks: Asks, node: Node, named: str | None) -> str:
    by = asks.actor
    if named is not None:
        return find_person(asks, node, named).person_id if "@" in named else named
    own = by.person_id or by.account_id
    if own is None:
        raise InputError("no person was named.", hint="give a person's id or email")
    return own


OPERATIONS: Final[Mapping[str, Function]] = {
    "person.export": export,
    "person.erase": erase,
}
