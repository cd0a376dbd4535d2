"""Which accounts the operator lets send more upstream than conversations.

Rows: G2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts import Account
from bailee.app.arguments import Arguments, require, text
from bailee.app.node import Node
from bailee.errors import InputError


def _list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, "account.list")
    return [account_view(account) for account in node.accounts.all()]


def _allow(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    node.registry.authority.require(by, "account.allow")
    account = _named(node, text(arguments, "account"))
    allowed = arguments.get("unrecorded_routes")
    if not isinstance(allowed, bool):
        raise InputError("what is to be allowed is not said.", hint="name --unrecorded-routes")
    changed = node.accounts.allow_unrecorded_routes(account.account_id, allowed, by=by)
    return account_view(changed)


def _named(node: Node, name: str) -> Account:
    """The account of this id, or the own one of this person, or this organisation's.

    Raises:
        InputError: code `not_found`.
    """
    if name.startswith("acc_"):
        return node.accounts.get(name)
    if name.startswith("org_"):
        return node.accounts.of_organisation(name)
    person = node.registry.people.find(name)
    own = node.accounts.of_person(person.person_id)
    if own is None:
        raise InputError("this person has no account of their own.", code="not_found")
    return own


def account_view(account: Account) -> dict[str, object]:
    """An account as lists show it."""
    return {
        "account": account.account_id,
        "name": account.name,
        "plan": account.plan,
        "person": account.person_id,
        "organisation": account.organisation_id,
        "unrecorded_routes": account.unrecorded_routes,
        "created": account.created_at.isoformat(),
    }


ACCOUNT_ROUTES: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "account.list": _list,
    "account.allow": _allow,
}
