"""HTTP/1.1 over a stream: h11 reads and writes, this feeds it and sends what it says.

Rules kept here:

* What h11 refuses (two lengths that differ, two hosts, a head over the limit) ends it all.
  What it takes although it is sloppy (bare line feeds, folded fields) is written anew in order.
* Never more than one piece in memory: what reads is slowed by what writes.
* Fields that end at a hop (RFC 9110, section 7.6.1) are named here once, for both directions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import h11

from bailee.outbound.streams import Writer

PIECE: Final = 64 * 1024
LONGEST_HEAD: Final = 32 * 1024

Headers = Sequence[tuple[bytes, bytes]]

_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate"),
        *(b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)


class Http1Connection:
    """One end of an HTTP/1.1 connection; `role` is `h11.SERVER` or `h11.CLIENT`. Whoever has the
    stream makes it, and uses it in one loop, one call of `next` and of `send` at a time. `received`
    and `sent` are in bytes, heads included.
    """

    def __init__(self, role: type[h11.SERVER] | type[h11.CLIENT], reader: Any, writer: Writer):
        self.http: Final = h11.Connection(role, max_incomplete_event_size=LONGEST_HEAD)
        self.reader: Final[asyncio.StreamReader] = reader
        self.writer: Final = writer
        self.received = 0
        self.sent = 0

    async def next(self) -> Any:
        """The next event of the other side: a head, `h11.Data`, `h11.EndOfMessage`,
        `h11.ConnectionClosed`, or `h11.PAUSED`.

        Raises:
            h11.RemoteProtocolError: what came is not HTTP/1.1.
            OSError: the stream broke.
        """
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            data = await self.reader.read(PIECE)
            self.received += len(data)
            self.http.receive_data(data)

    async def send(self, *events: Any) -> None:
        """Send events and wait until they have been taken."""
        for event in events:
            data = self.http.send(event)
            if data:
                self.sent += len(data)
                self.writer.write(data)
        await self.writer.drain()

    def abort(self) -> None:
        """Close without ending the message: the other side knows it is not complete."""
        self.writer.close()


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields that go on beyond this hop: without its own and those that Connection names."""
    listed = list(headers)
    named = {
        token.strip().lower()
        for name, value in listed
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    return [(n, v) for n, v in listed if n.lower() not in _HOP and n.lower() not in named]


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Every value of a field; h11 has made names small."""
    return [value for field, value in headers if field == name]
