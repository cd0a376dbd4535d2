"""Organisations: who is in them, in which role, and their account.

Rules kept here:

* An organisation's plan is a commercial one, and it has exactly one account.
* The last owner can neither go nor be made less. Erasing oneself is stopped by nothing; then the
  operator makes another owner.
* An admin changes members; only an owner (or the operator) makes or unmakes owners.
* An organisation whose account is not sound is in no list, and nobody has a place there: that is
  noted, and all others are listed.

Rows: T1, T5.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from bailee.accounts.account import Account, ApiKey
from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority, by_provider_only
from bailee.accounts.backing import Backing
from bailee.accounts.roles import ROLES, Actor, Permission, Role
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.groups import sign_in_terms
from bailee.db.pages import cut, following, place
from bailee.db.people import (
    memberships,
    organisations,
    passkeys,
    persons,
    providers,
    web_sessions,
)
from bailee.errors import InputError
from bailee.shown import named

_WHAT = "the organisations"
_MEMBERSHIP = [column for column in memberships.c if column is not memberships.c.mac]


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation; its plan and its part in the partner programme are its account's."""

    organisation_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A person's place in an organisation."""

    organisation_id: str
    person_id: str
    role: Role
    joined_at: datetime


_Of = TypeVar("_Of", Organisation, Membership)
Along = Callable[[Connection], None]
"""What is written in the same transaction."""


def nothing_along(_connection: Connection) -> None:
    """Nothing."""


