"""What can be asked of a home about organisations: making one, who is in it, the partner programme.

Rows: T5, T6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee import accounts
from bailee.accounts import Role
from bailee.accounts.roles import Permission, may
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.choices import SOURCES, ConsentEntry, consent_of
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.key_terms import KeySummary, key_of
from bailee.operations.operation import operation
from bailee.operations.whose import find_person
from bailee.policy.document import Language


@dataclass(frozen=True, slots=True)
class OrganisationSummary:
    """An organisation as lists show it."""

    organisation: str
    name: str
    account: str
    plan: str
    partner_programme: bool
    partner_since: datetime | None
    created: datetime


@dataclass(frozen=True, slots=True)
class MembershipSummary:
    """A person's place in an organisation."""

    organisation: str
    person: str
    role: Role
    joined: datetime


@dataclass(frozen=True, slots=True)
class Member(MembershipSummary):
    """A membership with its person's email; None: they were erased."""

    email: str | None


@dataclass(frozen=True, slots=True)
class OrganisationKey(KeySummary):
    """A key with the emails of whom it speaks for and of who made it, while they are members."""

    person_email: str | None
    maker: str | None


@dataclass(frozen=True, slots=True)
class OrganisationDetails(OrganisationSummary):
    """An organisation with its members, and with the keys that who asks may know of."""

    key_days: int | None
    members: list[Member]
    keys: list[OrganisationKey]
    consent: list[ConsentEntry]


@dataclass(frozen=True, slots=True)
class Removed:
    """Who was let go: the keys that ended with it, and those that they made and know, which speak
    for the organisation and are left to an admin's decision.
    """

    organisation: str
    person: str
    role: None
    keys_revoked: list[str]
    keys_left: list[str]


@dataclass(frozen=True, slots=True)
class ProviderSummary:
    """An organisation's OpenID provider; where its secret is, never the secret."""

    organisation: str
    domain: str
    issuer: str
    client_id: str
    secret_env: str | None


@dataclass(frozen=True, slots=True)
class ProviderOnly:
    """Whether an organisation's people sign in through its provider alone, and how many that
    concerns now.
    """

    organisation: str
    only: bool
    people: int


@dataclass(frozen=True, slots=True)
class KeyDaysDemand:
    """For how many days an organisation's keys are good at the most; None: until they are revoked.
    `keys_shortened`: those that end earlier by it.
    """

    organisation: str
    days: int | None
    keys_shortened: list[str]


@operation()
def create(
    asks: Asks, node: Node, name: str, plan: str, owner: str | None = None
) -> OrganisationSummary:
    """Make an organisation with its account. `owner`: its first, by id or email."""
    asks.require(node, Permission.ORGANISATION_CREATE)
    first = None if owner is None else find_person(asks, node, owner)
    organisations = node.registry.organisations
    made, account = organisations.create(name, plan=plan, by=asks.actor)
    if first is not None:
        organisations.add(made.organisation_id, first.person_id, "owner", by=asks.actor)
    return _shown(made, account)


@operation()
def list_(
    asks: Asks, node: Node, after: str | None = None, limit: Limit = 100
) -> Page[OrganisationSummary]:
    """Every organisation, oldest first."""
    asks.require(node, Permission.ORGANISATION_CREATE)
    organisations = node.registry.organisations
    found, following = organisations.page(after, limit)
    return Page(
        [_shown(one, organisations.account(one.organisation_id)) for one in found], following
    )


@operation()
def show(asks: Asks, node: Node, organisation: str) -> OrganisationDetails:
    """One organisation: members, consent records, and keys: all of them for who may revoke them,
    else one's own. A member whose row or particulars are damaged is left out, and noted.
    """
    organisations, authority, by = node.registry.organisations, node.registry.authority, asks.actor
    found = organisations.get(organisation)
    account = organisations.account(organisation)
    asks.require(node, Permission.MEMBERS_READ, account)
    everyones = may(Permission.KEY_REVOKE, authority.standings(by, account))
    people = node.registry.people
    members: list[Member] = list(
        node.damages.each(
            organisations.members(organisation),
            lambda one: extended(Member, membership_of(one), email=people.get(one.person_id).email),
            lambda one: f"person {one.person_id}",
        )
    )
    emails = {one.person: one.email for one in members}
    return extended(
        OrganisationDetails,
        _shown(found, account),
        key_days=node.registry.key_days.most(organisation),
        members=members,
        keys=[
            extended(
                OrganisationKey,
                key_of(node.policy_of(of), key, of),
                person_email=emails.get(key.person_id or ""),
                maker=emails.get(key.created_by),
            )
            for key, of in node.accounts.api_keys()
            if of.account_id == account.account_id
            and key.scope != "cloud"
            and (everyones or key.person_id == by.person_id)
        ],
        consent=[
            consent_of(record)
            for record in node.registry.choices.history(account.account_id, by=by)
        ],
    )


