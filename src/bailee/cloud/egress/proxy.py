"""The HTTP proxy of one session: CONNECT and plain requests, each decided, counted and recorded.

Rules kept here:

* The order is: what is asked for, is it a host; may it (`rules.py`), has it the means
  (`budgets.py`); and only then is a name resolved, every address checked, one of them connected to
  (`outbound/dialing.py`); then the first bytes are read, and must be of that host.
* Each attempt is recorded once, however it ends; when that fails, the session ends.
* A refusal says its rule where the client shows it: in the status line, the field `x-bailee-rule`,
  and the body.
* After a number of violations the session ends: `end` is called once, and nothing more goes out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import h11

from bailee.clock import Clock, system_clock
from bailee.cloud.egress.attempts import Attempt, Stopped, stopped, too_long
from bailee.cloud.egress.budgets import Budgets, Spending
from bailee.cloud.egress.forward import Forward
from bailee.cloud.egress.records import ConnectionOutcome, EgressRecord
from bailee.cloud.egress.rules import EgressRules
from bailee.cloud.egress.tunnel import carry_both_ways, first_message
from bailee.cloud.ports import End
from bailee.outbound.client_hello import looks_like_tls
from bailee.outbound.dialing import AddressRefused, Dialer, Unreachable
from bailee.outbound.forward_proxy import (
    NotServed,
    check_host,
    looks_like_http,
    malformed,
    target_of,
    tunnel_of,
)
from bailee.outbound.hosts import Host
from bailee.outbound.http1 import PIECE, Http1Connection
from bailee.outbound.streams import Writer

_FLOOD: Final = 10
"""How many refusals for want of a budget weigh as much as one violation."""
_LINGER: Final = 2.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class EgressProxy:
    """`serve` is the `Service` of a session. See the package for the arguments."""

    def __init__(
        self,
        rules: EgressRules,
        *,
        record: Callable[[EgressRecord], None],
        end: Callable[[End], None] = lambda _: None,
        dialer: Dialer | None = None,
        budgets: Budgets | None = None,
        violations: int = 100,
        clock: Clock = system_clock,
    ) -> None:
        self.rules: Final = rules
        self.budgets: Final = budgets or Budgets()
        self.spending: Final = Spending(self.budgets)
        self.violations = 0
        self.ended = False
        self._dialer: Final = dialer or Dialer(seconds=self.budgets.connect)
        self._record: Final = record
        self._end: Final = end
        self._most_violations: Final = violations
        self._floods = 0
        self._clock: Final = clock

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Serve one stream until it ends."""
        client = Http1Connection(h11.SERVER, reader, writer)
        self.spending.streams += 1
        crowded = self.spending.streams > self.budgets.concurrent
        try:
            while not self.ended and await self._once(client, crowded):
                pass
        except (OSError, h11.ProtocolError):
            pass  # the client went away
        finally:
            self.spending.streams -= 1
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _once(self, client: Http1Connection, crowded: bool) -> bool:
        """One request; whether another may follow on this stream. `crowded`: there were too many
        streams already when this one began.
        """
        attempt = Attempt(self._clock(), _now(), self.spending)
        seen = False
        try:
            if crowded:
                raise _over("budget.concurrent")
            request = await self._request(client)
            if request is None:
                return False
            seen = True
            if request.method == b"CONNECT":
                await self._tunnel(client, request, attempt)
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
            self._count(why)
            await self._refuse(client, attempt, why)
            return False
        finally:
            if seen:
                self._write_down(attempt)

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

    # -- CONNECT ---------------------------------------------------------------------------------

    async def _tunnel(
        self, client: Http1Connection, request: h11.Request, attempt: Attempt
    ) -> None:
        host, port = tunnel_of(request)
        self._decide(host, port, attempt)
        async with self._timed(), self._connected(host, port, attempt) as upstream:
            await client.next()  # the end of the request, which has no body
            await client.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
            attempt.established = True
            data = client.http.trailing_data[0]
            try:
                async with asyncio.timeout(self.budgets.head):
                    data = data or await client.reader.read(PIECE)
                    if looks_like_tls(data):
                        attempt.kind = "tls"
                        data = await first_message(
                            client.reader,
                            client.writer,
                            data,
                            host,
                            attempt,
                            without_name=self.rules.without_sni,
                        )
            except TimeoutError:
                raise Stopped(
                    ConnectionOutcome.CUT, "time.head", "nothing was said in time", 408
                ) from None
            if not data:
                return
            if attempt.kind == "tls":
                ends = (client.reader, client.writer)
                await carry_both_ways(ends, upstream, data, attempt, self.budgets)
            else:
                await self._plain_within(client, data, (host, port), upstream, attempt)

    async def _plain_within(
        self,
        client: Http1Connection,
        data: bytes,
        within: tuple[Host, int],
        upstream: Streams,
        attempt: Attempt,
    ) -> None:
        """Plain HTTP through a tunnel: some clients do so. It is read like any other."""
        if not looks_like_http(data):
            raise Stopped(ConnectionOutcome.CUT, "tunnel.unknown", "it is neither TLS nor HTTP")
        inner = Http1Connection(h11.SERVER, client.reader, client.writer)
        inner.http.receive_data(data)
        attempt.established = False
        try:
            request = await self._request(inner)
            if request is None:
                return
            attempt.kind = "http"
            target = target_of(request, within)
            check_host(request, target)
            await Forward(inner, Http1Connection(h11.CLIENT, *upstream), attempt, self.budgets).run(
                request, target
            )
        except (Stopped, NotServed) as error:
            why = stopped(error) if isinstance(error, NotServed) else error
            await self._refuse(inner, attempt, why)
            attempt.established = True
            raise why from None

    # -- plain requests --------------------------------------------------------------------------

    async def _plain(self, client: Http1Connection, request: h11.Request, attempt: Attempt) -> None:
        attempt.kind = "http"
        target = target_of(request)
        attempt.host, attempt.port = target.host.name, target.port
        check_host(request, target)
        self._decide(target.host, target.port, attempt)
        async with self._connected(target.host, target.port, attempt, tunnel=False) as upstream:
            by_proxy = attempt.address is None
            proxy = self._dialer.proxy(target.host, target.port, tunnel=False) if by_proxy else None
            await Forward(
                client, Http1Connection(h11.CLIENT, *upstream), attempt, self.budgets
            ).run(request, target, proxy)

    # -- deciding, connecting, refusing ----------------------------------------------------------

    def _decide(self, host: Host, port: int, attempt: Attempt) -> None:
        attempt.host, attempt.port = host.name, port
        verdict = self.rules.decide(host, port)
        attempt.rule = verdict.rule
        if not verdict.allowed:
            raise Stopped(ConnectionOutcome.REFUSED, verdict.rule, verdict.reason)
        if (over := self.spending.connection(_now())) is not None:
            raise _over(over)

    @contextlib.asynccontextmanager
    async def _connected(
        self, host: Host, port: int, attempt: Attempt, *, tunnel: bool = True
    ) -> AsyncIterator[Streams]:
        try:
            reader, writer, address = await self._dialer.connect(host, port, tunnel=tunnel)
        except AddressRefused as refused:
            attempt.address = str(refused.address)
            raise Stopped(ConnectionOutcome.REFUSED, refused.rule, refused.reason) from None
        except Unreachable as failed:
            status = 504 if failed.rule == "connect.timeout" else 502
            raise Stopped(ConnectionOutcome.FAILED, failed.rule, failed.reason, status) from None
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
        where = f" to {attempt.host} port {attempt.port}" if attempt.host else ""
        body = f"bailee: no connection{where}: {why.reason}.\nrule: {why.rule}\n".encode()
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("x-bailee-rule", why.rule),
            ("connection", "close"),
        ]
        reason = f"bailee: {why.reason} (rule {why.rule})"
        with contextlib.suppress(OSError, h11.LocalProtocolError):
            await client.send(
                h11.Response(status_code=why.status, headers=headers, reason=reason.encode()),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            client.writer.write_eof()
            if client.http.their_state in (h11.SEND_BODY, h11.ERROR):
                await _let_finish(client)

    def _write_down(self, attempt: Attempt) -> None:
        try:
            self._record(attempt.record(_now()))
        except BaseException:
            self._end_session()  # what can't be recorded does not go on
            raise

    def _count(self, why: Stopped) -> None:
        self.violations += why.is_violation
        self._floods += why.is_flood
        weight = self.violations + self._floods // _FLOOD
        if weight >= self._most_violations:
            self._end_session()

    def _end_session(self) -> None:
        if not self.ended:
            self.ended = True
            self._end(End.EGRESS)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _let_finish(client: Http1Connection) -> None:
    """Take what a client still sends, so that it gets to read its answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            for _ in range(64):
                if not await client.reader.read(PIECE):
                    return


def _over(rule: str) -> Stopped:
    return Stopped(ConnectionOutcome.REFUSED, rule, "the session's budget is used up", 429)
