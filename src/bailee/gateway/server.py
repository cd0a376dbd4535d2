"""The gateway: a listener, its upstreams, and what happens to each request that comes.

Rules kept here: who is not authenticated reaches no upstream; the policy decides what passes, and
whether it is kept, before the first byte goes on or is held; logs and summaries carry names and
numbers only.

Rows: G2.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable

from bailee.admission import (
    ConnectionLimits,
    Connections,
    OnDisk,
    Over,
    Rounds,
    ShareLimits,
    Shares,
    stores,
)
from bailee.api import Api
from bailee.clock import Clock
from bailee.errors import BaileeError, InputError
from bailee.gateway.access import Access, Caller, Passage
from bailee.gateway.answers import error_answer, hello, preflight
from bailee.gateway.beside import ApplicationCarrier, BesideApplications
from bailee.gateway.carrier import SocketCarrier
from bailee.gateway.client import ClientConnection
from bailee.gateway.deciding import (
    caller_of,
    kept,
    no_credential,
    no_websocket,
    not_passed,
    nowhere,
)
from bailee.gateway.failing import about_to_stop, request_too_large
from bailee.gateway.handing_over import HandingOver
from bailee.gateway.http1 import RequestHead
from bailee.gateway.listening import Listening, bind, bind_local
from bailee.gateway.recorded_exchange import kind_of
from bailee.gateway.recording import Keeping, NotKept, Recording, not_recorded, over_share
from bailee.gateway.routes import AnsweredHere, BesideRoute, GatewayRoute, RefusedRoute, route
from bailee.gateway.settings import GatewayConfig, check_bind
from bailee.gateway.summary import ExchangeSummary, client_of, refused
from bailee.gateway.upstream import UpstreamPool
from bailee.health import ALIVE, Ask, healthy
from bailee.usage.asking import Governor, Ungoverned
from bailee.usage.in_turns import ReadersInTurn

_log = logging.getLogger("bailee.gateway")


class Gateway:
    """The listener of one server, and what all its connections share: their numbers, shares, turns,
    upstreams. The server starts and closes it; connections and carriers call it, all on one event
    loop. It reads no content, and keeps none.

    `on_exchange` is called with a summary after every exchange, refused ones included. `disk` says
    how an account stands with the disk, `governor` whether who has limits is within them. `beside`
    answers what is not the gateway's own (`BesideRoute`).
    """

    def __init__(
        self,
        config: GatewayConfig,
        access: Access,
        recording: Recording,
        clock: Clock,
        on_exchange: Callable[[ExchangeSummary], None],
        *,
        health: Ask = healthy,
        disk: Callable[[str], OnDisk] = lambda _owner: OnDisk(),
        governor: Governor | None = None,
        beside: BesideApplications | None = None,
    ) -> None:
        self.limits = config.limits
        self.clock = clock
        limits = config.limits
        self.shares = Shares(
            ShareLimits(
                limits.requests_per_account,
                limits.memory_per_account,
                limits.held,
                spool=limits.spool_per_account,
                spool_total=limits.spool,
                unsealed=limits.unsealed_per_account,
                unsealed_total=limits.unsealed,
                sealing=limits.sealing_per_account,
            )
        )
        self.connections: Connections[ClientConnection] = Connections(
            ConnectionLimits.of(limits.connections, limits.connections_per_address),
            trusted=config.trusted_proxy,
        )
        self.rounds = Rounds(self._soon, self._later, time.perf_counter)
        self.clients: set[ClientConnection] = set()
        self.draining = False  # nothing more is begun
        self.closing = False
        self.now = 0.0  # the loop's time, as of the last tick
        self.elapsed = 0.0  # seconds between the last two ticks
        self.unrecorded = 0  # exchanges that were served although they could not be recorded
        self.refuses_unrecorded = config.on_recorder_failure == "refuse"
        self._access = access
        self._recording = recording
        self._on_exchange = on_exchange
        self._health = health
        self._disk = disk
        self.governor = governor or Ungoverned()
        self.readers = ReadersInTurn()
        self._beside = beside or BesideApplications()
        upstreams = config.upstreams
        several = {channel for channel, _ in config.further}
        self._pools = {
            channel: UpstreamPool(one, limits, self, one_of_several=channel in several)
            for channel, one in upstreams.items()
        }
        self._by_name = {
            (channel, pool.addressee.name): pool for channel, pool in self._pools.items()
        }
        for channel, one in config.further:
            made = UpstreamPool(one, limits, self, one_of_several=True)
            self._by_name[channel, one.name] = made
        # Whoever comes over such a connection has proved to be the operator, whatever they send.
        self._proved = {
            channel
            for channel, one in upstreams.items()
            if one.way_out.client_certificate is not None
        }
        self._origins = config.origins
        self._id_prefix = secrets.token_hex(8)
        self._ids = itertools.count(1)
        self.records = HandingOver(recording, self.shares, self.rounds)
        self._listening: list[Listening] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        shortest = min(
            limits.client_head,
            limits.client_body_idle,
            limits.client_stalled,
            limits.upstream_silence,
            limits.linger,
            limits.prompt,
            limits.ping or limits.prompt,
        )
        self._tick_every = min(0.25, max(0.01, shortest / 4))

    # -- life ----------------------------------------------------------------------------------

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None = None) -> int:
        """Listens; gives the port (for `port` 0, the one that was free).

        Raises:
            InputError: plain HTTP on an address that is not loopback, or the address is taken.
        """
        check_bind(host, tls=ssl_context is not None)
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time()
        try:
            sockets = await self._loop.run_in_executor(None, bind, host, port)
        except OSError as error:
            raise InputError(
                f"The gateway can't listen on {host} port {port}: {error.strerror}.",
                code="configuration",
                hint="choose another address with --gateway",
            ) from None
        for sock in sockets:
            self._listen(sock, ssl_context)
        self._tick()
        return int(sockets[0].getsockname()[1])

    async def start_local(self, path: str) -> None:
        """Listens on a Unix socket too, for programs of this user alone; after `start`."""
        self._listen(bind_local(path), None)

    def _listen(self, sock: socket.socket, ssl_context: ssl.SSLContext | None) -> None:
        listening = Listening(self, sock, ssl_context)
        self._listening.append(listening)
        listening.start()

    async def drain(self, grace_seconds: float) -> None:
        """Begins nothing more, and returns when what is under way has ended, or after so long at
        the most. Whoever still asks is told to come again: a client that looks elsewhere needs an
        answer for that. It listens until `close`.
        """
        self.draining = True
        for client in tuple(self.clients):
            if client.idle:
                client.transport.close()
        await self._until(lambda: all(client.idle for client in self.clients), grace_seconds)

    async def close(self, grace_seconds: float = 10.0) -> None:
        """Stops listening, lets exchanges end for `grace_seconds`, then ends them. Returns when
        every record that was begun is durable, or known not to be.
        """
        self.closing = True
        for listening in self._listening:
            listening.close()
        for client in tuple(self.clients):
            if client.idle:
                client.transport.close()
        await self._until(lambda: not self.clients, grace_seconds)
        for client in tuple(self.clients):
            client.close_unfinished(flush=False) if client.idle else client.transport.abort()
        await self._until(
            lambda: not self.clients and not self.records.under_way, grace_seconds + 5
        )
        if self._ticker is not None:
            self._ticker.cancel()
        for pool in self._by_name.values():
            pool.close()

    def _soon(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_soon(call)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_later(seconds, call)

    async def _until(self, there: Callable[[], bool], seconds: float) -> None:
        assert self._loop is not None
        end = self._loop.time() + seconds
        while not there() and self._loop.time() < end:
            await asyncio.sleep(0.01)

    def _tick(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self.elapsed, self.now = now - self.now, now
        self._ticker = self._loop.call_later(self._tick_every, self._tick)
        self.rounds.look()
        for client in tuple(self.clients):
            client.tick(now)
        for pool in self._by_name.values():
            pool.sweep(now)

    # -- requests ------------------------------------------------------------------------------

    def handle(self, client: ClientConnection, head: RequestHead) -> None:
        """Decides what happens to a request, at once or when its account's turn comes."""
        if self._origins:
            head.answer_lines = self._origins.lines(head)
        if head.method == b"OPTIONS":
            self._preflight(client, head)
            return
        where = route(head.method, head.target, websocket=head.websocket)
        client.api = where.api if isinstance(where, (GatewayRoute, RefusedRoute)) else Api.MESSAGES
        if self.draining and isinstance(where, GatewayRoute):
            self.refuse(client, head, about_to_stop(), where=where)
            client.finished()
            return
        caller, passthrough = None, False
        if isinstance(where, GatewayRoute):
            try:
                caller, passthrough = caller_of(head, self._access.authenticate)
            except BaileeError as error:
                self.refuse(client, head, error, where=where)
                client.finished()
                return
        account = client.account = "" if caller is None else caller.owner
        if self.rounds.begins(account):
            self._begin(client, head, where, caller, passthrough)
            return

        def go() -> None:
            if client.turn():
                self._begin(client, head, where, caller, passthrough)

        client.wait_turn()
        self.rounds.wait(account, "" if caller is None else caller.key_id, go)

    def _begin(
        self,
        client: ClientConnection,
        head: RequestHead,
        where: GatewayRoute | AnsweredHere | BesideRoute | RefusedRoute,
        caller: Caller | None,
        passthrough: bool,
    ) -> None:
        """Begins an exchange, or answers."""
        if isinstance(where, GatewayRoute):
            own = passthrough and where.channel not in self._proved
            passage = None if caller is None else caller.passage(where, own)
            begun = self._exchange(
                client, head, where, caller, passage, passthrough=passthrough, own=own
            )
            if isinstance(begun, SocketCarrier):
                client.begin(begun)
                return
            clause = passage.clause if passage is not None else ""
            self.refuse(client, head, begun, where=where, caller=caller, clause=clause)
        elif isinstance(where, BesideRoute):
            answering = self._beside.carrier(where, head, client, self)
            if isinstance(answering, ApplicationCarrier):
                client.begin(answering)
                return
            self.refuse(client, head, answering, where=where)
        elif isinstance(where, RefusedRoute):
            self.refuse(client, head, where.error, where=where)
        else:
            client.write(
                self._hello(
                    where, bodiless=head.method == b"HEAD", close=self._closes(client, head)
                )
            )
        client.finished()

    def _hello(self, where: AnsweredHere, *, bodiless: bool, close: bool) -> bytes:
        if where.label == "/healthz":
            status, body = 200, ALIVE
        elif where.label == "/readyz":
            health = self._health()
            status, body = health.status, health.body()
        else:
            return hello(self.new_id(), close=close, bodiless=bodiless)
        return hello(self.new_id(), close=close, bodiless=bodiless, status=status, body=body)

    def _preflight(self, client: ClientConnection, head: RequestHead) -> None:
        lines = self._origins.preflight(head)
        if isinstance(lines, InputError):
            self.refuse(client, head, lines)
        else:
            client.write(preflight(lines, self.new_id(), close=self._closes(client, head)))
        client.finished()

    def _exchange(
        self,
        client: ClientConnection,
        head: RequestHead,
        where: GatewayRoute,
        caller: Caller | None,
        passage: Passage | None,
        *,
        passthrough: bool,
        own: bool,
    ) -> SocketCarrier | BaileeError:
        """Who carries the request's exchange, whose account has room for it; or why there is
        none.
        """
        if caller is None or passage is None:
            return InputError(
                "The API key is missing, unknown or revoked.",
                code="authentication",
                hint="send a key of this gateway as x-api-key, Authorization: Bearer or "
                "x-goog-api-key",
            )
        if head.websocket:
            return no_websocket()
        if passthrough and (wrong := no_credential(head)) is not None:
            return wrong
        if not passage.allowed:
            return not_passed(passage)
        limits = self.limits
        governed = self._is_governed(head, where, caller)
        uploads = own and not (where.recorded or governed)
        max_body = limits.max_upload if uploads else limits.max_body
        if head.length is not None and head.length > max_body:
            return request_too_large(max_body)
        pool = self._pools.get(where.channel)
        if pool is None:
            return nowhere(where)
        look = None
        if caller.reach is not None:
            road = caller.reach(where, own, client_of(head))
            look, chosen = road.look, self.further(where.channel, road.upstream)
            if chosen is None:
                return nowhere(where)
            pool = chosen
        keeps = kept(caller, where, passage)
        must_record = caller.must_record
        if must_record is None:
            must_record = self.refuses_unrecorded
        if isinstance(keeps, Keeping):
            if must_record and self._recording.failure is not None:
                return not_recorded()
            if (over := self._lags(caller.owner) or self._stores(caller)) is not None:
                return over_share(over)
        full = not self._recording.has_room
        held = self.shares.enter(caller.owner, caller.key_id, head.length or 0, full=full)
        if isinstance(held, Over):
            return over_share(held)
        if isinstance(keeps, Keeping) and self._recording.failure is not None:
            self.served_unrecorded()
            keeps = NotKept("recorder_failed")
        self.connections.admitted(client)
        exchange = kind_of(keeps)(
            head,
            where,
            caller,
            pool.addressee,
            keeps,
            passthrough,
            client.closes,
            max_body,
            self.new_id(),
            held,
            self.shares,
            limits,
            must_record,
            self.now,
            self.clock().timestamp(),
            governed,
            look,
        )
        return SocketCarrier(exchange, self, client, pool)

    def _is_governed(self, head: RequestHead, where: GatewayRoute, caller: Caller) -> bool:
        """Whether limits and lists of models are asked about it: a conversation, or a batch."""
        if not (where.makes_batch or (where.recorded and head.has_body)):
            return False
        return self.governor.governs(caller.asker)

    def _lags(self, owner: str) -> Over | None:
        """Whether too much of an account's waits to be sealed for more to be recorded."""
        return self.shares.spools(self._recording.unsealed(owner))

    def _stores(self, caller: Caller) -> Over | None:
        """Whether an account has as much sealed on disk as it may."""
        limits = self.limits.stored_per_account, caller.stored_at_most
        usual = min(filter(None, limits), default=0)
        return stores(self._disk(caller.owner), usual if caller.stored is None else caller.stored)

    def refuse(
        self,
        client: ClientConnection,
        head: RequestHead | None,
        error: BaileeError,
        *,
        where: GatewayRoute | AnsweredHere | BesideRoute | RefusedRoute | None = None,
        caller: Caller | None = None,
        clause: str = "",
    ) -> None:
        """Answers with an error of our own. Nothing goes upstream."""
        request_id = self.new_id()
        api = client.api if head is not None else Api.MESSAGES
        bodiless = head is not None and head.method == b"HEAD"
        allow = where.allow if isinstance(where, RefusedRoute) else ""
        close = self._closes(client, head)
        lines = head.answer_lines if head is not None else b""
        client.write(
            error_answer(
                error,
                request_id,
                api,
                close=close,
                bodiless=bodiless,
                allow=allow,
                lines=lines,
            )
        )
        started = self.clock().timestamp()
        self.say(
            refused(request_id, head, error, started, where=where, caller=caller, clause=clause)
        )

    @staticmethod
    def _closes(client: ClientConnection, head: RequestHead | None) -> bool:
        # A body that is not wanted is not waited for.
        client.closes = client.closes or head is None or head.has_body
        return client.closes

    def new_id(self) -> str:
        """A request's id."""
        return f"req_{self._id_prefix}{next(self._ids):012x}"

    # -- for exchanges -------------------------------------------------------------------------

    def further(self, channel: str, upstream: str) -> UpstreamPool | None:
        """See `client.Surroundings`."""
        return self._by_name.get((channel, upstream))

    def served_unrecorded(self) -> None:
        """Counts an exchange that the policy let pass although it could not be recorded."""
        self.unrecorded += 1
        _log.warning("an exchange is served unrecorded: the recorder fails")

    def say(self, summary: ExchangeSummary) -> None:
        """Says that an exchange is over."""
        self.governor.settle(summary.exchange_id, summary.metered)
        try:
            self._on_exchange(summary)
        except Exception as error:  # a listener's defect must not end an exchange
            _log.error("the exchange listener failed: %s", type(error).__name__)
