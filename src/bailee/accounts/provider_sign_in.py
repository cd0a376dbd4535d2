"""Signing in through an organisation's OpenID provider.

Rules kept here:

* Authorization code with PKCE (S256), `state` and `nonce`; what comes back belongs to the browser
  that was sent (a cookie of its own), and counts once.
* The issuer of the metadata, of the answer (RFC 9207, where the provider sends it) and of the ID
  token is exactly the one that was set; the audience is our client; only signatures count that
  anyone can check but only the provider can make.
* Each organisation has one provider and one email domain, bound by the operator. The provider
  speaks for that domain and no other, and only for emails that it calls verified.
* Who comes for the first time becomes a member, never more, unless rules say otherwise. Whom the
  organisation has let go comes in no more, and is not taken in again by coming: an admin does that.
* Where there are rules for the provider's groups (`group_grants`), they say who has a place here
  and which; whom they give nothing is nobody here.
* Whom the provider made known and ended (`provisioned_people`) comes in no more, until it says so.
* Whoever had the email before by signing up without proof loses every way in that they had: the
  provider decides who that person is.
* A provider is asked for a token only for a client that signs in (`offline`). Whoever keeps it,
  sealed, has the provider asked at each renewal whether it still holds.

Standards: OpenID Connect Core 1.0, RFC 7636, RFC 9207; by way of Authlib.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, TypedDict
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from sqlalchemy import ColumnElement, delete, insert, select, update

from bailee.accounts import emails
from bailee.accounts.accounts import Accounts
from bailee.accounts.attempts import network
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.group_grants import GroupGrants, let_go, nothing_given
from bailee.accounts.groups import is_there
from bailee.accounts.organisations import Organisations
from bailee.accounts.pending import Pending, PendingKind
from bailee.accounts.people import People
from bailee.accounts.provider_answers import (
    LEEWAY,
    SIGNATURES,
    check_address,
    json_object,
    metadata,
    not_one,
)
from bailee.accounts.provider_calls import Visit, Visits
from bailee.accounts.roles import OPERATOR, Actor, Permission
from bailee.accounts.ways_in import Arrived, Begun, OpenIdProvider
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.pending import pending
from bailee.db.people import identities, passkeys, persons, providers, web_sessions
from bailee.errors import InputError
from bailee.json_values import members, text
from bailee.shown import named

_WHAT: Final = "the providers"
_PROVIDER: Final = [column for column in providers.c if column is not providers.c.mac]
_LONGEST_ADDRESS: Final = 1000
_VISIT: Final = PendingKind("provider", 100, strangers=True)
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class _Begun:
    provider: OpenIdProvider
    redirect_uri: str
    nonce: str
    verifier: str
    offline: bool

    def packed(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def unpacked(cls, packed: str) -> _Begun:
        said = members(json.loads(packed))
        provider = OpenIdProvider.of_json(members(said["provider"]))
        redirect_uri, nonce, verifier = (
            text(said[name]) for name in ("redirect_uri", "nonce", "verifier")
        )
        return cls(provider, redirect_uri, nonce, verifier, said["offline"] is True)


@dataclass(frozen=True, slots=True)
class RenewedArrival:
    """What a provider said when it was asked whether somebody may still come in. `token`: by which
    it is asked the next time; `said`: all of its answer.
    """

    token: str = field(repr=False)
    said: Mapping[str, object] = field(repr=False)


class _Posted(TypedDict):
    content: bytes
    headers: dict[str, str]


class ProviderSignIn:
    """The OpenID providers of a home's organisations.

    The console calls it: `begin` and `finish`, which ask the provider, on threads that may wait for
    another's server; the rest on any. It owns the bindings' rows; who was sent to a provider and
    is not back waits among `pending`. It begins no web session, and keeps no token of a provider's.
    """

    def __init__(
        self,
        backing: Backing,
        *,
        accounts: Accounts,
        people: People,
        organisations: Organisations,
        authority: Authority,
        groups: GroupGrants,
        things: Pending,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._identifiers = backing.identifiers
        self._accounts = accounts
        self._people = people
        self._organisations = organisations
        self._authority = authority
        self._groups = groups
        self._environment = environment
        self._visits = Visits(environment=environment)
        self._pending = things

    # -- which provider --------------------------------------------------------------------------

    def bind(
        self,
        organisation_id: str,
        *,
        domain: str,
        issuer: str,
        client_id: str,
        secret_env: str | None,
        by: Actor,
    ) -> OpenIdProvider:
        """Set an organisation's provider, and bind an email domain to it.

        Raises:
            InputError: a domain that is none or that another organisation has; an issuer that is
                not reached by TLS; `forbidden`.
        """
        self._authority.require(by, Permission.PROVIDER_CHANGE)
        self._organisations.get(organisation_id)
        bound = domain.strip().lower()
        if not _DOMAIN.fullmatch(bound) or len(bound) > 253:
            raise InputError("that is not a domain.", hint="write it like example.org")
        check_address(issuer)
        for value, what in (
            (issuer, "an issuer"),
            (client_id, "a client"),
            (secret_env or "", "a variable"),
        ):
            if named(value, what, longest=_LONGEST_ADDRESS) != value:
                raise InputError(f"{what} must not have blanks around it.")
        provider = OpenIdProvider(organisation_id, bound, issuer, client_id, secret_env)
        values = {
            "domain": bound,
            "issuer": issuer,
            "client_id": client_id,
            "secret_env": secret_env,
        }
        with storage_errors(_WHAT), self._engine.begin() as connection:
            other = connection.execute(
                select(providers.c.organisation_id).where(providers.c.domain == bound)
            ).scalar()
            if other not in (None, organisation_id):
                raise InputError("another organisation has this domain.")
            connection.execute(
                delete(providers).where(providers.c.organisation_id == organisation_id)
            )
            connection.execute(insert(providers).values(organisation_id=organisation_id, **values))
            self._ledger.append(
                "provider.bound",
                organisation_id,
                {"domain": bound, "issuer": issuer[:300], "by": by.name},
                connection=connection,
            )
        return provider

    def of_organisation(self, organisation_id: str) -> OpenIdProvider | None:
        """An organisation's provider, if it has one."""
        return self._one(providers.c.organisation_id == organisation_id)

    def for_email(self, email: str) -> OpenIdProvider | None:
        """The provider that speaks for an email's domain.

        Raises:
            InputError: not an email.
        """
        return self._one(providers.c.domain == emails.domain_of(emails.normal(email)))

    def _one(self, condition: ColumnElement[bool]) -> OpenIdProvider | None:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(select(*_PROVIDER).where(condition, sound(providers))).first()
        return None if row is None else OpenIdProvider(*row)

    # -- there and back --------------------------------------------------------------------------

    def begin(
        self, provider: OpenIdProvider, *, redirect_uri: str, address: str, offline: bool = False
    ) -> Begun:
        """Begin a visit from an address: where to send the browser. `offline`: it is for a client
        whose sign-in is to be renewed while nobody is there.

        Raises:
            InputError: `too_many_attempts`, too many were begun from this address.
            UpstreamError: the provider does not answer as one.
        """
        self._secret(provider)
        rules = self._groups.rules(provider.organisation_id)
        scopes = ["openid", "email", *(["offline_access"] if offline else [])]
        if rules is not None:
            scopes += rules.scope.split()
        with self._visits.to(provider.organisation_id) as visit:
            metadata = _metadata(visit, provider)
        nonce, verifier, cookie = (secrets.token_urlsafe(32) for _ in range(3))
        state = self._pending.secret()
        begun = _Begun(provider, redirect_uri, nonce, verifier, offline)
        secret = _secret(state, cookie)
        self._pending.put(_VISIT, secret, begun.packed(), asker=network(address))
        url: str = prepare_grant_uri(
            metadata["authorization_endpoint"],
            provider.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=" ".join(dict.fromkeys(scopes)),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            # OpenID Connect Core, 11: without it strict providers give no refresh token.
            **({"prompt": "consent"} if offline else {}),
        )
        return Begun(url, cookie)

    def finish(self, answer: Mapping[str, str], *, cookie: str | None) -> str:
        """The id of the person who comes back (`arrive`)."""
        return self.arrive(answer, cookie=cookie).person_id

    def arrive(self, answer: Mapping[str, str], *, cookie: str | None) -> Arrived:
        """Who comes back; begin a web session for them next. `answer` is the query that the
        provider sent them with, `cookie` that of `begin`.

        Raises:
            InputError: `authentication`, it is not an answer to what was begun, or not one that
                counts here.
            UpstreamError: the provider does not answer as one.
        """
        taken = self._pending.take(_VISIT, _secret(answer.get("state", ""), cookie or ""))
        if taken is None:
            raise _refused("this sign-in was not begun here, or took too long.")
        begun = _Begun.unpacked(taken.content)
        with self._visits.to(begun.provider.organisation_id) as visit:
            metadata = _metadata(visit, begun.provider)
            said = answer.get("iss")
            wanted = metadata.get("authorization_response_iss_parameter_supported") is True
            if said != begun.provider.issuer and (said is not None or wanted):
                raise _refused("the answer comes from another provider.")
            if "code" not in answer:
                raise _refused("the provider did not sign you in.")
            token = self._token(visit, begun, text(metadata["token_endpoint"]), answer["code"])
            claims = self._claims(visit, begun.provider, begun.nonce, metadata, token)
        person_id = self._person(begun.provider, claims)
        given = token.get("refresh_token")
        kept = given if begun.offline and isinstance(given, str) and given else None
        return Arrived(person_id, begun.provider, begun.offline, kept)

    def renew(self, provider: OpenIdProvider, token: str) -> RenewedArrival:
        """Ask a provider whether who it gave this refresh token may still come in. Where there are
        rules for its groups, `settle` what it said next.

        Raises:
            InputError: `authentication`, they may not; `configuration`, it can't be asked.
            UpstreamError: it does not say.
        """
        form = {"grant_type": "refresh_token", "refresh_token": token}
        with self._visits.to(provider.organisation_id) as visit:
            url = text(_metadata(visit, provider)["token_endpoint"])
            answer = visit.ask("POST", url, **self._posted(provider, form))
        if 400 <= answer.status < 500:
            try:
                said = json.loads(answer.content)
            except (ValueError, RecursionError):
                said = None
            # RFC 6749, 5.2. Anything else is about us, or about this moment.
            if isinstance(said, dict) and said.get("error") == "invalid_grant":
                raise _refused("the organisation's provider no longer lets you in.")
        said = json_object(answer)
        given = said.get("refresh_token")
        return RenewedArrival(given if isinstance(given, str) and given else token, said)

    def settle(self, provider: OpenIdProvider, person_id: str, renewed: RenewedArrival) -> None:
        """Give and take what the provider's groups give a person, by what it said when it was asked
        whether they may still come in.

        Raises:
            InputError: `forbidden`, they have nothing here any more; `groups_unknown` or
                `authentication`, it says nothing that counts: nothing has changed.
            UpstreamError: it does not say; nothing has changed.
        """
        if self._groups.rules(provider.organisation_id) is None:
            self._groups.settle(provider.organisation_id, person_id, {})
            return
        with self._visits.to(provider.organisation_id) as visit:
            metadata = _metadata(visit, provider)
            claims = self._claims(visit, provider, None, metadata, renewed.said)
        index = self._identifiers.index("oidc", provider.issuer, text(claims.get("sub")))
        if index not in self._identities(person_id):
            raise _refused("the provider's answers are about two people.")
        self._groups.settle(provider.organisation_id, person_id, claims)

    def _was_let_go(self, provider: OpenIdProvider, person_id: str) -> bool:
        """Whether a person has had a place in the organisation and has none now: before their first
        visit by the provider nothing else says so.
        """
        if self._authority.role(person_id, provider.organisation_id) is not None:
            return False
        removed = self._ledger.entries(kind="member.removed", subject=provider.organisation_id)
        return any(one.body.get("person") == person_id for one in removed)

    def _identities(self, person_id: str) -> set[bytes]:
        query = select(identities.c.subject_index).where(
            identities.c.person_id == person_id, sound(identities)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return set(connection.execute(query).scalars())

    def _claims(
        self,
        visit: Visit,
        provider: OpenIdProvider,
        nonce: str | None,
        metadata: Mapping[str, object],
        token: Mapping[str, object],
    ) -> Mapping[str, object]:
        """The claims of the ID token, after every check; with the email and the groups, if they are
        elsewhere. `nonce`: None, it renews, where a provider may leave the ID token out.
        """
        claims: Mapping[str, object] = {}
        if isinstance(token.get("id_token"), str):
            keys = json_object(visit.ask("GET", text(metadata["jwks_uri"])))
            claims = self._checked(provider, nonce, token, keys)
        elif nonce is not None:
            raise not_one("it gave no ID token")
        rules = self._groups.rules(provider.organisation_id)
        at = metadata.get("userinfo_endpoint")
        complete = "email" in claims and (rules is None or is_there(claims, rules.claim))
        if complete or not isinstance(at, str):
            return claims
        check_address(at)
        bearer = {"authorization": f"Bearer {token.get('access_token')}"}
        info = json_object(visit.ask("GET", at, headers=bearer))
        if claims and info.get("sub") != claims.get("sub"):
            raise _refused("the provider's answers are about two people.")
        return {**info, **claims}

    def _token(self, visit: Visit, begun: _Begun, url: str, code: str) -> Mapping[str, object]:
        """The provider's answer to a code (RFC 6749, 4.1.3; RFC 7636, 4.5)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect_uri,
            "code_verifier": begun.verifier,
        }
        answer = visit.ask("POST", url, **self._posted(begun.provider, form))
        if 400 <= answer.status < 500:
            raise _refused(f"the provider did not accept this ({answer.status}).")
        return json_object(answer)

    def _posted(self, provider: OpenIdProvider, form: Mapping[str, str]) -> _Posted:
        """A form as its token endpoint takes it from our client (RFC 6749, 2.3.1)."""
        headers = {
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded;charset=UTF-8",
        }
        values, secret = dict(form), self._secret(provider)
        if secret is None:
            values["client_id"] = provider.client_id
        else:
            pair = base64.b64encode(f"{provider.client_id}:{secret}".encode()).decode()
            headers["authorization"] = f"Basic {pair}"
        return {"content": urlencode(values).encode(), "headers": headers}

    def _checked(
        self,
        provider: OpenIdProvider,
        nonce: str | None,
        token: Mapping[str, object],
        jwks: Mapping[str, object],
    ) -> dict[str, object]:
        try:
            decoded = jwt.decode(
                text(token["id_token"]),
                key=KeySet.import_key_set(dict(jwks)),  # type: ignore[arg-type]
                registry=JWSRegistry(algorithms=SIGNATURES, strict_check_header=False),
            )
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": provider.issuer},
                    "aud": {"essential": True, "value": provider.client_id},
                },
                {
                    **({} if nonce is None else {"nonce": nonce}),
                    "client_id": provider.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock().timestamp()), leeway=LEEWAY)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _refused(f"the ID token does not hold ({type(error).__name__}).") from error
        return dict(claims)

    # -- who it is -------------------------------------------------------------------------------

    def _person(self, provider: OpenIdProvider, claims: Mapping[str, object]) -> str:
        subject, email = claims.get("sub"), claims.get("email")
        if not isinstance(subject, str) or not subject:
            raise _refused("the provider does not say who you are.")
        index = self._identifiers.index("oidc", provider.issuer, subject)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(
                select(identities.c.person_id, identities.c.organisation_id).where(
                    identities.c.subject_index == index, sound(identities)
                )
            ).first()
        if row is not None and row.organisation_id == provider.organisation_id:
            known: str = row.person_id
            self._groups.refuse_ended(provider.organisation_id, known)
            self._groups.settle(provider.organisation_id, known, claims)
            if self._has_rules(provider):
                return known
            if self._authority.role(known, provider.organisation_id) is None:
                raise let_go()
            return known
        if row is not None:
            raise _refused("the provider has signed you in for another organisation.")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise _refused("the provider does not vouch for your email.")
        address = emails.normal(email)
        if emails.domain_of(address) != provider.domain:
            raise _refused("the provider does not speak for your email's domain.")
        found = self._people.by_email(address)
        whose = None if found is None else found.person_id
        if whose is not None:
            self._groups.refuse_ended(provider.organisation_id, whose)
        given = self._groups.gives(provider.organisation_id, whose, claims)
        made_known = whose is not None and self._groups.is_provisioned(
            provider.organisation_id, whose
        )
        if given is not None and not given and not made_known:
            raise nothing_given()
        if given is None and whose is not None and self._was_let_go(provider, whose):
            raise let_go()
        if found is None:
            person, _ = self._people.insert(address, plan=None, password=None, by=None)
        else:
            person = found
            if person.operator:  # or whoever has the provider would have this service, too
                raise _refused("an operator does not sign in through an organisation.")
            self._take_over(person.person_id)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            # There is none, or one that is not sound.
            connection.execute(delete(identities).where(identities.c.subject_index == index))
            connection.execute(
                insert(identities).values(
                    subject_index=index,
                    person_id=person.person_id,
                    organisation_id=provider.organisation_id,
                    created_at=self._clock(),
                )
            )
            self._ledger.append(
                "person.identity_bound",
                person.person_id,
                {"organisation": provider.organisation_id},
                connection=connection,
            )
        if given is not None:
            self._groups.settle(provider.organisation_id, person.person_id, claims)
        elif self._authority.role(person.person_id, provider.organisation_id) is None:
            self._organisations.put(
                provider.organisation_id, person.person_id, "member", by="provider"
            )
        return person.person_id

    def _has_rules(self, provider: OpenIdProvider) -> bool:
        return self._groups.rules(provider.organisation_id) is not None

    def _take_over(self, person_id: str) -> None:
        """End every way in that was there before the provider said whose email this is."""
        for key, account in self._accounts.api_keys():
            if person_id in (key.person_id, account.person_id) and person_id == key.created_by:
                self._accounts.revoke(key.key_id, by=OPERATOR)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for table in (passkeys, web_sessions, pending):
                connection.execute(delete(table).where(table.c.person_id == person_id))
            connection.execute(
                update(persons).where(persons.c.id == person_id).values(password=None)
            )
            self._ledger.append("person.taken_over", person_id, {}, connection=connection)

    # -- asking a provider -----------------------------------------------------------------------

    def _secret(self, provider: OpenIdProvider) -> str | None:
        secret = self._environment.get(provider.secret_env) if provider.secret_env else None
        if provider.secret_env and not secret:
            raise InputError(
                f"the environment variable {provider.secret_env} holds no secret.",
                code="configuration",
                hint="set it where the server runs",
            )
        return secret


def _metadata(visit: Visit, provider: OpenIdProvider) -> Mapping[str, object]:
    return metadata(visit, provider.issuer, _ENDPOINTS)


def _secret(state: str, cookie: str) -> str:
    """By what a visit is found: whoever has the answer without the browser's cookie finds none."""
    return f"{state} {cookie}"


def _refused(message: str) -> InputError:
    return InputError(message, code="authentication", hint="begin again from the sign-in page")
