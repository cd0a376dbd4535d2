"""Signing in through a real OpenID provider: npm `oidc-provider` in a process of its own."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from bailee.accounts import OPERATOR, Begun, OpenIdProvider
from bailee.clock import system_clock
from bailee.errors import BaileeError, InputError
from support.clients.node_modules import module
from support.homes.town import PASSWORD, Town

VERSION = "9.13.3"
REDIRECT = "http://127.0.0.1:1/sign-in/provider"
ACCOUNTS = {
    "ada": {"email": "Ada@acme.example", "email_verified": True},
    "eve": {"email": "eve@elsewhere.example", "email_verified": True},
    "una": {"email": "una@acme.example", "email_verified": False},
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A running provider's issuer."""
    folder = module("oidc-provider", VERSION).parents[1]
    script = folder / "provider.mjs"  # beside its packages, where node looks for them
    script.write_text((Path(__file__).parent / "provider.mjs").read_text())
    with subprocess.Popen(
        ["node", str(script)],
        env={"PATH": os.environ["PATH"], "ACCOUNTS": json.dumps(ACCOUNTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:")
        yield line
        process.kill()


class Browser(urllib.request.HTTPRedirectHandler):
    """Follows the provider's pages with its cookies, and stops at our own address."""

    def __init__(self) -> None:
        self.answer: dict[str, str] = {}
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(self, jar)

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        """Go on, unless it leads to us."""
        url = arguments[5]
        if url.startswith(REDIRECT):
            self.answer = dict(parse_qsl(urlsplit(url).query))
            return None
        return super().redirect_request(*arguments)

    def visit(self, url: str, login: str) -> dict[str, str]:
        """Sign in as `login` and agree; what the provider sends us."""
        page = self._open(url)
        for _ in range(5):
            if self.answer:
                return self.answer
            action = re.search(r'<form[^>]* action="([^"]+)"', page)
            prompt = re.search(r'name="prompt" value="(\w+)"', page)
            assert action is not None
            assert prompt is not None
            form = {"prompt": prompt[1], "login": login, "password": "any"}
            page = self._open(action[1], urlencode(form).encode())
        raise AssertionError("the provider never came to an end")

    def _open(self, url: str, data: bytes | None = None) -> str:
        try:
            with self._opener.open(url, data) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            if self.answer:
                return ""
            raise AssertionError(f"the provider answered {error.code}") from error


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """People under the machine's clock, since the provider's tokens are."""
    made = Town(tmp_path, system_clock)
    made.environment["ACME_SECRET"] = "provider-secret"
    return made


def bound(town: Town, at: str, **changes: str) -> tuple[str, OpenIdProvider]:
    """An organisation whose provider this is."""
    organisation = town.organisation()
    values = {
        "domain": "acme.example",
        "issuer": at,
        "client_id": "bailee",
        "secret_env": "ACME_SECRET",
        **changes,
    }
    return organisation, town.registry.providers.bind(organisation, by=OPERATOR, **values)


def there_and_back(
    town: Town, provider: OpenIdProvider, login: str
) -> tuple[Begun, dict[str, str]]:
    """Begin, and go through the provider's pages."""
    begun = town.registry.providers.begin(provider, redirect_uri=REDIRECT, address="192.0.2.1")
    return begun, Browser().visit(begun.url, login)


def test_a_first_visit_makes_a_member_and_a_later_one_finds_them(town: Town, issuer: str) -> None:
    """The person has the provider's email and no account of their own; twice is one person."""
    organisation, provider = bound(town, issuer)
    providers = town.registry.providers

    begun, answer = there_and_back(town, provider, "ada")
    first = providers.finish(answer, cookie=begun.cookie)
    begun, answer = there_and_back(town, provider, "ada")
    second = providers.finish(answer, cookie=begun.cookie)

    assert first == second
    assert "ada@acme.example" == town.registry.people.get(first).email
    assert "member" == town.registry.authority.role(first, organisation)
    assert town.registry.accounts.of_person(first) is None


def test_the_request_carries_pkce_state_and_nonce(town: Town, issuer: str) -> None:
    """What is sent to the provider is bound to what comes back."""
    _, provider = bound(town, issuer)

    begun = town.registry.providers.begin(provider, redirect_uri=REDIRECT, address="192.0.2.1")

    query = parse_qs(urlsplit(begun.url).query)
    assert {"code"} == set(query["response_type"])
    assert {"S256"} == set(query["code_challenge_method"])
    assert {"openid email"} == set(query["scope"])
    assert all(len(query[name][0]) >= 32 for name in ("state", "nonce", "code_challenge"))


def _altered(answer: Mapping[str, str], change: str) -> dict[str, str]:
    if change == "state":
        return {**answer, "state": "0" * 64}
    if change == "issuer":
        return {**answer, "iss": "https://evil.example"}
    if change == "no issuer":
        return {name: value for name, value in answer.items() if name != "iss"}
    if change == "code":
        return {**answer, "code": "made-up"}
    if change == "no code":
        return {name: value for name, value in answer.items() if name != "code"}
    return dict(answer)


@pytest.mark.parametrize("change", ["state", "issuer", "no issuer", "code", "no code", "cookie"])
def test_an_answer_that_is_not_to_what_was_begun_is_refused(
    town: Town, issuer: str, change: str
) -> None:
    """Another state, issuer, code, or browser: nobody is signed in, and nobody is made."""
    _, provider = bound(town, issuer)
    begun, answer = there_and_back(town, provider, "ada")

    with pytest.raises(InputError) as refused:
        town.registry.providers.finish(
            _altered(answer, change), cookie="other" if change == "cookie" else begun.cookie
        )

    assert "authentication" == refused.value.code
    assert [] == town.registry.people.all()


def test_an_answer_counts_once(town: Town, issuer: str) -> None:
    """Coming back a second time with the same answer is refused."""
    _, provider = bound(town, issuer)
    begun, answer = there_and_back(town, provider, "ada")
    town.registry.providers.finish(answer, cookie=begun.cookie)

    with pytest.raises(InputError, match="not begun here"):
        town.registry.providers.finish(answer, cookie=begun.cookie)


@pytest.mark.parametrize(
    ("login", "why"), [("eve", "does not speak for"), ("una", "does not vouch")]
)
def test_only_verified_emails_of_the_organisations_domain_count(
    town: Town, issuer: str, login: str, why: str
) -> None:
    """A provider can't bring in people of other domains, nor emails it has not verified."""
    _, provider = bound(town, issuer)
    begun, answer = there_and_back(town, provider, login)

    with pytest.raises(InputError, match=why):
        town.registry.providers.finish(answer, cookie=begun.cookie)

    assert [] == town.registry.people.all()


def test_a_code_made_for_another_client_is_refused(town: Town, issuer: str) -> None:
    """What the provider gave someone else's client signs nobody in here."""
    _, provider = bound(town, issuer)
    town.environment["OTHER"] = "another-secret"
    other = OpenIdProvider(
        provider.organisation_id, provider.domain, issuer, "someone-else", "OTHER"
    )
    _, answer = there_and_back(town, other, "ada")
    mine, own = there_and_back(town, provider, "ada")

    with pytest.raises(InputError):
        town.registry.providers.finish({**own, "code": answer["code"]}, cookie=mine.cookie)

    assert [] == town.registry.people.all()


def test_who_had_the_email_before_without_proof_loses_every_way_in(town: Town, issuer: str) -> None:
    """Signing up with someone's email first gives no hold on them once their provider speaks."""
    squatter, account = town.registry.passwords.sign_up(
        "ada@acme.example",
        PASSWORD,
        choice="refused",
        language="en",
        source="console",
        address="192.0.2.1",
    )
    cookie = town.registry.web_sessions.begin(squatter.person_id)
    _, secret = town.registry.people.create_key(account, "k", by=town.actor(squatter))
    _, provider = bound(town, issuer)
    begun, answer = there_and_back(town, provider, "ada")

    person = town.registry.providers.finish(answer, cookie=begun.cookie)

    assert squatter.person_id == person
    assert town.registry.web_sessions.find(cookie) is None
    assert town.registry.accounts.authenticate(secret.encode()) is None
    with pytest.raises(InputError, match="wrong"):
        town.registry.passwords.sign_in("ada@acme.example", PASSWORD, address="192.0.2.1")


def test_an_operator_is_not_taken_over_by_a_provider(town: Town, issuer: str) -> None:
    """Whoever runs an organisation's provider does not come to run the service."""
    town.registry.people.create("ada@acme.example", plan=None, by=OPERATOR, operator=True)
    _, provider = bound(town, issuer)
    begun, answer = there_and_back(town, provider, "ada")

    with pytest.raises(InputError, match="operator"):
        town.registry.providers.finish(answer, cookie=begun.cookie)


def test_a_member_who_was_let_go_does_not_come_back_by_the_provider(
    town: Town, issuer: str
) -> None:
    """They are still known, and that is all: an admin takes them in again, or nobody does."""
    organisation, provider = bound(town, issuer)
    begun, answer = there_and_back(town, provider, "ada")
    person = town.registry.providers.finish(answer, cookie=begun.cookie)
    town.registry.organisations.remove(organisation, person, by=OPERATOR)

    begun, answer = there_and_back(town, provider, "ada")
    with pytest.raises(InputError) as refused:
        town.registry.providers.finish(answer, cookie=begun.cookie)
    role = town.registry.authority.role(person, organisation)
    town.registry.organisations.add(organisation, person, "member", by=OPERATOR)
    begun, answer = there_and_back(town, provider, "ada")
    again = town.registry.providers.finish(answer, cookie=begun.cookie)

    assert ("forbidden", None, person) == (refused.value.code, role, again)


def test_who_was_let_go_before_a_first_visit_does_not_come_by_it(town: Town, issuer: str) -> None:
    """An admin put them in and took them out; that the provider knows them changes nothing."""
    organisation, provider = bound(town, issuer)
    person, _ = town.registry.people.create("ada@acme.example", plan=None, by=OPERATOR)
    town.registry.organisations.add(organisation, person.person_id, "member", by=OPERATOR)
    town.registry.organisations.remove(organisation, person.person_id, by=OPERATOR)

    begun, answer = there_and_back(town, provider, "ada")
    with pytest.raises(InputError, match="no longer belong"):
        town.registry.providers.finish(answer, cookie=begun.cookie)
    assert town.registry.authority.role(person.person_id, organisation) is None

    town.registry.organisations.add(organisation, person.person_id, "member", by=OPERATOR)
    begun, answer = there_and_back(town, provider, "ada")
    assert person.person_id == town.registry.providers.finish(answer, cookie=begun.cookie)


def test_a_provider_that_is_none_is_its_own_error(town: Town, issuer: str) -> None:
    """An issuer that names itself otherwise, or does not answer, is the upstream's fault."""
    _, provider = bound(town, issuer.replace("127.0.0.1", "localhost"))

    with pytest.raises(BaileeError) as refused:
        town.registry.providers.begin(provider, redirect_uri=REDIRECT, address="192.0.2.1")

    assert "upstream_protocol" == refused.value.code


def test_nobody_signs_up_with_a_password_under_a_bound_domain(town: Town, issuer: str) -> None:
    """Their organisation decides who they are."""
    bound(town, issuer)

    with pytest.raises(InputError, match="through their organisation"):
        town.registry.passwords.sign_up(
            "new@acme.example",
            PASSWORD,
            choice="refused",
            language="en",
            source="console",
            address="192.0.2.1",
        )


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("domain", "not a domain"),
        ("issuer", "http://provider.example"),
        ("issuer", "https://provider.example/?a=1"),
    ],
)
def test_a_provider_is_bound_by_domain_and_tls(town: Town, change: str, value: str) -> None:
    """A domain that is none, and an address that is not reached by TLS, are refused."""
    with pytest.raises(InputError):
        bound(town, "https://provider.example", **{change: value})


def test_a_domain_belongs_to_one_organisation(town: Town) -> None:
    """A second one can't have it, whatever its case."""
    bound(town, "https://provider.example")

    with pytest.raises(InputError, match="another organisation"):
        bound(town, "https://other.example", domain="ACME.example")
