"""What an officer does for a request: looking up, holding, copying, erasing, answering.

Rules kept here:

* What is done goes by the operation that does it otherwise, and is on record there too. The request
  is noted after it: what is noted as done is done.
* An answer says nothing that was not done: an erasure is begun before it, a copy made.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bailee.accounts.staff import worded
from bailee.cases import Case, CaseKind, CaseState
from bailee.errors import InputError
from bailee.json_values import elements
from bailee.node import Node
from bailee.node.subjects import DataSubject
from bailee.operations import codec, erasure, holds
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.erasure import ArchivePiece, ArchiveProgress
from bailee.operations.holds import HoldSummary
from bailee.operations.inventory import HeldThings, inventory
from bailee.operations.operation import operation
from bailee.operations.receipts import ErasureSummary
from bailee.operations.request_shown import (
    RequestInventory,
    RequestSummary,
    on_hold,
    person_of,
    subject_of,
    summary,
    worked_on,
)

_LONGEST: Final = 5000


@operation()
def look(asks: Asks, node: Node, id: str) -> RequestInventory:
    """Everything that is held about who asks, by counts. While the request is open, what is found
    stands in its answer.
    """
    case, by = worked_on(asks, node, id)
    things = _things(asks, node, case)
    if case.state is CaseState.OPEN and (case.erasure_id is None or not _held(case)):
        node.cases.looked(case, elements(codec.plain(things)), by=by)
    email = None if case.particulars is None else case.particulars.email
    others = [] if email is None else node.cases.of_email(email)
    return RequestInventory(
        case.id,
        asks.at,
        person_of(node, case),
        things,
        on_hold(asks, node, case),
        [summary(asks, node, one) for one in others if one.id != case.id],
    )


@operation()
def hold(
    asks: Asks,
    node: Node,
    id: str,
    reason: str,
    *,
    session: str | None = None,
    report: str | None = None,
    cloud_session: str | None = None,
) -> HoldSummary:
    """Put a part of what the request is about under a legal hold, so that an erasure leaves it,
    unreadable, until the matter is over.
    """
    case, by = worked_on(asks, node, id)
    named = {"session": session, "report": report, "cloud_session": cloud_session}
    subject = subject_of(node, case)
    thing = next((one for one in named.values() if one is not None), None)
    if subject is None or thing is None or not _is_theirs(asks, node, subject, thing):
        raise InputError(
            "this is nothing of who asks.", code="not_found", hint="hold it without a request"
        )
    made = holds.place(asks, node, reason, **named)
    node.cases.held(case, made.hold, by=by)
    return made


@operation()
def export(asks: Asks, node: Node, id: str) -> Iterator[ArchivePiece | ArchiveProgress]:
    """A copy of everything that is held about who asks, as the pieces of a ZIP archive, to be given
    to them.
    """
    case, by = worked_on(asks, node, id)
    subject = subject_of(node, case)
    if subject is None:
        raise InputError("there is no account by this email.", code="not_found")
    pieces = erasure.export(asks, node, subject.id)
    node.cases.exported(case, asks.due, by=by)
    return pieces


@operation(makes_room=True)
def erase(asks: Asks, node: Node, id: str) -> ErasureSummary:
    """Erase who asks for it. What was held is noted for the answer before."""
    case, by = worked_on(asks, node, id)
    if case.kind is not CaseKind.ERASURE:
        raise InputError(
            f"this request is one for {case.kind}, not for an erasure.",
            hint="open another for the erasure, if that is what they want",
        )
    subject = subject_of(node, case)
    if subject is None or case.state is not CaseState.OPEN:
        raise InputError("there is nobody to erase by this email.", code="not_found")
    if case.erasure_id is None:
        node.cases.looked(case, elements(codec.plain(_things(asks, node, case))), by=by)
    return erasure.erase(asks, node, subject.id)


@operation()
def answer(
    asks: Asks, node: Node, id: str, done: str = "", *, refuse: str | None = None
) -> RequestSummary:
    """Answer a request, or refuse it on a ground. `done` stands in the letter: what was corrected,
    what became of an objection.
    """
    case, by = worked_on(asks, node, id)
    if len(done) > _LONGEST:
        raise InputError(f"what was done has at most {_LONGEST} characters.")
    ground = None if refuse is None else worded(refuse, "refusing a request")
    if ground is None:
        case = _ready(asks, node, case, done, by)
    made = node.cases.answer(case, asks.due, by=by, done=done, ground=ground)
    return summary(asks, node, made)


@operation()
def extend(asks: Asks, node: Node, id: str) -> RequestSummary:
    """Put a request off, once, for a reason that the person is told."""
    case, by = worked_on(asks, node, id)
    reason = worded(asks.reason or "", "putting a request off")
    return summary(asks, node, node.cases.extend(case, asks.due, reason, by=by))


@operation(makes_room=True)
def close(asks: Asks, node: Node, id: str) -> RequestSummary:
    """Let go of what names the person in an answered request: its letter can't be written again."""
    case, by = worked_on(asks, node, id)
    return summary(asks, node, node.cases.close(case, asks.due, by=by))


# -- inside --------------------------------------------------------------------------------------


def _is_theirs(asks: Asks, node: Node, subject: DataSubject, thing: str) -> bool:
    account = None if subject.account is None else subject.account.account_id
    mine = set() if account is None else {*node.vault.owned_ids(account)}
    mine |= {one.id for one in node.reports.of(subject.whose, asks.at)}
    if account is not None:
        mine |= {one.id for one in node.cloud.records.all(account)}
    return thing in mine


def _things(asks: Asks, node: Node, case: Case) -> list[HeldThings]:
    subject = subject_of(node, case)
    return [] if subject is None else inventory(node, subject, asks.at)


def _held(case: Case) -> bool:
    return case.particulars is not None and case.particulars.held is not None


def _ready(asks: Asks, node: Node, case: Case, done: str, by: str) -> Case:
    """A request of which everything is done that its answer says.

    Raises:
        InputError: something is not.
    """
    subject = subject_of(node, case)
    if case.kind is CaseKind.ERASURE and case.erasure_id is None and subject is not None:
        raise InputError("the erasure has not been done.", hint=f"bailee requests erase {case.id}")
    copy = case.kind in (CaseKind.ACCESS, CaseKind.PORTABILITY)
    if copy and subject is not None and case.exported_at is None:
        raise InputError(
            "no copy has been made for it.", hint=f"bailee requests export {case.id} -o FILE"
        )
    if case.kind in (CaseKind.CORRECTION, CaseKind.OBJECTION) and not done.strip():
        raise InputError("the answer does not say what was done.", hint="say it with --done")
    if not _held(case):
        return node.cases.looked(case, elements(codec.plain(_things(asks, node, case))), by=by)
    return case


OPERATIONS: Final[Mapping[str, Function]] = {
    "requests.inventory": look,
    "requests.hold": hold,
    "requests.export": export,
    "requests.erase": erase,
    "requests.answer": answer,
    "requests.extend": extend,
    "requests.close": close,
}
