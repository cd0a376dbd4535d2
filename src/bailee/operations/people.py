"""What can be asked of a home about people, organisations, keys and choices.

What whoever asks may do is for `bailee.accounts` to say, which every operation here goes through.

Rows: T2, T3, T6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bailee.accounts import (
    Account,
    Membership,
    Organisation,
    Person,
    Provider,
    WebSession,
)
from bailee.accounts.roles import Permission, may
from bailee.errors import InputError
from bailee.node.node import Node
from bailee.operations.arguments import Arguments, require, text
from bailee.operations.key_terms import key_view


def own_account(node: Node, arguments: Arguments) -> Account:
    """The account of who asks: their key's, or the person's own.

    Raises:
        InputError: code `authentication`, neither; or this person has no account of their own.
    """
    actor = arguments.by
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


# Persons


def _person_create(node: Node, arguments: Arguments) -> object:
    """A person with a key: of an account of their own, or with `organisation` of the organisation
    that they are taken into, and then without an own account.
    """
    by = arguments.by
    registry, place = node.registry, arguments.get("organisation") or None
    if place is not None and arguments.get("plan") is not None:
        raise InputError(
            "a person is made with an account of their own, or in an organisation.",
            hint="give the plan of their own account, or the organisation",
        )
    paying = None if place is None else registry.organisations.account(place)
    person, own = registry.people.create(
        text(arguments, "email"),
        plan=text(arguments, "plan") if place is None else None,
        by=by,
        operator=arguments.get("operator") is True,
    )
    if place is not None:
        registry.organisations.add(place, person.person_id, "member", by=by)
    account = own or paying
    assert account is not None
    key, secret = registry.people.create_key(
        account,
        arguments.get("name") or "first key",
        by=by,
        person_id=person.person_id,
    )
    return {"key": secret, **key_view(node.policy, key, account), "person": person.person_id}


def _person_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.PERSON_CREATE)
    return [person_view(node, person) for person in node.registry.people.all()]


def _person_show(node: Node, arguments: Arguments) -> object:
    person = node.registry.people.find(text(arguments, "id"))
    by = arguments.by
    node.registry.authority.require_for_person(by, Permission.PERSON_READ, person.person_id)
    account = node.accounts.of_person(person.person_id)
    return person_view(node, person) | {
        "training": None if account is None else training_view(node, account),
        "keys": [
            key_view(node.policy, key, of)
            for key, of in node.accounts.api_keys()
            if person.person_id in (key.person_id, of.person_id)
        ],
        "web_sessions": [
            web_session_view(session)
            for session in node.registry.web_sessions.of_person(person.person_id)
        ],
        "consent": [
            record.as_object()
            for record in (
                node.accounts.consent_records(account.account_id) if account is not None else ()
            )
        ],
    }


def _person_password(node: Node, arguments: Arguments) -> object:
    """Set one's own password; the first one without an old one."""
    by = arguments.by
    if by.person_id is None:
        raise InputError("a password is a person's own: it takes their key.", code="authentication")
    node.registry.passwords.set_password(
        by.person_id,
        text(arguments, "new"),
        old=arguments.get("old"),
        by=by,
        address="terminal",
    )
    return {"person": by.person_id}


def person_view(node: Node, person: Person) -> dict[str, object]:
    """A person as lists show them."""
    account = node.accounts.of_person(person.person_id)
    return {
        "person": person.person_id,
        "email": person.email,
        "account": account and account.account_id,
        "plan": account and account.plan,
        "operator": person.operator,
        "created": person.created_at.isoformat(),
        "erased": person.erased_at and person.erased_at.isoformat(),
        "organisations": [
            membership_view(one) for one in node.registry.organisations.of_person(person.person_id)
        ],
    }


def web_session_view(session: WebSession) -> dict[str, object]:
    """A console session as its person sees it."""
    return {
        "session": session.session_id,
        "client": session.client,
        "created": session.created_at.isoformat(),
        "last_used": session.last_used_at.isoformat(),
        "ends": session.ends_at.isoformat(),
    }


# Organisations


def _organisation_create(node: Node, arguments: Arguments) -> object:
    by = arguments.by
    owner = arguments.get("owner")
    first = None if owner is None else node.registry.people.find(owner)
    organisations = node.registry.organisations
    organisation, account = organisations.create(
        text(arguments, "name"), plan=text(arguments, "plan"), by=by
    )
    if first is not None:
        organisations.add(organisation.organisation_id, first.person_id, "owner", by=by)
    return organisation_view(organisation, account)


def _organisation_list(node: Node, arguments: Arguments) -> object:
    require(node, arguments, Permission.ORGANISATION_CREATE)
    organisations = node.registry.organisations
    return [
        organisation_view(one, organisations.account(one.organisation_id))
        for one in organisations.all()
    ]


def _organisation_show(node: Node, arguments: Arguments) -> object:
    """Its members, consent records and keys: all of them for who may revoke them, else one's own.
    Each key with the email of who made it and for whom, while they are in the organisation.
    """
    organisations = node.registry.organisations
    organisation = organisations.get(text(arguments, "organisation"))
    account = organisations.account(organisation.organisation_id)
    by = arguments.by
    authority = node.registry.authority
    authority.require(by, Permission.MEMBERS_READ, account)
    everyones = may(Permission.KEY_REVOKE, authority.standings(by, account))
    members = [
        membership_view(one) | {"email": node.registry.people.get(one.person_id).email}
        for one in organisations.members(organisation.organisation_id)
    ]
    emails = {one["person"]: one["email"] for one in members}
    return organisation_view(organisation, account) | {
        "members": members,
        "keys": [
            key_view(node.policy, key, of)
            | {"person_email": emails.get(key.person_id), "maker": emails.get(key.created_by)}
            for key, of in node.accounts.api_keys()
            if of.account_id == account.account_id
            and key.scope != "cloud"
            and (everyones or key.person_id == by.person_id)
        ],
        "consent": [
            record.as_object()
            for record in node.registry.choices.history(account.account_id, by=by)
        ],
    }


