"""What a machine's own sign-in gives to the programs that are started here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bailee.client.signed_in import FILE, LocalSignIn, claim, keep, read, surroundings
from bailee.outbound.network import Network
from support.servers.json_console import JsonConsole, served

pytestmark = pytest.mark.row("T3", "O1")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("https://bailee.acme.example/", "https://bailee.acme.example"),
        ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
        ("http://quince.localhost:8788", "http://quince.localhost:8788"),
        ("http://bailee.acme.example", None),
        ("https://me:word@bailee.acme.example", None),
        ("https://bailee.acme.example:port", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
def test_the_gateway_says_where_its_console_is(tmp_path: Path, said: str, told: str | None) -> None:
    """It is kept with the sign-in and told to programs; an address to which a token would go
    readably is not taken.
    """

    class Gateway(JsonConsole):
        def do_POST(self) -> None:
            self.answer({"access_token": "bl_a", "expires_in": 3600, "bailee_console": said})

    with served(Gateway) as (gateway, _):
        got = claim(gateway, "code", Network(), 0.0, "test")
    assert isinstance(got, LocalSignIn)
    keep(tmp_path, got)
    around = surroundings({}.get, tmp_path, Network(), 0.0)

    assert told == got.console == around.get("BAILEE_CONSOLE_URL")
    assert got == read(tmp_path)


def test_what_a_person_has_said_themselves_stays(tmp_path: Path) -> None:
    """Nor is a sign-in of an earlier version, which does not know the console, none."""
    signed_in = LocalSignIn("https://gw", None, 9e9, "bl_a", None, "https://console")
    keep(tmp_path, signed_in)
    own = {"BAILEE_CONSOLE_URL": "https://mine"}
    assert "BAILEE_CONSOLE_URL" not in surroundings(own.get, tmp_path, Network(), 0.0)
    held = json.loads((tmp_path / FILE).read_text())
    del held["console"]
    (tmp_path / FILE).write_text(json.dumps(held))
    older = read(tmp_path)
    assert older is not None and older.console is None
