"""The console under a public name behind a proxy with TLS, and under its own on loopback."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support.browsers.authenticator import Authenticator
from support.browsers.browsing import Visitor, Way
from support.clients.programs import SIGN_UP, Bailee
from support.servers.reverse_proxy import free_port, nginx

Serve = Callable[..., Bailee]
PASSWORD = "seven pear trees in a row"


@dataclass
class Public:
    """A server behind nginx. `url` is the console's public address."""

    bailee: Bailee
    url: str
    way: Way

    def visitor(self, source: str = "127.0.0.2", **headers: str) -> Visitor:
        """Someone who comes through nginx from an address of their own."""
        return Visitor(self.url, Way(source, self.way.tls), **headers)


@pytest.fixture
def public(served: Serve, tmp_path: Path) -> Iterator[Public]:
    """A console that is `console.bailee.test`; the proxy, at 127.0.0.1, is trusted."""
    port, console = free_port(), free_port()
    url = f"https://console.bailee.test:{port}"
    bailee = served(
        *("--console", f"127.0.0.1:{console}"),
        env={
            "BAILEE_CONSOLE_PUBLIC_URL": url,
            "BAILEE_GATEWAY_PUBLIC_URL": "https://gateway.bailee.test",
            "BAILEE_TRUSTED_PROXIES": "127.0.0.1",
            **SIGN_UP,
        },
    )
    with nginx(tmp_path / "nginx", port=port, console=console) as trusting:
        yield Public(bailee, url, Way(tls=trusting))


@pytest.mark.row("G1")
def test_behind_a_proxy_the_console_is_its_public_name(public: Public) -> None:
    """The printed link, the pages and the cookies are for that name, by TLS alone; the machine's
    own names lead there, and the gateway is shown by its public address.
    """
    operator = public.visitor()

    first = operator.get(public.bailee.ready["sign_in"])
    cookies = {one.name: one for one in operator.jar}
    here = Visitor(public.bailee.ready["console_api"]).post("/sign-in", {"email": "x"})

    assert (200, public.url + "/") == (first.status, first.url)
    assert public.url == public.bailee.ready["console"]
    assert all(name.startswith("__Host-") and one.secure for name, one in cookies.items())
    assert "__Host-bailee_session" in cookies
    assert "https://gateway.bailee.test" in first.text
    assert "https://gateway.bailee.test" == public.bailee.ready["gateway"]
    assert (421, True) == (here.status, public.url in here.text)


def test_a_form_and_a_passkey_work_under_the_public_name(public: Public) -> None:
    """Signing up, adding a passkey and signing in with it: relying party and origin are the public
    ones.
    """
    ada = public.visitor()
    fields = {"email": "ada@example.org", "password": PASSWORD, "plan": "pro", "choice": "refused"}
    ada.submit("/sign-up", "/sign-up", fields)
    token = ada.token("/settings/account")
    begun = json.loads(ada.post("/settings/account/passkeys/begin", {}, token).text)
    passkey = Authenticator(public.url, "console.bailee.test")
    credential = json.dumps(passkey.create(begun["options"]))
    added = ada.post(
        "/settings/account/passkeys", {"token": begun["token"], "credential": credential}, token
    )

    later = public.visitor()
    token = later.token("/sign-in")
    begun_in = json.loads(later.post("/sign-in/passkey/begin", {}, token).text)
    signed_in = later.post(
        "/sign-in/passkey",
        {"token": begun_in["token"], "credential": json.dumps(passkey.get(begun_in["options"]))},
        token,
    )

    assert "console.bailee.test" == begun["options"]["rp"]["id"]
    assert (200, 200) == (added.status, signed_in.status)
    assert 200 == later.get("/settings/account").status


@pytest.mark.row("G1", "G2")
def test_attempts_are_counted_by_the_clients_own_address(public: Public) -> None:
    """What a client writes into X-Forwarded-For changes nothing: neither is it free of the limit,
    nor is somebody else locked out.
    """
    guesser, other = public.visitor("127.0.0.2"), public.visitor("127.0.0.3")
    token = guesser.token("/sign-in")

    def guess(number: int) -> int:
        guesser.headers["X-Forwarded-For"] = f"198.51.100.{number}, 127.0.0.3"
        guesser.headers["Forwarded"] = f"for=198.51.100.{number}"
        fields = {"email": f"p{number}@example.org", "password": "not the one it is"}
        return guesser.post("/sign-in", fields, token).status

    statuses = [guess(number) for number in range(24)]
    others = other.submit("/sign-in", "/sign-in", {"email": "q@example.org", "password": "x" * 12})

    assert 429 in statuses
    assert 401 == others.status


