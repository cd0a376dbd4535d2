"""Everything that is held about somebody, counted: what, whose it is, from when, until when, by
which clause, and who decides what becomes of it.

Rules kept here:

* Nothing is read of what was said: counts, moments, and the clauses that were decided by.
* One kind that can't be looked at does not spoil the others: it is there with what is wrong.
* What is nobody's is said too, with why: metrics and errors carry no name, so nothing leads from a
  person to theirs.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bailee.errors import BaileeError
from bailee.node import Node, subjects
from bailee.node.subjects import DataSubject
from bailee.operations import training
from bailee.usage.counts import UsageOf

_NEWEST: Final = 100
_MONTH, _MONTHS = timedelta(days=30), 14


class Decides(StrEnum):
    """Who decides what becomes of something."""

    PERSON = "person"
    ORGANISATION = "organisation"
    OPERATOR = "operator"
    NOBODY = "nobody"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class HeldThings:
    """Things of one sort. `what`: a code; `whose`: the person's id, or the organisation's whose
    they are. `until`: when the last of them goes by time alone; None: not by time. `clause`: of the
    policy, by which they are kept; "": none speaks of them. `held`: how many are under a legal
    hold. `problem`: why they could not be looked at.
    """

    what: str
    whose: str
    count: int
    oldest: datetime | None
    newest: datetime | None
    until: datetime | None
    clause: str
    decides: Decides
    held: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class HeldPart:
    """Something that is under a legal hold: what it is, and the holds on it."""

    what: str
    subject: str
    holds: list[str]


@dataclass(frozen=True, slots=True)
class _One:
    """One thing, before it is counted."""

    whose: str
    at: datetime | None = None
    last: datetime | None = None
    until: datetime | None = None
    clause: str = ""
    decides: Decides = Decides.PERSON
    subject: str = ""
    times: int = 1


def inventory(node: Node, subject: DataSubject, now: datetime) -> list[HeldThings]:
    """All that is held about somebody, by sorts. See `HeldThings`."""
    held = node.holds.held()
    sorts: dict[str, Callable[[], Iterable[_One]]] = {
        "account": lambda: _account(subject),
        "keys": lambda: _keys(node, subject),
        "ways_in": lambda: _ways_in(node, subject),
        "views": lambda: _views(node, subject),
        "organisations": lambda: _places(node, subject),
        "sessions": lambda: _sessions(node, subject),
        "sessions_elsewhere": lambda: _elsewhere(node, subject, now),
        "reports": lambda: _reports(node, subject, now),
        "cloud": lambda: _cloud(node, subject),
        "lists": lambda: _lists(node, subject),
        "usage": lambda: _usage(node, subject, now),
        "increases": lambda: _increases(node, subject, now),
        "consent": lambda: _consent(node, subject),
        "exports": lambda: _exports(node, subject),
        "receipts": lambda: _receipts(node, subject),
        "audit": lambda: _audit(node, subject),
        "requests": lambda: _requests(node, subject),
        "backups": lambda: _backups(node, subject),
        "telemetry": lambda: [_One("nobody", decides=Decides.NOBODY, times=0)],
    }
    found: list[HeldThings] = []
    for what, look in sorts.items():
        try:
            found += _counted(what, look(), held)
        except BaileeError as error:
            problem = f"{error.code}: {error.message}"
            nothing = (0, None, None, None, "", Decides.OPERATOR)
            found.append(HeldThings(what, subject.id, *nothing, problem=problem))
    return found


def parts_on_hold(node: Node, subject: DataSubject, now: datetime) -> list[HeldPart]:
    """What of somebody's own is under a legal hold, at most a hundred things."""
    held = node.holds.held()
    account = None if subject.account is None else subject.account.account_id
    looks: list[Callable[[], Iterable[str]]] = [
        lambda: [] if account is None else node.vault.owned_ids(account),
        lambda: [one.id for one in node.reports.of(subject.whose, now)],
        lambda: [] if account is None else [one.id for one in node.cloud.records.all(account)],
    ]
    found: list[str] = []
    for look in looks:
        with suppress(BaileeError):  # the inventory names what could not be looked at
            found += [one for one in look() if one in held]
    return [_part(node, one) for one in found[:_NEWEST]]


def _part(node: Node, subject: str) -> HeldPart:
    what = node.holds.keeper(subject).what
    return HeldPart(what, subject, [one.id for one in node.holds.holding(subject)])


def _counted(what: str, some: Iterable[_One], held: set[str]) -> Iterator[HeldThings]:
    sorted_: dict[tuple[str, str, Decides], list[_One]] = {}
    for one in some:
        sorted_.setdefault((one.whose, one.clause, one.decides), []).append(one)
    for (whose, clause, decides), ones in sorted_.items():
        moments = [at for one in ones for at in (one.at, one.last) if at is not None]
        ends = [one.until for one in ones if one.until is not None]
        yield HeldThings(
            what,
            whose,
            sum(one.times for one in ones),
            min(moments, default=None),
            max(moments, default=None),
            max(ends, default=None),
            clause,
            decides,
            sum(one.subject in held for one in ones),
        )


def _account(subject: DataSubject) -> Iterator[_One]:
    if subject.person is not None:
        yield _One(subject.id, subject.person.created_at)


