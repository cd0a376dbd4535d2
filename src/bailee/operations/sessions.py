"""What can be asked of a home about sessions: which there are, what was said, to delete one.

Rules kept here:

* A session is for who has to do with its account, and for the operator. To anybody else it is not
  there.
* What was said in a session that is not theirs, an operator reads for a reason that goes on record
  first.
* What is asked of one session reads that one alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bailee.accounts import Account
from bailee.accounts.roles import Permission, may
from bailee.db.pages import Order, place
from bailee.errors import InputError, IntegrityError
from bailee.node import Node
from bailee.operations import pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.operation import operation
from bailee.operations.receipts import ReceiptSummary, receipt
from bailee.operations.transcript import (
    AsBytes,
    ExchangeSide,
    ShownBranch,
    ShownExchange,
    as_bytes,
    raw_sides,
    shown_branches,
    shown_exchanges,
)
from bailee.operations.whose import asked_for
from bailee.vault import unkept as counting
from bailee.vault.prolonging import ProlongedSession
from bailee.vault.sealing_queue import Unfiled
from bailee.vault.session_words import Telling
from bailee.vault.terms import end_of
from bailee.vault.transcript import SessionRow

_PIECE: Final = 48 << 10  # bytes
_MOMENT: Final = 0.3  # seconds in which what is new is looked at for what it is told by


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long, by which clause."""

    clause: str
    period: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy says, by which clause."""

    effect: str
    clause: str


@dataclass(frozen=True, slots=True)
class KeptBeyond:
    """That somebody keeps a session beyond its time: since and until when, by which clause.
    `own_end`: when it would go by its own time.
    """

    by: str
    since: datetime
    until: datetime
    own_end: datetime
    clause: str
    period: str


@dataclass(frozen=True, slots=True)
class SessionAbout:
    """What a session is told by: the client's own title for it or the first words that were said,
    the program, and the name of the folder that it was about. "" each where there is none.
    """

    title: str
    client: str
    folder: str


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """What is known of a session, without what was said. `held`: there is a legal hold on it.
    `kept`: somebody keeps it, so that `kept_until` is the later of two days. `about`: for who may
    read it alone, and once it is known; it is content, and goes with it.
    """

    id: str
    account: str
    plan: str
    channel: str
    started: datetime
    last_activity: datetime
    exchanges: int
    kept_until: datetime
    retention: Retention
    training: Ruling
    held: bool
    kept: KeptBeyond | None
    about: SessionAbout | None


@dataclass(frozen=True, slots=True)
class SessionTranscript(SessionSummary):
    """A session with what was said in it: the main conversation, where in it another one `begins`,
    and what branched off from it, in time. `unfiled`: what of its account is perhaps not in
    here yet.
    """

    messages: list[object]
    begins: list[int]
    branches: list[ShownBranch]
    as_bytes: list[AsBytes]
    unfiled: Unfiled
    exchange_list: list[ShownExchange]


@dataclass(frozen=True, slots=True)
class RawPiece:
    """Some of the bytes of a request or of an answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class UnkeptSummary:
    """How much of an account went on with what it had deleted, and was not kept."""

    account: str
    clause: str
    exchanges: int
    since: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Deleted(ReceiptSummary):
    """The receipt of a session. `resumed`: what becomes of what goes on with it."""

    resumed: Ruling


@operation()
def list_(
    asks: Asks,
    node: Node,
    owner: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
    *,
    order: Order = Order.NEWEST,
) -> Page[SessionSummary]:
    """The sessions that can be read now, of an account or of all, latest activity first, or last
    (`oldest`).
    """
    whose = asked_for(asks, node, owner, Permission.SESSIONS_LIST)
    if after is None:
        node.vault.settle(whose)
    rows = node.vault.sessions(asks.at, whose, newest=limit + 1, after=after, order=order)
    shown = {one.id: one for one in summaries(asks, node, rows)}
    return pages.page(
        rows, limit, lambda row: shown[row.id], lambda row: place(row.last_activity, row.id)
    )


@operation()
def count(asks: Asks, node: Node, owner: str | None = None) -> int:
    """How many sessions there are to list."""
    return node.vault.count(asks.at, asked_for(asks, node, owner, Permission.SESSIONS_LIST))


