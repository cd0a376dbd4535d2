"""Whose data it is that is asked for: a person, or whoever holds the key of an account of nobody's.

An account that was made with a key alone has no person; its id stands for whoever holds that key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts import Account, Accounts, ApiKey, People, Person
from bailee.errors import InputError
from bailee.feedback.reports import Whose
from bailee.keeping.keeper import Owner
from bailee.ledger import Leaf, Ledger
from bailee.vault.transcript import SessionRow
from bailee.vault.vault import Vault

_AS_MEMBERS: Final = (
    "usage.limit_set",
    "usage.limit_removed",
    "usage.increase_asked",
    "usage.increase_decided",
)
"""The kinds of entries whose subject may be a person in an organisation."""


@dataclass(frozen=True, slots=True)
class DataSubject:
    """Someone whose data is held: `person` with or without an account of their own, or an account
    that has no person.
    """

    person: Person | None
    account: Account | None

    @property
    def id(self) -> str:
        """The person's id, else the account's."""
        if self.person is not None:
            return self.person.person_id
        assert self.account is not None
        return self.account.account_id

    @property
    def owner(self) -> Owner:
        """As what keeps things knows them."""
        return Owner(
            None if self.account is None else self.account.account_id,
            None if self.person is None else self.person.person_id,
        )

    @property
    def whose(self) -> Whose:
        """The reports that they sent: a person's through whichever account."""
        if self.person is not None:
            return Whose(None, self.person.person_id)
        return Whose(self.id, None)


def find(people: People, accounts: Accounts, named: str) -> DataSubject:
    """Who is meant by a person's id or email, or by an account's id.

    Raises:
        InputError: `not_found`; or an organisation's account, which is no person's.
    """
    if not named.startswith("acc_"):
        person = people.find(named)
        return DataSubject(person, accounts.of_person(person.person_id))
    account = accounts.get(named)
    if account.organisation_id is not None:
        raise InputError(
            "this account is an organisation's, not a person's.", hint="name one of its people"
        )
    person_id = account.person_id
    return DataSubject(None if person_id is None else people.get(person_id), account)


def entries(
    ledger: Ledger, accounts: Accounts, subject: DataSubject, more: Iterable[str] = ()
) -> list[Leaf]:
    """The entries of the audit record about someone, in order: with particulars of theirs, about
    them, their own account or their keys, about what they may use as a member of an organisation,
    they still are or not; and about `more` of theirs.
    """
    about = [subject.id, *([] if subject.account is None else [subject.account.account_id])]
    about += [key.key_id for key, _ in keys_of(accounts, subject)]
    about += more
    some = [ledger.entries(whose=subject.id), ledger.about(list(dict.fromkeys(about)))]
    if subject.person is not None:
        some.append(ledger.of_members(_AS_MEMBERS, subject.person.person_id))
    found = {leaf.number: leaf for each in some for leaf in each}
    return [found[number] for number in sorted(found)]


def sessions_elsewhere(
    accounts: Accounts, vault: Vault, subject: DataSubject, now: datetime
) -> list[SessionRow]:
    """The sessions of organisations that a key of the person was last used in."""
    own = subject.account and subject.account.account_id
    keys = {
        key.key_id: account.account_id
        for key, account in keys_of(accounts, subject)
        if account.account_id != own
    }
    owners = sorted({*keys.values()})
    return [row for owner in owners for row in vault.sessions(now, owner) if row.key_id in keys]


def keys_of(accounts: Accounts, subject: DataSubject) -> list[tuple[ApiKey, Account]]:
    """The keys that speak for someone: those of their own account, and those that they hold of an
    organisation's.
    """
    own = None if subject.account is None else subject.account.account_id
    person = None if subject.person is None else subject.person.person_id
    return [
        (key, account)
        for key, account in accounts.api_keys()
        if account.account_id == own or (person is not None and key.person_id == person)
    ]
