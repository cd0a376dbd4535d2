"""What a client and a model may say though nobody understands it: every view has all of it."""

from __future__ import annotations

import json
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import Exactly, Reply, ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee

pytestmark = pytest.mark.row("G3", "G4")

HALF = "\ud83d"
HUGE = 2**70


def streamed(*events: Any, named: bool = True) -> Exactly:
    """An answer of such events."""
    lines = [
        (f"event: {one['type']}\n" if named else "") + f"data: {json.dumps(one)}\n\n"
        for one in events
    ]
    head = (("content-type", "text/event-stream"),)
    return Exactly(Reply(200, head, tuple(line.encode() for line in lines), "chunked"))


def block(index: int, begun: dict[str, Any], **said: Any) -> list[dict[str, Any]]:
    """A block of a message, with one delta."""
    place = {"index": index}
    return [
        {"type": "content_block_start", **place, "content_block": begun},
        {"type": "content_block_delta", **place, "delta": said},
        {"type": "content_block_stop", **place},
    ]


STARTS = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []},
}
ENDS = [
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
THINKS = {"type": "thinking", "thinking": "", "signature": ""}
TEXT = {"type": "text", "text": ""}
ITEM = {"type": "glow", "of": f"elder {HALF}", "n": HUGE}
ROLES = [{"role": {"a": HUGE}, "content": [{"type": "glow", "of": "rowan"}, 7, None]}, "bare", {}]
NAMES = [f"0d7c3d1c-32a5-4d0c-8f0b-0d7c3d1c1a{number}" for number in (21, 22, 23, 24)]
CLAUDE = {"x-claude-code-session-id": NAMES[0]}
GEMINI = "/v1beta/models/g:streamGenerateContent?alt=sse"
ASKED: list[tuple[str, dict[str, str], dict[str, Any], Exactly]] = [
    (
        "/v1/messages", CLAUDE, {"messages": [{"role": "user", "content": f"quince {HALF}"}]},
        streamed(
            STARTS, *block(0, THINKS, type="thinking_delta", thinking="apple", estimated_tokens=3),
            *block(1, TEXT, type="text_delta", text=f"pear {HALF}"), *ENDS,
        ),
    ),
    (
        "/v1/messages", CLAUDE, {"messages": ROLES},
        streamed(
            STARTS, *block(0, TEXT, type="text_delta", text="plum"),
            *block(0, TEXT, type="text_delta", text="sloe"), *ENDS,
        ),
    ),
    (
        "/v1/responses", {"session-id": NAMES[1]}, {"input": [{"role": "user", "content": HALF}]},
        streamed(
            {"type": "response.created", "response": {"id": "r", "output": []}},
            {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
            {"type": "response.completed", "response": {"id": "r", "output": [ITEM],
                                                        "usage": {"input_tokens": HUGE}}},
        ),
    ),
    (
        "/v1/chat/completions", {"x-session-id": NAMES[2]},
        {"messages": [{"role": 7, "content": f"hazel {HALF}"}]},
        streamed({"choices": [{"index": 0, "delta": {"content": f"fig {HALF}"},
                               "finish_reason": "stop"}]}, named=False),
    ),
    (
        GEMINI, {"x-bailee-session": NAMES[3]},
        {"contents": [{"role": "user", "parts": [{"text": "lime"}, {"glow": f"ash {HALF}"}]}]},
        streamed({"candidates": [{"content": {"role": "model", "parts": [
            {"text": "oak", "thought": True}, {"odd": {"n": HUGE, "of": "yew"}}]},
            "finishReason": "STOP"}]}, named=False),
    ),
]  # fmt: skip
SAID = [
    ("quince", "apple", "pear", "rowan", "plum", "sloe", str(HUGE)),
    ("elder", str(HUGE)),
    ("hazel", "fig"),
    ("lime", "ash", "oak", "yew", str(HUGE)),
]


def test_every_view_has_what_nobody_understands(
    served: Callable[..., Bailee], upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Half a character, a number of 70 bits, a role that is no text, a block and an item of an
    unknown kind, two blocks under one index: in the terminal, on the person's page and on the
    operator's, in Markdown and JSON lines. Nothing ends in an error, and what is less than all is
    said, with its bytes.
    """
    upstream.then(*(answer for _, _, _, answer in ASKED))
    bailee = served(env=SIGN_UP)
    ada, operator = Visitor(bailee.ready["console"]), Visitor(bailee.ready["console"])
    who = {"email": "ada@example.org", "password": "seven pear trees", "plan": "pro"}
    ada.submit("/sign-up", "/sign-up", {**who, "choice": "refused"})
    page = ada.submit("/settings/account", "/settings/account/keys", {"name": "laptop"}).text
    key = page[page.index("bl_") :][:62]
    for path, named, body, _ in ASKED:
        asked = {"model": "m", "max_tokens": 9, "stream": True, **body}
        request = urllib.request.Request(
            bailee.ready["gateway"] + path, json.dumps(asked).encode(), {"x-api-key": key, **named}
        )
        with urllib.request.urlopen(request, timeout=30) as came:
            came.read()  # of what is closed before its end a part is recorded
    assert len(NAMES) == len(bailee.sessions(len(NAMES)))
    archive = tmp_path / "all.zip"
    bailee.run("person", "export", "ada@example.org", "-o", str(archive))
    operator.get(bailee.ready["sign_in"])

    why = {"reason": "incident 12, asked by Ada"}
    with zipfile.ZipFile(archive) as files:
        for name, words in zip(NAMES, SAID, strict=True):
            shown = bailee.run("sessions", "show", name, "--all", "--reason", why["reason"])
            hers = ada.get(f"/settings/sessions/{name}")
            theirs = operator.submit(f"/admin/sessions/{name}", f"/admin/sessions/{name}/read", why)
            assert (0, "", 200, 200) == (shown.returncode, shown.stderr, hers.status, theirs.status)
            written = [files.read(f"sessions/{name}.{kind}").decode() for kind in ("md", "jsonl")]
            views = [shown.stdout, hers.text, theirs.text, *written]
            assert [[]] * 5 == [[word for word in words if word not in view] for view in views]
            said = "kept as" in shown.stdout, "kept as" in hers.text, "in_part" in written[0]
            assert (name == NAMES[0],) * 3 == said
