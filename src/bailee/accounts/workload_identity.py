"""Service accounts: machines that show a token of their CI provider and get one of ours.

Rules kept here:

* Of a token its signature, issuer, audience, life and claims have to be right, each exactly as the
  operator set them. The audience is ours alone: a token that is for others too is refused.
* Only signatures count that anyone can check and only the provider can make; a token says by which
  of its keys (`kid`).
* A token that lives longer than `LONGEST` is no job's. Until its end it can be shown again: jobs
  do, in steps, and whoever has it can be a job anyway. What is given lasts an hour.
* A provider's keys are fetched from where its metadata says, held for ten minutes, and looked for
  anew once a minute at the most, whatever is shown; while it is away they hold for an hour.
* What is given opens the gateway alone, on the organisation's terms, and is over at once when the
  service account is removed.

Standards: RFC 8693, RFC 7519, RFC 8725.
Rows: O1.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry, extract_compact
from sqlalchemy import ColumnElement, delete, func, insert, select

from bailee.accounts import client_tokens
from bailee.accounts.accounts import Accounts
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.provider_answers import (
    LEEWAY,
    SIGNATURES,
    check_address,
    json_object,
    metadata,
    not_one,
)
from bailee.accounts.provider_calls import Visits
from bailee.accounts.roles import Actor, Permission
from bailee.accounts.workloads import LONGEST_TOGETHER, check_patterns, matches
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.workloads import service_accounts
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.json_values import elements, text
from bailee.shown import named

MOST: Final = 100
LONGEST: Final = timedelta(hours=1)
_LARGEST: Final = 6000
_MOST_KEYS: Final = 100
_FRESH: Final = timedelta(minutes=10)
_AGAIN: Final = timedelta(minutes=1)
_HELD: Final = timedelta(hours=1)
_LONGEST_ADDRESS: Final = 290
_WHAT: Final = "the service accounts"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account. `issuer`, `audience`: of the tokens that count; `claims`: a pattern for
    each claim that has to match.
    """

    account_id: str
    organisation_id: str
    key_id: str
    issuer: str
    audience: str
    claims: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ExchangedToken:
    """What a machine gets. `lasts`: seconds."""

    access: str = field(repr=False)
    lasts: int


@dataclass(frozen=True, slots=True)
class _HeldKeys:
    keys: KeySet
    ids: frozenset[str]
    fetched: datetime


