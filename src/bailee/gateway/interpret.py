"""What a captured exchange means, for those who know the Messages API.

Pure, and total: any bytes give an `Interpreted`. Rules kept here:

* What is understood is taken apart; what is not is kept as bytes beside it. Nothing is lost.
* A stream becomes the message that a non-streaming answer would have been, unknown fields and
  block types included. A stream that broke off becomes the message as far as it came, and its
  bytes are kept too.
* What taking apart may cost is bounded (`vault.bounds`). A request, or an answer, that is past a
  bound is kept as the bytes that came, and which bound it was is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bailee.gateway.assembling import assemble, frame_events, sse_events
from bailee.gateway.decoding import decoded
from bailee.vault import bounds
from bailee.vault.bounds import Beyond, BeyondBound
from bailee.vault.exchange import CapturedExchange, Outcome
from bailee.vault.interpreted import Interpreted
from bailee.vault.structure import drops_members, read

_LONGEST_USER: Final = 4096  # characters of a metadata.user_id that is looked into


@dataclass(slots=True)
class _Request:
    """A request taken apart; `raw` as far as it could not be."""

    fields: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] | None = None
    raw: bytes | None = None
    values: int = 0
    size: int = 0
    beyond: Beyond | None = None


@dataclass(slots=True)
class _Answer:
    """An answer taken apart. `whole`: that is all there is to it."""

    message: Any = None
    error: Any = None
    whole: bool = False
    values: int = 0
    size: int = 0
    beyond: Beyond | None = None


def interpret(exchange: CapturedExchange) -> Interpreted:
    """Takes `exchange` apart. Never raises."""
    headers = dict(exchange.request_headers)
    try:
        request = _request(exchange.request, headers.get("content-encoding", ""))
    except BeyondBound as error:
        request = _Request(raw=exchange.request, beyond=error.bound)
    try:
        answer = _answer(exchange.answer, dict(exchange.answer_headers))
    except BeyondBound as error:
        answer = _Answer(beyond=error.bound)
    ended = exchange.outcome is Outcome.COMPLETE or answer.error is not None
    session = headers.get("x-claude-code-session-id") or _session_of(request.fields)
    return Interpreted(
        client_session=session or None,
        agent=headers.get("x-claude-code-agent-id") or None,
        fields=request.fields,
        messages=request.messages,
        answer=answer.message,
        error=answer.error,
        usage=_usage(answer.message),
        raw_request=request.raw,
        raw_answer=None if answer.whole and ended else exchange.answer or None,
        beyond=request.beyond or answer.beyond,
        values=request.values + answer.values,
        size=request.size + answer.size,
    )


def _request(raw: bytes, codings: str) -> _Request:
    """Raises: BeyondBound."""
    body = decoded(raw, codings)
    size = len(body or b"")
    parsed, values = (None, 0) if body is None else _json(body, "messages")
    if body is None or not isinstance(parsed, dict):
        return _Request(raw=raw or None)
    beside = raw if drops_members(body, parsed) else None
    if len(parsed) > bounds.FIELDS:
        raise BeyondBound(Beyond.FIELDS)
    messages = parsed.get("messages")
    if not isinstance(messages, list):
        return _Request(parsed, raw=beside, values=values, size=size)
    if len(messages) > bounds.MESSAGES:
        raise BeyondBound(Beyond.MESSAGES)
    del parsed["messages"]
    return _Request(parsed, messages, raw=beside, values=values, size=size)


def _session_of(fields: dict[str, Any]) -> str | None:
    """The session that `metadata.user_id` names: JSON with `session_id`, or `…_session_<id>`."""
    metadata = fields.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str) or len(user) > _LONGEST_USER:
        return None
    try:
        parsed, _ = _json(user.encode("utf-8", "replace"))
    except BeyondBound:
        return None
    if isinstance(parsed, dict):
        session = parsed.get("session_id")
        return session if isinstance(session, str) else None
    _, mark, session = user.rpartition("_session_")
    return session if mark else None


def _answer(raw: bytes, headers: dict[str, str]) -> _Answer:
    """Raises: BeyondBound."""
    body = decoded(raw, headers.get("content-encoding", ""))
    if body is None:
        return _Answer()
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return _Answer(*assemble(sse_events(body)), len(body))
    if kind == "application/vnd.amazon.eventstream":
        return _Answer(*assemble(frame_events(body)), len(body))
    parsed, values = _json(body)
    if not isinstance(parsed, dict):
        return _Answer()
    whole = not drops_members(body, parsed)
    if parsed.get("type") == "error" or isinstance(parsed.get("error"), dict):
        return _Answer(None, parsed, whole, values, len(body))
    if parsed.get("type") == "message" or "role" in parsed or "output" in parsed:
        return _Answer(parsed, None, whole, values, len(body))
    return _Answer(None, parsed, whole, values, len(body))


_OF_CONVERSE: Final[Mapping[Any, str]] = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheWriteInputTokens": "cache_creation_input_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
}


def _usage(answer: Any) -> dict[str, int]:
    """What it used, by the names of the Messages API."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return {}
    return {
        _OF_CONVERSE.get(name, name): value
        for name, value in usage.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _json(data: bytes, name: str | None = None) -> tuple[Any, int]:
    """The JSON value in `data`, exactly, or None (also for `null`), and a number of its values."""
    try:
        return read(data, name)
    except BeyondBound:
        raise
    except ValueError:
        return None, 0
