"""`bailee serve gateway`: a gateway beside the server that has the home, without the home's folder.

Rules kept here:

* It takes no lease and no lock, and makes nothing: any number of them stand beside one server, and
  each may be started and ended at any time.
* It goes by what is confirmed (`node.reader`), or by nothing; and while no server has the home, for
  as long as the policy document lets requests go on without the databases (`without_database`):
  nothing is revoked, sealed or forgotten then.
* It starts without a server, too. Until one lets it join (`vault.member_spool`) it says that it is
  not ready, and answers what is to be kept nowhere.
* Nothing lies on this machine. What could be durable here alone is refused at the start.
* What is for no model goes to the server that has the home (`to_holder`), or nowhere.

Rows: O6, G2.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bailee.admission import ConnectionLimits, raise_limit, share_out
from bailee.admission.addresses import trusted_proxies
from bailee.app import health_listener
from bailee.app.access import GatewayPolicyAccess
from bailee.app.disk_beside import DiskBeside
from bailee.app.gateway_figures import Figures, gateway_figures, health_figures
from bailee.app.gateway_watch import GatewayWatch
from bailee.app.listener_settings import in_url, limits_of, public_url, tls_files
from bailee.app.said import to_stderr
from bailee.app.to_holder import SETTING as HOLDER
from bailee.app.to_holder import ToHolder
from bailee.app.upstreams import declared_upstreams, further_upstreams, upstreams
from bailee.app.using import UsageMetering, home_beside
from bailee.config import Settings, parse_address
from bailee.console import Listener
from bailee.errors import InputError
from bailee.gateway.beside import BesideApplications
from bailee.gateway.origins import Origins
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig, check_bind
from bailee.gateway.summary import ExchangeSummary
from bailee.gateway.tls import server_context
from bailee.home import Home
from bailee.keyring import driver_of
from bailee.lasting import Lasting
from bailee.loopback import is_loopback
from bailee.monitoring.exchanges import ExchangeCounts
from bailee.monitoring.exposition import Exposition
from bailee.node import databases, spooling
from bailee.node.holder import HomeHolding
from bailee.node.reader import HomeReader
from bailee.vault.member_spool import MemberSpool

if TYPE_CHECKING:
    from bailee.app.tracing import Tracing

_UPSTREAMS: Final = 3  # as many as are kept open to, besides further ones
_GRACE_SECONDS: Final = 10.0  # to end what is under way, for who was not drained
_ANOTHERS: Final = ("console.listen", "ingest.listen")
_ALONE: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """Where a started gateway is, and what is behind it."""

    gateway: str
    health: str | None
    upstream: str


def check_settings(settings: Settings, home: Home) -> None:
    """Refuse what a gateway of its own can't be: before anything is opened.

    Raises:
        InputError: code `configuration`.
    """
    for name in _ANOTHERS:
        if settings.origin[name] != "default":
            raise _wrong(
                f"{name} is set, and a gateway of its own has no such listener.",
                "take it out: the server that has the home answers there (bailee up)",
            )
    if not databases.are_elsewhere(settings):
        raise _wrong(
            "a gateway of its own needs a home whose databases are on PostgreSQL.",
            "set database.url and keyring.database_url, as the server has them",
        )
    if not spooling.is_in_database(settings):
        raise _wrong(
            f"{spooling.SETTING} is not {spooling.DATABASE}: what is answered here would be "
            "durable on this machine alone, and no server would file it.",
            f"set {spooling.SETTING} to {spooling.DATABASE}, here and where the server runs",
        )
    if settings.text("upstream.url") is None:
        raise _wrong(
            "a gateway of its own has no embedded model, and upstream.url is not set.",
            "set upstream.url, as the server has it",
        )
    where = settings.text("keyring.root") or "file"
    if driver_of(where) in ("file", "environment") and not home.root_key_file.exists():
        raise _wrong(
            f"the root key is a file of the home's folder, and {home.root_key_file} is not there.",
            'keep the root key in a service (guide, "Root keys") and set keyring.root; on the '
            "server's own machine, give its folder with --home",
        )


class GatewayRole:
    """A gateway over a home that is read; use it as an asynchronous context.

    Whoever runs it enters and leaves it on one event loop. It owns what it starts, and stops it in
    the reverse order. The reader is its caller's.
    """

    def __init__(self, settings: Settings, reader: HomeReader, spool: MemberSpool) -> None:
        """`spool` makes durable what is kept; it is its caller's, too."""
        self._settings = settings
        self._reader = reader
        self._spool = spool
        self._metering = UsageMetering(home_beside(reader))
        self._threads: list[Lasting] = []
        self._parts = AsyncExitStack()
        self._descriptors = share_out(raise_limit(), _UPSTREAMS + len(settings.further))
        self._proxies = trusted_proxies(settings.text("trusted_proxies"))
        self._holding = HomeHolding((reader.data, reader.keys))
        self._disk = DiskBeside(reader.data)
        self._counts = ExchangeCounts()
        self._connections: dict[str, Callable[[], int]] = {}
        self._grace = _GRACE_SECONDS
        self._traces: Tracing | None = None
        self._gateway: Gateway  # these two from the start on
        self._watch: GatewayWatch

    async def __aenter__(self) -> RunningGateway:
        try:
            return await self._start()
        except BaseException:
            await self._parts.aclose()
            raise

    async def __aexit__(self, *_exception: object) -> None:
        await self._parts.aclose()

    async def drain(self) -> None:
        """Say that it is not ready, begin nothing more, and let what is under way end, as long as
        the setting says at the most. Then leave it.
        """
        self._grace = 0.0
        self._watch.drain()
        await self._gateway.drain(self._settings.number("gateway.drain_seconds"))

    async def _start(self) -> RunningGateway:
        settings = self._settings
        files = tls_files(settings)
        tls = None if files is None else server_context(*files)
        at = parse_address(settings.text("gateway.listen") or "", "gateway.listen")
        for one in (at, health_listener.listening_at(settings)):
            if one is not None:
                check_bind(one[0], tls is not None)
        health_at = health_listener.listening(settings)
        if health_at is not None:
            self._parts.callback(health_at.close)
        config = self._config()
        await asyncio.to_thread(self._holding.start)
        self._parts.push_async_callback(asyncio.to_thread, self._holding.stop)
        await asyncio.to_thread(self._metering.start)
        self._parts.push_async_callback(asyncio.to_thread, self._metering.stop)
        self._disk.start()
        self._parts.push_async_callback(asyncio.to_thread, self._disk.stop)
        self._start_traces()
        self._spool.prepare()
        beside = BesideApplications(await self._to_holder(), proxies=self._proxies)
        self._gateway = gateway = self._made(config, beside)
        port = await gateway.start(*at, tls)
        self._parts.push_async_callback(lambda: gateway.close(self._grace))
        self._connections["gateway"] = gateway.connections.__len__
        self._watch.start()
        self._parts.push_async_callback(asyncio.to_thread, self._watch.stop)
        scheme = "http" if tls is None else "https"
        return RunningGateway(
            public_url(settings, "gateway.url") or f"{scheme}://{in_url(at[0])}:{port}",
            None if health_at is None else await self._start_health(health_at, files),
            settings.text("upstream.url") or "",
        )

    def _config(self) -> GatewayConfig:
        settings, policy = self._settings, self._reader.holding.policy
        refuses = policy.on_recorder_failure == "refuse"
        return GatewayConfig(
            **upstreams(settings, policy),
            further=further_upstreams(settings, policy),
            on_recorder_failure="refuse" if refuses else "serve_unrecorded",
            limits=limits_of(settings, self._descriptors),
            trusted_proxy=self._proxies.trusts,
            origins=Origins((settings.text("gateway.origins") or "").replace(",", " ").split()),
        )

    def _made(self, config: GatewayConfig, beside: BesideApplications) -> Gateway:
        reader = self._reader
        self._watch = GatewayWatch(
            confirmed=lambda: not reader.confirmation.is_stale,
            joined=lambda: self._spool.name is not None,
            records=lambda: self._spool.failure is None,
            unheld=self._holding.unheld,
            threads=self._lasting,
        )
        access = GatewayPolicyAccess(
            reader.accounts,
            reader.holding,
            declared_upstreams(self._settings),
            self._metering.governing.in_team,
            reader.clock,
            unsure=self._holding.unheld,
        )
        return Gateway(
            config,
            access,
            self._spool,
            reader.clock,
            self._over,
            health=self._watch.health,
            disk=self._disk.of,
            governor=self._metering.governing,
            beside=beside,
        )

    def _lasting(self) -> list[Lasting]:
        own = self._reader.follower.thread, self._holding.thread, self._disk.thread
        return [*own, *self._metering.threads(), *self._spool.threads(), *self._threads]

    def _over(self, summary: ExchangeSummary) -> None:
        self._counts.add(summary)
        self._metering.exchange(summary)
        if self._traces is not None:
            self._traces.exchange(summary)

    async def _to_holder(self) -> Mapping[str, ToHolder]:
        url = self._settings.text(HOLDER)
        if url is None:
            return {}
        to = await asyncio.to_thread(ToHolder, url)  # it reads every authority
        self._parts.push_async_callback(to.close)
        return to.applications

    def _start_traces(self) -> None:
        if self._settings.text("tracing.otlp") is None:
            return
        from bailee.app.tracing import tracing

        self._traces = traces = tracing(self._settings, to_stderr)
        traces.start()
        self._threads.append(traces.thread)
        self._parts.push_async_callback(asyncio.to_thread, traces.stop)

    async def _start_health(self, listening: socket.socket, files: tuple[Path, Path] | None) -> str:
        host, port = listening.getsockname()[:2]
        tls = None if is_loopback(host) else files
        most = health_listener.CONNECTIONS
        exposition = Exposition(self._counts, self._figures)
        listener = Listener(
            health_listener.site(self._watch.health, exposition.text),
            listening,
            tls,
            limits=ConnectionLimits.of(most, most),
            proxies=self._proxies,
        )
        await listener.start()
        self._connections["health"] = listener.connections.__len__
        self._parts.push_async_callback(listener.close)
        return f"{'http' if tls is None else 'https'}://{in_url(host)}:{port}"

    def _figures(self) -> Figures:
        unsealed, took = self._spool.unsealed(""), self._spool.write_seconds
        return {
            **health_figures(self._watch.health()),
            **gateway_figures(self._gateway, self._connections),
            "bailee_confirmation_age_seconds": {_ALONE: self._reader.confirmation.age},
            "bailee_holder_age_seconds": {_ALONE: self._holding.unheld()},
            "bailee_spool_bytes": {_ALONE: unsealed.all},
            "bailee_spool_write_seconds": {} if took is None else {(spooling.DATABASE,): took},
            "bailee_unsealed_exchanges": {_ALONE: unsealed.all_exchanges},
        }


def _wrong(message: str, hint: str) -> InputError:
    return InputError(message, code="configuration", hint=hint)
