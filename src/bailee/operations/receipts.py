"""What can be asked of a home about receipts: what was destroyed, how far that has come, its proof.

Rules kept here:

* A receipt is the operator's to see, and whose it is about; and of whoever has its reference
  (`keeping.reference`), which is enough by itself.
* Each step is an entry of the audit record, and so a leaf of the log. What is proved is the latest,
  which has all that came before it (`keeping.receipts`), or the one that is asked for.
* What is left is looked for when the receipt is asked for. What an erasure of a person left was
  searched for when it was done, and is in its signed receipt.

Rows: P4, R5, R6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.db.pages import place
from bailee.errors import InputError
from bailee.keeping import reference
from bailee.keeping.receipts import DEFERRED, KEY_DESTROYED, Receipt
from bailee.keyring import signing
from bailee.ledger.proving import prove
from bailee.node import Node
from bailee.node.erasure_rows import Erasure
from bailee.operations import codec, pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.operation import operation
from bailee.operations.whose import asked_for

_SIGNED: Final = "bailee/receipt/1"


@dataclass(frozen=True, slots=True)
class ReceiptSummary:
    """What is destroyed, how far that has come: the moment of each state, and those to come. `by`:
    who asked; None: time did it. `reference`: by which anyone who is given it sees the receipt.
    """

    receipt: str
    kind: str
    subject: str
    data_class: str
    by: str | None
    state: str
    states: dict[str, datetime]
    to_come: list[str]
    reference: str


@dataclass(frozen=True, slots=True)
class ListedReceipt(ReceiptSummary):
    """`signed`: the receipt as it stands now, where that was asked for."""

    signed: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class ErasureSummary:
    """A person's erasure. `signed`: its receipt, as `signing` makes one, once there is one."""

    erasure: str
    subject: str
    account: str | None
    state: str
    requested: datetime
    requested_by: str
    finished: datetime | None
    signed: dict[str, object] | None
    reference: str


