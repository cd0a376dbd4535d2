"""How a gateway stands, and whether a server is ready, as figures (`monitoring.catalogue`).

Rows: O5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from bailee.gateway.server import Gateway
from bailee.health import Health
from bailee.monitoring.catalogue import ALERTS, REASONS

Figures: TypeAlias = dict[str, dict[tuple[str, ...], float]]
"""Figures by name, and by the values of their labels."""

_ALONE: Final[tuple[str, ...]] = ()


def health_figures(health: Health) -> Figures:
    """Whether it is ready, and why not."""
    return {
        "bailee_ready": {_ALONE: float(health.ready)},
        "bailee_not_ready": {(name,): float(name in health.reasons) for name in REASONS},
        "bailee_alert": {(name,): float(name in health.alerts) for name in ALERTS},
    }


def gateway_figures(gateway: Gateway, connections: Mapping[str, Callable[[], int]]) -> Figures:
    """What is under way. `connections`: how many there are, by listener. On any thread."""
    under_way = sum(not client.idle for client in gateway.clients.copy())
    return {
        "bailee_requests_in_flight": {_ALONE: under_way},
        "bailee_accounts_in_flight": {_ALONE: gateway.shares.accounts},
        "bailee_connections": {(name,): of() for name, of in connections.items()},
        "bailee_unrecorded_total": {_ALONE: gateway.unrecorded},
    }
