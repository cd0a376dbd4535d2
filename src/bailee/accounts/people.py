"""Persons: who they are, and what is forgotten of them when they go.

Rules kept here:

* What names a person is sealed under their own key (`identifiers`).
* An email belongs to one person at most, however it is written.
* Who is erased keeps a row without anything in it: consent records must stay, and they name a
  person by a random id that then leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError as Conflict

from bailee.accounts import emails
from bailee.accounts.account import Account, ApiKey, Scope
from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.key_days import KeyDays
from bailee.accounts.roles import Actor, Permission
from bailee.db.checks import sound, unsound_beside
from bailee.db.engine import reading, storage_errors
from bailee.db.groups import group_grants
from bailee.db.pages import Order, cut, following, place
from bailee.db.pending import pending
from bailee.db.people import (
    auditors,
    identities,
    memberships,
    passkeys,
    persons,
    saved_views,
    trainers,
    web_sessions,
)
from bailee.db.provisioning import provisioned_members, provisioned_people
from bailee.db.sign_ins import sign_ins
from bailee.errors import InputError, IntegrityError

_WHAT = "the people"


@dataclass(frozen=True, slots=True)
class Person:
    """A person. `email` is None once they were erased. `operator`: runs the service."""

    person_id: str
    email: str | None
    has_password: bool
    operator: bool
    created_at: datetime
    erased_at: datetime | None


class People:
    """The persons of a home, and the keys they make.

    Console, operations and erasures call it, on any thread. It owns the persons' rows and has
    nothing in memory. Reading asks nobody: who may is the operations' to say. It makes no choice
    for anybody, and destroys no key of the keyring: an erasure does that (`node.erasing`).
    """

    def __init__(
        self, backing: Backing, accounts: Accounts, authority: Authority, key_days: KeyDays
    ) -> None:
        self._engine = backing.engine
        self._identifiers = backing.identifiers
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._random = backing.random
        self._damages = backing.damages
        self._accounts = accounts
        self._authority = authority
        self._key_days = key_days

    # -- persons ---------------------------------------------------------------------------------

    def create(
        self, email: str, *, plan: str | None, by: Actor, operator: bool = False
    ) -> tuple[Person, Account | None]:
        """A new person without a way to sign in yet, with an account of their own if `plan` is
        given. No choice is made for them.

        Raises:
            InputError: not an email, or one that is taken; an unknown plan; `forbidden`.
        """
        self._authority.require(by, Permission.PERSON_CREATE)
        return self.insert(email, plan=plan, password=None, by=by, operator=operator)

    def insert(
        self,
        email: str,
        *,
        plan: str | None,
        password: str | None,
        by: Actor | None,
        operator: bool = False,
        along: Callable[[Connection, str], None] = lambda _connection, _person_id: None,
    ) -> tuple[Person, Account | None]:
        """Like `create`, for those who sign up themselves (`by` None) or whom a provider makes;
        `password` is a digest. `along`: what is written in the same transaction.
        """
        address = emails.normal(email)
        person_id = "per_" + self._random(8).hex()
        sealed = self._identifiers.seal(person_id, "email", address)
        now = self._clock()
        account = None
        try:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self._refuse_taken(connection, address)
                connection.execute(
                    insert(persons).values(
                        id=person_id,
                        email_index=self._identifiers.index("email", address),
                        email=sealed,
                        password=password,
                        operator=operator,
                        created_at=now,
                    )
                )
                self._ledger.append(
                    "person.created",
                    person_id,
                    {"by": person_id if by is None else by.name, "operator": operator},
                    connection=connection,
                )
                if plan is not None:
                    account = self._accounts.insert(
                        connection, plan=plan, name=person_id, person_id=person_id
                    )
                along(connection, person_id)
        except Conflict:
            raise taken() from None
        if account is not None:
            self._accounts.remember(account)
        return Person(person_id, address, password is not None, operator, now, None), account

    def get(self, person_id: str) -> Person:
        """A person.

        Raises:
            InputError: code `not_found`.
            IntegrityError: their row is not what was written.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            this = persons.c.id == person_id
            row = connection.execute(select(persons).where(this, sound(persons))).first()
            bad = row is None and connection.execute(select(persons.c.id).where(this)).first()
        if bad:
            self._damages.note_all("persons", [person_id])
            raise IntegrityError(
                f"the row of person {person_id} is not what was written.",
                hint="they can't sign in; restore it from a backup, and see `bailee verify`",
            )
        if row is None:
            raise InputError(
                f"there is no person {person_id!r}.",
                code="not_found",
                hint="see `bailee person list`",
            )
        return self._person(row)

    def by_email(self, email: str) -> Person | None:
        """Who has this email, if anyone."""
        index = self._identifiers.index("email", emails.normal(email))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            theirs = select(persons).where(persons.c.email_index == index, sound(persons))
            row = connection.execute(theirs).first()
        return None if row is None else self._person(row)

    def find(self, named: str) -> Person:
        """A person by id or email.

        Raises:
            InputError: code `not_found`.
        """
        if "@" not in named:
            return self.get(named)
        found = self.by_email(named)
        if found is None:
            raise InputError(
                "there is no person with this email.",
                code="not_found",
                hint="see `bailee person list`",
            )
        return found

    def all(self) -> list[Person]:
        """Everybody, in the order in which they came; those who were erased too. Whose particulars
        are damaged is left out, and noted.
        """
        query = select(persons).where(sound(persons))
        query = query.order_by(persons.c.created_at, persons.c.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
            wrong = unsound_beside(connection, {persons: len(rows)})
        self._damages.note_all(persons.name, wrong[persons.name])
        return list(self._damages.each(rows, self._person, lambda row: f"person {row.id}"))

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        named: str = "",
        order: Order = Order.OLDEST,
    ) -> tuple[list[Person], str | None]:
        """Those of `all` whose email or id has `named` in it, who came first or last before the
        others, after a place, and the place where the next page begins. Emails are sealed, so
        everybody's is opened until a page is full.

        Raises:
            InputError: there is no such place.
        """
        wanted = named.lower()
        found = (
            one
            for one in self._in_order(after, limit + 1, order)
            if wanted in (one.email or "").lower() or wanted in one.person_id
        )
        return cut(list(islice(found, limit + 1)), limit, _place)

    def _in_order(self, after: str | None, at_once: int, order: Order) -> Iterator[Person]:
        at, name, back = persons.c.created_at, persons.c.id, order is Order.NEWEST
        sort = (at.desc(), name.desc()) if back else (at, name)
        while True:
            follows = following(at, name, after, oldest_first=not back, names_fall=back)
            query = select(persons).where(follows, sound(persons)).order_by(*sort)
            with storage_errors(_WHAT), reading(self._engine) as connection:
                rows = connection.execute(query.limit(at_once)).all()
            yield from self._damages.each(rows, self._person, lambda row: f"person {row.id}")
            if len(rows) < at_once:
                return
            after = place(rows[-1].created_at, rows[-1].id)

    def set_operator(self, person_id: str, operator: bool, *, by: Actor) -> None:
        """Make a person an operator, or no longer.

        Raises:
            InputError: `not_found`, or `forbidden`.
        """
        self._authority.require(by, Permission.PERSON_CREATE)
        self.get(person_id)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(persons).where(persons.c.id == person_id).values(operator=operator)
            )
            self._ledger.append(
                "person.operator",
                person_id,
                {"operator": operator, "by": by.name},
                connection=connection,
            )

    def set_trainer(self, person_id: str, trainer: bool, *, by: Actor) -> None:
        """Let a person make training exports, or no longer.

        Raises:
            InputError: `not_found`, or `forbidden`.
        """
        self._appoint(trainers, "trainer", person_id, trainer, by)

    def set_auditor(self, person_id: str, auditor: bool, *, by: Actor) -> None:
        """Let a person see the evidence, or no longer.

        Raises:
            InputError: `not_found`, or `forbidden`; they are an operator, who sees more.
        """
        if auditor and self.get(person_id).operator:
            raise InputError(
                "an operator is no auditor of what they do.", hint="name somebody else"
            )
        self._appoint(auditors, "auditor", person_id, auditor, by)

    def _appoint(self, table: Table, what: str, person_id: str, is_one: bool, by: Actor) -> None:
        self._authority.require(by, Permission.PERSON_CREATE)
        if self.get(person_id).erased_at is not None:
            raise InputError("this person was erased.", code="not_found")
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(table).where(table.c.person_id == person_id))
            if is_one:
                connection.execute(insert(table).values(person_id=person_id, since=self._clock()))
            self._ledger.append(
                f"person.{what}", person_id, {what: is_one, "by": by.name}, connection=connection
            )

    def has_more(self, person_id: str) -> bool:
        """Whether somebody has more here than places in organisations: an account of their own, or
        something to do for the service.
        """
        if self.get(person_id).operator or self._accounts.of_person(person_id) is not None:
            return True
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return any(
                connection.execute(
                    select(table.c.since).where(table.c.person_id == person_id)
                ).first()
                for table in (trainers, auditors)
            )

    def readdress(self, person_id: str, address: str, *, by: Actor) -> None:
        """Give a person another email, which has its normal form; where they were signed in to the
        console ends. Whether it may be given is asked before.

        Raises:
            InputError: somebody has it.
        """
        sealed = self._identifiers.seal(person_id, "email", address)
        index = self._identifiers.index("email", address)
        try:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                self._refuse_taken(connection, address)
                this = persons.c.id == person_id
                connection.execute(
                    update(persons).where(this).values(email=sealed, email_index=index)
                )
                theirs = web_sessions.c.person_id == person_id
                connection.execute(delete(web_sessions).where(theirs))
                said = {"by": by.name}
                self._ledger.append("person.readdressed", person_id, said, connection=connection)
        except Conflict:
            raise taken() from None

    def forget(self, person_id: str, *, by: Actor) -> None:
        """Remove what names a person and every way to sign in, and revoke the keys that speak for
        them, and those of cloud sessions that they started, on any account. Their account, its
        consent records and the audit record stay, under ids that lead to nobody. Destroying their
        key in the keyring is the caller's; so are their sessions.

        Raises:
            InputError: `not_found` or `forbidden`.
        """
        self._authority.require_for_person(by, Permission.PERSON_ERASE, person_id)
        self.get(person_id)

        def theirs(key: ApiKey, of: Account) -> bool:
            mine = key.created_by if key.scope == "cloud" else key.person_id
            return person_id in (mine, of.person_id)

        with (
            self._accounts.ending_keys(theirs, by=by.name) as end_keys,
            storage_errors(_WHAT),
            self._engine.begin() as connection,
        ):
            end_keys(connection)
            for table in (
                *(sign_ins, passkeys, identities, web_sessions),
                *(group_grants, memberships, trainers, auditors),
                *(provisioned_people, provisioned_members, saved_views, pending),
            ):
                connection.execute(delete(table).where(table.c.person_id == person_id))
            connection.execute(
                update(persons)
                .where(persons.c.id == person_id)
                .values(
                    email=None,
                    email_index=None,
                    password=None,
                    operator=False,
                    erased_at=self._clock(),
                )
            )
            self._ledger.append("person.erased", person_id, {"by": by.name}, connection=connection)

    # -- keys ------------------------------------------------------------------------------------

    def create_key(
        self,
        account: Account,
        name: str,
        *,
        by: Actor,
        zero_retention: bool = False,
        person_id: str | None = None,
        shared: bool = False,
        scope: Scope = "full",
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A key of an account, and its text. Who makes one in an account that they have a part in
        makes it for themselves; an owner or admin may have it speak for the organisation alone
        (`shared`). The operator makes it for whoever has a part in it; or for nobody, unless they
        have a part in it themselves; and one that speaks for the operator (scope `operator`) for a
        person who is one.

        Raises:
            InputError: `forbidden`, or as `Accounts.create_key`.
        """
        speaks_for = person_id
        if person_id is None and by.person_id is not None and not shared:
            theirs = not by.operator or self._has_part(by.person_id, account)
            speaks_for = by.person_id if theirs else None
        if speaks_for is None:
            self._authority.require(by, Permission.KEY_CREATE, account)
        elif speaks_for == by.person_id:
            self._authority.require(by, Permission.KEY_CREATE_OWN, account)
        else:
            self._authority.require(by, Permission.KEY_CREATE_FOR, account)
        if scope == "operator":
            self._require_operators(by, speaks_for)
        self.refuse_signed_in(by, "make a key")
        if zero_retention:
            self._authority.require(by, Permission.KEY_ZERO_RETENTION, account)
        return self._accounts.create_key(
            account.account_id,
            name,
            by=by,
            zero_retention=zero_retention,
            person_id=speaks_for,
            scope=scope,
            until=lambda: self._key_days.until(account, scope, expires_at),
            still=lambda: speaks_for is None or self._has_part(speaks_for, account),
        )

    def revoke_key(self, key_id: str, *, by: Actor) -> ApiKey:
        """Revoke a key; one's own, or any of an account that one may revoke keys of.

        Raises:
            InputError: `not_found` or `forbidden`.
        """
        key = self._accounts.api_key(key_id)
        if by.person_id is None or key.person_id != by.person_id:
            self._authority.require(by, Permission.KEY_REVOKE, self._accounts.get(key.account_id))
        return self._accounts.revoke(key_id, by=by)

    def refuse_signed_in(self, by: Actor, act: str) -> None:
        """A client that is signed in makes no way in: that would be there when it has to be out.

        Raises:
            InputError: `forbidden`, it is such a client that asks.
        """
        if by.key_id is not None and self._accounts.api_key(by.key_id).scope == "signed_in":
            raise InputError(
                f"a client that is signed in can't {act}.",
                code="forbidden",
                hint="do it in the console",
            )

    def _require_operators(self, by: Actor, person_id: str | None) -> None:
        """A key that speaks for the operator: no key makes one, or who stole one would have it for
        good.
        """
        self._authority.require(by, Permission.KEY_CREATE_FOR)
        if by.key_id is not None:
            raise InputError(
                "a key can't create another key that speaks for the operator.",
                code="forbidden",
                hint="make it where the service runs, or signed in to the console",
            )
        if person_id is None or not self._authority.by_person(person_id).operator:
            raise InputError(
                "such a key speaks for a person who is an operator.",
                hint="name a person who is an operator: bailee person create --operator",
            )

    # -- inside ----------------------------------------------------------------------------------

    def _has_part(self, person_id: str, account: Account) -> bool:
        if account.organisation_id is None:
            return account.person_id == person_id
        return self._authority.role(person_id, account.organisation_id) is not None

    def _refuse_taken(self, connection: Connection, address: str) -> None:
        index = self._identifiers.index("email", address)
        if connection.execute(select(persons.c.id).where(persons.c.email_index == index)).first():
            raise taken()

    def _person(self, row: Row[tuple[object, ...]]) -> Person:
        email = self._identifiers.shown(row.id, "email", row.email)
        return Person(
            row.id, email, row.password is not None, row.operator, row.created_at, row.erased_at
        )


def _place(person: Person) -> str:
    return place(person.created_at, person.person_id)


def taken() -> InputError:
    """The refusal of an email that another person has."""
    return InputError(
        "this email can't be used to sign up.", hint="if you have an account, sign in to it"
    )
