"""Plain HTTP: one request, one connection of its own, read and written anew.

Rules kept here:

* The head that goes out is made of what was parsed (h11), never of the client's bytes: what two
  readers could understand differently does not get out.
* Host equals the address that was asked for, or the request is refused; it never goes along as
  the client wrote it.
* Fields of the hop go no further, an upgrade neither; trailers are dropped.
* The connection to the server is closed after one answer, so no answer can be taken for another's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import h11

from bailee.cloud.egress.attempts import Attempt, Stopped, idle
from bailee.cloud.egress.budgets import Budgets
from bailee.cloud.egress.records import Outcome
from bailee.outbound.hosts import Host, NotAHost, read_authority
from bailee.outbound.http1 import Conversation, Headers, end_to_end, values

_SCHEME: Final = "http://"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and the path that is asked for there."""

    host: Host
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As Host has it."""
        port = "" if self.port == 80 else f":{self.port}"
        return f"{self.host.bracketed}{port}"


def target_of(request: h11.Request, within: tuple[Host, int] | None = None) -> Target:
    """Where a request goes. `within`: the tunnel that it came through, if it did.

    Raises:
        Stopped: it has no place here.
    """
    if _two_lengths(request.headers):
        raise malformed("it has a length and a transfer coding")
    text = request.target.decode("ascii")
    if within is not None:
        if not text.startswith("/"):
            raise malformed("inside a tunnel, a request asks for a path")
        return Target(*within, text)
    return _absolute(text)


def check_host(request: h11.Request, target: Target) -> None:
    """A request's Host is where it goes.

    Raises:
        Stopped: it is another, or none.
    """
    hosts = values(request.headers, b"host")
    if request.http_version == b"1.0" and not hosts:
        return
    try:
        named = read_authority(hosts[0].decode("ascii"), 80)
    except (NotAHost, UnicodeDecodeError, IndexError):
        raise malformed("its Host is no host") from None
    if (named[0].name, named[1]) != (target.host.name, target.port):
        raise Stopped(Outcome.REFUSED, "http.host", "its Host is another than its address")


def _two_lengths(headers: Headers) -> bool:
    return bool(values(headers, b"content-length") and values(headers, b"transfer-encoding"))


def _absolute(text: str) -> Target:
    if text.startswith("/"):
        raise malformed("this is a proxy: a request names the whole address")
    if not text.lower().startswith(_SCHEME):
        raise malformed("only http:// goes through a proxy like this; for TLS, use CONNECT")
    rest = text[len(_SCHEME) :]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path = rest[end:]
    if "#" in rest:
        raise malformed("an address for a server has no fragment")
    try:
        host, port = read_authority(rest[:end], 80)
    except NotAHost as error:
        raise Stopped(Outcome.REFUSED, "host.malformed", str(error), 400) from None
    return Target(host, port, path if path.startswith("/") else "/" + path)


def malformed(reason: str) -> Stopped:
    """A request that is none, or none for here."""
    return Stopped(Outcome.REFUSED, "request.malformed", reason, 400)


def _head(request: h11.Request, target: Target) -> h11.Request:
    chunked = bool(values(request.headers, b"transfer-encoding"))
    headers = [(b"host", target.authority.encode())]
    headers += [
        (name, value)
        for name, value in end_to_end(request.headers)
        if name not in (b"host", b"expect")
    ]
    if chunked:
        headers.append((b"transfer-encoding", b"chunked"))
    headers.append((b"connection", b"close"))
    return h11.Request(method=request.method, target=target.path, headers=headers)


class Forward:
    """A client's request on its way to `upstream`, and the answer on its way back."""

    def __init__(
        self, client: Conversation, upstream: Conversation, attempt: Attempt, budgets: Budgets
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._attempt = attempt
        self._budgets = budgets
        self._counted = (0, 0)

    async def run(self, request: h11.Request, target: Target) -> None:
        """Send the request on and the answer back.

        Raises:
            Stopped: a budget ended it, or the server's answer is not HTTP.
            OSError: the client went away.
        """
        try:
            async with asyncio.timeout(self._budgets.idle) as self._timer:
                sending = asyncio.create_task(self._up(_head(request, target)))
                try:
                    await self._down()
                except Stopped:
                    if sending.done() and not sending.cancelled():
                        _explain(sending.exception())
                    raise
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        except TimeoutError:
            raise idle(self._budgets) from None

    async def _up(self, head: h11.Request) -> None:
        try:
            await self._upstream.send(head)
            self._count()
            while True:
                event = await self._client.next()
                if isinstance(event, h11.EndOfMessage):
                    await self._upstream.send(h11.EndOfMessage())
                    return
                await self._upstream.send(event)
                self._count()
        except BaseException:
            self._upstream.abort()  # so that the way down ends too
            raise

    async def _down(self) -> None:
        answered = False
        while True:
            try:
                event = await self._upstream.next()
            except (h11.ProtocolError, OSError):
                event = h11.ConnectionClosed()
            self._count()
            if isinstance(event, h11.InformationalResponse):
                continue
            if isinstance(event, h11.Response) and _two_lengths(event.headers):
                event = h11.ConnectionClosed()
            if isinstance(event, h11.Response):
                answered = self._attempt.established = True
                await self._client.send(
                    h11.Response(
                        status_code=event.status_code,
                        reason=event.reason,
                        headers=end_to_end(event.headers),
                    )
                )
            elif isinstance(event, h11.Data):
                await self._client.send(event)
            elif isinstance(event, h11.EndOfMessage):
                await self._client.send(h11.EndOfMessage())
                return
            else:
                raise Stopped(
                    Outcome.CUT if answered else Outcome.FAILED,
                    "upstream.closed",
                    "the server ended before its answer did",
                    502,
                )

    def _count(self) -> None:
        sent, received = self._upstream.sent, self._upstream.received
        before, self._counted = self._counted, (sent, received)
        self._timer.reschedule(asyncio.get_running_loop().time() + self._budgets.idle)
        self._attempt.carry(sent=sent - before[0], received=received - before[1])


def _explain(error: BaseException | None) -> None:
    """Raise what ended the request's way up, when that is why there is no answer."""
    if isinstance(error, Stopped):
        raise error
    if isinstance(error, h11.RemoteProtocolError):
        raise malformed("its body is not HTTP/1.1") from None
