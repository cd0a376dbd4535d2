"""What the gateway counts of exchanges, to be said as figures.

Rules kept here:

* Nothing is kept but numbers, under keys whose values are declared (`catalogue`).
* One thread counts, the gateway's. Who reads copies: a figure may be one exchange older than the
  one beside it, and neither ever goes back.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, Protocol

from bailee.monitoring.catalogue import CHANNELS, FAMILIES, OTHER

_BOUNDS: Final = FAMILIES["bailee_request_duration_seconds"].bounds
_REFUSED: Final = "refused"
_MOST: Final = 2000  # ways to end; our own codes come to some hundred


class EndedExchange(Protocol):
    """What is read of an exchange's summary (`gateway.summary`)."""

    channel: str
    status: int
    outcome: str
    error: str
    seconds: float
    first_byte: float
    bytes_in: int
    bytes_out: int


class Times:
    """How often something took how long. `counts` are of each bucket alone, the last without a
    bound; `total` is in seconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds


class ChannelCounts:
    """What is counted of one channel: exchanges by hundreds of the status, outcome and error code;
    bytes; times.
    """

    __slots__ = ("bytes_in", "bytes_out", "ends", "first_byte", "times")

    def __init__(self) -> None:
        self.ends: dict[tuple[int, str, str], int] = {}
        self.bytes_in = 0
        self.bytes_out = 0
        self.times = Times()
        self.first_byte = Times()


class ExchangeCounts:
    """The counts of one server. It is told of each exchange on the gateway's loop, and adds up; it
    is read from any thread, and nobody waits for anybody.
    """

    def __init__(self) -> None:
        # Each channel's from the start on: what is read never changes its size.
        self.channels = {name: ChannelCounts() for name in (*CHANNELS, OTHER)}

    def add(self, summary: EndedExchange) -> None:
        """Count an exchange that is over."""
        found = self.channels.get(summary.channel or "none") or self.channels[OTHER]
        end = (summary.status // 100, summary.outcome, summary.error)
        ends = found.ends
        if end in ends:
            ends[end] += 1
        elif len(ends) < _MOST:
            ends[end] = 1
        found.bytes_in += summary.bytes_in
        found.bytes_out += summary.bytes_out
        if summary.outcome != _REFUSED:
            found.times.add(summary.seconds)
            if summary.first_byte >= 0:
                found.first_byte.add(summary.first_byte)
