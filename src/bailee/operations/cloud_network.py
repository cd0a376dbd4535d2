"""What can be asked of a home about the lists of hosts that an account's cloud sessions reach.

Whose: as with Git connections (`cloud_git.py`).

Rows: C3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts.roles import Permission
from bailee.cloud.egress.lists import Entry, Side
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, text
from bailee.operations.cloud_git import account_of

_ACTION: Final = Permission.CLOUD_NETWORK_CHANGE


def _list(node: Node, arguments: Arguments) -> object:
    account = account_of(node, arguments.by, arguments, _ACTION)
    return [entry_view(one) for one in node.network_lists.all(account.account_id)]


def _add(side: Side) -> Callable[[Node, Arguments], object]:
    def add(node: Node, arguments: Arguments) -> object:
        by = arguments.by
        account = account_of(node, by, arguments, _ACTION)
        entry = text(arguments, "entry")
        return entry_view(node.network_lists.add(account.account_id, side, entry, by=by.name))

    return add


def _remove(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    entry = node.network_lists.get(text(arguments, "id"))
    node.registry.authority.require(by, _ACTION, node.accounts.get(entry.account_id))
    return entry_view(node.network_lists.remove(entry.id, by=by.name))


def entry_view(entry: Entry) -> dict[str, object]:
    """An entry as lists show it."""
    return {
        "id": entry.id,
        "account": entry.account_id,
        "verdict": entry.side,
        "entry": entry.entry,
        "created": entry.created_at.isoformat(),
        "created_by": entry.created_by,
    }


CLOUD_NETWORK: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "cloud.network.list": _list,
    "cloud.network.allow": _add("allow"),
    "cloud.network.deny": _add("deny"),
    "cloud.network.remove": _remove,
}
