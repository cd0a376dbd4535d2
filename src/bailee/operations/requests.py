"""What can be asked of a home about people's requests: opening, working on and answering them.

Rules kept here:

* A person opens requests about themselves, and sees how theirs stand. An operator opens them for
  whoever has written, and works on all of them. An auditor sees that they are there and when they
  are due, and nobody's name.
* Who works on one has a name: an operator who has signed in, or who says who they are at the
  terminal. The home alone is nobody.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from bailee.accounts.roles import Permission
from bailee.cases import CaseKind, CaseState
from bailee.cases.letter import Letter, LetterFacts, LetterForm, letter_of
from bailee.db.pages import place
from bailee.errors import InputError
from bailee.json_values import objects, text
from bailee.node import Node
from bailee.node.bounded import keys_open
from bailee.operations import pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.operation import operation
from bailee.operations.request_shown import (
    RequestDetails,
    RequestStep,
    RequestSummary,
    name_of,
    on_hold,
    own_id,
    readable,
    sees_names,
    summary,
    worker_of,
)
from bailee.policy.document import Language

_LONGEST: Final = 5000
_LEAD: Final = timedelta(days=366)
"""How long ago a request that is opened now may have come."""


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
        worker = worker_of(asks, node)
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
    return summary(asks, node, made)


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
        return Page(mine(asks, node)[:limit])
    asks.require(node, Permission.REQUEST_READ)
    if email is not None:
        asks.require(node, Permission.REQUEST_WORK)
        return Page([summary(asks, node, one) for one in node.cases.of_email(email)][:limit])
    found = node.cases.page(limit + 1, after, open_only=not all)
    return pages.page(
        found, limit, lambda one: summary(asks, node, one), lambda one: place(one.due_at, one.id)
    )


@operation()
def mine(asks: Asks, node: Node) -> list[RequestSummary]:
    """Your own requests, the newest first, also where you are an operator."""
    own = own_id(asks, node)
    return [summary(asks, node, one) for one in node.cases.of_person(own)]


@operation()
def show(asks: Asks, node: Node, id: str) -> RequestDetails:
    """One request, by its reference, or the email of who asks: what was asked, and each step."""
    case = readable(asks, node, id)
    names = sees_names(asks, node, case)
    said = "" if case.particulars is None or not names else case.particulars.said
    steps = [
        RequestStep(
            leaf.kind.partition(".")[2],
            leaf.at,
            str(leaf.body.get("by")),
            str(leaf.body["reason"]) if names and leaf.body.get("reason") else None,
            name_of(asks, node, str(leaf.body.get("by"))),
        )
        for leaf in sorted(node.ledger.about([case.id]), key=lambda leaf: leaf.number)
    ]
    return extended(
        RequestDetails,
        summary(asks, node, case),
        said=said,
        steps=steps,
        on_hold=on_hold(asks, node, case) if asks.actor.operator else [],
    )


@operation()
def letter(
    asks: Asks,
    node: Node,
    id: str,
    language: Language = "en",
    form: LetterForm = "text",
) -> Letter:
    """The answer as a letter, in English or Chinese. Of an open request it is a draft; of one that
    was put off, until it is answered, the notice of that.
    """
    case = readable(asks, node, id)
    if not sees_names(asks, node, case):
        raise InputError("a letter names whom it is to.", code="forbidden")
    if not asks.actor.operator and case.state is CaseState.OPEN and case.extended_at is None:
        raise InputError("the request is not answered yet.", code="not_found")
    if case.particulars is None:
        raise InputError(
            "what names this person was let go, and the letter with it.", code="not_found"
        )
    settings, shown = node.settings, summary(asks, node, case)
    held = [] if case.particulars.held is None else case.particulars.held
    clauses = _clauses(node, {text(one.get("whose")) for one in objects(held)}, language)
    facts = LetterFacts(
        case,
        asks.at,
        held,
        shown.receipt,
        settings.text("requests.contact") or "",
        settings.text("requests.authority") or "",
        settings.text("console.url") or "",
        clauses,
        [one.subject for one in on_hold(asks, node, case)],
        keys_open(node, language).snapshots,
    )
    return letter_of(facts, language, form)


def _clauses(node: Node, whose: Iterable[str | None], language: Language) -> dict[str, str]:
    """The texts of the policy's clauses, and of the own ones of these; none of two that differ."""
    owns = [node.holding.of(one).policy.own for one in whose if one]
    found: dict[str, str] = {}
    for clause in (clause for own in owns if own is not None for clause in own.every_clause):
        said = clause.text.of(language)
        found[clause.id] = said if found.get(clause.id, said) == said else clause.id
    document = node.policy.document
    return found | {one.id: one.text.of(language) for one in document.every_clause}


OPERATIONS: Final[Mapping[str, Function]] = {
    "requests.open": open_,
    "requests.list": list_,
    "requests.mine": mine,
    "requests.show": show,
    "requests.letter": letter,
}
