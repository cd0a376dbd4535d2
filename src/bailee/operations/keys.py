"""What can be asked of a home about keys: making one on stated terms, listing them, revoking one.

Rules kept here:

* A key is of an account that was named, or of the only one that whoever it is for has a part in
  (`whose`).
* What is made says on whose terms it is (`key_terms`), and shows the key this once.

Rows: T1, T5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bailee.accounts import Scope
from bailee.accounts.key_days import MOST_DAYS
from bailee.accounts.roles import Permission, may
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.key_terms import KeySummary, KeyTerms, MadeKey, key_of, terms_of
from bailee.operations.operation import operation
from bailee.operations.whose import account_for, find_person, persons_own

_WHOSE: Final = "name it: --account, --person or --organisation"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a key can be made, and on whose terms it would be. `place`: an organisation's id, or
    `own`.
    """

    place: str
    terms: KeyTerms


@operation()
def create(
    asks: Asks,
    node: Node,
    name: str,
    *,
    plan: str | None = None,
    person: str | None = None,
    organisation: str | None = None,
    account: str | None = None,
    own: bool = False,
    shared: bool = False,
    ingest: bool = False,
    operator: bool = False,
    zero_retention: bool = False,
    days: int | None = None,
) -> MadeKey:
    """Make a key of a person or an organisation if one is named, else of a new account. `own`: of
    the person's own account, though they are in an organisation. `shared`: it speaks for the
    organisation alone. `ingest`: for sending metrics, errors and feedback alone.
    `operator`: it speaks for the operator to this API, and for a person who is one. `days`: for how
    many it is good; else until it is revoked.
    """
    by, accounts = asks.actor, node.accounts
    whose = find_person(asks, node, person).person_id if person else None
    if operator and (ingest or shared or zero_retention):
        raise InputError("a key that speaks for the operator can do nothing else.")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InputError(f"a key is good for 1 to {MOST_DAYS} days.")
    expires_at = None if days is None else asks.at + timedelta(days=days)
    scope: Scope = "operator" if operator else "ingest" if ingest else "full"
    if organisation:
        paying = node.registry.organisations.account(organisation)
    elif whose is None and account:
        paying = accounts.get(account)
    elif whose is None and (by.person_id is None or plan is not None):
        asks.require(node, Permission.ORGANISATION_CREATE)
        if scope != "full":
            raise InputError("such a key needs an existing account.", hint=_WHOSE)
        if plan is None:
            raise InputError("the argument 'plan' is missing.")
        paying, key, secret = accounts.create(
            plan=plan, name=name, zero_retention=zero_retention, by=by, expires_at=expires_at
        )
        return extended(MadeKey, key_of(node.policy_of(paying), key, paying), key=secret)
    elif whose is None and by.account_id is not None:
        paying = accounts.get(by.account_id)  # with a key one stays where it is of
    else:
        holder = whose or by.person_id
        assert holder is not None
        paying = persons_own(node, holder) if own else account_for(node, holder)
    key, secret = node.registry.people.create_key(
        paying,
        name,
        by=by,
        zero_retention=zero_retention,
        person_id=whose,
        shared=shared,
        scope=scope,
        expires_at=expires_at,
    )
    return extended(MadeKey, key_of(node.policy_of(paying), key, paying), key=secret)


@operation()
def places(asks: Asks, node: Node) -> list[KeyPlace]:
    """Where you may make a key for yourself, and on whose terms it would be there: your
    organisations' accounts first, then your own.
    """
    by = asks.actor
    if by.person_id is None:
        return []
    found = [
        (one.organisation_id, node.accounts.of_organisation(one.organisation_id))
        for one in node.registry.organisations.of_person(by.person_id)
    ]
    own = node.accounts.of_person(by.person_id)
    return [
        KeyPlace(place, terms_of(node.policy_of(account), account))
        for place, account in [*found, *([("own", own)] if own is not None else [])]
        if may(Permission.KEY_CREATE_OWN, node.registry.authority.standings(by, account))
    ]


@operation()
def show(asks: Asks, node: Node) -> KeySummary:
    """The key that you ask with: on whose terms it is."""
    if asks.actor.key_id is None:
        raise InputError("there is no API key.", code="authentication")
    key = node.accounts.api_key(asks.actor.key_id)
    account = node.accounts.get(key.account_id)
    return key_of(node.policy_of(account), key, account)


@operation()
def list_(asks: Asks, node: Node, after: str | None = None, limit: Limit = 100) -> Page[KeySummary]:
    """Every key, oldest first, without its secret."""
    asks.require(node, Permission.PERSON_CREATE)
    found, following = node.accounts.keys_page(after, limit)
    return Page(
        [key_of(node.policy_of(account), key, account) for key, account in found], following
    )


@operation()
def revoke(asks: Asks, node: Node, key_id: str) -> KeySummary:
    """Revoke a key, at once and for good."""
    key = node.registry.people.revoke_key(key_id, by=asks.actor)
    account = node.accounts.get(key.account_id)
    return key_of(node.policy_of(account), key, account)


OPERATIONS: Final[Mapping[str, Function]] = {
    "key.create": create,
    "key.show": show,
    "key.places": places,
    "key.list": list_,
    "key.revoke": revoke,
}