def test_without_a_trusted_proxy_nobody_is_believed(served: Serve) -> None:
    """Straight from this machine: the field is the client's own."""
    bailee = served()
    guesser = Visitor(bailee.ready["console"])
    token = guesser.token("/sign-in")

    def guess(number: int) -> int:
        guesser.headers["X-Forwarded-For"] = f"198.51.100.{number}"
        fields = {"email": f"p{number}@example.org", "password": "not the one it is"}
        return guesser.post("/sign-in", fields, token).status

    assert 429 in [guess(number) for number in range(24)]


def test_a_provider_sends_people_back_to_the_public_name(public: Public) -> None:
    """The redirect URI, and the cookie of the visit, are that name's."""
    with provider() as issuer:
        made = public.bailee.json("organisation", "create", "Orchard", "--plan", "team")
        bound = public.bailee.run(
            *("organisation", "provider", made["organisation"]),
            *("--domain", "orchard.example", "--issuer", issuer, "--client-id", "c"),
        )
        visitor = public.visitor()
        fields = {"email": "ada@orchard.example"}
        page = visitor.submit("/sign-in", "/sign-in/organisation", fields).text
    found = re.search(r'href="([^"]*/authorize[^"]*)"', page)

    assert 0 == bound.returncode
    assert found is not None
    query = parse_qs(urlsplit(found[1].replace("&amp;", "&")).query)
    assert [public.url + "/sign-in/organisation/return"] == query["redirect_uri"]
    assert "__Host-bailee_provider" in {one.name for one in visitor.jar}


@pytest.mark.row("G1")
def test_on_this_machine_the_cookie_is_for_a_name_that_nobody_else_has(served: Serve) -> None:
    """Pages are answered under a random name alone; under the machine's own nothing is set and
    nothing says that name. A second start has the same.
    """
    bailee = served()
    host = urlsplit(bailee.ready["console"]).hostname or ""
    operator = Visitor(bailee.ready["console"])
    operator.get(bailee.ready["sign_in"])
    stranger = Visitor(bailee.ready["console_api"])
    asked = [stranger.get(path) for path in ("/", "/sign-in", "/no-such-page", "/style.css")]

    assert {host} == {one.domain for one in operator.jar}
    assert {421} == {one.status for one in asked}
    assert [] == [one.url for one in asked if host in one.text + str(one.headers)]
    assert [] == list(stranger.jar)
    bailee.stop()
    assert host == urlsplit(served().ready["console"]).hostname
    assert 0o600 == (bailee.home / "console-name").stat().st_mode & 0o777


def test_sign_up_is_closed_until_the_operator_says_for_which_plans(served: Serve) -> None:
    """By default there is no form and no way round it; open without plans is no start; and a plan
    that was not named can't be taken.
    """
    bailee = served()
    visitor = Visitor(bailee.ready["console"])
    front = visitor.get("/sign-in").text
    token = visitor.token("/sign-in")
    fields = {"email": "a@example.org", "password": PASSWORD, "plan": "max", "choice": "refused"}
    closed = visitor.post("/sign-up", fields, token)
    bailee.stop()

    unnamed = bailee.spawn(env={"BAILEE_ACCOUNTS_SIGN_UP": "open"})
    _, said = unnamed.communicate(timeout=60)
    served(env={**SIGN_UP, "BAILEE_ACCOUNTS_SIGN_UP_PLANS": "free"})
    visitor = Visitor(bailee.ready["console"])
    dear = visitor.submit("/sign-up", "/sign-up", fields)
    free = visitor.submit("/sign-up", "/sign-up", {**fields, "plan": "free"})

    assert (403, False) == (closed.status, "/sign-up" in front)
    assert (2, True) == (unnamed.returncode, "accounts.sign_up_plans" in said)
    assert (400, False) == (dear.status, 'value="max"' in dear.text)
    assert (200, ["free"]) == (free.status, [p["plan"] for p in bailee.json("person", "list")])


class provider:
    """An OpenID provider as far as its metadata."""

    def __enter__(self) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(metadata).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        issuer = f"http://127.0.0.1:{self._server.server_port}"
        metadata: dict[str, Any] = {"issuer": issuer}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            metadata[name] = f"{issuer}/{name.partition('_')[0].replace('ization', 'ize')}"
        metadata["authorization_endpoint"] = f"{issuer}/authorize"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return issuer

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
