"""A gateway of its own: what it refuses to be, what it needs, and what it passes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from bailee import config
from bailee.app.gateway_role import check_settings
from bailee.app.to_holder import ToHolder
from bailee.errors import InputError
from bailee.home import Home
from bailee.testing.threaded import ThreadedServer

pytestmark = pytest.mark.row("O6")

WHOLE = {
    "BAILEE_DATABASE_URL": "postgresql://a@127.0.0.1/data",
    "BAILEE_KEYRING_DATABASE_URL": "postgresql://a@127.0.0.1/keys",
    "BAILEE_OBJECTS_URL": "s3://cellar/one",
    "BAILEE_SPOOL_DURABILITY": "database",
    "BAILEE_KEYRING_ROOT": "transit:https://127.0.0.1/bailee",
    "BAILEE_UPSTREAM_URL": "https://127.0.0.1",
}


def check(folder: Path, given: dict[str, str]) -> None:
    """Whether a gateway of its own can have these settings."""
    home = Home(folder / "home")
    check_settings(config.load(home.settings_file, given, {}), home)


@pytest.mark.parametrize(("without", "more", "said"), [
    (("BAILEE_DATABASE_URL", "BAILEE_KEYRING_DATABASE_URL"), {}, "PostgreSQL"),
    (("BAILEE_OBJECTS_URL",), {}, "spool.durability"),
    (("BAILEE_SPOOL_DURABILITY",), {}, "spool.durability"),
    (("BAILEE_UPSTREAM_URL",), {}, "upstream.url"),
    (("BAILEE_KEYRING_ROOT",), {}, "root.json"),
    ((), {"BAILEE_KEYRING_ROOT": "env:KEY"}, "root.json"),
    ((), {"BAILEE_CONSOLE_LISTEN": "127.0.0.1:8788"}, "console.listen"),
    ((), {"BAILEE_INGEST_LISTEN": "off"}, "ingest.listen"),
])  # fmt: skip
def test_what_would_not_hold_is_refused_by_its_setting(
    tmp_path: Path, without: tuple[str, ...], more: dict[str, str], said: str
) -> None:
    """Before anything is opened; and the whole of them is taken."""
    check(tmp_path, WHOLE)
    given = {name: value for name, value in WHOLE.items() if name not in without} | more
    with pytest.raises(InputError) as refused:
        check(tmp_path, given)
    assert "configuration" == refused.value.code
    assert said in refused.value.message
    assert not (tmp_path / "home").exists()


def test_it_imports_no_page_no_sweep_and_no_store_of_content() -> None:
    """What the role does not need is not there."""
    program = "import sys, bailee.app.run_gateway; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    ours = [name for name in done.stdout.split() if name.startswith("bailee.")]
    assert "bailee.gateway.server" in ours
    assert 330 > len(ours)
    others = (
        *("backup", "cases", "cloud", "console.site", "feedback", "ingest", "operations", "scim"),
        *("sign_in", "telemetry", "training", "node.node", "node.sweeping", "node.wiring"),
        *("vault.vault", "vault.sealer"),
    )
    begins = tuple(f"bailee.{name}" for name in others)
    assert [] == [name for name in ours if name.startswith(begins)]


class _Holder(ThreadedServer):
    """A server's gateway: it keeps what it was asked, and sends everybody elsewhere."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[tuple[str, str]], bytes]] = []

    def __enter__(self) -> _Holder:
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked.append((self.command, self.path, self.headers.items(), body))
                self.send_response(302)
                self.send_header("location", "http://127.0.0.1:9/elsewhere")
                self.send_header("content-length", "4")
                self.end_headers()
                self.wfile.write(b"moon")

            def log_message(self, *_: object) -> None:
                pass

        self.begin(Handler)
        return self


async def ask(
    to: ToHolder, path: str, *pieces: bytes, gone: bool = False
) -> tuple[int, Any, bytes]:
    """The answer to a POST: status, fields, body. Of who has `gone` the body is not there whole."""
    came = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
    end = {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b""}
    waiting, sent = [*came, end], list[Message]()
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"a=%20b",
        "headers": [
            (b"host", b"llm.example.org"),
            (b"authorization", b"Bearer bl_quince"),
            (b"x-forwarded-for", b"203.0.113.9"),
            (b"forwarded", b"for=203.0.113.9"),
            (b"connection", b"close"),
        ],
        "client": ("192.0.2.7", 0),
    }

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await to(scope, receive, send)
    finally:
        await to.close()
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.row("S1")
def test_what_is_passed_on_says_who_asks_and_goes_to_one_place() -> None:
    """The client's own fields go along, under the name that it knows; whom the gateway counts it
    as goes along, and not what it wrote there itself; an answer that names another place is the
    client's, and is not followed.
    """
    with _Holder() as holder:
        status, fields, body = asyncio.run(ask(ToHolder(holder.url), "/oauth/token", b"on", b"e"))
        assert (302, b"moon") == (status, body)
        assert b"http://127.0.0.1:9/elsewhere" == fields[b"location"]
        ((_, path, said, content),) = holder.asked
    assert ("/oauth/token?a=%20b", b"one") == (path, content)
    told = {name.lower(): value for name, value in said}
    assert len(told) == len(said)
    assert ("llm.example.org", "Bearer bl_quince") == (told["host"], told["authorization"])
    assert ("192.0.2.7", "https") == (told["x-forwarded-for"], told["x-forwarded-proto"])
    assert "forwarded" not in told


def test_where_the_server_is_away_a_client_is_told_to_come_again() -> None:
    """In the words of who signs in, and of everybody else; half a request goes nowhere."""
    with _Holder() as holder:
        url = holder.url
        asked = asyncio.run(ask(ToHolder(url), "/oauth/token", b"ha", gone=True))
        assert (503, []) == (asked[0], holder.asked)
    status, fields, body = asyncio.run(ask(ToHolder(url), "/oauth/token", b"one"))
    assert (503, b"5") == (status, fields[b"retry-after"])
    assert b'"error": "temporarily_unavailable"' in body
    _, _, body = asyncio.run(ask(ToHolder(url), "/managed/settings", b"one"))
    assert b'"overloaded_error"' in body