def _keys(node: Node, subject: DataSubject) -> Iterator[_One]:
    for key, account in subjects.keys_of(node.accounts, subject):
        its = account.organisation_id
        whose, decides = (
            (subject.id, Decides.PERSON) if its is None else (its, Decides.ORGANISATION)
        )
        yield _One(whose, key.created_at, decides=decides)


def _ways_in(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.person is not None:
        person = subject.person.person_id
        for session in node.registry.web_sessions.of_person(person):
            yield _One(subject.id, session.created_at, session.last_used_at, session.ends_at)
        for passkey in node.registry.passkeys.of_person(person):
            yield _One(subject.id, passkey.created_at, passkey.last_used_at)
        for thing in node.registry.pending.of_person(person):
            yield _One(subject.id, thing.begun_at, until=thing.until)


def _views(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.person is not None:
        for view in node.registry.saved_views.of(subject.person.person_id):
            yield _One(subject.id, view.created_at)


def _places(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.person is not None:
        for place in node.registry.organisations.of_person(subject.person.person_id):
            yield _One(place.organisation_id, decides=Decides.ORGANISATION)


def _sessions(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.account is not None:
        for row in node.vault.owned(subject.account.account_id):
            until = max(row.expires_at, row.kept_until or row.expires_at)
            span = (row.started, row.last_activity, until)
            yield _One(subject.id, *span, row.clause, subject=row.id)


def _elsewhere(node: Node, subject: DataSubject, now: datetime) -> Iterator[_One]:
    for row in subjects.sessions_elsewhere(node.accounts, node.vault, subject, now):
        whose = node.accounts.get(row.owner).organisation_id or row.owner
        span = (row.started, row.last_activity, row.expires_at)
        yield _One(whose, *span, row.clause, Decides.ORGANISATION, row.id)


def _reports(node: Node, subject: DataSubject, now: datetime) -> Iterator[_One]:
    for report in node.reports.of(subject.whose, now):
        at, until = report.received_at, report.expires_at
        yield _One(subject.id, at, None, until, report.terms.clause, subject=report.id)


def _cloud(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.account is not None:
        for record in node.cloud.records.all(subject.account.account_id):
            for kept in node.cloud.holdings(record.id):
                span = (record.created_at, record.last_activity, kept.expires_at)
                yield _One(subject.id, *span, kept.terms.clause, subject=record.id)


def _lists(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.account is not None:
        account = subject.account.account_id
        for connection in node.git_connections.all(account):
            yield _One(subject.id, connection.created_at)
        for entry in node.network_lists.all(account):
            yield _One(subject.id, entry.created_at)


def _usage(node: Node, subject: DataSubject, now: datetime) -> Iterator[_One]:
    whose = (
        UsageOf(person=subject.id) if subject.person is not None else UsageOf(account=subject.id)
    )
    for number in range(_MONTHS, 0, -1):
        since, until = now - number * _MONTH, now - (number - 1) * _MONTH
        for row in node.usage.of(whose, since, until, ("day",), now):
            at = datetime.fromisoformat(str(row.group["day"])).replace(tzinfo=now.tzinfo)
            yield _One(subject.id, at, clause="retain.usage-count", decides=Decides.POLICY)


def _increases(node: Node, subject: DataSubject, now: datetime) -> Iterator[_One]:
    if subject.person is not None:
        for one in node.increases.of_person(subject.person.person_id, now):
            span, clause = (one.asked_at, one.decided_at, one.until), "retain.usage-count"
            yield _One(subject.id, *span, clause, Decides.POLICY)


def _consent(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.account is not None:
        for record in node.accounts.consent_records(subject.account.account_id):
            yield _One(subject.id, record.at, clause="state.consent-record", decides=Decides.POLICY)


def _exports(node: Node, subject: DataSubject) -> Iterator[_One]:
    if subject.account is not None:
        for one in training.exports_of(node, subject.account.account_id):
            yield _One(subject.id, one.finished, decides=Decides.OPERATOR)


def _receipts(node: Node, subject: DataSubject) -> Iterator[_One]:
    found = {}
    if subject.account is not None:
        rows = node.vault.owned_ids(subject.account.account_id)
        found = {one.id: one for one in node.receipts.about([*rows])}
        for one in node.receipts.of_owner(subject.account.account_id):
            found[one.id] = one
    for one in found.values():
        yield _One(subject.id, one.requested_at, decides=Decides.POLICY)


def _audit(node: Node, subject: DataSubject) -> Iterator[_One]:
    for leaf in subjects.entries(node.ledger, node.accounts, subject):
        yield _One(subject.id, leaf.at, decides=Decides.POLICY)


def _requests(node: Node, subject: DataSubject) -> Iterator[_One]:
    for case in node.cases.of_person(subject.id):
        yield _One(
            subject.id,
            case.received_at,
            case.answered_at,
            case.expires_at,
            case.clause or node.cases.name_of_clause(),
            Decides.POLICY,
        )


def _backups(node: Node, subject: DataSubject) -> Iterator[_One]:
    since = None if subject.person is None else subject.person.created_at
    for one in node.ledger.latest(_NEWEST, kind="backup.created"):
        if since is None or one.at >= since:
            yield _One("operator", one.at, decides=Decides.OPERATOR)
