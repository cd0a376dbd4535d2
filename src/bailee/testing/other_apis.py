"""A turn for `ScriptedUpstream` that says one thing in whichever API it is asked: Messages,
Responses and Chat Completions (OpenAI), generateContent (Gemini). For coding agents of other
vendors, streamed or not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bailee.testing.upstream import Part, Received, Reply, Text


@dataclass(frozen=True, slots=True)
class Says:
    """Answers `text` in the API of the request's path."""

    text: str

    def reply(self, request: Received) -> Reply:
        """See `bailee.testing.upstream.Turn.reply`."""
        path = request.path
        body = request.json if isinstance(request.json, dict) else {}
        if path.endswith("/responses"):
            return _streamed([(str(event["type"]), event) for event in self._responses()])
        if path.endswith("/chat/completions"):
            if body.get("stream"):
                return _streamed([(None, one) for one in self._chunks()], end=b"data: [DONE]\n\n")
            return _document(self._completion())
        if path.lower().endswith("generatecontent"):
            return (_streamed if ":stream" in path else _first)([(None, self._candidate())])
        return Text(self.text).reply(request)

    def _responses(self) -> list[dict[str, object]]:
        content = {"type": "output_text", "text": self.text, "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        usage: dict[str, object] = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        usage |= {
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        done = {**message, "content": [content]}
        place = {"item_id": "msg_1", "output_index": 0}
        return [
            {"type": "response.created", "response": {"id": "resp_1", "output": []}},
            {**place, "type": "response.output_item.added", "item": {**message, "content": []}},
            {**place, "type": "response.output_text.delta", "content_index": 0, "delta": self.text},
            {**place, "type": "response.output_item.done", "item": done},
            {
                "type": "response.completed",
                "response": {
                    "id": "resp_1",
                    "object": "response",
                    "status": "completed",
                    "output": [done],
                    "usage": usage,
                },
            },
        ]

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
        said = {"role": "assistant", "content": self.text}
        return [
            {
                "id": "chat_1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "scripted-model",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }
            for delta, reason in ((said, None), ({}, "stop"))
        ]

    def _candidate(self) -> dict[str, object]:
        content = {"role": "model", "parts": [{"text": self.text}]}
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
