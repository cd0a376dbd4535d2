"""What can be asked of a home about keys: making one on stated terms, listing them, revoking one.

Rules kept here:

* A key is of an account that was named, or of the only one that whoever it is for has a part in.
  Who has a part in more than one says which: nothing is guessed where a company's code and a
  person's own terms could be mistaken for each other.
* What is made says on whose terms it is (`key_terms`), and shows the key this once.

Rows: T1, T5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bailee.accounts import Account, Actor, Person, Scope
from bailee.accounts.roles import Permission, may
from bailee.errors import InputError
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, text
from bailee.operations.key_terms import key_view, terms_of

_WHOSE: Final = "name it: --account, --person or --organisation"


def account_for(node: Node, person_id: str, *, own: bool = False) -> Account:
    """The account that pays for what a person does: the only one that they have a part in, or with
    `own` their own.

    Raises:
        InputError: `not_found`, there is none; or there are several, and nobody said which.
    """
    mine = node.accounts.of_person(person_id)
    places = node.registry.organisations.of_person(person_id)
    if own:
        if mine is None:
            raise InputError("this person has no account of their own.", code="not_found")
        return mine
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


def _key_create(node: Node, arguments: Arguments) -> object:
    """A key of a person or an organisation if one is named, else of a new account."""
    by = arguments.by
    name = text(arguments, "name")
    zero_retention = arguments.get("zero_retention") is True
    scope: Scope = "ingest" if arguments.get("ingest") is True else "full"
    named = arguments.get("person")
    person = node.registry.people.find(text(arguments, "person")) if named else None
    account = _account(node, by, person, arguments)
    if account is None:
        node.registry.authority.require(by, Permission.ORGANISATION_CREATE)
        if scope == "ingest":
            raise InputError("an ingest key is of an account that is there.", hint=_WHOSE)
        account, key, secret = node.accounts.create(
            plan=text(arguments, "plan"), name=name, zero_retention=zero_retention, by=by
        )
    else:
        key, secret = node.registry.people.create_key(
            account,
            name,
            by=by,
            zero_retention=zero_retention,
            person_id=None if person is None else person.person_id,
            shared=arguments.get("shared") is True,
            scope=scope,
        )
    return {"key": secret, **key_view(node.policy, key, account)}


def _account(node: Node, by: Actor, person: Person | None, arguments: Arguments) -> Account | None:
    """The account that is to pay; None: a new one, of whoever holds its key."""
    if arguments.get("organisation"):
        return node.registry.organisations.account(text(arguments, "organisation"))
    if person is not None:
        return account_for(node, person.person_id, own=arguments.get("own") is True)
    if arguments.get("account"):
        return node.accounts.get(text(arguments, "account"))
    if by.person_id is not None and arguments.get("plan") is None:
        if by.account_id is not None:
            return node.accounts.get(by.account_id)  # with a key one stays where it is of
        return account_for(node, by.person_id, own=arguments.get("own") is True)
    return None


def _key_places(node: Node, arguments: Arguments) -> object:
    """Where whoever asks may make a key for themselves, and on whose terms it would be there: their
    organisations' accounts first, then their own. `place` is an organisation's id, or `own`.
    """
    by = arguments.by
    if by.person_id is None:
        return []
    places = [
        (one.organisation_id, node.accounts.of_organisation(one.organisation_id))
        for one in node.registry.organisations.of_person(by.person_id)
    ]
    own = node.accounts.of_person(by.person_id)
    return [
        {"place": place, "terms": terms_of(node.policy, account).as_object()}
        for place, account in [*places, *([("own", own)] if own is not None else [])]
        if may(Permission.KEY_CREATE_OWN, node.registry.authority.standings(by, account))
    ]


def _key_show(node: Node, arguments: Arguments) -> object:
    """The key that is presented: on whose terms it is."""
    by = arguments.by
    if by.key_id is None:
        raise InputError("there is no API key.", code="authentication")
    key = node.accounts.api_key(by.key_id)
    return key_view(node.policy, key, node.accounts.get(key.account_id))


def _key_list(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    node.registry.authority.require(by, Permission.PERSON_CREATE)
    return [key_view(node.policy, key, account) for key, account in node.accounts.api_keys()]


def _key_revoke(node: Node, arguments: Arguments) -> object:
    key = node.registry.people.revoke_key(text(arguments, "key_id"), by=arguments.by)
    return key_view(node.policy, key, node.accounts.get(key.account_id))


KEYS: Final[Mapping[str, Callable[[Node, Arguments], object]]] = {
    "key.create": _key_create,
    "key.show": _key_show,
    "key.places": _key_places,
    "key.list": _key_list,
    "key.revoke": _key_revoke,
}
