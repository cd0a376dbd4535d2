"""A server with an organisation that has an OpenID provider, and what its people do to sign in."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import Bailee
from support.servers.openid import come_by

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


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
    groups: Path
    domain: str

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
        page = come_by(visitor, f"{login}@{self.domain}", login)
        assert code in page.text, page.text
        return visitor

    def confirmed(self, login: str, code: str) -> None:
        """What an engineer does in the browser."""
        done = confirm(self.engineer(login, code), code)
        assert "The client is signed in" in done, done

    def signed_in(self, login: str) -> dict[str, Any]:
        """Tokens of an engineer, who went all the way."""
        begun = self.begin()
        self.confirmed(login, begun["user_code"])
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
