"""Signing in at the gateway: by the protocol itself, with a real OpenID provider, and by the real
Claude Code, unmodified, told nothing but the address.

One server and one provider are there for the file. The client gets an empty environment, a home of
its own, and a proxy that refuses and notes everything that it would ask of another host.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee, message
from support.servers.openid import SECRET, come_by, provider

PASSWORD = "seven pear trees in a row"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
ENGINEERS = ("ina", "ivo", "ida", "ian")


@dataclass
class Answered:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Office:
    """A server, an organisation with its provider, and whom that has disabled (a file)."""

    bailee: Bailee
    upstream: ScriptedUpstream
    organisation: str
    disabled: Path

    @property
    def gateway(self) -> str:
        """Its address."""
        address: str = self.bailee.ready["gateway"]
        return address

    def ask(
        self,
        path: str,
        form: dict[str, str] | None = None,
        *,
        bearer: str | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> Answered:
        """A request at the gateway's address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer is not None:
            named["authorization"] = f"Bearer {bearer}"
        data = body if form is None else urlencode(form).encode()
        request = urllib.request.Request(self.gateway + path, data, named)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return _answered(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answered(error)

    def begin(self) -> dict[str, Any]:
        """A device grant."""
        found: dict[str, Any] = self.ask(
            "/oauth/device_authorization", {"surface": "claude_code"}
        ).body
        return found

    def token(self, **form: str) -> Answered:
        """What the token endpoint says."""
        return self.ask("/oauth/token", form)

    def claim(self, device_code: str) -> Answered:
        """Poll once."""
        return self.token(grant_type=DEVICE, device_code=device_code)

    def visitor(self) -> Visitor:
        """A browser at the console."""
        return Visitor(self.bailee.ready["console"])

    def engineer(self, login: str, code: str) -> Visitor:
        """Somebody who follows the link of their client and signs in through the provider."""
        visitor = self.visitor()
        visitor.get(f"/device?user_code={code}")
        page = come_by(visitor, f"{login}@orchard.example", login)
        assert code in page.text, page.text
        return visitor

    def signed_in(self, login: str) -> dict[str, Any]:
        """Tokens of an engineer, who went all the way."""
        begun = self.begin()
        visitor = self.engineer(login, begun["user_code"])
        done = confirm(visitor, begun["user_code"])
        assert "signed in" in done, done
        found: dict[str, Any] = self.claim(begun["device_code"]).body
        return found

    def renew(self, refresh: str) -> Answered:
        """New tokens."""
        return self.token(grant_type="refresh_token", refresh_token=refresh)


def confirm(visitor: Visitor, code: str, **more: str) -> str:
    """Send the page's form."""
    page = f"/device?user_code={code}"
    return visitor.submit(page, "/device", {"user_code": code, "do": "approve", **more}).text


def _answered(response: Any) -> Answered:
    raw = response.read()
    try:
        body = json.loads(raw)
    except ValueError:
        body = raw
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answered(response.status, body, headers)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """See `Office`."""
    folder = tmp_path_factory.mktemp("office")
    bailee = Bailee(folder)
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env={**SIGN_UP, "ORCHARD_SECRET": SECRET})
        try:
            disabled = folder / "disabled"
            people = {
                one: {"email": f"{one}@orchard.example", "email_verified": True}
                for one in ENGINEERS
            }
            with provider(bailee.ready["console"], people, disabled=disabled) as issuer:
                made = bailee.json("organisation", "create", "Orchard", "--plan", "team")
                bailee.json(
                    "organisation", "provider", made["organisation"],
                    "--domain", "orchard.example", "--issuer", issuer,
                    "--client-id", "bailee", "--secret-env", "ORCHARD_SECRET",
                )  # fmt: skip
                yield Office(bailee, upstream, made["organisation"], disabled)
        finally:
            bailee.close()


@pytest.mark.row("O1")
def test_an_engineer_signs_a_client_in_works_and_is_out_when_disabled(office: Office) -> None:
    """The whole way: there by the provider, a token that works on the company's terms, renewed for
    as long as the provider says so.
    """
    begun = office.begin()
    pending = office.claim(begun["device_code"])
    visitor = office.engineer("ina", begun["user_code"])
    done = confirm(visitor, begun["user_code"])
    given = office.claim(begun["device_code"])
    again = office.claim(begun["device_code"])
    message(office.bailee.ready, "hello", given.body["access_token"])
    (session, *_) = office.bailee.sessions()
    renewed = office.renew(given.body["refresh_token"])
    assert 200 == renewed.status, renewed
    office.disabled.write_text("ina\n")
    refused = office.renew(renewed.body["refresh_token"])
    after = office.ask("/managed/settings", bearer=renewed.body["access_token"])

    assert (400, "authorization_pending") == (pending.status, pending.body["error"])
    assert "The client is signed in" in done
    assert (200, 3600, "Bearer") == (
        given.status, given.body["expires_in"], given.body["token_type"],
    )  # fmt: skip
    assert "ina@orchard.example" == given.body["email"]
    assert (400, "expired_token") == (again.status, again.body["error"])
    assert ("team", "retain.commercial") == (session["plan"], session["retention"]["clause"])
    assert 200 == renewed.status
    assert renewed.body["refresh_token"] != given.body["refresh_token"]
    assert (400, "invalid_grant") == (refused.status, refused.body["error"])
    assert 401 == after.status
