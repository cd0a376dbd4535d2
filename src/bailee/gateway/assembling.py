"""A streamed answer put together into the message that a document would have been. Pure.

Rules kept here:

* A message is whole when it is the one that the vendor's SDK makes of the same events, with all
  that they said. Unknown fields and block types are taken along; of anything else that is not
  understood it is noted that it was there, and who asks keeps the bytes. What is understood beside
  it is in the message all the same.
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
from bailee.gateway.converse import EVENTS as CONVERSE
from bailee.gateway.converse import Converse
from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.packing import TooDeep, parse
from bailee.vault.structure import most_values, read, scan

_LINE_ENDS: Final = (b"\r\n", b"\r")
_NOTHING: Final = re.compile(rb"\n*")
_LINES: Final = 1000  # of one event; the API's have two
_OVERHEAD: Final = 5  # values that are put around an event
_NEW_TEXT: Final = 3  # values that a text costs which a block did not have yet
_TOOLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")
_GROWS: Final = {"text_delta": "text", "thinking_delta": "thinking"}
"""Deltas that go on with a text: of which block, by the name of its text."""
_SETS: Final = {
    "signature_delta": ("thinking", ("signature",)),
    "compaction_delta": ("compaction", ("content", "encrypted_content")),
}
"""Deltas that come once: of which block, and what they set in it."""
_HINTS: Final = ("estimated_tokens",)
"""What a delta says for a progress bar alone: rounded, in no document, and said exactly later."""

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
    """A message being assembled from events, one call of `take` for each, in order. Blocks lie in
    the order in which they began, as the vendor's SDK has them. It drops nothing without a mark:
    what it takes otherwise than the SDK does, or not at all, makes it less than `whole`.
    """

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.error: Any = None
        self.whole = True  # whether everything was understood
        self.stopped = False
        self.values = 0  # of what is kept of the events
        self._blocks: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}  # of an index, the block that first had it
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._converse: Converse | None = None  # from the first such event on

    def take(self, event: Any, text: bytes) -> None:
        """One event, and its text."""
        if not isinstance(event, dict):
            self.whole = False
            return
        kind = event.get("type")
        if kind is None and len(event) == 1 and (name := next(iter(event))) in CONVERSE:
            self._take_converse(name, event[name], text)
            return
        if kind == "content_block_delta":
            self._delta(event, text)
            return
        if kind == "content_block_stop":
            self._expect(len(event) == 2 and event.get("index") in self._places)
            return
        if kind == "ping":
            self._expect(len(event) == 1)
            return
        self._spend(_OVERHEAD + _values(text))
        if kind == "message_start" and isinstance(event.get("message"), dict):
            self._message_start(event)
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self.stopped = True
            self._message_stop(event)
        elif kind == "error":
            self._expect(self.error is None)
            self.error = event
        else:
            self.whole = False

    def _take_converse(self, name: str, said: Any, text: bytes) -> None:
        if self._converse is None:
            self._expect(self.message is None and not self._blocks)
            self._converse = Converse(self._spend)
        if name != "contentBlockDelta":
            self._spend(_OVERHEAD + _values(text))
        self._converse.take(name, said)

    def _expect(self, it_is_so: bool) -> None:
        if not it_is_so:
            self.whole = False

    def _spend(self, values: int) -> None:
        self.values += values
        if self.values > bounds.VALUES:
            raise BeyondBound(Beyond.VALUES)

    def _message_start(self, event: dict[str, Any]) -> None:
        first = self.message is None and not self._blocks
        self._expect(first and len(event) == 2 and not event["message"].get("content"))
        if self.message is None:
            self.message = event["message"]

    def _start(self, event: dict[str, Any]) -> None:
        index, block = event.get("index"), event.get("content_block")
        if not isinstance(index, int) or not isinstance(block, dict):
            self.whole = False
            return
        self._expect(len(event) == 3 and index == len(self._blocks) and self.message is not None)
        self._places.setdefault(index, len(self._blocks))
        self._blocks.append(block)
        to = block.get("to") if block.get("type") == "fallback" else None
        if isinstance(to, dict) and isinstance(to.get("model"), str) and self.message is not None:
            self.message["model"] = to["model"]  # the one that answered in the end

    def _delta(self, event: dict[str, Any], text: bytes) -> None:
        index, delta = event.get("index"), event.get("delta")
        place = self._places.get(index) if isinstance(index, int) else None
        if place is None or not isinstance(delta, dict):
            self.whole = False
            return
        block, kind = self._blocks[place], delta.get("type")
        self._expect(len(event) == 3)
        if kind == "input_json_delta" and isinstance(delta.get("partial_json"), str):
            self._expect(len(delta) == 2 and block.get("type") in _TOOLS)
            self._inputs.setdefault(place, []).append(delta["partial_json"])
        elif kind == "citations_delta" and "citation" in delta:
            self._expect(len(delta) == 2 and block.get("type") == "text")
            self._spend(_values(text))
            if not isinstance(block.get("citations"), list):
                self._expect(block.get("citations") is None)
                block["citations"] = []
            block["citations"].append(delta["citation"])
        elif isinstance(kind, str) and kind in _SETS:
            self._set(block, kind, delta)
        else:
            self._grow(place, kind, delta)

    def _set(self, block: dict[str, Any], kind: str, delta: dict[str, Any]) -> None:
        """A delta whose members take the place of the block's."""
        of, names = _SETS[kind]
        self._expect(block.get("type") == of and {*delta} <= {"type", *names})
        for name in names:
            value = delta.get(name)
            if value is not None and not isinstance(value, str):
                self.whole = False
                continue
            if block.get(name) != value:
                self._expect(not block.get(name))
                if name not in block:
                    self._spend(_NEW_TEXT)
                block[name] = value

    def _grow(self, place: int, kind: object, delta: dict[str, Any]) -> None:
        """A delta whose texts go on with the block's. Those of a kind that is not known do too."""
        known = _GROWS.get(kind) if isinstance(kind, str) else None
        self._expect(known is not None and self._blocks[place].get("type") == known)
        self._expect(known in delta)
        for name, value in delta.items():
            if name == "type" or (name in _HINTS and not isinstance(value, str)):
                continue
            if not isinstance(value, str):
                self.whole = False
                continue
            self._expect(name == known)
            if (place, name) not in self._texts:
                self._spend(_NEW_TEXT)
                self._texts[place, name] = []
            self._texts[place, name].append(value)

    def _message_delta(self, event: dict[str, Any]) -> None:
        message = self.message
        if message is None:
            self.whole = False
            return
        self._expect(not message.get("stop_reason"))
        for name, value in event.items():
            if name == "type":
                continue
            if name == "delta" and isinstance(value, dict):
                self._put(message, value)
            elif name == "usage" and isinstance(value, dict):
                if not isinstance(message.get("usage"), dict):
                    self._expect(message.get("usage") is None)
                    message["usage"] = {}
                # Totals: they overwrite, and what is null leaves what was said before.
                self._put(message["usage"], value)
            elif name in ("delta", "usage", "content"):
                self.whole = False
            else:
                self._put(message, {name: value})

    def _put(self, into: dict[str, Any], values: dict[str, Any]) -> None:
        self._expect(into is not self.message or "content" not in values)
        into.update(
            {name: value for name, value in values.items() if value is not None or name not in into}
        )

    def _message_stop(self, event: dict[str, Any]) -> None:
        """Bedrock puts its measurements here."""
        for name, value in event.items():
            if name != "type":
                self._expect(self.message is not None and name not in self.message)
                if self.message is not None:
                    self.message.setdefault(name, value)

    def end(self) -> None:
        """Puts together what came in pieces."""
        for (place, name), pieces in self._texts.items():
            before = self._blocks[place].get(name)
            self._expect(before is None or isinstance(before, str))
            text = before if isinstance(before, str) else ""
            self._blocks[place][name] = text + "".join(pieces)
        for place, pieces in self._inputs.items():
            self._input(self._blocks[place], "".join(pieces))
        if self._converse is not None:
            self._expect(self.message is None and not self._blocks)
            document = self._converse.document()
            self._expect(self._converse.whole)
            self.stopped = self.stopped or self._converse.stopped
            self.message = document if self.message is None else self.message
        if self._blocks:
            if self.message is None:
                self.whole = False
                self.message = {"type": "message", "role": "assistant"}
            self.message["content"] = self._blocks

    def _input(self, block: dict[str, Any], text: str) -> None:
        if not text and "input" in block:
            return  # all of it was there at the block's start
        parsed, read_from = _json(text.encode("utf-8", "surrogatepass")) if text else ({}, b"")
        self._spend(_values(read_from))
        self._expect(parsed is not None and not block.get("input"))
        if parsed is not None:
            block["input"] = parsed


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
