"""The forward proxy: one engine for every way out that somebody else's program is given.

A cloud session's egress, the agent's sandbox and the watch of a program's connections are each this
proxy, with rules of their own. `tunnel.py` has a client's connection and what goes through CONNECT;
here are the means and the record of them all, and plain requests.

Rules kept here:

* Each attempt is recorded once, however it ends; when that fails, it is over: nothing more goes
  out.
* A refusal says its rule where the client shows it (`answers.py`).
* After a number of violations it is over: `end` is called once.
* With `login`, who does not show it is answered 407, and reaches nothing.

Rows: C3, D2, S7.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import h11

from bailee.clock import Clock, system_clock
from bailee.errors import InputError
from bailee.outbound.dialing import AddressRefused, Dialer, Unreachable
from bailee.outbound.forward_proxy import (
    NotServed,
    check_host,
    malformed,
    target_of,
    tunnel_of,
)
from bailee.outbound.forwarding.answers import refusal_parts
from bailee.outbound.forwarding.attempts import Attempt, Stopped, over_budget, stopped, too_long
from bailee.outbound.forwarding.budgets import Budgets, Spending
from bailee.outbound.forwarding.forward import Forward
from bailee.outbound.forwarding.records import ConnectionOutcome, EgressRecord
from bailee.outbound.forwarding.rules import ForwardRules
from bailee.outbound.forwarding.transports import StreamTransport
from bailee.outbound.forwarding.tunnel import Tunnel
from bailee.outbound.hosts import Host
from bailee.outbound.http1 import PIECE, Http1Connection, values
from bailee.outbound.streams import Ends, Writer

_FLOOD: Final = 10
"""How many refusals for want of a budget weigh as much as one violation."""
_LINGER: Final = 2.0


class ForwardProxy:
    """Serves any number of clients, whose connections count together; in one event loop.

    `record` is called with each connection's record, `end` when it is over by violations or for
    want of a record; neither may block. `login`: the value of Proxy-Authorization that clients
    must show; None: none.
    """

    def __init__(
        self,
        rules: ForwardRules,
        *,
        record: Callable[[EgressRecord], None],
        end: Callable[[], None] = lambda: None,
        dialer: Dialer | None = None,
        budgets: Budgets | None = None,
        violations: int = 100,
        login: bytes | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.rules: Final = rules
        self.budgets: Final = budgets or Budgets()
        self.spending: Final = Spending(self.budgets)
        self.violations = 0
        self.ended = False
        self.dialer: Final = dialer or Dialer(seconds=self.budgets.connect)
        self._record: Final = record
        self._end: Final = end
        self._most_violations: Final = violations
        self._login: Final = login
        self._floods = 0
        self._clock: Final = clock
        self._open: set[Tunnel] = set()

    def connection(self) -> asyncio.Protocol:
        """The protocol of one more client's connection, for `create_server`."""
        return Tunnel(self)

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Serve one stream until it ends."""
        tunnel = Tunnel(self)
        try:
            await StreamTransport(reader, writer).run(tunnel)
        finally:
            await tunnel.end()

    async def close(self) -> None:
        """End every connection that is left."""
        for tunnel in list(self._open):
            await tunnel.end()

    # -- for the connections ---------------------------------------------------------------------

    def opened(self, tunnel: Tunnel) -> bool:
        """One more client; whether there were too many already."""
        self._open.add(tunnel)
        self.spending.streams += 1
        return self.spending.streams > self.budgets.concurrent

    def closed(self, tunnel: Tunnel) -> None:
        """One client less."""
        if tunnel in self._open:
            self._open.discard(tunnel)
            self.spending.streams -= 1

    def attempt(self) -> Attempt:
        """A new attempt."""
        return Attempt(self._clock(), _now(), self.spending)

    def known(self, shown: Sequence[bytes]) -> None:
        """Whether a client shows what it must.

        Raises:
            NotServed: it does not.
        """
        if self._login is None:
            return
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._login):
            raise NotServed("proxy.login", "this proxy is somebody else's", 407)

    def decide(self, host: Host, port: int, attempt: Attempt) -> None:
        """Whether an attempt may be made, and has the means.

        Raises:
            Stopped: it may not, or has not.
        """
        attempt.host, attempt.port = host.name, port
        verdict = self.rules.decide(host, port)
        attempt.rule = verdict.rule
        if not verdict.allowed:
            raise Stopped(ConnectionOutcome.REFUSED, verdict.rule, verdict.reason)
        if (over := self.spending.connection(_now())) is not None:
            raise over_budget(over)

    def count(self, why: Stopped) -> None:
        """Weigh what was refused."""
        self.violations += why.is_violation
        self._floods += why.is_flood
        weight = self.violations + self._floods // _FLOOD
        if weight >= self._most_violations:
            self._over()

    def write_down(self, attempt: Attempt) -> None:
        """Record an attempt that has come to its end."""
        try:
            self._record(attempt.record(_now()))
        except BaseException:
            self._over()  # what can't be recorded does not go on
            raise

    # -- plain requests --------------------------------------------------------------------------

    async def converse(self, streams: Ends) -> None:
        """Serve the requests of a client's connection, one after another."""
        client = Http1Connection(h11.SERVER, *streams)
        try:
            while not self.ended and await self._once(client):
                pass
        except (OSError, h11.ProtocolError):
            pass  # the client went away
        finally:
            with contextlib.suppress(OSError):
                client.writer.close()
                await client.writer.wait_closed()

    async def _once(self, client: Http1Connection) -> bool:
        """One request; whether another may follow."""
        attempt = self.attempt()
        seen = False
        try:
            request = await self._request(client)
            if request is None:
                return False
            seen = True
            self.known(values(request.headers, b"proxy-authorization"))
            if request.method == b"CONNECT":
                host, port = tunnel_of(request)
                await client.next()  # the end of the request, which has no body
                seen = False  # the tunnel records it
                await self._tunnel(client, (host, port, attempt))
                return False
            async with self._timed():
                await self._plain(client, request, attempt)
            if client.http.our_state is not h11.DONE or client.http.their_state is not h11.DONE:
                return False
            client.http.start_next_cycle()
            return True
        except (Stopped, NotServed) as error:
            seen = True
            why = stopped(error) if isinstance(error, NotServed) else error
            attempt.stop(why)
            self.count(why)
            await self._refuse(client, attempt, why)
            return False
        finally:
            if seen:
                self.write_down(attempt)

    async def _request(self, client: Http1Connection) -> h11.Request | None:
        """The next head; None when the stream ended, or stayed silent, without one.

        Raises:
            Stopped: what came is none.
        """
        try:
            async with asyncio.timeout(self.budgets.head):
                event = await client.next()
        except TimeoutError:
            if not client.http.trailing_data[0]:
                return None
            raise Stopped(
                ConnectionOutcome.REFUSED, "time.head", "the request did not arrive in time", 408
            ) from None
        except h11.RemoteProtocolError:
            raise malformed("that is not a request of HTTP/1.1") from None
        return event if isinstance(event, h11.Request) else None

    async def _tunnel(self, client: Http1Connection, first: tuple[Host, int, Attempt]) -> None:
        """A CONNECT that was not read in one look, or follows a plain request."""
        reader, data = client.reader, client.http.trailing_data[0]
        if data:
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            if client.http.trailing_data[1]:
                reader.feed_eof()
        tunnel = Tunnel(self, first)
        try:
            await StreamTransport(reader, client.writer).run(tunnel)
        finally:
            await tunnel.end()

    async def plain_within(
        self, streams: Ends, within: tuple[Host, int], upstream: Ends, attempt: Attempt
    ) -> None:
        """Plain HTTP through a tunnel: some clients do so. It is read like any other."""
        inner = Http1Connection(h11.SERVER, *streams)
        attempt.established = False
        try:
            async with self._timed():
                request = await self._request(inner)
                if request is not None:
                    attempt.kind = "http"
                    target = target_of(request, within)
                    check_host(request, target)
                    far = Http1Connection(h11.CLIENT, *upstream)
                    await Forward(inner, far, attempt, self.budgets).run(request, target)
        except (Stopped, NotServed) as error:
            why = stopped(error) if isinstance(error, NotServed) else error
            attempt.stop(why)
            self.count(why)
            await self._refuse(inner, attempt, why)
        except (OSError, h11.ProtocolError):
            pass  # the client went away
        finally:
            self.write_down(attempt)

    async def _plain(self, client: Http1Connection, request: h11.Request, attempt: Attempt) -> None:
        attempt.kind = "http"
        target = target_of(request)
        attempt.host, attempt.port = target.host.name, target.port
        check_host(request, target)
        self.decide(target.host, target.port, attempt)
        async with self._connected(target.host, target.port, attempt) as upstream:
            by_proxy = attempt.address is None
            proxy = self.dialer.proxy(target.host, target.port, tunnel=False) if by_proxy else None
            await Forward(
                client, Http1Connection(h11.CLIENT, *upstream), attempt, self.budgets
            ).run(request, target, proxy)

    @contextlib.asynccontextmanager
    async def _connected(self, host: Host, port: int, attempt: Attempt) -> AsyncIterator[Ends]:
        try:
            reader, writer, address = await self.dialer.connect(host, port, tunnel=False)
        except AddressRefused as refused:
            attempt.address = str(refused.address)
            raise Stopped(ConnectionOutcome.REFUSED, refused.rule, refused.reason) from None
        except Unreachable as failed:
            status = 504 if failed.rule == "connect.timeout" else 502
            raise Stopped(ConnectionOutcome.FAILED, failed.rule, failed.reason, status) from None
        except InputError:
            why = "the settings of the network can't be used"
            raise Stopped(ConnectionOutcome.FAILED, "connect.settings", why, 502) from None
        attempt.address = None if address is None else str(address)
        try:
            yield reader, writer
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def _timed(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.budgets.longest):
                yield
        except TimeoutError:
            raise too_long(self.budgets) from None

    async def _refuse(self, client: Http1Connection, attempt: Attempt, why: Stopped) -> None:
        """Answer with the reason, if an answer can still be given."""
        if attempt.established:
            return
        headers, reason, body = refusal_parts(attempt, why)
        with contextlib.suppress(OSError, h11.LocalProtocolError):
            await client.send(
                h11.Response(status_code=why.status, headers=headers, reason=reason.encode()),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            client.writer.write_eof()
            if client.http.their_state in (h11.SEND_BODY, h11.ERROR):
                await _let_finish(client)

    def _over(self) -> None:
        if not self.ended:
            self.ended = True
            self._end()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _let_finish(client: Http1Connection) -> None:
    """Take what a client still sends, so that it gets to read its answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            for _ in range(64):
                if not await client.reader.read(PIECE):
                    return
