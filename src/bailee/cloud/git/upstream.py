"""One request to the git server, with the credential that never leaves the host.

Rules kept here:

* A connection for each request, to an address that was checked; TLS verified. Without TLS, only
  to networks that the operator named.
* Of the answer only the body comes back, and only of a 200 with the type that was asked for: no
  header, no redirect, no demand for a password reaches the session.
* The request may be refused by itself in the middle (its body raises): the connection is then
  broken off, so that the server does not take what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import h11

from bailee.cloud.git.records import GitOutcome
from bailee.cloud.git.routes import Repository
from bailee.outbound.dialing import AddressRefused, Dialer, Unreachable
from bailee.outbound.http1 import Http1Connection, values

BUFFERED: Final = 1 << 20
"""A body up to this size is sent with its length; git does the same."""


class Refusal(Exception):
    """An operation ends here. `reason` goes to the session: it names nothing of the host's."""

    def __init__(self, outcome: GitOutcome, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome: Final = outcome
        self.rule: Final = rule
        self.reason: Final = reason


@dataclass(frozen=True, slots=True)
class GitRequest:
    """What goes to the server; `path` is below the repository's."""

    method: str
    path: str
    accept: str
    authorization: str | None
    protocol: bytes | None = None
    content_type: str | None = None


class GitUpstream:
    """The git server of one repository."""

    def __init__(
        self, repository: Repository, dialer: Dialer, tls: ssl.SSLContext, idle: float
    ) -> None:
        self._repository = repository
        self._dialer = dialer
        self._tls = tls
        self._idle = idle

    @contextlib.asynccontextmanager
    async def ask(
        self, request: GitRequest, body: AsyncIterator[bytes] | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of the server's answer, in pieces.

        Raises:
            Refusal: the server can't be had or its answer is not one; or what `body` raised.
        """
        repository = self._repository
        try:
            reader, writer, address = await self._dialer.connect(
                repository.host, repository.port, self._tls if repository.tls else None
            )
        except AddressRefused as refused:
            raise Refusal(
                GitOutcome.REFUSED, refused.rule, f"the git server: {refused.reason}"
            ) from None
        except Unreachable as failed:
            raise Refusal(
                GitOutcome.FAILED, failed.rule, f"the git server: {failed.reason}"
            ) from None
        if not repository.tls and (address is None or not self._dialer.permits(address)):
            writer.close()
            reason = "no credential goes to a public address without TLS; use https://"
            raise Refusal(GitOutcome.REFUSED, "upstream.plain", reason)
        server = Http1Connection(h11.CLIENT, reader, writer)
        sending = asyncio.create_task(self._send(server, request, body))
        try:
            try:
                await self._head(server, request, sending)
                yield self._pieces(server)
            except Refusal:
                # What broke the request off says more than what came of it.
                if sending.done() and isinstance(sending.exception(), Refusal):
                    await sending
                raise
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()

    async def _send(
        self, server: Http1Connection, request: GitRequest, body: AsyncIterator[bytes] | None
    ) -> None:
        try:
            headers = [
                ("host", self._repository.authority),
                ("user-agent", "git/bailee"),
                ("accept", request.accept),
                ("connection", "close"),
            ]
            if request.authorization is not None:
                headers.append(("authorization", request.authorization))
            first, whole = await _begin(body)
            if request.content_type is not None:
                headers.append(("content-type", request.content_type))
                headers.append(
                    ("content-length", str(len(first)))
                    if whole
                    else ("transfer-encoding", "chunked")
                )
            wire = [(name.encode(), value.encode()) for name, value in headers]
            if request.protocol is not None:
                wire.append((b"git-protocol", request.protocol))
            target = self._repository.path + request.path
            await server.send(h11.Request(method=request.method, target=target, headers=wire))
            if first:
                await server.send(h11.Data(data=first))
            if body is not None and not whole:
                async for piece in body:
                    await server.send(h11.Data(data=piece))
            await server.send(h11.EndOfMessage())
        except BaseException:
            server.abort()
            raise

    async def _head(
        self, server: Http1Connection, request: GitRequest, sending: asyncio.Task[None]
    ) -> None:
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    event = await _event(server)
            except TimeoutError:
                if not sending.done():
                    continue  # the session has its own time to send in
                raise silent() from None
            if isinstance(event, h11.Response):
                break
            if not isinstance(event, h11.InformationalResponse):
                raise _broken()
        status = event.status_code
        if status in (401, 403):
            reason = f"the git server takes no access with the stored Git connection ({status})"
            raise Refusal(GitOutcome.FAILED, "upstream.credential", reason)
        if status == 404:
            reason = "the git server has no such repository for the stored Git connection (404)"
            raise Refusal(GitOutcome.FAILED, "upstream.not_found", reason)
        if 300 <= status < 400:
            reason = (
                f"the git server redirects ({status}), which is not followed; "
                "start the session with the repository's own address, often with .git at its end"
            )
            raise Refusal(GitOutcome.FAILED, "upstream.redirect", reason)
        if status != 200:
            raise Refusal(GitOutcome.FAILED, "upstream.status", f"the git server answered {status}")
        kinds = values(event.headers, b"content-type")
        if kinds != [request.accept.encode()] or values(event.headers, b"content-encoding"):
            raise Refusal(
                GitOutcome.FAILED,
                "upstream.not_git",
                "what answers there is no git server (smart HTTP)",
            )

    @staticmethod
    async def _pieces(server: Http1Connection) -> AsyncIterator[bytes]:
        while True:
            event = await _event(server)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise _broken()


async def _event(server: Http1Connection) -> object:
    try:
        return await server.next()
    except (h11.ProtocolError, OSError):
        raise _broken() from None


async def _begin(body: AsyncIterator[bytes] | None) -> tuple[bytes, bool]:
    """The beginning of a body, and whether it is all of it."""
    first = b""
    if body is not None:
        async for piece in body:
            first += piece
            if len(first) > BUFFERED:
                return first, False
    return first, True


def silent() -> Refusal:
    """The server says nothing."""
    return Refusal(GitOutcome.FAILED, "time.idle", "the git server said nothing for too long")


def _broken() -> Refusal:
    return Refusal(GitOutcome.FAILED, "upstream.broken", "the git server's answer broke off")
