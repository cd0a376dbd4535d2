"""Signing up and in with email and password.

Rules kept here:

* Wrong password, unknown email, person without a password: the same answer after the same work.
  Signing up with an email that is taken does the same work, too; that it is refused can't be hidden
  where nothing is sent by mail, so attempts are limited by address.
* Attempts are limited by email and by address (`attempts`) before anything is compared.
* New consumers choose about training while they sign up, if the policy says that they are asked:
  there is no default to fall back on (T3).
* Sign-up is closed unless the operator opened it, and open for the plans alone that they named:
  who signs up uses the model at their expense.
* A password opens what its person has a part in: an account of their own, an organisation while
  they are in it. Whose last membership has ended, and who has nothing of their own, stays out.
* Nobody signs up under a domain that an organisation's provider speaks for.

Rows: T3.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import select, update

from bailee.accounts import emails
from bailee.accounts.account import Account
from bailee.accounts.attempts import Attempts, AttemptSubject
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.choices import Choices, choice_named, language_named
from bailee.accounts.passwords import Passwords
from bailee.accounts.people import People, Person
from bailee.accounts.roles import Actor, Permission
from bailee.accounts.web_sessions import WebSessions
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.people import persons, providers
from bailee.errors import InputError

_WHAT = "the people"


class PasswordSignIn:
    """Emails and passwords of a home's people.

    The console calls it, on any thread; a call may wait for its turn to hash (`Passwords`). It has
    nothing in memory but for which plans sign-up is open. It begins no web session: it says who a
    person is. It never keeps a password, only its digest.
    """

    def __init__(
        self,
        backing: Backing,
        *,
        people: People,
        choices: Choices,
        attempts: Attempts,
        passwords: Passwords,
        web_sessions: WebSessions,
        authority: Authority,
        sign_up: Collection[str] = (),
    ) -> None:
        """`sign_up`: the plans that the operator opens to people, of those that the document that
        holds lets them take by themselves; none: sign-up is closed.
        """
        self._opened: Final = frozenset(sign_up)
        self._engine = backing.engine
        self._holding = backing.holding
        self._identifiers = backing.identifiers
        self._ledger = backing.ledger
        self._people = people
        self._choices = choices
        self._attempts = attempts
        self._passwords = passwords
        self._web_sessions = web_sessions
        self._authority = authority

    @property
    def sign_up_plans(self) -> frozenset[str]:
        """The plans that people may take by themselves; none: sign-up is closed."""
        return self._opened.intersection(self._holding.policy.document.sign_up)

    def sign_up(
        self,
        email: str,
        password: str,
        *,
        choice: str | None,
        language: str,
        source: str,
        address: str,
        plan: str = "free",
    ) -> tuple[Person, Account]:
        """A new person with an account of their own and, if they are to be asked, their choice.
        `address` is where the request came from.

        Raises:
            InputError: not an email, or one that can't be used; a password too short; no choice
                where one is asked for; a plan that is not for consumers; `too_many_attempts`;
                `forbidden`, sign-up is closed.
        """
        open_to = self.sign_up_plans
        if not open_to:
            raise InputError(
                "sign-up is closed here.",
                code="forbidden",
                hint="ask whoever runs this service for an account",
            )
        known = self._holding.policy.plans.get(plan)
        if known is None or known.segment != "consumer" or plan not in open_to:
            plans = ", ".join(sorted(open_to))
            raise InputError("you can't sign up for this plan.", hint=f"plans: {plans}")
        language_named(language)
        asked = self._choices.asked_on_plan(plan).asks
        if asked or choice is not None:
            choice_named(choice)
            self._choices.check_now(plan)
        normal = emails.normal(email)
        self._attempts.begin([AttemptSubject("sign-up", address)])
        digest = self._passwords.digest(password)
        self._refuse_bound_domain(normal)
        person, account = self._people.insert(normal, plan=plan, password=digest, by=None)
        assert account is not None
        if choice is not None:
            account = self._choices.choose_training(
                account.account_id,
                choice,
                language=language,
                source=source,
                by=Actor(person_id=person.person_id),
            )
        return person, account

    def sign_in(self, email: str, password: str, *, address: str) -> str:
        """The id of the person with this email and password. Begin a web session for them next.

        Raises:
            InputError: `authentication`, the same for whatever is wrong; `too_many_attempts`;
                `forbidden`, the password is right and they have no place here any more.
        """
        try:
            normal = emails.normal(email)
        except InputError:
            normal = ""
        subjects = [AttemptSubject("email", normal), AttemptSubject("address", address)]
        self._attempts.begin(subjects)
        index = self._identifiers.index("email", normal)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(
                select(persons.c.id, persons.c.password).where(
                    persons.c.email_index == index, sound(persons)
                )
            ).first()
        kept: str | None = None if row is None else row.password
        if not self._passwords.match(kept, password) or row is None or kept is None:
            raise InputError(
                "the email or the password is wrong.",
                code="authentication",
                hint="check both; or sign in with a passkey, or through your organisation",
            )
        self._attempts.succeeded(subjects)
        person_id: str = row.id
        self._authority.require_place(person_id)
        self._authority.refuse_provider_only(person_id)
        if self._passwords.outdated(kept):
            self._keep(person_id, self._passwords.digest(password))
        return person_id

    def set_password(
        self,
        person_id: str,
        new: str,
        *,
        old: str | None,
        by: Actor,
        address: str,
        but: str | None = None,
    ) -> None:
        """Set or change one's password. Every other session of the person ends; `but` is the cookie
        of the one that stays.

        Raises:
            InputError: `authentication`, the old password is wrong; the new one is too short;
                `forbidden`; `too_many_attempts`.
        """
        self._authority.require_for_person(by, Permission.PERSON_CHANGE, person_id)
        self._people.refuse_signed_in(by, "set a password")
        self._authority.refuse_provider_only(person_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            kept: str | None = connection.execute(
                select(persons.c.password).where(persons.c.id == person_id, sound(persons))
            ).scalar()
        if kept is not None:
            subjects = [AttemptSubject("email", person_id), AttemptSubject("address", address)]
            self._attempts.begin(subjects)
            if not self._passwords.match(kept, old or ""):
                raise InputError(
                    "the current password is wrong.",
                    code="authentication",
                    hint="give the current password too; at the terminal: --change",
                )
            self._attempts.succeeded(subjects)
        self._keep(person_id, self._passwords.digest(new))
        self._ledger.append("person.password_set", person_id, {"by": by.name})
        self._web_sessions.end_all(person_id, but=but)

    def _keep(self, person_id: str, digest: str) -> None:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(persons).where(persons.c.id == person_id).values(password=digest)
            )

    def _refuse_bound_domain(self, normal: str) -> None:
        query = select(providers.c.domain).where(providers.c.domain == emails.domain_of(normal))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            bound = connection.execute(query).first() is not None
        if bound:
            raise InputError(
                "people of this domain sign in through their organisation.",
                code="forbidden",
                hint="choose your organisation on the sign-in page",
            )