@dataclass(frozen=True, slots=True)
class Step:
    """A state that was reached: when, in which entry of the audit record, which is which leaf of
    the log. None: an older copy of the record was accepted, or the leaf is to come within a second.
    """

    state: str
    at: datetime
    entry: int | None
    leaf: int | None


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Something that is left of what a receipt is of. `code` is for programs."""

    code: str
    count: int
    what: str
    why: str
    until: str


@dataclass(frozen=True, slots=True)
class ShownReceipt:
    """A receipt as `signing` makes one, and how to come to it again. Of a person's erasure `parts`
    are what was destroyed, as far as each has come.
    """

    signed: dict[str, object]
    reference: str
    steps: list[Step]
    left: list[LeftOver]
    parts: list[ReceiptSummary]


@dataclass(frozen=True, slots=True)
class Proved:
    """The proof of an entry, a file of c2sp.org/tlog-proof@v1 that has the entry in it, and that
    entry byte for byte: `payload`.
    """

    number: int
    leaf: int
    payload: str
    proof: str


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """The public key that this home signs receipts with."""

    public_key: str
    fingerprint: str


@operation()
def list_(
    asks: Asks,
    node: Node,
    *,
    owner: str | None = None,
    subject: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
    signed: bool = False,
) -> Page[ListedReceipt]:
    """What was destroyed and how far that has come, of an account or a subject, newest first; each
    one signed, if asked.
    """
    whose = asked_for(asks, node, owner, Permission.RETENTION_READ)
    found = node.receipts.latest(limit + 1, owner=whose, subject=subject, after=after)
    steps = _steps(node, found) if signed else {}

    def shown(one: Receipt) -> ListedReceipt:
        made = _sign(asks, node, one, steps[one.id]) if signed else None
        return extended(ListedReceipt, receipt(node, one), signed=made)

    return pages.page(found, limit, shown, lambda one: place(one.requested_at, one.id))


@operation()
def list_erasures(
    asks: Asks, node: Node, after: str | None = None, limit: Limit = 100
) -> Page[ErasureSummary]:
    """Persons' erasures with their signed receipts, newest first: all, or one's own."""
    if asks.actor.operator or node.registry.authority.is_auditor(asks.actor):
        asks.require(node, Permission.EVIDENCE_READ)
        found = node.erasures.rows.latest(limit + 1, after)
    else:
        account = asked_for(asks, node, None, Permission.RETENTION_READ)
        own = node.erasures.rows.of(asks.actor.person_id or account or "")
        found = [] if own is None else [own]
    return pages.page(
        found, limit, lambda one: erasure(node, one), lambda one: place(one.requested_at, one.id)
    )


@operation()
def key(asks: Asks, node: Node) -> ReceiptKey:  # noqa: ARG001
    """The public key of this home's receipts. It is everybody's to know."""
    public = signing.public_key(node.keyring.secret(signing.NAME))
    return ReceiptKey(public, signing.fingerprint(public))


@operation()
def show(asks: Asks, node: Node, id: str) -> ShownReceipt:
    """One receipt as it stands now, by its id or reference, signed: anybody can verify it who has
    the home's key.
    """
    one = _found(asks, node, id)
    node.sequencer.run()
    steps = _steps(node, [one])[one.id]
    known = reference_of(node, one.id)
    if isinstance(one, Receipt):
        signed = _sign(asks, node, one, steps)
        return ShownReceipt(signed, known, steps, [*_left(node, one)], [])
    if one.receipt is None:
        raise InputError("this erasure has no receipt yet.", hint="it is under way; ask again")
    parts = [receipt(node, part) for part in node.receipts.parts(one.id)]
    return ShownReceipt(one.receipt, known, steps, [], parts)


@operation()
def proof(asks: Asks, node: Node, id: str, step: str | None = None) -> Proved:
    """The proof of a receipt, by its id or reference: of its latest step, or of one by name."""
    return proved(node, entry_of(node, _found(asks, node, id), step))


def named(node: Node, receipt_id: str) -> Receipt | Erasure:
    """The receipt with this id, or the person's erasure.

    Raises:
        InputError: code `not_found`, there is none.
    """
    return node.erasures.rows.get(receipt_id) or node.receipts.get(receipt_id)


def entry_of(node: Node, one: Receipt | Erasure, step: str | None = None) -> int:
    """The number of the entry that is a step of a receipt, or its latest.

    Raises:
        InputError: code `not_found`, it has no such step.
    """
    entries = {one.state: one.entry for one in _steps(node, [one])[one.id] if one.entry is not None}
    number = entries.get(step) if step is not None else max(entries.values(), default=None)
    if number is None:
        raise InputError(
            "the receipt has no such step on record.",
            code="not_found",
            hint=f"it has: {', '.join(entries) or 'none'}",
        )
    return number


def proved(node: Node, number: int) -> Proved:
    """The proof of an entry, under a checkpoint that is made now if it is not in the last one."""
    node.sequencer.run()
    node.cosigning.run()
    made, payload = prove(node.data, node.sequencer.folder, node.cosigning.trust, number)
    return Proved(number, made.index, payload.decode(), made.data.decode())


def receipt(node: Node, one: Receipt) -> ReceiptSummary:
    """A receipt as it is shown."""
    return ReceiptSummary(
        one.id,
        one.kind,
        one.subject,
        one.data_class,
        one.by,
        one.state,
        {state: at for state, at in one.moments.items() if at is not None},
        [state for state, at in one.moments.items() if at is None and state != DEFERRED],
        reference_of(node, one.id),
    )


def erasure(node: Node, one: Erasure) -> ErasureSummary:
    """A person's erasure as it is shown."""
    return ErasureSummary(
        one.id,
        one.person_id,
        one.account_id,
        one.state,
        one.requested_at,
        one.requested_by,
        one.finished_at,
        one.receipt,
        reference_of(node, one.id),
    )


