"""Renewals in the rows of sign-ins, and their claims: one process at a time asks the provider.

A provider that gives a new refresh token each time takes the old one for stolen when it comes
again, and ends all that it gave (RFC 9700, 4.14.2). So who asks claims the sign-in in its row
before: a guarded change, of which one alone succeeds.

Rules kept here:

* A claim is of the number and of the provider's token that were read: it goes with the next number,
  and who read what another has used up since has none.
* A claim lasts longer than any asking may (`LASTS`), and ends by itself: its process may be gone.
* A claim that ends later than any that begins now was made before a clock was set back; it counts
  for nothing.
* Only the claim that was made is given back, by its moment.

Rows: O1, O6.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Engine, or_, update

from bailee.db.engine import DbRow, storage_errors
from bailee.db.sign_ins import sign_ins
from bailee.errors import StorageError, UpstreamError

LASTS: Final = timedelta(seconds=60)
"""A renewal visits the provider twice at most, ten seconds each (`provider_calls.SECONDS`)."""
_WHAT: Final = "the sign-ins"


def claim(engine: Engine, row: DbRow, now: datetime) -> datetime | None:
    """Claim a sign-in, as `row` of `sign_ins` has it, for whoever asks its provider next: until
    when. None: another process has it, or has been there since the row was read.

    Raises:
        StorageError: the database can't be written; nothing is claimed.
    """
    until, held = now + LASTS, sign_ins.c.claimed_until
    is_read = sign_ins.c.provider_token.is_not_distinct_from(row.provider_token)
    is_free = or_(held.is_(None), held <= now, held > until)
    return until if _change(engine, row, is_read, is_free, claimed_until=until) else None


def give_back(engine: Engine, row: DbRow, until: datetime) -> None:
    """Let others ask: nothing came of it. Where that can't be written, the claim ends by itself."""
    with contextlib.suppress(StorageError):
        _change(engine, row, sign_ins.c.claimed_until == until, claimed_until=None)


def keep(engine: Engine, row: DbRow, sealed: bytes) -> None:
    """Keep what the provider gave, unless there is another number by now. Errors as in `claim`."""
    _change(engine, row, provider_token=sealed)


def move_on(engine: Engine, row: DbRow, now: datetime, sealed: bytes | None) -> bool:
    """Make the number after the row's good, with what is kept of the provider's token, and let the
    claim go; whether it is: not where there is another number by now. Errors as in `claim`.
    """
    following = row.number + 1
    return _change(
        engine, row, number=following, renewed_at=now, provider_token=sealed, claimed_until=None
    )


def renewed_elsewhere() -> UpstreamError:
    """What is said to whoever comes second."""
    return UpstreamError("this sign-in is being renewed by another server.", hint="ask again")


def _change(engine: Engine, row: DbRow, *where: ColumnElement[bool], **values: object) -> bool:
    """Change the row while its number is still this one; whether it was."""
    own = sign_ins.c.key_id == row.key_id, sign_ins.c.number == row.number
    with storage_errors(_WHAT), engine.begin() as connection:
        changed = connection.execute(update(sign_ins).where(*own, *where).values(**values))
    return changed.rowcount > 0
