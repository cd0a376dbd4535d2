"""Carries an exchange between its sockets: does what `exchange.Exchange` says, and tells it what
came of that. Nothing about an exchange is decided here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from bailee.errors import BaileeError, PolicyDenied, StorageError, UpstreamError
from bailee.gateway.client import ClientConnection, Surroundings
from bailee.gateway.exchange import Exchange
from bailee.gateway.phases import Do
from bailee.gateway.recorded_exchange import RecordedExchange
from bailee.gateway.upstream import UpstreamConnection, UpstreamPool
from bailee.usage.asking import WholeRequest
from bailee.usage.client_shapes import LimitRefusal
from bailee.usage.in_turns import AT_ONCE


class SocketCarrier:
    """Owns one exchange, and its connection to the upstream while the request is under way on it.
    The gateway makes it for a client's connection; all its methods are called on the loop's thread.
    """

    __slots__ = (
        "_answered",
        "_began",
        "_client",
        "_connection",
        "_gateway",
        "_pool",
        "_task",
        "exchange",
    )

    def __init__(
        self,
        exchange: Exchange,
        gateway: Surroundings,
        client: ClientConnection,
        pool: UpstreamPool,
    ) -> None:
        self.exchange = exchange
        exchange.held.give_up = self._give_up
        self._began = time.perf_counter()
        self._answered = -1.0  # seconds until the upstream's answer began
        self._gateway = gateway
        self._client = client
        self._pool = pool
        self._connection: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def carry(self) -> None:
        """See `exchange.Carrier`. Writing may tell the exchange that a side is full, and so come
        here again: what is done is taken out first.
        """
        exchange = self.exchange
        if exchange.down:
            down, exchange.down = exchange.down, b""
            client = self._client
            if not client.gone:
                client.transport.write(down)
        if exchange.up:
            up, exchange.up = exchange.up, b""
            assert self._connection is not None
            self._connection.transport.write(up)
        out = exchange.out
        while out:
            _DOES[out.pop(0)](self)

    def answered(self) -> None:
        """See `exchange.Carrier`."""
        self._answered = time.perf_counter() - self._began

    def _give_up(self) -> None:
        self.exchange.give_up()
        self.carry()

    # -- the upstream's connection ---------------------------------------------------------------

    def _sign(self) -> None:
        self._run(self._signing())

    async def _signing(self) -> None:
        exchange = self.exchange
        uplink = exchange.uplink
        if uplink.governed and not await self._admitted(uplink.to_sign[2]):
            return
        method, target, body = uplink.to_sign
        pool = self._pool
        if uplink.fixed is not None:
            self._task = None
            exchange.signed(uplink.fixed)
            self.carry()
            return
        url = pool.origin + target.decode("latin-1")
        try:
            lines = await pool.credential.lines(method.decode("ascii"), url, body)
        except BaileeError as error:
            self._failed(error)
            return
        except Exception as error:  # whatever a cloud's library raises, the client gets an answer
            self._failed(
                UpstreamError(
                    f"The upstream's credential could not be obtained ({type(error).__name__}).",
                    code="upstream_credential",
                )
            )
            return
        self._task = None
        exchange.signed(lines)
        self.carry()

    async def _admitted(self, body: bytes) -> bool:
        """Whether the request may go on, now that it is there whole."""
        exchange = self.exchange
        request = exchange.whole(body)
        if (refused := self._turned(await self._reaches(request))) is not None:
            self._task = None
            exchange.refused(refused, b"")
            self.carry()
            return False
        if not exchange.governed:
            return True
        found = await self._gateway.governor.admit(request)
        if isinstance(found, LimitRefusal):
            self._task = None
            exchange.refused(found.error, found.lines)
            self.carry()
            return False
        exchange.told = found
        return True

    def _turned(self, found: PolicyDenied | str | None) -> BaileeError | None:
        """Has the request go to the upstream that was found for it; why it can't, if it can't."""
        if not isinstance(found, str):
            return found
        if found != self._pool.addressee.name:
            chosen = self._gateway.further(self.exchange.channel, found)
            if chosen is None:
                return UpstreamError("The upstream that was chosen is not there.")
            self._pool = chosen
            self.exchange.turn_to(chosen.addressee)
        return None

    async def _reaches(self, request: WholeRequest) -> PolicyDenied | str | None:
        """Which upstream the request goes to, by name, or why to none; None: nobody need look at
        it. A long one is read beside the loop, when its account's turn comes.
        """
        exchange = self.exchange
        if exchange.look is None:
            return None
        if len(request.body) <= AT_ONCE and not request.codings:
            return exchange.look(exchange.head.method, request)
        look = partial(exchange.look, exchange.head.method, request)
        return await self._gateway.readers.run(exchange.account, look)

    def _take(self) -> None:
        connection = self._pool.take()
        if connection is None:
            self._connect()
        else:
            self._connected(connection, pooled=True)

    def _connect(self) -> None:
        self._run(self._connecting())

    async def _connecting(self) -> None:
        try:
            connection = await self._pool.connect()
        except UpstreamError as error:
            self._failed(error)
            return
        self._task = None
        if self.exchange.ended:
            self._pool.give_back(connection)
        else:
            self._connected(connection, pooled=False)

    def _connected(self, connection: UpstreamConnection, *, pooled: bool) -> None:
        connection.carrier, connection.account = self, self.exchange.account
        self._connection = connection
        self.exchange.connected(self._gateway.now, pooled=pooled)
        self.carry()

    def _failed(self, error: BaileeError) -> None:
        self._task = None  # it ends by itself
        self.exchange.upstream_failed(error)
        self.carry()

    def _run(self, work: Coroutine[object, object, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()
        if self._task is not None:
            self._task.cancel()

    def _pause_upstream(self) -> None:
        if self._connection is not None:
            self._connection.pause("client")

    def _resume_upstream(self) -> None:
        if self._connection is not None:
            self._connection.resume("client")

    # -- the client's --------------------------------------------------------------------------

    def _pause_client(self) -> None:
        self._client.pause("upstream")

    def _resume_client(self) -> None:
        self._client.resume("upstream")

    def _finished(self) -> None:
        self._say()
        if self.exchange.closes:
            self._client.closes = True
        self._client.finished()

    def _close(self) -> None:
        self._say()
        self._client.close_unfinished(flush=True)

    def _reset(self) -> None:
        self._client.close_unfinished(flush=False)

    # -- the gateway's books ---------------------------------------------------------------------

    def _record(self) -> None:
        exchange = self.exchange
        assert isinstance(exchange, RecordedExchange)
        capture = partial(exchange.captured, self._now())
        self._gateway.records.submit(capture, self._recorded, exchange.held)

    def _recorded(self, error: StorageError | None) -> None:
        exchange = self.exchange
        assert isinstance(exchange, RecordedExchange)
        self._gateway.records.recorded(exchange.held)
        exchange.recorded(error is None, self._gateway.now)
        self.carry()

    def _unrecorded(self) -> None:
        self._gateway.served_unrecorded()

    def _say(self) -> None:
        summary = self.exchange.summary(self._now())
        summary.first_byte = self._answered
        self._gateway.say(summary)

    def _now(self) -> float:
        """In Unix seconds. The clock was asked when the exchange began: however it is set
        meanwhile, an exchange has taken the time that it took.
        """
        return self.exchange.started + time.perf_counter() - self._began


_DOING: Final[dict[Do, Callable[[SocketCarrier], None]]] = {
    Do.SIGN: SocketCarrier._sign,
    Do.TAKE: SocketCarrier._take,
    Do.CONNECT: SocketCarrier._connect,
    Do.RELEASE: SocketCarrier._release,
    Do.DROP: SocketCarrier._drop,
    Do.PAUSE_UPSTREAM: SocketCarrier._pause_upstream,
    Do.RESUME_UPSTREAM: SocketCarrier._resume_upstream,
    Do.PAUSE_CLIENT: SocketCarrier._pause_client,
    Do.RESUME_CLIENT: SocketCarrier._resume_client,
    Do.RECORD: SocketCarrier._record,
    Do.UNRECORDED: SocketCarrier._unrecorded,
    Do.SAY: SocketCarrier._say,
    Do.FINISHED: SocketCarrier._finished,
    Do.CLOSE: SocketCarrier._close,
    Do.RESET: SocketCarrier._reset,
}
_DOES: Final = tuple(_DOING[do] for do in Do)
