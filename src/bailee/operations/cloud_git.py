"""What can be asked of a home about Git connections: add, list, remove.

Rows: C2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.cloud.git import connections
from bailee.cloud.git.connections import GitSecret, SecretKind
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.cloud_whose import account_named
from bailee.operations.codec import Function
from bailee.operations.operation import operation

_CHANGE: Final = Permission.GIT_CONNECTION_CHANGE


@dataclass(frozen=True, slots=True)
class GitConnectionSummary:
    """A connection as lists show it: without its secret."""

    id: str
    account: str
    kind: SecretKind
    place: str
    created: datetime
    created_by: str


@operation()
def add(
    asks: Asks,
    node: Node,
    kind: str,
    place: str,
    secret: str,
    *,
    user: str = "",
    app_id: str = "",
    installation_id: str = "",
    account: str | None = None,
) -> GitConnectionSummary:
    """Store a token, password or app key for a host, or for an owner on it."""
    owner = account_named(asks, node, account, _CHANGE)
    proof = GitSecret(secret, user, app_id, installation_id)
    added = node.git_connections.add(owner.account_id, kind, place, proof, by=asks.actor.name)
    return shown(added)


@operation()
def list_(asks: Asks, node: Node, account: str | None = None) -> list[GitConnectionSummary]:
    """The Git connections of an account."""
    owner = account_named(asks, node, account, _CHANGE)
    return [shown(one) for one in node.git_connections.all(owner.account_id)]


@operation()
def remove(asks: Asks, node: Node, id: str) -> GitConnectionSummary:
    """Forget a Git connection: its key is destroyed."""
    connection = node.git_connections.get(id)
    asks.require(node, _CHANGE, node.accounts.get(connection.account_id))
    node.git_connections.remove(connection.id, by=asks.actor.name)
    return shown(connection)


def shown(connection: connections.GitConnection) -> GitConnectionSummary:
    """A stored connection as lists show it."""
    return GitConnectionSummary(
        connection.id,
        connection.account_id,
        connection.kind,
        connection.place,
        connection.created_at,
        connection.created_by,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "cloud.git.add": add,
    "cloud.git.list": list_,
    "cloud.git.remove": remove,
}
