"""What holds of sessions at one moment: read in one view of the database, decided by the policy.

`eligibility` decides; here is what it is asked of. Whether a session may be written, still may be,
or was taken back, is all asked of this.

Rules kept here:

* Session, owner, consent record and erasure are read in one transaction. A choice is committed with
  its record, so a transaction that holds the write lock sees either all of it or nothing.
* What is past its time, erased, being erased, or whose row is not what was written, is not there:
  so what only a legal hold keeps is not either.

Rows: T4 to T7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, exists, select

from bailee.db.accounts import accounts, consent_records
from bailee.db.among import among
from bailee.db.audit import audit
from bailee.db.checks import sound
from bailee.db.engine import DbRow
from bailee.db.vault import erasures, sessions
from bailee.errors import InputError
from bailee.policy import Decision
from bailee.policy.holding import HeldBy
from bailee.training import eligibility

TRANSCRIPT: Final = "transcript"
_PORTION: Final = 500

_COLUMNS: Final = (
    sessions.c.id,
    sessions.c.owner,
    sessions.c.plan,
    sessions.c.uses,
    sessions.c.last_consent,
    accounts.c.training_choice,
    accounts.c.chosen_number,
    accounts.c.partner_programme,
    accounts.c.partner_number,
    accounts.c.organisation_id,
)
_LIVING: Final = (
    select(*_COLUMNS)
    .join(accounts, accounts.c.id == sessions.c.owner)
    .where(
        sessions.c.expires_at > bindparam("now"),
        sessions.c.data_class == TRANSCRIPT,
        sound(sessions),
        sound(accounts),
        sessions.c.owner.not_in(
            select(erasures.c.account_id).where(erasures.c.account_id.is_not(None))
        ),
        # It is on record before anything is done, and done a moment later.
        ~exists().where(audit.c.subject == sessions.c.id, audit.c.kind == "erasure.requested"),
    )
)
_PAGE: Final = (
    _LIVING.where(
        sessions.c.id > bindparam("after"),
        sessions.c.id <= bindparam("last"),
        sessions.c.last_activity >= bindparam("since"),
        sessions.c.started <= bindparam("until"),
    )
    .order_by(sessions.c.id)
    .limit(_PORTION)
)
_RECORD: Final = select(consent_records.c.id).where(
    consent_records.c.account_id == bindparam("owner"),
    consent_records.c.number == bindparam("word"),
    sound(consent_records),
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A session that may be trained on, at one moment. `consent`: the record of its owner's word,
    and `word` its number; empty and 0 where the policy asks for none.
    """

    session: str
    owner: str
    clause: str
    document: str
    consent: str
    word: int


def allowed(
    connection: Connection, held: HeldBy, ids: Sequence[str], now: datetime
) -> dict[str, Allowed]:
    """Those of these sessions (at most some hundred) that may be trained on at `now`."""
    rows = connection.execute(_LIVING.where(among(sessions.c.id, ids)), {"now": now}).all()
    found = (_allowed(connection, held, row) for row in rows)
    return {one.session: one for one in found if one is not None}


@dataclass(frozen=True, slots=True)
class SessionSpan:
    """Which sessions are looked at: with ids after `after` up to `last`, active since `since`,
    begun by `until`.
    """

    after: str
    last: str
    since: datetime
    until: datetime


LAST: Final = "\U0010ffff"
"""No session has an id that comes after it."""


def candidates(
    connection: Connection, held: HeldBy, span: SessionSpan, now: datetime
) -> tuple[str, list[str]]:
    """The next sessions of a span in order of id that may be trained on at `now`: how far was
    looked ("": there are no more), and their ids.
    """
    page = {
        "now": now,
        "after": span.after,
        "last": span.last,
        "since": span.since,
        "until": span.until,
    }
    rows = connection.execute(_PAGE, page).all()
    ids = [row.id for row in rows if _decide(held, row) is not None]
    return (rows[-1].id if len(rows) == _PORTION else ""), ids


def _allowed(connection: Connection, held: HeldBy, row: DbRow) -> Allowed | None:
    decision = _decide(held, row)
    if decision is None:
        return None
    word = _word(held, row)
    record = None
    if word:
        asked = {"owner": row.owner, "word": word}
        record = connection.execute(_RECORD, asked).scalar()
        if record is None:  # nobody could show who allowed it
            return None
    return Allowed(row.id, row.owner, decision.clause, decision.document, record or "", word)


def _decide(held: HeldBy, row: DbRow) -> Decision | None:
    """The decision, if it is a yes. What can't be decided is a no."""
    standing = eligibility.OwnerStanding(
        row.training_choice, row.chosen_number, row.partner_programme, row.partner_number
    )
    try:
        uses = eligibility.uses_of(row.uses)
        of = held(row.organisation_id)
        decision = eligibility.decide(of, standing, uses, row.last_consent)
    except (InputError, TypeError, ValueError):
        return None
    return decision if decision.effect == "allow" else None


def _word(held: HeldBy, row: DbRow) -> int:
    """The number of the word by which the session may be used: its last plan's kind says whose."""
    consumer = held(row.organisation_id).policy.plans[row.plan].segment == "consumer"
    return int(row.chosen_number if consumer else row.partner_number)