def _organisation_member(node: Node, arguments: Arguments) -> object:
    person = node.registry.people.find(text(arguments, "person"))
    member = node.registry.organisations.add(
        text(arguments, "organisation"),
        person.person_id,
        text(arguments, "role"),
        by=arguments.by,
    )
    return membership_view(member)


def _organisation_remove_member(node: Node, arguments: Arguments) -> object:
    person = node.registry.people.find(text(arguments, "person"))
    organisation = text(arguments, "organisation")
    by = arguments.by
    ended = node.registry.organisations.remove(organisation, person.person_id, by=by)
    if not node.registry.authority.has_place(person.person_id):
        node.registry.web_sessions.end_all(person.person_id)
    account = node.registry.organisations.account(organisation)
    return {
        "organisation": organisation,
        "person": person.person_id,
        "role": None,
        "keys_revoked": ended,
        # They know these too, and work that is not theirs hangs on them: an admin decides.
        "keys_left": [
            key.key_id
            for key, of in node.accounts.api_keys()
            if of.account_id == account.account_id
            and key.created_by == person.person_id
            and key.revoked_at is None
        ],
    }


def _organisation_provider(node: Node, arguments: Arguments) -> object:
    provider = node.registry.providers.bind(
        text(arguments, "organisation"),
        domain=text(arguments, "domain"),
        issuer=text(arguments, "issuer"),
        client_id=text(arguments, "client_id"),
        secret_env=arguments.get("secret_env"),
        by=arguments.by,
    )
    return provider_view(provider)


def provider_view(provider: Provider) -> dict[str, object]:
    """An organisation's OpenID provider; where its secret is, never the secret."""
    return {
        "organisation": provider.organisation_id,
        "domain": provider.domain,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "secret_env": provider.secret_env,
    }


def _partner_join(node: Node, arguments: Arguments) -> object:
    organisation = node.registry.organisations.get(text(arguments, "organisation"))
    account = node.registry.choices.join_partner_programme(
        organisation.organisation_id,
        confirmation=text(arguments, "confirmation"),
        language=arguments.get("language") or "en",
        source=arguments.get("source") or "terminal",
        by=arguments.by,
    )
    return organisation_view(organisation, account)


def _partner_leave(node: Node, arguments: Arguments) -> object:
    organisation = node.registry.organisations.get(text(arguments, "organisation"))
    account = node.registry.choices.leave_partner_programme(
        organisation.organisation_id,
        language=arguments.get("language") or "en",
        source=arguments.get("source") or "terminal",
        by=arguments.by,
    )
    return organisation_view(organisation, account)


def organisation_view(organisation: Organisation, account: Account) -> dict[str, object]:
    """An organisation as lists show it."""
    return {
        "organisation": organisation.organisation_id,
        "name": organisation.name,
        "account": account.account_id,
        "plan": account.plan,
        "partner_programme": account.partner_programme,
        "partner_since": account.partner_since and account.partner_since.isoformat(),
        "created": organisation.created_at.isoformat(),
    }


def membership_view(membership: Membership) -> dict[str, object]:
    """A person's place in an organisation."""
    return {
        "organisation": membership.organisation_id,
        "person": membership.person_id,
        "role": membership.role,
        "joined": membership.joined_at.isoformat(),
    }


# A person's own choice


def _privacy_show(node: Node, arguments: Arguments) -> object:
    return training_view(node, own_account(node, arguments))


def _privacy_choose(node: Node, arguments: Arguments) -> object:
    account = own_account(node, arguments)
    changed = node.registry.choices.choose_training(
        account.account_id,
        text(arguments, "choice"),
        language=arguments.get("language") or "en",
        source=arguments.get("source") or "terminal",
        by=arguments.by,
    )
    return training_view(node, changed)


def _privacy_history(node: Node, arguments: Arguments) -> object:
    account = own_account(node, arguments)
    by = arguments.by
    return [r.as_object() for r in node.registry.choices.history(account.account_id, by=by)]


def training_view(node: Node, account: Account) -> dict[str, object]:
    """What an account chose, what follows for what it does now, and whether to ask its person."""
    decision = node.training_now(account)
    asked = node.registry.choices.asked(account)
    return {
        "account": account.account_id,
        "plan": account.plan,
        "choice": account.training_choice,
        "chosen_at": account.chosen_at and account.chosen_at.isoformat(),
        "effect": decision.effect,
        "clause": decision.clause,
        "ask": {"effect": asked.effect, "clause": asked.clause},
    }


PEOPLE: Final[Mapping[str, Callable[[Node, Arguments], Iterator[object] | object]]] = {
    "person.create": _person_create,
    "person.list": _person_list,
    "person.show": _person_show,
    "person.password": _person_password,
    "organisation.create": _organisation_create,
    "organisation.list": _organisation_list,
    "organisation.show": _organisation_show,
    "organisation.member": _organisation_member,
    "organisation.remove_member": _organisation_remove_member,
    "organisation.provider": _organisation_provider,
    "partner.join": _partner_join,
    "partner.leave": _partner_leave,
    "privacy.show": _privacy_show,
    "privacy.choose": _privacy_choose,
    "privacy.history": _privacy_history,
}
