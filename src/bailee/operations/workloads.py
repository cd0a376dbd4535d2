"""What can be asked of a home about service accounts: which machines get tokens, by whose word.

Rows: O1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from bailee.accounts.roles import Permission
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.operation import operation

if TYPE_CHECKING:
    from bailee.accounts.workload_identity import ServiceAccount


@dataclass(frozen=True, slots=True)
class ServiceAccountSummary:
    """A service account: the name of its key, and whose tokens count for it."""

    id: str
    name: str
    organisation: str
    key_id: str
    issuer: str
    audience: str
    claims: Mapping[str, str]
    created: datetime


@operation()
def add(
    asks: Asks,
    node: Node,
    organisation: str,
    name: str,
    *,
    issuer: str,
    audience: str,
    claims: dict[str, str],
) -> ServiceAccountSummary:
    """Make a service account of an organisation, for machines whose CI provider says this of them.
    `claims`: a pattern for each claim; `*` reaches over no `/` and no `:`.
    """
    asks.require(node, Permission.PROVIDER_CHANGE)
    made = node.registry.workloads.add(
        organisation, name, issuer=issuer, audience=audience, claims=claims, by=asks.actor
    )
    return _shown(node, made)


@operation()
def list_(asks: Asks, node: Node, organisation: str) -> list[ServiceAccountSummary]:
    """An organisation's service accounts, oldest first."""
    asks.require(node, Permission.PROVIDER_CHANGE)
    return [_shown(node, one) for one in node.registry.workloads.of_organisation(organisation)]


@operation()
def remove(asks: Asks, node: Node, id: str) -> ServiceAccountSummary:
    """Remove a service account; its tokens are good no more, at once."""
    asks.require(node, Permission.PROVIDER_CHANGE)
    return _shown(node, node.registry.workloads.remove(id, by=asks.actor))


def _shown(node: Node, one: ServiceAccount) -> ServiceAccountSummary:
    return ServiceAccountSummary(
        one.account_id,
        node.accounts.api_key(one.key_id).name,
        one.organisation_id,
        one.key_id,
        one.issuer,
        one.audience,
        one.claims,
        one.created_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "workload.add": add,
    "workload.list": list_,
    "workload.remove": remove,
}
