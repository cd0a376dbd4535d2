"""One client of a forward proxy: its first request read, and its tunnel carried.

Rules kept here:

* The order is: what is asked for, is it a host; may it (`rules.py`), has it the means
  (`budgets.py`); and only then is a name resolved, every address checked, one of them connected to
  (`outbound/dialing.py`); then the first bytes are read, and must be of that host.
* Nothing of the client's goes out before its first message was read and found in order: TLS whose
  server name is the host that was asked for, or a plain request whose Host is. A name that is not
  the host ends the tunnel with TLS's own alert, so that the client says something of the kind.
* Bytes pass as they are, no faster than the other side takes them; each is counted before it goes.
* Each attempt is recorded once, however it ends.
* A plain request, and a CONNECT that is written as nearly nobody writes it, is for `proxy.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, cast

from bailee.errors import InputError
from bailee.outbound.client_hello import looks_like_tls
from bailee.outbound.dialing import AddressRefused, Unreachable, written
from bailee.outbound.forward_proxy import NotServed, check_name, hello_of, looks_like_http
from bailee.outbound.forwarding.answers import CONNECTED, refusal
from bailee.outbound.forwarding.attempts import (
    Attempt,
    Stopped,
    idle,
    over_budget,
    stopped,
    too_long,
)
from bailee.outbound.forwarding.connects import BEGINNING, read_connect
from bailee.outbound.forwarding.records import ConnectionOutcome
from bailee.outbound.forwarding.transports import StreamTransport, streams_of
from bailee.outbound.hosts import Host
from bailee.outbound.http1 import LONGEST_HEAD

if TYPE_CHECKING:
    from bailee.outbound.forwarding.proxy import ForwardProxy

_HELD: Final = 64 * 1024
"""Of a client that says more before it is connected, so much is taken."""
_FLUSHED: Final = 30.0
"""Seconds for the last bytes of a connection that is over to be taken."""

_NOT_IN_TIME: Final = ("no connection was to be had in time", 504)

Phase = Literal["head", "connecting", "hello", "open", "handed", "over"]


class Tunnel(asyncio.Protocol):
    """The near end of one connection of a client, on the loop's thread. It owns both transports
    until it hands them over; `proxy` has the rules, the means and the record.
    """

    __slots__ = (
        *("_attempt", "_budgets", "_data", "_deadline", "_early", "_ended", "_far", "_first"),
        *(
            "_host",
            "_last",
            "_longest",
            "_looks",
            "_loop",
            "_near",
            "_phase",
            "_port",
            "_proxy",
            "_task",
        ),
        *("_timer", "_timer_at"),
    )

    def __init__(self, proxy: ForwardProxy, first: tuple[Host, int, Attempt] | None = None) -> None:
        self._proxy = proxy
        self._budgets = proxy.budgets
        self._loop = asyncio.get_running_loop()
        self._first = first
        self._phase: Phase = "head"
        self._near: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._attempt: Attempt | None = None
        self._data = b""
        self._looks = False  # at what goes first, without a say in it
        self._early = b""  # what the server said before the client's first message was judged
        self._ended = False  # one side has said that it says no more
        self._host: Host | None = None
        self._port = 0
        self._last = self._longest = self._deadline = self._timer_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- from the client -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._near = cast(asyncio.Transport, transport)
        if self._first is not None:
            self._connect(*self._first)
            return
        if self._proxy.ended:
            self._finish()
            return
        if self._proxy.opened(self):
            self._attempt = self._proxy.attempt()
            self._stop(over_budget("budget.concurrent"))
            return
        now, head = self._loop.time(), self._budgets.head
        self._until(now + min(head, self._proxy.dialer.seconds))
        self._deadline = now + head

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._phase == "open":
            assert self._attempt is not None and self._far is not None
            try:
                self._attempt.carry(sent=len(data))
            except Stopped as why:
                self._stop(why)
                return
            if self._looks:
                self._look(data)
            self._last = self._loop.time()
            self._far.write(data)
            return
        if self._phase == "over":
            return
        self._data = self._data + data if self._data else data
        if self._phase == "head":
            self._head()
        elif self._phase == "hello":
            self._hello()
        elif self._phase == "connecting" and len(self._data) > _HELD:
            assert self._near is not None
            self._near.pause_reading()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        if self._phase == "head":
            if self._data:
                self._hand_over(ended=True)
            else:
                self._finish()
        elif self._phase == "hello":
            if self._data:
                why = NotServed("tls.none", "it ended before TLS began", 504)
                self._stop(stopped(why))
            else:
                self._finish()
        elif self._phase == "open":
            self._half(self._far)
        elif self._phase == "connecting":
            self._ended = True
        return self._phase != "over"

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See `asyncio.Protocol`."""
        if self._phase == "connecting":
            self._stop(
                Stopped(ConnectionOutcome.FAILED, "client.closed", "the client went away", 499)
            )
        self._finish()

    def pause_writing(self) -> None:
        """The client takes no more."""
        if self._far is not None and not self._far.is_closing():
            self._far.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if self._far is not None and not self._far.is_closing():
            self._far.resume_reading()

    # -- from the server -------------------------------------------------------------------------

    def came(self, data: bytes) -> None:
        """Bytes of the server's; they wait until the client's first message was judged."""
        if self._phase != "open":
            if self._phase == "hello" and self._far is not None:
                self._early += data
                self._far.pause_reading()
            return
        assert self._attempt is not None and self._near is not None
        try:
            self._attempt.carry(received=len(data))
        except Stopped as why:
            self._stop(why)
            return
        self._last = self._loop.time()
        self._near.write(data)

    def server_ended(self) -> bool:
        """The server says no more; whether its connection is kept for what the client says."""
        if self._phase == "open":
            self._half(self._near)
        elif self._phase == "hello":
            self._finish()
        return self._phase != "over"

    def server_lost(self) -> None:
        """The server's connection is gone."""
        if self._phase in ("open", "hello"):
            self._finish()

    def server_full(self, *, full: bool) -> None:
        """The server takes no more, or does again."""
        if self._near is None or self._near.is_closing():
            return
        if full:
            self._near.pause_reading()
        else:
            self._near.resume_reading()

    # -- the phases ------------------------------------------------------------------------------

    def _head(self) -> None:
        data = self._data
        if not data.startswith(BEGINNING) or len(data) > LONGEST_HEAD:
            if not BEGINNING.startswith(data):
                self._hand_over()
            return
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if b"\n\n" in data or b"\n\r\n" in data:
                self._hand_over()
            return
        if self._proxy.ended:
            self._finish()
            return
        attempt = self._proxy.attempt()
        try:
            found = read_connect(data[:end])
            if found is None:
                self._hand_over()
                return
            host, port, shown = found
            self._proxy.known(shown)
        except NotServed as error:
            self._attempt = attempt
            self._stop(stopped(error))
            return
        self._data = data[end:]
        self._connect(host, port, attempt)

    def _connect(self, host: Host, port: int, attempt: Attempt) -> None:
        self._attempt, self._host, self._port = attempt, host, port
        try:
            self._proxy.decide(host, port, attempt)
        except Stopped as why:
            self._stop(why)
            return
        self._phase = "connecting"
        now = self._loop.time()
        self._longest = now + self._budgets.longest
        self._until(min(now + self._proxy.dialer.seconds, self._longest))
        self._task = self._loop.create_task(self._connecting(host, port, attempt))

    async def _connecting(self, host: Host, port: int, attempt: Attempt) -> None:
        dialer = self._proxy.dialer
        streams = None
        try:
            opened = await dialer.open(host, port, lambda: _Far(self))
            if opened is None:
                reader, writer, address = await dialer.connect(host, port)
                streams = StreamTransport(reader, writer)
                transport: asyncio.Transport = streams
            else:
                transport, address = opened
        except AddressRefused as refused:
            attempt.address = str(refused.address)
            self._stop(Stopped(ConnectionOutcome.REFUSED, refused.rule, refused.reason))
            return
        except Unreachable as failed:
            status = 504 if failed.rule == "connect.timeout" else 502
            self._stop(Stopped(ConnectionOutcome.FAILED, failed.rule, failed.reason, status))
            return
        except InputError:
            why = "the settings of the network can't be used"
            self._stop(Stopped(ConnectionOutcome.FAILED, "connect.settings", why, 502))
            return
        if self._phase != "connecting":
            transport.abort()  # the client went away meanwhile
            return
        attempt.address = None if address is None else written(address)
        if streams is None:
            self._task = None  # it ends here
        self._connected(transport)
        if streams is not None:
            await streams.run(_Far(self))

    def _connected(self, transport: asyncio.Transport) -> None:
        assert self._near is not None and self._attempt is not None
        self._far = transport
        self._near.write(CONNECTED)
        self._attempt.established = True
        self._phase = "hello"
        if len(self._data) > _HELD:
            self._near.resume_reading()
        now = self._last = self._loop.time()
        if self._host is not None and not self._proxy.rules.strict(self._host):
            self._looks, self._phase = True, "open"
            self._until(min(now + self._budgets.idle, self._longest))
            data, self._data = self._data, b""
            if data:
                self.data_received(data)
            if self._ended and self._phase == "open":
                transport.write_eof()
            return
        self._until(min(now + self._budgets.head, self._longest))
        if self._data:
            self._hello()
        if self._ended and self._phase == "hello":
            self._ended = False
            self.eof_received()

    def _hello(self) -> None:
        assert self._attempt is not None and self._host is not None
        data = self._data
        if not looks_like_tls(data):
            if looks_like_http(data):
                self._hand_over()
                return
            self._stop(
                Stopped(ConnectionOutcome.CUT, "tunnel.unknown", "it is neither TLS nor HTTP")
            )
            return
        self._attempt.kind = "tls"
        try:
            hello = hello_of(data)
            if hello is None:
                return
            self._attempt.ech = hello.ech
            check_name(hello, self._host, without_name=self._proxy.rules.unnamed(self._host))
        except NotServed as error:
            self._stop(stopped(error), error.alert)
            return
        self._phase, self._data = "open", b""
        self.data_received(data)
        if self._early and self._far is not None and self._phase == "open":
            early, self._early = self._early, b""
            self._far.resume_reading()
            self.came(early)
        if self._phase == "open":
            self._until(min(self._last + self._budgets.idle, self._longest))

    def _look(self, data: bytes) -> None:
        """Only look at what goes first through a tunnel in which anything passes."""
        assert self._attempt is not None and self._host is not None
        self._data += data
        try:
            hello = hello_of(self._data) if looks_like_tls(self._data) else None
        except NotServed:
            hello = None
        else:
            if looks_like_tls(self._data):
                self._attempt.kind = "tls"
                if hello is None:
                    return  # not whole yet; it is bounded
        self._looks, self._data = False, b""
        if hello is not None and hello.server_name not in (None, self._host.name):
            self._proxy.rules.named(self._host, self._port, str(hello.server_name))

    def _half(self, other: asyncio.Transport | None) -> None:
        """One side has said all; `other` is told, and with the second it is over."""
        if self._ended:
            self._finish()
            return
        self._ended = True
        if other is not None and not other.is_closing():
            other.write_eof()

    def _hand_over(self, *, ended: bool = False) -> None:
        """What came is for `proxy.py`, which reads it as streams."""
        assert self._near is not None
        data, self._data = self._data, b""
        self._cancel_timer()
        client = streams_of(self._near, data, ended=ended or self._ended)
        if self._phase == "head":
            work = self._proxy.converse(client)
        else:
            assert self._far is not None and self._attempt is not None and self._host is not None
            upstream = streams_of(self._far, self._early)
            if self._early:
                self._far.resume_reading()
            within = (self._host, self._port)
            work = self._proxy.plain_within(client, within, upstream, self._attempt)
            self._attempt = None  # it is recorded there
        self._phase = "handed"
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._handed_back)

    def _handed_back(self, task: asyncio.Task[None]) -> None:
        self._finish()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    # -- time and the end ------------------------------------------------------------------------

    def _until(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is None or deadline < self._timer_at:
            self._cancel_timer()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._late)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._phase == "open":
            self._deadline = min(self._last + self._budgets.idle, self._longest)
        if now < self._deadline:
            self._until(self._deadline)
        elif self._phase == "head":
            if self._data:
                self._attempt = self._proxy.attempt()
                self._stop(
                    Stopped(
                        ConnectionOutcome.REFUSED,
                        "time.head",
                        "the request did not arrive in time",
                        408,
                    )
                )
            else:
                self._finish()
        elif now >= self._longest:
            self._stop(too_long(self._budgets))
        elif self._phase == "connecting":
            self._stop(Stopped(ConnectionOutcome.FAILED, "connect.timeout", *_NOT_IN_TIME))
        elif self._phase == "hello":
            self._stop(Stopped(ConnectionOutcome.CUT, "time.head", "nothing was said in time", 408))
        elif self._phase == "open":
            self._stop(idle(self._budgets))

    def _stop(self, why: Stopped, alert: bytes = b"") -> None:
        """End it by a rule: said to the client as far as it can be, counted, recorded."""
        attempt = self._attempt
        if self._phase == "over" or attempt is None:
            return
        attempt.stop(why)
        self._proxy.count(why)
        if self._near is not None and not self._near.is_closing():
            said = alert if attempt.established else refusal(attempt, why)
            if said:
                self._near.write(said)
        self._finish()

    def _finish(self) -> None:
        if self._phase == "over":
            return
        self._phase = "over"
        self._cancel_timer()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        for transport in (self._near, self._far):
            if transport is not None and not transport.is_closing():
                if transport.get_write_buffer_size():
                    self._loop.call_later(_FLUSHED, transport.abort)
                transport.close()
        if self._first is None:
            self._proxy.closed(self)
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._proxy.write_down(attempt)

    async def end(self) -> None:
        """End it now, and what it has under way."""
        task = self._task
        self._finish()
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class _Far(asyncio.Protocol):
    """The server's end of a tunnel, on the loop's thread: it tells the tunnel what comes, and
    decides nothing.
    """

    __slots__ = ("_tunnel",)

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._tunnel.came(data)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        return self._tunnel.server_ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See `asyncio.Protocol`."""
        self._tunnel.server_lost()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._tunnel.server_full(full=True)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._tunnel.server_full(full=False)
