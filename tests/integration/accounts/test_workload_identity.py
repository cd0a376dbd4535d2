"""Machines that show a token of their CI provider: with a real signer, and hostile tokens.

Rows: O1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry

from bailee.accounts import OPERATOR
from bailee.accounts.workload_identity import ServiceAccount
from bailee.errors import BaileeError, InputError
from support.homes.town import Town
from support.servers.ci import CURVED, OURS, Ci

OTHER = RSAKey.generate_key(2048, {"kid": "one"})
AUDIENCE = "https://gateway.acme.example"


class Acme:
    """An organisation with a service account for one branch of one repository."""

    def __init__(self, folder: Path, ci: Ci) -> None:
        self.ci = ci
        self.town = Town(folder)
        self.organisation = self.town.organisation("Acme")
        self.workloads = self.town.registry.workloads
        self.account = self.add(repository="acme/app", ref="refs/heads/*")

    def add(self, **claims: str) -> ServiceAccount:
        """A service account for these claims."""
        return self.workloads.add(
            self.organisation, "ci", issuer=self.ci.issuer, audience=AUDIENCE, claims=claims,
            by=OPERATOR,
        )  # fmt: skip

    def claims(self, **changes: object) -> dict[str, object]:
        """What GitHub says of a job, with changes (None: left out)."""
        now = int(self.town.clock().timestamp())
        said = {
            "iss": self.ci.issuer,
            "aud": AUDIENCE,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "repository": "acme/app",
            "repository_owner": "acme",
            "ref": "refs/heads/main",
            "iat": now,
            "nbf": now - 300,
            "exp": now + 300,
            "jti": "b7a1",
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(
        self, key: Any = OURS, alg: str = "RS256", kid: str = "one", **changes: object
    ) -> str:
        """A signed token."""
        return jwt.encode(
            {"alg": alg, "kid": kid, "typ": "JWT"}, self.claims(**changes), key,
            registry=JWSRegistry(algorithms=[alg]),
        )  # fmt: skip

    def refused(self, token: str, account: str | None = None) -> str:
        """The code with which it is refused."""
        with pytest.raises(BaileeError) as error:
            self.workloads.exchange(account or self.account.account_id, token)
        return error.value.code

    def opens(self, access: str) -> bool:
        """Whether the gateway takes a token of ours."""
        return self.town.registry.accounts.authenticate(access.encode()) is not None


@pytest.fixture
def ci() -> Iterator[Ci]:
    """See `Ci`."""
    made = Ci()
    yield made
    made.close()


@pytest.fixture
def acme(tmp_path: Path, ci: Ci) -> Acme:
    """See `Acme`."""
    return Acme(tmp_path, ci)


def test_a_job_gets_an_hour_of_the_gateway_on_the_organisations_terms(acme: Acme) -> None:
    """For nobody, and nothing but the gateway; again within its token's life; and no longer than
    the service account is there.
    """
    registry, token = acme.town.registry, acme.token()

    given = acme.workloads.exchange(acme.account.account_id, token)
    again = acme.workloads.exchange(acme.account.account_id, token)
    by_curve = acme.workloads.exchange(
        acme.account.account_id, acme.token(CURVED, "ES256", "two", aud=[AUDIENCE])
    )
    found = registry.accounts.authenticate(given.access.encode())
    sends = registry.accounts.authenticate(given.access.encode(), sending=True)
    with pytest.raises(InputError) as speaks:
        registry.authority.by_key(given.access)
    acme.workloads.remove(acme.account.account_id, by=OPERATOR)

    assert found is not None
    assert (acme.organisation, None) == (found[1].organisation_id, found[0].person_id)
    assert (3600, acme.account.key_id, "workload") == (
        given.lasts, found[0].key_id, found[0].scope,
    )  # fmt: skip
    assert sends is None
    assert "forbidden" == speaks.value.code
    assert not any(acme.opens(one.access) for one in (given, again, by_curve))
    assert "not_found" == acme.refused(token)
    assert 3 == sum(one.kind == "workload.exchanged" for one in acme.town.ledger.entries())


def test_what_was_given_ends_after_an_hour(acme: Acme) -> None:
    """There is nothing by which it is renewed."""
    given = acme.workloads.exchange(acme.account.account_id, acme.token())
    acme.town.fake.advance(timedelta(seconds=59 * 60))
    before = acme.opens(given.access)
    acme.town.fake.advance(timedelta(seconds=61))
    assert (True, False) == (before, acme.opens(given.access))


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(acme: Acme, alg: str) -> str:
    return f"{_part({'alg': alg, 'kid': 'one'})}.{_part(acme.claims())}."


def _by_the_public_key(acme: Acme) -> str:
    said = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{_part(acme.claims())}"
    digest = hmac.digest(OURS.as_pem(private=False), said.encode(), hashlib.sha256)
    return f"{said}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _with_other_claims(acme: Acme) -> str:
    head, _, signature = acme.token(repository="evil/app").split(".")
    return f"{head}.{_part(acme.claims())}.{signature}"


def _brings_its_key(acme: Acme) -> str:
    header = {"alg": "RS256", "kid": "one", "jwk": OTHER.as_dict(private=False)}
    registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    return jwt.encode(header, acme.claims(), OTHER, registry=registry)


def _signed(**changes: Any) -> Callable[[Acme], str]:
    return lambda acme: acme.token(**changes)


def _at(**seconds: int) -> Callable[[Acme], str]:
    def made(acme: Acme) -> str:
        now = int(acme.town.clock().timestamp())
        return acme.token(**{name: now + value for name, value in seconds.items()})

    return made


HOSTILE: Mapping[str, Callable[[Acme], str]] = {
    "no signature": lambda acme: _unsigned(acme, "none"),
    "no signature, in capitals": lambda acme: _unsigned(acme, "NONE"),
    "a signature left out": lambda acme: _unsigned(acme, "RS256"),
    "HS256 with the public key": _by_the_public_key,
    "HS256": _signed(key=OctKey.import_key("x" * 32), alg="HS256"),
    "another's key": _signed(key=OTHER),
    "a key that it brings": _brings_its_key,
    "the claims of another": _with_other_claims,
    "an unknown key": _signed(kid="three"),
    "the other key's name": _signed(kid="two"),
    "another issuer": _signed(iss="https://token.actions.githubusercontent.com"),
    "nearly the issuer": lambda acme: acme.token(iss=acme.ci.issuer + "/"),
    "no issuer": _signed(iss=None),
    "another audience": _signed(aud="https://github.com/acme"),
    "two audiences": _signed(aud=[AUDIENCE, "https://evil.example"]),
    "no audience": _signed(aud=None),
    "over": _at(iat=-3000, nbf=-3000, exp=-61),
    "not yet": _at(iat=120, nbf=120, exp=300),
    "not before": _at(nbf=120),
    "no end": _signed(exp=None),
    "no beginning": _signed(iat=None),
    "an end that is no number": _signed(exp="9999999999"),
    "an end that is true": _signed(exp=True),
    "a life of a day": _at(exp=24 * 3600),
    "another repository": _signed(repository="acme/app2"),
    "a repository of a like name": _signed(repository="evil/acme/app"),
    "a branch behind a border": _signed(ref="refs/heads/x/main"),
    "a tag": _signed(ref="refs/tags/main"),
    "no repository": _signed(repository=None),
    "a list": _signed(repository=["acme/app"]),
    "huge": _signed(more="x" * 6000),
    "no token": lambda _: "a.b.c",
    "nothing": lambda _: "..",
    "no ASCII": lambda _: "é.é.é",
    "a key of ours": lambda _: "bl_0000000000_" + "0" * 48,
}


def test_hostile_tokens_give_nothing(acme: Acme) -> None:
    """Each is wrong in one thing, and the refusal holds nothing of it."""
    right = acme.token()
    found = {}
    for name, made in HOSTILE.items():
        token = made(acme)
        with pytest.raises(InputError) as error:
            acme.workloads.exchange(acme.account.account_id, token)
        found[name] = error.value.code
        assert token not in f"{error.value.message} {error.value.hint}"
    assert dict.fromkeys(HOSTILE, "authentication") == found
    assert acme.workloads.exchange(acme.account.account_id, right).access
    other = acme.add(repository="acme/other")
    assert "authentication" == acme.refused(right, other.account_id)


def test_keys_are_asked_for_seldom_whatever_is_shown(acme: Acme, ci: Ci) -> None:
    """A new key is found within a minute; a provider that is away holds nobody up for an hour."""
    acme.workloads.exchange(acme.account.account_id, acme.token())
    for number in range(20):
        acme.refused(acme.token(kid=f"none-{number}"))
    once = ci.asked
    fresh = RSAKey.generate_key(2048, {"kid": "new"})
    ci.keys = [fresh]
    acme.town.fake.advance(timedelta(seconds=61))
    acme.workloads.exchange(acme.account.account_id, acme.token(fresh, kid="new"))
    old = acme.refused(acme.token())
    ci.away = True
    acme.town.fake.advance(timedelta(seconds=30 * 60))
    acme.workloads.exchange(acme.account.account_id, acme.token(fresh, kid="new"))
    acme.town.fake.advance(timedelta(seconds=31 * 60))
    away = acme.refused(acme.token(fresh, kid="new"))

    assert (1, 2) == (once, ci.asked)
    assert "authentication" == old
    assert away.startswith("upstream")


def test_only_the_operator_makes_one_and_never_for_everybody(acme: Acme) -> None:
    """An issuer is an address that this server asks."""
    owner, _ = acme.town.person("owner@acme.example")
    acme.town.registry.organisations.add(acme.organisation, owner.person_id, "owner", by=OPERATOR)
    for by, issuer, claims in (
        (acme.town.actor(owner), acme.ci.issuer, {"repository": "acme/app"}),
        (OPERATOR, "http://ci.example", {"repository": "acme/app"}),
        (OPERATOR, "https://ci.example?x=1", {"repository": "acme/app"}),
        (OPERATOR, acme.ci.issuer, {"ref": "refs/heads/main"}),
        (OPERATOR, acme.ci.issuer, {"sub": "repo:*/app:pull_request"}),
    ):
        with pytest.raises(InputError):
            acme.workloads.add(
                acme.organisation, "ci", issuer=issuer, audience=AUDIENCE, claims=claims, by=by
            )
    assert 1 == len(acme.workloads.of_organisation(acme.organisation))
