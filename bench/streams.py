"""A short question and an answer of 50 pieces in each API whose streams are text: by the path that
asks it, the request's body and the stream's events.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

PIECES: Final = 50
_TEXTS: Final = [f"word {number} " for number in range(PIECES)]
_WHOLE: Final = "".join(_TEXTS)


class Asked(NamedTuple):
    """How an API is asked: `path`, what `wrk` sends, and what the stub answers."""

    path: str
    body: str
    events: list[str]


def _event(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


def _responses() -> Asked:
    part = {"type": "output_text", "text": _WHOLE, "annotations": []}
    begun = {"type": "message", "id": "m_1", "role": "assistant", "status": "in_progress"}
    item = {**begun, "status": "completed", "content": [part]}
    response = {"id": "r_1", "object": "response", "status": "completed", "output": [item]}
    usage = {"input_tokens": 10, "output_tokens": PIECES, "total_tokens": 10 + PIECES}
    place = {"item_id": "m_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**begun, "content": []}},
        *({"type": "response.output_text.delta", **place, "delta": text} for text in _TEXTS),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**response, "usage": usage}},
    ]
    said = {"type": "message", "role": "user", "content": "Say hello."}
    body = {"model": "bench", "store": False, "input": [said], "stream": True}
    return Asked("/v1/responses", json.dumps(body), [_event(one) for one in events])


def _chat() -> Asked:
    def chunk(delta: dict[str, Any], reason: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        head = {"id": "c_1", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
        return _data({**head, "choices": [choice]})

    events = [chunk({"role": "assistant", "content": ""}, None)]
    events += [chunk({"content": text}, None) for text in _TEXTS]
    events += [chunk({}, "stop"), "data: [DONE]\n\n"]
    said = {"role": "user", "content": "Say hello."}
    body = {"model": "bench", "messages": [said], "stream": True}
    return Asked("/v1/chat/completions", json.dumps(body), events)


def _gemini() -> Asked:
    def chunk(text: str, **more: str) -> str:
        content = {"role": "model", "parts": [{"text": text}]}
        return _data({"candidates": [{"content": content, "index": 0, **more}]})

    events = [chunk(text) for text in _TEXTS] + [chunk("", finishReason="STOP")]
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Say hello."}]}],
        "generationConfig": {"candidateCount": 1, "stream": True},  # by which the stub knows it
    }
    path = "/v1beta/models/bench:streamGenerateContent?alt=sse"
    return Asked(path, json.dumps(body), events)


ASKED: Final = {"responses": _responses(), "chat": _chat(), "gemini": _gemini()}