class WorkloadIdentity:
    """The service accounts of a home. Operations add, list and remove; the protocol exchanges, on
    threads that may wait for a provider. It owns their rows and, in memory, providers' public keys.
    It keeps no token.
    """

    def __init__(
        self,
        backing: Backing,
        *,
        accounts: Accounts,
        authority: Authority,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._random = backing.random
        self._prove = backing.identifiers.index
        self._accounts = accounts
        self._authority = authority
        self._visits = Visits(environment=environment)
        self._lock = threading.Lock()  # whenever `_keys` or `_tried` is read or changed
        self._keys: dict[str, _HeldKeys] = {}
        self._tried: dict[str, datetime] = {}

    # -- which there are -------------------------------------------------------------------------

    def add(
        self,
        organisation_id: str,
        name: str,
        *,
        issuer: str,
        audience: str,
        claims: Mapping[str, str],
        by: Actor,
    ) -> ServiceAccount:
        """A new service account of an organisation, for machines whose token says this.

        Raises:
            InputError: claims that are anybody's, an issuer that is not reached by TLS, there are
                as many as may be; `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        paying = self._accounts.of_organisation(organisation_id)
        check_address(issuer)
        for value, what in ((issuer, "an issuer"), (audience, "an audience")):
            if not value or named(value, what, longest=_LONGEST_ADDRESS) != value:
                raise InputError(f"{what} is a text without blanks around it.")
        stored = json.dumps(check_patterns(claims), ensure_ascii=False)
        if len(stored) > LONGEST_TOGETHER:
            raise InputError(f"the claims have more than {LONGEST_TOGETHER} characters together.")
        theirs = service_accounts.c.organisation_id == organisation_id
        with storage_errors(_WHAT), reading(self._engine) as connection:
            query = select(func.count()).select_from(service_accounts).where(theirs)
            if connection.execute(query).scalar_one() >= MOST:
                raise InputError(
                    f"an organisation has {MOST} service accounts at the most.", code="over_quota"
                )
        key, _ = self._accounts.create_key(paying.account_id, name, by=by, scope="workload")
        made = ServiceAccount(
            "svc_" + self._random(8).hex(), organisation_id, key.key_id, issuer, audience,
            dict(claims), self._clock(),
        )  # fmt: skip
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(service_accounts).values(
                    id=made.account_id,
                    organisation_id=organisation_id,
                    key_id=key.key_id,
                    issuer=issuer,
                    audience=audience,
                    claims=stored,
                    created_at=made.created_at,
                )
            )
            self._ledger.append(
                "workload.added",
                made.account_id,
                {
                    "organisation": organisation_id, "key": key.key_id, "issuer": issuer,
                    "audience": audience, "claims": stored, "by": by.name,
                },
                connection=connection,
            )  # fmt: skip
        return made

    def of_organisation(self, organisation_id: str) -> list[ServiceAccount]:
        """An organisation's, oldest first."""
        return self._rows(service_accounts.c.organisation_id == organisation_id)

    def remove(self, account_id: str, *, by: Actor) -> ServiceAccount:
        """Remove one: its tokens are good no more, at once.

        Raises:
            InputError: `not_found`, `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        found = self._one(account_id)
        self._accounts.revoke(found.key_id, by=by)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            this = service_accounts.c.id == account_id
            if connection.execute(delete(service_accounts).where(this)).rowcount:
                body = {"key": found.key_id, "by": by.name}
                self._ledger.append("workload.removed", account_id, body, connection=connection)
        return found

    # -- exchanging ------------------------------------------------------------------------------

    def exchange(self, account_id: str, presented: str) -> ExchangedToken:
        """A token of ours for a machine's.

        Raises:
            InputError: `not_found`, there is no such service account; `authentication`, the token
                does not count for it, and nothing says more.
            UpstreamError: the provider's keys can't be had.
        """
        found = self._one(account_id)
        if self._accounts.api_key(found.key_id).revoked_at is not None:
            raise _no_such()
        claims = self._claims(found, presented)
        if not matches(found.claims, claims):
            raise _not_good("it is another machine's")
        self._ledger.append("workload.exchanged", account_id, {"key": found.key_id})
        lasts = client_tokens.LASTS
        access = client_tokens.access_token(self._prove, found.key_id, self._clock() + lasts)
        return ExchangedToken(access, int(lasts.total_seconds()))

    def _claims(self, found: ServiceAccount, presented: str) -> Mapping[str, object]:
        """What a token says, after every check but that of what the operator set for its claims."""
        if len(presented) > _LARGEST:
            raise _not_good("it is too large")
        try:
            header = extract_compact(presented.encode("ascii")).headers()
        except (JoseError, ValueError, KeyError, TypeError, RecursionError):
            raise _not_good("it is no signed token") from None
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(kid, str) or algorithm not in SIGNATURES or "crit" in header:
            raise _not_good("it is not signed by a key that it names")
        keys = self._keys_of(found.issuer, kid)
        try:
            token = jwt.decode(
                presented,
                key=keys,
                registry=JWSRegistry(algorithms=SIGNATURES, strict_check_header=False),
            )
        except (JoseError, ValueError, KeyError, TypeError, RecursionError):
            raise _not_good("its signature does not hold") from None
        claims: dict[str, object] = dict(token.claims)
        self._check(found, claims)
        return claims

    def _check(self, found: ServiceAccount, claims: Mapping[str, object]) -> None:
        if claims.get("iss") != found.issuer:
            raise _not_good("it is of another issuer")
        said = claims.get("aud")
        if said not in (found.audience, [found.audience]):
            raise _not_good("it is for another audience")
        now = self._clock().timestamp()
        begun, until, after = (claims.get(name) for name in ("iat", "exp", "nbf"))
        if not (_is_time(begun) and _is_time(until) and (after is None or _is_time(after))):
            raise _not_good("it does not say when it is good")
        assert isinstance(begun, int | float)
        assert isinstance(until, int | float)
        if until <= now - LEEWAY:
            raise _not_good("it is over")
        if begun > now + LEEWAY or (isinstance(after, int | float) and after > now + LEEWAY):
            raise _not_good("it is not good yet")
        if until - begun > LONGEST.total_seconds():
            raise _not_good("it lives longer than a job's")

    def _keys_of(self, issuer: str, kid: str) -> KeySet:
        """The provider's keys, with the one that is named if the provider has it."""
        now = self._clock()
        with self._lock:
            held, tried = self._keys.get(issuer), self._tried.get(issuer)
            fresh = held is not None and now - held.fetched < _FRESH and kid in held.ids
            recent = tried is not None and timedelta(0) <= now - tried < _AGAIN
            if not fresh and not recent:
                self._tried[issuer] = now
        if held is not None and (fresh or recent):
            return self._with(held, kid, now)
        if recent:
            raise UpstreamError("the provider's keys can't be had now.", hint="in a minute")
        try:
            fetched = self._fetched(issuer, now)
        except BaileeError:
            if held is None:
                raise
            return self._with(held, kid, now)
        with self._lock:
            self._keys[issuer] = fetched
        return self._with(fetched, kid, now)

    @staticmethod
    def _with(held: _HeldKeys, kid: str, now: datetime) -> KeySet:
        if now - held.fetched > _HELD:
            raise UpstreamError("the provider's keys can't be had now.", hint="try again later")
        if kid not in held.ids:
            raise _not_good("its provider has no such key")
        return held.keys

    def _fetched(self, issuer: str, now: datetime) -> _HeldKeys:
        with self._visits.to(issuer) as visit:
            at = text(metadata(visit, issuer, ("jwks_uri",))["jwks_uri"])
            said = json_object(visit.ask("GET", at))
        listed = elements(said.get("keys"))
        if len(listed) > _MOST_KEYS:
            raise not_one("it has too many keys")
        usable = [
            one
            for one in listed
            if isinstance(one, dict) and one.get("kty") in ("RSA", "EC", "OKP") and one.get("kid")
        ]
        try:
            keys = KeySet.import_key_set({"keys": usable})  # type: ignore[typeddict-item]
        except (JoseError, ValueError, KeyError, TypeError):
            raise not_one("its keys can't be read") from None
        return _HeldKeys(keys, frozenset(text(one.get("kid")) for one in usable), now)

    # -- inside ----------------------------------------------------------------------------------

    def _one(self, account_id: str) -> ServiceAccount:
        found = self._rows(service_accounts.c.id == account_id)
        if not found:
            raise _no_such()
        return found[0]

    def _rows(self, condition: ColumnElement[bool]) -> list[ServiceAccount]:
        query = select(service_accounts).where(condition, sound(service_accounts))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query.order_by(service_accounts.c.created_at))
            return [_read(row) for row in rows]


def _read(row: DbRow) -> ServiceAccount:
    return ServiceAccount(
        row.id,
        row.organisation_id,
        row.key_id,
        row.issuer,
        row.audience,
        json.loads(row.claims),
        row.created_at,
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1 << 40


def _no_such() -> InputError:
    return InputError("there is no such service account.", code="not_found")


def _not_good(why: str) -> InputError:
    return InputError(f"the token does not count here: {why}.", code="authentication")
