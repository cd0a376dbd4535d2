"""A streamed answer put together into the message that a document would have been. Pure.

Rules kept here:

* Unknown fields, block types and deltas of one string are taken along. What is not understood is
  noted, and who asks keeps the bytes.
* What the events leave in the message is bounded by one budget of JSON values (`bounds.VALUES`),
  their number by `bounds.EVENTS`; pieces of text are bounded by the answer's size alone. Every
  step costs what the event is long.

Standards: WHATWG HTML 9.2 (server-sent events).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from bailee.gateway.completion import frame_parts
from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.packing import TooDeep, parse
from bailee.vault.structure import most_values, read, scan

_LINE_ENDS: Final = (b"\r\n", b"\r")
_NOTHING: Final = re.compile(rb"\n*")
_LINES: Final = 1000  # of one event; the API's have two
_OVERHEAD: Final = 5  # values that are put around an event
_NEW_TEXT: Final = 3  # values that a text costs which a block did not have yet

Event: TypeAlias = "tuple[Any, bytes]"
"""An event's JSON, None when it is not JSON, and its text: its values are counted when it leaves
any, which most events do not."""


def sse_events(body: bytes) -> Iterator[Event]:
    """Each server-sent event.

    Raises:
        BeyondBound: there are too many, or one has too many values.
    """
    if b"\r" in body:
        for end in _LINE_ENDS:
            body = body.replace(end, b"\n")
    at = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    count = 0
    while at < len(body):
        found = body.find(b"\n\n", at)
        stop = len(body) if found < 0 else found
        event, at = body[at:stop], stop
        if (nothing := _NOTHING.match(body, stop)) is not None:
            at = nothing.end()
        count += 1
        if count > bounds.EVENTS:
            raise BeyondBound(Beyond.EVENTS)
        if event.count(b"\n") > _LINES:
            yield None, b""
            continue
        data = [
            line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")
        ]
        if data:
            yield _json(b"\n".join(data))


def frame_events(body: bytes) -> Iterator[Event]:
    """Each event of a Bedrock stream; None where the framing ends to make sense. A Converse event
    comes as `{its type: its payload}`.

    Raises:
        BeyondBound: as `sse_events`.
    """
    at = count = 0
    while at < len(body):
        count += 1
        if count > bounds.EVENTS:
            raise BeyondBound(Beyond.EVENTS)
        total = int.from_bytes(body[at : at + 4], "big")
        if total < 16 or at + total > len(body):
            yield None, b""
            return
        headers, payload = frame_parts(body[at : at + total])
        at += total
        kind = headers.get(":event-type") or headers.get(":exception-type", "")
        if kind == "chunk":
            yield _chunk(payload)
            continue
        value, text = _json(payload)
        if headers.get(":message-type") == "exception":
            yield {"type": "error", "error": {"type": kind, "message": value}}, text
        else:
            yield {kind: value}, text


def _chunk(payload: bytes) -> Event:
    """The event inside a `chunk` frame's base64 `bytes`."""
    wrapped, _ = _json(payload)
    inner = wrapped.get("bytes") if isinstance(wrapped, dict) else None
    if not isinstance(inner, str):
        return None, b""
    try:
        return _json(base64.b64decode(inner))
    except (binascii.Error, ValueError):
        return None, b""


def assemble(events: Iterator[Event]) -> tuple[Any, Any, bool, int]:
    """(message, error, whether both are all that the events said, the number of their values or
    somewhat more). The message is that which a non-streaming answer would have been.

    Raises:
        BeyondBound: message and error would have more values than `bounds.VALUES`, or as `events`.
    """
    build = _Message()
    for event, text in events:
        build.take(event, text)
    build.end()
    whole = build.whole and (build.stopped or build.error is not None)
    return build.message, build.error, whole, build.values


