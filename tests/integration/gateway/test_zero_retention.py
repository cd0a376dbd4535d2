"""Nothing of a zero-retention exchange is submitted, said, logged or held."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from bailee.gateway.recording import Keeping
from bailee.testing.recording import FaultyRecording, MemoryRecording
from bailee.testing.upstream import (
    AssistantMessage,
    Exactly,
    Failure,
    Reply,
    ScriptedUpstream,
    Text,
)

pytestmark = pytest.mark.row("R2")

CANARY = "canary-7c1e2f"
STREAMING = json.dumps({"stream": True, "tools": [{"name": CANARY}], "system": CANARY}).encode()


class Refusing(MemoryRecording):
    """Fails the test when anything is submitted."""

    def submit(self, exchange: Any, done: Any) -> None:
        """Fails."""
        raise AssertionError("a zero-retention exchange was submitted")


TURNS = {
    "complete": Text(f"the {CANARY}"),
    "broken off": AssistantMessage(({"type": "text", "text": CANARY * 9},), cut=4),
    "an error": Failure(400, "invalid_request_error", CANARY),
    "not HTTP": Exactly(Reply(200, (("x\nbad", CANARY),), (CANARY.encode(),))),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/v1/messages", False),
        (f"/v1/{CANARY}", True),
        (f"/bedrock/model/{CANARY}/invoke", False),
    ],
)
def test_the_canary_is_nowhere(
    serve: Any, post: Callable[..., bytes], caplog: Any, turn: str, path: str, own: bool
) -> None:
    """However the exchange ends, no record, log, summary or metric holds any of it."""
    caplog.set_level(logging.DEBUG)
    with ScriptedUpstream(after=TURNS[turn]) as upstream:
        serving = serve(upstream, recording=Refusing())
        extra = f"X-Claude-Code-Session-Id: {CANARY}\r\n"
        extra += "x-bailee-key: bl_zero\r\n" if own else ""
        key = "sk-own" if own else "bl_zero"
        request = post(STREAMING, path=f"{path}?q={CANARY}", key=key, extra=extra)
        serving.connect().send(request).answer()
        summary = serving.summary()
        assert CANARY not in repr(serving.summaries)
        assert CANARY not in caplog.text
        assert (None, "zero_retention") == (summary.terms, summary.not_kept)
        assert 1 == len(upstream.requests)


def test_refusals_do_not_repeat_what_was_sent(
    serve: Any, post: Callable[..., bytes], caplog: Any
) -> None:
    """Errors of our own hold nothing that a client wrote, whoever it is."""
    caplog.set_level(logging.DEBUG)
    head = f"{CANARY} /{CANARY} HTTP/1.1\r\nHost: {CANARY}\r\n".encode()
    requests = [
        head + b"\r\n",
        head + f"X: {CANARY}\n\r\n\r\n".encode(),
        post(path=f"/{CANARY}", key=CANARY),
        post(path="/v1/messages", key=CANARY),
        post(CANARY.encode(), key="bl_zero", extra="Transfer-Encoding: chunked\r\n", framing=False),
    ]
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        for request in requests:
            client = serving.connect().send(request)
            client.sock.shutdown(1)
            client.quiet(0.3)
            assert CANARY.encode() not in client.data
        assert CANARY not in repr(serving.summaries)
        assert CANARY not in caplog.text


def test_no_capture_exists_while_it_runs(serve: Any, post: Callable[..., bytes]) -> None:
    """In the middle of a zero-retention stream there is no object that could keep it."""
    slow = Text("word " * 50, pause=0.02)
    with ScriptedUpstream([slow]) as upstream:
        serving = serve(upstream)
        client = serving.connect().send(post(STREAMING, key="bl_zero"))
        client.until(b"content_block_delta")
        assert [] == [kept for kept in gc.get_objects() if isinstance(kept, Keeping)]
        assert 0 == serving.gateway.shares.held
        client.answer()


def test_a_failing_recorder_is_no_concern_of_it(serve: Any, post: Callable[..., bytes]) -> None:
    """Zero-retention traffic is served while nothing can be recorded, and is not counted."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, recording=FaultyRecording(known=True))
        assert 200 == serving.connect().send(post(key="bl_zero")).answer().status
        assert 0 == serving.gateway.unrecorded
