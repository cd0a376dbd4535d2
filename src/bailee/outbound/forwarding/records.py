"""What is recorded of a connection. Pure. Names and numbers: no path, no query, no header."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ConnectionOutcome(StrEnum):
    """What came of a connection."""

    ALLOWED = "allowed"  # it was made, and ended by one of its ends
    CUT = "cut"  # it was made, and then ended by a rule or a budget
    REFUSED = "refused"  # a rule or a budget did not let it be made
    FAILED = "failed"  # it was allowed, and could not be made


@dataclass(frozen=True, slots=True)
class EgressRecord:
    """One connection, or one attempt.

    `rule` is the id of the rule that decided: what allowed it, or what refused or cut it. `kind` is
    `tls`, `http`, or `unknown` while nothing was said yet. `host` is empty when what was asked for
    is no host at all. `sent` leaves the session, `received` enters it; bytes. `ech`: TLS's first
    message had an encrypted one inside, so the name may be an outer one.
    """

    at: datetime
    outcome: ConnectionOutcome
    rule: str
    kind: str
    host: str
    port: int
    address: str | None
    sent: int
    received: int
    seconds: float
    ech: bool = False
