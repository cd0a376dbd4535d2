"""How an actor stands to an account, and whether that suffices for what they ask.

The table is `roles`; here is what it needs to know: who a key speaks for, whose an account is, who
has which role in which organisation. Memberships are read from the database each time, so a role
that was taken away is gone with the next question.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Engine, Table, and_, exists, not_, or_, select

from bailee.accounts.account import Account
from bailee.accounts.accounts import Accounts
from bailee.accounts.roles import Actor, Permission, Role, Standing, require
from bailee.db.accounts import accounts
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.groups import sign_in_terms
from bailee.db.people import auditors, identities, memberships, persons, trainers
from bailee.errors import InputError

# Built once: to build a statement costs several times what it takes to run it.
_A_NAME: Final = (
    select(persons.c.id).where(persons.c.operator, persons.c.erased_at.is_(None)).limit(1)
)


def place_here() -> ColumnElement[bool]:
    """Of a row of `persons`: whether there is anything here that is theirs to see to. An account of
    their own, a membership, or that they run the service; who has none of these does not sign in,
    whatever password, passkey or cookie they still have. Nor does whose row is not sound.
    """
    return and_(
        sound(persons),
        or_(
            persons.c.operator,
            exists().where(auditors.c.person_id == persons.c.id, sound(auditors)),
            exists().where(accounts.c.person_id == persons.c.id),
            exists().where(memberships.c.person_id == persons.c.id, sound(memberships)),
        ),
    )


def by_provider_only() -> ColumnElement[bool]:
    """Of a row of `persons`: whether they sign in by their organisation's provider and in no other
    way. An owner whom it has never sent does not: somebody has to be there when it is away.
    """
    sent = (
        exists()
        .where(
            identities.c.person_id == memberships.c.person_id,
            identities.c.organisation_id == sign_in_terms.c.organisation_id,
            sound(identities),
        )
        .correlate(memberships, sign_in_terms)
    )
    return (
        exists()
        .where(
            memberships.c.person_id == persons.c.id,
            memberships.c.organisation_id == sign_in_terms.c.organisation_id,
            or_(sign_in_terms.c.provider_only, not_(sound(sign_in_terms))),
            or_(memberships.c.role != "owner", sent),
            sound(memberships),
        )
        .correlate(persons)
    )


class Authority:
    """Answers "may this actor do that?" from what the database holds.

    The other classes of the package and the operations call it, on any thread. It owns no rows,
    keeps no answer for the next question, and changes nothing.
    """

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self._engine = engine
        self._accounts = accounts

    def by_key(self, presented: str) -> Actor:
        """Who presents this API key: the person it speaks for, else the key itself.

        A key of a person's own account speaks for that person; as operator only one that was made
        for it, and while they are one.

        Raises:
            InputError: code `authentication`, it is unknown or revoked; `forbidden`, it is one that
                only the gateway takes.
        """
        found = self._accounts.authenticate(presented.encode(), asking=True)
        if found is None:
            raise InputError("the API key is unknown or revoked.", code="authentication")
        key, account = found
        if key.scope == "cloud":
            raise InputError("a cloud session's key speaks for nobody.", code="forbidden")
        if key.scope == "workload":
            raise InputError("a service account's token is for the gateway.", code="forbidden")
        person = key.person_id or account.person_id
        operator = (
            key.scope == "operator" and person is not None and self.by_person(person).operator
        )
        if key.scope == "operator" and not operator:
            raise InputError(
                "the person behind this key is no longer an operator.", code="forbidden"
            )
        return Actor(person, key.key_id, account.account_id, operator)

    def by_person(self, person_id: str) -> Actor:
        """A person who has signed in; as operator, if they were made one.

        Raises:
            InputError: code `authentication`, there is no such person any more.
        """
        with storage_errors("the people"), reading(self._engine) as connection:
            row = connection.execute(
                select(persons.c.operator, persons.c.erased_at).where(
                    persons.c.id == person_id, sound(persons)
                )
            ).first()
        if row is None or row.erased_at is not None:
            raise InputError("there is no such person.", code="authentication")
        return Actor(person_id=person_id, operator=row.operator)

    def has_place(self, person_id: str) -> bool:
        """Whether there is anything here that is this person's to see to (`place_here`)."""
        query = select(persons.c.id).where(persons.c.id == person_id, place_here())
        with storage_errors("the people"), reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def require_place(self, person_id: str) -> None:
        """Go on only if so. Asked of whoever has proved who they are, and never before.

        Raises:
            InputError: code `forbidden`.
        """
        if not self.has_place(person_id):
            raise InputError(
                "you no longer belong to an organisation here.",
                code="forbidden",
                hint="an admin of your organisation can add you again",
            )

    def refuse_provider_only(self, person_id: str) -> None:
        """Go on only if this person may have a way in beside their organisation's provider.

        Raises:
            InputError: code `forbidden`.
        """
        query = select(persons.c.id).where(persons.c.id == person_id, by_provider_only())
        with storage_errors("the people"), reading(self._engine) as connection:
            found = connection.execute(query).first()
        if found is not None:
            raise InputError(
                "your organisation lets its people sign in through its provider only.",
                code="forbidden",
                hint="choose your organisation on the sign-in page",
            )

    def role(self, person_id: str, organisation_id: str) -> Role | None:
        """A person's role in an organisation, if they are in it."""
        with storage_errors("the people"), reading(self._engine) as connection:
            role: Role | None = connection.execute(
                select(memberships.c.role).where(
                    memberships.c.organisation_id == organisation_id,
                    memberships.c.person_id == person_id,
                    sound(memberships),
                )
            ).scalar()
        return role

    def standings(self, actor: Actor, account: Account | None = None) -> frozenset[Standing]:
        """How the actor stands to an account; with none, to the service as a whole."""
        found: set[Standing] = set()
        if actor.operator:
            found.add("operator")
        if account is None:
            found |= self._appointed(actor)
        if account is None or not self._reaches(actor, account):
            return frozenset(found)
        if actor.person_id is not None:
            if account.person_id == actor.person_id:
                found.add("self")
            if account.organisation_id is not None:
                role = self.role(actor.person_id, account.organisation_id)
                if role is not None:
                    found.add(role)
        elif actor.account_id == account.account_id:
            found.add("holder" if account.organisation_id is None else "service")
        return frozenset(found)

    def _appointed(self, actor: Actor) -> set[Standing]:
        """What the operator made a person. A key of an organisation's does not say so."""
        if actor.person_id is None:
            return set()
        if actor.account_id is not None:
            own = self._accounts.of_person(actor.person_id)
            if own is None or own.account_id != actor.account_id:
                return set()
        found: set[Standing] = set()
        tables: tuple[tuple[Standing, Table], ...] = (("trainer", trainers), ("auditor", auditors))
        with storage_errors("the people"), reading(self._engine) as connection:
            for standing, table in tables:
                theirs = table.c.person_id == actor.person_id
                if connection.execute(
                    select(table.c.person_id).where(theirs, sound(table))
                ).first():
                    found.add(standing)
        return found

    def is_auditor(self, actor: Actor) -> bool:
        """Whether somebody sees the evidence of this service, and is not the operator."""
        return not actor.operator and "auditor" in self._appointed(actor)

    def operators_have_names(self) -> bool:
        """Whether somebody was made an operator here, so that whoever runs this service has more
        to say of themselves than that they have it.
        """
        with storage_errors("the people"), reading(self._engine) as connection:
            return connection.execute(_A_NAME).first() is not None

    def _reaches(self, actor: Actor, account: Account) -> bool:
        """Whether what the actor proved counts for this account. A key of a person's own account is
        as good as the person; one of an organisation's counts there only.
        """
        if actor.account_id is None or actor.account_id == account.account_id:
            return True
        return self._is_own_key(actor)

    def _is_own_key(self, actor: Actor) -> bool:
        assert actor.account_id is not None
        owner = self._accounts.get(actor.account_id).person_id
        return owner is not None and owner == actor.person_id

    def require(self, actor: Actor, permission: Permission, account: Account | None = None) -> None:
        """Go on only if the actor may do this.

        Raises:
            InputError: code `forbidden`, with who could.
        """
        require(permission, self.standings(actor, account))

    def require_for_person(self, actor: Actor, permission: Permission, person_id: str) -> None:
        """Go on only if the actor may do this to a person.

        Raises:
            InputError: code `forbidden`, with who could.
        """
        standings: set[Standing] = {"operator"} if actor.operator else set()
        proved = actor.account_id is None or self._is_own_key(actor)
        if actor.person_id == person_id and proved:
            standings.add("self")
        require(permission, standings)
