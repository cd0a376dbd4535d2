"""The listener for whoever watches a server: `/healthz`, `/readyz` and `/metrics`.

Rules kept here:

* It stands on an address of its own, which on a machine at large is loopback: who may reach the
  gateway need not see it. It says no content (`monitoring.catalogue`).
* Figures that need a database are read beside the event loop, by one at a time, and at most once a
  second; what is counted over many rows, once a minute. A crowd of scrapers costs no more than one.
* Where no address is set and the usual one is taken, it listens at any free one of this machine. An
  address that was set is listened at, or the start is refused.

Rows: O5.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.app.disk import room_on
from bailee.app.promise import Reason
from bailee.app.watch import Watch
from bailee.clock import Ticks, ticks
from bailee.config import Settings, parse_address
from bailee.console import Healthy, bind
from bailee.db.engine import size_of
from bailee.errors import BaileeError, InputError
from bailee.gateway.server import Gateway
from bailee.health import Ask
from bailee.ledger.folder import CHECKPOINT
from bailee.monitoring.catalogue import ALERTS, REASONS, STEPS
from bailee.monitoring.exchanges import ExchangeCounts
from bailee.node.node import Node
from bailee.node.promises import PromiseStanding, Stands, judged
from bailee.node.spooling import LOCAL
from bailee.node.spooling import SETTING as DURABILITY
from bailee.operations import promises

if TYPE_CHECKING:  # its library is imported when somebody scrapes
    from bailee.monitoring.exposition import Exposition, Readings

SETTING: Final = "health.listen"
CONNECTIONS: Final = 16
"""Of its listener, at once."""
_FRESH: Final = 1.0
_COUNTED: Final = 60.0
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ALONE: Final[tuple[str, ...]] = ()


def listening(settings: Settings) -> socket.socket | None:
    """The bound socket; None: the setting says `off`.

    Raises:
        InputError: code `configuration`; the address is none, or can't be had.
    """
    at = listening_at(settings)
    if at is None:
        return None
    host, port = at
    try:
        return bind(host, port, "health")
    except InputError:
        if settings.origin[SETTING] != "default":
            raise
        return bind(host, 0, "health")


def listening_at(settings: Settings) -> tuple[str, int] | None:
    """Its address, or None: nowhere.

    Raises:
        InputError: code `configuration`.
    """
    text = settings.text(SETTING) or "off"
    return None if text == "off" else parse_address(text, SETTING)


def site(health: Ask, said: Callable[[], bytes]) -> ASGIApp:
    """What this listener answers. `said`: all figures, as they are scraped."""
    return Scraped(Healthy(nothing_else, health), said)


class Scraped:
    """Answers `/metrics`, and hands on what else comes. Called on the event loop's thread."""

    def __init__(self, app: ASGIApp, said: Callable[[], bytes], ticking: Ticks = ticks) -> None:
        self._app = app
        self._said = said
        self._ticks = ticking
        self._one = asyncio.Lock()  # while the text is made
        self._text = b""
        self._made = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != "/metrics":
            await self._app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            answer = Response(status_code=405, headers={"allow": "GET, HEAD"})
        else:
            headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
            answer = Response(await self._fresh(), 200, headers, _CONTENT_TYPE)
        await answer(scope, receive, send)

    async def _fresh(self) -> bytes:
        async with self._one:
            if self._ticks() - self._made >= _FRESH:
                self._text = await asyncio.to_thread(self._said)
                self._made = self._ticks()
            return self._text


async def nothing_else(scope: Scope, _receive: Receive, send: Send) -> None:
    """What this listener answers to any other address."""
    if scope["type"] == "http":
        await Response(status_code=404)(scope, _receive, send)


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """How the audit record's delivery to one sink stands: see `auditing.streams.StreamState`."""

    lag_entries: int
    lag_seconds: float
    delivered: int
    failures: int


