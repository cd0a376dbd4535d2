"""How often one may try: limits with back-off, kept in the database.

Rules kept here:

* An attempt is counted before it is carried out and taken back when it succeeds, so attempts at the
  same time can't slip through together.
* A few are free; each further failure doubles the time to wait, up to a quarter of an hour.
  Attempts within that time are refused, and neither carried out nor counted.
* Counted per email, known or not, and per address. Kept are keyed digests, for a day.
* It is all on disk: a restart forgives nothing.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Row, delete, select, update

from bailee.accounts.backing import Backing
from bailee.accounts.identifiers import Identifiers
from bailee.db.engine import storage_errors
from bailee.db.people import sign_in_attempts as attempts
from bailee.db.portable import insert
from bailee.errors import InputError

REMEMBERED: Final = timedelta(days=1)
LONGEST_WAIT: Final = timedelta(minutes=15)
_FREE: Final = {"email": 5, "address": 20, "sign-up": 5}
_WHAT: Final = "the record of attempts"


@dataclass(frozen=True, slots=True)
class AttemptSubject:
    """What attempts are counted by: `kind` is `email`, `address` or `sign-up` (by address)."""

    kind: str
    text: str


def wait(kind: str, failures: int) -> timedelta:
    """How long to wait after so many failures.

    >>> wait("email", 5), wait("email", 6), wait("email", 8)
    (datetime.timedelta(0), datetime.timedelta(seconds=1), datetime.timedelta(seconds=4))
    """
    beyond = failures - _FREE[kind]
    if beyond <= 0:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(beyond - 1, 20)), LONGEST_WAIT)


def network(address: str) -> str:
    """What of an address is counted: of IPv6 the /64, which one subscriber has to themselves.

    >>> network("192.0.2.7"), network("2001:db8::1:2")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def digest_of(identifiers: Identifiers, kind: str, text: str) -> bytes:
    """What is kept of who is counted."""
    return identifiers.index("attempt", kind, text)


class Attempts:
    """Counts attempts and refuses those that come too soon.

    The ways in (`password_sign_in`, `passkey_sign_in`) call it, on any thread. It owns the rows and
    has nothing in memory. It never compares a secret, and never sees one.
    """

    def __init__(self, backing: Backing) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._identifiers = backing.identifiers

    def begin(self, subjects: Sequence[AttemptSubject]) -> None:
        """Count an attempt by each subject, as failed for now.

        Raises:
            InputError: code `too_many_attempts`; nothing was counted, and nothing is to be done.
        """
        now = self._clock()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(attempts).where(attempts.c.last_at < now - REMEMBERED))
            held = {subject: self._row(connection, subject) for subject in subjects}
            until = max(
                (row.blocked_until for row in held.values() if row and row.blocked_until),
                default=now,
            )
            if until > now:
                seconds = math.ceil((until - now).total_seconds())
                raise InputError(
                    "there were too many attempts.",
                    code="too_many_attempts",
                    hint=f"try again in {seconds} s",
                )
            for subject, row in held.items():
                failures = (row.failures if row else 0) + 1
                self._put(connection, subject, failures, now)

    def succeeded(self, subjects: Sequence[AttemptSubject]) -> None:
        """Take the attempt back: an email's failures are forgotten, of an address this one."""
        now = self._clock()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for subject in subjects:
                row = self._row(connection, subject)
                if row is None:
                    continue
                if subject.kind == "email" or row.failures <= 1:
                    connection.execute(delete(attempts).where(attempts.c.subject == row.subject))
                else:
                    connection.execute(
                        update(attempts)
                        .where(attempts.c.subject == row.subject)
                        .values(
                            failures=row.failures - 1,
                            blocked_until=_until(subject.kind, row.failures - 1, now),
                        )
                    )

    def forget(self, email: str) -> None:
        """Nobody has this email any more: what was counted by it goes."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            gone = self._digest(AttemptSubject("email", email))
            connection.execute(delete(attempts).where(attempts.c.subject == gone))

    def _digest(self, subject: AttemptSubject) -> bytes:
        text = subject.text if subject.kind == "email" else network(subject.text)
        return digest_of(self._identifiers, subject.kind, text)

    def _row(
        self, connection: Connection, subject: AttemptSubject
    ) -> Row[tuple[object, ...]] | None:
        return connection.execute(
            select(attempts).where(attempts.c.subject == self._digest(subject))
        ).first()

    def _put(
        self, connection: Connection, subject: AttemptSubject, failures: int, now: datetime
    ) -> None:
        values = {
            "failures": failures,
            "last_at": now,
            "blocked_until": _until(subject.kind, failures, now),
        }
        connection.execute(
            insert(attempts)
            .values(subject=self._digest(subject), **values)
            .on_conflict_do_update(index_elements=["subject"], set_=values)
        )


def _until(kind: str, failures: int, now: datetime) -> datetime | None:
    pause = wait(kind, failures)
    return now + pause if pause else None