@operation()
def find(asks: Asks, node: Node, id: str, owner: str | None = None) -> SessionSummary:
    """What is known of one session; of that account alone, if one is named."""
    node.vault.settle(session=id)
    row = allowed_row(asks, node, id, Permission.SESSIONS_LIST)
    if owner not in (None, row.owner):
        raise _no_such()
    return summaries(asks, node, [row])[0]


@operation()
def unfiled(asks: Asks, node: Node, owner: str | None = None, wait: bool = False) -> Unfiled:
    """What is recorded and can't be listed yet. `wait`: a moment, for it to be filed. A list that
    is asked for afterwards lacks nothing else that was there.
    """
    whose = asked_for(asks, node, owner, Permission.SESSIONS_LIST)
    return node.vault.settle(whose) if wait else node.vault.unfiled(whose)


@operation()
def unkept(asks: Asks, node: Node, owner: str | None = None) -> list[UnkeptSummary]:
    """What went on with deleted sessions and is in no list, since it is not kept, by account."""
    found = node.vault.unkept(asked_for(asks, node, owner, Permission.SESSIONS_LIST))
    return [unkept_of(one) for one in found]


@operation()
def show(asks: Asks, node: Node, id: str, wait: bool = True) -> SessionTranscript:
    """What was said in a session. `wait`: for what is being filed, a moment."""
    left = node.vault.settle(session=id) if wait else None  # a page has waited when it found it
    found = node.vault.find(id, asks.at)
    _about_to_read(asks, node, found.row)
    shown = node.vault.opened(found)
    kept = _kept(node, [found.row]).get(id)
    told = node.vault.indexing.told_by([found.told], [id], asks.at, _MOMENT).get(id)
    return extended(
        SessionTranscript,
        replace(
            session(node, found.row, found.held, kept, asks.at),
            about=None if told is None else _about(told),
        ),
        messages=shown.main,
        begins=shown.begins,
        branches=shown_branches(shown),
        as_bytes=as_bytes(shown.exchanges),
        unfiled=node.vault.unfiled(found.row.owner) if left is None else left,
        exchange_list=shown_exchanges(shown.exchanges),
    )


@operation()
def export(asks: Asks, node: Node, id: str) -> Iterator[str]:
    """A session as JSON Lines: the session, then each exchange as it was sent and received."""
    node.vault.settle_whole(id)
    _about_to_read(asks, node, node.vault.row(id, asks.at))
    return (line.decode() for line in node.vault.export(id, asks.at))


@operation()
def raw(
    asks: Asks, node: Node, id: str, exchange: int, side: ExchangeSide | None = None
) -> Iterator[RawPiece]:
    """What of an exchange is kept as the bytes that came, exactly: its request, or its answer."""
    node.vault.settle(session=id)
    _about_to_read(asks, node, node.vault.row(id, asks.at))
    kept = raw_sides(*node.vault.raw(id, exchange, asks.at))
    if side is None and len(kept) > 1:
        raise InputError(
            "both its request and its answer are kept as bytes.", hint="say which: request, answer"
        )
    wanted = next(iter(kept), ExchangeSide.ANSWER) if side is None else side
    if wanted not in kept:
        raise InputError(
            "nothing of that is kept as bytes: what it says is in the transcript.",
            code="not_found",
            hint="the transcript says of which exchanges something is",
        )
    found = kept[wanted]
    return (RawPiece(found[at : at + _PIECE]) for at in range(0, len(found), _PIECE))


@operation(makes_room=True)
def delete(asks: Asks, node: Node, id: str) -> Deleted:
    """Delete a session: its key is destroyed. Gives the receipt."""
    try:
        allowed_row(asks, node, id, Permission.SESSIONS_DELETE)
    except IntegrityError:  # what nobody is shown can be deleted all the same
        asks.require(node, Permission.SESSIONS_DELETE)
    node.ledger.append("session.deletion_asked", id, {"by": asks.actor.name})
    one = receipt(node, node.vault.delete(id, asks.due, shown=asks.at, by=asks.actor.name))
    resumed = node.policy.resumes(session_deleted=True, account_erased=False)
    return extended(Deleted, one, resumed=Ruling(resumed.effect, resumed.clause))


def summaries(asks: Asks, node: Node, rows: Sequence[SessionRow]) -> list[SessionSummary]:
    """Sessions as they are shown."""
    whose = {row.owner: row for row in rows}
    theirs = {owner for owner, row in whose.items() if _is_theirs(asks, node, row)}
    known = about(asks, node, [row for row in rows if row.owner in theirs])
    shown = _without_content(asks, node, rows)
    return [replace(one, about=known.get(one.id)) for one in shown]


