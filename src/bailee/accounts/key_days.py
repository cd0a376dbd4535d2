"""For how long an organisation's keys are good at the most: what it demands, and how that is held.

Rules kept here:

* It is about keys that somebody makes by hand. Clients that are signed in, service accounts and
  cloud sessions end by rules of their own.
* A demand is true at once of the keys that are there: who would go on for longer ends so many days
  from now. A demand that is lifted, or made milder, gives no key a longer life.
* With 0 days no key is good, and none can be made.
* A row that is not what was written counts as 0: nobody gets a key by damaging it.

Rows: O1.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, case, delete, insert, or_, select, update

from bailee.accounts.account import Account, ApiKey, Scope
from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.roles import Actor, Permission
from bailee.db.accounts import accounts, api_keys
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.groups import organisation_keys
from bailee.errors import InputError

MOST_DAYS: Final = 3650
_BY_HAND: Final = ("full", "ingest", "operator")
_WHAT: Final = "the organisations"


class KeyDays:
    """What organisations demand of their keys.

    The registry owns it; operations set a demand, `People` asks when a key is made, on any thread.
    It makes no key and revokes none.
    """

    def __init__(self, backing: Backing, accounts: Accounts, authority: Authority) -> None:
        self._engine, self._ledger = backing.engine, backing.ledger
        self._clock = backing.clock
        self._accounts, self._authority = accounts, authority

    def most(self, organisation_id: str) -> int | None:
        """For how many days a key of an organisation is good at the most; None: until it is
        revoked.
        """
        query = select(
            case((sound(organisation_keys), organisation_keys.c.most_days), else_=0)
        ).where(organisation_keys.c.organisation_id == organisation_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            days: int | None = connection.execute(query).scalar()
        return days

    def until(self, account: Account, scope: Scope, asked: datetime | None) -> datetime | None:
        """Until when a key that is made now of an account is good; None: until it is revoked.
        `asked`: until when somebody wants it; None: they said nothing.

        Raises:
            InputError: code `forbidden`, its organisation has no such keys.
        """
        organisation = account.organisation_id
        if organisation is None or scope not in _BY_HAND:
            return asked
        most = self.most(organisation)
        if most is None:
            return asked
        if most == 0:
            raise InputError(
                "this organisation has no keys that are made by hand.",
                code="forbidden",
                hint="sign in with `bailee login`; machines have service accounts",
            )
        last = self._clock() + timedelta(days=most)
        if asked is not None and asked > last:
            raise InputError(
                f"a key of this organisation is good for {most} days at the most.",
                code="forbidden",
                hint="ask for fewer days, or for none: then it is as many as may be",
            )
        return asked or last

    def demand(self, organisation_id: str, days: int | None, *, by: Actor) -> list[ApiKey]:
        """Have an organisation's keys end so many days after they are made, at the most; None: when
        they are revoked. The keys that end earlier by it.

        Raises:
            InputError: so many days can't be; `not_found`, `forbidden`.
        """
        account = self._accounts.of_organisation(organisation_id)
        self._authority.require(by, Permission.KEY_LIMIT, account)
        if days is not None and not 0 <= days <= MOST_DAYS:
            raise InputError(f"a key is good for 0 to {MOST_DAYS} days; 0: there are none.")

        def concerns(key: ApiKey, of: Account) -> bool:
            return of.account_id == account.account_id and key.scope in _BY_HAND

        last = None if days is None else self._clock() + timedelta(days=days)
        with (
            self._accounts.shortening_keys(concerns, last) as shorten,
            storage_errors(_WHAT),
            self._engine.begin() as connection,
        ):
            put_key_days(connection, organisation_id, days)
            shorter = shorten(connection)
            said = {} if days is None else {"days": days}
            self._ledger.append(
                "organisation.key_days",
                organisation_id,
                {**said, "keys": len(shorter), "by": by.name},
                connection=connection,
            )
        return shorter


def put_key_days(connection: Connection, organisation_id: str, days: int | None) -> None:
    """Write for how many days an organisation's keys are good at the most."""
    same = organisation_keys.c.organisation_id == organisation_id
    connection.execute(delete(organisation_keys).where(same))
    if days is not None:
        row = {"organisation_id": organisation_id, "most_days": days}
        connection.execute(insert(organisation_keys).values(row))


def end_keys_by(connection: Connection, organisation_id: str, last: datetime) -> int:
    """Have the keys on disk that an organisation's people made by hand end at a moment at the
    latest, where no store holds them in memory; how many end earlier.
    """
    theirs = select(accounts.c.id).where(accounts.c.organisation_id == organisation_id)
    change = update(api_keys).where(
        api_keys.c.account_id.in_(theirs),
        api_keys.c.scope.in_(_BY_HAND),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > last),
    )
    return connection.execute(change.values(expires_at=last)).rowcount
