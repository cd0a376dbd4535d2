"""`bailee up`: gateway, console, ingest, control socket and watch over one home, in one process.

It starts in the order in which things depend on each other and stops in the reverse: the gateway
first, so that nothing new comes in; the vault last, so that all that came in is sealed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from bailee.accounts import OPERATOR
from bailee.admission import ConnectionLimits, raise_limit, share_out
from bailee.admission.addresses import TrustedProxies, trusted_proxies
from bailee.app import (
    auditing,
    feedback,
    health_listener,
    monitoring,
    spend_increases,
    spend_reports,
    telemetry,
)
from bailee.app.access import GatewayPolicyAccess
from bailee.app.certificate import ends_at
from bailee.app.cloud_running import Cloud
from bailee.app.disk import Disk
from bailee.app.durable import DurableQueue
from bailee.app.listener_settings import in_url, limits_of, public_url, tls_files
from bailee.app.pages import console_parts
from bailee.app.said import to_stderr
from bailee.app.signing_in import (
    TELEMETRY,
    beside,
    signing_in,
    taken_and_dropped,
)
from bailee.app.spend_desk import SpendDesk
from bailee.app.upstreams import declared_upstreams, further_upstreams, upstreams
from bailee.app.usage_pushing import usage_push
from bailee.app.using import UsageMetering, home_of
from bailee.app.watch import Watch
from bailee.app.wiring import ServerWiring
from bailee.auditing.streams import AuditStreams
from bailee.config import Settings, parse_address
from bailee.console import Healthy, Listener, bind, make_site
from bailee.console.names import names
from bailee.errors import BaileeError
from bailee.gateway.beside import BesideApplications
from bailee.gateway.local_model import LABEL, LocalModel
from bailee.gateway.origins import Origins
from bailee.gateway.server import Gateway
from bailee.gateway.settings import (
    MIB,
    GatewayConfig,
    Upstream,
    check_bind,
)
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.tls import server_context
from bailee.home.console_name import console_label
from bailee.home.control import reachable
from bailee.home.control_server import ControlServer
from bailee.loopback import is_loopback
from bailee.monitoring.exchanges import ExchangeCounts
from bailee.node.databases import leases, unsure_of
from bailee.node.node import Node
from bailee.node.running import Serving
from bailee.operations.asks import at_terminal
from bailee.operations.key_terms import KeyTerms, terms_of
from bailee.operations.table import perform
from bailee.scim.application import Scim

if TYPE_CHECKING:
    from bailee.app.tracing import Tracing

_GRACE_SECONDS = 10.0  # to end what is under way, for who was not drained
_UPSTREAMS = 3  # as many as are kept open to, besides further ones
_BY_ADDRESS = 128  # connections of one address to console or ingest


@dataclass(frozen=True, slots=True)
class FirstKeys:
    """A key to use the model with, one that opens the ingest alone, on whose terms they are, and
    whether they end with this run.
    """

    key: str | None
    sending: str | None
    terms: KeyTerms | None
    for_this_run: bool


@dataclass(frozen=True, slots=True)
class Running:
    """Where a started server is, and how to reach it. `console` is what a browser opens;
    `console_api` where programs of this machine reach the console's HTTP API.
    """

    gateway: str
    console: str
    console_api: str
    sign_in: str
    upstream: str
    key: str | None
    key_is_for_this_run: bool
    key_terms: KeyTerms | None
    ingest: str | None
    health: str | None
    ingest_key: str | None


class Server:
    """The server over an open node; use it as an asynchronous context.

    Whoever runs a server enters and leaves it on one event loop, which is then that of gateway,
    console, ingest and control socket. It owns what it starts, and stops it in the reverse order.
    It opens no home and closes none: the node is its caller's.
    """

    def __init__(
        self,
        wiring: ServerWiring,
        node: Node,
        *,
        plan: str,
        always_key: bool,
        on_exchange: Callable[[ExchangeSummary], None],
    ) -> None:
        """Over the node of this wiring. `plan` is the first account's; `always_key` asks for a key
        at a later start too.
        """
        self._wiring = wiring
        self._node = node
        self._plan = plan
        self._always_key = always_key
        self._on_exchange = on_exchange
        self.swept = asyncio.Event()
        """Set once the first sweep has done what it is for."""
        self._parts = AsyncExitStack()
        self._descriptors = share_out(raise_limit(), _UPSTREAMS + len(node.settings.further))
        self._proxies = TrustedProxies()
        self._console = self._console_api = ""
        self._grace = _GRACE_SECONDS
        self._connections: dict[str, Callable[[], int]] = {}
        self._watch: Watch  # these three from the start on
        self._gateway: Gateway
        self._measured: monitoring.ServerFigures
        self._traces: Tracing | None = None

    async def __aenter__(self) -> Running:
        try:
            return await self._start()
        except BaseException:
            await self._parts.aclose()
            raise

    async def __aexit__(self, *_exception: object) -> None:
        await self._parts.aclose()

    async def drain(self) -> None:
        """Say that it is not ready, begin nothing more, and let what is under way end, as long as
        the setting says at the most. All else goes on meanwhile. Then leave it.
        """
        self._grace = 0.0
        self._watch.drain()
        await self._gateway.drain(self._node.settings.number("gateway.drain_seconds"))

    async def _start(self) -> Running:
        node, wiring, settings = self._node, self._wiring, self._node.settings
        files = tls_files(settings)
        self._proxies = trusted_proxies(settings.text("trusted_proxies"))
        tls = None if files is None else server_context(*files)
        gateway_at = parse_address(settings.text("gateway.listen") or "", "gateway.listen")
        console_at = parse_address(settings.text("console.listen") or "", "console.listen")
        ingest_at = telemetry.listening_at(settings)
        listening = (gateway_at, console_at, ingest_at, health_listener.listening_at(settings))
        for host, _ in (at for at in listening if at is not None):
            check_bind(host, tls is not None)
        gateway_config, described = await self._gateway_config(settings)

        free = settings.number("gateway.free_mb") * MIB
        disk = Disk(node.vault.stored, node.home.stores, free, time.monotonic)
        streams = auditing.streams(node)
        self._watch = watch = self._make_watch(disk, streams)
        health_at = health_listener.listening(settings)
        if health_at is not None:
            self._parts.callback(health_at.close)
        counts = ExchangeCounts()
        telemetry.pass_on(node, os.environ)
        own = telemetry.measuring(node, os.environ)
        own.start()
        watch.mind([own.thread])
        self._parts.push_async_callback(asyncio.to_thread, own.stop)

        await self._start_traces(watch)
        metering = UsageMetering(home_of(node))
        await asyncio.to_thread(metering.start)
        watch.mind(metering.threads())
        self._parts.push_async_callback(asyncio.to_thread, metering.stop)
        embedded = settings.text("upstream.url") is None

        def over(summary: ExchangeSummary) -> None:
            counts.add(summary)
            own.exchange(summary)
            metering.exchange(summary)
            if self._traces is not None:
                self._traces.exchange(summary)
            if summary.outcome != "refused" and not (embedded and summary.channel == "api"):
                node.egress.add(summary.channel, summary.bytes_in, summary.bytes_out)
            self._on_exchange(summary)

        self._beside = BesideApplications(proxies=self._proxies)
        node.vault.spool.prepare()
        self._gateway = gateway = Gateway(
            gateway_config,
            GatewayPolicyAccess(
                node.accounts,
                node.holding,
                declared_upstreams(node.settings),
                metering.governing.in_team,
                node.clock,
                unsure=unsure_of(leases(node.data, node.keyring.engine)),
            ),
            node.vault.spool,
            node.clock,
            over,
            health=watch.health,
            disk=disk.of,
            governor=metering.governing,
            beside=self._beside,
        )
        port = await gateway.start(*gateway_at, tls)
        self._parts.push_async_callback(lambda: gateway.close(self._grace))
        scheme = "http" if tls is None else "https"
        gateway_url = (
            public_url(settings, "gateway.url") or f"{scheme}://{in_url(gateway_at[0])}:{port}"
        )

        def measured() -> None:
            own.settle()
            metering.counting.settle()

        self._measured = monitoring.ServerFigures(
            node, watch, gateway, counts, self._connections, partial(auditing.figures, streams)
        )
        self._connections["gateway"] = gateway.connections.__len__
        health = None if health_at is None else await self._start_health(health_at)
        await gateway.start_local(reachable(node.home.gateway_socket))
        cloud = wiring.cloud_running
        await asyncio.to_thread(cloud.start)
        self._parts.push_async_callback(asyncio.to_thread, cloud.stop)
        self._node = node = replace(
            node,
            serving=Serving(
                watch.health,
                measured,
                cloud,
                node.clock(),
                streams.standing,
                self._measured.read,
                lambda: None if files is None else _ends_at(files[0]),
            ),
        )
        self._measured.node = node
        queue = DurableQueue(
            node.home.work_database,
            cloud.queue,
            clock=node.clock,
            record=node.ledger.append,
            say=to_stderr,
        )
        await asyncio.to_thread(queue.check)
        await self._start_console(console_at, tls, gateway_url, described, watch)
        metering.console = self._console
        clients = signing_in(
            node, gateway=public_url(settings, "gateway.url"), console=self._console
        )
        self._parts.callback(clients.close)
        desk = SpendDesk(node)
        self._parts.callback(desk.close)
        self._beside.applications |= beside(clients)
        self._beside.applications |= spend_increases.beside(node, desk)
        self._beside.applications |= spend_reports.beside(node, desk)
        for work in (wiring.mover, wiring.sequencing, wiring.witnesses, wiring.word_maker):
            work.start()
            watch.mind([work.thread])
            self._parts.push_async_callback(asyncio.to_thread, work.stop)
        streams.start()
        watch.mind(streams.threads())
        self._parts.push_async_callback(asyncio.to_thread, streams.stop)
        if (push := usage_push(node.usage, settings, node.clock, to_stderr)) is not None:
            push.start()
            watch.mind([push.thread])
            self._parts.push_async_callback(asyncio.to_thread, push.stop)
        ingest = None
        if ingest_at is not None:
            ingest = await self._start_ingest(ingest_at, scheme, watch)
        else:
            self._beside.applications |= dict.fromkeys(TELEMETRY, taken_and_dropped)
        defect = telemetry.defects(node, os.environ)
        control = ControlServer(node.home.control_socket, self._operate, defect)
        await control.start()
        self._parts.push_async_callback(control.close)
        keys = self._first_keys()
        await self._start_work(cloud, queue, watch)
        return Running(
            gateway=gateway_url,
            console=self._console,
            console_api=self._console_api,
            sign_in=self._link(),
            upstream=described,
            key=keys.key,
            key_is_for_this_run=keys.for_this_run,
            key_terms=keys.terms,
            ingest=ingest,
            health=health,
            ingest_key=None if ingest is None else keys.sending,
        )

    def _operate(
        self, operation: str, arguments: Mapping[str, object]
    ) -> Iterator[object] | object:
        if operation == "console.sign_in":
            return {"sign_in": self._link()}
        by = at_terminal(self._node, arguments)
        result: Iterator[object] | object = perform(self._node, operation, arguments, by=by)
        return result

    def _link(self) -> str:
        return f"{self._console}/sign-in?token={self._node.registry.links.give()}"

    def _first_keys(self) -> FirstKeys:
        """Keys of an account that is nobody's in particular: of a person's or an organisation's the
        operator gets none by starting the server.
        """
        accounts, policy = self._node.accounts, self._node.policy
        first = accounts.first()
        if accounts.empty or (self._always_key and first is None):
            first, _, key = accounts.create(plan=self._plan, name="first")
            _, sending = accounts.create_key(
                first.account_id, "first, for sending", by=OPERATOR, scope="ingest"
            )
            return FirstKeys(key, sending, terms_of(policy, first), for_this_run=False)
        if self._always_key and first is not None:
            _, key = accounts.key_for_this_run(first.account_id)
            _, sending = accounts.key_for_this_run(first.account_id, scope="ingest")
            self._parts.push_async_callback(asyncio.to_thread, self._end_keys)
            return FirstKeys(key, sending, terms_of(policy, first), for_this_run=True)
        return FirstKeys(None, None, None, for_this_run=False)

    def _end_keys(self) -> None:
        with contextlib.suppress(BaileeError):  # else they end by their time
            self._node.accounts.ephemeral.end_of_run()

    async def _gateway_config(self, settings: Settings) -> tuple[GatewayConfig, str]:
        """The gateway's upstreams, and the first one in words."""
        made = upstreams(settings, self._node.policy)
        config = GatewayConfig(
            **made,
            further=further_upstreams(settings, self._node.policy),
            on_recorder_failure=(
                "refuse"
                if self._node.policy.on_recorder_failure == "refuse"
                else "serve_unrecorded"
            ),
            limits=limits_of(settings, self._descriptors),
            trusted_proxy=self._proxies.trusts,
            origins=Origins((settings.text("gateway.origins") or "").replace(",", " ").split()),
        )
        if (url := settings.text("upstream.url")) is not None:
            return config, url
        # Last, when no setting can stop the start any more: a model that is ended at once hangs.
        model = await asyncio.to_thread(LocalModel)
        self._parts.callback(model.close)
        return replace(config, api=Upstream(model.url, name="upstream")), LABEL

    async def _start_console(
        self,
        at: tuple[str, int],
        tls: ssl.SSLContext | None,
        gateway: str,
        described: str,
        watch: Watch,
    ) -> None:
        scheme = "http" if tls is None else "https"
        node = self._node
        listening = bind(*at)
        port = listening.getsockname()[1]
        own = names(
            node.settings.text("console.url"),
            host=at[0],
            port=port,
            tls=tls is not None,
            label=console_label(node.home.console_name_file),
        )
        self._console, self._console_api = own.url, f"{scheme}://{in_url(at[0])}:{port}"
        parts = console_parts(
            node,
            names=own,
            gateway=gateway,
            upstream=described,
            tls=gateway.startswith("https://"),
            defect=telemetry.defects(node, os.environ),
        )
        scim = Scim(make_site(parts), node.registry, own.url, defect=parts.defect)
        self._parts.callback(scim.close)
        site = Healthy(self._traced(scim, "console"), watch.health)
        files = tls_files(node.settings)
        await self._listen("console", site, listening, self._descriptors.console, files)

    async def _start_ingest(self, at: tuple[str, int], scheme: str, watch: Watch) -> str:
        node = self._node
        listening = bind(*at, "ingest")
        ingest, receiver = telemetry.make_ingest(node), feedback.make_receiver(node)
        watch.mind([*ingest.threads(), *receiver.threads()])
        self._parts.callback(ingest.close)
        self._parts.callback(receiver.close)
        self._beside.applications |= dict.fromkeys(TELEMETRY, ingest.app)
        ingest.app.router.routes.extend(receiver.routes)
        files = tls_files(node.settings)
        app = self._traced(ingest.app, "ingest")
        await self._listen("ingest", app, listening, self._descriptors.ingest, files)
        return (
            public_url(node.settings, "ingest.url")
            or f"{scheme}://{in_url(at[0])}:{listening.getsockname()[1]}"
        )

    async def _start_traces(self, watch: Watch) -> None:
        settings = self._node.settings
        if settings.text("tracing.otlp") is None:
            return
        from bailee.app.tracing import tracing

        self._traces = traces = tracing(settings, to_stderr)
        traces.start()
        watch.mind([traces.thread])
        self._parts.push_async_callback(asyncio.to_thread, traces.stop)

    def _traced(self, app: ASGIApp, listener: str) -> ASGIApp:
        if self._traces is None:
            return app
        from bailee.app.tracing import Traced

        return Traced(app, self._traces, listener, self._node.clock)

    async def _start_health(self, listening: socket.socket) -> str:
        host, port = listening.getsockname()[:2]
        site = health_listener.site(self._watch.health, self._measured.said)
        tls = None if is_loopback(host) else tls_files(self._node.settings)
        await self._listen("health", site, listening, health_listener.CONNECTIONS, tls)
        return f"{'http' if tls is None else 'https'}://{in_url(host)}:{port}"

    async def _listen(
        self,
        name: str,
        app: ASGIApp,
        listening: socket.socket,
        connections: int,
        tls: tuple[Path, Path] | None,
    ) -> None:
        listener = Listener(
            app,
            listening,
            tls,
            limits=ConnectionLimits.of(connections, _BY_ADDRESS),
            proxies=self._proxies,
        )
        await listener.start()
        self._connections[name] = listener.connections.__len__
        self._parts.push_async_callback(listener.close)

    def _make_watch(self, disk: Disk, streams: AuditStreams) -> Watch:
        loop = asyncio.get_running_loop()

        def ready() -> None:
            loop.call_soon_threadsafe(self.swept.set)

        every = self._node.settings.number("retention.every_minutes") * 60.0
        return Watch(self._node, every, ready=ready, low=disk.low, unstreamed=streams.late)

    async def _start_work(self, cloud: Cloud, queue: DurableQueue, watch: Watch) -> None:
        def begin() -> None:
            with self._node.room.deleting():  # what it has to note fits on a full disk too
                cloud.begin(queue.enqueue)

        # Nobody waits for the queue; but it is stopped only once started.
        starting = asyncio.create_task(asyncio.to_thread(begin))
        starting.add_done_callback(_say_what_failed)

        async def stop() -> None:
            await asyncio.gather(starting, return_exceptions=True)
            await asyncio.to_thread(cloud.end)
            await asyncio.to_thread(queue.stop)

        self._parts.push_async_callback(stop)
        watch.start()
        self._parts.push_async_callback(asyncio.to_thread, watch.stop)


def _say_what_failed(starting: asyncio.Task[None]) -> None:
    if not starting.cancelled() and (error := starting.exception()) is not None:
        told = error.message if isinstance(error, BaileeError) else type(error).__name__
        to_stderr(f"bailee: cloud sessions that waited were not taken up: {told}")


def _ends_at(file: Path) -> datetime | None:
    with contextlib.suppress(OSError, ValueError):
        return ends_at(file)
    return None
