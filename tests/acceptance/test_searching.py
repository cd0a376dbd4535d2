"""Sessions found by their words, as a person types it: on a running server, and by its bytes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee

REMINDER = "<system-reminder>\nkestrelword\n</system-reminder>"
SAID = "Mend the wagtailword test of parseHttpHeader 修好测试"


@dataclass
class Town:
    """A server, and a key of a person's on it."""

    bailee: Bailee
    ready: dict[str, Any]

    def say(self, session: str, words: list[str], system: str = "") -> None:
        """An exchange, as Claude Code sends it."""
        blocks = [{"type": "text", "text": one} for one in words]
        body = {
            "model": "m", "max_tokens": 9, "system": system,
            "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": blocks}],
        }  # fmt: skip
        headers = {
            "x-api-key": self.ready["key"], "content-type": "application/json",
            "user-agent": "claude-cli/2.1.0 (external, cli)",
            "x-claude-code-session-id": session,
        }  # fmt: skip
        url = self.ready["gateway"] + "/v1/messages"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=30).close()

    def search(self, *words: str) -> list[dict[str, Any]]:
        """What a person finds with their key."""
        found: list[dict[str, Any]] = self.bailee.json(
            "sessions", "search", *words, "--key", self.ready["key"]
        )
        return found


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A server with a scripted upstream."""
    bailee = Bailee(tmp_path)
    with ScriptedUpstream(tools_only=False, after=Text("The nest of the dunnockword.")) as upstream:
        ready = bailee.up("--upstream", upstream.url, "--plan", "pro")
        try:
            yield Town(bailee, ready)
        finally:
            bailee.close()


@pytest.mark.row("O8", "R5")
def test_a_person_finds_what_they_said_and_nothing_is_left_of_it(town: Town) -> None:
    """By terminal and HTTP, with title, program and folder; deleted, it is not found, and no file
    of the home has its words, nor those that were looked for.
    """
    session, other = str(uuid4()), str(uuid4())
    town.say(
        session, [REMINDER, SAID], "You are Claude Code.\nWorking directory: /home/ada/heronry"
    )
    town.say(other, ["Where does the miller sleep?"])
    for words in (["WAGTAILWORD"], ["parse_http_header"], ["测试"], ["dunnockword", "wagtailword"]):
        (found,) = town.search(*words)
        assert session == found["id"]
    assert {"title": SAID, "client": "claude-code", "folder": "heronry"} == found["about"]
    for nothing in (["kestrelword"], ["wagtailword", "miller"]):
        assert [] == town.search(*nothing)
    (listed,) = [
        one["about"]
        for one in town.bailee.json("sessions", "list", "--key", town.ready["key"])
        if one["id"] == other
    ]
    assert "Where does the miller sleep?" == listed["title"]
    url = town.ready["console_api"] + "/api/v1/sessions/search?words=wagtailword"
    request = urllib.request.Request(url, headers={"x-api-key": town.ready["key"]})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert [session] == [one["id"] for one in json.loads(answer.read())["items"]]
    exported = town.bailee.run("sessions", "export", session).stdout.splitlines()[0]
    assert SAID == json.loads(exported)["title"]
    town.bailee.json("sessions", "delete", session)
    assert [] == town.search("wagtailword")
    town.bailee.json("retention", "run")
    town.bailee.stop()
    said = (one.encode() for one in ("wagtailword", "dunnockword", "heronry", "修好测试"))
    assert [] == town.bailee.holds(*said)
