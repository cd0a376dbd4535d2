"""What can be asked of a home about people's requests: opening, working on and answering them.

Rules kept here:

* A person opens requests about themselves, and sees how theirs stand. An operator opens them for
  whoever has written, and works on all of them. An auditor sees that they are there and when they
  are due, and nobody's name.
* Who works on one has a name: an operator who has signed in, or who says who they are at the
  terminal. The home alone is nobody.
* What is done for a request goes by the operation that does it otherwise, and is on record there
  too. The request is noted after it: what is noted as done is done.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from bailee.accounts.roles import Permission
from bailee.accounts.staff import worded
from bailee.cases import Case, CaseKind, CaseState
from bailee.cases.letter import Letter, LetterFacts, letter_of
from bailee.db.pages import place
from bailee.errors import InputError
from bailee.json_values import elements
from bailee.node import Node, subjects
from bailee.node.subjects import DataSubject
from bailee.operations import codec, erasure, holds, pages, receipts
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.erasure import ArchivePiece, ArchiveProgress
from bailee.operations.holds import HoldSummary
from bailee.operations.inventory import HeldPart, HeldThings, inventory, parts_on_hold
from bailee.operations.operation import operation
from bailee.operations.receipts import ErasureSummary
from bailee.policy.document import Language

_LONGEST: Final = 5000
_LEAD: Final = timedelta(days=366)
"""How long ago a request that is opened now may have come."""


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A request as lists show it. `state`: `open`, `on_hold` (it is open, and a legal hold keeps a
    part of what is to be erased), `answered` or `refused`. `email`: None, it was let go, or who
    asks sees no names. `receipt`: the reference of the erasure it led to.
    """

    request: str
    kind: CaseKind
    state: str
    overdue: bool
    email: str | None
    person: str | None
    received: datetime
    due: datetime
    extended: datetime | None
    exported: datetime | None
    answered: datetime | None
    closed: datetime | None
    kept_until: datetime | None
    clause: str | None
    handled_by: str
    erasure: str | None
    receipt: str | None


@dataclass(frozen=True, slots=True)
class RequestStep:
    """A step that was taken: when, by whom (an id), and why, where that was said."""

    step: str
    at: datetime
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class RequestDetails(RequestSummary):
    """A request with what was asked, its steps, and what of it is under a legal hold."""

    said: str
    steps: list[RequestStep]
    on_hold: list[HeldPart]


@dataclass(frozen=True, slots=True)
class RequestInventory:
    """What is held about who asks, at a moment. `earlier`: their other requests, also from before
    an erasure, with what came of them.
    """

    request: str
    at: datetime
    person: str | None
    things: list[HeldThings]
    on_hold: list[HeldPart]
    earlier: list[RequestSummary]


@operation()
def open_(
    asks: Asks,
    node: Node,
    kind: CaseKind,
    email: str | None = None,
    *,
    received: datetime | None = None,
    said: str = "",
) -> RequestSummary:
    """Open a request: for oneself, or, as an operator, of whoever wrote from an email, on the day
    on which it came.
    """
    by, now = asks.actor, asks.due
    if len(said) > _LONGEST:
        raise InputError(f"what was asked has at most {_LONGEST} characters.")
    if by.operator and email is not None:
        worker = _worker(asks, node)
        found = node.registry.people.by_email(email)
        person_id = None if found is None else found.person_id
    else:
        worker = person_id = by.person_id or ""
        if not worker:
            raise InputError("no email was given.", hint="give the email of who asks")
        node.registry.authority.require_for_person(by, Permission.REQUEST_OPEN, person_id)
        own = node.registry.people.get(person_id).email
        if own is None or (
            email is not None and node.cases.digest(email) != node.cases.digest(own)
        ):
            raise InputError("a request is opened for oneself.", code="forbidden")
        email, received = own, None
    at = now if received is None else received
    if at.tzinfo is None or not now - _LEAD <= at <= now:
        raise InputError("a request came within the last year, and not later than now.")
    made = node.cases.open(kind, email, person_id, received=at, said=said, by=worker)
    return _summary(asks, node, made)


@operation()
def list_(
    asks: Asks,
    node: Node,
    *,
    all: bool = False,
    email: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
) -> Page[RequestSummary]:
    """The open requests, what is due first at the front; all of them; or those of an email, also of
    somebody who was erased. Who is no operator sees their own.
    """
    by = asks.actor
    if not by.operator and not node.registry.authority.is_auditor(by):
        own = _self(asks, node)
        return Page([_summary(asks, node, one) for one in node.cases.of_person(own)][:limit])
    asks.require(node, Permission.REQUEST_READ)
    if email is not None:
        asks.require(node, Permission.REQUEST_WORK)
        return Page([_summary(asks, node, one) for one in node.cases.of_email(email)][:limit])
    found = node.cases.page(limit + 1, after, open_only=not all)
    return pages.page(
        found, limit, lambda one: _summary(asks, node, one), lambda one: place(one.due_at, one.id)
    )


