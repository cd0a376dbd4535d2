"""Turns for `ScriptedUpstream` that say one thing, or call one tool, in whichever API they are
asked: Messages, Responses and Chat Completions (OpenAI), generateContent (Gemini). For coding
agents of other vendors, streamed or not.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from bailee.testing.upstream import Part, Received, Reply, Text, ToolUse


def _new(kind: str, request: Received) -> str:
    """An id for what answers this request alone: clients join what has one id."""
    return f"{kind}_{zlib.crc32(request.body):08x}"


@dataclass(frozen=True, slots=True)
class Says:
    """Answers `text` in the API of the request's path."""

    text: str

    def reply(self, request: Received) -> Reply:
        """See `bailee.testing.upstream.Turn.reply`."""
        path = request.path
        body = request.json if isinstance(request.json, dict) else {}
        if path.endswith("/responses"):
            return _streamed([(str(event["type"]), event) for event in self._responses(request)])
        if path.endswith("/chat/completions"):
            if body.get("stream"):
                return _streamed([(None, one) for one in self._chunks()], end=b"data: [DONE]\n\n")
            return _document(self._completion())
        if path.lower().endswith("generatecontent"):
            return (_streamed if ":stream" in path else _first)([(None, self._candidate())])
        return Text(self.text).reply(request)

    def _responses(self, request: Received) -> list[dict[str, object]]:
        content = {"type": "output_text", "text": self.text, "annotations": []}
        named = _new("msg", request)
        message = {"type": "message", "id": named, "role": "assistant", "status": "completed"}
        done = {**message, "content": [content]}
        place = {"item_id": named, "output_index": 0}
        said = {**place, "type": "response.output_text.delta", "content_index": 0}
        return _response_events(
            request, {**message, "content": []}, done, [{**said, "delta": self.text}]
        )

    def _completion(self) -> dict[str, object]:
        message = {"role": "assistant", "content": self.text}
        return {
            "id": "chat_1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted-model",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    def _chunks(self) -> list[dict[str, object]]:
        said: dict[str, object] = {"role": "assistant", "content": self.text}
        return [_chunk(said, None), _chunk({}, "stop")]

    def _candidate(self) -> dict[str, object]:
        return _candidates({"role": "model", "parts": [{"text": self.text}]})


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls the tool `name` with `arguments`, or, where it takes a text, with `text`."""

    name: str
    arguments: dict[str, object]
    text: str | None = None

    def reply(self, request: Received) -> Reply:
        """See `bailee.testing.upstream.Turn.reply`."""
        path = request.path
        if path.endswith("/responses"):
            return _streamed([(str(event["type"]), event) for event in self._responses(request)])
        if path.endswith("/chat/completions"):
            return _streamed(
                [(None, one) for one in self._chunks(request)], end=b"data: [DONE]\n\n"
            )
        if path.lower().endswith("generatecontent"):
            return (_streamed if ":stream" in path else _first)([(None, self._candidate(request))])
        return ToolUse(self.name, self.arguments).reply(request)

    def _responses(self, request: Received) -> list[dict[str, object]]:
        item: dict[str, object] = {"id": _new("fc", request), "call_id": _new("call", request)}
        item["name"] = self.name
        given = json.dumps(self.arguments) if self.text is None else self.text
        kind = "function_call" if self.text is None else "custom_tool_call"
        into = "arguments" if self.text is None else "input"
        item |= {"type": kind, into: "", "status": "in_progress"}
        return _response_events(request, item, {**item, into: given, "status": "completed"}, [])

    def _chunks(self, request: Received) -> list[dict[str, object]]:
        function = {"name": self.name, "arguments": json.dumps(self.arguments)}
        call = {"index": 0, "id": _new("call", request), "type": "function", "function": function}
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        return [_chunk(said, None), _chunk({}, "tool_calls")]

    def _candidate(self, request: Received) -> dict[str, object]:
        call = {"id": _new("fc", request), "name": self.name, "args": self.arguments}
        content = {"role": "model", "parts": [{"functionCall": call}]}
        return _candidates(content)


def _response_events(
    request: Received,
    begun: Mapping[str, object],
    done: Mapping[str, object],
    between: list[dict[str, object]],
) -> list[dict[str, object]]:
    usage: dict[str, object] = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    usage |= {
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    named = _new("resp", request)
    response: dict[str, object] = {"id": named, "object": "response", "status": "completed"}
    return [
        {"type": "response.created", "response": {"id": named, "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *between,
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {**response, "output": [done], "usage": usage}},
    ]


def _chunk(delta: Mapping[str, object], reason: str | None) -> dict[str, object]:
    return {
        "id": "chat_1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


def _candidates(content: Mapping[str, object]) -> dict[str, object]:
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 1,
            "candidatesTokenCount": 1,
            "totalTokenCount": 2,
        },
    }


def _streamed(events: list[tuple[str | None, dict[str, object]]], end: bytes = b"") -> Reply:
    parts: list[Part] = []
    for name, event in events:
        first = "" if name is None else f"event: {name}\n"
        parts.append(f"{first}data: {json.dumps(event)}\n\n".encode())
    if end:
        parts.append(end)
    return Reply(200, (("content-type", "text/event-stream"),), tuple(parts), "chunked")


def _first(events: list[tuple[str | None, dict[str, object]]]) -> Reply:
    return _document(events[0][1])


def _document(value: dict[str, object]) -> Reply:
    return Reply(parts=(json.dumps(value).encode(),))
