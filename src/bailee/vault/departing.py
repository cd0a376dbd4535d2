"""Which ids were those of sessions that are gone, and until when that is known.

A client names its sessions, and where nobody else has such an id it becomes the session's own. So a
client that goes on with what has gone would give a new session the id of the old one: whatever
names that would be taken to name this.

Rules kept here:

* No id is had twice of a session that the audit record or a training export names: those stay for
  ever, and so does the digest of the id. A session that was deleted, kept, held, read by staff or
  exported is one of these.
* Of any other nothing is left that names it, but what its client has. Its digest goes `LASTS` after
  it, some day's all together.
* A digest is keyed, and says of nobody which sessions they had.

Rows: R5.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, delete, select, union

from bailee.db.among import among
from bailee.db.audit import audit
from bailee.db.engine import storage_errors
from bailee.db.portable import insert as insert_or_ignore
from bailee.db.training import training_sessions
from bailee.db.vault import departed_sessions
from bailee.vault.batch import digests_of

LASTS: Final = timedelta(days=730)
"""Far longer than a client keeps what it can resume: 30 days by every document that is shipped."""
PORTION: Final = 20_000
_DAY: Final = timedelta(days=1)
_SINCE: Final = datetime(1970, 1, 1, tzinfo=UTC)


def depart(connection: Connection, key: bytes, session_ids: Sequence[str], now: datetime) -> None:
    """Note that these are ids of sessions that are gone, in the transaction that removes them. A
    second time changes nothing.
    """
    named = union(
        select(audit.c.subject).where(among(audit.c.subject, session_ids)),
        select(training_sessions.c.session).where(among(training_sessions.c.session, session_ids)),
    )
    stays = {*connection.execute(named).scalars()}
    until = day_of(now + LASTS) + 1
    gone = [
        {"digest": digest, "until": None if name in stays else until}
        for name, digest in zip(session_ids, digests_of(key, "departed", session_ids), strict=True)
    ]
    connection.execute(insert_or_ignore(departed_sessions).on_conflict_do_nothing(), gone)


def forget_departed(engine: Engine, now: datetime) -> int:
    """Remove the digests whose time is over; how many.

    Raises:
        StorageError: the index can't be written; call again.
    """
    over = departed_sessions.c.until <= day_of(now)
    some = select(departed_sessions.c.digest).where(over).limit(PORTION)
    removed = 0
    while True:
        with storage_errors("the vault's index"), engine.begin() as connection:
            goes = delete(departed_sessions).where(departed_sessions.c.digest.in_(some))
            found = connection.execute(goes).rowcount
        removed += found
        if found < PORTION:
            return removed


def day_of(moment: datetime) -> int:
    """A moment's day, counted from 1970."""
    return (moment - _SINCE) // _DAY