@operation()
def show(asks: Asks, node: Node, id: str) -> RequestDetails:
    """One request, by its reference: what was asked, and each step."""
    case = _readable(asks, node, id)
    names = not node.registry.authority.is_auditor(asks.actor)
    said = "" if case.particulars is None or not names else case.particulars.said
    steps = [
        RequestStep(
            leaf.kind.partition(".")[2],
            leaf.at,
            str(leaf.body.get("by")),
            str(leaf.body["reason"]) if names and leaf.body.get("reason") else None,
        )
        for leaf in sorted(node.ledger.about([case.id]), key=lambda leaf: leaf.number)
    ]
    return extended(
        RequestDetails,
        _summary(asks, node, case),
        said=said,
        steps=steps,
        on_hold=_on_hold(asks, node, case) if asks.actor.operator else [],
    )


@operation()
def look(asks: Asks, node: Node, id: str) -> RequestInventory:
    """Everything that is held about who asks, by counts. While the request is open, what is found
    stands in its answer.
    """
    case, by = node.cases.get(id), _worker(asks, node)
    things = _things(asks, node, case)
    if case.state is CaseState.OPEN and (case.erasure_id is None or not _held(case)):
        node.cases.looked(case, elements(codec.plain(things)), by=by)
    email = None if case.particulars is None else case.particulars.email
    others = [] if email is None else node.cases.of_email(email)
    return RequestInventory(
        case.id,
        asks.at,
        _person_of(node, case),
        things,
        _on_hold(asks, node, case),
        [_summary(asks, node, one) for one in others if one.id != case.id],
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
    case, by = node.cases.get(id), _worker(asks, node)
    named = {"session": session, "report": report, "cloud_session": cloud_session}
    subject = _subject(node, case)
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
    case, by = node.cases.get(id), _worker(asks, node)
    subject = _subject(node, case)
    if subject is None:
        raise InputError("there is no account by this email.", code="not_found")
    pieces = erasure.export(asks, node, subject.id)
    node.cases.exported(case, asks.due, by=by)
    return pieces


@operation(makes_room=True)
def erase(asks: Asks, node: Node, id: str) -> ErasureSummary:
    """Erase who asks for it. What was held is noted for the answer before."""
    case, by = node.cases.get(id), _worker(asks, node)
    if case.kind is not CaseKind.ERASURE:
        raise InputError(
            f"this request is one for {case.kind}, not for an erasure.",
            hint="open another for the erasure, if that is what they want",
        )
    subject = _subject(node, case)
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
    case, by = node.cases.get(id), _worker(asks, node)
    if len(done) > _LONGEST:
        raise InputError(f"what was done has at most {_LONGEST} characters.")
    ground = None if refuse is None else worded(refuse, "refusing a request")
    if ground is None:
        case = _ready(asks, node, case, done, by)
    made = node.cases.answer(case, asks.due, by=by, done=done, ground=ground)
    return _summary(asks, node, made)


@operation()
def extend(asks: Asks, node: Node, id: str) -> RequestSummary:
    """Put a request off, once, for a reason that the person is told."""
    case, by = node.cases.get(id), _worker(asks, node)
    reason = worded(asks.reason or "", "putting a request off")
    return _summary(asks, node, node.cases.extend(case, asks.due, reason, by=by))


@operation(makes_room=True)
def close(asks: Asks, node: Node, id: str) -> RequestSummary:
    """Let go of what names the person in an answered request: its letter can't be written again."""
    case, by = node.cases.get(id), _worker(asks, node)
    return _summary(asks, node, node.cases.close(case, asks.due, by=by))


@operation()
def letter(
    asks: Asks,
    node: Node,
    id: str,
    language: Language = "en",
    form: Literal["text", "html"] = "text",
) -> Letter:
    """The answer as a letter, in English or Chinese. Of an open request it is a draft; of one that
    was put off, until it is answered, the notice of that.
    """
    case = _readable(asks, node, id)
    if node.registry.authority.is_auditor(asks.actor):
        raise InputError("a letter names whom it is to.", code="forbidden")
    if not asks.actor.operator and case.state is CaseState.OPEN and case.extended_at is None:
        raise InputError("the request is not answered yet.", code="not_found")
    if case.particulars is None:
        raise InputError(
            "what names this person was let go, and the letter with it.", code="not_found"
        )
    settings, shown = node.settings, _summary(asks, node, case)
    clauses = {one.id: one.text.of(language) for one in node.policy.document.every_clause}
    facts = LetterFacts(
        case,
        asks.at,
        [] if case.particulars.held is None else case.particulars.held,
        shown.receipt,
        settings.text("requests.contact") or "",
        settings.text("requests.authority") or "",
        settings.text("console.url") or "",
        clauses,
        [one.subject for one in _on_hold(asks, node, case)],
    )
    return letter_of(facts, language, form)


# -- inside --------------------------------------------------------------------------------------


def _worker(asks: Asks, node: Node) -> str:
    """The id of the operator who works on a request.

    Raises:
        InputError: `forbidden`; or it is nobody with a name.
    """
    asks.require(node, Permission.REQUEST_WORK)
    if asks.actor.person_id is None:
        raise InputError(
            "a request is worked on by a person with a name, which goes on record.",
            code="forbidden",
            hint="at the terminal, say which operator you are: --as EMAIL; in the console, sign in "
            "as yourself. Somebody is made one by `bailee person create --operator`",
        )
    return asks.actor.person_id


def _self(asks: Asks, node: Node) -> str:
    own = asks.actor.person_id
    if own is None:
        raise InputError("requests are a person's own.", code="authentication")
    node.registry.authority.require_for_person(asks.actor, Permission.REQUEST_READ, own)
    return own


def _readable(asks: Asks, node: Node, given: str) -> Case:
    """A request that who asks may see; of another's it is said that there is none."""
    case, by = node.cases.get(given), asks.actor
    if by.operator or node.registry.authority.is_auditor(by):
        asks.require(node, Permission.REQUEST_READ)
    elif _self(asks, node) != case.person_id:
        raise InputError("there is no such request.", code="not_found")
    return case


def _person_of(node: Node, case: Case) -> str | None:
    """Who asks: who had the email when the request was opened, or has it now."""
    if case.person_id is not None or case.particulars is None:
        return case.person_id
    found = node.registry.people.by_email(case.particulars.email)
    return None if found is None else found.person_id


def _subject(node: Node, case: Case) -> DataSubject | None:
    person = _person_of(node, case)
    if person is None:
        return None
    found = subjects.find(node.registry.people, node.accounts, person)
    return None if found.person is None or found.person.erased_at is not None else found


def _is_theirs(asks: Asks, node: Node, subject: DataSubject, thing: str) -> bool:
    account = None if subject.account is None else subject.account.account_id
    mine = set() if account is None else {*node.vault.owned_ids(account)}
    mine |= {one.id for one in node.reports.of(subject.whose, asks.at)}
    if account is not None:
        mine |= {one.id for one in node.cloud.all(account)}
    return thing in mine


def _things(asks: Asks, node: Node, case: Case) -> list[HeldThings]:
    subject = _subject(node, case)
    return [] if subject is None else inventory(node, subject, asks.at)


def _held(case: Case) -> bool:
    return case.particulars is not None and case.particulars.held is not None


def _on_hold(asks: Asks, node: Node, case: Case) -> list[HeldPart]:
    """What of who asks is under a legal hold; of an erasure that has begun, what it deferred."""
    if case.erasure_id is not None:
        return [
            HeldPart(
                node.holds.keeper(one.subject).what,
                one.subject,
                [hold.id for hold in node.holds.holding(one.subject)],
            )
            for one in node.receipts.parts(case.erasure_id)
            if one.state == "deferred"
        ]
    subject = _subject(node, case)
    return [] if subject is None else parts_on_hold(node, subject, asks.at)


def _ready(asks: Asks, node: Node, case: Case, done: str, by: str) -> Case:
    """A request of which everything is done that its answer says.

    Raises:
        InputError: something is not.
    """
    subject = _subject(node, case)
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


def _summary(asks: Asks, node: Node, case: Case) -> RequestSummary:
    names = not node.registry.authority.is_auditor(asks.actor)
    erased = None if case.erasure_id is None else node.erasures.rows.get(case.erasure_id)
    state: str = case.state
    if case.state is CaseState.OPEN and erased is not None and erased.state == "deferred":
        state = "on_hold"
    return RequestSummary(
        case.id,
        case.kind,
        state,
        case.state is CaseState.OPEN and asks.at > case.due_at,
        case.particulars.email if names and case.particulars is not None else None,
        case.person_id,
        case.received_at,
        case.due_at,
        case.extended_at,
        case.exported_at,
        case.answered_at,
        case.closed_at,
        case.expires_at,
        case.clause,
        case.handled_by,
        case.erasure_id,
        None if case.erasure_id is None else receipts.reference_of(node, case.erasure_id),
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "requests.open": open_,
    "requests.list": list_,
    "requests.show": show,
    "requests.inventory": look,
    "requests.hold": hold,
    "requests.export": export,
    "requests.erase": erase,
    "requests.answer": answer,
    "requests.extend": extend,
    "requests.close": close,
    "requests.letter": letter,
}
