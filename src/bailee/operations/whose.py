"""Whose things are asked for: who names nobody asks for their own, the operator for everybody's."""

from __future__ import annotations

from bailee.accounts import Account
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks


def own_account(asks: Asks, node: Node) -> Account:
    """The account of who asks: their key's, or the person's own.

    Raises:
        InputError: code `authentication`, neither; or this person has no account of their own.
    """
    actor = asks.actor
    if actor.account_id is not None:
        return node.accounts.get(actor.account_id)
    if actor.person_id is None:
        raise InputError(
            "the choice is a person's own: it takes their key, or that they have signed in.",
            code="authentication",
        )
    account = node.accounts.of_person(actor.person_id)
    if account is None:
        raise InputError("you have no account of your own.", code="not_found")
    return account


def asked_for(asks: Asks, node: Node, owner: str | None, permission: Permission) -> str | None:
    """The account that is asked for, if who asks may; None: everybody's, by the operator.

    Raises:
        InputError: `forbidden`, or there is no such account.
    """
    if asks.actor.operator:
        asks.require(node, permission)
        return owner
    account = own_account(asks, node) if owner is None else node.accounts.get(owner)
    asks.require(node, permission, account)
    return account.account_id
