"""What can be asked of a home about people: making one, who there is, one with all particulars.

What whoever asks may do is for `bailee.accounts` to say, which every operation here goes through.

Rows: T2, T3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee import accounts
from bailee.accounts.roles import Permission
from bailee.db.pages import Order
from bailee.errors import InputError
from bailee.node import Node
from bailee.node.subjects import DataSubject, keys_of
from bailee.operations.asks import Asks
from bailee.operations.choices import ConsentEntry, Training, consent_of, training_of
from bailee.operations.codec import Function, Limit, Page, extended
from bailee.operations.key_terms import KeySummary, MadeKey, key_of
from bailee.operations.operation import operation
from bailee.operations.organisations import MembershipSummary, membership_of
from bailee.operations.whose import find_person


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """A person as lists show them. `email` is None once they were erased."""

    person: str
    email: str | None
    account: str | None
    plan: str | None
    operator: bool
    created: datetime
    erased: datetime | None
    organisations: list[MembershipSummary]


@dataclass(frozen=True, slots=True)
class WebSessionSummary:
    """A console session as its person sees it. `ends`: if it is not used until then."""

    session: str
    client: str | None
    created: datetime
    last_used: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class PersonDetails(PersonSummary):
    """A person with their choice, keys, where they are signed in, and what they chose when."""

    training: Training | None
    keys: list[KeySummary]
    web_sessions: list[WebSessionSummary]
    consent: list[ConsentEntry]


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """Whose password it is."""

    person: str


@dataclass(frozen=True, slots=True)
class Trainer:
    """Whether a person makes training exports."""

    person: str
    trainer: bool


@dataclass(frozen=True, slots=True)
class Auditor:
    """Whether a person sees the evidence."""

    person: str
    auditor: bool


@operation()
def create(
    asks: Asks,
    node: Node,
    email: str,
    *,
    plan: str | None = None,
    organisation: str | None = None,
    operator: bool = False,
    name: str = "first key",
) -> MadeKey:
    """Make a person with a key: of an account of their own, on a plan; or of the organisation that
    they are taken into, and then without an own account.
    """
    by, registry = asks.actor, node.registry
    if organisation and plan is not None:
        raise InputError(
            "a person is made with an account of their own, or in an organisation.",
            hint="give the plan of their own account, or the organisation",
        )
    if not organisation and plan is None:
        raise InputError("the argument 'plan' is missing.")
    paying = registry.organisations.account(organisation) if organisation else None
    person, own = registry.people.create(email, plan=plan, by=by, operator=operator)
    if organisation:
        registry.organisations.add(organisation, person.person_id, "member", by=by)
    account = own or paying
    assert account is not None
    key, secret = registry.people.create_key(account, name, by=by, person_id=person.person_id)
    return extended(MadeKey, key_of(node.policy_of(account), key, account), key=secret)


@operation()
def list_(
    asks: Asks,
    node: Node,
    named: str = "",
    after: str | None = None,
    limit: Limit = 100,
    *,
    order: Order = Order.OLDEST,
) -> Page[PersonSummary]:
    """Everybody, oldest first or `newest`, or whose email or id has `named` in it; those who were
    erased are without an email.
    """
    asks.require(node, Permission.PERSON_CREATE)
    found, following = node.registry.people.page(after, limit, named=named, order=order)
    places = node.registry.organisations.of_people([one.person_id for one in found])
    return Page([_shown(node, one, places[one.person_id]) for one in found], following)


@operation()
def show(asks: Asks, node: Node, id: str) -> PersonDetails:
    """One person, by id or email: account, choice, keys, where they are signed in."""
    person = find_person(asks, node, id)
    whose = person.person_id
    node.registry.authority.require_for_person(asks.actor, Permission.PERSON_READ, whose)
    account = node.accounts.of_person(whose)
    records = [] if account is None else node.accounts.consent_records(account.account_id)
    return extended(
        PersonDetails,
        _shown(node, person, node.registry.organisations.of_person(whose)),
        training=None if account is None else training_of(node, account),
        keys=[
            key_of(node.policy_of(of), key, of)
            for key, of in keys_of(node.accounts, DataSubject(person, account))
        ],
        web_sessions=[
            web_session_of(session) for session in node.registry.web_sessions.of_person(whose)
        ],
        consent=[consent_of(record) for record in records],
    )


@operation()
def password(asks: Asks, node: Node, new: str, old: str | None = None) -> PasswordSet:
    """Set your own password; the first one without an old one."""
    by = asks.actor
    if by.person_id is None:
        raise InputError("a password is a person's own: it takes their key.", code="authentication")
    node.registry.passwords.set_password(by.person_id, new, old=old, by=by, address=str(asks.via))
    return PasswordSet(by.person_id)


def _shown(node: Node, person: accounts.Person, places: list[accounts.Membership]) -> PersonSummary:
    account = node.accounts.of_person(person.person_id)
    return PersonSummary(
        person.person_id,
        person.email,
        None if account is None else account.account_id,
        None if account is None else account.plan,
        person.operator,
        person.created_at,
        person.erased_at,
        [membership_of(one) for one in places],
    )


def web_session_of(session: accounts.WebSession) -> WebSessionSummary:
    """A console session as its person sees it."""
    return WebSessionSummary(
        session.session_id,
        session.client,
        session.created_at,
        session.last_used_at,
        session.ends_at,
    )


@operation()
def trainer(asks: Asks, node: Node, id: str, trainer: bool = True) -> Trainer:
    """Let a person make training exports, or no longer."""
    asks.require(node, Permission.PERSON_CREATE)
    person = find_person(asks, node, id)
    node.registry.people.set_trainer(person.person_id, trainer, by=asks.actor)
    return Trainer(person.person_id, trainer)


@operation()
def auditor(asks: Asks, node: Node, id: str, auditor: bool = True) -> Auditor:
    """Let a person see the evidence, and no content and nobody's name; or no longer."""
    asks.require(node, Permission.PERSON_CREATE)
    person = find_person(asks, node, id)
    node.registry.people.set_auditor(person.person_id, auditor, by=asks.actor)
    return Auditor(person.person_id, auditor)


OPERATIONS: Final[Mapping[str, Function]] = {
    "person.create": create,
    "person.list": list_,
    "person.show": show,
    "person.password": password,
    "person.trainer": trainer,
    "person.auditor": auditor,
}
