"""What can be asked of a home about its audit record. It is the operator's to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.ledger import Leaf
from bailee.ledger import history as histories
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.history import History
from bailee.ledger.proving import prove
from bailee.ledger.verifying import Check, CheckedLog
from bailee.node import Node
from bailee.operations import pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page
from bailee.operations.operation import operation


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The log's checkpoint: a signed note, and the public key that opens it."""

    size: int
    note: str
    key: str


@dataclass(frozen=True, slots=True)
class Proved:
    """The proof of an entry, a file of c2sp.org/tlog-proof@v1, and what it is about, byte for byte:
    `payload`.
    """

    number: int
    leaf: int
    payload: str
    proof: str


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
    asks.require(node, Permission.AUDIT_READ)
    found = node.ledger.latest(limit + 1, kind=kind, subject=subject, before=pages.number(after))
    return pages.page(found, limit, lambda leaf: leaf, lambda leaf: str(leaf.number))


@operation()
def show(asks: Asks, node: Node, *, number: int) -> Leaf:
    """One entry."""
    asks.require(node, Permission.AUDIT_READ)
    return node.ledger.get(number)


@operation()
def checkpoint(asks: Asks, node: Node) -> SignedCheckpoint:
    """The checkpoint over all entries up to now, signed."""
    asks.require(node, Permission.AUDIT_READ)
    size = node.sequencer.run()
    note = node.sequencer.folder.read(CHECKPOINT)
    if note is None:
        raise InputError("the audit record has no entry yet.", code="not_found")
    return SignedCheckpoint(size, note.decode(), node.sequencer.key.text)


@operation()
def verify(asks: Asks, node: Node, *, since: str | None = None) -> CheckedLog:
    """Check the log and all entries, beside an earlier checkpoint if one is given."""
    asks.require(node, Permission.AUDIT_READ)
    at, before = node.sequencer, None if since is None else since.encode()
    history = History(at.folder, lambda: node.keyring.secret(histories.NAME))
    sealing = node.ledger.sealing
    return Check(at.folder, at.key, before, node.data, sealing, history=history).run()


@operation()
def proof(asks: Asks, node: Node, *, id: str) -> Proved:
    """The proof of an entry, by its number, or of the latest step of a receipt, by its id."""
    asks.require(node, Permission.AUDIT_READ)
    node.sequencer.run()
    number = int(id) if id.isdecimal() else max(_steps(node, id))
    made, payload = prove(node.data, node.sequencer.folder, node.sequencer.key, number)
    return Proved(number, made.index, payload.decode(), made.data.decode())


def _steps(node: Node, receipt: str) -> Iterator[int]:
    """The numbers of the entries that are steps of a receipt; there is at least one."""
    erasures = [one.person_id for one in node.erasures.rows.all() if one.id == receipt]
    subject = erasures[0] if erasures else node.receipts.get(receipt).subject
    for entry in node.ledger.entries(subject=subject):
        if receipt in (entry.body.get("receipt"), entry.body.get("erasure")):
            yield entry.number


OPERATIONS: Final[Mapping[str, Function]] = {
    "audit.list": list_,
    "audit.show": show,
    "audit.checkpoint": checkpoint,
    "audit.verify": verify,
    "audit.proof": proof,
}
