"""What a captured exchange means, for those who know the Messages API.

Pure, and total: any bytes give an `Interpreted`. Rules kept here:

* What is understood is taken apart; what is not is kept as bytes beside it. Nothing is lost.
* A stream becomes the message that a non-streaming answer would have been, unknown fields and
  block types included. A stream that broke off becomes the message as far as it came, and its
  bytes are kept too.
* Content codings are undone for reading, up to a bound, since a small body may unfold into a
  large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bailee.gateway.completion import decoder, frame_event, frame_parts
from bailee.vault.exchange import CapturedExchange, Outcome
from bailee.vault.interpreted import Interpreted
from bailee.vault.packing import parse

_LARGEST: Final = 256 * 1024 * 1024  # bytes of a decoded body
_PIECE: Final = 64 * 1024
_LINE_ENDS: Final = (b"\r\n", b"\r")


def interpret(exchange: CapturedExchange) -> Interpreted:
    """Takes `exchange` apart. Never raises."""
    request_headers = dict(exchange.request_headers)
    answer_headers = dict(exchange.answer_headers)
    request_body = decoded(exchange.request, request_headers.get("content-encoding", ""))
    fields, messages, raw_request = _request(exchange.request, request_body)
    session = request_headers.get("x-claude-code-session-id") or _session_of(fields)
    answer_body = decoded(exchange.answer, answer_headers.get("content-encoding", ""))
    answer, error, raw_answer = None, None, exchange.answer or None
    if answer_body is not None:
        kind = answer_headers.get("content-type", "").partition(";")[0].strip().lower()
        answer, error, whole = _answer(kind, answer_body)
        if whole and (exchange.outcome is Outcome.COMPLETE or error is not None):
            raw_answer = None
    return Interpreted(
        client_session=session or None,
        agent=request_headers.get("x-claude-code-agent-id") or None,
        fields=fields,
        messages=messages,
        answer=answer,
        error=error,
        usage=_usage(answer),
        raw_request=raw_request,
        raw_answer=raw_answer,
    )


def decoded(body: bytes, codings: str) -> bytes | None:
    """`body` without its content codings (a Content-Encoding value), as far as it goes; None when
    a coding is unknown, the bytes are not in it, or they unfold beyond reason.
    """
    for coding in reversed([name.strip().lower() for name in codings.split(",")]):
        if coding in ("", "identity"):
            continue
        undo = decoder(coding.encode("latin-1", "replace"))
        if undo is None:
            return None
        pieces, size = [], 0
        try:
            for at in range(0, len(body), _PIECE):
                piece = undo.decode(body[at : at + _PIECE])
                size += len(piece)
                if size > _LARGEST:
                    return None
                pieces.append(piece)
        except (ValueError, MemoryError):
            return None
        body = b"".join(pieces)
    return body


def _request(
    raw: bytes, body: bytes | None
) -> tuple[dict[str, Any], list[Any] | None, bytes | None]:
    parsed = _json(body) if body is not None else None
    if not isinstance(parsed, dict):
        return {}, None, raw or None
    messages = parsed.get("messages")
    if not isinstance(messages, list):
        return parsed, None, None
    del parsed["messages"]
    return parsed, messages, None


def _session_of(fields: dict[str, Any]) -> str | None:
    """The session that `metadata.user_id` names: JSON with `session_id`, or `…_session_<id>`."""
    metadata = fields.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return None
    parsed = _json(user.encode("utf-8", "replace"))
    if isinstance(parsed, dict):
        session = parsed.get("session_id")
        return session if isinstance(session, str) else None
    _, mark, session = user.rpartition("_session_")
    return session if mark else None


def _answer(kind: str, body: bytes) -> tuple[Any, Any, bool]:
    """(message, error, whether that is all there is)."""
    if kind == "text/event-stream":
        return assemble(sse_events(body))
    if kind == "application/vnd.amazon.eventstream":
        return assemble(frame_events(body))
    parsed = _json(body)
    if not isinstance(parsed, dict):
        return None, None, False
    if parsed.get("type") == "error" or isinstance(parsed.get("error"), dict):
        return None, parsed, True
    if parsed.get("type") == "message" or "role" in parsed or "output" in parsed:
        return parsed, None, True
    return None, parsed, True


def sse_events(body: bytes) -> Iterator[Any]:
    """The JSON of each server-sent event; None for one that is not JSON."""
    for end in _LINE_ENDS:
        body = body.replace(end, b"\n")
    body = body.removeprefix(b"\xef\xbb\xbf")
    for event in body.split(b"\n\n"):
        data = [
            line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")
        ]
        if data:
            yield _json(b"\n".join(data))


def frame_events(body: bytes) -> Iterator[Any]:
    """The JSON of each event of a Bedrock stream; None where the framing ends to make sense. A
    Converse event comes as `{its type: its payload}`.
    """
    at = 0
    while at < len(body):
        total = int.from_bytes(body[at : at + 4], "big")
        if total < 16 or at + total > len(body):
            yield None
            return
        headers, payload = frame_parts(body[at : at + total])
        at += total
        kind = headers.get(":event-type") or headers.get(":exception-type", "")
        if kind == "chunk":
            yield frame_event(payload)
        elif headers.get(":message-type") == "exception":
            yield {"type": "error", "error": {"type": kind, "message": _json(payload)}}
        else:
            yield {kind: _json(payload)}


def assemble(events: Iterator[Any]) -> tuple[Any, Any, bool]:
    """(message, error, whether both are all that the events said). The message is that which a
    non-streaming answer would have been.
    """
    build = _Message()
    for event in events:
        build.take(event)
    build.end()
    return build.message, build.error, build.whole and (build.stopped or build.error is not None)


class _Message:
    """A message being assembled from events."""

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.error: Any = None
        self.whole = True  # whether everything was understood
        self.stopped = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._inputs: dict[int, list[str]] = {}

    def take(self, event: Any) -> None:
        """One event."""
        if not isinstance(event, dict):
            self.whole = False
            return
        kind = event.get("type")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            self.message = event["message"]
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "content_block_delta":
            self._delta(event)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self.stopped = True
            if self.message is not None:  # Bedrock puts its measurements here
                self.message |= {name: value for name, value in event.items() if name != "type"}
        elif kind == "error":
            self.error = event
        elif kind not in ("ping", "content_block_stop"):
            self.whole = False

    def _start(self, event: dict[str, Any]) -> None:
        index, block = event.get("index"), event.get("content_block")
        if isinstance(index, int) and isinstance(block, dict):
            self._blocks[index] = block
        else:
            self.whole = False

    def _delta(self, event: dict[str, Any]) -> None:
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
            cited = block.get("citations")
            block["citations"] = [*(cited if isinstance(cited, list) else []), delta["citation"]]
            return
        # text_delta carries `text`, thinking_delta `thinking`, and so on: one string each.
        grown = [name for name, value in delta.items() if name != "type"]
        if len(grown) != 1 or not isinstance(delta[grown[0]], str):
            self.whole = False
            return
        self._texts.setdefault((index, grown[0]), []).append(delta[grown[0]])

    def _message_delta(self, event: dict[str, Any]) -> None:
        if self.message is None:
            self.whole = False
            return
        for name, value in event.items():
            if name == "delta" and isinstance(value, dict):
                self.message.update(value)
            elif name == "usage" and isinstance(value, dict):
                usage = self.message.get("usage")
                self.message["usage"] = {**(usage if isinstance(usage, dict) else {}), **value}
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
            parsed = _json(text.encode("utf-8", "surrogatepass")) if text else {}
            if parsed is None:
                self.whole = False
            else:
                self._blocks[index]["input"] = parsed
        if self._blocks:
            if self.message is None:
                self.whole = False
                self.message = {"type": "message", "role": "assistant"}
            self.message["content"] = [block for _, block in sorted(self._blocks.items())]


def _usage(answer: Any) -> dict[str, int]:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return {}
    return {
        name: value
        for name, value in usage.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _json(data: bytes) -> Any:
    """The JSON value in `data`, exactly, or None (also for `null`)."""
    try:
        return parse(data)
    except ValueError:
        return None
