"""What people can ask about the end of their sessions: which go soon; to keep one; not to.

Rules kept here:

* To keep is an act of who the session is: the person's, or the key holder's, or an organisation's
  admin's. The operator decides it for nobody.
* How long it may be, says the policy's clause about `transcript_kept`, from the moment of the act.
  Where the account's terms forbid it, nobody may; what is kept then stays a week more.
* It is shown wherever the session's end is shown (`SessionSummary.kept`).

Rows: O7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from bailee.accounts.roles import Permission
from bailee.errors import InputError, PolicyDenied
from bailee.node import Node
from bailee.operations.accounts import AccountSummary
from bailee.operations.accounts import shown as shown_account
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit
from bailee.operations.operation import operation
from bailee.operations.sessions import SessionSummary, account_of, allowed_row, summaries
from bailee.operations.whose import asked_for, named
from bailee.policy import Decision
from bailee.policy.period import expires_at
from bailee.vault.exchange import Terms
from bailee.vault.prolonging import NOTICE, KeepingAct
from bailee.vault.transcript import SessionRow

DATA_CLASS: Final = "transcript_kept"
FORBIDDEN: Final = "state.no-keeping"
Days = Annotated[int, msgspec.Meta(ge=1, le=366)]


@dataclass(frozen=True, slots=True)
class Going:
    """What goes by time `until` then: how many sessions, and those that go first."""

    until: datetime
    total: int
    sessions: list[SessionSummary]


@dataclass(frozen=True, slots=True)
class MayKeep:
    """Whether a session may be kept: by which clause, until when at most, and until when where no
    day is named; None: it may not.
    """

    clause: str
    most: datetime | None
    by_itself: datetime | None


@operation()
def going(
    asks: Asks,
    node: Node,
    owner: str | None = None,
    days: Days = NOTICE.days,
    limit: Limit = 100,
) -> Going:
    """The sessions that go by time within so many days, of an account or of all, the first to go
    first.
    """
    whose = asked_for(asks, node, owner, Permission.SESSIONS_LIST)
    node.vault.settle(whose)
    until = asks.at + timedelta(days=days)
    rows, total = node.vault.going(asks.at, until, whose, most=limit)
    return Going(until, total, summaries(asks, node, rows))


@operation()
def may_keep(asks: Asks, node: Node, id: str) -> MayKeep:
    """Whether who asks may keep a session beyond its time, and until when."""
    return _may(asks, node, allowed_row(asks, node, id, Permission.SESSIONS_KEEP))


@operation()
def keep(asks: Asks, node: Node, id: str, until: datetime | None = None) -> SessionSummary:
    """Keep a session beyond its time; without a day, as long as the policy has it by itself. It can
    be taken back at any time.
    """
    node.vault.settle(session=id)
    row = allowed_row(asks, node, id, Permission.SESSIONS_KEEP)
    found = _may(asks, node, row)
    if found.most is None or found.by_itself is None:
        raise PolicyDenied(
            f"sessions of this account are not kept beyond their time, by {found.clause}.",
            hint="a copy is yours all the same: export it",
        )
    wanted = found.by_itself if until is None else _aware(until)
    if not asks.at < wanted <= found.most:
        raise InputError(
            f"a session can be kept until {found.most.date()} at most, and from today on.",
            hint=f"by {found.clause}; keep it again later for longer",
        )
    decided = _decided(node, row)
    terms = Terms(decided.retention or "", decided.clause, decided.document)
    act = KeepingAct(asks.actor.name, asks.due, wanted, terms)
    node.vault.prolonging.keep(id, act, asks.at)
    return _again(asks, node, id)


@operation()
def release(asks: Asks, node: Node, id: str) -> SessionSummary | None:
    """Take back that a session is kept: it goes by its own time again. None: that is over, and
    nobody can read it any more.
    """
    row = allowed_row(asks, node, id, Permission.SESSIONS_KEEP)
    if row.kept_until is None:
        raise InputError(
            "this session is kept by nobody's act.",
            code="not_found",
            hint="it goes by its own time: see when in the list",
        )
    node.vault.prolonging.release(id, asks.actor.name, asks.due, asks.at)
    return _again(asks, node, id) if node.vault.is_kept(id, asks.at) else None


@operation()
def forbid(asks: Asks, node: Node, account: str, forbidden: bool = True) -> AccountSummary:
    """Whether sessions of an account may be kept beyond their time. Where that is forbidden, what
    is kept stays a week more at most.
    """
    found = named(asks, node, account)
    asks.require(node, Permission.SESSIONS_KEEP_FORBID, found)
    changed = node.accounts.forbid_keeping(found.account_id, forbidden, by=asks.actor)
    if forbidden:
        node.vault.prolonging.shorten(found.account_id, asks.actor.name, asks.due, asks.at)
    return shown_account(node, changed)


def _may(asks: Asks, node: Node, row: SessionRow) -> MayKeep:
    account = account_of(node, row)
    if account is not None and account.no_keeping:
        return MayKeep(FORBIDDEN, None, None)
    document = node.policy.document
    if account is None or DATA_CLASS not in document.labels["data_class"]:
        return MayKeep("none", None, None)
    decision = _decided(node, row)
    if decision.terms is None:
        return MayKeep(decision.clause, None, None)
    most = expires_at(asks.due, decision.terms.period)
    itself = asks.due + timedelta(days=document.local_transcripts.kept_days)
    return MayKeep(decision.clause, most, min(most, itself))


def _decided(node: Node, row: SessionRow) -> Decision:
    account = account_of(node, row)
    assert account is not None
    facts = account.facts(zero_retention=False, channel=row.channel, plan=row.plan)
    return node.policy_of(account).retain(DATA_CLASS, facts)


def _again(asks: Asks, node: Node, id: str) -> SessionSummary:
    (shown,) = summaries(asks, node, [node.vault.row(id, asks.at)])
    return shown


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InputError("the day has no time zone.", hint="such as 2027-01-31T00:00:00Z")
    return moment


OPERATIONS: Final[Mapping[str, Function]] = {
    "sessions.going": going,
    "sessions.may_keep": may_keep,
    "sessions.keep": keep,
    "sessions.release": release,
    "account.keeping": forbid,
}
