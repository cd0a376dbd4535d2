"""A session whose client rewinds, repeats and asks aside: every view has all of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import Failure, ScriptedUpstream, Text
from support.clients.programs import Bailee

pytestmark = pytest.mark.row("G3", "R6")

SESSION = "0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a77"
RULES = "Be kind to the trees, and never cut one without a reason that is written down."
WHO = "reader"
TWICE = (
    b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"plum","content":"pear"}]}'
)


def user(text: str) -> dict[str, Any]:
    """What a person says."""
    return {"role": "user", "content": text}


def marked(text: str, ttl: str) -> dict[str, Any]:
    """The same, with the mark of a cache."""
    mark = {"type": "ephemeral", "ttl": ttl}
    return {"role": "user", "content": [{"type": "text", "text": text, "cache_control": mark}]}


class Client:
    """A coding agent that says in which session it is."""

    def __init__(self, bailee: Bailee) -> None:
        self.bailee = bailee

    def say(self, said: list[Any], *, agent: str = "", tools: bool = True) -> dict[str, Any]:
        """Send a conversation; the message that comes back, if one does."""
        body: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": said}
        body |= {"system": RULES, "tools": [{"name": "ls"}]} if tools else {"system": "A title!"}
        return self.send(json.dumps(body).encode(), agent)

    def send(self, body: bytes, agent: str = "") -> dict[str, Any]:
        """Send a body."""
        request = urllib.request.Request(
            self.bailee.ready["gateway"] + "/v1/messages",
            body,
            {"x-api-key": self.bailee.ready["key"], "x-claude-code-session-id": SESSION}
            | ({"x-claude-code-agent-id": agent} if agent else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = json.load(answer)["content"]
        except urllib.error.HTTPError:
            return {}
        return {"role": "assistant", "content": content}


def speak(client: Client) -> None:
    """All that a client may do with a conversation."""
    one = [user("the gate")]
    title = client.say(one, tools=False)
    assert title
    two = [*one, client.say(one), user("the wall")]
    client.say(two)  # and is taken back
    three = [*two[:2], user("the path")]
    four = [*three, client.say(three)]
    assert client.say(three) == {}  # the repeat is refused
    five = [*four, marked("the hedge", "5m")]
    client.say(five)
    six = [*five, client.say(five)]  # the second answer is gone on with
    client.say([user("the shed")], agent=WHO)
    client.send(TWICE)
    six[4] = user("the hedge")  # without its mark it is written otherwise, and is the same
    client.say([*six, marked("the end", "1h")])


ANSWERS = (
    Text("A Gate"), Text("gate: oak"), Text("wall: brick"), Text("path: gravel"),
    Failure(529, "overloaded_error"), Text("hedge: yew"), Text("hedge: box"), Text("shed: tin"),
    Text("fruit"), Text("done"),
)  # fmt: skip
LINE = [
    "the gate", "gate: oak", "the path", "path: gravel", "the hedge", "hedge: box", "the end",
    "done",
]  # fmt: skip
BESIDE = [
    ("title", 1, ["A Gate"]), ("taken_back", 2, ["the wall", "wall: brick"]), ("failed", 3, []),
    ("repeat", 5, ["hedge: yew"]), ("agent", 6, ["the shed", "shed: tin"]),
    ("aside", 6, ["pear", "fruit"]),
]  # fmt: skip


def texts(messages: list[Any]) -> list[str]:
    """What messages say."""
    return [
        one["content"] if isinstance(one["content"], str) else one["content"][0]["text"]
        for one in messages
    ]


def test_every_view_has_every_branch(
    served: Callable[..., Bailee], upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """JSON, terminal, Markdown and JSON lines; what came as bytes is saved as it came."""
    upstream.then(*ANSWERS)
    bailee = served()
    speak(Client(bailee))
    reason = ("--reason", "the tests ask")

    shown = bailee.json("sessions", "show", SESSION, *reason)
    folded = bailee.run("sessions", "show", SESSION, *reason).stdout
    opened = bailee.run("sessions", "show", SESSION, "--all", *reason).stdout
    alone = bailee.run("sessions", "show", SESSION, "--branch", "2", *reason).stdout
    archive = tmp_path / "all.zip"
    bailee.run("person", "export", shown["account"], "-o", str(archive))
    with zipfile.ZipFile(archive) as files:
        page = files.read(f"sessions/{SESSION}.md").decode()
        lines = files.read(f"sessions/{SESSION}.jsonl").splitlines()
    raw = tmp_path / "raw.bin"
    bailee.run("sessions", "raw", SESSION, "8", "-o", str(raw), *reason)

    assert texts(shown["messages"]) == LINE
    assert BESIDE == [(b["kind"], b["at"], texts(b["messages"])) for b in shown["branches"]]
    assert WHO in [b["name"] for b in shown["branches"]]
    said = [*LINE, *(text for _, _, inside in BESIDE for text in inside)]
    for view in (opened, page):
        assert [] == [text for text in (*said, "overloaded_error", RULES) if text not in view]
        assert [] == [ttl for ttl in ("5m", "1h") if f'"ttl": "{ttl}"' not in view]
    assert [] == [text for text in LINE if text not in folded]
    assert [n for n in range(1, 7) if f"branch {n}: " not in folded] == []
    assert "wall: brick" not in folded
    assert '"ttl"' not in folded
    assert "What links and marks its blocks" in folded
    assert "wall: brick" in alone
    assert "gate: oak" not in alone
    assert [{"number": 8, "why": "key_twice", "size": len(TWICE), "sides": ["request"]}] == shown[
        "as_bytes"
    ]
    assert f"sessions raw {SESSION} 8" in folded
    assert (TWICE, 0o600) == (raw.read_bytes(), raw.stat().st_mode & 0o777)
    branches = [one for one in map(json.loads, lines) if one["type"] == "branch"]
    assert [(kind, at) for kind, at, _ in BESIDE] == [(b["kind"], b["at"]) for b in branches]