def _without_content(asks: Asks, node: Node, rows: Sequence[SessionRow]) -> list[SessionSummary]:
    """Sessions as they are shown to who may not read them."""
    held, kept = held_and_kept(node, rows)
    return [session(node, row, row.id in held, kept.get(row.id), asks.at) for row in rows]


def about(asks: Asks, node: Node, rows: Sequence[SessionRow]) -> dict[str, SessionAbout]:
    """What sessions are told by, to whom has been found to may read them; of what is new as far as
    a moment allows.
    """
    if not rows:
        return {}
    told = node.vault.indexing.told([row.id for row in rows], asks.at, _MOMENT)
    return {name: _about(one) for name, one in told.items()}


def _about(told: Telling) -> SessionAbout:
    return SessionAbout(told.title, told.client, told.folder)


def held_and_kept(
    node: Node, rows: Sequence[SessionRow]
) -> tuple[set[str], Mapping[str, ProlongedSession]]:
    """Which sessions are held, and of these by whom one is kept."""
    return node.holds.held(), _kept(node, rows)


def _kept(node: Node, rows: Sequence[SessionRow]) -> Mapping[str, ProlongedSession]:
    kept = [row.id for row in rows if row.kept_until is not None]
    return node.vault.prolonging.of(kept) if kept else {}


def session(
    node: Node, row: SessionRow, held: bool, kept: ProlongedSession | None, now: datetime
) -> SessionSummary:
    """A session as it is shown to who may not read it."""
    training = node.deciding.training(row)
    return SessionSummary(
        row.id,
        row.owner,
        row.plan,
        row.channel,
        row.started,
        row.last_activity,
        row.exchanges,
        row.expires_at,
        Retention(row.clause, row.period),
        Ruling(training.effect, training.clause),
        held,
        None
        if kept is None or not kept.holds(now)
        else KeptBeyond(
            kept.by,
            kept.since,
            kept.until,
            end_of(row.last_activity, row.period, None),
            kept.clause,
            kept.period,
        ),
        None,
    )


def unkept_of(one: counting.Unkept) -> UnkeptSummary:
    """What was not kept, as it is shown."""
    return UnkeptSummary(one.owner, one.clause, one.exchanges, one.since, one.last)


def allowed_row(asks: Asks, node: Node, id: str, permission: Permission) -> SessionRow:
    """The session that is named, if who asks may do this with it.

    Raises:
        InputError: `not_found`, there is none that they may know of; or `forbidden`.
    """
    row = node.vault.row(id, asks.at)
    _allow(asks, node, row, permission)
    return row


def _allow(asks: Asks, node: Node, row: SessionRow, permission: Permission) -> bool:
    """Go on only if who asks may do this with a session; whether it is theirs to read. Errors as in
    `allowed_row`.
    """
    theirs = _is_theirs(asks, node, row)
    if not (asks.actor.operator or theirs):
        raise _no_such()
    asks.require(node, permission, account_of(node, row))
    return theirs


def _about_to_read(asks: Asks, node: Node, row: SessionRow) -> None:
    """The content of a session is about to be read. By staff that is on record first. Errors as in
    `allowed_row`.
    """
    if not _allow(asks, node, row, Permission.SESSIONS_LIST):
        asks.require(node, Permission.CONTENT_READ_AS_STAFF)
        node.registry.staff.read(asks.actor, row.id, asks.why(node), whose=row.owner)


def _is_theirs(asks: Asks, node: Node, row: SessionRow) -> bool:
    """Whether they may read it for what they are to its account, and not as staff."""
    standings = node.registry.authority.standings(asks.actor, account_of(node, row))
    return may(Permission.SESSIONS_READ, standings)


def account_of(node: Node, row: SessionRow) -> Account | None:
    """The account that a session is of, if it is there."""
    try:
        return node.accounts.get(row.owner)
    except InputError:
        return None


def _no_such() -> InputError:
    return InputError("there is no such session, or no more.", code="not_found")


OPERATIONS: Final[Mapping[str, Function]] = {
    "sessions.list": list_,
    "sessions.count": count,
    "sessions.find": find,
    "sessions.unfiled": unfiled,
    "sessions.unkept": unkept,
    "sessions.show": show,
    "sessions.export": export,
    "sessions.raw": raw,
    "sessions.delete": delete,
}
