"""Clients that are signed in: their tokens, how these are renewed, and how a sign-in ends.

A client that is signed in is known as a key of its own, whose text nobody has: it shows access
tokens of it (`client_tokens`). So what holds for a key holds for it: whose terms it is on, that it
is listed, and that it is revoked at once with the person, their membership, or by itself.

Rules kept here:

* Who came by an organisation's provider is asked for there at each renewal. Where it says no, the
  sign-in is over; where it says nothing, there is no new token, and nothing has ended.
* Without a provider's word there is a renewal only for those who have no provider here: who belongs
  to an organisation by its provider, and brought no token of it, signs in anew after an hour.
* The provider's own token stays here, sealed under the person's key, and goes to the provider that
  gave it and to no other.
* What the provider's groups give is settled at each renewal (`group_grants`): who has no part any
  more in what their client works for is signed out.
* A refresh token that was used and comes again ends the sign-in (`client_tokens.use_of`). Renewals
  of one sign-in are made one after the other. Of two servers one alone asks the provider
  (`renewal_claims`); the other gives what that one gave, or says to ask again, and ends nothing.
* A person has a bounded number; one more ends the one that was renewed longest ago.

Rows: O1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import ColumnElement, delete, insert, select

from bailee.accounts import client_tokens, emails, renewal_claims
from bailee.accounts.account import Account, ApiKey
from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.client_tokens import RefreshToken, RefreshUse
from bailee.accounts.group_grants import GroupGrants
from bailee.accounts.people import People
from bailee.accounts.roles import Actor, Permission
from bailee.accounts.ways_in import OpenIdProvider
from bailee.db.accounts import api_keys
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.pending import pending
from bailee.db.people import identities
from bailee.db.sign_ins import sign_ins
from bailee.errors import InputError, UpstreamError

if TYPE_CHECKING:
    from bailee.accounts.provider_sign_in import ProviderSignIn

MOST: Final = 20
_WHAT: Final = "the sign-ins"
_LOCKS: Final = 64
_NOBODY: Final = Actor()
"""Who ends what has ended by itself."""
Why = Literal[
    "signed_out", "everywhere", "reused", "lapsed", "provider", "changed", "replaced", "groups"
]


@dataclass(frozen=True, slots=True)
class ConfirmedSignIn:
    """What a person confirmed: that a client works for them, on this account's terms. `provider`
    and `token`: who was asked for them, and by what it can be asked again.
    """

    person_id: str
    account_id: str
    provider: OpenIdProvider | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ClientTokens:
    """What a client gets. `lasts`: seconds. `refresh`: None: it signs in anew after that. `email`:
    whose sign-in it is.
    """

    access: str = field(repr=False)
    lasts: int
    refresh: str | None = field(repr=False)
    email: str | None


@dataclass(frozen=True, slots=True)
class ClientSignIn:
    """A client that is signed in. `client`: what it said of itself. `renewed_at`: when it last got
    a token. `ends_at`: if it is not renewed until then.
    """

    key_id: str
    account_id: str
    client: str | None
    by_provider: bool
    created_at: datetime
    renewed_at: datetime
    ends_at: datetime


class SignIns:
    """The clients that are signed in to a home. The protocol begins and renews, on threads that may
    wait for a provider; pages and operations list and end, on any. It owns their rows. Of a token
    it keeps nothing but a number.
    """

    def __init__(
        self,
        backing: Backing,
        *,
        accounts: Accounts,
        people: People,
        authority: Authority,
        groups: GroupGrants,
        providers: Callable[[], ProviderSignIn],
    ) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._identifiers = backing.identifiers
        self._accounts = accounts
        self._people = people
        self._authority = authority
        self._groups = groups
        self._providers = providers
        # While one sign-in is renewed or ended: by its key.
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    # -- beginning -------------------------------------------------------------------------------

    def provider_for(self, person_id: str, account: Account) -> OpenIdProvider | None:
        """The provider that has to say who this is before a client works on an account's terms.

        Raises:
            InputError: `forbidden`, there is none any more, and their place is by its groups.
        """
        if account.organisation_id is None:
            return None
        for grant in self._groups.of_person(person_id):
            if grant.organisation_id == account.organisation_id and grant.role is not None:
                found = self._providers().of_organisation(grant.provider_id)
                if found is None:
                    raise InputError(
                        "the provider whose groups gave this place is not set any more.",
                        code="forbidden",
                        hint="the operator sets it: bailee organisation provider",
                    )
                return found
        provider = self._providers().of_organisation(account.organisation_id)
        if provider is None:
            return None
        email = self._people.get(person_id).email
        if email is not None and emails.domain_of(email) == provider.domain:
            return provider
        query = select(identities.c.person_id).where(
            identities.c.person_id == person_id,
            identities.c.organisation_id == account.organisation_id,
            sound(identities),
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return provider if connection.execute(query).first() is not None else None

    def begin(self, confirmed: ConfirmedSignIn, *, client: str) -> ClientTokens:
        """Sign a client in, as a person has confirmed.

        Raises:
            InputError: `forbidden`, they have no part in the account any more.
        """
        person_id, now = confirmed.person_id, self._clock()
        account = self._accounts.get(confirmed.account_id)
        by = self._authority.by_person(person_id)
        self._make_room(person_id)
        key, _ = self._people.create_key(
            account, _plain(client) or "client", by=by, person_id=person_id, scope="signed_in"
        )
        provider, token = confirmed.provider, confirmed.token
        renewable = provider is None or token is not None
        values = {
            "key_id": key.key_id,
            "person_id": person_id,
            "organisation_id": None if provider is None else provider.organisation_id,
            "provider": None if provider is None else self._mark(provider),
            "provider_token": None if token is None else self._seal(person_id, token),
            "client": self._identifiers.seal(person_id, "client", client),
            "number": 1 if renewable else 0,
            "created_at": now,
            "renewed_at": now,
        }
        with storage_errors(_WHAT), self._engine.begin() as connection:
            gone = select(api_keys.c.id).where(api_keys.c.revoked_at.is_not(None))
            connection.execute(delete(sign_ins).where(sign_ins.c.key_id.in_(gone)))
            connection.execute(insert(sign_ins).values(values))
            self._ledger.append(
                "sign_in.client_begun",
                person_id,
                {
                    "key": key.key_id,
                    "account": account.account_id,
                    "provider": provider is not None,
                },
                connection=connection,
            )
        return self._tokens(key.key_id, person_id, 1 if renewable else 0)

    def _make_room(self, person_id: str) -> None:
        there = sorted(self.of_person(person_id), key=lambda one: one.renewed_at)
        for one in there[: max(0, len(there) - MOST + 1)]:
            self._end(one.key_id, "replaced", _NOBODY)

    # -- renewing --------------------------------------------------------------------------------

    def is_genuine(self, presented: str) -> bool:
        """Whether it is a refresh token that was made here. It looks nothing up."""
        return client_tokens.read_refresh_token(self._identifiers.index, presented) is not None

    def renew(self, presented: str) -> ClientTokens:
        """New tokens for a refresh token.

        Raises:
            InputError: `authentication`, it is not good, or the sign-in is over: sign in again.
            UpstreamError: the provider does not answer, or another server asks it; nothing has
                ended.
            StorageError: nothing was given; what the provider gave may be lost, then it says no
                next time.
        """
        token = client_tokens.read_refresh_token(self._identifiers.index, presented)
        if token is None:
            raise _over()
        with self._lock(token.key_id):
            return self._renewed(token)

    def _renewed(self, token: RefreshToken) -> ClientTokens:
        key_id = token.key_id
        row, now = self._row(key_id), self._clock()
        if row is None or not self._stands(row):
            raise _over()
        use = client_tokens.use_of(
            token.number, good=row.number, created=row.created_at, renewed=row.renewed_at, now=now
        )
        if use is RefreshUse.AGAIN:
            return self._tokens(key_id, row.person_id, row.number)
        if use is not RefreshUse.RENEW:
            self._end(key_id, "reused" if use is RefreshUse.REUSED else "lapsed", _NOBODY)
            raise _over()
        if row.organisation_id is None:
            return self._moved(token, row, now, None)
        until = renewal_claims.claim(self._engine, row, now)
        if until is None:
            return self._given_elsewhere(token)
        try:
            return self._moved(token, row, now, self._asked(row))
        except BaseException:
            renewal_claims.give_back(self._engine, row, until)
            raise

    def _given_elsewhere(self, token: RefreshToken) -> ClientTokens:
        """What another process gave that had the claim, if it is through."""
        row = self._row(token.key_id)
        if row is None or row.number != token.number:
            return self._renewed(token)
        raise renewal_claims.renewed_elsewhere()

    def _moved(
        self, token: RefreshToken, row: DbRow, now: datetime, sealed: bytes | None
    ) -> ClientTokens:
        """Make the next number good. `sealed`: what is kept of the provider's token."""
        if not renewal_claims.move_on(self._engine, row, now, sealed):
            return self._renewed(token)  # ended meanwhile, or renewed: what is so now counts
        return self._tokens(row.key_id, row.person_id, row.number + 1)

    def _stands(self, row: DbRow) -> bool:
        """Whether the key is good and its person still has a part in what they work for."""
        key = self._key(row.key_id)
        if key is None or key.revoked_at is not None:
            return False
        account = self._accounts.get(key.account_id)
        if account.organisation_id is None:
            return bool(account.person_id == row.person_id)
        return self._authority.role(row.person_id, account.organisation_id) is not None

    def _asked(self, row: DbRow) -> bytes:
        """Ask the provider: what is kept of its token from now on."""
        providers = self._providers()
        provider = providers.of_organisation(row.organisation_id)
        if provider is None or self._mark(provider) != row.provider or row.provider_token is None:
            self._end(row.key_id, "changed", _NOBODY)
            raise _over()
        kept = self._identifiers.open(row.person_id, "provider token", row.provider_token)
        try:
            renewed = providers.renew(provider, kept)
        except InputError as error:
            if error.code == "authentication":
                if self._moved_on(row):
                    raise renewal_claims.renewed_elsewhere() from error
                self._end(row.key_id, "provider", _NOBODY)
            raise
        sealed = self._seal(row.person_id, renewed.token)
        # What comes next may fail, and the provider's old one is used.
        renewal_claims.keep(self._engine, row, sealed)
        try:
            providers.settle(provider, row.person_id, renewed)
        except InputError as error:
            if error.code != "forbidden":
                raise UpstreamError(error.message, hint=error.hint) from error
        if not self._stands(row):
            self._end(row.key_id, "groups", _NOBODY)
            raise _over()
        return sealed

    def _moved_on(self, row: DbRow) -> bool:
        """Whether another server has asked the provider meanwhile, as the claim was over."""
        now = self._row(row.key_id)
        return now is not None and now.provider_token != row.provider_token

    def _tokens(self, key_id: str, person_id: str, number: int) -> ClientTokens:
        prove, lasts = self._identifiers.index, client_tokens.LASTS
        return ClientTokens(
            client_tokens.access_token(prove, key_id, self._clock() + lasts),
            int(lasts.total_seconds()),
            client_tokens.refresh_token(prove, key_id, number) if number else None,
            self._people.get(person_id).email,
        )

    # -- listing and ending ----------------------------------------------------------------------

    def of_person(self, person_id: str) -> list[ClientSignIn]:
        """A person's clients that are signed in, the last renewed first."""
        found = []
        for row in self._rows(sign_ins.c.person_id == person_id):
            key = self._key(row.key_id)
            ends = min(
                row.renewed_at + (client_tokens.IDLE if row.number else client_tokens.LASTS),
                row.created_at + client_tokens.ABSOLUTE,
            )
            if key is None or key.revoked_at is not None or ends <= self._clock():
                continue
            client = self._identifiers.shown(person_id, "client", row.client)
            found.append(
                ClientSignIn(
                    row.key_id,
                    key.account_id,
                    client,
                    row.organisation_id is not None,
                    row.created_at,
                    row.renewed_at,
                    ends,
                )
            )
        return sorted(found, key=lambda one: one.renewed_at, reverse=True)

    def end(self, person_id: str, key_id: str | None, *, by: Actor) -> list[str]:
        """Sign one of a person's clients out, or all; at once and for good. The ids of their keys.

        Raises:
            InputError: `not_found`, they have none with this id; `forbidden`.
        """
        self._authority.require_for_person(by, Permission.SIGN_IN_END, person_id)
        ids = [one.key_id for one in self.of_person(person_id)]
        if key_id is not None:
            if key_id not in ids:
                raise InputError("no client is signed in by this id.", code="not_found")
            ids = [key_id]
        else:  # what they have confirmed and no client has taken
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(delete(pending).where(pending.c.person_id == person_id))
        for one in ids:
            with self._lock(one):
                self._end(one, "everywhere" if key_id is None else "signed_out", by)
        return ids

    def end_by_token(self, presented: str) -> None:
        """Sign the client of a token out (RFC 7009), whichever of its tokens it is. What is no
        token changes nothing.
        """
        prove = self._identifiers.index
        token = client_tokens.read_refresh_token(prove, presented)
        key_id = None if token is None else token.key_id
        if token is None:
            found = self._accounts.authenticate(presented.encode("utf-8", "surrogatepass"))
            if found is not None and found[0].scope == "signed_in":
                key_id = found[0].key_id
        row = None if key_id is None else self._row(key_id)
        if key_id is not None and row is not None:
            with self._lock(key_id):
                self._end(key_id, "signed_out", Actor(person_id=row.person_id))

    def _end(self, key_id: str, why: Why, by: Actor) -> None:
        """Revoke the key, then drop the row, with what the provider gave. Each can be repeated."""
        if self._key(key_id) is not None:
            self._accounts.revoke(key_id, by=by)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            row = connection.execute(
                delete(sign_ins).where(sign_ins.c.key_id == key_id).returning(sign_ins.c.person_id)
            ).first()
            if row is not None:
                self._ledger.append(
                    "sign_in.client_ended",
                    row.person_id,
                    {"key": key_id, "why": why, "by": by.name},
                    connection=connection,
                )

    # -- inside ----------------------------------------------------------------------------------

    def _lock(self, key_id: str) -> threading.Lock:
        return self._locks[hash(key_id) % _LOCKS]

    def _key(self, key_id: str) -> ApiKey | None:
        try:
            return self._accounts.api_key(key_id)
        except InputError:
            return None  # its row is not sound

    def _row(self, key_id: str) -> DbRow | None:
        return next(iter(self._rows(sign_ins.c.key_id == key_id)), None)

    def _rows(self, which: ColumnElement[bool]) -> list[DbRow]:
        query = select(sign_ins).where(which, sound(sign_ins))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return list(connection.execute(query))

    def _seal(self, person_id: str, token: str) -> bytes:
        return self._identifiers.seal(person_id, "provider token", token)

    def _mark(self, provider: OpenIdProvider) -> bytes:
        return self._identifiers.index("provider", provider.issuer, provider.client_id)


def _plain(client: str) -> str:
    """What a client said of itself, as a name: whatever else it sent is no reason to refuse it."""
    return "".join(one for one in client if one.isascii() and one.isprintable()).strip()[:60]


def _over() -> InputError:
    return InputError(
        "this sign-in is over, or was never good.", code="authentication", hint="sign in again"
    )