def reference_of(node: Node, receipt_id: str) -> str:
    """The reference of a receipt, or of a person's erasure."""
    return reference.reference(node.keyring.secret(reference.KEY), receipt_id)


def _found(asks: Asks, node: Node, given: str) -> Receipt | Erasure:
    """The receipt of a reference; of an id only if who asks may see it.

    Raises:
        InputError: code `not_found`.
    """
    referred = reference.id_of(node.keyring.secret(reference.KEY), given)
    if referred is not None:
        return named(node, referred)
    whose = asked_for(asks, node, None, Permission.RETENTION_READ)
    one = named(node, given)
    if whose is None:
        return one
    if isinstance(one, Erasure) or not node.receipts.is_of(one, whose):
        raise InputError("there is no such receipt.", code="not_found")
    return one


def _steps(node: Node, some: Sequence[Receipt | Erasure]) -> dict[str, list[Step]]:
    """The steps of each of these, by their ids, in order."""
    entries: dict[tuple[object, str], tuple[int, int | None, datetime]] = {}
    subjects = [one.subject if isinstance(one, Receipt) else one.person_id for one in some]
    for entry in sorted(node.ledger.about(subjects), key=lambda entry: entry.number):
        of = entry.body.get("receipt") or entry.body.get("erasure")
        state = entry.kind.rpartition(".")[2].removeprefix("erasure_")
        entries[of, state] = entry.number, entry.leaf, entry.at
    return {one.id: [*_steps_of(one, entries)] for one in some}


def _steps_of(
    one: Receipt | Erasure, entries: Mapping[tuple[object, str], tuple[int, int | None, datetime]]
) -> Iterator[Step]:
    if isinstance(one, Receipt):
        for state, at in one.moments.items():
            if at is not None:
                number, leaf, _ = entries.get((one.id, state), (None, None, None))
                yield Step(state, at, number, leaf)
        return
    for (of, state), (number, leaf, at) in entries.items():
        if of == one.id:
            yield Step(state, at, number, leaf)


def _sign(asks: Asks, node: Node, one: Receipt, steps: list[Step]) -> dict[str, object]:
    said = asdict(receipt(node, one)) | {"steps": steps, "left": [*_left(node, one)]}
    plain: dict[str, object] = codec.plain(said)
    whole = {"type": _SIGNED, "issued": asks.at.isoformat(), **plain}
    return signing.sign(node.keyring.secret(signing.NAME), whole)


def _left(node: Node, one: Receipt) -> Iterator[LeftOver]:
    """What is left now of what a receipt is of, and why."""
    if one.state == DEFERRED:
        yield LeftOver(
            "held", 1, "all of it, unreadable but for the matter", "a legal hold",
            "the last hold is released",
        )  # fmt: skip
    elif one.key_destroyed_at is None and not node.keyring.overwrites:
        yield LeftOver(
            "under_way", 1, "its key, in pages and the log of the database, and copies of them",
            "the root that wraps it there has not been replaced since", "the next rotation",
        )  # fmt: skip
    elif one.key_destroyed_at is None:
        yield LeftOver("under_way", 1, "its key", "the destruction is under way", "a few minutes")
    elif one.state == KEY_DESTROYED:
        yield LeftOver(
            "older_keys", 1, "its key, in copies of the keyring from before",
            "the root that wraps it there has not been replaced since",
            "the next rotation; copies that have keyring and root together are the operator's",
        )  # fmt: skip
    if segments := node.receipts.waits_for(one.id):
        yield LeftOver(
            "segments", segments, f"ciphertext that no key opens, in files of records: {segments}",
            "records that are kept lie in the same files", "the last of those goes",
        )  # fmt: skip


OPERATIONS: Final[Mapping[str, Function]] = {
    "retention.receipts": list_,
    "receipts.list": list_erasures,
    "receipts.key": key,
    "receipts.show": show,
    "receipts.proof": proof,
}