class Organisations:
    """The organisations of a home, and who is in them in which role.

    Console and operations call it, on any thread. It owns these rows, and has nothing in memory; an
    organisation's account and keys are those of `Accounts`. Reading asks nobody: who may is the
    operations' to say.
    """

    def __init__(self, backing: Backing, accounts: Accounts, authority: Authority) -> None:
        self._engine = backing.engine
        self._holding = backing.holding
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._random = backing.random
        self._damages = backing.damages
        self._accounts = accounts
        self._authority = authority

    def create(self, name: str, *, plan: str, by: Actor) -> tuple[Organisation, Account]:
        """A new organisation with its account and nobody in it.

        Raises:
            InputError: no name, an unknown or consumer plan; `forbidden`.
        """
        self._authority.require(by, Permission.ORGANISATION_CREATE)
        name = named(name, "an organisation's name")
        if not name:
            raise InputError("an organisation has a name.")
        known = self._holding.policy.plans.get(plan)
        if known is not None and known.segment != "commercial":
            raise InputError(
                f"{plan} is a consumer plan; an organisation has a commercial one.",
                hint="use team, enterprise, api, third_party or gov",
            )
        made = Organisation("org_" + self._random(8).hex(), name, self._clock())
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(organisations).values(
                    id=made.organisation_id, name=name, created_at=made.created_at
                )
            )
            self._ledger.append(
                "organisation.created",
                made.organisation_id,
                {"by": by.name},
                connection=connection,
            )
            account = self._accounts.insert(
                connection, plan=plan, name=name, organisation_id=made.organisation_id
            )
        self._accounts.remember(account)
        return made, account

    def get(self, organisation_id: str) -> Organisation:
        """An organisation.

        Raises:
            InputError: code `not_found`.
        """
        query = select(organisations).where(organisations.c.id == organisation_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise InputError(
                f"there is no organisation {organisation_id!r}.",
                code="not_found",
                hint="see `bailee organisation list`",
            )
        return Organisation(*row)

    def page(self, after: str | None, limit: int) -> tuple[list[Organisation], str | None]:
        """The organisations after a place, oldest first, and the place where the next page begins.
        A page may have fewer than it could.

        Raises:
            InputError: there is no such place.
        """
        at, name = organisations.c.created_at, organisations.c.id
        query = select(organisations).where(following(at, name, after, oldest_first=True))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query.order_by(at, name).limit(limit + 1))
            found = [Organisation(*row) for row in rows]
        found, more = cut(found, limit, lambda one: place(one.created_at, one.organisation_id))
        return self._with_an_account(found), more

    def account(self, organisation_id: str) -> Account:
        """An organisation's account.

        Raises:
            InputError: code `not_found`.
        """
        return self._accounts.of_organisation(organisation_id)

    def members(self, organisation_id: str) -> list[Membership]:
        """Who is in it, in the order in which they joined."""
        return self._memberships(memberships.c.organisation_id == organisation_id)

    def of_person(self, person_id: str) -> list[Membership]:
        """Where a person is in."""
        return self._with_an_account(self._memberships(memberships.c.person_id == person_id))

    def of_people(self, person_ids: Collection[str]) -> dict[str, list[Membership]]:
        """Where each of some persons is in."""
        found: dict[str, list[Membership]] = {one: [] for one in person_ids}
        theirs = self._memberships(memberships.c.person_id.in_(person_ids))
        for one in self._with_an_account(theirs):
            found[one.person_id].append(one)
        return found

    def add(self, organisation_id: str, person_id: str, role: str, *, by: Actor) -> Membership:
        """Take a person in, or change the role of one who is in.

        Raises:
            InputError: no such organisation or role; the last owner made less; `forbidden`.
        """
        wanted = role_named(role)
        self._require(by, organisation_id, person_id, wanted)
        return self.put(organisation_id, person_id, wanted, by=by.name)

    def put(
        self,
        organisation_id: str,
        person_id: str,
        role: Role,
        *,
        by: str,
        along: Along = nothing_along,
    ) -> Membership:
        """Like `add`, without asking who asks."""
        now = self._clock()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            before = _role_of(connection, organisation_id, person_id)
            if before == "owner" and role != "owner":
                _keep_an_owner(connection, organisation_id)
            if before is None:
                # There is no row, or one that is not sound.
                connection.execute(
                    delete(memberships).where(
                        memberships.c.organisation_id == organisation_id,
                        memberships.c.person_id == person_id,
                    )
                )
                connection.execute(
                    insert(memberships).values(
                        organisation_id=organisation_id,
                        person_id=person_id,
                        role=role,
                        joined_at=now,
                    )
                )
            else:
                connection.execute(
                    update(memberships)
                    .where(
                        memberships.c.organisation_id == organisation_id,
                        memberships.c.person_id == person_id,
                    )
                    .values(role=role)
                )
            self._ledger.append(
                "member.role",
                organisation_id,
                {"person": person_id, "old": before, "new": role, "by": by},
                connection=connection,
            )
            along(connection)
        found = [m for m in self.members(organisation_id) if m.person_id == person_id]
        return found[0]

    def remove(self, organisation_id: str, person_id: str, *, by: Actor) -> list[str]:
        """Let a person go. The keys that speak for them there, and those of cloud sessions that
        they started on its account, are revoked with it, all or nothing; their ids.

        Raises:
            InputError: they are not in it (`not_found`), or its last owner; `forbidden`.
        """
        self._require(by, organisation_id, person_id, None)
        return self.take_out(organisation_id, person_id, by=by.name)

    def take_out(
        self, organisation_id: str, person_id: str, *, by: str, along: Along = nothing_along
    ) -> list[str]:
        """Like `remove`, without asking who asks."""
        account = self.account(organisation_id)

        def theirs(key: ApiKey, of: Account) -> bool:
            mine = key.created_by if key.scope == "cloud" else key.person_id
            return of.account_id == account.account_id and mine == person_id

        with (
            self._accounts.ending_keys(theirs, by=by) as end_keys,
            storage_errors(_WHAT),
            self._engine.begin() as connection,
        ):
            before = _role_of(connection, organisation_id, person_id)
            if before is None:
                raise InputError("this person is not in this organisation.", code="not_found")
            if before == "owner":
                _keep_an_owner(connection, organisation_id)
            connection.execute(
                delete(memberships).where(
                    memberships.c.organisation_id == organisation_id,
                    memberships.c.person_id == person_id,
                )
            )
            ended = end_keys(connection)
            self._ledger.append(
                "member.removed",
                organisation_id,
                {"person": person_id, "old": before, "by": by, "keys": len(ended)},
                connection=connection,
            )
            along(connection)
        return [key.key_id for key in ended]

    def set_provider_only(self, organisation_id: str, only: bool, *, by: Actor) -> int:
        """Say whether an organisation's people sign in by its provider and in no other way: then
        the passwords, passkeys and console sessions that they have end. How many people's.

        Raises:
            InputError: it has no provider; `not_found`, `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        self.account(organisation_id)
        bound = select(providers.c.organisation_id).where(
            providers.c.organisation_id == organisation_id, sound(providers)
        )
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if only and connection.execute(bound).first() is None:
                raise InputError(
                    "this organisation has no provider.", hint="bailee organisation provider"
                )
            put_provider_only(connection, organisation_id, only)
            theirs = list(
                connection.execute(
                    select(persons.c.id)
                    .join(memberships, memberships.c.person_id == persons.c.id)
                    .where(memberships.c.organisation_id == organisation_id, by_provider_only())
                ).scalars()
            )
            for table in (passkeys, web_sessions):
                connection.execute(delete(table).where(table.c.person_id.in_(theirs)))
            connection.execute(
                update(persons).where(persons.c.id.in_(theirs)).values(password=None)
            )
            self._ledger.append(
                "organisation.provider_only",
                organisation_id,
                {"only": only, "people": len(theirs), "by": by.name},
                connection=connection,
            )
        return len(theirs)

    def _require(self, by: Actor, organisation_id: str, person_id: str, role: Role | None) -> None:
        account = self.account(organisation_id)
        leaves = role is None and by.person_id == person_id
        if not leaves:
            self._authority.require(by, Permission.MEMBERS_CHANGE, account)
        if role == "owner" or self._authority.role(person_id, organisation_id) == "owner":
            self._authority.require(by, Permission.MEMBERS_CHANGE_OWNER, account)

    def _with_an_account(self, found: Iterable[_Of]) -> list[_Of]:
        """Those of an organisation whose account is sound."""

        def sure(one: _Of) -> _Of:
            self.account(one.organisation_id)
            return one

        return list(
            self._damages.each(found, sure, lambda one: f"organisation {one.organisation_id}")
        )

    def _memberships(self, condition: ColumnElement[bool]) -> list[Membership]:
        query = (
            select(*_MEMBERSHIP)
            .where(condition, sound(memberships))
            .order_by(memberships.c.joined_at, memberships.c.person_id)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [Membership(*row) for row in connection.execute(query)]


def put_provider_only(connection: Connection, organisation_id: str, only: bool) -> None:
    """Write whether an organisation's people sign in by its provider alone."""
    same = sign_in_terms.c.organisation_id == organisation_id
    connection.execute(delete(sign_in_terms).where(same))
    if only:
        row = {"organisation_id": organisation_id, "provider_only": True}
        connection.execute(insert(sign_in_terms).values(row))


def role_named(role: str) -> Role:
    """The role, if it is one.

    Raises:
        InputError: it is not.
    """
    for known in ROLES:
        if role == known:
            return known
    raise InputError(f"there is no role {role[:40]!r}.", hint="roles: " + ", ".join(ROLES))


def _role_of(connection: Connection, organisation_id: str, person_id: str) -> str | None:
    role: str | None = connection.execute(
        select(memberships.c.role).where(
            memberships.c.organisation_id == organisation_id,
            memberships.c.person_id == person_id,
            sound(memberships),
        )
    ).scalar()
    return role


def _keep_an_owner(connection: Connection, organisation_id: str) -> None:
    owners = connection.execute(
        select(func.count())
        .select_from(memberships)
        .where(
            memberships.c.organisation_id == organisation_id,
            memberships.c.role == "owner",
            sound(memberships),
        )
    ).scalar_one()
    if owners < 2:
        raise InputError(
            "an organisation keeps at least one owner.", hint="make someone else an owner first"
        )
