"""Who presents a key, and what is known of accounts, from memory alone.

`KnownAccounts` is what a request asks. In the process that has the home it is `Accounts`, which
changes them; in one beside it, `FollowedAccounts`, which are changed by what is read.

Rules kept here:

* A key's digest, or a token's proof, is compared in constant time.
* An ingest key opens nothing but the ingest: whoever does not ask for one by name gets none.
* What is followed is gone by only while it is confirmed (`db.versions`): who asks is refused
  otherwise, whatever they ask.

Rows: T1, T2, T6.
"""

from __future__ import annotations

import heapq
import hmac
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from sqlalchemy import Connection

from bailee.accounts import client_tokens, keys
from bailee.accounts.account import Account, ApiKey
from bailee.accounts.held import HeldAccounts
from bailee.clock import Clock
from bailee.db.pages import cut, place, read_place
from bailee.errors import InputError

_Item = TypeVar("_Item")


class KnownAccounts:
    """Accounts and keys, as they are asked for; any thread, event loops among them, so it only
    looks up. It never decides whether an actor may ask: `authority` does that, before.
    """

    def __init__(
        self, held: HeldAccounts, clock: Clock, prove: client_tokens.Prove | None = None
    ) -> None:
        """`prove`: what makes and checks the tokens of clients that are signed in; without it none
        is good.
        """
        self._held = held
        self._clock = clock
        self._prove = prove

    def authenticate(
        self, presented: bytes, *, sending: bool = False, asking: bool = False
    ) -> tuple[ApiKey, Account] | None:
        """Who presents this key; None when it is unknown, malformed or over. An ingest key is
        known only where it is presented for `sending`, a cloud session's only where it is not; one
        that speaks for the operator only where something is asked of the home (`asking`). Of a
        client that is signed in, and of a service account, it is an access token.
        """
        name = keys.key_id(presented)
        known = self._held
        held = known.keys.get(name) if name is not None else None
        if held is None:
            return None
        stored, key = held
        if key.revoked_at is not None or not self._is_good(key, stored, presented):
            return None
        if key.expires_at is not None and key.is_over(self._clock()):
            return None
        if key.scope in (("cloud", "workload") if sending else ("ingest",)):
            return None
        if key.scope == "operator" and not asking:
            return None
        account = known.accounts.get(key.account_id)
        return None if account is None else (key, account)

    def _is_good(self, key: ApiKey, stored: bytes, presented: bytes) -> bool:
        if key.scope not in ("signed_in", "workload"):
            return hmac.compare_digest(stored, keys.digest(presented))
        return self._prove is not None and client_tokens.is_good(
            self._prove, key.key_id, presented, self._clock()
        )

    def page(self, after: str | None, limit: int) -> tuple[list[Account], str | None]:
        """The accounts after a place, oldest first, and the place where the next page begins.

        Raises:
            InputError: there is no such place.
        """
        held = tuple(self._held.accounts.values())
        return _page(held, attrgetter("created_at", "account_id"), after, limit)

    def every(self) -> tuple[Account, ...]:
        """All accounts, from memory."""
        return tuple(self._held.accounts.values())

    def get(self, account_id: str) -> Account:
        """The account, from memory.

        Raises:
            InputError: code `not_found`.
        """
        account = self._held.accounts.get(account_id)
        if account is None:
            raise InputError(f"there is no account {account_id!r}.", code="not_found")
        return account

    def api_key(self, key_id: str) -> ApiKey:
        """A key without its secret.

        Raises:
            InputError: code `not_found`.
        """
        held = self._held.keys.get(key_id)
        if held is None:
            raise InputError(
                f"there is no key {key_id!r}.", code="not_found", hint="see `bailee key list`"
            )
        return held[1]

    def of_person(self, person_id: str) -> Account | None:
        """A person's own account, if they have one."""
        held = self._held
        account_id = held.of_person.get(person_id)
        return None if account_id is None else held.accounts.get(account_id)

    def of_organisation(self, organisation_id: str) -> Account:
        """An organisation's account.

        Raises:
            InputError: code `not_found`.
        """
        held = self._held
        account = held.accounts.get(held.of_organisation.get(organisation_id, ""))
        if account is None:
            raise InputError(f"there is no organisation {organisation_id!r}.", code="not_found")
        return account

    def first(self) -> Account | None:
        """The account that was made first of those that are nobody's in particular, if there is
        any: a person's or an organisation's is not the operator's to use.
        """
        nobodys = (one for one in self.every() if not (one.person_id or one.organisation_id))
        return min(nobodys, key=lambda a: a.created_at, default=None)

    @property
    def empty(self) -> bool:
        """Whether there is no account at all."""
        return not self._held.accounts

    def api_keys(self) -> list[tuple[ApiKey, Account]]:
        """Every key with its account, oldest first."""
        held = self._held
        every = [key for _, key in tuple(held.keys.values())]
        return _with_accounts(held, sorted(every, key=attrgetter("created_at")))

    def keys_page(
        self, after: str | None, limit: int
    ) -> tuple[list[tuple[ApiKey, Account]], str | None]:
        """Like `page`, of keys, each with its account; those too of cloud sessions and runs."""
        held = self._held
        every = [key for _, key in tuple(held.keys.values())]
        found, following = _page(every, attrgetter("created_at", "key_id"), after, limit)
        return _with_accounts(held, found), following


class FollowedAccounts(KnownAccounts):
    """The accounts and keys of a home that another process has. Each method raises `StorageError`
    (`outdated`) while what is in memory is not confirmed. Who reads the database takes up what
    has changed, on one thread.
    """

    def __init__(
        self,
        held: HeldAccounts,
        clock: Clock,
        prove: client_tokens.Prove | None,
        require: Callable[[], None],
    ) -> None:
        """`held`: with nothing in it yet. `require` raises while nothing may be gone by."""
        self._require = require
        super().__init__(held, clock, prove)

    @property
    def _held(self) -> HeldAccounts:
        self._require()
        return self._followed

    @_held.setter
    def _held(self, held: HeldAccounts) -> None:
        self._followed = held

    def take(self, held: HeldAccounts) -> None:
        """Go by others from now on, all at once."""
        self._followed = held

    def reread(
        self, connection: Connection, account_ids: Collection[str], key_ids: Collection[str]
    ) -> None:
        """Read these rows anew, whatever became of them."""
        self._followed.reread(connection, account_ids, key_ids)


def _with_accounts(held: HeldAccounts, found: Iterable[ApiKey]) -> list[tuple[ApiKey, Account]]:
    """Keys with their accounts; without those whose account has gone meanwhile."""
    pairs = ((key, held.accounts.get(key.account_id)) for key in found)
    return [(key, account) for key, account in pairs if account is not None]


def _page(
    items: Iterable[_Item],
    of: Callable[[_Item], tuple[datetime, str]],
    after: str | None,
    limit: int,
) -> tuple[list[_Item], str | None]:
    """A page of what is in memory, and the place where it ends if there is more. `of`: by what
    items are in order.
    """
    if after is not None:
        last = read_place(after)
        items = (one for one in items if of(one) > last)
    return cut(heapq.nsmallest(limit + 1, items, key=of), limit, lambda one: place(*of(one)))