class _Message:
    """A message being assembled from events."""

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.error: Any = None
        self.whole = True  # whether everything was understood
        self.stopped = False
        self.values = 0  # of what is kept of the events
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._inputs: dict[int, list[str]] = {}

    def take(self, event: Any, text: bytes) -> None:
        """One event, and its text."""
        if not isinstance(event, dict):
            self.whole = False
            return
        kind = event.get("type")
        if kind == "content_block_delta":
            self._delta(event, text)
            return
        if kind in ("ping", "content_block_stop"):
            return
        self._spend(_OVERHEAD + _values(text))
        if kind == "message_start" and isinstance(event.get("message"), dict):
            self.message = event["message"]
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self.stopped = True
            if self.message is not None:  # Bedrock puts its measurements here
                self.message |= {name: value for name, value in event.items() if name != "type"}
        elif kind == "error":
            self.error = event
        else:
            self.whole = False

    def _spend(self, values: int) -> None:
        self.values += values
        if self.values > bounds.VALUES:
            raise BeyondBound(Beyond.VALUES)

    def _start(self, event: dict[str, Any]) -> None:
        index, block = event.get("index"), event.get("content_block")
        if isinstance(index, int) and isinstance(block, dict):
            self._blocks[index] = block
        else:
            self.whole = False

    def _delta(self, event: dict[str, Any], text: bytes) -> None:
        index, delta = event.get("index"), event.get("delta")
        block = self._blocks.get(index) if isinstance(index, int) else None
        if block is None or not isinstance(index, int) or not isinstance(delta, dict):
            self.whole = False
            return
        kind = delta.get("type")
        if kind == "input_json_delta" and isinstance(delta.get("partial_json"), str):
            self._inputs.setdefault(index, []).append(delta["partial_json"])
            return
        if kind == "citations_delta" and "citation" in delta:
            self._spend(_values(text))
            if not isinstance(block.get("citations"), list):
                block["citations"] = []
            block["citations"].append(delta["citation"])
            return
        # text_delta carries `text`, thinking_delta `thinking`, and so on: one string each.
        grown = [name for name, value in delta.items() if name != "type"]
        if len(grown) != 1 or not isinstance(delta[grown[0]], str):
            self.whole = False
            return
        place = (index, grown[0])
        if place not in self._texts:
            self._spend(_NEW_TEXT)
            self._texts[place] = []
        self._texts[place].append(delta[grown[0]])

    def _message_delta(self, event: dict[str, Any]) -> None:
        if self.message is None:
            self.whole = False
            return
        for name, value in event.items():
            if name == "delta" and isinstance(value, dict):
                self.message.update(value)
            elif name == "usage" and isinstance(value, dict):
                if not isinstance(self.message.get("usage"), dict):
                    self.message["usage"] = {}
                self.message["usage"].update(value)
            elif name != "type":
                self.message[name] = value

    def end(self) -> None:
        """Puts together what came in pieces."""
        for (index, name), pieces in self._texts.items():
            before = self._blocks[index].get(name)
            text = before if isinstance(before, str) else ""
            self._blocks[index][name] = text + "".join(pieces)
        for index, pieces in self._inputs.items():
            text = "".join(pieces)
            parsed, read_from = _json(text.encode("utf-8", "surrogatepass")) if text else ({}, b"")
            self._spend(_values(read_from))
            if parsed is None:
                self.whole = False
            else:
                self._blocks[index]["input"] = parsed
        if self._blocks:
            if self.message is None:
                self.whole = False
                self.message = {"type": "message", "role": "assistant"}
            self.message["content"] = [block for _, block in sorted(self._blocks.items())]


def _json(data: bytes) -> Event:
    """The JSON value in `data`, exactly, or None (also for `null`)."""
    try:
        if len(data) <= bounds.VALUES:  # which it can't have more of
            return parse(data), data
        return read(data)[0], data
    except TooDeep as error:
        raise BeyondBound(Beyond.DEPTH) from error
    except BeyondBound:
        raise
    except ValueError:
        return None, b""


def _values(text: bytes) -> int:
    return most_values(text) if len(text) <= bounds.VALUES else scan(text).values
