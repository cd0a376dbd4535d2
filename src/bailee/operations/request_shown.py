"""Requests as they are shown, and who may see and work on them: what `requests` and `request_work`
share.

Rows: R6.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bailee.accounts.roles import Permission
from bailee.cases import Case, CaseKind, CaseState
from bailee.errors import BaileeError, InputError
from bailee.node import Node, subjects
from bailee.node.subjects import DataSubject
from bailee.operations import receipts
from bailee.operations.asks import Asks
from bailee.operations.inventory import HeldPart, HeldThings, parts_on_hold


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A request as lists show it. `state`: `open`, `on_hold` (it is open, and a legal hold keeps a
    part of what is to be erased), `answered` or `refused`. `email`: None, it was let go, or who
    asks sees no names. `receipt`: the reference of the erasure it led to. `handler`: the email of
    who works on it, for operators.
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
    handler: str | None


@dataclass(frozen=True, slots=True)
class RequestStep:
    """A step that was taken: when, by whom (an id; for operators their email too), and why, where
    that was said.
    """

    step: str
    at: datetime
    by: str
    reason: str | None
    name: str | None


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


def worker_of(asks: Asks, node: Node) -> str:
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


def worked_on(asks: Asks, node: Node, given: str) -> tuple[Case, str]:
    """A request, and the id of the operator who works on it. Errors as in `_worker`, `_named`."""
    by = worker_of(asks, node)
    return named(asks, node, given), by


def named(asks: Asks, node: Node, given: str) -> Case:
    """A request by its reference; to an operator, by the email of who asks too, where that is one.

    Raises:
        InputError: code `not_found`; or there are several of this email.
    """
    if "@" not in given or not asks.actor.operator:
        return node.cases.get(given)
    found = node.cases.of_email(given)
    found = [one for one in found if one.state is CaseState.OPEN] or found
    if len(found) > 1:
        raise InputError(
            "there are several requests of this email.",
            hint="name one by its reference: bailee requests list --email EMAIL",
        )
    if not found:
        raise InputError("there is no request of this email.", code="not_found")
    return found[0]


def own_id(asks: Asks, node: Node) -> str:
    """The id of the person who asks for what is theirs."""
    own = asks.actor.person_id
    if own is None:
        raise InputError("requests are a person's own.", code="authentication")
    node.registry.authority.require_for_person(asks.actor, Permission.REQUEST_READ, own)
    return own


def readable(asks: Asks, node: Node, given: str) -> Case:
    """A request that who asks may see; of another's it is said that there is none."""
    case, by = named(asks, node, given), asks.actor
    if by.person_id is not None and by.person_id == case.person_id:
        own_id(asks, node)
    elif by.operator or node.registry.authority.is_auditor(by):
        asks.require(node, Permission.REQUEST_READ)
    else:
        own_id(asks, node)
        raise InputError("there is no such request.", code="not_found")
    return case


def sees_names(asks: Asks, node: Node, case: Case) -> bool:
    """Whether who asks sees whose a request is: an auditor sees their own alone."""
    own = asks.actor.person_id is not None and asks.actor.person_id == case.person_id
    return own or not node.registry.authority.is_auditor(asks.actor)


def name_of(asks: Asks, node: Node, by: str) -> str | None:
    """The email of who took a step, as operators see it; None: nobody who is here now."""
    if not asks.actor.operator or not by.startswith("per_"):
        return None
    with suppress(BaileeError):  # a row that is damaged hides no step
        return node.registry.people.get(by).email
    return None


def person_of(node: Node, case: Case) -> str | None:
    """Who asks: who had the email when the request was opened, or has it now."""
    if case.person_id is not None or case.particulars is None:
        return case.person_id
    found = node.registry.people.by_email(case.particulars.email)
    return None if found is None else found.person_id


def subject_of(node: Node, case: Case) -> DataSubject | None:
    """Whose data a request is about; None: nobody who is here has its email."""
    person = person_of(node, case)
    if person is None:
        return None
    found = subjects.find(node.registry.people, node.accounts, person)
    return None if found.person is None or found.person.erased_at is not None else found


def on_hold(asks: Asks, node: Node, case: Case) -> list[HeldPart]:
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
    subject = subject_of(node, case)
    return [] if subject is None else parts_on_hold(node, subject, asks.at)


def summary(asks: Asks, node: Node, case: Case) -> RequestSummary:
    """A request as lists show it."""
    names = sees_names(asks, node, case)
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
        name_of(asks, node, case.handled_by),
    )
