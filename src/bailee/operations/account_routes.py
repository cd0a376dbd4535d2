"""Which accounts the operator lets send more upstream than conversations, and how much of each may
be kept on disk.

Rows: G1, G2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts import Account
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, require, text

_MOST_MB: Final = 1 << 40


def _list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.ACCOUNT_LIST)
    return [account_view(node, account) for account in node.accounts.all()]


def _allow(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    require(node, arguments, Permission.ACCOUNT_ALLOW)
    account = _named(node, text(arguments, "account"))
    allowed = arguments.get("unrecorded_routes")
    if not isinstance(allowed, bool):
        raise InputError("what is to be allowed is not said.", hint="name --unrecorded-routes")
    changed = node.accounts.allow_unrecorded_routes(account.account_id, allowed, by=by)
    return account_view(node, changed)


def _limit(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    require(node, arguments, Permission.ACCOUNT_ALLOW)
    account = _named(node, text(arguments, "account"))
    mb = arguments.get("stored_mb")
    if mb is not None and not (type(mb) is int and 0 <= mb <= _MOST_MB):
        raise InputError(
            f"a limit is a whole number of MiB, at most {_MOST_MB}.", hint="0 is no limit"
        )
    return account_view(node, node.accounts.limit_stored(account.account_id, mb, by=by))


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


def account_view(node: Node, account: Account) -> dict[str, object]:
    """An account as lists show it. `stored_bytes`: of it on disk, what is kept; `deleted_bytes`:
    what was deleted and lies beside others' still; `stored_mb`: its limit, 0: none.
    """
    stored = node.vault.stored.of(account.account_id)
    own = account.stored_mb
    return {
        "account": account.account_id,
        "name": account.name,
        "plan": account.plan,
        "person": account.person_id,
        "organisation": account.organisation_id,
        "unrecorded_routes": account.unrecorded_routes,
        "stored_bytes": stored.living,
        "deleted_bytes": stored.gone,
        "stored_mb": node.settings.number("gateway.stored_per_account_mb") if own is None else own,
        "created": account.created_at.isoformat(),
    }


ACCOUNT_ROUTES: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "account.list": _list,
    "account.allow": _allow,
    "account.limit": _limit,
}
