"""How a home and its server stand, in one look: what `bailee status` and the console's page show.

Nothing is measured here that something else does not say: the server's figures are those of
`/metrics`, the promises those of `bailee promises`.

Rows: O5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bailee import __version__
from bailee.accounts.roles import Permission
from bailee.errors import BaileeError
from bailee.node import Node
from bailee.node.promises import PromiseStanding, broken
from bailee.node.running import Serving
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation
from bailee.operations.promises import promises

SOON: Final = timedelta(days=14)
"""A certificate that ends within it is looked after now."""
_ALONE: Final[tuple[str, ...]] = ()


class ServiceStanding(StrEnum):
    """`well`; `look`: it works, and somebody should see to something; `wrong`: it does not do what
    it should; `stopped`: no server runs.
    """

    WELL = "well"
    LOOK = "look"
    WRONG = "wrong"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """A file system, in bytes, and which of the home's stores are on it."""

    stores: list[str]
    free: int
    size: int


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server that runs. `reasons`: why it is not ready, `alerts`: what else to look at, by the
    codes of `/readyz`; `connections`: of each listener; `certificate_ends`: of its own.
    """

    since: datetime
    ready: bool
    reasons: list[str]
    alerts: list[str]
    requests_in_flight: int
    connections: dict[str, int]
    certificate_ends: datetime | None
    disks: list[DiskRoom]


@dataclass(frozen=True, slots=True)
class BacklogStatus:
    """What is recorded and waits to be sealed."""

    exchanges: int
    bytes: int
    stalled_seconds: float


@dataclass(frozen=True, slots=True)
class KeyringStatus:
    """`driver`: where the root key is; `epochs`: keys of time, by which sessions are forgotten."""

    driver: str
    generation: int
    epochs: int


@dataclass(frozen=True, slots=True)
class ObjectsStatus:
    """Where sealed sessions and reports are: a bucket and prefix, and whether it answers as this
    home's. None: in folders of the home.
    """

    where: str | None
    answers: bool | None


@dataclass(frozen=True, slots=True)
class HomeStatus:
    """How it all stands at `at`. `server` None: none runs. `requests_for_more`: of members beyond
    their limits, which wait for somebody.
    """

    at: datetime
    version: str
    standing: ServiceStanding
    server: ServerStatus | None
    backlog: BacklogStatus
    stored_bytes: int
    stored_accounts: int
    holds: int
    keyring: KeyringStatus
    objects: ObjectsStatus
    promises: list[PromiseStanding]
    requests_for_more: int


@operation()
def status(asks: Asks, node: Node) -> HomeStatus:
    """What runs, since when, what waits, how the keys, the disks and the promises are."""
    asks.require(node, Permission.RETENTION_READ)
    standings = promises(asks, node)
    server = None if node.serving is None else _server(node.serving)
    kept = _objects(node)
    unsealed = node.vault.spool.unsealed("")
    root = node.settings.text("keyring.root") or "file"
    return HomeStatus(
        standings.at,
        __version__,
        _standing(server, standings.promises, kept, standings.at),
        server,
        BacklogStatus(unsealed.all_exchanges, unsealed.all, node.vault.stalled()),
        node.vault.stored.all,
        node.vault.stored.accounts,
        len(node.holds.held()),
        KeyringStatus(
            root.partition(":")[0], node.keyring.generation(), len(node.keyring.kek_ids())
        ),
        kept,
        standings.promises,
        node.increases.pending(asks.at),
    )


def _objects(node: Node) -> ObjectsStatus:
    """The bucket is asked now: it has some seconds."""
    if node.objects.where is None:
        return ObjectsStatus(None, None)
    try:
        node.objects.check()
    except BaileeError:
        return ObjectsStatus(node.objects.where, False)
    return ObjectsStatus(node.objects.where, True)


def _server(serving: Serving) -> ServerStatus:
    health, figures = serving.health(), serving.figures()

    def figure(name: str) -> Mapping[tuple[str, ...], float]:
        return figures.get(name, {})

    return ServerStatus(
        serving.since,
        health.ready,
        [*health.reasons],
        [*health.alerts],
        int(figure("bailee_requests_in_flight").get(_ALONE, 0)),
        {name: int(count) for (name,), count in figure("bailee_connections").items()},
        serving.certificate_ends(),
        _disks(figure("bailee_disk_free_bytes"), figure("bailee_disk_size_bytes")),
    )


def _disks(
    free: Mapping[tuple[str, ...], float], size: Mapping[tuple[str, ...], float]
) -> list[DiskRoom]:
    """Stores of which both are the same are on one."""
    found: dict[tuple[float, float], list[str]] = {}
    for label, room in free.items():
        found.setdefault((room, size.get(label, 0)), []).append(label[0])
    return [DiskRoom(stores, int(room), int(whole)) for (room, whole), stores in found.items()]


def _standing(
    server: ServerStatus | None,
    standings: list[PromiseStanding],
    kept: ObjectsStatus,
    at: datetime,
) -> ServiceStanding:
    ends = None if server is None else server.certificate_ends
    if broken(standings) or (server is not None and not server.ready) or (ends and ends <= at):
        return ServiceStanding.WRONG
    if server is None:
        return ServiceStanding.STOPPED
    return (
        ServiceStanding.LOOK
        if server.alerts or kept.answers is False or (ends and ends - at < SOON)
        else ServiceStanding.WELL
    )


OPERATIONS: Final[Mapping[str, Function]] = {"status": status}
