"""What was used is counted, priced, told and limited: real processes, and a scripted upstream.

Rows: O2.
"""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee

HAIKU = "claude-haiku-4-5-20251001"
USED = {"input_tokens": 1000, "output_tokens": 2000}  # 0.011 USD on the shipped list


class Answer(NamedTuple):
    """An answer's status, header fields and body."""

    status: int
    headers: dict[str, str]
    body: str


def ask(ready: dict[str, Any], key: str, model: str = HAIKU, **more: Any) -> Answer:
    """One request of a conversation."""
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "pears"}]}
    request = urllib.request.Request(
        ready["gateway"] + "/v1/messages",
        json.dumps(body | more).encode(),
        {"x-api-key": key, "content-type": "application/json", "user-agent": "claude-cli/2.1.332"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return Answer(response.status, dict(response.headers), response.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read().decode())


class Place(NamedTuple):
    """A server with an upstream that always answers, and keys: a person's, one of zero retention."""

    bailee: Bailee
    upstream: ScriptedUpstream
    ready: dict[str, Any]
    person: str
    key: str
    zero: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One for all."""
    bailee = Bailee(tmp_path_factory.mktemp("usage"))
    answer = Text("plums", usage=USED)
    with ScriptedUpstream(tools_only=False, after=answer, aside=answer) as upstream:
        ready = bailee.up(
            *("--upstream", upstream.url, "--plan", "api"), env={"BAILEE_USAGE_ASK_AT": "https://a.b"}
        )
        made = bailee.json("person", "create", "--email", "ann@example.com", "--plan", "pro")
        person = made["person"]
        key = made["key"]
        account = bailee.json("account", "list")[0]["account"]
        zero = bailee.json(
            "key", "create", "--account", account, "--name", "z", "--zero-retention"
        )["key"]
        yield Place(bailee, upstream, ready, person, key, zero)
        bailee.close()


def test_trial(place: Place) -> None:
    """x"""
    print(place)
    print(ask(place.ready, place.key))
    print(ask(place.ready, place.key, stream=True))
    print(ask(place.ready, place.zero, stream=True))
    print(ask(place.ready, place.zero, model="unheard"))
    for by in (["day"], ["person", "key", "client", "model", "channel"]):
        args = [x for one in by for x in ("--by", one)]
        print(place.bailee.run("usage", *args).stdout, place.bailee.run("usage", *args, "--csv").stdout)
    for args in (["limits", "set", "--of", place.person, "--money", "0.04", "--per", "day"],):
        done = place.bailee.run(*args)
        print(done.stdout, done.stderr)
    for _ in range(4):
        print(ask(place.ready, place.key))
    print(place.bailee.run("limits", "list").stdout)
    print(place.bailee.run("limits", "allow", "pro", "claude-opus-*").stdout)
    print(ask(place.ready, place.key))
    print(ask(place.ready, place.key, model="claude-opus-4-7"))
    print(place.bailee.run("audit", "list").stdout[-800:])
    assert 0
