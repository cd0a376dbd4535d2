"""What a provider may not say: ID tokens that are wrong in one thing each.

A real provider says nothing wrong, so here is a scripted one on loopback, with real signatures.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry

from bailee.accounts import OPERATOR
from bailee.clock import system_clock
from bailee.errors import InputError
from support.homes.town import Town

KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
REDIRECT = "http://127.0.0.1:1/sign-in/provider"


class Scripted:
    """A provider whose next token and userinfo a test writes."""

    def __init__(self) -> None:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(scripted.answer(urlsplit(self.path).path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._answer(scripted.answer(self.path))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

            def _answer(self, value: object) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.id_token = ""
        self.userinfo: dict[str, object] = {}
        serve = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        serve.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> object:
        """What stands at a path."""
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                **{
                    name: f"{self.issuer}/{name}"
                    for name in (
                        "authorization_endpoint",
                        "token_endpoint",
                        "jwks_uri",
                        "userinfo_endpoint",
                    )
                },
            },
            "/jwks_uri": {"keys": [KEY.as_dict(private=False)]},
            "/token_endpoint": {
                "access_token": "access",
                "token_type": "Bearer",
                "id_token": self.id_token,
            },
            "/userinfo_endpoint": self.userinfo,
        }[path]


@pytest.fixture
def provider() -> Iterator[Scripted]:
    """A scripted provider."""
    made = Scripted()
    yield made
    made.close()


def come_back(
    folder: Path,
    provider: Scripted,
    *,
    key: RSAKey | OctKey = KEY,
    algorithm: str = "RS256",
    **changes: object,
) -> tuple[Town, str]:
    """A visit whose ID token has these claims changed (None: left out)."""
    town = Town(folder, system_clock)
    organisation = town.organisation()
    bound = town.registry.providers.bind(
        organisation,
        domain="acme.example",
        issuer=provider.issuer,
        client_id="bailee",
        secret_env=None,
        by=OPERATOR,
    )
    begun = town.registry.providers.begin(bound, redirect_uri=REDIRECT, address="192.0.2.1")
    sent = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    now = int(system_clock().timestamp())
    claims = {
        "iss": provider.issuer,
        "aud": "bailee",
        "sub": "ada",
        "nonce": sent["nonce"],
        "iat": now,
        "exp": now + 300,
        "email": "ada@acme.example",
        "email_verified": True,
        **changes,
    }
    said = {name: value for name, value in claims.items() if value is not None}
    registry = JWSRegistry(algorithms=[algorithm])
    provider.id_token = jwt.encode({"alg": algorithm, "kid": "one"}, said, key, registry=registry)
    answer = {"state": sent["state"], "code": "code"}
    return town, town.registry.providers.finish(answer, cookie=begun.cookie)


def test_a_token_that_is_right_signs_in(tmp_path: Path, provider: Scripted) -> None:
    """The tests below change one thing of this."""
    town, person = come_back(tmp_path, provider)

    assert "ada@acme.example" == town.registry.people.get(person).email


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "someone-else"},
        {"aud": "someone-else", "azp": "bailee"},
        {"aud": None},
        {"aud": ["bailee", "someone-else"]},
        {"aud": ["bailee", "someone-else"], "azp": "someone-else"},
        {"nonce": "of another visit"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": None},
        {"email": "ada@acme.example.evil.example"},
        {"email": "ada@evil.example@acme.example"},
        pytest.param({"key": OTHER}, id="another key"),
        pytest.param(
            {"key": OctKey.import_key("a secret of someone"), "algorithm": "HS256"},
            id="a shared key",
        ),
    ],
    ids=repr,
)
def test_a_token_with_one_thing_wrong_signs_nobody_in(
    tmp_path: Path, provider: Scripted, changes: dict[str, Any]
) -> None:
    """Issuer, audience, nonce, times, signature, email: each alone is enough to refuse."""
    with pytest.raises(InputError):
        come_back(tmp_path, provider, **changes)


@pytest.mark.filterwarnings("ignore:JWS algorithm")
def test_an_unsigned_token_signs_nobody_in(tmp_path: Path, provider: Scripted) -> None:
    """`alg: none` is no signature."""
    with pytest.raises(InputError):
        come_back(tmp_path, provider, algorithm="none")


def test_the_email_may_come_from_elsewhere_but_for_the_same_person(
    tmp_path: Path, provider: Scripted
) -> None:
    """Userinfo counts when its subject is the token's, and only then."""
    provider.userinfo = {"sub": "ada", "email": "ada@acme.example", "email_verified": True}
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()

    town, person = come_back(tmp_path / "same", provider, email=None, email_verified=None)
    provider.userinfo["sub"] = "eve"

    assert "ada@acme.example" == town.registry.people.get(person).email
    with pytest.raises(InputError, match="two people"):
        come_back(tmp_path / "other", provider, email=None, email_verified=None)
