"""Claims of renewals: of one sign-in, one process at a time asks the provider.

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

from sqlalchemy import Engine, or_, update

from bailee.db.engine import DbRow, storage_errors
from bailee.db.sign_ins import sign_ins
from bailee.errors import StorageError, UpstreamError

LASTS: Final = timedelta(seconds=60)
"""A renewal visits the provider twice at most, ten seconds each (`provider_calls.SECONDS`)."""
_WHAT: Final = "the sign-ins"


def claim(engine: Engine, row: DbRow, now: datetime) -> datetime | None:
    """Claim a sign-in, as `row` of `sign_ins` has it, for whoever asks its provider next: until
    when. None: another process has it, or its number is another by now.

    Raises:
        StorageError: the database can't be written; nothing is claimed.
    """
    until = now + LASTS
    held = sign_ins.c.claimed_until
    with storage_errors(_WHAT), engine.begin() as connection:
        changed = connection.execute(
            update(sign_ins)
            .where(
                sign_ins.c.key_id == row.key_id,
                sign_ins.c.number == row.number,
                sign_ins.c.provider_token.is_not_distinct_from(row.provider_token),
                or_(held.is_(None), held <= now, held > until),
            )
            .values(claimed_until=until)
        ).rowcount
    return until if changed else None


def give_back(engine: Engine, row: DbRow, until: datetime) -> None:
    """Let others ask: nothing came of it. Where that can't be written, the claim ends by itself."""
    with contextlib.suppress(StorageError), storage_errors(_WHAT), engine.begin() as connection:
        connection.execute(
            update(sign_ins)
            .where(
                sign_ins.c.key_id == row.key_id,
                sign_ins.c.number == row.number,
                sign_ins.c.claimed_until == until,
            )
            .values(claimed_until=None)
        )


def renewed_elsewhere() -> UpstreamError:
    """What is said to whoever comes second."""
    return UpstreamError("this sign-in is being renewed by another server.", hint="ask again")
