"""Git's smart HTTP for one session: one repository, one branch, and a reason for each refusal.

Rules kept here:

* What comes is read into its parts and decided on (`routes.py`, `pushes.py`, `rules.py`,
  `packs.py`, all pure); what goes upstream is written from those parts.
* The session shows a token, compared in constant time; the server is shown a credential that is
  fetched anew for each operation and never leaves the host.
* Bodies pass in pieces. Of a push to a branch that exists, the last piece waits until the whole
  pack, and what the server says of the commits that it has, were seen to add to it.
* A refusal is said where git prints it: in a push's report, else in an ERR packet.
* Each operation is recorded once, however it ends. When that fails, nothing is passed on until a
  refusal could be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import h11

from bailee.clock import Clock, system_clock
from bailee.cloud.git.advertisements import Advertisement, NotAnAdvertisement
from bailee.cloud.git.packs import NotAPack, PackReader
from bailee.cloud.git.pktlines import Marker, encode
from bailee.cloud.git.pushes import NotAPush, Push, PushReader
from bailee.cloud.git.receiving import after, drain, received
from bailee.cloud.git.records import GitLimits, GitOutcome, GitRecord
from bailee.cloud.git.refusals import say
from bailee.cloud.git.reports import ReportReader
from bailee.cloud.git.routes import FETCH, PUSH, GitRoute, GitService, Repository, route
from bailee.cloud.git.rules import NOT_FORWARD, refused
from bailee.cloud.git.upstream import GitRequest, GitUpstream, Refusal, silent
from bailee.cloud.git.ways_back import lead_back
from bailee.cloud.ports import GUEST_PORTS
from bailee.errors import BaileeError
from bailee.outbound.dialing import Dialer
from bailee.outbound.http1 import Http1Connection, values
from bailee.outbound.streams import Writer

_PROBE: Final = encode(Marker.FLUSH)
_PROTOCOL: Final = re.compile(rb"[a-z0-9=:.-]{1,100}\Z")
_BRANCH: Final = re.compile(r"refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}\Z")


class CredentialUse(StrEnum):
    """What a credential is for."""

    READ = "read"
    WRITE = "write"


Credential = Callable[[CredentialUse], Awaitable[str | None]]
"""The value of Authorization for the git server, fetched anew; None for a public repository."""


@dataclass(slots=True)
class _Operation:
    """One request, filled in as it goes on."""

    ask: GitService
    push: Push | None = None
    banded: bool = True
    outcome: GitOutcome = GitOutcome.FAILED  # until it came to its end
    rule: str = "broken_off"
    sent: int = 0
    received: int = 0
    answered: bool = False
    probe: bool = False


class GitProxy:
    """`serve` is the `Service` of a session. See the package for the arguments."""

    def __init__(
        self,
        repository: Repository,
        *,
        branch: str,
        token: str,
        credential: Credential,
        record: Callable[[GitRecord], None],
        force: bool = False,
        dialer: Dialer | None = None,
        tls: ssl.SSLContext | None = None,
        limits: GitLimits | None = None,
        clock: Clock = system_clock,
    ) -> None:
        if not _BRANCH.match(branch):
            raise ValueError("a branch is refs/heads/ and a plain name")
        self.repository: Final = repository
        self.branch: Final = branch
        self._authorization: Final = f"Bearer {token}".encode()
        self._credential: Final = credential
        self._record: Final = record
        self._force: Final = force
        self._limits: Final = limits or GitLimits()
        dialer = dialer or Dialer(seconds=self._limits.connect)
        self._upstream: Final = GitUpstream(
            repository, dialer, tls or dialer.network.tls(), self._limits.idle
        )
        self._clock: Final = clock
        self._streams = 0
        self._unrecorded = False

    @property
    def url(self) -> str:
        """The repository's address inside the guest."""
        return f"http://127.0.0.1:{GUEST_PORTS['git']}{self.repository.base}"

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Serve one stream until it ends."""
        client = Http1Connection(h11.SERVER, reader, writer)
        self._streams += 1
        try:
            while await self._once(client):
                client.http.start_next_cycle()
        except (OSError, h11.ProtocolError, TimeoutError):
            pass  # the client went away, or speaks no HTTP
        finally:
            self._streams -= 1
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _once(self, client: Http1Connection) -> bool:
        """One request; whether another may follow on this stream."""
        async with asyncio.timeout(self._limits.idle):
            request = await client.next()
        if not isinstance(request, h11.Request):
            return False
        way = route(request.method.decode(), request.target.decode("ascii"), self.repository)
        operation = _Operation(way.ask)
        at, began = self._clock(), _now()
        try:
            async with asyncio.timeout(self._limits.longest):
                operation.outcome, operation.rule = await self._operate(
                    client, request, way, operation
                )
        except Refusal as stopped:
            operation.outcome, operation.rule = stopped.outcome, stopped.rule
            await self._refuse(client, way, operation, stopped.reason)
        except TimeoutError:
            operation.outcome, operation.rule = GitOutcome.FAILED, "time.longest"
            await self._refuse(client, way, operation, "it took too long")
        finally:
            self._write_down(operation, at, began)
        return client.http.our_state is h11.DONE and client.http.their_state is h11.DONE

    async def _operate(
        self, client: Http1Connection, request: h11.Request, way: GitRoute, operation: _Operation
    ) -> tuple[GitOutcome, str]:
        if self._unrecorded:
            raise Refusal(GitOutcome.REFUSED, "record", "git operations can't be recorded")
        shown = values(request.headers, b"authorization")
        if self._streams > self._limits.streams:
            raise Refusal(GitOutcome.REFUSED, "streams", "too many git operations at once")
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._authorization):
            raise Refusal(GitOutcome.REFUSED, "token", "the session's token is missing or wrong")
        if way.rule:
            raise Refusal(GitOutcome.REFUSED, way.rule, way.reason)
        protocols = values(request.headers, b"git-protocol")
        protocol = protocols[0] if len(protocols) == 1 and _PROTOCOL.match(protocols[0]) else None
        if way.ask in (GitService.ADVERTISE_FETCH, GitService.ADVERTISE_PUSH):
            await self._advertise(client, way, operation, protocol)
            return GitOutcome.DONE, ""
        most = self._limits.push if way.ask is GitService.PUSH else self._limits.asked
        body = received(client, request, most, self._limits.idle)
        if way.ask is GitService.FETCH:
            await self._fetch(client, body, operation, protocol)
            return GitOutcome.DONE, ""
        return await self._push(client, body, operation)

    # -- the operations --------------------------------------------------------------------------

    async def _advertise(
        self, client: Http1Connection, way: GitRoute, operation: _Operation, protocol: bytes | None
    ) -> None:
        pushing = way.ask is GitService.ADVERTISE_PUSH
        service = PUSH if pushing else FETCH
        passing = Advertisement(service)
        request = GitRequest(
            "GET",
            f"/info/refs?service={service}",
            f"application/x-{service}-advertisement",
            await self._authorize(CredentialUse.WRITE if pushing else CredentialUse.READ),
            None if pushing else protocol,
        )
        async with self._upstream.ask(request, None) as answer:
            try:
                async for piece in self._timed(answer, operation, self._limits.advertised):
                    await self._answer(client, operation, request.accept, passing.feed(piece))
                passing.end()
            except NotAnAdvertisement:
                raise Refusal(
                    GitOutcome.FAILED, "upstream.not_git", "what answers there is no git server"
                ) from None
        await client.send(h11.EndOfMessage())

    async def _fetch(
        self,
        client: Http1Connection,
        body: AsyncIterator[bytes],
        operation: _Operation,
        protocol: bytes | None,
    ) -> None:
        asked = self._counted(body, operation)
        first = await anext(asked, b"")
        if first == _PROBE:
            await self._probed(client, body, operation, FETCH)
            return
        request = GitRequest(
            "POST",
            f"/{FETCH}",
            f"application/x-{FETCH}-result",
            await self._authorize(CredentialUse.READ),
            protocol,
            f"application/x-{FETCH}-request",
        )
        async with self._upstream.ask(request, after(first, asked)) as answer:
            async for piece in self._timed(answer, operation, self._limits.fetched):
                await self._answer(client, operation, request.accept, piece)
        await self._answer(client, operation, request.accept, b"")
        await client.send(h11.EndOfMessage())

    async def _push(
        self, client: Http1Connection, body: AsyncIterator[bytes], operation: _Operation
    ) -> tuple[GitOutcome, str]:
        reader = PushReader()
        push: Push | None = None
        try:
            async for piece in body:
                if (push := reader.feed(piece)) is not None:
                    break
        except NotAPush as malformed:
            raise Refusal(GitOutcome.REFUSED, "push.malformed", str(malformed)) from None
        if push is None:
            raise Refusal(GitOutcome.REFUSED, "push.malformed", "a push that ends in the middle")
        if not push.commands:
            await self._probed(client, after(reader.rest, body), operation, PUSH)
            return GitOutcome.DONE, ""
        operation.push = push
        operation.banded = push.can("side-band-64k")
        if (why := refused(push, self.branch)) is not None:
            rule, reasons = why
            raise Refusal(GitOutcome.REFUSED, rule, next(iter(reasons.values())))
        request = GitRequest(
            "POST",
            f"/{PUSH}",
            f"application/x-{PUSH}-result",
            await self._authorize(CredentialUse.WRITE),
            content_type=f"application/x-{PUSH}-request",
        )
        report = ReportReader(banded=operation.banded)
        sending = self._counted(self._pushed(push, reader.rest, body, operation), operation)
        async with self._upstream.ask(request, sending) as answer:
            async for piece in self._timed(answer, operation, self._limits.advertised):
                report.feed(piece)
                await self._answer(client, operation, request.accept, piece)
        await self._answer(client, operation, request.accept, b"")
        await client.send(h11.EndOfMessage())
        if report.accepted is True:
            return GitOutcome.DONE, ""
        return GitOutcome.REJECTED, "upstream.rejected"

    async def _pushed(
        self, push: Push, rest: bytes, body: AsyncIterator[bytes], operation: _Operation
    ) -> AsyncIterator[bytes]:
        """The push as it goes upstream; its last piece once the pack was seen to add."""
        (command,) = push.commands
        yield push.encode()
        if self._force or command.creates:
            async for piece in after(rest, body):
                yield piece
            return
        pack = PackReader(len(command.new) // 2)
        held = b""
        try:
            async for piece in after(rest, body):
                pack.feed(piece)
                if held:
                    yield held
                held = piece
            pack.end()
        except NotAPack as malformed:
            raise Refusal(GitOutcome.REFUSED, "push.malformed", str(malformed)) from None
        if not pack.adds(command.old, command.new) and not await lead_back(
            self._upstream,
            await self._authorize(CredentialUse.READ),
            pack.beyond(command.new),
            command.old,
            lambda answer: self._timed(answer, operation, self._limits.fetched),
        ):
            raise Refusal(GitOutcome.REFUSED, "not_forward", NOT_FORWARD)
        yield held

    async def _authorize(self, access: CredentialUse) -> str | None:
        try:
            return await self._credential(access)
        except BaileeError as failed:
            raise Refusal(
                GitOutcome.FAILED,
                "credential",
                f"no credential for the git server: {failed.message}",
            ) from None

    # -- bodies and answers ----------------------------------------------------------------------

    async def _counted(
        self, body: AsyncIterator[bytes], operation: _Operation
    ) -> AsyncIterator[bytes]:
        async for piece in body:
            operation.sent += len(piece)
            yield piece

    async def _timed(
        self, answer: AsyncIterator[bytes], operation: _Operation, most: int
    ) -> AsyncIterator[bytes]:
        """An answer's pieces, as long as they come and are not too many."""
        while True:
            try:
                async with asyncio.timeout(self._limits.idle):
                    piece = await anext(answer, None)
            except TimeoutError:
                raise silent() from None
            if piece is None:
                return
            operation.received += len(piece)
            if operation.received > most:
                raise Refusal(
                    GitOutcome.FAILED, "size", "the git server's answer is over the limit"
                )
            yield piece

    async def _answer(
        self, client: Http1Connection, operation: _Operation, kind: str, piece: bytes
    ) -> None:
        """A piece of the answer; its head before the first."""
        if not operation.answered:
            operation.answered = True
            headers = [("content-type", kind), ("cache-control", "no-cache")]
            await client.send(h11.Response(status_code=200, headers=headers, reason=b"OK"))
        if piece:
            await client.send(h11.Data(data=piece))

    async def _probed(
        self,
        client: Http1Connection,
        body: AsyncIterator[bytes],
        operation: _Operation,
        service: str,
    ) -> None:
        """Before a large request git asks with an empty one whether it is let in. It is."""
        async for _ in body:
            raise Refusal(
                GitOutcome.REFUSED, "request.malformed", "something behind an empty request"
            )
        operation.probe = True
        await self._answer(client, operation, f"application/x-{service}-result", b"")
        await client.send(h11.EndOfMessage())

    async def _refuse(
        self, client: Http1Connection, way: GitRoute, operation: _Operation, reason: str
    ) -> None:
        """Say why, in the form that git prints, once the rest of the request has been taken."""
        if operation.answered:
            client.abort()  # in the middle of an answer: git sees that it is not whole
            return
        await drain(client, self._limits)
        said = say(way, operation.push, self.branch, reason)
        headers = [
            ("content-type", said.kind),
            ("content-length", str(len(said.body))),
            ("cache-control", "no-cache"),
        ]
        with contextlib.suppress(OSError, h11.LocalProtocolError):
            await client.send(
                h11.Response(status_code=said.status, headers=headers, reason=b"OK"),
                h11.Data(data=said.body),
                h11.EndOfMessage(),
            )

    def _write_down(self, operation: _Operation, at: datetime, began: float) -> None:
        if operation.probe:
            return
        push = operation.push
        mine = [c for c in push.commands if c.ref == self.branch] if push is not None else []
        record = GitRecord(
            at=at,
            ask=operation.ask,
            outcome=operation.outcome,
            rule=operation.rule,
            ref=self.branch if mine else "",
            old=mine[0].old if mine else "",
            new=mine[0].new if mine else "",
            sent=operation.sent,
            received=operation.received,
            seconds=round(max(0.0, _now() - began), 3),
        )
        try:
            self._record(record)
        except BaseException:
            self._unrecorded = True
            raise
        self._unrecorded = False


def _now() -> float:
    return asyncio.get_running_loop().time()
