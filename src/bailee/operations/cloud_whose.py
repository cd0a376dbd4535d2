"""Whose a cloud session, a Git connection or a list of hosts is, and who may see to it.

Rules kept here:

* A session is its account's, and who started one in an organisation may see to it too.
* What the operator reads of another's is on record before it is read.
* Of what is not theirs, whoever asks is told that it is not there.

Rows: C2, C3, C5.
"""

from __future__ import annotations

from typing import Final

from bailee.accounts import Account, Actor
from bailee.accounts.roles import Permission
from bailee.cloud.sessions.records import SessionRecord, Visible
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.whose import account_for, own_account

_ALL_OF_IT: Final = frozenset({"self", "holder", "owner", "admin", "service"})
"""Who so stands to an account sees all its sessions; a member those that they started."""


def account_for_new(node: Node, by: Actor, named: str | None) -> Account:
    """Whose a new session is to be: the named account's, the key's, the only one that the person
    has a part in; for the operator the first that is nobody's: people's own are not theirs to use.
    """
    accounts = node.accounts
    if named is not None:
        account = accounts.get(named)
    elif by.account_id is not None:
        account = accounts.get(by.account_id)
    elif by.person_id is not None:
        account = account_for(node, by.person_id)
    else:
        first = accounts.first()
        if first is None:
            raise InputError("there is no account yet.", code="not_found")
        account = first
    unowned = account.person_id is None and account.organisation_id is None
    if not (by.operator and unowned):
        node.registry.authority.require(by, Permission.CLOUD_START, account)
    return account


def account_named(asks: Asks, node: Node, named: str | None, permission: Permission) -> Account:
    """Whose connections or lists are meant: the named account's, else those of the key or cookie;
    for the operator those of the first account, if that is nobody's. Who asks may do this there.

    Raises:
        InputError: it is nobody's, or `forbidden`.
    """
    by = asks.actor
    if named is not None:
        account = node.accounts.get(named)
    elif by.operator and by.person_id is None:
        first = node.accounts.first()
        if first is None or first.person_id is not None or first.organisation_id is not None:
            raise InputError(
                "no account was named.",
                hint="name it with --account; `bailee key list` shows them",
            )
        account = first
    else:
        account = own_account(asks, node)
    asks.require(node, permission, account)
    return account


def mine(asks: Asks, node: Node, id: str, permission: Permission) -> SessionRecord:
    """The session, if who asks may do this with it. The operator looks at another's only on record
    (`on_record`), ends it, and asks nothing of its agent.

    Raises:
        InputError: `not_found`, or `forbidden`.
    """
    record, by = node.cloud.records.get(id), asks.actor
    if by.operator and (
        permission is not Permission.CLOUD_START or not is_staff(asks, node, record)
    ):
        return record
    account = node.accounts.get(record.owner)
    if not node.registry.authority.standings(by, account):
        raise InputError("there is no such cloud session.", code="not_found")
    if by.name != record.by:
        asks.require(node, permission, account)
    return record


def on_record(asks: Asks, node: Node, id: str) -> SessionRecord:
    """The session, to read its content. That the operator reads another's is on record first.

    Raises:
        InputError: `not_found`, or `forbidden`.
    """
    record = mine(asks, node, id, Permission.CLOUD_READ)
    if is_staff(asks, node, record):
        node.registry.staff.read(asks.actor, record.id, asks.why(node), whose=record.owner)
    return record


def visible(node: Node, by: Actor) -> Visible | None:
    """Which sessions somebody sees; None: all, as the operator does."""
    if by.operator:
        return None
    accounts = [] if by.account_id is None else [node.accounts.get(by.account_id)]
    if by.person_id is not None:
        own = node.accounts.of_person(by.person_id)
        accounts += [] if own is None else [own]
        accounts += [
            node.accounts.of_organisation(one.organisation_id)
            for one in node.registry.organisations.of_person(by.person_id)
        ]
    standings = {one.account_id: node.registry.authority.standings(by, one) for one in accounts}
    return Visible(
        frozenset(name for name, found in standings.items() if found & _ALL_OF_IT),
        frozenset(name for name, found in standings.items() if found),
        by.name,
    )


def is_staff(asks: Asks, node: Node, record: SessionRecord) -> bool:
    """Whether the operator looks at what is not the operator's own."""
    by = asks.actor
    if not by.operator or by.name == record.by:
        return False
    account = node.accounts.get(record.owner)
    return not node.registry.authority.standings(by, account) & _ALL_OF_IT
