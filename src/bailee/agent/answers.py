"""A streamed answer, from its bytes to the message that the vendor's SDK makes of it. Pure.

Rules kept here:

* Total over bytes: whatever comes is pieces and an answer, or a `ModelFault`. What is not UTF-8,
  and half characters in JSON, become U+FFFD.
* An answer has an end (`message_stop`). A gateway holds that back until what it promised is done,
  so that an answer without it does not count.
* A call's input that is no JSON stays the text that it is: whoever reads it says what is wrong.

Standard: WHATWG HTML 9.2 (server-sent events).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from bailee.agent.faults import ModelFault, of_answer
from bailee.agent.ports import Answer, AnswerPiece, Block
from bailee.json_values import Json, JsonObject, members, text, well_formed

_LARGEST: Final = 64 * 1024 * 1024  # bytes of one event
_ODD: Final = "its answer makes no sense"


class SentEvents:
    """Server-sent events out of bytes that come in any pieces. Owned by who reads one answer."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[JsonObject]:
        """The events that are whole now.

        Raises:
            ModelFault: one is no JSON object, or larger than anything that is meant.
        """
        data = self._rest + data
        held = data[-1:] if data.endswith(b"\r") else b""  # may be half of a line's end
        data = data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = data.split(b"\n\n")
        self._rest = rest + held
        if len(self._rest) > _LARGEST:
            raise ModelFault("unreadable", _ODD)
        for lines in whole:
            said = [
                line[5:].removeprefix(b" ")
                for line in lines.split(b"\n")
                if line.startswith(b"data:")
            ]
            if any(said):
                yield _event(b"\n".join(said))


def _event(data: bytes) -> JsonObject:
    try:
        event = _json(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise ModelFault("unreadable", _ODD) from None
    if not isinstance(event, dict):
        raise ModelFault("unreadable", _ODD)
    return event


class Assembling:
    """One answer being put together, by one call of `take` for each event, in order."""

    def __init__(self) -> None:
        self._message: JsonObject | None = None
        self._usage: JsonObject = {}
        self._blocks: list[Block] = []
        self._places: dict[Json, int] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}  # of a block's text under that name
        self._stopped = False

    def take(self, event: JsonObject) -> AnswerPiece | None:
        """Takes an event in; what it has to show.

        Raises:
            ModelFault: it is an error, or nothing that can follow.
        """
        match event:
            case {"type": "error"}:
                error = members(event.get("error"))
                raise of_answer(None, text(error.get("type")), text(error.get("message")))
            case {"type": "message_start", "message": dict(message)} if self._message is None:
                self._message = message
                self._usage = members(message.get("usage"))
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._places[index] = len(self._blocks)
                self._blocks.append(dict(block))
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)} if (
                index in self._places
            ):
                return self._delta(self._places[index], delta)
            case {"type": "message_delta", "delta": dict(delta)} if self._message is not None:
                self._message |= {k: v for k, v in delta.items() if k != "content"}
                usage = members(event.get("usage"))
                self._usage |= {k: v for k, v in usage.items() if v is not None}
            case {"type": "message_stop"}:
                self._stopped = True
            case {"type": "message_start" | "content_block_start" | "content_block_delta"}:
                raise ModelFault("unreadable", _ODD)
            case _:
                pass  # a ping, or what is not known yet
        return None

    def _delta(self, place: int, delta: JsonObject) -> AnswerPiece | None:
        block = self._blocks[place]
        match delta:
            case {"type": "text_delta", "text": str(more)} if block.get("type") == "text":
                self._pieces.setdefault((place, "text"), []).append(more)
                return AnswerPiece("text", more)
            case {"type": "thinking_delta", "thinking": str(more)} if (
                block.get("type") == "thinking"
            ):
                self._pieces.setdefault((place, "thinking"), []).append(more)
                return AnswerPiece("thinking", more)
            case {"type": "signature_delta", "signature": str(signature)}:
                block["signature"] = signature
            case {"type": "input_json_delta", "partial_json": str(more)}:
                self._pieces.setdefault((place, "input"), []).append(more)
            case {"type": "citations_delta", "citation": citation}:
                before = block.get("citations")
                block["citations"] = [*(before if isinstance(before, list) else ()), citation]
            case _:
                pass
        return None

    def answer(self) -> Answer:
        """The whole answer.

        Raises:
            ModelFault: its end did not come.
        """
        reason = self._message.get("stop_reason") if self._message is not None else None
        if self._message is None or not (self._stopped and isinstance(reason, str)):
            raise ModelFault("broke_off")
        for (place, name), pieces in self._pieces.items():
            block, written = self._blocks[place], "".join(pieces)
            if name != "input":
                block[name] = text(block.get(name)) + written
            elif written:
                block[name] = _input(written)
        usage = {
            name: count
            for name, count in self._usage.items()
            if isinstance(count, int) and name.endswith("_tokens")
        }
        return Answer(self._blocks, reason, text(self._message.get("model")), usage)


def _input(written: str) -> Json:
    try:
        return _json(written)
    except (ValueError, RecursionError):
        return written


def _json(written: str) -> Json:
    value: Json = json.loads(written)
    return well_formed(value)
