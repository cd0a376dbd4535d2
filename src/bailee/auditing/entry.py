"""An entry of the audit record as it may leave it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.ledger.particulars import Body

UNREADABLE: Final = "audit.unreadable"
"""The kind of what is told in the place of an entry that can't be read."""


@dataclass(frozen=True, slots=True)
class StreamedEntry:
    """One entry. `leaf`: its place in the log; `number`: in the record; `body`: its particulars
    that are nobody's; `sealed`: the names of those that stay.
    """

    leaf: int
    number: int
    at: datetime
    kind: str
    subject: str
    body: Body
    sealed: tuple[str, ...] = ()
