"""Accounts and keys as they are in memory: read from their rows, whole or one by one.

Rules kept here:

* An account or a key whose row is not sound (`db.checks`) is not there: nobody is let in by it. Nor
  is a key whose account is not.
* What is read anew of a row takes the place of what was there in one step, an account before its
  keys. A row that is gone, or not sound any more, takes what was there with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from sqlalchemy import Connection, Table, or_, select

from bailee.accounts.account import Account, ApiKey
from bailee.damage import Damages
from bailee.db.accounts import accounts, api_keys, ephemeral_keys
from bailee.db.among import among
from bailee.db.checks import sound
from bailee.db.engine import DbRow
from bailee.errors import IntegrityError

SEALED: Final = "sealed:"
"""What a key's name begins with where it is kept under a person's key."""
THIS_RUN: Final = "this run"
"""How a key is called that ends with a server's run."""
OpenedName = Callable[[str | None, str], str]
"""A key's name, of the person whose it is, if it is one's, and as it is kept."""

_COLUMNS: Final = [column for column in accounts.c if column is not accounts.c.mac]


def unopened(_person_id: str | None, kept: str) -> str:
    """An `OpenedName` for who needs none: what is sealed stays so, and is empty."""
    return "" if kept.startswith(SEALED) else kept


class HeldAccounts:
    """The accounts and keys of a home in memory. Whoever owns one reads rows into it, one thread at
    a time; others read it meanwhile, and go through what is in it only by way of a copy that is
    made in one step. It writes no row.
    """

    def __init__(self, damages: Damages, opened: OpenedName) -> None:
        self._damages = damages
        self._opened = opened
        self.accounts: dict[str, Account] = {}
        self.of_person: dict[str, str] = {}
        self.of_organisation: dict[str, str] = {}
        self.keys: dict[str, tuple[bytes, ApiKey]] = {}
        """By their ids, each with the digest of the key itself."""

    def load(self, connection: Connection) -> dict[Table, int]:
        """Read all rows that are sound; how many there were of each table."""
        own = connection.execute(select(*_COLUMNS).where(sound(accounts))).all()
        for row in own:
            self.put(Account(*row))
        rows = connection.execute(select(api_keys).where(sound(api_keys))).all()
        self.keys.update(self._read(api_keys, rows))
        ephemeral = connection.execute(select(ephemeral_keys).where(sound(ephemeral_keys))).all()
        self.keys.update(self._read(ephemeral_keys, ephemeral))
        return {accounts: len(own), api_keys: len(rows), ephemeral_keys: len(ephemeral)}

    def reread(
        self, connection: Connection, account_ids: Collection[str], key_ids: Collection[str]
    ) -> None:
        """Read these rows anew, whatever became of them. `key_ids`: of both sorts of keys."""
        wanted = select(*_COLUMNS).where(among(accounts.c.id, account_ids), sound(accounts))
        found = [Account(*row) for row in connection.execute(wanted)]
        new = [one.account_id for one in found if one.account_id not in self.accounts]
        for account in found:
            self.put(account)
        for gone in {*account_ids} - {one.account_id for one in found}:
            self._drop(gone)
        # The keys of an account that was not there were left out with it.
        read: dict[str, tuple[bytes, ApiKey]] = {}
        for table in (api_keys, ephemeral_keys):
            theirs = or_(among(table.c.id, key_ids), among(table.c.account_id, new))
            rows = connection.execute(select(table).where(theirs, sound(table))).all()
            read.update(self._read(table, rows))
        self.keys.update(read)
        for gone in {*key_ids} - read.keys():
            self.keys.pop(gone, None)

    def put(self, account: Account) -> None:
        """Hold an account as it now is on disk."""
        self.accounts[account.account_id] = account
        if account.person_id is not None:
            self.of_person.setdefault(account.person_id, account.account_id)
        if account.organisation_id is not None:
            self.of_organisation.setdefault(account.organisation_id, account.account_id)

    def _drop(self, account_id: str) -> None:
        account = self.accounts.get(account_id)
        if account is None:
            return
        if account.person_id is not None:
            self.of_person.pop(account.person_id, None)
        if account.organisation_id is not None:
            self.of_organisation.pop(account.organisation_id, None)
        for key_id, (_, key) in tuple(self.keys.items()):
            if key.account_id == account_id:
                self.keys.pop(key_id, None)
        del self.accounts[account_id]

    def _read(
        self, table: Table, rows: Iterable[DbRow]
    ) -> Iterator[tuple[str, tuple[bytes, ApiKey]]]:
        read = self._key if table is api_keys else self._ephemeral
        for digest, key in self._damages.each(rows, read, lambda row: f"{table.name} {row.id}"):
            yield key.key_id, (digest, key)

    def _ephemeral(self, row: DbRow) -> tuple[bytes, ApiKey]:
        """A key that ends with a session or a run, and its digest."""
        self._account_of(row)
        key = ApiKey(
            row.id,
            row.account_id,
            row.session or THIS_RUN,
            row.zero_retention,
            row.created_at,
            None,
            created_by=row.created_by,
            scope=row.scope,
            expires_at=row.expires_at,
            ephemeral=True,
        )
        return row.digest, key

    def _account_of(self, row: DbRow) -> Account:
        """There is no key without its account."""
        account = self.accounts.get(row.account_id)
        if account is None:
            raise IntegrityError(f"its account {row.account_id} is not there, or not sound.")
        return account

    def _key(self, row: DbRow) -> tuple[bytes, ApiKey]:
        """A key and its digest."""
        account = self._account_of(row)
        key = ApiKey(
            row.id,
            row.account_id,
            self._opened(row.person_id or account.person_id, row.name),
            row.zero_retention,
            row.created_at,
            row.revoked_at,
            row.person_id,
            row.created_by,
            row.scope,
            row.expires_at,
        )
        return row.digest, key
