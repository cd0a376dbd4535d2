"""The events of a streamed answer, as they are framed: server-sent events, Bedrock's frames, a JSON
list. Pure.

Rules kept here: their number is bounded by `bounds.EVENTS`, and each is read in the time that its
bytes take. What an event says more than its value, a key twice, is an event that is not understood:
so the bytes are kept, whatever an SDK makes of it.

Standards: WHATWG HTML 9.2 (server-sent events).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.packing import JSON, TooDeep, parse
from bailee.vault.structure import drops_members, most_values, read, scan

_LINE_ENDS: Final = (b"\r\n", b"\r")
_NOTHING: Final = re.compile(rb"\n*")
_LINES: Final = 1000  # of one event; the API's have two
_SHORT: Final = 64  # bytes of what is no JSON that are given on

Event: TypeAlias = tuple[JSON, bytes]
"""An event's JSON, None when it is not JSON, and its text: its values are counted when it leaves
any, which most events do not. Of what is no JSON the text is given when it is short."""


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
            text = b"\n".join(data)
            value, read_from = as_json(text)
            yield value, read_from or text[:_SHORT]
            yield from _left_out(value, text)


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
            value, text = _chunk(payload)
            yield value, text
            yield from _left_out(value, text)
            continue
        value, text = as_json(payload)
        if headers.get(":message-type") == "exception":
            yield {"type": "error", "error": {"type": kind, "message": value}}, text
        else:
            yield {kind: value}, text
        yield from _left_out(value, text)


def _left_out(value: JSON, text: bytes) -> Iterator[Event]:
    """An event that is not understood, if the text says more than the value that was read."""
    if isinstance(value, dict | list) and drops_members(text, value):
        yield None, b""


def _chunk(payload: bytes) -> Event:
    """The event inside a `chunk` frame's base64 `bytes`."""
    wrapped, _ = as_json(payload)
    inner = wrapped.get("bytes") if isinstance(wrapped, dict) else None
    if not isinstance(inner, str):
        return None, b""
    try:
        return as_json(base64.b64decode(inner))
    except (binascii.Error, ValueError):
        return None, b""


def frame_parts(frame: bytes) -> tuple[dict[str, str], bytes]:
    """The string headers and the payload of one frame (`vnd.amazon.eventstream`)."""
    size = int.from_bytes(frame[4:8], "big")
    headers: dict[str, str] = {}
    at, end = 12, min(12 + size, len(frame) - 4)
    while at < end:
        name_end = at + 1 + frame[at]
        name = frame[at + 1 : name_end].decode("latin-1")
        kind = frame[name_end] if name_end < end else -1
        if kind != 7:  # all that matter are strings
            break
        length = int.from_bytes(frame[name_end + 1 : name_end + 3], "big")
        at = name_end + 3 + length
        headers[name] = frame[name_end + 3 : at].decode("utf-8", "replace")
    return headers, frame[end:-4]


def as_json(data: bytes) -> Event:
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


def values_in(text: bytes) -> int:
    """A number of values that `text` does not exceed; not much more than it has, if it is long."""
    return most_values(text) if len(text) <= bounds.VALUES else scan(text).values
