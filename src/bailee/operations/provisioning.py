"""What can be asked of a home about provisioning (SCIM): the tokens of organisations' providers.

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
from bailee.operations.codec import Function, extended
from bailee.operations.operation import operation

if TYPE_CHECKING:
    from bailee.accounts.provisioning_tokens import ProvisioningToken


@dataclass(frozen=True, slots=True)
class ScimToken:
    """A token of an organisation's provider. `used`: when it was used last, to the hour."""

    id: str
    organisation: str
    created: datetime
    used: datetime | None


@dataclass(frozen=True, slots=True)
class MadeScimToken(ScimToken):
    """A token that was just made, with its text, which nobody is shown again. `path`: where the
    service is, at the console's address.
    """

    token: str
    path: str


@operation()
def add(asks: Asks, node: Node, organisation: str) -> MadeScimToken:
    """Make a token by which an organisation's provider makes its people here, and ends them."""
    made, text = node.registry.provisioning_tokens.make(organisation, by=asks.actor)
    return extended(MadeScimToken, _shown(made), token=text, path=PATH)


@operation()
def list_(asks: Asks, node: Node, organisation: str) -> list[ScimToken]:
    """An organisation's tokens, oldest first."""
    asks.require(node, Permission.PROVIDER_CHANGE)
    tokens = node.registry.provisioning_tokens.of_organisation(organisation)
    return [_shown(one) for one in tokens]


@operation()
def remove(asks: Asks, node: Node, id: str) -> ScimToken:
    """End a token, at once. Whom it made stays."""
    return _shown(node.registry.provisioning_tokens.revoke(id, by=asks.actor))


def _shown(one: ProvisioningToken) -> ScimToken:
    return ScimToken(one.token_id, one.organisation_id, one.created_at, one.used_at)


PATH: Final = "/scim/v2"
OPERATIONS: Final[Mapping[str, Function]] = {
    "scim.add": add,
    "scim.list": list_,
    "scim.remove": remove,
}
