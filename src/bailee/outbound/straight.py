"""One address, asked over HTTP/1.1 without a proxy: a POST, and its answer as it comes.

Rules kept here:

* h11 reads and writes the protocol, asyncio and OpenSSL the connection. The library that can do
  everything takes longer to import than a first question takes to go out; what it is needed for
  (a proxy on the way, an odd address) still goes by it: see `Network`.
* A connection is used again when its answer was read to the end, and closed in any other case.
* Unpacked is what gzip and deflate packed, piece by piece, never more than `PIECE` at once.
* No redirect is followed. Nothing is sent but what is given here.

Standards: RFC 9110, RFC 9112.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import h11

from bailee.outbound.http1 import PIECE, Http1Connection
from bailee.outbound.streams import open_connection

Fields = Sequence[tuple[str, str]]
_PACKED: Final = {"gzip": 47, "x-gzip": 47, "deflate": 47, "identity": 0, "": 0}
_OVER: Final = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}


class PostFailed(Exception):
    """A request had no answer, or not all of one. `how`: the server was not reached; it was silent
    for too long; what it sent broke off or is no HTTP; there can be no such request. The text says
    why, and holds nothing that was sent.
    """

    def __init__(
        self, how: Literal["unreachable", "silent", "broke_off", "unsendable"], why: str = ""
    ) -> None:
        self.how: Final = how
        super().__init__(why.partition("\n")[0].partition(": bytearray")[0][:200])


def is_plain(address: str) -> bool:
    """Whether an address is a host, a port and a path in ASCII, and nothing else. Pure."""
    return address.isascii() and address.isprintable() and not set(" @#%\\") & set(address)


class StraightConnection:
    """The way to one address; owns one connection at a time. Used in one event loop, one request
    after another. `tls` is asked for when a connection is made, and only for https; `connecting`
    and `silence` are seconds.
    """

    def __init__(
        self,
        address: str,
        tls: Callable[[], ssl.SSLContext],
        *,
        connecting: float,
        silence: float | None,
    ) -> None:
        self._at: Final[SplitResult] = urlsplit(address)
        https = self._at.scheme == "https"
        self._port: Final = self._at.port or (443 if https else 80)
        usual = f":{443 if https else 80}"
        self._host: Final = self._at.netloc.removesuffix(usual)
        self._tls: Final = tls
        self._context: ssl.SSLContext | None = None
        self._connecting: Final = connecting
        self._silence: Final = silence
        self._held: Http1Connection | None = None

    async def post(self, fields: Fields, content: bytes) -> StraightAnswer:
        """Send `content` with `fields`, of which later ones come in place of earlier ones by the
        same name; the answer, of which the head is read.

        Raises:
            PostFailed: there is none.
        """
        connection = await self._connection()
        own = [("host", self._host), ("accept", "*/*"), ("accept-encoding", "gzip, deflate")]
        made = _last_of_each([*own, *fields, ("content-length", str(len(content)))])
        target = (self._at.path or "/") + (f"?{self._at.query}" if self._at.query else "")
        try:
            request = h11.Request(method="POST", target=target, headers=made)
            async with asyncio.timeout(self._silence):
                await connection.send(request, h11.Data(content), h11.EndOfMessage())
                while not isinstance(head := await connection.next(), h11.Response):
                    pass  # a head that is not yet the answer's (RFC 9110, 15.2)
        except (OSError, h11.ProtocolError) as error:
            connection.abort()
            ended = connection.reader.at_eof()
            raise _failed(error, "unreachable", "Server disconnected" if ended else "") from None
        except BaseException:  # whoever waited for it waits no more
            connection.abort()
            raise
        return StraightAnswer(self, connection, head, self._silence)

    async def _connection(self) -> Http1Connection:
        held, self._held = self._held, None
        if held is not None:
            if not held.reader.at_eof():
                return held
            held.abort()
        https = self._at.scheme == "https"
        if https and self._context is None:
            self._context = self._tls()
        try:
            async with asyncio.timeout(self._connecting):
                reader, writer = await open_connection(
                    self._at.hostname or "",
                    self._port,
                    tls=self._context,
                    happy_eyeballs_delay=0.25,
                )
        except (OSError, ssl.CertificateError) as error:
            raise PostFailed("unreachable", str(error) or type(error).__name__) from None
        return Http1Connection(h11.CLIENT, reader, writer)

    def keep(self, connection: Http1Connection) -> None:
        """Use a connection again, whose answer was read to its end."""
        self._held = connection

    async def close(self) -> None:
        """Close the connection."""
        if self._held is not None:
            self._held.abort()
            self._held = None


class StraightAnswer:
    """An answer whose head is there; names of `headers` are small. Its reader closes it."""

    def __init__(
        self,
        way: StraightConnection,
        connection: Http1Connection,
        head: h11.Response,
        silence: float | None,
    ) -> None:
        self.status: Final = int(head.status_code)
        self.headers: Final = {k.decode("latin-1"): v.decode("latin-1") for k, v in head.headers}
        self._way: Final = way
        self._connection: Http1Connection | None = connection
        self._silence: Final = silence

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content, unpacked, as it comes.

        Raises:
            PostFailed: it breaks off, or is packed in a way that can't be read.
        """
        connection = self._connection
        try:
            unpacked = _unpacking(self.headers.get("content-encoding", "").strip().lower())
            while connection is not None:
                async with asyncio.timeout(self._silence):
                    event = await connection.next()
                if isinstance(event, h11.Data):
                    for piece in unpacked(bytes(event.data)):
                        yield piece
                elif isinstance(event, h11.EndOfMessage):
                    break
        except (OSError, h11.ProtocolError, zlib.error) as error:
            raise _failed(error, "broke_off") from None
        if connection is not None and connection.http.states == _OVER:
            connection.http.start_next_cycle()
            self._connection = None
            self._way.keep(connection)

    async def aclose(self) -> None:
        """Close the connection, unless the answer was read to its end."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


def _last_of_each(fields: Fields) -> list[tuple[str, str]]:
    """The fields of a head; of those with one name, in whatever letters, the last."""
    last = {name.lower(): (name, value) for name, value in fields}
    return [*last.values()]


def _unpacking(coding: str) -> Callable[[bytes], Iterable[bytes]]:
    if coding not in _PACKED:
        raise PostFailed("broke_off", "it is packed in a way that was not asked for")
    if not _PACKED[coding]:
        return lambda data: (data,)
    inflating = zlib.decompressobj(_PACKED[coding])

    def unpacked(data: bytes) -> Iterable[bytes]:
        while data:
            yield inflating.decompress(data, PIECE)
            data = inflating.unconsumed_tail

    return unpacked


def _failed(
    error: Exception, lost: Literal["unreachable", "broke_off"], why: str = ""
) -> PostFailed:
    if isinstance(error, TimeoutError):
        return PostFailed("silent")
    if isinstance(error, h11.LocalProtocolError):
        return PostFailed("unsendable", str(error))
    return PostFailed(lost, why or str(error) or type(error).__name__)
