"""Plain HTTP: one request, one connection of its own, read and written anew.

Rules kept here:

* The head that goes out is `outbound.forward_proxy`'s: made of what was parsed, for the host that
  was asked for. Trailers are dropped.
* The connection to the server is closed after one answer, so no answer can be taken for another's.
"""

from __future__ import annotations

import asyncio

import h11

from bailee.outbound.forward_proxy import Target, head_onward, malformed, two_lengths
from bailee.outbound.forwarding.attempts import Attempt, Stopped, idle, stopped
from bailee.outbound.forwarding.budgets import Budgets
from bailee.outbound.forwarding.records import ConnectionOutcome
from bailee.outbound.http1 import Http1Connection, end_to_end
from bailee.outbound.proxies import Proxy


class Forward:
    """A client's request on its way to `upstream`, and the answer on its way back. The proxy makes
    one for each plain request, in its loop. It owns neither connection, keeps no more than a piece,
    and decides nothing: where it goes was decided before.
    """

    def __init__(
        self, client: Http1Connection, upstream: Http1Connection, attempt: Attempt, budgets: Budgets
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._attempt = attempt
        self._budgets = budgets
        self._counted = (0, 0)

    async def run(self, request: h11.Request, target: Target, proxy: Proxy | None = None) -> None:
        """Send the request on and the answer back. `proxy`: the company's, if `upstream` is it.

        Raises:
            Stopped: a budget ended it, or the server's answer is not HTTP.
            OSError: the client went away.
        """
        try:
            async with asyncio.timeout(self._budgets.idle) as self._timer:
                sending = asyncio.create_task(self._up(head_onward(request, target, proxy)))
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
            if isinstance(event, h11.Response) and two_lengths(event.headers):
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
                    ConnectionOutcome.CUT if answered else ConnectionOutcome.FAILED,
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
        raise stopped(malformed("its body is not HTTP/1.1")) from None