@dataclass
class ServerFigures:
    """What a server's figures are read from. The server makes one; `read` is called on one thread
    at a time, none of its event loop's.
    """

    node: Node
    watch: Watch
    gateway: Gateway
    counts: ExchangeCounts
    connections: dict[str, Callable[[], int]]
    streams: Callable[[], dict[str, StreamFigures]] = dict
    ticking: Ticks = ticks
    _promises: tuple[float, list[PromiseStanding]] = (float("-inf"), [])

    def said(self) -> bytes:
        """All that is said, in the form that Prometheus reads."""
        return self._exposition.text()

    @cached_property
    def _exposition(self) -> Exposition:
        from bailee.monitoring.exposition import Exposition

        return Exposition(self.counts, self.read)

    def read(self) -> Readings:
        """What stands now. What can't be read is left out."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for part in (
            self._health, self._gateway, self._vault, self._forgetting, self._kept, self._proof,
            self._streams, self._disks,
        ):  # fmt: skip
            with suppress(BaileeError, OSError):
                found |= part()
        return found

    # -- the parts -------------------------------------------------------------------------------

    def _health(self) -> dict[str, dict[tuple[str, ...], float]]:
        health = self.watch.health()
        return {
            "bailee_ready": {_ALONE: float(health.ready)},
            "bailee_not_ready": {(name,): float(name in health.reasons) for name in REASONS},
            "bailee_alert": {(name,): float(name in health.alerts) for name in ALERTS},
            "bailee_sweep_step_failing": {
                (name,): 1.0 for name in dict.fromkeys((*STEPS, *health.failing))
                if name in health.failing
            },
        }  # fmt: skip

    def _gateway(self) -> dict[str, dict[tuple[str, ...], float]]:
        gateway = self.gateway
        under_way = sum(not client.idle for client in gateway.clients.copy())
        return {
            "bailee_requests_in_flight": {_ALONE: under_way},
            "bailee_accounts_in_flight": {_ALONE: gateway.shares.accounts},
            "bailee_connections": {(name,): of() for name, of in self.connections.items()},
            "bailee_unrecorded_total": {_ALONE: gateway.unrecorded},
        }

    def _vault(self) -> dict[str, dict[tuple[str, ...], float]]:
        vault = self.node.vault
        unsealed, took = vault.spool.unsealed(""), vault.spool.write_seconds
        where = self.node.settings.text(DURABILITY) or LOCAL
        return {
            "bailee_spool_bytes": {_ALONE: unsealed.all},
            "bailee_spool_write_seconds": {} if took is None else {(where,): took},
            "bailee_unsealed_exchanges": {_ALONE: unsealed.all_exchanges},
            "bailee_sealing_stalled_seconds": {_ALONE: vault.stalled()},
            "bailee_stored_bytes": {_ALONE: vault.stored.all},
            "bailee_stored_accounts": {_ALONE: vault.stored.accounts},
        }

    def _forgetting(self) -> dict[str, dict[tuple[str, ...], float]]:
        done = self.watch.done
        return {
            "bailee_sweep_age_seconds": {_ALONE: self.node.sweeping.unswept()},
            "bailee_sweeps_total": {_ALONE: done.sweeps},
            "bailee_keys_destroyed_total": {_ALONE: done.keys},
            "bailee_sessions_removed_total": {_ALONE: done.sessions},
        }

    def _kept(self) -> dict[str, dict[tuple[str, ...], float]]:
        node, standing = self.node, self._standing()
        return {
            "bailee_epoch_keys": {_ALONE: len(node.keyring.kek_ids())},
            "bailee_root_generation": {_ALONE: node.keyring.generation()},
            "bailee_holds": {_ALONE: len(node.holds.held())},
            "bailee_promise_kept": {
                (one.promise,): float(one.standing is Stands.KEPT)
                for one in standing if one.standing is not Stands.UNKNOWN
            },
            "bailee_promise_late": {
                (one.promise,): one.count for one in standing if one.standing is Stands.BROKEN
            },
        }  # fmt: skip

    def _standing(self) -> list[PromiseStanding]:
        at, found = self._promises
        if self.ticking() - at >= _COUNTED:
            found = judged(promises.found(self.node, self.node.clock()))
            self._promises = self.ticking(), found
        return found

    def _proof(self) -> dict[str, dict[tuple[str, ...], float]]:
        node = self.node
        leaves, waiting = node.sequencer.sizes()
        written = node.home.ledger / CHECKPOINT
        size = size_of(node.data)
        return {
            "bailee_ledger_leaves": {_ALONE: leaves},
            "bailee_ledger_entries_waiting": {_ALONE: waiting},
            "bailee_ledger_bytes": {_ALONE: size},
            "bailee_ledger_checkpoint_timestamp_seconds": {
                _ALONE: written.stat().st_mtime if written.exists() else 0
            },
            "bailee_ledger_unwitnessed_seconds": {_ALONE: node.cosigning.unwitnessed()},
        }

    def _streams(self) -> dict[str, dict[tuple[str, ...], float]]:
        streams = self.streams().items()
        return {
            "bailee_audit_stream_lag_entries": {(n,): one.lag_entries for n, one in streams},
            "bailee_audit_stream_lag_seconds": {(n,): one.lag_seconds for n, one in streams},
            "bailee_audit_stream_delivered_total": {(n,): one.delivered for n, one in streams},
            "bailee_audit_stream_failures_total": {(n,): one.failures for n, one in streams},
        }

    def _disks(self) -> dict[str, dict[tuple[str, ...], float]]:
        rooms = {(folder.name,): room_on(folder) for folder in self.node.home.stores}
        return {
            "bailee_disk_free_bytes": {name: float(room[0]) for name, room in rooms.items()},
            "bailee_disk_size_bytes": {name: float(room[1]) for name, room in rooms.items()},
        }


assert {*REASONS, *ALERTS} == {*Reason}
