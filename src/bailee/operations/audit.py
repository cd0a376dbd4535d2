"""What can be asked of a home about its audit record. It is the operator's to read, and an
auditor's: to them without what is somebody's, whatever the keys that are there would open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bailee.accounts.roles import Permission
from bailee.auditing.entries import Entries
from bailee.auditing.streams import Positions, StreamStanding, left
from bailee.errors import InputError, IntegrityError
from bailee.ledger import Leaf
from bailee.ledger.cosigning import WitnessStanding
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.particulars import again_names, sealed_names
from bailee.ledger.tlog import notes
from bailee.ledger.verifying import CheckedLog
from bailee.node import Node
from bailee.node.verifying import check_log
from bailee.operations import pages, receipts
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page
from bailee.operations.operation import operation
from bailee.operations.receipts import Proved

_DIGITS: Final = 18  # of an entry's number


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The log's checkpoint: a signed note, and the public keys that open it. `key`: of Ed25519.
    `witnesses`: those that are asked to cosign; `quorum`: enough of them have.
    """

    size: int
    note: str
    key: str
    key_ml_dsa_44: str
    witnesses: list[WitnessStanding]
    quorum: bool


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who is asked to cosign the log's checkpoint, of so many leaves; `quorum`: enough have."""

    size: int
    witnesses: list[WitnessStanding]
    quorum: bool


@operation()
def list_(
    asks: Asks,
    node: Node,
    *,
    kind: str | None = None,
    subject: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
) -> Page[Leaf]:
    """The entries of the audit record, of one kind or about one subject if asked, newest first."""
    asks.require(node, Permission.EVIDENCE_READ)
    found = node.ledger.latest(limit + 1, kind=kind, subject=subject, before=pages.number(after))
    shown = _plain if node.registry.authority.is_auditor(asks.actor) else _whole
    return pages.page(found, limit, shown, lambda leaf: str(leaf.number))


@operation()
def show(asks: Asks, node: Node, *, number: int) -> Leaf:
    """One entry."""
    asks.require(node, Permission.EVIDENCE_READ)
    shown = _plain if node.registry.authority.is_auditor(asks.actor) else _whole
    return shown(node.ledger.get(number))


def _whole(leaf: Leaf) -> Leaf:
    return leaf


def _plain(leaf: Leaf) -> Leaf:
    """An entry without what names somebody, leads to them, or was written by a person."""
    theirs = (*sealed_names(leaf.kind), *again_names(leaf.kind))
    hidden = {name: None for name in theirs if name in leaf.body}
    return replace(leaf, body={**leaf.body, **hidden})


@operation()
def checkpoint(asks: Asks, node: Node) -> SignedCheckpoint:
    """The checkpoint over all entries up to now, signed."""
    asks.require(node, Permission.EVIDENCE_READ)
    size = node.sequencer.run()
    node.cosigning.run()
    note = node.sequencer.folder.read(CHECKPOINT)
    if note is None:
        raise InputError("the audit record has no entry yet.", code="not_found")
    witnesses, quorum = node.cosigning.standing()
    ed25519, ml_dsa = (key.text for key in node.sequencer.keys)
    return SignedCheckpoint(size, note.decode(), ed25519, ml_dsa, witnesses, quorum)


@operation()
def witness(asks: Asks, node: Node) -> Witnesses:
    """Ask those that have not cosigned the checkpoint over all entries up to now, and say who has.
    This may take some seconds.
    """
    asks.require(node, Permission.AUDIT_READ)
    size = node.sequencer.run()
    node.cosigning.run(all_now=True)
    return Witnesses(size, *node.cosigning.standing())


@operation()
def streams(asks: Asks, node: Node) -> list[StreamStanding]:
    """How the audit record's delivery to each address goes; where no server runs, how far it has
    come.
    """
    asks.require(node, Permission.EVIDENCE_READ)
    if node.serving is not None:
        return node.serving.streams()
    return left(Entries(node.data), Positions(node.data, node.clock))


@operation()
def verify(asks: Asks, node: Node, *, since: str | None = None) -> CheckedLog:
    """Check the log and all entries, beside an earlier checkpoint if one is given.

    Raises:
        InputError: what is given as that is no signed note.
    """
    asks.require(node, Permission.EVIDENCE_READ)
    if since is not None:
        try:
            notes.read(since.encode())
        except IntegrityError as error:
            raise InputError(error.message, hint="give a checkpoint as it was kept") from error
    return check_log(node, node.cosigning.trust, None if since is None else since.encode())


@operation()
def proof(asks: Asks, node: Node, *, id: str) -> Proved:
    """The proof of an entry, by its number, or of the latest step of a receipt, by its id; under a
    checkpoint that enough witnesses have cosigned, where the settings name some.
    """
    asks.require(node, Permission.EVIDENCE_READ)
    if id.isascii() and id.isdecimal() and len(id) <= _DIGITS:
        return receipts.proved(node, int(id))
    return receipts.proved(node, receipts.entry_of(node, receipts.named(node, id)))


OPERATIONS: Final[Mapping[str, Function]] = {
    "audit.list": list_,
    "audit.show": show,
    "audit.checkpoint": checkpoint,
    "audit.witness": witness,
    "audit.streams": streams,
    "audit.verify": verify,
    "audit.proof": proof,
}
