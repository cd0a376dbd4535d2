"""What people and clients name is shown as text, never carried out by a terminal."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bailee.errors import BaileeError
from bailee.home import Home
from bailee.home.control import ask
from bailee.testing.upstream import ScriptedUpstream, Text
from support.attacks.attacked import House
from support.clients.programs import Bailee, message

pytestmark = pytest.mark.row("G1")
NAMES = {
    "clears the screen": "\x1b[2J\x1b[1;1Hroot",
    "sets the title": "\x1b]0;owned\x07",
    "colours by one byte": "\x9b31mred",
    "goes back": "a\rb\x08c",
    "forges a line": "a\nb (max)  POST /v1/messages  200 complete",
    "closes markup": "[/x]",
    "is markup": "[link=https://evil.example]x[/link]",
    "reads backwards": "\u202egnp.exe\u2066x\u2069",
    "is not seen": "\u200b",
}
# What a terminal, or the eye, takes for something other than a letter; but for an end of line.
_NOT_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_ENDED = re.compile(r"^\d\d:\d\d:\d\d  .*", re.MULTILINE)


def test_names_are_text_in_commands(house: House) -> None:
    """Whatever a key is called, it is refused, or shown without a code and without a traceback."""
    for name in NAMES.values():
        with contextlib.suppress(BaileeError):
            house.ask("key.create", plan="team", name=name)
    for command in (
        ("key", "list"),
        ("key", "create", "--plan", "team", "--name", NAMES["sets the title"]),
    ):
        done = house.bailee.run(*command)
        assert "Traceback" not in done.stderr
        assert [] == _NOT_TEXT.findall(done.stdout + done.stderr)


def test_names_are_text_in_the_lines_of_the_server(tmp_path: Path) -> None:
    """A request under such a key is one line of `bailee up`, and nothing but text."""
    bailee, keys = Bailee(tmp_path), []
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as upstream:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "bailee", "up", "--upstream", upstream.url, "--ingest", "off",
                "--gateway", "127.0.0.1:0", "--console", "127.0.0.1:0",
            ],
            env=bailee.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        said = ""
        assert process.stdout is not None
        while "Each exchange" not in said:
            said += (line := process.stdout.readline())
            assert line, said
        gateway = re.search(r"gateway +(\S+)", said)
        assert gateway is not None
        for name in NAMES.values():
            with contextlib.suppress(BaileeError):
                made = list(
                    ask(
                        Home(bailee.home).control_socket,
                        "key.create",
                        {"plan": "team", "name": name},
                    )
                )
                keys.append(message({"gateway": gateway[1]}, "hello", key=made[0]["key"]))
        process.terminate()
        lines = process.communicate(timeout=60)[0]
    assert len(keys) == len(_ENDED.findall(lines)) == len(lines.strip().splitlines())
    assert [] == _NOT_TEXT.findall(lines)
