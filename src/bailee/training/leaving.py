"""Why a session that is in an export may not be in it any more, as one view of the database tells.

Each function reads on its caller's connection: within the transaction that acts on the answer.

Rows: T6, T7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, exists, or_, select

from bailee.db.accounts import accounts, consent_records
from bailee.db.among import among
from bailee.db.audit import audit
from bailee.db.training import training_sessions
from bailee.db.vault import erasures, sessions
from bailee.policy.holding import HeldBy
from bailee.training import standings
from bailee.training.exported import (
    DELETED,
    ERASED,
    EXPIRED,
    NOT_ALLOWED,
    WITHDRAWN,
    Export,
    ExportedRows,
)
from bailee.training.standings import Allowed

_NO: Final = ("refused", "left")
_CONCERN: Final = (
    *("consent.recorded", "erasure.requested", "person.erasure_requested", "person.erased"),
)
_DOCUMENTS: Final = (
    *("policy.activated", "organisation.policy_set", "organisation.policy_removed"),
)
_LISTED: Final = frozenset({WITHDRAWN, DELETED, ERASED, EXPIRED})


def left(
    connection: Connection, held: HeldBy, some: Sequence[Allowed], now: datetime
) -> dict[str, str]:
    """Which of these are not allowed now as they were then, and why."""
    present = standings.allowed(connection, held, [one.session for one in some], now)
    changed = [one for one in some if not _is_same(one, present.get(one.session))]
    return {one.session: why_not(connection, one, now) for one in changed}


def withdrawn(
    connection: Connection,
    held: HeldBy,
    export: Export,
    some: Sequence[ExportedRows],
    now: datetime,
) -> Iterator[tuple[ExportedRows, str]]:
    """Which of these are withdrawn, deleted, erased or past their time, and which of these it is.
    One that was allowed and resumed again since is none.
    """
    present = standings.allowed(connection, held, [one.session for one in some], now)
    for one in some:
        if one.session not in present:
            why = why_not(connection, as_then(export, one), now)
            if why in _LISTED:
                yield one, why


def has_changed(connection: Connection, export: Export, mark: int, now: datetime) -> bool:
    """Whether something that concerns an export has been put on record since the entry `mark`, or
    something of it has come to the end of its time.
    """
    mine = training_sessions.c
    of_it = (mine.export == export.id, mine.left.is_(None))
    owners, ids = select(mine.owner).where(*of_it), select(mine.session).where(*of_it)
    people = select(accounts.c.person_id).where(accounts.c.id.in_(owners))
    entries = exists().where(
        audit.c.number > mark,
        audit.c.kind.in_(_CONCERN),
        or_(audit.c.subject.in_(owners), audit.c.subject.in_(ids), audit.c.subject.in_(people)),
    )
    documents = exists().where(audit.c.number > mark, audit.c.kind.in_(_DOCUMENTS))
    over = exists().where(sessions.c.id.in_(ids), sessions.c.expires_at <= now)
    return bool(connection.execute(select(or_(entries, documents, over))).scalar())


def why_not(connection: Connection, one: Allowed, now: datetime) -> str:
    """Why a session that was allowed is not, as far as it is on record. Of several reasons the one
    that a person gave comes first.
    """
    gone = select(erasures.c.id).where(erasures.c.account_id == one.owner)
    if connection.execute(gone).first() is not None:
        return ERASED
    asked = select(audit.c.number).where(
        audit.c.subject == one.session, audit.c.kind == "erasure.requested"
    )
    if connection.execute(asked).first() is not None:
        return DELETED
    word = select(consent_records.c.number).where(
        consent_records.c.account_id == one.owner,
        consent_records.c.number > one.word,
        consent_records.c.new.in_(_NO),
    )
    if connection.execute(word).first() is not None:
        return WITHDRAWN
    living = select(sessions.c.id).where(
        among(sessions.c.id, [one.session]), sessions.c.expires_at > now
    )
    return NOT_ALLOWED if connection.execute(living).first() is not None else EXPIRED


def as_then(export: Export, one: ExportedRows) -> Allowed:
    """What allowed a session when it was exported."""
    return Allowed(one.session, one.owner, one.clause, export.policy, one.consent, one.word)


def _is_same(then: Allowed, now: Allowed | None) -> bool:
    """Whether a session is allowed by the same clause and word as it was."""
    return now is not None and (then.clause, then.consent, then.word) == (
        now.clause,
        now.consent,
        now.word,
    )


def in_portions(some: Iterable[ExportedRows]) -> Iterator[list[ExportedRows]]:
    """Sessions in such numbers as are asked about at once."""
    portion: list[ExportedRows] = []
    for one in some:
        portion.append(one)
        if len(portion) == 500:
            yield portion
            portion = []
    if portion:
        yield portion
