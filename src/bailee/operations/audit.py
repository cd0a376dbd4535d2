"""What can be asked of a home about its audit record. It is the operator's to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bailee.accounts.roles import Permission
from bailee.ledger import Leaf
from bailee.node import Node
from bailee.operations import pages
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page
from bailee.operations.operation import operation


@operation()
def list_(
    asks: Asks,
    node: Node,
    *,
    kind: str | None = None,
    subject: str | None = None,
    after: str | None = None,
    limit: Limit = 100,
) -> Page[Leaf]:
    """The entries of the audit record, of one kind or about one subject if asked, newest first."""
    asks.require(node, Permission.AUDIT_READ)
    found = node.ledger.latest(limit + 1, kind=kind, subject=subject, before=pages.number(after))
    return pages.page(found, limit, lambda leaf: leaf, lambda leaf: str(leaf.number))


OPERATIONS: Final[Mapping[str, Function]] = {"audit.list": list_}
