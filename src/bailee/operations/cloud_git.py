"""What can be asked of a home about Git connections: add, list, remove.

Whose: the account that is named, else that of the key or cookie; for the operator the first one,
if that is nobody's.

Rows: C2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts import Account, Actor
from bailee.accounts.roles import Permission
from bailee.cloud.git.connections import Connection, Secret
from bailee.errors import InputError
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, text
from bailee.operations.asks import Via, asked_by
from bailee.operations.whose import own_account


def _add(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    account = account_of(node, by, arguments)
    secret = Secret(
        text(arguments, "secret"),
        user=arguments.get("user") or "",
        app_id=arguments.get("app_id") or "",
        installation_id=arguments.get("installation_id") or "",
    )
    added = node.git_connections.add(
        account.account_id, text(arguments, "kind"), text(arguments, "place"), secret, by=by.name
    )
    return connection_view(added)


def _list(node: Node, arguments: Arguments) -> object:
    account = account_of(node, arguments.by, arguments)
    return [connection_view(one) for one in node.git_connections.all(account.account_id)]


def _remove(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    connection = node.git_connections.get(text(arguments, "id"))
    account = node.accounts.get(connection.account_id)
    node.registry.authority.require(by, Permission.GIT_CONNECTION_CHANGE, account)
    node.git_connections.remove(connection.id, by=by.name)
    return connection_view(connection)


def account_of(
    node: Node,
    by: Actor,
    arguments: Arguments,
    permission: Permission = Permission.GIT_CONNECTION_CHANGE,
) -> Account:
    """Whose it is; who asks may do this there.

    Raises:
        InputError: it is nobody's, or `forbidden`.
    """
    if arguments.get("account") is not None:
        account = node.accounts.get(text(arguments, "account"))
    elif by.operator and by.person_id is None:
        first = node.accounts.first()
        if first is None or first.person_id is not None or first.organisation_id is not None:
            raise InputError(
                "it is not said whose account is meant.",
                hint="name it with --account; `bailee key list` shows them",
            )
        account = first
    else:
        account = own_account(asked_by(node, arguments.by, Via.TERMINAL), node)
    node.registry.authority.require(by, permission, account)
    return account


def connection_view(connection: Connection) -> dict[str, object]:
    """A connection as lists show it."""
    return {
        "id": connection.id,
        "account": connection.account_id,
        "kind": connection.kind.value,
        "place": connection.place,
        "created": connection.created_at.isoformat(),
        "created_by": connection.created_by,
    }


CLOUD_GIT: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "cloud.git.add": _add,
    "cloud.git.list": _list,
    "cloud.git.remove": _remove,
}
