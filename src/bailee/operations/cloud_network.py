"""What can be asked of a home about the lists of hosts that an account's cloud sessions reach.

Rows: C3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.cloud.egress import lists
from bailee.cloud.egress.lists import Side
from bailee.errors import PolicyDenied
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.cloud_whose import account_named
from bailee.operations.codec import Function
from bailee.operations.operation import operation, sent_by
from bailee.policy.document import HOSTS, OPENS

_CHANGE: Final = Permission.CLOUD_NETWORK_CHANGE


@dataclass(frozen=True, slots=True)
class NetworkEntrySummary:
    """An entry as lists show it."""

    id: str
    account: str
    verdict: Side
    entry: str
    created: datetime
    created_by: str


@operation()
def list_(asks: Asks, node: Node, account: str | None = None) -> list[NetworkEntrySummary]:
    """The hosts that an account allows and denies its cloud sessions."""
    owner = account_named(asks, node, account, _CHANGE)
    return [shown(one) for one in node.network_lists.all(owner.account_id)]


@operation()
def allow(asks: Asks, node: Node, entry: str, account: str | None = None) -> NetworkEntrySummary:
    """Allow a host to sessions that have a network; what was denied is so no more."""
    return _add(asks, node, "allow", entry, account)


@operation()
def deny(asks: Asks, node: Node, entry: str, account: str | None = None) -> NetworkEntrySummary:
    """Deny a host at every level; what was allowed is so no more."""
    return _add(asks, node, "deny", entry, account)


@operation()
def remove(asks: Asks, node: Node, id: str) -> NetworkEntrySummary:
    """Remove an entry."""
    entry = node.network_lists.get(id)
    asks.require(node, _CHANGE, node.accounts.get(entry.account_id))
    return shown(node.network_lists.remove(entry.id, by=asks.actor.name))


def _add(
    asks: Asks, node: Node, side: Side, entry: str, account: str | None
) -> NetworkEntrySummary:
    owner = account_named(asks, node, account, _CHANGE)
    if side == "allow" and HOSTS not in node.policy.document.cloud_opens:
        raise PolicyDenied(
            "the policy document opens no hosts to cloud sessions by lists.",
            hint=f'only a document with "{HOSTS}" in {OPENS} does',
        )
    with sent_by(asks):
        return shown(node.network_lists.add(owner.account_id, side, entry, by=asks.actor.name))


def shown(entry: lists.NetworkEntry) -> NetworkEntrySummary:
    """A stored entry as lists show it."""
    return NetworkEntrySummary(
        entry.id, entry.account_id, entry.side, entry.entry, entry.created_at, entry.created_by
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "cloud.network.list": list_,
    "cloud.network.allow": allow,
    "cloud.network.deny": deny,
    "cloud.network.remove": remove,
}
