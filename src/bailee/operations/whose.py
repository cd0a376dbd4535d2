"""Which account is meant: of who asks, of a person, or of whoever is named.

Rules kept here:

* Whether there is a person with an email is told to the operator, and to nobody else: anybody who
  has a key could try addresses, one after the other. An id is no guess.
* Who has a part in more than one account says which: nothing is guessed where a company's code and
  a person's own terms could be mistaken for each other.

Rows: T1, T5.
"""

from __future__ import annotations

from bailee.accounts import Account, Person
from bailee.accounts.roles import Permission, may
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


def find_person(asks: Asks, node: Node, named: str) -> Person:
    """A person by id or email; by email, who is not the operator finds themselves alone.

    Raises:
        InputError: code `not_found`.
    """
    by, people = asks.actor, node.registry.people
    if "@" in named and not by.operator:
        own = None if by.person_id is None else people.get(by.person_id)
        if own is None or own.email is None or people.by_email(named) != own:
            raise InputError("there is no person with this email.", code="not_found")
        return own
    return people.find(named)


def persons_own(node: Node, person_id: str) -> Account:
    """A person's own account.

    Raises:
        InputError: code `not_found`, they have none.
    """
    account = node.accounts.of_person(person_id)
    if account is None:
        raise InputError("this person has no account of their own.", code="not_found")
    return account


def account_for(node: Node, person_id: str) -> Account:
    """The account that pays for what a person does: the only one that they have a part in.

    Raises:
        InputError: `not_found`, there is none; or there are several, and nobody said which.
    """
    mine = node.accounts.of_person(person_id)
    places = node.registry.organisations.of_person(person_id)
    if mine is not None and not places:
        return mine
    if mine is None and len(places) == 1:
        return node.accounts.of_organisation(places[0].organisation_id)
    if mine is None and not places:
        raise InputError(
            "this person has no account of their own, and is in no organisation.",
            code="not_found",
            hint="an admin takes them in: bailee organisation member add",
        )
    named = [f"--organisation {place.organisation_id}" for place in places]
    raise InputError(
        "on whose terms? This person has a part in more than one account.",
        hint="say which: " + ", ".join([*named, *(["--own"] if mine is not None else [])]),
    )


def named(asks: Asks, node: Node, name: str) -> Account:
    """The account of this id, or the own one of this person, or this organisation's.

    Raises:
        InputError: code `not_found`.
    """
    if name.startswith("acc_"):
        return node.accounts.get(name)
    if name.startswith("org_"):
        return node.accounts.of_organisation(name)
    return persons_own(node, find_person(asks, node, name).person_id)


def asked_for(asks: Asks, node: Node, owner: str | None, permission: Permission) -> str | None:
    """The account that is asked for, if who asks may: who names none asks for their own; None:
    everybody's, by the operator; of evidence, by an auditor.

    Raises:
        InputError: `forbidden`, or there is no such account.
    """
    evidence = may(permission, ("auditor",)) and node.registry.authority.is_auditor(asks.actor)
    if asks.actor.operator or evidence:
        asks.require(node, permission)
        return owner
    account = own_account(asks, node) if owner is None else node.accounts.get(owner)
    asks.require(node, permission, account)
    return account.account_id
