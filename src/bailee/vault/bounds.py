"""What one exchange may cost to take apart, seal, index and rebuild. Pure.

Each bound of this kind stands here and nowhere else. A bound is a number of things in what came,
never a time: the same bytes are kept in the same way on every machine, however busy it is. Every
step behind these bounds takes time and memory in proportion to what came and to these numbers.

Past a bound nothing is lost and nothing is refused: the request, or the answer, is kept as the
bytes that came, and the record says which bound it passed (`Beyond`).

What each costs at its bound, in memory: a JSON value about 100 bytes (an empty object of two
bytes takes 80), so `VALUES` of them 25 MB; in the index: a message two places of 24 bytes,
so `MESSAGES` of them 0.5 MB.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

DECODED: Final = 64 << 20
"""Bytes of a body, content codings undone. As much as the gateway takes of an answer."""

MEMBERS: Final = 1_000
"""Compressed pieces in a row (gzip members) that are one body. Each costs a decoder."""

VALUES: Final = 250_000
"""JSON values in a request, and as many in an answer: brackets that open, commas and colons
outside of strings. A session of ten thousand messages has about a hundred thousand."""

DEPTH: Final = 200
"""Lists and objects within one another, in a text that is read in parts (`structure.WHOLE`). A
shorter one may be as deep as what reads and packs it takes, about a thousand."""

MESSAGES: Final = 10_000
"""Messages of a request. Each costs two digests and, when it is new, two places in the index."""

FIELDS: Final = 1_000
"""Members of a request's body. Each costs a digest, and a place when it is new and not small."""

EVENTS: Final = 500_000
"""Events of a streamed answer: several for each token of the longest answer that models give."""

ENTRIES: Final = 2_000
"""Entries of a request's lists other than messages (tools, system) that are kept one by one. A
list that does not fit in what is left of this is kept in one piece: no reason to keep bytes."""

BATCH_VALUES: Final = 2 * VALUES
"""JSON values of exchanges that are sealed together, unless it is one exchange."""

BATCH_SIZE: Final = 16 << 20
"""Bytes of their bodies, content codings undone, likewise."""


class Beyond(StrEnum):
    """Why an exchange, or a part of it, is kept as the bytes that came."""

    DECODED = "decoded_size"
    VALUES = "values"
    DEPTH = "depth"
    MESSAGES = "messages"
    FIELDS = "fields"
    EVENTS = "events"
    ENDED = "ended_the_process"
    """Not a bound: the process ended twice while it was being sealed."""


class BeyondBound(ValueError):
    """Something is past a bound."""

    def __init__(self, bound: Beyond) -> None:
        super().__init__(f"past the bound on {bound.value}")
        self.bound = bound