@operation()
def member(asks: Asks, node: Node, organisation: str, person: str, role: Role) -> MembershipSummary:
    """Take a person in, or give a member another role."""
    account = node.registry.organisations.account(organisation)
    asks.require(node, Permission.MEMBERS_CHANGE, account)  # before an email is looked for
    found = node.registry.people.find(person)
    made = node.registry.organisations.add(organisation, found.person_id, role, by=asks.actor)
    return membership_of(made)


@operation()
def remove_member(asks: Asks, node: Node, organisation: str, person: str) -> Removed:
    """Let a person go; their keys there are revoked."""
    registry = node.registry
    account = registry.organisations.account(organisation)
    if may(Permission.MEMBERS_CHANGE, registry.authority.standings(asks.actor, account)):
        gone = registry.people.find(person).person_id
    else:
        gone = find_person(asks, node, person).person_id  # who leaves names themselves
    ended = registry.organisations.remove(organisation, gone, by=asks.actor)
    if not registry.authority.has_place(gone):
        registry.web_sessions.end_all(gone)
    left = [
        key.key_id
        for key, of in node.accounts.api_keys()
        if of.account_id == account.account_id and key.created_by == gone and key.revoked_at is None
    ]
    return Removed(organisation, gone, None, ended, left)


@operation()
def provider(
    asks: Asks,
    node: Node,
    organisation: str,
    *,
    domain: str,
    issuer: str,
    client_id: str,
    secret_env: str | None = None,
) -> ProviderSummary:
    """Let the people of a domain sign in through their organisation's OpenID provider."""
    bound = node.registry.providers.bind(
        organisation,
        domain=domain,
        issuer=issuer,
        client_id=client_id,
        secret_env=secret_env,
        by=asks.actor,
    )
    return ProviderSummary(
        bound.organisation_id, bound.domain, bound.issuer, bound.client_id, bound.secret_env
    )


@operation()
def provider_only(asks: Asks, node: Node, organisation: str, only: bool) -> ProviderOnly:
    """Say whether an organisation's people sign in through its provider and in no other way. Then
    the passwords, passkeys and console sessions that they have end.
    """
    organisations = node.registry.organisations
    ended = organisations.set_provider_only(organisation, only, by=asks.actor)
    return ProviderOnly(organisation, only, ended)


@operation()
def key_days(asks: Asks, node: Node, organisation: str, days: int | None = None) -> KeyDaysDemand:
    """Have an organisation's keys end so many days after they are made, at the most, those that are
    there so many days from now; 0: it has none. Without `days` they are good until they are
    revoked.
    """
    shorter = node.registry.key_days.demand(organisation, days, by=asks.actor)
    return KeyDaysDemand(organisation, days, [key.key_id for key in shorter])


@operation()
def join_partners(
    asks: Asks, node: Node, organisation: str, confirmation: str, language: Language = "en"
) -> OrganisationSummary:
    """Offer an organisation's sessions on the first-party API for training. `confirmation`: its
    name, typed out.
    """
    found = node.registry.organisations.get(organisation)
    account = node.registry.choices.join_partner_programme(
        organisation,
        confirmation=confirmation,
        language=language,
        source=SOURCES[asks.via],
        by=asks.actor,
    )
    return _shown(found, account)


@operation()
def leave_partners(
    asks: Asks, node: Node, organisation: str, language: Language = "en"
) -> OrganisationSummary:
    """Take that back, from now on."""
    found = node.registry.organisations.get(organisation)
    account = node.registry.choices.leave_partner_programme(
        organisation, language=language, source=SOURCES[asks.via], by=asks.actor
    )
    return _shown(found, account)


def membership_of(membership: accounts.Membership) -> MembershipSummary:
    """A person's place in an organisation as lists show it."""
    return MembershipSummary(
        membership.organisation_id, membership.person_id, membership.role, membership.joined_at
    )


def _shown(organisation: accounts.Organisation, account: accounts.Account) -> OrganisationSummary:
    return OrganisationSummary(
        organisation.organisation_id,
        organisation.name,
        account.account_id,
        account.plan,
        account.partner_programme,
        account.partner_since,
        organisation.created_at,
    )


OPERATIONS: Final[Mapping[str, Function]] = {
    "organisation.create": create,
    "organisation.list": list_,
    "organisation.show": show,
    "organisation.member": member,
    "organisation.remove_member": remove_member,
    "organisation.provider": provider,
    "organisation.provider_only": provider_only,
    "organisation.key_days": key_days,
    "partner.join": join_partners,
    "partner.leave": leave_partners,
}
