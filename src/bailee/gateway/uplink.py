"""The request's way up: its head with another credential, then its body as it comes.

Rules kept here:

* Head and what came of the body go in one write, over a connection that is taken only then.
* What can't be sent yet is bounded: past that the client is not read from.
* Once means once: what the upstream may have begun on is never written again. Written again, over
  a new connection and one time, is only a request whose pooled connection ended before anything of
  an answer came, and of that only

  - one whose last byte had not been given to the connection: by its framing the upstream knows
    that it is incomplete, and must not act on it (RFC 9112, 8);
  - GET and HEAD, which ask for nothing to be done (RFC 9110, 9.2.1 and 9.2.2).

  A POST is a POST, whatever it asks for. What had not been written at all because its connection
  was found ended, or could not be made, has not been sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Final

from bailee.errors import BaileeError, UpstreamError
from bailee.gateway.answers import LAST_CHUNK, chunk
from bailee.gateway.http1 import without
from bailee.vault.exchange import Outcome

if TYPE_CHECKING:
    from bailee.gateway.client import ClientConnection
    from bailee.gateway.exchange import Exchange
    from bailee.gateway.upstream import UpstreamConnection, UpstreamPool

_UNSENT: Final = 256 * 1024  # read from a client while its upstream connection is being made
_SAFE: Final = frozenset({b"GET", b"HEAD"})


class Uplink:
    """See the module. `connection` is there while a request is under way on it; `full` says that
    it does not take what was written as fast as it came.
    """

    __slots__ = (
        "_answered",
        "_began",
        "_client",
        "_dispatched",
        "_exchange",
        "_passthrough",
        "_pool",
        "_target",
        "_task",
        "_to_sign",
        "_unsent",
        "_unsent_size",
        "_written",
        "_written_size",
        "connection",
        "full",
    )

    def __init__(
        self,
        exchange: Exchange,
        client: ClientConnection,
        pool: UpstreamPool,
        target: bytes,
        *,
        passthrough: bool,
    ) -> None:
        self.connection: UpstreamConnection | None = None
        self.full = False
        self._exchange = exchange
        self._client = client
        self._pool = pool
        self._target = target
        self._passthrough = passthrough  # the client's credentials are for the upstream
        self._to_sign: list[bytes] | None = None  # the body, when it has to be there whole
        credential = pool.credential
        if credential.needs_body and not passthrough and credential.fixed is None:
            self._to_sign = []
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._began = False  # whether anything of the body has come, or that there is none
        self._dispatched = False
        self._answered = False
        self._written: list[bytes] | None = None  # while it may be written again
        self._written_size = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def collects(self) -> bool:
        """Whether the whole body is held here before it goes."""
        return self._to_sign is not None

    def open(self) -> None:
        """Sends the head, once its credential is there."""
        credential = self._pool.credential
        if self._passthrough:
            self._dispatch(self._exchange.head.credential_lines)
        elif credential.fixed is not None:
            self._dispatch(credential.fixed)
        elif self._to_sign is None or self._exchange.request_done:
            self._run(self._sign())

    def send(self, payload: bytes, done: bool) -> None:
        """Takes more of the body, transfer coding removed; `done` with the last of it."""
        if self._to_sign is not None:
            self._began = True
            if payload:
                self._to_sign.append(payload)
            if done:
                self._run(self._sign())
            return
        if self._exchange.head.chunked:
            if payload:
                payload = chunk(payload)
            if done:
                payload += LAST_CHUNK
        if payload:
            self._write(payload)
        if not self._began:
            self._began = True
            if self._dispatched:
                self._take_connection()

    def answered(self) -> None:
        """An answer has begun: the request is not sent again."""
        self._answered = True
        self._written = None

    def lost(self, connection: UpstreamConnection) -> bool:
        """`connection` closed before the answer was complete. Whether the request goes again."""
        written, self._written = self._written, None
        if written is None or connection.heard or self._client.gone:
            return False
        self._unsent = written
        self.full = False
        self._run(self._connect())
        return True

    def fill(self, full: bool) -> None:
        """The upstream does not take what was written as fast as it came, or does again."""
        self.full = full
        if full:
            self._client.pause("upstream")
        else:
            self._client.resume("upstream")

    def drop(self) -> None:
        """The upstream is not wanted any more."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.drop()
        if self._task is not None and self._task is not _current_task():
            self._task.cancel()

    def forget(self) -> None:
        """The exchange is over. The two refer to each other, and would wait for the garbage
        collector.
        """
        del self._exchange

    # -- inside --------------------------------------------------------------------------------

    async def _sign(self) -> None:
        exchange, pool = self._exchange, self._pool
        body = b"".join(self._to_sign or ())
        url = pool.origin + (pool.base + self._target).decode("latin-1")
        try:
            lines = await pool.credential.lines(exchange.head.method.decode("ascii"), url, body)
        except BaileeError as error:
            exchange.upstream_failed(error)
            return
        except Exception as error:  # whatever a cloud's library raises, the client gets an answer
            exchange.upstream_failed(
                UpstreamError(
                    f"The upstream's credential could not be obtained ({type(error).__name__}).",
                    code="upstream_credential",
                )
            )
            return
        if exchange.ended:
            return
        if self._to_sign is None:
            self._dispatch(lines)
            return
        self._to_sign = None
        if body:
            self._unsent = [body]
        self._dispatch(lines, signed_length=len(body))

    def _dispatch(self, lines: bytes, signed_length: int | None = None) -> None:
        """Sends the head with the credential's `lines`, and what came of the body so far."""
        head, pool = self._exchange.head, self._pool
        kept = head.kept
        if pool.credential.replaces and not self._passthrough:
            kept = without(kept, pool.credential.replaces)
        framing = b"Transfer-Encoding: chunked\r\n" if head.chunked else b""
        if head.chunked and signed_length is not None:
            framing = b"Content-Length: %d\r\n" % signed_length
        raw = b"%b %b%b HTTP/1.1\r\n%b%b%b%b\r\n" % (
            head.method,
            pool.base,
            self._target,
            pool.host_line,
            kept,
            lines,
            framing,
        )
        self._unsent.insert(0, raw)
        self._dispatched = True
        if self._began:
            self._take_connection()

    def _take_connection(self) -> None:
        connection = self._pool.take()
        if connection is None:
            self._run(self._connect())
        else:
            self._written = []
            self._attach(connection)

    async def _connect(self) -> None:
        exchange = self._exchange
        try:
            connection = await self._pool.connect()
        except UpstreamError as error:
            timed_out = error.code == "upstream_timeout"
            exchange.fail(error, Outcome.TIMED_OUT if timed_out else Outcome.UPSTREAM_FAILED)
            return
        if exchange.ended:
            self._pool.give_back(connection)
            return
        self._attach(connection)

    def _attach(self, connection: UpstreamConnection) -> None:
        connection.exchange = exchange = self._exchange
        self.connection = connection
        exchange.heard = exchange.gateway.now
        unsent, self._unsent, self._unsent_size = self._unsent, [], 0
        self._write(b"".join(unsent))
        if not self.full:
            self._client.resume("upstream")

    def _write(self, raw: bytes) -> None:
        if self.connection is None:
            if self._answered:
                return  # answered before the request was complete: the rest is not wanted
            self._unsent.append(raw)
            self._unsent_size += len(raw)
            if self._unsent_size > _UNSENT:
                self._client.pause("upstream")
            return
        if self._written is not None:
            self._note(self._written, raw)
        self.connection.transport.write(raw)

    def _note(self, written: list[bytes], raw: bytes) -> None:
        """Keeps what is being written, as long as it may be written again."""
        exchange = self._exchange
        self._written_size += len(raw)
        whole = exchange.request_done and exchange.head.method not in _SAFE
        if whole or self._written_size > exchange.gateway.limits.resend:
            self._written = None
        else:
            written.append(raw)

    def _run(self, work: Coroutine[object, object, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
